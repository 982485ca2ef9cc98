/*
 * aging.c
 *	  Open amounts by how long they are overdue: aggregate aging() and function
 *	  aging_bucket(), for any table.
 *
 * One pass, one state a group: a sum for each bucket, one for amounts without
 * a date, one for credits (money.c).  An amount goes to exactly one sum, so
 * they add up to the balance whatever the rows are.  What the credit mode
 * "oldest" does needs all rows of the group, so the final function does it.
 *
 * With many groups, usual rows come to their states by way of a backlog
 * (backlog.c), so that their memory is not waited for one by one.
 *
 * Rows of one group have one set of bounds and one credit mode; the as-of date
 * may differ from row to row, since only the difference of dates counts.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "aging.h"
#include "credit.h"

#define AGGREGATE "aging"
#define SERIAL_VERSION 1

/* Columns of the two results. */
#define DEFAULT_COLUMNS 10
#define ARRAY_COLUMNS 6

/* Sums behind those of the buckets. */
#define UNDATED(nbounds) ((nbounds) + 1)
#define CREDITS(nbounds) ((nbounds) + 2)
#define NSUMS(nbounds) ((nbounds) + 3)

static const int32 default_bounds[] = {0, 30, 60, 90, 120};

/* What is the same for all rows of a group. */
typedef struct AgingTerms
{
	const int32 *bounds;
	uint16		nbounds;
	uint8		credits;		/* AgingCredits */
	Backlog    *backlog;		/* where more rows may be; NULL: nowhere */
} AgingTerms;

/* 128 bytes with the default bounds: the size of a chunk of memory. */
struct AgingState
{
	int64		n_skipped;
	const AgingTerms *terms;	/* shared, or behind the sums */
	MoneySums	sums;			/* the last: its length varies */
};

/*
 * What one call of the aggregate in a query has beside its groups.  Where the
 * arguments besides amount and dates are constants, they are read once, and all
 * states share what they say.
 */
struct AgingCall
{
	Backlog		backlog;
	bool		is_constant;
	AgingTerms	terms;
	AgingBounds bounds;
};

PG_FUNCTION_INFO_V1(credit_aging_accum);
PG_FUNCTION_INFO_V1(credit_aging_accum_credits);
PG_FUNCTION_INFO_V1(credit_aging_accum_bounds);
PG_FUNCTION_INFO_V1(credit_aging_remove);
PG_FUNCTION_INFO_V1(credit_aging_combine);
PG_FUNCTION_INFO_V1(credit_aging_serialize);
PG_FUNCTION_INFO_V1(credit_aging_deserialize);
PG_FUNCTION_INFO_V1(credit_aging_final);
PG_FUNCTION_INFO_V1(credit_aging_array_final);
PG_FUNCTION_INFO_V1(credit_aging_bucket);

/* --- arguments ------------------------------------------------------------ */

static AgingCredits
parse_credits(FunctionCallInfo fcinfo, int arg)
{
	text	   *word;
	const char *data;
	int			size;

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("credit mode of an aging must not be null")));
	word = PG_GETARG_TEXT_PP(arg);
	data = VARDATA_ANY(word);
	size = VARSIZE_ANY_EXHDR(word);
	if (size == 8 && memcmp(data, "separate", 8) == 0)
		return CREDITS_SEPARATE;
	if (size == 3 && memcmp(data, "own", 3) == 0)
		return CREDITS_OWN;
	if (size == 6 && memcmp(data, "oldest", 6) == 0)
		return CREDITS_OLDEST;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid credit mode of an aging: \"%s\"",
					text_to_cstring(word)),
			 errhint("Credit modes are separate, own and oldest; bounds are written ARRAY[0, 30, 60].")));
}

/* True: by document date, so that amounts dated later have a bucket. */
static bool
parse_basis(FunctionCallInfo fcinfo, int arg)
{
	text	   *word;
	const char *data;
	int			size;

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("basis of an aging must not be null")));
	word = PG_GETARG_TEXT_PP(arg);
	data = VARDATA_ANY(word);
	size = VARSIZE_ANY_EXHDR(word);
	if (size == 3 && memcmp(data, "due", 3) == 0)
		return false;
	if (size == 8 && memcmp(data, "document", 8) == 0)
		return true;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid basis of an aging: \"%s\"", text_to_cstring(word)),
			 errhint("The basis is due or document.")));
}

/* The elements of an array of bounds, which may have any value yet. */
static const int32 *
bounds_of(FunctionCallInfo fcinfo, int arg, int *n)
{
	ArrayType  *array;

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bounds of an aging must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(arg);
	if (ARR_ELEMTYPE(array) != INT4OID || ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("bounds of an aging must be a one-dimensional array of integers")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bounds of an aging must not contain nulls")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (*n < 1 || *n > AGING_MAX_BOUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an aging must have 1 to %d bounds, not %d",
						AGING_MAX_BOUNDS, *n)));
	return (const int32 *) ARR_DATA_PTR(array);
}

static bool
contains(const int32 *bounds, int n, int32 wanted)
{
	for (int i = 0; i < n; i++)
		if (bounds[i] == wanted)
			return true;
	return false;
}

static void
check_ascending(const int32 *bounds, int n)
{
	for (int i = 1; i < n; i++)
		if (bounds[i] <= bounds[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("bounds of an aging must be strictly ascending"),
					 errdetail("Bound %d is %d, and the one before is %d.",
							   i + 1, bounds[i], bounds[i - 1]),
					 errhint("Bounds are the last days of all buckets but the last one: ARRAY[0, 30, 60] makes up to 0, 1-30, 31-60, and over 60.")));
}

/*
 * Checks bounds as a user gave them and completes them.  By due date, 0 is one
 * of them, so that no bucket mixes what is due with what is overdue.  By
 * document date, what is dated after the as-of date has a bucket in front.
 */
static void
complete_bounds(AgingBounds *result, const int32 *bounds, int n, bool by_document)
{
	check_ascending(bounds, n);
	if (by_document && bounds[0] < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bounds of an aging by document date must not be negative"),
				 errdetail("The first bound is %d.", bounds[0]),
				 errhint("Documents dated after the as-of date have a bucket of their own in front.")));
	if (by_document && n == AGING_MAX_BOUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an aging by document date must have 1 to %d bounds, not %d",
						AGING_MAX_BOUNDS - 1, n)));
	if (!by_document && !contains(bounds, n, 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bounds of an aging by due date must contain 0"),
				 errdetail("Without it one bucket would mix what is due today or later with what is overdue."),
				 errhint("Add 0 to the bounds, or give the basis \"document\" after the credit mode to age by document date.")));
	result->n = 0;
	if (by_document)
		result->bound[result->n++] = -1;
	memcpy(&result->bound[result->n], bounds, n * sizeof(int32));
	result->n += n;
}

/* The number of the bucket, from 0, for a number of days. */
static inline int
bucket_of_days(const int32 *bounds, int n, int64 days)
{
	int			low = 0;

	/* few: counting all is faster than asking which */
	if (n <= 8)
	{
		int			bucket = 0;

		for (int i = 0; i < n; i++)
			bucket += days > bounds[i];
		return bucket;
	}
	while (low < n)
	{
		int			middle = (low + n) / 2;

		if (days > bounds[middle])
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* Days between two dates; a due date of infinity never comes. */
static inline int64
days_between(DateADT due, DateADT as_of)
{
	if (unlikely(DATE_NOT_FINITE(as_of)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as-of date of an aging must not be infinite")));
	if (unlikely(DATE_NOT_FINITE(due)))
		return DATE_IS_NOEND(due) ? PG_INT64_MIN : PG_INT64_MAX;
	return (int64) as_of - due;
}

/* --- state ---------------------------------------------------------------- */

static bool
are_terms_of(const AgingState *state, const AgingTerms *terms)
{
	const AgingTerms *own = state->terms;

	return own->credits == terms->credits && own->nbounds == terms->nbounds &&
		memcmp(own->bounds, terms->bounds, own->nbounds * sizeof(int32)) == 0;
}

static Size
size_of_state(int nbounds)
{
	return offsetof(AgingState, sums) + money_size(NSUMS(nbounds));
}

/* A new state, whose terms live as long as it does. */
static AgingState *
make_state_with(MemoryContext cxt, const AgingTerms *terms)
{
	AgingState *state = MemoryContextAllocZero(cxt, size_of_state(terms->nbounds));

	money_init(&state->sums, NSUMS(terms->nbounds), cxt);
	state->terms = terms;
	return state;
}

/* A new state with terms of its own, with nothing put aside. */
static AgingState *
make_state_alone(MemoryContext cxt, const AgingTerms *terms)
{
	Size		size = MAXALIGN(size_of_state(terms->nbounds));
	AgingState *state = MemoryContextAllocZero(cxt, size + sizeof(AgingTerms) +
											   terms->nbounds * sizeof(int32));
	AgingTerms *own = (AgingTerms *) ((char *) state + size);

	money_init(&state->sums, NSUMS(terms->nbounds), cxt);
	*own = *terms;
	own->backlog = NULL;
	own->bounds = terms->bounds == default_bounds ? default_bounds :
		memcpy(own + 1, terms->bounds, terms->nbounds * sizeof(int32));
	state->terms = own;
	return state;
}

static void
refuse_mixture(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("bounds, credit mode and basis of an aging must be the same for all rows of a group")));
}

/* --- rows ----------------------------------------------------------------- */

/*
 * Which sum an amount goes to.  Mode and bounds are given apart from the state
 * because where they are constants the compiler makes less of it, and those
 * fields of the state need not be fetched.
 */
static pg_attribute_always_inline int
sum_of_dates(bool is_negative, bool has_dates, DateADT due, DateADT as_of,
			 AgingCredits credits, const int32 *bounds, int nbounds)
{
	if (is_negative && credits != CREDITS_OWN)
		return CREDITS(nbounds);
	if (unlikely(!has_dates))
		return UNDATED(nbounds);
	return bucket_of_days(bounds, nbounds, days_between(due, as_of));
}

static pg_attribute_always_inline int
sum_of_row(FunctionCallInfo fcinfo, const Money *amount, AgingCredits credits,
		   const int32 *bounds, int nbounds)
{
	return sum_of_dates(amount->is_negative, !PG_ARGISNULL(2) && !PG_ARGISNULL(3),
						PG_GETARG_DATEADT(2), PG_GETARG_DATEADT(3), credits,
						bounds, nbounds);
}

/* Adds rows of a backlog to the states of their groups. */
static void
add_backlog(Backlog *backlog)
{
	const BacklogRow *rows = backlog->rows;
	int			n = backlog->n;

	for (int i = 0; i < n; i++)
	{
		AgingState *state = rows[i].group;
		const AgingRow *row = (const AgingRow *) rows[i].data;

		if (i + BACKLOG_AHEAD < n)
		{
			AgingState *next = rows[i + BACKLOG_AHEAD].group;
			int			sum = ((const AgingRow *) rows[i + BACKLOG_AHEAD].data)->sum;

			__builtin_prefetch(&next->sums.n, 1);
			__builtin_prefetch(&next->sums.small[sum], 1);
		}
		money_add_small(&state->sums, row->sum, row->amount, row->scale);
	}
}

/*
 * Adds a row; terms are given apart from the state because where they are
 * constants the compiler makes less of it, and the state need not be fetched.
 */
static pg_attribute_always_inline void
add_row(FunctionCallInfo fcinfo, AgingState *state, Backlog *backlog,
		AgingCredits credits, const int32 *bounds, int nbounds)
{
	Money		amount;
	int			sum;

	if (unlikely(PG_ARGISNULL(1)))
	{
		state->n_skipped++;
		return;
	}
	money_read(PG_GETARG_DATUM(1), &amount);
	sum = sum_of_row(fcinfo, &amount, credits, bounds, nbounds);
	/* a group alone is near anyway */
	if (backlog != NULL && backlog->n_groups > 1 && amount.form == MONEY_SMALL)
		*(AgingRow *) backlog_put(backlog, state) =
			(AgingRow) {amount.small, sum, amount.scale};
	else
		money_add(&state->sums, sum, &amount);
}

/* Has what is known of the first so many bounds be what all states share. */
static void
set_terms(AgingTerms *terms, const int32 *bounds, int nbounds,
		  AgingCredits credits)
{
	bool		is_default = nbounds == lengthof(default_bounds) &&
		memcmp(bounds, default_bounds, sizeof(default_bounds)) == 0;

	terms->bounds = is_default ? default_bounds : bounds;
	terms->nbounds = (uint16) nbounds;
	terms->credits = (uint8) credits;
	terms->backlog = NULL;
}

/* Reads and checks the arguments that follow amount and dates. */
static void
read_arguments(FunctionCallInfo fcinfo, int arg, bool has_bounds,
			   AgingTerms *terms, AgingBounds *complete)
{
	int			n = lengthof(default_bounds);
	const int32 *bounds = has_bounds ? bounds_of(fcinfo, arg++, &n) : default_bounds;
	AgingCredits credits = arg < PG_NARGS() ? parse_credits(fcinfo, arg++) :
		CREDITS_SEPARATE;

	complete_bounds(complete, bounds, n, arg < PG_NARGS() && parse_basis(fcinfo, arg));
	set_terms(terms, complete->bound, complete->n, credits);
}

/* Whether the arguments from the fourth on are the same for all rows. */
static bool
are_arguments_constant(FunctionCallInfo fcinfo)
{
	Aggref	   *aggref;

	if (PG_NARGS() == 4)
		return true;
	aggref = AggGetAggref(fcinfo);
	/* in a window nobody can tell */
	if (aggref == NULL)
		return false;
	for (int i = 3; i < list_length(aggref->args); i++)
		if (!IsA(list_nth_node(TargetEntry, aggref->args, i)->expr, Const))
			return false;
	return true;
}

static pg_noinline AgingCall *
make_call(FunctionCallInfo fcinfo, bool has_bounds)
{
	AgingCall  *call;

	aggregate_context(fcinfo, AGGREGATE);
	call = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(AgingCall));
	backlog_init(&call->backlog, add_backlog);
	call->is_constant = are_arguments_constant(fcinfo);
	if (call->is_constant)
		read_arguments(fcinfo, 4, has_bounds, &call->terms, &call->bounds);
	call->terms.backlog = &call->backlog;
	fcinfo->flinfo->fn_extra = call;
	return call;
}

/* What is known of the arguments without looking at a row. */
static inline AgingCall *
call_of(FunctionCallInfo fcinfo, bool has_bounds)
{
	AgingCall  *call = fcinfo->flinfo->fn_extra;

	return likely(call != NULL) ? call : make_call(fcinfo, has_bounds);
}

/* A new group of a call whose arguments are constants. */
static pg_noinline AgingState *
begin_state(FunctionCallInfo fcinfo, AgingCall *call)
{
	AgingState *state = make_state_with(aggregate_context(fcinfo, AGGREGATE),
										&call->terms);

	backlog_note_group(&call->backlog, state);
	return state;
}

/* aging_accum(internal, numeric, date, date) */
Datum
credit_aging_accum(PG_FUNCTION_ARGS)
{
	AgingCall  *call = call_of(fcinfo, false);
	AgingState *state = likely(!PG_ARGISNULL(0)) ?
		(AgingState *) PG_GETARG_POINTER(0) : begin_state(fcinfo, call);

	add_row(fcinfo, state, &call->backlog, CREDITS_SEPARATE, default_bounds,
			lengthof(default_bounds));
	PG_RETURN_POINTER(state);
}

/* The state to add a row to whose arguments are looked at each time. */
static AgingState *
state_of_row(FunctionCallInfo fcinfo, bool has_bounds)
{
	AgingState *state;
	AgingTerms	terms;
	AgingBounds bounds;

	read_arguments(fcinfo, 4, has_bounds, &terms, &bounds);
	if (PG_ARGISNULL(0))
		return make_state_alone(aggregate_context(fcinfo, AGGREGATE), &terms);
	state = (AgingState *) PG_GETARG_POINTER(0);
	if (!are_terms_of(state, &terms))
		refuse_mixture();
	return state;
}

static pg_attribute_always_inline Datum
accum_with_arguments(FunctionCallInfo fcinfo, bool has_bounds)
{
	AgingCall  *call = call_of(fcinfo, has_bounds);
	AgingState *state;
	const AgingTerms *terms;

	if (call->is_constant)
	{
		state = likely(!PG_ARGISNULL(0)) ? (AgingState *) PG_GETARG_POINTER(0) :
			begin_state(fcinfo, call);
		terms = &call->terms;
	}
	else
	{
		state = state_of_row(fcinfo, has_bounds);
		terms = state->terms;
	}
	add_row(fcinfo, state, terms->backlog, terms->credits,
			has_bounds ? terms->bounds : default_bounds,
			has_bounds ? terms->nbounds : lengthof(default_bounds));
	PG_RETURN_POINTER(state);
}

/* aging_accum(internal, numeric, date, date, text) */
Datum
credit_aging_accum_credits(PG_FUNCTION_ARGS)
{
	return accum_with_arguments(fcinfo, false);
}

/* aging_accum(internal, numeric, date, date, int[] [, text [, text]]) */
Datum
credit_aging_accum_bounds(PG_FUNCTION_ARGS)
{
	return accum_with_arguments(fcinfo, true);
}

/*
 * aging_remove(internal, numeric, date, date, ...), the inverse of each
 * aging_accum: the row has been added by it, so its arguments are in order.
 * NULL: it cannot be done exactly, and the window is added up anew.
 */
Datum
credit_aging_remove(PG_FUNCTION_ARGS)
{
	AgingState *state;
	Money		amount;

	/* from a person, NULL is all that can come */
	if (PG_ARGISNULL(0))
		aggregate_context(fcinfo, AGGREGATE);
	state = (AgingState *) PG_GETARG_POINTER(0);
	backlog_settle(state->terms->backlog);
	if (PG_ARGISNULL(1))
	{
		state->n_skipped--;
		PG_RETURN_POINTER(state);
	}
	money_read(PG_GETARG_DATUM(1), &amount);
	if (!money_remove(&state->sums,
					  sum_of_row(fcinfo, &amount, state->terms->credits,
								 state->terms->bounds, state->terms->nbounds),
					  &amount))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* --- between processes ---------------------------------------------------- */

Datum
credit_aging_combine(PG_FUNCTION_ARGS)
{
	AgingState *other;
	AgingState *state;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	other = (AgingState *) PG_GETARG_POINTER(1);
	backlog_settle(other->terms->backlog);
	if (PG_ARGISNULL(0))
		state = make_state_alone(aggregate_context(fcinfo, AGGREGATE), other->terms);
	else
		state = (AgingState *) PG_GETARG_POINTER(0);
	backlog_settle(state->terms->backlog);
	if (!are_terms_of(state, other->terms))
		refuse_mixture();
	state->n_skipped += other->n_skipped;
	money_combine(&state->sums, &other->sums);
	PG_RETURN_POINTER(state);
}

/* No bounds are sent where they are the default ones. */
Datum
credit_aging_serialize(PG_FUNCTION_ARGS)
{
	AgingState *state;
	const AgingTerms *terms;
	bool		is_default;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (AgingState *) PG_GETARG_POINTER(0);
	terms = state->terms;
	backlog_settle(terms->backlog);
	is_default = terms->bounds == default_bounds;
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendbyte(&buf, terms->credits);
	pq_sendint16(&buf, is_default ? 0 : terms->nbounds);
	if (!is_default)
		for (int i = 0; i < terms->nbounds; i++)
			pq_sendint32(&buf, terms->bounds[i]);
	pq_sendint64(&buf, state->n_skipped);
	money_serialize(&buf, &state->sums);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* The bounds that were sent; n stays 0 for the default ones. */
static void
receive_bounds(StringInfo buf, AgingBounds *bounds)
{
	int			n = pq_getmsgint(buf, 2);

	if (n > AGING_MAX_BOUNDS)
		aggregate_refuse_bytes(AGGREGATE);
	for (int i = 0; i < n; i++)
	{
		bounds->bound[i] = (int32) pq_getmsgint(buf, 4);
		if (i > 0 && bounds->bound[i] <= bounds->bound[i - 1])
			aggregate_refuse_bytes(AGGREGATE);
	}
	bounds->n = n;
}

Datum
credit_aging_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	AgingTerms	terms;
	AgingBounds bounds;
	AgingState *state;
	int			credits;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	credits = pq_getmsgbyte(&buf);
	if (credits > CREDITS_OLDEST)
		aggregate_refuse_bytes(AGGREGATE);
	receive_bounds(&buf, &bounds);
	if (bounds.n == 0)
		set_terms(&terms, default_bounds, lengthof(default_bounds), credits);
	else
		set_terms(&terms, bounds.bound, bounds.n, credits);
	state = make_state_alone(aggregate_context(fcinfo, AGGREGATE), &terms);
	state->n_skipped = pq_getmsgint64(&buf);
	if (state->n_skipped < 0)
		aggregate_refuse_bytes(AGGREGATE);
	money_deserialize(&buf, &state->sums);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- results -------------------------------------------------------------- */

/*
 * Takes credits off the oldest buckets first; what has no date comes last.
 * What is left of the credits stays in their sum.
 */
static void
apply_credits(const AgingState *state, int128 *sums)
{
	int128	   *credits = &sums[CREDITS(state->terms->nbounds)];

	for (int i = 0; i <= state->terms->nbounds + 1; i++)
	{
		int128	   *sum = &sums[i == state->terms->nbounds + 1 ? UNDATED(state->terms->nbounds) :
								state->terms->nbounds - i];
		int128		taken = Min(*sum, -*credits);

		*sum -= taken;
		*credits += taken;
	}
}

/* All sums and, behind them, the total. */
static void
fixed_results(const AgingState *state, Datum *results)
{
	int			n = state->sums.nsums;
	int128	   *sums = palloc(n * sizeof(int128));
	int128		total = 0;

	for (int i = 0; i < n; i++)
	{
		sums[i] = money_fixed(&state->sums, i);
		total += sums[i];
	}
	if (state->terms->credits == CREDITS_OLDEST)
		apply_credits(state, sums);
	for (int i = 0; i < n; i++)
		results[i] = NumericGetDatum(money_numeric(sums[i], state->sums.scale));
	results[n] = NumericGetDatum(money_numeric(total, state->sums.scale));
	pfree(sums);
}

/* The same as apply_credits(), for amounts of any kind. */
static void
apply_numeric_credits(const AgingState *state, Datum *sums)
{
	Datum	   *credits = &sums[CREDITS(state->terms->nbounds)];

	for (int i = 0; i <= state->terms->nbounds + 1; i++)
	{
		Datum	   *sum = &sums[i == state->terms->nbounds + 1 ? UNDATED(state->terms->nbounds) :
								state->terms->nbounds - i];
		Datum		taken = DirectFunctionCall2(numeric_smaller, *sum,
												DirectFunctionCall1(numeric_uminus, *credits));

		*sum = DirectFunctionCall2(numeric_sub, *sum, taken);
		*credits = DirectFunctionCall2(numeric_add, *credits, taken);
	}
}

/* A zero with as many decimals as the finite one of n numerics with most. */
static Datum
widest_zero(const Datum *numerics, int n)
{
	Datum		zero = NumericGetDatum(money_numeric(0, 0));

	for (int i = 0; i < n; i++)
	{
		Numeric		numeric = DatumGetNumeric(numerics[i]);

		if (!numeric_is_nan(numeric) && !numeric_is_inf(numeric))
			zero = DirectFunctionCall2(numeric_add, zero,
									   DirectFunctionCall2(numeric_sub, numerics[i],
														   numerics[i]));
	}
	return zero;
}

/* As fixed_results(), for amounts of any kind. */
static void
numeric_results(const AgingState *state, Datum *results)
{
	int			n = state->sums.nsums;
	Datum		zero;

	for (int i = 0; i < n; i++)
		results[i] = NumericGetDatum(money_sum(&state->sums, i));
	zero = widest_zero(results, n);
	results[n] = zero;
	for (int i = 0; i < n; i++)
	{
		results[i] = DirectFunctionCall2(numeric_add, results[i], zero);
		results[n] = DirectFunctionCall2(numeric_add, results[n], results[i]);
	}
	if (state->terms->credits == CREDITS_OLDEST)
		apply_numeric_credits(state, results);
}

static void
compute_results(const AgingState *state, Datum *results)
{
	if (money_is_fixed(&state->sums))
		fixed_results(state, results);
	else
		numeric_results(state, results);
}

/* The row type of the final function's result, looked up once a query. */
static TupleDesc
result_desc(FunctionCallInfo fcinfo, int ncolumns)
{
	TupleDesc	desc = fcinfo->flinfo->fn_extra;
	MemoryContext caller;

	if (desc != NULL)
		return desc;
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("results of an aging in library and catalog do not have the same columns"),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	fcinfo->flinfo->fn_extra = BlessTupleDesc(desc);
	MemoryContextSwitchTo(caller);
	return fcinfo->flinfo->fn_extra;
}

/* The state of a group, which may be NULL, with all rows added to it. */
static const AgingState *
settled(FunctionCallInfo fcinfo)
{
	AgingState *state;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		return NULL;
	state = (AgingState *) PG_GETARG_POINTER(0);
	backlog_settle(state->terms->backlog);
	return state;
}

/* Whether there were amounts at all; if not, sums are NULL and counts are 0. */
static inline bool
has_amounts(const AgingState *state)
{
	return state != NULL && state->sums.n > 0;
}

/* One column for each sum, in the order of the state, then total, n_skipped. */
static Datum
default_row(TupleDesc desc, const AgingState *state)
{
	Datum		values[DEFAULT_COLUMNS];
	bool		nulls[DEFAULT_COLUMNS] = {false};

	if (has_amounts(state))
	{
		if (state->sums.nsums + 2 != DEFAULT_COLUMNS)
			elog(ERROR, "aging with %d bounds has no columns", state->terms->nbounds);
		compute_results(state, values);
	}
	else
		memset(nulls, true, DEFAULT_COLUMNS - 1);
	values[DEFAULT_COLUMNS - 1] = Int64GetDatum(state ? state->n_skipped : 0);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* bounds, buckets, undated, credits, total, n_skipped */
static Datum
array_row(TupleDesc desc, const AgingState *state)
{
	Datum		values[ARRAY_COLUMNS];
	bool		nulls[ARRAY_COLUMNS] = {false, true, true, true, true, false};

	nulls[0] = state == NULL;
	if (state != NULL)
	{
		Datum	   *bounds = palloc(state->terms->nbounds * sizeof(Datum));

		for (int i = 0; i < state->terms->nbounds; i++)
			bounds[i] = Int32GetDatum(state->terms->bounds[i]);
		values[0] = PointerGetDatum(construct_array(bounds, state->terms->nbounds, INT4OID,
													sizeof(int32), true, TYPALIGN_INT));
	}
	if (has_amounts(state))
	{
		Datum	   *results = palloc((state->sums.nsums + 1) * sizeof(Datum));

		compute_results(state, results);
		values[1] = PointerGetDatum(construct_array(results, state->terms->nbounds + 1,
													NUMERICOID, -1, false, TYPALIGN_INT));
		values[2] = results[UNDATED(state->terms->nbounds)];
		values[3] = results[CREDITS(state->terms->nbounds)];
		values[4] = results[CREDITS(state->terms->nbounds) + 1];
		memset(nulls, false, sizeof(nulls));
	}
	values[5] = Int64GetDatum(state ? state->n_skipped : 0);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum
credit_aging_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(default_row(result_desc(fcinfo, DEFAULT_COLUMNS),
								settled(fcinfo)));
}

Datum
credit_aging_array_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(array_row(result_desc(fcinfo, ARRAY_COLUMNS),
							  settled(fcinfo)));
}

/* --- outside of the aggregate --------------------------------------------- */

/*
 * An aging to which amounts are added by aging_add(); bounds, credit mode and
 * basis are arguments of the function that was called, from arg on.
 */
AgingState *
aging_make(FunctionCallInfo fcinfo, int arg, bool has_bounds)
{
	AgingTerms	terms;
	AgingBounds bounds;

	read_arguments(fcinfo, arg, has_bounds, &terms, &bounds);
	return make_state_alone(CurrentMemoryContext, &terms);
}

/* Counts rows without an amount. */
void
aging_skip(AgingState *state, int64 n)
{
	state->n_skipped += n;
}

/* Adds an amount; without a due date or an as-of date it has no dates. */
void
aging_add(AgingState *state, const Money *amount, bool has_dates, DateADT due,
		  DateADT as_of)
{
	money_add(&state->sums,
			  sum_of_dates(amount->is_negative, has_dates, due, as_of, state->terms->credits,
						   state->terms->bounds, state->terms->nbounds), amount);
}

/*
 * What rows are added with to many groups; bounds, credit mode and basis are
 * arguments of the function that was called, from arg on.
 */
AgingCall *
aging_call(FunctionCallInfo fcinfo, int arg, bool has_bounds)
{
	AgingCall  *call = palloc(sizeof(AgingCall));

	backlog_init(&call->backlog, add_backlog);
	call->is_constant = true;
	read_arguments(fcinfo, arg, has_bounds, &call->terms, &call->bounds);
	call->terms.backlog = &call->backlog;
	return call;
}

Backlog *
aging_backlog(AgingCall *call)
{
	return &call->backlog;
}

/* Which sum an amount goes to. */
int
aging_sum(const AgingCall *call, bool is_negative, bool has_dates, DateADT due,
		  DateADT as_of)
{
	return sum_of_dates(is_negative, has_dates, due, as_of, call->terms.credits,
						call->terms.bounds, call->terms.nbounds);
}

/* A new group. */
void *
aging_begin(AgingCall *call, MemoryContext cxt)
{
	return make_state_with(cxt, &call->terms);
}

/* How many columns a result has. */
int
aging_columns(bool has_bounds)
{
	return has_bounds ? ARRAY_COLUMNS : DEFAULT_COLUMNS;
}

/* The same row in a type that was looked up by the caller. */
Datum
aging_result(TupleDesc desc, const AgingState *state, bool has_bounds)
{
	return has_bounds ? array_row(desc, state) : default_row(desc, state);
}

/* The row of results; the state is NULL where there was no row. */
Datum
aging_row(FunctionCallInfo fcinfo, const AgingState *state, bool has_bounds)
{
	return aging_result(result_desc(fcinfo, aging_columns(has_bounds)), state,
						has_bounds);
}

/* aging_bucket(due_date, as_of, bounds, basis): NULL: no date, so undated. */
Datum
credit_aging_bucket(PG_FUNCTION_ARGS)
{
	int			n;
	const int32 *bounds = bounds_of(fcinfo, 2, &n);
	AgingBounds complete;

	complete_bounds(&complete, bounds, n, parse_basis(fcinfo, 3));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_INT32(bucket_of_days(complete.bound, complete.n,
								   days_between(PG_GETARG_DATEADT(0),
												PG_GETARG_DATEADT(1))));
}

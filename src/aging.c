/*
 * aging.c
 *	  Open amounts by how long they are overdue: aggregate aging(), for any
 *	  table.
 *
 * One pass, one state a group: a sum for each bucket, one for amounts without
 * a date, one for credits (money.c).  An amount goes to exactly one sum, so
 * they add up to the balance whatever the rows are.
 *
 * With many groups, usual rows come to their states by way of a backlog
 * (backlog.c), so that their memory is not waited for one by one.
 *
 * Rows of one group have one set of bounds and one credit mode; the as-of date
 * may differ from row to row, since only the difference of dates counts.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "nodes/primnodes.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "aging_bounds.h"
#include "aging_result.h"

#define SERIAL_VERSION 1

static const int32 default_bounds[] = {0, 30, 60, 90, 120};

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
	const int32 *bounds = has_bounds ? aging_bounds_of(fcinfo, arg++, &n) : default_bounds;
	AgingCredits credits = arg < PG_NARGS() ? aging_parse_credits(fcinfo, arg++) :
		CREDITS_SEPARATE;

	aging_complete_bounds(complete, bounds, n, arg < PG_NARGS() && aging_parse_basis(fcinfo, arg));
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

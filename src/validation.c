/*
 * validation.c
 *	  How well scores tell bad from good: aggregates discrimination() and cap(),
 *	  and the state they share with calibration.c and stability.c.
 *
 * A higher score is a better customer; a bad one is one with is_default true.
 * (A probability of default is put in as its negative.)
 *
 * The state is the scores themselves, one bag for each class (bag.c).  The
 * final functions walk over the distinct scores in ascending order with whole
 * numbers of rows, so a result is the same to the last bit for every order of
 * rows and every split among processes.  Ties need no rule of their own: a
 * step of the walk is all rows of one score.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "aggregate.h"
#include "credit.h"
#include "validation.h"

/* All of them, as far as they share their support functions. */
#define AGGREGATE "validation"

/* of states without and with weights */
#define SERIAL_VERSION 1
#define SERIAL_VERSION_WEIGHTED 2

/* 97.5 % quantile of the normal distribution */
#define Z_95 1.959963984540054

#define DISCRIMINATION_COLUMNS 12
#define CAP_COLUMNS 4

PG_FUNCTION_INFO_V1(credit_validation_accum);
PG_FUNCTION_INFO_V1(credit_validation_accum_parts);
PG_FUNCTION_INFO_V1(credit_validation_accum_weight);
PG_FUNCTION_INFO_V1(credit_validation_accum_parts_weight);
PG_FUNCTION_INFO_V1(credit_validation_combine);
PG_FUNCTION_INFO_V1(credit_validation_serialize);
PG_FUNCTION_INFO_V1(credit_validation_deserialize);
PG_FUNCTION_INFO_V1(credit_discrimination_final);
PG_FUNCTION_INFO_V1(credit_cap_final);

/* --- the state ------------------------------------------------------------- */

static ValidationState *
make_state(MemoryContext context)
{
	ValidationState *state = MemoryContextAllocZero(context, sizeof(ValidationState));

	state->context = context;
	return state;
}

/* A row without a score or without an outcome says nothing. */
static ValidationState *
accumulate(FunctionCallInfo fcinfo)
{
	ValidationState *state;

	if (PG_ARGISNULL(0))
		state = make_state(aggregate_context(fcinfo, AGGREGATE));
	else
		state = (ValidationState *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || isnan(PG_GETARG_FLOAT8(1)))
		state->n_skipped++;
	else
		bag_add(&state->bag[PG_GETARG_BOOL(2) ? BAD : GOOD],
				key_of_float(PG_GETARG_FLOAT8(1)), state->context);
	return state;
}

Datum
credit_validation_accum(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(accumulate(fcinfo));
}

static void
set_parts(ValidationState *state, int32 parts)
{
	if (state->parts != 0 && state->parts != parts)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of parts must be the same in all rows of a group"),
				 errdetail("It is %d in one row and %d in another.", state->parts, parts)));
	state->parts = parts;
}

/* A weight in millionths; 0: it says nothing, or is missing. */
static int64
weight_of(FunctionCallInfo fcinfo, int argument)
{
	float8		weight;

	if (PG_ARGISNULL(argument))
		return 0;
	weight = PG_GETARG_FLOAT8(argument);
	if (weight == 0)
		return 0;
	if (!(weight >= 1.0 / WEIGHT_SCALE && weight <= WEIGHT_SCALE))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight must be 0, or 0.000001 to 1000000, not %g", weight),
				 errdetail("Weights are taken to six decimals.")));
	return (int64) rint(weight * WEIGHT_SCALE);
}

/* The same as accumulate() for a row that counts as weight rows. */
static ValidationState *
accumulate_weighted(FunctionCallInfo fcinfo, int argument)
{
	ValidationState *state;
	int64		weight = weight_of(fcinfo, argument);
	int			class;

	if (PG_ARGISNULL(0))
		state = make_state(aggregate_context(fcinfo, AGGREGATE));
	else
		state = (ValidationState *) PG_GETARG_POINTER(0);
	state->is_weighted = true;
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || isnan(PG_GETARG_FLOAT8(1)) || weight == 0)
	{
		state->n_skipped++;
		return state;
	}
	class = PG_GETARG_BOOL(2) ? BAD : GOOD;
	state->n_rows[class]++;
	bag_add_counted(&state->bag[class], key_of_float(PG_GETARG_FLOAT8(1)), weight,
					state->context);
	return state;
}

Datum
credit_validation_accum_weight(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(accumulate_weighted(fcinfo, 3));
}

static void
take_parts(FunctionCallInfo fcinfo, ValidationState *state)
{
	int32		parts;

	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("number of parts must not be null")));
	parts = PG_GETARG_INT32(3);
	if (parts < 2 || parts > MAX_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of parts must be 2 to %d, not %d", MAX_PARTS, parts)));
	set_parts(state, parts);
}

Datum
credit_validation_accum_parts(PG_FUNCTION_ARGS)
{
	ValidationState *state = accumulate(fcinfo);

	take_parts(fcinfo, state);
	PG_RETURN_POINTER(state);
}

Datum
credit_validation_accum_parts_weight(PG_FUNCTION_ARGS)
{
	ValidationState *state = accumulate_weighted(fcinfo, 4);

	take_parts(fcinfo, state);
	PG_RETURN_POINTER(state);
}

static void
sort_state(ValidationState *state)
{
	for (int class = GOOD; class <= BAD; class++)
		bag_sort(&state->bag[class], state->context);
}

/* The right state is not kept: it may live shorter than the left one. */
Datum
credit_validation_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	ValidationState *left;
	ValidationState *right;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	left = PG_ARGISNULL(0) ? make_state(context) :
		(ValidationState *) PG_GETARG_POINTER(0);
	right = (ValidationState *) PG_GETARG_POINTER(1);
	if (right->parts != 0)
		set_parts(left, right->parts);
	left->n_skipped += right->n_skipped;
	left->is_weighted |= right->is_weighted;
	sort_state(right);
	for (int class = GOOD; class <= BAD; class++)
	{
		left->n_rows[class] += right->n_rows[class];
		bag_merge(&left->bag[class], &right->bag[class], left->context);
	}
	PG_RETURN_POINTER(left);
}

Datum
credit_validation_serialize(PG_FUNCTION_ARGS)
{
	ValidationState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (ValidationState *) PG_GETARG_POINTER(0);
	sort_state(state);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, state->is_weighted ? SERIAL_VERSION_WEIGHTED : SERIAL_VERSION);
	pq_sendint64(&buf, state->n_skipped);
	pq_sendint32(&buf, state->parts);
	for (int class = GOOD; class <= BAD && state->is_weighted; class++)
		pq_sendint64(&buf, state->n_rows[class]);
	bag_send(&buf, &state->bag[GOOD]);
	bag_send(&buf, &state->bag[BAD]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* All before the bags. */
static void
receive_head(StringInfo buf, ValidationState *state)
{
	int			version = pq_getmsgbyte(buf);

	if ((version != SERIAL_VERSION && version != SERIAL_VERSION_WEIGHTED) ||
		(state->n_skipped = pq_getmsgint64(buf)) < 0 ||
		state->n_skipped > BAG_MAX_TOTAL ||
		(state->parts = (int32) pq_getmsgint(buf, 4)) < 0 || state->parts == 1 ||
		state->parts > MAX_PARTS)
		aggregate_refuse_bytes(AGGREGATE);
	state->is_weighted = version == SERIAL_VERSION_WEIGHTED;
	for (int class = GOOD; class <= BAD && state->is_weighted; class++)
		if ((state->n_rows[class] = pq_getmsgint64(buf)) < 0 ||
			state->n_rows[class] > BAG_MAX_TOTAL)
			aggregate_refuse_bytes(AGGREGATE);
}

Datum
credit_validation_deserialize(PG_FUNCTION_ARGS)
{
	ValidationState *state;
	StringInfoData buf;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	state = make_state(CurrentMemoryContext);
	receive_head(&buf, state);
	for (int class = GOOD; class <= BAD; class++)
	{
		Bag		   *bag = &state->bag[class];

		bag_receive(&buf, bag, CurrentMemoryContext, AGGREGATE);
		/* NaN sorts outside both infinities */
		if (bag->n > 0 && (isnan(float_of_key(bag->keys[0])) ||
						   isnan(float_of_key(bag->keys[bag->n - 1]))))
			aggregate_refuse_bytes(AGGREGATE);
	}
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- what final functions share -------------------------------------------- */

/*
 * The state in order; without any row, an empty one.  Sorting changes how the
 * state is kept and not what it says, so it may be gone on with.
 */
ValidationState *
validation_final_state(FunctionCallInfo fcinfo)
{
	ValidationState *state;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		return make_state(CurrentMemoryContext);
	state = (ValidationState *) PG_GETARG_POINTER(0);
	sort_state(state);
	return state;
}

int
validation_parts(const ValidationState *state)
{
	return state->parts ? state->parts : DEFAULT_PARTS;
}

static void
refuse_columns(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("results of library and catalog do not have the same columns"),
			 errhint("Run ALTER EXTENSION credit UPDATE.")));
}

Datum
result_row(FunctionCallInfo fcinfo, int natts, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != natts)
		refuse_columns();
	desc = BlessTupleDesc(desc);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

void
result_rows_begin(ResultRows *result, FunctionCallInfo fcinfo, int natts, int most)
{
	result->type = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	if (!OidIsValid(result->type))
		refuse_columns();
	result->desc = lookup_rowtype_tupdesc_copy(result->type, -1);
	if (result->desc->natts != natts)
		refuse_columns();
	result->rows = MemoryContextAllocHuge(CurrentMemoryContext,
										  sizeof(Datum) * (Size) Max(most, 1));
	result->n = 0;
}

void
result_rows_add(ResultRows *result, Datum *values, bool *nulls)
{
	result->rows[result->n++] =
		HeapTupleGetDatum(heap_form_tuple(result->desc, values, nulls));
}

Datum
result_rows_end(ResultRows *result)
{
	return PointerGetDatum(construct_array(result->rows, result->n, result->type,
										   -1, false, TYPALIGN_DOUBLE));
}

/* --- discrimination() ------------------------------------------------------ */

typedef struct Discrimination
{
	float8		auc;
	float8		variance;		/* DeLong; < 0: a class has less than two rows */
	float8		ks;
	float8		ks_score;
} Discrimination;

/*
 * Placements (DeLong) are counted in halves: of a bad row, goods above it
 * twice and goods beside it once; of a good row, bads below it likewise.
 */
static inline float8
placement_of_bad(const ScoreWalk *walk, float8 n_good)
{
	return 2 * (n_good - walk->below[GOOD] - walk->n[GOOD]) + walk->n[GOOD];
}

static inline float8
placement_of_good(const ScoreWalk *walk)
{
	return 2 * walk->below[BAD] + walk->n[BAD];
}

static void
measure(const ValidationState *state, Discrimination *d)
{
	float8		n_good = validation_total(state, GOOD);
	float8		n_bad = validation_total(state, BAD);
	float8		halves = 0;
	float8		widest = -1;
	float8		squares[2] = {0, 0};
	ScoreWalk	walk;

	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		/* cross-multiplied, so that equal distances are found equal */
		float8		distance = fabs((walk.below[BAD] + walk.n[BAD]) * n_good -
									(walk.below[GOOD] + walk.n[GOOD]) * n_bad);

		if (distance > widest)
		{
			widest = distance;
			d->ks_score = walk.score;
		}
		halves += walk.n[BAD] * placement_of_bad(&walk, n_good);
	}
	d->auc = halves / (2 * n_good * n_bad);
	d->ks = widest / (n_good * n_bad);
	d->variance = -1;
	if (n_good < 2 || n_bad < 2)
		return;
	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		float8		of_bad = placement_of_bad(&walk, n_good) / (2 * n_good) - d->auc;
		float8		of_good = placement_of_good(&walk) / (2 * n_bad) - d->auc;

		squares[BAD] += walk.n[BAD] * of_bad * of_bad;
		squares[GOOD] += walk.n[GOOD] * of_good * of_good;
	}
	d->variance = squares[BAD] / (n_bad - 1) / n_bad +
		squares[GOOD] / (n_good - 1) / n_good;
}

static float8
logistic(float8 x)
{
	return 1 / (1 + exp(-x));
}

Datum
credit_discrimination_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	Datum		values[DISCRIMINATION_COLUMNS];
	bool		nulls[DISCRIMINATION_COLUMNS] = {false};
	bool		both = state->bag[GOOD].total > 0 && state->bag[BAD].total > 0;
	Discrimination d = {0, -1, 0, 0};
	bool		has_se;
	bool		has_logit;
	float8		se = 0;
	float8		logit = 0;
	float8		logit_se = 0;

	if (both)
		measure(state, &d);
	has_se = d.variance >= 0;
	if (has_se)
		se = sqrt(d.variance);
	has_logit = has_se && d.auc > 0 && d.auc < 1;
	if (has_logit)
	{
		logit = log(d.auc / (1 - d.auc));
		logit_se = se / (d.auc * (1 - d.auc));
	}
	values[0] = Int64GetDatum(validation_rows(state, GOOD) + validation_rows(state, BAD));
	values[1] = Int64GetDatum(validation_rows(state, BAD));
	set_float(values, nulls, 2, both, d.auc);
	set_float(values, nulls, 3, has_se, se);
	set_float(values, nulls, 4, has_se, Max(d.auc - Z_95 * se, 0));
	set_float(values, nulls, 5, has_se, Min(d.auc + Z_95 * se, 1));
	set_float(values, nulls, 6, has_logit, logistic(logit - Z_95 * logit_se));
	set_float(values, nulls, 7, has_logit, logistic(logit + Z_95 * logit_se));
	set_float(values, nulls, 8, both, 2 * d.auc - 1);
	set_float(values, nulls, 9, both, d.ks);
	set_float(values, nulls, 10, both, d.ks_score);
	values[11] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, DISCRIMINATION_COLUMNS, values, nulls);
}

/* --- cap() ------------------------------------------------------------------ */

/*
 * The worst 1/parts, 2/parts, ... of all rows.  Where a share ends among rows
 * of one score, it has the same part of their bads as of all of them.
 */
Datum
credit_cap_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	int			parts = validation_parts(state);
	float8		n_bad = validation_total(state, BAD);
	float8		n = n_bad + validation_total(state, GOOD);
	/* sums of fractions may miss the whole by their rounding */
	float8		slack = state->is_weighted ? 1 + 1e-12 : 1;
	ResultRows	result;
	ScoreWalk	walk;
	int			part = 1;

	if (n == 0)
		PG_RETURN_NULL();
	result_rows_begin(&result, fcinfo, CAP_COLUMNS, parts);
	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		float8		below = walk.below[GOOD] + walk.below[BAD];
		float8		here = walk.n[GOOD] + walk.n[BAD];

		while (part <= parts && n * part <= (below + here) * parts * slack)
		{
			Datum		values[CAP_COLUMNS];
			bool		nulls[CAP_COLUMNS] = {false};
			float8		share = (float8) part / parts;
			float8		bads = walk.below[BAD] +
				walk.n[BAD] * ((n * part / parts - below) / here);

			set_float(values, nulls, 0, true, share);
			set_float(values, nulls, 1, n_bad > 0, bads / n_bad);
			set_float(values, nulls, 2, n_bad > 0, bads / n_bad / share);
			set_float(values, nulls, 3, true, walk.score);
			result_rows_add(&result, values, nulls);
			part++;
		}
	}
	return result_rows_end(&result);
}

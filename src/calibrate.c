/*
 * calibrate.c
 *	  From scores to probabilities of default: the shift to another default
 *	  rate, Platt's curve, isotonic regression, and rates from few defaults.
 *
 * calibration.c measures whether probabilities come true; this makes them so.
 * The curves are fitted over the state of validation.c, in which a higher
 * score is a better customer.  Sums are taken over the distinct scores in
 * order, so results do not hang on the order of rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "calibration.h"
#include "credit.h"
#include "probability.h"

#define SERIAL_VERSION 1

#define PLATT_COLUMNS 8
#define ISOTONIC_COLUMNS 8

/* More customers than anybody has; figures are good to six digits there. */
#define MAX_CUSTOMERS 1000000000

PG_FUNCTION_INFO_V1(credit_prior_shift_accum);
PG_FUNCTION_INFO_V1(credit_prior_shift_combine);
PG_FUNCTION_INFO_V1(credit_prior_shift_serialize);
PG_FUNCTION_INFO_V1(credit_prior_shift_deserialize);
PG_FUNCTION_INFO_V1(credit_prior_shift_final);
PG_FUNCTION_INFO_V1(credit_rate_shift);
PG_FUNCTION_INFO_V1(credit_shift_probability);
PG_FUNCTION_INFO_V1(credit_fit_platt_final);
PG_FUNCTION_INFO_V1(credit_fit_isotonic_final);
PG_FUNCTION_INFO_V1(credit_isotonic_probability);
PG_FUNCTION_INFO_V1(credit_shrink_rate);
PG_FUNCTION_INFO_V1(credit_prudent_rate);

/* A rate at which a logit exists. */
static void
check_rate(const char *what, float8 rate)
{
	if (!(rate > 0 && rate < 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must be greater than 0 and less than 1, not %g",
						what, rate)));
}

static void
check_probability(const char *what, float8 p)
{
	if (!(p >= 0 && p <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s must be 0 to 1, not %g", what, p)));
}

static float8
logit(float8 p)
{
	return log(p) - log1p(-p);
}

/* --- shift to another default rate ----------------------------------------- */

typedef struct ShiftState
{
	MemoryContext context;
	int64		n_skipped;
	float8		target;			/* 0: no row has said it yet */
	Bag			bag;			/* of probabilities */
} ShiftState;

static ShiftState *
make_shift(MemoryContext context)
{
	ShiftState *state = MemoryContextAllocZero(context, sizeof(ShiftState));

	state->context = context;
	return state;
}

static void
set_target(ShiftState *state, float8 target)
{
	check_rate("target rate", target);
	if (state->target != 0 && state->target != target)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target rate must be the same in all rows of a group"),
				 errdetail("It is %g in one row and %g in another.",
						   state->target, target)));
	state->target = target;
}

Datum
credit_prior_shift_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, "prior_shift");
	ShiftState *state = PG_ARGISNULL(0) ? make_shift(context) :
		(ShiftState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target rate must not be null")));
	set_target(state, PG_GETARG_FLOAT8(2));
	if (PG_ARGISNULL(1) || isnan(PG_GETARG_FLOAT8(1)))
		state->n_skipped++;
	else
		bag_add(&state->bag, key_of_float(PG_GETARG_FLOAT8(1)), state->context);
	PG_RETURN_POINTER(state);
}

/* The right state is not kept: it may live shorter than the left one. */
Datum
credit_prior_shift_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, "prior_shift");
	ShiftState *left;
	ShiftState *right;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	left = PG_ARGISNULL(0) ? make_shift(context) : (ShiftState *) PG_GETARG_POINTER(0);
	right = (ShiftState *) PG_GETARG_POINTER(1);
	set_target(left, right->target);
	left->n_skipped += right->n_skipped;
	bag_sort(&right->bag, right->context);
	bag_merge(&left->bag, &right->bag, left->context);
	PG_RETURN_POINTER(left);
}

Datum
credit_prior_shift_serialize(PG_FUNCTION_ARGS)
{
	ShiftState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, "prior_shift");
	state = (ShiftState *) PG_GETARG_POINTER(0);
	bag_sort(&state->bag, state->context);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint64(&buf, state->n_skipped);
	pq_sendfloat8(&buf, state->target);
	bag_send(&buf, &state->bag);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
credit_prior_shift_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	ShiftState *state;

	aggregate_open_bytes(fcinfo, "prior_shift", &buf);
	state = make_shift(CurrentMemoryContext);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes("prior_shift");
	state->n_skipped = aggregate_receive_count(&buf, "prior_shift");
	state->target = pq_getmsgfloat8(&buf);
	if (!(state->target > 0 && state->target < 1))
		aggregate_refuse_bytes("prior_shift");
	bag_receive(&buf, &state->bag, CurrentMemoryContext, "prior_shift");
	/* NaN sorts outside both infinities */
	if (state->bag.n > 0 && (isnan(float_of_key(state->bag.keys[0])) ||
							 isnan(float_of_key(state->bag.keys[state->bag.n - 1]))))
		aggregate_refuse_bytes("prior_shift");
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* How far the mean of the shifted probabilities is above the target. */
static float8
excess(const ShiftState *state, const float8 *odds, float8 shift)
{
	float8		factor = exp(shift);
	float8		sum = 0;

	CHECK_FOR_INTERRUPTS();
	for (uint32 i = 0; i < state->bag.n; i++)
		sum += bag_count(&state->bag, i) * (factor * odds[i] / (1 + factor * odds[i]));
	return sum / state->bag.total - state->target;
}

/*
 * The mean rises with the shift, and lies on either side of the target where
 * the largest or the smallest probability is moved onto it: bisection between
 * the two, until there is no number in between.
 */
static float8
find_shift(const ShiftState *state, const float8 *odds)
{
	float8		low = logit(state->target) - log(odds[state->bag.n - 1]);
	float8		high = logit(state->target) - log(odds[0]);

	for (;;)
	{
		float8		middle = low + (high - low) / 2;

		if (middle <= low || middle >= high)
			return middle;
		if (excess(state, odds, middle) > 0)
			high = middle;
		else
			low = middle;
	}
}

Datum
credit_prior_shift_final(PG_FUNCTION_ARGS)
{
	ShiftState *state;
	float8	   *odds;

	aggregate_context(fcinfo, "prior_shift");
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (ShiftState *) PG_GETARG_POINTER(0);
	if (state->bag.n == 0)
		PG_RETURN_NULL();
	bag_sort(&state->bag, state->context);
	check_probabilities(&state->bag);
	odds = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float8) * state->bag.n);
	for (uint32 i = 0; i < state->bag.n; i++)
	{
		float8		p = clip_probability(float_of_key(state->bag.keys[i]), LOGIT_CLIP);

		odds[i] = p / (1 - p);
	}
	PG_RETURN_FLOAT8(find_shift(state, odds));
}

Datum
credit_rate_shift(PG_FUNCTION_ARGS)
{
	float8		sample = PG_GETARG_FLOAT8(0);
	float8		target = PG_GETARG_FLOAT8(1);

	check_rate("sample rate", sample);
	check_rate("target rate", target);
	PG_RETURN_FLOAT8(logit(target) - logit(sample));
}

Datum
credit_shift_probability(PG_FUNCTION_ARGS)
{
	float8		p = PG_GETARG_FLOAT8(0);
	float8		shift = PG_GETARG_FLOAT8(1);

	if (isnan(p))
		PG_RETURN_NULL();
	check_probability("probability", p);
	if (isnan(shift) || isinf(shift))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("shift must be a finite number")));
	PG_RETURN_FLOAT8(1 / (1 + exp(-logit(clip_probability(p, LOGIT_CLIP)) - shift)));
}

/* --- Platt ------------------------------------------------------------------ */

/*
 * The distinct scores in order, in units of their deviation around their mean,
 * so that the fit does not care about their scale.  Divided by the largest
 * first: no square overflows.  Returns how many there are.
 */
static Size
standard_scores(const ValidationState *state, float8 *x, float8 *mean, float8 *deviation)
{
	float8		n = validation_total(state, GOOD) + validation_total(state, BAD);
	float8		largest = 0;
	float8		squares = 0;
	ScoreWalk	walk;
	Size		nx = 0;

	*mean = 0;
	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		if (isinf(walk.score))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("an infinite score has no place on a curve"),
					 errhint("Leave such rows out, or use credit.fit_isotonic().")));
		x[nx++] = walk.score;
		largest = Max(largest, fabs(walk.score));
	}
	if (largest == 0)
		largest = 1;
	nx = 0;
	for (walk_begin(&walk, state); walk_next(&walk);)
		*mean += (walk.n[GOOD] + walk.n[BAD]) * (x[nx++] / largest) / n;
	nx = 0;
	for (walk_begin(&walk, state); walk_next(&walk); nx++)
	{
		x[nx] = x[nx] / largest - *mean;
		squares += (walk.n[GOOD] + walk.n[BAD]) * x[nx] * x[nx];
	}
	*deviation = sqrt(squares / n);
	for (Size i = 0; i < nx && *deviation > 0; i++)
		x[i] /= *deviation;
	*mean *= largest;
	*deviation *= largest;
	return nx;
}

/* Platt's targets keep the curve off 0 and 1, so that it is always finite. */
static bool
fit_platt(const ValidationState *state, ScoreFit *fit)
{
	float8		n_good = validation_total(state, GOOD);
	float8		n_bad = validation_total(state, BAD);
	float8		events;
	float8		mean;
	float8		deviation;
	Size		most = (Size) state->bag[GOOD].n + state->bag[BAD].n;
	float8	   *x;

	if (n_good == 0 || n_bad == 0)
		return false;
	x = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float8) * most);
	if (standard_scores(state, x, &mean, &deviation) < 2 || deviation == 0)
		return false;
	fit->x = x;
	events = n_good * fit->target[GOOD] + n_bad * fit->target[BAD];
	fit->a = log(events / (n_good + n_bad - events));
	if (!fit_scores(fit))
		return false;
	fit->b /= deviation;
	fit->a -= fit->b * mean;
	return isfinite(fit->a) && isfinite(fit->b);
}

Datum
credit_fit_platt_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	float8		n_good = validation_total(state, GOOD);
	float8		n_bad = validation_total(state, BAD);
	Datum		values[PLATT_COLUMNS];
	bool		nulls[PLATT_COLUMNS] = {false};
	ScoreFit	fit = {state, NULL, {1 / (n_good + 2), (n_bad + 1) / (n_bad + 2)},
	0, false, 0, 0};
	bool		is_fit = fit_platt(state, &fit);
	Datum		coefficients[2] = {Float8GetDatum(fit.a), Float8GetDatum(fit.b)};

	values[0] = Int64GetDatum(validation_rows(state, GOOD) + validation_rows(state, BAD));
	values[1] = Int64GetDatum(validation_rows(state, BAD));
	set_float(values, nulls, 2, is_fit, fit.a);
	set_float(values, nulls, 3, is_fit, fit.b);
	nulls[4] = !is_fit;
	if (is_fit)
		values[4] = PointerGetDatum(construct_array(coefficients, 2, FLOAT8OID,
													sizeof(float8), FLOAT8PASSBYVAL,
													TYPALIGN_DOUBLE));
	set_float(values, nulls, 5, n_good > 0, fit.target[GOOD]);
	set_float(values, nulls, 6, n_bad > 0, fit.target[BAD]);
	values[7] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, PLATT_COLUMNS, values, nulls);
}

/* --- isotonic regression ----------------------------------------------------- */

/* Rows, or with weights their weight in units of 1 / WEIGHT_SCALE. */
typedef struct Block
{
	float8		low;
	float8		high;
	int64		n;
	int64		n_bad;
} Block;

/* Is the rate of the next block as high or higher?  Exact. */
static bool
rises(const Block *block, const Block *next)
{
	return (int128) next->n_bad * block->n >= (int128) block->n_bad * next->n;
}

/*
 * Pool adjacent violators: the rates fall from block to block, and no other
 * falling rates are as likely.
 */
static Size
pool(const ValidationState *state, Block *blocks)
{
	float8		unit = state->is_weighted ? WEIGHT_SCALE : 1;
	ScoreWalk	walk;
	Size		n = 0;

	for (walk_begin(&walk, state); walk_next(&walk); n++)
	{
		blocks[n].low = blocks[n].high = walk.score;
		blocks[n].n_bad = (int64) rint(walk.n[BAD] * unit);
		blocks[n].n = (int64) rint(walk.n[GOOD] * unit) + blocks[n].n_bad;
		for (; n > 0 && rises(&blocks[n - 1], &blocks[n]); n--)
		{
			blocks[n - 1].high = blocks[n].high;
			blocks[n - 1].n += blocks[n].n;
			blocks[n - 1].n_bad += blocks[n].n_bad;
		}
	}
	return n;
}

static float8
rate_of(const Block *block)
{
	return (float8) block->n_bad / block->n;
}

static int64
count_of(int64 weight, bool is_weighted)
{
	return is_weighted ? (weight + WEIGHT_SCALE / 2) / WEIGHT_SCALE : weight;
}

/* One figure of each block, as an array. */
static Datum
column_of(const Block *blocks, Size n, int column, bool is_weighted)
{
	Oid			type = column == 2 || column == 3 ? INT8OID : FLOAT8OID;
	Datum	   *figures = palloc_extended(sizeof(Datum) * Max(n, 1), MCXT_ALLOC_HUGE);

	for (Size i = 0; i < n; i++)
		figures[i] = column == 0 ? Float8GetDatum(blocks[i].low) :
			column == 1 ? Float8GetDatum(blocks[i].high) :
			column == 2 ? Int64GetDatum(count_of(blocks[i].n, is_weighted)) :
			column == 3 ? Int64GetDatum(count_of(blocks[i].n_bad, is_weighted)) :
			Float8GetDatum(rate_of(&blocks[i]));
	return PointerGetDatum(construct_array(figures, (int) n, type, 8,
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
credit_fit_isotonic_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	Size		most = (Size) state->bag[GOOD].n + state->bag[BAD].n;
	Block	   *blocks = MemoryContextAllocHuge(CurrentMemoryContext,
												sizeof(Block) * Max(most, 1));
	Size		n = pool(state, blocks);
	Datum		values[ISOTONIC_COLUMNS];
	bool		nulls[ISOTONIC_COLUMNS] = {false};

	values[0] = Int64GetDatum(validation_rows(state, GOOD) + validation_rows(state, BAD));
	values[1] = Int64GetDatum(validation_rows(state, BAD));
	for (int column = 0; column < 5; column++)
		values[2 + column] = column_of(blocks, n, column, state->is_weighted);
	values[7] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, ISOTONIC_COLUMNS, values, nulls);
}

/* The numbers of an array; complains about any that cannot be searched. */
static const float8 *
numbers_of(ArrayType *array, const char *what, int *n)
{
	if (ARR_NDIM(array) > 1 || ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array without nulls", what)));
	*n = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	return (const float8 *) ARR_DATA_PTR(array);
}

/*
 * isotonic_probability(score, score_low, probability, floor).  A score between
 * two blocks takes the lower and so the worse one.
 */
Datum
credit_isotonic_probability(PG_FUNCTION_ARGS)
{
	float8		score = PG_GETARG_FLOAT8(0);
	float8		floor = PG_GETARG_FLOAT8(3);
	int			n;
	int			nrates;
	const float8 *lows = numbers_of(PG_GETARG_ARRAYTYPE_P(1), "score_low", &n);
	const float8 *rates = numbers_of(PG_GETARG_ARRAYTYPE_P(2), "probability", &nrates);
	int			first = 0;
	int			last = n - 1;

	check_probability("floor", floor);
	if (n != nrates)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("score_low and probability must have the same length"),
				 errdetail("They have %d and %d elements.", n, nrates)));
	if (isnan(score) || n == 0)
		PG_RETURN_NULL();
	while (first < last)
	{
		int			middle = last - (last - first) / 2;

		if (lows[middle] <= score)
			first = middle;
		else
			last = middle - 1;
	}
	check_probability("probability", rates[first]);
	PG_RETURN_FLOAT8(Max(rates[first], floor));
}

/* --- few defaults ------------------------------------------------------------ */

static void
check_counts(int64 n_bad, int64 n)
{
	if (n_bad < 0 || n_bad > n)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of defaults must be 0 to the number of customers"),
				 errdetail("There are %lld defaults of %lld customers.",
						   (long long) n_bad, (long long) n)));
}

/* shrink_rate(n_default, n, segment_rate, strength) */
Datum
credit_shrink_rate(PG_FUNCTION_ARGS)
{
	int64		n_bad = PG_GETARG_INT64(0);
	int64		n = PG_GETARG_INT64(1);
	float8		rate = PG_GETARG_FLOAT8(2);
	float8		strength = PG_GETARG_FLOAT8(3);

	check_counts(n_bad, n);
	check_probability("segment rate", rate);
	if (!(strength >= 0 && strength < 1e15))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("strength must be a number of customers, 0 or more, not %g",
						strength)));
	if (n == 0)
		PG_RETURN_FLOAT8(rate);
	PG_RETURN_FLOAT8((n_bad + strength * rate) / (n + strength));
}

/* The rate at which so few defaults come about with probability 1 - confidence. */
static float8
binomial_bound(float8 n_bad, float8 n, float8 confidence)
{
	float8		low = n_bad / n;
	float8		high = 1;

	if (n_bad == n)
		return 1;
	if (n_bad == 0)
		return -expm1(log1p(-confidence) / n);
	/* of a confidence below a half the bound may lie below the rate itself */
	if (probability_binomial(n_bad, n, low) < 1 - confidence)
	{
		high = low;
		low = 0;
	}
	while (high - low > 1e-15 * high)
	{
		float8		middle = low + (high - low) / 2;

		CHECK_FOR_INTERRUPTS();
		if (middle <= low || middle >= high)
			break;
		if (probability_binomial(n_bad, n, middle) > 1 - confidence)
			low = middle;
		else
			high = middle;
	}
	return high;
}

/* prudent_rate(n_default, n, confidence) */
Datum
credit_prudent_rate(PG_FUNCTION_ARGS)
{
	int64		n_bad = PG_GETARG_INT64(0);
	int64		n = PG_GETARG_INT64(1);
	float8		confidence = PG_GETARG_FLOAT8(2);

	check_counts(n_bad, n);
	check_rate("confidence", confidence);
	if (n > MAX_CUSTOMERS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of customers must not be above %d, not %lld",
						MAX_CUSTOMERS, (long long) n)));
	PG_RETURN_FLOAT8(binomial_bound(n_bad, n, confidence));
}

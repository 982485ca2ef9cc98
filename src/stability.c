/*
 * stability.c
 *	  Whether today's population is still that of the reference sample:
 *	  aggregates population_stability() and stability_bins(), and functions
 *	  psi() and csi() over rows that have been counted by bin already.
 *
 * The state is that of validation.c, with "is in the reference sample" in the
 * place of "is bad".
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "credit.h"
#include "validation.h"

#define NOW GOOD
#define REFERENCE BAD

#define STABILITY_COLUMNS 7
#define BIN_COLUMNS 8
#define CSI_COLUMNS 2

/* Limits of the verdict, and the size below which PSI grows by chance. */
#define WATCH_FROM 0.10
#define SHIFTED_ABOVE 0.25
#define SMALL_SAMPLE 100

/* Counts of two samples by bin, and what is made of them. */
typedef struct Bins
{
	int			n;
	const float8 *count[2];
	float8		total[2];
	float8		add;			/* to each count of both samples */
	bool		exists;			/* do shares exist at all? */
} Bins;

PG_FUNCTION_INFO_V1(credit_population_stability_final);
PG_FUNCTION_INFO_V1(credit_stability_bins_final);
PG_FUNCTION_INFO_V1(credit_psi);
PG_FUNCTION_INFO_V1(credit_csi);

/* --- PSI over counts ---------------------------------------------------------- */

/*
 * An empty cell would make the index infinite, so then each count of both
 * samples gets a half more.  Of shares nobody knows what a half row would be.
 */
static void
prepare_bins(Bins *bins)
{
	bool		has_zero = false;

	bins->add = 0;
	for (int sample = NOW; sample <= REFERENCE; sample++)
	{
		bins->total[sample] = 0;
		for (int i = 0; i < bins->n; i++)
		{
			bins->total[sample] += bins->count[sample][i];
			has_zero = has_zero || bins->count[sample][i] == 0;
		}
	}
	bins->exists = bins->total[NOW] > 0 && bins->total[REFERENCE] > 0 &&
		!isinf(bins->total[NOW]) && !isinf(bins->total[REFERENCE]);
	if (!has_zero || !bins->exists)
		return;
	if (bins->total[NOW] <= 1 + 1e-9 || bins->total[REFERENCE] <= 1 + 1e-9)
		bins->exists = false;
	bins->add = 0.5;
	bins->total[NOW] += 0.5 * bins->n;
	bins->total[REFERENCE] += 0.5 * bins->n;
}

static float8
share_of(const Bins *bins, int sample, int bin)
{
	return (bins->count[sample][bin] + bins->add) / bins->total[sample];
}

static float8
psi_term(const Bins *bins, int bin)
{
	float8		now = share_of(bins, NOW, bin);
	float8		reference = share_of(bins, REFERENCE, bin);

	return (now - reference) * (log(now) - log(reference));
}

static float8
psi_of(const Bins *bins)
{
	float8		sum = 0;

	for (int i = 0; i < bins->n; i++)
		sum += psi_term(bins, i);
	return sum;
}

/* --- psi() and csi() ---------------------------------------------------------- */

static const float8 *
elements_of(FunctionCallInfo fcinfo, int arg, const char *name, int *n)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(arg);

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array", name)));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", name),
				 errhint("A bin without rows has the count 0.")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (const float8 *) ARR_DATA_PTR(array);
}

static void
check_length(int n, int other, const char *name)
{
	if (n != other)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must have as many elements as there are bins", name),
				 errdetail("There are %d bins and %d elements.", n, other)));
}

static void
check_counts(const float8 *counts, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (!(counts[i] >= 0) || isinf(counts[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s must be counts or shares", name),
					 errdetail("Bin %d has %g.", i + 1, counts[i])));
}

static void
bins_of_arrays(FunctionCallInfo fcinfo, Bins *bins)
{
	int			n;

	bins->count[REFERENCE] = elements_of(fcinfo, 0, "expected", &bins->n);
	bins->count[NOW] = elements_of(fcinfo, 1, "actual", &n);
	check_length(bins->n, n, "actual");
	check_counts(bins->count[REFERENCE], n, "expected");
	check_counts(bins->count[NOW], n, "actual");
	prepare_bins(bins);
}

Datum
credit_psi(PG_FUNCTION_ARGS)
{
	Bins		bins;

	bins_of_arrays(fcinfo, &bins);
	if (!bins.exists)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(psi_of(&bins));
}

Datum
credit_csi(PG_FUNCTION_ARGS)
{
	Bins		bins;
	const float8 *points;
	int			n;
	float8		shift = 0;
	Datum		values[CSI_COLUMNS];
	bool		nulls[CSI_COLUMNS] = {false};

	bins_of_arrays(fcinfo, &bins);
	points = elements_of(fcinfo, 2, "points", &n);
	check_length(bins.n, n, "points");
	for (int i = 0; i < n; i++)
	{
		if (isnan(points[i]) || isinf(points[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("points must be finite numbers"),
					 errdetail("Bin %d has %g.", i + 1, points[i])));
		if (bins.exists)
			shift += (share_of(&bins, NOW, i) - share_of(&bins, REFERENCE, i)) * points[i];
	}
	set_float(values, nulls, 0, bins.exists, psi_of(&bins));
	set_float(values, nulls, 1, bins.exists, shift);
	return result_row(fcinfo, CSI_COLUMNS, values, nulls);
}

/* --- bins of the reference sample ---------------------------------------------- */

/* The quantile between two neighbouring scores, as percentile_cont has it. */
static float8
between(float8 low, float8 high, float8 fraction)
{
	float8		width = high - low;

	if (fraction == 0 || low == high)
		return low;
	if (isinf(width) && !isinf(low) && !isinf(high))
		return low * (1 - fraction) + high * fraction;
	return isinf(low) ? low : low + fraction * width;
}

/*
 * Upper bounds of all bins but the last: the quantiles of the reference sample
 * at 1/parts, 2/parts, ..., each once.
 */
static int
cut_bins(const ValidationState *state, float8 *bounds)
{
	const Bag  *bag = &state->bag[REFERENCE];
	int			parts = validation_parts(state);
	uint32		run = 0;
	int64		until = bag_count(bag, 0);	/* rows up to this run */
	int			n = 0;

	for (int part = 1; part < parts; part++)
	{
		float8		place = (float8) part / parts * (float8) (bag->total - 1);
		int64		row = (int64) floor(place);
		float8		low;
		float8		bound;

		while (until <= row)
			until += bag_count(bag, ++run);
		low = float_of_key(bag->keys[run]);
		bound = row + 1 < until || run + 1 == bag->n ? low :
			between(low, float_of_key(bag->keys[run + 1]), place - row);
		if (n == 0 || bound > bounds[n - 1])
			bounds[n++] = bound;
	}
	return n;
}

/* How many rows of each sample fall into each bin; a bound is in the bin below. */
static void
count_bins(const ValidationState *state, const float8 *bounds, int nbounds,
		   float8 *counts[2])
{
	int			bin = 0;
	ScoreWalk	walk;

	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		while (bin < nbounds && walk.score > bounds[bin])
			bin++;
		counts[NOW][bin] += walk.n[NOW];
		counts[REFERENCE][bin] += walk.n[REFERENCE];
	}
}

/* Makes bins of the state; returns their bounds, or NULL where there are none. */
static float8 *
bins_of_state(const ValidationState *state, Bins *bins)
{
	int			parts = validation_parts(state);
	float8	   *bounds;
	float8	   *counts[2];

	if (state->bag[REFERENCE].total == 0)
		return NULL;
	bounds = palloc(sizeof(float8) * parts);
	counts[NOW] = palloc0(sizeof(float8) * parts);
	counts[REFERENCE] = palloc0(sizeof(float8) * parts);
	bins->n = cut_bins(state, bounds) + 1;
	count_bins(state, bounds, bins->n - 1, counts);
	bins->count[NOW] = counts[NOW];
	bins->count[REFERENCE] = counts[REFERENCE];
	prepare_bins(bins);
	/* these are counts, however few */
	bins->exists = state->bag[NOW].total > 0;
	return bounds;
}

static const char *
verdict_of(float8 psi)
{
	return psi < WATCH_FROM ? "stable" : psi <= SHIFTED_ABOVE ? "watch" : "shifted";
}

Datum
credit_population_stability_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	int64		n_reference = state->bag[REFERENCE].total;
	int64		n_now = state->bag[NOW].total;
	Bins		bins = {0};
	Datum		values[STABILITY_COLUMNS];
	bool		nulls[STABILITY_COLUMNS] = {false};
	float8		psi;

	bins_of_state(state, &bins);
	psi = bins.exists ? psi_of(&bins) : 0;
	values[0] = Int64GetDatum(n_reference);
	values[1] = Int64GetDatum(n_now);
	set_float(values, nulls, 2, bins.exists, psi);
	nulls[3] = !bins.exists;
	if (bins.exists)
		values[3] = CStringGetTextDatum(verdict_of(psi));
	values[4] = BoolGetDatum(n_reference < SMALL_SAMPLE || n_now < SMALL_SAMPLE);
	values[5] = Int32GetDatum(bins.n);
	values[6] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, STABILITY_COLUMNS, values, nulls);
}

Datum
credit_stability_bins_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	Bins		bins = {0};
	float8	   *bounds = bins_of_state(state, &bins);
	ResultRows	result;

	if (bounds == NULL)
		PG_RETURN_NULL();
	result_rows_begin(&result, fcinfo, BIN_COLUMNS, bins.n);
	for (int i = 0; i < bins.n; i++)
	{
		Datum		values[BIN_COLUMNS];
		bool		nulls[BIN_COLUMNS] = {false};

		values[0] = Int32GetDatum(i + 1);
		set_float(values, nulls, 1, i > 0, i > 0 ? bounds[i - 1] : 0);
		set_float(values, nulls, 2, i < bins.n - 1, i < bins.n - 1 ? bounds[i] : 0);
		values[3] = Int64GetDatum((int64) bins.count[REFERENCE][i]);
		values[4] = Int64GetDatum((int64) bins.count[NOW][i]);
		set_float(values, nulls, 5, true, bins.count[REFERENCE][i] / (float8) state->bag[REFERENCE].total);
		set_float(values, nulls, 6, bins.exists, bins.count[NOW][i] / (float8) state->bag[NOW].total);
		set_float(values, nulls, 7, bins.exists, psi_term(&bins, i));
		result_rows_add(&result, values, nulls);
	}
	return result_rows_end(&result);
}

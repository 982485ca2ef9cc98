/*
 * binning_cut.c
 *	  From counted values to bins, and the table of them.
 *
 * Numbers in ascending order, or categories by ascending bad rate, are first put
 * into few pre-bins; binning_join.c says which of them are joined; and then the
 * table of bins is written, with bins for special codes and missing values.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "aggregate.h"
#include "binning_cut.h"
#include "credit.h"

PG_FUNCTION_INFO_V1(credit_woe);
PG_FUNCTION_INFO_V1(credit_information_value);

/* --- weight of evidence ------------------------------------------------------- */

/*
 * False: there is none, because a class is empty, or because the bin lacks one
 * and nothing was added.  A bin without rows says nothing: 0.
 */
bool
binning_woe(float8 good, float8 bad, float8 all_good, float8 all_bad,
			float8 adjustment, float8 *woe)
{
	*woe = 0;
	if (!(all_good > 0 && all_bad > 0))
		return false;
	if (good + bad == 0)
		return true;
	good += adjustment;
	bad += adjustment;
	if (!(good > 0 && bad > 0))
		return false;
	*woe = log((good / all_good) / (bad / all_bad));
	return true;
}

/* --- values in order ------------------------------------------------------------ */

#define ST_SORT sort_numbers
#define ST_ELEMENT_TYPE BinCell
#define ST_COMPARE(a, b) ((a)->number < (b)->number ? -1 : (a)->number > (b)->number ? 1 : 0)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* By the key that order_cells() gives; equals by their bytes. */
static inline int
compare_categories(const BinCell *x, const BinCell *y)
{
	int			order;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	order = memcmp(x->category, y->category, Min(x->length, y->length));
	return order != 0 ? order : x->length < y->length ? -1 : 1;
}

#define ST_SORT sort_categories
#define ST_ELEMENT_TYPE BinCell
#define ST_COMPARE(a, b) compare_categories(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Categories by their smoothed bad rate (b + a) / (n + 2a).  As a number of
 * each, not by comparing products: rounding must not make three categories go
 * round in a circle, where the order would hang on how they came.
 */
static void
order_categories(BinCell *cells, Size n, float8 a)
{
	for (Size i = 0; i < n; i++)
	{
		float8		good = (float8) cells[i].count[CELL_GOOD] + a;
		float8		bad = (float8) cells[i].count[CELL_BAD] + a;

		cells[i].number = key_of_float(good + bad > 0 ? bad / (good + bad) : 0);
	}
	sort_categories(cells, n);
}

static int
special_place(const Cut *cut, const BinCell *cell)
{
	const BinningOptions *options = cut->options;

	for (int i = 0; i < options->n_specials; i++)
		if (cut->counts->is_categorical ?
			(strlen(options->specials[i]) == cell->length &&
			 memcmp(options->specials[i], cell->category, cell->length) == 0) :
			cell->number == key_of_float(options->special_numbers[i]))
			return i;
	return -1;
}

/* Special ones go to the end, the others into order. */
static void
order_cells(Cut *cut)
{
	BinCell    *cells = cut->counts->cells;
	Size		n = cut->counts->n_cells;

	cut->specials = palloc0(sizeof(BinCell *) * Max(cut->options->n_specials, 1));
	for (Size i = 0; cut->options->n_specials > 0 && i < n;)
	{
		int			place = special_place(cut, &cells[i]);

		if (place >= 0)
		{
			BinCell		special = cells[i];

			cells[i] = cells[--n];
			cells[n] = special;
			cut->specials[place] = &cells[n];
		}
		else
			i++;
	}
	cut->cells = cells;
	cut->n_cells = n;
	if (cut->counts->is_categorical)
		order_categories(cells, n, cut->options->adjustment * cut->counts->unit);
	else
		sort_numbers(cells, n);
}

/* --- pre-bins -------------------------------------------------------------------- */

static inline float8
units_of(const BinCell *cell)
{
	return (float8) cell->count[CELL_GOOD] + (float8) cell->count[CELL_BAD];
}

static void
prebins_at_bounds(Cut *cut)
{
	const BinningOptions *options = cut->options;
	Size		at = 0;

	cut->n_prebins = options->n_bounds + 1;
	cut->ends = palloc(sizeof(Size) * cut->n_prebins);
	for (int i = 0; i < options->n_bounds; i++)
	{
		while (at < cut->n_cells && float_of_key(cut->cells[at].number) <= options->bounds[i])
			at++;
		cut->ends[i] = at;
	}
	cut->ends[options->n_bounds] = cut->n_cells;
}

/*
 * Pre-bin k ends with the value at which k / max_prebins of the rows are
 * reached, and where a value holds more than that, the next ones fall away.
 */
static void
prebins_at_quantiles(Cut *cut)
{
	int			most = cut->options->max_prebins;
	float8		all = 0;
	float8		sum = 0;
	int			k = 1;

	cut->ends = palloc(sizeof(Size) * Max(most, 1));
	cut->n_prebins = 0;
	if (cut->n_cells <= (Size) most)
	{
		for (Size i = 0; i < cut->n_cells; i++)
			cut->ends[cut->n_prebins++] = i + 1;
		return;
	}
	for (Size i = 0; i < cut->n_cells; i++)
		all += units_of(&cut->cells[i]);
	for (Size i = 0; i < cut->n_cells; i++)
	{
		sum += units_of(&cut->cells[i]);
		if (sum * most < all * k && i + 1 < cut->n_cells)
			continue;
		cut->ends[cut->n_prebins++] = i + 1;
		while (k <= most && sum * most >= all * k)
			k++;
	}
}

static void
sum_prebins(Cut *cut)
{
	Size		at = 0;
	int64		units[2] = {0, 0};

	for (int class = CELL_GOOD; class <= CELL_BAD; class++)
		cut->sums[class] = palloc0(sizeof(int64) * (cut->n_prebins + 1));
	for (int i = 0; i < cut->n_prebins; i++)
	{
		for (; at < cut->ends[i]; at++)
			for (int class = CELL_GOOD; class <= CELL_BAD; class++)
				units[class] += cut->cells[at].count[class];
		for (int class = CELL_GOOD; class <= CELL_BAD; class++)
			cut->sums[class][i + 1] = units[class];
	}
	for (int i = 0; i < cut->options->n_specials; i++)
		for (int class = CELL_GOOD; cut->specials[i] && class <= CELL_BAD; class++)
			units[class] += cut->specials[i]->count[class];
	for (int class = CELL_GOOD; class <= CELL_BAD; class++)
		units[class] += cut->counts->missing[class];
	cut->all_good = units[CELL_GOOD] / cut->counts->unit;
	cut->all_bad = units[CELL_BAD] / cut->counts->unit;
	cut->min_n = Max(cut->options->min_share * (cut->all_good + cut->all_bad),
					 cut->options->min_size);
}

/* --- the answer ---------------------------------------------------------------------- */

typedef struct Answer
{
	Cut		   *cut;
	TupleDesc	desc;			/* of a bin */
	Datum	   *bins;
	int			n;
	float8		iv;
	bool		has_iv;
} Answer;

/*
 * A number near the middle of two with as few digits as will do: people read
 * these bounds, and any number in the gap tells the two apart.
 */
static float8
short_number(float8 middle, float8 low, float8 high)
{
	float8		quarter = high / 4 - low / 4;

	for (int digits = 0; digits < DBL_DIG + 1; digits++)
	{
		char		text[32];
		float8		rounded;

		snprintf(text, sizeof(text), "%.*e", digits, middle);
		rounded = strtod(text, NULL);
		if (rounded >= low + quarter && rounded <= high - quarter)
			return rounded;
	}
	return middle;
}

/*
 * The bound between two neighbours: about half way, where there is a number
 * that is not above the lower one only by name.
 */
static float8
bound_between(float8 low, float8 high)
{
	float8		middle = low / 2 + high / 2;
	float8		bound;

	if (!(middle >= low && middle < high) || isinf(middle))
		return low;
	bound = short_number(middle, low, high);
	return bound >= low && bound < high ? bound : middle;
}

static float8
bound_after(const Cut *cut, int bin)
{
	int			prebin = cut->bin_ends[bin] - 1;
	Size		end = cut->ends[prebin];

	if (cut->options->n_bounds >= 0)
		return cut->options->bounds[prebin];
	return bound_between(float_of_key(cut->cells[end - 1].number),
						 float_of_key(cut->cells[end].number));
}

static Datum
text_array(Datum *elements, int n)
{
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Columns from n on, the number in front; others are set by the caller. */
static void
add_bin(Answer *answer, Datum *values, bool *nulls, float8 good, float8 bad, bool is_neutral)
{
	const Cut  *cut = answer->cut;
	float8		n = good + bad;
	float8		woe;
	bool		has_woe = binning_woe(good, bad, cut->all_good, cut->all_bad,
									  cut->options->adjustment, &woe);
	float8		iv = 0;

	if (is_neutral && cut->all_good > 0 && cut->all_bad > 0)
	{
		has_woe = true;
		woe = 0;
	}
	if (has_woe)
		iv = iv_of(good, bad, cut->all_good, cut->all_bad, woe);
	answer->iv += iv;
	answer->has_iv = answer->has_iv && has_woe;
	values[0] = Int32GetDatum(answer->n + 1);
	values[5] = Float8GetDatum(n);
	values[6] = Float8GetDatum(good);
	values[7] = Float8GetDatum(bad);
	values[8] = Float8GetDatum(n > 0 ? bad / n : 0);
	nulls[8] = !(n > 0);
	values[9] = Float8GetDatum(woe);
	values[10] = Float8GetDatum(iv);
	nulls[9] = nulls[10] = !has_woe;
	answer->bins[answer->n++] =
		HeapTupleGetDatum(heap_form_tuple(answer->desc, values, nulls));
}

static Datum
categories_between(const Cut *cut, Size from, Size to)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(to - from, 1));

	for (Size i = from; i < to; i++)
	{
		const BinCell *cell = &cut->cells[i];

		elements[i - from] =
			PointerGetDatum(cstring_to_text_with_len(cell->category, (int) cell->length));
	}
	return text_array(elements, (int) (to - from));
}

static void
add_regular(Answer *answer)
{
	const Cut  *cut = answer->cut;
	int			from = 0;

	for (int bin = 0; bin < cut->n_bins; bin++)
	{
		int			to = cut->bin_ends[bin];
		Datum		values[BIN_COLUMNS] = {0};
		bool		nulls[BIN_COLUMNS] = {false};

		nulls[2] = nulls[3] = nulls[4] = true;
		values[1] = CStringGetTextDatum(cut->counts->is_categorical ? "categories" : "range");
		if (cut->counts->is_categorical)
		{
			values[4] = categories_between(cut, from > 0 ? cut->ends[from - 1] : 0,
										   to > 0 ? cut->ends[to - 1] : 0);
			nulls[4] = false;
		}
		else
		{
			if (bin > 0)
				values[2] = Float8GetDatum(bound_after(cut, bin - 1));
			if (bin < cut->n_bins - 1)
				values[3] = Float8GetDatum(bound_after(cut, bin));
			nulls[2] = bin == 0;
			nulls[3] = bin == cut->n_bins - 1;
		}
		add_bin(answer, values, nulls, between_sums(cut, CELL_GOOD, from, to),
				between_sums(cut, CELL_BAD, from, to), false);
		from = to;
	}
}

/* Special codes and missing values; with few rows they say nothing. */
static void
add_others(Answer *answer)
{
	const Cut  *cut = answer->cut;
	const BinningOptions *options = cut->options;

	for (int i = 0; i <= options->n_specials; i++)
	{
		bool		is_missing = i == options->n_specials;
		const int64 none[2] = {0, 0};
		const int64 *count = is_missing ? cut->counts->missing :
		cut->specials[i] ? cut->specials[i]->count : none;
		float8		good = count[CELL_GOOD] / cut->counts->unit;
		float8		bad = count[CELL_BAD] / cut->counts->unit;
		Datum		values[BIN_COLUMNS] = {0};
		bool		nulls[BIN_COLUMNS] = {false};

		values[1] = CStringGetTextDatum(is_missing ? "missing" : "special");
		nulls[2] = nulls[3] = is_missing || cut->counts->is_categorical;
		nulls[4] = is_missing || !cut->counts->is_categorical;
		if (!nulls[2])
			values[2] = values[3] = Float8GetDatum(options->special_numbers[i]);
		if (!nulls[4])
		{
			Datum		code = CStringGetTextDatum(options->specials[i]);

			values[4] = text_array(&code, 1);
		}
		add_bin(answer, values, nulls, good, bad, good + bad < cut->min_n * (1 - SAME));
	}
}

static Datum
form_answer(FunctionCallInfo fcinfo, Cut *cut)
{
	TupleDesc	desc = aggregate_row_type(fcinfo, "optimal_bins", BINNING_COLUMNS);
	Oid			array_type = TupleDescAttr(desc, BINNING_COLUMNS - 1)->atttypid;
	Oid			type = get_element_type(array_type);
	Answer		answer = {cut};
	Datum		values[BINNING_COLUMNS];
	bool		nulls[BINNING_COLUMNS] = {false};

	answer.desc = lookup_rowtype_tupdesc_copy(type, -1);
	if (answer.desc->natts != BIN_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("bins in library and catalog do not have the same columns"),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	answer.bins = palloc(sizeof(Datum) * (cut->n_bins + cut->options->n_specials + 1));
	answer.has_iv = cut->all_good > 0 && cut->all_bad > 0;
	add_regular(&answer);
	add_others(&answer);
	values[0] = BoolGetDatum(cut->counts->is_categorical);
	values[1] = CStringGetTextDatum(binning_trends[cut->trend]);
	values[2] = Float8GetDatum(cut->options->adjustment);
	values[3] = Float8GetDatum(cut->all_good + cut->all_bad);
	values[4] = Float8GetDatum(cut->all_good);
	values[5] = Float8GetDatum(cut->all_bad);
	values[6] = Int32GetDatum(cut->n_bins);
	values[7] = Float8GetDatum(answer.iv);
	nulls[7] = !answer.has_iv;
	values[8] = Int64GetDatum(cut->counts->n_skipped);
	values[9] = PointerGetDatum(construct_array(answer.bins, answer.n, type, -1, false,
												TYPALIGN_DOUBLE));
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* The final function of optimal_bins(), which reorders the cells. */
Datum
binning_cut(FunctionCallInfo fcinfo, BinCounts *counts, const BinningOptions *options)
{
	Cut			cut = {0};

	cut.options = options;
	cut.counts = counts;
	order_cells(&cut);
	if (options->n_bounds >= 0)
		prebins_at_bounds(&cut);
	else
		prebins_at_quantiles(&cut);
	sum_prebins(&cut);
	binning_join(&cut);
	return form_answer(fcinfo, &cut);
}

/* --- counts that are there already ----------------------------------------------------- */

static float8 *
counts_argument(FunctionCallInfo fcinfo, int arg, const char *name, int *n)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(arg);
	float8	   *counts;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be an array of one dimension without nulls", name)));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	counts = (float8 *) ARR_DATA_PTR(array);
	for (int i = 0; i < *n; i++)
		if (!(counts[i] >= 0 && counts[i] <= 1e15))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s must be counts from 0 to 1e15", name),
					 errdetail("Bin %d has %g.", i + 1, counts[i])));
	return counts;
}

typedef struct CountedBins
{
	int			n;
	float8	   *good;
	float8	   *bad;
	float8		all_good;
	float8		all_bad;
	float8		adjustment;
} CountedBins;

static void
read_counts(FunctionCallInfo fcinfo, CountedBins *bins)
{
	int			n_bad;

	bins->good = counts_argument(fcinfo, 0, "good", &bins->n);
	bins->bad = counts_argument(fcinfo, 1, "bad", &n_bad);
	bins->adjustment = PG_GETARG_FLOAT8(2);
	if (bins->n != n_bad)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("good and bad must have as many elements as there are bins"),
				 errdetail("They have %d and %d.", bins->n, n_bad)));
	if (!(bins->adjustment >= 0 && bins->adjustment <= 1000))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("adjustment must be 0 to 1000, not %g", bins->adjustment)));
	bins->all_good = bins->all_bad = 0;
	for (int i = 0; i < bins->n; i++)
	{
		bins->all_good += bins->good[i];
		bins->all_bad += bins->bad[i];
	}
}

Datum
credit_woe(PG_FUNCTION_ARGS)
{
	CountedBins bins;
	Datum	   *values;
	bool	   *nulls;
	int			dims[1];
	int			lower[1] = {1};

	read_counts(fcinfo, &bins);
	values = palloc(sizeof(Datum) * Max(bins.n, 1));
	nulls = palloc(sizeof(bool) * Max(bins.n, 1));
	for (int i = 0; i < bins.n; i++)
	{
		float8		woe;

		nulls[i] = !binning_woe(bins.good[i], bins.bad[i], bins.all_good, bins.all_bad,
								bins.adjustment, &woe);
		values[i] = Float8GetDatum(woe);
	}
	dims[0] = bins.n;
	PG_RETURN_ARRAYTYPE_P(construct_md_array(values, nulls, 1, dims, lower, FLOAT8OID,
											 sizeof(float8), FLOAT8PASSBYVAL,
											 TYPALIGN_DOUBLE));
}

Datum
credit_information_value(PG_FUNCTION_ARGS)
{
	CountedBins bins;
	float8		iv = 0;

	read_counts(fcinfo, &bins);
	if (!(bins.all_good > 0 && bins.all_bad > 0))
		PG_RETURN_NULL();
	for (int i = 0; i < bins.n; i++)
	{
		float8		woe;

		if (!binning_woe(bins.good[i], bins.bad[i], bins.all_good, bins.all_bad,
						 bins.adjustment, &woe))
			PG_RETURN_NULL();
		iv += iv_of(bins.good[i], bins.bad[i], bins.all_good, bins.all_bad, woe);
	}
	PG_RETURN_FLOAT8(iv);
}

/*
 * binning_cut.c
 *	  From counted values to bins: pre-bins, and the best way to join them.
 *
 * Numbers in ascending order, or categories by ascending bad rate, are first
 * put into few pre-bins; then the partition of the pre-bins into runs is sought
 * that has the greatest information value under the constraints.  Information
 * value is a sum over bins, and what one bin asks of another concerns the bin
 * before it only, so dynamic programming finds the very best one:
 *
 *	  F(m, i, j) = iv(i, j) + max F(m - 1, h, i) over those h for which the
 *				   rates of (h, i] and (i, j] go the right way
 *
 * is the best of m bins over the first j pre-bins, the last of them (i, j].  A
 * trend with two phases, up and then down, has such a table for each phase.
 *
 * Pooling of adjacent violators is there as well, because others use it and
 * ask for the same bins: it finds the trend of greatest likelihood, which is
 * not the one of greatest information value.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "aggregate.h"
#include "binning.h"
#include "credit.h"

/* Figures that differ by less are equal: what rounding adds, not the data. */
#define SAME 1e-12

#define MAX_PHASES 2

PG_FUNCTION_INFO_V1(credit_woe);
PG_FUNCTION_INFO_V1(credit_information_value);

/* Sums over the first i pre-bins, and what the whole group has. */
typedef struct Cut
{
	const BinningOptions *options;
	const BinCounts *counts;
	BinCell    *cells;			/* regular ones, in order */
	Size		n_cells;
	BinCell   **specials;		/* by place in the options; NULL: no row */
	int			n_prebins;
	Size	   *ends;			/* of pre-bins among cells */
	int64	   *sums[2];		/* n_prebins + 1, in units of the counts */
	float8		all_good;
	float8		all_bad;
	float8		min_n;			/* of a bin */
	int			n_bins;
	int		   *bin_ends;		/* of bins among pre-bins */
	BinTrend	trend;			/* of the bins found */
} Cut;

/* What pre-bins (i, j] have of a class. */
static inline float8
between_sums(const Cut *cut, int class, int i, int j)
{
	return (float8) (cut->sums[class][j] - cut->sums[class][i]) / cut->counts->unit;
}

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

static float8
iv_of(float8 good, float8 bad, float8 all_good, float8 all_bad, float8 woe)
{
	/* plus 0: of a product that is nothing, no sign is shown */
	return (good / all_good - bad / all_bad) * woe + 0.0;
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

/* --- the best partition ------------------------------------------------------------ */

/* Which way the rate goes from one bin to the next */
typedef enum Direction
{
	ANY,
	UP,
	DOWN
} Direction;

typedef struct Search
{
	const Cut  *cut;
	int			n;				/* pre-bins */
	int			n_phases;
	Direction	direction[MAX_PHASES];
	float8	   *iv;				/* of a bin (i, j]; NaN: not allowed */
	float8	   *rate;
	float8	   *best;			/* F of one bin less, by phase */
	float8	   *next;			/* F of as many as now */
	int16	   *from;			/* by number of bins: h, and the phase before */
	float8		value;			/* of the partition found */
	int			n_bins;			/* 0: there is none */
	int			end_i;			/* where its last bin begins, its phase */
	int			end_phase;
} Search;

#define AT(i, j) ((Size) (i) * (search->n + 1) + (j))
#define PHASE_SIZE ((Size) (search->n + 1) * (search->n + 1))

static bool
is_more(float8 value, float8 than)
{
	return isnan(than) || value > than + SAME * fabs(than);
}

static bool
goes(Direction direction, float8 before, float8 after, float8 gap)
{
	float8		step = direction == UP ? after - before : before - after;

	return direction == ANY || (step > 0 && step >= gap - SAME);
}

static void
measure_bins(Search *search)
{
	const Cut  *cut = search->cut;
	const BinningOptions *options = cut->options;

	for (int i = 0; i < search->n; i++)
		for (int j = i + 1; j <= search->n; j++)
		{
			float8		good = between_sums(cut, CELL_GOOD, i, j);
			float8		bad = between_sums(cut, CELL_BAD, i, j);
			float8		n = good + bad;
			float8		woe;
			bool		is_allowed = n > 0 && n >= cut->min_n * (1 - SAME) &&
			good >= options->min_good && bad >= options->min_bad &&
			binning_woe(good, bad, cut->all_good, cut->all_bad, options->adjustment, &woe);

			search->rate[AT(i, j)] = n > 0 ? bad / n : 0;
			search->iv[AT(i, j)] = is_allowed ?
				iv_of(good, bad, cut->all_good, cut->all_bad, woe) : NAN;
		}
}

/* All last bins (i, j] of partitions with one bin more, in this phase. */
static void
extend(Search *search, int phase, int16 *from)
{
	float8	   *next = search->next + PHASE_SIZE * phase;
	float8		gap = search->cut->options->min_gap;

	for (int i = 1; i < search->n; i++)
		for (int j = i + 1; j <= search->n; j++)
		{
			float8		iv = search->iv[AT(i, j)];
			float8		rate = search->rate[AT(i, j)];
			float8		most = NAN;

			for (int before = Max(phase - 1, 0); before <= phase && !isnan(iv); before++)
			{
				const float8 *best = search->best + PHASE_SIZE * before;

				for (int h = 0; h < i; h++)
					if (!isnan(best[AT(h, i)]) && is_more(best[AT(h, i)], most) &&
						goes(search->direction[phase], search->rate[AT(h, i)], rate, gap))
					{
						most = best[AT(h, i)];
						from[PHASE_SIZE * phase + AT(i, j)] = (int16) (h * MAX_PHASES + before);
					}
			}
			next[AT(i, j)] = isnan(most) ? NAN : most + iv;
		}
}

/* Is one of the partitions with m bins better than those with fewer? */
static void
look_at_ends(Search *search, int m)
{
	for (int phase = 0; phase < search->n_phases; phase++)
		for (int i = 0; i < search->n; i++)
		{
			float8		value = search->best[PHASE_SIZE * phase + AT(i, search->n)];

			if (isnan(value) || !is_more(value, search->n_bins ? search->value : NAN))
				continue;
			search->value = value;
			search->n_bins = m;
			search->end_i = i;
			search->end_phase = phase;
		}
}

static void
fill_with_nan(float8 *numbers, Size n)
{
	for (Size i = 0; i < n; i++)
		numbers[i] = NAN;
}

static void
search_partition(Search *search)
{
	int			most = Min(search->cut->options->max_bins, search->n);
	Size		size = PHASE_SIZE * search->n_phases;

	search->iv = palloc(sizeof(float8) * PHASE_SIZE);
	search->rate = palloc(sizeof(float8) * PHASE_SIZE);
	search->best = palloc(sizeof(float8) * size);
	search->next = palloc(sizeof(float8) * size);
	search->from = palloc(sizeof(int16) * size * (most + 1));
	search->n_bins = 0;
	measure_bins(search);
	fill_with_nan(search->best, size);
	for (int j = 1; j <= search->n; j++)
		search->best[AT(0, j)] = search->iv[AT(0, j)];
	look_at_ends(search, 1);
	for (int m = 2; m <= most; m++)
	{
		float8	   *spare = search->best;

		CHECK_FOR_INTERRUPTS();
		fill_with_nan(search->next, size);
		for (int phase = 0; phase < search->n_phases; phase++)
			extend(search, phase, search->from + size * m);
		search->best = search->next;
		search->next = spare;
		look_at_ends(search, m);
	}
}

/* Walks back from the last bin. */
static void
take_partition(Cut *cut, const Search *search)
{
	int			i = search->end_i;
	int			j = search->n;
	int			phase = search->end_phase;

	cut->n_bins = search->n_bins;
	for (int m = search->n_bins; m >= 1; m--)
	{
		cut->bin_ends[m - 1] = j;
		if (m > 1)
		{
			int16		from = search->from[PHASE_SIZE * search->n_phases * m +
											PHASE_SIZE * phase + AT(i, j)];

			j = i;
			i = from / MAX_PHASES;
			phase = from % MAX_PHASES;
		}
	}
}

static bool
try_trend(Cut *cut, BinTrend trend, Search *search)
{
	memset(search, 0, sizeof(Search));
	search->cut = cut;
	search->n = cut->n_prebins;
	search->n_phases = trend == TREND_PEAK || trend == TREND_VALLEY ? 2 : 1;
	search->direction[0] = trend == TREND_NONE ? ANY :
		trend == TREND_UP || trend == TREND_PEAK ? UP : DOWN;
	search->direction[1] = trend == TREND_PEAK ? DOWN : UP;
	search_partition(search);
	return search->n_bins > 0;
}

/* One bin of all, where no partition keeps the rules. */
static void
join_all(Cut *cut)
{
	cut->n_bins = 1;
	cut->bin_ends[0] = cut->n_prebins;
	cut->trend = TREND_NONE;
}

/* Is the second of two answers to both trends better? */
static bool
is_better_trend(float8 value, int n_bins, float8 other, int n_other)
{
	return is_more(other, value) || (!is_more(value, other) && n_other < n_bins);
}

static void
join_optimally(Cut *cut, BinTrend trend)
{
	Search		one;
	Search		other;

	if (!try_trend(cut, trend == TREND_AUTO ? TREND_UP : trend, &one))
		return;
	cut->trend = trend == TREND_AUTO ? TREND_UP : trend;
	if (trend == TREND_AUTO && try_trend(cut, TREND_DOWN, &other) &&
		is_better_trend(one.value, one.n_bins, other.value, other.n_bins))
	{
		cut->trend = TREND_DOWN;
		one = other;
	}
	take_partition(cut, &one);
}

/* --- pooling of adjacent violators ---------------------------------------------------- */

/* Runs of pre-bins, by their ends. */
typedef struct Pool
{
	const Cut  *cut;
	Direction	direction;
	int			n;
	int		   *ends;
} Pool;

static float8
sum_of(const Pool *pool, int class, int k)
{
	return between_sums(pool->cut, class, k > 0 ? pool->ends[k - 1] : 0, pool->ends[k]);
}

/* NaN for a run without rows. */
static float8
rate_of(const Pool *pool, int k)
{
	float8		good = sum_of(pool, CELL_GOOD, k);
	float8		bad = sum_of(pool, CELL_BAD, k);

	return bad / (good + bad);
}

/* Joins run k with the one after it. */
static void
join_next(Pool *pool, int k)
{
	memmove(pool->ends + k, pool->ends + k + 1, sizeof(int) * (pool->n - k - 1));
	pool->n--;
}

/* A run joins the one before it until rates go the right way. */
static void
pool_violators(Pool *pool)
{
	for (int j = 1; j <= pool->cut->n_prebins; j++)
	{
		pool->ends[pool->n++] = j;
		while (pool->n > 1 && !goes(pool->direction, rate_of(pool, pool->n - 2),
									rate_of(pool, pool->n - 1), 0))
			join_next(pool, pool->n - 2);
	}
}

static bool
is_large_enough(const Pool *pool, int k)
{
	float8		good = sum_of(pool, CELL_GOOD, k);
	float8		bad = sum_of(pool, CELL_BAD, k);

	return good + bad > 0 && good + bad >= pool->cut->min_n * (1 - SAME) &&
		good >= pool->cut->options->min_good && bad >= pool->cut->options->min_bad;
}

/* How far run k is from the one after it; what has no rate is near. */
static float8
distance_after(const Pool *pool, int k)
{
	float8		distance = fabs(rate_of(pool, k + 1) - rate_of(pool, k));

	return isnan(distance) ? 0 : distance;
}

/* The run that must be joined with the one after it; -1: none must. */
static int
next_to_join(const Pool *pool)
{
	int			nearest = 0;

	for (int k = 0; k < pool->n; k++)
		if (!is_large_enough(pool, k))
			return k == pool->n - 1 ||
				(k > 0 && distance_after(pool, k - 1) <= distance_after(pool, k)) ? k - 1 : k;
	for (int k = 1; k < pool->n - 1; k++)
		if (distance_after(pool, k) < distance_after(pool, nearest))
			nearest = k;
	return pool->n > pool->cut->options->max_bins ||
		distance_after(pool, nearest) < pool->cut->options->min_gap - SAME ? nearest : -1;
}

static float8
pool_value(const Pool *pool)
{
	const Cut  *cut = pool->cut;
	float8		value = 0;

	for (int k = 0; k < pool->n; k++)
	{
		float8		good = sum_of(pool, CELL_GOOD, k);
		float8		bad = sum_of(pool, CELL_BAD, k);
		float8		woe;

		if (!binning_woe(good, bad, cut->all_good, cut->all_bad, cut->options->adjustment, &woe))
			return NAN;
		value += iv_of(good, bad, cut->all_good, cut->all_bad, woe);
	}
	return value;
}

/* False: no bins keep the rules. */
static bool
try_pool(const Cut *cut, BinTrend trend, Pool *pool)
{
	int			k;

	pool->cut = cut;
	pool->direction = trend == TREND_DOWN ? DOWN : UP;
	pool->n = 0;
	pool->ends = palloc(sizeof(int) * Max(cut->n_prebins, 1));
	pool_violators(pool);
	while (pool->n > 1 && (k = next_to_join(pool)) >= 0)
		join_next(pool, k);
	return pool->n > 0 && is_large_enough(pool, 0) && !isnan(pool_value(pool));
}

static void
join_pooled(Cut *cut, BinTrend trend)
{
	BinTrend	first = trend == TREND_DOWN ? TREND_DOWN : TREND_UP;
	Pool		one;
	Pool		other;

	if (!try_pool(cut, first, &one))
		return;
	cut->trend = first;
	if (trend == TREND_AUTO && try_pool(cut, TREND_DOWN, &other) &&
		is_better_trend(pool_value(&one), one.n, pool_value(&other), other.n))
	{
		cut->trend = TREND_DOWN;
		one = other;
	}
	cut->n_bins = one.n;
	memcpy(cut->bin_ends, one.ends, sizeof(int) * one.n);
}

static void
join_prebins(Cut *cut)
{
	/* categories are in the order of their rates: there is no trend to ask for */
	bool		is_categorical = cut->counts->is_categorical;

	cut->bin_ends = palloc(sizeof(int) * Max(cut->n_prebins, 1));
	join_all(cut);
	if (cut->options->method == METHOD_NONE)
	{
		cut->n_bins = cut->n_prebins;
		for (int i = 0; i < cut->n_bins; i++)
			cut->bin_ends[i] = i + 1;
	}
	else if (cut->options->method == METHOD_POOL)
		join_pooled(cut, is_categorical ? TREND_UP : cut->options->trend);
	else
		join_optimally(cut, is_categorical ? TREND_NONE : cut->options->trend);
	if (cut->n_bins == 1 || is_categorical)
		cut->trend = TREND_NONE;
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
 * The bound between two neighbours: half way, where that is a number that is
 * not above the lower one only by name.
 */
static float8
bound_between(float8 low, float8 high)
{
	float8		middle = low / 2 + high / 2;

	return middle >= low && middle < high && !isinf(middle) ? middle : low;
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
	answer->bins[answer->n++] = HeapTupleGetDatum(heap_form_tuple(answer->desc, values, nulls));
}

static Datum
categories_between(const Cut *cut, Size from, Size to)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(to - from, 1));

	for (Size i = from; i < to; i++)
		elements[i - from] = PointerGetDatum(cstring_to_text_with_len(cut->cells[i].category,
																	  (int) cut->cells[i].length));
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
	join_prebins(&cut);
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

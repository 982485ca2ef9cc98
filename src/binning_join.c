/*
 * binning_join.c
 *	  The best way to join pre-bins into bins.
 *
 * The partition of the pre-bins into runs is sought that has the greatest
 * information value under the constraints.  Information value is a sum over
 * bins, and what one bin asks of another concerns the bin before it only, so
 * dynamic programming finds the very best one:
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

#include "miscadmin.h"

#include "binning_cut.h"
#include "credit.h"

#define MAX_PHASES 2

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
			int16	   *mark = &from[PHASE_SIZE * phase + AT(i, j)];

			for (int before = Max(phase - 1, 0); before <= phase && !isnan(iv); before++)
			{
				const float8 *best = search->best + PHASE_SIZE * before;

				for (int h = 0; h < i; h++)
					if (!isnan(best[AT(h, i)]) && is_more(best[AT(h, i)], most) &&
						goes(search->direction[phase], search->rate[AT(h, i)], rate, gap))
					{
						most = best[AT(h, i)];
						*mark = (int16) (h * MAX_PHASES + before);
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

		if (!binning_woe(good, bad, cut->all_good, cut->all_bad,
						 cut->options->adjustment, &woe))
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

/* Decides which pre-bins become one bin. */
void
binning_join(Cut *cut)
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

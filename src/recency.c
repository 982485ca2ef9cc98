/*
 * recency.c
 *	  Exact sums with weights that halve with age.
 *
 * The weight of a payment is 2^(day / half-life).  Days are cut into periods
 * of a half-life each: within one, weights lie between 1 and 2, and are kept
 * in whole numbers of 2^-44; from one to the next they double, which needs no
 * sum.  So all sums are integers, one set a period, and what is read from them
 * does not depend on the order of rows.
 *
 * Only the latest periods are kept: what is older by a hundred half-lives
 * weighs nothing.  The latest one never moves back, so what was thrown away
 * once would be in the end, too.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "recency.h"

#define PERIODS 100
#define WEIGHT_UNIT ((double) (INT64CONST(1) << 44))
/* What a sum must not pass, to leave room for the sum of many. */
#define SUM_LIMIT ((int128) 1 << 124)

/* The weights within a period of the last half-life that was asked for. */
int64		recency_weights[RECENCY_MAX_HALF_LIFE];
static int	weights_of = 0;
static uint64 reciprocal;		/* of the same */

/* The number of the half-life that a day is in. */
static inline int32
period_of(const Recency *recency, DateADT day)
{
	return day / recency->half_life - (day % recency->half_life < 0);
}

/* Before sums are added to; a query has one half-life. */
static inline void
prepare_weights(int half_life)
{
	if (likely(weights_of == half_life))
		return;
	for (int i = 0; i < half_life; i++)
		recency_weights[i] = (int64) rint(exp2((double) i / half_life) *
										  WEIGHT_UNIT);
	reciprocal = ((UINT64CONST(1) << 32) + half_life - 1) / half_life;
	weights_of = half_life;
}

/*
 * Makes room for periods from first to last, of which the latest are kept; they
 * are not all there.
 */
static void
make_room(Recency *recency, int32 first, int32 last, MemoryContext cxt)
{
	RecencySums *sums;
	int64		skipped;

	if (recency->n > 0)
	{
		first = Min(first, recency->first);
		last = Max(last, recency->first + recency->n - 1);
	}
	first = Max(first, last - (PERIODS - 1));
	sums = MemoryContextAllocZero(cxt, (last - first + 1) * sizeof(RecencySums));
	if (recency->n > 0)
	{
		skipped = Max((int64) first - recency->first, 0);
		if (skipped < recency->n)
			memcpy(&sums[recency->first + skipped - first],
				   &recency->sums[skipped],
				   (recency->n - skipped) * sizeof(RecencySums));
		pfree(recency->sums);
	}
	recency->sums = sums;
	recency->first = first;
	recency->n = (int16) (last - first + 1);
}

/*
 * Makes room for what was paid between two days, before recency_add(): all of
 * it but what is so long ago that it does not matter.
 */
RecencyPlace
recency_reserve(Recency *recency, DateADT first, DateADT last, MemoryContext cxt)
{
	int32		from = period_of(recency, first);
	int32		to = period_of(recency, last);
	RecencyPlace place;

	prepare_weights(recency->half_life);
	if (recency->n == 0 || from < recency->first ||
		to >= recency->first + recency->n)
		make_room(recency, from, to, cxt);
	place.sums = recency->sums;
	place.first_day = (int64) recency->first * recency->half_life;
	place.half_life = recency->half_life;
	place.reciprocal = reciprocal;
	return place;
}

/* Both have the same half-life. */
void
recency_combine(Recency *recency, const Recency *other, MemoryContext cxt)
{
	if (other->n == 0)
		return;
	make_room(recency, other->first, other->first + other->n - 1, cxt);
	for (int i = 0; i < other->n; i++)
	{
		int64		k = (int64) other->first + i - recency->first;
		RecencySums *sums = &recency->sums[k];

		if (k < 0)
			continue;
		sums->weight += other->sums[i].weight;
		sums->weight2 += other->sums[i].weight2;
		sums->days += other->sums[i].days;
	}
}

/* The weighted mean, and how many equal payments it is worth; false: none. */
bool
recency_results(const Recency *recency, double *mean, double *n)
{
	double		weight = 0;
	double		weight2 = 0;
	double		days = 0;

	/* from the oldest on, each time half as much */
	for (int i = 0; i < recency->n; i++)
	{
		weight = weight / 2 + (double) recency->sums[i].weight;
		weight2 = weight2 / 4 + (double) recency->sums[i].weight2;
		days = days / 2 + (double) recency->sums[i].days;
	}
	if (weight <= 0)
		return false;
	*mean = days / weight;
	*n = weight * weight / weight2;
	return true;
}

/* --- between processes ---------------------------------------------------- */

void
recency_serialize(StringInfo buf, const Recency *recency)
{
	pq_sendint32(buf, recency->first);
	pq_sendint16(buf, recency->n);
	for (int i = 0; i < recency->n; i++)
	{
		aggregate_send_int128(buf, recency->sums[i].weight);
		aggregate_send_int128(buf, recency->sums[i].weight2);
		aggregate_send_int128(buf, recency->sums[i].days);
	}
}

static int128
receive_sum(StringInfo buf, int128 least, const char *aggregate)
{
	int128		sum = aggregate_receive_int128(buf);

	if (sum < least || sum >= SUM_LIMIT)
		aggregate_refuse_bytes(aggregate);
	return sum;
}

/* Fills what is new. */
void
recency_deserialize(StringInfo buf, Recency *recency, MemoryContext cxt,
					const char *aggregate)
{
	int32		first = (int32) pq_getmsgint(buf, 4);
	int			n = (int) pq_getmsgint(buf, 2);

	if (n > PERIODS || first > PG_INT32_MAX - PERIODS)
		aggregate_refuse_bytes(aggregate);
	if (n == 0)
		return;
	make_room(recency, first, first + n - 1, cxt);
	for (int i = 0; i < n; i++)
	{
		RecencySums *sums = &recency->sums[i];

		sums->weight = receive_sum(buf, 0, aggregate);
		sums->weight2 = receive_sum(buf, 0, aggregate);
		sums->days = receive_sum(buf, -SUM_LIMIT, aggregate);
		/* squares of what is at least 1 */
		if (sums->weight2 < sums->weight || (sums->weight == 0 && sums->days != 0))
			aggregate_refuse_bytes(aggregate);
	}
}

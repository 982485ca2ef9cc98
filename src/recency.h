/*
 * recency.h
 *	  Exact sums with weights that halve with age; see recency.c.
 */
#ifndef CREDIT_RECENCY_H
#define CREDIT_RECENCY_H

#include "lib/stringinfo.h"
#include "utils/date.h"

/* In days. */
#define RECENCY_MAX_HALF_LIFE 3650

/* Sums over what was paid within one half-life. */
typedef struct RecencySums
{
	int128		weight;
	int128		weight2;		/* of squares */
	int128		days;
} RecencySums;

typedef struct Recency
{
	RecencySums *sums;			/* NULL: there is nothing yet */
	int32		first;			/* number of the half-life of sums[0] */
	int16		n;
	int16		half_life;
} Recency;

extern void recency_combine(Recency *recency, const Recency *other,
							MemoryContext cxt);
extern void recency_serialize(StringInfo buf, const Recency *recency);
extern void recency_deserialize(StringInfo buf, Recency *recency,
								MemoryContext cxt, const char *aggregate);
extern bool recency_results(const Recency *recency, double *mean, double *n);

/* For the inline functions only. */
extern int64 recency_weights[RECENCY_MAX_HALF_LIFE];

/*
 * Where recency_add() adds, from recency_reserve(): what it needs for each
 * payment, in registers.
 */
typedef struct RecencyPlace
{
	RecencySums *sums;
	int64		first_day;		/* of sums[0] */
	uint32		half_life;
	uint64		reciprocal;		/* 2^32 by the half-life, rounded up */
} RecencyPlace;

extern RecencyPlace recency_reserve(Recency *recency, DateADT first,
									DateADT last, MemoryContext cxt);

/*
 * Adds n payments of one day that were so many days late together.  The days
 * there is room for are fewer than 2^19, and half-lives shorter than 2^12: so
 * the product with the rounded reciprocal has the right whole part.
 */
static pg_attribute_always_inline void
recency_add(const RecencyPlace *place, DateADT paid, int64 n, int64 days)
{
	int64		day = paid - place->first_day;
	uint32		period;
	int64		weight;
	RecencySums *sums;

	if (unlikely(day < 0))
		return;
	period = (uint32) (((uint64) day * place->reciprocal) >> 32);
	weight = recency_weights[(uint32) day - period * place->half_life];
	sums = &place->sums[period];
	sums->weight += (int128) weight * n;
	sums->weight2 += (int128) weight * weight * n;
	sums->days += (int128) weight * days;
}

#endif							/* CREDIT_RECENCY_H */

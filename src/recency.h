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

extern void recency_reserve(Recency *recency, DateADT first, DateADT last,
							MemoryContext cxt);
extern void recency_combine(Recency *recency, const Recency *other,
							MemoryContext cxt);
extern void recency_serialize(StringInfo buf, const Recency *recency);
extern void recency_deserialize(StringInfo buf, Recency *recency,
								MemoryContext cxt, const char *aggregate);
extern bool recency_results(const Recency *recency, double *mean, double *n);

/* For the inline functions only. */
extern int64 recency_weights[RECENCY_MAX_HALF_LIFE];

/* The number of the half-life that a day is in. */
static inline int32
recency_period(const Recency *recency, DateADT day)
{
	return day / recency->half_life - (day % recency->half_life < 0);
}

/*
 * Adds n payments of one day that were so many days late together;
 * recency_reserve() has made room.
 */
static pg_attribute_always_inline void
recency_add(Recency *recency, DateADT paid, int64 n, int64 days)
{
	int32		period = recency_period(recency, paid);
	int64		weight = recency_weights[paid - period * recency->half_life];
	RecencySums *sums;

	if (unlikely(period < recency->first))
		return;
	sums = &recency->sums[period - recency->first];
	sums->weight += (int128) weight * n;
	sums->weight2 += (int128) weight * weight * n;
	sums->days += (int128) weight * days;
}

#endif							/* CREDIT_RECENCY_H */

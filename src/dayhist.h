/*
 * dayhist.h
 *	  Sparse histogram of days with counts and amounts; see dayhist.c.
 */
#ifndef CREDIT_DAYHIST_H
#define CREDIT_DAYHIST_H

#include "lib/stringinfo.h"

/* Days beyond are counted at the bound. */
#define DAYHIST_BOUND 3650
#define DAYHIST_DAYS (2 * DAYHIST_BOUND + 1)
/* With as many slots each day has its own. */
#define DAYHIST_MAX_SLOTS 8192

/* count 0: free */
typedef struct DaySlot
{
	int128		amount;
	uint64		count:50;
	uint64		key:14;			/* day + DAYHIST_BOUND */
} DaySlot;

typedef struct DayHist
{
	DaySlot    *slots;
	uint16		nslots;			/* 0 or a power of 2 */
	uint16		nused;
} DayHist;

/* A histogram in the order of days, for the functions that look at it. */
typedef struct DayList
{
	int			n;
	int64		count;
	int128		amount;
	DaySlot    *slots;
} DayList;

extern void dayhist_reserve(DayHist *hist, int ndays, MemoryContext cxt);
extern void dayhist_grow(DayHist *hist, MemoryContext cxt);
extern void dayhist_combine(DayHist *hist, const DayHist *other, MemoryContext cxt);
extern void dayhist_serialize(StringInfo buf, const DayHist *hist);
extern void dayhist_deserialize(StringInfo buf, DayHist *hist, MemoryContext cxt,
								const char *aggregate);
extern void dayhist_list(const DayHist *hist, DayList *list);
extern double daylist_quantile(const DayList *list, double q);
extern int	daylist_weighted_quantile(const DayList *list, int percent);
extern double daylist_mean_deviation(const DayList *list);
extern double daylist_median_deviation(const DayList *list, double median);

static inline int
day_of(const DaySlot *slot)
{
	return (int) slot->key - DAYHIST_BOUND;
}

/*
 * The slot of a key, which may be free.  A key's place is what is left of it
 * by the number of slots, so days next to each other are neighbours, and a
 * range of days that is shorter than the table never meets itself.
 */
static inline DaySlot *
dayhist_slot(const DayHist *hist, int key)
{
	int			mask = hist->nslots - 1;
	int			i = key & mask;

	while (hist->slots[i].count != 0 && hist->slots[i].key != (uint64) key)
		i = (i + 1) & mask;
	return &hist->slots[i];
}

static inline int
dayhist_key(int64 day)
{
	return (int) Max(Min(day, DAYHIST_BOUND), -DAYHIST_BOUND) + DAYHIST_BOUND;
}

/* Has the memory brought near that dayhist_add() will want; there are slots. */
static inline void
dayhist_prefetch(const DayHist *hist, int64 day)
{
	__builtin_prefetch(&hist->slots[dayhist_key(day) & (hist->nslots - 1)], 1);
}

static pg_attribute_always_inline void
dayhist_add(DayHist *hist, int64 day, int64 count, int128 amount,
			MemoryContext cxt)
{
	int			key = dayhist_key(day);
	DaySlot    *slot;

	if (unlikely(hist->nslots == 0))
		dayhist_grow(hist, cxt);
	slot = dayhist_slot(hist, key);
	if (unlikely(slot->count == 0))
	{
		if (4 * hist->nused >= 3 * hist->nslots &&
			hist->nslots < DAYHIST_MAX_SLOTS)
		{
			dayhist_grow(hist, cxt);
			slot = dayhist_slot(hist, key);
		}
		slot->key = key;
		hist->nused++;
	}
	slot->count += count;
	slot->amount += amount;
}

#endif							/* CREDIT_DAYHIST_H */

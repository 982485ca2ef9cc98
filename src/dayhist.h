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

/* A day's key, day + DAYHIST_BOUND, lies above the bits of its count. */
#define DAYHIST_KEY_SHIFT 50
#define DAYHIST_COUNT ((UINT64CONST(1) << DAYHIST_KEY_SHIFT) - 1)

/* key_count 0: free, since counts are not 0 */
typedef struct DaySlot
{
	int128		amount;
	uint64		key_count;
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
extern DaySlot *dayhist_slot(DayHist *hist, int key, MemoryContext cxt);
extern void dayhist_combine(DayHist *hist, const DayHist *other, MemoryContext cxt);
extern void dayhist_serialize(StringInfo buf, const DayHist *hist);
extern void dayhist_deserialize(StringInfo buf, DayHist *hist, MemoryContext cxt,
								const char *aggregate);
extern void dayhist_list(const DayHist *hist, DayList *list);
extern double daylist_quantile(const DayList *list, double q);
extern int	daylist_weighted_quantile(const DayList *list, int percent);
extern double daylist_mean_deviation(const DayList *list);
extern double daylist_median_deviation(const DayList *list, double median);

static inline int64
count_of(const DaySlot *slot)
{
	return (int64) (slot->key_count & DAYHIST_COUNT);
}

static inline int
key_of(const DaySlot *slot)
{
	return (int) (slot->key_count >> DAYHIST_KEY_SHIFT);
}

static inline int
day_of(const DaySlot *slot)
{
	return key_of(slot) - DAYHIST_BOUND;
}

static inline int
dayhist_key(int64 day)
{
	return (int) Max(Min(day, DAYHIST_BOUND), -DAYHIST_BOUND) + DAYHIST_BOUND;
}

/*
 * The first place of a key is what is left of it by the number of slots, so days
 * next to each other are neighbours, and a range of days that is shorter than
 * the table never meets itself.  Nearly all keys are there.
 */
static inline DaySlot *
dayhist_first_slot(const DayHist *hist, int key)
{
	return &hist->slots[key & (hist->nslots - 1)];
}

static inline bool
dayhist_has(const DaySlot *slot, int key)
{
	return key_of(slot) == key && slot->key_count != 0;
}

static pg_attribute_always_inline void
dayhist_add(DayHist *hist, int64 day, int64 count, int128 amount,
			MemoryContext cxt)
{
	DaySlot    *slot = dayhist_slot(hist, dayhist_key(day), cxt);

	slot->key_count += count;
	slot->amount += amount;
}

/* Adds one with an amount; the day is within the bound, and there are slots. */
static pg_attribute_always_inline void
dayhist_add_one(DayHist *hist, int day, int64 amount, MemoryContext cxt)
{
	int			key = day + DAYHIST_BOUND;
	DaySlot    *slot = dayhist_first_slot(hist, key);

	if (unlikely(!dayhist_has(slot, key)))
		slot = dayhist_slot(hist, key, cxt);
	slot->key_count++;
	slot->amount += amount;
}

#endif							/* CREDIT_DAYHIST_H */

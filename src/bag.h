/*
 * bag.h
 *	  A multiset of 64-bit keys that grows: what validation remembers of scores.
 */
#ifndef CREDIT_BAG_H
#define CREDIT_BAG_H

#include "lib/stringinfo.h"

/* How often keys of a bag may count in all: doubles hold it exactly. */
#define BAG_MAX_TOTAL (INT64CONST(1) << 52)

/* Distinct keys of one bag; 16 bytes each, so the bytes of two fit in 1 GB. */
#ifndef BAG_MAX_KEYS
#define BAG_MAX_KEYS 30000000
#endif

/*
 * First the runs: distinct keys in ascending order, with their counts.  Then
 * the tail: keys as they came.  A sorted bag has no tail.
 */
typedef struct Bag
{
	uint64	   *keys;
	int64	   *counts;			/* of the runs; NULL: each is 1 */
	int64	   *tail_counts;	/* of the tail, beside keys; NULL: each is 1 */
	int64		total;			/* keys put in, each as often as it counts */
	uint32		nruns;
	uint32		n;				/* runs and tail */
	uint32		capacity;
} Bag;

extern void bag_make_room(Bag *bag, MemoryContext context);
extern void bag_add_counted(Bag *bag, uint64 key, int64 count, MemoryContext context);
extern void bag_sort(Bag *bag, MemoryContext context);
extern void bag_merge(Bag *bag, const Bag *sorted, MemoryContext context);
extern void bag_send(StringInfo buf, const Bag *sorted);
extern void bag_receive(StringInfo buf, Bag *bag, MemoryContext context, const char *name);

static inline void
bag_add(Bag *bag, uint64 key, MemoryContext context)
{
	if (unlikely(bag->n == bag->capacity))
		bag_make_room(bag, context);
	bag->keys[bag->n++] = key;
	bag->total++;
}

static inline int64
bag_count(const Bag *bag, uint32 run)
{
	return bag->counts ? bag->counts[run] : 1;
}

/*
 * Numbers as keys: the order of keys is that of numbers, and both zeros are
 * one.  NaN has no place in this order; the caller keeps it out.
 */
static inline uint64
key_of_float(float8 number)
{
	union
	{
		float8		f;
		uint64		u;
	}			bits;

	bits.f = number + 0.0;		/* -0 becomes 0 */
	return bits.u >> 63 ? ~bits.u : bits.u | UINT64CONST(1) << 63;
}

static inline float8
float_of_key(uint64 key)
{
	union
	{
		float8		f;
		uint64		u;
	}			bits;

	bits.u = key >> 63 ? key & ~(UINT64CONST(1) << 63) : ~key;
	return bits.f;
}

#endif							/* CREDIT_BAG_H */

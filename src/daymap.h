/*
 * daymap.h
 *	  Exact amounts by day and by a number within the day; see daymap.c.
 *
 *	  daymap_init(&map, cxt, "name");	the aggregate, and its memory context
 *	  amount_read(PG_GETARG_DATUM(2), &amount, &map.scale);
 *	  daymap_add(&map, day, sub, &amount);
 *	  items = daymap_list(&map);		map.nused of them, in order
 */
#ifndef CREDIT_DAYMAP_H
#define CREDIT_DAYMAP_H

#include "lib/stringinfo.h"
#include "utils/date.h"

#include "amount.h"

/* Pairs of day and number in one map: 32 MB. */
#define DAYMAP_MAX_SLOTS (1 << 20)
#define DAYMAP_MAX_USED (DAYMAP_MAX_SLOTS / 4 * 3)

/* Decimals of a numeric at most, as numeric.c has it. */
#define DAYMAP_MAX_SCALE 0x3FFF

typedef struct DaySum
{
	int128		units;
	uint64		sub;			/* what tells sums of one day apart, or 0 */
	int32		day;
	int32		rest;			/* 0: free; 1: none; else rests[rest - 2] */
} DaySum;

typedef struct DayMap
{
	MemoryContext cxt;
	const char *aggregate;		/* for messages */
	DaySum	   *slots;
	uint32		nslots;			/* 0 or a power of 2 */
	uint32		nused;
	Numeric    *rests;			/* NULL: no sum has any */
	int32		nrests;
	int32		scale;			/* most decimals of an amount */
} DayMap;

/* A sum where it can be read: in the order of days, and of numbers. */
typedef struct DayItem
{
	Amount		amount;
	uint64		sub;
	DateADT		day;
} DayItem;

extern void daymap_init(DayMap *map, MemoryContext cxt, const char *aggregate);
extern void daymap_grow(DayMap *map);
extern void daymap_add_rare(DayMap *map, DaySum *sum, const Amount *amount);
extern Amount daymap_amount(const DayMap *map, const DaySum *sum);
extern void daymap_combine(DayMap *map, const DayMap *other);
extern DayItem *daymap_list(const DayMap *map);
extern void daymap_serialize(StringInfo buf, const DayMap *map);
extern void daymap_deserialize(StringInfo buf, DayMap *map);

/*
 * Where a sum should lie.  Days next to each other are neighbours, which saves
 * memory traffic and the sort, but only as long as there is one sum a day: runs
 * of days that begin here and there would fill each other's gaps.
 */
static inline uint32
daymap_place(DateADT day, uint64 sub)
{
	if (sub == 0)
		return (uint32) day;
	/* floats differ in their upper bits only, days in the lower ones */
	sub ^= sub >> 32 ^ (uint64) (uint32) day << 20;
	sub *= UINT64CONST(0x9E3779B97F4A7C15);
	return (uint32) (sub ^ sub >> 32);
}

/* The slot of a day and a number, which may be free. */
static inline DaySum *
daymap_slot(const DayMap *map, DateADT day, uint64 sub)
{
	uint32		mask = map->nslots - 1;
	uint32		i = daymap_place(day, sub) & mask;

	while (map->slots[i].rest != 0 &&
		   (map->slots[i].day != day || map->slots[i].sub != sub))
		i = (i + 1) & mask;
	return &map->slots[i];
}

static pg_attribute_always_inline void
daymap_add(DayMap *map, DateADT day, uint64 sub, const Amount *amount)
{
	DaySum	   *sum;
	int128		units;

	if (unlikely(map->nslots == 0))
		daymap_grow(map);
	sum = daymap_slot(map, day, sub);
	if (unlikely(sum->rest == 0))
	{
		if (map->nused >= map->nslots / 4 * 3)
		{
			daymap_grow(map);
			sum = daymap_slot(map, day, sub);
		}
		sum->day = day;
		sum->sub = sub;
		sum->rest = 1;
		map->nused++;
	}
	if (likely(amount->rest == NULL &&
			   !__builtin_add_overflow(sum->units, amount->units, &units)))
		sum->units = units;
	else
		daymap_add_rare(map, sum, amount);
}

#endif							/* CREDIT_DAYMAP_H */

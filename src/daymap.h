/*
 * daymap.h
 *	  Counts and sums by day that add and subtract; see daymap.c.
 */
#ifndef CREDIT_DAYMAP_H
#define CREDIT_DAYMAP_H

#include "pack.h"

/* Days of seven hundred years. */
#define DAYMAP_MAX_DAYS (1 << 18)
/* No day: larger than -infinity, and smaller than any date there is. */
#define DAYMAP_FREE (PG_INT32_MIN + 1)

/* Counts and sums that bytes may claim, with room for sums of them. */
#define DAYMAP_MAX_COUNT (INT64CONST(1) << 48)
#define DAYMAP_MAX_VALUE ((int128) 1 << 94)

typedef struct DaySum
{
	int128		value;
	int64		count;
	int32		day;
} DaySum;

typedef struct DayMap
{
	DaySum	   *slots;
	uint32		nslots;			/* 0 or a power of 2 */
	uint32		nused;
} DayMap;

/* What there is of a map in the order of days, and all of it together. */
typedef struct DaySums
{
	int			n;
	int64		count;
	int128		value;
	int128		size;			/* of values without their signs */
	DaySum	   *sums;
} DaySums;

/* What the values of a map are. */
typedef enum DayValue
{
	VALUE_NONE,
	VALUE_AMOUNT,				/* not negative; a multiple of a unit */
	VALUE_SIGNED
} DayValue;

extern void daymap_add(DayMap *map, int32 day, int64 count, int128 value,
					   MemoryContext cxt);
extern void daymap_add_list(DayMap *map, const DaySums *list, int sign,
							MemoryContext cxt);
extern bool daymap_list(const DayMap *map, DayValue kind, DaySums *list);

extern void daysums_merge(DaySums *list, const DaySums *other);
extern void daysums_pack(StringInfo buf, const DaySums *list, DayValue kind,
						 int64 unit);
extern void daysums_unpack(Unpack *from, DaySums *list, DayValue kind,
						   int64 unit);
extern int32 daysums_unpack_day(Unpack *from);

/*
 * Adds one with a value to a map that has slots.  Nearly all days are in their
 * first place.
 */
static pg_attribute_always_inline void
daymap_add_one(DayMap *map, int32 day, int64 value, MemoryContext cxt)
{
	DaySum	   *slot = &map->slots[(uint32) day & (map->nslots - 1)];

	if (unlikely(slot->day != day))
	{
		daymap_add(map, day, 1, value, cxt);
		return;
	}
	slot->count++;
	slot->value += value;
}

#endif							/* CREDIT_DAYMAP_H */

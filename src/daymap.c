/*
 * daymap.c
 *	  Counts and sums by day that add and subtract.
 *
 * A hash table of whole numbers by day that grows on need.  What is subtracted
 * leaves a slot with nothing in it, which is left out when the map is listed:
 * so a map is the same whether something came and went or never was there.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "daymap.h"

#define FIRST_SLOTS 8

/* The slot of a day, which may be free; days in a row are neighbours. */
static inline DaySum *
slot_of(const DayMap *map, int32 day)
{
	uint32		mask = map->nslots - 1;
	uint32		i = (uint32) day & mask;

	while (map->slots[i].day != day && map->slots[i].day != DAYMAP_FREE)
		i = (i + 1) & mask;
	return &map->slots[i];
}

static inline bool
is_empty(const DaySum *slot)
{
	return slot->day == DAYMAP_FREE || (slot->count == 0 && slot->value == 0);
}

/* Twice the room, or what is empty thrown out if that is enough. */
static void
grow(DayMap *map, MemoryContext cxt)
{
	DayMap		old = *map;
	uint32		n = 0;

	for (uint32 i = 0; i < old.nslots; i++)
		n += !is_empty(&old.slots[i]);
	if (n >= DAYMAP_MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many different days in a state"),
				 errdetail("A state keeps at most %d.", DAYMAP_MAX_DAYS)));
	if (old.nslots == 0)
		map->nslots = FIRST_SLOTS;
	else if (2 * n >= old.nslots)
		map->nslots = 2 * old.nslots;
	map->slots = MemoryContextAlloc(cxt, map->nslots * sizeof(DaySum));
	map->nused = n;
	for (uint32 i = 0; i < map->nslots; i++)
		map->slots[i] = (DaySum) {.day = DAYMAP_FREE};
	for (uint32 i = 0; i < old.nslots; i++)
		if (!is_empty(&old.slots[i]))
			*slot_of(map, old.slots[i].day) = old.slots[i];
	if (old.slots != NULL)
		pfree(old.slots);
}

void
daymap_add(DayMap *map, int32 day, int64 count, int128 value, MemoryContext cxt)
{
	DaySum	   *slot;

	if (unlikely(map->nslots == 0))
		grow(map, cxt);
	slot = slot_of(map, day);
	if (unlikely(slot->day == DAYMAP_FREE))
	{
		if (4 * (map->nused + 1) > 3 * map->nslots ||
			map->nused >= DAYMAP_MAX_DAYS)
		{
			grow(map, cxt);
			slot = slot_of(map, day);
		}
		slot->day = day;
		map->nused++;
	}
	slot->count += count;
	slot->value += value;
}

/* Adds a list (sign 1), or subtracts it (-1). */
void
daymap_add_list(DayMap *map, const DaySums *list, int sign, MemoryContext cxt)
{
	for (int i = 0; i < list->n; i++)
		daymap_add(map, list->sums[i].day, sign * list->sums[i].count,
				   sign * list->sums[i].value, cxt);
}

/* --- in order ------------------------------------------------------------- */

#define ST_SORT sort_days
#define ST_ELEMENT_TYPE DaySum
#define ST_COMPARE(a, b) ((a)->day < (b)->day ? -1 : (a)->day > (b)->day)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Appends to a list.  Its totals are within bounds, so that what is made of them
 * fits into 128 bits.
 */
static inline void
append(DaySums *list, int32 day, int64 count, int128 value)
{
	list->sums[list->n++] = (DaySum) {.value = value, .count = count, .day = day};
	list->count += count;
	list->value += value;
	list->size += value < 0 ? -value : value;
	if (unlikely(list->count > DAYMAP_MAX_COUNT || list->size > DAYMAP_MAX_VALUE))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("counts or sums of a state are out of range"),
				 errdetail("Amounts add up to 10^20 at most, counts to 2^48.")));
}

/* Days in a row lie in order, from the first of them on. */
static uint32
first_slot(const DayMap *map)
{
	int32		first = PG_INT32_MAX;

	for (uint32 i = 0; i < map->nslots; i++)
		if (!is_empty(&map->slots[i]))
			first = Min(first, map->slots[i].day);
	return (uint32) first & (map->nslots - 1);
}

/*
 * Lists what there is.  False: there is less than nothing of something, so more
 * was subtracted than there was.
 */
bool
daymap_list(const DayMap *map, DayValue kind, DaySums *list)
{
	bool		is_sorted = true;
	uint32		start;

	memset(list, 0, sizeof(DaySums));
	if (map->nused == 0)
		return true;
	list->sums = palloc(map->nused * sizeof(DaySum));
	start = first_slot(map);
	for (uint32 i = 0; i < map->nslots; i++)
	{
		const DaySum *slot = &map->slots[(start + i) & (map->nslots - 1)];

		if (is_empty(slot))
			continue;
		if (slot->count <= 0 || (kind == VALUE_AMOUNT && slot->value < 0))
			return false;
		is_sorted = is_sorted &&
			(list->n == 0 || list->sums[list->n - 1].day < slot->day);
		append(list, slot->day, slot->count, slot->value);
	}
	if (!is_sorted)
		sort_days(list->sums, list->n);
	return true;
}

/* Adds another list; neither has anything to subtract. */
void
daysums_merge(DaySums *list, const DaySums *other)
{
	DaySums		sum = {0};
	int			i = 0;
	int			k = 0;

	if (other->n == 0)
		return;
	sum.sums = palloc((list->n + other->n) * sizeof(DaySum));
	while (i < list->n || k < other->n)
	{
		const DaySum *a = i < list->n ? &list->sums[i] : NULL;
		const DaySum *b = k < other->n ? &other->sums[k] : NULL;

		if (b == NULL || (a != NULL && a->day < b->day))
		{
			append(&sum, a->day, a->count, a->value);
			i++;
		}
		else if (a == NULL || b->day < a->day)
		{
			append(&sum, b->day, b->count, b->value);
			k++;
		}
		else
		{
			append(&sum, a->day, a->count + b->count, a->value + b->value);
			i++;
			k++;
		}
	}
	*list = sum;
}

/* --- bytes ---------------------------------------------------------------- */

/* Nearly all amounts fit into 64 bits, which divide more quickly. */
static inline uint128
divided(int128 amount, int64 unit)
{
	if (likely(amount <= PG_INT64_MAX))
		return (uint64) amount / (uint64) unit;
	return (uint128) (amount / unit);
}

/* Amounts are divided by a unit, of which they are multiples. */
void
daysums_pack(StringInfo buf, const DaySums *list, DayValue kind, int64 unit)
{
	pack_unsigned(buf, list->n);
	for (int i = 0; i < list->n; i++)
	{
		const DaySum *sum = &list->sums[i];

		if (i == 0)
			pack_signed(buf, sum->day);
		else
			pack_unsigned(buf, (int64) sum->day - list->sums[i - 1].day);
		pack_unsigned(buf, sum->count);
		if (kind == VALUE_AMOUNT)
			pack_unsigned(buf, divided(sum->value, unit));
		else if (kind == VALUE_SIGNED)
			pack_signed(buf, sum->value);
	}
}

int32
daysums_unpack_day(Unpack *from)
{
	int128		day = unpack_signed(from, (int128) PG_INT32_MAX + 1);

	if (day > PG_INT32_MAX || day == DAYMAP_FREE)
		unpack_refuse(from);
	return (int32) day;
}

/* Bytes of unknown origin are safe here, and days are in order afterwards. */
void
daysums_unpack(Unpack *from, DaySums *list, DayValue kind, int64 unit)
{
	int			n = (int) unpack_unsigned(from, DAYMAP_MAX_DAYS);
	int64		day = 0;

	memset(list, 0, sizeof(DaySums));
	/* a day takes two bytes or more: what is claimed is not allocated */
	if (n > from->end - from->at)
		unpack_refuse(from);
	if (n > 0)
		list->sums = palloc(n * sizeof(DaySum));
	for (int i = 0; i < n; i++)
	{
		int64		count;
		int128		value = 0;

		if (i == 0)
			day = daysums_unpack_day(from);
		else
			day += (int64) unpack_unsigned(from, PG_UINT32_MAX);
		count = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
		if (kind == VALUE_AMOUNT)
			value = (int128) unpack_unsigned(from, DAYMAP_MAX_VALUE / unit) * unit;
		else if (kind == VALUE_SIGNED)
			value = unpack_signed(from, DAYMAP_MAX_VALUE);
		if (day > PG_INT32_MAX || day == DAYMAP_FREE || count == 0 ||
			(i > 0 && day <= list->sums[i - 1].day))
			unpack_refuse(from);
		append(list, (int32) day, count, value);
	}
}

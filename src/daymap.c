/*
 * daymap.c
 *	  Exact amounts by day and by a number within the day.
 *
 * What happened in which order is not known to an aggregate: rows come in any
 * order and from several processes.  So what has to be looked at day by day is
 * kept by day, in an open hash table that grows on need from 256 bytes to 32
 * MB, and put in order in the end.  Sums are exact, so nothing depends on the
 * order of rows or on how they were split.
 *
 * The number within the day is what the aggregate makes of it: a value, a
 * place in a sequence, which of several sums it is, or always 0.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "daymap.h"

#define FIRST_SLOTS 8
#define FIRST_RESTS 8

void
daymap_init(DayMap *map, MemoryContext cxt, const char *aggregate)
{
	memset(map, 0, sizeof(DayMap));
	map->cxt = cxt;
	map->aggregate = aggregate;
}

/*
 * How many sums there are does not depend on the order of rows, and so neither
 * does whether they are too many.
 */
void
daymap_grow(DayMap *map)
{
	DayMap		old = *map;

	if (map->nslots == DAYMAP_MAX_SLOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many different days and values in one group of aggregate \"%s\"",
						map->aggregate),
				 errdetail("There are more than %d.", DAYMAP_MAX_USED),
				 errhint("Group by customer, round the values, or leave out dates that cannot be true.")));
	map->nslots = old.nslots == 0 ? FIRST_SLOTS : 2 * old.nslots;
	map->slots = MemoryContextAllocZero(map->cxt, map->nslots * sizeof(DaySum));
	for (uint32 i = 0; i < old.nslots; i++)
	{
		const DaySum *sum = &old.slots[i];

		if (sum->rest != 0)
			*daymap_slot(map, sum->day, sum->sub) = *sum;
	}
	if (old.slots != NULL)
		pfree(old.slots);
}

/* --- what units cannot hold --------------------------------------------- */

/* A place for the rest of a sum that has none yet. */
static int32
new_rest(DayMap *map)
{
	if (map->rests == NULL)
		map->rests = MemoryContextAlloc(map->cxt, FIRST_RESTS * sizeof(Numeric));
	else if (map->nrests >= FIRST_RESTS && (map->nrests & (map->nrests - 1)) == 0)
		map->rests = repalloc(map->rests, 2 * map->nrests * sizeof(Numeric));
	map->rests[map->nrests] = NULL;
	return 2 + map->nrests++;
}

Amount
daymap_amount(const DayMap *map, const DaySum *sum)
{
	Amount		amount;

	amount.units = sum->units;
	amount.rest = sum->rest > 1 ? map->rests[sum->rest - 2] : NULL;
	return amount;
}

/* What daymap_add() does not do itself. */
void
daymap_add_rare(DayMap *map, DaySum *sum, const Amount *amount)
{
	Amount		total = daymap_amount(map, sum);
	Numeric		old = total.rest;
	MemoryContext caller;

	amount_add(&total, amount);
	sum->units = total.units;
	if (total.rest == old)
		return;
	if (sum->rest == 1)
		sum->rest = new_rest(map);
	caller = MemoryContextSwitchTo(map->cxt);
	map->rests[sum->rest - 2] =
		DatumGetNumericCopy(NumericGetDatum(total.rest));
	MemoryContextSwitchTo(caller);
	if (old != NULL)
		pfree(old);
}

/* --- reading ------------------------------------------------------------ */

void
daymap_combine(DayMap *map, const DayMap *other)
{
	for (uint32 i = 0; i < other->nslots; i++)
	{
		const DaySum *sum = &other->slots[i];
		Amount		amount;

		if (sum->rest == 0)
			continue;
		amount = daymap_amount(other, sum);
		daymap_add(map, sum->day, sum->sub, &amount);
	}
	map->scale = Max(map->scale, other->scale);
}

static int
compare_items(const void *a, const void *b)
{
	const DayItem *x = a;
	const DayItem *y = b;

	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return (x->sub > y->sub) - (x->sub < y->sub);
}

/*
 * All sums in order.  Neighbours lie next to each other in the table, which
 * may begin anywhere: from the place of the first day on they often are in
 * order already, which the sort notices.
 */
DayItem *
daymap_list(const DayMap *map)
{
	DayItem    *items = palloc(Max(map->nused, 1) * sizeof(DayItem));
	uint32		mask = map->nslots - 1;
	DateADT		first = PG_INT32_MAX;
	uint32		n = 0;

	for (uint32 i = 0; i < map->nslots; i++)
		if (map->slots[i].rest != 0)
			first = Min(first, map->slots[i].day);
	for (uint32 i = 0; i < map->nslots; i++)
	{
		const DaySum *sum = &map->slots[((uint32) first + i) & mask];

		if (sum->rest == 0)
			continue;
		items[n].amount = daymap_amount(map, sum);
		items[n].sub = sum->sub;
		items[n++].day = sum->day;
	}
	qsort(items, n, sizeof(DayItem), compare_items);
	return items;
}

/* --- between processes -------------------------------------------------- */

void
daymap_serialize(StringInfo buf, const DayMap *map)
{
	pq_sendint32(buf, map->scale);
	pq_sendint32(buf, map->nused);
	for (uint32 i = 0; i < map->nslots; i++)
	{
		const DaySum *sum = &map->slots[i];
		Amount		amount;

		if (sum->rest == 0)
			continue;
		amount = daymap_amount(map, sum);
		pq_sendint32(buf, sum->day);
		pq_sendint64(buf, sum->sub);
		amount_serialize(buf, &amount);
	}
}

/*
 * Fills a map that is new.  What comes twice is added, so nothing can be wrong
 * about that.
 */
void
daymap_deserialize(StringInfo buf, DayMap *map)
{
	int			n;

	map->scale = (int32) pq_getmsgint(buf, 4);
	n = (int) pq_getmsgint(buf, 4);
	if (map->scale < 0 || map->scale > DAYMAP_MAX_SCALE || n < 0 ||
		n > DAYMAP_MAX_USED)
		aggregate_refuse_bytes(map->aggregate);
	for (int i = 0; i < n; i++)
	{
		DateADT		day = (DateADT) pq_getmsgint(buf, 4);
		uint64		sub = (uint64) pq_getmsgint64(buf);
		Amount		amount;

		if (!amount_deserialize(buf, &amount) || !IS_VALID_DATE(day))
			aggregate_refuse_bytes(map->aggregate);
		daymap_add(map, day, sub, &amount);
	}
}

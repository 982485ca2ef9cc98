/*
 * timeline.c
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
#include "timeline.h"

#define FIRST_SLOTS 8
#define FIRST_RESTS 8

void
timeline_init(Timeline *line, MemoryContext cxt, const char *aggregate)
{
	memset(line, 0, sizeof(Timeline));
	line->cxt = cxt;
	line->aggregate = aggregate;
}

/*
 * How many sums there are does not depend on the order of rows, and so neither
 * does whether they are too many.
 */
void
timeline_grow(Timeline *line)
{
	Timeline	old = *line;

	if (line->nslots == TIMELINE_MAX_SLOTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many different days and values in one group of aggregate \"%s\"",
						line->aggregate),
				 errdetail("There are more than %d.", TIMELINE_MAX_USED),
				 errhint("Group by customer, round the values, or leave out dates that cannot be true.")));
	line->nslots = old.nslots == 0 ? FIRST_SLOTS : 2 * old.nslots;
	line->slots = MemoryContextAllocZero(line->cxt, line->nslots * sizeof(TimelineSum));
	for (uint32 i = 0; i < old.nslots; i++)
	{
		const TimelineSum *sum = &old.slots[i];

		if (sum->rest != 0)
			*timeline_slot(line, sum->day, sum->sub) = *sum;
	}
	if (old.slots != NULL)
		pfree(old.slots);
}

/* --- what units cannot hold --------------------------------------------- */

/* A place for the rest of a sum that has none yet. */
static int32
new_rest(Timeline *line)
{
	if (line->rests == NULL)
		line->rests = MemoryContextAlloc(line->cxt, FIRST_RESTS * sizeof(Numeric));
	else if (line->nrests >= FIRST_RESTS && (line->nrests & (line->nrests - 1)) == 0)
		line->rests = repalloc(line->rests, 2 * line->nrests * sizeof(Numeric));
	line->rests[line->nrests] = NULL;
	return 2 + line->nrests++;
}

Amount
timeline_amount(const Timeline *line, const TimelineSum *sum)
{
	Amount		amount;

	amount.units = sum->units;
	amount.rest = sum->rest > 1 ? line->rests[sum->rest - 2] : NULL;
	return amount;
}

/* What timeline_add() does not do itself. */
void
timeline_add_rare(Timeline *line, TimelineSum *sum, const Amount *amount)
{
	Amount		total = timeline_amount(line, sum);
	Numeric		old = total.rest;
	MemoryContext caller;

	amount_add(&total, amount);
	sum->units = total.units;
	if (total.rest == old)
		return;
	if (sum->rest == 1)
		sum->rest = new_rest(line);
	caller = MemoryContextSwitchTo(line->cxt);
	line->rests[sum->rest - 2] =
		DatumGetNumericCopy(NumericGetDatum(total.rest));
	MemoryContextSwitchTo(caller);
	if (old != NULL)
		pfree(old);
}

/* --- reading ------------------------------------------------------------ */

void
timeline_combine(Timeline *line, const Timeline *other)
{
	for (uint32 i = 0; i < other->nslots; i++)
	{
		const TimelineSum *sum = &other->slots[i];
		Amount		amount;

		if (sum->rest == 0)
			continue;
		amount = timeline_amount(other, sum);
		timeline_add(line, sum->day, sum->sub, &amount);
	}
	line->scale = Max(line->scale, other->scale);
}

static int
compare_items(const void *a, const void *b)
{
	const TimelineItem *x = a;
	const TimelineItem *y = b;

	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return (x->sub > y->sub) - (x->sub < y->sub);
}

/*
 * All sums in order.  Neighbours lie next to each other in the table, which
 * may begin anywhere: from the place of the first day on they often are in
 * order already, which the sort notices.
 */
TimelineItem *
timeline_list(const Timeline *line)
{
	TimelineItem *items = palloc(Max(line->nused, 1) * sizeof(TimelineItem));
	uint32		mask = line->nslots - 1;
	DateADT		first = PG_INT32_MAX;
	uint32		n = 0;

	for (uint32 i = 0; i < line->nslots; i++)
		if (line->slots[i].rest != 0)
			first = Min(first, line->slots[i].day);
	for (uint32 i = 0; i < line->nslots; i++)
	{
		const TimelineSum *sum = &line->slots[((uint32) first + i) & mask];

		if (sum->rest == 0)
			continue;
		items[n].amount = timeline_amount(line, sum);
		items[n].sub = sum->sub;
		items[n++].day = sum->day;
	}
	qsort(items, n, sizeof(TimelineItem), compare_items);
	return items;
}

/* --- between processes -------------------------------------------------- */

void
timeline_serialize(StringInfo buf, const Timeline *line)
{
	pq_sendint32(buf, line->scale);
	pq_sendint32(buf, line->nused);
	for (uint32 i = 0; i < line->nslots; i++)
	{
		const TimelineSum *sum = &line->slots[i];
		Amount		amount;

		if (sum->rest == 0)
			continue;
		amount = timeline_amount(line, sum);
		pq_sendint32(buf, sum->day);
		pq_sendint64(buf, sum->sub);
		amount_serialize(buf, &amount);
	}
}

/*
 * Fills a timeline that is new.  What comes twice is added, so nothing can be wrong
 * about that.
 */
void
timeline_deserialize(StringInfo buf, Timeline *line)
{
	int			n;

	line->scale = (int32) pq_getmsgint(buf, 4);
	n = (int) pq_getmsgint(buf, 4);
	if (line->scale < 0 || line->scale > TIMELINE_MAX_SCALE || n < 0 ||
		n > TIMELINE_MAX_USED)
		aggregate_refuse_bytes(line->aggregate);
	for (int i = 0; i < n; i++)
	{
		DateADT		day = (DateADT) pq_getmsgint(buf, 4);
		uint64		sub = (uint64) pq_getmsgint64(buf);
		Amount		amount;

		if (!amount_deserialize(buf, &amount) || !IS_VALID_DATE(day))
			aggregate_refuse_bytes(line->aggregate);
		timeline_add(line, day, sub, &amount);
	}
}

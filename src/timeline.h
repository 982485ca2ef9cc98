/*
 * timeline.h
 *	  Exact amounts by day and by a number within the day; see timeline.c.
 *
 *	  timeline_init(&line, cxt, "name");	the aggregate, and its memory context
 *	  amount_read(PG_GETARG_DATUM(2), &amount, &line.scale);
 *	  timeline_add(&line, day, sub, &amount);
 *	  items = timeline_list(&line);		line.nused of them, in order
 */
#ifndef CREDIT_TIMELINE_H
#define CREDIT_TIMELINE_H

#include "lib/stringinfo.h"
#include "utils/date.h"

#include "amount.h"

/* Pairs of day and number in one timeline: 32 MB. */
#define TIMELINE_MAX_SLOTS (1 << 20)
#define TIMELINE_MAX_USED (TIMELINE_MAX_SLOTS / 4 * 3)

/* Decimals of a numeric at most, as numeric.c has it. */
#define TIMELINE_MAX_SCALE 0x3FFF

typedef struct TimelineSum
{
	int128		units;
	uint64		sub;			/* what tells sums of one day apart, or 0 */
	int32		day;
	int32		rest;			/* 0: free; 1: none; else rests[rest - 2] */
} TimelineSum;

typedef struct Timeline
{
	MemoryContext cxt;
	const char *aggregate;		/* for messages */
	TimelineSum *slots;
	uint32		nslots;			/* 0 or a power of 2 */
	uint32		nused;
	Numeric    *rests;			/* NULL: no sum has any */
	int32		nrests;
	int32		scale;			/* most decimals of an amount */
} Timeline;

/* A sum where it can be read: in the order of days, and of numbers. */
typedef struct TimelineItem
{
	Amount		amount;
	uint64		sub;
	DateADT		day;
} TimelineItem;

extern void timeline_init(Timeline *line, MemoryContext cxt,
						  const char *aggregate);
extern void timeline_grow(Timeline *line);
extern void timeline_add_rare(Timeline *line, TimelineSum *sum,
							  const Amount *amount);
extern Amount timeline_amount(const Timeline *line, const TimelineSum *sum);
extern void timeline_combine(Timeline *line, const Timeline *other);
extern TimelineItem *timeline_list(const Timeline *line);
extern void timeline_serialize(StringInfo buf, const Timeline *line);
extern void timeline_deserialize(StringInfo buf, Timeline *line);

/*
 * Where a sum should lie.  Days next to each other are neighbours, which saves
 * memory traffic and the sort, but only as long as there is one sum a day: runs
 * of days that begin here and there would fill each other's gaps.
 */
static inline uint32
timeline_place(DateADT day, uint64 sub)
{
	if (sub == 0)
		return (uint32) day;
	/* floats differ in their upper bits only, days in the lower ones */
	sub ^= sub >> 32 ^ (uint64) (uint32) day << 20;
	sub *= UINT64CONST(0x9E3779B97F4A7C15);
	return (uint32) (sub ^ sub >> 32);
}

/* The slot of a day and a number, which may be free. */
static inline TimelineSum *
timeline_slot(const Timeline *line, DateADT day, uint64 sub)
{
	uint32		mask = line->nslots - 1;
	uint32		i = timeline_place(day, sub) & mask;

	while (line->slots[i].rest != 0 &&
		   (line->slots[i].day != day || line->slots[i].sub != sub))
		i = (i + 1) & mask;
	return &line->slots[i];
}

static pg_attribute_always_inline void
timeline_add(Timeline *line, DateADT day, uint64 sub, const Amount *amount)
{
	TimelineSum	   *sum;
	int128		units;

	if (unlikely(line->nslots == 0))
		timeline_grow(line);
	sum = timeline_slot(line, day, sub);
	if (unlikely(sum->rest == 0))
	{
		if (line->nused >= line->nslots / 4 * 3)
		{
			timeline_grow(line);
			sum = timeline_slot(line, day, sub);
		}
		sum->day = day;
		sum->sub = sub;
		sum->rest = 1;
		line->nused++;
	}
	if (likely(amount->rest == NULL &&
			   !__builtin_add_overflow(sum->units, amount->units, &units)))
		sum->units = units;
	else
		timeline_add_rare(line, sum, amount);
}

#endif							/* CREDIT_TIMELINE_H */

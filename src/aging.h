/*
 * aging.h
 *	  What an aging is made of; see aging.c.
 */
#ifndef CREDIT_AGING_H
#define CREDIT_AGING_H

#include "fmgr.h"
#include "utils/date.h"

#include "money.h"

/* A bucket for each day of a year is more than anybody can read. */
#define AGING_MAX_BOUNDS 366

/* What becomes of negative amounts. */
typedef enum AgingCredits
{
	CREDITS_SEPARATE,			/* a column of their own */
	CREDITS_OWN,				/* the bucket of their own date */
	CREDITS_OLDEST				/* taken off the oldest buckets */
} AgingCredits;

/* Ascending upper bounds of all buckets but the last, in days. */
typedef struct AgingBounds
{
	int			n;
	int32		bound[AGING_MAX_BOUNDS];
} AgingBounds;

typedef struct AgingState AgingState;

extern AgingState *aging_make(FunctionCallInfo fcinfo, int arg, bool has_bounds);
extern void aging_skip(AgingState *state, int64 n);
extern void aging_add(AgingState *state, const Money *amount, bool has_dates,
					  DateADT due, DateADT as_of);
extern Datum aging_row(FunctionCallInfo fcinfo, const AgingState *state,
					   bool has_bounds);

#endif							/* CREDIT_AGING_H */

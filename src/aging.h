/*
 * aging.h
 *	  What an aging is made of; see aging.c.
 */
#ifndef CREDIT_AGING_H
#define CREDIT_AGING_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/date.h"

#include "backlog.h"
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

/* A usual row in the backlog. */
typedef struct AgingRow
{
	int64		amount;
	int32		sum;			/* which one it goes to */
	int32		scale;
} AgingRow;

/* Ascending upper bounds of all buckets but the last, in days. */
typedef struct AgingBounds
{
	int			n;
	int32		bound[AGING_MAX_BOUNDS];
} AgingBounds;

typedef struct AgingState AgingState;

/* What one call of the aggregate in a query has beside its groups. */
typedef struct AgingCall AgingCall;

extern AgingState *aging_make(FunctionCallInfo fcinfo, int arg, bool has_bounds);
extern void aging_skip(AgingState *state, int64 n);
extern void aging_add(AgingState *state, const Money *amount, bool has_dates,
					  DateADT due, DateADT as_of);
extern AgingCall *aging_call(FunctionCallInfo fcinfo, int arg, bool has_bounds);
extern Backlog *aging_backlog(AgingCall *call);
extern int	aging_sum(const AgingCall *call, bool is_negative, bool has_dates,
					  DateADT due, DateADT as_of);
extern void *aging_begin(AgingCall *call, MemoryContext cxt);
extern int	aging_columns(bool has_bounds);
extern Datum aging_result(TupleDesc desc, const AgingState *state,
						  bool has_bounds);
extern Datum aging_row(FunctionCallInfo fcinfo, const AgingState *state,
					   bool has_bounds);

#endif							/* CREDIT_AGING_H */

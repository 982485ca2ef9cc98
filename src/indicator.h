/*
 * indicator.h
 *	  The state that aggregates over months share; see indicator.c.
 */
#ifndef CREDIT_INDICATOR_H
#define CREDIT_INDICATOR_H

#include "timeline.h"

/* Which aggregate it is */
typedef enum IndicatorKind
{
	COUNTBACK_DSO,
	TRUE_DSO,
	PAYMENT_CAPACITY,
	PARTIAL_PAYMENT
} IndicatorKind;

#define INDICATOR_KINDS 4
#define INDICATOR_COUNTS 4
/* Months that can be asked for, and days that a month can have */
#define INDICATOR_MAX_MONTHS 120
#define INDICATOR_MAX_DAYS 31

/* What all rows of a group must have in common; what does not apply is 0. */
typedef struct IndicatorOptions
{
	IndicatorKind kind;
	DateADT		as_of;
	int32		months;			/* how many are looked at */
	int32		month_days;		/* days of a month; 0: those of the calendar */
	bool		stop;
	bool		has_amount;
	Amount		amount;			/* receivables */
	int			scale;			/* decimals of it */
} IndicatorOptions;

typedef struct IndicatorState
{
	IndicatorOptions options;
	DateADT		first_day;		/* of all that was ever seen */
	DateADT		from;			/* days that count; capacity.c */
	DateADT		to;				/* the first day behind them; 0: not known yet */
	int64		n_skipped;
	int64		count[INDICATOR_COUNTS];	/* what the aggregate counts */
	Timeline	line;			/* by month instead of day */
} IndicatorState;

extern const char *indicator_name(IndicatorKind kind);
extern DateADT indicator_as_of(FunctionCallInfo fcinfo, int arg, const char *name);
extern IndicatorState *indicator_state(FunctionCallInfo fcinfo,
									   const IndicatorOptions *options);
extern const IndicatorState *indicator_final_state(FunctionCallInfo fcinfo,
												   IndicatorKind kind);
extern int32 month_of(DateADT day);
extern DateADT first_of_month(int32 month);

#endif							/* CREDIT_INDICATOR_H */

/*
 * behaviour.h
 *	  The state of a payment profile; see behaviour.c.
 */
#ifndef CREDIT_BEHAVIOUR_H
#define CREDIT_BEHAVIOUR_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/date.h"

#include "backlog.h"
#include "dayhist.h"
#include "daymap.h"
#include "money.h"
#include "recency.h"

#define PAYMENT_AGGREGATE "payment_profile"

#define PAYMENT_HALF_LIFE 90

/* Sums of money */
#define PAYMENT_PAID 0
#define PAYMENT_OPEN 1
#define PAYMENT_OVERDUE 2
#define PAYMENT_NSUMS 3

/*
 * Sums over payments, nothing but int128: x is the day of payment, days are
 * those late, amounts are in units of the eighth decimal.
 *
 * The first four say what the histogram of days late does not: how far beyond
 * its bound days are.  So nearly all payments leave them alone.
 */
typedef struct PaidSums
{
	int128		days;
	int128		days2;
	int128		amount_days;
	int128		amount_late;	/* early payments count 0 */
	int128		x;
	int128		x2;
	int128		x_days;
	int128		to_pay;
	int128		to_pay2;
	int128		amount_to_pay;
} PaidSums;

#define PAID_NSUMS ((int) (sizeof(PaidSums) / sizeof(int128)))

/* The least and the most of a date or a number of days. */
typedef struct Range
{
	int32		least;
	int32		most;
} Range;

/* What is known of a group, but for the rows still put aside. */
typedef struct PaymentState
{
	PaidSums	paid;
	Recency		recent;
	Range		late;			/* days late beyond the histogram's bound */
	Range		paid_dates;
	Range		invoice_dates;	/* of payments and open items */
	DayHist		hist;			/* days late of payments */
	DayMap		paid_days;		/* days late by day of payment, not added yet */

	int64		n_open;
	int64		n_overdue;		/* by more than the grace days */
	int128		open_units;
	int128		open_late;		/* amount times days past due, of open items */
	int128		overdue_units;
	int128		overdue_score;	/* amount times payment_score() */
	int32		max_overdue;

	int32		grace;
	DateADT		as_of;			/* -infinity: none yet */
	int64		n_skipped;
	int64		n_credits;
	int64		n_future;
	MoneySums	sums;			/* the last: its length varies */
} PaymentState;

/* A row put aside. */
typedef struct PaymentRow
{
	int64		packed;			/* amount and more; see behaviour.c */
	int32		day;			/* paid, or for an open item invoiced */
	int16		late;			/* days since it was due: negative if before */
	int16		age;			/* days since it was invoiced */
} PaymentRow;

/* What must be the same for all rows of a group. */
typedef struct PaymentTerms
{
	DateADT		as_of;			/* -infinity: none yet */
	int16		grace;
	int16		half_life;
} PaymentTerms;

/* As many as make a log a chunk of memory of 128 bytes. */
#define PAYMENT_FIRST_ROWS 5

/*
 * What the aggregate has of a group: the rows put aside last, and what is known
 * of the others, if there are any.
 */
typedef struct PaymentLog
{
	PaymentTerms terms;
	uint16		npaid;			/* payments, from the beginning of the rows */
	uint16		nopen;			/* open items, from their end */
	uint16		room;
	PaymentRow *rows;			/* the first ones, or a chunk of its own */
	PaymentState *state;		/* NULL: none */
	Backlog    *backlog;		/* where more rows may be; NULL: nowhere */
	PaymentRow	first[PAYMENT_FIRST_ROWS];
} PaymentLog;

/* What one call of the aggregate in a query has beside its groups. */
typedef struct PaymentCall PaymentCall;

/* What a row is. */
typedef enum PaymentKind
{
	KIND_SKIPPED,				/* something is missing */
	KIND_CREDIT,				/* the amount is not positive */
	KIND_FUTURE,				/* invoiced after the as-of date */
	KIND_OPEN,
	KIND_PAID
} PaymentKind;

extern PaymentKind payment_kind(FunctionCallInfo fcinfo, const Money *amount,
								DateADT as_of, int128 *units);
extern int	payment_grace(FunctionCallInfo fcinfo, int arg);
extern int	payment_half_life(FunctionCallInfo fcinfo, int arg);
extern void payment_check_as_of(DateADT as_of);
extern void payment_refuse_mixture(void);
extern void payment_add_late(PaymentState *state, int64 days, int64 n,
							 int128 units);
extern void payment_add_paid_days(PaymentState *state, const DaySums *days);
extern bool payment_add_open(PaymentState *state, DateADT due, int64 n,
							 int128 units);
extern PaymentState *payment_make(MemoryContext cxt, int grace, int half_life,
								  DateADT as_of);
extern PaymentState *payment_settled(PaymentLog *log);
extern PaymentCall *payment_call(PaymentTerms terms);
extern Backlog *payment_backlog(PaymentCall *call);
extern bool payment_usual(const PaymentCall *call, const Datum *values,
						  const bool *isnull, int64 *data);
extern void *payment_begin(void *call, MemoryContext cxt);
extern void payment_add_unusual(void *call, void *log, const NullableDatum *values);
extern int	payment_columns(void);
extern TupleDesc payment_row_type(FunctionCallInfo fcinfo);
extern Datum payment_measures(PaymentState *state, TupleDesc desc);

static inline void
range_note(Range *range, int32 value)
{
	range->least = Min(range->least, value);
	range->most = Max(range->most, value);
}

static inline bool
payment_has_as_of(const PaymentState *state)
{
	return !DATE_IS_NOBEGIN(state->as_of);
}

/*
 * The score of the payment index for a payment so many days late, times
 * PAYMENT_SCORE_UNIT: straight lines between a few knots, whose slopes are all
 * multiples of a sixtieth.
 */
#define PAYMENT_SCORE_UNIT 60

static inline int
payment_score(int64 days)
{
	if (days <= -30)
		return 6000;
	if (days <= -20)
		return 5400 - (int) (days + 20) * 60;
	if (days <= 0)
		return 4800 - (int) days * 30;
	if (days <= 15)
		return 4800 - (int) days * 40;
	if (days <= 30)
		return 4200 - (int) (days - 15) * 80;
	if (days <= 120)
		return 3000 - (int) (days - 30) * 20;
	if (days <= 180)
		return 1200 - (int) (days - 120) * 19;
	return 60;
}

#endif							/* CREDIT_BEHAVIOUR_H */

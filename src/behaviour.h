/*
 * behaviour.h
 *	  The state of a payment profile; see behaviour.c.
 */
#ifndef CREDIT_BEHAVIOUR_H
#define CREDIT_BEHAVIOUR_H

#include "utils/date.h"

#include "dayhist.h"
#include "money.h"

#define PAYMENT_AGGREGATE "payment_profile"

#define PAYMENT_HALF_LIFE 90
#define PAYMENT_MAX_HALF_LIFE 3650

/* Sums of money */
#define PAYMENT_PAID 0
#define PAYMENT_OPEN 1
#define PAYMENT_OVERDUE 2
#define PAYMENT_NSUMS 3

/*
 * Sums over payments, nothing but int128: x is the day of payment, days are
 * those late, amounts are in units of the eighth decimal.
 */
typedef struct PaidSums
{
	int128		days;
	int128		days2;
	int128		x;
	int128		x2;
	int128		x_days;
	int128		to_pay;
	int128		to_pay2;
	int128		amount_days;
	int128		amount_late;	/* early payments count 0 */
	int128		amount_to_pay;
} PaidSums;

#define PAID_NSUMS ((int) (sizeof(PaidSums) / sizeof(int128)))

/* Sums weighted by 2^(x / half-life - period). */
typedef struct RecentSums
{
	double		weight;
	double		weight2;		/* of squares */
	double		days;
	int32		period;			/* number of the latest half-life */
} RecentSums;

/* A payment put aside. */
typedef struct PaidRow
{
	int64		units;
	DateADT		invoice;
	DateADT		due;
	DateADT		paid;
} PaidRow;

/* What every row touches comes last; payments put aside are behind it. */
typedef struct PaymentState
{
	PaidSums	paid;
	RecentSums	recent;
	int32		min_days;
	int32		max_days;
	DateADT		first_invoice;	/* of payments and open items */
	DateADT		last_invoice;
	DateADT		first_paid;
	DateADT		last_paid;
	DayHist		hist;			/* days late of payments */

	int64		n_open;
	int64		n_overdue;		/* by more than the grace days */
	int128		open_units;
	int128		open_late;		/* amount times days past due, of open items */
	int128		overdue_units;
	int128		overdue_score;	/* amount times payment_score() */
	int32		max_overdue;

	int32		grace;
	int32		half_life;
	int64		n_skipped;
	int64		n_credits;
	int64		n_future;

	int			nrows;				/* payments put aside */
	DateADT		as_of;			/* -infinity: none yet */
	MoneySums	sums;			/* the last: its length varies */
} PaymentState;

extern void payment_settle(PaymentState *state);

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

/*
 * profile.c
 *	  What a payment profile says: the final function of payment_profile().
 *
 * Sums are exact until they get here.  Central moments are taken about a whole
 * number of days next to the mean first, in integers, so that nothing cancels
 * when the rest is done in floating point.
 */
#include "postgres.h"

#include <math.h>

#include "funcapi.h"
#include "utils/date.h"

#include "behaviour.h"
#include "figures.h"
#include "probability.h"

/* A slope is shown for so many days. */
#define TREND_DAYS 30
/* What makes a trend a worsening one. */
#define WORSENING_P 0.05
#define WORSENING_N 6

/* Columns of credit.payment_measures, in order. */
typedef enum Column
{
	N_PAID, N_OPEN, N_OVERDUE, N_CREDITS, N_FUTURE, N_SKIPPED,
	PAID_AMOUNT, OPEN_AMOUNT, OVERDUE_AMOUNT,
	ON_TIME_RATE, ON_TIME_RATE_BY_AMOUNT,
	MEAN_DAYS_LATE, WEIGHTED_DAYS_LATE, DAYS_BEYOND_TERMS,
	OPEN_DAYS_BEYOND_TERMS, MEDIAN_DAYS_LATE, P90_DAYS_LATE,
	WEIGHTED_P90_DAYS_LATE, MIN_DAYS_LATE, MAX_DAYS_LATE, MAX_DAYS_OVERDUE,
	MEAN_DAYS_TO_PAY, WEIGHTED_DAYS_TO_PAY, WEIGHTED_TERMS,
	SD_DAYS_LATE, MEAN_DEVIATION, MEDIAN_DEVIATION, INTERQUARTILE_RANGE,
	SD_DAYS_TO_PAY, CV_DAYS_TO_PAY,
	TREND_SLOPE, TREND_SE, TREND_T, TREND_P, TREND_R2, IS_WORSENING,
	RECENT_DAYS_LATE, RECENT_N, PAYMENT_INDEX,
	FIRST_INVOICE_DATE, LAST_INVOICE_DATE, FIRST_PAID_DATE, LAST_PAID_DATE,
	NCOLUMNS
} Column;

/* Sums of squares and products about the means. */
typedef struct Moments
{
	double		n;
	double		x;				/* of days of payment */
	double		days;			/* of days late */
	double		x_days;
} Moments;

PG_FUNCTION_INFO_V1(credit_payment_final);

/*
 * Sum of products about the means of two variables, from n, their sums and the
 * sum of their products.
 */
static double
central_product(int64 n, int128 sum_a, int128 sum_b, int128 sum_ab)
{
	int128		a = sum_a / n;
	int128		b = sum_b / n;
	int128		product;

	/* less than n each */
	sum_ab = sum_ab - a * sum_b - b * sum_a + n * a * b;
	sum_a -= n * a;
	sum_b -= n * b;
	/* below n * n; what a division leaves is the only thing not whole */
	product = sum_a * sum_b;
	return (double) (sum_ab - product / n) - (double) (int64) (product % n) / n;
}

/* --- groups of columns ---------------------------------------------------- */

static void
set_counts(Figures *figures, const PaymentState *state, int64 n_paid)
{
	set(figures, N_PAID, Int64GetDatum(n_paid));
	set(figures, N_OPEN, Int64GetDatum(state ? state->n_open : 0));
	if (state == NULL || state->n_open == 0 || payment_has_as_of(state))
		set(figures, N_OVERDUE, Int64GetDatum(state ? state->n_overdue : 0));
	set(figures, N_CREDITS, Int64GetDatum(state ? state->n_credits : 0));
	set(figures, N_FUTURE, Int64GetDatum(state ? state->n_future : 0));
	set(figures, N_SKIPPED, Int64GetDatum(state ? state->n_skipped : 0));
}

/* What both payments and open items are in; there is at least one of them. */
static void
set_amounts(Figures *figures, const PaymentState *state)
{
	const MoneySums *sums = &state->sums;

	set(figures, PAID_AMOUNT, NumericGetDatum(money_sum(sums, PAYMENT_PAID)));
	set(figures, OPEN_AMOUNT, NumericGetDatum(money_sum(sums, PAYMENT_OPEN)));
	if (!figures->nulls[N_OVERDUE])
		set(figures, OVERDUE_AMOUNT,
			NumericGetDatum(money_sum(sums, PAYMENT_OVERDUE)));
	set(figures, FIRST_INVOICE_DATE, DateADTGetDatum(state->invoice_dates.least));
	set(figures, LAST_INVOICE_DATE, DateADTGetDatum(state->invoice_dates.most));
}

/* Open items that are overdue are known to be late. */
static void
set_on_time(Figures *figures, const PaymentState *state, const DayList *list)
{
	int64		n = 0;
	int128		amount = 0;

	for (int i = 0; i < list->n && day_of(&list->slots[i]) <= state->grace; i++)
	{
		n += count_of(&list->slots[i]);
		amount += list->slots[i].amount;
	}
	set_ratio(figures, ON_TIME_RATE, n, (double) list->count + state->n_overdue);
	set_ratio(figures, ON_TIME_RATE_BY_AMOUNT, (double) amount,
			  (double) (list->amount + state->overdue_units));
}

/* Open items that are overdue count with the days they are so far. */
static void
set_index(Figures *figures, const PaymentState *state, const DayList *list)
{
	double		score = (double) state->overdue_score;

	for (int i = 0; i < list->n; i++)
		score += (double) list->slots[i].amount *
			payment_score(day_of(&list->slots[i]));
	set_ratio(figures, PAYMENT_INDEX, score / PAYMENT_SCORE_UNIT,
			  (double) (list->amount + state->overdue_units));
}

static void
set_open(Figures *figures, const PaymentState *state)
{
	if (!payment_has_as_of(state))
		return;
	set_ratio(figures, OPEN_DAYS_BEYOND_TERMS, (double) state->open_late,
			  (double) state->open_units);
	if (state->n_overdue > 0)
		set(figures, MAX_DAYS_OVERDUE, Int32GetDatum(state->max_overdue));
}

static void
set_lateness(Figures *figures, const PaymentState *state, const PaidSums *paid,
			 const DayList *list)
{
	double		n = (double) list->count;
	double		amount = (double) list->amount;
	double		median = daylist_quantile(list, 0.5);
	double		recent;
	double		recent_n;

	set_float(figures, MEAN_DAYS_LATE, (double) paid->days / n);
	set_ratio(figures, WEIGHTED_DAYS_LATE, (double) paid->amount_days, amount);
	set_ratio(figures, DAYS_BEYOND_TERMS, (double) paid->amount_late, amount);
	set_float(figures, MEDIAN_DAYS_LATE, median);
	set_float(figures, P90_DAYS_LATE, daylist_quantile(list, 0.9));
	if (list->amount > 0)
		set(figures, WEIGHTED_P90_DAYS_LATE,
			Int32GetDatum(daylist_weighted_quantile(list, 90)));
	set(figures, MIN_DAYS_LATE,
		Int32GetDatum(Min(day_of(&list->slots[0]), state->late.least)));
	set(figures, MAX_DAYS_LATE,
		Int32GetDatum(Max(day_of(&list->slots[list->n - 1]), state->late.most)));
	set_float(figures, MEAN_DAYS_TO_PAY, (double) paid->to_pay / n);
	set_ratio(figures, WEIGHTED_DAYS_TO_PAY, (double) paid->amount_to_pay, amount);
	set_ratio(figures, WEIGHTED_TERMS,
			  (double) (paid->amount_to_pay - paid->amount_days), amount);

	set_float(figures, MEAN_DEVIATION, daylist_mean_deviation(list));
	set_float(figures, MEDIAN_DEVIATION, daylist_median_deviation(list, median));
	set_float(figures, INTERQUARTILE_RANGE,
			  daylist_quantile(list, 0.75) - daylist_quantile(list, 0.25));
	if (recency_results(&state->recent, &recent, &recent_n))
	{
		set_float(figures, RECENT_DAYS_LATE, recent);
		set_float(figures, RECENT_N, recent_n);
	}
	set(figures, FIRST_PAID_DATE, DateADTGetDatum(state->paid_dates.least));
	set(figures, LAST_PAID_DATE, DateADTGetDatum(state->paid_dates.most));
}

/* Standard deviations of a sample, and their ratio to the mean. */
static void
set_spread(Figures *figures, const PaidSums *paid, const Moments *moments)
{
	double		to_pay;

	if (moments->n < 2)
		return;
	set_float(figures, SD_DAYS_LATE, sqrt(moments->days / (moments->n - 1)));
	to_pay = central_product((int64) moments->n, paid->to_pay, paid->to_pay,
							 paid->to_pay2);
	/* of sums that came in bytes nobody knows whether they belong together */
	to_pay = sqrt(Max(to_pay, 0) / (moments->n - 1));
	set_float(figures, SD_DAYS_TO_PAY, to_pay);
	if (paid->to_pay > 0)
		set_float(figures, CV_DAYS_TO_PAY,
				  to_pay / ((double) paid->to_pay / moments->n));
}

/* Least squares of days late over the day of payment. */
static void
set_trend(Figures *figures, const Moments *moments)
{
	double		df = moments->n - 2;
	double		slope;
	double		rest;
	double		se;
	double		p;

	if (moments->n < 3 || moments->x <= 0)
		return;
	slope = moments->x_days / moments->x;
	rest = moments->days - slope * moments->x_days;
	/* on a line but for the last bits */
	if (rest <= moments->days * 1e-14)
		rest = 0;
	se = sqrt(rest / df / moments->x);
	set_float(figures, TREND_SLOPE, slope * TREND_DAYS);
	set_float(figures, TREND_SE, se * TREND_DAYS);
	if (se > 0)
	{
		set_float(figures, TREND_T, slope / se);
		p = probability_student(slope / se, df);
	}
	else
		p = slope == 0 ? 1 : 0;
	set_float(figures, TREND_P, p);
	set_ratio(figures, TREND_R2, slope * moments->x_days, moments->days);
	set(figures, IS_WORSENING,
		BoolGetDatum(slope > 0 && p < WORSENING_P && moments->n >= WORSENING_N));
}

static void
set_moments(Figures *figures, const PaidSums *paid, int64 n)
{
	Moments		moments;

	moments.n = (double) n;
	moments.x = central_product(n, paid->x, paid->x, paid->x2);
	moments.days = central_product(n, paid->days, paid->days, paid->days2);
	moments.x_days = central_product(n, paid->x, paid->days, paid->x_days);
	set_spread(figures, paid, &moments);
	set_trend(figures, &moments);
}

/* All sums over payments: the histogram has most of some. */
static PaidSums
paid_sums(const PaymentState *state, const DayList *list)
{
	PaidSums	paid = state->paid;

	for (int i = 0; i < list->n; i++)
	{
		const DaySlot *slot = &list->slots[i];
		int64		day = day_of(slot);

		paid.days += (int128) count_of(slot) * day;
		paid.days2 += (int128) count_of(slot) * (day * day);
		paid.amount_days += slot->amount * day;
		paid.amount_late += slot->amount * Max(day, 0);
	}
	return paid;
}

/* How many columns a result has. */
int
payment_columns(void)
{
	return NCOLUMNS;
}

TupleDesc
payment_row_type(FunctionCallInfo fcinfo)
{
	return aggregate_row_type(fcinfo, PAYMENT_AGGREGATE, NCOLUMNS);
}

/* The row of results; the state is NULL where there was no row. */
Datum
payment_measures(PaymentState *state, TupleDesc desc)
{
	DayList		list = {0};
	PaidSums	paid;
	Figures		figures;

	figures_init(&figures);
	if (state != NULL)
		dayhist_list(&state->hist, &list);
	set_counts(&figures, state, list.count);
	if (list.count > 0 || (state != NULL && state->n_open > 0))
	{
		set_amounts(&figures, state);
		set_on_time(&figures, state, &list);
		set_index(&figures, state, &list);
		set_open(&figures, state);
	}
	if (list.count > 0)
	{
		paid = paid_sums(state, &list);
		set_lateness(&figures, state, &paid, &list);
		set_moments(&figures, &paid, list.count);
	}
	return HeapTupleGetDatum(heap_form_tuple(desc, figures.values, figures.nulls));
}

/* payment_final(internal) */
Datum
credit_payment_final(PG_FUNCTION_ARGS)
{
	PaymentState *state = NULL;

	aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	if (!PG_ARGISNULL(0))
		state = payment_settled((PaymentLog *) PG_GETARG_POINTER(0));
	PG_RETURN_DATUM(payment_measures(state, payment_row_type(fcinfo)));
}

/*
 * cycle.c
 *	  Whether a customer pays in a rhythm: aggregate payment_cycle().
 *
 * Several payments on one day count once, so the state is the set of days on
 * which the customer paid: a list that is sorted, and rid of what came twice,
 * when it is full.  All measures are read from the sorted list, so they do not
 * depend on the order of rows.
 */
#include "postgres.h"

#include <math.h>

#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "credit.h"
#include "figures.h"

#define AGGREGATE "payment_cycle"
#define SERIAL_VERSION 1

/* 32 bytes to begin with, half a megabyte at most */
#define FIRST_DAYS 8
#define MAX_DAYS 100000

/* What makes a habit. */
#define HABIT_STRENGTH 0.8
#define HABIT_P 0.05
#define HABIT_N 6
/* Below, there is nothing to say. */
#define LEAST_N 3

/* Mean length of a month */
#define MONTH_DAYS 30.4375

typedef struct CycleState
{
	MemoryContext cxt;
	int64		n_payments;
	int64		n_skipped;
	DateADT    *days;
	int			n;
	int			capacity;
	bool		is_sorted;		/* and no day is there twice */
} CycleState;

/* Days on a circle */
typedef struct Circle
{
	double		c;				/* sums of cosines and sines */
	double		s;
	double		strength;		/* mean resultant length, 0 to 1 */
	double		p;				/* Rayleigh */
	double		place;			/* mean direction as a part of the circle */
} Circle;

/* Columns of credit.cycle_measures, in order. */
typedef enum Column
{
	N_PAYMENTS, N_DAYS, N_SKIPPED,
	MEAN_INTERVAL, SD_INTERVAL, CV_INTERVAL,
	WEEKDAY_STRENGTH, WEEKDAY_P, MEAN_WEEKDAY,
	MONTH_DAY_STRENGTH, MONTH_DAY_P, MEAN_MONTH_DAY,
	MONTH_END_STRENGTH, MONTH_END_P, MEAN_MONTH_END,
	HABIT, HABIT_DAY,
	PERIOD, PERIOD_STRENGTH, PERIOD_P,
	FIRST_PAID_DATE, LAST_PAID_DATE,
	NCOLUMNS
} Column;

PG_FUNCTION_INFO_V1(credit_cycle_accum);
PG_FUNCTION_INFO_V1(credit_cycle_combine);
PG_FUNCTION_INFO_V1(credit_cycle_serialize);
PG_FUNCTION_INFO_V1(credit_cycle_deserialize);
PG_FUNCTION_INFO_V1(credit_cycle_final);

/* --- state ---------------------------------------------------------------- */

static CycleState *
make_state(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = aggregate_context(fcinfo, AGGREGATE);
	CycleState *state = MemoryContextAllocZero(cxt, sizeof(CycleState));

	state->cxt = cxt;
	state->capacity = FIRST_DAYS;
	state->days = MemoryContextAlloc(cxt, FIRST_DAYS * sizeof(DateADT));
	state->is_sorted = true;
	return state;
}

static int
compare_days(const void *a, const void *b)
{
	DateADT		x = *(const DateADT *) a;
	DateADT		y = *(const DateADT *) b;

	return (x > y) - (x < y);
}

/*
 * Each day once, in order.  The number of days is looked at here only, so
 * whether there are too many does not depend on how rows came.
 */
static void
sort_days(CycleState *state)
{
	int			n = 0;

	if (!state->is_sorted)
	{
		qsort(state->days, state->n, sizeof(DateADT), compare_days);
		for (int i = 0; i < state->n; i++)
			if (n == 0 || state->days[i] != state->days[n - 1])
				state->days[n++] = state->days[i];
		state->n = n;
		state->is_sorted = true;
	}
	if (state->n > MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many days of payment in one group of aggregate \"%s\"",
						AGGREGATE),
				 errdetail("There are more than %d.", MAX_DAYS),
				 errhint("Group by customer, or leave out dates that cannot be true.")));
}

static void
add_day(CycleState *state, DateADT day)
{
	if (state->n > 0 && state->days[state->n - 1] == day)
		return;
	if (state->n == state->capacity)
	{
		sort_days(state);
		/* now the last one is the latest, which can be this one */
		if (state->days[state->n - 1] == day)
			return;
		/* room for a quarter more, or the next sort comes too soon */
		if (state->n > state->capacity / 4 * 3)
		{
			state->capacity *= 2;
			state->days = repalloc(state->days, state->capacity * sizeof(DateADT));
		}
	}
	if (state->n > 0 && state->days[state->n - 1] > day)
		state->is_sorted = false;
	state->days[state->n++] = day;
}

/* cycle_accum(internal, date) */
Datum
credit_cycle_accum(PG_FUNCTION_ARGS)
{
	CycleState *state = PG_ARGISNULL(0) ? make_state(fcinfo) :
		(CycleState *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1) || DATE_NOT_FINITE(PG_GETARG_DATEADT(1)))
		state->n_skipped++;
	else
	{
		state->n_payments++;
		add_day(state, PG_GETARG_DATEADT(1));
	}
	PG_RETURN_POINTER(state);
}

/* --- between processes ---------------------------------------------------- */

Datum
credit_cycle_combine(PG_FUNCTION_ARGS)
{
	CycleState *state;
	CycleState *other;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	other = (CycleState *) PG_GETARG_POINTER(1);
	state = PG_ARGISNULL(0) ? make_state(fcinfo) :
		(CycleState *) PG_GETARG_POINTER(0);
	state->n_payments += other->n_payments;
	state->n_skipped += other->n_skipped;
	for (int i = 0; i < other->n; i++)
		add_day(state, other->days[i]);
	PG_RETURN_POINTER(state);
}

Datum
credit_cycle_serialize(PG_FUNCTION_ARGS)
{
	CycleState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (CycleState *) PG_GETARG_POINTER(0);
	sort_days(state);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint64(&buf, state->n_payments);
	pq_sendint64(&buf, state->n_skipped);
	pq_sendint32(&buf, state->n);
	for (int i = 0; i < state->n; i++)
		pq_sendint32(&buf, state->days[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
credit_cycle_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	CycleState *state;
	int			n;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	state = make_state(fcinfo);
	state->n_payments = aggregate_receive_count(&buf, AGGREGATE);
	state->n_skipped = aggregate_receive_count(&buf, AGGREGATE);
	n = (int) pq_getmsgint(&buf, 4);
	if (n < 0 || n > MAX_DAYS)
		aggregate_refuse_bytes(AGGREGATE);
	for (int i = 0; i < n; i++)
	{
		DateADT		day = (DateADT) pq_getmsgint(&buf, 4);

		/* what comes from date2j() and back must stay in range */
		if (!IS_VALID_DATE(day))
			aggregate_refuse_bytes(AGGREGATE);
		add_day(state, day);
	}
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- results -------------------------------------------------------------- */

/* Adds a day by its place on the circle, 0 to 1. */
static inline void
turn(Circle *circle, double place)
{
	circle->c += cos(2 * M_PI * place);
	circle->s += sin(2 * M_PI * place);
}

/* Strength and direction of n days; p by Zar's approximation. */
static void
finish_circle(Circle *circle, double n)
{
	double		length = Min(hypot(circle->c, circle->s), n);

	circle->strength = length / n;
	circle->p = Min(exp(sqrt(1 + 4 * n + 4 * (n * n - length * length)) -
						(1 + 2 * n)), 1);
	circle->place = atan2(circle->s, circle->c) / (2 * M_PI);
	/* rounding must not turn a first day into the last */
	if (circle->place < -1e-12)
		circle->place += 1;
}

static void
set_intervals(Figures *figures, const CycleState *state)
{
	int			n = state->n - 1;
	double		mean = ((double) state->days[n] - state->days[0]) / n;
	double		sum = 0;
	double		sd;

	for (int i = 1; i <= n; i++)
	{
		double		off = ((double) state->days[i] - state->days[i - 1]) - mean;

		sum += off * off;
	}
	sd = sqrt(sum / (n - 1));
	set_float(figures, MEAN_INTERVAL, mean);
	set_float(figures, SD_INTERVAL, sd);
	set_float(figures, CV_INTERVAL, sd / mean);
}

/* Weekday, day of the month, days to its end, for all days. */
static void
find_circles(const CycleState *state, Circle *weekday, Circle *month_day,
			 Circle *month_end)
{
	for (int i = 0; i < state->n; i++)
	{
		int			julian = state->days[i] + POSTGRES_EPOCH_JDATE;
		int			year;
		int			month;
		int			day;
		double		length;

		j2date(julian, &year, &month, &day);
		length = day_tab[isleap(year)][month - 1];
		turn(weekday, (j2day(julian) + 6) % 7 / 7.0);
		turn(month_day, (day - 1) / length);
		turn(month_end, (length - day) / length);
	}
	finish_circle(weekday, state->n);
	finish_circle(month_day, state->n);
	finish_circle(month_end, state->n);
}

/* Columns strength, p and mean day from this one on. */
static void
set_circle(Figures *figures, Column column, const Circle *circle, double length)
{
	set_float(figures, column, circle->strength);
	set_float(figures, column + 1, circle->p);
	set_float(figures, column + 2, 1 + circle->place * length);
}

/* The strongest of those that are a habit; what is the same, the first. */
static void
set_habit(Figures *figures, const Circle *circles, int n)
{
	static const char *const names[] = {"weekday", "month_day", "month_end"};
	static const double lengths[] = {7, MONTH_DAYS, MONTH_DAYS};
	int			habit = -1;
	int			day;

	for (int i = 0; i < 3; i++)
		if (n >= HABIT_N && circles[i].strength >= HABIT_STRENGTH &&
			circles[i].p < HABIT_P &&
			(habit < 0 || circles[i].strength > circles[habit].strength))
			habit = i;
	if (habit < 0)
		return;
	day = 1 + (int) floor(circles[habit].place * lengths[habit] + 0.5);
	/* nearest to the first day from the other side */
	if (day > lengths[habit])
		day = 1;
	set(figures, HABIT, CStringGetTextDatum(names[habit]));
	set(figures, HABIT_DAY, Int32GetDatum(day));
}

/*
 * The period with the smallest p, which is multiplied by the number tried; of
 * equal ones the longest, since who pays each second week pays weekly, too.
 */
static void
set_period(Figures *figures, const CycleState *state)
{
	static const double periods[] = {7, 14, MONTH_DAYS};
	double		best = 2;

	for (int i = 0; i < (int) lengthof(periods); i++)
	{
		Circle		circle = {0};

		for (int j = 0; j < state->n; j++)
			turn(&circle, fmod(state->days[j], periods[i]) / periods[i]);
		finish_circle(&circle, state->n);
		if (circle.p > best * (1 + 1e-9))
			continue;
		best = circle.p;
		set_float(figures, PERIOD, periods[i]);
		set_float(figures, PERIOD_STRENGTH, circle.strength);
		set_float(figures, PERIOD_P, Min(circle.p * lengthof(periods), 1));
	}
}

/* cycle_final(internal) */
Datum
credit_cycle_final(PG_FUNCTION_ARGS)
{
	CycleState *state = NULL;
	Figures		figures;

	aggregate_context(fcinfo, AGGREGATE);
	figures_init(&figures);
	if (!PG_ARGISNULL(0))
	{
		state = (CycleState *) PG_GETARG_POINTER(0);
		sort_days(state);
	}
	set(&figures, N_PAYMENTS, Int64GetDatum(state ? state->n_payments : 0));
	set(&figures, N_DAYS, Int32GetDatum(state ? state->n : 0));
	set(&figures, N_SKIPPED, Int64GetDatum(state ? state->n_skipped : 0));
	if (state != NULL && state->n > 0)
	{
		set(&figures, FIRST_PAID_DATE, DateADTGetDatum(state->days[0]));
		set(&figures, LAST_PAID_DATE, DateADTGetDatum(state->days[state->n - 1]));
	}
	if (state != NULL && state->n >= LEAST_N)
	{
		Circle		circles[3] = {0};

		set_intervals(&figures, state);
		find_circles(state, &circles[0], &circles[1], &circles[2]);
		set_circle(&figures, WEEKDAY_STRENGTH, &circles[0], 7);
		set_circle(&figures, MONTH_DAY_STRENGTH, &circles[1], MONTH_DAYS);
		set_circle(&figures, MONTH_END_STRENGTH, &circles[2], MONTH_DAYS);
		set_habit(&figures, circles, state->n);
		set_period(&figures, state);
	}
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, AGGREGATE, NCOLUMNS));
}

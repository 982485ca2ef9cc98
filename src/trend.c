/*
 * trend.c
 *	  Whether a value rises or falls in time, by ranks: aggregate
 *	  robust_trend().
 *
 * The test of Mann and Kendall asks of each two days which value is larger;
 * the slope of Theil and Sen is the median of the slopes between each two
 * days.  One wild value moves neither.  Both look at all pairs of days, which
 * is why only the latest 2,000 days are looked at: two million pairs.
 */
#include "postgres.h"

#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "credit.h"
#include "figures.h"
#include "probability.h"
#include "series.h"

#define AGGREGATE "robust_trend"
#define SERIAL_VERSION 1

/* Days that are looked at, and below which there is nothing to say */
#define MAX_DAYS 2000
#define LEAST_DAYS 4
/* Up to so many days p is counted out. */
#define EXACT_DAYS 10
#define EXACT_PAIRS (EXACT_DAYS * (EXACT_DAYS - 1) / 2)
/* A slope is shown for so many days. */
#define SLOPE_DAYS 30
/* What makes a trend one. */
#define TREND_P 0.05

typedef struct TrendState
{
	Series		series;
} TrendState;

/* Columns of credit.trend_measures, in order. */
typedef enum Column
{
	N_ROWS, N_DAYS, N_OLDER, N_CREDITS, N_SKIPPED,
	FIRST_DAY, LAST_DAY,
	KENDALL_S, KENDALL_VARIANCE, KENDALL_Z, KENDALL_TAU,
	P_NORMAL, P_EXACT, P, SLOPE, DIRECTION,
	NCOLUMNS
} Column;

/* Mann-Kendall */
typedef struct Kendall
{
	int64		s;
	int64		variance18;		/* 18 times the variance of s */
	double		z;
	double		p_normal;
	bool		has_exact;
	double		p_exact;
} Kendall;

PG_FUNCTION_INFO_V1(credit_trend_accum);
PG_FUNCTION_INFO_V1(credit_trend_accum_weighted);
PG_FUNCTION_INFO_V1(credit_trend_combine);
PG_FUNCTION_INFO_V1(credit_trend_serialize);
PG_FUNCTION_INFO_V1(credit_trend_deserialize);
PG_FUNCTION_INFO_V1(credit_trend_final);

/* --- state -------------------------------------------------------------- */

static TrendState *
make_state(FunctionCallInfo fcinfo)
{
	MemoryContext cxt = aggregate_context(fcinfo, AGGREGATE);
	TrendState *state = MemoryContextAlloc(cxt, sizeof(TrendState));

	series_init(&state->series, cxt, AGGREGATE);
	return state;
}

static Datum
accumulate(FunctionCallInfo fcinfo, int weight_arg)
{
	TrendState *state = PG_ARGISNULL(0) ? make_state(fcinfo) :
		(TrendState *) PG_GETARG_POINTER(0);

	series_add(&state->series, fcinfo, 1, weight_arg);
	PG_RETURN_POINTER(state);
}

/* trend_accum(internal, date, float8) */
Datum
credit_trend_accum(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 0);
}

/* trend_accum(internal, date, float8, numeric) */
Datum
credit_trend_accum_weighted(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 3);
}

Datum
credit_trend_combine(PG_FUNCTION_ARGS)
{
	TrendState *state;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	state = PG_ARGISNULL(0) ? make_state(fcinfo) :
		(TrendState *) PG_GETARG_POINTER(0);
	series_combine(&state->series, &((TrendState *) PG_GETARG_POINTER(1))->series);
	PG_RETURN_POINTER(state);
}

Datum
credit_trend_serialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	series_serialize(&buf, &((TrendState *) PG_GETARG_POINTER(0))->series);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
credit_trend_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	TrendState *state;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	state = make_state(fcinfo);
	series_deserialize(&buf, &state->series);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- Mann-Kendall ------------------------------------------------------- */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* How many days have the same value, value by value; returns how many values. */
static int
find_ties(const SeriesValue *values, int n, int *ties)
{
	double	   *sorted = palloc(n * sizeof(double));
	int			nvalues = 0;

	for (int i = 0; i < n; i++)
		sorted[i] = values[i].value;
	qsort(sorted, n, sizeof(double), compare_doubles);
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || sorted[i] != sorted[i - 1])
			ties[nvalues++] = 0;
		ties[nvalues - 1]++;
	}
	pfree(sorted);
	return nvalues;
}

/*
 * How probable |s| or more is if each order of the values is as probable as
 * any other.  s is the number of pairs of different values less twice the
 * inversions, and arrangements of a multiset by inversions are counted by the
 * product of the Gaussian binomials (m choose t) over the ties t, m being
 * their running sum: polynomials that are multiplied by 1 - q^(m - t + j) and
 * divided by 1 - q^j.
 */
static double
exact_p(int64 s, const int *ties, int nvalues)
{
	int64		count[EXACT_PAIRS + 1] = {1};
	int64		all = 0;
	int64		as_far = 0;
	int			degree = 0;		/* pairs of different values so far */
	int			m = 0;

	for (int v = 0; v < nvalues; v++)
	{
		degree += m * ties[v];
		m += ties[v];
		for (int j = 1; j <= ties[v]; j++)
		{
			int			up = m - ties[v] + j;

			for (int i = EXACT_PAIRS; i >= up; i--)
				count[i] -= count[i - up];
			for (int i = j; i <= EXACT_PAIRS; i++)
				count[i] += count[i - j];
		}
	}
	for (int i = 0; i <= degree; i++)
	{
		all += count[i];
		if (Abs(degree - 2 * i) >= Abs(s))
			as_far += count[i];
	}
	return (double) as_far / all;
}

static void
find_kendall(const SeriesValue *values, int n, Kendall *kendall)
{
	int		   *ties = palloc(n * sizeof(int));
	int			nvalues = find_ties(values, n, ties);
	double		sd;

	kendall->s = 0;
	for (int i = 1; i < n; i++)
		for (int j = 0; j < i; j++)
			kendall->s += (values[i].value > values[j].value) -
				(values[i].value < values[j].value);
	kendall->variance18 = (int64) n * (n - 1) * (2 * n + 5);
	for (int i = 0; i < nvalues; i++)
		kendall->variance18 -= (int64) ties[i] * (ties[i] - 1) * (2 * ties[i] + 5);
	sd = sqrt(kendall->variance18 / 18.0);
	/* all values the same: s is 0, too */
	kendall->z = kendall->s == 0 ? 0 :
		(kendall->s > 0 ? kendall->s - 1 : kendall->s + 1) / sd;
	kendall->p_normal = probability_normal(kendall->z);
	kendall->has_exact = n <= EXACT_DAYS;
	if (kendall->has_exact)
		kendall->p_exact = exact_p(kendall->s, ties, nvalues);
	pfree(ties);
}

/* --- Theil-Sen ---------------------------------------------------------- */

/* Moves the element of rank k to its place; less before it, more behind. */
static void
select_rank(double *a, int n, int k)
{
	int			left = 0;
	int			right = n - 1;

	while (left < right)
	{
		double		pivot = a[left + (right - left) / 2];
		int			i = left;
		int			j = right;

		CHECK_FOR_INTERRUPTS();
		while (i <= j)
		{
			while (a[i] < pivot)
				i++;
			while (a[j] > pivot)
				j--;
			if (i <= j)
			{
				double		swap = a[i];

				a[i++] = a[j];
				a[j--] = swap;
			}
		}
		if (k <= j)
			right = j;
		else if (k >= i)
			left = i;
		else
			return;
	}
}

/* The median of all slopes, by day.  Values of one day have been merged. */
static double
find_slope(const SeriesValue *values, int n)
{
	int			nslopes = n * (n - 1) / 2;
	double	   *slopes = palloc(nslopes * sizeof(double));
	int			k = 0;
	double		median;

	for (int i = 1; i < n; i++)
		for (int j = 0; j < i; j++)
			slopes[k++] = (values[i].value - values[j].value) /
				((double) values[i].day - values[j].day);
	select_rank(slopes, nslopes, nslopes / 2);
	median = slopes[nslopes / 2];
	if (nslopes % 2 == 0)
	{
		double		below = slopes[0];

		for (int i = 1; i < nslopes / 2; i++)
			below = Max(below, slopes[i]);
		median = below + (median - below) / 2;
	}
	pfree(slopes);
	return median;
}

/* --- result ------------------------------------------------------------- */

static void
set_trend(Figures *figures, const SeriesValue *values, int n)
{
	Kendall		kendall;
	double		p;

	find_kendall(values, n, &kendall);
	p = kendall.has_exact ? kendall.p_exact : kendall.p_normal;
	set_count(figures, KENDALL_S, kendall.s);
	set_float(figures, KENDALL_VARIANCE, kendall.variance18 / 18.0);
	set_float(figures, KENDALL_Z, kendall.z);
	set_float(figures, KENDALL_TAU, kendall.s / (n * (n - 1) / 2.0));
	set_float(figures, P_NORMAL, kendall.p_normal);
	if (kendall.has_exact)
		set_float(figures, P_EXACT, kendall.p_exact);
	set_float(figures, P, p);
	set_float(figures, SLOPE, find_slope(values, n) * SLOPE_DAYS);
	set(figures, DIRECTION,
		CStringGetTextDatum(p >= TREND_P ? "none" :
							kendall.s > 0 ? "rising" : "falling"));
}

/* trend_final(internal) */
Datum
credit_trend_final(PG_FUNCTION_ARGS)
{
	const Series *series = NULL;
	SeriesValue *values = NULL;
	int			n = 0;
	int			nolder;
	Figures		figures;

	aggregate_context(fcinfo, AGGREGATE);
	figures_init(&figures);
	if (!PG_ARGISNULL(0))
	{
		series = &((TrendState *) PG_GETARG_POINTER(0))->series;
		values = series_values(series, &n);
	}
	nolder = Max(n - MAX_DAYS, 0);
	n -= nolder;
	set_count(&figures, N_ROWS, series ? series->n_rows : 0);
	set(&figures, N_DAYS, Int32GetDatum(n));
	set(&figures, N_OLDER, Int32GetDatum(nolder));
	set_count(&figures, N_CREDITS, series ? series->n_credits : 0);
	set_count(&figures, N_SKIPPED, series ? series->n_skipped : 0);
	if (n > 0)
	{
		set(&figures, FIRST_DAY, DateADTGetDatum(values[nolder].day));
		set(&figures, LAST_DAY, DateADTGetDatum(values[nolder + n - 1].day));
	}
	if (n >= LEAST_DAYS)
		set_trend(&figures, values + nolder, n);
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, AGGREGATE, NCOLUMNS));
}

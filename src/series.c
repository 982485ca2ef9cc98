/*
 * series.c
 *	  Values by day, several of one day merged by weight: what a trend and a
 *	  change are looked for in.
 *
 * A sum of floats depends on the order in which it is taken.  So no sum of
 * values is kept, but each value with the exact sum of its weights; days late
 * are whole numbers, of which there are few.  The mean of a day is taken in
 * the end, in the order of values.  Where they have few decimals it is exact
 * but for the last rounding, so equal means are equal, which a test of ranks
 * needs.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"

#include "aggregate.h"
#include "bag.h"
#include "series.h"

/* Values whose products with weights are taken in whole numbers: millionths */
#define MAX_DECIMAL 2147483647.0
#define DECIMAL_PARTS 1000000
/* Whole numbers up to here have a float each. */
#define MAX_EXACT ((int128) 1 << 53)

void
series_init(Series *series, MemoryContext cxt, const char *aggregate)
{
	series->n_rows = 0;
	series->n_skipped = 0;
	series->n_credits = 0;
	timeline_init(&series->line, cxt, aggregate);
}

/*
 * Adds a row: the day, the value behind it, and the weight, whose argument is
 * 0 where all weigh the same.
 */
void
series_add(Series *series, FunctionCallInfo fcinfo, int day_arg, int weight_arg)
{
	static const Amount one = {100000000, NULL};
	Amount		weight = one;
	DateADT		day;
	double		value;
	int			scale = 0;

	if (unlikely(PG_ARGISNULL(day_arg) || PG_ARGISNULL(day_arg + 1) ||
				 (weight_arg > 0 && PG_ARGISNULL(weight_arg))))
	{
		series->n_skipped++;
		return;
	}
	day = PG_GETARG_DATEADT(day_arg);
	value = PG_GETARG_FLOAT8(day_arg + 1);
	if (unlikely(DATE_NOT_FINITE(day) || isnan(value) || isinf(value) ||
				 (weight_arg > 0 &&
				  !amount_read(PG_GETARG_DATUM(weight_arg), &weight, &scale))))
		series->n_skipped++;
	else if (unlikely(amount_sign(&weight) <= 0))
		series->n_credits++;
	else
	{
		series->n_rows++;
		timeline_add(&series->line, day, key_of_float(value), &weight);
	}
}

void
series_combine(Series *series, const Series *other)
{
	series->n_rows += other->n_rows;
	series->n_skipped += other->n_skipped;
	series->n_credits += other->n_credits;
	timeline_combine(&series->line, &other->line);
}

/* --- means -------------------------------------------------------------- */

static int128
common_divisor(int128 a, int128 b)
{
	while (b != 0)
	{
		int128		rest = a % b;

		a = b;
		b = rest;
	}
	return a < 0 ? -a : a;
}

/* The same float for the same ratio, however large both are. */
static double
exact_ratio(int128 numerator, int128 denominator)
{
	if (numerator > MAX_EXACT || numerator < -MAX_EXACT ||
		denominator > MAX_EXACT)
	{
		int128		divisor = common_divisor(numerator, denominator);

		numerator /= divisor;
		denominator /= divisor;
	}
	return (double) numerator / (double) denominator;
}

/*
 * The value in millionths, if it is the float that stands for a number of up to
 * six decimals.
 */
static bool
find_parts(double value, int128 *parts)
{
	double		whole = rint(value * DECIMAL_PARTS);

	if (fabs(value) > MAX_DECIMAL || whole / DECIMAL_PARTS != value)
		return false;
	*parts = (int128) whole;
	return true;
}

/* The mean of one day in whole numbers.  False: they do not do. */
static bool
decimal_mean(const TimelineItem *items, int n, double *mean)
{
	int128		sum = 0;
	int128		weight = 0;

	for (int i = 0; i < n; i++)
	{
		int128		parts;
		int128		product;

		if (items[i].amount.rest != NULL ||
			!find_parts(float_of_key(items[i].sub), &parts) ||
			__builtin_mul_overflow(items[i].amount.units, parts, &product) ||
			__builtin_add_overflow(sum, product, &sum) ||
			__builtin_add_overflow(weight, items[i].amount.units, &weight))
			return false;
	}
	if (__builtin_mul_overflow(weight, (int128) DECIMAL_PARTS, &weight))
		return false;
	*mean = exact_ratio(sum, weight);
	return true;
}

/* The mean of one day, whose values are in order. */
static double
mean_of(const TimelineItem *items, int n)
{
	double		first = float_of_key(items[0].sub);
	double		last = float_of_key(items[n - 1].sub);
	double		weight = 0;
	double		mean = 0;

	if (n == 1 || decimal_mean(items, n, &mean))
		return n == 1 ? first : mean;
	for (int i = 0; i < n; i++)
		weight += amount_double(&items[i].amount);
	/* weights may be larger than any float, or smaller */
	if (isinf(weight) || weight == 0)
		return first / 2 + last / 2;
	for (int i = 0; i < n; i++)
		mean += amount_double(&items[i].amount) / weight *
			float_of_key(items[i].sub);
	return Max(first, Min(last, mean));
}

/* One value a day, in the order of days. */
SeriesValue *
series_values(const Series *series, int *n)
{
	TimelineItem *items = timeline_list(&series->line);
	int			nitems = (int) series->line.nused;
	SeriesValue *values = palloc(Max(nitems, 1) * sizeof(SeriesValue));
	int			end;

	*n = 0;
	for (int i = 0; i < nitems; i = end)
	{
		for (end = i + 1; end < nitems && items[end].day == items[i].day; end++)
			 /* all values of the day */ ;
		values[*n].day = items[i].day;
		values[(*n)++].value = mean_of(items + i, end - i);
	}
	pfree(items);
	return values;
}

/* --- between processes -------------------------------------------------- */

void
series_serialize(StringInfo buf, const Series *series)
{
	pq_sendint64(buf, series->n_rows);
	pq_sendint64(buf, series->n_skipped);
	pq_sendint64(buf, series->n_credits);
	timeline_serialize(buf, &series->line);
}

void
series_deserialize(StringInfo buf, Series *series)
{
	Timeline	   *line = &series->line;

	series->n_rows = aggregate_receive_count(buf, line->aggregate);
	series->n_skipped = aggregate_receive_count(buf, line->aggregate);
	series->n_credits = aggregate_receive_count(buf, line->aggregate);
	timeline_deserialize(buf, line);
	for (uint32 i = 0; i < line->nslots; i++)
	{
		const TimelineSum *sum = &line->slots[i];
		double		value;
		Amount		weight;

		if (sum->rest == 0)
			continue;
		value = float_of_key(sum->sub);
		weight = timeline_amount(line, sum);
		if (isnan(value) || isinf(value) || amount_sign(&weight) <= 0)
			aggregate_refuse_bytes(line->aggregate);
	}
}

/*
 * change.c
 *	  When a value has changed its level: aggregate change_point(), a
 *	  cumulative sum chart (Page 1954).
 *
 * Each day's value is measured against a baseline, in standard deviations.
 * What it lies above by more than a slack is added up, and the sum never gets
 * below zero; what small deviations in one direction come to is seen long
 * before one of them stands out.  Above a threshold is an alarm, and the sum
 * starts again.  The change began when the sum was last zero.  The other side
 * is the same for what lies below.
 */
#include "postgres.h"

#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "credit.h"
#include "figures.h"
#include "series.h"

#define AGGREGATE "change_point"
#define SERIAL_VERSION 1

#define SLACK 0.5
#define THRESHOLD 5.0
/* A baseline of fewer days is none. */
#define LEAST_REFERENCE 8
/* No customer pays to the day, so less is measured as this. */
#define LEAST_SD 1.0

typedef enum Baseline
{
	GIVEN,						/* mean and standard deviation */
	FIRST_DAYS,					/* the first so many days */
	UNTIL_DAY					/* the days until a date */
} Baseline;

/* What all rows of a group must have in common. */
typedef struct Options
{
	Baseline	baseline;
	bool		has_baseline;	/* is what the baseline is made of not NULL? */
	int32		reference;		/* number of days, or the date */
	double		mean;
	double		sd;
	double		slack;
	double		threshold;
} Options;

typedef struct ChangeState
{
	Options		options;
	Series		series;
} ChangeState;

/* Columns of credit.change_measures, in order. */
typedef enum Column
{
	N_ROWS, N_DAYS, N_REFERENCE, N_CREDITS, N_SKIPPED,
	FIRST_DAY, LAST_DAY, MEAN, SD,
	N_RISES, FIRST_RISE, FIRST_RISE_BEGAN, LAST_RISE, LAST_RISE_BEGAN, RISE_SUM,
	N_FALLS, FIRST_FALL, FIRST_FALL_BEGAN, LAST_FALL, LAST_FALL_BEGAN, FALL_SUM,
	NCOLUMNS
} Column;

/* One side of the chart */
typedef struct Side
{
	double		sum;
	DateADT		zero;			/* day on which it was last 0 */
	int			n;				/* alarms */
	DateADT		first;
	DateADT		first_began;
	DateADT		last;
	DateADT		last_began;
} Side;

PG_FUNCTION_INFO_V1(credit_change_accum_given);
PG_FUNCTION_INFO_V1(credit_change_accum_given_options);
PG_FUNCTION_INFO_V1(credit_change_accum_days);
PG_FUNCTION_INFO_V1(credit_change_accum_days_options);
PG_FUNCTION_INFO_V1(credit_change_accum_until);
PG_FUNCTION_INFO_V1(credit_change_accum_until_options);
PG_FUNCTION_INFO_V1(credit_change_combine);
PG_FUNCTION_INFO_V1(credit_change_serialize);
PG_FUNCTION_INFO_V1(credit_change_deserialize);
PG_FUNCTION_INFO_V1(credit_change_final);

/* --- options ------------------------------------------------------------ */

static void
refuse_option(const char *name, const char *what, double value)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s of a change point must be %s", name, what),
			 errdetail("It is %g.", value)));
}

static bool
is_valid(const Options *options)
{
	if (!(options->slack >= 0) || isinf(options->slack) ||
		!(options->threshold > 0) || isinf(options->threshold))
		return false;
	if (!options->has_baseline || options->baseline == UNTIL_DAY)
		return true;
	if (options->baseline == FIRST_DAYS)
		return options->reference >= LEAST_REFERENCE;
	return !isnan(options->mean) && !isinf(options->mean) &&
		options->sd >= 0 && !isinf(options->sd);
}

/* Says what is wrong. */
static void
check_options(const Options *options)
{
	if (is_valid(options))
		return;
	if (options->has_baseline && options->baseline == GIVEN)
	{
		if (isnan(options->mean) || isinf(options->mean))
			refuse_option("mean", "a finite number", options->mean);
		if (!(options->sd >= 0) || isinf(options->sd))
			refuse_option("standard deviation", "a finite number from 0 on", options->sd);
	}
	if (options->has_baseline && options->baseline == FIRST_DAYS &&
		options->reference < LEAST_REFERENCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("reference of a change point must have at least %d days", LEAST_REFERENCE),
				 errdetail("It has %d.", options->reference),
				 errhint("Give mean and standard deviation of the segment instead.")));
	if (!(options->slack >= 0) || isinf(options->slack))
		refuse_option("slack", "a finite number from 0 on", options->slack);
	if (!(options->threshold > 0) || isinf(options->threshold))
		refuse_option("threshold", "a finite number above 0", options->threshold);
}

/* Slack and threshold, from argument 0 on. */
static void
read_slack(FunctionCallInfo fcinfo, Options *options, int arg)
{
	options->slack = SLACK;
	options->threshold = THRESHOLD;
	if (arg == 0)
		return;
	if (PG_ARGISNULL(arg) || PG_ARGISNULL(arg + 1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("slack and threshold of a change point must not be null")));
	options->slack = PG_GETARG_FLOAT8(arg);
	options->threshold = PG_GETARG_FLOAT8(arg + 1);
}

static void
read_options(FunctionCallInfo fcinfo, Options *options, Baseline baseline,
			 bool has_slack)
{
	memset(options, 0, sizeof(Options));
	options->baseline = baseline;
	options->has_baseline = !PG_ARGISNULL(4) &&
		(baseline != GIVEN || !PG_ARGISNULL(5));
	if (options->has_baseline && baseline == GIVEN)
	{
		options->mean = PG_GETARG_FLOAT8(4);
		options->sd = PG_GETARG_FLOAT8(5);
	}
	else if (options->has_baseline)
		options->reference = PG_GETARG_INT32(4);
	read_slack(fcinfo, options, !has_slack ? 0 : baseline == GIVEN ? 6 : 5);
}

static bool
is_same(const Options *a, const Options *b)
{
	return a->baseline == b->baseline && a->has_baseline == b->has_baseline &&
		a->reference == b->reference && a->mean == b->mean && a->sd == b->sd &&
		a->slack == b->slack && a->threshold == b->threshold;
}

static void
check_same(const Options *a, const Options *b)
{
	if (!is_same(a, b))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("baseline, slack and threshold of a change point must be the same for all rows of a group")));
}

/* --- state -------------------------------------------------------------- */

static ChangeState *
make_state(FunctionCallInfo fcinfo, const Options *options)
{
	MemoryContext cxt = aggregate_context(fcinfo, AGGREGATE);
	ChangeState *state = MemoryContextAlloc(cxt, sizeof(ChangeState));

	state->options = *options;
	series_init(&state->series, cxt, AGGREGATE);
	return state;
}

static pg_attribute_always_inline Datum
accumulate(FunctionCallInfo fcinfo, Baseline baseline, bool has_slack)
{
	ChangeState *state;
	Options		options;

	read_options(fcinfo, &options, baseline, has_slack);
	if (PG_ARGISNULL(0))
	{
		state = make_state(fcinfo, &options);
		check_options(&options);
	}
	else
	{
		state = (ChangeState *) PG_GETARG_POINTER(0);
		check_same(&state->options, &options);
	}
	series_add(&state->series, fcinfo, 1, 3);
	PG_RETURN_POINTER(state);
}

/* change_accum(internal, date, float8, numeric, mean float8, sd float8) */
Datum
credit_change_accum_given(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, GIVEN, false);
}

/* the same and slack float8, threshold float8 */
Datum
credit_change_accum_given_options(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, GIVEN, true);
}

/* change_accum(internal, date, float8, numeric, reference_days integer) */
Datum
credit_change_accum_days(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, FIRST_DAYS, false);
}

Datum
credit_change_accum_days_options(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, FIRST_DAYS, true);
}

/* change_accum(internal, date, float8, numeric, reference_until date) */
Datum
credit_change_accum_until(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, UNTIL_DAY, false);
}

Datum
credit_change_accum_until_options(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, UNTIL_DAY, true);
}

Datum
credit_change_combine(PG_FUNCTION_ARGS)
{
	ChangeState *state;
	ChangeState *other;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	other = (ChangeState *) PG_GETARG_POINTER(1);
	state = PG_ARGISNULL(0) ? make_state(fcinfo, &other->options) :
		(ChangeState *) PG_GETARG_POINTER(0);
	check_same(&state->options, &other->options);
	series_combine(&state->series, &other->series);
	PG_RETURN_POINTER(state);
}

Datum
credit_change_serialize(PG_FUNCTION_ARGS)
{
	ChangeState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (ChangeState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendbyte(&buf, state->options.baseline);
	pq_sendbyte(&buf, state->options.has_baseline);
	pq_sendint32(&buf, state->options.reference);
	pq_sendfloat8(&buf, state->options.mean);
	pq_sendfloat8(&buf, state->options.sd);
	pq_sendfloat8(&buf, state->options.slack);
	pq_sendfloat8(&buf, state->options.threshold);
	series_serialize(&buf, &state->series);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
credit_change_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	ChangeState *state;
	Options		options = {0};
	int			baseline;
	int			has_baseline;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	baseline = pq_getmsgbyte(&buf);
	has_baseline = pq_getmsgbyte(&buf);
	if (baseline > UNTIL_DAY || has_baseline > 1)
		aggregate_refuse_bytes(AGGREGATE);
	options.baseline = (Baseline) baseline;
	options.has_baseline = has_baseline;
	options.reference = (int32) pq_getmsgint(&buf, 4);
	options.mean = pq_getmsgfloat8(&buf);
	options.sd = pq_getmsgfloat8(&buf);
	options.slack = pq_getmsgfloat8(&buf);
	options.threshold = pq_getmsgfloat8(&buf);
	if (!is_valid(&options))
		aggregate_refuse_bytes(AGGREGATE);
	state = make_state(fcinfo, &options);
	series_deserialize(&buf, &state->series);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- result ------------------------------------------------------------- */

/* How many days the reference has; they are the first. */
static int
count_reference(const Options *options, const SeriesValue *values, int n)
{
	int			i = 0;

	if (!options->has_baseline || options->baseline == GIVEN)
		return 0;
	if (options->baseline == FIRST_DAYS)
		return Min(n, options->reference);
	while (i < n && values[i].day <= options->reference)
		i++;
	return i;
}

/* Mean and standard deviation; false: there is no baseline. */
static bool
find_baseline(const Options *options, const SeriesValue *values, int nreference,
			  double *mean, double *sd)
{
	double		squares = 0;

	*mean = options->mean;
	*sd = Max(options->sd, LEAST_SD);
	if (!options->has_baseline || options->baseline == GIVEN)
		return options->has_baseline;
	if (nreference < LEAST_REFERENCE)
		return false;
	*mean = 0;
	for (int i = 0; i < nreference; i++)
		*mean += values[i].value;
	*mean /= nreference;
	for (int i = 0; i < nreference; i++)
		squares += (values[i].value - *mean) * (values[i].value - *mean);
	*sd = Max(sqrt(squares / (nreference - 1)), LEAST_SD);
	/* values that no float can add up or square */
	return !isinf(*mean) && !isnan(*sd) && !isinf(*sd);
}

static void
add_deviation(Side *side, DateADT day, double deviation, double threshold)
{
	side->sum = Max(side->sum + deviation, 0);
	if (side->sum > threshold)
	{
		if (side->n++ == 0)
		{
			side->first = day;
			side->first_began = side->zero;
		}
		side->last = day;
		side->last_began = side->zero;
		side->sum = 0;
	}
	if (side->sum == 0)
		side->zero = day;
}

/* Six columns from this one on: those of falls are in the order of rises. */
static void
set_side(Figures *figures, Column column, const Side *side)
{
	set(figures, column, Int32GetDatum(side->n));
	set_float(figures, column + 5, side->sum);
	if (side->n == 0)
		return;
	set(figures, column + 1, DateADTGetDatum(side->first));
	set(figures, column + 2, DateADTGetDatum(side->first_began));
	set(figures, column + 3, DateADTGetDatum(side->last));
	set(figures, column + 4, DateADTGetDatum(side->last_began));
}

/* There is at least one day. */
static void
set_change(Figures *figures, const Options *options, const SeriesValue *values, int n)
{
	int			nreference = count_reference(options, values, n);
	/* before anything is added up, both were 0 on the last day of reference */
	DateADT		start = values[Min(Max(nreference - 1, 0), n - 1)].day;
	Side		rise = {.zero = start};
	Side		fall = {.zero = start};
	double		mean;
	double		sd;

	set(figures, N_DAYS, Int32GetDatum(n - nreference));
	set(figures, N_REFERENCE, Int32GetDatum(nreference));
	if (!find_baseline(options, values, nreference, &mean, &sd))
		return;
	set_float(figures, MEAN, mean);
	set_float(figures, SD, sd);
	for (int i = nreference; i < n; i++)
	{
		double		z = (values[i].value - mean) / sd;

		add_deviation(&rise, values[i].day, z - options->slack, options->threshold);
		add_deviation(&fall, values[i].day, -z - options->slack, options->threshold);
	}
	set_side(figures, N_RISES, &rise);
	set_side(figures, N_FALLS, &fall);
}

/* change_final(internal) */
Datum
credit_change_final(PG_FUNCTION_ARGS)
{
	ChangeState *state = NULL;
	SeriesValue *values = NULL;
	int			n = 0;
	Figures		figures;

	aggregate_context(fcinfo, AGGREGATE);
	figures_init(&figures);
	if (!PG_ARGISNULL(0))
	{
		state = (ChangeState *) PG_GETARG_POINTER(0);
		values = series_values(&state->series, &n);
	}
	set_count(&figures, N_ROWS, state ? state->series.n_rows : 0);
	set(&figures, N_DAYS, Int32GetDatum(0));
	set(&figures, N_REFERENCE, Int32GetDatum(0));
	set_count(&figures, N_CREDITS, state ? state->series.n_credits : 0);
	set_count(&figures, N_SKIPPED, state ? state->series.n_skipped : 0);
	if (n > 0)
	{
		set(&figures, FIRST_DAY, DateADTGetDatum(values[0].day));
		set(&figures, LAST_DAY, DateADTGetDatum(values[n - 1].day));
		set_change(&figures, &state->options, values, n);
	}
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, AGGREGATE, NCOLUMNS));
}

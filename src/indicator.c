/*
 * indicator.c
 *	  Receivable indicators that need more than a few sums: aggregates
 *	  countback_dso() and true_dso(), and what they share with those in
 *	  capacity.c.
 *
 * All of them look at months: exact sums by month are the state, and the final
 * function goes through the months in order.  A month is numbered from year 0,
 * and which of several sums of a month it is, is its number within the timeline.
 *
 * Indicators that are a ratio of sums are SQL (sql/install/58-indicator.sql).
 */
#include "postgres.h"

#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"

#include "credit.h"
#include "figures.h"
#include "indicator.h"
#include "probability.h"

#define SERIAL_VERSION 1

/* Counts and sums of countback_dso() */
#define N_FUTURE 0
/* of true_dso(): beside n_future */
#define N_CREDITS 1
#define SALES 0					/* of a month */
#define OPEN_DAYS 1				/* open amounts times their age */
#define OPEN 2					/* open amounts */
#define N_OPEN 3				/* their number, in units */

/* Columns of credit.countback_measures, in order. */
typedef enum CountbackColumn
{
	CB_DSO, CB_LOWER_BOUND, CB_N_MONTHS, CB_UNCOVERED, CB_N_FUTURE, CB_N_SKIPPED,
	COUNTBACK_COLUMNS
} CountbackColumn;

/* Columns of credit.true_dso_measures, in order. */
typedef enum TrueColumn
{
	TD_DSO, TD_N_OPEN, TD_OPEN_AMOUNT, TD_N_UNMATCHED, TD_UNMATCHED_AMOUNT,
	TD_N_CREDITS, TD_N_FUTURE, TD_N_SKIPPED,
	TRUE_COLUMNS
} TrueColumn;

PG_FUNCTION_INFO_V1(credit_indicator_combine);
PG_FUNCTION_INFO_V1(credit_indicator_serialize);
PG_FUNCTION_INFO_V1(credit_indicator_deserialize);
PG_FUNCTION_INFO_V1(credit_countback_accum);
PG_FUNCTION_INFO_V1(credit_countback_accum_options);
PG_FUNCTION_INFO_V1(credit_countback_final);
PG_FUNCTION_INFO_V1(credit_true_dso_accum);
PG_FUNCTION_INFO_V1(credit_true_dso_final);
PG_FUNCTION_INFO_V1(credit_demand_p);

/* --- months ------------------------------------------------------------- */

int32
month_of(DateADT day)
{
	int			year;
	int			month;
	int			mday;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &mday);
	return year * 12 + month - 1;
}

DateADT
first_of_month(int32 month)
{
	/* before year 0 the remainder is negative */
	int			year = month / 12 - (month % 12 < 0);

	return date2j(year, month - year * 12 + 1, 1) - POSTGRES_EPOCH_JDATE;
}

/* --- state shared with capacity.c --------------------------------------- */

const char *
indicator_name(IndicatorKind kind)
{
	static const char *const names[INDICATOR_KINDS] = {
		"countback_dso", "true_dso", "payment_capacity", "partial_payment"
	};

	return names[kind];
}

DateADT
indicator_as_of(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg) || DATE_NOT_FINITE(PG_GETARG_DATEADT(arg)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as-of date of aggregate \"%s\" must be a finite date", name)));
	return PG_GETARG_DATEADT(arg);
}

static IndicatorState *
make_state(FunctionCallInfo fcinfo, const IndicatorOptions *options)
{
	const char *name = indicator_name(options->kind);
	MemoryContext cxt = aggregate_context(fcinfo, name);
	IndicatorState *state = MemoryContextAllocZero(cxt, sizeof(IndicatorState));

	state->options = *options;
	state->options.amount = amount_copy(&options->amount, cxt);
	DATE_NOEND(state->first_day);
	timeline_init(&state->line, cxt, name);
	return state;
}

static void
check_same(IndicatorOptions *a, const IndicatorOptions *b)
{
	if (unlikely(a->kind != b->kind || a->as_of != b->as_of ||
				 a->months != b->months || a->month_days != b->month_days ||
				 a->stop != b->stop || a->has_amount != b->has_amount ||
				 amount_compare(&a->amount, &b->amount) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("arguments of aggregate \"%s\" that are no columns must be the same for all rows of a group",
						indicator_name(a->kind))));
	a->scale = Max(a->scale, b->scale);
}

/* The state of a transition function, with the options of this row. */
IndicatorState *
indicator_state(FunctionCallInfo fcinfo, const IndicatorOptions *options)
{
	IndicatorState *state;

	if (PG_ARGISNULL(0))
		return make_state(fcinfo, options);
	state = (IndicatorState *) PG_GETARG_POINTER(0);
	check_same(&state->options, options);
	return state;
}

/* The state of a final function; NULL: there were no rows. */
const IndicatorState *
indicator_final_state(FunctionCallInfo fcinfo, IndicatorKind kind)
{
	aggregate_context(fcinfo, indicator_name(kind));
	return PG_ARGISNULL(0) ? NULL : (IndicatorState *) PG_GETARG_POINTER(0);
}

Datum
credit_indicator_combine(PG_FUNCTION_ARGS)
{
	IndicatorState *state;
	IndicatorState *other;

	aggregate_context(fcinfo, "indicator");
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	other = (IndicatorState *) PG_GETARG_POINTER(1);
	state = indicator_state(fcinfo, &other->options);
	state->first_day = Min(state->first_day, other->first_day);
	state->n_skipped += other->n_skipped;
	for (int i = 0; i < INDICATOR_COUNTS; i++)
		state->count[i] += other->count[i];
	timeline_combine(&state->line, &other->line);
	PG_RETURN_POINTER(state);
}

Datum
credit_indicator_serialize(PG_FUNCTION_ARGS)
{
	const IndicatorState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, "indicator");
	state = (IndicatorState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendbyte(&buf, state->options.kind);
	pq_sendint32(&buf, state->options.as_of);
	pq_sendint32(&buf, state->options.months);
	pq_sendint32(&buf, state->options.month_days);
	pq_sendbyte(&buf, state->options.stop);
	pq_sendbyte(&buf, state->options.has_amount);
	amount_serialize(&buf, &state->options.amount);
	pq_sendint32(&buf, state->options.scale);
	pq_sendint32(&buf, state->first_day);
	pq_sendint64(&buf, state->n_skipped);
	for (int i = 0; i < INDICATOR_COUNTS; i++)
		pq_sendint64(&buf, state->count[i]);
	timeline_serialize(&buf, &state->line);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

static void
receive_options(StringInfo buf, IndicatorOptions *options)
{
	int			kind = pq_getmsgbyte(buf);
	int			stop;
	int			has_amount;

	if (kind >= INDICATOR_KINDS)
		aggregate_refuse_bytes("indicator");
	options->kind = (IndicatorKind) kind;
	options->as_of = (DateADT) pq_getmsgint(buf, 4);
	options->months = (int32) pq_getmsgint(buf, 4);
	options->month_days = (int32) pq_getmsgint(buf, 4);
	stop = pq_getmsgbyte(buf);
	has_amount = pq_getmsgbyte(buf);
	if (!IS_VALID_DATE(options->as_of) || options->months < 0 ||
		options->months > INDICATOR_MAX_MONTHS || options->month_days < 0 ||
		options->month_days > INDICATOR_MAX_DAYS || stop > 1 || has_amount > 1 ||
		!amount_deserialize(buf, &options->amount))
		aggregate_refuse_bytes(indicator_name(options->kind));
	options->stop = stop;
	options->has_amount = has_amount;
	options->scale = (int) pq_getmsgint(buf, 4);
	if (options->scale < 0 || options->scale > TIMELINE_MAX_SCALE ||
		(options->kind == PAYMENT_CAPACITY && options->months == 0))
		aggregate_refuse_bytes(indicator_name(options->kind));
}

Datum
credit_indicator_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	IndicatorState *state;
	IndicatorOptions options;

	aggregate_open_bytes(fcinfo, "indicator", &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes("indicator");
	receive_options(&buf, &options);
	state = make_state(fcinfo, &options);
	state->first_day = (DateADT) pq_getmsgint(&buf, 4);
	if (!IS_VALID_DATE(state->first_day) && !DATE_IS_NOEND(state->first_day))
		aggregate_refuse_bytes(state->line.aggregate);
	state->n_skipped = aggregate_receive_count(&buf, state->line.aggregate);
	for (int i = 0; i < INDICATOR_COUNTS; i++)
		state->count[i] = aggregate_receive_count(&buf, state->line.aggregate);
	timeline_deserialize(&buf, &state->line);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- countback_dso(): rows ---------------------------------------------- */

static void
read_countback(FunctionCallInfo fcinfo, IndicatorOptions *options, bool has_options)
{
	memset(options, 0, sizeof(IndicatorOptions));
	options->kind = COUNTBACK_DSO;
	options->as_of = indicator_as_of(fcinfo, 4, indicator_name(COUNTBACK_DSO));
	/* receivables that are no number are as good as none */
	if (!PG_ARGISNULL(3))
		options->has_amount = amount_read(PG_GETARG_DATUM(3), &options->amount,
										  &options->scale);
	if (!has_options)
		return;
	if (PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("stop of aggregate \"%s\" must not be null",
						indicator_name(COUNTBACK_DSO))));
	options->stop = PG_GETARG_BOOL(6);
	if (PG_ARGISNULL(5))
		return;
	options->month_days = PG_GETARG_INT32(5);
	if (options->month_days < 1 || options->month_days > INDICATOR_MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("days of a month must be between 1 and %d", INDICATOR_MAX_DAYS),
				 errdetail("There are %d.", options->month_days),
				 errhint("NULL takes the days of the calendar.")));
}

static void
add_countback(FunctionCallInfo fcinfo, IndicatorState *state)
{
	Amount		sales;
	DateADT		day;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		DATE_NOT_FINITE(PG_GETARG_DATEADT(1)))
	{
		state->n_skipped++;
		return;
	}
	day = PG_GETARG_DATEADT(1);
	if (day > state->options.as_of)
		state->count[N_FUTURE]++;
	else if (!amount_read(PG_GETARG_DATUM(2), &sales, &state->line.scale))
		state->n_skipped++;
	else
		timeline_add(&state->line, month_of(day), SALES, &sales);
}

static Datum
countback_accum(FunctionCallInfo fcinfo, bool has_options)
{
	IndicatorState *state;
	IndicatorOptions options;

	read_countback(fcinfo, &options, has_options);
	state = indicator_state(fcinfo, &options);
	add_countback(fcinfo, state);
	PG_RETURN_POINTER(state);
}

/* countback_accum(internal, date, numeric, receivables numeric, as_of date) */
Datum
credit_countback_accum(PG_FUNCTION_ARGS)
{
	return countback_accum(fcinfo, false);
}

/* the same and month_days integer, stop boolean */
Datum
credit_countback_accum_options(PG_FUNCTION_ARGS)
{
	return countback_accum(fcinfo, true);
}

/* --- countback_dso(): result -------------------------------------------- */

/* Days of the month that the as-of date cuts. */
static int
days_of_cut_month(const IndicatorOptions *options)
{
	int32		month = month_of(options->as_of);
	int			elapsed = options->as_of - first_of_month(month) + 1;

	if (options->month_days == 0)
		return elapsed;
	if (month_of(options->as_of + 1) != month)
		return options->month_days;
	return Min(elapsed, options->month_days);
}

/* Days from a month on, until the as-of date. */
static double
days_from(const IndicatorOptions *options, int32 month)
{
	int32		last = month_of(options->as_of);

	if (month > last)
		return 0;
	if (options->month_days == 0)
		return (double) options->as_of - first_of_month(month) + 1;
	return days_of_cut_month(options) + (double) (last - month) * options->month_days;
}

/* How far back the receivables reach. */
typedef struct Countback
{
	Amount		rest;			/* what is not covered yet */
	double		days;			/* through the last month that was looked at */
	int			n_months;
	bool		is_found;
	bool		is_stopped;
} Countback;

/* Months without sales count their days and cover nothing, or end it all. */
static void
count_back(const IndicatorState *state, Countback *back)
{
	const IndicatorOptions *options = &state->options;
	TimelineItem *months = timeline_list(&state->line);
	int32		next = month_of(options->as_of);

	back->rest = options->amount;
	back->is_found = amount_sign(&back->rest) <= 0;
	for (int i = (int) state->line.nused - 1; i >= 0 && !back->is_found; i--)
	{
		const Amount *sales = &months[i].amount;
		int32		month = months[i].day;
		Amount		left = amount_negative(sales);

		if (options->stop && (month < next || amount_sign(sales) <= 0))
		{
			back->days = days_from(options, Max(next, month) + 1);
			back->is_stopped = true;
			break;
		}
		next = month - 1;
		if (amount_sign(sales) <= 0)
		{
			back->days = days_from(options, month);
			continue;
		}
		back->n_months++;
		amount_add(&left, &back->rest);
		if (amount_sign(&left) > 0)
		{
			back->rest = left;
			back->days = days_from(options, month);
			continue;
		}
		back->days = days_from(options, month + 1) +
			(days_from(options, month) - days_from(options, month + 1)) *
			(amount_double(&back->rest) / amount_double(sales));
		back->is_found = true;
	}
	if (back->is_found)
		back->rest = amount_zero;
	pfree(months);
}

/* countback_final(internal) */
Datum
credit_countback_final(PG_FUNCTION_ARGS)
{
	const IndicatorState *state = indicator_final_state(fcinfo, COUNTBACK_DSO);
	Figures		figures;

	figures_init(&figures);
	set(&figures, CB_N_MONTHS, Int32GetDatum(0));
	set_count(&figures, CB_N_FUTURE, state ? state->count[N_FUTURE] : 0);
	set_count(&figures, CB_N_SKIPPED, state ? state->n_skipped : 0);
	if (state != NULL && state->options.has_amount)
	{
		Countback	back = {0};
		int			scale;

		count_back(state, &back);
		if (back.is_found || back.is_stopped)
			set_float(&figures, CB_DSO, back.days);
		scale = Max(state->options.scale, state->line.scale);
		set_float(&figures, CB_LOWER_BOUND, back.days);
		set(&figures, CB_N_MONTHS, Int32GetDatum(back.n_months));
		set_numeric(&figures, CB_UNCOVERED, amount_numeric(&back.rest, scale));
	}
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, indicator_name(COUNTBACK_DSO),
								COUNTBACK_COLUMNS));
}

/* --- true_dso() --------------------------------------------------------- */

/* The open part of an invoice. */
static void
add_open(IndicatorState *state, DateADT day, const Amount *open)
{
	static const Amount one = {1, NULL};
	int32		month = month_of(day);
	Amount		days;

	if (amount_sign(open) < 0)
		state->count[N_CREDITS]++;
	if (amount_sign(open) <= 0)
		return;
	days = amount_times(open, (int64) state->options.as_of - day);
	timeline_add(&state->line, month, OPEN_DAYS, &days);
	timeline_add(&state->line, month, OPEN, open);
	timeline_add(&state->line, month, N_OPEN, &one);
}

/* true_dso_accum(internal, date, sales numeric, open_amount numeric, as_of date) */
Datum
credit_true_dso_accum(PG_FUNCTION_ARGS)
{
	IndicatorOptions options = {.kind = TRUE_DSO};
	IndicatorState *state;
	Amount		sales = amount_zero;
	Amount		open = amount_zero;
	DateADT		day;

	options.as_of = indicator_as_of(fcinfo, 4, indicator_name(TRUE_DSO));
	state = indicator_state(fcinfo, &options);
	day = PG_ARGISNULL(1) ? DATEVAL_NOEND : PG_GETARG_DATEADT(1);
	if (DATE_NOT_FINITE(day) || (PG_ARGISNULL(2) && PG_ARGISNULL(3)) ||
		(!PG_ARGISNULL(2) &&
		 !amount_read(PG_GETARG_DATUM(2), &sales, &state->line.scale)) ||
		(!PG_ARGISNULL(3) &&
		 !amount_read(PG_GETARG_DATUM(3), &open, &state->line.scale)))
		state->n_skipped++;
	else if (day > options.as_of)
		state->count[N_FUTURE]++;
	else
	{
		timeline_add(&state->line, month_of(day), SALES, &sales);
		add_open(state, day, &open);
	}
	PG_RETURN_POINTER(state);
}

/* What all months come to. */
typedef struct TrueDso
{
	double		dso;
	int64		n_open;
	int64		n_unmatched;	/* open items of months without sales */
	Amount		open;
	Amount		unmatched;
} TrueDso;

/* Sums of one month, in the order of their numbers; there is always SALES. */
static void
add_month(TrueDso *total, const TimelineItem *sums, int n)
{
	const Amount *sales = &sums[0].amount;

	if (n <= N_OPEN)
		return;
	total->n_open += (int64) sums[N_OPEN].amount.units;
	amount_add(&total->open, &sums[OPEN].amount);
	if (amount_sign(sales) > 0)
		total->dso += amount_double(&sums[OPEN_DAYS].amount) / amount_double(sales);
	else
	{
		total->n_unmatched += (int64) sums[N_OPEN].amount.units;
		amount_add(&total->unmatched, &sums[OPEN].amount);
	}
}

/* true_dso_final(internal) */
Datum
credit_true_dso_final(PG_FUNCTION_ARGS)
{
	const IndicatorState *state = indicator_final_state(fcinfo, TRUE_DSO);
	TrueDso		total = {0};
	int			scale = state ? state->line.scale : 0;
	Figures		figures;

	figures_init(&figures);
	if (state != NULL && state->line.nused > 0)
	{
		TimelineItem *sums = timeline_list(&state->line);
		int			n = (int) state->line.nused;
		int			end;

		for (int i = 0; i < n; i = end)
		{
			for (end = i + 1; end < n && sums[end].day == sums[i].day; end++)
				 /* all sums of the month */ ;
			add_month(&total, sums + i, end - i);
		}
		if (total.n_open == 0 || total.n_open > total.n_unmatched)
			set_float(&figures, TD_DSO, total.dso);
		set_numeric(&figures, TD_OPEN_AMOUNT, amount_numeric(&total.open, scale));
		set_numeric(&figures, TD_UNMATCHED_AMOUNT,
					amount_numeric(&total.unmatched, scale));
		pfree(sums);
	}
	set_count(&figures, TD_N_OPEN, total.n_open);
	set_count(&figures, TD_N_UNMATCHED, total.n_unmatched);
	set_count(&figures, TD_N_CREDITS, state ? state->count[N_CREDITS] : 0);
	set_count(&figures, TD_N_FUTURE, state ? state->count[N_FUTURE] : 0);
	set_count(&figures, TD_N_SKIPPED, state ? state->n_skipped : 0);
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, indicator_name(TRUE_DSO),
								TRUE_COLUMNS));
}

/* --- demand ------------------------------------------------------------- */

/*
 * demand_p(n_recent, days_recent, n_before, days_before): how probable so many
 * of all events or more are in the recent days if the rate has not changed;
 * in other words, so few or less in the days before.
 */
Datum
credit_demand_p(PG_FUNCTION_ARGS)
{
	int64		recent = PG_GETARG_INT64(0);
	double		days_recent = PG_GETARG_INT32(1);
	int64		before = PG_GETARG_INT64(2);
	double		days_before = PG_GETARG_INT32(3);

	if (recent < 0 || before < 0 || days_recent <= 0 || days_before <= 0)
		PG_RETURN_NULL();
	if (recent == 0)
		PG_RETURN_FLOAT8(1);
	PG_RETURN_FLOAT8(probability_binomial((double) before,
										  (double) recent + (double) before,
										  days_before / (days_recent + days_before)));
}

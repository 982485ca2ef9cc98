/*
 * capacity.c
 *	  What a customer is able to pay: aggregates payment_capacity(), from
 *	  payments by month, and partial_payment(), from first payments.
 *
 * The state and what other processes need of it are in indicator.c.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"

#include "credit.h"
#include "figures.h"
#include "indicator.h"

#define CAPACITY_MONTHS 6

/* Counts of payment_capacity() */
#define N_PAYMENTS 0
#define N_OUTSIDE 1
#define N_FUTURE 2

/* Counts and sums of partial_payment() */
#define N_PAID 0
#define N_PARTIAL 1
#define N_UNPAID 2
#define N_CREDITS 3
#define RESIDUE 0
#define INVOICED 1

/* A residue below the larger of both is none: one per cent, a minor unit. */
#define TOLERANCE_PARTS 100
#define MINOR_UNIT 1000000		/* 0.01 in units of the eighth decimal */

/* Columns of credit.capacity_measures, in order. */
typedef enum CapacityColumn
{
	CAPACITY, TOTAL_AMOUNT, N_MONTHS, FIRST_MONTH, LAST_MONTH,
	CAP_N_PAYMENTS, CAP_N_OUTSIDE, CAP_N_FUTURE, CAP_N_SKIPPED,
	CAPACITY_COLUMNS
} CapacityColumn;

/* Columns of credit.partial_measures, in order. */
typedef enum PartialColumn
{
	PART_N_PAID, PART_N_PARTIAL, PART_N_UNPAID, PART_N_CREDITS, PART_N_SKIPPED,
	PARTIAL_RATIO, RESIDUE_AMOUNT, INVOICED_AMOUNT, RESIDUE_RATIO,
	PARTIAL_COLUMNS
} PartialColumn;

PG_FUNCTION_INFO_V1(credit_capacity_accum);
PG_FUNCTION_INFO_V1(credit_capacity_accum_months);
PG_FUNCTION_INFO_V1(credit_capacity_final);
PG_FUNCTION_INFO_V1(credit_partial_accum);
PG_FUNCTION_INFO_V1(credit_partial_accum_tolerance);
PG_FUNCTION_INFO_V1(credit_partial_final);

/* --- payment_capacity() ------------------------------------------------- */

/* The last month that is over on the as-of date. */
static int32
last_month(const IndicatorOptions *options)
{
	return month_of(options->as_of + 1) - 1;
}

static void
read_capacity(FunctionCallInfo fcinfo, IndicatorOptions *options, bool has_months)
{
	const char *name = indicator_name(PAYMENT_CAPACITY);

	memset(options, 0, sizeof(IndicatorOptions));
	options->kind = PAYMENT_CAPACITY;
	options->as_of = indicator_as_of(fcinfo, 3, name);
	options->months = CAPACITY_MONTHS;
	if (!has_months)
		return;
	options->months = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4);
	if (options->months < 1 || options->months > INDICATOR_MAX_MONTHS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("months of aggregate \"%s\" must be between 1 and %d", name,
						INDICATOR_MAX_MONTHS)));
}

/* The days of the months that count: to tell them from others is quicker. */
static void
find_window(IndicatorState *state)
{
	int32		last = last_month(&state->options);

	state->from = first_of_month(last - state->options.months + 1);
	state->to = first_of_month(last + 1);
}

static Datum
capacity_accum(FunctionCallInfo fcinfo, bool has_months)
{
	IndicatorOptions options;
	IndicatorState *state;
	Amount		amount;
	DateADT		day;

	read_capacity(fcinfo, &options, has_months);
	state = indicator_state(fcinfo, &options);
	if (state->to == 0)
		find_window(state);
	day = PG_ARGISNULL(1) ? DATEVAL_NOEND : PG_GETARG_DATEADT(1);
	if (DATE_NOT_FINITE(day) || PG_ARGISNULL(2))
		state->n_skipped++;
	else if (day > options.as_of)
		state->count[N_FUTURE]++;
	else if (!amount_read(PG_GETARG_DATUM(2), &amount, &state->line.scale))
		state->n_skipped++;
	else
	{
		state->first_day = Min(state->first_day, day);
		if (day < state->from || day >= state->to)
			state->count[N_OUTSIDE]++;
		else
		{
			state->count[N_PAYMENTS]++;
			timeline_add(&state->line, month_of(day), 0, &amount);
		}
	}
	PG_RETURN_POINTER(state);
}

/* capacity_accum(internal, date, numeric, as_of date) */
Datum
credit_capacity_accum(PG_FUNCTION_ARGS)
{
	return capacity_accum(fcinfo, false);
}

/* the same and months integer */
Datum
credit_capacity_accum_months(PG_FUNCTION_ARGS)
{
	return capacity_accum(fcinfo, true);
}

static int
compare_amounts(const void *a, const void *b)
{
	return amount_compare(a, b);
}

/* The median of n sums, with as many decimals as they have, or one more. */
static Numeric
median_of(Amount *sums, int n, int scale)
{
	Amount		middle;
	Datum		half;
	Datum		rounded;

	qsort(sums, n, sizeof(Amount), compare_amounts);
	middle = sums[n / 2];
	if (n % 2 == 1)
		return amount_numeric(&middle, scale);
	amount_add(&middle, &sums[n / 2 - 1]);
	half = DirectFunctionCall2(numeric_mul,
							   NumericGetDatum(amount_numeric(&middle, scale)),
							   NumericGetDatum(money_numeric(50000000, 1)));
	rounded = DirectFunctionCall2(numeric_round, half, Int32GetDatum(scale));
	if (DatumGetBool(DirectFunctionCall2(numeric_eq, half, rounded)))
		half = rounded;
	return DatumGetNumeric(half);
}

/*
 * Months before the first payment of all are no history; others without one
 * are 0.
 */
static void
set_capacity(Figures *figures, const IndicatorState *state)
{
	int32		last = last_month(&state->options);
	int32		first = last - state->options.months + 1;
	int			n;
	TimelineItem *months;
	Amount	   *sums;
	Amount		total = amount_zero;

	if (DATE_IS_NOEND(state->first_day) || month_of(state->first_day) > last)
		return;
	first = Max(first, month_of(state->first_day));
	n = last - first + 1;
	months = timeline_list(&state->line);
	sums = palloc0(n * sizeof(Amount));
	for (uint32 i = 0; i < state->line.nused; i++)
	{
		if (months[i].day < first || months[i].day > last)
			continue;
		sums[months[i].day - first] = months[i].amount;
		amount_add(&total, &months[i].amount);
	}
	set_numeric(figures, CAPACITY, median_of(sums, n, state->line.scale));
	set_numeric(figures, TOTAL_AMOUNT, amount_numeric(&total, state->line.scale));
	set(figures, N_MONTHS, Int32GetDatum(n));
	set(figures, FIRST_MONTH, DateADTGetDatum(first_of_month(first)));
	set(figures, LAST_MONTH, DateADTGetDatum(first_of_month(last)));
	pfree(months);
	pfree(sums);
}

/* capacity_final(internal) */
Datum
credit_capacity_final(PG_FUNCTION_ARGS)
{
	const IndicatorState *state = indicator_final_state(fcinfo, PAYMENT_CAPACITY);
	Figures		figures;

	figures_init(&figures);
	set(&figures, N_MONTHS, Int32GetDatum(0));
	set_count(&figures, CAP_N_PAYMENTS, state ? state->count[N_PAYMENTS] : 0);
	set_count(&figures, CAP_N_OUTSIDE, state ? state->count[N_OUTSIDE] : 0);
	set_count(&figures, CAP_N_FUTURE, state ? state->count[N_FUTURE] : 0);
	set_count(&figures, CAP_N_SKIPPED, state ? state->n_skipped : 0);
	if (state != NULL)
		set_capacity(&figures, state);
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, indicator_name(PAYMENT_CAPACITY),
								CAPACITY_COLUMNS));
}

/* --- partial_payment() -------------------------------------------------- */

/* Is what the first payment left more than nothing? */
static bool
is_partial(const Amount *amount, const Amount *residue, const Amount *tolerance)
{
	static const Amount minor_unit = {MINOR_UNIT, NULL};
	Amount		parts;

	if (tolerance != NULL)
		return amount_compare(residue, tolerance) > 0;
	parts = amount_times(residue, TOLERANCE_PARTS);
	return amount_compare(&parts, amount) > 0 &&
		amount_compare(residue, &minor_unit) > 0;
}

/* An invoice of a positive amount. */
static void
add_invoice(IndicatorState *state, const Amount *amount, const Amount *first,
			const Amount *tolerance)
{
	Amount		residue = amount_negative(first);

	amount_add(&residue, amount);
	state->count[N_PAID]++;
	if (!is_partial(amount, &residue, tolerance))
		return;
	state->count[N_PARTIAL]++;
	timeline_add(&state->line, 0, RESIDUE, &residue);
	timeline_add(&state->line, 0, INVOICED, amount);
}

static Datum
partial_accum(FunctionCallInfo fcinfo, bool has_tolerance)
{
	IndicatorOptions options = {.kind = PARTIAL_PAYMENT};
	IndicatorState *state = indicator_state(fcinfo, &options);
	Amount		amount;
	Amount		first = amount_zero;
	Amount		tolerance;
	int			scale = 0;

	if (PG_ARGISNULL(1) || (has_tolerance && PG_ARGISNULL(3)) ||
		!amount_read(PG_GETARG_DATUM(1), &amount, &state->line.scale) ||
		(!PG_ARGISNULL(2) &&
		 !amount_read(PG_GETARG_DATUM(2), &first, &state->line.scale)) ||
		(has_tolerance &&
		 !amount_read(PG_GETARG_DATUM(3), &tolerance, &scale)))
		state->n_skipped++;
	else if (amount_sign(&amount) <= 0)
		state->count[N_CREDITS]++;
	else if (amount_sign(&first) <= 0)
		state->count[N_UNPAID]++;
	else
		add_invoice(state, &amount, &first, has_tolerance ? &tolerance : NULL);
	PG_RETURN_POINTER(state);
}

/* partial_accum(internal, amount numeric, first_payment numeric) */
Datum
credit_partial_accum(PG_FUNCTION_ARGS)
{
	return partial_accum(fcinfo, false);
}

/* the same and tolerance numeric, of this invoice */
Datum
credit_partial_accum_tolerance(PG_FUNCTION_ARGS)
{
	return partial_accum(fcinfo, true);
}

/* partial_final(internal) */
Datum
credit_partial_final(PG_FUNCTION_ARGS)
{
	const IndicatorState *state = indicator_final_state(fcinfo, PARTIAL_PAYMENT);
	Figures		figures;

	figures_init(&figures);
	set_count(&figures, PART_N_PAID, state ? state->count[N_PAID] : 0);
	set_count(&figures, PART_N_PARTIAL, state ? state->count[N_PARTIAL] : 0);
	set_count(&figures, PART_N_UNPAID, state ? state->count[N_UNPAID] : 0);
	set_count(&figures, PART_N_CREDITS, state ? state->count[N_CREDITS] : 0);
	set_count(&figures, PART_N_SKIPPED, state ? state->n_skipped : 0);
	if (state != NULL)
		set_ratio(&figures, PARTIAL_RATIO, state->count[N_PARTIAL],
				  state->count[N_PAID]);
	if (state != NULL && state->line.nused == 2)
	{
		TimelineItem *sums = timeline_list(&state->line);
		int			scale = state->line.scale;

		set_numeric(&figures, RESIDUE_AMOUNT, amount_numeric(&sums[RESIDUE].amount, scale));
		set_numeric(&figures, INVOICED_AMOUNT,
					amount_numeric(&sums[INVOICED].amount, scale));
		set_ratio(&figures, RESIDUE_RATIO, amount_double(&sums[RESIDUE].amount),
				  amount_double(&sums[INVOICED].amount));
		pfree(sums);
	}
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, indicator_name(PARTIAL_PAYMENT),
								PARTIAL_COLUMNS));
}

/*
 * balance.c
 *	  How a balance went over time, from signed dated events: aggregate
 *	  exposure_profile().
 *
 * What is asked for (the peak, the mean over time, days above a limit) needs
 * the events in order, and rows come in any.  So the state is the net amount
 * by day, exact, and the final function goes through the days.  Where the
 * events of one day are to be taken one by one, it is the amount by day and
 * place in the sequence.
 *
 * The window is half-open.  What is dated before it is part of the balance it
 * opens with; what is dated after it is left out.
 */
#include "postgres.h"

#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "credit.h"
#include "timeline.h"
#include "figures.h"

#define AGGREGATE "exposure_profile"
#define SERIAL_VERSION 1

/* What all rows of a group must have in common. */
typedef struct Options
{
	DateADT		from;
	DateADT		to;				/* the first day behind the window */
	Amount		opening;
	Amount		limit;
	bool		has_limit;
	int			scale;			/* decimals of the opening balance */
} Options;

typedef struct BalanceState
{
	Options		options;
	int64		n_events;
	int64		n_before;
	int64		n_after;
	int64		n_skipped;
	Timeline	before;			/* one sum: events before the window */
	Timeline	events;
} BalanceState;

/* Columns of credit.exposure_measures, in order. */
typedef enum Column
{
	N_EVENTS, N_BEFORE, N_AFTER, N_SKIPPED, DAYS,
	OPENING_BALANCE, CLOSING_BALANCE, PEAK_BALANCE, PEAK_DATE, AVERAGE_BALANCE,
	DAYS_ABOVE_LIMIT, FIRST_DAY_ABOVE_LIMIT, MEAN_UTILISATION, PEAK_UTILISATION,
	NCOLUMNS
} Column;

/* Where a walk through the days stands. */
typedef struct Walk
{
	const Options *options;
	DateADT		day;			/* from this day on */
	Amount		balance;		/* it is this */
	Amount		peak;
	DateADT		peak_date;
	Amount		sum;			/* of balances of all days before */
	Amount		used;			/* the same without negative ones */
	int32		days_above;
	DateADT		first_above;
} Walk;

PG_FUNCTION_INFO_V1(credit_balance_accum);
PG_FUNCTION_INFO_V1(credit_balance_accum_opening);
PG_FUNCTION_INFO_V1(credit_balance_accum_limit);
PG_FUNCTION_INFO_V1(credit_balance_accum_sequence);
PG_FUNCTION_INFO_V1(credit_balance_combine);
PG_FUNCTION_INFO_V1(credit_balance_serialize);
PG_FUNCTION_INFO_V1(credit_balance_deserialize);
PG_FUNCTION_INFO_V1(credit_balance_final);

/* --- options ------------------------------------------------------------ */

static void
read_option(FunctionCallInfo fcinfo, int arg, const char *name, Amount *amount,
			int *scale)
{
	if (!amount_read(PG_GETARG_DATUM(arg), amount, scale))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s of an exposure profile must be a finite number", name)));
}

/* nargs are those after the state. */
static pg_attribute_always_inline void
read_options(FunctionCallInfo fcinfo, Options *options, int nargs)
{
	int			scale = 0;

	if (unlikely(PG_ARGISNULL(3) || PG_ARGISNULL(4) ||
				 DATE_NOT_FINITE(PG_GETARG_DATEADT(3)) ||
				 DATE_NOT_FINITE(PG_GETARG_DATEADT(4))))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("window of an exposure profile must be between two finite dates")));
	options->from = PG_GETARG_DATEADT(3);
	options->to = PG_GETARG_DATEADT(4);
	options->scale = 0;
	options->opening = amount_zero;
	options->limit = amount_zero;
	options->has_limit = false;
	if (nargs > 4 && !PG_ARGISNULL(5))
		read_option(fcinfo, 5, "opening balance", &options->opening, &options->scale);
	if (nargs > 5 && !PG_ARGISNULL(6))
	{
		read_option(fcinfo, 6, "credit limit", &options->limit, &scale);
		options->has_limit = true;
	}
}

static void
check_same(const Options *a, const Options *b)
{
	if (likely(a->from == b->from && a->to == b->to &&
			   a->has_limit == b->has_limit &&
			   amount_compare(&a->opening, &b->opening) == 0 &&
			   amount_compare(&a->limit, &b->limit) == 0))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("window, opening balance and credit limit of an exposure profile must be the same for all rows of a group")));
}

/* --- state -------------------------------------------------------------- */

static BalanceState *
make_state(FunctionCallInfo fcinfo, const Options *options)
{
	MemoryContext cxt = aggregate_context(fcinfo, AGGREGATE);
	BalanceState *state = MemoryContextAllocZero(cxt, sizeof(BalanceState));

	state->options = *options;
	state->options.opening = amount_copy(&options->opening, cxt);
	state->options.limit = amount_copy(&options->limit, cxt);
	timeline_init(&state->before, cxt, AGGREGATE);
	timeline_init(&state->events, cxt, AGGREGATE);
	return state;
}

static inline void
add_event(BalanceState *state, FunctionCallInfo fcinfo, uint64 place)
{
	DateADT		day;
	Amount		amount;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2)))
	{
		state->n_skipped++;
		return;
	}
	day = PG_GETARG_DATEADT(1);
	if (unlikely(DATE_NOT_FINITE(day)))
		state->n_skipped++;
	else if (unlikely(day >= state->options.to && day >= state->options.from))
		state->n_after++;
	else if (unlikely(!amount_read(PG_GETARG_DATUM(2), &amount, &state->events.scale)))
		state->n_skipped++;
	else if (unlikely(day < state->options.from))
	{
		state->n_before++;
		timeline_add(&state->before, 0, 0, &amount);
	}
	else
	{
		state->n_events++;
		timeline_add(&state->events, day, place, &amount);
	}
}

static pg_attribute_always_inline Datum
accumulate(FunctionCallInfo fcinfo, int nargs, uint64 place)
{
	BalanceState *state;
	Options		options;

	read_options(fcinfo, &options, nargs);
	if (PG_ARGISNULL(0))
		state = make_state(fcinfo, &options);
	else
	{
		state = (BalanceState *) PG_GETARG_POINTER(0);
		check_same(&state->options, &options);
		state->options.scale = Max(state->options.scale, options.scale);
	}
	add_event(state, fcinfo, place);
	PG_RETURN_POINTER(state);
}

/* balance_accum(internal, date, numeric, date, date) */
Datum
credit_balance_accum(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 4, 0);
}

/* the same and opening numeric */
Datum
credit_balance_accum_opening(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 5, 0);
}

/* the same and credit_limit numeric */
Datum
credit_balance_accum_limit(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 6, 0);
}

/* the same and sequence bigint; what has no place comes last */
Datum
credit_balance_accum_sequence(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 7, PG_ARGISNULL(7) ? PG_UINT64_MAX :
					  (uint64) PG_GETARG_INT64(7) ^ UINT64CONST(1) << 63);
}

/* --- between processes -------------------------------------------------- */

Datum
credit_balance_combine(PG_FUNCTION_ARGS)
{
	BalanceState *state;
	BalanceState *other;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	other = (BalanceState *) PG_GETARG_POINTER(1);
	state = PG_ARGISNULL(0) ? make_state(fcinfo, &other->options) :
		(BalanceState *) PG_GETARG_POINTER(0);
	check_same(&state->options, &other->options);
	state->options.scale = Max(state->options.scale, other->options.scale);
	state->n_events += other->n_events;
	state->n_before += other->n_before;
	state->n_after += other->n_after;
	state->n_skipped += other->n_skipped;
	timeline_combine(&state->before, &other->before);
	timeline_combine(&state->events, &other->events);
	PG_RETURN_POINTER(state);
}

Datum
credit_balance_serialize(PG_FUNCTION_ARGS)
{
	BalanceState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (BalanceState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint32(&buf, state->options.from);
	pq_sendint32(&buf, state->options.to);
	pq_sendint32(&buf, state->options.scale);
	pq_sendbyte(&buf, state->options.has_limit);
	amount_serialize(&buf, &state->options.opening);
	amount_serialize(&buf, &state->options.limit);
	pq_sendint64(&buf, state->n_events);
	pq_sendint64(&buf, state->n_before);
	pq_sendint64(&buf, state->n_after);
	pq_sendint64(&buf, state->n_skipped);
	timeline_serialize(&buf, &state->before);
	timeline_serialize(&buf, &state->events);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

static void
receive_options(StringInfo buf, Options *options)
{
	int			has_limit;

	options->from = (DateADT) pq_getmsgint(buf, 4);
	options->to = (DateADT) pq_getmsgint(buf, 4);
	options->scale = (int) pq_getmsgint(buf, 4);
	has_limit = pq_getmsgbyte(buf);
	if (!IS_VALID_DATE(options->from) || !IS_VALID_DATE(options->to) ||
		options->scale < 0 || options->scale > TIMELINE_MAX_SCALE ||
		has_limit > 1 || !amount_deserialize(buf, &options->opening) ||
		!amount_deserialize(buf, &options->limit))
		aggregate_refuse_bytes(AGGREGATE);
	options->has_limit = has_limit;
}

Datum
credit_balance_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	BalanceState *state;
	Options		options;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	receive_options(&buf, &options);
	state = make_state(fcinfo, &options);
	state->n_events = aggregate_receive_count(&buf, AGGREGATE);
	state->n_before = aggregate_receive_count(&buf, AGGREGATE);
	state->n_after = aggregate_receive_count(&buf, AGGREGATE);
	state->n_skipped = aggregate_receive_count(&buf, AGGREGATE);
	timeline_deserialize(&buf, &state->before);
	timeline_deserialize(&buf, &state->events);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- result ------------------------------------------------------------- */

/* The balance stays as it is until a day. */
static void
pass_days(Walk *walk, DateADT until)
{
	int32		days = until - walk->day;
	Amount		sum;

	if (days <= 0)
		return;
	sum = amount_times(&walk->balance, days);
	amount_add(&walk->sum, &sum);
	if (amount_sign(&walk->balance) > 0)
		amount_add(&walk->used, &sum);
	if (walk->options->has_limit &&
		amount_compare(&walk->balance, &walk->options->limit) > 0)
	{
		if (walk->days_above == 0)
			walk->first_above = walk->day;
		walk->days_above += days;
	}
	walk->day = until;
}

static void
add_to_balance(Walk *walk, const TimelineItem *event)
{
	amount_add(&walk->balance, &event->amount);
	if (amount_compare(&walk->balance, &walk->peak) > 0)
	{
		walk->peak = walk->balance;
		walk->peak_date = event->day;
	}
}

/* A share of the limit; of none, or of 0, there is no share. */
static void
set_share(Figures *figures, Column column, const Walk *walk, const Amount *used,
		  int32 days)
{
	double		limit = amount_double(&walk->options->limit);

	if (walk->options->has_limit && amount_sign(&walk->options->limit) > 0)
		set_ratio(figures, column, amount_double(used), limit * days);
}

static void
set_balances(Figures *figures, const Walk *walk, const Amount *opening, int scale)
{
	int32		days = walk->options->to - walk->options->from;
	const Amount *peak = amount_sign(&walk->peak) > 0 ? &walk->peak : &amount_zero;

	set_numeric(figures, OPENING_BALANCE, amount_numeric(opening, scale));
	set_numeric(figures, CLOSING_BALANCE, amount_numeric(&walk->balance, scale));
	set_numeric(figures, PEAK_BALANCE, amount_numeric(&walk->peak, scale));
	set(figures, PEAK_DATE, DateADTGetDatum(walk->peak_date));
	set_numeric(figures, AVERAGE_BALANCE, amount_quotient(&walk->sum, days));
	if (walk->options->has_limit)
		set(figures, DAYS_ABOVE_LIMIT, Int32GetDatum(walk->days_above));
	if (walk->days_above > 0)
		set(figures, FIRST_DAY_ABOVE_LIMIT, DateADTGetDatum(walk->first_above));
	set_share(figures, MEAN_UTILISATION, walk, &walk->used, days);
	set_share(figures, PEAK_UTILISATION, walk, peak, 1);
}

/* Goes through a window that is not empty. */
static void
set_window(Figures *figures, const BalanceState *state)
{
	const Options *options = &state->options;
	TimelineItem *before = timeline_list(&state->before);
	TimelineItem *events = timeline_list(&state->events);
	Amount		opening = options->opening;
	Walk		walk = {.options = options, .day = options->from,
	.peak_date = options->from};

	if (state->before.nused > 0)
		amount_add(&opening, &before[0].amount);
	walk.balance = opening;
	walk.peak = opening;
	for (uint32 i = 0; i < state->events.nused; i++)
	{
		pass_days(&walk, events[i].day);
		add_to_balance(&walk, &events[i]);
	}
	pass_days(&walk, options->to);
	set_balances(figures, &walk, &opening, Max(options->scale, state->events.scale));
	pfree(before);
	pfree(events);
}

/* balance_final(internal) */
Datum
credit_balance_final(PG_FUNCTION_ARGS)
{
	const BalanceState *state = NULL;
	Figures		figures;

	aggregate_context(fcinfo, AGGREGATE);
	figures_init(&figures);
	if (!PG_ARGISNULL(0))
		state = (BalanceState *) PG_GETARG_POINTER(0);
	set_count(&figures, N_EVENTS, state ? state->n_events : 0);
	set_count(&figures, N_BEFORE, state ? state->n_before : 0);
	set_count(&figures, N_AFTER, state ? state->n_after : 0);
	set_count(&figures, N_SKIPPED, state ? state->n_skipped : 0);
	if (state != NULL && state->options.from < state->options.to)
	{
		set(&figures, DAYS, Int32GetDatum(state->options.to - state->options.from));
		set_window(&figures, state);
	}
	PG_RETURN_DATUM(figures_row(&figures, fcinfo, AGGREGATE, NCOLUMNS));
}

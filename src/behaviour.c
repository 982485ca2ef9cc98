/*
 * behaviour.c
 *	  How a customer pays: aggregate payment_profile(), for any table.
 *
 * One pass.  A row is a payment, an open item, or neither (a credit, an item
 * dated after the as-of date, a row that lacks something); exactly one count
 * says which.
 *
 * All that is kept is exact integers: sums of days, of their squares and
 * products, of amounts times days in units of the eighth decimal, a histogram
 * of days late (dayhist.c), weights of recency (recency.c).  What is read from
 * them in the end is the same whatever the order of rows was and however they
 * were split.  profile.c does that.
 *
 * With many groups the processor waits for memory more than for anything else,
 * and one row would touch many sums.  So usual rows are put aside, sixteen bytes
 * each: six in a log so small that those of many groups stay in the processor's
 * cache, from there to a pile that grows to 1 kB; and only from there are they
 * added to everything, all at once.  Most groups never get that far: the final
 * function adds theirs to sums that live as long as its call.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "behaviour.h"
#include "credit.h"

#define SERIAL_VERSION 2

/* A pile takes 1 kB at most. */
#define MAX_PILE_ROWS (10 * PAYMENT_LOG_ROWS)

/* A row's amount in units, below 2^54, is packed with what else there is. */
#define ROW_SCALE 0x3F
#define ROW_OPEN 0x40
#define ROW_AMOUNT_SHIFT 8
/* Days that far from 2000 have squares of which a log's sum fits 64 bits. */
#define ROW_MAX_DAY (1 << 21)

/* money.h counts in units of this decimal. */
#define UNIT_DECIMALS 8
/* Amounts are below 10^18, so that times any days they fit into 128 bits. */
#define MAX_UNITS ((int128) 1000000000 * INT64CONST(100000000000000000))
/* What a sum must not pass, to leave room for the sum of many. */
#define SUM_LIMIT ((int128) 1 << 124)

#define STATE_SIZE (offsetof(PaymentState, sums) + \
					MAXALIGN(money_size(PAYMENT_NSUMS)))

PG_FUNCTION_INFO_V1(credit_payment_accum);
PG_FUNCTION_INFO_V1(credit_payment_accum_as_of);
PG_FUNCTION_INFO_V1(credit_payment_accum_options);
PG_FUNCTION_INFO_V1(credit_payment_combine);
PG_FUNCTION_INFO_V1(credit_payment_serialize);
PG_FUNCTION_INFO_V1(credit_payment_deserialize);

/* --- state ---------------------------------------------------------------- */

static PaymentLog *
make_log(FunctionCallInfo fcinfo, int grace, int half_life)
{
	MemoryContext cxt = aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	PaymentLog *log = MemoryContextAlloc(cxt, sizeof(PaymentLog));

	log->nrows = 0;
	DATE_NOBEGIN(log->as_of);
	log->grace = (int16) grace;
	log->half_life = (int16) half_life;
	log->pile = NULL;
	log->state = NULL;
	return log;
}

PaymentState *
payment_make(MemoryContext cxt, int grace, int half_life, DateADT as_of)
{
	PaymentState *state = MemoryContextAllocZero(cxt, STATE_SIZE);
	const Range empty = {PG_INT32_MAX, PG_INT32_MIN};

	money_init(&state->sums, PAYMENT_NSUMS, cxt);
	state->grace = grace;
	state->recent.half_life = (int16) half_life;
	state->as_of = as_of;
	state->late = empty;
	state->paid_dates = empty;
	state->invoice_dates = empty;
	return state;
}

/* What is known of a group, as a rule nothing yet. */
static PaymentState *
state_of(PaymentLog *log)
{
	if (log->state == NULL)
		log->state = payment_make(GetMemoryChunkContext(log), log->grace,
								  log->half_life, log->as_of);
	return log->state;
}

void
payment_refuse_mixture(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("as-of date, grace days and half-life of a payment profile must be the same for all rows of a group")));
}

void
payment_check_as_of(DateADT as_of)
{
	if (DATE_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as-of date of a payment profile must not be infinite")));
}

/* The as-of date of a group is that of its first row which has one. */
static void
set_as_of(PaymentLog *log, DateADT as_of)
{
	payment_check_as_of(as_of);
	if (!DATE_IS_NOBEGIN(log->as_of))
		payment_refuse_mixture();
	log->as_of = as_of;
	if (log->state != NULL)
		log->state->as_of = as_of;
}

/* --- payments ------------------------------------------------------------- */

/* Adds any payment to everything but the sums of money. */
static void
add_payment(PaymentState *state, DateADT invoice, DateADT due, DateADT paid,
			int128 units)
{
	/* any two dates are less than 2^31 days apart */
	int64		days = (int64) paid - due;
	int64		to_pay = (int64) paid - invoice;
	int64		x = paid;
	PaidSums   *sums = &state->paid;

	dayhist_add(&state->hist, days, 1, units, state->sums.cxt);
	recency_reserve(&state->recent, paid, paid, state->sums.cxt);
	recency_add(&state->recent, paid, 1, days);
	sums->days += days;
	sums->days2 += days * days;
	sums->x += x;
	sums->x2 += x * x;
	sums->x_days += x * days;
	sums->to_pay += to_pay;
	sums->to_pay2 += to_pay * to_pay;
	sums->amount_days += units * days;
	sums->amount_late += units * Max(days, 0);
	sums->amount_to_pay += units * to_pay;
	range_note(&state->late, (int32) days);
	range_note(&state->paid_dates, paid);
	range_note(&state->invoice_dates, invoice);
}

/* --- open items ----------------------------------------------------------- */

/*
 * Adds n open items with the same due date to everything but the sums of money.
 * True: they are overdue.
 */
bool
payment_add_open(PaymentState *state, DateADT due, int64 n, int128 units)
{
	int64		days;

	state->n_open += n;
	if (!payment_has_as_of(state))
		return false;
	days = (int64) state->as_of - due;
	state->open_units += units;
	state->open_late += units * Max(days, 0);
	if (days <= state->grace)
		return false;
	state->n_overdue += n;
	state->overdue_units += units;
	state->overdue_score += units * payment_score(days);
	state->max_overdue = Max(state->max_overdue, (int32) days);
	return true;
}

static void
add_open(PaymentState *state, DateADT invoice, DateADT due, const Money *amount,
		 int128 units)
{
	range_note(&state->invoice_dates, invoice);
	money_add(&state->sums, PAYMENT_OPEN, amount);
	if (payment_add_open(state, due, 1, units))
		money_add(&state->sums, PAYMENT_OVERDUE, amount);
}

/* --- the log -------------------------------------------------------------- */

/*
 * Puts a row aside; day is that of the payment or, of an open item, of the
 * invoice.  False: it is too unusual for that.  There is room.
 */
static pg_attribute_always_inline bool
log_row(PaymentLog *log, const Money *amount, DateADT invoice, DateADT due,
		DateADT day, int flag)
{
	int64		late = (int64) day - due;
	int64		age = (int64) day - invoice;
	PaymentRow *row;

	if (unlikely((int16) late != late || (int16) age != age ||
				 day >= ROW_MAX_DAY || day <= -ROW_MAX_DAY))
		return false;
	row = &log->rows[log->nrows++];
	row->packed = amount->small << ROW_AMOUNT_SHIFT | amount->scale | flag;
	row->day = day;
	row->late = (int16) late;
	row->age = (int16) age;
	return true;
}

/* Sums over the payments of one log, which fit into 64 bits where they can. */
typedef struct LogSums
{
	int64		days;
	int64		days2;
	int64		x;
	int64		x2;
	int64		x_days;
	int64		to_pay;
	int64		to_pay2;
	int128		amount_days;
	int128		amount_late;
	int128		amount_to_pay;
} LogSums;

static void
add_log_sums(PaidSums *paid, const LogSums *sums)
{
	paid->days += sums->days;
	paid->days2 += sums->days2;
	paid->x += sums->x;
	paid->x2 += sums->x2;
	paid->x_days += sums->x_days;
	paid->to_pay += sums->to_pay;
	paid->to_pay2 += sums->to_pay2;
	paid->amount_days += sums->amount_days;
	paid->amount_late += sums->amount_late;
	paid->amount_to_pay += sums->amount_to_pay;
}

/* Adds the payments among rows to everything, money included. */
static void
add_row_payments(PaymentState *state, const PaymentRow *rows, int nrows)
{
	LogSums		sums = {0};
	Range		late = state->late;
	Range		paid_dates = state->paid_dates;
	Range		invoice_dates = state->invoice_dates;
	/* amounts are below 2^54, and rows no more than 60 */
	int64		amount = 0;
	int			scale = 0;
	int			n = 0;

	for (int i = 0; i < nrows; i++)
	{
		const PaymentRow *row = &rows[i];
		int64		x = row->day;
		int64		days = row->late;
		int64		to_pay = row->age;
		int64		units = row->packed >> ROW_AMOUNT_SHIFT;
		int			row_scale = row->packed & ROW_SCALE;

		if (row->packed & ROW_OPEN)
			continue;
		if (unlikely(row_scale != scale))
		{
			money_add_many(&state->sums, PAYMENT_PAID, amount, scale, n);
			scale = row_scale;
			amount = 0;
			n = 0;
		}
		amount += units;
		n++;
		dayhist_add(&state->hist, days, 1, units, state->sums.cxt);
		recency_add(&state->recent, row->day, 1, days);
		sums.days += days;
		sums.days2 += days * days;
		sums.x += x;
		sums.x2 += x * x;
		sums.x_days += x * days;
		sums.to_pay += to_pay;
		sums.to_pay2 += to_pay * to_pay;
		sums.amount_days += (int128) units * days;
		sums.amount_late += (int128) units * Max(days, 0);
		sums.amount_to_pay += (int128) units * to_pay;
		range_note(&late, row->late);
		range_note(&paid_dates, row->day);
		range_note(&invoice_dates, row->day - row->age);
	}
	money_add_many(&state->sums, PAYMENT_PAID, amount, scale, n);
	add_log_sums(&state->paid, &sums);
	state->late = late;
	state->paid_dates = paid_dates;
	state->invoice_dates = invoice_dates;
}

static void
add_row_open(PaymentState *state, const PaymentRow *row)
{
	Money		amount = {.form = MONEY_SMALL};

	amount.small = row->packed >> ROW_AMOUNT_SHIFT;
	amount.scale = row->packed & ROW_SCALE;
	add_open(state, row->day - row->age, row->day - row->late, &amount,
			 amount.small);
}

/*
 * Adds rows that were put aside.  Slots of the histogram lie far apart, so all
 * are fetched before the first is needed; a new one has its size at once, and so
 * have the sums of recency.
 */
static void
add_rows(PaymentState *state, const PaymentRow *rows, int nrows)
{
	Range		days = {PG_INT32_MAX, PG_INT32_MIN};
	int			n_open = 0;

	if (state->hist.nslots == 0)
		dayhist_reserve(&state->hist, nrows, state->sums.cxt);
	for (int i = 0; i < nrows; i++)
	{
		dayhist_prefetch(&state->hist, rows[i].late);
		if (rows[i].packed & ROW_OPEN)
			n_open++;
		else
			range_note(&days, rows[i].day);
	}
	if (n_open < nrows)
	{
		recency_reserve(&state->recent, days.least, days.most, state->sums.cxt);
		add_row_payments(state, rows, nrows);
	}
	for (int i = 0; n_open > 0; i++)
		if (rows[i].packed & ROW_OPEN)
		{
			add_row_open(state, &rows[i]);
			n_open--;
		}
}

/* Adds all that was put aside. */
static void
add_log(PaymentState *state, const PaymentLog *log)
{
	if (log->pile != NULL && log->pile->nrows > 0)
		add_rows(state, log->pile->rows, log->pile->nrows);
	if (log->nrows > 0)
		add_rows(state, log->rows, log->nrows);
}

/* Makes room on the pile for all rows of the log. */
static PaymentPile *
make_pile(PaymentLog *log)
{
	PaymentPile *pile = log->pile;
	int			room = pile == NULL ? 2 * PAYMENT_LOG_ROWS :
		Min(2 * pile->room + PAYMENT_LOG_ROWS, MAX_PILE_ROWS);
	Size		size = offsetof(PaymentPile, rows) + room * sizeof(PaymentRow);

	if (pile != NULL && pile->room == MAX_PILE_ROWS)
	{
		add_rows(state_of(log), pile->rows, pile->nrows);
		pile->nrows = 0;
		return pile;
	}
	if (pile != NULL)
		pile = repalloc(pile, size);
	else
	{
		pile = MemoryContextAlloc(GetMemoryChunkContext(log), size);
		pile->nrows = 0;
	}
	pile->room = (uint16) room;
	log->pile = pile;
	return pile;
}

/* Moves the rows of a log, which is full, to the pile. */
static void
pile_up(PaymentLog *log)
{
	PaymentPile *pile = log->pile;

	if (pile == NULL || pile->nrows == pile->room)
		pile = make_pile(log);
	memcpy(&pile->rows[pile->nrows], log->rows, sizeof(log->rows));
	pile->nrows += PAYMENT_LOG_ROWS;
	log->nrows = 0;
}

/*
 * All that is known of a group, for reading: where everything is in the log,
 * it is added up in memory that lives as long as the caller's call.
 */
PaymentState *
payment_settled(PaymentLog *log)
{
	PaymentState *state;

	if (log->state != NULL)
	{
		add_log(log->state, log);
		log->nrows = 0;
		if (log->pile != NULL)
			log->pile->nrows = 0;
		return log->state;
	}
	state = payment_make(CurrentMemoryContext, log->grace, log->half_life,
						 log->as_of);
	add_log(state, log);
	return state;
}

/* --- rows ----------------------------------------------------------------- */

static void
refuse_amount(Numeric amount)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("amount is out of range for a payment profile"),
			 errdetail("Amount is %s; it must be below 10^18.",
					   DatumGetCString(DirectFunctionCall1(numeric_out,
														   NumericGetDatum(amount))))));
}

/*
 * The weight of an amount that is not MONEY_SMALL, in units of the eighth
 * decimal, to which it is rounded; -1: it is a credit, whatever its size.
 * False: NaN or infinite.
 */
static bool
read_units(Datum value, const Money *amount, int128 *units)
{
	Money		rounded = *amount;

	if (amount->form == MONEY_OTHER)
	{
		if (numeric_is_nan(amount->numeric) || numeric_is_inf(amount->numeric))
			return false;
		if (DatumGetBool(DirectFunctionCall2(numeric_le, value,
											 NumericGetDatum(money_numeric(0, 0)))))
		{
			*units = -1;
			return true;
		}
		money_read(DirectFunctionCall2(numeric_round, value,
									   Int32GetDatum(UNIT_DECIMALS)), &rounded);
	}
	if (rounded.form == MONEY_OTHER)
		refuse_amount(DatumGetNumeric(value));
	*units = rounded.form == MONEY_SMALL ? rounded.small : rounded.wide;
	if (*units >= MAX_UNITS)
		refuse_amount(DatumGetNumeric(value));
	return true;
}

/*
 * What a row is whose arguments are not null, but for the paid date; of payments
 * and open items also the weight of the amount.
 */
PaymentKind
payment_kind(FunctionCallInfo fcinfo, const Money *amount, DateADT as_of,
			 int128 *units)
{
	bool		has_as_of = !DATE_IS_NOBEGIN(as_of);
	DateADT		invoice = PG_GETARG_DATEADT(2);
	bool		is_paid = !PG_ARGISNULL(4);
	DateADT		paid = is_paid ? PG_GETARG_DATEADT(4) : 0;

	*units = amount->small;
	if (DATE_NOT_FINITE(invoice) || DATE_NOT_FINITE(PG_GETARG_DATEADT(3)) ||
		(is_paid && DATE_IS_NOBEGIN(paid)) ||
		(amount->form != MONEY_SMALL &&
		 !read_units(PG_GETARG_DATUM(1), amount, units)))
		return KIND_SKIPPED;
	if (*units < 0 || (*units == 0 && amount->form == MONEY_SMALL))
		return KIND_CREDIT;
	if (has_as_of && invoice > as_of)
		return KIND_FUTURE;
	if (!is_paid || DATE_IS_NOEND(paid) || (has_as_of && paid > as_of))
		return KIND_OPEN;
	return KIND_PAID;
}

/* What is not often: any row but a usual payment. */
static void
add_rare(FunctionCallInfo fcinfo, PaymentLog *log, const Money *amount)
{
	DateADT		invoice = PG_GETARG_DATEADT(2);
	DateADT		due = PG_GETARG_DATEADT(3);
	int128		units;
	PaymentKind kind = payment_kind(fcinfo, amount, log->as_of, &units);
	PaymentState *state;

	if (kind == KIND_OPEN && amount->form == MONEY_SMALL &&
		log_row(log, amount, invoice, due, invoice, ROW_OPEN))
		return;
	state = state_of(log);
	switch (kind)
	{
		case KIND_SKIPPED:
			state->n_skipped++;
			break;
		case KIND_CREDIT:
			state->n_credits++;
			break;
		case KIND_FUTURE:
			state->n_future++;
			break;
		case KIND_OPEN:
			add_open(state, invoice, due, amount, units);
			break;
		case KIND_PAID:
			money_add(&state->sums, PAYMENT_PAID, amount);
			add_payment(state, invoice, due, PG_GETARG_DATEADT(4), units);
			break;
	}
}

/* Adds a row; has_as_of is a constant in each caller. */
static pg_attribute_always_inline void
add_row(FunctionCallInfo fcinfo, PaymentLog *log, bool has_as_of)
{
	Money		amount;
	DateADT		invoice;
	DateADT		due;
	DateADT		paid;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) ||
				 (has_as_of && PG_ARGISNULL(5))))
	{
		state_of(log)->n_skipped++;
		return;
	}
	if (has_as_of && unlikely(PG_GETARG_DATEADT(5) != log->as_of))
		set_as_of(log, PG_GETARG_DATEADT(5));
	if (unlikely(log->nrows == PAYMENT_LOG_ROWS))
		pile_up(log);

	money_read(PG_GETARG_DATUM(1), &amount);
	invoice = PG_GETARG_DATEADT(2);
	due = PG_GETARG_DATEADT(3);
	paid = PG_ARGISNULL(4) ? 0 : PG_GETARG_DATEADT(4);
	if (unlikely(PG_ARGISNULL(4) || amount.form != MONEY_SMALL ||
				 amount.small <= 0 ||
				 DATE_NOT_FINITE(invoice) || DATE_NOT_FINITE(due) ||
				 DATE_NOT_FINITE(paid) ||
				 (has_as_of && (invoice > log->as_of || paid > log->as_of))) ||
		unlikely(!log_row(log, &amount, invoice, due, paid, 0)))
		add_rare(fcinfo, log, &amount);
}

/* payment_accum(internal, numeric, date, date, date) */
Datum
credit_payment_accum(PG_FUNCTION_ARGS)
{
	PaymentLog *log = PG_ARGISNULL(0) ? make_log(fcinfo, 0, PAYMENT_HALF_LIFE) :
		(PaymentLog *) PG_GETARG_POINTER(0);

	add_row(fcinfo, log, false);
	PG_RETURN_POINTER(log);
}

/* payment_accum(internal, numeric, date, date, date, date) */
Datum
credit_payment_accum_as_of(PG_FUNCTION_ARGS)
{
	PaymentLog *log = PG_ARGISNULL(0) ? make_log(fcinfo, 0, PAYMENT_HALF_LIFE) :
		(PaymentLog *) PG_GETARG_POINTER(0);

	add_row(fcinfo, log, true);
	PG_RETURN_POINTER(log);
}

/* A whole number that must be given and lie between two others. */
static int
read_option(FunctionCallInfo fcinfo, int arg, const char *name, int lowest,
			int highest)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of a payment profile must not be null", name)));
	if (PG_GETARG_INT32(arg) < lowest || PG_GETARG_INT32(arg) > highest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of a payment profile must be %d to %d days, not %d",
						name, lowest, highest, PG_GETARG_INT32(arg))));
	return PG_GETARG_INT32(arg);
}

int
payment_grace(FunctionCallInfo fcinfo, int arg)
{
	return read_option(fcinfo, arg, "grace days", 0, DAYHIST_BOUND - 1);
}

int
payment_half_life(FunctionCallInfo fcinfo, int arg)
{
	return read_option(fcinfo, arg, "half-life", 1, RECENCY_MAX_HALF_LIFE);
}

/* payment_accum(internal, numeric, date, date, date, date, integer, integer) */
Datum
credit_payment_accum_options(PG_FUNCTION_ARGS)
{
	PaymentLog *log;
	int			grace = payment_grace(fcinfo, 6);
	int			half_life = payment_half_life(fcinfo, 7);

	if (PG_ARGISNULL(0))
		log = make_log(fcinfo, grace, half_life);
	else
		log = (PaymentLog *) PG_GETARG_POINTER(0);
	if (log->grace != grace || log->half_life != half_life)
		payment_refuse_mixture();
	add_row(fcinfo, log, true);
	PG_RETURN_POINTER(log);
}

/* --- between processes ---------------------------------------------------- */

static void
combine_paid(PaidSums *paid, const PaidSums *other)
{
	int128	   *sum = (int128 *) paid;
	const int128 *add = (const int128 *) other;

	for (int i = 0; i < PAID_NSUMS; i++)
		sum[i] += add[i];
}

static void
combine_range(Range *range, const Range *other)
{
	range->least = Min(range->least, other->least);
	range->most = Max(range->most, other->most);
}

static void
combine_state(PaymentState *state, const PaymentState *other)
{
	state->n_skipped += other->n_skipped;
	state->n_credits += other->n_credits;
	state->n_future += other->n_future;
	state->n_open += other->n_open;
	state->n_overdue += other->n_overdue;
	state->open_units += other->open_units;
	state->open_late += other->open_late;
	state->overdue_units += other->overdue_units;
	state->overdue_score += other->overdue_score;
	state->max_overdue = Max(state->max_overdue, other->max_overdue);
	combine_paid(&state->paid, &other->paid);
	recency_combine(&state->recent, &other->recent, state->sums.cxt);
	dayhist_combine(&state->hist, &other->hist, state->sums.cxt);
	combine_range(&state->late, &other->late);
	combine_range(&state->paid_dates, &other->paid_dates);
	combine_range(&state->invoice_dates, &other->invoice_dates);
	money_combine(&state->sums, &other->sums);
}

Datum
credit_payment_combine(PG_FUNCTION_ARGS)
{
	PaymentLog *log;
	PaymentLog *other;

	aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (PaymentLog *) PG_GETARG_POINTER(1);
	if (PG_ARGISNULL(0))
		log = make_log(fcinfo, other->grace, other->half_life);
	else
		log = (PaymentLog *) PG_GETARG_POINTER(0);
	if (log->grace != other->grace || log->half_life != other->half_life)
		payment_refuse_mixture();
	if (!DATE_IS_NOBEGIN(other->as_of) && log->as_of != other->as_of)
		set_as_of(log, other->as_of);
	add_log(state_of(log), other);
	if (other->state != NULL)
		combine_state(log->state, other->state);
	PG_RETURN_POINTER(log);
}

static void
send_range(StringInfo buf, const Range *range)
{
	pq_sendint32(buf, range->least);
	pq_sendint32(buf, range->most);
}

static void
send_paid(StringInfo buf, const PaymentState *state)
{
	const int128 *sum = (const int128 *) &state->paid;

	for (int i = 0; i < PAID_NSUMS; i++)
		aggregate_send_int128(buf, sum[i]);
	recency_serialize(buf, &state->recent);
	send_range(buf, &state->late);
	send_range(buf, &state->paid_dates);
	dayhist_serialize(buf, &state->hist);
}

Datum
credit_payment_serialize(PG_FUNCTION_ARGS)
{
	PaymentState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	state = payment_settled((PaymentLog *) PG_GETARG_POINTER(0));
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint32(&buf, state->grace);
	pq_sendint32(&buf, state->recent.half_life);
	pq_sendint32(&buf, state->as_of);
	pq_sendint64(&buf, state->n_skipped);
	pq_sendint64(&buf, state->n_credits);
	pq_sendint64(&buf, state->n_future);
	pq_sendint64(&buf, state->n_open);
	pq_sendint64(&buf, state->n_overdue);
	aggregate_send_int128(&buf, state->open_units);
	aggregate_send_int128(&buf, state->open_late);
	aggregate_send_int128(&buf, state->overdue_units);
	aggregate_send_int128(&buf, state->overdue_score);
	pq_sendint32(&buf, state->max_overdue);
	send_range(&buf, &state->invoice_dates);
	send_paid(&buf, state);
	money_serialize(&buf, &state->sums);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

static int128
receive_sum(StringInfo buf)
{
	int128		sum = aggregate_receive_int128(buf);

	if (sum >= SUM_LIMIT || sum <= -SUM_LIMIT)
		aggregate_refuse_bytes(PAYMENT_AGGREGATE);
	return sum;
}

static void
receive_range(StringInfo buf, Range *range)
{
	range->least = (int32) pq_getmsgint(buf, 4);
	range->most = (int32) pq_getmsgint(buf, 4);
}

static void
receive_paid(StringInfo buf, PaymentState *state)
{
	int128	   *sum = (int128 *) &state->paid;

	for (int i = 0; i < PAID_NSUMS; i++)
		sum[i] = receive_sum(buf);
	recency_deserialize(buf, &state->recent, state->sums.cxt, PAYMENT_AGGREGATE);
	receive_range(buf, &state->late);
	receive_range(buf, &state->paid_dates);
	dayhist_deserialize(buf, &state->hist, state->sums.cxt, PAYMENT_AGGREGATE);
}

Datum
credit_payment_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	PaymentLog *log;
	PaymentState *state;
	int			grace;
	int			half_life;

	aggregate_open_bytes(fcinfo, PAYMENT_AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(PAYMENT_AGGREGATE);
	grace = (int) pq_getmsgint(&buf, 4);
	half_life = (int) pq_getmsgint(&buf, 4);
	if (grace < 0 || grace >= DAYHIST_BOUND || half_life < 1 ||
		half_life > RECENCY_MAX_HALF_LIFE)
		aggregate_refuse_bytes(PAYMENT_AGGREGATE);
	log = make_log(fcinfo, grace, half_life);
	log->as_of = (int32) pq_getmsgint(&buf, 4);
	state = state_of(log);
	state->n_skipped = aggregate_receive_count(&buf, PAYMENT_AGGREGATE);
	state->n_credits = aggregate_receive_count(&buf, PAYMENT_AGGREGATE);
	state->n_future = aggregate_receive_count(&buf, PAYMENT_AGGREGATE);
	state->n_open = aggregate_receive_count(&buf, PAYMENT_AGGREGATE);
	state->n_overdue = aggregate_receive_count(&buf, PAYMENT_AGGREGATE);
	state->open_units = receive_sum(&buf);
	state->open_late = receive_sum(&buf);
	state->overdue_units = receive_sum(&buf);
	state->overdue_score = receive_sum(&buf);
	state->max_overdue = (int32) pq_getmsgint(&buf, 4);
	receive_range(&buf, &state->invoice_dates);
	receive_paid(&buf, state);
	money_deserialize(&buf, &state->sums);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(log);
}

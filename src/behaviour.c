/*
 * behaviour.c
 *	  How a customer pays: aggregate payment_profile(), for any table.
 *
 * One pass.  A row is a payment, an open item, or neither (a credit, an item
 * dated after the as-of date, a row that lacks something); exactly one count
 * says which.
 *
 * All that is kept about payments but the recency weights are exact integers:
 * sums of days, of their squares and products, of amounts times days in units
 * of the eighth decimal, and a histogram of days late (dayhist.c).  What is
 * read from them in the end is the same whatever the order of rows was and
 * however they were split.  profile.c does that.
 *
 * With many groups the processor waits for memory more than for anything
 * else, and a payment touches many sums.  So payments are put aside, at the end
 * of the state, behind the sums of money; when that room is full they are added
 * to everything at once.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "behaviour.h"
#include "credit.h"

#define SERIAL_VERSION 1

/* Payments put aside at most: with them a state takes just below 1 kB. */
#define MAX_ROWS 22
#define STATE_SIZE (offsetof(PaymentState, sums) + \
					MAXALIGN(money_size(PAYMENT_NSUMS)))

/* money.h counts in units of this decimal. */
#define UNIT_DECIMALS 8
/* Amounts are below 10^18, so that times any days they fit into 128 bits. */
#define MAX_UNITS ((int128) 1000000000 * INT64CONST(100000000000000000))
/* What a sum must not pass, to leave room for the sum of many. */
#define SUM_LIMIT ((int128) 1 << 124)

PG_FUNCTION_INFO_V1(credit_payment_accum);
PG_FUNCTION_INFO_V1(credit_payment_accum_as_of);
PG_FUNCTION_INFO_V1(credit_payment_accum_options);
PG_FUNCTION_INFO_V1(credit_payment_combine);
PG_FUNCTION_INFO_V1(credit_payment_serialize);
PG_FUNCTION_INFO_V1(credit_payment_deserialize);

/* --- state ---------------------------------------------------------------- */

static PaymentState *
make_state(FunctionCallInfo fcinfo, int grace, int half_life)
{
	MemoryContext cxt = aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	PaymentState *state = MemoryContextAlloc(cxt, STATE_SIZE +
											 MAX_ROWS * sizeof(PaidRow));

	StaticAssertStmt(offsetof(PaymentState, sums.small) +
					 PAYMENT_NSUMS * sizeof(int64) +
					 MAX_ROWS * sizeof(PaidRow) <= 1024,
					 "state of a payment profile does not fit");
	memset(state, 0, STATE_SIZE);
	money_init(&state->sums, PAYMENT_NSUMS, cxt);
	state->grace = grace;
	state->half_life = half_life;
	DATE_NOBEGIN(state->as_of);
	DATE_NOEND(state->first_invoice);
	DATE_NOBEGIN(state->last_invoice);
	DATE_NOEND(state->first_paid);
	DATE_NOBEGIN(state->last_paid);
	state->min_days = PG_INT32_MAX;
	state->max_days = PG_INT32_MIN;
	return state;
}

static inline PaidRow *
rows_of(PaymentState *state)
{
	return (PaidRow *) ((char *) state + STATE_SIZE);
}

static void
refuse_mixture(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("as-of date, grace days and half-life of a payment profile must be the same for all rows of a group")));
}

/* The as-of date of a group is that of its first row which has one. */
static void
set_as_of(PaymentState *state, DateADT as_of)
{
	if (DATE_NOT_FINITE(as_of))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as-of date of a payment profile must not be infinite")));
	if (payment_has_as_of(state))
		refuse_mixture();
	state->as_of = as_of;
}

/* --- recency weights ------------------------------------------------------ */

/*
 * 2^(x / half_life) for x from 0 to half_life - 1.  The table is of the last
 * half-life that was asked for; a query has one.
 */
static double
weight_within(int x, int half_life)
{
	static double table[PAYMENT_MAX_HALF_LIFE];
	static int	table_of = 0;

	if (unlikely(table_of != half_life))
	{
		for (int i = 0; i < half_life; i++)
			table[i] = exp2((double) i / half_life);
		table_of = half_life;
	}
	return table[x];
}

/* 2^-n; what is below the smallest normal number is nothing. */
static inline double
power_down(int32 n)
{
	union
	{
		uint64		bits;
		double		value;
	}			power;

	power.bits = n < 1023 ? (uint64) (1023 - n) << 52 : 0;
	return power.value;
}

/*
 * Makes the sums relative to a later period.  A period is a half-life, so they
 * change by powers of two, which is exact.
 */
static void
move_period(RecentSums *recent, int32 period)
{
	double		factor;

	if (recent->weight == 0)
		recent->period = period;
	if (period <= recent->period)
		return;
	factor = power_down(period - recent->period);
	recent->weight *= factor;
	recent->weight2 *= factor * factor;
	recent->days *= factor;
	recent->period = period;
}

static inline void
add_recent(RecentSums *recent, int64 days, DateADT paid, int half_life)
{
	int32		period = paid / half_life - (paid % half_life < 0);
	double		weight = weight_within(paid - period * half_life, half_life);

	if (unlikely(period != recent->period || recent->weight == 0))
	{
		move_period(recent, period);
		if (period < recent->period)
			weight *= power_down(recent->period - period);
	}
	recent->weight += weight;
	recent->weight2 += weight * weight;
	recent->days += weight * days;
}

/* --- payments ------------------------------------------------------------- */

/* Adds one payment to everything but the sums of money. */
static pg_attribute_always_inline void
add_payment(PaymentState *state, DateADT invoice, DateADT due, DateADT paid,
			int128 units)
{
	/* any two dates are less than 2^31 days apart */
	int64		days = (int64) paid - due;
	int64		to_pay = (int64) paid - invoice;
	int64		x = paid;
	PaidSums   *sums = &state->paid;

	dayhist_add(&state->hist, days, 1, units, state->sums.cxt);
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
	add_recent(&state->recent, days, paid, state->half_life);

	state->min_days = Min(state->min_days, (int32) days);
	state->max_days = Max(state->max_days, (int32) days);
	state->first_invoice = Min(state->first_invoice, invoice);
	state->last_invoice = Max(state->last_invoice, invoice);
	state->first_paid = Min(state->first_paid, paid);
	state->last_paid = Max(state->last_paid, paid);
}

/*
 * Adds the payments put aside to everything.  Final and serialize functions do
 * it, too: another form of the same value.  Slots of the histogram lie far
 * apart, so all are fetched before the first is needed.
 */
void
payment_settle(PaymentState *state)
{
	const PaidRow *rows = rows_of(state);

	if (state->hist.nslots > 0)
		for (int i = 0; i < state->nrows; i++)
			dayhist_prefetch(&state->hist, (int64) rows[i].paid - rows[i].due);
	for (int i = 0; i < state->nrows; i++)
		add_payment(state, rows[i].invoice, rows[i].due, rows[i].paid,
					rows[i].units);
	state->nrows = 0;
}

/* --- open items ----------------------------------------------------------- */

static void
add_open(PaymentState *state, DateADT invoice, DateADT due, const Money *amount,
		 int128 units)
{
	int64		days;

	money_add(&state->sums, PAYMENT_OPEN, amount);
	state->n_open++;
	state->first_invoice = Min(state->first_invoice, invoice);
	state->last_invoice = Max(state->last_invoice, invoice);
	if (!payment_has_as_of(state))
		return;
	days = (int64) state->as_of - due;
	state->open_units += units;
	state->open_late += units * Max(days, 0);
	if (days <= state->grace)
		return;
	money_add(&state->sums, PAYMENT_OVERDUE, amount);
	state->n_overdue++;
	state->overdue_units += units;
	state->overdue_score += units * payment_score(days);
	state->max_overdue = Max(state->max_overdue, (int32) days);
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

/* What is not often: any row but a payment of a usual amount. */
static void
add_rare(FunctionCallInfo fcinfo, PaymentState *state, const Money *amount,
		 DateADT paid, bool is_paid)
{
	DateADT		invoice = PG_GETARG_DATEADT(2);
	DateADT		due = PG_GETARG_DATEADT(3);
	int128		units = amount->small;

	if (DATE_NOT_FINITE(invoice) || DATE_NOT_FINITE(due) ||
		(is_paid && DATE_IS_NOBEGIN(paid)) ||
		(amount->form != MONEY_SMALL &&
		 !read_units(PG_GETARG_DATUM(1), amount, &units)))
		state->n_skipped++;
	else if (units < 0 || (units == 0 && amount->form == MONEY_SMALL))
		state->n_credits++;
	else if (payment_has_as_of(state) && invoice > state->as_of)
		state->n_future++;
	else if (!is_paid || DATE_IS_NOEND(paid) ||
			 (payment_has_as_of(state) && paid > state->as_of))
		add_open(state, invoice, due, amount, units);
	else
	{
		money_add(&state->sums, PAYMENT_PAID, amount);
		add_payment(state, invoice, due, paid, units);
	}
}

/* Adds a row; has_as_of is a constant in each caller. */
static pg_attribute_always_inline void
add_row(FunctionCallInfo fcinfo, PaymentState *state, bool has_as_of)
{
	Money		amount;
	DateADT		invoice;
	DateADT		due;
	DateADT		paid;
	PaidRow    *row;

	if (unlikely(PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) ||
				 (has_as_of && PG_ARGISNULL(5))))
	{
		state->n_skipped++;
		return;
	}
	if (has_as_of && unlikely(PG_GETARG_DATEADT(5) != state->as_of))
		set_as_of(state, PG_GETARG_DATEADT(5));

	money_read(PG_GETARG_DATUM(1), &amount);
	invoice = PG_GETARG_DATEADT(2);
	due = PG_GETARG_DATEADT(3);
	paid = PG_ARGISNULL(4) ? 0 : PG_GETARG_DATEADT(4);
	if (unlikely(PG_ARGISNULL(4) || amount.form != MONEY_SMALL ||
				 amount.small <= 0 ||
				 DATE_NOT_FINITE(invoice) || DATE_NOT_FINITE(due) ||
				 DATE_NOT_FINITE(paid) ||
				 (has_as_of && (invoice > state->as_of || paid > state->as_of))))
	{
		add_rare(fcinfo, state, &amount, paid, !PG_ARGISNULL(4));
		return;
	}
	money_add(&state->sums, PAYMENT_PAID, &amount);
	if (unlikely(state->nrows == MAX_ROWS))
		payment_settle(state);
	row = &rows_of(state)[state->nrows++];
	row->units = amount.small;
	row->invoice = invoice;
	row->due = due;
	row->paid = paid;
}

/* payment_accum(internal, numeric, date, date, date) */
Datum
credit_payment_accum(PG_FUNCTION_ARGS)
{
	PaymentState *state = PG_ARGISNULL(0) ?
		make_state(fcinfo, 0, PAYMENT_HALF_LIFE) :
		(PaymentState *) PG_GETARG_POINTER(0);

	add_row(fcinfo, state, false);
	PG_RETURN_POINTER(state);
}

/* payment_accum(internal, numeric, date, date, date, date) */
Datum
credit_payment_accum_as_of(PG_FUNCTION_ARGS)
{
	PaymentState *state = PG_ARGISNULL(0) ?
		make_state(fcinfo, 0, PAYMENT_HALF_LIFE) :
		(PaymentState *) PG_GETARG_POINTER(0);

	add_row(fcinfo, state, true);
	PG_RETURN_POINTER(state);
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

/* payment_accum(internal, numeric, date, date, date, date, integer, integer) */
Datum
credit_payment_accum_options(PG_FUNCTION_ARGS)
{
	PaymentState *state;
	int			grace = read_option(fcinfo, 6, "grace days", 0, DAYHIST_BOUND - 1);
	int			half_life = read_option(fcinfo, 7, "half-life", 1,
										PAYMENT_MAX_HALF_LIFE);

	if (PG_ARGISNULL(0))
		state = make_state(fcinfo, grace, half_life);
	else
		state = (PaymentState *) PG_GETARG_POINTER(0);
	if (state->grace != grace || state->half_life != half_life)
		refuse_mixture();
	add_row(fcinfo, state, true);
	PG_RETURN_POINTER(state);
}

/* --- between processes ---------------------------------------------------- */

static void
combine_recent(RecentSums *recent, const RecentSums *from)
{
	RecentSums	other = *from;

	if (other.weight == 0)
		return;
	move_period(recent, other.period);
	move_period(&other, recent->period);
	recent->weight += other.weight;
	recent->weight2 += other.weight2;
	recent->days += other.days;
}

static void
combine_paid(PaidSums *paid, const PaidSums *other)
{
	int128	   *sum = (int128 *) paid;
	const int128 *add = (const int128 *) other;

	for (int i = 0; i < PAID_NSUMS; i++)
		sum[i] += add[i];
}

/* Adds a state; both have been settled. */
static void
add_state(PaymentState *state, const PaymentState *other)
{
	if (state->grace != other->grace || state->half_life != other->half_life)
		refuse_mixture();
	if (payment_has_as_of(other) && state->as_of != other->as_of)
		set_as_of(state, other->as_of);
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
	combine_recent(&state->recent, &other->recent);
	dayhist_combine(&state->hist, &other->hist, state->sums.cxt);
	state->min_days = Min(state->min_days, other->min_days);
	state->max_days = Max(state->max_days, other->max_days);
	state->first_invoice = Min(state->first_invoice, other->first_invoice);
	state->last_invoice = Max(state->last_invoice, other->last_invoice);
	state->first_paid = Min(state->first_paid, other->first_paid);
	state->last_paid = Max(state->last_paid, other->last_paid);
	money_combine(&state->sums, &other->sums);
}

Datum
credit_payment_combine(PG_FUNCTION_ARGS)
{
	PaymentState *state;
	PaymentState *other;

	aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (PaymentState *) PG_GETARG_POINTER(1);
	if (PG_ARGISNULL(0))
		state = make_state(fcinfo, other->grace, other->half_life);
	else
		state = (PaymentState *) PG_GETARG_POINTER(0);
	payment_settle(state);
	payment_settle(other);
	add_state(state, other);
	PG_RETURN_POINTER(state);
}

static void
send_paid(StringInfo buf, const PaymentState *state)
{
	const int128 *sum = (const int128 *) &state->paid;

	for (int i = 0; i < PAID_NSUMS; i++)
		aggregate_send_int128(buf, sum[i]);
	pq_sendint32(buf, state->recent.period);
	pq_sendfloat8(buf, state->recent.weight);
	pq_sendfloat8(buf, state->recent.weight2);
	pq_sendfloat8(buf, state->recent.days);
	pq_sendint32(buf, state->min_days);
	pq_sendint32(buf, state->max_days);
	pq_sendint32(buf, state->first_paid);
	pq_sendint32(buf, state->last_paid);
	dayhist_serialize(buf, &state->hist);
}

Datum
credit_payment_serialize(PG_FUNCTION_ARGS)
{
	PaymentState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	state = (PaymentState *) PG_GETARG_POINTER(0);
	payment_settle(state);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint32(&buf, state->grace);
	pq_sendint32(&buf, state->half_life);
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
	pq_sendint32(&buf, state->first_invoice);
	pq_sendint32(&buf, state->last_invoice);
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

static double
receive_float(StringInfo buf)
{
	double		value = pq_getmsgfloat8(buf);

	if (isnan(value) || isinf(value))
		aggregate_refuse_bytes(PAYMENT_AGGREGATE);
	return value;
}

static void
receive_paid(StringInfo buf, PaymentState *state)
{
	int128	   *sum = (int128 *) &state->paid;

	for (int i = 0; i < PAID_NSUMS; i++)
		sum[i] = receive_sum(buf);
	state->recent.period = (int32) pq_getmsgint(buf, 4);
	state->recent.weight = receive_float(buf);
	state->recent.weight2 = receive_float(buf);
	state->recent.days = receive_float(buf);
	state->min_days = (int32) pq_getmsgint(buf, 4);
	state->max_days = (int32) pq_getmsgint(buf, 4);
	state->first_paid = (int32) pq_getmsgint(buf, 4);
	state->last_paid = (int32) pq_getmsgint(buf, 4);
	dayhist_deserialize(buf, &state->hist, state->sums.cxt, PAYMENT_AGGREGATE);
}

Datum
credit_payment_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	PaymentState *state;
	int			grace;
	int			half_life;

	aggregate_open_bytes(fcinfo, PAYMENT_AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes(PAYMENT_AGGREGATE);
	grace = (int) pq_getmsgint(&buf, 4);
	half_life = (int) pq_getmsgint(&buf, 4);
	if (grace < 0 || grace >= DAYHIST_BOUND || half_life < 1 ||
		half_life > PAYMENT_MAX_HALF_LIFE)
		aggregate_refuse_bytes(PAYMENT_AGGREGATE);
	state = make_state(fcinfo, grace, half_life);
	state->as_of = (int32) pq_getmsgint(&buf, 4);
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
	state->first_invoice = (int32) pq_getmsgint(&buf, 4);
	state->last_invoice = (int32) pq_getmsgint(&buf, 4);
	receive_paid(&buf, state);
	money_deserialize(&buf, &state->sums);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

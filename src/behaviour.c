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
 * A row that needs care is added at once.  Usual ones are put aside, sixteen
 * bytes each: five in a group's log, more in a chunk that grows to 1 kB (4 kB,
 * if there is no other group); only from there are they added to everything,
 * all at once.  Most groups never get that far: the final function adds theirs
 * to sums that live as long as its call.  Where there are many groups, rows even
 * come to the logs by way of a backlog (backlog.c), so that their memory is not
 * waited for one by one.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "behaviour.h"
#include "credit.h"

#define SERIAL_VERSION 3

/* Rows put aside: of chunks of 256 bytes and 1 kB, of a group alone 4 kB. */
#define SECOND_ROWS 16
#define MAX_ROWS 64
#define MAX_ROWS_ALONE 256
/* Days of payment that wait to be added, 32 bytes each. */
#define MAX_PAID_DAYS 4096

/* A row's amount in units, below 2^54, is packed with what else there is. */
#define ROW_SCALE 0x3F
#define ROW_OPEN 0x40
#define ROW_AMOUNT_SHIFT 8
/* Days that far from 2000 have squares of which a log's sum fits 64 bits. */
#define ROW_MAX_DAY (1 << 21)
/* Others are put aside for a row that needs no care. */
#define ROW_MAX_LATE DAYHIST_BOUND

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

struct PaymentCall
{
	Backlog		backlog;		/* the first: a pointer to one is to the other */
	PaymentTerms terms;			/* of all rows in the backlog */
};

static PaymentLog *
make_log_in(MemoryContext cxt, PaymentTerms terms)
{
	PaymentLog *log = MemoryContextAlloc(cxt, sizeof(PaymentLog));

	log->terms = terms;
	log->npaid = 0;
	log->nopen = 0;
	log->room = PAYMENT_FIRST_ROWS;
	log->rows = log->first;
	log->state = NULL;
	log->backlog = NULL;
	return log;
}

static PaymentLog *
make_log(FunctionCallInfo fcinfo, PaymentTerms terms)
{
	return make_log_in(aggregate_context(fcinfo, PAYMENT_AGGREGATE), terms);
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
		log->state = payment_make(GetMemoryChunkContext(log), log->terms.grace,
								  log->terms.half_life, log->terms.as_of);
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
	if (!DATE_IS_NOBEGIN(log->terms.as_of))
		payment_refuse_mixture();
	log->terms.as_of = as_of;
	if (log->state != NULL)
		log->state->as_of = as_of;
}

/* Has the terms of a group be those of a row that it gets. */
static inline void
adopt_terms(PaymentLog *log, const PaymentTerms *terms)
{
	if (likely(memcmp(&log->terms, terms, sizeof(PaymentTerms)) == 0))
		return;
	if (log->terms.grace != terms->grace ||
		log->terms.half_life != terms->half_life)
		payment_refuse_mixture();
	set_as_of(log, terms->as_of);
}

/* --- payments ------------------------------------------------------------- */

/*
 * Notes that n payments were so many days late: in the histogram, and what it
 * cuts off beside it.
 */
void
payment_add_late(PaymentState *state, int64 days, int64 n, int128 units)
{
	int128		cut = days;
	int128		kept = dayhist_key(days) - DAYHIST_BOUND;

	dayhist_add(&state->hist, days, n, units, state->sums.cxt);
	if (likely(cut == kept))
		return;
	state->paid.days += (cut - kept) * n;
	state->paid.days2 += (cut * cut - kept * kept) * n;
	state->paid.amount_days += (cut - kept) * units;
	state->paid.amount_late += (Max(cut, 0) - Max(kept, 0)) * units;
	range_note(&state->late, (int32) days);
}

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
	RecencyPlace recent = recency_reserve(&state->recent, paid, paid,
										  state->sums.cxt);

	payment_add_late(state, days, 1, units);
	recency_add(&recent, paid, 1, days);
	sums->x += x;
	sums->x2 += x * x;
	sums->x_days += x * days;
	sums->to_pay += to_pay;
	sums->to_pay2 += to_pay * to_pay;
	sums->amount_to_pay += units * to_pay;
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
 * Makes a row of a usual payment or open item; day is that of the payment or, of
 * an open item, of the invoice.  False: it is too unusual for that.  No two
 * dates that are not finite are near each other, so they are found out as well.
 */
static pg_attribute_always_inline bool
make_row(PaymentRow *row, int64 amount, int scale, DateADT invoice, DateADT due,
		 DateADT day, int flag)
{
	/* what overflows is far away too */
	uint32		late = (uint32) day - (uint32) due;
	uint32		age = (uint32) day - (uint32) invoice;

	row->packed = (int64) ((uint64) amount << ROW_AMOUNT_SHIFT | scale | flag);
	row->day = day;
	row->late = (int16) late;
	row->age = (int16) age;
	return (late + ROW_MAX_LATE <= 2 * ROW_MAX_LATE) &
		(age + (uint32) -PG_INT16_MIN <= PG_UINT16_MAX) &
		((uint32) day + ROW_MAX_DAY < 2 * ROW_MAX_DAY);
}

static void
combine_range(Range *range, const Range *other)
{
	range->least = Min(range->least, other->least);
	range->most = Max(range->most, other->most);
}

/*
 * Payments are added in three rounds, each of which gets by with the registers
 * there are.  The first: days late, and money.  Amounts are below 2^54, and rows
 * no more than 256.
 */
static void
add_late_rows(PaymentState *state, const PaymentRow *rows, int nrows)
{
	/* a copy, of which the compiler knows that no slot is part */
	DayHist		hist = state->hist;
	int64		amount = 0;
	int			scale = 0;
	int			n = 0;

	for (int i = 0; i < nrows; i++)
	{
		int64		units = rows[i].packed >> ROW_AMOUNT_SHIFT;
		int			row_scale = rows[i].packed & ROW_SCALE;

		if (unlikely(row_scale != scale))
		{
			money_add_many(&state->sums, PAYMENT_PAID, amount, scale, i - n);
			scale = row_scale;
			amount = 0;
			n = i;
		}
		amount += units;
		dayhist_add_one(&hist, rows[i].late, units, state->sums.cxt);
	}
	state->hist = hist;
	money_add_many(&state->sums, PAYMENT_PAID, amount, scale, nrows - n);
}

/* The second: sums over the days of payment, which fit into 64 bits, and lateness. */
static void
add_paid_rows(PaymentState *state, const PaymentRow *rows, int nrows)
{
	PaidSums   *paid = &state->paid;
	Range		dates = {PG_INT32_MAX, PG_INT32_MIN};
	RecencyPlace place;
	int64		x = 0;
	int64		x2 = 0;
	int64		x_days = 0;

	for (int i = 0; i < nrows; i++)
	{
		int64		day = rows[i].day;

		x += day;
		x2 += day * day;
		x_days += day * rows[i].late;
		range_note(&dates, rows[i].day);
	}
	paid->x += x;
	paid->x2 += x2;
	paid->x_days += x_days;
	combine_range(&state->paid_dates, &dates);
	place = recency_reserve(&state->recent, dates.least, dates.most,
							state->sums.cxt);
	for (int i = 0; i < nrows; i++)
		recency_add(&place, rows[i].day, 1, rows[i].late);
}

/* The sums over the days of payment, and lateness, of a list by day. */
void
payment_add_paid_days(PaymentState *state, const DaySums *days)
{
	PaidSums   *paid = &state->paid;
	RecencyPlace recent;
	Range		dates;

	if (days->n == 0)
		return;
	dates = (Range) {days->sums[0].day, days->sums[days->n - 1].day};
	combine_range(&state->paid_dates, &dates);
	recent = recency_reserve(&state->recent, dates.least, dates.most,
							 state->sums.cxt);
	for (int i = 0; i < days->n; i++)
	{
		const DaySum *sum = &days->sums[i];
		int128		x = sum->day;

		recency_add(&recent, sum->day, sum->count, (int64) sum->value);
		paid->x += x * sum->count;
		paid->x2 += x * x * sum->count;
		paid->x_days += x * sum->value;
	}
}

/* Adds the days that wait. */
static void
settle_paid_days(PaymentState *state)
{
	DaySums		days;

	if (state->paid_days.nslots == 0)
		return;
	daymap_list(&state->paid_days, VALUE_SIGNED, &days);
	payment_add_paid_days(state, &days);
	pfree(days.sums);
	pfree(state->paid_days.slots);
	state->paid_days = (DayMap) {0};
}

/*
 * The second of a group alone, whose days come again and again: they are counted
 * first, and added in the end.
 */
static void
count_paid_rows(PaymentState *state, const PaymentRow *rows, int nrows)
{
	MemoryContext cxt = state->sums.cxt;
	DayMap		days;

	if (state->paid_days.nused > MAX_PAID_DAYS)
		settle_paid_days(state);
	daymap_add(&state->paid_days, rows[0].day, 1, rows[0].late, cxt);
	days = state->paid_days;
	for (int i = 1; i < nrows; i++)
		daymap_add_one(&days, rows[i].day, rows[i].late, cxt);
	state->paid_days = days;
}

/* The third: sums over days to pay, and the days of invoices. */
static void
add_age_rows(PaymentState *state, const PaymentRow *rows, int nrows)
{
	Range		dates = {PG_INT32_MAX, PG_INT32_MIN};
	int64		to_pay = 0;
	int64		to_pay2 = 0;
	int128		amount_to_pay = 0;

	for (int i = 0; i < nrows; i++)
	{
		int64		age = rows[i].age;

		to_pay += age;
		to_pay2 += age * age;
		amount_to_pay += (int128) (rows[i].packed >> ROW_AMOUNT_SHIFT) * age;
		range_note(&dates, rows[i].day - rows[i].age);
	}
	state->paid.to_pay += to_pay;
	state->paid.to_pay2 += to_pay2;
	state->paid.amount_to_pay += amount_to_pay;
	combine_range(&state->invoice_dates, &dates);
}

static void
add_open_row(PaymentState *state, const PaymentRow *row)
{
	Money		amount = {.form = MONEY_SMALL};

	amount.small = row->packed >> ROW_AMOUNT_SHIFT;
	amount.scale = row->packed & ROW_SCALE;
	add_open(state, row->day - row->age, row->day - row->late, &amount,
			 amount.small);
}

/*
 * Adds all rows of a log.  A new histogram has its size at once.  Few groups are
 * so large that the memory of theirs would have to be asked for ahead.
 */
static void
add_log(PaymentState *state, const PaymentLog *log)
{
	if (log->npaid > 0)
	{
		if (state->hist.nslots == 0)
			dayhist_reserve(&state->hist, log->npaid, state->sums.cxt);
		add_late_rows(state, log->rows, log->npaid);
		if (log->room == MAX_ROWS_ALONE)
			count_paid_rows(state, log->rows, log->npaid);
		else
			add_paid_rows(state, log->rows, log->npaid);
		add_age_rows(state, log->rows, log->npaid);
	}
	for (int i = log->room - log->nopen; i < log->room; i++)
		add_open_row(state, &log->rows[i]);
}

/* Makes room in a log that is full. */
static pg_noinline void
make_room(PaymentLog *log)
{
	const PaymentRow *open = &log->rows[log->room - log->nopen];
	PaymentRow *rows;
	int			room = log->room == PAYMENT_FIRST_ROWS ? SECOND_ROWS :
		2 * log->room;
	bool		is_alone = log->backlog != NULL && log->backlog->n_groups <= 1;

	if (log->room >= (is_alone ? MAX_ROWS_ALONE : MAX_ROWS))
	{
		add_log(state_of(log), log);
		log->npaid = 0;
		log->nopen = 0;
		return;
	}
	rows = MemoryContextAlloc(GetMemoryChunkContext(log), room * sizeof(PaymentRow));
	memcpy(rows, log->rows, log->npaid * sizeof(PaymentRow));
	memcpy(&rows[room - log->nopen], open, log->nopen * sizeof(PaymentRow));
	if (log->rows != log->first)
		pfree(log->rows);
	log->rows = rows;
	log->room = (uint16) room;
}

/* Puts a row into a log.  Which are open nobody can foresee: no branch asks. */
static pg_attribute_always_inline void
log_row(PaymentLog *log, const PaymentRow *row)
{
	int			is_open = (row->packed & ROW_OPEN) != 0;

	if (unlikely(log->npaid + log->nopen == log->room))
		make_room(log);
	log->rows[is_open ? log->room - 1 - log->nopen : log->npaid] = *row;
	log->npaid += !is_open;
	log->nopen += is_open;
}

/* Brings rows of a backlog to the logs of their groups. */
static void
add_backlog(Backlog *backlog)
{
	const PaymentTerms *terms = &((PaymentCall *) backlog)->terms;
	const BacklogRow *rows = backlog->rows;
	int			n = backlog->n;

	for (int i = 0; i < Min(n, BACKLOG_AHEAD); i++)
		__builtin_prefetch(rows[i].group, 1);
	for (int i = 0; i < n; i++)
	{
		PaymentLog *log = rows[i].group;

		if (i + BACKLOG_AHEAD < n)
			__builtin_prefetch(rows[i + BACKLOG_AHEAD].group, 1);
		if (i + BACKLOG_AHEAD / 2 < n)
		{
			PaymentLog *next = rows[i + BACKLOG_AHEAD / 2].group;

			__builtin_prefetch(&next->rows[next->npaid], 1);
		}
		adopt_terms(log, terms);
		log_row(log, (const PaymentRow *) rows[i].data);
	}
}

/*
 * All that is known of a group, for reading: where everything is in the log,
 * it is added up in memory that lives as long as the caller's call.
 */
PaymentState *
payment_settled(PaymentLog *log)
{
	PaymentState *state;

	backlog_settle(log->backlog);
	if (log->state == NULL)
		state = payment_make(CurrentMemoryContext, log->terms.grace,
							 log->terms.half_life, log->terms.as_of);
	else
		state = log->state;
	add_log(state, log);
	settle_paid_days(state);
	if (log->state != NULL)
	{
		log->npaid = 0;
		log->nopen = 0;
	}
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

static pg_noinline PaymentCall *
make_call(FunctionCallInfo fcinfo)
{
	PaymentCall *call;

	aggregate_context(fcinfo, PAYMENT_AGGREGATE);
	call = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(PaymentCall));
	backlog_init(&call->backlog, add_backlog);
	call->terms = (PaymentTerms) {DATEVAL_NOBEGIN, 0, PAYMENT_HALF_LIFE};
	fcinfo->flinfo->fn_extra = call;
	return call;
}

/* What is known of one call; all of its rows to come have these terms. */
static inline PaymentCall *
call_of(FunctionCallInfo fcinfo)
{
	PaymentCall *call = fcinfo->flinfo->fn_extra;

	return likely(call != NULL) ? call : make_call(fcinfo);
}

/* Rows from here on have other terms. */
static void
change_terms(PaymentCall *call, PaymentTerms terms)
{
	backlog_settle(&call->backlog);
	call->terms = terms;
}

static pg_noinline PaymentLog *
begin_log(FunctionCallInfo fcinfo, PaymentCall *call)
{
	PaymentLog *log = make_log(fcinfo,
							   (PaymentTerms) {DATEVAL_NOBEGIN, call->terms.grace,
											   call->terms.half_life});

	backlog_note_group(&call->backlog, log);
	log->backlog = &call->backlog;
	return log;
}

/* The group of a row, which may be its first. */
static inline PaymentLog *
log_of(FunctionCallInfo fcinfo, PaymentCall *call)
{
	return likely(!PG_ARGISNULL(0)) ? (PaymentLog *) PG_GETARG_POINTER(0) :
		begin_log(fcinfo, call);
}

static pg_attribute_always_inline void
put_row(PaymentCall *call, PaymentLog *log, const PaymentRow *row)
{
	/* a group alone is near anyway */
	if (call->backlog.n_groups > 1)
		*(PaymentRow *) backlog_put(&call->backlog, log) = *row;
	else
	{
		adopt_terms(log, &call->terms);
		log_row(log, row);
	}
}

/* What is not often: any row but a usual payment. */
static pg_noinline void
add_rare(FunctionCallInfo fcinfo, PaymentCall *call, PaymentLog *log)
{
	DateADT		invoice = PG_GETARG_DATEADT(2);
	DateADT		due = PG_GETARG_DATEADT(3);
	Money		amount;
	int128		units;
	PaymentKind kind;
	PaymentState *state;
	PaymentRow	row;

	money_read(PG_GETARG_DATUM(1), &amount);
	kind = payment_kind(fcinfo, &amount, call->terms.as_of, &units);
	if (kind == KIND_OPEN && amount.form == MONEY_SMALL &&
		make_row(&row, amount.small, amount.scale, invoice, due, invoice, ROW_OPEN))
	{
		put_row(call, log, &row);
		return;
	}
	adopt_terms(log, &call->terms);
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
			add_open(state, invoice, due, &amount, units);
			break;
		case KIND_PAID:
			money_add(&state->sums, PAYMENT_PAID, &amount);
			add_payment(state, invoice, due, PG_GETARG_DATEADT(4), units);
			break;
	}
}

/* Adds any row; the group, which may be new. */
static pg_noinline PaymentLog *
add_any_row(FunctionCallInfo fcinfo, bool has_as_of)
{
	PaymentCall *call = call_of(fcinfo);
	PaymentLog *log = log_of(fcinfo, call);
	DateADT		invoice = PG_GETARG_DATEADT(2);
	DateADT		paid = PG_GETARG_DATEADT(4);
	int64		amount;
	int			scale;
	PaymentRow	row;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) ||
		(has_as_of && PG_ARGISNULL(5)))
	{
		state_of(log)->n_skipped++;
		return log;
	}
	if (has_as_of && unlikely(PG_GETARG_DATEADT(5) != call->terms.as_of))
	{
		payment_check_as_of(PG_GETARG_DATEADT(5));
		change_terms(call, (PaymentTerms) {PG_GETARG_DATEADT(5),
										   call->terms.grace,
										   call->terms.half_life});
	}
	if (!PG_ARGISNULL(4) &&
		money_read_small(PG_GETARG_DATUM(1), &amount, &scale) && amount > 0 &&
		make_row(&row, amount, scale, invoice, PG_GETARG_DATEADT(3), paid, 0) &&
		!(has_as_of && (invoice > call->terms.as_of || paid > call->terms.as_of)))
		put_row(call, log, &row);
	else
		add_rare(fcinfo, call, log);
	return log;
}

/*
 * Adds a row; has_as_of is a constant in each caller.  A usual payment of a group
 * that has room is done with here, without a call, which would have registers
 * saved for every row.
 */
static pg_attribute_always_inline PaymentLog *
add_row(FunctionCallInfo fcinfo, bool has_as_of)
{
	PaymentCall *call = fcinfo->flinfo->fn_extra;
	PaymentLog *log = (PaymentLog *) PG_GETARG_POINTER(0);
	DateADT		as_of = has_as_of ? PG_GETARG_DATEADT(5) : 0;
	DateADT		invoice = PG_GETARG_DATEADT(2);
	DateADT		paid = PG_GETARG_DATEADT(4);
	int64		amount;
	int			scale;
	PaymentRow	row;
	BacklogRow *place;

	if (unlikely(call == NULL ||
				 (PG_ARGISNULL(0) | PG_ARGISNULL(1) | PG_ARGISNULL(2) |
				  PG_ARGISNULL(3) | PG_ARGISNULL(4)) ||
				 (has_as_of && (PG_ARGISNULL(5) || as_of != call->terms.as_of ||
								invoice > as_of || paid > as_of)) ||
				 !money_read_plain(PG_GETARG_DATUM(1), &amount, &scale) ||
				 !make_row(&row, amount, scale, invoice, PG_GETARG_DATEADT(3),
						   paid, 0)))
		return add_any_row(fcinfo, has_as_of);
	/* a group alone is near anyway */
	if (call->backlog.n_groups <= 1)
	{
		if (unlikely(log->npaid + log->nopen == log->room ||
					 memcmp(&log->terms, &call->terms, sizeof(PaymentTerms)) != 0))
			return add_any_row(fcinfo, has_as_of);
		log->rows[log->npaid++] = row;
		return log;
	}
	if (unlikely(call->backlog.n == BACKLOG_ROWS))
		return add_any_row(fcinfo, has_as_of);
	place = &call->backlog.rows[call->backlog.n++];
	place->group = log;
	*(PaymentRow *) place->data = row;
	return log;
}

/* payment_accum(internal, numeric, date, date, date) */
Datum
credit_payment_accum(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(add_row(fcinfo, false));
}

/* payment_accum(internal, numeric, date, date, date, date) */
Datum
credit_payment_accum_as_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(add_row(fcinfo, true));
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
	PaymentCall *call = call_of(fcinfo);
	int			grace = payment_grace(fcinfo, 6);
	int			half_life = payment_half_life(fcinfo, 7);

	if (unlikely(grace != call->terms.grace || half_life != call->terms.half_life))
		change_terms(call, (PaymentTerms) {call->terms.as_of, (int16) grace,
										   (int16) half_life});
	PG_RETURN_POINTER(add_row(fcinfo, true));
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
		return aggregate_unchanged(fcinfo);
	other = (PaymentLog *) PG_GETARG_POINTER(1);
	backlog_settle(other->backlog);
	if (PG_ARGISNULL(0))
		log = make_log(fcinfo, other->terms);
	else
		log = (PaymentLog *) PG_GETARG_POINTER(0);
	backlog_settle(log->backlog);
	if (!DATE_IS_NOBEGIN(other->terms.as_of) || log->terms.grace != other->terms.grace ||
		log->terms.half_life != other->terms.half_life)
		adopt_terms(log, &other->terms);
	if (other->npaid + other->nopen > 0)
		add_log(state_of(log), other);
	if (other->state != NULL)
	{
		settle_paid_days(other->state);
		combine_state(state_of(log), other->state);
	}
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
	log = make_log(fcinfo, (PaymentTerms) {(DateADT) pq_getmsgint(&buf, 4),
										   (int16) grace, (int16) half_life});
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

/* --- outside of the aggregate --------------------------------------------- */

/* What rows of these terms are added with, in the current memory context. */
PaymentCall *
payment_call(PaymentTerms terms)
{
	PaymentCall *call = palloc(sizeof(PaymentCall));

	backlog_init(&call->backlog, add_backlog);
	call->terms = terms;
	return call;
}

Backlog *
payment_backlog(PaymentCall *call)
{
	return &call->backlog;
}

/*
 * Makes data for the backlog of a row: amount, invoice date, due date, paid
 * date.  False: it is none of the usual ones, for payment_add_unusual().
 */
bool
payment_usual(const PaymentCall *call, const Datum *values, const bool *isnull,
			  int64 *data)
{
	DateADT		as_of = call->terms.as_of;
	DateADT		invoice = DatumGetDateADT(values[1]);
	DateADT		day = DatumGetDateADT(values[3]);
	int			flag = 0;
	int64		amount;
	int			scale;

	if (unlikely(isnull[0] || isnull[1] || isnull[2] ||
				 !money_read_small(values[0], &amount, &scale) || amount <= 0))
		return false;
	if (!DATE_IS_NOBEGIN(as_of))
	{
		if (invoice > as_of)
			return false;
		if (isnull[3] || day > as_of)
			flag = ROW_OPEN;
	}
	else if (isnull[3])
		flag = ROW_OPEN;
	/* paid at -infinity is nothing that is open */
	if (flag == ROW_OPEN)
		day = invoice;
	return make_row((PaymentRow *) data, amount, scale, invoice,
					DatumGetDateADT(values[2]), day, flag);
}

/* A new group. */
void *
payment_begin(void *call, MemoryContext cxt)
{
	PaymentLog *log = make_log_in(cxt, ((PaymentCall *) call)->terms);

	log->backlog = &((PaymentCall *) call)->backlog;
	return log;
}

/* Adds any row. */
void
payment_add_unusual(void *call, void *log, const NullableDatum *values)
{
	LOCAL_FCINFO(fcinfo, 5);

	InitFunctionCallInfoData(*fcinfo, NULL, 5, InvalidOid, NULL, NULL);
	for (int i = 0; i < 4; i++)
		fcinfo->args[i + 1] = values[i];
	if (values[0].isnull || values[1].isnull || values[2].isnull)
		state_of(log)->n_skipped++;
	else
		add_rare(fcinfo, call, log);
}

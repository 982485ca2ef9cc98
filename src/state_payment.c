/*
 * state_payment.c
 *	  Payment profiles that are stored: type payment_state.
 *
 * payment_profile() ends in figures that cannot be put together again.  A
 * payment_state is what they are made of, in a form in which rows can be added
 * and taken out at any time, so that whole numbers by day are all there is:
 *
 *	  late		 payments and their amount by days late: quantiles, deviations,
 *				 moments, shares on time, index, the least and the most
 *	  paid		 payments and their days late by the day of payment: trend,
 *				 recency, first and last
 *	  invoiced	 payments and open items by invoice date: first and last
 *	  due		 open items and their amount by due date: what is overdue on any
 *				 day
 *	  decimals	 how many amounts are shown with how many decimals
 *	  fine		 what is not in units of the eighth decimal (finesum.c)
 *
 * and counts, and three sums for what days late do not say: days to pay.
 * The least and the most of something do not subtract; they are the ends of a
 * map.  Grace days and half-life are chosen when a state is read, and so is the
 * as-of date, as long as nothing in the state is later.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "aggregate.h"
#include "behaviour.h"
#include "state.h"

#define TYPE "payment_state"

/* Kinds of fine sums; of payments the day is 0, of open items the due date. */
#define FINE_PAID 0
#define FINE_OPEN 1

/* What is no map. */
typedef struct PaymentNumbers
{
	DateADT		as_of;			/* of rows that had one, if there are any */
	int64		n_as_of;
	int64		n_credits;
	int64		n_future;
	int64		n_skipped;
	int128		to_pay;
	int128		to_pay2;
	int128		amount_to_pay;
} PaymentNumbers;

typedef struct PaymentTally
{
	StateTally	tally;
	PaymentNumbers numbers;
	DayMap		late;
	DayMap		paid;
	DayMap		invoiced;
	DayMap		due;
	DayMap		decimals;
	FineSums	fine;
} PaymentTally;

typedef struct PaymentLists
{
	PaymentNumbers numbers;
	DaySums		late;
	DaySums		paid;
	DaySums		invoiced;
	DaySums		due;
	DaySums		decimals;
	FineList	fine;
} PaymentLists;

/* A payment or an open item of a usual amount. */
typedef struct PaymentNote
{
	int64		units;
	DateADT		invoice;
	DateADT		due;
	DateADT		paid;
	int16		scale;
	bool		is_paid;
} PaymentNote;

PG_FUNCTION_INFO_V1(credit_payment_state_in);
PG_FUNCTION_INFO_V1(credit_payment_state_out);
PG_FUNCTION_INFO_V1(credit_payment_state_receive);
PG_FUNCTION_INFO_V1(credit_payment_state_send);
PG_FUNCTION_INFO_V1(credit_payment_state_accum);
PG_FUNCTION_INFO_V1(credit_payment_state_remove);
PG_FUNCTION_INFO_V1(credit_payment_state_merge);
PG_FUNCTION_INFO_V1(credit_payment_state_unmerge);
PG_FUNCTION_INFO_V1(credit_payment_state_combine);
PG_FUNCTION_INFO_V1(credit_payment_state_serialize);
PG_FUNCTION_INFO_V1(credit_payment_state_deserialize);
PG_FUNCTION_INFO_V1(credit_payment_state_final);
PG_FUNCTION_INFO_V1(credit_payment_state_add);
PG_FUNCTION_INFO_V1(credit_payment_state_subtract);
PG_FUNCTION_INFO_V1(credit_payment_measures);

/* --- rows ----------------------------------------------------------------- */

/* Counts n rows with an as-of date, or less. */
static void
note_as_of(PaymentNumbers *numbers, DateADT as_of, int64 n)
{
	if (numbers->n_as_of != 0 && numbers->as_of != as_of)
		payment_refuse_mixture();
	numbers->as_of = as_of;
	numbers->n_as_of += n;
}

static void
add_paid(PaymentTally *tally, DateADT invoice, DateADT due, DateADT paid,
		 int128 units, int sign)
{
	MemoryContext cxt = tally->tally.cxt;
	/* any two dates are less than 2^31 days apart */
	int64		late = (int64) paid - due;
	int64		to_pay = (int64) paid - invoice;

	daymap_add(&tally->late, (int32) late, sign, sign * units, cxt);
	daymap_add(&tally->paid, paid, sign, sign * late, cxt);
	daymap_add(&tally->invoiced, invoice, sign, 0, cxt);
	tally->numbers.to_pay += sign * to_pay;
	tally->numbers.to_pay2 += sign * to_pay * to_pay;
	tally->numbers.amount_to_pay += sign * units * to_pay;
}

static void
add_open(PaymentTally *tally, DateADT invoice, DateADT due, int128 units, int sign)
{
	daymap_add(&tally->due, due, sign, sign * units, tally->tally.cxt);
	daymap_add(&tally->invoiced, invoice, sign, 0, tally->tally.cxt);
}

static void
add_note(void *to, const void *from, int sign)
{
	PaymentTally *tally = to;
	const PaymentNote *note = from;

	daymap_add(&tally->decimals, note->scale, sign, 0, tally->tally.cxt);
	if (note->is_paid)
		add_paid(tally, note->invoice, note->due, note->paid, note->units, sign);
	else
		add_open(tally, note->invoice, note->due, note->units, sign);
}

/* Adds a payment or an open item whose amount is not MONEY_SMALL. */
static void
add_unusual(PaymentTally *tally, const PaymentNote *note, const Money *amount,
			int128 units, int sign)
{
	state_touch(tally);
	if (amount->form != MONEY_OTHER)
		daymap_add(&tally->decimals, amount->scale, sign, 0, tally->tally.cxt);
	else if (note->is_paid)
		fine_add(&tally->fine, FINE_PAID, 0, amount->numeric, units, sign);
	else
		fine_add(&tally->fine, FINE_OPEN, note->due, amount->numeric, units, sign);
	if (note->is_paid)
		add_paid(tally, note->invoice, note->due, note->paid, units, sign);
	else
		add_open(tally, note->invoice, note->due, units, sign);
}

static const StateType type;

/* Adds the row of the arguments (sign 1), or takes it out (-1). */
static void
add_row(FunctionCallInfo fcinfo, PaymentTally *tally, int sign)
{
	PaymentNumbers *numbers = &tally->numbers;
	bool		has_as_of = PG_NARGS() > 5;
	DateADT		as_of = DATEVAL_NOBEGIN;
	PaymentNote note = {0};
	Money		amount;
	int128		units;
	PaymentKind kind;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) ||
		(has_as_of && PG_ARGISNULL(5)))
	{
		numbers->n_skipped += sign;
		return;
	}
	if (has_as_of)
	{
		as_of = PG_GETARG_DATEADT(5);
		payment_check_as_of(as_of);
		note_as_of(numbers, as_of, sign);
	}
	money_read(PG_GETARG_DATUM(1), &amount);
	kind = payment_kind(fcinfo, &amount, as_of, &units);
	numbers->n_skipped += kind == KIND_SKIPPED ? sign : 0;
	numbers->n_credits += kind == KIND_CREDIT ? sign : 0;
	numbers->n_future += kind == KIND_FUTURE ? sign : 0;
	if (kind != KIND_PAID && kind != KIND_OPEN)
		return;
	note.invoice = PG_GETARG_DATEADT(2);
	note.due = PG_GETARG_DATEADT(3);
	note.is_paid = kind == KIND_PAID;
	note.paid = note.is_paid ? PG_GETARG_DATEADT(4) : 0;
	if (amount.form != MONEY_SMALL)
	{
		add_unusual(tally, &note, &amount, units, sign);
		return;
	}
	note.units = amount.small;
	note.scale = (int16) amount.scale;
	state_note(tally, &type, &note, sign);
}

/* --- bytes ---------------------------------------------------------------- */

/* Whether all days are those of dates, which are in order. */
static bool
are_dates(const DaySums *list)
{
	return list->n == 0 ||
		(IS_VALID_DATE(list->sums[0].day) &&
		 IS_VALID_DATE(list->sums[list->n - 1].day));
}

/* Whether fine sums belong to what they are fine sums of. */
static bool
is_fine_right(const PaymentLists *lists, int64 *count)
{
	int64		n[2] = {0, 0};
	int128		units[2] = {0, 0};

	for (int i = 0; i < lists->fine.n; i++)
	{
		const FineSum *sum = &lists->fine.sums[i];

		if (sum->key.kind > FINE_OPEN || !fine_is_finite(sum) || sum->units < 0 ||
			(sum->key.kind == FINE_PAID ? sum->key.day != 0 :
			 !IS_VALID_DATE(sum->key.day)))
			return false;
		n[sum->key.kind] += sum->count;
		units[sum->key.kind] += sum->units;
	}
	*count = n[FINE_PAID] + n[FINE_OPEN];
	return n[FINE_PAID] <= lists->late.count &&
		n[FINE_OPEN] <= lists->due.count &&
		units[FINE_PAID] <= lists->late.value &&
		units[FINE_OPEN] <= lists->due.value;
}

/* Whether what is counted in several ways is the same in each. */
static bool
is_consistent(const void *from)
{
	const PaymentLists *lists = from;
	const PaymentNumbers *numbers = &lists->numbers;
	int64		n = lists->late.count;
	int64		n_fine;
	int128		days = 0;

	if (numbers->n_as_of < 0 ||
		(numbers->n_as_of > 0 && !IS_VALID_DATE(numbers->as_of)) ||
		numbers->n_credits < 0 || numbers->n_future < 0 ||
		numbers->n_skipped < 0 || numbers->to_pay2 < 0 ||
		(double) numbers->to_pay * (double) numbers->to_pay >
		(double) numbers->to_pay2 * n * (1 + 1e-9))
		return false;
	for (int i = 0; i < lists->late.n; i++)
		days += (int128) lists->late.sums[i].day * lists->late.sums[i].count;
	return is_fine_right(lists, &n_fine) &&
		lists->paid.count == n && lists->paid.value == days &&
		lists->invoiced.count == n + lists->due.count &&
		lists->decimals.count + n_fine == n + lists->due.count &&
		(n > 0 || (numbers->to_pay2 == 0 && numbers->amount_to_pay == 0)) &&
		(lists->decimals.n == 0 ||
		 (lists->decimals.sums[0].day >= 0 &&
		  state_decimals(&lists->decimals) <= MONEY_MAX_SCALE)) &&
		are_dates(&lists->paid) && are_dates(&lists->invoiced) &&
		are_dates(&lists->due);
}

static bool
list(const void *from, void *to)
{
	const PaymentTally *tally = from;
	PaymentLists *lists = to;

	lists->numbers = tally->numbers;
	return daymap_list(&tally->late, VALUE_AMOUNT, &lists->late) &&
		daymap_list(&tally->paid, VALUE_SIGNED, &lists->paid) &&
		daymap_list(&tally->invoiced, VALUE_NONE, &lists->invoiced) &&
		daymap_list(&tally->due, VALUE_AMOUNT, &lists->due) &&
		daymap_list(&tally->decimals, VALUE_NONE, &lists->decimals) &&
		fine_list(&tally->fine, &lists->fine);
}

static void
add_lists(void *to, const void *from, int sign)
{
	PaymentTally *tally = to;
	const PaymentLists *lists = from;
	MemoryContext cxt = tally->tally.cxt;

	if (lists->numbers.n_as_of > 0)
		note_as_of(&tally->numbers, lists->numbers.as_of,
				   sign * lists->numbers.n_as_of);
	tally->numbers.n_credits += sign * lists->numbers.n_credits;
	tally->numbers.n_future += sign * lists->numbers.n_future;
	tally->numbers.n_skipped += sign * lists->numbers.n_skipped;
	tally->numbers.to_pay += sign * lists->numbers.to_pay;
	tally->numbers.to_pay2 += sign * lists->numbers.to_pay2;
	tally->numbers.amount_to_pay += sign * lists->numbers.amount_to_pay;
	daymap_add_list(&tally->late, &lists->late, sign, cxt);
	daymap_add_list(&tally->paid, &lists->paid, sign, cxt);
	daymap_add_list(&tally->invoiced, &lists->invoiced, sign, cxt);
	daymap_add_list(&tally->due, &lists->due, sign, cxt);
	daymap_add_list(&tally->decimals, &lists->decimals, sign, cxt);
	fine_add_list(&tally->fine, &lists->fine, sign);
}

/* Rows that had an as-of date, and fine sums, are left to a tally. */
static bool
merge_lists(void *to, const void *from)
{
	PaymentLists *lists = to;
	const PaymentLists *other = from;
	PaymentNumbers *numbers = &lists->numbers;

	if (numbers->n_as_of > 0 || other->numbers.n_as_of > 0 ||
		lists->fine.n > 0 || other->fine.n > 0)
		return false;
	numbers->n_credits += other->numbers.n_credits;
	numbers->n_future += other->numbers.n_future;
	numbers->n_skipped += other->numbers.n_skipped;
	numbers->to_pay += other->numbers.to_pay;
	numbers->to_pay2 += other->numbers.to_pay2;
	numbers->amount_to_pay += other->numbers.amount_to_pay;
	daysums_merge(&lists->late, &other->late);
	daysums_merge(&lists->paid, &other->paid);
	daysums_merge(&lists->invoiced, &other->invoiced);
	daysums_merge(&lists->due, &other->due);
	daysums_merge(&lists->decimals, &other->decimals);
	return true;
}

static void
pack(StringInfo buf, const void *from)
{
	const PaymentLists *lists = from;
	const PaymentNumbers *numbers = &lists->numbers;
	int			decimals = lists->fine.n > 0 ? 8 :
		Min(state_decimals(&lists->decimals), 8);
	int64		unit = state_unit(decimals);

	pack_unsigned(buf, decimals);
	pack_unsigned(buf, numbers->n_as_of);
	if (numbers->n_as_of > 0)
		pack_signed(buf, numbers->as_of);
	pack_unsigned(buf, numbers->n_credits);
	pack_unsigned(buf, numbers->n_future);
	pack_unsigned(buf, numbers->n_skipped);
	pack_signed(buf, numbers->to_pay);
	pack_unsigned(buf, numbers->to_pay2);
	pack_signed(buf, numbers->amount_to_pay / unit);
	daysums_pack(buf, &lists->late, VALUE_AMOUNT, unit);
	daysums_pack(buf, &lists->paid, VALUE_SIGNED, 1);
	daysums_pack(buf, &lists->invoiced, VALUE_NONE, 1);
	daysums_pack(buf, &lists->due, VALUE_AMOUNT, unit);
	daysums_pack(buf, &lists->decimals, VALUE_NONE, 1);
	fine_pack(buf, &lists->fine);
}

static void
unpack(Unpack *from, void *to)
{
	const int128 most = (int128) 1 << 124;
	PaymentLists *lists = to;
	PaymentNumbers *numbers = &lists->numbers;
	int64		unit = state_unit((int) unpack_unsigned(from, 8));

	numbers->n_as_of = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
	numbers->as_of = numbers->n_as_of > 0 ? daysums_unpack_day(from) : 0;
	numbers->n_credits = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
	numbers->n_future = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
	numbers->n_skipped = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
	numbers->to_pay = unpack_signed(from, most);
	numbers->to_pay2 = (int128) unpack_unsigned(from, most);
	numbers->amount_to_pay = unpack_signed(from, most / unit) * unit;
	daysums_unpack(from, &lists->late, VALUE_AMOUNT, unit);
	daysums_unpack(from, &lists->paid, VALUE_SIGNED, 1);
	daysums_unpack(from, &lists->invoiced, VALUE_NONE, 1);
	daysums_unpack(from, &lists->due, VALUE_AMOUNT, unit);
	daysums_unpack(from, &lists->decimals, VALUE_NONE, 1);
	fine_unpack(from, &lists->fine);
}

/* --- type ----------------------------------------------------------------- */

static void
init(void *tally)
{
	((PaymentTally *) tally)->fine.cxt = ((PaymentTally *) tally)->tally.cxt;
}

static const StateType type = {
	.name = TYPE,
	.tag = TAG_PAYMENT,
	.tally_size = sizeof(PaymentTally),
	.lists_size = sizeof(PaymentLists),
	.note_size = sizeof(PaymentNote),
	.init = init,
	.add_note = add_note,
	.add_lists = add_lists,
	.merge_lists = merge_lists,
	.list = list,
	.is_consistent = is_consistent,
	.pack = pack,
	.unpack = unpack
};

Datum
credit_payment_state_in(PG_FUNCTION_ARGS)
{
	return state_in(fcinfo, &type);
}

Datum
credit_payment_state_out(PG_FUNCTION_ARGS)
{
	return state_out(fcinfo);
}

Datum
credit_payment_state_receive(PG_FUNCTION_ARGS)
{
	return state_receive(fcinfo, &type);
}

Datum
credit_payment_state_send(PG_FUNCTION_ARGS)
{
	return state_send(fcinfo);
}

/* --- aggregates ----------------------------------------------------------- */

/* payment_state_accum(internal, numeric, date, date, date [, date]) */
Datum
credit_payment_state_accum(PG_FUNCTION_ARGS)
{
	PaymentTally *tally = state_of_group(fcinfo, &type);

	add_row(fcinfo, tally, 1);
	PG_RETURN_POINTER(tally);
}

/* payment_state_remove(internal, numeric, date, date, date [, date]) */
Datum
credit_payment_state_remove(PG_FUNCTION_ARGS)
{
	PaymentTally *tally = state_of_group(fcinfo, &type);

	add_row(fcinfo, tally, -1);
	PG_RETURN_POINTER(tally);
}

/* payment_state_merge(internal, payment_state) */
Datum
credit_payment_state_merge(PG_FUNCTION_ARGS)
{
	return state_merge(fcinfo, &type, 1);
}

/* payment_state_unmerge(internal, payment_state) */
Datum
credit_payment_state_unmerge(PG_FUNCTION_ARGS)
{
	return state_merge(fcinfo, &type, -1);
}

Datum
credit_payment_state_combine(PG_FUNCTION_ARGS)
{
	return state_combine(fcinfo, &type);
}

Datum
credit_payment_state_serialize(PG_FUNCTION_ARGS)
{
	return state_pack(fcinfo, &type);
}

Datum
credit_payment_state_deserialize(PG_FUNCTION_ARGS)
{
	return state_deserialize(fcinfo, &type);
}

Datum
credit_payment_state_final(PG_FUNCTION_ARGS)
{
	return state_pack(fcinfo, &type);
}

/* --- arithmetic ----------------------------------------------------------- */

/* add(payment_state, payment_state) */
Datum
credit_payment_state_add(PG_FUNCTION_ARGS)
{
	return state_arithmetic(fcinfo, &type, 1);
}

/* subtract(payment_state, payment_state) */
Datum
credit_payment_state_subtract(PG_FUNCTION_ARGS)
{
	return state_arithmetic(fcinfo, &type, -1);
}

/* --- results -------------------------------------------------------------- */

static void
read_late(PaymentState *state, const DaySums *list)
{
	if (list->n > 0)
		dayhist_reserve(&state->hist, list->n, state->sums.cxt);
	for (int i = 0; i < list->n; i++)
	{
		const DaySum *sum = &list->sums[i];

		payment_add_late(state, sum->day, sum->count, sum->value);
	}
}

/* Adds units to a sum of money, which is shown with so many decimals. */
static void
add_units(PaymentState *state, int i, int128 units, int scale)
{
	Money		amount = {.form = MONEY_WIDE, .scale = scale, .wide = units};

	money_add(&state->sums, i, &amount);
}

/* Fine sums have rounded units in the map beside them, which are taken out. */
static void
add_fine(PaymentState *state, int i, const FineSum *fine, int scale)
{
	Money		amount = {.form = MONEY_OTHER, .numeric = fine->sum};

	add_units(state, i, -fine->units, scale);
	money_add(&state->sums, i, &amount);
}

static void
read_open(PaymentState *state, const PaymentLists *lists, int scale)
{
	for (int i = 0; i < lists->due.n; i++)
	{
		const DaySum *sum = &lists->due.sums[i];

		add_units(state, PAYMENT_OPEN, sum->value, scale);
		if (payment_add_open(state, sum->day, sum->count, sum->value))
			add_units(state, PAYMENT_OVERDUE, sum->value, scale);
	}
}

static void
read_fine(PaymentState *state, const FineList *list, int scale)
{
	for (int i = 0; i < list->n; i++)
	{
		const FineSum *fine = &list->sums[i];

		add_fine(state, fine->key.kind == FINE_PAID ? PAYMENT_PAID : PAYMENT_OPEN,
				 fine, scale);
		if (fine->key.kind == FINE_OPEN && payment_has_as_of(state) &&
			(int64) state->as_of - fine->key.day > state->grace)
			add_fine(state, PAYMENT_OVERDUE, fine, scale);
	}
}

static void
read_lists(PaymentState *state, const PaymentLists *lists)
{
	const PaymentNumbers *numbers = &lists->numbers;
	const DaySums *invoiced = &lists->invoiced;
	int			scale = state_decimals(&lists->decimals);

	state->n_credits = numbers->n_credits;
	state->n_future = numbers->n_future;
	state->n_skipped = numbers->n_skipped;
	state->paid.to_pay = numbers->to_pay;
	state->paid.to_pay2 = numbers->to_pay2;
	state->paid.amount_to_pay = numbers->amount_to_pay;
	if (invoiced->n > 0)
	{
		state->invoice_dates.least = invoiced->sums[0].day;
		state->invoice_dates.most = invoiced->sums[invoiced->n - 1].day;
	}
	read_late(state, &lists->late);
	payment_add_paid_days(state, &lists->paid);
	add_units(state, PAYMENT_PAID, lists->late.value, scale);
	read_open(state, lists, scale);
	read_fine(state, &lists->fine, scale);
}

static char *
date_text(DateADT date)
{
	return DatumGetCString(DirectFunctionCall1(date_out, DateADTGetDatum(date)));
}

/* On a day before the last there is, nobody knows what was paid by then. */
static void
check_last(DateADT as_of, const DaySums *list, const char *what)
{
	DateADT		last = list->n == 0 ? as_of : list->sums[list->n - 1].day;

	if (last > as_of)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a payment state cannot be read as of a day before the last %s in it",
						what),
				 errdetail("The last is of %s, the as-of date is %s.",
						   date_text(last), date_text(as_of)),
				 errhint("Merge states of the months up to that day only, or build the state with that as-of date.")));
}

/* The date a state is read as of; -infinity: none. */
static DateADT
choose_as_of(FunctionCallInfo fcinfo, const PaymentNumbers *numbers)
{
	DateADT		as_of;

	if (PG_ARGISNULL(1))
		return numbers->n_as_of > 0 ? numbers->as_of : DATEVAL_NOBEGIN;
	as_of = PG_GETARG_DATEADT(1);
	payment_check_as_of(as_of);
	if (numbers->n_as_of > 0 && as_of != numbers->as_of)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a payment state that was built as of a date can be read as of that date only"),
				 errdetail("It was built as of %s, and %s is asked for.",
						   date_text(numbers->as_of), date_text(as_of))));
	return as_of;
}

/* payment_measures(payment_state, as_of, grace_days, half_life) */
Datum
credit_payment_measures(PG_FUNCTION_ARGS)
{
	TupleDesc	desc = payment_row_type(fcinfo);
	int			grace = payment_grace(fcinfo, 2);
	int			half_life = payment_half_life(fcinfo, 3);
	PaymentLists lists;
	PaymentState *state;
	DateADT		as_of;

	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(payment_measures(NULL, desc));
	state_read(fcinfo, 0, &type, &lists);
	as_of = choose_as_of(fcinfo, &lists.numbers);
	if (!DATE_IS_NOBEGIN(as_of))
	{
		check_last(as_of, &lists.paid, "payment");
		check_last(as_of, &lists.invoiced, "invoice");
	}
	state = payment_make(CurrentMemoryContext, grace, half_life, as_of);
	read_lists(state, &lists);
	PG_RETURN_DATUM(payment_measures(state, desc));
}

/*
 * state_aging.c
 *	  Agings for any day that are stored: type aging_state.
 *
 * What is open, summed by due date, debts and credits apart: from that aging()
 * follows as of any day, with any bounds and in any credit mode.  As in a
 * payment_state everything is whole numbers by day, and finesum.c has the rest.
 */
#include "postgres.h"

#include "utils/datetime.h"

#include "aggregate.h"
#include "aging.h"
#include "state.h"

#define TYPE "aging_state"

/* The day of amounts without a due date: smaller than any but -infinity. */
#define UNDATED (PG_INT32_MIN + 2)

/* Kinds of fine sums, and the two maps */
#define DEBT 0
#define CREDIT 1

typedef struct AgingTally
{
	StateTally	tally;
	int64		n_skipped;
	DayMap		days[2];		/* debts, credits; not negative, either */
	DayMap		decimals;
	FineSums	fine;
} AgingTally;

typedef struct AgingLists
{
	int64		n_skipped;
	DaySums		days[2];
	DaySums		decimals;
	FineList	fine;
} AgingLists;

/* A usual amount. */
typedef struct AgingNote
{
	int64		units;
	int32		day;
	int16		scale;
	bool		is_credit;
} AgingNote;

PG_FUNCTION_INFO_V1(credit_aging_state_in);
PG_FUNCTION_INFO_V1(credit_aging_state_out);
PG_FUNCTION_INFO_V1(credit_aging_state_receive);
PG_FUNCTION_INFO_V1(credit_aging_state_send);
PG_FUNCTION_INFO_V1(credit_aging_state_accum);
PG_FUNCTION_INFO_V1(credit_aging_state_remove);
PG_FUNCTION_INFO_V1(credit_aging_state_merge);
PG_FUNCTION_INFO_V1(credit_aging_state_unmerge);
PG_FUNCTION_INFO_V1(credit_aging_state_combine);
PG_FUNCTION_INFO_V1(credit_aging_state_serialize);
PG_FUNCTION_INFO_V1(credit_aging_state_deserialize);
PG_FUNCTION_INFO_V1(credit_aging_state_final);
PG_FUNCTION_INFO_V1(credit_aging_state_add);
PG_FUNCTION_INFO_V1(credit_aging_state_subtract);
PG_FUNCTION_INFO_V1(credit_aging_buckets);
PG_FUNCTION_INFO_V1(credit_aging_buckets_bounds);

/* --- rows ----------------------------------------------------------------- */

static void
add_units(AgingTally *tally, int kind, int32 day, int128 units, int scale, int sign)
{
	daymap_add(&tally->days[kind], day, sign,
			   kind == CREDIT ? -sign * units : sign * units, tally->tally.cxt);
	daymap_add(&tally->decimals, scale, sign, 0, tally->tally.cxt);
}

static void
add_note(void *tally, const void *from, int sign)
{
	const AgingNote *note = from;

	add_units(tally, note->is_credit ? CREDIT : DEBT, note->day, note->units,
			  note->scale, sign);
}

static const StateType type;

/* Adds the row of the arguments (sign 1), or takes it out (-1). */
static void
add_row(FunctionCallInfo fcinfo, AgingTally *tally, int sign)
{
	AgingNote	note = {0};
	Money		amount;
	int			kind;

	if (PG_ARGISNULL(1))
	{
		tally->n_skipped += sign;
		return;
	}
	money_read(PG_GETARG_DATUM(1), &amount);
	note.day = PG_ARGISNULL(2) ? UNDATED : PG_GETARG_DATEADT(2);
	if (amount.form == MONEY_SMALL)
	{
		note.units = amount.small;
		note.scale = (int16) amount.scale;
		note.is_credit = amount.is_negative;
		state_note(tally, &type, &note, sign);
		return;
	}
	state_touch(tally);
	kind = amount.is_negative ? CREDIT : DEBT;
	if (amount.form == MONEY_WIDE)
		add_units(tally, kind, note.day, amount.wide, amount.scale, sign);
	else
		fine_add(&tally->fine, kind, note.day, amount.numeric, 0, sign);
}

/* --- bytes ---------------------------------------------------------------- */

static bool
is_day(int32 day)
{
	return IS_VALID_DATE(day) || DATE_NOT_FINITE(day) || day == UNDATED;
}

/* Whether what is counted in several ways is the same in each. */
static bool
is_consistent(const void *from)
{
	const AgingLists *lists = from;
	int64		n = 0;

	for (int kind = DEBT; kind <= CREDIT; kind++)
	{
		for (int i = 0; i < lists->days[kind].n; i++)
			if (!is_day(lists->days[kind].sums[i].day))
				return false;
		n += lists->days[kind].count;
	}
	for (int i = 0; i < lists->fine.n; i++)
		if (lists->fine.sums[i].key.kind > CREDIT || lists->fine.sums[i].units != 0 ||
			!is_day(lists->fine.sums[i].key.day))
			return false;
	return lists->n_skipped >= 0 && lists->decimals.count == n &&
		(lists->decimals.n == 0 ||
		 (lists->decimals.sums[0].day >= 0 &&
		  state_decimals(&lists->decimals) <= MONEY_MAX_SCALE));
}

static bool
list(const void *from, void *to)
{
	const AgingTally *tally = from;
	AgingLists *lists = to;

	lists->n_skipped = tally->n_skipped;
	return daymap_list(&tally->days[DEBT], VALUE_AMOUNT, &lists->days[DEBT]) &&
		daymap_list(&tally->days[CREDIT], VALUE_AMOUNT, &lists->days[CREDIT]) &&
		daymap_list(&tally->decimals, VALUE_NONE, &lists->decimals) &&
		fine_list(&tally->fine, &lists->fine);
}

static void
add_lists(void *to, const void *from, int sign)
{
	AgingTally *tally = to;
	const AgingLists *lists = from;
	MemoryContext cxt = tally->tally.cxt;

	tally->n_skipped += sign * lists->n_skipped;
	daymap_add_list(&tally->days[DEBT], &lists->days[DEBT], sign, cxt);
	daymap_add_list(&tally->days[CREDIT], &lists->days[CREDIT], sign, cxt);
	daymap_add_list(&tally->decimals, &lists->decimals, sign, cxt);
	fine_add_list(&tally->fine, &lists->fine, sign);
}

/* Fine sums are left to a tally. */
static bool
merge_lists(void *to, const void *from)
{
	AgingLists *lists = to;
	const AgingLists *other = from;

	if (lists->fine.n > 0 || other->fine.n > 0)
		return false;
	lists->n_skipped += other->n_skipped;
	daysums_merge(&lists->days[DEBT], &other->days[DEBT]);
	daysums_merge(&lists->days[CREDIT], &other->days[CREDIT]);
	daysums_merge(&lists->decimals, &other->decimals);
	return true;
}

static void
pack(StringInfo buf, const void *from)
{
	const AgingLists *lists = from;
	int			decimals = Min(state_decimals(&lists->decimals), 8);
	int64		unit = state_unit(decimals);

	pack_unsigned(buf, decimals);
	pack_unsigned(buf, lists->n_skipped);
	daysums_pack(buf, &lists->days[DEBT], VALUE_AMOUNT, unit);
	daysums_pack(buf, &lists->days[CREDIT], VALUE_AMOUNT, unit);
	daysums_pack(buf, &lists->decimals, VALUE_NONE, 1);
	fine_pack(buf, &lists->fine);
}

static void
unpack(Unpack *from, void *to)
{
	AgingLists *lists = to;
	int64		unit = state_unit((int) unpack_unsigned(from, 8));

	lists->n_skipped = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
	daysums_unpack(from, &lists->days[DEBT], VALUE_AMOUNT, unit);
	daysums_unpack(from, &lists->days[CREDIT], VALUE_AMOUNT, unit);
	daysums_unpack(from, &lists->decimals, VALUE_NONE, 1);
	fine_unpack(from, &lists->fine);
}

/* --- type ----------------------------------------------------------------- */

static void
init(void *tally)
{
	((AgingTally *) tally)->fine.cxt = ((AgingTally *) tally)->tally.cxt;
}

static const StateType type = {
	.name = TYPE,
	.tag = TAG_AGING,
	.tally_size = sizeof(AgingTally),
	.lists_size = sizeof(AgingLists),
	.note_size = sizeof(AgingNote),
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
credit_aging_state_in(PG_FUNCTION_ARGS)
{
	return state_in(fcinfo, &type);
}

Datum
credit_aging_state_out(PG_FUNCTION_ARGS)
{
	return state_out(fcinfo);
}

Datum
credit_aging_state_receive(PG_FUNCTION_ARGS)
{
	return state_receive(fcinfo, &type);
}

Datum
credit_aging_state_send(PG_FUNCTION_ARGS)
{
	return state_send(fcinfo);
}

/* --- aggregates ----------------------------------------------------------- */

/* aging_state_accum(internal, numeric, date) */
Datum
credit_aging_state_accum(PG_FUNCTION_ARGS)
{
	AgingTally *tally = state_of_group(fcinfo, &type);

	add_row(fcinfo, tally, 1);
	PG_RETURN_POINTER(tally);
}

/* aging_state_remove(internal, numeric, date) */
Datum
credit_aging_state_remove(PG_FUNCTION_ARGS)
{
	AgingTally *tally = state_of_group(fcinfo, &type);

	add_row(fcinfo, tally, -1);
	PG_RETURN_POINTER(tally);
}

/* aging_state_merge(internal, aging_state) */
Datum
credit_aging_state_merge(PG_FUNCTION_ARGS)
{
	return state_merge(fcinfo, &type, 1);
}

/* aging_state_unmerge(internal, aging_state) */
Datum
credit_aging_state_unmerge(PG_FUNCTION_ARGS)
{
	return state_merge(fcinfo, &type, -1);
}

Datum
credit_aging_state_combine(PG_FUNCTION_ARGS)
{
	return state_combine(fcinfo, &type);
}

Datum
credit_aging_state_serialize(PG_FUNCTION_ARGS)
{
	return state_pack(fcinfo, &type);
}

Datum
credit_aging_state_deserialize(PG_FUNCTION_ARGS)
{
	return state_deserialize(fcinfo, &type);
}

Datum
credit_aging_state_final(PG_FUNCTION_ARGS)
{
	return state_pack(fcinfo, &type);
}

/* --- arithmetic ----------------------------------------------------------- */

/* add(aging_state, aging_state) */
Datum
credit_aging_state_add(PG_FUNCTION_ARGS)
{
	return state_arithmetic(fcinfo, &type, 1);
}

/* subtract(aging_state, aging_state) */
Datum
credit_aging_state_subtract(PG_FUNCTION_ARGS)
{
	return state_arithmetic(fcinfo, &type, -1);
}

/* --- results -------------------------------------------------------------- */

/* Adds all that is of a kind, as of the date in the arguments. */
static void
read_days(FunctionCallInfo fcinfo, AgingState *aging, const AgingLists *lists,
		  int kind)
{
	Money		amount = {.form = MONEY_WIDE, .is_negative = kind == CREDIT,
	.scale = state_decimals(&lists->decimals)};

	for (int i = 0; i < lists->days[kind].n; i++)
	{
		const DaySum *sum = &lists->days[kind].sums[i];

		amount.wide = kind == CREDIT ? -sum->value : sum->value;
		aging_add(aging, &amount, sum->day != UNDATED && !PG_ARGISNULL(1),
				  sum->day, PG_ARGISNULL(1) ? 0 : PG_GETARG_DATEADT(1));
	}
}

/* One amount that is not finite says as much as many. */
static Numeric
numeric_of(const FineSum *fine)
{
	if (fine_is_finite(fine))
		return fine->sum;
	return money_special(fine->key.scale == FINE_NAN ? "NaN" :
						 fine->key.scale == FINE_PLUS ? "Infinity" : "-Infinity");
}

static void
read_fine(FunctionCallInfo fcinfo, AgingState *aging, const FineList *list)
{
	for (int i = 0; i < list->n; i++)
	{
		const FineSum *fine = &list->sums[i];
		Money		amount = {.form = MONEY_OTHER,
		.is_negative = fine->key.kind == CREDIT};

		amount.numeric = numeric_of(fine);
		aging_add(aging, &amount, fine->key.day != UNDATED && !PG_ARGISNULL(1),
				  fine->key.day, PG_ARGISNULL(1) ? 0 : PG_GETARG_DATEADT(1));
	}
}

static Datum
read_state(FunctionCallInfo fcinfo, bool has_bounds)
{
	AgingLists	lists;
	AgingState *aging;

	if (!PG_ARGISNULL(1) && DATE_NOT_FINITE(PG_GETARG_DATEADT(1)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as-of date of an aging must not be infinite")));
	/* arguments are checked, even if there is nothing to be aged */
	aging = aging_make(fcinfo, 2, has_bounds);
	if (PG_ARGISNULL(0))
		return aging_row(fcinfo, NULL, has_bounds);
	state_read(fcinfo, 0, &type, &lists);
	aging_skip(aging, lists.n_skipped);
	read_days(fcinfo, aging, &lists, DEBT);
	read_days(fcinfo, aging, &lists, CREDIT);
	read_fine(fcinfo, aging, &lists.fine);
	return aging_row(fcinfo, aging, has_bounds);
}

/* aging_buckets(aging_state, date [, text]) */
Datum
credit_aging_buckets(PG_FUNCTION_ARGS)
{
	return read_state(fcinfo, false);
}

/* aging_buckets(aging_state, date, integer[] [, text [, text]]) */
Datum
credit_aging_buckets_bounds(PG_FUNCTION_ARGS)
{
	return read_state(fcinfo, true);
}

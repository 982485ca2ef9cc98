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
	MemoryContext cxt;			/* the first, see state.h */
	int64		n_skipped;
	DayMap		days[2];		/* debts, credits; not negative, either */
	DayMap		decimals;
	FineSums	fine;
} AgingTally;

typedef struct AgingLists
{
	DaySums		days[2];
	DaySums		decimals;
	FineList	fine;
} AgingLists;

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

/* Adds the row of the arguments (sign 1), or takes it out (-1). */
static void
note_row(FunctionCallInfo fcinfo, AgingTally *tally, int sign)
{
	int32		day = PG_ARGISNULL(2) ? UNDATED : PG_GETARG_DATEADT(2);
	Money		amount;
	int128		units;
	int			kind;

	if (PG_ARGISNULL(1))
	{
		tally->n_skipped += sign;
		return;
	}
	money_read(PG_GETARG_DATUM(1), &amount);
	kind = amount.is_negative ? CREDIT : DEBT;
	if (amount.form == MONEY_OTHER)
	{
		fine_add(&tally->fine, kind, day, amount.numeric, 0, sign);
		return;
	}
	units = amount.form == MONEY_SMALL ? amount.small : amount.wide;
	daymap_add(&tally->days[kind], day, sign, kind == CREDIT ? -sign * units : sign * units,
			   tally->cxt);
	daymap_add(&tally->decimals, amount.scale, sign, 0, tally->cxt);
}

/* --- bytes ---------------------------------------------------------------- */

static bool
is_day(int32 day)
{
	return IS_VALID_DATE(day) || DATE_NOT_FINITE(day) || day == UNDATED;
}

static bool
is_consistent(const AgingTally *tally, const AgingLists *lists)
{
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
	return tally->n_skipped >= 0 && lists->decimals.count == n &&
		(lists->decimals.n == 0 ||
		 (lists->decimals.sums[0].day >= 0 &&
		  state_decimals(&lists->decimals) <= MONEY_MAX_SCALE));
}

/* False: there is less than nothing of something. */
static bool
list_tally(const AgingTally *tally, AgingLists *lists)
{
	return daymap_list(&tally->days[DEBT], VALUE_AMOUNT, &lists->days[DEBT]) &&
		daymap_list(&tally->days[CREDIT], VALUE_AMOUNT, &lists->days[CREDIT]) &&
		daymap_list(&tally->decimals, VALUE_NONE, &lists->decimals) &&
		fine_list(&tally->fine, &lists->fine) &&
		is_consistent(tally, lists);
}

static bytea *
pack(const void *from)
{
	const AgingTally *tally = from;
	AgingLists lists;
	StringInfoData buf;
	int			decimals;
	int64		unit;

	if (!list_tally(tally, &lists))
		return NULL;
	decimals = Min(state_decimals(&lists.decimals), 8);
	unit = state_unit(decimals);
	state_begin(&buf, TAG_AGING);
	pack_unsigned(&buf, decimals);
	pack_unsigned(&buf, tally->n_skipped);
	daymap_pack(&buf, &lists.days[DEBT], VALUE_AMOUNT, unit);
	daymap_pack(&buf, &lists.days[CREDIT], VALUE_AMOUNT, unit);
	daymap_pack(&buf, &lists.decimals, VALUE_NONE, 1);
	fine_pack(&buf, &lists.fine);
	return state_end(&buf);
}

static void
unpack(void *to, Unpack *from, int sign)
{
	AgingTally *tally = to;
	int64		unit;

	unit = state_unit((int) unpack_unsigned(from, 8));
	tally->n_skipped += sign * (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
	daymap_unpack(from, &tally->days[DEBT], VALUE_AMOUNT, unit, sign, tally->cxt);
	daymap_unpack(from, &tally->days[CREDIT], VALUE_AMOUNT, unit, sign, tally->cxt);
	daymap_unpack(from, &tally->decimals, VALUE_NONE, 1, sign, tally->cxt);
	fine_unpack(from, &tally->fine, sign);
}

/* --- type ----------------------------------------------------------------- */

static void
init(void *tally)
{
	((AgingTally *) tally)->fine.cxt = ((AgingTally *) tally)->cxt;
}

static const StateType type = {
	.name = TYPE,
	.tag = TAG_AGING,
	.tally_size = sizeof(AgingTally),
	.init = init,
	.unpack = unpack,
	.pack = pack
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

	note_row(fcinfo, tally, 1);
	PG_RETURN_POINTER(tally);
}

/* aging_state_remove(internal, numeric, date) */
Datum
credit_aging_state_remove(PG_FUNCTION_ARGS)
{
	AgingTally *tally = state_of_group(fcinfo, &type);

	note_row(fcinfo, tally, -1);
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
	AgingTally *tally;
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
	tally = state_read(fcinfo, 0, &type);
	if (!list_tally(tally, &lists))
		state_refuse(TYPE);
	aging_skip(aging, tally->n_skipped);
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

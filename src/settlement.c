/*
 * settlement.c
 *	  Who settled what, and when.
 *
 * The open amount of a debt on any day is its amount less the settlements
 * dated up to that day.  Rows are only ever added: what a document states is
 * compared with what was written for it before, and the difference goes in.
 *
 *	- It states another amount or day: a correction, so the old rows are
 *	  cancelled on their own days.
 *	- It states nothing any more (a receipt bounced, an application was taken
 *	  back): the debt is open again from that day, and was not before.
 *	- It states something again: from the day on which it had ceased.
 *	- It names another debt or payment: a correction.
 *	- It comes when it has been reversed already: it was in force meanwhile.
 *
 * A residual states a total instead, and only the difference is news.  Of a
 * credit (a negative line of a ledger) that is negative: what settles it is
 * below zero, and what opens it again above.
 *
 * The debt's item is locked, so nobody else writes rows of it meanwhile.
 *
 * Profiles of closed months are kept per account (month_state).  Whoever
 * changes what was settled in a month leaves a mark, in the same transaction:
 * so every snapshot sees which of the kept ones it cannot use.  Marks are only
 * added here; the fold takes them away when it has worked out the month anew.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "settlement.h"
#include "vector.h"

#define SETTLEMENT_INDEX "settlement_item"

/* Begins a scan of the rows of one debt. */
static void
scan_debt(LedgerRel *settlements, LedgerScan *scan, Snapshot snapshot,
		  int32 source_id, const char *key)
{
	ScanKeyData keys[2];

	ledger_key(settlements, &keys[0], SETTLEMENT_SOURCE_ID, BTEqualStrategyNumber,
			   F_INT4EQ, Int32GetDatum(source_id));
	ledger_key(settlements, &keys[1], SETTLEMENT_KEY, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(key));
	ledger_scan(scan, settlements, SETTLEMENT_INDEX, snapshot, keys, 2);
}

/* What was written on one day. */
typedef struct DaySum
{
	DateADT		day;
	Numeric		amount;
} DaySum;

/* What was written for one document, one payment and one debt. */
typedef struct Written
{
	List	   *days;			/* of DaySum */
	Numeric		amount;
	DateADT		last_day;
	DateADT		ceased_on;		/* last day with a row that opens it again */
	bool		is_same_kind;	/* as what is stated now */
} Written;

/* Do two columns of a row name a document?  source_id 0: none. */
static bool
is_document(const Datum *values, const bool *nulls, int source_column,
			int key_column, int32 source_id, const char *key)
{
	if (source_id == 0 || nulls[source_column] || nulls[key_column])
		return source_id == 0 && nulls[source_column];
	return DatumGetInt32(values[source_column]) == source_id &&
		strcmp(TextDatumGetCString(values[key_column]), key) == 0;
}

static bool
is_stated_by(const Settlement *settlement, const Datum *values, const bool *nulls)
{
	return is_document(values, nulls, SETTLEMENT_STATED_BY_SOURCE_ID,
					   SETTLEMENT_STATED_BY_KEY, settlement->stated_by_source_id,
					   settlement->stated_by_key) &&
		is_document(values, nulls, SETTLEMENT_PAYMENT_SOURCE_ID,
					SETTLEMENT_PAYMENT_KEY, settlement->payment_source_id,
					settlement->payment_key);
}

/* Does a row open the document again, as far as it goes? */
static bool
opens_again(const Settlement *settlement, Numeric amount)
{
	int			sign = credit_compare(amount, NULL);

	return settlement->is_credit ? sign > 0 : sign < 0;
}

static void
add_row(Written *written, DateADT day, Numeric amount)
{
	DaySum	   *sum = NULL;
	ListCell   *lc;

	foreach(lc, written->days)
		if (((DaySum *) lfirst(lc))->day == day)
			sum = lfirst(lc);
	if (sum == NULL)
	{
		sum = palloc0(sizeof(DaySum));
		sum->day = day;
		written->days = lappend(written->days, sum);
	}
	sum->amount = credit_add(sum->amount, amount);
	written->amount = credit_add(written->amount, amount);
	written->last_day = Max(written->last_day, day);
}

/* Reads what was written before. */
static void
read_written(LedgerRel *settlements, const Settlement *settlement, Written *written)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	LedgerScan	scan;
	HeapTuple	tuple;

	memset(written, 0, sizeof(Written));
	written->last_day = written->ceased_on = DATEVAL_NOBEGIN;
	scan_debt(settlements, &scan, snapshot, settlement->source_id, settlement->key);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		DateADT		day;
		Numeric		amount;

		ledger_deform(settlements, tuple, values, nulls);
		if (!is_stated_by(settlement, values, nulls))
			continue;
		written->is_same_kind =
			strcmp(TextDatumGetCString(values[SETTLEMENT_KIND]), settlement->kind) == 0;
		day = nulls[SETTLEMENT_SETTLED_ON] ? DATEVAL_NOBEGIN :
			DatumGetDateADT(values[SETTLEMENT_SETTLED_ON]);
		amount = DatumGetNumericCopy(values[SETTLEMENT_AMOUNT]);
		add_row(written, day, amount);
		if (opens_again(settlement, amount))
			written->ceased_on = Max(written->ceased_on, day);
	}
	ledger_scan_end(&scan);
	UnregisterSnapshot(snapshot);
}

static void
write_row(LedgerRel *settlements, const Settlement *settlement, DateADT day,
		  Numeric amount)
{
	Datum		values[SETTLEMENT_NCOLUMNS];
	bool		nulls[SETTLEMENT_NCOLUMNS] = {false};

	if (credit_is_zero(amount))
		return;
	values[SETTLEMENT_SOURCE_ID] = Int32GetDatum(settlement->source_id);
	values[SETTLEMENT_KEY] = CStringGetTextDatum(settlement->key);
	values[SETTLEMENT_SETTLED_ON] = DateADTGetDatum(day);
	nulls[SETTLEMENT_SETTLED_ON] = DATE_IS_NOBEGIN(day);
	values[SETTLEMENT_AMOUNT] = NumericGetDatum(amount);
	values[SETTLEMENT_KIND] = CStringGetTextDatum(settlement->kind);
	values[SETTLEMENT_PAYMENT_SOURCE_ID] = Int32GetDatum(settlement->payment_source_id);
	nulls[SETTLEMENT_PAYMENT_SOURCE_ID] = settlement->payment_source_id == 0;
	nulls[SETTLEMENT_PAYMENT_KEY] = settlement->payment_source_id == 0;
	if (settlement->payment_source_id != 0)
		values[SETTLEMENT_PAYMENT_KEY] = CStringGetTextDatum(settlement->payment_key);
	values[SETTLEMENT_STATED_BY_SOURCE_ID] =
		Int32GetDatum(settlement->stated_by_source_id);
	values[SETTLEMENT_STATED_BY_KEY] = CStringGetTextDatum(settlement->stated_by_key);
	values[SETTLEMENT_RECORDED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	ledger_insert(settlements, values, nulls);
}

/* Cancels all that was written, on its own days. */
static void
cancel_written(LedgerRel *settlements, const Settlement *settlement,
			   const Written *written)
{
	ListCell   *lc;

	foreach(lc, written->days)
	{
		DaySum	   *sum = lfirst(lc);

		write_row(settlements, settlement, sum->day,
				  credit_subtract(NULL, sum->amount));
	}
}

/* It was in force from one day to another: what is missing of that. */
static void
state_past(LedgerRel *settlements, const Settlement *settlement, Written *written)
{
	if (settlement->settled_on < settlement->reversed_on)
	{
		add_row(written, settlement->settled_on,
				credit_subtract(NULL, settlement->was_amount));
		add_row(written, settlement->reversed_on, settlement->was_amount);
	}
	cancel_written(settlements, settlement, written);
}

/* It states nothing any more, or it was reversed before we heard of it. */
static void
state_nothing(LedgerRel *settlements, const Settlement *settlement,
			  Written *written)
{
	if (settlement->is_correction)
		cancel_written(settlements, settlement, written);
	else if (settlement->was_amount != NULL)
		state_past(settlements, settlement, written);
	else
		write_row(settlements, settlement,
				  Max(settlement->reversed_on, written->last_day),
				  credit_subtract(NULL, written->amount));
}

/* What an application, or a payment that names its debt, states. */
static void
state_amount(LedgerRel *settlements, const Settlement *settlement,
			 Written *written)
{
	bool		same_day = written->last_day == settlement->settled_on ||
		!DATE_IS_NOBEGIN(written->ceased_on);

	if (settlement->amount == NULL)
		state_nothing(settlements, settlement, written);
	else if (credit_compare(written->amount, settlement->amount) == 0 && same_day &&
			 written->is_same_kind)
		return;
	else if (credit_is_zero(written->amount))
		write_row(settlements, settlement,
				  Max(settlement->settled_on, written->ceased_on),
				  settlement->amount);
	else
	{
		cancel_written(settlements, settlement, written);
		write_row(settlements, settlement, settlement->settled_on,
				  settlement->amount);
	}
}

/* The ERP says of the latest part that it was settled on another day. */
static void
move_latest(LedgerRel *settlements, const Settlement *settlement,
			const Written *written)
{
	ListCell   *lc;

	foreach(lc, written->days)
	{
		DaySum	   *sum = lfirst(lc);

		if (sum->day != written->last_day || credit_is_zero(sum->amount) ||
			opens_again(settlement, sum->amount))
			continue;
		write_row(settlements, settlement, sum->day, credit_subtract(NULL, sum->amount));
		write_row(settlements, settlement, settlement->settled_on, sum->amount);
	}
}

/* What a residual states: the total, whose latest part has a day. */
static void
state_total(LedgerRel *settlements, const Settlement *settlement,
			const Written *written)
{
	Numeric		difference = credit_subtract(settlement->amount, written->amount);

	if (opens_again(settlement, difference))
		write_row(settlements, settlement,
				  Max(settlement->reversed_on, written->last_day), difference);
	else if (!credit_is_zero(difference))
		write_row(settlements, settlement,
				  Max(settlement->settled_on, written->ceased_on), difference);
	else if (settlement->is_dated && written->days != NIL &&
			 written->last_day != settlement->settled_on &&
			 DATE_IS_NOBEGIN(written->ceased_on))
		move_latest(settlements, settlement, written);
}

/* Writes what a document states now, as far as it is news. */
void
settlement_state(LedgerRel *settlements, const Settlement *settlement)
{
	Written		written;

	read_written(settlements, settlement, &written);
	if (settlement->is_total)
		state_total(settlements, settlement, &written);
	else
		state_amount(settlements, settlement, &written);
}

static DateADT
first_of_month(DateADT day)
{
	int			year;
	int			month;
	int			unused;

	j2date(day + POSTGRES_EPOCH_JDATE, &year, &month, &unused);
	return date2j(year, month, 1) - POSTGRES_EPOCH_JDATE;
}

/* Adds the months in which something of a debt was settled to a list of marks. */
List *
settlement_months(LedgerRel *settlements, int32 source_id, const char *key,
				  List *marks, int64 account_id)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	LedgerScan	scan;
	HeapTuple	tuple;

	scan_debt(settlements, &scan, snapshot, source_id, key);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		MonthMark  *mark;

		ledger_deform(settlements, tuple, values, nulls);
		mark = palloc(sizeof(MonthMark));
		mark->account_id = account_id;
		mark->month = nulls[SETTLEMENT_SETTLED_ON] ||
			DATE_NOT_FINITE(DatumGetDateADT(values[SETTLEMENT_SETTLED_ON])) ?
			DATEVAL_NOBEGIN :
			first_of_month(DatumGetDateADT(values[SETTLEMENT_SETTLED_ON]));
		marks = lappend(marks, mark);
	}
	ledger_scan_end(&scan);
	UnregisterSnapshot(snapshot);
	return marks;
}

static int
compare_marks(const ListCell *a, const ListCell *b)
{
	const MonthMark *x = lfirst(a);
	const MonthMark *y = lfirst(b);

	if (x->account_id != y->account_id)
		return x->account_id < y->account_id ? -1 : 1;
	return x->month < y->month ? -1 : x->month > y->month;
}

/* Writes marks, each once. */
void
settlement_mark(List *marks)
{
	LedgerRel  *ledger = ledger_open(LEDGER_MONTH_MARK, RowExclusiveLock);
	const MonthMark *last = NULL;
	ListCell   *lc;

	list_sort(marks, compare_marks);
	foreach(lc, marks)
	{
		MonthMark  *mark = lfirst(lc);
		Datum		values[MARK_NCOLUMNS];
		bool		nulls[MARK_NCOLUMNS] = {false};

		if (last != NULL && last->account_id == mark->account_id &&
			last->month == mark->month)
			continue;
		values[MARK_ACCOUNT_ID] = Int64GetDatum(mark->account_id);
		values[MARK_MONTH] = DateADTGetDatum(mark->month);
		ledger_insert(ledger, values, nulls);
		last = mark;
	}
	ledger_close(ledger);
}

/* Marks all months of an account. */
void
settlement_mark_all(int64 account_id)
{
	MonthMark  *mark = palloc(sizeof(MonthMark));

	mark->account_id = account_id;
	mark->month = DATEVAL_NOEND;
	settlement_mark(list_make1(mark));
}

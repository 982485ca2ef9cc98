/*
 * dependency_evaluate.c
 *	  What has become of touched documents, read through their views.
 *
 * The documents are locked (touched.c), and read with a snapshot that is newer
 * than the lock, at every isolation level.  The figure of the ledger is then
 * newer than the transaction's own SELECT, as with every check.  In
 * SERIALIZABLE reading the view is a read like any other, and can end in a
 * serialization failure.
 *
 * A document that the view has no row of is gone.  Where it was read from rows
 * that documents share, these are locked in the version that was read, and what
 * has been replaced meanwhile is read again (rowversion.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "dependency.h"
#include "ledger.h"
#include "progress.h"
#include "rowversion.h"
#include "touched.h"
#include "viewsource.h"

/* Documents that are read and applied at a time. */
#define PORTION 2000

#define ACCOUNT_NAME_INDEX "account_customer_segment_key"

PG_FUNCTION_INFO_V1(credit_reevaluate);

/* A change of one document, or customer. */
static Change *
add_change(Frame *frame, const CreditSource *source, const char *key)
{
	Change	   *change = frame_add_change(frame);

	change->source = frame_source(frame, source);
	change->key = key;
	change->hash = string_hash(key, strlen(key) + 1);
	change->segment = "";
	change->is_unchecked = frame->touched->is_unchecked;
	return change;
}

static void
add_present(Frame *frame, const CreditSource *source, const char *key,
			const CreditRow *row)
{
	Change	   *change = add_change(frame, source, key);

	change->row = *row;
	change->present = DatumGetBool(row->value[FIELD_COUNTS_WHEN]);
	if (source->kind == KIND_CUSTOMER && !row->isnull[FIELD_SEGMENT])
		change->segment = TextDatumGetCString(row->value[FIELD_SEGMENT]);
}

/* Does a view have a customer in a segment, among the rows it returned? */
static bool
has_segment(const List *rows, int number, const char *segment)
{
	ListCell   *lc;

	foreach(lc, rows)
	{
		ViewRow    *row = lfirst(lc);

		if (row->number == number &&
			strcmp(row->row.isnull[FIELD_SEGMENT] ? "" :
				   TextDatumGetCString(row->row.value[FIELD_SEGMENT]), segment) == 0)
			return true;
	}
	return false;
}

/* A customer is gone from the segments of which the view has no row. */
static void
add_gone_customer(Frame *frame, const CreditSource *source, const char *key,
				  const List *rows, int number)
{
	LedgerRel  *accounts = ledger_open(LEDGER_ACCOUNT, AccessShareLock);
	ScanKeyData scan_key;
	LedgerScan	scan;
	HeapTuple	tuple;

	ledger_key(accounts, &scan_key, ACCOUNT_CUSTOMER, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(key));
	ledger_scan(&scan, accounts, ACCOUNT_NAME_INDEX, GetActiveSnapshot(), &scan_key, 1);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		char	   *segment;

		ledger_deform(accounts, tuple, values, nulls);
		segment = TextDatumGetCString(values[ACCOUNT_SEGMENT]);
		if (!nulls[ACCOUNT_SOURCE_ID] &&
			DatumGetInt32(values[ACCOUNT_SOURCE_ID]) == source->source_id &&
			!has_segment(rows, number, segment))
			add_change(frame, source, key)->segment = segment;
	}
	ledger_scan_end(&scan);
	ledger_close(accounts);
}

/*
 * Locks the rows of the ERP that documents were read from and others share.
 * True: one of them has been replaced since they were read.
 */
static bool
lock_read(List *rows, uint64 ended)
{
	RowVersion *versions;
	Snapshot	snapshot;
	int			n = 0;
	bool		is_stale = false;
	ListCell   *lc;

	foreach(lc, rows)
		n += ((ViewRow *) lfirst(lc))->nversions;
	if (n == 0)
		return false;
	versions = palloc(sizeof(RowVersion) * n);
	n = 0;
	foreach(lc, rows)
	{
		ViewRow    *row = lfirst(lc);

		if (row->nversions > 0)
			memcpy(&versions[n], row->versions, sizeof(RowVersion) * row->nversions);
		n += row->nversions;
	}
	if (!rowversion_lock(versions, &n, false) || ended_so_far() == ended)
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < n && !is_stale; i++)
		is_stale = !rowversion_is_current(&versions[i], snapshot);
	UnregisterSnapshot(snapshot);
	return is_stale;
}

/*
 * Reads some documents, which are locked, and leaves the snapshot that has them
 * active.  Keys of those that cannot be read become NULL.
 */
static List *
read_portion(ViewSource *view, char **keys, char **asked, int n)
{
	for (;;)
	{
		List	   *rows = NIL;
		uint64		ended;

		memcpy(asked, keys, sizeof(char *) * n);
		CommandCounterIncrement();
		ended = ended_so_far();
		PushActiveSnapshot(GetLatestSnapshot());
		(void) view_read(view, asked, n, &rows);
		if (!lock_read(rows, ended))
			return rows;
		PopActiveSnapshot();
		CHECK_FOR_INTERRUPTS();
	}
}

/* Reads some documents, which are locked, and says what they are now. */
static void
evaluate_portion(Frame *frame, ViewSource *view, char **keys, int n)
{
	MemoryContext old = MemoryContextSwitchTo(frame_row_context(frame));
	char	  **asked = palloc(sizeof(char *) * n);
	bool	   *is_there = palloc0(sizeof(bool) * n);
	List	   *rows = read_portion(view, keys, asked, n);
	ListCell   *lc;

	foreach(lc, rows)
	{
		ViewRow    *row = lfirst(lc);

		add_present(frame, &view->source, keys[row->number], &row->row);
		is_there[row->number] = true;
	}
	for (int i = 0; i < n; i++)
	{
		if (asked[i] == NULL)
			continue;
		if (view->source.kind == KIND_CUSTOMER)
			add_gone_customer(frame, &view->source, keys[i], rows, i);
		else if (!is_there[i])
			(void) add_change(frame, &view->source, keys[i]);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

/* Brings all touched documents into the frame, the last portion to stay. */
void
dependency_evaluate(Frame *frame)
{
	ListCell   *lc;

	if (frame->touched == NULL)
		return;
	foreach(lc, frame->touched->sets)
	{
		KeySet	   *set = lfirst(lc);
		ViewSource *view = view_find(set->source_id);

		touched_sort_keys(set, 0);
		for (int start = 0; view != NULL && start < set->n; start += PORTION)
		{
			int			n = Min(PORTION, set->n - start);

			if (frame->nchanges > 0 && frame->nchanges + n > PORTION)
				frame_apply_part(frame);
			evaluate_portion(frame, view, &set->keys[start], n);
			progress_advance(n);
			CHECK_FOR_INTERRUPTS();
		}
	}
}

/* Takes every document that the ledger or the view has for touched. */
static int
touch_all(Frame *frame, ViewSource *view)
{
	struct Touched *touched = touched_of(frame);
	KeySet	   *set = touched_set(touched, &view->source);
	LedgerRel  *items = ledger_open(LEDGER_ITEM, AccessShareLock);
	ScanKeyData scan_key;
	LedgerScan	scan;
	HeapTuple	tuple;
	ListCell   *lc;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(lc, view_all_keys(view))
		touched_add_key(touched, set, lfirst(lc));
	ledger_key(items, &scan_key, ITEM_SOURCE_ID, BTEqualStrategyNumber,
			   F_INT4EQ, Int32GetDatum(view->source.source_id));
	ledger_scan(&scan, items, NULL, GetActiveSnapshot(), &scan_key, 1);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(items, tuple, values, nulls);
		touched_add_key(touched, set, TextDatumGetCString(values[ITEM_KEY]));
		CHECK_FOR_INTERRUPTS();
	}
	ledger_scan_end(&scan);
	PopActiveSnapshot();
	ledger_close(items);
	return set->n;
}

/*
 * TRUNCATE tells no rows: every document of the views that depend on the table
 * is looked at.
 */
void
dependency_truncate(Oid relid)
{
	const ViewList *list = view_list();
	Frame	   *frame = NULL;

	for (int i = 0; i < list->n; i++)
	{
		if (list->dependencies[i].relid != relid)
			continue;
		if (frame == NULL)
			frame = frame_open(relid);
		(void) touch_all(frame, list->dependencies[i].view);
	}
	if (frame != NULL)
		frame_apply(frame);
}

/*
 * reevaluate(source_id): looks at every document of a view and takes in what
 * has become of it, without refusing any.
 */
Datum
credit_reevaluate(PG_FUNCTION_ARGS)
{
	int32		source_id = PG_GETARG_INT32(0);
	ViewSource *view = view_find(source_id);
	Frame	   *frame;
	int			n;

	PreventCommandIfReadOnly("credit.reevaluate()");
	if (view == NULL || !view->source.is_view)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no source %d that is a view", source_id)));
	frame = frame_open(view->source.relid);
	touched_of(frame)->is_unchecked = true;
	n = touch_all(frame, view);
	frame_apply(frame);
	PG_RETURN_INT64(n);
}

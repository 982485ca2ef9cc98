/*
 * item.c
 *	  Documents of the ERP as the ledger holds them.
 *
 * An item stands for exactly one row of the ERP.  Where no document names
 * another, two transactions can only want the same item if they want the same
 * row, and then the ERP's own row lock has made one of them wait already.
 * Else two writers of an order's deliveries want the order's item, which they
 * lock.  Items are read at their latest version, whatever the snapshot of the
 * transaction.
 *
 * A version that is replaced goes to item_version.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "credit.h"
#include "item.h"
#include "probe.h"
#include "sabotage.h"
#include "wait.h"

/* Most documents are new: then one look into the index says so. */
bool
item_is_absent(LedgerRel *items, int32 source_id, const char *key)
{
	Datum		keys[2];

	keys[0] = Int32GetDatum(source_id);
	keys[1] = CStringGetTextDatum(key);
	return probe_is_absent(items, keys, 2);
}

/* Keys of a look for one document. */
static void
document_keys(LedgerRel *items, ScanKey keys, int32 source_id, const char *key)
{
	ledger_key(items, &keys[0], ITEM_SOURCE_ID, BTEqualStrategyNumber,
			   F_INT4EQ, Int32GetDatum(source_id));
	ledger_key(items, &keys[1], ITEM_KEY, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(key));
}

/* Reads a row of the table; the tuple stays with the item. */
void
item_load(LedgerRel *items, HeapTuple tuple, CreditItem *item)
{
	item->tuple = tuple;
	item->is_row = true;
	ledger_deform(items, tuple, item->values, item->nulls);
	item->exists = !item->nulls[ITEM_AMOUNT];
	/* a catalog of before has no such column */
	item->is_counted = item->nulls[ITEM_IS_COUNTED] ||
		DatumGetBool(item->values[ITEM_IS_COUNTED]);
	item->account_id = item->nulls[ITEM_ACCOUNT_ID] ? 0 :
		DatumGetInt64(item->values[ITEM_ACCOUNT_ID]);
	item->currency = item->nulls[ITEM_CURRENCY] ? NULL :
		TextDatumGetCString(item->values[ITEM_CURRENCY]);
	item->delivered = item_number(item, ITEM_DELIVERED);
	item->invoiced = item_number(item, ITEM_INVOICED);
	item->settled = item_number(item, ITEM_SETTLED);
	vector_from_datum(&item->stages, item->values[ITEM_STAGES]);
}

/* A document that is not there. */
static void
set_absent(CreditItem *item)
{
	memset(item, 0, offsetof(CreditItem, values));
}

/*
 * A row that was taken back by who made it (ledger_insert_new), or replaced by
 * another: whether that transaction commits or not, it is no document.
 */
static bool
is_withdrawn(HeapTuple tuple)
{
	HeapTupleHeader header = tuple->t_data;

	return (header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		HeapTupleHeaderGetRawXmax(header) == HeapTupleHeaderGetRawXmin(header);
}

/* Who is just writing the row that a dirty look has met; invalid: nobody. */
static TransactionId
writer_of(const LedgerScan *scan)
{
	return TransactionIdIsValid(scan->dirty.xmin) ? scan->dirty.xmin : scan->dirty.xmax;
}

/*
 * Looks once; sets xid where somebody else is just writing the item.  A dirty
 * look may meet several rows of a key, all but one of which were made too late
 * and will be taken back, or have been.  Whoever waited for one of those while
 * its maker waits for the row that is in time would wait in a circle; so a row
 * that nobody else is writing wins, whichever comes first.
 */
static void
find_once(LedgerRel *items, int32 source_id, const char *key, Snapshot snapshot,
		  CreditItem *item, TransactionId *xid)
{
	ScanKeyData keys[2];
	LedgerScan	scan;
	HeapTuple	tuple;
	HeapTuple	found = NULL;

	memset(&scan, 0, sizeof(scan));
	set_absent(item);			/* what a look before has found may be gone */
	*xid = InvalidTransactionId;
	document_keys(items, keys, source_id, key);
	ledger_scan(&scan, items, NULL, snapshot, keys, 2);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		TransactionId writer = snapshot == NULL ? writer_of(&scan) : InvalidTransactionId;

		if (TransactionIdIsValid(writer) &&
			(found != NULL || scan.dirty.speculativeToken != 0 || is_withdrawn(tuple)))
			continue;
		found = heap_copytuple(tuple);
		*xid = writer;
		if (!TransactionIdIsValid(writer))
			break;
	}
	ledger_scan_end(&scan);
	if (found != NULL)
		item_load(items, found, item);
}

/*
 * A key could not be had although a look finds no document: waits for whoever
 * is in the way with a row that is none (yet).  Without this the two would try
 * again and again, and neither come through.
 */
void
item_wait_for_key(LedgerRel *items, int32 source_id, const char *key)
{
	ScanKeyData keys[2];
	LedgerScan	scan;
	HeapTuple	tuple;
	TransactionId xid = InvalidTransactionId;
	uint32		token = 0;

	CHECK_FOR_INTERRUPTS();
	document_keys(items, keys, source_id, key);
	ledger_scan(&scan, items, NULL, NULL, keys, 2);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		xid = writer_of(&scan);
		token = scan.dirty.speculativeToken;
		/* a look will find it */
		if (!TransactionIdIsValid(xid) || (token == 0 && !is_withdrawn(tuple)))
			break;
	}
	ledger_scan_end(&scan);
	if (tuple != NULL || !TransactionIdIsValid(xid))
		return;
	if (token != 0)
		SpeculativeInsertionWait(xid, token);
	else
		wait_for_document(xid, source_id, key);
}

/* The item of a document, waiting for whoever is just writing it. */
void
item_find(LedgerRel *items, int32 source_id, const char *key, CreditItem *item)
{
	TransactionId xid;

	set_absent(item);
	if (SABOTAGED(NEW_KEY) || item_is_absent(items, source_id, key))
		return;
	for (;;)
	{
		find_once(items, source_id, key,
				  SABOTAGED(ITEM_SNAPSHOT) ? GetActiveSnapshot() : NULL,
				  item, &xid);
		if (!TransactionIdIsValid(xid))
			return;
		wait_or_refuse(xid, WAIT_DOCUMENT, source_id, key);
	}
}

/*
 * The same, with the row locked until the end of the transaction: for
 * documents that others name, which more than the row's own writer may want to
 * change.  Somebody who writes it meanwhile makes a dirty look miss it, so the
 * latest snapshot is asked first; a row it does not see can only be one that
 * is not committed.
 */
void
item_find_locked(LedgerRel *items, int32 source_id, const char *key, CreditItem *item)
{
	set_absent(item);
	if (!item_is_absent(items, source_id, key))
		item_lock(items, source_id, key, item);
}

/* The same, for a document that is expected to be there. */
void
item_lock(LedgerRel *items, int32 source_id, const char *key, CreditItem *item)
{
	set_absent(item);
	for (;;)
	{
		TransactionId xid;
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

		CHECK_FOR_INTERRUPTS();
		find_once(items, source_id, key, snapshot, item, &xid);
		UnregisterSnapshot(snapshot);
		if (item->is_row)
		{
			if (ledger_lock(items, item->tuple, &xid))
				return;
		}
		else
		{
			find_once(items, source_id, key, NULL, item, &xid);
			if (!item->is_row)
				return;
		}
		if (TransactionIdIsValid(xid) && !TransactionIdIsCurrentTransactionId(xid))
			wait_for_document(xid, source_id, key);
		/* made or changed by this very command, the latest snapshot has it old */
		CommandCounterIncrement();
	}
}

Numeric
item_number(const CreditItem *item, int column)
{
	return item->nulls[column] ? NULL : DatumGetNumeric(item->values[column]);
}

const char *
item_text(const CreditItem *item, int column)
{
	return item->nulls[column] ? NULL : TextDatumGetCString(item->values[column]);
}

DateADT
item_date(const CreditItem *item, int column, DateADT otherwise)
{
	return item->nulls[column] ? otherwise : DatumGetDateADT(item->values[column]);
}

/* Puts a value of the ERP's row into a version of its document. */
static void
take_field(CreditItem *item, int column, const CreditRow *row, CreditField field)
{
	item->values[column] = row->value[field];
	item->nulls[column] = row->isnull[field];
}

/* The same of a key: a composite one of NULLs names nothing. */
static void
take_reference(CreditItem *item, int column, const CreditRow *row, CreditField field)
{
	const char *key;

	take_field(item, column, row, field);
	if (item->nulls[column])
		return;
	key = item_text(item, column);
	if (key[0] == '(' && key[1] == ',' && key[1 + strspn(key + 1, ",")] == ')')
		item->nulls[column] = true;
}

/*
 * The document a row of the ERP makes.  What it adds to exposure is for
 * stage.c to say.
 */
void
item_build(CreditItem *item, const CreditSource *source, const char *key,
		   int64 account_id, const char *currency, const CreditRow *row)
{
	static const struct
	{
		CreditField field;
		int			column;
	}			plain[] = {
		{FIELD_AMOUNT, ITEM_AMOUNT},
		{FIELD_DOCUMENT_DATE, ITEM_DOCUMENT_DATE},
		{FIELD_DUE_DATE, ITEM_DUE_DATE},
		{FIELD_POSTING_DATE, ITEM_POSTING_DATE},
		{FIELD_NUMBER, ITEM_NUMBER},
		{FIELD_IS_DISPUTED, ITEM_IS_DISPUTED},
		{FIELD_OPEN_AMOUNT, ITEM_OPEN_AMOUNT},
		{FIELD_SETTLED_ON, ITEM_SETTLED_ON},
		{FIELD_REVERSED_ON, ITEM_REVERSED_ON},
		{FIELD_DISPUTED_AMOUNT, ITEM_DISPUTED_AMOUNT},
		{FIELD_RETENTION_AMOUNT, ITEM_RETENTION_AMOUNT},
		{FIELD_RETENTION_UNTIL, ITEM_RETENTION_UNTIL},
		{FIELD_IS_WRITE_OFF, ITEM_IS_WRITE_OFF},
	};

	set_absent(item);
	memset(item->nulls, true, sizeof(item->nulls));
	item->is_row = item->exists = true;
	item->account_id = account_id;
	item->currency = currency == NULL ? NULL : pstrdup(currency);
	for (int i = 0; i < (int) lengthof(plain); i++)
		take_field(item, plain[i].column, row, plain[i].field);
	/* what it comes from or settles, and what it joins that to */
	take_reference(item, ITEM_ORIGIN, row,
				   row->isnull[FIELD_APPLIES_TO] ? FIELD_ORIGIN : FIELD_APPLIES_TO);
	take_reference(item, ITEM_DOCUMENT, row,
				   row->isnull[FIELD_PAYMENT] ? FIELD_DOCUMENT : FIELD_PAYMENT);
}

static void
set_number(CreditItem *item, int column, Numeric value)
{
	item->values[column] = NumericGetDatum(value);
	item->nulls[column] = value == NULL;
}

/* Takes what was worked out on an item into the values of its row. */
void
item_seal(CreditItem *item, int32 source_id, const char *key)
{
	bool		is_open = !vector_is_zero(&item->stages);

	if (!item->exists)
		memset(item->nulls, true, sizeof(item->nulls));
	item->values[ITEM_SOURCE_ID] = Int32GetDatum(source_id);
	item->nulls[ITEM_SOURCE_ID] = false;
	item->values[ITEM_KEY] = CStringGetTextDatum(key);
	item->nulls[ITEM_KEY] = false;
	item->values[ITEM_ACCOUNT_ID] = Int64GetDatum(item->account_id);
	item->nulls[ITEM_ACCOUNT_ID] = item->account_id == 0;
	if (item->currency != NULL)
		item->values[ITEM_CURRENCY] = CStringGetTextDatum(item->currency);
	item->nulls[ITEM_CURRENCY] = item->currency == NULL;
	item->values[ITEM_STAGES] = vector_to_datum(&item->stages);
	item->nulls[ITEM_STAGES] = false;
	item->values[ITEM_IS_COUNTED] = BoolGetDatum(item->is_counted);
	item->nulls[ITEM_IS_COUNTED] = false;
	item->values[ITEM_IS_OPEN] = BoolGetDatum(is_open);
	item->nulls[ITEM_IS_OPEN] = !item->exists && !is_open;
	set_number(item, ITEM_DELIVERED, item->delivered);
	set_number(item, ITEM_INVOICED, item->invoiced);
	set_number(item, ITEM_SETTLED, item->settled);
}

/* How a column of an item is compared. */
typedef enum ColumnClass
{
	COLUMN_TEXT, COLUMN_WORD, COLUMN_NUMBER
} ColumnClass;

static bool
same_value(const CreditItem *a, const CreditItem *b, int column, ColumnClass class)
{
	if (a->nulls[column] || b->nulls[column])
		return a->nulls[column] == b->nulls[column];
	switch (class)
	{
		case COLUMN_TEXT:
			return datum_image_eq(a->values[column], b->values[column], false, -1);
		case COLUMN_WORD:
			return a->values[column] == b->values[column];
		case COLUMN_NUMBER:
			return credit_compare(DatumGetNumeric(a->values[column]),
								  DatumGetNumeric(b->values[column])) == 0;
	}
	return false;
}

/* Do two versions say the same? */
bool
item_same(const CreditItem *a, const CreditItem *b)
{
	static const struct
	{
		int			column;
		ColumnClass class;
	}			compared[] = {
		{ITEM_CURRENCY, COLUMN_TEXT}, {ITEM_AMOUNT, COLUMN_NUMBER},
		{ITEM_ORIGIN, COLUMN_TEXT}, {ITEM_NUMBER, COLUMN_TEXT},
		{ITEM_DOCUMENT, COLUMN_TEXT}, {ITEM_DOCUMENT_DATE, COLUMN_WORD},
		{ITEM_DUE_DATE, COLUMN_WORD}, {ITEM_POSTING_DATE, COLUMN_WORD},
		{ITEM_IS_DISPUTED, COLUMN_WORD}, {ITEM_OPEN_AMOUNT, COLUMN_NUMBER},
		{ITEM_SETTLED_ON, COLUMN_WORD}, {ITEM_REVERSED_ON, COLUMN_WORD},
		{ITEM_DELIVERED, COLUMN_NUMBER}, {ITEM_INVOICED, COLUMN_NUMBER},
		{ITEM_SETTLED, COLUMN_NUMBER}, {ITEM_DISPUTED_AMOUNT, COLUMN_NUMBER},
		{ITEM_RETENTION_AMOUNT, COLUMN_NUMBER}, {ITEM_RETENTION_UNTIL, COLUMN_WORD},
		{ITEM_IS_WRITE_OFF, COLUMN_WORD}, {ITEM_NEXT_ON, COLUMN_WORD},
	};

	if (a->exists != b->exists || a->is_row != b->is_row)
		return false;
	if (!a->is_row)
		return true;
	if (a->account_id != b->account_id || a->is_counted != b->is_counted ||
		!vector_equal(&a->stages, &b->stages))
		return false;
	for (int i = 0; i < (int) lengthof(compared); i++)
		if (!same_value(a, b, compared[i].column, compared[i].class))
			return false;
	return true;
}

/* Keeps a version that is replaced. */
static void
keep_version(CreditItem *old, TimestampTz now)
{
	LedgerRel  *versions = ledger_open(LEDGER_ITEM_VERSION, RowExclusiveLock);

	old->values[VERSION_SUPERSEDED_AT] = TimestampTzGetDatum(now);
	old->nulls[VERSION_SUPERSEDED_AT] = false;
	ledger_insert(versions, old->values, old->nulls);
	ledger_close(versions);
}

/* Says when a new version was written and which row of the journal it is in. */
static void
stamp(const CreditItem *old, CreditItem *new, int64 seq, TimestampTz now)
{
	new->values[ITEM_RECORDED_AT] = TimestampTzGetDatum(now);
	new->nulls[ITEM_RECORDED_AT] = false;
	/* what does not change exposure stays with the row that carries it */
	new->values[ITEM_SEQ] = seq != 0 || !old->is_row ?
		Int64GetDatum(seq) : old->values[ITEM_SEQ];
	new->nulls[ITEM_SEQ] = seq < 0 ||
		(seq == 0 && (!old->is_row || old->nulls[ITEM_SEQ]));
}

/*
 * Makes a row for a key that a document names, so that whoever brings that
 * document meets it.  False: somebody has just done so, or has brought it, or
 * has tried to: it is to be looked for again.
 */
bool
item_hold_key(LedgerRel *items, int32 source_id, const char *key)
{
	CreditItem	item;
	CreditItem	absent;

	set_absent(&absent);
	set_absent(&item);
	item.is_row = true;
	item_seal(&item, source_id, key);
	stamp(&absent, &item, 0, GetCurrentTimestamp());
	if (ledger_insert_lightly(items, item.values, item.nulls))
		return true;
	item_wait_for_key(items, source_id, key);
	return false;
}

/*
 * Replaces one version by the next: either may not exist.  False: somebody has
 * meanwhile changed what was taken for the latest version.  seq is the row of
 * the journal that carries the change; 0 where exposure stays as it is, -1
 * where that row is still to come (a statement in portions).
 */
static bool
write_one(LedgerRel *items, CreditItem *old, CreditItem *new, int64 seq)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		done = true;

	if (old->is_row && item_same(old, new))
		/* nothing is new but that somebody has looked: see is_touched */
		return ledger_update(items, old->tuple, old->values, old->nulls);
	if (new->is_row)
		stamp(old, new, seq, now);
	if (old->is_row && new->is_row)
		done = ledger_update(items, old->tuple, new->values, new->nulls);
	else if (new->is_row)
		done = ledger_insert_new(items, new->values, new->nulls);
	else if (old->is_row)
		done = ledger_delete(items, old->tuple);
	if (done && (old->exists || old->account_id != 0))
		keep_version(old, now);
	return done;
}

/*
 * Writes many documents, which are in the order of source and key.  What is
 * new among them goes into the table together.  One that turns out to be not
 * what it was taken for is left alone and marked.
 */
void
item_write(LedgerRel *items, CreditChange *changes, int n)
{
	Datum	  **values = palloc(sizeof(Datum *) * n);
	bool	  **nulls = palloc(sizeof(bool *) * n);
	bool	   *is_taken = palloc0(sizeof(bool) * n);
	int			nnew = 0;

	for (int i = 0; i < n; i++)
	{
		CreditItem *new = changes[i].new;

		if (changes[i].old->is_row || !new->is_row || n == 1)
		{
			changes[i].is_taken = !write_one(items, changes[i].old, new, changes[i].seq);
			continue;
		}
		stamp(changes[i].old, new, changes[i].seq, GetCurrentTimestamp());
		values[nnew] = new->values;
		nulls[nnew++] = new->nulls;
	}
	if (nnew == 0)
		return;
	ledger_insert_many(items, values, nulls, nnew, is_taken);
	for (int i = 0, k = 0; i < n; i++)
		if (!changes[i].old->is_row && changes[i].new->is_row)
			changes[i].is_taken = is_taken[k++];
}

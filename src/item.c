/*
 * item.c
 *	  Documents of the ERP as the ledger holds them.
 *
 * An item stands for exactly one row of the ERP, so two transactions can only
 * want the same item if they want the same row, and then the ERP's own row
 * lock has made one of them wait already.  Items are therefore read at their
 * latest version, whatever the snapshot of the transaction.
 *
 * A version that is replaced goes to item_version.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
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
static bool
is_new_key(LedgerRel *items, int32 source_id, const char *key)
{
	Datum		keys[2];

	keys[0] = Int32GetDatum(source_id);
	keys[1] = CStringGetTextDatum(key);
	return probe_is_absent(items, keys, 2);
}

/* Looks once; sets xid where somebody else is just writing the item. */
static void
find_once(LedgerRel *items, int32 source_id, const char *key, CreditItem *item,
		  TransactionId *xid)
{
	ScanKeyData keys[2];
	LedgerScan	scan;
	HeapTuple	tuple;
	Snapshot	snapshot = NULL;

	if (SABOTAGED(ITEM_SNAPSHOT))
	{
		snapshot = GetActiveSnapshot();
		memset(&scan, 0, sizeof(scan));
	}
	memset(item, 0, sizeof(CreditItem));
	*xid = InvalidTransactionId;
	ledger_key(items, &keys[0], ITEM_SOURCE_ID, BTEqualStrategyNumber,
			   F_INT4EQ, Int32GetDatum(source_id));
	ledger_key(items, &keys[1], ITEM_KEY, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(key));
	ledger_scan(&scan, items, NULL, snapshot, keys, 2);
	if (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		*xid = TransactionIdIsValid(scan.dirty.xmin) ?
			scan.dirty.xmin : scan.dirty.xmax;
		item->tuple = heap_copytuple(tuple);
		item->exists = true;
	}
	ledger_scan_end(&scan);
}

/* The item of a document, waiting for whoever is just writing it. */
void
item_find(LedgerRel *items, int32 source_id, const char *key, CreditItem *item)
{
	TransactionId xid;

	if (SABOTAGED(NEW_KEY) || is_new_key(items, source_id, key))
	{
		memset(item, 0, offsetof(CreditItem, values));
		return;
	}
	for (;;)
	{
		find_once(items, source_id, key, item, &xid);
		if (!TransactionIdIsValid(xid))
			break;
		wait_or_refuse(xid, WAIT_DOCUMENT, source_id, key);
	}
	if (!item->exists)
		return;
	ledger_deform(items, item->tuple, item->values, item->nulls);
	item->account_id = DatumGetInt64(item->values[ITEM_ACCOUNT_ID]);
	item->currency = TextDatumGetCString(item->values[ITEM_CURRENCY]);
	vector_from_datum(&item->stages, item->values[ITEM_STAGES]);
}

/* What a document adds to exposure, by its kind. */
static void
stages_of(const CreditSource *source, Numeric amount, CreditVector *stages)
{
	memset(stages, 0, sizeof(CreditVector));
	if (source->kind == KIND_PAYMENT)
		stages->stage[STAGE_UNAPPLIED] = credit_subtract(NULL, amount);
	else
		stages->stage[STAGE_ORDERED] = amount;
}

/* The item a row of the ERP makes. */
void
item_build(CreditItem *item, const CreditSource *source, const char *key,
		   int64 account_id, const char *currency, const CreditRow *row)
{
	static const struct
	{
		CreditField field;
		int			column;
	}			plain[] = {
		{FIELD_DOCUMENT_DATE, ITEM_DOCUMENT_DATE},
		{FIELD_DUE_DATE, ITEM_DUE_DATE},
		{FIELD_POSTING_DATE, ITEM_POSTING_DATE},
		{FIELD_NUMBER, ITEM_NUMBER},
		{FIELD_IS_DISPUTED, ITEM_IS_DISPUTED},
	};
	CreditField origin = source->kind == KIND_PAYMENT ?
		FIELD_APPLIES_TO : FIELD_ORIGIN;

	memset(item, 0, sizeof(CreditItem));
	item->exists = true;
	item->account_id = account_id;
	item->currency = pstrdup(currency);
	stages_of(source, DatumGetNumeric(row->value[FIELD_AMOUNT]), &item->stages);

	memset(item->nulls, true, sizeof(item->nulls));
	for (int i = ITEM_SOURCE_ID; i <= ITEM_STAGES; i++)
		item->nulls[i] = false;
	item->values[ITEM_SOURCE_ID] = Int32GetDatum(source->source_id);
	item->values[ITEM_KEY] = CStringGetTextDatum(key);
	item->values[ITEM_ACCOUNT_ID] = Int64GetDatum(account_id);
	item->values[ITEM_CURRENCY] = CStringGetTextDatum(currency);
	item->values[ITEM_AMOUNT] = row->value[FIELD_AMOUNT];
	item->values[ITEM_STAGES] = vector_to_datum(&item->stages);
	for (int i = 0; i < (int) lengthof(plain); i++)
	{
		item->values[plain[i].column] = row->value[plain[i].field];
		item->nulls[plain[i].column] = row->isnull[plain[i].field];
	}
	item->values[ITEM_ORIGIN] = row->value[origin];
	item->nulls[ITEM_ORIGIN] = row->isnull[origin];
}

/* Do two versions say the same? */
bool
item_same(const CreditItem *a, const CreditItem *b)
{
	static const int text_columns[] = {ITEM_ORIGIN, ITEM_NUMBER};
	static const int word_columns[] = {
		ITEM_DOCUMENT_DATE, ITEM_DUE_DATE, ITEM_POSTING_DATE, ITEM_IS_DISPUTED
	};

	if (a->exists != b->exists)
		return false;
	if (!a->exists)
		return true;
	if (a->account_id != b->account_id ||
		strcmp(a->currency, b->currency) != 0 ||
		credit_compare(DatumGetNumeric(a->values[ITEM_AMOUNT]),
					   DatumGetNumeric(b->values[ITEM_AMOUNT])) != 0 ||
		!vector_equal(&a->stages, &b->stages))
		return false;
	for (int i = 0; i < (int) lengthof(text_columns); i++)
	{
		int			c = text_columns[i];

		if (a->nulls[c] != b->nulls[c] ||
			(!a->nulls[c] &&
			 !datum_image_eq(a->values[c], b->values[c], false, -1)))
			return false;
	}
	for (int i = 0; i < (int) lengthof(word_columns); i++)
	{
		int			c = word_columns[i];

		if (a->nulls[c] != b->nulls[c] ||
			(!a->nulls[c] && a->values[c] != b->values[c]))
			return false;
	}
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
	new->values[ITEM_SEQ] = seq != 0 || !old->exists ?
		Int64GetDatum(seq) : old->values[ITEM_SEQ];
	new->nulls[ITEM_SEQ] = seq < 0 ||
		(seq == 0 && (!old->exists || old->nulls[ITEM_SEQ]));
}

/*
 * Replaces one version by the next: either may not exist.  seq is the row of
 * the journal that carries the change; 0 where exposure stays as it is, -1
 * where that row is still to come (a statement in portions).
 */
static void
write_one(LedgerRel *items, CreditItem *old, CreditItem *new, int64 seq)
{
	TimestampTz now = GetCurrentTimestamp();

	if (old->exists)
		keep_version(old, now);
	if (new->exists)
		stamp(old, new, seq, now);
	if (old->exists && new->exists)
		ledger_update(items, old->tuple, new->values, new->nulls);
	else if (new->exists)
		ledger_insert(items, new->values, new->nulls);
	else if (old->exists)
		ledger_delete(items, old->tuple);
}

/*
 * Writes many documents, which are in the order of source and key.  What is
 * new among them goes into the table together.  With unsure, a document that
 * is said to be new may turn out to be there; it is left alone and marked.
 */
void
item_write(LedgerRel *items, CreditChange *changes, int n, bool unsure)
{
	Datum	  **values = palloc(sizeof(Datum *) * n);
	bool	  **nulls = palloc(sizeof(bool *) * n);
	bool	   *is_taken = palloc0(sizeof(bool) * n);
	int			nnew = 0;

	for (int i = 0; i < n; i++)
	{
		CreditItem *new = changes[i].new;

		if (changes[i].old->exists || !new->exists || (n == 1 && !unsure))
		{
			write_one(items, changes[i].old, new, changes[i].seq);
			continue;
		}
		stamp(changes[i].old, new, changes[i].seq, GetCurrentTimestamp());
		values[nnew] = new->values;
		nulls[nnew++] = new->nulls;
	}
	if (nnew == 0)
		return;
	ledger_insert_many(items, values, nulls, nnew, unsure ? is_taken : NULL);
	for (int i = 0, k = 0; i < n; i++)
		if (!changes[i].old->exists && changes[i].new->exists)
			changes[i].is_taken = is_taken[k++];
}

/*
 * recount.c
 *	  Documents that are looked at again although nobody has changed them.
 *
 * A backfill writes documents set by set, each for itself; then they are
 * joined to those they name.  When a source is detached, those that name its
 * documents turn to others.  And a receipt that was dated in the future
 * counts when its day has come.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "directory.h"
#include "family.h"
#include "progress.h"
#include "setting.h"

/* Documents at a time: memory and locks are theirs. */
#define PORTION 2000
#define NEXT_INDEX "item_next"

PG_FUNCTION_INFO_V1(credit_join_documents);
PG_FUNCTION_INFO_V1(credit_part_documents);
PG_FUNCTION_INFO_V1(credit_recount);

/* A document by name. */
typedef struct ItemName
{
	int32		source_id;
	char	   *key;
} ItemName;

/* Reads up to a portion of names off a scan. */
static int
read_names(LedgerRel *items, LedgerScan *scan, ItemName *names)
{
	HeapTuple	tuple;
	int			n = 0;

	while (n < PORTION &&
		   HeapTupleIsValid(tuple = ledger_next(scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(items, tuple, values, nulls);
		names[n].source_id = DatumGetInt32(values[ITEM_SOURCE_ID]);
		names[n++].key = TextDatumGetCString(values[ITEM_KEY]);
	}
	return n;
}

/* The next names of a source, behind a key; NULL: from the start. */
static int
names_of_source(LedgerRel *items, int32 source_id, const char *behind, ItemName *names)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[2];
	LedgerScan	scan;
	int			n;

	ledger_key(items, &keys[0], ITEM_SOURCE_ID, BTEqualStrategyNumber,
			   F_INT4EQ, Int32GetDatum(source_id));
	ledger_key(items, &keys[1], ITEM_KEY, BTGreaterStrategyNumber,
			   F_TEXT_GT, CStringGetTextDatum(behind ? behind : ""));
	ledger_scan(&scan, items, NULL, snapshot, keys, behind == NULL ? 1 : 2);
	n = read_names(items, &scan, names);
	ledger_scan_end(&scan);
	UnregisterSnapshot(snapshot);
	return n;
}

/* Names of documents whose day has come. */
static int
names_that_are_due(LedgerRel *items, ItemName *names)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	LedgerScan	scan;
	int			n;

	ledger_key(items, &key, ITEM_NEXT_ON, BTLessEqualStrategyNumber,
			   F_DATE_LE, DateADTGetDatum(credit_today()));
	ledger_scan(&scan, items, NEXT_INDEX, snapshot, &key, 1);
	n = read_names(items, &scan, names);
	ledger_scan_end(&scan);
	UnregisterSnapshot(snapshot);
	return n;
}

/* Does one of the sources name documents of a kind? */
static bool
is_named(CreditKind kind)
{
	const Directory *list = directory();

	for (int i = 0; i < list->n; i++)
		if (list->sources[i].origin_kind == kind ||
			list->sources[i].applies_to_kind == kind ||
			list->sources[i].payment_kind == kind)
			return true;
	return false;
}

/* Does something to each row of a source, a portion at a time; says how many. */
static int64
for_each_of_source(int32 source_id,
				   void (*work) (Family *family, int32 source_id, const char *key))
{
	const CreditSource *source = directory_find(source_id);
	MemoryContext cxt;
	MemoryContext caller = CurrentMemoryContext;
	LedgerRel  *items;
	char	   *last = NULL;
	int64		total = 0;
	int			n;

	if (source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no source %d", source_id)));
	if (!is_named(source->kind) && source->origin_kind == KIND_NONE &&
		source->applies_to_kind == KIND_NONE && source->payment_kind == KIND_NONE)
		return 0;
	items = ledger_open(LEDGER_ITEM, RowExclusiveLock);
	cxt = AllocSetContextCreate(caller, "credit documents", ALLOCSET_DEFAULT_SIZES);
	do
	{
		ItemName	   *names;
		Family	   *family;

		MemoryContextSwitchTo(cxt);
		names = palloc(sizeof(ItemName) * PORTION);
		n = names_of_source(items, source_id, last, names);
		family = family_create(items, false);
		for (int i = 0; i < n; i++)
			work(family, source_id, names[i].key);
		apply_family(family);
		progress_advance(n);
		total += n;
		MemoryContextSwitchTo(caller);
		last = n > 0 ? pstrdup(names[n - 1].key) : NULL;
		MemoryContextReset(cxt);
		CHECK_FOR_INTERRUPTS();
	} while (n == PORTION);
	ledger_close(items);
	return total;
}

/* join_documents(source_id) */
Datum
credit_join_documents(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("credit.join_documents()");
	PG_RETURN_INT64(for_each_of_source(PG_GETARG_INT32(0), family_join));
}

/* part_documents(source_id) */
Datum
credit_part_documents(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("credit.part_documents()");
	PG_RETURN_INT64(for_each_of_source(PG_GETARG_INT32(0), family_part));
}

/* Takes in a portion of what is due; says how much it was. */
static int
recount_portion(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "credit recount",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(cxt);
	LedgerRel  *items = ledger_open(LEDGER_ITEM, RowExclusiveLock);
	ItemName   *names = palloc(sizeof(ItemName) * PORTION);
	int			n = names_that_are_due(items, names);
	Family	   *family = family_create(items, false);

	for (int i = 0; i < n; i++)
		family_recount(family, names[i].source_id, names[i].key);
	if (n > 0)
		apply_family(family);
	ledger_close(items);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	return n;
}

/*
 * recount(): a procedure that commits each portion, so that what it posts
 * stands in nobody's way for long.
 */
Datum
credit_recount(PG_FUNCTION_ARGS)
{
	CallContext *context = (CallContext *) fcinfo->context;
	int			n;

	if (context == NULL || !IsA(context, CallContext) || context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("credit.recount() cannot run inside a transaction block or a function"),
				 errdetail("It commits each portion, so that nobody has to wait for it."),
				 errhint("Run CALL credit.recount() by itself.")));
	PreventCommandIfReadOnly("credit.recount()");
	if (ledger_is_replicated())
	{
		ereport(NOTICE,
				(errmsg("this ledger is replicated from another database, where documents are recounted")));
		PG_RETURN_VOID();
	}
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	do
	{
		SPI_commit();
		/* whatever default_transaction_isolation says */
		XactIsoLevel = XACT_READ_COMMITTED;
		PushActiveSnapshot(GetTransactionSnapshot());
		n = recount_portion();
		PopActiveSnapshot();
	} while (n == PORTION);
	SPI_finish();
	PG_RETURN_VOID();
}

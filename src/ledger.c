/*
 * ledger.c
 *	  Access to the extension's own tables without SQL.
 *
 * The order path reads and writes these tables by heap and index calls: an SPI
 * statement costs some 27,000 instructions, the whole bare insert of an order
 * 67,000.  These calls check no privilege and fire no trigger, which is what
 * lets a role without any right on schema credit place orders; in exchange
 * everything that a trigger or constraint would check is checked by callers.
 *
 * Oids and column numbers are looked up by name and kept per backend until a
 * relation cache invalidation mentions the table.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "commands/sequence.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "ledger.h"

typedef struct TableInfo
{
	const char *name;
	const char *const *columns;
	int			ncolumns;
	bool		valid;
	Oid			relid;
	int			natts;
	AttrNumber	att[LEDGER_MAX_COLUMNS];
} TableInfo;

static const char *const account_columns[] = {
	"account_id", "customer", "segment", "name", "parent", "status",
	"terms_days", "rating", "source_id", "created_at"
};
static const char *const account_limit_columns[] = {
	"account_id", "currency", "limit_state", "credit_limit", "valid_until",
	"base_state", "base_limit", "is_mapped", "changed_at"
};
static const char *const limit_change_columns[] = {
	"limit_change_id", "account_id", "changed_at", "changed_by", "old_state",
	"old_limit", "new_state", "new_limit", "valid_until", "reason",
	"source_id"
};
static const char *const source_columns[] = {
	"source_id", "name", "relation", "kind", "fields", "on_breach",
	"null_limit", "zero_limit", "on_error"
};
static const char *const source_problem_columns[] = {
	"problem_id", "source_id", "seen_at", "sqlstate", "message"
};
static const char *const item_columns[] = {
	"source_id", "key", "account_id", "currency", "amount", "stages",
	"document_date", "due_date", "posting_date", "origin", "number",
	"is_disputed", "recorded_at", "seq", "superseded_at"
};
static const char *const journal_columns[] = {
	"account_id", "scope", "currency", "seq", "first_seq", "posted_at",
	"source_id", "item_key", "delta", "xsum", "psum", "peak", "open",
	"is_only_chain"
};
static const char *const decision_columns[] = {
	"decision_id", "decided_at", "verdict", "rule", "account_id",
	"source_id", "item_key", "documents", "currency", "amount", "exposure",
	"limit_state", "credit_limit", "reasons", "role"
};
static const char *const setting_columns[] = {"name", "value"};
static const char *const rule_columns[] = {"rule", "reaction"};

static TableInfo tables[LEDGER_NTABLES] = {
	{"account", account_columns, ACCOUNT_NCOLUMNS},
	{"account_limit", account_limit_columns, LIMIT_NCOLUMNS},
	{"limit_change", limit_change_columns, LCHANGE_NCOLUMNS},
	{"source", source_columns, SOURCE_NCOLUMNS},
	{"source_problem", source_problem_columns, PROBLEM_NCOLUMNS},
	{"item", item_columns, ITEM_NCOLUMNS},
	{"item_version", item_columns, VERSION_NCOLUMNS},
	{"journal", journal_columns, JOURNAL_NCOLUMNS},
	{"decision_log", decision_columns, DECISION_NCOLUMNS},
	{"setting", setting_columns, SETTING_NCOLUMNS},
	{"rule_reaction", rule_columns, RULE_NCOLUMNS},
};

static void refuse_odd_index(Relation rel);

/* Only marks: runs in the middle of anything that touches a catalog. */
void
credit_ledger_invalidate(Oid relid)
{
	for (int i = 0; i < LEDGER_NTABLES; i++)
		if (relid == InvalidOid || tables[i].relid == relid)
			tables[i].valid = false;
}

void
credit_ledger_init(void)
{
	/* Nothing to allocate: entries are filled at first use. */
	credit_ledger_invalidate(InvalidOid);
}

/* Fills an entry completely, then sets it valid. */
static TableInfo *
lookup_table(LedgerTable id)
{
	TableInfo  *info = &tables[id];
	Oid			nspoid;
	Relation	rel;

	if (info->valid)
		return info;

	nspoid = get_namespace_oid("credit", true);
	info->relid = OidIsValid(nspoid) ?
		get_relname_relid(info->name, nspoid) : InvalidOid;
	if (!OidIsValid(info->relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"credit.%s\" does not exist", info->name),
				 errhint("Extension \"credit\" must be created in this database.")));

	rel = table_open(info->relid, AccessShareLock);
	refuse_odd_index(rel);
	info->natts = RelationGetNumberOfAttributes(rel);
	for (int i = 0; i < info->ncolumns; i++)
		info->att[i] = get_attnum(info->relid, info->columns[i]);
	info->valid = true;
	table_close(rel, AccessShareLock);
	return info;
}

/*
 * CatalogTupleInsert cannot maintain expression, partial, exclusion or
 * deferrable indexes and would fill them wrongly without a word.  Plain
 * indexes that a DBA adds are fine.
 */
static void
refuse_odd_index(Relation rel)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		bool		odd = index->rd_indextuple != NULL &&
			(!heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) ||
			 !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) ||
			 index->rd_index->indisexclusion ||
			 !index->rd_index->indimmediate);

		if (odd)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" on \"credit.%s\" is of a kind the ledger cannot maintain",
							RelationGetRelationName(index),
							RelationGetRelationName(rel)),
					 errdetail("Expression, partial, exclusion and deferrable indexes are not supported on ledger tables; plain indexes are."),
					 errhint("Drop the index.")));
		index_close(index, AccessShareLock);
	}
}

Oid
ledger_relid(LedgerTable id)
{
	return lookup_table(id)->relid;
}

LedgerRel *
ledger_open(LedgerTable id, LOCKMODE lockmode)
{
	LedgerRel  *ledger = palloc0(sizeof(LedgerRel));

	ledger->id = id;
	ledger->rel = table_open(lookup_table(id)->relid, lockmode);
	/* The lock may have brought news: look again under it. */
	(void) lookup_table(id);
	return ledger;
}

void
ledger_close(LedgerRel *ledger)
{
	if (ledger->indexes)
		CatalogCloseIndexes(ledger->indexes);
	if (ledger->index)
		index_close(ledger->index, AccessShareLock);
	table_close(ledger->rel, NoLock);
	pfree(ledger);
}

/* One scan key on a column of the table; text compares in collation C. */
void
ledger_key(LedgerRel *ledger, ScanKey key, int column,
		   StrategyNumber strategy, RegProcedure proc, Datum value)
{
	AttrNumber	att = tables[ledger->id].att[column];

	ScanKeyEntryInitialize(key, 0, att, strategy, InvalidOid,
						   TupleDescAttr(RelationGetDescr(ledger->rel), att - 1)->attcollation,
						   proc, value);
}

/*
 * Begins an index scan.  snapshot NULL: a dirty one, whose verdict on the
 * last tuple stands in scan->dirty right after each ledger_next.  index NULL:
 * the primary key.
 */
void
ledger_scan(LedgerScan *scan, LedgerRel *ledger, const char *index,
			Snapshot snapshot, ScanKey keys, int nkeys)
{
	Oid			index_oid;

	index_oid = index == NULL ? credit_primary_key(ledger->rel) :
		get_relname_relid(index, RelationGetNamespace(ledger->rel));
	if (!OidIsValid(index_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index %s of \"credit.%s\" is missing",
						index ? index : "of the primary key",
						RelationGetRelationName(ledger->rel)),
				 errhint("Recreate it; the extension cannot work without it.")));
	if (ledger->index_oid != index_oid)
	{
		if (ledger->index)
			index_close(ledger->index, AccessShareLock);
		ledger->index = index_open(index_oid, AccessShareLock);
		ledger->index_oid = index_oid;
	}
	scan->ledger = ledger;
	if (snapshot == NULL)
	{
		InitDirtySnapshot(scan->dirty);
		snapshot = &scan->dirty;
	}
	scan->scan = systable_beginscan_ordered(ledger->rel, ledger->index,
											snapshot, nkeys, keys);
}

HeapTuple
ledger_next(LedgerScan *scan, ScanDirection direction)
{
	return systable_getnext_ordered(scan->scan, direction);
}

void
ledger_scan_end(LedgerScan *scan)
{
	systable_endscan_ordered(scan->scan);
}

/* Values by column of ours; a column that is not there reads as NULL. */
void
ledger_deform(LedgerRel *ledger, HeapTuple tuple, Datum *values, bool *nulls)
{
	TableInfo  *info = &tables[ledger->id];
	TupleDesc	desc = RelationGetDescr(ledger->rel);
	Datum	   *raw = palloc(sizeof(Datum) * desc->natts);
	bool	   *raw_nulls = palloc(sizeof(bool) * desc->natts);

	heap_deform_tuple(tuple, desc, raw, raw_nulls);
	for (int i = 0; i < info->ncolumns; i++)
	{
		AttrNumber	att = info->att[i];

		nulls[i] = att <= 0 || raw_nulls[att - 1];
		values[i] = nulls[i] ? (Datum) 0 : raw[att - 1];
	}
	pfree(raw);
	pfree(raw_nulls);
}

/* Builds a tuple from values by column of ours. */
static HeapTuple
form_tuple(LedgerRel *ledger, Datum *values, bool *nulls)
{
	TableInfo  *info = &tables[ledger->id];
	TupleDesc	desc = RelationGetDescr(ledger->rel);
	Datum	   *raw = palloc0(sizeof(Datum) * desc->natts);
	bool	   *raw_nulls = palloc(sizeof(bool) * desc->natts);
	HeapTuple	tuple;

	memset(raw_nulls, true, sizeof(bool) * desc->natts);
	for (int i = 0; i < info->ncolumns; i++)
	{
		AttrNumber	att = info->att[i];

		if (att > 0 && !nulls[i])
		{
			raw[att - 1] = values[i];
			raw_nulls[att - 1] = false;
		}
	}
	tuple = heap_form_tuple(desc, raw, raw_nulls);
	pfree(raw);
	pfree(raw_nulls);
	return tuple;
}

static void
open_indexes(LedgerRel *ledger)
{
	if (ledger->indexes == NULL)
		ledger->indexes = CatalogOpenIndexes(ledger->rel);
}

void
ledger_insert(LedgerRel *ledger, Datum *values, bool *nulls)
{
	HeapTuple	tuple = form_tuple(ledger, values, nulls);

	open_indexes(ledger);
	CatalogTupleInsertWithInfo(ledger->rel, tuple, ledger->indexes);
	heap_freetuple(tuple);
}

/* The caller knows that nobody else is changing the row. */
void
ledger_update(LedgerRel *ledger, HeapTuple old, Datum *values, bool *nulls)
{
	HeapTuple	tuple = form_tuple(ledger, values, nulls);
	ItemPointerData tid = old->t_self;

	open_indexes(ledger);
	CatalogTupleUpdateWithInfo(ledger->rel, &tid, tuple, ledger->indexes);
	heap_freetuple(tuple);
}

void
ledger_delete(LedgerRel *ledger, HeapTuple old)
{
	ItemPointerData tid = old->t_self;

	CatalogTupleDelete(ledger->rel, &tid);
}

/* Next value of an identity column, whatever the rights of the user. */
int64
ledger_next_id(LedgerRel *ledger, int column)
{
	Oid			seqoid;

	seqoid = getIdentitySequence(RelationGetRelid(ledger->rel),
								 tables[ledger->id].att[column], false);
	return nextval_internal(seqoid, false);
}

bool
ledger_tuple_is_own(HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

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
 * Oids, column numbers and indexes are looked up by name and kept per backend
 * until a relation cache invalidation mentions the table.
 *
 * Index entries are made here and not by CatalogTupleInsert, which would lock
 * and describe every index anew for each statement.  A writer's lock on the
 * table keeps its indexes as they are (REINDEX and DROP INDEX conflict with
 * it), so that they are opened without a lock of their own; readers, who hold
 * less, lock the index they use.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/catcache.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "credit.h"
#include "ledger.h"
#include "page.h"

/* Columns a table may have in all: those of later versions, those dropped. */
#define LEDGER_MAX_ATTS 64

/* Which rows an index has entries of. */
typedef enum IndexPredicate
{
	INDEX_ALL,
	INDEX_IF_TRUE,				/* a boolean column is true */
	INDEX_IF_FALSE,				/* it is false */
	INDEX_IF_NOT_NULL			/* a column is not NULL */
} IndexPredicate;

/* What an index of a table needs to get its entries. */
typedef struct IndexFacts
{
	Oid			oid;
	char		name[NAMEDATALEN];
	bool		is_primary;
	bool		is_unique;
	bool		is_ready;
	IndexPredicate predicate;
	AttrNumber	predicate_att;
	int			nkeys;
	AttrNumber	keys[INDEX_MAX_KEYS];
} IndexFacts;

/* A row among many that are inserted at once, by columns of the table. */
typedef struct NewRow
{
	bool		is_taken;		/* its key is, perhaps */
	Datum	   *raw;
	bool	   *nulls;
	ItemPointerData tid;
} NewRow;

/* Where one of them stands in the order of an index. */
typedef struct RowPlace
{
	int64		order;
	int			number;
} RowPlace;

/* So many at a time. */
#define MANY_ROWS 1000

typedef struct TableInfo
{
	const char *name;
	const char *const *columns;
	int			ncolumns;
	bool		valid;
	bool		is_copied;		/* a tool copies it by triggers */
	Oid			relid;
	AttrNumber	att[LEDGER_MAX_COLUMNS];
	int			nunknown;		/* columns of a later version of the catalog */
	AttrNumber	unknown[LEDGER_MAX_ATTS];
	int			nindexes;
	IndexFacts	indexes[LEDGER_MAX_INDEXES];
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
	"null_limit", "zero_limit", "on_error", "origin_kind", "applies_to_kind",
	"payment_kind"
};
static const char *const source_problem_columns[] = {
	"problem_id", "source_id", "seen_at", "sqlstate", "message"
};
static const char *const item_columns[] = {
	"source_id", "key", "account_id", "currency", "amount", "stages",
	"document_date", "due_date", "posting_date", "origin", "number",
	"is_disputed", "recorded_at", "seq", "is_counted", "is_open", "document",
	"open_amount", "settled_on", "reversed_on", "delivered", "invoiced",
	"settled", "disputed_amount", "retention_amount", "retention_until",
	"is_write_off", "next_on", "superseded_at"
};
static const char *const settlement_columns[] = {
	"source_id", "key", "settled_on", "amount", "kind", "payment_source_id",
	"payment_key", "stated_by_source_id", "stated_by_key", "recorded_at"
};
static const char *const month_mark_columns[] = {"account_id", "month"};
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
static const char *const exchange_rate_columns[] = {
	"rate_type", "from_currency", "to_currency", "valid_on", "rate"
};
static const char *const dependency_columns[] = {
	"source_id", "relation", "changed_keys"
};

static TableInfo tables[LEDGER_NTABLES] = {
	{"account", account_columns, ACCOUNT_NCOLUMNS},
	{"account_limit", account_limit_columns, LIMIT_NCOLUMNS},
	{"limit_change", limit_change_columns, LCHANGE_NCOLUMNS},
	{"source", source_columns, SOURCE_NCOLUMNS},
	{"source_problem", source_problem_columns, PROBLEM_NCOLUMNS},
	{"item", item_columns, ITEM_NCOLUMNS},
	{"item_version", item_columns, VERSION_NCOLUMNS},
	{"settlement", settlement_columns, SETTLEMENT_NCOLUMNS},
	{"month_mark", month_mark_columns, MARK_NCOLUMNS},
	{"journal", journal_columns, JOURNAL_NCOLUMNS},
	{"decision_log", decision_columns, DECISION_NCOLUMNS},
	{"setting", setting_columns, SETTING_NCOLUMNS},
	{"rule_reaction", rule_columns, RULE_NCOLUMNS},
	{"exchange_rate", exchange_rate_columns, RATE_NCOLUMNS},
	{"dependency", dependency_columns, DEPENDENCY_NCOLUMNS},
};

static void load_indexes(TableInfo *info, Relation rel);
static void load_unknown(TableInfo *info, Relation rel);
static bool is_copied_by_triggers(Relation rel);

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
	if (RelationGetNumberOfAttributes(rel) > LEDGER_MAX_ATTS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("table \"credit.%s\" has %d columns, dropped ones included, and at most %d can be read",
						info->name, RelationGetNumberOfAttributes(rel),
						LEDGER_MAX_ATTS),
				 errhint("Somebody has added columns by hand; keep them in a table of your own.")));
	load_indexes(info, rel);
	for (int i = 0; i < info->ncolumns; i++)
		info->att[i] = get_attnum(info->relid, info->columns[i]);
	load_unknown(info, rel);
	info->is_copied = is_copied_by_triggers(rel);
	info->valid = true;
	table_close(rel, AccessShareLock);
	return info;
}

/*
 * Columns that this library does not know: the catalog is of a later version,
 * and this session has loaded the library before it was replaced.
 */
static void
load_unknown(TableInfo *info, Relation rel)
{
	info->nunknown = 0;
	for (int att = 1; att <= RelationGetNumberOfAttributes(rel); att++)
	{
		bool		is_known = TupleDescAttr(RelationGetDescr(rel), att - 1)->attisdropped;

		for (int i = 0; i < info->ncolumns && !is_known; i++)
			is_known = info->att[i] == att;
		if (!is_known)
			info->unknown[info->nunknown++] = att;
	}
}

/*
 * Does pg_repack copy this table right now?  It learns of changes by a trigger,
 * which is not fired here: what is written meanwhile would be lost when it
 * puts its copy in place.
 */
static bool
is_copied_by_triggers(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;
	Oid			nspoid = get_namespace_oid("repack", true);

	for (int i = 0; OidIsValid(nspoid) && triggers != NULL &&
		 i < triggers->numtriggers; i++)
		if (TRIGGER_FOR_ROW(triggers->triggers[i].tgtype) &&
			get_func_namespace(triggers->triggers[i].tgfoid) == nspoid)
			return true;
	return false;
}

/*
 * Entries of expression, exclusion or deferrable indexes, or of another kind
 * than btree, cannot be made here.  Plain ones that a DBA adds are fine.
 */
static bool
is_odd_index(Relation index)
{
	return index->rd_rel->relam != BTREE_AM_OID ||
		index->rd_indextuple == NULL ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) ||
		index->rd_index->indisexclusion ||
		!index->rd_index->indimmediate;
}

/*
 * Reads the condition of a partial index; false: it is none of the few that
 * cost nothing to evaluate.
 */
static bool
load_predicate(Relation index, IndexFacts *facts)
{
	List	   *predicate = RelationGetIndexPredicate(index);
	Node	   *node;

	facts->predicate = INDEX_ALL;
	if (predicate == NIL)
		return true;
	node = linitial(predicate);
	if (list_length(predicate) != 1)
		return false;
	facts->predicate = INDEX_IF_TRUE;
	if (IsA(node, NullTest) && ((NullTest *) node)->nulltesttype == IS_NOT_NULL)
	{
		facts->predicate = INDEX_IF_NOT_NULL;
		node = (Node *) ((NullTest *) node)->arg;
	}
	else if (is_notclause(node))
	{
		facts->predicate = INDEX_IF_FALSE;
		node = (Node *) get_notclausearg(node);
	}
	if (!IsA(node, Var) || ((Var *) node)->varattno <= 0)
		return false;
	facts->predicate_att = ((Var *) node)->varattno;
	return true;
}

/* Does an index have an entry of this row? */
static bool
satisfies_predicate(const IndexFacts *facts, const Datum *raw, const bool *raw_nulls)
{
	int			i = facts->predicate_att - 1;

	switch (facts->predicate)
	{
		case INDEX_ALL:
			return true;
		case INDEX_IF_NOT_NULL:
			return !raw_nulls[i];
		case INDEX_IF_TRUE:
			return !raw_nulls[i] && DatumGetBool(raw[i]);
		case INDEX_IF_FALSE:
			return !raw_nulls[i] && !DatumGetBool(raw[i]);
	}
	return true;
}

static void
load_indexes(TableInfo *info, Relation rel)
{
	ListCell   *lc;

	info->nindexes = 0;
	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		IndexFacts *facts = &info->indexes[info->nindexes];

		if (info->nindexes == LEDGER_MAX_INDEXES || is_odd_index(index) ||
			!load_predicate(index, facts))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" on \"credit.%s\" cannot be maintained by the ledger",
							RelationGetRelationName(index), info->name),
					 errdetail("Ledger tables can have %d plain btree indexes: no expression, exclusion or deferrable ones, and partial ones only of a boolean column or of one that is not NULL.",
							   LEDGER_MAX_INDEXES),
					 errhint("Drop the index.")));
		facts->oid = RelationGetRelid(index);
		strlcpy(facts->name, RelationGetRelationName(index), NAMEDATALEN);
		facts->is_primary = index->rd_index->indisprimary;
		facts->is_unique = index->rd_index->indisunique;
		facts->is_ready = index->rd_index->indisready;
		facts->nkeys = index->rd_index->indnatts;
		memcpy(facts->keys, index->rd_index->indkey.values,
			   sizeof(AttrNumber) * facts->nkeys);
		info->nindexes++;
		index_close(index, AccessShareLock);
	}
}

/* Is the table there?  The catalog of an older version lacks newer ones. */
bool
ledger_exists(LedgerTable id)
{
	Oid			nspoid = get_namespace_oid("credit", true);

	return tables[id].valid ||
		(OidIsValid(nspoid) && OidIsValid(get_relname_relid(tables[id].name, nspoid)));
}

Oid
ledger_relid(LedgerTable id)
{
	return lookup_table(id)->relid;
}

/*
 * Do our rows come by subscription from another database?  It is kept there,
 * and what were done here would collide with what arrives.
 */
bool
ledger_is_replicated(void)
{
	CatCList   *list = SearchSysCacheList1(SUBSCRIPTIONRELMAP,
										   ObjectIdGetDatum(ledger_relid(LEDGER_ITEM)));
	bool		is_replicated = list->n_members > 0;

	ReleaseSysCacheList(list);
	return is_replicated;
}

/* Opens a table; with RowExclusiveLock or stronger for writing. */
LedgerRel *
ledger_open(LedgerTable id, LOCKMODE lockmode)
{
	LedgerRel  *ledger = palloc0(sizeof(LedgerRel));

	ledger->id = id;
	ledger->writes = lockmode >= RowExclusiveLock;
	ledger->rel = table_open(lookup_table(id)->relid, lockmode);
	/* The lock may have brought news: look again under it. */
	if (lookup_table(id)->is_copied && ledger->writes)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"credit.%s\" is being copied by pg_repack", tables[id].name),
				 errdetail("The ledger fires no triggers: what it wrote now would be missing in the copy."),
				 errhint("End pg_repack and drop its trigger. VACUUM FULL and CLUSTER can be used for tables of schema credit.")));
	return ledger;
}

static void
close_index(LedgerRel *ledger, int i)
{
	if (ledger->writes)
		RelationClose(ledger->indexes[i]);
	else
		index_close(ledger->indexes[i], AccessShareLock);
	ledger->indexes[i] = NULL;
}

void
ledger_close(LedgerRel *ledger)
{
	for (int i = 0; i < LEDGER_MAX_INDEXES; i++)
		if (ledger->indexes[i] != NULL)
			close_index(ledger, i);
	table_close(ledger->rel, NoLock);
	pfree(ledger);
}

/* One of the indexes of a table that is open. */
static Relation
open_index(LedgerRel *ledger, int i)
{
	Oid			oid = tables[ledger->id].indexes[i].oid;

	/* an index that is being built concurrently can change their order */
	if (ledger->indexes[i] != NULL && RelationGetRelid(ledger->indexes[i]) != oid)
		close_index(ledger, i);
	if (ledger->indexes[i] == NULL)
	{
		ledger->indexes[i] = ledger->writes ?
			RelationIdGetRelation(oid) : index_open(oid, AccessShareLock);
		if (!RelationIsValid(ledger->indexes[i]))
			elog(ERROR, "could not open index %u", oid);
	}
	return ledger->indexes[i];
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

/* Number of an index by its name; NULL: that of the primary key. */
static int
find_index(LedgerRel *ledger, const char *name)
{
	TableInfo  *info = &tables[ledger->id];
	int			i;

	for (i = 0; i < info->nindexes; i++)
		if (name == NULL ? info->indexes[i].is_primary :
			strcmp(name, info->indexes[i].name) == 0)
			break;
	if (i == info->nindexes)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index %s of \"credit.%s\" is missing",
						name ? name : "of the primary key", info->name),
				 errhint("Recreate it; the extension cannot work without it.")));
	return i;
}

/* An index by its name, open as long as the table; NULL: the primary key. */
Relation
ledger_index(LedgerRel *ledger, const char *name)
{
	return open_index(ledger, find_index(ledger, name));
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
	int			i = find_index(ledger, index);

	scan->ledger = ledger;
	if (snapshot == NULL)
	{
		InitDirtySnapshot(scan->dirty);
		snapshot = &scan->dirty;
	}
	scan->scan = systable_beginscan_ordered(ledger->rel, open_index(ledger, i),
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

/* The row version at a place, if it is alive; its page is locked. */
static bool
version_at(LedgerRel *ledger, LedgerFetch *fetch)
{
	Page		page = BufferGetPage(fetch->buffer);
	OffsetNumber offset = ItemPointerGetOffsetNumber(&fetch->tuple.t_self);
	ItemId		item;

	if (offset < FirstOffsetNumber || offset > PageGetMaxOffsetNumber(page))
		return false;
	item = PageGetItemId(page, offset);
	if (!ItemIdIsNormal(item))
		return false;
	fetch->tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
	fetch->tuple.t_len = ItemIdGetLength(item);
	fetch->tuple.t_tableOid = RelationGetRelid(ledger->rel);
	return HeapTupleSatisfiesVisibility(&fetch->tuple, &fetch->dirty, fetch->buffer);
}

/*
 * Fetches a row by its place, dirty; false: it is dead, or there is none.
 * is_entry: the place is that of an index entry, from which a row that was
 * updated in its page is found; else only the version at this very place
 * counts.  Whether it is the row the caller means, its values have to say:
 * places are used anew.
 */
bool
ledger_fetch(LedgerRel *ledger, ItemPointer tid, bool is_entry, LedgerFetch *fetch)
{
	BlockNumber block = ItemPointerGetBlockNumber(tid);
	bool		found;

	InitDirtySnapshot(fetch->dirty);
	fetch->tuple.t_self = *tid;
	fetch->buffer = is_entry ? page_read(ledger->rel, block) :
		page_read_if_there(ledger->rel, block);
	if (!BufferIsValid(fetch->buffer))
		return false;
	LockBuffer(fetch->buffer, BUFFER_LOCK_SHARE);
	found = is_entry ?
		heap_hot_search_buffer(&fetch->tuple.t_self, ledger->rel,
							   fetch->buffer, &fetch->dirty,
							   &fetch->tuple, NULL, true) :
		version_at(ledger, fetch);
	LockBuffer(fetch->buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
		ReleaseBuffer(fetch->buffer);
	return found;
}

void
ledger_release(LedgerFetch *fetch)
{
	ReleaseBuffer(fetch->buffer);
}

/* Values by column of ours; a column that is not there reads as NULL. */
void
ledger_deform(LedgerRel *ledger, HeapTuple tuple, Datum *values, bool *nulls)
{
	TableInfo  *info = &tables[ledger->id];
	TupleDesc	desc = RelationGetDescr(ledger->rel);
	Datum		raw[LEDGER_MAX_ATTS];
	bool		raw_nulls[LEDGER_MAX_ATTS];

	heap_deform_tuple(tuple, desc, raw, raw_nulls);
	for (int i = 0; i < info->ncolumns; i++)
	{
		AttrNumber	att = info->att[i];

		nulls[i] = att <= 0 || raw_nulls[att - 1];
		values[i] = nulls[i] ? (Datum) 0 : raw[att - 1];
	}
}

/*
 * Columns of a later version keep what they have, and in new rows get the
 * value that rows from before they were added have.
 */
static void
fill_unknown(LedgerRel *ledger, HeapTuple old, Datum *raw, bool *raw_nulls)
{
	TableInfo  *info = &tables[ledger->id];
	TupleDesc	desc = RelationGetDescr(ledger->rel);

	for (int i = 0; i < info->nunknown; i++)
	{
		AttrNumber	att = info->unknown[i];

		raw[att - 1] = old != NULL ?
			heap_getattr(old, att, desc, &raw_nulls[att - 1]) :
			getmissingattr(desc, att, &raw_nulls[att - 1]);
	}
}

/*
 * Values by column of the table from values by column of ours.  old: the
 * version that is replaced, if any.
 */
static void
spread_values(LedgerRel *ledger, HeapTuple old, const Datum *values,
			  const bool *nulls, Datum *raw, bool *raw_nulls)
{
	TableInfo  *info = &tables[ledger->id];
	int			natts = RelationGetNumberOfAttributes(ledger->rel);

	memset(raw_nulls, true, sizeof(bool) * natts);
	for (int i = 0; i < info->ncolumns; i++)
	{
		AttrNumber	att = info->att[i];

		if (att > 0 && !nulls[i])
		{
			raw[att - 1] = values[i];
			raw_nulls[att - 1] = false;
		}
	}
	if (info->nunknown > 0)
		fill_unknown(ledger, old, raw, raw_nulls);
}

/*
 * Makes the entry of a new tuple in one index.  With unsure, a key that is
 * perhaps taken is no error: the answer is false then.
 */
static bool
insert_index_entry(LedgerRel *ledger, int i, ItemPointer tid, const Datum *raw,
				   const bool *raw_nulls, bool unsure)
{
	IndexFacts *facts = &tables[ledger->id].indexes[i];
	Relation	index;
	Datum		keys[INDEX_MAX_KEYS];
	bool		key_nulls[INDEX_MAX_KEYS];

	if (!facts->is_ready || !satisfies_predicate(facts, raw, raw_nulls))
		return true;
	for (int k = 0; k < facts->nkeys; k++)
	{
		key_nulls[k] = raw_nulls[facts->keys[k] - 1];
		keys[k] = key_nulls[k] ? (Datum) 0 : raw[facts->keys[k] - 1];
	}
	index = open_index(ledger, i);
	/* btree has no use for an IndexInfo */
	return index_insert(index, keys, key_nulls, tid, ledger->rel,
						!facts->is_unique ? UNIQUE_CHECK_NO :
						unsure ? UNIQUE_CHECK_PARTIAL : UNIQUE_CHECK_YES,
						false, NULL) || !facts->is_unique;
}

/* A row to be, and what its indexes need of it. */
typedef struct NewTuple
{
	HeapTuple	tuple;
	Datum		raw[LEDGER_MAX_ATTS];
	bool		nulls[LEDGER_MAX_ATTS];
} NewTuple;

static void
form_tuple(LedgerRel *ledger, Datum *values, bool *nulls, NewTuple *new)
{
	spread_values(ledger, NULL, values, nulls, new->raw, new->nulls);
	new->tuple = heap_form_tuple(RelationGetDescr(ledger->rel), new->raw, new->nulls);
}

/*
 * Makes the entries of a new tuple in all indexes.  unsure: its key is perhaps
 * taken, which is no error then; false: it may be.
 */
static bool
insert_index_entries(LedgerRel *ledger, ItemPointer tid, const Datum *raw,
					 const bool *raw_nulls, bool unsure)
{
	for (int i = 0; i < tables[ledger->id].nindexes; i++)
		if (!insert_index_entry(ledger, i, tid, raw, raw_nulls, unsure))
			return false;
	return true;
}

void
ledger_insert(LedgerRel *ledger, Datum *values, bool *nulls)
{
	NewTuple	new;

	form_tuple(ledger, values, nulls, &new);
	simple_heap_insert(ledger->rel, new.tuple);
	(void) insert_index_entries(ledger, &new.tuple->t_self, new.raw, new.nulls, false);
	heap_freetuple(new.tuple);
}

/*
 * Inserts a row whose primary key is perhaps there already, even if of a
 * transaction that is under way; false: it is, and nothing was inserted.
 *
 * What is left of a row that was inserted in vain is dead to us, but to others
 * a row of ours until our transaction ends, which is in their way as they are
 * in ours: see ledger_insert_lightly.
 */
bool
ledger_insert_new(LedgerRel *ledger, Datum *values, bool *nulls)
{
	NewTuple	new;
	bool		is_new;

	form_tuple(ledger, values, nulls, &new);
	simple_heap_insert(ledger->rel, new.tuple);
	is_new = insert_index_entries(ledger, &new.tuple->t_self, new.raw, new.nulls, true);
	if (!is_new)
	{
		CommandCounterIncrement();	/* or it could not be seen */
		simple_heap_delete(ledger->rel, &new.tuple->t_self);
		/* or who looks for the other row would go on finding this one */
		CommandCounterIncrement();
	}
	heap_freetuple(new.tuple);
	return is_new;
}

/*
 * The same, for rows that many want to make in the same moment: as INSERT ON
 * CONFLICT does it, at the price of a lock and a second look at the page.  One
 * that was inserted in vain is dead to everybody at once.
 */
bool
ledger_insert_lightly(LedgerRel *ledger, Datum *values, bool *nulls)
{
	TransactionId xid = GetCurrentTransactionId();
	NewTuple	new;
	bool		is_new;

	form_tuple(ledger, values, nulls, &new);
	HeapTupleHeaderSetSpeculativeToken(new.tuple->t_data,
									   SpeculativeInsertionLockAcquire(xid));
	heap_insert(ledger->rel, new.tuple, GetCurrentCommandId(true),
				HEAP_INSERT_SPECULATIVE, NULL);
	is_new = insert_index_entries(ledger, &new.tuple->t_self, new.raw, new.nulls, true);
	if (is_new)
		heap_finish_speculative(ledger->rel, &new.tuple->t_self);
	else
		heap_abort_speculative(ledger->rel, &new.tuple->t_self);
	SpeculativeInsertionLockRelease(xid);
	heap_freetuple(new.tuple);
	return is_new;
}

/* Who holds a tuple in a buffer, of those under way; invalid: nobody now. */
static TransactionId
tuple_holder(HeapTupleHeader tuple, Buffer buffer)
{
	TransactionId xmax;
	bool		is_multi;
	MultiXactMember *members;
	int			n;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	xmax = HeapTupleHeaderGetRawXmax(tuple);
	is_multi = (tuple->t_infomask & HEAP_XMAX_IS_MULTI) != 0;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (!is_multi)
		return xmax;
	n = GetMultiXactIdMembers(xmax, &members, false, false);
	xmax = InvalidTransactionId;
	for (int i = 0; i < n; i++)
		if (TransactionIdIsInProgress(members[i].xid) &&
			!TransactionIdIsCurrentTransactionId(members[i].xid))
			xmax = members[i].xid;
	return xmax;
}

/*
 * Locks a row version against other writers until the end of the transaction,
 * without waiting.  False: it is not the latest, or somebody has it, whose
 * transaction is *holder then.
 */
bool
ledger_lock(LedgerRel *ledger, HeapTuple tuple, TransactionId *holder)
{
	HeapTupleData target;
	Buffer		buffer;
	TM_FailureData failure;
	TM_Result	result;

	*holder = InvalidTransactionId;
	target.t_self = tuple->t_self;
	target.t_tableOid = RelationGetRelid(ledger->rel);
	result = heap_lock_tuple(ledger->rel, &target, GetCurrentCommandId(true),
							 LockTupleNoKeyExclusive, LockWaitSkip, false,
							 &buffer, &failure);
	if (result == TM_WouldBlock || result == TM_BeingModified)
		*holder = tuple_holder(target.t_data, buffer);
	ReleaseBuffer(buffer);
	return result == TM_Ok;
}

static int
compare_places(const void *a, const void *b)
{
	const RowPlace *x = a;
	const RowPlace *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->number - y->number;
}

/*
 * Makes the entries of many tuples in one index, in its own order where that
 * is easily had: neighbours then meet the same pages.
 */
static void
insert_many_entries(LedgerRel *ledger, int i, NewRow *rows, int n, bool unsure)
{
	AttrNumber	first = tables[ledger->id].indexes[i].keys[0];
	bool		sorts = first > 0 && !tables[ledger->id].indexes[i].is_primary &&
		TupleDescAttr(RelationGetDescr(ledger->rel), first - 1)->atttypid == INT8OID;
	RowPlace   *places = palloc(sizeof(RowPlace) * n);

	for (int r = 0; r < n; r++)
	{
		places[r].number = r;
		places[r].order = sorts && !rows[r].nulls[first - 1] ?
			DatumGetInt64(rows[r].raw[first - 1]) : 0;
	}
	if (sorts)
		qsort(places, n, sizeof(RowPlace), compare_places);
	for (int r = 0; r < n; r++)
	{
		NewRow	   *row = &rows[places[r].number];

		if (!insert_index_entry(ledger, i, &row->tid, row->raw, row->nulls, unsure))
			row->is_taken = true;
	}
	pfree(places);
}

/* Puts new rows into the table, a page at a time, and notes their places. */
static void
insert_many_tuples(LedgerRel *ledger, TupleTableSlot **slots, NewRow *rows, int n)
{
	TupleDesc	desc = RelationGetDescr(ledger->rel);

	for (int r = 0; r < n; r++)
		ExecStoreHeapTuple(heap_form_tuple(desc, rows[r].raw, rows[r].nulls),
						   slots[r], true);
	heap_multi_insert(ledger->rel, slots, n, GetCurrentCommandId(true), 0, NULL);
	for (int r = 0; r < n; r++)
	{
		rows[r].tid = slots[r]->tts_tid;
		ExecClearTuple(slots[r]);
	}
}

static TupleTableSlot **
make_slots(LedgerRel *ledger, int n)
{
	TupleTableSlot **slots = palloc(sizeof(TupleTableSlot *) * n);

	/* a copy is not counted: each slot would be entered as its user */
	TupleDesc	desc = CreateTupleDescCopy(RelationGetDescr(ledger->rel));

	for (int i = 0; i < n; i++)
		slots[i] = MakeSingleTupleTableSlot(desc, &TTSOpsHeapTuple);
	return slots;
}

/* Takes back rows whose key was perhaps taken already; says which. */
static void
take_back(LedgerRel *ledger, const NewRow *rows, int n, bool *is_taken)
{
	bool		any = false;

	for (int r = 0; r < n; r++)
	{
		is_taken[r] = rows[r].is_taken;
		any |= rows[r].is_taken;
	}
	if (!any)
		return;
	CommandCounterIncrement();	/* or they could not be seen */
	for (int r = 0; r < n; r++)
		if (rows[r].is_taken)
			simple_heap_delete(ledger->rel, (ItemPointer) &rows[r].tid);
	CommandCounterIncrement();	/* as in ledger_insert_new */
}

/*
 * Inserts many rows, which are in the order of the primary key.  With is_taken
 * their keys need not be new: a row whose key is perhaps there already is not
 * inserted, and marked.
 */
void
ledger_insert_many(LedgerRel *ledger, Datum **values, bool **nulls, int n,
				   bool *is_taken)
{
	int			natts = RelationGetNumberOfAttributes(ledger->rel);
	NewRow	   *rows = palloc(sizeof(NewRow) * Min(n, MANY_ROWS));
	Datum	   *raw = palloc(sizeof(Datum) * natts * Min(n, MANY_ROWS));
	bool	   *raw_nulls = palloc(sizeof(bool) * natts * Min(n, MANY_ROWS));
	TupleTableSlot **slots = make_slots(ledger, Min(n, MANY_ROWS));

	for (int start = 0; start < n; start += MANY_ROWS)
	{
		int			count = Min(n - start, MANY_ROWS);

		for (int r = 0; r < count; r++)
		{
			rows[r].is_taken = false;
			rows[r].raw = &raw[r * natts];
			rows[r].nulls = &raw_nulls[r * natts];
			spread_values(ledger, NULL, values[start + r], nulls[start + r],
						  rows[r].raw, rows[r].nulls);
		}
		insert_many_tuples(ledger, slots, rows, count);
		for (int i = 0; i < tables[ledger->id].nindexes; i++)
			insert_many_entries(ledger, i, rows, count, is_taken != NULL);
		if (is_taken != NULL)
			take_back(ledger, rows, count, &is_taken[start]);
		CHECK_FOR_INTERRUPTS();
	}
	/* memory goes with the portion of the statement */
}

/*
 * Replaces a row version; false: it is not the latest any more, and nothing
 * was written.
 */
bool
ledger_update(LedgerRel *ledger, HeapTuple old, Datum *values, bool *nulls)
{
	Datum		raw[LEDGER_MAX_ATTS];
	bool		raw_nulls[LEDGER_MAX_ATTS];
	ItemPointerData tid = old->t_self;
	HeapTuple	tuple;
	TM_FailureData failure;
	TM_Result	result;

	spread_values(ledger, old, values, nulls, raw, raw_nulls);
	tuple = heap_form_tuple(RelationGetDescr(ledger->rel), raw, raw_nulls);
	credit_heap_update(ledger->rel, &tid, tuple, &failure, &result);
	if (result == TM_SelfModified || result == TM_Invisible)
		elog(ERROR, "row of \"%s\" was already changed by this command",
			 RelationGetRelationName(ledger->rel));
	if (result == TM_Ok && !HeapTupleIsHeapOnly(tuple))
		(void) insert_index_entries(ledger, &tuple->t_self, raw, raw_nulls, false);
	heap_freetuple(tuple);
	return result == TM_Ok;
}

/* The caller knows that nobody else is changing the row. */
void
ledger_must_update(LedgerRel *ledger, HeapTuple old, Datum *values, bool *nulls)
{
	if (!ledger_update(ledger, old, values, nulls))
		elog(ERROR, "row of \"%s\" was changed under a lock of ours",
			 RelationGetRelationName(ledger->rel));
}

/* The same as ledger_update for the end of a row. */
bool
ledger_delete(LedgerRel *ledger, HeapTuple old)
{
	ItemPointerData tid = old->t_self;
	TM_FailureData failure;
	TM_Result	result;

	result = heap_delete(ledger->rel, &tid, GetCurrentCommandId(true),
						 InvalidSnapshot, true, &failure, false);
	if (result == TM_SelfModified || result == TM_Invisible)
		elog(ERROR, "row of \"%s\" was already changed by this command",
			 RelationGetRelationName(ledger->rel));
	return result == TM_Ok;
}

/* Next value of an identity column, whatever the rights of the user. */
int64
ledger_next_id(LedgerRel *ledger, int column)
{
	Oid			seqoid;

	seqoid = credit_identity_sequence(ledger->rel, tables[ledger->id].att[column]);
	return nextval_internal(seqoid, false);
}

bool
ledger_tuple_is_own(HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

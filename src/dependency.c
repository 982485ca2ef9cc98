/*
 * dependency.c
 *	  Statements on the tables that a view is made of.
 *
 * The triggers of a table that a source depends on are those of an attached
 * table (capture.c).  Old and new rows of a statement are collected; when it
 * ends, the key query of each dependency says which documents they belong to,
 * these are locked, read through the view, and handed on as changes, as if
 * they had been rows of an attached table.
 *
 * Right at every isolation level, for two writers of one document (two lines
 * of an invoice, which have no row of the ERP in common):
 *
 * A document's item is locked until the end of the transaction before the view
 * is read, and it is read with a snapshot that is taken under the lock.  So of
 * two writers the second one waits, and reads what the first one committed
 * beside what it has written itself.  In REPEATABLE READ and SERIALIZABLE too:
 * the snapshot of the transaction would not see the other's line, and neither
 * would ever be in a sum again.  The figure of the ledger is then newer than
 * the transaction's own SELECT, as with every check.  In SERIALIZABLE reading
 * the view is a read like any other, and can end in a serialization failure.
 * A document without an item gets a row that holds its key, and keeps it.
 *
 * Which documents are touched can depend on rows of others as well (a line
 * finds its document through its header, whose number somebody is just
 * changing).  Whoever touches a document leaves a new version of its item, so
 * if an item, once locked, has a version that the key query could not see yet,
 * the query is asked again and what it finds more is locked.
 *
 * A row that several documents share does not lead to those of others that are
 * not committed; rowversion.c says what then.  Items are locked before versions
 * of rows, by whoever writes a row as by whoever reads it.
 *
 * Rows that are deleted in cascade find no header any more; then the header's
 * own dependency names the document.  Hence the rule for whoever declares: all
 * tables on the way from a row to its document.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "credit.h"
#include "dependency.h"
#include "item.h"
#include "ledger.h"
#include "progress.h"
#include "rowversion.h"
#include "viewsource.h"

/* Documents that are read and applied at a time. */
#define PORTION 2000

/* Rows are turned into keys when they take this share of work_mem. */
#define MIN_ROWS 1000
#define ROW_SHARE 4

#define ACCOUNT_NAME_INDEX "account_customer_segment_key"

/* A table that is declared, seen from one that is written to. */
typedef struct Target
{
	Oid			relid;
	TupleConversionMap *map;	/* from the layout of a partition, or NULL */
} Target;

/* All targets of one table or partition. */
typedef struct TargetCache
{
	Oid			relid;			/* hash key, must be first */
	bool		valid;
	uint64		generation;		/* of the list they were looked up in */
	MemoryContext cxt;
	List	   *targets;
} TargetCache;

/* A row that a statement has changed, and who captured it. */
typedef struct ChangedRow
{
	HeapTuple	tuple;
	SubTransactionId subid;
	bool		is_old;			/* the version that is no more */
	Bitmapset  *columns;		/* of an UPDATE, which have changed; NULL: all */
} ChangedRow;

typedef struct ChangedTable
{
	Oid			relid;
	ChangedRow *rows;
	int			n;
	int			allocated;
} ChangedTable;

/* Documents of one source that a statement touches. */
typedef struct KeySet
{
	int32		source_id;
	CreditKind	kind;
	HTAB	   *index;
	char	  **keys;
	int			n;
	int			allocated;
	int			nlocked;		/* of the first ones */
} KeySet;

struct Touched
{
	MemoryContext cxt;
	MemoryContext row_cxt;		/* of the rows, until their keys are known */
	List	   *tables;			/* of ChangedTable */
	List	   *sets;			/* of KeySet */
	bool		is_unchecked;
};

static HTAB *caches = NULL;

PG_FUNCTION_INFO_V1(credit_reevaluate);
PG_FUNCTION_INFO_V1(credit_invalidate_dependency);

/* Only marks. */
void
credit_dependency_invalidate(Oid relid)
{
	HASH_SEQ_STATUS status;
	TargetCache *cache;

	if (caches == NULL)
		return;
	hash_seq_init(&status, caches);
	while ((cache = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || relid == cache->relid)
			cache->valid = false;
}

void
credit_dependency_init(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(TargetCache);
	caches = hash_create("credit dependencies", 32, &ctl, HASH_ELEM | HASH_BLOBS);
}

/* Adds a declared table to what a table or partition belongs to. */
static void
add_target(TargetCache *cache, Relation rel, Oid relid)
{
	Target	   *target;
	ListCell   *lc;

	foreach(lc, cache->targets)
		if (((Target *) lfirst(lc))->relid == relid)
			return;
	target = palloc0(sizeof(Target));
	target->relid = relid;
	if (relid != RelationGetRelid(rel))
	{
		Relation	whole = table_open(relid, AccessShareLock);

		target->map = convert_tuples_by_name
			(CreateTupleDescCopy(RelationGetDescr(rel)),
			 CreateTupleDescCopy(RelationGetDescr(whole)));
		table_close(whole, NoLock);
	}
	cache->targets = lappend(cache->targets, target);
}

static void
fill_cache(TargetCache *cache, Relation rel, const List *relids, const ViewList *list)
{
	MemoryContext old;

	if (cache->cxt != NULL)
		MemoryContextDelete(cache->cxt);
	cache->targets = NIL;
	cache->cxt = AllocSetContextCreate(CacheMemoryContext, "credit dependency",
									   ALLOCSET_SMALL_SIZES);
	cache->generation = list->generation;
	cache->valid = true;
	old = MemoryContextSwitchTo(cache->cxt);
	for (int i = 0; i < list->n; i++)
		if (list_member_oid(relids, list->dependencies[i].relid))
			add_target(cache, rel, list->dependencies[i].relid);
	MemoryContextSwitchTo(old);
}

/*
 * The declared tables that rows of a table or partition belong to; NIL: none.
 * Good until the next call.  relids: the table and its ancestors.
 */
List *
dependency_targets(Relation rel, const List *relids)
{
	static TargetCache *latest = NULL;
	const ViewList *list = view_list();
	Oid			relid = RelationGetRelid(rel);
	bool		found = true;

	if (list->n == 0)
		return NIL;
	if (latest == NULL || latest->relid != relid)
	{
		latest = hash_search(caches, &relid, HASH_ENTER, &found);
		if (!found)
			memset((char *) latest + sizeof(Oid), 0, sizeof(TargetCache) - sizeof(Oid));
	}
	if (!latest->valid || latest->generation != list->generation)
		fill_cache(latest, rel, relids, list);
	return latest->targets;
}

/* Does an UPDATE change anything at all? */
bool
dependency_row_changed(TupleTableSlot *old, TupleTableSlot *new)
{
	TupleDesc	desc = old->tts_tupleDescriptor;

	slot_getallattrs(old);
	slot_getallattrs(new);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (old->tts_isnull[i] != new->tts_isnull[i])
			return true;
		if (!old->tts_isnull[i] && !att->attisdropped &&
			!datum_image_eq(old->tts_values[i], new->tts_values[i],
							att->attbyval, att->attlen))
			return true;
	}
	return false;
}

static struct Touched *
touched_of(Frame *frame)
{
	MemoryContext cxt;

	if (frame->touched != NULL)
		return frame->touched;
	cxt = AllocSetContextCreate(TopTransactionContext, "credit touched",
								ALLOCSET_SMALL_SIZES);
	frame->touched = MemoryContextAllocZero(cxt, sizeof(struct Touched));
	frame->touched->cxt = cxt;
	frame->touched->row_cxt = AllocSetContextCreate(cxt, "credit changed rows",
													ALLOCSET_DEFAULT_SIZES);
	return frame->touched;
}

void
dependency_free(Frame *frame)
{
	if (frame->touched != NULL)
		MemoryContextDelete(frame->touched->cxt);
	frame->touched = NULL;
}

static ChangedTable *
changed_table(struct Touched *touched, Oid relid)
{
	ListCell   *lc;
	ChangedTable *table;
	MemoryContext old;

	foreach(lc, touched->tables)
	{
		table = lfirst(lc);
		if (table->relid == relid)
			return table;
	}
	old = MemoryContextSwitchTo(touched->cxt);
	table = palloc0(sizeof(ChangedTable));
	table->relid = relid;
	touched->tables = lappend(touched->tables, table);
	MemoryContextSwitchTo(old);
	return table;
}

/* The columns that an UPDATE has changed. */
static Bitmapset *
changed_columns(TupleTableSlot *old, TupleTableSlot *new)
{
	TupleDesc	desc = old->tts_tupleDescriptor;
	Bitmapset  *columns = NULL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped &&
			(old->tts_isnull[i] != new->tts_isnull[i] ||
			 (!old->tts_isnull[i] &&
			  !datum_image_eq(old->tts_values[i], new->tts_values[i],
							  att->attbyval, att->attlen))))
			columns = bms_add_member(columns, i + 1);
	}
	return columns;
}

/* Keeps a version of a row, in the layout of the table that is declared. */
static void
keep_row(ChangedTable *table, const Target *target, TupleTableSlot *slot,
		 bool is_old, Bitmapset *columns)
{
	HeapTuple	tuple = ExecCopySlotHeapTuple(slot);
	ChangedRow *row;

	if (target->map != NULL)
	{
		HeapTuple	converted = execute_attr_map_tuple(tuple, target->map);

		converted->t_self = tuple->t_self;
		converted->t_tableOid = tuple->t_tableOid;
		HeapTupleHeaderSetXmin(converted->t_data,
							   HeapTupleHeaderGetRawXmin(tuple->t_data));
		heap_freetuple(tuple);
		tuple = converted;
	}
	if (table->rows == NULL)
	{
		table->allocated = 4;
		table->rows = palloc(sizeof(ChangedRow) * table->allocated);
	}
	else if (table->n == table->allocated)
	{
		table->allocated *= 2;
		table->rows = repalloc_huge(table->rows,
									sizeof(ChangedRow) * table->allocated);
	}
	row = &table->rows[table->n++];
	row->tuple = tuple;
	row->subid = GetCurrentSubTransactionId();
	row->is_old = is_old;
	row->columns = columns;
}

/* Does any document depend on these columns of a declared table? */
static bool
is_read(Oid relid, const Bitmapset *columns)
{
	const ViewList *list = view_list();

	for (int i = 0; i < list->n; i++)
		if (list->dependencies[i].relid == relid &&
			view_reads(&list->dependencies[i], columns))
			return true;
	return false;
}

/* Is this version of a row of this transaction's making? */
static bool
is_own_version(TupleTableSlot *slot)
{
	bool		isnull;

	return TransactionIdIsCurrentTransactionId
		(DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber,
											   &isnull)));
}

/*
 * An UPDATE replaces the version that others know, whatever it changes; the
 * next one of this row may be one that matters (rowversion.c).
 */
void
dependency_follow(List *targets, TupleTableSlot *old, TupleTableSlot *new)
{
	const ViewList *list = view_list();
	RowVersion	replaced = {old->tts_tableOid, old->tts_tid};
	RowVersion	version = {new->tts_tableOid, new->tts_tid};
	ListCell   *lc;

	if (!ItemPointerIsValid(&old->tts_tid) || !ItemPointerIsValid(&new->tts_tid))
		return;
	foreach(lc, targets)
	{
		Oid			relid = ((Target *) lfirst(lc))->relid;

		for (int i = 0; i < list->n; i++)
		{
			if (list->dependencies[i].relid != relid ||
				!view_shares(list->dependencies[i].view, relid))
				continue;
			rowversion_follow(&replaced, is_own_version(old), &version);
			return;
		}
	}
}

/*
 * Keeps the old and the new version of a row until the statement ends; one of
 * them may be NULL.
 */
void
dependency_collect(Frame *frame, List *targets, TupleTableSlot *old,
				   TupleTableSlot *new)
{
	Bitmapset  *changed = old != NULL && new != NULL ? changed_columns(old, new) : NULL;
	ListCell   *lc;

	foreach(lc, targets)
	{
		Target	   *target = lfirst(lc);
		/* a partition may number its columns differently */
		Bitmapset  *columns = target->map == NULL ? changed : NULL;
		ChangedTable *table;
		MemoryContext caller;

		if (!is_read(target->relid, columns))
			continue;
		table = changed_table(touched_of(frame), target->relid);
		caller = MemoryContextSwitchTo(frame->touched->row_cxt);
		columns = bms_copy(columns);
		if (old != NULL)
			keep_row(table, target, old, true, columns);
		if (new != NULL)
			keep_row(table, target, new, false, columns);
		MemoryContextSwitchTo(caller);
	}
}

/* A subtransaction has ended: its rows are gone, or its parent's. */
void
dependency_settle(Frame *frame, SubTransactionId subid, SubTransactionId parent)
{
	ListCell   *lc;

	if (frame->touched == NULL)
		return;
	foreach(lc, frame->touched->tables)
	{
		ChangedTable *table = lfirst(lc);

		for (int i = table->n - 1; i >= 0 && table->rows[i].subid == subid; i--)
		{
			if (parent == InvalidSubTransactionId)
				table->n = i;
			else
				table->rows[i].subid = parent;
		}
	}
}

/* Keys of a hash table of strings, which live elsewhere. */
static uint32
key_hash(const void *key, Size size)
{
	const char *text = *(const char *const *) key;

	return string_hash(text, strlen(text) + 1);
}

static int
key_match(const void *a, const void *b, Size size)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static KeySet *
key_set(struct Touched *touched, const CreditSource *source)
{
	ListCell   *lc;
	KeySet	   *set;
	HASHCTL		ctl;
	MemoryContext old;

	foreach(lc, touched->sets)
	{
		set = lfirst(lc);
		if (set->source_id == source->source_id)
			return set;
	}
	old = MemoryContextSwitchTo(touched->cxt);
	set = palloc0(sizeof(KeySet));
	set->source_id = source->source_id;
	set->kind = source->kind;
	set->allocated = 8;
	set->keys = palloc(sizeof(char *) * set->allocated);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(char *);
	ctl.hash = key_hash;
	ctl.match = key_match;
	ctl.hcxt = touched->cxt;
	set->index = hash_create("credit touched keys", 32, &ctl,
							 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	touched->sets = lappend(touched->sets, set);
	MemoryContextSwitchTo(old);
	return set;
}

static void
add_key(struct Touched *touched, KeySet *set, const char *key)
{
	bool		found;
	char	  **entry;
	char	   *copy;

	if (hash_search(set->index, &key, HASH_FIND, NULL) != NULL)
		return;
	copy = MemoryContextStrdup(touched->cxt, key);
	entry = hash_search(set->index, &copy, HASH_ENTER, &found);
	*entry = copy;
	if (set->n == set->allocated)
	{
		set->allocated *= 2;
		set->keys = repalloc_huge(set->keys, sizeof(char *) * set->allocated);
	}
	set->keys[set->n++] = copy;
}

/*
 * The rows of a table that matter to a dependency, as a relation that queries
 * can read.
 */
static Tuplestorestate *
rows_as_relation(const ChangedTable *table, Dependency *dependency)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);

	for (int i = 0; i < table->n; i++)
		if (view_reads(dependency, table->rows[i].columns))
			tuplestore_puttuple(store, table->rows[i].tuple);
	return store;
}

/* Takes the keys from a column of the rows themselves. */
static void
read_key_column(const ChangedTable *table, Dependency *dependency, TupleDesc desc,
				AttrNumber attno, struct Touched *touched, KeySet *set)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(TupleDescAttr(desc, attno - 1)->atttypid, &output, &is_varlena);
	for (int i = 0; i < table->n; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(table->rows[i].tuple, attno, desc, &isnull);

		if (!isnull && view_reads(dependency, table->rows[i].columns))
			add_key(touched, set, OidOutputFunctionCall(output, value));
	}
}

/* Asks one dependency which documents the rows of its table belong to. */
static void
ask_dependency(struct Touched *touched, ChangedTable *table, Dependency *dependency,
			   TupleDesc desc, Snapshot snapshot)
{
	KeySet	   *set;
	AttrNumber	attno;
	Tuplestorestate *store;
	List	   *keys;
	ListCell   *lc;
	int			n = 0;

	while (n < table->n && !view_reads(dependency, table->rows[n].columns))
		n++;
	if (n == table->n)
		return;
	set = key_set(touched, &dependency->view->source);
	attno = view_key_column(dependency, desc);
	if (attno > 0)
	{
		read_key_column(table, dependency, desc, attno, touched, set);
		return;
	}
	store = rows_as_relation(table, dependency);
	(void) view_changed_keys(dependency, store, snapshot, &keys);
	foreach(lc, keys)
		add_key(touched, set, lfirst(lc));
	tuplestore_end(store);
}

/* Asks every dependency which documents the rows at hand belong to. */
static void
collect_keys(struct Touched *touched, Snapshot snapshot)
{
	const ViewList *list = view_list();
	ListCell   *lc;

	foreach(lc, touched->tables)
	{
		ChangedTable *table = lfirst(lc);
		Relation	rel;

		if (table->n == 0)
			continue;
		rel = RelationIdGetRelation(table->relid);
		if (!RelationIsValid(rel))
			continue;			/* dropped meanwhile */
		for (int i = 0; i < list->n; i++)
			if (list->dependencies[i].relid == table->relid)
				ask_dependency(touched, table, &list->dependencies[i],
							   RelationGetDescr(rel), snapshot);
		RelationClose(rel);
	}
}

/* The version of a row that others may have read documents from, if there is one. */
static bool
shared_version(const ChangedRow *row, Dependency *dependency, RowVersion *version)
{
	if (!row->is_old || !ItemPointerIsValid(&row->tuple->t_self) ||
		!view_reads(dependency, row->columns))
		return false;
	version->relid = row->tuple->t_tableOid;
	version->tid = row->tuple->t_self;
	return !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->tuple->t_data)) ||
		rowversion_origin(version);
}

/* How many transactions have ended, of those that wrote, up to now? */
static uint64
ended_so_far(void)
{
	return GetLatestSnapshot()->snapXactCompletionCount;
}

/*
 * Locks the versions of shared rows that a statement has replaced.  True:
 * documents may have come since that were read from them.
 */
static bool
lock_replaced(struct Touched *touched, uint64 ended)
{
	const ViewList *list = view_list();
	ListCell   *lc;
	bool		is_new = false;

	foreach(lc, touched->tables)
	{
		ChangedTable *table = lfirst(lc);
		RowVersion *versions = NULL;
		int			n = 0;

		for (int i = 0; i < list->n && table->n > 0; i++)
		{
			Dependency *dependency = &list->dependencies[i];

			if (dependency->relid != table->relid ||
				!view_shares(dependency->view, table->relid))
				continue;
			if (versions == NULL)
				versions = MemoryContextAllocHuge(CurrentMemoryContext,
												  sizeof(RowVersion) * table->n * list->n);
			for (int r = 0; r < table->n; r++)
				if (shared_version(&table->rows[r], dependency, &versions[n]))
					n++;
		}
		if (n > 0 && rowversion_lock(versions, &n, true))
			is_new = true;
	}
	return is_new && ended_so_far() != ended;
}

/*
 * Locks the item of a document until the end of the transaction.  True: it has
 * a version that a snapshot does not see.
 */
static bool
lock_key(LedgerRel *items, const CreditSource *source, const char *key, Snapshot snapshot)
{
	CreditItem	item;
	TransactionId xmin;

	for (;;)
	{
		item_lock(items, source->source_id, key, &item);
		if (item.is_row)
			break;
		if (item_hold_key(items, source->source_id, key))
			return false;
	}
	xmin = HeapTupleHeaderGetXmin(item.tuple->t_data);
	/* of customers nobody else writes an item */
	if (source->kind == KIND_CUSTOMER)
		ledger_update(items, item.tuple, item.values, item.nulls);
	return !TransactionIdIsCurrentTransactionId(xmin) &&
		XidInMVCCSnapshot(xmin, snapshot);
}

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * A statement that changes an invoice alone locks the order it names after it
 * (family.c); so those that name come before those that are named, or a
 * statement that changes both would meet it the other way round.
 */
static int
compare_sets(const ListCell *a, const ListCell *b)
{
	const KeySet *x = lfirst(a);
	const KeySet *y = lfirst(b);

	return x->kind != y->kind ? (int) y->kind - (int) x->kind :
		x->source_id - y->source_id;
}

/* Locks what is not locked yet, in order; true: there was news. */
static bool
lock_keys(struct Touched *touched, Snapshot snapshot)
{
	LedgerRel  *items = ledger_open(LEDGER_ITEM, RowExclusiveLock);
	bool		is_stale = false;
	ListCell   *lc;

	list_sort(touched->sets, compare_sets);
	foreach(lc, touched->sets)
	{
		KeySet	   *set = lfirst(lc);
		ViewSource *view = view_find(set->source_id);

		qsort(set->keys + set->nlocked, set->n - set->nlocked, sizeof(char *),
			  compare_keys);
		for (; set->nlocked < set->n; set->nlocked++)
		{
			/* who writes a customer of a table meets no item (repair.c) */
			if (view != NULL &&
				(view->source.is_view || view->source.kind != KIND_CUSTOMER) &&
				lock_key(items, &view->source, set->keys[set->nlocked], snapshot))
				is_stale = true;
			CHECK_FOR_INTERRUPTS();
		}
	}
	ledger_close(items);
	CommandCounterIncrement();
	return is_stale;
}

/*
 * Finds out which documents the rows collected so far belong to, and locks
 * them.  The rows have done their duty then.
 */
void
dependency_resolve(Frame *frame)
{
	struct Touched *touched = frame->touched;
	MemoryContext scratch;
	MemoryContext old;
	bool		is_stale;
	ListCell   *lc;

	if (touched == NULL)
		return;
	scratch = AllocSetContextCreate(CurrentMemoryContext, "credit keys",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	do
	{
		Snapshot	snapshot;
		uint64		ended;

		CommandCounterIncrement();	/* what the statement wrote is to be seen */
		ended = ended_so_far();
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		collect_keys(touched, snapshot);
		is_stale = lock_keys(touched, snapshot);
		UnregisterSnapshot(snapshot);
		if (!is_stale)
			is_stale = lock_replaced(touched, ended);
		} while (is_stale);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);

	foreach(lc, touched->tables)
	{
		ChangedTable *table = lfirst(lc);

		table->rows = NULL;
		table->n = 0;
	}
	MemoryContextReset(touched->row_cxt);
	foreach(lc, touched->sets)
	{
		KeySet	   *set = lfirst(lc);
		ViewSource *view = set->n > 0 ? view_find(set->source_id) : NULL;

		if (view != NULL)
			(void) frame_source(frame, &view->source);
	}
}

/* Turns rows into keys early where a statement would take too much memory. */
void
dependency_limit_memory(Frame *frame)
{
	struct Touched *touched = frame->touched;
	int			n = 0;
	ListCell   *lc;

	if (touched == NULL || frame->subid != GetCurrentSubTransactionId())
		return;
	foreach(lc, touched->tables)
		n += ((ChangedTable *) lfirst(lc))->n;
	if (n >= MIN_ROWS && MemoryContextMemAllocated(touched->row_cxt, false) / 1024 >=
		(Size) work_mem / ROW_SHARE)
		dependency_resolve(frame);
}

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

		qsort(set->keys, set->n, sizeof(char *), compare_keys);
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
	KeySet	   *set = key_set(touched, &view->source);
	LedgerRel  *items = ledger_open(LEDGER_ITEM, AccessShareLock);
	ScanKeyData scan_key;
	LedgerScan	scan;
	HeapTuple	tuple;
	ListCell   *lc;

	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(lc, view_all_keys(view))
		add_key(touched, set, lfirst(lc));
	ledger_key(items, &scan_key, ITEM_SOURCE_ID, BTEqualStrategyNumber,
			   F_INT4EQ, Int32GetDatum(view->source.source_id));
	ledger_scan(&scan, items, NULL, GetActiveSnapshot(), &scan_key, 1);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(items, tuple, values, nulls);
		add_key(touched, set, TextDatumGetCString(values[ITEM_KEY]));
		CHECK_FOR_INTERRUPTS();
	}
	ledger_scan_end(&scan);
	PopActiveSnapshot();
	ledger_close(items);
	return set->n;
}

/* Takes some documents of a source for touched; none of them is refused. */
void
dependency_touch(Frame *frame, const CreditSource *source, char **keys, int n)
{
	struct Touched *touched = touched_of(frame);
	KeySet	   *set = key_set(touched, source);

	touched->is_unchecked = true;
	for (int i = 0; i < n; i++)
		add_key(touched, set, keys[i]);
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

/*
 * Trigger on credit.dependency: every backend reads the list anew.  It does
 * nothing else, because it also fires while a dump is loaded.
 */
Datum
credit_invalidate_dependency(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as an AFTER ROW trigger",
						"invalidate_dependency")));
	CacheInvalidateRelcache(trigdata->tg_relation);
	/* whoever has seen a catalog without this table watches that one */
	CacheInvalidateRelcacheByRelid(ledger_relid(LEDGER_SOURCE));
	return PointerGetDatum(NULL);
}

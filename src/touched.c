/*
 * touched.c
 *	  Documents that the rows of a statement belong to: found out and locked.
 *
 * Right at every isolation level, for two writers of one document (two lines
 * of an invoice, which have no row of the ERP in common):
 *
 * A document's item is locked until the end of the transaction before the view
 * is read, and it is read with a snapshot that is taken under the lock.  So of
 * two writers the second one waits, and reads what the first one committed
 * beside what it has written itself.  In REPEATABLE READ and SERIALIZABLE too:
 * the snapshot of the transaction would not see the other's line, and neither
 * would ever be in a sum again.  A document without an item gets a row that
 * holds its key, and keeps it.
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
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "dependency.h"
#include "item.h"
#include "ledger.h"
#include "rowversion.h"
#include "touched.h"
#include "viewsource.h"

struct Touched *
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

KeySet *
touched_set(struct Touched *touched, const CreditSource *source)
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

void
touched_add_key(struct Touched *touched, KeySet *set, const char *key)
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
			touched_add_key(touched, set, OidOutputFunctionCall(output, value));
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
	set = touched_set(touched, &dependency->view->source);
	attno = view_key_column(dependency, desc);
	if (attno > 0)
	{
		read_key_column(table, dependency, desc, attno, touched, set);
		return;
	}
	store = rows_as_relation(table, dependency);
	(void) view_changed_keys(dependency, store, snapshot, &keys);
	foreach(lc, keys)
		touched_add_key(touched, set, lfirst(lc));
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
uint64
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

/* Sorts the keys of a set from a certain one on. */
void
touched_sort_keys(KeySet *set, int first)
{
	qsort(set->keys + first, set->n - first, sizeof(char *), pg_qsort_strcmp);
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

		touched_sort_keys(set, set->nlocked);
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

/* Takes some documents of a source for touched; none of them is refused. */
void
dependency_touch(Frame *frame, const CreditSource *source, char **keys, int n)
{
	struct Touched *touched = touched_of(frame);
	KeySet	   *set = touched_set(touched, source);

	touched->is_unchecked = true;
	for (int i = 0; i < n; i++)
		touched_add_key(touched, set, keys[i]);
}

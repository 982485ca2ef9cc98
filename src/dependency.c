/*
 * dependency.c
 *	  Statements on the tables that a view is made of.
 *
 * The triggers of a table that a source depends on are those of an attached
 * table (capture.c).  Old and new rows of a statement are collected here; when
 * it ends, the key query of each dependency says which documents they belong
 * to, and these are locked (touched.c), read through the view, and handed on as
 * changes, as if they had been rows of an attached table
 * (dependency_evaluate.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "credit.h"
#include "dependency.h"
#include "ledger.h"
#include "rowversion.h"
#include "tablecache.h"
#include "touched.h"
#include "viewsource.h"

/* Rows are turned into keys when they take this share of work_mem. */
#define MIN_ROWS 1000
#define ROW_SHARE 4

/* A table that is declared, seen from one that is written to. */
typedef struct Target
{
	Oid			relid;
	TupleConversionMap *map;	/* from the layout of a partition, or NULL */
} Target;

/* All targets of one table or partition. */
typedef struct TargetCache
{
	TableEntry	table;
	uint64		generation;		/* of the list they were looked up in */
	MemoryContext cxt;
	List	   *targets;
} TargetCache;

static TableCache caches = {"credit dependencies", sizeof(TargetCache)};

PG_FUNCTION_INFO_V1(credit_invalidate_dependency);

/* Only marks. */
void
credit_dependency_invalidate(Oid relid)
{
	tablecache_invalidate(&caches, relid);
}

void
credit_dependency_init(void)
{
	tablecache_init(&caches);
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
	cache->table.valid = true;
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
	const ViewList *list = view_list();
	TargetCache *cache;

	if (list->n == 0)
		return NIL;
	cache = tablecache_find(&caches, RelationGetRelid(rel), InvalidOid);
	if (!cache->table.valid || cache->generation != list->generation)
		fill_cache(cache, rel, relids, list);
	return cache->targets;
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
			rowversion_follow(&replaced, rowversion_is_own(old), &version);
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

/*
 * Trigger on credit.dependency: every backend reads the list anew.  It does
 * nothing else, because it also fires while a dump is loaded.
 */
Datum
credit_invalidate_dependency(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = credit_row_trigger(fcinfo, "invalidate_dependency");

	CacheInvalidateRelcache(trigdata->tg_relation);
	/* whoever has seen a catalog without this table watches that one */
	CacheInvalidateRelcacheByRelid(ledger_relid(LEDGER_SOURCE));
	return PointerGetDatum(NULL);
}

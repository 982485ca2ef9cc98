/*
 * viewsource.c
 *	  Sources that are views: how documents are read through them.
 *
 * A view yields one row per document, for facts that are spread over tables.
 * It is never read by the user whose statement changed a document: he need not
 * have a right on any table but the one he writes to.  As with a materialised
 * view, everything is evaluated as the owner of the view, in an operation that
 * is security-restricted, under a fixed search_path and fixed formats, and with
 * row security off: a table that would hide rows from the owner is an error,
 * because a sum over half of the lines is worse than none.
 *
 * What fails because of the mapping (a column is gone, a value is no date) is
 * survived in a subtransaction and reported as source.c does.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "credit.h"
#include "expression.h"
#include "ledger.h"
#include "roster.h"
#include "viewsource.h"

#define DEPENDENCY_TABLE "dependency"

static void fill(void *arg);

static Roster roster = {"credit views", sizeof(ViewList), fill};
static uint64 generation = 0;
static Oid	source_relid = InvalidOid;
static Oid	dependency_relid = InvalidOid;

/* Only marks. */
void
credit_viewsource_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == source_relid || relid == dependency_relid)
		roster.is_valid = false;
}

void
view_set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the view is gone")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* From here on everything runs as the owner of a view; see the top. */
void
owner_enter(OwnerScope *scope, Oid view)
{
	Oid			owner = relation_owner(view);

	scope->nestlevel = expression_fix_formats();
	GetUserIdAndSecContext(&scope->userid, &scope->sec_context);
	SetUserIdAndSecContext(owner, scope->sec_context |
						   SECURITY_RESTRICTED_OPERATION |
						   SECURITY_LOCAL_USERID_CHANGE);
	view_set_option("search_path", "pg_catalog, pg_temp");
	if (row_security)
		view_set_option("row_security", "off");
}

void
owner_leave(OwnerScope *scope)
{
	AtEOXact_GUC(false, scope->nestlevel);
	SetUserIdAndSecContext(scope->userid, scope->sec_context);
}

static void
free_each(SPIPlanPtr *plans, int n)
{
	for (int i = 0; i < n; i++)
		if (plans[i] != NULL)
			SPI_freeplan(plans[i]);
}

/* Frees the plans of a list that goes. */
static void
free_plans(void *arg)
{
	ViewList   *list = arg;

	for (int i = 0; i < list->nviews; i++)
		free_each(list->views[i].plans, PLAN_COUNT);
	for (int i = 0; i < list->n; i++)
		free_each(list->dependencies[i].plans, KEY_PLANS);
}

/*
 * Reads the sources out of credit.source.  Tables are among them: the repair
 * reads their rows by key as if they were views (repair.c).
 */
static void
load_views(ViewList *list)
{
	LedgerRel  *ledger = ledger_open(LEDGER_SOURCE, AccessShareLock);
	SysScanDesc scan = systable_beginscan(ledger->rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	int			allocated = 8;

	list->views = palloc0(sizeof(ViewSource) * allocated);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		ViewSource *view;

		if (list->nviews == allocated)
		{
			allocated *= 2;
			list->views = repalloc(list->views, sizeof(ViewSource) * allocated);
		}
		view = &list->views[list->nviews];
		memset(view, 0, sizeof(ViewSource));
		source_load(&view->source, ledger, tuple, view->texts);
		view->cxt = CurrentMemoryContext;
		list->nviews++;
	}
	systable_endscan(scan);
	ledger_close(ledger);
}

static ViewSource *
find_in(ViewList *list, int32 source_id)
{
	for (int i = 0; i < list->nviews; i++)
		if (list->views[i].source.source_id == source_id)
			return &list->views[i];
	return NULL;
}

/* Reads what they depend on; a catalog of before has no such table. */
static void
load_dependencies(ViewList *list)
{
	Oid			nspoid = get_namespace_oid("credit", true);
	LedgerRel  *ledger;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			allocated = 8;

	dependency_relid = OidIsValid(nspoid) ?
		get_relname_relid(DEPENDENCY_TABLE, nspoid) : InvalidOid;
	if (!OidIsValid(dependency_relid) || list->nviews == 0)
		return;
	list->dependencies = palloc0(sizeof(Dependency) * allocated);
	ledger = ledger_open(LEDGER_DEPENDENCY, AccessShareLock);
	scan = systable_beginscan(ledger->rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		Dependency *dependency;

		ledger_deform(ledger, tuple, values, nulls);
		if (list->n == allocated)
		{
			allocated *= 2;
			list->dependencies = repalloc(list->dependencies,
										  sizeof(Dependency) * allocated);
		}
		dependency = &list->dependencies[list->n];
		memset(dependency, 0, sizeof(Dependency));
		dependency->view = find_in(list, DatumGetInt32(values[DEPENDENCY_SOURCE_ID]));
		dependency->relid = DatumGetObjectId(values[DEPENDENCY_RELATION]);
		dependency->changed_keys =
			TextDatumGetCString(values[DEPENDENCY_CHANGED_KEYS]);
		if (dependency->view != NULL)
			list->n++;
	}
	systable_endscan(scan);
	ledger_close(ledger);
}

/* Reads everything, as it is committed now. */
static void
fill(void *arg)
{
	ViewList   *list = arg;
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	list->generation = ++generation;
	load_views(list);
	load_dependencies(list);
	callback->func = free_plans;
	callback->arg = list;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

/* The list as it is now; good until the end of the transaction. */
const ViewList *
view_list(void)
{
	if (!roster.is_valid)
		source_relid = ledger_relid(LEDGER_SOURCE);
	return roster_list(&roster);
}

/* A source, read as a view is; NULL: there is none of this number (any more). */
ViewSource *
view_find(int32 source_id)
{
	return find_in((ViewList *) view_list(), source_id);
}

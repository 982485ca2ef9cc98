/*
 * viewsource_plan.c
 *	  The queries that read documents through a view, and their plans.
 *
 * Plans are generic: planning a view anew costs more than all the rest.  Three
 * stand ready for a view: for the row of one key, for those of a few, and for
 * those of many.  A view that joins a grouped sub-select is fast for one key,
 * which the planner takes into the sub-select, and reads everything for many;
 * the costs of the plans say which it is.
 *
 * With each row come the versions of those rows of the ERP that other documents
 * may share (rowversion.c): of tables that the view joins, and that the source
 * depends on by a key query which is a join.  A view does not show them, so its
 * query is written out, with columns for them.  Rows in sub-selects, of views
 * that the view reads, and of a view that groups cannot be told.
 *
 * A plan knows which columns of a table it reads; a change of others is none of
 * a document.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "credit.h"
#include "viewsource.h"

/* Elements of an array that the planner does not know. */
#define GUESSED_KEYS 10

/* Looking row after row up may cost this many times what the planner would do. */
#define DEARER_LOOKUPS 4

/* The qualified name of a view. */
const char *
view_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the view is gone")));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

/* Name of the type that keys are compared as; NULL: as text. */
static char *
key_type_name(Oid relid, const char *key)
{
	StringInfoData query;
	SPIPlanPtr	plan;
	CachedPlanSource *source;
	Oid			type;
	TypeCacheEntry *entry;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT (%s) FROM %s", key, view_name(relid));
	plan = SPI_prepare(query.data, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", query.data);
	source = linitial(SPI_plan_get_plan_sources(plan));
	type = getBaseType(TupleDescAttr(source->resultDesc, 0)->atttypid);
	SPI_freeplan(plan);
	if (type == TEXTOID || type == UNKNOWNOID || get_typtype(type) == TYPTYPE_PSEUDO ||
		get_typtype(type) == TYPTYPE_COMPOSITE || !OidIsValid(get_array_type(type)))
		return NULL;
	entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
	if (!OidIsValid(entry->eq_opr))
		return NULL;
	return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

/* SELECT of all fields of a view, up to its FROM, in the order of viewsource.h. */
static void
append_fields(StringInfo query, char **texts)
{
	appendStringInfo(query, "SELECT (%s)::pg_catalog.text, %s", texts[FIELD_KEY],
					 texts[FIELD_COUNTS_WHEN] ? texts[FIELD_COUNTS_WHEN] : "true");
	for (int f = 0; f < FIELD_COUNT; f++)
		if (f != FIELD_KEY && f != FIELD_COUNTS_WHEN && texts[f] != NULL)
			appendStringInfo(query, ", (%s)::%s", texts[f],
							 format_type_extended(credit_fields[f].type, -1,
												  FORMAT_TYPE_FORCE_QUALIFY));
}

void
view_append_select(StringInfo query, Oid relid, char **texts)
{
	append_fields(query, texts);
	appendStringInfo(query, " FROM %s", view_name(relid));
}

/* The tables whose rows documents of a view may share. */
void
view_find_shared(ViewSource *view)
{
	const ViewList *list = view_list();

	if (view->is_known)
		return;
	view->shared = NIL;
	for (int i = 0; i < list->n; i++)
	{
		Dependency *dependency = &list->dependencies[i];
		Relation	rel;
		MemoryContext old;

		if (dependency->view != view)
			continue;
		rel = try_relation_open(dependency->relid, AccessShareLock);
		if (rel == NULL)
			continue;
		if (view_key_column(dependency, RelationGetDescr(rel)) == 0)
		{
			old = MemoryContextSwitchTo(view->cxt);
			view->shared = lappend_oid(view->shared, dependency->relid);
			MemoryContextSwitchTo(old);
		}
		relation_close(rel, NoLock);
	}
	view->is_known = true;
}

/* Numbers of the range table that a query joins. */
static bool
find_joined(Node *node, void *context)
{
	Bitmapset **numbers = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblRef))
		*numbers = bms_add_member(*numbers, ((RangeTblRef *) node)->rtindex);
	return expression_tree_walker(node, find_joined, context);
}

static void
add_version_column(Query *query, int number, AttrNumber attno, Oid type, int n)
{
	TargetEntry *entry;

	entry = makeTargetEntry((Expr *) makeVar(number, attno, type, -1, InvalidOid, 0),
							list_length(query->targetList) + 1,
							psprintf("credit_version_%d", n), false);
	query->targetList = lappend(query->targetList, entry);
}

/*
 * The query of a view with the versions of shared rows: place, table, and the
 * transaction that has made it.  NULL: there are none to be told.
 */
static Query *
query_with_versions(ViewSource *view)
{
	Relation	rel = relation_open(view->source.relid, AccessShareLock);
	Query	   *query = NULL;
	Bitmapset  *joined = NULL;
	int			number = 0;
	int			n = 0;
	ListCell   *lc;

	view->nshared = 0;
	if (rel->rd_rel->relkind == RELKIND_VIEW)
		query = copyObject(get_view_query(rel));
	relation_close(rel, NoLock);
	if (query == NULL || query->hasAggs || query->hasWindowFuncs ||
		query->hasTargetSRFs || query->groupClause != NIL ||
		query->groupingSets != NIL || query->havingQual != NULL ||
		query->distinctClause != NIL || query->setOperations != NULL)
		return NULL;
	(void) find_joined((Node *) query->jointree, &joined);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (!bms_is_member(++number, joined) || rte->rtekind != RTE_RELATION ||
			!list_member_oid(view->shared, rte->relid) || view->nshared == MAX_SHARED)
			continue;
		add_version_column(query, number, SelfItemPointerAttributeNumber, TIDOID, n++);
		add_version_column(query, number, TableOidAttributeNumber, OIDOID, n++);
		add_version_column(query, number, MinTransactionIdAttributeNumber, XIDOID, n++);
		view->shared_in_plan[view->nshared++] = rte->relid;
	}
	return view->nshared > 0 ? query : NULL;
}

/* SELECT of a view with the versions of shared rows, if it has any. */
static void
append_select(StringInfo select, ViewSource *view)
{
	Query	   *query = view->shared != NIL ? query_with_versions(view) : NULL;

	if (query == NULL)
	{
		view->nshared = 0;
		view_append_select(select, view->source.relid, view->texts);
		return;
	}
	append_fields(select, view->texts);
	for (int i = 0; i < view->nshared * VERSION_COLUMNS; i++)
		appendStringInfo(select, ", credit_version_%d", i);
	appendStringInfo(select, " FROM (%s) AS %s", pg_get_querydef(query, false),
					 quote_identifier(get_rel_name(view->source.relid)));
}

/* The query for one key, or for an array of keys. */
static char *
rows_query(ViewSource *view, bool with_array)
{
	StringInfoData query;
	char	   *key = view->texts[FIELD_KEY];
	char	   *type = key_type_name(view->source.relid, key);

	initStringInfo(&query);
	append_select(&query, view);
	if (with_array && !view->source.is_view)
		/* no index on an expression: one pass, and not one look a row and key */
		appendStringInfo(&query, " WHERE (%s)%s OPERATOR(pg_catalog.=) ANY "
						 "(SELECT pg_catalog.unnest($1%s%s%s))",
						 key, type == NULL ? "::pg_catalog.text" : "",
						 type == NULL ? "" : "::", type == NULL ? "" : type,
						 type == NULL ? "" : "[]");
	else
		appendStringInfo(&query, " WHERE (%s)%s OPERATOR(pg_catalog.=) %s$1%s%s%s%s",
						 key, type == NULL ? "::pg_catalog.text" : "",
						 with_array ? "ANY (" : "", type == NULL ? "" : "::",
						 type == NULL ? "" : type,
						 with_array && type != NULL ? "[]" : "", with_array ? ")" : "");
	return query.data;
}

SPIPlanPtr
view_prepare(const char *query, int nargs, Oid *argument)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(query, nargs, argument, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query,
			 SPI_result_code_string(SPI_result));
	return plan;
}

/* Plans a query, if it is not planned yet; returns what the planner thinks of it. */
static double
plan_now(SPIPlanPtr plan, bool is_kept, bool by_looking_up)
{
	ResourceOwner owner = is_kept ? CurrentResourceOwner : NULL;
	int			nestlevel = NewGUCNestLevel();
	CachedPlan *cached;
	double		cost = 0;

	if (by_looking_up)
	{
		view_set_option("enable_hashjoin", "off");
		view_set_option("enable_mergejoin", "off");
	}
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL)
	{
		cost = linitial_node(PlannedStmt, cached->stmt_list)->planTree->total_cost;
		ReleaseCachedPlan(cached, owner);
	}
	AtEOXact_GUC(false, nestlevel);
	return cost;
}

/* Is there no plan that is good now?  One that was is let go. */
bool
view_lacks_plan(SPIPlanPtr *plan)
{
	SPIPlanPtr	stale = *plan;

	if (stale != NULL && SPI_plan_is_valid(stale))
		return false;
	*plan = NULL;
	if (stale != NULL)
		SPI_freeplan(stale);
	return true;
}

/*
 * Keeps a plan for a query.  by_looking_up: it is going to be asked for few rows
 * at a time.  If that costs not much more, row is then joined to row through
 * indexes.  The planner would rather read a table of a few pages as a whole and
 * put it into a hash table; but starting that costs more than the few rows do,
 * and the plan is kept while the table grows.
 */
SPIPlanPtr
view_keep_plan(const char *query, int nargs, Oid *argument, bool by_looking_up,
			   double *cost)
{
	SPIPlanPtr	plan = view_prepare(query, nargs, argument);

	if (by_looking_up)
	{
		SPIPlanPtr	plain = view_prepare(query, nargs, argument);

		by_looking_up = plan_now(plan, false, true) <=
			plan_now(plain, false, false) * DEARER_LOOKUPS;
		SPI_freeplan(plain);
	}
	SPI_keepplan(plan);
	*cost = plan_now(plan, true, by_looking_up);
	return plan;
}

/* A plan that is good now; its text is built anew where names have changed. */
SPIPlanPtr
view_plan(ViewSource *view, ViewPlan which)
{
	SPIPlanPtr *plan = &view->plans[which];
	Oid			argument = which == PLAN_ONE ? TEXTOID : TEXTARRAYOID;

	if (!view_lacks_plan(plan))
		return *plan;
	*plan = view_keep_plan(rows_query(view, which != PLAN_ONE), 1, &argument,
						   which != PLAN_MANY, &view->costs[which]);
	view->nplanned++;
	return *plan;
}

/*
 * How to read some documents.  The planner takes an array that it does not know
 * for one of ten; what costs no more than ten single ones goes key by key as
 * well, and starts an executor once.
 */
ViewPlan
view_choose_plan(ViewSource *view, int n)
{
	ViewPlan	which = n <= GUESSED_KEYS ? PLAN_FEW : PLAN_MANY;

	(void) view_plan(view, PLAN_ONE);
	if (n == 1)
		return PLAN_ONE;
	(void) view_plan(view, which);
	return view->costs[which] <= view->costs[PLAN_ONE] * GUESSED_KEYS * 1.2 ||
		view->costs[which] < view->costs[PLAN_ONE] * n ? which : PLAN_ONE;
}

/* Plans the queries of a view, and starts them: that checks the owner's rights. */
void
view_try_plans(ViewSource *view)
{
	for (int with_array = 0; with_array < 2; with_array++)
	{
		Datum		none = PointerGetDatum(construct_empty_array(TEXTOID));
		Oid			argument = with_array ? TEXTARRAYOID : TEXTOID;

		SPI_cursor_close(SPI_cursor_open(NULL,
										 view_prepare(rows_query(view, with_array), 1, &argument),
										 &none, with_array ? " " : "n", true));
	}
}

/* A step for source_attempt: plans a view. */
static void
plan_step(void *arg)
{
	ViewSource *view = arg;
	OwnerScope	scope;

	owner_enter(&scope, view->source.relid);
	SPI_connect();
	(void) view_plan(view, PLAN_ONE);
	SPI_finish();
	owner_leave(&scope);
}

/* Plans a view, if need be; one that cannot be is found out when it is read. */
static bool
is_planned(ViewSource *view)
{
	view_find_shared(view);
	if (view->plans[PLAN_ONE] != NULL && SPI_plan_is_valid(view->plans[PLAN_ONE]))
		return true;
	if (view->unknown_in == credit_local_xid() ||
		source_attempt(plan_step, view) != NULL)
	{
		view->unknown_in = credit_local_xid();
		return false;
	}
	return true;
}

/* Are there documents of a view that may share rows of a table? */
bool
view_shares(ViewSource *view, Oid relid)
{
	if (!is_planned(view))
		return false;
	for (int i = 0; i < view->nshared; i++)
		if (view->shared_in_plan[i] == relid)
			return true;
	return false;
}

/* Which columns of a table a query reads, sub-selects included. */
typedef struct ReadColumns
{
	Oid			relid;
	Bitmapset  *columns;		/* 0: all */
} ReadColumns;

static bool
find_columns(Node *node, void *context)
{
	ReadColumns *read = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, find_columns, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		int			column = -1;

		if (rte->rtekind != RTE_RELATION || rte->relid != read->relid)
			continue;
		while ((column = bms_next_member(credit_columns_read((Query *) node, rte), column)) >= 0)
		{
			AttrNumber	attno = column + FirstLowInvalidHeapAttributeNumber;

			/* the system columns of a version are ours */
			if (attno >= 0)
				read->columns = bms_add_member(read->columns, attno);
		}
	}
	return query_tree_walker((Query *) node, find_columns, context, 0);
}

/*
 * Keeps which columns of a table the documents of a view may depend on.  All,
 * if functions of somebody's may read it, or the view does not name it (a
 * partition, or a table that only functions read).
 */
static void
find_reads(Dependency *dependency)
{
	ViewSource *view = dependency->view;
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(view->plans[PLAN_ONE]));
	ReadColumns read = {dependency->relid, NULL};
	MemoryContext old;
	ListCell   *lc;

	dependency->reads_of = view->nplanned;
	dependency->reads_all = true;
	foreach(lc, source->invalItems)
		if (((PlanInvalItem *) lfirst(lc))->cacheId == PROCOID)
			return;
	(void) find_columns((Node *) source->query_list, &read);
	if (dependency->asks_all || bms_is_empty(read.columns) ||
		bms_is_member(0, read.columns) ||
		get_rel_relkind(dependency->relid) != RELKIND_RELATION)
		return;
	old = MemoryContextSwitchTo(view->cxt);
	dependency->reads = bms_union(read.columns, dependency->asks);
	MemoryContextSwitchTo(old);
	dependency->reads_all = false;
}

/*
 * May a change of these columns change a document, or which one a row belongs
 * to?  NULL: all columns have changed.
 */
bool
view_reads(Dependency *dependency, const Bitmapset *columns)
{
	ViewSource *view = dependency->view;

	if (columns == NULL || !is_planned(view))
		return true;
	view_parse_keys(dependency);
	if (dependency->reads_of != view->nplanned)
		find_reads(dependency);
	return dependency->reads_all || bms_overlap(columns, dependency->reads);
}

/*
 * viewsource_read.c
 *	  Rows of documents, read through a view.
 *
 * Two plans stand ready for a view: for the row of one key, and for those of
 * many.  A view that joins a grouped sub-select is fast for one key, which the
 * planner takes into the sub-select, and reads everything for many; the costs
 * of both plans say which it is.  Plans are generic: planning a view anew costs
 * more than all the rest.
 *
 * With each row come the versions of those rows of the ERP that other documents
 * may share (rowversion.c): of tables that the view joins, and that the source
 * depends on by a key query which is a join.  A view does not show them, so its
 * query is written out, with columns for them.  Rows in sub-selects, of views
 * that the view reads, and of a view that groups cannot be told.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "credit.h"
#include "viewsource.h"

/* Columns of the query of a view: key, whether it counts, fields. */
#define COLUMN_KEY 1
#define COLUMN_COUNTS 2
#define COLUMN_FIELDS 3

/* Elements of an array that the planner does not know. */
#define GUESSED_KEYS 10

/* Columns of a version that the query of a view is given. */
#define VERSION_COLUMNS 3

PG_FUNCTION_INFO_V1(credit_check_view);
PG_FUNCTION_INFO_V1(credit_view_rows);

/* The qualified name of a view. */
static const char *
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

/* SELECT of all fields of a view, up to its FROM; the columns are numbered above. */
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
static void
find_shared(ViewSource *view)
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

/* Plans the query for one key, or for an array of keys. */
static SPIPlanPtr
plan_rows(ViewSource *view, bool many)
{
	StringInfoData query;
	SPIPlanPtr	plan;
	char	   *key = view->texts[FIELD_KEY];
	char	   *type = key_type_name(view->source.relid, key);
	Oid			argument = many ? TEXTARRAYOID : TEXTOID;

	initStringInfo(&query);
	append_select(&query, view);
	if (many && !view->source.is_view)
		/* no index on an expression: one pass, and not one look a row and key */
		appendStringInfo(&query, " WHERE (%s)%s OPERATOR(pg_catalog.=) ANY "
						 "(SELECT pg_catalog.unnest($1%s%s%s))",
						 key, type == NULL ? "::pg_catalog.text" : "",
						 type == NULL ? "" : "::", type == NULL ? "" : type,
						 type == NULL ? "" : "[]");
	else
		appendStringInfo(&query, " WHERE (%s)%s OPERATOR(pg_catalog.=) %s$1%s%s%s%s",
						 key, type == NULL ? "::pg_catalog.text" : "",
						 many ? "ANY (" : "", type == NULL ? "" : "::",
						 type == NULL ? "" : type,
						 many && type != NULL ? "[]" : "", many ? ")" : "");
	plan = SPI_prepare_cursor(query.data, 1, &argument, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query.data,
			 SPI_result_code_string(SPI_result));
	return plan;
}

/* A plan that is good now; its text is built anew where names have changed. */
static void
ensure_plan(ViewSource *view, SPIPlanPtr *plan, bool many)
{
	SPIPlanPtr	stale = *plan;

	if (stale != NULL && SPI_plan_is_valid(stale))
		return;
	*plan = NULL;
	if (stale != NULL)
		SPI_freeplan(stale);
	stale = plan_rows(view, many);
	SPI_keepplan(stale);
	*plan = stale;
	view->nplanned++;
}

/* Both plans, of which the second is made when it is needed. */
static void
ensure_plans(ViewSource *view, bool with_many)
{
	ensure_plan(view, &view->one, false);
	if (with_many)
		ensure_plan(view, &view->many, true);
}

/* What the planner thinks of a plan. */
static double
plan_cost(SPIPlanPtr plan)
{
	CachedPlan *cached = SPI_plan_get_cached_plan(plan);
	double		cost;

	if (cached == NULL)
		return 0;
	cost = linitial_node(PlannedStmt, cached->stmt_list)->planTree->total_cost;
	ReleaseCachedPlan(cached, CurrentResourceOwner);
	return cost;
}

/* What read_rows is asked to do. */
typedef struct ReadJob
{
	ViewSource *view;
	char	  **keys;			/* in ascending order */
	int			n;
	MemoryContext cxt;			/* of what is read */
	List	   *rows;			/* of ViewRow */
	bool	   *is_found;
	bool		is_planned;
} ReadJob;

static int
compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The number of a key that was asked for. */
static int
number_of_key(ReadJob *job, const char *key)
{
	char	  **place = bsearch(&key, job->keys, job->n, sizeof(char *), compare_keys);

	if (place == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the view has a row with key \"%s\", which is the same as, but not spelt like, a key that was asked for",
						key)));
	return place - job->keys;
}

/*
 * The versions of shared rows, from a column on.  What this transaction has
 * made itself nobody else can have read or replaced.
 */
static void
take_versions(ViewSource *view, ViewRow *row, HeapTuple tuple, TupleDesc desc, int column)
{
	row->nversions = 0;
	row->versions = view->nshared == 0 ? NULL :
		palloc(sizeof(RowVersion) * view->nshared);
	for (int i = 0; i < view->nshared; i++, column += VERSION_COLUMNS)
	{
		bool		isnull;
		Datum		place = heap_getattr(tuple, column, desc, &isnull);
		RowVersion *version = &row->versions[row->nversions];

		if (isnull)
			continue;			/* of an outer join */
		version->tid = *(ItemPointer) DatumGetPointer(place);
		version->relid = DatumGetObjectId(heap_getattr(tuple, column + 1, desc, &isnull));
		if (!TransactionIdIsCurrentTransactionId
			(DatumGetTransactionId(heap_getattr(tuple, column + 2, desc, &isnull))))
			row->nversions++;
	}
}

/* Takes one row of a view. */
static void
take_row(ReadJob *job, HeapTuple tuple, TupleDesc desc)
{
	const CreditSource *source = &job->view->source;
	ViewRow    *row;
	int			column = COLUMN_FIELDS;
	bool		isnull;
	Datum		value;
	MemoryContext old;
	int			number;

	value = heap_getattr(tuple, COLUMN_KEY, desc, &isnull);
	source_check_value(FIELD_KEY, value, isnull);
	number = number_of_key(job, TextDatumGetCString(value));
	old = MemoryContextSwitchTo(job->cxt);
	row = palloc(sizeof(ViewRow));
	row->number = number;
	if (job->is_found[row->number] && source->kind != KIND_CUSTOMER)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("the %s has more than one row with key \"%s\"",
						source->is_view ? "view" : "table", job->keys[row->number])));
	job->is_found[row->number] = true;
	memset(row->row.isnull, true, sizeof(row->row.isnull));
	memset(row->row.value, 0, sizeof(row->row.value));
	row->row.value[FIELD_KEY] = CStringGetTextDatum(job->keys[row->number]);
	row->row.isnull[FIELD_KEY] = false;
	value = heap_getattr(tuple, COLUMN_COUNTS, desc, &isnull);
	row->row.value[FIELD_COUNTS_WHEN] = BoolGetDatum(!isnull && DatumGetBool(value));
	row->row.isnull[FIELD_COUNTS_WHEN] = false;
	for (int f = 0; f < FIELD_COUNT; f++)
	{
		if (f == FIELD_KEY || f == FIELD_COUNTS_WHEN || job->view->texts[f] == NULL)
			continue;
		value = heap_getattr(tuple, column++, desc, &isnull);
		source_check_value((CreditField) f, value, isnull);
		row->row.isnull[f] = isnull;
		if (isnull)
			continue;
		if (credit_fields[f].type == TEXTOID)
			value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		else if (credit_fields[f].type == NUMERICOID)
			value = NumericGetDatum(DatumGetNumericCopy(value));
		row->row.value[f] = value;
	}
	take_versions(job->view, row, tuple, desc, column);
	job->rows = lappend(job->rows, row);
	MemoryContextSwitchTo(old);
}

/* Runs a plan, whose answer is rows of the view. */
static void
run_plan(ReadJob *job, SPIPlanPtr plan, Datum argument)
{
	if (SPI_execute_plan(plan, &argument, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read a view: %s", SPI_result_code_string(SPI_result));
	for (uint64 i = 0; i < SPI_processed; i++)
		take_row(job, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
}

/* All keys at once. */
static void
run_many(ReadJob *job)
{
	Datum	   *values = palloc(sizeof(Datum) * job->n);

	for (int i = 0; i < job->n; i++)
		values[i] = CStringGetTextDatum(job->keys[i]);
	run_plan(job, job->view->many,
			 PointerGetDatum(construct_array(values, job->n, TEXTOID, -1, false,
											 TYPALIGN_INT)));
}

/*
 * Is one query for all keys better than one for each?  The planner takes an
 * array that it does not know for one of ten.  What costs no more than ten single
 * ones goes key by key as well, and starts an executor once.
 */
static bool
is_many_better(ViewSource *view, int n)
{
	double		one = plan_cost(view->one);
	double		many = plan_cost(view->many);

	return many <= one * GUESSED_KEYS * 1.2 || many < one * n;
}

/* A step for source_attempt: reads the rows of the keys of a job. */
static void
read_rows(void *arg)
{
	ReadJob    *job = arg;
	ViewSource *view = job->view;
	OwnerScope	scope;

	job->rows = NIL;
	memset(job->is_found, 0, sizeof(bool) * job->n);
	owner_enter(&scope, view->source.relid);
	SPI_connect();
	ensure_plans(view, job->n > 1);
	job->is_planned = true;
	if (job->n > 1 && is_many_better(view, job->n))
		run_many(job);
	else
		for (int i = 0; i < job->n; i++)
			run_plan(job, view->one, CStringGetTextDatum(job->keys[i]));
	SPI_finish();
	owner_leave(&scope);
}

/* Is this an error of one document, which others need not share? */
static bool
is_document_error(const ErrorData *edata)
{
	int			category = ERRCODE_TO_CATEGORY(edata->sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_CARDINALITY_VIOLATION) ||
		edata->sqlerrcode == ERRCODE_RAISE_EXCEPTION;
}

/* The view cannot be planned: it is not tried again in this transaction. */
static void
remember_broken(ViewSource *view, const ErrorData *edata)
{
	view->broken_in = credit_local_xid();
	strlcpy(view->sqlstate, unpack_sql_state(edata->sqlerrcode), 6);
	view->message = MemoryContextStrdup(view->cxt, edata->message);
}

/*
 * Reads the rows of some keys, which are in ascending order, as the active
 * snapshot has them, into the current context.  Where one document makes that
 * fail, they are read one by one.  False: some could not be read, which has
 * been reported; their keys are set to NULL.
 */
bool
view_read(ViewSource *view, char **keys, int n, List **rows)
{
	ReadJob		job = {view, keys, n, CurrentMemoryContext, NIL, NULL, false};
	ErrorData  *edata;
	bool		is_all = true;

	job.is_found = palloc(sizeof(bool) * n);
	find_shared(view);
	if (view->broken_in == credit_local_xid())
	{
		source_report_problem(&view->source, view->sqlstate, view->message);
		memset(keys, 0, sizeof(char *) * n);
		return false;
	}
	edata = source_attempt(read_rows, &job);
	if (edata == NULL)
	{
		*rows = list_concat(*rows, job.rows);
		return true;
	}
	if (!job.is_planned)
		remember_broken(view, edata);
	if (n == 1 || !is_document_error(edata))
	{
		source_report_problem(&view->source, unpack_sql_state(edata->sqlerrcode),
							  edata->message);
		memset(keys, 0, sizeof(char *) * n);
		return false;
	}
	for (int i = 0; i < n; i++)
	{
		List	   *found = NIL;
		ListCell   *lc;

		is_all &= view_read(view, &keys[i], 1, &found);
		foreach(lc, found)
			((ViewRow *) lfirst(lc))->number = i;
		*rows = list_concat(*rows, found);
	}
	return is_all;
}

/* A step for source_attempt: plans a view. */
static void
plan_step(void *arg)
{
	ViewSource *view = arg;
	OwnerScope	scope;

	owner_enter(&scope, view->source.relid);
	SPI_connect();
	ensure_plan(view, &view->one, false);
	SPI_finish();
	owner_leave(&scope);
}

/* Plans a view, if need be; one that cannot be is found out when it is read. */
static bool
is_planned(ViewSource *view)
{
	find_shared(view);
	if (view->one != NULL && SPI_plan_is_valid(view->one))
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
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(view->one));
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

/* The expressions of a mapping out of its JSON object. */
static void
load_texts(Jsonb *fields, char **texts)
{
	JsonbIterator *it = JsonbIteratorInit(&fields->root);
	JsonbValue	v;
	JsonbIteratorToken token;
	CreditField field = FIELD_COUNT;

	memset(texts, 0, sizeof(char *) * FIELD_COUNT);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			if (!credit_field_parse(pnstrdup(v.val.string.val, v.val.string.len),
									&field))
				field = FIELD_COUNT;
		}
		else if (token == WJB_VALUE && field != FIELD_COUNT && v.type == jbvString)
			texts[field] = pnstrdup(v.val.string.val, v.val.string.len);
	}
	if (texts[FIELD_KEY] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the mapping has no key")));
}

/*
 * check_view(relation, fields): plans the queries of a view as the triggers
 * will, so that whatever speaks against them is said.
 */
Datum
credit_check_view(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	ViewSource	view;
	OwnerScope	scope;
	SPIPlanPtr	plan;

	memset(&view, 0, sizeof(view));
	view.source.relid = relid;
	view.source.is_view = true;
	load_texts(PG_GETARG_JSONB_P(1), view.texts);
	owner_enter(&scope, relid);
	SPI_connect();
	for (int many = 0; many < 2; many++)
	{
		/* not run, only started: that checks the rights of the owner */
		Datum		none = PointerGetDatum(construct_empty_array(TEXTOID));

		plan = plan_rows(&view, many == 1);
		SPI_cursor_close(SPI_cursor_open(NULL, plan, &none,
										 many == 1 ? " " : "n", true));
	}
	SPI_finish();
	owner_leave(&scope);
	PG_RETURN_VOID();
}

/* SELECT of those columns of a view that a result has. */
static void
append_columns(StringInfo query, Oid relid, char **texts, TupleDesc desc)
{
	CreditField field;

	appendStringInfoString(query, "SELECT ");
	for (int i = 0; i < desc->natts; i++)
	{
		if (!credit_field_parse(NameStr(TupleDescAttr(desc, i)->attname), &field))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there is no field \"%s\"",
							NameStr(TupleDescAttr(desc, i)->attname))));
		appendStringInfo(query, "%s(%s)::%s", i == 0 ? "" : ", ",
						 texts[field] ? texts[field] : "NULL",
						 format_type_extended(TupleDescAttr(desc, i)->atttypid, -1,
											  FORMAT_TYPE_FORCE_QUALIFY));
	}
	appendStringInfo(query, " FROM %s WHERE %s", view_name(relid),
					 texts[FIELD_COUNTS_WHEN] ? texts[FIELD_COUNTS_WHEN] : "true");
}

/*
 * view_rows(relation, fields): what a view has, in the columns that the caller
 * names, which are fields; mapping_query() writes such a call.
 */
Datum
credit_view_rows(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *texts[FIELD_COUNT];
	StringInfoData query;
	OwnerScope	scope;
	SPIPlanPtr	plan;
	Portal		portal;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	load_texts(PG_GETARG_JSONB_P(1), texts);
	initStringInfo(&query);
	append_columns(&query, relid, texts, rsinfo->setDesc);
	owner_enter(&scope, relid);
	SPI_connect();
	plan = SPI_prepare(query.data, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", query.data);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, 1000);
		for (uint64 i = 0; i < SPI_processed; i++)
			tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
		if (SPI_processed == 0)
			break;
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	owner_leave(&scope);
	return (Datum) 0;
}

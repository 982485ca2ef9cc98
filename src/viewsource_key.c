/*
 * viewsource_key.c
 *	  Key queries: which documents of a view the changed rows of a table are.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "viewsource.h"

/* Up to so many changed rows are looked up; more are taken for so many. */
#define FEW_ROWS 10
#define MANY_ROWS 10000

PG_FUNCTION_INFO_V1(credit_normalise_changed_keys);

/* What read_keys is asked to do. */
typedef struct KeyJob
{
	Dependency *dependency;		/* NULL: all keys of the view */
	ViewSource *view;
	Tuplestorestate *changed;
	MemoryContext cxt;
	List	   *keys;
} KeyJob;

/*
 * Registers relation "changed" with the SPI connection; rows is what the planner
 * takes it to have.
 */
static void
register_changed(Oid relid, Tuplestorestate *changed, double rows)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

	enr->md.name = CHANGED_NAME;
	enr->md.reliddesc = relid;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = rows;
	enr->reldata = changed;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register relation \"%s\"", CHANGED_NAME);
}

/* The key query of a dependency as text. */
static char *
keys_query(const char *changed_keys)
{
	return psprintf("SELECT q.key::pg_catalog.text FROM (%s\n) AS q (key) "
					"WHERE q.key IS NOT NULL", changed_keys);
}

static int
run_all_keys(ViewSource *view)
{
	StringInfoData query;

	initStringInfo(&query);
	view_append_select(&query, view->source.relid, view->texts);
	return SPI_execute(query.data, true, 0);
}

/* A plan that is kept must not depend on how many rows were the first ones. */
static int
run_key_query(Dependency *dependency, Tuplestorestate *changed)
{
	bool		is_many = tuplestore_tuple_count(changed) > FEW_ROWS;
	SPIPlanPtr *plan = &dependency->plans[is_many];
	double		cost;

	register_changed(dependency->relid, changed, is_many ? MANY_ROWS : FEW_ROWS);
	if (view_lacks_plan(plan))
		*plan = view_keep_plan(keys_query(dependency->changed_keys), 0, NULL, !is_many, &cost);
	return SPI_execute_plan(*plan, NULL, NULL, true, 0);
}

/* A step for source_attempt: the keys that a query returns. */
static void
read_keys(void *arg)
{
	KeyJob	   *job = arg;
	OwnerScope	scope;
	int			result;
	MemoryContext old;

	job->keys = NIL;
	owner_enter(&scope, job->view->source.relid);
	SPI_connect();
	result = job->dependency == NULL ?
		run_all_keys(job->view) : run_key_query(job->dependency, job->changed);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read keys: %s", SPI_result_code_string(result));
	old = MemoryContextSwitchTo(job->cxt);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		key = heap_getattr(SPI_tuptable->vals[i], COLUMN_KEY,
									   SPI_tuptable->tupdesc, &isnull);

		if (!isnull)
			job->keys = lappend(job->keys, TextDatumGetCString(key));
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
	owner_leave(&scope);
}

/*
 * The keys of the documents that changed rows of a table belong to, some
 * perhaps twice, as a snapshot has what the query joins.  False: it could not
 * be found out.
 */
bool
view_changed_keys(Dependency *dependency, Tuplestorestate *changed,
				  Snapshot snapshot, List **keys)
{
	KeyJob		job = {dependency, dependency->view, changed, CurrentMemoryContext, NIL};
	ErrorData  *edata;

	PushActiveSnapshot(snapshot);
	edata = source_attempt(read_keys, &job);
	PopActiveSnapshot();
	*keys = job.keys;
	if (edata == NULL)
		return true;
	*keys = NIL;
	source_report_problem(&dependency->view->source,
						  unpack_sql_state(edata->sqlerrcode), edata->message);
	return false;
}

/* The keys of all documents of a view, as the active snapshot has them. */
List *
view_all_keys(ViewSource *view)
{
	KeyJob		job = {NULL, view, NULL, CurrentMemoryContext, NIL};
	ErrorData  *edata = source_attempt(read_keys, &job);

	if (edata == NULL)
		return job.keys;
	source_report_problem(&view->source, unpack_sql_state(edata->sqlerrcode),
						  edata->message);
	return NIL;
}

/* Does a query read relation "changed"? */
static bool
reads_changed(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_NAMEDTUPLESTORE;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_changed, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reads_changed, context);
}

/* Does a query, in any part, do anything but read? */
static bool
does_more(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;

		if (query->commandType != CMD_SELECT || query->rowMarks != NIL)
			return true;
		return query_tree_walker(query, does_more, context, 0);
	}
	return expression_tree_walker(node, does_more, context);
}

static void
refuse_keys(const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("changed_keys %s", why),
			 errhint("%s", hint)));
}

/*
 * The server does not write out relations like "changed", which no query that
 * is stored can have; but it does so with a common table expression.
 */
static bool
make_printable(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_NAMEDTUPLESTORE)
		{
			rte->rtekind = RTE_CTE;
			rte->ctename = rte->enrname;
		}
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, make_printable, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, make_printable, context);
}

/* Has a value of a type one text form, whatever the session says? */
static bool
has_one_text(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case TEXTOID:
		case VARCHAROID:
		case NUMERICOID:
		case UUIDOID:
			return true;
		default:
			return false;
	}
}

/*
 * The column that a key query takes the key from, if it does nothing else and
 * the type has one text form whatever the session says; else 0.
 */
static AttrNumber
plain_column(const Query *query)
{
	FromExpr   *from = query->jointree;
	TargetEntry *entry = linitial_node(TargetEntry, query->targetList);
	Var		   *var = (Var *) entry->expr;

	if (list_length(query->rtable) != 1 || list_length(from->fromlist) != 1 ||
		!IsA(linitial(from->fromlist), RangeTblRef) || from->quals != NULL ||
		linitial_node(RangeTblEntry, query->rtable)->rtekind != RTE_NAMEDTUPLESTORE ||
		list_length(query->targetList) != 1 || query->hasAggs ||
		query->hasWindowFuncs || query->hasTargetSRFs || query->hasSubLinks ||
		query->groupClause != NIL || query->groupingSets != NIL ||
		query->havingQual != NULL || query->distinctClause != NIL ||
		query->sortClause != NIL || query->limitOffset != NULL ||
		query->limitCount != NULL || query->setOperations != NULL ||
		query->cteList != NIL || !IsA(var, Var) || var->varattno <= 0)
		return 0;
	return has_one_text(var->vartype) ? var->varattno : 0;
}

/* Parses a key query under the search_path in force. */
static Query *
parse_keys(Oid relid, const char *text)
{
	List	   *raw = raw_parser(text, RAW_PARSE_DEFAULT);
	QueryEnvironment *env = create_queryEnv();
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	Query	   *query;
	Oid			type;
	Oid			target = TEXTOID;
	const char *example = "Write a query like SELECT invoice_id FROM changed.";

	if (list_length(raw) != 1)
		refuse_keys("is not one query", example);
	if (!IsA(linitial_node(RawStmt, raw)->stmt, SelectStmt))
		refuse_keys("is not a SELECT", example);
	enr->md.name = CHANGED_NAME;
	enr->md.reliddesc = relid;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	register_ENR(env, enr);
	query = parse_analyze_fixedparams(linitial_node(RawStmt, raw), text, NULL, 0, env);
	if (query->utilityStmt != NULL || does_more((Node *) query, NULL))
		refuse_keys("does more than read", example);
	if (list_length(query->targetList) != 1)
	{
		int			n = 0;
		ListCell   *lc;

		foreach(lc, query->targetList)
			n += !lfirst_node(TargetEntry, lc)->resjunk;
		if (n != 1)
			refuse_keys(psprintf("returns %d columns", n),
						"It has to return one column, the key of the document; of a composite key ROW(a, b).");
	}
	type = exprType((Node *) linitial_node(TargetEntry, query->targetList)->expr);
	if (type != RECORDOID && !can_coerce_type(1, &type, &target, COERCION_ASSIGNMENT))
		refuse_keys(psprintf("returns %s, which cannot become text", format_type_be(type)),
					"It has to return the key of the document.");
	if (contain_volatile_functions((Node *) query))
		refuse_keys("calls a volatile function",
					"Which document a row belongs to must depend on rows alone.");
	if (!reads_changed((Node *) query, NULL))
		refuse_keys("does not read relation changed",
					"Relation changed has the old and new rows of the statement, with the columns of the table.");
	return query;
}

/* What parse_step is asked to do. */
typedef struct ParseJob
{
	Dependency *dependency;
	MemoryContext scratch;
} ParseJob;

/* Which columns of relation "changed" a key query names. */
typedef struct AskedColumns
{
	int			number;			/* of the relation in the range table */
	Bitmapset  *joins;			/* of joins, whose columns can be anybody's */
	Bitmapset  *columns;		/* 0: not to be said */
} AskedColumns;

static bool
ask_columns(Node *node, void *context)
{
	AskedColumns *asked = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (bms_is_member(var->varno, asked->joins))
			asked->columns = bms_add_member(asked->columns, 0);
		else if (var->varno == asked->number)
			asked->columns = bms_add_member(asked->columns, Max(var->varattno, 0));
		return false;
	}
	return expression_tree_walker(node, ask_columns, context);
}

/*
 * Keeps which columns of a row decide which document it belongs to.  Where
 * that is not plain (the row as a whole, a system column, relation "changed"
 * further down or twice, functions that may read what they like) it is all.
 */
static void
find_asked(Dependency *dependency, Query *query)
{
	AskedColumns asked = {0, NULL, NULL};
	int			number = 0;
	ListCell   *lc;
	MemoryContext old;

	dependency->asks_all = true;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		number++;
		if (rte->rtekind == RTE_NAMEDTUPLESTORE && asked.number != 0)
			return;
		if (rte->rtekind == RTE_NAMEDTUPLESTORE)
			asked.number = number;
		else if (rte->rtekind == RTE_JOIN)
			asked.joins = bms_add_member(asked.joins, number);
		else if (rte->rtekind != RTE_RELATION)
			return;
	}
	if (asked.number == 0 || query->hasSubLinks || query->cteList != NIL ||
		contain_mutable_functions((Node *) query))
		return;
	(void) query_tree_walker(query, ask_columns, &asked, QTW_IGNORE_JOINALIASES);
	if (bms_is_member(0, asked.columns))
		return;
	old = MemoryContextSwitchTo(dependency->view->cxt);
	dependency->asks = bms_copy(asked.columns);
	MemoryContextSwitchTo(old);
	dependency->asks_all = false;
}

/* A step for source_attempt. */
static void
parse_step(void *arg)
{
	ParseJob   *job = arg;
	OwnerScope	scope;
	Query	   *query;

	job->dependency->attno = 0;
	job->dependency->asks_all = true;
	owner_enter(&scope, job->dependency->view->source.relid);
	MemoryContextSwitchTo(job->scratch);
	query = parse_keys(job->dependency->relid, job->dependency->changed_keys);
	job->dependency->attno = plain_column(query);
	find_asked(job->dependency, query);
	owner_leave(&scope);
}

/* Finds out what there is to know of a key query; once, as columns keep their numbers. */
void
view_parse_keys(Dependency *dependency)
{
	ParseJob	job = {dependency, NULL};

	if (dependency->is_parsed)
		return;
	job.scratch = AllocSetContextCreate(CurrentMemoryContext, "credit key query",
										ALLOCSET_DEFAULT_SIZES);
	(void) source_attempt(parse_step, &job);
	MemoryContextDelete(job.scratch);
	dependency->is_parsed = true;
}

/*
 * Most key queries name a column of the row, which the trigger can look at
 * without asking anybody.  0: the query has to be run.  A column that is
 * dropped or gets another type since is left to the query, to fail or to do it.
 */
AttrNumber
view_key_column(Dependency *dependency, TupleDesc desc)
{
	Form_pg_attribute att;

	view_parse_keys(dependency);
	if (dependency->attno <= 0 || dependency->attno > desc->natts)
		return 0;
	att = TupleDescAttr(desc, dependency->attno - 1);
	return att->attisdropped || !has_one_text(att->atttypid) ? 0 : dependency->attno;
}

/*
 * normalise_changed_keys(view, relation, changed_keys, path): checks a key
 * query, reading its names along a search path, tries it as the owner of the
 * view, and returns it with every name qualified.
 */
Datum
credit_normalise_changed_keys(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	Oid			relid = PG_GETARG_OID(1);
	char	   *query_text = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(3));
	Relation	rel = try_relation_open(relid, AccessShareLock);
	int			nestlevel = NewGUCNestLevel();
	Query	   *query;
	char	   *result;
	OwnerScope	scope;
	Tuplestorestate *changed;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with OID %u", relid)));
	view_set_option("search_path", path);
	query = parse_keys(relid, query_text);
	AtEOXact_GUC(false, nestlevel);

	owner_enter(&scope, view);
	(void) make_printable((Node *) query, NULL);
	result = pg_get_querydef(query, false);
	result += strspn(result, " \n");
	SPI_connect();
	changed = tuplestore_begin_heap(false, false, work_mem);
	register_changed(relid, changed, FEW_ROWS);
	SPI_cursor_close(SPI_cursor_open(NULL, view_prepare(keys_query(result), 0, NULL),
									 NULL, NULL, true));
	tuplestore_end(changed);
	SPI_finish();
	owner_leave(&scope);
	relation_close(rel, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

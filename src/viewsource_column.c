/*
 * viewsource_column.c
 *	  Which column of which table a column of a view is.
 *
 * For suggestions only: where every table has a column "id", its name does not
 * say whose key it is.  A column is followed through views, sub-selects and
 * joins as long as it is handed on as it is, or merely as another type; an
 * expression ends the search, and then nothing is suggested.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "viewsource.h"

/* A column of a table; attno 0: not found. */
typedef struct Column
{
	Oid			relid;
	AttrNumber	attno;
} Column;

static Column follow_output(Query *query, AttrNumber resno);

PG_FUNCTION_INFO_V1(credit_view_column);

/* Takes off what only changes the type. */
static Node *
strip_casts(Node *node)
{
	for (;;)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CoerceViaIO))
			node = (Node *) ((CoerceViaIO *) node)->arg;
		else
			return node;
	}
}

/* A column of a view or table. */
static Column
follow_relation(Oid relid, AttrNumber attno)
{
	Column		found = {InvalidOid, 0};
	char		relkind = get_rel_relkind(relid);
	Relation	rel;

	if (relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE)
	{
		found.relid = relid;
		found.attno = attno;
	}
	else if (relkind == RELKIND_VIEW)
	{
		rel = table_open(relid, AccessShareLock);
		found = follow_output(copyObject(get_view_query(rel)), attno);
		table_close(rel, NoLock);
	}
	return found;
}

/* An expression of a query, which is a column handed on, or not. */
static Column
follow_expression(Query *query, Node *node)
{
	Column		none = {InvalidOid, 0};
	Var		   *var;
	RangeTblEntry *rte;

	node = strip_casts(node);
	if (!IsA(node, Var) || ((Var *) node)->varlevelsup != 0 || ((Var *) node)->varattno <= 0)
		return none;
	var = (Var *) node;
	rte = rt_fetch(var->varno, query->rtable);
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return follow_relation(rte->relid, var->varattno);
		case RTE_SUBQUERY:
			return follow_output(rte->subquery, var->varattno);
		case RTE_JOIN:
			return follow_expression(query, list_nth(rte->joinaliasvars, var->varattno - 1));
		default:
			return none;
	}
}

/* A column of the result of a query. */
static Column
follow_output(Query *query, AttrNumber resno)
{
	Column		none = {InvalidOid, 0};
	TargetEntry *entry;

	check_stack_depth();
	if (query->setOperations != NULL)
		return none;
	entry = get_tle_by_resno(query->targetList, resno);
	return entry == NULL ? none : follow_expression(query, (Node *) entry->expr);
}

/*
 * view_column(view, column): the table and column that a column of a view
 * shows; NULL, NULL where it shows more or less than one.
 */
Datum
credit_view_column(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	AttrNumber	attno = get_attnum(relid, name);
	Column		found = {InvalidOid, 0};
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (attno > 0)
		found = follow_relation(relid, attno);
	if (found.attno > 0)
	{
		values[0] = ObjectIdGetDatum(found.relid);
		values[1] = CStringGetTextDatum(get_attname(found.relid, found.attno, false));
		nulls[0] = nulls[1] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

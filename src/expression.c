/*
 * expression.c
 *	  Expressions of a mapping: checked, normalised, compiled, evaluated.
 *
 * The same row must give the same value whoever writes it: text forms of dates
 * and the day of a timestamp must not depend on DateStyle or TimeZone of the
 * session.  Expressions that could are evaluated under fixed formats and in
 * the zone of setting time_zone; what reads the clock or the session is
 * refused.
 *
 * A mapping is kept as text over the columns of the ERP's table, qualified
 * once at attach().  It is parsed under a search_path of pg_catalog alone and
 * evaluated as the user who fires the trigger, so it gives nobody a right.
 *
 * Most fields are plain columns.  These bypass the executor: the attribute is
 * taken from the slot and, where needed, turned into text or numeric by a
 * built-in function.  Anything else is planned once (GetCachedExpression
 * watches the functions it calls) and kept as executor state: for the life of
 * the cache entry if it consists of built-in functions only, else for one
 * transaction, because functions of users may hold on to things that end with
 * the transaction.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/fmgroids.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "credit.h"
#include "expression.h"
#include "setting.h"

#define SAFE_SEARCH_PATH "pg_catalog, pg_temp"

static void set_option(const char *name, const char *value);
static int	enter_search_path(const char *path);
static bool reads_session(Node *node, void *context);
static Node *raw_expression(const char *text, CreditField field);
static bool has_sublink(Node *node, void *context);
static bool is_foreign(Node *node, void *context);

PG_FUNCTION_INFO_V1(credit_normalise_expression);

static bool
has_system_column(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varattno < 0;
	return expression_tree_walker(node, has_system_column, context);
}

/* Refuses what does not stand for one value of one row. */
static void
refuse_unfit(Node *expr)
{
	const char *what = NULL;

	if (contain_aggs_of_level(expr, 0))
		what = "aggregate functions";
	else if (contain_windowfuncs(expr))
		what = "window functions";
	else if (expression_returns_set(expr))
		what = "set-returning functions";
	else if (has_system_column(expr, NULL))
		what = "system columns";
	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s are not allowed in a mapping", what)));
}

/*
 * Parses and checks one expression against a table, without the final
 * coercion to the field's type (which is checked, too).
 */
static Node *
parse_checked(Relation rel, const char *text, CreditField field, Node **coerced)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *nsitem;
	Oid			target = credit_fields[field].type;
	Node	   *expr;
	Node	   *result;

	pstate->p_sourcetext = text;
	nsitem = addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
										   NULL, false, true);
	addNSItemToQuery(pstate, nsitem, true, true, true);
	expr = transformExpr(pstate, raw_expression(text, field),
						 EXPR_KIND_OTHER);
	refuse_unfit(expr);

	if (target == BOOLOID)
		result = coerce_to_boolean(pstate, copyObject(expr),
								   credit_fields[field].name);
	else
		result = coerce_to_target_type(pstate, copyObject(expr), exprType(expr),
									   target, -1,
									   target == TEXTOID ? COERCION_EXPLICIT :
									   COERCION_ASSIGNMENT,
									   COERCE_EXPLICIT_CAST, -1);
	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("an expression of type %s cannot become %s",
						format_type_be(exprType(expr)), format_type_be(target)),
				 errhint("Add a cast.")));
	assign_expr_collations(pstate, expr);
	assign_expr_collations(pstate, result);

	if (contain_volatile_functions(result))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("volatile functions are not allowed in a mapping"),
				 errhint("The same row must give the same value whenever it is read.")));
	if (reads_session(result, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a mapping cannot read the clock or the session"),
				 errhint("The row would change its meaning without being written.")));
	*coerced = result;
	free_parsestate(pstate);
	return expr;
}

/* The bare expression a text consists of; anything more is refused. */
static Node *
raw_expression(const char *text, CreditField field)
{
	List	   *list = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	RawStmt    *raw = linitial_node(RawStmt, list);
	SelectStmt *select = (SelectStmt *) raw->stmt;
	ResTarget  *target;

	if (list_length(list) != 1 || !IsA(select, SelectStmt) ||
		list_length(select->targetList) != 1 || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->valuesLists || select->sortClause ||
		select->limitOffset || select->limitCount || select->lockingClause ||
		select->withClause || select->distinctClause || select->intoClause ||
		select->op != SETOP_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"%s\" is not one bare expression", text),
				 field == FIELD_KEY ?
				 errhint("Write a composite key in parentheses: (a, b).") : 0));
	target = linitial_node(ResTarget, select->targetList);
	if (target->name != NULL || target->indirection != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"%s\" is not one bare expression", text),
				 errhint("Leave out the alias.")));
	if (has_sublink(target->val, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sub-selects are not allowed in a mapping"),
				 errhint("Keep the fact in a column of the table.")));
	return target->val;
}

static bool
has_sublink(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
		return true;
	return raw_expression_tree_walker(node, has_sublink, context);
}

static bool
reads_session_function(Oid funcid, void *context)
{
	switch (funcid)
	{
		case F_NOW:
		case F_STATEMENT_TIMESTAMP:
		case F_TRANSACTION_TIMESTAMP:
		case F_CURRENT_SETTING_TEXT:
		case F_CURRENT_SETTING_TEXT_BOOL:
			return true;
		default:
			return false;
	}
}

/* current_date, current_user, now() and the like. */
static bool
reads_session(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) ||
		check_functions_in_node(node, reads_session_function, context))
		return true;
	return expression_tree_walker(node, reads_session, context);
}

/* Parses an expression as stored, under pg_catalog alone, with its coercion. */
Node *
expression_parse(Relation rel, const char *text, CreditField field)
{
	int			nestlevel = enter_search_path(SAFE_SEARCH_PATH);
	Node	   *coerced;

	(void) parse_checked(rel, text, field, &coerced);
	AtEOXact_GUC(false, nestlevel);
	return coerced;
}

/*
 * Is there anything in the tree that is not built in?  Such a tree is planned
 * and evaluated like any other, but its state does not outlive the
 * transaction, and an error in it is caught by a subtransaction.
 */
static bool
is_foreign_function(Oid funcid, void *context)
{
	return funcid >= FirstNormalObjectId;
}

static bool
is_foreign(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_RelabelType:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_CoerceViaIO:
		case T_ArrayExpr:
		case T_List:
			break;
		default:
			return true;
	}
	if (check_functions_in_node(node, is_foreign_function, context))
		return true;
	return expression_tree_walker(node, is_foreign, context);
}

/* A plain column whose value needs no executor to become the field's type? */
static bool
compile_column(CompiledField *compiled, Node *expr, CreditField field)
{
	Oid			target = credit_fields[field].type;
	Node	   *node = expr;
	Var		   *var;

	/* look through what does not change the value, or only its text form */
	if (IsA(node, CoerceViaIO))
		node = (Node *) ((CoerceViaIO *) node)->arg;
	else if (IsA(node, FuncExpr) &&
			 target == NUMERICOID && list_length(((FuncExpr *) node)->args) == 1)
		node = (Node *) linitial(((FuncExpr *) node)->args);
	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (!IsA(node, Var) || ((Var *) node)->varattno <= 0)
		return false;
	var = (Var *) node;

	if (var->vartype == target ||
		(target == TEXTOID && var->vartype == VARCHAROID))
	{
		if (IsA(expr, FuncExpr) || IsA(expr, CoerceViaIO))
			return false;		/* something is done to it after all */
	}
	else if (target == TEXTOID && IsA(expr, CoerceViaIO) &&
			 (var->vartype == INT2OID || var->vartype == INT4OID ||
			  var->vartype == INT8OID || var->vartype == NUMERICOID ||
			  var->vartype == UUIDOID))
		compiled->convert = true;
	else if (target == NUMERICOID && IsA(expr, FuncExpr) &&
			 (var->vartype == INT2OID || var->vartype == INT4OID ||
			  var->vartype == INT8OID))
		compiled->widen = true;
	else
		return false;

	compiled->attno = var->varattno;
	compiled->attypid = var->vartype;
	if (compiled->convert)
	{
		Oid			outfunc;
		bool		isvarlena;

		getTypeOutputInfo(var->vartype, &outfunc, &isvarlena);
		fmgr_info_cxt(outfunc, &compiled->output, CurrentMemoryContext);
	}
	return true;
}

/*
 * Compiles an expression into the current (long-lived) context and adds the
 * columns it reads to attnos (offset as in pull_varattnos).  Executor state is
 * built later, by expression_value.
 */
void
expression_compile(CompiledField *compiled, Relation rel, const char *text,
				   CreditField field, Bitmapset **attnos)
{
	MemoryContext keep = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(keep, "credit parse",
												  ALLOCSET_SMALL_SIZES);
	Node	   *expr;
	Bitmapset  *used = NULL;

	MemoryContextSwitchTo(scratch);
	expr = expression_parse(rel, text, field);
	pull_varattnos(expr, 1, &used);
	MemoryContextSwitchTo(keep);

	memset(compiled, 0, sizeof(CompiledField));
	if (!compile_column(compiled, expr, field))
	{
		MemoryContextSwitchTo(scratch);
		compiled->simple = !is_foreign(expr, NULL);
		compiled->mutable = contain_mutable_functions(expr);
		compiled->cached = GetCachedExpression(expr);
		MemoryContextSwitchTo(keep);
	}
	compiled->present = true;
	*attnos = bms_union(*attnos, used);
	MemoryContextDelete(scratch);
}

/*
 * Fixes the formats that values depend on, until the GUC level ends.  What is
 * right already, as it nearly always is, costs nothing.
 */
int
expression_fix_formats(void)
{
	const char *zone = pg_get_timezone_name(credit_settings()->time_zone);
	int			nestlevel = NewGUCNestLevel();

	if (DateStyle != USE_ISO_DATES || DateOrder != DATEORDER_MDY)
		set_option("datestyle", "ISO, MDY");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_option("intervalstyle", "postgres");
	if (extra_float_digits != 1)
		set_option("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set_option("bytea_output", "hex");
	if (strcmp(pg_get_timezone_name(session_timezone), zone) != 0)
		set_option("timezone", zone);
	return nestlevel;
}

void
expression_free(CompiledField *compiled)
{
	if (compiled->cached)
		FreeCachedExpression(compiled->cached);
	compiled->cached = NULL;
}

/*
 * Value of a field for the row in the slot.  Pass-by-reference values point
 * into the slot or into the current context.
 */
Datum
expression_value(CompiledField *compiled, CreditField field,
				 TupleTableSlot *slot, ExprContext *econtext, bool *isnull)
{
	Datum		value;

	if (compiled->attno == 0)
	{
		econtext->ecxt_scantuple = slot;
		return ExecEvalExpr(compiled->state, econtext, isnull);
	}

	value = slot_getattr(slot, compiled->attno, isnull);
	if (*isnull)
		return (Datum) 0;
	if (compiled->convert)
		return PointerGetDatum(cstring_to_text(OutputFunctionCall(&compiled->output,
																  value)));
	if (compiled->widen)
		switch (compiled->attypid)
		{
			case INT2OID:
				return NumericGetDatum(int64_to_numeric(DatumGetInt16(value)));
			case INT4OID:
				return NumericGetDatum(int64_to_numeric(DatumGetInt32(value)));
			default:
				return NumericGetDatum(int64_to_numeric(DatumGetInt64(value)));
		}
	return value;
}

/* Sets a parameter until the GUC level ends. */
static void
set_option(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static int
enter_search_path(const char *path)
{
	int			nestlevel = NewGUCNestLevel();

	set_option("search_path", path);
	return nestlevel;
}

/*
 * normalise_expression(relation, expression, field, path): checks an expression
 * as attach() must and returns it with every name qualified.
 */
Datum
credit_normalise_expression(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *expression = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *field_name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *path = text_to_cstring(PG_GETARG_TEXT_PP(3));
	CreditField field;
	Relation	rel;
	Node	   *expr;
	Node	   *coerced;
	char	   *result;
	int			nestlevel;

	if (!credit_field_parse(field_name, &field))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no field \"%s\"", field_name),
				 errhint("credit.field_catalog() lists the fields of a mapping.")));
	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));

	rel = table_open(relid, AccessShareLock);
	nestlevel = enter_search_path(path);
	expr = parse_checked(rel, expression, field, &coerced);
	AtEOXact_GUC(false, nestlevel);

	nestlevel = enter_search_path(SAFE_SEARCH_PATH);
	result = deparse_expression(expr,
								deparse_context_for(RelationGetRelationName(rel), relid),
								false, false);
	/* what is stored must read back to the same */
	(void) parse_checked(rel, result, field, &coerced);
	AtEOXact_GUC(false, nestlevel);
	table_close(rel, AccessShareLock);
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

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
 * Two plans stand ready for a view: for the row of one key, and for those of
 * many.  A view that joins a grouped sub-select is fast for one key, which the
 * planner takes into the sub-select, and reads everything for many; the costs
 * of both plans say which it is.  Plans are generic: planning a view anew costs
 * more than all the rest.
 *
 * What fails because of the mapping (a column is gone, a value is no date) is
 * survived in a subtransaction and reported as source.c does.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "credit.h"
#include "expression.h"
#include "ledger.h"
#include "viewsource.h"

#define DEPENDENCY_TABLE "dependency"

/* Columns of the query of a view: key, whether it counts, fields. */
#define COLUMN_KEY 1
#define COLUMN_COUNTS 2
#define COLUMN_FIELDS 3

static ViewList *current = NULL;
static MemoryContext current_cxt = NULL;
static bool is_valid = false;
static uint64 generation = 0;
static Oid	source_relid = InvalidOid;
static Oid	dependency_relid = InvalidOid;

PG_FUNCTION_INFO_V1(credit_check_view);
PG_FUNCTION_INFO_V1(credit_view_rows);
PG_FUNCTION_INFO_V1(credit_normalise_changed_keys);

/* Only marks. */
void
credit_viewsource_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == source_relid || relid == dependency_relid)
		is_valid = false;
}

static void
set_option(const char *name, const char *value)
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
	set_option("search_path", "pg_catalog, pg_temp");
	if (row_security)
		set_option("row_security", "off");
}

void
owner_leave(OwnerScope *scope)
{
	AtEOXact_GUC(false, scope->nestlevel);
	SetUserIdAndSecContext(scope->userid, scope->sec_context);
}

/* Frees the plans of a list that goes. */
static void
free_plans(void *arg)
{
	ViewList   *list = arg;

	for (int i = 0; i < list->nviews; i++)
	{
		if (list->views[i].one)
			SPI_freeplan(list->views[i].one);
		if (list->views[i].many)
			SPI_freeplan(list->views[i].many);
	}
	for (int i = 0; i < list->n; i++)
		if (list->dependencies[i].plan)
			SPI_freeplan(list->dependencies[i].plan);
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

/*
 * The list as it is now; good until the end of the transaction, even if it is
 * replaced meanwhile.
 */
const ViewList *
view_list(void)
{
	MemoryContext cxt;
	MemoryContext old;
	ViewList   *list;
	MemoryContextCallback *callback;

	if (is_valid)
		return current;
	source_relid = ledger_relid(LEDGER_SOURCE);
	cxt = AllocSetContextCreate(CacheMemoryContext, "credit views",
								ALLOCSET_SMALL_SIZES);
	/* first, so that an invalidation while we read leads to another look */
	is_valid = true;
	PG_TRY();
	{
		old = MemoryContextSwitchTo(cxt);
		list = palloc0(sizeof(ViewList));
		list->generation = ++generation;
		load_views(list);
		load_dependencies(list);
		callback = palloc0(sizeof(MemoryContextCallback));
		callback->func = free_plans;
		callback->arg = list;
		MemoryContextRegisterResetCallback(cxt, callback);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		is_valid = false;
		MemoryContextDelete(cxt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (current_cxt != NULL)
		MemoryContextSetParent(current_cxt, TopTransactionContext);
	current = list;
	current_cxt = cxt;
	return current;
}

/* A source, read as a view is; NULL: there is none of this number (any more). */
ViewSource *
view_find(int32 source_id)
{
	return find_in((ViewList *) view_list(), source_id);
}

/*
 * Runs a step that a mapping can make fail, in a subtransaction; the error, if
 * there was one that is the mapping's fault, else NULL.
 */
static ErrorData *
attempt(void (*step) (void *), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(caller);
		step(arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (!source_is_mapping_error(edata->sqlerrcode))
			ReThrowError(edata);
	}
	PG_END_TRY();
	return edata;
}

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

/* SELECT of all fields of a view; the columns are numbered above. */
static void
append_select(StringInfo query, Oid relid, char **texts)
{
	appendStringInfo(query, "SELECT (%s)::pg_catalog.text, %s", texts[FIELD_KEY],
					 texts[FIELD_COUNTS_WHEN] ? texts[FIELD_COUNTS_WHEN] : "true");
	for (int f = 0; f < FIELD_COUNT; f++)
		if (f != FIELD_KEY && f != FIELD_COUNTS_WHEN && texts[f] != NULL)
			appendStringInfo(query, ", (%s)::%s", texts[f],
							 format_type_extended(credit_fields[f].type, -1,
												  FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfo(query, " FROM %s", view_name(relid));
}

/* Plans the query for one key, or for an array of keys. */
static SPIPlanPtr
plan_rows(Oid relid, char **texts, bool many)
{
	StringInfoData query;
	SPIPlanPtr	plan;
	char	   *type = key_type_name(relid, texts[FIELD_KEY]);
	Oid			argument = many ? TEXTARRAYOID : TEXTOID;

	initStringInfo(&query);
	append_select(&query, relid, texts);
	if (many && get_rel_relkind(relid) != RELKIND_VIEW)
		/* no index on an expression: one pass, and not one look a row and key */
		appendStringInfo(&query, " WHERE (%s)%s OPERATOR(pg_catalog.=) ANY "
						 "(SELECT pg_catalog.unnest($1%s%s%s))",
						 texts[FIELD_KEY], type == NULL ? "::pg_catalog.text" : "",
						 type == NULL ? "" : "::", type == NULL ? "" : type,
						 type == NULL ? "" : "[]");
	else
		appendStringInfo(&query, " WHERE (%s)%s OPERATOR(pg_catalog.=) %s$1%s%s%s%s",
						 texts[FIELD_KEY], type == NULL ? "::pg_catalog.text" : "",
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
	stale = plan_rows(view->source.relid, view->texts, many);
	SPI_keepplan(stale);
	*plan = stale;
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

/* A step for attempt: reads the rows of the keys of a job. */
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
	view->broken_in = credit_local_xid();	/* until it is planned */
	ensure_plan(view, &view->one, false);
	if (job->n > 1)
		ensure_plan(view, &view->many, true);
	view->broken_in = InvalidLocalTransactionId;
	if (job->n > 1 && job->n * plan_cost(view->one) > plan_cost(view->many))
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
	strlcpy(view->sqlstate, unpack_sql_state(edata->sqlerrcode), 6);
	view->message = MemoryContextStrdup(current_cxt, edata->message);
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
	ReadJob		job = {view, keys, n, CurrentMemoryContext, NIL, NULL};
	ErrorData  *edata;
	bool		is_all = true;

	job.is_found = palloc(sizeof(bool) * n);
	if (view->broken_in == credit_local_xid())
	{
		source_report_problem(&view->source, view->sqlstate, view->message);
		memset(keys, 0, sizeof(char *) * n);
		return false;
	}
	edata = attempt(read_rows, &job);
	if (edata == NULL)
	{
		*rows = list_concat(*rows, job.rows);
		return true;
	}
	if (view->broken_in == credit_local_xid())
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

/* What read_keys is asked to do. */
typedef struct KeyJob
{
	Dependency *dependency;		/* NULL: all keys of the view */
	ViewSource *view;
	Tuplestorestate *changed;
	MemoryContext cxt;
	List	   *keys;
} KeyJob;

/* Registers relation "changed" with the SPI connection. */
static void
register_changed(Oid relid, Tuplestorestate *changed)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

	enr->md.name = CHANGED_NAME;
	enr->md.reliddesc = relid;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = changed == NULL ? 0 : tuplestore_tuple_count(changed);
	enr->reldata = changed;
	if (SPI_register_relation(enr) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register relation \"%s\"", CHANGED_NAME);
}

/* Plans the key query of a dependency. */
static SPIPlanPtr
plan_keys(const char *changed_keys)
{
	char	   *query = psprintf("SELECT q.key::pg_catalog.text FROM (%s\n) AS q (key) "
								 "WHERE q.key IS NOT NULL", changed_keys);
	SPIPlanPtr	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query,
			 SPI_result_code_string(SPI_result));
	return plan;
}

static int
run_all_keys(ViewSource *view)
{
	StringInfoData query;

	initStringInfo(&query);
	append_select(&query, view->source.relid, view->texts);
	return SPI_execute(query.data, true, 0);
}

static int
run_key_query(Dependency *dependency, Tuplestorestate *changed)
{
	SPIPlanPtr	plan = dependency->plan;

	register_changed(dependency->relid, changed);
	if (plan == NULL || !SPI_plan_is_valid(plan))
	{
		dependency->plan = NULL;
		if (plan != NULL)
			SPI_freeplan(plan);
		plan = plan_keys(dependency->changed_keys);
		SPI_keepplan(plan);
		dependency->plan = plan;
	}
	return SPI_execute_plan(plan, NULL, NULL, true, 0);
}

/* A step for attempt: the keys that a query returns. */
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
	edata = attempt(read_keys, &job);
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
	ErrorData  *edata = attempt(read_keys, &job);

	if (edata == NULL)
		return job.keys;
	source_report_problem(&view->source, unpack_sql_state(edata->sqlerrcode),
						  edata->message);
	return NIL;
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
	char	   *texts[FIELD_COUNT];
	OwnerScope	scope;
	SPIPlanPtr	plan;

	load_texts(PG_GETARG_JSONB_P(1), texts);
	owner_enter(&scope, relid);
	SPI_connect();
	for (int many = 0; many < 2; many++)
	{
		/* not run, only started: that checks the rights of the owner */
		Datum		none = PointerGetDatum(construct_empty_array(TEXTOID));

		plan = plan_rows(relid, texts, many == 1);
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

/* What read_column is asked to do. */
typedef struct ParseJob
{
	Dependency *dependency;
	MemoryContext scratch;
} ParseJob;

/* A step for attempt. */
static void
parse_step(void *arg)
{
	ParseJob   *job = arg;
	OwnerScope	scope;

	job->dependency->attno = 0;
	owner_enter(&scope, job->dependency->view->source.relid);
	MemoryContextSwitchTo(job->scratch);
	job->dependency->attno = plain_column(parse_keys(job->dependency->relid,
													 job->dependency->changed_keys));
	owner_leave(&scope);
}

/*
 * Most key queries name a column of the row, which the trigger can look at
 * without asking anybody.  0: the query has to be run.  Columns keep their
 * numbers, so it is parsed once; one that is dropped or gets another type
 * since is left to the query, to fail or to do it.
 */
AttrNumber
view_key_column(Dependency *dependency, TupleDesc desc)
{
	ParseJob	job = {dependency, NULL};
	Form_pg_attribute att;

	if (!dependency->is_parsed)
	{
		job.scratch = AllocSetContextCreate(CurrentMemoryContext, "credit key query",
											ALLOCSET_DEFAULT_SIZES);
		(void) attempt(parse_step, &job);
		MemoryContextDelete(job.scratch);
		dependency->is_parsed = true;
	}
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
	set_option("search_path", path);
	query = parse_keys(relid, query_text);
	AtEOXact_GUC(false, nestlevel);

	owner_enter(&scope, view);
	(void) make_printable((Node *) query, NULL);
	result = pg_get_querydef(query, false);
	result += strspn(result, " \n");
	SPI_connect();
	changed = tuplestore_begin_heap(false, false, work_mem);
	register_changed(relid, changed);
	SPI_cursor_close(SPI_cursor_open(NULL, plan_keys(result), NULL, NULL, true));
	tuplestore_end(changed);
	SPI_finish();
	owner_leave(&scope);
	relation_close(rel, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(result));
}

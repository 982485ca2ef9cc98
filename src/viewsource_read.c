/*
 * viewsource_read.c
 *	  Rows of documents, read through a view.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "credit.h"
#include "viewsource.h"

PG_FUNCTION_INFO_V1(credit_check_view);
PG_FUNCTION_INFO_V1(credit_view_rows);

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

/* The number of a key that was asked for. */
static int
number_of_key(ReadJob *job, const char *key)
{
	char	  **place = bsearch(&key, job->keys, job->n, sizeof(char *), pg_qsort_strcmp);

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
run_many(ReadJob *job, SPIPlanPtr plan)
{
	Datum	   *values = palloc(sizeof(Datum) * job->n);

	for (int i = 0; i < job->n; i++)
		values[i] = CStringGetTextDatum(job->keys[i]);
	run_plan(job, plan,
			 PointerGetDatum(construct_array(values, job->n, TEXTOID, -1, false,
											 TYPALIGN_INT)));
}

/* A step for source_attempt: reads the rows of the keys of a job. */
static void
read_rows(void *arg)
{
	ReadJob    *job = arg;
	ViewSource *view = job->view;
	ViewPlan	which;
	OwnerScope	scope;

	job->rows = NIL;
	memset(job->is_found, 0, sizeof(bool) * job->n);
	owner_enter(&scope, view->source.relid);
	SPI_connect();
	which = view_choose_plan(view, job->n);
	job->is_planned = true;
	if (which == PLAN_ONE)
		for (int i = 0; i < job->n; i++)
			run_plan(job, view->plans[PLAN_ONE], CStringGetTextDatum(job->keys[i]));
	else
		run_many(job, view->plans[which]);
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
	view_find_shared(view);
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

	memset(&view, 0, sizeof(view));
	view.source.relid = relid;
	view.source.is_view = true;
	load_texts(PG_GETARG_JSONB_P(1), view.texts);
	owner_enter(&scope, relid);
	SPI_connect();
	view_try_plans(&view);
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

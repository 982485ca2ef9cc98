/*
 * adhoc.c
 *	  Reports by one call over any query: aging_report() and payment_report().
 *
 * What the aggregates aging() and payment_profile() say of each group, without
 * the executor's GROUP BY: rows of the query go straight from the executor to
 * groups of our own (grouping.c).  The rows of the result are those of
 *
 *	   SELECT key, ..., credit.aging(open_amount, due_date, as_of)
 *		 FROM query GROUP BY key, ...
 *
 * How many keys there are, and of which types, says the column definition list
 * of the call: all of its columns but the last, which is the composite result.
 *
 * The query runs as the caller, with the caller's snapshot, and read-only: it
 * can do nothing that the caller could not do in a function of their own.  It
 * is one statement that returns rows, or it is refused.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "aging.h"
#include "behaviour.h"
#include "credit.h"
#include "grouping.h"
#include "progress.h"

/* Rows between two reports of progress. */
#define PROGRESS_ROWS 4096

/* A report while it is made. */
typedef struct Report
{
	DestReceiver receiver;		/* the first: a pointer to one is to the other */
	const char *name;			/* of the function */
	const char *result;			/* the type of the last column */
	int			ncolumns;		/* of that */
	const char *const *values;	/* names of the columns behind the keys */
	int			nvalues;

	ReturnSetInfo *rsinfo;
	int			nkeys;
	TupleDesc	desc;			/* of the last column */
	MemoryContext cxt;
	Grouping   *grouping;		/* NULL: the query has not begun */
	GroupingSubject subject;
	int64		nrows;

	PaymentCall *payment;		/* one of the two */
	AgingCall  *aging;
	bool		has_bounds;		/* aging only, as are those below */
	bool		has_as_of;
	DateADT		as_of;
} Report;

static const char *const aging_values[] = {"open_amount", "due_date"};
static const char *const payment_values[] = {"amount", "invoice_date", "due_date", "paid_date"};

PG_FUNCTION_INFO_V1(credit_aging_report);
PG_FUNCTION_INFO_V1(credit_aging_report_bounds);
PG_FUNCTION_INFO_V1(credit_payment_report);

/* --- rows of the query ---------------------------------------------------- */

static inline void
count_row(Report *report)
{
	if (unlikely(++report->nrows % PROGRESS_ROWS == 0))
		progress_advance(PROGRESS_ROWS);
}

static bool
receive_aging_row(TupleTableSlot *slot, DestReceiver *receiver)
{
	Report	   *report = (Report *) receiver;
	int			k = report->nkeys;
	const Datum *values;
	const bool *isnull;
	AgingRow	row;
	int64		amount;
	int			scale;

	slot_getsomeattrs(slot, k + report->nvalues);
	values = slot->tts_values;
	isnull = slot->tts_isnull;
	if (likely(!isnull[k] && money_read_small(values[k], &amount, &scale)))
	{
		row.amount = amount;
		row.scale = scale;
		row.sum = aging_sum(report->aging, amount < 0,
							report->has_as_of && !isnull[k + 1],
							DatumGetDateADT(values[k + 1]), report->as_of);
		grouping_add(report->grouping, values, isnull, (int64 *) &row);
	}
	else
		grouping_add_unusual(report->grouping, values, isnull);
	count_row(report);
	return true;
}

static bool
receive_payment_row(TupleTableSlot *slot, DestReceiver *receiver)
{
	Report	   *report = (Report *) receiver;
	int			k = report->nkeys;
	const Datum *values;
	const bool *isnull;
	int64		data[2];

	slot_getsomeattrs(slot, k + report->nvalues);
	values = slot->tts_values;
	isnull = slot->tts_isnull;
	if (likely(payment_usual(report->payment, values + k, isnull + k, data)))
		grouping_add(report->grouping, values, isnull, data);
	else
		grouping_add_unusual(report->grouping, values, isnull);
	count_row(report);
	return true;
}

/* --- groups --------------------------------------------------------------- */

static void *
begin_aging(void *subject, MemoryContext cxt)
{
	return aging_begin(((Report *) subject)->aging, cxt);
}

static void *
begin_payment(void *subject, MemoryContext cxt)
{
	return payment_begin(((Report *) subject)->payment, cxt);
}

static void
add_unusual_payment(void *subject, void *group, const NullableDatum *values)
{
	payment_add_unusual(((Report *) subject)->payment, group, values);
}

/* A row whose amount is NULL, large, fine or no number. */
static void
add_unusual_aging(void *subject, void *group, const NullableDatum *values)
{
	Report	   *report = subject;
	Money		amount;

	if (values[0].isnull)
	{
		aging_skip(group, 1);
		return;
	}
	money_read(values[0].value, &amount);
	aging_add(group, &amount, report->has_as_of && !values[1].isnull,
			  DatumGetDateADT(values[1].value), report->as_of);
}

static void
put_result(Report *report, const NullableDatum *key, Datum result)
{
	Datum		values[GROUPING_MAX_KEYS + 1];
	bool		isnull[GROUPING_MAX_KEYS + 1];

	for (int i = 0; i < report->nkeys; i++)
	{
		values[i] = key[i].value;
		isnull[i] = key[i].isnull;
	}
	values[report->nkeys] = result;
	isnull[report->nkeys] = false;
	tuplestore_putvalues(report->rsinfo->setResult, report->rsinfo->setDesc,
						 values, isnull);
}

static void
end_aging(void *subject, const NullableDatum *key, void *group)
{
	Report	   *report = subject;

	put_result(report, key, aging_result(report->desc, group, report->has_bounds));
}

static void
end_payment(void *subject, const NullableDatum *key, void *group)
{
	Report	   *report = subject;

	put_result(report, key,
			   payment_measures(group == NULL ? NULL : payment_settled(group),
								report->desc));
}

/* --- columns -------------------------------------------------------------- */

static char *
list_columns(const Report *report)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < report->nvalues; i++)
		appendStringInfo(&list, i == 0 ? "%s" : ", %s", report->values[i]);
	return list.data;
}

static void
check_number(const Report *report, int ncolumns)
{
	if (ncolumns == report->nkeys + report->nvalues)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("query of %s has %d columns, and %d are needed", report->name,
					ncolumns, report->nkeys + report->nvalues),
			 errdetail("All columns of the definition list but the last are keys. Keys in it: %d; behind them the query must have %s.",
					   report->nkeys, list_columns(report)),
			 errhint("Write the query as SELECT key, ..., %s FROM ...",
					 list_columns(report))));
}

/* A key must be what the definition list says it is. */
static void
check_key(const Report *report, int i, const FormData_pg_attribute *column)
{
	const FormData_pg_attribute *wanted = TupleDescAttr(report->rsinfo->expectedDesc, i);

	if (IsBinaryCoercible(column->atttypid, wanted->atttypid) &&
		column->attlen == wanted->attlen && column->attbyval == wanted->attbyval &&
		(wanted->atttypmod < 0 || (wanted->atttypmod == column->atttypmod &&
								   wanted->atttypid == column->atttypid)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column %d of the query of %s has type %s, and the definition list says %s",
					i + 1, report->name,
					format_type_with_typemod(column->atttypid, column->atttypmod),
					format_type_with_typemod(wanted->atttypid, wanted->atttypmod)),
			 errhint("Change the definition list, or the type in the query.")));
}

static void
check_value(const Report *report, int i, const FormData_pg_attribute *column)
{
	Oid			wanted = i == 0 ? NUMERICOID : DATEOID;

	if (getBaseType(column->atttypid) == wanted)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s, column %d of the query of %s, has type %s, and must have type %s",
					report->values[i], report->nkeys + i + 1, report->name,
					format_type_be(column->atttypid), format_type_be(wanted)),
			 errdetail("Keys in the definition list: %d; behind them the query must have %s.",
					   report->nkeys, list_columns(report)),
			 errhint("Cast the column in the query.")));
}

/* The query is about to run, and its columns are known. */
static void
begin_rows(DestReceiver *receiver, int operation, TupleDesc columns)
{
	Report	   *report = (Report *) receiver;
	MemoryContext caller;

	check_number(report, columns->natts);
	for (int i = 0; i < report->nkeys; i++)
		check_key(report, i, TupleDescAttr(columns, i));
	for (int i = 0; i < report->nvalues; i++)
		check_value(report, i, TupleDescAttr(columns, report->nkeys + i));
	caller = MemoryContextSwitchTo(report->cxt);
	report->grouping = grouping_make(&report->subject, columns, report->nkeys,
									 get_hash_memory_limit());
	MemoryContextSwitchTo(caller);
}

static void
end_rows(DestReceiver *receiver)
{
}

/* The row type of the last column of the definition list. */
static void
read_result_type(Report *report)
{
	TupleDesc	expected = report->rsinfo->expectedDesc;
	Oid			type = InvalidOid;
	Oid			nspoid = get_namespace_oid("credit", true);

	if (OidIsValid(nspoid))
		type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
							   CStringGetDatum(report->result),
							   ObjectIdGetDatum(nspoid));
	report->nkeys = expected->natts - 1;
	if (report->nkeys < 0 || !OidIsValid(type) ||
		TupleDescAttr(expected, report->nkeys)->atttypid != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the last column of the definition list of %s must have type credit.%s",
						report->name, report->result),
				 errhint("Write a column for each key and the result behind them: ... AS r(customer bigint, result credit.%s).",
						 report->result)));
	if (report->nkeys > GROUPING_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("%s groups by at most %d columns, not %d", report->name,
						GROUPING_MAX_KEYS, report->nkeys)));
	report->desc = lookup_rowtype_tupdesc_copy(type, -1);
	if (report->desc->natts != report->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("results of %s in library and catalog do not have the same columns",
						report->name),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
}

/* --- the call ------------------------------------------------------------- */

static char *
query_of(FunctionCallInfo fcinfo, const char *name)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("query of %s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

/*
 * Runs the query, whose rows come to the receiver.  SPI has the plan run in
 * parallel where that is possible, and refuses what writes.
 */
static void
run_query(Report *report, const char *query)
{
	SPIExecuteOptions options = {0};
	SPIPlanPtr	plan;
	int			code;

	SPI_connect();
	plan = SPI_prepare_cursor(query, 0, NULL, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "cannot prepare a query: %s",
			 SPI_result_code_string(SPI_result));
	if (!SPI_is_cursor_plan(plan))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("query of %s must be one statement that returns rows",
						report->name),
				 errhint("Give a single SELECT.")));
	options.read_only = true;
	options.must_return_tuples = true;
	options.dest = &report->receiver;
	code = SPI_execute_plan_extended(plan, &options);
	if (code < 0)
		elog(ERROR, "cannot run a query: %s", SPI_result_code_string(code));
	SPI_finish();
}

/*
 * Makes a report whose subject is known: all memory it takes is freed with the
 * context of this call, also after an error.
 */
static void
make_report(FunctionCallInfo fcinfo, Report *report)
{
	char	   *query = query_of(fcinfo, report->name);

	check_stack_depth();
	report->subject.subject = report;
	report->subject.nvalues = report->nvalues;
	report->cxt = AllocSetContextCreate(CurrentMemoryContext, "credit report",
										ALLOCSET_DEFAULT_SIZES);
	report->receiver.rStartup = begin_rows;
	report->receiver.rShutdown = end_rows;
	report->receiver.rDestroy = end_rows;
	report->receiver.mydest = DestNone;

	progress_begin(report->name, "a query");
	progress_phase("reading rows", -1);
	run_query(report, query);
	if (report->grouping != NULL)
		grouping_end(report->grouping);
	progress_end();
	MemoryContextDelete(report->cxt);
}

/* Looks at what is the same for all kinds of reports. */
static void
begin_report(FunctionCallInfo fcinfo, Report *report)
{
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	report->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	read_result_type(report);
}

static Datum
make_aging_report(FunctionCallInfo fcinfo, bool has_bounds)
{
	Report		report = {
		.name = "aging_report",
		.result = has_bounds ? "aging_array" : "aging_buckets",
		.ncolumns = aging_columns(has_bounds),
		.values = aging_values,
		.nvalues = lengthof(aging_values),
		.has_bounds = has_bounds,
		.has_as_of = !PG_ARGISNULL(1),
		.receiver.receiveSlot = receive_aging_row,
	};

	begin_report(fcinfo, &report);
	report.as_of = report.has_as_of ? PG_GETARG_DATEADT(1) : 0;
	report.aging = aging_call(fcinfo, 2, has_bounds);
	report.subject.backlog = aging_backlog(report.aging);
	report.subject.begin = begin_aging;
	report.subject.add_unusual = add_unusual_aging;
	report.subject.end = end_aging;
	make_report(fcinfo, &report);
	return (Datum) 0;
}

/* aging_report(query, as_of, credits) */
Datum
credit_aging_report(PG_FUNCTION_ARGS)
{
	return make_aging_report(fcinfo, false);
}

/* aging_report(query, as_of, bounds, credits, basis) */
Datum
credit_aging_report_bounds(PG_FUNCTION_ARGS)
{
	return make_aging_report(fcinfo, true);
}

/* payment_report(query, as_of, grace_days, half_life): as_of NULL: none */
Datum
credit_payment_report(PG_FUNCTION_ARGS)
{
	Report		report = {
		.name = "payment_report",
		.result = "payment_measures",
		.ncolumns = payment_columns(),
		.values = payment_values,
		.nvalues = lengthof(payment_values),
		.receiver.receiveSlot = receive_payment_row,
	};
	PaymentTerms terms;

	begin_report(fcinfo, &report);
	terms.as_of = DATEVAL_NOBEGIN;
	if (!PG_ARGISNULL(1))
	{
		terms.as_of = PG_GETARG_DATEADT(1);
		payment_check_as_of(terms.as_of);
	}
	terms.grace = (int16) payment_grace(fcinfo, 2);
	terms.half_life = (int16) payment_half_life(fcinfo, 3);
	report.payment = payment_call(terms);
	report.subject.backlog = payment_backlog(report.payment);
	report.subject.begin = begin_payment;
	report.subject.add_unusual = add_unusual_payment;
	report.subject.end = end_payment;
	make_report(fcinfo, &report);
	return (Datum) 0;
}

/*
 * logit_model.c
 *	  What a logistic regression is to fit, and a look at its rows.
 *
 * The model is read from the arguments of fit_logit(), the rows by queries
 * that run as the caller: a first look that checks everything and keeps as
 * many rows as fit into memory, and then one step after another, over all rows
 * or over those that were kept.  Which steps, logit_fit.c decides.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/nodeHash.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "credit.h"
#include "linalg.h"
#include "logit_model.h"

/* --- what to fit ---------------------------------------------------------- */

/* The first word of a query; a table of that name would need quotes. */
static bool
is_query(const char *source)
{
	static const char *const words[] = {"select", "with", "values", "table"};
	int			i;

	while (isspace((unsigned char) *source) || *source == '(')
		source++;
	if (strncmp(source, "--", 2) == 0 || strncmp(source, "/*", 2) == 0)
		return true;
	for (i = 0; i < (int) lengthof(words); i++)
	{
		size_t		size = strlen(words[i]);
		char		next;

		if (pg_strncasecmp(source, words[i], size) != 0)
			continue;
		next = source[size];
		if (isspace((unsigned char) next) || next == '(' || next == '*' ||
			next == '/' || next == '-')
			return true;
	}
	return false;
}

const char *
model_from_relation(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation)));
	return psprintf("%s AS q",
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
											   name));
}

/*
 * A query stands in parentheses of its own lines, so that a comment at its end
 * hides nothing of ours.  It is the caller's text, run with the caller's
 * rights; what could be put in behind it, the caller could run as well.
 */
const char *
model_from_source(text *source)
{
	char	   *string = text_to_cstring(source);

	if (is_query(string))
		return psprintf("(\n%s\n) AS q", string);
	return model_from_relation(DatumGetObjectId(DirectFunctionCall1(regclassin,
															  CStringGetDatum(string))));
}

static void
refuse_null(FunctionCallInfo fcinfo, int arg, const char *what)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of a logistic regression must not be null", what)));
}

static void
read_names(LogitModel *model, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			i;
	int			j;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("variables must be a one-dimensional array of column names")));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &model->n_variables);
	if (model->n_variables < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a logistic regression needs at least one variable")));
	if (model->n_variables > LOGIT_MAX_VARIABLES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a logistic regression can have at most %d variables, not %d",
						LOGIT_MAX_VARIABLES, model->n_variables)));
	model->names = palloc(sizeof(char *) * model->n_variables);
	for (i = 0; i < model->n_variables; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("names of variables must not be null")));
		model->names[i] = TextDatumGetCString(elements[i]);
		for (j = 0; j < i; j++)
			if (strcmp(model->names[i], model->names[j]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("variable \"%s\" is named twice",
								model->names[i])));
	}
}

/* What all fits begin with: source, event, variables, weight. */
LogitModel *
model_read_columns(FunctionCallInfo fcinfo)
{
	LogitModel *model = palloc0(sizeof(LogitModel));

	refuse_null(fcinfo, 0, "source");
	refuse_null(fcinfo, 1, "event column");
	refuse_null(fcinfo, 2, "list of variables");
	model->is_event = text_to_cstring(PG_GETARG_TEXT_PP(1));
	read_names(model, PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(3))
		model->weight = text_to_cstring(PG_GETARG_TEXT_PP(3));
	model->has_intercept = true;
	model->n = model->n_variables + 1;
	return model;
}

/* The arguments but the first, which says where the rows are. */
LogitModel *
model_read(FunctionCallInfo fcinfo)
{
	LogitModel *model = model_read_columns(fcinfo);

	refuse_null(fcinfo, 4, "ridge");
	refuse_null(fcinfo, 5, "argument \"standardise\"");
	refuse_null(fcinfo, 6, "argument \"intercept\"");
	refuse_null(fcinfo, 7, "argument \"max_iterations\"");
	model->ridge = PG_GETARG_FLOAT8(4);
	model->is_standardised = PG_GETARG_BOOL(5);
	model->has_intercept = PG_GETARG_BOOL(6);
	model->max_iterations = PG_GETARG_INT32(7);
	model->n = model->n_variables + (model->has_intercept ? 1 : 0);
	if (!(model->ridge >= 0 && model->ridge <= LOGIT_MAX_VALUE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ridge must be at least 0 and finite, not %g",
						model->ridge)));
	if (model->max_iterations < 1 || model->max_iterations > 1000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of iterations must be 1 to 1000, not %d",
						model->max_iterations)));
	return model;
}

/* --- queries -------------------------------------------------------------- */

/* A plan for one SELECT; a text with several statements is refused. */
static SPIPlanPtr
prepare(const char *query, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(query, nargs, types,
										  CURSOR_OPT_PARALLEL_OK);

	if (plan == NULL)
		elog(ERROR, "cannot prepare a query: %s",
			 SPI_result_code_string(SPI_result));
	if (list_length(SPI_plan_get_plan_sources(plan)) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("source of a logistic regression must be one query")));
	return plan;
}

/* Read-only: all queries see the rows as the caller's statement sees them. */
static void
run(SPIPlanPtr plan, Datum *args)
{
	int			code = SPI_execute_plan(plan, args, NULL, true, 0);

	if (code != SPI_OK_SELECT)
		elog(ERROR, "cannot run a query: %s", SPI_result_code_string(code));
}

/* Column i of the result as a float8. */
static const char *
float_expression(const char *name, Oid type)
{
	const char *quoted = quote_identifier(name);
	char		category;
	bool		is_preferred;

	get_type_category_preferred(getBaseType(type), &category, &is_preferred);
	if (category == TYPCATEGORY_BOOLEAN)
		return psprintf("q.%s::pg_catalog.int4::pg_catalog.float8", quoted);
	if (category == TYPCATEGORY_NUMERIC)
		return psprintf("q.%s::pg_catalog.float8", quoted);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is of type %s, which is no number", name,
					format_type_be(type)),
			 errhint("Give a query that turns it into numbers, such as CASE or a weight of evidence.")));
}

/* The expressions that all queries share, from the types of the columns. */
void
model_find_columns(LogitModel *model)
{
	StringInfoData query;
	StringInfoData values;
	TupleDesc	desc;
	int			i;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT q.%s",
					 quote_identifier(model->is_event));
	for (i = 0; i < model->n_variables; i++)
		appendStringInfo(&query, ", q.%s", quote_identifier(model->names[i]));
	if (model->weight != NULL)
		appendStringInfo(&query, ", q.%s", quote_identifier(model->weight));
	appendStringInfo(&query, " FROM %s LIMIT 0", model->from);
	run(prepare(query.data, 0, NULL), NULL);

	desc = SPI_tuptable->tupdesc;
	if (getBaseType(SPI_gettypeid(desc, 1)) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("event column \"%s\" must be boolean, not %s",
						model->is_event,
						format_type_be(SPI_gettypeid(desc, 1))),
				 errhint("Give a query: SELECT status = 'bad' AS is_bad, ...")));
	initStringInfo(&values);
	appendStringInfo(&values, "q.%s, ARRAY[",
					 quote_identifier(model->is_event));
	for (i = 0; i < model->n_variables; i++)
		appendStringInfo(&values, "%s%s", i == 0 ? "" : ", ",
						 float_expression(model->names[i],
										  SPI_gettypeid(desc, i + 2)));
	appendStringInfo(&values, "]::pg_catalog.float8[], %s",
					 model->weight == NULL ? "1::pg_catalog.float8" :
					 float_expression(model->weight,
									  SPI_gettypeid(desc, desc->natts)));
	model->values = values.data;
}

/* Rows that may be kept: what a hash table may use, within our own bound. */
static int32
rows_to_keep(LogitModel *model)
{
	Size		size = Min(get_hash_memory_limit(), LOGIT_MAX_KEPT);

	return (int32) (size / (sizeof(double) * (model->n_variables + 2)));
}

void
model_look_first(LogitModel *model)
{
	Oid			types[1] = {INT4OID};
	Datum		args[1];
	bool		is_null;
	Datum		result;
	bytea	   *bytes;
	StringInfoData buffer;

	args[0] = Int32GetDatum(rows_to_keep(model));
	run(prepare(psprintf("SELECT credit.logit_profile(%s, $1) FROM %s",
						 model->values, model->from), 1, types), args);
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						   &is_null);
	model->n_scans++;
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there are no rows to fit")));
	bytes = DatumGetByteaPP(result);
	buffer.data = VARDATA_ANY(bytes);
	buffer.len = buffer.maxlen = VARSIZE_ANY_EXHDR(bytes);
	buffer.cursor = 0;
	model->profile = credit_logit_profile_read(&buffer);
	SPI_freetuptable(SPI_tuptable);
}

/* One field of the row that logit_step() answers with. */
static Datum
step_field(HeapTupleHeader row, const char *name)
{
	bool		is_null;
	Datum		value = GetAttributeByName(row, name, &is_null);

	if (is_null)
		elog(ERROR, "a step lacks its %s", name);
	return value;
}

static const double *
step_array(HeapTupleHeader row, const char *name, int n)
{
	ArrayType  *array = DatumGetArrayTypeP(step_field(row, name));

	if (ARR_ELEMTYPE(array) != FLOAT8OID || ARR_HASNULL(array) ||
		ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) != n)
		elog(ERROR, "a step has another size than its coefficients");
	return (const double *) ARR_DATA_PTR(array);
}

int64
model_n_used(LogitModel *model)
{
	return model->profile->n_rows[0] + model->profile->n_rows[1];
}

void
model_evaluate_by_query(LogitModel *model, LogitStep *step)
{
	Oid			types[3] = {FLOAT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
	Datum		args[3];
	bool		is_null;
	Datum		result;
	HeapTupleHeader row;

	if (model->plan == NULL)
		model->plan = prepare(psprintf("SELECT credit.logit_step(%s, $1, $2, $3) FROM %s",
									   model->values, model->from), 3, types);
	args[0] = PointerGetDatum(credit_float8_array(step->coefficients,
												  model->n));
	args[1] = PointerGetDatum(credit_float8_array(model->centre,
												  model->n_variables));
	args[2] = PointerGetDatum(credit_float8_array(model->scale,
												  model->n_variables));
	run(model->plan, args);
	model->n_scans++;
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						   &is_null);
	row = is_null ? NULL : DatumGetHeapTupleHeader(result);
	if (row == NULL ||
		DatumGetInt64(step_field(row, "n_rows")) != model_n_used(model))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("source of a logistic regression gave other rows when it was read again"),
				 errhint("Volatile functions such as random() do not belong in its query: fill a table first.")));
	step->log_likelihood =
		DatumGetFloat8(step_field(row, "log_likelihood"));
	memcpy(step->gradient, step_array(row, "gradient", model->n),
		   sizeof(double) * model->n);
	memcpy(step->hessian, step_array(row, "hessian", model->n * model->n),
		   sizeof(double) * model->n * model->n);
	SPI_freetuptable(SPI_tuptable);
}

void
model_evaluate_kept(LogitModel *model, LogitStep *step)
{
	int			i;

	for (i = 0; i < model->profile->n_kept; i++)
	{
		const double *row = KEPT_ROW(model->profile, i);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		credit_logit_add(step, KEPT_EVENT(row), row + 2, row[0]);
	}
	credit_logit_settle(step);
}

/* --- before the climb ----------------------------------------------------- */

void
model_check_numbers(LogitModel *model)
{
	LogitProfile *profile = model->profile;
	int			i;

	for (i = 0; i < model->n_variables; i++)
		if (profile->ranges[i].n_invalid > 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("variable \"%s\" has values that cannot be used",
							model->names[i]),
					 errdetail("%lld rows have NaN, infinity, or a number beyond %g in it.",
							   (long long) profile->ranges[i].n_invalid,
							   LOGIT_MAX_VALUE),
					 errhint("Set them to NULL to leave these rows out, or to the value they stand for.")));
	if (profile->n_invalid_weight > 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight \"%s\" has values that cannot be used",
						model->weight),
				 errdetail("%lld rows have a negative weight, NaN, infinity, or a number beyond %g.",
						   (long long) profile->n_invalid_weight,
						   LOGIT_MAX_VALUE)));
}

/* Rows can be missing because of one variable that is NULL everywhere. */
void
model_check_rows(LogitModel *model)
{
	LogitProfile *profile = model->profile;
	int			most = 0;
	int			i;

	for (i = 1; i < model->n_variables; i++)
		if (profile->ranges[i].n_null > profile->ranges[most].n_null)
			most = i;
	if (model_n_used(model) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there are no rows to fit"),
				 errdetail("%lld rows were left out for a NULL or a weight of 0; variable \"%s\" is NULL in %lld of them.",
						   (long long) profile->n_skipped,
						   model->names[most],
						   (long long) profile->ranges[most].n_null)));
	if (profile->n_rows[0] == 0 || profile->n_rows[1] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("a logistic regression needs events and non-events"),
				 errdetail("Column \"%s\" is %s in all of %lld rows; %lld rows were left out for a NULL or a weight of 0.",
						   model->is_event,
						   profile->n_rows[0] == 0 ? "true" : "false",
						   (long long) model_n_used(model),
						   (long long) profile->n_skipped)));
}

double
model_total_weight(LogitModel *model)
{
	return model->profile->weight[0] + model->profile->weight[1];
}

/* Standard deviation over the rows used, by weight. */
double
model_spread(LogitModel *model, int i)
{
	return sqrt(model->profile->ranges[i].m2 / model_total_weight(model));
}

/* Shift, scale, penalty and reach of one variable. */
static void
scale_variable(LogitModel *model, int i)
{
	LogitRange *range = &model->profile->ranges[i];
	double		low = Min(range->min[0], range->min[1]);
	double		high = Max(range->max[0], range->max[1]);
	double		deviation = model_spread(model, i);
	double		size = deviation;
	int			at = i + model->n - model->n_variables;

	if (model->has_intercept)
		model->centre[i] = range->mean;
	else
		size = sqrt(deviation * deviation + range->mean * range->mean);
	if (model->has_intercept ? low == high : low == 0 && high == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("variable \"%s\" is constant", model->names[i]),
				 errdetail("It is %g in all of %lld rows.", low,
						   (long long) model_n_used(model)),
				 errhint("Leave it out.")));
	if (!(size > 1 / LOGIT_MAX_VALUE) ||
		(model->is_standardised && !(deviation > 0)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("variable \"%s\" varies too little to be used",
						model->names[i]),
				 errdetail("Its standard deviation is %g.", deviation),
				 errhint("Multiply it by a large number, or leave it out.")));
	model->scale[i] = 1 / size;
	model->penalty[at] = model->ridge /
		(model->is_standardised ? (size / deviation) * (size / deviation) :
		 size * size);
	model->reach[at] = Max(high - model->centre[i],
						   model->centre[i] - low) / size;
}

void
model_scale_variables(LogitModel *model)
{
	int			i;

	model->centre = palloc0(sizeof(double) * model->n_variables);
	model->scale = palloc0(sizeof(double) * model->n_variables);
	model->penalty = palloc0(sizeof(double) * model->n);
	model->reach = palloc0(sizeof(double) * model->n);
	if (model->has_intercept)
		model->reach[0] = 1;
	for (i = 0; i < model->n_variables; i++)
		scale_variable(model, i);
}

/* A step that is to be evaluated, its coefficients 0. */
LogitStep *
model_make_step(LogitModel *model)
{
	LogitStep  *step = credit_logit_step_make(model->n);

	step->n_variables = model->n_variables;
	step->has_scale = true;
	memcpy(step->centre, model->centre, sizeof(double) * model->n_variables);
	memcpy(step->scale, model->scale, sizeof(double) * model->n_variables);
	return step;
}

/* The first look at the rows, and everything that is wrong with them. */
void
model_prepare(LogitModel *model)
{
	model_find_columns(model);
	model_look_first(model);
	model_check_numbers(model);
	model_check_rows(model);
	model_scale_variables(model);
	if (model->ridge == 0)
		model_check_variables(model);
}

void
model_complain_of_separation(const char *names, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("classes are separated by %s: the coefficients have no finite value",
					names),
			 errdetail_internal("%s", detail),
			 errhint("Leave out or coarsen what separates, if it is the event itself in other words; otherwise fit with a ridge: ridge => 1, standardise => true.")));
}

/*
 * Does a variable separate the classes by itself?  Then there is no maximum,
 * and no climb is needed to say so.  Without an intercept the line between the
 * classes can only be at 0.
 */
static bool
separates(const LogitRange *range, int low, bool has_intercept,
		  bool *is_complete)
{
	double		below = range->max[low];
	double		above = range->min[1 - low];

	if (has_intercept)
	{
		*is_complete = below < above;
		return below <= above;
	}
	*is_complete = below < 0 && above > 0;
	return below <= 0 && above >= 0;
}

void
model_check_variables(LogitModel *model)
{
	static const char *const classes[] = {"non-events", "events"};
	int			i;
	int			low;
	bool		is_complete;

	for (i = 0; i < model->n_variables; i++)
		for (low = 0; low < 2; low++)
		{
			LogitRange *range = &model->profile->ranges[i];

			if (!separates(range, low, model->has_intercept, &is_complete))
				continue;
			model_complain_of_separation(psprintf("variable \"%s\"",
											model->names[i]),
								   psprintf("%s separation: all %s lie at %.15g of it or below, all %s at %.15g or above.",
											is_complete ? "Complete" : "Quasi-complete",
											classes[low], range->max[low],
											classes[1 - low],
											range->min[1 - low]));
		}
}

/*
 * logit_fit.c
 *	  fit_logit(): logistic regression over any table or query, by Newton's
 *	  method with step halving.
 *
 * The rows stay where they are: each step is one query with an aggregate over
 * them, run as the caller, in parallel where the planner wants it, all under
 * one snapshot.  How many steps there are decides what a fit costs.  So
 *
 *	  - the first query, which everything is checked with, brings along as many
 *		rows as fit into memory (logit_profile.c).  If these are all, the rest
 *		happens here;
 *	  - if not, they are fitted first.  That is so near the result that two or
 *		three steps over all rows remain.
 *
 * The sample decides where the climb begins, and nothing else: the function
 * has one maximum, and the climb ends where a step over all rows changes
 * nothing any more.
 *
 * Inside, variables are shifted by their mean and scaled by their spread.
 * That is why a year or an amount in cents need no care, and why "small"
 * means the same for every variable.
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
#include "logit.h"

/* A column of which less is its own is a combination of the others. */
#define COLLINEAR 1e-12

/* A gradient, or a gain by the next step, is 0, relative to the likelihood. */
#define FLAT_GRADIENT 1e-8
#define FLAT_GAIN 1e-12

/*
 * Bound on the change of the log-odds of any row by a step after which nobody
 * looks again.  What most rows see is a fiftieth of it; the error that is left
 * is the square of that in the coefficients, and about that itself in the
 * standard errors.  A look at rows in memory is cheap, a scan is not.
 */
#define LAST_STEP_OF_SCANS 1e-4
#define LAST_STEP 1e-10

/* The same where rounding stops the steps from becoming shorter. */
#define ROUNDED_STEP 1e-2

/* Steps in a row that go far and gain nothing: there is no maximum. */
#define STEPS_TO_NOWHERE 3
#define FAR 0.1

#define MAX_HALVINGS 30

typedef struct LogitModel
{
	/* what was asked for */
	const char *from;			/* behind FROM, named q */
	char	   *is_event;
	char	   *weight;			/* NULL: all 1 */
	char	  **names;
	int			n_variables;
	bool		has_intercept;
	bool		is_standardised;
	double		ridge;
	int			max_iterations;

	/* what the first look yields */
	int			n;				/* coefficients */
	LogitProfile *profile;
	double	   *centre;
	double	   *scale;			/* factors */
	double	   *penalty;		/* n, for coefficients of scaled variables */
	double	   *reach;			/* n, largest scaled value */

	/* how all rows are looked at */
	const char *values;			/* expressions of the columns */
	SPIPlanPtr	plan;
	int			n_scans;
} LogitModel;

typedef enum ClimbEnd
{
	CLIMB_TOP,					/* the maximum */
	CLIMB_COLLINEAR,			/* column depends on those before it */
	CLIMB_NOWHERE,				/* the likelihood has no maximum */
	CLIMB_TIRED					/* too many iterations */
} ClimbEnd;

/* A way up, and where it is. */
typedef struct Climb
{
	bool		is_scan;		/* over all rows by queries, or those kept */
	bool		is_rough;		/* to begin another one with */
	const double *penalty;
	LogitStep  *at;
	LogitStep  *trial;
	double	   *gradient;		/* with penalty */
	double	   *matrix;			/* negative Hessian with penalty */
	double	   *factor;			/* its Cholesky factor */
	double	   *step;
	double		objective;		/* log-likelihood with penalty */
	double		change;			/* of log-odds by the step, at most */
	int			iterations;
	int			column;			/* CLIMB_COLLINEAR: which */
} Climb;

PG_FUNCTION_INFO_V1(credit_fit_logit);
PG_FUNCTION_INFO_V1(credit_fit_logit_relation);

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

static const char *
from_relation(Oid relation)
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
static const char *
from_source(text *source)
{
	char	   *string = text_to_cstring(source);

	if (is_query(string))
		return psprintf("(\n%s\n) AS q", string);
	return from_relation(DatumGetObjectId(DirectFunctionCall1(regclassin,
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

/* The arguments but the first, which says where the rows are. */
static LogitModel *
read_model(FunctionCallInfo fcinfo)
{
	LogitModel *model = palloc0(sizeof(LogitModel));

	refuse_null(fcinfo, 0, "source");
	refuse_null(fcinfo, 1, "event column");
	refuse_null(fcinfo, 2, "list of variables");
	refuse_null(fcinfo, 4, "ridge");
	refuse_null(fcinfo, 5, "argument \"standardise\"");
	refuse_null(fcinfo, 6, "argument \"intercept\"");
	refuse_null(fcinfo, 7, "argument \"max_iterations\"");
	model->is_event = text_to_cstring(PG_GETARG_TEXT_PP(1));
	read_names(model, PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(3))
		model->weight = text_to_cstring(PG_GETARG_TEXT_PP(3));
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
static void
find_columns(LogitModel *model)
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

static void
look_first(LogitModel *model)
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

static int64
n_used(LogitModel *model)
{
	return model->profile->n_rows[0] + model->profile->n_rows[1];
}

static void
evaluate_by_query(LogitModel *model, LogitStep *step)
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
		DatumGetInt64(step_field(row, "n_rows")) != n_used(model))
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

static void
evaluate_kept(LogitModel *model, LogitStep *step)
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

static void
check_numbers(LogitModel *model)
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
static void
check_rows(LogitModel *model)
{
	LogitProfile *profile = model->profile;
	int			most = 0;
	int			i;

	for (i = 1; i < model->n_variables; i++)
		if (profile->ranges[i].n_null > profile->ranges[most].n_null)
			most = i;
	if (n_used(model) == 0)
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
						   (long long) n_used(model),
						   (long long) profile->n_skipped)));
}

static double
total_weight(LogitModel *model)
{
	return model->profile->weight[0] + model->profile->weight[1];
}

/* Standard deviation over the rows used, by weight. */
static double
spread(LogitModel *model, int i)
{
	return sqrt(model->profile->ranges[i].m2 / total_weight(model));
}

/* Shift, scale, penalty and reach of one variable. */
static void
scale_variable(LogitModel *model, int i)
{
	LogitRange *range = &model->profile->ranges[i];
	double		low = Min(range->min[0], range->min[1]);
	double		high = Max(range->max[0], range->max[1]);
	double		deviation = spread(model, i);
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
						   (long long) n_used(model)),
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

static void
scale_variables(LogitModel *model)
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

static void
complain_of_separation(const char *names, const char *detail)
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

static void
check_each_variable(LogitModel *model)
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
			complain_of_separation(psprintf("variable \"%s\"",
											model->names[i]),
								   psprintf("%s separation: all %s lie at %.15g of it or below, all %s at %.15g or above.",
											is_complete ? "Complete" : "Quasi-complete",
											classes[low], range->max[low],
											classes[1 - low],
											range->min[1 - low]));
		}
}

/* --- the climb ------------------------------------------------------------ */

static void
evaluate(LogitModel *model, Climb *climb, LogitStep *step)
{
	credit_logit_step_clear(step);
	if (climb->is_scan)
		evaluate_by_query(model, step);
	else
		evaluate_kept(model, step);
}

/* Log-likelihood less the penalty. */
static double
objective_of(LogitModel *model, Climb *climb, const LogitStep *step)
{
	double		objective = step->log_likelihood;
	int			i;

	for (i = 0; i < model->n; i++)
		objective -= climb->penalty[i] / 2 *
			step->coefficients[i] * step->coefficients[i];
	return objective;
}

/* Gradient and matrix of the objective where the climb is. */
static void
add_penalty(LogitModel *model, Climb *climb)
{
	int			n = model->n;
	int			i;

	memcpy(climb->matrix, climb->at->hessian, sizeof(double) * n * n);
	for (i = 0; i < n; i++)
	{
		climb->gradient[i] = climb->at->gradient[i] -
			climb->penalty[i] * climb->at->coefficients[i];
		climb->matrix[(Size) i * n + i] += climb->penalty[i];
	}
}

static double
largest(const double *values, int n)
{
	double		most = 0;
	int			i;

	for (i = 0; i < n; i++)
		most = Max(most, fabs(values[i]));
	return most;
}

/* Twice what the step would gain if the objective were quadratic. */
static double
slope_of_step(LogitModel *model, Climb *climb)
{
	double		slope = 0;
	int			i;

	for (i = 0; i < model->n; i++)
		slope += climb->gradient[i] * climb->step[i];
	return slope;
}

static bool
is_flat(LogitModel *model, Climb *climb)
{
	return largest(climb->gradient, model->n) <=
		FLAT_GRADIENT * (1 + fabs(climb->objective)) ||
		slope_of_step(model, climb) / 2 <=
		FLAT_GAIN * fabs(climb->objective);
}

/* How far the step can change the log-odds of a row by one variable. */
static double
share_of_step(LogitModel *model, Climb *climb, int i)
{
	return fabs(climb->step[i]) * model->reach[i];
}

/*
 * Is the step so short that the point behind it need not be looked at?  Near
 * the maximum the error after a step is about the square of the step.
 */
static bool
is_last_step(LogitModel *model, Climb *climb)
{
	double		last_change = climb->change;
	double		change = 0;
	int			i;

	for (i = 0; i < model->n; i++)
		change += share_of_step(model, climb, i);
	climb->change = change;
	if (climb->is_rough)
		return slope_of_step(model, climb) <= 1e-6 * model->n;
	if (!is_flat(model, climb))
		return false;
	return change <= (climb->is_scan ? LAST_STEP_OF_SCANS : LAST_STEP) ||
		(change <= ROUNDED_STEP && change > last_change / 2);
}

static bool
goes_nowhere(LogitModel *model, Climb *climb)
{
	double		most = 0;
	int			i;

	for (i = 0; i < model->n; i++)
		most = Max(most, share_of_step(model, climb, i));
	return is_flat(model, climb) && most > FAR;
}

/* Goes up by the step, or by half of it, and so on; false: nowhere up. */
static bool
go_up(LogitModel *model, Climb *climb)
{
	double		length = 1;
	double		slope = slope_of_step(model, climb);
	int			halvings;
	int			i;

	for (halvings = 0; halvings <= MAX_HALVINGS; halvings++, length /= 2)
	{
		LogitStep  *trial = climb->trial;
		double		objective;

		for (i = 0; i < model->n; i++)
			trial->coefficients[i] = climb->at->coefficients[i] +
				length * climb->step[i];
		evaluate(model, climb, trial);
		objective = objective_of(model, climb, trial);
		/* the last term is what rounding may take away */
		if (!(objective >= climb->objective + 1e-4 * length * slope -
			  1e-12 * (1 + fabs(climb->objective))))
			continue;
		climb->objective = objective;
		climb->trial = climb->at;
		climb->at = trial;
		return true;
	}
	return false;
}

/* Solves for the step; false if a column depends on those before it. */
static bool
find_step(LogitModel *model, Climb *climb)
{
	add_penalty(model, climb);
	climb->column = credit_cholesky(model->n, climb->matrix, climb->factor,
									COLLINEAR);
	if (climb->column >= 0)
		return false;
	credit_cholesky_solve(model->n, model->n, climb->factor, climb->gradient,
						  climb->step);
	return true;
}

/*
 * The log-likelihood follows as far as the step's own gradient and Hessian say:
 * with a penalty it is not flat there, only the objective is.
 */
static void
take_last_step(LogitModel *model, Climb *climb)
{
	int			i;

	for (i = 0; i < model->n; i++)
	{
		double		d = climb->step[i];

		climb->at->coefficients[i] += d;
		climb->at->log_likelihood += d *
			(climb->at->gradient[i] -
			 (climb->gradient[i] - climb->penalty[i] * d) / 2);
	}
}

/* From the coefficients that climb->at has, which then has those found. */
static ClimbEnd
climb_up(LogitModel *model, Climb *climb)
{
	int			to_nowhere = 0;

	climb->change = INFINITY;
	evaluate(model, climb, climb->at);
	climb->objective = objective_of(model, climb, climb->at);
	for (climb->iterations = 0;; climb->iterations++)
	{
		if (!find_step(model, climb))
			return climb->iterations == 0 ? CLIMB_COLLINEAR : CLIMB_NOWHERE;
		if (is_last_step(model, climb))
		{
			take_last_step(model, climb);
			return CLIMB_TOP;
		}
		to_nowhere = goes_nowhere(model, climb) ? to_nowhere + 1 : 0;
		if (to_nowhere == STEPS_TO_NOWHERE)
			return CLIMB_NOWHERE;
		if (climb->iterations == model->max_iterations ||
			!go_up(model, climb))
			return CLIMB_TIRED;
	}
}

static LogitStep *
make_step(LogitModel *model)
{
	LogitStep  *step = credit_logit_step_make(model->n);

	step->n_variables = model->n_variables;
	step->has_scale = true;
	memcpy(step->centre, model->centre, sizeof(double) * model->n_variables);
	memcpy(step->scale, model->scale, sizeof(double) * model->n_variables);
	return step;
}

static Climb *
make_climb(LogitModel *model, bool is_scan, const double *penalty)
{
	Climb	   *climb = palloc0(sizeof(Climb));

	climb->is_scan = is_scan;
	climb->penalty = penalty;
	climb->at = make_step(model);
	climb->trial = make_step(model);
	climb->gradient = palloc0(sizeof(double) * model->n);
	climb->matrix = palloc0(sizeof(double) * model->n * model->n);
	climb->factor = palloc0(sizeof(double) * model->n * model->n);
	climb->step = palloc0(sizeof(double) * model->n);
	/* the model of no variables, which needs no climb */
	if (model->has_intercept)
		climb->at->coefficients[0] = log(model->profile->weight[1] /
										 model->profile->weight[0]);
	return climb;
}

/*
 * A place to begin at: the fit of the rows that were kept.  A light penalty
 * makes sure that it has one, whatever rows they are.
 */
static void
begin_with_kept(LogitModel *model, double *coefficients)
{
	double	   *penalty = palloc(sizeof(double) * model->n);
	double		share = model->profile->n_kept / (double) n_used(model);
	Climb	   *climb;
	int			i;

	for (i = 0; i < model->n; i++)
		penalty[i] = Max(model->penalty[i] * share, 1);
	if (model->has_intercept)
		penalty[0] = 0;
	climb = make_climb(model, false, penalty);
	climb->is_rough = true;
	if (climb_up(model, climb) == CLIMB_TOP)
		memcpy(coefficients, climb->at->coefficients,
			   sizeof(double) * model->n);
}

/* --- when it failed --------------------------------------------------------- */

static const char *
name_of(LogitModel *model, int column)
{
	if (!model->has_intercept)
		return model->names[column];
	return column == 0 ? "(intercept)" : model->names[column - 1];
}

/* Names of the columns that have a part of at least the least given. */
static char *
list_names(LogitModel *model, const double *parts, int n, double least)
{
	StringInfoData list;
	int			shown = 0;
	int			i;

	initStringInfo(&list);
	for (i = model->has_intercept ? 1 : 0; i < n; i++)
	{
		if (!(fabs(parts[i]) >= least))
			continue;
		if (++shown > 8)
		{
			appendStringInfoString(&list, ", ...");
			break;
		}
		appendStringInfo(&list, "%s\"%s\"", shown == 1 ? "" : ", ",
						 name_of(model, i));
	}
	return list.data;
}

static void
complain_of_collinearity(LogitModel *model, Climb *climb)
{
	int			n = model->n;
	int			j = climb->column;
	double	   *parts = palloc0(sizeof(double) * n);
	double	   *column = palloc0(sizeof(double) * n);
	char	   *others;
	int			i;

	for (i = 0; i < j; i++)
		column[i] = climb->matrix[(Size) i * n + j];
	credit_cholesky_solve(j, n, climb->factor, column, parts);
	others = list_names(model, parts, j, 1e-6);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("variable \"%s\" is collinear with others",
					name_of(model, j)),
			 errdetail("It follows from %s%s.",
					   others[0] == '\0' ? "the intercept" : others,
					   others[0] != '\0' && model->has_intercept ?
					   " and the intercept" : ""),
			 errhint("Leave it or one of those out, such as one of the dummy variables of a characteristic; a ridge also gives an answer.")));
}

static void
complain_of_climb(LogitModel *model, Climb *climb)
{
	double	   *parts = palloc(sizeof(double) * model->n);
	double		most = 0;
	char	   *names;
	int			i;

	for (i = 0; i < model->n; i++)
		parts[i] = share_of_step(model, climb, i);
	for (i = model->has_intercept ? 1 : 0; i < model->n; i++)
		most = Max(most, parts[i]);
	names = list_names(model, parts, model->n, most / 20);
	complain_of_separation(psprintf(strstr(names, "\", \"") == NULL ?
									"variable %s" : "variables %s together",
									names),
						   psprintf("%s separation: after %d iterations the coefficients still grow, and the log-likelihood, %.6g, does not.",
									-climb->at->log_likelihood <
									1e-6 * total_weight(model) ?
									"Complete" : "Quasi-complete",
									climb->iterations,
									climb->at->log_likelihood));
}

static void
complain_of_end(LogitModel *model, Climb *climb, ClimbEnd end)
{
	if (end == CLIMB_COLLINEAR)
		complain_of_collinearity(model, climb);
	if (end == CLIMB_NOWHERE)
		complain_of_climb(model, climb);
	if (end == CLIMB_TIRED)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("logistic regression has not converged"),
				 errdetail("After %d iterations the log-likelihood is %.10g, and the largest element of the gradient %g.",
						   climb->iterations, climb->at->log_likelihood,
						   largest(climb->gradient, model->n)),
				 errhint("Raise max_iterations, cap extreme values of the variables, or fit with a ridge.")));
}

/* A maximum, but so far out that a few rows, or last digits, decide on it. */
static void
warn_of_size(LogitModel *model, Climb *climb)
{
	int			first = model->n - model->n_variables;
	int			i;

	for (i = 0; model->ridge == 0 && i < model->n_variables; i++)
	{
		double		effect = fabs(climb->at->coefficients[first + i]) *
			model->scale[i] * spread(model, i);

		if (effect > 15)
			ereport(WARNING,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("coefficient of variable \"%s\" is very large",
							model->names[i]),
					 errdetail("One standard deviation of it changes the log-odds by %.3g.",
							   effect),
					 errhint("Either it nearly separates the classes, or it is nearly collinear with others: leave one of these out, or fit with a ridge.")));
	}
}

/* --- the result ------------------------------------------------------------- */

/* Of the variables as they are: coefficients and their standard errors. */
static void
unscale(LogitModel *model, Climb *climb, double *values, double *errors)
{
	int			n = model->n;
	int			first = n - model->n_variables;
	const double *b = climb->at->coefficients;
	double	   *inverse = palloc(sizeof(double) * n * n);
	double	   *shift = palloc0(sizeof(double) * n);
	double		variance = 0;
	int			i;
	int			j;

	credit_cholesky_inverse(n, climb->factor, inverse);
	for (i = first; i < n; i++)
	{
		values[i] = b[i] * model->scale[i - first];
		errors[i] = sqrt(inverse[(Size) i * n + i]) * model->scale[i - first];
		shift[i] = -model->centre[i - first] * model->scale[i - first];
	}
	if (first == 0)
		return;
	/* at x = 0 instead of at the means */
	shift[0] = 1;
	values[0] = 0;
	for (i = 0; i < n; i++)
	{
		values[0] += shift[i] * b[i];
		for (j = 0; j < n; j++)
			variance += shift[i] * inverse[(Size) i * n + j] * shift[j];
	}
	errors[0] = sqrt(variance);
}

/* Fields of type logit_term. */
static HeapTuple
make_term(LogitModel *model, TupleDesc desc, int i, double value,
		  double error)
{
	Datum		values[8];
	bool		nulls[8] = {false};
	int			variable = i - (model->n - model->n_variables);
	double		z = value / error;

	values[0] = Int32GetDatum(variable + 1);
	values[1] = PointerGetDatum(cstring_to_text(name_of(model, i)));
	values[2] = Float8GetDatum(value);
	values[3] = Float8GetDatum(error);
	values[4] = Float8GetDatum(z);
	values[5] = Float8GetDatum(erfc(fabs(z) / sqrt(2.0)));
	nulls[6] = nulls[7] = variable < 0;
	values[6] = values[7] = (Datum) 0;
	if (variable >= 0)
	{
		values[6] = Float8GetDatum(model->profile->ranges[variable].mean);
		values[7] = Float8GetDatum(spread(model, variable));
	}
	return heap_form_tuple(desc, values, nulls);
}

static ArrayType *
make_terms(LogitModel *model, Oid type, const double *values,
		   const double *errors)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	Datum	   *terms = palloc(sizeof(Datum) * model->n);
	int			i;

	if (desc->natts != 8)
		elog(ERROR, "unexpected type of a term");
	for (i = 0; i < model->n; i++)
		terms[i] = HeapTupleGetDatum(make_term(model, desc, i, values[i],
											   errors[i]));
	return construct_array(terms, model->n, type, -1, false,
						   TYPALIGN_DOUBLE);
}

/* Of the model that knows how many events there are and nothing else. */
static double
null_log_likelihood(LogitModel *model)
{
	const double *weight = model->profile->weight;
	double		total = total_weight(model);

	if (!model->has_intercept)
		return -total * log(2.0);
	return weight[0] * log(weight[0] / total) +
		weight[1] * log(weight[1] / total);
}

/* Fields of type logit_fit. */
static HeapTuple
make_result(LogitModel *model, Climb *climb, TupleDesc desc)
{
	LogitProfile *profile = model->profile;
	double		none = null_log_likelihood(model);
	double		reached = climb->at->log_likelihood;
	double	   *values = palloc(sizeof(double) * model->n);
	double	   *errors = palloc(sizeof(double) * model->n);
	Datum		fields[19];
	bool		nulls[19] = {false};
	int			i = 0;

	if (desc->natts != lengthof(fields))
		elog(ERROR, "unexpected type of a fit");
	unscale(model, climb, values, errors);
	fields[i++] = Int64GetDatum(n_used(model));
	fields[i++] = Int64GetDatum(profile->n_rows[1]);
	fields[i++] = Int64GetDatum(profile->n_skipped);
	fields[i++] = Float8GetDatum(total_weight(model));
	fields[i++] = Float8GetDatum(profile->weight[1]);
	fields[i++] = Int32GetDatum(climb->iterations + 1);
	fields[i++] = Int32GetDatum(model->n_scans);
	fields[i++] = Float8GetDatum(largest(climb->gradient, model->n));
	fields[i++] = Float8GetDatum(reached);
	fields[i++] = Float8GetDatum(none);
	fields[i++] = Float8GetDatum(-2 * reached);
	fields[i++] = Float8GetDatum(-2 * none);
	fields[i++] = Float8GetDatum(2 * model->n - 2 * reached);
	fields[i++] = Float8GetDatum(1 - reached / none);
	fields[i++] = Float8GetDatum(model->ridge);
	fields[i++] = BoolGetDatum(model->is_standardised);
	fields[i++] = BoolGetDatum(model->ridge > 0);
	fields[i++] = PointerGetDatum(credit_float8_array(values, model->n));
	fields[i++] = PointerGetDatum(make_terms(model,
											 get_element_type(TupleDescAttr(desc, 18)->atttypid),
											 values, errors));
	return heap_form_tuple(desc, fields, nulls);
}

static Climb *
fit(LogitModel *model)
{
	Climb	   *climb;
	ClimbEnd	end;
	bool		is_scan;

	find_columns(model);
	look_first(model);
	check_numbers(model);
	check_rows(model);
	scale_variables(model);
	if (model->ridge == 0)
		check_each_variable(model);

	is_scan = model->profile->stride > 1;
	climb = make_climb(model, is_scan, model->penalty);
	if (is_scan)
		begin_with_kept(model, climb->at->coefficients);
	end = climb_up(model, climb);
	complain_of_end(model, climb, end);
	warn_of_size(model, climb);
	return climb;
}

static Datum
fit_and_report(FunctionCallInfo fcinfo, LogitModel *model)
{
	MemoryContext outside = CurrentMemoryContext;
	TupleDesc	desc;
	HeapTuple	result;
	Climb	   *climb;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "unexpected result type of a fit");
	desc = BlessTupleDesc(desc);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "cannot connect to SPI");
	climb = fit(model);
	MemoryContextSwitchTo(outside);
	result = make_result(model, climb, desc);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}

/* --- entry points ----------------------------------------------------------- */

Datum
credit_fit_logit(PG_FUNCTION_ARGS)
{
	LogitModel *model = read_model(fcinfo);

	model->from = from_source(PG_GETARG_TEXT_PP(0));
	return fit_and_report(fcinfo, model);
}

Datum
credit_fit_logit_relation(PG_FUNCTION_ARGS)
{
	LogitModel *model = read_model(fcinfo);

	model->from = from_relation(PG_GETARG_OID(0));
	return fit_and_report(fcinfo, model);
}

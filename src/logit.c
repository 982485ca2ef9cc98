/*
 * logit.c
 *	  Logistic regression: aggregate logit_step(), which looks at all rows for
 *	  one step of Newton's method, and the probability a fit gives.
 *
 * A step needs three sums over the rows at given coefficients: log-likelihood,
 * gradient, and negative Hessian.  They add up over any split, so the step
 * runs in parallel where the rows are.  The driver is in logit_fit.c.
 *
 * Rounding: each term is computed in the form that does not cancel on its side
 * of zero, and nothing but exp(-|eta|) is ever taken, so a log-odds of 1e300
 * is no trouble.  Sums run over parts of PART_ROWS rows and then over parts,
 * which keeps the error of a million rows near that of a thousand.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "aggregate.h"
#include "credit.h"
#include "linalg.h"
#include "logit.h"

#define AGGREGATE "logit_step"

#define STEP_VERSION 1
#define PART_ROWS 1024

PG_FUNCTION_INFO_V1(credit_logit_step_accum);
PG_FUNCTION_INFO_V1(credit_logit_step_combine);
PG_FUNCTION_INFO_V1(credit_logit_step_serialize);
PG_FUNCTION_INFO_V1(credit_logit_step_deserialize);
PG_FUNCTION_INFO_V1(credit_logit_step_final);
PG_FUNCTION_INFO_V1(credit_logit_probability);

/* --- arguments ------------------------------------------------------------ */

/*
 * The elements of an array of float8, in place; their number, or -1 if one is
 * NULL.  They may have any value yet.
 */
int
credit_logit_values(ArrayType *array, const char *what, double **values)
{
	int			n;

	if (ARR_ELEMTYPE(array) != FLOAT8OID || ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one-dimensional array of double precision",
						what)));
	n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (n > LOGIT_MAX_VARIABLES + 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a logistic regression can have at most %d variables",
						LOGIT_MAX_VARIABLES),
				 errdetail("Array of %s has %d elements.", what, n)));
	*values = (double *) ARR_DATA_PTR(array);
	return ARR_HASNULL(array) && array_contains_nulls(array) ? -1 : n;
}

/* The same for an argument that is the same for all rows. */
static int
constant_values(FunctionCallInfo fcinfo, int arg, const char *what,
				double **values)
{
	int			n;
	int			i;

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", what)));
	n = credit_logit_values(PG_GETARG_ARRAYTYPE_P(arg), what, values);
	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", what)));
	if (n < 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must not be empty", what)));
	for (i = 0; i < n; i++)
		if (!isfinite((*values)[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s must be finite", what),
					 errdetail("Element %d is %g.", i + 1, (*values)[i])));
	return n;
}

static void
check_value(double value, int position)
{
	if (likely(fabs(value) <= LOGIT_MAX_VALUE))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value of a variable is out of range: %g", value),
			 errdetail("It is element %d of the array of values. Values must be finite, and at most %g in size.",
					   position + 1, LOGIT_MAX_VALUE)));
}

static double
check_weight(double weight)
{
	if (weight >= 0 && weight <= LOGIT_MAX_VALUE)
		return weight;
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("weight of a row is out of range: %g", weight),
			 errdetail("Weights must be at least 0, finite, and at most %g.",
					   LOGIT_MAX_VALUE)));
}

/* --- sums ----------------------------------------------------------------- */

/* In the current memory context, all sums 0. */
LogitStep *
credit_logit_step_make(int n)
{
	LogitStep  *step = palloc0(sizeof(LogitStep));

	step->n = n;
	step->coefficients = palloc0(sizeof(double) * n);
	step->centre = palloc0(sizeof(double) * n);
	step->scale = palloc0(sizeof(double) * n);
	step->gradient = palloc0(sizeof(double) * n);
	step->hessian = palloc0(sizeof(double) * n * n);
	step->part_gradient = palloc0(sizeof(double) * n);
	step->part_hessian = palloc0(sizeof(double) * n * n);
	step->block = palloc0(sizeof(double) * n * PRODUCT_ROWS);
	step->block_weight = palloc0(sizeof(double) * PRODUCT_ROWS);
	return step;
}

/* Forgets the rows, not the coefficients. */
void
credit_logit_step_clear(LogitStep *step)
{
	step->n_rows = step->n_events = step->n_skipped = 0;
	step->weight = step->log_likelihood = 0;
	step->part_rows = step->n_block = 0;
	step->part_weight = step->part_log_likelihood = 0;
	memset(step->gradient, 0, sizeof(double) * step->n);
	memset(step->part_gradient, 0, sizeof(double) * step->n);
	memset(step->hessian, 0, sizeof(double) * step->n * step->n);
	memset(step->part_hessian, 0, sizeof(double) * step->n * step->n);
}

static void
flush_block(LogitStep *step)
{
	int			i;

	if (step->n_block == 0)
		return;
	/* what is missing of a block counts 0 times, and must not be NaN */
	for (i = step->n_block; i < PRODUCT_ROWS; i++)
	{
		step->block_weight[i] = 0;
		memset(step->block + i * step->n, 0, sizeof(double) * step->n);
	}
	credit_add_products(step->n, step->part_hessian, step->block,
						step->block_weight);
	step->n_block = 0;
}

/* Brings the sums of the last rows into the totals. */
void
credit_logit_settle(LogitStep *step)
{
	int			i;
	int			j;

	flush_block(step);
	if (step->part_rows == 0)
		return;
	step->weight += step->part_weight;
	step->log_likelihood += step->part_log_likelihood;
	for (i = 0; i < step->n; i++)
	{
		double	   *total = step->hessian + (Size) i * step->n;
		double	   *part = step->part_hessian + (Size) i * step->n;

		step->gradient[i] += step->part_gradient[i];
		for (j = i; j < step->n; j++)
			total[j] += part[j];
	}
	step->part_rows = 0;
	step->part_weight = step->part_log_likelihood = 0;
	memset(step->part_gradient, 0, sizeof(double) * step->n);
	memset(step->part_hessian, 0, sizeof(double) * step->n * step->n);
}

/* The row of the design matrix: values, shifted and scaled, behind a 1. */
static double *
next_design_row(LogitStep *step, const double *x)
{
	double	   *row = step->block + step->n_block * step->n;
	double	   *out = row;
	int			i;

	if (step->n > step->n_variables)
		*out++ = 1;
	if (step->has_scale)
		for (i = 0; i < step->n_variables; i++)
			out[i] = (x[i] - step->centre[i]) * step->scale[i];
	else
		memcpy(out, x, sizeof(double) * step->n_variables);
	return row;
}

/* Adds one row, with values that were checked. */
void
credit_logit_add(LogitStep *step, bool is_event, const double *x,
				 double weight)
{
	double	   *row = next_design_row(step, x);
	double		eta = 0;
	double		small;			/* exp(-|eta|) */
	double		surprise;		/* |y - p| */
	double		residual;
	int			i;

	for (i = 0; i < step->n; i++)
		eta += step->coefficients[i] * row[i];
	if (unlikely(!isfinite(eta)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("log-odds of a row overflow"),
				 errhint("Scale the variables to smaller numbers, or look at the coefficients.")));
	small = exp(-fabs(eta));
	surprise = ((eta >= 0) == is_event ? small : 1) / (1 + small);
	residual = weight * (is_event ? surprise : -surprise);

	step->part_log_likelihood -=
		weight * (((eta >= 0) == is_event ? 0 : fabs(eta)) + log1p(small));
	step->part_weight += weight;
	for (i = 0; i < step->n; i++)
		step->part_gradient[i] += residual * row[i];
	step->block_weight[step->n_block] =
		weight * (small / ((1 + small) * (1 + small)));
	step->n_rows++;
	if (is_event)
		step->n_events++;
	if (++step->n_block == PRODUCT_ROWS)
		flush_block(step);
	if (++step->part_rows == PART_ROWS)
		credit_logit_settle(step);
}

/* --- aggregate ------------------------------------------------------------ */

static bool
same_numbers(const double *a, const double *b, int n)
{
	return memcmp(a, b, sizeof(double) * n) == 0;
}

static void
complain_of_change(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("coefficients of a step must be the same for all rows"),
			 errhint("Group by what makes them different.")));
}

/* Copies the constant arguments of this call into a new state. */
static LogitStep *
begin_step(FunctionCallInfo fcinfo, MemoryContext context)
{
	MemoryContext old;
	LogitStep  *step;
	double	   *values;
	double	   *centre = NULL;
	double	   *scale = NULL;
	int			n_variables = -1;
	int			n = constant_values(fcinfo, 4, "coefficients", &values);

	if (PG_NARGS() > 5)
	{
		n_variables = constant_values(fcinfo, 5, "centre", &centre);
		if (constant_values(fcinfo, 6, "scale", &scale) != n_variables ||
			(n != n_variables && n != n_variables + 1))
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("centre and scale must have one element for each variable")));
	}
	old = MemoryContextSwitchTo(context);
	step = credit_logit_step_make(n);
	MemoryContextSwitchTo(old);
	step->n_variables = n_variables;
	memcpy(step->coefficients, values, sizeof(double) * n);
	if (centre != NULL)
	{
		step->has_scale = true;
		memcpy(step->centre, centre, sizeof(double) * n_variables);
		memcpy(step->scale, scale, sizeof(double) * n_variables);
	}
	return step;
}

/* The coefficients of this call are those the state began with. */
static void
check_constants(FunctionCallInfo fcinfo, LogitStep *step)
{
	double	   *values;

	if (PG_ARGISNULL(4) ||
		credit_logit_values(PG_GETARG_ARRAYTYPE_P(4), "coefficients",
							&values) != step->n ||
		!same_numbers(values, step->coefficients, step->n))
		complain_of_change();
	if (!step->has_scale)
		return;
	if (PG_ARGISNULL(5) || PG_ARGISNULL(6) ||
		credit_logit_values(PG_GETARG_ARRAYTYPE_P(5), "centre",
							&values) != step->n_variables ||
		!same_numbers(values, step->centre, step->n_variables) ||
		credit_logit_values(PG_GETARG_ARRAYTYPE_P(6), "scale",
							&values) != step->n_variables ||
		!same_numbers(values, step->scale, step->n_variables))
		complain_of_change();
}

/* Arguments: is_event, x, weight, coefficients [, centre, scale]. */
Datum
credit_logit_step_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	LogitStep  *step;
	double	   *x;
	double		weight;
	int			n;
	int			i;

	if (PG_ARGISNULL(0))
		step = begin_step(fcinfo, context);
	else
	{
		step = (LogitStep *) PG_GETARG_POINTER(0);
		check_constants(fcinfo, step);
	}
	n = PG_ARGISNULL(2) ? -1 :
		credit_logit_values(PG_GETARG_ARRAYTYPE_P(2), "values", &x);
	if (n < 0 || PG_ARGISNULL(1) || PG_ARGISNULL(3) ||
		(weight = check_weight(PG_GETARG_FLOAT8(3))) == 0)
	{
		step->n_skipped++;
		PG_RETURN_POINTER(step);
	}
	/* no intercept where there are as many coefficients as values */
	if (step->n_variables < 0 && (n == step->n || n == step->n - 1))
		step->n_variables = n;
	if (n != step->n_variables)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%d values do not go with %d coefficients", n,
						step->n),
				 errhint("There must be one coefficient for each value, and one before them for the intercept, if there is one, in all rows.")));
	for (i = 0; i < n; i++)
		check_value(x[i], i);
	credit_logit_add(step, PG_GETARG_BOOL(1), x, weight);
	PG_RETURN_POINTER(step);
}

/* Adds the sums of another state, which has no unsettled rows. */
static void
add_step(LogitStep *to, const LogitStep *from)
{
	int			i;
	int			j;

	if (to->n != from->n || to->has_scale != from->has_scale ||
		!same_numbers(to->coefficients, from->coefficients, to->n))
		complain_of_change();
	if (to->n_variables < 0)
		to->n_variables = from->n_variables;
	if (from->n_variables >= 0 &&
		(to->n_variables != from->n_variables ||
		 (to->has_scale &&
		  (!same_numbers(to->centre, from->centre, to->n_variables) ||
		   !same_numbers(to->scale, from->scale, to->n_variables)))))
		complain_of_change();
	to->n_rows += from->n_rows;
	to->n_events += from->n_events;
	to->n_skipped += from->n_skipped;
	to->weight += from->weight;
	to->log_likelihood += from->log_likelihood;
	for (i = 0; i < to->n; i++)
	{
		Size		row = (Size) i * to->n;

		to->gradient[i] += from->gradient[i];
		for (j = i; j < to->n; j++)
			to->hessian[row + j] += from->hessian[row + j];
	}
}

/* A copy without rows, for a state that may outlive its model. */
static LogitStep *
copy_constants(const LogitStep *model, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	LogitStep  *step = credit_logit_step_make(model->n);

	MemoryContextSwitchTo(old);
	step->n_variables = model->n_variables;
	step->has_scale = model->has_scale;
	memcpy(step->coefficients, model->coefficients, sizeof(double) * model->n);
	memcpy(step->centre, model->centre, sizeof(double) * model->n);
	memcpy(step->scale, model->scale, sizeof(double) * model->n);
	return step;
}

Datum
credit_logit_step_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	LogitStep  *to;
	LogitStep  *from;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	from = (LogitStep *) PG_GETARG_POINTER(1);
	to = PG_ARGISNULL(0) ? copy_constants(from, context) :
		(LogitStep *) PG_GETARG_POINTER(0);
	credit_logit_settle(to);
	credit_logit_settle(from);
	add_step(to, from);
	PG_RETURN_POINTER(to);
}

static void
send_numbers(StringInfo buffer, const double *values, int n)
{
	int			i;

	for (i = 0; i < n; i++)
		pq_sendfloat8(buffer, values[i]);
}

static void
read_numbers(StringInfo buffer, double *values, int n)
{
	int			i;

	for (i = 0; i < n; i++)
		values[i] = pq_getmsgfloat8(buffer);
}

/* Settling changes where sums stand, not what they are. */
Datum
credit_logit_step_serialize(PG_FUNCTION_ARGS)
{
	LogitStep  *step;
	StringInfoData buffer;
	int			i;

	aggregate_context(fcinfo, AGGREGATE);
	step = (LogitStep *) PG_GETARG_POINTER(0);
	credit_logit_settle(step);
	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, STEP_VERSION);
	pq_sendbyte(&buffer, step->has_scale);
	pq_sendint32(&buffer, step->n);
	pq_sendint32(&buffer, step->n_variables);
	pq_sendint64(&buffer, step->n_rows);
	pq_sendint64(&buffer, step->n_events);
	pq_sendint64(&buffer, step->n_skipped);
	pq_sendfloat8(&buffer, step->weight);
	pq_sendfloat8(&buffer, step->log_likelihood);
	send_numbers(&buffer, step->coefficients, step->n);
	send_numbers(&buffer, step->centre, step->n);
	send_numbers(&buffer, step->scale, step->n);
	send_numbers(&buffer, step->gradient, step->n);
	for (i = 0; i < step->n; i++)
		send_numbers(&buffer, step->hessian + (Size) i * step->n + i,
					 step->n - i);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

Datum
credit_logit_step_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;
	LogitStep  *step;
	bool		has_scale;
	int			n;
	int			n_variables;
	int			i;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buffer);
	if (pq_getmsgbyte(&buffer) != STEP_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	has_scale = pq_getmsgbyte(&buffer) != 0;
	n = (int) pq_getmsgint(&buffer, 4);
	n_variables = (int) pq_getmsgint(&buffer, 4);
	if (n < 1 || n > LOGIT_MAX_VARIABLES + 1 ||
		(n_variables != n && n_variables != n - 1 &&
		 (n_variables != -1 || has_scale)))
		aggregate_refuse_bytes(AGGREGATE);
	step = credit_logit_step_make(n);
	step->has_scale = has_scale;
	step->n_variables = n_variables;
	step->n_rows = pq_getmsgint64(&buffer);
	step->n_events = pq_getmsgint64(&buffer);
	step->n_skipped = pq_getmsgint64(&buffer);
	step->weight = pq_getmsgfloat8(&buffer);
	step->log_likelihood = pq_getmsgfloat8(&buffer);
	read_numbers(&buffer, step->coefficients, n);
	read_numbers(&buffer, step->centre, n);
	read_numbers(&buffer, step->scale, n);
	read_numbers(&buffer, step->gradient, n);
	for (i = 0; i < n; i++)
		read_numbers(&buffer, step->hessian + (Size) i * n + i, n - i);
	pq_getmsgend(&buffer);
	PG_RETURN_POINTER(step);
}

ArrayType *
credit_float8_array(const double *values, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	int			i;

	for (i = 0; i < n; i++)
		elements[i] = Float8GetDatum(values[i]);
	return construct_array(elements, n, FLOAT8OID, sizeof(float8),
						   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* The Hessian in full, as an n by n array. */
static ArrayType *
square_array(const LogitStep *step)
{
	int			n = step->n;
	Datum	   *elements = palloc(sizeof(Datum) * n * n);
	int			dims[2] = {n, n};
	int			lower[2] = {1, 1};
	int			i;
	int			j;

	for (i = 0; i < n; i++)
		for (j = i; j < n; j++)
			elements[i * n + j] = elements[j * n + i] =
				Float8GetDatum(step->hessian[(Size) i * n + j]);
	return construct_md_array(elements, NULL, 2, dims, lower, FLOAT8OID,
							  sizeof(float8), FLOAT8PASSBYVAL,
							  TYPALIGN_DOUBLE);
}

Datum
credit_logit_step_final(PG_FUNCTION_ARGS)
{
	LogitStep  *step;
	TupleDesc	desc;
	Datum		values[7];
	bool		nulls[7] = {false};

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	step = (LogitStep *) PG_GETARG_POINTER(0);
	credit_logit_settle(step);
	desc = aggregate_row_type(fcinfo, AGGREGATE, lengthof(values));
	values[0] = Int64GetDatum(step->n_rows);
	values[1] = Int64GetDatum(step->n_events);
	values[2] = Int64GetDatum(step->n_skipped);
	values[3] = Float8GetDatum(step->weight);
	values[4] = Float8GetDatum(step->log_likelihood);
	values[5] = PointerGetDatum(credit_float8_array(step->gradient, step->n));
	values[6] = PointerGetDatum(square_array(step));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* --- what a fit says about a row -------------------------------------------- */

/* NULL for a row with a NULL value, as for a row that a fit skips. */
Datum
credit_logit_probability(PG_FUNCTION_ARGS)
{
	double	   *coefficients;
	double	   *x;
	double		eta = 0;
	double		small;
	int			n = constant_values(fcinfo, 0, "coefficients", &coefficients);
	int			n_variables =
		credit_logit_values(PG_GETARG_ARRAYTYPE_P(1), "values", &x);
	int			i;

	if (n_variables < 0)
		PG_RETURN_NULL();
	if (n != n_variables && n != n_variables + 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%d values do not go with %d coefficients",
						n_variables, n),
				 errhint("There must be one coefficient for each value, and one before them for the intercept, if there is one.")));
	if (n > n_variables)
		eta = *coefficients++;
	for (i = 0; i < n_variables; i++)
	{
		check_value(x[i], i);
		eta += coefficients[i] * x[i];
	}
	if (isnan(eta))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("log-odds of a row overflow")));
	small = exp(-fabs(eta));
	PG_RETURN_FLOAT8((eta >= 0 ? 1 : small) / (1 + small));
}

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
#include "logit_model.h"

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

/* --- the climb ------------------------------------------------------------ */

static void
evaluate(LogitModel *model, Climb *climb, LogitStep *step)
{
	credit_logit_step_clear(step);
	if (climb->is_scan)
		model_evaluate_by_query(model, step);
	else
		model_evaluate_kept(model, step);
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

static Climb *
make_climb(LogitModel *model, bool is_scan, const double *penalty)
{
	Climb	   *climb = palloc0(sizeof(Climb));

	climb->is_scan = is_scan;
	climb->penalty = penalty;
	climb->at = model_make_step(model);
	climb->trial = model_make_step(model);
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
	double		share = model->profile->n_kept / (double) model_n_used(model);
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
	model_complain_of_separation(psprintf(strstr(names, "\", \"") == NULL ?
									"variable %s" : "variables %s together",
									names),
						   psprintf("%s separation: after %d iterations the coefficients still grow, and the log-likelihood, %.6g, does not.",
									-climb->at->log_likelihood <
									1e-6 * model_total_weight(model) ?
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
			model->scale[i] * model_spread(model, i);

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
		values[7] = Float8GetDatum(model_spread(model, variable));
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
	double		total = model_total_weight(model);

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
	fields[i++] = Int64GetDatum(model_n_used(model));
	fields[i++] = Int64GetDatum(profile->n_rows[1]);
	fields[i++] = Int64GetDatum(profile->n_skipped);
	fields[i++] = Float8GetDatum(model_total_weight(model));
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

	model_prepare(model);
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
	LogitModel *model = model_read(fcinfo);

	model->from = model_from_source(PG_GETARG_TEXT_PP(0));
	return fit_and_report(fcinfo, model);
}

Datum
credit_fit_logit_relation(PG_FUNCTION_ARGS)
{
	LogitModel *model = model_read(fcinfo);

	model->from = model_from_relation(PG_GETARG_OID(0));
	return fit_and_report(fcinfo, model);
}

/*
 * logit_select.c
 *	  select_logit(): which of many variables a logistic regression needs.
 *
 * Stepwise selection.  One look at the rows yields log-likelihood, gradient and
 * Hessian of *all* variables at once, those left out having coefficient 0.  From
 * these follow, without another look,
 *
 *	  - the next Newton step of the model there is;
 *	  - what each variable left out would gain about (the score test), and with
 *		which coefficients;
 *	  - what each variable in it would cost about (Wald's test).
 *
 * These are estimates, which name a handful of candidates.  The likelihood,
 * climbed for each of these, decides which one it is, and whether it is worth
 * it.  So a selection takes a number of looks that hangs on the number of steps,
 * not on that of the variables.
 *
 * The rows are those in which no variable is NULL, for every model alike:
 * likelihoods over different rows cannot be compared.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "credit.h"
#include "linalg.h"
#include "logit_model.h"

/* Candidates of which the likelihood is climbed, and how near the best. */
#define MAX_CANDIDATES 5
#define NEAR_BEST 0.7

/* A column of which less is its own is a combination of those in the model. */
#define COLLINEAR 1e-9

/*
 * The gain that a last Newton step promises; the likelihood behind it is then
 * known to about a hundredth of its root's cube, far below what any test sees.
 */
#define LAST_GAIN 1e-4

/* The same step must not change the log-odds of any row by more. */
#define SHORT_STEP 0.1

/* A climb that takes longer leads nowhere. */
#define MAX_CLIMB 30

/* Criteria fall by less than this by rounding alone. */
#define NO_GAIN 1e-7

typedef enum Criterion
{
	BY_AIC,
	BY_BIC,
	BY_P
} Criterion;

/* A model at its maximum: what is known of all columns there. */
typedef struct Place
{
	bool	   *is_in;			/* n */
	LogitStep  *step;			/* Hessian of the last look */
	double	   *gradient;		/* at the maximum, also of what is left out */
	double		log_likelihood;
	int			n_in;			/* variables */
} Place;

/* One line of the report. */
typedef struct Move
{
	int			column;			/* -1: where it began */
	bool		is_add;
	double		chi_square;
	int			n_in;
	double		log_likelihood;
} Move;

typedef struct Selection
{
	LogitModel *model;
	Criterion	criterion;
	bool		goes_forward;
	bool		goes_back;
	double		p_enter;
	double		p_remove;
	int			max_in;
	bool		is_scan;
	bool	   *is_kept;		/* n, in the model whatever they say */
	Place	   *at;
	Place	   *best;			/* candidates: the best so far, and the next */
	Place	   *trial;
	Place	   *other;			/* the best in the other direction */
	MemoryContext candidates;	/* of one direction of one step */
	int		   *columns;		/* room for n */
	double	   *matrix;			/* room for n x n */
	double	   *factor;
	double	   *vector;
	double	   *solution;
	List	   *moves;
} Selection;

PG_FUNCTION_INFO_V1(credit_select_logit);
PG_FUNCTION_INFO_V1(credit_select_logit_relation);

/* --- arguments ------------------------------------------------------------ */

static int
one_of(FunctionCallInfo fcinfo, int arg, const char *what, const char *const *words)
{
	char	   *word;
	int			i;

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of a selection must not be null", what)));
	word = text_to_cstring(PG_GETARG_TEXT_PP(arg));
	for (i = 0; i < 3; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s of a selection must be %s, %s or %s, not \"%s\"", what,
					words[0], words[1], words[2], word)));
}

static double
probability_argument(FunctionCallInfo fcinfo, int arg, const char *what)
{
	double		p = PG_ARGISNULL(arg) ? -1 : PG_GETARG_FLOAT8(arg);

	if (!(p > 0 && p < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be above 0 and below 1", what)));
	return p;
}

static int
column_of(LogitModel *model, const char *name)
{
	int			i;

	for (i = 0; i < model->n_variables; i++)
		if (strcmp(model->names[i], name) == 0)
			return i + 1;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("variable \"%s\" is to be kept, but is not among those to select from",
					name)));
}

static void
read_kept(Selection *sel, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("names of variables must not be null")));
		sel->is_kept[column_of(sel->model, TextDatumGetCString(elements[i]))] = true;
	}
}

static Selection *
read_arguments(FunctionCallInfo fcinfo, LogitModel *model)
{
	static const char *const criteria[] = {"aic", "bic", "p"};
	static const char *const directions[] = {"both", "forward", "backward"};
	Selection  *sel = palloc0(sizeof(Selection));
	int			direction;

	sel->model = model;
	sel->criterion = one_of(fcinfo, 4, "criterion", criteria);
	direction = one_of(fcinfo, 5, "direction", directions);
	sel->goes_forward = direction != 2;
	sel->goes_back = direction != 1;
	sel->is_kept = palloc0(sizeof(bool) * model->n);
	sel->is_kept[0] = true;
	if (!PG_ARGISNULL(6))
		read_kept(sel, PG_GETARG_ARRAYTYPE_P(6));
	sel->p_enter = probability_argument(fcinfo, 7, "p_enter");
	sel->p_remove = probability_argument(fcinfo, 8, "p_remove");
	/* else a variable could go in and out for ever */
	if (sel->criterion == BY_P && sel->p_enter > sel->p_remove)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("p_enter must not be above p_remove")));
	sel->max_in = PG_ARGISNULL(9) ? model->n_variables : PG_GETARG_INT32(9);
	if (sel->max_in < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a selection must be allowed at least one variable, not %d",
						sel->max_in)));
	return sel;
}

/* --- linear algebra on some of the columns ---------------------------------- */

static inline double
hessian_of(const LogitStep *step, int i, int j)
{
	return step->hessian[(Size) Min(i, j) * step->n + Max(i, j)];
}

static int
list_columns(Selection *sel, const Place *place)
{
	int			m = 0;
	int			i;

	for (i = 0; i < sel->model->n; i++)
		if (place->is_in[i])
			sel->columns[m++] = i;
	return m;
}

/* Factor of the Hessian of the columns in the model; -1, or the bad column. */
static int
factorise(Selection *sel, const Place *place, int m)
{
	int			i;
	int			j;

	for (i = 0; i < m; i++)
		for (j = i; j < m; j++)
			sel->matrix[(Size) i * m + j] = hessian_of(place->step, sel->columns[i], sel->columns[j]);
	i = credit_cholesky(m, sel->matrix, sel->factor, COLLINEAR);
	return i < 0 ? -1 : sel->columns[i];
}

/* --- one model --------------------------------------------------------------- */

static void
look(Selection *sel, Place *place)
{
	credit_logit_step_clear(place->step);
	if (sel->is_scan)
		model_evaluate_by_query(sel->model, place->step);
	else
		model_evaluate_kept(sel->model, place->step);
	CHECK_FOR_INTERRUPTS();
}

/* Named are the columns that the last step still moves. */
static void
complain_of_climb(Selection *sel, const double *step, int rounds)
{
	LogitModel *model = sel->model;
	double		most = 0;
	StringInfoData list;
	int			i;

	for (i = 1; i < model->n; i++)
		most = Max(most, fabs(step[i]) * model->reach[i]);
	initStringInfo(&list);
	for (i = 1; i < model->n; i++)
		if (fabs(step[i]) * model->reach[i] >= most / 20)
			appendStringInfo(&list, "%s\"%s\"", list.len == 0 ? "" : ", ", model->names[i - 1]);
	model_complain_of_separation(psprintf(strstr(list.data, "\", \"") == NULL ?
										  "variable %s" : "variables %s together", list.data),
								 psprintf("After %d iterations the coefficients still grow.", rounds));
}

static void pg_attribute_noreturn()
complain_of_collinearity(Selection *sel, int column)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("variable \"%s\" is collinear with others",
					column == 0 ? "(intercept)" : sel->model->names[column - 1]),
			 errhint("Leave it or one of those out, such as one of the dummy variables of a characteristic, or select forward.")));
}

/*
 * Newton's step of the columns in the model; answers twice the gain it promises,
 * or -1 if there is none, because what the Hessian knows of them has dwindled.
 */
static double
find_step(Selection *sel, Place *place, double *step, bool is_first)
{
	int			m = list_columns(sel, place);
	int			bad = factorise(sel, place, m);
	double		gain = 0;
	int			i;

	if (bad >= 0 && is_first)
		complain_of_collinearity(sel, bad);
	if (bad >= 0)
		return -1;
	for (i = 0; i < m; i++)
		sel->vector[i] = place->step->gradient[sel->columns[i]];
	credit_cholesky_solve(m, m, sel->factor, sel->vector, sel->solution);
	memset(step, 0, sizeof(double) * sel->model->n);
	for (i = 0; i < m; i++)
	{
		step[sel->columns[i]] = sel->solution[i];
		gain += sel->solution[i] * sel->vector[i];
	}
	return gain;
}

/*
 * Where classes are separated gains become small too, but steps do not become
 * short.
 */
static bool
is_short(LogitModel *model, const double *step)
{
	double		change = 0;
	int			i;

	for (i = 0; i < model->n; i++)
		change += fabs(step[i]) * model->reach[i];
	return change <= SHORT_STEP;
}

/* What a short step leads to, of all columns, as far as the Hessian says it. */
static void
take_last_step(Selection *sel, Place *place, const double *step, double gain)
{
	int			n = sel->model->n;
	int			i;
	int			j;

	place->log_likelihood = place->step->log_likelihood + gain / 2;
	for (i = 0; i < n; i++)
	{
		place->gradient[i] = place->step->gradient[i];
		for (j = 0; j < n; j++)
			place->gradient[i] -= hessian_of(place->step, i, j) * step[j];
		place->step->coefficients[i] += step[i];
	}
}

/* To the maximum of the columns in the model, from the coefficients it has. */
static void
climb(Selection *sel, Place *place)
{
	int			n = sel->model->n;
	double	   *step = palloc0(sizeof(double) * n);
	double	   *next = palloc(sizeof(double) * n);
	double		reached = -INFINITY;
	int			rounds;
	int			i;

	for (rounds = 0;; rounds++)
	{
		double		gain;

		look(sel, place);
		if (place->step->log_likelihood < reached - 1e-9 * (1 + fabs(reached)))
		{
			/* too far: half of it */
			for (i = 0; i < n; i++)
			{
				step[i] /= 2;
				place->step->coefficients[i] -= step[i];
			}
			continue;
		}
		reached = place->step->log_likelihood;
		gain = find_step(sel, place, next, rounds == 0);
		if (gain < 0 || rounds == MAX_CLIMB)
			complain_of_climb(sel, step, rounds);
		memcpy(step, next, sizeof(double) * n);
		if (gain <= LAST_GAIN && is_short(sel->model, step))
		{
			take_last_step(sel, place, step, gain);
			break;
		}
		for (i = 0; i < n; i++)
			place->step->coefficients[i] += step[i];
	}
	pfree(step);
	pfree(next);
}

static Place *
make_place(Selection *sel)
{
	Place	   *place = palloc0(sizeof(Place));

	place->is_in = palloc0(sizeof(bool) * sel->model->n);
	place->is_in[0] = true;
	place->step = model_make_step(sel->model);
	place->gradient = palloc0(sizeof(double) * sel->model->n);
	return place;
}

/* A place to climb from: where we are, with one column in or out. */
static void
prepare_trial(Selection *sel, int column, bool is_in, const double *step)
{
	Place	   *trial = sel->trial;
	int			n = sel->model->n;
	int			i;

	memcpy(trial->is_in, sel->at->is_in, sizeof(bool) * n);
	trial->is_in[column] = is_in;
	trial->n_in = sel->at->n_in + (is_in ? 1 : -1);
	for (i = 0; i < n; i++)
		trial->step->coefficients[i] = sel->at->step->coefficients[i] + step[i];
	if (!is_in)
		trial->step->coefficients[column] = 0;
}

/* --- what to try ------------------------------------------------------------- */

/* A column, what it would gain or cost about, and the step that goes with it. */
typedef struct Candidate
{
	int			column;
	double		chi_square;
	double	   *step;
} Candidate;

/*
 * The score test of a column that is left out.  The factor is that of the
 * columns in the model, which have no gradient.
 */
static double
score_test(Selection *sel, int m, int column, double *step)
{
	const LogitStep *at = sel->at->step;
	double		own = hessian_of(at, column, column);
	double		left = own;
	double		length;
	int			i;

	for (i = 0; i < m; i++)
		sel->vector[i] = hessian_of(at, column, sel->columns[i]);
	credit_cholesky_solve(m, m, sel->factor, sel->vector, sel->solution);
	for (i = 0; i < m; i++)
		left -= sel->vector[i] * sel->solution[i];
	if (!(left > COLLINEAR * own))
		return -1;
	length = sel->at->gradient[column] / left;
	memset(step, 0, sizeof(double) * sel->model->n);
	for (i = 0; i < m; i++)
		step[sel->columns[i]] = -length * sel->solution[i];
	step[column] = length;
	return length * sel->at->gradient[column];
}

/* Wald's test of a column in the model, and the step to where it is 0. */
static double
wald_test(Selection *sel, int m, int place, double *step)
{
	int			column = sel->columns[place];
	double		b = sel->at->step->coefficients[column];
	int			i;

	memset(sel->vector, 0, sizeof(double) * m);
	sel->vector[place] = 1;
	credit_cholesky_solve(m, m, sel->factor, sel->vector, sel->solution);
	memset(step, 0, sizeof(double) * sel->model->n);
	for (i = 0; i < m; i++)
		step[sel->columns[i]] = -b * sel->solution[i] / sel->solution[place];
	return b * b / sel->solution[place];
}

static int
by_size(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	if (x->chi_square != y->chi_square)
		return x->chi_square > y->chi_square ? -1 : 1;
	return x->column - y->column;
}

/* All columns that can be added, or taken out; the best first. */
static Candidate *
list_candidates(Selection *sel, bool is_add, int *n)
{
	int			m = list_columns(sel, sel->at);
	Candidate  *list = palloc(sizeof(Candidate) * sel->model->n);
	int			i;

	*n = 0;
	if (factorise(sel, sel->at, m) >= 0)
		return list;
	for (i = 1; i < (is_add ? sel->model->n : m); i++)
	{
		Candidate  *next = &list[*n];

		next->column = is_add ? i : sel->columns[i];
		if (is_add ? sel->at->is_in[i] : sel->is_kept[next->column])
			continue;
		next->step = palloc(sizeof(double) * sel->model->n);
		next->chi_square = is_add ? score_test(sel, m, i, next->step) :
			-wald_test(sel, m, i, next->step);
		/* a column that those in the model give has nothing to say */
		if (is_add && next->chi_square < 0)
			continue;
		(*n)++;
	}
	qsort(list, *n, sizeof(Candidate), by_size);
	return list;
}

/* --- what is worth it --------------------------------------------------------- */

static double
p_value(double chi_square)
{
	return erfc(sqrt(Max(chi_square, 0) / 2));
}

/* What a variable costs, in terms of twice the log-likelihood. */
static double
price(Selection *sel)
{
	return sel->criterion == BY_AIC ? 2 : log(model_total_weight(sel->model));
}

/* By how much a variable of this likelihood ratio improves the criterion. */
static double
worth(Selection *sel, bool is_add, double chi_square)
{
	if (sel->criterion == BY_P)
		return is_add ? sel->p_enter - p_value(chi_square) :
			p_value(chi_square) - sel->p_remove;
	return is_add ? chi_square - price(sel) : price(sel) - chi_square;
}

/* Is the estimate of a candidate so bad that a look is not worth it? */
static bool
is_hopeless(Selection *sel, bool is_add, double estimate)
{
	return worth(sel, is_add, is_add ? estimate * 1.5 + 0.5 :
				 estimate / 1.5 - 0.5) <= 0;
}

/* Is it near enough to the best one to be looked at as well? */
static bool
is_near(bool is_add, double estimate, double best)
{
	return is_add ? estimate >= NEAR_BEST * best : estimate <= best / NEAR_BEST + 0.1;
}

static void
swap_places(Place **a, Place **b)
{
	Place	   *swap = *a;

	*a = *b;
	*b = swap;
}

/*
 * The best move in one direction goes to sel->best.  Answers its likelihood
 * ratio and column; column 0: there is none that is worth a look.
 */
static double
best_move(Selection *sel, bool is_add, int *column)
{
	MemoryContext outside = MemoryContextSwitchTo(sel->candidates);
	int			n;
	Candidate  *list = list_candidates(sel, is_add, &n);
	double		best_ratio = 0;
	int			i;

	MemoryContextSwitchTo(outside);
	*column = 0;
	for (i = 0; i < Min(n, MAX_CANDIDATES); i++)
	{
		double		estimate = fabs(list[i].chi_square);
		double		ratio;

		if (is_hopeless(sel, is_add, estimate) ||
			!is_near(is_add, estimate, fabs(list[0].chi_square)))
			break;
		prepare_trial(sel, list[i].column, is_add, list[i].step);
		climb(sel, sel->trial);
		ratio = 2 * fabs(sel->trial->log_likelihood - sel->at->log_likelihood);
		if (*column != 0 && (is_add ? ratio <= best_ratio : ratio >= best_ratio))
			continue;
		*column = list[i].column;
		best_ratio = ratio;
		swap_places(&sel->best, &sel->trial);
	}
	MemoryContextReset(sel->candidates);
	return best_ratio;
}

static void
write_down(Selection *sel, int column, bool is_add, double chi_square)
{
	Move	   *move = palloc(sizeof(Move));

	move->column = column;
	move->is_add = is_add;
	move->chi_square = chi_square;
	move->n_in = sel->at->n_in;
	move->log_likelihood = sel->at->log_likelihood;
	sel->moves = lappend(sel->moves, move);
}

/*
 * One step; false: nothing improves the criterion.  Of adding and taking out,
 * what improves it more; by p-values, taking out goes first.
 */
static bool
move(Selection *sel)
{
	int			out = 0;
	int			in = 0;
	double		out_ratio = 0;
	double		in_ratio = 0;
	double		out_worth = 0;
	double		in_worth = 0;
	bool		is_add;

	if (sel->goes_back)
		out_ratio = best_move(sel, false, &out);
	if (out != 0)
		out_worth = worth(sel, false, out_ratio);
	if (sel->goes_forward && sel->at->n_in < sel->max_in &&
		!(sel->criterion == BY_P && out_worth > 0))
	{
		swap_places(&sel->best, &sel->other);
		in_ratio = best_move(sel, true, &in);
		if (in != 0)
			in_worth = worth(sel, true, in_ratio);
		if (in_worth <= out_worth)
			swap_places(&sel->best, &sel->other);
	}
	is_add = in_worth > out_worth;
	if (Max(in_worth, out_worth) <= (sel->criterion == BY_P ? 0 : NO_GAIN))
		return false;
	swap_places(&sel->at, &sel->best);
	write_down(sel, is_add ? in : out, is_add, is_add ? in_ratio : out_ratio);
	return true;
}

static void
select_variables(Selection *sel)
{
	LogitModel *model = sel->model;
	int			i;

	model_prepare(model);
	sel->is_scan = model->profile->stride > 1;
	sel->columns = palloc(sizeof(int) * model->n);
	sel->matrix = palloc0(sizeof(double) * model->n * model->n);
	sel->factor = palloc0(sizeof(double) * model->n * model->n);
	sel->vector = palloc0(sizeof(double) * model->n);
	sel->solution = palloc0(sizeof(double) * model->n);
	sel->at = make_place(sel);
	sel->best = make_place(sel);
	sel->trial = make_place(sel);
	sel->other = make_place(sel);
	sel->candidates = AllocSetContextCreate(CurrentMemoryContext, "credit candidates",
											ALLOCSET_DEFAULT_SIZES);
	for (i = 1; i < model->n; i++)
		if (sel->is_kept[i] || !sel->goes_forward)
		{
			sel->at->is_in[i] = true;
			sel->at->n_in++;
		}
	sel->at->step->coefficients[0] = log(model->profile->weight[1] / model->profile->weight[0]);
	climb(sel, sel->at);
	write_down(sel, -1, false, 0);
	while (move(sel))
		;
}

/* --- the report ---------------------------------------------------------------- */

static HeapTuple
make_step_row(Selection *sel, TupleDesc desc, const Move *move, int i)
{
	Datum		values[9];
	bool		nulls[9] = {false};
	double		n = move->n_in + 1;

	values[0] = Int32GetDatum(i);
	values[1] = CStringGetTextDatum(move->column < 0 ? "start" : move->is_add ? "add" : "drop");
	nulls[2] = nulls[3] = nulls[4] = move->column < 0;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(sel->model->names[move->column - 1]);
	values[3] = Float8GetDatum(move->chi_square);
	values[4] = Float8GetDatum(p_value(move->chi_square));
	values[5] = Int32GetDatum(move->n_in);
	values[6] = Float8GetDatum(move->log_likelihood);
	values[7] = Float8GetDatum(2 * n - 2 * move->log_likelihood);
	values[8] = Float8GetDatum(n * log(model_total_weight(sel->model)) - 2 * move->log_likelihood);
	return heap_form_tuple(desc, values, nulls);
}

static Datum
make_steps(Selection *sel, Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	Datum	   *rows = palloc(sizeof(Datum) * list_length(sel->moves));
	int			i;

	if (desc->natts != 9)
		elog(ERROR, "unexpected type of a step");
	for (i = 0; i < list_length(sel->moves); i++)
		rows[i] = HeapTupleGetDatum(make_step_row(sel, desc, list_nth(sel->moves, i), i));
	return PointerGetDatum(construct_array(rows, i, type, -1, false, TYPALIGN_DOUBLE));
}

/* What those that were left out would gain, at the end. */
static Datum
make_left_out(Selection *sel, Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	Datum	   *rows = palloc(sizeof(Datum) * sel->model->n);
	double	   *step = palloc(sizeof(double) * sel->model->n);
	int			m = list_columns(sel, sel->at);
	int			n = 0;
	int			i;

	if (desc->natts != 3 || factorise(sel, sel->at, m) >= 0)
		elog(ERROR, "unexpected type of a variable that was left out");
	for (i = 1; i < sel->model->n; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};
		double		chi_square;

		if (sel->at->is_in[i])
			continue;
		chi_square = score_test(sel, m, i, step);
		nulls[1] = nulls[2] = chi_square < 0;
		values[0] = CStringGetTextDatum(sel->model->names[i - 1]);
		values[1] = Float8GetDatum(chi_square);
		values[2] = Float8GetDatum(p_value(chi_square));
		rows[n++] = HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
	}
	return PointerGetDatum(construct_array(rows, n, type, -1, false, TYPALIGN_DOUBLE));
}

static ArrayType *
names_in(Selection *sel)
{
	Datum	   *names = palloc(sizeof(Datum) * sel->model->n);
	int			n = 0;
	int			i;

	for (i = 1; i < sel->model->n; i++)
		if (sel->at->is_in[i])
			names[n++] = CStringGetTextDatum(sel->model->names[i - 1]);
	return construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/* The fit of what was selected, over the rows that were selected from. */
static Datum
fit_selected(Selection *sel, ArrayType *names, bool *is_null)
{
	LogitModel *model = sel->model;
	Oid			types[4] = {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID};
	Datum		args[4];
	StringInfoData query;
	int			i;

	*is_null = sel->at->n_in == 0;
	if (*is_null)
		return (Datum) 0;
	initStringInfo(&query);
	appendStringInfo(&query, "SELECT q.* FROM %s WHERE ", model->from);
	for (i = 0; i < model->n_variables; i++)
		appendStringInfo(&query, "%sq.%s IS NOT NULL", i == 0 ? "" : " AND ",
						 quote_identifier(model->names[i]));
	args[0] = CStringGetTextDatum(query.data);
	args[1] = CStringGetTextDatum(model->is_event);
	args[2] = PointerGetDatum(names);
	args[3] = model->weight == NULL ? (Datum) 0 : CStringGetTextDatum(model->weight);
	if (SPI_execute_with_args("SELECT f FROM credit.fit_logit(source => $1, is_event => $2,"
							  " variables => $3, weight => $4) f", 4, types, args,
							  model->weight == NULL ? "   n" : NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot fit what was selected");
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
}

static Datum
select_and_report(FunctionCallInfo fcinfo, Selection *sel)
{
	MemoryContext outside = CurrentMemoryContext;
	TupleDesc	desc;
	Datum		values[7];
	bool		nulls[7] = {false};
	LogitProfile *profile;
	HeapTuple	result;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != lengthof(values))
		elog(ERROR, "unexpected result type of a selection");
	desc = BlessTupleDesc(desc);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "cannot connect to SPI");
	select_variables(sel);
	profile = sel->model->profile;
	values[0] = PointerGetDatum(names_in(sel));
	values[1] = Int64GetDatum(profile->n_rows[0] + profile->n_rows[1]);
	values[2] = Int64GetDatum(profile->n_skipped);
	values[3] = Int32GetDatum(sel->model->n_scans);
	values[4] = make_steps(sel, get_element_type(TupleDescAttr(desc, 4)->atttypid));
	values[5] = make_left_out(sel, get_element_type(TupleDescAttr(desc, 5)->atttypid));
	values[6] = fit_selected(sel, DatumGetArrayTypeP(values[0]), &nulls[6]);
	MemoryContextSwitchTo(outside);
	result = heap_form_tuple(desc, values, nulls);
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}

/* --- entry points ---------------------------------------------------------------- */

Datum
credit_select_logit(PG_FUNCTION_ARGS)
{
	LogitModel *model = model_read_columns(fcinfo);

	model->from = model_from_source(PG_GETARG_TEXT_PP(0));
	return select_and_report(fcinfo, read_arguments(fcinfo, model));
}

Datum
credit_select_logit_relation(PG_FUNCTION_ARGS)
{
	LogitModel *model = model_read_columns(fcinfo);

	model->from = model_from_relation(PG_GETARG_OID(0));
	return select_and_report(fcinfo, read_arguments(fcinfo, model));
}

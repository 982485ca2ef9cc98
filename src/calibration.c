/*
 * calibration.c
 *	  Whether probabilities of default come true: aggregates calibration() and
 *	  calibration_groups().
 *
 * The state is that of validation.c, with the probability as the score: in
 * ascending order the best customers come first.  All sums are taken over the
 * distinct probabilities in order, not as rows come in, so they do not hang on
 * the order of rows.  The logistic fits behind slope and intercept take the
 * same walk once for each Newton step.
 */
#include "postgres.h"

#include <math.h>

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "calibration.h"
#include "credit.h"

#define CALIBRATION_COLUMNS 15
#define GROUP_COLUMNS 8

/* Log loss takes probabilities no nearer to 0 and 1 than this. */
#define LOSS_CLIP 1e-15

#define MAX_STEPS 200

typedef struct RiskGroup
{
	float8		n;
	float8		n_bad;
	float8		expected;		/* sum of probabilities */
	float8		low;
	float8		high;
} RiskGroup;

PG_FUNCTION_INFO_V1(credit_calibration_final);
PG_FUNCTION_INFO_V1(credit_calibration_groups_final);

/* Of a bag in order, the first and the last say it for all. */
void
check_probabilities(const Bag *bag)
{
	float8		wrong;

	if (bag->n == 0)
		return;
	wrong = float_of_key(bag->keys[0]);
	if (wrong >= 0)
		wrong = float_of_key(bag->keys[bag->n - 1]);
	if (wrong < 0 || wrong > 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("probability %g is not between 0 and 1", wrong),
				 errhint("For scores of another scale use credit.discrimination().")));
}

static void
check_both(const ValidationState *state)
{
	check_probabilities(&state->bag[GOOD]);
	check_probabilities(&state->bag[BAD]);
}

float8
clip_probability(float8 p, float8 edge)
{
	return p < edge ? edge : p > 1 - edge ? 1 - edge : p;
}

/* --- Hosmer-Lemeshow -------------------------------------------------------- */

static bool
is_too_small(const RiskGroup *group)
{
	/* sums of fractions may miss 1 by their rounding */
	const float8 least = 1 - 1e-9;

	return group->expected < least || group->n - group->expected < least;
}

static void
merge_group(RiskGroup *into, const RiskGroup *next)
{
	into->n += next->n;
	into->n_bad += next->n_bad;
	into->expected += next->expected;
	into->high = next->high;
}

/*
 * Groups of about equal size: group k ends with the row at place
 * floor(k (n - 1) / parts) + 1, which is where the quantiles k/parts cut the
 * rows, and with all rows of the same probability.
 */
static int
cut_groups(const ValidationState *state, RiskGroup *groups)
{
	float8		n = validation_total(state, GOOD) + validation_total(state, BAD);
	int			parts = validation_parts(state);
	int			ngroups = 0;
	int			part = 1;
	bool		is_open = false;
	ScoreWalk	walk;

	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		float8		here = walk.n[GOOD] + walk.n[BAD];
		float8		until = walk.below[GOOD] + walk.below[BAD] + here;
		RiskGroup	block = {here, walk.n[BAD], here * walk.score, walk.score, walk.score};

		if (is_open)
			merge_group(&groups[ngroups - 1], &block);
		else
			groups[ngroups++] = block;
		is_open = true;
		while (part <= parts && floor(part * (n - 1) / parts) + 1 <= until)
		{
			is_open = false;
			part++;
		}
	}
	return ngroups;
}

/* A group too small for the test is put to the next one, the last to the one before. */
static int
merge_small_groups(RiskGroup *groups, int ngroups)
{
	int			n = 0;

	for (int i = 0; i < ngroups; i++)
	{
		if (n > 0 && is_too_small(&groups[n - 1]))
			merge_group(&groups[n - 1], &groups[i]);
		else
			groups[n++] = groups[i];
	}
	if (n > 1 && is_too_small(&groups[n - 1]))
	{
		merge_group(&groups[n - 2], &groups[n - 1]);
		n--;
	}
	return n == 1 && is_too_small(&groups[0]) ? 0 : n;
}

static float8
hosmer_lemeshow(const RiskGroup *groups, int ngroups)
{
	float8		sum = 0;

	for (int i = 0; i < ngroups; i++)
	{
		const RiskGroup *g = &groups[i];
		float8		difference = g->n_bad - g->expected;

		sum += difference * difference / (g->expected * (1 - g->expected / g->n));
	}
	return sum;
}

/*
 * P(chi-square with df > x).  Both series are finite and of positive terms;
 * each term is its logarithm, so that none of them underflows before its time.
 */
static float8
chi_square_tail(float8 x, int df)
{
	float8		half = x / 2;
	bool		is_odd = df % 2 == 1;
	float8		sum = is_odd ? erfc(sqrt(half)) : exp(-half);
	float8		log_term;

	if (half <= 0)
		return 1;
	/* odd: from k = 1/2 on, half^k e^-half / Gamma(k + 1) */
	log_term = is_odd ? -half + log(half) / 2 - log(sqrt(M_PI) / 2) :
		-half + log(half);
	for (float8 k = is_odd ? 0.5 : 1; k < df / 2.0; k++)
	{
		sum += exp(log_term);
		log_term += log(half) - log(k + 1);
	}
	return Min(sum, 1);
}

/* --- slope and intercept ---------------------------------------------------- */

static float8 *
logits_of(const ValidationState *state)
{
	Size		most = (Size) state->bag[GOOD].n + state->bag[BAD].n;
	float8	   *logits = MemoryContextAllocHuge(CurrentMemoryContext,
												sizeof(float8) * Max(most, 1));
	ScoreWalk	walk;
	Size		n = 0;

	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		float8		p = clip_probability(walk.score, LOGIT_CLIP);

		logits[n++] = log(p / (1 - p));
	}
	return logits;
}

/*
 * One pass at the current coefficients: log-likelihood, its gradient and its
 * negative second derivatives.
 */
static float8
likelihood(const ScoreFit *fit, float8 a, float8 b, float8 *gradient, float8 *hessian)
{
	float8		sum = 0;
	const float8 *next = fit->x;
	ScoreWalk	walk;

	CHECK_FOR_INTERRUPTS();
	gradient[0] = gradient[1] = hessian[0] = hessian[1] = hessian[2] = 0;
	for (walk_begin(&walk, fit->state); walk_next(&walk);)
	{
		float8		x = *next++ - fit->center;
		float8		eta = a + b * x;
		float8		n = walk.n[GOOD] + walk.n[BAD];
		float8		events = walk.n[GOOD] * fit->target[GOOD] +
			walk.n[BAD] * fit->target[BAD];
		float8		e = exp(-fabs(eta));
		float8		mu = eta > 0 ? 1 / (1 + e) : e / (1 + e);
		float8		rest = events - n * mu;
		float8		weight = n * (e / (1 + e) / (1 + e));

		sum += events * eta - n * (Max(eta, 0) + log1p(e));
		gradient[0] += rest;
		gradient[1] += rest * x;
		hessian[0] += weight;
		hessian[1] += weight * x;
		hessian[2] += weight * x * x;
	}
	return sum;
}

/* The Newton step; false: there is none, the likelihood is flat. */
static bool
newton_step(const ScoreFit *fit, const float8 *gradient, const float8 *hessian, float8 *step)
{
	float8		determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];

	if (fit->slope_is_one)
	{
		step[0] = gradient[0] / hessian[0];
		step[1] = 0;
		return hessian[0] > 0;
	}
	step[0] = (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant;
	step[1] = (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant;
	return determinant > 0;
}

/*
 * Newton's method with halved steps.  It is called where the maximum exists,
 * and the likelihood is concave; false all the same if figures do not settle.
 */
bool
fit_scores(ScoreFit *fit)
{
	float8		gradient[2];
	float8		hessian[3];
	float8		now = likelihood(fit, fit->a, fit->b, gradient, hessian);

	for (int i = 0; i < MAX_STEPS; i++)
	{
		float8		step[2];
		float8		before = now;
		float8		part = 2;

		if (!newton_step(fit, gradient, hessian, step))
			return false;
		if (fabs(step[0]) <= 1e-12 * (1 + fabs(fit->a)) &&
			fabs(step[1]) <= 1e-12 * (1 + fabs(fit->b)))
			return true;
		do
		{
			part /= 2;
			now = likelihood(fit, fit->a + part * step[0], fit->b + part * step[1],
							 gradient, hessian);
		} while (now < before - 1e-13 * fabs(before) && part > 1e-10);
		fit->a += part * step[0];
		fit->b += part * step[1];
	}
	return false;
}

/*
 * There are finite coefficients if and only if the logits of the two classes
 * overlap; else some cut tells all bad from all good, and a steeper curve is
 * always a better one.
 */
static bool
is_overlapping(const ValidationState *state)
{
	const Bag  *good = &state->bag[GOOD];
	const Bag  *bad = &state->bag[BAD];

	if (good->n == 0 || bad->n == 0)
		return false;
	return clip_probability(float_of_key(bad->keys[0]), LOGIT_CLIP) <
		clip_probability(float_of_key(good->keys[good->n - 1]), LOGIT_CLIP) &&
		clip_probability(float_of_key(good->keys[0]), LOGIT_CLIP) <
		clip_probability(float_of_key(bad->keys[bad->n - 1]), LOGIT_CLIP);
}

/* The mean of the logits, for the center. */
static float8
mean_logit(const ScoreFit *fit)
{
	float8		sum = 0;
	const float8 *logit = fit->x;
	ScoreWalk	walk;

	for (walk_begin(&walk, fit->state); walk_next(&walk);)
		sum += (walk.n[GOOD] + walk.n[BAD]) * *logit++;
	return sum / (validation_total(fit->state, GOOD) + validation_total(fit->state, BAD));
}

/* --- calibration() ---------------------------------------------------------- */

typedef struct Losses
{
	float8		expected;		/* sum of probabilities */
	float8		squares;
	float8		logs;
} Losses;

static void
add_losses(const ValidationState *state, Losses *losses)
{
	ScoreWalk	walk;

	for (walk_begin(&walk, state); walk_next(&walk);)
	{
		float8		p = walk.score;
		float8		clipped = clip_probability(p, LOSS_CLIP);

		losses->expected += (walk.n[GOOD] + walk.n[BAD]) * p;
		losses->squares += walk.n[BAD] * (1 - p) * (1 - p) + walk.n[GOOD] * p * p;
		losses->logs -= walk.n[BAD] * log(clipped) + walk.n[GOOD] * log1p(-clipped);
	}
}

static void
set_losses(const ValidationState *state, Datum *values, bool *nulls)
{
	float8		n_bad = validation_total(state, BAD);
	float8		n = n_bad + validation_total(state, GOOD);
	float8		rate = n_bad / n;
	Losses		losses = {0};

	add_losses(state, &losses);
	set_float(values, nulls, 2, n > 0, rate);
	set_float(values, nulls, 3, n > 0, losses.expected / n);
	set_float(values, nulls, 4, n > 0, losses.squares / n);
	set_float(values, nulls, 5, n_bad > 0 && n_bad < n,
			  1 - losses.squares / n / (rate * (1 - rate)));
	set_float(values, nulls, 6, n > 0, losses.logs / n);
}

static void
set_hosmer_lemeshow(const ValidationState *state, Datum *values, bool *nulls)
{
	RiskGroup  *groups = palloc(sizeof(RiskGroup) * (validation_parts(state) + 1));
	int			ngroups = merge_small_groups(groups, cut_groups(state, groups));
	float8		statistic = hosmer_lemeshow(groups, ngroups);

	set_float(values, nulls, 7, ngroups > 0, statistic);
	values[8] = Int32GetDatum(ngroups);
	set_float(values, nulls, 9, ngroups > 0, chi_square_tail(statistic, ngroups));
	set_float(values, nulls, 10, ngroups > 2, chi_square_tail(statistic, ngroups - 2));
}

static void
set_logistic(const ValidationState *state, Datum *values, bool *nulls)
{
	float8		n_good = validation_total(state, GOOD);
	float8		n_bad = validation_total(state, BAD);
	ScoreFit	fit = {state, NULL, {0, 1}, 0, false, 0, 0};
	bool		has_slope = false;
	bool		has_large = false;

	nulls[11] = nulls[12] = nulls[13] = true;
	if (n_good == 0 || n_bad == 0)
		return;
	fit.x = logits_of(state);
	fit.center = mean_logit(&fit);
	fit.a = log(n_bad / n_good);
	if (is_overlapping(state))
		has_slope = fit_scores(&fit);
	set_float(values, nulls, 11, has_slope, fit.b);
	set_float(values, nulls, 12, has_slope, fit.a - fit.b * fit.center);
	fit.slope_is_one = true;
	fit.a = log(n_bad / n_good);
	fit.b = 1;
	has_large = fit_scores(&fit);
	set_float(values, nulls, 13, has_large, fit.a - fit.center);
}

Datum
credit_calibration_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	Datum		values[CALIBRATION_COLUMNS];
	bool		nulls[CALIBRATION_COLUMNS] = {false};

	check_both(state);
	values[0] = Int64GetDatum(validation_rows(state, GOOD) + validation_rows(state, BAD));
	values[1] = Int64GetDatum(validation_rows(state, BAD));
	set_losses(state, values, nulls);
	set_hosmer_lemeshow(state, values, nulls);
	set_logistic(state, values, nulls);
	values[14] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, CALIBRATION_COLUMNS, values, nulls);
}

/* --- calibration_groups() --------------------------------------------------- */

Datum
credit_calibration_groups_final(PG_FUNCTION_ARGS)
{
	ValidationState *state = validation_final_state(fcinfo);
	RiskGroup  *groups = palloc(sizeof(RiskGroup) * (validation_parts(state) + 1));
	int			ngroups;
	ResultRows	result;

	check_both(state);
	ngroups = cut_groups(state, groups);
	if (ngroups == 0)
		PG_RETURN_NULL();
	result_rows_begin(&result, fcinfo, GROUP_COLUMNS, ngroups);
	for (int i = 0; i < ngroups; i++)
	{
		const RiskGroup *g = &groups[i];
		Datum		values[GROUP_COLUMNS];
		bool		nulls[GROUP_COLUMNS] = {false};

		values[0] = Int32GetDatum(i + 1);
		values[1] = Int64GetDatum((int64) g->n);
		values[2] = Int64GetDatum((int64) g->n_bad);
		values[3] = Float8GetDatum(g->expected);
		values[4] = Float8GetDatum(g->n_bad / g->n);
		values[5] = Float8GetDatum(g->expected / g->n);
		values[6] = Float8GetDatum(g->low);
		values[7] = Float8GetDatum(g->high);
		result_rows_add(&result, values, nulls);
	}
	return result_rows_end(&result);
}

/*
 * Subject logit: logistic regression over anybody's tables.
 *
 * fit_logit() runs its queries as the caller, so it is neither a definer
 * function nor bound to a search_path: the query is the caller's own text.
 * src/logit.c (one step), src/logit_profile.c (the first look),
 * src/logit_fit.c (the fit), src/logit_select.c (which variables), src/linalg.c.
 */

/* --- one step --------------------------------------------------------------- */

CREATE TYPE credit.logit_step_result AS (
	n_rows bigint,
	n_events bigint,
	n_skipped bigint,
	weight double precision,
	log_likelihood double precision,
	gradient double precision[],
	hessian double precision[]);
COMMENT ON TYPE credit.logit_step_result IS
'What the rows say about a logistic regression at given coefficients: aggregate logit_step().';
COMMENT ON COLUMN credit.logit_step_result.n_rows IS 'Number of rows that counted.';
COMMENT ON COLUMN credit.logit_step_result.n_events IS 'Number of those that were events.';
COMMENT ON COLUMN credit.logit_step_result.n_skipped IS 'Number of rows left out, for a NULL or a weight of 0.';
COMMENT ON COLUMN credit.logit_step_result.weight IS 'Sum of the weights.';
COMMENT ON COLUMN credit.logit_step_result.log_likelihood IS 'Sum of weight times the natural logarithm of the probability given to what happened.';
COMMENT ON COLUMN credit.logit_step_result.gradient IS 'Its derivative by each coefficient: sum of weight * (y - p) * x.';
COMMENT ON COLUMN credit.logit_step_result.hessian IS 'Its second derivatives, negative, as a square array: sum of weight * p * (1 - p) * x * x''.';

CREATE FUNCTION credit.logit_step_accum(internal, is_event boolean, x double precision[], weight double precision,
										coefficients double precision[])
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_accum';
COMMENT ON FUNCTION credit.logit_step_accum(internal, boolean, double precision[], double precision, double precision[]) IS
'Part of aggregate logit_step(): adds a row.';

CREATE FUNCTION credit.logit_step_accum(internal, is_event boolean, x double precision[], weight double precision,
										coefficients double precision[], centre double precision[], scale double precision[])
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_accum';
COMMENT ON FUNCTION credit.logit_step_accum(internal, boolean, double precision[], double precision, double precision[], double precision[], double precision[]) IS
'Part of aggregate logit_step(): adds a row.';

CREATE FUNCTION credit.logit_step_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_combine';
COMMENT ON FUNCTION credit.logit_step_combine(internal, internal) IS 'Part of aggregate logit_step(): merges two states.';

CREATE FUNCTION credit.logit_step_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_serialize';
COMMENT ON FUNCTION credit.logit_step_serialize(internal) IS 'Part of aggregate logit_step(): a state as bytes.';

CREATE FUNCTION credit.logit_step_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_deserialize';
COMMENT ON FUNCTION credit.logit_step_deserialize(bytea, internal) IS 'Part of aggregate logit_step(): a state from bytes.';

CREATE FUNCTION credit.logit_step_final(internal) RETURNS credit.logit_step_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_final';
COMMENT ON FUNCTION credit.logit_step_final(internal) IS 'Part of aggregate logit_step(): the result.';

CREATE AGGREGATE credit.logit_step(is_event boolean, x double precision[], weight double precision,
								   coefficients double precision[]) (
	SFUNC = credit.logit_step_accum,
	STYPE = internal,
	SSPACE = 8192,
	COMBINEFUNC = credit.logit_step_combine,
	SERIALFUNC = credit.logit_step_serialize,
	DESERIALFUNC = credit.logit_step_deserialize,
	FINALFUNC = credit.logit_step_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.logit_step(boolean, double precision[], double precision, double precision[]) IS
'Log-likelihood of a logistic regression at the given coefficients, with gradient and negative Hessian, in one pass. Coefficients: the intercept, then one for each value of x; without the intercept if there are as many as values. They must be the same for all rows.';

CREATE AGGREGATE credit.logit_step(is_event boolean, x double precision[], weight double precision,
								   coefficients double precision[], centre double precision[], scale double precision[]) (
	SFUNC = credit.logit_step_accum,
	STYPE = internal,
	SSPACE = 8192,
	COMBINEFUNC = credit.logit_step_combine,
	SERIALFUNC = credit.logit_step_serialize,
	DESERIALFUNC = credit.logit_step_deserialize,
	FINALFUNC = credit.logit_step_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.logit_step(boolean, double precision[], double precision, double precision[], double precision[], double precision[]) IS
'The same with (x - centre) * scale in place of x.';

/* --- the first look --------------------------------------------------------- */

CREATE FUNCTION credit.logit_profile_accum(internal, is_event boolean, x double precision[], weight double precision,
										   keep integer)
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_accum';
COMMENT ON FUNCTION credit.logit_profile_accum(internal, boolean, double precision[], double precision, integer) IS
'Part of aggregate logit_profile(): adds a row.';

CREATE FUNCTION credit.logit_profile_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_combine';
COMMENT ON FUNCTION credit.logit_profile_combine(internal, internal) IS 'Part of aggregate logit_profile(): merges two states.';

CREATE FUNCTION credit.logit_profile_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_serialize';
COMMENT ON FUNCTION credit.logit_profile_serialize(internal) IS 'Part of aggregate logit_profile(): a state as bytes, which are the result too.';

CREATE FUNCTION credit.logit_profile_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_deserialize';
COMMENT ON FUNCTION credit.logit_profile_deserialize(bytea, internal) IS 'Part of aggregate logit_profile(): a state from bytes.';

CREATE AGGREGATE credit.logit_profile(is_event boolean, x double precision[], weight double precision, keep integer) (
	SFUNC = credit.logit_profile_accum,
	STYPE = internal,
	SSPACE = 8192,
	COMBINEFUNC = credit.logit_profile_combine,
	SERIALFUNC = credit.logit_profile_serialize,
	DESERIALFUNC = credit.logit_profile_deserialize,
	FINALFUNC = credit.logit_profile_serialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.logit_profile(boolean, double precision[], double precision, integer) IS
'What fit_logit() has to know before it begins, as bytes for fit_logit() only: counts, ranges, and a sample of up to keep rows.';

/* --- the fit ---------------------------------------------------------------- */

CREATE TYPE credit.logit_term AS (
	position integer,
	variable text,
	coefficient double precision,
	standard_error double precision,
	z double precision,
	p_value double precision,
	mean double precision,
	deviation double precision);
COMMENT ON TYPE credit.logit_term IS 'One coefficient of a logistic regression.';
COMMENT ON COLUMN credit.logit_term.position IS 'Place of the variable in the list that was given, from 1; 0: the intercept.';
COMMENT ON COLUMN credit.logit_term.variable IS 'Name of the column, or (intercept).';
COMMENT ON COLUMN credit.logit_term.coefficient IS 'Change of the log-odds of the event by one unit of the variable.';
COMMENT ON COLUMN credit.logit_term.standard_error IS 'Its standard error, from the inverse of the Hessian; with a ridge an approximation of the posterior deviation.';
COMMENT ON COLUMN credit.logit_term.z IS 'Wald''s z: coefficient / standard error.';
COMMENT ON COLUMN credit.logit_term.p_value IS 'Probability of a z of this size or more, in either direction, if the coefficient were 0 (normal distribution).';
COMMENT ON COLUMN credit.logit_term.mean IS 'Weighted mean of the variable over the rows used; NULL for the intercept.';
COMMENT ON COLUMN credit.logit_term.deviation IS 'Weighted standard deviation of the variable over the rows used (divided by the sum of weights); NULL for the intercept.';

CREATE TYPE credit.logit_fit AS (
	n_rows bigint,
	n_events bigint,
	n_skipped bigint,
	weight double precision,
	event_weight double precision,
	iterations integer,
	n_scans integer,
	gradient_norm double precision,
	log_likelihood double precision,
	null_log_likelihood double precision,
	deviance double precision,
	null_deviance double precision,
	aic double precision,
	pseudo_r2 double precision,
	ridge double precision,
	is_standardised boolean,
	is_posterior boolean,
	coefficients double precision[],
	terms credit.logit_term[]);
COMMENT ON TYPE credit.logit_fit IS
'Result of fit_logit(): a summary, and one element of terms for each coefficient: SELECT t.* FROM credit.fit_logit(...) f, unnest(f.terms) t.';
COMMENT ON COLUMN credit.logit_fit.n_rows IS 'Number of rows used.';
COMMENT ON COLUMN credit.logit_fit.n_events IS 'Number of those that are events.';
COMMENT ON COLUMN credit.logit_fit.n_skipped IS 'Number of rows left out because the event, a variable or the weight is NULL, or the weight 0.';
COMMENT ON COLUMN credit.logit_fit.weight IS 'Sum of the weights of the rows used.';
COMMENT ON COLUMN credit.logit_fit.event_weight IS 'The same of the events.';
COMMENT ON COLUMN credit.logit_fit.iterations IS 'Steps of Newton''s method, those on a sample not counted.';
COMMENT ON COLUMN credit.logit_fit.n_scans IS 'How often all rows were read.';
COMMENT ON COLUMN credit.logit_fit.gradient_norm IS 'Largest element, in size, of the gradient before the last step, for variables scaled to deviation 1; 0 is a maximum.';
COMMENT ON COLUMN credit.logit_fit.log_likelihood IS 'Natural logarithm of the likelihood, without the penalty of a ridge.';
COMMENT ON COLUMN credit.logit_fit.null_log_likelihood IS 'The same of the model with an intercept only; without intercept, of probability 0.5.';
COMMENT ON COLUMN credit.logit_fit.deviance IS 'Residual deviance: -2 * log_likelihood.';
COMMENT ON COLUMN credit.logit_fit.null_deviance IS '-2 * null_log_likelihood.';
COMMENT ON COLUMN credit.logit_fit.aic IS 'Akaike''s criterion: deviance + 2 * number of coefficients. With a ridge it counts them in full.';
COMMENT ON COLUMN credit.logit_fit.pseudo_r2 IS 'McFadden''s: 1 - log_likelihood / null_log_likelihood.';
COMMENT ON COLUMN credit.logit_fit.ridge IS 'The ridge asked for; 0: maximum likelihood.';
COMMENT ON COLUMN credit.logit_fit.is_standardised IS 'Was the ridge on coefficients per standard deviation?';
COMMENT ON COLUMN credit.logit_fit.is_posterior IS 'True with a ridge: standard errors, z and p are approximations of a posterior, not tests.';
COMMENT ON COLUMN credit.logit_fit.coefficients IS 'The coefficients, intercept first: argument of logit_probability().';
COMMENT ON COLUMN credit.logit_fit.terms IS 'The coefficients with all that belongs to them.';

/* Reads only, under the snapshot of the statement; its own queries may be parallel, so it is not. */
CREATE FUNCTION credit.fit_logit
	(source text, is_event text, variables text[], weight text DEFAULT NULL,
	 ridge double precision DEFAULT 0, standardise boolean DEFAULT false,
	 intercept boolean DEFAULT true, max_iterations integer DEFAULT 50)
RETURNS credit.logit_fit
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_fit_logit';
COMMENT ON FUNCTION credit.fit_logit(text, text, text[], text, double precision, boolean, boolean, integer) IS
'Fits a logistic regression of a boolean column on numeric columns of a query, or of a table by its name. Maximum likelihood, or with a ridge: penalty ridge / 2 times the sum of squares of the coefficients, the intercept apart. The query runs several times, as the caller.';

CREATE FUNCTION credit.fit_logit
	(relation regclass, is_event text, variables text[], weight text DEFAULT NULL,
	 ridge double precision DEFAULT 0, standardise boolean DEFAULT false,
	 intercept boolean DEFAULT true, max_iterations integer DEFAULT 50)
RETURNS credit.logit_fit
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_fit_logit_relation';
COMMENT ON FUNCTION credit.fit_logit(regclass, text, text[], text, double precision, boolean, boolean, integer) IS
'The same for a table or view.';

/* --- which variables --------------------------------------------------------- */

CREATE TYPE credit.logit_selection_step AS (
	step integer,
	action text,
	variable text,
	chi_square double precision,
	p_value double precision,
	n_variables integer,
	log_likelihood double precision,
	aic double precision,
	bic double precision);
COMMENT ON TYPE credit.logit_selection_step IS 'One step of a selection of variables: select_logit().';
COMMENT ON COLUMN credit.logit_selection_step.step IS 'Number of the step, from 0.';
COMMENT ON COLUMN credit.logit_selection_step.action IS 'Action: start, add or drop.';
COMMENT ON COLUMN credit.logit_selection_step.variable IS 'Variable that came in or went out; NULL: start.';
COMMENT ON COLUMN credit.logit_selection_step.chi_square IS 'Likelihood ratio of the models with and without it: twice the difference of their log-likelihoods.';
COMMENT ON COLUMN credit.logit_selection_step.p_value IS 'Probability of that or more by chance, for one variable that was not chosen from many (chi-square, one degree of freedom).';
COMMENT ON COLUMN credit.logit_selection_step.n_variables IS 'Number of variables after the step.';
COMMENT ON COLUMN credit.logit_selection_step.log_likelihood IS 'Log-likelihood after the step.';
COMMENT ON COLUMN credit.logit_selection_step.aic IS 'Akaike''s criterion: 2 * number of coefficients - 2 * log_likelihood.';
COMMENT ON COLUMN credit.logit_selection_step.bic IS 'Schwarz''s criterion: ln(sum of weights) * number of coefficients - 2 * log_likelihood.';

CREATE TYPE credit.logit_candidate AS (
	variable text,
	chi_square double precision,
	p_value double precision);
COMMENT ON TYPE credit.logit_candidate IS 'A variable that select_logit() left out.';
COMMENT ON COLUMN credit.logit_candidate.variable IS 'Name of the variable.';
COMMENT ON COLUMN credit.logit_candidate.chi_square IS 'Score test of adding it to those selected; NULL: it is collinear with them.';
COMMENT ON COLUMN credit.logit_candidate.p_value IS 'Probability of that or more by chance (chi-square, one degree of freedom).';

CREATE TYPE credit.logit_selection AS (
	variables text[],
	n_rows bigint,
	n_skipped bigint,
	n_scans integer,
	steps credit.logit_selection_step[],
	left_out credit.logit_candidate[],
	fit credit.logit_fit);
COMMENT ON TYPE credit.logit_selection IS
'Result of select_logit(): SELECT s.* FROM credit.select_logit(...) f, unnest(f.steps) s.';
COMMENT ON COLUMN credit.logit_selection.variables IS 'Variables selected, in the order in which they were given.';
COMMENT ON COLUMN credit.logit_selection.n_rows IS 'Number of rows used: those in which no variable is NULL, whether it was selected or not.';
COMMENT ON COLUMN credit.logit_selection.n_skipped IS 'Number of rows left out for a NULL or a weight of 0.';
COMMENT ON COLUMN credit.logit_selection.n_scans IS 'How often all rows were read, the fit at the end not counted.';
COMMENT ON COLUMN credit.logit_selection.steps IS 'What was added and taken out, one after another.';
COMMENT ON COLUMN credit.logit_selection.left_out IS 'Variables that were left out, and what they would add.';
COMMENT ON COLUMN credit.logit_selection.fit IS 'Fit of the variables selected over the same rows. Its standard errors and p-values know nothing of the selection, and are too small. NULL: no variable was selected.';

CREATE FUNCTION credit.select_logit
	(source text, is_event text, variables text[], weight text DEFAULT NULL,
	 criterion text DEFAULT 'aic', direction text DEFAULT 'both', keep text[] DEFAULT NULL,
	 p_enter double precision DEFAULT 0.05, p_remove double precision DEFAULT 0.1,
	 max_variables integer DEFAULT NULL)
RETURNS credit.logit_selection
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_select_logit';
COMMENT ON FUNCTION credit.select_logit(text, text, text[], text, text, text, text[], double precision, double precision, integer) IS
'Selects variables for a logistic regression step by step: by criterion aic, bic or p (likelihood ratio; in below p_enter, out above p_remove), in direction both, forward or backward. Variables in keep are in from the start and stay. Rows in which any variable is NULL are left out, for all models alike. The query runs several times, as the caller.';

CREATE FUNCTION credit.select_logit
	(relation regclass, is_event text, variables text[], weight text DEFAULT NULL,
	 criterion text DEFAULT 'aic', direction text DEFAULT 'both', keep text[] DEFAULT NULL,
	 p_enter double precision DEFAULT 0.05, p_remove double precision DEFAULT 0.1,
	 max_variables integer DEFAULT NULL)
RETURNS credit.logit_selection
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_select_logit_relation';
COMMENT ON FUNCTION credit.select_logit(regclass, text, text[], text, text, text, text[], double precision, double precision, integer) IS
'The same for a table or view.';

CREATE FUNCTION credit.logit_probability(coefficients double precision[], x double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_probability';
COMMENT ON FUNCTION credit.logit_probability(double precision[], double precision[]) IS
'Probability of the event by a logistic regression: coefficients of fit_logit(), and the values of its variables in the same order. NULL if one of the values is NULL.';

--
-- logit: logistic regression over tables and queries
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
SET client_min_messages = notice;

-- Shows a fit: no figure depends on the last digits.
CREATE FUNCTION show(f credit.logit_fit) RETURNS TABLE (variable text, coefficient numeric, standard_error numeric, z numeric, p_value numeric)
LANGUAGE sql AS $$
SELECT t.variable, round(t.coefficient::numeric, 6), round(t.standard_error::numeric, 6), round(t.z::numeric, 4), round(t.p_value::numeric, 4)
  FROM unnest((f).terms) t ORDER BY t.position
$$;

-- 1. Challenger: 23 launches, damage to an O-ring on temperature in F
--    (Dalal, Fowlkes and Hoadley 1989)

CREATE TABLE launch (temperature int, is_damaged boolean);
INSERT INTO launch VALUES
	(66, false), (70, true), (69, false), (68, false), (67, false), (72, false), (73, false), (70, false),
	(57, true), (63, true), (70, true), (78, false), (67, false), (53, true), (67, false), (75, false),
	(70, false), (81, false), (76, false), (79, false), (75, true), (76, false), (58, true);
SELECT s.* FROM credit.fit_logit('launch', 'is_damaged', ARRAY['temperature']) f, show(f) s;
SELECT n_rows, n_events, n_skipped, weight, event_weight, iterations <= 8 AS is_quick, n_scans, gradient_norm < 1e-7 AS is_flat,
	   round(log_likelihood::numeric, 9) AS log_likelihood, round(null_log_likelihood::numeric, 6) AS null_log_likelihood,
	   round(deviance::numeric, 3) AS deviance, round(null_deviance::numeric, 3) AS null_deviance,
	   round(aic::numeric, 3) AS aic, round(pseudo_r2::numeric, 4) AS pseudo_r2, ridge, is_standardised, is_posterior
  FROM credit.fit_logit('launch', 'is_damaged', ARRAY['temperature']);
SELECT round(credit.logit_probability(coefficients, ARRAY[31])::numeric, 9) AS at_31,
	   abs(coefficients[1] - 15.042901648) < 1e-6 AND abs(coefficients[2] + 0.232162744) < 1e-8 AS is_exact
  FROM credit.fit_logit('launch', 'is_damaged', ARRAY['temperature']);

-- the same by relation, by a query, with a comment at its end, and in grades Celsius
SELECT count(DISTINCT round((f).log_likelihood::numeric, 9))
  FROM (SELECT credit.fit_logit('launch'::regclass, 'is_damaged', ARRAY['temperature'])
		UNION ALL SELECT credit.fit_logit('public.launch', 'is_damaged', ARRAY['temperature'])
		UNION ALL SELECT credit.fit_logit(' TABLE launch -- all of them', 'is_damaged', ARRAY['temperature'])
		UNION ALL SELECT credit.fit_logit('/* some */ SELECT * FROM launch', 'is_damaged', ARRAY['temperature'])
		UNION ALL SELECT credit.fit_logit('(SELECT (temperature - 32) / 1.8 AS c, is_damaged FROM launch)', 'is_damaged', ARRAY['c'])) x(f);

-- 2. Two groups: 2 of 10, and 6 of 10

CREATE TABLE two_groups AS
SELECT x, n <= CASE x WHEN 0 THEN 2 ELSE 6 END AS is_bad, n FROM generate_series(0, 1) x, generate_series(1, 10) n;
SELECT s.* FROM credit.fit_logit('two_groups', 'is_bad', ARRAY['x']) f, show(f) s;
SELECT s.* FROM credit.fit_logit('two_groups', 'is_bad', ARRAY['x'], ridge => 1) f, show(f) s;
-- per standard deviation, which is 0.5: a penalty of a quarter
SELECT f.is_posterior, f.is_standardised,
	   round((f).coefficients[2]::numeric, 8) = round((g).coefficients[2]::numeric, 8) AS is_same
  FROM credit.fit_logit('two_groups', 'is_bad', ARRAY['x'], ridge => 1, standardise => true) f,
	   credit.fit_logit('two_groups', 'is_bad', ARRAY['x'], ridge => 0.25) g;
-- weights: counts instead of rows
SELECT s.*, f.n_rows, f.weight, f.event_weight
  FROM credit.fit_logit('SELECT x, is_bad, count(*) AS n FROM two_groups GROUP BY x, is_bad', 'is_bad', ARRAY['x'], weight => 'n') f, show(f) s;
-- a ridge however large leaves the intercept
SELECT round((coefficients[1])::numeric, 6) AS log_odds_of_8_in_20, abs(coefficients[2]) < 1e-6 AS is_0
  FROM credit.fit_logit('two_groups', 'is_bad', ARRAY['x'], ridge => 1e9);
-- without intercept: 6 of 10 alone decides, and the other group has one half
SELECT s.*, round(f.null_deviance::numeric, 6) AS null_deviance
  FROM credit.fit_logit('two_groups', 'is_bad', ARRAY['x'], intercept => false) f, show(f) s;
-- calibration: outcome on log-odds of the prediction (0.2: 3 of 10, 0.5: 4 of 10)
SELECT round(coefficients[1]::numeric, 4) AS intercept, round(coefficients[2]::numeric, 4) AS slope
  FROM credit.fit_logit('SELECT ln(p / (1 - p)) AS log_odds, n <= bad AS is_bad FROM (VALUES (0.2::float8, 3), (0.5, 4)) v(p, bad), generate_series(1, 10) n',
						'is_bad', ARRAY['log_odds']);

-- 3. Rows left out, and names of any kind

CREATE TABLE "Odd ""Names" ("The ""x" numeric, "SELECT" boolean, "is bad" boolean, "w;" real);
INSERT INTO "Odd ""Names" SELECT x, n % 2 = 0, is_bad, 1 FROM two_groups;
INSERT INTO "Odd ""Names" VALUES (NULL, true, true, 1), (1, NULL, true, 1), (1, true, NULL, 1), (1, true, true, NULL), (1, true, true, 0);
SELECT n_rows, n_skipped, f.terms[2].variable, f.terms[3].variable
  FROM credit.fit_logit('"Odd ""Names"', 'is bad', ARRAY['The "x', 'SELECT'], weight => 'w;') f;

-- 4. What cannot be fitted is said, with the name of what is wrong

SELECT credit.fit_logit('SELECT 1 AS x, false AS e WHERE false', 'e', ARRAY['x']);
SELECT credit.fit_logit('SELECT NULL::int AS x, 1 AS y, n > 2 AS e FROM generate_series(1, 4) n', 'e', ARRAY['y', 'x']);
SELECT credit.fit_logit('SELECT n AS x, false AS e FROM generate_series(1, 4) n', 'e', ARRAY['x']);
SELECT credit.fit_logit('SELECT n AS x, true AS e FROM generate_series(1, 4) n UNION ALL SELECT NULL, false', 'e', ARRAY['x']);
SELECT credit.fit_logit('SELECT *, 7 AS seven FROM two_groups', 'is_bad', ARRAY['x', 'seven']);
SELECT credit.fit_logit('SELECT *, 1e-200::float8 * n AS tiny FROM two_groups', 'is_bad', ARRAY['x', 'tiny']);
SELECT credit.fit_logit('SELECT *, 3 * n - 2 * x + 5 AS twin FROM two_groups', 'is_bad', ARRAY['n', 'x', 'twin']);
SELECT credit.fit_logit('SELECT *, (n % 3 = 0) AS a, (n % 3 = 1) AS b, (n % 3 = 2) AS c FROM two_groups', 'is_bad', ARRAY['x', 'a', 'b', 'c']);
SELECT credit.fit_logit('SELECT *, CASE n WHEN 3 THEN float8 ''NaN'' WHEN 4 THEN ''-Infinity'' ELSE n END AS y FROM two_groups', 'is_bad', ARRAY['x', 'y']);
SELECT credit.fit_logit('SELECT *, 1e300::float8 * n AS y FROM two_groups', 'is_bad', ARRAY['x', 'y']);
SELECT credit.fit_logit('SELECT *, -1 AS w FROM two_groups', 'is_bad', ARRAY['x'], weight => 'w');
SELECT credit.fit_logit('SELECT *, numeric ''NaN'' AS w FROM two_groups', 'is_bad', ARRAY['x'], weight => 'w');

-- 5. Separation

-- complete, by one variable
SELECT credit.fit_logit('SELECT n AS x, n % 2 AS z, n > 10 AS e FROM generate_series(1, 20) n', 'e', ARRAY['z', 'x']);
-- the other way round
SELECT credit.fit_logit('SELECT -n AS x, n > 10 AS e FROM generate_series(1, 20) n', 'e', ARRAY['x']);
-- quasi-complete: nobody with the flag is good
SELECT credit.fit_logit('SELECT *, is_bad AND n = 1 AS flag FROM two_groups', 'is_bad', ARRAY['x', 'flag']);
-- without intercept the line between the classes is at 0
SELECT credit.fit_logit('SELECT -n AS x, n > 0 AS e FROM generate_series(-5, 5) n', 'e', ARRAY['x'], intercept => false);
-- (the details have a log-likelihood whose last digits nobody promises)
\set VERBOSITY terse
-- complete, by two variables of which none does so alone
SELECT credit.fit_logit('SELECT a, b, n % 2 AS other, a + b > 10 AS e FROM generate_series(1, 10) a, generate_series(1, 10) b, generate_series(1, 2) n', 'e', ARRAY['other', 'a', 'b']);
-- quasi-complete by two: the line between the classes has both
SELECT credit.fit_logit('SELECT a, b, a * b % 5 AS other, a + b > 10 OR (a + b = 10 AND a % 2 = 0) AS e FROM generate_series(1, 10) a, generate_series(1, 10) b', 'e', ARRAY['other', 'a', 'b']);
-- one value so far out that the others are all the same beside it
SELECT credit.fit_logit('SELECT n % 3 = 0 AS e, CASE n WHEN 7 THEN 1e99::float8 ELSE n END AS x FROM generate_series(1, 1000) n', 'e', ARRAY['x']);
\set VERBOSITY default
-- a ridge has an answer: 0 of 10, and 10 of 10
SELECT s.* FROM credit.fit_logit('SELECT x, x = 1 AS e FROM generate_series(0, 1) x, generate_series(1, 10)', 'e', ARRAY['x'], ridge => 1) f, show(f) s;
-- near it there is a maximum, with a warning
SELECT round(coefficients[2]::numeric, 2) AS slope
  FROM credit.fit_logit('SELECT n AS x, CASE n WHEN 500 THEN true WHEN 501 THEN false ELSE n > 500 END AS e FROM generate_series(1, 1000) n', 'e', ARRAY['x']);

-- 6. Arguments

SELECT credit.fit_logit('nowhere', 'e', ARRAY['x']);
SELECT credit.fit_logit(NULL::text, 'e', ARRAY['x']);
SELECT credit.fit_logit(0::regclass, 'e', ARRAY['x']);
SELECT credit.fit_logit('launch', NULL, ARRAY['temperature']);
SELECT credit.fit_logit('launch', 'is_damaged', NULL);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY[]::text[]);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY[NULL]);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY['temperature', 'temperature']);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY['heat']);
SELECT credit.fit_logit('launch', 'temperature', ARRAY['temperature']);
SELECT credit.fit_logit('SELECT *, ''hot''::text AS word FROM launch', 'is_damaged', ARRAY['word']);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY['temperature'], ridge => -1);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY['temperature'], ridge => 'NaN');
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY['temperature'], max_iterations => 0);
SELECT credit.fit_logit('launch', 'is_damaged', ARRAY['temperature'], max_iterations => 1);
SELECT credit.fit_logit('launch', 'is_damaged', (SELECT array_agg('c' || n) FROM generate_series(1, 501) n));
SELECT credit.fit_logit('SELECT 1 AS x, true AS e) q; DROP TABLE launch; SELECT * FROM (SELECT 1', 'e', ARRAY['x']);
SELECT credit.fit_logit('WITH gone AS (DELETE FROM launch RETURNING *) SELECT * FROM gone', 'is_damaged', ARRAY['temperature']);
SELECT count(*) FROM launch;
-- too many rows for memory, and others in each scan
SET work_mem = '64kB';
CREATE SEQUENCE reads;
SELECT credit.fit_logit('SELECT n % 7 AS x, n % 5 = 0 AS e FROM generate_series(1, 20000) n WHERE nextval(''reads'') % 3 > 0', 'e', ARRAY['x']);
DROP SEQUENCE reads;
RESET work_mem;

-- 7. One step

SELECT n_rows, n_events, n_skipped, weight, round(log_likelihood::numeric, 6) AS log_likelihood, gradient, hessian
  FROM (SELECT (credit.logit_step(is_bad, ARRAY[x], 1, ARRAY[0, 0])).* FROM two_groups) s;
-- no intercept; centre and scale
SELECT (credit.logit_step(is_bad, ARRAY[x], 1, ARRAY[0])).gradient, (credit.logit_step(is_bad, ARRAY[x], 1, ARRAY[0, 0], ARRAY[0.5], ARRAY[2])).gradient FROM two_groups;
-- no rows, no values
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[0, 0]) WHERE false;
SELECT credit.logit_step(e, x, w, ARRAY[0, 0])
  FROM (VALUES (NULL, '{1}'::float8[], 1), (true, NULL, 1), (true, '{NULL}', 1), (true, '{1}', NULL), (true, '{1}', 0), (true, '{1}', 1)) v(e, x, w);
-- log-odds beyond any exponential: 1e300 on the right and on the wrong side, weight 2
SELECT (credit.logit_step(e, ARRAY[x], 2, ARRAY[0, 1e200])).log_likelihood
  FROM (VALUES (true, 1e100::float8), (true, 700), (false, -1e100), (false, -746)) v(e, x);
SELECT (credit.logit_step(e, ARRAY[x], 2, ARRAY[0, 1e200])).log_likelihood
  FROM (VALUES (true, -1e100::float8), (false, 1e100)) v(e, x);
SELECT log_likelihood, gradient, round((hessian[1][1] * 1e18)::numeric, 3) AS "10^18 h11", round((hessian[2][2] * 1e15)::numeric, 3) AS "10^15 h22"
  FROM (SELECT (credit.logit_step(true, ARRAY[x], 1, ARRAY[0, 1])).* FROM (VALUES (40::float8), (-40)) v(x)) s;
-- wrong arguments
SELECT credit.logit_step(true, ARRAY[1e101], 1, ARRAY[0, 1]);
SELECT credit.logit_step(true, ARRAY['NaN'::float8], 1, ARRAY[0, 1]);
SELECT credit.logit_step(true, ARRAY[1e100, 1e100], 1, ARRAY[1e300, -1e300]);
SELECT credit.logit_step(true, ARRAY[1], -1, ARRAY[0, 1]);
SELECT credit.logit_step(true, ARRAY[1], 'Infinity', ARRAY[0, 1]);
SELECT credit.logit_step(true, ARRAY[1], 1, NULL);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[0, NULL]);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[0, 'Infinity'::float8]);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[]::float8[]);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[[0, 1]]);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[0, 1, 2]);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[0, 1], ARRAY[0, 0, 0], ARRAY[1, 1, 1]);
SELECT credit.logit_step(true, array_fill(1::float8, ARRAY[502]), 1, ARRAY[0, 1]);
SELECT credit.logit_step(true, ARRAY[1], 1, array_fill(1::float8, ARRAY[502]));
SELECT credit.logit_step(true, x, 1, ARRAY[0, 1]) FROM (VALUES ('{1}'::float8[]), ('{1, 2}')) v(x);
SELECT credit.logit_step(true, ARRAY[1], 1, c) FROM (VALUES ('{0, 1}'::float8[]), ('{0, 2}')) v(c);
SELECT credit.logit_step(true, ARRAY[1], 1, ARRAY[0, 1], ARRAY[c], ARRAY[1]) FROM (VALUES (1::float8), (2)) v(c);

-- 8. Support functions called outside an aggregate. SQL has no value of their
--    type, so they are declared under other names.

CREATE FUNCTION call_accum(bytea, boolean, float8[], float8, float8[]) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_step_accum';
CREATE FUNCTION call_combine(bytea, bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_step_combine';
CREATE FUNCTION call_serialize(bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_step_serialize';
CREATE FUNCTION call_deserialize(bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_step_deserialize';
CREATE FUNCTION call_final(bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_step_final';
CREATE FUNCTION call_profile_accum(bytea, boolean, float8[], float8, int) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_profile_accum';
CREATE FUNCTION call_profile_combine(bytea, bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_profile_combine';
CREATE FUNCTION call_profile_serialize(bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_profile_serialize';
CREATE FUNCTION call_profile_deserialize(bytea) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_profile_deserialize';
SELECT call_accum(NULL, true, ARRAY[1], 1, ARRAY[0, 1]);
SELECT call_combine('x', 'x');
SELECT call_serialize('x');
SELECT call_deserialize('x');
SELECT call_final('x');
SELECT call_profile_accum(NULL, true, ARRAY[1], 1, 10);
SELECT call_profile_combine('x', 'x');
SELECT call_profile_serialize('x');
SELECT call_profile_deserialize('x');

-- 9. Probability

SELECT credit.logit_probability(ARRAY[0, 1], ARRAY[0]) AS half, credit.logit_probability(ARRAY[1], ARRAY[0]) AS half_too,
	   credit.logit_probability(ARRAY[0, 1e200], ARRAY[1e100]) AS one, credit.logit_probability(ARRAY[0, 1e200], ARRAY[-1e100]) AS zero,
	   credit.logit_probability(ARRAY[1e300, 1e300], ARRAY[1e100]) AS one_too,
	   credit.logit_probability(ARRAY[0, 1], ARRAY[NULL]::float8[]) IS NULL AS is_null, credit.logit_probability(NULL, ARRAY[1]) IS NULL AS is_null_too;
SELECT credit.logit_probability(ARRAY[0, 1, 2], ARRAY[1]);
SELECT credit.logit_probability(ARRAY[0, 1], ARRAY['NaN'::float8]);
SELECT credit.logit_probability(ARRAY[0, NULL], ARRAY[1]);
SELECT credit.logit_probability(ARRAY[1e300, -1e300], ARRAY[1e100, 1e100]);

-- 10. Selection of variables

SELECT (s).step, (s).action, (s).variable, round((s).chi_square::numeric, 4) AS chi_square, round((s).p_value::numeric, 6) AS p_value, (s).n_variables,
	   round((s).log_likelihood::numeric, 4) AS log_likelihood, round((s).aic::numeric, 4) AS aic, round((s).bic::numeric, 4) AS bic
  FROM (SELECT unnest(f.steps) AS s FROM credit.select_logit('SELECT *, is_damaged AS is_bad, temperature % 7 AS weekday, temperature * 37 % 11 AS chance FROM launch', 'is_bad', '{temperature,weekday,chance}') f) x;
SELECT f.variables, f.n_rows, f.n_skipped, f.n_scans, l.variable, round(l.chi_square::numeric, 4) AS chi_square, round((f.fit).log_likelihood::numeric, 4) AS log_likelihood
  FROM credit.select_logit('SELECT *, temperature % 7 AS weekday FROM launch', 'is_damaged', '{temperature,weekday}', criterion => 'bic') f, unnest(f.left_out) l;
-- none is worth it; one is kept all the same
SELECT f.variables, f.fit IS NULL AS has_no_fit, cardinality(f.steps) AS n_steps FROM credit.select_logit('SELECT *, temperature * 37 % 11 AS chance FROM launch', 'is_damaged', '{chance}') f;
SELECT f.variables FROM credit.select_logit('SELECT *, temperature % 7 AS weekday FROM launch', 'is_damaged', '{temperature,weekday}', keep => '{weekday}') f;
SELECT f.variables FROM credit.select_logit('SELECT *, temperature % 7 AS weekday FROM launch', 'is_damaged', '{temperature,weekday}', keep => '{weekday}', max_variables => 1) f;
-- wrong arguments
SELECT credit.select_logit('launch', 'is_damaged', '{temperature}', criterion => 'r2');
SELECT credit.select_logit('launch', 'is_damaged', '{temperature}', direction => NULL);
SELECT credit.select_logit('launch', 'is_damaged', '{temperature}', keep => '{weekday}');
SELECT credit.select_logit('launch', 'is_damaged', '{temperature}', criterion => 'p', p_enter => 0.2, p_remove => 0.1);
SELECT credit.select_logit('launch', 'is_damaged', '{temperature}', p_enter => 'NaN');
SELECT credit.select_logit('launch', 'is_damaged', '{temperature}', max_variables => 0);
-- no maximum: by one variable, by two together
SELECT credit.select_logit('SELECT *, is_damaged::int AS same FROM launch', 'is_damaged', '{temperature,same}');
SELECT credit.select_logit('SELECT x + 2 * y > 7 AS e, x, y, x * y % 5 AS z FROM generate_series(1, 5) x, generate_series(1, 5) y', 'e', '{x,y,z}', direction => 'backward');
SELECT credit.select_logit('SELECT *, 2 * temperature AS twice FROM launch', 'is_damaged', '{temperature,twice}', direction => 'backward');

DROP FUNCTION show, call_accum, call_combine, call_serialize, call_deserialize, call_final,
	call_profile_accum, call_profile_combine, call_profile_serialize, call_profile_deserialize;
DROP TABLE launch, two_groups, "Odd ""Names";
DROP EXTENSION credit;

--
-- validation: how good scores, probabilities and ratings are
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET extra_float_digits = -5;
CREATE EXTENSION credit;

-- 1. AUC, Gini, KS, DeLong

CREATE TABLE score (score float8, bad boolean);
INSERT INTO score VALUES (700, false), (650, false), (620, false), (620, false), (600, true), (620, true);
SELECT (credit.discrimination(score, bad)).* FROM score \gx
-- CAP and lift at thirds: the worst third has a bad one and a third of the tie
SELECT p.* FROM (SELECT credit.cap(score, bad, 3) AS cap FROM score) c, unnest(c.cap) p;
SELECT share, captured, lift FROM (SELECT credit.cap(score, bad) AS cap FROM score) c, unnest(c.cap) p;

-- scores where more is worse are put in as their negative
CREATE TABLE tie (score float8, bad int);
INSERT INTO tie VALUES (0.1, 0), (0.2, 0), (0.2, 1), (0.3, 0), (0.4, 0), (0.4, 1), (0.4, 1), (0.5, 0), (0.6, 1), (0.7, 1);
SELECT d.auc, d.gini, d.ks FROM (SELECT (credit.discrimination(-score, bad = 1)).* FROM tie) d;
SELECT d.auc, d.gini, d.ks FROM (SELECT (credit.discrimination(score, bad = 1)).* FROM tie) d;

-- all the same score; perfect; the wrong way round
SELECT d.auc, d.auc_se, d.auc_low, d.auc_high, d.auc_logit_low, d.gini, d.ks, d.ks_score
  FROM (SELECT (credit.discrimination(1, g % 2 = 0)).* FROM generate_series(1, 10) g) d;
SELECT d.auc, d.auc_se, d.auc_low, d.auc_high, d.auc_logit_low, d.gini, d.ks, d.ks_score
  FROM (SELECT (credit.discrimination(g, g <= 3)).* FROM generate_series(1, 10) g) d;
SELECT d.auc, d.auc_se, d.auc_low, d.auc_high, d.auc_logit_low, d.gini, d.ks, d.ks_score
  FROM (SELECT (credit.discrimination(-g, g <= 3)).* FROM generate_series(1, 10) g) d;
-- one class, no interval of one row of a class, no row
SELECT d.n, d.n_default, d.auc, d.auc_se, d.gini, d.ks, d.ks_score, d.n_skipped
  FROM (SELECT (credit.discrimination(g, false)).* FROM generate_series(1, 10) g) d;
SELECT d.n, d.n_default, d.auc, d.auc_se, d.auc_low, d.ks, d.n_skipped
  FROM (SELECT (credit.discrimination(g, g = 1)).* FROM generate_series(1, 10) g) d;
SELECT d.n, d.n_default, d.auc, d.auc_se, d.gini, d.ks, d.ks_score, d.n_skipped
  FROM (SELECT (credit.discrimination(score, bad)).* FROM score WHERE false) d;
-- NULL and NaN say nothing, infinities are scores, both zeros are one
SELECT d.n, d.n_default, d.auc, d.ks, d.ks_score, d.n_skipped
  FROM (SELECT (credit.discrimination(v.score, v.bad)).* FROM (VALUES
		(float8 '-infinity', true), ('infinity', false), ('0', true), ('-0', false), ('NaN', true), (NULL, true), ('1', NULL),
		('1e300', false), ('-1e300', true), ('5e-324', false)) v (score, bad)) d;
SELECT p.* FROM (SELECT credit.cap(g, false, 2) AS cap FROM generate_series(1, 4) g) c, unnest(c.cap) p;
SELECT credit.cap(score, bad), credit.cap(score, bad, 4) FROM score WHERE false;
-- the state is one where the arguments are the same
EXPLAIN (COSTS OFF) SELECT credit.discrimination(score, bad), credit.cap(score, bad) FROM score;

-- 2. Calibration

CREATE TABLE pd (p float8, bad boolean);
INSERT INTO pd VALUES (0.1, false), (0.2, false), (0.7, true), (0.9, true);
SELECT (credit.calibration(p, bad)).* FROM pd \gx
TRUNCATE pd;
INSERT INTO pd SELECT v.p, g <= v.bads FROM (VALUES (0.01, 2), (0.03, 2), (0.06, 5), (0.10, 12), (0.20, 25)) v (p, bads), generate_series(1, 100) g;
SELECT c.n, c.hosmer_lemeshow, c.hl_groups, c.hl_p, c.hl_p_development FROM (SELECT (credit.calibration(p, bad)).* FROM pd) c;
SELECT g.* FROM (SELECT credit.calibration_groups(p, bad, 5) AS groups FROM pd) c, unnest(c.groups) g;
-- two groups: the first has three probabilities
SELECT g.* FROM (SELECT credit.calibration_groups(p, bad, 2) AS groups FROM pd) c, unnest(c.groups) g;
SELECT c.hosmer_lemeshow, c.hl_groups, c.hl_p, c.hl_p_development FROM (SELECT (credit.calibration(p, bad, 2)).* FROM pd) c;
TRUNCATE pd;
INSERT INTO pd SELECT v.p, g <= v.bads FROM (VALUES (0.2, 3), (0.5, 4)) v (p, bads), generate_series(1, 10) g;
SELECT c.slope, c.intercept, round(c.intercept_in_the_large::numeric, 9) AS in_the_large FROM (SELECT (credit.calibration(p, bad)).* FROM pd) c;
-- what would be perfect
SELECT c.hosmer_lemeshow, c.hl_p, c.slope, round(c.intercept::numeric, 9) AS intercept, round(c.intercept_in_the_large::numeric, 9) AS in_the_large
  FROM (SELECT (credit.calibration(v.p, g <= v.bads)).* FROM (VALUES (0.2, 2), (0.5, 5), (0.9, 9)) v (p, bads), generate_series(1, 10) g) c;
-- no finite slope: a cut tells all; all but those at the cut; one probability; one class
SELECT c.slope, c.intercept, c.intercept_in_the_large FROM (SELECT (credit.calibration(g / 20.0, g > 10)).* FROM generate_series(1, 19) g) c;
SELECT c.slope, c.intercept, c.intercept_in_the_large FROM (SELECT (credit.calibration(g / 20.0, g > 10 OR i = 2)).* FROM generate_series(10, 12) g, generate_series(1, 2) i WHERE g = 10 OR i = 1) c;
SELECT c.brier, c.slope, c.intercept, round(c.intercept_in_the_large::numeric, 9) AS in_the_large FROM (SELECT (credit.calibration(0.3, g <= 3)).* FROM generate_series(1, 10) g) c;
SELECT c.brier, c.brier_skill, c.log_loss, c.slope, c.intercept, c.intercept_in_the_large FROM (SELECT (credit.calibration(0.3, false)).* FROM generate_series(1, 10) g) c;
-- certain and wrong is expensive, not infinite; certain and right costs next to nothing
SELECT c.brier, c.log_loss, c.hosmer_lemeshow, c.hl_groups FROM (SELECT (credit.calibration(v.p, v.bad)).* FROM (VALUES (0, true), (1, false)) v (p, bad)) c;
SELECT c.brier, c.log_loss < 1e-14 AS small, c.hosmer_lemeshow, c.hl_groups, c.hl_p FROM (SELECT (credit.calibration(v.p, v.bad)).* FROM (VALUES (0, false), (1, true)) v (p, bad)) c;
-- groups of probability 0 or 1, or with less than one expected, go to a neighbour
SELECT c.hosmer_lemeshow, c.hl_groups, c.hl_p_development
  FROM (SELECT (credit.calibration(p, bad)).* FROM (SELECT 0 AS p, false AS bad FROM generate_series(1, 50)
		UNION ALL SELECT 0.5, g % 2 = 0 FROM generate_series(1, 50) g UNION ALL SELECT 0.4, g % 2 = 0 FROM generate_series(1, 50) g
		UNION ALL SELECT 1, true FROM generate_series(1, 50) g) v) c;
SELECT (credit.calibration(v.p, v.bad)).* FROM (VALUES (NULL::float8, true), ('NaN', false), (0.5, NULL)) v (p, bad) \gx
SELECT credit.calibration_groups(p, bad), credit.calibration_groups(p, bad, 3) FROM pd WHERE false;
SELECT credit.calibration(1.01, true);
SELECT credit.calibration(v, true) FROM (VALUES (0.5), (-1e-9)) x (v);
SELECT credit.calibration('infinity', false);
SELECT credit.calibration_groups(-1, false);

-- 3. Stability

SELECT credit.psi('{0.25,0.25,0.25,0.25}', '{0.2,0.25,0.25,0.3}');
SELECT credit.psi('{0.25,0.25,0.25,0.25}', '{0.1,0.2,0.3,0.4}');
-- counts give what their shares give; an empty cell gives a half to each
SELECT credit.psi('{50,50,50,50}', '{20,25,25,30}');
SELECT credit.psi('{50,30,20}', '{60,40,0}');
SELECT credit.psi(ARRAY[50, 30, 20], ARRAY[60, 40, 0]);
-- of shares nobody knows how many rows they were
SELECT credit.psi('{0.5,0.5}', '{1,0}'), credit.psi('{50,50}', '{1,0}');
SELECT credit.psi('{}', '{}'), credit.psi('{0,0}', '{1,1}'), credit.psi('{7}', '{1000}'), credit.psi(NULL, '{1}');
SELECT credit.psi('{1,2}', '{1,2,3}');
SELECT credit.psi('{1,NULL}', '{1,2}');
SELECT credit.psi('{1,-1}', '{1,2}');
SELECT credit.psi('{1,2}', '{1,NaN}');
SELECT credit.psi('{1,infinity}', '{1,2}');
SELECT credit.psi('{{1,2}}', '{1,2}');
SELECT * FROM credit.csi('{0.25,0.25,0.25,0.25}', '{0.2,0.25,0.25,0.3}', '{10,20,30,40}');
SELECT * FROM credit.csi('{0,0}', '{1,2}', '{10,20}');
SELECT * FROM credit.csi('{1,1}', '{1,2}', '{10}');
SELECT * FROM credit.csi('{1,1}', '{1,2}', '{10,infinity}');

CREATE TABLE sample (score float8, is_reference boolean);
INSERT INTO sample SELECT g, true FROM generate_series(1, 200) g UNION ALL SELECT g, false FROM generate_series(1, 200) g;
SELECT (credit.population_stability(score, is_reference)).* FROM sample;
INSERT INTO sample SELECT g, false FROM generate_series(1, 60) g;
SELECT (credit.population_stability(score, is_reference)).* FROM sample;
SELECT b.* FROM (SELECT credit.stability_bins(score, is_reference, 4) AS bins FROM sample) s, unnest(s.bins) b;
SELECT (credit.population_stability(score, is_reference, 4)).* FROM sample;
-- nobody of today in some bins
SELECT (credit.population_stability(score, is_reference)).* FROM sample WHERE is_reference OR score > 150;
-- few; equal quantiles; one sample; none
SELECT (credit.population_stability(score, is_reference)).* FROM sample WHERE score <= 50;
SELECT b.* FROM (SELECT credit.stability_bins(greatest(score, 150), is_reference) AS bins FROM sample) s, unnest(s.bins) b;
SELECT (credit.population_stability(1, is_reference)).* FROM sample;
SELECT (credit.population_stability(score, is_reference)).* FROM sample WHERE is_reference;
SELECT (credit.population_stability(score, is_reference)).* FROM sample WHERE NOT is_reference;
SELECT (credit.population_stability(score, is_reference)).* FROM sample WHERE false;
SELECT credit.stability_bins(score, is_reference), credit.stability_bins(score, is_reference, 2) FROM sample WHERE NOT is_reference;
SELECT b.bin, b.n_reference, b.actual_share, b.psi FROM (SELECT credit.stability_bins(score, is_reference, 2) AS bins FROM sample WHERE is_reference) s, unnest(s.bins) b;
SELECT b.* FROM (SELECT credit.stability_bins(v.s, true, 2) AS bins FROM (VALUES (float8 '-infinity'), ('infinity')) v (s)) s, unnest(s.bins) b;
SELECT b.* FROM (SELECT credit.stability_bins(v.s, true, 2) AS bins FROM (VALUES (float8 '-1e308'), ('1e308')) v (s)) s, unnest(s.bins) b;

-- 4. Agreement with another rating

CREATE TABLE rating (internal int, bureau int);
INSERT INTO rating VALUES (1, 1), (2, 3), (3, 3), (4, 5), (5, 4), (3, 2);
SELECT (credit.agreement(internal, bureau)).* FROM rating \gx
SELECT t.* FROM (SELECT credit.agreement_table(internal, bureau) AS cells FROM rating) a, unnest(a.cells) t;
-- one side always the same; both always the same; the whole range of grades; NULL
SELECT a.n, a.kendall_tau_b, a.spearman_rho, a.kappa_quadratic, a.kappa_linear, a.kappa, a.notch_mean FROM (SELECT (credit.agreement(internal, 3)).* FROM rating) a;
SELECT a.n, a.kendall_tau_b, a.spearman_rho, a.kappa_quadratic, a.kappa_linear, a.kappa, a.notch_mean FROM (SELECT (credit.agreement(3, 3)).* FROM rating) a;
SELECT a.n, a.kendall_tau_b, a.spearman_rho, a.kappa_quadratic, a.kappa_linear, a.kappa, a.notch_mean, a.n_review
  FROM (SELECT (credit.agreement(v.i, v.e)).* FROM (VALUES ((-2147483648)::int, 2147483647), (2147483647, (-2147483648)::int)) v (i, e)) a;
SELECT (credit.agreement(v.i, v.e)).* FROM (VALUES (1, NULL::int), (NULL, 1)) v (i, e) \gx
SELECT (credit.agreement(internal, bureau)).*, credit.agreement_table(internal, bureau) FROM rating WHERE false \gx

-- 5. Number of parts

SELECT credit.cap(1, true, 1);
SELECT credit.calibration(0.5, true, 10001);
SELECT credit.calibration_groups(0.5, true, NULL);
SELECT credit.population_stability(g, true, g) FROM generate_series(2, 3) g;
SELECT cardinality(credit.cap(g, g < 5, 10000)) FROM generate_series(1, 10) g;

-- 6. Two scores of the same rows

CREATE TABLE pair (a float8, b float8, bad boolean);
INSERT INTO pair VALUES (700, 4, false), (650, 2, false), (620, 5, false), (620, 1, false), (600, 3, true), (620, 0, true);
SELECT (credit.compare_scores(a, b, bad)).* FROM pair \gx
-- with itself, on another scale, the wrong way round
SELECT c.difference, c.correlation, c.difference_se, c.p_value FROM (SELECT (credit.compare_scores(a, 3 * a + 1, bad)).* FROM pair) c;
SELECT c.auc_a, c.auc_b, c.difference, c.correlation, c.difference_se, c.p_value FROM (SELECT (credit.compare_scores(a, -a, bad)).* FROM pair) c;
-- one that says nothing; one class; one row of a class; none; left out
SELECT c.auc_b, c.auc_se_b, c.correlation, c.difference_se, c.p_value FROM (SELECT (credit.compare_scores(a, 1, bad)).* FROM pair) c;
SELECT (credit.compare_scores(a, b, false)).* FROM pair \gx
SELECT c.n, c.n_default, c.difference, c.auc_se_a, c.difference_low, c.p_value FROM (SELECT (credit.compare_scores(a, b, bad)).* FROM pair WHERE NOT bad OR a = 600) c;
SELECT c.n, c.auc_a, c.difference_se, c.n_skipped FROM (SELECT (credit.compare_scores(a, b, bad)).* FROM pair WHERE false) c;
SELECT c.n, c.n_default, c.difference, c.n_skipped FROM (SELECT (credit.compare_scores(v.a, v.b, v.bad)).*
  FROM (VALUES (float8 '1', NULL, true), (NULL, float8 '1', true), (1, 'NaN', false), ('NaN', 1, false), (1, 1, NULL), ('infinity', '-infinity', false), ('-infinity', 'infinity', true)) v (a, b, bad)) c;

-- 6a. Weights

SELECT (credit.discrimination(score, bad, 1)).* FROM score \gx
SELECT d.n, d.n_default, d.auc, d.auc_se FROM (SELECT (credit.discrimination(score, bad, CASE WHEN score > 620 THEN 2 ELSE 0.5 END)).* FROM score) d;
SELECT d.n, d.auc, d.n_skipped FROM (SELECT (credit.discrimination(score, bad, CASE score WHEN 700 THEN NULL WHEN 650 THEN 0 ELSE 1000000 END)).* FROM score) d;
-- groups counted already: 100 customers each, Hosmer-Lemeshow as with all rows
SELECT c.n, c.hosmer_lemeshow, c.hl_groups, c.hl_p_development, c.hl_p FROM (
	SELECT (credit.calibration(v.p, o.bad, 5, CASE WHEN o.bad THEN v.b ELSE 100 - v.b END)).*
	  FROM (VALUES (0.01, 2), (0.03, 2), (0.06, 5), (0.10, 12), (0.20, 25)) v (p, b), (VALUES (true), (false)) o (bad)) c;
SELECT p.* FROM (SELECT credit.cap(score, bad, 3, 1) AS cap FROM score) c, unnest(c.cap) p;
SELECT credit.discrimination(score, bad, -1) FROM score;
SELECT credit.discrimination(score, bad, 'NaN') FROM score;
SELECT credit.discrimination(score, bad, 1e-7) FROM score;
SELECT credit.discrimination(score, bad, 'infinity') FROM score;
SELECT credit.calibration(0.1, true, 1, 1);
SELECT credit.discrimination(1, true, 1000000) FROM generate_series(1, 5000);
SELECT credit.discrimination(g, NULL, 1), credit.discrimination(g, true, NULL) FROM generate_series(1, 2) g WHERE false;

-- 7. Folds: they never change

SELECT k, credit.fold(k, 5), credit.fold(k) = credit.fold(k, 5) AS is_default, credit.fold(k, 10), credit.fold(k, 2147483647), credit.fold(k, 1)
  FROM unnest(ARRAY['', '1', '2', '103', 'Müller', '(1,x)']) k;
SELECT credit.fold(NULL), credit.fold('x', NULL);
SELECT credit.fold('x', 0);
SELECT credit.fold('x', -1);

-- 8. Parts of aggregates are not functions to be called: SQL has no value of
-- their state, and under another declaration they find that they are alone

SELECT credit.discrimination_final(NULL::internal);
CREATE FUNCTION alone(symbol text, arguments text, call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FUNCTION pg_temp.alone(%s) RETURNS bigint LANGUAGE c AS %L, %L', arguments,
		(SELECT probin FROM pg_proc WHERE oid = 'credit.psi(float8[], float8[])'::regprocedure), symbol);
	EXECUTE format('SELECT pg_temp.alone(%s)', call);
	RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT symbol, alone('credit_' || symbol, arguments, call) FROM (VALUES
	('validation_accum', 'bigint, float8, boolean', 'NULL, 1, true'),
	('validation_accum_parts', 'bigint, float8, boolean, integer', 'NULL, 1, true, 10'),
	('validation_accum_weight', 'bigint, float8, boolean, float8', 'NULL, 1, true, 1'), ('validation_accum_parts_weight', 'bigint, float8, boolean, integer, float8', 'NULL, 1, true, 10, 1'),
	('validation_combine', 'bigint, bigint', 'NULL, NULL'), ('validation_combine', 'bigint, bigint', '0, 0'),
	('validation_serialize', 'bigint', '0'), ('validation_deserialize', 'bytea, bigint', '''\x01'', 0'),
	('discrimination_final', 'bigint', 'NULL'), ('discrimination_final', 'bigint', '0'), ('cap_final', 'bigint', '0'),
	('calibration_final', 'bigint', '0'), ('calibration_groups_final', 'bigint', '0'),
	('population_stability_final', 'bigint', '0'), ('stability_bins_final', 'bigint', '0'),
	('compare_scores_accum', 'bigint, float8, float8, boolean', 'NULL, 1, 1, true'), ('compare_scores_combine', 'bigint, bigint', '0, 0'),
	('compare_scores_serialize', 'bigint', '0'), ('compare_scores_deserialize', 'bytea, bigint', '''\x01'', 0'), ('compare_scores_final', 'bigint', '0'),
	('agreement_accum', 'bigint, integer, integer', 'NULL, 1, 1'), ('agreement_combine', 'bigint, bigint', '0, 0'),
	('agreement_serialize', 'bigint', '0'), ('agreement_deserialize', 'bytea, bigint', '''\x01'', 0'),
	('agreement_final', 'bigint', '0'), ('agreement_table_final', 'bigint', '0')) v (symbol, arguments, call);

DROP FUNCTION alone(text, text, text);
DROP TABLE score, tie, pd, sample, rating, pair;
DROP EXTENSION credit;

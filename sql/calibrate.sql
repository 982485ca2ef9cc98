--
-- calibrate: from scores to probabilities of default
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET extra_float_digits = -5;
CREATE EXTENSION credit;

-- 1. Shift to another default rate

SELECT credit.shift_probability(0.2, credit.rate_shift(0.5, 0.1));
CREATE TABLE pd (p float8);
INSERT INTO pd VALUES (0.1), (0.2), (0.4);
SELECT credit.prior_shift(p, 0.1) FROM pd;
SELECT p, credit.shift_probability(p, shift), avg(credit.shift_probability(p, shift)) OVER ()
  FROM pd, (SELECT credit.prior_shift(p, 0.1) AS shift FROM pd) s;
-- by way of the rates the mean comes near only
SELECT avg(credit.shift_probability(p, credit.rate_shift(0.7 / 3, 0.1))) FROM pd;
-- nothing to do; none; NULL and NaN left out; the ends
SELECT credit.prior_shift(0.2, 0.2), credit.rate_shift(0.3, 0.3), credit.shift_probability(0.2, 0);
SELECT credit.prior_shift(p, 0.1) FROM pd WHERE false;
SELECT credit.prior_shift(v.p, 0.1) FROM (VALUES (0.1), (NULL), ('NaN'), (0.1)) v (p);
SELECT credit.prior_shift(v.p, 0.1) FROM (VALUES (float8 'NaN'), (NULL)) v (p);
SELECT round(credit.prior_shift(v.p, 0.5)::numeric, 9) FROM (VALUES (0), (1)) v (p);
SELECT credit.shift_probability(0, 1), credit.shift_probability(1, 1), credit.shift_probability(1, -100), credit.shift_probability(0.5, 1e308);
SELECT credit.shift_probability('NaN', 1), credit.shift_probability(NULL, 1), credit.rate_shift(0.1, NULL);
SELECT credit.prior_shift(v.p, 0.1) FROM (VALUES (0.1), (1.5)) v (p);
SELECT credit.prior_shift(v.p, 0.1) FROM (VALUES (0.1), ('-infinity')) v (p);
SELECT credit.prior_shift(v.p, v.p) FROM (VALUES (0.1), (0.2)) v (p);
SELECT credit.prior_shift(0.1, 0);
SELECT credit.prior_shift(0.1, 'NaN');
SELECT credit.prior_shift(0.1, NULL);
SELECT credit.rate_shift(0, 0.1);
SELECT credit.rate_shift(0.1, 1);
SELECT credit.shift_probability(-0.1, 1);
SELECT credit.shift_probability(0.1, 'infinity');

-- 2. Platt: three bad, seven good

CREATE TABLE score (score float8, bad boolean);
INSERT INTO score SELECT g, g IN (1, 2, 4) FROM generate_series(1, 10) g;
SELECT (credit.fit_platt(score, bad)).* FROM score \gx
SELECT score, credit.logit_probability(f.coefficients, ARRAY[score]) AS pd
  FROM score, (SELECT (credit.fit_platt(score, bad)).* FROM score) f WHERE score IN (1, 5, 10) ORDER BY score;
-- another scale, however far away, gives the same probabilities
SELECT DISTINCT round(credit.logit_probability(f.coefficients, ARRAY[3 * q.scale + q.origin])::numeric, 9) AS pd
  FROM (VALUES (1::float8, 0::float8), (1e99, 0), (1e-99, 0), (100, 1e6), (-1, 0)) q (scale, origin),
	   LATERAL (SELECT (credit.fit_platt(score * q.scale + q.origin, bad)).* FROM score) f;
-- what tells all bad from all good has a curve, too
SELECT f.intercept, f.slope FROM (SELECT (credit.fit_platt(score, score < 4)).* FROM score) f;
-- one score; one class; none; a hundred that are the same but one
SELECT f.* FROM (SELECT (credit.fit_platt(1, bad)).* FROM score) f;
SELECT f.* FROM (SELECT (credit.fit_platt(score, false)).* FROM score) f;
SELECT f.* FROM (SELECT (credit.fit_platt(score, true)).* FROM score) f;
SELECT f.* FROM (SELECT (credit.fit_platt(score, bad)).* FROM score WHERE false) f;
SELECT f.n, f.intercept, f.slope FROM (SELECT (credit.fit_platt((g = 1)::int, g % 2 = 0)).* FROM generate_series(1, 100) g) f;
SELECT f.n, f.n_skipped FROM (SELECT (credit.fit_platt(v.s, v.b)).* FROM (VALUES (float8 '1', true), (NULL, true), ('NaN', true), (2, NULL)) v (s, b)) f;
SELECT credit.fit_platt(v.s, v.b) FROM (VALUES (1, true), (float8 'infinity', false)) v (s, b);
-- a weight of 3 is three rows, in the targets too; whatever the unit, a block's rate is that of its weights
SELECT w.n, w.n_default, w.n_skipped, w.intercept = r.intercept AS same, w.slope = r.slope AS same, w.target_good, w.target_default
  FROM (SELECT (credit.fit_platt(score, bad, 3)).* FROM score) w, (SELECT (credit.fit_platt(score, bad)).* FROM score, generate_series(1, 3)) r;
SELECT w.n, w.probability = r.probability AS same, w.score_low = r.score_low AS same, w.block_n = r.block_n AS same, w.block_default = r.block_default AS same
  FROM (SELECT (credit.fit_isotonic(score, bad, 1 + score::int % 3)).* FROM score) w, (SELECT (credit.fit_isotonic(score, bad)).* FROM score, generate_series(0, score::int % 3)) r;
SELECT f.n, f.n_default, f.n_skipped, f.block_n, f.block_default, f.probability FROM (SELECT (credit.fit_isotonic(v.s, v.b, v.w)).* FROM (VALUES (float8 '1', true, float8 '0.25'), (1, false, 0.5), (2, true, 0.0001), (2, false, 999), (3, true, 0), (3, true, NULL)) v (s, b, w)) f;
SELECT credit.fit_isotonic(1, true, -1);
SELECT credit.fit_platt(1, true, 'NaN');

-- 3. Isotonic regression: 0, 1, 0, 1 by a probability, which is put in as its negative

CREATE TABLE outcome (p float8, bad boolean);
INSERT INTO outcome VALUES (0.1, false), (0.2, true), (0.3, false), (0.4, true);
SELECT (credit.fit_isotonic(-p, bad)).* FROM outcome \gx
SELECT p, credit.isotonic_probability(-p, f.score_low, f.probability, 0) AS exact, credit.isotonic_probability(-p, f.score_low, f.probability) AS floored
  FROM outcome, (SELECT (credit.fit_isotonic(-p, bad)).* FROM outcome) f ORDER BY p;
-- as a table; scores in between and beyond
SELECT b.* FROM (SELECT (credit.fit_isotonic(score, bad)).* FROM score) f,
	unnest(f.score_low, f.score_high, f.block_n, f.block_default, f.probability) b (score_low, score_high, n, n_default, probability);
SELECT s, credit.isotonic_probability(s, f.score_low, f.probability)
  FROM (VALUES (float8 '-infinity'), (0), (2), (2.5), (3), (4), (4.99), (5), (100), ('infinity'), ('NaN'), (NULL)) v (s), (SELECT (credit.fit_isotonic(score, bad)).* FROM score) f;
-- falling already; rising all the way; equal; none; infinite scores
SELECT f.probability, f.score_low FROM (SELECT (credit.fit_isotonic(score, score < 4)).* FROM score) f;
SELECT f.probability, f.score_low, f.score_high FROM (SELECT (credit.fit_isotonic(-score, bad)).* FROM score) f;
SELECT f.probability, f.score_low FROM (SELECT (credit.fit_isotonic(1, bad)).* FROM score) f;
SELECT f.* FROM (SELECT (credit.fit_isotonic(score, bad)).* FROM score WHERE false) f;
SELECT f.score_low, f.score_high, f.probability FROM (SELECT (credit.fit_isotonic(v.s, v.b)).* FROM (VALUES (float8 '-infinity', true), ('infinity', false), (NULL, true)) v (s, b)) f;
SELECT credit.isotonic_probability(1, '{}', '{}'), credit.isotonic_probability(1, '{2}', '{0.1}'), credit.isotonic_probability(1, '[5:6]={0,1}', '{0.1,0.05}');
SELECT credit.isotonic_probability(1, '{1,2}', '{0.1}');
SELECT credit.isotonic_probability(1, '{1,NULL}', '{0.1,0.2}');
SELECT credit.isotonic_probability(1, '{{1}}', '{0.1}');
SELECT credit.isotonic_probability(1, '{1}', '{1.5}');
SELECT credit.isotonic_probability(1, '{1}', '{NaN}');
SELECT credit.isotonic_probability(1, '{1}', '{0.5}', -1);

-- 4. Few defaults

SELECT credit.shrink_rate(0, 50, 0.02);
SELECT credit.shrink_rate(0, 0, 0.02), credit.shrink_rate(0, 0, 0.02, 0), credit.shrink_rate(5, 50, 0.02, 0), credit.shrink_rate(5, 50, 0.02, 1e14);
SELECT credit.shrink_rate(2, 1, 0.02);
SELECT credit.shrink_rate(-1, 1, 0.02);
SELECT credit.shrink_rate(0, 1, 1.02);
SELECT credit.shrink_rate(0, 1, 0.02, -1);
SELECT credit.shrink_rate(0, 1, 0.02, 'NaN');
-- grades from the best to the worst, each with all worse ones
SELECT grade, credit.prudent_rate((sum(n_default) OVER w)::bigint, (sum(n) OVER w)::bigint) AS prudent
  FROM (VALUES (1, 100, 0), (2, 400, 0), (3, 300, 0)) g (grade, n, n_default) WINDOW w AS (ORDER BY grade DESC) ORDER BY grade;
SELECT credit.prudent_rate(3, 300, 0.95), credit.prudent_rate(300, 1000000, 0.95), credit.prudent_rate(1, 2, 0.2), credit.prudent_rate(1, 1000000000);
SELECT credit.prudent_rate(7, 7), credit.prudent_rate(0, 0), credit.prudent_rate(0, 1, 0.5), credit.prudent_rate(6, 7, 0.999999);
SELECT credit.prudent_rate(1, 0);
SELECT credit.prudent_rate(0, 10, 1);
SELECT credit.prudent_rate(0, 10, 'NaN');
SELECT credit.prudent_rate(0, 1000000001);

DROP TABLE pd, score, outcome;
DROP EXTENSION credit;

-- From scores to probabilities against plain SQL over random rows: any number
-- of groups, any order of rows, in parallel or not; states as bytes.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.4);

-- 1. Rows: scores with and without ties; a second score that knows less

CREATE TABLE lab.item AS
SELECT id, (random() * 300)::int AS k,
	   CASE WHEN r < 0.01 THEN NULL WHEN r < 0.02 THEN 'NaN' WHEN r < 0.5 THEN round((quality * 50)::numeric) ELSE quality * 50 END::float8 AS score,
	   CASE WHEN r > 0.99 THEN NULL WHEN r < 0.6 THEN round((50 * quality + 40 * random())::numeric) ELSE 50 * quality + 40 * random() END::float8 AS other,
	   CASE WHEN r > 0.98 AND r < 0.985 THEN NULL ELSE random() < 0.4 / (1 + exp(3 * quality)) END AS bad,
	   0.4 / (1 + exp(3 * quality)) AS p
  FROM (SELECT id, random() AS r, random() * 2 - 1 AS quality FROM generate_series(1, 12000) id OFFSET 0) x;
CREATE TABLE lab.shuffled AS SELECT * FROM lab.item ORDER BY random();
ANALYZE lab.item, lab.shuffled;
CREATE FUNCTION lab.same(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
	WHEN a = b THEN true ELSE abs(a - b) <= 1e-9 * greatest(abs(a), abs(b)) END
$$;
SELECT ok(lab.same(1, 1 + 1e-10) AND NOT lab.same(1, 1 + 1e-8) AND NOT lab.same(NULL, 0), 'figures are compared');

-- 2. Shift: the mean of what is shifted is the target

SELECT is((SELECT count(*) FROM (
	SELECT s.k, s.target, avg(credit.shift_probability(i.p, s.shift)) AS mean
	  FROM (SELECT k, target, credit.prior_shift(p, target) AS shift FROM lab.shuffled, (VALUES (0.001), (0.1), (0.9)) t (target) GROUP BY k, target) s
	  JOIN lab.item i USING (k) GROUP BY s.k, s.target) m WHERE NOT lab.same(mean, target)), 0::bigint, 'the mean is the target, in 301 groups');
SELECT ok((SELECT bool_and(lab.same(credit.shift_probability(p, d), 1 / (1 + (1 - p) / p * exp(-d)))) FROM lab.item, (VALUES (-5), (0), (0.3)) v (d)),
	'a probability is shifted');
-- odds are multiplied by the ratio of the odds
SELECT ok((SELECT bool_and(lab.same(credit.shift_probability(p, credit.rate_shift(0.5, 0.1)), p / (p + (1 - p) * 9))) FROM lab.item), 'by two rates');

-- 3. Platt: where the likelihood is greatest, its gradient is 0

CREATE TABLE lab.platt AS SELECT k % 20 AS grp, (credit.fit_platt(score, bad)).* FROM lab.shuffled GROUP BY 1
	UNION ALL SELECT -1, (credit.fit_platt(score, bad)).* FROM lab.item;
CREATE VIEW lab.outcome AS
SELECT grp, score, bad FROM (SELECT k % 20 AS grp, score, bad FROM lab.item UNION ALL SELECT -1, score, bad FROM lab.item) i
 WHERE bad IS NOT NULL AND score IS NOT NULL AND score <> 'NaN';
SELECT is((SELECT count(*) FROM lab.platt JOIN (
	SELECT grp, count(*) AS n, count(*) FILTER (WHERE bad) AS n_bad FROM lab.outcome GROUP BY grp) o USING (grp)
	WHERE platt.n = o.n AND n_default = n_bad AND lab.same(target_default, (n_bad + 1.0) / (n_bad + 2)) AND lab.same(target_good, 1.0 / (o.n - n_bad + 2))
	  AND coefficients = ARRAY[intercept, slope]), 21::bigint, 'counts and targets');
SELECT is((SELECT count(*) FROM (
	SELECT sum(t - q) AS g0, sum(score * (t - q)) AS g1, count(*) AS n
	  FROM (SELECT grp, score, CASE WHEN bad THEN target_default ELSE target_good END AS t, credit.logit_probability(coefficients, ARRAY[score]) AS q
			  FROM lab.outcome JOIN lab.platt USING (grp)) e GROUP BY grp) s
	WHERE abs(g0) < 1e-9 * n AND abs(g1) < 1e-7 * n), 21::bigint, 'the likelihood is greatest');
SELECT ok((SELECT slope < -0.01 FROM lab.platt WHERE grp = -1), 'a higher score is a better customer');

-- 4. Isotonic: the minimax formula, which has nothing in common with pooling:
-- the rate at a score is the least over all lower ends of the greatest mean

CREATE TABLE lab.step AS
SELECT round(score) AS s, count(*) AS n, count(*) FILTER (WHERE bad) AS b FROM lab.outcome WHERE grp = -1 AND abs(score) < 30 GROUP BY 1;
CREATE FUNCTION lab.isotonic() RETURNS TABLE (s float8, rate float8) LANGUAGE sql AS $$
WITH running AS (SELECT s, sum(n) OVER w AS n, sum(b) OVER w AS b, sum(n) OVER w - n AS n_before, sum(b) OVER w - b AS b_before FROM lab.step WINDOW w AS (ORDER BY s)),
span AS MATERIALIZED (SELECT l.s AS low, h.s AS high, ((h.b - l.b_before)::numeric / (h.n - l.n_before))::float8 AS mean FROM running l JOIN running h ON h.s >= l.s)
SELECT x.s, (SELECT min(greatest_mean) FROM (SELECT low, max(mean) AS greatest_mean FROM span WHERE low <= x.s AND high >= x.s GROUP BY low) m) FROM lab.step x
$$;
CREATE TABLE lab.fit AS SELECT (credit.fit_isotonic(round(score), bad)).* FROM lab.outcome WHERE grp = -1 AND abs(score) < 30;
SELECT is((SELECT count(*) FROM lab.isotonic() i, lab.fit f WHERE lab.same(i.rate, credit.isotonic_probability(i.s, f.score_low, f.probability, 0))), (SELECT count(*) FROM lab.step), 'each rate is the minimax one');
SELECT cmp_ok((SELECT cardinality(probability) FROM lab.fit), '>=', 3, 'of several blocks');
SELECT is((SELECT count(*) FROM (SELECT k, (credit.fit_isotonic(score, bad)).* FROM lab.shuffled GROUP BY k) f,
	LATERAL (SELECT b.*, lag(p) OVER w AS p_before, lag(high) OVER w AS high_before FROM unnest(f.score_low, f.score_high, f.block_n, f.block_default, f.probability)
		WITH ORDINALITY b (low, high, n, bad, p, i) WINDOW w AS (ORDER BY i)) b
	WHERE p >= p_before OR low <= high_before OR high < low OR NOT lab.same(p, bad::float8 / b.n)), 0::bigint, 'blocks ascend, their rates fall');
SELECT is((SELECT count(*) FROM (SELECT k, (credit.fit_isotonic(score, bad)).* FROM lab.item GROUP BY k) f
	WHERE (SELECT sum(x) FROM unnest(block_n) x) IS DISTINCT FROM n OR (SELECT sum(x) FROM unnest(block_default) x) IS DISTINCT FROM n_default), 0::bigint, 'and hold all rows');

-- 5. Few defaults: the binomial sum at the bound is what is left of the confidence

SELECT is((SELECT count(*) FROM (
	SELECT d, n, g, sum(exp(greatest(choose + j * ln(p) + (n - j) * ln(1 - p), -700))) AS below
	  FROM (SELECT d, n, g, credit.prudent_rate(d, n, g) AS p FROM (VALUES (0, 1), (1, 2), (3, 40), (17, 300), (299, 300), (150, 300)) v (d, n), (VALUES (0.05), (0.5), (0.9), (0.999)) c (g)) b,
		   LATERAL (SELECT j, (SELECT COALESCE(sum(ln((n - i + 1)::float8 / i)), 0) FROM generate_series(1, j) i) AS choose FROM generate_series(0, d) j) t
	 GROUP BY d, n, g) s WHERE NOT lab.same(round(below::numeric, 9)::float8, 1 - g)), 0::bigint, 'Pluto-Tasche bounds');
SELECT ok((SELECT bool_and(next > p) FROM (SELECT credit.prudent_rate(d, 1000) AS p, credit.prudent_rate(d + 1, 1000) AS next FROM generate_series(0, 999) d) x), 'they rise with the defaults');

-- 6. Two scores of the same rows, by all pairs of rows

CREATE FUNCTION lab.paired(rows int) RETURNS TABLE (auc_a float8, auc_b float8, va float8, vb float8, cov float8) LANGUAGE sql AS $$
WITH usable AS MATERIALIZED (SELECT id, score AS a, other AS b, bad FROM lab.item WHERE score IS NOT NULL AND score <> 'NaN' AND other IS NOT NULL AND bad IS NOT NULL AND id <= rows),
pair AS MATERIALIZED (SELECT x.id AS bad_id, y.id AS good_id, (sign(y.a - x.a) + 1) / 2 AS a, (sign(y.b - x.b) + 1) / 2 AS b FROM usable x, usable y WHERE x.bad AND NOT y.bad),
placed AS (SELECT true AS bad, avg(a) AS a, avg(b) AS b FROM pair GROUP BY bad_id UNION ALL SELECT false, avg(a), avg(b) FROM pair GROUP BY good_id),
part AS (SELECT bad, var_samp(a) / count(*) AS va, var_samp(b) / count(*) AS vb, covar_samp(a, b) / count(*) AS cov, avg(a) AS a, avg(b) AS b FROM placed GROUP BY bad)
SELECT avg(a), avg(b), sum(va), sum(vb), sum(cov) FROM part
$$;
SELECT ok((SELECT lab.same(c.auc_a, p.auc_a) AND lab.same(c.auc_b, p.auc_b) AND lab.same(c.difference, c.auc_a - c.auc_b)
	AND lab.same(c.auc_se_a, sqrt(va)) AND lab.same(c.auc_se_b, sqrt(vb)) AND lab.same(c.correlation, cov / sqrt(va * vb))
	AND abs(c.difference_se - sqrt(va + vb - 2 * cov)) < 1e-9 AND lab.same(c.difference_low, c.difference - 1.959963984540054 * c.difference_se)
	AND lab.same(c.difference_high, c.difference + 1.959963984540054 * c.difference_se)
	FROM lab.paired(q.rows) p, (SELECT (credit.compare_scores(score, other, bad)).* FROM lab.item WHERE id <= q.rows) c), format('DeLong of %s rows', q.rows))
  FROM (VALUES (40), (300), (1500)) q (rows);
SELECT is((SELECT count(*) FROM (SELECT k, credit.compare_scores(score, other, bad) AS c, credit.discrimination(score, bad) AS d FROM lab.item WHERE other IS NOT NULL GROUP BY k) x
	WHERE lab.same((c).auc_a, (d).auc) AND lab.same((c).auc_se_a, (d).auc_se) AND (c).n = (d).n), 301::bigint, 'each AUC is that of discrimination()');
SELECT ok((SELECT c.p_value < 0.01 AND c.difference > 0 AND c.correlation > 0.3 FROM (SELECT (credit.compare_scores(score, other, bad)).* FROM lab.item) c), 'who knows less is found out');

-- 7. Folds: all rows of a customer in one, of about equal size

SELECT ok((SELECT count(*) = 7 AND min(n) > 0.9 * 12000 / 7 AND max(n) < 1.1 * 12000 / 7 AND min(f) = 0 AND max(f) = 6
	FROM (SELECT credit.fold(id::text, 7) AS f, count(*) AS n FROM lab.item GROUP BY 1) x), 'folds are of one size');
SELECT ok((SELECT abs(avg((bad)::int) FILTER (WHERE f = 0) - avg(bad::int)) < 0.03 FROM (SELECT bad, credit.fold(id::text) AS f FROM lab.item) x), 'and do not know the outcome');

-- 8. To the last bit the same in every order, split and plan

\set figures 'credit.prior_shift(p, 0.05) AS s, credit.fit_platt(score, bad) AS f, credit.fit_isotonic(score, bad) AS i, credit.compare_scores(score, other, bad) AS c'
\ir ../lib/split.sql
SELECT is((SELECT count(*) FROM lab.serial), 301::bigint, 'groups were compared');
SET LOCAL max_parallel_workers_per_gather = 0;
-- a state goes on after it was asked
SELECT is((SELECT count(*) FROM (
	SELECT id, credit.prior_shift(p, 0.05) OVER w AS s, credit.fit_isotonic(score, bad) OVER w AS i, credit.compare_scores(score, other, bad) OVER w AS c
	  FROM lab.item WHERE id <= 600 WINDOW w AS (ORDER BY id)) r
	WHERE id % 50 = 0 AND (s, i::text, c::text) IS DISTINCT FROM (SELECT (credit.prior_shift(p, 0.05), credit.fit_isotonic(score, bad)::text, credit.compare_scores(score, other, bad)::text)
		FROM lab.item i WHERE i.id <= r.id)), 0::bigint, 'in running windows');

-- 9. States as bytes: an aggregate whose "state" is a bytea hands it over as
-- what a worker sends, sound or not

CREATE FUNCTION lab.load(internal, bytea) RETURNS internal LANGUAGE internal IMMUTABLE PARALLEL SAFE AS 'int8larger';
CREATE FUNCTION lab.send(internal) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'numeric_uplus';
CREATE AGGREGATE lab.prior_shift(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.prior_shift_final,
	COMBINEFUNC = credit.prior_shift_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.prior_shift_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.compare_scores(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.compare_scores_final,
	COMBINEFUNC = credit.compare_scores_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.compare_scores_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.bytes(float8, float8) (SFUNC = credit.prior_shift_accum, STYPE = internal, FINALFUNC = credit.prior_shift_serialize);
CREATE AGGREGATE lab.bytes(float8, float8, boolean) (SFUNC = credit.compare_scores_accum, STYPE = internal, FINALFUNC = credit.compare_scores_serialize);
SET LOCAL max_parallel_workers_per_gather = 2;
-- the leader does the workers' part: nobody need be started for each of thousands
SET LOCAL max_parallel_workers = 0;
CREATE TABLE lab.row AS SELECT g AS x FROM generate_series(1, 1000) g;
ANALYZE lab.row;
-- without it the final function would take them for a state
DO $$ BEGIN
	IF lab.plan('SELECT lab.prior_shift(''\x00'') FROM lab.row') !~ 'Partial Aggregate' THEN
		RAISE EXCEPTION 'no partial aggregate';
	END IF;
END $$;
CREATE FUNCTION lab.answer(aggregate text, state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT lab.%I(%L::bytea)::text FROM lab.row', aggregate, state) INTO result;
	RETURN COALESCE(result, 'nothing');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE TABLE lab.state AS
SELECT 'prior_shift' AS aggregate, lab.bytes(p, 0.1) AS state, credit.prior_shift(p, 0.1)::text AS result FROM lab.item WHERE id <= 20
UNION ALL SELECT 'prior_shift', lab.bytes(round(p::numeric, 1), 0.1), credit.prior_shift(round(p::numeric, 1), 0.1)::text FROM lab.item WHERE id <= 20
UNION ALL SELECT 'compare_scores', lab.bytes(score, other, bad), credit.compare_scores(score, other, bad)::text FROM lab.item WHERE id <= 30;
SELECT is(lab.answer(aggregate, state), result, 'there and back: ' || aggregate) FROM lab.state;
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, substr(s.state, 1, n)), ' ' ORDER BY lab.answer(s.aggregate, substr(s.state, 1, n))) FROM lab.state s, generate_series(0, length(s.state) - 1) n),
	'08P01 22P03', 'nothing shorter is taken');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, s.state || '\x00'), ' ') FROM lab.state s), '08P01', 'nor anything longer');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 0, 2)), ' ') FROM lab.state s), '22P03', 'nor another version');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 1, 255)), ' ') FROM lab.state s), '22P03', 'nor negative counts');
SELECT is(lab.answer('prior_shift', overlay((SELECT state FROM lab.state WHERE aggregate = 'prior_shift' LIMIT 1) PLACING '\x3ff8000000000000'::bytea FROM 10 FOR 8)), '22P03', 'nor a target of 1.5');
SELECT is(lab.answer('prior_shift', overlay((SELECT state FROM lab.state WHERE aggregate = 'prior_shift' LIMIT 1) PLACING '\x7ff8000000000000'::bytea FROM 10 FOR 8)), '22P03', 'nor of NaN');
SELECT is(lab.answer('compare_scores', '\x010000000000000000' || '\x00000001'::bytea || '\xfff8000000000000bff0000000000000'::bytea || '\x00000000'::bytea), '22P03', 'nor a score of NaN');
SELECT is(lab.answer('compare_scores', '\x010000000000000000' || '\x00000001'::bytea || '\xbff0000000000000bff0000000000000'::bytea || '\x00000000'::bytea), '(1,0,,,,,,,,,,,0)', 'the same without a fault is taken');
SELECT is(lab.answer('compare_scores', '\x010000000000000000' || '\x7fffffff'::bytea), '22P03', 'nor more rows than there are bytes');
CREATE TABLE lab.mutant AS
SELECT n, lab.answer(aggregate, set_byte(state, n, v)) AS answer
  FROM lab.state, generate_series(0, length(state) - 1) n, LATERAL (VALUES (0), (1), (127), (255), ((random() * 255)::int)) b(v)
 WHERE n < 250;
SELECT cmp_ok((SELECT count(*) FROM lab.mutant), '>', 1500::bigint, 'thousands of changed states');
SELECT is((SELECT string_agg(DISTINCT answer, ' ' ORDER BY answer) FROM lab.mutant WHERE answer ~ '^[0-9A-Z]{5}$'), '08P01 22003 22P03', 'are refused in words');
SELECT cmp_ok((SELECT count(*) FROM lab.mutant WHERE answer !~ '^[0-9A-Z]{5}$'), '>', 300::bigint, 'or answered');

SELECT * FROM finish();
ROLLBACK;

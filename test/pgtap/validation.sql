-- Validation of scores against plain SQL over random rows: any number of
-- groups, any order of rows, in parallel or not; states as bytes, sound and
-- unsound.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.7);

-- 1. Rows: scores with and without ties, of every kind

CREATE TABLE lab.item AS
SELECT id, (random() * 1000)::int AS k,
	   CASE WHEN r < 0.01 THEN NULL WHEN r < 0.02 THEN 'NaN' WHEN r < 0.03 THEN 'infinity' WHEN r < 0.04 THEN '-infinity'
			WHEN r < 0.05 THEN '-0' WHEN r < 0.06 THEN '0' WHEN r < 0.07 THEN (random() - 0.5) * 1e300
			WHEN r < 0.40 THEN round((quality * 100)::numeric) ELSE quality * 100 END::float8 AS score,
	   CASE WHEN random() < 0.01 THEN NULL ELSE random() < 0.3 / (1 + exp(3 * quality)) END AS bad,
	   CASE WHEN r < 0.3 THEN round((0.001 + 0.4 / (1 + exp(3 * quality)))::numeric, 2) ELSE 0.001 + 0.4 / (1 + exp(3 * quality)) END::float8 AS p,
	   (5 + 4 * quality)::int AS internal, (5 + 4 * quality + 2 * random() - 1)::int AS bureau
  FROM (SELECT id, random() AS r, random() * 2 - 1 AS quality FROM generate_series(1, 24000) id OFFSET 0) x;
CREATE TABLE lab.shuffled AS SELECT * FROM lab.item ORDER BY random();
ANALYZE lab.item, lab.shuffled;

-- Do two figures agree: to 1e-9 of their size, or both missing?
CREATE FUNCTION lab.same(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
	WHEN a = b THEN true ELSE abs(a - b) <= 1e-9 * greatest(abs(a), abs(b)) END
$$;
SELECT ok(lab.same(1, 1 + 1e-10) AND NOT lab.same(1, 1 + 1e-8) AND NOT lab.same(NULL, 0) AND lab.same('infinity', 'infinity'), 'figures are compared');

-- 2. Discrimination by ranks and windows

CREATE FUNCTION lab.plain(of_table regclass, key text)
RETURNS TABLE (grp int, n bigint, n_default bigint, auc float8, auc_se float8, ks float8, ks_score float8, n_skipped bigint)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH usable AS (
			SELECT (%2$s)::int AS grp, score + 0.0 AS score, bad::int AS b, 1 - bad::int AS g FROM %1$s
			 WHERE score IS NOT NULL AND score <> 'NaN' AND bad IS NOT NULL),
		ranked AS (
			SELECT u.*, rank() OVER (PARTITION BY u.grp ORDER BY u.score) + (count(*) OVER (PARTITION BY u.grp, u.score) - 1) / 2.0 AS midrank,
				   sum(b) OVER w AS bads_until, sum(g) OVER w AS goods_until,
				   sum(b) OVER same AS bads_here, sum(g) OVER same AS goods_here,
				   sum(b) OVER whole AS nb, sum(g) OVER whole AS ng
			  FROM usable u
			WINDOW w AS (PARTITION BY u.grp ORDER BY u.score), same AS (PARTITION BY u.grp, u.score), whole AS (PARTITION BY u.grp)),
		placed AS (
			SELECT r.*, CASE WHEN b = 1 THEN (ng - goods_until + goods_here / 2.0) / NULLIF(ng, 0)
				ELSE (bads_until - bads_here / 2.0) / NULLIF(nb, 0) END::float8 AS placement,
				   first_value(score) OVER (PARTITION BY r.grp ORDER BY distance DESC, score) AS widest
			  FROM (SELECT *, abs(bads_until * ng - goods_until * nb) AS distance FROM ranked) r),
		summed AS (
			SELECT p.grp, count(*) AS n, sum(b) AS nb, sum(g) AS ng,
				   ((sum(midrank) FILTER (WHERE g = 1) - sum(g) * (sum(g) + 1) / 2.0) / NULLIF(sum(g) * sum(b), 0))::float8 AS auc,
				   sqrt(var_samp(placement) FILTER (WHERE b = 1) / sum(b) + var_samp(placement) FILTER (WHERE g = 1) / sum(g)) AS se,
				   max(distance)::float8 / NULLIF(sum(g) * sum(b), 0) AS ks, min(widest) AS widest
			  FROM placed p GROUP BY p.grp)
		SELECT a.grp, COALESCE(s.n, 0), COALESCE(s.nb, 0), s.auc, s.se, s.ks,
			   CASE WHEN s.ks IS NOT NULL THEN s.widest END,
			   a.n - COALESCE(s.n, 0)
		  FROM (SELECT (%2$s)::int AS grp, count(*) AS n FROM %1$s GROUP BY 1) a LEFT JOIN summed s ON s.grp = a.grp$q$, of_table, key);
END $$;
CREATE FUNCTION lab.difference(of_table regclass, key text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format($q$
		SELECT count(*) FROM lab.plain(%1$L, %2$L) p
		  FULL JOIN (SELECT (%2$s)::int AS grp, credit.discrimination(score, bad) AS d FROM %1$s GROUP BY 1) c ON c.grp = p.grp
		 WHERE ((d).n, (d).n_default, (d).n_skipped) IS DISTINCT FROM (p.n, p.n_default, p.n_skipped)
			OR NOT lab.same((d).auc, p.auc) OR NOT lab.same((d).auc_se, p.auc_se) OR NOT lab.same((d).gini, 2 * p.auc - 1)
			OR NOT lab.same((d).ks, p.ks) OR NOT lab.same((d).ks_score, p.ks_score)
			OR NOT lab.same((d).auc_low, CASE WHEN p.auc_se IS NOT NULL THEN greatest(p.auc - 1.959963984540054 * p.auc_se, 0) END)
			OR NOT lab.same((d).auc_high, CASE WHEN p.auc_se IS NOT NULL THEN least(p.auc + 1.959963984540054 * p.auc_se, 1) END)$q$, of_table, key) INTO n;
	RETURN n;
END $$;
SET LOCAL work_mem = '256MB';
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT is((SELECT count(*) FROM lab.plain('lab.item', 'k')), 1001::bigint, 'plain SQL has all groups');
SELECT cmp_ok((SELECT auc FROM lab.plain('lab.item', '1')), '>', 0.6::float8, 'and scores that mean something');
SELECT is(lab.difference(t::regclass, k), 0::bigint, format('discrimination over %s by %s', t, k))
  FROM (VALUES ('lab.item', '1'), ('lab.shuffled', 'k % 10'), ('lab.item', 'k'), ('lab.shuffled', 'id % 10000'), ('lab.item', 'id')) v(t, k);
SET LOCAL enable_hashagg = off;
SELECT is(lab.difference('lab.shuffled', 'k'), 0::bigint, 'by sorted groups');
RESET enable_hashagg;
SET LOCAL work_mem = '1MB';
SELECT is(lab.difference('lab.item', 'id % 20000'), 0::bigint, '20,000 groups in one megabyte');
SET LOCAL work_mem = '256MB';

-- 3. CAP: its area is the accuracy ratio, its points are those of plain SQL

CREATE FUNCTION lab.plain_cap(parts int) RETURNS TABLE (share float8, captured float8) LANGUAGE sql AS $$
WITH step AS (
	SELECT score, count(*) AS n, count(*) FILTER (WHERE bad) AS b FROM lab.item
	 WHERE score IS NOT NULL AND score <> 'NaN' AND bad IS NOT NULL GROUP BY score),
running AS (
	SELECT score, n, b, sum(n) OVER w - n AS n_below, sum(b) OVER w - b AS b_below, sum(n) OVER () AS n_all, sum(b) OVER () AS b_all
	  FROM step WINDOW w AS (ORDER BY score))
SELECT g::float8 / parts, ((b_below + b * (n_all * g / parts - n_below) / n) / b_all)::float8
  FROM generate_series(1, parts) g, running WHERE n_all * g / parts > n_below AND n_all * g / parts <= n_below + n
$$;
SELECT is((SELECT count(*) FROM lab.plain_cap(q.parts) a FULL JOIN (SELECT p.* FROM (SELECT credit.cap(score, bad, q.parts) AS c FROM lab.shuffled) x, unnest(x.c) p) b USING (share)
	WHERE NOT lab.same(a.captured, b.captured) OR NOT lab.same(b.lift, a.captured / share)), 0::bigint, format('CAP at %s parts', q.parts))
  FROM (VALUES (2), (10), (64)) q(parts);
SELECT ok((SELECT abs(2 * (area - 0.5) / (1 - rate) - gini) < 1e-4 FROM
	(SELECT sum((captured + COALESCE(before, 0)) / 2) / 10000 AS area FROM
		(SELECT captured, lag(captured) OVER (ORDER BY share) AS before FROM
			(SELECT p.* FROM (SELECT credit.cap(score, bad, 10000) AS c FROM lab.item) x, unnest(x.c) p) y) z) a,
	(SELECT d.gini, d.n_default::float8 / d.n AS rate FROM (SELECT (credit.discrimination(score, bad)).* FROM lab.item) d) b),
	'the area of the CAP curve is the Gini coefficient');

-- 4. Calibration

CREATE TABLE lab.calibrated AS SELECT k % 20 AS grp, credit.calibration(p, bad) AS c FROM lab.item GROUP BY 1
	UNION ALL SELECT -1, credit.calibration(p, bad) FROM lab.item;
CREATE VIEW lab.outcome AS
SELECT k % 20 AS grp, p, bad::int AS y FROM lab.item WHERE bad IS NOT NULL UNION ALL SELECT -1, p, bad::int FROM lab.item WHERE bad IS NOT NULL;
SELECT is((SELECT count(*) FROM lab.calibrated JOIN (
	SELECT grp, count(*) AS n, sum(y) AS bads, avg(p) AS p, avg(y)::float8 AS rate, avg((p - y) ^ 2) AS brier,
		   avg(-y * ln(p) - (1 - y) * ln(1 - p)) AS log_loss FROM lab.outcome GROUP BY grp) o USING (grp)
 WHERE (c).n = o.n AND (c).n_default = o.bads AND lab.same((c).mean_probability, o.p) AND lab.same((c).default_rate, o.rate) AND lab.same((c).brier, o.brier)
   AND lab.same((c).brier_skill, 1 - o.brier / (o.rate * (1 - o.rate))) AND lab.same((c).log_loss, o.log_loss)), 21::bigint, 'Brier score and log loss');
-- where the likelihood is greatest, its gradient is 0
SELECT is((SELECT count(*) FROM (
	SELECT sum(y - 1 / (1 + exp(-eta))) AS g0, sum(x * (y - 1 / (1 + exp(-eta)))) AS g1, sum(y - 1 / (1 + exp(-x - large))) AS g2, count(*) AS n
	  FROM (SELECT o.*, x, (c).intercept + (c).slope * x AS eta, (c).intercept_in_the_large AS large
			  FROM lab.outcome o JOIN lab.calibrated USING (grp), LATERAL (SELECT ln(p / (1 - p)) AS x) l) e
	 GROUP BY grp) s WHERE abs(g0) < 1e-9 * n AND abs(g1) < 1e-9 * n AND abs(g2) < 1e-9 * n), 21::bigint, 'slope and intercept are those of greatest likelihood');
SELECT ok((SELECT (c).slope BETWEEN 0.5 AND 1.5 FROM lab.calibrated WHERE grp = -1), 'and plausible');

CREATE FUNCTION lab.groups(parts int) RETURNS TABLE (low float8, high float8, n bigint, y bigint, p float8) LANGUAGE sql AS $$
WITH sorted AS (SELECT array_agg(p ORDER BY p) AS ps, count(*) AS n FROM lab.outcome WHERE grp = -1),
cut AS MATERIALIZED (SELECT DISTINCT ps[(k * (n - 1)) / parts + 1] AS at FROM sorted, generate_series(1, parts) k)
SELECT min(p), max(p), count(*), sum(y), sum(p) FROM (SELECT p, y, (SELECT count(*) FROM cut WHERE at < p) AS g FROM lab.outcome WHERE grp = -1) x GROUP BY g
$$;
SELECT is((SELECT count(*) FROM lab.groups(q.parts) a FULL JOIN
	(SELECT g.* FROM (SELECT credit.calibration_groups(p, bad, q.parts) AS gs FROM lab.shuffled) x, unnest(x.gs) g) b ON a.low = b.probability_low
	WHERE (a.high, a.n, a.y) IS DISTINCT FROM (b.probability_high, b.n, b.n_default) OR NOT lab.same(a.p, b.expected_default)
	   OR NOT lab.same(b.default_rate, a.y::float8 / a.n) OR NOT lab.same(b.mean_probability, a.p / a.n)), 0::bigint, format('%s groups', q.parts))
  FROM (VALUES (2), (10), (13)) q(parts);
-- P(chi-square > x) by integrating its density, which has no series in common with ours
CREATE FUNCTION lab.tail(x float8, df int) RETURNS float8 LANGUAGE sql AS $$
SELECT 1 - sum(w * s ^ (df - 1) * exp(-s * s / 2)) / (2 ^ (df / 2.0 - 1) * g) FROM
	/* in s = sqrt(x), by Simpson's rule, since the density has a pole at 0 */
	(SELECT h / 3 * CASE WHEN i IN (0, 20000) THEN 1 WHEN i % 2 = 1 THEN 4 ELSE 2 END AS w, i * h AS s
	   FROM generate_series(0, 20000) i, (SELECT sqrt(x) / 20000 AS h) step) y,
	(SELECT CASE WHEN df % 2 = 0 THEN exp(COALESCE((SELECT sum(ln(j)) FROM generate_series(1, df / 2 - 1) j), 0))
			ELSE sqrt(pi()) * exp(COALESCE((SELECT sum(ln(j - 0.5)) FROM generate_series(1, (df - 1) / 2) j), 0)) END::float8 AS g) gamma
 GROUP BY g
$$;
SELECT ok(abs(lab.tail(18.307038053275146, 10) - 0.05) < 1e-9 AND abs(lab.tail(3.841458820694124, 1) - 0.05) < 1e-9, 'the integral is right');
SELECT ok((SELECT lab.same(h, (c).hosmer_lemeshow) AND ng = (c).hl_groups AND ng = q.parts AND abs(lab.tail(h, ng) - (c).hl_p) < 1e-9
	AND CASE WHEN ng > 2 THEN abs(lab.tail(h, ng - 2) - (c).hl_p_development) < 1e-9 ELSE (c).hl_p_development IS NULL END
	FROM (SELECT sum((y - p) ^ 2 / (p * (1 - p / n))) AS h, count(*)::int AS ng FROM lab.groups(q.parts)) a,
		 (SELECT credit.calibration(p, bad, q.parts) AS c FROM lab.item) b), format('Hosmer-Lemeshow over %s groups', q.parts))
  FROM (VALUES (2), (3), (10), (11), (40)) q(parts);
SELECT cmp_ok((SELECT (credit.calibration(p, random() < p, 10)).hl_p FROM lab.item), '>', 0.001::float8, 'outcomes that follow the probabilities pass the test');

-- 5. Stability

CREATE FUNCTION lab.bins(parts int) RETURNS TABLE (bin int, e bigint, a bigint) LANGUAGE sql AS $$
WITH cut AS MATERIALIZED (
	SELECT DISTINCT at FROM unnest((SELECT percentile_cont((SELECT array_agg(k::float8 / parts) FROM generate_series(1, parts - 1) k))
		WITHIN GROUP (ORDER BY p) FROM lab.item WHERE id % 3 = 0)) at)
SELECT 1 + (SELECT count(*) FROM cut WHERE at < p)::int, count(*) FILTER (WHERE id % 3 = 0), count(*) FILTER (WHERE id % 3 <> 0)
  FROM (SELECT id, CASE WHEN id % 3 = 0 THEN p ELSE p * 1.1 END AS p FROM lab.item) i GROUP BY 1
$$;
SELECT is((SELECT count(*) FROM lab.bins(q.parts) a FULL JOIN
	(SELECT b.* FROM (SELECT credit.stability_bins(CASE WHEN id % 3 = 0 THEN p ELSE p * 1.1 END, id % 3 = 0, q.parts) AS bs FROM lab.shuffled) x, unnest(x.bs) b) b USING (bin)
	WHERE (a.e, a.a) IS DISTINCT FROM (b.n_reference, b.n_actual)), 0::bigint, format('%s bins', q.parts))
  FROM (VALUES (2), (10), (25)) q(parts);
SELECT ok((SELECT lab.same(plain, s.psi) AND lab.same(plain, credit.psi(es, acts)) AND s.bins = cardinality(es) AND lab.same(plain, in_bins) FROM
	(SELECT sum((a / na - e / ne) * ln((a / na) / (e / ne))) AS plain, array_agg(e ORDER BY bin) AS es, array_agg(a ORDER BY bin) AS acts
	   FROM (SELECT bin, e::float8, a::float8, sum(e) OVER ()::float8 AS ne, sum(a) OVER ()::float8 AS na FROM lab.bins(10)) b) x,
	(SELECT (credit.population_stability(CASE WHEN id % 3 = 0 THEN p ELSE p * 1.1 END, id % 3 = 0)).* FROM lab.item) s,
	(SELECT sum(b.psi) AS in_bins FROM (SELECT credit.stability_bins(CASE WHEN id % 3 = 0 THEN p ELSE p * 1.1 END, id % 3 = 0) AS bs FROM lab.item) y, unnest(y.bs) b) z),
	'population stability index');

-- 6. Agreement, by all pairs of rows

CREATE TABLE lab.rated AS SELECT id, internal AS i, bureau AS e FROM lab.item WHERE id <= 700
	UNION ALL SELECT id + 1000, (id * 7919) % 100003 - 50000, (id * 7907) % 100019 - 50000 FROM lab.item WHERE id <= 40;
SELECT is((SELECT count(*) FROM (
	SELECT (credit.agreement(i, e)).* FROM lab.rated WHERE id BETWEEN q.low AND q.high) a,
	(SELECT (sum(sign(x.i - y.i) * sign(x.e - y.e)) / sqrt(count(*) FILTER (WHERE x.i <> y.i)::float8 * count(*) FILTER (WHERE x.e <> y.e)))::float8 AS tau,
			/* all pairs are all meetings by chance */
			count(*) AS n2, sum(abs(x.i - y.e)) AS linear, sum((x.i::float8 - y.e) ^ 2) AS quadratic, count(*) FILTER (WHERE x.i <> y.e) AS unequal
	   FROM lab.rated x, lab.rated y WHERE x.id BETWEEN q.low AND q.high AND y.id BETWEEN q.low AND q.high) p,
	(SELECT count(*) AS n, corr(ri, re) AS rho, sum(abs(i - e)) AS linear, sum((i::float8 - e) ^ 2) AS quadratic, count(*) FILTER (WHERE i <> e) AS unequal,
			avg(e - i)::float8 AS notch, avg(abs(e - i))::float8 AS absolute, avg((abs(e - i) <= 1)::int)::float8 AS within, count(*) FILTER (WHERE abs(e - i) >= 2) AS review
	   FROM (SELECT i, e, rank() OVER (ORDER BY i) + (count(*) OVER (PARTITION BY i) - 1) / 2.0 AS ri,
					rank() OVER (ORDER BY e) + (count(*) OVER (PARTITION BY e) - 1) / 2.0 AS re FROM lab.rated WHERE id BETWEEN q.low AND q.high) r) s
	WHERE a.n = s.n AND lab.same(a.kendall_tau_b, p.tau) AND lab.same(a.spearman_rho, s.rho)
	  AND lab.same(a.kappa_quadratic, 1 - s.n * s.quadratic / p.quadratic) AND lab.same(a.kappa_linear, (1 - s.n * s.linear / p.linear::numeric)::float8)
	  AND lab.same(a.kappa, (1 - s.n * s.unequal / p.unequal::numeric)::float8) AND lab.same(a.notch_mean, s.notch) AND lab.same(a.notch_mean_absolute, s.absolute)
	  AND lab.same(a.share_within_one, s.within) AND a.n_review = s.review), 1::bigint, format('agreement of rows %s to %s', q.low, q.high))
  FROM (VALUES (1, 700), (1, 30), (1001, 1040), (1, 1040)) q(low, high);
SELECT is((SELECT count(*) FROM (SELECT internal, bureau, count(*) AS n FROM lab.item GROUP BY 1, 2) a FULL JOIN
	(SELECT t.* FROM (SELECT credit.agreement_table(internal, bureau) AS ts FROM lab.shuffled) x, unnest(x.ts) t) b ON (a.internal, a.bureau) = (b.internal, b.external)
	WHERE a.n IS DISTINCT FROM b.n OR b.notches <> b.external - b.internal), 0::bigint, 'notch table');

-- 6a. Weights: a row of weight w is w rows

CREATE TABLE lab.weighted AS SELECT i.*, (random() * 5)::int AS w, round((0.01 + 3 * random())::numeric, 6)::float8 AS share FROM lab.item i WHERE id <= 8000;
CREATE TABLE lab.repeated AS SELECT i.* FROM lab.weighted i, generate_series(1, w) ORDER BY random();
CREATE FUNCTION lab.same(a anyelement, b anyelement) RETURNS boolean LANGUAGE sql AS $$
SELECT bool_and(lab.same(x.value::float8, y.value::float8)) FROM jsonb_each_text(to_jsonb(a)) x JOIN jsonb_each_text(to_jsonb(b)) y USING (key)
 WHERE key NOT IN ('n', 'n_default', 'n_skipped', 'hl_p', 'hl_p_development')
$$;
SELECT is((SELECT count(*) FROM (SELECT k % 40 AS g, credit.discrimination(score, bad, w) AS d, credit.calibration(p, bad, 7, w) AS c FROM lab.weighted GROUP BY 1) a
	JOIN (SELECT k % 40 AS g, credit.discrimination(score, bad) AS d, credit.calibration(p, bad, 7) AS c FROM lab.repeated GROUP BY 1) b USING (g)
	WHERE lab.same(a.d, b.d) AND lab.same(a.c, b.c) AND (a.c).hl_groups = (b.c).hl_groups), 40::bigint, 'weights are rows');
SELECT is((SELECT credit.cap(score, bad, 9, w)::text FROM lab.weighted), (SELECT credit.cap(score, bad, 9)::text FROM lab.repeated), 'in a CAP curve as well');
SELECT ok((SELECT (d).n = count(*) FILTER (WHERE ok) AND (d).n_default = count(*) FILTER (WHERE ok AND bad) AND (d).n_skipped = count(*) FILTER (WHERE ok IS NOT TRUE)
	FROM (SELECT bad, score IS NOT NULL AND score <> 'NaN' AND bad IS NOT NULL AND w > 0 AS ok FROM lab.weighted) w, (SELECT credit.discrimination(score, bad, w) AS d FROM lab.weighted) x GROUP BY d), 'rows are counted, not weights');
SELECT is((SELECT credit.discrimination(score, bad, 1)::text FROM lab.item), (SELECT credit.discrimination(score, bad)::text FROM lab.item), 'weight 1 is no weight');
-- shares: by plain sums over pairs of scores
SELECT ok((SELECT lab.same((d).auc, plain) FROM
	(SELECT credit.discrimination(round(score::numeric), bad, share) AS d FROM lab.weighted WHERE abs(score) < 1000) x,
	(SELECT sum(b.w * g.w * (sign(g.s - b.s) + 1) / 2) / sum(b.w * g.w) AS plain
	   FROM (SELECT round(score::numeric) AS s, sum(share) AS w FROM lab.weighted WHERE bad AND abs(score) < 1000 GROUP BY 1) b,
			(SELECT round(score::numeric) AS s, sum(share) AS w FROM lab.weighted WHERE NOT bad AND abs(score) < 1000 GROUP BY 1) g) y), 'AUC with shares');
SELECT ok((SELECT lab.same((c).brier, (sum(share * (p - bad::int) ^ 2) / sum(share))::float8) AND lab.same((c).default_rate, sum(share) FILTER (WHERE bad) / sum(share))
	FROM lab.weighted, (SELECT credit.calibration(p, bad, 10, share) AS c FROM lab.weighted) x WHERE bad IS NOT NULL GROUP BY c), 'Brier score with shares');

-- the last point of the curve is always there, whatever the fractions add up to
SELECT is((SELECT count(*) FROM (SELECT k, credit.cap(score, bad, 10, share / 3) AS c FROM lab.weighted WHERE score <> 'NaN' AND bad IS NOT NULL GROUP BY k) x
	WHERE cardinality(c) <> 10 OR NOT lab.same((c[10]).share, 1) OR (c[10]).captured < 1 - 1e-9), 0::bigint, 'all points of curves with shares');

-- 7. To the last bit the same in every order, split and plan

\set figures 'credit.discrimination(score, bad, (id % 7) / 3.0) AS dw, credit.calibration(p, bad, 5, (id % 5) / 7.0) AS cw, credit.discrimination(score, bad) AS d, credit.cap(score, bad, 7) AS p, credit.calibration(p, bad) AS c, credit.calibration_groups(p, bad, 5) AS g, credit.population_stability(p, id % 2 = 0) AS s, credit.stability_bins(p, id % 2 = 0, 6) AS b, credit.agreement(internal, bureau) AS a, credit.agreement_table(internal, bureau) AS t'
\ir ../lib/split.sql
SELECT is((SELECT count(*) FROM lab.serial), 1001::bigint, 'groups were compared');
SET LOCAL max_parallel_workers_per_gather = 0;
-- a state goes on after it was asked: running windows
SELECT is((SELECT count(*) FROM (
	SELECT id, credit.discrimination(score, bad) OVER w AS d, credit.agreement(internal, bureau) OVER w AS a
	  FROM lab.item WHERE id <= 1500 WINDOW w AS (ORDER BY id)) r
	WHERE id % 50 = 0 AND d::text || a::text IS DISTINCT FROM (SELECT credit.discrimination(score, bad)::text || credit.agreement(internal, bureau)::text
		FROM lab.item i WHERE i.id <= r.id)), 0::bigint, 'in running windows');

-- 8. States as bytes. An aggregate whose "state" is a bytea hands it over as
-- the serialized state of ours: what a worker sends, sound or not.

CREATE FUNCTION lab.load(internal, bytea) RETURNS internal LANGUAGE internal IMMUTABLE PARALLEL SAFE AS 'int8larger';
CREATE FUNCTION lab.send(internal) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'numeric_uplus';
CREATE AGGREGATE lab.discrimination(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.discrimination_final,
	COMBINEFUNC = credit.validation_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.validation_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.calibration(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.validation_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.population_stability(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.population_stability_final,
	COMBINEFUNC = credit.validation_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.validation_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.cap(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.validation_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.agreement(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.agreement_final,
	COMBINEFUNC = credit.agreement_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.agreement_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.bytes(float8, boolean, integer) (SFUNC = credit.validation_accum, STYPE = internal, FINALFUNC = credit.validation_serialize);
CREATE AGGREGATE lab.bytes(float8, boolean, integer, float8) (SFUNC = credit.validation_accum, STYPE = internal, FINALFUNC = credit.validation_serialize);
CREATE AGGREGATE lab.bytes(integer, integer) (SFUNC = credit.agreement_accum, STYPE = internal, FINALFUNC = credit.agreement_serialize);
SET LOCAL max_parallel_workers_per_gather = 2;
-- the leader does the workers' part: nobody need be started for each of thousands
SET LOCAL max_parallel_workers = 0;
CREATE TABLE lab.row AS SELECT g AS x FROM generate_series(1, 1000) g;
ANALYZE lab.row;
-- without it the final function would take them for a state
DO $$ BEGIN
	IF lab.plan('SELECT lab.cap(''\x00'') FROM lab.row') !~ 'Partial Aggregate' THEN
		RAISE EXCEPTION 'no partial aggregate';
	END IF;
END $$;

-- The answer to a state, or how it was refused.
CREATE FUNCTION lab.answer(aggregate text, state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT lab.%I(%L::bytea)::text FROM lab.row', aggregate, state) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE TABLE lab.state AS
SELECT 'discrimination' AS aggregate, lab.bytes(score, bad, 10) AS state, credit.discrimination(score, bad)::text AS result FROM lab.item WHERE id <= 30
UNION ALL SELECT 'calibration', lab.bytes(p, bad, 5), credit.calibration(p, bad, 5)::text FROM lab.item WHERE id <= 20
UNION ALL SELECT 'population_stability', lab.bytes(round(p::numeric, 1), id % 2 = 0, 3), credit.population_stability(round(p::numeric, 1), id % 2 = 0, 3)::text FROM lab.item WHERE id <= 50
UNION ALL SELECT 'cap', lab.bytes(round(p::numeric, 1), bad, 3), credit.cap(round(p::numeric, 1), bad, 3)::text FROM lab.item WHERE id <= 50
UNION ALL SELECT 'agreement', lab.bytes(internal, bureau), credit.agreement(internal, bureau)::text FROM lab.item WHERE id <= 40
UNION ALL SELECT 'discrimination', lab.bytes(score, bad, 10, id % 3), credit.discrimination(score, bad, id % 3)::text FROM lab.item WHERE id <= 20
UNION ALL SELECT 'discrimination', lab.bytes(NULL, bad, 10), credit.discrimination(NULL, bad)::text FROM lab.item WHERE id <= 3;
SELECT is(lab.answer(aggregate, state), result, 'there and back: ' || aggregate) FROM lab.state;
-- what repeats is counted, not kept
SELECT cmp_ok((SELECT length(lab.bytes(round(p::numeric, 2), bad, 10)) FROM lab.item), '<', 3000, 'a state is as large as there are distinct scores');

SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, substr(s.state, 1, n)), ' ' ORDER BY lab.answer(s.aggregate, substr(s.state, 1, n))) FROM lab.state s, generate_series(0, length(s.state) - 1) n),
	'08P01 22P03', 'nothing shorter is taken');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, s.state || '\x00'), ' ') FROM lab.state s), '08P01', 'nor anything longer');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 0, 3)), ' ') FROM lab.state s), '22P03', 'nor another version');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 1, 255)), ' ') FROM lab.state s), '22P03', 'nor negative counts');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 9, 127)), ' ') FROM lab.state s WHERE aggregate <> 'agreement'), '22P03', 'nor parts beyond all bounds');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 13, 127)), ' ') FROM lab.state s WHERE aggregate <> 'agreement' AND get_byte(state, 0) = 1), '22P03', 'nor more scores than there are bytes');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.aggregate, set_byte(state, 13, 255)), ' ') FROM lab.state s WHERE get_byte(state, 0) = 2), '22P03', 'nor a negative number of weighted rows');
-- one score of a good one: NaN, a count of 0
SELECT is(lab.answer('discrimination', decode('01' || '0000000000000000' || '0000000a' || '0000000100' || 'fff8000000000000' || '0000000000', 'hex')), '22P03', 'nor NaN');
SELECT is(lab.answer('discrimination', decode('01' || '0000000000000000' || '0000000a' || '0000000101' || 'bff0000000000000' || '0000000000000000' || '0000000000', 'hex')), '22P03', 'nor a count of 0');
SELECT is(lab.answer('discrimination', decode('01' || '0000000000000000' || '0000000a' || '0000000200' || 'bff0000000000000' || 'bff0000000000000' || '0000000000', 'hex')), '22P03', 'nor scores that do not ascend');
SELECT is(lab.answer('discrimination', decode('01' || '0000000000000000' || '0000000a' || '0000000100' || 'bff0000000000000' || '0000000000', 'hex')), '(1,0,,,,,,,,,,0)', 'the same without a fault is taken');

-- Every byte with some other value, and random noise: an answer or a refusal.
CREATE TABLE lab.mutant AS
SELECT n, lab.answer(aggregate, set_byte(state, n, v)) AS answer
  FROM lab.state, generate_series(0, length(state) - 1) n, LATERAL (VALUES (0), (1), (127), (255), ((random() * 255)::int)) b(v)
 WHERE n < 300;
SELECT cmp_ok((SELECT count(*) FROM lab.mutant), '>', 3000::bigint, 'thousands of changed states');
SELECT is((SELECT string_agg(DISTINCT answer, ' ' ORDER BY answer) FROM lab.mutant WHERE length(answer) = 5), '08P01 22003 22P03', 'are refused in words');
SELECT cmp_ok((SELECT count(*) FROM lab.mutant WHERE length(answer) > 5), '>', 300::bigint, 'or answered');
CREATE TABLE lab.noise AS
SELECT lab.answer(CASE WHEN g % 2 = 0 THEN 'calibration' ELSE 'agreement' END, '\x01' || decode(string_agg(lpad(to_hex((random() * 255)::int), 2, '0'), ''), 'hex')) AS answer
  FROM generate_series(1, 300) g, generate_series(1, 60) GROUP BY g;
SELECT is((SELECT count(*) FROM lab.noise WHERE answer NOT IN ('08P01', '22P03')), 0::bigint, 'noise is refused');

-- 9. Analysts may, nobody else

CREATE ROLE credit_validation_analyst;
CREATE ROLE credit_validation_nobody;
GRANT USAGE ON SCHEMA lab TO credit_validation_analyst, credit_validation_nobody;
GRANT SELECT ON lab.row TO credit_validation_analyst, credit_validation_nobody;
SELECT credit.grant_analyst('credit_validation_analyst');
GRANT USAGE ON SCHEMA credit TO credit_validation_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO credit_validation_analyst, credit_validation_nobody;
SET LOCAL ROLE credit_validation_analyst;
SELECT is((SELECT (credit.discrimination(x, x < 100)).auc FROM lab.row), 1::float8, 'an analyst validates');
SELECT is((SELECT (credit.cap(x, x < 100, 10))[1].captured FROM lab.row), 1::float8, 'in every form');
SET LOCAL ROLE credit_validation_nobody;
SELECT throws_ok('SELECT credit.discrimination(x, x < 100) FROM lab.row', '42501', NULL, 'others do not');
SELECT throws_ok('SELECT credit.psi(''{1}'', ''{1}'')', '42501', NULL, 'nor do they count');
RESET ROLE;

-- Worked examples: ties in AUC and KS (bad ones have the higher score there), PSI of four bins

SELECT is((SELECT round((d).auc::numeric, 10) || ' ' || round((d).gini::numeric, 10) || ' ' || round((d).ks::numeric, 10)
			 FROM (SELECT credit.discrimination(-score, bad) AS d
					 FROM (VALUES (0.1, false), (0.2, false), (0.2, true), (0.3, false), (0.4, false), (0.4, true), (0.4, true), (0.5, false), (0.6, true), (0.7, true)) v (score, bad)) x),
	'0.7400000000 0.4800000000 0.4000000000', 'AUC, Gini and KS with ties');
SELECT is(round(credit.psi('{0.25,0.25,0.25,0.25}', '{0.1,0.2,0.3,0.4}')::numeric, 10), 0.2282174096, 'PSI of four bins');

SELECT * FROM finish();
ROLLBACK;

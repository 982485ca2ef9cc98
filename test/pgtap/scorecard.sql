-- Scorecards against plain SQL over random models and subjects: points, scores
-- and reasons recomputed from the tables; serial and in parallel; the three ways
-- to score agree; versions are kept apart; who may do what.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.6);
SET LOCAL client_min_messages = warning;

CREATE FUNCTION lab.same(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
	WHEN a = b THEN true ELSE abs(a - b) <= 1e-9 * greatest(abs(a), abs(b), 1) END
$$;

-- 1. Subjects with features of every kind, some missing

CREATE TABLE lab.subject AS
SELECT id, jsonb_strip_nulls(jsonb_build_object(
		'late', CASE WHEN random() < 0.1 THEN NULL ELSE round((random() * 60 - 10)::numeric, 2) END,
		'rate', CASE WHEN random() < 0.2 THEN NULL ELSE random() END,
		'trade', CASE WHEN random() < 0.1 THEN NULL ELSE (ARRAY['steel', 'food', 'retail', 'else'])[1 + (random() * 3)::int] END,
		'big', (random() - 0.5) * 1e12, 'tiny', random() * 1e-9, 'whole', (random() * 100)::int)) AS features,
	   random() < 0.2 AS bad
  FROM generate_series(1, 3000) id;
CREATE VIEW lab.loan AS
SELECT id, bad, (features ->> 'late')::float8 AS late, (features ->> 'rate')::float8 AS rate, features ->> 'trade' AS trade,
	   (features ->> 'big')::float8 AS big, (features ->> 'tiny')::float8 AS tiny, (features ->> 'whole')::float8 AS whole FROM lab.subject;
CREATE TABLE lab.binned AS
SELECT credit.optimal_bins(late, bad, credit.binning_options(trend => 'none', min_share => 0)) AS late,
	   credit.optimal_bins(rate, bad, credit.binning_options(trend => 'none', min_share => 0)) AS rate,
	   credit.optimal_bins(trade, bad, credit.binning_options(min_share => 0)) AS trade,
	   credit.optimal_bins(big, bad, credit.binning_options(trend => 'none', min_share => 0)) AS big,
	   credit.optimal_bins(tiny, bad, credit.binning_options(trend => 'none', min_share => 0)) AS tiny,
	   credit.optimal_bins(whole, bad, credit.binning_options(trend => 'none', min_share => 0)) AS whole FROM lab.loan;
SELECT cmp_ok((SELECT (late).n_regular + (rate).n_regular + (trade).n_regular + (big).n_regular + (tiny).n_regular + (whole).n_regular FROM lab.binned), '>', 20, 'there are bins');
CREATE TABLE lab.fitted AS
SELECT credit.add_fitted_model('fitted', '{late,rate,trade,big,tiny,whole}', '{-1.4,-0.9,-0.3,-1,-2,-0.5,-0.7}', ARRAY[late, rate, trade, big, tiny, whole],
	reference => r, mean_points => '{80,90,100,90,85,95}', round_points => r = 'neutral', reasons => '{"pays late",NULL,NULL,"is big",NULL,NULL}') AS model_id, r
  FROM lab.binned, unnest(ARRAY['max', 'neutral', 'mean']) r;

-- 2. Fitted models by their formulas

CREATE TABLE lab.points AS
SELECT f.model_id, f.r, s.id, c.position, c.feature,
	   CASE WHEN f.r = 'neutral' THEN rint ELSE exact END AS points, x.reference, is_missing
  FROM lab.fitted f CROSS JOIN lab.subject s
  JOIN credit.model_characteristic c USING (model_id) JOIN credit.model m USING (model_id)
 CROSS JOIN LATERAL (SELECT m.pdo / ln(2::float8) AS factor, m.base_score - m.pdo / ln(2::float8) * ln(m.base_odds) AS off) z
 CROSS JOIN LATERAL (SELECT COALESCE(CASE WHEN c.feature = 'trade' THEN credit.woe_of(c.binning, s.features ->> c.feature)
										  ELSE credit.woe_of(c.binning, (s.features ->> c.feature)::float8) END, 0) AS woe) w
 CROSS JOIN LATERAL (SELECT off / 6 - factor * (c.weight * woe + m.intercept / 6) AS exact) e
 CROSS JOIN LATERAL (SELECT round(exact) AS rint, NOT s.features ? c.feature AS is_missing) i
 CROSS JOIN LATERAL (SELECT CASE f.r WHEN 'mean' THEN c.mean_points WHEN 'neutral' THEN round(off / 6 - factor * m.intercept / 6)
		ELSE (SELECT max(off / 6 - factor * (c.weight * b.woe + m.intercept / 6)) FROM credit.bins(c.binning) b WHERE b.kind <> 'missing') END AS reference) x;
CREATE TABLE lab.scored AS
SELECT f.model_id, f.r, s.id, credit.score_row(f.model_id, s.features) AS result FROM lab.fitted f, lab.subject s;
SELECT is((SELECT count(*) FROM lab.scored), 9000::bigint, 'all are scored');
SELECT is_empty($$
	SELECT q.model_id, q.id, p.position, p.points, e.points, p.reference, e.reference FROM lab.scored q CROSS JOIN LATERAL unnest((q.result).parts) p
	  JOIN lab.points e ON (e.model_id, e.id, e.position) = (q.model_id, q.id, p.position)
	 WHERE NOT lab.same(p.points, e.points) OR NOT lab.same(p.reference, e.reference) OR NOT lab.same(p.shortfall, e.reference - e.points)
		OR p.is_missing <> e.is_missing OR p.feature <> e.feature$$, 'points and references by their formulas');
SELECT is_empty($$
	SELECT q.model_id, q.id FROM lab.scored q JOIN (SELECT model_id, id, sum(points) AS score FROM lab.points GROUP BY 1, 2) e USING (model_id, id)
	 WHERE NOT lab.same((q.result).score, e.score)
		OR NOT lab.same((q.result).probability, 1 / (1 + exp((e.score - (600 - 20 / ln(2::float8) * ln(50::float8))) / (20 / ln(2::float8)))))$$, 'they add up to the score, and to a probability');
SELECT is_empty($$
	SELECT q.model_id, q.id, (q.result).reasons, e.reasons FROM lab.scored q JOIN (
		SELECT model_id, id, array_agg(word ORDER BY shortfall DESC, position) FILTER (WHERE rank <= 4 AND shortfall > 1e-9) AS reasons
		  FROM (SELECT *, row_number() OVER (PARTITION BY model_id, id ORDER BY shortfall DESC, position) AS rank,
					   CASE WHEN is_missing THEN 'information missing: ' || feature WHEN feature = 'late' THEN 'pays late' WHEN feature = 'big' THEN 'is big' ELSE feature END AS word
				  FROM (SELECT *, round((reference - points)::numeric, 8) AS shortfall FROM lab.points) y) x GROUP BY 1, 2) e USING (model_id, id)
	 WHERE (q.result).reasons IS DISTINCT FROM COALESCE(e.reasons, '{}')$$, 'reasons are the largest shortfalls');
SELECT is((SELECT count(DISTINCT cardinality((result).reasons)) FROM lab.scored), 5::bigint, 'none to four of them');

-- the probability is that of the regression, where points are not rounded
SELECT is_empty($$
	SELECT l.id FROM lab.loan l, lab.binned b, lab.fitted f, lab.scored s WHERE f.r = 'max' AND s.model_id = f.model_id AND s.id = l.id AND NOT lab.same((s.result).probability,
		credit.logit_probability('{-1.4,-0.9,-0.3,-1,-2,-0.5,-0.7}', ARRAY[credit.woe_of(b.late, l.late), credit.woe_of(b.rate, l.rate), credit.woe_of(b.trade, l.trade),
			credit.woe_of(b.big, l.big), credit.woe_of(b.tiny, l.tiny), credit.woe_of(b.whole, l.whole)]))$$, 'and the one of the regression');
-- the printed scorecard has the points that are given
SELECT is_empty($$
	SELECT q.id, p.feature FROM lab.scored q CROSS JOIN LATERAL unnest((q.result).parts) p
	  JOIN credit.model_points m ON (m.model_id, m.position, m.line) = (q.model_id, p.position, p.bin) WHERE NOT lab.same(m.points, p.points)$$, 'view model_points shows them');

-- 3. An expert by plain SQL

CREATE TABLE lab.expert AS
SELECT credit.add_expert_model('expert', '{late,rate,trade,whole}', '{0.4,0.3,0.2,0.1}',
	ARRAY[credit.numeric_values('{0,10,40}', '{100,70,0}'), credit.numeric_values('{0,0.5,0.8}', '{10,50,100}', is_step => true),
		  credit.category_values('{steel,food,retail}', '{20,60,90}'), credit.numeric_values('{0,100}', '{0,100}')], pdo => 10, base_score => 50, base_odds => 20) AS model_id;
CREATE TABLE lab.expected AS
SELECT id, CASE WHEN weight >= 0.6 - 1e-9 THEN points / weight END AS score, weight FROM (
	SELECT id, sum(w * v) AS points, COALESCE(sum(w) FILTER (WHERE v IS NOT NULL), 0) AS weight FROM lab.loan,
		LATERAL (VALUES (0.4, CASE WHEN late <= 0 THEN 100 WHEN late <= 10 THEN 100 - 3 * late WHEN late <= 40 THEN 70 - 70 * (late - 10) / 30 WHEN late > 40 THEN 0 END),
						(0.3, CASE WHEN rate < 0.5 THEN 10 WHEN rate < 0.8 THEN 50 WHEN rate >= 0.8 THEN 100 END),
						(0.2, CASE trade WHEN 'steel' THEN 20 WHEN 'food' THEN 60 WHEN 'retail' THEN 90 END), (0.1, whole)) x (w, v) GROUP BY id) y;
SELECT is_empty($$
	SELECT e.id, e.score, r.score, e.weight, r.known_weight FROM lab.expected e JOIN lab.subject s USING (id), lab.expert x, credit.score_row(x.model_id, s.features) r
	 WHERE NOT lab.same(e.score, r.score) OR NOT lab.same(e.weight, r.known_weight)
		OR NOT lab.same(r.probability, 1 / (1 + 20 * 2 ^ ((e.score - 50) / 10)))$$, 'an expert by plain SQL');
SELECT cmp_ok((SELECT count(*) FROM lab.expected WHERE score IS NULL), '>', 50::bigint, 'where enough is known');
SELECT cmp_ok((SELECT count(*) FROM lab.expected WHERE score IS NOT NULL AND weight < 1), '>', 500::bigint, 'with weights that stand in');
SELECT is_empty($$
	SELECT s.id FROM lab.subject s, lab.expert x, credit.score_row(x.model_id, s.features) r
	 WHERE NOT lab.same((SELECT sum(points) FROM unnest(r.parts)), r.score)$$, 'points add up');

-- 4. Three ways to one score, in parallel too

SELECT is((SELECT count(*) FROM lab.scored q JOIN lab.subject s USING (id) WHERE credit.score_of(q.model_id, s.features) IS DISTINCT FROM (q.result).score), 0::bigint, 'the score alone');
CREATE TABLE lab.numbers AS SELECT credit.add_fitted_model('numbers', '{late,rate,big,tiny,whole}', '{-1,-1,-1,-1,-1,-1}', ARRAY[late, rate, big, tiny, whole]) AS model_id FROM lab.binned;
SELECT credit.set_champion(model_id) FROM lab.numbers;
SELECT is((SELECT count(*) FROM lab.loan l JOIN lab.subject s USING (id), lab.numbers n
	WHERE credit.score_values(n.model_id, ARRAY[late, rate, big, tiny, whole]) IS DISTINCT FROM credit.score_of(n.model_id, s.features)), 0::bigint, 'of columns');
SELECT is((SELECT count(*) FROM lab.subject s, lab.numbers n WHERE credit.score_of('numbers', s.features) IS DISTINCT FROM (credit.score_row(n.model_id, s.features)).score), 0::bigint, 'by name and by number');
-- twenty models in turn, more than a place keeps
CREATE TABLE lab.many AS SELECT g, credit.add_fitted_model('many', '{whole}', ARRAY[-1, -g / 10.0], ARRAY[b.whole]) AS model_id FROM lab.binned b, generate_series(1, 20) g;
SELECT is_empty($$SELECT m.g, s.id FROM lab.subject s, lab.many m, lab.binned b WHERE s.id <= 100 AND NOT lab.same(credit.score_of(m.model_id, s.features),
	600 - 20 / ln(2::float8) * (ln(50::float8) - 1 - m.g / 10.0 * credit.woe_of(b.whole, (s.features ->> 'whole')::float8)))$$, 'models in turn');
SELECT is((SELECT array_agg(version ORDER BY model_id) FROM credit.models WHERE name = 'many'), (SELECT array_agg(g) FROM generate_series(1, 20) g), 'versions are counted');
CREATE TABLE lab.serial AS SELECT id, credit.score_row(f.model_id, features)::text AS result FROM lab.subject, (SELECT min(model_id) AS model_id FROM lab.fitted) f;
ANALYZE lab.subject;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 4;
\set schema lab
\ir ../lib/plan.sql
\set scores 'SELECT sum(hashtext(id::text || credit.score_row((SELECT min(model_id) FROM lab.fitted), features)::text)::bigint) FROM lab.subject'
SELECT matches(lab.plan(:'scores'), 'Partial Aggregate', 'workers score');
SELECT is((:scores), (SELECT sum(hashtext(id::text || result)::bigint) FROM lab.serial), 'the same');
SET LOCAL max_parallel_workers_per_gather = 0;

-- 5. What is stored is what comes back, and the sum of weights is what it must be

SELECT is((SELECT count(*) FROM credit.model_characteristic c WHERE c.binning::text::credit.binning IS DISTINCT FROM c.binning OR c.value_table::text::credit.value_table IS DISTINCT FROM c.value_table), 0::bigint, 'as text and back');
SELECT credit.add_standard_model();
SELECT ok(abs((SELECT sum(weight) FROM credit.model_characteristic WHERE model_id = credit.champion('standard')) - 1) < 1e-12, 'weights of the shipped model add up to 1');
SELECT is(credit.model_features(credit.champion('standard')), '{oldest_days_overdue,overdue_ratio,weighted_days_late,on_time_rate,payment_index,utilisation,trend_slope,partial_payment_ratio,months_known,n_paid}', 'its features');
-- better in one feature, the others held
CREATE FUNCTION lab.base() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
SELECT '{"oldest_days_overdue": 10, "overdue_ratio": 0.1, "weighted_days_late": 8, "on_time_rate": 0.7, "payment_index": 70, "utilisation": 0.7, "trend_slope": 0.5, "partial_payment_ratio": 0.1, "months_known": 20, "n_paid": 12}'::jsonb
$$;
CREATE TABLE lab.ladder AS
SELECT f.feature, g, f.better * (credit.score_of('standard', lab.base() || jsonb_build_object(f.feature, (g + 1) * f.step)) - credit.score_of('standard', lab.base() || jsonb_build_object(f.feature, g * f.step))) AS gain
  FROM (VALUES ('oldest_days_overdue', -1, 5), ('overdue_ratio', -1, 0.05), ('weighted_days_late', -1, 5), ('on_time_rate', 1, 0.05), ('payment_index', 1, 5),
		('utilisation', -1, 0.1), ('trend_slope', -1, 0.5), ('partial_payment_ratio', -1, 0.05), ('months_known', 1, 5), ('n_paid', 1, 2)) f (feature, better, step), generate_series(0, 18) g;
SELECT is((SELECT count(*) FROM lab.ladder WHERE gain < -1e-9), 0::bigint, 'better in one feature is never worse');
SELECT is((SELECT count(DISTINCT feature) FROM lab.ladder WHERE gain > 0.1), 10::bigint, 'and each of them counts');

-- 6. Comparisons in pairs: any consistent matrix gives back its weights

CREATE TABLE lab.w AS SELECT k, i, 1 + random() * 2 AS w FROM generate_series(3, 12) k, generate_series(1, 12) i WHERE i <= k;
CREATE TABLE lab.ahp AS
SELECT k, credit.ahp((SELECT array_agg(r ORDER BY i) FROM (SELECT a.i, array_agg(a.w / b.w ORDER BY b.i) AS r FROM lab.w a JOIN lab.w b USING (k) WHERE a.k = q.k GROUP BY a.i) m)) AS a
  FROM (SELECT DISTINCT k FROM lab.w) q;
SELECT is((SELECT count(*) FROM lab.ahp WHERE NOT (a).is_consistent OR abs((a).consistency_ratio) > 1e-9 OR NOT lab.same((a).lambda_max, k)), 0::bigint, 'consistent comparisons are found consistent');
SELECT is((SELECT count(*) FROM lab.ahp q JOIN lab.w USING (k) JOIN (SELECT k, sum(w) AS total FROM lab.w GROUP BY k) t USING (k) WHERE NOT lab.same((q.a).weights[i], w / total)), 0::bigint, 'and their weights found');

-- 7. Who may what

CREATE ROLE credit_scorecard_analyst;
CREATE ROLE credit_scorecard_nobody;
SELECT credit.grant_analyst('credit_scorecard_analyst');
GRANT USAGE ON SCHEMA credit TO credit_scorecard_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO credit_scorecard_analyst, credit_scorecard_nobody;
SET LOCAL ROLE credit_scorecard_analyst;
SELECT cmp_ok(credit.score_of('standard', '{"oldest_days_overdue": 0, "overdue_ratio": 0, "weighted_days_late": 0, "on_time_rate": 1}'), '>', 90::float8, 'an analyst scores');
SELECT cmp_ok((SELECT count(*) FROM credit.model_points), '>', 50::bigint, 'and reads scorecards');
SELECT throws_ok('SELECT credit.add_standard_model()', '42501', NULL, 'but writes none');
SELECT throws_ok('SELECT credit.set_champion(1)', '42501', NULL, 'and puts none in force');
SET LOCAL ROLE credit_scorecard_nobody;
SELECT throws_ok('SELECT credit.score_of(''standard'', ''{}'')', '42501', NULL, 'others do neither');
RESET ROLE;

-- Worked examples of points scaling

SELECT ok(abs(s.factor - 72.1347520444) < 1e-9 AND abs(s.score_offset - 387.6036243278) < 1e-9, '50 points double the odds, 600 at 19 : 1') FROM credit.points_scaling(50, 600, 19) s;
SELECT ok(abs(s.factor - 28.8539008178) < 1e-9 AND abs(s.score_offset - 481.8621880878) < 1e-9, '20 points double the odds, 600 at 60 : 1') FROM credit.points_scaling(20, 600, 60) s;
SELECT ok(bool_and(abs(credit.score_of_probability(v.p, v.pdo, 600, v.odds) - v.score) < 1e-6), 'scores of probabilities')
  FROM (VALUES (0.05::float8, 50::float8, 19::float8, 600.0::float8), (0.1, 50, 19, 546.0998744), (0.2, 50, 19, 487.60362433), (0.5, 50, 19, 387.60362433), (0.01, 50, 19, 719.07145533),
			   (1 / 61.0::float8, 20, 60, 600), (1 / 31.0::float8, 20, 60, 580)) v (p, pdo, odds, score);

SELECT * FROM finish();
ROLLBACK;

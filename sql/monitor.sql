--
-- monitor: validation of models over outcomes, drift
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET datestyle = 'ISO, YMD';
SET extra_float_digits = -4;
CREATE EXTENSION credit;
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id text PRIMARY KEY, kind int);
CREATE TABLE shop.invoice (id int PRIMARY KEY, customer text, amount numeric, invoiced date, due date, paid date);
CREATE TABLE shop.mark (customer text, day date, x float8);
CREATE TABLE shop.outcome (customer text, observed_on date, is_default boolean);
INSERT INTO shop.customer SELECT 'c' || g, g FROM generate_series(1, 6) g;
SELECT credit.set('currency', 'EUR'), credit.set('time_zone', 'UTC');
SELECT credit.attach('shop.customer', 'customer', key => 'id') <> '', credit.attach('shop.invoice', 'invoice', key => 'id', customer => 'customer', amount => 'amount', document_date => 'invoiced', due_date => 'due', settled_on => 'paid') <> '';
-- a model whose score is the mark of the customer
SELECT credit.declare_feature('mark', '(SELECT m.x FROM shop.mark m WHERE m.customer = subject.customer AND m.day <= as_of ORDER BY m.day DESC LIMIT 1)', 'Mark.') > 0;
SELECT credit.add_expert_model('mark', '{mark}', '{1}', ARRAY[credit.numeric_values('{0,50,100}', '{0,50,100}')], pdo => 10, base_score => 50, base_odds => 20, make_champion => true) > 0;
INSERT INTO shop.mark SELECT 'c' || i, '2024-01-01', x FROM unnest('{70,65,62,62,60,62}'::float8[]) WITH ORDINALITY u (x, i);
INSERT INTO shop.outcome SELECT 'c' || g, '2024-06-30', g > 4 FROM generate_series(1, 6) g;

-- 1. Given outcomes: AUC 7/8, its interval 0.5921 to 1, KS 0.5 at 60
SELECT observed, is_out_of_time, n, n_default, default_rate, auc, auc_low, auc_high, gini, ks, ks_score, lift, captured, n_unscored, n_in_default FROM credit.validate(outcomes => 'shop.outcome');
-- the same as the aggregates say over the same rows
SELECT (v.mean_probability, v.brier, v.log_loss, v.hosmer_lemeshow, v.hl_p, v.slope, v.intercept) = ((c.c).mean_probability, (c.c).brier, (c.c).log_loss, (c.c).hosmer_lemeshow, (c.c).hl_p, (c.c).slope, (c.c).intercept) AS same
  FROM credit.validate(outcomes => 'SELECT * FROM shop.outcome -- all') v,
	   (SELECT credit.calibration(credit.score_probability('mark', x), customer IN ('c5', 'c6')) AS c FROM shop.mark) c;
-- who has no outcome is left out; two days and both together
INSERT INTO shop.outcome VALUES ('c1', '2024-09-30', true), ('c2', '2024-09-30', false), ('nobody', '2024-09-30', true), ('c3', '2024-09-30', NULL);
SELECT observed, n, n_default, auc FROM credit.validate(outcomes => 'shop.outcome');
SELECT observed, n, n_default, auc FROM credit.validate(outcomes => 'shop.outcome', observed_on => '{2024-09-30}');
-- a calibration counts
SELECT credit.set_calibration(1, 'isotonic', 'test', '{0,61}', '{0.9,0.1}') > 0;
SELECT observed, n, mean_probability FROM credit.validate(outcomes => 'shop.outcome', observed_on => '{2024-06-30}');
SELECT credit.set_calibration(1, 'none', 'test') > 0;
SELECT * FROM credit.validate('other');
SELECT * FROM credit.validate(version => 7);
SELECT * FROM credit.validate(months => 0);
SELECT * FROM credit.validate(outcomes => 'shop.nothing');

-- 2. Outcomes from the ledger: c5 and c6 go into default within the year, c4 is in default already, c3 pays late but in time
INSERT INTO shop.invoice VALUES (1, 'c5', 1000, '2024-05-01', '2024-06-01', NULL), (2, 'c6', 600, '2024-12-01', '2025-01-01', '2025-07-01'), (3, 'c4', 900, '2024-01-01', '2024-02-01', '2024-09-01'),
	(4, 'c3', 900, '2024-03-01', '2024-06-01', '2024-08-30'), (5, 'c2', 400, '2024-05-01', '2024-06-01', NULL), (6, 'c1', 900, '2024-07-01', '2024-08-01', '2024-07-20');
SET credit.as_of = '2025-06-30';
SELECT customer, defaulted_on, late_amount FROM credit.default_events('2024-06-30', '2025-06-30') ORDER BY customer;
SELECT observed, n, n_default, auc, n_in_default FROM credit.validate();
SELECT observed, n, n_default, auc, n_in_default FROM credit.validate(months => 6, observed_on => '{2024-06-30,2024-12-31}');
SELECT * FROM credit.validate(observed_on => '{2024-07-01}');
SELECT customer, is_default, grade FROM credit.scores('2024-06-30') ORDER BY customer;

-- 3. Drift
SELECT * FROM credit.stability();
SELECT n_rated, n_default FROM credit.rate_all('2024-06-30');
SELECT measure, reference_day, n, value, expected, is_warning, finding FROM credit.monitor ORDER BY 1;
INSERT INTO shop.customer SELECT 'd' || g, g FROM generate_series(1, 200) g;
INSERT INTO shop.mark SELECT 'd' || g, '2024-01-01', g % 50 + 20 FROM generate_series(1, 200) g;
INSERT INTO shop.mark SELECT 'd' || g, '2025-01-01', g % 50 + 20 + CASE WHEN g % 2 = 0 THEN 30 ELSE 0 END FROM generate_series(1, 200) g;
SELECT n_rated FROM credit.rate_all('2024-06-30');
SELECT n_rated, n_default, n_better > 90 AS many_better FROM credit.rate_all('2025-06-30');
SELECT measure, reference_day, n, value, expected, is_warning, finding FROM credit.monitor ORDER BY 1;
SELECT feature, reference_day, n_reference, n_actual, psi, verdict, mean_reference, mean_actual FROM credit.stability();
SELECT feature, psi FROM credit.stability(reference_on => '2025-06-29');
-- defaults of the worst are no drift, those of the best are
INSERT INTO shop.invoice SELECT 100 + g, 'd' || g, 1000, '2024-07-01', '2024-08-01', NULL FROM generate_series(1, 200) g WHERE g % 50 < 3;
SELECT measure, value, expected, is_warning FROM credit.monitor WHERE measure <> 'population' ORDER BY 1;
DELETE FROM shop.invoice WHERE id > 100;
INSERT INTO shop.invoice SELECT 100 + g, 'd' || g, 1000, '2024-07-01', '2024-08-01', NULL FROM generate_series(1, 200) g WHERE g % 50 > 44;
SELECT measure, value, expected, is_warning, finding FROM credit.monitor WHERE measure <> 'population' ORDER BY 1;

-- 4. Characteristics: an expert model against its first rating, a fitted one against its sample
SELECT model_name, version, is_challenger, feature, reference, reference_day, rated_on, n_reference, n_actual, csi, points_shift, verdict FROM credit.characteristic_stability();
-- the same by hand: how many marks below 50 and above, of those that were rated by them
WITH said AS (SELECT DISTINCT ON (customer, valid_from) valid_from, score, pd FROM credit.rating_history ORDER BY customer, valid_from, rating_id DESC)
SELECT credit.psi(ARRAY[count(*) FILTER (WHERE score < 50 AND valid_from < '2025-01-01'), count(*) FILTER (WHERE score >= 50 AND valid_from < '2025-01-01')]::float8[],
				  ARRAY[count(*) FILTER (WHERE score < 50 AND valid_from > '2025-01-01'), count(*) FILTER (WHERE score >= 50 AND valid_from > '2025-01-01')]::float8[]) AS csi FROM said WHERE pd < 1;
SELECT measure, feature, reference_day, n, value, expected, is_warning, finding FROM credit.monitor WHERE measure = 'characteristic';
-- a sample in which the mark says something, and a model fitted to it
CREATE TABLE shop.sample AS SELECT x, CASE WHEN x % 3 = 0 THEN 'north' ELSE 'south' END AS area, (x * 37) % 100 < 60 - x / 2 AS is_bad FROM generate_series(20, 69) x, generate_series(1, 8);
UPDATE shop.sample SET area = NULL WHERE x % 10 = 0;
SELECT credit.declare_feature('area', '(SELECT CASE WHEN m.x::int % 4 = 0 THEN ''north'' WHEN m.x::int % 4 = 1 THEN ''west'' ELSE ''south'' END FROM shop.mark m WHERE m.customer = subject.customer AND m.day <= as_of ORDER BY m.day DESC LIMIT 1)', 'Area.') > 0;
SELECT credit.fit_scorecard('fitted', 'SELECT x AS mark, area, is_bad FROM shop.sample', 'is_bad', '{mark,area}', min_iv => 0.0001, make_champion => true) > 0;
SELECT n_rated, n_default FROM credit.rate_all('2025-06-30', 'fitted');
SELECT model_name, feature, reference, reference_day, n_reference, n_actual, csi, points_shift, verdict FROM credit.characteristic_stability(model => 'fitted');
-- the same by hand, from the sample and from the customers as they are
WITH subject AS (SELECT f.customer, (f.features ->> 'mark')::float8 AS mark, f.features ->> 'area' AS area FROM credit.feature_values('2025-06-30') f WHERE f.features ->> 'is_in_default' IS DISTINCT FROM 'true'),
	bin AS (SELECT 'mark' AS feature, credit.bin_of(credit.model_binning(credit.champion('fitted'), 'mark'), x.mark) AS bin, x.is_sample FROM (SELECT x::float8 AS mark, true AS is_sample FROM shop.sample UNION ALL SELECT mark, false FROM subject) x
		UNION ALL SELECT 'area', credit.bin_of(credit.model_binning(credit.champion('fitted'), 'area'), x.area), x.is_sample FROM (SELECT area, true AS is_sample FROM shop.sample UNION ALL SELECT area, false FROM subject) x),
	cell AS (SELECT feature, bin, count(*) FILTER (WHERE is_sample)::float8 AS e, count(*) FILTER (WHERE NOT is_sample)::float8 AS a FROM bin GROUP BY feature, bin)
SELECT feature, sum(e) AS n_reference, sum(a) AS n_actual, credit.psi(array_agg(e), array_agg(a)) AS csi FROM cell GROUP BY feature ORDER BY feature DESC;
-- two runs of a day in one transaction: the later counts
BEGIN;
SELECT n_rated FROM credit.rate_all('2025-06-30', 'fitted');
SELECT n_rated FROM credit.rate_all('2025-06-30', 'fitted');
COMMIT;
SELECT feature, n_actual, csi FROM credit.characteristic_stability(model => 'fitted');
SELECT model, measure, feature, value, is_warning, finding FROM credit.monitor WHERE model = 'fitted' ORDER BY measure, feature;
SELECT count(*) FROM credit.characteristic_stability('2024-06-29');
RESET credit.as_of;

DROP EXTENSION credit CASCADE;
DROP SCHEMA shop CASCADE;

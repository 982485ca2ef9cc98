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
SELECT credit.add_expert_model('mark', '{mark}', '{1}', ARRAY[credit.numeric_values('{0,100}', '{0,100}')], pdo => 10, base_score => 50, base_odds => 20, make_champion => true) > 0;
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
RESET credit.as_of;

DROP EXTENSION credit CASCADE;
DROP SCHEMA shop CASCADE;

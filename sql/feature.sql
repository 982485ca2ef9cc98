--
-- feature: what is known of each customer on a day, scores and ratings from it
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET datestyle = 'ISO, YMD';
SET extra_float_digits = -4;
CREATE EXTENSION credit;
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id text PRIMARY KEY, name text, credit_limit numeric);
CREATE TABLE shop.invoice (id int PRIMARY KEY, customer text, amount numeric, currency text DEFAULT 'EUR', invoiced date, due date, disputed boolean);
CREATE TABLE shop.payment (id int PRIMARY KEY, customer text, invoice int, amount numeric, paid date, is_loss boolean DEFAULT false);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, amount numeric, ordered date);
CREATE TABLE shop.complaint (customer text, day date);
INSERT INTO shop.customer VALUES ('prompt', 'Prompt Ltd', 2000), ('late', 'Late Ltd', 1000), ('gone', 'Gone Ltd', 5000), ('new', 'New Ltd', 1000), ('none', 'Nothing Ltd', NULL);
-- twelve months each, up to 2025-06
INSERT INTO shop.invoice SELECT 100 + m, 'prompt', 100, 'EUR', d, d + 30, false FROM (SELECT m, (date '2024-07-01' + m * interval '1 month')::date AS d FROM generate_series(0, 11) m) x;
INSERT INTO shop.invoice SELECT 200 + m, 'late', 100 + m, 'EUR', d, d + 30, m = 10 FROM (SELECT m, (date '2024-07-01' + m * interval '1 month')::date AS d FROM generate_series(0, 11) m) x;
INSERT INTO shop.invoice VALUES (301, 'gone', 2000, 'EUR', '2025-01-10', '2025-02-09', false), (302, 'gone', 400, 'EUR', '2024-08-01', '2024-09-01', false), (401, 'new', 50, 'USD', '2025-06-20', '2025-07-20', false);
-- on the due day; from five days late up to sixteen, the first half of each first
INSERT INTO shop.payment SELECT id, customer, id, amount, due FROM shop.invoice WHERE customer = 'prompt' AND id <= 110;
INSERT INTO shop.payment SELECT id * 10, customer, id, 40, due + 5 + (id - 200) - 2 FROM shop.invoice WHERE customer = 'late' AND id <= 209;
INSERT INTO shop.payment SELECT id * 10 + 1, customer, id, amount - 40, due + 5 + (id - 200) FROM shop.invoice WHERE customer = 'late' AND id <= 209;
INSERT INTO shop.payment VALUES (302, 'gone', 302, 400, '2024-09-11');
INSERT INTO shop.orders VALUES (1, 'prompt', 500, '2025-06-01'), (2, 'late', 300, '2025-05-01'), (3, 'late', 200, '2024-10-01');
INSERT INTO shop.complaint VALUES ('late', '2025-05-05'), ('late', '2025-06-06'), ('late', '2023-01-01'), ('gone', '2025-07-15');
SELECT credit.set('currency', 'EUR'), credit.set('time_zone', 'UTC');
SELECT credit.set_rate('USD', 'EUR', 0.5, '2025-06-28');
SELECT credit.attach('shop.customer', 'customer', key => 'id', name => 'name', credit_limit => 'credit_limit') <> '',
	credit.attach('shop.invoice', 'invoice', key => 'id', customer => 'customer', amount => 'amount', currency => 'currency', document_date => 'invoiced', due_date => 'due', is_disputed => 'disputed') <> '',
	credit.attach('shop.payment', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'paid', applies_to => 'invoice', is_write_off => 'is_loss') <> '',
	credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'amount', document_date => 'ordered') <> '';
SELECT count(credit.enter_financials('late', '2024-12-31', 'EUR', '2025-04-01', total_assets => 1100, current_assets => 600, current_liabilities => 400, retained_earnings => 300, equity => 500,
	total_liabilities => 600, market_equity => 900, sales => 1500, ebit => 150));
SELECT count(credit.enter_company_fact('late', founded_on => '2015-06-30', industry => '4634', published_on => '2025-01-01'));
SELECT count(credit.enter_bureau_report('late', p, d, probability => x, published_on => d, score => 70)) FROM (VALUES ('one', date '2025-05-01', 0.02), ('two', '2025-06-01', 0.03), ('two', '2025-07-01', 0.5), ('old', '2023-01-01', 0.9)) v (p, d, x);

-- 1. One row for each account, on a day

SELECT customer, n_paid, n_open, n_overdue, paid_amount, on_time_rate, weighted_days_late, trend_slope, payment_index, partial_payment_ratio, payment_ratio, days_since_payment FROM credit.features('2025-06-30') ORDER BY customer;
SELECT customer, open_amount, overdue_amount, over_90_amount, overdue_ratio, over_30_ratio, oldest_days_overdue, disputed_ratio, is_in_default FROM credit.features('2025-06-30') ORDER BY customer;
SELECT customer, currency, exposure, open_orders, credit_limit, utilisation, n_orders, order_amount, order_growth, days_since_order, months_known FROM credit.features('2025-06-30') ORDER BY customer;
SELECT customer, equity_ratio, altman_z, altman_z_private, altman_z_general, company_age, industry, bureau_probability, bureau_score, bureau_age_days FROM credit.features('2025-06-30') WHERE customer IN ('late', 'new') ORDER BY customer;
-- a past day knows nothing of what came later
SELECT customer, n_paid, open_amount, exposure, equity_ratio, bureau_probability, industry FROM credit.features('2024-12-31') ORDER BY customer;
-- one account; another window
SELECT customer, n_paid, days_since_payment FROM credit.features('2025-06-30', (SELECT account_id FROM credit.account WHERE customer = 'late'));
SELECT customer, n_paid, order_amount FROM credit.features('2025-06-30', days => 90) WHERE customer = 'late';
SELECT count(*) FROM credit.features('infinity');
SELECT count(*) FROM credit.features('2025-06-30', days => 0);
-- what view payment_behaviour says
SELECT f.customer FROM credit.features('2025-06-30') f JOIN credit.payment_behaviour_on('2025-06-30') b ON b.customer = f.customer
 WHERE (f.n_paid, f.n_open, f.on_time_rate, f.mean_days_late, f.weighted_days_late, f.median_days_late, f.p90_days_late, f.sd_days_late, f.recent_days_late, f.trend_slope, f.is_worsening, f.payment_index, f.weighted_days_to_pay)
   IS DISTINCT FROM (b.n_paid, b.n_open, b.on_time_rate, b.mean_days_late, b.weighted_days_late, b.median_days_late, b.p90_days_late, b.sd_days_late, b.recent_days_late, b.trend_slope, b.is_worsening, b.payment_index, b.weighted_days_to_pay);
-- without a rate there is no exposure, and no wrong one
SELECT credit.set('rate_age', '1d');
SELECT customer, exposure, utilisation, n_open, open_amount, overdue_ratio, is_in_default FROM credit.features('2025-06-30') WHERE customer = 'new';
SELECT credit.set('rate_age', NULL);

-- 2. Default

SELECT customer, defaulted_on, late_amount, open_amount FROM credit.default_events('2024-12-31', '2025-12-31') ORDER BY customer;
SELECT customer, defaulted_on FROM credit.default_events('2024-12-31', '2025-05-10');
SELECT customer, defaulted_on FROM credit.default_events('2024-12-31', '2025-05-11');
-- who was in default before is so on the day after
SELECT customer, defaulted_on FROM credit.default_events('2025-05-31', '2025-06-30');
SELECT customer, defaulted_on FROM credit.default_events('2024-12-31', '2025-12-31', days_late => 60, minimum_amount => 100) ORDER BY customer;
SELECT credit.is_material(500, 50000), credit.is_material(499.99, 1000), credit.is_material(500, 50001), credit.is_material(0, 0, 0, 0), credit.is_material(NULL, 1);

-- 3. Declared

SELECT credit.declare_feature('complaints', '(SELECT count(*) FROM shop.complaint c WHERE c.customer = subject.customer AND c.day <= as_of AND c.day > as_of - 365) -- a year',
	'Complaints of a year.', 'complaints', '365 days') > 0;
SELECT credit.declare_feature('is_big', 'CASE WHEN customer = ''late'' THEN true END', 'Customer ''late'' is big.', missing_value => 'false') > 0;
SELECT customer, declared FROM credit.features('2025-06-30') ORDER BY customer;
SELECT features -> 'complaints' AS complaints, features -> 'is_big' AS is_big, features -> 'n_paid' AS n_paid FROM credit.feature_values('2025-06-30') WHERE customer = 'late';
SELECT name, type, unit, time_window, missing, meaning FROM credit.feature_catalog WHERE origin = 'declared' ORDER BY name;
SELECT credit.declare_feature('n_paid', '1', 'Mine.');
SELECT credit.declare_feature('Big', '1', 'Mine.');
SELECT credit.declare_feature('a', '', 'Mine.');
SELECT credit.declare_feature('a', '1', NULL);
SELECT credit.declare_feature('a', 'nothing', 'Mine.');
SELECT credit.declare_feature('a', 'as_of', 'Mine.');
SELECT credit.declare_feature('a', '1) FROM pg_class; DELETE FROM shop.complaint; SELECT (1', 'Mine.');
SELECT credit.declare_feature('a', '1); DELETE FROM shop.complaint; SELECT (1', 'Mine.');
SELECT credit.declare_feature('a', '(WITH d AS (DELETE FROM shop.complaint RETURNING 1) SELECT count(*) FROM d)', 'Mine.');
SELECT credit.declare_feature('a', '1', 'Mine.', missing_value => '"x"');
SELECT count(*) FROM shop.complaint;
SELECT credit.drop_feature('is_big');
SELECT credit.drop_feature('is_big');
SELECT customer, declared FROM credit.features('2025-06-30') WHERE customer = 'late';
UPDATE credit.feature_definition SET expression = '1';

-- 4. Scores

SELECT * FROM credit.score('late', '2025-06-30');
SELECT credit.rating_model();
SELECT credit.rating_model('other');
-- with no model at all, the shipped one
SET client_min_messages = notice;
SELECT * FROM credit.rate_all('2025-03-31');
SET client_min_messages = error;
SELECT * FROM credit.rate_all('2025-06-30');
SELECT r.customer, r.grade, r.score, r.pd, r.reasons FROM credit.ratings_on('2025-06-30') r ORDER BY r.customer;
SELECT h.customer, h.model, h.model_version, h.is_challenger, h.grade, h.valid_from FROM credit.rating_history h ORDER BY h.rating_id;
SELECT score, probability, grade, is_default, reasons, known_weight FROM credit.score('late', '2025-06-30');
SELECT p.feature, p.value, p.points, p.shortfall FROM credit.score('late', '2025-06-30') s, unnest(s.parts) p;
SELECT * FROM credit.score('nobody', '2025-06-30');
SELECT * FROM credit.rate_all('2999-01-01');
SELECT * FROM credit.rate_all('2025-06-30', 'other');
-- a challenger beside it, with a declared feature
SELECT credit.add_expert_model('standard', '{complaints,payment_index}', '{0.5,0.5}', ARRAY[credit.numeric_values('{0,5}', '{100,0}'), credit.numeric_values('{20,80}', '{0,100}')],
	reasons => '{complains,pays late}', pdo => 10, base_score => 50, base_odds => 20);
SELECT customer, version, is_challenger, score, grade, former_grade, reasons FROM credit.scores('2025-06-30') ORDER BY customer, version;
SELECT * FROM credit.rate_all('2025-06-30');
SELECT customer, grade, model_version FROM credit.ratings_on('2025-06-30') WHERE customer = 'prompt';
SELECT customer, is_challenger, grade FROM credit.model_ratings_on('2025-06-30') WHERE customer = 'prompt' ORDER BY 2;

-- 5. Calibration

SELECT score, probability, grade FROM credit.score('prompt', '2025-06-30');
SELECT credit.set_calibration(1, 'platt', 'a sample', '{1,-0.05}') > 0;
SELECT score, probability, 1 / (1 + exp(-1 + 0.05 * score)) AS expected FROM credit.score('prompt', '2025-06-30');
SELECT credit.set_calibration(1, 'isotonic', 'a sample', '{0,50,80}', '{0.3,0.1,0.02}') > 0;
SELECT score, probability FROM credit.score('prompt', '2025-06-30');
SELECT credit.set_calibration(1, 'shift', 'other default rate', ARRAY[credit.rate_shift(0.5, 0.1)]) > 0;
SELECT score, probability FROM credit.score('prompt', '2025-06-30');
SELECT credit.set_calibration(1, 'none', 'as before') > 0;
SELECT score, probability FROM credit.score('prompt', '2025-06-30');
SELECT credit.set_calibration(1, 'platt', 'x', '{1,0.05}');
SELECT credit.set_calibration(1, 'platt', 'x', '{1}');
SELECT credit.set_calibration(1, 'isotonic', 'x', '{1,2}', '{0.1}');
SELECT credit.set_calibration(1, 'shift', 'x', '{NaN}');
SELECT credit.set_calibration(1, 'other', 'x');
SELECT credit.set_calibration(1, 'none', ' ');
SELECT credit.set_calibration(99, 'none', 'x');

-- 6. Default for other causes: written off, insolvent, recovered

INSERT INTO shop.invoice SELECT id, customer, amount, 'EUR', invoiced, due, false FROM (VALUES (901, 'w1', 1000, date '2025-01-01', date '2025-02-01'), (902, 'w2', 400, '2025-01-01', '2025-02-01'),
	(903, 'w2', 300, '2025-01-01', '2025-02-01'), (904, 'w3', 100000, '2025-01-01', '2025-12-31'), (905, 'w3', 600, '2025-01-01', '2025-02-01'), (906, 'w4', 100, '2025-05-01', '2025-06-01')) v (id, customer, amount, invoiced, due);
-- w1 at once, w2 little by little, w3 nothing that matters to him
INSERT INTO shop.payment VALUES (9001, 'w1', 901, 200, '2025-02-10', false), (9002, 'w1', 901, 800, '2025-03-01', true), (9003, 'w2', 902, 400, '2025-03-05', true), (9004, 'w2', 903, 300, '2025-04-05', true),
	(9005, 'w3', 905, 600, '2025-03-01', true);
SELECT a.customer, p.cause, p.began_on, p.ended_on, p.amount, p.open_amount FROM credit.default_periods('2025-06-30') p JOIN credit.account a USING (account_id) ORDER BY 1;
SELECT customer, defaulted_on, cause, late_amount, open_amount FROM credit.defaults('2024-12-31', '2025-06-30') ORDER BY customer;
SELECT customer, is_in_default, n_open FROM credit.features('2025-06-30') WHERE customer LIKE 'w%' ORDER BY customer;
SELECT customer, is_in_default FROM credit.features('2025-04-04') WHERE customer LIKE 'w%' ORDER BY customer;
-- one account as all
SELECT p.cause, p.began_on, p.amount, p.open_amount FROM credit.account a, credit.default_periods('2025-06-30', a.account_id) p WHERE a.customer = 'w2';
-- entered: known a month later; the same for all segments; taken back; ended
SELECT credit.enter_default('w4', 'insolvency', '2025-05-15', 'court', '2025-06-15'), credit.enter_default('nobody', 'other', '2025-05-15', published_on => '2025-05-15'),
	credit.enter_default('late', 'forced_sale', '2025-05-20', published_on => '2025-05-20'), credit.enter_default('w1', 'recovery', '2025-06-01', published_on => '2025-06-01');
SELECT customer, is_in_default FROM credit.features('2025-06-14') WHERE customer IN ('w1', 'w4', 'late') ORDER BY customer;
SELECT customer, is_in_default FROM credit.features('2025-06-15') WHERE customer IN ('w1', 'w4', 'late') ORDER BY customer;
SELECT customer, is_in_default FROM credit.features('2025-05-31') WHERE customer IN ('w1', 'w4', 'late') ORDER BY customer;
-- as an outcome it counts from the day on which it happened
SELECT customer, defaulted_on, cause FROM credit.defaults('2024-12-31', '2025-06-01') ORDER BY customer;
-- who was in default before, and still is; who has recovered
SELECT customer, defaulted_on, cause FROM credit.defaults('2025-06-29', '2025-06-30') ORDER BY customer;
SELECT customer, grade, probability, is_default, reasons[1] AS reason FROM credit.scores('2025-06-30') WHERE is_default AND NOT is_challenger ORDER BY customer;
SELECT grade, reasons[1] AS reason FROM credit.score('w4', '2025-06-30');
SELECT credit.withdraw_entry('default_event', 3, 'another customer');
SELECT customer, is_in_default FROM credit.features('2025-06-30') WHERE customer = 'late';
-- a write-off that is taken back, which counts from the day on which that was seen
DELETE FROM shop.payment WHERE id = 9004;
SELECT a.customer, p.cause, p.began_on, p.ended_on = credit.today() AS ends_today FROM credit.default_periods(credit.today()) p JOIN credit.account a USING (account_id) WHERE a.customer = 'w2';
-- refused
SELECT credit.enter_default('w1', 'bad luck');
SELECT credit.enter_default('w1', NULL);
SELECT credit.enter_default(NULL, 'other');
SELECT credit.enter_default('w1', 'other', '2025-05-02', published_on => '2025-05-01');
SELECT credit.enter_default('w1', 'other', 'infinity');
DELETE FROM credit.default_event;

DROP EXTENSION credit CASCADE;
DROP SCHEMA shop CASCADE;

--
-- payment: how customers pay, over the ledger; a small one, worked by hand
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET extra_float_digits = -3;
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');
CREATE SCHEMA books;
CREATE TABLE books.customer (id text PRIMARY KEY, terms int);
CREATE TABLE books.invoice (id int PRIMARY KEY, customer text, day date, due date, amount numeric);
CREATE TABLE books.payment (id int PRIMARY KEY, customer text, day date, amount numeric, lost boolean);
CREATE TABLE books.application (id int PRIMARY KEY, payment int, invoice int, amount numeric, day date);
CREATE TABLE books.note (id int PRIMARY KEY, customer text, day date, amount numeric, invoice int);
CREATE TABLE books.orders (id int PRIMARY KEY, customer text, day date, amount numeric);
SELECT credit.attach('books.customer', 'customer', key => 'id', terms_days => 'terms');
SELECT credit.attach('books.invoice', 'invoice', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day', due_date => 'due');
SELECT credit.attach('books.payment', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day', is_write_off => 'lost');
SELECT credit.attach('books.application', 'application', key => 'id', payment => 'payment', applies_to => 'invoice', amount => 'amount', document_date => 'day');
SELECT credit.attach('books.note', 'credit_note', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day', applies_to => 'invoice');
SELECT credit.attach('books.orders', 'order', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day');
RESET client_min_messages;

-- an invoice that was due on a day, paid so many days later
CREATE SEQUENCE books.ids;
CREATE FUNCTION books.bill(customer text, due date, amount numeric, VARIADIC paid numeric[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	invoice int := nextval('books.ids');
	payment int;
BEGIN
	INSERT INTO books.invoice VALUES (invoice, customer, due - 30, due, amount);
	FOR i IN 1 .. cardinality(paid) BY 2 LOOP
		payment := nextval('books.ids');
		INSERT INTO books.payment VALUES (payment, customer, due + paid[i]::int, paid[i + 1]);
		INSERT INTO books.application VALUES (payment, payment, invoice, paid[i + 1], due + paid[i]::int);
	END LOOP;
	RETURN invoice;
END
$$;

-- 1. An invoice paid in two parts: 10 days late, by amount 7

SELECT books.bill('C1', '2025-05-31', 1000, 0, 300, 10, 700);
SELECT n_paid, mean_days_late, weighted_days_late, paid_amount, last_paid_date FROM credit.payment_behaviour_on('2025-06-30') WHERE customer = 'C1';
-- between the two it was open with the rest
SELECT n_paid, n_open, n_overdue, open_amount, overdue_amount, paid_amount, weighted_days_late FROM credit.payment_behaviour_on('2025-06-05') WHERE customer = 'C1';
SELECT key, amount, open_amount, paid_amount, settled_on, is_cash FROM credit.debts_on('2025-06-05');
SELECT customer, month, n_paid, paid_amount, mean_days_late, invoiced_amount FROM credit.payment_trend_on('2025-06-30') ORDER BY month;

-- 2. On time: 3 of 8; with 3 days of grace 4; with two overdue 3 of 10; quantiles and stability

SELECT count(books.bill('C2', '2025-03-01', 100, d, 100)) FROM unnest(ARRAY[-3, 0, 2, 5, 12, 0, 30, 4]) d;
SELECT g AS grace, on_time_rate FROM (VALUES (0), (3)) v (g), credit.payment_behaviour_on('2025-04-30', 365, g) WHERE customer = 'C2';
SELECT mean_days_late, median_days_late, p90_days_late, sd_days_late, mean_deviation FROM credit.payment_behaviour_on('2025-04-30') WHERE customer = 'C2';
INSERT INTO books.invoice VALUES (901, 'C2', '2025-03-11', '2025-04-10', 100), (902, 'C2', '2025-03-30', '2025-04-29', 100);
SELECT on_time_rate, n_overdue, max_days_overdue FROM credit.payment_behaviour_on('2025-04-30') WHERE customer = 'C2';

-- 3. Trend: by least squares 1.4571 in 30 days, p 0.004259; by ranks 1.4, p 0.0167 (exact)

SELECT count(books.bill('C5', date '2025-03-01' + x - y, 1, y, 1)) FROM (VALUES (0, 2), (30, 4), (60, 3), (90, 7), (120, 8), (150, 9)) v (x, y);
SELECT round(trend_slope::numeric, 4) AS slope, round(trend_se::numeric / 30, 7) AS se_per_day, round(trend_p::numeric, 6) AS p, is_worsening FROM credit.payment_behaviour_on('2025-12-31') WHERE customer = 'C5';
SELECT trend_slope, round(trend_p::numeric, 4) AS p, trend_direction FROM credit.funds_profile_on('2025-12-31') WHERE customer = 'C5';

-- 4. Recency: 6.8571, worth 2.3333 payments

SELECT count(books.bill('C7', date '2025-12-31' - age - d, 1, d, 1)) FROM (VALUES (0, 10), (90, 4), (180, 0)) v (age, d);
SELECT round(recent_days_late::numeric, 4) AS recent, round(recent_n::numeric, 4) AS n FROM credit.payment_behaviour_on('2025-12-31') WHERE customer = 'C7';

-- 5. Habit: five Fridays and a Thursday; intervals of 30, 31, 30, 29, 31 days

SELECT count(books.bill('C8', date '2025-05-30' - 7 * w, 1, CASE w WHEN 3 THEN -1 ELSE 0 END, 1)) FROM generate_series(0, 5) w;
SELECT habit, habit_day, round(habit_strength::numeric, 4) AS strength, round(habit_p::numeric, 6) AS p, n_payment_days FROM credit.funds_profile_on('2025-06-30') WHERE customer = 'C8';
SELECT count(books.bill('C8 months', date '2025-01-01' + d, 1, 0, 1)) FROM unnest(ARRAY[0, 30, 61, 91, 120, 151]) d;
SELECT mean_interval, round(sd_interval::numeric, 5) AS sd, round(cv_interval::numeric, 4) AS cv, last_payment_on FROM credit.funds_profile_on('2025-06-30') WHERE customer = 'C8 months';

-- 6. First payments: 3 of 10 short, 375 / 1000 of what was billed for these

SELECT books.bill('C9', '2025-03-31', 1000, 0, 700, 5, 300), books.bill('C9', '2025-03-31', 500, 0, 450, 5, 50), books.bill('C9', '2025-03-31', 500, 0, 100, 5, 400);
SELECT count(books.bill('C9', '2025-03-31', 200, 0, 200)) FROM generate_series(1, 7);
SELECT partial_ratio, residue_ratio, n_part_paid FROM credit.funds_profile_on('2025-06-30') WHERE customer = 'C9';

-- 7. Capability: 90,000 of 120,000 that fell due; the credited part is not due; capacity 50 a month

SELECT books.bill('C10', '2025-03-31', 90000, 0, 90000), books.bill('C10', '2025-04-30', 32000, VARIADIC '{}');
INSERT INTO books.note SELECT 1, 'C10', '2025-04-30', 2000, max(id) FROM books.invoice WHERE customer = 'C10';
SELECT due_amount, paid_of_due, capability, funds_segment FROM credit.funds_profile_on('2025-06-30') WHERE customer = 'C10';
SELECT count(books.bill('C10 months', m::date, a, 0, a)) FROM (VALUES (timestamp '2025-01-15', 40), ('2025-02-15', 55), ('2025-03-15', 50), ('2025-04-15', 60), ('2025-05-15', 45), ('2025-06-15', 50)) v (m, a);
SELECT monthly_capacity, n_capacity_months, capability FROM credit.funds_profile_on('2025-07-10') WHERE customer = 'C10 months';

-- 8. Payment index: 70, and not that of the mean

SELECT books.bill('C11', '2025-03-31', 10000, 0, 10000), books.bill('C11', '2025-03-31', 5000, 15, 5000), books.bill('C11', '2025-03-31', 5000, 30, 5000);
SELECT payment_index FROM credit.payment_behaviour_on('2025-06-30') WHERE customer = 'C11';

-- 9. Change: usual is 5 with a deviation of about 4; then 6, 4, 8, 12, 15, 14, 18: later since the second, seen on the sixth

SELECT count(books.bill('C12', date '2024-01-01' + 10 * x - d, 1, d, 1)) FROM (VALUES (0, 1), (1, 9), (2, 1), (3, 9), (4, 2), (5, 8), (6, 1), (7, 9), (8, 5)) v (x, d);
SELECT count(books.bill('C12', date '2024-12-01' + 10 * x - d, 1, d, 1)) FROM (VALUES (0, 6), (1, 4), (2, 8), (3, 12), (4, 15), (5, 14), (6, 18)) v (x, d);
SELECT baseline_days_late, n_baseline, later_since, later_seen_on, earlier_since FROM credit.funds_profile_on('2025-03-31') WHERE customer = 'C12';
-- before it could be seen
SELECT later_since FROM credit.funds_profile_on('2025-01-15') WHERE customer = 'C12';

-- 10. Demand: 12 orders in 30 days, 24 in the 180 days before: 3 times, p 0.003172

INSERT INTO books.orders SELECT g, 'C13', date '2025-06-30' - g, 10 FROM generate_series(1, 12) g;
INSERT INTO books.orders SELECT 100 + g, 'C13', date '2025-05-31' - 7 * g, 10 FROM generate_series(0, 23) g;
SELECT n_orders_recent, n_orders_before, demand_ratio, round(demand_p::numeric, 6) AS p, funds_segment FROM credit.funds_profile_on('2025-06-30') WHERE customer = 'C13';

-- 11. Indicators. March 2025: 1,000 billed in February, 800 in March; 900 of 1,000 came, of what is left 700 is not overdue

CREATE FUNCTION books.ratios(customer text, as_of date, days int DEFAULT NULL) RETURNS TABLE (sales numeric, begins numeric, ends numeric, current numeric, overdue numeric, dso numeric, count_back numeric, best numeric, add numeric, cei numeric)
LANGUAGE sql AS $$
SELECT sales, receivables_begin, receivables_end, current_amount, overdue_amount, round(dso::numeric, 4), round(countback_dso::numeric, 4), round(best_possible_dso::numeric, 4), round(average_days_delinquent::numeric, 4), round(cei::numeric, 4)
  FROM credit.customer_indicators_on(as_of, days) i WHERE i.customer = ratios.customer $$;
INSERT INTO books.invoice VALUES (911, 'B5', '2025-02-10', '2025-03-12', 1000), (912, 'B5', '2025-03-10', '2025-04-09', 700), (913, 'B5', '2025-03-01', '2025-03-11', 100);
INSERT INTO books.payment VALUES (911, 'B5', '2025-03-20', 900);
INSERT INTO books.application VALUES (911, 911, 911, 900, '2025-03-20');
SELECT * FROM books.ratios('B5', '2025-03-31');
-- DSO 43.8, best possible 29.2, average days delinquent 14.6
INSERT INTO books.invoice VALUES (921, 'B1', '2024-05-01', '2024-05-31', 8800000), (922, 'B1', '2024-12-01', '2024-12-31', 400000), (923, 'B1', '2024-12-10', '2025-01-09', 800000);
INSERT INTO books.payment VALUES (921, 'B1', '2024-06-30', 8800000);
INSERT INTO books.application VALUES (921, 921, 921, 8800000, '2024-06-30');
SELECT * FROM books.ratios('B1', '2025-01-05', 365);
-- count-back of 212,000 over 100,000, 80,000 and 70,000: 73.1714
INSERT INTO books.invoice VALUES (931, 'B2', '2025-01-15', '2025-04-15', 70000), (932, 'B2', '2025-02-15', '2025-05-15', 80000), (933, 'B2', '2025-03-15', '2025-06-15', 100000);
INSERT INTO books.payment VALUES (931, 'B2', '2025-03-20', 38000);
SELECT * FROM books.ratios('B2', '2025-03-31');
-- turnover 9.125 by mean receivables of 400,000; bad debts 30,000 of 5,000,000 less 5,000 that came back
INSERT INTO books.invoice VALUES (941, 'B6', '2024-12-31', '2025-01-31', 400000), (942, 'B6', '2025-03-01', '2025-03-31', 3650000);
INSERT INTO books.payment VALUES (942, 'B6', '2025-03-15', 3650000);
INSERT INTO books.application VALUES (942, 942, 942, 3650000, '2025-03-15');
INSERT INTO books.invoice VALUES (951, 'B7', '2025-03-01', '2025-03-31', 5000000);
INSERT INTO books.payment VALUES (951, 'B7', '2025-03-20', 25000, true);
INSERT INTO books.application VALUES (951, 951, 951, 25000, '2025-03-20');
SELECT customer, turnover, write_off_amount, bad_debt_ratio, paid_amount FROM credit.customer_indicators_on('2025-03-31') WHERE customer IN ('B6', 'B7') ORDER BY customer;
-- overdue 0.8, severely 0.5; credits are on neither side, but come off the oldest in current and overdue
INSERT INTO books.invoice VALUES (961, 'B8', '2025-01-01', date '2025-06-30' - 95, 500), (962, 'B8', '2025-01-01', date '2025-06-30' - 40, 300), (963, 'B8', '2025-01-01', date '2025-06-30' + 5, 200);
INSERT INTO books.payment VALUES (961, 'B8', '2025-06-27', 350);
INSERT INTO books.note VALUES (961, 'B8', '2025-06-20', 250);
SELECT receivables_end, current_amount, overdue_amount, overdue_ratio, severe_overdue_ratio, open_days_beyond_terms FROM credit.customer_indicators_on('2025-06-30') WHERE customer = 'B8';
-- days beyond terms 13.3333, days late 12.5, terms 37.5, days to pay 50
INSERT INTO books.customer VALUES ('B11', 45);
INSERT INTO books.invoice VALUES (971, 'B11', '2025-04-30', date '2025-04-30' + 30, 1000), (972, 'B11', '2025-04-30', date '2025-04-30' + 30, 2000), (973, 'B11', '2025-04-30', NULL, 3000);
INSERT INTO books.payment VALUES (971, 'B11', date '2025-04-30' + 25, 1000), (972, 'B11', date '2025-04-30' + 40, 2000), (973, 'B11', date '2025-04-30' + 65, 3000);
INSERT INTO books.application VALUES (971, 971, 971, 1000, '2025-05-25'), (972, 972, 972, 2000, '2025-06-09'), (973, 973, 973, 3000, '2025-07-04');
SELECT round(days_beyond_terms::numeric, 4) AS dbt, weighted_days_late, weighted_terms, weighted_days_to_pay FROM credit.payment_behaviour_on('2025-12-31') WHERE customer = 'B11';
-- by age: 20 days of half a month's sales, 50 days of half of another one's: 35
INSERT INTO books.invoice VALUES (981, 'B12', '2025-03-11', '2025-03-31', 50000), (982, 'B12', '2025-03-01', '2025-03-31', 50000), (983, 'B12', '2025-02-09', '2025-03-31', 40000), (984, 'B12', '2025-02-01', '2025-03-31', 40000);
INSERT INTO books.payment VALUES (982, 'B12', '2025-03-20', 50000), (984, 'B12', '2025-03-20', 40000);
INSERT INTO books.application VALUES (982, 982, 982, 50000, '2025-03-20'), (984, 984, 984, 40000, '2025-03-20');
SELECT true_dso FROM credit.customer_indicators_on('2025-03-31') WHERE customer = 'B12';

-- 12. A month that is not over, no sales, and a customer in credit

SELECT month, last_day, window_days, sales, dso_month, receivables_end FROM credit.customer_indicators_on('2025-03-15') WHERE customer = 'B5';
INSERT INTO books.payment VALUES (991, 'ahead', '2025-06-01', 100);
SELECT sales, receivables_end, current_amount, overdue_amount, dso, countback_dso, cei, overdue_ratio FROM credit.customer_indicators_on('2025-06-30') WHERE customer = 'ahead';
SELECT funds_segment, n_payment_days, capability FROM credit.funds_profile_on('2025-06-30') WHERE customer = 'ahead';
SELECT count(*) FROM credit.receivable_indicators_on('2025-06-30', 0);
SELECT month, last_day, sales, n_customers FROM credit.receivable_indicators_on('2025-02-15', 3) ORDER BY month;

-- 13. A role that may read the views

CREATE ROLE regress_credit_reader;
SELECT credit.grant_analyst('regress_credit_reader');
SET ROLE regress_credit_reader;
SELECT (SELECT count(*) > 0 FROM credit.payment_behaviour) AS b, (SELECT count(*) > 0 FROM credit.payment_trend_on('2025-06-30')) AS t, (SELECT count(*) > 0 FROM credit.receivable_indicators) AS i,
	   (SELECT count(*) > 0 FROM credit.customer_indicators) AS c, (SELECT count(*) > 0 FROM credit.funds_profile) AS f, (SELECT count(*) > 0 FROM credit.exposure_history) AS h;
RESET ROLE;
DROP OWNED BY regress_credit_reader;
DROP ROLE regress_credit_reader;

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

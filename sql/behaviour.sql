--
-- behaviour: payment_profile() over any table
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
RESET client_min_messages;

-- the last digits are the machine's own
SET extra_float_digits = -3;
CREATE SCHEMA books;
-- one row each, days late counted from a due date of 2025-01-31
CREATE VIEW books.late AS
SELECT 100.00 AS amount, date '2025-01-01' AS invoiced, date '2025-01-31' AS due, date '2025-01-31' + d AS paid
  FROM unnest(ARRAY[-3, 0, 2, 5, 12, 0, 30, 4]) d;

-- 1. All columns

\x on
SELECT (credit.payment_profile(amount, invoiced, due, paid)).* FROM books.late;
\x off

-- 2. On time, with grace days and open items

SELECT g AS grace, (credit.payment_profile(amount, invoiced, due, paid, '2025-12-31', g, 90)).on_time_rate
  FROM books.late, unnest(ARRAY[0, 3]) g GROUP BY g ORDER BY g;
SELECT (p).on_time_rate, (p).n_paid, (p).n_open, (p).n_overdue, (p).max_days_overdue
  FROM (SELECT credit.payment_profile(amount, invoiced, due, paid, '2025-12-31')
		  FROM (TABLE books.late UNION ALL VALUES (100, date '2025-01-01', date '2025-12-11', NULL::date),
				(100, '2025-01-01', '2025-12-30', NULL), (100, '2025-01-01', '2025-12-31', NULL)) i) q (p);
-- without an as-of date nobody knows what is overdue
SELECT (p).on_time_rate, (p).n_open, (p).n_overdue, (p).open_amount, (p).overdue_amount
  FROM (SELECT credit.payment_profile(100, date '2025-01-01', date '2025-01-31', NULL)) q (p);

-- 3. An invoice paid in two parts: an observation each

SELECT (p).weighted_days_late FROM (SELECT credit.payment_profile(a, '2025-05-01', '2025-05-31', paid)
  FROM (VALUES (300, date '2025-05-31'), (700, '2025-06-10')) v (a, paid)) q (p);

-- 4. Weights: days beyond terms, days late, days to pay, terms; 35 = 30 + 30 + 45 weighted

SELECT (p).days_beyond_terms, (p).weighted_days_late, (p).weighted_days_to_pay, (p).weighted_terms
  FROM (SELECT credit.payment_profile(a, '2025-01-01', date '2025-01-01' + terms, date '2025-01-01' + terms + d)
		  FROM (VALUES (1000, -5, 30), (2000, 10, 30), (3000, 20, 45)) v (a, d, terms)) q (p);

-- 5. Trend

CREATE VIEW books.trend AS
SELECT 1 AS amount, date '2025-01-01' AS invoiced, date '2025-03-01' + x - y AS due, date '2025-03-01' + x AS paid, x
  FROM (VALUES (0, 2), (30, 4), (60, 3), (90, 7), (120, 8), (150, 9)) v (x, y);
SELECT round((p).trend_slope::numeric, 9) AS slope, round((p).trend_se::numeric / 30, 7) AS se_per_day, round((p).trend_t::numeric, 4) AS t,
	   round((p).trend_p::numeric, 6) AS p, round((p).trend_r2::numeric, 4) AS r2, (p).is_worsening
  FROM (SELECT credit.payment_profile(amount, invoiced, due, paid) FROM books.trend) q (p);
-- five do not make it a worsening; two make none, nor does one day
SELECT n, (p).trend_slope IS NULL AS no_slope, (p).is_worsening
  FROM (SELECT n, credit.payment_profile(amount, invoiced, due, paid) FROM books.trend, (VALUES (2), (5)) n (n) WHERE x < 30 * n GROUP BY n) q (n, p) ORDER BY n;
SELECT (p).trend_slope, (p).trend_p FROM (SELECT credit.payment_profile(1, '2025-01-01', date '2025-02-01' - d, '2025-03-01') FROM generate_series(1, 9) d) q (p);
-- all on one line, and that line level
SELECT b, (p).trend_slope, (p).trend_se, (p).trend_t, (p).trend_p, (p).trend_r2
  FROM (SELECT b, credit.payment_profile(1, '2025-01-01', date '2025-02-01' + x - b * x, date '2025-02-01' + x) FROM generate_series(1, 7) x, (VALUES (0), (1), (-1)) v (b) GROUP BY b) q (b, p) ORDER BY b;

-- 6. Recency: ages 0, 90 and 180 with 10, 4 and 0 days late; half the half-life

SELECT h, round((p).recent_days_late::numeric, 4) AS recent_days_late, round((p).recent_n::numeric, 4) AS recent_n
  FROM (SELECT h, credit.payment_profile(1, '2024-01-01', date '2025-12-31' - age - d, date '2025-12-31' - age, '2025-12-31', 0, h)
		  FROM (VALUES (0, 10), (90, 4), (180, 0), (-1, 1000)) v (age, d), (VALUES (90), (45)) h (h) GROUP BY h) q (h, p) ORDER BY h DESC;

-- 7. Index

SELECT d, round((credit.payment_profile(1, date '2025-01-01', date '2025-06-30' - d, date '2025-06-30')).payment_index::numeric, 4) AS index
  FROM unnest(ARRAY[-3000, -31, -30, -25, -20, -10, 0, 15, 22, 30, 75, 120, 150, 180, 181, 3000]) d GROUP BY d ORDER BY d;
SELECT (p).payment_index FROM (SELECT credit.payment_profile(a, '2025-01-01', date '2025-06-30' - d, '2025-06-30') FROM (VALUES (10000, 0), (5000, 15), (5000, 30)) v (a, d)) q (p);
-- the same if the last two are open and overdue; what is not due is left out
SELECT (p).payment_index, (p).open_days_beyond_terms, (p).overdue_amount
  FROM (SELECT credit.payment_profile(a, '2025-01-01', date '2025-06-30' - d, CASE d WHEN 0 THEN date '2025-06-30' END, '2025-06-30')
		  FROM (VALUES (10000, 0), (5000, 15), (5000, 30), (5000, -30)) v (a, d)) q (p);

-- 8. One customer's table: eleven invoices

SELECT (p).n_paid, round((p).mean_days_late::numeric, 10) AS mean, round((p).weighted_days_late::numeric, 10) AS weighted, round((p).days_beyond_terms::numeric, 10) AS beyond,
	   round((p).on_time_rate::numeric, 10) AS on_time, round((p).on_time_rate_by_amount::numeric, 10) AS by_amount, (p).median_days_late AS median, (p).p90_days_late AS p90,
	   (p).weighted_p90_days_late AS p90_by_amount, round((p).sd_days_late::numeric, 10) AS sd, (p).paid_amount
  FROM (SELECT credit.payment_profile(a, '2025-01-01', '2025-01-31', date '2025-01-31' + d)
		  FROM (VALUES (-17, 120.5), (-12, 80), (-3, 300), (0, 50), (0, 75.25), (2, 1000), (5, 20), (6, 64.3), (8, 410), (14, 33), (45, 900)) v (d, a)) q (p);

-- 9. What is no payment and no open item

SELECT name, (p).n_paid, (p).n_open, (p).n_overdue, (p).n_credits, (p).n_future, (p).n_skipped, (p).paid_amount, (p).open_amount, (p).overdue_amount
  FROM (SELECT name, credit.payment_profile(a, invoiced, due, paid, '2025-06-30')
		  FROM (VALUES (1, 'paid', 5.00, date '2025-01-01', date '2025-01-31', date '2025-02-01'),
				(2, 'paid later than the as-of date', 5.00, '2025-01-01', '2025-01-31', '2025-07-01'),
				(3, 'never paid', 5.00, '2025-01-01', '2025-01-31', 'infinity'),
				(4, 'not due', 5.00, '2025-01-01', '2025-07-31', NULL),
				(5, 'due today', 5.00, '2025-01-01', '2025-06-30', NULL),
				(6, 'paid before the invoice', 5.00, '2025-03-01', '2025-03-31', '2025-02-01'),
				(7, 'credit note', -5.00, '2025-01-01', '2025-01-31', NULL),
				(8, 'nothing', 0, '2025-01-01', '2025-01-31', NULL),
				(9, 'large credit', -1e30, '2025-01-01', '2025-01-31', NULL),
				(10, 'invoice of the future', 5.00, '2025-07-01', '2025-07-31', NULL),
				(11, 'no amount', NULL, '2025-01-01', '2025-01-31', NULL),
				(12, 'no invoice date', 5.00, NULL, '2025-01-31', '2025-02-01'),
				(13, 'no due date', 5.00, '2025-01-01', NULL, '2025-02-01'),
				(14, 'due never', 5.00, '2025-01-01', 'infinity', NULL),
				(15, 'invoiced never', 5.00, 'infinity', '2025-01-31', NULL),
				(16, 'paid before all times', 5.00, '2025-01-01', '2025-01-31', '-infinity'),
				(17, 'not a number', 'NaN', '2025-01-01', '2025-01-31', NULL),
				(18, 'infinite', 'Infinity', '2025-01-01', '2025-01-31', '2025-01-31'),
				(19, 'minus infinite', '-Infinity', '2025-01-01', '2025-01-31', '2025-01-31'),
				(20, 'tiny', 1e-20, '2025-01-01', '2025-01-31', '2025-01-31')) v (n, name, a, invoiced, due, paid)
		 GROUP BY n, name ORDER BY n) q (name, p);
SELECT credit.payment_profile(5, date '2025-01-01', date '2025-01-31', date '2025-02-01', NULL);
SELECT credit.payment_profile(5, date '2025-01-01', date '2025-01-31', date '2025-02-01') WHERE false;
SELECT (p).n_paid, (p).sd_days_late, (p).median_days_late, (p).mean_deviation, (p).cv_days_to_pay, (p).recent_n FROM (SELECT credit.payment_profile(5, date '2025-01-01', date '2025-01-31', date '2025-02-01')) q (p);
-- a mean of days to pay that is not positive has no coefficient of variation
SELECT (p).mean_days_to_pay, (p).sd_days_to_pay, (p).cv_days_to_pay FROM (SELECT credit.payment_profile(5, '2025-01-10', '2025-01-31', paid) FROM (VALUES (date '2025-01-05'), ('2025-01-15')) v (paid)) q (p);

-- 10. Money is exact, whatever its size; weights are amounts to 8 decimals

SELECT (p).paid_amount, (p).open_amount, round((p).weighted_days_late::numeric, 12) AS weighted
  FROM (SELECT credit.payment_profile(a, '2025-01-01', date '2025-02-01' - d, paid)
		  FROM (VALUES (999999999999999999.99, 1, date '2025-02-01'), (0.01, 2, '2025-02-01'), (123456789.123456789012, 3, '2025-02-01'), (99999999.99, 4, NULL), (0.000000000001, 5, NULL)) v (a, d, paid)) q (p);
SELECT credit.payment_profile(1e18, date '2025-01-01', date '2025-01-31', date '2025-02-01');
SELECT credit.payment_profile(1e30, date '2025-01-01', date '2025-01-31', NULL);

-- 11. Dates at both ends: days and sums are right, quantiles stop at ten years

SELECT (p).mean_days_late, (p).min_days_late, (p).max_days_late, (p).median_days_late, (p).weighted_p90_days_late, (p).mean_days_to_pay, (p).payment_index
  FROM (SELECT credit.payment_profile(1, i, d, paid)
		  FROM (VALUES (date '4713-01-01 BC', date '4713-01-01 BC', date '5874897-12-31'), ('4713-01-01 BC', '5874897-12-31', '4713-01-01 BC'), ('2025-01-01', '2025-01-01', '2035-12-31')) v (i, d, paid)) q (p);
SELECT (p).n_overdue, (p).max_days_overdue, (p).open_days_beyond_terms
  FROM (SELECT credit.payment_profile(1, '4713-01-01 BC', '4713-01-01 BC', NULL, '5874897-12-31')) q (p);

-- 12. What a group must have in common, and options that are none

SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, a) FROM (VALUES (date '2025-06-30'), ('2025-07-01')) v (a);
SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, '2025-06-30', g, 90) FROM generate_series(0, 1) g;
SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, '2025-06-30', 0, h) FROM generate_series(90, 91) h;
SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, 'infinity');
SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, '2025-06-30', -1, 90);
SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, '2025-06-30', 0, 0);
SELECT credit.payment_profile(1, date '2025-01-01', date '2025-01-31', NULL, '2025-06-30', NULL, 90);

-- 13. Support functions are nothing for people

SELECT credit.payment_accum(NULL, 1::numeric, '2025-01-01'::date, '2025-01-01'::date, '2025-01-01'::date);
SELECT credit.payment_accum(NULL, 1::numeric, '2025-01-01'::date, '2025-01-01'::date, '2025-01-01'::date, '2025-01-01'::date);
SELECT credit.payment_accum(NULL, 1::numeric, '2025-01-01'::date, '2025-01-01'::date, '2025-01-01'::date, '2025-01-01'::date, 0, 90);
SELECT credit.payment_combine(NULL, NULL);
SELECT credit.payment_final(NULL);
SELECT credit.payment_serialize(NULL) IS NULL AS nothing;
-- 14. Rhythm: five Fridays and a Thursday; the end of each month; one day

CREATE FUNCTION books.show(c credit.cycle_measures) RETURNS TABLE
	(n bigint, days int, step numeric, sd numeric, cv numeric, weekday numeric, p numeric, mean numeric, habit text, day int, period numeric, period_p numeric)
LANGUAGE sql AS $$
SELECT c.n_payments, c.n_days, round(c.mean_interval::numeric, 4), round(c.sd_interval::numeric, 5), round(c.cv_interval::numeric, 4),
	   round(c.weekday_strength::numeric, 4), round(c.weekday_p::numeric, 6), round(c.mean_weekday::numeric, 3), c.habit, c.habit_day,
	   c.period::numeric, round(c.period_p::numeric, 6)
$$;
SELECT s.* FROM (SELECT credit.payment_cycle(d) FROM (VALUES (date '2025-01-03'), ('2025-01-10'), ('2025-01-17'), ('2025-01-24'), ('2025-01-31'), ('2025-02-06')) v (d)) c (c), books.show(c) s;
SELECT s.* FROM (SELECT credit.payment_cycle(date '2025-01-31' + d) FROM unnest(ARRAY[0, 30, 61, 91, 120, 151]) d) c (c), books.show(c) s;
-- the latest day again, just when the list is full and has been sorted
SELECT (credit.payment_cycle(date '2025-01-01' + d)).n_days FROM unnest(ARRAY[9, 1, 2, 3, 4, 5, 6, 7, 9]) d;
SELECT name, s.habit, s.day, s.period
  FROM (SELECT 'last day' AS name, credit.payment_cycle((date '2025-01-01' + m * interval '1 month' - interval '1 day')::date) AS c FROM generate_series(0, 11) m
		UNION ALL SELECT 'last but two', credit.payment_cycle((date '2025-01-01' + m * interval '1 month' - interval '3 days')::date) FROM generate_series(0, 11) m
		UNION ALL SELECT 'first day', credit.payment_cycle((date '2025-01-01' + m * interval '1 month')::date) FROM generate_series(0, 11) m
		UNION ALL SELECT 'fifteenth', credit.payment_cycle((date '2025-01-15' + m * interval '1 month')::date) FROM generate_series(0, 11) m
		UNION ALL SELECT 'each second Monday', credit.payment_cycle(date '2025-01-06' + 14 * w) FROM generate_series(0, 11) w
		UNION ALL SELECT 'Sundays', credit.payment_cycle(date '2025-01-05' + 7 * w) FROM generate_series(0, 11) w
		UNION ALL SELECT 'five Fridays are no habit', credit.payment_cycle(date '2025-01-03' + 7 * w) FROM generate_series(0, 4) w
		UNION ALL SELECT 'each day', credit.payment_cycle(date '2025-01-01' + d) FROM generate_series(0, 364) d
		UNION ALL SELECT 'twice a day is once', credit.payment_cycle(date '2025-01-03' + 7 * (w / 2)) FROM generate_series(0, 9) w) q, books.show(c) s;
-- of three on, of what is no date, and of nothing
SELECT (c).n_payments, (c).n_days, (c).n_skipped, (c).mean_interval, (c).weekday_p IS NOT NULL AS has_p, (c).habit, (c).first_paid_date, (c).last_paid_date
  FROM (SELECT credit.payment_cycle(d) FROM (VALUES (date '2025-01-03'), ('2025-01-03'), ('2025-01-10'), (NULL), ('infinity'), ('-infinity')) v (d)
		UNION ALL SELECT credit.payment_cycle(d) FROM (VALUES (date '2025-01-03'), ('2025-01-10'), ('2025-01-18')) v (d)
		UNION ALL SELECT credit.payment_cycle(d) FROM (VALUES (date '4713-01-01 BC'), ('2025-01-10'), ('5874897-12-31')) v (d)) q (c);
SELECT credit.payment_cycle(NULL) WHERE false;
-- a hundred thousand days are the most
SELECT (credit.payment_cycle(date '2025-01-01' - i)).n_days FROM generate_series(1, 100000) i;
SELECT (credit.payment_cycle(date '2025-01-01' - i)).n_days FROM generate_series(1, 100001) i;
SELECT (credit.payment_cycle(date '2025-01-01' - i % 100000)).n_days FROM generate_series(1, 300000) i;
SELECT credit.cycle_accum(NULL, '2025-01-01'::date);

-- 15. In parallel

CREATE TABLE books.many AS
SELECT g % 7 AS customer, ((g * 7919) % 100000 + 1) / 100.0 AS amount, date '2024-01-01' + g % 500 AS invoiced, date '2024-01-31' + g % 500 AS due,
	   CASE WHEN g % 11 > 0 THEN date '2024-01-31' + g % 500 + (g * 31) % 97 - 20 END AS paid
  FROM generate_series(1, 20000) g;
ANALYZE books.many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_sort = off;
EXPLAIN (COSTS OFF)
SELECT customer, credit.payment_profile(amount, invoiced, due, paid, '2025-06-30') FROM books.many GROUP BY customer;
CREATE TABLE books.in_parallel AS
SELECT customer, (credit.payment_profile(amount, invoiced, due, paid, '2025-06-30')).* FROM books.many GROUP BY customer;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE books.alone AS
SELECT customer, (credit.payment_profile(amount, invoiced, due, paid, '2025-06-30')).* FROM books.many GROUP BY customer;
-- weights of recency are floating point, all else is the same to the last bit
UPDATE books.in_parallel SET recent_days_late = round(recent_days_late::numeric, 9), recent_n = round(recent_n::numeric, 6);
UPDATE books.alone SET recent_days_late = round(recent_days_late::numeric, 9), recent_n = round(recent_n::numeric, 6);
SELECT count(*) AS differences FROM ((TABLE books.in_parallel EXCEPT TABLE books.alone) UNION ALL (TABLE books.alone EXCEPT TABLE books.in_parallel)) d;
SELECT customer, n_paid, paid_amount, overdue_amount, median_days_late, p90_days_late, recent_days_late FROM books.alone ORDER BY customer;

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

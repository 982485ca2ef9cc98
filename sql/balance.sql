--
-- balance: exposure_profile() over any table
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
RESET client_min_messages;

-- the last digits are the machine's own
SET extra_float_digits = -3;
CREATE SCHEMA books;
CREATE TABLE books.event (day date, n bigint, amount numeric);
INSERT INTO books.event VALUES ('2025-01-01', 1, 100), ('2025-01-02', 1, 50), ('2025-01-03', 1, -120), ('2025-01-04', 1, 200), ('2025-01-04', 2, -30);

-- 1. All columns: balances 100, 150, 30, 200; mean of ten days 168.0

\x on
SELECT (credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, 150)).* FROM books.event;
\x off
-- in event order the peak is 230; the other way round in the day it is not
SELECT (e).peak_balance, (e).peak_date, (e).closing_balance, (e).average_balance FROM (SELECT credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, NULL, n) FROM books.event) q (e);
SELECT (e).peak_balance, (e).peak_date FROM (SELECT credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, NULL, -n) FROM books.event) q (e);
-- without a number an event comes last; with the same number events are netted
SELECT (e).peak_balance FROM (SELECT credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, NULL, CASE amount WHEN 200 THEN NULL ELSE 9223372036854775806 END) FROM books.event) q (e);
SELECT (e).peak_balance FROM (SELECT credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, NULL, 5) FROM books.event) q (e);
SELECT (e).peak_balance FROM (SELECT credit.exposure_profile('2025-01-04', a, '2025-01-01', '2025-01-11', 0, NULL, n) FROM (VALUES (500, 9223372036854775807), (-400, -9223372036854775808), (7, 0)) v (a, n)) q (e);

-- 2. The window is half-open: what is before opens the balance, what is after is left out

SELECT f, t, (e).n_before, (e).n_events, (e).n_after, (e).days, (e).opening_balance, (e).closing_balance, (e).peak_balance, (e).peak_date, (e).average_balance
  FROM (SELECT f, t, credit.exposure_profile(day, amount, f, t) FROM books.event,
			   (VALUES (date '2025-01-01', date '2025-01-04'), ('2025-01-03', '2025-01-04'), ('2025-01-03', '2025-01-05'), ('2025-02-01', '2025-02-02'),
					   ('2024-01-01', '2024-01-31'), ('2025-01-03', '2025-01-03'), ('2025-01-03', '2025-01-01')) w (f, t) GROUP BY f, t) q (f, t, e) ORDER BY f, t;
-- the opening balance is a candidate for the peak, however soon it falls
SELECT (e).opening_balance, (e).peak_balance, (e).peak_date, (e).closing_balance, (e).average_balance FROM (SELECT credit.exposure_profile('2025-01-01', -60, '2025-01-01', '2025-01-03', 100)) q (e);
-- of equal peaks the first
SELECT (e).peak_date FROM (SELECT credit.exposure_profile(day, a, '2025-01-01', '2025-02-01') FROM (VALUES (date '2025-01-05', 10), ('2025-01-07', -5), ('2025-01-09', 5)) v (day, a)) q (e);

-- 3. Limit: above it is above it; days with a negative balance use none of it

SELECT l, (e).days_above_limit, (e).first_day_above_limit, round((e).mean_utilisation::numeric, 6) AS mean_utilisation, (e).peak_utilisation
  FROM (SELECT l, credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, l) FROM books.event, unnest(ARRAY[NULL, -5, 0, 30, 99.99, 100, 200, 1000]) l GROUP BY l) q (l, e) ORDER BY l NULLS FIRST;
SELECT (e).closing_balance, (e).peak_balance, (e).mean_utilisation, (e).peak_utilisation, (e).average_balance
  FROM (SELECT credit.exposure_profile(day, a, '2025-01-01', '2025-01-05', -50, 100) FROM (VALUES (date '2025-01-02', 150), ('2025-01-03', -150)) v (day, a)) q (e);
SELECT (e).peak_balance, (e).peak_utilisation, (e).mean_utilisation FROM (SELECT credit.exposure_profile('2025-01-02', -1, '2025-01-01', '2025-01-05', -50, 100)) q (e);

-- 4. What is left out; a row without an event still opens the balance

SELECT (e).n_events, (e).n_before, (e).n_after, (e).n_skipped, (e).closing_balance
  FROM (SELECT credit.exposure_profile(day, a, '2025-01-01', '2025-02-01', 5)
		  FROM (VALUES (date '2025-01-05', 1::numeric), (NULL, 1), ('2025-01-05', NULL), ('infinity', 1), ('-infinity', 1), ('2025-01-05', 'NaN'), ('2025-01-05', 'Infinity'), ('2025-01-05', '-Infinity')) v (day, a)) q (e);
SELECT (e).n_skipped, (e).opening_balance, (e).closing_balance, (e).average_balance, (e).days_above_limit FROM (SELECT credit.exposure_profile(NULL, NULL, '2025-01-01', '2025-01-05', 7.50, 7)) q (e);
SELECT (e).opening_balance, (e).peak_balance FROM (SELECT credit.exposure_profile('2025-01-02', 1, '2025-01-01', '2025-01-05', NULL)) q (e);
SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', '2025-01-05') WHERE false;

-- 5. Money is exact, of any size, with as many decimals as there are

SELECT (e).closing_balance, (e).peak_balance, (e).opening_balance FROM (SELECT credit.exposure_profile(day, a, '2025-01-01', '2025-01-11') FROM (VALUES (date '2024-12-31', 0.1), ('2025-01-05', 99999999999999999999.99), ('2025-01-05', 0.005), ('2025-01-06', -99999999999999999999.99)) v (day, a)) q (e);
SELECT (e).closing_balance, (e).peak_balance, (e).average_balance FROM (SELECT credit.exposure_profile('2025-01-01', a, '2025-01-01', '2025-01-04') FROM (VALUES (1 / 3.0), (0.000000000001), (1e35), (-1e35)) v (a)) q (e);
SELECT (e).closing_balance = 10 * 9e31::numeric + 1 AS is_exact, (e).average_balance = 10 * 9e31::numeric + 1 AS mean_is_exact, (e).peak_utilisation
  FROM (SELECT credit.exposure_profile('4713-01-01 BC', CASE g WHEN 0 THEN 1 ELSE 9e31 END, '4713-01-01 BC', '5874897-12-31', 0, 9e31) FROM generate_series(0, 10) g) q (e);
-- sums that cannot be units of the eighth decimal any more
SELECT (e).closing_balance, (e).peak_balance FROM (SELECT credit.exposure_profile(date '2025-01-01' + g % 2, CASE WHEN g > 4000000 THEN -0.01 ELSE 999999999999999999999999.99 END, '2025-01-01', '2025-01-11') FROM generate_series(3999991, 4000001) g) q (e);
SELECT (e).opening_balance, (e).closing_balance, (e).days_above_limit FROM (SELECT credit.exposure_profile('2025-01-02', a, '2025-01-01', '2025-01-04', 1e40, 1e40) FROM (VALUES (1), (0.00)) v (a)) q (e);

-- 6. What a group must have in common, and windows that are none

SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', t) FROM (VALUES (date '2025-01-05'), ('2025-01-06')) v (t);
SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', '2025-01-05', o) FROM (VALUES (1.0), (1.1)) v (o);
SELECT (credit.exposure_profile('2025-01-01', 1, '2025-01-01', '2025-01-05', o)).opening_balance FROM (VALUES (1.0), (1.00)) v (o);
SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', '2025-01-05', 0, l) FROM (VALUES (1.0), (NULL)) v (l);
SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', 'infinity');
SELECT credit.exposure_profile('2025-01-01', 1, NULL, '2025-01-05');
SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', '2025-01-05', 'NaN');
SELECT credit.exposure_profile('2025-01-01', 1, '2025-01-01', '2025-01-05', 0, 'Infinity');

-- 7. In a window that grows, a state is looked at and goes on

SELECT day, n, (credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 0, NULL, n) OVER w).peak_balance, (credit.exposure_profile(day, amount, '2025-01-01', '2025-01-11', 1 / 4.0) OVER w).closing_balance
  FROM books.event WINDOW w AS (ORDER BY day, n);

-- 8. Support functions are nothing for people

SELECT credit.balance_accum(NULL, date '2025-01-01', 1::numeric, date '2025-01-01', date '2025-01-01');
SELECT credit.balance_combine(NULL, NULL);
SELECT credit.balance_final(NULL);

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

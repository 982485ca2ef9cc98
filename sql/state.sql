--
-- state: payment profiles and agings that are stored, added, subtracted
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
RESET client_min_messages;

-- the last digits are the machine's own
SET extra_float_digits = -3;
SET datestyle = 'ISO';
CREATE SCHEMA books;
CREATE TABLE books.invoice (customer text, amount numeric, invoiced date, due date, paid date);
INSERT INTO books.invoice VALUES
	('103', 1000.00, '2026-01-05', '2026-02-04', '2026-02-01'),
	('103', 2000.00, '2026-01-20', '2026-02-19', '2026-03-01'),
	('103', 3000.00, '2026-02-10', '2026-03-12', '2026-04-01'),
	('103', 500.50, '2026-03-01', '2026-03-31', NULL),
	('103', -20, '2026-03-02', '2026-03-31', NULL),
	('103', 800, '2026-04-10', '2026-05-10', NULL),
	('200', 10.125, '2026-03-01', '2026-03-08', '2026-03-08'),
	('200', NULL, '2026-03-01', '2026-03-08', '2026-03-08');

-- 1. A state per customer and month, kept in a table

CREATE TABLE books.month AS
SELECT customer, date_trunc('month', greatest(paid, invoiced))::date AS month, credit.payment_state(amount, invoiced, due, paid) AS state
  FROM books.invoice WHERE paid IS NOT NULL AND amount > 0 GROUP BY 1, 2;
SELECT * FROM books.month ORDER BY 1, 2;
\x on
-- what was paid until the end of March
SELECT customer, (credit.payment_measures(credit.merge(state), '2026-03-31')).*
  FROM books.month WHERE month < '2026-04-01' GROUP BY customer ORDER BY 1;
\x off
-- and what was open then; the figures are those of payment_profile()
WITH part AS
	(SELECT customer, state FROM books.month WHERE month < '2026-04-01'
	 UNION ALL
	 SELECT customer, credit.payment_state(amount, invoiced, due, paid, '2026-03-31')
	   FROM books.invoice WHERE (greatest(paid, invoiced) < '2026-04-01' AND paid IS NOT NULL AND amount > 0) IS NOT TRUE GROUP BY 1)
SELECT customer, (p).n_paid, (p).n_open, (p).n_overdue, (p).n_credits, (p).n_future, (p).n_skipped, (p).paid_amount, (p).open_amount, (p).overdue_amount
  FROM (SELECT customer, credit.payment_measures(credit.merge(state), '2026-03-31') AS p FROM part GROUP BY 1) q ORDER BY 1;
SELECT customer, (p).n_paid, (p).n_open, (p).n_overdue, (p).n_credits, (p).n_future, (p).n_skipped, (p).paid_amount, (p).open_amount, (p).overdue_amount
  FROM (SELECT customer, credit.payment_profile(amount, invoiced, due, paid, '2026-03-31') AS p FROM books.invoice GROUP BY 1) q ORDER BY 1;

-- 2. One state, any grace days and half-life; open items on any day from the last invoice on

SELECT g AS grace, h AS half_life, (p).on_time_rate, round((p).recent_days_late::numeric, 6) AS recent_days_late
  FROM (SELECT g, h, credit.payment_measures(credit.payment_state(amount, invoiced, due, paid), NULL, g, h) AS p
		  FROM books.invoice, (VALUES (0, 90), (10, 90), (0, 30)) o (g, h) WHERE customer = '103' AND paid IS NOT NULL GROUP BY g, h) q ORDER BY 1, 2;
SELECT d AS as_of, (p).n_overdue, (p).overdue_amount, (p).max_days_overdue, round((p).open_days_beyond_terms::numeric, 6) AS open_days_beyond_terms, (p).payment_index
  FROM (SELECT d, credit.payment_measures(credit.payment_state(amount, invoiced, due, paid), d) AS p
		  FROM books.invoice, unnest(ARRAY[date '2026-04-10', '2026-05-10', '2026-05-11', '2026-12-31']) d WHERE customer = '103' GROUP BY d) q ORDER BY 1;
SELECT credit.payment_measures(credit.payment_state(amount, invoiced, due, paid), '2026-03-31') FROM books.invoice;
SELECT credit.payment_measures(credit.payment_state(amount, invoiced, due, paid), '2026-04-05') FROM books.invoice;
SELECT credit.payment_measures(credit.payment_state(amount, invoiced, due, paid, '2026-03-31'), '2026-04-30') FROM books.invoice;
SELECT credit.payment_state(amount, invoiced, due, paid, due) FROM books.invoice;
SELECT credit.payment_measures(NULL, NULL, 3650);
SELECT credit.payment_measures(NULL, NULL, 0, 0);

-- 3. Adding and subtracting

SELECT (credit.payment_measures(a OPERATOR(credit.+) b)).paid_amount AS both, (credit.payment_measures(a OPERATOR(credit.+) b OPERATOR(credit.-) a)).paid_amount AS b,
	   ((a OPERATOR(credit.+) b) OPERATOR(credit.-) a)::bytea = b::bytea AS same_bytes, credit.add(a, NULL) IS NULL AS null_in_null_out
  FROM (SELECT credit.payment_state(1.00, '2026-01-01', '2026-01-31', '2026-02-01') AS a, credit.payment_state(2.5, '2026-01-01', '2026-01-31', '2026-03-01') AS b) q;
SELECT credit.subtract(credit.payment_state(1, '2026-01-01', '2026-01-31', '2026-02-01'), credit.payment_state(1, '2026-01-01', '2026-01-31', '2026-02-02'));
SELECT credit.subtract(credit.aging_state(2, '2026-01-01'), credit.aging_state(1, '2026-01-01'));
SELECT credit.subtract(credit.aging_state(2, '2026-01-01'), credit.aging_state(3, '2026-01-01'));
-- three months at a time
SELECT month, (credit.payment_measures(credit.merge(state) OVER (ORDER BY month ROWS 2 PRECEDING))).n_paid
  FROM (SELECT month, credit.merge(state) AS state FROM books.month GROUP BY 1) m ORDER BY 1;

-- 4. Agings of any day

CREATE TABLE books.open (amount numeric, due date);
INSERT INTO books.open VALUES (500, '2025-03-27'), (300, '2025-05-21'), (200, '2025-07-05'), (-250, '2025-06-20'), (-350, '2025-06-27');
CREATE TABLE books.aging AS SELECT credit.aging_state(amount, due) AS state FROM books.open;
SELECT * FROM books.aging;
SELECT mode, (credit.aging_buckets(state, '2025-06-30', mode)).* FROM books.aging, unnest(ARRAY['separate', 'own', 'oldest']) mode;
SELECT d, (credit.aging_buckets(state, d)).* FROM books.aging, unnest(ARRAY[date '2025-03-27', '2025-03-28', '2025-12-31', 'epoch', NULL]) d;
SELECT (credit.aging_buckets(state, '2025-06-30', ARRAY[0, 30, 60, 90])).* FROM books.aging;
SELECT (credit.aging_buckets(state, '2025-06-30', ARRAY[-5, 0, 90], 'oldest')).* FROM books.aging;
SELECT (credit.aging_buckets(state, '2025-06-30', ARRAY[30, 60], 'own', 'document')).* FROM books.aging;
SELECT (credit.aging_buckets(NULL, '2025-06-30')).*;
SELECT (credit.aging_buckets(NULL, '2025-06-30', ARRAY[0])).*;
SELECT credit.aging_buckets(state, 'infinity') FROM books.aging;
SELECT credit.aging_buckets(state, '2025-06-30', 'newest') FROM books.aging;
SELECT credit.aging_buckets(state, '2025-06-30', ARRAY[1, 2]) FROM books.aging;
-- dates that never come, amounts that are none
SELECT (credit.aging_buckets(credit.aging_state(a, d), '2025-06-30', 'own')).*
  FROM (VALUES (1::numeric, date 'infinity'), (20, '-infinity'), (300, NULL), (-0.001, NULL), (NULL, '2025-01-01')) v (a, d);
SELECT (credit.aging_buckets(credit.aging_state(a, d), '2025-06-30')).*
  FROM (VALUES ('NaN'::numeric, date '2025-06-30'), ('Infinity', '2025-06-01'), ('-Infinity', '2025-06-01'), (1e30, '2025-01-01'), (1e-12, '2025-01-01')) v (a, d);

-- 5. Text, and what is none

SELECT '\x0102000000000000'::credit.aging_state;
SELECT 'x'::credit.payment_state;
SELECT '\x01020'::credit.payment_state;
SELECT '\x'::credit.payment_state;
SELECT '\x0102000000000000'::credit.payment_state;
SELECT '\x02'::credit.aging_state;
SELECT state::text::credit.payment_state FROM books.aging;
COPY books.aging FROM stdin;
\\x0102010004988f01010001010f01011e01012d01968f01010f01020500
\.
COPY books.aging FROM stdin;
\\x0102010004988f01010001010f01011e01012d01968f01010f010205
\.
SELECT count(*) FROM books.aging;

-- 6. Support functions called by hand, which takes functions declared by other types

CREATE FUNCTION books.by_hand(symbol text, types text, arguments text) RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
	EXECUTE format($$CREATE FUNCTION books.f(%s) RETURNS bigint LANGUAGE c AS '$libdir/credit', %L$$, types, symbol);
	EXECUTE format('SELECT books.f(%s)', arguments);
	RETURN 'fine';
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RETURN SQLERRM;
END
$body$;
SELECT symbol, books.by_hand(format(symbol, 'payment'), types, arguments) AS of_payments, books.by_hand(format(symbol, 'aging'), types, arguments) AS of_agings
  FROM (VALUES ('credit_%s_state_accum', 'bigint, numeric, date, date, date', 'NULL, 1, ''2025-01-01'', ''2025-01-01'', ''2025-01-01'''),
			   ('credit_%s_state_remove', 'bigint, numeric, date, date, date', 'NULL, 1, ''2025-01-01'', ''2025-01-01'', ''2025-01-01'''),
			   ('credit_%s_state_merge', 'bigint, bytea', 'NULL, ''\x0101'''), ('credit_%s_state_merge', 'bigint, bytea', 'NULL, NULL'),
			   ('credit_%s_state_unmerge', 'bigint, bytea', 'NULL, ''\x0101'''), ('credit_%s_state_combine', 'bigint, bigint', 'NULL, NULL'),
			   ('credit_%s_state_serialize', 'bigint', 'NULL'), ('credit_%s_state_deserialize', 'bytea, bigint', '''\x0101'', NULL'),
			   ('credit_%s_state_final', 'bigint', 'NULL')) v (symbol, types, arguments);

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

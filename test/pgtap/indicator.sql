-- countback_dso(), true_dso(), payment_capacity() and partial_payment() against
-- plain SQL over the same random rows: shuffled, in one process and in
-- several; and their bytes under fire.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

CREATE SCHEMA books;
SELECT setseed(0.7);
-- invoices and credit notes of two years, some open; dates and amounts missing
CREATE TABLE books.invoice AS
SELECT g AS id, 1 AS one, (floor(exp(random() * ln(500))) + 0 * g)::int AS customer, g % 1000 AS few,
	   CASE WHEN k > 0.01 THEN date '2023-06-01' + (random() * random() * 780)::int END AS day,
	   CASE WHEN k < 0.98 THEN CASE WHEN random() < 0.15 THEN -a ELSE a END END AS amount,
	   CASE WHEN k BETWEEN 0.1 AND 0.3 THEN round(a / 2, 2) WHEN k BETWEEN 0.3 AND 0.32 THEN -a WHEN k BETWEEN 0.32 AND 0.35 THEN NULL WHEN k BETWEEN 0.4 AND 0.41 THEN a / 3 ELSE 0 END AS open,
	   CASE WHEN k BETWEEN 0.2 AND 0.3 THEN NULL WHEN k BETWEEN 0.3 AND 0.32 THEN -1 WHEN k BETWEEN 0.5 AND 0.8 THEN round((a * random())::numeric, 2) WHEN k BETWEEN 0.8 AND 0.85 THEN a * 0.99 ELSE a END AS first_payment
  FROM (SELECT g, random() AS k, round((random() * 10000)::numeric, (random() * 2)::int) AS a FROM generate_series(1, 20000) g) r;
ANALYZE books.invoice;

/* Count-back month by month; $1 is the column of the group. Receivables are the customer's number times 3000. */
CREATE FUNCTION books.count_back(key text, month_days int, stop boolean) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
	g record;
	m record;
	dso float8;
	days float8;
	length float8;
	months int;
	rest numeric;
	is_stopped boolean;
BEGIN
	DROP TABLE IF EXISTS books.month, books.plain_result;
	EXECUTE format($$CREATE TABLE books.month AS
WITH sold AS (SELECT %I AS key, date_trunc('month', day)::date AS month, sum(amount) AS sales FROM books.invoice WHERE day <= '2025-03-20' AND amount IS NOT NULL GROUP BY 1, 2),
first AS (SELECT key, min(month) AS first FROM sold GROUP BY key)
SELECT key, c.month::date, COALESCE(sales, 0) AS sales FROM first CROSS JOIN LATERAL generate_series(first, '2025-03-01', '1 month') c (month) LEFT JOIN sold s USING (key, month)$$, key);
	CREATE INDEX ON books.month (key, month);
	ANALYZE books.month;
	CREATE TABLE books.plain_result (key int, dso float8, lower_bound float8, n_months int, uncovered numeric);
	FOR g IN SELECT DISTINCT i.key FROM books.month i LOOP
		dso := NULL; days := 0; months := 0; rest := g.key * 3000; is_stopped := false;
		IF rest = 0 THEN dso := 0; END IF;
		FOR m IN SELECT * FROM books.month i WHERE i.key = g.key ORDER BY month DESC LOOP
			EXIT WHEN dso IS NOT NULL;
			length := CASE WHEN m.month = '2025-03-01' THEN least(20, COALESCE(month_days, 20))
				ELSE COALESCE(month_days, extract(day FROM m.month + interval '1 month' - interval '1 day')) END;
			IF m.sales <= 0 AND stop THEN
				dso := days;
				is_stopped := true;
			ELSIF m.sales <= 0 THEN
				days := days + length;
			ELSIF rest > m.sales THEN
				days := days + length; rest := rest - m.sales; months := months + 1;
			ELSE
				days := days + length * (rest / m.sales)::float8; rest := 0; months := months + 1; dso := days;
			END IF;
		END LOOP;
		INSERT INTO books.plain_result VALUES (g.key, dso, days, months, rest);
	END LOOP;
END
$body$;

/* Floating point to nine digits, all else equal. */
CREATE FUNCTION books.is_same(a jsonb, b jsonb) RETURNS boolean LANGUAGE sql AS $$
SELECT CASE WHEN jsonb_typeof(a) <> 'number' OR jsonb_typeof(b) <> 'number' THEN a = b
			ELSE abs(a::numeric - b::numeric) <= 1e-9 * greatest(abs(a::numeric), abs(b::numeric), 0.01) END
$$;

/* Columns in which both differ, in how many groups, and one of them. */
CREATE FUNCTION books.differences() RETURNS TABLE (name text, groups bigint, example text) LANGUAGE plpgsql AS $body$
BEGIN
	RETURN QUERY
	SELECT p.key, count(*), min(format('%s: %s, not %s', j.key, r.value, p.value))
	  FROM books.plain_result j JOIN books.result o USING (key), jsonb_each(to_jsonb(j)) p, jsonb_each(to_jsonb(o)) r
	 WHERE r.key = p.key AND NOT books.is_same(p.value, r.value) GROUP BY p.key;
	RETURN QUERY SELECT 'groups', count(*), '' FROM books.plain_result p FULL JOIN books.result r USING (key) WHERE p.key IS NULL OR r.key IS NULL HAVING count(*) > 0;
END
$body$;

/* An aggregate's results, rows in some order. */
CREATE FUNCTION books.compute(key text, call text, condition text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.result;
	EXECUTE format('CREATE TABLE books.result AS SELECT key, (m).* FROM (SELECT %I AS key, %s AS m FROM (SELECT * FROM books.invoice ORDER BY md5(id::text)) i GROUP BY 1) q WHERE %s', key, call, condition);
END
$body$;

SET LOCAL max_parallel_workers_per_gather = 0;

-- Count-back. Groups without any month have nothing to compare.

CREATE FUNCTION books.check_count_back(key text, month_days int, stop boolean, title text) RETURNS SETOF text LANGUAGE plpgsql AS $body$
BEGIN
	PERFORM books.count_back(key, month_days, stop);
	PERFORM books.compute(key, format('credit.countback_dso(day, amount, (%I * 3000)::numeric, %L, %L, %L)', key, '2025-03-20', month_days, stop), 'key IN (SELECT key FROM books.month)');
	RETURN NEXT is_empty('SELECT * FROM books.differences()', title);
END
$body$;
SELECT books.check_count_back('customer', NULL, false, 'count-back by the calendar');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE dso > 31), '>', 20::bigint, 'over more than a month');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE dso IS NULL), '>', 20::bigint, 'or beyond all history');
SELECT books.check_count_back('customer', 30, false, 'by months of 30 days');
SELECT books.check_count_back('customer', NULL, true, 'to the first month without sales');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE dso IS NOT NULL AND uncovered > 0), '>', 20::bigint, 'which there is');
SELECT books.check_count_back('one', NULL, false, 'of all');
SELECT books.check_count_back('few', 30, true, 'in small groups');
SELECT is((SELECT count(*) FROM (SELECT credit.countback_dso(day, amount, 50000, '2025-03-20') AS a, credit.countback_dso(day, amount, 50000, '2025-03-20', NULL, false) AS b FROM books.invoice GROUP BY customer) q WHERE a IS DISTINCT FROM b), 0::bigint, 'the short form is the long one');

-- DSO by age

CREATE FUNCTION books.check_true_dso(key text, title text) RETURNS SETOF text LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.plain_result;
	EXECUTE format($$CREATE TABLE books.plain_result AS
WITH used AS (SELECT %I AS key, i.* FROM books.invoice i WHERE day <= '2025-03-20' AND (amount IS NOT NULL OR open IS NOT NULL)),
month AS (SELECT key, date_trunc('month', day) AS month, COALESCE(sum(amount), 0) AS sales, sum(open * (date '2025-03-20' - day)) FILTER (WHERE open > 0) AS aged,
				 COALESCE(sum(open) FILTER (WHERE open > 0), 0) AS open, count(*) FILTER (WHERE open > 0) AS n FROM used GROUP BY 1, 2),
counts AS (SELECT %1$I AS key, count(*) FILTER (WHERE day > '2025-03-20' AND (amount IS NOT NULL OR open IS NOT NULL)) AS n_future, count(*) FILTER (WHERE day <= '2025-03-20' AND open < 0) AS n_credits,
				  count(*) FILTER (WHERE day IS NULL OR amount IS NULL AND open IS NULL) AS n_skipped FROM books.invoice GROUP BY 1)
SELECT key, CASE WHEN COALESCE(sum(n), 0) = 0 THEN 0 ELSE (sum(aged / sales) FILTER (WHERE sales > 0 AND n > 0))::float8 END AS dso, sum(n) AS n_open, sum(open) AS open_amount,
	   COALESCE(sum(n) FILTER (WHERE sales <= 0), 0) AS n_unmatched, COALESCE(sum(open) FILTER (WHERE sales <= 0), 0) AS unmatched_amount, n_credits, n_future, n_skipped
  FROM month JOIN counts USING (key) GROUP BY key, n_credits, n_future, n_skipped$$, key);
	PERFORM books.compute(key, 'credit.true_dso(day, amount, open, ''2025-03-20'')', 'key IN (SELECT key FROM books.plain_result)');
	RETURN NEXT is_empty('SELECT * FROM books.differences()', title);
END
$body$;
SELECT books.check_true_dso('customer', 'DSO by age');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE n_unmatched > 0 AND dso IS NOT NULL), '>', 5::bigint, 'with items that have no sales');
SELECT books.check_true_dso('one', 'of all');
SELECT books.check_true_dso('few', 'in small groups');

-- Capacity; invoices serve as payments

CREATE FUNCTION books.check_capacity(key text, months int, title text) RETURNS SETOF text LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.plain_result;
	EXECUTE format($$CREATE TABLE books.plain_result AS
WITH used AS (SELECT %I AS key, day, amount FROM books.invoice WHERE day <= '2025-03-20' AND amount IS NOT NULL),
span AS (SELECT key, greatest(date_trunc('month', min(day)), date '2025-03-01' - %s * interval '1 month')::date AS first, count(*) AS all_payments FROM used GROUP BY key HAVING min(day) < '2025-03-01'),
month AS (SELECT key, first, all_payments, m.month, COALESCE(sum(amount), 0) AS total, count(amount) AS n FROM span CROSS JOIN LATERAL generate_series(first, '2025-02-01', interval '1 month') m (month)
			LEFT JOIN (SELECT key, amount, date_trunc('month', day) AS month FROM used) u USING (key, month) GROUP BY 1, 2, 3, 4),
ranked AS (SELECT *, row_number() OVER (PARTITION BY key ORDER BY total) AS r, count(*) OVER (PARTITION BY key) AS of FROM month)
SELECT key, avg(total) FILTER (WHERE r IN ((of + 1) / 2, of / 2 + 1)) AS capacity, sum(total) AS total_amount, of AS n_months, first AS first_month, date '2025-02-01' AS last_month,
	   sum(n) AS n_payments, all_payments - sum(n) AS n_outside FROM ranked GROUP BY key, of, first, all_payments$$, key, months);
	PERFORM books.compute(key, format('credit.payment_capacity(day, amount, %L, %s)', '2025-03-20', months), 'key IN (SELECT key FROM books.plain_result)');
	RETURN NEXT is_empty('SELECT * FROM books.differences()', title);
END
$body$;
SELECT books.check_capacity('customer', 6, 'capacity');
SELECT books.check_capacity('customer', 5, 'over an odd number of months');
SELECT books.check_capacity('one', 120, 'of all');
SELECT books.check_capacity('few', 12, 'in small groups');

-- Partial payments

DROP TABLE books.plain_result;
CREATE TABLE books.plain_result AS
WITH used AS (SELECT customer AS key, i.*, amount - first_payment AS residue, first_payment > 0 AND amount > 0 AS is_paid, amount > 0 AND first_payment > 0 AND amount - first_payment > greatest(amount * 0.01, 0.01) AS is_partial FROM books.invoice i)
SELECT key, count(*) FILTER (WHERE is_paid) AS n_paid, count(*) FILTER (WHERE is_partial) AS n_partial, count(*) FILTER (WHERE amount > 0 AND (first_payment IS NULL OR first_payment <= 0)) AS n_unpaid,
	   count(*) FILTER (WHERE amount <= 0) AS n_credits, count(*) FILTER (WHERE amount IS NULL) AS n_skipped,
	   count(*) FILTER (WHERE is_partial) / NULLIF(count(*) FILTER (WHERE is_paid), 0)::float8 AS partial_ratio,
	   sum(residue) FILTER (WHERE is_partial) AS residue_amount, sum(amount) FILTER (WHERE is_partial) AS invoiced_amount,
	   (sum(residue) FILTER (WHERE is_partial) / sum(amount) FILTER (WHERE is_partial))::float8 AS residue_ratio
  FROM used GROUP BY key;
SELECT books.compute('customer', 'credit.partial_payment(amount, first_payment)', 'true');
SELECT is_empty('SELECT * FROM books.differences()', 'partial payments');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE n_partial BETWEEN 1 AND n_paid - 1), '>', 50::bigint, 'there are some');
SELECT books.compute('customer', 'credit.partial_payment(amount, first_payment, greatest(amount * 0.01, 0.01))', 'true');
SELECT is_empty('SELECT * FROM books.differences()', 'the same with that tolerance given');

-- In parallel

SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
\set schema books
\ir ../lib/plan.sql
CREATE TABLE books.call AS SELECT c FROM unnest(ARRAY['credit.countback_dso(day, amount, 500000.5, ''2025-03-20'')', 'credit.countback_dso(day, amount, 500000.5, ''2025-03-20'', 30, true)',
	'credit.true_dso(day, amount, open, ''2025-03-20'')', 'credit.payment_capacity(day, amount, ''2025-03-20'')', 'credit.payment_capacity(day, amount, ''2025-03-20'', 9)',
	'credit.partial_payment(amount, first_payment)', 'credit.partial_payment(amount, first_payment, 5)']) c;
CREATE FUNCTION books.answers(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT string_agg(q::text, %L ORDER BY q::text) FROM (%s) q', E'\n', query) INTO answer;
	RETURN answer;
END
$$;
SELECT matches(books.plan(format('SELECT customer, %s FROM books.invoice GROUP BY 1', c)), 'Partial.*Aggregate', c || ' in parallel') FROM books.call;
CREATE TABLE books.parallel_answer AS SELECT c, books.answers(format('SELECT customer, %s FROM books.invoice GROUP BY 1', c)) AS a, books.answers(format('SELECT %s FROM books.invoice', c)) AS whole FROM books.call;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT is(a, books.answers(format('SELECT customer, %s FROM books.invoice GROUP BY 1', c)), c || ' is the same to the last digit') FROM books.parallel_answer;
SELECT is(whole, books.answers(format('SELECT %s FROM books.invoice', c)), c || ' of all, too') FROM books.parallel_answer;

-- Bytes. C functions are declared by other types, which only a superuser can.

CREATE FUNCTION books.second(bytea, bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE FUNCTION books.believe(bytea) RETURNS bigint LANGUAGE c AS '$libdir/credit', 'credit_indicator_deserialize';
CREATE AGGREGATE books.believe_all(bytea) (SFUNC = books.second, STYPE = bytea, FINALFUNC = books.believe);
CREATE AGGREGATE books.countback_bytes(date, numeric, numeric, date, integer, boolean) (SFUNC = credit.countback_accum, STYPE = internal, FINALFUNC = credit.indicator_serialize);
CREATE AGGREGATE books.true_dso_bytes(date, numeric, numeric, date) (SFUNC = credit.true_dso_accum, STYPE = internal, FINALFUNC = credit.indicator_serialize);
CREATE AGGREGATE books.capacity_bytes(date, numeric, date) (SFUNC = credit.capacity_accum, STYPE = internal, FINALFUNC = credit.indicator_serialize);
CREATE AGGREGATE books.partial_bytes(numeric, numeric) (SFUNC = credit.partial_accum, STYPE = internal, FINALFUNC = credit.indicator_serialize);
CREATE TABLE books.state AS
SELECT kind, bytes FROM (SELECT books.countback_bytes(day, amount, 1 / 3.0, '2025-03-20', 30, true) AS countback, books.true_dso_bytes(day, amount, open, '2025-03-20') AS true_dso,
	   books.capacity_bytes(day, amount, '2025-03-20') AS capacity, books.partial_bytes(amount, first_payment / 3) AS partial FROM books.invoice WHERE id <= 20) s,
	   LATERAL (VALUES ('countback', countback), ('true_dso', true_dso), ('capacity', capacity), ('partial', partial)) v (kind, bytes);
SELECT lives_ok(format('SELECT books.believe_all(bytes) FROM books.state WHERE kind = %L', kind), 'true bytes of ' || kind || ' are believed') FROM books.state;
SELECT throws_ok('SELECT books.believe(bytes) FROM books.state', '55000', NULL, 'but outside of an aggregate they are not');
CREATE FUNCTION books.fate(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM books.believe_all(bytes);
	RETURN 'believed';
EXCEPTION WHEN invalid_binary_representation OR protocol_violation THEN
	RETURN 'refused';
END
$$;
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n WHERE books.fate(substr(bytes, 1, n)) <> 'refused'), 0::bigint, 'cut short: refused');
SELECT is((SELECT count(*) FROM books.state WHERE books.fate(bytes || '\x00') <> 'refused'), 0::bigint, 'more at the end: refused');
SELECT is((SELECT count(*) FROM books.state WHERE books.fate(set_byte(bytes, 0, 2)) <> 'refused'), 0::bigint, 'another version: refused');
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n, unnest(ARRAY[0, 1, 127, 128, 255]) b WHERE books.fate(set_byte(bytes, n, b)) IS NULL), 0::bigint, 'each byte changed: believed or refused');

SELECT * FROM finish();
ROLLBACK;

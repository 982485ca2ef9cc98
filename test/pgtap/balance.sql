-- exposure_profile() against plain SQL over the same random rows: shuffled, in
-- one process and in several; and its bytes under fire.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

CREATE SCHEMA books;
SELECT setseed(0.4);
-- amounts of all sizes and decimals; days before, in and behind the window
CREATE TABLE books.event AS
SELECT g AS id, 1 AS one, g % 5000 AS few, (floor(exp(random() * ln(2000))) + 0 * g)::int AS thousand,
	   CASE WHEN k > 0.01 THEN date '2024-12-01' + (random() * 150)::int END AS day,
	   CASE WHEN k < 0.02 THEN NULL WHEN k BETWEEN 0.1 AND 0.11 THEN a * 1e24 WHEN k BETWEEN 0.2 AND 0.21 THEN a / 7 ELSE a END AS amount,
	   CASE WHEN k < 0.9 THEN (random() * 5)::int END AS place
  FROM (SELECT g, random() AS k, round(((random() - 0.45) * 10000)::numeric, (random() * 3)::int) AS a FROM generate_series(1, 30000) g) r;
ANALYZE books.event;

/* What exposure_profile() says, by other means, with a limit of 20000 and an opening balance of 1000.50; $1 is the column of the group. */
CREATE FUNCTION books.plain(key text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.plain_result;
	EXECUTE format($$
CREATE TABLE books.plain_result AS
WITH groups AS
	(SELECT %I AS key, count(*) FILTER (WHERE day >= '2025-01-01' AND day < '2025-04-01' AND amount IS NOT NULL) AS n_events,
			count(*) FILTER (WHERE day < '2025-01-01' AND amount IS NOT NULL) AS n_before, count(*) FILTER (WHERE day >= '2025-04-01' AND amount IS NOT NULL) AS n_after,
			count(*) FILTER (WHERE day IS NULL OR amount IS NULL) AS n_skipped,
			1000.50 + COALESCE(sum(amount) FILTER (WHERE day < '2025-01-01'), 0) AS opening,
			sum(amount * (date '2025-04-01' - day)) FILTER (WHERE day >= '2025-01-01' AND day < '2025-04-01') AS weighted FROM books.event GROUP BY 1),
days AS
	(SELECT key, opening, d, opening + sum(COALESCE(net, 0)) OVER (PARTITION BY key ORDER BY d) AS balance
	   FROM groups CROSS JOIN (SELECT date '2025-01-01' + i AS d FROM generate_series(0, 89) i) c
	   LEFT JOIN (SELECT %1$I AS key, day AS d, sum(amount) AS net FROM books.event GROUP BY 1, 2) n USING (key, d)),
steps AS
	(SELECT key, day AS d, opening + sum(net) OVER (PARTITION BY key ORDER BY day, place NULLS LAST) AS balance
	   FROM groups JOIN (SELECT %1$I AS key, day, place, sum(amount) AS net FROM books.event WHERE amount IS NOT NULL AND day >= '2025-01-01' AND day < '2025-04-01' GROUP BY 1, 2, 3) n USING (key)),
peaks AS
	(SELECT DISTINCT ON (key) key, balance AS peak, d AS peak_date FROM (SELECT key, d, balance, 1 FROM days UNION ALL SELECT key, date '2025-01-01', opening, 0 FROM groups) c (key, d, balance, n) ORDER BY key, balance DESC, d, n),
step_peaks AS
	(SELECT DISTINCT ON (key) key, balance AS step_peak, d AS step_peak_date FROM (SELECT * FROM steps UNION ALL SELECT key, date '2025-01-01', opening FROM groups) c ORDER BY key, balance DESC, d),
sums AS
	(SELECT key, count(*) FILTER (WHERE balance > 20000) AS above, min(d) FILTER (WHERE balance > 20000) AS first_above, sum(greatest(balance, 0)) AS used,
			(array_agg(balance ORDER BY d DESC))[1] AS closing FROM days GROUP BY key)
SELECT key, n_events, n_before, n_after, n_skipped, 90 AS days, opening AS opening_balance, closing AS closing_balance, peak AS peak_balance, peak_date, step_peak, step_peak_date,
	   (opening * 90 + COALESCE(weighted, 0)) / 90 AS average_balance, above AS days_above_limit, first_above AS first_day_above_limit,
	   (used / (90 * 20000))::float8 AS mean_utilisation, (greatest(peak, 0) / 20000)::float8 AS peak_utilisation
  FROM groups JOIN peaks USING (key) JOIN step_peaks USING (key) JOIN sums USING (key)$$, key);
END
$body$;

/* The aggregate's results; the order of rows is one of many. */
CREATE FUNCTION books.profile(key text, ordered_by text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.result;
	EXECUTE format($$CREATE TABLE books.result AS SELECT key, (e).*, (s).peak_balance AS step_peak, (s).peak_date AS step_peak_date
		FROM (SELECT %I AS key, credit.exposure_profile(day, amount, '2025-01-01', '2025-04-01', 1000.50, 20000) AS e,
					 credit.exposure_profile(day, amount, '2025-01-01', '2025-04-01', 1000.50, 20000, place) AS s FROM (SELECT * FROM books.event %s) i GROUP BY 1) q$$,
				   key, ordered_by);
END
$body$;

/* Floating point and quotients to nine digits, all else equal. */
CREATE FUNCTION books.is_same(name text, a jsonb, b jsonb) RETURNS boolean LANGUAGE sql AS $$
SELECT CASE WHEN name NOT IN ('average_balance', 'mean_utilisation', 'peak_utilisation') THEN a = b
			ELSE abs(a::numeric - b::numeric) <= 1e-9 * greatest(abs(a::numeric), abs(b::numeric), 1e-6) END
$$;

/* Columns in which both differ, in how many groups, and one of them. */
CREATE FUNCTION books.differences() RETURNS TABLE (name text, groups bigint, example text) LANGUAGE plpgsql AS $body$
BEGIN
	RETURN QUERY
	SELECT p.key, count(*), min(format('%s: %s, not %s', j.key, r.value, p.value))
	  FROM books.plain_result j JOIN books.result o USING (key), jsonb_each(to_jsonb(j)) p, jsonb_each(to_jsonb(o)) r
	 WHERE r.key = p.key AND books.is_same(p.key, p.value, r.value) IS NOT TRUE GROUP BY p.key;
	RETURN QUERY SELECT 'groups', count(*), '' FROM books.plain_result p FULL JOIN books.result r USING (key) WHERE p.key IS NULL OR r.key IS NULL HAVING count(*) > 0;
END
$body$;

SET LOCAL max_parallel_workers_per_gather = 0;
SELECT books.plain('one'), books.profile('one', 'ORDER BY id');
SELECT is_empty('SELECT * FROM books.differences()', 'one group');
SELECT cmp_ok((SELECT least(n_events, n_before, n_after, n_skipped) FROM books.result), '>', 0::bigint, 'of all kinds of rows');
SELECT books.profile('one', 'ORDER BY md5(id::text)');
SELECT is_empty('SELECT * FROM books.differences()', 'one group, shuffled');
SELECT books.plain('thousand'), books.profile('thousand', 'ORDER BY id');
SELECT is_empty('SELECT * FROM books.differences()', 'groups of all sizes');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE days_above_limit BETWEEN 1 AND 89), '>', 100::bigint, 'some above their limit');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE step_peak > peak_balance), '>', 20::bigint, 'some with a peak within the day');
SELECT is((SELECT count(*) FROM books.result WHERE step_peak < peak_balance), 0::bigint, 'none with a lower one');
SELECT books.profile('thousand', 'ORDER BY md5(id::text)');
SELECT is_empty('SELECT * FROM books.differences()', 'shuffled');
SELECT books.plain('few'), books.profile('few', 'ORDER BY id');
SELECT is_empty('SELECT * FROM books.differences()', 'five thousand small groups');
SELECT is((SELECT sum(n_events + n_before + n_after + n_skipped) FROM books.result), 30000::numeric, 'each row is counted once');

-- In parallel

SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
\set schema books
\ir ../lib/plan.sql
SELECT matches(books.plan('SELECT thousand, credit.exposure_profile(day, amount, ''2025-01-01'', ''2025-04-01'', 1000.50, 20000) FROM books.event GROUP BY 1'), 'Partial.*Aggregate', 'by group in parallel');
SELECT matches(books.plan('SELECT credit.exposure_profile(day, amount, ''2025-01-01'', ''2025-04-01'') FROM books.event'), 'Partial Aggregate', 'the whole table in parallel');
CREATE TABLE books.parallel_result AS SELECT thousand AS key, credit.exposure_profile(day, amount, '2025-01-01', '2025-04-01', 1000.50, 20000) AS e,
	   credit.exposure_profile(day, amount, '2025-01-01', '2025-04-01', 1000.50, 20000, place) AS s FROM books.event GROUP BY 1;
CREATE TABLE books.parallel_whole AS SELECT credit.exposure_profile(day, amount, '2025-01-01', '2025-04-01', 1000.50) AS e FROM books.event;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT results_eq('SELECT key, e::text, s::text FROM books.parallel_result ORDER BY key',
	'SELECT thousand, credit.exposure_profile(day, amount, ''2025-01-01'', ''2025-04-01'', 1000.50, 20000)::text, credit.exposure_profile(day, amount, ''2025-01-01'', ''2025-04-01'', 1000.50, 20000, place)::text FROM books.event GROUP BY 1 ORDER BY 1',
	'the same to the last digit');
SELECT results_eq('SELECT e::text FROM books.parallel_whole', 'SELECT credit.exposure_profile(day, amount, ''2025-01-01'', ''2025-04-01'', 1000.50)::text FROM books.event', 'the whole table, too');

-- Bytes. C functions are declared by other types, which only a superuser can.

CREATE FUNCTION books.second(bytea, bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE FUNCTION books.believe(bytea) RETURNS bigint LANGUAGE c AS '$libdir/credit', 'credit_balance_deserialize';
CREATE AGGREGATE books.believe_all(bytea) (SFUNC = books.second, STYPE = bytea, FINALFUNC = books.believe);
CREATE AGGREGATE books.bytes(date, numeric, date, date, numeric, numeric) (SFUNC = credit.balance_accum, STYPE = internal, FINALFUNC = credit.balance_serialize);
-- amounts that units do not hold are among them
CREATE TABLE books.state AS SELECT books.bytes(day, CASE id WHEN 3 THEN 1 / 3.0 WHEN 5 THEN -1e40 ELSE amount END, '2025-01-01', '2025-04-01', 1 / 7.0, 1e40) AS bytes FROM books.event WHERE id <= 12;
SELECT lives_ok('SELECT books.believe_all(bytes) FROM books.state', 'true bytes are believed');
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
SELECT is((SELECT books.fate(bytes || '\x00') FROM books.state), 'refused', 'more at the end: refused');
SELECT is((SELECT books.fate(set_byte(bytes, 0, 2)) FROM books.state), 'refused', 'another version: refused');
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n, unnest(ARRAY[0, 1, 127, 128, 255]) b WHERE books.fate(set_byte(bytes, n, b)) IS NULL), 0::bigint, 'each byte changed: believed or refused');

SELECT * FROM finish();
ROLLBACK;

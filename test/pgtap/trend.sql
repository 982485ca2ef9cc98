-- robust_trend() and change_point() against plain SQL over the same random
-- rows: shuffled, in one process and in several; and their bytes under fire.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

CREATE SCHEMA books;
SELECT setseed(0.3);
-- values are whole for most customers, so that there are ties; weights may be none
CREATE TABLE books.item AS
SELECT g AS id, 1 AS one, (floor(exp(random() * ln(600))) + 0 * g)::int AS customer, (g % 9000) AS few,
	   CASE WHEN k > 0.02 THEN date '2024-01-01' + (random() * 400)::int END AS day,
	   CASE WHEN k < 0.97 THEN CASE g % 3 WHEN 0 THEN (random() * 40)::int / 4.0 ELSE (random() * 20)::int - 5 END END::float8 AS value,
	   CASE WHEN k BETWEEN 0.1 AND 0.12 THEN NULL WHEN k BETWEEN 0.2 AND 0.22 THEN 0 WHEN k BETWEEN 0.3 AND 0.32 THEN -5 ELSE (1 + random() * 8)::int / 2.0 END::numeric AS weight
  FROM (SELECT g, random() AS k FROM generate_series(1, 20000) g) r;
ANALYZE books.item;

/* What both work on: one value a day; $1 is the column of the group. */
CREATE FUNCTION books.merge_days(key text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.day_value;
	EXECUTE format($$
CREATE TABLE books.day_value AS
SELECT %I AS key, day, sum(value::numeric * weight) / sum(weight) AS value, row_number() OVER (PARTITION BY %1$I ORDER BY day) AS n, count(*) OVER (PARTITION BY %1$I) AS of
  FROM books.item WHERE day IS NOT NULL AND value IS NOT NULL AND weight > 0 GROUP BY 1, day$$, key);
END
$body$;

CREATE FUNCTION books.plain() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
DROP TABLE IF EXISTS books.plain_result;
CREATE TABLE books.plain_result AS
WITH pairs AS
	(SELECT key, sum(sign(round(b.value - a.value, 9)))::bigint AS s, percentile_cont(0.5) WITHIN GROUP (ORDER BY ((b.value - a.value) / (b.day - a.day))::float8) * 30 AS slope
	   FROM books.day_value a JOIN books.day_value b USING (key) WHERE a.day < b.day AND a.of >= 4 GROUP BY key),
ties AS
	(SELECT key, sum(t * (t - 1) * (2 * t + 5)) AS ties FROM (SELECT key, count(*) AS t FROM books.day_value GROUP BY key, round(value, 9)) t GROUP BY key),
days AS (SELECT key, count(*) AS n, min(day) AS first_day, max(day) AS last_day FROM books.day_value GROUP BY key),
variance AS (SELECT key, ((n * (n - 1) * (2 * n + 5) - ties) / 18)::float8 AS v FROM days JOIN ties USING (key))
SELECT key, n AS n_days, first_day, last_day, s AS kendall_s, CASE WHEN n >= 4 THEN v END AS kendall_variance,
	   CASE WHEN s = 0 THEN 0 ELSE (s - sign(s)) / sqrt(v) END AS kendall_z, (s / (n * (n - 1) / 2.0))::float8 AS kendall_tau, slope
  FROM days JOIN variance USING (key) LEFT JOIN pairs USING (key);
END
$$;

/* The aggregate's results; the order of rows is one of many. */
CREATE FUNCTION books.trend(key text, ordered_by text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.result;
	EXECUTE format('CREATE TABLE books.result AS SELECT key, (t).* FROM (SELECT %I AS key, credit.robust_trend(day, value, weight) AS t FROM (SELECT * FROM books.item %s) i GROUP BY 1) q WHERE (t).n_days > 0',
				   key, ordered_by);
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

SET LOCAL max_parallel_workers_per_gather = 0;
SELECT books.merge_days('one'), books.plain(), books.trend('one', 'ORDER BY id');
SELECT is_empty('SELECT * FROM books.differences()', 'one group');
SELECT books.trend('one', 'ORDER BY md5(id::text)');
SELECT is_empty('SELECT * FROM books.differences()', 'one group, shuffled');
SELECT books.merge_days('customer'), books.plain(), books.trend('customer', 'ORDER BY id');
SELECT is_empty('SELECT * FROM books.differences()', 'groups of all sizes');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE kendall_s IS NOT NULL), '>', 400::bigint, 'with a trend');
SELECT is((SELECT count(*) FROM books.result WHERE kendall_s IS NULL <> (n_days < 4)), 0::bigint, 'from four days on');
SELECT is((SELECT count(*) FROM books.result WHERE p_exact IS NULL <> (n_days < 4 OR n_days > 10)), 0::bigint, 'counted out up to ten days');
SELECT books.trend('customer', 'ORDER BY md5(id::text)');
SELECT is_empty('SELECT * FROM books.differences()', 'shuffled');
SELECT is((SELECT sum(n_rows + n_credits + n_skipped) FROM books.result), (SELECT count(*)::numeric FROM books.item), 'each row is counted once');
CREATE TABLE books.in_order AS SELECT r.* FROM (SELECT customer AS key, credit.robust_trend(day, value, weight) AS t FROM books.item GROUP BY 1) q, LATERAL (SELECT key, (t).*) r WHERE (t).n_days > 0;
SELECT results_eq('SELECT * FROM books.result ORDER BY key', 'SELECT * FROM books.in_order ORDER BY key', 'to the last bit');
SELECT books.merge_days('few'), books.plain(), books.trend('few', 'ORDER BY id');
SELECT is_empty('SELECT * FROM books.differences()', 'nine thousand small groups');
SELECT is((SELECT count(*) FROM (SELECT credit.robust_trend(day, value) AS a, credit.robust_trend(day, value, 7.25) AS b FROM books.item GROUP BY customer) q WHERE a IS DISTINCT FROM b), 0::bigint, 'equal weights are none');

-- p, counted over all orders of the values

CREATE TABLE books.place AS
WITH RECURSIVE o AS (SELECT n, ARRAY[]::int[] AS places FROM generate_series(4, 6) n UNION ALL SELECT n, places || i FROM o, generate_series(1, n) i WHERE NOT i = ANY (places))
SELECT n, places FROM o WHERE cardinality(places) = n;
SELECT books.merge_days('customer'), books.trend('customer', '');
CREATE TABLE books.small AS SELECT key, of::int AS n, array_agg(round(value, 9) ORDER BY day) AS y FROM books.day_value WHERE of BETWEEN 4 AND 6 GROUP BY key, of LIMIT 30;
INSERT INTO books.small SELECT -i, 5, ARRAY[i % 2, i % 3, 1, 1, i % 4] FROM generate_series(1, 12) i;
INSERT INTO books.result (key, p_exact) SELECT key, (credit.robust_trend(date '2025-01-01' + k::int, v::float8)).p_exact FROM books.small, unnest(y) WITH ORDINALITY u (v, k) WHERE key < 0 GROUP BY key;
CREATE FUNCTION books.s(y numeric[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT sum(sign(y[j] - y[i]))::int FROM generate_subscripts(y, 1) i, generate_subscripts(y, 1) j WHERE i < j';
SELECT is((SELECT count(*) FROM books.small m JOIN books.result r USING (key)
			WHERE abs(r.p_exact - (SELECT avg((abs(books.s(ARRAY(SELECT m.y[p] FROM unnest(places) WITH ORDINALITY u (p, k) ORDER BY k))) >= abs(books.s(m.y)))::int) FROM books.place WHERE n = m.n)::float8) > 1e-12), 0::bigint, 'exact p');
SELECT cmp_ok((SELECT count(*) FROM books.small), '>', 20::bigint, 'of several groups');

-- change_point(): the chart by a loop

CREATE FUNCTION books.chart(key int, mean float8, sd float8, first int) RETURNS TABLE (n_rises int, first_rise date, first_rise_began date, last_rise date, last_rise_began date, rise_sum float8, n_falls int, first_fall date, first_fall_began date, last_fall date, last_fall_began date, fall_sum float8) LANGUAGE plpgsql AS $body$
DECLARE
	r record;
	up_zero date;
	down_zero date;
BEGIN
	n_rises := 0; n_falls := 0; rise_sum := 0; fall_sum := 0;
	SELECT v.day INTO up_zero FROM books.day_value v WHERE v.key = chart.key AND v.n = greatest(first, 1);
	down_zero := up_zero;
	FOR r IN SELECT v.day, (v.value::float8 - mean) / sd AS z FROM books.day_value v WHERE v.key = chart.key AND v.n > first ORDER BY v.day LOOP
		rise_sum := greatest(rise_sum + (r.z - 0.5), 0);
		IF rise_sum > 5 THEN
			n_rises := n_rises + 1; last_rise := r.day; last_rise_began := up_zero; rise_sum := 0;
			first_rise := COALESCE(first_rise, last_rise); first_rise_began := COALESCE(first_rise_began, last_rise_began);
		END IF;
		up_zero := CASE WHEN rise_sum = 0 THEN r.day ELSE up_zero END;
		fall_sum := greatest(fall_sum + (-r.z - 0.5), 0);
		IF fall_sum > 5 THEN
			n_falls := n_falls + 1; last_fall := r.day; last_fall_began := down_zero; fall_sum := 0;
			first_fall := COALESCE(first_fall, last_fall); first_fall_began := COALESCE(first_fall_began, last_fall_began);
		END IF;
		down_zero := CASE WHEN fall_sum = 0 THEN r.day ELSE down_zero END;
	END LOOP;
	RETURN NEXT;
END
$body$;
DROP TABLE books.plain_result, books.result;
CREATE TABLE books.plain_result AS SELECT k.key, c.* FROM (SELECT DISTINCT key FROM books.day_value) k, books.chart(k.key, 3, 2.5, 0) c;
CREATE TABLE books.result AS SELECT key, (c).* FROM (SELECT customer AS key, credit.change_point(day, value, weight, 3, 2.5) AS c FROM (SELECT * FROM books.item ORDER BY md5(id::text)) i GROUP BY 1) q WHERE (c).n_days > 0;
SELECT is_empty('SELECT * FROM books.differences()', 'changes against a known mean');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE n_rises > 0 AND n_falls > 0), '>', 20::bigint, 'there are some');
DROP TABLE books.plain_result, books.result;
CREATE TABLE books.plain_result AS SELECT k.key, k.mean, k.sd, c.*
  FROM (SELECT key, avg(value) FILTER (WHERE n <= 12)::float8 AS mean, greatest(stddev_samp(value) FILTER (WHERE n <= 12), 1)::float8 AS sd FROM books.day_value WHERE of >= 8 GROUP BY key) k, books.chart(k.key, k.mean, k.sd, 12) c;
UPDATE books.plain_result SET first_rise_began = NULL WHERE n_rises = 0;
CREATE TABLE books.result AS SELECT key, (c).* FROM (SELECT customer AS key, credit.change_point(day, value, weight, 12) AS c FROM books.item GROUP BY 1) q WHERE (c).n_days + (c).n_reference >= 8;
SELECT is_empty('SELECT * FROM books.differences()', 'changes against the first days');
DROP TABLE books.plain_result, books.result;
CREATE TABLE books.plain_result AS SELECT k.key, k.n AS n_reference, k.mean, k.sd, c.*
  FROM (SELECT key, count(*) FILTER (WHERE day <= '2024-05-01')::int AS n, avg(value) FILTER (WHERE day <= '2024-05-01')::float8 AS mean, greatest(stddev_samp(value) FILTER (WHERE day <= '2024-05-01'), 1)::float8 AS sd FROM books.day_value GROUP BY key) k, books.chart(k.key, k.mean, k.sd, k.n) c WHERE k.n >= 8;
CREATE TABLE books.result AS SELECT key, (c).* FROM (SELECT customer AS key, credit.change_point(day, value, weight, date '2024-05-01') AS c FROM books.item GROUP BY 1) q WHERE (c).n_reference >= 8;
SELECT is_empty('SELECT * FROM books.differences()', 'changes against the days until a date');
SELECT cmp_ok((SELECT count(*) FROM books.result), '>', 50::bigint, 'in several groups');

-- In parallel

SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
\set schema books
\ir ../lib/plan.sql
SELECT matches(books.plan('SELECT customer, credit.robust_trend(day, value, weight) FROM books.item GROUP BY 1'), 'Partial.*Aggregate', 'trend by group in parallel');
SELECT matches(books.plan('SELECT credit.robust_trend(day, value) FROM books.item'), 'Partial Aggregate', 'the whole table in parallel');
SELECT matches(books.plan('SELECT customer, credit.change_point(day, value, weight, date ''2024-05-01'') FROM books.item GROUP BY 1'), 'Partial.*Aggregate', 'changes in parallel');
CREATE TABLE books.parallel_trend AS SELECT customer AS key, credit.robust_trend(day, value, weight) AS t, credit.change_point(day, value, weight, date '2024-05-01') AS c FROM books.item GROUP BY 1;
CREATE TABLE books.parallel_whole AS SELECT credit.robust_trend(day, value, weight) AS t, credit.change_point(day, value, weight, 3, 2.5, 0.25, 4) AS c FROM books.item;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT results_eq('SELECT key, t::text, c::text FROM books.parallel_trend ORDER BY key',
	'SELECT customer, credit.robust_trend(day, value, weight)::text, credit.change_point(day, value, weight, date ''2024-05-01'')::text FROM books.item GROUP BY 1 ORDER BY 1', 'the same to the last bit');
SELECT results_eq('SELECT t::text, c::text FROM books.parallel_whole',
	'SELECT credit.robust_trend(day, value, weight)::text, credit.change_point(day, value, weight, 3, 2.5, 0.25, 4)::text FROM books.item', 'the whole table, too');

-- Bytes. C functions are declared by other types, which only a superuser can.

CREATE FUNCTION books.second(bytea, bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE FUNCTION books.believe_trend(bytea) RETURNS bigint LANGUAGE c AS '$libdir/credit', 'credit_trend_deserialize';
CREATE FUNCTION books.believe_change(bytea) RETURNS bigint LANGUAGE c AS '$libdir/credit', 'credit_change_deserialize';
CREATE AGGREGATE books.believe_trends(bytea) (SFUNC = books.second, STYPE = bytea, FINALFUNC = books.believe_trend);
CREATE AGGREGATE books.believe_changes(bytea) (SFUNC = books.second, STYPE = bytea, FINALFUNC = books.believe_change);
CREATE AGGREGATE books.trend_bytes(date, float8, numeric) (SFUNC = credit.trend_accum, STYPE = internal, FINALFUNC = credit.trend_serialize);
CREATE AGGREGATE books.change_bytes(date, float8, numeric, integer) (SFUNC = credit.change_accum, STYPE = internal, FINALFUNC = credit.change_serialize);
-- a weight that units do not hold is among them
CREATE TABLE books.state AS
SELECT 'trends' AS kind, books.trend_bytes(day, value, CASE id WHEN 7 THEN 1 / 3.0 ELSE weight END) AS bytes FROM books.item WHERE id <= 12
UNION ALL SELECT 'changes', books.change_bytes(day, value, CASE id WHEN 7 THEN 1 / 3.0 ELSE weight END, 8) FROM books.item WHERE id <= 12;
SELECT lives_ok('SELECT books.believe_trends(bytes) FROM books.state WHERE kind = ''trends''', 'true bytes of a trend are believed');
SELECT lives_ok('SELECT books.believe_changes(bytes) FROM books.state WHERE kind = ''changes''', 'and those of a change');
SELECT throws_ok('SELECT books.believe_trend(bytes) FROM books.state', '55000', NULL, 'but outside of an aggregate they are not');
SELECT throws_ok('SELECT books.believe_change(bytes) FROM books.state', '55000', NULL, 'neither these');
CREATE FUNCTION books.fate(kind text, bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT books.believe_%s($1)', kind) USING bytes;
	RETURN 'believed';
EXCEPTION WHEN invalid_binary_representation OR protocol_violation THEN
	RETURN 'refused';
END
$$;
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n WHERE books.fate(kind, substr(bytes, 1, n)) <> 'refused'), 0::bigint, 'cut short: refused');
SELECT is((SELECT count(*) FROM books.state WHERE books.fate(kind, bytes || '\x00') <> 'refused'), 0::bigint, 'more at the end: refused');
SELECT is((SELECT count(*) FROM books.state WHERE books.fate(kind, set_byte(bytes, 0, 2)) <> 'refused'), 0::bigint, 'another version: refused');
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n, unnest(ARRAY[0, 1, 127, 128, 255]) b WHERE books.fate(kind, set_byte(bytes, n, b)) IS NULL), 0::bigint, 'each byte changed: believed or refused');

SELECT * FROM finish();
ROLLBACK;

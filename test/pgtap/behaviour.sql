-- payment_profile() against plain SQL over the same random rows: 1 to 100,000
-- groups, shuffled, in one process and in several; and its bytes under fire.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

CREATE SCHEMA books;
SELECT setseed(0.6);
CREATE TABLE books.item AS
SELECT g AS id, (g % 7) AS seven, floor(exp(random() * ln(1000)))::int AS thousand, 1 AS one,
	   CASE WHEN k < 0.01 THEN NULL WHEN k < 0.04 THEN -a WHEN k < 0.05 THEN 0 WHEN k < 0.06 THEN a * 123456789 WHEN k < 0.07 THEN a / 7.0 ELSE a END AS amount,
	   CASE WHEN l >= 0.01 THEN invoiced END AS invoiced,
	   CASE WHEN l < 0.98 THEN invoiced + terms END AS due,
	   CASE WHEN l BETWEEN 0.1 AND 0.9 THEN invoiced + terms + late END AS paid
  FROM (SELECT g, random() AS k, random() AS l, round((1 + random() * 9999)::numeric, (random() * 3)::int) AS a,
			   date '2024-01-01' + (random() * 800)::int AS invoiced, (random() * 3)::int * 15 + 15 AS terms,
			   (-20 + random() * 30 - ln(1 - random()) * 20 + CASE WHEN random() < 0.001 THEN 3000 ELSE 0 END)::int AS late
		  FROM generate_series(1, 100000) g) r;
ANALYZE books.item;

/* What payment_profile() says, by other means; $1 is the column of the group. */
CREATE FUNCTION books.plain(key text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.plain_result;
	EXECUTE format($$
CREATE TABLE books.plain_result AS
WITH kind AS
	(SELECT %I AS key, i.*, paid - due AS d, paid - invoiced AS dtp, paid - date '2000-01-01' AS x, date '2026-01-31' - due AS dpd, round(amount, 8) AS w,
			CASE WHEN amount IS NULL OR invoiced IS NULL OR due IS NULL THEN 'skipped' WHEN amount <= 0 THEN 'credit' WHEN invoiced > '2026-01-31' THEN 'future'
				 WHEN paid <= '2026-01-31' THEN 'paid' ELSE 'open' END AS kind FROM books.item i),
scored AS
	(SELECT k.*, CASE WHEN kind = 'paid' THEN d WHEN kind = 'open' AND dpd > 0 THEN dpd END AS scored,
			abs(d - avg(d) FILTER (WHERE kind = 'paid') OVER (PARTITION BY key)) AS from_mean,
			sum(w) FILTER (WHERE kind = 'paid') OVER (PARTITION BY key ORDER BY d, id) AS running,
			sum(w) FILTER (WHERE kind = 'paid') OVER (PARTITION BY key) AS of
	   FROM kind k),
middle AS
	(SELECT key, percentile_cont(ARRAY[0.25, 0.5, 0.75, 0.9]) WITHIN GROUP (ORDER BY d) AS q FROM kind WHERE kind = 'paid' GROUP BY key),
deviation AS
	(SELECT key, percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(d - q[2])) AS mad FROM kind JOIN middle USING (key) WHERE kind = 'paid' GROUP BY key)
SELECT key, count(*) FILTER (WHERE kind = 'paid') AS n_paid, count(*) FILTER (WHERE kind = 'open') AS n_open,
	   count(*) FILTER (WHERE kind = 'open' AND dpd > 0) AS n_overdue, count(*) FILTER (WHERE kind = 'credit') AS n_credits,
	   count(*) FILTER (WHERE kind = 'future') AS n_future, count(*) FILTER (WHERE kind = 'skipped') AS n_skipped,
	   CASE WHEN count(scored) + count(*) FILTER (WHERE kind = 'open') > 0 THEN COALESCE(sum(amount) FILTER (WHERE kind = 'paid'), 0) END AS paid_amount,
	   CASE WHEN count(scored) + count(*) FILTER (WHERE kind = 'open') > 0 THEN COALESCE(sum(amount) FILTER (WHERE kind = 'open'), 0) END AS open_amount,
	   CASE WHEN count(scored) + count(*) FILTER (WHERE kind = 'open') > 0 THEN COALESCE(sum(amount) FILTER (WHERE kind = 'open' AND dpd > 0), 0) END AS overdue_amount,
	   (count(*) FILTER (WHERE kind = 'paid' AND d <= 0))::float8 / NULLIF(count(scored), 0) AS on_time_rate,
	   (COALESCE(sum(w) FILTER (WHERE kind = 'paid' AND d <= 0), 0) / NULLIF(sum(w) FILTER (WHERE scored IS NOT NULL), 0))::float8 AS on_time_rate_by_amount,
	   (avg(d) FILTER (WHERE kind = 'paid'))::float8 AS mean_days_late,
	   (sum(w * d) FILTER (WHERE kind = 'paid') / NULLIF(sum(w) FILTER (WHERE kind = 'paid'), 0))::float8 AS weighted_days_late,
	   (sum(w * greatest(d, 0)) FILTER (WHERE kind = 'paid') / NULLIF(sum(w) FILTER (WHERE kind = 'paid'), 0))::float8 AS days_beyond_terms,
	   (sum(w * greatest(dpd, 0)) FILTER (WHERE kind = 'open') / NULLIF(sum(w) FILTER (WHERE kind = 'open'), 0))::float8 AS open_days_beyond_terms,
	   q[2] AS median_days_late, q[4] AS p90_days_late, min(d) FILTER (WHERE kind = 'paid' AND running >= 0.9 * of) AS weighted_p90_days_late,
	   min(d) FILTER (WHERE kind = 'paid') AS min_days_late, max(d) FILTER (WHERE kind = 'paid') AS max_days_late, max(dpd) FILTER (WHERE kind = 'open' AND dpd > 0) AS max_days_overdue,
	   (avg(dtp) FILTER (WHERE kind = 'paid'))::float8 AS mean_days_to_pay,
	   (sum(w * dtp) FILTER (WHERE kind = 'paid') / NULLIF(sum(w) FILTER (WHERE kind = 'paid'), 0))::float8 AS weighted_days_to_pay,
	   (sum(w * (due - invoiced)) FILTER (WHERE kind = 'paid') / NULLIF(sum(w) FILTER (WHERE kind = 'paid'), 0))::float8 AS weighted_terms,
	   (stddev_samp(d) FILTER (WHERE kind = 'paid'))::float8 AS sd_days_late, (avg(from_mean) FILTER (WHERE kind = 'paid'))::float8 AS mean_deviation, mad AS median_deviation,
	   q[3] - q[1] AS interquartile_range, (stddev_samp(dtp) FILTER (WHERE kind = 'paid'))::float8 AS sd_days_to_pay,
	   CASE WHEN avg(dtp) FILTER (WHERE kind = 'paid') > 0 THEN (stddev_samp(dtp) FILTER (WHERE kind = 'paid') / avg(dtp) FILTER (WHERE kind = 'paid'))::float8 END AS cv_days_to_pay,
	   CASE WHEN count(*) FILTER (WHERE kind = 'paid') > 2 THEN 30 * regr_slope(d, x) FILTER (WHERE kind = 'paid') END AS trend_slope,
	   CASE WHEN count(*) FILTER (WHERE kind = 'paid') > 2 THEN 30 * sqrt(greatest((regr_syy(d, x) FILTER (WHERE kind = 'paid') - (regr_sxy(d, x) FILTER (WHERE kind = 'paid')) ^ 2 / NULLIF(regr_sxx(d, x) FILTER (WHERE kind = 'paid'), 0)), 0)
			/ (count(*) FILTER (WHERE kind = 'paid') - 2) / NULLIF(regr_sxx(d, x) FILTER (WHERE kind = 'paid'), 0)) END AS trend_se,
	   sum(d * 2 ^ (-(date '2026-01-31' - paid) / 90.0)::float8) FILTER (WHERE kind = 'paid') / sum(2 ^ (-(date '2026-01-31' - paid) / 90.0)::float8) FILTER (WHERE kind = 'paid') AS recent_days_late,
	   (sum(2 ^ (-(date '2026-01-31' - paid) / 90.0)::float8) FILTER (WHERE kind = 'paid')) ^ 2 / sum(2 ^ (-2 * (date '2026-01-31' - paid) / 90.0)::float8) FILTER (WHERE kind = 'paid') AS recent_n,
	   (sum(w * CASE WHEN scored < -30 THEN 100 WHEN scored <= -20 THEN 70 - scored WHEN scored <= 0 THEN 80 - scored / 2.0 WHEN scored <= 15 THEN 80 - scored / 1.5
			WHEN scored <= 30 THEN 90 - scored / 0.75 WHEN scored <= 120 THEN 60 - scored / 3.0 WHEN scored <= 180 THEN 58 - scored * 19 / 60.0 ELSE 1 END) FILTER (WHERE scored IS NOT NULL)
		/ NULLIF(sum(w) FILTER (WHERE scored IS NOT NULL), 0))::float8 AS payment_index,
	   min(invoiced) FILTER (WHERE kind IN ('paid', 'open')) AS first_invoice_date, max(invoiced) FILTER (WHERE kind IN ('paid', 'open')) AS last_invoice_date,
	   min(paid) FILTER (WHERE kind = 'paid') AS first_paid_date, max(paid) FILTER (WHERE kind = 'paid') AS last_paid_date
  FROM scored LEFT JOIN middle USING (key) LEFT JOIN deviation USING (key) GROUP BY key, q, mad$$, key);
END
$body$;

/* The aggregate's results; the order of rows is one of many. */
CREATE FUNCTION books.profile(key text, ordered_by text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.result;
	EXECUTE format('CREATE TABLE books.result AS SELECT key, (p).* FROM (SELECT %I AS key, credit.payment_profile(amount, invoiced, due, paid, %L) AS p FROM (SELECT * FROM books.item %s) i GROUP BY 1) q',
				   key, '2026-01-31', 'ORDER BY ' || ordered_by);
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
SELECT books.plain('one'), books.profile('one', 'id');
SELECT is_empty('SELECT * FROM books.differences()', 'one group');
SELECT cmp_ok((SELECT least(n_paid, n_open, n_overdue, n_credits, n_future + 1, n_skipped) FROM books.result), '>', 0::bigint, 'of all kinds of rows');
SELECT books.profile('one', 'md5(id::text)');
SELECT is_empty('SELECT * FROM books.differences()', 'one group, shuffled');
SELECT books.plain('seven'), books.profile('seven', 'id DESC');
SELECT is_empty('SELECT * FROM books.differences()', 'seven groups, backwards');
SELECT books.plain('thousand'), books.profile('thousand', 'md5(id::text)');
SELECT is_empty('SELECT * FROM books.differences()', 'a thousand groups of all sizes');
CREATE TABLE books.shuffled AS TABLE books.result;
SELECT books.profile('thousand', 'id');
SELECT is_empty('SELECT * FROM books.result EXCEPT SELECT * FROM books.shuffled', 'the order of rows changes no bit');
SELECT is((SELECT count(*) FROM books.result WHERE n_paid > 2 AND trend_p IS NULL), 0::bigint, 'trends have a p');
SELECT books.plain('id'), books.profile('id', 'id');
SELECT is_empty('SELECT * FROM books.differences()', 'a hundred thousand groups');
SELECT is((SELECT count(*) FROM books.result), 100000::bigint, 'they are so many');
SELECT is((SELECT count(*) FROM books.result WHERE n_paid + n_open + n_credits + n_future + n_skipped <> 1), 0::bigint, 'each row is counted once');

-- Weights that halve a hundred times are none, whichever payment comes first

CREATE FUNCTION books.recent(ages int[]) RETURNS float8 LANGUAGE sql AS $$
SELECT (credit.payment_profile(1, '2020-01-01', CASE age WHEN 0 THEN day ELSE '4000-01-01 BC' END, day, '2026-01-31', 0, 1)).recent_days_late
  FROM unnest(ages) WITH ORDINALITY a (age, n), LATERAL (SELECT date '2026-01-01' - age AS day) d
$$;
SELECT is(books.recent(ARRAY[0, age]), books.recent(ARRAY[age, 0]), format('in any order, %s half-lives apart', age)) FROM unnest(ARRAY[1, 50, 99, 100, 1000]) age;
SELECT cmp_ok(books.recent(ARRAY[0, 99]), '>', 0::float8, 'ninety-nine weigh something');
SELECT is(books.recent(ARRAY[0, 100]), 0::float8, 'a hundred nothing');

-- A group alone counts days of payment before it adds them, a few thousand at a
-- time: it says what one of two groups says, and what a state says

CREATE TABLE books.long AS
SELECT g AS id, (1 + g % 97)::numeric AS amount, date '1980-01-01' + g * 7919 % 15013 AS invoiced, (g % 11) - 3 AS late FROM generate_series(1, 30000) g;
CREATE FUNCTION books.alone(half_life int) RETURNS SETOF text LANGUAGE sql AS $$
SELECT credit.payment_profile(amount, invoiced, invoiced + 30, invoiced + 30 + late, '2026-01-31', 0, half_life)::text FROM books.long
$$;
CREATE FUNCTION books.of_two(half_life int) RETURNS SETOF text LANGUAGE sql AS $$
SELECT DISTINCT credit.payment_profile(amount, invoiced, invoiced + 30, invoiced + 30 + late, '2026-01-31', 0, half_life)::text
  FROM books.long, generate_series(1, 2) two GROUP BY two
$$;
SELECT cmp_ok((SELECT count(DISTINCT invoiced + late) FROM books.long), '>', 8192::bigint, 'more days than wait at a time');
SELECT is(books.alone(h), books.of_two(h), format('a group alone and one of two, half-life %s', h)) FROM unnest(ARRAY[1, 90, 3650]) h;
SELECT is(books.alone(h), credit.payment_measures((SELECT credit.payment_state(amount, invoiced, invoiced + 30, invoiced + 30 + late, '2026-01-31') FROM books.long), NULL, 0, h)::text,
	format('and the state, half-life %s', h)) FROM unnest(ARRAY[1, 90, 3650]) h;

-- In parallel

SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
\set schema books
\ir ../lib/plan.sql
SELECT matches(books.plan('SELECT thousand, credit.payment_profile(amount, invoiced, due, paid, ''2026-01-31'') FROM books.item GROUP BY 1'), 'Partial.*Aggregate', 'by group in parallel');
SELECT matches(books.plan('SELECT credit.payment_profile(amount, invoiced, due, paid) FROM books.item'), 'Partial Aggregate', 'the whole table in parallel');
SELECT matches(books.plan('SELECT credit.payment_profile(amount, invoiced, due, paid, ''2026-01-31'', 3, 30) FROM books.item'), 'Partial Aggregate', 'with options in parallel');
SELECT books.plain('thousand');
DROP TABLE books.result;
CREATE TABLE books.result AS SELECT thousand AS key, (credit.payment_profile(amount, invoiced, due, paid, '2026-01-31')).* FROM books.item GROUP BY 1;
SELECT is_empty('SELECT * FROM books.differences()', 'a thousand groups in parallel');
SELECT books.plain('one');
DROP TABLE books.result;
CREATE TABLE books.result AS SELECT 1 AS key, (credit.payment_profile(amount, invoiced, due, paid, '2026-01-31')).* FROM books.item;
SELECT is_empty('SELECT * FROM books.differences()', 'one group in parallel');

-- Student's distribution: for an even number of degrees of freedom it is a sum

CREATE FUNCTION books.student(t float8, df int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	cos2 float8 := df / (df + t * t);
	term float8 := 1;
	total float8 := 1;
BEGIN
	FOR k IN 1 .. df / 2 - 1 LOOP
		term := term * cos2 * (2 * k - 1) / (2 * k);
		total := total + term;
	END LOOP;
	RETURN 1 - abs(t) / sqrt(df + t * t) * total;
END
$$;
SELECT books.profile('thousand', 'id');
SELECT is((SELECT count(*) FROM books.result WHERE trend_t IS NOT NULL AND n_paid % 2 = 0 AND abs(trend_p - books.student(trend_t, n_paid::int - 2)) > 1e-10), 0::bigint, 'p of trends');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE n_paid % 2 = 0 AND n_paid < 40 AND trend_t IS NOT NULL), '>', 100::bigint, 'few payments');
SELECT cmp_ok((SELECT count(*) FROM books.result WHERE n_paid % 2 = 0 AND n_paid > 300 AND trend_t IS NOT NULL), '>', 5::bigint, 'and many');

-- payment_cycle() against plain SQL

CREATE VIEW books.day AS
SELECT DISTINCT thousand AS key, paid AS day, paid - lag(paid) OVER (PARTITION BY thousand ORDER BY paid) AS since
  FROM (SELECT DISTINCT thousand, paid FROM books.item WHERE paid IS NOT NULL) d;
CREATE VIEW books.place AS
SELECT key, day, since, 2 * pi() * (extract(isodow FROM day) - 1)::float8 / 7 AS weekday,
	   2 * pi() * (extract(day FROM day) - 1)::float8 / m.length AS month_day, 2 * pi() * (m.length - extract(day FROM day)::float8) / m.length AS month_end
  FROM books.day, LATERAL (SELECT extract(day FROM date_trunc('month', day) + interval '1 month' - interval '1 day')::float8 AS length) m;
CREATE TABLE books.plain_cycle AS
SELECT key, count(*) AS n_days, avg(since)::float8 AS mean_interval, stddev_samp(since)::float8 AS sd_interval, (stddev_samp(since) / avg(since))::float8 AS cv_interval,
	   sqrt(sum(cos(weekday)) ^ 2 + sum(sin(weekday)) ^ 2) / count(*) AS weekday_strength,
	   sqrt(sum(cos(month_day)) ^ 2 + sum(sin(month_day)) ^ 2) / count(*) AS month_day_strength,
	   sqrt(sum(cos(month_end)) ^ 2 + sum(sin(month_end)) ^ 2) / count(*) AS month_end_strength,
	   min(day) AS first_paid_date, max(day) AS last_paid_date
  FROM books.place GROUP BY key HAVING count(*) >= 3;
CREATE FUNCTION books.cycle_differences() RETURNS TABLE (name text, groups bigint, example text) LANGUAGE plpgsql AS $body$
BEGIN
	RETURN QUERY
SELECT p.key AS name, count(*), min(format('%s: %s, not %s', j.key, r.value, p.value))
  FROM books.plain_cycle j JOIN books.cycle o USING (key), jsonb_each(to_jsonb(j)) p, jsonb_each(to_jsonb(o)) r
 WHERE r.key = p.key AND NOT books.is_same(p.value, r.value) GROUP BY p.key;
	RETURN QUERY SELECT 'groups', count(*), '' FROM books.plain_cycle p FULL JOIN books.cycle r USING (key) WHERE p.key IS NULL OR r.key IS NULL HAVING count(*) > 0;
END
$body$;
CREATE FUNCTION books.cycles(ordered_by text) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
	DROP TABLE IF EXISTS books.cycle;
	EXECUTE format('CREATE TABLE books.cycle AS SELECT key, (c).* FROM (SELECT thousand AS key, credit.payment_cycle(paid) AS c FROM (SELECT * FROM books.item %s) i GROUP BY 1) q WHERE (c).n_days >= 3', ordered_by);
END
$body$;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT books.cycles('ORDER BY id');
SELECT is_empty('SELECT * FROM books.cycle_differences()', 'cycles of a thousand groups');
SELECT books.cycles('ORDER BY md5(id::text)');
SELECT is_empty('SELECT * FROM books.cycle_differences()', 'shuffled');
SELECT is((SELECT count(*) FROM books.cycle WHERE abs(weekday_p - least(exp(sqrt(1 + 4 * n_days + 4 * (n_days ^ 2 - (n_days * weekday_strength) ^ 2)) - (1 + 2 * n_days)), 1)) > 1e-9), 0::bigint, 'Rayleigh');
SET LOCAL max_parallel_workers_per_gather = 3;
SELECT matches(books.plan('SELECT thousand, credit.payment_cycle(paid) FROM books.item GROUP BY 1'), 'Partial.*Aggregate', 'cycles in parallel');
DROP TABLE books.cycle;
CREATE TABLE books.cycle AS SELECT thousand AS key, (credit.payment_cycle(paid)).* FROM books.item GROUP BY 1;
DELETE FROM books.cycle WHERE n_days < 3;
SELECT is_empty('SELECT * FROM books.cycle_differences()', 'in parallel');

-- Bytes. C functions are declared by other types, which only a superuser can.

CREATE AGGREGATE books.bytes(numeric, date, date, date, date)
	(SFUNC = credit.payment_accum, STYPE = internal, FINALFUNC = credit.payment_serialize);
CREATE FUNCTION books.second(bytea, bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE FUNCTION books.believe(bytea) RETURNS bigint LANGUAGE c AS '$libdir/credit', 'credit_payment_deserialize';
CREATE AGGREGATE books.believe_all(bytea) (SFUNC = books.second, STYPE = bytea, FINALFUNC = books.believe);
CREATE TABLE books.state AS SELECT books.bytes(amount, invoiced, due, paid, '2026-01-31') AS bytes FROM books.item WHERE id <= 40;
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

CREATE AGGREGATE books.cycle_bytes(date) (SFUNC = credit.cycle_accum, STYPE = internal, FINALFUNC = credit.cycle_serialize);
CREATE OR REPLACE FUNCTION books.believe(bytea) RETURNS bigint LANGUAGE c AS '$libdir/credit', 'credit_cycle_deserialize';
TRUNCATE books.state;
INSERT INTO books.state SELECT books.cycle_bytes(paid) FROM books.item WHERE id <= 40;
SELECT lives_ok('SELECT books.believe_all(bytes) FROM books.state', 'true bytes of a cycle are believed');
SELECT throws_ok('SELECT books.believe(bytes) FROM books.state', '55000', NULL, 'but outside of an aggregate they are not');
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n WHERE books.fate(substr(bytes, 1, n)) <> 'refused'), 0::bigint, 'cut short: refused');
SELECT is((SELECT count(*) FROM books.state, generate_series(0, length(bytes) - 1) n, unnest(ARRAY[0, 1, 127, 128, 255]) b WHERE books.fate(set_byte(bytes, n, b)) IS NULL), 0::bigint, 'each byte changed: believed or refused');

SELECT * FROM finish();
ROLLBACK;

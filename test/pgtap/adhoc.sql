-- aging_report() and payment_report() against GROUP BY with the aggregates:
-- keys of many types, any number of groups, with and without temporary files;
-- what they refuse, and that they can do nothing the caller could not.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA books;
SELECT setseed(0.3);

CREATE TYPE books.region AS ENUM ('north', 'south', 'east');
CREATE TYPE books.pair AS (a int, b text);
CREATE DOMAIN books.code AS text;
CREATE COLLATION books.c (provider = libc, locale = 'C');
CREATE TABLE books.item AS
SELECT g AS id, CASE WHEN k % 97 = 0 THEN NULL ELSE k END AS k, CASE WHEN r < 0.02 THEN NULL
			WHEN r < 0.03 THEN (random() * 1e12)::numeric(30,12)
			WHEN r < 0.04 THEN (random() * 1e10)::numeric * 1e6
			WHEN r < 0.05 THEN 0
			WHEN r < 0.15 THEN -(random() * 1000)::numeric(12,2)
			ELSE (random() * 10000)::numeric(12,2) END AS amount,
	   day AS invoice_date, CASE WHEN random() < 0.03 THEN NULL WHEN random() < 0.01 THEN 'infinity' ELSE day + 30 END AS due_date,
	   CASE WHEN random() < 0.2 THEN NULL WHEN random() < 0.01 THEN 'infinity' WHEN random() < 0.01 THEN date '4000-01-01'
			ELSE day + (random() * 90)::int END AS paid_date
  FROM (SELECT g, floor(exp(random() * ln(2000)))::bigint AS k, random() AS r, date '2024-01-01' + (random() * 500)::int AS day
		  FROM generate_series(1, 6000) g OFFSET 0) x;
ANALYZE books.item;

-- 1. The same as GROUP BY

-- what differs between a report over keys and GROUP BY over them, as rows of text
CREATE FUNCTION books.difference(keys text, definition text, kind text) RETURNS TABLE (line text) LANGUAGE plpgsql AS $$
DECLARE
	n int := COALESCE(array_length(string_to_array(NULLIF(definition, ''), ','), 1), 0);
	places text := (SELECT COALESCE(string_agg(i::text, ', '), '()') FROM generate_series(1, n) i);
	comma text := CASE WHEN n > 0 THEN ', ' ELSE '' END;
	query text;
	report text;
	plain text;
BEGIN
	IF kind = 'payment' THEN
		query := format('SELECT %s%s amount, invoice_date, due_date, paid_date FROM books.item', keys, comma);
		report := format('SELECT * FROM credit.payment_report(%L, ''2025-03-31'') AS r(%s%s result credit.payment_measures)', query, definition, comma);
		plain := format('SELECT %s%s credit.payment_profile(amount, invoice_date, due_date, paid_date, ''2025-03-31'') FROM books.item GROUP BY %s', keys, comma, places);
	ELSE
		query := format('SELECT %s%s amount, due_date FROM books.item', keys, comma);
		report := format('SELECT * FROM credit.aging_report(%L, ''2025-03-31'', ''%s'') AS r(%s%s result credit.aging_buckets)', query, kind, definition, comma);
		plain := format('SELECT %s%s credit.aging(amount, due_date, ''2025-03-31'', ''%s'') FROM books.item GROUP BY %s', keys, comma, kind, places);
	END IF;
	RETURN QUERY EXECUTE format('WITH r AS MATERIALIZED (SELECT x::text AS t FROM (%s) x), p AS MATERIALIZED (SELECT x::text AS t FROM (%s) x)
		(SELECT ''report '' || t FROM (SELECT t FROM r EXCEPT ALL SELECT t FROM p) y) UNION ALL
		(SELECT ''plain '' || t FROM (SELECT t FROM p EXCEPT ALL SELECT t FROM r) z)', report, plain);
END $$;

CREATE TABLE books.keys (keys text, definition text);
INSERT INTO books.keys VALUES
	('', ''), ('k', 'k bigint'), ('k % 3', 'k bigint'), ('1', 'k int'), ('NULL::int', 'k int'), ('(k % 1000)::int', 'k int'), ('(k % 300)::smallint', 'k smallint'),
	('k > 3', 'k boolean'), ('(-k)::bigint', 'k bigint'), ('invoice_date', 'k date'), ('due_date', 'k date'), ('invoice_date + time ''12:00''', 'k timestamp'),
	('k::text', 'k text'), ('(''K'' || k)::varchar(20)', 'k varchar(20)'), ('(''K'' || k)::varchar(20)', 'k text'), ('(k % 50)::text::char(6)', 'k char(6)'),
	('repeat(''x'', (k % 3000)::int)', 'k text'), ('md5(k::text)::uuid', 'k uuid'), ('decode(md5(k::text), ''hex'')', 'k bytea'), ('k::text::name', 'k name'),
	('(enum_range(NULL::books.region))[1 + k % 3]', 'k books.region'), ('k::text::books.code', 'k books.code'), ('k::text::books.code', 'k text'),
	('(k * 0.5)::numeric(10,1)', 'k numeric'), ('CASE WHEN k % 2 = 0 THEN float8 ''-0'' ELSE k END * 0', 'k float8'), ('k / 2.0::float8', 'k float8'),
	('ROW(k, k::text)::books.pair', 'k books.pair'), ('ARRAY[k % 10, NULL, k % 7]', 'k bigint[]'), ('jsonb_build_object(''k'', k % 100)', 'k jsonb'),
	('int8range(k, k + 2)', 'k int8range'), ('k::text COLLATE books.c', 'k text'), ('(''10.0.0.0''::inet + k)', 'k inet'), ('k * interval ''1 day''', 'k interval'),
	('k, k % 2', 'a bigint, b bigint'), ('k::text, CASE WHEN k % 3 = 0 THEN ''EUR'' WHEN k % 3 = 1 THEN ''USD'' END', 'a text, b text'),
	('due_date, k % 5, repeat(''y'', (k % 9)::int), NULL::uuid', 'a date, b bigint, c text, d uuid'),
	('1,2,3,4,5,6,7,8,9,10,11,12,13,14,k % 4,16', 'a int,b int,c int,d int,e int,f int,g int,h int,i int,j int,k int,l int,m int,n int,o bigint,p int');
SELECT is_empty(format('SELECT * FROM books.difference(%L, %L, %L)', keys, definition, kind), format('%s by %s', kind, COALESCE(NULLIF(keys, ''), 'nothing')))
  FROM books.keys, unnest('{separate,payment}'::text[]) kind ORDER BY kind, keys, definition;
SELECT is_empty($$SELECT * FROM books.difference('k', 'k bigint', 'oldest')$$, 'credits off the oldest');

-- bounds, basis, grace days, half-life, no date to look from
CREATE FUNCTION books.both(report text, plain text, about text) RETURNS text LANGUAGE sql AS $$
SELECT is_empty(format('WITH r AS MATERIALIZED (SELECT x::text FROM (%1$s) x), p AS MATERIALIZED (SELECT x::text FROM (%2$s) x)
	(SELECT * FROM r EXCEPT ALL SELECT * FROM p) UNION ALL (SELECT * FROM p EXCEPT ALL SELECT * FROM r)', report, plain), about);
$$;
SELECT books.both($$SELECT * FROM credit.aging_report('SELECT k, amount, due_date FROM books.item', '2025-03-31', ARRAY[-30,0,7,14,30]) AS r(k bigint, a credit.aging_array)$$,
	$$SELECT k, credit.aging(amount, due_date, '2025-03-31', ARRAY[-30,0,7,14,30]) FROM books.item GROUP BY k$$, 'bounds');
SELECT books.both($$SELECT * FROM credit.aging_report('SELECT k, amount, invoice_date FROM books.item', '2025-03-31', ARRAY[30,60], 'own', 'document') AS r(k bigint, a credit.aging_array)$$,
	$$SELECT k, credit.aging(amount, invoice_date, '2025-03-31', ARRAY[30,60], 'own', 'document') FROM books.item GROUP BY k$$, 'bounds, credits and basis');
SELECT books.both($$SELECT * FROM credit.aging_report('SELECT k, amount, due_date FROM books.item', NULL) AS r(k bigint, a credit.aging_buckets)$$,
	$$SELECT k, credit.aging(amount, due_date, NULL) FROM books.item GROUP BY k$$, 'without a date all is undated');
SELECT books.both($$SELECT * FROM credit.payment_report('SELECT k, amount, invoice_date, due_date, paid_date FROM books.item', '2025-03-31', 5, 30) AS r(k bigint, p credit.payment_measures)$$,
	$$SELECT k, credit.payment_profile(amount, invoice_date, due_date, paid_date, '2025-03-31', 5, 30) FROM books.item GROUP BY k$$, 'grace days and half-life');
SELECT books.both($$SELECT * FROM credit.payment_report('SELECT k, amount, invoice_date, due_date, paid_date FROM books.item') AS r(k bigint, p credit.payment_measures)$$,
	$$SELECT k, credit.payment_profile(amount, invoice_date, due_date, paid_date) FROM books.item GROUP BY k$$, 'payments without a date');
SELECT books.both(format($$SELECT * FROM credit.aging_report('SELECT g %% %1$s, 1.5, date ''2025-01-01'' FROM generate_series(1, 100000) g', '2025-03-31') AS r(k int, a credit.aging_buckets)$$, n),
	format($$SELECT g %% %1$s, credit.aging(1.5, date '2025-01-01', '2025-03-31') FROM generate_series(1, 100000) g GROUP BY 1$$, n), format('%s groups', n))
  FROM unnest('{1,255,100000}'::int[]) n;

-- no rows
SELECT is_empty($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date WHERE false', '2025-03-31') AS r(k int, a credit.aging_buckets)$$, 'no rows, no groups');
SELECT books.both($$SELECT * FROM credit.aging_report('SELECT 1.0, current_date WHERE false', '2025-03-31', ARRAY[0]) AS r(a credit.aging_array)$$,
	$$SELECT credit.aging(1.0, current_date, '2025-03-31', ARRAY[0]) WHERE false$$, 'but one group where there is no key');
SELECT books.both($$SELECT * FROM credit.payment_report('SELECT 1.0, current_date, current_date, current_date WHERE false') AS r(p credit.payment_measures)$$,
	$$SELECT credit.payment_profile(1.0, current_date, current_date, current_date) WHERE false$$, 'of payments as well');
SELECT is((SELECT count(*) FROM credit.payment_report('SELECT 1.0, current_date, current_date, current_date WHERE false') AS r(p credit.payment_measures)), 1::bigint, 'which is a row');

-- the query runs in parallel where PostgreSQL finds that cheaper
CREATE FUNCTION books.process(bigint) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN RETURN pg_backend_pid(); END $$;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_leader_participation = off;
ALTER TABLE books.item SET (parallel_workers = 2);
SELECT is((SELECT count(*) FROM credit.aging_report('SELECT books.process(k), amount, due_date FROM books.item', '2025-03-31') AS r(k int, a credit.aging_buckets)
			WHERE k = pg_backend_pid()), 0::bigint, 'rows come from workers');
SELECT is_empty($$SELECT * FROM books.difference('k', 'k bigint', 'separate')$$, 'and are the same');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;

-- 2. Memory: what has no room goes to files

CREATE FUNCTION books.memory_of(command text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN (SELECT sum(total_bytes) FROM pg_backend_memory_contexts);
END $$;
SET LOCAL work_mem = '64kB';
SET LOCAL hash_mem_multiplier = 1;
SELECT is_empty(format('SELECT * FROM books.difference(%L, %L, %L)', keys, definition, kind), format('%s by %s, through files', kind, keys))
  FROM (VALUES ('k', 'k bigint'), ('id', 'k int'), ('''K'' || id', 'k text'), ('k, id % 4000', 'a bigint, b int'), ('repeat(md5(id::text), 1 + id % 40)', 'k text'),
			   ('ROW(id, NULL)::books.pair', 'k books.pair')) x (keys, definition), unnest('{separate,payment}'::text[]) kind ORDER BY kind, keys;
-- keys that are much larger than the buffers
SELECT is((SELECT string_agg(length(k) || ':' || (a).total, ' ' ORDER BY length(k)) FROM credit.aging_report(
	'SELECT repeat(''z'', 100000 * (g % 3)), 1.0, NULL::date FROM generate_series(1, 60) g', NULL) AS r(k text, a credit.aging_buckets)),
	'0:20.0 100000:20.0 200000:20.0', 'long keys');
RESET work_mem;
RESET hash_mem_multiplier;
SELECT cmp_ok(b.later - a.before, '<', 1000000::bigint, 'all memory is given back')
  FROM (SELECT books.memory_of('SELECT 1') AS before) a,
	   LATERAL (SELECT books.memory_of($$SELECT count(*) FROM credit.aging_report('SELECT id, amount, due_date FROM books.item', '2025-03-31') AS r(k int, a credit.aging_buckets)$$) + 0 * a.before AS later) b;

-- 3. What is refused, and in which words

SELECT throws_ok($$SELECT * FROM credit.aging_report(NULL, '2025-01-01') AS r(k int, a credit.aging_buckets)$$, '22004', 'query of aging_report must not be null');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0', '2025-01-01') AS r(k int, a credit.aging_buckets)$$, '42804', 'query of aging_report has 2 columns, and 3 are needed');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date, 5', '2025-01-01') AS r(k int, a credit.aging_buckets)$$, '42804', 'query of aging_report has 4 columns, and 3 are needed');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0::float8, current_date', '2025-01-01') AS r(k int, a credit.aging_buckets)$$, '42804',
	'open_amount, column 2 of the query of aging_report, has type double precision, and must have type numeric');
SELECT throws_ok($$SELECT * FROM credit.payment_report('SELECT 1, 1.0, current_date, now(), current_date') AS r(k int, a credit.payment_measures)$$, '42804',
	'due_date, column 4 of the query of payment_report, has type timestamp with time zone, and must have type date');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date', '2025-01-01') AS r(k bigint, a credit.aging_buckets)$$, '42804',
	'column 1 of the query of aging_report has type integer, and the definition list says bigint');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT ''abc''::text, 1.0, current_date', '2025-01-01') AS r(k varchar(2), a credit.aging_buckets)$$, '42804',
	'column 1 of the query of aging_report has type text, and the definition list says character varying(2)');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date', '2025-01-01') AS r(k int, a credit.aging_array)$$, '42804',
	'the last column of the definition list of aging_report must have type credit.aging_buckets');
SELECT throws_ok($$SELECT * FROM credit.payment_report('SELECT 1, 1.0, current_date, current_date, current_date') AS r(k int)$$, '42804',
	'the last column of the definition list of payment_report must have type credit.payment_measures');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1', '2025-01-01')$$, '42601', NULL, 'no definition list');
SELECT throws_ok($$SELECT credit.aging_report('SELECT 1', '2025-01-01')$$, '0A000', NULL, 'not in the list of results');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT point(1, 1), 1.0, current_date', '2025-01-01') AS r(k point, a credit.aging_buckets)$$, '42883', 'values of type point cannot be grouped by');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT json ''1'', 1.0, current_date', '2025-01-01') AS r(k json, a credit.aging_buckets)$$, '42883', 'values of type json cannot be grouped by');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT ARRAY[point(1, 1)], 1.0, current_date', '2025-01-01') AS r(k point[], a credit.aging_buckets)$$, '42883', 'values of type point[] cannot be grouped by');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date', 'infinity') AS r(k int, a credit.aging_buckets)$$, '22008', 'as-of date of an aging must not be infinite');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date', '2025-01-01', 'sideways') AS r(k int, a credit.aging_buckets)$$, '22023', 'invalid credit mode of an aging: "sideways"');
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT 1, 1.0, current_date', '2025-01-01', ARRAY[30]) AS r(k int, a credit.aging_array)$$, '22023', 'bounds of an aging by due date must contain 0');
SELECT throws_ok($$SELECT * FROM credit.payment_report('SELECT 1, 1.0, current_date, current_date, current_date', '-infinity') AS r(k int, a credit.payment_measures)$$, '22008', NULL, 'payments as of no day');
SELECT throws_ok($$SELECT * FROM credit.payment_report('SELECT 1, 1.0, current_date, current_date, current_date', NULL, -1) AS r(k int, a credit.payment_measures)$$, '22023', NULL, 'grace days out of range');
SELECT throws_ok($$SELECT * FROM credit.payment_report('SELECT 1, 1e18, date ''2025-01-01'', date ''2025-01-01'', date ''2025-01-02''') AS r(k int, a credit.payment_measures)$$, '22003', NULL, 'an amount out of range');
SELECT throws_ok(format($$SELECT * FROM credit.aging_report('SELECT %s, 1.0, current_date', '2025-01-01') AS r(%s, a credit.aging_buckets)$$,
	(SELECT string_agg(i::text, ',') FROM generate_series(1, 17) i), (SELECT string_agg('k' || i || ' int', ',') FROM generate_series(1, 17) i)), '54011', 'aging_report groups by at most 16 columns, not 17');

-- 4. A query can do nothing that the caller could not

SELECT throws_ok(format('SELECT * FROM credit.aging_report(%L, ''2025-01-01'') AS r(k bigint, a credit.aging_buckets)', query), state, NULL, format('refused: %s', query))
  FROM (VALUES ('', '42601'), ('nonsense', '42601'), ('SELECT', '42804'), ('SELECT 1; SELECT 1', '42601'), ('BEGIN', '42601'), ('COMMIT', '42601'), ('DROP TABLE books.item', '42601'),
			   ('DELETE FROM books.item', '42601'), ('DELETE FROM books.item RETURNING k, amount, due_date', '0A000'),
			   ('WITH d AS (DELETE FROM books.item RETURNING *) SELECT k, amount, due_date FROM d', '0A000'), ('SELECT k, amount, due_date INTO books.copy FROM books.item', '42601'),
			   ('SELECT k, amount, due_date FROM books.item FOR UPDATE', '0A000'), ('COPY books.item TO STDOUT', '42601'), ('EXPLAIN SELECT 1', '0A000'), ('SHOW work_mem', '0A000'),
			   ('DO $x$ BEGIN NULL; END $x$', '42601'), ('SELECT k, amount, due_date FROM nowhere', '42P01'), ('SELECT $1, 1.0, current_date', '42P02'),
			   ('SELECT 1::bigint / (k - k), amount, due_date FROM books.item', '22012')) q (query, state);
SELECT is((SELECT count(*) FROM books.item), 6000::bigint, 'nothing was deleted');
CREATE ROLE books_reader;
GRANT USAGE ON SCHEMA books TO books_reader;
SELECT credit.grant_analyst('books_reader');
SET LOCAL ROLE books_reader;
SELECT throws_ok($$SELECT * FROM credit.aging_report('SELECT k, amount, due_date FROM books.item', '2025-01-01') AS r(k bigint, a credit.aging_buckets)$$, '42501', NULL, 'the rights are those of the caller');
SELECT lives_ok($$SELECT * FROM credit.aging_report('SELECT 1::bigint, 1.0, current_date', '2025-01-01') AS r(k bigint, a credit.aging_buckets)$$, 'an analyst may call it');
RESET ROLE;
SELECT is((SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) x WHERE p.proname IN ('aging_report', 'payment_report') AND x.grantee = 0), 0::bigint, 'PUBLIC may not');
-- a report over a report, and one that would never end
SELECT is((SELECT (a).total FROM credit.aging_report($$SELECT (a).total, current_date FROM credit.aging_report('SELECT k, amount, due_date FROM books.item', '2025-03-31') AS r(k bigint, a credit.aging_buckets)$$,
	'2025-03-31') AS r(a credit.aging_buckets)), (SELECT sum(amount) FROM books.item), 'a report over a report');
CREATE FUNCTION books.endless() RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT (a).total FROM credit.aging_report('SELECT books.endless(), current_date', '2025-01-01') AS r(a credit.aging_buckets));
END $$;
SET LOCAL max_stack_depth = '300kB';
SELECT throws_ok('SELECT books.endless()', '54001', NULL, 'a report of itself ends');
RESET max_stack_depth;
-- after all these errors it works as before
SELECT is_empty($$SELECT * FROM books.difference('k', 'k bigint', 'payment')$$, 'and all is well afterwards');

SELECT * FROM finish();
ROLLBACK;

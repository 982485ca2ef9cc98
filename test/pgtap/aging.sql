-- aging() against plain SQL over random rows: any number of groups, any order
-- of rows, in parallel or not, in moving windows; its state as bytes, sound
-- and unsound.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA books;
SELECT setseed(0.4);

-- 1. The truth in plain SQL, for all modes

-- 60,000 rows: most of them money, some of them not, some without a date
CREATE TABLE books.item AS
SELECT g AS id, (random() * 1000)::int AS k,
	   CASE WHEN r < 0.02 THEN NULL
			WHEN r < 0.03 THEN (random() * 1e12)::numeric(30,12)
			WHEN r < 0.04 THEN (random() * 1e10)::numeric * 1e12
			WHEN r < 0.05 THEN 0
			WHEN r < 0.30 THEN -(random() * 1000)::numeric(12,2)
			WHEN r < 0.40 THEN (random() * 10)::numeric(12,4)
			ELSE (random() * 10000)::numeric(12,2) END AS open,
	   CASE WHEN random() < 0.05 THEN NULL ELSE date '2025-06-30' - (random() * 300 - 100)::int END AS due
  FROM (SELECT g, random() AS r FROM generate_series(1, 60000) g OFFSET 0) x;
CREATE TABLE books.shuffled AS SELECT * FROM books.item ORDER BY random();
ANALYZE books.item, books.shuffled;

CREATE FUNCTION books.plain(of_table regclass, key text) RETURNS TABLE (mode text, grp int, sums numeric[], n_skipped bigint)
LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH item AS (
			SELECT (%2$s)::int AS grp, open, due, open < 0 AS is_credit,
				   CASE WHEN due IS NULL THEN 0
						WHEN date '2025-06-30' - due <= 0 THEN 1
						WHEN date '2025-06-30' - due <= 30 THEN 2
						WHEN date '2025-06-30' - due <= 60 THEN 3
						WHEN date '2025-06-30' - due <= 90 THEN 4
						WHEN date '2025-06-30' - due <= 120 THEN 5 ELSE 6 END AS bucket
			  FROM %1$s),
		total AS (
			SELECT i.grp, COALESCE(sum(open) FILTER (WHERE is_credit), 0) AS credits, sum(open) AS total,
				   count(*) FILTER (WHERE open IS NULL) AS n_skipped FROM item i GROUP BY i.grp),
		dated AS (
			SELECT i.grp, i.bucket, sum(open) FILTER (WHERE NOT is_credit) AS debit, sum(open) AS net
			  FROM item i GROUP BY i.grp, i.bucket),
		bucket AS (
			SELECT t.grp, b AS bucket, COALESCE(s.debit, 0) AS debit, COALESCE(s.net, 0) AS net, t.credits
			  FROM total t CROSS JOIN generate_series(0, 6) b LEFT JOIN dated s ON s.grp = t.grp AND s.bucket = b),
		/* credits pay 6, 5, ... 1 and at last 0 */
		paid AS (
			SELECT b.*, least(b.debit, greatest(0, -b.credits - (sum(b.debit) OVER w - b.debit))) AS paid
			  FROM bucket b WINDOW w AS (PARTITION BY b.grp ORDER BY b.bucket DESC)),
		answer AS (
			SELECT grp, array_agg(debit ORDER BY bucket = 0, bucket) AS debits, array_agg(net ORDER BY bucket = 0, bucket) AS nets,
				   array_agg(debit - paid ORDER BY bucket = 0, bucket) AS rests, sum(paid) AS paid FROM paid GROUP BY grp)
		SELECT m, r.grp,
			   CASE m WHEN 'separate' THEN r.debits || t.credits WHEN 'own' THEN r.nets || 0::numeric
					ELSE r.rests || t.credits + r.paid END || t.total, t.n_skipped
		  FROM answer r JOIN total t USING (grp), unnest('{separate,own,oldest}'::text[]) m$q$, of_table, key);
END $$;

CREATE FUNCTION books.as_array(a credit.aging_buckets) RETURNS numeric[] LANGUAGE sql AS $$
SELECT CASE WHEN a.total IS NOT NULL
	THEN ARRAY[a.current, a.d1_30, a.d31_60, a.d61_90, a.d91_120, a.d121_plus, a.undated, a.credits, a.total] END
$$;

-- The same by credit.aging, in each of its forms.
CREATE FUNCTION books.aged(of_table regclass, key text) RETURNS TABLE (mode text, grp int, sums numeric[], n_skipped bigint)
LANGUAGE plpgsql AS $$
DECLARE
	m text;
	form text;
BEGIN
	FOREACH m IN ARRAY '{separate,own,oldest}'::text[] LOOP
		RETURN QUERY EXECUTE format($q$
			SELECT %1$L::text, grp, books.as_array(a), (a).n_skipped FROM (
				SELECT (%3$s)::int AS grp, credit.aging(open, due, '2025-06-30' %4$s) AS a FROM %2$s GROUP BY 1 OFFSET 0) x$q$,
			m, of_table, key, CASE WHEN m <> 'separate' THEN format(', %L', m) END);
	END LOOP;
END $$;
CREATE FUNCTION books.aged_by_bounds(of_table regclass, key text) RETURNS TABLE (mode text, grp int, sums numeric[], n_skipped bigint)
LANGUAGE plpgsql AS $$
DECLARE
	m text;
BEGIN
	FOREACH m IN ARRAY '{separate,own,oldest}'::text[] LOOP
		RETURN QUERY EXECUTE format($q$
			SELECT %1$L::text, grp, CASE WHEN (a).total IS NOT NULL THEN (a).buckets || ARRAY[(a).undated, (a).credits, (a).total] END, (a).n_skipped FROM (
				SELECT (%3$s)::int AS grp, credit.aging(open, due, '2025-06-30', ARRAY[0, 30, 60, 90, 120], %1$L) AS a
				  FROM %2$s GROUP BY 1 OFFSET 0) x$q$,
			m, of_table, key);
	END LOOP;
END $$;

-- Groups without an amount have no sums; NULL as a total in plain SQL too.
CREATE FUNCTION books.difference(f text, of_table regclass, key text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH plain AS (SELECT mode, grp, CASE WHEN sums[9] IS NOT NULL THEN sums END AS sums, n_skipped FROM books.plain(%2$L, %3$L)),
			 aged AS (SELECT * FROM books.%1$I(%2$L, %3$L))
		SELECT format('%%s', d) FROM ((TABLE plain EXCEPT ALL TABLE aged) UNION ALL (TABLE aged EXCEPT ALL TABLE plain)) d LIMIT 5$q$, f, of_table, key);
END $$;

SET LOCAL work_mem = '256MB';
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT is_empty(format('SELECT * FROM books.difference(%L, %L, %L)', f, t, k), format('%s over %s by %s', f, t, k))
  FROM (VALUES ('aged', 'books.item', '1'), ('aged_by_bounds', 'books.shuffled', '1'),
			   ('aged', 'books.shuffled', 'k % 10'), ('aged_by_bounds', 'books.item', 'k'),
			   ('aged', 'books.shuffled', 'id')) v(f, t, k);
-- by sorting, too
SET LOCAL enable_hashagg = off;
SELECT is_empty($$SELECT * FROM books.difference('aged', 'books.shuffled', 'k')$$, 'by sorted groups');
RESET enable_hashagg;
-- and in less memory than the groups take: spilled to disk
SET LOCAL work_mem = '1MB';
SELECT is_empty($$SELECT * FROM books.difference('aged', 'books.item', 'id')$$, '60,000 groups in one megabyte');

-- 2. In parallel

SET LOCAL work_mem = '256MB';
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
\set schema books
\ir ../lib/plan.sql
CREATE TABLE books.serial AS
SELECT k, credit.aging(open, due, '2025-06-30') AS a, credit.aging(open, due, '2025-06-30', 'oldest') AS o,
	   credit.aging(open, due, '2025-06-30', ARRAY[-30, 0, 7, 400], 'own', 'due') AS b FROM books.item GROUP BY k;
CREATE TABLE books.serial_whole AS SELECT credit.aging(open, due, '2025-06-30', 'oldest') AS a FROM books.item;
SET LOCAL max_parallel_workers_per_gather = 4;
\set by_customer 'SELECT k, credit.aging(open, due, \'2025-06-30\') AS a, credit.aging(open, due, \'2025-06-30\', \'oldest\') AS o, credit.aging(open, due, \'2025-06-30\', ARRAY[-30, 0, 7, 400], \'own\', \'due\') AS b FROM books.shuffled GROUP BY k'
\set whole 'SELECT credit.aging(open, due, \'2025-06-30\', \'oldest\') AS a FROM books.shuffled'
SELECT matches(books.plan(:'by_customer'), 'Partial (Hash|Group)?Aggregate', 'by customer, workers add up');
SELECT matches(books.plan(:'whole'), 'Partial Aggregate', 'in the whole, too');
CREATE TABLE books.parallel AS :by_customer;
CREATE TABLE books.parallel_whole AS :whole;
SELECT is_empty($$SELECT k FROM books.serial s FULL JOIN books.parallel p USING (k)
	WHERE s.a::text IS DISTINCT FROM p.a::text OR s.o::text IS DISTINCT FROM p.o::text OR s.b::text IS DISTINCT FROM p.b::text$$,
	'the same to the last decimal shown, by customer');
SELECT is((SELECT a::text FROM books.parallel_whole), (SELECT a::text FROM books.serial_whole), 'and in the whole');
SELECT is_empty($$SELECT * FROM books.difference('aged', 'books.shuffled', 'k % 3')$$, 'parallel against plain SQL');

-- in parts that one process adds up: eight, of different sizes, one of them empty
SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TABLE books.part (part int, k int, open numeric, due date) PARTITION BY LIST (part);
SELECT lives_ok(format('CREATE TABLE books.part_%1$s PARTITION OF books.part FOR VALUES IN (%1$s)', n), 'part ' || n) FROM generate_series(0, 7) n;
INSERT INTO books.part SELECT floor(sqrt(random() * 49))::int, k, open, due FROM books.item;
ANALYZE books.part;
SET LOCAL enable_partitionwise_aggregate = on;
\set in_parts 'SELECT k, credit.aging(open, due, \'2025-06-30\') AS a, credit.aging(open, due, \'2025-06-30\', \'oldest\') AS o, credit.aging(open, due, \'2025-06-30\', ARRAY[-30, 0, 7, 400], \'own\', \'due\') AS b FROM books.part GROUP BY k'
SELECT matches(books.plan(:'in_parts'), 'Append\s+->  Partial HashAggregate', 'each part for itself');
SELECT is((SELECT count(*) FROM books.part_7), 0::bigint, 'one is empty');
CREATE TABLE books.in_parts AS :in_parts;
SELECT is_empty($$SELECT k FROM books.serial s FULL JOIN books.in_parts p USING (k)
	WHERE s.a::text IS DISTINCT FROM p.a::text OR s.o::text IS DISTINCT FROM p.o::text OR s.b::text IS DISTINCT FROM p.b::text$$,
	'any split gives the same');

-- 3. Moving windows

SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TABLE books.few AS
SELECT row_number() OVER (ORDER BY id) AS n, CASE WHEN id % 97 = 0 THEN 'NaN' WHEN id % 89 = 0 THEN 'Infinity'
	WHEN id % 83 = 0 THEN '-Infinity' ELSE open END AS open, due FROM books.item WHERE id <= 2000;
CREATE FUNCTION books.window_difference(mode text, preceding int, following int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format($q$
		SELECT count(*) FROM (
			SELECT n, credit.aging(open, due, '2025-06-30', %1$L) OVER (ORDER BY n ROWS BETWEEN %2$s PRECEDING AND %3$s FOLLOWING) AS a
			  FROM books.few) w
		 WHERE a::text IS DISTINCT FROM (SELECT credit.aging(open, due, '2025-06-30', %1$L)::text FROM books.few f
			 WHERE f.n BETWEEN w.n - %2$s AND w.n + %3$s)$q$, mode, preceding, following) INTO n;
	RETURN n;
END $$;
SELECT is(books.window_difference(m, p, f), 0::bigint, format('moving window, %s, %s before, %s after', m, p, f))
  FROM (VALUES ('separate', 3, 0), ('own', 20, 5), ('oldest', 200, 0), ('own', 0, 0)) v(m, p, f);
-- money alone moves by taking out, not by adding up anew: this would take minutes otherwise
CREATE TABLE books.money AS SELECT id, (id % 1000)::numeric(12,2) AS open, date '2025-06-30' - id % 200 AS due FROM generate_series(1, 60000) id;
SET LOCAL statement_timeout = '60s';
SELECT is((SELECT sum((a).total) FROM (
	SELECT credit.aging(open, due, '2025-06-30') OVER (ORDER BY id ROWS 30000 PRECEDING) AS a FROM books.money) w),
	(SELECT sum(t) FROM (SELECT sum(open) OVER (ORDER BY id ROWS 30000 PRECEDING) AS t FROM books.money) w), 'a window of 30,000 rows');
RESET statement_timeout;

-- 4. States as bytes. An aggregate whose "state" is a bytea hands it over as
-- the serialized state of aging(): what a worker sends, sound or not.

CREATE FUNCTION books.load(internal, bytea) RETURNS internal LANGUAGE internal IMMUTABLE PARALLEL SAFE AS 'int8larger';
CREATE FUNCTION books.send(internal) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'numeric_uplus';
CREATE AGGREGATE books.receive(bytea) (SFUNC = books.load, STYPE = internal, FINALFUNC = credit.aging_final,
	COMBINEFUNC = credit.aging_combine, SERIALFUNC = books.send, DESERIALFUNC = credit.aging_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE books.receive_array(bytea) (SFUNC = books.load, STYPE = internal, FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine, SERIALFUNC = books.send, DESERIALFUNC = credit.aging_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE books.bytes(numeric, date, date, text) (SFUNC = credit.aging_accum, STYPE = internal, FINALFUNC = credit.aging_serialize);
CREATE AGGREGATE books.bytes(numeric, date, date, integer[], text, text) (SFUNC = credit.aging_accum, STYPE = internal, FINALFUNC = credit.aging_serialize);
CREATE TABLE books.one (x int);
INSERT INTO books.one VALUES (1);
ANALYZE books.one;
SET LOCAL max_parallel_workers_per_gather = 2;
-- the leader does the workers' part: nobody need be started for each of thousands
SET LOCAL max_parallel_workers = 0;
CREATE TABLE books.row AS SELECT g AS x FROM generate_series(1, 1000) g;
ANALYZE books.row;
SELECT matches(books.plan($$SELECT books.receive('\x00') FROM books.row$$), 'Partial Aggregate', 'bytes go through the partial step');
-- without it the final function would take them for a state
DO $$ BEGIN
	IF books.plan('SELECT books.receive(''\x00'') FROM books.row') !~ 'Partial Aggregate' THEN
		RAISE EXCEPTION 'no partial aggregate';
	END IF;
END $$;

-- The answer to a state, or how it was refused.
CREATE FUNCTION books.answer(aggregate text, state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT books.%I(%L::bytea)::text FROM books.row', aggregate, state) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

CREATE TABLE books.state AS
SELECT 'money' AS kind, 'receive' AS aggregate, books.bytes(open, due, '2025-06-30', 'oldest') AS state,
	   credit.aging(open, due, '2025-06-30', 'oldest')::text AS result
  FROM books.item WHERE id <= 300 AND scale(open) <= 4
UNION ALL
SELECT 'any', 'receive', books.bytes(open, due, '2025-06-30', 'own'), credit.aging(open, due, '2025-06-30', 'own')::text
  FROM books.few
UNION ALL
SELECT 'numeric', 'receive', books.bytes(open * 1e-12, due, '2025-06-30', 'separate'), credit.aging(open * 1e-12, due, '2025-06-30')::text
  FROM books.item WHERE id <= 20
UNION ALL
SELECT 'array', 'receive_array', books.bytes(open, due, '2025-06-30', ARRAY[0, 7, 30], 'separate', 'document'),
	   credit.aging(open, due, '2025-06-30', ARRAY[0, 7, 30], 'separate', 'document')::text
  FROM books.item WHERE id <= 300
UNION ALL
SELECT 'no amounts', 'receive', books.bytes(open, due, '2025-06-30', 'own'), credit.aging(open, due, '2025-06-30', 'own')::text
  FROM books.item WHERE open IS NULL;
SELECT is(books.answer(aggregate, state), result, 'there and back: ' || kind) FROM books.state;

SELECT is((SELECT string_agg(DISTINCT books.answer(s.aggregate, substr(s.state, 1, n)), ' ') FROM books.state s, generate_series(0, length(s.state) - 1) n),
	'08P01', 'nothing shorter is taken');
SELECT is((SELECT string_agg(DISTINCT books.answer(s.aggregate, s.state || '\x00'), ' ') FROM books.state s), '08P01', 'nor anything longer');
SELECT is(books.answer('receive', set_byte(state, 0, 2)), '22P03', 'nor another version') FROM books.state WHERE kind = 'money';
SELECT is(books.answer('receive', set_byte(state, 1, 3)), '22P03', 'nor a mode that is none') FROM books.state WHERE kind = 'money';
SELECT is(books.answer('receive_array', set_byte(state, 2, 127)), '22P03', 'nor too many bounds') FROM books.state WHERE kind = 'array';
SELECT is(books.answer('receive_array', set_byte(state, 8, 255)), '22P03', 'nor bounds that do not ascend') FROM books.state WHERE kind = 'array';
SELECT is(books.answer('receive', set_byte(state, 4, 255)), '22P03', 'nor negative counts') FROM books.state WHERE kind = 'money';
SELECT is(books.answer('receive', set_byte(state, 12, 9)), '22P03', 'nor another version of the sums') FROM books.state WHERE kind = 'money';
SELECT is(books.answer('receive', set_byte(state, 14, 9)), '22P03', 'nor another number of sums') FROM books.state WHERE kind = 'money';
SELECT is(books.answer('receive', set_byte(state, 16, 64)), '22P03', 'nor more decimals than there are') FROM books.state WHERE kind = 'money';
-- the state of one form of aging() in another form
SELECT is(books.answer('receive', state), 'XX000', 'columns are for the default bounds') FROM books.state WHERE kind = 'array';

-- Every byte with some other value, and random noise: an answer or a refusal.
CREATE TABLE books.mutant AS
SELECT kind, n, books.answer(aggregate, set_byte(state, n, v)) AS answer
  FROM books.state, generate_series(0, length(state) - 1) n,
	   LATERAL (VALUES (0), (1), (127), (128), (255), ((random() * 255)::int)) b(v)
 WHERE n < 400;
SELECT cmp_ok((SELECT count(*) FROM books.mutant), '>', 3000::bigint, 'thousands of changed states');
SELECT is((SELECT string_agg(DISTINCT answer, ' ' ORDER BY answer) FROM books.mutant WHERE length(answer) = 5), '08P01 22P03',
	'are refused in words, if they are');
CREATE TABLE books.noise AS
SELECT books.answer('receive', decode(string_agg(lpad(to_hex((random() * 255)::int), 2, '0'), ''), 'hex')) AS answer
  FROM generate_series(1, 300) g, generate_series(1, 60) GROUP BY g;
SELECT is((SELECT count(*) FROM books.noise WHERE answer NOT IN ('08P01', '22P03')), 0::bigint, 'noise is refused');

-- 5. Analysts may, nobody else

CREATE ROLE credit_aging_analyst;
CREATE ROLE credit_aging_nobody;
GRANT USAGE ON SCHEMA books TO credit_aging_analyst, credit_aging_nobody;
GRANT SELECT ON books.one TO credit_aging_analyst, credit_aging_nobody;
SELECT credit.grant_analyst('credit_aging_analyst');
GRANT USAGE ON SCHEMA credit TO credit_aging_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO credit_aging_analyst, credit_aging_nobody;
SET LOCAL ROLE credit_aging_analyst;
SELECT is((SELECT (credit.aging(x, '2025-01-01', '2025-01-31')).d1_30 FROM books.one), 1::numeric, 'an analyst ages');
SELECT is((SELECT (credit.aging(x, '2025-01-01', '2025-01-31', ARRAY[0], 'own', 'due')).buckets[2] FROM books.one), 1::numeric, 'in every form');
SET LOCAL ROLE credit_aging_nobody;
SELECT throws_ok('SELECT credit.aging(x, ''2025-01-01'', ''2025-01-31'') FROM books.one', '42501', NULL, 'others do not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;

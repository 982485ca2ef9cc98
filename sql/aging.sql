--
-- aging: open amounts by how long they are overdue, over anybody's tables
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
CREATE EXTENSION credit;
CREATE SCHEMA books;

-- 1. Buckets

-- days past due, the first overdue day is the day after the due date
SELECT due_date, date '2025-06-30' - due_date AS dpd, credit.aging_bucket(due_date, '2025-06-30')
  FROM unnest('{2025-07-01,2025-06-30,2025-06-29,2025-05-31,2025-05-30,2025-05-01,2025-04-30,2025-04-01,2025-03-31,2025-03-02,2025-03-01}'::date[]) due_date;
SELECT credit.aging_bucket('2025-06-30', NULL), credit.aging_bucket(NULL, '2025-06-30');
SELECT credit.aging_bucket('infinity', '2025-06-30') AS never, credit.aging_bucket('-infinity', '2025-06-30') AS always,
	   credit.aging_bucket('5874897-12-31', '4713-01-01 BC') AS far, credit.aging_bucket('4713-01-01 BC', '5874897-12-31') AS long_ago;
-- negative bounds split what is not yet due
SELECT d AS dpd, credit.aging_bucket(date '2025-06-30' - d, '2025-06-30', ARRAY[-30, 0, 30])
  FROM unnest('{-31,-30,-29,0,1,30,31}'::int[]) d;
-- by document date: the first bucket is the future
SELECT d AS age, credit.aging_bucket(date '2025-06-30' - d, '2025-06-30', ARRAY[30, 60, 90, 120], 'document')
  FROM unnest('{-1,0,30,31,60,61,120,121}'::int[]) d;
-- the ends of what an integer holds are bounds as any other
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[-2147483648, 0, 2147483647]),
	   credit.aging_bucket('4713-01-01 BC', '5874897-12-31', ARRAY[0, 2147483646]);
-- many bounds, found by halves
SELECT min(b), max(b), bool_and(b = greatest(0, least(d, 366))) AS each_day
  FROM generate_series(-5, 400) d,
	   credit.aging_bucket(date '2025-06-30' - d, '2025-06-30', ARRAY(SELECT generate_series(0, 365))) b;

-- what is no bounds
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[0, 30, 30]);
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[0, 60, 30]);
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[30, 60]);
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[0, NULL, 30]);
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', NULL);
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', '{}');
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[[0, 30], [60, 90]]);
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY(SELECT generate_series(0, 366)));
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY(SELECT generate_series(0, 365)), 'document');
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[-1, 30], 'document');
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[0, 30], 'posting');
SELECT credit.aging_bucket('2025-06-30', '2025-06-30', ARRAY[0, 30], NULL);
SELECT credit.aging_bucket('2025-06-30', 'infinity');
-- lower bounds of an array are no matter
SELECT credit.aging_bucket('2025-05-30', '2025-06-30', '[5:6]={0,30}');

-- 2. The aging table

CREATE TABLE books.item (id int PRIMARY KEY, customer text, open numeric, due date);
INSERT INTO books.item
SELECT id, 'A', open, date '2025-06-30' - dpd
  FROM (VALUES (1, 500, 95), (2, 300, 40), (3, 200, -5)) i(id, open, dpd);
SELECT (credit.aging(open, due, '2025-06-30')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', ARRAY[0, 30, 60, 90])).* FROM books.item;

-- average age and oldest item, as doc/aging.md has them
SELECT sum(open * (date '2025-06-30' - due)) FILTER (WHERE open > 0) / NULLIF(sum(open) FILTER (WHERE open > 0 AND due IS NOT NULL), 0) AS average_age,
	   max(date '2025-06-30' - due) FILTER (WHERE open > 0) AS oldest
  FROM books.item;

-- credits: a note 10 days past due, cash of 3 days ago
INSERT INTO books.item VALUES (4, 'A', -250, date '2025-06-30' - 10), (5, 'A', -350, date '2025-06-30' - 3);
\set bounds 'ARRAY[0, 30, 60, 90]'
SELECT (credit.aging(open, due, '2025-06-30', :bounds, 'separate')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', :bounds, 'own')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', :bounds, 'oldest')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', 'separate')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', 'own')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', 'oldest')).* FROM books.item;
-- credits of 1,100: a surplus of 100 is left
UPDATE books.item SET open = -750 WHERE id = 4;
SELECT (credit.aging(open, due, '2025-06-30', :bounds, 'oldest')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', 'oldest')).* FROM books.item;
UPDATE books.item SET open = -250 WHERE id = 4;
-- by document date
SELECT (credit.aging(open, due, '2025-06-30', ARRAY[30, 60, 90, 120], 'separate', 'document')).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', ARRAY[0, 30], 'own', 'due')).* FROM books.item;

-- 3. Dates and amounts that are missing

INSERT INTO books.item VALUES (6, 'A', 70, NULL), (7, 'A', -30, NULL), (8, 'A', NULL, '2025-01-01'), (9, 'A', NULL, NULL);
SELECT m AS mode, (a).current, (a).d1_30, (a).undated, (a).credits, (a).total, (a).n_skipped
  FROM unnest('{separate,own}'::text[]) m,
	   LATERAL (SELECT credit.aging(open, due, '2025-06-30', m) AS a FROM books.item) x;
-- credits pay what has no date last
SELECT (credit.aging(open, due, '2025-06-30', 'oldest')).* FROM (
	SELECT open, due FROM books.item UNION ALL SELECT -410, NULL) x;
-- no as-of date: nothing has an age, and nothing is lost
SELECT (credit.aging(open, due, NULL)).* FROM books.item;
-- no rows, and none with an amount
SELECT (credit.aging(open, due, '2025-06-30')).* FROM books.item WHERE false;
SELECT (credit.aging(open, due, '2025-06-30')).* FROM books.item WHERE open IS NULL;
SELECT (credit.aging(open, due, '2025-06-30', :bounds)).* FROM books.item WHERE false;
SELECT (credit.aging(open, due, '2025-06-30', :bounds)).* FROM books.item WHERE open IS NULL;
-- nor is there any look at arguments then
SELECT (credit.aging(open, due, '2025-06-30', ARRAY[5], 'any')).* FROM books.item WHERE false;
-- an infinite due date has an age, an infinite as-of date gives none
SELECT (credit.aging(open, due, '2025-06-30')).* FROM (VALUES (1.5, 'infinity'::date), (2, '-infinity')) x(open, due);
SELECT (credit.aging(open, due, 'infinity')).* FROM books.item;
-- FILTER, DISTINCT and ORDER BY are PostgreSQL's
SELECT (credit.aging(open, due, '2025-06-30') FILTER (WHERE open > 0)).total,
	   (credit.aging(DISTINCT 5, due, '2025-06-30')).total AS of_distinct,
	   (credit.aging(open, due, '2025-06-30' ORDER BY open)).total AS of_ordered
  FROM books.item;
DELETE FROM books.item WHERE id > 5;

-- one set of bounds, one mode, a group
SELECT (credit.aging(open, due, '2025-06-30', CASE WHEN id = 2 THEN ARRAY[0, 31] ELSE ARRAY[0, 30] END)).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', CASE WHEN id = 2 THEN ARRAY[0, 30, 60] ELSE ARRAY[0, 30] END)).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', CASE WHEN id = 2 THEN 'own' ELSE 'oldest' END)).* FROM books.item;
SELECT (credit.aging(open, due, '2025-06-30', ARRAY[0, 30], 'own', CASE WHEN id = 2 THEN 'due' ELSE 'document' END)).* FROM books.item;
-- groups may differ
SELECT b, (credit.aging(open, due, '2025-06-30', b)).buckets
  FROM books.item, (VALUES (ARRAY[0, 30]), (ARRAY[-10, 0])) v(b) GROUP BY b ORDER BY b;
-- what is wrong with arguments
SELECT credit.aging(open, due, '2025-06-30', 'newest') FROM books.item;
SELECT credit.aging(open, due, '2025-06-30', '{0,30}') FROM books.item;
SELECT credit.aging(open, due, '2025-06-30', NULL::text) FROM books.item;
SELECT credit.aging(open, due, '2025-06-30', NULL::int[]) FROM books.item;
SELECT credit.aging(open, due, '2025-06-30', ARRAY[30, 60]) FROM books.item;
SELECT credit.aging(open, due, '2025-06-30', ARRAY[0, 30], NULL) FROM books.item;
SELECT credit.aging(open, due, '2025-06-30', ARRAY[0, 30], 'own', 'age') FROM books.item;

-- 4. A past date: what was open then, from what was posted by then

CREATE TABLE books.posting (item text, amount numeric, posted date, due date);
CREATE TABLE books.applied (item text, receipt text, amount numeric, on_date date, reversed_on date);
INSERT INTO books.posting VALUES
	('invoice', 1000, '2025-03-10', '2025-04-09'), ('receipt 1', -400, '2025-04-20', NULL), ('receipt 2', -600, '2025-05-15', NULL);
INSERT INTO books.applied VALUES
	('invoice', 'receipt 1', 400, '2025-04-20', NULL), ('invoice', 'receipt 2', 600, '2025-05-15', '2025-06-02');
CREATE FUNCTION books.open_on(as_of date) RETURNS TABLE (item text, open numeric, due date) LANGUAGE sql STABLE AS $$
SELECT p.item,
	   p.amount - COALESCE((SELECT sum(a.amount) FROM books.applied a
		 WHERE a.item = p.item AND a.on_date <= as_of AND (a.reversed_on IS NULL OR a.reversed_on > as_of)), 0)
	   + COALESCE((SELECT sum(a.amount) FROM books.applied a
		 WHERE a.receipt = p.item AND a.on_date <= as_of AND (a.reversed_on IS NULL OR a.reversed_on > as_of)), 0),
	   COALESCE(p.due, p.posted)
  FROM books.posting p WHERE p.posted <= as_of
$$;
SELECT d AS as_of, o.open, d - o.due AS dpd, (a).*
  FROM unnest('{2025-04-15,2025-04-30,2025-05-31,2025-06-30}'::date[]) d,
	   LATERAL (SELECT open, due FROM books.open_on(d) WHERE item = 'invoice') o,
	   LATERAL (SELECT credit.aging(open, due, d) AS a FROM books.open_on(d)) x;

-- 5. Instalments are rows of their own: 900 in three rows, 450 paid

SELECT r.open, date '2025-06-15' - r.due AS dpd, credit.aging_bucket(r.due, '2025-06-15')
  FROM (SELECT due, greatest(0, least(amount, sum(amount) OVER (ORDER BY due) - 450)) AS open
		  FROM (VALUES (300, date '2025-04-30'), (300, '2025-05-31'), (300, '2025-06-30')) i(amount, due)) r ORDER BY r.due;
SELECT (credit.aging(r.open, r.due, '2025-06-15')).*
  FROM (SELECT due, greatest(0, least(amount, sum(amount) OVER (ORDER BY due) - 450)) AS open
		  FROM (VALUES (300, date '2025-04-30'), (300, '2025-05-31'), (300, '2025-06-30')) i(amount, due)) r;

-- rows of receivable reports: what is outstanding, days after the report it is due
SELECT scenario, (credit.aging(outstanding, date '2025-06-30' + due_in, '2025-06-30')).*
  FROM (VALUES ('terms, payment, credit', 40, 60), ('terms, payment, credit', 20, 90), ('terms, payment, credit', -100, 0),
			   ('terms, partial credit', 20, 30), ('terms, partial credit', 40, 90), ('terms, partial credit', 20, 60),
			   ('credit note kept apart', 60, 0), ('credit note kept apart', -100, 0), ('advance on order', -1000, 0),
			   ('party totals', 100, -1), ('party totals', 85, -31)) r(scenario, outstanding, due_in)
 GROUP BY scenario ORDER BY scenario COLLATE "C";

-- 6. Amounts of any kind are exact, and shown with the decimals of the longest

CREATE TABLE books.amount (id int, amount numeric);
INSERT INTO books.amount VALUES (1, 0), (2, 0.01), (3, -0.1), (4, 99999999.99999999), (5, 100000000), (6, 0.00000001),
	(7, 0.000000001), (8, -1e23), (9, 999999999999999999999999.99), (10, 1e24), (11, 1e-20), (12, 123456789012345678901234567890),
	(13, 1e200), (14, -1e-200), (15, 10000), (16, 9999.9999), (17, -0.0001), (18, 1.5000), (19, 1.00000000000), (20, 0.0000000000000000000000000000000000000000000000000000000000000000);
-- each alone is what it was
SELECT id, amount FROM books.amount a
 WHERE (SELECT (credit.aging(b.amount, '2025-01-01', '2025-01-01')).total::text FROM books.amount b WHERE b.id = a.id) <> amount::text;
-- any two, any three
SELECT count(*) AS pairs, bool_and(got = wanted) AS same FROM (
	SELECT (credit.aging(x, '2025-01-01', '2025-01-01', 'own')).current::text AS got, sum(x)::text AS wanted
	  FROM books.amount a, books.amount b, unnest(ARRAY[a.amount, b.amount]) x GROUP BY a.id, b.id) s;
SELECT count(*) AS triples, bool_and(got = wanted) AS same FROM (
	SELECT (credit.aging(x, NULL, '2025-01-01', ARRAY[0], 'own')).undated::text AS got, sum(x)::text AS wanted
	  FROM books.amount a, books.amount b, books.amount c, unnest(ARRAY[a.amount, b.amount, c.amount]) x
	 WHERE a.id <= b.id AND b.id <= c.id GROUP BY a.id, b.id, c.id) s;
-- past 64 bits, past 128 bits of the eighth decimal
SELECT (credit.aging(99999999.99999999, '2025-01-01', '2025-01-01')).current = 2000 * 99999999.99999999 AS same FROM generate_series(1, 2000);
SELECT (credit.aging(999999999999999999999999.99, '2025-01-01', '2025-01-01')).current = 20000 * 999999999999999999999999.99 AS same FROM generate_series(1, 20000);
SELECT (credit.aging(-999999999999999999999999.99, '2025-01-01', '2025-01-01')).credits::text AS sum FROM generate_series(1, 20000);
-- NaN and infinities: as sum() has them
SELECT x AS amounts, (credit.aging(a, '2025-01-01', '2025-01-31', 'own')).d1_30, (credit.aging(a, '2025-01-01', '2025-01-31')).credits,
	   (credit.aging(a, '2025-01-01', '2025-01-31', 'oldest')).total, sum(a)
  FROM (VALUES (1, '{NaN,1}'::numeric[]), (2, '{Infinity,1.50}'), (3, '{-Infinity,1}'), (4, '{Infinity,-Infinity,2}'), (5, '{NaN,Infinity,-Infinity}')) v(n, x),
	   unnest(x) a GROUP BY n, x ORDER BY n;
-- the other buckets do not suffer
SELECT (credit.aging(a, d, '2025-01-31')).* FROM (VALUES ('NaN'::numeric, date '2025-01-01'), (1.50, '2025-02-01'), (1e30, '2024-12-01')) v(a, d);
SELECT (credit.aging(a, d, '2025-01-31', 'oldest')).* FROM (VALUES (-1e30, date '2025-01-01'), (1.50, '2025-02-01'), (9e29, '2024-12-01')) v(a, d);

-- 7. Moving windows

SELECT id, (credit.aging(open, due, '2025-06-30', 'own') OVER w).*
  FROM (SELECT id, open, due FROM books.item UNION ALL VALUES (6, 1.5, NULL), (7, NULL, NULL), (8, 2.25, date '2025-06-01'), (9, 7, '2025-06-02')) i
WINDOW w AS (ORDER BY id ROWS 2 PRECEDING);

-- 8. Support functions are nothing for people: SQL has no value of their state

SELECT credit.aging_accum(NULL::internal, 1::numeric, '2025-01-01'::date, '2025-01-01'::date);
SELECT credit.aging_final(NULL::internal);
SELECT count(*) AS with_state, count(*) FILTER (WHERE prokind = 'f' AND proparallel = 's' AND provolatile = 'i') AS safe
  FROM pg_proc WHERE pronamespace = 'credit'::regnamespace AND proname LIKE 'aging%' AND proname NOT LIKE 'aging_state%' AND 'internal'::regtype = ANY (proargtypes::oid[]);

-- 9. In parallel

CREATE TABLE books.many AS
SELECT g AS id, g % 7 AS customer, (((g * 7919) % 100000 - 3000) / 100.0)::numeric(12,2) AS open, date '2025-06-30' - (g % 250 - 50) AS due
  FROM generate_series(1, 20000) g;
ANALYZE books.many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_sort = off;
EXPLAIN (COSTS OFF)
SELECT customer, credit.aging(open, due, '2025-06-30') FROM books.many GROUP BY customer;
EXPLAIN (COSTS OFF)
SELECT credit.aging(open, due, '2025-06-30', ARRAY[0, 30], 'oldest', 'due') FROM books.many;
CREATE TABLE books.in_parallel AS
SELECT customer, (credit.aging(open, due, '2025-06-30')).* FROM books.many GROUP BY customer;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE books.alone AS
SELECT customer, (credit.aging(open, due, '2025-06-30')).* FROM books.many GROUP BY customer;
SELECT count(*) AS differences FROM ((TABLE books.in_parallel EXCEPT TABLE books.alone) UNION ALL (TABLE books.alone EXCEPT TABLE books.in_parallel)) d;
TABLE books.alone ORDER BY customer;

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

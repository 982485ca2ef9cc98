--
-- refusal: statements of many documents, refused so that a person can act
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set('currency', 'EUR');

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, name text, credit_limit numeric, currency text);
CREATE TABLE shop.orders (
	id int PRIMARY KEY, customer text, total numeric, ordered_on date, number text, currency text);
INSERT INTO shop.customers VALUES ('A', 'Anna Ltd', 1000, 'EUR'), ('B', NULL, 1000, 'EUR'), ('U', NULL, 100, 'USD');
INSERT INTO shop.customers SELECT 'M' || lpad(g::text, 4, '0'), NULL, 100, 'EUR' FROM generate_series(1, 1500) g;
SELECT credit.attach('shop.customers', 'customer', key => 'code', name => 'name',
	credit_limit => 'credit_limit', currency => 'currency');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total',
	number => 'number', currency => 'currency', document_date => 'ordered_on');

CREATE FUNCTION shop.answer(command text) RETURNS TABLE (field text, value text)
LANGUAGE plpgsql AS $$
DECLARE
	message_ text; detail_ text; hint_ text;
BEGIN
	EXECUTE command;
	RETURN QUERY VALUES ('accepted', '');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message_ = MESSAGE_TEXT, detail_ = PG_EXCEPTION_DETAIL, hint_ = PG_EXCEPTION_HINT;
	RETURN QUERY VALUES ('message', message_), ('detail', detail_), ('hint', hint_);
END
$$;
\pset format unaligned
\pset tuples_only on

-- 1. One customer

-- one document: as ever
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 1001)$$);
-- the first ten in the order they were written, the rest as a number; by date
-- the later ones come first, and three of 300 fit
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders
	SELECT g, 'A', 300, date '2026-12-31' - g, 'SO-' || g FROM generate_series(1, 25) g$$);
-- what others have said already counts, and a decrease makes room for one more
INSERT INTO shop.orders VALUES (100, 'A', 400, '2026-01-01', 'SO-100');
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders VALUES (100, 'A', 150, NULL), (1, 'A', 300, '2026-01-02'), (2, 'A', 300, '2026-01-03'), (3, 'A', 300, '2026-01-04')
	ON CONFLICT (id) DO UPDATE SET total = excluded.total$$);
-- the first does not fit: none
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 700, '2026-01-02'), (2, 'A', 1, '2026-01-03'), (3, 'A', 2, NULL)$$);
-- each would fit, in an UPDATE what it adds is what counts
INSERT INTO shop.orders SELECT g, 'A', 10, date '2026-02-01' + g FROM generate_series(1, 12) g;
SELECT * FROM shop.answer($$UPDATE shop.orders SET total = total + 50 WHERE id < 100$$);
SELECT count(*), sum(total) FROM shop.orders;
DELETE FROM shop.orders;

-- 2. Many customers

SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 500), (2, 'B', 1001), (3, 'M0001', 101), (4, 'M0002', 99)$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT g, 'M' || lpad((1 + g % 50)::text, 4, '0'), 40 + g % 2, '2026-01-01' FROM generate_series(1, 150) g$$);
-- a bound to what is looked at
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT g, 'M' || lpad(g::text, 4, '0'), 101 FROM generate_series(1, 1500) g$$);
-- in the middle: those before it have passed
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT g, 'M' || lpad(g::text, 4, '0'), CASE WHEN g > 1495 THEN 101 ELSE 100 END FROM generate_series(1, 1500) g$$);
-- blocked and not decided are named too, and add nothing to what is above
SELECT credit.set_rule('not_set', 'reject');
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 1500), (2, 'new 1', 5), (3, 'new 2', 5), (4, 'B', 1500)$$);
SELECT credit.set_rule('not_set', NULL);
SELECT count(*) FROM shop.orders;
SELECT count(*) FROM credit.item;
SELECT count(*) FROM credit.exposure WHERE total <> 0;

-- 3. Several currencies

SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 600, NULL, NULL, NULL), (2, 'A', 600, NULL, NULL, NULL), (3, 'U', 150, NULL, NULL, 'USD'), (4, 'B', 1003, NULL, NULL, NULL)$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 600, NULL, NULL, NULL), (2, 'A', 6, NULL, NULL, 'USD')$$);

-- 4. Without figures

SELECT credit.set('message_figures', 'off');
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT g, CASE WHEN g < 14 THEN 'A' ELSE 'B' END, 300, date '2026-12-31' - g FROM generate_series(1, 25) g$$);
SELECT credit.set('message_figures', NULL);

-- 5. Portions: the first documents are known, which would fit is not

SET work_mem = '64kB';
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders
	SELECT g, CASE WHEN g < 3000 THEN 'M0001' WHEN g % 2 = 0 THEN 'A' ELSE 'B' END, CASE WHEN g < 3000 THEN 0.01 ELSE 300 END,
		   date '2026-01-01', 'SO-' || g
	  FROM generate_series(1, 20000) g$$);
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders
	SELECT g, 'M' || lpad((1 + g % 1500)::text, 4, '0'), 20, date '2026-01-01'
	  FROM generate_series(1, 20000) g$$);
-- of so many customers that not the documents of all of them are kept: those of
-- the customers known first are, because they are refused first
SELECT credit.set_rule('not_set', 'off');
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders
	SELECT g, CASE WHEN g <= 20400 THEN 'k' || g % 2040 ELSE 'A' END, 100, date '2026-01-01', 'SO-' || g
	  FROM generate_series(1, 20420) g$$);
BEGIN;
INSERT INTO shop.orders SELECT g, 'k' || g, 100 FROM generate_series(1, 2040) g;
DELETE FROM shop.orders WHERE id <= 2040 AND customer LIKE 'k%';
SELECT credit.set_limit('last', 1000, 'test') > 0 AS is_set;
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders
	SELECT g, CASE WHEN g <= 20400 THEN 'k' || 1 + g % 2040 ELSE 'last' END, 100, date '2026-01-01', 'SO-' || g
	  FROM generate_series(1, 20420) g$$);
ROLLBACK;
SELECT credit.set_rule('not_set', NULL);
-- the first, whatever their currency
SELECT * FROM shop.answer($$
	INSERT INTO shop.orders
	SELECT g, 'A', 1, NULL, NULL, CASE g % 3 WHEN 0 THEN 'CHF' ELSE 'EUR' END
	  FROM generate_series(1, 5000) g$$);
RESET work_mem;
SELECT count(*) FROM shop.orders;
SELECT count(*) FROM credit.exposure WHERE total <> 0;

-- 6. COPY, and warnings

\set VERBOSITY default
COPY shop.orders (id, customer, total) FROM stdin;
1	A	600
2	A	600
3	B	1001
\.
SELECT credit.set('mode', 'warn');
INSERT INTO shop.orders SELECT g, 'A', 100, date '2026-01-01' + g FROM generate_series(1, 12) g;
SELECT credit.set('mode', NULL);

DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

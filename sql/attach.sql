--
-- attach: tables of the ERP are mapped, and let go again
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, name text, credit_limit numeric(12,2),
							 days int, company text NOT NULL DEFAULT '');
CREATE TABLE shop.orders (
	id int PRIMARY KEY, customer text, party text, total numeric(12,2), quantity float8,
	state text NOT NULL DEFAULT 'open', day date, ready date);
INSERT INTO shop.customers VALUES
	('A', 'Anna', 1000, 30), ('B', 'Bert', NULL, 14), ('C', 'Cleo', 0, NULL);
INSERT INTO shop.orders VALUES
	(1, 'A', NULL, 700, 1, 'open', '2026-01-01', '2026-01-15'),
	(2, 'A', NULL, 800, 1, 'open', '2026-01-02', NULL),
	(3, NULL, 'B', 30, 1, 'open', NULL, NULL),
	(4, 'C', NULL, 40, 1, 'draft', NULL, NULL),
	(5, NULL, NULL, 50, 1, 'open', NULL, NULL);

-- what a mapping can say
SELECT field, type, kinds, required FROM credit.field_catalog();

-- 1. A dry run tells and changes nothing

SET client_min_messages = warning;	-- the estimates vary
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'coalesce(customer, party)',
	amount => 'total', dry_run => true);
RESET client_min_messages;
SELECT (SELECT count(*) FROM credit.source) AS sources,
	   (SELECT count(*) FROM credit.account) AS accounts,
	   (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.orders'::regclass) AS triggers;
-- in any transaction
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL client_min_messages = warning;
SELECT credit.attach('shop.customers', 'customer', key => 'code', dry_run => true);
COMMIT;

-- 2. attach, with what it says

CREATE VIEW shop.catalog AS		-- what \d would show of the ERP's tables
SELECT c.oid::regclass AS relation, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
	   a.attnotnull, c.relhasrules, c.relrowsecurity, c.relchecks, c.reloptions, c.relacl,
	   (SELECT array_agg(x.indexrelid::regclass::text ORDER BY x.indexrelid::regclass::text) FROM pg_index x WHERE x.indrelid = c.oid) AS indexes,
	   (SELECT array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid) AS triggers,
	   (SELECT array_agg(k.conname::text ORDER BY k.conname) FROM pg_constraint k WHERE k.conrelid = c.oid) AS constraints
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind = 'r';
CREATE TEMP TABLE before AS TABLE shop.catalog;

SELECT credit.attach('shop.customers', 'customer', key => 'code', name => 'name',
	credit_limit => 'credit_limit', terms_days => 'days');
SELECT credit.attach('shop.orders', 'order', key => 'id',
	customer => 'coalesce(customer, party)', amount => 'total',
	document_date => 'day', due_date => 'ready + 2',
	counts_when => $$state IN ('open', 'ready')$$);
-- no order was refused, although A is above her limit now
SELECT customer, name, total, limit_state, credit_limit, is_over_limit
  FROM credit.exposure ORDER BY customer;
SELECT key, customer, amount, document_date, due_date FROM credit.exposure_document ORDER BY key;
SELECT name, relation, kind, on_breach, null_limit, zero_limit, on_error, health, problem FROM credit.sources ORDER BY name;
SELECT key, value FROM credit.sources, jsonb_each_text(fields) WHERE kind = 'order' ORDER BY key;
-- triggers are all that has come to the ERP's tables
SELECT relation, attname FROM (TABLE shop.catalog EXCEPT TABLE before) d
 WHERE (relation, attname) NOT IN (SELECT relation, attname FROM before);
SELECT DISTINCT relation, triggers FROM shop.catalog ORDER BY 1;

-- detach leaves the tables as they were, and takes exposure along
SELECT credit.detach('shop.orders');
SELECT credit.detach('shop.customers');
(TABLE shop.catalog EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE shop.catalog);
SELECT customer, total, limit_state FROM credit.exposure ORDER BY customer;
SELECT (SELECT count(*) FROM credit.item) AS items, (SELECT count(*) FROM credit.source) AS sources;
INSERT INTO shop.orders VALUES (6, 'A', NULL, 1000000);
-- their history stays
SELECT key, customer, amount FROM credit.item_history WHERE superseded_at IS NOT NULL ORDER BY key;
SELECT credit.detach('shop.orders');
SELECT credit.detach(NULL);

-- what NULL and 0 mean as a limit, and no backfill
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit',
	null_limit => 'unlimited', zero_limit => 'blocked');
SELECT customer, limit_state, credit_limit FROM credit.exposure ORDER BY customer;
SELECT credit.detach('shop.customers');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', backfill => false);
SELECT count(*) FROM credit.item;
SELECT credit.detach('shop.orders');
DELETE FROM shop.orders WHERE id = 6;

-- 3. Everything that is wrong is said at once

\set VERBOSITY default
SELECT credit.attach('shop.orders', 'order', customer => 'custommer', amount => 'day',
	due_date => 'day +', counts_when => 'total', name => 'party', applies_to => 'id',
	on_breach => 'shout', null_limit => 'zero', zero_limit => 'none', on_error => 'panic');
SELECT credit.attach('shop.orders', 'bill', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.attach('shop.orders', NULL, key => 'id');
SELECT credit.attach(NULL, 'order', key => 'id');
\set VERBOSITY terse
SELECT credit.attach('shop.nothing', 'order', key => 'id');
\set VERBOSITY default
SELECT credit.attach('shop.customers', 'customer', key => 'code', on_breach => 'warn');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', on_breach => 'hold');

-- expressions that are none, or could give another value tomorrow
CREATE SEQUENCE shop.s;
CREATE FUNCTION shop.problem(amount text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => amount, dry_run => true);
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN detail;
END
$$;
SET client_min_messages = warning;
SELECT amount, shop.problem(amount) FROM (VALUES
	('random() * total'),
	('total * extract(epoch FROM clock_timestamp())'),
	('(SELECT max(total) FROM shop.orders)'),
	('CASE WHEN EXISTS (SELECT FROM shop.orders) THEN 1 END'),
	('sum(total)'),
	('rank() OVER (ORDER BY total)'),
	('generate_series(1, 3)'),
	('unnest(ARRAY[total])'),
	('total, quantity'),
	('total AS t'),
	('total FROM shop.customers'),
	('total; DROP TABLE shop.orders'),
	('total) FROM shop.orders; --'),
	('total ORDER BY 1'),
	('SELECT 1'),
	(''),
	('   '),
	('$1'),
	('orders.*'),
	('shop.customers.credit_limit'),
	('day'),
	('state'),
	('true'),
	('ROW(total, quantity)'),
	('nextval(''shop.s'')'),
	('setval(''shop.s'', 1)')) e (amount);
-- a function that lies about itself is as good as its word
CREATE FUNCTION shop.price(total numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT total * 2';
CREATE FUNCTION shop.changing(total numeric) RETURNS numeric LANGUAGE sql AS 'SELECT total * 2';
SELECT shop.problem('shop.changing(total)'), shop.problem('shop.price(total)');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'shop.price(total)');
SELECT customer, total FROM credit.exposure WHERE customer = 'A';
SELECT credit.detach('shop.orders');

-- 4. Tables that cannot be attached

CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE shop.ft (id int, customer text, total numeric) SERVER elsewhere;
CREATE MATERIALIZED VIEW shop.mv AS TABLE shop.orders;
CREATE TEMP TABLE tmp (LIKE shop.orders);
CREATE TABLE shop.base (LIKE shop.orders);
CREATE TABLE shop.child () INHERITS (shop.base);
CREATE TYPE shop.composite AS (id int, customer text, total numeric);
\set order '''order'', key => ''id'', customer => ''customer'', amount => ''total'')'
SELECT credit.attach('shop.ft', :order;
SELECT credit.attach('shop.mv', :order;
SELECT credit.attach('tmp', :order;
SELECT credit.attach('shop.base', :order;
SELECT credit.attach('shop.child', :order;
SELECT credit.attach('shop.composite', :order;
SELECT credit.attach('shop.orders_pkey', :order;
SELECT credit.attach('credit.account', 'customer', key => 'customer');
SELECT credit.attach('pg_class', 'customer', key => 'relname');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT credit.attach('shop.orders', :order;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT credit.attach('shop.orders', :order;
ROLLBACK;
SELECT credit.attach('shop.orders', :order;
SELECT credit.attach('shop.orders', :order;
SELECT credit.detach('shop.orders');

-- rows that the ledger cannot hold
CREATE TABLE shop.bad (id text, customer text, total float8);
INSERT INTO shop.bad VALUES ('1', 'A', 1), ('1', 'B', 2), ('2', 'A', 'NaN'), (NULL, 'A', 3), ('3', 'A', 'Infinity');
SELECT credit.attach('shop.bad', :order;
CREATE TABLE shop.unreadable (id int, customer text, total text);
INSERT INTO shop.unreadable VALUES (1, 'A', '12.50'), (2, 'A', 'EUR 12');
SELECT credit.attach('shop.unreadable', 'order', key => 'id', customer => 'customer', amount => 'total::numeric');
SELECT count(*) FROM credit.source;

-- 5. Two mappings of one table

CREATE TABLE shop.documents (id int PRIMARY KEY, type text, customer text, total numeric, company text);
INSERT INTO shop.documents VALUES (1, 'order', 'A', 100, 'x'), (2, 'receipt', 'A', 30, 'x'), (3, 'order', 'A', 7, 'y');
SELECT credit.attach('shop.documents', 'order', key => 'id', customer => 'customer', amount => 'total',
	segment => 'company', counts_when => $$type = 'order'$$);
SELECT credit.attach('shop.documents', 'payment', key => 'id', customer => 'customer', amount => 'total',
	segment => 'company', counts_when => $$type = 'receipt'$$);
SELECT customer, segment, ordered, unapplied, total FROM credit.exposure WHERE segment <> '' ORDER BY 2;
UPDATE shop.documents SET type = 'receipt' WHERE id = 3;
UPDATE shop.documents SET type = 'order', total = 31 WHERE id = 2;
SELECT customer, segment, ordered, unapplied, total FROM credit.exposure WHERE segment <> '' ORDER BY 2;
SELECT credit.detach('shop.documents');
SELECT customer, segment, ordered, unapplied, total FROM credit.exposure WHERE segment <> '' ORDER BY 2;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'shop.documents'::regclass ORDER BY 1;
SELECT credit.detach('shop.documents:payment');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'shop.documents'::regclass ORDER BY 1;

-- 6. Keys of every type

CREATE TYPE shop.colour AS ENUM ('red', 'Dark "Blue"');
CREATE TABLE shop.keys (
	i int, b bigint, s smallint, t text, v varchar(10), c char(6), u uuid, n numeric(8,2),
	d date, e shop.colour, ts timestamptz, o oid, bo boolean, customer text, total numeric);
INSERT INTO shop.keys VALUES (
	-7, 9000000000, 3, ' x ', 'v', 'c ', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 1.5,
	'2026-02-03', 'Dark "Blue"', '2026-02-03 04:05:06+00', 1234, true, 'K', 1);
SET timezone = 'UTC';
CREATE FUNCTION shop.try_key(expression text) RETURNS TABLE (key text, ledger text, agrees boolean)
LANGUAGE plpgsql AS $$
BEGIN
	/* once through backfill, once through the trigger */
	PERFORM credit.attach('shop.keys', 'order', key => expression, customer => 'customer', amount => 'total');
	SELECT d.key INTO ledger FROM credit.exposure_document d;
	UPDATE shop.keys SET total = 3;
	agrees := (SELECT count(*) = 1 AND min(d.key) = ledger AND sum(d.amount) = 3 FROM credit.exposure_document d);
	UPDATE shop.keys SET total = 1;
	PERFORM credit.detach('shop.keys');
	key := expression;
	RETURN NEXT;
END
$$;
SELECT k.* FROM unnest(ARRAY['i', 'b', 's', 't', 'v', 'c', 'u', 'n', 'd', 'e', 'ts', 'o', 'bo',
	'(i, t)', '(i, c, e)', '(d, u)', 'ROW(n, i)', 'i::text || ''/'' || t', 'upper(v)']) e, shop.try_key(e) k;
-- dates and moments are written the same way whatever the session's style
SELECT credit.attach('shop.keys', 'order', key => '(d, i)', customer => 'customer', amount => 'total');
SET datestyle = 'German';
UPDATE shop.keys SET total = 5;
SET datestyle = 'SQL, DMY';
UPDATE shop.keys SET total = 6;
RESET datestyle;
SET datestyle = 'ISO, YMD';
SELECT key, amount FROM credit.exposure_document;
SELECT credit.detach('shop.keys');
SELECT credit.attach('shop.keys', 'order', key => 'ts', customer => 'customer', amount => 'total');
SET timezone = 'Asia/Tokyo';
UPDATE shop.keys SET total = 7;
SET timezone = 'UTC';
SELECT key, amount FROM credit.exposure_document;
SELECT credit.detach('shop.keys');

-- composite keys are told apart
CREATE TABLE shop.pair (a text, b text, customer text, total numeric, PRIMARY KEY (a, b));
SELECT credit.attach('shop.pair', 'order', key => '(a, b)', customer => 'customer', amount => 'total');
INSERT INTO shop.pair VALUES ('1', '2,3', 'K', 1), ('1,2', '3', 'K', 2), ('', '"', 'K', 3), ('(', ')', 'K', 4);
SELECT key, amount FROM credit.exposure_document ORDER BY amount;
UPDATE shop.pair SET b = b || 'x' WHERE total < 3;
DELETE FROM shop.pair WHERE a = '';
SELECT key, amount FROM credit.exposure_document ORDER BY amount;
SELECT credit.detach('shop.pair');

-- 7. Names that need quotes

CREATE SCHEMA "My ""Shop""; --";
CREATE TABLE "My ""Shop""; --"."Order-Table ""x""" (
	"select" int PRIMARY KEY, "From Customer" text, "To'tal" numeric, "a""b" date, "where" text);
INSERT INTO "My ""Shop""; --"."Order-Table ""x""" VALUES (1, 'Q''uote', 11, '2026-03-01', 'x');
SELECT credit.attach('"My ""Shop""; --"."Order-Table ""x"""', 'order', key => '"select"',
	customer => '"From Customer"', amount => '"To''tal"', document_date => '"a""b"',
	counts_when => $$"where" = 'x'$$) AS name \gset
SELECT :'name' AS name;
INSERT INTO "My ""Shop""; --"."Order-Table ""x""" VALUES (2, 'Q''uote', 22, '2026-03-01', 'x'), (3, '"', 33, '2026-03-01', 'y');
SELECT source, key, customer, amount, document_date FROM credit.exposure_document ORDER BY key;
SELECT name, health, fields FROM credit.sources;
SELECT credit.detach(:'name');
SELECT count(*) FROM credit.item;
-- the row's own name in an expression
SELECT credit.attach('shop.pair', 'order', key => '(pair.a, pair.b)', customer => 'shop.pair.customer', amount => 'pair.total');
SELECT fields FROM credit.sources;
SELECT credit.detach('shop.pair');
DROP SCHEMA "My ""Shop""; --" CASCADE;

-- 8. Names are qualified once and for all

CREATE SCHEMA other;
CREATE FUNCTION other.price(total numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT total * 100';
SET search_path = shop;
SELECT credit.attach('pair', 'order', key => '(a, b)', customer => 'customer', amount => 'price(total)');
SET search_path = other, shop;
SELECT source, key, amount FROM credit.exposure_document ORDER BY amount;
INSERT INTO pair VALUES ('9', '9', 'K', 9);
SELECT key, amount FROM credit.exposure_document ORDER BY amount;
SELECT fields ->> 'amount' AS amount FROM credit.sources;
SELECT credit.detach('shop.pair');
RESET search_path;

-- 9. A table that is dropped, and the extension dropped with tables attached

SELECT credit.attach('shop.pair', 'order', key => '(a, b)', customer => 'customer', amount => 'total');
SELECT customer, total FROM credit.exposure WHERE customer = 'K';
DROP TABLE shop.pair;
SELECT name, health, problem FROM credit.sources;
SELECT name AS gone FROM credit.sources \gset
SELECT credit.detach(:'gone');
SELECT customer, total FROM credit.exposure WHERE customer = 'K';
SELECT credit.attach('shop.orders', :order;
RESET client_min_messages;
DROP EXTENSION credit;
\set VERBOSITY terse
DROP EXTENSION credit CASCADE;
\set VERBOSITY default
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.orders'::regclass;
INSERT INTO shop.orders (id, customer, total) VALUES (100, 'A', 1000000);
SET client_min_messages = warning;
DROP SCHEMA shop, other CASCADE;

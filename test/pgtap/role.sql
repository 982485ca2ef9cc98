-- Roles: who places orders needs no right on schema credit and gets none;
-- an analyst reads everything and changes nothing.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();

CREATE ROLE credit_test_clerk;
CREATE ROLE credit_test_analyst;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, state text NOT NULL DEFAULT 'open');
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric);
INSERT INTO shop.customers VALUES ('A', 1000), ('B', 1000);
GRANT USAGE ON SCHEMA shop TO credit_test_clerk;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA shop TO credit_test_clerk;
SET LOCAL client_min_messages = error;
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', counts_when => $$state = 'open'$$);
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');
SET LOCAL client_min_messages = warning;

-- results of tests that run as another role
CREATE TABLE shop.seen (what text, wanted text, got text);
GRANT INSERT ON shop.seen TO credit_test_clerk, credit_test_analyst;
GRANT USAGE ON SCHEMA shop TO credit_test_analyst;

-- SQLSTATE a command ends with; 00000: none
CREATE FUNCTION shop.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
-- the same for a call; the right alone decides where NULL arguments would
-- keep a strict function from being called at all
CREATE FUNCTION shop.may_call(name text, call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF NOT has_schema_privilege('credit', 'USAGE') OR NOT has_function_privilege(name, 'EXECUTE') THEN
		RETURN '42501';
	END IF;
	RETURN shop.outcome(call);
END
$$;
-- every object of the extension, for roles that cannot look them up by use
CREATE TABLE shop.object AS
SELECT 'relation' AS type, c.oid::regclass::text AS name, c.relkind::text AS kind, NULL::text AS call, NULL::text AS volatility
  FROM pg_class c WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'v', 'S')
UNION ALL
SELECT 'function', p.oid::regprocedure::text, 'f',
	   format('SELECT credit.%I(%s)', p.proname,
			  (SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n) FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n))),
	   p.provolatile::text
  FROM pg_proc p WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype <> 'trigger'::regtype
   /* SQL has no value to call support functions of aggregates with */
   AND 'internal'::regtype <> ALL (p.proargtypes::oid[])
UNION ALL
SELECT 'trigger function', p.oid::regprocedure::text, 'f', NULL, NULL
  FROM pg_proc p WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype = 'trigger'::regtype;
GRANT SELECT ON shop.object TO credit_test_clerk, credit_test_analyst;

-- 1. The clerk

SET ROLE credit_test_clerk;
SET LOCAL client_min_messages = error;
SELECT lives_ok($$INSERT INTO shop.orders VALUES (1, 'A', 400), (2, 'A', 500), (3, 'B', 10)$$, 'a clerk places orders');
SELECT lives_ok($$UPDATE shop.orders SET total = total + 50 WHERE id = 2$$, 'and changes them');
SELECT lives_ok($$INSERT INTO shop.orders VALUES (3, 'B', 11) ON CONFLICT (id) DO UPDATE SET total = excluded.total$$, 'upserts them');
SELECT lives_ok($$INSERT INTO shop.payments VALUES (1, 'A', 50)$$, 'takes money');
SELECT lives_ok($$INSERT INTO shop.customers VALUES ('C', 5)$$, 'enters a customer');
SELECT lives_ok($$INSERT INTO shop.orders VALUES (4, 'unknown', 5)$$, 'and an order of one nobody knows');
COPY shop.orders (id, customer, total) FROM stdin;
5	B	100
6	C	5
\.
SELECT throws_ok($$INSERT INTO shop.orders VALUES (7, 'A', 101)$$, '23514',
	'order 7 of customer A would exceed the credit limit: limit 1000, exposure 900, adds 101 USD',
	'is refused properly on INSERT');
SELECT throws_ok($$UPDATE shop.orders SET total = 501 WHERE id = 1$$, '23514',
	'order 1 of customer A would exceed the credit limit: limit 1000, exposure 900, adds 101 USD',
	'on UPDATE');
SELECT throws_ok($$UPDATE shop.orders SET customer = 'C' WHERE id = 5$$, '23514',
	'order 5 of customer C would exceed the credit limit: limit 5, exposure 5, adds 100 USD', 'for another customer');
SAVEPOINT copy;
\set ON_ERROR_STOP off
\echo # one refusal follows:
COPY shop.orders (id, customer, total) FROM stdin;
8	A	100
9	A	1
\.
\set ON_ERROR_STOP on
ROLLBACK TO copy;
SET ROLE credit_test_clerk;
SELECT is((SELECT count(*) FROM shop.orders WHERE id IN (8, 9)), 0::bigint, 'on COPY');
SELECT lives_ok($$DELETE FROM shop.orders WHERE id = 1$$, 'and may delete');

-- what he cannot
INSERT INTO shop.seen SELECT 'clerk selects ' || name, '42501', shop.outcome('SELECT * FROM ' || name) FROM shop.object WHERE type = 'relation';
INSERT INTO shop.seen SELECT 'clerk deletes from ' || name, '42501', shop.outcome('DELETE FROM ' || name) FROM shop.object WHERE kind = 'r';
INSERT INTO shop.seen SELECT 'clerk truncates ' || name, '42501', shop.outcome('TRUNCATE ' || name) FROM shop.object WHERE kind = 'r';
INSERT INTO shop.seen SELECT 'clerk inserts into ' || name, '42501', shop.outcome('INSERT INTO ' || name || ' DEFAULT VALUES') FROM shop.object WHERE kind = 'r';
INSERT INTO shop.seen SELECT 'clerk locks ' || name, '42501', shop.outcome('LOCK TABLE ' || name || ' IN ACCESS SHARE MODE') FROM shop.object WHERE kind IN ('r', 'v');
INSERT INTO shop.seen SELECT 'clerk advances ' || name, '42501', shop.outcome(format('SELECT nextval(%L)', name)) FROM shop.object WHERE kind = 'S';
INSERT INTO shop.seen SELECT 'clerk drops ' || name, '42501', shop.outcome(format('DROP %s %s CASCADE', CASE kind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE 'SEQUENCE' END, name)) FROM shop.object WHERE type = 'relation';
INSERT INTO shop.seen SELECT 'clerk calls ' || name, '42501', shop.outcome(call) FROM shop.object WHERE type = 'function';
INSERT INTO shop.seen VALUES ('clerk creates in schema credit', '42501', shop.outcome('CREATE TABLE credit.mine (x int)')),
	('clerk drops the extension', '42501', shop.outcome('DROP EXTENSION credit CASCADE')),
	('clerk drops our trigger', '42501', shop.outcome('DROP TRIGGER zz_credit_row ON shop.orders')),
	('clerk disables our trigger', '42501', shop.outcome('ALTER TABLE shop.orders DISABLE TRIGGER zz_credit_row')),
	('clerk gets round triggers', '42501', shop.outcome('SET session_replication_role = replica')),
	('clerk turns the check off by a setting', '42602', shop.outcome('SET credit.mode = ''off'''));
RESET ROLE;
SELECT is(got, wanted, what) FROM shop.seen ORDER BY what;
TRUNCATE shop.seen;
SELECT is(total, 600::numeric - 50 - 50, 'the ledger has what he did') FROM credit.exposure WHERE customer = 'A';

-- 2. A table of his own: a clerk who may attach triggers cannot misuse ours

GRANT CREATE ON SCHEMA shop TO credit_test_clerk;
SET ROLE credit_test_clerk;
CREATE TABLE shop.own (id int, customer text, total numeric);
INSERT INTO shop.seen SELECT 'clerk attaches ' || name, '42501',
	shop.outcome(format('CREATE TRIGGER t AFTER INSERT ON shop.own FOR EACH ROW EXECUTE FUNCTION %s', name))
  FROM shop.object WHERE type = 'trigger function';
INSERT INTO shop.seen VALUES ('clerk attaches his table', '42501',
	shop.outcome($$SELECT credit.attach('shop.own', 'order', key => 'id', customer => 'customer', amount => 'total')$$));
RESET ROLE;
SELECT is(got, wanted, what) FROM shop.seen ORDER BY what;
TRUNCATE shop.seen;

-- 3. Expressions run as the one who places the order, not as anybody better

CREATE FUNCTION shop.who(customer text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN current_user; END $$;
CREATE TABLE shop.notes (id int PRIMARY KEY, customer text, total numeric);
GRANT ALL ON shop.notes TO credit_test_clerk;
SET LOCAL client_min_messages = error;
SELECT credit.attach('shop.notes', 'order', key => 'id', customer => 'shop.who(customer)', amount => 'total', on_breach => 'off');
SET LOCAL client_min_messages = warning;
SET ROLE credit_test_clerk;
INSERT INTO shop.notes VALUES (1, 'x', 1);
RESET ROLE;
SELECT is(customer, 'credit_test_clerk', 'a function of a mapping runs as the role that writes')
  FROM credit.exposure_document WHERE source = 'shop.notes';
-- one that he may not call
REVOKE EXECUTE ON FUNCTION shop.who(text) FROM PUBLIC;
SET ROLE credit_test_clerk;
SET LOCAL client_min_messages = error;
SELECT lives_ok($$INSERT INTO shop.notes VALUES (2, 'x', 1)$$, 'a function he may not call lets the row pass (on_error)');
SET LOCAL client_min_messages = warning;
RESET ROLE;
SELECT is(health, 'unverified', 'and the source says so') FROM credit.sources WHERE name = 'shop.notes';
SELECT credit.detach('shop.notes');

-- 4. The analyst

SELECT lives_ok($$SELECT credit.grant_analyst('credit_test_analyst')$$, 'grant_analyst');
SET ROLE credit_test_analyst;
INSERT INTO shop.seen SELECT 'analyst selects ' || name, '00000', shop.outcome('SELECT * FROM ' || name) FROM shop.object WHERE kind = 'v';
INSERT INTO shop.seen VALUES
	('analyst asks check_order', '00000', shop.outcome($$SELECT * FROM credit.check_order('A', 1000000)$$)),
	('analyst asks exposure_on', '00000', shop.outcome('SELECT * FROM credit.exposure_on(current_date)')),
	('analyst asks exposure_documents_on', '00000', shop.outcome('SELECT * FROM credit.exposure_documents_on(current_date)')),
	('analyst asks balance', '00000', shop.outcome('SELECT * FROM credit.balance(1)')),
	('analyst asks status', '00000', shop.outcome('SELECT * FROM credit.status()')),
	('analyst asks as_of', '00000', shop.outcome('SELECT credit.as_of(), credit.today()')),
	('analyst asks a past day', '00000', shop.outcome($$SET LOCAL credit.as_of = '2020-01-01'; SELECT * FROM credit.exposure, credit.near_limit$$));
INSERT INTO shop.seen SELECT 'analyst deletes from ' || name, '42501', shop.outcome('DELETE FROM ' || name) FROM shop.object WHERE kind = 'r';
INSERT INTO shop.seen SELECT 'analyst truncates ' || name, '42501', shop.outcome('TRUNCATE ' || name) FROM shop.object WHERE kind = 'r';
INSERT INTO shop.seen SELECT 'analyst inserts into ' || name, '42501', shop.outcome('INSERT INTO ' || name || ' DEFAULT VALUES') FROM shop.object WHERE kind = 'r';
INSERT INTO shop.seen SELECT 'analyst advances ' || name, '42501', shop.outcome(format('SELECT nextval(%L)', name)) FROM shop.object WHERE kind = 'S';
INSERT INTO shop.seen SELECT 'analyst calls ' || name, '42501', shop.may_call(name, call) FROM shop.object
 WHERE type = 'function' AND volatility = 'v' AND name NOT LIKE 'credit.check_order(%';
RESET ROLE;
SELECT is(got, wanted, what) FROM shop.seen ORDER BY what;
TRUNCATE shop.seen;

SELECT lives_ok($$SELECT credit.revoke_analyst('credit_test_analyst')$$, 'revoke_analyst');
SET ROLE credit_test_analyst;
INSERT INTO shop.seen SELECT 'after revoke_analyst: ' || name, '42501', shop.outcome('SELECT * FROM ' || name) FROM shop.object WHERE type = 'relation';
INSERT INTO shop.seen SELECT 'after revoke_analyst: ' || name, '42501', shop.outcome(call) FROM shop.object WHERE type = 'function';
RESET ROLE;
SELECT is(got, wanted, what) FROM shop.seen ORDER BY what;
SELECT is_empty($$
	SELECT classid::regclass, objid FROM pg_shdepend d
	 WHERE refobjid = 'credit_test_analyst'::regrole AND deptype = 'a'
	   AND (classid, objid) IN (SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relnamespace = 'credit'::regnamespace
								UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = 'credit'::regnamespace
								UNION ALL SELECT 'pg_namespace'::regclass, 'credit'::regnamespace)$$,
	'no right is left');

SELECT * FROM finish();
ROLLBACK;

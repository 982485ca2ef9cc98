--
-- control: what happens to an order that breaks a rule
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, name text, credit_limit numeric, currency text);
CREATE TABLE shop.orders (
	id int PRIMARY KEY, customer text, total numeric, state text NOT NULL DEFAULT 'open',
	number text, currency text, company text);
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric);
INSERT INTO shop.customers VALUES ('A', 'Anna Ltd', 1000), ('B', NULL, 1000), ('N', 'Neu', NULL), ('Z', 'Zero', 0);
SELECT credit.attach('shop.customers', 'customer', key => 'code', name => 'name',
	credit_limit => 'credit_limit', currency => 'currency');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total',
	number => 'number', currency => 'currency', segment => 'company',
	counts_when => $$state = 'open'$$);
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');

-- 1. The limit: what fits is <=

INSERT INTO shop.orders VALUES (1, 'A', 600);
INSERT INTO shop.orders VALUES (2, 'A', 400.01);
INSERT INTO shop.orders VALUES (2, 'A', 400);
INSERT INTO shop.orders VALUES (3, 'A', 0.01);
INSERT INTO shop.orders VALUES (3, 'A', 0);
UPDATE shop.orders SET total = 401 WHERE id = 2;
-- a new value replaces the old one before it is judged
UPDATE shop.orders SET total = 399 WHERE id = 2;
UPDATE shop.orders SET total = 400 WHERE id = 2;
UPDATE shop.orders SET total = CASE id WHEN 1 THEN 1 ELSE 999 END WHERE id < 3;
UPDATE shop.orders SET total = CASE id WHEN 1 THEN 600 ELSE 400 END WHERE id < 3;
-- cash makes room, and its loss makes none unmade
INSERT INTO shop.payments VALUES (1, 'A', 50);
INSERT INTO shop.orders VALUES (4, 'A', 50);
DELETE FROM shop.payments;
SELECT total, headroom, utilisation, is_over_limit FROM credit.exposure WHERE customer = 'A';

-- above the limit unchanged and lower passes, in every form
UPDATE shop.orders SET total = 40 WHERE id = 4;
UPDATE shop.orders SET total = 40, number = 'SO-4' WHERE id = 4;
UPDATE shop.orders SET total = total WHERE customer = 'A';
UPDATE shop.orders SET total = CASE id WHEN 1 THEN 599 ELSE 401 END WHERE id IN (1, 2);
INSERT INTO shop.orders VALUES (5, 'A', -5);
INSERT INTO shop.orders VALUES (6, 'A', 1);
UPDATE shop.orders SET total = -4 WHERE id = 5;
DELETE FROM shop.orders WHERE id = 4;
-- 1000 - 5 = 995
INSERT INTO shop.orders VALUES (6, 'A', 5);
INSERT INTO shop.orders VALUES (7, 'A', 1, 'draft');
UPDATE shop.orders SET state = 'open' WHERE id = 7;
-- going to another customer is an increase there
INSERT INTO shop.orders VALUES (8, 'B', 999);
UPDATE shop.orders SET customer = 'A' WHERE id = 8;
UPDATE shop.orders SET customer = 'B' WHERE id = 6;
UPDATE shop.orders SET customer = 'B' WHERE id = 3;
SELECT customer, total, headroom FROM credit.exposure WHERE customer IN ('A', 'B') ORDER BY 1;
-- a refused statement leaves nothing at all
SELECT count(*) FROM credit.item WHERE key IN ('4', '7');
SELECT count(*) FROM credit.decision;

-- 2. What an application and its user get to see

CREATE FUNCTION shop.answer(command text) RETURNS TABLE (field text, value text)
LANGUAGE plpgsql AS $$
DECLARE
	sqlstate_ text; constraint_ text; schema_ text; table_ text; message_ text;
	detail_ text; hint_ text; column_ text;
BEGIN
	EXECUTE command;
	RETURN QUERY VALUES ('accepted', '');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS sqlstate_ = RETURNED_SQLSTATE, message_ = MESSAGE_TEXT,
		detail_ = PG_EXCEPTION_DETAIL, hint_ = PG_EXCEPTION_HINT, constraint_ = CONSTRAINT_NAME,
		schema_ = SCHEMA_NAME, table_ = TABLE_NAME, column_ = COLUMN_NAME;
	RETURN QUERY VALUES ('sqlstate', sqlstate_), ('message', message_), ('detail', detail_), ('hint', hint_),
		('constraint', constraint_), ('schema', schema_), ('table', table_), ('column', column_);
END
$$;
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'A', 1000)$$);
-- people know an order by its number
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'B', 1000, 'open', 'SO-2026/10')$$);
-- several orders of a customer in one statement are judged together
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'B', 1, 'open', 'SO-10'), (11, 'Z', 0, 'open', NULL), (12, 'B', 3, 'open', 'SO-12')$$);
\pset format aligned
SELECT count(*) FROM shop.orders WHERE id IN (10, 11, 12);
-- increases and decreases of one customer in one statement offset each other
DELETE FROM shop.orders WHERE id IN (7, 10, 11, 12);
INSERT INTO shop.orders VALUES (10, 'A', 1), (11, 'A', -3), (12, 'A', 2);
DELETE FROM shop.orders WHERE id IN (10, 11, 12);

-- amounts may be kept from those who place orders
SELECT credit.set('message_figures', 'off');
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'A', 1000)$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'Z', 1)$$);
\pset format aligned
SELECT credit.set('message_figures', NULL);
-- and the SQLSTATE may be what the framework shows
SELECT credit.set('refusal_sqlstate', 'P0001');
SELECT value FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'A', 1000)$$) WHERE field = 'sqlstate';
SELECT credit.set('refusal_sqlstate', 'CR001');
SELECT value FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'A', 1000)$$) WHERE field = 'sqlstate';
SELECT credit.set('refusal_sqlstate', NULL);
SELECT value FROM shop.answer($$INSERT INTO shop.orders VALUES (10, 'A', 1000)$$) WHERE field = 'sqlstate';
-- an application catches it and goes on
DO $$
BEGIN
	INSERT INTO shop.orders VALUES (10, 'A', 1000);
EXCEPTION WHEN check_violation THEN
	INSERT INTO shop.orders VALUES (10, 'B', 1);
END
$$;
SELECT customer, total FROM credit.exposure WHERE customer IN ('A', 'B') ORDER BY 1;
DELETE FROM shop.orders WHERE id = 10;

-- 3. Other states of the limit

-- 0 is a limit of 0
INSERT INTO shop.orders VALUES (20, 'Z', 0.01);
INSERT INTO shop.orders VALUES (20, 'Z', 0);
-- not_set warns, and so does an order of a customer nobody knows
INSERT INTO shop.orders VALUES (21, 'N', 21);
INSERT INTO shop.orders VALUES (22, 'stranger', 22);
SELECT customer, name, total, limit_state, headroom, utilisation, is_over_limit
  FROM credit.exposure WHERE limit_state = 'not_set' ORDER BY 1;
SELECT credit.set_rule('not_set', 'reject');
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (23, 'stranger', 1)$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (23, 'another', 1)$$);
\pset format aligned
SELECT count(*) FROM credit.account WHERE customer = 'another';
UPDATE shop.orders SET total = 21 WHERE id = 22;
SELECT credit.set_rule('not_set', 'off');
INSERT INTO shop.orders VALUES (23, 'stranger', 1);
SELECT credit.set_rule('not_set', NULL);

-- blocked: nothing more, whatever it is; lower and unchanged passes
SELECT credit.set_limit('stranger', NULL, 'fraud', state => 'blocked') > 0 AS is_set;
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (24, 'stranger', 1, 'open', 'X')$$);
\pset format aligned
UPDATE shop.orders SET total = 20 WHERE id = 22;
UPDATE shop.orders SET total = 21 WHERE id = 22;
UPDATE shop.orders SET state = 'closed' WHERE id = 22;
UPDATE shop.orders SET state = 'open' WHERE id = 22;
SELECT total, limit_state, headroom, is_over_limit FROM credit.exposure WHERE customer = 'stranger';
-- unlimited
SELECT credit.set_limit('stranger', NULL, 'the state', state => 'unlimited') > 0 AS is_set;
INSERT INTO shop.orders VALUES (25, 'stranger', 1e15);
SELECT total, limit_state, headroom, utilisation, is_over_limit FROM credit.exposure WHERE customer = 'stranger';
-- the limit is the ERP's column: a change counts for the next order
UPDATE shop.customers SET credit_limit = 1010 WHERE code = 'A';
INSERT INTO shop.orders VALUES (26, 'A', 15);
UPDATE shop.customers SET credit_limit = 900 WHERE code = 'A';
INSERT INTO shop.orders VALUES (27, 'A', 1);
UPDATE shop.customers SET credit_limit = NULL WHERE code = 'A';
INSERT INTO shop.orders VALUES (27, 'A', 1);
UPDATE shop.customers SET credit_limit = 1000 WHERE code = 'A';
DELETE FROM shop.orders WHERE id IN (26, 27);
-- also within the transaction that changes it
BEGIN;
UPDATE shop.customers SET credit_limit = 2000 WHERE code = 'A';
INSERT INTO shop.orders VALUES (28, 'A', 1000);
ROLLBACK;
INSERT INTO shop.orders VALUES (28, 'A', 1000);

-- 4. Reactions: the weakest of mode, source and rule

TRUNCATE shop.orders;
CREATE TABLE shop.soft (id int PRIMARY KEY, customer text, total numeric);
CREATE FUNCTION shop.reaction(mode text, rule_reaction text, source_reaction text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
	before bigint;
BEGIN
	PERFORM credit.set('mode', mode);
	PERFORM credit.set_rule('limit', rule_reaction);
	PERFORM credit.attach('shop.soft', 'order', key => 'id', customer => 'customer', amount => 'total',
						  on_breach => source_reaction);
	SELECT count(*) INTO before FROM credit.decision;
	BEGIN
		INSERT INTO shop.soft VALUES (1, 'B', 1001);
		SELECT COALESCE(min(d.verdict), 'off') INTO result FROM credit.decision_log d
		 WHERE d.item_key = '1' AND before < (SELECT count(*) FROM credit.decision);
		RAISE EXCEPTION USING ERRCODE = 'ZZ000';
	EXCEPTION
		WHEN check_violation THEN result := 'reject';
		WHEN SQLSTATE 'ZZ000' THEN NULL;
	END;
	PERFORM credit.detach('shop.soft');
	PERFORM credit.set('mode', NULL);
	PERFORM credit.set_rule('limit', NULL);
	RETURN result;
END
$$;
SET client_min_messages = error;
SELECT m AS mode, s AS source, string_agg(r || ' -> ' || shop.reaction(m, r, s), ', ' ORDER BY n) AS "rule -> outcome"
  FROM unnest(ARRAY['off', 'shadow', 'warn', 'reject']) WITH ORDINALITY x (m, k),
	   unnest(ARRAY['off', 'shadow', 'warn', 'reject']) WITH ORDINALITY y (s, l),
	   unnest(ARRAY['off', 'shadow', 'warn', 'reject']) WITH ORDINALITY z (r, n)
 GROUP BY m, k, s, l ORDER BY k, l;
SET client_min_messages = warning;

-- shadow says nothing and writes it down; warn says it, too
SELECT credit.set('mode', 'shadow');
INSERT INTO shop.orders VALUES (30, 'B', 1500);
SELECT credit.set('mode', 'warn');
INSERT INTO shop.orders VALUES (31, 'B', 1, 'open', 'SO-31');
UPDATE shop.orders SET total = 2 WHERE customer = 'B';
UPDATE shop.orders SET total = total + 1 WHERE customer = 'B';
SELECT credit.set('mode', 'reject');
INSERT INTO shop.orders VALUES (32, 'B', 995);
INSERT INTO shop.orders VALUES (32, 'B', 994);
SELECT verdict, rule, customer, name, source, key, documents, currency, amount, exposure, limit_state, credit_limit, reasons, role = current_user AS own
  FROM credit.decision WHERE customer = 'B' ORDER BY decided_at;
-- what rolls back was not decided
BEGIN;
SELECT credit.set_rule('limit', 'shadow');
INSERT INTO shop.orders VALUES (33, 'B', 5000);
SELECT count(*) FROM credit.decision WHERE key = '33';
ROLLBACK;
SELECT count(*) FROM credit.decision WHERE key = '33';
INSERT INTO shop.orders VALUES (33, 'B', 5000);

-- two rules broken: the strongest reaction decides, all reasons are given
UPDATE shop.customers SET currency = 'EUR', credit_limit = 10 WHERE code = 'Z';
SELECT credit.set_rule('limit', 'warn');
INSERT INTO shop.orders VALUES (40, 'Z', 11, 'open', NULL, 'EUR');
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (41, 'Z', 5, 'open', NULL, 'EUR'), (42, 'Z', 7, 'open', NULL, 'CHF')$$);
\pset format aligned
SELECT credit.set_rule('limit', NULL);

-- many warnings of one statement do not drown the client; all are written down
SELECT credit.set_rule('not_set', 'warn');
\set VERBOSITY terse
INSERT INTO shop.orders SELECT 100 + i, 'new ' || i, i FROM generate_series(1, 15) i;
\set VERBOSITY default
SELECT count(*) FROM credit.decision WHERE rule = 'not_set' AND customer LIKE 'new %';

-- 5. A role that is never refused

CREATE ROLE regress_credit_migration;
CREATE ROLE regress_credit_clerk;
GRANT USAGE ON SCHEMA shop TO regress_credit_migration, regress_credit_clerk;
GRANT ALL ON ALL TABLES IN SCHEMA shop TO regress_credit_migration, regress_credit_clerk;
SELECT credit.set('bypass_role', 'regress_credit_migration');
SELECT customer, total FROM credit.exposure WHERE customer = 'B';
SET ROLE regress_credit_migration;
INSERT INTO shop.orders VALUES (50, 'B', 7000);
SET ROLE regress_credit_clerk;
INSERT INTO shop.orders VALUES (51, 'B', 1);
RESET ROLE;
-- a superuser is a member only when made one
INSERT INTO shop.orders VALUES (51, 'B', 1);
GRANT regress_credit_migration TO regress_credit_clerk;
SET ROLE regress_credit_clerk;
INSERT INTO shop.orders VALUES (51, 'B', 1);
RESET ROLE;
SELECT verdict, rule, key, amount, exposure, credit_limit, role FROM credit.decision WHERE verdict = 'bypass' ORDER BY decided_at;
SELECT credit.set('bypass_role', NULL);
SET ROLE regress_credit_migration;
INSERT INTO shop.orders VALUES (52, 'B', 1);
RESET ROLE;

-- 6. The question without an order

TRUNCATE shop.orders;
INSERT INTO shop.orders VALUES (60, 'A', 900);
\x
SELECT * FROM credit.check_order('A', 100);
SELECT * FROM credit.check_order('A', 150);
SELECT * FROM credit.check_order('N', 150);
SELECT * FROM credit.check_order('nobody at all', 150);
SELECT verdict, rule, message, reasons, hint FROM credit.check_order('A', 10, 'EUR');
SELECT * FROM credit.check_order('A', -10);
SELECT * FROM credit.check_order('A', 10, NULL, 'other company');
\x
-- it changes nothing
SELECT count(*) FROM credit.account WHERE customer = 'nobody at all' OR segment = 'other company';
SELECT credit.set('mode', 'shadow');
SELECT verdict, rule FROM credit.check_order('A', 150);
SELECT credit.set('mode', 'off');
SELECT verdict, rule FROM credit.check_order('A', 150);
SELECT credit.set('mode', NULL);
SELECT verdict FROM credit.check_order('A', 'NaN');
SELECT verdict FROM credit.check_order(NULL, 1);
SELECT verdict FROM credit.check_order('A', NULL);

-- 7. Amounts in several currencies need rates, which are not there (where they are: currency.sql)

INSERT INTO shop.orders VALUES (70, 'A', 10, 'open', NULL, 'EUR');
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (70, 'A', 10, 'open', NULL, 'EUR')$$);
\pset format aligned
-- the reaction of the rule is the DBA's to choose
SELECT credit.set_rule('missing_rate', 'shadow');
INSERT INTO shop.orders VALUES (70, 'A', 10, 'open', NULL, 'EUR');
SELECT total, headroom, is_over_limit, other_currencies FROM credit.exposure WHERE customer = 'A' AND segment = '';
SELECT credit.set_rule('missing_rate', NULL);
INSERT INTO shop.orders VALUES (71, 'A', 10);
-- lowering passes, and payments are never refused
UPDATE shop.orders SET total = 5 WHERE id = 70;
INSERT INTO shop.payments VALUES (70, 'A', 1);
DELETE FROM shop.orders WHERE id = 70;
INSERT INTO shop.orders VALUES (71, 'A', 10);
-- the currency of an account that has one of its own
INSERT INTO shop.customers VALUES ('E', 'Europa', 100, 'EUR');
INSERT INTO shop.orders VALUES (72, 'E', 60, 'open', NULL, 'EUR');
INSERT INTO shop.orders VALUES (73, 'E', 41, 'open', NULL, 'EUR');
INSERT INTO shop.orders VALUES (73, 'E', 40);
SELECT currency, total, headroom, other_currencies FROM credit.exposure WHERE customer = 'E';

-- 8. Segments have limits of their own

SELECT credit.set_limit('S', 100, NULL, 'east') > 0 AS is_set;
SELECT credit.set_limit('S', 200, NULL, 'west') > 0 AS is_set;
INSERT INTO shop.orders VALUES (80, 'S', 100, 'open', NULL, NULL, 'east'), (81, 'S', 200, 'open', NULL, NULL, 'west');
INSERT INTO shop.orders VALUES (82, 'S', 1, 'open', NULL, NULL, 'west');
UPDATE shop.orders SET company = 'east' WHERE id = 81;
DELETE FROM shop.orders WHERE id = 80;
UPDATE shop.orders SET company = 'east', total = 100 WHERE id = 81;
SELECT segment, total FROM credit.exposure WHERE customer = 'S' ORDER BY 1;

-- 9. The check asks for the limit of today, wherever the views look

SET credit.as_of = '2001-01-01';
INSERT INTO shop.orders VALUES (90, 'B', 1001);
RESET credit.as_of;
-- the ledger can be switched off altogether
SELECT credit.set('capture', 'off');
INSERT INTO shop.orders VALUES (90, 'B', 1001);
SELECT total FROM credit.exposure WHERE customer = 'B';
SELECT severity, subject, finding FROM credit.status() WHERE subject = 'setting capture';
SELECT credit.set('capture', NULL);

DROP OWNED BY regress_credit_migration, regress_credit_clerk;
DROP ROLE regress_credit_migration, regress_credit_clerk;
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

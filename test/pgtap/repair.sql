-- repair(): every difference that reconcile() lists is mended, and what entered
-- without a check is reported. repair() commits, so this file is no transaction.
CREATE EXTENSION credit;
SELECT plan(55);
SET client_min_messages = warning;
\ir ../lib/flow.sql
SELECT setseed(0.3);
DO $$ BEGIN FOR i IN 1..300 LOOP CALL flow.step(); END LOOP; END $$;
CALL flow.attach();
DO $$ BEGIN FOR i IN 1..300 LOOP CALL flow.step(); END LOOP; END $$;
SELECT is_empty('SELECT * FROM credit.reconcile()', 'at the beginning all agrees');
SELECT is_empty('SELECT * FROM flow.trouble', 'with the truth, too');

-- the lines of what reconcile() lists, shortly
CREATE VIEW pg_temp.listed AS
SELECT format('%s %s %s', source_name, difference, count(*)) AS line FROM credit.reconcile() GROUP BY source_name, difference;

-- 1. Random business that no trigger sees, of all kinds at once
SET session_replication_role = replica;
DO $$ BEGIN FOR i IN 1..400 LOOP CALL flow.step(); END LOOP; END $$;
UPDATE erp.customers SET credit_limit = 5 WHERE id = 1;
INSERT INTO erp.customers VALUES (6, 7);
SET session_replication_role = origin;
SELECT cmp_ok((SELECT count(DISTINCT source_name) FROM credit.reconcile()), '>=', 9::bigint, 'differences in every source');
SELECT count(*) AS n FROM credit.reconcile() \gset
CALL credit.repair(dry_run => true);
SELECT is((SELECT count(*) FROM credit.reconcile()), :n::bigint, 'a dry run changes nothing');
SELECT is((SELECT sum(n_found) FROM credit.repairs WHERE is_dry_run), :n::numeric, 'and counts what reconcile() lists');
SELECT is((SELECT count(*) FROM credit.repairs WHERE is_dry_run AND n_mended IS NOT NULL), 0::bigint, 'of which nothing is mended');
CALL credit.repair();
SELECT is_empty('SELECT * FROM credit.reconcile()', 'after repair() nothing differs');
SELECT is_empty('SELECT * FROM flow.trouble', 'exposure, settlements, aging and statements are the truth');
SELECT results_eq('SELECT sum(n_found), sum(n_mended), sum(n_left), count(*) FILTER (WHERE reason IS NOT NULL) FROM credit.repairs WHERE NOT is_dry_run',
	format('VALUES (%s::numeric, %s::numeric, 0::numeric, 0::bigint)', :n, :n), 'every run is written down by source');
SELECT is((SELECT credit_limit FROM credit.exposure WHERE customer = '1'), 5::numeric, 'a limit was mended');
SELECT is((SELECT credit_limit FROM credit.exposure WHERE customer = '6'), 7::numeric, 'a customer was missing');
SELECT is((SELECT count(*) FROM credit.repair_task), 0::bigint, 'no task is left');
SELECT is((SELECT count(*) FROM credit.item_version v JOIN credit.source s USING (source_id) WHERE s.kind = 'customer')
	+ (SELECT count(*) FROM credit.item i JOIN credit.source s USING (source_id) WHERE s.kind = 'customer'), 0::bigint,
	'customers of a table leave no items');
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM credit.journal) AS j, (SELECT count(*) FROM credit.item_version) AS v;
CALL credit.repair();
SELECT results_eq('SELECT (SELECT count(*) FROM credit.journal), (SELECT count(*) FROM credit.item_version)', 'SELECT j, v FROM before', 'a second run writes nothing');
SELECT is((SELECT count(*) FROM credit.sources WHERE last_compared_at > now() - interval '1 hour' AND differences_left = 0 AND health = 'ok'), 10::bigint,
	'view sources says when each was compared last');
SELECT matches((SELECT finding FROM credit.status() WHERE severity = 'ok'), 'compared with the ERP last on \d{4}-', 'and so does status()');

-- 2. What the ledger says of itself
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.item i SET settled = COALESCE(settled, 0) + 7 FROM credit.source s
 WHERE s.source_id = i.source_id AND s.kind IN ('invoice', 'payment', 'credit_note') AND i.amount IS NOT NULL AND i.key LIKE '%1';
UPDATE credit.item i SET invoiced = COALESCE(invoiced, 0) + 3, delivered = COALESCE(delivered, 0) + 5 FROM credit.source s
 WHERE s.source_id = i.source_id AND s.kind = 'order' AND i.amount IS NOT NULL AND i.key LIKE '%2';
UPDATE credit.item i SET invoiced = COALESCE(invoiced, 0) + 2 FROM credit.source s
 WHERE s.source_id = i.source_id AND s.kind = 'delivery' AND i.amount IS NOT NULL AND i.key LIKE '%3';
COMMIT;
SELECT is((SELECT array_agg(DISTINCT difference) FROM credit.reconcile()), ARRAY['sum'], 'sums on documents are compared');
SELECT is((SELECT count(DISTINCT source_name) > 4 FROM credit.reconcile()), true, 'of every kind');
CALL credit.repair();
SELECT is_empty('SELECT * FROM credit.reconcile()', 'and mended');
SELECT is_empty('SELECT * FROM flow.trouble', 'all is the truth');
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.item i SET stages = '{100}', is_open = true FROM credit.source s
 WHERE s.source_id = i.source_id AND s.kind = 'order' AND i.amount IS NOT NULL AND i.key LIKE '%4';
UPDATE credit.item i SET amount = amount + 1 FROM credit.source s
 WHERE s.source_id = i.source_id AND s.kind = 'invoice' AND i.amount IS NOT NULL AND i.key LIKE '%2';
DELETE FROM credit.item i USING credit.source s
 WHERE s.source_id = i.source_id AND s.kind IN ('order', 'payment') AND i.key LIKE '%5';
COMMIT;
SELECT isnt_empty('SELECT * FROM credit.reconcile()', 'documents in the ledger are changed and deleted');
CALL credit.repair();
SELECT is_empty('SELECT * FROM credit.reconcile()', 'and mended');
SELECT is_empty('SELECT * FROM flow.trouble', 'all is the truth again');
BEGIN;
SELECT credit.maintain(true);
DELETE FROM credit.journal j WHERE account_id = 1;
UPDATE credit.journal j SET psum = '{77}' WHERE account_id = 2 AND seq = (SELECT max(seq) FROM credit.journal x WHERE x.account_id = 2);
DELETE FROM credit.journal j WHERE account_id = 3 AND seq >= (SELECT max(seq) - 3 FROM credit.journal x WHERE x.account_id = 3);
INSERT INTO credit.journal SELECT account_id, scope, 'XXX', 1, 1, now(), NULL, NULL, '{5}', '{5}', '{0}', 0, '{}', true
  FROM credit.journal WHERE account_id = 4 LIMIT 1;
COMMIT;
SELECT is((SELECT count(DISTINCT key) FROM credit.reconcile() WHERE source_name = 'journal'), 4::bigint, 'a journal that was written by hand');
CALL credit.repair();
SELECT is_empty('SELECT * FROM credit.reconcile()', 'is mended, even where a chain was hidden');
SELECT is_empty($$SELECT * FROM flow.wrong WHERE customer <> '4'$$, 'exposure is the truth');
SELECT is((SELECT round(t.ordered + t.delivered + t.invoiced + t.unapplied, 4) FROM flow.truth t WHERE t.customer = '4'),
	(SELECT round(total, 4) FROM credit.exposure WHERE customer = '4'), 'of the account with two chains, too');

-- 3. What entered without a check
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric, currency text);
CREATE TABLE customers (id text PRIMARY KEY, segment text, credit_limit numeric);
SELECT credit.attach('customers', 'customer', key => 'id', credit_limit => 'credit_limit', segment => 'segment');
SELECT credit.attach('orders', 'order', key => $$'x' || id$$, customer => 'customer', amount => 'total', currency => 'currency', segment => $$'north'$$);
SELECT credit.set_rate('EUR', 'USD', 2);
INSERT INTO customers VALUES ('A', 'north', 100), ('B', 'north', 1000);
INSERT INTO orders VALUES (1, 'A', 10, 'USD'), (2, 'A', 80, 'USD');
SELECT credit.acknowledge_unchecked('of the test above');
SET session_replication_role = replica;
INSERT INTO orders VALUES (3, 'A', 25, 'EUR'), (4, 'B', 5, 'USD');
UPDATE orders SET total = 85 WHERE id = 2;
UPDATE orders SET total = 1 WHERE id = 1;
SET session_replication_role = origin;
SET credit.as_of = '2020-01-01';
CALL credit.repair('public.orders');
RESET credit.as_of;
SELECT results_eq($$SELECT customer COLLATE "default", segment COLLATE "default", source COLLATE "default", kind COLLATE "default", key COLLATE "default", currency COLLATE "default", amount, account_currency, credit_limit, exposure, was_over_limit, is_over_limit
	FROM credit.unchecked_document WHERE acknowledged_at IS NULL ORDER BY unchecked_document.key$$,
	$$VALUES ('A', 'north', 'public.orders', 'order', 'x2', 'USD', 5::numeric, 'USD', 100::numeric, 136::numeric, true, true),
			 ('A', 'north', 'public.orders', 'order', 'x3', 'EUR', 25::numeric, 'USD', 100, 136, true, true),
			 ('B', 'north', 'public.orders', 'order', 'x4', 'USD', 5::numeric, 'USD', 1000, 5, false, false)$$,
	'orders that raised exposure, with what they raised and what the account had then; what was lowered is not among them');
SELECT throws_ok($$INSERT INTO orders VALUES (5, 'A', 1, 'USD')$$, '23514', NULL, 'the account is above its limit: nothing more is accepted');
SELECT results_eq($$SELECT severity, finding FROM credit.status() WHERE subject = 'unchecked documents'$$,
	$$VALUES ('warning', '3 raised exposure without a check and are not acknowledged, 3 of them found in the last 7 days; 1 of their accounts are above their limit')$$,
	'status() says so');
UPDATE orders SET total = 1 WHERE customer = 'A' AND currency = 'EUR';
SELECT is((SELECT bool_or(is_over_limit) FROM credit.unchecked_document), false, 'is_over_limit is that of now');
SELECT throws_ok($$SELECT credit.acknowledge_unchecked(' ')$$, '22023', NULL, 'an acknowledgement needs a reason');
SELECT is(credit.acknowledge_unchecked('agreed with sales', ARRAY(SELECT unchecked_id FROM credit.unchecked_document WHERE customer = 'A' AND acknowledged_at IS NULL)), 2::bigint,
	'some are acknowledged');
SELECT is(credit.acknowledge_unchecked('small'), 1::bigint, 'and the rest');
SELECT is(credit.acknowledge_unchecked('again'), 0::bigint, 'once');
SELECT results_eq($$SELECT key COLLATE "default", acknowledged_by, acknowledgement FROM credit.unchecked_document WHERE source = 'public.orders' ORDER BY unchecked_document.key$$,
	$$VALUES ('x2', session_user::text COLLATE "default", 'agreed with sales'), ('x3', session_user::text COLLATE "default", 'agreed with sales'), ('x4', session_user::text COLLATE "default", 'small')$$, 'who and why');
SELECT is_empty($$SELECT * FROM credit.status() WHERE subject = 'unchecked documents'$$, 'status() is quiet then');

-- a source that refuses nothing is no enforcing one
CREATE TABLE soft (id int PRIMARY KEY, customer text, total numeric);
SELECT credit.attach('soft', 'order', key => 'id', customer => 'customer', amount => 'total', on_breach => 'off');
SET session_replication_role = replica;
INSERT INTO soft VALUES (9901, 'S', 5);
SET session_replication_role = origin;
CALL credit.repair('public.soft');
SELECT is((SELECT exposure FROM credit.exposure_document WHERE source = 'public.soft' AND customer = 'S'), 5::numeric, 'a source with on_breach off is mended');
SELECT is_empty($$SELECT * FROM credit.unchecked_document WHERE source = 'public.soft'$$, 'but nothing of it is reported');

-- 4. Mappings that do not work
CREATE TABLE odd (id int PRIMARY KEY, a int, b int, customer text, total text);
SELECT credit.attach('odd', 'order', key => '(a, b)', customer => 'customer', amount => 'total::numeric');
INSERT INTO odd VALUES (1, 1, 1, 'O', '10');
SET session_replication_role = replica;
INSERT INTO odd VALUES (2, 1, 2, 'O', '20');
SET session_replication_role = origin;
CALL credit.repair('public.odd');
SELECT is((SELECT total FROM credit.exposure WHERE customer = 'O'), 30::numeric, 'a composite key');
ALTER TABLE odd RENAME COLUMN total TO amount;
INSERT INTO odd VALUES (3, 1, 3, 'O', '30');
CALL credit.repair('public.odd');
SELECT results_eq($$SELECT n_found, n_left, reason FROM credit.repairs WHERE source = 'public.odd' ORDER BY run_id DESC LIMIT 1$$,
	$$VALUES (NULL::bigint, NULL::bigint, 'amount: column "total" does not exist.')$$, 'a broken mapping is left, with the reason');
ALTER TABLE odd RENAME COLUMN amount TO total;
SELECT is((SELECT health FROM credit.sources WHERE name = 'public.odd'), 'unverified', 'named back the source is unverified');
CALL credit.repair('public.odd');
SELECT is((SELECT health FROM credit.sources WHERE name = 'public.odd'), 'ok', 'until it is repaired');
SELECT is((SELECT total FROM credit.exposure WHERE customer = 'O'), 60::numeric, 'with what it had missed');
SELECT is((SELECT count(*) FROM credit.source_problem p JOIN credit.source s USING (source_id) WHERE s.name = 'public.odd' AND p.mended_at IS NOT NULL), 1::bigint,
	'what was wrong stays written down');

-- a row that cannot be read stands in nobody's way
SET session_replication_role = replica;
INSERT INTO odd VALUES (4, 1, 4, 'O', 'forty'), (5, 1, 5, 'O', '50');
SET session_replication_role = origin;
SELECT results_eq($$SELECT key, difference, erp FROM credit.reconcile('public.odd')$$,
	$$VALUES (NULL, 'unreadable', '"a row cannot be read: invalid input syntax for type numeric: \"forty\""'::jsonb)$$, 'a row that cannot be read is named');
SET client_min_messages = error;
CALL credit.repair('public.odd');
SET client_min_messages = warning;
SELECT is((SELECT total FROM credit.exposure WHERE customer = 'O'), 110::numeric, 'the others are mended');
SELECT matches((SELECT reason FROM credit.repairs WHERE source = 'public.odd' ORDER BY run_id DESC LIMIT 1),
	'^invalid input syntax .*forty.*; each document was looked at by itself$', 'and it is said');
SELECT is((SELECT health FROM credit.sources WHERE name = 'public.odd'), 'unverified', 'the source is not in order');
UPDATE odd SET total = '40' WHERE id = 4;
CALL credit.repair('public.odd');
SELECT results_eq($$SELECT s.health, e.total FROM credit.sources s, credit.exposure e WHERE s.name = 'public.odd' AND e.customer = 'O'$$,
	$$VALUES ('ok', 150::numeric)$$, 'until the row is');
-- nor do two rows of one key
CREATE TABLE twice (id int, customer text, total numeric);
SELECT credit.attach('twice', 'order', key => $$'t' || id$$, customer => 'customer', amount => 'total');
SET session_replication_role = replica;
INSERT INTO twice VALUES (1, 'T', 1), (1, 'T', 2), (2, 'T', 4);
SET session_replication_role = origin;
SET client_min_messages = error;
CALL credit.repair('public.twice');
SET client_min_messages = warning;
SELECT results_eq($$SELECT n_left, reason FROM credit.repairs WHERE source = 'public.twice' ORDER BY run_id DESC LIMIT 1$$,
	$$VALUES (1::bigint, 'the table has more than one row with key "t1"')$$, 'two rows of one key are left, with the reason');

-- functions of the ERP run as the owner of the table, never as ours
CREATE ROLE owner_of_mapped;
CREATE TABLE mapped (id int PRIMARY KEY, customer text, total numeric);
ALTER TABLE mapped OWNER TO owner_of_mapped;
CREATE FUNCTION net(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'as %', current_user; RETURN $1; END $$;
SELECT credit.attach('mapped', 'order', key => 'id', customer => 'customer', amount => 'net(total)');
CREATE OR REPLACE FUNCTION net(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_user <> 'owner_of_mapped' THEN
		RAISE EXCEPTION 'runs as %', current_user;
	END IF;
	RETURN $1;
END $$;
SET session_replication_role = replica;
INSERT INTO mapped VALUES (9902, 'M', 5);
SET session_replication_role = origin;
CALL credit.repair('public.mapped');
SELECT is((SELECT total FROM credit.exposure WHERE customer = 'M'), 5::numeric, 'a function of a mapping runs as the owner of the table');

ALTER TABLE mapped OWNER TO CURRENT_USER;
DROP ROLE owner_of_mapped;

SELECT throws_ok($$CALL credit.repair()$$, '25001', NULL, 'not inside a function');
SELECT throws_ok($$SELECT credit.repair_step(1)$$, '55000', NULL, 'the steps are for repair() alone');
SELECT throws_ok($$SELECT * FROM credit.reevaluate_keys(9999, '{}')$$, '42704', NULL, 'there must be such a source');
SELECT * FROM finish();

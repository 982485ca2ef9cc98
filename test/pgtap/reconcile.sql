-- reconcile(): every difference between the ERP and the ledger, and none where
-- there is none.
BEGIN;
CREATE EXTENSION credit;
SELECT plan(15);
SET LOCAL client_min_messages = warning;
\ir ../lib/flow.sql
SELECT setseed(0.7);
DO $$ BEGIN FOR i IN 1..300 LOOP CALL flow.step(); END LOOP; END $$;
CALL flow.attach();
DO $$ BEGIN FOR i IN 1..200 LOOP CALL flow.step(); END LOOP; END $$;
SELECT is_empty('SELECT * FROM credit.reconcile()', 'what the triggers have brought agrees');

CREATE FUNCTION pg_temp.unseen(sql text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE sql;
	SET LOCAL session_replication_role = origin;
END $$;
CREATE FUNCTION pg_temp.counted(OUT missing bigint, OUT much bigint, OUT different bigint, OUT other bigint) LANGUAGE sql AS $$
SELECT count(*) FILTER (WHERE difference = 'missing'), count(*) FILTER (WHERE difference = 'too much'),
	   count(*) FILTER (WHERE difference = 'different' AND source_name <> 'journal'), count(*) FILTER (WHERE source_name = 'journal' OR difference = 'sum')
  FROM credit.reconcile() $$;

SELECT pg_temp.unseen('INSERT INTO erp.payments VALUES (99001, 1, 10, ''2026-01-31'', ''booked''), (99002, 2, 10, ''2026-01-31'', ''draft'')');
SELECT results_eq('SELECT * FROM pg_temp.counted()', 'VALUES (1::bigint, 0::bigint, 0::bigint, 0::bigint)', 'a document that counts is missing, a draft is not');
SELECT results_eq('SELECT source_name, key, difference, erp ->> ''customer'', ledger FROM credit.reconcile()',
	$$VALUES ('erp.payments', '99001', 'missing', '1', NULL::jsonb)$$, 'named with what the ERP says');
SELECT pg_temp.unseen('DELETE FROM erp.payments WHERE id = 99001');
SELECT is_empty('SELECT * FROM credit.reconcile()', 'when it is gone all agrees');

CREATE TEMP TABLE changed AS SELECT id FROM erp.payments WHERE state = 'booked' ORDER BY id LIMIT 3;
SELECT pg_temp.unseen('UPDATE erp.payments p SET amount = amount + 1 FROM changed c WHERE c.id = p.id');
SELECT results_eq('SELECT * FROM pg_temp.counted()', 'VALUES (0::bigint, 0::bigint, 3::bigint, 0::bigint)', 'amounts that were changed unseen');
SELECT results_eq('SELECT (erp ->> ''amount'')::numeric - (ledger ->> ''amount'')::numeric, erp ? ''customer'' FROM credit.reconcile() LIMIT 1', 'VALUES (1::numeric, false)',
	'shown are the fields that differ');
SELECT pg_temp.unseen('UPDATE erp.payments p SET state = ''draft'' FROM changed c WHERE c.id = p.id');
SELECT results_eq('SELECT * FROM pg_temp.counted()', 'VALUES (0::bigint, 3::bigint, 0::bigint, 0::bigint)', 'documents that stopped counting are too much');
SELECT pg_temp.unseen('UPDATE erp.payments p SET state = ''booked'', amount = amount - 1 FROM changed c WHERE c.id = p.id');

SELECT pg_temp.unseen('UPDATE erp.customers SET credit_limit = 5 WHERE id = 1');
SELECT results_eq('SELECT source_name, key, erp, ledger FROM credit.reconcile()',
	$$VALUES ('erp.customers', '1', '{"credit_limit": 5}'::jsonb, '{"credit_limit": 1000000000}'::jsonb)$$, 'a limit');
SELECT pg_temp.unseen('UPDATE erp.customers SET credit_limit = NULL WHERE id = 1');
SELECT results_eq('SELECT erp ->> ''limit_state'', ledger ->> ''limit_state'' FROM credit.reconcile()', $$VALUES ('not_set', 'amount')$$, 'and its state');
SELECT pg_temp.unseen('UPDATE erp.customers SET credit_limit = 1000000000 WHERE id = 1');
SELECT is_empty('SELECT * FROM credit.reconcile()', 'all agrees again');
SELECT is_empty('SELECT * FROM credit.reconcile(''erp.orders'')', 'one source by name');
SELECT throws_ok('SELECT * FROM credit.reconcile(''nosuch'')', '42704', NULL, 'of which there must be one');

-- the ledger against itself
INSERT INTO credit.journal
SELECT j.account_id, j.scope, j.currency, j.seq + 1, j.seq + 1, now(), NULL, NULL, '{5}', '{5}', '{0}', 0, '{}', true
  FROM credit.journal j ORDER BY j.account_id, j.seq DESC LIMIT 1;
SELECT is((SELECT count(*) FROM credit.reconcile() WHERE source_name = 'journal'), 1::bigint, 'a row that somebody has put into the journal');
ALTER TABLE erp.links RENAME COLUMN amount TO total;
SELECT results_eq('SELECT source_name, difference FROM credit.reconcile() WHERE source_name = ''erp.links''', $$VALUES ('erp.links', 'unreadable')$$, 'a mapping that is broken');
ALTER TABLE erp.links RENAME COLUMN total TO amount;
SELECT is((SELECT provolatile FROM pg_proc WHERE proname = 'reconcile'), 's', 'all of it is of one snapshot');
SELECT * FROM finish();
ROLLBACK;

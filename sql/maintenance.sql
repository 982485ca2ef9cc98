--
-- maintenance: purge, sizes, what status() says of both
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');
CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, currency text);
INSERT INTO shop.customers SELECT 'c' || i, 1000 FROM generate_series(1, 5) i;
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', currency => 'currency');
RESET client_min_messages;

-- What is there, by table; ages in days from now.
CREATE VIEW shop.ledger AS
SELECT (SELECT count(*) FROM credit.journal) AS journal,
	   (SELECT count(*) FROM credit.item_version) AS versions,
	   (SELECT count(*) FROM credit.decision_log) AS decisions,
	   (SELECT count(*) FROM credit.source_problem) AS problems,
	   (SELECT count(*) FROM credit.limit_change) AS limits;
CREATE VIEW shop.figures AS
SELECT e.customer, e.total, e.other_currencies, b.currency, b.total AS balance
  FROM credit.exposure e JOIN credit.account a USING (customer), credit.balance(a.account_id) b;
-- Everything that is there now becomes older.
CREATE FUNCTION shop.grow_old(days int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM credit.maintain(true);
	UPDATE credit.journal SET posted_at = posted_at - make_interval(days => days);
	UPDATE credit.item_version SET superseded_at = superseded_at - make_interval(days => days);
	UPDATE credit.decision_log SET decided_at = decided_at - make_interval(days => days);
	UPDATE credit.source_problem SET seen_at = seen_at - make_interval(days => days);
	UPDATE credit.limit_change SET changed_at = changed_at - make_interval(days => days);
	PERFORM credit.maintain(false);
END
$$;

-- Some business: ten days of it, five accounts, one with two currencies
CREATE PROCEDURE shop.day(d int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.grow_old(1);
	COMMIT;		/* or the rows would be taken for this transaction's own */
	FOR i IN 1 .. 5 LOOP
		INSERT INTO shop.orders VALUES (d * 10 + i, 'c' || i, 2, CASE WHEN i = 5 AND d % 2 = 0 THEN 'EUR' END);
		UPDATE shop.orders SET total = 3 WHERE id = d * 10 + i;
	END LOOP;
	UPDATE shop.customers SET credit_limit = credit_limit + 1;
END
$$;
SET client_min_messages = error;
SELECT credit.set_rule('missing_rate', 'shadow');
CALL shop.day(1); CALL shop.day(2); CALL shop.day(3); CALL shop.day(4); CALL shop.day(5);
CALL shop.day(6); CALL shop.day(7); CALL shop.day(8); CALL shop.day(9); CALL shop.day(10);
ALTER TABLE shop.orders RENAME COLUMN total TO sum;
INSERT INTO shop.orders VALUES (1001, 'c1', 1, NULL);
INSERT INTO shop.orders VALUES (1002, 'c1', 1, NULL);
DELETE FROM shop.orders WHERE id > 1000;
ALTER TABLE shop.orders RENAME COLUMN sum TO total;
RESET client_min_messages;
TABLE shop.ledger;
CREATE TABLE shop.before AS TABLE shop.figures;
TABLE shop.before ORDER BY customer, currency;

-- 1. Nothing is purged unless somebody says so

SELECT table_name, older_than, rows, bytes FROM credit.purge_estimate();
CALL credit.purge(verbose => true);
TABLE shop.ledger;
-- ages that nothing has
CALL credit.purge('20 days', '20 days', '20 days', '20 days', '20 days');
TABLE shop.ledger;

-- 2. By age, and the estimate tells before

SELECT table_name, now() - older_than < interval '5 days 1 hour' AS five_days, rows, bytes > 0 AS some
  FROM credit.purge_estimate('4 days 12 hours', '4 days 12 hours', '4 days 12 hours', '4 days 12 hours', '4 days 12 hours');
TABLE shop.ledger;
CALL credit.purge('4 days 12 hours', verbose => true);
TABLE shop.ledger;
CALL credit.purge(NULL, '4 days 12 hours', '3 days 12 hours', '2 days 12 hours', '1 day 12 hours');
TABLE shop.ledger;
-- no chain has a hole, and each ends as it did
SELECT a.customer, j.currency, count(*), max(seq) - min(seq) + 1 AS span, max(seq) AS last
  FROM credit.journal j JOIN credit.account a USING (account_id) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM shop.figures EXCEPT TABLE shop.before;
TABLE shop.before EXCEPT SELECT * FROM shop.figures;

-- 3. All of it: the last committed row of each chain stays, and the last
-- problem of a source, which makes it unverified

SELECT table_name, rows FROM credit.purge_estimate('0 s', '0 s', '0 s', '0 s', '0 s');
CALL credit.purge('0 s', '0 s', '0 s', '0 s', '0 s', batch_rows => 1);
TABLE shop.ledger;
SELECT name, health, n_problems FROM credit.sources ORDER BY name;
SELECT a.customer, j.currency, j.seq FROM credit.journal j JOIN credit.account a USING (account_id) ORDER BY 1, 2, 3;
SELECT * FROM shop.figures EXCEPT TABLE shop.before;
TABLE shop.before EXCEPT SELECT * FROM shop.figures;
SELECT table_name, rows FROM credit.purge_estimate('0 s', '0 s', '0 s', '0 s', '0 s');
-- business goes on: positions are not used again, limits hold
INSERT INTO shop.orders VALUES (2001, 'c1', 1000);
INSERT INTO shop.orders VALUES (2002, 'c1', 980);
INSERT INTO shop.orders VALUES (2003, 'c1', 1);
DELETE FROM shop.orders WHERE id = 2002;
SELECT seq, delta FROM credit.journal JOIN credit.account USING (account_id) WHERE customer = 'c1' ORDER BY seq;

-- 4. A row of zero, a rolled-back end, a long transaction

BEGIN;
INSERT INTO shop.orders VALUES (2010, 'c2', 10);
ROLLBACK;
CALL credit.purge('0 s');
BEGIN;
INSERT INTO shop.orders VALUES (2011, 'c2', 1);
SAVEPOINT a;
INSERT INTO shop.orders VALUES (2012, 'c2', 1);
INSERT INTO shop.orders VALUES (2013, 'c2', 1);
ROLLBACK TO a;
INSERT INTO shop.orders VALUES (2014, 'c2', 5);
COMMIT;
CALL credit.purge('0 s');
-- rows of the last committed transaction stay together
SELECT seq, first_seq, delta, xsum FROM credit.journal JOIN credit.account USING (account_id) WHERE customer = 'c2' ORDER BY seq;
SELECT customer, total FROM credit.exposure WHERE customer = 'c2';

-- 5. Only rows before the first young one go, so that no hole is left

INSERT INTO shop.orders SELECT 2020 + i, 'c3', 1 FROM generate_series(1, 1) i;
INSERT INTO shop.orders VALUES (2025, 'c3', 1), (2026, 'c3', 1);
INSERT INTO shop.orders VALUES (2027, 'c3', 1);
INSERT INTO shop.orders VALUES (2028, 'c3', 1);
SELECT shop.grow_old(100);
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.journal j SET posted_at = now() FROM credit.account a
 WHERE a.account_id = j.account_id AND a.customer = 'c3'
   AND j.seq = (SELECT min(seq) + 1 FROM credit.journal x WHERE x.account_id = j.account_id);
COMMIT;
CALL credit.purge('10 days');
SELECT count(*), max(seq) - min(seq) + 1 AS span FROM credit.journal JOIN credit.account USING (account_id) WHERE customer = 'c3';

-- 6. What is not allowed

BEGIN;
CALL credit.purge('1 day');
ROLLBACK;
CREATE FUNCTION shop.call() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL credit.purge('1 day'); END $$;
SELECT shop.call();
CALL credit.purge('-1 day');
CALL credit.purge(keep_limits => '-1 day');
CALL credit.purge(batch_rows => 0);
SELECT * FROM credit.purge_estimate('-1 day');
SET default_transaction_read_only = on;
CALL credit.purge('1 day');
RESET default_transaction_read_only;
DELETE FROM credit.journal;
-- EXECUTE is the right it takes, and all it takes
CREATE ROLE regress_credit_keeper;
GRANT USAGE ON SCHEMA credit TO regress_credit_keeper;
INSERT INTO shop.orders VALUES (2040, 'c1', 1);
SET ROLE regress_credit_keeper;
CALL credit.purge('0 s');
SELECT * FROM credit.purge_estimate('0 s');
CALL credit.daily();
RESET ROLE;
GRANT EXECUTE ON PROCEDURE credit.purge TO regress_credit_keeper;
SET ROLE regress_credit_keeper;
CALL credit.purge('0 s', verbose => true);
DELETE FROM credit.journal;
RESET ROLE;
-- the job of the night without a superuser
SET client_min_messages = error;
SELECT credit.grant_analyst('regress_credit_keeper');
GRANT EXECUTE ON ROUTINE credit.daily, credit.purge, credit.report_status, credit.recount, credit.fold_months TO regress_credit_keeper;
SET ROLE regress_credit_keeper;
CALL credit.daily();
RESET ROLE;
RESET client_min_messages;
DROP OWNED BY regress_credit_keeper;
DROP ROLE regress_credit_keeper;

-- 7. Settings

SELECT name, value, allowed FROM credit.settings WHERE name LIKE 'keep%' OR name IN ('large_journal', 'old_transaction') ORDER BY name;
SELECT credit.set('keep_journal', '2 years');
SELECT credit.set('keep_journal', '730');
SELECT credit.set('keep_journal', '23h');
SELECT credit.set('keep_journal', '');
SELECT credit.set('keep_journal', '-5d');
SELECT credit.set('large_journal', 'big');
SELECT credit.set('large_journal', '1024');
SELECT credit.set('old_transaction', '10ms');
SELECT credit.set('keep_versions', '24h'), credit.set('keep_decisions', '36500d'), credit.set('keep_problems', '1440min'),
	credit.set('keep_limits', 'forever'), credit.set('keep_journal', '40d');
-- SQL reads them alike
SELECT name, value::interval FROM credit.settings WHERE name LIKE 'keep%' AND value <> 'forever' ORDER BY name;
SELECT table_name, date_trunc('hour', now() - older_than + interval '1 min') AS keeps FROM credit.purge_estimate();
-- an argument counts more
SELECT table_name, date_trunc('hour', now() - older_than + interval '1 min') AS keeps FROM credit.purge_estimate('10 days');
INSERT INTO shop.orders VALUES (2030, 'c4', 1);
INSERT INTO shop.orders VALUES (2031, 'c4', 1);
SELECT shop.grow_old(50);
INSERT INTO shop.orders VALUES (2032, 'c4', 1);
-- the procedure of the night does what settings say
SET client_min_messages = error;
CALL credit.daily();
-- and reports what is wrong: the problem of section 1, which is still there
SELECT credit.report_status();
RESET client_min_messages;
SELECT count(*) FROM credit.journal JOIN credit.account USING (account_id) WHERE customer = 'c4';
SELECT credit.set('keep_journal', NULL), credit.set('keep_versions', NULL), credit.set('keep_decisions', NULL),
	credit.set('keep_problems', NULL), credit.set('keep_limits', NULL);

-- 8. Sizes, and what status() says of them

SELECT count(*) = (SELECT count(*) FROM pg_class WHERE relnamespace = 'credit'::regnamespace AND relkind = 'r') AS all_of_them,
	   bool_and(total_bytes = table_bytes + index_bytes) AS adds_up
  FROM credit.storage;
SELECT table_bytes = pg_table_size('credit.journal') AS heap, index_bytes = pg_indexes_size('credit.journal') AS indexes
  FROM credit.storage WHERE table_name = 'journal';
CREATE VIEW shop.findings AS
SELECT severity, subject, regexp_replace(finding, '\d+ kB', 'N kB') AS finding, advice FROM credit.status()
 WHERE severity <> 'ok' AND subject NOT LIKE 'source%' AND subject <> 'exchange rates';
TABLE shop.findings;
SELECT credit.set('large_journal', '8kB');
TABLE shop.findings;
-- whoever purges need not be told
SELECT credit.set('keep_journal', '1000d');
TABLE shop.findings;
SELECT credit.set('keep_journal', NULL), credit.set('large_journal', NULL);
-- autovacuum cannot do its work
ALTER TABLE credit.item SET (autovacuum_enabled = off);
INSERT INTO shop.orders SELECT i, 'c1', 0, NULL FROM generate_series(10001, 40000) i;
UPDATE shop.orders SET total = NULL WHERE id BETWEEN 10001 AND 40000;
SELECT pg_stat_force_next_flush();
SELECT subject, finding ~ '30\d\d\d dead rows' AS dead, advice FROM credit.status() WHERE subject = 'table item' ORDER BY finding;
SELECT severity, subject, advice FROM credit.status() WHERE finding LIKE 'autovacuum is switched off%';
ALTER TABLE credit.item RESET (autovacuum_enabled);
VACUUM credit.item;
SELECT count(*) FROM credit.status() WHERE subject LIKE 'table%';

-- 9. Storage parameters are what doc/maintenance.md says

SELECT c.relname, o.option_name, o.option_value
  FROM pg_class c, pg_options_to_table(c.reloptions) o
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
 ORDER BY c.relname COLLATE "C", o.option_name COLLATE "C";

SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit CASCADE;

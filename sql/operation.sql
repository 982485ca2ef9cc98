--
-- operation: what a DBA does to tables, and what status() says of it
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET datestyle = 'ISO, YMD';
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric);
INSERT INTO shop.orders VALUES (1, 'A', 10);
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.set_limit('A', 100, 'a limit');
CREATE VIEW shop.findings AS
SELECT severity, subject, finding, advice FROM credit.status() s
 WHERE severity IN ('error', 'warning')
 ORDER BY severity, subject, finding;
CREATE VIEW shop.differences AS
SELECT source_name, key, difference FROM credit.reconcile() ORDER BY 1, 2;
TABLE shop.findings;

-- 1. Another table takes the name of an attached one

CREATE TABLE shop.new_orders (LIKE shop.orders INCLUDING ALL);
INSERT INTO shop.new_orders SELECT * FROM shop.orders;
BEGIN;
ALTER TABLE shop.orders RENAME TO old_orders;
-- a new name alone changes nothing
TABLE shop.findings;
ALTER TABLE shop.new_orders RENAME TO orders;
COMMIT;
TABLE shop.findings;
INSERT INTO shop.orders VALUES (2, 'A', 1000);
SELECT total FROM credit.exposure;
DROP TABLE shop.old_orders;
TABLE shop.findings;
-- the way out, in one transaction
BEGIN;
SELECT credit.detach('shop.orders');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
COMMIT;
TABLE shop.findings;
SELECT total FROM credit.exposure;
INSERT INTO shop.orders VALUES (3, 'A', 1);
-- the name alone is taken by a table that is attached too: nothing is wrong
ALTER TABLE shop.orders RENAME TO old_orders;
CREATE TABLE shop.orders (LIKE shop.old_orders INCLUDING ALL);
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
TABLE shop.findings;
SELECT credit.detach(name) FROM credit.sources ORDER BY name;
DROP TABLE shop.old_orders;

-- 2. Rewrites of an attached table are no swap

INSERT INTO shop.orders VALUES (1, 'A', 10);
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
VACUUM FULL shop.orders;
CLUSTER shop.orders USING orders_pkey;
ALTER TABLE shop.orders ADD COLUMN stamp timestamptz DEFAULT clock_timestamp();
ALTER TABLE shop.orders ALTER COLUMN id TYPE bigint;
ALTER TABLE shop.orders DROP COLUMN stamp;
INSERT INTO shop.orders VALUES (2, 'A', 91);
INSERT INTO shop.orders VALUES (2, 'A', 90);
TABLE shop.findings;
TABLE shop.differences;
-- ours too
VACUUM FULL credit.item, credit.journal, credit.account_limit;
CLUSTER credit.item USING item_pkey;
REINDEX SCHEMA credit;
REINDEX TABLE CONCURRENTLY credit.item;
INSERT INTO shop.orders VALUES (3, 'A', 1);
UPDATE shop.orders SET total = 89 WHERE id = 2;
INSERT INTO shop.orders VALUES (3, 'A', 1);
TABLE shop.differences;
TABLE shop.findings;

-- 3. Columns of a mapping

ALTER TABLE shop.orders RENAME COLUMN total TO amount;
SELECT severity, subject FROM shop.findings;
ALTER TABLE shop.orders RENAME COLUMN amount TO total;
ALTER TABLE shop.orders ALTER COLUMN total TYPE float8;
TABLE shop.findings;
UPDATE shop.orders SET total = 90 WHERE id = 2;
ALTER TABLE shop.orders ALTER COLUMN total TYPE text;
SELECT severity, subject FROM shop.findings;
ALTER TABLE shop.orders ALTER COLUMN total TYPE numeric USING total::numeric;
TABLE shop.differences;
ALTER TABLE shop.orders DROP COLUMN total;
SELECT severity, subject FROM shop.findings;
-- what was there stays in the ledger until the source is detached
SELECT total FROM credit.exposure;
SELECT credit.detach('shop.orders');
SELECT total FROM credit.exposure;

-- 4. Triggers that came without their mapping

CREATE TRIGGER zz_credit_row AFTER INSERT OR UPDATE OR DELETE ON shop.orders
	FOR EACH ROW EXECUTE FUNCTION credit.capture_row();
TABLE shop.findings;
DROP TABLE shop.orders;
TABLE shop.findings;

-- 5. Partitions

CREATE TABLE shop.orders (id int, year int, customer text, total numeric, PRIMARY KEY (year, id)) PARTITION BY LIST (year);
CREATE TABLE shop.orders_2024 PARTITION OF shop.orders FOR VALUES IN (2024);
CREATE TABLE shop.orders_2025 PARTITION OF shop.orders FOR VALUES IN (2025) PARTITION BY RANGE (id);
CREATE TABLE shop.orders_2025_a PARTITION OF shop.orders_2025 FOR VALUES FROM (0) TO (100);
INSERT INTO shop.orders VALUES (1, 2024, 'A', 10), (2, 2025, 'A', 20);
SELECT credit.attach('shop.orders', 'order', key => '(year, id)', customer => 'customer', amount => 'total');
-- an empty one is at work at once, however it is made
CREATE TABLE shop.orders_2026 PARTITION OF shop.orders FOR VALUES IN (2026);
CREATE TABLE shop.orders_2027 (LIKE shop.orders);
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2027 FOR VALUES IN (2027);
CREATE TABLE shop.orders_2025_b PARTITION OF shop.orders_2025 FOR VALUES FROM (100) TO (200);
INSERT INTO shop.orders_2026 VALUES (3, 2026, 'A', 500);
INSERT INTO shop.orders VALUES (3, 2027, 'A', 500);
INSERT INTO shop.orders_2025_b VALUES (103, 2025, 'A', 500);
INSERT INTO shop.orders VALUES (3, 2026, 'A', 1), (3, 2027, 'A', 1);
INSERT INTO shop.orders_2025_b VALUES (103, 2025, 'A', 1);
TABLE shop.differences;
-- one that comes with rows
CREATE TABLE shop.orders_2023 (LIKE shop.orders);
INSERT INTO shop.orders_2023 VALUES (4, 2023, 'A', 4), (5, 2023, 'A', 5);
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2023 FOR VALUES IN (2023);
TABLE shop.differences;
UPDATE shop.orders SET total = 6 WHERE id = 5;
TABLE shop.differences;
DELETE FROM shop.orders_2023 WHERE id = 5;
TABLE shop.differences;
-- one that goes, with its rows
ALTER TABLE shop.orders DETACH PARTITION shop.orders_2023;
INSERT INTO shop.orders_2023 VALUES (6, 2023, 'A', 500);
ALTER TABLE shop.orders DETACH PARTITION shop.orders_2024 CONCURRENTLY;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid IN ('shop.orders_2023'::regclass, 'shop.orders_2024'::regclass);
TABLE shop.differences;
DROP TABLE shop.orders_2025_b;
TABLE shop.differences;
TRUNCATE shop.orders_2025_a;
TABLE shop.differences;
-- back again: what the ledger still has counts once
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2024 FOR VALUES IN (2024);
TABLE shop.differences;
-- TRUNCATE of what is attached is seen
TRUNCATE shop.orders;
TABLE shop.differences;
SELECT total FROM credit.exposure;
-- a trigger of one partition is disabled, as a restore of data alone leaves it when it fails
ALTER TABLE shop.orders_2026 DISABLE TRIGGER ALL;
SELECT severity, subject, finding FROM shop.findings;
ALTER TABLE shop.orders_2026 ENABLE TRIGGER ALL;
TABLE shop.findings;
-- a table that is attached by itself cannot become a partition
CREATE TABLE shop.orders_2028 (LIKE shop.orders);
SELECT credit.attach('shop.orders_2028', 'order', key => '(year, id)', customer => 'customer', amount => 'total');
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2028 FOR VALUES IN (2028);
SELECT credit.detach('shop.orders_2028');
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2028 FOR VALUES IN (2028);
INSERT INTO shop.orders_2028 VALUES (7, 2028, 'A', 500);
-- from one attached table to another
CREATE TABLE shop.archive (LIKE shop.orders) PARTITION BY LIST (year);
SELECT credit.attach('shop.archive', 'order', key => '(year, id)', customer => 'customer', amount => 'total');
INSERT INTO shop.orders VALUES (8, 2027, 'A', 8);
ALTER TABLE shop.orders DETACH PARTITION shop.orders_2027;
ALTER TABLE shop.archive ATTACH PARTITION shop.orders_2027 FOR VALUES IN (2027);
TABLE shop.differences;
TABLE shop.findings;
SELECT credit.detach(name) FROM credit.sources ORDER BY name;
SELECT credit.attach('shop.archive', 'order', key => '(year, id)', customer => 'customer', amount => 'total');
SELECT credit.attach('shop.orders', 'order', key => '(year, id)', customer => 'customer', amount => 'total');
TABLE shop.differences;
-- out of the default partition, of a customer who is above the limit meanwhile
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
INSERT INTO shop.orders VALUES (9, 2030, 'A', 60);
SELECT credit.set_limit('A', 50, 'less');
CREATE TABLE shop.orders_2030 (LIKE shop.orders);
BEGIN;
CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT * FROM shop.orders_rest WHERE year = 2030;
DELETE FROM shop.orders_rest WHERE year = 2030;
ALTER TABLE shop.orders ATTACH PARTITION shop.orders_2030 FOR VALUES IN (2030);
SAVEPOINT s;
INSERT INTO shop.orders TABLE moved;
ROLLBACK TO s;
SELECT credit.set('mode', 'shadow');
INSERT INTO shop.orders TABLE moved;
SELECT credit.set('mode', NULL);
COMMIT;
TABLE shop.differences;
SELECT total FROM credit.exposure;
SELECT credit.set_limit('A', 100, 'as before');
SELECT credit.detach(name) FROM credit.sources ORDER BY name;

-- 6. Rows of replication

CREATE TABLE shop.lines (id int PRIMARY KEY, customer text, total numeric);
SELECT credit.attach('shop.lines', 'order', key => 'id', customer => 'customer', amount => 'total', on_error => 'refuse');
SELECT credit.attach('shop.orders', 'order', key => '(year, id)', customer => 'customer', amount => 'total', on_breach => 'warn');
SELECT credit.follow_replication('shop.nothing');
SET session_replication_role = replica;
INSERT INTO shop.lines VALUES (1, 'A', 1);
SELECT count(*) FROM credit.item;
SELECT credit.follow_replication('shop.lines'), credit.follow_replication('shop.orders');
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgname ~ '^zz_credit' AND tgrelid::regclass::text ~ 'lines|orders$|2026' ORDER BY 1, 2;
TABLE shop.findings;
CREATE TABLE shop.orders_2029 PARTITION OF shop.orders FOR VALUES IN (2029);
DELETE FROM shop.lines;
-- never refused, and nobody is warned: it is written down
SET client_min_messages = notice;
INSERT INTO shop.lines VALUES (1, 'A', 1000), (2, 'A', 1000);
INSERT INTO shop.orders VALUES (1, 2026, 'A', 1000);
INSERT INTO shop.orders_2029 VALUES (1, 2029, 'A', 1000);
SET client_min_messages = warning;
SELECT verdict, rule, source, key, documents, amount, exposure FROM credit.decision ORDER BY decided_at;
ALTER TABLE shop.lines RENAME COLUMN total TO amount;
INSERT INTO shop.lines VALUES (3, 'A', 1000);
ALTER TABLE shop.lines RENAME COLUMN amount TO total;
SELECT n_problems FROM credit.sources WHERE name = 'shop.lines';
TRUNCATE shop.lines;
SELECT total FROM credit.exposure;
-- others are checked as ever
RESET session_replication_role;
INSERT INTO shop.lines VALUES (1, 'A', 1000);
SELECT credit.follow_replication('shop.lines', false), credit.follow_replication('shop.orders', false);
SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname ~ '^zz_credit';
SELECT credit.detach(name) FROM credit.sources ORDER BY name;

-- a child by inheritance
CREATE TABLE shop.plain (id int PRIMARY KEY, customer text, total numeric);
SELECT credit.attach('shop.plain', 'order', key => 'id', customer => 'customer', amount => 'total');
CREATE TABLE shop.child () INHERITS (shop.plain);
TABLE shop.findings;
ALTER TABLE shop.child NO INHERIT shop.plain;
TABLE shop.findings;
SELECT credit.detach('shop.plain');

-- a table under a view is swapped
CREATE TABLE shop.line (bill int, customer text, total numeric);
CREATE VIEW shop.bill AS SELECT bill, customer, sum(total) AS total FROM shop.line GROUP BY bill, customer;
SELECT credit.attach('shop.bill', 'invoice', key => 'bill', customer => 'customer', amount => 'total');
SELECT credit.depend('shop.bill', 'shop.line', 'SELECT bill FROM changed');
TABLE shop.findings;
ALTER TABLE shop.line RENAME TO old_line;
CREATE TABLE shop.line (LIKE shop.old_line);
CREATE OR REPLACE VIEW shop.bill AS SELECT bill, customer, sum(total) AS total FROM shop.line GROUP BY bill, customer;
TABLE shop.findings;
SELECT credit.undepend('shop.bill', 'shop.old_line'), credit.depend('shop.bill', 'shop.line', 'SELECT bill FROM changed');
TABLE shop.findings;
DROP VIEW shop.bill;
CREATE VIEW shop.bill AS SELECT bill, customer, total FROM shop.line;
TABLE shop.findings;
SELECT credit.detach(name) FROM credit.sources;

-- 7. Tables of ours

-- every table can be published
SELECT c.oid::regclass FROM pg_class c
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r' AND c.relreplident <> 'f'
   AND NOT (c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary));
-- a sequence that was left behind, as by logical replication
SELECT * FROM credit.late_sequences();
INSERT INTO credit.account (account_id, customer) VALUES (900, 'B');
SELECT subject, finding, advice FROM shop.findings;
SELECT setval(sequence, highest) FROM credit.late_sequences();
TABLE shop.findings;
-- triggers that the ledger does not fire
CREATE TABLE shop.t (id int PRIMARY KEY, customer text, total numeric);
SELECT credit.attach('shop.t', 'order', key => 'id', customer => 'customer', amount => 'total');
CREATE FUNCTION shop.audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER audit AFTER INSERT ON credit.decision_log FOR EACH ROW EXECUTE FUNCTION shop.audit();
CREATE TRIGGER audit AFTER INSERT ON credit.setting FOR EACH ROW EXECUTE FUNCTION shop.audit();
TABLE shop.findings;
DROP TRIGGER audit ON credit.decision_log;
-- pg_repack would lose what is written while it copies: it leaves these alone
SELECT c.relname FROM pg_class c JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = 'repack_trigger'
 WHERE c.relnamespace = 'credit'::regnamespace ORDER BY c.relname COLLATE "C";
TRUNCATE credit.account;
-- and where somebody has dropped what keeps it away, orders are refused
DROP TRIGGER repack_trigger ON credit.journal;
CREATE SCHEMA repack;
CREATE FUNCTION repack.repack_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER repack_trigger AFTER INSERT OR UPDATE OR DELETE ON credit.journal FOR EACH ROW EXECUTE FUNCTION repack.repack_trigger();
INSERT INTO shop.t VALUES (1, 'A', 1);
TABLE shop.findings;
DROP TRIGGER repack_trigger ON credit.journal;
INSERT INTO shop.t VALUES (1, 'A', 1);
TABLE shop.findings;
ALTER TABLE credit.journal SET UNLOGGED;
TABLE shop.findings;
ALTER TABLE credit.journal SET LOGGED;
INSERT INTO shop.t VALUES (2, 'A', 1);
TABLE shop.differences;

-- 8. The catalog is of a later version than the library

ALTER TABLE credit.item ADD COLUMN later text NOT NULL DEFAULT 'as before';
ALTER TABLE credit.journal ADD COLUMN later integer DEFAULT 5;
ALTER TABLE credit.account ADD COLUMN later text;
UPDATE pg_extension SET extversion = '99.10.0' WHERE extname = 'credit';
INSERT INTO shop.t VALUES (3, 'A', 1000);
INSERT INTO shop.t VALUES (3, 'A', 1), (4, 'C', 1);
SELECT key, later FROM credit.item ORDER BY key;
SELECT DISTINCT later FROM credit.journal ORDER BY later;
-- what a newer session has written stays
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.item SET later = 'new' WHERE key = '3';
COMMIT;
UPDATE shop.t SET total = 2;
SELECT key, later, amount FROM credit.item ORDER BY key;
TABLE shop.differences;
SELECT severity, subject, replace(finding, credit.version(), 'x') AS finding, advice FROM shop.findings WHERE subject = 'version';
-- a source that this library cannot know: nothing passes unchecked
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.source SET kind = 'pledge';
\set VERBOSITY terse
INSERT INTO shop.t VALUES (5, 'A', 1);
ROLLBACK;
\set VERBOSITY default
INSERT INTO shop.t VALUES (5, 'A', 1);
UPDATE pg_extension SET extversion = credit.version() WHERE extname = 'credit';
TABLE shop.findings;

DROP EXTENSION credit CASCADE;
DROP SCHEMA shop CASCADE;
DROP SCHEMA repack CASCADE;

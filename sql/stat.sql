--
-- stat: what the extension counts of its own work
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET client_min_messages = error;
CREATE EXTENSION credit;

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, currency text);
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric);
INSERT INTO shop.customers VALUES ('A', 1000), ('B', 1000), ('N', NULL), ('X', 0);
INSERT INTO shop.orders VALUES (1, 'A', 100), (2, 'B', 100);
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit',
	null_limit => 'blocked', zero_limit => 'not_set');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', currency => 'currency');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');
SELECT credit.set_rule('not_set', 'reject');

SELECT credit.stat_is_on();
CREATE VIEW shop.counted AS
SELECT source, kind, statements AS st, rows_captured AS ro, documents_changed AS docs, checks,
	   refusals AS ref, refused_limit AS lim, refused_blocked AS blo, refused_missing_rate AS rat, refused_not_set AS nos, refused_wait AS wai,
	   warnings AS war, shadow_decisions AS sha, bypasses AS byp, waits
  FROM credit.stat ORDER BY source;
-- what is there at attach is not work of the triggers
SELECT * FROM shop.counted;

-- 1. Each figure

INSERT INTO shop.orders VALUES (3, 'A', 1), (4, 'A', 1), (5, 'B', 1);
UPDATE shop.orders SET total = 2 WHERE id = 3;
-- nothing changes, nothing is read, nothing is there
UPDATE shop.orders SET total = 2 WHERE id = 3;
UPDATE shop.orders SET total = 2 WHERE id = 99;
DELETE FROM shop.orders WHERE id = 5;
INSERT INTO shop.payments VALUES (1, 'A', 1);
UPDATE shop.customers SET credit_limit = 1001 WHERE code IN ('A', 'B');
SELECT * FROM shop.counted;

-- what is refused, or rolled back, counts as well
INSERT INTO shop.orders VALUES (10, 'A', 5000), (11, 'B', 5000);
INSERT INTO shop.orders VALUES (10, 'N', 1);
INSERT INTO shop.orders VALUES (10, 'X', 1);
INSERT INTO shop.orders VALUES (10, 'A', 1, 'EUR');
BEGIN;
INSERT INTO shop.orders VALUES (10, 'A', 1);
ROLLBACK;
SELECT * FROM shop.counted WHERE source = 'shop.orders';
SELECT credit.set('mode', 'warn');
INSERT INTO shop.orders VALUES (10, 'A', 5000);
SELECT credit.set('mode', 'shadow');
INSERT INTO shop.orders VALUES (11, 'A', 5000), (12, 'N', 1);
SELECT credit.set('mode', NULL);
SELECT credit.set('bypass_role', 'credit_stat_migration');
CREATE ROLE credit_stat_migration;
GRANT USAGE ON SCHEMA shop TO credit_stat_migration;
GRANT INSERT ON shop.orders TO credit_stat_migration;
SET ROLE credit_stat_migration;
INSERT INTO shop.orders VALUES (13, 'A', 5000);
RESET ROLE;
SELECT credit.set('bypass_role', NULL);
SELECT * FROM shop.counted WHERE source = 'shop.orders';
-- times
SELECT source, work_ms > 0 AS worked, wait_ms, longest_wait_ms, stats_reset <= now() AS since
  FROM credit.stat ORDER BY source;

-- portions of one statement are one statement
SET work_mem = '64kB';
INSERT INTO shop.payments SELECT g, 'B', 1 FROM generate_series(2, 5001) g;
RESET work_mem;
SELECT * FROM shop.counted WHERE source = 'shop.payments';

-- 2. Beginning anew

SELECT credit.stat_reset();
SELECT DISTINCT statements, rows_captured, checks, refusals, work_ms, wait_ms, stats_reset > now() - interval '1 minute' AS since FROM credit.stat;
INSERT INTO shop.orders VALUES (20, 'B', 1);
SELECT * FROM shop.counted WHERE st > 0;
SELECT credit.detach('shop.orders');
SELECT source FROM shop.counted;
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT * FROM shop.counted WHERE source = 'shop.orders';
INSERT INTO shop.orders VALUES (21, 'B', 1);
SELECT * FROM shop.counted WHERE source = 'shop.orders';
-- one table as two kinds
SELECT credit.attach('shop.orders', 'payment', key => 'id', customer => 'customer', amount => '0');
UPDATE shop.orders SET total = 3 WHERE id IN (20, 21);
SELECT source, kind, st, ro, docs, checks FROM shop.counted WHERE source LIKE 'shop.orders%' ORDER BY 1, 2;
-- an extension that is made anew numbers its sources anew
DROP VIEW shop.counted;
DROP EXTENSION credit CASCADE;
CREATE EXTENSION credit;
SELECT count(*) FROM credit.stat_rows();
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT source, statements FROM credit.stat;

-- 3. More sources than places: the rest is counted together

DO $$
BEGIN
	FOR i IN 1 .. 70 LOOP
		EXECUTE format('CREATE TABLE shop.t%s (id int PRIMARY KEY, customer text, amount numeric)', i);
		PERFORM credit.attach(format('shop.t%s', i)::regclass, 'payment', key => 'id', customer => 'customer', amount => 'amount');
		EXECUTE format('INSERT INTO shop.t%s VALUES (1, %L, 1)', i, 'A');
	END LOOP;
END
$$;
SELECT count(*) AS with_a_place, count(*) FILTER (WHERE source = '(others)') AS others,
	   sum(statements) FILTER (WHERE source = '(others)') AS others_statements, sum(statements) AS statements
  FROM credit.stat WHERE statements > 0;
SELECT severity, subject, finding FROM credit.status() WHERE subject = 'statistics';
-- a place that gets free is used
SELECT credit.detach('shop.t1');
INSERT INTO shop.t70 VALUES (2, 'A', 1);
SELECT source, statements FROM credit.stat WHERE source IN ('shop.t70', '(others)') ORDER BY 1;
SELECT credit.stat_forget(NULL);
SELECT credit.stat_reset();
SELECT count(*) FROM credit.stat_rows();

-- 4. Nobody waits, nothing is at work

SELECT count(*) FROM credit.waits;
SELECT count(*) FROM credit.progress;
-- one's own progress, in its transaction and no longer
BEGIN;
SELECT credit.progress_begin('attach', 'shop.x');
SELECT credit.progress_phase('thinking', NULL);
SELECT command, source, phase, done, total, pid = pg_backend_pid() AS own, since <= phase_since AS later FROM credit.progress;
SELECT count(credit.progress_row(g::text, 'counting', 1000)), count(credit.progress_row(g::bigint, 'counting', 1000)) FROM generate_series(1, 500) g;
SELECT phase, done, total FROM credit.progress;
SELECT credit.progress_row(NULL::text, 'counting', 1000), credit.progress_row('x'::text, NULL, NULL);
SELECT phase, done, total FROM credit.progress;
SELECT credit.progress_row('y'::text, 'another', NULL);
SELECT phase, done, total FROM credit.progress;
SELECT credit.progress_begin('detach', repeat('x', 500));
SELECT command, length(source) FROM credit.progress;
COMMIT;
SELECT count(*) FROM credit.progress;
BEGIN;
SAVEPOINT s;
SELECT credit.progress_begin('attach', 'shop.x');
RELEASE s;
SELECT count(*) FROM credit.progress;
SAVEPOINT s;
SELECT credit.progress_begin('attach', 'shop.y');
ROLLBACK TO s;
SELECT count(*) FROM credit.progress;
SELECT credit.progress_begin('attach', 'shop.z');
SELECT 1 / 0;
ROLLBACK;
SELECT count(*) FROM credit.progress;
-- counting without a command is nothing
SELECT credit.progress_row('x'::text, 'counting', 1);
SELECT credit.progress_phase('x', 1), credit.progress_end();
SELECT count(*) FROM credit.progress;

SET client_min_messages = error;
DROP EXTENSION credit CASCADE;
DROP SCHEMA shop CASCADE;
DROP ROLE credit_stat_migration;

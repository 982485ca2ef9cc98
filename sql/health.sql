--
-- health: a mapping that breaks must not stop order entry, unless it shall
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
CREATE FUNCTION shop.net(total numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT total * 0.5';
CREATE FUNCTION shop.checked(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF t = 'bad' THEN
		RAISE EXCEPTION 'customer "%" is bad', t;
	END IF;
	RETURN t;
END
$$;
CREATE TABLE shop.soft (id int PRIMARY KEY, customer text, total numeric, quantity float8, note text);
CREATE TABLE shop.hard (LIKE shop.soft INCLUDING ALL);
CREATE TABLE shop.func (LIKE shop.soft INCLUDING ALL);
SELECT credit.attach('shop.soft', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.attach('shop.hard', 'order', key => 'id', customer => 'customer', amount => 'total', on_error => 'refuse');
SELECT credit.attach('shop.func', 'order', key => 'id', customer => 'shop.checked(customer)', amount => 'shop.net(total)');
CREATE VIEW shop.health AS SELECT name, health, problem, n_problems, last_problem_at IS NOT NULL AS seen FROM credit.sources ORDER BY name;
CREATE VIEW shop.alarms AS
SELECT severity, subject, regexp_replace(finding, 'last on [0-9-]+ [0-9:.+]+', 'last on ...') AS finding, advice
  FROM credit.status() WHERE severity IN ('error', 'warning');
TABLE shop.health;
TABLE shop.alarms;
INSERT INTO shop.soft VALUES (1, 'A', 1);
INSERT INTO shop.hard VALUES (1, 'A', 10);
INSERT INTO shop.func VALUES (1, 'A', 200);
SELECT total FROM credit.exposure;

-- 1. A column is renamed

ALTER TABLE shop.soft RENAME total TO amount;
ALTER TABLE shop.hard RENAME total TO amount;
TABLE shop.health;
TABLE shop.alarms;
INSERT INTO shop.soft VALUES (2, 'A', 2);
INSERT INTO shop.soft VALUES (3, 'A', 3), (4, 'A', 4);
UPDATE shop.soft SET amount = 5 WHERE id = 1;
INSERT INTO shop.hard VALUES (2, 'A', 20);
UPDATE shop.hard SET amount = 20;
DELETE FROM shop.hard;
-- once per transaction
BEGIN;
INSERT INTO shop.soft VALUES (5, 'A', 5);
INSERT INTO shop.soft VALUES (6, 'A', 6);
COMMIT;
-- also after a savepoint took the first report along
BEGIN;
SAVEPOINT s;
INSERT INTO shop.soft VALUES (7, 'A', 5);
ROLLBACK TO s;
INSERT INTO shop.soft VALUES (7, 'A', 6);
COMMIT;
TABLE shop.health;
SELECT total FROM credit.exposure;
-- back: reading goes on, but what was missed stays missed, and the source says so
ALTER TABLE shop.soft RENAME amount TO total;
ALTER TABLE shop.hard RENAME amount TO total;
INSERT INTO shop.soft VALUES (8, 'A', 8);
INSERT INTO shop.hard VALUES (3, 'A', 30);
TABLE shop.health;
TABLE shop.alarms;
SELECT total FROM credit.exposure;
-- attached anew, all is well
SELECT credit.detach('shop.soft');
SELECT credit.attach('shop.soft', 'order', key => 'id', customer => 'customer', amount => 'total');
TABLE shop.health;
SELECT total, (SELECT sum(total) FROM shop.soft) + (SELECT sum(total) FROM shop.hard) + 100 AS erp FROM credit.exposure;

-- 2. A column is dropped, another type, another column in its place

BEGIN;
ALTER TABLE shop.soft DROP COLUMN total;
INSERT INTO shop.soft (id, customer) VALUES (20, 'A');
TABLE shop.health;
ROLLBACK;
INSERT INTO shop.soft VALUES (20, 'A', 20);
SELECT key, amount FROM credit.exposure_document WHERE key = '20';
ALTER TABLE shop.soft ALTER total TYPE float8;
INSERT INTO shop.soft VALUES (21, 'A', 21.5);
SELECT key, amount FROM credit.exposure_document WHERE key = '21';
ALTER TABLE shop.soft ALTER total TYPE text;
INSERT INTO shop.soft VALUES (22, 'A', '22');
INSERT INTO shop.soft VALUES (23, 'A', 'twenty-three');
SELECT key, amount FROM credit.exposure_document WHERE key IN ('22', '23');
ALTER TABLE shop.soft ALTER total TYPE date USING NULL;
TABLE shop.health;
INSERT INTO shop.soft VALUES (24, 'A', '2026-01-01');
ALTER TABLE shop.soft DROP COLUMN total;
ALTER TABLE shop.soft ADD COLUMN total int DEFAULT 7;
INSERT INTO shop.soft (id, customer) VALUES (25, 'A');
SELECT key, amount FROM credit.exposure_document WHERE key IN ('24', '25');

-- 3. A function is dropped, changed, fails

INSERT INTO shop.func VALUES (30, 'bad', 1);
INSERT INTO shop.func VALUES (31, 'good', 1), (32, 'bad', 1), (33, 'fine', 1);
SELECT key, customer, amount FROM credit.exposure_document WHERE source = 'shop.func' ORDER BY key;
CREATE OR REPLACE FUNCTION shop.net(total numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT total * 3';
INSERT INTO shop.func VALUES (34, 'fine', 1);
SELECT key, amount FROM credit.exposure_document WHERE key = '34';
DROP FUNCTION shop.net(numeric);
INSERT INTO shop.func VALUES (35, 'fine', 1);
TABLE shop.health;
CREATE FUNCTION shop.net(total numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT total';
INSERT INTO shop.func VALUES (36, 'fine', 1);
SELECT key, amount FROM credit.exposure_document WHERE key IN ('35', '36');
-- its table can always be detached
DROP FUNCTION shop.net(numeric);
SELECT credit.detach('shop.func');

-- 4. Values the ledger cannot hold

CREATE TABLE shop.reading (id text, customer text, total float8);
SELECT credit.attach('shop.reading', 'order', key => 'id', customer => 'customer', amount => 'total');
INSERT INTO shop.reading VALUES ('1', 'F', 0.1), ('2', 'F', 'NaN'), ('3', 'F', 0.2);
INSERT INTO shop.reading VALUES ('4', 'F', 'Infinity');
INSERT INTO shop.reading VALUES (NULL, 'F', 4);
UPDATE shop.reading SET total = 'NaN' WHERE id = '3';
SELECT key, amount FROM credit.exposure_document WHERE customer = 'F' ORDER BY key;
-- and when they are mended, they are there
UPDATE shop.reading SET total = 0.7 WHERE id IN ('2', '3');
UPDATE shop.reading SET id = '5' WHERE id IS NULL;
SELECT key, amount FROM credit.exposure_document WHERE customer = 'F' ORDER BY key;
DELETE FROM shop.reading WHERE id = '5';
SELECT total FROM credit.exposure WHERE customer = 'F';
SELECT sqlstate, message FROM credit.source_problem p JOIN credit.source s USING (source_id) WHERE s.name = 'shop.reading' ORDER BY seen_at;
-- on_error => refuse refuses just those
SELECT credit.detach('shop.reading');
DELETE FROM shop.reading WHERE total = 'Infinity';
SELECT credit.attach('shop.reading', 'order', key => 'id', customer => 'customer', amount => 'total', on_error => 'refuse');
INSERT INTO shop.reading VALUES ('6', 'F', 'NaN');
INSERT INTO shop.reading VALUES ('6', 'F', 6);
UPDATE shop.reading SET total = '-Infinity' WHERE id = '6';
SELECT key, amount FROM credit.exposure_document WHERE customer = 'F' ORDER BY key;

-- text that is a number only sometimes
CREATE TABLE shop.words (id int PRIMARY KEY, customer text, total text);
SELECT credit.attach('shop.words', 'order', key => 'id', customer => 'customer', amount => 'total::numeric');
INSERT INTO shop.words VALUES (1, 'W', '12.5'), (2, 'W', 'twelve'), (3, 'W', '1e2');
UPDATE shop.words SET total = '12' WHERE id = 2;
SELECT key, amount FROM credit.exposure_document WHERE customer = 'W' ORDER BY key;
SELECT health, problem FROM credit.sources WHERE name = 'shop.words';
SELECT credit.detach('shop.words');

-- 5. Triggers disabled, dropped, or not fired

ALTER TABLE shop.reading DISABLE TRIGGER zz_credit_row;
SELECT name, health FROM credit.sources WHERE name = 'shop.reading';
INSERT INTO shop.reading VALUES ('7', 'F', 7);
ALTER TABLE shop.reading ENABLE TRIGGER zz_credit_row;
SELECT name, health FROM credit.sources WHERE name = 'shop.reading';
DROP TRIGGER zz_credit_truncate ON shop.reading;
SELECT subject, finding, advice FROM credit.status() WHERE subject = 'source shop.reading';
SELECT credit.detach('shop.reading');
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'shop.reading'::regclass;
-- disabled in the middle of a transaction
SELECT credit.attach('shop.reading', 'order', key => 'id', customer => 'customer', amount => 'total');
BEGIN;
INSERT INTO shop.reading VALUES ('8', 'F', 8);
ALTER TABLE shop.reading DISABLE TRIGGER USER;
INSERT INTO shop.reading VALUES ('9', 'F', 9);
ALTER TABLE shop.reading ENABLE TRIGGER USER;
INSERT INTO shop.reading VALUES ('10', 'F', 10);
COMMIT;
SELECT key FROM credit.exposure_document WHERE customer = 'F' ORDER BY key COLLATE "C";

-- 6. The table is renamed, moved, rewritten: nothing breaks

ALTER TABLE shop.reading RENAME TO "Reading";
CREATE SCHEMA other;
ALTER TABLE shop."Reading" SET SCHEMA other;
INSERT INTO other."Reading" VALUES ('11', 'G', 11);
VACUUM FULL other."Reading";
INSERT INTO other."Reading" VALUES ('12', 'G', 12);
ALTER TABLE other."Reading" ADD COLUMN extra int DEFAULT 1;
UPDATE other."Reading" SET total = 13 WHERE id = '12';
SELECT name, relation, health FROM credit.sources WHERE name LIKE '%eading';
SELECT key, amount FROM credit.exposure_document WHERE customer = 'G' ORDER BY key;
SELECT credit.detach('shop.reading');

-- 7. What status() says of the rest

SELECT credit.set('bypass_role', 'regress_credit_gone');
SELECT credit.set('capture', 'off');
SELECT credit.set('mode', 'off');
CREATE INDEX bad ON credit.item ((key || 'x'));
TABLE shop.alarms;
DROP INDEX credit.bad;
SELECT credit.set('capture', NULL), credit.set('mode', NULL), credit.set('bypass_role', NULL);
SELECT severity, subject, finding FROM credit.status() WHERE subject = 'limits';

DROP SCHEMA shop, other CASCADE;
DROP EXTENSION credit;

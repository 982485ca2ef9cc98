--
-- capture: whatever way a row takes into an attached table, the ledger follows
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET datestyle = 'ISO, YMD';
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE customers (code text PRIMARY KEY, name text);
CREATE TABLE orders (
	id int PRIMARY KEY,
	customer text REFERENCES customers ON UPDATE CASCADE ON DELETE CASCADE,
	total numeric(12,2),
	state text NOT NULL DEFAULT 'open',
	due date,
	note text);
CREATE TABLE payments (id int PRIMARY KEY, customer text, amount numeric(12,2));
INSERT INTO customers VALUES ('A', 'Anna'), ('B', 'Bert'), ('C', 'Cleo');

SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer',
	amount => 'total', due_date => 'due', counts_when => $$state = 'open'$$);
SELECT credit.attach('payments', 'payment', key => 'id', customer => 'customer',
	amount => 'amount');

-- The ledger beside the ERP: what it says of each customer, what the tables of
-- the ERP add up to, and whether its documents say the same.
CREATE VIEW figures AS
SELECT e.customer, e.total AS ledger, d.total AS documents,
	   COALESCE(o.total, 0) - COALESCE(p.total, 0) AS erp,
	   e.total = COALESCE(o.total, 0) - COALESCE(p.total, 0)
	   AND e.total = COALESCE(d.total, 0) AS agrees
  FROM credit.exposure e
  LEFT JOIN (SELECT customer, sum(total) AS total FROM orders WHERE state = 'open' GROUP BY 1) o
		 ON o.customer = e.customer
  LEFT JOIN (SELECT customer, sum(amount) AS total FROM payments GROUP BY 1) p
		 ON p.customer = e.customer
  LEFT JOIN (SELECT customer, sum(exposure) AS total FROM credit.exposure_document GROUP BY 1) d
		 ON d.customer = e.customer
 ORDER BY e.customer;

-- 1. Plain statements

INSERT INTO orders VALUES (1, 'A', 100), (2, 'A', 50), (3, 'B', 10);
INSERT INTO payments VALUES (1, 'A', 30);
TABLE figures;

UPDATE orders SET total = total + 1;
TABLE figures;

UPDATE payments SET amount = 40;
DELETE FROM orders WHERE id = 2;
TABLE figures;

-- a value below zero is a credit; zero is a document without exposure
INSERT INTO orders VALUES (4, 'B', -5), (5, 'B', 0);
TABLE figures;
SELECT key, exposure FROM credit.exposure_document WHERE customer = 'B' ORDER BY key;

COPY orders (id, customer, total) FROM stdin;
10	C	1.50
11	C	2.25
12	A	3
\.
TABLE figures;

PREPARE add_order AS INSERT INTO orders VALUES ($1, $2, $3);
EXECUTE add_order(13, 'C', 4);
EXECUTE add_order(14, 'C', 4);
TABLE figures;

TRUNCATE payments;
TABLE figures;

-- 2. INSERT ... ON CONFLICT, MERGE

INSERT INTO orders VALUES (13, 'C', 40), (15, 'C', 5)
	ON CONFLICT (id) DO UPDATE SET total = excluded.total;
INSERT INTO orders VALUES (13, 'C', 400), (16, 'C', 6)
	ON CONFLICT (id) DO NOTHING;
SELECT key, amount FROM credit.exposure_document WHERE customer = 'C' ORDER BY key;
TABLE figures;

-- the row that is updated can go to another customer
INSERT INTO orders VALUES (13, 'B', 41)
	ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, total = excluded.total;
TABLE figures;

MERGE INTO orders o
USING (VALUES (13, 'C', 7.0), (15, 'C', 0.0), (17, 'C', 8.0)) n (id, customer, total)
   ON o.id = n.id
 WHEN MATCHED AND n.total = 0 THEN DELETE
 WHEN MATCHED THEN UPDATE SET customer = n.customer, total = n.total
 WHEN NOT MATCHED THEN INSERT (id, customer, total) VALUES (n.id, n.customer, n.total);
SELECT key, amount FROM credit.exposure_document WHERE customer = 'C' ORDER BY key;
TABLE figures;

-- 3. Several commands in one statement

-- different tables
WITH paid AS (DELETE FROM orders WHERE customer = 'B' AND total > 0 RETURNING id, customer, total)
INSERT INTO payments SELECT id, customer, total FROM paid;
TABLE figures;

-- the same table, the same command twice
WITH first AS (UPDATE orders SET total = total + 1000 WHERE id = 13 RETURNING id)
UPDATE orders SET total = total + 2000 WHERE id = 16;
TABLE figures;

-- the same table, every command
WITH gone AS (DELETE FROM orders WHERE id = 17 RETURNING customer),
	 lower AS (UPDATE orders SET total = total - 1000 WHERE id = 13 RETURNING id)
INSERT INTO orders SELECT 18, customer, 9 FROM gone;
TABLE figures;
SELECT key, amount FROM credit.exposure_document WHERE customer = 'C' ORDER BY key;

-- 4. What counts, and for whom

-- The header comes first, with NULL or 0; its total when the lines are known.
INSERT INTO orders VALUES (20, 'A', NULL), (21, 'A', 0);
SELECT key, amount FROM credit.exposure_document WHERE key IN ('20', '21');
UPDATE orders SET total = 20 WHERE id = 20;
UPDATE orders SET total = 21 WHERE id = 21;
SELECT key, amount FROM credit.exposure_document WHERE key IN ('20', '21') ORDER BY key;
-- recalculated: to NULL and then to the new value
UPDATE orders SET total = NULL WHERE id = 20;
SELECT key, amount FROM credit.exposure_document WHERE key = '20';
UPDATE orders SET total = 22 WHERE id = 20;
TABLE figures;

-- The amount in one UPDATE, the state in the next; and back.
INSERT INTO orders VALUES (22, 'B', 0, 'draft');
UPDATE orders SET total = 500 WHERE id = 22;
SELECT key FROM credit.exposure_document WHERE key = '22';
UPDATE orders SET state = 'open' WHERE id = 22;
TABLE figures;
UPDATE orders SET state = 'cancelled' WHERE id = 22;
TABLE figures;
UPDATE orders SET state = 'open', total = 501 WHERE id = 22;
TABLE figures;
DELETE FROM orders WHERE id = 22;
-- a document that never counted leaves nothing behind
INSERT INTO orders VALUES (23, 'B', 1, 'draft');
UPDATE orders SET total = 2 WHERE id = 23;
DELETE FROM orders WHERE id = 23;
SELECT count(*) FROM credit.item_history WHERE key = '23';

-- Another customer, alone and with another amount; a merge of two customers.
UPDATE orders SET customer = 'B' WHERE id = 20;
UPDATE orders SET customer = 'C', total = 23 WHERE id = 20;
TABLE figures;
UPDATE orders SET customer = 'A' WHERE customer = 'C';
TABLE figures;

-- no customer: not ours
UPDATE orders SET customer = NULL WHERE id = 13;
SELECT key FROM credit.exposure_document WHERE key = '13';
TABLE figures;
UPDATE orders SET customer = 'C' WHERE id = 13;
TABLE figures;

-- 5. Keys

UPDATE orders SET id = 113, total = total + 1 WHERE id = 13;
SELECT key, amount FROM credit.exposure_document WHERE customer = 'C';
-- the freed key is taken at once by another document
BEGIN;
UPDATE orders SET id = 114 WHERE id = 113;
INSERT INTO orders VALUES (113, 'B', 1);
COMMIT;
SELECT key, customer, amount FROM credit.exposure_document WHERE key IN ('113', '114') ORDER BY key;
TABLE figures;

-- Every key moves on by one: each row takes the key of the next.
CREATE TABLE slots (
	pos int, customer text, total numeric,
	CONSTRAINT slots_pos UNIQUE (pos) DEFERRABLE);
SELECT credit.attach('slots', 'order', key => 'pos', customer => 'customer', amount => 'total');
INSERT INTO slots VALUES (1, 'S', 1), (2, 'S', 20), (3, 'T', 300);
UPDATE slots SET pos = pos + 1;
SELECT key, customer, amount FROM credit.exposure_document WHERE source = 'shop.slots' ORDER BY key;
UPDATE slots SET pos = pos - 1;
SELECT key, customer, amount FROM credit.exposure_document WHERE source = 'shop.slots' ORDER BY key;
-- two rows swap their keys in one statement
UPDATE slots SET pos = CASE pos WHEN 1 THEN 3 ELSE 1 END WHERE pos IN (1, 3);
SELECT key, customer, amount FROM credit.exposure_document WHERE source = 'shop.slots' ORDER BY key;
SELECT credit.detach('shop.slots');
DROP TABLE slots;

-- 6. Foreign keys that cascade

UPDATE customers SET code = 'Z' WHERE code = 'A';
TABLE figures;
DELETE FROM customers WHERE code = 'Z';
TABLE figures;

-- 7. An UPDATE that changes nothing we read writes nothing and locks nothing.

INSERT INTO orders VALUES (30, 'B', 30);
SELECT xmin AS item_xmin, ctid AS item_ctid FROM credit.item WHERE key = '30' \gset
SELECT count(*) AS journal_rows FROM credit.journal \gset
BEGIN;
UPDATE orders SET note = 'called him', total = total, state = 'open' WHERE id = 30;
SELECT l.relation::regclass, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
 WHERE l.pid = pg_backend_pid() AND l.mode <> 'AccessShareLock'
   AND c.relnamespace = 'credit'::regnamespace ORDER BY 1, 2;
SELECT count(*) AS advisory_locks FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';
COMMIT;
SELECT xmin = :'item_xmin' AS same_version, ctid = :'item_ctid' AS same_place
  FROM credit.item WHERE key = '30';
SELECT count(*) - :journal_rows AS new_journal_rows FROM credit.journal;
-- 30.00 is not another amount than 30, and a draft may change as it likes
UPDATE orders SET total = 30.00 WHERE id = 30;
INSERT INTO orders VALUES (31, 'B', 1, 'draft');
UPDATE orders SET total = 2 WHERE id = 31;
SELECT count(*) - :journal_rows AS new_journal_rows FROM credit.journal;
-- another due date is news but no other exposure: a new version, no journal row
UPDATE orders SET due = '2030-01-31' WHERE id = 30;
SELECT count(*) - :journal_rows AS new_journal_rows FROM credit.journal;
SELECT due_date, superseded_at IS NULL AS is_present FROM credit.item_history
 WHERE key = '30' ORDER BY recorded_at;

-- 8. Savepoints

BEGIN;
INSERT INTO orders VALUES (40, 'C', 1);
SAVEPOINT a;
INSERT INTO orders VALUES (41, 'C', 20);
SAVEPOINT b;
INSERT INTO orders VALUES (42, 'C', 300);
TABLE figures;
ROLLBACK TO b;
TABLE figures;
INSERT INTO orders VALUES (43, 'C', 4000);
RELEASE b;
TABLE figures;
ROLLBACK TO a;
TABLE figures;
UPDATE orders SET total = 2 WHERE id = 40;
SAVEPOINT c;
DELETE FROM orders WHERE id = 40;
TABLE figures;
ROLLBACK TO c;
COMMIT;
TABLE figures;

BEGIN;
INSERT INTO orders VALUES (44, 'C', 1000000);
ROLLBACK;
TABLE figures;

-- exception blocks of PL/pgSQL are savepoints
DO $$
BEGIN
	INSERT INTO shop.orders VALUES (50, 'C', 5);
	FOR i IN 51..60 LOOP
		BEGIN
			INSERT INTO shop.orders VALUES (i, 'C', 10);
			UPDATE shop.orders SET total = total + 1 WHERE id = 50;
			IF i % 2 = 0 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END
$$;
TABLE figures;

-- a statement that fails half-way leaves nothing
INSERT INTO orders SELECT i, 'C', 1 / (65 - i) FROM generate_series(61, 70) i;
INSERT INTO orders VALUES (61, 'C', 1), (1000, 'nobody', 1);
TABLE figures;

-- 9. Every way out: the lineage of a document, and the ledger empty again

SELECT customer, amount, superseded_at IS NULL AS is_present
  FROM credit.item_history WHERE key = '20' ORDER BY recorded_at;
TRUNCATE orders, payments;
TABLE figures;
SELECT count(*) FROM credit.item;

RESET search_path;
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

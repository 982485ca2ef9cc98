--
-- capture_trigger: the ERP's own triggers write, too, while we look
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric);
CREATE TABLE lines (order_id int, line int, price numeric, PRIMARY KEY (order_id, line));
CREATE TABLE deposits (id int PRIMARY KEY, customer text, amount numeric);
SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.attach('deposits', 'payment', key => 'id', customer => 'customer', amount => 'amount');

CREATE VIEW figures AS
SELECT e.customer, e.total AS ledger,
	   COALESCE(o.total, 0) - COALESCE(p.total, 0) AS erp,
	   e.total = COALESCE(o.total, 0) - COALESCE(p.total, 0)
	   AND e.total = COALESCE(d.total, 0) AS agrees
  FROM credit.exposure e
  LEFT JOIN (SELECT customer, sum(total) AS total FROM orders GROUP BY 1) o ON o.customer = e.customer
  LEFT JOIN (SELECT customer, sum(amount) AS total FROM deposits GROUP BY 1) p ON p.customer = e.customer
  LEFT JOIN (SELECT customer, sum(exposure) AS total FROM credit.exposure_document GROUP BY 1) d ON d.customer = e.customer
 ORDER BY e.customer;

-- 1. BEFORE ROW: our trigger sees what it made of the row

CREATE FUNCTION add_tax() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.total := new.total * 2;
	RETURN new;
END
$$;
CREATE TRIGGER zzz_add_tax BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION add_tax();
INSERT INTO orders VALUES (1, 'A', 10), (2, 'A', 5);
TABLE figures;
-- also where the row is turned away
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER aaa_skip BEFORE INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION skip();
INSERT INTO orders VALUES (3, 'A', 1000);
UPDATE orders SET total = 1000;
DELETE FROM orders;
TABLE figures;
DROP TRIGGER aaa_skip ON orders;
DROP TRIGGER zzz_add_tax ON orders;

-- 2. AFTER ROW on the lines totals the header, row by row

CREATE FUNCTION total_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF tg_op IN ('UPDATE', 'DELETE') THEN
		UPDATE shop.orders SET total = COALESCE(total, 0) - old.price WHERE id = old.order_id;
	END IF;
	IF tg_op IN ('INSERT', 'UPDATE') THEN
		UPDATE shop.orders SET total = COALESCE(total, 0) + new.price WHERE id = new.order_id;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER total_up AFTER INSERT OR UPDATE OR DELETE ON lines FOR EACH ROW EXECUTE FUNCTION total_up();
INSERT INTO orders VALUES (10, 'B', NULL), (11, 'B', 0);
INSERT INTO lines SELECT 10 + i % 2, i, i FROM generate_series(1, 100) i;
TABLE figures;
UPDATE lines SET price = price + 1 WHERE line <= 10;
DELETE FROM lines WHERE line > 90;
UPDATE lines SET order_id = 10 WHERE order_id = 11;
TABLE figures;
SELECT key, amount FROM credit.exposure_document WHERE customer = 'B' ORDER BY key;

-- 3. AFTER ROW that updates the very row, before and after our trigger by name

CREATE FUNCTION round_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.total <> ceil(new.total) THEN
		UPDATE shop.orders SET total = ceil(new.total) WHERE id = new.id;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa_round AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION round_up();
INSERT INTO orders VALUES (20, 'C', 1.2), (21, 'C', 7);
UPDATE orders SET total = total + 0.5 WHERE customer = 'C';
TABLE figures;
DROP TRIGGER aaa_round ON orders;
CREATE TRIGGER zzz_round AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION round_up();
INSERT INTO orders VALUES (22, 'C', 1.2), (23, 'C', 7);
UPDATE orders SET total = total + 0.5 WHERE customer = 'C';
UPDATE orders SET customer = 'D', total = 3.3 WHERE id = 23;
TABLE figures;
DROP TRIGGER zzz_round ON orders;

-- a chain: each UPDATE fires the trigger again
CREATE FUNCTION grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE shop.orders SET total = total * 2 WHERE id = new.id AND total < 100;
	RETURN NULL;
END
$$;
CREATE TRIGGER grow AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION grow();
INSERT INTO orders VALUES (24, 'D', 1), (25, 'D', 3);
TABLE figures;
DROP TRIGGER grow ON orders;

-- it changes the row back to what it was
CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.total > old.total THEN
		UPDATE shop.orders SET total = old.total, customer = old.customer WHERE id = new.id;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa_undo AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION undo();
UPDATE orders SET total = total + 1, customer = 'A' WHERE customer = 'D';
TABLE figures;
DROP TRIGGER aaa_undo ON orders;
CREATE TRIGGER zzz_undo AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION undo();
UPDATE orders SET total = total + 1, customer = 'A' WHERE customer = 'D';
TABLE figures;
DROP TRIGGER zzz_undo ON orders;

-- 4. AFTER ROW that deletes the very row, or puts a deleted one back

CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM shop.orders WHERE id = new.id AND total < 0;
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa_vanish AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION vanish();
INSERT INTO orders VALUES (30, 'E', -1), (31, 'E', 8), (32, 'E', 9);
UPDATE orders SET total = -total WHERE id = 32;
TABLE figures;
DROP TRIGGER aaa_vanish ON orders;
CREATE TRIGGER zzz_vanish AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION vanish();
INSERT INTO orders VALUES (30, 'E', -1), (32, 'E', 9);
UPDATE orders SET total = -total WHERE id = 32;
TABLE figures;
DROP TRIGGER zzz_vanish ON orders;

CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.orders VALUES (old.id, 'archive', old.total);
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa_keep AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();
DELETE FROM orders WHERE id = 31;
TABLE figures;
DROP TRIGGER aaa_keep ON orders;
CREATE TRIGGER zzz_keep AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();
DELETE FROM orders WHERE id IN (31, 25);
TABLE figures;
DROP TRIGGER zzz_keep ON orders;

-- 5. Triggers that write to other attached tables, and to other rows of this one

CREATE FUNCTION deposit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.deposits VALUES (new.id, new.customer, new.total * 0.1);
	UPDATE shop.orders SET total = total + 1 WHERE id = 24;
	RETURN NULL;
END
$$;
CREATE TRIGGER deposit AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION deposit();
INSERT INTO orders VALUES (40, 'F', 100), (41, 'F', 200), (42, 'D', 300);
TABLE figures;
DROP TRIGGER deposit ON orders;

-- one order makes others of the same table, two deep
CREATE FUNCTION split() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.total > 10 THEN
		INSERT INTO shop.orders VALUES (new.id * 10, new.customer, new.total * 0.1),
									   (new.id * 10 + 1, 'G', 1);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER split AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION split();
INSERT INTO orders VALUES (50, 'F', 5000), (51, 'G', 200);
TABLE figures;
DROP TRIGGER split ON orders;

-- 6. AFTER STATEMENT, with transition tables; BEFORE STATEMENT

CREATE FUNCTION fee() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE shop.orders o SET total = o.total + 0.5 FROM added a WHERE a.id = o.id;
	INSERT INTO shop.deposits SELECT id + 1000, customer, 0.25 FROM added;
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa_fee AFTER INSERT ON orders REFERENCING NEW TABLE AS added
	FOR EACH STATEMENT EXECUTE FUNCTION fee();
INSERT INTO orders VALUES (60, 'H', 1), (61, 'H', 2);
TABLE figures;
DROP TRIGGER aaa_fee ON orders;
CREATE TRIGGER zzz_fee AFTER INSERT ON orders REFERENCING NEW TABLE AS added
	FOR EACH STATEMENT EXECUTE FUNCTION fee();
INSERT INTO orders VALUES (62, 'H', 1), (63, 'H', 2);
TABLE figures;
DROP TRIGGER zzz_fee ON orders;
CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM shop.orders WHERE id IN (60, 62);
	RETURN NULL;
END
$$;
CREATE TRIGGER aaa_tidy BEFORE UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION tidy();
CREATE TRIGGER zzzz_tidy BEFORE INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION tidy();
UPDATE orders SET total = total + 1 WHERE id = 61;
INSERT INTO orders VALUES (60, 'H', 7);
TABLE figures;
DROP TRIGGER aaa_tidy ON orders;
DROP TRIGGER zzzz_tidy ON orders;

-- a constraint trigger at the end of the transaction
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION round_up();
BEGIN;
INSERT INTO orders VALUES (70, 'H', 0.1);
UPDATE orders SET total = total + 0.1 WHERE id = 70;
TABLE figures;
COMMIT;
TABLE figures;
DROP TRIGGER late ON orders;

-- 7. A trigger that fails, with and without an exception block

CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		UPDATE shop.orders SET total = total + 10000 WHERE id = 61;
		RAISE EXCEPTION 'changed my mind';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	IF new.total = 0 THEN
		RAISE EXCEPTION 'zero';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER fail AFTER INSERT OR UPDATE ON orders FOR EACH ROW
	WHEN (new.id <> 61) EXECUTE FUNCTION fail();
INSERT INTO orders VALUES (80, 'H', 1), (81, 'H', 2);
INSERT INTO orders VALUES (82, 'H', 1), (83, 'H', 0);
BEGIN;
INSERT INTO orders VALUES (84, 'H', 4);
SAVEPOINT s;
UPDATE orders SET total = 0 WHERE id IN (80, 81, 84);
ROLLBACK TO s;
INSERT INTO orders VALUES (85, 'H', 5);
COMMIT;
TABLE figures;

-- In the end the documents are those of the ERP, one by one.
SELECT o.id, o.customer, o.total, d.key, d.customer, d.amount
  FROM orders o
  FULL JOIN (SELECT * FROM credit.exposure_document WHERE kind = 'order') d ON d.key = o.id::text
 WHERE (o.customer, o.total) IS DISTINCT FROM (d.customer, d.amount);
SELECT p.id, p.customer, p.amount, d.key, d.customer, d.amount
  FROM deposits p
  FULL JOIN (SELECT * FROM credit.exposure_document WHERE kind = 'payment') d ON d.key = p.id::text
 WHERE (p.customer, p.amount) IS DISTINCT FROM (d.customer, d.amount);

RESET search_path;
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

--
-- capture_partition: partitioned tables, by whatever name their rows are written
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
SET search_path = shop;
CREATE TABLE orders (id int, region text, customer text, total numeric,
					 PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE orders_north PARTITION OF orders FOR VALUES IN ('north');
-- a partition with its columns in another order, and partitions below
CREATE TABLE orders_south (gone int, total numeric, customer text, region text NOT NULL, id int NOT NULL)
	PARTITION BY RANGE (id);
ALTER TABLE orders_south DROP COLUMN gone;
ALTER TABLE orders ATTACH PARTITION orders_south FOR VALUES IN ('south');
CREATE TABLE orders_south_low PARTITION OF orders_south FOR VALUES FROM (0) TO (100);
CREATE TABLE orders_south_high PARTITION OF orders_south FOR VALUES FROM (100) TO (1000);
INSERT INTO orders VALUES (1, 'north', 'A', 1), (2, 'south', 'A', 20), (103, 'south', 'B', 300);

SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'total');

CREATE VIEW figures AS
SELECT e.customer, e.total AS ledger, COALESCE(o.total, 0) AS erp,
	   e.total = COALESCE(o.total, 0) AND e.total = COALESCE(d.total, 0) AS agrees
  FROM credit.exposure e
  LEFT JOIN (SELECT customer, sum(total) AS total FROM orders GROUP BY 1) o ON o.customer = e.customer
  LEFT JOIN (SELECT customer, sum(exposure) AS total FROM credit.exposure_document GROUP BY 1) d ON d.customer = e.customer
 ORDER BY e.customer;
TABLE figures;

-- 1. Through the parent

INSERT INTO orders VALUES (4, 'north', 'C', 4), (5, 'south', 'C', 50), (106, 'south', 'C', 600);
UPDATE orders SET total = total + 1;
DELETE FROM orders WHERE id = 1;
TABLE figures;
COPY orders FROM stdin;
7	north	A	7
8	south	A	80
109	south	A	900
\.
TABLE figures;

-- 2. By the names of the partitions

INSERT INTO orders_north VALUES (10, 'north', 'D', 1);
INSERT INTO orders_south (id, region, customer, total) VALUES (11, 'south', 'D', 10);
INSERT INTO orders_south_high (id, region, customer, total) VALUES (112, 'south', 'D', 100), (113, 'south', 'D', 1000);
TABLE figures;
UPDATE orders_south SET total = total + 1 WHERE customer = 'D';
UPDATE orders_south_high SET customer = 'E' WHERE id = 113;
DELETE FROM orders_north WHERE customer = 'D';
TABLE figures;
COPY orders_south_low (id, region, customer, total) FROM stdin;
20	south	E	20
21	south	E	21
\.
TABLE figures;
-- our limits hold for them, too
SELECT credit.set_limit('E', 2000, 'test') IS NOT NULL AS is_set;
INSERT INTO orders_south_low (id, region, customer, total) VALUES (22, 'south', 'E', 958);
INSERT INTO orders_south_low (id, region, customer, total) VALUES (23, 'south', 'E', 1);
UPDATE orders_south_low SET total = 959 WHERE id = 22;

-- 3. Rows that move

UPDATE orders SET region = 'south' WHERE id = 7;
UPDATE orders SET region = 'north', total = 9 WHERE id IN (8, 109);
UPDATE orders_south SET id = id + 100 WHERE id < 100;
TABLE figures;
SELECT tableoid::regclass, id, customer, total FROM orders ORDER BY id;
SELECT key, customer, amount FROM credit.exposure_document ORDER BY key::int;
-- a move that is a customer change and an increase as well
UPDATE orders SET region = 'north', customer = 'E', total = 2000 WHERE id = 105;
UPDATE orders SET region = 'north', customer = 'A', total = 2000 WHERE id = 105;
TABLE figures;

-- 4. Partitions that come and go

CREATE TABLE orders_west PARTITION OF orders FOR VALUES IN ('west');
INSERT INTO orders_west VALUES (30, 'west', 'F', 30);
INSERT INTO orders VALUES (31, 'west', 'F', 31);
CREATE TABLE orders_east (LIKE orders INCLUDING ALL);
ALTER TABLE orders ATTACH PARTITION orders_east FOR VALUES IN ('east');
INSERT INTO orders_east VALUES (32, 'east', 'F', 32);
INSERT INTO orders VALUES (33, 'east', 'F', 33);
TABLE figures;
-- a table that was detached is an own table again, without triggers of ours
ALTER TABLE orders DETACH PARTITION orders_east;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'orders_east'::regclass;
INSERT INTO orders_east VALUES (34, 'east', 'F', 34);
SELECT customer, total FROM credit.exposure WHERE customer = 'F';

-- 5. TRUNCATE and detach

TRUNCATE orders;
SELECT count(*) FROM credit.item;
INSERT INTO orders VALUES (40, 'north', 'G', 40);
SELECT credit.detach('shop.orders');
SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'shop'::regnamespace AND NOT t.tgisinternal;

-- 6. A single partition can be attached, but no row twice

INSERT INTO orders VALUES (50, 'south', 'H', 50);
SELECT credit.attach('orders_north', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT customer, total FROM credit.exposure WHERE customer IN ('G', 'H') ORDER BY 1;
INSERT INTO orders VALUES (51, 'north', 'H', 51), (52, 'south', 'H', 52);
SELECT customer, total FROM credit.exposure WHERE customer IN ('G', 'H') ORDER BY 1;
-- a row that leaves the attached partition leaves the ledger, and comes back
UPDATE orders SET region = 'south' WHERE id = 51;
SELECT customer, total FROM credit.exposure WHERE customer IN ('G', 'H') ORDER BY 1;
UPDATE orders SET region = 'north' WHERE customer = 'H';
SELECT customer, total FROM credit.exposure WHERE customer IN ('G', 'H') ORDER BY 1;
SELECT credit.detach('shop.orders_north');

-- 7. Rows written into a partition by its own name while a statement on the
--    whole table is open, and rolled back, leave nothing behind

CREATE TABLE legs (id int, leg int, customer text, total numeric, PRIMARY KEY (id, leg)) PARTITION BY LIST (leg);
CREATE TABLE legs_1 PARTITION OF legs FOR VALUES IN (1);
CREATE TABLE legs_2 PARTITION OF legs FOR VALUES IN (2);
SELECT credit.set_rule('not_set', 'off');
SELECT credit.attach('legs', 'order', key => '(id, leg)', customer => 'customer', amount => 'total');
CREATE FUNCTION add_legs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		INSERT INTO shop.legs_2 VALUES (new.id, 2, 'lost', 100);
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	BEGIN
		INSERT INTO shop.legs_2 VALUES (new.id, 2, 'kept', 7);
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN NULL;
END $$;
CREATE TRIGGER zzz_legs AFTER INSERT ON legs FOR EACH ROW WHEN (new.leg = 1) EXECUTE FUNCTION add_legs();
INSERT INTO legs SELECT g, 1, 'whole', 1 FROM generate_series(1, 3) g;
SET work_mem = '64kB';
INSERT INTO legs SELECT g, 1, 'whole', 1 FROM generate_series(4, 1500) g;
RESET work_mem;
SELECT customer, sum(total) FROM legs GROUP BY 1 ORDER BY 1;
SELECT customer, total FROM credit.exposure WHERE customer IN ('whole', 'kept', 'lost') ORDER BY 1;
SELECT credit.detach('shop.legs');
SELECT credit.set_rule('not_set', NULL);

RESET search_path;
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

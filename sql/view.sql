-- Sources that are views: documents whose facts are spread over tables.
CREATE EXTENSION credit;
SET client_min_messages = warning;
SELECT credit.set_rule('not_set', 'off');
CREATE ROLE erp_owner;
CREATE ROLE clerk;
CREATE SCHEMA erp AUTHORIZATION erp_owner;
SET ROLE erp_owner;
CREATE TABLE erp.party (id int PRIMARY KEY, credit_limit numeric);
-- the state stands on the header, amounts stand on the lines
CREATE TABLE erp."order" (id int PRIMARY KEY, number text UNIQUE NOT NULL, party int,
	invoice_party int, state text NOT NULL DEFAULT 'draft', ordered_on date DEFAULT '2026-01-15', note text);
CREATE TABLE erp.order_line (id serial PRIMARY KEY,
	order_id int REFERENCES erp."order" ON DELETE CASCADE, quantity float8, price numeric);
CREATE INDEX ON erp.order_line (order_id);
CREATE VIEW erp.v_order AS
SELECT o.number, coalesce(o.invoice_party, o.party) AS customer, o.state, o.ordered_on,
	   (SELECT sum(l.quantity::numeric * l.price) FROM erp.order_line l WHERE l.order_id = o.id) AS amount
  FROM erp."order" o;
INSERT INTO erp.party SELECT g, 1000 FROM generate_series(1, 5) g;
INSERT INTO erp."order" VALUES (1, 'S1', 1, NULL, 'confirmed'), (2, 'S2', 2, NULL, 'draft');
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 2, 10), (1, 1, 5), (2, 1, 7);
RESET ROLE;

-- 1. attach and depend

-- the time it foretells is measured, and the first look reads catalogs too
DO $do$ BEGIN
	PERFORM credit.attach('erp.v_order', 'order', key => 'number', customer => 'customer', amount => 'amount',
		document_date => 'ordered_on', counts_when => $$state = 'confirmed'$$, dry_run => true);
END $do$;
SET client_min_messages = notice;
SELECT credit.attach('erp.v_order', 'order', key => 'number', customer => 'customer', amount => 'amount',
	document_date => 'ordered_on', counts_when => $$state = 'confirmed'$$, dry_run => true);
SELECT credit.attach('erp.v_order', 'order', key => 'number', customer => 'customer', amount => 'amount',
	document_date => 'ordered_on', counts_when => $$state = 'confirmed'$$);
SELECT key, amount FROM credit.item;
SELECT name, relation, health FROM credit.sources;
SELECT severity, finding, advice FROM credit.status() WHERE subject LIKE 'source%';
SELECT * FROM credit.missing_dependencies('erp.v_order');

-- all that can be wrong with a key query
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT order_id');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'DELETE FROM erp."order" RETURNING number');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT order_id, id FROM changed');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT nowhere FROM changed');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT order_id FROM changed; SELECT 1');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT random() FROM changed');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT o.number FROM changed c JOIN erp."order" o ON o.id = c.order_id FOR UPDATE OF o');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'WITH d AS (DELETE FROM erp.party RETURNING 1) SELECT order_id FROM changed');
SELECT credit.depend('erp.v_order', 'erp.order_line', $$SELECT 'S1'$$);
SELECT credit.depend('erp.v_order', 'erp.v_order', 'SELECT number FROM changed');
SELECT credit.depend('nothing', 'erp.order_line', 'SELECT order_id FROM changed');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT credit.depend('erp.v_order', 'erp."order"', 'SELECT number FROM changed');
ROLLBACK;

-- what was written between attach and depend is taken in
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 100);
SET search_path = erp, public;
SELECT credit.depend('erp.v_order', 'order_line',
	'SELECT o.number FROM changed c JOIN "order" o ON o.id = c.order_id -- names along the path');
RESET search_path;
SELECT credit.depend('erp.v_order', 'erp."order"', 'SELECT number FROM changed');
SELECT credit.depend('erp.v_order', 'erp."order"', 'SELECT number FROM changed');
SELECT source, relation, changed_keys, has_triggers FROM credit.dependencies ORDER BY relation::text;
SELECT name, health, problem FROM credit.sources;
SELECT count(*) AS findings FROM credit.status() WHERE subject LIKE 'source%';
SELECT key, amount FROM credit.item ORDER BY key;
SET client_min_messages = warning;

-- the table of customers is a source of its own; orders are checked
SELECT credit.attach('erp.party', 'customer', key => 'id', credit_limit => 'credit_limit');

-- what differs from a recomputation; must stay empty
CREATE VIEW erp.wrong AS
SELECT COALESCE(t.customer, e.customer) AS customer, t.total, e.total AS ledger
  FROM (SELECT customer::text, sum(amount) AS total FROM erp.v_order WHERE state = 'confirmed' AND customer IS NOT NULL GROUP BY customer) t
  FULL JOIN (SELECT customer, total FROM credit.exposure WHERE total <> 0) e ON e.customer = t.customer
 WHERE COALESCE(t.total, 0) <> COALESCE(e.total, 0);
CREATE FUNCTION erp.state() RETURNS text LANGUAGE sql AS $$
SELECT COALESCE((SELECT string_agg(e.customer || ': ' || e.total, ', ' ORDER BY e.customer)
				   FROM credit.exposure e WHERE e.total <> 0), 'nothing') ||
	   CASE WHEN EXISTS (SELECT FROM erp.wrong) THEN ', WRONG' ELSE '' END
$$;
SELECT erp.state();

-- 2. What ERPs do. Everything by a role without any right on schema credit,
-- on the view, or on the other tables
GRANT USAGE ON SCHEMA erp TO clerk;
GRANT INSERT, UPDATE, DELETE, SELECT ON erp.order_line TO clerk;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA erp TO clerk;
SET ROLE clerk;
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 0.5, 10);
RESET ROLE;
SELECT erp.state();
GRANT INSERT, UPDATE, DELETE, SELECT, TRUNCATE ON erp."order", erp.order_line TO clerk;

-- a header first, lines later, confirmed at the end
INSERT INTO erp."order" VALUES (3, 'S3', 3);
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (3, 1, 10), (3, 2, 20);
SELECT erp.state();
UPDATE erp."order" SET state = 'confirmed' WHERE id = 3;
SELECT erp.state();
-- totals set to NULL and to new values
UPDATE erp.order_line SET price = NULL WHERE order_id = 3;
SELECT erp.state();
UPDATE erp.order_line SET price = 30 WHERE order_id = 3;
SELECT erp.state();
-- the customer is an expression
UPDATE erp."order" SET invoice_party = 4 WHERE id = 3;
SELECT erp.state();
UPDATE erp."order" SET invoice_party = NULL, party = NULL WHERE id = 3;
SELECT erp.state();
UPDATE erp."order" SET party = 3 WHERE id = 3;
-- lines moved between documents
UPDATE erp.order_line SET order_id = 1 WHERE order_id = 3 AND quantity = 1;
SELECT erp.state();
-- two customers become one
UPDATE erp."order" SET party = 1 WHERE party = 3;
SELECT erp.state();
-- the key changes, and two keys are swapped
UPDATE erp."order" SET number = 'S1 rev. 2' WHERE id = 1;
SELECT erp.state();
UPDATE erp."order" SET state = 'confirmed' WHERE id = 2;
ALTER TABLE erp."order" DROP CONSTRAINT order_number_key, ADD UNIQUE (number) DEFERRABLE;
UPDATE erp."order" SET number = CASE id WHEN 2 THEN 'S3' ELSE 'S2' END WHERE id IN (2, 3);
SELECT erp.state();
SELECT key, amount FROM credit.item ORDER BY key;
-- a mass UPDATE
UPDATE erp.order_line SET price = price + 1;
SELECT erp.state();
-- COPY, MERGE, ON CONFLICT
COPY erp.order_line (order_id, quantity, price) FROM STDIN;
1	1	1.5
2	1	2.5
\.
SELECT erp.state();
MERGE INTO erp.order_line l USING (VALUES (1, 3), (2, 4), (99, 5)) v (id, price) ON l.id = v.id
WHEN MATCHED THEN UPDATE SET price = v.price
WHEN NOT MATCHED THEN INSERT (order_id, quantity, price) VALUES (2, 1, v.price);
SELECT erp.state();
INSERT INTO erp."order" VALUES (2, 'S3', 5) ON CONFLICT (id) DO UPDATE SET party = 5;
INSERT INTO erp."order" VALUES (2, 'S3', 4) ON CONFLICT DO NOTHING;
SELECT erp.state();
-- savepoints
BEGIN;
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (2, 1, 50);
SAVEPOINT a;
UPDATE erp.order_line SET price = 60 WHERE order_id = 2 AND price = 50;
SELECT erp.state();
ROLLBACK TO a;
SELECT erp.state();
UPDATE erp.order_line SET price = 55 WHERE order_id = 2 AND price = 50;
COMMIT;
SELECT erp.state();
-- an ERP's own trigger keeps totals up to date on the header
CREATE FUNCTION erp.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE erp."order" SET note = 'touched', state = CASE WHEN NEW.price > 500 THEN 'draft' ELSE state END WHERE id = NEW.order_id;
	RETURN NULL;
END
$$;
CREATE TRIGGER note AFTER INSERT ON erp.order_line FOR EACH ROW EXECUTE FUNCTION erp.note();
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (2, 1, 10), (1, 1, 501);
SELECT erp.state();
UPDATE erp."order" SET state = 'confirmed' WHERE id = 1;
SELECT erp.state();
-- a line that makes the document too large is refused
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (2, 100, 100);
UPDATE erp.party SET credit_limit = 20000 WHERE id = 5;
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (2, 100, 100);
SELECT erp.state();
DELETE FROM erp.order_line WHERE quantity = 100;
SELECT erp.state();
-- what changes nothing is not looked at
SELECT recorded_at AS before FROM credit.item WHERE key = 'S3' \gset
SELECT ctid AS place FROM credit.item WHERE key = 'S3' \gset
UPDATE erp.order_line SET price = price WHERE order_id = 2;
SELECT ctid = :'place' AS untouched FROM credit.item WHERE key = 'S3';
-- nor is a column that no document is made of
UPDATE erp."order" SET note = 'x' WHERE id = 2;
SELECT ctid = :'place' AS untouched FROM credit.item WHERE key = 'S3';
-- what changes nothing of the document leaves a new version, and no history
SELECT count(*) AS versions FROM credit.item_version WHERE key = 'S3' \gset
UPDATE erp.order_line SET quantity = quantity * 2, price = price / 2 WHERE order_id = 2;
SELECT i.ctid <> :'place' AS is_new_version, i.recorded_at = :'before' AS same_values,
	   (SELECT count(*) FROM credit.item_version v WHERE v.key = 'S3') - :versions AS new_history
  FROM credit.item i WHERE i.key = 'S3';
-- deleted in cascade: the lines find no header any more
DELETE FROM erp."order" WHERE id = 1;
SELECT erp.state();
-- a large statement is taken in portions and refused as a whole
SET work_mem = '64kB';
INSERT INTO erp."order" SELECT g, 'M' || g, 4, NULL, 'confirmed' FROM generate_series(1001, 6000) g;
INSERT INTO erp.order_line (order_id, quantity, price) SELECT g, 1, 1 FROM generate_series(1001, 6000) g;
SELECT erp.state();
UPDATE erp.party SET credit_limit = 6000 WHERE id = 4;
INSERT INTO erp.order_line (order_id, quantity, price) SELECT g, 1, 1 FROM generate_series(1001, 6000) g;
SELECT erp.state();
RESET work_mem;
-- TRUNCATE
TRUNCATE erp.order_line;
SELECT erp.state();
TRUNCATE erp."order", erp.order_line;
SELECT erp.state();
SELECT count(*) AS documents FROM credit.item WHERE amount IS NOT NULL;

-- 3. Partitions: rows written into one by its own name, which numbers its
-- columns differently
SET ROLE erp_owner;
CREATE TABLE erp.move (id int, order_number text, kind text, value numeric) PARTITION BY LIST (kind);
CREATE TABLE erp.move_a (value numeric, gone int, kind text, order_number text, id int);
ALTER TABLE erp.move_a DROP COLUMN gone;
ALTER TABLE erp.move ATTACH PARTITION erp.move_a FOR VALUES IN ('a');
CREATE TABLE erp.move_b PARTITION OF erp.move FOR VALUES IN ('b');
CREATE VIEW erp.v_invoice AS SELECT order_number AS number, 1 AS customer, sum(value) AS amount FROM erp.move GROUP BY order_number;
RESET ROLE;
SELECT credit.attach('erp.v_invoice', 'invoice', key => 'number', customer => 'customer', amount => 'amount');
SELECT credit.depend('erp.v_invoice', 'erp.move', 'SELECT order_number FROM changed');
INSERT INTO erp.move VALUES (1, 'X', 'a', 10), (2, 'X', 'b', 20);
INSERT INTO erp.move_a (id, order_number, kind, value) VALUES (3, 'X', 'a', 5);
UPDATE erp.move_a SET order_number = 'Y' WHERE id = 3;
UPDATE erp.move SET kind = 'b' WHERE id = 1;
SELECT key, amount FROM credit.item WHERE amount IS NOT NULL ORDER BY key;
-- a table can be a source and a dependency of several sources
SELECT credit.attach('erp.move', 'payment', key => 'id', customer => $$'2'$$, amount => 'value');
INSERT INTO erp.move VALUES (4, 'Y', 'b', 7);
SELECT s.kind, i.key, i.amount FROM credit.item i JOIN credit.source s USING (source_id) WHERE amount IS NOT NULL ORDER BY 1, 2;
SELECT credit.detach('erp.v_invoice');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'erp.move'::regclass AND NOT tgisinternal ORDER BY 1;
INSERT INTO erp.move VALUES (5, 'Y', 'b', 8);
SELECT count(*) AS payments FROM credit.item WHERE amount = 8;
SELECT credit.detach('erp.move');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'erp.move'::regclass AND NOT tgisinternal;

-- 4. Keys of other types, composite ones, and customers from a view
SET ROLE erp_owner;
CREATE TABLE erp.customer_data (company text, party int, allowed numeric, PRIMARY KEY (company, party));
CREATE VIEW erp.v_customer AS SELECT party + 100 AS code, company, sum(allowed) AS allowed FROM erp.customer_data GROUP BY party, company;
CREATE TABLE erp.bill (company text, id bigint, party int, PRIMARY KEY (company, id));
CREATE TABLE erp.bill_line (company text, bill bigint, value numeric);
CREATE VIEW erp.v_bill AS SELECT b.company, b.id, b.party + 100 AS code, sum(l.value) AS value
  FROM erp.bill b JOIN erp.bill_line l ON l.company = b.company AND l.bill = b.id GROUP BY b.company, b.id;
RESET ROLE;
SELECT credit.attach('erp.v_customer', 'customer', key => 'code', segment => 'company', credit_limit => 'allowed');
SELECT credit.depend('erp.v_customer', 'erp.customer_data', 'SELECT party + 100 FROM changed');
SELECT credit.attach('erp.v_bill', 'invoice', key => '(company, id)', customer => 'code', segment => 'company', amount => 'value');
SELECT credit.depend('erp.v_bill', 'erp.bill', 'SELECT ROW(company, id) FROM changed');
SELECT credit.depend('erp.v_bill', 'erp.bill_line', 'SELECT ROW(company, bill) FROM changed');
INSERT INTO erp.customer_data VALUES ('north', 1, 100), ('south', 1, 200);
INSERT INTO erp.bill VALUES ('north', 1, 1), ('south', 1, 1);
INSERT INTO erp.bill_line VALUES ('north', 1, 10), ('south', 1, 20), ('south', 1, 1);
UPDATE erp.customer_data SET allowed = allowed + 1;
DELETE FROM erp.customer_data WHERE company = 'south';
SELECT a.customer, a.segment, l.limit_state, l.credit_limit FROM credit.account a JOIN credit.account_limit l USING (account_id)
 WHERE a.segment <> '' ORDER BY 1, 2;
SELECT key, amount FROM credit.item WHERE amount IS NOT NULL ORDER BY key;
SELECT credit.detach('erp.v_bill');
SELECT credit.detach('erp.v_customer');

-- 5. Who reads a view: its owner, and nobody else
SET ROLE erp_owner;
CREATE FUNCTION erp.who() RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text || '' '' || current_setting(''search_path'')';
CREATE VIEW erp.v_who AS SELECT id::text AS number, erp.who() AS customer, 1 AS amount FROM erp.party;
RESET ROLE;
SELECT credit.attach('erp.v_who', 'order', key => 'number', customer => 'customer', amount => 'amount', on_breach => 'off');
SELECT credit.depend('erp.v_who', 'erp.party', 'SELECT id FROM changed');
INSERT INTO erp.party VALUES (6, 1);
SELECT DISTINCT a.customer FROM credit.item i JOIN credit.account a USING (account_id) ORDER BY 1;
SELECT credit.detach('erp.v_who');
-- an owner who must not read the tables, or sees only some rows, is refused
CREATE ROLE stranger;
GRANT USAGE, CREATE ON SCHEMA erp TO stranger;
ALTER VIEW erp.v_who OWNER TO stranger;
SELECT credit.attach('erp.v_who', 'order', key => 'number', customer => 'customer', amount => 'amount');
GRANT SELECT ON erp.party TO stranger;
ALTER TABLE erp.party ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON erp.party USING (id < 3);
SELECT credit.attach('erp.v_who', 'order', key => 'number', customer => 'customer', amount => 'amount');
DROP VIEW erp.v_who;
ALTER TABLE erp.party DISABLE ROW LEVEL SECURITY;

-- 6. What breaks later
INSERT INTO erp."order" VALUES (1, 'S1', 1, NULL, 'confirmed');
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 10);
-- one document that cannot be read does not take others with it
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 'NaN', 1);
SELECT name, health, problem FROM credit.sources WHERE name = 'erp.v_order';
INSERT INTO erp."order" VALUES (2, 'S2', 1, NULL, 'confirmed');
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 10), (2, 2, 10);
SELECT key, amount FROM credit.item WHERE amount IS NOT NULL ORDER BY key;
DELETE FROM erp.order_line WHERE quantity = 'NaN';
SELECT erp.state();
-- a column the view needs is gone from its mapping, a table from under it
ALTER VIEW erp.v_order RENAME COLUMN amount TO total;
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 10), (2, 2, 10);
SELECT name, health, problem FROM credit.sources WHERE name = 'erp.v_order';
ALTER VIEW erp.v_order RENAME COLUMN total TO amount;
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 10), (2, 2, 10);
SELECT erp.state();
-- renaming the view, or the table that is written to, does no harm
ALTER VIEW erp.v_order RENAME TO v_sale;
ALTER TABLE erp.order_line RENAME TO sale_line;
INSERT INTO erp.sale_line (order_id, quantity, price) VALUES (1, 1, 10), (2, 2, 10);
ALTER VIEW erp.v_sale RENAME TO v_order;
ALTER TABLE erp.sale_line RENAME TO order_line;
SELECT erp.state();
ALTER TABLE erp.order_line DISABLE TRIGGER zz_credit_row;
SELECT name, health FROM credit.sources WHERE name = 'erp.v_order';
SELECT relation, has_triggers FROM credit.dependencies ORDER BY relation::text;
ALTER TABLE erp.order_line ENABLE TRIGGER zz_credit_row;
-- the switch without DDL
SELECT credit.set('capture', 'off');
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 1000);
SELECT credit.set('capture', 'on');
SELECT erp.state();
SELECT credit.reevaluate(source_id) FROM credit.source WHERE name = 'erp.v_order';
SELECT erp.state();
-- on_error => 'refuse'
SELECT credit.detach('erp.v_order');
SELECT credit.attach('erp.v_order', 'order', key => 'number', customer => 'customer', amount => 'amount',
	counts_when => $$state = 'confirmed'$$, on_error => 'refuse', on_breach => 'off');
SELECT credit.depend('erp.v_order', 'erp.order_line', 'SELECT o.number FROM changed c JOIN erp."order" o ON o.id = c.order_id');
SELECT credit.depend('erp.v_order', 'erp."order"', 'SELECT number FROM changed');
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 'NaN', 1);
SELECT erp.state();
-- a view that comes to have two rows of a document
CREATE OR REPLACE VIEW erp.v_order AS
SELECT o.number, coalesce(o.invoice_party, o.party) AS customer, o.state, o.ordered_on,
	   l.quantity::numeric * l.price AS amount
  FROM erp."order" o LEFT JOIN erp.order_line l ON l.order_id = o.id;
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 1);

-- 7. The end
SELECT credit.undepend('erp.v_order', 'erp.order_line');
INSERT INTO erp.order_line (order_id, quantity, price) VALUES (1, 1, 1);
SELECT credit.undepend('erp.v_order', 'erp.order_line');
SELECT credit.detach('erp.v_order');
SELECT count(*) AS triggers FROM pg_trigger WHERE tgname LIKE 'zz_credit%' AND tgrelid <> 'erp.party'::regclass;
SELECT count(*) AS dependencies FROM credit.dependency;
SELECT count(*) AS items FROM credit.item;
SELECT customer, total FROM credit.exposure WHERE total <> 0;
DROP SCHEMA erp CASCADE;
DROP EXTENSION credit;
DROP ROLE stranger, clerk, erp_owner;

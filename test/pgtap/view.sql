-- Random statements against the tables behind two views. After each one every
-- item must be what its view says now, and exposure what the items add up to.
BEGIN;
CREATE EXTENSION credit;
SELECT plan(10);
SET LOCAL client_min_messages = warning;

CREATE SCHEMA shop;
CREATE TABLE shop.sale (id int PRIMARY KEY, number text NOT NULL, party text, state text NOT NULL DEFAULT 'open');
CREATE TABLE shop.line (id int PRIMARY KEY, sale int REFERENCES shop.sale ON DELETE CASCADE ON UPDATE CASCADE, amount numeric, kind int NOT NULL DEFAULT 0)
	PARTITION BY HASH (id);
CREATE TABLE shop.line_0 PARTITION OF shop.line FOR VALUES WITH (MODULUS 2, REMAINDER 0);
-- the other one numbers its columns differently
CREATE TABLE shop.line_1 (kind int NOT NULL DEFAULT 0, gone int, amount numeric, sale int, id int NOT NULL);
ALTER TABLE shop.line_1 DROP COLUMN gone;
ALTER TABLE shop.line ATTACH PARTITION shop.line_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
-- linked by words, not by a key: what is invoiced of a line
CREATE TABLE shop.bill (id int PRIMARY KEY, source text, amount numeric);
CREATE SEQUENCE shop.ids;

CREATE VIEW shop.v_sale AS
SELECT s.number, max(s.party) AS party, bool_or(s.state = 'open') AS counts, sum(l.amount) AS amount
  FROM shop.sale s LEFT JOIN shop.line l ON l.sale = s.id
 GROUP BY s.number;
-- one row for each sale that was billed
CREATE VIEW shop.v_bill AS
SELECT l.sale, max(s.party) AS party, sum(b.amount) AS amount, max(s.number) AS number
  FROM shop.bill b
  JOIN shop.line l ON b.source = 'sale.line,' || l.id
  JOIN shop.sale s ON s.id = l.sale
 GROUP BY l.sale;

SELECT credit.set_rule('not_set', 'off');
SELECT credit.attach('shop.v_sale', 'order', key => 'number', customer => 'party', amount => 'amount', counts_when => 'counts', on_breach => 'reject');
SELECT credit.depend('shop.v_sale', 'shop.sale', 'SELECT number FROM changed');
SELECT credit.depend('shop.v_sale', 'shop.line', 'SELECT s.number FROM changed c JOIN shop.sale s ON s.id = c.sale');
SELECT credit.attach('shop.v_bill', 'invoice', key => 'sale', customer => 'party', amount => 'amount', origin => 'number');
SELECT credit.depend('shop.v_bill', 'shop.sale', 'SELECT id FROM changed');
SELECT credit.depend('shop.v_bill', 'shop.line', 'SELECT sale FROM changed');
SELECT credit.depend('shop.v_bill', 'shop.bill', $$SELECT l.sale FROM changed c JOIN shop.line l ON c.source = 'sale.line,' || l.id$$);

-- What each document must be.
CREATE VIEW shop.truth AS
SELECT 'order' AS kind, number AS key, party AS customer, amount, NULL::text AS origin FROM shop.v_sale
 WHERE counts AND party IS NOT NULL AND amount IS NOT NULL
UNION ALL
SELECT 'invoice', sale::text, party, amount, number FROM shop.v_bill WHERE party IS NOT NULL AND amount IS NOT NULL;
CREATE VIEW shop.wrong AS
SELECT COALESCE(t.kind, i.kind) AS kind, COALESCE(t.key, i.key) AS key, t.customer, t.amount, t.origin, i.customer AS has_customer, i.amount AS has_amount, i.origin AS has_origin
  FROM shop.truth t
  FULL JOIN (SELECT s.kind, i.key, a.customer, i.amount, i.origin
			   FROM credit.item i JOIN credit.source s USING (source_id)
			   LEFT JOIN credit.account a USING (account_id)
			  WHERE i.amount IS NOT NULL) i ON i.kind = t.kind AND i.key = t.key
 WHERE (t.customer, t.amount, t.origin) IS DISTINCT FROM (i.customer, i.amount, i.origin);
-- Exposure of a customer: per order what is left of it, and what was invoiced.
CREATE VIEW shop.exposure AS
SELECT x.customer, sum(x.value) AS total
  FROM (SELECT o.customer, GREATEST(o.amount - GREATEST(b.invoiced, 0), 0) AS value
		  FROM shop.truth o
		 CROSS JOIN LATERAL (SELECT COALESCE(sum(t.amount), 0) AS invoiced FROM shop.truth t WHERE t.kind = 'invoice' AND t.origin = o.key) b
		 WHERE o.kind = 'order'
		UNION ALL
		SELECT customer, amount FROM shop.truth WHERE kind = 'invoice') x
 GROUP BY x.customer;

CREATE FUNCTION shop.pick(n int) RETURNS int LANGUAGE sql AS 'SELECT 1 + floor(random() * n)::int';
CREATE FUNCTION shop.some_sale() RETURNS text LANGUAGE sql AS $$
SELECT COALESCE((SELECT id::text FROM shop.sale ORDER BY random() LIMIT 1), 'NULL')
$$;
CREATE FUNCTION shop.some_command(kind int) RETURNS text LANGUAGE sql AS $$
SELECT CASE kind
	WHEN 1 THEN format('INSERT INTO shop.sale VALUES (nextval(''shop.ids''), ''N'' || nextval(''shop.ids''), ''p%s'', %L)', shop.pick(4), (ARRAY['open', 'draft'])[shop.pick(2)])
	WHEN 2 THEN format('INSERT INTO shop.line (id, sale, amount) SELECT nextval(''shop.ids''), %s, %s + i FROM generate_series(1, %s) i', shop.some_sale(), shop.pick(20), shop.pick(4))
	WHEN 3 THEN format('UPDATE shop.line SET amount = amount + %s WHERE id %% %s = 0', shop.pick(9) - 5, shop.pick(9))
	WHEN 4 THEN format('UPDATE shop.sale SET state = %L WHERE id %% %s = 0', (ARRAY['open', 'draft'])[shop.pick(2)], shop.pick(7))
	WHEN 5 THEN format('UPDATE shop.line SET sale = %s WHERE id %% %s = 0', shop.some_sale(), 2 + shop.pick(9))
	WHEN 6 THEN format('DELETE FROM shop.sale WHERE id = %s', shop.some_sale())
	WHEN 7 THEN format('DELETE FROM shop.line WHERE id %% %s = 0', 5 + shop.pick(9))
	WHEN 8 THEN format('UPDATE shop.sale SET number = ''N'' || nextval(''shop.ids'') WHERE id = %s', shop.some_sale())
	WHEN 9 THEN format('UPDATE shop.sale SET party = ''p%s'' WHERE party = ''p%s''', shop.pick(4), shop.pick(4))
	WHEN 10 THEN format('INSERT INTO shop.bill SELECT nextval(''shop.ids''), ''sale.line,'' || l.id, round(l.amount / %s, 2) FROM shop.line l WHERE id %% %s = 0', shop.pick(3), shop.pick(9))
	WHEN 11 THEN format('DELETE FROM shop.bill WHERE id %% %s = 0', 2 + shop.pick(5))
	WHEN 12 THEN format('UPDATE shop.bill SET source = ''sale.line,'' || l.id FROM shop.line l WHERE l.sale = %s AND bill.id %% 5 = 0', shop.some_sale())
	WHEN 13 THEN format('UPDATE shop.sale SET id = id + 1000000 WHERE id = %s AND id < 1000000', shop.some_sale())
	WHEN 14 THEN format('INSERT INTO shop.line_1 (id, sale, amount) SELECT i, %s, 3 FROM generate_series(%s, %s) i WHERE satisfies_hash_partition(''shop.line''::regclass, 2, 1, i) AND NOT EXISTS (SELECT FROM shop.line l WHERE l.id = i)',
						shop.some_sale(), 5000000, 5000000 + shop.pick(6))
	WHEN 15 THEN format('UPDATE shop.line SET id = id + 10000000 WHERE id %% %s = 0 AND id < 10000000', 3 + shop.pick(9))
	WHEN 16 THEN format('MERGE INTO shop.line l USING shop.sale s ON l.sale = s.id AND l.id %% 3 = %s WHEN MATCHED AND l.amount > 10 THEN DELETE WHEN MATCHED THEN UPDATE SET amount = l.amount + 1', shop.pick(3) - 1)
	WHEN 17 THEN format('UPDATE shop.sale SET party = NULL WHERE id = %s', shop.some_sale())
	WHEN 18 THEN format('UPDATE shop.sale SET party = ''p%s'' WHERE party IS NULL', shop.pick(4))
	WHEN 19 THEN format('UPDATE shop.sale SET number = (SELECT number FROM shop.sale WHERE id = %s) WHERE id = %s', shop.some_sale(), shop.some_sale())
	ELSE format('WITH m AS (UPDATE shop.sale SET state = ''open'' WHERE id = %s RETURNING id) UPDATE shop.line SET amount = amount + 1 FROM m WHERE sale = m.id', shop.some_sale())
END
$$;

CREATE TABLE shop.trouble (n int, command text, what text);
CREATE TABLE shop.done (kind int, outcome text);
CREATE PROCEDURE shop.walk(steps int) LANGUAGE plpgsql AS $$
DECLARE
	command text;
	kind int;
	how int;
BEGIN
	FOR n IN 1 .. steps LOOP
		kind := CASE WHEN n <= 20 THEN 1 + n % 2 ELSE shop.pick(20) END;
		command := shop.some_command(kind);
		how := shop.pick(6);
		BEGIN
			/* some are undone, some happen in a savepoint, some twice in one statement */
			EXECUTE command;
			IF how = 1 THEN
				RAISE EXCEPTION 'undone' USING ERRCODE = 'ZZ000';
			END IF;
			INSERT INTO shop.done VALUES (kind, 'done');
		EXCEPTION
			WHEN SQLSTATE 'ZZ000' THEN INSERT INTO shop.done VALUES (kind, 'undone');
			WHEN OTHERS THEN INSERT INTO shop.trouble VALUES (n, command, SQLERRM);
		END;
		INSERT INTO shop.trouble SELECT n, command, w::text FROM shop.wrong w;
		INSERT INTO shop.trouble
		SELECT n, command, format('exposure of %s is %s, must be %s', customer, e.total, x.total)
		  FROM shop.exposure x FULL JOIN credit.exposure e USING (customer)
		 WHERE COALESCE(x.total, 0) <> COALESCE(e.total, 0);
		EXIT WHEN EXISTS (SELECT FROM shop.trouble);
	END LOOP;
END
$$;
SELECT setseed(0.42);
CALL shop.walk(400);
SELECT is_empty('TABLE shop.trouble', 'after each of 400 random statements the ledger says what the views say');
SELECT is((SELECT count(DISTINCT kind)::int FROM shop.done WHERE outcome = 'done'), 20, 'every kind of statement took place');
SELECT ok((SELECT count(*) > 20 FROM shop.done WHERE outcome = 'undone'), 'and some were undone');
SELECT ok((SELECT count(*) > 20 FROM credit.item_version v JOIN credit.source s USING (source_id) WHERE s.kind = 'invoice' AND v.amount IS NOT NULL),
	'invoices came and went');
SELECT is((SELECT count(*)::int FROM credit.sources WHERE health = 'ok'), 2, 'nothing went unread');

-- Portions: the same in a statement that does not fit in memory.
SET LOCAL work_mem = '64kB';
INSERT INTO shop.sale SELECT i, 'L' || i, 'p' || i % 4 + 1, 'open' FROM generate_series(2000001, 2003000) i;
INSERT INTO shop.line (id, sale, amount) SELECT 20000000 + i, 2000001 + i % 3000, i % 7 FROM generate_series(1, 9000) i;
UPDATE shop.sale SET party = 'p1' WHERE id > 2000000 AND party = 'p2';
SELECT is_empty('TABLE shop.wrong', 'nor does it matter how large a statement is');
UPDATE shop.line SET amount = 2 WHERE id > 20000000;
DELETE FROM shop.sale WHERE id % 3 = 0 AND id > 2000000;
SELECT is_empty('TABLE shop.wrong', 'nor how many documents it changes or deletes');

TRUNCATE shop.line, shop.bill;
SELECT is_empty('TABLE shop.wrong', 'TRUNCATE');

-- A few documents are looked up, although their tables are small enough for the
-- planner to read them as a whole: they will not stay so.
CREATE TABLE shop.head (id int PRIMARY KEY, party text NOT NULL, state text NOT NULL);
CREATE TABLE shop.part (id int PRIMARY KEY, head int NOT NULL, amount numeric NOT NULL);
CREATE INDEX ON shop.part (head);
INSERT INTO shop.head SELECT i, 'p1', 'open' FROM generate_series(1, 600) i;
INSERT INTO shop.part SELECT i, 1 + i / 2, 1 FROM generate_series(1, 1199) i;
ANALYZE shop.head, shop.part;
CREATE VIEW shop.v_part AS
SELECT p.id, h.party, p.amount, h.state, a.amount AS first
  FROM shop.part p JOIN shop.head h ON h.id = p.head LEFT JOIN shop.part a ON a.id = p.id - 1;
SELECT credit.attach('shop.v_part', 'order', key => 'id', customer => 'party', amount => 'amount', counts_when => $$state = 'open'$$);
SELECT credit.depend('shop.v_part', 'shop.part', 'SELECT id FROM changed');
SELECT credit.depend('shop.v_part', 'shop.head', 'SELECT p.id FROM changed c JOIN shop.part p ON p.head = c.id');
CREATE TEMP TABLE before AS SELECT sum(seq_tup_read) AS n FROM pg_stat_xact_user_tables WHERE schemaname = 'shop' AND relname IN ('head', 'part');
UPDATE shop.head SET state = 'held' WHERE id = 7;
SELECT is((SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE schemaname = 'shop' AND relname IN ('head', 'part')) - (SELECT n FROM before),
	0::numeric, 'two documents of small tables are read by their keys alone');
SELECT is((SELECT total FROM credit.exposure WHERE customer = 'p1'), 1197::numeric, 'and are on hold both');
SELECT * FROM finish();
ROLLBACK;

--
-- capture: statements so large that they are taken in portions answer as if
-- they were taken at once
--
CREATE EXTENSION credit;
CREATE SCHEMA shop;
\set VERBOSITY terse
CREATE TABLE shop.bulk (id int PRIMARY KEY, customer text, total numeric);
SELECT credit.attach('shop.bulk', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.set_limit('bulk ' || g, 1000, 'test') > 0 AS is_set FROM generate_series(1, 3) g;
SET work_mem = '64kB';
INSERT INTO shop.bulk SELECT g, 'bulk ' || 1 + g % 3, 0.1 FROM generate_series(1, 9000) g;
-- one row of the journal for each account, whatever the portions
SELECT count(*) FROM credit.journal j JOIN credit.account a USING (account_id) WHERE a.customer LIKE 'bulk %';
SELECT customer, total FROM credit.exposure WHERE customer LIKE 'bulk %' ORDER BY 1;
-- first far above the limit, then far below, and nothing in the end
UPDATE shop.bulk SET total = total + CASE WHEN id <= 4500 THEN 1000 ELSE -1000 END;
UPDATE shop.bulk SET total = 0.2;
SELECT customer, total FROM credit.exposure WHERE customer LIKE 'bulk %' ORDER BY 1;
-- memory does not grow with the rows, looked at when all portions but the last
-- have been applied
CREATE TABLE shop.memory (bytes bigint);
CREATE FUNCTION shop.look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.memory SELECT sum(used_bytes) FROM pg_backend_memory_contexts WHERE name = 'credit frame';
	RETURN NULL;
END
$$;
CREATE TRIGGER z_look AFTER UPDATE ON shop.bulk FOR EACH STATEMENT EXECUTE FUNCTION shop.look();
UPDATE shop.bulk SET total = 0.3 WHERE id <= 3000;
UPDATE shop.bulk SET total = 0.25;
DROP TRIGGER z_look ON shop.bulk;
SELECT count(*), min(bytes) > 0 AS is_there, max(bytes) - min(bytes) < 1000 AS is_bounded FROM shop.memory;
UPDATE shop.bulk SET total = 0.2;
-- too much in the end: nothing of it stays
INSERT INTO shop.bulk SELECT g, 'bulk 2', 1 FROM generate_series(9001, 12000) g;
UPDATE shop.bulk SET id = id + 100000, customer = 'bulk 3' WHERE id > 4000 AND customer = 'bulk 1';
UPDATE shop.bulk SET id = -id;
DELETE FROM shop.bulk WHERE id < -6000;
SELECT e.customer, e.total, e.total - s.total AS difference
  FROM credit.exposure e
  JOIN (SELECT customer, sum(total) AS total FROM shop.bulk GROUP BY 1) s ON s.customer = e.customer ORDER BY 1;
-- rows of which the ledger holds some already: they went while capture was off,
-- and come back, unchanged, changed, and for another customer
SELECT credit.set('capture', 'off');
DELETE FROM shop.bulk;
SELECT credit.set('capture', 'on');
SELECT clock_timestamp() AS before \gset
INSERT INTO shop.bulk
SELECT -g, CASE WHEN g % 9 = 0 THEN 'bulk 2' ELSE 'bulk ' || 1 + g % 3 END, 0.2 + (g % 2) * 0.1
  FROM generate_series(1, 9000) g;
SELECT customer, total FROM credit.exposure WHERE customer LIKE 'bulk %' ORDER BY 1;
SELECT e.customer, e.total - s.total AS difference
  FROM credit.exposure e
  JOIN (SELECT customer, sum(total) AS total FROM
		(SELECT customer, total FROM shop.bulk
		 UNION ALL
		 SELECT a.customer, i.amount FROM credit.item i JOIN credit.account a USING (account_id)
		  WHERE i.key::int NOT BETWEEN -9000 AND -1) x GROUP BY 1) s ON s.customer = e.customer ORDER BY 1;
SELECT count(*) FROM shop.bulk b
 WHERE NOT EXISTS (SELECT FROM credit.item i JOIN credit.account a USING (account_id)
					WHERE i.key = b.id::text AND a.customer = b.customer AND i.amount = b.total);
SELECT count(*) - count(DISTINCT key) AS twice FROM credit.item;
-- what stayed as it was has no new version
SELECT count(*) AS new_versions,
	   count(*) FILTER (WHERE v.amount = i.amount AND v.account_id = i.account_id) AS needless
  FROM credit.item_version v JOIN credit.item i USING (source_id, key)
 WHERE v.superseded_at >= :'before';
RESET work_mem;
SELECT credit.detach('shop.bulk');
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit CASCADE;

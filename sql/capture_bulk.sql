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
-- too much in the end: nothing of it stays
INSERT INTO shop.bulk SELECT g, 'bulk 2', 1 FROM generate_series(9001, 12000) g;
UPDATE shop.bulk SET id = id + 100000, customer = 'bulk 3' WHERE id > 4000 AND customer = 'bulk 1';
UPDATE shop.bulk SET id = -id;
DELETE FROM shop.bulk WHERE id < -6000;
SELECT e.customer, e.total, e.total - s.total AS difference
  FROM credit.exposure e
  JOIN (SELECT customer, sum(total) AS total FROM shop.bulk GROUP BY 1) s ON s.customer = e.customer ORDER BY 1;
RESET work_mem;
SELECT credit.detach('shop.bulk');
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit CASCADE;

--
-- exposure: what each customer owes or has ordered, today and on other days
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');
SELECT credit.set('mode', 'shadow');

CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, day date, due date, posted date,
						  currency text, origin text, disputed boolean, no text);
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric, day date, pays text);
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total',
	document_date => 'day', due_date => 'due', posting_date => 'posted', currency => 'currency',
	origin => 'origin', is_disputed => 'disputed', number => 'no');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount',
	document_date => 'day', applies_to => 'pays');

-- 1. An empty ledger
SELECT * FROM credit.exposure;
SELECT * FROM credit.exposure_document;
SELECT * FROM credit.exposure_on('2020-01-01');

-- 2. Figures, states and ratios

SELECT credit.set_limit('A', 1000, NULL) > 0 AND credit.set_limit('B', 100, NULL) > 0
   AND credit.set_limit('C', NULL, NULL, state => 'blocked') > 0 AND credit.set_limit('D', NULL, NULL, state => 'unlimited') > 0
   AND credit.set_limit('F', 0, NULL) > 0 AND credit.set_limit('G', 0, NULL) > 0 AND credit.set_limit('H', 100, NULL) > 0 AS are_set;
INSERT INTO shop.orders VALUES
	(1, 'A', 500, '2020-01-10', '2020-02-10', '2020-01-12', NULL, 'offer 7', true, 'SO-1');
INSERT INTO shop.orders VALUES
	(2, 'A', 450, '2020-02-20'),
	(3, 'B', 120, '2020-03-01'),
	(4, 'C', 5, '2020-03-01'),
	(5, 'D', 1e9, '2020-03-01'),
	(6, 'E', 7, '2020-03-01'),
	(7, 'G', 0.01, '2020-03-01'),
	(8, 'H', 50, '2020-03-01');
INSERT INTO shop.payments VALUES (1, 'A', 50, '2020-02-15', '1'), (2, 'H', 80, '2020-03-02', NULL);
SELECT customer, currency, ordered, delivered, invoiced, unapplied, total, limit_state, credit_limit,
	   headroom, utilisation, is_over_limit, other_currencies
  FROM credit.exposure ORDER BY customer;
SELECT customer, total, credit_limit, headroom, utilisation, is_over_limit FROM credit.near_limit ORDER BY customer;
SELECT credit.set('near_limit', '0.95');
SELECT customer, utilisation FROM credit.near_limit ORDER BY customer;
SELECT customer, total, limit_state, credit_limit, excess FROM credit.over_limit;

-- down to the documents
SELECT customer, source, kind, key, number, document_date, due_date, currency, amount,
	   ordered, delivered, invoiced, unapplied, exposure, is_disputed, origin
  FROM credit.exposure_document ORDER BY kind, key;
SELECT e.customer FROM credit.exposure e
  LEFT JOIN (SELECT customer, sum(exposure) AS total FROM credit.exposure_document GROUP BY 1) d USING (customer)
 WHERE e.total <> COALESCE(d.total, 0);

-- 3. Other days: documents count from their date

SET credit.as_of = '2020-02-01';
SELECT credit.as_of();
SELECT customer, ordered, unapplied, total, headroom, utilisation FROM credit.exposure WHERE customer IN ('A', 'B', 'H') ORDER BY 1;
SELECT kind, key, amount FROM credit.exposure_document ORDER BY 1, 2;
SET credit.as_of = '2020-02-15';
SELECT customer, ordered, unapplied, total FROM credit.exposure WHERE customer = 'A';
SET credit.as_of = '2020-03-01';
SELECT customer, ordered, unapplied, total FROM credit.exposure WHERE customer IN ('A', 'H') ORDER BY 1;
SELECT customer FROM credit.over_limit ORDER BY 1;
SET credit.as_of = '1999-12-31';
SELECT count(*), sum(total) FROM credit.exposure;
SELECT count(*) FROM credit.near_limit;
RESET credit.as_of;
-- the function form gives the same
SELECT customer, ordered, unapplied, total FROM credit.exposure_on('2020-02-15') WHERE customer = 'A';
SELECT customer, ordered, unapplied, total FROM credit.exposure_on('infinity') WHERE customer = 'A';
SELECT count(*) FROM credit.exposure_on(NULL) WHERE total <> 0;
-- what has no date counts from the day it was recorded; the posting date is second best
INSERT INTO shop.orders VALUES (9, 'E', 1);
INSERT INTO shop.orders VALUES (10, 'E', 10, NULL, NULL, '2020-01-05');
SELECT total FROM credit.exposure_on('2020-01-31') WHERE customer = 'E';
SELECT total FROM credit.exposure_on((now() - interval '2 days')::date) WHERE customer = 'E';
SELECT total FROM credit.exposure WHERE customer = 'E';
-- a document dated in the future counts today (it is an order), not before its date on other days
INSERT INTO shop.orders VALUES (11, 'E', 100, '2999-01-01');
SELECT total FROM credit.exposure WHERE customer = 'E';
SELECT total FROM credit.exposure_on('2998-12-31') WHERE customer = 'E';
SELECT total FROM credit.exposure_on('2999-01-01') WHERE customer = 'E';

-- 4. A day must be one

SET credit.as_of = '2020-02-30';
SELECT * FROM credit.exposure;
SET credit.as_of = '31.12.2020';
SELECT * FROM credit.exposure;
SET credit.as_of = 'yesterday';
SELECT * FROM credit.exposure_document;
SET credit.as_of = '2020-1-1';
SELECT credit.as_of();
SET credit.as_of = '2020-01-01 ';
SELECT credit.as_of();
SET credit.as_of = '0000-01-01';
SELECT credit.as_of();
SET credit.as_of = '2020-13-01';
SELECT credit.as_of();
SET credit.as_of = '2024-02-29';
SELECT credit.as_of();
SET credit.as_of = '';
SELECT credit.as_of() = credit.today() AS today;
RESET credit.as_of;
BEGIN;
SET LOCAL credit.as_of = '2020-02-01';
SELECT credit.as_of();
COMMIT;
SELECT credit.as_of() = credit.today() AS today;

-- 5. Other currencies: no rate, no total (where there are rates: currency.sql)

INSERT INTO shop.orders VALUES (20, 'A', 10, '2020-02-01', NULL, NULL, 'EUR'), (21, 'A', 10, '2020-02-01', NULL, NULL, 'CHF');
SELECT ordered, unapplied, total, headroom, utilisation, is_over_limit, other_currencies FROM credit.exposure WHERE customer = 'A';
SELECT total, other_currencies FROM credit.exposure_on('2020-02-02') WHERE customer = 'A';
SELECT total, other_currencies FROM credit.exposure_on('2020-01-31') WHERE customer = 'A';
UPDATE shop.orders SET currency = 'EUR' WHERE id = 21;
SELECT other_currencies FROM credit.exposure WHERE customer = 'A';
DELETE FROM shop.orders WHERE id IN (20, 21);
SELECT total, other_currencies FROM credit.exposure WHERE customer = 'A';

-- 6. What was known when

SELECT clock_timestamp() AS moment \gset
UPDATE shop.orders SET total = 400 WHERE id = 1;
DELETE FROM shop.orders WHERE id = 2;
SELECT key, amount, superseded_at IS NULL AS is_present FROM credit.item_history WHERE key IN ('1', '2') AND source = 'shop.orders' ORDER BY key, recorded_at;
SELECT key, amount FROM credit.item_history
 WHERE source = 'shop.orders' AND customer = 'A' AND recorded_at <= :'moment' AND (superseded_at IS NULL OR superseded_at > :'moment') ORDER BY key;
SELECT key, amount FROM credit.item_history
 WHERE source = 'shop.orders' AND customer = 'A' AND superseded_at IS NULL ORDER BY key;

DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

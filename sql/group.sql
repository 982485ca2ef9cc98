--
-- group: exposure weighted, net of security, and of groups of companies
--
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

-- 1. Weighted (D2)
SELECT credit.weighted_exposure(40000, 15000, 120000, -8000) AS gross,
	   credit.weighted_exposure(40000, 15000, 120000, -8000, order_weight => 0.5) AS half_of_orders;
SELECT credit.weighted_exposure(1, 1, 1, order_weight => 1.1) IS NULL AS above_one,
	   credit.weighted_exposure(1, 1, 1, invoice_weight => -0.1) IS NULL AS below_zero,
	   credit.weighted_exposure(NULL, 1, 1) IS NULL AS unknown;

-- 2. Net and secured (D3)
SELECT e, credit.net_exposure(e, 50000, 0, 100000, 0.9) AS net, e - credit.net_exposure(e, 50000, 0, 100000, 0.9) AS secured
  FROM unnest(ARRAY[167000, 250000, 40000, 0, -10, NULL]) e;
SELECT credit.net_exposure(1000) AS nothing, credit.net_exposure(1000, 500, 0.08) AS haircut,
	   credit.net_exposure(1000, insured_limit => 400, insured_share => 1) AS insured;
SELECT credit.net_exposure(1, 1, 1.5), credit.net_exposure(1, -1), credit.net_exposure(1, 0, 0, 1, 90);

-- 3. Groups (D8)
CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text, company text, parent text, currency text, credit_limit numeric, PRIMARY KEY (code, company));
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, company text, total numeric, day date);
SELECT credit.attach('shop.customers', 'customer', key => 'code', segment => 'company', parent => 'parent', currency => 'currency', credit_limit => 'credit_limit',
	null_limit => 'unlimited', zero_limit => 'blocked');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', segment => 'company', amount => 'total', document_date => 'day');
INSERT INTO shop.customers VALUES ('P', '1', NULL, 'USD', 500), ('A', '1', 'P', 'USD', 200), ('B', '1', 'P', 'USD', 300),
	('X', '1', NULL, 'USD', 10), ('A', '2', 'P', 'USD', 50);
INSERT INTO shop.orders VALUES (1, 'A', '1', 180, '2025-01-01'), (2, 'B', '1', 250, '2025-02-01'), (3, 'P', '1', 40, '2025-03-01'), (4, 'A', '2', 7, '2025-01-01');
CREATE VIEW shop.groups AS SELECT customer, segment, n_members AS n, total, group_total, credit_limit, headroom, group_headroom, bound_by FROM credit.group_exposure ORDER BY segment, customer;
TABLE shop.groups;
-- an order of 40 passes neither for A, by its own limit, nor for B, by that of the group
SELECT customer, 40 <= headroom AS own, 40 <= group_headroom AS all_the_way FROM shop.groups WHERE segment = '1' AND customer IN ('A', 'B');
-- the sum of another day
SET credit.as_of = '2025-01-31';
SELECT customer, total, group_total FROM shop.groups WHERE segment = '1' AND customer IN ('A', 'P');
RESET credit.as_of;
-- three levels; unlimited, blocked
INSERT INTO shop.customers VALUES ('T', '1', 'A', 'USD', NULL);
INSERT INTO shop.orders VALUES (5, 'T', '1', 5, '2025-03-02');
UPDATE shop.customers SET credit_limit = NULL WHERE code = 'B';
UPDATE shop.customers SET credit_limit = 0 WHERE code = 'X';
TABLE shop.groups;
-- another currency: 1.25 USD for one GBP
UPDATE shop.customers SET currency = 'GBP' WHERE code = 'T';
SELECT customer, total, group_total, group_headroom FROM shop.groups WHERE customer IN ('T', 'A', 'P') AND segment = '1';
SELECT credit.set_rate('GBP', 'USD', 1.25, credit.today()) AS rate;
SELECT customer, total, group_total, group_headroom, bound_by FROM shop.groups WHERE customer IN ('T', 'A', 'P') AND segment = '1';
-- parents in a circle are members of each other; a parent nobody knows is none
UPDATE shop.customers SET parent = 'T' WHERE code = 'P';
UPDATE shop.customers SET parent = 'gone' WHERE code = 'X';
SELECT customer, n, group_total FROM shop.groups WHERE segment = '1';
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

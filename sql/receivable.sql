--
-- receivable: what is open, of whom, since when; aging on any day; statements
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, name text, terms int);
CREATE TABLE shop.orders (id text PRIMARY KEY, customer text, total numeric, open boolean DEFAULT true);
CREATE TABLE shop.deliveries (id text PRIMARY KEY, customer text, total numeric, of_order text);
CREATE TABLE shop.invoices (id text PRIMARY KEY, customer text, total numeric, day date, due date, of_order text,
							reversed date, disputed boolean, disputed_part numeric, retained numeric, retained_until date);
CREATE TABLE shop.notes (id text PRIMARY KEY, customer text, total numeric, day date, due date, invoice text);
CREATE TABLE shop.payments (id text PRIMARY KEY, customer text, amount numeric, day date, posted date, reversed date);
CREATE TABLE shop.applications (id text PRIMARY KEY, invoice text, payment text, amount numeric, day date, reversed date, lost boolean);
INSERT INTO shop.customers VALUES ('A', 'Alpha', 30);
SELECT credit.attach('shop.customers', 'customer', key => 'code', name => 'name', terms_days => 'terms');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', counts_when => 'open');
SELECT credit.attach('shop.deliveries', 'delivery', key => 'id', customer => 'customer', amount => 'total', origin => 'of_order');
SELECT credit.attach('shop.invoices', 'invoice', key => 'id', customer => 'customer', amount => 'total', document_date => 'day',
	due_date => 'due', origin => 'of_order', reversed_on => 'reversed', is_disputed => 'disputed',
	disputed_amount => 'disputed_part', retention_amount => 'retained', retention_until => 'retained_until');
SELECT credit.attach('shop.notes', 'credit_note', key => 'id', customer => 'customer', amount => 'total', document_date => 'day',
	due_date => 'due', applies_to => 'invoice');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day',
	posting_date => 'posted', reversed_on => 'reversed');
SELECT credit.attach('shop.applications', 'application', key => 'id', applies_to => 'invoice', payment => 'payment',
	amount => 'amount', document_date => 'day', reversed_on => 'reversed', is_write_off => 'lost');
SELECT source, kind, rule FROM credit.settlement_rule ORDER BY source;

-- 1. Aging of debts (A1, A2, A3, A7)
-- as of 2025-06-30: 500 for 95 days, 300 for 40, 200 due in 5
INSERT INTO shop.invoices (id, customer, total, day, due) VALUES
	('i1', 'A', 500, '2025-02-25', date '2025-06-30' - 95),
	('i2', 'A', 300, '2025-04-21', date '2025-06-30' - 40),
	('i3', 'A', 200, '2025-06-05', date '2025-06-30' + 5);
SELECT key, due_date, days_past_due, open_amount FROM credit.open_items_on('2025-06-30') ORDER BY key;
SELECT customer, name, current, d1_30, d31_60, d61_90, d91_120, d121_plus, undated, credits, total, overdue,
	   n_items, oldest_days_past_due, average_days_past_due
  FROM credit.customer_aging_on('2025-06-30');
SELECT bounds, buckets, credits, total FROM credit.customer_aging_by('2025-06-30', '{0,30,60,90}');
SELECT bounds, buckets, total FROM credit.customer_aging_by('2025-06-30', '{30,60,90}', basis => 'document');
SELECT * FROM credit.customer_aging_by('2025-06-30', '{30,60}');
-- a day moves it: the last due day is current, the next is overdue
SELECT d, a.current, a.d1_30, a.d31_60 FROM (VALUES (date '2025-07-05'), ('2025-07-06'), ('2025-08-04'), ('2025-08-05')) v (d),
	LATERAL credit.customer_aging_on(d) a ORDER BY d;

-- 2. Credits (A5): separate, own, oldest
INSERT INTO shop.notes VALUES ('n1', 'A', 250, '2025-06-01', date '2025-06-30' - 10, NULL);
INSERT INTO shop.payments VALUES ('p1', 'A', 350, '2025-06-27', '2025-06-27');
SELECT m, bounds, buckets, credits, total FROM (VALUES ('separate'), ('own'), ('oldest')) v (m),
	LATERAL credit.customer_aging_by('2025-06-30', '{0,30,60,90}', m) a ORDER BY m DESC;
INSERT INTO shop.payments VALUES ('p2', 'A', 500, '2025-06-28');
SELECT m, buckets, credits, total FROM (VALUES ('separate'), ('own'), ('oldest')) v (m),
	LATERAL credit.customer_aging_by('2025-06-30', '{0,30,60,90}', m) a ORDER BY m DESC;
SELECT m, n_customers, current, overdue, credits, total, round(overdue_ratio::numeric, 4) AS ratio FROM (VALUES ('separate'), ('own'), ('oldest')) v (m),
	LATERAL credit.portfolio_aging_on('2025-06-30', m) a ORDER BY m DESC;
SELECT * FROM credit.customer_aging_on('2025-06-30', 'newest');
-- the balance is the same in each, and that of exposure
SELECT a.total = e.invoiced + e.unapplied AS is_exposure FROM credit.customer_aging a JOIN credit.exposure e USING (customer);

-- 3. Past days (A4)
TRUNCATE shop.invoices, shop.notes, shop.payments;
INSERT INTO shop.invoices (id, customer, total, day, due) VALUES ('i4', 'A', 1000, '2025-03-10', '2025-04-09');
INSERT INTO shop.payments VALUES ('p4', 'A', 400, '2025-04-18'), ('p5', 'A', 600, '2025-05-15');
INSERT INTO shop.applications VALUES ('a4', 'i4', 'p4', 400, '2025-04-20'), ('a5', 'i4', 'p5', 600, '2025-05-15');
UPDATE shop.applications SET reversed = '2025-06-02' WHERE id = 'a5';
SELECT d, kind, key, open_amount, days_past_due
  FROM (VALUES (date '2025-03-09'), ('2025-04-15'), ('2025-04-19'), ('2025-04-30'), ('2025-05-31'), ('2025-06-01'), ('2025-06-02'), ('2025-06-30')) v (d),
	LATERAL credit.open_items_on(d) o ORDER BY d, kind, key;
-- the same when it was all over before the ledger looked
SELECT credit.detach('shop.applications'), credit.detach('shop.payments'), credit.detach('shop.invoices');
UPDATE shop.invoices SET id = 'i5';
UPDATE shop.applications SET invoice = 'i5';
SELECT credit.attach('shop.invoices', 'invoice', key => 'id', customer => 'customer', amount => 'total', document_date => 'day',
	due_date => 'due', origin => 'of_order', reversed_on => 'reversed', is_disputed => 'disputed',
	disputed_amount => 'disputed_part', retention_amount => 'retained', retention_until => 'retained_until');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day',
	posting_date => 'posted', reversed_on => 'reversed');
SELECT credit.attach('shop.applications', 'application', key => 'id', applies_to => 'invoice', payment => 'payment',
	amount => 'amount', document_date => 'day', reversed_on => 'reversed', is_write_off => 'lost');
SELECT d, kind, key, open_amount, days_past_due
  FROM (VALUES (date '2025-04-15'), ('2025-04-30'), ('2025-05-31'), ('2025-06-30')) v (d),
	LATERAL credit.open_items_on(d) o ORDER BY d, kind, key;
SELECT moved_on, kind, number, debit, credit, balance, open_amount FROM credit.account_statement('A', '2025-06-30');
SELECT moved_on, kind, number, debit, credit, balance, open_amount FROM credit.account_statement('A', '2025-04-30');
SELECT moved_on, kind, number, debit, credit, balance, open_amount FROM credit.account_statement('A', '2025-06-30', '2025-05-01');
SELECT * FROM credit.account_statement('nobody');
-- a view of another day
SET credit.as_of = '2025-04-30';
SELECT key, open_amount, days_past_due FROM credit.open_items ORDER BY key;
SELECT current, d1_30, credits, total FROM credit.customer_aging;
SELECT current, overdue, total FROM credit.portfolio_aging;
RESET credit.as_of;
-- a bounced receipt: from that day the invoice is open again, and nothing is unapplied
UPDATE shop.applications SET reversed = NULL;
UPDATE shop.payments SET reversed = '2025-05-20' WHERE id = 'p5';
SELECT d, kind, key, open_amount FROM (VALUES (date '2025-05-19'), ('2025-05-20')) v (d), LATERAL credit.open_items_on(d) o ORDER BY d, kind, key;
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
-- a reversed invoice: it was open before; its money is unapplied after
UPDATE shop.invoices SET reversed = '2025-05-10';
SELECT d, kind, key, open_amount FROM (VALUES (date '2025-05-09'), ('2025-05-10'), ('2025-05-20')) v (d), LATERAL credit.open_items_on(d) o ORDER BY d, kind, key;
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';

-- 4. Disputed and retained amounts (A3), missing dates
TRUNCATE shop.invoices, shop.payments, shop.applications;
INSERT INTO shop.invoices (id, customer, total, day, due, disputed, disputed_part, retained, retained_until) VALUES
	('d1', 'A', 100, '2025-05-01', '2025-05-31', true, NULL, NULL, NULL),
	('d2', 'A', 100, '2025-05-01', '2025-05-31', NULL, 30, NULL, NULL),
	('d3', 'A', 100, '2025-05-01', '2025-05-31', NULL, NULL, 10, '2026-05-31'),
	('d4', 'A', 100, '2025-05-01', NULL, NULL, NULL, NULL, NULL);
INSERT INTO shop.payments VALUES ('p6', 'A', 95, '2025-06-01');
INSERT INTO shop.applications VALUES ('a6', 'd3', 'p6', 95, '2025-06-01');
SELECT key, amount, open_amount, due_date, days_past_due, is_disputed, disputed_amount, is_retention FROM credit.open_items_on('2025-05-15') ORDER BY key, is_retention;
SELECT key, amount, open_amount, due_date, days_past_due, is_disputed, disputed_amount, is_retention FROM credit.open_items_on('2025-06-30') ORDER BY key, is_retention;
SELECT current, d1_30, d31_60, disputed, total FROM credit.customer_aging_on('2025-06-30');

-- 5. Instalments (A6): lines of a ledger, paid oldest first
CREATE TABLE shop.lines (id text PRIMARY KEY, customer text, amount numeric, day date, due date);
SELECT credit.attach('shop.lines', 'receivable', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day', due_date => 'due');
INSERT INTO shop.lines VALUES ('l1', 'B', 300, '2025-04-01', '2025-04-30'), ('l2', 'B', 300, '2025-04-01', '2025-05-31'),
	('l3', 'B', 300, '2025-04-01', '2025-06-30'), ('l4', 'B', -450, '2025-06-01', '2025-06-01');
SELECT key, open_amount, days_past_due FROM credit.open_items_on('2025-06-15') WHERE customer = 'B' ORDER BY key;
SELECT current, d1_30, credits, total FROM credit.customer_aging_on('2025-06-15') WHERE customer = 'B';
-- paid beyond all of them
INSERT INTO shop.lines VALUES ('l5', 'B', -500, '2025-06-02', '2025-06-02');
SELECT key, open_amount FROM credit.open_items_on('2025-06-15') WHERE customer = 'B' ORDER BY key;
SELECT invoiced, unapplied, total FROM credit.exposure WHERE customer = 'B';
SELECT moved_on, number, debit, credit, balance, open_amount FROM credit.account_statement('B', '2025-06-15');
-- equal amounts first
INSERT INTO shop.lines VALUES ('m1', 'C', 100, '2025-01-01', '2025-01-31'), ('m2', 'C', 70, '2025-02-01', '2025-02-28'),
	('m3', 'C', -70, '2025-03-01', NULL);
SELECT key, open_amount FROM credit.open_items_on('2025-06-15') WHERE customer = 'C' ORDER BY key;
SELECT credit.detach('shop.lines');

-- 6. Along an order (D1): stages, down payment, over-payment, write-off
TRUNCATE shop.invoices, shop.payments, shop.applications;
CREATE VIEW shop.stages AS SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = 'A';
INSERT INTO shop.invoices (id, customer, total, day, due) VALUES ('i6', 'A', 120000, '2025-01-01', '2025-01-31');
INSERT INTO shop.payments VALUES ('p7', 'A', 8000, '2025-01-15');
INSERT INTO shop.orders VALUES ('o1', 'A', 55000);
INSERT INTO shop.deliveries VALUES ('d1', 'A', 15000, 'o1');
TABLE shop.stages;
INSERT INTO shop.invoices (id, customer, total, day, due, of_order) VALUES ('i7', 'A', 15000, '2025-02-01', '2025-03-01', 'o1');
TABLE shop.stages;
-- more is delivered than was ordered, and more invoiced than delivered
INSERT INTO shop.deliveries VALUES ('d2', 'A', 45000, 'o1');
TABLE shop.stages;
INSERT INTO shop.invoices (id, customer, total, day, due, of_order) VALUES ('i8', 'A', 50000, '2025-02-10', '2025-03-10', 'o1');
TABLE shop.stages;
-- the order is closed: nothing changes; opened again, neither
UPDATE shop.orders SET open = false;
TABLE shop.stages;
DELETE FROM shop.invoices WHERE id = 'i8';
TABLE shop.stages;
UPDATE shop.orders SET open = true;
DELETE FROM shop.deliveries;
TABLE shop.stages;
DELETE FROM shop.orders;
-- a delivery without an order; one whose order nobody knows
INSERT INTO shop.deliveries VALUES ('d3', 'A', 100, NULL), ('d4', 'A', 200, 'o9');
TABLE shop.stages;
INSERT INTO shop.orders VALUES ('o9', 'A', 500);
TABLE shop.stages;
-- an order of negative value mirrors all that
INSERT INTO shop.orders VALUES ('o2', 'A', -100);
INSERT INTO shop.deliveries VALUES ('d5', 'A', -40, 'o2');
TABLE shop.stages;
DELETE FROM shop.deliveries;
DELETE FROM shop.orders;
-- a down payment stands against the order until the invoice comes
INSERT INTO shop.orders VALUES ('o3', 'A', 1000);
INSERT INTO shop.payments VALUES ('p8', 'A', 300, '2025-03-01');
TABLE shop.stages;
INSERT INTO shop.invoices (id, customer, total, day, due, of_order) VALUES ('i9', 'A', 1000, '2025-03-05', '2025-04-04', 'o3');
INSERT INTO shop.applications VALUES ('a8', 'i9', 'p8', 300, '2025-03-05');
TABLE shop.stages;
-- over-payment: beyond zero an invoice changes sides
INSERT INTO shop.payments VALUES ('p9', 'A', 750, '2025-03-10');
INSERT INTO shop.applications VALUES ('a9', 'i9', 'p9', 750, '2025-03-10');
TABLE shop.stages;
SELECT kind, key, open_amount FROM credit.open_items WHERE customer = 'A' AND (key LIKE '%9') ORDER BY 1, 2;
UPDATE shop.applications SET amount = 700 WHERE id = 'a9';
SELECT kind, key, open_amount FROM credit.open_items WHERE customer = 'A' AND (key LIKE '%9') ORDER BY 1, 2;
-- write-off: nobody paid
INSERT INTO shop.applications VALUES ('w1', 'i7', NULL, 15000, '2025-06-30', NULL, true);
TABLE shop.stages;
SELECT d, open_amount FROM (VALUES (date '2025-06-29'), ('2025-06-30')) v (d) LEFT JOIN LATERAL credit.open_items_on(d) o ON o.key = 'i7' ORDER BY d;
SELECT moved_on, kind, number, debit, credit, open_amount FROM credit.account_statement('A') WHERE key = 'i7';
-- a payment of another customer pays: both statements say so
INSERT INTO shop.payments VALUES ('p10', 'Z', 20000, '2025-04-01');
INSERT INTO shop.applications VALUES ('a10', 'i6', 'p10', 20000, '2025-04-02');
SELECT customer, invoiced, unapplied, total FROM credit.exposure WHERE total <> 0 ORDER BY customer;
SELECT moved_on, kind, number, debit, credit, balance, open_amount FROM credit.account_statement('Z');
SELECT (array_agg(balance))[count(*)] AS balance FROM credit.account_statement('A');

-- 7. Credit notes: named, unnamed, of a reversed invoice
TRUNCATE shop.orders, shop.invoices, shop.payments, shop.applications;
INSERT INTO shop.invoices (id, customer, total, day, due) VALUES ('i10', 'A', 100, '2025-01-01', '2025-01-31');
INSERT INTO shop.notes VALUES ('n2', 'A', 30, '2025-01-10', NULL, 'i10'), ('n3', 'A', 5, '2025-01-11', NULL, NULL);
SELECT kind, key, open_amount FROM credit.open_items ORDER BY kind, key;
UPDATE shop.notes SET invoice = 'i10' WHERE id = 'n3';
SELECT kind, key, open_amount FROM credit.open_items ORDER BY kind, key;
DELETE FROM shop.invoices;
SELECT kind, key, open_amount FROM credit.open_items ORDER BY kind, key;
DELETE FROM shop.notes;

-- 8. What is dated in the future, seen from the day in the time zone of the ledger
INSERT INTO shop.invoices (id, customer, total, day, due) VALUES ('f1', 'A', 100, credit.today(), credit.today() + 10);
INSERT INTO shop.payments VALUES ('f2', 'A', 40, credit.today() + 3);
INSERT INTO shop.applications VALUES ('f3', 'f1', 'f2', 40, credit.today() + 3);
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
SELECT s.kind, i.key, i.is_counted, i.next_on - credit.today() AS in_days FROM credit.item i JOIN credit.source s USING (source_id)
 WHERE i.amount IS NOT NULL ORDER BY 1;
CALL credit.recount();
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
-- three days later, seen from the ledger
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.item SET document_date = document_date - 3, next_on = next_on - 3 WHERE next_on IS NOT NULL;
SELECT credit.maintain(false);
COMMIT;
CALL credit.recount();
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
SELECT kind, key, open_amount FROM credit.open_items ORDER BY kind, key;
SELECT count(*) FROM credit.item WHERE next_on IS NOT NULL;
-- a reversal of the future
UPDATE shop.payments SET day = credit.today(), reversed = credit.today() + 1;
UPDATE shop.applications SET day = credit.today();
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
BEGIN;
SELECT credit.maintain(true);
UPDATE credit.item SET reversed_on = reversed_on - 1, next_on = next_on - 1 WHERE next_on IS NOT NULL;
SELECT credit.maintain(false);
COMMIT;
CALL credit.recount();
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
BEGIN;
CALL credit.recount();
ROLLBACK;
-- a debt of the future is owed already, but was not open yet on any day up to today
INSERT INTO shop.invoices (id, customer, total, day, due) VALUES ('f4', 'A', 1, credit.today() + 5, credit.today() + 35);
SELECT invoiced FROM credit.exposure WHERE customer = 'A';
SELECT sum(open_amount) FROM credit.open_on(credit.today());
DELETE FROM shop.invoices WHERE id = 'f4';

-- 9. What attach refuses
CREATE TABLE shop.t (id int PRIMARY KEY, c text, a numeric, x text, y text);
SELECT credit.attach('shop.t', 'delivery', key => 'id', customer => 'c', amount => 'a', origin => 'x', origin_kind => 'delivery');
SELECT credit.attach('shop.t', 'invoice', key => 'id', customer => 'c', amount => 'a', origin_kind => 'order');
SELECT credit.attach('shop.t', 'payment', key => 'id', customer => 'c', amount => 'a', applies_to => 'x', applies_to_kind => 'order');
SELECT credit.attach('shop.t', 'application', key => 'id', amount => 'a', applies_to => 'x', payment => 'y', payment_kind => 'order');
SELECT credit.attach('shop.t', 'application', key => 'id', amount => 'a', applies_to => 'x', payment => 'y', payment_kind => 'receivable');
SELECT credit.attach('shop.t', 'application', key => 'id', amount => 'a', payment => 'y');
SELECT credit.attach('shop.t', 'link', key => 'id', amount => 'a', origin => 'x');
SELECT credit.attach('shop.t', 'link', key => 'id', amount => 'a', document => 'y');
SELECT credit.attach('shop.t', 'order', key => 'id', customer => 'c', amount => 'a', open_amount => 'a');
SELECT credit.attach('shop.t', 'invoice', key => 'id', customer => 'c', amount => 'a', on_breach => 'reject');
SELECT credit.attach('shop.t', 'credit_note', key => 'id', customer => 'c', amount => 'a', is_disputed => 'true', retention_amount => 'a');
SELECT credit.attach('shop.t', 'bill', key => 'id');
SET client_min_messages = notice;
SELECT credit.attach('shop.t', 'receivable', key => 'id', customer => 'c', amount => 'a', origin => 'x', dry_run => true);
SET client_min_messages = warning;
SELECT count(*) FROM credit.source WHERE relation = 'shop.t'::regclass;
-- amounts by themselves
SELECT credit.order_stages(100, 40, 10), credit.order_stages(100, 40, 60), credit.order_stages(NULL, 40, 10),
	   credit.order_stages(-100, -40, NULL), credit.order_stages(100, NULL, NULL);
SELECT credit.order_stages('NaN', 1, 1);
SELECT * FROM credit.own_stages('invoice', 100, 40, NULL, NULL, NULL, NULL);
SELECT * FROM credit.own_stages('payment', 100, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM credit.own_stages('invoice', 100, NULL, '2020-01-01', NULL, NULL, NULL);
SELECT * FROM credit.own_stages('invoice', 100, NULL, NULL, '2020-01-01', NULL, NULL);
SELECT * FROM credit.own_stages('bill', 100, NULL, NULL, NULL, NULL, NULL);
SELECT * FROM credit.own_stages('invoice', NULL, NULL, NULL, NULL, NULL, NULL);
SELECT credit.join_documents(0);
SELECT credit.part_documents(0);
UPDATE credit.settlement SET amount = 0;

-- 10. Detached in the middle, everything goes with it
SELECT credit.detach('shop.payments');
SELECT invoiced, unapplied FROM credit.exposure WHERE customer = 'A';
SELECT credit.detach('shop.applications'), credit.detach('shop.notes'), credit.detach('shop.invoices'), credit.detach('shop.deliveries');
SELECT sum(total) FROM credit.exposure;

DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

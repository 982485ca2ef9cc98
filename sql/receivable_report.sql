--
-- receivable_report: the reports that accountants expect of partial payments,
-- credit notes, advances, postings by hand, and receipts of tomorrow
--
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set_rule('not_set', 'off');

-- The lines of a ledger (instalments are lines of their own), credit notes, and
-- payments; who pays what is stated.
CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, currency text);
CREATE TABLE shop.lines (id text PRIMARY KEY, customer text, amount numeric, currency text, day date, due date);
CREATE TABLE shop.notes (id text PRIMARY KEY, customer text, amount numeric, day date);
CREATE TABLE shop.payments (id text PRIMARY KEY, customer text, amount numeric, day date);
CREATE TABLE shop.paid (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text, payment text, amount numeric, day date);
CREATE TABLE shop.cleared (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text, credit text, amount numeric, day date);
CREATE TABLE shop.credited (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text, note text, amount numeric, day date);
SELECT credit.attach('shop.customers', 'customer', key => 'code', currency => 'currency');
SELECT credit.attach('shop.lines', 'receivable', key => 'id', customer => 'customer', amount => 'amount', currency => 'currency',
	document_date => 'day', due_date => 'due');
SELECT credit.attach('shop.notes', 'credit_note', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day');
SELECT credit.attach('shop.paid', 'application', key => 'id', applies_to => 'line', applies_to_kind => 'receivable',
	payment => 'payment', payment_kind => 'payment', amount => 'amount', document_date => 'day');
SELECT credit.attach('shop.credited', 'application', key => 'id', applies_to => 'line', applies_to_kind => 'receivable',
	payment => 'note', payment_kind => 'credit_note', amount => 'amount', document_date => 'day');
SELECT credit.attach('shop.cleared', 'application', key => 'id', applies_to => 'line', applies_to_kind => 'receivable',
	payment => 'credit', payment_kind => 'receivable', amount => 'amount', document_date => 'day');
SELECT source, kind, rule FROM credit.settlement_rule ORDER BY source;

CREATE FUNCTION shop.report(who text, as_of date DEFAULT '2025-01-31')
RETURNS TABLE (key text, amount numeric, outstanding numeric, future numeric, remaining numeric)
LANGUAGE sql STABLE AS $$
SELECT coalesce(o.key, f.key), coalesce(o.amount, f.amount), coalesce(o.open_amount, 0),
	   coalesce(o.open_amount, 0) - coalesce(f.open_amount, 0), coalesce(f.open_amount, 0)
  FROM (SELECT * FROM credit.open_items_on(as_of) WHERE customer = who) o
  FULL JOIN (SELECT * FROM credit.open_items_on(as_of + 1) WHERE customer = who) f USING (kind, key)
 ORDER BY 1 $$;

-- 1. Three instalments, paid in part, then a credit note over all of them that is kept open
INSERT INTO shop.lines VALUES ('a1', 'A', 30, NULL, '2025-01-01', '2025-01-31'), ('a2', 'A', 50, NULL, '2025-01-01', '2025-03-02'),
	('a3', 'A', 20, NULL, '2025-01-01', '2025-04-01');
INSERT INTO shop.payments VALUES ('pa', 'A', 40, '2025-01-10');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('a1', 'pa', 30, '2025-01-10'), ('a2', 'pa', 10, '2025-01-10');
SELECT key, amount, outstanding FROM shop.report('A');
INSERT INTO shop.notes VALUES ('na', 'A', 100, '2025-01-20');
SELECT key, amount, outstanding FROM shop.report('A');

-- 2. Unpaid instalments and a credit note over all of them
INSERT INTO shop.lines VALUES ('b1', 'B', 30, NULL, '2025-01-01', '2025-01-31'), ('b2', 'B', 50, NULL, '2025-01-01', '2025-03-02'),
	('b3', 'B', 20, NULL, '2025-01-01', '2025-04-01');
INSERT INTO shop.notes VALUES ('nb', 'B', 100, '2025-01-20');
INSERT INTO shop.credited (line, note, amount, day) VALUES ('b1', 'nb', 30, '2025-01-20'), ('b2', 'nb', 50, '2025-01-20'), ('b3', 'nb', 20, '2025-01-20');
SELECT key, amount, outstanding FROM shop.report('B');

-- 3. Paid in part, then credited in part
INSERT INTO shop.lines VALUES ('c1', 'C', 60, NULL, '2025-01-01', '2025-01-31'), ('c2', 'C', 100, NULL, '2025-01-01', '2025-03-02'),
	('c3', 'C', 40, NULL, '2025-01-01', '2025-04-01');
INSERT INTO shop.payments VALUES ('pc', 'C', 40, '2025-01-10');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('c1', 'pc', 40, '2025-01-10');
SELECT key, amount, outstanding FROM shop.report('C');
INSERT INTO shop.notes VALUES ('nc', 'C', 100, '2025-01-20');
INSERT INTO shop.credited (line, note, amount, day) VALUES ('c1', 'nc', 20, '2025-01-20'), ('c2', 'nc', 80, '2025-01-20');
SELECT key, amount, outstanding FROM shop.report('C');

-- 4. A credit note that is not applied stays apart
INSERT INTO shop.lines VALUES ('d1', 'D', 100, NULL, '2025-01-01', '2025-01-31');
INSERT INTO shop.payments VALUES ('pd', 'D', 40, '2025-01-10');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('d1', 'pd', 40, '2025-01-10');
INSERT INTO shop.notes VALUES ('nd', 'D', 100, '2025-01-20');
SELECT key, amount, outstanding FROM shop.report('D');

-- 5. An advance on an order, nothing invoiced
INSERT INTO shop.payments VALUES ('pe', 'E', 1000, '2025-01-10');
SELECT key, amount, outstanding FROM shop.report('E');

-- 6. Posted by hand: against an invoice, in two steps; and on the customer
INSERT INTO shop.lines VALUES ('f1', 'F', 100, NULL, '2025-01-01', '2025-01-31');
INSERT INTO shop.lines VALUES ('jf', 'F', -40, NULL, '2025-01-10', '2025-01-10');
INSERT INTO shop.cleared (line, credit, amount, day) VALUES ('f1', 'jf', 40, '2025-01-10');
SELECT key, amount, outstanding FROM shop.report('F');
INSERT INTO shop.lines VALUES ('jg', 'F', -60, NULL, '2025-01-12', '2025-01-12');
INSERT INTO shop.cleared (line, credit, amount, day) VALUES ('f1', 'jg', 60, '2025-01-12');
SELECT key, amount, outstanding FROM shop.report('F');
INSERT INTO shop.lines VALUES ('jh', 'G', -100, NULL, '2025-01-12', '2025-01-12');
SELECT key, amount, outstanding FROM shop.report('G');

-- 7. Another currency: the balance at the rate of each day
INSERT INTO shop.customers VALUES ('H', 'INR');
INSERT INTO shop.lines VALUES ('h1', 'H', 100, 'USD', '2025-01-01', '2025-01-31');
SELECT credit.set_rate('USD', 'INR', 80, '2025-01-01') AS invoiced_at, credit.set_rate('USD', 'INR', 85, '2025-01-31') AS revalued_at;
SELECT o.key, o.currency, o.open_amount, credit.convert(o.open_amount, 'USD', 'INR', d.day) AS in_account_currency,
	   credit.convert(o.open_amount, 'USD', 'INR', d.day) - credit.convert(o.amount, 'USD', 'INR', o.document_date) AS revalued
  FROM (VALUES (date '2025-01-02'), ('2025-01-31')) d (day), LATERAL credit.open_items_on(d.day) o WHERE o.customer = 'H' ORDER BY d.day;

-- 8. Totals of a customer and of all
INSERT INTO shop.lines VALUES ('i1', 'I', 100, NULL, '2025-01-01', '2025-01-31'), ('i2', 'I', 85, NULL, '2025-01-02', '2025-02-01');
SELECT customer, total, sum(total) OVER () AS grand_total FROM credit.customer_aging_on('2025-01-31') WHERE customer IN ('I');

-- 9. Receipts of tomorrow: whole, too much, together with a return, one over two invoices
INSERT INTO shop.lines VALUES ('k1', 'K', 100, NULL, '2025-01-01', '2025-01-31');
INSERT INTO shop.payments VALUES ('pk', 'K', 100, '2025-02-01');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('k1', 'pk', 100, '2025-02-01');
SELECT * FROM shop.report('K');
-- (what was paid too much is not there before its day, so nothing of it stands in outstanding)
INSERT INTO shop.lines VALUES ('l1', 'L', 100, NULL, '2025-01-01', '2025-01-31');
INSERT INTO shop.payments VALUES ('pl', 'L', 110, '2025-02-01');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('l1', 'pl', 100, '2025-02-01');
SELECT * FROM shop.report('L');
INSERT INTO shop.lines VALUES ('m1', 'M', 100, NULL, '2025-01-01', '2025-01-31'), ('m2', 'M', -10, NULL, '2025-01-05', '2025-01-05');
INSERT INTO shop.payments VALUES ('pm', 'M', 80, '2025-02-01');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('m1', 'pm', 80, '2025-02-01');
INSERT INTO shop.cleared (line, credit, amount, day) VALUES ('m1', 'm2', 10, '2025-02-01');
SELECT * FROM shop.report('M');
INSERT INTO shop.lines VALUES ('n1', 'N', 100, NULL, '2025-01-01', '2025-01-31'), ('n2', 'N', 100, NULL, '2025-01-01', '2025-01-31');
INSERT INTO shop.payments VALUES ('pn', 'N', 100, '2025-02-01');
INSERT INTO shop.paid (line, payment, amount, day) VALUES ('n1', 'pn', 50, '2025-02-01'), ('n2', 'pn', 50, '2025-02-01');
SELECT * FROM shop.report('N');
DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

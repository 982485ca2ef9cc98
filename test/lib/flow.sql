/*
 * flow.sql: an ERP whose documents come from one another, and the truth.
 *
 * To be loaded once into a database with the extension. Orders, deliveries, invoices of orders and of deliveries, links of
 * consolidated invoices, credit notes, payments, applications. flow.step()
 * does something at random to one chain of documents; flow.truth recomputes
 * the exposure of each customer by stage from the rows of the ERP alone.
 */
CREATE SCHEMA flow;

CREATE SCHEMA erp;
CREATE TABLE erp.customers (id int PRIMARY KEY, credit_limit numeric);
CREATE TABLE erp.orders (id bigint PRIMARY KEY, customer int, total numeric, state text);
CREATE TABLE erp.deliveries (id bigint PRIMARY KEY, customer int, total numeric, order_id bigint, state text);
CREATE TABLE erp.invoices (id bigint PRIMARY KEY, customer int, total numeric, order_id bigint, state text);
CREATE TABLE erp.delivery_invoices (id bigint PRIMARY KEY, customer int, total numeric, delivery_id bigint, state text);
CREATE TABLE erp.links (id bigint PRIMARY KEY, invoice_id bigint, order_id bigint, amount numeric);
CREATE TABLE erp.credit_notes (id bigint PRIMARY KEY, customer int, total numeric, invoice_id bigint, state text);
CREATE TABLE erp.payments (id bigint PRIMARY KEY, customer int, amount numeric, paid_on date, state text);
CREATE TABLE erp.applications (id bigint PRIMARY KEY, invoice_id bigint, payment_id bigint, amount numeric);
INSERT INTO erp.customers SELECT c, 1000000000 FROM generate_series(1, 5) c;

-- In any order: later ones join what is there.
CREATE PROCEDURE flow.attach()
LANGUAGE plpgsql
SET client_min_messages = warning
AS $$
BEGIN
  PERFORM credit.attach('erp.customers', 'customer', key => 'id', credit_limit => 'credit_limit');
  PERFORM credit.attach('erp.invoices', 'invoice', key => $k$'i' || id$k$, customer => 'customer',
    amount => 'total', origin => 'order_id', counts_when => $k$state = 'posted'$k$);
  PERFORM credit.attach('erp.orders', 'order', key => 'id', customer => 'customer',
    amount => 'total', counts_when => $k$state = 'confirmed'$k$);
  PERFORM credit.attach('erp.deliveries', 'delivery', key => 'id', customer => 'customer',
    amount => 'total', origin => 'order_id', counts_when => $k$state = 'shipped'$k$);
  PERFORM credit.attach('erp.links', 'link', key => 'id', document => $k$'i' || invoice_id$k$,
    origin => 'order_id', amount => 'amount');
  PERFORM credit.attach('erp.payments', 'payment', key => 'id', customer => 'customer',
    amount => 'amount', document_date => 'paid_on', counts_when => $k$state = 'booked'$k$);
  PERFORM credit.attach('erp.applications', 'application', key => 'id', applies_to => $k$'i' || invoice_id$k$,
    payment => 'payment_id', amount => 'amount');
  PERFORM credit.attach('erp.credit_notes', 'credit_note', key => 'id', customer => 'customer',
    amount => 'total', applies_to => $k$'i' || invoice_id$k$, counts_when => $k$state = 'posted'$k$);
  PERFORM credit.attach('erp.delivery_invoices', 'invoice', key => $k$'d' || id$k$, customer => 'customer',
    amount => 'total', origin => 'delivery_id', origin_kind => 'delivery',
    counts_when => $k$state = 'posted'$k$);
END
$$;

CREATE FUNCTION flow.pick(VARIADIC choices text[]) RETURNS text
LANGUAGE sql VOLATILE
RETURN choices[1 + floor(random() * array_length(choices, 1))];

/*
 * Something happens to one of a few chains; keys are often taken before their
 * document comes. Of one order all documents have the same customer, which is
 * what lets the truth say whose each value is.
 */
CREATE PROCEDURE flow.step(chains int DEFAULT 20)
LANGUAGE plpgsql
AS $$
DECLARE
  chain bigint := 1 + floor(random() * chains);
  debtor int := 1 + chain % 5;
  document bigint := chain * 10 + floor(random() * 4);
  value numeric := round((random() * 100)::numeric, 2);
BEGIN
  CASE floor(random() * 14)
    WHEN 0, 1 THEN
      INSERT INTO erp.orders VALUES (chain, debtor, value * 3, flow.pick('draft', 'confirmed', 'confirmed'))
      ON CONFLICT (id) DO UPDATE SET total = excluded.total, state = excluded.state;
    WHEN 2 THEN
      UPDATE erp.orders SET state = flow.pick('confirmed', 'done', 'cancelled'), total = total * 1.1 WHERE id = chain;
    WHEN 3, 4 THEN
      INSERT INTO erp.deliveries VALUES (document, debtor, value, chain, flow.pick('draft', 'shipped', 'shipped'))
      ON CONFLICT (id) DO UPDATE SET total = excluded.total, state = excluded.state;
    WHEN 5, 6 THEN
      INSERT INTO erp.invoices VALUES (document, debtor, value, NULLIF(chain, chain * (random() * 4)::int), flow.pick('draft', 'posted', 'posted'))
      ON CONFLICT (id) DO UPDATE SET total = excluded.total, state = excluded.state, order_id = excluded.order_id;
    WHEN 7 THEN
      INSERT INTO erp.delivery_invoices VALUES (document, debtor, value, chain * 10 + floor(random() * 4), flow.pick('draft', 'posted', 'posted'))
      ON CONFLICT (id) DO UPDATE SET total = excluded.total, state = excluded.state, delivery_id = excluded.delivery_id;
    WHEN 8 THEN
      INSERT INTO erp.payments VALUES (document, debtor, value, '2026-01-31', flow.pick('draft', 'booked', 'booked'))
      ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, state = excluded.state;
    WHEN 9, 10 THEN
      INSERT INTO erp.applications VALUES (document, chain * 10 + floor(random() * 4), chain * 10 + floor(random() * 4), value / 2)
      ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, invoice_id = excluded.invoice_id;
    WHEN 11 THEN
      INSERT INTO erp.credit_notes VALUES (document, debtor, value, NULLIF(document, chain * 10), flow.pick('draft', 'posted', 'posted'))
      ON CONFLICT (id) DO UPDATE SET total = excluded.total, state = excluded.state;
    WHEN 12 THEN
      INSERT INTO erp.links VALUES (document, document, chain, value)
      ON CONFLICT (id) DO UPDATE SET amount = excluded.amount;
    ELSE
      CASE floor(random() * 7)
        WHEN 0 THEN DELETE FROM erp.applications WHERE id = document;
        WHEN 1 THEN DELETE FROM erp.payments WHERE id = document;
        WHEN 2 THEN DELETE FROM erp.deliveries WHERE id = document;
        WHEN 3 THEN DELETE FROM erp.links WHERE id = document;
        WHEN 4 THEN DELETE FROM erp.orders WHERE id = chain;
        WHEN 5 THEN DELETE FROM erp.credit_notes WHERE id = document;
        ELSE DELETE FROM erp.invoices WHERE id = document;
      END CASE;
  END CASE;
END
$$;

-- What the stages of each customer are, from the rows of the ERP alone.
CREATE VIEW flow.truth AS
WITH invoice (key, debtor, total, order_id, delivery_id) AS
  (SELECT 'i' || id, customer, total, order_id, NULL::bigint FROM erp.invoices WHERE state = 'posted'
   UNION ALL
   SELECT 'd' || id, customer, total, NULL, delivery_id FROM erp.delivery_invoices WHERE state = 'posted'),
delivery AS
  (SELECT d.*, COALESCE((SELECT sum(i.total) FROM invoice i WHERE i.delivery_id = d.id), 0) AS invoiced
     FROM erp.deliveries d WHERE d.state = 'shipped'),
chain AS
  (SELECT c.id, 1 + c.id % 5 AS debtor,
          COALESCE((SELECT o.total FROM erp.orders o WHERE o.id = c.id AND o.state = 'confirmed'), 0) AS a,
          COALESCE((SELECT sum(d.total) FROM delivery d WHERE d.order_id = c.id), 0) AS d,
          COALESCE((SELECT sum(d.invoiced) FROM delivery d WHERE d.order_id = c.id), 0) +
          COALESCE((SELECT sum(i.total) FROM invoice i WHERE i.order_id = c.id), 0) +
          COALESCE((SELECT sum(l.amount) FROM erp.links l JOIN invoice i ON i.key = 'i' || l.invoice_id
                     WHERE l.order_id = c.id), 0) AS i
     FROM (SELECT id FROM erp.orders UNION SELECT order_id FROM erp.deliveries) c
    WHERE c.id IS NOT NULL),
payment AS
  (SELECT p.* FROM erp.payments p WHERE p.state = 'booked'),
application AS
  (SELECT a.* FROM erp.applications a JOIN invoice i ON i.key = 'i' || a.invoice_id
     JOIN payment p ON p.id = a.payment_id),
note AS
  (SELECT n.*, i.key AS applied_to FROM erp.credit_notes n
     LEFT JOIN invoice i ON i.key = 'i' || n.invoice_id WHERE n.state = 'posted'),
value (debtor, ordered, delivered, open) AS
  (SELECT debtor, GREATEST(0, a - GREATEST(d, i)), GREATEST(0, d - i), 0 FROM chain
   UNION ALL
   SELECT customer, 0, 0, i.total
          - COALESCE((SELECT sum(a.amount) FROM application a WHERE 'i' || a.invoice_id = i.key), 0)
          - COALESCE((SELECT sum(n.total) FROM note n WHERE n.applied_to = i.key), 0)
     FROM invoice i CROSS JOIN LATERAL (SELECT i.debtor AS customer) c
   UNION ALL
   SELECT customer, 0, 0, -(p.amount - COALESCE((SELECT sum(a.amount) FROM application a WHERE a.payment_id = p.id), 0))
     FROM payment p
   UNION ALL
   SELECT customer, 0, 0, CASE WHEN applied_to IS NULL THEN -total ELSE 0 END FROM note)
SELECT c.id::text AS customer,
       COALESCE(sum(v.ordered), 0) AS ordered, COALESCE(sum(v.delivered), 0) AS delivered,
       COALESCE(sum(GREATEST(v.open, 0)), 0) AS invoiced, COALESCE(sum(LEAST(v.open, 0)), 0) AS unapplied
  FROM erp.customers c LEFT JOIN value v ON v.debtor = c.id
 GROUP BY c.id;

-- Customers whose figures are not the truth.
CREATE VIEW flow.wrong AS
SELECT t.customer, t.ordered, t.delivered, t.invoiced, t.unapplied,
       e.ordered AS has_ordered, e.delivered AS has_delivered, e.invoiced AS has_invoiced, e.unapplied AS has_unapplied
  FROM flow.truth t LEFT JOIN credit.exposure e ON e.customer = t.customer
 WHERE (t.ordered, t.delivered, t.invoiced, t.unapplied)
       IS DISTINCT FROM (e.ordered, e.delivered, e.invoiced, e.unapplied);

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
CREATE TABLE erp.service_orders (id bigint PRIMARY KEY, customer int, total numeric, state text);
CREATE TABLE erp.deliveries (id bigint PRIMARY KEY, customer int, total numeric, order_id bigint, state text);
CREATE TABLE erp.invoices (id bigint PRIMARY KEY, customer int, total numeric, order_id bigint, state text);
CREATE TABLE erp.delivery_invoices (id bigint PRIMARY KEY, customer int, total numeric, delivery_id bigint, state text);
CREATE TABLE erp.links (id bigint PRIMARY KEY, invoice_id bigint, order_id bigint, amount numeric);
CREATE TABLE erp.credit_notes (id bigint PRIMARY KEY, customer int, total numeric, invoice_id bigint, state text);
CREATE TABLE erp.payments (id bigint PRIMARY KEY, customer int, amount numeric, paid_on date, state text);
CREATE TABLE erp.applications (id bigint PRIMARY KEY, invoice_id bigint, payment_id bigint, amount numeric);
INSERT INTO erp.customers SELECT c, 1000000000 FROM generate_series(1, 5) c;

-- Customers that were merged into others.
CREATE TABLE flow.merged (customer int PRIMARY KEY, into_customer int);

-- Whose the documents of a chain are.
CREATE FUNCTION flow.debtor(chain bigint) RETURNS int
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT COALESCE((SELECT m.into_customer FROM flow.merged m WHERE m.customer = 1 + chain % 5), 1 + chain % 5)::int;
END;

CREATE PROCEDURE flow.attach_one(source text)
LANGUAGE plpgsql
SET client_min_messages = warning
AS $$
BEGIN
  CASE source
    WHEN 'customers' THEN
      PERFORM credit.attach('erp.customers', 'customer', key => 'id', credit_limit => 'credit_limit');
    WHEN 'invoices' THEN
      PERFORM credit.attach('erp.invoices', 'invoice', key => $k$'i' || id$k$, customer => 'customer',
        amount => 'total', origin => 'order_id', counts_when => $k$state = 'posted'$k$);
    WHEN 'orders' THEN
      PERFORM credit.attach('erp.orders', 'order', key => 'id', customer => 'customer',
        amount => 'total', counts_when => $k$state = 'confirmed'$k$);
    WHEN 'service_orders' THEN
      PERFORM credit.attach('erp.service_orders', 'order', key => 'id', customer => 'customer',
        amount => 'total', counts_when => $k$state = 'confirmed'$k$);
    WHEN 'deliveries' THEN
      PERFORM credit.attach('erp.deliveries', 'delivery', key => 'id', customer => 'customer',
        amount => 'total', origin => 'order_id', counts_when => $k$state = 'shipped'$k$);
    WHEN 'links' THEN
      PERFORM credit.attach('erp.links', 'link', key => 'id', document => $k$'i' || invoice_id$k$,
        origin => 'order_id', amount => 'amount');
    WHEN 'payments' THEN
      PERFORM credit.attach('erp.payments', 'payment', key => 'id', customer => 'customer',
        amount => 'amount', document_date => 'paid_on', counts_when => $k$state = 'booked'$k$);
    WHEN 'applications' THEN
      PERFORM credit.attach('erp.applications', 'application', key => 'id', applies_to => $k$'i' || invoice_id$k$,
        payment => 'payment_id', amount => 'amount');
    WHEN 'credit_notes' THEN
      PERFORM credit.attach('erp.credit_notes', 'credit_note', key => 'id', customer => 'customer',
        amount => 'total', applies_to => $k$'i' || invoice_id$k$, counts_when => $k$state = 'posted'$k$);
    WHEN 'delivery_invoices' THEN
      PERFORM credit.attach('erp.delivery_invoices', 'invoice', key => $k$'d' || id$k$, customer => 'customer',
        amount => 'total', origin => 'delivery_id', origin_kind => 'delivery',
        counts_when => $k$state = 'posted'$k$);
  END CASE;
END
$$;

-- In any order, but that applications come after payments: later ones join
-- what is there.
CREATE PROCEDURE flow.attach(VARIADIC sources text[] DEFAULT ARRAY['customers', 'invoices', 'orders', 'service_orders',
  'deliveries', 'links', 'payments', 'applications', 'credit_notes', 'delivery_invoices'])
LANGUAGE plpgsql
AS $$
DECLARE
  source text;
BEGIN
  FOREACH source IN ARRAY sources LOOP
    CALL flow.attach_one(source);
  END LOOP;
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
  debtor int := flow.debtor(chain);
  document bigint := chain * 10 + floor(random() * 4);
  value numeric := round((random() * 100)::numeric, 2);
  -- some orders are of another table
  orders text := CASE WHEN chain % 3 = 0 THEN 'service_orders' ELSE 'orders' END;
BEGIN
  CASE floor(random() * 14)
    WHEN 0, 1 THEN
      EXECUTE format('INSERT INTO erp.%I VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET total = excluded.total, state = excluded.state', orders)
        USING chain, debtor, value * 3, flow.pick('draft', 'confirmed', 'confirmed');
    WHEN 2 THEN
      EXECUTE format('UPDATE erp.%I SET state = $2, total = total * 1.1 WHERE id = $1', orders)
        USING chain, flow.pick('confirmed', 'done', 'cancelled');
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
      ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, invoice_id = excluded.invoice_id,
        payment_id = excluded.payment_id;
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
        WHEN 4 THEN EXECUTE format('DELETE FROM erp.%I WHERE id = $1', orders) USING chain;
        WHEN 5 THEN DELETE FROM erp.credit_notes WHERE id = document;
        ELSE DELETE FROM erp.invoices WHERE id = document;
      END CASE;
  END CASE;
END
$$;

-- A customer is merged into another by mass updates.
CREATE PROCEDURE flow.merge(old int, new int)
LANGUAGE plpgsql
AS $$
DECLARE
  name text;
BEGIN
  INSERT INTO flow.merged VALUES (old, new);
  UPDATE flow.merged SET into_customer = new WHERE into_customer = old;
  FOREACH name IN ARRAY ARRAY['orders', 'service_orders', 'deliveries', 'invoices', 'delivery_invoices',
    'credit_notes', 'payments'] LOOP
    EXECUTE format('UPDATE erp.%I SET customer = $1 WHERE customer = $2', name) USING new, old;
  END LOOP;
END
$$;

-- What the stages of each customer are, from the rows of the ERP alone.
CREATE VIEW flow.truth AS
WITH invoice (key, debtor, total, order_id, delivery_id) AS
  (SELECT 'i' || id, customer, total, order_id, NULL::bigint FROM erp.invoices WHERE state = 'posted'
   UNION ALL
   SELECT 'd' || id, customer, total, NULL, delivery_id FROM erp.delivery_invoices WHERE state = 'posted'),
by_delivery AS MATERIALIZED
  (SELECT i.delivery_id, sum(i.total) AS total FROM invoice i WHERE i.delivery_id IS NOT NULL GROUP BY i.delivery_id),
delivery AS MATERIALIZED
  (SELECT d.*, COALESCE(i.total, 0) AS invoiced
     FROM erp.deliveries d LEFT JOIN by_delivery i ON i.delivery_id = d.id WHERE d.state = 'shipped'),
moved (id, a, d, i) AS
  (SELECT o.id, o.total, 0::numeric, 0::numeric FROM erp.orders o WHERE o.state = 'confirmed'
   UNION ALL
   SELECT o.id, o.total, 0, 0 FROM erp.service_orders o WHERE o.state = 'confirmed'
   UNION ALL
   SELECT d.order_id, 0, d.total, d.invoiced FROM delivery d
   UNION ALL
   SELECT i.order_id, 0, 0, i.total FROM invoice i
   UNION ALL
   SELECT l.order_id, 0, 0, l.amount FROM erp.links l JOIN invoice i ON i.key = 'i' || l.invoice_id),
chain AS
  (SELECT m.id, flow.debtor(m.id) AS debtor, sum(m.a) AS a, sum(m.d) AS d, sum(m.i) AS i
     FROM moved m WHERE m.id IS NOT NULL GROUP BY m.id),
payment AS
  (SELECT p.* FROM erp.payments p WHERE p.state = 'booked'),
application AS MATERIALIZED
  (SELECT a.*, i.key FROM erp.applications a JOIN invoice i ON i.key = 'i' || a.invoice_id
     JOIN payment p ON p.id = a.payment_id),
note AS MATERIALIZED
  (SELECT n.*, i.key AS applied_to FROM erp.credit_notes n
     LEFT JOIN invoice i ON i.key = 'i' || n.invoice_id WHERE n.state = 'posted'),
settled AS MATERIALIZED
  (SELECT q.key, sum(q.amount) AS amount
     FROM (SELECT a.key, a.amount FROM application a
           UNION ALL SELECT n.applied_to, n.total FROM note n) q
    GROUP BY q.key),
used AS MATERIALIZED
  (SELECT a.payment_id, sum(a.amount) AS amount FROM application a GROUP BY a.payment_id),
value (debtor, ordered, delivered, open) AS
  (SELECT debtor, GREATEST(0, a - GREATEST(d, i)), GREATEST(0, d - i), 0 FROM chain
   UNION ALL
   SELECT i.debtor, 0, 0, i.total - COALESCE(s.amount, 0) FROM invoice i LEFT JOIN settled s ON s.key = i.key
   UNION ALL
   SELECT p.customer, 0, 0, -(p.amount - COALESCE(u.amount, 0)) FROM payment p LEFT JOIN used u ON u.payment_id = p.id
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

/*
 * Everything that does not agree: exposure with the truth, what is open by the
 * documents with what is open by the settlements, statement and aging with
 * exposure.
 */
CREATE VIEW flow.trouble AS
WITH exposure AS MATERIALIZED (SELECT e.* FROM credit.exposure e),
aging AS MATERIALIZED (SELECT a.* FROM credit.customer_aging a),
open_now AS MATERIALIZED (SELECT o.* FROM credit.open_now o),
open_today AS MATERIALIZED (SELECT o.* FROM credit.open_on(credit.today()) o),
truth AS MATERIALIZED (SELECT t.* FROM flow.truth t),
statement AS MATERIALIZED
  (SELECT e.customer, (array_agg(l.balance ORDER BY l.n DESC))[1] AS balance, sum(l.debit - l.credit) AS moved,
          sum(l.open_amount) AS open
     FROM exposure e
    CROSS JOIN LATERAL (SELECT s.*, row_number() OVER () AS n FROM credit.account_statement(e.customer) s) l
    GROUP BY e.customer)
SELECT 'stages' AS what, format('%s: truth %s, exposure %s', t.customer, t, e) AS text
  FROM truth t LEFT JOIN exposure e ON e.customer = t.customer
 WHERE (t.ordered, t.delivered, t.invoiced, t.unapplied) IS DISTINCT FROM (e.ordered, e.delivered, e.invoiced, e.unapplied)
UNION ALL
SELECT 'open_on(today)', o::text
  FROM ((SELECT 'settlements' AS by, n.* FROM open_today n EXCEPT ALL SELECT 'settlements', n.* FROM open_now n)
        UNION ALL
        (SELECT 'documents', n.* FROM open_now n EXCEPT ALL SELECT 'documents', n.* FROM open_today n)) o
UNION ALL
SELECT 'aging', format('%s: aging %s, exposure %s', e.customer, a.total, e.invoiced + e.unapplied)
  FROM exposure e
  LEFT JOIN aging a ON a.customer = e.customer AND a.segment = e.segment AND a.currency = e.currency
 WHERE COALESCE(a.total, 0) <> e.invoiced + e.unapplied
UNION ALL
SELECT 'buckets', a::text FROM aging a
 WHERE a.total <> a.current + a.overdue + a.undated + a.credits
UNION ALL
SELECT 'statement', format('%s: statement %s, exposure %s', e.customer, s, e.invoiced + e.unapplied)
  FROM exposure e LEFT JOIN statement s ON s.customer = e.customer
 WHERE (COALESCE(s.balance, 0), COALESCE(s.moved, 0), COALESCE(s.open, 0)) IS DISTINCT FROM
       (e.invoiced + e.unapplied, e.invoiced + e.unapplied, e.invoiced + e.unapplied);

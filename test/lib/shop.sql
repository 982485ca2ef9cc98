/*
 * shop.sql: a small shop with credit in it, for tests of concurrency.
 *
 * To be loaded once into a database. A test opens the shop (the extension and
 * three tables of an ERP, all attached), and ends with the verdict, which
 * recomputes the truth from the rows of the ERP.
 */
CREATE SCHEMA shop;

CREATE PROCEDURE shop.close()
LANGUAGE plpgsql
SET client_min_messages = warning
AS $$
BEGIN
  DROP SCHEMA IF EXISTS erp CASCADE;
  DROP EXTENSION IF EXISTS credit;
END
$$;

-- Customers a and b with a limit of 100 each. Waiting is as good as endless, so
-- that a slow machine does not turn a wait into a refusal.
CREATE PROCEDURE shop.open()
LANGUAGE plpgsql
SET client_min_messages = warning
AS $$
BEGIN
  CALL shop.close();
  CREATE EXTENSION credit;
  PERFORM credit.set('max_wait', '5min');

  CREATE SCHEMA erp;
  CREATE TABLE erp.customers (customer text PRIMARY KEY, credit_limit numeric);
  CREATE TABLE erp.orders (number int PRIMARY KEY, customer text, amount numeric);
  CREATE TABLE erp.payments (number int PRIMARY KEY, customer text, amount numeric);
  INSERT INTO erp.customers VALUES ('a', 100), ('b', 100);

  PERFORM credit.attach('erp.customers', 'customer', key => 'customer',
    credit_limit => 'credit_limit');
  PERFORM credit.attach('erp.orders', 'order', key => 'number',
    customer => 'customer', amount => 'amount');
  PERFORM credit.attach('erp.payments', 'payment', key => 'number',
    customer => 'customer', amount => 'amount');
END
$$;

-- Runs a statement and says how it ended. Figures that differ from run to run
-- (process and transaction ids, times) are masked.
CREATE FUNCTION shop.try(statement text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  rule text;
BEGIN
  EXECUTE statement;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS rule = CONSTRAINT_NAME;
  RETURN concat_ws(' ', SQLSTATE, NULLIF(rule, ''),
    regexp_replace(SQLERRM, '(process|transaction) \d+', '\1 N', 'g'));
END
$$;

-- 'ok', or everything that is wrong. Customers in "above" were put above their
-- limit by something that is not checked.
CREATE FUNCTION shop.verdict(above text[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  wrong text[];
BEGIN
  WITH document AS (
    SELECT 'order' AS kind, number::text AS key, customer, amount AS exposure
    FROM erp.orders WHERE customer IS NOT NULL AND amount IS NOT NULL
    UNION ALL
    SELECT 'payment', number::text, customer, -amount
    FROM erp.payments WHERE customer IS NOT NULL AND amount IS NOT NULL
  ), truth AS (
    SELECT customer, sum(exposure) AS total FROM document GROUP BY customer
  ), written AS (
    SELECT a.customer, sum(d.amount) AS total
    FROM credit.journal j
    JOIN credit.account a ON a.account_id = j.account_id, unnest(j.delta) AS d (amount)
    GROUP BY a.customer
  ), finding AS (
    SELECT format('%s: exposure is %s, the ERP has %s', customer, e.total, t.total) AS text
    FROM credit.exposure e FULL JOIN truth t USING (customer)
    WHERE e.total IS NULL OR e.total <> COALESCE(t.total, 0)
    UNION ALL
    SELECT format('%s: exposure is %s, its journal adds up to %s', e.customer, e.total, w.total)
    FROM credit.exposure e LEFT JOIN written w USING (customer)
    WHERE e.total <> COALESCE(w.total, 0)
    UNION ALL
    SELECT format('%s: exposure %s is above the limit %s', e.customer, e.total, e.credit_limit)
    FROM credit.exposure e
    WHERE e.is_over_limit AND e.customer <> ALL (above)
    UNION ALL
    SELECT format('%s %s: the ledger has %s of %s, the ERP %s of %s',
      kind, key, l.exposure, l.customer, d.exposure, d.customer)
    FROM credit.exposure_document l FULL JOIN document d USING (kind, key)
    WHERE (l.customer, l.exposure) IS DISTINCT FROM (d.customer, d.exposure)
    UNION ALL
    SELECT format('%s: the limit is %s, the ERP has %s', customer, e.credit_limit, c.credit_limit)
    FROM credit.exposure e JOIN erp.customers c USING (customer)
    WHERE e.credit_limit IS DISTINCT FROM c.credit_limit
  )
  SELECT array_agg(text ORDER BY text) INTO wrong FROM finding;
  RETURN COALESCE(array_to_string(wrong, E'\n'), 'ok');
END
$$;

-- The shop with documents that come from one another, and room for them.
CREATE PROCEDURE shop.open_chain()
LANGUAGE plpgsql
SET client_min_messages = warning
AS $$
BEGIN
  CALL shop.open();
  UPDATE erp.customers SET credit_limit = 1000;
  CREATE TABLE erp.deliveries (number int PRIMARY KEY, customer text, amount numeric, of_order int);
  CREATE TABLE erp.invoices (number int PRIMARY KEY, customer text, amount numeric, of_order int);
  CREATE TABLE erp.applications (number int PRIMARY KEY, invoice int, payment int, amount numeric);
  PERFORM credit.attach('erp.deliveries', 'delivery', key => 'number',
    customer => 'customer', amount => 'amount', origin => 'of_order');
  PERFORM credit.attach('erp.invoices', 'invoice', key => 'number',
    customer => 'customer', amount => 'amount', origin => 'of_order');
  PERFORM credit.attach('erp.applications', 'application', key => 'number',
    applies_to => 'invoice', payment => 'payment', amount => 'amount');
END
$$;

-- 'ok' and the stages of customer a, or everything that is wrong.
CREATE FUNCTION shop.chain_verdict() RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  verdict text;
BEGIN
  WITH moved AS (
    SELECT number, customer, amount AS a, 0 AS d, 0 AS i FROM erp.orders
    UNION ALL SELECT of_order, customer, 0, amount, 0 FROM erp.deliveries
    UNION ALL SELECT of_order, customer, 0, 0, amount FROM erp.invoices
  ), chain AS (
    SELECT customer, sum(a) AS a, sum(d) AS d, sum(i) AS i FROM moved GROUP BY number, customer
  ), application AS (
    SELECT a.* FROM erp.applications a
    JOIN erp.invoices i ON i.number = a.invoice JOIN erp.payments p ON p.number = a.payment
  ), value (customer, ordered, delivered, open) AS (
    SELECT customer, GREATEST(0, a - GREATEST(d, i)), GREATEST(0, d - i), 0 FROM chain
    UNION ALL
    SELECT customer, 0, 0, amount - COALESCE((SELECT sum(a.amount) FROM application a WHERE a.invoice = i.number), 0)
    FROM erp.invoices i
    UNION ALL
    SELECT customer, 0, 0, COALESCE((SELECT sum(a.amount) FROM application a WHERE a.payment = p.number), 0) - amount
    FROM erp.payments p
  ), truth AS (
    SELECT customer, sum(ordered) AS ordered, sum(delivered) AS delivered,
      sum(GREATEST(open, 0)) AS invoiced, sum(LEAST(open, 0)) AS unapplied
    FROM value GROUP BY customer
  ), finding AS (
    SELECT format('%s: exposure is %s, the ERP has %s', e.customer, figures.has, figures.wants) AS text
    FROM credit.exposure e LEFT JOIN truth t USING (customer)
    CROSS JOIN LATERAL (SELECT
      concat_ws(' ', e.ordered, e.delivered, e.invoiced, e.unapplied) AS has,
      concat_ws(' ', COALESCE(t.ordered, 0), COALESCE(t.delivered, 0), COALESCE(t.invoiced, 0), COALESCE(t.unapplied, 0)) AS wants) figures
    WHERE figures.has <> figures.wants
    UNION ALL
    SELECT format('%s: open now, but not by the settlements: %s', n.key, n.open_amount)
    FROM (SELECT * FROM credit.open_now EXCEPT ALL SELECT * FROM credit.open_on(credit.today())) n
  )
  SELECT string_agg(text, E'\n' ORDER BY text) INTO verdict FROM finding;
  RETURN COALESCE(verdict, (SELECT format('ok: ordered %s, delivered %s, invoiced %s, unapplied %s',
    e.ordered, e.delivered, e.invoiced, e.unapplied) FROM credit.exposure e WHERE e.customer = 'a'));
END
$$;

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

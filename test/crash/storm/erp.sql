/*
 * erp.sql: the ERP that the storm blows through, with credit attached to it.
 *
 * Customers by the first letter of their name:
 *
 *   f  wanted by everybody; the limit never changes and payments stay, so that
 *      exposure may never be above the limit, after no commit at all
 *   g  the same, wanted less
 *   d  as f, with documents in other currencies beside those in EUR
 *   v  wanted by everybody; limits are raised and lowered, payments bounce, and
 *      contracts come and go with their table: each accepted increase must have
 *      fitted, what stands there may be above the limit
 *   w  the same, wanted less
 *   n  nobody has heard of them before their first order
 */
CREATE SCHEMA erp;
CREATE TABLE erp.customers (customer text PRIMARY KEY, credit_limit numeric);
CREATE TABLE erp.orders (
  number bigint PRIMARY KEY,
  customer text,
  amount numeric,
  currency text NOT NULL DEFAULT 'EUR',
  state text NOT NULL DEFAULT 'open',
  parent bigint,
  note text
);
CREATE INDEX ON erp.orders (customer);
CREATE TABLE erp.payments (
  number bigint PRIMARY KEY,
  customer text,
  amount numeric,
  currency text NOT NULL DEFAULT 'EUR'
);
CREATE INDEX ON erp.payments (customer);
CREATE TABLE erp.contracts (number bigint PRIMARY KEY, customer text, amount numeric);

-- A statement takes one value and has a hundred numbers.
CREATE SEQUENCE erp.number INCREMENT BY 100 START 100;

INSERT INTO erp.customers
SELECT c || n, 1000 FROM unnest('{f,v}'::text[]) c, generate_series(1, 4) n
UNION ALL
SELECT c || n, 600 FROM unnest('{g,w}'::text[]) c, generate_series(1, 15) n
UNION ALL
SELECT 'd' || n, 1000 FROM generate_series(1, 2) n;

-- What triggers of ERPs do to the rows they stand on.
CREATE FUNCTION erp.after_order() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  CASE NEW.note
    -- the freight goes onto another row of the same statement
    WHEN 'freight' THEN
      UPDATE erp.orders SET amount = amount + 0.01 WHERE number = NEW.parent;
    -- so does the row itself
    WHEN 'surcharge' THEN
      UPDATE erp.orders SET amount = amount + 0.05, note = NULL WHERE number = NEW.number;
    -- the row itself gets a mark that credit does not read
    WHEN 'stamp' THEN
      UPDATE erp.orders SET note = 'stamped' WHERE number = NEW.number;
    -- something is tried and taken back
    WHEN 'regret' THEN
      BEGIN
        UPDATE erp.orders SET amount = amount + 1 WHERE number = NEW.parent;
        RAISE division_by_zero;
      EXCEPTION WHEN division_by_zero THEN
        NULL;
      END;
    -- the statement fails when some of its rows are through
    WHEN 'fail' THEN
      RAISE division_by_zero;
    ELSE
      NULL;
  END CASE;
  RETURN NULL;
END
$$;
CREATE TRIGGER after_order AFTER INSERT ON erp.orders
  FOR EACH ROW WHEN (NEW.note IS NOT NULL) EXECUTE FUNCTION erp.after_order();

-- What drivers and ORMs do: a subtransaction for each row, some of which fail.
CREATE PROCEDURE erp.savepoint_per_row(customer text, n int)
LANGUAGE plpgsql
AS $$
BEGIN
  FOR i IN 1..n LOOP
    BEGIN
      IF i % 5 = 0 THEN
        INSERT INTO erp.payments VALUES (nextval('erp.number'), customer, 3);
      ELSE
        INSERT INTO erp.orders VALUES (nextval('erp.number'), customer, 1 + round(random() * 500) / 100);
      END IF;
      IF random() < 0.2 THEN
        RAISE division_by_zero;
      END IF;
    EXCEPTION WHEN check_violation OR division_by_zero THEN
      NULL;
    END;
  END LOOP;
END
$$;

-- A statement that fails after some of its rows, and the work that goes on.
CREATE PROCEDURE erp.failing_statement(customer text)
LANGUAGE plpgsql
AS $$
BEGIN
  INSERT INTO erp.orders (number, customer, amount, note)
  SELECT b + n, customer, 2, CASE n WHEN 3 THEN 'fail' END
  FROM (SELECT nextval('erp.number') AS b OFFSET 0) s, generate_series(1, 3) n;
EXCEPTION WHEN check_violation OR division_by_zero THEN
  INSERT INTO erp.payments VALUES (nextval('erp.number'), customer, 1);
END
$$;

-- Takes settled orders and the payments for them out of the books: exposure
-- sinks by what is left over. Keeps the tables small.
CREATE PROCEDURE erp.settle(customer text)
LANGUAGE plpgsql
AS $$
DECLARE
  gone numeric;
BEGIN
  WITH paid AS (
    SELECT sum(p.amount) AS total FROM erp.payments p
    WHERE p.customer = settle.customer AND p.currency = 'EUR'
  ), old AS (
    SELECT o.number, sum(o.amount) OVER (ORDER BY o.number) AS running FROM erp.orders o
    WHERE o.customer = settle.customer AND o.currency = 'EUR' AND o.state IN ('open', 'shipped')
  ), deleted AS (
    DELETE FROM erp.orders o USING old, paid
    WHERE o.number = old.number AND old.running <= paid.total AND o.customer = settle.customer
      AND o.currency = 'EUR' AND o.state IN ('open', 'shipped')
    RETURNING o.amount
  )
  SELECT COALESCE(sum(amount), 0) INTO gone FROM deleted;
  DELETE FROM erp.payments p
  USING (SELECT o.number, sum(o.amount) OVER (ORDER BY o.number) AS running FROM erp.payments o
         WHERE o.customer = settle.customer AND o.currency = 'EUR') old
  WHERE p.number = old.number AND old.running <= gone;
  DELETE FROM erp.orders o WHERE o.customer = settle.customer AND o.state IN ('draft', 'cancelled')
    AND o.number < (SELECT max(x.number) - 20000 FROM erp.orders x WHERE x.customer = settle.customer);
END
$$;

CREATE EXTENSION credit;
SET client_min_messages = warning;
-- Short, so that some do not live to see the end of what they wait for.
SELECT credit.set('currency', 'EUR'), credit.set('max_wait', '200ms');
-- Documents in other currencies stand beside the limit, which is in EUR.
SELECT credit.set_rule('missing_rate', 'off');
SELECT credit.attach('erp.customers', 'customer', key => 'customer',
  credit_limit => 'credit_limit');
SELECT credit.attach('erp.orders', 'order', key => 'number',
  customer => 'customer', amount => 'amount', currency => 'currency',
  counts_when => $$state IN ('open', 'shipped')$$);
SELECT credit.attach('erp.payments', 'payment', key => 'number',
  customer => 'customer', amount => 'amount', currency => 'currency');
RESET client_min_messages;

-- Documents that come from one another, in any order of statements: after every
-- few random steps the stages of each customer are what the rows of the ERP
-- add up to, and what is open is the same by documents, settlements, aging and
-- statement of account.
BEGIN;
CREATE EXTENSION credit;
SELECT plan(23);
SET LOCAL client_min_messages = warning;
SET LOCAL jit = off;
\ir ../lib/flow.sql

CREATE TABLE flow.seen (n int, what text, text text);

-- Random steps, some of them in blocks that fail; a look after every few.
CREATE PROCEDURE flow.play(steps int, every int, chains int DEFAULT 20)
LANGUAGE plpgsql AS $$
BEGIN
  FOR n IN 1 .. steps LOOP
    BEGIN
      CALL flow.step(chains);
      IF random() < 0.2 THEN
        BEGIN
          CALL flow.step(chains);
          CALL flow.step(chains);
          IF random() < 0.5 THEN
            RAISE division_by_zero;
          END IF;
        EXCEPTION WHEN division_by_zero THEN
          NULL;
        END;
        CALL flow.step(chains);
        IF random() < 0.3 THEN
          RAISE division_by_zero;
        END IF;
      END IF;
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
    IF n % every = 0 THEN
      INSERT INTO flow.seen SELECT n, t.* FROM flow.trouble t;
    END IF;
  END LOOP;
END
$$;

CREATE FUNCTION flow.nothing_wrong(description text) RETURNS text
LANGUAGE sql AS $$
  SELECT is_empty('SELECT * FROM flow.seen UNION ALL SELECT 0, t.* FROM flow.trouble t LIMIT 5', description)
$$;

SELECT setseed(0.26);

-- 1. The ERP has worked for a while; sources are attached one by one while it
-- goes on, each in the middle of chains.
DO $$
BEGIN
  FOR i IN 1 .. 150 LOOP
    CALL flow.step();
  END LOOP;
END $$;
CALL flow.attach();
SELECT flow.nothing_wrong('attached in the middle of the chains');
CALL flow.play(300, 4);
SELECT flow.nothing_wrong('300 random steps');
-- the test must have tested something
SELECT cmp_ok((SELECT min(n) FROM (SELECT count(*) AS n FROM credit.item i JOIN credit.source s USING (source_id)
                                    WHERE i.amount IS NOT NULL GROUP BY s.name) q), '>', 3::bigint, 'there are documents of every source');
SELECT ok(sum(v.total) > 0, format('%s is not 0', stage))
  FROM credit.exposure e CROSS JOIN LATERAL (VALUES ('ordered', e.ordered), ('delivered', e.delivered), ('invoiced', e.invoiced),
                                                    ('unapplied', -e.unapplied)) v (stage, total)
 GROUP BY stage ORDER BY stage;
SELECT cmp_ok((SELECT count(*) FROM credit.item WHERE amount IS NULL), '>', 0::bigint, 'some keys were named before their document came');

-- 2. Each source goes and comes again, with work in between.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['orders', 'service_orders', 'deliveries', 'invoices', 'delivery_invoices', 'links', 'credit_notes', 'payments', 'applications'] LOOP
    PERFORM credit.detach('erp.' || name);
    FOR i IN 1 .. 10 LOOP
      CALL flow.step();
    END LOOP;
    CALL flow.attach_one(name);
    INSERT INTO flow.seen SELECT 0, name || ' again: ' || t.what, t.text FROM flow.trouble t;
  END LOOP;
END $$;
SELECT flow.nothing_wrong('each source detached and attached again');
CALL flow.play(100, 4);
SELECT flow.nothing_wrong('and 100 steps more');

-- 3. A customer is merged into another.
CALL flow.merge(1, 2);
SELECT flow.nothing_wrong('a customer is merged into another');
SELECT is((SELECT total FROM credit.exposure WHERE customer = '1'), 0::numeric, 'and owes nothing any more');
CALL flow.play(100, 4);
SELECT flow.nothing_wrong('100 steps after the merge');

-- 4. Statements of many rows: at once, and in portions.
CREATE PROCEDURE flow.bulk(lowest int, n int)
LANGUAGE plpgsql AS $$
DECLARE
  command text;
BEGIN
  FOREACH command IN ARRAY ARRAY[
    'INSERT INTO erp.applications SELECT i, i, i - i % 3, 5 FROM generate_series($1, $1 + $2 - 1) i',
    'INSERT INTO erp.deliveries SELECT i, flow.debtor(i / 10), 7, i / 10, ''shipped'' FROM generate_series($1, $1 + $2 - 1) i',
    'INSERT INTO erp.orders SELECT i, flow.debtor(i), 100, ''confirmed'' FROM generate_series($1 / 10, ($1 + $2 - 1) / 10) i',
    'INSERT INTO erp.invoices SELECT i, flow.debtor(i / 10), 10, CASE WHEN i % 4 > 0 THEN i / 10 END, ''posted'' FROM generate_series($1, $1 + $2 - 1) i',
    'INSERT INTO erp.payments SELECT i, flow.debtor(i / 10), 20, ''2026-01-31'', ''booked'' FROM generate_series($1, $1 + $2 - 1) i',
    'INSERT INTO erp.credit_notes SELECT i, flow.debtor(i / 10), 1, i, ''posted'' FROM generate_series($1, $1 + $2 - 1) i',
    'INSERT INTO erp.links SELECT i, i, i / 10, 2 FROM generate_series($1, $1 + $2 - 1, 4) i',
    'INSERT INTO erp.delivery_invoices SELECT i, flow.debtor(i / 10), 3, i, ''posted'' FROM generate_series($1, $1 + $2 - 1) i',
    'UPDATE erp.deliveries SET total = total + id % 5 WHERE id BETWEEN $1 AND $1 + $2 - 1',
    'UPDATE erp.orders SET state = ''done'' WHERE id BETWEEN $1 / 10 AND $1 / 10 + $2 / 20',
    'UPDATE erp.invoices SET state = ''draft'', total = total + 1 WHERE id % 3 = 0 AND id BETWEEN $1 AND $1 + $2 - 1',
    'UPDATE erp.payments SET state = ''draft'' WHERE id % 6 = 0 AND id BETWEEN $1 AND $1 + $2 - 1',
    'UPDATE erp.applications SET invoice_id = invoice_id + 1, amount = amount + 1 WHERE id BETWEEN $1 AND $1 + $2 - 1',
    'UPDATE erp.invoices SET state = ''posted'', order_id = NULL WHERE id % 6 = 0 AND id BETWEEN $1 AND $1 + $2 - 1',
    'DELETE FROM erp.links WHERE id % 8 = 0 AND id BETWEEN $1 AND $1 + $2 - 1',
    'DELETE FROM erp.deliveries WHERE id % 7 = 0 AND id BETWEEN $1 AND $1 + $2 - 1',
    'UPDATE erp.orders SET state = ''confirmed'' WHERE id % 2 = 0 AND id BETWEEN $1 / 10 AND ($1 + $2 - 1) / 10']
  LOOP
    EXECUTE command USING lowest, n;
    INSERT INTO flow.seen SELECT lowest, command || ': ' || t.what, t.text FROM flow.trouble t;
  END LOOP;
END
$$;
CALL flow.bulk(1000, 100);
SELECT flow.nothing_wrong('statements of a hundred rows');
SET LOCAL work_mem = '64kB';
CALL flow.bulk(20000, 1200);
SELECT flow.nothing_wrong('statements that come in portions');
SET LOCAL work_mem = '4MB';
TRUNCATE erp.payments;
SELECT flow.nothing_wrong('all payments are gone');
TRUNCATE erp.orders, erp.deliveries, erp.invoices;
SELECT flow.nothing_wrong('all orders, deliveries and invoices too');

-- 5. The other way round: attached before anything happens, in another order.
DO $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT s.name FROM credit.source s ORDER BY s.source_id LOOP
    PERFORM credit.detach(name);
  END LOOP;
END $$;
SELECT is((SELECT count(*) FROM credit.item WHERE is_counted), 0::bigint, 'nothing counts without sources');
TRUNCATE erp.applications, erp.credit_notes, erp.links, erp.delivery_invoices, erp.service_orders, flow.merged;
CALL flow.attach('delivery_invoices', 'payments', 'applications', 'links', 'credit_notes', 'deliveries', 'orders', 'customers', 'invoices', 'service_orders');
CALL flow.play(200, 4, 8);
SELECT flow.nothing_wrong('attached before anything happens, in another order');

/*
 * 6. The value of a chain stands in one stage at a time: the sum is the same
 * after each delivery and each invoice, and falls with the payment.
 */
CREATE TABLE flow.walk (chain int, step text, total numeric, wanted numeric);

CREATE PROCEDURE flow.walk_chain(chain int)
LANGUAGE plpgsql AS $$
DECLARE
  base numeric := (SELECT total FROM credit.exposure WHERE customer = flow.debtor(chain)::text);
  part numeric[] := ARRAY(SELECT round((1 + random() * 90)::numeric, 2) FROM generate_series(1, 1 + floor(random() * 4)::int));
  a numeric := (SELECT sum(p) FROM unnest(part) p);
  paid numeric := 0;
  action text;
  i int;
BEGIN
  INSERT INTO erp.orders VALUES (chain, flow.debtor(chain), a, 'confirmed');
  FOR action, i IN
    SELECT q.action, q.i
      FROM (SELECT 'deliver' AS action, p AS i, random() AS at FROM generate_subscripts(part, 1) p
            UNION ALL SELECT 'invoice', p, 1 + random() FROM generate_subscripts(part, 1) p
            UNION ALL SELECT 'pay', p, 1.5 + random() FROM generate_subscripts(part, 1) p
            UNION ALL SELECT 'close', 0, 3) q
     /* what is paid was invoiced; deliveries and invoices may overlap */
     ORDER BY q.at + CASE q.action WHEN 'pay' THEN 1 ELSE 0 END
  LOOP
    CASE action
      WHEN 'deliver' THEN
        INSERT INTO erp.deliveries VALUES (chain * 10 + i, flow.debtor(chain), part[i], chain, 'shipped');
      WHEN 'invoice' THEN
        IF i % 2 = 0 THEN
          INSERT INTO erp.invoices VALUES (chain * 10 + i, flow.debtor(chain), part[i], chain, 'posted');
        ELSE
          INSERT INTO erp.delivery_invoices VALUES (chain * 10 + i, flow.debtor(chain), part[i], chain * 10 + i, 'posted');
        END IF;
      WHEN 'pay' THEN
        INSERT INTO erp.payments VALUES (chain * 10 + i, flow.debtor(chain), part[i], '2026-01-31', 'booked');
        INSERT INTO erp.applications VALUES (chain * 10 + i, chain * 10 + i, chain * 10 + i, part[i]);
        paid := paid + part[i];
      ELSE
        UPDATE erp.orders SET state = 'done' WHERE id = chain;
    END CASE;
    INSERT INTO flow.walk
    SELECT chain, action, e.total - base, a - paid FROM credit.exposure e WHERE e.customer = flow.debtor(chain)::text;
  END LOOP;
END
$$;
DO $$ BEGIN FOR i IN 100 .. 130 LOOP CALL flow.walk_chain(i); END LOOP; END $$;
SELECT is_empty('SELECT * FROM flow.walk WHERE total <> wanted',
	'the sum of the stages stays along order, delivery and invoice, and falls with the payment');
SELECT cmp_ok((SELECT count(*) FROM flow.walk), '>', 150::bigint, 'over many steps');
SELECT flow.nothing_wrong('and all agrees in the end');

-- by currency it is the same on every day
CREATE TEMP TABLE by_account AS
SELECT d.day, e.customer, e.ordered, e.delivered, e.invoiced, e.unapplied, e.total
  FROM (SELECT DISTINCT document_date AS day FROM credit.item WHERE document_date <= credit.today() ORDER BY 1 LIMIT 20) d
 CROSS JOIN LATERAL credit.exposure_on(d.day) e WHERE (e.ordered, e.delivered, e.invoiced, e.unapplied) <> (0, 0, 0, 0);
SELECT set_eq('SELECT * FROM by_account',
	$$SELECT d.day, e.customer, e.ordered, e.delivered, e.invoiced, e.unapplied, e.total
	  FROM (SELECT DISTINCT document_date AS day FROM credit.item WHERE document_date <= credit.today() ORDER BY 1 LIMIT 20) d
	 CROSS JOIN LATERAL credit.exposure_by_currency_on(d.day) e WHERE (e.ordered, e.delivered, e.invoiced, e.unapplied) <> (0, 0, 0, 0)$$,
	format('exposure of past days by currency is that of the account (%s rows)', (SELECT count(*) FROM by_account)));
SELECT * FROM finish();
ROLLBACK;

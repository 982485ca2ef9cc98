--- 9. For the DBA: shadow mode, health, rights

-- Not sure yet? In shadow mode nothing is refused and everything is recorded.

SELECT credit.set('mode', 'shadow');

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (172, '2026-07-01', '2026-07-15', 'confirmed', 2500);

--! shows 172
SELECT verdict, rule, customer, key, amount, exposure, credit_limit, role
FROM credit.decision
WHERE verdict = 'shadow';

SELECT credit.set('mode', 'reject');

-- Customer 172 is above his limit now. He gets nothing more; but what leaves his
-- exposure as it is, or lowers it, still passes. Work on accepted orders goes on:

--! refused 23514
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (172, '2026-07-01', '2026-07-15', 'confirmed', 10);

UPDATE erp.orders SET status = 'in process', total = total - 1000
WHERE customer_number = 172 AND order_date = '2026-07-01';

-- Is everything in order?

SELECT * FROM credit.status() \gx

-- What has credit done since it was attached, and what did it take?

SELECT source, statements, checks, refusals, waits, round(work_ms) AS work_ms
FROM credit.stat
WHERE kind = 'order';

-- Nobody needs to take our word for the figures. Those of credit beside plain sums
-- over the ERP's tables, after all that has happened here: what was invoiced, less
-- what was paid, and of each order what is delivered or to be delivered beyond that.

--! shows 120 │ 0
WITH fulfilment AS (
    SELECT o.customer_number,
           CASE WHEN o.status NOT IN ('draft', 'cancelled') THEN o.total ELSE 0 END AS ordered,
           coalesce((SELECT sum(value) FROM erp.deliveries AS d
                     WHERE d.order_number = o.order_number), 0) AS delivered,
           coalesce((SELECT sum(gross) FROM erp.invoices AS i
                     WHERE i.order_number = o.order_number), 0) AS invoiced
    FROM erp.orders AS o)
SELECT (SELECT count(*) FROM erp.customers) AS customers, count(*) AS differences
FROM (SELECT customer::int, total FROM credit.exposure
      EXCEPT
      SELECT c.customer_number,
             (SELECT coalesce(sum(gross), 0) FROM erp.invoices AS i
              WHERE i.customer_number = c.customer_number)
           - (SELECT coalesce(sum(amount), 0) FROM erp.payments AS p
              WHERE p.customer_number = c.customer_number)
           + (SELECT coalesce(sum(greatest(f.ordered - f.invoiced, f.delivered - f.invoiced, 0)), 0)
              FROM fulfilment AS f WHERE f.customer_number = c.customer_number)
      FROM erp.customers AS c) AS difference;

-- Clerks have no right on schema credit. Their orders are checked, and what customers
-- owe is none of their business: not in a view, nor, with this setting, in a message.

SELECT credit.set('message_figures', 'off');
SET ROLE clerk;

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (139, '2026-07-01', '2026-07-15', 'confirmed', 800);
--! refused 23514
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (139, '2026-07-01', '2026-07-15', 'confirmed', 800);
--! refused 42501
SELECT * FROM credit.exposure;

RESET ROLE;

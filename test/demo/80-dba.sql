--- 8. For the DBA: shadow mode, health, rights

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

-- Nobody needs to take our word for the figures. Those of credit beside a plain sum
-- over the ERP's tables, after all that has happened here:

--! shows 120 │ 0
SELECT (SELECT count(*) FROM erp.customers) AS customers, count(*) AS differences
FROM (SELECT customer::int, total FROM credit.exposure
      EXCEPT
      SELECT c.customer_number,
             (SELECT coalesce(sum(total), 0) FROM erp.orders AS o
              WHERE o.customer_number = c.customer_number AND status NOT IN ('draft', 'cancelled'))
           - (SELECT coalesce(sum(amount), 0) FROM erp.payments AS p
              WHERE p.customer_number = c.customer_number)
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

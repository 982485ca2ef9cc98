--- 1. An ERP that has credit limits, and nobody who minds them

-- Hansekontor sells tools and garden supplies to dealers all over Europe. Its ERP
-- keeps customers, orders, deliveries, invoices and payments in PostgreSQL.

\i test/demo/erp.sql
\i test/demo/data.sql

SELECT (SELECT count(*) FROM erp.customers) AS customers,
       (SELECT count(*) FROM erp.orders) AS orders,
       (SELECT count(*) FROM erp.deliveries) AS deliveries,
       (SELECT count(*) FROM erp.invoices) AS invoices,
       (SELECT count(*) FROM erp.payments) AS payments,
       (SELECT max(order_date) FROM erp.orders) AS last_order;

-- Each customer has a credit limit: a column that somebody fills in. What the
-- customer owes already, and what he has ordered on top, stands in other tables.

SELECT customer_number, customer_name, credit_limit
FROM erp.customers
WHERE customer_number IN (106, 109, 179, 220);

-- Those who enter orders have a role of their own, with the rights it takes.

CREATE ROLE clerk;
GRANT USAGE ON SCHEMA erp TO clerk;
GRANT SELECT, INSERT, UPDATE ON erp.orders TO clerk;

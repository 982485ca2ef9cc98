--- 12. And away again

DROP EXTENSION credit CASCADE;

-- The database is what it was. Its definition before credit was installed, and now:

--! dump after
--! compare before after

-- And nobody minds its credit limits any more.

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (106, '2026-07-02', '2026-07-15', 'confirmed', 999999);

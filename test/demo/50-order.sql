--- 5. Orders

--! shows 5659.04
SELECT name, total, credit_limit, headroom FROM credit.exposure WHERE customer = '106';

-- An order over 4,200 fits, and the ERP notices nothing of credit:

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (106, '2026-07-01', '2026-07-15', 'confirmed', 4200);

-- The next one does not. The ERP's user gets one line that says it all:

--! refused 23514
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (106, '2026-07-01', '2026-07-15', 'confirmed', 3000);

-- Programs find the same in the fields of the error: SQLSTATE, table, constraint.

\errverbose

-- Where an increase comes from does not matter. A draft does not count and is saved
-- like any other row; it is checked when the ERP confirms it ...

INSERT INTO erp.orders (order_number, customer_number, order_date, required_date, total)
VALUES (14000, 106, '2026-07-01', '2026-07-15', 3000);
--! refused 23514
UPDATE erp.orders SET status = 'confirmed' WHERE order_number = 14000;

-- ... and here an order is entered line by line, and the ERP's own trigger
-- raises the total in the header. The second line is one too many.

BEGIN;
INSERT INTO erp.orders (order_number, customer_number, order_date, required_date, status)
VALUES (14001, 106, '2026-07-01', '2026-07-10', 'confirmed');
INSERT INTO erp.order_lines (order_number, line_number, product_code, quantity, unit_price)
VALUES (14001, 1, 'PT-2010', 10, 129.00);
--! refused 23514
INSERT INTO erp.order_lines (order_number, line_number, product_code, quantity, unit_price)
VALUES (14001, 2, 'GA-4410', 4, 249.00);
ROLLBACK;

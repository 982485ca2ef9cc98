--- 7. From the order to the money

-- Customer 167 owes nothing. An order comes in:

INSERT INTO erp.orders (order_number, customer_number, order_date, required_date, status, total)
VALUES (15000, 167, '2026-07-01', '2026-07-15', 'confirmed', 4000);

--! shows 4000.00 │ 0 │ 0
SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = '167';

-- The larger part of it is delivered. The same money, one stage on:

INSERT INTO erp.deliveries (order_number, customer_number, delivered_on, value)
VALUES (15000, 167, '2026-07-01', 2500);

--! shows 1500.00 │ 2500.00
SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = '167';

-- The invoice is over 1,800 for now; the rest of that delivery is still to be billed.

INSERT INTO erp.invoices (invoice_id, customer_number, order_number, invoice_date, due_date, gross)
VALUES (55000, 167, 15000, '2026-07-01', '2026-07-31', 1800);

--! shows 1500.00 │ 700.00 │ 1800.00
SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = '167';

-- 2,000 arrive. Only money changes the total; what it is for, nobody has said yet.

INSERT INTO erp.payments (id, customer_number, amount, paid_on)
VALUES (90000, 167, 2000, '2026-07-01');

--! shows 1800.00 │ -2000.00 │ 2000.00
SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = '167';

-- The payment is matched to the invoice. 200 are left of it:

INSERT INTO erp.payment_applications (payment_id, invoice_id, amount, applied_on)
VALUES (90000, 55000, 1800, '2026-07-01');

--! shows 0.00 │ -200.00 │ 2000.00
SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = '167';

-- The customer cancels. What he has had already, he owes all the same:

UPDATE erp.orders SET status = 'cancelled' WHERE order_number = 15000;

--! shows 0.00 │ 700.00 │ 0 │ -200.00 │ 500.00
SELECT ordered, delivered, invoiced, unapplied, total FROM credit.exposure WHERE customer = '167';

-- The documents may come in any other order, in one transaction or in many, from one
-- session or from several: the figures are the same.

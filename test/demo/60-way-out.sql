--- 6. The way out

-- What would happen, without doing it? And what would it take?

--! shows reject
SELECT verdict, rule, exposure, credit_limit, passing_amount, amount_to_pay
FROM credit.check_order('106', 3000);

-- Invoice 53248 has been due since 27 June. The money comes in, and the order
-- that was refused a minute ago passes. No job has to run, nobody has to release.

INSERT INTO erp.payments (customer_number, amount, paid_on)
VALUES (106, 6853.67, '2026-07-01');

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (106, '2026-07-01', '2026-07-15', 'confirmed', 3000);

-- The other way: somebody who may do so raises the limit, in the ERP as ever. (An ERP
-- that has no such column leaves limits to credit: SELECT credit.set_limit(...).)

--! refused 23514
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (144, '2026-07-01', '2026-07-15', 'confirmed', 1800);

UPDATE erp.customers SET credit_limit = 8000 WHERE customer_number = 144;

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (144, '2026-07-01', '2026-07-15', 'confirmed', 1800);

-- Pflanzenwelt Mühlbächer is new and has no limit yet: a warning, no refusal.

INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (220, '2026-07-01', '2026-07-15', 'confirmed', 900);

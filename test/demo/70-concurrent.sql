--- 8. Two orders at the same moment

--! shows 5016.39
SELECT name, total, credit_limit, headroom FROM credit.exposure WHERE customer = '145';

-- Two clerks enter an order over 4,000 each, at the same time: each fits, both
-- together do not. Clerk A is first, and his transaction is still open:

--! session A
BEGIN;
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (145, '2026-07-01', '2026-07-15', 'confirmed', 4000);

-- Clerk B cannot see A's order. His own must neither slip in beside it nor be
-- refused because of an order that may yet be rolled back, so it waits for A:

--! session B
BEGIN;
--! blocks
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (145, '2026-07-01', '2026-07-15', 'confirmed', 4000);

--! session A
COMMIT;

--! session B
--! refused 23514
--! answer
ROLLBACK;

-- Once more, with another customer, whose first order is given up. B then gets in:

--! session A
BEGIN;
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (194, '2026-07-01', '2026-07-15', 'confirmed', 3000);

--! session B
--! blocks
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (194, '2026-07-01', '2026-07-15', 'confirmed', 3000);

-- Meanwhile a DBA can see who waits for whom, and how to end it:

--! session main
--! shows idle in transaction
SELECT customer, waits_for, application_name AS waiting, holder_application AS holder,
       holder_state, way_out
FROM credit.waits \gx

--! session A
ROLLBACK;

--! session B
--! answer

-- An order that fits anyway waits for nobody, however long others take: A's
-- transaction stays open, B's small order of the same customer is in at once.

--! session A
BEGIN;
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (211, '2026-07-01', '2026-07-15', 'confirmed', 1000);

--! session B
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (211, '2026-07-01', '2026-07-15', 'confirmed', 1000);

--! session A
COMMIT;

-- Many ERPs work in REPEATABLE READ, where a transaction keeps seeing the world as
-- it was when it began. B begins, A's order over 6,000 comes in and is committed:

--! session B
BEGIN ISOLATION LEVEL REPEATABLE READ;
--! shows 61
SELECT count(*) AS orders_that_b_sees FROM erp.orders WHERE customer_number = 211;

--! session A
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (211, '2026-07-01', '2026-07-15', 'confirmed', 6000);

-- B still sees the old world, in which there is room for another 6,000 ...

--! session B
--! shows 61
SELECT count(*) AS orders_that_b_sees FROM erp.orders WHERE customer_number = 211;

-- ... but the limit is kept in the real one:

--! refused 23514
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
VALUES (211, '2026-07-01', '2026-07-15', 'confirmed', 6000);
ROLLBACK;

-- One of two each time, and never more than the limit:

--! session main
SELECT customer, name, total, credit_limit, headroom
FROM credit.exposure
WHERE customer IN ('145', '194', '211')
ORDER BY customer;

-- An interface sends many orders in one statement: it is accepted or refused as a
-- whole, and says what would have fitted and who else is in the way.

--! refused 23514
INSERT INTO erp.orders (customer_number, order_date, required_date, status, total)
SELECT customer, '2026-07-01'::date + n, '2026-08-01', 'confirmed', 500
FROM generate_series(1, 12) AS n, unnest(ARRAY[145, 211]) AS customer;

--- 4. Who owes how much, and how much room is left

SELECT customer, name, total, credit_limit, headroom, round(100 * utilisation) AS percent
FROM credit.exposure
ORDER BY total DESC
LIMIT 8;

-- Somebody should have minded. Who is above his limit, or has used 90 % of it?

SELECT customer, name, total, credit_limit, headroom, is_over_limit
FROM credit.near_limit;

-- A limit that was never assigned is something else than a limit of 0:

SELECT limit_state, credit_limit = 0 AS is_zero, count(*) AS customers, sum(total) AS exposure
FROM credit.exposure
GROUP BY 1, 2
ORDER BY 1, 2;

-- Behind each figure there are documents: orders add, payments take away. Those of
-- customer 106 since May:

SELECT kind, number, document_date, due_date, exposure
FROM credit.exposure_document
WHERE customer = '106' AND document_date >= '2026-05-01'
ORDER BY document_date, kind;

--- 4. Who owes how much, and how much room is left

SELECT customer, ordered, delivered, invoiced, unapplied, total, credit_limit,
       round(100 * utilisation) AS percent
FROM credit.exposure
ORDER BY total DESC
LIMIT 8;

-- Ordered, delivered but not invoiced, invoiced but not paid, and money that nobody
-- has matched to an invoice yet: what a customer ordered or owes stands in one of the
-- four, and moves on with the goods and the papers.

-- Somebody should have minded. Who is above his limit, or has used 90 % of it?

SELECT customer, name, total, credit_limit, headroom, is_over_limit
FROM credit.near_limit;

-- A limit that was never assigned is something else than a limit of 0:

SELECT limit_state, credit_limit = 0 AS is_zero, count(*) AS customers, sum(total) AS exposure
FROM credit.exposure
GROUP BY 1, 2
ORDER BY 1, 2;

-- Behind each figure there are documents. Those of customer 106:

SELECT kind, number, document_date, due_date, exposure
FROM credit.exposure_document
WHERE customer = '106' AND exposure <> 0
ORDER BY document_date, kind;

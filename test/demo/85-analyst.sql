--- 9. For the analyst: any day, any figure

CREATE ROLE analyst;
SELECT credit.grant_analyst('analyst');
SET ROLE analyst;

-- Where did we stand at the end of March? One setting, and all views follow.

SET credit.as_of = '2026-03-31';

SELECT customer, name, total, credit_limit, round(100 * utilisation) AS percent
FROM credit.exposure
ORDER BY utilisation DESC NULLS LAST
LIMIT 5;

-- The way of customer 179, who stopped paying, by the same setting:

SET credit.as_of = '2026-01-31';
SELECT credit.as_of(), total, headroom FROM credit.exposure WHERE customer = '179';
SET credit.as_of = '2026-05-31';
SELECT credit.as_of(), total, headroom FROM credit.exposure WHERE customer = '179';
RESET credit.as_of;

RESET ROLE;

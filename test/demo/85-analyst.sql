--- 10. For the analyst: any day, any figure

CREATE ROLE analyst;
SELECT credit.grant_analyst('analyst');
SET ROLE analyst;

-- Who pays late, and how late? One setting, and the views look at that day.

SET credit.as_of = '2026-06-30';

--! shows 13694.42 │ 10880.67 │ 14647.32
SELECT left(name, 30) AS name, current, d1_30, d31_60, d61_90 + d91_120 + d121_plus AS d61_plus,
       credits, total
FROM credit.customer_aging
ORDER BY overdue DESC
LIMIT 8;

-- Buckets and credits add up to the total, whatever happens. All customers together:

SELECT n_customers, current, overdue, credits, total,
       round(100 * overdue_ratio::numeric, 1) AS percent_overdue
FROM credit.portfolio_aging;

-- The way of customer 179, who stopped paying, month by month:

--! shows 2026-04-30 │ 10880.67 │ 14647.32
SELECT day, a.current, a.overdue, a.total, a.oldest_days_past_due
FROM unnest('{2026-02-28, 2026-03-31, 2026-04-30, 2026-05-31, 2026-06-30}'::date[]) AS day,
     LATERAL credit.customer_aging_on(day) AS a
WHERE a.customer = '179';

-- What stood in his statement of account at the end of March, and what of it was open:

--! shows opening balance
SELECT moved_on, kind, number, due_date, debit, credit, balance, open_amount
FROM credit.account_statement('179', '2026-03-31', from_date => '2026-03-01');

-- The same day for everybody, with buckets of one's own and credits set off against
-- the oldest debts:

SELECT customer, buckets, credits, total
FROM credit.customer_aging_by('2026-03-31', ARRAY[0, 15, 45], 'oldest')
ORDER BY buckets[3] + buckets[4] DESC
LIMIT 4;

RESET credit.as_of;
RESET ROLE;

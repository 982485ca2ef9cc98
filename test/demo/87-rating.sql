--- 11. How good is each customer?

-- What the ledger knows of a customer on a day: one row of some sixty figures each.

--! shows 93 │ 1.00
SELECT n_paid, round(on_time_rate::numeric, 2) AS on_time, round(payment_index::numeric) AS index,
       oldest_days_overdue AS oldest, round(overdue_ratio::numeric, 2) AS overdue,
       round(utilisation::numeric, 2) AS utilisation, is_in_default
FROM credit.features('2026-06-30')
WHERE customer = '179';

SELECT name, unit, time_window, missing FROM credit.feature_catalog
WHERE origin = 'aging' LIMIT 4;

-- A model turns them into a score, a probability of default and a grade. Nobody has
-- fitted one here, so the expert scorecard that comes along is put to use. All
-- customers, as of the end of March, and three months later:

--! shows standard │ 1 │ 117 │ 3
SELECT model_name, version, n_rated, n_unrated, n_default, n_better, n_worse
FROM credit.rate_all('2026-03-31');

--! shows standard │ 1 │ 120 │ 0 │ 1
SELECT model_name, version, n_rated, n_unrated, n_default, n_better, n_worse
FROM credit.rate_all('2026-06-30');

-- Grades go from 1 to 8; D is in default, more than 90 days past due with an amount
-- that matters. Customer 179 is there by now:

SET credit.as_of = '2026-06-30';

--! shows D │ 1
SELECT grade, count(*), round(avg(score)::numeric, 1) AS score, round(avg(pd)::numeric, 4) AS pd
FROM credit.rating
GROUP BY grade
ORDER BY grade;

-- Who is worst, and why? In words that can be told to him:

--! shows │ D │
SELECT customer, left(name, 21) AS name, grade, round(score::numeric) AS score, reasons[1] AS first_reason,
       reasons[2] AS second_reason
FROM credit.rating
ORDER BY rank DESC, score
LIMIT 6;

-- And what makes the score of a customer, point by point? Shortfall: against a customer
-- who is neither good nor bad.

SELECT p.feature, round(p.value::numeric, 2) AS value, round(p.points::numeric, 1) AS points,
       round(p.shortfall::numeric, 1) AS shortfall, p.reason
FROM credit.score('182') AS s, unnest(s.parts) AS p
ORDER BY p.position;

-- Who went down by three grades or more since March?

--! shows 179
SELECT customer, left(name, 36) AS name, from_grade, to_grade, notches
FROM credit.rating_changes_between('2026-03-31', '2026-06-30')
WHERE notches >= 3
ORDER BY notches DESC, customer;

-- A person knows more: the parent company of 179 will pay. For sixty days:

SELECT credit.set_rating_override('179', '7', 'parent has undertaken to pay', credit.today() + 60);

RESET credit.as_of;

--! shows 179 │ 7 │ override │ D
SELECT customer, grade, origin, model_grade, override_reason FROM credit.rating WHERE customer = '179';

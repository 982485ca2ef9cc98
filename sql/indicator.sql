--
-- indicator: receivable indicators over any table
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
RESET client_min_messages;

-- the last digits are the machine's own
SET extra_float_digits = -3;
CREATE SCHEMA books;

-- 1. Ratios of sums

SELECT credit.dso(1200000, 10000000, 365), credit.best_possible_dso(800000, 10000000, 365), credit.average_days_delinquent(1200000 - 800000, 10000000, 365);
-- no sales are no DSO; credits are a negative one
SELECT credit.dso(100, 0, 365), credit.dso(100, -1, 365), credit.dso(NULL, 100, 365), credit.dso(100, 100, 0), credit.dso(100, 'NaN', 365), credit.dso(100, 'Infinity', 365), credit.dso('NaN', 100, 365), credit.dso(-50, 100, 30);
SELECT credit.cei(1000, 800, 900, 700), credit.cei(6200, 10890, 6340, 3590, 3), credit.cei(100000, 1000000, 120000, 100000);
-- nothing to collect; credit balances
SELECT credit.cei(0, 700, 900, 700), credit.cei(0, 600, 900, 700), credit.cei(1000, 800, -100, 700), credit.cei(1000, 800, 900, 700, 0), credit.cei(NULL, 800, 900, 700);
SELECT credit.receivable_turnover(3650000, 400000), credit.collection_period(3650000, 400000, 365), credit.receivable_turnover(100, 0), credit.receivable_turnover(100, -1), credit.collection_period(0, 400000, 365);
SELECT credit.bad_debt_ratio(30000, 5000, 5000000), credit.bad_debt_ratio(5000, 30000, 5000000), credit.bad_debt_ratio(1, 0, 0), credit.allowance_ratio(20, 1000), credit.allowance_ratio(20, 0);
SELECT credit.working_capital_requirement(500, 800, 600, other_payables => 50), credit.working_capital_days(650, 3650), credit.working_capital_days(-650, 3650), credit.working_capital_days(650, 0);
-- 365 x 100 / 730 + 365 x 200 / 1460 - 365 x 60 / 730
SELECT credit.cash_conversion_cycle(100, 200, 60, 1460, 730), credit.cash_conversion_cycle(100, 200, 60, 0, 730), credit.cash_conversion_cycle(100, 200, 60, 1460, 0);
SELECT credit.ratio(1, 3), credit.ratio(1, 0), credit.ratio(0, 1), credit.ratio(1, NULL), credit.ratio('Infinity', 1), credit.ratio(1, '-Infinity');

-- 2. Overdue shares of open items: 500 at 95, 300 at 40, 200 not due, and credits

SELECT s.*
  FROM (SELECT credit.aging(a, date '2025-06-30' - dpd, '2025-06-30') FROM (VALUES (500, 95), (300, 40), (200, -5), (-250, 10), (-350, 3)) v (a, dpd)) q (b), credit.overdue_shares(b) s;
SELECT s.overdue_ratio IS NULL AS nothing FROM (SELECT credit.aging(a, '2025-06-01', '2025-06-30') FROM (VALUES (-5)) v (a)) q (b), credit.overdue_shares(b) s;
-- 10 of 100 are overdue by a day; with a grace of 3 days they are not
SELECT g, credit.overdue_ratio(credit.payment_profile(a, '2025-05-01', date '2025-06-30' - dpd, NULL, '2025-06-30', g, 90)) FROM (VALUES (10, 1), (20, 5), (70, -9)) v (a, dpd), (VALUES (0), (3)) g (g) GROUP BY g ORDER BY g;
SELECT credit.overdue_ratio(credit.payment_profile(1, '2025-05-01', '2025-06-01', '2025-06-01', '2025-06-30'));
-- days beyond terms, of payments and of open items: 80,000 / 6,000
SELECT round((p).days_beyond_terms::numeric, 4) AS days_beyond_terms, (p).weighted_days_late, (p).weighted_days_to_pay, (p).weighted_terms
  FROM (SELECT credit.payment_profile(a, '2025-01-01', date '2025-01-01' + terms, date '2025-01-01' + terms + d) FROM (VALUES (1000, -5, 30), (2000, 10, 30), (3000, 20, 45)) v (a, d, terms)) q (p);

-- 3. Count-back: months of the calendar, and of 30 days

CREATE VIEW books.sales AS
SELECT * FROM (VALUES (date '2025-03-01', 100000), ('2025-02-10', 80000), ('2025-01-31', 70000)) v (day, sales);
\x on
SELECT (credit.countback_dso(day, sales, 212000, '2025-03-31')).* FROM books.sales;
\x off
SELECT round((credit.countback_dso(day, sales, 212000, '2025-03-31')).dso::numeric, 4) AS calendar, round((credit.countback_dso(day, sales, 212000, '2025-03-31', 30, false)).dso::numeric, 6) AS thirty FROM books.sales;
-- how far back: none, a part of the last, all of it, into the next, all there are, more
SELECT r, (c).dso, (c).lower_bound, (c).n_months, (c).uncovered FROM (SELECT r, credit.countback_dso(day, sales, r, '2025-03-31') FROM books.sales, unnest(ARRAY[-5, 0, 50000, 100000, 100000.5, 180000, 250000, 250000.01, 300000, NULL]) r GROUP BY r) q (r, c) ORDER BY r;
-- a month cut by the as-of date counts its days so far, and its sales; later ones are of the future
SELECT a, (c).dso, (c).n_future FROM (SELECT a, credit.countback_dso(day, s, 150, a)
  FROM (VALUES (date '2025-03-01', 60), ('2025-03-20', 40), ('2025-02-10', 140)) v (day, s), (VALUES (date '2025-03-10'), ('2025-03-31'), ('2025-04-01'), ('2025-02-28')) w (a) GROUP BY a) q (a, c) ORDER BY a;
SELECT a, (c).dso FROM (SELECT a, credit.countback_dso(day, 100, 150, a, 30, false)
  FROM (VALUES (date '2025-03-01'), ('2025-02-10')) v (day), (VALUES (date '2025-03-10'), ('2025-03-30'), ('2025-03-31'), ('2025-02-27'), ('2025-02-28')) w (a) GROUP BY a) q (a, c) ORDER BY a;
-- months without sales, or with more credit notes than sales: passed over, or the end
SELECT stop, (c).dso, (c).lower_bound, (c).n_months, (c).uncovered FROM (SELECT stop, credit.countback_dso(day, s, 150, '2025-06-30', NULL, stop)
  FROM (VALUES (date '2025-06-05', 100), ('2025-04-05', 20), ('2025-04-06', -20), ('2025-03-05', 100)) v (day, s), (VALUES (true), (false)) w (stop) GROUP BY stop) q (stop, c) ORDER BY stop;
SELECT stop, (c).dso, (c).lower_bound, (c).n_months, (c).uncovered FROM (SELECT stop, credit.countback_dso('2025-03-05', s, 150, '2025-06-10', NULL, stop)
  FROM (VALUES (100), (200)) v (s), (VALUES (true), (false)) w (stop) GROUP BY stop) q (stop, c) ORDER BY stop;
-- what is left out; no sales; no rows; both ends of time
SELECT (c).dso, (c).n_skipped, (c).n_future FROM (SELECT credit.countback_dso(day, s, 5, '2025-06-30') FROM (VALUES (date '2025-06-05', 10::numeric), (NULL, 1), ('2025-06-05', NULL), ('infinity', 1), ('-infinity', 1), ('2025-06-05', 'NaN'), ('2025-06-05', 'Infinity'), ('2025-07-01', 1)) v (day, s)) q (c);
SELECT credit.countback_dso('2025-06-05', 1, 'NaN', '2025-06-30');
SELECT credit.countback_dso(NULL, NULL, 5, '2025-06-30');
SELECT credit.countback_dso('2025-06-05', 1, 5, '2025-06-30') WHERE false;
SELECT (c).dso, (c).lower_bound, (c).uncovered FROM (SELECT credit.countback_dso('4713-01-01 BC', 1e40, r, '5874897-12-31') FROM (VALUES (1e40)) v (r)) q (c);
SELECT (c).dso, (c).uncovered FROM (SELECT credit.countback_dso('0001-12-15 BC', 10, 5, '0001-01-31')) q (c);
SELECT credit.countback_dso(day, sales, 212000, a) FROM books.sales, (VALUES (date '2025-03-31'), ('2025-03-30')) v (a);
SELECT credit.countback_dso(day, sales, r, '2025-03-31') FROM books.sales, (VALUES (1), (2)) v (r);
SELECT credit.countback_dso(day, sales, 1, 'infinity') FROM books.sales;
SELECT credit.countback_dso(day, sales, 1, '2025-03-31', 32, false) FROM books.sales;
SELECT credit.countback_dso(day, sales, 1, '2025-03-31', 30, NULL) FROM books.sales;

-- 4. DSO by age: 50,000 for 20 days of 100,000, 40,000 for 50 days of 80,000: 10 + 25

SELECT (credit.true_dso(day, s, o, '2025-03-31')).* FROM (VALUES (date '2025-03-11', 100000, 50000), ('2025-02-09', 80000, 40000)) v (day, s, o);
-- the same with sales and open items in rows of their own, and others that do not count
SELECT (credit.true_dso(day, s, o, '2025-03-31')).*
  FROM (VALUES (date '2025-03-01', 100000::numeric, NULL::numeric), ('2025-03-11', 0, 50000), ('2025-02-01', 80000, NULL), ('2025-02-09', NULL, 40000),
			   ('2025-01-15', 0, 7.5), ('2025-03-15', 0, -30), ('2025-04-01', 5, 5), (NULL, 5, 5), ('2025-03-01', NULL, NULL), ('infinity', 1, 1), ('2025-03-01', 'NaN', 1), ('2025-03-01', 1, 'Infinity')) v (day, s, o);
-- nothing open; nothing but what has no sales; nothing
SELECT (d).dso, (d).n_open, (d).n_unmatched, (d).open_amount FROM (SELECT credit.true_dso('2025-03-11', 100, 0, '2025-03-31')) q (d);
SELECT (d).dso, (d).n_open, (d).n_unmatched, (d).unmatched_amount FROM (SELECT credit.true_dso('2025-03-11', s, o, '2025-03-31') FROM (VALUES (100, 40), (-100, 0)) v (s, o)) q (d);
SELECT credit.true_dso('2025-03-11', 100, 0, '2025-03-31') WHERE false;
SELECT credit.true_dso('2025-03-11', 100, 0, NULL);

-- 5. Partial payments: three of ten; 300, 50 and 400 of 1,000, 500 and 500

SELECT (p).n_paid, (p).n_partial, (p).partial_ratio, (p).residue_amount, (p).invoiced_amount, (p).residue_ratio
  FROM (SELECT credit.partial_payment(a, f) FROM (VALUES (1000, 700), (500, 450), (500, 100), (10, 10), (10, 10), (20, 20), (30, 30), (40, 40), (50, 50), (60, 70)) v (a, f)) q (p);
-- 1 % or 0.01 are nothing; a tolerance of one's own
SELECT a, f, (credit.partial_payment(a, f)).n_partial AS partial, (credit.partial_payment(a, f, 0)).n_partial AS any, (credit.partial_payment(a, f, 5)).n_partial AS above_5
  FROM (VALUES (100, 99), (100, 98.99), (0.5, 0.49), (0.5, 0.4899), (10000, 9995), (10000, 9994.99), (10, 20)) v (a, f) GROUP BY a, f ORDER BY a, f;
SELECT (p).n_paid, (p).n_unpaid, (p).n_credits, (p).n_skipped, (p).partial_ratio, (p).residue_ratio
  FROM (SELECT credit.partial_payment(a, f) FROM (VALUES (100::numeric, NULL::numeric), (100, 0), (100, -1), (0, 1), (-5, 5), (NULL, 5), ('NaN', 1), (1, 'NaN'), ('Infinity', 1)) v (a, f)) q (p);
SELECT (p).n_skipped FROM (SELECT credit.partial_payment(100, 50, t) FROM (VALUES (NULL), ('NaN'::numeric)) v (t)) q (p);
SELECT (p).residue_amount, (p).invoiced_amount, (p).residue_ratio FROM (SELECT credit.partial_payment(a, f) FROM (VALUES (1e40, 0.1), (1, 1 / 3.0)) v (a, f)) q (p);
SELECT credit.partial_payment(1, 1) WHERE false;

-- 6. Capacity: the median of six months

CREATE VIEW books.paid AS
SELECT (date '2025-01-15' + (n - 1) * interval '1 month')::date AS day, a FROM unnest(ARRAY[40, 55, 50, 60, 45, 50]) WITH ORDINALITY u (a, n);
SELECT (credit.payment_capacity(day, a, '2025-06-30')).* FROM books.paid;
-- a month that is not over does not count; other numbers of months; months without a payment; before the first is no history
SELECT (c).capacity, (c).n_months, (c).first_month, (c).last_month, (c).n_outside, (c).n_future FROM (SELECT credit.payment_capacity(day, a, '2025-06-29') FROM books.paid) q (c);
SELECT m, (c).capacity, (c).total_amount, (c).n_months, (c).n_outside FROM (SELECT m, credit.payment_capacity(day, a, '2025-06-30', m) FROM books.paid, unnest(ARRAY[1, 2, 3, 4, 5, 7, 120]) m GROUP BY m) q (m, c) ORDER BY m;
SELECT (c).capacity, (c).n_months, (c).total_amount FROM (SELECT credit.payment_capacity(day, a, '2025-06-30') FROM books.paid WHERE a IN (40, 60)) q (c);
SELECT (c).capacity, (c).n_months, (c).total_amount FROM (SELECT credit.payment_capacity(day, a, '2025-06-30') FROM (TABLE books.paid UNION ALL VALUES (date '2020-01-01', 1)) p (day, a) WHERE a IN (1, 60)) q (c);
SELECT (c).capacity, (c).n_months, (c).n_outside FROM (SELECT credit.payment_capacity('2025-06-15', 5, '2025-06-20')) q (c);
-- a returned payment, what is left out, and what money there is
SELECT (c).capacity, (c).n_payments, (c).n_skipped, (c).n_future FROM (SELECT credit.payment_capacity(day, a, '2025-06-30') FROM (VALUES (date '2025-06-01', 10::numeric), ('2025-06-03', -4), (NULL, 1), ('2025-06-01', NULL), ('infinity', 1), ('2025-06-01', 'NaN'), ('2025-07-01', 1)) v (day, a)) q (c);
SELECT (c).capacity FROM (SELECT credit.payment_capacity(day, a, '2025-06-30') FROM (VALUES (date '2025-06-01', 1e30), ('2025-05-03', 0.01)) v (day, a)) q (c);
SELECT (c).capacity FROM (SELECT credit.payment_capacity(day, a, '2025-06-30') FROM (VALUES (date '2025-06-01', 0.50), ('2025-05-03', 0.02)) v (day, a)) q (c);
SELECT credit.payment_capacity('2025-06-01', 1, '2025-06-30') WHERE false;
SELECT credit.payment_capacity(day, a, '2025-06-30', 0) FROM books.paid;
SELECT credit.payment_capacity(day, a, '2025-06-30', 121) FROM books.paid;
SELECT credit.payment_capacity(day, a, '2025-06-30', m) FROM books.paid, generate_series(5, 6) m;
-- what he pays of what he orders
SELECT credit.payment_to_order_ratio(90000, 120000), credit.payment_to_order_ratio(130000, 120000), credit.payment_to_order_ratio(1, 0);
-- aligned: what fell due in the window, and was paid of it
SELECT credit.payment_to_order_ratio(sum(paid), sum(amount)) FROM (VALUES (date '2025-01-10', 100, 100), ('2025-01-20', 200, 50), ('2025-03-01', 900, 0)) v (due, amount, paid) WHERE due BETWEEN '2025-01-01' AND '2025-01-31';

-- 7. Demand: 12 in 30 days against 24 in 180: three times as many, p 0.003172

SELECT rate_ratio, round(p::numeric, 6) AS p FROM credit.demand_signal(12, 30, 24, 180);
SELECT n1, n0, d.rate_ratio, round(d.p::numeric, 5) AS p FROM (VALUES (5, 0), (4, 0), (0, 5), (2, 3), (3, 2), (0, 4), (NULL, 9), (-1, 9)) v (n1, n0), credit.demand_signal(n1, 30, n0, 90) d;
-- against the sum of what is behind it, few and many
CREATE FUNCTION books.binomial(k bigint, n bigint) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	term numeric := 1;		/* ways to have i of n */
	total numeric := 0;
BEGIN
	FOR i IN 0 .. n LOOP
		total := total + CASE WHEN i >= k THEN term * 2 ^ (n - i)::numeric ELSE 0 END;
		term := div(term * (n - i), i + 1);
	END LOOP;
	RETURN total / 3 ^ n::numeric;
END
$$;
SELECT n1, n0, round(credit.demand_p(n1, 30, n0, 60)::numeric, 12) AS p, abs(credit.demand_p(n1, 30, n0, 60) / books.binomial(n1, n1 + n0)::float8 - 1) < 1e-12 AS is_right
  FROM (VALUES (0, 4), (1, 4), (5, 0), (5, 5), (12, 24), (2, 90), (80, 20), (30, 50), (300, 500), (5, 400), (20, 5), (100, 200), (333, 666)) v (n1, n0);
SELECT credit.demand_p(1000000000000, 1, 2000000000000, 2) BETWEEN 0.49999 AND 0.50001 AS many, credit.demand_p(9223372036854775807, 1, 0, 2147483647), credit.demand_p(9223372036854775807, 1, 1, 1), credit.demand_p(0, 1, 0, 1), credit.demand_p(5, 0, 5, 1);

-- 8. Segment, and peers

SELECT i, c, credit.funds_segment(i, c) FROM (VALUES (82::float8, 0.95), (82, 0.75), (75, 0.9), (60, 0.95), (60, 0.5), (NULL, 0.9), (82, NULL), ('NaN', 0.9)) v (i, c);
SELECT credit.funds_segment(82, 0.75, 80, 0.7), credit.funds_segment(82, 0.75, NULL);
SELECT * FROM credit.peer_comparison(18, ARRAY[5, 8, 12, 12, 18, 25]);
SELECT v, p.* FROM (VALUES (0::float8), (12), (99), (NULL), ('NaN'), ('Infinity')) w (v), credit.peer_comparison(v, ARRAY[5::float8, 8, 12, 12, NULL, 18, 25, 'NaN', 'Infinity']) p;
SELECT * FROM credit.peer_comparison(18, ARRAY[0, 0, 5]);
SELECT * FROM credit.peer_comparison(18, '{}') UNION ALL SELECT * FROM credit.peer_comparison(18, NULL);

-- 9. In a window that grows, a state is looked at and goes on

SELECT day, (credit.countback_dso(day, sales, 120000, '2025-03-31') OVER w).dso, (credit.true_dso(day, sales, 1000, '2025-03-31') OVER w).n_open, (credit.payment_capacity(day, sales, '2025-03-31') OVER w).capacity, (credit.partial_payment(sales, 75000) OVER w).partial_ratio
  FROM books.sales WINDOW w AS (ORDER BY day DESC);

-- 10. Support functions are nothing for people

SELECT credit.countback_accum(NULL, date '2025-01-01', 1::numeric, 1::numeric, date '2025-01-01');
SELECT credit.indicator_combine(NULL, NULL);
SELECT credit.countback_final(NULL);
SELECT credit.true_dso_final(NULL);
SELECT credit.capacity_final(NULL);
SELECT credit.partial_final(NULL);

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

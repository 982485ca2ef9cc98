/*
 * Subject funds: the funds profile of a customer: when he pays, how steadily,
 * since when differently, what he is able to pay, and whether he asks for more.
 * Every column is a measure of subjects behaviour, trend and indicator.
 */

/*
 * Days on which money came.  Payments of the ERP are such days; where it has
 * none of an account and currency, settlements without a payment are.
 */
CREATE FUNCTION credit.receipts_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, received_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT q.currency, q.day, q.amount
  FROM (SELECT r.*, bool_or(r.is_payment) OVER (PARTITION BY r.currency) AS has_payments
		  FROM (SELECT i.currency, COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
					   CASE s.kind WHEN 'payment' THEN i.amount ELSE -i.amount END AS amount, true AS is_payment
				  FROM credit.item i
				  JOIN credit.source s ON s.source_id = i.source_id
				 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
				   AND (s.kind = 'payment' OR (s.kind = 'receivable' AND i.amount < 0))
				   AND i.amount IS NOT NULL AND i.is_write_off IS NOT TRUE
				   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
				   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
				UNION ALL
				SELECT p.currency, p.paid_on, p.amount, false
				  FROM credit.paid_of(of_account, as_of) p
				 WHERE p.paid_on > '-infinity') r) q
 WHERE q.is_payment = q.has_payments;
END;
COMMENT ON FUNCTION credit.receipts_of(bigint, date) IS
'Payments of one account up to a day, and negative lines of a ledger; where there are none, the days on which the ERP says that something was settled.';

CREATE FUNCTION credit.orders_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, ordered_on date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT q.currency, q.source_id, q.key, min(q.day)
  FROM (SELECT i.currency, i.source_id, i.key,
			   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day
		  FROM credit.item i
		 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open) AND i.amount > 0
		UNION ALL
		SELECT v.currency, v.source_id, v.key,
			   COALESCE(v.document_date, v.posting_date, credit.day_of(v.recorded_at))
		  FROM credit.item_version v
		 WHERE v.account_id = of_account AND v.amount > 0) q
  JOIN credit.source s ON s.source_id = q.source_id AND s.kind = 'order'
 GROUP BY q.currency, q.source_id, q.key
HAVING min(q.day) <= as_of;
END;
COMMENT ON FUNCTION credit.orders_of(bigint, date) IS
'Orders of one account up to a day, with those that have ceased to count since they came into the ledger.';

/*
 * The setting of jit keeps the function from being put in line: a plan of so
 * many parts would be compiled for seconds to run for milliseconds.
 */
CREATE FUNCTION credit.funds_of(of_account bigint, as_of date, days integer)
RETURNS TABLE (currency text, cycle credit.cycle_measures, last_payment_on date,
			   capacity credit.capacity_measures, trend credit.trend_measures,
			   due_amount numeric, paid_of_due numeric, n_recent bigint, n_before bigint,
			   change credit.change_measures, capability float8,
			   partial credit.partial_measures)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH day AS
	(SELECT e.*
	   FROM (SELECT 'debt' AS part, d.currency, d.amount, d.due_date AS since, d.settled_on AS day,
					d.amount - d.credited_amount AS due_amount, d.paid_amount,
					(d.settled_on - d.due_date)::float8 AS days_late, d.is_dated AND d.is_cash AS is_paid
			   FROM credit.debts_of(of_account, as_of) d
			 UNION ALL
			 SELECT 'receipt', r.currency, r.amount, NULL, r.received_on, NULL, NULL, NULL, NULL
			   FROM credit.receipts_of(of_account, as_of) r
			 UNION ALL
			 SELECT 'order', o.currency, NULL, NULL, o.ordered_on, NULL, NULL, NULL, NULL
			   FROM credit.orders_of(of_account, as_of) o) e),
/* the first payment of each debt that came in the days */
first_payment AS
	(SELECT f.currency, credit.partial_payment(f.debt, f.amount) AS partial
	   FROM (SELECT p.currency, p.debt, p.paid_on, sum(p.amount) AS amount,
					row_number() OVER (PARTITION BY p.source_id, p.key ORDER BY p.paid_on) AS number
			   FROM credit.paid_of(of_account, as_of) p
			  GROUP BY p.currency, p.source_id, p.key, p.debt, p.paid_on) f
	  WHERE f.number = 1 AND f.paid_on > as_of - days
	  GROUP BY f.currency),
measure AS
	(SELECT e.currency,
			credit.payment_cycle(e.day) FILTER (WHERE e.part = 'receipt' AND e.amount > 0 AND e.day > as_of - days) AS cycle,
			max(e.day) FILTER (WHERE e.part = 'receipt' AND e.amount > 0) AS last_payment_on,
			credit.payment_capacity(e.day, e.amount, as_of) FILTER (WHERE e.part = 'receipt') AS capacity,
			credit.robust_trend(e.day, e.days_late, e.amount)
				FILTER (WHERE e.is_paid AND e.day > as_of - days) AS trend,
			/* against the days before, or where they say too little against the first twelve days of payment */
			credit.change_point(e.day, e.days_late, e.amount, as_of - days)
				FILTER (WHERE e.is_paid AND e.day > as_of - 2 * days) AS change,
			credit.change_point(e.day, e.days_late, e.amount, 12)
				FILTER (WHERE e.is_paid AND e.day > as_of - days) AS change_within,
			sum(e.due_amount) FILTER (WHERE e.since > as_of - days AND e.since <= as_of) AS due_amount,
			sum(e.paid_amount) FILTER (WHERE e.since > as_of - days AND e.since <= as_of) AS paid_of_due,
			count(*) FILTER (WHERE e.part = 'order' AND e.day > as_of - 30) AS n_recent,
			count(*) FILTER (WHERE e.part = 'order' AND e.day > as_of - 210 AND e.day <= as_of - 30) AS n_before
	   FROM day e
	  GROUP BY e.currency)
SELECT m.currency, m.cycle, m.last_payment_on, m.capacity, m.trend, m.due_amount, m.paid_of_due, m.n_recent, m.n_before,
	   CASE WHEN (m.change).mean IS NULL THEN m.change_within ELSE m.change END AS change,
	   credit.payment_to_order_ratio(m.paid_of_due, m.due_amount) AS capability,
	   f.partial
  FROM measure m
  LEFT JOIN first_payment f ON f.currency = m.currency;
END;
COMMENT ON FUNCTION credit.funds_of(bigint, date, integer) IS
'Measures of the funds profile of one account, by currency.';

CREATE FUNCTION credit.funds_profile_on(as_of date, days integer DEFAULT 365)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   funds_segment text, payment_index float8, capability float8, sd_days_late float8,
			   habit text, habit_day integer, habit_strength float8, habit_p float8,
			   n_payment_days integer, mean_interval float8, sd_interval float8, cv_interval float8,
			   period float8, period_p float8,
			   n_paid bigint, mean_days_late float8, median_days_late float8, cv_days_to_pay float8,
			   later_since date, later_seen_on date, earlier_since date, earlier_seen_on date,
			   baseline_days_late float8, n_baseline integer,
			   trend_slope float8, trend_p float8, trend_direction text,
			   due_amount numeric, paid_of_due numeric,
			   monthly_capacity numeric, n_capacity_months integer,
			   n_orders_recent bigint, n_orders_before bigint, demand_ratio float8, demand_p float8,
			   partial_ratio float8, residue_ratio float8, n_part_paid bigint,
			   open_amount numeric, overdue_amount numeric, last_payment_on date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, q.currency,
	   credit.funds_segment((b.by_amount).payment_index, q.capability), (b.by_amount).payment_index, q.capability, (b.by_debt).sd_days_late,
	   (q.cycle).habit, (q.cycle).habit_day,
	   CASE (q.cycle).habit WHEN 'weekday' THEN (q.cycle).weekday_strength WHEN 'month_day' THEN (q.cycle).month_day_strength
			WHEN 'month_end' THEN (q.cycle).month_end_strength
			ELSE GREATEST((q.cycle).weekday_strength, (q.cycle).month_day_strength, (q.cycle).month_end_strength) END,
	   CASE (q.cycle).habit WHEN 'weekday' THEN (q.cycle).weekday_p WHEN 'month_day' THEN (q.cycle).month_day_p
			WHEN 'month_end' THEN (q.cycle).month_end_p
			ELSE LEAST((q.cycle).weekday_p, (q.cycle).month_day_p, (q.cycle).month_end_p) END,
	   COALESCE((q.cycle).n_days, 0), (q.cycle).mean_interval, (q.cycle).sd_interval, (q.cycle).cv_interval,
	   (q.cycle).period, (q.cycle).period_p,
	   COALESCE((b.by_debt).n_paid, 0), (b.by_debt).mean_days_late, (b.by_debt).median_days_late, (b.by_debt).cv_days_to_pay,
	   (q.change).last_rise_began, (q.change).last_rise, (q.change).last_fall_began, (q.change).last_fall,
	   (q.change).mean, COALESCE((q.change).n_reference, 0),
	   (q.trend).slope, (q.trend).p, (q.trend).direction,
	   COALESCE(q.due_amount, 0), COALESCE(q.paid_of_due, 0),
	   (q.capacity).capacity, COALESCE((q.capacity).n_months, 0),
	   q.n_recent, q.n_before, (o.demand).rate_ratio, (o.demand).p,
	   (q.partial).partial_ratio, (q.partial).residue_ratio, COALESCE((q.partial).n_partial, 0),
	   COALESCE((b.by_amount).open_amount, 0), COALESCE((b.by_amount).overdue_amount, 0), q.last_payment_on
  FROM credit.account a
 CROSS JOIN LATERAL credit.funds_of(a.account_id, funds_profile_on.as_of, funds_profile_on.days) q
  LEFT JOIN LATERAL credit.behaviour_of(a.account_id, funds_profile_on.as_of, funds_profile_on.days, 0, 90) b
	ON b.currency = q.currency
 CROSS JOIN LATERAL (SELECT credit.demand_signal(q.n_recent, 30, q.n_before, 180) AS demand OFFSET 0) o;
END;
COMMENT ON FUNCTION credit.funds_profile_on(date, integer) IS
'Funds profile of each customer and currency as of a day, from the days before it: habit and cycle of payment, stability and changes of lateness, capability, capacity, demand, willingness and the segment these make.';

CREATE VIEW credit.funds_profile AS
SELECT f.customer COLLATE "C" AS customer,
	   f.segment COLLATE "C" AS segment, f.name,
	   f.currency COLLATE "C" AS currency, f.funds_segment,
	   f.payment_index, f.capability, f.sd_days_late, f.habit,
	   f.habit_day, f.habit_strength, f.habit_p, f.n_payment_days,
	   f.mean_interval, f.sd_interval, f.cv_interval, f.period,
	   f.period_p, f.n_paid, f.mean_days_late, f.median_days_late,
	   f.cv_days_to_pay, f.later_since, f.later_seen_on, f.earlier_since,
	   f.earlier_seen_on, f.baseline_days_late, f.n_baseline,
	   f.trend_slope, f.trend_p, f.trend_direction, f.due_amount,
	   f.paid_of_due, f.monthly_capacity, f.n_capacity_months,
	   f.n_orders_recent, f.n_orders_before, f.demand_ratio, f.demand_p,
	   f.partial_ratio, f.residue_ratio, f.n_part_paid, f.open_amount,
	   f.overdue_amount, f.last_payment_on
  FROM credit.funds_profile_on(credit.as_of()) f;
COMMENT ON VIEW credit.funds_profile IS 'Funds profile of each customer and currency: the year up to today, or to the day of credit.as_of; see funds_profile_on().';
COMMENT ON COLUMN credit.funds_profile.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.funds_profile.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.funds_profile.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.funds_profile.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.funds_profile.funds_segment IS 'By willingness and capability: extend, instalments, shorten, secure; unrated where one is missing. See funds_segment().';
COMMENT ON COLUMN credit.funds_profile.payment_index IS 'Willingness: index of payment from 1 to 100, weighted by amount; 80 is prompt.';
COMMENT ON COLUMN credit.funds_profile.capability IS 'What was paid of what fell due in the year; 1 is all.';
COMMENT ON COLUMN credit.funds_profile.sd_days_late IS 'Stability: standard deviation of days late.';
COMMENT ON COLUMN credit.funds_profile.habit IS 'Fixed weekday, month_day or month_end, if payments come on a fixed one; NULL: on none.';
COMMENT ON COLUMN credit.funds_profile.habit_day IS 'That day: 1 is Monday, the first of the month, or its last day.';
COMMENT ON COLUMN credit.funds_profile.habit_strength IS 'How fixed it is, from 0 to 1; without a habit the strongest of the three.';
COMMENT ON COLUMN credit.funds_profile.habit_p IS 'Probability of such a strength by chance.';
COMMENT ON COLUMN credit.funds_profile.n_payment_days IS 'Number of days with a payment in the year.';
COMMENT ON COLUMN credit.funds_profile.mean_interval IS 'Mean of days between days of payment.';
COMMENT ON COLUMN credit.funds_profile.sd_interval IS 'Standard deviation of these.';
COMMENT ON COLUMN credit.funds_profile.cv_interval IS 'The same by the mean: 0 is a clock.';
COMMENT ON COLUMN credit.funds_profile.period IS 'Of 7, 14 and 30.4375 days the period that fits best.';
COMMENT ON COLUMN credit.funds_profile.period_p IS 'Probability of such a fit by chance.';
COMMENT ON COLUMN credit.funds_profile.n_paid IS 'Number of debts paid in the year.';
COMMENT ON COLUMN credit.funds_profile.mean_days_late IS 'Mean of days late; early payments are negative.';
COMMENT ON COLUMN credit.funds_profile.median_days_late IS 'Median of days late.';
COMMENT ON COLUMN credit.funds_profile.cv_days_to_pay IS 'Coefficient of variation of days to pay.';
COMMENT ON COLUMN credit.funds_profile.later_since IS 'Day from which payments have come later than usual, of the latest alarm; NULL: none.';
COMMENT ON COLUMN credit.funds_profile.later_seen_on IS 'Day on which that could be known.';
COMMENT ON COLUMN credit.funds_profile.earlier_since IS 'Day from which payments have come earlier than usual, of the latest alarm; NULL: none.';
COMMENT ON COLUMN credit.funds_profile.earlier_seen_on IS 'Day on which that could be known.';
COMMENT ON COLUMN credit.funds_profile.baseline_days_late IS 'What was usual: mean days late of the year before, or of the first twelve days of payment.';
COMMENT ON COLUMN credit.funds_profile.n_baseline IS 'Number of days of payment that this mean is of; 0: too few to say.';
COMMENT ON COLUMN credit.funds_profile.trend_slope IS 'By how many days payments get later in 30 days: median of all pairs (Theil-Sen).';
COMMENT ON COLUMN credit.funds_profile.trend_p IS 'Probability of such a trend by chance (Mann-Kendall).';
COMMENT ON COLUMN credit.funds_profile.trend_direction IS 'Rising, falling or none.';
COMMENT ON COLUMN credit.funds_profile.due_amount IS 'Debts that fell due in the year, less credit notes.';
COMMENT ON COLUMN credit.funds_profile.paid_of_due IS 'What was paid of these.';
COMMENT ON COLUMN credit.funds_profile.monthly_capacity IS 'Median of what came in each of the last 6 months that are over.';
COMMENT ON COLUMN credit.funds_profile.n_capacity_months IS 'Number of these months since the first payment; below 3 they say little.';
COMMENT ON COLUMN credit.funds_profile.n_orders_recent IS 'Number of orders of the last 30 days.';
COMMENT ON COLUMN credit.funds_profile.n_orders_before IS 'Number of orders of the 180 days before.';
COMMENT ON COLUMN credit.funds_profile.demand_ratio IS 'Orders a day now by orders a day before; NULL below 5 orders.';
COMMENT ON COLUMN credit.funds_profile.demand_p IS 'Probability of so many recent orders, or more, at the old rate.';
COMMENT ON COLUMN credit.funds_profile.partial_ratio IS 'Share (0 to 1) of debts whose first payment was short, among those first paid in the year.';
COMMENT ON COLUMN credit.funds_profile.residue_ratio IS 'What these first payments left, by the amount of these debts.';
COMMENT ON COLUMN credit.funds_profile.n_part_paid IS 'Number of these debts.';
COMMENT ON COLUMN credit.funds_profile.open_amount IS 'Sum of open debts.';
COMMENT ON COLUMN credit.funds_profile.overdue_amount IS 'Sum of debts past due.';
COMMENT ON COLUMN credit.funds_profile.last_payment_on IS 'Day of the last payment.';

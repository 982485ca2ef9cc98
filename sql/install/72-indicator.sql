/*
 * Subject indicator, over the ledger: receivable indicators by month, of each
 * segment and of each customer.
 *
 * Stocks are open items of the last day of a month, credits taken off the
 * oldest debts of the same customer, so that current, overdue and undated add
 * up to the receivables.  Flows are by the date of the document; what is taken
 * back counts on the day it is taken back, as a sale less.
 */

/* What all of these are made of; one row, which the planner puts in line. */
CREATE FUNCTION credit.receivable_ratios
	(month_days integer, sales numeric, window_days integer, window_sales numeric,
	 receivables_begin numeric, receivables_end numeric, current_amount numeric,
	 overdue_amount numeric, write_offs numeric)
RETURNS TABLE (dso_month float8, dso float8, best_possible_dso float8, average_days_delinquent float8,
			   cei float8, turnover float8, collection_period float8, bad_debt_ratio float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT credit.dso(receivables_end, sales, month_days),
	   credit.dso(receivables_end, window_sales, window_days),
	   credit.best_possible_dso(current_amount, window_sales, window_days),
	   credit.average_days_delinquent(overdue_amount, window_sales, window_days),
	   credit.cei(receivables_begin, sales, receivables_end, current_amount),
	   credit.receivable_turnover(sales, (receivables_begin + receivables_end) / 2),
	   credit.collection_period(sales, (receivables_begin + receivables_end) / 2, month_days),
	   credit.bad_debt_ratio(write_offs, 0, sales);
END;
COMMENT ON FUNCTION credit.receivable_ratios(integer, numeric, integer, numeric, numeric, numeric, numeric, numeric, numeric) IS
'Ratios of a month from its stocks and flows: DSO over the month and over a longer window, best possible DSO and average days delinquent over that window, CEI, turnover and collection period of the month by the mean of receivables at its begin and end, bad-debt ratio of the month.';

/* Future-dated documents are outside, also today. */
CREATE FUNCTION credit.open_items_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, kind text, document_date date, due_date date, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH allocated AS
	(SELECT l.* FROM credit.allocations_of(of_account, as_of) l
	  /* needs_allocation(), which would be planned anew for each account */
	  WHERE EXISTS (SELECT FROM credit.settlement_rule r
					 WHERE r.rule = 'allocated' AND r.kind IN ('payment', 'credit_note', 'receivable')))
SELECT o.currency, o.kind, i.document_date, p.due_date, p.open_amount
  FROM (SELECT q.source_id, q.key, max(q.currency) AS currency, max(q.kind) AS kind, sum(q.open_amount) AS open_amount
		  FROM (SELECT u.source_id, u.key, u.currency, u.kind, u.open_amount
				  FROM credit.unallocated_of(of_account, as_of) u
				UNION ALL
				SELECT l.source_id, l.key, NULL, NULL, -l.amount FROM allocated l
				UNION ALL
				SELECT l.payment_source_id, l.payment_key, NULL, NULL, l.amount FROM allocated l) q
		 GROUP BY q.source_id, q.key) o
  JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key
  JOIN credit.account a ON a.account_id = i.account_id
 CROSS JOIN LATERAL
	   (SELECT CASE o.kind WHEN 'payment' THEN COALESCE(i.posting_date, i.document_date)
					ELSE COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date,
								  i.posting_date) END AS due_date,
			   o.open_amount - GREATEST(LEAST(COALESCE(i.retention_amount, 0), o.open_amount), 0) AS open_amount
		UNION ALL
		SELECT i.retention_until, GREATEST(LEAST(i.retention_amount, o.open_amount), 0)
		 WHERE i.retention_amount > 0) p
 WHERE p.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.open_items_of(bigint, date) IS
'Open items of one account on a day, after allocation, by its indexes; see open_items_on().';

CREATE FUNCTION credit.sales_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, day date, sales numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT d.currency, e.day, e.sales
  FROM (SELECT i.currency, i.reversed_on,
			   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
			   CASE s.kind WHEN 'credit_note' THEN -i.amount ELSE i.amount END AS amount
		  FROM credit.item i
		  JOIN credit.source s ON s.source_id = i.source_id
		 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open) AND i.amount IS NOT NULL
		   AND (s.kind IN ('invoice', 'credit_note') OR (s.kind = 'receivable' AND i.amount > 0))) d
 CROSS JOIN LATERAL
	   (SELECT d.day, d.amount AS sales
		UNION ALL
		SELECT GREATEST(d.reversed_on, d.day), -d.amount WHERE d.reversed_on IS NOT NULL) e
 WHERE e.day <= as_of;
END;
COMMENT ON FUNCTION credit.sales_of(bigint, date) IS
'Credit sales of one account up to a day: invoices and positive lines of a ledger, less credit notes; a reversal is a negative sale of its own day.';

/* A series of months is made whole before it is read, so it must have an end. */
CREATE FUNCTION credit.month_count(months integer) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF months NOT BETWEEN 0 AND 1200 THEN
		RAISE EXCEPTION 'months must be from 0 to 1200, not %', months
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'For months further back take an earlier as_of.';
	END IF;
	RETURN months;
END
$$;
COMMENT ON FUNCTION credit.month_count(integer) IS
'A number of months as it was given; an error if it is not from 0 to 1200. Internal.';

CREATE FUNCTION credit.receivable_indicators_on
	(as_of date, months integer DEFAULT 12, days integer DEFAULT NULL)
RETURNS TABLE (segment text, currency text, month date, last_day date,
			   sales numeric, window_days integer, window_sales numeric,
			   receivables_begin numeric, receivables_end numeric, current_amount numeric,
			   overdue_amount numeric, undated_amount numeric,
			   dso_month float8, dso float8, countback_dso float8, best_possible_dso float8,
			   average_days_delinquent float8, true_dso float8, cei float8, turnover float8,
			   collection_period float8, overdue_ratio float8, severe_overdue_ratio float8,
			   write_off_amount numeric, bad_debt_ratio float8, paid_amount numeric,
			   weighted_days_late float8, days_beyond_terms float8, open_days_beyond_terms float8,
			   weighted_days_to_pay float8, weighted_terms float8,
			   n_customers bigint, is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH month AS
	(SELECT m.month, m.last_day, m.last_day - m.month + 1 AS month_days,
			COALESCE(m.last_day - receivable_indicators_on.days, (m.month - interval '2 months')::date - 1) AS window_begin
	   FROM (SELECT f.first::date AS month,
					LEAST((f.first + interval '1 month')::date - 1, receivable_indicators_on.as_of) AS last_day
			   FROM generate_series(0, credit.month_count(receivable_indicators_on.months) - 1) g (back)
			  CROSS JOIN LATERAL
				   (SELECT date_trunc('month', receivable_indicators_on.as_of::timestamp) - make_interval(months => g.back) AS first) f) m),
/* the last days of the months and the days before them, in one pass */
day AS
	(SELECT array_agg(q.day ORDER BY q.day) AS days
	   FROM (SELECT m.last_day AS day FROM month m
			 UNION
			 SELECT m.month - 1 FROM month m) q),
complete AS MATERIALIZED
	(SELECT d.day, x.source_id,
			d.day >= credit.day_of(x.attached_at) OR r.rule <> 'stated' OR NOT EXISTS
				(SELECT FROM credit.settlement t
				  WHERE t.source_id = x.source_id AND t.settled_on IS NULL) AS is_complete
	   FROM credit.source x
	   JOIN credit.settlement_rule r ON r.source_id = x.source_id
	  CROSS JOIN (SELECT unnest(q.days) AS day FROM day q) d),
open AS MATERIALIZED
	(SELECT o.day, o.account_id, a.segment, o.currency, o.document_date, p.due_date, p.open_amount, c.is_complete
	   FROM credit.open_documents_on_days((SELECT q.days FROM day q)) o
	   JOIN complete c ON c.source_id = o.source_id AND c.day = o.day
	   JOIN credit.account a ON a.account_id = o.account_id
	  /* see open_items_on() */
	  CROSS JOIN LATERAL
			(SELECT CASE o.kind WHEN 'payment' THEN COALESCE(o.posting_date, o.document_date)
						 ELSE COALESCE(o.due_date, o.document_date + COALESCE(a.terms_days, 0), o.document_date,
									   o.posting_date) END AS due_date,
					o.open_amount - GREATEST(LEAST(COALESCE(o.retention_amount, 0), o.open_amount), 0) AS open_amount
			 UNION ALL
			 SELECT o.retention_until, GREATEST(LEAST(o.retention_amount, o.open_amount), 0)
			  WHERE o.retention_amount > 0) p
	  WHERE p.open_amount <> 0 AND (o.document_date IS NULL OR o.document_date <= o.day)),
of_customer AS
	(SELECT o.day, o.segment, o.currency,
			credit.aging(o.open_amount, o.due_date, o.day, 'oldest') AS netted,
			credit.aging(o.open_amount, o.due_date, o.day) AS gross,
			sum(o.open_amount * GREATEST(o.day - o.due_date, 0)) FILTER (WHERE o.open_amount > 0) AS late_days,
			sum(o.open_amount) FILTER (WHERE o.open_amount > 0 AND o.due_date IS NOT NULL) AS dated,
			bool_and(o.is_complete) AS is_complete
	   FROM open o
	  GROUP BY o.day, o.account_id, o.segment, o.currency),
stock AS
	(SELECT c.day, c.segment, c.currency, count(*) AS n_customers, bool_and(c.is_complete) AS is_complete,
			sum((c.netted).total) AS receivables, sum((c.netted).undated) AS undated,
			sum((c.netted).d1_30 + (c.netted).d31_60 + (c.netted).d61_90 + (c.netted).d91_120 + (c.netted).d121_plus) AS overdue,
			sum((c.gross).total - (c.gross).credits) AS debts,
			sum((c.gross).d1_30 + (c.gross).d31_60 + (c.gross).d61_90 + (c.gross).d91_120 + (c.gross).d121_plus) AS late,
			sum((c.gross).d91_120 + (c.gross).d121_plus) AS severe,
			sum(c.late_days) AS late_days, sum(c.dated) AS dated
	   FROM of_customer c
	  GROUP BY c.day, c.segment, c.currency),
flow AS MATERIALIZED
	(SELECT a.segment, s.currency, s.day, sum(s.sales) AS sales
	   FROM credit.account a
	  CROSS JOIN LATERAL credit.sales_of(a.account_id, receivable_indicators_on.as_of) s
	  GROUP BY a.segment, s.currency, s.day),
by_age AS MATERIALIZED
	(SELECT e.last_day, e.segment, e.currency,
			credit.true_dso(e.day, e.sales, e.open_amount, e.last_day) AS by_age
	   FROM (SELECT m.last_day, f.segment, f.currency, f.day, f.sales, NULL::numeric AS open_amount
			   FROM month m JOIN flow f ON f.day <= m.last_day
			 UNION ALL
			 SELECT m.last_day, o.segment, o.currency, o.document_date, NULL, o.open_amount
			   FROM month m JOIN open o ON o.day = m.last_day AND o.open_amount > 0) e
	  GROUP BY e.last_day, e.segment, e.currency),
/* today's from the states that are kept */
paid AS MATERIALIZED
	(SELECT a.segment, p.currency, p.month, credit.payment_measures(credit.merge(p.by_amount)) AS paid
	   FROM credit.month_states_today((SELECT min(m.month) FROM month m)) p
	   JOIN credit.account a ON a.account_id = p.account_id
	  WHERE receivable_indicators_on.as_of = credit.today() AND NOT (SELECT credit.needs_allocation())
		AND p.by_amount IS NOT NULL
	  GROUP BY 1, 2, 3
	 UNION ALL
	 SELECT a.segment, p.currency, date_trunc('month', p.paid_on::timestamp)::date AS month,
			credit.payment_profile(p.amount, p.document_date, p.due_date, p.paid_on) AS paid
	   FROM credit.paid_on(receivable_indicators_on.as_of) p
	   JOIN credit.account a ON a.account_id = p.account_id
	  WHERE (receivable_indicators_on.as_of <> credit.today() OR (SELECT credit.needs_allocation()))
		AND p.paid_on >= date_trunc('month', receivable_indicators_on.as_of::timestamp) - make_interval(months => months - 1)
	  GROUP BY 1, 2, 3),
written_off AS MATERIALIZED
	(SELECT a.segment, i.currency, date_trunc('month', t.settled_on::timestamp)::date AS month, sum(t.amount) AS amount
	   FROM (SELECT t.source_id, t.key, t.settled_on, t.amount
			   FROM credit.settlement t
			  WHERE t.kind = 'write_off'
			 UNION ALL
			 SELECT l.source_id, l.key, l.settled_on, l.amount
			   FROM credit.allocations_on(receivable_indicators_on.as_of) l
			   JOIN credit.item p ON p.source_id = l.payment_source_id AND p.key = l.payment_key AND p.is_write_off
			  WHERE (SELECT credit.needs_allocation())) t
	   JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
	   JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
	   JOIN credit.account a ON a.account_id = i.account_id
	  WHERE t.settled_on <= receivable_indicators_on.as_of
		AND i.amount IS NOT NULL
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= receivable_indicators_on.as_of
		AND (i.reversed_on IS NULL OR i.reversed_on > receivable_indicators_on.as_of)
	  GROUP BY 1, 2, 3),
part AS
	(SELECT k.segment, k.currency, min(k.day) AS first_day
	   FROM (SELECT f.segment, f.currency, f.day FROM flow f
			 UNION ALL
			 SELECT s.segment, s.currency, s.day FROM stock s) k
	  GROUP BY k.segment, k.currency),
base AS MATERIALIZED
	(SELECT k.segment, k.currency, m.month, m.last_day, m.month_days, m.window_begin,
			COALESCE(b.receivables, 0) AS receivables_begin, COALESCE(e.receivables, 0) AS receivables_end,
			COALESCE(e.overdue, 0) AS overdue, COALESCE(e.undated, 0) AS undated,
			credit.ratio(e.late, e.debts) AS overdue_ratio, credit.ratio(e.severe, e.debts) AS severe_overdue_ratio,
			credit.ratio(e.late_days, e.dated) AS open_days_beyond_terms,
			COALESCE(e.n_customers, 0) AS n_customers,
			COALESCE(e.is_complete, true) AND COALESCE(b.is_complete, true) AS is_complete
	   FROM month m
	   JOIN part k ON k.first_day <= m.last_day
	   LEFT JOIN stock b ON b.segment = k.segment AND b.currency = k.currency AND b.day = m.month - 1
	   LEFT JOIN stock e ON e.segment = k.segment AND e.currency = k.currency AND e.day = m.last_day),
sold AS
	(SELECT k.segment, k.currency, k.month,
			sum(f.sales) FILTER (WHERE f.day >= k.month) AS sales,
			sum(f.sales) FILTER (WHERE f.day > k.window_begin) AS window_sales,
			credit.countback_dso(f.day, f.sales, k.receivables_end, k.last_day) AS countback
	   FROM base k
	   LEFT JOIN flow f ON f.segment = k.segment AND f.currency = k.currency AND f.day <= k.last_day
	  GROUP BY k.segment, k.currency, k.month)
SELECT q.segment, q.currency, q.month, q.last_day, q.sales, q.window_days, q.window_sales,
	   q.receivables_begin, q.receivables_end, q.receivables_end - q.overdue - q.undated,
	   q.overdue, q.undated, r.dso_month, r.dso, (q.countback).dso, r.best_possible_dso,
	   r.average_days_delinquent, (q.by_age).dso, r.cei, r.turnover, r.collection_period,
	   q.overdue_ratio, q.severe_overdue_ratio, q.write_offs, r.bad_debt_ratio,
	   COALESCE((q.paid).paid_amount, 0), (q.paid).weighted_days_late, (q.paid).days_beyond_terms,
	   q.open_days_beyond_terms, (q.paid).weighted_days_to_pay, (q.paid).weighted_terms,
	   q.n_customers, q.is_complete
  FROM (SELECT k.segment, k.currency, k.month, k.last_day, k.month_days, k.last_day - k.window_begin AS window_days,
			   COALESCE(v.sales, 0) AS sales, COALESCE(v.window_sales, 0) AS window_sales, v.countback,
			   k.receivables_begin, k.receivables_end, k.overdue, k.undated,
			   k.overdue_ratio, k.severe_overdue_ratio, k.open_days_beyond_terms,
			   g.by_age, COALESCE(w.amount, 0) AS write_offs, p.paid, k.n_customers, k.is_complete
		  FROM base k
		  JOIN sold v ON v.segment = k.segment AND v.currency = k.currency AND v.month = k.month
		  LEFT JOIN by_age g ON g.segment = k.segment AND g.currency = k.currency AND g.last_day = k.last_day
		  LEFT JOIN paid p ON p.segment = k.segment AND p.currency = k.currency AND p.month = k.month
		  LEFT JOIN written_off w ON w.segment = k.segment AND w.currency = k.currency AND w.month = k.month
		OFFSET 0) q
 CROSS JOIN LATERAL credit.receivable_ratios
	   (q.month_days, q.sales, q.window_days, q.window_sales, q.receivables_begin, q.receivables_end,
		q.receivables_end - q.overdue - q.undated, q.overdue, q.write_offs) r;
END;
COMMENT ON FUNCTION credit.receivable_indicators_on(date, integer, integer) IS
'Receivable indicators by segment, currency and month, for so many months (at most 1200) up to a day; the last month as far as it has gone. days: length of the longer window; NULL: the month and the two before it.';

CREATE VIEW credit.receivable_indicators AS
SELECT r.segment COLLATE "C" AS segment,
	   r.currency COLLATE "C" AS currency, r.month, r.last_day, r.sales,
	   r.window_days, r.window_sales, r.receivables_begin,
	   r.receivables_end, r.current_amount, r.overdue_amount,
	   r.undated_amount, r.dso_month, r.dso, r.countback_dso,
	   r.best_possible_dso, r.average_days_delinquent, r.true_dso, r.cei,
	   r.turnover, r.collection_period, r.overdue_ratio,
	   r.severe_overdue_ratio, r.write_off_amount, r.bad_debt_ratio,
	   r.paid_amount, r.weighted_days_late, r.days_beyond_terms,
	   r.open_days_beyond_terms, r.weighted_days_to_pay,
	   r.weighted_terms, r.n_customers, r.is_complete
  FROM credit.receivable_indicators_on(credit.as_of()) r;
COMMENT ON VIEW credit.receivable_indicators IS 'Receivable indicators by segment, currency and month, of the 12 months up to today, or to the day of credit.as_of; see receivable_indicators_on().';
COMMENT ON COLUMN credit.receivable_indicators.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.receivable_indicators.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.receivable_indicators.month IS 'First day of the month.';
COMMENT ON COLUMN credit.receivable_indicators.last_day IS 'Last day that counts: of the month, or the as-of day.';
COMMENT ON COLUMN credit.receivable_indicators.sales IS 'Credit sales of the month: invoices and positive lines of a ledger, less credit notes and reversals.';
COMMENT ON COLUMN credit.receivable_indicators.window_days IS 'Days of the longer window: the month and the two before it.';
COMMENT ON COLUMN credit.receivable_indicators.window_sales IS 'Credit sales of that window.';
COMMENT ON COLUMN credit.receivable_indicators.receivables_begin IS 'Receivables before the month, net of credits and unapplied payments.';
COMMENT ON COLUMN credit.receivable_indicators.receivables_end IS 'Receivables on the last day: current, overdue and undated together.';
COMMENT ON COLUMN credit.receivable_indicators.current_amount IS 'What of it is not overdue; credits beyond a customer''s debts are in it.';
COMMENT ON COLUMN credit.receivable_indicators.overdue_amount IS 'What of it is overdue, after credits of the same customer were taken off the oldest debts.';
COMMENT ON COLUMN credit.receivable_indicators.undated_amount IS 'What of it has no due date.';
COMMENT ON COLUMN credit.receivable_indicators.dso_month IS 'Days sales outstanding over the month.';
COMMENT ON COLUMN credit.receivable_indicators.dso IS 'Days sales outstanding over the longer window.';
COMMENT ON COLUMN credit.receivable_indicators.countback_dso IS 'Days sales outstanding by count-back; NULL: the sales there are do not make up the receivables.';
COMMENT ON COLUMN credit.receivable_indicators.best_possible_dso IS 'DSO over the longer window if nobody were late.';
COMMENT ON COLUMN credit.receivable_indicators.average_days_delinquent IS 'The part of it that overdue receivables make.';
COMMENT ON COLUMN credit.receivable_indicators.true_dso IS 'Days sales outstanding by the age of each open debt.';
COMMENT ON COLUMN credit.receivable_indicators.cei IS 'Collection effectiveness index of the month, in per cent.';
COMMENT ON COLUMN credit.receivable_indicators.turnover IS 'Times in the month that receivables turn over: sales by the mean of begin and end.';
COMMENT ON COLUMN credit.receivable_indicators.collection_period IS 'Days of the month by turnover.';
COMMENT ON COLUMN credit.receivable_indicators.overdue_ratio IS 'Share (0 to 1) of open debts that is overdue; credits are left out.';
COMMENT ON COLUMN credit.receivable_indicators.severe_overdue_ratio IS 'Share that is overdue by more than 90 days.';
COMMENT ON COLUMN credit.receivable_indicators.write_off_amount IS 'What was written off in the month.';
COMMENT ON COLUMN credit.receivable_indicators.bad_debt_ratio IS 'The same by sales of the month.';
COMMENT ON COLUMN credit.receivable_indicators.paid_amount IS 'What was paid in the month, of any debts.';
COMMENT ON COLUMN credit.receivable_indicators.weighted_days_late IS 'Days late of these payments, weighted by amount; early ones are negative.';
COMMENT ON COLUMN credit.receivable_indicators.days_beyond_terms IS 'The same with early payments counted as 0.';
COMMENT ON COLUMN credit.receivable_indicators.open_days_beyond_terms IS 'Days past due of open debts weighted by amount, those not due counted as 0.';
COMMENT ON COLUMN credit.receivable_indicators.weighted_days_to_pay IS 'Days from document date to payment, weighted by amount.';
COMMENT ON COLUMN credit.receivable_indicators.weighted_terms IS 'Days from document date to due date of what was paid, weighted by amount.';
COMMENT ON COLUMN credit.receivable_indicators.n_customers IS 'Number of customers with open items on the last day.';
COMMENT ON COLUMN credit.receivable_indicators.is_complete IS 'False: see view open_items.';

/* The setting of jit keeps it from being put in line and compiled for seconds. */
CREATE FUNCTION credit.indicators_of(of_account bigint, month date, last_day date, window_begin date)
RETURNS TABLE (currency text, month_days integer, window_days integer, sales numeric, window_sales numeric,
			   countback credit.countback_measures, by_age credit.true_dso_measures,
			   receivables_begin numeric, receivables_end numeric, overdue numeric, undated numeric,
			   overdue_ratio float8, severe_overdue_ratio float8, open_days_beyond_terms float8,
			   write_offs numeric, paid credit.payment_measures)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH open AS
	(SELECT d.day, o.currency, o.document_date, o.due_date, o.open_amount
	   FROM (SELECT last_day AS day UNION ALL SELECT month - 1) d
	  CROSS JOIN LATERAL credit.open_items_of(of_account, d.day) o),
stock AS
	(SELECT c.day, c.currency, c.netted,
			(c.netted).d1_30 + (c.netted).d31_60 + (c.netted).d61_90 + (c.netted).d91_120 + (c.netted).d121_plus AS overdue,
			(c.gross).total - (c.gross).credits AS debts, c.late_days, c.dated,
			(c.gross).d1_30 + (c.gross).d31_60 + (c.gross).d61_90 + (c.gross).d91_120 + (c.gross).d121_plus AS late,
			(c.gross).d91_120 + (c.gross).d121_plus AS severe
	   FROM (SELECT o.day, o.currency, credit.aging(o.open_amount, o.due_date, o.day, 'oldest') AS netted,
					credit.aging(o.open_amount, o.due_date, o.day) AS gross,
					sum(o.open_amount * GREATEST(o.day - o.due_date, 0)) FILTER (WHERE o.open_amount > 0) AS late_days,
					sum(o.open_amount) FILTER (WHERE o.open_amount > 0 AND o.due_date IS NOT NULL) AS dated
			   FROM open o
			  GROUP BY o.day, o.currency
			 OFFSET 0) c),
flow AS
	(SELECT s.currency, s.day, s.sales
	   FROM credit.sales_of(of_account, last_day) s),
paid AS MATERIALIZED
	(SELECT p.currency, credit.payment_profile(p.amount, p.document_date, p.due_date, p.paid_on) AS paid
	   FROM credit.paid_of(of_account, last_day) p
	  WHERE p.paid_on >= month
	  GROUP BY p.currency),
written_off AS MATERIALIZED
	(SELECT t.currency, sum(t.amount) AS amount
	   FROM credit.settlements_of(of_account, last_day) t
	  WHERE t.kind = 'write_off' AND t.settled_on >= month
	  GROUP BY t.currency),
part AS
	(SELECT f.currency FROM flow f UNION SELECT s.currency FROM stock s),
balance AS
	(SELECT k.currency, e.netted, e.overdue, e.late, e.severe, e.debts, e.late_days, e.dated,
			COALESCE((b.netted).total, 0) AS receivables_begin, COALESCE((e.netted).total, 0) AS receivables_end
	   FROM part k
	   LEFT JOIN stock b ON b.currency = k.currency AND b.day = month - 1
	   LEFT JOIN stock e ON e.currency = k.currency AND e.day = last_day),
/* sales and open items in rows of their own */
movement AS
	(SELECT x.currency, COALESCE(sum(x.sales) FILTER (WHERE x.day >= month), 0) AS sales,
			COALESCE(sum(x.sales) FILTER (WHERE x.day > window_begin), 0) AS window_sales,
			credit.countback_dso(x.day, x.sales, x.receivables, last_day) FILTER (WHERE x.is_sale) AS countback,
			credit.true_dso(x.day, x.sales, x.open_amount, last_day) FILTER (WHERE x.day IS NOT NULL) AS by_age
	   FROM (SELECT k.currency, f.day, f.sales, NULL::numeric AS open_amount, k.receivables_end AS receivables, true AS is_sale
			   FROM balance k LEFT JOIN flow f ON f.currency = k.currency
			 UNION ALL
			 SELECT o.currency, o.document_date, NULL, o.open_amount, NULL, false
			   FROM open o WHERE o.day = last_day AND o.open_amount > 0) x
	  GROUP BY x.currency)
SELECT k.currency, (last_day - month + 1), last_day - window_begin AS window_days,
	   v.sales, v.window_sales, v.countback, v.by_age, k.receivables_begin, k.receivables_end,
	   COALESCE(k.overdue, 0) AS overdue, COALESCE((k.netted).undated, 0) AS undated,
	   credit.ratio(k.late, k.debts), credit.ratio(k.severe, k.debts), credit.ratio(k.late_days, k.dated),
	   COALESCE(w.amount, 0) AS write_offs, p.paid
  FROM balance k
  JOIN movement v ON v.currency = k.currency
  LEFT JOIN paid p ON p.currency = k.currency
  LEFT JOIN written_off w ON w.currency = k.currency;
END;
COMMENT ON FUNCTION credit.indicators_of(bigint, date, date, date) IS
'Stocks and flows of one account in a month, by currency; window_begin: the day before the longer window.';

CREATE FUNCTION credit.customer_indicators_on(as_of date, days integer DEFAULT NULL)
RETURNS TABLE (customer text, segment text, name text, currency text, month date, last_day date,
			   sales numeric, window_days integer, window_sales numeric,
			   receivables_begin numeric, receivables_end numeric, current_amount numeric,
			   overdue_amount numeric, undated_amount numeric,
			   dso_month float8, dso float8, countback_dso float8, best_possible_dso float8,
			   average_days_delinquent float8, true_dso float8, cei float8, turnover float8,
			   collection_period float8, overdue_ratio float8, severe_overdue_ratio float8,
			   write_off_amount numeric, bad_debt_ratio float8, paid_amount numeric,
			   weighted_days_late float8, days_beyond_terms float8, open_days_beyond_terms float8,
			   weighted_days_to_pay float8, weighted_terms float8)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, q.currency, m.month, m.last_day, q.sales, q.window_days, q.window_sales,
	   q.receivables_begin, q.receivables_end, q.receivables_end - q.overdue - q.undated,
	   q.overdue, q.undated, r.dso_month, r.dso, (q.countback).dso, r.best_possible_dso,
	   r.average_days_delinquent, (q.by_age).dso, r.cei, r.turnover, r.collection_period,
	   q.overdue_ratio, q.severe_overdue_ratio, q.write_offs, r.bad_debt_ratio,
	   COALESCE((q.paid).paid_amount, 0), (q.paid).weighted_days_late, (q.paid).days_beyond_terms,
	   q.open_days_beyond_terms, (q.paid).weighted_days_to_pay, (q.paid).weighted_terms
  FROM (SELECT c.month, c.last_day,
			   COALESCE(c.last_day - customer_indicators_on.days, (c.month - interval '2 months')::date - 1) AS window_begin
		  FROM (SELECT date_trunc('month', customer_indicators_on.as_of::timestamp)::date AS month,
					   customer_indicators_on.as_of AS last_day) c) m
 CROSS JOIN credit.account a
 CROSS JOIN LATERAL credit.indicators_of(a.account_id, m.month, m.last_day, m.window_begin) q
 CROSS JOIN LATERAL credit.receivable_ratios
	   (q.month_days, q.sales, q.window_days, q.window_sales, q.receivables_begin, q.receivables_end,
		q.receivables_end - q.overdue - q.undated, q.overdue, q.write_offs) r;
END;
COMMENT ON FUNCTION credit.customer_indicators_on(date, integer) IS
'The same indicators by customer and currency, of the month of a day as far as it has gone. days: length of the longer window; NULL: the month and the two before it.';

CREATE VIEW credit.customer_indicators AS
SELECT c.customer COLLATE "C" AS customer,
	   c.segment COLLATE "C" AS segment, c.name,
	   c.currency COLLATE "C" AS currency, c.month, c.last_day, c.sales,
	   c.window_days, c.window_sales, c.receivables_begin,
	   c.receivables_end, c.current_amount, c.overdue_amount,
	   c.undated_amount, c.dso_month, c.dso, c.countback_dso,
	   c.best_possible_dso, c.average_days_delinquent, c.true_dso, c.cei,
	   c.turnover, c.collection_period, c.overdue_ratio,
	   c.severe_overdue_ratio, c.write_off_amount, c.bad_debt_ratio,
	   c.paid_amount, c.weighted_days_late, c.days_beyond_terms,
	   c.open_days_beyond_terms, c.weighted_days_to_pay, c.weighted_terms
  FROM credit.customer_indicators_on(credit.as_of()) c;
COMMENT ON VIEW credit.customer_indicators IS 'Receivable indicators by customer and currency, of the month of today, or of the day of credit.as_of; see customer_indicators_on().';
COMMENT ON COLUMN credit.customer_indicators.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.customer_indicators.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.customer_indicators.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.customer_indicators.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.customer_indicators.month IS 'First day of the month.';
COMMENT ON COLUMN credit.customer_indicators.last_day IS 'Last day that counts: of the month, or the as-of day.';
COMMENT ON COLUMN credit.customer_indicators.sales IS 'Credit sales of the month: invoices and positive lines of a ledger, less credit notes and reversals.';
COMMENT ON COLUMN credit.customer_indicators.window_days IS 'Days of the longer window: the month and the two before it.';
COMMENT ON COLUMN credit.customer_indicators.window_sales IS 'Credit sales of that window.';
COMMENT ON COLUMN credit.customer_indicators.receivables_begin IS 'Receivables before the month, net of credits and unapplied payments.';
COMMENT ON COLUMN credit.customer_indicators.receivables_end IS 'Receivables on the last day: current, overdue and undated together.';
COMMENT ON COLUMN credit.customer_indicators.current_amount IS 'What of it is not overdue; credits beyond a customer''s debts are in it.';
COMMENT ON COLUMN credit.customer_indicators.overdue_amount IS 'What of it is overdue, after credits of the same customer were taken off the oldest debts.';
COMMENT ON COLUMN credit.customer_indicators.undated_amount IS 'What of it has no due date.';
COMMENT ON COLUMN credit.customer_indicators.dso_month IS 'Days sales outstanding over the month.';
COMMENT ON COLUMN credit.customer_indicators.dso IS 'Days sales outstanding over the longer window.';
COMMENT ON COLUMN credit.customer_indicators.countback_dso IS 'Days sales outstanding by count-back; NULL: the sales there are do not make up the receivables.';
COMMENT ON COLUMN credit.customer_indicators.best_possible_dso IS 'DSO over the longer window if nobody were late.';
COMMENT ON COLUMN credit.customer_indicators.average_days_delinquent IS 'The part of it that overdue receivables make.';
COMMENT ON COLUMN credit.customer_indicators.true_dso IS 'Days sales outstanding by the age of each open debt.';
COMMENT ON COLUMN credit.customer_indicators.cei IS 'Collection effectiveness index of the month, in per cent.';
COMMENT ON COLUMN credit.customer_indicators.turnover IS 'Times in the month that receivables turn over: sales by the mean of begin and end.';
COMMENT ON COLUMN credit.customer_indicators.collection_period IS 'Days of the month by turnover.';
COMMENT ON COLUMN credit.customer_indicators.overdue_ratio IS 'Share (0 to 1) of open debts that is overdue; credits are left out.';
COMMENT ON COLUMN credit.customer_indicators.severe_overdue_ratio IS 'Share that is overdue by more than 90 days.';
COMMENT ON COLUMN credit.customer_indicators.write_off_amount IS 'What was written off in the month.';
COMMENT ON COLUMN credit.customer_indicators.bad_debt_ratio IS 'The same by sales of the month.';
COMMENT ON COLUMN credit.customer_indicators.paid_amount IS 'What was paid in the month, of any debts.';
COMMENT ON COLUMN credit.customer_indicators.weighted_days_late IS 'Days late of these payments, weighted by amount; early ones are negative.';
COMMENT ON COLUMN credit.customer_indicators.days_beyond_terms IS 'The same with early payments counted as 0.';
COMMENT ON COLUMN credit.customer_indicators.open_days_beyond_terms IS 'Days past due of open debts weighted by amount, those not due counted as 0.';
COMMENT ON COLUMN credit.customer_indicators.weighted_days_to_pay IS 'Days from document date to payment, weighted by amount.';
COMMENT ON COLUMN credit.customer_indicators.weighted_terms IS 'Days from document date to due date of what was paid, weighted by amount.';

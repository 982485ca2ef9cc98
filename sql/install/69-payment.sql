/*
 * Subject payment: how the customers of the ledger pay.  What was settled on
 * which day, of debts that say so and of those where it has to be worked out,
 * and profiles over it.  The measures are those of payment_profile().
 */

/*
 * Where nobody says what pays what: equal amounts pay each other, the n-th the
 * n-th; then both sides are laid out one behind the other, the oldest first,
 * and what lies opposite pays.
 */
CREATE FUNCTION credit.allocations_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (source_id integer, key text, payment_source_id integer, payment_key text,
			   settled_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH open AS
	(SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_on(as_of) o
	  WHERE of_account IS NULL OR o.account_id = of_account),
side AS
	(SELECT o.source_id, o.key, o.account_id, o.currency, abs(o.open_amount) AS amount,
			o.open_amount < 0 AS pays,
			COALESCE(i.due_date, i.document_date, i.posting_date) AS due,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day
	   FROM open o
	   JOIN credit.settlement_rule r ON r.source_id = o.source_id
	   JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key
	  WHERE CASE WHEN o.open_amount < 0 THEN r.rule = 'allocated' ELSE r.rule <> 'stated' END),
numbered AS
	(SELECT s.*, row_number() OVER (PARTITION BY s.account_id, s.currency, s.amount, s.pays
									ORDER BY s.due, s.source_id, s.key) AS number
	   FROM side s),
equal AS
	(SELECT d.source_id, d.key, p.source_id AS payment_source_id, p.key AS payment_key, p.day, d.amount
	   FROM numbered d
	   JOIN numbered p ON p.account_id = d.account_id AND p.currency = d.currency
			AND p.amount = d.amount AND p.number = d.number AND p.pays
	  WHERE NOT d.pays),
laid_out AS
	(SELECT n.account_id, n.currency, n.pays, n.source_id, n.key, n.day,
			sum(n.amount) OVER w AS upto, row_number() OVER w AS place
	   FROM numbered n
	  WHERE NOT EXISTS (SELECT FROM equal e WHERE e.source_id = n.source_id AND e.key = n.key)
		AND NOT EXISTS (SELECT FROM equal e WHERE e.payment_source_id = n.source_id AND e.payment_key = n.key)
	 WINDOW w AS (PARTITION BY n.account_id, n.currency, n.pays ORDER BY n.due, n.source_id, n.key)),
/* between two ends, of whichever side, one debt lies opposite one payment */
piece AS
	(SELECT l.account_id, l.currency, l.upto,
			l.upto - COALESCE(lag(l.upto) OVER w, 0) AS amount,
			min(l.place) FILTER (WHERE NOT l.pays) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS debt,
			min(l.place) FILTER (WHERE l.pays) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS payment
	   FROM laid_out l
	 WINDOW w AS (PARTITION BY l.account_id, l.currency ORDER BY l.upto, l.pays))
SELECT e.source_id, e.key, e.payment_source_id, e.payment_key, e.day, e.amount
  FROM equal e
UNION ALL
SELECT d.source_id, d.key, p.source_id, p.key, p.day, x.amount
  FROM piece x
  JOIN laid_out d ON d.account_id = x.account_id AND d.currency = x.currency AND NOT d.pays AND d.place = x.debt
  JOIN laid_out p ON p.account_id = x.account_id AND p.currency = x.currency AND p.pays AND p.place = x.payment
 WHERE x.amount > 0;
END;
COMMENT ON FUNCTION credit.allocations_on(date, bigint) IS
'Which payment pays which debt, of all accounts or of one, where the ERP does not say it: equal amounts first, then the oldest due. Worked out from what is known now, never stored.';

/*
 * Settlements of one debt up to a day, corrections and reversals set off: what
 * was taken back is gone, the latest first, and what is left keeps its day.
 */
CREATE FUNCTION credit.settlements_of_debt(source_id integer, key text, as_of date)
RETURNS TABLE (settled_on date, amount numeric, kind text, payment_source_id integer, payment_key text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT l.settled_on, l.left_over, l.kind, l.payment_source_id, l.payment_key
  FROM (SELECT d.settled_on, d.kind, d.payment_source_id, d.payment_key,
			   LEAST(d.amount, min(d.upto) OVER (PARTITION BY d.stated_by_source_id, d.stated_by_key
												 ORDER BY d.settled_on NULLS FIRST
												 ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
							   - (d.upto - d.amount)) AS left_over
		  FROM (SELECT t.stated_by_source_id, t.stated_by_key, t.settled_on, sum(t.amount) AS amount,
					   (array_agg(t.kind ORDER BY t.recorded_at DESC))[1] AS kind,
					   (array_agg(t.payment_source_id ORDER BY t.recorded_at DESC))[1] AS payment_source_id,
					   (array_agg(t.payment_key ORDER BY t.recorded_at DESC))[1] AS payment_key,
					   sum(sum(t.amount)) OVER (PARTITION BY t.stated_by_source_id, t.stated_by_key
												ORDER BY t.settled_on NULLS FIRST) AS upto
				  FROM credit.settlement t
				 WHERE t.source_id = settlements_of_debt.source_id AND t.key = settlements_of_debt.key
				   AND (t.settled_on <= settlements_of_debt.as_of OR t.settled_on IS NULL)
				 GROUP BY t.stated_by_source_id, t.stated_by_key, t.settled_on) d) l
 WHERE l.left_over > 0;
END;
COMMENT ON FUNCTION credit.settlements_of_debt(integer, text, date) IS
'What settled a debt up to a day, one row per document that says so and day; what was corrected or taken back by then is set off.';

CREATE FUNCTION credit.settlements_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text, settled_on date,
			   amount numeric, kind text, payment_source_id integer, payment_key text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* of few debts anything was ever taken back */
WITH taken_back AS
	(SELECT DISTINCT t.source_id, t.key FROM credit.settlement t WHERE t.amount < 0)
SELECT i.account_id, i.currency, t.source_id, t.key,
	   t.settled_on, t.amount, t.kind, t.payment_source_id, t.payment_key
  FROM credit.settlement t
  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key AND i.amount IS NOT NULL
  JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
 WHERE (t.settled_on <= settlements_on.as_of OR t.settled_on IS NULL)
   AND (of_account IS NULL OR (i.account_id = of_account AND (i.is_open OR NOT i.is_open)))
   AND NOT EXISTS (SELECT FROM taken_back b WHERE b.source_id = t.source_id AND b.key = t.key)
UNION ALL
SELECT i.account_id, i.currency, i.source_id, i.key,
	   t.settled_on, t.amount, t.kind, t.payment_source_id, t.payment_key
  FROM taken_back b
  JOIN credit.item i ON i.source_id = b.source_id AND i.key = b.key AND i.amount IS NOT NULL
  JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
 CROSS JOIN LATERAL credit.settlements_of_debt(i.source_id, i.key, settlements_on.as_of) t
 WHERE of_account IS NULL OR i.account_id = of_account
UNION ALL
SELECT i.account_id, i.currency, a.source_id, a.key, a.settled_on, a.amount, s.kind,
	   a.payment_source_id, a.payment_key
  FROM credit.allocations_on(settlements_on.as_of, of_account) a
  JOIN credit.item i ON i.source_id = a.source_id AND i.key = a.key
  JOIN credit.source s ON s.source_id = a.payment_source_id
 WHERE credit.needs_allocation();
END;
COMMENT ON FUNCTION credit.settlements_on(date, bigint) IS
'What was settled of which debt up to a day, by what, corrections and reversals set off; of all accounts or of one. settled_on NULL: before the source was attached.';

/* One row per debt: the day on which nothing was open any more. */
CREATE FUNCTION credit.debts_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text, amount numeric,
			   document_date date, due_date date, open_amount numeric, paid_amount numeric,
			   settled_on date, is_cash boolean, is_dated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT i.account_id, i.currency, i.source_id, i.key, i.amount,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount - COALESCE(t.amount, 0), COALESCE(t.paid, 0),
	   CASE WHEN t.amount >= i.amount THEN t.settled_on END,
	   COALESCE(t.is_cash, false), COALESCE(t.is_dated, true)
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id
  JOIN credit.account a ON a.account_id = i.account_id
  LEFT JOIN (SELECT x.source_id, x.key, sum(x.amount) AS amount,
					sum(x.amount) FILTER (WHERE x.kind NOT IN ('credit_note', 'write_off')) AS paid,
					max(x.settled_on) AS settled_on,
					bool_or(x.kind NOT IN ('credit_note', 'write_off')) AS is_cash,
					bool_and(x.settled_on IS NOT NULL) AS is_dated
			   FROM credit.settlements_on(debts_on.as_of, of_account) x
			  GROUP BY x.source_id, x.key) t
	ON t.source_id = i.source_id AND t.key = i.key
 WHERE s.kind IN ('invoice', 'receivable') AND i.amount > 0
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= debts_on.as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > debts_on.as_of)
   AND (of_account IS NULL OR (i.account_id = of_account AND (i.is_open OR NOT i.is_open)));
END;
COMMENT ON FUNCTION credit.debts_on(date, bigint) IS
'Every debt dated up to a day: what was open of it then, and the day on which nothing was open any more. is_cash: some of it was paid, not only credited or written off; is_dated false: it was settled before its source was attached, nobody knows when.';

/*
 * Invoices give counts, rates, quantiles and trend: one row for each one that
 * was paid in the window or is open.  Settlements give what is weighted by
 * amount, so that an invoice paid in two parts counts with both days.
 */
CREATE FUNCTION credit.payment_behaviour_on
	(as_of date, days integer DEFAULT 365, grace_days integer DEFAULT 0, half_life integer DEFAULT 90)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   n_paid bigint, n_open bigint, n_overdue bigint, n_undated bigint,
			   paid_amount numeric, open_amount numeric, overdue_amount numeric,
			   on_time_rate float8, on_time_rate_by_amount float8,
			   mean_days_late float8, weighted_days_late float8, median_days_late float8,
			   p90_days_late float8, max_days_late integer, max_days_overdue integer,
			   days_beyond_terms float8, open_days_beyond_terms float8,
			   mean_days_to_pay float8, weighted_days_to_pay float8, weighted_terms float8,
			   sd_days_late float8, mean_deviation float8, cv_days_to_pay float8,
			   trend_slope float8, trend_se float8, trend_p float8, is_worsening boolean,
			   recent_days_late float8, recent_n float8, payment_index float8,
			   first_invoice_date date, first_paid_date date, last_paid_date date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
WITH by_invoice AS
	(SELECT d.account_id, d.currency,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on,
								   payment_behaviour_on.as_of, payment_behaviour_on.grace_days,
								   payment_behaviour_on.half_life)
				FILTER (WHERE d.is_dated AND (d.settled_on IS NULL OR d.is_cash)) AS p,
			count(*) FILTER (WHERE NOT d.is_dated) AS n_undated
	   FROM credit.debts_on(payment_behaviour_on.as_of) d
	  WHERE d.settled_on IS NULL OR NOT d.is_dated
		 OR d.settled_on > payment_behaviour_on.as_of - payment_behaviour_on.days
	  GROUP BY d.account_id, d.currency),
by_amount AS
	(SELECT q.account_id, q.currency,
			credit.payment_profile(q.amount, q.document_date, q.due_date, q.settled_on,
								   payment_behaviour_on.as_of, payment_behaviour_on.grace_days,
								   payment_behaviour_on.half_life) AS p
	   FROM (SELECT t.account_id, t.currency, t.amount, i.document_date,
					COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
					t.settled_on
			   FROM credit.settlements_on(payment_behaviour_on.as_of) t
			   JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
			   JOIN credit.account a ON a.account_id = i.account_id
			  WHERE t.kind NOT IN ('credit_note', 'write_off') AND i.amount > 0
				AND t.settled_on > payment_behaviour_on.as_of - payment_behaviour_on.days
			 UNION ALL
			 SELECT d.account_id, d.currency, d.open_amount, d.document_date, d.due_date, NULL
			   FROM credit.debts_on(payment_behaviour_on.as_of) d
			  WHERE d.open_amount > 0) q
	  GROUP BY q.account_id, q.currency)
SELECT a.customer, a.segment, a.name, n.currency,
	   (n.p).n_paid, (n.p).n_open, (n.p).n_overdue, n.n_undated,
	   (m.p).paid_amount, (m.p).open_amount, (m.p).overdue_amount,
	   (n.p).on_time_rate, (m.p).on_time_rate_by_amount,
	   (n.p).mean_days_late, (m.p).weighted_days_late, (n.p).median_days_late,
	   (n.p).p90_days_late, (n.p).max_days_late, (n.p).max_days_overdue,
	   (m.p).days_beyond_terms, (m.p).open_days_beyond_terms,
	   (n.p).mean_days_to_pay, (m.p).weighted_days_to_pay, (m.p).weighted_terms,
	   (n.p).sd_days_late, (n.p).mean_deviation, (n.p).cv_days_to_pay,
	   (n.p).trend_slope, (n.p).trend_se, (n.p).trend_p, (n.p).is_worsening,
	   (n.p).recent_days_late, (n.p).recent_n, (m.p).payment_index,
	   (n.p).first_invoice_date, (n.p).first_paid_date, (n.p).last_paid_date
  FROM by_invoice n
  JOIN credit.account a ON a.account_id = n.account_id
  LEFT JOIN by_amount m ON m.account_id = n.account_id AND m.currency = n.currency;
END;
COMMENT ON FUNCTION credit.payment_behaviour_on(date, integer, integer, integer) IS
'How each customer pays, by currency, as of a day: debts paid in the days before it and debts open on it. grace_days: late by so many is still on time; half_life in days: of recent_days_late. Counts, rates, quantiles and trend are by debt, weighted measures by amount settled.';

CREATE FUNCTION credit.payment_trend_on(as_of date, months integer DEFAULT 24)
RETURNS TABLE (customer text, segment text, name text, currency text, month date,
			   n_paid bigint, paid_amount numeric, on_time_rate float8,
			   mean_days_late float8, weighted_days_late float8, median_days_late float8,
			   p90_days_late float8, payment_index float8, invoiced_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH paid AS
	(SELECT d.account_id, d.currency, date_trunc('month', d.settled_on::timestamp)::date AS month,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on) AS p
	   FROM credit.debts_on(payment_trend_on.as_of) d
	  WHERE d.is_dated AND d.is_cash
		AND d.settled_on >= date_trunc('month', payment_trend_on.as_of::timestamp) - make_interval(months => months - 1)
	  GROUP BY 1, 2, 3),
invoiced AS
	(SELECT d.account_id, d.currency, date_trunc('month', d.document_date::timestamp)::date AS month, sum(d.amount) AS amount
	   FROM credit.debts_on(payment_trend_on.as_of) d
	  WHERE d.document_date >= date_trunc('month', payment_trend_on.as_of::timestamp) - make_interval(months => months - 1)
	  GROUP BY 1, 2, 3)
SELECT a.customer, a.segment, a.name, q.currency, q.month,
	   COALESCE((q.p).n_paid, 0), COALESCE((q.p).paid_amount, 0), (q.p).on_time_rate,
	   (q.p).mean_days_late, (q.p).weighted_days_late, (q.p).median_days_late,
	   (q.p).p90_days_late, (q.p).payment_index, COALESCE(q.amount, 0)
  FROM (SELECT COALESCE(n.account_id, i.account_id) AS account_id, COALESCE(n.currency, i.currency) AS currency,
			   COALESCE(n.month, i.month) AS month, n.p, i.amount
		  FROM paid n
		  FULL JOIN invoiced i ON i.account_id = n.account_id AND i.currency = n.currency AND i.month = n.month) q
  JOIN credit.account a ON a.account_id = q.account_id;
END;
COMMENT ON FUNCTION credit.payment_trend_on(date, integer) IS
'How each customer has paid month by month (by the month of the payment), and what was invoiced in it, for so many months up to a day.';

CREATE VIEW credit.payment_trend AS
SELECT t.customer, t.segment, t.name, t.currency, t.month, t.n_paid, t.paid_amount,
	   t.on_time_rate, t.mean_days_late, t.weighted_days_late, t.median_days_late,
	   t.p90_days_late, t.payment_index, t.invoiced_amount
  FROM credit.payment_trend_on(credit.as_of()) t;
COMMENT ON VIEW credit.payment_trend IS 'How each customer has paid month by month, in the 24 months up to today or to the day of credit.as_of.';
COMMENT ON COLUMN credit.payment_trend.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.payment_trend.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.payment_trend.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.payment_trend.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.payment_trend.month IS 'First day of the month in which debts were paid, or invoiced.';
COMMENT ON COLUMN credit.payment_trend.n_paid IS 'Number of debts paid in it.';
COMMENT ON COLUMN credit.payment_trend.paid_amount IS 'Their sum.';
COMMENT ON COLUMN credit.payment_trend.on_time_rate IS 'Share (0 to 1) of them that were paid on time.';
COMMENT ON COLUMN credit.payment_trend.mean_days_late IS 'Mean of days late; early payments are negative.';
COMMENT ON COLUMN credit.payment_trend.weighted_days_late IS 'The same weighted by amount.';
COMMENT ON COLUMN credit.payment_trend.median_days_late IS 'Median of days late.';
COMMENT ON COLUMN credit.payment_trend.p90_days_late IS 'Ninetieth percentile of days late.';
COMMENT ON COLUMN credit.payment_trend.payment_index IS 'Index of payment, as in payment_behaviour.';
COMMENT ON COLUMN credit.payment_trend.invoiced_amount IS 'Sum of the debts dated in the month.';

/*
 * Subject payment: how the customers of the ledger pay.  What was settled on
 * which day, of debts that say so and of those where it has to be worked out,
 * and profiles over it.  The measures are those of payment_profile().
 */

/*
 * Every function comes twice: NAME_of() looks at one account, by the indexes
 * of its documents, and NAME_on() goes through the accounts with it.  So one
 * customer of a view costs what that customer has, which no query over all
 * accounts that groups or numbers rows could promise.
 */

/*
 * Where nobody says what pays what: equal amounts pay each other, the n-th the
 * n-th; then both sides are laid out one behind the other, the oldest first,
 * and what lies opposite pays.
 */
CREATE FUNCTION credit.allocations_of(of_account bigint, as_of date)
RETURNS TABLE (source_id integer, key text, payment_source_id integer, payment_key text,
			   settled_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
WITH numbered AS
	(SELECT o.source_id, o.key, o.currency, abs(o.open_amount) AS amount, o.open_amount < 0 AS pays,
			o.due_date, o.day,
			row_number() OVER (PARTITION BY o.currency, o.open_amount
							   ORDER BY o.due_date, o.source_id, o.key COLLATE "C") AS number
	   FROM credit.unallocated_of(of_account, as_of) o
	  WHERE CASE WHEN o.open_amount < 0 THEN o.rule = 'allocated' ELSE o.rule <> 'stated' END),
/* a debt and a payment of one amount and number make a pair */
matched AS
	(SELECT n.*, count(*) OVER pair = 2 AS is_equal,
			max(n.source_id) FILTER (WHERE n.pays) OVER pair AS payment_source_id,
			max(n.key) FILTER (WHERE n.pays) OVER pair AS payment_key,
			max(n.day) FILTER (WHERE n.pays) OVER pair AS payment_day
	   FROM numbered n
	 WINDOW pair AS (PARTITION BY n.currency, n.amount, n.number)),
laid_out AS
	(SELECT m.currency, m.pays, m.source_id, m.key, m.day,
			sum(m.amount) OVER w AS upto
	   FROM matched m
	  WHERE NOT m.is_equal
	 WINDOW w AS (PARTITION BY m.currency, m.pays ORDER BY m.due_date, m.source_id, m.key COLLATE "C")),
/* between two ends, of whichever side, the next debt lies opposite the next payment */
piece AS
	(SELECT l.*, l.upto - COALESCE(lag(l.upto) OVER w, 0) AS amount,
			count(*) FILTER (WHERE NOT l.pays) OVER before AS debts,
			count(*) FILTER (WHERE l.pays) OVER before AS payments
	   FROM laid_out l
	 WINDOW w AS (PARTITION BY l.currency ORDER BY l.upto, l.pays),
			before AS (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
pair AS
	(SELECT e.currency, e.amount,
			max(e.source_id) FILTER (WHERE NOT e.pays) OVER debt AS source_id,
			max(e.key) FILTER (WHERE NOT e.pays) OVER debt AS key,
			max(e.source_id) FILTER (WHERE e.pays) OVER payment AS payment_source_id,
			max(e.key) FILTER (WHERE e.pays) OVER payment AS payment_key,
			max(e.day) FILTER (WHERE e.pays) OVER payment AS day
	   FROM piece e
	 WINDOW debt AS (PARTITION BY e.currency, e.debts), payment AS (PARTITION BY e.currency, e.payments))
SELECT m.source_id, m.key, m.payment_source_id, m.payment_key, m.payment_day, m.amount
  FROM matched m
 WHERE m.is_equal AND NOT m.pays
UNION ALL
SELECT p.source_id, p.key, p.payment_source_id, p.payment_key, p.day, p.amount
  FROM pair p
 WHERE p.amount > 0 AND p.key IS NOT NULL AND p.payment_key IS NOT NULL;
END;
COMMENT ON FUNCTION credit.allocations_of(bigint, date) IS
'Which payment pays which debt of one account, where the ERP does not say it: equal amounts first, then the oldest due. Worked out from what is known now, never stored.';

CREATE FUNCTION credit.allocations_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (source_id integer, key text, payment_source_id integer, payment_key text,
			   settled_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT l.source_id, l.key, l.payment_source_id, l.payment_key, l.settled_on, l.amount
  FROM credit.account a
 CROSS JOIN LATERAL credit.allocations_of(a.account_id, as_of) l
 WHERE of_account IS NULL OR a.account_id = of_account;
END;
COMMENT ON FUNCTION credit.allocations_on(date, bigint) IS
'Which payment pays which debt, of all accounts or of one, where the ERP does not say it; see allocations_of().';

CREATE FUNCTION credit.settlements_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, settled_on date, amount numeric,
			   kind text, payment_source_id integer, payment_key text,
			   document_date date, due_date date, debt numeric, is_allocated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH allocated AS
	(SELECT l.* FROM credit.allocations_of(of_account, as_of) l
	  /* needs_allocation(), which would be planned anew for each account */
	  WHERE EXISTS (SELECT FROM credit.settlement_rule r
					 WHERE r.rule = 'allocated' AND r.kind IN ('payment', 'credit_note', 'receivable')))
SELECT i.currency, i.source_id, i.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount, false
  FROM credit.item i
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.source s ON s.source_id = i.source_id
 CROSS JOIN LATERAL
	   (SELECT t.settled_on, t.amount, t.kind, t.payment_source_id, t.payment_key
		  FROM credit.settlement t
		 WHERE t.source_id = i.source_id AND t.key = i.key
		   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
		 OFFSET 0) t
 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
   AND s.kind IN ('invoice', 'receivable') AND i.amount IS NOT NULL
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
UNION ALL
SELECT i.currency, l.source_id, l.key, l.settled_on, l.amount,
	   CASE WHEN p.is_write_off THEN 'write_off' ELSE s.kind END, l.payment_source_id, l.payment_key,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount, true
  FROM allocated l
  JOIN credit.item i ON i.source_id = l.source_id AND i.key = l.key
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.item p ON p.source_id = l.payment_source_id AND p.key = l.payment_key
  JOIN credit.source s ON s.source_id = l.payment_source_id;
END;
COMMENT ON FUNCTION credit.settlements_of(bigint, date) IS
'What was settled of which debt of one account up to a day, by what. settled_on NULL: before the source was attached. debt: amount of the debt. is_allocated: nobody says so, it is worked out.';

CREATE FUNCTION credit.settlements_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text, settled_on date,
			   amount numeric, kind text, payment_source_id integer, payment_key text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* of all accounts by hash, of one by its indexes */
SELECT i.account_id, i.currency, t.source_id, t.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key
  FROM credit.settlement t
  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
  JOIN credit.source s ON s.source_id = i.source_id
 WHERE of_account IS NULL
   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
   AND s.kind IN ('invoice', 'receivable') AND i.amount IS NOT NULL
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
UNION ALL
SELECT a.account_id, t.currency, t.source_id, t.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key
  FROM credit.account a
 CROSS JOIN LATERAL credit.settlements_of(a.account_id, as_of) t
 WHERE of_account IS NULL AND credit.needs_allocation() AND t.is_allocated
UNION ALL
SELECT of_account, t.currency, t.source_id, t.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key
  FROM credit.settlements_of(of_account, as_of) t
 WHERE of_account IS NOT NULL;
END;
COMMENT ON FUNCTION credit.settlements_on(date, bigint) IS
'What was settled of which debt dated up to a day, by what; of all accounts or of one. settled_on is the day of the payment or application, also where the debt came later; NULL: before the source was attached.';

/*
 * The day on which nothing was open any more is the first one from which on the
 * settlements have made up the debt: a payment that was returned and came again
 * does not count with its first day, one that came on top not with its own.  An
 * unknown day is before all others.
 */
CREATE FUNCTION credit.debts_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, amount numeric,
			   document_date date, due_date date, open_amount numeric, paid_amount numeric,
			   credited_amount numeric, settled_on date, is_cash boolean, is_dated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH by_day AS
	(SELECT q.currency, q.source_id, q.key, q.amount, q.document_date, q.due_date, q.day,
			sum(q.settled) AS settled, sum(q.paid) AS paid, sum(q.credited) AS credited,
			sum(sum(q.settled)) OVER (PARTITION BY q.source_id, q.key ORDER BY q.day) AS upto
	   FROM (SELECT i.currency, i.source_id, i.key, i.amount,
					COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
					COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
					date '-infinity' AS day, 0::numeric AS settled, 0::numeric AS paid, 0::numeric AS credited
			   FROM credit.item i
			   JOIN credit.account a ON a.account_id = i.account_id
			   JOIN credit.source s ON s.source_id = i.source_id
			  WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
				AND s.kind IN ('invoice', 'receivable') AND i.amount > 0
				AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
				AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
			 UNION ALL
			 SELECT t.currency, t.source_id, t.key, t.debt, t.document_date, t.due_date,
					COALESCE(t.settled_on, '-infinity'), t.amount,
					CASE WHEN t.kind NOT IN ('credit_note', 'write_off') THEN t.amount ELSE 0 END,
					CASE WHEN t.kind = 'credit_note' THEN t.amount ELSE 0 END
			   FROM credit.settlements_of(of_account, as_of) t
			  WHERE t.debt > 0) q
	  GROUP BY q.currency, q.source_id, q.key, q.amount, q.document_date, q.due_date, q.day),
marked AS
	(SELECT d.*, max(d.day) FILTER (WHERE d.upto < d.amount) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d)
SELECT d.currency, d.source_id, d.key, d.amount, d.document_date, d.due_date,
	   d.amount - d.settled, d.paid, d.credited, NULLIF(d.settled_on, '-infinity'), d.paid <> 0,
	   d.settled_on IS DISTINCT FROM '-infinity'
  FROM (SELECT m.currency, m.source_id, m.key, m.amount, m.document_date, m.due_date,
			   sum(m.settled) AS settled, sum(m.paid) AS paid, sum(m.credited) AS credited,
			   min(m.day) FILTER (WHERE m.upto >= m.amount AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
		  FROM marked m
		 GROUP BY m.currency, m.source_id, m.key, m.amount, m.document_date, m.due_date) d;
END;
COMMENT ON FUNCTION credit.debts_of(bigint, date) IS
'Every debt of one account dated up to a day: what was open of it then, and the day on which nothing was open any more. is_cash: some of it was paid, not only credited or written off; is_dated false: it was settled before its source was attached, nobody knows when.';

CREATE FUNCTION credit.debts_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text, amount numeric,
			   document_date date, due_date date, open_amount numeric, paid_amount numeric,
			   settled_on date, is_cash boolean, is_dated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* of all accounts set by set, as debts_of() has it for one */
WITH by_day AS
	(SELECT t.source_id, t.key, COALESCE(t.settled_on, '-infinity') AS day, sum(t.amount) AS settled,
			sum(CASE WHEN t.kind NOT IN ('credit_note', 'write_off') THEN t.amount ELSE 0 END) AS paid,
			sum(sum(t.amount)) OVER (PARTITION BY t.source_id, t.key ORDER BY COALESCE(t.settled_on, '-infinity')) AS upto
	   FROM credit.settlements_on(as_of) t
	  WHERE of_account IS NULL
	  GROUP BY t.source_id, t.key, COALESCE(t.settled_on, '-infinity')),
marked AS
	(SELECT d.*, i.amount, max(d.day) FILTER (WHERE d.upto < i.amount) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d
	   JOIN credit.item i ON i.source_id = d.source_id AND i.key = d.key),
settled AS
	(SELECT m.source_id, m.key, sum(m.settled) AS settled, sum(m.paid) AS paid,
			min(m.day) FILTER (WHERE m.upto >= m.amount AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
	   FROM marked m
	  GROUP BY m.source_id, m.key)
SELECT i.account_id, i.currency, i.source_id, i.key, i.amount,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount - COALESCE(t.settled, 0), COALESCE(t.paid, 0), NULLIF(t.settled_on, '-infinity'),
	   COALESCE(t.paid, 0) <> 0, t.settled_on IS DISTINCT FROM '-infinity'
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id
  JOIN credit.account a ON a.account_id = i.account_id
  LEFT JOIN settled t ON t.source_id = i.source_id AND t.key = i.key
 WHERE of_account IS NULL
   AND s.kind IN ('invoice', 'receivable') AND i.amount > 0
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
UNION ALL
SELECT of_account, d.currency, d.source_id, d.key, d.amount, d.document_date, d.due_date,
	   d.open_amount, d.paid_amount, d.settled_on, d.is_cash, d.is_dated
  FROM credit.debts_of(of_account, as_of) d
 WHERE of_account IS NOT NULL;
END;
COMMENT ON FUNCTION credit.debts_on(date, bigint) IS
'Every debt dated up to a day, of all accounts or of one; see debts_of().';

/*
 * One row per payment of a debt and day.  A correction cancels the row that it
 * corrects, a return takes away the latest that the same payment had paid of
 * the debt: what a day adds for good is what it adds to the least of all sums
 * from it on.
 */
CREATE FUNCTION credit.paid_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, debt numeric, document_date date,
			   due_date date, paid_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT q.currency, q.source_id, q.key, q.debt, q.document_date, q.due_date, q.day, q.amount
  FROM (SELECT f.*, f.lasting - COALESCE(lag(f.lasting) OVER (PARTITION BY f.source_id, f.key, f.payment_source_id, f.payment_key
															  ORDER BY f.day), 0) AS amount
		  FROM (SELECT u.*, min(u.upto) OVER (PARTITION BY u.source_id, u.key, u.payment_source_id, u.payment_key
											  ORDER BY u.day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lasting
				  FROM (SELECT t.currency, t.source_id, t.key, t.debt, t.document_date, t.due_date,
							   t.payment_source_id, t.payment_key,
							   COALESCE(t.settled_on, '-infinity') AS day,
							   sum(sum(t.amount)) OVER (PARTITION BY t.source_id, t.key, t.payment_source_id, t.payment_key
														ORDER BY COALESCE(t.settled_on, '-infinity')) AS upto
						  FROM credit.settlements_of(of_account, as_of) t
						 WHERE t.kind NOT IN ('credit_note', 'write_off') AND t.debt > 0
						 GROUP BY t.currency, t.source_id, t.key, t.debt, t.document_date, t.due_date,
								  t.payment_source_id, t.payment_key, COALESCE(t.settled_on, '-infinity')) u) f) q
 WHERE q.amount > 0;
END;
COMMENT ON FUNCTION credit.paid_of(bigint, date) IS
'What was paid of each debt of one account on which day, without credit notes and write-offs, and without payments that were returned. paid_on -infinity: before the source was attached.';

/* The same of all accounts, set by set. */
CREATE FUNCTION credit.paid_on(as_of date)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text,
			   document_date date, due_date date, paid_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH by_day AS
	(SELECT t.account_id, t.currency, t.source_id, t.key, t.payment_source_id, t.payment_key,
			COALESCE(t.settled_on, '-infinity') AS day,
			sum(sum(t.amount)) OVER (PARTITION BY t.source_id, t.key, t.payment_source_id, t.payment_key
									 ORDER BY COALESCE(t.settled_on, '-infinity')) AS upto
	   FROM credit.settlements_on(paid_on.as_of) t
	  WHERE t.kind NOT IN ('credit_note', 'write_off')
	  GROUP BY t.account_id, t.currency, t.source_id, t.key, t.payment_source_id, t.payment_key,
			   COALESCE(t.settled_on, '-infinity')),
lasting AS
	(SELECT u.*, min(u.upto) OVER (PARTITION BY u.source_id, u.key, u.payment_source_id, u.payment_key
								   ORDER BY u.day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lasting
	   FROM by_day u),
paid AS
	(SELECT l.*, l.lasting - COALESCE(lag(l.lasting) OVER (PARTITION BY l.source_id, l.key, l.payment_source_id, l.payment_key
														   ORDER BY l.day), 0) AS amount
	   FROM lasting l)
SELECT p.account_id, p.currency, p.source_id, p.key,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   p.day, p.amount
  FROM paid p
  JOIN credit.item i ON i.source_id = p.source_id AND i.key = p.key AND i.amount > 0
  JOIN credit.account a ON a.account_id = i.account_id
 WHERE p.amount > 0;
END;
COMMENT ON FUNCTION credit.paid_on(date) IS
'What was paid of each debt on which day, of all accounts; see paid_of().';

/*
 * Debts give counts, rates, quantiles and trend: one row for each one that was
 * paid in the window or is open.  Payments give what is weighted by amount, so
 * that a debt paid in two parts counts with both days.  The setting of jit
 * keeps the function from being put in line: a plan of so many parts would be
 * compiled for seconds to run for milliseconds.
 */
CREATE FUNCTION credit.behaviour_of
	(of_account bigint, as_of date, days integer, grace_days integer, half_life integer)
RETURNS TABLE (currency text, by_debt credit.payment_measures, by_amount credit.payment_measures,
			   n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH debt AS
	(SELECT d.* FROM credit.debts_of(of_account, as_of) d),
n AS
	(SELECT d.currency,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on, as_of, grace_days, half_life)
				FILTER (WHERE d.is_dated AND (d.settled_on IS NULL OR d.is_cash)) AS p,
			count(*) FILTER (WHERE NOT d.is_dated) AS n_undated
	   FROM debt d
	  WHERE d.settled_on IS NULL OR d.settled_on > as_of - days
	  GROUP BY d.currency),
m AS
	(SELECT q.currency,
			credit.payment_profile(q.amount, q.document_date, q.due_date, q.paid_on, as_of, grace_days, half_life) AS p
	   FROM (SELECT t.currency, t.amount, t.document_date, t.due_date, t.paid_on
			   FROM credit.paid_of(of_account, as_of) t
			  WHERE t.paid_on > as_of - days
			 UNION ALL
			 SELECT d.currency, d.open_amount, d.document_date, d.due_date, NULL
			   FROM debt d
			  WHERE d.open_amount > 0) q
	  GROUP BY q.currency)
SELECT COALESCE(n.currency, m.currency), n.p, m.p, COALESCE(n.n_undated, 0)
  FROM n
  FULL JOIN m ON m.currency = n.currency;
END;
COMMENT ON FUNCTION credit.behaviour_of(bigint, date, integer, integer, integer) IS
'Profiles of how one account pays, by currency: by_debt has a row for each debt paid in the days before the day or open on it, by_amount one for each payment and each open amount.';

/* The same of all accounts, set by set. */
CREATE FUNCTION credit.behaviour_on
	(as_of date, days integer, grace_days integer, half_life integer)
RETURNS TABLE (account_id bigint, currency text, by_debt credit.payment_measures,
			   by_amount credit.payment_measures, n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
WITH debt AS
	(SELECT d.* FROM credit.debts_on(behaviour_on.as_of) d),
by_debt AS
	(SELECT d.account_id, d.currency,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on, behaviour_on.as_of,
								   behaviour_on.grace_days, behaviour_on.half_life)
				FILTER (WHERE d.is_dated AND (d.settled_on IS NULL OR d.is_cash)) AS p,
			count(*) FILTER (WHERE NOT d.is_dated) AS n_undated
	   FROM debt d
	  WHERE d.settled_on IS NULL OR d.settled_on > behaviour_on.as_of - behaviour_on.days
	  GROUP BY d.account_id, d.currency),
by_amount AS
	(SELECT q.account_id, q.currency,
			credit.payment_profile(q.amount, q.document_date, q.due_date, q.paid_on, behaviour_on.as_of,
								   behaviour_on.grace_days, behaviour_on.half_life) AS p
	   FROM (SELECT t.account_id, t.currency, t.amount, t.document_date, t.due_date, t.paid_on
			   FROM credit.paid_on(behaviour_on.as_of) t
			  WHERE t.paid_on > behaviour_on.as_of - behaviour_on.days
			 UNION ALL
			 SELECT d.account_id, d.currency, d.open_amount, d.document_date, d.due_date, NULL
			   FROM debt d WHERE d.open_amount > 0) q
	  GROUP BY q.account_id, q.currency)
SELECT COALESCE(n.account_id, m.account_id), COALESCE(n.currency, m.currency), n.p, m.p, COALESCE(n.n_undated, 0)
  FROM by_debt n
  FULL JOIN by_amount m ON m.account_id = n.account_id AND m.currency = n.currency;
END;
COMMENT ON FUNCTION credit.behaviour_on(date, integer, integer, integer) IS
'Profiles of how all accounts pay, by currency, from the rows; see behaviour_of().';

CREATE FUNCTION credit.trend_of(of_account bigint, as_of date, months integer)
RETURNS TABLE (currency text, month date, p credit.payment_measures, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
SELECT d.currency, e.month,
	   credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on) FILTER (WHERE e.is_payment) AS p,
	   sum(d.amount) FILTER (WHERE NOT e.is_payment) AS amount
  FROM credit.debts_of(of_account, as_of) d
 CROSS JOIN LATERAL
	   (SELECT date_trunc('month', d.settled_on::timestamp)::date AS month, true AS is_payment
		 WHERE d.is_dated AND d.is_cash AND d.settled_on IS NOT NULL
		UNION ALL
		SELECT date_trunc('month', d.document_date::timestamp)::date, false) e
 WHERE e.month >= date_trunc('month', as_of::timestamp) - make_interval(months => months - 1)
 GROUP BY d.currency, e.month;
END;
COMMENT ON FUNCTION credit.trend_of(bigint, date, integer) IS
'How one account has paid, and what was invoiced, by currency and month.';

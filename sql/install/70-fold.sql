/*
 * Subject fold: profiles of closed months, kept per account.
 *
 * What was settled in a month that is over changes rarely.  Its states are
 * worked out once, and views add them up with what is live: the month that
 * runs, the first month of the window where it is cut, and months that bear a
 * mark.  Marks are written by whoever changes a settlement, in the same
 * transaction (src/settlement.c); so every snapshot sees, together with a
 * change, that it cannot use the state of before.  Of every month of every
 * account there is a state or a mark.
 */
CREATE TABLE credit.month_state
(
	account_id	bigint NOT NULL,
	currency	text COLLATE "C" NOT NULL,
	month		date NOT NULL,
	by_debt		credit.payment_state,
	by_amount	credit.payment_state,
	n_undated	bigint NOT NULL,
	folded_at	timestamptz NOT NULL,
	PRIMARY KEY (account_id, currency, month)
);
COMMENT ON TABLE credit.month_state IS
'Payment states of closed months, worked out by fold_months(). Where month_mark has the same month of an account, the state is out of date.';
COMMENT ON COLUMN credit.month_state.account_id IS 'Account.';
COMMENT ON COLUMN credit.month_state.currency IS 'Currency of the debts.';
COMMENT ON COLUMN credit.month_state.month IS 'First day of the month in which debts were paid; -infinity: before the source was attached, nobody knows when.';
COMMENT ON COLUMN credit.month_state.by_debt IS 'Debts of which nothing is open since a day of the month: one row each.';
COMMENT ON COLUMN credit.month_state.by_amount IS 'What was paid in the month: one row per settlement.';
COMMENT ON COLUMN credit.month_state.n_undated IS 'Number of debts settled before their source was attached (month -infinity).';
COMMENT ON COLUMN credit.month_state.folded_at IS 'When it was worked out.';
CREATE INDEX month_state_month ON credit.month_state (month);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.month_state
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

CREATE FUNCTION credit.month_states_of(accounts bigint[])
RETURNS TABLE (account_id bigint, currency text, month date, by_debt credit.payment_state,
			   by_amount credit.payment_state, n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
WITH debt AS
	(SELECT a.account_id, d.* FROM unnest(accounts) a (account_id)
	  CROSS JOIN LATERAL credit.debts_of(a.account_id, credit.today()) d),
by_debt AS
	(SELECT d.account_id, d.currency, date_trunc('month', d.settled_on::timestamp)::date AS month,
			credit.payment_state(d.amount, d.document_date, d.due_date, d.settled_on) AS state
	   FROM debt d WHERE d.settled_on IS NOT NULL AND d.is_cash
	  GROUP BY 1, 2, 3),
by_amount AS
	(SELECT a.account_id, p.currency, date_trunc('month', p.paid_on::timestamp)::date AS month,
			credit.payment_state(p.amount, p.document_date, p.due_date, p.paid_on) AS state
	   FROM unnest(accounts) a (account_id)
	  CROSS JOIN LATERAL credit.paid_of(a.account_id, credit.today()) p
	  WHERE isfinite(p.paid_on)
	  GROUP BY 1, 2, 3),
undated AS
	(SELECT d.account_id, d.currency, count(*) AS n
	   FROM debt d WHERE NOT d.is_dated GROUP BY 1, 2)
SELECT COALESCE(d.account_id, m.account_id), COALESCE(d.currency, m.currency), COALESCE(d.month, m.month),
	   d.state, m.state, 0
  FROM by_debt d
  FULL JOIN by_amount m ON m.account_id = d.account_id AND m.currency = d.currency AND m.month = d.month
UNION ALL
SELECT u.account_id, u.currency, '-infinity', NULL, NULL, u.n FROM undated u;
END;
COMMENT ON FUNCTION credit.month_states_of(bigint[]) IS
'Payment states of all months of some accounts, from the rows; what fold_months() keeps.';

/*
 * Works out what bears a mark, some accounts at a time, in one statement each:
 * what is worked out and the marks that are taken away are of one snapshot.  A
 * mark that somebody writes meanwhile is not in it, and stays.
 */
CREATE FUNCTION credit.fold_months(batch integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this_month date := date_trunc('month', credit.today()::timestamp)::date;
	accounts bigint[];
	last bigint := 0;
	n bigint;
	total bigint := 0;
BEGIN
	IF batch IS NULL OR batch < 1 THEN
		RAISE EXCEPTION 'batch must be 1 or more, not %', batch USING ERRCODE = 'invalid_parameter_value';
	END IF;
	/* what comes by subscription is folded where it comes from */
	IF EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = 'credit.month_state'::regclass) THEN
		RETURN 0;
	END IF;
	/* two of them would work out the same months */
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	LOOP
		/* where a settlement is dated in the future, a closed month can still change by itself */
		SELECT array_agg(q.account_id ORDER BY q.account_id) INTO accounts
		  FROM (SELECT DISTINCT m.account_id FROM credit.month_mark m
				 WHERE m.account_id > last AND (m.month < this_month OR m.month = 'infinity')
				   AND NOT EXISTS (SELECT FROM credit.settlement t JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
									WHERE t.settled_on > credit.today() AND i.account_id = m.account_id)
				 ORDER BY m.account_id LIMIT batch) q;
		EXIT WHEN accounts IS NULL;
		last := accounts[array_upper(accounts, 1)];
		WITH mark AS
			(DELETE FROM credit.month_mark m
			  WHERE m.account_id = ANY (accounts) AND (m.month < this_month OR m.month = 'infinity')
			  RETURNING m.account_id, m.month),
		due AS (SELECT DISTINCT k.account_id, k.month FROM mark k),
		state AS
			(SELECT s.* FROM credit.month_states_of(accounts) s
			  WHERE s.month < this_month
				AND EXISTS (SELECT FROM due d WHERE d.account_id = s.account_id AND d.month IN (s.month, 'infinity'))),
		gone AS
			(DELETE FROM credit.month_state s USING due d
			  WHERE s.account_id = d.account_id AND (s.month = d.month OR d.month = 'infinity')
				AND NOT EXISTS (SELECT FROM state n WHERE n.account_id = s.account_id AND n.currency = s.currency AND n.month = s.month)),
		kept AS
			(INSERT INTO credit.month_state AS s (account_id, currency, month, by_debt, by_amount, n_undated, folded_at)
			 SELECT n.account_id, n.currency, n.month, n.by_debt, n.by_amount, n.n_undated, clock_timestamp() FROM state n
			 ON CONFLICT ON CONSTRAINT month_state_pkey DO UPDATE
			 SET by_debt = excluded.by_debt, by_amount = excluded.by_amount, n_undated = excluded.n_undated,
				 folded_at = excluded.folded_at)
		SELECT count(*) INTO n FROM due;
		total := total + n;
	END LOOP;
	PERFORM credit.maintain(false);
	RETURN total;
END
$$;
COMMENT ON FUNCTION credit.fold_months(integer) IS
'Works out the payment states of closed months that bear a mark, so many accounts at a time; returns how many months there were. daily() calls it; nobody waits for it.';

CREATE FUNCTION credit.rebuild_months() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	INSERT INTO credit.month_mark (account_id, month)
	SELECT i.account_id, date 'infinity'
	  FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
	 WHERE s.kind IN ('invoice', 'receivable') AND i.account_id IS NOT NULL
	UNION
	SELECT s.account_id, date 'infinity' FROM credit.month_state s;
	PERFORM credit.maintain(false);
	RETURN credit.fold_months();
END
$$;
COMMENT ON FUNCTION credit.rebuild_months() IS
'Works out the payment states of all closed months anew; returns how many accounts and months there were.';

CREATE FUNCTION credit.verify_months()
RETURNS TABLE (customer text, segment text, currency text, month date, problem text)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH account AS
	(SELECT DISTINCT i.account_id FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
	  WHERE s.kind IN ('invoice', 'receivable') AND i.account_id IS NOT NULL),
truth AS
	(SELECT t.* FROM credit.month_states_of(ARRAY(SELECT a.account_id FROM account a)) t
	  WHERE t.month < date_trunc('month', credit.today()::timestamp)),
both_sides AS
	(SELECT COALESCE(t.account_id, s.account_id) AS account_id, COALESCE(t.currency, s.currency) AS currency,
			COALESCE(t.month, s.month) AS month,
			CASE WHEN s.account_id IS NULL THEN 'there is neither a state nor a mark'
				 WHEN t.account_id IS NULL THEN 'nothing was paid in it'
				 WHEN t.n_undated <> s.n_undated OR t.by_debt::bytea IS DISTINCT FROM s.by_debt::bytea OR
					  t.by_amount::bytea IS DISTINCT FROM s.by_amount::bytea THEN 'the state is another one' END AS problem
	   FROM truth t
	   FULL JOIN credit.month_state s ON s.account_id = t.account_id AND s.currency = t.currency AND s.month = t.month)
SELECT a.customer, a.segment, b.currency, b.month, b.problem
  FROM both_sides b JOIN credit.account a ON a.account_id = b.account_id
 WHERE b.problem IS NOT NULL
   AND NOT EXISTS (SELECT FROM credit.month_mark m WHERE m.account_id = b.account_id AND m.month IN (b.month, 'infinity'));
END;
COMMENT ON FUNCTION credit.verify_months() IS
'States of closed months that are not what the rows come to, although they bear no mark; no row: all are right. rebuild_months() mends them.';

CREATE FUNCTION credit.payment_behaviour_folded
	(days integer DEFAULT 365, grace_days integer DEFAULT 0, half_life integer DEFAULT 90)
RETURNS TABLE (account_id bigint, currency text, by_debt credit.payment_measures,
			   by_amount credit.payment_measures, n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
WITH time AS MATERIALIZED
	(SELECT d.today, d.today - days AS after,
			date_trunc('month', d.today::timestamp)::date AS this_month,
			(date_trunc('month', (d.today - days + 1)::timestamp) +
			 CASE WHEN extract(day FROM d.today - days + 1) = 1
				  THEN interval '0' ELSE interval '1 month' END)::date AS first_month
	   FROM (SELECT credit.today() AS today) d),
stale AS MATERIALIZED
	(SELECT DISTINCT m.account_id, m.month FROM credit.month_mark m CROSS JOIN time t
	  WHERE (m.month >= t.first_month AND m.month < t.this_month) OR NOT isfinite(m.month)),
kept AS
	(SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM credit.month_state s CROSS JOIN time t
	  WHERE ((s.month >= t.first_month AND s.month < t.this_month) OR s.month = '-infinity')
		AND NOT EXISTS (SELECT FROM stale x WHERE x.account_id = s.account_id AND x.month IN (s.month, 'infinity'))),
anew AS
	(SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM credit.month_states_of(ARRAY(SELECT DISTINCT x.account_id FROM stale x)) s CROSS JOIN time t
	  WHERE ((s.month >= t.first_month AND s.month < t.this_month) OR s.month = '-infinity')
		AND EXISTS (SELECT FROM stale x WHERE x.account_id = s.account_id AND x.month IN (s.month, 'infinity'))),
/* the month that runs, and the first one where the window cuts it */
recent AS
	(SELECT DISTINCT r.source_id, r.key FROM credit.settlement r CROSS JOIN time t
	  WHERE (r.settled_on >= t.this_month AND r.settled_on <= t.today)
		 OR (r.settled_on > t.after AND r.settled_on < t.first_month)),
settled AS
	(SELECT i.account_id, i.currency, i.source_id, i.key, i.amount AS debt,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
			COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
			COALESCE(x.settled_on, '-infinity') AS day, x.amount, x.kind, x.payment_source_id, x.payment_key
	   FROM recent r
	   JOIN credit.item i ON i.source_id = r.source_id AND i.key = r.key AND i.amount > 0
	   JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
	   JOIN credit.account a ON a.account_id = i.account_id
	   JOIN credit.settlement x ON x.source_id = r.source_id AND x.key = r.key
	  CROSS JOIN time t
	  WHERE (x.settled_on <= t.today OR x.settled_on IS NULL)
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= t.today
		AND (i.reversed_on IS NULL OR i.reversed_on > t.today)),
/* as debts_of() has it */
by_day AS
	(SELECT s.account_id, s.currency, s.source_id, s.key, s.debt, s.document_date, s.due_date, s.day,
			sum(CASE WHEN s.kind NOT IN ('credit_note', 'write_off') THEN s.amount ELSE 0 END) AS paid,
			sum(sum(s.amount)) OVER (PARTITION BY s.source_id, s.key ORDER BY s.day) AS upto
	   FROM settled s
	  GROUP BY s.account_id, s.currency, s.source_id, s.key, s.debt, s.document_date, s.due_date, s.day),
marked AS
	(SELECT d.*, max(d.day) FILTER (WHERE d.upto < d.debt) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d),
whole AS
	(SELECT m.account_id, m.currency, m.debt, m.document_date, m.due_date, sum(m.paid) AS paid,
			min(m.day) FILTER (WHERE m.upto >= m.debt AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
	   FROM marked m
	  GROUP BY m.account_id, m.currency, m.source_id, m.key, m.debt, m.document_date, m.due_date),
/* as paid_of() has it */
lasting AS
	(SELECT u.*, min(u.upto) OVER (PARTITION BY u.source_id, u.key, u.payment_source_id, u.payment_key
								   ORDER BY u.day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lasting
	   FROM (SELECT s.account_id, s.currency, s.source_id, s.key, s.document_date, s.due_date,
					s.payment_source_id, s.payment_key, s.day,
					sum(sum(s.amount)) OVER (PARTITION BY s.source_id, s.key, s.payment_source_id, s.payment_key
											 ORDER BY s.day) AS upto
			   FROM settled s
			  WHERE s.kind NOT IN ('credit_note', 'write_off')
			  GROUP BY s.account_id, s.currency, s.source_id, s.key, s.document_date, s.due_date,
					   s.payment_source_id, s.payment_key, s.day) u),
paid AS
	(SELECT l.account_id, l.currency, l.document_date, l.due_date, l.day,
			l.lasting - COALESCE(lag(l.lasting) OVER (PARTITION BY l.source_id, l.key, l.payment_source_id, l.payment_key
													  ORDER BY l.day), 0) AS amount
	   FROM lasting l),
open AS
	(SELECT i.account_id, i.currency, i.amount, o.open_amount,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
			COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date
	   FROM credit.open_now o
	   JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key AND i.amount > 0
	   JOIN credit.account a ON a.account_id = i.account_id
	  CROSS JOIN time t
	  WHERE o.open_amount > 0 AND o.kind IN ('invoice', 'receivable')
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= t.today),
state AS
	(SELECT k.account_id, k.currency, k.by_debt, k.by_amount, k.n_undated FROM kept k
	 UNION ALL
	 SELECT n.account_id, n.currency, n.by_debt, n.by_amount, n.n_undated FROM anew n
	 UNION ALL
	 SELECT w.account_id, w.currency, credit.payment_state(w.debt, w.document_date, w.due_date, w.settled_on), NULL, 0
	   FROM whole w CROSS JOIN time t
	  WHERE w.paid <> 0
		AND ((w.settled_on >= t.this_month AND w.settled_on <= t.today) OR (w.settled_on > t.after AND w.settled_on < t.first_month))
	  GROUP BY w.account_id, w.currency
	 UNION ALL
	 SELECT p.account_id, p.currency, NULL, credit.payment_state(p.amount, p.document_date, p.due_date, p.day), 0
	   FROM paid p CROSS JOIN time t
	  WHERE p.amount > 0
		AND ((p.day >= t.this_month AND p.day <= t.today) OR (p.day > t.after AND p.day < t.first_month))
	  GROUP BY p.account_id, p.currency
	 UNION ALL
	 SELECT o.account_id, o.currency,
			credit.payment_state(o.amount, o.document_date, o.due_date, NULL),
			credit.payment_state(o.open_amount, o.document_date, o.due_date, NULL), 0
	   FROM open o GROUP BY o.account_id, o.currency)
SELECT q.account_id, q.currency,
	   credit.payment_measures(q.by_debt, t.today, grace_days, half_life),
	   credit.payment_measures(q.by_amount, t.today, grace_days, half_life), q.n_undated
  FROM (SELECT s.account_id, s.currency, credit.merge(s.by_debt) AS by_debt, credit.merge(s.by_amount) AS by_amount,
			   sum(s.n_undated)::bigint AS n_undated
		  FROM state s GROUP BY s.account_id, s.currency) q
 CROSS JOIN time t;
END;
COMMENT ON FUNCTION credit.payment_behaviour_folded(integer, integer, integer) IS
'Payment measures of each account as of today, by debt and by amount, from the states of closed months and what is live; what payment_behaviour_on() works out from the rows.';

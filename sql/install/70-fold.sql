/*
 * Subject fold: profiles of months and of the year, kept per account.
 *
 * What was settled in a month changes rarely.  Its states are worked out once,
 * and views add them up with what is live: what is open, the first month of
 * the window where it is cut, and months that bear a mark.  Marks are written
 * by whoever changes a settlement, in the same transaction (src/settlement.c);
 * so every snapshot sees, together with a change, that it cannot use the state
 * of before.  Of every month of every account there is a state or a mark.
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
'Payment states of months, worked out by fold_months(). Where month_mark has the same month of an account, the state is out of date.';
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
 * The same of what was settled after a day up to another, set by set, by the
 * index of days: what it costs hangs on these days, not on the history of the
 * accounts.  of_account: of that one instead, by the indexes of its documents.  after NULL: of what was settled nobody knows when.  An account is
 * looked up by hash, however the planner joins.
 */
CREATE FUNCTION credit.settled_states(accounts bigint[], after date, until date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, month date, by_debt credit.payment_state,
			   by_amount credit.payment_state, n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH recent AS
	(SELECT DISTINCT q.source_id, q.key
	   FROM (SELECT r.source_id, r.key FROM credit.settlement r
			  WHERE of_account IS NULL AND cardinality(accounts) > 0
				AND ((r.settled_on > after AND r.settled_on <= until) OR (after IS NULL AND r.settled_on IS NULL))
			 UNION ALL
			 SELECT i.source_id, i.key
			   FROM credit.item i
			  CROSS JOIN LATERAL
					(SELECT FROM credit.settlement r
					  WHERE r.source_id = i.source_id AND r.key = i.key
						AND ((r.settled_on > after AND r.settled_on <= until) OR (after IS NULL AND r.settled_on IS NULL))
					 OFFSET 0) r
			  WHERE of_account IS NOT NULL
				AND i.account_id = of_account AND (i.is_open OR NOT i.is_open) AND i.amount > 0
				AND i.source_id = ANY (ARRAY(SELECT s.source_id FROM credit.source s WHERE s.kind IN ('invoice', 'receivable')))) q),
settled AS MATERIALIZED
	(SELECT i.account_id, i.currency, i.source_id, i.key, i.amount AS debt,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
			COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
			COALESCE(x.settled_on, '-infinity') AS day, x.amount, x.kind, x.payment_source_id, x.payment_key
	   FROM recent r
	   JOIN credit.item i ON i.source_id = r.source_id AND i.key = r.key AND i.amount > 0
	   JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
	   JOIN credit.account a ON a.account_id = i.account_id
	   JOIN credit.settlement x ON x.source_id = r.source_id AND x.key = r.key
	  WHERE (i.account_id = of_account OR i.account_id IN (SELECT unnest(accounts))) IS TRUE
		AND (x.settled_on <= credit.today() OR x.settled_on IS NULL)
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= credit.today()
		AND (i.reversed_on IS NULL OR i.reversed_on > credit.today())),
/* as debts_of() has it */
by_day AS
	(SELECT s.account_id, s.currency, s.source_id, s.key, s.debt, s.document_date, s.due_date, s.day,
			sum(CASE WHEN s.kind NOT IN ('credit_note', 'write_off') THEN s.amount ELSE 0 END) AS paid,
			sum(sum(s.amount)) OVER (PARTITION BY s.source_id, s.key ORDER BY s.day) AS upto
	   FROM settled s
	  GROUP BY s.source_id, s.key, s.day, s.account_id, s.currency, s.debt, s.document_date, s.due_date),
marked AS
	(SELECT d.*, max(d.day) FILTER (WHERE d.upto < d.debt) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d),
whole AS
	(SELECT m.account_id, m.currency, m.debt, m.document_date, m.due_date, sum(m.paid) AS paid,
			min(m.day) FILTER (WHERE m.upto >= m.debt AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
	   FROM marked m
	  GROUP BY m.source_id, m.key, m.account_id, m.currency, m.debt, m.document_date, m.due_date),
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
			  GROUP BY s.source_id, s.key, s.payment_source_id, s.payment_key, s.day,
					   s.account_id, s.currency, s.document_date, s.due_date) u),
paid AS
	(SELECT l.account_id, l.currency, l.document_date, l.due_date, l.day,
			l.lasting - COALESCE(lag(l.lasting) OVER (PARTITION BY l.source_id, l.key, l.payment_source_id, l.payment_key
													  ORDER BY l.day), 0) AS amount
	   FROM lasting l)
SELECT q.account_id, q.currency, q.month, credit.merge(q.by_debt), credit.merge(q.by_amount), sum(q.n_undated)::bigint
  FROM (SELECT w.account_id, w.currency, date_trunc('month', w.settled_on::timestamp)::date AS month,
			   credit.payment_state(w.debt, w.document_date, w.due_date, w.settled_on) AS by_debt,
			   NULL::credit.payment_state AS by_amount, 0 AS n_undated
		  FROM whole w
		 WHERE w.paid <> 0 AND w.settled_on > after AND w.settled_on <= until
		 GROUP BY w.account_id, w.currency, date_trunc('month', w.settled_on::timestamp)::date
		UNION ALL
		SELECT p.account_id, p.currency, date_trunc('month', p.day::timestamp)::date, NULL,
			   credit.payment_state(p.amount, p.document_date, p.due_date, p.day), 0
		  FROM paid p
		 WHERE p.amount > 0 AND p.day > after AND p.day <= until
		 GROUP BY p.account_id, p.currency, date_trunc('month', p.day::timestamp)::date
		UNION ALL
		SELECT w.account_id, w.currency, '-infinity', NULL, NULL, count(*)
		  FROM whole w
		 WHERE after IS NULL AND w.settled_on = '-infinity'
		 GROUP BY w.account_id, w.currency) q
 GROUP BY q.account_id, q.currency, q.month;
END;
COMMENT ON FUNCTION credit.settled_states(bigint[], date, date, bigint) IS
'Payment states by month of what some accounts, or one by its indexes, settled after a day up to another; after NULL: of what was settled before its source was attached, month -infinity.';

/*
 * The year up to the day of the fold, which most readers want, added up: one
 * row an account instead of twelve months.  It cannot be used of accounts that
 * bear a mark, or that settled something on days that have left the year since.
 */
CREATE TABLE credit.year_state
(
	account_id	bigint NOT NULL,
	currency	text COLLATE "C" NOT NULL,
	by_debt		credit.payment_state,
	by_amount	credit.payment_state,
	n_undated	bigint NOT NULL,
	PRIMARY KEY (account_id, currency)
);
COMMENT ON TABLE credit.year_state IS
'Payment states of the 365 days up to the day of fold_day, per account; written by fold_months(). Where month_mark has a month of an account, the state is out of date.';
COMMENT ON COLUMN credit.year_state.account_id IS 'Account.';
COMMENT ON COLUMN credit.year_state.currency IS 'Currency of the debts.';
COMMENT ON COLUMN credit.year_state.by_debt IS 'Debts of which nothing is open since a day of the year: one row each.';
COMMENT ON COLUMN credit.year_state.by_amount IS 'What was paid in the year: one row per settlement.';
COMMENT ON COLUMN credit.year_state.n_undated IS 'Number of debts settled before their source was attached.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.year_state
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

CREATE TABLE credit.fold_day
(
	day			date PRIMARY KEY
);
COMMENT ON TABLE credit.fold_day IS 'Day up to which year_state goes; no row: there was no fold.';
COMMENT ON COLUMN credit.fold_day.day IS 'Day of the latest fold.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.fold_day
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

/*
 * Where something changes by itself on a day to come, without anybody who
 * would leave a mark, nothing is kept.
 */
CREATE FUNCTION credit.unfoldable_accounts() RETURNS SETOF bigint
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
SELECT i.account_id
  FROM credit.settlement t
  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
 WHERE t.settled_on > credit.today() AND i.account_id IS NOT NULL
UNION
SELECT i.account_id FROM credit.item i
 WHERE i.account_id IS NOT NULL
   AND (i.reversed_on > credit.today() OR
		COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) > credit.today())
   AND EXISTS (SELECT FROM credit.settlement t WHERE t.source_id = i.source_id AND t.key = i.key);
END;
COMMENT ON FUNCTION credit.unfoldable_accounts() IS
'Accounts with something settled, or a settled debt dated or reversed, on a day to come: fold_months() leaves them until then.';

/* Year states of some accounts anew, from the states of months and the days of the first one. */
CREATE FUNCTION credit.fold_year(accounts bigint[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	after date := credit.today() - 365;
	first_month date := (date_trunc('month', after::timestamp) + interval '1 month')::date;
BEGIN
	DELETE FROM credit.year_state s USING (SELECT DISTINCT unnest(accounts) AS account_id) a
	 WHERE s.account_id = a.account_id;
	INSERT INTO credit.year_state (account_id, currency, by_debt, by_amount, n_undated)
	SELECT q.account_id, q.currency, credit.merge(q.by_debt), credit.merge(q.by_amount), sum(q.n_undated)
	  FROM (SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
			  FROM credit.month_state s
			 WHERE (s.month >= first_month OR s.month = '-infinity')
			   AND (s.account_id IN (SELECT unnest(accounts))) IS TRUE
			UNION ALL
			SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
			  FROM credit.settled_states(accounts, after, first_month - 1) s) q
	 GROUP BY q.account_id, q.currency;
END
$$;
COMMENT ON FUNCTION credit.fold_year(bigint[]) IS
'Part of fold_months(): the states of the year of some accounts.';

/*
 * Works out what bears a mark, month by month, in one statement each: what is
 * worked out and the marks that are taken away are of one snapshot.  A mark
 * that somebody writes meanwhile is not in it, and stays.
 */
CREATE FUNCTION credit.fold_months(batch integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	today date := credit.today();
	last_fold date;
	unfoldable bigint[];
	due_month date;
	folded bigint[];
	touched bigint[] := '{}';
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
	unfoldable := ARRAY(SELECT u FROM credit.unfoldable_accounts() u);

	/* all months of an account: those it has */
	WITH mark AS
		(DELETE FROM credit.month_mark m
		  WHERE m.month = 'infinity' AND NOT (m.account_id IN (SELECT unnest(unfoldable))) RETURNING m.account_id)
	INSERT INTO credit.month_mark (account_id, month)
	SELECT i.account_id, COALESCE(date_trunc('month', t.settled_on::timestamp)::date, '-infinity')
	  FROM (SELECT DISTINCT k.account_id FROM mark k) k
	  JOIN credit.item i ON i.account_id = k.account_id
	  JOIN credit.settlement t ON t.source_id = i.source_id AND t.key = i.key
	UNION
	SELECT s.account_id, s.month FROM mark k JOIN credit.month_state s ON s.account_id = k.account_id;

	FOR due_month IN
		SELECT DISTINCT m.month FROM credit.month_mark m WHERE m.month <= today ORDER BY 1
	LOOP
		WITH mark AS
			(DELETE FROM credit.month_mark m
			  WHERE m.month = due_month AND NOT (m.account_id IN (SELECT unnest(unfoldable))) RETURNING m.account_id),
		due AS (SELECT DISTINCT k.account_id FROM mark k),
		state AS MATERIALIZED
			(SELECT s.* FROM credit.settled_states
				(ARRAY(SELECT d.account_id FROM due d),
				 CASE WHEN isfinite(due_month) THEN due_month - 1 END,
				 LEAST((due_month::timestamp + interval '1 month')::date - 1, today)) s),
		gone AS
			(DELETE FROM credit.month_state s
			  WHERE s.month = due_month AND s.account_id IN (SELECT d.account_id FROM due d)
				AND NOT EXISTS (SELECT FROM state n WHERE n.account_id = s.account_id AND n.currency = s.currency)),
		kept AS
			(INSERT INTO credit.month_state AS s (account_id, currency, month, by_debt, by_amount, n_undated, folded_at)
			 SELECT n.account_id, n.currency, n.month, n.by_debt, n.by_amount, n.n_undated, clock_timestamp() FROM state n
			 ON CONFLICT ON CONSTRAINT month_state_pkey DO UPDATE
			 SET by_debt = excluded.by_debt, by_amount = excluded.by_amount, n_undated = excluded.n_undated,
				 folded_at = excluded.folded_at)
		SELECT array_agg(d.account_id) INTO folded FROM due d;
		total := total + COALESCE(cardinality(folded), 0);
		touched := ARRAY(SELECT unnest(touched) UNION SELECT unnest(folded));
	END LOOP;

	/* and the year of those, and of whom something has left it */
	SELECT max(f.day) INTO last_fold FROM credit.fold_day f;
	IF last_fold IS NULL OR last_fold > today THEN
		touched := ARRAY(SELECT a.account_id FROM credit.account a);
	ELSE
		touched := ARRAY(
			SELECT unnest(touched)
			UNION
			SELECT i.account_id FROM credit.settlement t
			  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
			 WHERE t.settled_on > last_fold - 365 AND t.settled_on <= today - 365);
	END IF;
	PERFORM credit.fold_year(touched);
	DELETE FROM credit.fold_day;
	INSERT INTO credit.fold_day (day) VALUES (today);
	PERFORM credit.maintain(false);
	RETURN total;
END
$$;
COMMENT ON FUNCTION credit.fold_months(integer) IS
'Works out the payment states of months that bear a mark, month by month, and those of the year; returns how many months of accounts there were. daily() calls it; nobody waits for it. batch is not used any more.';

CREATE FUNCTION credit.rebuild_months() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	INSERT INTO credit.month_mark (account_id, month)
	SELECT i.account_id, COALESCE(date_trunc('month', t.settled_on::timestamp)::date, '-infinity')
	  FROM credit.settlement t
	  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
	  JOIN credit.source s ON s.source_id = i.source_id
	 WHERE s.kind IN ('invoice', 'receivable') AND i.account_id IS NOT NULL
	UNION
	SELECT s.account_id, s.month FROM credit.month_state s;
	DELETE FROM credit.fold_day;
	PERFORM credit.maintain(false);
	RETURN credit.fold_months();
END
$$;
COMMENT ON FUNCTION credit.rebuild_months() IS
'Works out all payment states anew; returns how many months of accounts there were.';

CREATE FUNCTION credit.verify_months()
RETURNS TABLE (customer text, segment text, currency text, month date, problem text)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH account AS
	(SELECT DISTINCT i.account_id FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
	  WHERE s.kind IN ('invoice', 'receivable') AND i.account_id IS NOT NULL),
truth AS
	(SELECT t.* FROM credit.month_states_of(ARRAY(SELECT a.account_id FROM account a)) t),
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
'States of months that are not what the rows come to, although they bear no mark; no row: all are right. rebuild_months() mends them.';

/*
 * Accounts of which year_state cannot be used, with the months that bear a
 * mark; month NULL: none does, but something has left the year.
 */
CREATE FUNCTION credit.stale_months(today date)
RETURNS TABLE (account_id bigint, month date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT m.account_id, m.month
  FROM credit.month_mark m
 WHERE m.month >= date_trunc('month', (today - 365)::timestamp) OR m.month = '-infinity'
UNION
SELECT i.account_id, NULL
  FROM credit.settlement t
  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
 WHERE t.settled_on > (SELECT max(f.day) FROM credit.fold_day f) - 365 AND t.settled_on <= today - 365
   AND i.account_id IS NOT NULL
UNION
SELECT a.account_id, NULL
  FROM credit.account a
 WHERE NOT EXISTS (SELECT FROM credit.fold_day f WHERE f.day <= today);
END;
COMMENT ON FUNCTION credit.stale_months(date) IS
'Accounts of which year_state cannot be used today, and the months of them that bear a mark.';

CREATE FUNCTION credit.payment_behaviour_folded
	(days integer DEFAULT 365, grace_days integer DEFAULT 0, half_life integer DEFAULT 90)
RETURNS TABLE (account_id bigint, currency text, by_debt credit.payment_measures,
			   by_amount credit.payment_measures, n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH time AS MATERIALIZED
	(SELECT d.today, d.today - days AS after,
			date_trunc('month', d.today::timestamp)::date AS this_month,
			(date_trunc('month', (d.today - days + 1)::timestamp) +
			 CASE WHEN extract(day FROM d.today - days + 1) = 1
				  THEN interval '0' ELSE interval '1 month' END)::date AS first_month
	   FROM (SELECT credit.today() AS today) d),
mark AS MATERIALIZED
	(SELECT DISTINCT m.account_id, m.month FROM credit.month_mark m CROSS JOIN time t
	  WHERE m.month >= t.first_month OR m.month = '-infinity'),
/* of these the year cannot be read as it is kept */
stale AS MATERIALIZED
	(SELECT s.account_id FROM credit.stale_months((SELECT t.today FROM time t)) s WHERE days = 365
	 UNION
	 SELECT a.account_id FROM credit.account a WHERE days <> 365),
kept AS
	(SELECT y.account_id, y.currency, y.by_debt, y.by_amount, y.n_undated
	   FROM credit.year_state y
	  WHERE days = 365 AND NOT (y.account_id IN (SELECT x.account_id FROM stale x))
	 UNION ALL
	 SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM credit.month_state s CROSS JOIN time t
	  WHERE ((s.month >= t.first_month AND s.month <= t.this_month) OR s.month = '-infinity')
		AND (s.account_id IN (SELECT x.account_id FROM stale x)) IS TRUE
		AND NOT (s.account_id IN (SELECT m.account_id FROM mark m WHERE m.month = 'infinity'))
		AND NOT ((s.account_id, s.month) IN (SELECT m.account_id, m.month FROM mark m))),
/* months that bear a mark: mostly the one that runs */
anew AS
	(SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM time t
	  CROSS JOIN LATERAL credit.settled_states
			(ARRAY(SELECT m.account_id FROM mark m WHERE m.month IN (t.this_month, 'infinity')),
			 t.this_month - 1, t.today) s
	  WHERE t.first_month <= t.this_month
	 UNION ALL
	 SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM time t
	  CROSS JOIN LATERAL credit.settled_states
			(ARRAY(SELECT m.account_id FROM mark m WHERE m.month < t.this_month OR m.month = 'infinity'),
			 t.first_month - 1, t.this_month - 1) s
	  WHERE t.first_month < t.this_month
		AND EXISTS (SELECT FROM mark m WHERE (m.month < t.this_month AND m.month > '-infinity') OR m.month = 'infinity')
		AND ((s.account_id IN (SELECT m.account_id FROM mark m WHERE m.month = 'infinity')) OR
			 ((s.account_id, s.month) IN (SELECT m.account_id, m.month FROM mark m)))
	 UNION ALL
	 SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM credit.settled_states
			(ARRAY(SELECT m.account_id FROM mark m WHERE NOT isfinite(m.month)), NULL, NULL) s
	  WHERE EXISTS (SELECT FROM mark m WHERE NOT isfinite(m.month))
	 UNION ALL
	 /* and the days before the first whole month */
	 SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM time t
	  CROSS JOIN LATERAL credit.settled_states
			(ARRAY(SELECT x.account_id FROM stale x), t.after, LEAST(t.first_month - 1, t.today)) s
	  WHERE EXISTS (SELECT FROM stale x)),
open AS
	(SELECT i.account_id, i.currency,
			credit.payment_state(i.amount, i.document_date, i.due_date, NULL) AS by_debt,
			credit.payment_state(i.open_amount, i.document_date, i.due_date, NULL) AS by_amount
	   FROM (SELECT i.account_id, i.currency, i.amount, COALESCE(i.stages[3], 0) + COALESCE(i.stages[4], 0) AS open_amount,
					COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
					COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date
			   FROM credit.item i
			   JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
			   JOIN credit.account a ON a.account_id = i.account_id
			  WHERE i.is_open AND i.amount > 0) i
	  WHERE i.open_amount > 0 AND i.document_date <= (SELECT t.today FROM time t)
	  GROUP BY i.account_id, i.currency),
state AS
	(SELECT k.account_id, k.currency, k.by_debt, k.by_amount, k.n_undated FROM kept k
	 UNION ALL
	 SELECT n.account_id, n.currency, n.by_debt, n.by_amount, n.n_undated FROM anew n
	 UNION ALL
	 SELECT o.account_id, o.currency, o.by_debt, o.by_amount, 0 FROM open o)
SELECT q.account_id, q.currency,
	   credit.payment_measures(q.by_debt, t.today, grace_days, half_life),
	   credit.payment_measures(q.by_amount, t.today, grace_days, half_life), q.n_undated
  FROM (SELECT s.account_id, s.currency, credit.merge(s.by_debt) AS by_debt, credit.merge(s.by_amount) AS by_amount,
			   sum(s.n_undated)::bigint AS n_undated
		  FROM state s GROUP BY s.account_id, s.currency) q
 CROSS JOIN time t;
END;
COMMENT ON FUNCTION credit.payment_behaviour_folded(integer, integer, integer) IS
'Payment measures of each account as of today, by debt and by amount, from the states that are kept and what is live; what payment_behaviour_on() works out from the rows.';

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
/* today's from the states that are kept */
SELECT a.customer, a.segment, a.name, b.currency,
	   COALESCE((b.by_debt).n_paid, 0), COALESCE((b.by_debt).n_open, 0), COALESCE((b.by_debt).n_overdue, 0), b.n_undated,
	   COALESCE((b.by_amount).paid_amount, 0), COALESCE((b.by_amount).open_amount, 0), COALESCE((b.by_amount).overdue_amount, 0),
	   (b.by_debt).on_time_rate, (b.by_amount).on_time_rate_by_amount,
	   (b.by_debt).mean_days_late, (b.by_amount).weighted_days_late, (b.by_debt).median_days_late,
	   (b.by_debt).p90_days_late, (b.by_debt).max_days_late, (b.by_debt).max_days_overdue,
	   (b.by_amount).days_beyond_terms, (b.by_amount).open_days_beyond_terms,
	   (b.by_debt).mean_days_to_pay, (b.by_amount).weighted_days_to_pay, (b.by_amount).weighted_terms,
	   (b.by_debt).sd_days_late, (b.by_debt).mean_deviation, (b.by_debt).cv_days_to_pay,
	   (b.by_debt).trend_slope, (b.by_debt).trend_se, (b.by_debt).trend_p, (b.by_debt).is_worsening,
	   (b.by_debt).recent_days_late, (b.by_debt).recent_n, (b.by_amount).payment_index,
	   (b.by_debt).first_invoice_date, (b.by_debt).first_paid_date, (b.by_debt).last_paid_date
  FROM (SELECT f.account_id, f.currency, f.by_debt, f.by_amount, f.n_undated
		  FROM credit.payment_behaviour_folded(payment_behaviour_on.days, payment_behaviour_on.grace_days,
											   payment_behaviour_on.half_life) f
		 WHERE payment_behaviour_on.as_of = credit.today() AND NOT credit.needs_allocation()
		UNION ALL
		SELECT r.account_id, r.currency, r.by_debt, r.by_amount, r.n_undated
		  FROM credit.behaviour_on(payment_behaviour_on.as_of, payment_behaviour_on.days,
								   payment_behaviour_on.grace_days, payment_behaviour_on.half_life) r
		 WHERE payment_behaviour_on.as_of <> credit.today() OR credit.needs_allocation()) b
  JOIN credit.account a ON a.account_id = b.account_id;
END;
COMMENT ON FUNCTION credit.payment_behaviour_on(date, integer, integer, integer) IS
'How each customer pays, by currency, as of a day: debts paid in the days before it and debts open on it. grace_days: late by so many is still on time; half_life in days: of recent_days_late. Those of today are read from the states that are kept. Counts, rates, quantiles and trend are by debt, weighted measures by amount paid.';

/*
 * Of each account what is kept of its year and is open; where it bears a mark
 * of some months, what is kept of the others and what was settled in these; or,
 * where nothing can be used, all its documents.  So one customer costs what
 * that customer has.
 */
CREATE VIEW credit.payment_behaviour AS
SELECT a.customer, a.segment, a.name, b.currency COLLATE "C" AS currency,
	   COALESCE((b.by_debt).n_paid, 0) AS n_paid, COALESCE((b.by_debt).n_open, 0) AS n_open,
	   COALESCE((b.by_debt).n_overdue, 0) AS n_overdue, b.n_undated,
	   COALESCE((b.by_amount).paid_amount, 0) AS paid_amount,
	   COALESCE((b.by_amount).open_amount, 0) AS open_amount,
	   COALESCE((b.by_amount).overdue_amount, 0) AS overdue_amount, (b.by_debt).on_time_rate,
	   (b.by_amount).on_time_rate_by_amount, (b.by_debt).mean_days_late,
	   (b.by_amount).weighted_days_late, (b.by_debt).median_days_late,
	   (b.by_debt).p90_days_late, (b.by_debt).max_days_late, (b.by_debt).max_days_overdue,
	   (b.by_amount).days_beyond_terms, (b.by_amount).open_days_beyond_terms,
	   (b.by_debt).mean_days_to_pay, (b.by_amount).weighted_days_to_pay,
	   (b.by_amount).weighted_terms, (b.by_debt).sd_days_late, (b.by_debt).mean_deviation,
	   (b.by_debt).cv_days_to_pay, (b.by_debt).trend_slope, (b.by_debt).trend_se,
	   (b.by_debt).trend_p, (b.by_debt).is_worsening, (b.by_debt).recent_days_late,
	   (b.by_debt).recent_n, (b.by_amount).payment_index, (b.by_debt).first_invoice_date,
	   (b.by_debt).first_paid_date, (b.by_debt).last_paid_date
  FROM credit.account a
 CROSS JOIN LATERAL
	   (SELECT t.*,
			   CASE WHEN credit.as_of() <> t.today OR (SELECT credit.needs_allocation()) OR
						 EXISTS (SELECT FROM credit.month_mark m
								  WHERE m.account_id = a.account_id AND m.month IN ('infinity', '-infinity')) THEN 'rows'
					WHEN EXISTS (SELECT FROM credit.fold_day f WHERE f.day <= t.today)
						 AND NOT EXISTS (SELECT FROM credit.month_mark m
										  WHERE m.account_id = a.account_id AND m.month >= date_trunc('month', t.after::timestamp))
						 AND NOT (a.account_id IN
								  (SELECT i.account_id FROM credit.settlement x
									 JOIN credit.item i ON i.source_id = x.source_id AND i.key = x.key
									WHERE x.settled_on > (SELECT max(f.day) FROM credit.fold_day f) - 365
									  AND x.settled_on <= credit.today() - 365 AND i.account_id IS NOT NULL)) THEN 'year'
					ELSE 'months' END AS read_from
		  FROM (SELECT d.today, d.today - 365 AS after, date_trunc('month', d.today::timestamp)::date AS this_month,
					   (date_trunc('month', (d.today - 365)::timestamp) + interval '1 month')::date AS first_month
				  FROM (SELECT credit.today() AS today) d) t
		OFFSET 0) k
 CROSS JOIN LATERAL
	   (SELECT q.currency, credit.payment_measures(credit.merge(q.by_debt), k.today, 0, 90) AS by_debt,
			   credit.payment_measures(credit.merge(q.by_amount), k.today, 0, 90) AS by_amount,
			   sum(q.n_undated)::bigint AS n_undated
		  FROM (SELECT y.currency, y.by_debt, y.by_amount, y.n_undated
				  FROM credit.year_state y
				 WHERE y.account_id = a.account_id AND k.read_from = 'year'
				UNION ALL
				SELECT s.currency, s.by_debt, s.by_amount, s.n_undated
				  FROM credit.month_state s
				 WHERE s.account_id = a.account_id AND k.read_from = 'months'
				   AND ((s.month >= k.first_month AND s.month <= k.this_month) OR s.month = '-infinity')
				   AND NOT EXISTS (SELECT FROM credit.month_mark m WHERE m.account_id = s.account_id AND m.month = s.month)
				UNION ALL
				/* the days before the first whole month, and months that bear a mark */
				SELECT s.currency, s.by_debt, s.by_amount, s.n_undated
				  FROM credit.settled_states(NULL, k.after, k.first_month - 1, a.account_id) s
				 WHERE k.read_from = 'months'
				UNION ALL
				SELECT s.currency, s.by_debt, s.by_amount, s.n_undated
				  FROM (SELECT min(m.month) AS first_mark FROM credit.month_mark m
						 WHERE m.account_id = a.account_id AND k.read_from = 'months'
						   AND m.month >= k.first_month AND m.month <= k.this_month) f
				 CROSS JOIN LATERAL credit.settled_states(NULL, f.first_mark - 1, k.today, a.account_id) s
				 WHERE f.first_mark IS NOT NULL
				   AND EXISTS (SELECT FROM credit.month_mark m WHERE m.account_id = a.account_id AND m.month = s.month)
				UNION ALL
				SELECT o.currency, credit.payment_state(o.amount, o.document_date, o.due_date, NULL),
					   credit.payment_state(o.open_amount, o.document_date, o.due_date, NULL), 0
				  FROM (SELECT i.currency, i.amount, COALESCE(i.stages[3], 0) + COALESCE(i.stages[4], 0) AS open_amount,
							   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
							   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date
						  FROM credit.item i
						 WHERE i.account_id = a.account_id AND i.is_open AND i.amount > 0
						   AND i.source_id = ANY (ARRAY(SELECT s.source_id FROM credit.source s WHERE s.kind IN ('invoice', 'receivable')))) o
				 WHERE k.read_from <> 'rows' AND o.open_amount > 0 AND o.document_date <= credit.today()
				 GROUP BY o.currency) q
		 GROUP BY q.currency
		UNION ALL
		SELECT r.currency, r.by_debt, r.by_amount, r.n_undated
		  FROM credit.behaviour_of(a.account_id, credit.as_of(), 365, 0, 90) r
		 WHERE k.read_from = 'rows') b;
COMMENT ON VIEW credit.payment_behaviour IS 'How each customer pays, by currency: the year up to today, or to the day of credit.as_of. Worked out customer by customer; payment_behaviour_on() is the same, quicker for all when many have had payments since the last fold.';
COMMENT ON COLUMN credit.payment_behaviour.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.payment_behaviour.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.payment_behaviour.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.payment_behaviour.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.payment_behaviour.n_paid IS 'Number of debts paid in the year.';
COMMENT ON COLUMN credit.payment_behaviour.n_open IS 'Number of debts that are open.';
COMMENT ON COLUMN credit.payment_behaviour.n_overdue IS 'Number of these that are past due.';
COMMENT ON COLUMN credit.payment_behaviour.n_undated IS 'Number of debts settled before their source was attached: nobody knows when, so they are left out.';
COMMENT ON COLUMN credit.payment_behaviour.paid_amount IS 'Sum of what was paid in the year.';
COMMENT ON COLUMN credit.payment_behaviour.open_amount IS 'Sum of the open debts.';
COMMENT ON COLUMN credit.payment_behaviour.overdue_amount IS 'Sum of the debts past due.';
COMMENT ON COLUMN credit.payment_behaviour.on_time_rate IS 'Share (0 to 1) of debts paid on time, among those paid and those overdue.';
COMMENT ON COLUMN credit.payment_behaviour.on_time_rate_by_amount IS 'The same share of amounts.';
COMMENT ON COLUMN credit.payment_behaviour.mean_days_late IS 'Mean of days from due date to payment; early payments are negative.';
COMMENT ON COLUMN credit.payment_behaviour.weighted_days_late IS 'The same weighted by amount.';
COMMENT ON COLUMN credit.payment_behaviour.median_days_late IS 'Median of days late.';
COMMENT ON COLUMN credit.payment_behaviour.p90_days_late IS 'Ninetieth percentile of days late; below 10 debts it says little.';
COMMENT ON COLUMN credit.payment_behaviour.max_days_late IS 'Latest payment, in days late.';
COMMENT ON COLUMN credit.payment_behaviour.max_days_overdue IS 'Most days past due of an open debt.';
COMMENT ON COLUMN credit.payment_behaviour.days_beyond_terms IS 'Days late weighted by amount, early payments counted as 0.';
COMMENT ON COLUMN credit.payment_behaviour.open_days_beyond_terms IS 'Days past due of open debts weighted by amount, those not due counted as 0.';
COMMENT ON COLUMN credit.payment_behaviour.mean_days_to_pay IS 'Mean of days from document date to payment.';
COMMENT ON COLUMN credit.payment_behaviour.weighted_days_to_pay IS 'The same weighted by amount: terms and days late together.';
COMMENT ON COLUMN credit.payment_behaviour.weighted_terms IS 'Days from document date to due date, weighted by amount.';
COMMENT ON COLUMN credit.payment_behaviour.sd_days_late IS 'Standard deviation of days late: stability of the habit.';
COMMENT ON COLUMN credit.payment_behaviour.mean_deviation IS 'Mean absolute deviation of days late from their mean.';
COMMENT ON COLUMN credit.payment_behaviour.cv_days_to_pay IS 'Coefficient of variation of days to pay.';
COMMENT ON COLUMN credit.payment_behaviour.trend_slope IS 'By how many days payments get later in 30 days.';
COMMENT ON COLUMN credit.payment_behaviour.trend_se IS 'Standard error of the slope.';
COMMENT ON COLUMN credit.payment_behaviour.trend_p IS 'Probability of such a slope without a trend.';
COMMENT ON COLUMN credit.payment_behaviour.is_worsening IS 'True: the slope is positive, p is below 0.05 and there are at least 6 payments.';
COMMENT ON COLUMN credit.payment_behaviour.recent_days_late IS 'Mean days late with weights that halve with every 90 days.';
COMMENT ON COLUMN credit.payment_behaviour.recent_n IS 'Number of payments that this mean is worth.';
COMMENT ON COLUMN credit.payment_behaviour.payment_index IS 'Index of payment from 1 to 100, weighted by amount: 80 is prompt, 100 is 30 days early, 50 is 30 days late.';
COMMENT ON COLUMN credit.payment_behaviour.first_invoice_date IS 'Date of the oldest of these debts.';
COMMENT ON COLUMN credit.payment_behaviour.first_paid_date IS 'Day of the first payment in the year.';
COMMENT ON COLUMN credit.payment_behaviour.last_paid_date IS 'Day of the last payment.';

/*
 * States of months up to today, of all accounts: those that are kept, and of
 * months that bear a mark what the rows come to.
 */
CREATE FUNCTION credit.month_states_today(first_month date)
RETURNS TABLE (account_id bigint, currency text, month date, by_debt credit.payment_state,
			   by_amount credit.payment_state)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH time AS MATERIALIZED
	(SELECT d.today, date_trunc('month', d.today::timestamp)::date AS this_month FROM (SELECT credit.today() AS today) d),
mark AS MATERIALIZED
	(SELECT DISTINCT m.account_id, m.month FROM credit.month_mark m WHERE m.month >= first_month)
SELECT s.account_id, s.currency, s.month, s.by_debt, s.by_amount
  FROM credit.month_state s
 WHERE s.month >= first_month
   AND NOT (s.account_id IN (SELECT m.account_id FROM mark m WHERE m.month = 'infinity'))
   AND NOT ((s.account_id, s.month) IN (SELECT m.account_id, m.month FROM mark m))
UNION ALL
SELECT s.account_id, s.currency, s.month, s.by_debt, s.by_amount
  FROM time t
 CROSS JOIN LATERAL credit.settled_states
	   (ARRAY(SELECT m.account_id FROM mark m WHERE m.month IN (t.this_month, 'infinity')),
		t.this_month - 1, t.today) s
 WHERE first_month <= t.this_month
UNION ALL
SELECT s.account_id, s.currency, s.month, s.by_debt, s.by_amount
  FROM time t
 CROSS JOIN LATERAL credit.settled_states
	   (ARRAY(SELECT m.account_id FROM mark m WHERE m.month < t.this_month OR m.month = 'infinity'),
		first_month - 1, t.this_month - 1) s
 WHERE first_month < t.this_month
   AND ((s.account_id IN (SELECT m.account_id FROM mark m WHERE m.month = 'infinity')) OR
		((s.account_id, s.month) IN (SELECT m.account_id, m.month FROM mark m)));
END;
COMMENT ON FUNCTION credit.month_states_today(date) IS
'Payment states by account and month from a month (its first day) up to today, from what is kept and, where a month bears a mark, from the rows.';

CREATE FUNCTION credit.payment_trend_on(as_of date, months integer DEFAULT 24)
RETURNS TABLE (customer text, segment text, name text, currency text, month date,
			   n_paid bigint, paid_amount numeric, on_time_rate float8,
			   mean_days_late float8, weighted_days_late float8, median_days_late float8,
			   p90_days_late float8, payment_index float8, invoiced_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* today's of all accounts set by set, from the states that are kept */
SELECT a.customer, a.segment, a.name, q.currency, q.month,
	   COALESCE((q.p).n_paid, 0), COALESCE((q.p).paid_amount, 0), (q.p).on_time_rate,
	   (q.p).mean_days_late, (q.p).weighted_days_late, (q.p).median_days_late,
	   (q.p).p90_days_late, (q.p).payment_index, COALESCE(q.amount, 0)
  FROM (SELECT e.account_id, e.currency, e.month, credit.payment_measures(credit.merge(e.state)) AS p, sum(e.amount) AS amount
		  FROM (SELECT s.account_id, s.currency, s.month, s.by_debt AS state, NULL::numeric AS amount
				  FROM credit.month_states_today
						((date_trunc('month', payment_trend_on.as_of::timestamp) - make_interval(months => payment_trend_on.months - 1))::date) s
				 WHERE s.by_debt IS NOT NULL
				UNION ALL
				SELECT d.account_id, d.currency, date_trunc('month', d.day::timestamp)::date, NULL, sum(d.amount)
				  FROM (SELECT i.account_id, i.currency, i.amount,
							   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day
						  FROM credit.item i
						  JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
						 WHERE i.amount > 0 AND (i.reversed_on IS NULL OR i.reversed_on > payment_trend_on.as_of)) d
				 WHERE d.day >= date_trunc('month', payment_trend_on.as_of::timestamp) - make_interval(months => payment_trend_on.months - 1)
				   AND d.day <= payment_trend_on.as_of
				 GROUP BY d.account_id, d.currency, date_trunc('month', d.day::timestamp)::date) e
		 WHERE payment_trend_on.as_of = credit.today() AND NOT credit.needs_allocation()
		 GROUP BY e.account_id, e.currency, e.month) q
  JOIN credit.account a ON a.account_id = q.account_id
UNION ALL
SELECT a.customer, a.segment, a.name, q.currency, q.month,
	   COALESCE((q.p).n_paid, 0), COALESCE((q.p).paid_amount, 0), (q.p).on_time_rate,
	   (q.p).mean_days_late, (q.p).weighted_days_late, (q.p).median_days_late,
	   (q.p).p90_days_late, (q.p).payment_index, COALESCE(q.amount, 0)
  FROM credit.account a
 CROSS JOIN LATERAL credit.trend_of(a.account_id, payment_trend_on.as_of, payment_trend_on.months) q
 WHERE payment_trend_on.as_of <> credit.today() OR credit.needs_allocation();
END;
COMMENT ON FUNCTION credit.payment_trend_on(date, integer) IS
'How each customer has paid month by month (by the month in which a debt was paid), and what was invoiced in it, for so many months up to a day.';

CREATE VIEW credit.payment_trend AS
SELECT a.customer COLLATE "C" AS customer, a.segment COLLATE "C" AS segment, a.name,
	   q.currency COLLATE "C" AS currency, q.month, COALESCE((q.p).n_paid, 0) AS n_paid,
	   COALESCE((q.p).paid_amount, 0) AS paid_amount, (q.p).on_time_rate, (q.p).mean_days_late,
	   (q.p).weighted_days_late, (q.p).median_days_late, (q.p).p90_days_late, (q.p).payment_index,
	   COALESCE(q.amount, 0) AS invoiced_amount
  FROM credit.account a
 CROSS JOIN LATERAL
	   (SELECT credit.as_of() = credit.today() AND NOT (SELECT credit.needs_allocation())
			   AND NOT EXISTS (SELECT FROM credit.month_mark m
								WHERE m.account_id = a.account_id AND m.month >= d.first_month) AS is_kept,
			   d.first_month
		  FROM (SELECT (date_trunc('month', credit.as_of()::timestamp) - interval '23 months')::date AS first_month) d
		OFFSET 0) k
 CROSS JOIN LATERAL
	   (SELECT e.currency, e.month, credit.payment_measures(credit.merge(e.state)) AS p, sum(e.amount) AS amount
		  FROM (SELECT s.currency, s.month, s.by_debt AS state, NULL::numeric AS amount
				  FROM credit.month_state s
				 WHERE s.account_id = a.account_id AND s.month >= k.first_month AND s.by_debt IS NOT NULL AND k.is_kept
				UNION ALL
				SELECT i.currency,
					   date_trunc('month', COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at))::timestamp)::date,
					   NULL, i.amount
				  FROM credit.item i
				 WHERE i.account_id = a.account_id AND (i.is_open OR NOT i.is_open) AND i.amount > 0 AND k.is_kept
				   AND i.source_id = ANY (ARRAY(SELECT s.source_id FROM credit.source s WHERE s.kind IN ('invoice', 'receivable')))
				   AND (i.reversed_on IS NULL OR i.reversed_on > credit.today())
				   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) >= k.first_month
				   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= credit.today()) e
		 GROUP BY e.currency, e.month
		UNION ALL
		SELECT t.currency, t.month, t.p, t.amount
		  FROM credit.trend_of(a.account_id, credit.as_of(), 24) t
		 WHERE NOT k.is_kept) q;
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

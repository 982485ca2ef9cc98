-- Views over how customers pay, against plain SQL over the ERP's own tables:
-- random documents with part payments, credit notes, write-offs, returns; an
-- ERP that states nothing; past days; several currencies; an empty ledger.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;
SET LOCAL jit = off;
SELECT credit.set_rule('not_set', 'off');

-- nothing is attached, or nothing is there
SELECT is_empty('SELECT FROM credit.' || v, 'an empty ledger has no row in ' || v)
  FROM unnest(ARRAY['payment_behaviour', 'payment_trend', 'receivable_indicators', 'customer_indicators', 'funds_profile', 'exposure_history']) v;

CREATE SCHEMA books;
CREATE TABLE books.customer (id text PRIMARY KEY, terms int, company text);
CREATE TABLE books.invoice (id int PRIMARY KEY, customer text, company text, currency text, day date, due date, amount numeric, reversed date);
CREATE TABLE books.payment (id int PRIMARY KEY, customer text, company text, currency text, day date, amount numeric, lost boolean);
CREATE TABLE books.application (id int PRIMARY KEY, payment int, invoice int, day date, amount numeric);
CREATE TABLE books.note (id int PRIMARY KEY, customer text, company text, currency text, day date, amount numeric, invoice int);
CREATE TABLE books.orders (id int PRIMARY KEY, customer text, company text, currency text, day date, amount numeric);
SELECT credit.attach('books.customer', 'customer', key => 'id', segment => 'company', terms_days => 'terms');
SELECT credit.attach('books.invoice', 'invoice', key => 'id', customer => 'customer', segment => 'company', currency => 'currency',
	amount => 'amount', document_date => 'day', due_date => 'due', reversed_on => 'reversed');
SELECT credit.attach('books.payment', 'payment', key => 'id', customer => 'customer', segment => 'company', currency => 'currency',
	amount => 'amount', document_date => 'day', is_write_off => 'lost');
SELECT credit.attach('books.application', 'application', key => 'id', payment => 'payment', applies_to => 'invoice',
	amount => 'amount', document_date => 'day');
SELECT credit.attach('books.note', 'credit_note', key => 'id', customer => 'customer', segment => 'company', currency => 'currency',
	amount => 'amount', document_date => 'day', applies_to => 'invoice');
SELECT credit.attach('books.orders', 'order', key => 'id', customer => 'customer', segment => 'company', currency => 'currency',
	amount => 'amount', document_date => 'day');
SELECT is_empty('SELECT FROM credit.' || v, 'nor has one with sources and no documents in ' || v)
  FROM unnest(ARRAY['payment_behaviour', 'payment_trend', 'receivable_indicators', 'customer_indicators', 'funds_profile', 'exposure_history']) v;

-- Each invoice: nothing, one payment, two, a payment and a credit note, a
-- credit note only, a write-off, too much, or money that came before it.
SELECT setseed(0.42);
INSERT INTO books.customer SELECT 'c' || c, CASE c % 3 WHEN 0 THEN 14 END, CASE WHEN c % 4 = 0 THEN 'north' ELSE '' END FROM generate_series(1, 12) c;
CREATE TABLE books.plan AS
SELECT g AS id, c.id AS customer, c.company, CASE WHEN random() < 0.2 THEN 'EUR' ELSE 'USD' END AS currency,
	   date '2024-01-01' + (random() * 700)::int AS day, (random() * 30)::int AS terms,
	   round((random() * 900 + 100)::numeric, 2) AS amount, floor(random() * 10)::int AS kind,
	   (random() * 90 - 10)::int AS lag, (random() * 40)::int AS lag2
  FROM (SELECT g, 'c' || 1 + floor(12 * random() * random()) AS customer FROM generate_series(1, 900) g) g JOIN books.customer c ON c.id = g.customer;
INSERT INTO books.invoice SELECT id, customer, company, currency, day, CASE WHEN id % 7 > 0 THEN day + terms END, amount,
	CASE WHEN kind = 9 AND id % 2 = 0 THEN day + 60 END FROM books.plan;
INSERT INTO books.payment
SELECT id, customer, company, currency, day + lag, CASE kind WHEN 2 THEN round(amount / 3, 2) WHEN 3 THEN round(amount / 2, 2) WHEN 6 THEN amount + 50 ELSE amount END, kind = 5
  FROM books.plan WHERE kind IN (1, 2, 3, 5, 6, 7, 8) AND day + lag > '2023-12-01'
UNION ALL
SELECT 10000 + id, customer, company, currency, day + lag + lag2, amount - round(amount / 3, 2), false FROM books.plan WHERE kind = 2;
INSERT INTO books.application
SELECT p.id, p.id, p.id % 10000, p.day, LEAST(p.amount, CASE WHEN n.kind = 6 THEN p.amount - 20 ELSE p.amount END)
  FROM books.payment p JOIN books.plan n ON n.id = p.id % 10000 WHERE n.kind <> 8;
-- some are applied later, or in two parts
UPDATE books.application SET day = day + 5 WHERE id % 11 = 0;
INSERT INTO books.note
SELECT id, customer, company, currency, day + 10, CASE kind WHEN 3 THEN amount - round(amount / 2, 2) WHEN 4 THEN amount ELSE 25 END,
	   CASE WHEN kind IN (3, 4) THEN id END
  FROM books.plan WHERE kind IN (3, 4) OR id % 50 = 0;
INSERT INTO books.orders SELECT id, customer, company, currency, day - 5, amount FROM books.plan WHERE id % 2 = 0;

-- What settled what, up to a day, as plain SQL over these tables.
CREATE FUNCTION books.settled(as_of date) RETURNS TABLE (invoice int, day date, amount numeric, kind text) LANGUAGE sql STABLE AS $$
SELECT a.invoice, greatest(a.day, p.day), a.amount, CASE WHEN p.lost THEN 'write_off' ELSE 'payment' END
  FROM books.application a JOIN books.payment p ON p.id = a.payment WHERE greatest(a.day, p.day) <= as_of
UNION ALL
SELECT n.invoice, n.day, n.amount, 'credit_note' FROM books.note n WHERE n.invoice IS NOT NULL AND n.day <= as_of
$$;
CREATE FUNCTION books.debt(as_of date) RETURNS TABLE (id int, customer text, company text, currency text, amount numeric, day date, due date, open numeric, paid numeric, settled date, is_cash boolean) LANGUAGE sql STABLE AS $$
SELECT i.id, i.customer, i.company, i.currency, i.amount, i.day, COALESCE(i.due, i.day + COALESCE(c.terms, 0)),
	   i.amount - COALESCE((SELECT sum(s.amount) FROM books.settled(as_of) s WHERE s.invoice = i.id), 0),
	   COALESCE((SELECT sum(s.amount) FROM books.settled(as_of) s WHERE s.invoice = i.id AND s.kind = 'payment'), 0),
	   (SELECT min(x.day) FROM (SELECT s.day, sum(s.amount) OVER (ORDER BY s.day) AS upto FROM books.settled(as_of) s WHERE s.invoice = i.id) x WHERE x.upto >= i.amount),
	   EXISTS (SELECT FROM books.settled(as_of) s WHERE s.invoice = i.id AND s.kind = 'payment')
  FROM books.invoice i JOIN books.customer c ON c.id = i.customer
 WHERE i.day <= as_of AND (i.reversed IS NULL OR i.reversed > as_of)
$$;
CREATE TABLE books.debts AS SELECT a.as_of, d.* FROM unnest(ARRAY[date '2024-06-30', '2025-03-15', '2025-12-31', '2026-03-31']) a (as_of) CROSS JOIN LATERAL books.debt(a.as_of) d;
CREATE TABLE books.paid AS
SELECT a.as_of, d.customer, d.company, d.currency, d.id, d.amount AS debt, d.day, d.due, s.day AS paid_on, sum(s.amount) AS amount
  FROM (SELECT DISTINCT as_of FROM books.debts) a CROSS JOIN LATERAL books.settled(a.as_of) s JOIN books.debts d ON d.as_of = a.as_of AND d.id = s.invoice
 WHERE s.kind = 'payment' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
SELECT cmp_ok((SELECT count(*)::int FROM books.debts WHERE settled IS NOT NULL AND is_cash), '>', 1000, 'there is something to compare');

-- Both queries give the same rows, and some.
CREATE FUNCTION books.same(have text, want text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM (%s) q', have) INTO n;
	IF n = 0 THEN
		RETURN fail(what || ': no row');
	END IF;
	RETURN is_empty(format('(SELECT ''is'', * FROM ((%1$s) EXCEPT ALL (%2$s)) a) UNION ALL (SELECT ''should be'', * FROM ((%2$s) EXCEPT ALL (%1$s)) a) LIMIT 12', have, want), what);
END
$$;

-- floats to eight places
CREATE FUNCTION books.f(value float8) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT round(value::numeric, 8) $$;

SELECT books.same(format('SELECT a.customer, a.segment, d.currency, d.key, d.amount, d.document_date, d.due_date, d.open_amount, d.paid_amount, d.settled_on, d.is_cash, d.is_dated
						FROM credit.debts_on(%L) d JOIN credit.account a USING (account_id)', q.as_of),
			  format('SELECT customer, company, currency, id::text, amount, day, due, open, paid, settled, is_cash, true FROM books.debts WHERE as_of = %L', q.as_of),
			  format('debts as of %s', q.as_of))
  FROM (SELECT DISTINCT as_of FROM books.debts) q ORDER BY q.as_of;
SELECT books.same(format('SELECT customer, currency, sum(open_amount) FROM credit.debts_on(%L) d JOIN credit.account a USING (account_id) WHERE open_amount > 0 GROUP BY 1, 2', q.as_of),
			  format('SELECT customer, currency, sum(open_amount) FROM credit.open_items_on(%L) WHERE kind = ''invoice'' AND open_amount > 0 GROUP BY 1, 2', q.as_of),
			  format('and open debts are those of open_items_on(), as of %s', q.as_of))
  FROM (SELECT DISTINCT as_of FROM books.debts) q ORDER BY q.as_of;
SELECT is((SELECT count(*) FROM credit.debts_on('2025-12-31', account_id)), (SELECT count(*) FROM books.debts WHERE as_of = '2025-12-31' AND customer = 'c1'), 'debts of one account')
  FROM credit.account WHERE customer = 'c1';
SELECT books.same($$SELECT currency, key, paid_on, sum(amount) FROM credit.account a CROSS JOIN LATERAL credit.paid_of(a.account_id, '2025-12-31') GROUP BY 1, 2, 3$$,
			  $$SELECT currency, id::text, paid_on, amount FROM books.paid WHERE as_of = '2025-12-31'$$, 'payments of debts');
SELECT books.same($$SELECT currency, key, settled_on, kind, sum(amount) FROM credit.settlements_on('2025-12-31') GROUP BY 1, 2, 3, 4 HAVING sum(amount) <> 0$$,
			  $$SELECT d.currency, d.id::text, s.day, s.kind, sum(s.amount) FROM books.settled('2025-12-31') s JOIN books.debts d ON d.id = s.invoice AND d.as_of = '2025-12-31' GROUP BY 1, 2, 3, 4$$, 'settlements of debts');

-- payment_behaviour
SELECT books.same(format($q$SELECT customer, segment, currency, n_paid, n_open, n_overdue, n_undated, paid_amount, open_amount, overdue_amount, books.f(on_time_rate), books.f(mean_days_late),
	books.f(median_days_late), books.f(p90_days_late), max_days_late, max_days_overdue, books.f(mean_days_to_pay), books.f(sd_days_late), books.f(trend_slope),
	books.f(weighted_days_late), books.f(weighted_days_to_pay), books.f(weighted_terms), books.f(days_beyond_terms), books.f(recent_days_late), last_paid_date
	FROM credit.payment_behaviour_on(%L, %s, %s)$q$, q.as_of, q.days, q.grace),
	format($q$SELECT n.*, m.wdl, m.wdp, m.wt, m.dbt, n2.recent, n2.last FROM
	(SELECT customer, company, currency, count(*) FILTER (WHERE is_paid), count(*) FILTER (WHERE settled IS NULL), count(*) FILTER (WHERE settled IS NULL AND dpd > %3$s), 0::bigint,
		(SELECT COALESCE(sum(p.amount), 0) FROM books.paid p WHERE p.as_of = %1$L AND p.customer = e.customer AND p.currency = e.currency AND p.paid_on > date %1$L - %2$s),
		COALESCE(sum(open) FILTER (WHERE open > 0), 0), COALESCE(sum(open) FILTER (WHERE open > 0 AND dpd > %3$s), 0),
		books.f(count(*) FILTER (WHERE is_paid AND d <= %3$s) / NULLIF(count(*) FILTER (WHERE is_paid OR settled IS NULL AND dpd > %3$s), 0)::float8),
		books.f(avg(d) FILTER (WHERE is_paid)), books.f(percentile_cont(0.5) WITHIN GROUP (ORDER BY d) FILTER (WHERE is_paid)), books.f(percentile_cont(0.9) WITHIN GROUP (ORDER BY d) FILTER (WHERE is_paid)),
		max(d) FILTER (WHERE is_paid), max(dpd) FILTER (WHERE settled IS NULL AND dpd > %3$s), books.f(avg(settled - day) FILTER (WHERE is_paid)), books.f(stddev_samp(d) FILTER (WHERE is_paid)),
		CASE WHEN count(*) FILTER (WHERE is_paid) > 2 THEN books.f(30 * regr_slope(d, settled - date '2000-01-01') FILTER (WHERE is_paid)) END
	   FROM (SELECT *, settled - due AS d, as_of - due AS dpd, settled IS NOT NULL AND is_cash AS is_paid FROM books.debts WHERE as_of = %1$L AND (settled IS NULL OR settled > date %1$L - %2$s)) e
	  GROUP BY customer, company, currency) n
	JOIN LATERAL (SELECT books.f(sum(amount * (paid_on - due)) / sum(amount)) AS wdl, books.f(sum(amount * (paid_on - day)) / sum(amount)) AS wdp, books.f(sum(amount * (due - day)) / sum(amount)) AS wt,
		books.f(sum(amount * greatest(paid_on - due, 0)) / sum(amount)) AS dbt FROM books.paid p WHERE p.as_of = %1$L AND p.customer = n.customer AND p.currency = n.currency AND p.paid_on > date %1$L - %2$s) m ON true
	JOIN LATERAL (SELECT books.f(sum((settled - due) * 2 ^ ((settled - as_of) / 90.0)) / sum(2 ^ ((settled - as_of) / 90.0))) AS recent, max(settled) AS last FROM books.debts b
		WHERE b.as_of = %1$L AND b.customer = n.customer AND b.currency = n.currency AND b.is_cash AND b.settled > date %1$L - %2$s) n2 ON true$q$, q.as_of, q.days, q.grace),
	format('payment_behaviour_on(%s, %s, %s) is plain SQL', q.as_of, q.days, q.grace))
  FROM (VALUES (date '2024-06-30', 365, 0), ('2025-03-15', 90, 3), ('2025-12-31', 365, 0), ('2025-12-31', 30, 0), ('2026-03-31', 10000, 10)) q (as_of, days, grace);

-- payment_trend
SELECT books.same(format($q$SELECT customer, currency, month, n_paid, paid_amount, books.f(mean_days_late), books.f(weighted_days_late), books.f(median_days_late), invoiced_amount FROM credit.payment_trend_on(%L, %s)$q$, q.as_of, q.months),
	format($q$SELECT customer, currency, month, count(*) FILTER (WHERE part = 'paid'), COALESCE(sum(amount) FILTER (WHERE part = 'paid'), 0), books.f(avg(d)), books.f(sum(amount * d) / NULLIF(sum(amount) FILTER (WHERE d IS NOT NULL), 0)),
		books.f(percentile_cont(0.5) WITHIN GROUP (ORDER BY d)), COALESCE(sum(amount) FILTER (WHERE part = 'invoiced'), 0)
	  FROM (SELECT 'paid' AS part, customer, currency, date_trunc('month', settled)::date AS month, amount, settled - due AS d FROM books.debts WHERE as_of = %1$L AND is_cash AND settled IS NOT NULL
			UNION ALL SELECT 'invoiced', customer, currency, date_trunc('month', day)::date, amount, NULL FROM books.debts WHERE as_of = %1$L) e
	 WHERE month > date_trunc('month', date %1$L) - make_interval(months => %2$s) GROUP BY customer, currency, month$q$, q.as_of, q.months),
	format('payment_trend_on(%s, %s) is plain SQL', q.as_of, q.months))
  FROM (VALUES (date '2025-03-15', 24), ('2025-12-31', 3)) q (as_of, months);

-- receivable indicators; open items are those of the aging, which has tests of its own
CREATE FUNCTION books.sale() RETURNS TABLE (customer text, company text, currency text, day date, amount numeric) LANGUAGE sql STABLE AS $$
SELECT customer, company, currency, day, amount FROM books.invoice
UNION ALL SELECT customer, company, currency, greatest(reversed, day), -amount FROM books.invoice WHERE reversed IS NOT NULL
UNION ALL SELECT customer, company, currency, day, -amount FROM books.note $$;
CREATE FUNCTION books.stock(day date) RETURNS TABLE (customer text, segment text, currency text, total numeric, overdue numeric, debts numeric, late numeric, severe numeric, late_days numeric) LANGUAGE sql STABLE AS $$
SELECT customer, segment, currency, o.total, o.d1_30 + o.d31_60 + o.d61_90 + o.d91_120 + o.d121_plus, s.total - s.credits, s.overdue, s.d91_120 + s.d121_plus,
	   (SELECT sum(i.open_amount * greatest(i.days_past_due, 0)) FROM credit.open_items_on(stock.day) i WHERE i.open_amount > 0 AND (i.customer, i.segment, i.currency) = (o.customer, o.segment, o.currency))
  FROM credit.customer_aging_on(day, 'oldest') o JOIN credit.customer_aging_on(day) s USING (customer, segment, currency) $$;
CREATE TABLE books.stocks AS SELECT d.day, s.* FROM (SELECT date '2025-03-15' AS day UNION SELECT date '2025-02-28' UNION SELECT '2025-01-31' UNION SELECT '2024-12-31') d CROSS JOIN LATERAL books.stock(d.day) s;
SELECT is((SELECT sum(total) FROM books.stocks WHERE day = '2025-03-15' AND currency = 'USD'),
		  (SELECT sum(d.open) FROM books.debts d WHERE d.as_of = '2025-03-15' AND d.currency = 'USD')
		  - (SELECT sum(p.amount - COALESCE((SELECT sum(a.amount) FROM books.application a JOIN books.invoice i ON i.id = a.invoice
				WHERE a.payment = p.id AND a.day <= '2025-03-15' AND i.day <= '2025-03-15' AND (i.reversed IS NULL OR i.reversed > '2025-03-15')), 0)) FROM books.payment p WHERE p.day <= '2025-03-15' AND p.currency = 'USD')
		  - (SELECT sum(n.amount) FROM books.note n LEFT JOIN books.invoice i ON i.id = n.invoice
			 WHERE n.day <= '2025-03-15' AND n.currency = 'USD' AND (i.id IS NULL OR i.day > '2025-03-15' OR i.reversed <= '2025-03-15')), 'stocks are what the ERP has');
SELECT books.same($q$SELECT segment, currency, month, last_day, sales, window_days, window_sales, receivables_begin, receivables_end, current_amount, overdue_amount, undated_amount, books.f(dso_month), books.f(dso), books.f(best_possible_dso), books.f(average_days_delinquent),
	books.f(cei), books.f(turnover), books.f(collection_period), books.f(overdue_ratio), books.f(severe_overdue_ratio), write_off_amount, books.f(bad_debt_ratio), paid_amount, books.f(weighted_days_late), books.f(days_beyond_terms),
	books.f(open_days_beyond_terms), books.f(weighted_days_to_pay), books.f(weighted_terms), n_customers, is_complete FROM credit.receivable_indicators_on('2025-03-15', 3)$q$,
	$q$SELECT segment, currency, month, last, s, wd, ws, b, e, e - o, o, 0, books.f(e / NULLIF(s, 0) * md), books.f(e / ws * wd), books.f((e - o) / ws * wd), books.f(o / ws * wd), books.f(100 * (b + s - e) / (b + s - e + o)), books.f(s / ((b + e) / 2)), books.f(md / NULLIF(s / ((b + e) / 2), 0)),
	books.f(late / debts), books.f(severe / debts), w, books.f(w / NULLIF(s, 0)), pa, books.f(wdl), books.f(dbt), books.f(late_days / debts), books.f(wdp), books.f(wt), n, true
	FROM (SELECT k.*, last - month + 1 AS md, last - (month - interval '2 months')::date + 1 AS wd,
			(SELECT COALESCE(sum(amount), 0) FROM books.sale() x WHERE x.company = k.segment AND x.currency = k.currency AND x.day BETWEEN month AND last) AS s,
			(SELECT sum(amount) FROM books.sale() x WHERE x.company = k.segment AND x.currency = k.currency AND x.day BETWEEN month - interval '2 months' AND last) AS ws,
			(SELECT sum(total) FROM books.stocks x WHERE x.segment = k.segment AND x.currency = k.currency AND x.day = month - 1) AS b, st.*,
			(SELECT COALESCE(sum(x.amount), 0) FROM books.settled('2025-03-15') x JOIN books.debts d ON d.id = x.invoice AND d.as_of = '2025-03-15' WHERE d.company = k.segment AND d.currency = k.currency AND kind = 'write_off' AND x.day BETWEEN month AND last) AS w, pd.*
		  FROM (SELECT a.segment, c.currency, m.* FROM (VALUES (''), ('north')) a (segment), (VALUES ('USD'), ('EUR')) c (currency), (VALUES (date '2025-01-01', date '2025-01-31'), ('2025-02-01', '2025-02-28'), ('2025-03-01', '2025-03-15')) m (month, last)) k
		  CROSS JOIN LATERAL (SELECT sum(total) AS e, sum(overdue) AS o, sum(debts) AS debts, sum(late) AS late, sum(severe) AS severe, sum(late_days) AS late_days, count(*) AS n FROM books.stocks x WHERE x.segment = k.segment AND x.currency = k.currency AND x.day = last) st
		  CROSS JOIN LATERAL (SELECT COALESCE(sum(amount), 0) AS pa, sum(amount * (paid_on - due)) / sum(amount) AS wdl, sum(amount * greatest(paid_on - due, 0)) / sum(amount) AS dbt, sum(amount * (paid_on - day)) / sum(amount) AS wdp, sum(amount * (due - day)) / sum(amount) AS wt
				FROM books.paid x WHERE x.as_of = '2025-03-15' AND x.company = k.segment AND x.currency = k.currency AND x.paid_on BETWEEN month AND last) pd) q$q$,
	'receivable_indicators_on() is plain SQL');
SELECT books.same($q$SELECT segment, currency, sum(sales), sum(window_sales), sum(receivables_begin), sum(receivables_end), sum(current_amount), sum(overdue_amount), sum(write_off_amount), sum(paid_amount) FROM credit.customer_indicators_on('2025-03-15', 60) GROUP BY 1, 2$q$,
	$q$SELECT segment, currency, sales, window_sales, receivables_begin, receivables_end, current_amount, overdue_amount, write_off_amount, paid_amount FROM credit.receivable_indicators_on('2025-03-15', 1, 60)$q$, 'customers add up to their segment');
SELECT books.same($q$SELECT customer, segment, currency, receivables_end, overdue_amount, books.f(overdue_ratio), books.f(open_days_beyond_terms) FROM credit.customer_indicators_on('2025-03-15') WHERE receivables_end <> 0$q$,
	$q$SELECT customer, segment, currency, total, overdue, books.f(late / NULLIF(debts, 0)), books.f(late_days / NULLIF(debts, 0)) FROM books.stocks WHERE day = '2025-03-15' AND total <> 0$q$, 'each customer has what his aging has');
SELECT books.same($q$SELECT segment, currency, books.f(countback_dso), books.f(true_dso) FROM credit.receivable_indicators_on('2025-03-15', 1)$q$,
	$q$SELECT k.segment, k.currency, books.f((SELECT (credit.countback_dso(x.day, x.amount, k.e, '2025-03-15')).dso FROM books.sale() x WHERE x.company = k.segment AND x.currency = k.currency)),
		books.f((SELECT sum((date '2025-03-15' - i.document_date) * i.open_amount / NULLIF(greatest(m.sales, 0), 0)) FROM credit.open_items_on('2025-03-15') i
			JOIN LATERAL (SELECT sum(x.amount) AS sales FROM books.sale() x WHERE x.company = k.segment AND x.currency = k.currency AND x.day <= '2025-03-15' AND date_trunc('month', x.day) = date_trunc('month', i.document_date)) m ON true
			WHERE i.segment = k.segment AND i.currency = k.currency AND i.open_amount > 0))
	  FROM (SELECT segment, currency, sum(total) AS e FROM books.stocks WHERE day = '2025-03-15' GROUP BY 1, 2) k$q$, 'count-back and DSO by age, over sales of the ERP');

-- funds_profile: each measure by its aggregate over the ERP's tables
SELECT books.same(format($q$SELECT customer, segment, currency, habit, habit_day, n_payment_days, books.f(mean_interval), books.f(cv_interval), later_since, later_seen_on, earlier_since, earlier_seen_on, books.f(baseline_days_late), n_baseline,
	books.f(trend_slope), books.f(trend_p), trend_direction, due_amount, paid_of_due, books.f(capability), monthly_capacity, n_capacity_months, n_orders_recent, n_orders_before, books.f(demand_ratio), books.f(demand_p), books.f(partial_ratio), books.f(residue_ratio), n_part_paid, funds_segment, last_payment_on
	FROM credit.funds_profile_on(%L, %s)$q$, q.as_of, q.days),
	format($q$SELECT k.customer, k.company, k.currency, (c.cycle).habit, (c.cycle).habit_day, COALESCE((c.cycle).n_days, 0), books.f((c.cycle).mean_interval), books.f((c.cycle).cv_interval), (h.change).last_rise_began, (h.change).last_rise, (h.change).last_fall_began, (h.change).last_fall, books.f((h.change).mean), COALESCE((h.change).n_reference, 0),
	books.f((t.trend).slope), books.f((t.trend).p), (t.trend).direction, due, paid, books.f(CASE WHEN due > 0 THEN paid / due END), (y.capacity).capacity, COALESCE((y.capacity).n_months, 0), recent, before,
	books.f(CASE WHEN recent + before >= 5 AND before > 0 THEN (recent / 30.0) / (before / 180.0) END), books.f(CASE WHEN recent + before >= 5 THEN credit.demand_p(recent, 30, before, 180) END), books.f((f.partial).partial_ratio), books.f((f.partial).residue_ratio), COALESCE((f.partial).n_partial, 0),
	credit.funds_segment(b.payment_index, CASE WHEN due > 0 THEN (paid / due)::float8 END), y.last
	FROM (SELECT customer, company, currency FROM books.debts WHERE as_of = %1$L UNION SELECT customer, company, currency FROM books.payment WHERE day <= %1$L AND NOT lost UNION SELECT customer, company, currency FROM books.orders WHERE day <= %1$L) k
	LEFT JOIN LATERAL (SELECT credit.payment_cycle(day) AS cycle FROM books.payment p WHERE p.customer = k.customer AND p.currency = k.currency AND NOT lost AND day <= %1$L AND day > date %1$L - %2$s) c ON true
	LEFT JOIN LATERAL (SELECT credit.payment_capacity(day, amount, %1$L) AS capacity, max(day) AS last FROM books.payment p WHERE p.customer = k.customer AND p.currency = k.currency AND NOT lost AND day <= %1$L) y ON true
	LEFT JOIN LATERAL (SELECT credit.robust_trend(settled, (settled - due)::float8, amount) AS trend FROM books.debts d WHERE as_of = %1$L AND d.customer = k.customer AND d.currency = k.currency AND is_cash AND settled > date %1$L - %2$s) t ON true
	LEFT JOIN LATERAL (SELECT CASE WHEN count(DISTINCT settled) FILTER (WHERE settled <= date %1$L - %2$s) >= 8 THEN credit.change_point(settled, (settled - due)::float8, amount, date %1$L - %2$s)
			ELSE credit.change_point(settled, (settled - due)::float8, amount, 12) FILTER (WHERE settled > date %1$L - %2$s) END AS change FROM books.debts d WHERE as_of = %1$L AND d.customer = k.customer AND d.currency = k.currency AND is_cash AND settled > date %1$L - 2 * %2$s) h ON true
	LEFT JOIN LATERAL (SELECT COALESCE(sum(d.amount - COALESCE((SELECT sum(s.amount) FROM books.settled(%1$L) s WHERE s.invoice = d.id AND s.kind = 'credit_note'), 0)), 0) AS due, COALESCE(sum(d.paid), 0) AS paid
			FROM books.debts d WHERE as_of = %1$L AND d.customer = k.customer AND d.currency = k.currency AND d.due > date %1$L - %2$s AND d.due <= %1$L) u ON true
	LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE day > date %1$L - 30) AS recent, count(*) FILTER (WHERE day <= date %1$L - 30 AND day > date %1$L - 210) AS before FROM books.orders o WHERE o.customer = k.customer AND o.currency = k.currency AND day <= %1$L) o ON true
	LEFT JOIN LATERAL (SELECT credit.partial_payment(debt, amount) AS partial FROM (SELECT DISTINCT ON (id) * FROM books.paid p WHERE as_of = %1$L AND p.customer = k.customer AND p.currency = k.currency ORDER BY id, paid_on) x WHERE paid_on > date %1$L - %2$s) f ON true
	LEFT JOIN credit.payment_behaviour_on(%1$L, %2$s) b ON b.customer = k.customer AND b.segment = k.company AND b.currency = k.currency$q$, q.as_of, q.days),
	format('funds_profile_on(%s, %s) is plain SQL', q.as_of, q.days))
  FROM (VALUES (date '2025-03-15', 365), ('2025-12-31', 365), ('2025-12-31', 200)) q (as_of, days);
-- an order that has ceased to count is an order all the same
SELECT is((SELECT sum(n_orders_before) FROM credit.funds_profile_on('2025-06-30')), (SELECT count(*)::numeric FROM books.orders WHERE day BETWEEN '2024-12-03' AND '2025-05-31'), 'orders of the time before');
DELETE FROM books.orders WHERE id % 4 = 0;
SELECT cmp_ok((SELECT sum(n_orders_before) FROM credit.funds_profile_on('2025-06-30')), '>', (SELECT count(*)::numeric FROM books.orders WHERE day BETWEEN '2024-12-03' AND '2025-05-31'), 'also of those that are gone');

-- views follow credit.as_of, and one customer is not all
SET LOCAL credit.as_of = '2025-12-31';
SELECT books.same('SELECT v::text FROM credit.payment_behaviour v', $$SELECT f::text FROM credit.payment_behaviour_on('2025-12-31') f$$, 'view payment_behaviour');
SELECT books.same('SELECT v::text FROM credit.payment_trend v', $$SELECT f::text FROM credit.payment_trend_on('2025-12-31') f$$, 'view payment_trend');
SELECT books.same('SELECT v::text FROM credit.receivable_indicators v', $$SELECT f::text FROM credit.receivable_indicators_on('2025-12-31') f$$, 'view receivable_indicators');
SELECT books.same('SELECT v::text FROM credit.customer_indicators v', $$SELECT f::text FROM credit.customer_indicators_on('2025-12-31') f$$, 'view customer_indicators');
SELECT books.same('SELECT v::text FROM credit.funds_profile v', $$SELECT f::text FROM credit.funds_profile_on('2025-12-31') f$$, 'view funds_profile');
RESET credit.as_of;

-- One customer costs what that customer has: c11 has a thirtieth of all documents.
ANALYZE credit.item, credit.settlement, credit.account, credit.source, credit.journal;
CREATE FUNCTION books.rows_read(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
	n bigint;
BEGIN
	SELECT sum(seq_tup_read + idx_tup_fetch) INTO before FROM pg_stat_xact_all_tables WHERE schemaname = 'credit' AND relname IN ('item', 'settlement', 'item_version', 'journal');
	EXECUTE 'SELECT count(*) FROM (' || query || ') q' INTO n;
	IF n = 0 THEN
		RETURN NULL;
	END IF;
	RETURN (SELECT sum(seq_tup_read + idx_tup_fetch) - before FROM pg_stat_xact_all_tables WHERE schemaname = 'credit' AND relname IN ('item', 'settlement', 'item_version', 'journal'));
END
$$;
SET LOCAL enable_seqscan = off;
SET LOCAL credit.as_of = '2025-12-31';
SELECT cmp_ok(books.rows_read(format('SELECT * FROM credit.%s WHERE customer = ''c11''', v)), '<', books.rows_read('SELECT * FROM credit.' || v) / 10, 'one customer of ' || v)
  FROM unnest(ARRAY['payment_behaviour', 'payment_trend', 'customer_indicators', 'funds_profile', 'exposure_history']) v;
RESET credit.as_of;
SET LOCAL enable_seqscan = on;

-- no day, no month; a day without end is an error
SELECT is_empty(format('SELECT * FROM credit.%s(NULL)', f), f || ' of no day') FROM unnest(ARRAY['payment_behaviour_on', 'payment_trend_on', 'receivable_indicators_on', 'customer_indicators_on', 'funds_profile_on']) f;
SELECT is_empty($$SELECT * FROM credit.receivable_indicators_on('2025-03-15', 0)$$, 'no months');
SELECT throws_ok(format('SELECT * FROM credit.receivable_indicators_on(%L, %s)', '2025-03-15', n), '22023', format('months must be from 0 to 1200, not %s', n), 'nor a number without sense: ' || n)
  FROM unnest(ARRAY[-1, 1201, 2147483647]) n;
SELECT is_empty($$SELECT * FROM credit.payment_trend_on('2025-03-15', 0)$$, 'none either');
SELECT throws_like($$SELECT * FROM credit.receivable_indicators_on('infinity')$$, 'cannot subtract infinite dates', 'indicators of a day without end');
SELECT throws_ok($$SELECT * FROM credit.payment_behaviour_on('infinity')$$, NULL, NULL, 'behaviour of a day without end');

-- What is said again is no payment again: a correction, a return, another payment on top.
CREATE FUNCTION books.state_of(invoice int, as_of date DEFAULT '2099-01-01') RETURNS text LANGUAGE sql STABLE AS $$
SELECT concat_ws(' ', d.open_amount, d.settled_on, d.is_cash, (SELECT string_agg(p.paid_on || '=' || p.amount, ',' ORDER BY p.paid_on) FROM credit.paid_of(a.account_id, state_of.as_of) p WHERE p.key = invoice::text))
  FROM credit.account a CROSS JOIN LATERAL credit.debts_of(a.account_id, state_of.as_of) d WHERE a.customer = 'again' AND d.key = invoice::text $$;
INSERT INTO books.customer VALUES ('again', NULL, '');
INSERT INTO books.invoice SELECT 20000 + g, 'again', '', 'USD', '2024-01-01', '2024-01-31', 100 FROM generate_series(1, 5) g;
INSERT INTO books.payment SELECT 20000 + g, 'again', '', 'USD', '2024-02-10', 100, false FROM generate_series(1, 5) g;
INSERT INTO books.application SELECT 20000 + g, 20000 + g, 20000 + g, '2024-02-10', 60 FROM generate_series(1, 4) g;
UPDATE books.application SET amount = 100, day = '2024-02-12' WHERE id = 20001;
SELECT is(books.state_of(20001), '0 2024-02-12 t 2024-02-12=100', 'a corrected application');
DELETE FROM books.application WHERE id = 20002;
SELECT is(books.state_of(20002), '100 f', 'one that was taken back is none');
SELECT is(books.state_of(20002, '2024-02-11'), '40 t 2024-02-10=60', 'but was one while it was there');
INSERT INTO books.application VALUES (20012, 20002, 20002, credit.today(), 100);
SELECT is(books.state_of(20002), '0 ' || credit.today() || ' t 2024-02-10=60,' || credit.today() || '=40', 'and what the same payment pays again keeps its day');
INSERT INTO books.application VALUES (20013, 20003, 20003, '2024-02-20', 40), (20023, 20005, 20003, '2024-03-01', 10);
SELECT is(books.state_of(20003), '-10 2024-02-20 t 2024-02-10=60,2024-02-20=40,2024-03-01=10', 'what comes on top does not move the day');
INSERT INTO books.note VALUES (20004, 'again', '', 'USD', '2024-02-15', 40, 20004);
SELECT is(books.state_of(20004), '0 2024-02-15 t 2024-02-10=60', 'a credit note for the rest ends it, and is no payment');
SELECT is(books.state_of(20005), '100 f', 'nothing was paid of this one');

-- Money before the debt: the payment keeps its day, on and before which there is no debt.
INSERT INTO books.invoice VALUES (20006, 'again', '', 'USD', '2024-05-10', '2024-06-10', 100);
INSERT INTO books.payment VALUES (20006, 'again', '', 'USD', '2024-05-01', 100, false);
INSERT INTO books.application VALUES (20006, 20006, 20006, '2024-05-01', 100);
SELECT is(books.state_of(20006), '0 2024-05-01 t 2024-05-01=100', 'a down payment is early by all of it');
SELECT is(books.state_of(20006, '2024-05-05'), NULL, 'before the debt there is none');
SELECT is_empty($$SELECT * FROM credit.settlements_on('2024-05-05') WHERE key = '20006'$$, 'nor was anything of it settled');

-- Residuals: settled in part before the source came, and wholly.
CREATE TABLE books.line (id int PRIMARY KEY, customer text, day date, amount numeric, residue numeric);
INSERT INTO books.line VALUES (1, 'rest', '2024-01-01', 1000, 400), (2, 'rest', '2024-01-01', 500, 0), (3, 'rest', '2024-01-01', 300, 300);
SELECT credit.attach('books.line', 'receivable', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day', open_amount => 'residue');
SELECT results_eq($$SELECT key::int, open_amount, settled_on, is_dated FROM credit.debts_on(credit.today(), (SELECT account_id FROM credit.account WHERE customer = 'rest')) ORDER BY key$$,
	$$VALUES (1, 400::numeric, NULL::date, true), (2, 0, NULL, false), (3, 300, NULL, true)$$, 'what is open is open, whenever the rest was paid');
SELECT results_eq($$SELECT n_open, n_paid, n_undated, open_amount FROM credit.payment_behaviour WHERE customer = 'rest'$$, $$VALUES (2::bigint, 0::bigint, 1::bigint, 700::numeric)$$, 'and counts as such');
UPDATE books.line SET residue = 0 WHERE id = 1;
SELECT is((SELECT settled_on FROM credit.debts_on(credit.today()) WHERE key = '1' AND amount = 1000), credit.today(), 'the day of the last part is the day it was paid');
SELECT results_eq($$SELECT n_payment_days, last_payment_on FROM credit.funds_profile WHERE customer = 'rest'$$, $$VALUES (1, credit.today())$$, 'without payments, settlements are the days of payment');

-- exposure_history: postings of several days
SELECT is((SELECT count(*) FROM credit.exposure_history WHERE customer = 'c1' AND currency = 'USD'), 1::bigint, 'all was posted today');
ALTER TABLE credit.journal DISABLE TRIGGER refuse_change;
UPDATE credit.journal SET posted_at = posted_at - (5 - seq * 6 / (SELECT max(seq) + 1 FROM credit.journal m WHERE m.account_id = journal.account_id AND m.scope = 0 AND m.currency = journal.currency)) * interval '1 day';
ALTER TABLE credit.journal ENABLE TRIGGER refuse_change;
SELECT cmp_ok((SELECT count(DISTINCT day)::int FROM credit.exposure_history), '>=', 5, 'and now on several days');
SELECT books.same($$SELECT customer, segment, currency, day, ordered, delivered, invoiced, unapplied, total, n_postings FROM credit.exposure_history$$,
	$$SELECT customer, segment, currency, day, o, d, i, u, o + d + i + u, n FROM (SELECT a.customer, a.segment, p.currency, p.day, p.n,
		sum(o) OVER w AS o, sum(d) OVER w AS d, sum(i) OVER w AS i, sum(u) OVER w AS u FROM
		(SELECT account_id, currency, credit.day_of(posted_at) AS day, count(*) AS n, sum(COALESCE(delta[1], 0)) AS o, sum(COALESCE(delta[2], 0)) AS d, sum(COALESCE(delta[3], 0)) AS i, sum(COALESCE(delta[4], 0)) AS u
		   FROM credit.journal WHERE scope = 0 GROUP BY 1, 2, 3) p JOIN credit.account a USING (account_id) WINDOW w AS (PARTITION BY account_id, p.currency ORDER BY day)) q$$, 'exposure of each day is the sum of what was posted until then');
SELECT books.same($$SELECT DISTINCT ON (customer, segment, currency) customer, segment, currency, ordered, invoiced, unapplied FROM credit.exposure_history ORDER BY customer, segment, currency, day DESC$$,
	$$SELECT a.customer, a.segment, b.currency, b.ordered, b.invoiced, b.unapplied FROM credit.account a CROSS JOIN LATERAL credit.balance(a.account_id) b$$, 'the last day is today''s balance');
CREATE TABLE books.before AS SELECT * FROM credit.exposure_history;
SELECT is((SELECT sum(change) FROM credit.exposure_history WHERE customer = 'c1' AND currency = 'USD'), (SELECT total FROM credit.exposure_history WHERE customer = 'c1' AND currency = 'USD' ORDER BY day DESC LIMIT 1), 'changes add up');

-- What was open on many days in one pass is what was open on each of them.
CREATE FUNCTION books.days_differ(days date[]) RETURNS bigint LANGUAGE sql AS $$
WITH have AS (SELECT day, source_id, account_id, currency, kind, document_date, due_date, posting_date, retention_amount, retention_until, open_amount FROM credit.open_on_days(days)),
	 want AS (SELECT d, o.source_id, o.account_id, o.currency, o.kind, o.document_date, o.due_date, o.posting_date, o.retention_amount, o.retention_until, o.open_amount FROM unnest(days) d CROSS JOIN LATERAL credit.open_rows_on(d) o),
	 one AS (SELECT d, u.source_id, a.account_id, u.currency, u.kind, sum(u.open_amount), count(*) FROM unnest(days) d CROSS JOIN credit.account a CROSS JOIN LATERAL credit.unallocated_of(a.account_id, d) u GROUP BY 1, 2, 3, 4, 5),
	 all_of AS (SELECT d, source_id, account_id, currency, kind, sum(open_amount), count(*) FROM want GROUP BY 1, 2, 3, 4, 5)
SELECT (SELECT count(*) FROM ((SELECT * FROM have EXCEPT ALL SELECT * FROM want) UNION ALL (SELECT * FROM want EXCEPT ALL SELECT * FROM have)) x)
	 + (SELECT count(*) FROM ((SELECT * FROM one EXCEPT ALL SELECT * FROM all_of) UNION ALL (SELECT * FROM all_of EXCEPT ALL SELECT * FROM one)) x)
	 + CASE WHEN EXISTS (SELECT FROM want) THEN 0 ELSE 1 END
$$;
SELECT is(books.days_differ(d), 0::bigint, format('open on %s days in one pass, and by account', cardinality(d)))
  FROM (VALUES ('{2025-03-31}'::date[]), ('{2025-01-31,2025-02-28,2025-03-31,2025-04-30,2025-05-31,2025-06-30,2025-07-31,2025-08-31}'),
			   (ARRAY(SELECT date '2025-06-01' + g FROM generate_series(0, 40) g)), ('{2025-12-31,2026-03-31}')) q (d);

-- An ERP that states nothing: each payment and each debt is used once.
CREATE SCHEMA silent;
CREATE TABLE silent.truth (day date, debt int, payment int, paid_on date, amount numeric);
CREATE TABLE silent.invoice (id int PRIMARY KEY, customer text, currency text, day date, due date, amount numeric);
CREATE TABLE silent.payment (id int PRIMARY KEY, customer text, currency text, day date, amount numeric, lost boolean);
SELECT count(*) > 0 AS is_detached FROM (SELECT credit.detach(name) FROM credit.source ORDER BY kind = 'customer') d;
SELECT credit.attach('silent.invoice', 'invoice', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', due_date => 'due');
SELECT credit.attach('silent.payment', 'payment', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', is_write_off => 'lost');
SELECT ok(credit.needs_allocation(), 'nobody says what pays what');
INSERT INTO silent.invoice SELECT g, 's' || g % 7, CASE WHEN g % 5 = 0 THEN 'EUR' ELSE 'USD' END, d, d + (random() * 60)::int, (1 + floor(random() * 20)) * 10 FROM generate_series(1, 400) g, LATERAL (SELECT date '2025-01-01' + (random() * 300)::int + g * 0 AS d) x;
INSERT INTO silent.payment SELECT g, 's' || g % 8, CASE WHEN g % 5 = 0 THEN 'EUR' ELSE 'USD' END, date '2025-01-10' + (random() * 300)::int, (1 + floor(random() * 25)) * 10, g % 20 = 1 FROM generate_series(1, 300) g;
-- by hand: equal amounts, then the oldest of both
CREATE FUNCTION silent.allocate(as_of date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	p record;
	d record;
	part numeric;
BEGIN
	CREATE TEMP TABLE debt ON COMMIT DROP AS SELECT *, amount AS rest FROM silent.invoice WHERE invoice.day <= as_of;
	CREATE TEMP TABLE money ON COMMIT DROP AS SELECT *, amount AS rest FROM silent.payment WHERE payment.day <= as_of;
	FOR p IN SELECT * FROM money ORDER BY money.day, money.id::text COLLATE "C" LOOP
		SELECT * INTO d FROM debt WHERE debt.customer = p.customer AND debt.currency = p.currency AND debt.rest = p.rest ORDER BY due, id::text COLLATE "C" LIMIT 1;
		IF FOUND THEN
			INSERT INTO silent.truth VALUES (as_of, d.id, p.id, p.day, p.rest);
			DELETE FROM debt WHERE id = d.id;
			DELETE FROM money WHERE id = p.id;
		END IF;
	END LOOP;
	FOR p IN SELECT * FROM money ORDER BY money.day, money.id::text COLLATE "C" LOOP
		FOR d IN SELECT * FROM debt WHERE debt.customer = p.customer AND debt.currency = p.currency AND debt.rest > 0 ORDER BY due, id::text COLLATE "C" LOOP
			part := least(p.rest, d.rest);
			EXIT WHEN part = 0;
			INSERT INTO silent.truth VALUES (as_of, d.id, p.id, p.day, part);
			UPDATE debt SET rest = rest - part WHERE id = d.id;
			p.rest := p.rest - part;
		END LOOP;
	END LOOP;
	DROP TABLE debt, money;
END
$$;
SELECT silent.allocate(d) FROM unnest(ARRAY[date '2025-04-01', '2025-08-15', '2026-01-01']) d;
SELECT books.same(format('SELECT key::int, payment_key::int, settled_on, amount FROM credit.allocations_on(%L)', d),
	format('SELECT debt, payment, paid_on, amount FROM silent.truth WHERE day = %L', d), format('allocation of %s is that by hand', d))
  FROM unnest(ARRAY[date '2025-04-01', '2025-08-15', '2026-01-01']) d;
SELECT is_empty($$SELECT key FROM credit.allocations_on('2026-01-01') a JOIN silent.invoice i ON i.id = a.key::int GROUP BY key, i.amount HAVING sum(a.amount) > i.amount$$, 'no debt is paid twice');
SELECT is_empty($$SELECT payment_key FROM credit.allocations_on('2026-01-01') a JOIN silent.payment i ON i.id = a.payment_key::int GROUP BY payment_key, i.amount HAVING sum(a.amount) > i.amount$$, 'no payment pays twice');
SELECT books.same($$SELECT i.customer, i.currency, sum(a.amount) FROM credit.allocations_on('2026-01-01') a JOIN silent.invoice i ON i.id = a.key::int GROUP BY 1, 2$$,
	$$SELECT customer, currency, least(i.sum, p.sum) FROM (SELECT customer, currency, sum(amount) FROM silent.invoice GROUP BY 1, 2) i JOIN (SELECT customer, currency, sum(amount) FROM silent.payment GROUP BY 1, 2) p USING (customer, currency)$$, 'all that can be paid is paid');
SELECT books.same($$SELECT a.customer, d.key, d.open_amount FROM credit.debts_on('2025-08-15') d JOIN credit.account a USING (account_id) WHERE d.open_amount <> 0$$,
	$$SELECT customer, key, open_amount FROM credit.open_items_on('2025-08-15') WHERE kind = 'invoice'$$, 'what it leaves open is what aging shows');
SELECT books.same($$SELECT a.customer, o.currency, o.kind, sum(o.open_amount) FROM credit.account a CROSS JOIN LATERAL credit.open_items_of(a.account_id, '2025-08-15') o GROUP BY 1, 2, 3$$,
	$$SELECT customer, currency, kind, sum(open_amount) FROM credit.open_items_on('2025-08-15') GROUP BY 1, 2, 3$$, 'also by account');
SELECT books.same($$SELECT customer, currency, paid_amount, books.f(weighted_days_late) FROM credit.payment_behaviour_on('2026-01-01', 120) WHERE paid_amount > 0$$,
	$$SELECT i.customer, i.currency, sum(t.amount), books.f(sum(t.amount * (t.paid_on - i.due)) / sum(t.amount)) FROM silent.truth t JOIN silent.invoice i ON i.id = t.debt JOIN silent.payment p ON p.id = t.payment
	   WHERE t.day = '2026-01-01' AND t.paid_on > date '2026-01-01' - 120 AND NOT p.lost GROUP BY 1, 2$$, 'behaviour goes by it');
SELECT books.same($$SELECT currency, month, write_off_amount FROM credit.receivable_indicators_on('2026-01-01', 8) WHERE write_off_amount > 0$$,
	$$SELECT i.currency, date_trunc('month', t.paid_on)::date, sum(t.amount) FROM silent.truth t JOIN silent.invoice i ON i.id = t.debt JOIN silent.payment p ON p.id = t.payment WHERE t.day = '2026-01-01' AND p.lost AND t.paid_on >= '2025-06-01' GROUP BY 1, 2$$, 'so do write-offs');
SELECT books.same($$SELECT segment, currency, sum(sales), sum(receivables_begin), sum(receivables_end), sum(overdue_amount), sum(write_off_amount), sum(paid_amount) FROM credit.customer_indicators_on('2025-08-15') GROUP BY 1, 2$$,
	$$SELECT segment, currency, sales, receivables_begin, receivables_end, overdue_amount, write_off_amount, paid_amount FROM credit.receivable_indicators_on('2025-08-15', 1)$$, 'customers add up to their segment here, too');

-- The same as signed lines of a ledger: the same is paid by the same.
SELECT count(*) > 0 AS is_detached FROM (SELECT credit.detach(name) FROM credit.source ORDER BY kind = 'customer') d;
CREATE TABLE silent.line AS
SELECT 'i' || id AS id, customer, currency, day, due, amount FROM silent.invoice UNION ALL SELECT 'p' || id, customer, currency, day, NULL, -amount FROM silent.payment;
SELECT credit.attach('silent.line', 'receivable', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', due_date => 'due');
SELECT books.same($$SELECT key, payment_key, settled_on, amount FROM credit.allocations_on('2025-08-15')$$,
	$$SELECT 'i' || debt, 'p' || payment, paid_on, amount FROM silent.truth WHERE day = '2025-08-15'$$, 'allocation of signed lines');
SELECT books.same($$SELECT a.customer, o.currency, sum(o.open_amount) FILTER (WHERE o.open_amount > 0), sum(o.open_amount) FROM credit.account a CROSS JOIN LATERAL credit.open_items_of(a.account_id, '2025-08-15') o GROUP BY 1, 2$$,
	$$SELECT customer, currency, sum(open_amount) FILTER (WHERE open_amount > 0), sum(open_amount) FROM credit.open_items_on('2025-08-15') GROUP BY 1, 2$$, 'and what it leaves open');
SELECT books.same($$SELECT sum(sales), sum(window_sales) FROM credit.receivable_indicators_on('2025-08-15', 1, 100)$$,
	$$SELECT sum(amount) FILTER (WHERE day >= '2025-08-01'), sum(amount) FROM silent.invoice WHERE day <= '2025-08-15' AND day > date '2025-08-15' - 100$$, 'positive lines are sales');
SELECT books.same($$SELECT customer, currency, n_payment_days, last_payment_on FROM credit.funds_profile_on('2025-08-15') WHERE n_payment_days > 0$$,
	$$SELECT customer, currency, count(DISTINCT day)::int, max(day) FROM silent.payment WHERE day <= '2025-08-15' GROUP BY 1, 2$$, 'negative lines are payments');

-- Chains of documents at random, changed, cancelled and taken back in any order:
-- what is receivable is what the ERP's tables add up to.
SELECT count(*) > 0 AS is_detached FROM (SELECT credit.detach(name) FROM credit.source ORDER BY kind = 'customer') d;
\ir ../lib/flow.sql
CALL flow.attach();
DO $$
BEGIN
	PERFORM setseed(0.11);
	FOR i IN 1 .. 500 LOOP
		CALL flow.step(12);
	END LOOP;
END
$$;
SELECT books.same('SELECT customer, receivables_end FROM credit.customer_indicators_on(credit.today()) WHERE receivables_end <> 0', 'SELECT customer, invoiced + unapplied FROM flow.truth WHERE invoiced + unapplied <> 0', 'receivables of customers');
SELECT books.same('SELECT sum(receivables_end) FROM credit.receivable_indicators_on(credit.today(), 1)', 'SELECT sum(invoiced + unapplied) FROM flow.truth', 'and of all');
SELECT books.same('SELECT key, amount, open_amount + credited_amount, paid_amount FROM credit.account a CROSS JOIN LATERAL credit.debts_of(a.account_id, credit.today())',
	$$SELECT key, total, total - paid, paid FROM (SELECT i.key, i.total, COALESCE((SELECT sum(a.amount) FROM erp.applications a JOIN erp.payments p ON p.id = a.payment_id AND p.state = 'booked' WHERE 'i' || a.invoice_id = i.key), 0) AS paid
	  FROM (SELECT 'i' || id AS key, total FROM erp.invoices WHERE state = 'posted' UNION ALL SELECT 'd' || id, total FROM erp.delivery_invoices WHERE state = 'posted') i WHERE i.total > 0) q$$, 'what was paid of each debt');
SELECT books.same('SELECT key, sum(amount) FROM credit.account a CROSS JOIN LATERAL credit.paid_of(a.account_id, credit.today()) GROUP BY 1',
	$$SELECT 'i' || a.invoice_id, sum(a.amount) FROM erp.applications a JOIN erp.payments p ON p.id = a.payment_id AND p.state = 'booked' JOIN erp.invoices i ON i.id = a.invoice_id AND i.state = 'posted' WHERE i.total > 0 GROUP BY 1$$, 'in payments that last');

SELECT is(books.days_differ(ARRAY(SELECT credit.today() - 30 + g FROM generate_series(0, 29) g)), 0::bigint, 'what was open on thirty days, in one pass');

SELECT * FROM finish();
ROLLBACK;

/*
 * Subject receivable: what is open, of whom, since when, today or on any other
 * day; aging over it, and statements of account.
 *
 * Today's open amounts stand on the items, which the order check goes by.
 * Those of another day are amounts less the settlements dated up to that day,
 * from the documents as they are known now.  Where an ERP states nothing about
 * which payment pays what, that is worked out here and never stored.
 *
 * Functions are plain queries, so that the planner sees through them.
 */
CREATE FUNCTION credit.needs_allocation() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT EXISTS (SELECT FROM credit.settlement_rule r
				WHERE r.rule = 'allocated' AND r.kind IN ('payment', 'credit_note', 'receivable'));
END;
COMMENT ON FUNCTION credit.needs_allocation() IS
'Is there a source of payments of which nobody says what they pay?';

/* What open_on() says, of one account by its indexes. */
CREATE FUNCTION credit.unallocated_of(of_account bigint, as_of date)
RETURNS TABLE (source_id integer, key text, currency text, kind text, rule text,
			   day date, due_date date, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT d.source_id, d.key, d.currency, d.kind, d.rule, d.day, d.due_date, d.open_amount
  FROM (SELECT i.source_id, i.key, i.currency, r.kind, r.rule,
			   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
			   COALESCE(i.due_date, i.document_date, i.posting_date) AS due_date,
			   CASE WHEN r.kind IN ('payment', 'credit_note') THEN o.settled - i.amount ELSE i.amount - o.settled END AS open_amount
		  FROM credit.item i
		  JOIN credit.settlement_rule r ON r.source_id = i.source_id
		 CROSS JOIN LATERAL
			   (SELECT COALESCE((SELECT sum(t.amount) FROM credit.settlement t
								  WHERE t.source_id = i.source_id AND t.key = i.key
									AND (t.settled_on <= as_of OR t.settled_on IS NULL)), 0) +
					   COALESCE((SELECT sum(CASE r.kind WHEN 'receivable' THEN -t.amount ELSE t.amount END)
								   FROM credit.settlement t
								   JOIN credit.item x ON x.source_id = t.source_id AND x.key = t.key
								  WHERE t.payment_source_id = i.source_id AND t.payment_key = i.key
									AND x.amount IS NOT NULL
									AND COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) <= as_of
									AND (x.reversed_on IS NULL OR x.reversed_on > as_of)
									AND (t.settled_on <= as_of OR t.settled_on IS NULL)), 0) AS settled) o
		 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
		   AND i.amount IS NOT NULL
		   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
		   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
		OFFSET 0) d
 WHERE d.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.unallocated_of(bigint, date) IS
'What was open of one account on a day, before payments of which nobody says what they pay are allocated.';

/*
 * Allocation of what nobody says: the n-th payment of an amount pays the n-th
 * debt of just that amount, oldest due first; what is left pays the oldest due.
 */
CREATE FUNCTION credit.allocated_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text,
			   kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* of all accounts set by set, of one by its indexes */
WITH open AS
	(SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_now o
	  WHERE as_of = credit.today() AND of_account IS NULL
	 UNION ALL
	 SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_now o
	  WHERE as_of = credit.today() AND o.account_id = of_account
	 UNION ALL
	 SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_on(as_of) o
	  WHERE as_of <> credit.today() AND of_account IS NULL
	 UNION ALL
	 SELECT o.source_id, o.key, of_account, o.currency, o.kind, o.open_amount
	   FROM credit.unallocated_of(of_account, as_of) o
	  WHERE as_of <> credit.today() AND of_account IS NOT NULL),
sided AS
	(SELECT o.*, r.rule = 'allocated' AND o.open_amount < 0 AS pays,
			r.rule <> 'stated' AND o.open_amount > 0 AS is_paid,
			COALESCE(i.due_date, i.document_date, i.posting_date) AS due
	   FROM open o
	   JOIN (SELECT x.source_id, x.rule FROM credit.settlement_rule x OFFSET 0) r ON r.source_id = o.source_id
	   JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key),
ranked AS
	(SELECT s.*, abs(s.open_amount) AS size,
			row_number() OVER (PARTITION BY s.account_id, s.currency, abs(s.open_amount), s.pays, s.is_paid
							   ORDER BY s.due, s.source_id, s.key) AS number
	   FROM sided s),
/* a debt and a payment of one amount and number are a pair: nothing is left of either */
matched AS
	(SELECT r.*, (r.pays OR r.is_paid) AND bool_or(r.pays) OVER pair AND bool_or(r.is_paid) OVER pair AS is_equal
	   FROM ranked r
	 WINDOW pair AS (PARTITION BY r.account_id, r.currency, r.size, r.number)),
rest AS
	(SELECT m.*,
			sum(m.open_amount) FILTER (WHERE m.is_paid) OVER whole AS debt,
			-sum(m.open_amount) FILTER (WHERE m.pays) OVER whole AS money,
			sum(m.size) OVER (PARTITION BY m.account_id, m.currency, m.pays, m.is_paid
							  ORDER BY m.due, m.source_id, m.key ROWS UNBOUNDED PRECEDING) AS running
	   FROM matched m
	  WHERE NOT m.is_equal
	 WINDOW whole AS (PARTITION BY m.account_id, m.currency))
SELECT r.source_id, r.key, r.account_id, r.currency, r.kind, r.left_open
  FROM (SELECT r.*,
			   CASE WHEN r.is_paid
					THEN LEAST(r.open_amount, GREATEST(0, r.running - COALESCE(r.money, 0)))
					WHEN r.pays
					THEN -LEAST(-r.open_amount, GREATEST(0, r.running - COALESCE(r.debt, 0)))
					ELSE r.open_amount END AS left_open
		  FROM rest r) r
 WHERE r.left_open <> 0;
END;
COMMENT ON FUNCTION credit.allocated_on(date, bigint) IS
'What is open on a day, of all accounts or of one, after payments of which nobody says what they pay have been allocated: equal amounts first, then the oldest due.';

CREATE FUNCTION credit.open_documents_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text,
			   kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
  FROM credit.open_now o
 WHERE as_of = credit.today() AND NOT credit.needs_allocation()
UNION ALL
SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
  FROM credit.open_on(as_of) o
 WHERE as_of <> credit.today() AND NOT credit.needs_allocation()
UNION ALL
SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
  FROM credit.allocated_on(as_of) o
 WHERE credit.needs_allocation();
END;
COMMENT ON FUNCTION credit.open_documents_on(date) IS
'Receivables, credit notes and payments of which something is open on a day, after allocation.';

/*
 * Documents are read with their account in each branch, so that a filter on a
 * customer gets down to the indexes; today's are read once, by the index of
 * what is open.
 */
CREATE FUNCTION credit.open_lines_on(as_of date)
RETURNS TABLE (account_id bigint, customer text, segment text, name text, terms_days integer,
			   source_id integer, key text, number text, kind text, document_date date,
			   due_date date, posting_date date, currency text, amount numeric,
			   open_amount numeric, is_disputed boolean, disputed_amount numeric,
			   retention_amount numeric, retention_until date, origin text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT a.account_id, a.customer, a.segment, a.name, a.terms_days, i.source_id, i.key, i.number, s.kind,
	   i.document_date, i.due_date, i.posting_date, i.currency, i.amount,
	   COALESCE(i.stages[3], 0) + COALESCE(i.stages[4], 0),
	   i.is_disputed, i.disputed_amount, i.retention_amount, i.retention_until, i.origin
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id
  JOIN credit.account a ON a.account_id = i.account_id
 WHERE i.is_open AND s.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
   AND as_of = credit.today() AND NOT credit.needs_allocation()
UNION ALL
SELECT a.account_id, a.customer, a.segment, a.name, a.terms_days, o.source_id, o.key, o.number, o.kind,
	   o.document_date, o.due_date, o.posting_date, o.currency, o.amount, o.open_amount,
	   o.is_disputed, o.disputed_amount, o.retention_amount, o.retention_until, o.origin
  FROM credit.open_rows_on(as_of) o
  JOIN credit.account a ON a.account_id = o.account_id
 WHERE as_of <> credit.today() AND NOT credit.needs_allocation()
UNION ALL
SELECT a.account_id, a.customer, a.segment, a.name, a.terms_days, i.source_id, i.key, i.number, o.kind,
	   i.document_date, i.due_date, i.posting_date, i.currency, i.amount, o.open_amount,
	   i.is_disputed, i.disputed_amount, i.retention_amount, i.retention_until, i.origin
  FROM credit.allocated_on(as_of) o
  JOIN credit.account a ON a.account_id = o.account_id
  JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key
 WHERE credit.needs_allocation();
END;
COMMENT ON FUNCTION credit.open_lines_on(date) IS
'What is open on a day after allocation, with the document and its account; use open_items_on().';

/*
 * What is open on many days, in one pass: each document comes, is settled and goes
 * on days of its own, and what was open changes at the first day of the list
 * from then on.
 */
CREATE FUNCTION credit.open_on_days(days date[])
RETURNS TABLE (day date, source_id integer, account_id bigint, currency text, kind text,
			   document_date date, due_date date, posting_date date, retention_amount numeric,
			   retention_until date, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH document AS MATERIALIZED
	(SELECT row_number() OVER () AS id, q.*, pg_catalog.width_bucket(q.until - 1, days) AS last
	   FROM (SELECT i.source_id, i.key, i.account_id, i.currency, s.kind, i.amount, i.document_date, i.due_date,
					i.posting_date, i.retention_amount, i.retention_until,
					CASE WHEN s.kind IN ('payment', 'credit_note') THEN -1 ELSE 1 END AS sign,
					COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
					COALESCE(i.reversed_on, 'infinity') AS until
			   FROM (SELECT i.* FROM credit.item i WHERE i.is_open
					 UNION ALL
					 SELECT i.* FROM credit.changed_after(days[1]) c
					   JOIN credit.item i ON i.source_id = c.source_id AND i.key = c.key
					  WHERE NOT i.is_open) i
			   JOIN credit.source s ON s.source_id = i.source_id
			  WHERE s.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
				AND i.amount IS NOT NULL) q
	  WHERE q.day <= days[array_upper(days, 1)] AND q.until > days[1]),
event AS
	(SELECT d.id, d.day, d.sign * d.amount AS delta FROM document d
	 UNION ALL
	 SELECT d.id, GREATEST(COALESCE(t.settled_on, '-infinity'), d.day), -d.sign * t.amount
	   FROM document d
	   JOIN credit.settlement t ON t.source_id = d.source_id AND t.key = d.key
	 UNION ALL
	 /* what it has settled, from the day on which the debt is there to the one on which it is reversed */
	 SELECT d.id, e.day, e.delta
	   FROM document d
	   JOIN credit.settlement t ON t.payment_source_id = d.source_id AND t.payment_key = d.key
	   JOIN credit.item x ON x.source_id = t.source_id AND x.key = t.key
	  CROSS JOIN LATERAL
			(SELECT GREATEST(COALESCE(t.settled_on, '-infinity'), d.day,
							 COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at))) AS day) b
	  CROSS JOIN LATERAL
			(SELECT b.day, t.amount AS delta
			 UNION ALL
			 SELECT GREATEST(x.reversed_on, b.day), -t.amount WHERE x.reversed_on IS NOT NULL) e
	  WHERE d.kind <> 'invoice' AND x.amount IS NOT NULL),
level AS
	(SELECT e.id, e.number, sum(sum(e.delta)) OVER document AS open_amount,
			lead(e.number, 1, array_upper(days, 1) + 1) OVER document AS next
	   FROM (SELECT v.id, pg_catalog.width_bucket(v.day - 1, days) + 1 AS number, v.delta FROM event v) e
	  WHERE e.number <= array_upper(days, 1)
	  GROUP BY e.id, e.number
	 WINDOW document AS (PARTITION BY e.id ORDER BY e.number))
SELECT days[g.number], d.source_id, d.account_id, d.currency, d.kind, d.document_date, d.due_date,
	   d.posting_date, d.retention_amount, d.retention_until, l.open_amount
  FROM level l
  JOIN document d ON d.id = l.id
 CROSS JOIN LATERAL pg_catalog.generate_series(l.number, LEAST(l.next - 1, d.last)) g (number)
 WHERE l.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.open_on_days(date[]) IS
'What was open on each of some ascending days, before allocation: open_on() of all of them in one pass.';

CREATE FUNCTION credit.open_documents_on_days(days date[])
RETURNS TABLE (day date, source_id integer, account_id bigint, currency text, kind text,
			   document_date date, due_date date, posting_date date, retention_amount numeric,
			   retention_until date, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT o.day, o.source_id, o.account_id, o.currency, o.kind, o.document_date, o.due_date, o.posting_date,
	   o.retention_amount, o.retention_until, o.open_amount
  FROM credit.open_on_days(days) o
 WHERE o.day <> credit.today() AND NOT credit.needs_allocation()
UNION ALL
SELECT d.day, o.source_id, o.account_id, o.currency, o.kind, o.document_date, o.due_date, o.posting_date,
	   o.retention_amount, o.retention_until, o.open_amount
  FROM pg_catalog.unnest(days) d (day)
 CROSS JOIN LATERAL credit.open_lines_on(d.day) o
 WHERE d.day = credit.today() OR credit.needs_allocation();
END;
COMMENT ON FUNCTION credit.open_documents_on_days(date[]) IS
'Receivables, credit notes and payments of which something is open on each of some ascending days, after allocation: open_documents_on() of all of them in one pass.';

CREATE FUNCTION credit.open_items_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, source text, kind text,
			   key text, number text, document_date date, due_date date,
			   currency text, amount numeric, open_amount numeric,
			   days_past_due integer, is_disputed boolean, disputed_amount numeric,
			   is_retention boolean, origin text, is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT i.customer, i.segment, i.name, s.name, i.kind, i.key, COALESCE(i.number, i.key),
	   i.document_date, p.due_date, i.currency, i.amount, p.open_amount,
	   as_of - p.due_date,
	   COALESCE(i.is_disputed, false) OR COALESCE(i.disputed_amount, 0) <> 0,
	   /* what is disputed of a part that is retained is disputed of it last */
	   CASE WHEN i.disputed_amount IS NULL THEN CASE WHEN i.is_disputed THEN p.open_amount ELSE 0 END
			WHEN p.is_retention THEN LEAST(GREATEST(i.disputed_amount - (i.open_amount - p.open_amount), 0), p.open_amount)
			ELSE LEAST(i.disputed_amount, p.open_amount) END,
	   p.is_retention, i.origin, s.is_complete
  FROM credit.open_lines_on(as_of) i
  JOIN (SELECT x.source_id, x.name,
			   as_of >= credit.day_of(x.attached_at) OR r.rule <> 'stated' OR NOT EXISTS
				   (SELECT FROM credit.settlement t
					 WHERE t.source_id = x.source_id AND t.settled_on IS NULL) AS is_complete
		  FROM credit.source x
		  JOIN credit.settlement_rule r ON r.source_id = x.source_id
		OFFSET 0) s ON s.source_id = i.source_id
 CROSS JOIN LATERAL
	   (SELECT CASE i.kind WHEN 'payment' THEN COALESCE(i.posting_date, i.document_date)
					ELSE COALESCE(i.due_date, i.document_date + COALESCE(i.terms_days, 0), i.document_date,
								  i.posting_date) END AS due_date,
			   i.open_amount - GREATEST(LEAST(COALESCE(i.retention_amount, 0), i.open_amount), 0) AS open_amount,
			   false AS is_retention
		UNION ALL
		SELECT i.retention_until, GREATEST(LEAST(i.retention_amount, i.open_amount), 0), true
		 WHERE i.retention_amount > 0) p
 WHERE p.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.open_items_on(date) IS
'Open items on a day: receivables, and with negative amounts credit notes and unapplied payments. A retained part is a row of its own with its own due date. Without a due date the terms of the customer count from the document date.';

CREATE VIEW credit.open_items AS
SELECT o.customer COLLATE "C" AS customer, o.segment COLLATE "C" AS segment, o.name, o.source, o.kind, o.key, o.number,
	   o.document_date, o.due_date, o.currency COLLATE "C" AS currency, o.amount, o.open_amount,
	   o.days_past_due, o.is_disputed, o.disputed_amount, o.is_retention, o.origin,
	   o.is_complete
  FROM credit.open_items_on(credit.as_of()) o;
COMMENT ON VIEW credit.open_items IS 'Open items today, or on the day of credit.as_of; see open_items_on().';
COMMENT ON COLUMN credit.open_items.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.open_items.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.open_items.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.open_items.source IS 'Source, as in view sources.';
COMMENT ON COLUMN credit.open_items.kind IS 'Kind of document: invoice, receivable, credit_note or payment.';
COMMENT ON COLUMN credit.open_items.key IS 'Key of the document in the ERP.';
COMMENT ON COLUMN credit.open_items.number IS 'Number people know it by.';
COMMENT ON COLUMN credit.open_items.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.open_items.due_date IS 'Due date; of a payment the day it came, of a retained part the day it is released. NULL: unknown.';
COMMENT ON COLUMN credit.open_items.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.open_items.amount IS 'Amount of the document as the ERP has it.';
COMMENT ON COLUMN credit.open_items.open_amount IS 'What is open of it; negative: the customer''s.';
COMMENT ON COLUMN credit.open_items.days_past_due IS 'Days since the due date; negative: not due yet.';
COMMENT ON COLUMN credit.open_items.is_disputed IS 'True: the customer disputes it, or part of it.';
COMMENT ON COLUMN credit.open_items.disputed_amount IS 'How much of what is open is disputed.';
COMMENT ON COLUMN credit.open_items.is_retention IS 'True: the retained part of the document.';
COMMENT ON COLUMN credit.open_items.origin IS 'Key of the document it comes from, or pays.';
COMMENT ON COLUMN credit.open_items.is_complete IS 'False: the day is before the source was attached, and it does not say when debts of that time were paid; some that were open then are missing.';

CREATE FUNCTION credit.customer_aging_on(as_of date, credits text DEFAULT 'separate')
RETURNS TABLE (customer text, segment text, name text, currency text,
			   current numeric, d1_30 numeric, d31_60 numeric, d61_90 numeric,
			   d91_120 numeric, d121_plus numeric, undated numeric, credits numeric,
			   total numeric, overdue numeric, disputed numeric, n_items bigint,
			   oldest_days_past_due integer, average_days_past_due float8,
			   is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT q.customer, q.segment, q.name, q.currency,
	   (q.a).current, (q.a).d1_30, (q.a).d31_60, (q.a).d61_90, (q.a).d91_120,
	   (q.a).d121_plus, (q.a).undated, (q.a).credits, (q.a).total,
	   (q.a).d1_30 + (q.a).d31_60 + (q.a).d61_90 + (q.a).d91_120 + (q.a).d121_plus,
	   q.disputed, q.n_items, q.oldest, q.average, q.is_complete
  FROM (SELECT o.customer, o.segment, o.name, o.currency,
			   credit.aging(o.open_amount, o.due_date, customer_aging_on.as_of, customer_aging_on.credits) AS a,
			   COALESCE(sum(o.disputed_amount), 0) AS disputed, count(*) AS n_items,
			   max(o.days_past_due) FILTER (WHERE o.open_amount > 0) AS oldest,
			   (sum(o.open_amount * o.days_past_due) FILTER (WHERE o.open_amount > 0) /
				NULLIF(sum(o.open_amount) FILTER (WHERE o.open_amount > 0 AND o.days_past_due IS NOT NULL), 0))::float8 AS average,
			   bool_and(o.is_complete) AS is_complete
		  FROM credit.open_items_on(customer_aging_on.as_of) o
		 GROUP BY o.customer, o.segment, o.name, o.currency) q;
END;
COMMENT ON FUNCTION credit.customer_aging_on(date, text) IS
'Aging of each customer and currency on a day. credits: separate (a column of their own), own (each in the bucket of its own date) or oldest (taken off the oldest buckets). The buckets, undated and credits add up to total, the balance.';

CREATE VIEW credit.customer_aging AS
SELECT a.customer COLLATE "C" AS customer, a.segment COLLATE "C" AS segment, a.name, a.currency COLLATE "C" AS currency, a.current, a.d1_30, a.d31_60,
	   a.d61_90, a.d91_120, a.d121_plus, a.undated, a.credits, a.total, a.overdue,
	   a.disputed, a.n_items, a.oldest_days_past_due, a.average_days_past_due,
	   a.is_complete
  FROM credit.customer_aging_on(credit.as_of()) a;
COMMENT ON VIEW credit.customer_aging IS 'Aging of each customer and currency today, or on the day of credit.as_of; credits in a column of their own.';
COMMENT ON COLUMN credit.customer_aging.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.customer_aging.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.customer_aging.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.customer_aging.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.customer_aging.current IS 'Due on the day or later.';
COMMENT ON COLUMN credit.customer_aging.d1_30 IS '1 to 30 days past due.';
COMMENT ON COLUMN credit.customer_aging.d31_60 IS '31 to 60 days past due.';
COMMENT ON COLUMN credit.customer_aging.d61_90 IS '61 to 90 days past due.';
COMMENT ON COLUMN credit.customer_aging.d91_120 IS '91 to 120 days past due.';
COMMENT ON COLUMN credit.customer_aging.d121_plus IS 'More than 120 days past due.';
COMMENT ON COLUMN credit.customer_aging.undated IS 'Without any date.';
COMMENT ON COLUMN credit.customer_aging.credits IS 'Credit notes and unapplied payments, negative.';
COMMENT ON COLUMN credit.customer_aging.total IS 'Balance: the sum of all columns before.';
COMMENT ON COLUMN credit.customer_aging.overdue IS 'Sum of the columns past due.';
COMMENT ON COLUMN credit.customer_aging.disputed IS 'How much of it is disputed; it stands in its buckets too.';
COMMENT ON COLUMN credit.customer_aging.n_items IS 'Number of open items.';
COMMENT ON COLUMN credit.customer_aging.oldest_days_past_due IS 'Most days past due of any debt; negative: none is due.';
COMMENT ON COLUMN credit.customer_aging.average_days_past_due IS 'Days past due of the debts, weighted by amount; not yet due counts negative.';
COMMENT ON COLUMN credit.customer_aging.is_complete IS 'False: see view open_items.';

CREATE FUNCTION credit.customer_aging_by
	(as_of date, bounds integer[], credits text DEFAULT 'separate', basis text DEFAULT 'due')
RETURNS TABLE (customer text, segment text, name text, currency text,
			   bounds integer[], buckets numeric[], undated numeric, credits numeric,
			   total numeric, n_items bigint, is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT q.customer, q.segment, q.name, q.currency, (q.a).bounds, (q.a).buckets,
	   (q.a).undated, (q.a).credits, (q.a).total, q.n_items, q.is_complete
  FROM (SELECT o.customer, o.segment, o.name, o.currency,
			   credit.aging(o.open_amount,
							CASE customer_aging_by.basis WHEN 'document' THEN o.document_date ELSE o.due_date END,
							customer_aging_by.as_of, customer_aging_by.bounds,
							customer_aging_by.credits, customer_aging_by.basis) AS a,
			   count(*) AS n_items, bool_and(o.is_complete) AS is_complete
		  FROM credit.open_items_on(customer_aging_by.as_of) o
		 GROUP BY o.customer, o.segment, o.name, o.currency) q;
END;
COMMENT ON FUNCTION credit.customer_aging_by(date, integer[], text, text) IS
'The same with buckets of one''s own (ascending upper bounds in days, 0 among them for basis due), and by days past due or (basis document) days since the document date.';

CREATE FUNCTION credit.portfolio_aging_on(as_of date, credits text DEFAULT 'separate')
RETURNS TABLE (segment text, currency text, n_customers bigint,
			   current numeric, d1_30 numeric, d31_60 numeric, d61_90 numeric,
			   d91_120 numeric, d121_plus numeric, undated numeric, credits numeric,
			   total numeric, overdue numeric, overdue_ratio float8, disputed numeric,
			   n_items bigint, is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
SELECT a.segment, a.currency, count(*), sum(a.current), sum(a.d1_30), sum(a.d31_60),
	   sum(a.d61_90), sum(a.d91_120), sum(a.d121_plus), sum(a.undated), sum(a.credits),
	   sum(a.total), sum(a.overdue),
	   CASE WHEN portfolio_aging_on.credits <> 'own'
			THEN (sum(a.overdue) / NULLIF(sum(a.current + a.overdue + a.undated), 0))::float8 END,
	   sum(a.disputed), sum(a.n_items)::bigint, bool_and(a.is_complete)
  FROM credit.customer_aging_on(portfolio_aging_on.as_of, portfolio_aging_on.credits) a
 GROUP BY a.segment, a.currency;
END;
COMMENT ON FUNCTION credit.portfolio_aging_on(date, text) IS
'Aging of all customers of a segment and currency on a day; credits as in customer_aging_on(), set off within each customer. overdue_ratio is NULL with own, where credits stand among the debts.';

CREATE VIEW credit.portfolio_aging AS
SELECT a.segment COLLATE "C" AS segment, a.currency COLLATE "C" AS currency, a.n_customers, a.current, a.d1_30, a.d31_60, a.d61_90,
	   a.d91_120, a.d121_plus, a.undated, a.credits, a.total, a.overdue,
	   a.overdue_ratio, a.disputed, a.n_items, a.is_complete
  FROM credit.portfolio_aging_on(credit.as_of()) a;
COMMENT ON VIEW credit.portfolio_aging IS 'Aging by segment and currency today, or on the day of credit.as_of.';
COMMENT ON COLUMN credit.portfolio_aging.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.portfolio_aging.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.portfolio_aging.n_customers IS 'Number of customers with open items.';
COMMENT ON COLUMN credit.portfolio_aging.current IS 'Due on the day or later.';
COMMENT ON COLUMN credit.portfolio_aging.d1_30 IS '1 to 30 days past due.';
COMMENT ON COLUMN credit.portfolio_aging.d31_60 IS '31 to 60 days past due.';
COMMENT ON COLUMN credit.portfolio_aging.d61_90 IS '61 to 90 days past due.';
COMMENT ON COLUMN credit.portfolio_aging.d91_120 IS '91 to 120 days past due.';
COMMENT ON COLUMN credit.portfolio_aging.d121_plus IS 'More than 120 days past due.';
COMMENT ON COLUMN credit.portfolio_aging.undated IS 'Without any date.';
COMMENT ON COLUMN credit.portfolio_aging.credits IS 'Credit notes and unapplied payments, negative.';
COMMENT ON COLUMN credit.portfolio_aging.total IS 'Balance: the sum of all buckets, undated and credits.';
COMMENT ON COLUMN credit.portfolio_aging.overdue IS 'Sum of the columns past due.';
COMMENT ON COLUMN credit.portfolio_aging.overdue_ratio IS 'Share (0 to 1) of the debts that is past due.';
COMMENT ON COLUMN credit.portfolio_aging.disputed IS 'How much of it is disputed; it stands in its buckets too.';
COMMENT ON COLUMN credit.portfolio_aging.n_items IS 'Number of open items.';
COMMENT ON COLUMN credit.portfolio_aging.is_complete IS 'False: see view open_items.';

/*
 * What moved the balance of an account: documents on their days, and
 * settlements that no payment of ours stands for.
 */
CREATE FUNCTION credit.account_movements(account_id bigint, as_of date)
RETURNS TABLE (moved_on date, kind text, source_id integer, key text, currency text, amount numeric, is_document boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH document AS
	(SELECT i.*, s.kind, s.kind IN ('payment', 'credit_note') AS takes_off,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day
	   FROM credit.item i
	   JOIN credit.source s ON s.source_id = i.source_id
	  WHERE i.account_id = account_movements.account_id AND (i.is_open OR NOT i.is_open)
		AND i.amount IS NOT NULL
		AND s.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
		AND (i.reversed_on IS NULL OR i.reversed_on > as_of))
SELECT d.day, d.kind, d.source_id, d.key, d.currency,
	   CASE WHEN d.takes_off THEN -d.amount ELSE d.amount END, true
  FROM document d
UNION ALL
SELECT GREATEST(COALESCE(t.settled_on, d.day), d.day), t.kind, t.source_id, t.key, d.currency,
	   CASE WHEN d.takes_off THEN t.amount ELSE -t.amount END, false
  FROM document d
  JOIN credit.settlement t ON t.source_id = d.source_id AND t.key = d.key
 WHERE t.payment_key IS NULL
   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
UNION ALL
/* paid by another account: its money, our debt; and the other way round */
SELECT GREATEST(COALESCE(t.settled_on, d.day), d.day), 'transfer', t.source_id, t.key, d.currency, -t.amount, false
  FROM document d
  JOIN credit.settlement t ON t.source_id = d.source_id AND t.key = d.key
  JOIN credit.item p ON p.source_id = t.payment_source_id AND p.key = t.payment_key
 WHERE p.account_id <> account_movements.account_id
   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
UNION ALL
SELECT GREATEST(COALESCE(t.settled_on, d.day), d.day), 'transfer', d.source_id, d.key, d.currency, t.amount, false
  FROM document d
  JOIN credit.settlement t ON t.payment_source_id = d.source_id AND t.payment_key = d.key
  JOIN credit.item x ON x.source_id = t.source_id AND x.key = t.key
 WHERE x.account_id <> account_movements.account_id
   AND x.amount IS NOT NULL
   AND COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) <= as_of
   AND (x.reversed_on IS NULL OR x.reversed_on > as_of)
   AND (t.settled_on <= as_of OR t.settled_on IS NULL);
END;
COMMENT ON FUNCTION credit.account_movements(bigint, date) IS
'What has moved the balance of an account up to a day, one row per document, per settlement without a payment, and per settlement between accounts; use account_statement().';

/* The same as open_documents_on, by the indexes of one account. */
CREATE FUNCTION credit.open_of_account(account_id bigint, as_of date)
RETURNS TABLE (source_id integer, key text, currency text, kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT d.source_id, d.key, d.currency, d.kind, d.open_amount
  FROM (SELECT i.source_id, i.key, i.currency, s.kind,
			   CASE WHEN s.kind IN ('payment', 'credit_note') THEN o.settled - i.amount ELSE i.amount - o.settled END AS open_amount
		  FROM credit.item i
		  JOIN credit.source s ON s.source_id = i.source_id
		 CROSS JOIN LATERAL
			   (SELECT COALESCE((SELECT sum(t.amount) FROM credit.settlement t
								  WHERE t.source_id = i.source_id AND t.key = i.key
									AND (t.settled_on <= open_of_account.as_of OR t.settled_on IS NULL)), 0) +
					   COALESCE((SELECT sum(CASE s.kind WHEN 'receivable' THEN -t.amount ELSE t.amount END)
								   FROM credit.settlement t
								   JOIN credit.item x ON x.source_id = t.source_id AND x.key = t.key
								  WHERE t.payment_source_id = i.source_id AND t.payment_key = i.key
									AND x.amount IS NOT NULL
									AND COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) <= open_of_account.as_of
									AND (x.reversed_on IS NULL OR x.reversed_on > open_of_account.as_of)
									AND (t.settled_on <= open_of_account.as_of OR t.settled_on IS NULL)), 0) AS settled) o
		 WHERE i.account_id = open_of_account.account_id AND (i.is_open OR NOT i.is_open)
		   AND i.amount IS NOT NULL
		   AND s.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
		   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= open_of_account.as_of
		   AND (i.reversed_on IS NULL OR i.reversed_on > open_of_account.as_of)) d
 WHERE d.open_amount <> 0 AND NOT credit.needs_allocation()
UNION ALL
SELECT o.source_id, o.key, o.currency, o.kind, o.open_amount
  FROM credit.allocated_on(open_of_account.as_of, open_of_account.account_id) o
 WHERE credit.needs_allocation();
END;
COMMENT ON FUNCTION credit.open_of_account(bigint, date) IS
'What is open of one account on a day, after allocation, from the documents as they are known now.';

CREATE FUNCTION credit.account_statement
	(customer text, as_of date DEFAULT NULL, from_date date DEFAULT NULL, segment text DEFAULT '')
RETURNS TABLE (moved_on date, kind text, number text, due_date date, currency text,
			   debit numeric, credit numeric, balance numeric, open_amount numeric,
			   source text, key text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH day AS (SELECT COALESCE(account_statement.as_of, credit.as_of()) AS as_of),
account AS
	(SELECT a.account_id, day.as_of FROM credit.account a CROSS JOIN day
	  WHERE a.customer = account_statement.customer COLLATE "C"
		AND a.segment = account_statement.segment COLLATE "C"),
movement AS
	(SELECT m.* FROM account a CROSS JOIN LATERAL credit.account_movements(a.account_id, a.as_of) m),
/* with what is open of each document, by a sort: a customer may have many */
line AS
	(SELECT from_date AS moved_on, 'opening balance' AS kind, NULL::integer AS source_id, NULL::text AS key,
			m.currency, sum(m.amount) AS amount, false AS is_document, 0 AS rank, NULL::numeric AS open_amount
	   FROM movement m WHERE m.moved_on < from_date GROUP BY m.currency
	 UNION ALL
	 SELECT m.moved_on, m.kind, m.source_id, m.key, m.currency, m.amount, m.is_document, 1, NULL
	   FROM movement m WHERE from_date IS NULL OR m.moved_on >= from_date
	 UNION ALL
	 SELECT NULL, NULL, o.source_id, o.key, o.currency, NULL, false, 2, o.open_amount
	   FROM account a CROSS JOIN LATERAL credit.open_of_account(a.account_id, a.as_of) o),
known AS
	(SELECT l.moved_on, l.kind, l.source_id, l.key, l.currency, l.amount, l.is_document, l.rank,
			COALESCE(sum(l.open_amount) OVER (PARTITION BY l.source_id, l.key), 0) AS open_amount
	   FROM line l)
SELECT l.moved_on, l.kind, COALESCE(i.number, l.key), i.due_date, l.currency,
	   GREATEST(l.amount, 0), GREATEST(-l.amount, 0),
	   sum(l.amount) OVER (PARTITION BY l.currency ORDER BY l.moved_on, l.rank, l.amount DESC, l.source_id, l.key
						   ROWS UNBOUNDED PRECEDING),
	   CASE WHEN l.is_document THEN l.open_amount END,
	   s.name, l.key
  FROM known l
  LEFT JOIN credit.item i ON i.source_id = l.source_id AND i.key = l.key
  LEFT JOIN credit.source s ON s.source_id = l.source_id
 WHERE l.rank < 2
 ORDER BY l.currency, l.moved_on, l.rank, l.amount DESC, l.source_id, l.key;
END;
COMMENT ON FUNCTION credit.account_statement(text, date, date, text) IS
'Statement of account of a customer as of a day (NULL: that of credit.as_of), from the beginning or from a day on with the opening balance; balance is that after the line, the last one is the total of customer_aging. open_amount: what is open of the document on the as-of day. kind: that of the document, or of what settles one without a payment of ours (write_off, stated, payment); transfer: a payment of another account settles a debt of this one, or the other way round.';

/*
 * Subject open: what is open of which debt and payment, today or on any other
 * day.
 *
 * Today's open amounts stand on the items, which the order check goes by.
 * Those of another day are amounts less the settlements dated up to that day,
 * from the documents as they are known now.
 */
CREATE VIEW credit.settlement_rule AS
SELECT s.source_id, s.name AS source, s.kind,
	   CASE WHEN s.fields ?| ARRAY['open_amount', 'settled_on'] THEN 'stated'
			WHEN s.kind IN ('payment', 'credit_note') AND s.applies_to_kind IS NOT NULL THEN 'named'
			WHEN EXISTS (SELECT FROM credit.source a
						  WHERE a.kind = 'application' AND s.kind IN (a.applies_to_kind, a.payment_kind)) THEN 'applied'
			ELSE 'allocated' END AS rule
  FROM credit.source s
 WHERE s.kind IN ('invoice', 'receivable', 'credit_note', 'payment');
COMMENT ON VIEW credit.settlement_rule IS
'How the open amounts of each source come about.';
COMMENT ON COLUMN credit.settlement_rule.source_id IS 'Source.';
COMMENT ON COLUMN credit.settlement_rule.source IS 'Name of the source.';
COMMENT ON COLUMN credit.settlement_rule.kind IS 'Kind of document.';
COMMENT ON COLUMN credit.settlement_rule.rule IS 'Stated: the ERP says what is open or when it was settled; named: payments name what they pay; applied: applications say it; allocated: nobody says, so it is worked out when read: equal amounts first, then the oldest due.';

/* Open amounts of today, in the sign of the balance: credits are negative. */
CREATE VIEW credit.open_now AS
SELECT i.source_id, i.key, i.account_id, i.currency, s.kind,
	   COALESCE(i.stages[3], 0) + COALESCE(i.stages[4], 0) AS open_amount
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id
 WHERE i.is_open AND s.kind IN ('invoice', 'receivable', 'credit_note', 'payment');
COMMENT ON VIEW credit.open_now IS 'Receivables, credit notes and payments of which something is open today, before allocation.';
COMMENT ON COLUMN credit.open_now.source_id IS 'Source.';
COMMENT ON COLUMN credit.open_now.key IS 'Key of the document.';
COMMENT ON COLUMN credit.open_now.account_id IS 'Account.';
COMMENT ON COLUMN credit.open_now.currency IS 'Currency of the amount.';
COMMENT ON COLUMN credit.open_now.kind IS 'Kind of document.';
COMMENT ON COLUMN credit.open_now.open_amount IS 'Open amount; negative: owed to the customer.';

/*
 * Open on a day was what is open now, or was settled, reversed or taken back
 * after it: few documents, however many there are.
 */
CREATE FUNCTION credit.changed_after(as_of date)
RETURNS TABLE (source_id integer, key text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT t.source_id, t.key FROM credit.settlement t WHERE t.settled_on > as_of
UNION
/*
 * Payments applied after the day, or to debts that were not there yet.  What
 * is applied on the day it comes is never open.
 */
SELECT p.source_id, p.key
  FROM credit.settlement t
  JOIN credit.item p ON p.source_id = t.payment_source_id AND p.key = t.payment_key
 WHERE t.payment_key IS NOT NULL AND t.settled_on > as_of
   AND t.settled_on > COALESCE(p.document_date, p.posting_date, credit.day_of(p.recorded_at))
UNION
/* applied before the debt was there: what was applied later is among those above */
SELECT p.source_id, p.key
  FROM credit.item x
  JOIN credit.settlement t ON t.source_id = x.source_id AND t.key = x.key
  JOIN credit.item p ON p.source_id = t.payment_source_id AND p.key = t.payment_key
 WHERE t.payment_key IS NOT NULL
   AND COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) > as_of
   AND (t.settled_on IS NULL OR
		t.settled_on < COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)))
   AND COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) >
	   COALESCE(p.document_date, p.posting_date, credit.day_of(p.recorded_at))
UNION
SELECT i.source_id, i.key FROM credit.item i
 WHERE NOT i.is_open AND (i.reversed_on > as_of OR i.next_on IS NOT NULL);
END;
COMMENT ON FUNCTION credit.changed_after(date) IS
'Documents that may have been open on a day although they are not now.';

/* With what reports show of each document, so that none looks it up again. */
CREATE FUNCTION credit.open_rows_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text, kind text,
			   open_amount numeric, number text, document_date date, due_date date,
			   posting_date date, amount numeric, is_disputed boolean, disputed_amount numeric,
			   retention_amount numeric, retention_until date, origin text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH candidate AS
	(SELECT i.source_id, i.key, i.account_id, i.currency, i.amount, i.number, i.document_date, i.due_date,
			i.posting_date, i.recorded_at, i.reversed_on, i.is_disputed, i.disputed_amount, i.retention_amount,
			i.retention_until, i.origin
	   FROM credit.item i
	  WHERE i.is_open
	 UNION ALL
	 SELECT i.source_id, i.key, i.account_id, i.currency, i.amount, i.number, i.document_date, i.due_date,
			i.posting_date, i.recorded_at, i.reversed_on, i.is_disputed, i.disputed_amount, i.retention_amount,
			i.retention_until, i.origin
	   FROM credit.changed_after(as_of) c
	   JOIN credit.item i ON i.source_id = c.source_id AND i.key = c.key
	  WHERE NOT i.is_open)
SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount, o.number,
	   o.document_date, o.due_date, o.posting_date, o.amount, o.is_disputed, o.disputed_amount,
	   o.retention_amount, o.retention_until, o.origin
  FROM (SELECT i.*, s.kind,
			   CASE WHEN s.kind IN ('payment', 'credit_note') THEN p.amount - i.amount + u.amount
					ELSE i.amount - p.amount + u.amount END AS open_amount
		  FROM candidate i
		  JOIN credit.source s ON s.source_id = i.source_id
		 /* what was settled of it */
		 CROSS JOIN LATERAL
			   (SELECT COALESCE(sum(t.amount), 0) AS amount FROM credit.settlement t
				 WHERE t.source_id = i.source_id AND t.key = i.key
				   AND (t.settled_on <= as_of OR t.settled_on IS NULL)) p
		 /* what it has settled, of debts that count */
		 CROSS JOIN LATERAL
			   (SELECT COALESCE(sum(t.amount), 0) AS amount
				  FROM credit.settlement t
				  JOIN credit.item x ON x.source_id = t.source_id AND x.key = t.key
				 WHERE s.kind <> 'invoice'
				   AND t.payment_source_id = i.source_id AND t.payment_key = i.key
				   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
				   AND x.amount IS NOT NULL
				   AND COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) <= as_of
				   AND (x.reversed_on IS NULL OR x.reversed_on > as_of)) u
		 WHERE s.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
		   AND i.amount IS NOT NULL
		   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
		   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)) o
 WHERE o.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.open_rows_on(date) IS
'What open_on() says, with what reports show of each document.';

CREATE FUNCTION credit.open_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text,
			   kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
  FROM credit.open_rows_on(as_of) o;
END;
COMMENT ON FUNCTION credit.open_on(date) IS
'Receivables, credit notes and payments of which something was open on a day, before allocation, from the documents as they are known now.';

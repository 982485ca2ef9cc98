/*
 * Subject exposure: what each account owes or has ordered, today or on any
 * other day.
 *
 * Today's figures come from the journal and are what the order check looks at.
 * Those of another day are added up from the dates of the documents as they
 * are known now.
 */
/* The limit in force of each account, for views; the check reads it in C. */
CREATE VIEW credit.limit_in_force AS
SELECT l.account_id,
	   l.currency,
	   CASE WHEN l.valid_until < credit.today() THEN l.base_state ELSE l.limit_state END AS limit_state,
	   CASE WHEN l.valid_until < credit.today() THEN l.base_limit ELSE l.credit_limit END AS credit_limit,
	   CASE WHEN l.valid_until >= credit.today() THEN l.valid_until END AS valid_until
  FROM credit.account_limit l;
COMMENT ON VIEW credit.limit_in_force IS 'The limit that counts today, past temporary ones left out.';
COMMENT ON COLUMN credit.limit_in_force.account_id IS 'Account.';
COMMENT ON COLUMN credit.limit_in_force.currency IS 'Currency of the account and its limit.';
COMMENT ON COLUMN credit.limit_in_force.limit_state IS 'not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.limit_in_force.credit_limit IS 'Limit in the currency of the account; only with state amount.';
COMMENT ON COLUMN credit.limit_in_force.valid_until IS 'Last day of a temporary limit; NULL: no end.';

CREATE FUNCTION credit.exposure_documents_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, source text, kind text,
			   key text, number text, document_date date, due_date date,
			   currency text, amount numeric, ordered numeric, delivered numeric,
			   invoiced numeric, unapplied numeric, exposure numeric,
			   is_disputed boolean, origin text, recorded_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, s.name, s.kind, i.key,
	   COALESCE(i.number, i.key), i.document_date, i.due_date, i.currency, COALESCE(i.amount, 0),
	   COALESCE(i.stages[1], 0), COALESCE(i.stages[2], 0),
	   COALESCE(i.stages[3], 0), COALESCE(i.stages[4], 0),
	   COALESCE(i.stages[1], 0) + COALESCE(i.stages[2], 0) +
	   COALESCE(i.stages[3], 0) + COALESCE(i.stages[4], 0),
	   i.is_disputed, i.origin, i.recorded_at
  FROM credit.item i
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.source s ON s.source_id = i.source_id
 WHERE exposure_documents_on.as_of = 'infinity'
   AND (i.amount IS NOT NULL OR i.is_open)
UNION ALL
SELECT a.customer, a.segment, a.name, s.name, s.kind, i.key,
	   COALESCE(i.number, i.key), i.document_date, i.due_date, i.currency, COALESCE(i.amount, 0),
	   COALESCE(v.stages[1], 0), COALESCE(v.stages[2], 0),
	   COALESCE(v.stages[3], 0), COALESCE(v.stages[4], 0),
	   COALESCE(v.stages[1], 0) + COALESCE(v.stages[2], 0) +
	   COALESCE(v.stages[3], 0) + COALESCE(v.stages[4], 0),
	   i.is_disputed, i.origin, i.recorded_at
  FROM credit.item i
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.source s ON s.source_id = i.source_id
  LEFT JOIN credit.valuation_on(exposure_documents_on.as_of) v ON v.source_id = i.source_id AND v.key = i.key
 WHERE exposure_documents_on.as_of < 'infinity'
   AND (v.key IS NOT NULL OR i.amount IS NOT NULL)
   AND (v.stages <> '{}' OR
		COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= exposure_documents_on.as_of);
END;
COMMENT ON FUNCTION credit.exposure_documents_on(date) IS
'Documents dated up to a day, as they are known now, with what each added to exposure by stage on that day; infinity: all of them, with what they add now. A document without dates counts from the day it was recorded. An order that does not count and stands in for its deliveries has amount 0.';

CREATE VIEW credit.exposure_document AS
SELECT d.customer, d.segment, d.name, d.source, d.kind, d.key, d.number,
	   d.document_date, d.due_date, d.currency, d.amount, d.ordered, d.delivered,
	   d.invoiced, d.unapplied, d.exposure, d.is_disputed, d.origin, d.recorded_at
  FROM credit.exposure_documents_on
	   (CASE WHEN credit.as_of() = credit.today() THEN 'infinity' ELSE credit.as_of() END) d;
COMMENT ON VIEW credit.exposure_document IS
'The documents behind each figure of view exposure; follows credit.as_of.';
COMMENT ON COLUMN credit.exposure_document.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure_document.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.exposure_document.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure_document.source IS 'Source, as in view sources.';
COMMENT ON COLUMN credit.exposure_document.kind IS 'Kind of document.';
COMMENT ON COLUMN credit.exposure_document.key IS 'Key of the document in the ERP.';
COMMENT ON COLUMN credit.exposure_document.number IS 'Number people know it by.';
COMMENT ON COLUMN credit.exposure_document.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.exposure_document.due_date IS 'Due date; of an order the day it is to be delivered.';
COMMENT ON COLUMN credit.exposure_document.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.exposure_document.amount IS 'Amount of the document, tax included; 0: an order that does not count, and stands in for its deliveries.';
COMMENT ON COLUMN credit.exposure_document.ordered IS 'What it adds as open order.';
COMMENT ON COLUMN credit.exposure_document.delivered IS 'What it adds as delivered, not invoiced.';
COMMENT ON COLUMN credit.exposure_document.invoiced IS 'What it adds as open receivable.';
COMMENT ON COLUMN credit.exposure_document.unapplied IS 'Cash received, negative.';
COMMENT ON COLUMN credit.exposure_document.exposure IS 'What it adds to exposure: the sum of the stages.';
COMMENT ON COLUMN credit.exposure_document.is_disputed IS 'True: the customer disputes it.';
COMMENT ON COLUMN credit.exposure_document.origin IS 'Key of the document it comes from, or pays.';
COMMENT ON COLUMN credit.exposure_document.recorded_at IS 'When this version came into the ledger.';

CREATE FUNCTION credit.exposure_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   ordered numeric, delivered numeric, invoiced numeric,
			   unapplied numeric, total numeric, limit_state text,
			   credit_limit numeric, valid_until date, other_currencies text[])
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
WITH chain AS
	(SELECT v.account_id, v.currency,
			sum(COALESCE(v.stages[1], 0)) AS ordered, sum(COALESCE(v.stages[2], 0)) AS delivered,
			sum(COALESCE(v.stages[3], 0)) AS invoiced, sum(COALESCE(v.stages[4], 0)) AS unapplied,
			sum(COALESCE(v.stages[1], 0) + COALESCE(v.stages[2], 0) +
				COALESCE(v.stages[3], 0) + COALESCE(v.stages[4], 0)) AS total
	   FROM credit.valuation_on(exposure_on.as_of) v
	  GROUP BY v.account_id, v.currency),
balance AS
	(SELECT x.account_id,
			array_agg(x.currency ORDER BY x.currency) FILTER (WHERE x.currency <> l.currency AND x.total <> 0) AS other_currencies,
			bool_or(x.currency <> l.currency) AS is_mixed,
			CASE WHEN count(c.ordered) = count(*) THEN sum(c.ordered) END AS ordered,
			CASE WHEN count(c.delivered) = count(*) THEN sum(c.delivered) END AS delivered,
			CASE WHEN count(c.invoiced) = count(*) THEN sum(c.invoiced) END AS invoiced,
			CASE WHEN count(c.unapplied) = count(*) THEN sum(c.unapplied) END AS unapplied,
			CASE WHEN count(c.total) = count(*) THEN sum(c.total) END AS total
	   FROM chain x
	   JOIN credit.account_limit l ON l.account_id = x.account_id
	  CROSS JOIN LATERAL
			(SELECT credit.convert_exposure(x.ordered, x.total, x.currency, l.currency, exposure_on.as_of) AS ordered,
					credit.convert_exposure(x.delivered, x.total, x.currency, l.currency, exposure_on.as_of) AS delivered,
					credit.convert_exposure(x.invoiced, x.total, x.currency, l.currency, exposure_on.as_of) AS invoiced,
					credit.convert_exposure(x.unapplied, x.total, x.currency, l.currency, exposure_on.as_of) AS unapplied,
					credit.convert_exposure(x.total, x.total, x.currency, l.currency, exposure_on.as_of) AS total) c
	  GROUP BY x.account_id)
SELECT a.customer, a.segment, a.name, l.currency,
	   CASE WHEN b.account_id IS NULL THEN 0 WHEN b.is_mixed THEN credit.round_amount(b.ordered, l.currency) ELSE b.ordered END,
	   CASE WHEN b.account_id IS NULL THEN 0 WHEN b.is_mixed THEN credit.round_amount(b.delivered, l.currency) ELSE b.delivered END,
	   CASE WHEN b.account_id IS NULL THEN 0 WHEN b.is_mixed THEN credit.round_amount(b.invoiced, l.currency) ELSE b.invoiced END,
	   CASE WHEN b.account_id IS NULL THEN 0 WHEN b.is_mixed THEN credit.round_amount(b.unapplied, l.currency) ELSE b.unapplied END,
	   CASE WHEN b.account_id IS NULL THEN 0 WHEN b.other_currencies IS NOT NULL THEN credit.round_amount(b.total, l.currency) ELSE b.total END,
	   l.limit_state, l.credit_limit, l.valid_until, b.other_currencies
  FROM credit.account a
  JOIN credit.limit_in_force l ON l.account_id = a.account_id
  LEFT JOIN balance b ON b.account_id = a.account_id;
END;
COMMENT ON FUNCTION credit.exposure_on(date) IS
'Exposure of every account on a day, from the dates of the documents as they are known now, beside its present limit; in the currency of the account, documents in others (other_currencies) converted at the rates of that day. total, and each stage, is NULL where a rate it needs is missing.';

CREATE VIEW credit.exposure AS
SELECT e.customer, e.segment, e.name, e.currency,
	   e.ordered, e.delivered, e.invoiced, e.unapplied, e.total,
	   e.limit_state, e.credit_limit, e.valid_until,
	   CASE e.limit_state WHEN 'amount' THEN e.credit_limit - e.total
						  WHEN 'blocked' THEN 0 END AS headroom,
	   CASE WHEN e.limit_state = 'amount' AND e.credit_limit > 0 AND e.total IS NOT NULL
			THEN GREATEST(e.total, 0)::float8 / e.credit_limit::float8 END AS utilisation,
	   CASE e.limit_state WHEN 'amount' THEN e.total > e.credit_limit
						  WHEN 'blocked' THEN e.total > 0
						  ELSE false END AS is_over_limit,
	   e.other_currencies,
	   CASE WHEN e.total IS NULL
			THEN ARRAY(SELECT o.currency FROM unnest(e.other_currencies) o (currency)
						WHERE credit.convert_exposure(1, 1, o.currency, e.currency, credit.as_of()) IS NULL) END AS missing_rates
  FROM (SELECT a.customer, a.segment, a.name, l.currency,
			   CASE WHEN b.is_mixed THEN credit.round_amount(b.ordered, l.currency) ELSE b.ordered END AS ordered,
			   CASE WHEN b.is_mixed THEN credit.round_amount(b.delivered, l.currency) ELSE b.delivered END AS delivered,
			   CASE WHEN b.is_mixed THEN credit.round_amount(b.invoiced, l.currency) ELSE b.invoiced END AS invoiced,
			   CASE WHEN b.is_mixed THEN credit.round_amount(b.unapplied, l.currency) ELSE b.unapplied END AS unapplied,
			   CASE WHEN b.other_currencies IS NOT NULL THEN credit.round_amount(b.total, l.currency) ELSE b.total END AS total,
			   l.limit_state, l.credit_limit, l.valid_until, b.other_currencies
		  FROM credit.account a
		  JOIN credit.limit_in_force l ON l.account_id = a.account_id
		 CROSS JOIN LATERAL
			   (SELECT array_agg(x.currency ORDER BY x.currency) FILTER (WHERE x.currency <> l.currency AND x.total <> 0) AS other_currencies,
					   COALESCE(bool_or(x.currency <> l.currency), false) AS is_mixed,
					   CASE WHEN count(c.ordered) = count(*) THEN COALESCE(sum(c.ordered), 0) END AS ordered,
					   CASE WHEN count(c.delivered) = count(*) THEN COALESCE(sum(c.delivered), 0) END AS delivered,
					   CASE WHEN count(c.invoiced) = count(*) THEN COALESCE(sum(c.invoiced), 0) END AS invoiced,
					   CASE WHEN count(c.unapplied) = count(*) THEN COALESCE(sum(c.unapplied), 0) END AS unapplied,
					   CASE WHEN count(c.total) = count(*) THEN COALESCE(sum(c.total), 0) END AS total
				  FROM credit.balance(a.account_id) x
				 CROSS JOIN LATERAL
					   (SELECT credit.convert_exposure(x.ordered, x.total, x.currency, l.currency, (SELECT credit.today())) AS ordered,
							   credit.convert_exposure(x.delivered, x.total, x.currency, l.currency, (SELECT credit.today())) AS delivered,
							   credit.convert_exposure(x.invoiced, x.total, x.currency, l.currency, (SELECT credit.today())) AS invoiced,
							   credit.convert_exposure(x.unapplied, x.total, x.currency, l.currency, (SELECT credit.today())) AS unapplied,
							   credit.convert_exposure(x.total, x.total, x.currency, l.currency, (SELECT credit.today())) AS total) c) b
		 WHERE credit.as_of() = credit.today()
		UNION ALL
		SELECT p.customer, p.segment, p.name, p.currency,
			   p.ordered, p.delivered, p.invoiced, p.unapplied, p.total,
			   p.limit_state, p.credit_limit, p.valid_until, p.other_currencies
		  FROM credit.exposure_on(credit.as_of()) p
		 WHERE credit.as_of() <> credit.today()) e;
COMMENT ON VIEW credit.exposure IS
'Exposure of every account by stage against its present limit. Today: from the journal, which is what the order check looks at. With credit.as_of on another day: from the dates of the documents as they are known now.';
COMMENT ON COLUMN credit.exposure.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure.segment IS 'Company, division or the like; empty where the ERP has one only.';
COMMENT ON COLUMN credit.exposure.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure.currency IS 'Currency of the account; all amounts are in it, those of documents in other currencies at the rates of the day.';
COMMENT ON COLUMN credit.exposure.ordered IS 'Open orders. Where amounts were converted, this and the other stages are rounded each by itself; NULL: a rate is missing.';
COMMENT ON COLUMN credit.exposure.delivered IS 'Delivered, not invoiced.';
COMMENT ON COLUMN credit.exposure.invoiced IS 'Open receivables.';
COMMENT ON COLUMN credit.exposure.unapplied IS 'Cash received, negative.';
COMMENT ON COLUMN credit.exposure.total IS 'Exposure: ordered + delivered + invoiced + unapplied, rounded once where amounts were converted. NULL: a rate is missing (missing_rates).';
COMMENT ON COLUMN credit.exposure.limit_state IS 'not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.exposure.credit_limit IS 'Limit in force; only with state amount.';
COMMENT ON COLUMN credit.exposure.valid_until IS 'Last day of a temporary limit; NULL: no end.';
COMMENT ON COLUMN credit.exposure.headroom IS 'Limit less exposure; may be negative. NULL: no amount is set.';
COMMENT ON COLUMN credit.exposure.utilisation IS 'Exposure as a ratio of the limit, 0 below zero. NULL: no amount is set, a limit of 0, or total is NULL.';
COMMENT ON COLUMN credit.exposure.is_over_limit IS 'True: exposure is above the limit, or the account is blocked and owes. NULL: total is NULL.';
COMMENT ON COLUMN credit.exposure.other_currencies IS 'Currencies of documents other than that of the account; NULL: none. View exposure_by_currency has their amounts.';
COMMENT ON COLUMN credit.exposure.missing_rates IS 'Those of them that have no rate that counts, so that there is no total; NULL: none.';

CREATE VIEW credit.near_limit AS
SELECT e.customer, e.segment, e.name, e.currency, e.total, e.credit_limit,
	   e.headroom, e.utilisation, e.is_over_limit
  FROM credit.exposure e
 WHERE e.utilisation >= (SELECT s.value::float8 FROM credit.settings s WHERE s.name = 'near_limit')
	OR e.is_over_limit
 ORDER BY e.headroom;
COMMENT ON VIEW credit.near_limit IS
'Accounts whose utilisation has reached setting near_limit, and all above their limit; least headroom first.';
COMMENT ON COLUMN credit.near_limit.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.near_limit.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.near_limit.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.near_limit.currency IS 'Currency of the account.';
COMMENT ON COLUMN credit.near_limit.total IS 'Exposure.';
COMMENT ON COLUMN credit.near_limit.credit_limit IS 'Limit in force.';
COMMENT ON COLUMN credit.near_limit.headroom IS 'Limit less exposure; may be negative.';
COMMENT ON COLUMN credit.near_limit.utilisation IS 'Exposure as a ratio of the limit.';
COMMENT ON COLUMN credit.near_limit.is_over_limit IS 'True: above the limit.';

CREATE VIEW credit.over_limit AS
SELECT e.customer, e.segment, e.name, e.currency, e.total, e.limit_state,
	   e.credit_limit, e.total - COALESCE(e.credit_limit, 0) AS excess
  FROM credit.exposure e
 WHERE e.is_over_limit
 ORDER BY excess DESC;
COMMENT ON VIEW credit.over_limit IS
'Accounts above their limit: receipts that bounced, limits that were cut, documents that came in shadow mode or by backfill. Largest excess first.';
COMMENT ON COLUMN credit.over_limit.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.over_limit.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.over_limit.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.over_limit.currency IS 'Currency of the account.';
COMMENT ON COLUMN credit.over_limit.total IS 'Exposure.';
COMMENT ON COLUMN credit.over_limit.limit_state IS 'amount or blocked.';
COMMENT ON COLUMN credit.over_limit.credit_limit IS 'Limit in force; NULL: blocked.';
COMMENT ON COLUMN credit.over_limit.excess IS 'Exposure above the limit.';

CREATE VIEW credit.limit_history AS
SELECT a.customer, a.segment, a.name, c.changed_at, c.changed_by, c.old_state,
	   c.old_limit, c.new_state, c.new_limit, c.valid_until, c.reason, s.name AS source
  FROM credit.limit_change c
  JOIN credit.account a ON a.account_id = c.account_id
  LEFT JOIN credit.source s ON s.source_id = c.source_id;
COMMENT ON VIEW credit.limit_history IS 'Every change of a limit: who, when, from what to what, why.';
COMMENT ON COLUMN credit.limit_history.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.limit_history.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.limit_history.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.limit_history.changed_at IS 'When.';
COMMENT ON COLUMN credit.limit_history.changed_by IS 'Session user who did it.';
COMMENT ON COLUMN credit.limit_history.old_state IS 'State before.';
COMMENT ON COLUMN credit.limit_history.old_limit IS 'Limit before.';
COMMENT ON COLUMN credit.limit_history.new_state IS 'State after.';
COMMENT ON COLUMN credit.limit_history.new_limit IS 'Limit after.';
COMMENT ON COLUMN credit.limit_history.valid_until IS 'Last day of a temporary limit.';
COMMENT ON COLUMN credit.limit_history.reason IS 'Reason given to set_limit().';
COMMENT ON COLUMN credit.limit_history.source IS 'Customer source, when the ERP changed it; NULL: set_limit().';

CREATE VIEW credit.item_history AS
SELECT a.customer, a.segment, s.name AS source, v.key, v.currency, v.amount,
	   v.document_date, v.due_date, v.recorded_at, v.superseded_at, v.seq
  FROM (SELECT i.source_id, i.key, i.account_id, i.currency, i.amount,
			   i.document_date, i.due_date, i.recorded_at,
			   NULL::timestamptz AS superseded_at, i.seq
		  FROM credit.item i
		UNION ALL
		SELECT i.source_id, i.key, i.account_id, i.currency, i.amount,
			   i.document_date, i.due_date, i.recorded_at, i.superseded_at, i.seq
		  FROM credit.item_version i) v
  JOIN credit.account a ON a.account_id = v.account_id
  LEFT JOIN credit.source s ON s.source_id = v.source_id;
COMMENT ON VIEW credit.item_history IS
'Every version of every document: what was known at moment t is recorded_at <= t AND (superseded_at IS NULL OR superseded_at > t).';
COMMENT ON COLUMN credit.item_history.customer IS 'Key of the customer at that time.';
COMMENT ON COLUMN credit.item_history.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.item_history.source IS 'Source; NULL: detached meanwhile.';
COMMENT ON COLUMN credit.item_history.key IS 'Key of the document in the ERP.';
COMMENT ON COLUMN credit.item_history.currency IS 'Currency of the amount.';
COMMENT ON COLUMN credit.item_history.amount IS 'Amount at that time.';
COMMENT ON COLUMN credit.item_history.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.item_history.due_date IS 'Due date.';
COMMENT ON COLUMN credit.item_history.recorded_at IS 'When this version came into the ledger.';
COMMENT ON COLUMN credit.item_history.superseded_at IS 'When it was replaced or stopped counting; NULL: present version.';
COMMENT ON COLUMN credit.item_history.seq IS 'Row of the journal that carries it.';

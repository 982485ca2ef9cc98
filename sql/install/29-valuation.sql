/*
 * Subject valuation: in which stage the value of each document stood on any
 * day, from the documents as they are known now.  The rule is that of
 * src/stage.c; the sums are those of the documents dated up to that day.
 */
CREATE FUNCTION credit.orders_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text, stages numeric[])
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH document AS
	(SELECT i.source_id, i.key, i.account_id, i.currency, i.amount, i.origin, i.document,
			s.kind, s.origin_kind, s.applies_to_kind
	   FROM credit.item i
	   JOIN credit.source s ON s.source_id = i.source_id
	  WHERE s.kind IN ('delivery', 'invoice', 'receivable', 'link') AND i.amount IS NOT NULL
		AND (i.origin IS NOT NULL OR s.kind IN ('delivery', 'invoice', 'receivable'))
		AND (s.kind = 'link' OR
			 COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of)
		AND (i.reversed_on IS NULL OR i.reversed_on > as_of)),
/* what was invoiced of an order or delivery, directly or by a link */
invoiced AS
	(SELECT d.origin_kind AS kind, d.origin AS key, d.currency, d.amount
	   FROM document d WHERE d.kind IN ('invoice', 'receivable') AND d.origin IS NOT NULL
	 UNION ALL
	 SELECT l.origin_kind, l.origin, d.currency, l.amount
	   FROM document l JOIN document d ON d.kind = l.applies_to_kind AND d.key = l.document
	  WHERE l.kind = 'link'),
of_delivery AS
	(SELECT i.key, i.currency, sum(i.amount) AS amount
	   FROM invoiced i WHERE i.kind = 'delivery' GROUP BY i.key, i.currency),
of_order AS
	(SELECT q.key, q.currency, sum(q.delivered) AS delivered, sum(q.invoiced) AS invoiced
	   FROM (SELECT i.key, i.currency, NULL::numeric AS delivered, i.amount AS invoiced
			   FROM invoiced i WHERE i.kind = 'order'
			 UNION ALL
			 SELECT d.origin, d.currency, d.amount, o.amount
			   FROM document d LEFT JOIN of_delivery o ON o.key = d.key AND o.currency = d.currency
			  WHERE d.kind = 'delivery' AND d.origin_kind = 'order' AND d.origin IS NOT NULL) q
	  GROUP BY q.key, q.currency)
SELECT i.source_id, i.key, i.account_id, i.currency,
	   credit.order_stages(CASE WHEN COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
								THEN i.amount END, o.delivered, o.invoiced)
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id AND s.kind = 'order'
  LEFT JOIN of_order o ON o.key = i.key AND o.currency = i.currency
 WHERE i.account_id IS NOT NULL
   AND (o.key IS NOT NULL OR COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of)
UNION ALL
SELECT d.source_id, d.key, d.account_id, d.currency,
	   credit.order_stages(NULL, d.amount, o.amount)
  FROM document d
  LEFT JOIN of_delivery o ON o.key = d.key AND o.currency = d.currency
 WHERE d.kind = 'delivery'
   AND NOT EXISTS (SELECT FROM credit.item r JOIN credit.source s ON s.source_id = r.source_id
					WHERE s.kind = 'order' AND d.origin_kind = 'order' AND r.key = d.origin
					  AND r.is_counted AND r.currency = d.currency);
END;
COMMENT ON FUNCTION credit.orders_on(date) IS
'What orders, and deliveries that come from none, added to exposure on a day, by stage, from the documents as they are known now.';

CREATE FUNCTION credit.valuation_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text, stages numeric[])
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT o.source_id, o.key, o.account_id, o.currency, o.stages
  FROM credit.orders_on(as_of) o
UNION ALL
SELECT o.source_id, o.key, o.account_id, o.currency,
	   CASE WHEN o.open_amount > 0 AND (o.kind IN ('invoice', 'receivable') OR i.amount >= 0)
			THEN ARRAY[0, 0, o.open_amount]
			ELSE ARRAY[0, 0, 0, o.open_amount] END
  FROM credit.open_on(as_of) o
  JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key;
END;
COMMENT ON FUNCTION credit.valuation_on(date) IS
'What every document added to exposure on a day, by stage, from the documents as they are known now.';

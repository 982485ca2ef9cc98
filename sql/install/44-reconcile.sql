/*
 * Subject reconcile: does the ledger say what the ERP says?
 *
 * Everything is read under one snapshot, so that orders may arrive meanwhile:
 * a function that is STABLE looks at what its caller's statement sees.
 */

/* The fields of documents that are compared, as a list of jsonb arguments. */
CREATE FUNCTION credit.compared_fields(kind text, side text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(format('%L, %s', f.field,
		CASE WHEN side = 'erp' AND f.field = 'segment' THEN 'COALESCE(q.segment, '''')'
			 WHEN side = 'erp' AND f.field = 'currency' AND kind NOT IN ('application', 'link')
			 THEN format('COALESCE(q.currency, %L)', (SELECT s.value FROM credit.settings s WHERE s.name = 'currency'))
			 /* a composite key of NULLs names nothing */
			 WHEN side = 'erp' AND f.field IN ('origin', 'applies_to', 'payment', 'document')
			 THEN format('CASE WHEN q.%1$I !~ ''^\(,+\)$'' THEN q.%1$I END', f.field)
			 WHEN side = 'erp' THEN format('q.%I', f.field)
			 WHEN f.field IN ('customer', 'segment') THEN format('a.%I', f.field)
			 WHEN f.field = 'applies_to' THEN 'i.origin'
			 WHEN f.field = 'payment' THEN 'i.document'
			 ELSE format('i.%I', f.field) END), ', ' ORDER BY f.field)
  FROM credit.field_catalog() f
 WHERE kind = ANY (f.kinds) AND f.field NOT IN ('key', 'counts_when')
$$;
COMMENT ON FUNCTION credit.compared_fields(text, text) IS
'Fields of a kind of document with their expressions on one side (erp or ledger), for reconcile().';

CREATE FUNCTION credit.differing_fields(one jsonb, other jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN other IS NULL THEN jsonb_strip_nulls(one)
			ELSE (SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(one) e
				   WHERE e.value IS DISTINCT FROM other -> e.key) END
$$;
COMMENT ON FUNCTION credit.differing_fields(jsonb, jsonb) IS
'What of the first object is not so in the second; all of it where there is no second.';

/*
 * Documents, or customers, of one source that differ from the rows of the ERP.
 * as_owner: a table too is read as its owner in a restricted operation, so that
 * functions of the ERP do not run with the rights of whoever asks.
 */
CREATE FUNCTION credit.differences_of(source_id integer, as_owner boolean)
RETURNS TABLE (key text, difference text, erp jsonb, ledger jsonb, document text, customer text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET timezone = 'UTC'
AS $$
DECLARE
	s credit.source%ROWTYPE;
	query text;
	owes boolean;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = differences_of.source_id;
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	query := CASE WHEN as_owner THEN credit.owner_query(s.relation, s.kind, s.fields)
				  ELSE credit.mapping_query(s.relation, s.kind, s.fields) END;
	owes := s.kind NOT IN ('application', 'link');
	IF s.kind = 'customer' THEN
		RETURN QUERY EXECUTE format($q$
			WITH e AS (SELECT q.key AS k, COALESCE(q.segment, '') AS g,
							  jsonb_build_object('name', q.name, 'parent', q.parent, 'status', q.status,
												 'terms_days', q.terms_days, 'rating', q.rating %3$s) AS v
						 FROM (%1$s) q),
			l AS (SELECT a.customer AS k, a.segment AS g,
						 jsonb_build_object('name', a.name, 'parent', a.parent, 'status', a.status,
											'terms_days', a.terms_days, 'rating', a.rating %4$s) AS v
					FROM credit.account a LEFT JOIN credit.account_limit m ON m.account_id = a.account_id
				   WHERE a.source_id = %2$s)
			SELECT COALESCE(e.k, l.k) || CASE WHEN COALESCE(e.g, l.g) = '' THEN '' ELSE ' in ' || COALESCE(e.g, l.g) END,
				   CASE WHEN l.k IS NULL THEN 'missing' WHEN e.k IS NULL THEN 'too much' ELSE 'different' END,
				   credit.differing_fields(e.v, l.v), credit.differing_fields(l.v, e.v),
				   COALESCE(e.k, l.k), COALESCE(e.k, l.k)
			  FROM e FULL JOIN l ON l.k = e.k AND l.g = e.g
			 WHERE e.v IS DISTINCT FROM l.v$q$,
			query, s.source_id,
			CASE WHEN s.fields ? 'credit_limit' THEN format($q$,
				'limit_state', CASE WHEN q.credit_limit IS NULL THEN %1$L WHEN q.credit_limit = 0 THEN %2$L ELSE 'amount' END,
				'credit_limit', CASE WHEN q.credit_limit <> 0 OR (q.credit_limit = 0 AND %2$L = 'amount') THEN q.credit_limit END$q$,
				s.null_limit, s.zero_limit) ELSE '' END,
			CASE WHEN s.fields ? 'credit_limit' THEN $q$,
				'limit_state', m.base_state, 'credit_limit', m.base_limit$q$ ELSE '' END);
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format($q$
		WITH e AS (SELECT q.key AS k, jsonb_build_object(%3$s) AS v, %6$s AS c FROM (%1$s) q
					WHERE q.amount IS NOT NULL %5$s),
		l AS (SELECT i.key AS k, jsonb_build_object(%4$s) AS v, a.customer AS c
				FROM credit.item i LEFT JOIN credit.account a ON a.account_id = i.account_id
			   WHERE i.source_id = %2$s AND i.amount IS NOT NULL)
		SELECT COALESCE(e.k, l.k),
			   CASE WHEN l.k IS NULL THEN 'missing' WHEN e.k IS NULL THEN 'too much' ELSE 'different' END,
			   credit.differing_fields(e.v, l.v), credit.differing_fields(l.v, e.v),
			   COALESCE(e.k, l.k), COALESCE(e.c, l.c)
		  FROM e FULL JOIN l ON l.k = e.k
		 WHERE e.v IS DISTINCT FROM l.v$q$,
		query, s.source_id, credit.compared_fields(s.kind, 'erp'), credit.compared_fields(s.kind, 'ledger'),
		CASE WHEN owes THEN 'AND q.customer IS NOT NULL' ELSE '' END,
		CASE WHEN owes THEN 'q.customer' ELSE 'NULL::text' END);
END
$$;
COMMENT ON FUNCTION credit.differences_of(integer, boolean) IS
'Documents, or customers, of a source that are not in the ledger as the ERP has them, with their bare key (document) and customer. as_owner: the ERP is read as the owner of the table, for repair().';

CREATE FUNCTION credit.source_differences(source_id integer)
RETURNS TABLE (key text, difference text, erp jsonb, ledger jsonb)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT d.key, d.difference, d.erp, d.ledger FROM credit.differences_of(source_id, false) d
$$;
COMMENT ON FUNCTION credit.source_differences(integer) IS
'Documents, or customers, of a source that are not in the ledger as the ERP has them; see reconcile().';

/* The accounts whose journal is not what their documents add. */
CREATE FUNCTION credit.journal_differences()
RETURNS TABLE (account_id bigint, customer text, erp jsonb, ledger jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH stage AS
	(SELECT i.account_id, i.currency, i.stages FROM credit.item i WHERE i.is_open),
summed AS
	(SELECT s.account_id, s.currency,
			sum(COALESCE(s.stages[1], 0)) AS ordered, sum(COALESCE(s.stages[2], 0)) AS delivered,
			sum(COALESCE(s.stages[3], 0)) AS invoiced, sum(COALESCE(s.stages[4], 0)) AS unapplied
	   FROM stage s GROUP BY s.account_id, s.currency),
posted AS
	(SELECT a.account_id, b.currency, b.ordered, b.delivered, b.invoiced, b.unapplied
	   FROM credit.account a CROSS JOIN LATERAL credit.balance(a.account_id) b)
SELECT a.account_id, a.customer || CASE a.segment WHEN '' THEN '' ELSE ' in ' || a.segment END,
	   jsonb_build_object('currency', COALESCE(s.currency, p.currency), 'ordered', trim_scale(COALESCE(s.ordered, 0)),
						  'delivered', trim_scale(COALESCE(s.delivered, 0)), 'invoiced', trim_scale(COALESCE(s.invoiced, 0)),
						  'unapplied', trim_scale(COALESCE(s.unapplied, 0))),
	   jsonb_build_object('currency', COALESCE(s.currency, p.currency), 'ordered', trim_scale(COALESCE(p.ordered, 0)),
						  'delivered', trim_scale(COALESCE(p.delivered, 0)), 'invoiced', trim_scale(COALESCE(p.invoiced, 0)),
						  'unapplied', trim_scale(COALESCE(p.unapplied, 0)))
  FROM summed s
  FULL JOIN posted p ON p.account_id = s.account_id AND p.currency = s.currency
  JOIN credit.account a ON a.account_id = COALESCE(s.account_id, p.account_id)
 WHERE (COALESCE(s.ordered, 0), COALESCE(s.delivered, 0), COALESCE(s.invoiced, 0), COALESCE(s.unapplied, 0))
	   <> (COALESCE(p.ordered, 0), COALESCE(p.delivered, 0), COALESCE(p.invoiced, 0), COALESCE(p.unapplied, 0));
END;
COMMENT ON FUNCTION credit.journal_differences() IS
'Accounts whose journal (ledger) is not what their documents come to (erp), by currency; see reconcile().';

/*
 * The sums on documents against those that name them.  Where two sources of one
 * kind have a key, the document that counts is meant, of two the older source's
 * (family.c); the other, and an order that only stands in, is left out.
 */
CREATE FUNCTION credit.sum_differences()
RETURNS TABLE (source_id integer, key text, erp jsonb, ledger jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH target AS MATERIALIZED
	(SELECT i.source_id, i.key, s.kind, i.currency, i.is_counted, i.amount, i.origin, s.origin_kind,
			i.delivered, i.invoiced, i.settled
	   FROM credit.item i
	   JOIN credit.source s ON s.source_id = i.source_id
	  WHERE s.kind IN ('order', 'delivery', 'invoice', 'receivable', 'payment', 'credit_note')
		AND (s.kind IN (SELECT n.origin_kind FROM credit.source n UNION ALL SELECT n.applies_to_kind FROM credit.source n
						UNION ALL SELECT n.payment_kind FROM credit.source n)
			 OR s.applies_to_kind IS NOT NULL)
		AND (NOT EXISTS (SELECT FROM credit.source t WHERE t.kind = s.kind AND t.source_id <> s.source_id)
			 OR NOT EXISTS (SELECT FROM credit.source t JOIN credit.item o ON o.source_id = t.source_id AND o.key = i.key
							 WHERE t.kind = s.kind AND t.source_id <> s.source_id
							   AND (i.amount IS NULL OR
									(o.amount IS NOT NULL AND o.is_counted AND o.source_id < i.source_id))))),
namer AS MATERIALIZED
	(SELECT s.kind, s.origin_kind, s.applies_to_kind, s.payment_kind, i.source_id, i.key, i.origin, i.document,
			i.currency, i.amount
	   FROM credit.item i
	   JOIN credit.source s ON s.source_id = i.source_id
	  WHERE i.is_counted AND i.amount IS NOT NULL AND (i.origin IS NOT NULL OR i.document IS NOT NULL)),
/* what is invoiced of an order or delivery, straight or through a link */
billed AS
	(SELECT t.source_id, t.key, t.kind, t.origin, t.origin_kind, t.currency, n.amount
	   FROM namer n
	   JOIN target t ON t.kind = n.origin_kind AND t.key = n.origin
	  WHERE n.kind IN ('invoice', 'receivable') AND t.is_counted AND t.currency = n.currency
	UNION ALL
	SELECT t.source_id, t.key, t.kind, t.origin, t.origin_kind, t.currency, n.amount
	   FROM namer n
	   JOIN target d ON d.kind = n.applies_to_kind AND d.key = n.document
	   JOIN target t ON t.kind = n.origin_kind AND t.key = n.origin
	  WHERE n.kind = 'link' AND d.is_counted AND COALESCE(n.currency, d.currency) = d.currency
		AND t.is_counted AND t.currency = d.currency),
/* what settles a debt, and by which money */
pair AS
	(SELECT d.source_id, d.key, n.amount,
			CASE WHEN n.kind = 'application' THEN p.source_id ELSE n.source_id END AS payment_source_id,
			CASE WHEN n.kind = 'application' THEN p.key ELSE n.key END AS payment_key,
			p.kind AS payment_kind
	   FROM namer n
	   JOIN target d ON d.kind = n.applies_to_kind AND d.key = n.origin
	   LEFT JOIN target p ON n.kind = 'application' AND p.kind = n.payment_kind AND p.key = n.document
						 AND p.is_counted AND COALESCE(n.currency, p.currency) = p.currency
	  WHERE n.kind IN ('payment', 'credit_note', 'application')
		AND d.is_counted AND COALESCE(n.currency, d.currency) = d.currency
		AND (n.kind <> 'application' OR n.document IS NULL OR n.payment_kind IS NULL OR p.currency = d.currency)),
part AS
	(SELECT t.source_id, t.key, n.amount AS delivered, 0::numeric AS invoiced, 0::numeric AS settled
	   FROM namer n
	   JOIN target t ON t.kind = n.origin_kind AND t.key = n.origin
	  WHERE n.kind = 'delivery' AND t.is_counted AND t.currency = n.currency
	UNION ALL
	SELECT b.source_id, b.key, 0, b.amount, 0 FROM billed b
	UNION ALL
	SELECT o.source_id, o.key, 0, b.amount, 0
	   FROM billed b
	   JOIN target o ON b.kind = 'delivery' AND o.kind = b.origin_kind AND o.key = b.origin
	  WHERE o.is_counted AND o.currency = b.currency
	UNION ALL
	SELECT p.source_id, p.key, 0, 0, p.amount FROM pair p
	UNION ALL
	SELECT p.payment_source_id, p.payment_key, 0, 0, CASE p.payment_kind WHEN 'receivable' THEN -p.amount ELSE p.amount END
	   FROM pair p WHERE p.payment_key IS NOT NULL),
summed AS
	(SELECT p.source_id, p.key, sum(p.delivered) AS delivered, sum(p.invoiced) AS invoiced, sum(p.settled) AS settled
	   FROM part p GROUP BY p.source_id, p.key)
SELECT t.source_id, t.key, credit.differing_fields(v.erp, v.ledger), credit.differing_fields(v.ledger, v.erp)
  FROM target t
  LEFT JOIN summed s ON s.source_id = t.source_id AND s.key = t.key
 CROSS JOIN LATERAL
	   (SELECT jsonb_build_object('delivered', trim_scale(COALESCE(s.delivered, 0)), 'invoiced', trim_scale(COALESCE(s.invoiced, 0)),
								  'settled', trim_scale(COALESCE(s.settled, 0))) AS erp,
			   jsonb_build_object('delivered', trim_scale(COALESCE(t.delivered, 0)), 'invoiced', trim_scale(COALESCE(t.invoiced, 0)),
								  'settled', trim_scale(COALESCE(t.settled, 0))) AS ledger) v
 WHERE (t.amount IS NOT NULL OR t.is_counted)
   AND (COALESCE(t.delivered, 0), COALESCE(t.invoiced, 0), COALESCE(t.settled, 0))
	   <> (COALESCE(s.delivered, 0), COALESCE(s.invoiced, 0), COALESCE(s.settled, 0));
END;
COMMENT ON FUNCTION credit.sum_differences() IS
'Documents on which a sum (delivered, invoiced, settled) is not what the documents that name them come to (erp); see reconcile().';

/* What the ledger says of itself: sums on documents, and the journal. */
CREATE FUNCTION credit.ledger_differences()
RETURNS TABLE (source text, key text, difference text, erp jsonb, ledger jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT 'journal', d.customer, 'different', d.erp, d.ledger FROM credit.journal_differences() d
UNION ALL
SELECT s.name, d.key, 'sum', d.erp, d.ledger
  FROM credit.sum_differences() d
  JOIN credit.source s ON s.source_id = d.source_id;
END;
COMMENT ON FUNCTION credit.ledger_differences() IS
'Where the ledger disagrees with itself: the journal with the documents, or a sum on a document with the documents that name it; see reconcile().';

CREATE FUNCTION credit.reconcile(source text DEFAULT NULL)
RETURNS TABLE (source_name text, key text, difference text, erp jsonb, ledger jsonb)
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
/* it takes seconds to compile what takes milliseconds to run */
SET jit = off
AS $$
DECLARE
	s credit.source%ROWTYPE;
	problem text;
BEGIN
	IF source IS NOT NULL AND NOT EXISTS (SELECT FROM credit.source x WHERE x.name = source) THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	FOR s IN SELECT * FROM credit.source x WHERE reconcile.source IS NULL OR x.name = reconcile.source ORDER BY x.source_id
	LOOP
		problem := credit.mapping_error(s.source_id);
		IF problem IS NOT NULL THEN
			source_name := s.name; key := NULL; difference := 'unreadable';
			erp := to_jsonb(problem); ledger := NULL;
			RETURN NEXT;
			CONTINUE;
		END IF;
		BEGIN
			RETURN QUERY SELECT s.name, d.key, d.difference, d.erp, d.ledger
						   FROM credit.source_differences(s.source_id) d;
		EXCEPTION WHEN data_exception THEN
			source_name := s.name; key := NULL; difference := 'unreadable';
			erp := to_jsonb(format('a row cannot be read: %s', SQLERRM)); ledger := NULL;
			RETURN NEXT;
		END;
	END LOOP;
	IF source IS NULL THEN
		RETURN QUERY SELECT d.source, d.key, d.difference, d.erp, d.ledger FROM credit.ledger_differences() d;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.reconcile(text) IS
'Every difference between the ERP and the ledger, of one source or of all, under one snapshot; changes nothing. difference: missing (in the ledger), too much, different (erp and ledger show the fields that differ), sum or, under journal, different (the ledger disagrees with itself: erp is what the documents come to), unreadable (the mapping is broken, or a row has a value that it cannot read). No row: all agrees.';

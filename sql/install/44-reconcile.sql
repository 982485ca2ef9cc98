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

/* Documents, or customers, of one source that differ from the rows of the ERP. */
CREATE FUNCTION credit.source_differences(source_id integer)
RETURNS TABLE (key text, difference text, erp jsonb, ledger jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET timezone = 'UTC'
AS $$
DECLARE
	s credit.source%ROWTYPE;
	query text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = source_differences.source_id;
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	query := credit.mapping_query(s.relation, s.kind, s.fields);
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
				   credit.differing_fields(e.v, l.v), credit.differing_fields(l.v, e.v)
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
		WITH e AS (SELECT q.key AS k, jsonb_build_object(%3$s) AS v FROM (%1$s) q
					WHERE q.amount IS NOT NULL %5$s),
		l AS (SELECT i.key AS k, jsonb_build_object(%4$s) AS v
				FROM credit.item i LEFT JOIN credit.account a ON a.account_id = i.account_id
			   WHERE i.source_id = %2$s AND i.amount IS NOT NULL)
		SELECT COALESCE(e.k, l.k),
			   CASE WHEN l.k IS NULL THEN 'missing' WHEN e.k IS NULL THEN 'too much' ELSE 'different' END,
			   credit.differing_fields(e.v, l.v), credit.differing_fields(l.v, e.v)
		  FROM e FULL JOIN l ON l.k = e.k
		 WHERE e.v IS DISTINCT FROM l.v$q$,
		query, s.source_id, credit.compared_fields(s.kind, 'erp'), credit.compared_fields(s.kind, 'ledger'),
		CASE WHEN s.kind IN ('application', 'link') THEN '' ELSE 'AND q.customer IS NOT NULL' END);
END
$$;
COMMENT ON FUNCTION credit.source_differences(integer) IS
'Documents, or customers, of a source that are not in the ledger as the ERP has them; see reconcile().';

/* What the ledger says of itself: sums on documents, and the journal. */
CREATE FUNCTION credit.ledger_differences()
RETURNS TABLE (source text, key text, difference text, erp jsonb, ledger jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH stage AS
	(SELECT i.source_id, i.key, i.account_id, i.currency, i.stages FROM credit.item i WHERE i.is_open),
summed AS
	(SELECT s.account_id, s.currency,
			sum(COALESCE(s.stages[1], 0)) AS ordered, sum(COALESCE(s.stages[2], 0)) AS delivered,
			sum(COALESCE(s.stages[3], 0)) AS invoiced, sum(COALESCE(s.stages[4], 0)) AS unapplied
	   FROM stage s GROUP BY s.account_id, s.currency),
posted AS
	(SELECT a.account_id, b.currency, b.ordered, b.delivered, b.invoiced, b.unapplied
	   FROM credit.account a CROSS JOIN LATERAL credit.balance(a.account_id) b),
/* what documents that name others come to, whatever their dates */
named AS
	(SELECT q.source_id, q.key, sum(q.amount) AS settled
	   FROM (SELECT d.source_id, d.key, n.amount
			   FROM credit.item n
			   JOIN credit.source ns ON ns.source_id = n.source_id AND ns.kind IN ('payment', 'credit_note', 'application')
			   JOIN credit.source ds ON ds.kind = ns.applies_to_kind
			   JOIN credit.item d ON d.source_id = ds.source_id AND d.key = n.origin
			  WHERE n.is_counted AND d.is_counted AND n.amount IS NOT NULL
				AND COALESCE(n.currency, d.currency) = d.currency
				AND (ns.kind <> 'application' OR n.document IS NULL OR ns.payment_kind IS NULL OR EXISTS
					 (SELECT FROM credit.item p JOIN credit.source ps ON ps.source_id = p.source_id
					   WHERE ps.kind = ns.payment_kind AND p.key = n.document AND p.is_counted AND p.currency = d.currency))) q
	  GROUP BY q.source_id, q.key)
SELECT 'journal', a.customer || CASE a.segment WHEN '' THEN '' ELSE ' in ' || a.segment END, 'different',
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
	   <> (COALESCE(p.ordered, 0), COALESCE(p.delivered, 0), COALESCE(p.invoiced, 0), COALESCE(p.unapplied, 0))
UNION ALL
SELECT s.name, i.key, 'sum', jsonb_build_object('settled', trim_scale(COALESCE(n.settled, 0))),
	   jsonb_build_object('settled', trim_scale(COALESCE(i.settled, 0)))
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id AND s.kind = 'invoice'
  LEFT JOIN named n ON n.source_id = i.source_id AND n.key = i.key
 WHERE i.amount IS NOT NULL AND COALESCE(i.settled, 0) <> COALESCE(n.settled, 0);
END;
COMMENT ON FUNCTION credit.ledger_differences() IS
'Where the ledger disagrees with itself: the journal with the documents, or a sum on an invoice with the documents that settle it; see reconcile().';

CREATE FUNCTION credit.reconcile(source text DEFAULT NULL)
RETURNS TABLE (source_name text, key text, difference text, erp jsonb, ledger jsonb)
LANGUAGE plpgsql STABLE ROWS 100
SET search_path = pg_catalog, pg_temp
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
		RETURN QUERY SELECT s.name, d.key, d.difference, d.erp, d.ledger
					   FROM credit.source_differences(s.source_id) d;
	END LOOP;
	IF source IS NULL THEN
		RETURN QUERY SELECT d.source, d.key, d.difference, d.erp, d.ledger FROM credit.ledger_differences() d;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.reconcile(text) IS
'Every difference between the ERP and the ledger, of one source or of all, under one snapshot; changes nothing. difference: missing (in the ledger), too much, different (erp and ledger show the fields that differ), sum or, under journal, different (the ledger disagrees with itself: erp is what the documents come to), unreadable (the mapping is broken). No row: all agrees.';

/*
 * truth.sql: what must hold, recomputed from the rows of the ERP.
 *
 * All of it only reads, in one snapshot, so that it runs on a standby as well.
 */
CREATE SCHEMA torture;

-- Rows of the journal that a purge may take; see archive().
CREATE TABLE torture.journal (
  block bigint, item int, xid bigint, account_id bigint, currency text, seq bigint,
  source_id int, delta numeric[],
  PRIMARY KEY (account_id, currency, seq)
);

-- Every source there ever was; begun_by: the transaction that attached it, whose
-- backfill nothing checks.
CREATE TABLE torture.source (source_id int PRIMARY KEY, kind text, begun_by bigint);

CREATE FUNCTION torture.total(stages numeric[]) RETURNS numeric
LANGUAGE sql IMMUTABLE
AS $$ SELECT COALESCE(sum(s), 0) FROM unnest(stages) s $$;

CREATE VIEW torture.journal_now AS
SELECT split_part(trim('()' FROM ctid::text), ',', 1)::bigint AS block,
  split_part(trim('()' FROM ctid::text), ',', 2)::int AS item,
  xmin::text::bigint AS xid, account_id, currency, seq, source_id, delta, posted_at
FROM credit.journal WHERE scope = 0;

CREATE VIEW torture.journal_ever AS
SELECT block, item, xid, account_id, currency, seq, source_id, delta FROM torture.journal_now
UNION
SELECT block, item, xid, account_id, currency, seq, source_id, delta FROM torture.journal;

-- Keeps rows written before a moment, all of them resolved, before a purge takes
-- them.
CREATE PROCEDURE torture.archive(before timestamptz)
LANGUAGE sql
AS $$
INSERT INTO torture.journal
SELECT block, item, xid, account_id, currency, seq, source_id, delta
FROM torture.journal_now WHERE posted_at < before
ON CONFLICT DO NOTHING
$$;

-- Takes down the sources attached by this transaction.
CREATE PROCEDURE torture.note_sources()
LANGUAGE sql
AS $$
INSERT INTO torture.source
SELECT source_id, kind, mod(pg_current_xact_id()::text::bigint, 4294967296) FROM credit.source
ON CONFLICT DO NOTHING
$$;
CALL torture.note_sources();

CREATE VIEW torture.document AS
SELECT 'order' AS kind, number::text AS key, customer, currency, amount AS exposure
FROM erp.orders
WHERE customer IS NOT NULL AND amount IS NOT NULL AND state IN ('open', 'shipped')
UNION ALL
SELECT 'payment', number::text, customer, currency, -amount
FROM erp.payments WHERE customer IS NOT NULL AND amount IS NOT NULL
UNION ALL
SELECT 'order', 'c' || number, customer, 'EUR', amount
FROM erp.contracts
WHERE customer IS NOT NULL AND amount IS NOT NULL
  AND EXISTS (SELECT FROM credit.source WHERE name = 'erp.contracts');

CREATE VIEW torture.truth AS
SELECT customer, currency, sum(exposure) AS total FROM torture.document GROUP BY 1, 2;

-- Everything that is wrong in this snapshot.
CREATE FUNCTION torture.differences() RETURNS SETOF text
LANGUAGE sql STABLE
AS $$
SELECT format('balance of %s is %s %s, the ERP has %s', customer, b.total, currency, t.total)
FROM (SELECT a.customer, b.currency, b.total
      FROM credit.account a, credit.balance(a.account_id) b) b
FULL JOIN torture.truth t USING (customer, currency)
WHERE COALESCE(b.total, 0) <> COALESCE(t.total, 0)
UNION ALL
SELECT format('view exposure shows %s of %s, the ERP has %s', COALESCE(e.total, e.ordered + e.unapplied), customer, t.total)
FROM credit.exposure e LEFT JOIN torture.truth t USING (customer, currency)
WHERE COALESCE(e.total, e.ordered + e.unapplied) <> COALESCE(t.total, 0)
UNION ALL
SELECT format('%s %s: the ledger has %s %s of %s, the ERP %s %s of %s',
  kind, key, l.exposure, l.currency, l.customer, d.exposure, d.currency, d.customer)
FROM credit.exposure_document l FULL JOIN torture.document d USING (kind, key)
WHERE (l.customer, l.currency, l.exposure) IS DISTINCT FROM (d.customer, d.currency, d.exposure)
UNION ALL
SELECT format('limit of %s is %s, the ERP has %s', customer, l.credit_limit, c.credit_limit)
FROM credit.limit_in_force l JOIN credit.account a USING (account_id)
JOIN erp.customers c USING (customer)
WHERE l.credit_limit IS DISTINCT FROM c.credit_limit
UNION ALL
SELECT format('%s is at %s, above the limit of %s that never changes', customer, t.total, c.credit_limit)
FROM torture.truth t JOIN erp.customers c USING (customer)
WHERE t.total > c.credit_limit AND t.currency = 'EUR' AND customer ~ '^[fgd]'
$$;

-- The same for the journal, change by change: slower, the longer the storm.
CREATE FUNCTION torture.journal_differences() RETURNS SETOF text
LANGUAGE sql STABLE
AS $$
SELECT format('journal of %s adds up to %s %s, the ERP has %s', customer, j.total, currency, t.total)
FROM (SELECT a.customer, j.currency, sum(torture.total(j.delta)) AS total
      FROM torture.journal_ever j JOIN credit.account a USING (account_id) GROUP BY 1, 2) j
FULL JOIN torture.truth t USING (customer, currency)
WHERE COALESCE(j.total, 0) <> COALESCE(t.total, 0)
$$;

CREATE FUNCTION torture.in_words(differences text[]) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$ SELECT COALESCE(NULLIF(array_to_string(differences[1:5], '; '), ''), 'ok') $$;

CREATE FUNCTION torture.verdict() RETURNS text
LANGUAGE sql STABLE
AS $$ SELECT torture.in_words(ARRAY(SELECT torture.differences())) $$;

CREATE FUNCTION torture.full_verdict() RETURNS text
LANGUAGE sql STABLE
AS $$
SELECT torture.in_words(ARRAY(SELECT torture.differences() UNION ALL SELECT torture.journal_differences()))
$$;

-- Is the room of an account what its figures say? Nothing may be left reserved by
-- transactions that have ended. Changes nothing.
CREATE FUNCTION torture.room_is_wrong(customer text, headroom numeric) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
  excess boolean := false;
BEGIN
  BEGIN
    INSERT INTO erp.orders VALUES (-1, customer, headroom);
    BEGIN
      INSERT INTO erp.orders VALUES (-2, customer, 0.01);
      excess := true;
    EXCEPTION WHEN check_violation THEN
      NULL;
    END;
    RAISE division_by_zero;
  EXCEPTION
    WHEN check_violation THEN
      RETURN format('%s: an order of %s does not fit: %s', customer, headroom, SQLERRM);
    WHEN division_by_zero THEN
      NULL;
  END;
  RETURN CASE WHEN excess THEN format('%s: more than the headroom of %s fits', customer, headroom) END;
END
$$;

CREATE FUNCTION torture.wrong_rooms() RETURNS SETOF text
LANGUAGE sql
AS $$
SELECT w
FROM (SELECT a.customer, l.credit_limit - COALESCE(t.total, 0) AS headroom
      FROM credit.limit_in_force l JOIN credit.account a USING (account_id)
      LEFT JOIN torture.truth t ON t.customer = a.customer AND t.currency = 'EUR'
      WHERE l.limit_state = 'amount') h,
  torture.room_is_wrong(h.customer, h.headroom) w
WHERE h.headroom > 0 AND w IS NOT NULL
$$;

/*
 * What verdict.pl reads, one line each:
 *
 *   account ID CUSTOMER          of which the limit is fixed, or not
 *   row BLOCK ITEM XID ACCOUNT CURRENCY CENTS KIND
 *   limit BLOCK ITEM XID ACCOUNT CENTS   or - where it is no amount
 *   source ID BEGUN_BY
 *   truth ACCOUNT CURRENCY CENTS
 */
CREATE FUNCTION torture.evidence() RETURNS SETOF text
LANGUAGE sql STABLE
AS $$
SELECT concat_ws(' ', 'account', account_id, customer) FROM credit.account
UNION ALL
SELECT concat_ws(' ', 'row', block, item, xid, account_id, currency,
  (100 * torture.total(delta))::bigint, COALESCE(s.kind, '-'))
FROM torture.journal_ever LEFT JOIN torture.source s USING (source_id)
UNION ALL
SELECT concat_ws(' ', 'limit', split_part(trim('()' FROM ctid::text), ',', 1),
  split_part(trim('()' FROM ctid::text), ',', 2), xmin, account_id,
  COALESCE((100 * new_limit)::bigint::text, '-'))
FROM credit.limit_change
UNION ALL
SELECT concat_ws(' ', 'source', source_id, begun_by) FROM torture.source
UNION ALL
SELECT concat_ws(' ', 'truth', account_id, currency, (100 * total)::bigint)
FROM torture.truth JOIN credit.account USING (customer)
$$;

\echo Use "ALTER EXTENSION credit UPDATE" to load this file. \quit
/*
 * From 0.2.0 to 0.3.0.  Columns are added to source, item and item_version,
 * without writing a row anew, and indexes are built on item: that takes ACCESS
 * EXCLUSIVE on these tables, and orders wait for it.  lock_timeout bounds how
 * long the update itself waits for the lock.
 *
 * Rights are revoked from PUBLIC object by object, at the end; why not with
 * REVOKE ... ON ALL ROUTINES stands in credit--0.1.0--0.2.0.sql.
 */

/* They have more arguments now. */
DROP FUNCTION credit.attach(regclass, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, boolean, boolean);
DROP FUNCTION credit.attach_mapping(regclass, text, jsonb, text, text, text, text, text, boolean, boolean, text);

ALTER TABLE credit.source
	ADD COLUMN origin_kind text COLLATE "C" CHECK (origin_kind IN ('order', 'delivery')),
	ADD COLUMN applies_to_kind text COLLATE "C" CHECK (applies_to_kind IN ('invoice', 'receivable')),
	ADD COLUMN payment_kind text COLLATE "C" CHECK (payment_kind IN ('payment', 'credit_note', 'receivable'));

COMMENT ON COLUMN credit.source.kind IS 'customer, or the kind of document: order, delivery, invoice, receivable, credit_note, payment, application or link.';
COMMENT ON COLUMN credit.source.origin_kind IS 'Kind of the documents that field origin names; NULL: it is not mapped, or only shown.';
COMMENT ON COLUMN credit.source.applies_to_kind IS 'Kind of the documents that field applies_to names, of a link field document; NULL: it is not mapped, or only shown.';
COMMENT ON COLUMN credit.source.payment_kind IS 'Kind of the documents that field payment names; NULL: it is not mapped.';
/*
 * No row is written anew for a column; what adds nothing to exposure is not
 * open, which few documents are.
 */
ALTER TABLE credit.item
	ADD COLUMN is_counted boolean NOT NULL DEFAULT true,
	ADD COLUMN is_open boolean DEFAULT true,
	ADD COLUMN document text COLLATE "C",
	ADD COLUMN open_amount numeric,
	ADD COLUMN settled_on date,
	ADD COLUMN reversed_on date,
	ADD COLUMN delivered numeric,
	ADD COLUMN invoiced numeric,
	ADD COLUMN settled numeric,
	ADD COLUMN disputed_amount numeric,
	ADD COLUMN retention_amount numeric,
	ADD COLUMN retention_until date,
	ADD COLUMN is_write_off boolean,
	ADD COLUMN next_on date,
	ALTER COLUMN account_id DROP NOT NULL,
	ALTER COLUMN currency DROP NOT NULL,
	ALTER COLUMN amount DROP NOT NULL;
SELECT credit.maintain(true);
UPDATE credit.item SET is_open = false WHERE stages = '{}';
SELECT credit.maintain(false);
DROP INDEX credit.item_account;

/*
 * Each document of an account stands in exactly one of the first two: what is
 * open costs what is open, not what was ever invoiced, and an order pays for
 * one entry.  C knows these conditions: src/ledger.c.
 */
CREATE INDEX item_open ON credit.item (account_id) WHERE is_open;
CREATE INDEX item_closed ON credit.item (account_id) WHERE NOT is_open;
CREATE INDEX item_origin ON credit.item (origin) WHERE origin IS NOT NULL;
CREATE INDEX item_document ON credit.item (document) WHERE document IS NOT NULL;
CREATE INDEX item_next ON credit.item (next_on) WHERE next_on IS NOT NULL;
COMMENT ON COLUMN credit.item.account_id IS 'Account; NULL: it joins documents (application, link), or is none.';
COMMENT ON COLUMN credit.item.currency IS 'Currency of the amounts; NULL: that of the documents it joins.';
COMMENT ON COLUMN credit.item.amount IS 'Amount of the document as the ERP has it, tax included. NULL: no document, only a key that documents name.';
COMMENT ON COLUMN credit.item.origin IS 'Key of the document this one comes from, or settles.';
COMMENT ON COLUMN credit.item.is_counted IS 'True: it counts. False: reversed, a receipt of the future, or (amount NULL) a key that documents name and that is no document.';
COMMENT ON COLUMN credit.item.is_open IS 'True: it adds something to exposure. NULL: it is no document.';
COMMENT ON COLUMN credit.item.document IS 'Second document that this one joins: of an application the payment, of a link the invoice.';
COMMENT ON COLUMN credit.item.open_amount IS 'What the ERP says is open; it rules then. NULL: the ERP does not say.';
COMMENT ON COLUMN credit.item.settled_on IS 'Day on which, as the ERP says, nothing was open any more.';
COMMENT ON COLUMN credit.item.reversed_on IS 'Day from which it is reversed.';
COMMENT ON COLUMN credit.item.delivered IS 'Of an order: sum of its deliveries. NULL: none ever named it.';
COMMENT ON COLUMN credit.item.invoiced IS 'Of an order or delivery: sum of its invoices, also through deliveries and links. NULL: none ever named it.';
COMMENT ON COLUMN credit.item.settled IS 'Of a debt: what applications and payments that name it settle; of a payment or credit note: what of it is applied. NULL: none ever named it.';
COMMENT ON COLUMN credit.item.disputed_amount IS 'How much of it is disputed; NULL: all, if is_disputed.';
COMMENT ON COLUMN credit.item.retention_amount IS 'Part that is retained until retention_until.';
COMMENT ON COLUMN credit.item.retention_until IS 'Day on which the retained part is due.';
COMMENT ON COLUMN credit.item.is_write_off IS 'True: the debt is given up, nobody paid.';
COMMENT ON COLUMN credit.item.next_on IS 'Day on which it has to be looked at again: a receipt of the future comes, a reversal or settlement is due.';
ALTER TABLE credit.item_version
	ADD COLUMN is_counted boolean NOT NULL DEFAULT true,
	ADD COLUMN is_open boolean DEFAULT true,
	ADD COLUMN document text COLLATE "C",
	ADD COLUMN open_amount numeric,
	ADD COLUMN settled_on date,
	ADD COLUMN reversed_on date,
	ADD COLUMN delivered numeric,
	ADD COLUMN invoiced numeric,
	ADD COLUMN settled numeric,
	ADD COLUMN disputed_amount numeric,
	ADD COLUMN retention_amount numeric,
	ADD COLUMN retention_until date,
	ADD COLUMN is_write_off boolean,
	ADD COLUMN next_on date,
	ALTER COLUMN account_id DROP NOT NULL,
	ALTER COLUMN currency DROP NOT NULL,
	ALTER COLUMN amount DROP NOT NULL;

COMMENT ON COLUMN credit.item_version.origin IS 'Key of the document this one comes from, or settles.';
COMMENT ON COLUMN credit.item_version.is_counted IS 'True: it counts. False: reversed, a receipt of the future, or (amount NULL) a key that documents name and that is no document.';
COMMENT ON COLUMN credit.item_version.is_open IS 'True: it adds something to exposure. NULL: it is no document.';
COMMENT ON COLUMN credit.item_version.document IS 'Second document that this one joins: of an application the payment, of a link the invoice.';
COMMENT ON COLUMN credit.item_version.open_amount IS 'What the ERP says is open; it rules then. NULL: the ERP does not say.';
COMMENT ON COLUMN credit.item_version.settled_on IS 'Day on which, as the ERP says, nothing was open any more.';
COMMENT ON COLUMN credit.item_version.reversed_on IS 'Day from which it is reversed.';
COMMENT ON COLUMN credit.item_version.delivered IS 'Of an order: sum of its deliveries. NULL: none ever named it.';
COMMENT ON COLUMN credit.item_version.invoiced IS 'Of an order or delivery: sum of its invoices, also through deliveries and links. NULL: none ever named it.';
COMMENT ON COLUMN credit.item_version.settled IS 'Of a debt: what applications and payments that name it settle; of a payment or credit note: what of it is applied. NULL: none ever named it.';
COMMENT ON COLUMN credit.item_version.disputed_amount IS 'How much of it is disputed; NULL: all, if is_disputed.';
COMMENT ON COLUMN credit.item_version.retention_amount IS 'Part that is retained until retention_until.';
COMMENT ON COLUMN credit.item_version.retention_until IS 'Day on which the retained part is due.';
COMMENT ON COLUMN credit.item_version.is_write_off IS 'True: the debt is given up, nobody paid.';
COMMENT ON COLUMN credit.item_version.next_on IS 'Day on which it has to be looked at again: a receipt of the future comes, a reversal or settlement is due.';
/*
 * Subject stage: in which stage of exposure the value of a document stands.
 * The rule is in src/stage.c and nowhere else; a backfill asks it row by row.
 */
CREATE FUNCTION credit.own_stages
	(kind text, amount numeric, open_amount numeric, settled_on date,
	 reversed_on date, document_date date, posting_date date,
	 OUT is_counted boolean, OUT next_on date, OUT stages numeric[])
RETURNS record
LANGUAGE c STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_own_stages';
COMMENT ON FUNCTION credit.own_stages(text, numeric, numeric, date, date, date, date) IS
'What a document that no other one names adds to exposure today, by stage; whether it counts, and the day on which to look again.';
CREATE FUNCTION credit.join_documents(source_id integer) RETURNS bigint
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_join_documents';
COMMENT ON FUNCTION credit.join_documents(integer) IS
'Joins the documents that a backfill has written to those they name and to those that name them; use attach(). Returns how many there were.';
CREATE PROCEDURE credit.recount()
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_recount';
COMMENT ON PROCEDURE credit.recount() IS
'Looks again at documents whose day has come: receipts dated in the future, reversals and settlements. Commits as it goes; daily() calls it.';
CREATE FUNCTION credit.order_stages(amount numeric, delivered numeric, invoiced numeric) RETURNS numeric[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_order_stages';
COMMENT ON FUNCTION credit.order_stages(numeric, numeric, numeric) IS
'What an order adds to exposure, by stage (ordered, delivered), when so much of it was delivered and invoiced; NULL is 0.';
/*
 * Subject settlement: who settled what, and when.  src/settlement.c.
 */
CREATE TABLE credit.settlement
(
	source_id	integer NOT NULL,
	key			text COLLATE "C" NOT NULL,
	settled_on	date,
	amount		numeric NOT NULL,
	kind		text COLLATE "C" NOT NULL,
	payment_source_id integer,
	payment_key	text COLLATE "C",
	stated_by_source_id integer NOT NULL,
	stated_by_key text COLLATE "C" NOT NULL,
	recorded_at	timestamptz NOT NULL
);
CREATE INDEX settlement_item ON credit.settlement (source_id, key);
CREATE INDEX settlement_payment ON credit.settlement (payment_source_id, payment_key) WHERE payment_key IS NOT NULL;
COMMENT ON TABLE credit.settlement IS
'What was settled of which debt on which day, as the ERP states it: append-only. The open amount on a day is the amount less the settlements dated up to it.';
COMMENT ON COLUMN credit.settlement.source_id IS 'Source of the debt.';
COMMENT ON COLUMN credit.settlement.key IS 'Key of the debt.';
COMMENT ON COLUMN credit.settlement.settled_on IS 'Day from which it counts; NULL: before the source was attached, nobody knows when.';
COMMENT ON COLUMN credit.settlement.amount IS 'Amount settled, in the currency of the debt; negative: open again.';
COMMENT ON COLUMN credit.settlement.kind IS 'By what: payment, credit_note, receivable (a line of the ledger), write_off, or stated (the ERP says that it is settled, not by what).';
COMMENT ON COLUMN credit.settlement.payment_source_id IS 'Source of the payment or credit note; NULL: none is known.';
COMMENT ON COLUMN credit.settlement.payment_key IS 'Key of the payment or credit note.';
COMMENT ON COLUMN credit.settlement.stated_by_source_id IS 'Source of the document that says so: application, payment, or the debt itself.';
COMMENT ON COLUMN credit.settlement.stated_by_key IS 'Key of the document that says so.';
COMMENT ON COLUMN credit.settlement.recorded_at IS 'When it was recorded.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.settlement
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
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
/* The columns of an item that are fields of the same name, as a list. */
CREATE FUNCTION credit.plain_columns(kind text, prefix text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(prefix || quote_ident(c.field), ', ' ORDER BY c.field)
  FROM credit.field_catalog() c
 WHERE kind = ANY (c.kinds)
   AND c.field IN ('document_date', 'due_date', 'posting_date', 'number', 'is_disputed',
				   'open_amount', 'settled_on', 'reversed_on', 'disputed_amount',
				   'retention_amount', 'retention_until', 'is_write_off')
$$;
COMMENT ON FUNCTION credit.plain_columns(text, text) IS
'Columns of item that a backfill of this kind takes as they are, each with a prefix.';
CREATE FUNCTION credit.origin_column(kind text, prefix text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT COALESCE((SELECT prefix || quote_ident(c.field) FROM credit.field_catalog() c
				  WHERE kind = ANY (c.kinds) AND c.field IN ('origin', 'applies_to')), 'NULL')
$$;
COMMENT ON FUNCTION credit.origin_column(text, text) IS
'Field that column origin of item is of this kind, with a prefix.';
/* What a source that states its open amounts says of the time before: no day is known. */
CREATE FUNCTION credit.backfill_settlement(source_id integer) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
INSERT INTO credit.settlement (source_id, key, settled_on, amount, kind, stated_by_source_id, stated_by_key, recorded_at)
SELECT i.source_id, i.key,
	   CASE WHEN COALESCE(i.open_amount, 0) = 0 AND isfinite(i.settled_on) THEN i.settled_on END,
	   i.amount - COALESCE(i.open_amount, 0), 'stated', i.source_id, i.key, clock_timestamp()
  FROM credit.item i
 WHERE i.source_id = $1
   AND (i.open_amount <> i.amount OR (i.open_amount IS NULL AND isfinite(i.settled_on)))
$$;
COMMENT ON FUNCTION credit.backfill_settlement(integer) IS
'Writes down what the documents of a new source say of their settlement; use attach().';
/* Rows that only join documents have no account. */
CREATE FUNCTION credit.backfill_joins(relation regclass, source_id integer, kind text, fields jsonb) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET timezone = 'UTC'
AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	EXECUTE format($q$
		INSERT INTO credit.item (source_id, key, currency, amount, stages, recorded_at,
								 is_counted, is_open, next_on, origin, document %6$s)
		SELECT %1$s, credit.progress_row(q.key, 'writing documents', $1), q.currency, q.amount, '{}', clock_timestamp(),
			   o.is_counted, false, o.next_on, %2$s, q.%3$I %7$s
		  FROM (%4$s) q
		 CROSS JOIN LATERAL credit.own_stages(%5$L, q.amount, NULL, NULL, %8$s, NULL, NULL) o
		 WHERE q.amount IS NOT NULL$q$,
		source_id, credit.origin_column(kind, 'q.'),
		CASE kind WHEN 'link' THEN 'document' ELSE 'payment' END,
		credit.mapping_query(relation, kind, fields), kind,
		', ' || credit.plain_columns(kind, ''), ', ' || credit.plain_columns(kind, 'q.'),
		CASE kind WHEN 'application' THEN 'q.reversed_on' ELSE 'NULL' END)
		USING credit.estimated_rows(relation);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.backfill_joins(regclass, integer, text, jsonb) IS
'Takes the applications or links that are in a table into the ledger; use attach().';
/*
 * Joins what a backfill has written to its family.  A key that documents name
 * and that this source does not have gets a row, where whoever brings it meets
 * them.
 */
CREATE FUNCTION credit.join_source(source_id integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM credit.progress_phase('joining documents',
		(SELECT count(*) FROM credit.item i WHERE i.source_id = join_source.source_id));
	INSERT INTO credit.item (source_id, key, stages, recorded_at, is_counted, is_open)
	SELECT join_source.source_id, n.key, '{}'::numeric[], clock_timestamp(), false, NULL::boolean
	  FROM credit.source s
	  CROSS JOIN LATERAL
		   (SELECT i.origin AS key FROM credit.item i JOIN credit.source x ON x.source_id = i.source_id
			 WHERE i.origin IS NOT NULL
			   AND s.kind = CASE WHEN x.kind IN ('payment', 'credit_note', 'application')
								 THEN x.applies_to_kind ELSE x.origin_kind END
			UNION
			SELECT i.document FROM credit.item i JOIN credit.source x ON x.source_id = i.source_id
			 WHERE i.document IS NOT NULL
			   AND s.kind = CASE x.kind WHEN 'link' THEN x.applies_to_kind ELSE x.payment_kind END) n
	 WHERE s.source_id = join_source.source_id
	   AND NOT EXISTS (SELECT FROM credit.item i WHERE i.source_id = s.source_id AND i.key = n.key);
	PERFORM credit.join_documents(source_id);
END
$$;
COMMENT ON FUNCTION credit.join_source(integer) IS
'Joins the documents of a new source to those they name and to those that name them; use attach().';
/* Takes the documents that are there into the ledger: never refuses any. */
CREATE OR REPLACE FUNCTION credit.backfill_documents(relation regclass, source_id integer, kind text, fields jsonb) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET timezone = 'UTC'
AS $$
DECLARE
	n bigint;
	base_currency text := (SELECT s.value FROM credit.settings s WHERE s.name = 'currency');
	query text := credit.mapping_query(relation, kind, fields);
	counted text := format('SELECT x.*, credit.progress_row(x.customer, $1, $2) AS counted_customer FROM (%s) x', query);
	estimated bigint := credit.estimated_rows(relation);
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	EXECUTE format($q$
		INSERT INTO credit.account (customer, segment)
		SELECT DISTINCT q.counted_customer, COALESCE(q.segment, '') FROM (%s) q
		 WHERE q.customer IS NOT NULL AND q.amount IS NOT NULL
		   AND NOT EXISTS (SELECT FROM credit.account a
							WHERE a.customer = q.customer AND a.segment = COALESCE(q.segment, ''))
		ON CONFLICT (customer, segment) DO NOTHING$q$, counted)
		USING 'creating accounts', estimated;
	EXECUTE format($q$
		INSERT INTO credit.account_limit (account_id, currency)
		SELECT a.account_id, min(COALESCE(q.currency, %L)) FROM (%s) q
		  JOIN credit.account a ON a.customer = q.counted_customer AND a.segment = COALESCE(q.segment, '')
		 WHERE q.amount IS NOT NULL
		   AND NOT EXISTS (SELECT FROM credit.account_limit l WHERE l.account_id = a.account_id)
		 GROUP BY a.account_id
		ON CONFLICT (account_id) DO NOTHING$q$, base_currency, counted)
		USING 'creating limits', estimated;
	EXECUTE format($q$
		WITH document AS MATERIALIZED
			(SELECT q.*, credit.progress_row(a.account_id, 'reading documents', $1) AS account_id,
					COALESCE(q.currency, %1$L) COLLATE "C" AS item_currency, o.*
			   FROM (%2$s) q
			   JOIN credit.account a ON a.customer = q.customer AND a.segment = COALESCE(q.segment, '')
			  CROSS JOIN LATERAL credit.own_stages(%3$L, q.amount, %4$s) o
			  WHERE q.amount IS NOT NULL),
		posted AS MATERIALIZED
			(SELECT s.account_id, s.item_currency, credit.adjust
					(credit.progress_row(s.account_id, 'posting to the journal', NULL), s.item_currency,
					 ARRAY[s.ordered, s.delivered, s.invoiced, s.unapplied], %5$s) AS seq
			   FROM (SELECT d.account_id, d.item_currency,
							COALESCE(sum(d.stages[1]), 0) AS ordered, COALESCE(sum(d.stages[2]), 0) AS delivered,
							COALESCE(sum(d.stages[3]), 0) AS invoiced, COALESCE(sum(d.stages[4]), 0) AS unapplied
					   FROM document d WHERE d.stages <> '{}'
					  GROUP BY d.account_id, d.item_currency
					  ORDER BY d.account_id, d.item_currency) s)
		INSERT INTO credit.item (source_id, key, account_id, currency, amount, stages, recorded_at, seq,
								 is_counted, is_open, next_on, origin, %6$s)
		SELECT %5$s, credit.progress_row(d.key, 'writing documents', $1), d.account_id, d.item_currency,
			   d.amount, d.stages, clock_timestamp(),
			   CASE WHEN d.stages <> '{}' THEN p.seq END,
			   d.is_counted, d.stages <> '{}', d.next_on, %7$s, %8$s
		  FROM document d
		  LEFT JOIN posted p ON p.account_id = d.account_id AND p.item_currency = d.item_currency$q$,
		base_currency, query, kind,
		(SELECT string_agg(CASE WHEN kind = ANY (c.kinds) THEN 'q.' || c.field ELSE 'NULL' END, ', '
						   ORDER BY array_position(ARRAY['open_amount', 'settled_on', 'reversed_on', 'document_date', 'posting_date'], c.field))
		   FROM credit.field_catalog() c
		  WHERE c.field IN ('open_amount', 'settled_on', 'reversed_on', 'document_date', 'posting_date')),
		source_id, credit.plain_columns(kind, ''), credit.origin_column(kind, 'd.'), credit.plain_columns(kind, 'd.'))
		USING estimated;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF fields ?| ARRAY['open_amount', 'settled_on'] THEN
		PERFORM credit.backfill_settlement(source_id);
	END IF;
	RETURN n;
END
$$;

/*
 * Which kind of document each reference of a mapping names: as the caller says,
 * or what is usual.  It is fixed here, so that a later attach does not change
 * what an earlier one means.
 */
CREATE FUNCTION credit.check_references
	(kind text, fields jsonb, origin_kind text, applies_to_kind text, payment_kind text,
	 OUT origin text, OUT applies_to text, OUT payment text, OUT problems text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r record;
	debt text := CASE WHEN EXISTS (SELECT FROM credit.source s WHERE s.kind = 'receivable')
					   AND NOT EXISTS (SELECT FROM credit.source s WHERE s.kind = 'invoice')
					  THEN 'receivable' ELSE 'invoice' END;
BEGIN
	problems := '{}';
	IF kind IN ('delivery', 'invoice', 'receivable', 'link') AND fields ? 'origin' THEN
		origin := COALESCE(origin_kind, 'order');
	END IF;
	IF (kind IN ('payment', 'credit_note', 'application') AND fields ? 'applies_to') OR
	   (kind = 'link' AND fields ? 'document') THEN
		applies_to := COALESCE(applies_to_kind, debt);
	END IF;
	IF kind = 'application' AND fields ? 'payment' THEN
		payment := COALESCE(payment_kind, CASE applies_to WHEN 'receivable' THEN 'receivable' ELSE 'payment' END);
	END IF;
	FOR r IN SELECT * FROM (VALUES
		('origin_kind', origin_kind, origin, CASE WHEN kind = 'delivery' THEN ARRAY['order'] ELSE ARRAY['order', 'delivery'] END),
		('applies_to_kind', applies_to_kind, applies_to, ARRAY['invoice', 'receivable']),
		('payment_kind', payment_kind, payment, ARRAY['payment', 'credit_note', 'receivable'])) v (name, given, used, allowed)
	LOOP
		IF r.given IS NOT NULL AND r.used IS NULL THEN
			problems := problems || format('%s: kind %s has no such reference, or its field is not mapped.', r.name, kind);
		ELSIF NOT r.used = ANY (r.allowed) THEN
			problems := problems || format('%s: %L cannot be named here. Use %s.', r.name, r.used, array_to_string(r.allowed, ' or '));
		END IF;
	END LOOP;
	IF payment IS NOT NULL AND NOT EXISTS (SELECT FROM credit.source s WHERE s.kind = payment) THEN
		problems := problems || format('payment: no source of kind %s is attached yet. Attach it first, or leave payment out: then each application counts by itself.', payment);
	END IF;
END
$$;
COMMENT ON FUNCTION credit.check_references(text, jsonb, text, text, text) IS
'Which kind of document the references of a mapping name, and what is wrong with what the caller says about them.';
CREATE FUNCTION credit.attach_mapping
	(relation regclass, kind text, fields jsonb, on_breach text, null_limit text,
	 zero_limit text, on_error text, lock_timeout text, backfill boolean,
	 dry_run boolean, path text, origin_kind text DEFAULT NULL,
	 applies_to_kind text DEFAULT NULL, payment_kind text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problems text[] := '{}';
	checked record;
	source_name text;
	new_id integer;
	n bigint := 0;
	refs record;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'the table to attach is NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF kind IS NULL OR kind NOT IN ('customer', 'order', 'delivery', 'invoice', 'receivable',
									'credit_note', 'payment', 'application', 'link') THEN
		RAISE EXCEPTION 'there is no kind "%"', kind
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use customer, order, delivery, invoice, receivable, credit_note, payment, application or link.';
	END IF;
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND NOT dry_run THEN
		RAISE EXCEPTION 'attach cannot run in a transaction in %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_transaction_state',
				  DETAIL = 'It must see every row that was committed before it got its lock.',
				  HINT = 'Use READ COMMITTED.';
	END IF;
	on_breach := COALESCE(on_breach, CASE WHEN kind IN ('order', 'delivery') THEN 'reject' ELSE 'off' END);
	IF on_breach NOT IN ('off', 'shadow', 'warn', 'reject') THEN
		problems := problems || format('on_breach: %L is not a reaction. Use off, shadow, warn or reject.', on_breach);
	ELSIF kind NOT IN ('order', 'delivery') AND on_breach <> 'off' THEN
		problems := problems || format('on_breach: rows of kind %s are counted, never refused.', kind);
	END IF;
	IF null_limit IS NULL OR null_limit NOT IN ('not_set', 'unlimited', 'blocked') THEN
		problems := problems || format('null_limit: %L is not a state. Use not_set, unlimited or blocked.', null_limit);
	END IF;
	IF zero_limit IS NULL OR zero_limit NOT IN ('amount', 'not_set', 'unlimited', 'blocked') THEN
		problems := problems || format('zero_limit: %L is not a state. Use amount, not_set, unlimited or blocked.', zero_limit);
	END IF;
	IF on_error IS NULL OR on_error NOT IN ('pass', 'refuse') THEN
		problems := problems || format('on_error: %L is not known. Use pass or refuse.', on_error);
	END IF;
	SELECT * INTO refs FROM credit.check_references(kind, fields, origin_kind, applies_to_kind, payment_kind);
	problems := problems || refs.problems || ARRAY(SELECT credit.relation_problems(relation, kind));
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) THEN
		SELECT * INTO checked FROM credit.check_fields(relation, kind, fields, path);
		problems := problems || checked.problems;
	END IF;

	IF cardinality(problems) = 0 AND NOT dry_run THEN
		PERFORM credit.progress_begin('attach', relation::text);
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(relation, lock_timeout);
	END IF;
	IF cardinality(problems) = 0 THEN
		PERFORM credit.progress_phase('checking the rows', credit.estimated_rows(relation));
		problems := credit.check_rows(relation, kind, checked.normalised);
	END IF;
	IF cardinality(problems) > 0 THEN
		RAISE EXCEPTION '% cannot be attached as %: % %', relation, kind, cardinality(problems),
				CASE WHEN cardinality(problems) = 1 THEN 'problem' ELSE 'problems' END
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = array_to_string(problems, E'\n'),
				  HINT = 'Nothing was changed. credit.field_catalog() lists the fields; dry_run => true tries a mapping without changing anything.';
	END IF;

	source_name := relation::text;
	IF EXISTS (SELECT FROM credit.source s WHERE s.name = source_name) THEN
		source_name := source_name || ':' || kind;
	END IF;
	IF NOT credit.has_unique_key(relation, checked.normalised ->> 'key') THEN
		RAISE NOTICE 'no unique, immediate index of % covers the key %: rows that come to share a key, if only for a moment, will count as one',
			relation, checked.normalised ->> 'key';
	END IF;
	IF dry_run THEN
		PERFORM credit.attach_estimate(relation, kind, checked.normalised);
		RETURN source_name;
	END IF;

	INSERT INTO credit.source (name, relation, kind, fields, on_breach, null_limit, zero_limit, on_error,
							   origin_kind, applies_to_kind, payment_kind)
	VALUES (source_name, relation, kind, checked.normalised, on_breach, null_limit, zero_limit, on_error,
			refs.origin, refs.applies_to, refs.payment)
	RETURNING source_id INTO new_id;
	PERFORM credit.progress_phase('creating the triggers', NULL);
	IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = 'zz_credit_row') THEN
		EXECUTE format('CREATE TRIGGER zz_credit_begin BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.begin_statement()', relation);
		EXECUTE format('CREATE TRIGGER zz_credit_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION credit.capture_row()', relation);
		EXECUTE format('CREATE TRIGGER zz_credit_end AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.end_statement()', relation);
		EXECUTE format('CREATE TRIGGER zz_credit_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.capture_truncate()', relation);
	END IF;
	IF backfill AND kind = 'customer' THEN
		n := credit.backfill_customers(relation, new_id, checked.normalised);
	ELSIF backfill AND kind IN ('application', 'link') THEN
		n := credit.backfill_joins(relation, new_id, kind, checked.normalised);
	ELSIF backfill THEN
		n := credit.backfill_documents(relation, new_id, kind, checked.normalised);
	END IF;
	IF kind <> 'customer' THEN
		PERFORM credit.join_source(new_id);
	END IF;
	PERFORM credit.progress_phase('looking at the result', NULL);
	PERFORM credit.attach_report(source_name, kind, n);
	PERFORM credit.progress_end();
	RETURN source_name;
END
$$;
COMMENT ON FUNCTION credit.attach_mapping(regclass, text, jsonb, text, text, text, text, text, boolean, boolean, text, text, text, text) IS
'The work of attach(), with the fields as one object and the search path their names are read along.';
CREATE FUNCTION credit.attach
	(relation regclass, kind text, key text DEFAULT NULL, customer text DEFAULT NULL,
	 amount text DEFAULT NULL, document_date text DEFAULT NULL, due_date text DEFAULT NULL,
	 posting_date text DEFAULT NULL, segment text DEFAULT NULL, currency text DEFAULT NULL,
	 number text DEFAULT NULL, origin text DEFAULT NULL, applies_to text DEFAULT NULL,
	 open_amount text DEFAULT NULL, settled_on text DEFAULT NULL, is_disputed text DEFAULT NULL,
	 name text DEFAULT NULL, credit_limit text DEFAULT NULL, parent text DEFAULT NULL,
	 status text DEFAULT NULL, terms_days text DEFAULT NULL, rating text DEFAULT NULL,
	 counts_when text DEFAULT NULL, on_breach text DEFAULT NULL,
	 null_limit text DEFAULT 'not_set', zero_limit text DEFAULT 'amount',
	 on_error text DEFAULT 'pass', lock_timeout text DEFAULT '5s',
	 backfill boolean DEFAULT true, dry_run boolean DEFAULT false,
	 payment text DEFAULT NULL, document text DEFAULT NULL, reversed_on text DEFAULT NULL,
	 disputed_amount text DEFAULT NULL, retention_amount text DEFAULT NULL,
	 retention_until text DEFAULT NULL, is_write_off text DEFAULT NULL,
	 origin_kind text DEFAULT NULL, applies_to_kind text DEFAULT NULL,
	 payment_kind text DEFAULT NULL)
RETURNS text
LANGUAGE sql VOLATILE
BEGIN ATOMIC
SELECT credit.attach_mapping
	(relation, kind,
	 jsonb_strip_nulls(jsonb_build_object
		('key', key, 'customer', customer, 'amount', amount,
		 'document_date', document_date, 'due_date', due_date,
		 'posting_date', posting_date, 'segment', segment, 'currency', currency,
		 'number', number, 'origin', origin, 'applies_to', applies_to,
		 'open_amount', open_amount, 'settled_on', settled_on,
		 'is_disputed', is_disputed, 'name', name, 'credit_limit', credit_limit,
		 'parent', parent, 'status', status, 'terms_days', terms_days,
		 'rating', rating, 'counts_when', counts_when, 'payment', payment,
		 'document', document, 'reversed_on', reversed_on,
		 'disputed_amount', disputed_amount, 'retention_amount', retention_amount,
		 'retention_until', retention_until, 'is_write_off', is_write_off)),
	 on_breach, null_limit, zero_limit, on_error, lock_timeout,
	 COALESCE(backfill, true), COALESCE(dry_run, false),
	 current_setting('search_path'), origin_kind, applies_to_kind, payment_kind);
END;
COMMENT ON FUNCTION credit.attach(regclass, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, boolean, boolean, text, text, text, text, text, text, text, text, text, text) IS
'Maps a table of the ERP: a kind (customer, order, delivery, invoice, receivable, credit_note, payment, application, link), and an SQL expression over the row for each field (field_catalog() lists them). Creates triggers on the table and takes what is there into the ledger; returns the name of the source. Answers with everything that is wrong at once. dry_run => true changes nothing and says what would be read, locked and written. on_breach (orders, deliveries): off, shadow, warn or reject, default reject. null_limit, zero_limit: what NULL and 0 in credit_limit mean. on_error: pass or refuse rows that the mapping cannot read any more. origin_kind, applies_to_kind, payment_kind: which documents origin, applies_to (of a link: document) and payment name, where it is not the order, the invoice, the payment.';
CREATE OR REPLACE FUNCTION credit.detach(source text, lock_timeout text DEFAULT '5s') RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	n bigint;
	is_there boolean;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = detach.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	is_there := EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation);
	PERFORM credit.progress_begin('detach', s.name);
	IF is_there THEN
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(s.relation, lock_timeout);
	END IF;
	SELECT CASE s.kind WHEN 'customer' THEN (SELECT count(*) FROM credit.account a WHERE a.source_id = s.source_id)
					   ELSE (SELECT count(*) FROM credit.item i WHERE i.source_id = s.source_id AND i.amount IS NOT NULL) END INTO n;
	PERFORM credit.progress_phase('taking documents out of exposure', n);
	PERFORM credit.forget(s.relation, s.source_id, s.kind);
	PERFORM credit.maintain(true);
	/* keys that documents of other sources name */
	DELETE FROM credit.item i WHERE i.source_id = s.source_id;
	DELETE FROM credit.source_problem p WHERE p.source_id = s.source_id;
	DELETE FROM credit.source x WHERE x.source_id = s.source_id;
	PERFORM credit.maintain(false);
	PERFORM credit.stat_forget(s.source_id);
	IF is_there AND NOT EXISTS (SELECT FROM credit.source x WHERE x.relation = s.relation) THEN
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_begin ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_row ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_end ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_truncate ON %s', s.relation);
	END IF;
	PERFORM credit.progress_end();
	RETURN n;
END
$$;

COMMENT ON COLUMN credit.sources.kind IS 'customer, or the kind of document.';
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
CREATE FUNCTION credit.open_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text,
			   kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH document AS
	(SELECT i.source_id, i.key, i.account_id, i.currency, s.kind,
			CASE WHEN s.kind IN ('payment', 'credit_note') THEN -i.amount ELSE i.amount END AS amount,
			s.kind IN ('payment', 'credit_note') AS takes_off
	   FROM credit.item i
	   JOIN credit.source s ON s.source_id = i.source_id
	  WHERE s.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
		AND i.amount IS NOT NULL
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
		AND (i.reversed_on IS NULL OR i.reversed_on > as_of)),
/* what was settled of each debt, and what each payment has settled */
settled AS
	(SELECT q.source_id, q.key, sum(q.amount) AS amount
	   FROM (SELECT t.source_id, t.key, CASE WHEN d.takes_off THEN -t.amount ELSE t.amount END AS amount
			   FROM credit.settlement t
			   JOIN document d ON d.source_id = t.source_id AND d.key = t.key
			  WHERE (t.settled_on <= as_of OR t.settled_on IS NULL)
			UNION ALL
			SELECT t.payment_source_id, t.payment_key, -t.amount
			  FROM credit.settlement t
			  JOIN document d ON d.source_id = t.source_id AND d.key = t.key
			 WHERE t.payment_key IS NOT NULL
			   AND (t.settled_on <= as_of OR t.settled_on IS NULL)) q
	  GROUP BY q.source_id, q.key)
SELECT d.source_id, d.key, d.account_id, d.currency, d.kind,
	   d.amount - COALESCE(s.amount, 0)
  FROM document d
  LEFT JOIN settled s ON s.source_id = d.source_id AND s.key = d.key
 WHERE d.amount <> COALESCE(s.amount, 0);
END;
COMMENT ON FUNCTION credit.open_on(date) IS
'Receivables, credit notes and payments of which something was open on a day, before allocation, from the documents as they are known now.';
CREATE FUNCTION credit.needs_allocation() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT EXISTS (SELECT FROM credit.settlement_rule r
				WHERE r.rule = 'allocated' AND r.kind IN ('payment', 'credit_note', 'receivable'));
END;
COMMENT ON FUNCTION credit.needs_allocation() IS
'Is there a source of payments of which nobody says what they pay?';
/*
 * Allocation of what nobody says: the n-th payment of an amount pays the n-th
 * debt of just that amount, oldest due first; what is left pays the oldest due.
 */
CREATE FUNCTION credit.allocated_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text,
			   kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH open AS
	(SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_now o
	  WHERE as_of = credit.today() AND (of_account IS NULL OR o.account_id = of_account)
	 UNION ALL
	 SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_on(as_of) o
	  WHERE as_of <> credit.today() AND (of_account IS NULL OR o.account_id = of_account)),
ranked AS
	(SELECT o.*, r.rule = 'allocated' AND o.open_amount < 0 AS pays,
			r.rule <> 'stated' AND o.open_amount > 0 AS is_paid,
			COALESCE(i.due_date, i.document_date, i.posting_date) AS due,
			row_number() OVER (PARTITION BY o.account_id, o.currency, abs(o.open_amount),
								   r.rule = 'allocated' AND o.open_amount < 0, r.rule <> 'stated' AND o.open_amount > 0
							   ORDER BY COALESCE(i.due_date, i.document_date, i.posting_date), o.source_id, o.key) AS number
	   FROM open o
	   JOIN credit.settlement_rule r ON r.source_id = o.source_id
	   JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key),
paid_exactly AS
	(SELECT p.source_id AS p_source, p.key AS p_key, d.source_id AS d_source, d.key AS d_key
	   FROM ranked p
	   JOIN ranked d ON d.account_id = p.account_id AND d.currency = p.currency
			AND d.is_paid AND d.open_amount = -p.open_amount AND d.number = p.number
	  WHERE p.pays),
rest AS
	(SELECT r.*,
			sum(r.open_amount) FILTER (WHERE r.is_paid) OVER (PARTITION BY r.account_id, r.currency) AS debt,
			-sum(r.open_amount) FILTER (WHERE r.pays) OVER (PARTITION BY r.account_id, r.currency) AS money,
			abs(sum(r.open_amount) FILTER (WHERE r.pays = (r.open_amount < 0) AND (r.pays OR r.is_paid))
				OVER (PARTITION BY r.account_id, r.currency, r.pays, r.is_paid
					  ORDER BY r.due, r.source_id, r.key)) AS running
	   FROM ranked r
	  WHERE NOT EXISTS (SELECT FROM paid_exactly e
						 WHERE (e.p_source, e.p_key) = (r.source_id, r.key)
							OR (e.d_source, e.d_key) = (r.source_id, r.key)))
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
CREATE FUNCTION credit.open_items_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, source text, kind text,
			   key text, number text, document_date date, due_date date,
			   currency text, amount numeric, open_amount numeric,
			   days_past_due integer, is_disputed boolean, disputed_amount numeric,
			   is_retention boolean, origin text, is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, s.name, o.kind, i.key, COALESCE(i.number, i.key),
	   i.document_date, p.due_date, o.currency, i.amount, p.open_amount,
	   as_of - p.due_date,
	   COALESCE(i.is_disputed, false) OR COALESCE(i.disputed_amount, 0) <> 0,
	   CASE WHEN i.disputed_amount IS NOT NULL THEN LEAST(i.disputed_amount, p.open_amount)
			WHEN i.is_disputed THEN p.open_amount ELSE 0 END,
	   p.is_retention, i.origin,
	   as_of >= credit.day_of(s.attached_at) OR r.rule <> 'stated' OR NOT EXISTS
		   (SELECT FROM credit.settlement t
			 WHERE t.source_id = o.source_id AND t.settled_on IS NULL)
  FROM credit.open_documents_on(as_of) o
  JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key
  JOIN credit.source s ON s.source_id = o.source_id
  JOIN credit.settlement_rule r ON r.source_id = o.source_id
  JOIN credit.account a ON a.account_id = o.account_id
 CROSS JOIN LATERAL
	   (SELECT CASE o.kind WHEN 'payment' THEN COALESCE(i.posting_date, i.document_date)
					ELSE COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date,
								  i.posting_date) END AS due_date,
			   o.open_amount - GREATEST(LEAST(COALESCE(i.retention_amount, 0), o.open_amount), 0) AS open_amount,
			   false AS is_retention
		UNION ALL
		SELECT i.retention_until, GREATEST(LEAST(i.retention_amount, o.open_amount), 0), true
		 WHERE i.retention_amount > 0) p
 WHERE p.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.open_items_on(date) IS
'Open items on a day: receivables, and with negative amounts credit notes and unapplied payments. A retained part is a row of its own with its own due date. Without a due date the terms of the customer count from the document date.';
CREATE VIEW credit.open_items AS
SELECT o.customer, o.segment, o.name, o.source, o.kind, o.key, o.number,
	   o.document_date, o.due_date, o.currency, o.amount, o.open_amount,
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
SELECT a.customer, a.segment, a.name, a.currency, a.current, a.d1_30, a.d31_60,
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
	   (sum(a.overdue) / NULLIF(sum(a.current + a.overdue + a.undated), 0))::float8,
	   sum(a.disputed), sum(a.n_items)::bigint, bool_and(a.is_complete)
  FROM credit.customer_aging_on(portfolio_aging_on.as_of, portfolio_aging_on.credits) a
 GROUP BY a.segment, a.currency;
END;
COMMENT ON FUNCTION credit.portfolio_aging_on(date, text) IS
'Aging of all customers of a segment and currency on a day; credits as in customer_aging_on(), set off within each customer.';
CREATE VIEW credit.portfolio_aging AS
SELECT a.segment, a.currency, a.n_customers, a.current, a.d1_30, a.d31_60, a.d61_90,
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
RETURNS TABLE (moved_on date, kind text, source_id integer, key text, currency text, amount numeric)
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
	   CASE WHEN d.takes_off THEN -d.amount ELSE d.amount END
  FROM document d
UNION ALL
SELECT GREATEST(COALESCE(t.settled_on, d.day), d.day), t.kind, t.source_id, t.key, d.currency,
	   CASE WHEN d.takes_off THEN t.amount ELSE -t.amount END
  FROM document d
  JOIN credit.settlement t ON t.source_id = d.source_id AND t.key = d.key
 WHERE t.payment_key IS NULL
   AND (t.settled_on <= as_of OR t.settled_on IS NULL);
END;
COMMENT ON FUNCTION credit.account_movements(bigint, date) IS
'What has moved the balance of an account up to a day, one row per document and per settlement without a payment; use account_statement().';
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
line AS
	(SELECT from_date AS moved_on, 'opening balance' AS kind, NULL::integer AS source_id, NULL::text AS key,
			m.currency, sum(m.amount) AS amount, 0 AS rank
	   FROM movement m WHERE m.moved_on < from_date GROUP BY m.currency
	 UNION ALL
	 SELECT m.moved_on, m.kind, m.source_id, m.key, m.currency, m.amount, 1
	   FROM movement m WHERE from_date IS NULL OR m.moved_on >= from_date)
SELECT l.moved_on, l.kind, COALESCE(i.number, l.key), i.due_date, l.currency,
	   GREATEST(l.amount, 0), GREATEST(-l.amount, 0),
	   sum(l.amount) OVER (PARTITION BY l.currency ORDER BY l.moved_on, l.rank, l.amount DESC, l.source_id, l.key
						   ROWS UNBOUNDED PRECEDING),
	   CASE WHEN l.kind IN ('invoice', 'receivable', 'credit_note', 'payment')
			THEN COALESCE(o.open_amount, 0) END,
	   s.name, l.key
  FROM line l
  LEFT JOIN credit.item i ON i.source_id = l.source_id AND i.key = l.key
  LEFT JOIN credit.source s ON s.source_id = l.source_id
  LEFT JOIN (SELECT d.source_id, d.key, d.open_amount
			   FROM account a CROSS JOIN LATERAL credit.open_of_account(a.account_id, a.as_of) d) o
	ON o.source_id = l.source_id AND o.key = l.key
 ORDER BY l.currency, l.moved_on, l.rank, l.amount DESC, l.source_id, l.key;
END;
COMMENT ON FUNCTION credit.account_statement(text, date, date, text) IS
'Statement of account of a customer as of a day (NULL: that of credit.as_of), from the beginning or from a day on with the opening balance; balance is that after the line, the last one is the total of customer_aging. open_amount: what is open of the document on the as-of day.';
ALTER TABLE credit.settlement SET
	(autovacuum_vacuum_insert_threshold = 200000, autovacuum_vacuum_insert_scale_factor = 0,
	 autovacuum_freeze_min_age = 0, vacuum_truncate = off);
/* Each step is a statement of its own: purge() commits. */
CREATE OR REPLACE PROCEDURE credit.daily()
LANGUAGE plpgsql
AS $$
BEGIN
	CALL credit.purge();
	PERFORM credit.report_status();
	CALL credit.recount();
END
$$;

COMMENT ON PROCEDURE credit.daily() IS
'All that should be done once a day: purges what settings keep_... give free, puts what status() finds into the log of the server, and takes in documents that are dated for today. Call it from any scheduler; schedule() makes a job for pg_cron.';
/* What the jobs are called and do. */
CREATE OR REPLACE FUNCTION credit.job_catalog
	(daily text, vacuum text, OUT job text, OUT schedule text, OUT command text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT q.job, q.schedule, q.command
  FROM (VALUES
		('credit daily', daily, 'CALL credit.daily()'),
		('credit vacuum', vacuum,
		 'VACUUM (SKIP_LOCKED, ANALYZE) credit.journal, credit.item, credit.item_version, credit.settlement, credit.account, credit.account_limit, credit.limit_change, credit.decision_log')
	   ) q (job, schedule, command)
$$;

/*
 * Subject status: what a DBA should know at 3 a.m., in plain words.
 *
 * Runs as its owner, so that the right to call it is enough: an update of the
 * extension can add a finding that reads something new, and whoever was let in
 * before goes on seeing all of them.
 */
CREATE OR REPLACE FUNCTION credit.status
	(OUT severity text, OUT subject text, OUT finding text, OUT advice text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
SELECT q.severity, q.subject, q.finding, q.advice
  FROM (
	SELECT 1 AS rank, 'error' AS severity, 'version' AS subject,
		   format('library %s works with catalog %s', credit.version(), x.extversion) AS finding,
		   'Run ALTER EXTENSION credit UPDATE, or install the library of that version.' AS advice
	  FROM pg_extension x
	 WHERE x.extname = 'credit' AND x.extversion <> credit.version()
	UNION ALL
	SELECT 1, 'error', 'source ' || s.name, 'mapping is broken: ' || s.problem,
		   'Rows pass unread or are refused (on_error). Detach the source and attach it with a mapping that fits.'
	  FROM credit.sources s WHERE s.health = 'broken'
	UNION ALL
	SELECT 1, 'error', 'source ' || s.name, 'triggers zz_credit_* are missing or disabled',
		   'Documents get past the ledger. Enable the triggers; to catch up, detach the source and attach it again.'
	  FROM credit.sources s WHERE s.health LIKE 'triggers%'
	UNION ALL
	SELECT 2, 'warning', 'source ' || s.name,
		   format('%s transactions had rows that could not be read, last on %s: %s', s.n_problems, s.last_problem_at, s.problem),
		   'Those rows are not in the ledger. Detach the source and attach it again.'
	  FROM credit.sources s WHERE s.health = 'unverified'
	UNION ALL
	SELECT 2, 'warning', 'setting capture', 'capture is off: the ledger falls behind',
		   'SELECT credit.set(''capture'', ''on''); then detach and attach the sources to catch up.'
	  FROM credit.settings s WHERE s.name = 'capture' AND s.value = 'off'
	UNION ALL
	SELECT 2, 'warning', 'setting mode', format('mode is %s: nothing is refused', s.value),
		   'SELECT credit.set(''mode'', ''reject'') when you are ready.'
	  FROM credit.settings s WHERE s.name = 'mode' AND s.value <> 'reject'
	UNION ALL
	SELECT 2, 'warning', 'role ' || m.rolname, 'is never refused (setting bypass_role)',
		   'SELECT credit.set(''bypass_role'', NULL) when the migration is over; view credit.decision lists what got in.'
	  FROM credit.settings s JOIN pg_roles m ON m.rolname = s.value WHERE s.name = 'bypass_role'
	UNION ALL
	SELECT 2, 'warning', 'setting bypass_role', format('role "%s" does not exist', s.value),
		   'SELECT credit.set(''bypass_role'', NULL).'
	  FROM credit.settings s
	 WHERE s.name = 'bypass_role' AND s.value <> ''
	   AND NOT EXISTS (SELECT FROM pg_roles m WHERE m.rolname = s.value)
	UNION ALL
	SELECT 2, 'warning', 'limits', format('%s accounts that orders name have no limit yet', count(*)),
		   'Rule not_set decides (view credit.rules). SELECT * FROM credit.exposure WHERE limit_state = ''not_set''.'
	  FROM credit.account_limit l
	 WHERE l.limit_state = 'not_set'
	   AND EXISTS (SELECT FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
					WHERE i.account_id = l.account_id AND s.kind = 'order')
	HAVING count(*) > 0
	UNION ALL
	SELECT 2, 'warning', 'prepared transactions',
		   format('%s are older than an hour and may hold part of a limit', count(*)),
		   'SELECT * FROM pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED.'
	  FROM pg_prepared_xacts p
	 WHERE p.database = current_database() AND p.prepared < now() - interval '1 hour'
	HAVING count(*) > 0
	UNION ALL
	SELECT 2, 'warning', 'waits',
		   format('waits for others: %s, the longest for %s s, for %s', count(*),
				  round(extract(epoch FROM max(w.waited)), 1),
				  (array_agg(COALESCE('process ' || w.holder_pid, 'prepared transaction ' || w.holder_prepared, 'a transaction')
							 ORDER BY w.waited DESC))[1]),
		   'SELECT * FROM credit.waits; column way_out says what ends each.'
	  FROM credit.waits w HAVING max(w.waited) > interval '1 second'
	UNION ALL
	SELECT 2, 'warning', 'statistics', 'there is no shared memory for them: views stat, waits and progress are empty',
		   'Orders are not concerned. Add credit to shared_preload_libraries, which reserves the memory, and restart the server.'
	 WHERE NOT credit.stat_is_on()
	UNION ALL
	SELECT 3, 'info', 'statistics', 'there are more sources on this server than it has places for: the rest is counted together',
		   'Row (others) of view credit.stat.'
	  FROM credit.stat_rows() r WHERE r.source_id = 0
	UNION ALL
	SELECT 2, 'warning', 'index ' || x.indexrelid::regclass::text,
		   'is of a kind the ledger cannot maintain; orders fail',
		   'Drop it. Plain indexes are fine.'
	  FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND (x.indexprs IS NOT NULL OR x.indisexclusion OR NOT x.indimmediate OR
			(x.indpred IS NOT NULL AND NOT EXISTS
			 (SELECT FROM pg_class n WHERE n.oid = x.indexrelid AND n.relname IN
			  ('item_open', 'item_closed', 'item_origin', 'item_document', 'item_next', 'settlement_payment'))))
	UNION ALL
	SELECT 2, 'warning', 'table ' || t.relname,
		   format('autovacuum is far behind: %s dead rows beside %s', t.n_dead_tup, t.n_live_tup),
		   format('Look for what holds it back: old transactions, autovacuum_max_workers. VACUUM credit.%I.', t.relname)
	  FROM pg_stat_all_tables t
	 WHERE t.schemaname = 'credit' AND t.n_dead_tup > 20000 + t.n_live_tup / 2
	UNION ALL
	SELECT 2, 'warning', 'table ' || c.relname, 'autovacuum is switched off for it',
		   format('ALTER TABLE credit.%I RESET (autovacuum_enabled).', c.relname)
	  FROM pg_class c, pg_options_to_table(c.reloptions) o
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
	UNION ALL
	SELECT 2, 'warning', 'table ' || c.relname,
		   format('it was frozen %s transactions ago', age(c.relfrozenxid)),
		   format('A vacuum against wraparound is due or has been prevented. VACUUM (FREEZE) credit.%I.', c.relname)
	  FROM pg_class c
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND age(c.relfrozenxid) > 1.2 * current_setting('autovacuum_freeze_max_age')::bigint
	UNION ALL
	SELECT 2, 'warning', 'process ' || a.pid,
		   format('its transaction is open since %s: what dies meanwhile cannot be vacuumed', date_trunc('second', a.xact_start)),
		   'SELECT * FROM pg_stat_activity; end it, or pg_terminate_backend(). Setting old_transaction says what is old.'
	  FROM pg_stat_activity a
	 WHERE a.xact_start < clock_timestamp() -
		   (SELECT s.value::interval FROM credit.settings s WHERE s.name = 'old_transaction')
	   AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
	   AND (a.datname = current_database() OR a.datname IS NULL)
	   AND a.backend_type IN ('client backend', 'walsender')
	UNION ALL
	SELECT 2, 'warning', 'replication slot ' || r.slot_name,
		   format('nobody uses it, and it keeps what died in %s transactions from being vacuumed', age(r.xmin)),
		   'Start what reads from it, or pg_drop_replication_slot().'
	  FROM pg_replication_slots r WHERE NOT r.active AND r.xmin IS NOT NULL
	UNION ALL
	SELECT 3, 'info', 'journal',
		   format('it takes %s and nothing is purged', pg_size_pretty(pg_total_relation_size('credit.journal'))),
		   'Keep it, it is the audit trail, and raise setting large_journal; or set keep_journal, for example to 1100d, and let credit.daily() run.'
	  FROM credit.settings s
	 WHERE s.name = 'large_journal'
	   AND pg_total_relation_size('credit.journal') > pg_size_bytes(s.value)
	   AND EXISTS (SELECT FROM credit.settings k WHERE k.name = 'keep_journal' AND k.value = 'forever')
	UNION ALL
	SELECT 3, 'info', 'limits', format('%s accounts are above their limit', count(*)),
		   'SELECT * FROM credit.over_limit.'
	  FROM credit.over_limit HAVING count(*) > 0
	UNION ALL
	SELECT 3, 'info', 'sources', 'no table is attached yet',
		   'SELECT credit.attach(...); dry_run => true shows what it would do.'
	 WHERE NOT EXISTS (SELECT FROM credit.source)
	UNION ALL
	SELECT 4, 'ok', 'credit ' || credit.version(),
		   format('%s sources, %s accounts, mode %s', (SELECT count(*) FROM credit.source),
				  (SELECT count(*) FROM credit.account),
				  (SELECT s.value FROM credit.settings s WHERE s.name = 'mode')), ''
  ) q
 ORDER BY q.rank, q.subject
$$;

CREATE OR REPLACE FUNCTION credit.grant_analyst(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	object text;
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA credit TO %s', role);
	FOR object IN
		SELECT format('%I.%I', 'credit', c.relname) FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'v'
	LOOP
		EXECUTE format('GRANT SELECT ON %s TO %s', object, role);
	END LOOP;
	/* functions that read and change nothing */
	FOR object IN
		SELECT p.oid::regprocedure FROM pg_proc p
		 WHERE p.pronamespace = 'credit'::regnamespace
		   AND (p.provolatile <> 'v' OR p.proname = 'check_order')
		   AND p.prorettype <> 'trigger'::regtype
	LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', object, role);
	END LOOP;
	/* exposure_on() and its kind are plain queries over these tables */
	EXECUTE format('GRANT SELECT ON credit.account, credit.account_limit, credit.item, credit.settlement, credit.source, credit.source_problem, credit.setting, credit.rule_reaction TO %s', role);
END
$$;

SELECT pg_catalog.pg_extension_config_dump('credit.settlement', '');

/*
 * Subject grant: nothing new is for PUBLIC. New is what has no rights of its
 * own yet; everything older has.
 */
DO $do$
DECLARE
	object text;
BEGIN
	FOR object IN
		SELECT format('TABLE %I.%I', 'credit', c.relname) FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'v') AND c.relacl IS NULL
		UNION ALL
		SELECT format('SEQUENCE %I.%I', 'credit', c.relname) FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'S' AND c.relacl IS NULL
		UNION ALL
		SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_proc p
		 WHERE p.pronamespace = 'credit'::regnamespace AND p.proacl IS NULL
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', object);
	END LOOP;
END
$do$;

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

COMMENT ON FUNCTION credit.invalidate_setting() IS
'Trigger on setting, rule_reaction and exchange_rate: makes every session read them anew.';
ALTER TABLE credit.source
	ADD COLUMN origin_kind text COLLATE "C" CHECK (origin_kind IN ('order', 'delivery')),
	ADD COLUMN applies_to_kind text COLLATE "C" CHECK (applies_to_kind IN ('invoice', 'receivable')),
	ADD COLUMN payment_kind text COLLATE "C" CHECK (payment_kind IN ('payment', 'credit_note', 'receivable'));

COMMENT ON COLUMN credit.source.relation IS 'Table or view of the ERP.';
COMMENT ON COLUMN credit.source.kind IS 'customer, or the kind of document: order, delivery, invoice, receivable, credit_note, payment, application or link.';
COMMENT ON COLUMN credit.source.origin_kind IS 'Kind of the documents that field origin names; NULL: it is not mapped, or only shown.';
COMMENT ON COLUMN credit.source.applies_to_kind IS 'Kind of the documents that field applies_to names, of a link field document; NULL: it is not mapped, or only shown.';
COMMENT ON COLUMN credit.source.payment_kind IS 'Kind of the documents that field payment names; NULL: it is not mapped.';
/*
 * Subject dependency: the tables that a source which is a view is made of.
 *
 * This piece has what the mapping of sources needs; depend() stands in
 * 42-dependency.sql, after attach().
 */
CREATE TABLE credit.dependency
(
	source_id	integer NOT NULL,
	relation	regclass NOT NULL,
	changed_keys text NOT NULL,
	declared_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	declared_by	text NOT NULL DEFAULT SESSION_USER,
	PRIMARY KEY (source_id, relation)
);
COMMENT ON TABLE credit.dependency IS
'Tables that the documents of a view are made of, as declared by depend(). View dependencies shows them with their health.';
COMMENT ON COLUMN credit.dependency.source_id IS 'Source, which is a view.';
COMMENT ON COLUMN credit.dependency.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.dependency.changed_keys IS 'Query over relation changed (old and new rows of a statement) that returns the keys of the documents they belong to, fully qualified.';
COMMENT ON COLUMN credit.dependency.declared_at IS 'When it was declared.';
COMMENT ON COLUMN credit.dependency.declared_by IS 'Session user who declared it.';
CREATE FUNCTION credit.invalidate_dependency() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_invalidate_dependency';
COMMENT ON FUNCTION credit.invalidate_dependency() IS
'Trigger on dependency: makes every session read the list of dependencies anew.';
CREATE TRIGGER invalidate_dependency AFTER INSERT OR UPDATE OR DELETE ON credit.dependency
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_dependency();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.dependency
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.check_view(relation regclass, fields jsonb) RETURNS void
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_check_view';
COMMENT ON FUNCTION credit.check_view(regclass, jsonb) IS
'Plans the queries of a view as its owner, as the triggers will; an error says why that cannot be done.';
CREATE FUNCTION credit.view_rows(relation regclass, fields jsonb) RETURNS SETOF record
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_view_rows';
COMMENT ON FUNCTION credit.view_rows(regclass, jsonb) IS
'What a view has, read through a mapping as the owner of the view; mapping_query() says with which columns.';
CREATE FUNCTION credit.normalise_changed_keys
	(view regclass, relation regclass, changed_keys text, path text)
RETURNS text
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_normalise_changed_keys';
COMMENT ON FUNCTION credit.normalise_changed_keys(regclass, regclass, text, text) IS
'Checks the key query of a dependency, reading its names along a search path, tries it as the owner of the view, and returns it with every name qualified.';
CREATE FUNCTION credit.reevaluate(source_id integer) RETURNS bigint
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_reevaluate';
COMMENT ON FUNCTION credit.reevaluate(integer) IS
'Looks at every document of a view and takes in what has become of it, without refusing any; returns how many there are, those that are gone included.';
/* The tables behind a view, through views it reads. */
CREATE FUNCTION credit.view_tables(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE reads (oid) AS
	(SELECT relation::oid
	 UNION
	 SELECT d.refobjid
	   FROM reads r
	   JOIN pg_class v ON v.oid = r.oid AND v.relkind = 'v'
	   JOIN pg_rewrite w ON w.ev_class = r.oid
	   JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
						AND d.refclassid = 'pg_class'::regclass)
SELECT c.oid::regclass
  FROM reads r JOIN pg_class c ON c.oid = r.oid
 WHERE c.relkind IN ('r', 'p', 'f', 'm')
 ORDER BY c.oid::regclass::text
$$;
COMMENT ON FUNCTION credit.view_tables(regclass) IS
'Tables that a view reads, through other views too. What its functions read is not known.';
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
CREATE INDEX item_reversed ON credit.item (reversed_on) WHERE reversed_on IS NOT NULL;
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
CREATE FUNCTION credit.part_documents(source_id integer) RETURNS bigint
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_part_documents';
COMMENT ON FUNCTION credit.part_documents(integer) IS
'Takes the keys that documents of other sources name out of a source whose documents are gone; use detach(). Returns how many there were.';
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
CREATE INDEX settlement_day ON credit.settlement (settled_on);
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
CREATE TABLE credit.month_mark
(
	account_id	bigint NOT NULL,
	month		date NOT NULL
);
CREATE INDEX month_mark_account ON credit.month_mark (account_id, month);
COMMENT ON TABLE credit.month_mark IS
'Months of accounts in which something was settled or changed since their profile was worked out; append-only, taken away by the fold.';
COMMENT ON COLUMN credit.month_mark.account_id IS 'Account.';
COMMENT ON COLUMN credit.month_mark.month IS 'First day of the month; infinity: all months of the account; -infinity: what was settled before the source was attached.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.month_mark
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
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
CREATE FUNCTION credit.open_on(as_of date)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text,
			   kind text, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/*
 * Open on the day was what is open now, or was settled, reversed or taken back
 * after it: few documents, however many there are.
 */
WITH settled_later AS NOT MATERIALIZED
	(SELECT t.source_id, t.key FROM credit.settlement t WHERE t.settled_on > as_of),
/* payments applied after the day, or to debts that were not there yet */
applied_later AS NOT MATERIALIZED
	(SELECT t.payment_source_id AS source_id, t.payment_key AS key
	   FROM credit.settlement t
	   JOIN credit.item x ON x.source_id = t.source_id AND x.key = t.key
	  WHERE t.payment_key IS NOT NULL
		AND (t.settled_on > as_of OR
			 COALESCE(x.document_date, x.posting_date, credit.day_of(x.recorded_at)) > as_of)),
candidate AS
	(SELECT i.source_id, i.key FROM credit.item i WHERE i.is_open
	 UNION ALL
	 SELECT i.source_id, i.key FROM credit.item i
	  WHERE NOT i.is_open
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
		AND EXISTS (SELECT FROM settled_later t WHERE t.source_id = i.source_id AND t.key = i.key)
	 UNION ALL
	 SELECT i.source_id, i.key FROM credit.item i
	  WHERE NOT i.is_open
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
		AND NOT EXISTS (SELECT FROM settled_later t WHERE t.source_id = i.source_id AND t.key = i.key)
		AND EXISTS (SELECT FROM applied_later t WHERE t.source_id = i.source_id AND t.key = i.key)
	 UNION ALL
	 SELECT i.source_id, i.key FROM credit.item i
	  WHERE NOT i.is_open AND (i.reversed_on > as_of OR i.next_on IS NOT NULL)
		AND NOT EXISTS (SELECT FROM settled_later t WHERE t.source_id = i.source_id AND t.key = i.key)
		AND NOT EXISTS (SELECT FROM applied_later t WHERE t.source_id = i.source_id AND t.key = i.key))
SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
  FROM (SELECT i.source_id, i.key, i.account_id, i.currency, s.kind,
			   CASE WHEN s.kind IN ('payment', 'credit_note') THEN p.amount - i.amount + u.amount
					ELSE i.amount - p.amount + u.amount END AS open_amount
		  FROM candidate c
		  JOIN credit.item i ON i.source_id = c.source_id AND i.key = c.key
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
COMMENT ON FUNCTION credit.open_on(date) IS
'Receivables, credit notes and payments of which something was open on a day, before allocation, from the documents as they are known now.';
/*
 * Subject rate: exchange rates by type and day, and which of them counts.
 *
 * One row per type, pair and day, so that a load is one INSERT ... ON CONFLICT
 * and the rate of any day is there; what a row said before is kept beside it.
 */
CREATE TABLE credit.exchange_rate
(
	rate_type	text COLLATE "C" NOT NULL DEFAULT 'closing',
	from_currency text COLLATE "C" NOT NULL,
	to_currency text COLLATE "C" NOT NULL,
	valid_on	date NOT NULL,
	rate		numeric NOT NULL,
	source		text,
	recorded_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	recorded_by	text NOT NULL DEFAULT SESSION_USER,
	PRIMARY KEY (rate_type, from_currency, to_currency, valid_on),
	CONSTRAINT exchange_rate_type CHECK (octet_length(rate_type) BETWEEN 1 AND 30),
	CONSTRAINT exchange_rate_from CHECK (octet_length(from_currency) BETWEEN 1 AND 12),
	CONSTRAINT exchange_rate_to CHECK (octet_length(to_currency) BETWEEN 1 AND 12),
	CONSTRAINT exchange_rate_pair CHECK (from_currency <> to_currency),
	CONSTRAINT exchange_rate_day CHECK (isfinite(valid_on)),
	CONSTRAINT exchange_rate_rate CHECK (rate BETWEEN 1e-20 AND 1e20 AND scale(rate) <= 60)
);
COMMENT ON TABLE credit.exchange_rate IS
'Exchange rates: one unit of from_currency is worth rate units of to_currency. A rate counts from valid_on until the next one of its pair, for as long as setting rate_age allows. Enter through credit.set_rate(), or load many by INSERT ... ON CONFLICT ... DO UPDATE; rows that say the same as before are left alone.';
COMMENT ON COLUMN credit.exchange_rate.rate_type IS 'Type of the rate; setting rate_type says which one exposure is converted by.';
COMMENT ON COLUMN credit.exchange_rate.from_currency IS 'Currency of which one unit is meant.';
COMMENT ON COLUMN credit.exchange_rate.to_currency IS 'Currency its worth is given in.';
COMMENT ON COLUMN credit.exchange_rate.valid_on IS 'First day it counts.';
COMMENT ON COLUMN credit.exchange_rate.rate IS 'Units of to_currency for one unit of from_currency.';
COMMENT ON COLUMN credit.exchange_rate.source IS 'Where it comes from, in words.';
COMMENT ON COLUMN credit.exchange_rate.recorded_at IS 'When this value was entered.';
COMMENT ON COLUMN credit.exchange_rate.recorded_by IS 'Session user who entered it.';
CREATE TABLE credit.rate_change
(
	rate_change_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	rate_type	text COLLATE "C" NOT NULL,
	from_currency text COLLATE "C" NOT NULL,
	to_currency text COLLATE "C" NOT NULL,
	valid_on	date NOT NULL,
	old_rate	numeric NOT NULL,
	new_rate	numeric,
	old_source	text,
	recorded_at	timestamptz NOT NULL,
	recorded_by	text NOT NULL,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by	text NOT NULL DEFAULT SESSION_USER
);
CREATE INDEX rate_change_rate ON credit.rate_change (rate_type, from_currency, to_currency, valid_on);
COMMENT ON TABLE credit.rate_change IS
'What exchange_rate said before it was changed, append-only.';
COMMENT ON COLUMN credit.rate_change.rate_change_id IS 'Own key.';
COMMENT ON COLUMN credit.rate_change.rate_type IS 'Type of the rate.';
COMMENT ON COLUMN credit.rate_change.from_currency IS 'Currency of which one unit is meant.';
COMMENT ON COLUMN credit.rate_change.to_currency IS 'Currency its worth is given in.';
COMMENT ON COLUMN credit.rate_change.valid_on IS 'First day it counts.';
COMMENT ON COLUMN credit.rate_change.old_rate IS 'Rate before.';
COMMENT ON COLUMN credit.rate_change.new_rate IS 'Rate after; NULL: taken away.';
COMMENT ON COLUMN credit.rate_change.old_source IS 'Where the former rate came from.';
COMMENT ON COLUMN credit.rate_change.recorded_at IS 'When the former rate was entered.';
COMMENT ON COLUMN credit.rate_change.recorded_by IS 'Session user who entered the former rate.';
COMMENT ON COLUMN credit.rate_change.changed_at IS 'When it was changed.';
COMMENT ON COLUMN credit.rate_change.changed_by IS 'Session user who changed it.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.rate_change
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
/* Runs as its owner: who may change rates need not be able to write history. */
CREATE FUNCTION credit.keep_rate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		INSERT INTO credit.rate_change (rate_type, from_currency, to_currency, valid_on,
										old_rate, old_source, recorded_at, recorded_by)
		SELECT r.rate_type, r.from_currency, r.to_currency, r.valid_on,
			   r.rate, r.source, r.recorded_at, r.recorded_by
		  FROM credit.exchange_rate r;
		RETURN NULL;
	END IF;
	IF TG_OP = 'UPDATE' AND
	   (NEW.rate_type, NEW.from_currency, NEW.to_currency, NEW.valid_on, NEW.rate) =
	   (OLD.rate_type, OLD.from_currency, OLD.to_currency, OLD.valid_on, OLD.rate) THEN
		/* loads repeat themselves; another source alone is worth a row version */
		RETURN CASE WHEN NEW.source IS DISTINCT FROM OLD.source THEN NEW END;
	END IF;
	INSERT INTO credit.rate_change (rate_type, from_currency, to_currency, valid_on,
									old_rate, new_rate, old_source, recorded_at, recorded_by)
	VALUES (OLD.rate_type, OLD.from_currency, OLD.to_currency, OLD.valid_on, OLD.rate,
			CASE WHEN TG_OP = 'UPDATE' AND
					  (NEW.rate_type, NEW.from_currency, NEW.to_currency, NEW.valid_on) =
					  (OLD.rate_type, OLD.from_currency, OLD.to_currency, OLD.valid_on)
				 THEN NEW.rate END,
			OLD.source, OLD.recorded_at, OLD.recorded_by);
	IF TG_OP = 'DELETE' THEN
		RETURN OLD;
	END IF;
	NEW.recorded_at := clock_timestamp();
	NEW.recorded_by := SESSION_USER;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION credit.keep_rate() IS
'Trigger on exchange_rate: keeps the former rate in rate_change and skips rows that change nothing.';
CREATE TRIGGER keep_rate BEFORE UPDATE OR DELETE ON credit.exchange_rate
	FOR EACH ROW EXECUTE FUNCTION credit.keep_rate();
CREATE TRIGGER keep_rate_truncate BEFORE TRUNCATE ON credit.exchange_rate
	FOR EACH STATEMENT EXECUTE FUNCTION credit.keep_rate();
/*
 * Every session keeps the rates in force.  By row and always, because logical
 * replication fires no statement trigger and only those.
 */
CREATE TRIGGER invalidate_rate AFTER INSERT OR UPDATE OR DELETE ON credit.exchange_rate
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
CREATE TRIGGER invalidate_rate_truncate AFTER TRUNCATE ON credit.exchange_rate
	FOR EACH STATEMENT EXECUTE FUNCTION credit.invalidate_setting();
ALTER TABLE credit.exchange_rate ENABLE ALWAYS TRIGGER invalidate_rate;
ALTER TABLE credit.exchange_rate ENABLE ALWAYS TRIGGER invalidate_rate_truncate;
CREATE FUNCTION credit.find_rate
	(from_currency text, to_currency text, as_of date, rate_type text DEFAULT NULL,
	 OUT rate numeric, OUT rate_date date, OUT rate_path text)
RETURNS record
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_find_rate';
COMMENT ON FUNCTION credit.find_rate(text, text, date, text) IS
'The exchange rate that counts on a day and how it is found: direct, inverse, cross (through setting currency) or same; stale (older than setting rate_age) or missing, with rate NULL. rate_date: valid_on of the rate, the older one of a cross. rate_type NULL: setting rate_type. A day of infinity is today.';
CREATE FUNCTION credit.round_amount(amount numeric, currency text) RETURNS numeric
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_round_amount';
COMMENT ON FUNCTION credit.round_amount(numeric, text) IS
'An amount rounded to the minor unit of its currency (ISO 4217; 2 decimals where the code is not known), half away from zero. For sums of converted amounts: convert each unrounded, add, round once.';
CREATE FUNCTION credit.convert_exposure
	(amount numeric, balance numeric, from_currency text, to_currency text, as_of date)
RETURNS numeric
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_convert_exposure';
COMMENT ON FUNCTION credit.convert_exposure(numeric, numeric, text, text, date) IS
'What an amount adds to exposure in another currency, as the order check takes it, not rounded: with the add-on of setting rate_add_on where the balance of that currency is positive. 0, and an amount in the same currency, stay as they are. NULL: a rate is missing.';
CREATE FUNCTION credit.set_rate
	(from_currency text, to_currency text, rate numeric, valid_on date DEFAULT NULL,
	 rate_type text DEFAULT NULL, source text DEFAULT NULL)
RETURNS numeric
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	day date := COALESCE(valid_on, credit.today());
	type text := COALESCE(rate_type, (SELECT s.value FROM credit.settings s WHERE s.name = 'rate_type'));
	last numeric;
BEGIN
	IF from_currency IS NULL OR to_currency IS NULL OR from_currency = to_currency THEN
		RAISE EXCEPTION 'a rate needs two currencies'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('From %s to %s.', COALESCE(from_currency, 'NULL'), COALESCE(to_currency, 'NULL'));
	END IF;
	IF rate IS NULL THEN
		DELETE FROM credit.exchange_rate r
		 WHERE r.rate_type = type AND r.from_currency = $1 AND r.to_currency = $2 AND r.valid_on = day;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'there is no rate of type "%" from % to % of %', type, from_currency, to_currency, to_char(day, 'YYYY-MM-DD')
				USING ERRCODE = 'no_data_found';
		END IF;
		RETURN NULL;
	END IF;
	IF NOT (rate > 0 AND rate < 'Infinity') THEN
		RAISE EXCEPTION 'a rate must be a positive number, not %', rate
			USING ERRCODE = 'numeric_value_out_of_range';
	END IF;
	last := (SELECT f.rate FROM credit.find_rate(from_currency, to_currency, day - 1, type) f);
	IF last IS NOT NULL AND (rate > last * 1.5 OR last > rate * 1.5) THEN
		RAISE WARNING 'rate from % to % jumps from % to %', from_currency, to_currency, last, rate
			USING HINT = format('A rate says how many %s one %s is worth.', to_currency, from_currency);
	END IF;
	INSERT INTO credit.exchange_rate AS r (rate_type, from_currency, to_currency, valid_on, rate, source)
	VALUES (type, from_currency, to_currency, day, rate, source)
	ON CONFLICT ON CONSTRAINT exchange_rate_pkey
	DO UPDATE SET rate = excluded.rate, source = excluded.source;
	RETURN rate;
END
$$;
COMMENT ON FUNCTION credit.set_rate(text, text, numeric, date, text, text) IS
'Enters an exchange rate: how many units of to_currency one unit of from_currency is worth from a day on (default today), of a type (default setting rate_type). NULL takes the rate of that day away. Returns the rate. Acts on the next statement of every session once committed; warns of a jump, which mostly is a rate entered the wrong way round. Example: SELECT credit.set_rate(''EUR'', ''USD'', 1.10).';
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
CREATE OR REPLACE FUNCTION credit.exposure_documents_on(as_of date)
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
COMMENT ON COLUMN credit.exposure_document.kind IS 'Kind of document.';
COMMENT ON COLUMN credit.exposure_document.amount IS 'Amount of the document, tax included; 0: an order that does not count, and stands in for its deliveries.';
CREATE OR REPLACE FUNCTION credit.exposure_on(as_of date)
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
CREATE OR REPLACE VIEW credit.exposure AS
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

COMMENT ON COLUMN credit.exposure.currency IS 'Currency of the account; all amounts are in it, those of documents in other currencies at the rates of the day.';
COMMENT ON COLUMN credit.exposure.ordered IS 'Open orders. Where amounts were converted, this and the other stages are rounded each by itself; NULL: a rate is missing.';
COMMENT ON COLUMN credit.exposure.total IS 'Exposure: ordered + delivered + invoiced + unapplied, rounded once where amounts were converted. NULL: a rate is missing (missing_rates).';
COMMENT ON COLUMN credit.exposure.other_currencies IS 'Currencies of documents other than that of the account; NULL: none. View exposure_by_currency has their amounts.';
COMMENT ON COLUMN credit.exposure.missing_rates IS 'Those of them that have no rate that counts, so that there is no total; NULL: none.';
/*
 * Subject currency: amounts in other currencies, for reports.
 */
CREATE FUNCTION credit.rate
	(from_currency text, to_currency text, as_of date DEFAULT credit.as_of(),
	 rate_type text DEFAULT NULL)
RETURNS numeric
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_rate';
COMMENT ON FUNCTION credit.rate(text, text, date, text) IS
'The exchange rate that counts on a day (default credit.as_of()): direct, inverse, or cross through setting currency, the last two to 20 decimals. NULL: there is none, or it is older than setting rate_age. rate_type NULL: setting rate_type. find_rate() says how it is found.';
CREATE FUNCTION credit.convert
	(amount numeric, from_currency text, to_currency text,
	 as_of date DEFAULT credit.as_of(), rate_type text DEFAULT NULL)
RETURNS numeric
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_convert';
COMMENT ON FUNCTION credit.convert(numeric, text, text, date, text) IS
'An amount in another currency at the rate of a day (default credit.as_of()), not rounded: add up first, then round_amount(). NULL: a rate is missing. Balances at the rate of the day they are shown for, sales and payments at that of their own day. Example: SELECT credit.round_amount(sum(credit.convert(amount, currency, ''USD'', document_date)), ''USD'').';
CREATE FUNCTION credit.exposure_by_currency_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   ordered numeric, delivered numeric, invoiced numeric,
			   unapplied numeric, total numeric, account_currency text,
			   rate numeric, rate_date date, rate_path text, converted numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, b.currency, b.ordered, b.delivered, b.invoiced,
	   b.unapplied, b.total, l.currency, r.rate, r.rate_date, r.rate_path,
	   CASE WHEN b.currency = l.currency THEN b.total
			ELSE credit.round_amount(credit.convert_exposure(b.total, b.total, b.currency, l.currency,
															 exposure_by_currency_on.as_of), l.currency) END
  FROM (SELECT v.account_id, v.currency,
			   sum(COALESCE(v.stages[1], 0)) AS ordered,
			   sum(COALESCE(v.stages[2], 0)) AS delivered,
			   sum(COALESCE(v.stages[3], 0)) AS invoiced,
			   sum(COALESCE(v.stages[4], 0)) AS unapplied,
			   sum(COALESCE(v.stages[1], 0) + COALESCE(v.stages[2], 0) +
				   COALESCE(v.stages[3], 0) + COALESCE(v.stages[4], 0)) AS total
		  FROM credit.valuation_on(exposure_by_currency_on.as_of) v
		 GROUP BY v.account_id, v.currency) b
  JOIN credit.account a ON a.account_id = b.account_id
  JOIN credit.account_limit l ON l.account_id = b.account_id
 CROSS JOIN LATERAL credit.find_rate(b.currency, l.currency, exposure_by_currency_on.as_of) r;
END;
COMMENT ON FUNCTION credit.exposure_by_currency_on(date) IS
'Exposure of every account on a day by currency of the documents, and what it comes to in the currency of the account at the rates of that day; from the documents dated up to that day, as they are known now.';
CREATE VIEW credit.exposure_by_currency AS
SELECT a.customer, a.segment, a.name, b.currency, b.ordered, b.delivered, b.invoiced,
	   b.unapplied, b.total, l.currency AS account_currency, r.rate, r.rate_date, r.rate_path,
	   CASE WHEN b.currency = l.currency THEN b.total
			ELSE credit.round_amount(credit.convert_exposure(b.total, b.total, b.currency, l.currency,
															 (SELECT credit.today())), l.currency) END AS converted
  FROM credit.account a
  JOIN credit.account_limit l ON l.account_id = a.account_id
 CROSS JOIN LATERAL credit.balance(a.account_id) b
 CROSS JOIN LATERAL credit.find_rate(b.currency, l.currency, (SELECT credit.today())) r
 WHERE credit.as_of() = credit.today()
UNION ALL
SELECT p.customer, p.segment, p.name, p.currency, p.ordered, p.delivered, p.invoiced,
	   p.unapplied, p.total, p.account_currency, p.rate, p.rate_date, p.rate_path, p.converted
  FROM credit.exposure_by_currency_on(credit.as_of()) p
 WHERE credit.as_of() <> credit.today();
COMMENT ON VIEW credit.exposure_by_currency IS
'Exposure of every account by currency of the documents, in that currency and in the one of the account; an account has a row for each currency it ever had documents in. Today: from the journal. With credit.as_of on another day: from the dates of the documents as they are known now, at the rates of that day.';
COMMENT ON COLUMN credit.exposure_by_currency.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure_by_currency.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.exposure_by_currency.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure_by_currency.currency IS 'Currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.ordered IS 'Open orders, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.delivered IS 'Delivered, not invoiced, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.invoiced IS 'Open receivables, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.unapplied IS 'Cash received, negative, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.total IS 'Exposure in the currency of the documents: ordered + delivered + invoiced + unapplied.';
COMMENT ON COLUMN credit.exposure_by_currency.account_currency IS 'Currency of the account and its limit.';
COMMENT ON COLUMN credit.exposure_by_currency.rate IS 'Units of account_currency for one unit of currency; NULL: there is no rate that counts.';
COMMENT ON COLUMN credit.exposure_by_currency.rate_date IS 'Day of the rate, also of one that is too old; NULL: none is needed or there is none.';
COMMENT ON COLUMN credit.exposure_by_currency.rate_path IS 'How the rate is found: same, direct, inverse, cross (through setting currency); or stale, missing.';
COMMENT ON COLUMN credit.exposure_by_currency.converted IS 'Total in the currency of the account as the order check takes it, rounded, with the add-on of setting rate_add_on. NULL: there is no rate that counts, and total is not 0.';
/*
 * Subject history: exposure as the ledger knew it at the end of each day.
 *
 * Counted back from today's balance, so that a purge of old rows of the
 * journal changes no figure of the days that are left.
 */
CREATE VIEW credit.exposure_history AS
SELECT a.customer, a.segment, a.name, h.currency, h.day,
	   h.ordered, h.delivered, h.invoiced, h.unapplied,
	   h.ordered + h.delivered + h.invoiced + h.unapplied AS total,
	   h.change, h.n_postings
  FROM credit.account a
 CROSS JOIN LATERAL
	   (SELECT c.currency, c.day, c.change, c.n_postings,
			   b.ordered - COALESCE(sum(c.ordered) OVER later, 0) AS ordered,
			   b.delivered - COALESCE(sum(c.delivered) OVER later, 0) AS delivered,
			   b.invoiced - COALESCE(sum(c.invoiced) OVER later, 0) AS invoiced,
			   b.unapplied - COALESCE(sum(c.unapplied) OVER later, 0) AS unapplied
		  FROM (SELECT j.currency, credit.day_of(j.posted_at) AS day, count(*) AS n_postings,
					   COALESCE(sum(j.delta[1]), 0) AS ordered, COALESCE(sum(j.delta[2]), 0) AS delivered,
					   COALESCE(sum(j.delta[3]), 0) AS invoiced, COALESCE(sum(j.delta[4]), 0) AS unapplied,
					   COALESCE(sum(j.delta[1]), 0) + COALESCE(sum(j.delta[2]), 0) +
					   COALESCE(sum(j.delta[3]), 0) + COALESCE(sum(j.delta[4]), 0) AS change
				  FROM credit.journal j
				 WHERE j.account_id = a.account_id AND j.scope = 0
				 GROUP BY 1, 2) c
		  JOIN credit.balance(a.account_id) b ON b.currency = c.currency
		WINDOW later AS (PARTITION BY c.currency ORDER BY c.day DESC
						 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) h;
COMMENT ON VIEW credit.exposure_history IS
'Exposure of each account and currency at the end of each day on which something was posted, as the ledger knew it then. From the time since the attach, as far as the journal was not purged.';
COMMENT ON COLUMN credit.exposure_history.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure_history.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.exposure_history.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure_history.currency IS 'Currency of the amounts: that of the documents, not converted.';
COMMENT ON COLUMN credit.exposure_history.day IS 'Day in the zone of setting time_zone.';
COMMENT ON COLUMN credit.exposure_history.ordered IS 'Open orders at the end of the day.';
COMMENT ON COLUMN credit.exposure_history.delivered IS 'Delivered, not invoiced.';
COMMENT ON COLUMN credit.exposure_history.invoiced IS 'Open receivables.';
COMMENT ON COLUMN credit.exposure_history.unapplied IS 'Cash received, negative.';
COMMENT ON COLUMN credit.exposure_history.total IS 'Exposure at the end of the day: the sum of the four.';
COMMENT ON COLUMN credit.exposure_history.change IS 'What the day added to it.';
COMMENT ON COLUMN credit.exposure_history.n_postings IS 'Number of rows of the journal on the day.';
/*
 * Subject group: exposure weighted and net of what secures it, and of groups of
 * companies.  Reports only: the order check looks at the customer itself.
 */
CREATE FUNCTION credit.weighted_exposure
	(ordered numeric, delivered numeric, invoiced numeric, unapplied numeric DEFAULT 0,
	 order_weight numeric DEFAULT 1, delivery_weight numeric DEFAULT 1, invoice_weight numeric DEFAULT 1)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN order_weight BETWEEN 0 AND 1 AND delivery_weight BETWEEN 0 AND 1 AND invoice_weight BETWEEN 0 AND 1
			THEN ordered * order_weight + delivered * delivery_weight + invoiced * invoice_weight + unapplied END;
COMMENT ON FUNCTION credit.weighted_exposure(numeric, numeric, numeric, numeric, numeric, numeric, numeric) IS
'Exposure with a weight from 0 to 1 for each stage; what is unapplied counts whole. NULL: an argument is NULL or a weight is outside 0 to 1. Example: SELECT customer, credit.weighted_exposure(ordered, delivered, invoiced, unapplied, order_weight => 0.5) FROM credit.exposure.';
CREATE FUNCTION credit.net_exposure
	(exposure numeric, collateral numeric DEFAULT 0, haircut numeric DEFAULT 0,
	 insured_limit numeric DEFAULT 0, insured_share numeric DEFAULT 0)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN exposure IS NOT NULL AND collateral >= 0 AND haircut BETWEEN 0 AND 1 AND insured_limit >= 0 AND insured_share BETWEEN 0 AND 1
			THEN greatest(exposure - collateral * (1 - haircut), 0)
				 - least(greatest(exposure - collateral * (1 - haircut), 0), insured_limit) * insured_share END;
COMMENT ON FUNCTION credit.net_exposure(numeric, numeric, numeric, numeric, numeric) IS
'What is left of an exposure after collateral and guarantees (value less haircut, a ratio), then credit insurance (a share, as a ratio, of what is left up to the insured limit); never below 0. The caller passes only what is valid on the day. exposure - net_exposure(...) is secured. NULL: an argument is NULL, or below 0 or a ratio outside 0 to 1 (exposure may be negative). Example: SELECT credit.net_exposure(167000, 50000, 0, 100000, 0.9).';
CREATE VIEW credit.group_exposure AS
WITH RECURSIVE account AS
	(SELECT a.account_id, up.account_id AS parent_id, e.customer, e.segment, e.name, a.parent, e.currency,
			e.total, e.limit_state, e.credit_limit
	   FROM credit.exposure e
	   JOIN credit.account a ON a.customer = e.customer AND a.segment = e.segment
	   LEFT JOIN credit.account up ON up.customer = a.parent AND up.segment = a.segment),
/* each account with itself and all above it; UNION ends where parents go round in a circle */
path AS
	(SELECT a.account_id, a.account_id AS node_id FROM account a
	 UNION
	 SELECT p.account_id, a.parent_id
	   FROM path p
	   JOIN account a ON a.account_id = p.node_id
	  WHERE a.parent_id IS NOT NULL),
/* joined by one column only: of two the planner would expect far too few rows */
member AS
	(SELECT p.node_id, count(*) - 1 AS n_members,
			CASE WHEN count(c.total) = count(*)
				 THEN CASE WHEN bool_or(m.currency <> n.currency) THEN credit.round_amount(sum(c.total), min(n.currency))
						   ELSE sum(c.total) END END AS group_total
	   FROM path p
	   JOIN account m ON m.account_id = p.account_id
	   JOIN account n ON n.account_id = p.node_id
	  CROSS JOIN LATERAL
			(SELECT CASE WHEN m.currency = n.currency THEN m.total
						 ELSE credit.convert_exposure(m.total, m.total, m.currency, n.currency, credit.as_of()) END AS total) c
	  GROUP BY p.node_id),
measured AS
	(SELECT n.*, g.n_members, g.group_total,
			CASE n.limit_state WHEN 'amount' THEN n.credit_limit - g.group_total WHEN 'blocked' THEN 0 END AS headroom
	   FROM account n
	   JOIN member g ON g.node_id = n.account_id),
way AS
	(SELECT n.account_id, n.customer, up.customer AS node,
			CASE WHEN up.limit_state = 'blocked' THEN 0
				 WHEN up.currency = n.currency THEN up.headroom
				 ELSE credit.round_amount(credit.convert(up.headroom, up.currency, n.currency), n.currency) END AS headroom
	   FROM path p
	   JOIN account n ON n.account_id = p.account_id
	   JOIN measured up ON up.account_id = p.node_id
	  WHERE up.limit_state IN ('amount', 'blocked')),
bound AS
	(SELECT w.account_id, min(w.headroom) AS group_headroom,
			(array_agg(w.node ORDER BY w.headroom, w.node <> w.customer, w.node COLLATE "C"))[1] AS bound_by
	   FROM way w
	  GROUP BY w.account_id
	 HAVING count(w.headroom) = count(*))
SELECT n.customer, n.segment, n.name, n.parent, n.currency, n.n_members, n.total, n.group_total,
	   n.limit_state, n.credit_limit, n.headroom, b.group_headroom, b.bound_by
  FROM measured n
  LEFT JOIN bound b ON b.account_id = n.account_id;
COMMENT ON VIEW credit.group_exposure IS
'Exposure of each account together with all accounts below it (mapped parent, of the same segment), against its limit, and the least headroom on the way up to the top. Follows credit.as_of for documents; parents and limits are the present ones. Accounts whose parents go round in a circle count as members of each other.';
COMMENT ON COLUMN credit.group_exposure.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.group_exposure.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.group_exposure.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.group_exposure.parent IS 'Customer key of the account above; NULL: none.';
COMMENT ON COLUMN credit.group_exposure.currency IS 'Currency of the account; all amounts are in it.';
COMMENT ON COLUMN credit.group_exposure.n_members IS 'Number of accounts below it, at any depth.';
COMMENT ON COLUMN credit.group_exposure.total IS 'Its own exposure. NULL: a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.group_total IS 'Its own exposure and that of all accounts below it. NULL: a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.limit_state IS 'not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.group_exposure.credit_limit IS 'Limit in force; only with state amount. Here the limit of the group below it.';
COMMENT ON COLUMN credit.group_exposure.headroom IS 'Limit less group_total; may be negative. NULL: no amount is set, or a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.group_headroom IS 'Least headroom of the account and all above it that have an amount set: the largest order that every limit on the way up lets pass. NULL: none of them has, or a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.bound_by IS 'Customer key of the account whose headroom that is.';
CREATE FUNCTION credit.has_triggers(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT count(*) = 4
  FROM pg_trigger g
 WHERE g.tgrelid = relation AND g.tgenabled IN ('O', 'A')
   AND g.tgname IN ('zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate')
$$;
COMMENT ON FUNCTION credit.has_triggers(regclass) IS
'True: all four triggers of an attached table are there and enabled.';
CREATE FUNCTION credit.create_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = 'zz_credit_row') THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE TRIGGER zz_credit_begin BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.begin_statement()', relation);
	EXECUTE format('CREATE TRIGGER zz_credit_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION credit.capture_row()', relation);
	EXECUTE format('CREATE TRIGGER zz_credit_end AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.end_statement()', relation);
	EXECUTE format('CREATE TRIGGER zz_credit_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.capture_truncate()', relation);
END
$$;
COMMENT ON FUNCTION credit.create_triggers(regclass) IS
'Puts the triggers of an attached table in place, unless they are there; use attach() and depend().';
CREATE FUNCTION credit.drop_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) OR
	   EXISTS (SELECT FROM credit.source s WHERE s.relation = drop_triggers.relation) OR
	   EXISTS (SELECT FROM credit.dependency d WHERE d.relation = drop_triggers.relation) THEN
		RETURN;
	END IF;
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_begin ON %s', relation);
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_row ON %s', relation);
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_end ON %s', relation);
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_truncate ON %s', relation);
END
$$;
COMMENT ON FUNCTION credit.drop_triggers(regclass) IS
'Takes the triggers off a table that nothing needs them on any more; use detach() and undepend().';
CREATE FUNCTION credit.is_view(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind = 'v')
$$;
COMMENT ON FUNCTION credit.is_view(regclass) IS 'True: it is a view.';
/* What is wrong with the table itself, one sentence each. */
CREATE OR REPLACE FUNCTION credit.relation_problems(relation regclass, kind text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_class%ROWTYPE;
	related regclass;
BEGIN
	SELECT * INTO c FROM pg_class WHERE oid = relation;
	IF c.relkind NOT IN ('r', 'p', 'v') THEN
		RETURN NEXT format(CASE c.relkind
			WHEN 'm' THEN '%s is a materialised view, which changes only when it is refreshed. Attach a view with the same query, or the table the rows are written to.'
			WHEN 'f' THEN '%s is a foreign table: what others write to it does not pass through here. Attach the table the rows are written to, in its own database.'
			ELSE '%s is not a table. Attach the table the rows are written to.' END, relation);
		RETURN;
	END IF;
	IF c.relpersistence = 't' THEN
		RETURN NEXT format('%s is a temporary table.', relation);
	END IF;
	IF c.relnamespace IN ('pg_catalog'::regnamespace, 'credit'::regnamespace) THEN
		RETURN NEXT format('%s belongs to the system.', relation);
	END IF;
	IF (c.relkind <> 'v' AND NOT has_table_privilege(relation, 'TRIGGER')) OR NOT has_table_privilege(relation, 'SELECT') THEN
		RETURN NEXT format('Role %s lacks TRIGGER or SELECT on %s.', current_user, relation);
	END IF;
	IF row_security_active(relation) THEN
		RETURN NEXT format('Row security hides rows of %s from role %s. Attach as the owner or a superuser.', relation, current_user);
	END IF;
	IF NOT c.relispartition AND c.relkind = 'r' AND EXISTS
		(SELECT FROM pg_inherits h WHERE relation IN (h.inhrelid, h.inhparent)) THEN
		RETURN NEXT format('%s takes part in table inheritance, which triggers do not follow. Attach partitioned tables or plain ones.', relation);
	END IF;
	IF EXISTS (SELECT FROM credit.source s WHERE s.relation = relation_problems.relation AND s.kind = relation_problems.kind) THEN
		RETURN NEXT format('%s is attached as %s already. Detach it first.', relation, kind);
	END IF;
	FOR related IN
		SELECT s.relation FROM credit.source s
		 WHERE s.kind = relation_problems.kind AND s.relation <> relation_problems.relation
		   AND (s.relation IN (SELECT p.relid FROM pg_partition_ancestors(relation_problems.relation) p)
				OR s.relation IN (SELECT t.relid FROM pg_partition_tree(relation_problems.relation) t))
	LOOP
		RETURN NEXT format('%s, of the same partitioned table, is attached as %s already: its rows would count twice.', related, kind);
	END LOOP;
END
$$;

COMMENT ON FUNCTION credit.relation_problems(regclass, text) IS
'Why a table or view cannot be attached as this kind, one sentence each; no row: it can.';
/*
 * The SELECT that reads a table through a mapping, as the triggers do row by
 * row: every field with its final type.
 */
CREATE OR REPLACE FUNCTION credit.mapping_query(relation regclass, kind text, fields jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN credit.is_view(relation)
	   /* as its owner, whoever asks */
	   THEN (SELECT format('SELECT * FROM credit.view_rows(%L::pg_catalog.regclass, %L::pg_catalog.jsonb) v (%s)',
						   relation, fields, string_agg(format('%I %s', c.field, c.type), ', ' ORDER BY c.field))
			   FROM credit.field_catalog() c
			  WHERE kind = ANY (c.kinds) AND c.field <> 'counts_when')
	   ELSE format('SELECT %s FROM %s WHERE %s',
			  (SELECT string_agg(format(CASE WHEN c.field IN ('origin', 'applies_to', 'payment', 'document')
											  AND fields ->> c.field ~ '^(ROW)?\('
											 /* a composite key of NULLs names nothing */
											 THEN 'CASE WHEN (%1$s)::%2$s !~ ''^\(,+\)$'' THEN (%1$s)::%2$s END AS %3$I'
											 ELSE '(%1$s)::%2$s AS %3$I' END,
										COALESCE(fields ->> c.field, 'NULL'), c.type, c.field), ', '
								 ORDER BY c.field)
				 FROM credit.field_catalog() c
				WHERE kind = ANY (c.kinds) AND c.field <> 'counts_when'),
			  relation, COALESCE('(' || (fields ->> 'counts_when') || ')', 'true')) END
$$;

/* Dry run: says what attach() would do, changes nothing. */
CREATE OR REPLACE FUNCTION credit.attach_estimate(relation regclass, kind text, fields jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET timezone = 'UTC'
AS $$
DECLARE
	query text := credit.mapping_query(relation, kind, fields);
	estimated float8;
	portion text := '10000';
	bytes bigint;
	sampled bigint;
	started timestamptz;
	seconds float8;
	nulls bigint;
	zeros bigint;
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	SELECT GREATEST(sum(GREATEST(c.reltuples, 0)), 0), sum(pg_table_size(c.oid))
	  INTO estimated, bytes
	  FROM pg_class c
	 WHERE c.oid IN (SELECT relation UNION ALL SELECT t.relid FROM pg_partition_tree(relation) t);
	IF credit.is_view(relation) THEN
		/* its rows are known when all are read, and are not those of its tables */
		estimated := 0;
		portion := 'ALL';
		bytes := (SELECT COALESCE(sum(pg_table_size(t.oid)), 0)
					FROM (SELECT v.oid FROM credit.view_tables(relation) v (oid)
						  UNION
						  SELECT p.relid FROM credit.view_tables(relation) v (oid), pg_partition_tree(v.oid) p) t);
	END IF;
	started := clock_timestamp();
	EXECUTE format('SELECT count(*) FROM (%s LIMIT %s) q', query, portion) INTO sampled;
	EXECUTE format('SELECT count(*) FROM (SELECT q.*::text FROM (%s LIMIT %s) q OFFSET 0) q', query, portion) INTO sampled;
	seconds := extract(epoch FROM clock_timestamp() - started);
	estimated := GREATEST(estimated, sampled);
	RAISE NOTICE 'dry run: nothing is changed';
	RAISE NOTICE 'would read about % rows (%) of %', estimated::bigint, pg_size_pretty(bytes), relation;
	IF credit.is_view(relation) THEN
		RAISE NOTICE 'would lock nothing and create no trigger; credit.depend() does, on each table that is declared';
	ELSE
		RAISE NOTICE 'would lock % in mode SHARE ROW EXCLUSIVE until the end of the transaction: reads go on, writes wait', relation;
	END IF;
	/* six times reading as sampled, plus 25 microseconds a row to write the ledger */
	RAISE NOTICE 'would take about % s and write about % into schema credit',
		round((estimated * (6 * seconds / GREATEST(sampled, 1) + 0.000025))::numeric + 0.1, 1),
		pg_size_pretty((estimated * CASE kind WHEN 'customer' THEN 450 ELSE 270 END)::bigint);
	IF NOT credit.is_view(relation) THEN
		RAISE NOTICE 'would create triggers zz_credit_begin, zz_credit_row, zz_credit_end and zz_credit_truncate on %', relation;
	END IF;
	IF fields ? 'credit_limit' THEN
		EXECUTE format('SELECT count(*) FILTER (WHERE credit_limit IS NULL), count(*) FILTER (WHERE credit_limit = 0) FROM (%s) q', query)
		   INTO nulls, zeros;
		RAISE NOTICE 'limits: % are NULL, % are 0 (null_limit and zero_limit say what that means)', nulls, zeros;
	END IF;
END
$$;

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
		 CROSS JOIN LATERAL credit.own_stages(%5$L, q.amount, NULL, NULL, %8$s) o
		 WHERE q.amount IS NOT NULL$q$,
		source_id, credit.origin_column(kind, 'q.'),
		CASE kind WHEN 'link' THEN 'document' ELSE 'payment' END,
		credit.mapping_query(relation, kind, fields), kind,
		', ' || credit.plain_columns(kind, ''), ', ' || credit.plain_columns(kind, 'q.'),
		CASE kind WHEN 'application' THEN 'q.reversed_on, q.document_date, q.posting_date' ELSE 'NULL, NULL, NULL' END)
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
	/* what the rows of the source say of themselves */
	INSERT INTO credit.month_mark (account_id, month)
	SELECT DISTINCT i.account_id, COALESCE(date_trunc('month', t.settled_on::timestamp)::date, '-infinity')
	  FROM credit.settlement t
	  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
	 WHERE t.source_id = join_source.source_id AND t.stated_by_source_id = t.source_id
	   AND i.account_id IS NOT NULL;
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
/* What speaks against reading a view, NULL: nothing. */
CREATE FUNCTION credit.view_problem(relation regclass, fields jsonb) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text;
	hint text;
BEGIN
	PERFORM credit.check_view(relation, fields);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN format('The view cannot be read as its owner, %s: %s.%s',
				  (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = relation), problem,
				  CASE WHEN problem LIKE '%row-level security%'
					   THEN ' Give the view an owner whom row security does not restrict.'
					   ELSE COALESCE(' ' || NULLIF(hint, ''), '') END);
END
$$;
COMMENT ON FUNCTION credit.view_problem(regclass, jsonb) IS
'Why a view cannot be read through a mapping, in words; NULL: it can.';
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
	is_view boolean := credit.is_view(relation);
	missing record;
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
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p', 'v')) THEN
		SELECT * INTO checked FROM credit.check_fields(relation, kind, fields, path);
		problems := problems || checked.problems;
		IF is_view AND cardinality(checked.problems) = 0 THEN
			problems := array_remove(problems || credit.view_problem(relation, checked.normalised), NULL);
		END IF;
	END IF;

	IF cardinality(problems) = 0 AND NOT dry_run THEN
		PERFORM credit.progress_begin('attach', relation::text);
		IF NOT is_view THEN
			PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
			PERFORM credit.lock_source_table(relation, lock_timeout);
		END IF;
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
	IF NOT is_view AND NOT credit.has_unique_key(relation, checked.normalised ->> 'key') THEN
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
	IF NOT is_view THEN
		PERFORM credit.progress_phase('creating the triggers', NULL);
		PERFORM credit.create_triggers(relation);
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
	IF is_view THEN
		RAISE NOTICE '% is a view: nothing of it is captured until the tables it is made of are declared', relation;
		FOR missing IN SELECT m.suggestion FROM credit.missing_dependencies(source_name) m LOOP
			RAISE NOTICE 'for example: %', missing.suggestion;
		END LOOP;
	END IF;
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
'Maps a table of the ERP, or a view that yields one row per document (then declare what it is made of: credit.depend()): a kind (customer, order, delivery, invoice, receivable, credit_note, payment, application, link), and an SQL expression over the row for each field (field_catalog() lists them). Creates triggers on the table and takes what is there into the ledger; returns the name of the source. Answers with everything that is wrong at once. dry_run => true changes nothing and says what would be read, locked and written. on_breach (orders, deliveries): off, shadow, warn or reject, default reject. null_limit, zero_limit: what NULL and 0 in credit_limit mean. on_error: pass or refuse rows that the mapping cannot read any more. origin_kind, applies_to_kind, payment_kind: which documents origin, applies_to (of a link: document) and payment name, where it is not the order, the invoice, the payment.';
CREATE OR REPLACE FUNCTION credit.detach(source text, lock_timeout text DEFAULT '5s') RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	n bigint;
	used regclass[];
	one regclass;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = detach.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	used := ARRAY(SELECT c.oid::regclass FROM pg_class c
				   WHERE c.relkind IN ('r', 'p')
					 AND (c.oid = s.relation OR c.oid IN
						  (SELECT d.relation FROM credit.dependency d WHERE d.source_id = s.source_id))
				   ORDER BY c.oid);
	PERFORM credit.progress_begin('detach', s.name);
	FOREACH one IN ARRAY used LOOP
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(one, lock_timeout);
	END LOOP;
	SELECT CASE s.kind WHEN 'customer' THEN (SELECT count(*) FROM credit.account a WHERE a.source_id = s.source_id)
					   ELSE (SELECT count(*) FROM credit.item i WHERE i.source_id = s.source_id AND i.amount IS NOT NULL) END INTO n;
	PERFORM credit.progress_phase('taking documents out of exposure', n);
	PERFORM credit.forget(s.relation, s.source_id, s.kind);
	/* keys that documents of other sources name */
	PERFORM credit.part_documents(s.source_id);
	PERFORM credit.maintain(true);
	DELETE FROM credit.item i WHERE i.source_id = s.source_id;
	DELETE FROM credit.source_problem p WHERE p.source_id = s.source_id;
	DELETE FROM credit.dependency d WHERE d.source_id = s.source_id;
	DELETE FROM credit.source x WHERE x.source_id = s.source_id;
	PERFORM credit.maintain(false);
	PERFORM credit.stat_forget(s.source_id);
	FOREACH one IN ARRAY used LOOP
		PERFORM credit.drop_triggers(one);
	END LOOP;
	PERFORM credit.progress_end();
	RETURN n;
END
$$;

COMMENT ON FUNCTION credit.detach(text, text) IS
'Undoes attach() and depend(): drops the triggers and takes the documents of the source out of exposure; returns how many there were. Their history stays. The table itself is not touched.';
/*
 * Why a mapping does not work any more; NULL: it does.  Runs as its owner: an
 * analyst who cannot read the ERP's table must not see a healthy mapping as
 * broken.  It parses the expressions and evaluates none.
 */
CREATE OR REPLACE FUNCTION credit.mapping_error(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	checked record;
	d credit.dependency%ROWTYPE;
	problem text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = mapping_error.source_id;
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation) THEN
		RETURN 'the table is gone';
	END IF;
	SELECT * INTO checked FROM credit.check_fields(s.relation, s.kind, s.fields, 'pg_catalog, pg_temp');
	IF cardinality(checked.problems) > 0 THEN
		RETURN array_to_string(checked.problems, ' ');
	END IF;
	IF NOT credit.is_view(s.relation) THEN
		RETURN NULL;
	END IF;
	problem := credit.view_problem(s.relation, s.fields);
	FOR d IN SELECT * FROM credit.dependency x WHERE x.source_id = s.source_id AND problem IS NULL LOOP
		BEGIN
			IF EXISTS (SELECT FROM pg_class c WHERE c.oid = d.relation) THEN
				PERFORM credit.normalise_changed_keys(s.relation, d.relation, d.changed_keys, 'pg_catalog, pg_temp');
			ELSE
				problem := 'a table it depends on is gone';
			END IF;
		EXCEPTION WHEN OTHERS THEN
			problem := format('changed_keys of %s: %s', d.relation, SQLERRM);
		END;
	END LOOP;
	RETURN problem;
END
$$;

CREATE OR REPLACE VIEW credit.sources AS
SELECT s.name, s.relation, s.kind, s.on_breach, s.null_limit, s.zero_limit, s.on_error,
	   CASE WHEN m.error IS NOT NULL THEN 'broken'
			WHEN t.n_tables = 0 THEN 'nothing captured'
			WHEN t.n_bare > 0 THEN 'triggers missing or disabled'
			WHEN p.n > 0 THEN 'unverified'
			ELSE 'ok' END AS health,
	   COALESCE(m.error, p.message) AS problem,
	   p.n AS n_problems,
	   p.seen_at AS last_problem_at,
	   s.fields, s.attached_at, s.attached_by
  FROM credit.source s
  CROSS JOIN LATERAL (SELECT credit.mapping_error(s.source_id) AS error) m
  /* the tables that are written to: its own, or those a view depends on */
  CROSS JOIN LATERAL (SELECT count(*) AS n_tables,
							 count(*) FILTER (WHERE NOT credit.has_triggers(w.relation)) AS n_bare
						FROM (SELECT s.relation WHERE NOT credit.is_view(s.relation)
							  UNION ALL
							  SELECT d.relation FROM credit.dependency d WHERE d.source_id = s.source_id) w) t
  CROSS JOIN LATERAL (SELECT count(*) AS n, max(x.seen_at) AS seen_at,
							 (array_agg(x.message ORDER BY x.seen_at DESC))[1] AS message
						FROM credit.source_problem x WHERE x.source_id = s.source_id) p;

COMMENT ON COLUMN credit.sources.relation IS 'Table or view of the ERP.';
COMMENT ON COLUMN credit.sources.kind IS 'customer, or the kind of document.';
COMMENT ON COLUMN credit.sources.health IS 'ok, unverified (rows passed unread), broken (the mapping does not fit the table now), triggers missing or disabled, or nothing captured (a view of which no table is declared).';
/*
 * Subject dependency: depend() and undepend(), which put the triggers of a
 * view on the tables it is made of.
 */

/* What to write for the tables of a view that are not declared yet. */
CREATE FUNCTION credit.missing_dependencies(source text, OUT relation regclass, OUT suggestion text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT t.relation,
	   format('SELECT credit.depend(%L, %L, $$%s$$);', s.name, t.relation,
			  COALESCE(own.query, joined.query, 'SELECT <key of the document> FROM changed'))
  FROM credit.source s
  CROSS JOIN LATERAL credit.view_tables(s.relation) t (relation)
  CROSS JOIN LATERAL (SELECT s.fields ->> 'key' AS key) k
  LEFT JOIN LATERAL
	   (SELECT format('SELECT %I FROM changed', a.attname) AS query
		  FROM pg_attribute a
		 WHERE a.attrelid = t.relation AND quote_ident(a.attname) = k.key AND NOT a.attisdropped) own ON true
  LEFT JOIN LATERAL
	   (SELECT CASE WHEN quote_ident(b.attname) = k.key
					THEN format('SELECT %I FROM changed', a.attname)
					ELSE format('SELECT d.%s FROM changed c JOIN %s d ON d.%I = c.%I',
								k.key, f.confrelid::regclass, b.attname, a.attname) END AS query
		  FROM pg_constraint f
		  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
		 WHERE f.conrelid = t.relation AND f.contype = 'f' AND cardinality(f.conkey) = 1
		   AND f.confrelid IN (SELECT credit.view_tables(s.relation))
		   AND EXISTS (SELECT FROM pg_attribute h
						WHERE h.attrelid = f.confrelid AND quote_ident(h.attname) = k.key AND NOT h.attisdropped)
		 ORDER BY f.conname LIMIT 1) joined ON true
 WHERE s.name = missing_dependencies.source
   AND EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation AND c.relkind = 'v')
   AND NOT EXISTS (SELECT FROM credit.dependency d
					WHERE d.source_id = s.source_id AND d.relation = t.relation)
 ORDER BY t.relation::text
$f$;
COMMENT ON FUNCTION credit.missing_dependencies(text) IS
'Tables that a view reads and that are not declared by depend(), each with a call that may fit. A table that never changes need not be declared.';
/* What speaks against a table as a dependency, one sentence each. */
CREATE FUNCTION credit.dependency_problems(source_id integer, relation regclass) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_class%ROWTYPE;
	s credit.source%ROWTYPE;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = dependency_problems.source_id;
	IF NOT credit.is_view(s.relation) THEN
		RETURN NEXT format('%s is no view: what is written to it is captured by its own triggers.', s.name);
	END IF;
	SELECT * INTO c FROM pg_class WHERE oid = relation;
	IF c.relkind NOT IN ('r', 'p') THEN
		RETURN NEXT format('%s is not a table. Declare the tables that are behind it.', relation);
		RETURN;
	END IF;
	IF c.relpersistence = 't' THEN
		RETURN NEXT format('%s is a temporary table.', relation);
	END IF;
	IF c.relnamespace IN ('pg_catalog'::regnamespace, 'credit'::regnamespace) THEN
		RETURN NEXT format('%s belongs to the system.', relation);
	END IF;
	IF NOT has_table_privilege(relation, 'TRIGGER') THEN
		RETURN NEXT format('Role %s lacks TRIGGER on %s.', current_user, relation);
	END IF;
	IF NOT c.relispartition AND c.relkind = 'r' AND EXISTS
		(SELECT FROM pg_inherits h WHERE relation IN (h.inhrelid, h.inhparent)) THEN
		RETURN NEXT format('%s takes part in table inheritance, which triggers do not follow.', relation);
	END IF;
	IF EXISTS (SELECT FROM credit.dependency d
				WHERE d.source_id = s.source_id AND d.relation = dependency_problems.relation) THEN
		RETURN NEXT format('%s is declared already. Call credit.undepend() first.', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION credit.dependency_problems(integer, regclass) IS
'Why a source cannot depend on a table, one sentence each; no row: it can.';
CREATE FUNCTION credit.declare_dependency
	(source text, relation regclass, changed_keys text, lock_timeout text, path text)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	problems text[];
	problem text;
	hint text;
	query text;
	n bigint;
	missing text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = declare_dependency.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	IF relation IS NULL OR changed_keys IS NULL THEN
		RAISE EXCEPTION 'the table or its key query is NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		RAISE EXCEPTION 'depend cannot run in a transaction in %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_transaction_state',
				  DETAIL = 'It must see every row that was committed before it got its lock.',
				  HINT = 'Use READ COMMITTED.';
	END IF;
	problems := ARRAY(SELECT credit.dependency_problems(s.source_id, relation));
	IF cardinality(problems) = 0 THEN
		BEGIN
			query := credit.normalise_changed_keys(s.relation, relation, changed_keys, path);
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			problems := problems || rtrim(format('%s. %s', problem, hint));
		END;
	END IF;
	IF cardinality(problems) > 0 THEN
		RAISE EXCEPTION '% cannot depend on %', source, relation
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = array_to_string(problems, E'\n'),
				  HINT = 'Nothing was changed.';
	END IF;
	PERFORM credit.progress_begin('depend', s.name);
	PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
	PERFORM credit.lock_source_table(relation, lock_timeout);
	INSERT INTO credit.dependency (source_id, relation, changed_keys) VALUES (s.source_id, relation, query);
	PERFORM credit.create_triggers(relation);
	/* what has changed since attach() read the view */
	PERFORM credit.progress_phase('reading the view again', NULL);
	n := credit.reevaluate(s.source_id);
	PERFORM credit.progress_end();
	SELECT string_agg(m.relation::text, ', ' ORDER BY m.relation::text) INTO missing
	  FROM credit.missing_dependencies(source) m;
	RAISE NOTICE '% depends on %: % documents looked at', source, relation, n;
	IF missing IS NOT NULL THEN
		RAISE NOTICE 'not declared: %', missing;
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.declare_dependency(text, regclass, text, text, text) IS
'The work of depend(), with the search path its names are read along.';
CREATE FUNCTION credit.depend
	(source text, relation regclass, changed_keys text, lock_timeout text DEFAULT '5s')
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
SELECT credit.declare_dependency(source, relation, changed_keys, lock_timeout,
								 current_setting('search_path'));
END;
COMMENT ON FUNCTION credit.depend(text, regclass, text, text) IS
'Declares a table that the documents of a view are made of. changed_keys is a query over relation changed, which has the old and new rows of a statement on that table, and returns the keys of the documents they belong to: SELECT invoice_id FROM changed. Creates triggers on the table and takes in what has changed since attach(); returns the number of documents looked at. Declare every table on the way from a row to its document.';
CREATE FUNCTION credit.undepend(source text, relation regclass, lock_timeout text DEFAULT '5s') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d credit.dependency%ROWTYPE;
BEGIN
	SELECT x.* INTO d FROM credit.dependency x JOIN credit.source s ON s.source_id = x.source_id
	 WHERE s.name = undepend.source AND x.relation = undepend.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'source "%" does not depend on %', source, relation
			USING ERRCODE = 'undefined_object', HINT = 'View credit.dependencies lists what is declared.';
	END IF;
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = d.relation) THEN
		PERFORM credit.lock_source_table(relation, lock_timeout);
	END IF;
	PERFORM credit.maintain(true);
	DELETE FROM credit.dependency x WHERE x.source_id = d.source_id AND x.relation = d.relation;
	PERFORM credit.maintain(false);
	PERFORM credit.drop_triggers(d.relation);
END
$$;
COMMENT ON FUNCTION credit.undepend(text, regclass, text) IS
'Undoes depend(): from now on, writes to that table do not reach the documents of the view.';
CREATE VIEW credit.dependencies AS
SELECT s.name AS source, d.relation, d.changed_keys,
	   credit.has_triggers(d.relation) AS has_triggers,
	   d.declared_at, d.declared_by
  FROM credit.dependency d
  JOIN credit.source s ON s.source_id = d.source_id;
COMMENT ON VIEW credit.dependencies IS 'Tables that sources which are views depend on, as declared by depend().';
COMMENT ON COLUMN credit.dependencies.source IS 'Name of the source, a view.';
COMMENT ON COLUMN credit.dependencies.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.dependencies.changed_keys IS 'Query over relation changed that returns the keys of the documents.';
COMMENT ON COLUMN credit.dependencies.has_triggers IS 'True: all four triggers are there and enabled.';
COMMENT ON COLUMN credit.dependencies.declared_at IS 'When it was declared.';
COMMENT ON COLUMN credit.dependencies.declared_by IS 'Session user who declared it.';
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
SELECT a.customer, a.segment, a.name, s.name, s.kind, i.key, COALESCE(i.number, i.key),
	   i.document_date, p.due_date, i.currency, i.amount, p.open_amount,
	   as_of - p.due_date,
	   COALESCE(i.is_disputed, false) OR COALESCE(i.disputed_amount, 0) <> 0,
	   /* what is disputed of a part that is retained is disputed of it last */
	   CASE WHEN i.disputed_amount IS NULL THEN CASE WHEN i.is_disputed THEN p.open_amount ELSE 0 END
			WHEN p.is_retention THEN LEAST(GREATEST(i.disputed_amount - (o.open_amount - p.open_amount), 0), p.open_amount)
			ELSE LEAST(i.disputed_amount, p.open_amount) END,
	   p.is_retention, i.origin, s.is_complete
  FROM credit.open_documents_on(as_of) o
  JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key
  JOIN (SELECT x.source_id, x.name, x.kind,
			   as_of >= credit.day_of(x.attached_at) OR r.rule <> 'stated' OR NOT EXISTS
				   (SELECT FROM credit.settlement t
					 WHERE t.source_id = x.source_id AND t.settled_on IS NULL) AS is_complete
		  FROM credit.source x
		  JOIN credit.settlement_rule r ON r.source_id = x.source_id
		OFFSET 0) s ON s.source_id = i.source_id
  JOIN credit.account a ON a.account_id = i.account_id
 CROSS JOIN LATERAL
	   (SELECT CASE s.kind WHEN 'payment' THEN COALESCE(i.posting_date, i.document_date)
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
/*
 * Subject trend: whether and when a value has changed in time.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/trend.c, src/change.c, src/series.c.
 */
CREATE TYPE credit.trend_measures AS (
	n_rows bigint,
	n_days integer,
	n_older integer,
	n_credits bigint,
	n_skipped bigint,
	first_day date,
	last_day date,
	kendall_s bigint,
	kendall_variance float8,
	kendall_z float8,
	kendall_tau float8,
	p_normal float8,
	p_exact float8,
	p float8,
	slope float8,
	direction text);
COMMENT ON TYPE credit.trend_measures IS
'Whether a value rises or falls in time, by ranks. NULL where there is nothing to say: less than 4 days.';
COMMENT ON COLUMN credit.trend_measures.n_rows IS 'Number of rows used.';
COMMENT ON COLUMN credit.trend_measures.n_days IS 'Number of days looked at: rows of one day are merged into their mean by weight.';
COMMENT ON COLUMN credit.trend_measures.n_older IS 'Number of days left out because only the latest 2,000 are looked at.';
COMMENT ON COLUMN credit.trend_measures.n_credits IS 'Number of rows left out because their weight is 0 or negative.';
COMMENT ON COLUMN credit.trend_measures.n_skipped IS 'Number of rows left out because day, value or weight is NULL, infinite or not a number.';
COMMENT ON COLUMN credit.trend_measures.first_day IS 'First day looked at.';
COMMENT ON COLUMN credit.trend_measures.last_day IS 'Last day.';
COMMENT ON COLUMN credit.trend_measures.kendall_s IS 'Mann-Kendall: pairs of days with the later value larger, less pairs with the later value smaller.';
COMMENT ON COLUMN credit.trend_measures.kendall_variance IS 'Variance of this number if there is no trend, with correction for equal values.';
COMMENT ON COLUMN credit.trend_measures.kendall_z IS 'This number less 1 towards 0, by its standard deviation.';
COMMENT ON COLUMN credit.trend_measures.kendall_tau IS 'This number by the number of pairs: from -1 (falls each day) to 1 (rises each day).';
COMMENT ON COLUMN credit.trend_measures.p_normal IS 'Two-sided probability of such a z without a trend.';
COMMENT ON COLUMN credit.trend_measures.p_exact IS 'Two-sided probability counted out over all orders of the values; for up to 10 days.';
COMMENT ON COLUMN credit.trend_measures.p IS 'The exact probability where there is one, else the other.';
COMMENT ON COLUMN credit.trend_measures.slope IS 'By how much the value rises in 30 days: median of the slopes between each two days (Theil-Sen).';
COMMENT ON COLUMN credit.trend_measures.direction IS 'Rising, falling, or none if p is not below 0.05.';
CREATE FUNCTION credit.trend_accum(internal, day date, value float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_accum';
COMMENT ON FUNCTION credit.trend_accum(internal, date, float8) IS 'Part of aggregate robust_trend(): adds a row.';
CREATE FUNCTION credit.trend_accum(internal, day date, value float8, weight numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_accum_weighted';
COMMENT ON FUNCTION credit.trend_accum(internal, date, float8, numeric) IS 'Part of aggregate robust_trend(): adds a row.';
CREATE FUNCTION credit.trend_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_combine';
COMMENT ON FUNCTION credit.trend_combine(internal, internal) IS 'Part of aggregate robust_trend(): adds what another process has added up.';
CREATE FUNCTION credit.trend_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_serialize';
COMMENT ON FUNCTION credit.trend_serialize(internal) IS 'Part of aggregate robust_trend(): its state for another process.';
CREATE FUNCTION credit.trend_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_deserialize';
COMMENT ON FUNCTION credit.trend_deserialize(bytea, internal) IS 'Part of aggregate robust_trend(): the state of another process.';
CREATE FUNCTION credit.trend_final(internal) RETURNS credit.trend_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_final';
COMMENT ON FUNCTION credit.trend_final(internal) IS 'Part of aggregate robust_trend(): the result.';
CREATE AGGREGATE credit.robust_trend(day date, value float8) (
	SFUNC = credit.trend_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.trend_final,
	COMBINEFUNC = credit.trend_combine,
	SERIALFUNC = credit.trend_serialize, DESERIALFUNC = credit.trend_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.robust_trend(date, float8) IS
'Whether a value, such as days late by day of payment, rises or falls in time: test of Mann and Kendall, slope of Theil and Sen. No single value moves it much.';
CREATE AGGREGATE credit.robust_trend(day date, value float8, weight numeric) (
	SFUNC = credit.trend_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.trend_final,
	COMBINEFUNC = credit.trend_combine,
	SERIALFUNC = credit.trend_serialize, DESERIALFUNC = credit.trend_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.robust_trend(date, float8, numeric) IS
'The same; values of one day are merged by weight, such as the amount.';
CREATE TYPE credit.change_measures AS (
	n_rows bigint,
	n_days integer,
	n_reference integer,
	n_credits bigint,
	n_skipped bigint,
	first_day date,
	last_day date,
	mean float8,
	sd float8,
	n_rises integer,
	first_rise date,
	first_rise_began date,
	last_rise date,
	last_rise_began date,
	rise_sum float8,
	n_falls integer,
	first_fall date,
	first_fall_began date,
	last_fall date,
	last_fall_began date,
	fall_sum float8);
COMMENT ON TYPE credit.change_measures IS
'When a value has changed its level, by cumulative sums. NULL where there is no baseline or nothing was found.';
COMMENT ON COLUMN credit.change_measures.n_rows IS 'Number of rows used.';
COMMENT ON COLUMN credit.change_measures.n_days IS 'Number of days watched: rows of one day are merged into their mean by weight.';
COMMENT ON COLUMN credit.change_measures.n_reference IS 'Number of days before these, from which the baseline was taken; 0 if it was given.';
COMMENT ON COLUMN credit.change_measures.n_credits IS 'Number of rows left out because their weight is 0 or negative.';
COMMENT ON COLUMN credit.change_measures.n_skipped IS 'Number of rows left out because day, value or weight is NULL, infinite or not a number.';
COMMENT ON COLUMN credit.change_measures.first_day IS 'First day, of reference or watched.';
COMMENT ON COLUMN credit.change_measures.last_day IS 'Last day.';
COMMENT ON COLUMN credit.change_measures.mean IS 'Mean of the baseline; NULL, as all below, if there is none: it is NULL, or the reference has less than 8 days.';
COMMENT ON COLUMN credit.change_measures.sd IS 'Standard deviation of the baseline, at least 1.';
COMMENT ON COLUMN credit.change_measures.n_rises IS 'Number of alarms that the value has risen.';
COMMENT ON COLUMN credit.change_measures.first_rise IS 'Day of the first of them.';
COMMENT ON COLUMN credit.change_measures.first_rise_began IS 'Day on which that rise began: the last one on which its sum was 0.';
COMMENT ON COLUMN credit.change_measures.last_rise IS 'Day of the last of them.';
COMMENT ON COLUMN credit.change_measures.last_rise_began IS 'Day on which that rise began.';
COMMENT ON COLUMN credit.change_measures.rise_sum IS 'Sum of rises on the last day, in standard deviations: how near the next alarm is.';
COMMENT ON COLUMN credit.change_measures.n_falls IS 'Number of alarms that the value has fallen.';
COMMENT ON COLUMN credit.change_measures.first_fall IS 'Day of the first of them.';
COMMENT ON COLUMN credit.change_measures.first_fall_began IS 'Day on which that fall began: the last one on which its sum was 0.';
COMMENT ON COLUMN credit.change_measures.last_fall IS 'Day of the last of them.';
COMMENT ON COLUMN credit.change_measures.last_fall_began IS 'Day on which that fall began.';
COMMENT ON COLUMN credit.change_measures.fall_sum IS 'Sum of falls on the last day, in standard deviations.';
CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, mean float8, sd float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_given';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, float8, float8) IS 'Part of aggregate change_point(): adds a row.';
CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, mean float8, sd float8, slack float8, threshold float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_given_options';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, float8, float8, float8, float8) IS 'Part of aggregate change_point(): adds a row.';
CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_days integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_days';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, integer) IS 'Part of aggregate change_point(): adds a row.';
CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_days integer, slack float8, threshold float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_days_options';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, integer, float8, float8) IS 'Part of aggregate change_point(): adds a row.';
CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_until date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_until';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, date) IS 'Part of aggregate change_point(): adds a row.';
CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_until date, slack float8, threshold float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_until_options';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, date, float8, float8) IS 'Part of aggregate change_point(): adds a row.';
CREATE FUNCTION credit.change_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_combine';
COMMENT ON FUNCTION credit.change_combine(internal, internal) IS 'Part of aggregate change_point(): adds what another process has added up.';
CREATE FUNCTION credit.change_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_serialize';
COMMENT ON FUNCTION credit.change_serialize(internal) IS 'Part of aggregate change_point(): its state for another process.';
CREATE FUNCTION credit.change_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_deserialize';
COMMENT ON FUNCTION credit.change_deserialize(bytea, internal) IS 'Part of aggregate change_point(): the state of another process.';
CREATE FUNCTION credit.change_final(internal) RETURNS credit.change_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_final';
COMMENT ON FUNCTION credit.change_final(internal) IS 'Part of aggregate change_point(): the result.';
CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, mean float8, sd float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, float8, float8) IS
'When a value, such as days late by day of payment, has changed its level against a mean and a standard deviation that are known: alarm, and the day on which the change began. Rows of one day are merged by weight.';
CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, mean float8, sd float8, slack float8, threshold float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, float8, float8, float8, float8) IS
'The same with a slack (default 0.5) that a deviation must exceed to be added, and a threshold (default 5) of the sum, both in standard deviations.';
CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_days integer) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, integer) IS
'The same against the first so many days, at least 8, which are not watched.';
CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_days integer, slack float8, threshold float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, integer, float8, float8) IS
'The same with a slack (default 0.5) that a deviation must exceed to be added, and a threshold (default 5) of the sum, both in standard deviations.';
CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_until date) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, date) IS
'The same against the days until a date, at least 8, which are not watched.';
CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_until date, slack float8, threshold float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, date, float8, float8) IS
'The same with a slack (default 0.5) that a deviation must exceed to be added, and a threshold (default 5) of the sum, both in standard deviations.';
/*
 * Subject balance: how a balance went over time.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/balance.c, src/timeline.c.
 */
CREATE TYPE credit.exposure_measures AS (
	n_events bigint,
	n_before bigint,
	n_after bigint,
	n_skipped bigint,
	days integer,
	opening_balance numeric,
	closing_balance numeric,
	peak_balance numeric,
	peak_date date,
	average_balance numeric,
	days_above_limit integer,
	first_day_above_limit date,
	mean_utilisation float8,
	peak_utilisation float8);
COMMENT ON TYPE credit.exposure_measures IS
'How a balance went in a window of days, from signed dated events. A day counts with the balance at its end. NULL where there is nothing to say: no rows, or an empty window.';
COMMENT ON COLUMN credit.exposure_measures.n_events IS 'Number of events in the window.';
COMMENT ON COLUMN credit.exposure_measures.n_before IS 'Number of events before it: they are part of the opening balance.';
COMMENT ON COLUMN credit.exposure_measures.n_after IS 'Number of events left out because they are on its end or later.';
COMMENT ON COLUMN credit.exposure_measures.n_skipped IS 'Number of rows left out because the day or the amount is NULL or not finite.';
COMMENT ON COLUMN credit.exposure_measures.days IS 'Length of the window: its last day is the one before its end.';
COMMENT ON COLUMN credit.exposure_measures.opening_balance IS 'Balance before the first day of the window: what was given, and the events before.';
COMMENT ON COLUMN credit.exposure_measures.closing_balance IS 'Balance at the end of its last day.';
COMMENT ON COLUMN credit.exposure_measures.peak_balance IS 'Largest balance, of the opening balance and of the ends of days; in event order, of each event.';
COMMENT ON COLUMN credit.exposure_measures.peak_date IS 'First day on which it stood; the first of the window for the opening balance.';
COMMENT ON COLUMN credit.exposure_measures.average_balance IS 'Mean balance of the days, each at its end.';
COMMENT ON COLUMN credit.exposure_measures.days_above_limit IS 'Number of days at whose end the balance was above the credit limit; NULL without a limit.';
COMMENT ON COLUMN credit.exposure_measures.first_day_above_limit IS 'First of these days.';
COMMENT ON COLUMN credit.exposure_measures.mean_utilisation IS 'Mean share of the credit limit that was used, days with a negative balance counted as 0; NULL without a limit above 0.';
COMMENT ON COLUMN credit.exposure_measures.peak_utilisation IS 'Share of the credit limit that the peak used; above 1 it was exceeded.';
CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date) IS 'Part of aggregate exposure_profile(): adds a row.';
CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date, opening numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum_opening';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date, numeric) IS 'Part of aggregate exposure_profile(): adds a row.';
CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum_limit';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date, numeric, numeric) IS 'Part of aggregate exposure_profile(): adds a row.';
CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric, sequence bigint) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum_sequence';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date, numeric, numeric, bigint) IS 'Part of aggregate exposure_profile(): adds a row.';
CREATE FUNCTION credit.balance_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_combine';
COMMENT ON FUNCTION credit.balance_combine(internal, internal) IS 'Part of aggregate exposure_profile(): adds what another process has added up.';
CREATE FUNCTION credit.balance_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_serialize';
COMMENT ON FUNCTION credit.balance_serialize(internal) IS 'Part of aggregate exposure_profile(): its state for another process.';
CREATE FUNCTION credit.balance_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_deserialize';
COMMENT ON FUNCTION credit.balance_deserialize(bytea, internal) IS 'Part of aggregate exposure_profile(): the state of another process.';
CREATE FUNCTION credit.balance_final(internal) RETURNS credit.exposure_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_final';
COMMENT ON FUNCTION credit.balance_final(internal) IS 'Part of aggregate exposure_profile(): the result.';
CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date) IS
'How a balance went from a date up to, and without, another, from signed dated events: peak and its first day, mean by days, closing balance. All events of a day are netted first. Use it per customer and currency.';
CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date, opening numeric) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date, numeric) IS
'The same with a balance that was there before any of the events.';
CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date, numeric, numeric) IS
'The same with a credit limit: days above it, and how much of it was used. NULL: no limit.';
CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric, sequence bigint) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date, numeric, numeric, bigint) IS
'The same for a peak in event order: within a day, events are taken by their number, and what has none comes last; days above the limit and means still count ends of days.';
/*
 * Subject indicator: receivable indicators.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  A ratio of sums is one line of SQL; what has to look
 * at months is C, src/indicator.c and src/capacity.c.
 */

/* A ratio of money, or NULL where there is none: never 0, infinite or NaN instead. */
CREATE FUNCTION credit.ratio(numerator numeric, denominator numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN denominator <> 0 AND pg_catalog.abs(denominator) < 'Infinity' AND pg_catalog.abs(numerator) < 'Infinity'
	THEN (numerator / denominator)::float8 END;
COMMENT ON FUNCTION credit.ratio(numeric, numeric) IS
'Numerator by denominator; NULL where the denominator is 0, or one of both is NULL, NaN or infinite.';
CREATE FUNCTION credit.dso(receivables numeric, sales numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 AND days > 0 THEN credit.ratio(receivables * days, sales) END;
COMMENT ON FUNCTION credit.dso(numeric, numeric, integer) IS
'Days sales outstanding: receivables at the end of a period by its credit sales, times its days. NULL if there are no sales; negative if the receivables are.';
CREATE FUNCTION credit.best_possible_dso(current_receivables numeric, sales numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN credit.dso(current_receivables, sales, days);
COMMENT ON FUNCTION credit.best_possible_dso(numeric, numeric, integer) IS
'Best possible DSO: what DSO would be if nobody were late, from receivables that are not overdue.';
CREATE FUNCTION credit.average_days_delinquent(overdue_receivables numeric, sales numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN credit.dso(overdue_receivables, sales, days);
COMMENT ON FUNCTION credit.average_days_delinquent(numeric, numeric, integer) IS
'Average days delinquent: DSO less the best possible one, so the part that overdue receivables make.';
CREATE FUNCTION credit.cei(begin_receivables numeric, sales numeric, end_receivables numeric, end_current numeric, periods integer DEFAULT 1) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN periods > 0 AND begin_receivables * periods + sales > end_current * periods
	THEN credit.ratio(100 * ((begin_receivables - end_receivables) * periods + sales), (begin_receivables - end_current) * periods + sales) END;
COMMENT ON FUNCTION credit.cei(numeric, numeric, numeric, numeric, integer) IS
'Collection effectiveness index in per cent: what was collected of what could be, from receivables at the beginning, credit sales of so many periods, receivables at the end and those of them that are not overdue. Above 100 with credit balances; NULL if nothing could be collected.';
CREATE FUNCTION credit.receivable_turnover(sales numeric, average_receivables numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN average_receivables > 0 THEN credit.ratio(sales, average_receivables) END;
COMMENT ON FUNCTION credit.receivable_turnover(numeric, numeric) IS
'Times per period that receivables turn over: credit sales by average receivables, such as average_balance of exposure_profile(). High is good, unlike DSO.';
CREATE FUNCTION credit.collection_period(sales numeric, average_receivables numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN average_receivables > 0 AND days > 0 THEN credit.ratio(average_receivables * days, sales) END;
COMMENT ON FUNCTION credit.collection_period(numeric, numeric, integer) IS
'Days that receivables are outstanding on average: days of the period by turnover.';
CREATE FUNCTION credit.bad_debt_ratio(write_offs numeric, recoveries numeric, sales numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 THEN credit.ratio(write_offs - recoveries, sales) END;
COMMENT ON FUNCTION credit.bad_debt_ratio(numeric, numeric, numeric) IS
'Share of credit sales that was lost: write-offs less recoveries of a period by its credit sales, or write-offs of the invoices of a month by its sales. Negative where recoveries are larger.';
CREATE FUNCTION credit.allowance_ratio(loss_allowance numeric, receivables numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN receivables > 0 THEN credit.ratio(loss_allowance, receivables) END;
COMMENT ON FUNCTION credit.allowance_ratio(numeric, numeric) IS
'Share of gross receivables that is written down: loss allowance by receivables.';
CREATE TYPE credit.overdue_measures AS (
	overdue_ratio float8,
	severe_overdue_ratio float8,
	share_1_30 float8,
	share_31_60 float8,
	share_61_90 float8,
	share_91_plus float8);
COMMENT ON TYPE credit.overdue_measures IS
'What part of the open debit items is how late, as shares from 0 to 1. NULL where there are no open debit items.';
COMMENT ON COLUMN credit.overdue_measures.overdue_ratio IS 'Share that is overdue.';
COMMENT ON COLUMN credit.overdue_measures.severe_overdue_ratio IS 'Share that is overdue by more than 90 days.';
COMMENT ON COLUMN credit.overdue_measures.share_1_30 IS 'Share that is 1 to 30 days past due.';
COMMENT ON COLUMN credit.overdue_measures.share_31_60 IS 'Share that is 31 to 60 days past due.';
COMMENT ON COLUMN credit.overdue_measures.share_61_90 IS 'Share that is 61 to 90 days past due.';
COMMENT ON COLUMN credit.overdue_measures.share_91_plus IS 'Share that is more than 90 days past due.';
CREATE FUNCTION credit.overdue_shares(buckets credit.aging_buckets) RETURNS credit.overdue_measures
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ROW(
	credit.ratio((buckets).d1_30 + (buckets).d31_60 + (buckets).d61_90 + (buckets).d91_120 + (buckets).d121_plus, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d91_120 + (buckets).d121_plus, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d1_30, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d31_60, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d61_90, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d91_120 + (buckets).d121_plus, (buckets).total - (buckets).credits))::credit.overdue_measures;
COMMENT ON FUNCTION credit.overdue_shares(credit.aging_buckets) IS
'What part of the open debit items is how late, from a result of aging() with credits in a column of their own, which is its default.';
CREATE FUNCTION credit.overdue_ratio(measures credit.payment_measures) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN credit.ratio((measures).overdue_amount, (measures).open_amount);
COMMENT ON FUNCTION credit.overdue_ratio(credit.payment_measures) IS
'Share of open items that is overdue by more than the grace days, from a result of payment_profile() with an as-of date.';
CREATE FUNCTION credit.working_capital_requirement(inventories numeric, receivables numeric, payables numeric, other_receivables numeric DEFAULT 0, other_payables numeric DEFAULT 0) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN inventories + receivables + other_receivables - payables - other_payables;
COMMENT ON FUNCTION credit.working_capital_requirement(numeric, numeric, numeric, numeric, numeric) IS
'Working-capital requirement: inventories and operating receivables less operating payables, without cash and financial debt. Negative where suppliers pay for it.';
CREATE FUNCTION credit.working_capital_days(requirement numeric, sales numeric, days integer DEFAULT 365) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 AND days > 0 THEN credit.ratio(requirement * days, sales) END;
COMMENT ON FUNCTION credit.working_capital_days(numeric, numeric, integer) IS
'Working-capital requirement in days of sales.';
CREATE FUNCTION credit.cash_conversion_cycle(inventories numeric, receivables numeric, payables numeric, sales numeric, cost_of_sales numeric, days integer DEFAULT 365) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 AND cost_of_sales > 0 AND days > 0
	THEN credit.ratio((inventories - payables) * days, cost_of_sales) + credit.ratio(receivables * days, sales) END;
COMMENT ON FUNCTION credit.cash_conversion_cycle(numeric, numeric, numeric, numeric, numeric, integer) IS
'Cash conversion cycle in days: days inventory outstanding and days sales outstanding less days payables outstanding.';
CREATE FUNCTION credit.payment_to_order_ratio(paid numeric, ordered numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ordered > 0 THEN credit.ratio(paid, ordered) END;
COMMENT ON FUNCTION credit.payment_to_order_ratio(numeric, numeric) IS
'What a customer pays by what he orders. Take what was paid of items that fell due in a window, and what fell due: cash by orders of the same window looks worse the faster a customer grows.';
CREATE TYPE credit.demand_measures AS (
	rate_ratio float8,
	p float8);
COMMENT ON TYPE credit.demand_measures IS
'Whether a customer asks for more than before, from counts of quotations, enquiries or the like. NULL below 5 events.';
COMMENT ON COLUMN credit.demand_measures.rate_ratio IS 'Events a day in the recent days by events a day before; NULL if there were none before.';
COMMENT ON COLUMN credit.demand_measures.p IS 'One-sided probability of so many recent events, or more, at an unchanged rate.';
CREATE FUNCTION credit.demand_p(n_recent bigint, days_recent integer, n_before bigint, days_before integer) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_demand_p';
COMMENT ON FUNCTION credit.demand_p(bigint, integer, bigint, integer) IS
'Part of demand_signal(): probability that so many of all events, or more, fall into the recent days if the rate has not changed (binomial).';
CREATE FUNCTION credit.demand_signal(n_recent bigint, days_recent integer, n_before bigint, days_before integer) RETURNS credit.demand_measures
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE WHEN e.is_enough THEN credit.ratio(n_recent::numeric * days_before, n_before::numeric * days_recent) END,
		   CASE WHEN e.is_enough THEN credit.demand_p(n_recent, days_recent, n_before, days_before) END
	  FROM (SELECT n_recent >= 0 AND n_before >= 0 AND days_recent > 0 AND days_before > 0
				   AND n_recent::numeric + n_before >= 5 AS is_enough) e;
END;
COMMENT ON FUNCTION credit.demand_signal(bigint, integer, bigint, integer) IS
'Whether a customer asks for more than before: events in the recent days against events in the days before them.';
CREATE FUNCTION credit.funds_segment(payment_index float8, capability float8, high_index float8 DEFAULT 75, high_capability float8 DEFAULT 0.9) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN payment_index IS NULL OR capability IS NULL OR high_index IS NULL OR high_capability IS NULL
		OR 'NaN' IN (payment_index, capability, high_index, high_capability) THEN 'unrated'
	WHEN payment_index >= high_index AND capability >= high_capability THEN 'extend'
	WHEN payment_index >= high_index THEN 'instalments'
	WHEN capability >= high_capability THEN 'shorten'
	ELSE 'secure' END;
COMMENT ON FUNCTION credit.funds_segment(float8, float8, float8, float8) IS
'Funds-profile segment by willingness (payment_index of payment_profile) and capability (payment_to_order_ratio): extend terms; willing but short of money, instalments; able but unwilling, shorten terms and dun; neither, secure by prepayment or guarantee. Unrated where one is missing.';
CREATE TYPE credit.peer_measures AS (
	n_peers integer,
	median float8,
	ratio float8,
	difference float8,
	percentile float8);
COMMENT ON TYPE credit.peer_measures IS
'A figure of a customer, such as days beyond terms, beside those of his industry.';
COMMENT ON COLUMN credit.peer_measures.n_peers IS 'Number of peers with a figure.';
COMMENT ON COLUMN credit.peer_measures.median IS 'Median of the peers.';
COMMENT ON COLUMN credit.peer_measures.ratio IS 'Figure by median; NULL if the median is 0: take the difference then.';
COMMENT ON COLUMN credit.peer_measures.difference IS 'Figure less median.';
COMMENT ON COLUMN credit.peer_measures.percentile IS 'Share of peers below, and half of the share of equal ones, from 0 to 1.';
CREATE FUNCTION credit.peer_comparison(value float8, peers float8[]) RETURNS credit.peer_measures
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.n::integer, m.median,
		   CASE WHEN m.median <> 0 THEN m.value / m.median END, m.value - m.median,
		   CASE WHEN m.n > 0 AND m.value IS NOT NULL THEN (m.below + 0.5 * m.same) / m.n END
	  FROM (SELECT pg_catalog.count(p.peer) AS n, v.value,
				   pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY p.peer) AS median,
				   pg_catalog.count(*) FILTER (WHERE p.peer < v.value)::float8 AS below,
				   pg_catalog.count(*) FILTER (WHERE p.peer = v.value)::float8 AS same
			  FROM (SELECT CASE WHEN pg_catalog.abs(peer_comparison.value) < 'Infinity' THEN peer_comparison.value END AS value) v
			  LEFT JOIN pg_catalog.unnest(peer_comparison.peers) p (peer) ON pg_catalog.abs(p.peer) < 'Infinity'
			 GROUP BY v.value) m;
END;
COMMENT ON FUNCTION credit.peer_comparison(float8, float8[]) IS
'A figure of a customer, such as days beyond terms, beside those of his industry: ratio to the median, difference, percentile. NULL and what is no finite number is left out.';
CREATE FUNCTION credit.indicator_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_indicator_combine';
COMMENT ON FUNCTION credit.indicator_combine(internal, internal) IS 'Part of aggregates countback_dso(), true_dso(), payment_capacity() and partial_payment(): adds what another process has added up.';
CREATE FUNCTION credit.indicator_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_indicator_serialize';
COMMENT ON FUNCTION credit.indicator_serialize(internal) IS 'Part of aggregates countback_dso(), true_dso(), payment_capacity() and partial_payment(): its state for another process.';
CREATE FUNCTION credit.indicator_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_indicator_deserialize';
COMMENT ON FUNCTION credit.indicator_deserialize(bytea, internal) IS 'Part of aggregates countback_dso(), true_dso(), payment_capacity() and partial_payment(): the state of another process.';
CREATE TYPE credit.countback_measures AS (
	dso float8,
	lower_bound float8,
	n_months integer,
	uncovered numeric,
	n_future bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.countback_measures IS
'How far back sales reach that receivables are made of.';
COMMENT ON COLUMN credit.countback_measures.dso IS 'Days sales outstanding by count-back; NULL if the history of sales ends before the receivables are covered. 0 if there are no receivables.';
COMMENT ON COLUMN credit.countback_measures.lower_bound IS 'Days that were counted: dso, or what it is at least.';
COMMENT ON COLUMN credit.countback_measures.n_months IS 'Number of months whose sales the receivables cover, wholly or in part.';
COMMENT ON COLUMN credit.countback_measures.uncovered IS 'Receivables that no sales were found for.';
COMMENT ON COLUMN credit.countback_measures.n_future IS 'Number of rows left out because they are dated after the as-of date.';
COMMENT ON COLUMN credit.countback_measures.n_skipped IS 'Number of rows left out because the day or the amount is NULL or not finite.';
CREATE FUNCTION credit.countback_accum(internal, day date, sales numeric, receivables numeric, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_countback_accum';
COMMENT ON FUNCTION credit.countback_accum(internal, date, numeric, numeric, date) IS 'Part of aggregate countback_dso(): adds a row.';
CREATE FUNCTION credit.countback_accum(internal, day date, sales numeric, receivables numeric, as_of date, month_days integer, stop boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_countback_accum_options';
COMMENT ON FUNCTION credit.countback_accum(internal, date, numeric, numeric, date, integer, boolean) IS 'Part of aggregate countback_dso(): adds a row.';
CREATE FUNCTION credit.countback_final(internal) RETURNS credit.countback_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_countback_final';
COMMENT ON FUNCTION credit.countback_final(internal) IS 'Part of aggregate countback_dso(): the result.';
CREATE AGGREGATE credit.countback_dso(day date, sales numeric, receivables numeric, as_of date) (
	SFUNC = credit.countback_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.countback_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.countback_dso(date, numeric, numeric, date) IS
'Days sales outstanding by count-back (exhaustion): from the as-of date back, month by month, until sales have used up the receivables, which seasonal sales do not distort. Rows are invoices less credit notes, or sums of months; the month of the as-of date counts the days it has had.';
CREATE AGGREGATE credit.countback_dso(day date, sales numeric, receivables numeric, as_of date, month_days integer, stop boolean) (
	SFUNC = credit.countback_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.countback_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.countback_dso(date, numeric, numeric, date, integer, boolean) IS
'The same with months of so many days (NULL: the calendar), and whether to stop at the first month without positive sales instead of passing over it.';
CREATE TYPE credit.true_dso_measures AS (
	dso float8,
	n_open bigint,
	open_amount numeric,
	n_unmatched bigint,
	unmatched_amount numeric,
	n_credits bigint,
	n_future bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.true_dso_measures IS
'Days sales outstanding by the age of each open invoice.';
COMMENT ON COLUMN credit.true_dso_measures.dso IS 'Sum of age in days times open amount, by the credit sales of the month of the invoice. 0 if nothing is open; NULL if no open invoice is from a month with sales.';
COMMENT ON COLUMN credit.true_dso_measures.n_open IS 'Number of open invoices.';
COMMENT ON COLUMN credit.true_dso_measures.open_amount IS 'Sum of what is open of them.';
COMMENT ON COLUMN credit.true_dso_measures.n_unmatched IS 'Number of open invoices left out because their month has no positive sales.';
COMMENT ON COLUMN credit.true_dso_measures.unmatched_amount IS 'Sum of what is open of these.';
COMMENT ON COLUMN credit.true_dso_measures.n_credits IS 'Number of rows whose open amount was left out because it is negative.';
COMMENT ON COLUMN credit.true_dso_measures.n_future IS 'Number of rows left out because they are dated after the as-of date.';
COMMENT ON COLUMN credit.true_dso_measures.n_skipped IS 'Number of rows left out because the date is NULL or not finite, both amounts are NULL, or one is not finite.';
CREATE FUNCTION credit.true_dso_accum(internal, document_date date, sales numeric, open_amount numeric, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_true_dso_accum';
COMMENT ON FUNCTION credit.true_dso_accum(internal, date, numeric, numeric, date) IS 'Part of aggregate true_dso(): adds a row.';
CREATE FUNCTION credit.true_dso_final(internal) RETURNS credit.true_dso_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_true_dso_final';
COMMENT ON FUNCTION credit.true_dso_final(internal) IS 'Part of aggregate true_dso(): the result.';
CREATE AGGREGATE credit.true_dso(document_date date, sales numeric, open_amount numeric, as_of date) (
	SFUNC = credit.true_dso_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.true_dso_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.true_dso(date, numeric, numeric, date) IS
'Days sales outstanding by age: one row per invoice with its amount and what is still open of it. Open invoices and sales may come in rows of their own, with NULL or 0 for the other.';
CREATE TYPE credit.capacity_measures AS (
	capacity numeric,
	total_amount numeric,
	n_months integer,
	first_month date,
	last_month date,
	n_payments bigint,
	n_outside bigint,
	n_future bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.capacity_measures IS
'What a customer has been able to pay a month.';
COMMENT ON COLUMN credit.capacity_measures.capacity IS 'Median of the monthly totals of payments; months without a payment count as 0, unless they are before the first payment of all.';
COMMENT ON COLUMN credit.capacity_measures.total_amount IS 'Sum of payments in these months.';
COMMENT ON COLUMN credit.capacity_measures.n_months IS 'Number of months: below 3 they say little.';
COMMENT ON COLUMN credit.capacity_measures.first_month IS 'First day of the first of these months.';
COMMENT ON COLUMN credit.capacity_measures.last_month IS 'First day of the last of them: the last month that is over on the as-of date.';
COMMENT ON COLUMN credit.capacity_measures.n_payments IS 'Number of payments in these months.';
COMMENT ON COLUMN credit.capacity_measures.n_outside IS 'Number of payments left out because they are older, or of the month that is not over.';
COMMENT ON COLUMN credit.capacity_measures.n_future IS 'Number of payments left out because they are dated after the as-of date.';
COMMENT ON COLUMN credit.capacity_measures.n_skipped IS 'Number of rows left out because the day or the amount is NULL or not finite.';
CREATE FUNCTION credit.capacity_accum(internal, paid_date date, amount numeric, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_capacity_accum';
COMMENT ON FUNCTION credit.capacity_accum(internal, date, numeric, date) IS 'Part of aggregate payment_capacity(): adds a row.';
CREATE FUNCTION credit.capacity_accum(internal, paid_date date, amount numeric, as_of date, months integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_capacity_accum_months';
COMMENT ON FUNCTION credit.capacity_accum(internal, date, numeric, date, integer) IS 'Part of aggregate payment_capacity(): adds a row.';
CREATE FUNCTION credit.capacity_final(internal) RETURNS credit.capacity_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_capacity_final';
COMMENT ON FUNCTION credit.capacity_final(internal) IS 'Part of aggregate payment_capacity(): the result.';
CREATE AGGREGATE credit.payment_capacity(paid_date date, amount numeric, as_of date) (
	SFUNC = credit.capacity_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.capacity_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_capacity(date, numeric, date) IS
'Sustained capacity to pay: median of the totals of the last 6 months that are over on the as-of date. A returned payment is a negative amount.';
CREATE AGGREGATE credit.payment_capacity(paid_date date, amount numeric, as_of date, months integer) (
	SFUNC = credit.capacity_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.capacity_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_capacity(date, numeric, date, integer) IS
'The same over another number of months, 1 to 120.';
CREATE TYPE credit.partial_measures AS (
	n_paid bigint,
	n_partial bigint,
	n_unpaid bigint,
	n_credits bigint,
	n_skipped bigint,
	partial_ratio float8,
	residue_amount numeric,
	invoiced_amount numeric,
	residue_ratio float8);
COMMENT ON TYPE credit.partial_measures IS
'How often invoices are first paid short.';
COMMENT ON COLUMN credit.partial_measures.n_paid IS 'Number of invoices with a payment.';
COMMENT ON COLUMN credit.partial_measures.n_partial IS 'Number of these whose first payment left more than the tolerance.';
COMMENT ON COLUMN credit.partial_measures.n_unpaid IS 'Number of invoices left out because they have no first payment, or one that is not positive.';
COMMENT ON COLUMN credit.partial_measures.n_credits IS 'Number of rows left out because the amount is 0 or negative.';
COMMENT ON COLUMN credit.partial_measures.n_skipped IS 'Number of rows left out because the amount or the tolerance is NULL, or something is not finite.';
COMMENT ON COLUMN credit.partial_measures.partial_ratio IS 'Share (0 to 1) of invoices that were first paid short, among those with a payment.';
COMMENT ON COLUMN credit.partial_measures.residue_amount IS 'What the first payments left of the invoices that were first paid short.';
COMMENT ON COLUMN credit.partial_measures.invoiced_amount IS 'Amount of these invoices.';
COMMENT ON COLUMN credit.partial_measures.residue_ratio IS 'Residue by amount.';
CREATE FUNCTION credit.partial_accum(internal, amount numeric, first_payment numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_partial_accum';
COMMENT ON FUNCTION credit.partial_accum(internal, numeric, numeric) IS 'Part of aggregate partial_payment(): adds a row.';
CREATE FUNCTION credit.partial_accum(internal, amount numeric, first_payment numeric, tolerance numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_partial_accum_tolerance';
COMMENT ON FUNCTION credit.partial_accum(internal, numeric, numeric, numeric) IS 'Part of aggregate partial_payment(): adds a row.';
CREATE FUNCTION credit.partial_final(internal) RETURNS credit.partial_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_partial_final';
COMMENT ON FUNCTION credit.partial_final(internal) IS 'Part of aggregate partial_payment(): the result.';
CREATE AGGREGATE credit.partial_payment(amount numeric, first_payment numeric) (
	SFUNC = credit.partial_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.partial_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.partial_payment(numeric, numeric) IS
'Partial-payment ratio: one row per invoice with its amount and its first payment, discount within terms included. What the first payment leaves up to 1 % of the invoice, or up to 0.01, is nothing.';
CREATE AGGREGATE credit.partial_payment(amount numeric, first_payment numeric, tolerance numeric) (
	SFUNC = credit.partial_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.partial_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.partial_payment(numeric, numeric, numeric) IS
'The same with a tolerance for each invoice.';
/*
 * Subject state: payment profiles and agings that are stored, added and
 * subtracted.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/state.c, src/state_payment.c, src/state_aging.c.
 */
CREATE TYPE credit.payment_state;
CREATE FUNCTION credit.payment_state_in(cstring) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_in';
COMMENT ON FUNCTION credit.payment_state_in(cstring) IS 'Part of type payment_state: reads its text, and refuses what is not one.';
CREATE FUNCTION credit.payment_state_out(credit.payment_state) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_out';
COMMENT ON FUNCTION credit.payment_state_out(credit.payment_state) IS 'Part of type payment_state: its text, which is its bytes in hexadecimal.';
CREATE FUNCTION credit.payment_state_receive(internal) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_receive';
COMMENT ON FUNCTION credit.payment_state_receive(internal) IS 'Part of type payment_state: reads its bytes, and refuses what is not one.';
CREATE FUNCTION credit.payment_state_send(credit.payment_state) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_send';
COMMENT ON FUNCTION credit.payment_state_send(credit.payment_state) IS 'Part of type payment_state: its bytes.';
CREATE TYPE credit.payment_state (
	INPUT = credit.payment_state_in, OUTPUT = credit.payment_state_out,
	RECEIVE = credit.payment_state_receive, SEND = credit.payment_state_send,
	INTERNALLENGTH = VARIABLE, STORAGE = extended);
COMMENT ON TYPE credit.payment_state IS
'What a payment profile is made of, in a form that is stored, added and subtracted: counts and sums by day. payment_measures() reads it.';
CREATE CAST (credit.payment_state AS bytea) WITHOUT FUNCTION;
COMMENT ON CAST (credit.payment_state AS bytea) IS 'Its bytes: equal states are equal bytes.';
CREATE FUNCTION credit.payment_state_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_accum';
COMMENT ON FUNCTION credit.payment_state_accum(internal, numeric, date, date, date) IS 'Part of aggregate payment_state(): adds a row.';
CREATE FUNCTION credit.payment_state_remove(internal, amount numeric, invoice_date date, due_date date, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_remove';
COMMENT ON FUNCTION credit.payment_state_remove(internal, numeric, date, date, date) IS 'Part of aggregate payment_state(): takes a row out of a moving window.';
CREATE FUNCTION credit.payment_state_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_accum';
COMMENT ON FUNCTION credit.payment_state_accum(internal, numeric, date, date, date, date) IS 'Part of aggregate payment_state(): adds a row.';
CREATE FUNCTION credit.payment_state_remove(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_remove';
COMMENT ON FUNCTION credit.payment_state_remove(internal, numeric, date, date, date, date) IS 'Part of aggregate payment_state(): takes a row out of a moving window.';
CREATE FUNCTION credit.payment_state_merge(internal, state credit.payment_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_merge';
COMMENT ON FUNCTION credit.payment_state_merge(internal, credit.payment_state) IS 'Part of aggregate merge(): adds a state.';
CREATE FUNCTION credit.payment_state_unmerge(internal, state credit.payment_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_unmerge';
COMMENT ON FUNCTION credit.payment_state_unmerge(internal, credit.payment_state) IS 'Part of aggregate merge(): takes a state out of a moving window.';
CREATE FUNCTION credit.payment_state_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_combine';
COMMENT ON FUNCTION credit.payment_state_combine(internal, internal) IS 'Part of aggregates payment_state() and merge(): adds what another process has counted.';
CREATE FUNCTION credit.payment_state_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_serialize';
COMMENT ON FUNCTION credit.payment_state_serialize(internal) IS 'Part of aggregates payment_state() and merge(): what was counted, for another process.';
CREATE FUNCTION credit.payment_state_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_deserialize';
COMMENT ON FUNCTION credit.payment_state_deserialize(bytea, internal) IS 'Part of aggregates payment_state() and merge(): what another process has counted.';
CREATE FUNCTION credit.payment_state_final(internal) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_final';
COMMENT ON FUNCTION credit.payment_state_final(internal) IS 'Part of aggregates payment_state() and merge(): the state.';
CREATE AGGREGATE credit.payment_state(amount numeric, invoice_date date, due_date date, paid_date date) (
	SFUNC = credit.payment_state_accum, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.payment_state_final,
	COMBINEFUNC = credit.payment_state_combine,
	SERIALFUNC = credit.payment_state_serialize, DESERIALFUNC = credit.payment_state_deserialize,
	MSFUNC = credit.payment_state_accum, MINVFUNC = credit.payment_state_remove,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.payment_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_state(numeric, date, date, date) IS
'The state of payment_profile() over the same rows. Read it with payment_measures(), as of any day on which nothing in it was still to come.';
CREATE AGGREGATE credit.payment_state(amount numeric, invoice_date date, due_date date, paid_date date, as_of date) (
	SFUNC = credit.payment_state_accum, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.payment_state_final,
	COMBINEFUNC = credit.payment_state_combine,
	SERIALFUNC = credit.payment_state_serialize, DESERIALFUNC = credit.payment_state_deserialize,
	MSFUNC = credit.payment_state_accum, MINVFUNC = credit.payment_state_remove,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.payment_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_state(numeric, date, date, date, date) IS
'The same as of a date: what is paid later is open, what is invoiced later is left out. Such a state is read as of that date only.';
CREATE AGGREGATE credit.merge(state credit.payment_state) (
	SFUNC = credit.payment_state_merge, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.payment_state_final,
	COMBINEFUNC = credit.payment_state_combine,
	SERIALFUNC = credit.payment_state_serialize, DESERIALFUNC = credit.payment_state_deserialize,
	MSFUNC = credit.payment_state_merge, MINVFUNC = credit.payment_state_unmerge,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.payment_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.merge(credit.payment_state) IS
'The state of the rows of all states, whatever they were split by.';
CREATE FUNCTION credit.add(credit.payment_state, credit.payment_state) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_add';
COMMENT ON FUNCTION credit.add(credit.payment_state, credit.payment_state) IS 'The state of the rows of both.';
CREATE OPERATOR credit.+ (LEFTARG = credit.payment_state, RIGHTARG = credit.payment_state, FUNCTION = credit.add, COMMUTATOR = OPERATOR(credit.+));
COMMENT ON OPERATOR credit.+ (credit.payment_state, credit.payment_state) IS 'The state of the rows of both: add().';
CREATE FUNCTION credit.subtract(credit.payment_state, credit.payment_state) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_subtract';
COMMENT ON FUNCTION credit.subtract(credit.payment_state, credit.payment_state) IS 'The state of the rows of the first that are not in the second; an error if the second is not part of the first.';
CREATE OPERATOR credit.- (LEFTARG = credit.payment_state, RIGHTARG = credit.payment_state, FUNCTION = credit.subtract);
COMMENT ON OPERATOR credit.- (credit.payment_state, credit.payment_state) IS 'What is left of the first without the second: subtract().';
CREATE FUNCTION credit.payment_measures
	(state credit.payment_state, as_of date DEFAULT NULL,
	 grace_days integer DEFAULT 0, half_life integer DEFAULT 90)
RETURNS credit.payment_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_measures';
COMMENT ON FUNCTION credit.payment_measures(credit.payment_state, date, integer, integer) IS
'What payment_profile() says of the rows of a state, to the last digit: as of a date, with grace days and half-life in days. A NULL state has no rows.';
CREATE TYPE credit.aging_state;
CREATE FUNCTION credit.aging_state_in(cstring) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_in';
COMMENT ON FUNCTION credit.aging_state_in(cstring) IS 'Part of type aging_state: reads its text, and refuses what is not one.';
CREATE FUNCTION credit.aging_state_out(credit.aging_state) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_out';
COMMENT ON FUNCTION credit.aging_state_out(credit.aging_state) IS 'Part of type aging_state: its text, which is its bytes in hexadecimal.';
CREATE FUNCTION credit.aging_state_receive(internal) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_receive';
COMMENT ON FUNCTION credit.aging_state_receive(internal) IS 'Part of type aging_state: reads its bytes, and refuses what is not one.';
CREATE FUNCTION credit.aging_state_send(credit.aging_state) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_send';
COMMENT ON FUNCTION credit.aging_state_send(credit.aging_state) IS 'Part of type aging_state: its bytes.';
CREATE TYPE credit.aging_state (
	INPUT = credit.aging_state_in, OUTPUT = credit.aging_state_out,
	RECEIVE = credit.aging_state_receive, SEND = credit.aging_state_send,
	INTERNALLENGTH = VARIABLE, STORAGE = extended);
COMMENT ON TYPE credit.aging_state IS
'What an aging is made of, for any day: open amounts by due date, debts and credits apart. aging_buckets() reads it.';
CREATE CAST (credit.aging_state AS bytea) WITHOUT FUNCTION;
COMMENT ON CAST (credit.aging_state AS bytea) IS 'Its bytes: equal states are equal bytes.';
CREATE FUNCTION credit.aging_state_accum(internal, open_amount numeric, due_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_accum';
COMMENT ON FUNCTION credit.aging_state_accum(internal, numeric, date) IS 'Part of aggregate aging_state(): adds a row.';
CREATE FUNCTION credit.aging_state_remove(internal, open_amount numeric, due_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_remove';
COMMENT ON FUNCTION credit.aging_state_remove(internal, numeric, date) IS 'Part of aggregate aging_state(): takes a row out of a moving window.';
CREATE FUNCTION credit.aging_state_merge(internal, state credit.aging_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_merge';
COMMENT ON FUNCTION credit.aging_state_merge(internal, credit.aging_state) IS 'Part of aggregate merge(): adds a state.';
CREATE FUNCTION credit.aging_state_unmerge(internal, state credit.aging_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_unmerge';
COMMENT ON FUNCTION credit.aging_state_unmerge(internal, credit.aging_state) IS 'Part of aggregate merge(): takes a state out of a moving window.';
CREATE FUNCTION credit.aging_state_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_combine';
COMMENT ON FUNCTION credit.aging_state_combine(internal, internal) IS 'Part of aggregates aging_state() and merge(): adds what another process has counted.';
CREATE FUNCTION credit.aging_state_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_serialize';
COMMENT ON FUNCTION credit.aging_state_serialize(internal) IS 'Part of aggregates aging_state() and merge(): what was counted, for another process.';
CREATE FUNCTION credit.aging_state_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_deserialize';
COMMENT ON FUNCTION credit.aging_state_deserialize(bytea, internal) IS 'Part of aggregates aging_state() and merge(): what another process has counted.';
CREATE FUNCTION credit.aging_state_final(internal) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_final';
COMMENT ON FUNCTION credit.aging_state_final(internal) IS 'Part of aggregates aging_state() and merge(): the state.';
CREATE AGGREGATE credit.aging_state(open_amount numeric, due_date date) (
	SFUNC = credit.aging_state_accum, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.aging_state_final,
	COMBINEFUNC = credit.aging_state_combine,
	SERIALFUNC = credit.aging_state_serialize, DESERIALFUNC = credit.aging_state_deserialize,
	MSFUNC = credit.aging_state_accum, MINVFUNC = credit.aging_state_remove,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.aging_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging_state(numeric, date) IS
'Open amounts by due date, from which aging_buckets() gives the aging as of any day, with any bounds and credit mode.';
CREATE AGGREGATE credit.merge(state credit.aging_state) (
	SFUNC = credit.aging_state_merge, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.aging_state_final,
	COMBINEFUNC = credit.aging_state_combine,
	SERIALFUNC = credit.aging_state_serialize, DESERIALFUNC = credit.aging_state_deserialize,
	MSFUNC = credit.aging_state_merge, MINVFUNC = credit.aging_state_unmerge,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.aging_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.merge(credit.aging_state) IS
'The state of the rows of all states, whatever they were split by.';
CREATE FUNCTION credit.add(credit.aging_state, credit.aging_state) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_add';
COMMENT ON FUNCTION credit.add(credit.aging_state, credit.aging_state) IS 'The state of the rows of both.';
CREATE OPERATOR credit.+ (LEFTARG = credit.aging_state, RIGHTARG = credit.aging_state, FUNCTION = credit.add, COMMUTATOR = OPERATOR(credit.+));
COMMENT ON OPERATOR credit.+ (credit.aging_state, credit.aging_state) IS 'The state of the rows of both: add().';
CREATE FUNCTION credit.subtract(credit.aging_state, credit.aging_state) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_subtract';
COMMENT ON FUNCTION credit.subtract(credit.aging_state, credit.aging_state) IS 'The state of the rows of the first that are not in the second; an error if the second is not part of the first.';
CREATE OPERATOR credit.- (LEFTARG = credit.aging_state, RIGHTARG = credit.aging_state, FUNCTION = credit.subtract);
COMMENT ON OPERATOR credit.- (credit.aging_state, credit.aging_state) IS 'What is left of the first without the second: subtract().';
CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date) RETURNS credit.aging_buckets
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date) IS
'What aging() says of the rows of a state as of a date. A NULL state has no rows.';
CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, credits text) RETURNS credit.aging_buckets
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, text) IS
'The same with a credit mode: separate, own or oldest, which pays within the state.';
CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, bounds integer[]) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets_bounds';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, integer[]) IS
'The same with buckets of one''s own.';
CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, bounds integer[], credits text) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets_bounds';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, integer[], text) IS
'The same with bounds and credit mode.';
CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, bounds integer[], credits text, basis text) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets_bounds';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, integer[], text, text) IS
'The same with bounds, credit mode and basis: due, or document where the state was made of document dates.';
/*
 * Subject binning: optimal bins of a characteristic by information value.
 *
 * An aggregate over arguments only, and functions that apply what it returns:
 * they read no table of the extension.  src/binning.c counts, binning_cut.c
 * cuts, binning_apply.c applies.
 */
CREATE TYPE credit.bin AS (
	bin integer,
	kind text,
	lower float8,
	upper float8,
	categories text[],
	n float8,
	good float8,
	bad float8,
	bad_rate float8,
	woe float8,
	iv float8);
COMMENT ON TYPE credit.bin IS
'A bin of a characteristic. Counts are of rows, or of weight where there are weights.';
COMMENT ON COLUMN credit.bin.bin IS 'Number of the bin, from 1: ranges or categories first, then special codes, missing values last.';
COMMENT ON COLUMN credit.bin.kind IS 'Word for what is in it: range, categories, special (a special code) or missing (NULL and NaN).';
COMMENT ON COLUMN credit.bin.lower IS 'Lower bound of a range, not in the bin; NULL: none. Of a special code: the code.';
COMMENT ON COLUMN credit.bin.upper IS 'Upper bound of a range, in the bin; NULL: none. Of a special code: the code.';
COMMENT ON COLUMN credit.bin.categories IS 'Categories in the bin, by ascending bad rate. NULL for numbers.';
COMMENT ON COLUMN credit.bin.n IS 'Good and bad ones.';
COMMENT ON COLUMN credit.bin.good IS 'Those that did not default.';
COMMENT ON COLUMN credit.bin.bad IS 'Those that defaulted.';
COMMENT ON COLUMN credit.bin.bad_rate IS 'bad / n. NULL for an empty bin.';
COMMENT ON COLUMN credit.bin.woe IS 'Weight of evidence: ln(((good + a) / all good) / ((bad + a) / all bad)), a the adjustment. Positive: better than average. 0 for an empty bin, and for special codes and missing values below the smallest size of a bin. NULL where a class is empty.';
COMMENT ON COLUMN credit.bin.iv IS 'What the bin adds to the information value: (good / all good - bad / all bad) woe.';
CREATE TYPE credit.binning AS (
	is_categorical boolean,
	trend text,
	adjustment float8,
	n float8,
	good float8,
	bad float8,
	n_regular integer,
	iv float8,
	n_skipped bigint,
	bins credit.bin[]);
COMMENT ON TYPE credit.binning IS
'Bins of a characteristic, as optimal_bins() finds them and bin_of(), woe_of() and scorecards apply them. Can be stored in a column.';
COMMENT ON COLUMN credit.binning.is_categorical IS 'True: values are categories; false: numbers.';
COMMENT ON COLUMN credit.binning.trend IS 'Which way the bad rate goes over the ranges: up, down, peak or valley; none: no rule, or a single bin.';
COMMENT ON COLUMN credit.binning.adjustment IS 'What was added to good and bad of each bin for the weight of evidence.';
COMMENT ON COLUMN credit.binning.n IS 'Rows with an outcome, or their weight, missing values included.';
COMMENT ON COLUMN credit.binning.good IS 'Those that did not default.';
COMMENT ON COLUMN credit.binning.bad IS 'Those that defaulted.';
COMMENT ON COLUMN credit.binning.n_regular IS 'Number of bins that are ranges or categories. 1: the characteristic says nothing.';
COMMENT ON COLUMN credit.binning.iv IS 'Information value: the sum over all bins. Below 0.02 none, to 0.1 weak, to 0.3 medium, to 0.5 strong, above suspect. NULL where a class is empty.';
COMMENT ON COLUMN credit.binning.n_skipped IS 'Number of rows left out: outcome or weight NULL, or weight 0.';
COMMENT ON COLUMN credit.binning.bins IS 'The bins; as a table: credit.bins().';
CREATE TYPE credit.binning_option AS (
	max_prebins integer,
	max_bins integer,
	min_share float8,
	min_size float8,
	min_good float8,
	min_bad float8,
	min_gap float8,
	trend text,
	adjustment float8,
	special_codes text[],
	bounds float8[],
	method text);
COMMENT ON TYPE credit.binning_option IS
'Options of optimal_bins(); made by binning_options(), which has the defaults. NULL: the default.';
COMMENT ON COLUMN credit.binning_option.max_prebins IS 'Most groups of values that bins are made of, 1 to 200.';
COMMENT ON COLUMN credit.binning_option.max_bins IS 'Most bins, 1 to 50, special codes and missing values apart.';
COMMENT ON COLUMN credit.binning_option.min_share IS 'Smallest share of all rows that a bin has, 0 to 1.';
COMMENT ON COLUMN credit.binning_option.min_size IS 'Smallest number of rows that a bin has; the larger of the two counts.';
COMMENT ON COLUMN credit.binning_option.min_good IS 'Smallest number of good ones in a bin.';
COMMENT ON COLUMN credit.binning_option.min_bad IS 'Smallest number of bad ones in a bin.';
COMMENT ON COLUMN credit.binning_option.min_gap IS 'Least difference of the bad rates of neighbours under a trend; 0: they must differ.';
COMMENT ON COLUMN credit.binning_option.trend IS 'Which way the bad rate must go: none, up, down, auto (up or down, the better), peak (up, then down), valley (down, then up). Of numbers only.';
COMMENT ON COLUMN credit.binning_option.adjustment IS 'What is added to good and bad of each bin for the weight of evidence.';
COMMENT ON COLUMN credit.binning_option.special_codes IS 'Values that each have a bin of their own, outside the trend: {-999}.';
COMMENT ON COLUMN credit.binning_option.bounds IS 'Upper bounds of the groups that bins are made of, instead of quantiles. Of numbers only.';
COMMENT ON COLUMN credit.binning_option.method IS 'Word for how groups are joined: optimal (greatest information value), pool (pool adjacent violators of the trend), none (the groups are the bins).';
CREATE FUNCTION credit.binning_options
	(max_prebins integer DEFAULT 50, max_bins integer DEFAULT 6,
	 min_share float8 DEFAULT 0.05, min_size float8 DEFAULT 30,
	 min_good float8 DEFAULT 1, min_bad float8 DEFAULT 1, min_gap float8 DEFAULT 0,
	 trend text DEFAULT 'auto', adjustment float8 DEFAULT 0.5,
	 special_codes text[] DEFAULT NULL, bounds float8[] DEFAULT NULL,
	 method text DEFAULT 'optimal')
RETURNS credit.binning_option
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT ROW(max_prebins, max_bins, min_share, min_size, min_good, min_bad, min_gap,
			   trend, adjustment, special_codes, bounds, method)::credit.binning_option;
END;
COMMENT ON FUNCTION credit.binning_options(integer, integer, float8, float8, float8, float8, float8, text, float8, text[], float8[], text) IS
'Options of optimal_bins(): at most max_bins bins out of at most max_prebins groups of values, each bin with at least min_share of the rows and min_size rows, min_good good and min_bad bad ones, and a bad rate that follows the trend.';
/* --- support functions ------------------------------------------------------ */

CREATE FUNCTION credit.binning_number(internal, float8, boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_number';
COMMENT ON FUNCTION credit.binning_number(internal, float8, boolean) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_number_options(internal, float8, boolean, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_number_options';
COMMENT ON FUNCTION credit.binning_number_options(internal, float8, boolean, credit.binning_option) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_number_weight(internal, float8, boolean, float8, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_number_weight';
COMMENT ON FUNCTION credit.binning_number_weight(internal, float8, boolean, float8, credit.binning_option) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_category(internal, text, boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_category';
COMMENT ON FUNCTION credit.binning_category(internal, text, boolean) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_category_options(internal, text, boolean, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_category_options';
COMMENT ON FUNCTION credit.binning_category_options(internal, text, boolean, credit.binning_option) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_category_weight(internal, text, boolean, float8, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_category_weight';
COMMENT ON FUNCTION credit.binning_category_weight(internal, text, boolean, float8, credit.binning_option) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_combine';
COMMENT ON FUNCTION credit.binning_combine(internal, internal) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'credit_binning_serialize';
COMMENT ON FUNCTION credit.binning_serialize(internal) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'credit_binning_deserialize';
COMMENT ON FUNCTION credit.binning_deserialize(bytea, internal) IS 'Support function of aggregate optimal_bins().';
CREATE FUNCTION credit.binning_final(internal) RETURNS credit.binning
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_final';
COMMENT ON FUNCTION credit.binning_final(internal) IS 'Support function of aggregate optimal_bins().';
/* --- the aggregate ----------------------------------------------------------- */

CREATE AGGREGATE credit.optimal_bins(value float8, is_bad boolean) (
	SFUNC = credit.binning_number, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(float8, boolean) IS
'Bins of numbers with the greatest information value under the constraints, exact; is_bad true: a default. With the default options.';
CREATE AGGREGATE credit.optimal_bins(value float8, is_bad boolean, options credit.binning_option) (
	SFUNC = credit.binning_number_options, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(float8, boolean, credit.binning_option) IS
'Bins of numbers with the greatest information value under the constraints, exact; is_bad true: a default. Options: credit.binning_options().';
CREATE AGGREGATE credit.optimal_bins(value float8, is_bad boolean, weight float8, options credit.binning_option) (
	SFUNC = credit.binning_number_weight, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(float8, boolean, float8, credit.binning_option) IS
'Bins of numbers with the greatest information value under the constraints, exact; is_bad true: a default. A weight of 2 counts as two rows; 0: the row is left out.';
CREATE AGGREGATE credit.optimal_bins(value text, is_bad boolean) (
	SFUNC = credit.binning_category, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(text, boolean) IS
'Bins of categories with the greatest information value under the constraints, exact; is_bad true: a default. With the default options.';
CREATE AGGREGATE credit.optimal_bins(value text, is_bad boolean, options credit.binning_option) (
	SFUNC = credit.binning_category_options, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(text, boolean, credit.binning_option) IS
'Bins of categories with the greatest information value under the constraints, exact; is_bad true: a default. Options: credit.binning_options().';
CREATE AGGREGATE credit.optimal_bins(value text, is_bad boolean, weight float8, options credit.binning_option) (
	SFUNC = credit.binning_category_weight, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(text, boolean, float8, credit.binning_option) IS
'Bins of categories with the greatest information value under the constraints, exact; is_bad true: a default. A weight of 2 counts as two rows; 0: the row is left out.';
/* --- tables and application ---------------------------------------------------- */

CREATE FUNCTION credit.bins(binning credit.binning) RETURNS SETOF credit.bin
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 8
BEGIN ATOMIC
	SELECT b.* FROM pg_catalog.unnest((binning).bins) b;
END;
COMMENT ON FUNCTION credit.bins(credit.binning) IS 'The bins as a table: the WoE and IV table of a characteristic.';
CREATE FUNCTION credit.bin_label(bin credit.bin) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE
		WHEN (bin).kind = 'missing' THEN 'missing'
		WHEN (bin).categories IS NOT NULL THEN pg_catalog.array_to_string((bin).categories, ', ')
		WHEN (bin).kind = 'special' THEN (bin).lower::text
		WHEN (bin).lower IS NULL AND (bin).upper IS NULL THEN 'any'
		WHEN (bin).lower IS NULL THEN 'up to ' || (bin).upper::text
		WHEN (bin).upper IS NULL THEN 'above ' || (bin).lower::text
		ELSE 'above ' || (bin).lower::text || ' up to ' || (bin).upper::text END;
END;
COMMENT ON FUNCTION credit.bin_label(credit.bin) IS 'What is in a bin, in words: above 2 up to 5.';
CREATE FUNCTION credit.bin_of(binning credit.binning, value float8) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_bin_of_number';
COMMENT ON FUNCTION credit.bin_of(credit.binning, float8) IS
'Number of the bin that a number falls into; of NULL and NaN that of the missing values. NULL where there is no such bin.';
CREATE FUNCTION credit.bin_of(binning credit.binning, value text) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_bin_of_category';
COMMENT ON FUNCTION credit.bin_of(credit.binning, text) IS
'Number of the bin that a category falls into; of NULL that of the missing values. NULL for an unknown category.';
CREATE FUNCTION credit.woe_of(binning credit.binning, value float8) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_woe_of_number';
COMMENT ON FUNCTION credit.woe_of(credit.binning, float8) IS
'Weight of evidence of a number, as stored with the bin that it falls into.';
CREATE FUNCTION credit.woe_of(binning credit.binning, value text) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_woe_of_category';
COMMENT ON FUNCTION credit.woe_of(credit.binning, text) IS
'Weight of evidence of a category, as stored with the bin that it falls into; 0 for an unknown one.';
CREATE FUNCTION credit.manual_bins(bounds float8[], woe float8[], missing_woe float8 DEFAULT 0)
RETURNS credit.binning
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n integer := COALESCE(cardinality(bounds), 0) + 1;
BEGIN
	IF COALESCE(cardinality(woe), 0) <> n OR array_position(woe, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'manual bins need one weight of evidence more than bounds'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('There are %s bounds and %s weights of evidence.', n - 1, COALESCE(cardinality(woe), 0));
	END IF;
	RETURN ROW(false, 'none', NULL, NULL, NULL, NULL, n, NULL, NULL,
		(SELECT array_agg(ROW(i, CASE WHEN i <= n THEN 'range' ELSE 'missing' END,
							  bounds[array_lower(bounds, 1) + i - 2],
							  CASE WHEN i < n THEN bounds[array_lower(bounds, 1) + i - 1] END,
							  NULL, NULL, NULL, NULL, NULL,
							  CASE WHEN i <= n THEN woe[array_lower(woe, 1) + i - 1] ELSE COALESCE(missing_woe, 0) END,
							  NULL)::credit.bin ORDER BY i)
		   FROM generate_series(1, n + 1) i))::credit.binning;
END
$$;
COMMENT ON FUNCTION credit.manual_bins(float8[], float8[], float8) IS
'A binning by hand: ascending upper bounds of all bins but the last, the weight of evidence of each bin, and that of missing values.';
CREATE FUNCTION credit.manual_category_bins(categories text[], woe float8[], missing_woe float8 DEFAULT 0)
RETURNS credit.binning
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n integer := COALESCE(cardinality(categories), 0);
BEGIN
	IF COALESCE(cardinality(woe), 0) <> n OR array_position(woe, NULL) IS NOT NULL
	   OR array_position(categories, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'manual bins need a weight of evidence for each category'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('There are %s categories and %s weights of evidence.', n, COALESCE(cardinality(woe), 0));
	END IF;
	RETURN ROW(true, 'none', NULL, NULL, NULL, NULL, n, NULL, NULL,
		(SELECT array_agg(ROW(i, CASE WHEN i <= n THEN 'categories' ELSE 'missing' END, NULL, NULL,
							  CASE WHEN i <= n THEN ARRAY[categories[array_lower(categories, 1) + i - 1]] END,
							  NULL, NULL, NULL, NULL,
							  CASE WHEN i <= n THEN woe[array_lower(woe, 1) + i - 1] ELSE COALESCE(missing_woe, 0) END,
							  NULL)::credit.bin ORDER BY i)
		   FROM generate_series(1, n + 1) i))::credit.binning;
END
$$;
COMMENT ON FUNCTION credit.manual_category_bins(text[], float8[], float8) IS
'The same for categories, each in a bin of its own.';
CREATE FUNCTION credit.woe(good float8[], bad float8[], adjustment float8 DEFAULT 0.5) RETURNS float8[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_woe';
COMMENT ON FUNCTION credit.woe(float8[], float8[], float8) IS
'Weights of evidence of bins that are counted already: ln(((good + a) / all good) / ((bad + a) / all bad)). An element is NULL where it would be infinite.';
CREATE FUNCTION credit.information_value(good float8[], bad float8[], adjustment float8 DEFAULT 0.5) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_information_value';
COMMENT ON FUNCTION credit.information_value(float8[], float8[], float8) IS
'Information value of bins that are counted already. NULL where a class is empty, or a weight of evidence would be infinite.';
/*
 * Subject financials: what is known about a customer from outside the ledger:
 * financial statements, reports of credit bureaus, facts about the company.
 *
 * Each entry says since when it could be known (published_on), and a look at a
 * past day sees no more than that: a model fitted to later knowledge promises
 * what it cannot keep.  Entries are never changed; a newer one of the same
 * period counts instead, and one made by mistake is withdrawn.  Names are those
 * of account, but there need be no account: a prospect is looked at first.
 */

/* Every figure is a number that ratios can be made of; no error in a view. */
CREATE FUNCTION credit.are_figures(figures numeric[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT NOT EXISTS (SELECT FROM unnest(figures) f
				   WHERE NOT (abs(f) < 1e30 AND scale(trim_scale(f)) <= 6))
$$;
COMMENT ON FUNCTION credit.are_figures(numeric[]) IS
'Are all of these NULL or numbers below 1e30 with at most six decimals? What tables of entries hold.';
/* What all kinds of entries need. */
CREATE FUNCTION credit.check_entry
	(entry text, customer text, segment text, published_on date, currency text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF customer IS NULL OR segment IS NULL THEN
		RAISE EXCEPTION '% needs a customer and a segment', entry
			USING ERRCODE = 'null_value_not_allowed',
				  HINT = 'Segment is empty where it is the same for all.';
	END IF;
	IF NOT isfinite(published_on) THEN
		RAISE EXCEPTION '% is published on a day, not %', entry, published_on
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF currency IS NULL OR currency = '' THEN
		RAISE EXCEPTION '% needs a currency', entry
			USING ERRCODE = 'null_value_not_allowed',
				  HINT = 'Give currency, or SELECT credit.set(''currency'', ''EUR'').';
	END IF;
END
$$;
COMMENT ON FUNCTION credit.check_entry(text, text, text, date, text) IS
'Refuses an entry without customer, segment, day of publication or currency.';
/* --- financial statements ----------------------------------------------------- */

CREATE TABLE credit.financials
(
	financials_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	customer	text COLLATE "C" NOT NULL,
	segment		text COLLATE "C" NOT NULL DEFAULT '',
	period_end	date NOT NULL,
	months		integer NOT NULL DEFAULT 12,
	published_on date NOT NULL,
	currency	text COLLATE "C" NOT NULL,
	total_assets numeric,
	current_assets numeric,
	current_liabilities numeric,
	inventories	numeric,
	receivables	numeric,
	other_receivables numeric,
	payables	numeric,
	other_payables numeric,
	cash		numeric,
	equity		numeric,
	intangibles	numeric,
	retained_earnings numeric,
	total_liabilities numeric,
	market_equity numeric,
	loans_to_owners numeric,
	sales		numeric,
	cost_of_sales numeric,
	ebit		numeric,
	interest	numeric,
	net_income	numeric,
	source		text,
	entered_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	entered_by	text NOT NULL DEFAULT SESSION_USER,
	withdrawn_at timestamptz,
	withdrawn_by text,
	withdrawn_reason text,
	CHECK (months BETWEEN 1 AND 24),
	CHECK (isfinite(period_end) AND isfinite(published_on) AND published_on >= period_end),
	CHECK (credit.are_figures(ARRAY[total_assets, current_assets, current_liabilities, inventories,
		receivables, other_receivables, payables, other_payables, cash, equity,
		intangibles, retained_earnings, total_liabilities, market_equity,
		loans_to_owners, sales, cost_of_sales, ebit, interest, net_income]))
);
CREATE INDEX financials_customer ON credit.financials (customer, segment, period_end);
COMMENT ON TABLE credit.financials IS
'Financial statements of customers, append-only: made by enter_financials(), taken back by withdraw_entry(). Amounts in units of currency, not in thousands.';
COMMENT ON COLUMN credit.financials.financials_id IS 'Own key; of two entries of one period with the same date of publication the later counts.';
COMMENT ON COLUMN credit.financials.customer IS 'Key of the customer in the ERP, as in account.';
COMMENT ON COLUMN credit.financials.segment IS 'Segment, as in account; empty: for all that have no entry of their own.';
COMMENT ON COLUMN credit.financials.period_end IS 'Day of the balance sheet, last day of the period.';
COMMENT ON COLUMN credit.financials.months IS 'Length of the period in months; flows are brought to 12.';
COMMENT ON COLUMN credit.financials.published_on IS 'First day on which the statement could be known.';
COMMENT ON COLUMN credit.financials.currency IS 'Currency of all amounts.';
COMMENT ON COLUMN credit.financials.total_assets IS 'Total assets.';
COMMENT ON COLUMN credit.financials.current_assets IS 'Current assets.';
COMMENT ON COLUMN credit.financials.current_liabilities IS 'Current liabilities.';
COMMENT ON COLUMN credit.financials.inventories IS 'Inventories.';
COMMENT ON COLUMN credit.financials.receivables IS 'Trade receivables.';
COMMENT ON COLUMN credit.financials.other_receivables IS 'Other operating receivables.';
COMMENT ON COLUMN credit.financials.payables IS 'Trade payables.';
COMMENT ON COLUMN credit.financials.other_payables IS 'Other operating payables.';
COMMENT ON COLUMN credit.financials.cash IS 'Cash and what is as good as cash.';
COMMENT ON COLUMN credit.financials.equity IS 'Equity in the books.';
COMMENT ON COLUMN credit.financials.intangibles IS 'Intangible assets.';
COMMENT ON COLUMN credit.financials.retained_earnings IS 'Retained earnings.';
COMMENT ON COLUMN credit.financials.total_liabilities IS 'All liabilities: total assets less equity.';
COMMENT ON COLUMN credit.financials.market_equity IS 'Value of all shares at the stock exchange; NULL: not listed.';
COMMENT ON COLUMN credit.financials.loans_to_owners IS 'Loans to owners, among the assets.';
COMMENT ON COLUMN credit.financials.sales IS 'Sales of the period, without tax.';
COMMENT ON COLUMN credit.financials.cost_of_sales IS 'Cost of goods sold in the period.';
COMMENT ON COLUMN credit.financials.ebit IS 'Earnings of the period before interest and taxes.';
COMMENT ON COLUMN credit.financials.interest IS 'Interest paid in the period, as a positive figure.';
COMMENT ON COLUMN credit.financials.net_income IS 'Net income of the period.';
COMMENT ON COLUMN credit.financials.source IS 'Where it comes from.';
COMMENT ON COLUMN credit.financials.entered_at IS 'When it was entered.';
COMMENT ON COLUMN credit.financials.entered_by IS 'Session user who entered it.';
COMMENT ON COLUMN credit.financials.withdrawn_at IS 'When it was taken back; NULL: it counts.';
COMMENT ON COLUMN credit.financials.withdrawn_by IS 'Session user who took it back.';
COMMENT ON COLUMN credit.financials.withdrawn_reason IS 'Why.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.financials
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
/*
 * What does not add up.  Statements are rounded, so sums may differ by one per
 * mille of the total.
 */
CREATE FUNCTION credit.financials_findings
	(total_assets numeric, current_assets numeric, current_liabilities numeric,
	 inventories numeric, receivables numeric, cash numeric, equity numeric,
	 intangibles numeric, total_liabilities numeric, sales numeric,
	 cost_of_sales numeric)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT COALESCE(array_agg(f.finding ORDER BY f.n), '{}')
  FROM (SELECT abs(total_assets) * 0.001 AS tolerance) t,
	LATERAL (VALUES
		(1, equity + total_liabilities - total_assets,
		 format('total_assets %s are not equity %s plus total_liabilities %s: %s apart', total_assets, equity, total_liabilities, equity + total_liabilities - total_assets), true),
		(2, current_assets - total_assets, format('current_assets %s are more than total_assets %s', current_assets, total_assets), false),
		(3, current_liabilities - total_liabilities, format('current_liabilities %s are more than total_liabilities %s', current_liabilities, total_liabilities), false),
		(4, COALESCE(inventories, 0) + COALESCE(receivables, 0) + COALESCE(cash, 0) - current_assets,
		 format('inventories, receivables and cash, together %s, are more than current_assets %s', COALESCE(inventories, 0) + COALESCE(receivables, 0) + COALESCE(cash, 0), current_assets), false),
		(5, intangibles - (total_assets - COALESCE(current_assets, 0)),
		 format('intangibles %s are more than the assets that are not current, %s', intangibles, total_assets - COALESCE(current_assets, 0)), false),
		(6, -sales, format('sales %s are negative', sales), false),
		(7, -cost_of_sales, format('cost_of_sales %s are negative', cost_of_sales), false)
	) f (n, excess, finding, both_ways)
 WHERE CASE WHEN f.both_ways THEN abs(f.excess) ELSE f.excess END > COALESCE(t.tolerance, 0)
$$;
COMMENT ON FUNCTION credit.financials_findings(numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric) IS
'What does not add up in a financial statement, one sentence each; differences up to one per mille of total assets are rounding. Figures that are NULL are not judged.';
CREATE FUNCTION credit.enter_financials
	(customer text, period_end date, currency text DEFAULT NULL,
	 published_on date DEFAULT NULL, months integer DEFAULT 12,
	 segment text DEFAULT '',
	 total_assets numeric DEFAULT NULL, current_assets numeric DEFAULT NULL,
	 current_liabilities numeric DEFAULT NULL, inventories numeric DEFAULT NULL,
	 receivables numeric DEFAULT NULL, other_receivables numeric DEFAULT NULL,
	 payables numeric DEFAULT NULL, other_payables numeric DEFAULT NULL,
	 cash numeric DEFAULT NULL, equity numeric DEFAULT NULL,
	 intangibles numeric DEFAULT NULL, retained_earnings numeric DEFAULT NULL,
	 total_liabilities numeric DEFAULT NULL, market_equity numeric DEFAULT NULL,
	 loans_to_owners numeric DEFAULT NULL, sales numeric DEFAULT NULL,
	 cost_of_sales numeric DEFAULT NULL, ebit numeric DEFAULT NULL,
	 interest numeric DEFAULT NULL, net_income numeric DEFAULT NULL,
	 source text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	published date := COALESCE(published_on, credit.today());
	unit text := COALESCE(currency, (SELECT NULLIF(s.value, '') FROM credit.settings s WHERE s.name = 'currency'));
	figures numeric[] := ARRAY[total_assets, current_assets, current_liabilities, inventories,
		receivables, other_receivables, payables, other_payables, cash, equity,
		intangibles, retained_earnings, total_liabilities, market_equity,
		loans_to_owners, sales, cost_of_sales, ebit, interest, net_income];
	finding text;
	id bigint;
BEGIN
	PERFORM credit.check_entry('a financial statement', customer, segment, published, unit);
	IF period_end IS NULL OR NOT isfinite(period_end) THEN
		RAISE EXCEPTION 'a financial statement needs the day of its balance sheet'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Give period_end.';
	END IF;
	IF published < period_end THEN
		RAISE EXCEPTION 'a financial statement cannot be published on %, before its period ends on %', published, period_end
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'published_on is the first day on which it could be known; today where it is not given.';
	END IF;
	IF months IS NULL OR months NOT BETWEEN 1 AND 24 THEN
		RAISE EXCEPTION 'the period of a financial statement has 1 to 24 months, not %', COALESCE(months::text, 'NULL')
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF num_nonnulls(VARIADIC figures) = 0 THEN
		RAISE EXCEPTION 'a financial statement without any figure says nothing'
			USING ERRCODE = 'null_value_not_allowed',
				  HINT = 'Give figures by name: total_assets => 1100.';
	END IF;
	IF NOT credit.are_figures(figures) THEN
		RAISE EXCEPTION 'figures must be numbers below 1e30 with at most six decimals'
			USING ERRCODE = 'numeric_value_out_of_range';
	END IF;
	IF least(total_assets, current_assets, current_liabilities, inventories, cash,
			 total_liabilities, market_equity, loans_to_owners, interest) < 0 THEN
		RAISE EXCEPTION 'total_assets, current_assets, current_liabilities, inventories, cash, total_liabilities, market_equity, loans_to_owners and interest cannot be negative'
			USING ERRCODE = 'numeric_value_out_of_range',
				  HINT = 'Liabilities and interest paid are entered as positive figures, an overdraft among the liabilities.';
	END IF;
	FOREACH finding IN ARRAY credit.financials_findings(total_assets, current_assets,
			current_liabilities, inventories, receivables, cash, equity, intangibles,
			total_liabilities, sales, cost_of_sales) LOOP
		RAISE WARNING 'financial statement of customer % for %: %', customer, period_end, finding
			USING HINT = 'If it is not so in the statement itself, enter it again: the newer entry counts.';
	END LOOP;
	INSERT INTO credit.financials
		(customer, segment, period_end, months, published_on, currency,
		total_assets, current_assets, current_liabilities, inventories,
		receivables, other_receivables, payables, other_payables, cash, equity,
		intangibles, retained_earnings, total_liabilities, market_equity,
		loans_to_owners, sales, cost_of_sales, ebit, interest, net_income, source)
	VALUES
		(customer, segment, period_end, months, published, unit,
		total_assets, current_assets, current_liabilities, inventories,
		receivables, other_receivables, payables, other_payables, cash, equity,
		intangibles, retained_earnings, total_liabilities, market_equity,
		loans_to_owners, sales, cost_of_sales, ebit, interest, net_income, source)
	RETURNING financials_id INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.enter_financials(text, date, text, date, integer, text, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, numeric, text) IS
'Enters a financial statement, figures by name, and returns its number. currency NULL: setting currency; published_on NULL: today. What does not add up is warned about, not refused. Entered again for the same period, the newer entry counts. Example: SELECT credit.enter_financials(''103'', ''2025-12-31'', ''EUR'', total_assets => 1100, equity => 500, total_liabilities => 600).';
CREATE VIEW credit.financial_statement AS
SELECT f.financials_id, f.customer, f.segment, f.period_end, f.months, f.published_on, f.currency,
	   f.total_assets, f.current_assets, f.current_liabilities, f.inventories,
	   f.receivables, f.other_receivables, f.payables, f.other_payables, f.cash,
	   f.equity, f.intangibles, f.retained_earnings, f.total_liabilities,
	   f.market_equity, f.loans_to_owners, f.sales, f.cost_of_sales, f.ebit,
	   f.interest, f.net_income,
	   credit.financials_findings(f.total_assets, f.current_assets, f.current_liabilities,
			f.inventories, f.receivables, f.cash, f.equity, f.intangibles,
			f.total_liabilities, f.sales, f.cost_of_sales) AS findings,
	   f.source, f.entered_at, f.entered_by, f.withdrawn_at, f.withdrawn_by, f.withdrawn_reason
  FROM credit.financials f;
COMMENT ON VIEW credit.financial_statement IS
'All financial statements that were entered, withdrawn ones included, with what does not add up in them.';
COMMENT ON COLUMN credit.financial_statement.financials_id IS 'Number of the entry, for withdraw_entry().';
COMMENT ON COLUMN credit.financial_statement.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.financial_statement.segment IS 'Company, division or the like; empty: all.';
COMMENT ON COLUMN credit.financial_statement.period_end IS 'Day of the balance sheet.';
COMMENT ON COLUMN credit.financial_statement.months IS 'Length of the period in months.';
COMMENT ON COLUMN credit.financial_statement.published_on IS 'First day on which it could be known.';
COMMENT ON COLUMN credit.financial_statement.currency IS 'Currency of all amounts.';
COMMENT ON COLUMN credit.financial_statement.total_assets IS 'Total assets.';
COMMENT ON COLUMN credit.financial_statement.current_assets IS 'Current assets.';
COMMENT ON COLUMN credit.financial_statement.current_liabilities IS 'Current liabilities.';
COMMENT ON COLUMN credit.financial_statement.inventories IS 'Inventories.';
COMMENT ON COLUMN credit.financial_statement.receivables IS 'Trade receivables.';
COMMENT ON COLUMN credit.financial_statement.other_receivables IS 'Other operating receivables.';
COMMENT ON COLUMN credit.financial_statement.payables IS 'Trade payables.';
COMMENT ON COLUMN credit.financial_statement.other_payables IS 'Other operating payables.';
COMMENT ON COLUMN credit.financial_statement.cash IS 'Cash and what is as good as cash.';
COMMENT ON COLUMN credit.financial_statement.equity IS 'Equity in the books.';
COMMENT ON COLUMN credit.financial_statement.intangibles IS 'Intangible assets.';
COMMENT ON COLUMN credit.financial_statement.retained_earnings IS 'Retained earnings.';
COMMENT ON COLUMN credit.financial_statement.total_liabilities IS 'All liabilities: total assets less equity.';
COMMENT ON COLUMN credit.financial_statement.market_equity IS 'Value of all shares at the stock exchange; NULL: not listed.';
COMMENT ON COLUMN credit.financial_statement.loans_to_owners IS 'Loans to owners, among the assets.';
COMMENT ON COLUMN credit.financial_statement.sales IS 'Sales of the period, without tax.';
COMMENT ON COLUMN credit.financial_statement.cost_of_sales IS 'Cost of goods sold in the period.';
COMMENT ON COLUMN credit.financial_statement.ebit IS 'Earnings of the period before interest and taxes.';
COMMENT ON COLUMN credit.financial_statement.interest IS 'Interest paid in the period, as a positive figure.';
COMMENT ON COLUMN credit.financial_statement.net_income IS 'Net income of the period.';
COMMENT ON COLUMN credit.financial_statement.findings IS 'What does not add up, one sentence each.';
COMMENT ON COLUMN credit.financial_statement.source IS 'Where it comes from.';
COMMENT ON COLUMN credit.financial_statement.entered_at IS 'When it was entered.';
COMMENT ON COLUMN credit.financial_statement.entered_by IS 'Session user who entered it.';
COMMENT ON COLUMN credit.financial_statement.withdrawn_at IS 'When it was taken back; NULL: it counts.';
COMMENT ON COLUMN credit.financial_statement.withdrawn_by IS 'Session user who took it back.';
COMMENT ON COLUMN credit.financial_statement.withdrawn_reason IS 'Why.';
/* --- ratios -------------------------------------------------------------------- */

CREATE FUNCTION credit.altman_z(x1 float8, x2 float8, x3 float8, x4 float8, x5 float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULLIF(1.2::float8 * x1 + 1.4::float8 * x2 + 3.3::float8 * x3 + 0.6::float8 * x4 + 0.999::float8 * x5, 'NaN');
COMMENT ON FUNCTION credit.altman_z(float8, float8, float8, float8, float8) IS
'Altman Z of listed companies (1968) from working capital, retained earnings and EBIT, each by total assets, market value of equity by total liabilities, and sales by total assets.';
CREATE FUNCTION credit.altman_z_private(x1 float8, x2 float8, x3 float8, x4 float8, x5 float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULLIF(0.717::float8 * x1 + 0.847::float8 * x2 + 3.107::float8 * x3 + 0.420::float8 * x4 + 0.998::float8 * x5, 'NaN');
COMMENT ON FUNCTION credit.altman_z_private(float8, float8, float8, float8, float8) IS
'Altman Z'' of companies that are not listed (1983): as altman_z(), but with the equity of the books.';
CREATE FUNCTION credit.altman_z_general(x1 float8, x2 float8, x3 float8, x4 float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULLIF(6.56::float8 * x1 + 3.26::float8 * x2 + 6.72::float8 * x3 + 1.05::float8 * x4, 'NaN');
COMMENT ON FUNCTION credit.altman_z_general(float8, float8, float8, float8) IS
'Altman Z'''' of companies other than manufacturers (1995): without sales, with the equity of the books.';
CREATE FUNCTION credit.altman_z_emerging(x1 float8, x2 float8, x3 float8, x4 float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN NULLIF(3.25::float8 + 6.56::float8 * x1 + 3.26::float8 * x2 + 6.72::float8 * x3 + 1.05::float8 * x4, 'NaN');
COMMENT ON FUNCTION credit.altman_z_emerging(float8, float8, float8, float8) IS
'Altman Z'''' in the form for emerging markets: 3.25 more, and so are its zones.';
CREATE FUNCTION credit.altman_zone(form text, z float8) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	distress float8;
	safe float8;
BEGIN
	CASE form
		WHEN 'z' THEN distress := 1.81; safe := 2.99;
		WHEN 'z_private' THEN distress := 1.23; safe := 2.90;
		WHEN 'z_general' THEN distress := 1.10; safe := 2.60;
		WHEN 'z_emerging' THEN distress := 4.35; safe := 5.85;
		ELSE RAISE EXCEPTION '"%" is not a form of Altman''s Z', form
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use z, z_private, z_general or z_emerging.';
	END CASE;
	RETURN CASE WHEN z = 'NaN' THEN NULL WHEN z > safe THEN 'safe'
		WHEN z < distress THEN 'distress' WHEN z IS NOT NULL THEN 'grey' END;
END
$$;
COMMENT ON FUNCTION credit.altman_zone(text, float8) IS
'Zone of an Altman Z: safe, grey or distress. form: z (safe above 2.99, distress below 1.81), z_private (2.90, 1.23), z_general (2.60, 1.10), z_emerging (5.85, 4.35).';
CREATE FUNCTION credit.financial_ratios_on(as_of date, stale_after interval DEFAULT '18 months')
RETURNS TABLE (customer text, segment text, financials_id bigint, period_end date, published_on date,
			   months integer, currency text, age_days integer, is_stale boolean,
			   working_capital numeric, working_capital_requirement numeric, tangible_net_worth numeric,
			   requirement_days float8, inventory_days float8, receivable_days float8, payable_days float8,
			   cash_cycle_days float8, current_ratio float8, quick_ratio float8, cash_ratio float8,
			   equity_ratio float8, debt_ratio float8, interest_cover float8, ebit_margin float8,
			   net_margin float8, return_on_assets float8, return_on_equity float8, asset_turnover float8,
			   z float8, z_zone text, z_private float8, z_private_zone text,
			   z_general float8, z_general_zone text, z_emerging float8, z_emerging_zone text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT q.customer, q.segment, q.financials_id, q.period_end, q.published_on, q.months, q.currency,
	   CASE WHEN isfinite(as_of) THEN as_of - q.period_end END,
	   q.period_end + stale_after < as_of,
	   q.working_capital, q.requirement, q.equity - COALESCE(q.intangibles, 0) - COALESCE(q.loans_to_owners, 0),
	   q.days * credit.ratio(q.requirement, q.sales),
	   q.days * credit.ratio(q.inventories, q.cost_of_sales),
	   q.days * credit.ratio(q.receivables, q.sales),
	   q.days * credit.ratio(q.payables, q.cost_of_sales),
	   q.days * (credit.ratio(q.inventories, q.cost_of_sales) + credit.ratio(q.receivables, q.sales) - credit.ratio(q.payables, q.cost_of_sales)),
	   credit.ratio(q.current_assets, q.current_liabilities),
	   credit.ratio(q.current_assets - q.inventories, q.current_liabilities),
	   credit.ratio(q.cash, q.current_liabilities),
	   credit.ratio(q.equity, q.assets),
	   credit.ratio(q.total_liabilities, q.assets),
	   credit.ratio(q.ebit, q.interest),
	   credit.ratio(q.ebit, q.sales),
	   credit.ratio(q.net_income, q.sales),
	   q.year * credit.ratio(q.net_income, q.assets),
	   q.year * credit.ratio(q.net_income, CASE WHEN q.equity > 0 THEN q.equity END),
	   q.year * q.x5,
	   q.z, CASE WHEN q.is_stale AND q.z IS NOT NULL THEN 'stale' ELSE credit.altman_zone('z', q.z) END,
	   q.z_private, CASE WHEN q.is_stale AND q.z_private IS NOT NULL THEN 'stale' ELSE credit.altman_zone('z_private', q.z_private) END,
	   q.z_general, CASE WHEN q.is_stale AND q.z_general IS NOT NULL THEN 'stale' ELSE credit.altman_zone('z_general', q.z_general) END,
	   q.z_emerging, CASE WHEN q.is_stale AND q.z_emerging IS NOT NULL THEN 'stale' ELSE credit.altman_zone('z_emerging', q.z_emerging) END
  FROM (SELECT x.*, x.period_end + stale_after < as_of AS is_stale,
			   credit.altman_z(x.x1, x.x2, x.year * x.x3, x.x4_market, x.year * x.x5) AS z,
			   credit.altman_z_private(x.x1, x.x2, x.year * x.x3, x.x4_book, x.year * x.x5) AS z_private,
			   credit.altman_z_general(x.x1, x.x2, x.year * x.x3, x.x4_book) AS z_general,
			   credit.altman_z_emerging(x.x1, x.x2, x.year * x.x3, x.x4_book) AS z_emerging
		  FROM (SELECT f.*, 365.0::float8 * f.months / 12 AS days, 12.0::float8 / f.months AS year,
					   f.current_assets - f.current_liabilities AS working_capital,
					   f.inventories + f.receivables + COALESCE(f.other_receivables, 0)
					   - f.payables - COALESCE(f.other_payables, 0) AS requirement,
					   credit.ratio(f.current_assets - f.current_liabilities, f.assets) AS x1,
					   credit.ratio(f.retained_earnings, f.assets) AS x2,
					   credit.ratio(f.ebit, f.assets) AS x3,
					   CASE WHEN f.total_liabilities = 0 AND f.market_equity > 0 THEN 10
							ELSE credit.ratio(f.market_equity, f.total_liabilities) END AS x4_market,
					   CASE WHEN f.total_liabilities = 0 AND f.equity > 0 THEN 10
							ELSE credit.ratio(f.equity, f.total_liabilities) END AS x4_book,
					   credit.ratio(f.sales, f.assets) AS x5
				  FROM (SELECT DISTINCT ON (e.customer, e.segment) e.*,
							   CASE WHEN e.total_assets > 0 THEN e.total_assets END AS assets
						  FROM credit.financials e
						 WHERE e.published_on <= as_of AND e.withdrawn_at IS NULL
						 ORDER BY e.customer DESC, e.segment DESC, e.period_end DESC, abs(e.months - 12),
								  e.published_on DESC, e.financials_id DESC) f) x) q;
END;
COMMENT ON FUNCTION credit.financial_ratios_on(date, interval) IS
'Ratios of each customer from the newest statement that was published by a day. Of two of one balance sheet the one nearer to twelve months counts, then the one published last, then the one entered last. Older than stale_after: stale.';
CREATE VIEW credit.financial_ratio AS
SELECT r.customer COLLATE "C" AS customer, r.segment COLLATE "C" AS segment, r.financials_id,
	   r.period_end, r.published_on, r.months, r.currency,
	   r.age_days, r.is_stale, r.working_capital, r.working_capital_requirement, r.tangible_net_worth,
	   r.requirement_days, r.inventory_days, r.receivable_days, r.payable_days, r.cash_cycle_days,
	   r.current_ratio, r.quick_ratio, r.cash_ratio, r.equity_ratio, r.debt_ratio, r.interest_cover,
	   r.ebit_margin, r.net_margin, r.return_on_assets, r.return_on_equity, r.asset_turnover,
	   r.z, r.z_zone, r.z_private, r.z_private_zone, r.z_general, r.z_general_zone,
	   r.z_emerging, r.z_emerging_zone
  FROM credit.financial_ratios_on(credit.as_of()) r;
COMMENT ON VIEW credit.financial_ratio IS
'Ratios of each customer from the newest statement published by the as-of date; follows credit.as_of. A ratio is NULL where a figure is missing or the denominator is 0.';
COMMENT ON COLUMN credit.financial_ratio.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.financial_ratio.segment IS 'Segment; empty: for all that have no statement of their own.';
COMMENT ON COLUMN credit.financial_ratio.financials_id IS 'Statement behind it, in view financial_statement.';
COMMENT ON COLUMN credit.financial_ratio.period_end IS 'Day of its balance sheet.';
COMMENT ON COLUMN credit.financial_ratio.published_on IS 'First day on which it could be known.';
COMMENT ON COLUMN credit.financial_ratio.months IS 'Length of its period in months; flows are brought to 12.';
COMMENT ON COLUMN credit.financial_ratio.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.financial_ratio.age_days IS 'Days from the balance sheet to the as-of date.';
COMMENT ON COLUMN credit.financial_ratio.is_stale IS 'True: the balance sheet is older than 18 months.';
COMMENT ON COLUMN credit.financial_ratio.working_capital IS 'Current assets less current liabilities.';
COMMENT ON COLUMN credit.financial_ratio.working_capital_requirement IS 'Inventories, trade and other operating receivables, less trade and other operating payables: what operations tie up, without cash and debt.';
COMMENT ON COLUMN credit.financial_ratio.tangible_net_worth IS 'Equity less intangibles less loans to owners.';
COMMENT ON COLUMN credit.financial_ratio.requirement_days IS 'Working-capital requirement in days of sales.';
COMMENT ON COLUMN credit.financial_ratio.inventory_days IS 'Inventories in days of cost of sales.';
COMMENT ON COLUMN credit.financial_ratio.receivable_days IS 'Trade receivables in days of sales.';
COMMENT ON COLUMN credit.financial_ratio.payable_days IS 'Trade payables in days of cost of sales: how long the customer lets its suppliers wait.';
COMMENT ON COLUMN credit.financial_ratio.cash_cycle_days IS 'Days of inventory and receivables less days of payables.';
COMMENT ON COLUMN credit.financial_ratio.current_ratio IS 'Current assets by current liabilities.';
COMMENT ON COLUMN credit.financial_ratio.quick_ratio IS 'The same without inventories.';
COMMENT ON COLUMN credit.financial_ratio.cash_ratio IS 'Cash by current liabilities.';
COMMENT ON COLUMN credit.financial_ratio.equity_ratio IS 'Equity by total assets.';
COMMENT ON COLUMN credit.financial_ratio.debt_ratio IS 'Total liabilities by total assets.';
COMMENT ON COLUMN credit.financial_ratio.interest_cover IS 'EBIT by interest paid.';
COMMENT ON COLUMN credit.financial_ratio.ebit_margin IS 'EBIT by sales.';
COMMENT ON COLUMN credit.financial_ratio.net_margin IS 'Net income by sales.';
COMMENT ON COLUMN credit.financial_ratio.return_on_assets IS 'Net income of twelve months by total assets.';
COMMENT ON COLUMN credit.financial_ratio.return_on_equity IS 'Net income of twelve months by equity; NULL where equity is not above 0.';
COMMENT ON COLUMN credit.financial_ratio.asset_turnover IS 'Sales of twelve months by total assets.';
COMMENT ON COLUMN credit.financial_ratio.z IS 'Altman Z, of listed companies: needs market_equity. Without liabilities, equity by liabilities counts as 10 in all four forms.';
COMMENT ON COLUMN credit.financial_ratio.z_zone IS 'Its zone: safe, grey, distress; stale where the statement is.';
COMMENT ON COLUMN credit.financial_ratio.z_private IS 'Altman Z'', of companies that are not listed.';
COMMENT ON COLUMN credit.financial_ratio.z_private_zone IS 'Its zone.';
COMMENT ON COLUMN credit.financial_ratio.z_general IS 'Altman Z'''', of companies other than manufacturers.';
COMMENT ON COLUMN credit.financial_ratio.z_general_zone IS 'Its zone.';
COMMENT ON COLUMN credit.financial_ratio.z_emerging IS 'The same in the form for emerging markets.';
COMMENT ON COLUMN credit.financial_ratio.z_emerging_zone IS 'Its zone.';
/* --- reports of credit bureaus --------------------------------------------------- */

CREATE TABLE credit.bureau_report
(
	bureau_report_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	customer	text COLLATE "C" NOT NULL,
	segment		text COLLATE "C" NOT NULL DEFAULT '',
	provider	text COLLATE "C" NOT NULL,
	report_date	date NOT NULL,
	published_on date NOT NULL,
	valid_until	date NOT NULL,
	score		float8,
	grade		text,
	probability	float8,
	days_beyond_terms numeric,
	recommended_limit numeric,
	currency	text COLLATE "C",
	note		text,
	entered_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	entered_by	text NOT NULL DEFAULT SESSION_USER,
	withdrawn_at timestamptz,
	withdrawn_by text,
	withdrawn_reason text,
	CHECK (isfinite(report_date) AND isfinite(published_on) AND isfinite(valid_until)),
	CHECK (report_date <= published_on AND report_date <= valid_until),
	CHECK (score > '-Infinity' AND score < 'Infinity'),
	CHECK (probability BETWEEN 0 AND 1),
	CHECK (credit.are_figures(ARRAY[days_beyond_terms, recommended_limit])),
	CHECK (recommended_limit >= 0 AND currency IS NOT NULL OR recommended_limit IS NULL)
);
CREATE INDEX bureau_report_customer ON credit.bureau_report (customer, segment, provider, report_date);
COMMENT ON TABLE credit.bureau_report IS
'Reports of credit bureaus, insurers and the like on customers, append-only: made by enter_bureau_report(), taken back by withdraw_entry().';
COMMENT ON COLUMN credit.bureau_report.bureau_report_id IS 'Own key; of two reports of one day the later counts.';
COMMENT ON COLUMN credit.bureau_report.customer IS 'Key of the customer in the ERP, as in account.';
COMMENT ON COLUMN credit.bureau_report.segment IS 'Segment, as in account; empty: for all that have no report of their own.';
COMMENT ON COLUMN credit.bureau_report.provider IS 'Who made the report.';
COMMENT ON COLUMN credit.bureau_report.report_date IS 'Day the report speaks of.';
COMMENT ON COLUMN credit.bureau_report.published_on IS 'First day on which we had it.';
COMMENT ON COLUMN credit.bureau_report.valid_until IS 'Last day on which it is not stale.';
COMMENT ON COLUMN credit.bureau_report.score IS 'Score on the scale of the provider.';
COMMENT ON COLUMN credit.bureau_report.grade IS 'Grade in the words of the provider.';
COMMENT ON COLUMN credit.bureau_report.probability IS 'Probability of default within a year, 0 to 1: what makes reports comparable.';
COMMENT ON COLUMN credit.bureau_report.days_beyond_terms IS 'How many days late the customer pays others.';
COMMENT ON COLUMN credit.bureau_report.recommended_limit IS 'Limit that the provider recommends or covers.';
COMMENT ON COLUMN credit.bureau_report.currency IS 'Currency of that limit.';
COMMENT ON COLUMN credit.bureau_report.note IS 'Anything else worth knowing.';
COMMENT ON COLUMN credit.bureau_report.entered_at IS 'When it was entered.';
COMMENT ON COLUMN credit.bureau_report.entered_by IS 'Session user who entered it.';
COMMENT ON COLUMN credit.bureau_report.withdrawn_at IS 'When it was taken back; NULL: it counts.';
COMMENT ON COLUMN credit.bureau_report.withdrawn_by IS 'Session user who took it back.';
COMMENT ON COLUMN credit.bureau_report.withdrawn_reason IS 'Why.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.bureau_report
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.enter_bureau_report
	(customer text, provider text, report_date date, score float8 DEFAULT NULL,
	 grade text DEFAULT NULL, probability float8 DEFAULT NULL,
	 days_beyond_terms numeric DEFAULT NULL, recommended_limit numeric DEFAULT NULL,
	 currency text DEFAULT NULL, published_on date DEFAULT NULL,
	 valid_until date DEFAULT NULL, segment text DEFAULT '', note text DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	published date := COALESCE(published_on, credit.today());
	unit text := COALESCE(currency, (SELECT NULLIF(s.value, '') FROM credit.settings s WHERE s.name = 'currency'));
	until_day date;
	id bigint;
BEGIN
	PERFORM credit.check_entry('a bureau report', customer, segment, published,
							   CASE WHEN recommended_limit IS NULL THEN 'none' ELSE unit END);
	IF provider IS NULL OR provider = '' OR report_date IS NULL OR NOT isfinite(report_date) THEN
		RAISE EXCEPTION 'a bureau report needs a provider and a day'
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Give provider and report_date.';
	END IF;
	until_day := COALESCE(valid_until, (report_date + interval '12 months')::date);
	IF published < report_date OR NOT isfinite(until_day) OR until_day < report_date THEN
		RAISE EXCEPTION 'the days of a bureau report are not in order: of %, had on %, valid until %', report_date, published, until_day
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'published_on is the first day on which we had it: today where it is not given.';
	END IF;
	IF num_nonnulls(score, grade, probability, days_beyond_terms, recommended_limit) = 0 THEN
		RAISE EXCEPTION 'a bureau report without score, grade, probability, days_beyond_terms and recommended_limit says nothing'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF NOT COALESCE(probability BETWEEN 0 AND 1, true) THEN
		RAISE EXCEPTION 'a probability is between 0 and 1, not %', probability
			USING ERRCODE = 'numeric_value_out_of_range', HINT = 'Divide per cent by 100.';
	END IF;
	IF NOT credit.are_figures(ARRAY[days_beyond_terms, recommended_limit])
	   OR score IN ('NaN', 'Infinity', '-Infinity') OR recommended_limit < 0 THEN
		RAISE EXCEPTION 'score, days_beyond_terms and recommended_limit must be numbers below 1e30, amounts with at most six decimals and not negative'
			USING ERRCODE = 'numeric_value_out_of_range';
	END IF;
	INSERT INTO credit.bureau_report
		(customer, segment, provider, report_date, published_on, valid_until, score, grade,
		 probability, days_beyond_terms, recommended_limit, currency, note)
	VALUES
		(customer, segment, provider, report_date, published, until_day, score, grade,
		 probability, days_beyond_terms, recommended_limit,
		 CASE WHEN recommended_limit IS NOT NULL THEN unit END, note)
	RETURNING bureau_report_id INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.enter_bureau_report(text, text, date, float8, text, float8, numeric, numeric, text, date, date, text, text) IS
'Enters a report of a credit bureau and returns its number. published_on NULL: today; valid_until NULL: twelve months after report_date; currency NULL: setting currency.';
CREATE FUNCTION credit.bureau_reports_on(as_of date)
RETURNS TABLE (customer text, segment text, provider text, bureau_report_id bigint,
			   report_date date, published_on date, valid_until date, age_days integer,
			   is_stale boolean, score float8, grade text, probability float8,
			   days_beyond_terms numeric, recommended_limit numeric, currency text, note text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT DISTINCT ON (b.customer, b.segment, b.provider)
	   b.customer, b.segment, b.provider, b.bureau_report_id, b.report_date, b.published_on,
	   b.valid_until, CASE WHEN isfinite(as_of) THEN as_of - b.report_date END,
	   b.valid_until < as_of, b.score, b.grade, b.probability, b.days_beyond_terms,
	   b.recommended_limit, b.currency, b.note
  FROM credit.bureau_report b
 WHERE b.published_on <= as_of AND b.withdrawn_at IS NULL
 ORDER BY b.customer DESC, b.segment DESC, b.provider DESC, b.report_date DESC, b.published_on DESC,
		  b.bureau_report_id DESC;
END;
COMMENT ON FUNCTION credit.bureau_reports_on(date) IS
'The newest report of each provider on each customer that we had by a day.';
CREATE VIEW credit.bureau AS
SELECT b.customer COLLATE "C" AS customer, b.segment COLLATE "C" AS segment,
	   b.provider COLLATE "C" AS provider, b.bureau_report_id, b.report_date, b.published_on,
	   b.valid_until, b.age_days, b.is_stale, b.score, b.grade, b.probability,
	   b.days_beyond_terms, b.recommended_limit, b.currency, b.note
  FROM credit.bureau_reports_on(credit.as_of()) b;
COMMENT ON VIEW credit.bureau IS
'The newest report of each provider on each customer that we had by the as-of date; follows credit.as_of.';
COMMENT ON COLUMN credit.bureau.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.bureau.segment IS 'Segment; empty: for all that have no report of their own.';
COMMENT ON COLUMN credit.bureau.provider IS 'Who made the report.';
COMMENT ON COLUMN credit.bureau.bureau_report_id IS 'Number of the report, for withdraw_entry().';
COMMENT ON COLUMN credit.bureau.report_date IS 'Day the report speaks of.';
COMMENT ON COLUMN credit.bureau.published_on IS 'First day on which we had it.';
COMMENT ON COLUMN credit.bureau.valid_until IS 'Last day on which it is not stale.';
COMMENT ON COLUMN credit.bureau.age_days IS 'Days from report_date to the as-of date.';
COMMENT ON COLUMN credit.bureau.is_stale IS 'True: it is past valid_until; do not decide on it.';
COMMENT ON COLUMN credit.bureau.score IS 'Score on the scale of the provider.';
COMMENT ON COLUMN credit.bureau.grade IS 'Grade in the words of the provider.';
COMMENT ON COLUMN credit.bureau.probability IS 'Probability of default within a year, 0 to 1.';
COMMENT ON COLUMN credit.bureau.days_beyond_terms IS 'How many days late the customer pays others.';
COMMENT ON COLUMN credit.bureau.recommended_limit IS 'Limit that the provider recommends or covers.';
COMMENT ON COLUMN credit.bureau.currency IS 'Currency of that limit.';
COMMENT ON COLUMN credit.bureau.note IS 'Anything else worth knowing.';
/* --- facts about the company ------------------------------------------------------- */

CREATE TABLE credit.company_fact
(
	company_fact_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	customer	text COLLATE "C" NOT NULL,
	segment		text COLLATE "C" NOT NULL DEFAULT '',
	published_on date NOT NULL,
	founded_on	date,
	industry	text,
	legal_form	text,
	country		text,
	employees	integer,
	note		text,
	entered_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	entered_by	text NOT NULL DEFAULT SESSION_USER,
	withdrawn_at timestamptz,
	withdrawn_by text,
	withdrawn_reason text,
	CHECK (isfinite(published_on)),
	CHECK (isfinite(founded_on)),
	CHECK (employees >= 0)
);
CREATE INDEX company_fact_customer ON credit.company_fact (customer, segment, published_on);
COMMENT ON TABLE credit.company_fact IS
'Facts about customers that are no figures of a statement, append-only: made by enter_company_fact(), taken back by withdraw_entry().';
COMMENT ON COLUMN credit.company_fact.company_fact_id IS 'Own key; of two facts of one day the later counts.';
COMMENT ON COLUMN credit.company_fact.customer IS 'Key of the customer in the ERP, as in account.';
COMMENT ON COLUMN credit.company_fact.segment IS 'Segment, as in account; empty: for all that have none of their own.';
COMMENT ON COLUMN credit.company_fact.published_on IS 'First day on which it could be known.';
COMMENT ON COLUMN credit.company_fact.founded_on IS 'Day the company was founded; NULL here and below: this entry says nothing about it.';
COMMENT ON COLUMN credit.company_fact.industry IS 'Industry, in a code of your choice.';
COMMENT ON COLUMN credit.company_fact.legal_form IS 'Legal form.';
COMMENT ON COLUMN credit.company_fact.country IS 'Country.';
COMMENT ON COLUMN credit.company_fact.employees IS 'Number of employees.';
COMMENT ON COLUMN credit.company_fact.note IS 'Anything else worth knowing.';
COMMENT ON COLUMN credit.company_fact.entered_at IS 'When it was entered.';
COMMENT ON COLUMN credit.company_fact.entered_by IS 'Session user who entered it.';
COMMENT ON COLUMN credit.company_fact.withdrawn_at IS 'When it was taken back; NULL: it counts.';
COMMENT ON COLUMN credit.company_fact.withdrawn_by IS 'Session user who took it back.';
COMMENT ON COLUMN credit.company_fact.withdrawn_reason IS 'Why.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.company_fact
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.enter_company_fact
	(customer text, founded_on date DEFAULT NULL, industry text DEFAULT NULL,
	 legal_form text DEFAULT NULL, country text DEFAULT NULL, employees integer DEFAULT NULL,
	 note text DEFAULT NULL, published_on date DEFAULT NULL, segment text DEFAULT '')
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	published date := COALESCE(published_on, credit.today());
	id bigint;
BEGIN
	PERFORM credit.check_entry('a fact about a company', customer, segment, published, 'none');
	IF num_nonnulls(founded_on, industry, legal_form, country, employees, note) = 0 THEN
		RAISE EXCEPTION 'nothing was said about customer %', customer
			USING ERRCODE = 'null_value_not_allowed', HINT = 'Give facts by name: industry => ''4634''.';
	END IF;
	IF founded_on > published OR NOT COALESCE(isfinite(founded_on), true) THEN
		RAISE EXCEPTION 'a company cannot be founded on %, after that was known on %', founded_on, published
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF employees < 0 THEN
		RAISE EXCEPTION 'the number of employees cannot be %', employees
			USING ERRCODE = 'numeric_value_out_of_range';
	END IF;
	INSERT INTO credit.company_fact
		(customer, segment, published_on, founded_on, industry, legal_form, country, employees, note)
	VALUES
		(customer, segment, published, founded_on, industry, legal_form, country, employees, note)
	RETURNING company_fact_id INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.enter_company_fact(text, date, text, text, text, integer, text, date, text) IS
'Enters facts about a company, those that are given, and returns the number of the entry; what earlier entries say about the others goes on to count. published_on NULL: today.';
CREATE FUNCTION credit.companies_on(as_of date)
RETURNS TABLE (customer text, segment text, founded_on date, age_years float8, industry text,
			   legal_form text, country text, employees integer, note text, published_on date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT q.customer, q.segment, q.founded_on,
	   CASE WHEN isfinite(as_of) THEN (as_of - q.founded_on) / 365.25::float8 END,
	   q.industry, q.legal_form, q.country, q.employees, q.note, q.published_on
  FROM (SELECT c.customer, c.segment,
			   (array_agg(c.founded_on ORDER BY c.published_on DESC, c.company_fact_id DESC) FILTER (WHERE c.founded_on IS NOT NULL))[1] AS founded_on,
			   (array_agg(c.industry ORDER BY c.published_on DESC, c.company_fact_id DESC) FILTER (WHERE c.industry IS NOT NULL))[1] AS industry,
			   (array_agg(c.legal_form ORDER BY c.published_on DESC, c.company_fact_id DESC) FILTER (WHERE c.legal_form IS NOT NULL))[1] AS legal_form,
			   (array_agg(c.country ORDER BY c.published_on DESC, c.company_fact_id DESC) FILTER (WHERE c.country IS NOT NULL))[1] AS country,
			   (array_agg(c.employees ORDER BY c.published_on DESC, c.company_fact_id DESC) FILTER (WHERE c.employees IS NOT NULL))[1] AS employees,
			   (array_agg(c.note ORDER BY c.published_on DESC, c.company_fact_id DESC) FILTER (WHERE c.note IS NOT NULL))[1] AS note,
			   max(c.published_on) AS published_on
		  FROM credit.company_fact c
		 WHERE c.published_on <= as_of AND c.withdrawn_at IS NULL
		 GROUP BY c.customer, c.segment) q;
END;
COMMENT ON FUNCTION credit.companies_on(date) IS
'What was known about each company by a day: of each fact the newest.';
CREATE VIEW credit.company AS
SELECT c.customer COLLATE "C" AS customer, c.segment COLLATE "C" AS segment, c.founded_on, c.age_years, c.industry, c.legal_form, c.country,
	   c.employees, c.note, c.published_on
  FROM credit.companies_on(credit.as_of()) c;
COMMENT ON VIEW credit.company IS
'What was known about each company by the as-of date, of each fact the newest; follows credit.as_of.';
COMMENT ON COLUMN credit.company.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.company.segment IS 'Segment; empty: for all that have no facts of their own.';
COMMENT ON COLUMN credit.company.founded_on IS 'Day the company was founded.';
COMMENT ON COLUMN credit.company.age_years IS 'Years from then to the as-of date.';
COMMENT ON COLUMN credit.company.industry IS 'Industry.';
COMMENT ON COLUMN credit.company.legal_form IS 'Legal form.';
COMMENT ON COLUMN credit.company.country IS 'Country.';
COMMENT ON COLUMN credit.company.employees IS 'Number of employees.';
COMMENT ON COLUMN credit.company.note IS 'The newest note.';
COMMENT ON COLUMN credit.company.published_on IS 'Day of the newest fact.';
/* --- taking an entry back ------------------------------------------------------------ */

CREATE FUNCTION credit.withdraw_entry(entry text, id bigint, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n bigint;
BEGIN
	IF entry IS NULL OR entry NOT IN ('financials', 'bureau_report', 'company_fact') THEN
		RAISE EXCEPTION 'there are no entries of kind %', COALESCE('"' || entry || '"', 'NULL')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use financials, bureau_report or company_fact.';
	END IF;
	IF reason IS NULL OR reason !~ '\S' THEN
		RAISE EXCEPTION 'an entry is not withdrawn without a reason'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM credit.maintain(true);
	EXECUTE format('UPDATE credit.%I SET withdrawn_at = clock_timestamp(), withdrawn_by = SESSION_USER, withdrawn_reason = $2 WHERE %I = $1 AND withdrawn_at IS NULL', entry, entry || '_id')
		USING id, reason;
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM credit.maintain(false);
	IF n = 0 THEN
		RAISE EXCEPTION 'there is no entry % of kind "%" that could be withdrawn', COALESCE(id::text, 'NULL'), entry
			USING ERRCODE = 'no_data_found', HINT = 'It is unknown, or has been withdrawn already.';
	END IF;
END
$$;
COMMENT ON FUNCTION credit.withdraw_entry(text, bigint, text) IS
'Takes back an entry made by mistake, with a reason; it stays where it is, but counts no more, on past days either. entry: financials, bureau_report or company_fact.';
/*
 * Subject scorecard: models, fitted or by experts, and scores with reasons.
 *
 * A model is written once and never changed: a new version is another model.
 * So what a score was made of can be said for ever, and the library may keep a
 * model as long as it likes.  What changes is its status.  Tables are empty at
 * first, the shipped model included: add_standard_model() writes it, so that a
 * dump carries exactly what somebody has decided to use.
 */
CREATE TYPE credit.value_table AS (
	x float8[],
	categories text[],
	v float8[],
	is_step boolean,
	neutral float8);
COMMENT ON TYPE credit.value_table IS
'What an expert gives for a feature, 0 (worst) to 100 (best); made by numeric_values() or category_values().';
COMMENT ON COLUMN credit.value_table.x IS 'Numbers, ascending. NULL: the feature is a category.';
COMMENT ON COLUMN credit.value_table.categories IS 'Categories. NULL: the feature is a number.';
COMMENT ON COLUMN credit.value_table.v IS 'Value of each of them, 0 to 100.';
COMMENT ON COLUMN credit.value_table.is_step IS 'True: a value holds from its number on up to the next. False: values between are on a straight line.';
COMMENT ON COLUMN credit.value_table.neutral IS 'Value of a subject that is neither good nor bad: a reference for reasons.';
CREATE TABLE credit.model
(
	model_id	integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	name		text COLLATE "C" NOT NULL CHECK (name <> ''),
	version		integer NOT NULL CHECK (version > 0),
	kind		text NOT NULL CHECK (kind IN ('fitted', 'expert')),
	status		text NOT NULL CHECK (status IN ('champion', 'challenger', 'retired')),
	valid_from	date,
	valid_to	date,
	pdo			float8,
	base_score	float8,
	base_odds	float8,
	intercept	float8,
	round_points boolean NOT NULL DEFAULT false,
	minimum_weight float8 NOT NULL DEFAULT 0.6,
	reference	text NOT NULL DEFAULT 'max' CHECK (reference IN ('max', 'neutral', 'mean')),
	description	text,
	statistics	jsonb,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	created_by	text NOT NULL DEFAULT SESSION_USER,
	UNIQUE (name, version)
);
COMMENT ON TABLE credit.model IS
'Scorecards. A model never changes but for its status: another version is another row. Written by add_fitted_model(), add_expert_model(), set_champion(), retire_model().';
COMMENT ON COLUMN credit.model.model_id IS 'Own key, never reused.';
COMMENT ON COLUMN credit.model.name IS 'Name that its versions share.';
COMMENT ON COLUMN credit.model.version IS 'Version, from 1.';
COMMENT ON COLUMN credit.model.kind IS 'Word for how it computes: fitted (weights of evidence and a logistic regression) or expert (weights and value tables).';
COMMENT ON COLUMN credit.model.status IS 'Status: champion (in force), challenger (beside it), retired.';
COMMENT ON COLUMN credit.model.valid_from IS 'Day from which it was the champion; NULL: it never was.';
COMMENT ON COLUMN credit.model.valid_to IS 'Day from which it was no longer; NULL: it still is.';
COMMENT ON COLUMN credit.model.pdo IS 'Points that double the odds. NULL: scores are not turned into probabilities.';
COMMENT ON COLUMN credit.model.base_score IS 'Score at the base odds.';
COMMENT ON COLUMN credit.model.base_odds IS 'Base odds, good to bad.';
COMMENT ON COLUMN credit.model.intercept IS 'Intercept of the logistic regression. NULL: an expert model.';
COMMENT ON COLUMN credit.model.round_points IS 'Points of each characteristic are whole numbers.';
COMMENT ON COLUMN credit.model.minimum_weight IS 'Of an expert model: weight that must be known, 0 to 1; with less there is no score.';
COMMENT ON COLUMN credit.model.reference IS 'What points are compared with for reasons: max (the most a characteristic can give), neutral, or mean (of a population).';
COMMENT ON COLUMN credit.model.description IS 'Description: what it is for, who made it.';
COMMENT ON COLUMN credit.model.statistics IS 'Statistics of the fit, as whoever fitted it wrote them down.';
COMMENT ON COLUMN credit.model.created_at IS 'When it was written.';
COMMENT ON COLUMN credit.model.created_by IS 'Session user who wrote it.';
CREATE TABLE credit.model_characteristic
(
	model_id	integer NOT NULL,
	position	integer NOT NULL,
	feature		text COLLATE "C" NOT NULL CHECK (feature <> ''),
	weight		float8 NOT NULL,
	binning		credit.binning,
	value_table	credit.value_table,
	mean_points	float8,
	reason		text,
	PRIMARY KEY (model_id, position)
);
COMMENT ON TABLE credit.model_characteristic IS
'Characteristics of models. Never changed.';
COMMENT ON COLUMN credit.model_characteristic.model_id IS 'Model: key of table model.';
COMMENT ON COLUMN credit.model_characteristic.position IS 'Place in the model, from 1.';
COMMENT ON COLUMN credit.model_characteristic.feature IS 'Name of the feature.';
COMMENT ON COLUMN credit.model_characteristic.weight IS 'Weight: coefficient of the weight of evidence (fitted), or share of the score, all of which add up to 1 (expert).';
COMMENT ON COLUMN credit.model_characteristic.binning IS 'Bins with their weights of evidence (fitted).';
COMMENT ON COLUMN credit.model_characteristic.value_table IS 'Values of the expert (expert).';
COMMENT ON COLUMN credit.model_characteristic.mean_points IS 'Mean of its points in a population, for reference mean.';
COMMENT ON COLUMN credit.model_characteristic.reason IS 'Words for a subject that loses points by it.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.model
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.model_characteristic
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
/* --- scores ------------------------------------------------------------------- */

CREATE TYPE credit.score_part AS (
	position integer,
	feature text,
	value text,
	bin integer,
	points float8,
	reference float8,
	shortfall float8,
	is_missing boolean,
	reason text);
COMMENT ON TYPE credit.score_part IS
'What one characteristic adds to a score.';
COMMENT ON COLUMN credit.score_part.position IS 'Place in the model, from 1.';
COMMENT ON COLUMN credit.score_part.feature IS 'Name of the feature.';
COMMENT ON COLUMN credit.score_part.value IS 'Value of the subject; NULL: missing.';
COMMENT ON COLUMN credit.score_part.bin IS 'Bin that it falls into (fitted). NULL: an expert model, or an unknown category.';
COMMENT ON COLUMN credit.score_part.points IS 'Points; they add up to the score. NULL where an expert model misses the feature, or there is no score.';
COMMENT ON COLUMN credit.score_part.reference IS 'Points it is compared with.';
COMMENT ON COLUMN credit.score_part.shortfall IS 'reference - points.';
COMMENT ON COLUMN credit.score_part.is_missing IS 'The feature is missing, or an expert model does not know its category.';
COMMENT ON COLUMN credit.score_part.reason IS 'Reason in words, where it is one of the four largest shortfalls.';
CREATE TYPE credit.score_result AS (
	model_id integer,
	score float8,
	probability float8,
	known_weight float8,
	parts credit.score_part[],
	reasons text[]);
COMMENT ON TYPE credit.score_result IS
'A score with all that belongs to it. A higher score is a better customer.';
COMMENT ON COLUMN credit.score_result.model_id IS 'Model: key of table model.';
COMMENT ON COLUMN credit.score_result.score IS 'Score. Of an expert model 0 to 100; NULL where less than its smallest weight is known.';
COMMENT ON COLUMN credit.score_result.probability IS 'Probability of default; NULL where the model has no scale or there is no score.';
COMMENT ON COLUMN credit.score_result.known_weight IS 'Of an expert model: weight of the features that are not missing, 0 to 1.';
COMMENT ON COLUMN credit.score_result.parts IS 'What each characteristic adds, in the order of the model.';
COMMENT ON COLUMN credit.score_result.reasons IS 'Up to four reasons why the score is not higher, the weightiest first.';
CREATE FUNCTION credit.score_row(model_id integer, features jsonb) RETURNS credit.score_result
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_score_row_by_id';
COMMENT ON FUNCTION credit.score_row(integer, jsonb) IS
'Score, probability, points and reasons of one subject by a model. Features: a JSON object with a value for each name; what is not there is missing.';
CREATE FUNCTION credit.score_row(model text, features jsonb) RETURNS credit.score_result
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_score_row_by_name';
COMMENT ON FUNCTION credit.score_row(text, jsonb) IS
'The same by the champion of a name.';
CREATE FUNCTION credit.score_of(model_id integer, features jsonb) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'credit_score_of_by_id';
COMMENT ON FUNCTION credit.score_of(integer, jsonb) IS
'The score alone, for whole tables.';
CREATE FUNCTION credit.score_of(model text, features jsonb) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'credit_score_of_by_name';
COMMENT ON FUNCTION credit.score_of(text, jsonb) IS
'The same by the champion of a name.';
CREATE FUNCTION credit.score_values(model_id integer, "values" float8[]) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'credit_score_values_by_id';
COMMENT ON FUNCTION credit.score_values(integer, float8[]) IS
'The score alone, of features in the order of model_features(), all of them numbers: the quickest way to score columns of a table.';
CREATE FUNCTION credit.score_values(model text, "values" float8[]) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'credit_score_values_by_name';
COMMENT ON FUNCTION credit.score_values(text, float8[]) IS
'The same by the champion of a name.';
CREATE FUNCTION credit.score_probability(model_id integer, score float8) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'credit_score_probability_by_id';
COMMENT ON FUNCTION credit.score_probability(integer, float8) IS
'Probability of default that belongs to a score of a model. NULL where the model has no scale.';
CREATE FUNCTION credit.score_probability(model text, score float8) RETURNS float8
LANGUAGE c STABLE STRICT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'credit_score_probability_by_name';
COMMENT ON FUNCTION credit.score_probability(text, float8) IS
'The same by the champion of a name.';
CREATE FUNCTION credit.model_features(model_id integer) RETURNS text[]
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT pg_catalog.array_agg(c.feature::text ORDER BY c.position)
	  FROM credit.model_characteristic c WHERE c.model_id = model_features.model_id;
END;
COMMENT ON FUNCTION credit.model_features(integer) IS
'Features of a model, in their order.';
CREATE FUNCTION credit.model_binning(model_id integer, feature text) RETURNS credit.binning
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT c.binning FROM credit.model_characteristic c
	 WHERE c.model_id = model_binning.model_id AND c.feature = model_binning.feature COLLATE "C";
END;
COMMENT ON FUNCTION credit.model_binning(integer, text) IS
'Bins of a feature in a model, for bin_of() and woe_of(). NULL: an expert model, or no such feature.';
CREATE FUNCTION credit.champion(name text, on_day date DEFAULT NULL) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.model_id FROM credit.model m
	 WHERE m.name = champion.name COLLATE "C"
	   AND CASE WHEN on_day IS NULL THEN m.status = 'champion'
				ELSE m.valid_from <= on_day AND (m.valid_to IS NULL OR on_day < m.valid_to) END
	 ORDER BY m.version DESC LIMIT 1;
END;
COMMENT ON FUNCTION credit.champion(text, date) IS
'The model that is in force under a name, or was on a day; NULL: none.';
/* --- points and probabilities ----------------------------------------------------- */

CREATE FUNCTION credit.points_scaling
	(pdo float8, base_score float8, base_odds float8, OUT factor float8, OUT score_offset float8)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pdo IS NULL OR base_score IS NULL OR base_odds IS NULL THEN
		RETURN;
	END IF;
	IF NOT (pdo > 0 AND pdo <= 1e6 AND base_odds > 0 AND base_odds <= 1e12 AND abs(base_score) <= 1e6) THEN
		RAISE EXCEPTION 'scale of a scorecard is out of range'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('Points to double the odds are %s, base score %s, base odds %s.', pdo, base_score, base_odds),
				  HINT = 'Points and odds are above 0. Odds are good to bad: 50 for 50 good ones to 1 bad one.';
	END IF;
	factor := pdo / ln(2::float8);
	score_offset := base_score - factor * ln(base_odds);
END
$$;
COMMENT ON FUNCTION credit.points_scaling(float8, float8, float8) IS
'Factor and offset of a scale: score = score_offset + factor x ln(odds), odds good to bad.';
CREATE FUNCTION credit.score_of_probability
	(probability float8, pdo float8 DEFAULT 20, base_score float8 DEFAULT 600, base_odds float8 DEFAULT 50)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT s.score_offset + s.factor * pg_catalog.ln((1 - probability) / probability)
	  FROM credit.points_scaling(pdo, base_score, base_odds) s
	 WHERE probability > 0 AND probability < 1;
END;
COMMENT ON FUNCTION credit.score_of_probability(float8, float8, float8, float8) IS
'Score of a probability of default on a scale. NULL at 0 and 1, where it would be infinite.';
/* --- values of an expert ------------------------------------------------------------ */

CREATE FUNCTION credit.numeric_values
	(x float8[], v float8[], is_step boolean DEFAULT false, neutral float8 DEFAULT 50)
RETURNS credit.value_table
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT ROW(x, NULL, v, is_step, neutral)::credit.value_table;
END;
COMMENT ON FUNCTION credit.numeric_values(float8[], float8[], boolean, float8) IS
'Values of a number: v at x, on straight lines between, or in steps from each x on; beyond the ends as at the ends.';
CREATE FUNCTION credit.category_values(categories text[], v float8[], neutral float8 DEFAULT 50)
RETURNS credit.value_table
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT ROW(NULL, categories, v, true, neutral)::credit.value_table;
END;
COMMENT ON FUNCTION credit.category_values(text[], float8[], float8) IS
'Values of categories. One that is not among them is missing.';
CREATE TYPE credit.ahp_result AS (
	weights float8[],
	lambda_max float8,
	consistency_index float8,
	consistency_ratio float8,
	is_consistent boolean);
COMMENT ON TYPE credit.ahp_result IS
'Weights from comparisons in pairs, and how consistent these are.';
COMMENT ON COLUMN credit.ahp_result.weights IS 'Weights, in the order of the rows; they add up to 1.';
COMMENT ON COLUMN credit.ahp_result.lambda_max IS 'Largest eigenvalue; the number of rows where comparisons are consistent.';
COMMENT ON COLUMN credit.ahp_result.consistency_index IS 'Consistency index: (lambda_max - n) / (n - 1).';
COMMENT ON COLUMN credit.ahp_result.consistency_ratio IS 'Consistency index over that of random comparisons.';
COMMENT ON COLUMN credit.ahp_result.is_consistent IS 'Ratio below 0.10.';
CREATE FUNCTION credit.ahp(comparisons float8[]) RETURNS credit.ahp_result
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_ahp';
COMMENT ON FUNCTION credit.ahp(float8[]) IS
'Weights by the analytic hierarchy process: a square matrix, in which the entry of row i and column j says how many times as important i is as j, 1/9 to 9.';
/* --- models are written ---------------------------------------------------------------- */

CREATE FUNCTION credit.check_model(model_id integer) RETURNS void
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'credit_check_model';
COMMENT ON FUNCTION credit.check_model(integer) IS
'Reads a model as scoring does; an error says what is wrong with it.';
CREATE FUNCTION credit.check_list(name text, size integer, dimensions integer, n_nulls bigint, n integer, is_needed boolean)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF size IS NULL AND NOT is_needed THEN
		RETURN;
	END IF;
	IF size IS DISTINCT FROM n OR dimensions IS DISTINCT FROM 1 THEN
		RAISE EXCEPTION '% of a model must be a list of %', name, n
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('It has %s elements.', COALESCE(size, 0));
	END IF;
	IF is_needed AND n_nulls > 0 THEN
		RAISE EXCEPTION '% of a model must not contain nulls', name
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
END
$$;
COMMENT ON FUNCTION credit.check_list(text, integer, integer, bigint, integer, boolean) IS
'Part of add_fitted_model() and add_expert_model(): refuses lists of another length, and nulls where a value is needed.';
CREATE FUNCTION credit.check_features(name text, features text[], reference text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	twice text;
BEGIN
	IF name IS NULL OR name = '' THEN
		RAISE EXCEPTION 'a model needs a name' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF reference IS NULL OR reference NOT IN ('max', 'neutral', 'mean') THEN
		RAISE EXCEPTION 'reference of a model must be max, neutral or mean, not "%"', reference
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF COALESCE(cardinality(features), 0) NOT BETWEEN 1 AND 200 THEN
		RAISE EXCEPTION 'a model must have 1 to 200 features'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM credit.check_list('features', cardinality(features), array_ndims(features),
		(SELECT count(*) FROM unnest(features) e WHERE e IS NULL), cardinality(features), true);
	SELECT f INTO twice FROM unnest(features) f GROUP BY f HAVING count(*) > 1 LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'feature "%" is named twice', twice
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION credit.check_features(text, text[], text) IS
'Part of add_fitted_model() and add_expert_model(): refuses models without a name, features named twice, and unknown references.';
CREATE FUNCTION credit.next_version(name text) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	/* versions are numbered one after another, whoever writes them */
	LOCK TABLE credit.model IN SHARE ROW EXCLUSIVE MODE;
	RETURN (SELECT COALESCE(max(m.version), 0) + 1 FROM credit.model m WHERE m.name = $1 COLLATE "C");
END
$$;
COMMENT ON FUNCTION credit.next_version(text) IS
'Part of add_fitted_model() and add_expert_model(): number of the next version; keeps others from writing models until the end of the transaction.';
CREATE FUNCTION credit.set_champion(model_id integer, from_day date DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	day date := COALESCE(from_day, credit.today());
	chosen credit.model;
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		/* an older snapshot would not see who became champion meanwhile */
		RAISE EXCEPTION 'a model must be put in force in READ COMMITTED'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = format('The isolation level is %s.', current_setting('transaction_isolation'));
	END IF;
	LOCK TABLE credit.model IN SHARE ROW EXCLUSIVE MODE;
	SELECT * INTO chosen FROM credit.model m WHERE m.model_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no model %', model_id
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	IF chosen.status = 'champion' THEN
		RETURN;
	END IF;
	IF day > credit.today() THEN
		RAISE EXCEPTION 'a model cannot be put in force from a later day on'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('The day asked for is %s, today is %s.', day, credit.today());
	END IF;
	IF chosen.valid_from IS NOT NULL THEN
		RAISE EXCEPTION 'model % was the champion before', model_id
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = format('It was from %s to %s.', chosen.valid_from, chosen.valid_to),
				  HINT = 'Add it again as a new version.';
	END IF;
	IF EXISTS (SELECT FROM credit.model m WHERE m.name = chosen.name AND m.status = 'champion' AND m.valid_from > day) THEN
		RAISE EXCEPTION 'another version is the champion from a later day on'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  DETAIL = format('The day asked for is %s.', day);
	END IF;
	PERFORM credit.maintain(true);
	UPDATE credit.model m SET status = 'retired', valid_to = day
	 WHERE m.name = chosen.name AND m.status = 'champion';
	UPDATE credit.model m SET status = 'champion', valid_from = day WHERE m.model_id = $1;
	PERFORM credit.maintain(false);
END
$$;
COMMENT ON FUNCTION credit.set_champion(integer, date) IS
'Puts a model in force from a day on, today unless said otherwise; the one before under the same name is retired from that day on.';
CREATE FUNCTION credit.retire_model(model_id integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	LOCK TABLE credit.model IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	UPDATE credit.model m
	   SET status = 'retired', valid_to = CASE WHEN m.status = 'champion' THEN GREATEST(credit.today(), m.valid_from) ELSE m.valid_to END
	 WHERE m.model_id = $1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no model %', model_id
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	PERFORM credit.maintain(false);
END
$$;
COMMENT ON FUNCTION credit.retire_model(integer) IS
'Takes a model out of use. It stays, and so do the scores it made.';
CREATE FUNCTION credit.add_fitted_model
	(name text, features text[], coefficients float8[], binnings credit.binning[],
	 reasons text[] DEFAULT NULL, pdo float8 DEFAULT 20, base_score float8 DEFAULT 600,
	 base_odds float8 DEFAULT 50, round_points boolean DEFAULT false,
	 reference text DEFAULT 'max', mean_points float8[] DEFAULT NULL,
	 description text DEFAULT NULL, statistics jsonb DEFAULT NULL,
	 allow_reversed boolean DEFAULT false, make_champion boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n integer := cardinality(features);
	id integer;
	bad record;
BEGIN
	PERFORM credit.check_features(name, features, reference);
	PERFORM credit.check_list('coefficients (the intercept first)', cardinality(coefficients), array_ndims(coefficients),
		(SELECT count(*) FROM unnest(coefficients) e WHERE e IS NULL), n + 1, true);
	PERFORM credit.check_list('binnings', cardinality(binnings), array_ndims(binnings),
		(SELECT count(*) FROM unnest(binnings) e WHERE e IS NULL), n, true);
	PERFORM credit.check_list('reasons', cardinality(reasons), array_ndims(reasons),
		(SELECT count(*) FROM unnest(reasons) e WHERE e IS NULL), n, false);
	PERFORM credit.check_list('mean points', cardinality(mean_points), array_ndims(mean_points),
		(SELECT count(*) FROM unnest(mean_points) e WHERE e IS NULL), n, reference = 'mean');
	PERFORM credit.points_scaling(pdo, base_score, base_odds);
	SELECT f, c INTO bad
	  FROM unnest(features) WITH ORDINALITY f (f, i)
	  JOIN unnest(coefficients) WITH ORDINALITY c (c, j) ON j = i + 1
	 WHERE c > 0 ORDER BY i LIMIT 1;
	IF FOUND AND NOT COALESCE(allow_reversed, false) THEN
		RAISE EXCEPTION 'coefficient of feature "%" has the wrong sign', bad.f
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('It is %s: better bins would get fewer points. A weight of evidence is high where bad is rare, so its coefficient is negative.', bad.c),
				  HINT = 'The feature says what others say already: leave it out and fit again, or call with allow_reversed => true.';
	END IF;
	INSERT INTO credit.model AS m (name, version, kind, status, pdo, base_score, base_odds, intercept, round_points, reference, description, statistics)
	VALUES ($1, credit.next_version($1), 'fitted', 'challenger', $6, $7, $8,
			(SELECT c FROM unnest(coefficients) WITH ORDINALITY c (c, i) WHERE i = 1),
			COALESCE($9, false), $10, $12, $13)
	RETURNING m.model_id INTO id;
	INSERT INTO credit.model_characteristic (model_id, position, feature, weight, binning, mean_points, reason)
	SELECT id, f.i, f.f, (SELECT c FROM unnest(coefficients) WITH ORDINALITY c (c, j) WHERE j = f.i + 1),
		   binnings[array_lower(binnings, 1) + f.i::integer - 1],
		   mean_points[array_lower(mean_points, 1) + f.i::integer - 1], reasons[array_lower(reasons, 1) + f.i::integer - 1]
	  FROM unnest(features) WITH ORDINALITY f (f, i);
	PERFORM credit.check_model(id);
	IF make_champion THEN
		PERFORM credit.set_champion(id);
	END IF;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.add_fitted_model(text, text[], float8[], credit.binning[], text[], float8, float8, float8, boolean, text, float8[], text, jsonb, boolean, boolean) IS
'Writes a new version of a fitted scorecard: features, the coefficients of a logistic regression of bad on their weights of evidence (intercept first, as fit_logit() gives them), and their binnings; base odds are good to bad. Returns its model_id; it is a challenger unless told otherwise.';
CREATE FUNCTION credit.add_expert_model
	(name text, features text[], weights float8[], value_tables credit.value_table[],
	 reasons text[] DEFAULT NULL, minimum_weight float8 DEFAULT 0.6,
	 pdo float8 DEFAULT NULL, base_score float8 DEFAULT NULL, base_odds float8 DEFAULT NULL,
	 reference text DEFAULT 'max', mean_points float8[] DEFAULT NULL,
	 description text DEFAULT NULL, statistics jsonb DEFAULT NULL,
	 make_champion boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n integer := cardinality(features);
	id integer;
BEGIN
	PERFORM credit.check_features(name, features, reference);
	PERFORM credit.check_list('weights', cardinality(weights), array_ndims(weights),
		(SELECT count(*) FROM unnest(weights) e WHERE e IS NULL), n, true);
	PERFORM credit.check_list('value tables', cardinality(value_tables), array_ndims(value_tables),
		(SELECT count(*) FROM unnest(value_tables) e WHERE e IS NULL), n, true);
	PERFORM credit.check_list('reasons', cardinality(reasons), array_ndims(reasons),
		(SELECT count(*) FROM unnest(reasons) e WHERE e IS NULL), n, false);
	PERFORM credit.check_list('mean points', cardinality(mean_points), array_ndims(mean_points),
		(SELECT count(*) FROM unnest(mean_points) e WHERE e IS NULL), n, reference = 'mean');
	PERFORM credit.points_scaling(pdo, base_score, base_odds);
	IF NOT COALESCE(minimum_weight BETWEEN 0 AND 1, false) THEN
		RAISE EXCEPTION 'smallest weight of a model must be 0 to 1'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %s.', minimum_weight);
	END IF;
	INSERT INTO credit.model AS m (name, version, kind, status, pdo, base_score, base_odds, minimum_weight, reference, description, statistics)
	VALUES ($1, credit.next_version($1), 'expert', 'challenger', $7, $8, $9, $6, $10, $12, $13)
	RETURNING m.model_id INTO id;
	INSERT INTO credit.model_characteristic (model_id, position, feature, weight, value_table, mean_points, reason)
	SELECT id, f.i, f.f, weights[array_lower(weights, 1) + f.i::integer - 1],
		   value_tables[array_lower(value_tables, 1) + f.i::integer - 1],
		   mean_points[array_lower(mean_points, 1) + f.i::integer - 1], reasons[array_lower(reasons, 1) + f.i::integer - 1]
	  FROM unnest(features) WITH ORDINALITY f (f, i);
	PERFORM credit.check_model(id);
	IF make_champion THEN
		PERFORM credit.set_champion(id);
	END IF;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.add_expert_model(text, text[], float8[], credit.value_table[], text[], float8, float8, float8, float8, text, float8[], text, jsonb, boolean) IS
'Writes a new version of an expert scorecard: features, their weights, which add up to 1, and what the expert gives for their values. Missing features are left out and the others weigh more, as long as minimum_weight is known. Returns its model_id; it is a challenger unless told otherwise.';
CREATE FUNCTION credit.add_standard_model(make_champion boolean DEFAULT true) RETURNS integer
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT credit.add_expert_model('standard',
		pg_catalog.array_agg(c.feature ORDER BY c.i),
		pg_catalog.array_agg(c.weight ORDER BY c.i),
		pg_catalog.array_agg(credit.numeric_values(c.x, c.v, neutral => c.neutral) ORDER BY c.i),
		pg_catalog.array_agg(c.reason ORDER BY c.i),
		description => 'Shipped expert scorecard over the ledger alone: how a customer pays, what is overdue, how far the limit is used, how long he is known. Weights and scale are house defaults, not fitted to anybody''s losses.',
		reference => 'neutral', pdo => 10, base_score => 50, base_odds => 20,
		make_champion => add_standard_model.make_champion)
	  FROM (VALUES
		(1, 'oldest_days_overdue', 0.18::float8, '{0,15,30,60,90}'::float8[], '{100,75,50,15,0}'::float8[], 50::float8, 'has an invoice that is long overdue'),
		(2, 'overdue_ratio', 0.15, '{0,0.05,0.2,0.5,0.8}', '{100,85,50,15,0}', 50, 'a large part of the open amount is overdue'),
		(3, 'weighted_days_late', 0.15, '{0,5,15,30,60}', '{100,80,55,30,0}', 55, 'pays late, and large invoices in particular'),
		(4, 'on_time_rate', 0.12, '{0.3,0.5,0.7,0.85,1}', '{0,25,50,75,100}', 50, 'pays few invoices on time'),
		(5, 'payment_index', 0.10, '{20,40,60,70,80}', '{0,25,60,80,100}', 60, 'payment index is low'),
		(6, 'utilisation', 0.10, '{0.5,0.75,0.9,1,1.2}', '{100,80,55,30,0}', 55, 'uses most of the credit limit, or more'),
		(7, 'trend_slope', 0.08, '{-1,0,1,3,6}', '{100,80,60,25,0}', 60, 'pays later from month to month'),
		(8, 'partial_payment_ratio', 0.05, '{0,0.1,0.2,0.4}', '{100,75,50,0}', 50, 'often pays invoices in part only'),
		(9, 'months_known', 0.04, '{0,6,12,36,60}', '{20,40,60,85,100}', 60, 'has been a customer for a short time'),
		(10, 'n_paid', 0.03, '{0,3,10,30}', '{20,40,70,100}', 60, 'has paid few invoices so far')
		) c (i, feature, weight, x, v, neutral, reason);
END;
COMMENT ON FUNCTION credit.add_standard_model(boolean) IS
'Writes the shipped expert scorecard ''standard'' as a new version, and puts it in force. Its features are those of the ledger; weights, values and scale are house defaults (doc/scorecard.md).';
CREATE FUNCTION credit.fit_scorecard
	(name text, source text, is_event text, features text[], weight text DEFAULT NULL,
	 options credit.binning_option DEFAULT NULL, min_iv float8 DEFAULT 0.02,
	 ridge float8 DEFAULT 0, pdo float8 DEFAULT 20, base_score float8 DEFAULT 600,
	 base_odds float8 DEFAULT 50, round_points boolean DEFAULT false,
	 description text DEFAULT NULL, make_champion boolean DEFAULT false)
RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_fit_scorecard';
COMMENT ON FUNCTION credit.fit_scorecard(text, text, text, text[], text, credit.binning_option, float8, float8, float8, float8, float8, boolean, text, boolean) IS
'Fits a scorecard in one call: bins of each feature, a logistic regression over their weights of evidence, a new version of the model. Source: a query, or the name of a table, which is read several times as the caller. Features that say too little, or what others say already, are left out. Returns the model_id.';
/* --- to be read --------------------------------------------------------------------------- */

CREATE VIEW credit.models AS
SELECT m.model_id, m.name, m.version, m.kind, m.status, m.valid_from, m.valid_to,
	   (SELECT pg_catalog.count(*)::integer FROM credit.model_characteristic c WHERE c.model_id = m.model_id) AS n_characteristics,
	   m.pdo, m.base_score, m.base_odds, m.intercept, m.round_points, m.minimum_weight, m.reference,
	   m.description, m.statistics, m.created_at, m.created_by
  FROM credit.model m;
COMMENT ON VIEW credit.models IS 'All models, every version.';
COMMENT ON COLUMN credit.models.model_id IS 'Key of the model.';
COMMENT ON COLUMN credit.models.name IS 'Name that its versions share.';
COMMENT ON COLUMN credit.models.version IS 'Version, from 1.';
COMMENT ON COLUMN credit.models.kind IS 'Word for how it computes: fitted or expert.';
COMMENT ON COLUMN credit.models.status IS 'Status: champion (in force), challenger (beside it), retired.';
COMMENT ON COLUMN credit.models.valid_from IS 'Day from which it was the champion; NULL: it never was.';
COMMENT ON COLUMN credit.models.valid_to IS 'Day from which it was no longer; NULL: it still is.';
COMMENT ON COLUMN credit.models.n_characteristics IS 'Number of its characteristics.';
COMMENT ON COLUMN credit.models.pdo IS 'Points that double the odds. NULL: no probabilities.';
COMMENT ON COLUMN credit.models.base_score IS 'Score at the base odds.';
COMMENT ON COLUMN credit.models.base_odds IS 'Base odds, good to bad.';
COMMENT ON COLUMN credit.models.intercept IS 'Intercept of the logistic regression. NULL: an expert model.';
COMMENT ON COLUMN credit.models.round_points IS 'Points of each characteristic are whole numbers.';
COMMENT ON COLUMN credit.models.minimum_weight IS 'Of an expert model: weight that must be known, 0 to 1.';
COMMENT ON COLUMN credit.models.reference IS 'What points are compared with for reasons: max, neutral or mean.';
COMMENT ON COLUMN credit.models.description IS 'Description: what it is for, who made it.';
COMMENT ON COLUMN credit.models.statistics IS 'Statistics of the fit.';
COMMENT ON COLUMN credit.models.created_at IS 'When it was written.';
COMMENT ON COLUMN credit.models.created_by IS 'Session user who wrote it.';
CREATE VIEW credit.model_points AS
SELECT m.model_id, m.name, m.version, c.position, c.feature, c.weight, p.line, p.attribute, p.woe, p.points
  FROM credit.model m
  JOIN credit.model_characteristic c ON c.model_id = m.model_id
 CROSS JOIN LATERAL (
	SELECT b.bin AS line, credit.bin_label(b) AS attribute, b.woe,
		   CASE WHEN m.round_points THEN pg_catalog.round(q.points) ELSE q.points END AS points
	  FROM credit.points_scaling(m.pdo, m.base_score, m.base_odds) s,
		   LATERAL (SELECT pg_catalog.count(*) AS n FROM credit.model_characteristic o WHERE o.model_id = m.model_id) a,
		   LATERAL credit.bins(c.binning) b,
		   LATERAL (SELECT s.score_offset / a.n - s.factor * (c.weight * b.woe + m.intercept / a.n) AS points) q
	 WHERE m.kind = 'fitted'
	UNION ALL
	SELECT v.i::integer, COALESCE((c.value_table).categories[pg_catalog.array_lower((c.value_table).categories, 1) + v.i::integer - 1],
					 (c.value_table).x[pg_catalog.array_lower((c.value_table).x, 1) + v.i::integer - 1]::text), NULL, c.weight * v.v
	  FROM pg_catalog.unnest((c.value_table).v) WITH ORDINALITY v (v, i)
	 WHERE m.kind = 'expert') p;
COMMENT ON VIEW credit.model_points IS 'The scorecards as they are printed: points of each bin (fitted), or at each value of the value table (expert).';
COMMENT ON COLUMN credit.model_points.model_id IS 'Key of the model.';
COMMENT ON COLUMN credit.model_points.name IS 'Name of the model.';
COMMENT ON COLUMN credit.model_points.version IS 'Version of the model.';
COMMENT ON COLUMN credit.model_points.position IS 'Place of the characteristic in the model.';
COMMENT ON COLUMN credit.model_points.feature IS 'Name of the feature.';
COMMENT ON COLUMN credit.model_points.weight IS 'Coefficient (fitted) or weight (expert).';
COMMENT ON COLUMN credit.model_points.line IS 'Number of the bin, or of the value.';
COMMENT ON COLUMN credit.model_points.attribute IS 'What is in the bin, or the value.';
COMMENT ON COLUMN credit.model_points.woe IS 'Weight of evidence of the bin. NULL: an expert model.';
COMMENT ON COLUMN credit.model_points.points IS 'Points, at full weight.';
CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean, weight float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum_weight';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean, float8) IS
'Part of the validation aggregates: adds a row that counts as weight rows.';
CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean, parts integer, weight float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum_parts_weight';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean, integer, float8) IS
'Part of the validation aggregates: adds a row that counts as weight rows.';
CREATE AGGREGATE credit.discrimination(score float8, is_default boolean, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.discrimination_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.discrimination(float8, boolean, float8) IS
'The same with rows that count as weight rows, in the standard error as well; n and n_default are numbers of rows. Weights are taken to six decimals; NULL and 0 leave a row out.';
CREATE AGGREGATE credit.cap(score float8, is_default boolean, parts integer, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.cap(float8, boolean, integer, float8) IS
'The same with rows that count as weight rows.';
CREATE AGGREGATE credit.calibration(probability float8, is_default boolean, parts integer, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration(float8, boolean, integer, float8) IS
'The same with rows that count as weight rows, in the test as well; n and n_default are numbers of rows.';
/* --- two scores of the same customers, and folds ----------------------------- */

CREATE TYPE credit.score_comparison AS (
	n bigint,
	n_default bigint,
	auc_a float8,
	auc_b float8,
	difference float8,
	auc_se_a float8,
	auc_se_b float8,
	correlation float8,
	difference_se float8,
	difference_low float8,
	difference_high float8,
	p_value float8,
	n_skipped bigint);
COMMENT ON TYPE credit.score_comparison IS
'Which of two scores of the same rows tells bad from good better (DeLong et al. 1988). All figures are ratios but the counts. NULL where a class has no row.';
COMMENT ON COLUMN credit.score_comparison.n IS 'Number of rows with both scores and an outcome.';
COMMENT ON COLUMN credit.score_comparison.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.score_comparison.auc_a IS 'AUC of the first score, as discrimination() has it over these rows.';
COMMENT ON COLUMN credit.score_comparison.auc_b IS 'AUC of the second score.';
COMMENT ON COLUMN credit.score_comparison.difference IS 'The first less the second: above 0, the first is better.';
COMMENT ON COLUMN credit.score_comparison.auc_se_a IS 'Standard error of auc_a. NULL with less than two rows of a class, as all that follows.';
COMMENT ON COLUMN credit.score_comparison.auc_se_b IS 'Standard error of auc_b.';
COMMENT ON COLUMN credit.score_comparison.correlation IS 'Correlation of the two AUCs. NULL where one of them has no error.';
COMMENT ON COLUMN credit.score_comparison.difference_se IS 'Standard error of the difference, the correlation taken into account.';
COMMENT ON COLUMN credit.score_comparison.difference_low IS 'Lower end of the 95 % interval of the difference.';
COMMENT ON COLUMN credit.score_comparison.difference_high IS 'Upper end of that interval.';
COMMENT ON COLUMN credit.score_comparison.p_value IS 'Two-sided p-value of no difference, normal approximation. NULL where difference_se is 0.';
COMMENT ON COLUMN credit.score_comparison.n_skipped IS 'Number of rows left out: a score NULL or NaN, or outcome NULL.';
CREATE FUNCTION credit.compare_scores_accum(internal, score_a float8, score_b float8, is_default boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_accum';
COMMENT ON FUNCTION credit.compare_scores_accum(internal, float8, float8, boolean) IS
'Part of aggregate compare_scores(): adds a row.';
CREATE FUNCTION credit.compare_scores_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_combine';
COMMENT ON FUNCTION credit.compare_scores_combine(internal, internal) IS
'Part of aggregate compare_scores(): adds what another process has collected.';
CREATE FUNCTION credit.compare_scores_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_serialize';
COMMENT ON FUNCTION credit.compare_scores_serialize(internal) IS
'Part of aggregate compare_scores(): the state for another process.';
CREATE FUNCTION credit.compare_scores_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_deserialize';
COMMENT ON FUNCTION credit.compare_scores_deserialize(bytea, internal) IS
'Part of aggregate compare_scores(): the state of another process.';
CREATE FUNCTION credit.compare_scores_final(internal) RETURNS credit.score_comparison
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_final';
COMMENT ON FUNCTION credit.compare_scores_final(internal) IS
'Part of aggregate compare_scores(): the result.';
CREATE AGGREGATE credit.compare_scores(score_a float8, score_b float8, is_default boolean) (
	SFUNC = credit.compare_scores_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.compare_scores_final,
	COMBINEFUNC = credit.compare_scores_combine,
	SERIALFUNC = credit.compare_scores_serialize, DESERIALFUNC = credit.compare_scores_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.compare_scores(float8, float8, boolean) IS
'Compares the AUC of two scores of the same rows, such as champion and challenger, by DeLongs paired test. Higher scores are better customers: put in a probability of default as its negative.';
CREATE FUNCTION credit.fold(key text, k integer DEFAULT 5) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_fold';
COMMENT ON FUNCTION credit.fold(text, integer) IS
'The fold of a customer for cross-validation, 0 to k - 1: all rows of one key are in one fold, on every server and for ever.';
/*
 * Subject calibrate: from scores to probabilities of default.
 *
 * The fits stand on the transition functions of subject validation, over
 * anybody's scores; the rest is arithmetic.  src/calibrate.c.
 */

/* --- shift to another default rate ------------------------------------------- */

CREATE FUNCTION credit.rate_shift(sample_rate float8, target_rate float8) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_rate_shift';
COMMENT ON FUNCTION credit.rate_shift(float8, float8) IS
'Shift of log-odds from the default rate of a sample to that of the population (King and Zeng 2001): for shift_probability(). Exact where odds are; the mean of the shifted probabilities only comes near the target: see aggregate prior_shift().';
CREATE FUNCTION credit.prior_shift_accum(internal, probability float8, target_rate float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_accum';
COMMENT ON FUNCTION credit.prior_shift_accum(internal, float8, float8) IS
'Part of aggregate prior_shift(): adds a row.';
CREATE FUNCTION credit.prior_shift_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_combine';
COMMENT ON FUNCTION credit.prior_shift_combine(internal, internal) IS
'Part of aggregate prior_shift(): adds what another process has collected.';
CREATE FUNCTION credit.prior_shift_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_serialize';
COMMENT ON FUNCTION credit.prior_shift_serialize(internal) IS
'Part of aggregate prior_shift(): the state for another process.';
CREATE FUNCTION credit.prior_shift_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_deserialize';
COMMENT ON FUNCTION credit.prior_shift_deserialize(bytea, internal) IS
'Part of aggregate prior_shift(): the state of another process.';
CREATE FUNCTION credit.prior_shift_final(internal) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_final';
COMMENT ON FUNCTION credit.prior_shift_final(internal) IS
'Part of aggregate prior_shift(): the result.';
CREATE AGGREGATE credit.prior_shift(probability float8, target_rate float8) (
	SFUNC = credit.prior_shift_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.prior_shift_final,
	COMBINEFUNC = credit.prior_shift_combine,
	SERIALFUNC = credit.prior_shift_serialize, DESERIALFUNC = credit.prior_shift_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.prior_shift(float8, float8) IS
'Shift of log-odds with which the mean of these probabilities is exactly the target rate: for shift_probability(). NULL without rows.';
CREATE FUNCTION credit.shift_probability(probability float8, shift float8) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_shift_probability';
COMMENT ON FUNCTION credit.shift_probability(float8, float8) IS
'A probability with its log-odds shifted by what rate_shift() or prior_shift() gave. Probabilities are taken no nearer to 0 and 1 than 1e-6.';
/* --- Platt -------------------------------------------------------------------- */

CREATE TYPE credit.platt_fit AS (
	n bigint,
	n_default bigint,
	intercept float8,
	slope float8,
	coefficients float8[],
	target_good float8,
	target_default float8,
	n_skipped bigint);
COMMENT ON TYPE credit.platt_fit IS
'A logistic curve from score to probability of default: 1 / (1 + exp(-intercept - slope * score)).';
COMMENT ON COLUMN credit.platt_fit.n IS 'Number of rows with a score and an outcome.';
COMMENT ON COLUMN credit.platt_fit.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.platt_fit.intercept IS 'Log-odds of default at score 0. NULL with one class or one score only, as slope and coefficients.';
COMMENT ON COLUMN credit.platt_fit.slope IS 'Log-odds of default per point of score: negative where higher scores are better customers.';
COMMENT ON COLUMN credit.platt_fit.coefficients IS 'Both, for logit_probability(coefficients, ARRAY[score]).';
COMMENT ON COLUMN credit.platt_fit.target_good IS 'What a good row counts as: 1 / (number of good + 2).';
COMMENT ON COLUMN credit.platt_fit.target_default IS 'What a bad row counts as: (n_default + 1) / (n_default + 2). The two keep the curve finite, whatever the rows.';
COMMENT ON COLUMN credit.platt_fit.n_skipped IS 'Number of rows left out: score NULL or NaN, or outcome NULL.';
CREATE FUNCTION credit.fit_platt_final(internal) RETURNS credit.platt_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_fit_platt_final';
COMMENT ON FUNCTION credit.fit_platt_final(internal) IS
'Part of aggregate fit_platt(): the result.';
CREATE AGGREGATE credit.fit_platt(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.fit_platt_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.fit_platt(float8, boolean) IS
'Fits a logistic curve from score to probability of default, with Platts targets in place of 0 and 1.';
/* --- isotonic regression -------------------------------------------------------- */

CREATE TYPE credit.isotonic_fit AS (
	n bigint,
	n_default bigint,
	score_low float8[],
	score_high float8[],
	block_n bigint[],
	block_default bigint[],
	probability float8[],
	n_skipped bigint);
COMMENT ON TYPE credit.isotonic_fit IS
'A falling step function from score to probability of default, one element of each array per block, lowest scores first; as a table: SELECT b.* FROM unnest(f.score_low, f.score_high, f.block_n, f.block_default, f.probability) b.';
COMMENT ON COLUMN credit.isotonic_fit.n IS 'Number of rows with a score and an outcome.';
COMMENT ON COLUMN credit.isotonic_fit.n_default IS 'Number of those that are bad (defaults). With less than 100, prefer fit_platt().';
COMMENT ON COLUMN credit.isotonic_fit.score_low IS 'Lowest score of each block.';
COMMENT ON COLUMN credit.isotonic_fit.score_high IS 'Highest score of each block.';
COMMENT ON COLUMN credit.isotonic_fit.block_n IS 'Number of its rows.';
COMMENT ON COLUMN credit.isotonic_fit.block_default IS 'Number of its bad rows.';
COMMENT ON COLUMN credit.isotonic_fit.probability IS 'Default rate of each block: falls from block to block. 0 and 1 are possible at the ends: see isotonic_probability().';
COMMENT ON COLUMN credit.isotonic_fit.n_skipped IS 'Number of rows left out: score NULL or NaN, or outcome NULL.';
CREATE FUNCTION credit.fit_isotonic_final(internal) RETURNS credit.isotonic_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_fit_isotonic_final';
COMMENT ON FUNCTION credit.fit_isotonic_final(internal) IS
'Part of aggregate fit_isotonic(): the result.';
CREATE AGGREGATE credit.fit_isotonic(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.fit_isotonic_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.fit_isotonic(float8, boolean) IS
'Default rates that fall as scores rise and are the most likely ones of that kind (pool adjacent violators). A probability of default that is to be calibrated is put in as its negative.';
CREATE FUNCTION credit.isotonic_probability
	(score float8, score_low float8[], probability float8[], floor float8 DEFAULT 0.0003)
RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_isotonic_probability';
COMMENT ON FUNCTION credit.isotonic_probability(float8, float8[], float8[], float8) IS
'Probability of default of a score by the blocks of fit_isotonic(), not below floor. A score between two blocks takes the lower, worse one; beyond the ends the block at the end counts. NULL for NaN.';
/* --- few defaults ----------------------------------------------------------------- */

CREATE FUNCTION credit.shrink_rate
	(n_default bigint, n bigint, segment_rate float8, strength float8 DEFAULT 100)
RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_shrink_rate';
COMMENT ON FUNCTION credit.shrink_rate(bigint, bigint, float8, float8) IS
'Default rate of a small group, drawn towards that of its segment as if strength more customers had been seen there: (n_default + strength * segment_rate) / (n + strength).';
CREATE FUNCTION credit.prudent_rate
	(n_default bigint, n bigint, confidence float8 DEFAULT 0.9)
RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prudent_rate';
COMMENT ON FUNCTION credit.prudent_rate(bigint, bigint, float8) IS
'Upper bound of a default rate: with a higher rate, so few defaults would come about with a probability below 1 - confidence (binomial, customers independent; Pluto and Tasche 2005). Put in the counts of a grade together with those of all worse ones. 1 where all have defaulted.';
/*
 * Subject rating: grades of a master scale, the ratings given, overrides of
 * them, and how they move.
 *
 * Ratings are never changed: a newer one counts instead.  The rating in force
 * is that of a person while it lasts, else that of the model, else that of the
 * ERP, whose column (account.rating) is left alone.
 */

/* --- the master scale ---------------------------------------------------------- */

CREATE TABLE credit.rating_scale
(
	version		integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	grades		text[] NOT NULL,
	upper_pd	float8[] NOT NULL,
	grade_pd	float8[] NOT NULL,
	default_grade text NOT NULL,
	reason		text NOT NULL,
	made_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	made_by		text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE credit.rating_scale IS
'Master scales made by set_master_scale(), append-only: the newest counts. Version 0, which counts where there is none, is not in here: see scale().';
COMMENT ON COLUMN credit.rating_scale.version IS 'Number of the scale, rising.';
COMMENT ON COLUMN credit.rating_scale.grades IS 'Grades of customers not in default, the best first.';
COMMENT ON COLUMN credit.rating_scale.upper_pd IS 'Highest probability of default of each grade.';
COMMENT ON COLUMN credit.rating_scale.grade_pd IS 'Probability that stands for each grade.';
COMMENT ON COLUMN credit.rating_scale.default_grade IS 'Grade of customers in default.';
COMMENT ON COLUMN credit.rating_scale.reason IS 'Why it was made.';
COMMENT ON COLUMN credit.rating_scale.made_at IS 'When.';
COMMENT ON COLUMN credit.rating_scale.made_by IS 'Session user who made it.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.rating_scale
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
/*
 * What stands for a grade: the geometric mean of its bounds; half of the bound
 * of the first, whose other bound is 0; 20 % for the last one that begins
 * below that, whose mean would say what nobody has seen.
 */
CREATE FUNCTION credit.mean_grade_pd(upper_pd float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT array_agg(CASE WHEN g.n = 1 AND g.upper < 1 THEN g.upper / 2
					  WHEN g.n = cardinality(upper_pd) AND COALESCE(g.lower, 0) < 0.2 THEN 0.2
					  ELSE sqrt(g.lower * g.upper) END ORDER BY g.n)
  FROM (SELECT u.n, u.upper, lag(u.upper) OVER (ORDER BY u.n) AS lower
		  FROM unnest(upper_pd) WITH ORDINALITY u (upper, n)) g
$$;
COMMENT ON FUNCTION credit.mean_grade_pd(float8[]) IS
'Probability that stands for each grade of a scale with these bounds: the geometric mean of its bounds, half of the bound of the first, 20 % for the last.';
CREATE FUNCTION credit.scale
	(version integer DEFAULT NULL, OUT scale_version integer, OUT grades text[],
	 OUT upper_pd float8[], OUT grade_pd float8[], OUT default_grade text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT s.version, s.grades, s.upper_pd, s.grade_pd, s.default_grade
  FROM (SELECT r.version, r.grades, r.upper_pd, r.grade_pd, r.default_grade
		  FROM credit.rating_scale r
		UNION ALL
		SELECT 0, ARRAY['1', '2', '3', '4', '5', '6', '7', '8'],
			   ARRAY[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 1]::float8[],
			   credit.mean_grade_pd(ARRAY[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 1]::float8[]),
			   'D') s
 WHERE s.version = scale.version OR scale.version IS NULL
 ORDER BY s.version DESC LIMIT 1;
END;
COMMENT ON FUNCTION credit.scale(integer) IS
'A master scale as arrays, for statements over many customers; version NULL: the one in force. Version 0: grades 1 to 8 with bounds 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4 and 100 %, and D in default.';
CREATE FUNCTION credit.set_master_scale
	(grades text[], upper_pd float8[], reason text, default_grade text DEFAULT 'D',
	 grade_pd float8[] DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	n integer := cardinality(grades);
	means float8[] := COALESCE(grade_pd, credit.mean_grade_pd(upper_pd));
	id integer;
BEGIN
	IF COALESCE(n, 0) = 0 OR COALESCE(default_grade, '') = '' OR upper_pd IS NULL
	   OR array_ndims(grades) <> 1 OR array_ndims(upper_pd) IS DISTINCT FROM 1
	   OR array_ndims(means) IS DISTINCT FROM 1
	   OR array_lower(grades, 1) <> 1 OR array_lower(upper_pd, 1) <> 1 OR array_lower(means, 1) <> 1
	   OR cardinality(upper_pd) <> n OR cardinality(means) <> n THEN
		RAISE EXCEPTION 'a scale needs grades, as many bounds, as many probabilities if they are given, and a grade for default'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('There are %s grades, %s bounds and %s probabilities.', COALESCE(n, 0), COALESCE(cardinality(upper_pd), 0), COALESCE(cardinality(means), 0));
	END IF;
	IF EXISTS (SELECT FROM unnest(grades || default_grade) g GROUP BY g HAVING count(*) > 1 OR g IS NULL OR g = '') THEN
		RAISE EXCEPTION 'each grade of a scale has a name of its own'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF EXISTS (SELECT FROM (SELECT u.bound, lag(u.bound, 1, 0::float8) OVER (ORDER BY u.i) AS before FROM unnest(upper_pd) WITH ORDINALITY u (bound, i)) b
				WHERE NOT COALESCE(b.bound > b.before AND b.bound <= 1, false)) OR upper_pd[n] <> 1 THEN
		RAISE EXCEPTION 'bounds of a scale rise from grade to grade, from above 0 to 1'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'They are probabilities: 0.001 is 0.1 %. The last one is 1.';
	END IF;
	IF EXISTS (SELECT FROM (SELECT u.mean, u.bound, lag(u.bound, 1, 0::float8) OVER (ORDER BY u.i) AS before FROM unnest(means, upper_pd) WITH ORDINALITY u (mean, bound, i)) b
				WHERE NOT COALESCE(b.mean BETWEEN b.before AND b.bound, false)) THEN
		RAISE EXCEPTION 'the probability of a grade lies between its bounds'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF reason IS NULL OR reason !~ '\S' THEN
		RAISE EXCEPTION 'a scale is not changed without a reason'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	INSERT INTO credit.rating_scale (grades, upper_pd, grade_pd, default_grade, reason)
	VALUES (grades, upper_pd, means, default_grade, reason)
	RETURNING version INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.set_master_scale(text[], float8[], text, text, float8[]) IS
'Makes a new version of the master scale and returns its number: grades from the best on, their highest probabilities of default (the last one is 1), why, the grade of default, and the probability that stands for each grade (NULL: mean_grade_pd()). Ratings given before keep their grade.';
CREATE VIEW credit.master_scale AS
SELECT s.scale_version, g.rank::integer AS rank, g.grade,
	   CASE WHEN g.rank = 1 THEN 0 ELSE s.upper_pd[g.rank - 1] END AS lower_pd,
	   CASE WHEN g.grade = s.default_grade THEN 1 ELSE s.upper_pd[g.rank] END AS upper_pd,
	   CASE WHEN g.grade = s.default_grade THEN 1 ELSE s.grade_pd[g.rank] END AS grade_pd,
	   g.grade = s.default_grade AS is_default
  FROM credit.scale() s,
	   LATERAL unnest(s.grades || s.default_grade) WITH ORDINALITY g (grade, rank);
COMMENT ON VIEW credit.master_scale IS 'The master scale in force, the best grade first.';
COMMENT ON COLUMN credit.master_scale.scale_version IS 'Version of the scale; 0: the one that comes with the extension.';
COMMENT ON COLUMN credit.master_scale.rank IS 'Place of the grade, 1 is the best.';
COMMENT ON COLUMN credit.master_scale.grade IS 'Grade.';
COMMENT ON COLUMN credit.master_scale.lower_pd IS 'Probabilities of default of the grade are above this.';
COMMENT ON COLUMN credit.master_scale.upper_pd IS 'And not above this.';
COMMENT ON COLUMN credit.master_scale.grade_pd IS 'Probability that stands for the grade.';
COMMENT ON COLUMN credit.master_scale.is_default IS 'True: the grade of customers in default.';
CREATE FUNCTION credit.grade_position
	(pd float8, upper_pd float8[], old_position integer DEFAULT NULL, hysteresis float8 DEFAULT 0.1)
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_grade_position';
COMMENT ON FUNCTION credit.grade_position(float8, float8[], integer, float8) IS
'Place on a scale, 1 is the best: the first grade whose bound the probability does not exceed. With an old place, it changes only if the probability leaves that grade by more than the part hysteresis of the bound. NULL for NULL and NaN. For statements over many customers; scale() has the bounds.';
CREATE FUNCTION credit.grade_of(pd float8, old_grade text DEFAULT NULL, hysteresis float8 DEFAULT 0.1)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT s.grades[credit.grade_position(pd, s.upper_pd, array_position(s.grades, old_grade), hysteresis)]
  FROM credit.scale() s;
END;
COMMENT ON FUNCTION credit.grade_of(float8, text, float8) IS
'Grade of a probability of default on the master scale in force. With the old grade, it changes only if the probability leaves that grade by more than a tenth (hysteresis) of its bound; the grade of default and unknown ones hold nothing. NULL: unrated.';
CREATE FUNCTION credit.pd_of_grade(grade text) RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT CASE WHEN s.default_grade = pd_of_grade.grade THEN 1
			ELSE s.grade_pd[array_position(s.grades, pd_of_grade.grade)] END
  FROM credit.scale() s;
END;
COMMENT ON FUNCTION credit.pd_of_grade(text) IS
'Probability that stands for a grade of the master scale in force; NULL for a grade that is not on it.';
/* --- ratings given --------------------------------------------------------------- */

CREATE TABLE credit.rating_history
(
	rating_id	bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	customer	text COLLATE "C" NOT NULL,
	segment		text COLLATE "C" NOT NULL DEFAULT '',
	model		text COLLATE "C" NOT NULL,
	model_version text,
	is_challenger boolean NOT NULL DEFAULT false,
	score		float8,
	pd			float8,
	grade		text,
	scale_version integer,
	reasons		text[] NOT NULL DEFAULT '{}',
	valid_from	date NOT NULL,
	rated_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	rated_by	text NOT NULL DEFAULT SESSION_USER,
	CHECK (score > '-Infinity' AND score < 'Infinity'),
	CHECK (pd BETWEEN 0 AND 1),
	CHECK (isfinite(valid_from))
);
CREATE INDEX rating_history_customer ON credit.rating_history (customer, segment, valid_from, rating_id);
COMMENT ON TABLE credit.rating_history IS
'Every rating that a model gave, append-only: made by record_rating() or rating runs. The rating in force: view rating.';
COMMENT ON COLUMN credit.rating_history.rating_id IS 'Own key; of two ratings of one day the later counts.';
COMMENT ON COLUMN credit.rating_history.customer IS 'Key of the customer in the ERP, as in account.';
COMMENT ON COLUMN credit.rating_history.segment IS 'Segment, as in account.';
COMMENT ON COLUMN credit.rating_history.model IS 'Model that gave it.';
COMMENT ON COLUMN credit.rating_history.model_version IS 'Version of the model.';
COMMENT ON COLUMN credit.rating_history.is_challenger IS 'True: of a model on trial, not counted.';
COMMENT ON COLUMN credit.rating_history.score IS 'Score, on the scale of the model.';
COMMENT ON COLUMN credit.rating_history.pd IS 'Probability of default within a year, 0 to 1.';
COMMENT ON COLUMN credit.rating_history.grade IS 'Grade; NULL: unrated.';
COMMENT ON COLUMN credit.rating_history.scale_version IS 'Version of the master scale the grade is from.';
COMMENT ON COLUMN credit.rating_history.reasons IS 'Why it is no better, the strongest first.';
COMMENT ON COLUMN credit.rating_history.valid_from IS 'First day on which it counts.';
COMMENT ON COLUMN credit.rating_history.rated_at IS 'When it was given.';
COMMENT ON COLUMN credit.rating_history.rated_by IS 'Session user who ran it.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.rating_history
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.record_rating
	(customer text, model text, pd float8, score float8 DEFAULT NULL,
	 reasons text[] DEFAULT '{}', is_default boolean DEFAULT false,
	 valid_from date DEFAULT NULL, model_version text DEFAULT NULL,
	 is_challenger boolean DEFAULT false, segment text DEFAULT '',
	 hysteresis float8 DEFAULT 0.1)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	first_day date := COALESCE(valid_from, credit.today());
	sound_pd float8 := NULLIF(pd, 'NaN');
	sound_score float8 := NULLIF(score, 'NaN');
	old_grade text;
	new_grade text;
	scale record;
BEGIN
	IF customer IS NULL OR segment IS NULL OR COALESCE(model, '') = '' THEN
		RAISE EXCEPTION 'a rating needs a customer, a segment and a model'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF sound_score IN ('Infinity', '-Infinity') OR NOT isfinite(first_day) THEN
		RAISE EXCEPTION 'score and day of a rating must be finite'
			USING ERRCODE = 'numeric_value_out_of_range';
	END IF;
	SELECT * INTO scale FROM credit.scale();
	/* a grade of another scale may have the same name and mean something else */
	SELECT CASE WHEN h.scale_version = scale.scale_version THEN h.grade END INTO old_grade
	  FROM credit.rating_history h
	 WHERE h.customer = customer AND h.segment = segment AND h.model = model
	   AND h.is_challenger = COALESCE(is_challenger, false) AND h.valid_from <= first_day
	 ORDER BY h.valid_from DESC, h.rating_id DESC LIMIT 1;
	new_grade := CASE WHEN is_default THEN scale.default_grade
		ELSE scale.grades[credit.grade_position(sound_pd, scale.upper_pd, array_position(scale.grades, old_grade), hysteresis)] END;
	INSERT INTO credit.rating_history
		(customer, segment, model, model_version, is_challenger, score, pd, grade,
		 scale_version, reasons, valid_from)
	VALUES
		(customer, segment, model, model_version, COALESCE(is_challenger, false), sound_score,
		 CASE WHEN is_default THEN 1 ELSE sound_pd END, new_grade, scale.scale_version,
		 COALESCE(reasons, '{}'), first_day);
	RETURN new_grade;
END
$$;
COMMENT ON FUNCTION credit.record_rating(text, text, float8, float8, text[], boolean, date, text, boolean, text, float8) IS
'Writes down a rating and returns its grade: that of the probability on the master scale in force, with hysteresis against the former rating of the same model; the grade of default with is_default; NULL (unrated) without a probability. valid_from NULL: today. is_challenger: kept beside, not counted.';
CREATE FUNCTION credit.model_ratings_on(as_of date)
RETURNS TABLE (customer text, segment text, model text, is_challenger boolean, model_version text,
			   score float8, pd float8, grade text, rank integer, reasons text[], rated_on date,
			   rated_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT h.customer, h.segment, h.model, h.is_challenger, h.model_version, h.score, h.pd, h.grade,
	   CASE WHEN h.scale_version = s.scale_version
			THEN array_position(s.grades || s.default_grade, h.grade) END,
	   h.reasons, h.valid_from, h.rated_at
  FROM credit.scale() s,
	   (SELECT DISTINCT ON (r.customer, r.segment, r.model, r.is_challenger) r.*
		  FROM credit.rating_history r
		 WHERE r.valid_from <= as_of
		 ORDER BY r.customer DESC, r.segment DESC, r.model DESC, r.is_challenger DESC,
				  r.valid_from DESC, r.rating_id DESC) h;
END;
COMMENT ON FUNCTION credit.model_ratings_on(date) IS
'The newest rating that each model, counted or on trial, had given to each customer by a day.';
CREATE VIEW credit.model_rating AS
SELECT r.customer COLLATE "C" AS customer, r.segment COLLATE "C" AS segment,
	   r.model COLLATE "C" AS model, r.is_challenger, r.model_version, r.score, r.pd, r.grade,
	   r.rank, r.reasons, r.rated_on, r.rated_at
  FROM credit.model_ratings_on(credit.as_of()) r;
COMMENT ON VIEW credit.model_rating IS
'The newest rating of each model for each customer, models on trial beside the others; follows credit.as_of. The one in force: view rating.';
COMMENT ON COLUMN credit.model_rating.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.model_rating.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.model_rating.model IS 'Model.';
COMMENT ON COLUMN credit.model_rating.is_challenger IS 'True: of a model on trial, not counted.';
COMMENT ON COLUMN credit.model_rating.model_version IS 'Version of the model.';
COMMENT ON COLUMN credit.model_rating.score IS 'Score, on the scale of the model.';
COMMENT ON COLUMN credit.model_rating.pd IS 'Probability of default within a year, 0 to 1.';
COMMENT ON COLUMN credit.model_rating.grade IS 'Grade; NULL: unrated.';
COMMENT ON COLUMN credit.model_rating.rank IS 'Its place on the master scale in force, 1 is the best: the old place for grade_position(). NULL where the grade is of another version of the scale.';
COMMENT ON COLUMN credit.model_rating.reasons IS 'Why it is no better, the strongest first.';
COMMENT ON COLUMN credit.model_rating.rated_on IS 'First day on which it counts.';
COMMENT ON COLUMN credit.model_rating.rated_at IS 'When it was given.';
/* --- overrides --------------------------------------------------------------------- */

CREATE TABLE credit.rating_override
(
	rating_override_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	customer	text COLLATE "C" NOT NULL,
	segment		text COLLATE "C" NOT NULL DEFAULT '',
	grade		text,
	reason		text NOT NULL,
	valid_from	date NOT NULL,
	expires_on	date,
	set_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	set_by		text NOT NULL DEFAULT SESSION_USER,
	CHECK (isfinite(valid_from)),
	CHECK (CASE WHEN grade IS NULL THEN expires_on IS NULL ELSE expires_on >= valid_from AND isfinite(expires_on) END)
);
CREATE INDEX rating_override_customer ON credit.rating_override (customer, segment, rating_override_id);
COMMENT ON TABLE credit.rating_override IS
'Every rating that a person set in place of the model''s, and every end of one, append-only: made by set_rating_override(). The newest of a customer counts.';
COMMENT ON COLUMN credit.rating_override.rating_override_id IS 'Own key.';
COMMENT ON COLUMN credit.rating_override.customer IS 'Key of the customer in the ERP, as in account.';
COMMENT ON COLUMN credit.rating_override.segment IS 'Segment, as in account.';
COMMENT ON COLUMN credit.rating_override.grade IS 'Grade; NULL: the override before it has been ended.';
COMMENT ON COLUMN credit.rating_override.reason IS 'Why.';
COMMENT ON COLUMN credit.rating_override.valid_from IS 'First day on which it counts: that of set_at.';
COMMENT ON COLUMN credit.rating_override.expires_on IS 'Last day on which it counts.';
COMMENT ON COLUMN credit.rating_override.set_at IS 'When it was set.';
COMMENT ON COLUMN credit.rating_override.set_by IS 'Session user who set it.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.rating_override
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.set_rating_override
	(customer text, grade text, reason text, expires_on date, segment text DEFAULT '')
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	today date := credit.today();
	id bigint;
BEGIN
	IF customer IS NULL OR segment IS NULL THEN
		RAISE EXCEPTION 'an override needs a customer and a segment'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF reason IS NULL OR reason !~ '\S' THEN
		RAISE EXCEPTION 'a rating is not overridden without a reason'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF NOT EXISTS (SELECT FROM credit.account a WHERE a.customer = customer AND a.segment = segment)
	   AND NOT EXISTS (SELECT FROM credit.rating_history h WHERE h.customer = customer AND h.segment = segment) THEN
		RAISE EXCEPTION 'there is no customer % in segment "%", neither in the ledger nor rated', customer, segment
			USING ERRCODE = 'no_data_found';
	END IF;
	IF grade IS NULL THEN
		IF NOT EXISTS (SELECT FROM credit.rating_overrides_on(today) o WHERE o.customer = customer AND o.segment = segment) THEN
			RAISE EXCEPTION 'there is no override of customer % to end', customer
				USING ERRCODE = 'no_data_found';
		END IF;
		expires_on := NULL;
	ELSIF credit.pd_of_grade(grade) IS NULL THEN
		RAISE EXCEPTION 'grade "%" is not on the master scale', grade
			USING ERRCODE = 'invalid_parameter_value', HINT = 'View credit.master_scale has the grades.';
	ELSIF expires_on IS NULL OR NOT isfinite(expires_on) OR expires_on < today THEN
		RAISE EXCEPTION 'an override ends on a day that is not past'
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Give expires_on; set it anew when it is reviewed.';
	END IF;
	INSERT INTO credit.rating_override (customer, segment, grade, reason, valid_from, expires_on)
	VALUES (customer, segment, grade, reason, today, expires_on)
	RETURNING rating_override_id INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.set_rating_override(text, text, text, date, text) IS
'Sets the rating of a customer in place of the model''s, up to and with a day; grade NULL ends it before. Who, when and why is kept. Returns its number.';
CREATE FUNCTION credit.rating_overrides_on(as_of date)
RETURNS TABLE (customer text, segment text, rating_override_id bigint, grade text, reason text,
			   valid_from date, expires_on date, set_at timestamptz, set_by text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT o.customer, o.segment, o.rating_override_id, o.grade, o.reason, o.valid_from, o.expires_on,
	   o.set_at, o.set_by
  FROM (SELECT DISTINCT ON (r.customer, r.segment) r.*
		  FROM credit.rating_override r
		 WHERE r.valid_from <= as_of
		 ORDER BY r.customer DESC, r.segment DESC, r.rating_override_id DESC) o
 WHERE o.grade IS NOT NULL AND o.expires_on >= as_of;
END;
COMMENT ON FUNCTION credit.rating_overrides_on(date) IS
'Overrides in force on a day: the newest of each customer, if it has not ended.';
/* --- the rating in force ------------------------------------------------------------- */

CREATE FUNCTION credit.ratings_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, grade text, rank integer, pd float8,
			   origin text, model text, model_version text, score float8, model_grade text,
			   model_pd float8, rated_on date, reasons text[], override_reason text,
			   override_by text, expires_on date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT q.customer, q.segment, q.name, q.grade,
	   array_position(s.grades || s.default_grade, q.grade),
	   CASE WHEN q.origin = 'model' AND q.model_pd IS NOT NULL THEN q.model_pd
			WHEN q.grade = s.default_grade THEN 1
			ELSE s.grade_pd[array_position(s.grades, q.grade)] END,
	   q.origin, q.model, q.model_version, q.score, q.model_grade, q.model_pd, q.valid_from,
	   q.reasons, q.reason, q.set_by, q.expires_on
  FROM credit.scale() s,
	   (SELECT k.customer, k.segment, a.name, COALESCE(o.grade, m.grade, a.rating) AS grade,
			   CASE WHEN o.grade IS NOT NULL THEN 'override' WHEN m.grade IS NOT NULL THEN 'model'
					WHEN a.rating IS NOT NULL THEN 'erp' END AS origin,
			   m.model, m.model_version, m.score, m.grade AS model_grade, m.pd AS model_pd,
			   m.valid_from, m.reasons, o.reason, o.set_by, o.expires_on
		  /* not full joins: a customer that is asked for must be found by index in each */
		  FROM (SELECT c.customer, c.segment FROM credit.account c
				UNION
				SELECT h.customer, h.segment FROM credit.rating_history h
				 WHERE h.valid_from <= as_of AND NOT h.is_challenger
				UNION
				SELECT r.customer, r.segment FROM credit.rating_override r
				 WHERE r.valid_from <= as_of) k
		  LEFT JOIN credit.account a ON a.customer = k.customer AND a.segment = k.segment
		  LEFT JOIN (SELECT DISTINCT ON (h.customer, h.segment) h.*
					   FROM credit.rating_history h
					  WHERE h.valid_from <= as_of AND NOT h.is_challenger
					  ORDER BY h.customer DESC, h.segment DESC, h.valid_from DESC, h.rating_id DESC) m
			ON m.customer = k.customer AND m.segment = k.segment
		  LEFT JOIN credit.rating_overrides_on(as_of) o
			ON o.customer COLLATE "C" = k.customer AND o.segment COLLATE "C" = k.segment) q;
END;
COMMENT ON FUNCTION credit.ratings_on(date) IS
'The rating of each customer in force on a day. Ratings of the ERP are known as they are today only.';
CREATE VIEW credit.rating AS
SELECT r.customer COLLATE "C" AS customer, r.segment COLLATE "C" AS segment, r.name,
	   r.grade, r.rank, r.pd, r.origin, r.model, r.model_version, r.score, r.model_grade, r.model_pd, r.rated_on, r.reasons, r.override_reason,
	   r.override_by, r.expires_on
  FROM credit.ratings_on(credit.as_of()) r;
COMMENT ON VIEW credit.rating IS
'The rating of each customer in force: an override while it lasts, else that of the model, else that of the ERP; follows credit.as_of.';
COMMENT ON COLUMN credit.rating.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.rating.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.rating.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.rating.grade IS 'Grade in force; NULL: unrated.';
COMMENT ON COLUMN credit.rating.rank IS 'Its place on the master scale in force, 1 is the best; NULL where it is not on it.';
COMMENT ON COLUMN credit.rating.pd IS 'Probability of default within a year: that of the model, or what stands for the grade.';
COMMENT ON COLUMN credit.rating.origin IS 'Where the grade comes from: override, model or erp.';
COMMENT ON COLUMN credit.rating.model IS 'Model that rated last; NULL: none has.';
COMMENT ON COLUMN credit.rating.model_version IS 'Its version.';
COMMENT ON COLUMN credit.rating.score IS 'Score of the model.';
COMMENT ON COLUMN credit.rating.model_grade IS 'Grade of the model, whatever is in force.';
COMMENT ON COLUMN credit.rating.model_pd IS 'Probability of the model.';
COMMENT ON COLUMN credit.rating.rated_on IS 'Day from which the rating of the model counts.';
COMMENT ON COLUMN credit.rating.reasons IS 'Why the model says no better, the strongest first.';
COMMENT ON COLUMN credit.rating.override_reason IS 'Why a person set another grade.';
COMMENT ON COLUMN credit.rating.override_by IS 'Who did.';
COMMENT ON COLUMN credit.rating.expires_on IS 'Last day of the override.';
/* --- how ratings move ------------------------------------------------------------------ */

CREATE FUNCTION credit.rating_changes_between(from_day date, to_day date)
RETURNS TABLE (customer text, segment text, name text, from_grade text, to_grade text,
			   from_rank integer, to_rank integer, notches integer)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT COALESCE(t.customer, f.customer), COALESCE(t.segment, f.segment), COALESCE(t.name, f.name),
	   f.grade, t.grade, f.rank, t.rank, t.rank - f.rank
  FROM (SELECT r.* FROM credit.ratings_on(from_day) r WHERE r.grade IS NOT NULL) f
  FULL JOIN (SELECT r.* FROM credit.ratings_on(to_day) r WHERE r.grade IS NOT NULL) t
	ON t.customer COLLATE "C" = f.customer AND t.segment COLLATE "C" = f.segment;
END;
COMMENT ON FUNCTION credit.rating_changes_between(date, date) IS
'Ratings in force on two days, of customers rated on one of them. notches: places on the master scale in force, above 0 a downgrade.';
CREATE FUNCTION credit.rating_migration_between(from_day date, to_day date)
RETURNS TABLE (from_grade text, to_grade text, from_rank integer, to_rank integer, n bigint, share float8)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 50
BEGIN ATOMIC
SELECT c.from_grade, c.to_grade, c.from_rank, c.to_rank, count(*),
	   count(*) / (sum(count(*)) OVER (PARTITION BY c.from_grade))::float8
  FROM credit.rating_changes_between(from_day, to_day) c
 GROUP BY c.from_grade, c.to_grade, c.from_rank, c.to_rank
 ORDER BY c.from_rank, c.from_grade, c.to_rank, c.to_grade;
END;
COMMENT ON FUNCTION credit.rating_migration_between(date, date) IS
'How many customers went from which grade to which between two days, and which share of those that were in the first. NULL: unrated.';
CREATE VIEW credit.rating_migration AS
SELECT m.from_grade, m.to_grade, m.from_rank, m.to_rank, m.n, m.share
  FROM credit.rating_migration_between((credit.as_of() - interval '12 months')::date, credit.as_of()) m;
COMMENT ON VIEW credit.rating_migration IS
'Migration of ratings within the twelve months before the as-of date; follows credit.as_of.';
COMMENT ON COLUMN credit.rating_migration.from_grade IS 'Grade twelve months before; NULL: unrated.';
COMMENT ON COLUMN credit.rating_migration.to_grade IS 'Grade on the as-of date; NULL: unrated.';
COMMENT ON COLUMN credit.rating_migration.from_rank IS 'Place of the first on the master scale in force.';
COMMENT ON COLUMN credit.rating_migration.to_rank IS 'Place of the second.';
COMMENT ON COLUMN credit.rating_migration.n IS 'Number of customers.';
COMMENT ON COLUMN credit.rating_migration.share IS 'Their share of all that were in from_grade.';
/* --- against the bureaus ------------------------------------------------------------------ */

CREATE FUNCTION credit.rating_checks_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, provider text, report_date date,
			   grade text, rank integer, bureau_grade text, bureau_rank integer,
			   notches integer, is_review boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT q.customer, q.segment, q.name, q.provider, q.report_date, q.grade, q.rank,
	   s.grades[q.bureau_rank], q.bureau_rank, q.bureau_rank - q.rank,
	   abs(q.bureau_rank - q.rank) >= 2
  FROM credit.scale() s,
	   LATERAL (SELECT r.customer, r.segment, r.name, r.grade, r.rank, b.provider, b.report_date,
					   credit.grade_position(b.probability, s.upper_pd) AS bureau_rank,
					   row_number() OVER (PARTITION BY r.customer, r.segment, b.provider ORDER BY b.segment DESC) AS choice
				  FROM credit.ratings_on(as_of) r
				  JOIN credit.bureau_reports_on(as_of) b
					ON b.customer COLLATE "C" = r.customer
				   AND (b.segment COLLATE "C" = r.segment OR b.segment = '')
				 WHERE r.rank IS NOT NULL AND b.probability IS NOT NULL AND NOT b.is_stale) q
 WHERE q.choice = 1;
END;
COMMENT ON FUNCTION credit.rating_checks_on(date) IS
'Ratings in force on a day beside the reports of bureaus that were not stale, both on the master scale in force by their probability.';
CREATE VIEW credit.rating_check AS
SELECT c.customer COLLATE "C" AS customer, c.segment COLLATE "C" AS segment, c.name, c.provider, c.report_date, c.grade, c.rank, c.bureau_grade,
	   c.bureau_rank, c.notches, c.is_review
  FROM credit.rating_checks_on(credit.as_of()) c;
COMMENT ON VIEW credit.rating_check IS
'Our rating of each customer beside that of each bureau, by its probability on our scale; follows credit.as_of. Aggregates agreement() and agreement_table() over rank and bureau_rank say how far they agree.';
COMMENT ON COLUMN credit.rating_check.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.rating_check.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.rating_check.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.rating_check.provider IS 'Bureau.';
COMMENT ON COLUMN credit.rating_check.report_date IS 'Day of its report.';
COMMENT ON COLUMN credit.rating_check.grade IS 'Our grade in force.';
COMMENT ON COLUMN credit.rating_check.rank IS 'Its place on the master scale in force.';
COMMENT ON COLUMN credit.rating_check.bureau_grade IS 'Grade of the bureau''s probability.';
COMMENT ON COLUMN credit.rating_check.bureau_rank IS 'Its place.';
COMMENT ON COLUMN credit.rating_check.notches IS 'Places of the bureau less ours: above 0, the bureau is more careful.';
COMMENT ON COLUMN credit.rating_check.is_review IS 'True: two notches or more, to be looked at.';
/*
 * Subject payment: how the customers of the ledger pay.  What was settled on
 * which day, of debts that say so and of those where it has to be worked out,
 * and profiles over it.  The measures are those of payment_profile().
 */

/*
 * Every function comes twice: NAME_of() looks at one account, by the indexes
 * of its documents, and NAME_on() goes through the accounts with it.  So one
 * customer of a view costs what that customer has, which no query over all
 * accounts that groups or numbers rows could promise.
 */

/* In the sign of the balance, before anything is allocated. */
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
 * Where nobody says what pays what: equal amounts pay each other, the n-th the
 * n-th; then both sides are laid out one behind the other, the oldest first,
 * and what lies opposite pays.
 */
CREATE FUNCTION credit.allocations_of(of_account bigint, as_of date)
RETURNS TABLE (source_id integer, key text, payment_source_id integer, payment_key text,
			   settled_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
WITH numbered AS
	(SELECT o.source_id, o.key, o.currency, abs(o.open_amount) AS amount, o.open_amount < 0 AS pays,
			o.due_date, o.day,
			row_number() OVER (PARTITION BY o.currency, o.open_amount
							   ORDER BY o.due_date, o.source_id, o.key COLLATE "C") AS number
	   FROM credit.unallocated_of(of_account, as_of) o
	  WHERE CASE WHEN o.open_amount < 0 THEN o.rule = 'allocated' ELSE o.rule <> 'stated' END),
/* a debt and a payment of one amount and number make a pair */
matched AS
	(SELECT n.*, count(*) OVER pair = 2 AS is_equal,
			max(n.source_id) FILTER (WHERE n.pays) OVER pair AS payment_source_id,
			max(n.key) FILTER (WHERE n.pays) OVER pair AS payment_key,
			max(n.day) FILTER (WHERE n.pays) OVER pair AS payment_day
	   FROM numbered n
	 WINDOW pair AS (PARTITION BY n.currency, n.amount, n.number)),
laid_out AS
	(SELECT m.currency, m.pays, m.source_id, m.key, m.day,
			sum(m.amount) OVER w AS upto
	   FROM matched m
	  WHERE NOT m.is_equal
	 WINDOW w AS (PARTITION BY m.currency, m.pays ORDER BY m.due_date, m.source_id, m.key COLLATE "C")),
/* between two ends, of whichever side, the next debt lies opposite the next payment */
piece AS
	(SELECT l.*, l.upto - COALESCE(lag(l.upto) OVER w, 0) AS amount,
			count(*) FILTER (WHERE NOT l.pays) OVER before AS debts,
			count(*) FILTER (WHERE l.pays) OVER before AS payments
	   FROM laid_out l
	 WINDOW w AS (PARTITION BY l.currency ORDER BY l.upto, l.pays),
			before AS (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
pair AS
	(SELECT e.currency, e.amount,
			max(e.source_id) FILTER (WHERE NOT e.pays) OVER debt AS source_id,
			max(e.key) FILTER (WHERE NOT e.pays) OVER debt AS key,
			max(e.source_id) FILTER (WHERE e.pays) OVER payment AS payment_source_id,
			max(e.key) FILTER (WHERE e.pays) OVER payment AS payment_key,
			max(e.day) FILTER (WHERE e.pays) OVER payment AS day
	   FROM piece e
	 WINDOW debt AS (PARTITION BY e.currency, e.debts), payment AS (PARTITION BY e.currency, e.payments))
SELECT m.source_id, m.key, m.payment_source_id, m.payment_key, m.payment_day, m.amount
  FROM matched m
 WHERE m.is_equal AND NOT m.pays
UNION ALL
SELECT p.source_id, p.key, p.payment_source_id, p.payment_key, p.day, p.amount
  FROM pair p
 WHERE p.amount > 0 AND p.key IS NOT NULL AND p.payment_key IS NOT NULL;
END;
COMMENT ON FUNCTION credit.allocations_of(bigint, date) IS
'Which payment pays which debt of one account, where the ERP does not say it: equal amounts first, then the oldest due. Worked out from what is known now, never stored.';
CREATE FUNCTION credit.allocations_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (source_id integer, key text, payment_source_id integer, payment_key text,
			   settled_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT l.source_id, l.key, l.payment_source_id, l.payment_key, l.settled_on, l.amount
  FROM credit.account a
 CROSS JOIN LATERAL credit.allocations_of(a.account_id, as_of) l
 WHERE of_account IS NULL OR a.account_id = of_account;
END;
COMMENT ON FUNCTION credit.allocations_on(date, bigint) IS
'Which payment pays which debt, of all accounts or of one, where the ERP does not say it; see allocations_of().';
CREATE FUNCTION credit.settlements_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, settled_on date, amount numeric,
			   kind text, payment_source_id integer, payment_key text,
			   document_date date, due_date date, debt numeric, is_allocated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH allocated AS
	(SELECT l.* FROM credit.allocations_of(of_account, as_of) l
	  /* needs_allocation(), which would be planned anew for each account */
	  WHERE EXISTS (SELECT FROM credit.settlement_rule r
					 WHERE r.rule = 'allocated' AND r.kind IN ('payment', 'credit_note', 'receivable')))
SELECT i.currency, i.source_id, i.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount, false
  FROM credit.item i
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.source s ON s.source_id = i.source_id
 CROSS JOIN LATERAL
	   (SELECT t.settled_on, t.amount, t.kind, t.payment_source_id, t.payment_key
		  FROM credit.settlement t
		 WHERE t.source_id = i.source_id AND t.key = i.key
		   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
		 OFFSET 0) t
 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
   AND s.kind IN ('invoice', 'receivable') AND i.amount IS NOT NULL
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
UNION ALL
SELECT i.currency, l.source_id, l.key, l.settled_on, l.amount,
	   CASE WHEN p.is_write_off THEN 'write_off' ELSE s.kind END, l.payment_source_id, l.payment_key,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount, true
  FROM allocated l
  JOIN credit.item i ON i.source_id = l.source_id AND i.key = l.key
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.item p ON p.source_id = l.payment_source_id AND p.key = l.payment_key
  JOIN credit.source s ON s.source_id = l.payment_source_id;
END;
COMMENT ON FUNCTION credit.settlements_of(bigint, date) IS
'What was settled of which debt of one account up to a day, by what. settled_on NULL: before the source was attached. debt: amount of the debt. is_allocated: nobody says so, it is worked out.';
CREATE FUNCTION credit.settlements_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text, settled_on date,
			   amount numeric, kind text, payment_source_id integer, payment_key text)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* of all accounts by hash, of one by its indexes */
SELECT i.account_id, i.currency, t.source_id, t.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key
  FROM credit.settlement t
  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
  JOIN credit.source s ON s.source_id = i.source_id
 WHERE of_account IS NULL
   AND (t.settled_on <= as_of OR t.settled_on IS NULL)
   AND s.kind IN ('invoice', 'receivable') AND i.amount IS NOT NULL
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
UNION ALL
SELECT a.account_id, t.currency, t.source_id, t.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key
  FROM credit.account a
 CROSS JOIN LATERAL credit.settlements_of(a.account_id, as_of) t
 WHERE of_account IS NULL AND credit.needs_allocation() AND t.is_allocated
UNION ALL
SELECT of_account, t.currency, t.source_id, t.key, t.settled_on, t.amount, t.kind,
	   t.payment_source_id, t.payment_key
  FROM credit.settlements_of(of_account, as_of) t
 WHERE of_account IS NOT NULL;
END;
COMMENT ON FUNCTION credit.settlements_on(date, bigint) IS
'What was settled of which debt dated up to a day, by what; of all accounts or of one. settled_on is the day of the payment or application, also where the debt came later; NULL: before the source was attached.';
/*
 * The day on which nothing was open any more is the first one from which on the
 * settlements have made up the debt: a payment that was returned and came again
 * does not count with its first day, one that came on top not with its own.  An
 * unknown day is before all others.
 */
CREATE FUNCTION credit.debts_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, amount numeric,
			   document_date date, due_date date, open_amount numeric, paid_amount numeric,
			   credited_amount numeric, settled_on date, is_cash boolean, is_dated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH by_day AS
	(SELECT q.currency, q.source_id, q.key, q.amount, q.document_date, q.due_date, q.day,
			sum(q.settled) AS settled, sum(q.paid) AS paid, sum(q.credited) AS credited,
			sum(sum(q.settled)) OVER (PARTITION BY q.source_id, q.key ORDER BY q.day) AS upto
	   FROM (SELECT i.currency, i.source_id, i.key, i.amount,
					COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
					COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
					date '-infinity' AS day, 0::numeric AS settled, 0::numeric AS paid, 0::numeric AS credited
			   FROM credit.item i
			   JOIN credit.account a ON a.account_id = i.account_id
			   JOIN credit.source s ON s.source_id = i.source_id
			  WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
				AND s.kind IN ('invoice', 'receivable') AND i.amount > 0
				AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
				AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
			 UNION ALL
			 SELECT t.currency, t.source_id, t.key, t.debt, t.document_date, t.due_date,
					COALESCE(t.settled_on, '-infinity'), t.amount,
					CASE WHEN t.kind NOT IN ('credit_note', 'write_off') THEN t.amount ELSE 0 END,
					CASE WHEN t.kind = 'credit_note' THEN t.amount ELSE 0 END
			   FROM credit.settlements_of(of_account, as_of) t
			  WHERE t.debt > 0) q
	  GROUP BY q.currency, q.source_id, q.key, q.amount, q.document_date, q.due_date, q.day),
marked AS
	(SELECT d.*, max(d.day) FILTER (WHERE d.upto < d.amount) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d)
SELECT d.currency, d.source_id, d.key, d.amount, d.document_date, d.due_date,
	   d.amount - d.settled, d.paid, d.credited, NULLIF(d.settled_on, '-infinity'), d.paid <> 0,
	   d.settled_on IS DISTINCT FROM '-infinity'
  FROM (SELECT m.currency, m.source_id, m.key, m.amount, m.document_date, m.due_date,
			   sum(m.settled) AS settled, sum(m.paid) AS paid, sum(m.credited) AS credited,
			   min(m.day) FILTER (WHERE m.upto >= m.amount AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
		  FROM marked m
		 GROUP BY m.currency, m.source_id, m.key, m.amount, m.document_date, m.due_date) d;
END;
COMMENT ON FUNCTION credit.debts_of(bigint, date) IS
'Every debt of one account dated up to a day: what was open of it then, and the day on which nothing was open any more. is_cash: some of it was paid, not only credited or written off; is_dated false: it was settled before its source was attached, nobody knows when.';
CREATE FUNCTION credit.debts_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text, amount numeric,
			   document_date date, due_date date, open_amount numeric, paid_amount numeric,
			   settled_on date, is_cash boolean, is_dated boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
/* of all accounts set by set, as debts_of() has it for one */
WITH by_day AS
	(SELECT t.source_id, t.key, COALESCE(t.settled_on, '-infinity') AS day, sum(t.amount) AS settled,
			sum(CASE WHEN t.kind NOT IN ('credit_note', 'write_off') THEN t.amount ELSE 0 END) AS paid,
			sum(sum(t.amount)) OVER (PARTITION BY t.source_id, t.key ORDER BY COALESCE(t.settled_on, '-infinity')) AS upto
	   FROM credit.settlements_on(as_of) t
	  WHERE of_account IS NULL
	  GROUP BY t.source_id, t.key, COALESCE(t.settled_on, '-infinity')),
marked AS
	(SELECT d.*, i.amount, max(d.day) FILTER (WHERE d.upto < i.amount) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d
	   JOIN credit.item i ON i.source_id = d.source_id AND i.key = d.key),
settled AS
	(SELECT m.source_id, m.key, sum(m.settled) AS settled, sum(m.paid) AS paid,
			min(m.day) FILTER (WHERE m.upto >= m.amount AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
	   FROM marked m
	  GROUP BY m.source_id, m.key)
SELECT i.account_id, i.currency, i.source_id, i.key, i.amount,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   i.amount - COALESCE(t.settled, 0), COALESCE(t.paid, 0), NULLIF(t.settled_on, '-infinity'),
	   COALESCE(t.paid, 0) <> 0, t.settled_on IS DISTINCT FROM '-infinity'
  FROM credit.item i
  JOIN credit.source s ON s.source_id = i.source_id
  JOIN credit.account a ON a.account_id = i.account_id
  LEFT JOIN settled t ON t.source_id = i.source_id AND t.key = i.key
 WHERE of_account IS NULL
   AND s.kind IN ('invoice', 'receivable') AND i.amount > 0
   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
UNION ALL
SELECT of_account, d.currency, d.source_id, d.key, d.amount, d.document_date, d.due_date,
	   d.open_amount, d.paid_amount, d.settled_on, d.is_cash, d.is_dated
  FROM credit.debts_of(of_account, as_of) d
 WHERE of_account IS NOT NULL;
END;
COMMENT ON FUNCTION credit.debts_on(date, bigint) IS
'Every debt dated up to a day, of all accounts or of one; see debts_of().';
/*
 * One row per payment of a debt and day.  A correction cancels the row that it
 * corrects, a return takes away the latest that the same payment had paid of
 * the debt: what a day adds for good is what it adds to the least of all sums
 * from it on.
 */
CREATE FUNCTION credit.paid_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, debt numeric, document_date date,
			   due_date date, paid_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT q.currency, q.source_id, q.key, q.debt, q.document_date, q.due_date, q.day, q.amount
  FROM (SELECT f.*, f.lasting - COALESCE(lag(f.lasting) OVER (PARTITION BY f.source_id, f.key, f.payment_source_id, f.payment_key
															  ORDER BY f.day), 0) AS amount
		  FROM (SELECT u.*, min(u.upto) OVER (PARTITION BY u.source_id, u.key, u.payment_source_id, u.payment_key
											  ORDER BY u.day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lasting
				  FROM (SELECT t.currency, t.source_id, t.key, t.debt, t.document_date, t.due_date,
							   t.payment_source_id, t.payment_key,
							   COALESCE(t.settled_on, '-infinity') AS day,
							   sum(sum(t.amount)) OVER (PARTITION BY t.source_id, t.key, t.payment_source_id, t.payment_key
														ORDER BY COALESCE(t.settled_on, '-infinity')) AS upto
						  FROM credit.settlements_of(of_account, as_of) t
						 WHERE t.kind NOT IN ('credit_note', 'write_off') AND t.debt > 0
						 GROUP BY t.currency, t.source_id, t.key, t.debt, t.document_date, t.due_date,
								  t.payment_source_id, t.payment_key, COALESCE(t.settled_on, '-infinity')) u) f) q
 WHERE q.amount > 0;
END;
COMMENT ON FUNCTION credit.paid_of(bigint, date) IS
'What was paid of each debt of one account on which day, without credit notes and write-offs, and without payments that were returned. paid_on -infinity: before the source was attached.';
/* The same of all accounts, set by set. */
CREATE FUNCTION credit.paid_on(as_of date)
RETURNS TABLE (account_id bigint, currency text, source_id integer, key text,
			   document_date date, due_date date, paid_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
WITH by_day AS
	(SELECT t.account_id, t.currency, t.source_id, t.key, t.payment_source_id, t.payment_key,
			COALESCE(t.settled_on, '-infinity') AS day,
			sum(sum(t.amount)) OVER (PARTITION BY t.source_id, t.key, t.payment_source_id, t.payment_key
									 ORDER BY COALESCE(t.settled_on, '-infinity')) AS upto
	   FROM credit.settlements_on(paid_on.as_of) t
	  WHERE t.kind NOT IN ('credit_note', 'write_off')
	  GROUP BY t.account_id, t.currency, t.source_id, t.key, t.payment_source_id, t.payment_key,
			   COALESCE(t.settled_on, '-infinity')),
lasting AS
	(SELECT u.*, min(u.upto) OVER (PARTITION BY u.source_id, u.key, u.payment_source_id, u.payment_key
								   ORDER BY u.day ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS lasting
	   FROM by_day u),
paid AS
	(SELECT l.*, l.lasting - COALESCE(lag(l.lasting) OVER (PARTITION BY l.source_id, l.key, l.payment_source_id, l.payment_key
														   ORDER BY l.day), 0) AS amount
	   FROM lasting l)
SELECT p.account_id, p.currency, p.source_id, p.key,
	   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)),
	   COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date),
	   p.day, p.amount
  FROM paid p
  JOIN credit.item i ON i.source_id = p.source_id AND i.key = p.key AND i.amount > 0
  JOIN credit.account a ON a.account_id = i.account_id
 WHERE p.amount > 0;
END;
COMMENT ON FUNCTION credit.paid_on(date) IS
'What was paid of each debt on which day, of all accounts; see paid_of().';
/*
 * Debts give counts, rates, quantiles and trend: one row for each one that was
 * paid in the window or is open.  Payments give what is weighted by amount, so
 * that a debt paid in two parts counts with both days.  The setting of jit
 * keeps the function from being put in line: a plan of so many parts would be
 * compiled for seconds to run for milliseconds.
 */
CREATE FUNCTION credit.behaviour_of
	(of_account bigint, as_of date, days integer, grace_days integer, half_life integer)
RETURNS TABLE (currency text, by_debt credit.payment_measures, by_amount credit.payment_measures,
			   n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH debt AS
	(SELECT d.* FROM credit.debts_of(of_account, as_of) d),
n AS
	(SELECT d.currency,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on, as_of, grace_days, half_life)
				FILTER (WHERE d.is_dated AND (d.settled_on IS NULL OR d.is_cash)) AS p,
			count(*) FILTER (WHERE NOT d.is_dated) AS n_undated
	   FROM debt d
	  WHERE d.settled_on IS NULL OR d.settled_on > as_of - days
	  GROUP BY d.currency),
m AS
	(SELECT q.currency,
			credit.payment_profile(q.amount, q.document_date, q.due_date, q.paid_on, as_of, grace_days, half_life) AS p
	   FROM (SELECT t.currency, t.amount, t.document_date, t.due_date, t.paid_on
			   FROM credit.paid_of(of_account, as_of) t
			  WHERE t.paid_on > as_of - days
			 UNION ALL
			 SELECT d.currency, d.open_amount, d.document_date, d.due_date, NULL
			   FROM debt d
			  WHERE d.open_amount > 0) q
	  GROUP BY q.currency)
SELECT COALESCE(n.currency, m.currency), n.p, m.p, COALESCE(n.n_undated, 0)
  FROM n
  FULL JOIN m ON m.currency = n.currency;
END;
COMMENT ON FUNCTION credit.behaviour_of(bigint, date, integer, integer, integer) IS
'Profiles of how one account pays, by currency: by_debt has a row for each debt paid in the days before the day or open on it, by_amount one for each payment and each open amount.';
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
WITH debt AS
	(SELECT d.* FROM credit.debts_on(payment_behaviour_on.as_of) d),
by_debt AS
	(SELECT d.account_id, d.currency,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on, payment_behaviour_on.as_of,
								   payment_behaviour_on.grace_days, payment_behaviour_on.half_life)
				FILTER (WHERE d.is_dated AND (d.settled_on IS NULL OR d.is_cash)) AS p,
			count(*) FILTER (WHERE NOT d.is_dated) AS n_undated
	   FROM debt d
	  WHERE d.settled_on IS NULL OR d.settled_on > payment_behaviour_on.as_of - payment_behaviour_on.days
	  GROUP BY d.account_id, d.currency),
by_amount AS
	(SELECT q.account_id, q.currency,
			credit.payment_profile(q.amount, q.document_date, q.due_date, q.paid_on, payment_behaviour_on.as_of,
								   payment_behaviour_on.grace_days, payment_behaviour_on.half_life) AS p
	   FROM (SELECT t.account_id, t.currency, t.amount, t.document_date, t.due_date, t.paid_on
			   FROM credit.paid_on(payment_behaviour_on.as_of) t
			  WHERE t.paid_on > payment_behaviour_on.as_of - payment_behaviour_on.days
			 UNION ALL
			 SELECT d.account_id, d.currency, d.open_amount, d.document_date, d.due_date, NULL
			   FROM debt d WHERE d.open_amount > 0) q
	  GROUP BY q.account_id, q.currency)
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
  FROM (SELECT COALESCE(n.account_id, m.account_id) AS account_id, COALESCE(n.currency, m.currency) AS currency,
			   n.p AS by_debt, m.p AS by_amount, COALESCE(n.n_undated, 0) AS n_undated
		  FROM by_debt n
		  FULL JOIN by_amount m ON m.account_id = n.account_id AND m.currency = n.currency) b
  JOIN credit.account a ON a.account_id = b.account_id;
END;
COMMENT ON FUNCTION credit.payment_behaviour_on(date, integer, integer, integer) IS
'How each customer pays, by currency, as of a day: debts paid in the days before it and debts open on it. grace_days: late by so many is still on time; half_life in days: of recent_days_late. Counts, rates, quantiles and trend are by debt, weighted measures by amount paid.';
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
 CROSS JOIN LATERAL credit.behaviour_of(a.account_id, credit.as_of(), 365, 0, 90) b;
COMMENT ON VIEW credit.payment_behaviour IS 'How each customer pays, by currency: the year up to today, or to the day of credit.as_of. Worked out customer by customer, which is quick for few; payment_behaviour_on() is the same, quick for all.';
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
CREATE FUNCTION credit.trend_of(of_account bigint, as_of date, months integer)
RETURNS TABLE (currency text, month date, p credit.payment_measures, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
SELECT d.currency, e.month,
	   credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on) FILTER (WHERE e.is_payment) AS p,
	   sum(d.amount) FILTER (WHERE NOT e.is_payment) AS amount
  FROM credit.debts_of(of_account, as_of) d
 CROSS JOIN LATERAL
	   (SELECT date_trunc('month', d.settled_on::timestamp)::date AS month, true AS is_payment
		 WHERE d.is_dated AND d.is_cash AND d.settled_on IS NOT NULL
		UNION ALL
		SELECT date_trunc('month', d.document_date::timestamp)::date, false) e
 WHERE e.month >= date_trunc('month', as_of::timestamp) - make_interval(months => months - 1)
 GROUP BY d.currency, e.month;
END;
COMMENT ON FUNCTION credit.trend_of(bigint, date, integer) IS
'How one account has paid, and what was invoiced, by currency and month.';
CREATE FUNCTION credit.payment_trend_on(as_of date, months integer DEFAULT 24)
RETURNS TABLE (customer text, segment text, name text, currency text, month date,
			   n_paid bigint, paid_amount numeric, on_time_rate float8,
			   mean_days_late float8, weighted_days_late float8, median_days_late float8,
			   p90_days_late float8, payment_index float8, invoiced_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, q.currency, q.month,
	   COALESCE((q.p).n_paid, 0), COALESCE((q.p).paid_amount, 0), (q.p).on_time_rate,
	   (q.p).mean_days_late, (q.p).weighted_days_late, (q.p).median_days_late,
	   (q.p).p90_days_late, (q.p).payment_index, COALESCE(q.amount, 0)
  FROM credit.account a
 CROSS JOIN LATERAL credit.trend_of(a.account_id, payment_trend_on.as_of, payment_trend_on.months) q;
END;
COMMENT ON FUNCTION credit.payment_trend_on(date, integer) IS
'How each customer has paid month by month (by the month in which a debt was paid), and what was invoiced in it, for so many months up to a day.';
CREATE VIEW credit.payment_trend AS
SELECT t.customer COLLATE "C" AS customer, t.segment COLLATE "C" AS segment, t.name,
	   t.currency COLLATE "C" AS currency, t.month, t.n_paid, t.paid_amount,
	   t.on_time_rate, t.mean_days_late, t.weighted_days_late, t.median_days_late,
	   t.p90_days_late, t.payment_index, t.invoiced_amount
  FROM credit.payment_trend_on(credit.as_of()) t;
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
/*
 * Subject fold: profiles of closed months, kept per account.
 *
 * What was settled in a month that is over changes rarely.  Its states are
 * worked out once, and views add them up with what is live: the month that
 * runs, the first month of the window where it is cut, and months that bear a
 * mark.  Marks are written by whoever changes a settlement, in the same
 * transaction (src/settlement.c); so every snapshot sees, together with a
 * change, that it cannot use the state of before.  Of every month of every
 * account there is a state or a mark.
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
'Payment states of closed months, worked out by fold_months(). Where month_mark has the same month of an account, the state is out of date.';
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
 * Works out what bears a mark, some accounts at a time, in one statement each:
 * what is worked out and the marks that are taken away are of one snapshot.  A
 * mark that somebody writes meanwhile is not in it, and stays.
 */
CREATE FUNCTION credit.fold_months(batch integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this_month date := date_trunc('month', credit.today()::timestamp)::date;
	accounts bigint[];
	last bigint := 0;
	n bigint;
	total bigint := 0;
BEGIN
	IF batch IS NULL OR batch < 1 THEN
		RAISE EXCEPTION 'batch must be 1 or more, not %', batch USING ERRCODE = 'invalid_parameter_value';
	END IF;
	/* two of them would work out the same months */
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	LOOP
		/* where a settlement is dated in the future, a closed month can still change by itself */
		SELECT array_agg(q.account_id ORDER BY q.account_id) INTO accounts
		  FROM (SELECT DISTINCT m.account_id FROM credit.month_mark m
				 WHERE m.account_id > last AND (m.month < this_month OR m.month = 'infinity')
				   AND NOT EXISTS (SELECT FROM credit.settlement t JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
									WHERE t.settled_on > credit.today() AND i.account_id = m.account_id)
				 ORDER BY m.account_id LIMIT batch) q;
		EXIT WHEN accounts IS NULL;
		last := accounts[array_upper(accounts, 1)];
		WITH mark AS
			(DELETE FROM credit.month_mark m
			  WHERE m.account_id = ANY (accounts) AND (m.month < this_month OR m.month = 'infinity')
			  RETURNING m.account_id, m.month),
		due AS (SELECT DISTINCT k.account_id, k.month FROM mark k),
		state AS
			(SELECT s.* FROM credit.month_states_of(accounts) s
			  WHERE s.month < this_month
				AND EXISTS (SELECT FROM due d WHERE d.account_id = s.account_id AND d.month IN (s.month, 'infinity'))),
		gone AS
			(DELETE FROM credit.month_state s USING due d
			  WHERE s.account_id = d.account_id AND (s.month = d.month OR d.month = 'infinity')
				AND NOT EXISTS (SELECT FROM state n WHERE n.account_id = s.account_id AND n.currency = s.currency AND n.month = s.month)),
		kept AS
			(INSERT INTO credit.month_state AS s (account_id, currency, month, by_debt, by_amount, n_undated, folded_at)
			 SELECT n.account_id, n.currency, n.month, n.by_debt, n.by_amount, n.n_undated, clock_timestamp() FROM state n
			 ON CONFLICT ON CONSTRAINT month_state_pkey DO UPDATE
			 SET by_debt = excluded.by_debt, by_amount = excluded.by_amount, n_undated = excluded.n_undated,
				 folded_at = excluded.folded_at)
		SELECT count(*) INTO n FROM due;
		total := total + n;
	END LOOP;
	PERFORM credit.maintain(false);
	RETURN total;
END
$$;
COMMENT ON FUNCTION credit.fold_months(integer) IS
'Works out the payment states of closed months that bear a mark, so many accounts at a time; returns how many months there were. daily() calls it; nobody waits for it.';
CREATE FUNCTION credit.rebuild_months() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	INSERT INTO credit.month_mark (account_id, month)
	SELECT i.account_id, date 'infinity'
	  FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
	 WHERE s.kind IN ('invoice', 'receivable') AND i.account_id IS NOT NULL
	UNION
	SELECT s.account_id, date 'infinity' FROM credit.month_state s;
	PERFORM credit.maintain(false);
	RETURN credit.fold_months();
END
$$;
COMMENT ON FUNCTION credit.rebuild_months() IS
'Works out the payment states of all closed months anew; returns how many accounts and months there were.';
CREATE FUNCTION credit.verify_months()
RETURNS TABLE (customer text, segment text, currency text, month date, problem text)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH account AS
	(SELECT DISTINCT i.account_id FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
	  WHERE s.kind IN ('invoice', 'receivable') AND i.account_id IS NOT NULL),
truth AS
	(SELECT t.* FROM credit.month_states_of(ARRAY(SELECT a.account_id FROM account a)) t
	  WHERE t.month < date_trunc('month', credit.today()::timestamp)),
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
'States of closed months that are not what the rows come to, although they bear no mark; no row: all are right. rebuild_months() mends them.';
CREATE FUNCTION credit.payment_behaviour_folded
	(days integer DEFAULT 365, grace_days integer DEFAULT 0, half_life integer DEFAULT 90)
RETURNS TABLE (account_id bigint, currency text, by_debt credit.payment_measures,
			   by_amount credit.payment_measures, n_undated bigint)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
WITH time AS MATERIALIZED
	(SELECT d.today, d.today - days AS after,
			date_trunc('month', d.today::timestamp)::date AS this_month,
			(date_trunc('month', (d.today - days + 1)::timestamp) +
			 CASE WHEN extract(day FROM d.today - days + 1) = 1
				  THEN interval '0' ELSE interval '1 month' END)::date AS first_month
	   FROM (SELECT credit.today() AS today) d),
stale AS MATERIALIZED
	(SELECT DISTINCT m.account_id, m.month FROM credit.month_mark m CROSS JOIN time t
	  WHERE (m.month >= t.first_month AND m.month < t.this_month) OR NOT isfinite(m.month)),
kept AS
	(SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM credit.month_state s CROSS JOIN time t
	  WHERE ((s.month >= t.first_month AND s.month < t.this_month) OR s.month = '-infinity')
		AND NOT EXISTS (SELECT FROM stale x WHERE x.account_id = s.account_id AND x.month IN (s.month, 'infinity'))),
anew AS
	(SELECT s.account_id, s.currency, s.by_debt, s.by_amount, s.n_undated
	   FROM credit.month_states_of(ARRAY(SELECT DISTINCT x.account_id FROM stale x)) s CROSS JOIN time t
	  WHERE ((s.month >= t.first_month AND s.month < t.this_month) OR s.month = '-infinity')
		AND EXISTS (SELECT FROM stale x WHERE x.account_id = s.account_id AND x.month IN (s.month, 'infinity'))),
/* the month that runs, and the first one where the window cuts it */
recent AS
	(SELECT DISTINCT r.source_id, r.key FROM credit.settlement r CROSS JOIN time t
	  WHERE (r.settled_on >= t.this_month AND r.settled_on <= t.today)
		 OR (r.settled_on > t.after AND r.settled_on < t.first_month)),
settled AS
	(SELECT i.account_id, i.currency, i.source_id, i.key, i.amount AS debt,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
			COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
			COALESCE(x.settled_on, '-infinity') AS day, x.amount, x.kind, x.payment_source_id, x.payment_key
	   FROM recent r
	   JOIN credit.item i ON i.source_id = r.source_id AND i.key = r.key AND i.amount > 0
	   JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
	   JOIN credit.account a ON a.account_id = i.account_id
	   JOIN credit.settlement x ON x.source_id = r.source_id AND x.key = r.key
	  CROSS JOIN time t
	  WHERE (x.settled_on <= t.today OR x.settled_on IS NULL)
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= t.today
		AND (i.reversed_on IS NULL OR i.reversed_on > t.today)),
/* as debts_of() has it */
by_day AS
	(SELECT s.account_id, s.currency, s.source_id, s.key, s.debt, s.document_date, s.due_date, s.day,
			sum(CASE WHEN s.kind NOT IN ('credit_note', 'write_off') THEN s.amount ELSE 0 END) AS paid,
			sum(sum(s.amount)) OVER (PARTITION BY s.source_id, s.key ORDER BY s.day) AS upto
	   FROM settled s
	  GROUP BY s.account_id, s.currency, s.source_id, s.key, s.debt, s.document_date, s.due_date, s.day),
marked AS
	(SELECT d.*, max(d.day) FILTER (WHERE d.upto < d.debt) OVER (PARTITION BY d.source_id, d.key) AS last_open
	   FROM by_day d),
whole AS
	(SELECT m.account_id, m.currency, m.debt, m.document_date, m.due_date, sum(m.paid) AS paid,
			min(m.day) FILTER (WHERE m.upto >= m.debt AND (m.last_open IS NULL OR m.day > m.last_open)) AS settled_on
	   FROM marked m
	  GROUP BY m.account_id, m.currency, m.source_id, m.key, m.debt, m.document_date, m.due_date),
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
			  GROUP BY s.account_id, s.currency, s.source_id, s.key, s.document_date, s.due_date,
					   s.payment_source_id, s.payment_key, s.day) u),
paid AS
	(SELECT l.account_id, l.currency, l.document_date, l.due_date, l.day,
			l.lasting - COALESCE(lag(l.lasting) OVER (PARTITION BY l.source_id, l.key, l.payment_source_id, l.payment_key
													  ORDER BY l.day), 0) AS amount
	   FROM lasting l),
open AS
	(SELECT i.account_id, i.currency, i.amount, o.open_amount,
			COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS document_date,
			COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date
	   FROM credit.open_now o
	   JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key AND i.amount > 0
	   JOIN credit.account a ON a.account_id = i.account_id
	  CROSS JOIN time t
	  WHERE o.open_amount > 0 AND o.kind IN ('invoice', 'receivable')
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= t.today),
state AS
	(SELECT k.account_id, k.currency, k.by_debt, k.by_amount, k.n_undated FROM kept k
	 UNION ALL
	 SELECT n.account_id, n.currency, n.by_debt, n.by_amount, n.n_undated FROM anew n
	 UNION ALL
	 SELECT w.account_id, w.currency, credit.payment_state(w.debt, w.document_date, w.due_date, w.settled_on), NULL, 0
	   FROM whole w CROSS JOIN time t
	  WHERE w.paid <> 0
		AND ((w.settled_on >= t.this_month AND w.settled_on <= t.today) OR (w.settled_on > t.after AND w.settled_on < t.first_month))
	  GROUP BY w.account_id, w.currency
	 UNION ALL
	 SELECT p.account_id, p.currency, NULL, credit.payment_state(p.amount, p.document_date, p.due_date, p.day), 0
	   FROM paid p CROSS JOIN time t
	  WHERE p.amount > 0
		AND ((p.day >= t.this_month AND p.day <= t.today) OR (p.day > t.after AND p.day < t.first_month))
	  GROUP BY p.account_id, p.currency
	 UNION ALL
	 SELECT o.account_id, o.currency,
			credit.payment_state(o.amount, o.document_date, o.due_date, NULL),
			credit.payment_state(o.open_amount, o.document_date, o.due_date, NULL), 0
	   FROM open o GROUP BY o.account_id, o.currency)
SELECT q.account_id, q.currency,
	   credit.payment_measures(q.by_debt, t.today, grace_days, half_life),
	   credit.payment_measures(q.by_amount, t.today, grace_days, half_life), q.n_undated
  FROM (SELECT s.account_id, s.currency, credit.merge(s.by_debt) AS by_debt, credit.merge(s.by_amount) AS by_amount,
			   sum(s.n_undated)::bigint AS n_undated
		  FROM state s GROUP BY s.account_id, s.currency) q
 CROSS JOIN time t;
END;
COMMENT ON FUNCTION credit.payment_behaviour_folded(integer, integer, integer) IS
'Payment measures of each account as of today, by debt and by amount, from the states of closed months and what is live; what payment_behaviour_on() works out from the rows.';
/*
 * Subject funds: the funds profile of a customer: when he pays, how steadily,
 * since when differently, what he is able to pay, and whether he asks for more.
 * Every column is a measure of subjects behaviour, trend and indicator.
 */

/*
 * Days on which money came.  Payments of the ERP are such days; where it has
 * none of an account and currency, settlements without a payment are.
 */
CREATE FUNCTION credit.receipts_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, received_on date, amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT q.currency, q.day, q.amount
  FROM (SELECT r.*, bool_or(r.is_payment) OVER (PARTITION BY r.currency) AS has_payments
		  FROM (SELECT i.currency, COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
					   CASE s.kind WHEN 'payment' THEN i.amount ELSE -i.amount END AS amount, true AS is_payment
				  FROM credit.item i
				  JOIN credit.source s ON s.source_id = i.source_id
				 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open)
				   AND (s.kind = 'payment' OR (s.kind = 'receivable' AND i.amount < 0))
				   AND i.amount IS NOT NULL AND i.is_write_off IS NOT TRUE
				   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= as_of
				   AND (i.reversed_on IS NULL OR i.reversed_on > as_of)
				UNION ALL
				SELECT p.currency, p.paid_on, p.amount, false
				  FROM credit.paid_of(of_account, as_of) p
				 WHERE p.paid_on > '-infinity') r) q
 WHERE q.is_payment = q.has_payments;
END;
COMMENT ON FUNCTION credit.receipts_of(bigint, date) IS
'Payments of one account up to a day, and negative lines of a ledger; where there are none, the days on which the ERP says that something was settled.';
CREATE FUNCTION credit.orders_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, source_id integer, key text, ordered_on date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT q.currency, q.source_id, q.key, min(q.day)
  FROM (SELECT i.currency, i.source_id, i.key,
			   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day
		  FROM credit.item i
		 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open) AND i.amount > 0
		UNION ALL
		SELECT v.currency, v.source_id, v.key,
			   COALESCE(v.document_date, v.posting_date, credit.day_of(v.recorded_at))
		  FROM credit.item_version v
		 WHERE v.account_id = of_account AND v.amount > 0) q
  JOIN credit.source s ON s.source_id = q.source_id AND s.kind = 'order'
 GROUP BY q.currency, q.source_id, q.key
HAVING min(q.day) <= as_of;
END;
COMMENT ON FUNCTION credit.orders_of(bigint, date) IS
'Orders of one account up to a day, with those that have ceased to count since they came into the ledger.';
/*
 * The setting of jit keeps the function from being put in line: a plan of so
 * many parts would be compiled for seconds to run for milliseconds.
 */
CREATE FUNCTION credit.funds_of(of_account bigint, as_of date, days integer)
RETURNS TABLE (currency text, cycle credit.cycle_measures, last_payment_on date,
			   capacity credit.capacity_measures, trend credit.trend_measures,
			   due_amount numeric, paid_of_due numeric, n_recent bigint, n_before bigint,
			   change credit.change_measures, capability float8,
			   partial credit.partial_measures)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH day AS
	(SELECT e.*
	   FROM (SELECT 'debt' AS part, d.currency, d.amount, d.due_date AS since, d.settled_on AS day,
					d.amount - d.credited_amount AS due_amount, d.paid_amount,
					(d.settled_on - d.due_date)::float8 AS days_late, d.is_dated AND d.is_cash AS is_paid
			   FROM credit.debts_of(of_account, as_of) d
			 UNION ALL
			 SELECT 'receipt', r.currency, r.amount, NULL, r.received_on, NULL, NULL, NULL, NULL
			   FROM credit.receipts_of(of_account, as_of) r
			 UNION ALL
			 SELECT 'order', o.currency, NULL, NULL, o.ordered_on, NULL, NULL, NULL, NULL
			   FROM credit.orders_of(of_account, as_of) o) e),
/* the first payment of each debt that came in the days */
first_payment AS
	(SELECT f.currency, credit.partial_payment(f.debt, f.amount) AS partial
	   FROM (SELECT p.currency, p.debt, p.paid_on, sum(p.amount) AS amount,
					row_number() OVER (PARTITION BY p.source_id, p.key ORDER BY p.paid_on) AS number
			   FROM credit.paid_of(of_account, as_of) p
			  GROUP BY p.currency, p.source_id, p.key, p.debt, p.paid_on) f
	  WHERE f.number = 1 AND f.paid_on > as_of - days
	  GROUP BY f.currency),
measure AS
	(SELECT e.currency,
			credit.payment_cycle(e.day) FILTER (WHERE e.part = 'receipt' AND e.amount > 0 AND e.day > as_of - days) AS cycle,
			max(e.day) FILTER (WHERE e.part = 'receipt' AND e.amount > 0) AS last_payment_on,
			credit.payment_capacity(e.day, e.amount, as_of) FILTER (WHERE e.part = 'receipt') AS capacity,
			credit.robust_trend(e.day, e.days_late, e.amount)
				FILTER (WHERE e.is_paid AND e.day > as_of - days) AS trend,
			/* against the days before, or where they say too little against the first twelve days of payment */
			credit.change_point(e.day, e.days_late, e.amount, as_of - days)
				FILTER (WHERE e.is_paid AND e.day > as_of - 2 * days) AS change,
			credit.change_point(e.day, e.days_late, e.amount, 12)
				FILTER (WHERE e.is_paid AND e.day > as_of - days) AS change_within,
			sum(e.due_amount) FILTER (WHERE e.since > as_of - days AND e.since <= as_of) AS due_amount,
			sum(e.paid_amount) FILTER (WHERE e.since > as_of - days AND e.since <= as_of) AS paid_of_due,
			count(*) FILTER (WHERE e.part = 'order' AND e.day > as_of - 30) AS n_recent,
			count(*) FILTER (WHERE e.part = 'order' AND e.day > as_of - 210 AND e.day <= as_of - 30) AS n_before
	   FROM day e
	  GROUP BY e.currency)
SELECT m.currency, m.cycle, m.last_payment_on, m.capacity, m.trend, m.due_amount, m.paid_of_due, m.n_recent, m.n_before,
	   CASE WHEN (m.change).mean IS NULL THEN m.change_within ELSE m.change END AS change,
	   credit.payment_to_order_ratio(m.paid_of_due, m.due_amount) AS capability,
	   f.partial
  FROM measure m
  LEFT JOIN first_payment f ON f.currency = m.currency;
END;
COMMENT ON FUNCTION credit.funds_of(bigint, date, integer) IS
'Measures of the funds profile of one account, by currency.';
CREATE FUNCTION credit.funds_profile_on(as_of date, days integer DEFAULT 365)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   funds_segment text, payment_index float8, capability float8, sd_days_late float8,
			   habit text, habit_day integer, habit_strength float8, habit_p float8,
			   n_payment_days integer, mean_interval float8, sd_interval float8, cv_interval float8,
			   period float8, period_p float8,
			   n_paid bigint, mean_days_late float8, median_days_late float8, cv_days_to_pay float8,
			   later_since date, later_seen_on date, earlier_since date, earlier_seen_on date,
			   baseline_days_late float8, n_baseline integer,
			   trend_slope float8, trend_p float8, trend_direction text,
			   due_amount numeric, paid_of_due numeric,
			   monthly_capacity numeric, n_capacity_months integer,
			   n_orders_recent bigint, n_orders_before bigint, demand_ratio float8, demand_p float8,
			   partial_ratio float8, residue_ratio float8, n_part_paid bigint,
			   open_amount numeric, overdue_amount numeric, last_payment_on date)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, q.currency,
	   credit.funds_segment((b.by_amount).payment_index, q.capability), (b.by_amount).payment_index, q.capability, (b.by_debt).sd_days_late,
	   (q.cycle).habit, (q.cycle).habit_day,
	   CASE (q.cycle).habit WHEN 'weekday' THEN (q.cycle).weekday_strength WHEN 'month_day' THEN (q.cycle).month_day_strength
			WHEN 'month_end' THEN (q.cycle).month_end_strength
			ELSE GREATEST((q.cycle).weekday_strength, (q.cycle).month_day_strength, (q.cycle).month_end_strength) END,
	   CASE (q.cycle).habit WHEN 'weekday' THEN (q.cycle).weekday_p WHEN 'month_day' THEN (q.cycle).month_day_p
			WHEN 'month_end' THEN (q.cycle).month_end_p
			ELSE LEAST((q.cycle).weekday_p, (q.cycle).month_day_p, (q.cycle).month_end_p) END,
	   COALESCE((q.cycle).n_days, 0), (q.cycle).mean_interval, (q.cycle).sd_interval, (q.cycle).cv_interval,
	   (q.cycle).period, (q.cycle).period_p,
	   COALESCE((b.by_debt).n_paid, 0), (b.by_debt).mean_days_late, (b.by_debt).median_days_late, (b.by_debt).cv_days_to_pay,
	   (q.change).last_rise_began, (q.change).last_rise, (q.change).last_fall_began, (q.change).last_fall,
	   (q.change).mean, COALESCE((q.change).n_reference, 0),
	   (q.trend).slope, (q.trend).p, (q.trend).direction,
	   COALESCE(q.due_amount, 0), COALESCE(q.paid_of_due, 0),
	   (q.capacity).capacity, COALESCE((q.capacity).n_months, 0),
	   q.n_recent, q.n_before, (o.demand).rate_ratio, (o.demand).p,
	   (q.partial).partial_ratio, (q.partial).residue_ratio, COALESCE((q.partial).n_partial, 0),
	   COALESCE((b.by_amount).open_amount, 0), COALESCE((b.by_amount).overdue_amount, 0), q.last_payment_on
  FROM credit.account a
 CROSS JOIN LATERAL credit.funds_of(a.account_id, funds_profile_on.as_of, funds_profile_on.days) q
  LEFT JOIN LATERAL credit.behaviour_of(a.account_id, funds_profile_on.as_of, funds_profile_on.days, 0, 90) b
	ON b.currency = q.currency
 CROSS JOIN LATERAL (SELECT credit.demand_signal(q.n_recent, 30, q.n_before, 180) AS demand OFFSET 0) o;
END;
COMMENT ON FUNCTION credit.funds_profile_on(date, integer) IS
'Funds profile of each customer and currency as of a day, from the days before it: habit and cycle of payment, stability and changes of lateness, capability, capacity, demand, willingness and the segment these make.';
CREATE VIEW credit.funds_profile AS
SELECT f.customer COLLATE "C" AS customer,
	   f.segment COLLATE "C" AS segment, f.name,
	   f.currency COLLATE "C" AS currency, f.funds_segment,
	   f.payment_index, f.capability, f.sd_days_late, f.habit,
	   f.habit_day, f.habit_strength, f.habit_p, f.n_payment_days,
	   f.mean_interval, f.sd_interval, f.cv_interval, f.period,
	   f.period_p, f.n_paid, f.mean_days_late, f.median_days_late,
	   f.cv_days_to_pay, f.later_since, f.later_seen_on, f.earlier_since,
	   f.earlier_seen_on, f.baseline_days_late, f.n_baseline,
	   f.trend_slope, f.trend_p, f.trend_direction, f.due_amount,
	   f.paid_of_due, f.monthly_capacity, f.n_capacity_months,
	   f.n_orders_recent, f.n_orders_before, f.demand_ratio, f.demand_p,
	   f.partial_ratio, f.residue_ratio, f.n_part_paid, f.open_amount,
	   f.overdue_amount, f.last_payment_on
  FROM credit.funds_profile_on(credit.as_of()) f;
COMMENT ON VIEW credit.funds_profile IS 'Funds profile of each customer and currency: the year up to today, or to the day of credit.as_of; see funds_profile_on().';
COMMENT ON COLUMN credit.funds_profile.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.funds_profile.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.funds_profile.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.funds_profile.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.funds_profile.funds_segment IS 'By willingness and capability: extend, instalments, shorten, secure; unrated where one is missing. See funds_segment().';
COMMENT ON COLUMN credit.funds_profile.payment_index IS 'Willingness: index of payment from 1 to 100, weighted by amount; 80 is prompt.';
COMMENT ON COLUMN credit.funds_profile.capability IS 'What was paid of what fell due in the year; 1 is all.';
COMMENT ON COLUMN credit.funds_profile.sd_days_late IS 'Stability: standard deviation of days late.';
COMMENT ON COLUMN credit.funds_profile.habit IS 'Fixed weekday, month_day or month_end, if payments come on a fixed one; NULL: on none.';
COMMENT ON COLUMN credit.funds_profile.habit_day IS 'That day: 1 is Monday, the first of the month, or its last day.';
COMMENT ON COLUMN credit.funds_profile.habit_strength IS 'How fixed it is, from 0 to 1; without a habit the strongest of the three.';
COMMENT ON COLUMN credit.funds_profile.habit_p IS 'Probability of such a strength by chance.';
COMMENT ON COLUMN credit.funds_profile.n_payment_days IS 'Number of days with a payment in the year.';
COMMENT ON COLUMN credit.funds_profile.mean_interval IS 'Mean of days between days of payment.';
COMMENT ON COLUMN credit.funds_profile.sd_interval IS 'Standard deviation of these.';
COMMENT ON COLUMN credit.funds_profile.cv_interval IS 'The same by the mean: 0 is a clock.';
COMMENT ON COLUMN credit.funds_profile.period IS 'Of 7, 14 and 30.4375 days the period that fits best.';
COMMENT ON COLUMN credit.funds_profile.period_p IS 'Probability of such a fit by chance.';
COMMENT ON COLUMN credit.funds_profile.n_paid IS 'Number of debts paid in the year.';
COMMENT ON COLUMN credit.funds_profile.mean_days_late IS 'Mean of days late; early payments are negative.';
COMMENT ON COLUMN credit.funds_profile.median_days_late IS 'Median of days late.';
COMMENT ON COLUMN credit.funds_profile.cv_days_to_pay IS 'Coefficient of variation of days to pay.';
COMMENT ON COLUMN credit.funds_profile.later_since IS 'Day from which payments have come later than usual, of the latest alarm; NULL: none.';
COMMENT ON COLUMN credit.funds_profile.later_seen_on IS 'Day on which that could be known.';
COMMENT ON COLUMN credit.funds_profile.earlier_since IS 'Day from which payments have come earlier than usual, of the latest alarm; NULL: none.';
COMMENT ON COLUMN credit.funds_profile.earlier_seen_on IS 'Day on which that could be known.';
COMMENT ON COLUMN credit.funds_profile.baseline_days_late IS 'What was usual: mean days late of the year before, or of the first twelve days of payment.';
COMMENT ON COLUMN credit.funds_profile.n_baseline IS 'Number of days of payment that this mean is of; 0: too few to say.';
COMMENT ON COLUMN credit.funds_profile.trend_slope IS 'By how many days payments get later in 30 days: median of all pairs (Theil-Sen).';
COMMENT ON COLUMN credit.funds_profile.trend_p IS 'Probability of such a trend by chance (Mann-Kendall).';
COMMENT ON COLUMN credit.funds_profile.trend_direction IS 'Rising, falling or none.';
COMMENT ON COLUMN credit.funds_profile.due_amount IS 'Debts that fell due in the year, less credit notes.';
COMMENT ON COLUMN credit.funds_profile.paid_of_due IS 'What was paid of these.';
COMMENT ON COLUMN credit.funds_profile.monthly_capacity IS 'Median of what came in each of the last 6 months that are over.';
COMMENT ON COLUMN credit.funds_profile.n_capacity_months IS 'Number of these months since the first payment; below 3 they say little.';
COMMENT ON COLUMN credit.funds_profile.n_orders_recent IS 'Number of orders of the last 30 days.';
COMMENT ON COLUMN credit.funds_profile.n_orders_before IS 'Number of orders of the 180 days before.';
COMMENT ON COLUMN credit.funds_profile.demand_ratio IS 'Orders a day now by orders a day before; NULL below 5 orders.';
COMMENT ON COLUMN credit.funds_profile.demand_p IS 'Probability of so many recent orders, or more, at the old rate.';
COMMENT ON COLUMN credit.funds_profile.partial_ratio IS 'Share (0 to 1) of debts whose first payment was short, among those first paid in the year.';
COMMENT ON COLUMN credit.funds_profile.residue_ratio IS 'What these first payments left, by the amount of these debts.';
COMMENT ON COLUMN credit.funds_profile.n_part_paid IS 'Number of these debts.';
COMMENT ON COLUMN credit.funds_profile.open_amount IS 'Sum of open debts.';
COMMENT ON COLUMN credit.funds_profile.overdue_amount IS 'Sum of debts past due.';
COMMENT ON COLUMN credit.funds_profile.last_payment_on IS 'Day of the last payment.';
/*
 * Subject feature: what is known about each customer on a day, one row each:
 * from the ledger, from entries about the company, and declared by the user.
 * Models read it; whoever develops one reads it for past days.
 *
 * Everything is as it was known, or dated, up to that day.  All accounts are
 * worked out together, each table being read a few times at most.
 */

/* --- default ------------------------------------------------------------------ */

CREATE FUNCTION credit.is_material
	(late_amount numeric, open_amount numeric, minimum_amount numeric DEFAULT 500,
	 minimum_share numeric DEFAULT 0.01)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN late_amount > 0 AND late_amount >= minimum_amount AND late_amount >= minimum_share * open_amount;
COMMENT ON FUNCTION credit.is_material(numeric, numeric, numeric, numeric) IS
'Is an amount that is long overdue large enough to be a default: at least an amount (500) and a share (0.01) of what is open?';
/*
 * Two running sums for each account: what is open, and what of it is late by
 * more than so many days.  Days on which neither changes need no look.
 */
CREATE FUNCTION credit.default_events
	(from_date date, to_date date, days_late integer DEFAULT 90,
	 minimum_amount numeric DEFAULT 500, minimum_share numeric DEFAULT 0.01)
RETURNS TABLE (account_id bigint, customer text, segment text, defaulted_on date,
			   late_amount numeric, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH dated AS MATERIALIZED
	(SELECT d.account_id, d.source_id, d.key, d.document_date, d.due_date + days_late + 1 AS late_on,
			d.currency, d.amount, d.settled_on
	   FROM credit.debts_on(to_date) d
	  WHERE d.is_dated),
/* most accounts never have anything that late */
suspect AS
	(SELECT d.account_id, l.currency
	   FROM (SELECT DISTINCT x.account_id FROM dated x
			  WHERE x.late_on <= to_date AND (x.settled_on IS NULL OR x.settled_on > x.late_on)) d
	   JOIN credit.account_limit l ON l.account_id = d.account_id),
debt AS MATERIALIZED
	(SELECT d.account_id, d.source_id, d.key, d.document_date, d.late_on,
			CASE WHEN d.currency = s.currency THEN 1 ELSE credit.rate(d.currency, s.currency, to_date) END AS rate,
			d.amount
	   FROM dated d
	   JOIN suspect s ON s.account_id = d.account_id),
settled AS MATERIALIZED
	(SELECT d.account_id, d.source_id, d.key, d.late_on, d.rate, t.settled_on, t.amount
	   FROM credit.settlements_on(to_date) t
	   JOIN debt d ON d.source_id = t.source_id AND d.key = t.key),
event AS
	(SELECT d.account_id, d.document_date AS day, d.amount * d.rate AS opened, 0::numeric AS late FROM debt d
	 UNION ALL
	 SELECT d.account_id, d.late_on, 0, d.amount * d.rate FROM debt d WHERE d.late_on <= to_date
	 UNION ALL
	 SELECT s.account_id, s.settled_on, -s.amount * s.rate, 0 FROM settled s
	 UNION ALL
	 SELECT s.account_id, GREATEST(s.settled_on, s.late_on), 0, -s.amount * s.rate
	   FROM settled s WHERE GREATEST(s.settled_on, s.late_on) <= to_date),
day AS
	(SELECT e.account_id, e.day, sum(sum(e.late)) OVER w AS late, sum(sum(e.opened)) OVER w AS opened
	   FROM event e
	  GROUP BY e.account_id, e.day
	 WINDOW w AS (PARTITION BY e.account_id ORDER BY e.day))
SELECT a.account_id, a.customer, a.segment, f.day, f.late, f.opened
  FROM (SELECT DISTINCT ON (q.account_id) q.*
		  FROM (SELECT y.account_id, GREATEST(y.day, from_date + 1) AS day, y.late, y.opened,
					   COALESCE(lead(y.day) OVER (PARTITION BY y.account_id ORDER BY y.day), 'infinity') AS until
				  FROM day y) q
		 WHERE q.day <= to_date AND q.until > from_date + 1
		   AND credit.is_material(q.late, q.opened, minimum_amount, minimum_share)
		 ORDER BY q.account_id, q.day, q.until) f
  JOIN credit.account a ON a.account_id = f.account_id;
END;
COMMENT ON FUNCTION credit.default_events(date, date, integer, numeric, numeric) IS
'Customers in default on a day after from_date, up to and with to_date: more than days_late (90) past due with an amount that is material (is_material()). defaulted_on is the first such day; one who was in default before has the day after from_date. Debts settled on a day that nobody knows are left out.';
/* --- features that users declare ------------------------------------------------- */

CREATE TABLE credit.feature_definition
(
	feature_definition_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	name		text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
	expression	text,
	type		text,
	meaning		text,
	unit		text,
	time_window	text,
	missing		text,
	missing_value jsonb,
	made_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	made_by		text NOT NULL DEFAULT SESSION_USER,
	CHECK (expression IS NULL OR (type IN ('number', 'text', 'boolean') AND meaning IS NOT NULL))
);
CREATE INDEX feature_definition_name ON credit.feature_definition (name, feature_definition_id);
COMMENT ON TABLE credit.feature_definition IS
'Features declared as SQL, append-only: made by declare_feature() and drop_feature(). The newest row of a name counts.';
COMMENT ON COLUMN credit.feature_definition.feature_definition_id IS 'Own key.';
COMMENT ON COLUMN credit.feature_definition.name IS 'Name of the feature.';
COMMENT ON COLUMN credit.feature_definition.expression IS 'SQL expression over subject.account_id, customer, segment, currency and as_of. NULL: the feature was dropped.';
COMMENT ON COLUMN credit.feature_definition.type IS 'Type of its value: number, text or boolean.';
COMMENT ON COLUMN credit.feature_definition.meaning IS 'What it says.';
COMMENT ON COLUMN credit.feature_definition.unit IS 'Unit.';
COMMENT ON COLUMN credit.feature_definition.time_window IS 'Which time it looks at, in words.';
COMMENT ON COLUMN credit.feature_definition.missing IS 'When it is missing, and what that means, in words.';
COMMENT ON COLUMN credit.feature_definition.missing_value IS 'What counts where the expression gives NULL; NULL: the feature is missing.';
COMMENT ON COLUMN credit.feature_definition.made_at IS 'When it was declared.';
COMMENT ON COLUMN credit.feature_definition.made_by IS 'Session user who declared it.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.feature_definition
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.declared_features(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, declared jsonb)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1000
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	query text;
BEGIN
	SELECT string_agg(format(E'%L, COALESCE(to_jsonb((%s\n)), %L)', d.name, d.expression, d.missing_value), ', ' ORDER BY d.name) INTO query
	  FROM (SELECT DISTINCT ON (f.name) f.* FROM credit.feature_definition f
			 ORDER BY f.name, f.feature_definition_id DESC) d
	 WHERE d.expression IS NOT NULL;
	IF query IS NULL THEN
		RETURN;
	END IF;
	/* a cursor takes one statement that reads, and nothing else */
	FOR account_id, declared IN EXECUTE
		format('SELECT subject.account_id, jsonb_build_object(%s) FROM (SELECT a.account_id, a.customer, a.segment, l.currency, $1::date AS as_of FROM credit.account a LEFT JOIN credit.account_limit l ON l.account_id = a.account_id WHERE $2::bigint IS NULL OR a.account_id = $2) subject', query)
		USING as_of, of_account
	LOOP
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.declared_features(date, bigint) IS
'Features declared by users, of all accounts or of one, as a JSON object. Their expressions run with the rights of the caller, and can change nothing.';
CREATE FUNCTION credit.declare_feature
	(name text, expression text, meaning text, unit text DEFAULT NULL,
	 time_window text DEFAULT NULL, missing text DEFAULT NULL, missing_value jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	found_type text;
	feature_type text;
	id bigint;
BEGIN
	/* what is declared here runs with the rights of whoever asks for features */
	IF NOT pg_has_role((SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'credit'), 'MEMBER') THEN
		RAISE EXCEPTION 'features are declared by the owner of the extension'
			USING ERRCODE = 'insufficient_privilege',
				  DETAIL = 'Their expressions run with the rights of everybody who asks for feature_query.';
	END IF;
	IF name IS NULL OR name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
		RAISE EXCEPTION 'a feature needs a name of lower-case letters, digits and "_"'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF EXISTS (SELECT FROM credit.feature_catalog c WHERE c.name = name AND c.origin <> 'declared') THEN
		RAISE EXCEPTION 'feature "%" comes with the extension', name
			USING ERRCODE = 'duplicate_object', HINT = 'Choose another name; models keep theirs.';
	END IF;
	IF COALESCE(expression, '') !~ '\S' OR COALESCE(meaning, '') !~ '\S' THEN
		RAISE EXCEPTION 'a feature needs an expression and a meaning'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	BEGIN
		/* tried with one account, or with NULL where there is none */
		found_type := credit.feature_type(expression);
	EXCEPTION
		WHEN query_canceled OR assert_failure THEN RAISE;
		WHEN OTHERS THEN
			RAISE EXCEPTION 'feature "%" cannot be computed: %', name, SQLERRM
				USING ERRCODE = SQLSTATE,
					  HINT = 'Give one SQL expression over account_id, customer, segment, currency and as_of of subject, which changes nothing; names need their schema.';
	END;
	feature_type := CASE WHEN found_type IN ('smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision') THEN 'number'
		WHEN found_type IN ('text', 'character varying', 'character', 'name') THEN 'text'
		WHEN found_type = 'boolean' THEN 'boolean' END;
	IF feature_type IS NULL THEN
		RAISE EXCEPTION 'feature "%" must be a number, a text or a boolean, not %', name, found_type
			USING ERRCODE = 'datatype_mismatch', HINT = 'Of dates make days: as_of - day.';
	END IF;
	IF jsonb_typeof(missing_value) NOT IN ('null', replace(feature_type, 'text', 'string')) THEN
		RAISE EXCEPTION 'missing_value of feature "%" must be a %, as the feature is', name, feature_type
			USING ERRCODE = 'datatype_mismatch';
	END IF;
	INSERT INTO credit.feature_definition (name, expression, type, meaning, unit, time_window, missing, missing_value)
	VALUES (name, expression, feature_type, meaning, unit, time_window, missing, missing_value)
	RETURNING feature_definition_id INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.declare_feature(text, text, text, text, text, text, jsonb) IS
'Declares a feature, or declares it anew: a SQL expression over columns account_id, customer, segment, currency and as_of of subject that gives a number, a text or a boolean. It is tried at once. Only for the owner of the extension, since it runs with the rights of whoever asks for feature_query.';
CREATE FUNCTION credit.feature_type(expression text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_type text;
BEGIN
	FOR found_type IN EXECUTE
		format(E'SELECT pg_typeof(q.value)::text FROM (SELECT (%s\n) AS value FROM (SELECT a.account_id, a.customer, a.segment, l.currency, $1::date AS as_of FROM (SELECT 1) one LEFT JOIN (SELECT * FROM credit.account LIMIT 1) a ON true LEFT JOIN credit.account_limit l ON l.account_id = a.account_id) subject) q', expression)
		USING credit.today()
	LOOP
		RETURN found_type;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.feature_type(text) IS
'Part of declare_feature(): computes an expression for one account, and returns its type.';
CREATE FUNCTION credit.drop_feature(name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF NOT EXISTS (SELECT FROM credit.feature_catalog c WHERE c.name = name AND c.origin = 'declared') THEN
		RAISE EXCEPTION 'there is no declared feature "%"', name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.feature_catalog lists them.';
	END IF;
	INSERT INTO credit.feature_definition (name) VALUES (name);
END
$$;
COMMENT ON FUNCTION credit.drop_feature(text) IS
'Takes a declared feature out. Models that use it find it missing from then on.';
/* --- what there is -------------------------------------------------------------- */

CREATE VIEW credit.feature_catalog AS
SELECT c.name, c.origin, c.type, c.unit, c.time_window, c.missing, c.meaning, NULL::text AS expression
  FROM (VALUES
		(1, 'n_paid', 'behaviour', 'number', 'invoices', '365 days', 'no invoice ever', 'Invoices paid in the window.'),
		(2, 'n_open', 'behaviour', 'number', 'invoices', 'the day', 'no invoice ever', 'Invoices open on the day.'),
		(3, 'n_overdue', 'behaviour', 'number', 'invoices', 'the day', 'no invoice ever', 'Invoices open and past due on the day.'),
		(4, 'paid_amount', 'behaviour', 'number', 'currency of the account', '365 days', 'no invoice ever', 'Amount paid in the window.'),
		(5, 'on_time_rate', 'behaviour', 'number', 'share', '365 days', 'nothing paid in the window and nothing overdue', 'Share paid on time, of invoices paid in the window and invoices overdue.'),
		(6, 'on_time_rate_by_amount', 'behaviour', 'number', 'share', '365 days', 'nothing paid in the window and nothing overdue', 'The same by amount.'),
		(7, 'mean_days_late', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Mean of days late of paid invoices; below 0: early.'),
		(8, 'weighted_days_late', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Days late weighted by amount paid.'),
		(9, 'median_days_late', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Median of days late of paid invoices.'),
		(10, 'p90_days_late', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Nine of ten invoices were paid by this many days late.'),
		(11, 'max_days_late', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Days late of the latest paid invoice.'),
		(12, 'sd_days_late', 'behaviour', 'number', 'days', '365 days', 'less than two payments in the window', 'Standard deviation of days late: how steadily he pays.'),
		(13, 'recent_days_late', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Mean of days late in which a payment counts half after 90 days.'),
		(14, 'trend_slope', 'behaviour', 'number', 'days per 30 days', '365 days', 'less than three payments in the window', 'By how many days payments get later in 30 days.'),
		(15, 'is_worsening', 'behaviour', 'boolean', 'yes or no', '365 days', 'less than three payments in the window', 'Payments get later, and hardly by chance.'),
		(16, 'payment_index', 'behaviour', 'number', '1 to 100', '365 days', 'nothing paid in the window and nothing overdue', 'Payment index weighted by amount: 80 is prompt, 50 is 30 days late; overdue invoices count as they stand.'),
		(17, 'weighted_days_to_pay', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Days from invoice to payment, weighted by amount.'),
		(18, 'weighted_terms', 'behaviour', 'number', 'days', '365 days', 'no payment in the window', 'Terms of payment of what was paid, weighted by amount.'),
		(19, 'partial_payment_ratio', 'behaviour', 'number', 'share', '365 days', 'no payment in the window', 'Share of invoices whose first payment, in the window, left more than 1 % of them.'),
		(20, 'payment_ratio', 'behaviour', 'number', 'ratio', '365 days', 'nothing fell due in the window', 'What was paid of what fell due in the window, credit notes left out.'),
		(21, 'days_since_payment', 'behaviour', 'number', 'days', 'ever', 'never paid', 'Days since the last payment.'),
		(22, 'open_amount', 'aging', 'number', 'currency of the account', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Open invoices, credits not taken off.'),
		(23, 'overdue_amount', 'aging', 'number', 'currency of the account', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Open invoices past due.'),
		(24, 'over_90_amount', 'aging', 'number', 'currency of the account', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Open invoices more than 90 days past due.'),
		(25, 'overdue_ratio', 'aging', 'number', 'share', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Overdue part of the open invoices.'),
		(26, 'over_30_ratio', 'aging', 'number', 'share', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Part of the open invoices that is more than 30 days past due.'),
		(27, 'oldest_days_overdue', 'aging', 'number', 'days', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Days past due of the oldest open invoice; 0: none is overdue.'),
		(28, 'disputed_ratio', 'aging', 'number', 'share', 'the day', 'no invoice ever (0 where nothing is open), or a rate is missing', 'Disputed part of the open invoices.'),
		(29, 'is_in_default', 'aging', 'boolean', 'yes or no', 'the day', 'no invoice ever', 'More than 90 days past due with at least 500 and 1 % of the open invoices: default.'),
		(30, 'exposure', 'exposure', 'number', 'currency of the account', 'the day', 'a rate is missing', 'Open invoices less credits, and orders not invoiced yet.'),
		(31, 'open_orders', 'exposure', 'number', 'currency of the account', 'the day', 'a rate is missing', 'Orders not invoiced yet.'),
		(32, 'credit_limit', 'exposure', 'number', 'currency of the account', 'the day', 'no limit, or unlimited', 'Credit limit in force; 0: blocked, or cash in advance.'),
		(33, 'utilisation', 'exposure', 'number', 'share', 'the day', 'no limit above 0, or a rate is missing', 'Exposure by credit limit.'),
		(34, 'n_orders', 'orders', 'number', 'orders', '365 days', 'no document ever', 'Orders of the window that count.'),
		(35, 'order_amount', 'orders', 'number', 'currency of the account', '365 days', 'no document ever, or a rate is missing', 'Their amount.'),
		(36, 'order_growth', 'orders', 'number', 'ratio', '90 and 275 days', 'no order in the 275 days, or a rate is missing', 'Orders per day of the last 90 days by those of the 275 days before.'),
		(37, 'days_since_order', 'orders', 'number', 'days', 'ever', 'never ordered', 'Days since the last order.'),
		(38, 'months_known', 'orders', 'number', 'months', 'ever', 'no document ever', 'Months since the first document.'),
		(39, 'equity_ratio', 'financials', 'number', 'share', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Equity by total assets.'),
		(40, 'debt_ratio', 'financials', 'number', 'share', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Liabilities by total assets.'),
		(41, 'current_ratio', 'financials', 'number', 'ratio', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Current assets by current liabilities.'),
		(42, 'quick_ratio', 'financials', 'number', 'ratio', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'The same without inventories.'),
		(43, 'interest_cover', 'financials', 'number', 'ratio', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'EBIT by interest.'),
		(44, 'ebit_margin', 'financials', 'number', 'share', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'EBIT by sales.'),
		(45, 'net_margin', 'financials', 'number', 'share', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Net income by sales.'),
		(46, 'return_on_assets', 'financials', 'number', 'share', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Net income by total assets, per year.'),
		(47, 'asset_turnover', 'financials', 'number', 'ratio', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Sales by total assets, per year.'),
		(48, 'cash_cycle_days', 'financials', 'number', 'days', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Cash conversion cycle.'),
		(49, 'requirement_days', 'financials', 'number', 'days', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Working-capital requirement in days of sales.'),
		(50, 'altman_z', 'financials', 'number', 'number', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Altman Z, of listed companies: safe above 2.99, distress below 1.81.'),
		(51, 'altman_z_private', 'financials', 'number', 'number', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Altman Z'' of the books: safe above 2.90, distress below 1.23.'),
		(52, 'altman_z_general', 'financials', 'number', 'number', 'newest statement', 'no statement, one older than 18 months, or a figure that it lacks', 'Altman Z'''' of other than manufacturers: safe above 2.60, distress below 1.10.'),
		(53, 'company_age', 'company', 'number', 'years', 'the day', 'not entered', 'Years since the company was founded.'),
		(54, 'employees', 'company', 'number', 'people', 'the day', 'not entered', 'Number of employees.'),
		(55, 'industry', 'company', 'text', 'category', 'the day', 'not entered', 'Industry.'),
		(56, 'legal_form', 'company', 'text', 'category', 'the day', 'not entered', 'Legal form.'),
		(57, 'country', 'company', 'text', 'category', 'the day', 'not entered', 'Country.'),
		(58, 'bureau_probability', 'bureau', 'number', 'share', 'valid reports', 'no report that is still valid', 'Highest probability of default that a bureau gives.'),
		(59, 'bureau_score', 'bureau', 'number', 'points', 'valid reports', 'no report that is still valid', 'Score of the newest report that has one.'),
		(60, 'bureau_days_beyond_terms', 'bureau', 'number', 'days', 'valid reports', 'no report that is still valid', 'Most days beyond terms that a bureau reports.'),
		(61, 'bureau_limit', 'bureau', 'number', 'currency of the account', 'valid reports', 'no report that is still valid, or a rate is missing', 'Lowest credit limit that a bureau recommends.'),
		(62, 'bureau_age_days', 'bureau', 'number', 'days', 'valid reports', 'no report that is still valid', 'Age of the newest report.')
	   ) c (place, name, origin, type, unit, time_window, missing, meaning)
UNION ALL
SELECT d.name, 'declared', d.type, d.unit, d.time_window,
	   COALESCE(d.missing, CASE WHEN d.missing_value IS NULL THEN 'the expression gives NULL' ELSE d.missing_value::text || ' counts' END),
	   d.meaning, d.expression
  FROM (SELECT DISTINCT ON (f.name) f.* FROM credit.feature_definition f
		 ORDER BY f.name, f.feature_definition_id DESC) d
 WHERE d.expression IS NOT NULL;
COMMENT ON VIEW credit.feature_catalog IS
'All features that features() gives: those that come with the extension, and declared ones.';
COMMENT ON COLUMN credit.feature_catalog.name IS 'Name: column of features(), or key of its column declared.';
COMMENT ON COLUMN credit.feature_catalog.origin IS 'Where it comes from: behaviour, aging, exposure, orders (ledger), financials, company, bureau (entries), declared.';
COMMENT ON COLUMN credit.feature_catalog.type IS 'Type of its value: number, text or boolean.';
COMMENT ON COLUMN credit.feature_catalog.unit IS 'Unit.';
COMMENT ON COLUMN credit.feature_catalog.time_window IS 'Which time it looks at, up to the as-of day.';
COMMENT ON COLUMN credit.feature_catalog.missing IS 'When it is missing (NULL).';
COMMENT ON COLUMN credit.feature_catalog.meaning IS 'What it says.';
COMMENT ON COLUMN credit.feature_catalog.expression IS 'SQL expression of a declared feature.';
/* --- one row for each account ------------------------------------------------------ */

CREATE FUNCTION credit.limits_on(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, currency text, limit_state text, credit_limit numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT l.account_id, l.currency, l.limit_state, l.credit_limit
  FROM credit.limit_in_force l
 WHERE as_of >= credit.today() AND (of_account IS NULL OR l.account_id = of_account)
UNION ALL
SELECT l.account_id, l.currency, COALESCE(c.new_state, l.limit_state),
	   CASE WHEN c.account_id IS NULL THEN l.credit_limit ELSE c.new_limit END
  FROM credit.limit_in_force l
  LEFT JOIN (SELECT DISTINCT ON (h.account_id) h.account_id, h.new_state, h.new_limit
			   FROM credit.limit_change h
			  WHERE h.valid_until IS NULL OR h.valid_until >= as_of
			  ORDER BY h.account_id, credit.day_of(h.changed_at) <= as_of DESC,
					   CASE WHEN credit.day_of(h.changed_at) <= as_of THEN -h.limit_change_id ELSE h.limit_change_id END) c
	ON c.account_id = l.account_id
 WHERE as_of < credit.today() AND (of_account IS NULL OR l.account_id = of_account);
END;
COMMENT ON FUNCTION credit.limits_on(date, bigint) IS
'The limit of each account on a day, of all accounts or of one: the last one set up to it; before the first that is known, that one.';
CREATE FUNCTION credit.feature_query(as_of date, of_account bigint, days integer)
RETURNS TABLE (account_id bigint, customer text, segment text, name text, currency text,
			   n_paid bigint, n_open bigint, n_overdue bigint,
			   paid_amount numeric, on_time_rate float8, on_time_rate_by_amount float8,
			   mean_days_late float8, weighted_days_late float8, median_days_late float8,
			   p90_days_late float8, max_days_late integer, sd_days_late float8,
			   recent_days_late float8, trend_slope float8, is_worsening boolean,
			   payment_index float8, weighted_days_to_pay float8, weighted_terms float8,
			   partial_payment_ratio float8, payment_ratio float8, days_since_payment integer,
			   open_amount numeric, overdue_amount numeric, over_90_amount numeric,
			   overdue_ratio float8, over_30_ratio float8, oldest_days_overdue integer,
			   disputed_ratio float8, is_in_default boolean, exposure numeric,
			   open_orders numeric, credit_limit numeric, utilisation float8,
			   n_orders bigint, order_amount numeric, order_growth float8,
			   days_since_order integer, months_known float8, equity_ratio float8,
			   debt_ratio float8, current_ratio float8, quick_ratio float8,
			   interest_cover float8, ebit_margin float8, net_margin float8,
			   return_on_assets float8, asset_turnover float8, cash_cycle_days float8,
			   requirement_days float8, altman_z float8, altman_z_private float8,
			   altman_z_general float8, company_age float8, employees integer,
			   industry text, legal_form text, country text,
			   bureau_probability float8, bureau_score float8, bureau_days_beyond_terms numeric,
			   bureau_limit numeric, bureau_age_days integer,
			   declared jsonb)
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 1000
BEGIN ATOMIC
WITH unit AS
	(SELECT a.account_id, a.customer, a.segment, a.name, l.currency
	   FROM credit.account a
	   JOIN credit.account_limit l ON l.account_id = a.account_id
	  WHERE feature_query.of_account IS NULL OR a.account_id = feature_query.of_account),
debt AS MATERIALIZED
	(SELECT d.account_id, d.source_id, d.key, d.amount, d.document_date, d.due_date, d.settled_on,
			d.is_cash, d.is_dated, d.open_amount AS raw_open,
			CASE WHEN d.currency = l.currency THEN d.open_amount ELSE credit.convert(d.open_amount, d.currency, l.currency, feature_query.as_of) END AS open_amount,
			CASE WHEN d.currency = l.currency THEN d.paid_amount ELSE credit.convert(d.paid_amount, d.currency, l.currency, feature_query.as_of) END AS paid_amount
	   FROM credit.debts_on(feature_query.as_of, feature_query.of_account) d
	   JOIN credit.account_limit l ON l.account_id = d.account_id),
cash AS MATERIALIZED
	(SELECT i.account_id, t.source_id, t.key, i.amount AS invoice_amount, i.document_date,
			COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date, i.posting_date) AS due_date,
			t.settled_on, t.amount AS raw_amount,
			CASE WHEN t.currency = l.currency THEN t.amount ELSE credit.convert(t.amount, t.currency, l.currency, feature_query.as_of) END AS amount
	   FROM credit.settlements_on(feature_query.as_of, feature_query.of_account) t
	   JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
	   JOIN credit.account a ON a.account_id = i.account_id
	   JOIN credit.account_limit l ON l.account_id = i.account_id
	  WHERE t.kind NOT IN ('credit_note', 'write_off') AND t.settled_on IS NOT NULL AND i.amount > 0),
/* counts, rates, quantiles and trend by invoice: amounts do not matter here */
by_invoice AS
	(SELECT d.account_id,
			credit.payment_profile(d.amount, d.document_date, d.due_date, d.settled_on, feature_query.as_of, 0, 90) AS p
	   FROM debt d
	  WHERE d.is_dated AND (d.settled_on IS NULL OR (d.is_cash AND d.settled_on > feature_query.as_of - feature_query.days))
	  GROUP BY d.account_id),
by_amount AS
	(SELECT q.account_id,
			credit.payment_profile(q.amount, q.document_date, q.due_date, q.settled_on, feature_query.as_of, 0, 90) AS p
	   FROM (SELECT c.account_id, c.amount, c.document_date, c.due_date, c.settled_on
			   FROM cash c WHERE c.settled_on > feature_query.as_of - feature_query.days
			 UNION ALL
			 SELECT d.account_id, d.open_amount, d.document_date, d.due_date, NULL
			   FROM debt d WHERE d.open_amount > 0) q
	  GROUP BY q.account_id),
/* most invoices are paid on one day: few need a second look */
paid AS MATERIALIZED
	(SELECT c.account_id, c.source_id, c.key, c.invoice_amount, min(c.settled_on) AS first_day,
			max(c.settled_on) AS last_day, sum(c.raw_amount) AS amount
	   FROM cash c
	  GROUP BY c.account_id, c.source_id, c.key, c.invoice_amount),
first_paid AS
	(SELECT x.account_id, credit.partial_payment(x.invoice_amount, x.first_payment) AS p
	   FROM (SELECT b.account_id, b.invoice_amount, b.amount AS first_payment
			   FROM paid b
			  WHERE b.first_day = b.last_day AND b.first_day > feature_query.as_of - feature_query.days
			 UNION ALL
			 SELECT b.account_id, b.invoice_amount, sum(c.raw_amount)
			   FROM paid b
			   JOIN cash c ON c.source_id = b.source_id AND c.key = b.key AND c.settled_on = b.first_day
			  WHERE b.first_day < b.last_day AND b.first_day > feature_query.as_of - feature_query.days
			  GROUP BY b.account_id, b.source_id, b.key, b.invoice_amount) x
	  GROUP BY x.account_id),
due AS
	(SELECT d.account_id, d.n_debts, d.payment_ratio, c.last_paid
	   FROM (SELECT b.account_id, count(*) AS n_debts,
					credit.ratio(sum(b.paid_amount) FILTER (WHERE b.due_date > feature_query.as_of - feature_query.days AND b.due_date <= feature_query.as_of),
								 sum(b.paid_amount + b.open_amount) FILTER (WHERE b.due_date > feature_query.as_of - feature_query.days AND b.due_date <= feature_query.as_of)) AS payment_ratio
			   FROM debt b GROUP BY b.account_id) d
	   LEFT JOIN (SELECT p.account_id, max(p.settled_on) AS last_paid FROM cash p GROUP BY p.account_id) c
		 ON c.account_id = d.account_id),
aging AS
	(SELECT x.account_id, count(x.rate) = count(*) AS has_rates, sum(x.total * x.rate) AS total,
			sum((x.total - x.credits) * x.rate) AS debit, sum(x.overdue * x.rate) AS overdue,
			sum((x.d31_60 + x.d61_90 + x.d91_120 + x.d121_plus) * x.rate) AS over_30,
			sum((x.d91_120 + x.d121_plus) * x.rate) AS over_90,
			sum(x.disputed * x.rate) AS disputed, max(x.oldest_days_past_due) AS oldest
	   FROM (SELECT a.account_id, g.*, CASE WHEN g.currency = a.currency THEN 1 ELSE credit.rate(g.currency, a.currency, feature_query.as_of) END AS rate
			   FROM credit.customer_aging_on(feature_query.as_of) g
			   JOIN unit a ON a.customer = g.customer COLLATE "C" AND a.segment = g.segment COLLATE "C"
			  /* one account is found by index */
			  WHERE feature_query.of_account IS NULL
				 OR g.customer COLLATE "C" = (SELECT o.customer FROM credit.account o WHERE o.account_id = feature_query.of_account)) x
	  GROUP BY x.account_id),
ordered AS
	(SELECT x.account_id, count(x.rate) = count(*) AS has_rates, sum(x.amount * x.rate) AS ordered
	   FROM (SELECT o.account_id, COALESCE(o.stages[1], 0) + COALESCE(o.stages[2], 0) AS amount,
					CASE WHEN o.currency = a.currency THEN 1 ELSE credit.rate(o.currency, a.currency, feature_query.as_of) END AS rate
			   FROM (SELECT i.account_id, i.currency, i.stages
					   FROM credit.item i
					  WHERE i.is_open AND feature_query.as_of = credit.today()
						AND (feature_query.of_account IS NULL OR i.account_id = feature_query.of_account)
					 UNION ALL
					 SELECT p.account_id, p.currency, p.stages
					   FROM credit.orders_on(feature_query.as_of) p
					  WHERE feature_query.as_of <> credit.today()) o
			   JOIN unit a ON a.account_id = o.account_id) x
	  WHERE x.amount <> 0
	  GROUP BY x.account_id),
document AS
	(SELECT x.account_id, min(x.day) AS first_day, max(x.day) FILTER (WHERE x.is_order) AS last_order,
			count(*) FILTER (WHERE x.is_order AND x.day > feature_query.as_of - feature_query.days) AS n_orders,
			count(*) FILTER (WHERE x.is_order AND x.amount IS NULL) = 0 AS has_rates,
			COALESCE(sum(x.amount) FILTER (WHERE x.is_order AND x.day > feature_query.as_of - feature_query.days), 0) AS order_amount,
			COALESCE(sum(x.amount) FILTER (WHERE x.is_order AND x.day > feature_query.as_of - 90), 0) AS recent_orders,
			sum(x.amount) FILTER (WHERE x.is_order AND x.day BETWEEN feature_query.as_of - 364 AND feature_query.as_of - 90) AS former_orders
	   FROM (SELECT i.account_id, s.kind = 'order' AS is_order,
					COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
					CASE WHEN s.kind <> 'order' THEN NULL WHEN i.currency = a.currency THEN i.amount
						 ELSE credit.convert(i.amount, i.currency, a.currency, feature_query.as_of) END AS amount
			   FROM unit a
			   JOIN credit.item i ON i.account_id = a.account_id AND (i.is_open OR NOT i.is_open)
			   JOIN credit.source s ON s.source_id = i.source_id
			  WHERE i.amount IS NOT NULL AND i.is_counted
				AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= feature_query.as_of) x
	  GROUP BY x.account_id),
financial AS
	(SELECT DISTINCT ON (a.account_id) a.account_id AS of_account, r.*
	   FROM unit a
	   JOIN credit.financial_ratios_on(feature_query.as_of) r
		 ON r.customer COLLATE "C" = a.customer AND (r.segment COLLATE "C" = a.segment OR r.segment = '')
	  WHERE NOT r.is_stale
	  ORDER BY a.account_id, r.segment COLLATE "C" DESC),
company AS
	(SELECT DISTINCT ON (a.account_id) a.account_id AS of_account, q.*
	   FROM unit a
	   JOIN credit.companies_on(feature_query.as_of) q
		 ON q.customer COLLATE "C" = a.customer AND (q.segment COLLATE "C" = a.segment OR q.segment = '')
	  ORDER BY a.account_id, q.segment COLLATE "C" DESC),
bureau AS
	(SELECT q.account_id, max(q.probability) AS probability,
			(array_agg(q.score ORDER BY q.report_date DESC, q.provider) FILTER (WHERE q.score IS NOT NULL))[1] AS score,
			max(q.days_beyond_terms) AS days_beyond_terms, min(q.recommended_limit) AS recommended_limit,
			min(q.age_days) AS age_days
	   FROM (SELECT DISTINCT ON (a.account_id, b.provider) a.account_id, b.provider, b.report_date, b.age_days,
					b.probability, b.score, b.days_beyond_terms,
					CASE WHEN b.currency = a.currency THEN b.recommended_limit
						 ELSE credit.convert(b.recommended_limit, b.currency, a.currency, feature_query.as_of) END AS recommended_limit
			   FROM unit a
			   JOIN credit.bureau_reports_on(feature_query.as_of) b
				 ON b.customer COLLATE "C" = a.customer AND (b.segment COLLATE "C" = a.segment OR b.segment = '')
			  WHERE NOT b.is_stale
			  ORDER BY a.account_id, b.provider, b.segment COLLATE "C" DESC) q
	  GROUP BY q.account_id)
SELECT a.account_id, a.customer, a.segment, a.name, a.currency,
	   CASE WHEN d.n_debts > 0 THEN COALESCE((n.p).n_paid, 0) END,
	   CASE WHEN d.n_debts > 0 THEN COALESCE((n.p).n_open, 0) END,
	   CASE WHEN d.n_debts > 0 THEN COALESCE((n.p).n_overdue, 0) END,
	   CASE WHEN d.n_debts > 0 THEN COALESCE((m.p).paid_amount, 0) END,
	   (n.p).on_time_rate,
	   (m.p).on_time_rate_by_amount,
	   (n.p).mean_days_late,
	   (m.p).weighted_days_late,
	   (n.p).median_days_late,
	   (n.p).p90_days_late,
	   (n.p).max_days_late,
	   (n.p).sd_days_late,
	   (n.p).recent_days_late,
	   (n.p).trend_slope,
	   (n.p).is_worsening,
	   (m.p).payment_index,
	   (m.p).weighted_days_to_pay,
	   (m.p).weighted_terms,
	   (r.p).partial_ratio,
	   d.payment_ratio,
	   feature_query.as_of - d.last_paid,
	   CASE WHEN d.n_debts > 0 AND g.has_rates IS NOT FALSE THEN COALESCE(g.debit, 0) END,
	   CASE WHEN d.n_debts > 0 AND g.has_rates IS NOT FALSE THEN COALESCE(g.overdue, 0) END,
	   CASE WHEN d.n_debts > 0 AND g.has_rates IS NOT FALSE THEN COALESCE(g.over_90, 0) END,
	   CASE WHEN d.n_debts > 0 AND g.has_rates IS NOT FALSE THEN COALESCE(credit.ratio(g.overdue, g.debit), 0) END,
	   CASE WHEN d.n_debts > 0 AND g.has_rates IS NOT FALSE THEN COALESCE(credit.ratio(g.over_30, g.debit), 0) END,
	   CASE WHEN d.n_debts > 0 THEN GREATEST(g.oldest, 0) END,
	   CASE WHEN d.n_debts > 0 AND g.has_rates IS NOT FALSE THEN COALESCE(credit.ratio(g.disputed, g.debit), 0) END,
	   CASE WHEN d.n_debts > 0 THEN COALESCE(credit.is_material(g.over_90, g.debit), false) END,
	   CASE WHEN g.has_rates IS NOT FALSE AND o.has_rates IS NOT FALSE THEN COALESCE(g.total, 0) + COALESCE(o.ordered, 0) END,
	   CASE WHEN o.has_rates IS NOT FALSE THEN COALESCE(o.ordered, 0) END,
	   CASE l.limit_state WHEN 'amount' THEN l.credit_limit WHEN 'blocked' THEN 0 END,
	   CASE WHEN l.limit_state = 'amount' AND l.credit_limit > 0 AND g.has_rates IS NOT FALSE AND o.has_rates IS NOT FALSE
			THEN credit.ratio(GREATEST(COALESCE(g.total, 0) + COALESCE(o.ordered, 0), 0), l.credit_limit) END,
	   i.n_orders,
	   CASE WHEN i.has_rates THEN i.order_amount END,
	   CASE WHEN i.has_rates THEN credit.ratio(i.recent_orders * 275, i.former_orders * 90) END,
	   feature_query.as_of - i.last_order,
	   (feature_query.as_of - i.first_day) / 30.4375::float8,
	   f.equity_ratio,
	   f.debt_ratio,
	   f.current_ratio,
	   f.quick_ratio,
	   f.interest_cover,
	   f.ebit_margin,
	   f.net_margin,
	   f.return_on_assets,
	   f.asset_turnover,
	   f.cash_cycle_days,
	   f.requirement_days,
	   f.z,
	   f.z_private,
	   f.z_general,
	   c.age_years,
	   c.employees,
	   c.industry,
	   c.legal_form,
	   c.country,
	   u.probability,
	   u.score,
	   u.days_beyond_terms,
	   u.recommended_limit,
	   u.age_days,
	   COALESCE(x.declared, '{}')
  FROM unit a
  LEFT JOIN due d ON d.account_id = a.account_id
  LEFT JOIN by_invoice n ON n.account_id = a.account_id
  LEFT JOIN by_amount m ON m.account_id = a.account_id
  LEFT JOIN first_paid r ON r.account_id = a.account_id
  LEFT JOIN aging g ON g.account_id = a.account_id
  LEFT JOIN ordered o ON o.account_id = a.account_id
  LEFT JOIN document i ON i.account_id = a.account_id
  LEFT JOIN credit.limits_on(feature_query.as_of, feature_query.of_account) l ON l.account_id = a.account_id
  LEFT JOIN financial f ON f.of_account = a.account_id
  LEFT JOIN company c ON c.of_account = a.account_id
  LEFT JOIN bureau u ON u.account_id = a.account_id
  LEFT JOIN credit.declared_features(feature_query.as_of, feature_query.of_account) x ON x.account_id = a.account_id;
END;
COMMENT ON FUNCTION credit.feature_query(date, bigint, integer) IS
'Part of features(): the query.';
/*
 * The query is long: compiling it would take longer than it runs, even for a
 * hundred thousand accounts.  And it is planned for what is asked: one account
 * or all.
 */
CREATE FUNCTION credit.features
	(as_of date DEFAULT credit.as_of(), of_account bigint DEFAULT NULL, days integer DEFAULT 365)
RETURNS TABLE (account_id bigint, customer text, segment text, name text, currency text,
			   n_paid bigint, n_open bigint, n_overdue bigint,
			   paid_amount numeric, on_time_rate float8, on_time_rate_by_amount float8,
			   mean_days_late float8, weighted_days_late float8, median_days_late float8,
			   p90_days_late float8, max_days_late integer, sd_days_late float8,
			   recent_days_late float8, trend_slope float8, is_worsening boolean,
			   payment_index float8, weighted_days_to_pay float8, weighted_terms float8,
			   partial_payment_ratio float8, payment_ratio float8, days_since_payment integer,
			   open_amount numeric, overdue_amount numeric, over_90_amount numeric,
			   overdue_ratio float8, over_30_ratio float8, oldest_days_overdue integer,
			   disputed_ratio float8, is_in_default boolean, exposure numeric,
			   open_orders numeric, credit_limit numeric, utilisation float8,
			   n_orders bigint, order_amount numeric, order_growth float8,
			   days_since_order integer, months_known float8, equity_ratio float8,
			   debt_ratio float8, current_ratio float8, quick_ratio float8,
			   interest_cover float8, ebit_margin float8, net_margin float8,
			   return_on_assets float8, asset_turnover float8, cash_cycle_days float8,
			   requirement_days float8, altman_z float8, altman_z_private float8,
			   altman_z_general float8, company_age float8, employees integer,
			   industry text, legal_form text, country text,
			   bureau_probability float8, bureau_score float8, bureau_days_beyond_terms numeric,
			   bureau_limit numeric, bureau_age_days integer,
			   declared jsonb)
LANGUAGE plpgsql STABLE ROWS 1000
SET search_path = pg_catalog, pg_temp
SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_variable
BEGIN
	IF as_of IS NULL OR NOT isfinite(as_of) OR days IS NULL OR days NOT BETWEEN 1 AND 36500 THEN
		RAISE EXCEPTION 'features are worked out for a day, over a window of 1 to 36500 days'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY SELECT * FROM credit.feature_query(as_of, of_account, days);
END
$$;
COMMENT ON FUNCTION credit.features(date, bigint, integer) IS
'Everything that models may look at, one row for each account, or for one, on a day (default credit.as_of()); days is the window of payments and orders. Amounts are in the currency of the account. View feature_catalog says what each column means and when it is NULL; features declared by users are in the last one.';
CREATE FUNCTION credit.feature_values(as_of date DEFAULT credit.as_of(), of_account bigint DEFAULT NULL)
RETURNS TABLE (account_id bigint, customer text, segment text, name text, features jsonb)
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
SELECT f.account_id, f.customer, f.segment, f.name,
	   (to_jsonb(f) - '{account_id,customer,segment,name,currency,declared}'::text[]) || f.declared
  FROM credit.features(feature_values.as_of, feature_values.of_account) f;
END;
COMMENT ON FUNCTION credit.feature_values(date, bigint) IS
'The same as a JSON object with a value for each feature, as score_row() takes it.';
/*
 * Subject indicator, over the ledger: receivable indicators by month, of each
 * segment and of each customer.
 *
 * Stocks are open items of the last day of a month, credits taken off the
 * oldest debts of the same customer, so that current, overdue and undated add
 * up to the receivables.  Flows are by the date of the document; what is taken
 * back counts on the day it is taken back, as a sale less.
 */

/* What all of these are made of; one row, which the planner puts in line. */
CREATE FUNCTION credit.receivable_ratios
	(month_days integer, sales numeric, window_days integer, window_sales numeric,
	 receivables_begin numeric, receivables_end numeric, current_amount numeric,
	 overdue_amount numeric, write_offs numeric)
RETURNS TABLE (dso_month float8, dso float8, best_possible_dso float8, average_days_delinquent float8,
			   cei float8, turnover float8, collection_period float8, bad_debt_ratio float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
SELECT credit.dso(receivables_end, sales, month_days),
	   credit.dso(receivables_end, window_sales, window_days),
	   credit.best_possible_dso(current_amount, window_sales, window_days),
	   credit.average_days_delinquent(overdue_amount, window_sales, window_days),
	   credit.cei(receivables_begin, sales, receivables_end, current_amount),
	   credit.receivable_turnover(sales, (receivables_begin + receivables_end) / 2),
	   credit.collection_period(sales, (receivables_begin + receivables_end) / 2, month_days),
	   credit.bad_debt_ratio(write_offs, 0, sales);
END;
COMMENT ON FUNCTION credit.receivable_ratios(integer, numeric, integer, numeric, numeric, numeric, numeric, numeric, numeric) IS
'Ratios of a month from its stocks and flows: DSO over the month and over a longer window, best possible DSO and average days delinquent over that window, CEI, turnover and collection period of the month by the mean of receivables at its begin and end, bad-debt ratio of the month.';
/* Future-dated documents are outside, also today. */
CREATE FUNCTION credit.open_items_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, kind text, document_date date, due_date date, open_amount numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
WITH allocated AS
	(SELECT l.* FROM credit.allocations_of(of_account, as_of) l
	  /* needs_allocation(), which would be planned anew for each account */
	  WHERE EXISTS (SELECT FROM credit.settlement_rule r
					 WHERE r.rule = 'allocated' AND r.kind IN ('payment', 'credit_note', 'receivable')))
SELECT o.currency, o.kind, i.document_date, p.due_date, p.open_amount
  FROM (SELECT q.source_id, q.key, max(q.currency) AS currency, max(q.kind) AS kind, sum(q.open_amount) AS open_amount
		  FROM (SELECT u.source_id, u.key, u.currency, u.kind, u.open_amount
				  FROM credit.unallocated_of(of_account, as_of) u
				UNION ALL
				SELECT l.source_id, l.key, NULL, NULL, -l.amount FROM allocated l
				UNION ALL
				SELECT l.payment_source_id, l.payment_key, NULL, NULL, l.amount FROM allocated l) q
		 GROUP BY q.source_id, q.key) o
  JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key
  JOIN credit.account a ON a.account_id = i.account_id
 CROSS JOIN LATERAL
	   (SELECT CASE o.kind WHEN 'payment' THEN COALESCE(i.posting_date, i.document_date)
					ELSE COALESCE(i.due_date, i.document_date + COALESCE(a.terms_days, 0), i.document_date,
								  i.posting_date) END AS due_date,
			   o.open_amount - GREATEST(LEAST(COALESCE(i.retention_amount, 0), o.open_amount), 0) AS open_amount
		UNION ALL
		SELECT i.retention_until, GREATEST(LEAST(i.retention_amount, o.open_amount), 0)
		 WHERE i.retention_amount > 0) p
 WHERE p.open_amount <> 0;
END;
COMMENT ON FUNCTION credit.open_items_of(bigint, date) IS
'Open items of one account on a day, after allocation, by its indexes; see open_items_on().';
CREATE FUNCTION credit.sales_of(of_account bigint, as_of date)
RETURNS TABLE (currency text, day date, sales numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
BEGIN ATOMIC
SELECT d.currency, e.day, e.sales
  FROM (SELECT i.currency, i.reversed_on,
			   COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) AS day,
			   CASE s.kind WHEN 'credit_note' THEN -i.amount ELSE i.amount END AS amount
		  FROM credit.item i
		  JOIN credit.source s ON s.source_id = i.source_id
		 WHERE i.account_id = of_account AND (i.is_open OR NOT i.is_open) AND i.amount IS NOT NULL
		   AND (s.kind IN ('invoice', 'credit_note') OR (s.kind = 'receivable' AND i.amount > 0))) d
 CROSS JOIN LATERAL
	   (SELECT d.day, d.amount AS sales
		UNION ALL
		SELECT GREATEST(d.reversed_on, d.day), -d.amount WHERE d.reversed_on IS NOT NULL) e
 WHERE e.day <= as_of;
END;
COMMENT ON FUNCTION credit.sales_of(bigint, date) IS
'Credit sales of one account up to a day: invoices and positive lines of a ledger, less credit notes; a reversal is a negative sale of its own day.';
/* A series of months is made whole before it is read, so it must have an end. */
CREATE FUNCTION credit.month_count(months integer) RETURNS integer
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF months NOT BETWEEN 0 AND 1200 THEN
		RAISE EXCEPTION 'months must be from 0 to 1200, not %', months
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'For months further back take an earlier as_of.';
	END IF;
	RETURN months;
END
$$;
COMMENT ON FUNCTION credit.month_count(integer) IS
'A number of months as it was given; an error if it is not from 0 to 1200. Internal.';
CREATE FUNCTION credit.receivable_indicators_on
	(as_of date, months integer DEFAULT 12, days integer DEFAULT NULL)
RETURNS TABLE (segment text, currency text, month date, last_day date,
			   sales numeric, window_days integer, window_sales numeric,
			   receivables_begin numeric, receivables_end numeric, current_amount numeric,
			   overdue_amount numeric, undated_amount numeric,
			   dso_month float8, dso float8, countback_dso float8, best_possible_dso float8,
			   average_days_delinquent float8, true_dso float8, cei float8, turnover float8,
			   collection_period float8, overdue_ratio float8, severe_overdue_ratio float8,
			   write_off_amount numeric, bad_debt_ratio float8, paid_amount numeric,
			   weighted_days_late float8, days_beyond_terms float8, open_days_beyond_terms float8,
			   weighted_days_to_pay float8, weighted_terms float8,
			   n_customers bigint, is_complete boolean)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH month AS
	(SELECT m.month, m.last_day, m.last_day - m.month + 1 AS month_days,
			COALESCE(m.last_day - receivable_indicators_on.days, (m.month - interval '2 months')::date - 1) AS window_begin
	   FROM (SELECT f.first::date AS month,
					LEAST((f.first + interval '1 month')::date - 1, receivable_indicators_on.as_of) AS last_day
			   FROM generate_series(0, credit.month_count(receivable_indicators_on.months) - 1) g (back)
			  CROSS JOIN LATERAL
				   (SELECT date_trunc('month', receivable_indicators_on.as_of::timestamp) - make_interval(months => g.back) AS first) f) m),
open AS MATERIALIZED
	(SELECT d.day, o.segment, o.customer, o.currency, o.document_date, o.due_date, o.open_amount, o.is_complete
	   FROM (SELECT m.last_day AS day FROM month m
			 UNION
			 SELECT m.month - 1 FROM month m) d
	  CROSS JOIN LATERAL credit.open_items_on(d.day) o
	  WHERE o.document_date IS NULL OR o.document_date <= d.day),
of_customer AS
	(SELECT o.day, o.segment, o.currency,
			credit.aging(o.open_amount, o.due_date, o.day, 'oldest') AS netted,
			credit.aging(o.open_amount, o.due_date, o.day) AS gross,
			sum(o.open_amount * GREATEST(o.day - o.due_date, 0)) FILTER (WHERE o.open_amount > 0) AS late_days,
			sum(o.open_amount) FILTER (WHERE o.open_amount > 0 AND o.due_date IS NOT NULL) AS dated,
			bool_and(o.is_complete) AS is_complete
	   FROM open o
	  GROUP BY o.day, o.segment, o.customer, o.currency),
stock AS
	(SELECT c.day, c.segment, c.currency, count(*) AS n_customers, bool_and(c.is_complete) AS is_complete,
			sum((c.netted).total) AS receivables, sum((c.netted).undated) AS undated,
			sum((c.netted).d1_30 + (c.netted).d31_60 + (c.netted).d61_90 + (c.netted).d91_120 + (c.netted).d121_plus) AS overdue,
			sum((c.gross).total - (c.gross).credits) AS debts,
			sum((c.gross).d1_30 + (c.gross).d31_60 + (c.gross).d61_90 + (c.gross).d91_120 + (c.gross).d121_plus) AS late,
			sum((c.gross).d91_120 + (c.gross).d121_plus) AS severe,
			sum(c.late_days) AS late_days, sum(c.dated) AS dated
	   FROM of_customer c
	  GROUP BY c.day, c.segment, c.currency),
flow AS MATERIALIZED
	(SELECT a.segment, s.currency, s.day, sum(s.sales) AS sales
	   FROM credit.account a
	  CROSS JOIN LATERAL credit.sales_of(a.account_id, receivable_indicators_on.as_of) s
	  GROUP BY a.segment, s.currency, s.day),
by_age AS
	(SELECT e.last_day, e.segment, e.currency,
			credit.true_dso(e.day, e.sales, e.open_amount, e.last_day) AS by_age
	   FROM (SELECT m.last_day, f.segment, f.currency, f.day, f.sales, NULL::numeric AS open_amount
			   FROM month m JOIN flow f ON f.day <= m.last_day
			 UNION ALL
			 SELECT m.last_day, o.segment, o.currency, o.document_date, NULL, o.open_amount
			   FROM month m JOIN open o ON o.day = m.last_day AND o.open_amount > 0) e
	  GROUP BY e.last_day, e.segment, e.currency),
paid AS
	(SELECT a.segment, p.currency, date_trunc('month', p.paid_on::timestamp)::date AS month,
			credit.payment_profile(p.amount, p.document_date, p.due_date, p.paid_on) AS paid
	   FROM credit.account a
	  CROSS JOIN LATERAL credit.paid_of(a.account_id, receivable_indicators_on.as_of) p
	  WHERE p.paid_on >= date_trunc('month', receivable_indicators_on.as_of::timestamp) - make_interval(months => months - 1)
	  GROUP BY 1, 2, 3),
written_off AS
	(SELECT a.segment, i.currency, date_trunc('month', t.settled_on::timestamp)::date AS month, sum(t.amount) AS amount
	   FROM (SELECT t.source_id, t.key, t.settled_on, t.amount
			   FROM credit.settlement t
			  WHERE t.kind = 'write_off'
			 UNION ALL
			 SELECT l.source_id, l.key, l.settled_on, l.amount
			   FROM credit.allocations_on(receivable_indicators_on.as_of) l
			   JOIN credit.item p ON p.source_id = l.payment_source_id AND p.key = l.payment_key AND p.is_write_off
			  WHERE (SELECT credit.needs_allocation())) t
	   JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
	   JOIN credit.source s ON s.source_id = i.source_id AND s.kind IN ('invoice', 'receivable')
	   JOIN credit.account a ON a.account_id = i.account_id
	  WHERE t.settled_on <= receivable_indicators_on.as_of
		AND i.amount IS NOT NULL
		AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= receivable_indicators_on.as_of
		AND (i.reversed_on IS NULL OR i.reversed_on > receivable_indicators_on.as_of)
	  GROUP BY 1, 2, 3),
part AS
	(SELECT k.segment, k.currency, min(k.day) AS first_day
	   FROM (SELECT f.segment, f.currency, f.day FROM flow f
			 UNION ALL
			 SELECT s.segment, s.currency, s.day FROM stock s) k
	  GROUP BY k.segment, k.currency)
SELECT q.segment, q.currency, q.month, q.last_day, q.sales, q.window_days, q.window_sales,
	   q.receivables_begin, q.receivables_end, q.receivables_end - q.overdue - q.undated,
	   q.overdue, q.undated, r.dso_month, r.dso, (q.countback).dso, r.best_possible_dso,
	   r.average_days_delinquent, (q.by_age).dso, r.cei, r.turnover, r.collection_period,
	   q.overdue_ratio, q.severe_overdue_ratio, q.write_offs, r.bad_debt_ratio,
	   COALESCE((q.paid).paid_amount, 0), (q.paid).weighted_days_late, (q.paid).days_beyond_terms,
	   q.open_days_beyond_terms, (q.paid).weighted_days_to_pay, (q.paid).weighted_terms,
	   q.n_customers, q.is_complete
  FROM (SELECT k.segment, k.currency, m.month, m.last_day, m.month_days, m.last_day - m.window_begin AS window_days,
			   COALESCE(sum(f.sales) FILTER (WHERE f.day >= m.month), 0) AS sales,
			   COALESCE(sum(f.sales) FILTER (WHERE f.day > m.window_begin), 0) AS window_sales,
			   credit.countback_dso(f.day, f.sales, COALESCE(e.receivables, 0), m.last_day) AS countback,
			   COALESCE(b.receivables, 0) AS receivables_begin, COALESCE(e.receivables, 0) AS receivables_end,
			   COALESCE(e.overdue, 0) AS overdue, COALESCE(e.undated, 0) AS undated,
			   credit.ratio(e.late, e.debts) AS overdue_ratio, credit.ratio(e.severe, e.debts) AS severe_overdue_ratio,
			   credit.ratio(e.late_days, e.dated) AS open_days_beyond_terms,
			   g.by_age, COALESCE(w.amount, 0) AS write_offs, p.paid,
			   COALESCE(e.n_customers, 0) AS n_customers, COALESCE(e.is_complete, true) AND COALESCE(b.is_complete, true) AS is_complete
		  FROM month m
		  JOIN part k ON k.first_day <= m.last_day
		  LEFT JOIN flow f ON f.segment = k.segment AND f.currency = k.currency AND f.day <= m.last_day
		  LEFT JOIN stock b ON b.segment = k.segment AND b.currency = k.currency AND b.day = m.month - 1
		  LEFT JOIN stock e ON e.segment = k.segment AND e.currency = k.currency AND e.day = m.last_day
		  LEFT JOIN by_age g ON g.segment = k.segment AND g.currency = k.currency AND g.last_day = m.last_day
		  LEFT JOIN paid p ON p.segment = k.segment AND p.currency = k.currency AND p.month = m.month
		  LEFT JOIN written_off w ON w.segment = k.segment AND w.currency = k.currency AND w.month = m.month
		 GROUP BY k.segment, k.currency, m.month, m.last_day, m.month_days, m.window_begin,
				  b.receivables, b.is_complete, e.receivables, e.overdue, e.undated, e.late, e.debts, e.severe,
				  e.late_days, e.dated, e.n_customers, e.is_complete, g.by_age, w.amount, p.paid
		OFFSET 0) q
 CROSS JOIN LATERAL credit.receivable_ratios
	   (q.month_days, q.sales, q.window_days, q.window_sales, q.receivables_begin, q.receivables_end,
		q.receivables_end - q.overdue - q.undated, q.overdue, q.write_offs) r;
END;
COMMENT ON FUNCTION credit.receivable_indicators_on(date, integer, integer) IS
'Receivable indicators by segment, currency and month, for so many months (at most 1200) up to a day; the last month as far as it has gone. days: length of the longer window; NULL: the month and the two before it.';
CREATE VIEW credit.receivable_indicators AS
SELECT r.segment COLLATE "C" AS segment,
	   r.currency COLLATE "C" AS currency, r.month, r.last_day, r.sales,
	   r.window_days, r.window_sales, r.receivables_begin,
	   r.receivables_end, r.current_amount, r.overdue_amount,
	   r.undated_amount, r.dso_month, r.dso, r.countback_dso,
	   r.best_possible_dso, r.average_days_delinquent, r.true_dso, r.cei,
	   r.turnover, r.collection_period, r.overdue_ratio,
	   r.severe_overdue_ratio, r.write_off_amount, r.bad_debt_ratio,
	   r.paid_amount, r.weighted_days_late, r.days_beyond_terms,
	   r.open_days_beyond_terms, r.weighted_days_to_pay,
	   r.weighted_terms, r.n_customers, r.is_complete
  FROM credit.receivable_indicators_on(credit.as_of()) r;
COMMENT ON VIEW credit.receivable_indicators IS 'Receivable indicators by segment, currency and month, of the 12 months up to today, or to the day of credit.as_of; see receivable_indicators_on().';
COMMENT ON COLUMN credit.receivable_indicators.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.receivable_indicators.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.receivable_indicators.month IS 'First day of the month.';
COMMENT ON COLUMN credit.receivable_indicators.last_day IS 'Last day that counts: of the month, or the as-of day.';
COMMENT ON COLUMN credit.receivable_indicators.sales IS 'Credit sales of the month: invoices and positive lines of a ledger, less credit notes and reversals.';
COMMENT ON COLUMN credit.receivable_indicators.window_days IS 'Days of the longer window: the month and the two before it.';
COMMENT ON COLUMN credit.receivable_indicators.window_sales IS 'Credit sales of that window.';
COMMENT ON COLUMN credit.receivable_indicators.receivables_begin IS 'Receivables before the month, net of credits and unapplied payments.';
COMMENT ON COLUMN credit.receivable_indicators.receivables_end IS 'Receivables on the last day: current, overdue and undated together.';
COMMENT ON COLUMN credit.receivable_indicators.current_amount IS 'What of it is not overdue; credits beyond a customer''s debts are in it.';
COMMENT ON COLUMN credit.receivable_indicators.overdue_amount IS 'What of it is overdue, after credits of the same customer were taken off the oldest debts.';
COMMENT ON COLUMN credit.receivable_indicators.undated_amount IS 'What of it has no due date.';
COMMENT ON COLUMN credit.receivable_indicators.dso_month IS 'Days sales outstanding over the month.';
COMMENT ON COLUMN credit.receivable_indicators.dso IS 'Days sales outstanding over the longer window.';
COMMENT ON COLUMN credit.receivable_indicators.countback_dso IS 'Days sales outstanding by count-back; NULL: the sales there are do not make up the receivables.';
COMMENT ON COLUMN credit.receivable_indicators.best_possible_dso IS 'DSO over the longer window if nobody were late.';
COMMENT ON COLUMN credit.receivable_indicators.average_days_delinquent IS 'The part of it that overdue receivables make.';
COMMENT ON COLUMN credit.receivable_indicators.true_dso IS 'Days sales outstanding by the age of each open debt.';
COMMENT ON COLUMN credit.receivable_indicators.cei IS 'Collection effectiveness index of the month, in per cent.';
COMMENT ON COLUMN credit.receivable_indicators.turnover IS 'Times in the month that receivables turn over: sales by the mean of begin and end.';
COMMENT ON COLUMN credit.receivable_indicators.collection_period IS 'Days of the month by turnover.';
COMMENT ON COLUMN credit.receivable_indicators.overdue_ratio IS 'Share (0 to 1) of open debts that is overdue; credits are left out.';
COMMENT ON COLUMN credit.receivable_indicators.severe_overdue_ratio IS 'Share that is overdue by more than 90 days.';
COMMENT ON COLUMN credit.receivable_indicators.write_off_amount IS 'What was written off in the month.';
COMMENT ON COLUMN credit.receivable_indicators.bad_debt_ratio IS 'The same by sales of the month.';
COMMENT ON COLUMN credit.receivable_indicators.paid_amount IS 'What was paid in the month, of any debts.';
COMMENT ON COLUMN credit.receivable_indicators.weighted_days_late IS 'Days late of these payments, weighted by amount; early ones are negative.';
COMMENT ON COLUMN credit.receivable_indicators.days_beyond_terms IS 'The same with early payments counted as 0.';
COMMENT ON COLUMN credit.receivable_indicators.open_days_beyond_terms IS 'Days past due of open debts weighted by amount, those not due counted as 0.';
COMMENT ON COLUMN credit.receivable_indicators.weighted_days_to_pay IS 'Days from document date to payment, weighted by amount.';
COMMENT ON COLUMN credit.receivable_indicators.weighted_terms IS 'Days from document date to due date of what was paid, weighted by amount.';
COMMENT ON COLUMN credit.receivable_indicators.n_customers IS 'Number of customers with open items on the last day.';
COMMENT ON COLUMN credit.receivable_indicators.is_complete IS 'False: see view open_items.';
/* The setting of jit keeps it from being put in line and compiled for seconds. */
CREATE FUNCTION credit.indicators_of(of_account bigint, month date, last_day date, window_begin date)
RETURNS TABLE (currency text, month_days integer, window_days integer, sales numeric, window_sales numeric,
			   countback credit.countback_measures, by_age credit.true_dso_measures,
			   receivables_begin numeric, receivables_end numeric, overdue numeric, undated numeric,
			   overdue_ratio float8, severe_overdue_ratio float8, open_days_beyond_terms float8,
			   write_offs numeric, paid credit.payment_measures)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1
SET search_path = pg_catalog, pg_temp SET jit = off
BEGIN ATOMIC
WITH open AS
	(SELECT d.day, o.currency, o.document_date, o.due_date, o.open_amount
	   FROM (SELECT last_day AS day UNION ALL SELECT month - 1) d
	  CROSS JOIN LATERAL credit.open_items_of(of_account, d.day) o),
stock AS
	(SELECT c.day, c.currency, c.netted,
			(c.netted).d1_30 + (c.netted).d31_60 + (c.netted).d61_90 + (c.netted).d91_120 + (c.netted).d121_plus AS overdue,
			(c.gross).total - (c.gross).credits AS debts, c.late_days, c.dated,
			(c.gross).d1_30 + (c.gross).d31_60 + (c.gross).d61_90 + (c.gross).d91_120 + (c.gross).d121_plus AS late,
			(c.gross).d91_120 + (c.gross).d121_plus AS severe
	   FROM (SELECT o.day, o.currency, credit.aging(o.open_amount, o.due_date, o.day, 'oldest') AS netted,
					credit.aging(o.open_amount, o.due_date, o.day) AS gross,
					sum(o.open_amount * GREATEST(o.day - o.due_date, 0)) FILTER (WHERE o.open_amount > 0) AS late_days,
					sum(o.open_amount) FILTER (WHERE o.open_amount > 0 AND o.due_date IS NOT NULL) AS dated
			   FROM open o
			  GROUP BY o.day, o.currency
			 OFFSET 0) c),
flow AS
	(SELECT s.currency, s.day, s.sales
	   FROM credit.sales_of(of_account, last_day) s),
paid AS
	(SELECT p.currency, credit.payment_profile(p.amount, p.document_date, p.due_date, p.paid_on) AS paid
	   FROM credit.paid_of(of_account, last_day) p
	  WHERE p.paid_on >= month
	  GROUP BY p.currency),
written_off AS
	(SELECT t.currency, sum(t.amount) AS amount
	   FROM credit.settlements_of(of_account, last_day) t
	  WHERE t.kind = 'write_off' AND t.settled_on >= month
	  GROUP BY t.currency),
part AS
	(SELECT f.currency FROM flow f UNION SELECT s.currency FROM stock s),
balance AS
	(SELECT k.currency, e.netted, e.overdue, e.late, e.severe, e.debts, e.late_days, e.dated,
			COALESCE((b.netted).total, 0) AS receivables_begin, COALESCE((e.netted).total, 0) AS receivables_end
	   FROM part k
	   LEFT JOIN stock b ON b.currency = k.currency AND b.day = month - 1
	   LEFT JOIN stock e ON e.currency = k.currency AND e.day = last_day),
/* sales and open items in rows of their own */
movement AS
	(SELECT x.currency, COALESCE(sum(x.sales) FILTER (WHERE x.day >= month), 0) AS sales,
			COALESCE(sum(x.sales) FILTER (WHERE x.day > window_begin), 0) AS window_sales,
			credit.countback_dso(x.day, x.sales, x.receivables, last_day) FILTER (WHERE x.is_sale) AS countback,
			credit.true_dso(x.day, x.sales, x.open_amount, last_day) FILTER (WHERE x.day IS NOT NULL) AS by_age
	   FROM (SELECT k.currency, f.day, f.sales, NULL::numeric AS open_amount, k.receivables_end AS receivables, true AS is_sale
			   FROM balance k LEFT JOIN flow f ON f.currency = k.currency
			 UNION ALL
			 SELECT o.currency, o.document_date, NULL, o.open_amount, NULL, false
			   FROM open o WHERE o.day = last_day AND o.open_amount > 0) x
	  GROUP BY x.currency)
SELECT k.currency, (last_day - month + 1), last_day - window_begin AS window_days,
	   v.sales, v.window_sales, v.countback, v.by_age, k.receivables_begin, k.receivables_end,
	   COALESCE(k.overdue, 0) AS overdue, COALESCE((k.netted).undated, 0) AS undated,
	   credit.ratio(k.late, k.debts), credit.ratio(k.severe, k.debts), credit.ratio(k.late_days, k.dated),
	   COALESCE(w.amount, 0) AS write_offs, p.paid
  FROM balance k
  JOIN movement v ON v.currency = k.currency
  LEFT JOIN paid p ON p.currency = k.currency
  LEFT JOIN written_off w ON w.currency = k.currency;
END;
COMMENT ON FUNCTION credit.indicators_of(bigint, date, date, date) IS
'Stocks and flows of one account in a month, by currency; window_begin: the day before the longer window.';
CREATE FUNCTION credit.customer_indicators_on(as_of date, days integer DEFAULT NULL)
RETURNS TABLE (customer text, segment text, name text, currency text, month date, last_day date,
			   sales numeric, window_days integer, window_sales numeric,
			   receivables_begin numeric, receivables_end numeric, current_amount numeric,
			   overdue_amount numeric, undated_amount numeric,
			   dso_month float8, dso float8, countback_dso float8, best_possible_dso float8,
			   average_days_delinquent float8, true_dso float8, cei float8, turnover float8,
			   collection_period float8, overdue_ratio float8, severe_overdue_ratio float8,
			   write_off_amount numeric, bad_debt_ratio float8, paid_amount numeric,
			   weighted_days_late float8, days_beyond_terms float8, open_days_beyond_terms float8,
			   weighted_days_to_pay float8, weighted_terms float8)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, q.currency, m.month, m.last_day, q.sales, q.window_days, q.window_sales,
	   q.receivables_begin, q.receivables_end, q.receivables_end - q.overdue - q.undated,
	   q.overdue, q.undated, r.dso_month, r.dso, (q.countback).dso, r.best_possible_dso,
	   r.average_days_delinquent, (q.by_age).dso, r.cei, r.turnover, r.collection_period,
	   q.overdue_ratio, q.severe_overdue_ratio, q.write_offs, r.bad_debt_ratio,
	   COALESCE((q.paid).paid_amount, 0), (q.paid).weighted_days_late, (q.paid).days_beyond_terms,
	   q.open_days_beyond_terms, (q.paid).weighted_days_to_pay, (q.paid).weighted_terms
  FROM (SELECT c.month, c.last_day,
			   COALESCE(c.last_day - customer_indicators_on.days, (c.month - interval '2 months')::date - 1) AS window_begin
		  FROM (SELECT date_trunc('month', customer_indicators_on.as_of::timestamp)::date AS month,
					   customer_indicators_on.as_of AS last_day) c) m
 CROSS JOIN credit.account a
 CROSS JOIN LATERAL credit.indicators_of(a.account_id, m.month, m.last_day, m.window_begin) q
 CROSS JOIN LATERAL credit.receivable_ratios
	   (q.month_days, q.sales, q.window_days, q.window_sales, q.receivables_begin, q.receivables_end,
		q.receivables_end - q.overdue - q.undated, q.overdue, q.write_offs) r;
END;
COMMENT ON FUNCTION credit.customer_indicators_on(date, integer) IS
'The same indicators by customer and currency, of the month of a day as far as it has gone. days: length of the longer window; NULL: the month and the two before it.';
CREATE VIEW credit.customer_indicators AS
SELECT c.customer COLLATE "C" AS customer,
	   c.segment COLLATE "C" AS segment, c.name,
	   c.currency COLLATE "C" AS currency, c.month, c.last_day, c.sales,
	   c.window_days, c.window_sales, c.receivables_begin,
	   c.receivables_end, c.current_amount, c.overdue_amount,
	   c.undated_amount, c.dso_month, c.dso, c.countback_dso,
	   c.best_possible_dso, c.average_days_delinquent, c.true_dso, c.cei,
	   c.turnover, c.collection_period, c.overdue_ratio,
	   c.severe_overdue_ratio, c.write_off_amount, c.bad_debt_ratio,
	   c.paid_amount, c.weighted_days_late, c.days_beyond_terms,
	   c.open_days_beyond_terms, c.weighted_days_to_pay, c.weighted_terms
  FROM credit.customer_indicators_on(credit.as_of()) c;
COMMENT ON VIEW credit.customer_indicators IS 'Receivable indicators by customer and currency, of the month of today, or of the day of credit.as_of; see customer_indicators_on().';
COMMENT ON COLUMN credit.customer_indicators.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.customer_indicators.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.customer_indicators.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.customer_indicators.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.customer_indicators.month IS 'First day of the month.';
COMMENT ON COLUMN credit.customer_indicators.last_day IS 'Last day that counts: of the month, or the as-of day.';
COMMENT ON COLUMN credit.customer_indicators.sales IS 'Credit sales of the month: invoices and positive lines of a ledger, less credit notes and reversals.';
COMMENT ON COLUMN credit.customer_indicators.window_days IS 'Days of the longer window: the month and the two before it.';
COMMENT ON COLUMN credit.customer_indicators.window_sales IS 'Credit sales of that window.';
COMMENT ON COLUMN credit.customer_indicators.receivables_begin IS 'Receivables before the month, net of credits and unapplied payments.';
COMMENT ON COLUMN credit.customer_indicators.receivables_end IS 'Receivables on the last day: current, overdue and undated together.';
COMMENT ON COLUMN credit.customer_indicators.current_amount IS 'What of it is not overdue; credits beyond a customer''s debts are in it.';
COMMENT ON COLUMN credit.customer_indicators.overdue_amount IS 'What of it is overdue, after credits of the same customer were taken off the oldest debts.';
COMMENT ON COLUMN credit.customer_indicators.undated_amount IS 'What of it has no due date.';
COMMENT ON COLUMN credit.customer_indicators.dso_month IS 'Days sales outstanding over the month.';
COMMENT ON COLUMN credit.customer_indicators.dso IS 'Days sales outstanding over the longer window.';
COMMENT ON COLUMN credit.customer_indicators.countback_dso IS 'Days sales outstanding by count-back; NULL: the sales there are do not make up the receivables.';
COMMENT ON COLUMN credit.customer_indicators.best_possible_dso IS 'DSO over the longer window if nobody were late.';
COMMENT ON COLUMN credit.customer_indicators.average_days_delinquent IS 'The part of it that overdue receivables make.';
COMMENT ON COLUMN credit.customer_indicators.true_dso IS 'Days sales outstanding by the age of each open debt.';
COMMENT ON COLUMN credit.customer_indicators.cei IS 'Collection effectiveness index of the month, in per cent.';
COMMENT ON COLUMN credit.customer_indicators.turnover IS 'Times in the month that receivables turn over: sales by the mean of begin and end.';
COMMENT ON COLUMN credit.customer_indicators.collection_period IS 'Days of the month by turnover.';
COMMENT ON COLUMN credit.customer_indicators.overdue_ratio IS 'Share (0 to 1) of open debts that is overdue; credits are left out.';
COMMENT ON COLUMN credit.customer_indicators.severe_overdue_ratio IS 'Share that is overdue by more than 90 days.';
COMMENT ON COLUMN credit.customer_indicators.write_off_amount IS 'What was written off in the month.';
COMMENT ON COLUMN credit.customer_indicators.bad_debt_ratio IS 'The same by sales of the month.';
COMMENT ON COLUMN credit.customer_indicators.paid_amount IS 'What was paid in the month, of any debts.';
COMMENT ON COLUMN credit.customer_indicators.weighted_days_late IS 'Days late of these payments, weighted by amount; early ones are negative.';
COMMENT ON COLUMN credit.customer_indicators.days_beyond_terms IS 'The same with early payments counted as 0.';
COMMENT ON COLUMN credit.customer_indicators.open_days_beyond_terms IS 'Days past due of open debts weighted by amount, those not due counted as 0.';
COMMENT ON COLUMN credit.customer_indicators.weighted_days_to_pay IS 'Days from document date to payment, weighted by amount.';
COMMENT ON COLUMN credit.customer_indicators.weighted_terms IS 'Days from document date to due date of what was paid, weighted by amount.';
/*
 * Subject score: models applied to features: scores, probabilities, grades and
 * reasons of one account or of all, and the run that writes them down.
 */

/* --- calibration of a model -------------------------------------------------- */

CREATE TABLE credit.model_calibration
(
	model_calibration_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	model_id	integer NOT NULL,
	method		text NOT NULL CHECK (method IN ('none', 'platt', 'isotonic', 'shift')),
	parameters	float8[],
	probabilities float8[],
	reason		text NOT NULL,
	made_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	made_by		text NOT NULL DEFAULT SESSION_USER
);
CREATE INDEX model_calibration_model ON credit.model_calibration (model_id, model_calibration_id);
COMMENT ON TABLE credit.model_calibration IS
'How scores of models become probabilities, where the scale of the model is not to say it; append-only: made by set_calibration(). The newest row of a model counts.';
COMMENT ON COLUMN credit.model_calibration.model_calibration_id IS 'Own key.';
COMMENT ON COLUMN credit.model_calibration.model_id IS 'Model: key of table model.';
COMMENT ON COLUMN credit.model_calibration.method IS 'Method: platt, isotonic, shift, or none, which ends the one before.';
COMMENT ON COLUMN credit.model_calibration.parameters IS 'Intercept and slope (platt), lowest score of each block (isotonic), shift of the log-odds (shift).';
COMMENT ON COLUMN credit.model_calibration.probabilities IS 'Probability of each block (isotonic).';
COMMENT ON COLUMN credit.model_calibration.reason IS 'On which data, and why.';
COMMENT ON COLUMN credit.model_calibration.made_at IS 'When.';
COMMENT ON COLUMN credit.model_calibration.made_by IS 'Session user.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.model_calibration
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE FUNCTION credit.calibrated_probability
	(method text, parameters float8[], probabilities float8[], score float8, probability float8)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE method
	WHEN 'platt' THEN credit.logit_probability(parameters, ARRAY[score])
	WHEN 'isotonic' THEN credit.isotonic_probability(score, parameters, probabilities)
	WHEN 'shift' THEN credit.shift_probability(probability, parameters[1])
	ELSE probability END;
COMMENT ON FUNCTION credit.calibrated_probability(text, float8[], float8[], float8, float8) IS
'Probability of default of a score, by a calibration as table model_calibration has it; without one, the probability that the model gives.';
CREATE FUNCTION credit.set_calibration
	(model_id integer, method text, reason text, parameters float8[] DEFAULT NULL,
	 probabilities float8[] DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	n integer := COALESCE(cardinality(parameters), 0);
	id bigint;
BEGIN
	IF NOT EXISTS (SELECT FROM credit.model m WHERE m.model_id = model_id) THEN
		RAISE EXCEPTION 'there is no model %', model_id
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	IF reason IS NULL OR reason !~ '\S' THEN
		RAISE EXCEPTION 'a model is not calibrated without a reason'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF method IS NULL OR method NOT IN ('none', 'platt', 'isotonic', 'shift') THEN
		RAISE EXCEPTION 'method of a calibration must be platt, isotonic, shift or none, not "%"', method
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF n <> (CASE method WHEN 'none' THEN 0 WHEN 'platt' THEN 2 WHEN 'shift' THEN 1 ELSE GREATEST(n, 1) END)
	   OR COALESCE(cardinality(probabilities), 0) <> (CASE method WHEN 'isotonic' THEN n ELSE 0 END)
	   OR EXISTS (SELECT FROM unnest(parameters || probabilities) p WHERE p IS NULL OR NOT abs(p) <= 1e300) THEN
		RAISE EXCEPTION 'parameters do not fit calibration "%"', method
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'platt: coefficients of fit_platt(); isotonic: score_low and probability of fit_isotonic(); shift: result of rate_shift() or prior_shift().';
	END IF;
	IF method = 'platt' AND parameters[2] >= 0 THEN
		RAISE EXCEPTION 'the slope of a calibration must be below 0'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('It is %s: better scores would default more often.', parameters[2]);
	END IF;
	/* what cannot be computed is not written down */
	PERFORM credit.calibrated_probability(method, parameters, probabilities, 0, 0.5);
	INSERT INTO credit.model_calibration (model_id, method, parameters, probabilities, reason)
	VALUES (model_id, method, parameters, probabilities, reason)
	RETURNING model_calibration_id INTO id;
	RETURN id;
END
$$;
COMMENT ON FUNCTION credit.set_calibration(integer, text, text, float8[], float8[]) IS
'Says how scores of a model become probabilities from now on: platt (coefficients of fit_platt()), isotonic (score_low and probability of fit_isotonic()), shift (rate_shift() or prior_shift()), or none: by the scale of the model.';
/* --- which model ----------------------------------------------------------------- */

CREATE FUNCTION credit.rating_model(name text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	chosen text;
BEGIN
	SELECT m.name INTO chosen FROM credit.model m
	 WHERE m.status <> 'retired' AND CASE WHEN name IS NULL THEN m.status = 'champion' ELSE m.name = name END
	 ORDER BY m.valid_from DESC NULLS LAST, m.model_id DESC LIMIT 1;
	IF chosen IS NULL THEN
		RAISE EXCEPTION 'there is no model %', COALESCE('"' || name || '"', 'in force')
			USING ERRCODE = 'undefined_object',
				  HINT = 'SELECT credit.add_standard_model() puts the shipped one in force; view credit.models lists all.';
	END IF;
	RETURN chosen;
END
$$;
COMMENT ON FUNCTION credit.rating_model(text) IS
'The name under which rate_all() looks for its model: the one given, if it is in use; else that of the champion that was put in force last.';
/* --- scores ----------------------------------------------------------------------- */

CREATE FUNCTION credit.scores
	(as_of date DEFAULT credit.as_of(), model text DEFAULT NULL, of_account bigint DEFAULT NULL,
	 hysteresis float8 DEFAULT 0.1)
RETURNS TABLE (customer text, segment text, name text, model_id integer, version integer,
			   is_challenger boolean, score float8, probability float8, grade text, rank integer,
			   is_default boolean, former_grade text, former_rank integer, reasons text[],
			   known_weight float8, parts credit.score_part[])
LANGUAGE sql STABLE ROWS 1000
BEGIN ATOMIC
WITH model AS MATERIALIZED
	(SELECT d.model_id, d.name, d.version, d.status <> 'champion' AS is_challenger, c.method, c.parameters, c.probabilities
	   FROM credit.model d
	   LEFT JOIN LATERAL (SELECT k.method, k.parameters, k.probabilities FROM credit.model_calibration k
						   WHERE k.model_id = d.model_id
						   ORDER BY k.model_calibration_id DESC LIMIT 1) c ON true
	  WHERE d.status <> 'retired' AND d.name = (SELECT credit.rating_model(scores.model)) COLLATE "C"),
subject AS MATERIALIZED
	(SELECT f.customer, f.segment, f.name, f.features,
			COALESCE(f.features ->> 'is_in_default' = 'true', false) AS is_default
	   FROM credit.feature_values(scores.as_of, scores.of_account) f),
former AS MATERIALIZED
	(SELECT DISTINCT ON (h.customer, h.segment, h.is_challenger, CASE WHEN h.is_challenger THEN h.model_version END)
			h.customer, h.segment, h.is_challenger, CASE WHEN h.is_challenger THEN h.model_version END AS model_version,
			h.grade, h.scale_version
	   FROM credit.rating_history h
	  WHERE h.model = (SELECT credit.rating_model(scores.model)) AND h.valid_from <= scores.as_of
	  ORDER BY h.customer, h.segment, h.is_challenger, CASE WHEN h.is_challenger THEN h.model_version END,
			   h.valid_from DESC, h.rating_id DESC)
SELECT q.customer, q.segment, q.name, q.model_id, q.version, q.is_challenger, q.score,
	   CASE WHEN q.is_default THEN 1 ELSE q.probability END,
	   CASE WHEN q.is_default THEN s.default_grade ELSE s.grades[g.place] END,
	   CASE WHEN q.is_default THEN cardinality(s.grades) + 1 ELSE g.place END,
	   q.is_default, o.grade, array_position(s.grades || s.default_grade, o.grade),
	   CASE WHEN q.is_default THEN ARRAY['is in default: more than 90 days past due'] || q.reasons ELSE q.reasons END,
	   q.known_weight, q.parts
  FROM credit.scale() s
 CROSS JOIN LATERAL
	   /* models outside, so that each is read once */
	   (SELECT x.customer, x.segment, x.name, x.is_default, m.model_id, m.version, m.is_challenger, r.score,
			   credit.calibrated_probability(m.method, m.parameters, m.probabilities, r.score, r.probability) AS probability,
			   r.known_weight, r.parts, r.reasons
		  FROM model m
		 CROSS JOIN LATERAL (SELECT b.* FROM subject b OFFSET 0) x
		 CROSS JOIN LATERAL credit.score_row(m.model_id, x.features) r) q
  LEFT JOIN former o ON o.customer = q.customer COLLATE "C" AND o.segment = q.segment COLLATE "C"
		AND o.is_challenger = q.is_challenger AND o.scale_version = s.scale_version
		AND (NOT q.is_challenger OR o.model_version = q.version::text)
 CROSS JOIN LATERAL (SELECT credit.grade_position(q.probability, s.upper_pd, array_position(s.grades, o.grade), scores.hysteresis) AS place) g;
END;
COMMENT ON FUNCTION credit.scores(date, text, bigint, float8) IS
'Score, probability, grade and reasons of all accounts, or of one, on a day by the champion of a name and, beside it, its challengers. Name NULL: that of the champion put in force last. The grade has hysteresis against the former rating; customers in default have the grade of default. Writes nothing: see rate_all().';
CREATE FUNCTION credit.score
	(customer text, as_of date DEFAULT credit.as_of(), model text DEFAULT NULL, segment text DEFAULT '')
RETURNS TABLE (model_id integer, version integer, score float8, probability float8, grade text,
			   rank integer, is_default boolean, reasons text[], known_weight float8,
			   parts credit.score_part[])
LANGUAGE plpgsql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	id bigint;
BEGIN
	SELECT a.account_id INTO id FROM credit.account a
	 WHERE a.customer = customer AND a.segment = segment;
	IF id IS NULL THEN
		RAISE EXCEPTION 'there is no customer % in segment "%"', customer, segment
			USING ERRCODE = 'no_data_found';
	END IF;
	/* an error where there is no model, not an empty answer */
	PERFORM credit.rating_model(model);
	RETURN QUERY SELECT s.model_id, s.version, s.score, s.probability, s.grade, s.rank, s.is_default,
						s.reasons, s.known_weight, s.parts
				   FROM credit.scores(as_of, model, id) s
				  WHERE NOT s.is_challenger;
END
$$;
COMMENT ON FUNCTION credit.score(text, date, text, text) IS
'Score, probability, grade and reasons of one customer on a day by the champion of a name (NULL: the one put in force last); parts has the points of each characteristic. For many customers use scores().';
CREATE FUNCTION credit.rate_all(as_of date DEFAULT NULL, model text DEFAULT NULL, hysteresis float8 DEFAULT 0.1)
RETURNS TABLE (model_name text, version integer, is_challenger boolean, n_accounts bigint,
			   n_rated bigint, n_unrated bigint, n_default bigint, n_better bigint,
			   n_worse bigint, mean_probability float8)
LANGUAGE plpgsql SECURITY DEFINER ROWS 3
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	day date := COALESCE(as_of, credit.today());
	name text;
BEGIN
	IF NOT isfinite(day) OR day > credit.today() THEN
		RAISE EXCEPTION 'customers are rated as of today or of a past day, not of %', day
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	IF COALESCE(model, 'standard') = 'standard' AND NOT EXISTS (SELECT FROM credit.model) THEN
		PERFORM credit.add_standard_model();
		RAISE NOTICE 'there was no model: the shipped expert scorecard "standard" is in force now';
	END IF;
	name := credit.rating_model(model);
	RETURN QUERY
	WITH rated AS MATERIALIZED
		(SELECT s.* FROM credit.scores(day, name, NULL, hysteresis) s),
	written AS
		(INSERT INTO credit.rating_history
			(customer, segment, model, model_version, is_challenger, score, pd, grade, scale_version, reasons, valid_from)
		 SELECT r.customer, r.segment, name, r.version::text, r.is_challenger, r.score, r.probability, r.grade,
				(SELECT c.scale_version FROM credit.scale() c), COALESCE(r.reasons, '{}'), day
		   FROM rated r
		  /* who was never rated and cannot be is not written down */
		  WHERE r.grade IS NOT NULL OR r.former_grade IS NOT NULL)
	SELECT name, r.version, r.is_challenger, count(*), count(r.grade), count(*) - count(r.grade),
		   count(*) FILTER (WHERE r.is_default), count(*) FILTER (WHERE r.rank < r.former_rank),
		   count(*) FILTER (WHERE r.rank > r.former_rank), avg(r.probability)
	  FROM rated r
	 GROUP BY r.version, r.is_challenger
	 ORDER BY r.is_challenger, r.version;
END
$$;
COMMENT ON FUNCTION credit.rate_all(date, text, float8) IS
'Rates all accounts on a day (NULL: today) by the champion of a name and its challengers, writes that into rating_history and returns a summary of each model. Name NULL: that of the champion put in force last; where there is no model at all, the shipped one is put in force. EXECUTE is all that a role needs.';
/*
 * Subject monitor: whether models keep what they promise, from the ledger.
 *
 * validate() scores past days and looks at what came of it; view monitor takes
 * what was really said, from the rating history.
 */

CREATE FUNCTION credit.validate
	(model text DEFAULT NULL, observed_on date[] DEFAULT NULL, months integer DEFAULT 12,
	 outcomes text DEFAULT NULL, version integer DEFAULT NULL)
RETURNS TABLE (observed date, is_out_of_time boolean, n bigint, n_default bigint, default_rate float8,
			   auc float8, auc_low float8, auc_high float8, gini float8, ks float8, ks_score float8,
			   mean_probability float8, brier float8, brier_skill float8, log_loss float8,
			   hosmer_lemeshow float8, hl_p float8, slope float8, intercept float8,
			   intercept_in_the_large float8, lift float8, captured float8,
			   n_unscored bigint, n_in_default bigint)
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	name text := credit.rating_model(model);
	chosen credit.model;
	calibration credit.model_calibration;
	sample_until date;
	days date[] := observed_on;
	query text;
BEGIN
	IF months IS NULL OR months NOT BETWEEN 1 AND 120 THEN
		RAISE EXCEPTION 'outcomes are looked for in 1 to 120 months'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO chosen FROM credit.model m
	 WHERE m.name = name AND CASE WHEN version IS NULL THEN m.status = 'champion' ELSE m.version = version END;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no version % of model "%"', COALESCE(version::text, 'in force'), name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	SELECT * INTO calibration FROM credit.model_calibration k
	 WHERE k.model_id = chosen.model_id ORDER BY k.model_calibration_id DESC LIMIT 1;
	/* what a model was made of ends on the day it was made, unless it says so */
	sample_until := COALESCE((chosen.statistics ->> 'sample_until')::date, credit.day_of(chosen.created_at));
	IF outcomes IS NOT NULL THEN
		query := 'SELECT o.customer::text AS customer, COALESCE(to_jsonb(o) ->> ''segment'', '''') AS segment, o.observed_on::date AS day, o.is_default::boolean AS is_default FROM '
			|| CASE WHEN outcomes ~* '^\s*(select|with|values|table)\M' THEN format(E'(%s\n)', outcomes) ELSE outcomes::regclass::text END || ' o';
		IF days IS NULL THEN
			EXECUTE format('SELECT array_agg(DISTINCT q.day) FROM (%s) q WHERE q.day IS NOT NULL', query) INTO days;
		END IF;
	ELSE
		/* the last day of which all that was to come has come */
		days := COALESCE(days, ARRAY[(credit.as_of() - make_interval(months => months))::date]);
		query := format('SELECT e.customer, e.segment, d.day, true AS is_default FROM unnest(%L::date[]) d (day) CROSS JOIN LATERAL credit.default_events(d.day, (d.day + make_interval(months => %s))::date) e', days, months);
		IF EXISTS (SELECT FROM unnest(days) d WHERE (d + make_interval(months => months))::date > credit.as_of()) THEN
			RAISE EXCEPTION 'outcomes of the % months after % are not known yet', months, (SELECT max(d) FROM unnest(days) d)
				USING ERRCODE = 'invalid_parameter_value',
					  HINT = 'Give earlier days, or fewer months.';
		END IF;
	END IF;
	RETURN QUERY EXECUTE format($query$
WITH outcome AS MATERIALIZED (%s),
sample AS MATERIALIZED
	(SELECT d.day, f.customer, f.segment, r.score,
			credit.calibrated_probability($3, $4, $5, r.score, r.probability) AS probability,
			COALESCE(f.features ->> 'is_in_default' = 'true', false) AS is_in_default
	   FROM unnest($2) d (day)
	  CROSS JOIN LATERAL credit.feature_values(d.day) f
	  CROSS JOIN LATERAL credit.score_row($1, f.features) r),
judged AS
	(SELECT s.day, s.score, s.probability, s.is_in_default,
			CASE WHEN NOT s.is_in_default THEN COALESCE(o.is_default, false) END AS is_default
	   FROM sample s
	   LEFT JOIN outcome o ON o.customer COLLATE "C" = s.customer COLLATE "C" AND o.segment COLLATE "C" = s.segment COLLATE "C" AND o.day = s.day
	  WHERE $7 OR o.customer IS NOT NULL)
SELECT q.day, q.day >= $6, (q.d).n, (q.d).n_default, (q.d).n_default / NULLIF((q.d).n, 0)::float8,
	   (q.d).auc, (q.d).auc_low, (q.d).auc_high, (q.d).gini, (q.d).ks, (q.d).ks_score,
	   (q.c).mean_probability, (q.c).brier, (q.c).brier_skill, (q.c).log_loss,
	   (q.c).hosmer_lemeshow, (q.c).hl_p, (q.c).slope, (q.c).intercept, (q.c).intercept_in_the_large,
	   (q.cap)[1].lift, (q.cap)[1].captured, q.n_unscored, q.n_in_default
  FROM (SELECT j.day, credit.discrimination(j.score, j.is_default) AS d,
			   credit.calibration(j.probability, j.is_default) AS c,
			   credit.cap(j.score, j.is_default) AS cap,
			   count(*) FILTER (WHERE NOT j.is_in_default AND j.score IS NULL) AS n_unscored,
			   count(*) FILTER (WHERE j.is_in_default) AS n_in_default
		  FROM judged j GROUP BY GROUPING SETS ((j.day), ())) q
 WHERE q.day IS NOT NULL OR cardinality($2) > 1
 ORDER BY q.day NULLS LAST$query$, query)
	  USING chosen.model_id, days, calibration.method, calibration.parameters, calibration.probabilities,
			sample_until, outcomes IS NULL;
END
$$;
COMMENT ON FUNCTION credit.validate(text, date[], integer, text, integer) IS
'How good a model is, one row for each day of observation and, of several, one for all (observed NULL): all accounts not in default are scored on that day by what was known then, and default_events() of so many months after it are the outcomes; or outcomes is a query or table with customer, observed_on, is_default and, if need be, segment. observed_on NULL: the last day whose outcomes are all known. is_out_of_time: the day is not before the end of the sample (sample_until in statistics of the model, else the day it was written). lift and captured are those of the worst tenth.';
CREATE FUNCTION credit.stability
	(model text DEFAULT NULL, as_of date DEFAULT credit.as_of(), reference_on date DEFAULT NULL,
	 version integer DEFAULT NULL)
RETURNS TABLE (feature text, reference_day date, n_reference bigint, n_actual bigint, psi float8,
			   verdict text, mean_reference float8, mean_actual float8)
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	name text := credit.rating_model(model);
	chosen credit.model;
	day date := reference_on;
BEGIN
	SELECT * INTO chosen FROM credit.model m
	 WHERE m.name = name AND CASE WHEN version IS NULL THEN m.status = 'champion' ELSE m.version = version END;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no version % of model "%"', COALESCE(version::text, 'in force'), name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	IF day IS NULL THEN
		SELECT min(h.valid_from) INTO day FROM credit.rating_history h
		 WHERE h.model = name AND h.model_version = chosen.version::text;
	END IF;
	IF day IS NULL THEN
		RAISE EXCEPTION 'version % of model "%" has not rated anybody yet', chosen.version, name
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Give reference_on, the day to compare with.';
	END IF;
	RETURN QUERY
	WITH scored AS MATERIALIZED
		(SELECT d.is_reference, r.score, r.parts
		   FROM (VALUES (day, true), (as_of, false)) d (day, is_reference)
		  CROSS JOIN LATERAL credit.feature_values(d.day) f
		  CROSS JOIN LATERAL credit.score_row(chosen.model_id, f.features) r),
	value AS
		(SELECT NULL::text AS feature, 0 AS position, s.is_reference, s.score AS points FROM scored s
		 UNION ALL
		 SELECT p.feature, p.position, s.is_reference, p.points
		   FROM scored s CROSS JOIN LATERAL unnest(s.parts) p)
	SELECT q.feature, day, (q.s).n_reference, (q.s).n_actual, (q.s).psi, (q.s).verdict, q.mean_reference, q.mean_actual
	  FROM (SELECT v.position, v.feature, credit.population_stability(v.points, v.is_reference) AS s,
				   avg(v.points) FILTER (WHERE v.is_reference) AS mean_reference,
				   avg(v.points) FILTER (WHERE NOT v.is_reference) AS mean_actual
			  FROM value v GROUP BY v.position, v.feature) q
	 ORDER BY q.position;
END
$$;
COMMENT ON FUNCTION credit.stability(text, date, date, integer) IS
'Whether scores (feature NULL) and the points of each characteristic are distributed on a day as on a day of reference: population stability index, and means, all accounts scored on both days by what was known then. reference_on NULL: the day on which the version rated for the first time. Accounts without a score or points are left out.';
/* --- what was said, and what came of it ------------------------------------------- */

CREATE FUNCTION credit.monitor_on(as_of date, months integer DEFAULT 12)
RETURNS TABLE (model text, version text, is_challenger boolean, measure text, reference_day date,
			   n bigint, value float8, expected float8, is_warning boolean, finding text)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
WITH past AS
	(SELECT (monitor_on.as_of - make_interval(months => monitor_on.months))::date AS day),
run AS
	(SELECT h.model, h.model_version, h.is_challenger, min(h.valid_from) AS first_day, max(h.valid_from) AS last_day
	   FROM credit.rating_history h
	   JOIN credit.model m ON m.name = h.model AND m.version::text = h.model_version AND m.status <> 'retired'
	  WHERE h.valid_from <= monitor_on.as_of
	  GROUP BY h.model, h.model_version, h.is_challenger),
/* the last word of a model on each day of interest */
said AS
	(SELECT DISTINCT ON (r.model, r.model_version, r.is_challenger, d.role, h.customer, h.segment)
			r.model, r.model_version, r.is_challenger, d.role, d.day, h.customer, h.segment, h.score, h.pd
	   FROM run r
	  CROSS JOIN LATERAL (VALUES ('first', r.first_day), ('last', r.last_day), ('past', (SELECT p.day FROM past p))) d (role, day)
	   JOIN credit.rating_history h ON h.model = r.model AND h.model_version = r.model_version
			AND h.is_challenger = r.is_challenger
			AND CASE d.role WHEN 'past' THEN h.valid_from <= d.day ELSE h.valid_from = d.day END
	  ORDER BY r.model, r.model_version, r.is_challenger, d.role, h.customer, h.segment, h.valid_from DESC, h.rating_id DESC),
event AS
	(SELECT e.customer, e.segment FROM past p CROSS JOIN LATERAL credit.default_events(p.day, monitor_on.as_of) e),
outcome AS
	(SELECT s.model, s.model_version, s.is_challenger, min(s.day) AS day, count(*) AS n,
			credit.discrimination(s.score, e.customer IS NOT NULL) AS d,
			count(e.customer)::float8 AS observed, sum(s.pd) AS expected, sum(s.pd * (1 - s.pd)) AS variance
	   FROM said s
	   LEFT JOIN event e ON e.customer COLLATE "C" = s.customer AND e.segment COLLATE "C" = s.segment
	  WHERE s.role = 'past' AND s.pd < 1
	  GROUP BY s.model, s.model_version, s.is_challenger)
SELECT q.model, q.model_version, q.is_challenger, 'population', q.day, (q.s).n_actual, (q.s).psi, 0.1,
	   COALESCE((q.s).psi > 0.1, false),
	   CASE WHEN (q.s).psi > 0.25 THEN 'scores are distributed otherwise than at the first rating: look for the reason, and fit the model anew'
			WHEN (q.s).psi > 0.1 THEN 'scores begin to be distributed otherwise than at the first rating'
			WHEN (q.s).psi IS NULL THEN 'there was one rating only' ELSE 'scores are distributed as at the first rating' END
	   || CASE WHEN (q.s).psi IS NOT NULL AND (q.s).is_small THEN ' (few accounts: this may be chance)' ELSE '' END
  FROM (SELECT s.model, s.model_version, s.is_challenger, min(s.day) AS day,
			   credit.population_stability(s.score, s.role = 'first') FILTER (WHERE r.first_day < r.last_day) AS s
		  FROM said s
		  JOIN run r ON r.model = s.model AND r.model_version = s.model_version AND r.is_challenger = s.is_challenger
		 WHERE s.role IN ('first', 'last')
		 GROUP BY s.model, s.model_version, s.is_challenger) q
UNION ALL
SELECT o.model, o.model_version, o.is_challenger, 'discrimination', o.day, o.n, (o.d).auc, 0.6,
	   COALESCE((o.d).auc_high < 0.6, false),
	   CASE WHEN (o.d).auc_high IS NULL THEN 'less than two customers defaulted, or did not: nothing can be said'
			WHEN (o.d).auc_high < 0.6 THEN 'scores hardly tell who defaulted since: fit the model anew'
			ELSE 'scores tell who defaulted since, or too few did to say otherwise' END
  FROM outcome o
UNION ALL
SELECT o.model, o.model_version, o.is_challenger, 'calibration', o.day, o.n, o.observed, o.expected,
	   COALESCE(abs(o.observed - o.expected) > 1.96 * sqrt(NULLIF(o.variance, 0)), false),
	   CASE WHEN o.observed - o.expected > 1.96 * sqrt(o.variance) THEN 'more customers defaulted than the probabilities said: calibrate the model'
			WHEN o.expected - o.observed > 1.96 * sqrt(o.variance) THEN 'fewer customers defaulted than the probabilities said: calibrate the model'
			ELSE 'about as many customers defaulted as the probabilities said' END
  FROM outcome o;
END;
COMMENT ON FUNCTION credit.monitor_on(date, integer) IS
'Whether models in use drift, by what they said (rating_history): how scores are distributed now and at the first rating, and what came of the ratings in force so many months ago. The rows of view monitor.';
CREATE VIEW credit.monitor AS
SELECT m.model, m.version, m.is_challenger, m.measure, m.reference_day, m.n, m.value, m.expected, m.is_warning, m.finding
  FROM credit.monitor_on(credit.as_of()) m;
COMMENT ON VIEW credit.monitor IS
'Whether models in use drift; follows credit.as_of. WHERE is_warning: something should be done. stability() looks at each characteristic, validate() at other days and outcomes.';
COMMENT ON COLUMN credit.monitor.model IS 'Model.';
COMMENT ON COLUMN credit.monitor.version IS 'Its version.';
COMMENT ON COLUMN credit.monitor.is_challenger IS 'True: rated on trial.';
COMMENT ON COLUMN credit.monitor.measure IS 'Measure: population (stability index of scores), discrimination (AUC) or calibration (number of defaults).';
COMMENT ON COLUMN credit.monitor.reference_day IS 'Day of the first rating (population), or of the ratings whose outcomes are known now.';
COMMENT ON COLUMN credit.monitor.n IS 'Number of customers looked at.';
COMMENT ON COLUMN credit.monitor.value IS 'Value of the measure: index, AUC, or number of customers that defaulted in the twelve months.';
COMMENT ON COLUMN credit.monitor.expected IS 'What it is compared with: 0.1, 0.6 (the whole interval of the AUC below it is a warning), or the sum of the probabilities.';
COMMENT ON COLUMN credit.monitor.is_warning IS 'True: the model drifts.';
COMMENT ON COLUMN credit.monitor.finding IS 'What that means, in words.';
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
	PERFORM credit.fold_months();
END
$$;

COMMENT ON PROCEDURE credit.daily() IS
'All that should be done once a day: purges what settings keep_... give free, puts what status() finds into the log of the server, takes in documents that are dated for today, and works out payment states of months that are over. Call it from any scheduler; schedule() makes a job for pg_cron.';
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
	SELECT 1, 'error', 'source ' || s.name, 'is a view of which no table is declared: nothing is captured',
		   COALESCE('For example: ' || (SELECT string_agg(m.suggestion, ' ' ORDER BY m.relation::text)
										  FROM credit.missing_dependencies(s.name) m),
					'credit.depend() declares the tables it is made of.')
	  FROM credit.sources s WHERE s.health = 'nothing captured'
	UNION ALL
	SELECT 3, 'info', 'source ' || s.name,
		   format('reads %s, of which nothing is captured', string_agg(m.relation::text, ', ' ORDER BY m.relation::text)),
		   'Fine for tables that never change what a document is worth; else: ' ||
		   string_agg(m.suggestion, ' ' ORDER BY m.relation::text)
	  FROM credit.sources s CROSS JOIN LATERAL credit.missing_dependencies(s.name) m
	 WHERE s.health NOT IN ('broken', 'nothing captured')
	 GROUP BY s.name
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
	SELECT 2, 'warning', 'exchange rates',
		   format('%s accounts in %s have documents in %s, and there is no rate of type %s that counts%s: they have no total, and their orders meet rule missing_rate',
				  q.n, q.currency, q.other, t.value,
				  CASE WHEN f.rate_path = 'stale' THEN format(' (the last is of %s)', to_char(f.rate_date, 'YYYY-MM-DD')) ELSE '' END),
		   format('SELECT credit.set_rate(%L, %L, ...), or see to it that rates are loaded every day (setting rate_age).', q.other, q.currency)
	  FROM (SELECT l.currency, b.currency AS other, count(*) AS n
			  FROM credit.account_limit l CROSS JOIN LATERAL credit.balance(l.account_id) b
			 WHERE b.currency <> l.currency AND b.total <> 0
			 GROUP BY 1, 2) q
	 CROSS JOIN LATERAL credit.find_rate(q.other, q.currency, credit.today()) f
	  JOIN credit.settings t ON t.name = 'rate_type'
	 WHERE f.rate IS NULL
	UNION ALL
	SELECT 2, 'warning', 'exchange rates',
		   format('the last rate of type %s from %s to %s is of %s; after %s it does not count any more, and orders of accounts that need it meet rule missing_rate',
				  t.value, q.other, q.currency, to_char(f.rate_date, 'YYYY-MM-DD'), to_char(f.rate_date + g.days, 'YYYY-MM-DD')),
		   'See to it that rates are loaded every day.'
	  FROM (SELECT DISTINCT l.currency, b.currency AS other
			  FROM credit.account_limit l CROSS JOIN LATERAL credit.balance(l.account_id) b
			 WHERE b.currency <> l.currency AND b.total <> 0) q
	 CROSS JOIN LATERAL credit.find_rate(q.other, q.currency, credit.today()) f
	  JOIN credit.settings t ON t.name = 'rate_type'
	 CROSS JOIN LATERAL (SELECT (extract(epoch FROM s.value::interval) / 86400)::int AS days
						   FROM credit.settings s WHERE s.name = 'rate_age') g
	 /* over a long weekend it is as it should be */
	 WHERE f.rate IS NOT NULL AND g.days >= 4 AND f.rate_date + g.days - credit.today() <= 2
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
			pg_get_expr(x.indpred, x.indrelid) !~ '^(\(\w+ IS NOT NULL\)|\(NOT \w+\)|\w+)$')
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
	/* exposure_on(), score_row() and their kind read these tables as the caller */
	EXECUTE format('GRANT SELECT ON credit.account, credit.account_limit, credit.item, credit.item_version, credit.settlement, credit.month_mark, credit.month_state, credit.source, credit.dependency, credit.source_problem, credit.setting, credit.rule_reaction, credit.exchange_rate, credit.rate_change, credit.model, credit.model_characteristic, credit.model_calibration, credit.feature_definition, credit.limit_change TO %s', role);
	/* and so are financial_ratios_on() and ratings_on() and theirs */
	EXECUTE format('GRANT SELECT ON credit.financials, credit.bureau_report, credit.company_fact, credit.rating_scale, credit.rating_history, credit.rating_override TO %s', role);
END
$$;

SELECT pg_catalog.pg_extension_config_dump('credit.exchange_rate', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rate_change', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rate_change_rate_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.dependency', '');
SELECT pg_catalog.pg_extension_config_dump('credit.settlement', '');
SELECT pg_catalog.pg_extension_config_dump('credit.month_mark', '');
SELECT pg_catalog.pg_extension_config_dump('credit.month_state', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_model_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_characteristic', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_calibration', '');
SELECT pg_catalog.pg_extension_config_dump('credit.model_calibration_model_calibration_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.feature_definition', '');
SELECT pg_catalog.pg_extension_config_dump('credit.feature_definition_feature_definition_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.financials', '');
SELECT pg_catalog.pg_extension_config_dump('credit.financials_financials_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.bureau_report', '');
SELECT pg_catalog.pg_extension_config_dump('credit.bureau_report_bureau_report_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.company_fact', '');
SELECT pg_catalog.pg_extension_config_dump('credit.company_fact_company_fact_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_scale', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_scale_version_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_history', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_history_rating_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_override', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rating_override_rating_override_id_seq', '');

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

/*
 * What is new is not granted here: rights that an update grants belong to the
 * extension, and no dump would carry them.
 */
DO $do$
DECLARE
	analyst text;
BEGIN
	FOR analyst IN
		SELECT DISTINCT a.grantee::regrole::text
		  FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
		 WHERE p.oid = 'credit.exposure_on(date)'::regprocedure AND a.grantee NOT IN (0, p.proowner)
		 ORDER BY 1
	LOOP
		RAISE WARNING 'role % lacks the rights to what is new, which views of before use too', analyst
			USING HINT = format('In the same transaction or at once: SELECT credit.grant_analyst(%L);', analyst);
	END LOOP;
END
$do$;

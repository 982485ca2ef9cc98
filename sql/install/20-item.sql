/*
 * Subject item: one document of the ERP as the ledger holds it.
 *
 * A document that changes leaves its former version in item_version; a new
 * one leaves nothing, because its first version is the item itself.  So the
 * lineage of every figure is complete and an order that never changes costs
 * one row.  No foreign keys: they would treble the cost of bulk loads.
 */
CREATE TABLE credit.item
(
	source_id	integer NOT NULL,
	key			text COLLATE "C" NOT NULL,
	account_id	bigint,
	currency	text COLLATE "C",
	amount		numeric,
	stages		numeric[] NOT NULL,
	document_date date,
	due_date	date,
	posting_date date,
	origin		text COLLATE "C",
	number		text,
	is_disputed	boolean,
	recorded_at	timestamptz NOT NULL,
	seq			bigint,
	is_counted	boolean NOT NULL DEFAULT true,
	is_open		boolean DEFAULT true,
	document	text COLLATE "C",
	open_amount	numeric,
	settled_on	date,
	reversed_on	date,
	delivered	numeric,
	invoiced	numeric,
	settled		numeric,
	disputed_amount numeric,
	retention_amount numeric,
	retention_until date,
	is_write_off boolean,
	next_on		date,
	PRIMARY KEY (source_id, key)
) WITH (fillfactor = 90);
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
COMMENT ON TABLE credit.item IS
'Documents that count now, in their present version. Written by the triggers of the attached tables only.';
COMMENT ON COLUMN credit.item.source_id IS 'Source.';
COMMENT ON COLUMN credit.item.key IS 'Key of the document in the ERP, as text.';
COMMENT ON COLUMN credit.item.account_id IS 'Account; NULL: it joins documents (application, link), or is none.';
COMMENT ON COLUMN credit.item.currency IS 'Currency of the amounts; NULL: that of the documents it joins.';
COMMENT ON COLUMN credit.item.amount IS 'Amount of the document as the ERP has it, tax included. NULL: no document, only a key that documents name.';
COMMENT ON COLUMN credit.item.stages IS 'What the document adds to exposure, by stage: ordered, delivered, invoiced, unapplied (negative); missing elements are 0.';
COMMENT ON COLUMN credit.item.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.item.due_date IS 'Due date; of an order the day it is to be delivered.';
COMMENT ON COLUMN credit.item.posting_date IS 'Posting date.';
COMMENT ON COLUMN credit.item.origin IS 'Key of the document this one comes from, or settles.';
COMMENT ON COLUMN credit.item.number IS 'Number people know the document by; NULL: its key.';
COMMENT ON COLUMN credit.item.is_disputed IS 'True: the customer disputes it.';
COMMENT ON COLUMN credit.item.recorded_at IS 'When this version was recorded.';
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
COMMENT ON COLUMN credit.item.seq IS 'Row of the journal (same account and currency) that carries this version. NULL: it did not change exposure, or came with a statement so large that it was taken in portions (work_mem).';

CREATE TABLE credit.item_version
(
	source_id	integer NOT NULL,
	key			text COLLATE "C" NOT NULL,
	account_id	bigint,
	currency	text COLLATE "C",
	amount		numeric,
	stages		numeric[] NOT NULL,
	document_date date,
	due_date	date,
	posting_date date,
	origin		text COLLATE "C",
	number		text,
	is_disputed	boolean,
	recorded_at	timestamptz NOT NULL,
	seq			bigint,
	superseded_at timestamptz NOT NULL,
	is_counted	boolean NOT NULL DEFAULT true,
	is_open		boolean DEFAULT true,
	document	text COLLATE "C",
	open_amount	numeric,
	settled_on	date,
	reversed_on	date,
	delivered	numeric,
	invoiced	numeric,
	settled		numeric,
	disputed_amount numeric,
	retention_amount numeric,
	retention_until date,
	is_write_off boolean,
	next_on		date
);
CREATE INDEX item_version_key ON credit.item_version (source_id, key, superseded_at);
CREATE INDEX item_version_account ON credit.item_version (account_id, superseded_at);
COMMENT ON TABLE credit.item_version IS
'Former versions of documents that changed, were cancelled or deleted: append-only.';
COMMENT ON COLUMN credit.item_version.source_id IS 'Source.';
COMMENT ON COLUMN credit.item_version.key IS 'Key of the document in the ERP, as text.';
COMMENT ON COLUMN credit.item_version.account_id IS 'Account at that time.';
COMMENT ON COLUMN credit.item_version.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.item_version.amount IS 'Amount at that time, tax included.';
COMMENT ON COLUMN credit.item_version.stages IS 'What the version added to exposure, by stage.';
COMMENT ON COLUMN credit.item_version.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.item_version.due_date IS 'Due date.';
COMMENT ON COLUMN credit.item_version.posting_date IS 'Posting date.';
COMMENT ON COLUMN credit.item_version.origin IS 'Key of the document this one comes from, or settles.';
COMMENT ON COLUMN credit.item_version.number IS 'Number people know the document by.';
COMMENT ON COLUMN credit.item_version.is_disputed IS 'True: the customer disputed it.';
COMMENT ON COLUMN credit.item_version.recorded_at IS 'When this version was recorded.';
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
COMMENT ON COLUMN credit.item_version.seq IS 'Row of the journal that carries this version.';
COMMENT ON COLUMN credit.item_version.superseded_at IS 'When the next version took its place, or the document stopped counting.';

/* no key: a publication that sends deletions needs this, or a purge would fail */
ALTER TABLE credit.item_version REPLICA IDENTITY FULL;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.item
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.item_version
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

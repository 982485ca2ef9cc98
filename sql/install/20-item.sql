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
	account_id	bigint NOT NULL,
	currency	text COLLATE "C" NOT NULL,
	amount		numeric NOT NULL,
	stages		numeric[] NOT NULL,
	document_date date,
	due_date	date,
	posting_date date,
	origin		text COLLATE "C",
	number		text,
	is_disputed	boolean,
	recorded_at	timestamptz NOT NULL,
	seq			bigint,
	PRIMARY KEY (source_id, key)
) WITH (fillfactor = 90);
CREATE INDEX item_account ON credit.item (account_id);
COMMENT ON TABLE credit.item IS
'Documents that count now, in their present version. Written by the triggers of the attached tables only.';
COMMENT ON COLUMN credit.item.source_id IS 'Source.';
COMMENT ON COLUMN credit.item.key IS 'Key of the document in the ERP, as text.';
COMMENT ON COLUMN credit.item.account_id IS 'Account.';
COMMENT ON COLUMN credit.item.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.item.amount IS 'Amount of the document as the ERP has it, tax included.';
COMMENT ON COLUMN credit.item.stages IS 'What the document adds to exposure, by stage: ordered, delivered, invoiced, unapplied (negative); missing elements are 0.';
COMMENT ON COLUMN credit.item.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.item.due_date IS 'Due date; of an order the day it is to be delivered.';
COMMENT ON COLUMN credit.item.posting_date IS 'Posting date.';
COMMENT ON COLUMN credit.item.origin IS 'Key of the document this one comes from, or applies to.';
COMMENT ON COLUMN credit.item.number IS 'Number people know the document by; NULL: its key.';
COMMENT ON COLUMN credit.item.is_disputed IS 'True: the customer disputes it.';
COMMENT ON COLUMN credit.item.recorded_at IS 'When this version was recorded.';
COMMENT ON COLUMN credit.item.seq IS 'Row of the journal (same account and currency) that carries this version. NULL: it did not change exposure, or came with a statement so large that it was taken in portions (work_mem).';

CREATE TABLE credit.item_version
(
	source_id	integer NOT NULL,
	key			text COLLATE "C" NOT NULL,
	account_id	bigint NOT NULL,
	currency	text COLLATE "C" NOT NULL,
	amount		numeric NOT NULL,
	stages		numeric[] NOT NULL,
	document_date date,
	due_date	date,
	posting_date date,
	origin		text COLLATE "C",
	number		text,
	is_disputed	boolean,
	recorded_at	timestamptz NOT NULL,
	seq			bigint,
	superseded_at timestamptz NOT NULL
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
COMMENT ON COLUMN credit.item_version.origin IS 'Key of the document this one comes from, or applies to.';
COMMENT ON COLUMN credit.item_version.number IS 'Number people know the document by.';
COMMENT ON COLUMN credit.item_version.is_disputed IS 'True: the customer disputed it.';
COMMENT ON COLUMN credit.item_version.recorded_at IS 'When this version was recorded.';
COMMENT ON COLUMN credit.item_version.seq IS 'Row of the journal that carries this version.';
COMMENT ON COLUMN credit.item_version.superseded_at IS 'When the next version took its place, or the document stopped counting.';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.item
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.item_version
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

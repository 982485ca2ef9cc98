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

/* as for item_version */
ALTER TABLE credit.settlement REPLICA IDENTITY FULL;

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
ALTER TABLE credit.month_mark REPLICA IDENTITY FULL;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.month_mark
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

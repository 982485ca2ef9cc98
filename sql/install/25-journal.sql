/*
 * Subject journal: every change of an account's exposure, append-only.
 * What the columns promise, and why this is exact, is in src/journal.c and
 * doc/journal.md.  This layout is final.
 */
CREATE TABLE credit.journal
(
	account_id	bigint NOT NULL,
	scope		smallint NOT NULL,
	currency	text COLLATE "C" NOT NULL,
	seq			bigint NOT NULL,
	first_seq	bigint NOT NULL,
	posted_at	timestamptz NOT NULL,
	source_id	integer,
	item_key	text COLLATE "C",
	delta		numeric[] NOT NULL,
	xsum		numeric[] NOT NULL,
	psum		numeric[] NOT NULL,
	peak		numeric NOT NULL,
	open		bigint[] NOT NULL,
	is_only_chain boolean NOT NULL,
	PRIMARY KEY (account_id, scope, currency, seq)
) WITH (vacuum_truncate = off);
COMMENT ON TABLE credit.journal IS
'Every change of exposure, append-only, one chain per account, scope and currency. Amounts are vectors by stage: ordered, delivered, invoiced, unapplied (negative); missing elements are 0. Read it through view exposure.';
COMMENT ON COLUMN credit.journal.account_id IS 'Account.';
COMMENT ON COLUMN credit.journal.scope IS '0: documents of the account itself; 1: with its descendants.';
COMMENT ON COLUMN credit.journal.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.journal.seq IS 'Position in the chain.';
COMMENT ON COLUMN credit.journal.first_seq IS 'Position of the first row that the same transaction wrote into this chain.';
COMMENT ON COLUMN credit.journal.posted_at IS 'When the row was written.';
COMMENT ON COLUMN credit.journal.source_id IS 'Source of the change; NULL: several, or an adjustment.';
COMMENT ON COLUMN credit.journal.item_key IS 'Document of the change; NULL: several in one statement (their items name this row).';
COMMENT ON COLUMN credit.journal.delta IS 'The change, by stage.';
COMMENT ON COLUMN credit.journal.xsum IS 'Sum of the changes of the same transaction in this chain so far, by stage.';
COMMENT ON COLUMN credit.journal.psum IS 'Sum of all rows before whose transaction was seen committed when this row was written, by stage.';
COMMENT ON COLUMN credit.journal.peak IS 'Largest total of xsum that a rollback to a savepoint can bring back.';
COMMENT ON COLUMN credit.journal.open IS 'Rows of other transactions that were unresolved when this row was written: pairs of seq and first_seq.';

COMMENT ON COLUMN credit.journal.is_only_chain IS 'True: the account had no chain in another currency when this row was written.';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.journal
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

CREATE FUNCTION credit.balance
	(account_id bigint, scope smallint DEFAULT 0,
	 OUT currency text, OUT ordered numeric, OUT delivered numeric,
	 OUT invoiced numeric, OUT unapplied numeric, OUT total numeric)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 1 COST 50
AS 'MODULE_PATHNAME', 'credit_balance';
COMMENT ON FUNCTION credit.balance(bigint, smallint) IS
'Exposure of an account as the present snapshot sees it, one row per currency, by stage; unapplied is negative, total is the sum of the four.';

CREATE FUNCTION credit.adjust
	(account_id bigint, currency text, stages numeric[], source_id integer)
RETURNS bigint
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_adjust';
COMMENT ON FUNCTION credit.adjust(bigint, text, numeric[], integer) IS
'Posts a change of exposure without a check, for backfill and detach; returns its position in the chain.';

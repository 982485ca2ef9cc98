\echo Use "CREATE EXTENSION credit" to load this file. \quit
/*
 * Subject credit: what holds for the whole extension.
 *
 * The schema is a member of the extension, so that DROP EXTENSION leaves
 * nothing, and CREATE SCHEMA fails where somebody has put a schema of this name
 * before us: nothing of theirs can stand in our way.
 *
 * Nothing of ours is for PUBLIC; what is revoked and granted stands in
 * 90-grant.sql.
 */
CREATE SCHEMA credit;
COMMENT ON SCHEMA credit IS
'Credit control: accounts, their limits and exposure, and the documents behind each figure.';

CREATE FUNCTION credit.version() RETURNS text
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_version';
COMMENT ON FUNCTION credit.version() IS
'Version of the loaded shared library; status() compares it with the version of the catalog.';

CREATE FUNCTION credit.refuse_change() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_refuse_change';
COMMENT ON FUNCTION credit.refuse_change() IS
'Trigger: refuses UPDATE, DELETE and TRUNCATE of a ledger table, whoever runs it. INSERT stays open because a restore loads by COPY.';

CREATE FUNCTION credit.maintain(is_open boolean) RETURNS void
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_maintain';
COMMENT ON FUNCTION credit.maintain(boolean) IS
'Opens (true) or closes (false) the ledger tables for the functions of this extension that maintain them; closes by itself at the end of the transaction.';
/*
 * Subject setting: policy that no role can override with SET.
 *
 * The tables hold only what differs from the default, so that a dump carries
 * exactly the decisions somebody took and a restore meets no row of ours.
 * The defaults, meanings and allowed values are written once, in setting.c.
 */
CREATE TABLE credit.setting
(
	name		text COLLATE "C" PRIMARY KEY,
	value		text NOT NULL,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by	text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE credit.setting IS
'Settings that differ from their default; all of them with their meaning: view settings. Change through credit.set().';
COMMENT ON COLUMN credit.setting.name IS 'Name of the setting, as in view settings.';
COMMENT ON COLUMN credit.setting.value IS 'Value in force.';
COMMENT ON COLUMN credit.setting.changed_at IS 'When it was changed last.';
COMMENT ON COLUMN credit.setting.changed_by IS 'Session user who changed it last.';

CREATE TABLE credit.rule_reaction
(
	rule		text COLLATE "C" PRIMARY KEY,
	reaction	text NOT NULL,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by	text NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE credit.rule_reaction IS
'Reactions of rules that differ from their default; all rules with their meaning: view rules. Change through credit.set_rule().';
COMMENT ON COLUMN credit.rule_reaction.rule IS 'Name of the rule, as in view rules.';
COMMENT ON COLUMN credit.rule_reaction.reaction IS 'off, shadow, warn or reject.';
COMMENT ON COLUMN credit.rule_reaction.changed_at IS 'When it was changed last.';
COMMENT ON COLUMN credit.rule_reaction.changed_by IS 'Session user who changed it last.';

CREATE FUNCTION credit.check_setting() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_check_setting';
COMMENT ON FUNCTION credit.check_setting() IS
'Trigger on setting and rule_reaction: refuses unknown names and values.';

CREATE FUNCTION credit.invalidate_setting() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_invalidate_setting';
COMMENT ON FUNCTION credit.invalidate_setting() IS
'Trigger on setting and rule_reaction: makes every session read them anew.';

CREATE TRIGGER check_setting BEFORE INSERT OR UPDATE ON credit.setting
	FOR EACH ROW EXECUTE FUNCTION credit.check_setting('setting');
CREATE TRIGGER invalidate_setting AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.setting
	FOR EACH STATEMENT EXECUTE FUNCTION credit.invalidate_setting();
CREATE TRIGGER check_setting BEFORE INSERT OR UPDATE ON credit.rule_reaction
	FOR EACH ROW EXECUTE FUNCTION credit.check_setting('rule');
CREATE TRIGGER invalidate_setting AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON credit.rule_reaction
	FOR EACH STATEMENT EXECUTE FUNCTION credit.invalidate_setting();

CREATE FUNCTION credit.setting_catalog
	(OUT name text, OUT default_value text, OUT allowed text, OUT description text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 15
AS 'MODULE_PATHNAME', 'credit_setting_catalog';
COMMENT ON FUNCTION credit.setting_catalog() IS
'Every setting the library knows, with its default, allowed values and meaning.';

CREATE FUNCTION credit.rule_catalog
	(OUT rule text, OUT default_reaction text, OUT description text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 5
AS 'MODULE_PATHNAME', 'credit_rule_catalog';
COMMENT ON FUNCTION credit.rule_catalog() IS
'Every rule the library knows, with its default reaction and meaning.';

CREATE VIEW credit.settings AS
SELECT c.name,
	   COALESCE(s.value, c.default_value) AS value,
	   c.default_value,
	   c.allowed,
	   c.description,
	   s.changed_at,
	   s.changed_by
  FROM credit.setting_catalog() c
  LEFT JOIN credit.setting s ON s.name = c.name COLLATE "C";
COMMENT ON VIEW credit.settings IS 'All settings with the value in force.';
COMMENT ON COLUMN credit.settings.name IS 'Name of the setting.';
COMMENT ON COLUMN credit.settings.value IS 'Value in force.';
COMMENT ON COLUMN credit.settings.default_value IS 'Value where nothing was set.';
COMMENT ON COLUMN credit.settings.allowed IS 'What may be set.';
COMMENT ON COLUMN credit.settings.description IS 'What it does.';
COMMENT ON COLUMN credit.settings.changed_at IS 'When it was changed last; NULL: default.';
COMMENT ON COLUMN credit.settings.changed_by IS 'Session user who changed it last; NULL: default.';

CREATE VIEW credit.rules AS
SELECT c.rule,
	   COALESCE(r.reaction, c.default_reaction) AS reaction,
	   c.default_reaction,
	   c.description,
	   r.changed_at,
	   r.changed_by
  FROM credit.rule_catalog() c
  LEFT JOIN credit.rule_reaction r ON r.rule = c.rule COLLATE "C";
COMMENT ON VIEW credit.rules IS
'All rules with their own reaction. What happens is the weakest of setting mode, on_breach of the source, and this.';
COMMENT ON COLUMN credit.rules.rule IS 'Name of the rule; a refusal carries constraint name credit_<rule>.';
COMMENT ON COLUMN credit.rules.reaction IS 'Reaction of the rule itself: off, shadow, warn or reject.';
COMMENT ON COLUMN credit.rules.default_reaction IS 'Reaction where nothing was set.';
COMMENT ON COLUMN credit.rules.description IS 'When the rule is broken.';
COMMENT ON COLUMN credit.rules.changed_at IS 'When it was changed last; NULL: default.';
COMMENT ON COLUMN credit.rules.changed_by IS 'Session user who changed it last; NULL: default.';

CREATE FUNCTION credit.set(name text, value text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM credit.setting_catalog() c WHERE c.name = $1) THEN
		RAISE EXCEPTION 'there is no setting "%"', name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.settings lists them.';
	END IF;
	IF value IS NULL THEN
		DELETE FROM credit.setting s WHERE s.name = $1;
	ELSE
		INSERT INTO credit.setting AS s (name, value) VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT setting_pkey
		DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at,
					  changed_by = excluded.changed_by;
	END IF;
	RETURN (SELECT s.value FROM credit.settings s WHERE s.name = $1);
END
$$;
COMMENT ON FUNCTION credit.set(text, text) IS
'Changes a setting and returns the value in force; NULL puts the default back. Acts on the next statement of every session once committed. Example: SELECT credit.set(''mode'', ''shadow'').';

CREATE FUNCTION credit.set_rule(rule text, reaction text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM credit.rule_catalog() c WHERE c.rule = $1) THEN
		RAISE EXCEPTION 'there is no rule "%"', rule
			USING ERRCODE = 'undefined_object', HINT = 'View credit.rules lists them.';
	END IF;
	IF reaction IS NULL THEN
		DELETE FROM credit.rule_reaction r WHERE r.rule = $1;
	ELSE
		INSERT INTO credit.rule_reaction AS r (rule, reaction) VALUES ($1, $2)
		ON CONFLICT ON CONSTRAINT rule_reaction_pkey
		DO UPDATE SET reaction = excluded.reaction, changed_at = excluded.changed_at,
					  changed_by = excluded.changed_by;
	END IF;
	RETURN (SELECT r.reaction FROM credit.rules r WHERE r.rule = $1);
END
$$;
COMMENT ON FUNCTION credit.set_rule(text, text) IS
'Changes the reaction of one rule (off, shadow, warn, reject) and returns the one in force; NULL puts the default back.';
/*
 * Subject account: one customer in one segment, and its limit.
 *
 * The limit has a table of its own because the order check reads exactly this
 * row, at its latest committed value: names or ratings that change often must
 * not stand in its way.
 */
CREATE TABLE credit.account
(
	account_id	bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	customer	text COLLATE "C" NOT NULL,
	segment		text COLLATE "C" NOT NULL DEFAULT '',
	name		text,
	parent		text COLLATE "C",
	status		text,
	terms_days	integer,
	rating		text,
	source_id	integer,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	UNIQUE (customer, segment)
);
COMMENT ON TABLE credit.account IS
'One customer in one segment. Comes from the customer source, or from the first document of an unknown customer.';
COMMENT ON COLUMN credit.account.account_id IS 'Own key, never reused.';
COMMENT ON COLUMN credit.account.customer IS 'Key of the customer in the ERP, as text; composite keys as a row literal.';
COMMENT ON COLUMN credit.account.segment IS 'Company, division or the like; empty where the ERP has one only.';
COMMENT ON COLUMN credit.account.name IS 'Name of the customer, from the customer source.';
COMMENT ON COLUMN credit.account.parent IS 'Customer key of the parent account (same segment), from the customer source; NULL: none.';
COMMENT ON COLUMN credit.account.status IS 'Status in the ERP, from the customer source.';
COMMENT ON COLUMN credit.account.terms_days IS 'Payment terms in days, from the customer source.';
COMMENT ON COLUMN credit.account.rating IS 'Credit rating, from the customer source.';
COMMENT ON COLUMN credit.account.source_id IS 'Customer source that holds this customer now; NULL: known from documents only, or deleted in the ERP.';
COMMENT ON COLUMN credit.account.created_at IS 'When the account was first seen.';

CREATE TABLE credit.account_limit
(
	account_id	bigint PRIMARY KEY,
	currency	text COLLATE "C" NOT NULL,
	limit_state	text NOT NULL DEFAULT 'not_set',
	credit_limit numeric,
	valid_until	date,
	base_state	text NOT NULL DEFAULT 'not_set',
	base_limit	numeric,
	is_mapped	boolean NOT NULL DEFAULT false,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	CHECK (limit_state IN ('not_set', 'amount', 'unlimited', 'blocked')),
	CHECK (base_state IN ('not_set', 'amount', 'unlimited', 'blocked')),
	CHECK ((limit_state = 'amount') = (credit_limit IS NOT NULL)),
	CHECK ((base_state = 'amount') = (base_limit IS NOT NULL)),
	CHECK (credit_limit >= 0 AND credit_limit < 'Infinity'),
	CHECK (base_limit >= 0 AND base_limit < 'Infinity')
) WITH (fillfactor = 70);
COMMENT ON TABLE credit.account_limit IS
'The limit in force of each account: the one row the order check reads. Past valid_until the base counts. Written by the customer source or by set_limit().';
COMMENT ON COLUMN credit.account_limit.account_id IS 'Account.';
COMMENT ON COLUMN credit.account_limit.currency IS 'Currency of the account and of its limits.';
COMMENT ON COLUMN credit.account_limit.limit_state IS 'State in force: not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.account_limit.credit_limit IS 'Limit in force, in the currency of the account; only with state amount.';
COMMENT ON COLUMN credit.account_limit.valid_until IS 'Last day on which limit_state and credit_limit count; after it the base counts. NULL: no end.';
COMMENT ON COLUMN credit.account_limit.base_state IS 'State that counts after valid_until.';
COMMENT ON COLUMN credit.account_limit.base_limit IS 'Limit that counts after valid_until, in the currency of the account.';
COMMENT ON COLUMN credit.account_limit.is_mapped IS 'True: the limit is a column of the ERP, to be changed there.';
COMMENT ON COLUMN credit.account_limit.changed_at IS 'When this row was changed last.';

CREATE TABLE credit.limit_change
(
	limit_change_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	account_id	bigint NOT NULL,
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by	text NOT NULL DEFAULT SESSION_USER,
	old_state	text NOT NULL,
	old_limit	numeric,
	new_state	text NOT NULL,
	new_limit	numeric,
	valid_until	date,
	reason		text,
	source_id	integer
);
CREATE INDEX limit_change_account ON credit.limit_change (account_id, changed_at);
COMMENT ON TABLE credit.limit_change IS 'Every change of a limit, append-only.';
COMMENT ON COLUMN credit.limit_change.limit_change_id IS 'Own key.';
COMMENT ON COLUMN credit.limit_change.account_id IS 'Account.';
COMMENT ON COLUMN credit.limit_change.changed_at IS 'When.';
COMMENT ON COLUMN credit.limit_change.changed_by IS 'Session user who did it.';
COMMENT ON COLUMN credit.limit_change.old_state IS 'State before; a new account begins with not_set.';
COMMENT ON COLUMN credit.limit_change.old_limit IS 'Limit before, in the currency of the account.';
COMMENT ON COLUMN credit.limit_change.new_state IS 'State after.';
COMMENT ON COLUMN credit.limit_change.new_limit IS 'Limit after, in the currency of the account.';
COMMENT ON COLUMN credit.limit_change.valid_until IS 'Last day of a temporary limit; NULL: no end.';
COMMENT ON COLUMN credit.limit_change.reason IS 'Reason given to set_limit().';
COMMENT ON COLUMN credit.limit_change.source_id IS 'Customer source, when the ERP changed it.';

CREATE FUNCTION credit.write_limit
	(customer text, segment text, state text, amount numeric, valid_until date, reason text)
RETURNS bigint
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_write_limit';
COMMENT ON FUNCTION credit.write_limit(text, text, text, numeric, date, text) IS
'Writes a limit under the short lock of the account and returns the account; use set_limit().';

CREATE FUNCTION credit.set_limit
	(customer text, amount numeric, reason text, segment text DEFAULT '',
	 state text DEFAULT 'amount', valid_until date DEFAULT NULL)
RETURNS bigint
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$ SELECT credit.write_limit(customer, segment, state, amount, valid_until, reason) $$;
COMMENT ON FUNCTION credit.set_limit(text, numeric, text, text, text, date) IS
'Sets the limit of an account where the ERP has no column for it: amount in the currency of the account, or NULL with state unlimited, blocked or not_set. With valid_until the limit is temporary and the base comes back after that day. Counts for every check that starts after the commit. Returns the account.';

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.account
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.account_limit
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.limit_change
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
/*
 * Subject source: which table of the ERP holds which kind of document, and
 * how each field is read from its row.  Expressions are kept as text: node
 * trees break at the next major.
 */
CREATE TABLE credit.source
(
	source_id	integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	name		text COLLATE "C" NOT NULL UNIQUE,
	relation	regclass NOT NULL,
	kind		text COLLATE "C" NOT NULL,
	fields		jsonb NOT NULL,
	on_breach	text NOT NULL DEFAULT 'off',
	null_limit	text NOT NULL DEFAULT 'not_set',
	zero_limit	text NOT NULL DEFAULT 'amount',
	on_error	text NOT NULL DEFAULT 'pass',
	attached_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	attached_by	text NOT NULL DEFAULT SESSION_USER,
	UNIQUE (relation, kind),
	CHECK (on_breach IN ('off', 'shadow', 'warn', 'hold', 'reject')),
	CHECK (null_limit IN ('not_set', 'unlimited', 'blocked')),
	CHECK (zero_limit IN ('amount', 'not_set', 'unlimited', 'blocked')),
	CHECK (on_error IN ('pass', 'refuse'))
);
COMMENT ON TABLE credit.source IS
'Mappings made by attach(): one per table and kind. View sources shows them with their health.';
COMMENT ON COLUMN credit.source.source_id IS 'Own key.';
COMMENT ON COLUMN credit.source.name IS 'Name of the source: the table, with the kind where a table has several.';
COMMENT ON COLUMN credit.source.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.source.kind IS 'Kind of document: customer, order or payment.';
COMMENT ON COLUMN credit.source.fields IS 'Expression over the row by field name, fully qualified.';
COMMENT ON COLUMN credit.source.on_breach IS 'Strongest reaction this source allows: off, shadow, warn or reject.';
COMMENT ON COLUMN credit.source.null_limit IS 'What a NULL limit means in this ERP.';
COMMENT ON COLUMN credit.source.zero_limit IS 'What a limit of 0 means in this ERP.';
COMMENT ON COLUMN credit.source.on_error IS 'What happens when the mapping breaks later: pass (warning, source is unverified) or refuse.';
COMMENT ON COLUMN credit.source.attached_at IS 'When it was attached.';
COMMENT ON COLUMN credit.source.attached_by IS 'Session user who attached it.';

CREATE TABLE credit.source_problem
(
	problem_id	bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	source_id	integer NOT NULL,
	seen_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	sqlstate	text NOT NULL,
	message		text NOT NULL
);
CREATE INDEX source_problem_source ON credit.source_problem (source_id, seen_at);
COMMENT ON TABLE credit.source_problem IS
'Rows of the ERP that could not be read through their mapping: append-only, so that nobody waits for anybody. A source with a row here is unverified until it is attached anew.';
COMMENT ON COLUMN credit.source_problem.problem_id IS 'Own key.';
COMMENT ON COLUMN credit.source_problem.source_id IS 'Source.';
COMMENT ON COLUMN credit.source_problem.seen_at IS 'When; one row per source and transaction.';
COMMENT ON COLUMN credit.source_problem.sqlstate IS 'SQLSTATE of the error.';
COMMENT ON COLUMN credit.source_problem.message IS 'Message of the error.';

CREATE FUNCTION credit.invalidate_source() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_invalidate_source';
COMMENT ON FUNCTION credit.invalidate_source() IS
'Trigger on source: makes every session read the mapping of that table anew.';
CREATE TRIGGER invalidate_source AFTER INSERT OR UPDATE OR DELETE ON credit.source
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_source();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.source
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

CREATE FUNCTION credit.normalise_expression
	(relation regclass, expression text, field text, path text)
RETURNS text
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_normalise_expression';
COMMENT ON FUNCTION credit.normalise_expression(regclass, text, text, text) IS
'Checks one expression of a mapping against a table, reading its names along a search path, and returns it with every name qualified. Refuses sub-selects, aggregates, set-returning and volatile functions, and types that cannot become the type of the field.';

CREATE FUNCTION credit.field_catalog
	(OUT field text, OUT type text, OUT kinds text[], OUT required text[],
	 OUT description text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 20
AS 'MODULE_PATHNAME', 'credit_field_catalog';
COMMENT ON FUNCTION credit.field_catalog() IS
'Every field a mapping can have, with its type, the kinds that may and must have it, and its meaning.';
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
/*
 * Subject exposure: what each account owes or has ordered, today or on any
 * other day.
 *
 * Today's figures come from the journal and are what the order check looks at.
 * Those of another day are added up from the dates of the documents as they
 * are known now.
 */
CREATE FUNCTION credit.as_of() RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_as_of';
COMMENT ON FUNCTION credit.as_of() IS
'The day views look at: parameter credit.as_of (YYYY-MM-DD), else today in the zone of setting time_zone. Example: SET credit.as_of = ''2026-09-30''. The check of orders never looks at it.';

CREATE FUNCTION credit.today() RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_sql_today';
COMMENT ON FUNCTION credit.today() IS 'Today in the zone of setting time_zone.';

CREATE FUNCTION credit.day_of(moment timestamptz) RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_day_of';
COMMENT ON FUNCTION credit.day_of(timestamptz) IS
'Day of a moment in the zone of setting time_zone, whatever the zone of the session.';

/* The limit in force of each account, for views; the check reads it in C. */
CREATE VIEW credit.limit_in_force AS
SELECT l.account_id,
	   l.currency,
	   CASE WHEN l.valid_until < credit.today() THEN l.base_state ELSE l.limit_state END AS limit_state,
	   CASE WHEN l.valid_until < credit.today() THEN l.base_limit ELSE l.credit_limit END AS credit_limit,
	   CASE WHEN l.valid_until >= credit.today() THEN l.valid_until END AS valid_until
  FROM credit.account_limit l;
COMMENT ON VIEW credit.limit_in_force IS 'The limit that counts today, past temporary ones left out.';
COMMENT ON COLUMN credit.limit_in_force.account_id IS 'Account.';
COMMENT ON COLUMN credit.limit_in_force.currency IS 'Currency of the account and its limit.';
COMMENT ON COLUMN credit.limit_in_force.limit_state IS 'not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.limit_in_force.credit_limit IS 'Limit in the currency of the account; only with state amount.';
COMMENT ON COLUMN credit.limit_in_force.valid_until IS 'Last day of a temporary limit; NULL: no end.';

CREATE FUNCTION credit.exposure_documents_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, source text, kind text,
			   key text, number text, document_date date, due_date date,
			   currency text, amount numeric, ordered numeric, delivered numeric,
			   invoiced numeric, unapplied numeric, exposure numeric,
			   is_disputed boolean, origin text, recorded_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, s.name, s.kind, i.key,
	   COALESCE(i.number, i.key), i.document_date, i.due_date, i.currency, i.amount,
	   COALESCE(i.stages[1], 0), COALESCE(i.stages[2], 0),
	   COALESCE(i.stages[3], 0), COALESCE(i.stages[4], 0),
	   COALESCE(i.stages[1], 0) + COALESCE(i.stages[2], 0) +
	   COALESCE(i.stages[3], 0) + COALESCE(i.stages[4], 0),
	   i.is_disputed, i.origin, i.recorded_at
  FROM credit.item i
  JOIN credit.account a ON a.account_id = i.account_id
  JOIN credit.source s ON s.source_id = i.source_id
 WHERE COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= exposure_documents_on.as_of;
END;
COMMENT ON FUNCTION credit.exposure_documents_on(date) IS
'Documents dated up to a day, as they are known now, with what each adds to exposure by stage. A document without dates counts from the day it was recorded.';

CREATE VIEW credit.exposure_document AS
SELECT d.customer, d.segment, d.name, d.source, d.kind, d.key, d.number,
	   d.document_date, d.due_date, d.currency, d.amount, d.ordered, d.delivered,
	   d.invoiced, d.unapplied, d.exposure, d.is_disputed, d.origin, d.recorded_at
  FROM credit.exposure_documents_on
	   (CASE WHEN credit.as_of() = credit.today() THEN 'infinity' ELSE credit.as_of() END) d;
COMMENT ON VIEW credit.exposure_document IS
'The documents behind each figure of view exposure; follows credit.as_of.';
COMMENT ON COLUMN credit.exposure_document.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure_document.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.exposure_document.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure_document.source IS 'Source, as in view sources.';
COMMENT ON COLUMN credit.exposure_document.kind IS 'Kind of document: order or payment.';
COMMENT ON COLUMN credit.exposure_document.key IS 'Key of the document in the ERP.';
COMMENT ON COLUMN credit.exposure_document.number IS 'Number people know it by.';
COMMENT ON COLUMN credit.exposure_document.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.exposure_document.due_date IS 'Due date; of an order the day it is to be delivered.';
COMMENT ON COLUMN credit.exposure_document.currency IS 'Currency of the amounts.';
COMMENT ON COLUMN credit.exposure_document.amount IS 'Amount of the document, tax included.';
COMMENT ON COLUMN credit.exposure_document.ordered IS 'What it adds as open order.';
COMMENT ON COLUMN credit.exposure_document.delivered IS 'What it adds as delivered, not invoiced.';
COMMENT ON COLUMN credit.exposure_document.invoiced IS 'What it adds as open receivable.';
COMMENT ON COLUMN credit.exposure_document.unapplied IS 'Cash received, negative.';
COMMENT ON COLUMN credit.exposure_document.exposure IS 'What it adds to exposure: the sum of the stages.';
COMMENT ON COLUMN credit.exposure_document.is_disputed IS 'True: the customer disputes it.';
COMMENT ON COLUMN credit.exposure_document.origin IS 'Key of the document it comes from, or pays.';
COMMENT ON COLUMN credit.exposure_document.recorded_at IS 'When this version came into the ledger.';

CREATE FUNCTION credit.exposure_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   ordered numeric, delivered numeric, invoiced numeric,
			   unapplied numeric, total numeric, limit_state text,
			   credit_limit numeric, valid_until date, other_currencies text[])
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, l.currency,
	   COALESCE(b.ordered, 0), COALESCE(b.delivered, 0), COALESCE(b.invoiced, 0),
	   COALESCE(b.unapplied, 0),
	   CASE WHEN b.other_currencies IS NULL
			THEN COALESCE(b.ordered + b.delivered + b.invoiced + b.unapplied, 0) END,
	   l.limit_state, l.credit_limit, l.valid_until, b.other_currencies
  FROM credit.account a
  JOIN credit.limit_in_force l ON l.account_id = a.account_id
 CROSS JOIN LATERAL
	   (SELECT sum(COALESCE(i.stages[1], 0)) FILTER (WHERE i.currency = l.currency) AS ordered,
			   sum(COALESCE(i.stages[2], 0)) FILTER (WHERE i.currency = l.currency) AS delivered,
			   sum(COALESCE(i.stages[3], 0)) FILTER (WHERE i.currency = l.currency) AS invoiced,
			   sum(COALESCE(i.stages[4], 0)) FILTER (WHERE i.currency = l.currency) AS unapplied,
			   array_agg(DISTINCT i.currency) FILTER (WHERE i.currency <> l.currency AND i.amount <> 0) AS other_currencies
		  FROM credit.item i
		 WHERE i.account_id = a.account_id
		   AND COALESCE(i.document_date, i.posting_date, credit.day_of(i.recorded_at)) <= exposure_on.as_of) b;
END;
COMMENT ON FUNCTION credit.exposure_on(date) IS
'Exposure of every account on a day, from the dates of the documents as they are known now, beside its present limit; in the currency of the account. total is NULL where documents in other currencies stand beside it (other_currencies).';

CREATE VIEW credit.exposure AS
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
	   e.other_currencies
  FROM (SELECT a.customer, a.segment, a.name, l.currency,
			   COALESCE(b.ordered, 0) AS ordered, COALESCE(b.delivered, 0) AS delivered,
			   COALESCE(b.invoiced, 0) AS invoiced, COALESCE(b.unapplied, 0) AS unapplied,
			   CASE WHEN b.other_currencies IS NULL THEN COALESCE(b.total, 0) END AS total,
			   l.limit_state, l.credit_limit, l.valid_until, b.other_currencies
		  FROM credit.account a
		  JOIN credit.limit_in_force l ON l.account_id = a.account_id
		 CROSS JOIN LATERAL
			   (SELECT array_agg(x.currency ORDER BY x.currency) FILTER (WHERE x.currency <> l.currency AND x.total <> 0) AS other_currencies,
					   sum(x.ordered) FILTER (WHERE x.currency = l.currency) AS ordered,
					   sum(x.delivered) FILTER (WHERE x.currency = l.currency) AS delivered,
					   sum(x.invoiced) FILTER (WHERE x.currency = l.currency) AS invoiced,
					   sum(x.unapplied) FILTER (WHERE x.currency = l.currency) AS unapplied,
					   sum(x.total) FILTER (WHERE x.currency = l.currency) AS total
				  FROM credit.balance(a.account_id) x) b
		 WHERE credit.as_of() = credit.today()
		UNION ALL
		SELECT p.customer, p.segment, p.name, p.currency,
			   p.ordered, p.delivered, p.invoiced, p.unapplied, p.total,
			   p.limit_state, p.credit_limit, p.valid_until, p.other_currencies
		  FROM credit.exposure_on(credit.as_of()) p
		 WHERE credit.as_of() <> credit.today()) e;
COMMENT ON VIEW credit.exposure IS
'Exposure of every account by stage against its present limit. Today: from the journal, which is what the order check looks at. With credit.as_of on another day: from the dates of the documents as they are known now.';
COMMENT ON COLUMN credit.exposure.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure.segment IS 'Company, division or the like; empty where the ERP has one only.';
COMMENT ON COLUMN credit.exposure.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure.currency IS 'Currency of the account; all amounts are in it.';
COMMENT ON COLUMN credit.exposure.ordered IS 'Open orders.';
COMMENT ON COLUMN credit.exposure.delivered IS 'Delivered, not invoiced.';
COMMENT ON COLUMN credit.exposure.invoiced IS 'Open receivables.';
COMMENT ON COLUMN credit.exposure.unapplied IS 'Cash received, negative.';
COMMENT ON COLUMN credit.exposure.total IS 'Exposure: ordered + delivered + invoiced + unapplied. NULL: documents in other currencies stand beside it.';
COMMENT ON COLUMN credit.exposure.limit_state IS 'not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.exposure.credit_limit IS 'Limit in force; only with state amount.';
COMMENT ON COLUMN credit.exposure.valid_until IS 'Last day of a temporary limit; NULL: no end.';
COMMENT ON COLUMN credit.exposure.headroom IS 'Limit less exposure; may be negative. NULL: no amount is set.';
COMMENT ON COLUMN credit.exposure.utilisation IS 'Exposure as a ratio of the limit, 0 below zero. NULL: no amount is set, a limit of 0, or total is NULL.';
COMMENT ON COLUMN credit.exposure.is_over_limit IS 'True: exposure is above the limit, or the account is blocked and owes. NULL: total is NULL.';
COMMENT ON COLUMN credit.exposure.other_currencies IS 'Currencies of documents that are not in the figures; NULL: none.';

CREATE VIEW credit.near_limit AS
SELECT e.customer, e.segment, e.name, e.currency, e.total, e.credit_limit,
	   e.headroom, e.utilisation, e.is_over_limit
  FROM credit.exposure e
 WHERE e.utilisation >= (SELECT s.value::float8 FROM credit.settings s WHERE s.name = 'near_limit')
	OR e.is_over_limit
 ORDER BY e.headroom;
COMMENT ON VIEW credit.near_limit IS
'Accounts whose utilisation has reached setting near_limit, and all above their limit; least headroom first.';
COMMENT ON COLUMN credit.near_limit.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.near_limit.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.near_limit.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.near_limit.currency IS 'Currency of the account.';
COMMENT ON COLUMN credit.near_limit.total IS 'Exposure.';
COMMENT ON COLUMN credit.near_limit.credit_limit IS 'Limit in force.';
COMMENT ON COLUMN credit.near_limit.headroom IS 'Limit less exposure; may be negative.';
COMMENT ON COLUMN credit.near_limit.utilisation IS 'Exposure as a ratio of the limit.';
COMMENT ON COLUMN credit.near_limit.is_over_limit IS 'True: above the limit.';

CREATE VIEW credit.over_limit AS
SELECT e.customer, e.segment, e.name, e.currency, e.total, e.limit_state,
	   e.credit_limit, e.total - COALESCE(e.credit_limit, 0) AS excess
  FROM credit.exposure e
 WHERE e.is_over_limit
 ORDER BY excess DESC;
COMMENT ON VIEW credit.over_limit IS
'Accounts above their limit: receipts that bounced, limits that were cut, documents that came in shadow mode or by backfill. Largest excess first.';
COMMENT ON COLUMN credit.over_limit.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.over_limit.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.over_limit.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.over_limit.currency IS 'Currency of the account.';
COMMENT ON COLUMN credit.over_limit.total IS 'Exposure.';
COMMENT ON COLUMN credit.over_limit.limit_state IS 'amount or blocked.';
COMMENT ON COLUMN credit.over_limit.credit_limit IS 'Limit in force; NULL: blocked.';
COMMENT ON COLUMN credit.over_limit.excess IS 'Exposure above the limit.';

CREATE VIEW credit.limit_history AS
SELECT a.customer, a.segment, a.name, c.changed_at, c.changed_by, c.old_state,
	   c.old_limit, c.new_state, c.new_limit, c.valid_until, c.reason, s.name AS source
  FROM credit.limit_change c
  JOIN credit.account a ON a.account_id = c.account_id
  LEFT JOIN credit.source s ON s.source_id = c.source_id;
COMMENT ON VIEW credit.limit_history IS 'Every change of a limit: who, when, from what to what, why.';
COMMENT ON COLUMN credit.limit_history.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.limit_history.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.limit_history.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.limit_history.changed_at IS 'When.';
COMMENT ON COLUMN credit.limit_history.changed_by IS 'Session user who did it.';
COMMENT ON COLUMN credit.limit_history.old_state IS 'State before.';
COMMENT ON COLUMN credit.limit_history.old_limit IS 'Limit before.';
COMMENT ON COLUMN credit.limit_history.new_state IS 'State after.';
COMMENT ON COLUMN credit.limit_history.new_limit IS 'Limit after.';
COMMENT ON COLUMN credit.limit_history.valid_until IS 'Last day of a temporary limit.';
COMMENT ON COLUMN credit.limit_history.reason IS 'Reason given to set_limit().';
COMMENT ON COLUMN credit.limit_history.source IS 'Customer source, when the ERP changed it; NULL: set_limit().';

CREATE VIEW credit.item_history AS
SELECT a.customer, a.segment, s.name AS source, v.key, v.currency, v.amount,
	   v.document_date, v.due_date, v.recorded_at, v.superseded_at, v.seq
  FROM (SELECT i.source_id, i.key, i.account_id, i.currency, i.amount,
			   i.document_date, i.due_date, i.recorded_at,
			   NULL::timestamptz AS superseded_at, i.seq
		  FROM credit.item i
		UNION ALL
		SELECT i.source_id, i.key, i.account_id, i.currency, i.amount,
			   i.document_date, i.due_date, i.recorded_at, i.superseded_at, i.seq
		  FROM credit.item_version i) v
  JOIN credit.account a ON a.account_id = v.account_id
  LEFT JOIN credit.source s ON s.source_id = v.source_id;
COMMENT ON VIEW credit.item_history IS
'Every version of every document: what was known at moment t is recorded_at <= t AND (superseded_at IS NULL OR superseded_at > t).';
COMMENT ON COLUMN credit.item_history.customer IS 'Key of the customer at that time.';
COMMENT ON COLUMN credit.item_history.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.item_history.source IS 'Source; NULL: detached meanwhile.';
COMMENT ON COLUMN credit.item_history.key IS 'Key of the document in the ERP.';
COMMENT ON COLUMN credit.item_history.currency IS 'Currency of the amount.';
COMMENT ON COLUMN credit.item_history.amount IS 'Amount at that time.';
COMMENT ON COLUMN credit.item_history.document_date IS 'Date of the document.';
COMMENT ON COLUMN credit.item_history.due_date IS 'Due date.';
COMMENT ON COLUMN credit.item_history.recorded_at IS 'When this version came into the ledger.';
COMMENT ON COLUMN credit.item_history.superseded_at IS 'When it was replaced or stopped counting; NULL: present version.';
COMMENT ON COLUMN credit.item_history.seq IS 'Row of the journal that carries it.';
/*
 * Subject control: the order check, asked without an order, and what it let
 * through although a rule was broken.
 */
CREATE FUNCTION credit.check_order
	(customer text, amount numeric, currency text DEFAULT NULL, segment text DEFAULT '',
	 OUT verdict text, OUT rule text, OUT message text, OUT reasons text[], OUT hint text,
	 OUT account_currency text, OUT limit_state text, OUT credit_limit numeric,
	 OUT exposure numeric, OUT added numeric, OUT exposure_after numeric,
	 OUT in_flight numeric, OUT headroom numeric,
	 OUT passing_amount numeric, OUT amount_to_pay numeric)
RETURNS record
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'credit_check_order';
COMMENT ON FUNCTION credit.check_order(text, numeric, text, text) IS
'What would happen to an order of this amount right now, without placing it; currency NULL: that of the account. verdict: pass, shadow, warn, reject, or wait (it depends on uncommitted orders of others: in_flight). passing_amount: the largest order that passes at once, NULL: any. amount_to_pay: what the customer must pay for this one to fit. Amounts in account_currency, NULL where a rate is missing.';

CREATE TABLE credit.decision_log
(
	decision_id	bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	decided_at	timestamptz NOT NULL,
	verdict		text NOT NULL,
	rule		text NOT NULL,
	account_id	bigint NOT NULL,
	source_id	integer,
	item_key	text COLLATE "C",
	documents	integer NOT NULL,
	currency	text NOT NULL,
	amount		numeric NOT NULL,
	exposure	numeric NOT NULL,
	limit_state	text NOT NULL,
	credit_limit numeric,
	reasons		text[] NOT NULL,
	role		text NOT NULL
);
CREATE INDEX decision_log_account ON credit.decision_log (account_id, decided_at);
COMMENT ON TABLE credit.decision_log IS
'Documents let in although a rule was broken, append-only; read it through view decision.';
COMMENT ON COLUMN credit.decision_log.decision_id IS 'Own key.';
COMMENT ON COLUMN credit.decision_log.decided_at IS 'When.';
COMMENT ON COLUMN credit.decision_log.verdict IS 'shadow, warn or bypass.';
COMMENT ON COLUMN credit.decision_log.rule IS 'Rule that was broken: the one with the strongest reaction.';
COMMENT ON COLUMN credit.decision_log.account_id IS 'Account.';
COMMENT ON COLUMN credit.decision_log.source_id IS 'Source of the documents.';
COMMENT ON COLUMN credit.decision_log.item_key IS 'Key of the first document.';
COMMENT ON COLUMN credit.decision_log.documents IS 'Number of documents of the account that the statement raised.';
COMMENT ON COLUMN credit.decision_log.currency IS 'Currency of the account; all amounts are in it.';
COMMENT ON COLUMN credit.decision_log.amount IS 'What the statement added.';
COMMENT ON COLUMN credit.decision_log.exposure IS 'Exposure before.';
COMMENT ON COLUMN credit.decision_log.limit_state IS 'State of the limit.';
COMMENT ON COLUMN credit.decision_log.credit_limit IS 'Limit in force.';
COMMENT ON COLUMN credit.decision_log.reasons IS 'Every reason, one sentence each.';
COMMENT ON COLUMN credit.decision_log.role IS 'Role that placed the documents.';
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.decision_log
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

CREATE VIEW credit.decision AS
SELECT d.decided_at, d.verdict, d.rule, a.customer, a.segment, a.name,
	   s.name AS source, d.item_key AS key, d.documents, d.currency, d.amount,
	   d.exposure, d.limit_state, d.credit_limit, d.reasons, d.role
  FROM credit.decision_log d
  JOIN credit.account a ON a.account_id = d.account_id
  LEFT JOIN credit.source s ON s.source_id = d.source_id;
COMMENT ON VIEW credit.decision IS
'What was let in although a rule was broken: in mode shadow, with a warning, or by a member of setting bypass_role. Refused documents are in the log of the server: their transaction is gone.';
COMMENT ON COLUMN credit.decision.decided_at IS 'When.';
COMMENT ON COLUMN credit.decision.verdict IS 'shadow, warn or bypass.';
COMMENT ON COLUMN credit.decision.rule IS 'Rule that was broken: the one with the strongest reaction.';
COMMENT ON COLUMN credit.decision.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.decision.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.decision.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.decision.source IS 'Source of the documents; NULL: detached meanwhile.';
COMMENT ON COLUMN credit.decision.key IS 'Key of the first document.';
COMMENT ON COLUMN credit.decision.documents IS 'Number of documents of the account that the statement raised.';
COMMENT ON COLUMN credit.decision.currency IS 'Currency of the account; all amounts are in it.';
COMMENT ON COLUMN credit.decision.amount IS 'What the statement added.';
COMMENT ON COLUMN credit.decision.exposure IS 'Exposure before.';
COMMENT ON COLUMN credit.decision.limit_state IS 'State of the limit.';
COMMENT ON COLUMN credit.decision.credit_limit IS 'Limit in force.';
COMMENT ON COLUMN credit.decision.reasons IS 'Every reason, one sentence each.';
COMMENT ON COLUMN credit.decision.role IS 'Role that placed the documents.';
/*
 * Subject capture: triggers on the ERP's tables, and attach() and detach(),
 * which put them there.
 *
 * Four triggers and nothing else stand on a table of the ERP.  They sort last,
 * so that the ERP's own triggers have done their work before ours look.
 */
CREATE FUNCTION credit.begin_statement() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_begin_statement';
COMMENT ON FUNCTION credit.begin_statement() IS
'Trigger of attached tables, before each statement: opens what the rows are collected in.';
CREATE FUNCTION credit.capture_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_capture_row';
COMMENT ON FUNCTION credit.capture_row() IS
'Trigger of attached tables, after each row: reads the mapped values.';
CREATE FUNCTION credit.end_statement() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_end_statement';
COMMENT ON FUNCTION credit.end_statement() IS
'Trigger of attached tables, after each statement: checks and posts what was collected.';
CREATE FUNCTION credit.capture_truncate() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_capture_truncate';
COMMENT ON FUNCTION credit.capture_truncate() IS
'Trigger of attached tables, after TRUNCATE: takes their documents out of the ledger.';

CREATE FUNCTION credit.forget(relation oid, source_id integer, kind text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'credit_forget';
COMMENT ON FUNCTION credit.forget(oid, integer, text) IS
'Takes everything a source has brought out of the ledger; use detach().';

CREATE FUNCTION credit.apply_customer
	(relation regclass, source_id integer, customer text, segment text, name text,
	 currency text, credit_limit numeric, parent text, status text,
	 terms_days integer, rating text)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_apply_customer';
COMMENT ON FUNCTION credit.apply_customer(regclass, integer, text, text, text, text, numeric, text, text, integer, text) IS
'Takes one customer of a backfill into the ledger; use attach().';

CREATE FUNCTION credit.has_unique_key(relation regclass, key text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS
	(SELECT FROM pg_index x
	  WHERE x.indrelid = relation AND x.indisunique AND x.indimmediate
		AND x.indpred IS NULL AND x.indexprs IS NULL
		AND key IN (SELECT CASE WHEN count(*) = 1 THEN min(quote_ident(a.attname))
								ELSE 'ROW(' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) || ')' END
					  FROM unnest(x.indkey[0:x.indnkeyatts - 1]) k
					  JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k
					UNION ALL
					SELECT 'ROW(' || string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) || ')'
					  FROM unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY k (attnum, n)
					  JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum))
$$;
COMMENT ON FUNCTION credit.has_unique_key(regclass, text) IS
'True: a unique index of the table covers exactly the columns of this (normalised) key.';

/* What is wrong with the table itself, one sentence each. */
CREATE FUNCTION credit.relation_problems(relation regclass, kind text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_class%ROWTYPE;
	related regclass;
BEGIN
	SELECT * INTO c FROM pg_class WHERE oid = relation;
	IF c.relkind NOT IN ('r', 'p') THEN
		RETURN NEXT format('%s is not a table. Attach the table the rows are written to.', relation);
		RETURN;
	END IF;
	IF c.relpersistence = 't' THEN
		RETURN NEXT format('%s is a temporary table.', relation);
	END IF;
	IF c.relnamespace IN ('pg_catalog'::regnamespace, 'credit'::regnamespace) THEN
		RETURN NEXT format('%s belongs to the system.', relation);
	END IF;
	IF NOT has_table_privilege(relation, 'TRIGGER') OR NOT has_table_privilege(relation, 'SELECT') THEN
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
'Why a table cannot be attached as this kind, one sentence each; no row: it can.';

/* What is wrong with the fields, one sentence each; normalises the rest. */
CREATE FUNCTION credit.check_fields
	(relation regclass, kind text, fields jsonb, path text,
	 OUT normalised jsonb, OUT problems text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	f record;
	problem text;
	hint text;
BEGIN
	normalised := '{}';
	problems := '{}';
	FOR f IN SELECT k.key AS field, k.value AS expression, c.kinds
			   FROM jsonb_each_text(fields) k
			   LEFT JOIN credit.field_catalog() c ON c.field = k.key
			  ORDER BY k.key
	LOOP
		IF f.kinds IS NULL OR NOT kind = ANY (f.kinds) THEN
			problems := problems || format('%s: kind %s has no such field.', f.field, kind);
			CONTINUE;
		END IF;
		BEGIN
			normalised := normalised || jsonb_build_object
				(f.field, credit.normalise_expression(relation, f.expression, f.field, path));
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			problems := problems || rtrim(format('%s: %s. %s', f.field, problem, hint));
		END;
	END LOOP;
	problems := problems || ARRAY
		(SELECT format('%s: missing. %s', c.field, c.description)
		   FROM credit.field_catalog() c
		  WHERE kind = ANY (c.required) AND NOT fields ? c.field
		  ORDER BY c.field);
END
$$;
COMMENT ON FUNCTION credit.check_fields(regclass, text, jsonb, text) IS
'Checks all fields of a mapping at once: the normalised ones, and what is wrong with the others.';

/*
 * The SELECT that reads a table through a mapping, as the triggers do row by
 * row: every field with its final type.
 */
CREATE FUNCTION credit.mapping_query(relation regclass, kind text, fields jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('SELECT %s FROM %s WHERE %s',
			  (SELECT string_agg(format('(%s)::%s AS %I',
										COALESCE(fields ->> c.field, 'NULL'), c.type, c.field), ', '
								 ORDER BY c.field)
				 FROM credit.field_catalog() c
				WHERE kind = ANY (c.kinds) AND c.field <> 'counts_when'),
			  relation, COALESCE('(' || (fields ->> 'counts_when') || ')', 'true'))
$$;
COMMENT ON FUNCTION credit.mapping_query(regclass, text, jsonb) IS
'SQL text that reads a table through a mapping, for backfill and for people who want to see what is read.';

/*
 * The functions that read a table through its mapping do so under fixed
 * formats and in the zone of setting time_zone, as the triggers do: a key must
 * not depend on the DateStyle of whoever writes the row.
 */
CREATE FUNCTION credit.time_zone() RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE s.value WHEN 'server' THEN current_setting('log_timezone') ELSE s.value END
  FROM credit.settings s WHERE s.name = 'time_zone'
$$;
COMMENT ON FUNCTION credit.time_zone() IS 'Time zone that setting time_zone names.';

/* Dry run: says what attach() would do, changes nothing. */
CREATE FUNCTION credit.attach_estimate(relation regclass, kind text, fields jsonb) RETURNS void
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
	started := clock_timestamp();
	EXECUTE format('SELECT count(*) FROM (%s LIMIT 10000) q', query) INTO sampled;
	EXECUTE format('SELECT count(*) FROM (SELECT q.*::text FROM (%s LIMIT 10000) q OFFSET 0) q', query) INTO sampled;
	seconds := extract(epoch FROM clock_timestamp() - started);
	estimated := GREATEST(estimated, sampled);
	RAISE NOTICE 'dry run: nothing is changed';
	RAISE NOTICE 'would read about % rows (%) of %', estimated::bigint, pg_size_pretty(bytes), relation;
	RAISE NOTICE 'would lock % in mode SHARE ROW EXCLUSIVE until the end of the transaction: reads go on, writes wait', relation;
	/* six times reading as sampled, plus 25 microseconds a row to write the ledger */
	RAISE NOTICE 'would take about % s and write about % into schema credit',
		round((estimated * (6 * seconds / GREATEST(sampled, 1) + 0.000025))::numeric + 0.1, 1),
		pg_size_pretty((estimated * CASE kind WHEN 'customer' THEN 450 ELSE 270 END)::bigint);
	RAISE NOTICE 'would create triggers zz_credit_begin, zz_credit_row, zz_credit_end and zz_credit_truncate on %', relation;
	IF fields ? 'credit_limit' THEN
		EXECUTE format('SELECT count(*) FILTER (WHERE credit_limit IS NULL), count(*) FILTER (WHERE credit_limit = 0) FROM (%s) q', query)
		   INTO nulls, zeros;
		RAISE NOTICE 'limits: % are NULL, % are 0 (null_limit and zero_limit say what that means)', nulls, zeros;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.attach_estimate(regclass, text, jsonb) IS
'What attach() would read, lock, write and create; what dry_run => true shows.';

/* Refuses data that the ledger cannot hold, with figures. */
CREATE FUNCTION credit.check_rows(relation regclass, kind text, fields jsonb) RETURNS text[]
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
	problems text[] := '{}';
	n bigint;
	example text;
	amount text := CASE kind WHEN 'customer' THEN 'credit_limit' ELSE 'amount' END;
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	EXECUTE format('SELECT count(*) FROM (%s) q WHERE q.key IS NULL', query) INTO n;
	IF n > 0 THEN
		problems := problems || format('key: is NULL in %s rows.', n);
	END IF;
	EXECUTE format('SELECT count(*), min(q.key) FROM (SELECT q.key FROM (%s) q GROUP BY q.key%s HAVING count(*) > 1) q',
				   query, CASE kind WHEN 'customer' THEN ', q.segment' ELSE '' END)
	   INTO n, example;
	IF n > 0 THEN
		problems := problems || format('key: %s values stand in more than one row, for example %L. Choose a key that is unique, or (a, b).', n, example);
	END IF;
	EXECUTE format('SELECT count(*), min(q.key) FROM (%s) q WHERE q.%I IN (''NaN'', ''Infinity'', ''-Infinity'') %s',
				   query, amount, CASE kind WHEN 'customer' THEN 'OR q.credit_limit < 0' ELSE '' END)
	   INTO n, example;
	IF n > 0 THEN
		problems := problems || format('%s: is NaN, infinite%s in %s rows, for example in %L.', amount,
			CASE kind WHEN 'customer' THEN ' or negative' ELSE '' END, n, example);
	END IF;
	RETURN problems;
EXCEPTION WHEN data_exception THEN
	RETURN problems || format('A row cannot be read: %s.', SQLERRM);
END
$$;
COMMENT ON FUNCTION credit.check_rows(regclass, text, jsonb) IS
'What stands in the rows of a table that the ledger cannot hold, one sentence each.';

/* Takes the documents that are there into the ledger: never refuses any. */
CREATE FUNCTION credit.backfill_documents(relation regclass, source_id integer, kind text, fields jsonb) RETURNS bigint
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
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	EXECUTE format($q$
		INSERT INTO credit.account (customer, segment)
		SELECT DISTINCT q.customer, COALESCE(q.segment, '') FROM (%s) q
		 WHERE q.customer IS NOT NULL AND q.amount IS NOT NULL
		   AND NOT EXISTS (SELECT FROM credit.account a
							WHERE a.customer = q.customer AND a.segment = COALESCE(q.segment, ''))
		ON CONFLICT (customer, segment) DO NOTHING$q$,
		credit.mapping_query(relation, kind, fields));
	EXECUTE format($q$
		INSERT INTO credit.account_limit (account_id, currency)
		SELECT a.account_id, min(COALESCE(q.currency, %L)) FROM (%s) q
		  JOIN credit.account a ON a.customer = q.customer AND a.segment = COALESCE(q.segment, '')
		 WHERE q.amount IS NOT NULL
		   AND NOT EXISTS (SELECT FROM credit.account_limit l WHERE l.account_id = a.account_id)
		 GROUP BY a.account_id
		ON CONFLICT (account_id) DO NOTHING$q$,
		base_currency, credit.mapping_query(relation, kind, fields));
	EXECUTE format($q$
		WITH document AS MATERIALIZED
			(SELECT q.*, a.account_id, COALESCE(q.currency, %1$L) COLLATE "C" AS item_currency,
					ARRAY_REMOVE(%2$s, NULL) AS stages
			   FROM (%3$s) q
			   JOIN credit.account a ON a.customer = q.customer AND a.segment = COALESCE(q.segment, '')
			  WHERE q.amount IS NOT NULL),
		posted AS MATERIALIZED
			(SELECT s.account_id, s.item_currency, credit.adjust(s.account_id, s.item_currency, s.stages, %4$s) AS seq
			   FROM (SELECT d.account_id, d.item_currency, %5$s AS stages
					   FROM document d GROUP BY d.account_id, d.item_currency
					  ORDER BY d.account_id, d.item_currency) s)
		INSERT INTO credit.item (source_id, key, account_id, currency, amount, stages,
								 document_date, due_date, posting_date, origin, number,
								 is_disputed, recorded_at, seq)
		SELECT %4$s, d.key, d.account_id, d.item_currency, d.amount, d.stages,
			   d.document_date, d.due_date, d.posting_date, d.%6$I, d.number,
			   d.is_disputed, clock_timestamp(), p.seq
		  FROM document d
		  JOIN posted p ON p.account_id = d.account_id AND p.item_currency = d.item_currency$q$,
		base_currency,
		CASE kind WHEN 'payment'
			 THEN 'CASE WHEN q.amount = 0 THEN ''{}''::numeric[] ELSE ARRAY[0, 0, 0, -q.amount] END'
			 ELSE 'CASE WHEN q.amount = 0 THEN ''{}''::numeric[] ELSE ARRAY[q.amount] END' END,
		credit.mapping_query(relation, kind, fields),
		source_id,
		CASE kind WHEN 'payment' THEN 'ARRAY[0, 0, 0, -sum(d.amount)]' ELSE 'ARRAY[sum(d.amount)]' END,
		CASE kind WHEN 'payment' THEN 'applies_to' ELSE 'origin' END);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.backfill_documents(regclass, integer, text, jsonb) IS
'Takes the documents that are in a table into the ledger; use attach().';

CREATE FUNCTION credit.backfill_customers(relation regclass, source_id integer, fields jsonb) RETURNS bigint
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
	EXECUTE format('SELECT count(credit.apply_customer(%L, %s, q.key, q.segment, q.name, q.currency, q.credit_limit, q.parent, q.status, q.terms_days, q.rating)) FROM (%s) q',
				   relation, source_id, credit.mapping_query(relation, 'customer', fields)) INTO n;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.backfill_customers(regclass, integer, jsonb) IS
'Takes the customers that are in a table into the ledger; use attach().';

/* Says what the DBA should look at after an attach. */
CREATE FUNCTION credit.attach_report(source_name text, source_kind text, rows bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	states text;
	n bigint;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = source_name;
	RAISE NOTICE 'attached % as %: % rows taken into the ledger', source_name, source_kind, rows;
	IF source_kind = 'customer' THEN
		SELECT string_agg(format('%s %s', q.n, q.limit_state), ', ' ORDER BY q.limit_state) INTO states
		  FROM (SELECT l.limit_state, count(*) AS n
				  FROM credit.account a JOIN credit.account_limit l ON l.account_id = a.account_id
				 WHERE a.source_id = s.source_id GROUP BY l.limit_state) q;
		RAISE NOTICE 'limits: %', COALESCE(states, 'none');
		SELECT count(*) INTO n FROM credit.account_limit l JOIN credit.account a ON a.account_id = l.account_id
		 WHERE a.source_id = s.source_id AND l.limit_state = 'amount' AND l.credit_limit = 0;
		IF n > 0 THEN
			RAISE NOTICE '% customers have a limit of 0, which means no credit; if it means something else, attach with zero_limit', n;
		END IF;
	ELSE
		SELECT count(*) INTO n FROM credit.account a
		 WHERE a.source_id IS NULL
		   AND EXISTS (SELECT FROM credit.item i WHERE i.account_id = a.account_id AND i.source_id = s.source_id);
		IF n > 0 THEN
			RAISE NOTICE '% customers of these documents are not in any customer source', n;
		END IF;
		IF source_kind = 'order' THEN
			RAISE NOTICE 'orders that break a rule: % (setting mode is %)', s.on_breach,
				(SELECT x.value FROM credit.settings x WHERE x.name = 'mode');
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.attach_report(text, text, bigint) IS
'What attach() says when it is done.';

CREATE FUNCTION credit.lock_source_table(relation regclass, lock_timeout text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
AS $$
BEGIN
	/* ends with this function: the rest of the transaction keeps its own */
	PERFORM set_config('lock_timeout', lock_timeout, true);
	EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
END
$$;
COMMENT ON FUNCTION credit.lock_source_table(regclass, text) IS
'Locks a table against writers for attach() and detach(), waiting no longer than lock_timeout.';

CREATE FUNCTION credit.attach_mapping
	(relation regclass, kind text, fields jsonb, on_breach text, null_limit text,
	 zero_limit text, on_error text, lock_timeout text, backfill boolean,
	 dry_run boolean, path text)
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
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'the table to attach is NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF kind IS NULL OR kind NOT IN ('customer', 'order', 'payment') THEN
		RAISE EXCEPTION 'there is no kind "%"', kind
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Use customer, order or payment.';
	END IF;
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND NOT dry_run THEN
		RAISE EXCEPTION 'attach cannot run in a transaction in %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_transaction_state',
				  DETAIL = 'It must see every row that was committed before it got its lock.',
				  HINT = 'Use READ COMMITTED.';
	END IF;
	on_breach := COALESCE(on_breach, CASE kind WHEN 'order' THEN 'reject' ELSE 'off' END);
	IF on_breach NOT IN ('off', 'shadow', 'warn', 'reject') THEN
		problems := problems || format('on_breach: %L is not a reaction. Use off, shadow, warn or reject.', on_breach);
	ELSIF kind <> 'order' AND on_breach <> 'off' THEN
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
	problems := problems || ARRAY(SELECT credit.relation_problems(relation, kind));
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) THEN
		SELECT * INTO checked FROM credit.check_fields(relation, kind, fields, path);
		problems := problems || checked.problems;
	END IF;

	IF cardinality(problems) = 0 AND NOT dry_run THEN
		PERFORM credit.lock_source_table(relation, lock_timeout);
	END IF;
	IF cardinality(problems) = 0 THEN
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

	INSERT INTO credit.source (name, relation, kind, fields, on_breach, null_limit, zero_limit, on_error)
	VALUES (source_name, relation, kind, checked.normalised, on_breach, null_limit, zero_limit, on_error)
	RETURNING source_id INTO new_id;
	IF NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = 'zz_credit_row') THEN
		EXECUTE format('CREATE TRIGGER zz_credit_begin BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.begin_statement()', relation);
		EXECUTE format('CREATE TRIGGER zz_credit_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION credit.capture_row()', relation);
		EXECUTE format('CREATE TRIGGER zz_credit_end AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.end_statement()', relation);
		EXECUTE format('CREATE TRIGGER zz_credit_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.capture_truncate()', relation);
	END IF;
	IF backfill AND kind = 'customer' THEN
		n := credit.backfill_customers(relation, new_id, checked.normalised);
	ELSIF backfill THEN
		n := credit.backfill_documents(relation, new_id, kind, checked.normalised);
	END IF;
	PERFORM credit.attach_report(source_name, kind, n);
	RETURN source_name;
END
$$;
COMMENT ON FUNCTION credit.attach_mapping(regclass, text, jsonb, text, text, text, text, text, boolean, boolean, text) IS
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
	 backfill boolean DEFAULT true, dry_run boolean DEFAULT false)
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
		 'rating', rating, 'counts_when', counts_when)),
	 on_breach, null_limit, zero_limit, on_error, lock_timeout,
	 COALESCE(backfill, true), COALESCE(dry_run, false),
	 current_setting('search_path'));
END;
COMMENT ON FUNCTION credit.attach(regclass, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, boolean, boolean) IS
'Maps a table of the ERP: kind customer, order or payment, and an SQL expression over the row for each field (field_catalog() lists them). Creates triggers on the table and takes what is there into the ledger; returns the name of the source. Answers with everything that is wrong at once. dry_run => true changes nothing and says what would be read, locked and written. on_breach (orders): off, shadow, warn or reject, default reject. null_limit, zero_limit: what NULL and 0 in credit_limit mean. on_error: pass or refuse rows that the mapping cannot read any more.';

CREATE FUNCTION credit.detach(source text, lock_timeout text DEFAULT '5s') RETURNS bigint
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
	IF is_there THEN
		PERFORM credit.lock_source_table(s.relation, lock_timeout);
	END IF;
	SELECT CASE s.kind WHEN 'customer' THEN (SELECT count(*) FROM credit.account a WHERE a.source_id = s.source_id)
					   ELSE (SELECT count(*) FROM credit.item i WHERE i.source_id = s.source_id) END INTO n;
	PERFORM credit.forget(s.relation, s.source_id, s.kind);
	PERFORM credit.maintain(true);
	DELETE FROM credit.source_problem p WHERE p.source_id = s.source_id;
	DELETE FROM credit.source x WHERE x.source_id = s.source_id;
	PERFORM credit.maintain(false);
	IF is_there AND NOT EXISTS (SELECT FROM credit.source x WHERE x.relation = s.relation) THEN
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_begin ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_row ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_end ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_truncate ON %s', s.relation);
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.detach(text, text) IS
'Undoes attach(): drops the triggers and takes the documents of the source out of exposure; returns how many there were. Their history stays. The table itself is not touched.';

/*
 * Why a mapping does not work any more; NULL: it does.  Runs as its owner: an
 * analyst who cannot read the ERP's table must not see a healthy mapping as
 * broken.  It parses the expressions and evaluates none.
 */
CREATE FUNCTION credit.mapping_error(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	checked record;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = mapping_error.source_id;
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation) THEN
		RETURN 'the table is gone';
	END IF;
	SELECT * INTO checked FROM credit.check_fields(s.relation, s.kind, s.fields, 'pg_catalog, pg_temp');
	RETURN NULLIF(array_to_string(checked.problems, ' '), '');
END
$$;
COMMENT ON FUNCTION credit.mapping_error(integer) IS
'What is wrong with the mapping of a source now; NULL: nothing.';

CREATE VIEW credit.sources AS
SELECT s.name, s.relation, s.kind, s.on_breach, s.null_limit, s.zero_limit, s.on_error,
	   CASE WHEN m.error IS NOT NULL THEN 'broken'
			WHEN t.n_enabled < 4 THEN 'triggers missing or disabled'
			WHEN p.n > 0 THEN 'unverified'
			ELSE 'ok' END AS health,
	   COALESCE(m.error, p.message) AS problem,
	   p.n AS n_problems,
	   p.seen_at AS last_problem_at,
	   s.fields, s.attached_at, s.attached_by
  FROM credit.source s
  CROSS JOIN LATERAL (SELECT credit.mapping_error(s.source_id) AS error) m
  CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.tgenabled IN ('O', 'A')) AS n_enabled
						FROM pg_catalog.pg_trigger g
					   WHERE g.tgrelid = s.relation
						 AND g.tgname IN ('zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate')) t
  CROSS JOIN LATERAL (SELECT count(*) AS n, max(x.seen_at) AS seen_at,
							 (array_agg(x.message ORDER BY x.seen_at DESC))[1] AS message
						FROM credit.source_problem x WHERE x.source_id = s.source_id) p;
COMMENT ON VIEW credit.sources IS 'Attached tables with their mapping and its health.';
COMMENT ON COLUMN credit.sources.name IS 'Name of the source, for detach().';
COMMENT ON COLUMN credit.sources.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.sources.kind IS 'customer, order or payment.';
COMMENT ON COLUMN credit.sources.on_breach IS 'Strongest reaction the source allows.';
COMMENT ON COLUMN credit.sources.null_limit IS 'What a NULL limit means.';
COMMENT ON COLUMN credit.sources.zero_limit IS 'What a limit of 0 means.';
COMMENT ON COLUMN credit.sources.on_error IS 'What happens to rows the mapping cannot read: pass or refuse.';
COMMENT ON COLUMN credit.sources.health IS 'ok, unverified (rows passed unread), broken (the mapping does not fit the table now), or triggers missing or disabled.';
COMMENT ON COLUMN credit.sources.problem IS 'What is wrong.';
COMMENT ON COLUMN credit.sources.n_problems IS 'Transactions in which a row could not be read.';
COMMENT ON COLUMN credit.sources.last_problem_at IS 'When that happened last.';
COMMENT ON COLUMN credit.sources.fields IS 'Expressions by field, fully qualified.';
COMMENT ON COLUMN credit.sources.attached_at IS 'When it was attached.';
COMMENT ON COLUMN credit.sources.attached_by IS 'Session user who attached it.';
/*
 * Subject status: what a DBA should know at 3 a.m., in plain words.
 */
CREATE FUNCTION credit.status
	(OUT severity text, OUT subject text, OUT finding text, OUT advice text)
RETURNS SETOF record
LANGUAGE sql STABLE
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
	SELECT 2, 'warning', 'index ' || x.indexrelid::regclass::text,
		   'is of a kind the ledger cannot maintain; orders fail',
		   'Drop it. Plain indexes are fine.'
	  FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND (x.indpred IS NOT NULL OR x.indexprs IS NOT NULL OR x.indisexclusion OR NOT x.indimmediate)
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
COMMENT ON FUNCTION credit.status() IS
'What is wrong, most urgent first, with what to do: error, warning, info; the last row (ok) says what is there.';
/*
 * Subject grant: nothing is for PUBLIC; analysts get everything they can read
 * by one call.  Every object is in a configuration dump that is data.
 */
REVOKE ALL ON ALL TABLES IN SCHEMA credit FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA credit FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA credit FROM PUBLIC;

CREATE FUNCTION credit.grant_analyst(role regrole) RETURNS void
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
	EXECUTE format('GRANT SELECT ON credit.account, credit.account_limit, credit.item, credit.source, credit.source_problem, credit.setting, credit.rule_reaction TO %s', role);
END
$$;
COMMENT ON FUNCTION credit.grant_analyst(regrole) IS
'Lets a role read everything: all views, the functions behind them, and the dry run check_order(). It can change nothing.';

CREATE FUNCTION credit.revoke_analyst(role regrole) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA credit FROM %s', role);
	EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA credit FROM %s', role);
	EXECUTE format('REVOKE ALL ON SCHEMA credit FROM %s', role);
END
$$;
COMMENT ON FUNCTION credit.revoke_analyst(regrole) IS 'Takes back what grant_analyst() gave.';
REVOKE ALL ON FUNCTION credit.grant_analyst(regrole), credit.revoke_analyst(regrole) FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('credit.setting', '');
SELECT pg_catalog.pg_extension_config_dump('credit.rule_reaction', '');
SELECT pg_catalog.pg_extension_config_dump('credit.account', '');
SELECT pg_catalog.pg_extension_config_dump('credit.account_account_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.account_limit', '');
SELECT pg_catalog.pg_extension_config_dump('credit.limit_change', '');
SELECT pg_catalog.pg_extension_config_dump('credit.limit_change_limit_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source_source_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source_problem', '');
SELECT pg_catalog.pg_extension_config_dump('credit.source_problem_problem_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('credit.item', '');
SELECT pg_catalog.pg_extension_config_dump('credit.item_version', '');
SELECT pg_catalog.pg_extension_config_dump('credit.journal', '');
SELECT pg_catalog.pg_extension_config_dump('credit.decision_log', '');
SELECT pg_catalog.pg_extension_config_dump('credit.decision_log_decision_id_seq', '');

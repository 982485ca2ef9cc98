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

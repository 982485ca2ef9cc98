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

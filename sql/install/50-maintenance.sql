/*
 * Subject maintenance: the purge of what is older than somebody wants to keep,
 * what the tables cost, and the job of the night.
 *
 * A procedure that commits cannot have a SET clause; purge() is C and daily()
 * consists of calls by qualified names alone, so nothing hangs on the caller's
 * search_path.
 */
CREATE PROCEDURE credit.purge
	(keep interval DEFAULT NULL, keep_versions interval DEFAULT NULL,
	 keep_decisions interval DEFAULT NULL, keep_problems interval DEFAULT NULL,
	 keep_limits interval DEFAULT NULL, batch_rows integer DEFAULT 10000,
	 pause interval DEFAULT NULL, verbose boolean DEFAULT false)
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_purge';
COMMENT ON PROCEDURE credit.purge(interval, interval, interval, interval, interval, integer, interval, boolean) IS
'Deletes what is older than keep: rows of the journal that no balance needs any more; and, each with its own age, former versions of documents, decisions, problems of sources, changes of limits. NULL: what setting keep_... says, which is forever by default. Commits every batch_rows rows or every second, waits pause between batches, and stands in nobody''s way. purge_estimate() shows what it would do.';

CREATE FUNCTION credit.purge_estimate
	(keep interval DEFAULT NULL, keep_versions interval DEFAULT NULL,
	 keep_decisions interval DEFAULT NULL, keep_problems interval DEFAULT NULL,
	 keep_limits interval DEFAULT NULL,
	 OUT table_name text, OUT older_than timestamptz, OUT rows bigint, OUT bytes bigint)
RETURNS SETOF record
LANGUAGE c ROWS 5
AS 'MODULE_PATHNAME', 'credit_purge_estimate';
COMMENT ON FUNCTION credit.purge_estimate(interval, interval, interval, interval, interval) IS
'Dry run of purge(): how many rows it would delete now and how many bytes they take in the table, indexes not counted. Deletes nothing. older_than NULL: kept for ever.';

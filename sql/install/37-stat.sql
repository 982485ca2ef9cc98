/*
 * Subject stat: what the extension does, who waits for whom, and how far long
 * commands are.  All of it stands in shared memory and none in a table: it
 * costs no row, survives no restart, and is no part of a dump.
 *
 * The functions read; the views add the words.  Functions that read are STABLE
 * like those of pg_stat_activity, which lets grant_analyst() find them.
 */
CREATE FUNCTION credit.stat_is_on() RETURNS boolean
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'credit_stat_is_on';
COMMENT ON FUNCTION credit.stat_is_on() IS
'Does the server have shared memory for statistics, waits and progress? Where not, orders go on, and these views are empty.';

CREATE FUNCTION credit.stat_rows
	(OUT source_id integer, OUT stats_reset timestamptz,
	 OUT statements bigint, OUT captured bigint, OUT documents bigint, OUT checks bigint,
	 OUT warnings bigint, OUT shadows bigint, OUT bypasses bigint,
	 OUT waits bigint, OUT wait_us bigint, OUT longest_wait_us bigint, OUT work_us bigint,
	 OUT refused_wait bigint, OUT refused_blocked bigint, OUT refused_limit bigint,
	 OUT refused_missing_rate bigint, OUT refused_not_set bigint)
RETURNS SETOF record
LANGUAGE c STABLE STRICT ROWS 10
AS 'MODULE_PATHNAME', 'credit_stat_rows';
COMMENT ON FUNCTION credit.stat_rows() IS
'Counters by source of this database; source_id 0: of all sources, of any database, for which there was no place. Read view stat.';

CREATE FUNCTION credit.stat_reset() RETURNS void
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'credit_stat_reset';
COMMENT ON FUNCTION credit.stat_reset() IS
'Sets the counters of view stat to 0, for all sources of this database. Not undone by a rollback.';

CREATE FUNCTION credit.stat_forget(source_id integer) RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'credit_stat_forget';
COMMENT ON FUNCTION credit.stat_forget(integer) IS
'Gives the place of a source in the statistics free, for detach(); NULL: of every source of this database.';

/* what an extension of this name has counted here before */
SELECT credit.stat_forget(NULL);

CREATE VIEW credit.stat AS
SELECT COALESCE(s.name, '(others)') AS source, s.relation, s.kind,
	   COALESCE(r.statements, 0) AS statements,
	   COALESCE(r.captured, 0) AS rows_captured,
	   COALESCE(r.documents, 0) AS documents_changed,
	   COALESCE(r.checks, 0) AS checks,
	   COALESCE(r.refused_limit + r.refused_blocked + r.refused_missing_rate + r.refused_not_set + r.refused_wait, 0) AS refusals,
	   COALESCE(r.refused_limit, 0) AS refused_limit,
	   COALESCE(r.refused_blocked, 0) AS refused_blocked,
	   COALESCE(r.refused_missing_rate, 0) AS refused_missing_rate,
	   COALESCE(r.refused_not_set, 0) AS refused_not_set,
	   COALESCE(r.refused_wait, 0) AS refused_wait,
	   COALESCE(r.warnings, 0) AS warnings,
	   COALESCE(r.shadows, 0) AS shadow_decisions,
	   COALESCE(r.bypasses, 0) AS bypasses,
	   COALESCE(r.waits, 0) AS waits,
	   COALESCE(r.wait_us, 0) / 1000.0::double precision AS wait_ms,
	   COALESCE(r.longest_wait_us, 0) / 1000.0::double precision AS longest_wait_ms,
	   COALESCE(r.work_us, 0) / 1000.0::double precision AS work_ms,
	   r.stats_reset
  FROM credit.source s
  FULL JOIN credit.stat_rows() r ON r.source_id = s.source_id
 WHERE (s.source_id IS NOT NULL AND credit.stat_is_on()) OR r.source_id = 0;
COMMENT ON VIEW credit.stat IS
'What the extension has done, by source, since the server started, or since stats_reset. Counted whether the transaction committed or not. Empty without shared memory (status() says so).';
COMMENT ON COLUMN credit.stat.source IS 'Name of the source; (others): sources, of any database of the server, beyond those that have a place of their own.';
COMMENT ON COLUMN credit.stat.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.stat.kind IS 'customer, order or payment.';
COMMENT ON COLUMN credit.stat.statements IS 'Statements that had at least one row for the ledger.';
COMMENT ON COLUMN credit.stat.rows_captured IS 'Rows of those statements that were read through the mapping.';
COMMENT ON COLUMN credit.stat.documents_changed IS 'Documents that became different in the ledger; customers are not counted here.';
COMMENT ON COLUMN credit.stat.checks IS 'Checks of an increase: one per statement and account.';
COMMENT ON COLUMN credit.stat.refusals IS 'Statements refused: the sum of the following five.';
COMMENT ON COLUMN credit.stat.refused_limit IS 'Refused by rule limit.';
COMMENT ON COLUMN credit.stat.refused_blocked IS 'Refused by rule blocked.';
COMMENT ON COLUMN credit.stat.refused_missing_rate IS 'Refused by rule missing_rate.';
COMMENT ON COLUMN credit.stat.refused_not_set IS 'Refused by rule not_set.';
COMMENT ON COLUMN credit.stat.refused_wait IS 'Refused because the transaction of somebody else did not end within max_wait, or at once with setting wait = refuse.';
COMMENT ON COLUMN credit.stat.warnings IS 'Checks that broke a rule and passed with a warning.';
COMMENT ON COLUMN credit.stat.shadow_decisions IS 'Checks that broke a rule and passed in silence.';
COMMENT ON COLUMN credit.stat.bypasses IS 'Checks that broke a rule and passed because of setting bypass_role, or because replication wrote the rows.';
COMMENT ON COLUMN credit.stat.waits IS 'Waits for a transaction of somebody else that have ended, in whatever way.';
COMMENT ON COLUMN credit.stat.wait_ms IS 'Time spent in those waits, in ms.';
COMMENT ON COLUMN credit.stat.longest_wait_ms IS 'The longest of them, in ms.';
COMMENT ON COLUMN credit.stat.work_ms IS 'Time from the end of the statement''s own work to the end of check and posting, waits not included, in ms. Where a statement has rows of several sources it counts for one of them.';
COMMENT ON COLUMN credit.stat.stats_reset IS 'Counted from then on; NULL: nothing was counted yet.';

CREATE FUNCTION credit.wait_rows
	(OUT pid integer, OUT source_id integer, OUT waits_for text, OUT customer text,
	 OUT document text, OUT since timestamptz, OUT until timestamptz,
	 OUT transaction xid, OUT holder_pid integer, OUT is_short boolean)
RETURNS SETOF record
LANGUAGE c STABLE STRICT ROWS 5
AS 'MODULE_PATHNAME', 'credit_wait_rows';
COMMENT ON FUNCTION credit.wait_rows() IS
'Sessions of this database that wait for somebody right now. Read view waits.';

CREATE VIEW credit.waits AS
SELECT w.pid, a.usename AS role, a.application_name, s.name AS source, s.relation,
	   w.customer, w.document, w.waits_for, w.since,
	   pg_catalog.clock_timestamp() - w.since AS waited, w.until, w.transaction,
	   h.pid AS holder_pid, COALESCE(h.usename, p.owner) AS holder_role,
	   h.application_name AS holder_application, h.state AS holder_state,
	   COALESCE(h.xact_start, p.prepared) AS holder_since,
	   h.query AS holder_query, p.gid AS holder_prepared,
	   CASE WHEN p.gid IS NOT NULL THEN
				pg_catalog.format('COMMIT PREPARED %L or ROLLBACK PREPARED %L.', p.gid, p.gid)
			WHEN w.waits_for = 'the short lock' THEN
				'None is needed: short locks are held for microseconds. If they pile up, the machine is short of processors or storage is slow.'
			WHEN h.pid IS NULL THEN
				'None is needed: that transaction has just ended.'
			WHEN h.pid IN (SELECT x.pid FROM credit.wait_rows() x) THEN
				'It waits itself: see its own row.'
			WHEN h.state LIKE 'idle in transaction%' THEN
				pg_catalog.format('It does nothing: have it commit or roll back, or SELECT pg_terminate_backend(%s).', h.pid)
			WHEN h.wait_event_type = 'Lock' THEN
				pg_catalog.format('It waits for a lock of the ERP: SELECT pg_blocking_pids(%s).', h.pid)
			ELSE pg_catalog.format('Let it finish, or SELECT pg_cancel_backend(%s).', h.pid)
	   END AS way_out
  FROM credit.wait_rows() w
  LEFT JOIN credit.source s ON s.source_id = w.source_id
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
  LEFT JOIN pg_catalog.pg_stat_activity h
	ON h.pid = CASE WHEN w.is_short THEN (pg_catalog.pg_blocking_pids(w.pid))[1] ELSE w.holder_pid END
  LEFT JOIN pg_catalog.pg_prepared_xacts p
	ON p.transaction = w.transaction AND w.holder_pid IS NULL;
COMMENT ON VIEW credit.waits IS
'Who waits for whom in check and posting, right now. What a reader may see of the holder is what pg_stat_activity shows that reader.';
COMMENT ON COLUMN credit.waits.pid IS 'Process that waits.';
COMMENT ON COLUMN credit.waits.role IS 'Its role.';
COMMENT ON COLUMN credit.waits.application_name IS 'Its application.';
COMMENT ON COLUMN credit.waits.source IS 'Source whose document it writes; NULL: a limit or an account is what it writes.';
COMMENT ON COLUMN credit.waits.relation IS 'Table of the source.';
COMMENT ON COLUMN credit.waits.customer IS 'Customer it is about; NULL: not known.';
COMMENT ON COLUMN credit.waits.document IS 'Document it is about; NULL: several, or none.';
COMMENT ON COLUMN credit.waits.waits_for IS 'What it waits for: room under the limit, a limit that is being changed, a document, a limit, an account, the short lock, or a row of the ERP that several documents of a view share.';
COMMENT ON COLUMN credit.waits.since IS 'When the wait began.';
COMMENT ON COLUMN credit.waits.waited IS 'How long that is.';
COMMENT ON COLUMN credit.waits.until IS 'When it ends at the latest (setting max_wait, or the lock_timeout of the role); NULL: when the holder ends.';
COMMENT ON COLUMN credit.waits.transaction IS 'Transaction waited for; NULL with the short lock.';
COMMENT ON COLUMN credit.waits.holder_pid IS 'Process of that transaction; NULL: it is prepared.';
COMMENT ON COLUMN credit.waits.holder_role IS 'Role of the process, or owner of the prepared transaction.';
COMMENT ON COLUMN credit.waits.holder_application IS 'Application of the process.';
COMMENT ON COLUMN credit.waits.holder_state IS 'State of the process, as in pg_stat_activity.';
COMMENT ON COLUMN credit.waits.holder_since IS 'When its transaction began, or was prepared.';
COMMENT ON COLUMN credit.waits.holder_query IS 'Its query, the last one if it is idle.';
COMMENT ON COLUMN credit.waits.holder_prepared IS 'Identifier of the prepared transaction; NULL: it is not prepared.';
COMMENT ON COLUMN credit.waits.way_out IS 'What ends the wait.';

CREATE FUNCTION credit.progress_begin(command text, source text) RETURNS void
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'credit_progress_begin';
COMMENT ON FUNCTION credit.progress_begin(text, text) IS
'Begins to show the progress of a long command of this extension in view progress.';

CREATE FUNCTION credit.progress_phase(phase text, total bigint) RETURNS void
LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'credit_progress_phase';
COMMENT ON FUNCTION credit.progress_phase(text, bigint) IS
'The next phase of such a command, with the number of rows it will have; NULL: not known.';

CREATE FUNCTION credit.progress_row(value text, phase text, total bigint) RETURNS text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'credit_progress_row';
COMMENT ON FUNCTION credit.progress_row(text, text, bigint) IS
'Its first argument; counts one row of a phase, which begins with the first. For the SELECT list of a long statement.';

CREATE FUNCTION credit.progress_row(value bigint, phase text, total bigint) RETURNS bigint
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'credit_progress_row';
COMMENT ON FUNCTION credit.progress_row(bigint, text, bigint) IS
'The same for a number.';

CREATE FUNCTION credit.progress_end() RETURNS void
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'credit_progress_end';
COMMENT ON FUNCTION credit.progress_end() IS
'Ends what progress_begin() began. The end of the transaction does so too.';

/* How many rows a table has, by its statistics; NULL: it has none. */
CREATE FUNCTION credit.estimated_rows(relation regclass) RETURNS bigint
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
SELECT NULLIF(sum(GREATEST(c.reltuples, 0)), 0)::bigint
  FROM pg_class c
 WHERE c.oid IN (SELECT relation UNION ALL SELECT t.relid FROM pg_partition_tree(relation) t)
$$;
COMMENT ON FUNCTION credit.estimated_rows(regclass) IS
'About how many rows a table and its partitions have; NULL: it was never analysed or vacuumed.';

CREATE FUNCTION credit.progress_rows
	(OUT pid integer, OUT command text, OUT source text, OUT phase text, OUT done bigint,
	 OUT total bigint, OUT since timestamptz, OUT phase_since timestamptz)
RETURNS SETOF record
LANGUAGE c STABLE STRICT ROWS 2
AS 'MODULE_PATHNAME', 'credit_progress_rows';
COMMENT ON FUNCTION credit.progress_rows() IS
'Long commands of the extension at work in this database. Read view progress.';

CREATE VIEW credit.progress AS
SELECT p.pid, p.command, NULLIF(p.source, '') AS source, p.phase, p.done, p.total, p.since, p.phase_since
  FROM credit.progress_rows() p;
COMMENT ON VIEW credit.progress IS 'How far the long commands of the extension are that run right now.';
COMMENT ON COLUMN credit.progress.pid IS 'Process that runs it.';
COMMENT ON COLUMN credit.progress.command IS 'Name of the command: attach, depend, detach, purge or repair.';
COMMENT ON COLUMN credit.progress.source IS 'Table or source it is about; NULL: none, as for a purge.';
COMMENT ON COLUMN credit.progress.phase IS 'What it is doing, in words.';
COMMENT ON COLUMN credit.progress.done IS 'Rows of this phase so far.';
COMMENT ON COLUMN credit.progress.total IS 'Rows of this phase in all, estimated; NULL: not known.';
COMMENT ON COLUMN credit.progress.since IS 'When the command began.';
COMMENT ON COLUMN credit.progress.phase_since IS 'When the phase began.';

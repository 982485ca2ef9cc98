\echo Use "ALTER EXTENSION credit UPDATE" to load this file. \quit
/*
 * From 0.1.0 to 0.2.0, while orders arrive: nothing here takes a lock that an
 * order waits for. A storage parameter takes SHARE UPDATE EXCLUSIVE, which
 * VACUUM and ANALYZE wait for; the rest touches no table.
 *
 * Rights are revoked from PUBLIC object by object, at the end. REVOKE ... ON ALL
 * ROUTINES would also make grants that the DBA has given on older objects part
 * of the extension (pg_init_privs), and a dump would then leave them out.
 */

/* Subject maintenance */
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

/*
 * Storage parameters, by what is done to each table; doc/maintenance.md has
 * the measurements.
 *
 * Insert-only: vacuumed every so many new rows, whatever the size, and frozen
 * at once, so that the vacuum against wraparound finds all pages frozen.  A
 * purge or aborted transactions are noticed at one per cent.
 */
ALTER TABLE credit.journal SET
	(autovacuum_vacuum_insert_threshold = 200000, autovacuum_vacuum_insert_scale_factor = 0,
	 autovacuum_freeze_min_age = 0, autovacuum_vacuum_scale_factor = 0.01,
	 autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE credit.item_version SET
	(autovacuum_vacuum_insert_threshold = 200000, autovacuum_vacuum_insert_scale_factor = 0,
	 autovacuum_freeze_min_age = 0, autovacuum_vacuum_scale_factor = 0.01,
	 vacuum_truncate = off);
ALTER TABLE credit.decision_log SET
	(autovacuum_vacuum_insert_threshold = 200000, autovacuum_vacuum_insert_scale_factor = 0,
	 autovacuum_freeze_min_age = 0, vacuum_truncate = off);
ALTER TABLE credit.limit_change SET
	(autovacuum_vacuum_insert_threshold = 200000, autovacuum_vacuum_insert_scale_factor = 0,
	 autovacuum_freeze_min_age = 0, vacuum_truncate = off);
/* Inserted, and changed or deleted some time later. */
ALTER TABLE credit.item SET
	(autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 200000,
	 autovacuum_vacuum_insert_scale_factor = 0, autovacuum_analyze_scale_factor = 0.02,
	 vacuum_truncate = off);
/* One row an account, which changes again and again in its place. */
ALTER TABLE credit.account_limit SET
	(autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02,
	 vacuum_truncate = off);

CREATE VIEW credit.storage AS
SELECT c.relname::text AS table_name,
	   s.n_live_tup AS rows,
	   s.n_dead_tup AS dead_rows,
	   pg_catalog.pg_table_size(c.oid) AS table_bytes,
	   pg_catalog.pg_indexes_size(c.oid) AS index_bytes,
	   pg_catalog.pg_total_relation_size(c.oid) AS total_bytes,
	   CASE WHEN c.relpages > 0
			THEN round((c.relallvisible::float8 / c.relpages)::numeric, 2) END AS all_visible,
	   pg_catalog.age(c.relfrozenxid) AS frozen_age,
	   s.last_vacuum,
	   s.last_autovacuum,
	   s.last_analyze,
	   s.last_autoanalyze
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
 WHERE n.nspname = 'credit' AND c.relkind = 'r'
 ORDER BY total_bytes DESC, table_name;
COMMENT ON VIEW credit.storage IS 'Tables of the extension with their size and when they were vacuumed; largest first.';
COMMENT ON COLUMN credit.storage.table_name IS 'Table of schema credit.';
COMMENT ON COLUMN credit.storage.rows IS 'Rows, as the statistics of the server have it.';
COMMENT ON COLUMN credit.storage.dead_rows IS 'Rows that are gone and not vacuumed yet, as the statistics of the server have it.';
COMMENT ON COLUMN credit.storage.table_bytes IS 'Bytes of the table without its indexes.';
COMMENT ON COLUMN credit.storage.index_bytes IS 'Bytes of its indexes.';
COMMENT ON COLUMN credit.storage.total_bytes IS 'Both together.';
COMMENT ON COLUMN credit.storage.all_visible IS 'Share of its pages that the last vacuum found without anything to do; NULL: never vacuumed.';
COMMENT ON COLUMN credit.storage.frozen_age IS 'Transactions since it was frozen; autovacuum_freeze_max_age forces a vacuum.';
COMMENT ON COLUMN credit.storage.last_vacuum IS 'Last VACUUM by hand or by a job.';
COMMENT ON COLUMN credit.storage.last_autovacuum IS 'Last vacuum by autovacuum.';
COMMENT ON COLUMN credit.storage.last_analyze IS 'Last ANALYZE by hand or by a job.';
COMMENT ON COLUMN credit.storage.last_autoanalyze IS 'Last analyze by autovacuum.';

CREATE FUNCTION credit.report_status() RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	f record;
	n bigint := 0;
BEGIN
	FOR f IN SELECT * FROM credit.status() s WHERE s.severity IN ('error', 'warning') LOOP
		n := n + 1;
		RAISE WARNING 'credit %: %: %', f.severity, f.subject, f.finding
			USING HINT = f.advice;
	END LOOP;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.report_status() IS
'Raises a WARNING for each error and warning of status(), so that they are in the log of the server; returns how many.';

/* Each step is a statement of its own: purge() commits. */
CREATE PROCEDURE credit.daily()
LANGUAGE plpgsql
AS $$
BEGIN
	CALL credit.purge();
	PERFORM credit.report_status();
END
$$;
COMMENT ON PROCEDURE credit.daily() IS
'All that should be done once a day: purges what settings keep_... give free, and puts what status() finds into the log of the server. Call it from any scheduler; schedule() makes a job for pg_cron.';

/* What the jobs are called and do. */
CREATE FUNCTION credit.job_catalog
	(daily text, vacuum text, OUT job text, OUT schedule text, OUT command text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT q.job, q.schedule, q.command
  FROM (VALUES
		('credit daily', daily, 'CALL credit.daily()'),
		('credit vacuum', vacuum,
		 'VACUUM (SKIP_LOCKED, ANALYZE) credit.journal, credit.item, credit.item_version, credit.account, credit.account_limit, credit.limit_change, credit.decision_log')
	   ) q (job, schedule, command)
$$;
COMMENT ON FUNCTION credit.job_catalog(text, text) IS
'The jobs that schedule() makes, at the times given.';

/* Why pg_cron cannot be asked from here, and the way out; no row: it can. */
CREATE FUNCTION credit.cron_problem
	(daily text, vacuum text, OUT problem text, OUT hint text)
RETURNS SETOF record
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	home text := current_setting('cron.database_name', true);
BEGIN
	IF NOT EXISTS (SELECT FROM pg_available_extensions x WHERE x.name = 'pg_cron') THEN
		problem := 'pg_cron is not installed on this server';
		hint := 'Install its package (Debian: postgresql-NN-cron), put it into shared_preload_libraries and restart; or run CALL credit.daily() from another scheduler.';
	ELSIF home IS NULL THEN
		problem := 'pg_cron is installed, but not loaded';
		hint := format('Put pg_cron into shared_preload_libraries, set cron.database_name = %L, and restart the server; then CREATE EXTENSION pg_cron.', current_database());
	ELSIF home <> current_database() THEN
		problem := format('pg_cron lives in database "%s"', home);
		hint := format('Run there: %s', (SELECT string_agg(format('SELECT cron.schedule_in_database(%L, %L, %L, %L);',
				j.job || ' ' || current_database(), j.schedule, j.command, current_database()), ' ')
				FROM credit.job_catalog(daily, vacuum) j WHERE j.schedule IS NOT NULL));
	ELSIF NOT EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'pg_cron') THEN
		problem := 'extension pg_cron does not exist in this database';
		hint := 'CREATE EXTENSION pg_cron.';
	ELSE
		RETURN;
	END IF;
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION credit.cron_problem(text, text) IS
'Why schedule() cannot use pg_cron, and what to do; no row: it can.';

CREATE FUNCTION credit.unschedule() RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	j record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'pg_cron') THEN
		RETURN;
	END IF;
	FOR j IN EXECUTE
		'SELECT c.jobid, c.jobname::text AS job FROM cron.job c
		  WHERE c.jobname::text IN (SELECT k.job FROM credit.job_catalog(NULL, NULL) k)
			AND c.database = current_database() ORDER BY c.jobname'
	LOOP
		EXECUTE 'SELECT cron.unschedule($1)' USING j.jobid;
		RETURN NEXT j.job;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.unschedule() IS
'Removes the jobs that schedule() made in this database; returns their names. DROP EXTENSION leaves jobs where they are, so call it before.';

CREATE FUNCTION credit.schedule
	(daily text DEFAULT '15 3 * * *', vacuum text DEFAULT '45 3 * * *',
	 OUT job text, OUT schedule text, OUT time_zone text, OUT command text,
	 OUT database text, OUT role text)
RETURNS SETOF record
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p record;
BEGIN
	SELECT * INTO p FROM credit.cron_problem(daily, vacuum);
	IF FOUND THEN
		RAISE EXCEPTION 'jobs cannot be scheduled: %', p.problem
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = p.hint;
	END IF;
	PERFORM credit.unschedule();
	FOR job, schedule, command IN
		SELECT j.job, j.schedule, j.command FROM credit.job_catalog(daily, vacuum) j
		 WHERE j.schedule IS NOT NULL
	LOOP
		EXECUTE 'SELECT cron.schedule($1, $2, $3)' USING job, schedule, command;
		time_zone := COALESCE(current_setting('cron.timezone', true), 'GMT');
		database := current_database();
		role := current_user;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.schedule(text, text) IS
'Makes the jobs of pg_cron that keep the ledger in order, and returns them: daily() and a VACUUM, at the times given in the words of cron, in the zone of pg_cron (time_zone). NULL: without that job. Jobs that an earlier call made are replaced. They run as the role that calls this.';

/* Subject status */
CREATE OR REPLACE FUNCTION credit.status
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

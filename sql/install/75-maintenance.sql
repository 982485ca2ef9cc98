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
ALTER TABLE credit.settlement SET
	(autovacuum_vacuum_insert_threshold = 200000, autovacuum_vacuum_insert_scale_factor = 0,
	 autovacuum_freeze_min_age = 0, vacuum_truncate = off);
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
	CALL credit.recount();
	PERFORM credit.fold_months();
END
$$;
COMMENT ON PROCEDURE credit.daily() IS
'All that should be done once a day: purges what settings keep_... give free, puts what status() finds into the log of the server, takes in documents that are dated for today, and works out payment states of months that bear a mark. Call it from any scheduler; schedule() makes a job for pg_cron.';

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
		 'VACUUM (SKIP_LOCKED, ANALYZE) credit.journal, credit.item, credit.item_version, credit.settlement, credit.account, credit.account_limit, credit.limit_change, credit.decision_log')
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

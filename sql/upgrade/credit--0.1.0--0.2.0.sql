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
COMMENT ON COLUMN credit.stat.bypasses IS 'Checks that broke a rule and passed because of setting bypass_role.';
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
			WHEN w.is_short THEN
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
COMMENT ON COLUMN credit.waits.waits_for IS 'What it waits for: room under the limit, a limit that is being changed, a document, a limit, an account, or the short lock.';
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
COMMENT ON COLUMN credit.progress.command IS 'Name of the command: attach, detach or purge.';
COMMENT ON COLUMN credit.progress.source IS 'Table or source it is about; NULL: none, as for a purge.';
COMMENT ON COLUMN credit.progress.phase IS 'What it is doing, in words.';
COMMENT ON COLUMN credit.progress.done IS 'Rows of this phase so far.';
COMMENT ON COLUMN credit.progress.total IS 'Rows of this phase in all, estimated; NULL: not known.';
COMMENT ON COLUMN credit.progress.since IS 'When the command began.';
COMMENT ON COLUMN credit.progress.phase_since IS 'When the phase began.';
/* Refuses data that the ledger cannot hold, with figures. */
CREATE OR REPLACE FUNCTION credit.check_rows(relation regclass, kind text, fields jsonb) RETURNS text[]
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
	counted text := format('SELECT x.*, credit.progress_row(x.key, $1, $2) AS counted_key FROM (%s) x', query);
	estimated bigint := credit.estimated_rows(relation);
	problems text[] := '{}';
	n bigint;
	example text;
	amount text := CASE kind WHEN 'customer' THEN 'credit_limit' ELSE 'amount' END;
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	EXECUTE format('SELECT count(*) FROM (%s) q WHERE q.counted_key IS NULL', counted)
	   INTO n USING 'checking that every row has a key', estimated;
	IF n > 0 THEN
		problems := problems || format('key: is NULL in %s rows.', n);
	END IF;
	EXECUTE format('SELECT count(*), min(q.key) FROM (SELECT q.counted_key AS key FROM (%s) q GROUP BY q.counted_key%s HAVING count(*) > 1) q',
				   counted, CASE kind WHEN 'customer' THEN ', q.segment' ELSE '' END)
	   INTO n, example USING 'checking that keys are unique', estimated;
	IF n > 0 THEN
		problems := problems || format('key: %s values stand in more than one row, for example %L. Choose a key that is unique, or (a, b).', n, example);
	END IF;
	EXECUTE format('SELECT count(*) FILTER (WHERE q.is_odd), min(q.counted_key) FILTER (WHERE q.is_odd)
					  FROM (SELECT q.counted_key, q.%2$I IN (''NaN'', ''Infinity'', ''-Infinity'') %3$s AS is_odd FROM (%1$s) q) q',
				   counted, amount, CASE kind WHEN 'customer' THEN 'OR q.credit_limit < 0' ELSE '' END)
	   INTO n, example USING 'checking the amounts', estimated;
	IF n > 0 THEN
		problems := problems || format('%s: is NaN, infinite%s in %s rows, for example in %L.', amount,
			CASE kind WHEN 'customer' THEN ' or negative' ELSE '' END, n, example);
	END IF;
	RETURN problems;
EXCEPTION WHEN data_exception THEN
	RETURN problems || format('A row cannot be read: %s.', SQLERRM);
END
$$;

/* Takes the documents that are there into the ledger: never refuses any. */
CREATE OR REPLACE FUNCTION credit.backfill_documents(relation regclass, source_id integer, kind text, fields jsonb) RETURNS bigint
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
	query text := credit.mapping_query(relation, kind, fields);
	counted text := format('SELECT x.*, credit.progress_row(x.customer, $1, $2) AS counted_customer FROM (%s) x', query);
	estimated bigint := credit.estimated_rows(relation);
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	EXECUTE format($q$
		INSERT INTO credit.account (customer, segment)
		SELECT DISTINCT q.counted_customer, COALESCE(q.segment, '') FROM (%s) q
		 WHERE q.customer IS NOT NULL AND q.amount IS NOT NULL
		   AND NOT EXISTS (SELECT FROM credit.account a
							WHERE a.customer = q.customer AND a.segment = COALESCE(q.segment, ''))
		ON CONFLICT (customer, segment) DO NOTHING$q$, counted)
		USING 'creating accounts', estimated;
	EXECUTE format($q$
		INSERT INTO credit.account_limit (account_id, currency)
		SELECT a.account_id, min(COALESCE(q.currency, %L)) FROM (%s) q
		  JOIN credit.account a ON a.customer = q.counted_customer AND a.segment = COALESCE(q.segment, '')
		 WHERE q.amount IS NOT NULL
		   AND NOT EXISTS (SELECT FROM credit.account_limit l WHERE l.account_id = a.account_id)
		 GROUP BY a.account_id
		ON CONFLICT (account_id) DO NOTHING$q$, base_currency, counted)
		USING 'creating limits', estimated;
	EXECUTE format($q$
		WITH document AS MATERIALIZED
			(SELECT q.*, credit.progress_row(a.account_id, 'reading documents', $1) AS account_id,
					COALESCE(q.currency, %1$L) COLLATE "C" AS item_currency,
					ARRAY_REMOVE(%2$s, NULL) AS stages
			   FROM (%3$s) q
			   JOIN credit.account a ON a.customer = q.customer AND a.segment = COALESCE(q.segment, '')
			  WHERE q.amount IS NOT NULL),
		posted AS MATERIALIZED
			(SELECT s.account_id, s.item_currency, credit.adjust
					(credit.progress_row(s.account_id, 'posting to the journal', NULL), s.item_currency, s.stages, %4$s) AS seq
			   FROM (SELECT d.account_id, d.item_currency, %5$s AS stages
					   FROM document d GROUP BY d.account_id, d.item_currency
					  ORDER BY d.account_id, d.item_currency) s)
		INSERT INTO credit.item (source_id, key, account_id, currency, amount, stages,
								 document_date, due_date, posting_date, origin, number,
								 is_disputed, recorded_at, seq)
		SELECT %4$s, credit.progress_row(d.key, 'writing documents', $1), d.account_id, d.item_currency, d.amount, d.stages,
			   d.document_date, d.due_date, d.posting_date, d.%6$I, d.number,
			   d.is_disputed, clock_timestamp(), p.seq
		  FROM document d
		  JOIN posted p ON p.account_id = d.account_id AND p.item_currency = d.item_currency$q$,
		base_currency,
		CASE kind WHEN 'payment'
			 THEN 'CASE WHEN q.amount = 0 THEN ''{}''::numeric[] ELSE ARRAY[0, 0, 0, -q.amount] END'
			 ELSE 'CASE WHEN q.amount = 0 THEN ''{}''::numeric[] ELSE ARRAY[q.amount] END' END,
		query,
		source_id,
		CASE kind WHEN 'payment' THEN 'ARRAY[0, 0, 0, -sum(d.amount)]' ELSE 'ARRAY[sum(d.amount)]' END,
		CASE kind WHEN 'payment' THEN 'applies_to' ELSE 'origin' END)
		USING estimated;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;

CREATE OR REPLACE FUNCTION credit.backfill_customers(relation regclass, source_id integer, fields jsonb) RETURNS bigint
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
	EXECUTE format('SELECT count(credit.apply_customer(%L, %s, credit.progress_row(q.key, ''writing accounts'', $1), q.segment, q.name, q.currency, q.credit_limit, q.parent, q.status, q.terms_days, q.rating)) FROM (%s) q',
				   relation, source_id, credit.mapping_query(relation, 'customer', fields))
	   INTO n USING credit.estimated_rows(relation);
	RETURN n;
END
$$;

/* Says what the DBA should look at after an attach. */
CREATE OR REPLACE FUNCTION credit.attach_report(source_name text, source_kind text, rows bigint) RETURNS void
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
		/* not by EXISTS: these tables were never analysed, and it would scan items for each account */
		SELECT count(*) INTO n
		  FROM (SELECT DISTINCT i.account_id FROM credit.item i WHERE i.source_id = s.source_id) i
		  JOIN credit.account a ON a.account_id = i.account_id
		 WHERE a.source_id IS NULL;
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

CREATE OR REPLACE FUNCTION credit.attach_mapping
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
		PERFORM credit.progress_begin('attach', relation::text);
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(relation, lock_timeout);
	END IF;
	IF cardinality(problems) = 0 THEN
		PERFORM credit.progress_phase('checking the rows', credit.estimated_rows(relation));
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
	PERFORM credit.progress_phase('creating the triggers', NULL);
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
	PERFORM credit.progress_phase('looking at the result', NULL);
	PERFORM credit.attach_report(source_name, kind, n);
	PERFORM credit.progress_end();
	RETURN source_name;
END
$$;

CREATE OR REPLACE FUNCTION credit.detach(source text, lock_timeout text DEFAULT '5s') RETURNS bigint
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
	PERFORM credit.progress_begin('detach', s.name);
	IF is_there THEN
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(s.relation, lock_timeout);
	END IF;
	SELECT CASE s.kind WHEN 'customer' THEN (SELECT count(*) FROM credit.account a WHERE a.source_id = s.source_id)
					   ELSE (SELECT count(*) FROM credit.item i WHERE i.source_id = s.source_id) END INTO n;
	PERFORM credit.progress_phase('taking documents out of exposure', n);
	PERFORM credit.forget(s.relation, s.source_id, s.kind);
	PERFORM credit.maintain(true);
	DELETE FROM credit.source_problem p WHERE p.source_id = s.source_id;
	DELETE FROM credit.source x WHERE x.source_id = s.source_id;
	PERFORM credit.maintain(false);
	PERFORM credit.stat_forget(s.source_id);
	IF is_there AND NOT EXISTS (SELECT FROM credit.source x WHERE x.relation = s.relation) THEN
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_begin ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_row ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_end ON %s', s.relation);
		EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_truncate ON %s', s.relation);
	END IF;
	PERFORM credit.progress_end();
	RETURN n;
END
$$;

/*
 * Subject aging: open amounts by how long they are overdue.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/aging.c.
 */
CREATE TYPE credit.aging_buckets AS (
	current numeric,
	d1_30 numeric,
	d31_60 numeric,
	d61_90 numeric,
	d91_120 numeric,
	d121_plus numeric,
	undated numeric,
	credits numeric,
	total numeric,
	n_skipped bigint);
COMMENT ON TYPE credit.aging_buckets IS
'Open amounts by days past due, in the currency of the amounts. All columns but total and n_skipped add up to total; NULL where there was no amount at all.';
COMMENT ON COLUMN credit.aging_buckets.current IS 'Due on the as-of date or later.';
COMMENT ON COLUMN credit.aging_buckets.d1_30 IS '1 to 30 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d31_60 IS '31 to 60 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d61_90 IS '61 to 90 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d91_120 IS '91 to 120 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d121_plus IS 'More than 120 days past due.';
COMMENT ON COLUMN credit.aging_buckets.undated IS 'Without a due date or without an as-of date.';
COMMENT ON COLUMN credit.aging_buckets.credits IS 'Negative: all credits (credit mode separate), what the debts did not use up (oldest), or 0 (own).';
COMMENT ON COLUMN credit.aging_buckets.total IS 'The balance: the sum of all amounts, the same in every credit mode.';
COMMENT ON COLUMN credit.aging_buckets.n_skipped IS 'Number of rows left out because their amount is NULL.';
CREATE TYPE credit.aging_array AS (
	bounds integer[],
	buckets numeric[],
	undated numeric,
	credits numeric,
	total numeric,
	n_skipped bigint);
COMMENT ON TYPE credit.aging_array IS
'Open amounts by buckets with bounds of one''s own, in the currency of the amounts. Buckets, undated and credits add up to total.';
COMMENT ON COLUMN credit.aging_array.bounds IS 'Upper bounds in days of all buckets but the last. By document date the first is -1, the bound of what is dated after the as-of date.';
COMMENT ON COLUMN credit.aging_array.buckets IS 'Sum of each bucket, one more than there are bounds: element aging_bucket() + 1 is the bucket of a date.';
COMMENT ON COLUMN credit.aging_array.undated IS 'Without a date or without an as-of date.';
COMMENT ON COLUMN credit.aging_array.credits IS 'Negative: all credits (credit mode separate), what the debts did not use up (oldest), or 0 (own).';
COMMENT ON COLUMN credit.aging_array.total IS 'The balance: the sum of all amounts, the same in every credit mode.';
COMMENT ON COLUMN credit.aging_array.n_skipped IS 'Number of rows left out because their amount is NULL.';
CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date) IS 'Part of aggregate aging(): adds a row.';
CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date) IS 'Part of aggregate aging(): takes a row out of a moving window.';
CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_credits';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, text) IS 'Part of aggregate aging(): adds a row.';
CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, text) IS 'Part of aggregate aging(): takes a row out of a moving window.';
CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, bounds integer[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_bounds';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, integer[]) IS 'Part of aggregate aging(): adds a row.';
CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, bounds integer[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, integer[]) IS 'Part of aggregate aging(): takes a row out of a moving window.';
CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_bounds';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, integer[], text) IS 'Part of aggregate aging(): adds a row.';
CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, integer[], text) IS 'Part of aggregate aging(): takes a row out of a moving window.';
CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text, basis text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_bounds';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, integer[], text, text) IS 'Part of aggregate aging(): adds a row.';
CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text, basis text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, integer[], text, text) IS 'Part of aggregate aging(): takes a row out of a moving window.';
CREATE FUNCTION credit.aging_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_combine';
COMMENT ON FUNCTION credit.aging_combine(internal, internal) IS 'Part of aggregate aging(): adds what another process has added up.';
CREATE FUNCTION credit.aging_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_serialize';
COMMENT ON FUNCTION credit.aging_serialize(internal) IS 'Part of aggregate aging(): its state for another process.';
CREATE FUNCTION credit.aging_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_deserialize';
COMMENT ON FUNCTION credit.aging_deserialize(bytea, internal) IS 'Part of aggregate aging(): the state of another process.';
CREATE FUNCTION credit.aging_final(internal) RETURNS credit.aging_buckets
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_final';
COMMENT ON FUNCTION credit.aging_final(internal) IS 'Part of aggregate aging(): the result with the default buckets.';
CREATE FUNCTION credit.aging_array_final(internal) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_array_final';
COMMENT ON FUNCTION credit.aging_array_final(internal) IS 'Part of aggregate aging(): the result with other buckets.';
CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 144,
	FINALFUNC = credit.aging_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 144, MFINALFUNC = credit.aging_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date) IS
'Open amounts by days past due: current, 1-30, 31-60, 61-90, 91-120, over 120; credits in a column of their own. Use it per customer and currency.';
CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, credits text) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 144,
	FINALFUNC = credit.aging_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 144, MFINALFUNC = credit.aging_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, text) IS
'The same with a credit mode: separate (a column of their own), own (each credit in the bucket of its own date), oldest (taken off the oldest buckets of the group).';
CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, bounds integer[]) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 256, MFINALFUNC = credit.aging_array_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, integer[]) IS
'The same with buckets of one''s own: strictly ascending upper bounds in days past due, 0 among them.';
CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, bounds integer[], credits text) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 256, MFINALFUNC = credit.aging_array_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, integer[], text) IS
'The same with bounds and credit mode.';
CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, bounds integer[], credits text, basis text) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 256, MFINALFUNC = credit.aging_array_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, integer[], text, text) IS
'The same with bounds, credit mode and basis: due (days past due), or document: days since the document date, given in place of the due date, with documents of the future in a bucket in front.';
CREATE FUNCTION credit.aging_bucket
	(due_date date, as_of date, bounds integer[] DEFAULT '{0,30,60,90,120}',
	 basis text DEFAULT 'due')
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_bucket';
COMMENT ON FUNCTION credit.aging_bucket(date, date, integer[], text) IS
'Number of the bucket that aging() puts a date into, from 0; NULL: undated.';
/*
 * Subject behaviour: how customers pay.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/behaviour.c, src/profile.c.
 */
CREATE TYPE credit.payment_measures AS (
	n_paid bigint,
	n_open bigint,
	n_overdue bigint,
	n_credits bigint,
	n_future bigint,
	n_skipped bigint,
	paid_amount numeric,
	open_amount numeric,
	overdue_amount numeric,
	on_time_rate float8,
	on_time_rate_by_amount float8,
	mean_days_late float8,
	weighted_days_late float8,
	days_beyond_terms float8,
	open_days_beyond_terms float8,
	median_days_late float8,
	p90_days_late float8,
	weighted_p90_days_late integer,
	min_days_late integer,
	max_days_late integer,
	max_days_overdue integer,
	mean_days_to_pay float8,
	weighted_days_to_pay float8,
	weighted_terms float8,
	sd_days_late float8,
	mean_deviation float8,
	median_deviation float8,
	interquartile_range float8,
	sd_days_to_pay float8,
	cv_days_to_pay float8,
	trend_slope float8,
	trend_se float8,
	trend_t float8,
	trend_p float8,
	trend_r2 float8,
	is_worsening boolean,
	recent_days_late float8,
	recent_n float8,
	payment_index float8,
	first_invoice_date date,
	last_invoice_date date,
	first_paid_date date,
	last_paid_date date);
COMMENT ON TYPE credit.payment_measures IS
'How a customer pays. Days late count from the due date, days to pay from the invoice date. NULL where there is nothing to say; counts are 0 then.';
COMMENT ON COLUMN credit.payment_measures.n_paid IS 'Number of payments: rows with a paid date, on the as-of date or before.';
COMMENT ON COLUMN credit.payment_measures.n_open IS 'Number of open items: no paid date, or one after the as-of date.';
COMMENT ON COLUMN credit.payment_measures.n_overdue IS 'Of these, past due by more than the grace days; NULL where there are open items and no as-of date was given.';
COMMENT ON COLUMN credit.payment_measures.n_credits IS 'Number of rows left out because their amount is 0 or negative: credit notes are no payments.';
COMMENT ON COLUMN credit.payment_measures.n_future IS 'Number of rows left out because their invoice date is after the as-of date.';
COMMENT ON COLUMN credit.payment_measures.n_skipped IS 'Number of rows left out because the amount, the invoice date, the due date or the as-of date is NULL, or one of them but the as-of date is not finite.';
COMMENT ON COLUMN credit.payment_measures.paid_amount IS 'Sum of the payments, in the currency of the amounts.';
COMMENT ON COLUMN credit.payment_measures.open_amount IS 'Sum of the open items, in the currency of the amounts.';
COMMENT ON COLUMN credit.payment_measures.overdue_amount IS 'Sum of the open items past due by more than the grace days, in the currency of the amounts.';
COMMENT ON COLUMN credit.payment_measures.on_time_rate IS 'Share (0 to 1) of payments that were late by no more than the grace days, among payments and overdue open items.';
COMMENT ON COLUMN credit.payment_measures.on_time_rate_by_amount IS 'The same share of amounts.';
COMMENT ON COLUMN credit.payment_measures.mean_days_late IS 'Mean of days from due date to payment; early payments are negative.';
COMMENT ON COLUMN credit.payment_measures.weighted_days_late IS 'The same weighted by amount.';
COMMENT ON COLUMN credit.payment_measures.days_beyond_terms IS 'Days late weighted by amount, early payments counted as 0.';
COMMENT ON COLUMN credit.payment_measures.open_days_beyond_terms IS 'Days past due of open items weighted by amount, items not due counted as 0.';
COMMENT ON COLUMN credit.payment_measures.median_days_late IS 'Median of days late, interpolated as percentile_cont(0.5) does.';
COMMENT ON COLUMN credit.payment_measures.p90_days_late IS 'Ninetieth percentile of days late, interpolated as percentile_cont(0.9) does.';
COMMENT ON COLUMN credit.payment_measures.weighted_p90_days_late IS 'First number of days late by which 90 % of the paid amount have come.';
COMMENT ON COLUMN credit.payment_measures.min_days_late IS 'Earliest payment, in days late: negative if before the due date.';
COMMENT ON COLUMN credit.payment_measures.max_days_late IS 'Latest payment, in days late.';
COMMENT ON COLUMN credit.payment_measures.max_days_overdue IS 'Most days past due among overdue open items; NULL where there are none.';
COMMENT ON COLUMN credit.payment_measures.mean_days_to_pay IS 'Mean of days from invoice date to payment.';
COMMENT ON COLUMN credit.payment_measures.weighted_days_to_pay IS 'The same weighted by amount: terms and days late together.';
COMMENT ON COLUMN credit.payment_measures.weighted_terms IS 'Days from invoice date to due date of payments, weighted by amount.';
COMMENT ON COLUMN credit.payment_measures.sd_days_late IS 'Standard deviation of days late (sample); NULL for one payment.';
COMMENT ON COLUMN credit.payment_measures.mean_deviation IS 'Mean absolute deviation of days late from their mean.';
COMMENT ON COLUMN credit.payment_measures.median_deviation IS 'Median absolute deviation of days late from their median; times 1.4826 it compares to a standard deviation.';
COMMENT ON COLUMN credit.payment_measures.interquartile_range IS 'Days late between the first and the third quartile.';
COMMENT ON COLUMN credit.payment_measures.sd_days_to_pay IS 'Standard deviation of days from invoice to payment (sample).';
COMMENT ON COLUMN credit.payment_measures.cv_days_to_pay IS 'Coefficient of variation of days to pay: standard deviation by mean; NULL if the mean is not positive.';
COMMENT ON COLUMN credit.payment_measures.trend_slope IS 'By how many days payments get later in 30 days: least squares of days late over the day of payment; NULL below 3 payments or if all are on one day.';
COMMENT ON COLUMN credit.payment_measures.trend_se IS 'Standard error of the slope, for 30 days.';
COMMENT ON COLUMN credit.payment_measures.trend_t IS 'Slope by its standard error; NULL if all payments lie on the line.';
COMMENT ON COLUMN credit.payment_measures.trend_p IS 'Two-sided probability of such a slope without a trend (Student, n - 2 degrees of freedom).';
COMMENT ON COLUMN credit.payment_measures.trend_r2 IS 'Share (0 to 1) of the variance of days late that the trend explains; NULL if there is none.';
COMMENT ON COLUMN credit.payment_measures.is_worsening IS 'The slope is positive, p is below 0.05 and there are at least 6 payments.';
COMMENT ON COLUMN credit.payment_measures.recent_days_late IS 'Mean days late with weights that halve with every half-life (90 days) a payment is older.';
COMMENT ON COLUMN credit.payment_measures.recent_n IS 'Number of payments that this mean is worth: below 3 it says little.';
COMMENT ON COLUMN credit.payment_measures.payment_index IS 'Index of payment from 1 to 100, weighted by amount: 100 is 30 days early, 80 prompt, 70 is 15 days late, 50 is 30, 20 is 120; overdue open items count as they stand.';
COMMENT ON COLUMN credit.payment_measures.first_invoice_date IS 'Earliest invoice date among payments and open items.';
COMMENT ON COLUMN credit.payment_measures.last_invoice_date IS 'Latest invoice date among payments and open items.';
COMMENT ON COLUMN credit.payment_measures.first_paid_date IS 'Day of the first payment.';
COMMENT ON COLUMN credit.payment_measures.last_paid_date IS 'Day of the last payment.';
CREATE FUNCTION credit.payment_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_accum';
COMMENT ON FUNCTION credit.payment_accum(internal, numeric, date, date, date) IS 'Part of aggregate payment_profile(): adds a row.';
CREATE FUNCTION credit.payment_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_accum_as_of';
COMMENT ON FUNCTION credit.payment_accum(internal, numeric, date, date, date, date) IS 'Part of aggregate payment_profile(): adds a row.';
CREATE FUNCTION credit.payment_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date, grace_days integer, half_life integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_accum_options';
COMMENT ON FUNCTION credit.payment_accum(internal, numeric, date, date, date, date, integer, integer) IS 'Part of aggregate payment_profile(): adds a row.';
CREATE FUNCTION credit.payment_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_combine';
COMMENT ON FUNCTION credit.payment_combine(internal, internal) IS 'Part of aggregate payment_profile(): adds what another process has added up.';
CREATE FUNCTION credit.payment_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_serialize';
COMMENT ON FUNCTION credit.payment_serialize(internal) IS 'Part of aggregate payment_profile(): its state for another process.';
CREATE FUNCTION credit.payment_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_deserialize';
COMMENT ON FUNCTION credit.payment_deserialize(bytea, internal) IS 'Part of aggregate payment_profile(): the state of another process.';
CREATE FUNCTION credit.payment_final(internal) RETURNS credit.payment_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_final';
COMMENT ON FUNCTION credit.payment_final(internal) IS 'Part of aggregate payment_profile(): the result.';
CREATE AGGREGATE credit.payment_profile(amount numeric, invoice_date date, due_date date, paid_date date) (
	SFUNC = credit.payment_accum, STYPE = internal, SSPACE = 1024,
	FINALFUNC = credit.payment_final,
	COMBINEFUNC = credit.payment_combine,
	SERIALFUNC = credit.payment_serialize, DESERIALFUNC = credit.payment_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_profile(numeric, date, date, date) IS
'How a customer pays, from one row per settled or open invoice (or per application of cash): lateness, days to pay, stability, trend, index. A NULL paid date means open. Use it per customer and currency.';
CREATE AGGREGATE credit.payment_profile(amount numeric, invoice_date date, due_date date, paid_date date, as_of date) (
	SFUNC = credit.payment_accum, STYPE = internal, SSPACE = 1024,
	FINALFUNC = credit.payment_final,
	COMBINEFUNC = credit.payment_combine,
	SERIALFUNC = credit.payment_serialize, DESERIALFUNC = credit.payment_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_profile(numeric, date, date, date, date) IS
'The same as of a date: what is dated later is open or left out, and open items that are overdue count.';
CREATE AGGREGATE credit.payment_profile(amount numeric, invoice_date date, due_date date, paid_date date, as_of date, grace_days integer, half_life integer) (
	SFUNC = credit.payment_accum, STYPE = internal, SSPACE = 1024,
	FINALFUNC = credit.payment_final,
	COMBINEFUNC = credit.payment_combine,
	SERIALFUNC = credit.payment_serialize, DESERIALFUNC = credit.payment_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_profile(numeric, date, date, date, date, integer, integer) IS
'The same with grace days (default 0), by which a payment may be late and still be on time, and a half-life in days (default 90) for recent_days_late.';
CREATE TYPE credit.cycle_measures AS (
	n_payments bigint,
	n_days integer,
	n_skipped bigint,
	mean_interval float8,
	sd_interval float8,
	cv_interval float8,
	weekday_strength float8,
	weekday_p float8,
	mean_weekday float8,
	month_day_strength float8,
	month_day_p float8,
	mean_month_day float8,
	month_end_strength float8,
	month_end_p float8,
	mean_month_end float8,
	habit text,
	habit_day integer,
	period float8,
	period_strength float8,
	period_p float8,
	first_paid_date date,
	last_paid_date date);
COMMENT ON TYPE credit.cycle_measures IS
'Whether a customer pays in a rhythm: intervals, fixed weekday, fixed day of the month.';
COMMENT ON COLUMN credit.cycle_measures.n_payments IS 'Number of payments.';
COMMENT ON COLUMN credit.cycle_measures.n_days IS 'Number of days on which there was a payment: several on one day count once below.';
COMMENT ON COLUMN credit.cycle_measures.n_skipped IS 'Number of rows left out because the paid date is NULL or infinite.';
COMMENT ON COLUMN credit.cycle_measures.mean_interval IS 'Mean of days from one day of payment to the next; NULL, as all below, for less than 3 days of payment.';
COMMENT ON COLUMN credit.cycle_measures.sd_interval IS 'Standard deviation of these intervals (sample).';
COMMENT ON COLUMN credit.cycle_measures.cv_interval IS 'Standard deviation by mean of the intervals: near 0 is a fixed rhythm.';
COMMENT ON COLUMN credit.cycle_measures.weekday_strength IS 'How much payments keep to one weekday, from 0 to 1: mean resultant length of the weekdays as points on a circle.';
COMMENT ON COLUMN credit.cycle_measures.weekday_p IS 'Probability of such a strength without a habit (Rayleigh).';
COMMENT ON COLUMN credit.cycle_measures.mean_weekday IS 'Mean direction: 1 is Monday, 4.8 shortly before Friday.';
COMMENT ON COLUMN credit.cycle_measures.month_day_strength IS 'The same for the day of the month, as part of that month''s days.';
COMMENT ON COLUMN credit.cycle_measures.month_day_p IS 'Probability of such a strength without a habit (Rayleigh).';
COMMENT ON COLUMN credit.cycle_measures.mean_month_day IS 'Mean direction as a day of a mean month of 30.4375 days.';
COMMENT ON COLUMN credit.cycle_measures.month_end_strength IS 'The same for days to the end of the month.';
COMMENT ON COLUMN credit.cycle_measures.month_end_p IS 'Probability of such a strength without a habit (Rayleigh).';
COMMENT ON COLUMN credit.cycle_measures.mean_month_end IS 'Mean direction as a day counted from the end of the month: 1 is the last.';
COMMENT ON COLUMN credit.cycle_measures.habit IS 'Weekday, month_day or month_end: the strongest with at least 0.8, p below 0.05 and 6 days of payment; NULL: none.';
COMMENT ON COLUMN credit.cycle_measures.habit_day IS 'The day of the habit: weekday from 1 (Monday), day of the month, or day counted from its end (1 is the last).';
COMMENT ON COLUMN credit.cycle_measures.period IS 'Of 7, 14 and 30.4375 days the period that payments keep to most.';
COMMENT ON COLUMN credit.cycle_measures.period_strength IS 'How much they do, from 0 to 1.';
COMMENT ON COLUMN credit.cycle_measures.period_p IS 'Probability of such a strength without a period, times 3 for the number tried.';
COMMENT ON COLUMN credit.cycle_measures.first_paid_date IS 'First day of payment.';
COMMENT ON COLUMN credit.cycle_measures.last_paid_date IS 'Last day of payment.';
CREATE FUNCTION credit.cycle_accum(internal, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_accum';
COMMENT ON FUNCTION credit.cycle_accum(internal, date) IS 'Part of aggregate payment_cycle(): adds a row.';
CREATE FUNCTION credit.cycle_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_combine';
COMMENT ON FUNCTION credit.cycle_combine(internal, internal) IS 'Part of aggregate payment_cycle(): adds what another process has collected.';
CREATE FUNCTION credit.cycle_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_serialize';
COMMENT ON FUNCTION credit.cycle_serialize(internal) IS 'Part of aggregate payment_cycle(): its state for another process.';
CREATE FUNCTION credit.cycle_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_deserialize';
COMMENT ON FUNCTION credit.cycle_deserialize(bytea, internal) IS 'Part of aggregate payment_cycle(): the state of another process.';
CREATE FUNCTION credit.cycle_final(internal) RETURNS credit.cycle_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_final';
COMMENT ON FUNCTION credit.cycle_final(internal) IS 'Part of aggregate payment_cycle(): the result.';
CREATE AGGREGATE credit.payment_cycle(paid_date date) (
	SFUNC = credit.cycle_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.cycle_final,
	COMBINEFUNC = credit.cycle_combine,
	SERIALFUNC = credit.cycle_serialize, DESERIALFUNC = credit.cycle_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_cycle(date) IS
'Whether a customer pays in a rhythm: intervals between days of payment, and how much these keep to a weekday, a day of the month, or a period. Use it per customer.';
/*
 * Subject logit: logistic regression over anybody's tables.
 *
 * fit_logit() runs its queries as the caller, so it is neither a definer
 * function nor bound to a search_path: the query is the caller's own text.
 * src/logit.c (one step), src/logit_profile.c (the first look),
 * src/logit_fit.c (the fit), src/linalg.c.
 */

/* --- one step --------------------------------------------------------------- */

CREATE TYPE credit.logit_step_result AS (
	n_rows bigint,
	n_events bigint,
	n_skipped bigint,
	weight double precision,
	log_likelihood double precision,
	gradient double precision[],
	hessian double precision[]);
COMMENT ON TYPE credit.logit_step_result IS
'What the rows say about a logistic regression at given coefficients: aggregate logit_step().';
COMMENT ON COLUMN credit.logit_step_result.n_rows IS 'Number of rows that counted.';
COMMENT ON COLUMN credit.logit_step_result.n_events IS 'Number of those that were events.';
COMMENT ON COLUMN credit.logit_step_result.n_skipped IS 'Number of rows left out, for a NULL or a weight of 0.';
COMMENT ON COLUMN credit.logit_step_result.weight IS 'Sum of the weights.';
COMMENT ON COLUMN credit.logit_step_result.log_likelihood IS 'Sum of weight times the natural logarithm of the probability given to what happened.';
COMMENT ON COLUMN credit.logit_step_result.gradient IS 'Its derivative by each coefficient: sum of weight * (y - p) * x.';
COMMENT ON COLUMN credit.logit_step_result.hessian IS 'Its second derivatives, negative, as a square array: sum of weight * p * (1 - p) * x * x''.';
CREATE FUNCTION credit.logit_step_accum(internal, is_event boolean, x double precision[], weight double precision,
										coefficients double precision[])
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_accum';
COMMENT ON FUNCTION credit.logit_step_accum(internal, boolean, double precision[], double precision, double precision[]) IS
'Part of aggregate logit_step(): adds a row.';
CREATE FUNCTION credit.logit_step_accum(internal, is_event boolean, x double precision[], weight double precision,
										coefficients double precision[], centre double precision[], scale double precision[])
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_accum';
COMMENT ON FUNCTION credit.logit_step_accum(internal, boolean, double precision[], double precision, double precision[], double precision[], double precision[]) IS
'Part of aggregate logit_step(): adds a row.';
CREATE FUNCTION credit.logit_step_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_combine';
COMMENT ON FUNCTION credit.logit_step_combine(internal, internal) IS 'Part of aggregate logit_step(): merges two states.';
CREATE FUNCTION credit.logit_step_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_serialize';
COMMENT ON FUNCTION credit.logit_step_serialize(internal) IS 'Part of aggregate logit_step(): a state as bytes.';
CREATE FUNCTION credit.logit_step_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_deserialize';
COMMENT ON FUNCTION credit.logit_step_deserialize(bytea, internal) IS 'Part of aggregate logit_step(): a state from bytes.';
CREATE FUNCTION credit.logit_step_final(internal) RETURNS credit.logit_step_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_step_final';
COMMENT ON FUNCTION credit.logit_step_final(internal) IS 'Part of aggregate logit_step(): the result.';
CREATE AGGREGATE credit.logit_step(is_event boolean, x double precision[], weight double precision,
								   coefficients double precision[]) (
	SFUNC = credit.logit_step_accum,
	STYPE = internal,
	SSPACE = 8192,
	COMBINEFUNC = credit.logit_step_combine,
	SERIALFUNC = credit.logit_step_serialize,
	DESERIALFUNC = credit.logit_step_deserialize,
	FINALFUNC = credit.logit_step_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.logit_step(boolean, double precision[], double precision, double precision[]) IS
'Log-likelihood of a logistic regression at the given coefficients, with gradient and negative Hessian, in one pass. Coefficients: the intercept, then one for each value of x; without the intercept if there are as many as values. They must be the same for all rows.';
CREATE AGGREGATE credit.logit_step(is_event boolean, x double precision[], weight double precision,
								   coefficients double precision[], centre double precision[], scale double precision[]) (
	SFUNC = credit.logit_step_accum,
	STYPE = internal,
	SSPACE = 8192,
	COMBINEFUNC = credit.logit_step_combine,
	SERIALFUNC = credit.logit_step_serialize,
	DESERIALFUNC = credit.logit_step_deserialize,
	FINALFUNC = credit.logit_step_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.logit_step(boolean, double precision[], double precision, double precision[], double precision[], double precision[]) IS
'The same with (x - centre) * scale in place of x.';
/* --- the first look --------------------------------------------------------- */

CREATE FUNCTION credit.logit_profile_accum(internal, is_event boolean, x double precision[], weight double precision,
										   keep integer)
RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_accum';
COMMENT ON FUNCTION credit.logit_profile_accum(internal, boolean, double precision[], double precision, integer) IS
'Part of aggregate logit_profile(): adds a row.';
CREATE FUNCTION credit.logit_profile_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_combine';
COMMENT ON FUNCTION credit.logit_profile_combine(internal, internal) IS 'Part of aggregate logit_profile(): merges two states.';
CREATE FUNCTION credit.logit_profile_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_serialize';
COMMENT ON FUNCTION credit.logit_profile_serialize(internal) IS 'Part of aggregate logit_profile(): a state as bytes, which are the result too.';
CREATE FUNCTION credit.logit_profile_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_profile_deserialize';
COMMENT ON FUNCTION credit.logit_profile_deserialize(bytea, internal) IS 'Part of aggregate logit_profile(): a state from bytes.';
CREATE AGGREGATE credit.logit_profile(is_event boolean, x double precision[], weight double precision, keep integer) (
	SFUNC = credit.logit_profile_accum,
	STYPE = internal,
	SSPACE = 8192,
	COMBINEFUNC = credit.logit_profile_combine,
	SERIALFUNC = credit.logit_profile_serialize,
	DESERIALFUNC = credit.logit_profile_deserialize,
	FINALFUNC = credit.logit_profile_serialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.logit_profile(boolean, double precision[], double precision, integer) IS
'What fit_logit() has to know before it begins, as bytes for fit_logit() only: counts, ranges, and a sample of up to keep rows.';
/* --- the fit ---------------------------------------------------------------- */

CREATE TYPE credit.logit_term AS (
	position integer,
	variable text,
	coefficient double precision,
	standard_error double precision,
	z double precision,
	p_value double precision,
	mean double precision,
	deviation double precision);
COMMENT ON TYPE credit.logit_term IS 'One coefficient of a logistic regression.';
COMMENT ON COLUMN credit.logit_term.position IS 'Place of the variable in the list that was given, from 1; 0: the intercept.';
COMMENT ON COLUMN credit.logit_term.variable IS 'Name of the column, or (intercept).';
COMMENT ON COLUMN credit.logit_term.coefficient IS 'Change of the log-odds of the event by one unit of the variable.';
COMMENT ON COLUMN credit.logit_term.standard_error IS 'Its standard error, from the inverse of the Hessian; with a ridge an approximation of the posterior deviation.';
COMMENT ON COLUMN credit.logit_term.z IS 'Wald''s z: coefficient / standard error.';
COMMENT ON COLUMN credit.logit_term.p_value IS 'Probability of a z of this size or more, in either direction, if the coefficient were 0 (normal distribution).';
COMMENT ON COLUMN credit.logit_term.mean IS 'Weighted mean of the variable over the rows used; NULL for the intercept.';
COMMENT ON COLUMN credit.logit_term.deviation IS 'Weighted standard deviation of the variable over the rows used (divided by the sum of weights); NULL for the intercept.';
CREATE TYPE credit.logit_fit AS (
	n_rows bigint,
	n_events bigint,
	n_skipped bigint,
	weight double precision,
	event_weight double precision,
	iterations integer,
	n_scans integer,
	gradient_norm double precision,
	log_likelihood double precision,
	null_log_likelihood double precision,
	deviance double precision,
	null_deviance double precision,
	aic double precision,
	pseudo_r2 double precision,
	ridge double precision,
	is_standardised boolean,
	is_posterior boolean,
	coefficients double precision[],
	terms credit.logit_term[]);
COMMENT ON TYPE credit.logit_fit IS
'Result of fit_logit(): a summary, and one element of terms for each coefficient: SELECT t.* FROM credit.fit_logit(...) f, unnest(f.terms) t.';
COMMENT ON COLUMN credit.logit_fit.n_rows IS 'Number of rows used.';
COMMENT ON COLUMN credit.logit_fit.n_events IS 'Number of those that are events.';
COMMENT ON COLUMN credit.logit_fit.n_skipped IS 'Number of rows left out because the event, a variable or the weight is NULL, or the weight 0.';
COMMENT ON COLUMN credit.logit_fit.weight IS 'Sum of the weights of the rows used.';
COMMENT ON COLUMN credit.logit_fit.event_weight IS 'The same of the events.';
COMMENT ON COLUMN credit.logit_fit.iterations IS 'Steps of Newton''s method, those on a sample not counted.';
COMMENT ON COLUMN credit.logit_fit.n_scans IS 'How often all rows were read.';
COMMENT ON COLUMN credit.logit_fit.gradient_norm IS 'Largest element, in size, of the gradient before the last step, for variables scaled to deviation 1; 0 is a maximum.';
COMMENT ON COLUMN credit.logit_fit.log_likelihood IS 'Natural logarithm of the likelihood, without the penalty of a ridge.';
COMMENT ON COLUMN credit.logit_fit.null_log_likelihood IS 'The same of the model with an intercept only; without intercept, of probability 0.5.';
COMMENT ON COLUMN credit.logit_fit.deviance IS 'Residual deviance: -2 * log_likelihood.';
COMMENT ON COLUMN credit.logit_fit.null_deviance IS '-2 * null_log_likelihood.';
COMMENT ON COLUMN credit.logit_fit.aic IS 'Akaike''s criterion: deviance + 2 * number of coefficients. With a ridge it counts them in full.';
COMMENT ON COLUMN credit.logit_fit.pseudo_r2 IS 'McFadden''s: 1 - log_likelihood / null_log_likelihood.';
COMMENT ON COLUMN credit.logit_fit.ridge IS 'The ridge asked for; 0: maximum likelihood.';
COMMENT ON COLUMN credit.logit_fit.is_standardised IS 'Was the ridge on coefficients per standard deviation?';
COMMENT ON COLUMN credit.logit_fit.is_posterior IS 'True with a ridge: standard errors, z and p are approximations of a posterior, not tests.';
COMMENT ON COLUMN credit.logit_fit.coefficients IS 'The coefficients, intercept first: argument of logit_probability().';
COMMENT ON COLUMN credit.logit_fit.terms IS 'The coefficients with all that belongs to them.';
/* Reads only, under the snapshot of the statement; its own queries may be parallel, so it is not. */
CREATE FUNCTION credit.fit_logit
	(source text, is_event text, variables text[], weight text DEFAULT NULL,
	 ridge double precision DEFAULT 0, standardise boolean DEFAULT false,
	 intercept boolean DEFAULT true, max_iterations integer DEFAULT 50)
RETURNS credit.logit_fit
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_fit_logit';
COMMENT ON FUNCTION credit.fit_logit(text, text, text[], text, double precision, boolean, boolean, integer) IS
'Fits a logistic regression of a boolean column on numeric columns of a query, or of a table by its name. Maximum likelihood, or with a ridge: penalty ridge / 2 times the sum of squares of the coefficients, the intercept apart. The query runs several times, as the caller.';
CREATE FUNCTION credit.fit_logit
	(relation regclass, is_event text, variables text[], weight text DEFAULT NULL,
	 ridge double precision DEFAULT 0, standardise boolean DEFAULT false,
	 intercept boolean DEFAULT true, max_iterations integer DEFAULT 50)
RETURNS credit.logit_fit
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000
AS 'MODULE_PATHNAME', 'credit_fit_logit_relation';
COMMENT ON FUNCTION credit.fit_logit(regclass, text, text[], text, double precision, boolean, boolean, integer) IS
'The same for a table or view.';
CREATE FUNCTION credit.logit_probability(coefficients double precision[], x double precision[]) RETURNS double precision
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_logit_probability';
COMMENT ON FUNCTION credit.logit_probability(double precision[], double precision[]) IS
'Probability of the event by a logistic regression: coefficients of fit_logit(), and the values of its variables in the same order. NULL if one of the values is NULL.';
/*
 * Subject validation: how good scores, probabilities and ratings are.
 *
 * Aggregates over arguments only: they read no table of the extension and serve
 * over anybody's scores.  src/validation.c, calibration.c, stability.c,
 * agreement.c.
 */
CREATE TYPE credit.discrimination_result AS (
	n bigint,
	n_default bigint,
	auc float8,
	auc_se float8,
	auc_low float8,
	auc_high float8,
	auc_logit_low float8,
	auc_logit_high float8,
	gini float8,
	ks float8,
	ks_score float8,
	n_skipped bigint);
COMMENT ON TYPE credit.discrimination_result IS
'How well scores tell bad from good. A higher score is a better customer; all figures are ratios but the counts and ks_score. NULL where a class has no row.';
COMMENT ON COLUMN credit.discrimination_result.n IS 'Number of rows with a score and an outcome.';
COMMENT ON COLUMN credit.discrimination_result.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.discrimination_result.auc IS 'Probability that a good one has a higher score than a bad one, ties counted half (Mann-Whitney). 0.5: no better than chance; below: the scores are the wrong way round.';
COMMENT ON COLUMN credit.discrimination_result.auc_se IS 'Standard error of auc (DeLong et al. 1988). NULL with less than two rows of a class.';
COMMENT ON COLUMN credit.discrimination_result.auc_low IS 'Lower end of the 95 % interval of auc, not below 0.';
COMMENT ON COLUMN credit.discrimination_result.auc_high IS 'Upper end of the 95 % interval of auc, not above 1.';
COMMENT ON COLUMN credit.discrimination_result.auc_logit_low IS 'The lower end by way of the logit of auc: better with few bad ones. NULL where auc is 0 or 1.';
COMMENT ON COLUMN credit.discrimination_result.auc_logit_high IS 'The upper end by way of the logit.';
COMMENT ON COLUMN credit.discrimination_result.gini IS 'Gini coefficient, or accuracy ratio: 2 auc - 1.';
COMMENT ON COLUMN credit.discrimination_result.ks IS 'Kolmogorov-Smirnov: the largest distance between the shares of bad and of good at or below a score.';
COMMENT ON COLUMN credit.discrimination_result.ks_score IS 'Lowest score at which that distance is reached.';
COMMENT ON COLUMN credit.discrimination_result.n_skipped IS 'Number of rows left out: score NULL or NaN, or outcome NULL.';
CREATE TYPE credit.cap_point AS (
	share float8,
	captured float8,
	lift float8,
	score float8);
COMMENT ON TYPE credit.cap_point IS
'A point of the CAP curve: the worst rows first, that is, from the lowest score up.';
COMMENT ON COLUMN credit.cap_point.share IS 'Share of all rows taken, 0 to 1.';
COMMENT ON COLUMN credit.cap_point.captured IS 'Share of the bad ones among them. NULL where there is no bad one.';
COMMENT ON COLUMN credit.cap_point.lift IS 'captured / share: how many times as many bad ones as in a random choice.';
COMMENT ON COLUMN credit.cap_point.score IS 'Score at which the share ends. Rows of this score are taken in proportion.';
CREATE TYPE credit.calibration_result AS (
	n bigint,
	n_default bigint,
	default_rate float8,
	mean_probability float8,
	brier float8,
	brier_skill float8,
	log_loss float8,
	hosmer_lemeshow float8,
	hl_groups integer,
	hl_p float8,
	hl_p_development float8,
	slope float8,
	intercept float8,
	intercept_in_the_large float8,
	n_skipped bigint);
COMMENT ON TYPE credit.calibration_result IS
'Whether probabilities of default come true.';
COMMENT ON COLUMN credit.calibration_result.n IS 'Number of rows with a probability and an outcome.';
COMMENT ON COLUMN credit.calibration_result.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.calibration_result.default_rate IS 'n_default / n.';
COMMENT ON COLUMN credit.calibration_result.mean_probability IS 'Mean of the probabilities.';
COMMENT ON COLUMN credit.calibration_result.brier IS 'Brier score: mean squared difference of probability and outcome. 0 is perfect.';
COMMENT ON COLUMN credit.calibration_result.brier_skill IS '1 - brier / (default_rate (1 - default_rate)): what is gained over giving everybody the default rate. NULL with one class only.';
COMMENT ON COLUMN credit.calibration_result.log_loss IS 'Mean negative log-likelihood, natural logarithm; probabilities no nearer to 0 and 1 than 1e-15.';
COMMENT ON COLUMN credit.calibration_result.hosmer_lemeshow IS 'Hosmer-Lemeshow statistic over groups of about equal size. Grows with n and hangs on the grouping: not to be used alone.';
COMMENT ON COLUMN credit.calibration_result.hl_groups IS 'Number of its groups, after those with less than one expected default or non-default were joined to a neighbour.';
COMMENT ON COLUMN credit.calibration_result.hl_p IS 'Its p-value on rows that the model was not fitted on: chi-square with hl_groups degrees of freedom.';
COMMENT ON COLUMN credit.calibration_result.hl_p_development IS 'Its p-value on the rows that the model was fitted on: hl_groups - 2 degrees of freedom. NULL with less than three groups.';
COMMENT ON COLUMN credit.calibration_result.slope IS 'Slope of the logistic fit of outcome on logit of probability. 1 is perfect, less: probabilities too extreme. NULL where no finite one exists: one class, one probability, or a cut that tells all bad from all good.';
COMMENT ON COLUMN credit.calibration_result.intercept IS 'Intercept of that fit. 0 is perfect.';
COMMENT ON COLUMN credit.calibration_result.intercept_in_the_large IS 'Intercept with the slope held at 1. Above 0: more defaults than predicted.';
COMMENT ON COLUMN credit.calibration_result.n_skipped IS 'Number of rows left out: probability NULL or NaN, or outcome NULL.';
CREATE TYPE credit.calibration_group AS (
	group_number integer,
	n bigint,
	n_default bigint,
	expected_default float8,
	default_rate float8,
	mean_probability float8,
	probability_low float8,
	probability_high float8);
COMMENT ON TYPE credit.calibration_group IS
'Expected and observed defaults of a group of rows with similar probabilities.';
COMMENT ON COLUMN credit.calibration_group.group_number IS 'From 1, by ascending probability.';
COMMENT ON COLUMN credit.calibration_group.n IS 'Number of rows.';
COMMENT ON COLUMN credit.calibration_group.n_default IS 'Number of defaults.';
COMMENT ON COLUMN credit.calibration_group.expected_default IS 'Sum of the probabilities.';
COMMENT ON COLUMN credit.calibration_group.default_rate IS 'n_default / n.';
COMMENT ON COLUMN credit.calibration_group.mean_probability IS 'expected_default / n.';
COMMENT ON COLUMN credit.calibration_group.probability_low IS 'Lowest probability of the group.';
COMMENT ON COLUMN credit.calibration_group.probability_high IS 'Highest probability of the group.';
CREATE TYPE credit.stability_result AS (
	n_reference bigint,
	n_actual bigint,
	psi float8,
	verdict text,
	is_small boolean,
	bins integer,
	n_skipped bigint);
COMMENT ON TYPE credit.stability_result IS
'Whether scores of today are distributed as in the reference sample.';
COMMENT ON COLUMN credit.stability_result.n_reference IS 'Rows of the reference sample.';
COMMENT ON COLUMN credit.stability_result.n_actual IS 'Rows of the other sample.';
COMMENT ON COLUMN credit.stability_result.psi IS 'Population stability index over bins cut on the reference sample. NULL where a sample is empty.';
COMMENT ON COLUMN credit.stability_result.verdict IS 'Word for it: stable (below 0.10), watch (0.10 to 0.25), shifted (above 0.25).';
COMMENT ON COLUMN credit.stability_result.is_small IS 'A sample has less than 100 rows, so that psi is large by chance.';
COMMENT ON COLUMN credit.stability_result.bins IS 'Number of bins: less than asked for where quantiles of the reference sample are equal.';
COMMENT ON COLUMN credit.stability_result.n_skipped IS 'Number of rows left out: score NULL or NaN, or sample NULL.';
CREATE TYPE credit.stability_bin AS (
	bin integer,
	score_above float8,
	score_up_to float8,
	n_reference bigint,
	n_actual bigint,
	reference_share float8,
	actual_share float8,
	psi float8);
COMMENT ON TYPE credit.stability_bin IS
'A bin of the population stability index: scores above score_above, up to and including score_up_to.';
COMMENT ON COLUMN credit.stability_bin.bin IS 'From 1, by ascending score.';
COMMENT ON COLUMN credit.stability_bin.score_above IS 'Lower bound, not in the bin. NULL: none.';
COMMENT ON COLUMN credit.stability_bin.score_up_to IS 'Upper bound, in the bin. NULL: none.';
COMMENT ON COLUMN credit.stability_bin.n_reference IS 'Rows of the reference sample.';
COMMENT ON COLUMN credit.stability_bin.n_actual IS 'Rows of the other sample.';
COMMENT ON COLUMN credit.stability_bin.reference_share IS 'Share of the reference sample.';
COMMENT ON COLUMN credit.stability_bin.actual_share IS 'Share of the other sample.';
COMMENT ON COLUMN credit.stability_bin.psi IS 'What the bin adds to the index. Where a bin is empty, after 0.5 was added to every count.';
CREATE TYPE credit.csi_result AS (
	csi float8,
	points_shift float8);
COMMENT ON TYPE credit.csi_result IS
'Stability of one characteristic, by its bins.';
COMMENT ON COLUMN credit.csi_result.csi IS 'Characteristic stability index: PSI over the bins of the characteristic.';
COMMENT ON COLUMN credit.csi_result.points_shift IS 'By how many points the mean score has moved because of it.';
CREATE TYPE credit.agreement_result AS (
	n bigint,
	kendall_tau_b float8,
	spearman_rho float8,
	kappa_quadratic float8,
	kappa_linear float8,
	kappa float8,
	notch_mean float8,
	notch_mean_absolute float8,
	share_within_one float8,
	n_review bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.agreement_result IS
'How far two ratings of the same customers agree. Grades are integers on one scale.';
COMMENT ON COLUMN credit.agreement_result.n IS 'Number of rows with both grades.';
COMMENT ON COLUMN credit.agreement_result.kendall_tau_b IS 'Kendall rank correlation, corrected for ties. NULL where a side gives one grade only.';
COMMENT ON COLUMN credit.agreement_result.spearman_rho IS 'Spearman rank correlation: Pearson on mid-ranks. NULL likewise.';
COMMENT ON COLUMN credit.agreement_result.kappa_quadratic IS 'Weighted kappa, disagreement counted by the square of its notches. NULL where chance leaves no disagreement.';
COMMENT ON COLUMN credit.agreement_result.kappa_linear IS 'Weighted kappa, disagreement counted by its notches.';
COMMENT ON COLUMN credit.agreement_result.kappa IS 'Cohens kappa: any disagreement counts the same.';
COMMENT ON COLUMN credit.agreement_result.notch_mean IS 'Mean of external less internal grade.';
COMMENT ON COLUMN credit.agreement_result.notch_mean_absolute IS 'Mean of its absolute value.';
COMMENT ON COLUMN credit.agreement_result.share_within_one IS 'Share of rows with at most one notch of difference.';
COMMENT ON COLUMN credit.agreement_result.n_review IS 'Number of rows with two notches or more: to be reviewed.';
COMMENT ON COLUMN credit.agreement_result.n_skipped IS 'Number of rows left out: a grade is NULL.';
CREATE TYPE credit.agreement_cell AS (
	internal integer,
	external integer,
	notches bigint,
	n bigint);
COMMENT ON TYPE credit.agreement_cell IS
'A cell of the table of internal against external grades.';
COMMENT ON COLUMN credit.agreement_cell.internal IS 'Internal grade.';
COMMENT ON COLUMN credit.agreement_cell.external IS 'External grade.';
COMMENT ON COLUMN credit.agreement_cell.notches IS 'External less internal grade.';
COMMENT ON COLUMN credit.agreement_cell.n IS 'Number of rows.';
CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean) IS
'Part of the validation aggregates: adds a row.';
CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean, parts integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum_parts';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean, integer) IS
'Part of the validation aggregates: adds a row.';
CREATE FUNCTION credit.validation_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_combine';
COMMENT ON FUNCTION credit.validation_combine(internal, internal) IS
'Part of the validation aggregates: adds what another process has collected.';
CREATE FUNCTION credit.validation_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_serialize';
COMMENT ON FUNCTION credit.validation_serialize(internal) IS
'Part of the validation aggregates: the state for another process.';
CREATE FUNCTION credit.validation_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_deserialize';
COMMENT ON FUNCTION credit.validation_deserialize(bytea, internal) IS
'Part of the validation aggregates: the state of another process.';
CREATE FUNCTION credit.agreement_accum(internal, internal_grade integer, external_grade integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_accum';
COMMENT ON FUNCTION credit.agreement_accum(internal, integer, integer) IS
'Part of the validation aggregates: adds a row.';
CREATE FUNCTION credit.agreement_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_combine';
COMMENT ON FUNCTION credit.agreement_combine(internal, internal) IS
'Part of the validation aggregates: adds what another process has collected.';
CREATE FUNCTION credit.agreement_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_serialize';
COMMENT ON FUNCTION credit.agreement_serialize(internal) IS
'Part of the validation aggregates: the state for another process.';
CREATE FUNCTION credit.agreement_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_deserialize';
COMMENT ON FUNCTION credit.agreement_deserialize(bytea, internal) IS
'Part of the validation aggregates: the state of another process.';
CREATE FUNCTION credit.discrimination_final(internal) RETURNS credit.discrimination_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_discrimination_final';
COMMENT ON FUNCTION credit.discrimination_final(internal) IS
'Part of the validation aggregates: the result of discrimination().';
CREATE FUNCTION credit.cap_final(internal) RETURNS credit.cap_point[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cap_final';
COMMENT ON FUNCTION credit.cap_final(internal) IS
'Part of the validation aggregates: the result of cap().';
CREATE FUNCTION credit.calibration_final(internal) RETURNS credit.calibration_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_calibration_final';
COMMENT ON FUNCTION credit.calibration_final(internal) IS
'Part of the validation aggregates: the result of calibration().';
CREATE FUNCTION credit.calibration_groups_final(internal) RETURNS credit.calibration_group[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_calibration_groups_final';
COMMENT ON FUNCTION credit.calibration_groups_final(internal) IS
'Part of the validation aggregates: the result of calibration_groups().';
CREATE FUNCTION credit.population_stability_final(internal) RETURNS credit.stability_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_population_stability_final';
COMMENT ON FUNCTION credit.population_stability_final(internal) IS
'Part of the validation aggregates: the result of population_stability().';
CREATE FUNCTION credit.stability_bins_final(internal) RETURNS credit.stability_bin[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_stability_bins_final';
COMMENT ON FUNCTION credit.stability_bins_final(internal) IS
'Part of the validation aggregates: the result of stability_bins().';
CREATE FUNCTION credit.agreement_final(internal) RETURNS credit.agreement_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_final';
COMMENT ON FUNCTION credit.agreement_final(internal) IS
'Part of the validation aggregates: the result of agreement().';
CREATE FUNCTION credit.agreement_table_final(internal) RETURNS credit.agreement_cell[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_table_final';
COMMENT ON FUNCTION credit.agreement_table_final(internal) IS
'Part of the validation aggregates: the result of agreement_table().';
CREATE AGGREGATE credit.discrimination(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.discrimination_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.discrimination(float8, boolean) IS
'AUC with DeLong interval, Gini and KS of scores, ties exact. A higher score is a better customer: put in a probability of default as its negative.';
CREATE AGGREGATE credit.cap(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.cap(float8, boolean) IS
'CAP curve and lift at each tenth of the rows, the lowest score (the worst) first; an array, for unnest(). A probability of default is put in as its negative. NULL without rows.';
CREATE AGGREGATE credit.cap(score float8, is_default boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.cap(float8, boolean, integer) IS
'The same at 1/parts, 2/parts, ... of the rows; 2 to 10000 parts.';
CREATE AGGREGATE credit.calibration(probability float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration(float8, boolean) IS
'Brier score, log loss, Hosmer-Lemeshow test over ten groups, calibration slope and intercept of probabilities of default.';
CREATE AGGREGATE credit.calibration(probability float8, is_default boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration(float8, boolean, integer) IS
'The same with another number of Hosmer-Lemeshow groups, 2 to 10000.';
CREATE AGGREGATE credit.calibration_groups(probability float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_groups_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration_groups(float8, boolean) IS
'Expected and observed defaults in ten groups of about equal size by probability, equal probabilities together; an array, for unnest(). NULL without rows.';
CREATE AGGREGATE credit.calibration_groups(probability float8, is_default boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_groups_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration_groups(float8, boolean, integer) IS
'The same with another number of groups, 2 to 10000.';
CREATE AGGREGATE credit.population_stability(score float8, is_reference boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.population_stability_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.population_stability(float8, boolean) IS
'Population stability index of scores, over tenths of the rows with is_reference true.';
CREATE AGGREGATE credit.population_stability(score float8, is_reference boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.population_stability_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.population_stability(float8, boolean, integer) IS
'The same over another number of bins, 2 to 10000.';
CREATE AGGREGATE credit.stability_bins(score float8, is_reference boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.stability_bins_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.stability_bins(float8, boolean) IS
'The bins behind population_stability(); an array, for unnest(). NULL without a reference sample.';
CREATE AGGREGATE credit.stability_bins(score float8, is_reference boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.stability_bins_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.stability_bins(float8, boolean, integer) IS
'The same with another number of bins, 2 to 10000.';
CREATE AGGREGATE credit.agreement(internal_grade integer, external_grade integer) (
	SFUNC = credit.agreement_accum, STYPE = internal, SSPACE = 128,
	FINALFUNC = credit.agreement_final,
	COMBINEFUNC = credit.agreement_combine,
	SERIALFUNC = credit.agreement_serialize, DESERIALFUNC = credit.agreement_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.agreement(integer, integer) IS
'Kendall, Spearman, kappa and notch differences of an internal against an external rating, such as a bureaus, on one scale of grades.';
CREATE AGGREGATE credit.agreement_table(internal_grade integer, external_grade integer) (
	SFUNC = credit.agreement_accum, STYPE = internal, SSPACE = 128,
	FINALFUNC = credit.agreement_table_final,
	COMBINEFUNC = credit.agreement_combine,
	SERIALFUNC = credit.agreement_serialize, DESERIALFUNC = credit.agreement_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.agreement_table(integer, integer) IS
'How often each internal grade meets each external one; an array, for unnest(). NULL without rows.';
CREATE FUNCTION credit.psi(expected float8[], actual float8[]) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_psi';
COMMENT ON FUNCTION credit.psi(float8[], float8[]) IS
'Population stability index of two samples counted by the same bins, the reference sample first. Counts or shares; where a count is 0, each count gets 0.5 more, and shares (that add up to 1) give NULL. NULL where a sample is empty.';
CREATE FUNCTION credit.csi(expected float8[], actual float8[], points float8[]) RETURNS credit.csi_result
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_csi';
COMMENT ON FUNCTION credit.csi(float8[], float8[], float8[]) IS
'Stability of one characteristic from its counts by bin, the reference sample first, and by how many points the mean score has moved because of it. NULLs as psi().';
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
/*
 * Subject status: what a DBA should know at 3 a.m., in plain words.
 *
 * Runs as its owner, so that the right to call it is enough: an update of the
 * extension can add a finding that reads something new, and whoever was let in
 * before goes on seeing all of them.
 */
CREATE OR REPLACE FUNCTION credit.status
	(OUT severity text, OUT subject text, OUT finding text, OUT advice text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER
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
	SELECT 2, 'warning', 'waits',
		   format('waits for others: %s, the longest for %s s, for %s', count(*),
				  round(extract(epoch FROM max(w.waited)), 1),
				  (array_agg(COALESCE('process ' || w.holder_pid, 'prepared transaction ' || w.holder_prepared, 'a transaction')
							 ORDER BY w.waited DESC))[1]),
		   'SELECT * FROM credit.waits; column way_out says what ends each.'
	  FROM credit.waits w HAVING max(w.waited) > interval '1 second'
	UNION ALL
	SELECT 2, 'warning', 'statistics', 'there is no shared memory for them: views stat, waits and progress are empty',
		   'Orders are not concerned. Add credit to shared_preload_libraries, which reserves the memory, and restart the server.'
	 WHERE NOT credit.stat_is_on()
	UNION ALL
	SELECT 3, 'info', 'statistics', 'there are more sources on this server than it has places for: the rest is counted together',
		   'Row (others) of view credit.stat.'
	  FROM credit.stat_rows() r WHERE r.source_id = 0
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

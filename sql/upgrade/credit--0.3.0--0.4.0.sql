\echo Use "ALTER EXTENSION credit UPDATE" to load this file. \quit
/*
 * From 0.3.0 to 0.4.0.  Triggers are added to tables of the ledger, which takes
 * ACCESS EXCLUSIVE for a moment.  All locks are taken at once and in the order
 * in which orders take them; lock_timeout bounds how long that may wait.
 *
 * Rights are revoked from PUBLIC object by object, at the end; why not with
 * REVOKE ... ON ALL ROUTINES stands in credit--0.1.0--0.2.0.sql.
 */

LOCK TABLE credit.item, credit.account, credit.account_limit, credit.limit_change,
	credit.journal, credit.decision_log, credit.item_version, credit.settlement,
	credit.month_mark, credit.source_problem, credit.source, credit.dependency,
	credit.setting, credit.rule_reaction IN ACCESS EXCLUSIVE MODE;

/*
 * Where these tables are filled by logical replication, sessions must read them
 * anew all the same: whoever has the ledger replicated replicates its policy.
 * What applies rows fires row triggers only, and its first copy statement ones.
 */
CREATE TRIGGER invalidate_replica AFTER INSERT OR UPDATE OR DELETE ON credit.setting
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
CREATE TRIGGER invalidate_replica AFTER INSERT OR UPDATE OR DELETE ON credit.rule_reaction
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
ALTER TABLE credit.setting ENABLE REPLICA TRIGGER invalidate_replica;
ALTER TABLE credit.setting ENABLE ALWAYS TRIGGER invalidate_setting;
ALTER TABLE credit.rule_reaction ENABLE REPLICA TRIGGER invalidate_replica;
ALTER TABLE credit.rule_reaction ENABLE ALWAYS TRIGGER invalidate_setting;
ALTER TABLE credit.source ENABLE ALWAYS TRIGGER invalidate_source;
ALTER TABLE credit.dependency ENABLE ALWAYS TRIGGER invalidate_dependency;
/* no key: a publication that sends deletions needs this, or a purge would fail */
ALTER TABLE credit.item_version REPLICA IDENTITY FULL;
/* as for item_version */
ALTER TABLE credit.settlement REPLICA IDENTITY FULL;
ALTER TABLE credit.month_mark REPLICA IDENTITY FULL;
COMMENT ON VIEW credit.decision IS
'What was let in although a rule was broken: in mode shadow, with a warning, by a member of setting bypass_role, or by replication that a source follows. Refused documents are in the log of the server: their transaction is gone.';
COMMENT ON COLUMN credit.stat.bypasses IS 'Checks that broke a rule and passed because of setting bypass_role, or because replication wrote the rows.';
CREATE OR REPLACE FUNCTION credit.has_triggers(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT count(*) = 4
  FROM pg_trigger g
 WHERE g.tgrelid = relation AND g.tgenabled IN ('O', 'A')
   AND g.tgname IN ('zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate')
   /* a restore of data alone disables those of each partition by itself */
   AND NOT EXISTS (SELECT FROM pg_partition_tree(relation) p
					 JOIN pg_trigger t ON t.tgrelid = p.relid AND t.tgname = 'zz_credit_row'
					WHERE t.tgenabled NOT IN ('O', 'A'))
$$;

COMMENT ON FUNCTION credit.has_triggers(regclass) IS
'True: all four triggers of an attached table are there and enabled, and that of each of its partitions.';





/*
 * Works out what bears a mark, some accounts at a time, in one statement each:
 * what is worked out and the marks that are taken away are of one snapshot.  A
 * mark that somebody writes meanwhile is not in it, and stays.
 */
CREATE OR REPLACE FUNCTION credit.fold_months(batch integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this_month date := date_trunc('month', credit.today()::timestamp)::date;
	accounts bigint[];
	last bigint := 0;
	n bigint;
	total bigint := 0;
BEGIN
	IF batch IS NULL OR batch < 1 THEN
		RAISE EXCEPTION 'batch must be 1 or more, not %', batch USING ERRCODE = 'invalid_parameter_value';
	END IF;
	/* what comes by subscription is folded where it comes from */
	IF EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = 'credit.month_state'::regclass) THEN
		RETURN 0;
	END IF;
	/* two of them would work out the same months */
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	LOOP
		/* where a settlement is dated in the future, a closed month can still change by itself */
		SELECT array_agg(q.account_id ORDER BY q.account_id) INTO accounts
		  FROM (SELECT DISTINCT m.account_id FROM credit.month_mark m
				 WHERE m.account_id > last AND (m.month < this_month OR m.month = 'infinity')
				   AND NOT EXISTS (SELECT FROM credit.settlement t JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
									WHERE t.settled_on > credit.today() AND i.account_id = m.account_id)
				 ORDER BY m.account_id LIMIT batch) q;
		EXIT WHEN accounts IS NULL;
		last := accounts[array_upper(accounts, 1)];
		WITH mark AS
			(DELETE FROM credit.month_mark m
			  WHERE m.account_id = ANY (accounts) AND (m.month < this_month OR m.month = 'infinity')
			  RETURNING m.account_id, m.month),
		due AS (SELECT DISTINCT k.account_id, k.month FROM mark k),
		state AS
			(SELECT s.* FROM credit.month_states_of(accounts) s
			  WHERE s.month < this_month
				AND EXISTS (SELECT FROM due d WHERE d.account_id = s.account_id AND d.month IN (s.month, 'infinity'))),
		gone AS
			(DELETE FROM credit.month_state s USING due d
			  WHERE s.account_id = d.account_id AND (s.month = d.month OR d.month = 'infinity')
				AND NOT EXISTS (SELECT FROM state n WHERE n.account_id = s.account_id AND n.currency = s.currency AND n.month = s.month)),
		kept AS
			(INSERT INTO credit.month_state AS s (account_id, currency, month, by_debt, by_amount, n_undated, folded_at)
			 SELECT n.account_id, n.currency, n.month, n.by_debt, n.by_amount, n.n_undated, clock_timestamp() FROM state n
			 ON CONFLICT ON CONSTRAINT month_state_pkey DO UPDATE
			 SET by_debt = excluded.by_debt, by_amount = excluded.by_amount, n_undated = excluded.n_undated,
				 folded_at = excluded.folded_at)
		SELECT count(*) INTO n FROM due;
		total := total + n;
	END LOOP;
	PERFORM credit.maintain(false);
	RETURN total;
END
$$;

/*
 * Subject operation: what a DBA does to a database under the extension, and
 * what status() says of it.  doc/operation.md goes through it case by case.
 */

/*
 * Triggers that fire for rows which another database has accepted.  The check
 * lets such rows in, whatever the limit: to refuse one would stop replication.
 */
CREATE FUNCTION credit.follow_replication
	(source text, follow boolean DEFAULT true, lock_timeout text DEFAULT '5s')
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	one regclass;
	trigger text;
	n integer := 0;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = follow_replication.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	FOR one IN
		SELECT c.oid::regclass FROM pg_class c
		 WHERE c.relkind IN ('r', 'p')
		   AND (c.oid = s.relation OR c.oid IN
				(SELECT d.relation FROM credit.dependency d WHERE d.source_id = s.source_id))
		 ORDER BY c.oid
	LOOP
		PERFORM credit.lock_source_table(one, lock_timeout);
		FOREACH trigger IN ARRAY ARRAY['zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate'] LOOP
			EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', one,
						   CASE WHEN follow THEN 'ALWAYS' ELSE '' END, trigger);
		END LOOP;
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.follow_replication(text, boolean, text) IS
'Takes rows into the ledger that logical replication, or any session with session_replication_role = replica, writes into the tables of a source; follow => false undoes it. Such rows are never refused; what would have been stands in view decision. Returns the number of tables. Rows that are there already are taken in by attach().';
/* Sequences are not replicated, and a restore of chosen tables has none. */
CREATE FUNCTION credit.late_sequences()
RETURNS TABLE (sequence regclass, relation regclass, last_value bigint, highest bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
BEGIN
	FOR c IN
		SELECT a.attrelid::regclass AS relation, a.attname, d.objid::regclass AS sequence
		  FROM pg_class r
		  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attidentity <> '' AND NOT a.attisdropped
		  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
						   AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
		 WHERE r.relnamespace = 'credit'::regnamespace AND r.relkind = 'r'
		 ORDER BY r.relname
	LOOP
		sequence := c.sequence;
		relation := c.relation;
		last_value := COALESCE(pg_sequence_last_value(c.sequence), 0);
		EXECUTE format('SELECT max(%I) FROM %s', c.attname, c.relation) INTO highest;
		IF highest > last_value THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.late_sequences() IS
'Sequences of schema credit that are behind the rows of their table, so that the next new row would fail: after a change to a logical replica. SELECT setval(sequence, highest) FROM credit.late_sequences() mends them.';
/* Tables of the ERP whose writes reach the ledger, by source. */
CREATE FUNCTION credit.captured_tables()
RETURNS TABLE (source text, relation regclass)
LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT s.name, s.relation FROM credit.source s WHERE NOT credit.is_view(s.relation)
UNION ALL
SELECT s.name, d.relation FROM credit.dependency d JOIN credit.source s ON s.source_id = d.source_id;
END;
COMMENT ON FUNCTION credit.captured_tables() IS
'Tables of the ERP whose writes reach the ledger, with the sources they are read for: tables that are attached, and those that views depend on.';
CREATE FUNCTION credit.operation_findings
	(OUT rank integer, OUT severity text, OUT subject text, OUT finding text, OUT advice text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
/* the planner takes each function for a thousand rows, and would have all of it compiled */
SET jit = off
AS $$
/* a table was put in the place of an attached one: the mapping went with the other */
SELECT 1, 'error', 'source ' || s.name,
	   format('%s is another table now: what is written there is neither checked nor counted (attached is %s)',
			  n.name, COALESCE((SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = s.relation), 'one that is gone')),
	   'Detach the source and attach the table that has the name now, in one transaction.'
  FROM credit.source s
 CROSS JOIN LATERAL (SELECT CASE WHEN right(s.name, length(s.kind) + 1) = ':' || s.kind
								 THEN left(s.name, -length(s.kind) - 1) ELSE s.name END AS name) n
  /* to_regclass() wants rights on the schema */
  JOIN (SELECT c.oid AS relation, format('%I.%I', x.nspname, c.relname) AS name
		  FROM pg_class c JOIN pg_namespace x ON x.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'p', 'v')) t ON t.name = n.name
 WHERE t.relation <> s.relation
   AND NOT EXISTS (SELECT FROM credit.source x WHERE x.relation = t.relation AND x.kind = s.kind)
UNION ALL
SELECT 1, 'error', 'table ' || g.tgrelid::regclass::text,
	   'has the triggers of an attached table and is none: what is written there is neither checked nor counted',
	   'It was restored without schema credit. Attach it, or drop triggers zz_credit_*.'
  FROM pg_trigger g
 WHERE g.tgname = 'zz_credit_row' AND g.tgparentid = 0 AND g.tgfoid = 'credit.capture_row()'::regprocedure
   AND NOT EXISTS (SELECT FROM credit.captured_tables() c WHERE c.relation = g.tgrelid)
UNION ALL
/* the same under a view: it reads a twin of a table that it depends on */
SELECT 2, 'warning', 'source ' || s.name,
	   format('depends on %s, which it does not read, and reads %s, of which nothing is captured', d.relation, m.relation),
	   format('Was one put in the place of the other? SELECT credit.undepend(%L, %L), then credit.depend(%1$L, %3$L, ...).', s.name, d.relation, m.relation)
  FROM credit.source s
  JOIN credit.dependency d ON d.source_id = s.source_id
  JOIN pg_class k ON k.oid = d.relation
 CROSS JOIN LATERAL credit.missing_dependencies(s.name) m
 WHERE credit.is_view(s.relation)
   AND d.relation NOT IN (SELECT v FROM credit.view_tables(s.relation) v)
   AND NOT EXISTS (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = d.relation AND a.attnum > 0 AND NOT a.attisdropped
				   EXCEPT
				   SELECT a.attname FROM pg_attribute a WHERE a.attrelid = m.relation AND a.attnum > 0 AND NOT a.attisdropped)
UNION ALL
SELECT 1, 'error', 'source ' || c.source,
	   format('%s has child tables by inheritance now (%s): what is written to them is neither checked nor counted',
			  c.relation, string_agg(h.inhrelid::regclass::text, ', ' ORDER BY h.inhrelid::regclass::text)),
	   'Triggers do not follow inheritance. ALTER TABLE ... NO INHERIT, or make partitions of them.'
  FROM credit.captured_tables() c
  JOIN pg_class p ON p.oid = c.relation AND p.relkind = 'r'
  JOIN pg_inherits h ON h.inhparent = p.oid
 GROUP BY c.source, c.relation
UNION ALL
SELECT 1, 'error', 'source ' || q.source,
	   CASE WHEN q.has_ledger
			THEN format('rows of %s arrive by subscription %s and are captured, and so does the ledger: they will collide', q.relation, q.subscriptions)
			ELSE format('rows of %s arrive by subscription %s and are not captured', q.relation, q.subscriptions) END,
	   CASE WHEN q.has_ledger
			THEN format('SELECT credit.follow_replication(%L, false), or take schema credit out of the publication.', q.source)
			ELSE format('SELECT credit.follow_replication(%1$L). credit.reconcile(%1$L) lists what has come before, CALL credit.repair(%1$L) takes it in.', q.source) END
  FROM (SELECT c.source, c.relation, string_agg(DISTINCT u.subname, ', ') AS subscriptions,
			   bool_and(EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.relid AND g.tgname = 'zz_credit_row' AND g.tgenabled = 'A')) AS follows,
			   EXISTS (SELECT FROM pg_subscription_rel l WHERE l.srrelid = 'credit.item'::regclass) AS has_ledger
		  FROM credit.captured_tables() c
		 CROSS JOIN LATERAL (SELECT c.relation::oid AS relid UNION SELECT p.relid FROM pg_partition_tree(c.relation) p) t
		  JOIN pg_subscription_rel r ON r.srrelid = t.relid
		  JOIN pg_subscription u ON u.oid = r.srsubid
		 GROUP BY c.source, c.relation) q
 WHERE q.follows = q.has_ledger
UNION ALL
SELECT 1, 'error', 'table ' || l.relation::text,
	   format('its sequence is at %s and its rows go up to %s: new rows will fail', l.last_value, l.highest),
	   'SELECT setval(sequence, highest) FROM credit.late_sequences().'
  FROM credit.late_sequences() l
 /* while rows arrive from elsewhere it is as it should be */
 WHERE NOT EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = l.relation)
UNION ALL
SELECT CASE WHEN q.is_copied THEN 1 ELSE 2 END, CASE WHEN q.is_copied THEN 'error' ELSE 'warning' END,
	   'table ' || q.relname,
	   CASE WHEN q.is_copied THEN 'pg_repack is copying it: orders fail until it has ended'
			ELSE format('trigger %s never fires: the ledger is written without', q.triggers) END,
	   CASE WHEN q.is_copied THEN format('End pg_repack, drop trigger %s. Tables of schema credit are for VACUUM FULL.', q.triggers)
			ELSE 'Drop it. A tool that copies tables with the help of triggers would lose rows.' END
  FROM (SELECT c.relname, string_agg(g.tgname, ', ' ORDER BY g.tgname) AS triggers,
			   bool_or(n.nspname = 'repack') AS is_copied
		  FROM pg_trigger g
		  JOIN pg_class c ON c.oid = g.tgrelid AND c.relnamespace = 'credit'::regnamespace
		  JOIN pg_proc p ON p.oid = g.tgfoid
		  JOIN pg_namespace n ON n.oid = p.pronamespace
		 WHERE NOT g.tgisinternal AND n.nspname <> 'credit' AND g.tgtype & 1 = 1
		   AND c.relname IN ('account', 'account_limit', 'limit_change', 'source_problem', 'item', 'item_version',
							 'settlement', 'month_mark', 'journal', 'decision_log')
		 GROUP BY c.relname) q
UNION ALL
SELECT 2, 'warning', 'extension', format('belongs to role %s, which is no superuser: mappings it may not read are called broken here', x.extowner::regrole),
	   format('ALTER ROLE %1$s SUPERUSER, or REASSIGN OWNED BY %1$s TO one that is.', x.extowner::regrole)
  FROM pg_extension x JOIN pg_roles r ON r.oid = x.extowner
 WHERE x.extname = 'credit' AND NOT r.rolsuper
UNION ALL
SELECT 1, 'error', 'table ' || c.relname, 'is unlogged: a crash empties it, and a standby has no row of it',
	   format('ALTER TABLE credit.%I SET LOGGED.', c.relname)
  FROM pg_class c
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'u'
$$;
COMMENT ON FUNCTION credit.operation_findings() IS
'What status() says of operations: tables that were swapped, restored or replicated without their mapping, sequences that are behind, tables of the ledger that somebody copies or has made unlogged.';
/*
 * pg_repack copies a table and learns by a trigger what is written meanwhile.
 * The ledger is written without triggers, so that the copy would lack it.  By
 * its own rule pg_repack leaves out, with a warning, a table that has a trigger
 * of this name already, and goes on with the next.  src/ledger.c refuses to
 * write where it does not.
 */
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.account
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.account IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.account_limit
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.account_limit IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.limit_change
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.limit_change IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.source_problem
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.source_problem IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.item
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.item IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.item_version
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.item_version IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.settlement
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.settlement IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.month_mark
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.month_mark IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.journal
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.journal IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.decision_log
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.decision_log IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
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
		   CASE WHEN x.extversion ~ '[^0-9.]' THEN 'Install the library of that version.'
				WHEN string_to_array(x.extversion, '.')::int[] > string_to_array(credit.version(), '.')::int[]
				THEN format('Install version %s of the library again and reconnect; there is no way back for the catalog but a restore.', x.extversion)
				ELSE 'Run ALTER EXTENSION credit UPDATE, or install the library of that version.' END AS advice
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
	SELECT 1, 'error', 'source ' || s.name, 'is a view of which no table is declared: nothing is captured',
		   COALESCE('For example: ' || (SELECT string_agg(m.suggestion, ' ' ORDER BY m.relation::text)
										  FROM credit.missing_dependencies(s.name) m),
					'credit.depend() declares the tables it is made of.')
	  FROM credit.sources s WHERE s.health = 'nothing captured'
	UNION ALL
	SELECT 3, 'info', 'source ' || s.name,
		   format('reads %s, of which nothing is captured', string_agg(m.relation::text, ', ' ORDER BY m.relation::text)),
		   'Fine for tables that never change what a document is worth; else: ' ||
		   string_agg(m.suggestion, ' ' ORDER BY m.relation::text)
	  FROM credit.sources s CROSS JOIN LATERAL credit.missing_dependencies(s.name) m
	 WHERE s.health NOT IN ('broken', 'nothing captured')
	 GROUP BY s.name
	UNION ALL
	SELECT 2, 'warning', 'source ' || s.name,
		   format('%s transactions had rows that could not be read, last on %s: %s', s.n_problems, s.last_problem_at, s.problem),
		   'Those rows are not in the ledger. Detach the source and attach it again.'
	  FROM credit.sources s WHERE s.health = 'unverified'
	UNION ALL
	SELECT o.rank, o.severity, o.subject, o.finding, o.advice FROM credit.operation_findings() o
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
	SELECT 2, 'warning', 'exchange rates',
		   format('%s accounts in %s have documents in %s, and there is no rate of type %s that counts%s: they have no total, and their orders meet rule missing_rate',
				  q.n, q.currency, q.other, t.value,
				  CASE WHEN f.rate_path = 'stale' THEN format(' (the last is of %s)', to_char(f.rate_date, 'YYYY-MM-DD')) ELSE '' END),
		   format('SELECT credit.set_rate(%L, %L, ...), or see to it that rates are loaded every day (setting rate_age).', q.other, q.currency)
	  FROM (SELECT l.currency, b.currency AS other, count(*) AS n
			  FROM credit.account_limit l CROSS JOIN LATERAL credit.balance(l.account_id) b
			 WHERE b.currency <> l.currency AND b.total <> 0
			 GROUP BY 1, 2) q
	 CROSS JOIN LATERAL credit.find_rate(q.other, q.currency, credit.today()) f
	  JOIN credit.settings t ON t.name = 'rate_type'
	 WHERE f.rate IS NULL
	UNION ALL
	SELECT 2, 'warning', 'exchange rates',
		   format('the last rate of type %s from %s to %s is of %s; after %s it does not count any more, and orders of accounts that need it meet rule missing_rate',
				  t.value, q.other, q.currency, to_char(f.rate_date, 'YYYY-MM-DD'), to_char(f.rate_date + g.days, 'YYYY-MM-DD')),
		   'See to it that rates are loaded every day.'
	  FROM (SELECT DISTINCT l.currency, b.currency AS other
			  FROM credit.account_limit l CROSS JOIN LATERAL credit.balance(l.account_id) b
			 WHERE b.currency <> l.currency AND b.total <> 0) q
	 CROSS JOIN LATERAL credit.find_rate(q.other, q.currency, credit.today()) f
	  JOIN credit.settings t ON t.name = 'rate_type'
	 CROSS JOIN LATERAL (SELECT (extract(epoch FROM s.value::interval) / 86400)::int AS days
						   FROM credit.settings s WHERE s.name = 'rate_age') g
	 /* over a long weekend it is as it should be */
	 WHERE f.rate IS NOT NULL AND g.days >= 4 AND f.rate_date + g.days - credit.today() <= 2
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
	   AND (x.indexprs IS NOT NULL OR x.indisexclusion OR NOT x.indimmediate OR
			pg_get_expr(x.indpred, x.indrelid) !~ '^(\(\w+ IS NOT NULL\)|\(NOT \w+\)|\w+)$')
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

/*
 * What is new is not granted here: rights that an update grants belong to the
 * extension, and no dump would carry them.
 */
DO $do$
DECLARE
	analyst text;
BEGIN
	FOR analyst IN
		SELECT DISTINCT a.grantee::regrole::text
		  FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
		 WHERE p.oid = 'credit.exposure_on(date)'::regprocedure AND a.grantee NOT IN (0, p.proowner)
		 ORDER BY 1
	LOOP
		RAISE WARNING 'role % lacks the rights to what is new, which views of before use too', analyst
			USING HINT = format('In the same transaction or at once: SELECT credit.grant_analyst(%L);', analyst);
	END LOOP;
END
$do$;

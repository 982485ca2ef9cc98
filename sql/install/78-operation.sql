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

/*
 * Subject dependency: depend() and undepend(), which put the triggers of a
 * view on the tables it is made of.
 */

/* What to write for the tables of a view that are not declared yet. */
CREATE FUNCTION credit.missing_dependencies(source text, OUT relation regclass, OUT suggestion text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT t.relation,
	   format('SELECT credit.depend(%L, %L, $$%s$$);', s.name, t.relation,
			  COALESCE(own.query, joined.query, 'SELECT <key of the document> FROM changed'))
  FROM credit.source s
  CROSS JOIN LATERAL credit.view_tables(s.relation) t (relation)
  /* whose column the key is: in many ERPs every table has one of that name */
  LEFT JOIN LATERAL
	   (SELECT o.relation, o.attname
		  FROM pg_attribute v
		 CROSS JOIN LATERAL credit.view_column(s.relation, v.attname) o
		 WHERE v.attrelid = s.relation AND quote_ident(v.attname) = s.fields ->> 'key') k ON true
  CROSS JOIN LATERAL
	   (SELECT CASE WHEN k.relation = t.relation
					THEN format('SELECT %I FROM changed', k.attname) END AS query) own
  LEFT JOIN LATERAL
	   (SELECT CASE WHEN b.attname = k.attname
					THEN format('SELECT %I FROM changed', a.attname)
					WHEN k.attname IS NOT NULL
					THEN format('SELECT d.%I FROM changed c JOIN %s d ON d.%I = c.%I',
								k.attname, k.relation, b.attname, a.attname) END AS query
		  FROM pg_constraint f
		  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
		 WHERE f.conrelid = t.relation AND f.confrelid = k.relation
		   AND f.contype = 'f' AND cardinality(f.conkey) = 1
		 ORDER BY f.conname LIMIT 1) joined ON true
 WHERE s.name = missing_dependencies.source
   AND EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation AND c.relkind = 'v')
   AND NOT EXISTS (SELECT FROM credit.dependency d
					WHERE d.source_id = s.source_id AND d.relation = t.relation)
 ORDER BY t.relation::text
$f$;
COMMENT ON FUNCTION credit.missing_dependencies(text) IS
'Tables that a view reads and that are not declared by depend(), each with a call that may fit. A table that never changes need not be declared.';

/* What speaks against a table as a dependency, one sentence each. */
CREATE FUNCTION credit.dependency_problems(source_id integer, relation regclass) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_class%ROWTYPE;
	s credit.source%ROWTYPE;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = dependency_problems.source_id;
	IF NOT credit.is_view(s.relation) THEN
		RETURN NEXT format('%s is no view: what is written to it is captured by its own triggers.', s.name);
	END IF;
	SELECT * INTO c FROM pg_class WHERE oid = relation;
	IF c.relkind NOT IN ('r', 'p') THEN
		RETURN NEXT format('%s is not a table. Declare the tables that are behind it.', relation);
		RETURN;
	END IF;
	IF c.relpersistence = 't' THEN
		RETURN NEXT format('%s is a temporary table.', relation);
	END IF;
	IF c.relnamespace IN ('pg_catalog'::regnamespace, 'credit'::regnamespace) THEN
		RETURN NEXT format('%s belongs to the system.', relation);
	END IF;
	IF NOT has_table_privilege(relation, 'TRIGGER') THEN
		RETURN NEXT format('Role %s lacks TRIGGER on %s.', current_user, relation);
	END IF;
	IF NOT c.relispartition AND c.relkind = 'r' AND EXISTS
		(SELECT FROM pg_inherits h WHERE relation IN (h.inhrelid, h.inhparent)) THEN
		RETURN NEXT format('%s takes part in table inheritance, which triggers do not follow.', relation);
	END IF;
	IF EXISTS (SELECT FROM credit.dependency d
				WHERE d.source_id = s.source_id AND d.relation = dependency_problems.relation) THEN
		RETURN NEXT format('%s is declared already. Call credit.undepend() first.', relation);
	END IF;
END
$$;
COMMENT ON FUNCTION credit.dependency_problems(integer, regclass) IS
'Why a source cannot depend on a table, one sentence each; no row: it can.';

/*
 * Several tables at once: all are checked before the first is locked, and the
 * documents are looked at once.
 */
CREATE FUNCTION credit.declare_dependencies
	(source text, relations regclass[], changed_keys text[], lock_timeout text, path text)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	problems text[] := '{}';
	problem text;
	hint text;
	queries text[] := '{}';
	query text;
	relation regclass;
	names text := array_to_string(relations, ', ');
	n bigint;
	missing text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = declare_dependencies.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	IF relations IS NULL OR cardinality(relations) IS DISTINCT FROM cardinality(changed_keys) OR
	   array_position(relations, NULL) > 0 OR array_position(changed_keys, NULL) > 0 THEN
		RAISE EXCEPTION 'the table or its key query is NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		RAISE EXCEPTION 'depend cannot run in a transaction in %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_transaction_state',
				  DETAIL = 'It must see every row that was committed before it got its lock.',
				  HINT = 'Use READ COMMITTED.';
	END IF;
	FOR i IN 1 .. cardinality(relations) LOOP
		relation := relations[i];
		problem := array_to_string(ARRAY(SELECT credit.dependency_problems(s.source_id, relation)), E'\n');
		IF problem = '' THEN
			BEGIN
				query := credit.normalise_changed_keys(s.relation, relation, changed_keys[i], path);
				queries := queries || query;
				CONTINUE;
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
				problem := rtrim(format('%s. %s', problem, hint));
			END;
		END IF;
		problems := problems || CASE WHEN cardinality(relations) > 1 THEN relation || ': ' || problem ELSE problem END;
	END LOOP;
	IF cardinality(problems) > 0 THEN
		RAISE EXCEPTION '% cannot depend on %', source, names
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = array_to_string(problems, E'\n'),
				  HINT = 'Nothing was changed.';
	END IF;
	PERFORM credit.progress_begin('depend', s.name);
	FOR i IN 1 .. cardinality(relations) LOOP
		relation := relations[i];
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(relation, lock_timeout);
		INSERT INTO credit.dependency (source_id, relation, changed_keys) VALUES (s.source_id, relation, queries[i]);
		PERFORM credit.create_triggers(relation);
	END LOOP;
	/* what has changed since attach() read the view */
	PERFORM credit.progress_phase('reading the view again', NULL);
	n := credit.reevaluate(s.source_id);
	PERFORM credit.progress_end();
	SELECT string_agg(m.relation::text, ', ' ORDER BY m.relation::text) INTO missing
	  FROM credit.missing_dependencies(source) m;
	RAISE NOTICE '% depends on %: % documents looked at', source, names, n;
	IF missing IS NOT NULL THEN
		RAISE NOTICE 'not declared: %', missing;
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.declare_dependencies(text, regclass[], text[], text, text) IS
'Declares several tables of a view, of which each document is looked at once; use depend() for one.';

CREATE FUNCTION credit.declare_dependency
	(source text, relation regclass, changed_keys text, lock_timeout text, path text)
RETURNS bigint
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
SELECT credit.declare_dependencies(source, ARRAY[relation], ARRAY[changed_keys], lock_timeout, path)
$$;
COMMENT ON FUNCTION credit.declare_dependency(text, regclass, text, text, text) IS
'One table by declare_dependencies(); use depend().';

CREATE FUNCTION credit.depend
	(source text, relation regclass, changed_keys text, lock_timeout text DEFAULT '5s')
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
SELECT credit.declare_dependencies(source, ARRAY[relation], ARRAY[changed_keys], lock_timeout,
								   current_setting('search_path'));
END;
COMMENT ON FUNCTION credit.depend(text, regclass, text, text) IS
'Declares a table that the documents of a view are made of. changed_keys is a query over relation changed, which has the old and new rows of a statement on that table, and returns the keys of the documents they belong to: SELECT invoice_id FROM changed. Creates triggers on the table and takes in what has changed since attach(); returns the number of documents looked at. Declare every table on the way from a row to its document.';

CREATE FUNCTION credit.undepend(source text, relation regclass, lock_timeout text DEFAULT '5s') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d credit.dependency%ROWTYPE;
BEGIN
	SELECT x.* INTO d FROM credit.dependency x JOIN credit.source s ON s.source_id = x.source_id
	 WHERE s.name = undepend.source AND x.relation = undepend.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'source "%" does not depend on %', source, relation
			USING ERRCODE = 'undefined_object', HINT = 'View credit.dependencies lists what is declared.';
	END IF;
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = d.relation) THEN
		PERFORM credit.lock_source_table(relation, lock_timeout);
	END IF;
	PERFORM credit.maintain(true);
	DELETE FROM credit.dependency x WHERE x.source_id = d.source_id AND x.relation = d.relation;
	PERFORM credit.maintain(false);
	PERFORM credit.drop_triggers(d.relation);
END
$$;
COMMENT ON FUNCTION credit.undepend(text, regclass, text) IS
'Undoes depend(): from now on, writes to that table do not reach the documents of the view.';

CREATE VIEW credit.dependencies AS
SELECT s.name AS source, d.relation, d.changed_keys,
	   credit.has_triggers(d.relation) AS has_triggers,
	   d.declared_at, d.declared_by
  FROM credit.dependency d
  JOIN credit.source s ON s.source_id = d.source_id;
COMMENT ON VIEW credit.dependencies IS 'Tables that sources which are views depend on, as declared by depend().';
COMMENT ON COLUMN credit.dependencies.source IS 'Name of the source, a view.';
COMMENT ON COLUMN credit.dependencies.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.dependencies.changed_keys IS 'Query over relation changed that returns the keys of the documents.';
COMMENT ON COLUMN credit.dependencies.has_triggers IS 'True: all four triggers are there and enabled.';
COMMENT ON COLUMN credit.dependencies.declared_at IS 'When it was declared.';
COMMENT ON COLUMN credit.dependencies.declared_by IS 'Session user who declared it.';

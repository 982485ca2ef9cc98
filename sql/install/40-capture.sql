/*
 * Subject capture: triggers on the ERP's tables, and attach() and detach(),
 * which put them there.
 *
 * Four triggers and nothing else stand on a table of the ERP.  They sort last,
 * so that the ERP's own triggers have done their work before ours look.
 */
CREATE FUNCTION credit.begin_statement() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_begin_statement';
COMMENT ON FUNCTION credit.begin_statement() IS
'Trigger of attached tables, before each statement: opens what the rows are collected in.';
CREATE FUNCTION credit.capture_row() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_capture_row';
COMMENT ON FUNCTION credit.capture_row() IS
'Trigger of attached tables, after each row: reads the mapped values.';
CREATE FUNCTION credit.end_statement() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_end_statement';
COMMENT ON FUNCTION credit.end_statement() IS
'Trigger of attached tables, after each statement: checks and posts what was collected.';
CREATE FUNCTION credit.capture_truncate() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_capture_truncate';
COMMENT ON FUNCTION credit.capture_truncate() IS
'Trigger of attached tables, after TRUNCATE: takes their documents out of the ledger.';

CREATE FUNCTION credit.forget(relation oid, source_id integer, kind text) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'credit_forget';
COMMENT ON FUNCTION credit.forget(oid, integer, text) IS
'Takes everything a source has brought out of the ledger; use detach().';

CREATE FUNCTION credit.apply_customer
	(relation regclass, source_id integer, customer text, segment text, name text,
	 currency text, credit_limit numeric, parent text, status text,
	 terms_days integer, rating text)
RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'credit_apply_customer';
COMMENT ON FUNCTION credit.apply_customer(regclass, integer, text, text, text, text, numeric, text, text, integer, text) IS
'Takes one customer of a backfill into the ledger; use attach().';

CREATE FUNCTION credit.has_triggers(relation regclass) RETURNS boolean
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

CREATE FUNCTION credit.create_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = relation AND t.tgname = 'zz_credit_row') THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE TRIGGER zz_credit_begin BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.begin_statement()', relation);
	EXECUTE format('CREATE TRIGGER zz_credit_row AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION credit.capture_row()', relation);
	EXECUTE format('CREATE TRIGGER zz_credit_end AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.end_statement()', relation);
	EXECUTE format('CREATE TRIGGER zz_credit_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION credit.capture_truncate()', relation);
END
$$;
COMMENT ON FUNCTION credit.create_triggers(regclass) IS
'Puts the triggers of an attached table in place, unless they are there; use attach() and depend().';

CREATE FUNCTION credit.drop_triggers(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p')) OR
	   EXISTS (SELECT FROM credit.source s WHERE s.relation = drop_triggers.relation) OR
	   EXISTS (SELECT FROM credit.dependency d WHERE d.relation = drop_triggers.relation) THEN
		RETURN;
	END IF;
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_begin ON %s', relation);
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_row ON %s', relation);
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_end ON %s', relation);
	EXECUTE format('DROP TRIGGER IF EXISTS zz_credit_truncate ON %s', relation);
END
$$;
COMMENT ON FUNCTION credit.drop_triggers(regclass) IS
'Takes the triggers off a table that nothing needs them on any more; use detach() and undepend().';

CREATE FUNCTION credit.is_view(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind = 'v')
$$;
COMMENT ON FUNCTION credit.is_view(regclass) IS 'True: it is a view.';

CREATE FUNCTION credit.has_unique_key(relation regclass, key text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT EXISTS
	(SELECT FROM pg_index x
	  WHERE x.indrelid = relation AND x.indisunique AND x.indimmediate
		AND x.indpred IS NULL AND x.indexprs IS NULL
		AND key IN (SELECT CASE WHEN count(*) = 1 THEN min(quote_ident(a.attname))
								ELSE 'ROW(' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) || ')' END
					  FROM unnest(x.indkey[0:x.indnkeyatts - 1]) k
					  JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k
					UNION ALL
					SELECT 'ROW(' || string_agg(quote_ident(a.attname), ', ' ORDER BY k.n) || ')'
					  FROM unnest(x.indkey[0:x.indnkeyatts - 1]) WITH ORDINALITY k (attnum, n)
					  JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = k.attnum))
$$;
COMMENT ON FUNCTION credit.has_unique_key(regclass, text) IS
'True: a unique index of the table covers exactly the columns of this (normalised) key.';

/* What is wrong with the table itself, one sentence each. */
CREATE FUNCTION credit.relation_problems(relation regclass, kind text) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_class%ROWTYPE;
	related regclass;
BEGIN
	SELECT * INTO c FROM pg_class WHERE oid = relation;
	IF c.relkind NOT IN ('r', 'p', 'v') THEN
		RETURN NEXT format(CASE c.relkind
			WHEN 'm' THEN '%s is a materialised view, which changes only when it is refreshed. Attach a view with the same query, or the table the rows are written to.'
			WHEN 'f' THEN '%s is a foreign table: what others write to it does not pass through here. Attach the table the rows are written to, in its own database.'
			ELSE '%s is not a table. Attach the table the rows are written to.' END, relation);
		RETURN;
	END IF;
	IF c.relpersistence = 't' THEN
		RETURN NEXT format('%s is a temporary table.', relation);
	END IF;
	IF c.relnamespace IN ('pg_catalog'::regnamespace, 'credit'::regnamespace) THEN
		RETURN NEXT format('%s belongs to the system.', relation);
	END IF;
	IF (c.relkind <> 'v' AND NOT has_table_privilege(relation, 'TRIGGER')) OR NOT has_table_privilege(relation, 'SELECT') THEN
		RETURN NEXT format('Role %s lacks TRIGGER or SELECT on %s.', current_user, relation);
	END IF;
	IF row_security_active(relation) THEN
		RETURN NEXT format('Row security hides rows of %s from role %s. Attach as the owner or a superuser.', relation, current_user);
	END IF;
	IF NOT c.relispartition AND c.relkind = 'r' AND EXISTS
		(SELECT FROM pg_inherits h WHERE relation IN (h.inhrelid, h.inhparent)) THEN
		RETURN NEXT format('%s takes part in table inheritance, which triggers do not follow. Attach partitioned tables or plain ones.', relation);
	END IF;
	IF EXISTS (SELECT FROM credit.source s WHERE s.relation = relation_problems.relation AND s.kind = relation_problems.kind) THEN
		RETURN NEXT format('%s is attached as %s already. Detach it first.', relation, kind);
	END IF;
	FOR related IN
		SELECT s.relation FROM credit.source s
		 WHERE s.kind = relation_problems.kind AND s.relation <> relation_problems.relation
		   AND (s.relation IN (SELECT p.relid FROM pg_partition_ancestors(relation_problems.relation) p)
				OR s.relation IN (SELECT t.relid FROM pg_partition_tree(relation_problems.relation) t))
	LOOP
		RETURN NEXT format('%s, of the same partitioned table, is attached as %s already: its rows would count twice.', related, kind);
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.relation_problems(regclass, text) IS
'Why a table or view cannot be attached as this kind, one sentence each; no row: it can.';

/* What is wrong with the fields, one sentence each; normalises the rest. */
CREATE FUNCTION credit.check_fields
	(relation regclass, kind text, fields jsonb, path text,
	 OUT normalised jsonb, OUT problems text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	f record;
	problem text;
	hint text;
BEGIN
	normalised := '{}';
	problems := '{}';
	FOR f IN SELECT k.key AS field, k.value AS expression, c.kinds
			   FROM jsonb_each_text(fields) k
			   LEFT JOIN credit.field_catalog() c ON c.field = k.key
			  ORDER BY k.key
	LOOP
		IF f.kinds IS NULL OR NOT kind = ANY (f.kinds) THEN
			problems := problems || format('%s: kind %s has no such field.', f.field, kind);
			CONTINUE;
		END IF;
		BEGIN
			normalised := normalised || jsonb_build_object
				(f.field, credit.normalise_expression(relation, f.expression, f.field, path));
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			problems := problems || rtrim(format('%s: %s. %s', f.field, problem, hint));
		END;
	END LOOP;
	problems := problems || ARRAY
		(SELECT format('%s: missing. %s', c.field, c.description)
		   FROM credit.field_catalog() c
		  WHERE kind = ANY (c.required) AND NOT fields ? c.field
		  ORDER BY c.field);
END
$$;
COMMENT ON FUNCTION credit.check_fields(regclass, text, jsonb, text) IS
'Checks all fields of a mapping at once: the normalised ones, and what is wrong with the others.';

/* The SELECT that reads a view, or a table, as its owner, whoever asks. */
CREATE FUNCTION credit.owner_query(relation regclass, kind text, fields jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('SELECT * FROM credit.view_rows(%L::pg_catalog.regclass, %L::pg_catalog.jsonb) v (%s)',
			  relation, fields, string_agg(format('%I %s', c.field, c.type), ', ' ORDER BY c.field))
  FROM credit.field_catalog() c
 WHERE kind = ANY (c.kinds) AND c.field <> 'counts_when'
$$;
COMMENT ON FUNCTION credit.owner_query(regclass, text, jsonb) IS
'SQL text that reads a view or table through a mapping as its owner.';

/*
 * The SELECT that reads a table through a mapping, as the triggers do row by
 * row: every field with its final type.
 */
CREATE FUNCTION credit.mapping_query(relation regclass, kind text, fields jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN credit.is_view(relation)
	   THEN credit.owner_query(relation, kind, fields)
	   ELSE format('SELECT %s FROM %s WHERE %s',
			  (SELECT string_agg(format(CASE WHEN c.field IN ('origin', 'applies_to', 'payment', 'document')
											  AND fields ->> c.field ~ '^(ROW)?\('
											 /* a composite key of NULLs names nothing */
											 THEN 'CASE WHEN (%1$s)::%2$s !~ ''^\(,+\)$'' THEN (%1$s)::%2$s END AS %3$I'
											 ELSE '(%1$s)::%2$s AS %3$I' END,
										COALESCE(fields ->> c.field, 'NULL'), c.type, c.field), ', '
								 ORDER BY c.field)
				 FROM credit.field_catalog() c
				WHERE kind = ANY (c.kinds) AND c.field <> 'counts_when'),
			  relation, COALESCE('(' || (fields ->> 'counts_when') || ')', 'true')) END
$$;
COMMENT ON FUNCTION credit.mapping_query(regclass, text, jsonb) IS
'SQL text that reads a table through a mapping, for backfill and for people who want to see what is read.';

/*
 * The functions that read a table through its mapping do so under fixed
 * formats and in the zone of setting time_zone, as the triggers do: a key must
 * not depend on the DateStyle of whoever writes the row.
 */
CREATE FUNCTION credit.time_zone() RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE s.value WHEN 'server' THEN current_setting('log_timezone') ELSE s.value END
  FROM credit.settings s WHERE s.name = 'time_zone'
$$;
COMMENT ON FUNCTION credit.time_zone() IS 'Time zone that setting time_zone names.';

/* Dry run: says what attach() would do, changes nothing. */
CREATE FUNCTION credit.attach_estimate(relation regclass, kind text, fields jsonb) RETURNS void
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
	estimated float8;
	portion text := '10000';
	bytes bigint;
	sampled bigint;
	started timestamptz;
	seconds float8;
	nulls bigint;
	zeros bigint;
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	SELECT GREATEST(sum(GREATEST(c.reltuples, 0)), 0), sum(pg_table_size(c.oid))
	  INTO estimated, bytes
	  FROM pg_class c
	 WHERE c.oid IN (SELECT relation UNION ALL SELECT t.relid FROM pg_partition_tree(relation) t);
	IF credit.is_view(relation) THEN
		/* its rows are known when all are read, and are not those of its tables */
		estimated := 0;
		portion := 'ALL';
		bytes := (SELECT COALESCE(sum(pg_table_size(t.oid)), 0)
					FROM (SELECT v.oid FROM credit.view_tables(relation) v (oid)
						  UNION
						  SELECT p.relid FROM credit.view_tables(relation) v (oid), pg_partition_tree(v.oid) p) t);
	END IF;
	started := clock_timestamp();
	EXECUTE format('SELECT count(*) FROM (%s LIMIT %s) q', query, portion) INTO sampled;
	EXECUTE format('SELECT count(*) FROM (SELECT q.*::text FROM (%s LIMIT %s) q OFFSET 0) q', query, portion) INTO sampled;
	seconds := extract(epoch FROM clock_timestamp() - started);
	estimated := GREATEST(estimated, sampled);
	RAISE NOTICE 'dry run: nothing is changed';
	RAISE NOTICE 'would read about % rows (%) of %', estimated::bigint, pg_size_pretty(bytes), relation;
	IF credit.is_view(relation) THEN
		RAISE NOTICE 'would lock nothing and create no trigger; credit.depend() does, on each table that is declared';
	ELSE
		RAISE NOTICE 'would lock % in mode SHARE ROW EXCLUSIVE until the end of the transaction: reads go on, writes wait', relation;
	END IF;
	/* six times reading as sampled, plus 25 microseconds a row to write the ledger */
	RAISE NOTICE 'would take about % s and write about % into schema credit',
		round((estimated * (6 * seconds / GREATEST(sampled, 1) + 0.000025))::numeric + 0.1, 1),
		pg_size_pretty((estimated * CASE kind WHEN 'customer' THEN 450 ELSE 270 END)::bigint);
	IF NOT credit.is_view(relation) THEN
		RAISE NOTICE 'would create triggers zz_credit_begin, zz_credit_row, zz_credit_end and zz_credit_truncate on %', relation;
	END IF;
	IF fields ? 'credit_limit' THEN
		EXECUTE format('SELECT count(*) FILTER (WHERE credit_limit IS NULL), count(*) FILTER (WHERE credit_limit = 0) FROM (%s) q', query)
		   INTO nulls, zeros;
		RAISE NOTICE 'limits: % are NULL, % are 0 (null_limit and zero_limit say what that means)', nulls, zeros;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.attach_estimate(regclass, text, jsonb) IS
'What attach() would read, lock, write and create; what dry_run => true shows.';

/* Refuses data that the ledger cannot hold, with figures. */
CREATE FUNCTION credit.check_rows(relation regclass, kind text, fields jsonb) RETURNS text[]
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
COMMENT ON FUNCTION credit.check_rows(regclass, text, jsonb) IS
'What stands in the rows of a table that the ledger cannot hold, one sentence each.';

/* The columns of an item that are fields of the same name, as a list. */
CREATE FUNCTION credit.plain_columns(kind text, prefix text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT string_agg(prefix || quote_ident(c.field), ', ' ORDER BY c.field)
  FROM credit.field_catalog() c
 WHERE kind = ANY (c.kinds)
   AND c.field IN ('document_date', 'due_date', 'posting_date', 'number', 'is_disputed',
				   'open_amount', 'settled_on', 'reversed_on', 'disputed_amount',
				   'retention_amount', 'retention_until', 'is_write_off')
$$;
COMMENT ON FUNCTION credit.plain_columns(text, text) IS
'Columns of item that a backfill of this kind takes as they are, each with a prefix.';

CREATE FUNCTION credit.origin_column(kind text, prefix text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT COALESCE((SELECT prefix || quote_ident(c.field) FROM credit.field_catalog() c
				  WHERE kind = ANY (c.kinds) AND c.field IN ('origin', 'applies_to')), 'NULL')
$$;
COMMENT ON FUNCTION credit.origin_column(text, text) IS
'Field that column origin of item is of this kind, with a prefix.';

/* What a source that states its open amounts says of the time before: no day is known. */
CREATE FUNCTION credit.backfill_settlement(source_id integer) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
INSERT INTO credit.settlement (source_id, key, settled_on, amount, kind, stated_by_source_id, stated_by_key, recorded_at)
SELECT i.source_id, i.key,
	   CASE WHEN COALESCE(i.open_amount, 0) = 0 AND isfinite(i.settled_on) THEN i.settled_on END,
	   i.amount - COALESCE(i.open_amount, 0), 'stated', i.source_id, i.key, clock_timestamp()
  FROM credit.item i
 WHERE i.source_id = $1
   AND (i.open_amount <> i.amount OR (i.open_amount IS NULL AND isfinite(i.settled_on)))
$$;
COMMENT ON FUNCTION credit.backfill_settlement(integer) IS
'Writes down what the documents of a new source say of their settlement; use attach().';

/* Rows that only join documents have no account. */
CREATE FUNCTION credit.backfill_joins(relation regclass, source_id integer, kind text, fields jsonb) RETURNS bigint
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
	EXECUTE format($q$
		INSERT INTO credit.item (source_id, key, currency, amount, stages, recorded_at,
								 is_counted, is_open, next_on, origin, document %6$s)
		SELECT %1$s, credit.progress_row(q.key, 'writing documents', $1), q.currency, q.amount, '{}', clock_timestamp(),
			   o.is_counted, false, o.next_on, %2$s, q.%3$I %7$s
		  FROM (%4$s) q
		 CROSS JOIN LATERAL credit.own_stages(%5$L, q.amount, NULL, NULL, %8$s) o
		 WHERE q.amount IS NOT NULL$q$,
		source_id, credit.origin_column(kind, 'q.'),
		CASE kind WHEN 'link' THEN 'document' ELSE 'payment' END,
		credit.mapping_query(relation, kind, fields), kind,
		', ' || credit.plain_columns(kind, ''), ', ' || credit.plain_columns(kind, 'q.'),
		CASE kind WHEN 'application' THEN 'q.reversed_on, q.document_date, q.posting_date' ELSE 'NULL, NULL, NULL' END)
		USING credit.estimated_rows(relation);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.backfill_joins(regclass, integer, text, jsonb) IS
'Takes the applications or links that are in a table into the ledger; use attach().';

/*
 * Joins what a backfill has written to its family.  A key that documents name
 * and that this source does not have gets a row, where whoever brings it meets
 * them.
 */
CREATE FUNCTION credit.join_source(source_id integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM credit.progress_phase('joining documents',
		(SELECT count(*) FROM credit.item i WHERE i.source_id = join_source.source_id));
	INSERT INTO credit.item (source_id, key, stages, recorded_at, is_counted, is_open)
	SELECT join_source.source_id, n.key, '{}'::numeric[], clock_timestamp(), false, NULL::boolean
	  FROM credit.source s
	  CROSS JOIN LATERAL
		   (SELECT i.origin AS key FROM credit.item i JOIN credit.source x ON x.source_id = i.source_id
			 WHERE i.origin IS NOT NULL
			   AND s.kind = CASE WHEN x.kind IN ('payment', 'credit_note', 'application')
								 THEN x.applies_to_kind ELSE x.origin_kind END
			UNION
			SELECT i.document FROM credit.item i JOIN credit.source x ON x.source_id = i.source_id
			 WHERE i.document IS NOT NULL
			   AND s.kind = CASE x.kind WHEN 'link' THEN x.applies_to_kind ELSE x.payment_kind END) n
	 WHERE s.source_id = join_source.source_id
	   AND NOT EXISTS (SELECT FROM credit.item i WHERE i.source_id = s.source_id AND i.key = n.key);
	PERFORM credit.join_documents(source_id);
	/* what the rows of the source say of themselves */
	INSERT INTO credit.month_mark (account_id, month)
	SELECT DISTINCT i.account_id, COALESCE(date_trunc('month', t.settled_on::timestamp)::date, '-infinity')
	  FROM credit.settlement t
	  JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
	 WHERE t.source_id = join_source.source_id AND t.stated_by_source_id = t.source_id
	   AND i.account_id IS NOT NULL;
END
$$;
COMMENT ON FUNCTION credit.join_source(integer) IS
'Joins the documents of a new source to those they name and to those that name them; use attach().';

/* Takes the documents that are there into the ledger: never refuses any. */
CREATE FUNCTION credit.backfill_documents(relation regclass, source_id integer, kind text, fields jsonb) RETURNS bigint
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
					COALESCE(q.currency, %1$L) COLLATE "C" AS item_currency, o.*
			   FROM (%2$s) q
			   JOIN credit.account a ON a.customer = q.customer AND a.segment = COALESCE(q.segment, '')
			  CROSS JOIN LATERAL credit.own_stages(%3$L, q.amount, %4$s) o
			  WHERE q.amount IS NOT NULL),
		posted AS MATERIALIZED
			(SELECT s.account_id, s.item_currency, credit.adjust
					(credit.progress_row(s.account_id, 'posting to the journal', NULL), s.item_currency,
					 ARRAY[s.ordered, s.delivered, s.invoiced, s.unapplied], %5$s) AS seq
			   FROM (SELECT d.account_id, d.item_currency,
							COALESCE(sum(d.stages[1]), 0) AS ordered, COALESCE(sum(d.stages[2]), 0) AS delivered,
							COALESCE(sum(d.stages[3]), 0) AS invoiced, COALESCE(sum(d.stages[4]), 0) AS unapplied
					   FROM document d WHERE d.stages <> '{}'
					  GROUP BY d.account_id, d.item_currency
					  ORDER BY d.account_id, d.item_currency) s)
		INSERT INTO credit.item (source_id, key, account_id, currency, amount, stages, recorded_at, seq,
								 is_counted, is_open, next_on, origin, %6$s)
		SELECT %5$s, credit.progress_row(d.key, 'writing documents', $1), d.account_id, d.item_currency,
			   d.amount, d.stages, clock_timestamp(),
			   CASE WHEN d.stages <> '{}' THEN p.seq END,
			   d.is_counted, d.stages <> '{}', d.next_on, %7$s, %8$s
		  FROM document d
		  LEFT JOIN posted p ON p.account_id = d.account_id AND p.item_currency = d.item_currency$q$,
		base_currency, query, kind,
		(SELECT string_agg(CASE WHEN kind = ANY (c.kinds) THEN 'q.' || c.field ELSE 'NULL' END, ', '
						   ORDER BY array_position(ARRAY['open_amount', 'settled_on', 'reversed_on', 'document_date', 'posting_date'], c.field))
		   FROM credit.field_catalog() c
		  WHERE c.field IN ('open_amount', 'settled_on', 'reversed_on', 'document_date', 'posting_date')),
		source_id, credit.plain_columns(kind, ''), credit.origin_column(kind, 'd.'), credit.plain_columns(kind, 'd.'))
		USING estimated;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF fields ?| ARRAY['open_amount', 'settled_on'] THEN
		PERFORM credit.backfill_settlement(source_id);
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.backfill_documents(regclass, integer, text, jsonb) IS
'Takes the documents that are in a table into the ledger; use attach().';

CREATE FUNCTION credit.backfill_customers(relation regclass, source_id integer, fields jsonb) RETURNS bigint
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
COMMENT ON FUNCTION credit.backfill_customers(regclass, integer, jsonb) IS
'Takes the customers that are in a table into the ledger; use attach().';

/* Says what the DBA should look at after an attach. */
CREATE FUNCTION credit.attach_report(source_name text, source_kind text, rows bigint) RETURNS void
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
COMMENT ON FUNCTION credit.attach_report(text, text, bigint) IS
'What attach() says when it is done.';

CREATE FUNCTION credit.lock_source_table(relation regclass, lock_timeout text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
AS $$
BEGIN
	/* ends with this function: the rest of the transaction keeps its own */
	PERFORM set_config('lock_timeout', lock_timeout, true);
	EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', relation);
END
$$;
COMMENT ON FUNCTION credit.lock_source_table(regclass, text) IS
'Locks a table against writers for attach() and detach(), waiting no longer than lock_timeout.';

/*
 * Which kind of document each reference of a mapping names: as the caller says,
 * or what is usual.  It is fixed here, so that a later attach does not change
 * what an earlier one means.
 */
CREATE FUNCTION credit.check_references
	(kind text, fields jsonb, origin_kind text, applies_to_kind text, payment_kind text,
	 OUT origin text, OUT applies_to text, OUT payment text, OUT problems text[])
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r record;
	debt text := CASE WHEN EXISTS (SELECT FROM credit.source s WHERE s.kind = 'receivable')
					   AND NOT EXISTS (SELECT FROM credit.source s WHERE s.kind = 'invoice')
					  THEN 'receivable' ELSE 'invoice' END;
BEGIN
	problems := '{}';
	IF kind IN ('delivery', 'invoice', 'receivable', 'link') AND fields ? 'origin' THEN
		origin := COALESCE(origin_kind, 'order');
	END IF;
	IF (kind IN ('payment', 'credit_note', 'application') AND fields ? 'applies_to') OR
	   (kind = 'link' AND fields ? 'document') THEN
		applies_to := COALESCE(applies_to_kind, debt);
	END IF;
	IF kind = 'application' AND fields ? 'payment' THEN
		payment := COALESCE(payment_kind, CASE applies_to WHEN 'receivable' THEN 'receivable' ELSE 'payment' END);
	END IF;
	FOR r IN SELECT * FROM (VALUES
		('origin_kind', origin_kind, origin, CASE WHEN kind = 'delivery' THEN ARRAY['order'] ELSE ARRAY['order', 'delivery'] END),
		('applies_to_kind', applies_to_kind, applies_to, ARRAY['invoice', 'receivable']),
		('payment_kind', payment_kind, payment, ARRAY['payment', 'credit_note', 'receivable'])) v (name, given, used, allowed)
	LOOP
		IF r.given IS NOT NULL AND r.used IS NULL THEN
			problems := problems || format('%s: kind %s has no such reference, or its field is not mapped.', r.name, kind);
		ELSIF NOT r.used = ANY (r.allowed) THEN
			problems := problems || format('%s: %L cannot be named here. Use %s.', r.name, r.used, array_to_string(r.allowed, ' or '));
		END IF;
	END LOOP;
	IF payment IS NOT NULL AND NOT EXISTS (SELECT FROM credit.source s WHERE s.kind = payment) THEN
		problems := problems || format('payment: no source of kind %s is attached yet. Attach it first, or leave payment out: then each application counts by itself.', payment);
	END IF;
END
$$;
COMMENT ON FUNCTION credit.check_references(text, jsonb, text, text, text) IS
'Which kind of document the references of a mapping name, and what is wrong with what the caller says about them.';

/* What speaks against reading a view, NULL: nothing. */
CREATE FUNCTION credit.view_problem(relation regclass, fields jsonb) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text;
	hint text;
BEGIN
	PERFORM credit.check_view(relation, fields);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN format('The view cannot be read as its owner, %s: %s.%s',
				  (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = relation), problem,
				  CASE WHEN problem LIKE '%row-level security%'
					   THEN ' Give the view an owner whom row security does not restrict.'
					   ELSE COALESCE(' ' || NULLIF(hint, ''), '') END);
END
$$;
COMMENT ON FUNCTION credit.view_problem(regclass, jsonb) IS
'Why a view cannot be read through a mapping, in words; NULL: it can.';

CREATE FUNCTION credit.attach_mapping
	(relation regclass, kind text, fields jsonb, on_breach text, null_limit text,
	 zero_limit text, on_error text, lock_timeout text, backfill boolean,
	 dry_run boolean, path text, origin_kind text DEFAULT NULL,
	 applies_to_kind text DEFAULT NULL, payment_kind text DEFAULT NULL)
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
	refs record;
	is_view boolean := credit.is_view(relation);
	missing record;
BEGIN
	IF relation IS NULL THEN
		RAISE EXCEPTION 'the table to attach is NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF kind IS NULL OR kind NOT IN ('customer', 'order', 'delivery', 'invoice', 'receivable',
									'credit_note', 'payment', 'application', 'link') THEN
		RAISE EXCEPTION 'there is no kind "%"', kind
			USING ERRCODE = 'invalid_parameter_value',
				  HINT = 'Use customer, order, delivery, invoice, receivable, credit_note, payment, application or link.';
	END IF;
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND NOT dry_run THEN
		RAISE EXCEPTION 'attach cannot run in a transaction in %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_transaction_state',
				  DETAIL = 'It must see every row that was committed before it got its lock.',
				  HINT = 'Use READ COMMITTED.';
	END IF;
	on_breach := COALESCE(on_breach, CASE WHEN kind IN ('order', 'delivery') THEN 'reject' ELSE 'off' END);
	IF on_breach NOT IN ('off', 'shadow', 'warn', 'reject') THEN
		problems := problems || format('on_breach: %L is not a reaction. Use off, shadow, warn or reject.', on_breach);
	ELSIF kind NOT IN ('order', 'delivery') AND on_breach <> 'off' THEN
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
	SELECT * INTO refs FROM credit.check_references(kind, fields, origin_kind, applies_to_kind, payment_kind);
	problems := problems || refs.problems || ARRAY(SELECT credit.relation_problems(relation, kind));
	IF EXISTS (SELECT FROM pg_class c WHERE c.oid = relation AND c.relkind IN ('r', 'p', 'v')) THEN
		SELECT * INTO checked FROM credit.check_fields(relation, kind, fields, path);
		problems := problems || checked.problems;
		IF is_view AND cardinality(checked.problems) = 0 THEN
			problems := array_remove(problems || credit.view_problem(relation, checked.normalised), NULL);
		END IF;
	END IF;

	IF cardinality(problems) = 0 AND NOT dry_run THEN
		PERFORM credit.progress_begin('attach', relation::text);
		IF NOT is_view THEN
			PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
			PERFORM credit.lock_source_table(relation, lock_timeout);
		END IF;
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
	IF NOT is_view AND NOT credit.has_unique_key(relation, checked.normalised ->> 'key') THEN
		RAISE NOTICE 'no unique, immediate index of % covers the key %: rows that come to share a key, if only for a moment, will count as one',
			relation, checked.normalised ->> 'key';
	END IF;
	IF dry_run THEN
		PERFORM credit.attach_estimate(relation, kind, checked.normalised);
		RETURN source_name;
	END IF;

	INSERT INTO credit.source (name, relation, kind, fields, on_breach, null_limit, zero_limit, on_error,
							   origin_kind, applies_to_kind, payment_kind)
	VALUES (source_name, relation, kind, checked.normalised, on_breach, null_limit, zero_limit, on_error,
			refs.origin, refs.applies_to, refs.payment)
	RETURNING source_id INTO new_id;
	IF NOT is_view THEN
		PERFORM credit.progress_phase('creating the triggers', NULL);
		PERFORM credit.create_triggers(relation);
	END IF;
	IF backfill AND kind = 'customer' THEN
		n := credit.backfill_customers(relation, new_id, checked.normalised);
	ELSIF backfill AND kind IN ('application', 'link') THEN
		n := credit.backfill_joins(relation, new_id, kind, checked.normalised);
	ELSIF backfill THEN
		n := credit.backfill_documents(relation, new_id, kind, checked.normalised);
	END IF;
	IF kind <> 'customer' THEN
		PERFORM credit.join_source(new_id);
	END IF;
	PERFORM credit.progress_phase('looking at the result', NULL);
	PERFORM credit.attach_report(source_name, kind, n);
	IF is_view THEN
		RAISE NOTICE '% is a view: nothing of it is captured until the tables it is made of are declared', relation;
		FOR missing IN SELECT m.suggestion FROM credit.missing_dependencies(source_name) m LOOP
			RAISE NOTICE 'for example: %', missing.suggestion;
		END LOOP;
	END IF;
	PERFORM credit.progress_end();
	RETURN source_name;
END
$$;
COMMENT ON FUNCTION credit.attach_mapping(regclass, text, jsonb, text, text, text, text, text, boolean, boolean, text, text, text, text) IS
'The work of attach(), with the fields as one object and the search path their names are read along.';

CREATE FUNCTION credit.attach
	(relation regclass, kind text, key text DEFAULT NULL, customer text DEFAULT NULL,
	 amount text DEFAULT NULL, document_date text DEFAULT NULL, due_date text DEFAULT NULL,
	 posting_date text DEFAULT NULL, segment text DEFAULT NULL, currency text DEFAULT NULL,
	 number text DEFAULT NULL, origin text DEFAULT NULL, applies_to text DEFAULT NULL,
	 open_amount text DEFAULT NULL, settled_on text DEFAULT NULL, is_disputed text DEFAULT NULL,
	 name text DEFAULT NULL, credit_limit text DEFAULT NULL, parent text DEFAULT NULL,
	 status text DEFAULT NULL, terms_days text DEFAULT NULL, rating text DEFAULT NULL,
	 counts_when text DEFAULT NULL, on_breach text DEFAULT NULL,
	 null_limit text DEFAULT 'not_set', zero_limit text DEFAULT 'amount',
	 on_error text DEFAULT 'pass', lock_timeout text DEFAULT '5s',
	 backfill boolean DEFAULT true, dry_run boolean DEFAULT false,
	 payment text DEFAULT NULL, document text DEFAULT NULL, reversed_on text DEFAULT NULL,
	 disputed_amount text DEFAULT NULL, retention_amount text DEFAULT NULL,
	 retention_until text DEFAULT NULL, is_write_off text DEFAULT NULL,
	 origin_kind text DEFAULT NULL, applies_to_kind text DEFAULT NULL,
	 payment_kind text DEFAULT NULL)
RETURNS text
LANGUAGE sql VOLATILE
BEGIN ATOMIC
SELECT credit.attach_mapping
	(relation, kind,
	 jsonb_strip_nulls(jsonb_build_object
		('key', key, 'customer', customer, 'amount', amount,
		 'document_date', document_date, 'due_date', due_date,
		 'posting_date', posting_date, 'segment', segment, 'currency', currency,
		 'number', number, 'origin', origin, 'applies_to', applies_to,
		 'open_amount', open_amount, 'settled_on', settled_on,
		 'is_disputed', is_disputed, 'name', name, 'credit_limit', credit_limit,
		 'parent', parent, 'status', status, 'terms_days', terms_days,
		 'rating', rating, 'counts_when', counts_when, 'payment', payment,
		 'document', document, 'reversed_on', reversed_on,
		 'disputed_amount', disputed_amount, 'retention_amount', retention_amount,
		 'retention_until', retention_until, 'is_write_off', is_write_off)),
	 on_breach, null_limit, zero_limit, on_error, lock_timeout,
	 COALESCE(backfill, true), COALESCE(dry_run, false),
	 current_setting('search_path'), origin_kind, applies_to_kind, payment_kind);
END;
COMMENT ON FUNCTION credit.attach(regclass, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, boolean, boolean, text, text, text, text, text, text, text, text, text, text) IS
'Maps a table of the ERP, or a view that yields one row per document (then declare what it is made of: credit.depend()): a kind (customer, order, delivery, invoice, receivable, credit_note, payment, application, link), and an SQL expression over the row for each field (field_catalog() lists them). Creates triggers on the table and takes what is there into the ledger; returns the name of the source. Answers with everything that is wrong at once. dry_run => true changes nothing and says what would be read, locked and written. on_breach (orders, deliveries): off, shadow, warn or reject, default reject. null_limit, zero_limit: what NULL and 0 in credit_limit mean. on_error: pass or refuse rows that the mapping cannot read any more. origin_kind, applies_to_kind, payment_kind: which documents origin, applies_to (of a link: document) and payment name, where it is not the order, the invoice, the payment.';

CREATE FUNCTION credit.detach(source text, lock_timeout text DEFAULT '5s') RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	n bigint;
	used regclass[];
	one regclass;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = detach.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	used := ARRAY(SELECT c.oid::regclass FROM pg_class c
				   WHERE c.relkind IN ('r', 'p')
					 AND (c.oid = s.relation OR c.oid IN
						  (SELECT d.relation FROM credit.dependency d WHERE d.source_id = s.source_id))
				   ORDER BY c.oid);
	PERFORM credit.progress_begin('detach', s.name);
	FOREACH one IN ARRAY used LOOP
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(one, lock_timeout);
	END LOOP;
	SELECT CASE s.kind WHEN 'customer' THEN (SELECT count(*) FROM credit.account a WHERE a.source_id = s.source_id)
					   ELSE (SELECT count(*) FROM credit.item i WHERE i.source_id = s.source_id AND i.amount IS NOT NULL) END INTO n;
	PERFORM credit.progress_phase('taking documents out of exposure', n);
	PERFORM credit.forget(s.relation, s.source_id, s.kind);
	/* keys that documents of other sources name */
	PERFORM credit.part_documents(s.source_id);
	PERFORM credit.maintain(true);
	/* what is kept of its debts is out of date */
	INSERT INTO credit.month_mark (account_id, month)
	SELECT DISTINCT i.account_id, date 'infinity' FROM credit.item i
	 WHERE i.source_id = s.source_id AND i.account_id IS NOT NULL AND s.kind IN ('invoice', 'receivable');
	DELETE FROM credit.item i WHERE i.source_id = s.source_id;
	DELETE FROM credit.source_problem p WHERE p.source_id = s.source_id;
	DELETE FROM credit.repair_result r WHERE r.source_id = s.source_id;
	DELETE FROM credit.dependency d WHERE d.source_id = s.source_id;
	DELETE FROM credit.source x WHERE x.source_id = s.source_id;
	PERFORM credit.maintain(false);
	PERFORM credit.stat_forget(s.source_id);
	FOREACH one IN ARRAY used LOOP
		PERFORM credit.drop_triggers(one);
	END LOOP;
	PERFORM credit.progress_end();
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.detach(text, text) IS
'Undoes attach() and depend(): drops the triggers and takes the documents of the source out of exposure; returns how many there were. Their history stays. The table itself is not touched.';

/*
 * Why a mapping does not work any more; NULL: it does.  Runs as its owner: an
 * analyst who cannot read the ERP's table must not see a healthy mapping as
 * broken.  It parses the expressions and evaluates none.
 */
CREATE FUNCTION credit.mapping_error(source_id integer) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	checked record;
	d credit.dependency%ROWTYPE;
	problem text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = mapping_error.source_id;
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation) THEN
		RETURN 'the table is gone';
	END IF;
	SELECT * INTO checked FROM credit.check_fields(s.relation, s.kind, s.fields, 'pg_catalog, pg_temp');
	IF cardinality(checked.problems) > 0 THEN
		RETURN array_to_string(checked.problems, ' ');
	END IF;
	IF NOT credit.is_view(s.relation) THEN
		RETURN NULL;
	END IF;
	problem := credit.view_problem(s.relation, s.fields);
	FOR d IN SELECT * FROM credit.dependency x WHERE x.source_id = s.source_id AND problem IS NULL LOOP
		BEGIN
			IF EXISTS (SELECT FROM pg_class c WHERE c.oid = d.relation) THEN
				PERFORM credit.normalise_changed_keys(s.relation, d.relation, d.changed_keys, 'pg_catalog, pg_temp');
			ELSE
				problem := 'a table it depends on is gone';
			END IF;
		EXCEPTION WHEN OTHERS THEN
			problem := format('changed_keys of %s: %s', d.relation, SQLERRM);
		END;
	END LOOP;
	RETURN problem;
END
$$;
COMMENT ON FUNCTION credit.mapping_error(integer) IS
'What is wrong with the mapping of a source now; NULL: nothing.';

CREATE VIEW credit.sources AS
SELECT s.name, s.relation, s.kind, s.on_breach, s.null_limit, s.zero_limit, s.on_error,
	   CASE WHEN m.error IS NOT NULL THEN 'broken'
			WHEN t.n_tables = 0 THEN 'nothing captured'
			WHEN t.n_bare > 0 THEN 'triggers missing or disabled'
			WHEN p.n > 0 THEN 'unverified'
			ELSE 'ok' END AS health,
	   COALESCE(m.error, p.message) AS problem,
	   p.n AS n_problems,
	   p.seen_at AS last_problem_at,
	   s.fields, s.attached_at, s.attached_by,
	   c.compared_at AS last_compared_at, c.n_left AS differences_left
  FROM credit.source s
  CROSS JOIN LATERAL (SELECT credit.mapping_error(s.source_id) AS error) m
  /* the tables that are written to: its own, or those a view depends on */
  CROSS JOIN LATERAL (SELECT count(*) AS n_tables,
							 count(*) FILTER (WHERE NOT credit.has_triggers(w.relation)) AS n_bare
						FROM (SELECT s.relation WHERE NOT credit.is_view(s.relation)
							  UNION ALL
							  SELECT d.relation FROM credit.dependency d WHERE d.source_id = s.source_id) w) t
  CROSS JOIN LATERAL (SELECT count(*) AS n, max(x.seen_at) AS seen_at,
							 (array_agg(x.message ORDER BY x.seen_at DESC))[1] AS message
						FROM credit.source_problem x WHERE x.source_id = s.source_id AND x.mended_at IS NULL) p
  LEFT JOIN LATERAL (SELECT r.compared_at, r.n_left
					   FROM credit.repair_result r WHERE r.source_id = s.source_id
					  ORDER BY r.run_id DESC LIMIT 1) c ON true;
COMMENT ON VIEW credit.sources IS 'Attached tables with their mapping and its health.';
COMMENT ON COLUMN credit.sources.name IS 'Name of the source, for detach().';
COMMENT ON COLUMN credit.sources.relation IS 'Table or view of the ERP.';
COMMENT ON COLUMN credit.sources.kind IS 'customer, or the kind of document.';
COMMENT ON COLUMN credit.sources.on_breach IS 'Strongest reaction the source allows.';
COMMENT ON COLUMN credit.sources.null_limit IS 'What a NULL limit means.';
COMMENT ON COLUMN credit.sources.zero_limit IS 'What a limit of 0 means.';
COMMENT ON COLUMN credit.sources.on_error IS 'What happens to rows the mapping cannot read: pass or refuse.';
COMMENT ON COLUMN credit.sources.health IS 'ok, unverified (rows passed unread), broken (the mapping does not fit the table now), triggers missing or disabled, or nothing captured (a view of which no table is declared).';
COMMENT ON COLUMN credit.sources.problem IS 'What is wrong.';
COMMENT ON COLUMN credit.sources.n_problems IS 'Transactions in which a row could not be read, since repair() found the source in order.';
COMMENT ON COLUMN credit.sources.last_problem_at IS 'When that happened last.';
COMMENT ON COLUMN credit.sources.fields IS 'Expressions by field, fully qualified.';
COMMENT ON COLUMN credit.sources.attached_at IS 'When it was attached.';
COMMENT ON COLUMN credit.sources.attached_by IS 'Session user who attached it.';
COMMENT ON COLUMN credit.sources.last_compared_at IS 'When repair(), or its dry run, compared it last with the rows of the ERP; NULL: never.';
COMMENT ON COLUMN credit.sources.differences_left IS 'How many differences it left; NULL: never compared, or it could not be read.';

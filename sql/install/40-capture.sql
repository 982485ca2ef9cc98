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
	IF c.relkind NOT IN ('r', 'p') THEN
		RETURN NEXT format('%s is not a table. Attach the table the rows are written to.', relation);
		RETURN;
	END IF;
	IF c.relpersistence = 't' THEN
		RETURN NEXT format('%s is a temporary table.', relation);
	END IF;
	IF c.relnamespace IN ('pg_catalog'::regnamespace, 'credit'::regnamespace) THEN
		RETURN NEXT format('%s belongs to the system.', relation);
	END IF;
	IF NOT has_table_privilege(relation, 'TRIGGER') OR NOT has_table_privilege(relation, 'SELECT') THEN
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
'Why a table cannot be attached as this kind, one sentence each; no row: it can.';

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

/*
 * The SELECT that reads a table through a mapping, as the triggers do row by
 * row: every field with its final type.
 */
CREATE FUNCTION credit.mapping_query(relation regclass, kind text, fields jsonb) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('SELECT %s FROM %s WHERE %s',
			  (SELECT string_agg(format('(%s)::%s AS %I',
										COALESCE(fields ->> c.field, 'NULL'), c.type, c.field), ', '
								 ORDER BY c.field)
				 FROM credit.field_catalog() c
				WHERE kind = ANY (c.kinds) AND c.field <> 'counts_when'),
			  relation, COALESCE('(' || (fields ->> 'counts_when') || ')', 'true'))
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
	started := clock_timestamp();
	EXECUTE format('SELECT count(*) FROM (%s LIMIT 10000) q', query) INTO sampled;
	EXECUTE format('SELECT count(*) FROM (SELECT q.*::text FROM (%s LIMIT 10000) q OFFSET 0) q', query) INTO sampled;
	seconds := extract(epoch FROM clock_timestamp() - started);
	estimated := GREATEST(estimated, sampled);
	RAISE NOTICE 'dry run: nothing is changed';
	RAISE NOTICE 'would read about % rows (%) of %', estimated::bigint, pg_size_pretty(bytes), relation;
	RAISE NOTICE 'would lock % in mode SHARE ROW EXCLUSIVE until the end of the transaction: reads go on, writes wait', relation;
	/* six times reading as sampled, plus 25 microseconds a row to write the ledger */
	RAISE NOTICE 'would take about % s and write about % into schema credit',
		round((estimated * (6 * seconds / GREATEST(sampled, 1) + 0.000025))::numeric + 0.1, 1),
		pg_size_pretty((estimated * CASE kind WHEN 'customer' THEN 450 ELSE 270 END)::bigint);
	RAISE NOTICE 'would create triggers zz_credit_begin, zz_credit_row, zz_credit_end and zz_credit_truncate on %', relation;
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

CREATE FUNCTION credit.attach_mapping
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
COMMENT ON FUNCTION credit.attach_mapping(regclass, text, jsonb, text, text, text, text, text, boolean, boolean, text) IS
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
	 backfill boolean DEFAULT true, dry_run boolean DEFAULT false)
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
		 'rating', rating, 'counts_when', counts_when)),
	 on_breach, null_limit, zero_limit, on_error, lock_timeout,
	 COALESCE(backfill, true), COALESCE(dry_run, false),
	 current_setting('search_path'));
END;
COMMENT ON FUNCTION credit.attach(regclass, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, text, boolean, boolean) IS
'Maps a table of the ERP: kind customer, order or payment, and an SQL expression over the row for each field (field_catalog() lists them). Creates triggers on the table and takes what is there into the ledger; returns the name of the source. Answers with everything that is wrong at once. dry_run => true changes nothing and says what would be read, locked and written. on_breach (orders): off, shadow, warn or reject, default reject. null_limit, zero_limit: what NULL and 0 in credit_limit mean. on_error: pass or refuse rows that the mapping cannot read any more.';

CREATE FUNCTION credit.detach(source text, lock_timeout text DEFAULT '5s') RETURNS bigint
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
COMMENT ON FUNCTION credit.detach(text, text) IS
'Undoes attach(): drops the triggers and takes the documents of the source out of exposure; returns how many there were. Their history stays. The table itself is not touched.';

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
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = mapping_error.source_id;
	IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation) THEN
		RETURN 'the table is gone';
	END IF;
	SELECT * INTO checked FROM credit.check_fields(s.relation, s.kind, s.fields, 'pg_catalog, pg_temp');
	RETURN NULLIF(array_to_string(checked.problems, ' '), '');
END
$$;
COMMENT ON FUNCTION credit.mapping_error(integer) IS
'What is wrong with the mapping of a source now; NULL: nothing.';

CREATE VIEW credit.sources AS
SELECT s.name, s.relation, s.kind, s.on_breach, s.null_limit, s.zero_limit, s.on_error,
	   CASE WHEN m.error IS NOT NULL THEN 'broken'
			WHEN t.n_enabled < 4 THEN 'triggers missing or disabled'
			WHEN p.n > 0 THEN 'unverified'
			ELSE 'ok' END AS health,
	   COALESCE(m.error, p.message) AS problem,
	   p.n AS n_problems,
	   p.seen_at AS last_problem_at,
	   s.fields, s.attached_at, s.attached_by
  FROM credit.source s
  CROSS JOIN LATERAL (SELECT credit.mapping_error(s.source_id) AS error) m
  CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE g.tgenabled IN ('O', 'A')) AS n_enabled
						FROM pg_catalog.pg_trigger g
					   WHERE g.tgrelid = s.relation
						 AND g.tgname IN ('zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate')) t
  CROSS JOIN LATERAL (SELECT count(*) AS n, max(x.seen_at) AS seen_at,
							 (array_agg(x.message ORDER BY x.seen_at DESC))[1] AS message
						FROM credit.source_problem x WHERE x.source_id = s.source_id) p;
COMMENT ON VIEW credit.sources IS 'Attached tables with their mapping and its health.';
COMMENT ON COLUMN credit.sources.name IS 'Name of the source, for detach().';
COMMENT ON COLUMN credit.sources.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.sources.kind IS 'customer, order or payment.';
COMMENT ON COLUMN credit.sources.on_breach IS 'Strongest reaction the source allows.';
COMMENT ON COLUMN credit.sources.null_limit IS 'What a NULL limit means.';
COMMENT ON COLUMN credit.sources.zero_limit IS 'What a limit of 0 means.';
COMMENT ON COLUMN credit.sources.on_error IS 'What happens to rows the mapping cannot read: pass or refuse.';
COMMENT ON COLUMN credit.sources.health IS 'ok, unverified (rows passed unread), broken (the mapping does not fit the table now), or triggers missing or disabled.';
COMMENT ON COLUMN credit.sources.problem IS 'What is wrong.';
COMMENT ON COLUMN credit.sources.n_problems IS 'Transactions in which a row could not be read.';
COMMENT ON COLUMN credit.sources.last_problem_at IS 'When that happened last.';
COMMENT ON COLUMN credit.sources.fields IS 'Expressions by field, fully qualified.';
COMMENT ON COLUMN credit.sources.attached_at IS 'When it was attached.';
COMMENT ON COLUMN credit.sources.attached_by IS 'Session user who attached it.';

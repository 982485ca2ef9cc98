/*
 * Subject repair: mends what reconcile() lists, and reports what entered
 * without a check.
 *
 * repair() is a procedure that commits: each task is a transaction of its own,
 * so that nobody waits for more than one portion, and what is done is done if
 * it is ended half-way.  It cannot have a SET clause, so it consists of calls
 * by qualified names.  The functions it calls run as their owner; that of the
 * ERP which a mapping contains run as the owner of their table (src/repair.c).
 */
CREATE FUNCTION credit.reevaluate_keys
	(source_id integer, keys text[],
	 OUT key text, OUT account_id bigint, OUT currency text, OUT amount numeric)
RETURNS SETOF record
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_reevaluate_keys';
COMMENT ON FUNCTION credit.reevaluate_keys(integer, text[]) IS
'Looks at some documents of the ERP again and takes in what has become of them, without refusing any: each under the lock of its item. Returns those of orders and deliveries that raised exposure, which a trigger would have checked. Of customers the caller has to have locked their table. For repair().';

CREATE FUNCTION credit.recount_documents(source_id integer, keys text[], with_sums boolean) RETURNS bigint
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_recount_documents';
COMMENT ON FUNCTION credit.recount_documents(integer, text[], boolean) IS
'Works out again what some documents add to exposure; with_sums: adds up first what other documents say of them. Returns how many they are. For repair().';

CREATE PROCEDURE credit.next_transaction()
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_next_transaction';
COMMENT ON PROCEDURE credit.next_transaction() IS
'Commits, and begins a transaction in READ COMMITTED, whatever default_transaction_isolation says. For repair().';

/* The account as the order check sees it, in its own currency. */
CREATE FUNCTION credit.account_exposure
	(account_id bigint, OUT currency text, OUT limit_state text, OUT credit_limit numeric,
	 OUT exposure numeric, OUT is_over_limit boolean)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
BEGIN ATOMIC
SELECT l.currency, l.limit_state, l.credit_limit, t.total,
	   CASE l.limit_state WHEN 'amount' THEN t.total > l.credit_limit
						  WHEN 'blocked' THEN t.total > 0 ELSE false END
  FROM credit.limit_in_force l
 CROSS JOIN LATERAL
	   (SELECT CASE WHEN count(c.total) < count(*) THEN NULL
					WHEN bool_or(b.currency <> l.currency AND b.total <> 0)
					THEN credit.round_amount(COALESCE(sum(c.total), 0), l.currency)
					ELSE COALESCE(sum(c.total), 0) END AS total
		  FROM credit.balance(l.account_id) b
		 CROSS JOIN LATERAL
			   (SELECT credit.convert_exposure(b.total, b.total, b.currency, l.currency, credit.today()) AS total) c) t
 WHERE l.account_id = account_exposure.account_id;
END;
COMMENT ON FUNCTION credit.account_exposure(bigint) IS
'Exposure of an account today and its limit, in its currency, whatever credit.as_of says. exposure NULL: a rate is missing.';

/* What a journal lacks to what its documents come to, by currency. */
CREATE FUNCTION credit.journal_gap(account_id bigint, OUT currency text, OUT stages numeric[])
RETURNS SETOF record
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH summed AS
	(SELECT i.currency, sum(COALESCE(i.stages[1], 0)) AS ordered, sum(COALESCE(i.stages[2], 0)) AS delivered,
			sum(COALESCE(i.stages[3], 0)) AS invoiced, sum(COALESCE(i.stages[4], 0)) AS unapplied
	   FROM credit.item i
	  WHERE i.account_id = journal_gap.account_id AND i.is_open
	  GROUP BY i.currency),
gap AS
	(SELECT COALESCE(s.currency, b.currency) AS currency,
			ARRAY[COALESCE(s.ordered, 0) - COALESCE(b.ordered, 0), COALESCE(s.delivered, 0) - COALESCE(b.delivered, 0),
				  COALESCE(s.invoiced, 0) - COALESCE(b.invoiced, 0), COALESCE(s.unapplied, 0) - COALESCE(b.unapplied, 0)] AS stages
	   FROM summed s
	   FULL JOIN credit.balance(journal_gap.account_id) b ON b.currency = s.currency)
SELECT g.currency, g.stages FROM gap g
 WHERE 0 <> ANY (g.stages)
 ORDER BY g.currency;
END;
COMMENT ON FUNCTION credit.journal_gap(bigint) IS
'By how much the journal of an account falls short of its documents, by currency and stage. The same under every snapshot, as whoever changes a document posts that in the same transaction.';

/* Notes why something is left; the first reason stays. */
CREATE FUNCTION credit.repair_note(run_id bigint, source_id integer, reason text) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
UPDATE credit.repair_result r SET reason = COALESCE(r.reason, repair_note.reason)
 WHERE r.run_id = repair_note.run_id AND r.source_id = repair_note.source_id
$$;
COMMENT ON FUNCTION credit.repair_note(bigint, integer, text) IS
'Notes why a difference is left by a run of repair(), if it is the first of its source.';

/* Looks at documents again, and reports those that nobody has checked. */
CREATE FUNCTION credit.repair_portion(run_id bigint, source_id integer, keys text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	raised_keys text[];
	accounts bigint[];
	currencies text[];
	amounts numeric[];
BEGIN
	SELECT array_agg(r.key), array_agg(r.account_id), array_agg(r.currency), array_agg(r.amount)
	  INTO raised_keys, accounts, currencies, amounts
	  FROM credit.reevaluate_keys(source_id, keys) r;
	/* a statement later, which sees what has been posted */
	INSERT INTO credit.unchecked_raise (run_id, source_id, item_key, account_id, currency, amount,
										account_currency, limit_state, credit_limit, exposure)
	SELECT repair_portion.run_id, repair_portion.source_id, r.key, r.account_id, r.currency, r.amount,
		   e.currency, e.limit_state, e.credit_limit, e.exposure
	  FROM unnest(raised_keys, accounts, currencies, amounts) r (key, account_id, currency, amount)
	  JOIN (SELECT DISTINCT u.account_id FROM unnest(accounts) u (account_id)) a ON a.account_id = r.account_id
	 CROSS JOIN LATERAL credit.account_exposure(a.account_id) e
	 ORDER BY r.account_id, r.key;
END
$$;
COMMENT ON FUNCTION credit.repair_portion(bigint, integer, text[]) IS
'Looks at some documents again for repair(), and writes down which of them raised exposure without a check.';

/*
 * One portion of a task: documents that are looked at again, sums that are
 * added up, or accounts whose journal is put right.
 */
CREATE FUNCTION credit.repair_work(run_id bigint, step text, source_id integer, keys text[], wait text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	account bigint;
BEGIN
	IF step = 'documents' THEN
		SELECT * INTO s FROM credit.source x WHERE x.source_id = repair_work.source_id;
		/* a customer of a table has no item to meet at */
		IF s.kind = 'customer' AND NOT credit.is_view(s.relation) THEN
			PERFORM credit.lock_source_table(s.relation, wait);
		END IF;
		IF s.source_id IS NOT NULL THEN		/* it is not detached meanwhile */
			PERFORM credit.repair_portion(run_id, source_id, keys);
		END IF;
		RETURN;
	END IF;
	IF step = 'add up' THEN
		PERFORM credit.recount_documents(o.source_id, keys, true)
		   FROM credit.source o WHERE o.source_id = repair_work.source_id;
		RETURN;
	END IF;
	/* two runs must not both post what is lacking */
	LOCK TABLE credit.repair_result IN SHARE UPDATE EXCLUSIVE MODE;
	FOREACH account IN ARRAY keys LOOP
		PERFORM credit.recount_documents(i.source_id, i.keys, false)
		   FROM (SELECT x.source_id, array_agg(x.key) AS keys FROM credit.item x
				  WHERE x.account_id = account AND (x.is_open OR NOT x.is_open)
				  GROUP BY x.source_id) i
		   JOIN credit.source o ON o.source_id = i.source_id;
		/* a chain that says it is the only one hides the others */
		PERFORM credit.adjust(account, c.currency, '{}', 0)
		   FROM (SELECT j.currency, j.is_only_chain, count(*) OVER () AS n
				   FROM (SELECT DISTINCT ON (x.currency) x.currency, x.is_only_chain FROM credit.journal x
						  WHERE x.account_id = account AND x.scope = 0 ORDER BY x.currency, x.seq DESC) j) c
		  WHERE c.n > 1 AND c.is_only_chain;
		PERFORM credit.adjust(account, g.currency, g.stages, 0) FROM credit.journal_gap(account) g;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.repair_work(bigint, text, integer, text[], text) IS
'Mends some documents, sums or accounts for repair(); fails where one of them cannot be had.';

/*
 * One task of which something is to be mended.  What cannot be had, or fails, is
 * made two tasks of, until it is one document, which is tried again until others
 * have held it for as long as max_wait says.
 *
 * All waits of a task together are shorter than it takes the server to look for
 * deadlocks, and between two tasks nothing is locked: so it is never somebody
 * else's statement that is ended for a deadlock with a repair.
 */
CREATE FUNCTION credit.repair_task_work(task_id bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = 0
AS $$
DECLARE
	task credit.repair_task%ROWTYPE;
	most interval := (SELECT s.value::interval FROM credit.settings s WHERE s.name = 'max_wait');
	n integer;
	wait text;
	since timestamptz;
	problem text;
BEGIN
	SELECT * INTO task FROM credit.repair_task x WHERE x.task_id = repair_task_work.task_id;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	n := cardinality(task.keys);
	since := COALESCE(task.held_since, clock_timestamp());
	wait := GREATEST(extract(epoch FROM
				LEAST(most, current_setting('deadlock_timeout')::interval / 3,
					  CASE n WHEN 1 THEN '100ms' ELSE '250ms' END::interval)) * 1000, 1)::bigint || 'ms';
	BEGIN
		PERFORM set_config('lock_timeout', wait, true);
		PERFORM credit.repair_work(task.run_id, task.step, task.source_id, task.keys, wait);
		RETURN;
	EXCEPTION
		WHEN lock_not_available OR deadlock_detected OR serialization_failure THEN
			problem := NULL;
		WHEN OTHERS THEN
			problem := SQLERRM;
	END;
	IF n > 1 THEN
		INSERT INTO credit.repair_task (run_id, rank, step, source_id, keys, held_since)
		VALUES (task.run_id, task.rank, task.step, task.source_id, task.keys[1:n / 2], since),
			   (task.run_id, task.rank, task.step, task.source_id, task.keys[n / 2 + 1:], since);
	ELSIF problem IS NULL AND clock_timestamp() - since < most THEN
		INSERT INTO credit.repair_task (run_id, rank, step, source_id, keys, held_since)
		VALUES (task.run_id, task.rank, task.step, task.source_id, task.keys, since);
	ELSE
		PERFORM credit.repair_note(task.run_id, CASE task.step WHEN 'documents' THEN task.source_id ELSE 0 END,
			format('%s: %s', task.keys[1],
				COALESCE(problem, 'others have held it for longer than setting max_wait')));
	END IF;
END
$$;
COMMENT ON FUNCTION credit.repair_task_work(bigint) IS
'Mends what a task of repair() consists of; what others hold is tried again, and left in the end.';

/*
 * One row that cannot be read makes a comparison fail, but not a look at each
 * document, of which it is one.
 */
CREATE FUNCTION credit.repair_look_at_all(run_id bigint, source_id integer, rank integer, problem text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
SET bytea_output = 'hex'
SET timezone = 'UTC'
AS $$
BEGIN
	PERFORM set_config('TimeZone', credit.time_zone(), true);
	INSERT INTO credit.repair_task (run_id, rank, step, source_id, keys)
	SELECT repair_look_at_all.run_id, repair_look_at_all.rank, 'documents', repair_look_at_all.source_id, p.keys
	  FROM (SELECT q.n, array_agg(q.key) AS keys
			  FROM (SELECT k.key, (row_number() OVER (ORDER BY k.key) - 1) / 1000 AS n
					  FROM (SELECT v.key COLLATE "C" AS key
							  FROM credit.source s
							 CROSS JOIN LATERAL credit.view_rows(s.relation, jsonb_build_object('key', s.fields ->> 'key')) v (key text)
							 WHERE s.source_id = repair_look_at_all.source_id AND v.key IS NOT NULL
							UNION
							SELECT i.key FROM credit.item i
							 WHERE i.source_id = repair_look_at_all.source_id AND i.amount IS NOT NULL) k) q
			 GROUP BY q.n ORDER BY q.n) p;
	RETURN format('%s; each document was looked at by itself', problem);
EXCEPTION WHEN OTHERS THEN
	RETURN problem;
END
$$;
COMMENT ON FUNCTION credit.repair_look_at_all(bigint, integer, integer, text) IS
'Makes tasks of all documents of a source that cannot be compared, because of a row that cannot be read; returns that problem in words.';

/*
 * Compares a source with the ERP, under one snapshot, and makes tasks of what
 * differs.  Where nothing does, problems of before that the snapshot shows are
 * over: their rows stand in it too.
 */
CREATE FUNCTION credit.repair_compare(run_id bigint, source_id integer, rank integer, again boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	problem text;
	is_dry boolean := (SELECT r.is_dry_run FROM credit.repair_run r WHERE r.run_id = repair_compare.run_id);
	n bigint;
	words text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.source_id = repair_compare.source_id;
	IF s.source_id IS NULL THEN
		RETURN;					/* detached meanwhile */
	END IF;
	PERFORM credit.progress_phase(format('comparing %s', s.name), credit.estimated_rows(s.relation));
	problem := rtrim(credit.mapping_error(s.source_id));
	IF problem IS NULL THEN
		BEGIN
			WITH d AS MATERIALIZED
				(SELECT x.document, min(x.customer) AS customer, min(x.difference) AS difference
				   FROM credit.differences_of(s.source_id, true) x GROUP BY x.document),
			task AS
				(INSERT INTO credit.repair_task (run_id, rank, step, source_id, keys)
				 SELECT repair_compare.run_id, repair_compare.rank, 'documents', s.source_id, p.keys
				   FROM (SELECT q.n, array_agg(q.document) AS keys
						   FROM (SELECT d.document, (row_number() OVER (ORDER BY d.customer, d.document) - 1) / 1000 AS n FROM d) q
						  GROUP BY q.n ORDER BY q.n) p
				  WHERE NOT again AND NOT is_dry),
			mended AS
				(UPDATE credit.source_problem p SET mended_at = clock_timestamp()
				  WHERE p.source_id = s.source_id AND p.mended_at IS NULL AND NOT is_dry AND NOT EXISTS (SELECT FROM d))
			SELECT (SELECT count(*) FROM d),
				   (SELECT string_agg(format('%s %s', q.n, q.difference), ', ' ORDER BY q.difference)
					  FROM (SELECT d.difference, count(*) AS n FROM d GROUP BY d.difference) q)
			  INTO n, words;
		EXCEPTION WHEN OTHERS THEN
			problem := SQLERRM;
			IF NOT again AND NOT is_dry THEN
				problem := credit.repair_look_at_all(repair_compare.run_id, s.source_id, repair_compare.rank, problem);
			END IF;
		END;
	END IF;
	IF again AND n > 0 THEN
		PERFORM credit.repair_note(repair_compare.run_id, s.source_id, (
			SELECT p.message FROM credit.source_problem p, credit.repair_run r
			 WHERE p.source_id = s.source_id AND r.run_id = repair_compare.run_id AND p.seen_at >= r.started_at
			 ORDER BY p.seen_at DESC LIMIT 1));
	END IF;
	INSERT INTO credit.repair_result AS r (run_id, source_id, name, compared_at, n_found, n_left, reason)
	VALUES (repair_compare.run_id, s.source_id, s.name, clock_timestamp(), n,
			CASE WHEN again OR is_dry OR n = 0 THEN n END, problem)
	ON CONFLICT ON CONSTRAINT repair_result_pkey DO UPDATE
	SET compared_at = excluded.compared_at, n_left = excluded.n_left,
		reason = CASE WHEN excluded.n_left = 0 THEN NULL ELSE COALESCE(r.reason, excluded.reason) END;
	IF NOT again AND n > 0 THEN
		RAISE NOTICE '%: %', s.name, words;
		IF NOT is_dry THEN
			INSERT INTO credit.repair_task (run_id, rank, step, source_id)
			VALUES (repair_compare.run_id, repair_compare.rank, 'compare again', s.source_id);
			PERFORM credit.progress_phase(format('mending %s', s.name), n);
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.repair_compare(bigint, integer, integer, boolean) IS
'Compares a source with the ERP for repair() and makes tasks of what differs; again: says what is left.';

/* The same of the ledger with itself: first sums, then the journal. */
CREATE FUNCTION credit.repair_compare_ledger(run_id bigint, step text, rank integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	is_dry boolean := (SELECT r.is_dry_run FROM credit.repair_run r WHERE r.run_id = repair_compare_ledger.run_id);
	n bigint;
BEGIN
	PERFORM credit.progress_phase('comparing the ledger with itself', NULL);
	IF step = 'compare again' THEN
		UPDATE credit.repair_result r
		   SET compared_at = clock_timestamp(), n_left = (SELECT count(*) FROM credit.ledger_differences())
		 WHERE r.run_id = repair_compare_ledger.run_id AND r.source_id = 0;
		RETURN;
	END IF;
	IF step = 'compare' THEN
		WITH d AS MATERIALIZED
			(SELECT x.source_id, x.key, s.kind FROM credit.sum_differences() x JOIN credit.source s ON s.source_id = x.source_id),
		task AS
			(INSERT INTO credit.repair_task (run_id, rank, step, source_id, keys)
			 SELECT repair_compare_ledger.run_id, repair_compare_ledger.rank, 'add up', p.source_id, p.keys
			   FROM (SELECT q.source_id, q.kind, q.n, array_agg(q.key) AS keys
					   FROM (SELECT d.source_id, d.kind, d.key,
									(row_number() OVER (PARTITION BY d.source_id ORDER BY d.key) - 1) / 1000 AS n FROM d) q
					  /* a delivery before its order */
					  GROUP BY q.source_id, q.kind, q.n ORDER BY q.kind <> 'delivery', q.source_id, q.n) p
			  WHERE NOT is_dry)
		SELECT count(*) INTO n FROM d;
		INSERT INTO credit.repair_result (run_id, source_id, name, compared_at, n_found)
		VALUES (repair_compare_ledger.run_id, 0, 'ledger', clock_timestamp(), n);
		INSERT INTO credit.repair_task (run_id, rank, step, source_id)
		VALUES (repair_compare_ledger.run_id, repair_compare_ledger.rank, 'compare accounts', 0);
		IF n > 0 THEN
			RAISE NOTICE 'ledger: % sums on documents differ', n;
		END IF;
		RETURN;
	END IF;
	WITH d AS MATERIALIZED
		(SELECT DISTINCT x.account_id FROM credit.journal_differences() x),
	task AS
		(INSERT INTO credit.repair_task (run_id, rank, step, source_id, keys)
		 SELECT repair_compare_ledger.run_id, repair_compare_ledger.rank, 'accounts', 0, p.keys
		   FROM (SELECT q.n, array_agg(q.account_id::text) AS keys
				   FROM (SELECT d.account_id, (row_number() OVER (ORDER BY d.account_id) - 1) / 20 AS n FROM d) q
				  GROUP BY q.n ORDER BY q.n) p
		  WHERE NOT is_dry)
	SELECT count(*) INTO n FROM d;
	IF n > 0 THEN
		RAISE NOTICE 'ledger: the journal of % accounts differs', n;
	END IF;
	UPDATE credit.repair_result r
	   SET n_found = r.n_found + n, n_left = CASE WHEN is_dry OR r.n_found + n = 0 THEN r.n_found + n END
	 WHERE r.run_id = repair_compare_ledger.run_id AND r.source_id = 0;
	INSERT INTO credit.repair_task (run_id, rank, step, source_id)
	SELECT repair_compare_ledger.run_id, repair_compare_ledger.rank, 'compare again', 0
	  FROM credit.repair_result r
	 WHERE r.run_id = repair_compare_ledger.run_id AND r.source_id = 0 AND r.n_left IS NULL;
END
$$;
COMMENT ON FUNCTION credit.repair_compare_ledger(bigint, text, integer) IS
'Compares the ledger with itself for repair() and makes tasks of what differs.';

CREATE FUNCTION credit.repair_begin(source text, dry_run boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_id bigint;
BEGIN
	IF source IS NOT NULL AND NOT EXISTS (SELECT FROM credit.source x WHERE x.name = source) THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	/* what runs that were ended half-way have left */
	DELETE FROM credit.repair_task t
	 USING credit.repair_run r
	 WHERE r.run_id = t.run_id
	   AND (r.pid = pg_backend_pid() OR NOT EXISTS
			(SELECT FROM pg_stat_activity a WHERE a.pid = r.pid AND a.backend_start < r.started_at));
	PERFORM credit.progress_begin('repair', COALESCE(source, ''));
	INSERT INTO credit.repair_run (source_name, is_dry_run) VALUES (source, COALESCE(dry_run, false))
	RETURNING run_id INTO new_id;
	INSERT INTO credit.repair_task (run_id, rank, step, source_id)
	SELECT new_id, array_position(ARRAY['customer', 'order', 'delivery', 'invoice', 'receivable', 'credit_note',
										'payment', 'application', 'link'], s.kind::text) * 100000 + s.source_id,
		   'compare', s.source_id
	  FROM credit.source s
	 WHERE repair_begin.source IS NULL OR s.name = repair_begin.source
	UNION ALL
	SELECT new_id, 2000000000, 'compare', 0 WHERE source IS NULL;
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION credit.repair_begin(text, boolean) IS 'Begins a run of repair(); returns its number.';

/* One transaction of a run; false: there is nothing left to do. */
CREATE FUNCTION credit.repair_step(run_id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	t credit.repair_task%ROWTYPE;
BEGIN
	IF NOT EXISTS (SELECT FROM credit.repair_run r
					WHERE r.run_id = repair_step.run_id AND r.pid = pg_backend_pid() AND r.ended_at IS NULL) THEN
		RAISE EXCEPTION 'run % is not at work here', run_id
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use CALL credit.repair().';
	END IF;
	SELECT * INTO t FROM credit.repair_task x
	 WHERE x.run_id = repair_step.run_id
	 /* what is tried again comes before the next comparison */
	 ORDER BY x.rank, x.keys IS NULL, x.task_id LIMIT 1;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	IF t.step IN ('documents', 'add up', 'accounts') THEN
		PERFORM credit.repair_task_work(t.task_id);
	ELSIF t.source_id = 0 THEN
		PERFORM credit.repair_compare_ledger(t.run_id, t.step, t.rank);
	ELSE
		PERFORM credit.repair_compare(t.run_id, t.source_id, t.rank, t.step = 'compare again');
	END IF;
	DELETE FROM credit.repair_task x WHERE x.task_id = t.task_id;
	RETURN true;
END
$$;
COMMENT ON FUNCTION credit.repair_step(bigint) IS
'Does one task of a run of repair(), which is one transaction; false: there was none left.';

/* Says what a run has come to. */
CREATE FUNCTION credit.repair_end(run_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r record;
	run credit.repair_run%ROWTYPE;
	n bigint;
BEGIN
	UPDATE credit.repair_run x SET ended_at = clock_timestamp()
	 WHERE x.run_id = repair_end.run_id AND x.pid = pg_backend_pid() AND x.ended_at IS NULL
	RETURNING * INTO run;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	PERFORM credit.progress_end();
	FOR r IN SELECT * FROM credit.repair_result x WHERE x.run_id = repair_end.run_id ORDER BY x.name LOOP
		IF r.n_found IS NULL THEN
			RAISE WARNING '% could not be compared: %', r.name, r.reason
				USING HINT = 'Undo the change of the table, or detach the source and attach it with a mapping that fits; then repair again.';
		ELSIF r.n_left > 0 AND NOT run.is_dry_run THEN
			RAISE WARNING '%: % of % differences are left: %', r.name, r.n_left, GREATEST(r.n_found, r.n_left),
				COALESCE(r.reason, 'they came, or changed, meanwhile')
				USING HINT = 'CALL credit.repair() again; SELECT * FROM credit.reconcile() shows them.';
		ELSIF r.n_left IS NULL THEN
			RAISE WARNING '% could not be compared again: %', r.name, r.reason;
		END IF;
	END LOOP;
	FOR r IN SELECT s.name FROM credit.sources s WHERE s.health LIKE 'triggers%'
				AND (run.source_name IS NULL OR s.name = run.source_name) LOOP
		RAISE WARNING '%: triggers zz_credit_* are missing or disabled: what is written from now on is not seen', r.name
			USING HINT = 'Enable them, then repair again.';
	END LOOP;
	SELECT count(*) INTO n FROM credit.unchecked_raise u WHERE u.run_id = repair_end.run_id;
	IF n > 0 THEN
		RAISE NOTICE '% documents had raised exposure without a check: view credit.unchecked_document', n;
	END IF;
	SELECT sum(x.n_found) AS found, sum(GREATEST(x.n_found - x.n_left, 0)) AS mended,
		   sum(x.n_left) AS rest, count(*) FILTER (WHERE x.n_found IS NULL) AS unreadable INTO r
	  FROM credit.repair_result x WHERE x.run_id = repair_end.run_id;
	IF run.is_dry_run THEN
		RAISE NOTICE 'dry run: % differences found, nothing is changed', COALESCE(r.found, 0);
	ELSE
		RAISE NOTICE 'repair: % differences found, % mended, % left%', COALESCE(r.found, 0), COALESCE(r.mended, 0),
			COALESCE(r.rest, 0), CASE WHEN r.unreadable > 0 THEN format(', %s sources unreadable', r.unreadable) ELSE '' END;
	END IF;
END
$$;
COMMENT ON FUNCTION credit.repair_end(bigint) IS 'Ends a run of repair() and says what it has come to.';

/* Each line is a call of a function of ours by its qualified name. */
CREATE PROCEDURE credit.repair(source text DEFAULT NULL, dry_run boolean DEFAULT false)
LANGUAGE plpgsql
AS $$
DECLARE
	run_id bigint;
BEGIN
	CALL credit.next_transaction();
	run_id := credit.repair_begin(source, dry_run);
	CALL credit.next_transaction();
	WHILE credit.repair_step(run_id) LOOP
		CALL credit.next_transaction();
	END LOOP;
	PERFORM credit.repair_end(run_id);
END
$$;
COMMENT ON PROCEDURE credit.repair(text, boolean) IS
'Mends every difference that reconcile() lists, of one source or of all, while orders arrive: documents in portions, each a transaction, looked at again under the lock of each, so that nothing newer is overwritten. What cannot be locked within setting max_wait is left for the next run, and said. Sources found in order are verified again. Documents that raised exposure without a check are in view unchecked_document. dry_run => true compares, says what it found, and changes nothing. Not in a transaction block.';

CREATE VIEW credit.repairs AS
SELECT r.run_id, r.started_at, r.ended_at, r.called_by, r.is_dry_run,
	   x.name AS source, x.compared_at, x.n_found,
	   CASE WHEN NOT r.is_dry_run THEN GREATEST(x.n_found - x.n_left, 0) END AS n_mended,
	   x.n_left, x.reason
  FROM credit.repair_run r
  LEFT JOIN credit.repair_result x ON x.run_id = r.run_id;
COMMENT ON VIEW credit.repairs IS 'What each call of repair(), dry runs included, found in each source.';
COMMENT ON COLUMN credit.repairs.run_id IS 'Number of the run.';
COMMENT ON COLUMN credit.repairs.started_at IS 'When it began.';
COMMENT ON COLUMN credit.repairs.ended_at IS 'When it came to its end; NULL: it is at work, or was ended before.';
COMMENT ON COLUMN credit.repairs.called_by IS 'Session user who called it.';
COMMENT ON COLUMN credit.repairs.is_dry_run IS 'True: it only compared.';
COMMENT ON COLUMN credit.repairs.source IS 'Source, or ledger: the ledger with itself.';
COMMENT ON COLUMN credit.repairs.compared_at IS 'When it was compared last in this run.';
COMMENT ON COLUMN credit.repairs.n_found IS 'Differences found; NULL: it could not be read.';
COMMENT ON COLUMN credit.repairs.n_mended IS 'How many of them were mended; NULL: a dry run, or not known.';
COMMENT ON COLUMN credit.repairs.n_left IS 'How many are left; NULL: not known.';
COMMENT ON COLUMN credit.repairs.reason IS 'Why it could not be read, or why the first of what is left is left.';

CREATE VIEW credit.unchecked_document AS
SELECT u.unchecked_id, u.found_at, u.found_by, a.customer, a.segment, a.name, s.name AS source, s.kind,
	   u.item_key AS key, COALESCE(i.number, u.item_key) AS number, i.document_date,
	   u.currency, u.amount, u.account_currency, u.limit_state, u.credit_limit, u.exposure,
	   CASE u.limit_state WHEN 'amount' THEN u.exposure > u.credit_limit
						  WHEN 'blocked' THEN u.exposure > 0 ELSE false END AS was_over_limit,
	   e.is_over_limit, e.exposure AS exposure_now, e.credit_limit AS limit_now,
	   u.acknowledged_at, u.acknowledged_by, u.acknowledgement
  FROM credit.unchecked_raise u
  JOIN credit.account a ON a.account_id = u.account_id
  LEFT JOIN credit.source s ON s.source_id = u.source_id
  LEFT JOIN credit.item i ON i.source_id = u.source_id AND i.key = u.item_key
  LEFT JOIN LATERAL credit.account_exposure(u.account_id) e ON true;
COMMENT ON VIEW credit.unchecked_document IS
'Orders and deliveries that raised exposure without a check, because no trigger saw them, as repair() found and booked them. acknowledge_unchecked() takes note of them.';
COMMENT ON COLUMN credit.unchecked_document.unchecked_id IS 'Number, for acknowledge_unchecked().';
COMMENT ON COLUMN credit.unchecked_document.found_at IS 'When it was found and booked.';
COMMENT ON COLUMN credit.unchecked_document.found_by IS 'Session user who ran the repair.';
COMMENT ON COLUMN credit.unchecked_document.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.unchecked_document.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.unchecked_document.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.unchecked_document.source IS 'Source; NULL: detached meanwhile.';
COMMENT ON COLUMN credit.unchecked_document.kind IS 'The kind: order or delivery.';
COMMENT ON COLUMN credit.unchecked_document.key IS 'Key of the document in the ERP.';
COMMENT ON COLUMN credit.unchecked_document.number IS 'Number people know it by.';
COMMENT ON COLUMN credit.unchecked_document.document_date IS 'Date of the document; NULL: it has none, or is gone.';
COMMENT ON COLUMN credit.unchecked_document.currency IS 'Currency of the document.';
COMMENT ON COLUMN credit.unchecked_document.amount IS 'What it raised exposure by, in that currency.';
COMMENT ON COLUMN credit.unchecked_document.account_currency IS 'Currency of the account; limits and exposure are in it.';
COMMENT ON COLUMN credit.unchecked_document.limit_state IS 'State of the limit when it was booked.';
COMMENT ON COLUMN credit.unchecked_document.credit_limit IS 'Limit then.';
COMMENT ON COLUMN credit.unchecked_document.exposure IS 'Exposure of the account then, with everything that was booked in the same portion. NULL: a rate was missing.';
COMMENT ON COLUMN credit.unchecked_document.was_over_limit IS 'True: the account was above its limit with it.';
COMMENT ON COLUMN credit.unchecked_document.is_over_limit IS 'True: the account is above its limit now.';
COMMENT ON COLUMN credit.unchecked_document.exposure_now IS 'Exposure of the account now.';
COMMENT ON COLUMN credit.unchecked_document.limit_now IS 'Limit now.';
COMMENT ON COLUMN credit.unchecked_document.acknowledged_at IS 'When somebody acknowledged it; NULL: not yet.';
COMMENT ON COLUMN credit.unchecked_document.acknowledged_by IS 'Session user who did.';
COMMENT ON COLUMN credit.unchecked_document.acknowledgement IS 'What was decided.';

CREATE FUNCTION credit.acknowledge_unchecked(reason text, unchecked_ids bigint[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n bigint;
BEGIN
	IF reason IS NULL OR btrim(reason) = '' THEN
		RAISE EXCEPTION 'an acknowledgement needs a reason'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'Say what was decided.';
	END IF;
	PERFORM credit.maintain(true);
	UPDATE credit.unchecked_raise u
	   SET acknowledged_at = clock_timestamp(), acknowledged_by = session_user, acknowledgement = reason
	 WHERE u.acknowledged_at IS NULL AND (unchecked_ids IS NULL OR u.unchecked_id = ANY (unchecked_ids));
	GET DIAGNOSTICS n = ROW_COUNT;
	PERFORM credit.maintain(false);
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.acknowledge_unchecked(text, bigint[]) IS
'Takes note of documents that entered without a check: writes down who, when and why, and status() is quiet about them. unchecked_ids: those of view unchecked_document; NULL: all that are open. Returns how many they were.';

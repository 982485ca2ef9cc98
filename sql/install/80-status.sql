/*
 * Subject status: what a DBA should know at 3 a.m., in plain words.
 *
 * Runs as its owner, so that the right to call it is enough: an update of the
 * extension can add a finding that reads something new, and whoever was let in
 * before goes on seeing all of them.
 */
CREATE FUNCTION credit.status
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
		   'Documents get past the ledger. Enable the triggers, then CALL credit.repair() to catch up.'
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
		   'Those rows are not in the ledger: CALL credit.repair() takes them in.'
	  FROM credit.sources s WHERE s.health = 'unverified'
	UNION ALL
	SELECT o.rank, o.severity, o.subject, o.finding, o.advice FROM credit.operation_findings() o
	UNION ALL
	SELECT 2, 'warning', 'source ' || s.name,
		   format('repair left %s differences on %s', s.differences_left, date_trunc('second', s.last_compared_at)),
		   'View credit.repairs says why. CALL credit.repair() again.'
	  FROM credit.sources s
	 WHERE s.differences_left > 0 AND s.health <> 'broken'
	UNION ALL
	SELECT 2, 'warning', 'unchecked documents',
		   format('%s raised exposure without a check and are not acknowledged, %s of them found in the last 7 days; %s of their accounts are above their limit',
				  count(*), count(*) FILTER (WHERE u.found_at > now() - interval '7 days'),
				  count(DISTINCT u.account_id) FILTER (WHERE e.is_over_limit)),
		   'SELECT * FROM credit.unchecked_document WHERE acknowledged_at IS NULL; then SELECT credit.acknowledge_unchecked(''what was decided'').'
	  FROM credit.unchecked_raise u
	  LEFT JOIN (SELECT o.account_id, x.is_over_limit
				   FROM (SELECT DISTINCT y.account_id FROM credit.unchecked_raise y WHERE y.acknowledged_at IS NULL) o
				  CROSS JOIN LATERAL credit.account_exposure(o.account_id) x) e ON e.account_id = u.account_id
	 WHERE u.acknowledged_at IS NULL
	HAVING count(*) > 0
	UNION ALL
	SELECT 2, 'warning', 'setting capture', 'capture is off: the ledger falls behind',
		   'SELECT credit.set(''capture'', ''on''); then CALL credit.repair() to catch up.'
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
		   format('%s sources, %s accounts, mode %s%s', (SELECT count(*) FROM credit.source),
				  (SELECT count(*) FROM credit.account),
				  (SELECT s.value FROM credit.settings s WHERE s.name = 'mode'),
				  (SELECT format(', compared with the ERP last on %s', to_char(max(r.compared_at), 'YYYY-MM-DD HH24:MI'))
					 FROM credit.repair_result r WHERE r.source_id <> 0 HAVING count(*) > 0)), ''
  ) q
 ORDER BY q.rank, q.subject
$$;
COMMENT ON FUNCTION credit.status() IS
'What is wrong, most urgent first, with what to do: error, warning, info; the last row (ok) says what is there.';

-- Hostile input: whatever a function, trigger or column is given, the answer is
-- an error or a right figure, never a crash and never a wrong sum.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = error;
SELECT credit.set_rule('not_set', 'off');

CREATE SCHEMA shop;
CREATE TABLE shop.orders (id text PRIMARY KEY, customer text, total numeric);
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total');
INSERT INTO shop.orders VALUES ('1', 'A', 1);

CREATE FUNCTION shop.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'fine';
EXCEPTION
	WHEN internal_error THEN RETURN 'internal error: ' || SQLERRM;
	WHEN OTHERS THEN RETURN 'error';
END
$$;

-- 1. Every function with NULLs, with extremes, with nonsense

CREATE TABLE shop.value (type regtype, value text);
INSERT INTO shop.value VALUES
	('text', 'NULL'), ('text', ''''''), ('text', '''nonsense'''), ('text', 'repeat(''x'', 100000)'), ('text', '''%s %n $1 \'''),
	('text', E'\'a\nb\''),
	('bigint', 'NULL'), ('bigint', '0'), ('bigint', '-1'), ('bigint', '9223372036854775807'), ('bigint', '''-9223372036854775808'''),
	('integer', 'NULL'), ('integer', '0'), ('integer', '-1'), ('integer', '2147483647'),
	('regclass[]', 'NULL'), ('regclass[]', '''{}'''), ('regclass[]', '''{NULL}'''), ('regclass[]', '''{1,1259}'''), ('json', 'NULL'), ('json', '''{}'''), ('json', '''[]'''), ('json', '''{"pg_class": "relname, , nosuch, oid:text"}'''),
	('integer[]', 'NULL'), ('integer[]', '''{}'''), ('integer[]', '''{NULL}'''), ('integer[]', '''{0,30}'''), ('integer[]', '''{30,0}'''),
	('integer[]', '''{-2147483648,0,2147483647}'''), ('integer[]', '''{{0,1},{2,3}}'''), ('integer[]', 'array_fill(0, ARRAY[1000000])'),
	('smallint', 'NULL'), ('smallint', '0'), ('smallint', '-1'), ('smallint', '32767'),
	('numeric', 'NULL'), ('numeric', '''NaN'''), ('numeric', '''-Infinity'''), ('numeric', '1e1000'), ('numeric', '-1e-1000'),
	('numeric[]', 'NULL'), ('numeric[]', '''{}'''), ('numeric[]', '''{NULL}'''), ('numeric[]', '''{NaN}'''), ('numeric[]', '''{1,2,3,4,5,6}'''),
	('numeric[]', '''{{1,2},{3,4}}'''), ('numeric[]', '''[5:6]={1,2}'''), ('numeric[]', '''{Infinity}'''), ('numeric[]', 'array_fill(numeric ''1'', ARRAY[100000])'),
	('double precision', 'NULL'), ('double precision', '0'), ('double precision', '0.5'), ('double precision', '''NaN'''), ('double precision', '''-Infinity'''), ('double precision', '1e308'), ('double precision', '-1e-308'),
	('double precision[]', 'NULL'), ('double precision[]', '''{}'''), ('double precision[]', '''{NULL}'''), ('double precision[]', '''{NaN}'''), ('double precision[]', '''{1,2,0}'''),
	('double precision[]', '''{{1,2},{3,4}}'''), ('double precision[]', '''[5:7]={1,2,3}'''), ('double precision[]', '''{Infinity,1e308,1e308}'''), ('double precision[]', 'array_fill(float8 ''1e308'', ARRAY[100000])'),
	('date', 'NULL'), ('date', '''infinity'''), ('date', '''-infinity'''), ('date', '''5874897-12-31'''), ('date', '''4713-01-01 BC'''),
	('date[]', 'NULL'), ('date[]', '''{}'''), ('date[]', '''{NULL}'''), ('date[]', '''{infinity,-infinity}'''), ('date[]', '''{2025-01-31,2025-01-31}'''), ('date[]', '''{{2025-01-31},{2025-02-28}}'''), ('date[]', '''{5874897-12-31,"4713-01-01 BC"}'''),
	('boolean', 'NULL'), ('boolean', 'true'), ('boolean', 'false'),
	('regclass', 'NULL'), ('regclass', '0'), ('regclass', '4000000000'), ('regclass', '''shop.orders'''), ('regclass', '''pg_class'''), ('regclass', '''shop.orders_pkey'''),
	('oid', 'NULL'), ('oid', '0'), ('oid', '4294967295'),
	('jsonb', 'NULL'), ('jsonb', '''{}'''), ('jsonb', '''[1]'''), ('jsonb', '''"x"'''), ('jsonb', '''{"key": {"a": 1}, "amount": null, "x": "y"}'''),
	('timestamptz', 'NULL'), ('timestamptz', '''infinity'''), ('timestamptz', '''-infinity'''), ('timestamptz', '''294276-12-31'''), ('timestamptz', '''4713-01-01 BC'''),
	('interval', 'NULL'), ('interval', '''0'''), ('interval', '''-1 day'''), ('interval', '''178000000 years'''), ('interval', '''1 month -1 microsecond'''),
	('double precision', 'NULL'), ('double precision', '0'), ('double precision', '-1'), ('double precision', '''NaN'''), ('double precision', '''-Infinity'''), ('double precision', '1e300'),
	('double precision[]', 'NULL'), ('double precision[]', '''{}'''), ('double precision[]', '''{NULL}'''), ('double precision[]', '''{NaN}'''), ('double precision[]', '''{1}'''),
	('double precision[]', '''{1,-1e300}'''), ('double precision[]', '''{{1,2},{3,4}}'''), ('double precision[]', '''[5:6]={1,2}'''), ('double precision[]', 'array_fill(float8 ''1'', ARRAY[100000])'),
	('bigint[]', 'NULL'), ('bigint[]', '''{}'''), ('bigint[]', '''{NULL,1}'''), ('bigint[]', '''{-1,9223372036854775807}'''),
	('text[]', 'NULL'), ('text[]', '''{}'''), ('text[]', '''{NULL}'''), ('text[]', '''{total}'''), ('text[]', '''{{a,b},{c,d}}'''), ('text[]', 'array_fill(text ''x'', ARRAY[100000])'),
	('credit.binning_option', 'NULL'), ('credit.binning_option', '''(,,,,,,,,,,,)'''), ('credit.binning_option', '''(0,-1,NaN,1e300,-1,0,2,sideways,-1,{x},{NaN},)'''),
	('credit.binning_option', '''(200,50,0,0,0,0,0,peak,0,"{1,2}","{1,2,3}",none)'''), ('credit.binning_option', '''(200,50,0,0,0,0,0,auto,0,,,pool)'''),
	('credit.bin', 'NULL'), ('credit.bin', '''(,,,,,,,,,,)'''), ('credit.bin', '''(1,range,NaN,Infinity,{NULL},-1,-1,-1,-1,NaN,NaN)'''),
	('credit.binning', 'NULL'), ('credit.binning', '''(,,,,,,,,,)'''), ('credit.binning', '''(f,,,,,,,,,{})'''), ('credit.binning', '''(t,,,,,,,,,{NULL})'''),
	('credit.binning', '''(f,,,,,,,,,"{""(1,range,,,,,,,,1,)""}")'''), ('credit.binning', '''(f,,,,,,,,,"{""(1,range,,1,,,,,,1,)"",""(2,range,0,,,,,,,1,)""}")'''),
	('credit.binning', '''(t,,,,,,,,,"{""(1,categories,,,{NULL},,,,,1,)""}")'''), ('credit.binning', '''(t,,,,,,,,,"{""(1,categories,,,,,,,,1,)""}")'''),
	('credit.binning', '''(f,,,,,,,,,"{""(1,special,,,,,,,,1,)"",""(,,,,,,,,,,)""}")'''),
	('credit.value_table', 'NULL'), ('credit.value_table', '''(,,,,)'''), ('credit.value_table', '''("{1,NULL}",,,,)'''), ('credit.value_table', '''(,{NULL},{NaN},t,)'''), ('credit.value_table', '''("{2,NaN,1}",{a},"{1}",f,1e300)'''),
	('credit.binning[]', 'NULL'), ('credit.binning[]', '''{}'''), ('credit.binning[]', '''{NULL}'''), ('credit.binning[]', 'ARRAY[credit.manual_bins(''{1}'', ''{1,2}'')]'),
	('credit.binning[]', 'array_fill(credit.manual_bins(''{1}'', ''{1,2}''), ARRAY[2,2])'), ('credit.binning[]', '''{"(f,,,,,,,,,)"}'''),
	('credit.value_table[]', 'NULL'), ('credit.value_table[]', '''{}'''), ('credit.value_table[]', '''{NULL}'''), ('credit.value_table[]', '''{"(,,,,)"}'''),
	('credit.value_table[]', 'ARRAY[credit.numeric_values(''{0,1}'', ''{0,100}'')]'), ('credit.value_table[]', 'ARRAY[credit.numeric_values(''[0:1]={NaN,Infinity}'', ''{-1,1e308}'', NULL, ''NaN'')]'),
	('credit.aging_buckets', 'NULL'), ('credit.aging_buckets', '''(,,,,,,,,,)'''), ('credit.aging_buckets', '''(NaN,Infinity,-Infinity,1e1000,-1e-1000,0,0,NaN,1,-1)'''), ('credit.aging_buckets', '''(1,1,1,1,1,1,0,-1e1000,1,0)'''),
	('credit.payment_measures', 'NULL'), ('credit.payment_measures', '(SELECT credit.payment_profile(1, date ''2025-01-01'', date ''2025-01-31'', NULL, date ''2025-06-30''))'),
	('credit.payment_measures', '(SELECT credit.payment_profile(1e-1000, date ''2025-01-01'', date ''2025-01-31'', NULL, date ''2025-06-30''))'),
	('credit.payment_measures', '(SELECT credit.payment_profile(1, NULL, NULL, NULL) WHERE false)'),
	('regrole', 'NULL'), ('regrole', '0'), ('regrole', '4294967295'),
	('cstring', 'NULL'), ('cstring', ''''''), ('cstring', '''\x'''), ('cstring', '''\x0101ff'''), ('cstring', '''\x0102ffffffff'''),
	('bytea', 'NULL'), ('bytea', ''''''), ('bytea', '''\x0101'''),
	('credit.payment_state', 'NULL'), ('credit.payment_state', '''\x01010000000000000000000000000000'''), ('credit.payment_state', '''\x01010201d88e01000000000000000000000000'''),
	('credit.payment_state', '''\x01010200000000ca02cf2a94b6ca01050201c24e0101c24e0101c24e0101c24e0101c24e05968f01010201010401010601010801010a01d88e01050001040500'''),
	('credit.aging_state', 'NULL'), ('credit.aging_state', '''\x0102000000000000'''), ('credit.aging_state', '''\x0102010004988f01010001010f01011e01012d01968f01010f01020500''');

CREATE TABLE shop.call AS
SELECT p.oid::regprocedure AS function, p.proname, p.pronargs, v.seq,
	   CASE p.prokind WHEN 'p' THEN 'CALL' WHEN 'a' THEN 'SELECT' ELSE 'SELECT * FROM' END AS verb,
	   (SELECT string_agg(format('%s::%s', c.value, c.type), ', ' ORDER BY a.n)
		  FROM unnest(p.proargtypes) WITH ORDINALITY a (type, n)
		  CROSS JOIN LATERAL (SELECT x.value, x.type FROM (SELECT w.*, row_number() OVER () AS k, count(*) OVER () AS of
															 FROM shop.value w WHERE w.type = a.type) x
							   /* every value of each type meets every position */
							   WHERE x.k = 1 + (v.seq * (CASE WHEN a.n % 2 = 0 THEN 1 ELSE 3 END) + a.n * (v.seq / 7)) % x.of) c) AS arguments
  FROM pg_proc p, generate_series(0, 29) v (seq)
 WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype <> 'trigger'::regtype
   AND (p.pronargs > 0 OR v.seq = 0)
   /* SQL has no value to call support functions of aggregates with */
   AND 'internal'::regtype <> ALL (p.proargtypes::oid[]);
SELECT cmp_ok((SELECT count(*) FROM shop.call), '>', 500::bigint, 'there is something to call');
SELECT is_empty('SELECT DISTINCT function FROM shop.call WHERE array_length(string_to_array(COALESCE(arguments, ''-''), ''::''), 1) <> pronargs + 1 AND pronargs > 0',
	'a value for every argument');

-- each call in a savepoint of its own that is undone, so that none spoils the next
CREATE FUNCTION shop.try_call(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	result := shop.outcome(command);
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
	RETURN SQLERRM;
END
$$;
/* sorted first, or the numbers of the tests would not be in order */
SELECT is(q.bad, NULL, format('%s does not lose its head', q.function))
  FROM (SELECT r.function, string_agg(DISTINCT r.result, '; ') FILTER (WHERE r.result NOT IN ('fine', 'error')) AS bad
		  FROM (SELECT c.function, shop.try_call(format('%s credit.%I(%s)', c.verb, c.proname, c.arguments)) AS result FROM shop.call c) r
		 GROUP BY r.function ORDER BY r.function::text OFFSET 0) q;
SELECT is((SELECT string_agg(customer || ' ' || total, ', ') FROM credit.exposure), 'A 1', 'and the ledger is as before');

-- reports over a query want a definition list, and take any text for the query
SELECT is(q.bad, NULL, format('%s does not lose its head with a definition list', q.report))
  FROM (SELECT r.report, string_agg(DISTINCT r.result, '; ') FILTER (WHERE r.result NOT IN ('fine', 'error')) AS bad
		  FROM (SELECT p.report, shop.try_call(format('SELECT * FROM credit.%s AS r(%s)', format(p.call, q.value, d.value, t.value), p.list)) AS result
				  FROM (VALUES ('aging_report', 'aging_report(%1$s::text, %2$s::date, %3$s::text)', 'k text, r credit.aging_buckets'),
							   ('aging_report with bounds', 'aging_report(%1$s::text, %2$s::date, ARRAY[0], %3$s::text)', 'r credit.aging_array'),
							   ('aging_report of another type', 'aging_report(%1$s::text, %2$s::date, ARRAY[0], %3$s::text)', 'r credit.payment_measures'),
							   ('payment_report', 'payment_report(%1$s::text, %2$s::date, length(%3$s::text))', 'k text, r credit.payment_measures')) p (report, call, list)
				 CROSS JOIN (SELECT v.value FROM shop.value v WHERE v.type = 'text'::regtype UNION ALL
							 SELECT quote_literal(x) FROM unnest(ARRAY['SELECT id, total, ''infinity''::date FROM shop.orders', 'SELECT ''NaN''::numeric, ''-infinity''::date',
								'SELECT id, total, NULL::date, NULL::date, NULL::date FROM shop.orders', 'DELETE FROM shop.orders RETURNING id, total, NULL::date',
								'SELECT id, 1e1000, current_date, current_date, current_date FROM shop.orders', 'TABLE shop.orders', 'VALUES (1)']) x) q
				 CROSS JOIN (SELECT v.value FROM shop.value v WHERE v.type = 'date'::regtype) d
				 CROSS JOIN (VALUES ('NULL'), ('''own'''), ('''nonsense''')) t (value)) r
		 GROUP BY r.report ORDER BY r.report OFFSET 0) q;
SELECT is((SELECT string_agg(customer || ' ' || total, ', ') FROM credit.exposure), 'A 1', 'and the ledger still is as before');

-- 2. Trigger functions called by hand, or put where they do not belong

SELECT throws_matching(format('SELECT %s', p.function), 'trigger', p.proname || ' cannot be called')
  FROM (SELECT p.oid::regprocedure AS function, p.proname FROM pg_proc p
		 WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype = 'trigger'::regtype
		 ORDER BY p.proname OFFSET 0) p;
CREATE TABLE shop.victim (id int PRIMARY KEY, relation regclass, source_id int, name text, value text);
CREATE VIEW shop.victims AS SELECT * FROM shop.victim;
CREATE FUNCTION shop.misuse(function regprocedure, timing text, level text, target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
	command text;
BEGIN
	BEGIN
		EXECUTE format('CREATE TRIGGER t %s INSERT OR UPDATE OR DELETE %s ON %s FOR EACH %s EXECUTE FUNCTION %s',
					   timing, CASE WHEN level = 'STATEMENT' AND target = 'shop.victim' THEN 'OR TRUNCATE' ELSE '' END, target, level, function);
		FOREACH command IN ARRAY ARRAY[
			'INSERT INTO shop.victim VALUES (1, 0, 1, ''mode'', ''off'')', 'INSERT INTO shop.victim VALUES (2)',
			'UPDATE shop.victim SET id = id + 1', 'UPDATE shop.victim SET name = NULL', 'DELETE FROM shop.victim', 'TRUNCATE shop.victim',
			'INSERT INTO shop.victims VALUES (3)', 'UPDATE shop.victims SET id = 4', 'DELETE FROM shop.victims'] LOOP
			result := result || shop.outcome(command) || ' ';
		END LOOP;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = result;
	EXCEPTION
		WHEN SQLSTATE 'ZZ000' THEN RETURN SQLERRM;
		WHEN OTHERS THEN RETURN 'error';
	END;
END
$$;
SELECT unalike(string_agg(shop.misuse(p.oid::regprocedure, m.timing, m.level, m.target), ' '), '%internal error%',
			  p.proname || ' survives being put where it does not belong')
  FROM pg_proc p, (VALUES ('BEFORE', 'ROW', 'shop.victim'), ('AFTER', 'ROW', 'shop.victim'), ('BEFORE', 'STATEMENT', 'shop.victim'),
						  ('AFTER', 'STATEMENT', 'shop.victim'), ('INSTEAD OF', 'ROW', 'shop.victims')) m (timing, level, target)
 WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype = 'trigger'::regtype
 GROUP BY p.proname ORDER BY p.proname;
-- on a table that nobody attached, in the right way: nothing happens
CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON shop.victim FOR EACH STATEMENT EXECUTE FUNCTION credit.begin_statement();
CREATE TRIGGER b AFTER INSERT OR UPDATE OR DELETE ON shop.victim FOR EACH ROW EXECUTE FUNCTION credit.capture_row();
SELECT lives_ok('INSERT INTO shop.victim VALUES (1), (2)', 'begin_statement without end_statement');
CREATE TRIGGER c AFTER INSERT OR UPDATE OR DELETE ON shop.victim FOR EACH STATEMENT EXECUTE FUNCTION credit.end_statement();
DROP TRIGGER a ON shop.victim;
SELECT lives_ok('UPDATE shop.victim SET id = id + 10', 'end_statement without begin_statement');
SELECT lives_ok($$UPDATE shop.orders SET total = 2 WHERE id = '1'$$, 'attached tables go on beside them');
SELECT is(total, 2::numeric, 'with the right sum') FROM credit.exposure WHERE customer = 'A';
-- the row trigger alone, or twice, on an attached table
CREATE TRIGGER again AFTER INSERT OR UPDATE OR DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION credit.capture_row();
CREATE TRIGGER zzz_again AFTER INSERT OR UPDATE OR DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION credit.capture_row();
CREATE TRIGGER aa_end AFTER INSERT OR UPDATE OR DELETE ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION credit.end_statement();
INSERT INTO shop.orders VALUES ('2', 'A', 40);
UPDATE shop.orders SET total = total + 1;
DELETE FROM shop.orders WHERE id = '1';
SELECT is(total, 41::numeric, 'triggers of ours put twice count once') FROM credit.exposure WHERE customer = 'A';
DROP TRIGGER again ON shop.orders; DROP TRIGGER zzz_again ON shop.orders; DROP TRIGGER aa_end ON shop.orders;

-- 3. A schema in front of pg_catalog with functions and operators that lie

CREATE SCHEMA evil;
CREATE FUNCTION evil.loud() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil was called'; END $$;
CREATE FUNCTION evil.text_eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT evil.loud() IS NULL';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.text_eq);
CREATE FUNCTION evil.num_gt(numeric, numeric) RETURNS boolean LANGUAGE sql AS 'SELECT evil.loud() IS NULL';
CREATE OPERATOR evil.> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.num_gt);
CREATE OPERATOR evil.= (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.num_gt);
CREATE FUNCTION evil.num_plus(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 666::numeric FROM evil.loud()';
CREATE OPERATOR evil.+ (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.num_plus);
CREATE FUNCTION evil.int_eq(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT evil.loud() IS NULL';
CREATE OPERATOR evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = evil.int_eq);
CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS 'SELECT ''x'' FROM evil.loud()';
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz FROM evil.loud()';
CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT ''x'' FROM evil.loud()';
CREATE FUNCTION evil.jsonb_build_object(VARIADIC text[]) RETURNS jsonb LANGUAGE sql AS 'SELECT ''{}''::jsonb FROM evil.loud()';
CREATE FUNCTION evil.sum(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 666::numeric FROM evil.loud()';
CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''evil''';
CREATE TABLE evil.pg_class (oid oid);
CREATE TABLE evil.pg_trigger (x int);
CREATE DOMAIN evil.numeric AS text;
CREATE DOMAIN evil.text AS int;
GRANT ALL ON SCHEMA evil TO PUBLIC;
CREATE TABLE shop.other (id int PRIMARY KEY, customer pg_catalog.text, total pg_catalog.numeric, state pg_catalog.text);

CREATE TEMP TABLE pg_index (x int);
CREATE TEMP TABLE pg_namespace (x int);

-- pgTAP itself would fall for these, so that only the command meets them
CREATE FUNCTION shop.under_evil(command pg_catalog.text) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$
DECLARE
	result pg_catalog.text;
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog, public', true);
	BEGIN
		EXECUTE command;
		result := 'fine';
	EXCEPTION WHEN OTHERS THEN
		result := SQLERRM;
	END;
	PERFORM pg_catalog.set_config('search_path', 'public', true);
	RETURN result;
END
$$;
SET LOCAL search_path = public;
SELECT is(shop.under_evil('SELECT 1 WHERE ''a''::pg_catalog.text = ''a''::pg_catalog.text'), 'evil was called', 'the path is hostile');
SELECT is(shop.under_evil(c), 'fine', 'under a hostile search_path: ' || left(c, 60)) FROM unnest(ARRAY[
	$$INSERT INTO shop.orders VALUES ('3', 'A', 1)$$,
	$$UPDATE shop.orders SET total = 7 WHERE id OPERATOR(pg_catalog.=) '3'$$,
	$$SELECT credit.attach('shop.other', 'order', key => 'id', customer => 'customer', amount => 'total', counts_when => $x$state OPERATOR(pg_catalog.=) 'open'$x$)$$,
	$$SELECT credit.attach('shop.victim', 'customer', key => 'id', name => 'name', dry_run => true)$$,
	$$INSERT INTO shop.other VALUES (1, 'A', 100, 'open')$$,
	$$SELECT credit.set_limit('A', 1000, 'x')$$,
	$$SELECT credit.set('near_limit', '0.5'), credit.set('near_limit', NULL), credit.set_rule('limit', 'warn'), credit.set_rule('limit', NULL)$$,
	'SELECT * FROM credit.exposure', 'SELECT * FROM credit.exposure_document', 'SELECT * FROM credit.near_limit',
	'SELECT * FROM credit.over_limit', 'SELECT * FROM credit.sources', 'SELECT * FROM credit.settings', 'SELECT * FROM credit.rules',
	'SELECT * FROM credit.decision', 'SELECT * FROM credit.limit_history', 'SELECT * FROM credit.item_history', 'SELECT * FROM credit.limit_in_force',
	'SELECT * FROM credit.status()', 'SELECT * FROM credit.exposure_on(pg_catalog.now()::pg_catalog.date)',
	'SELECT * FROM credit.check_order(''A'', 1)', 'SELECT * FROM credit.balance(1)',
	$$SELECT credit.enter_financials('A', '2024-12-31', total_assets => 2, equity => 1, total_liabilities => 1, published_on => '2025-01-01')$$,
	$$SELECT credit.enter_bureau_report('A', 'B', '2025-01-01', probability => 0.01, published_on => '2025-01-01')$$,
	$$SELECT credit.enter_company_fact('A', industry => '1')$$, $$SELECT credit.withdraw_entry('company_fact', (SELECT pg_catalog.max(company_fact_id) FROM credit.company_fact), 'x')$$,
	$$SELECT credit.enter_default('A', 'insolvency', '2025-01-01'), credit.enter_default('A', 'recovery', '2025-01-02', published_on => '2025-01-03')$$,
	$$SELECT * FROM credit.defaults('2024-12-31', '2025-12-31')$$, $$SELECT * FROM credit.features()$$,
	$$SELECT (credit.select_logit('SELECT g, g OPERATOR(pg_catalog.%) 5 OPERATOR(pg_catalog.<) 2 AS b FROM pg_catalog.generate_series(1, 100) g', 'b', '{g}')).variables$$,
	$$SELECT credit.record_rating('A', 'm', 0.01)$$, $$SELECT credit.set_rating_override('A', '3', 'x', credit.today())$$,
	$$SELECT credit.set_master_scale('{A,B}', '{0.1,1}', 'x')$$, $$SELECT credit.grade_of(0.01, 'A'), credit.pd_of_grade('A'), credit.altman_zone('z', 1)$$,
	'SELECT * FROM credit.financial_ratio', 'SELECT * FROM credit.financial_statement', 'SELECT * FROM credit.bureau', 'SELECT * FROM credit.company',
	'SELECT * FROM credit.rating', 'SELECT * FROM credit.rating_check', 'SELECT * FROM credit.rating_migration', 'SELECT * FROM credit.master_scale',
	'SELECT credit.add_standard_model()', 'SELECT * FROM credit.models', 'SELECT * FROM credit.model_points',
	$$SELECT r.reasons FROM credit.score_row('standard', '{"on_time_rate": 1}') r$$, $$SELECT credit.score_of('standard', '{"on_time_rate": 1}')$$,
	$$SELECT credit.fit_scorecard('evil', 'SELECT g, g OPERATOR(pg_catalog.%) 9 OPERATOR(pg_catalog.<) 4 AS b FROM pg_catalog.generate_series(1, 1000) g', 'b', '{g}', min_iv => -1, options => credit.binning_options(trend => 'none'))$$,
	$$SELECT b.* FROM (SELECT credit.optimal_bins(g, g OPERATOR(pg_catalog.=) ANY ('{1,2,3}')) AS b FROM pg_catalog.generate_series(1, 1000) g) x, credit.bins(x.b) b$$,
	$$SELECT credit.champion('standard'), credit.retire_model(credit.champion('standard'))$$,
	$$SELECT * FROM credit.aging_report('SELECT g, 1.5, credit.today() FROM pg_catalog.generate_series(1, 9) g', credit.today()) AS r(k int, a credit.aging_buckets)$$,
	$$SELECT * FROM credit.payment_report('SELECT g::pg_catalog.text, 1.5, credit.today(), credit.today(), credit.today() FROM pg_catalog.generate_series(1, 9) g') AS r(k pg_catalog.text, a credit.payment_measures)$$,
	$$SELECT credit.grant_analyst('pg_monitor')$$, $$SELECT credit.revoke_analyst('pg_monitor')$$,
	'TRUNCATE shop.other', $$SELECT credit.detach('shop.other')$$]) c;
SELECT is(total, 48::numeric, 'the sum is right') FROM credit.exposure WHERE customer = 'A';
-- a mapping is fixed when it is attached: what the path hides afterwards does not matter
SELECT credit.attach('shop.other', 'order', key => 'id', customer => 'upper(customer)', amount => 'total');
SELECT is(shop.under_evil($$INSERT INTO shop.other VALUES (2, 'b', 5, 'open')$$), 'fine', 'an order under a path that hides upper()');
SELECT is(customer, 'B', 'functions of a mapping are those of attach') FROM credit.exposure_document WHERE source = 'shop.other' AND key = '2';
SELECT credit.detach('shop.other');
-- one that is attached under the path takes what the path says: it is the DBA's
SELECT is(shop.under_evil($$SELECT credit.attach('shop.other', 'order', key => 'id', customer => 'upper(customer)', amount => 'total')$$), 'fine', 'attach under such a path');
SELECT is(customer, 'evil', 'follows it') FROM credit.exposure_document WHERE source = 'shop.other' AND key = '2';
SELECT alike((SELECT fields ->> 'customer' FROM credit.sources WHERE name = 'shop.other'), 'evil.upper(%', 'and shows it');
SELECT credit.detach('shop.other');
DROP SCHEMA evil CASCADE;
DROP TABLE pg_temp.pg_index, pg_temp.pg_namespace;

-- 4. Columns of odd types

CREATE DOMAIN shop.amount AS numeric(12,2) CHECK (VALUE < 1000000);
CREATE DOMAIN shop.code AS varchar(8) CHECK (VALUE <> 'nobody');
CREATE TABLE shop.odd (
	id int PRIMARY KEY, who shop.code, d shop.amount, m money, f8 float8, f4 float4, n numeric, i2 int2, i8 int8,
	b boolean, day timestamptz, day2 date);
SELECT credit.set('currency', 'USD');
CREATE FUNCTION shop.try_amount(expression text, col text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	BEGIN
		PERFORM credit.attach('shop.odd', 'order', key => 'id', customer => 'who', amount => expression);
		EXECUTE format('INSERT INTO shop.odd (id, who, %I) VALUES (1, ''odd'', %s)', col, value);
		SELECT COALESCE((SELECT amount::text FROM credit.exposure_document WHERE source = 'shop.odd'), 'nothing') ||
			   COALESCE(' / ' || (SELECT e.total::text FROM credit.exposure e WHERE e.customer = 'odd'), '') INTO r;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = r;
	EXCEPTION WHEN SQLSTATE 'ZZ000' THEN RETURN SQLERRM;
	END;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
SELECT is(shop.try_amount('d', 'd', '12.345'), '12.35 / 12.35', 'a domain over numeric');
SELECT is(shop.try_amount('m', 'm', '''12.34'''), '12.34 / 12.34', 'money');
SELECT is(shop.try_amount('f8', 'f8', '0.1'), '0.1 / 0.1', 'float8');
SELECT is(shop.try_amount('f4', 'f4', '0.1'), '0.1 / 0.1', 'float4');
SELECT is(shop.try_amount('f8', 'f8', '''NaN'''), 'nothing', 'float8 NaN is not counted');
SELECT is(shop.try_amount('f8', 'f8', '''-Infinity'''), 'nothing', 'nor -Infinity');
SELECT is(shop.try_amount('n', 'n', '''NaN'''), 'nothing', 'numeric NaN');
SELECT is(shop.try_amount('n', 'n', '''Infinity'''), 'nothing', 'numeric Infinity');
SELECT is(length(shop.try_amount('n', 'n', '1e1000')), 2 * 1001 + 3, 'a number of a thousand digits');
SELECT is(shop.try_amount('n', 'n', '1e-20'), '0.00000000000000000001 / 0.00000000000000000001', 'a tiny one');
SELECT is(shop.try_amount('i2', 'i2', '-32768'), '-32768 / -32768', 'int2');
SELECT is(shop.try_amount('i8', 'i8', '9223372036854775807'), '9223372036854775807 / 9223372036854775807', 'int8');
SELECT is(shop.try_amount('n * n', 'n', '1e70000'), 'nothing', 'an expression that overflows is not counted');
SELECT is(shop.try_amount('1 / n', 'n', '0'), 'nothing', 'nor one that divides by zero');
SELECT is(shop.try_amount('b', 'b', 'true'), '22023', 'a boolean is no amount');
SELECT is(shop.try_amount('NULL', 'n', '1'), 'nothing', 'nor is NULL, which never counts');
SELECT is(shop.try_amount('5', 'n', '1'), '5 / 5', 'a constant is');

SELECT credit.attach('shop.odd', 'order', key => 'id', customer => 'who', amount => 'n', document_date => 'day2', due_date => 'day::date');
INSERT INTO shop.odd (id, who, n, day2, day) VALUES
	(1, 'odd', 1, 'infinity', 'infinity'), (2, 'odd', 20, '-infinity', '-infinity'), (3, 'odd', 300, '5874897-12-31', NULL), (4, 'odd', 4000, '4713-01-01 BC', NULL);
SELECT is(total, 4321::numeric, 'dates without end and far away count today') FROM credit.exposure WHERE customer = 'odd';
SELECT is((SELECT total FROM credit.exposure_on('2026-01-01') WHERE customer = 'odd'), 4020::numeric, 'on another day by their date');
SELECT is((SELECT total FROM credit.exposure_on('infinity') WHERE customer = 'odd'), 4321::numeric, 'in the end all');
SELECT is((SELECT total FROM credit.exposure_on('-infinity') WHERE customer = 'odd'), 20::numeric, 'in the beginning one');
SELECT credit.detach('shop.odd');

-- 5. Keys and customers that are long, empty, or full of signs

INSERT INTO shop.orders VALUES ('', '', 1), (' ', ' ', 2), ('''', '''', 3), ('"', '"', 4), (E'\\', E'\\', 5),
	('%s%n%1$s', '%s%n%1$s', 6), (E'line\nbreak', E'line\nbreak', 7), ('ünïcödé 漢字', 'ünïcödé 漢字', 8), (repeat('k', 2000), repeat('c', 2000), 9);
SELECT is_empty($$SELECT o.id FROM shop.orders o LEFT JOIN credit.exposure_document d ON d.key = o.id AND d.customer = o.customer AND d.amount = o.total
				   WHERE d.key IS NULL$$, 'each is what it is');
UPDATE shop.orders SET total = total + 10;
SELECT is_empty($$SELECT o.customer FROM (SELECT customer, sum(total) AS total FROM shop.orders GROUP BY 1) o
					LEFT JOIN credit.exposure e ON e.customer = o.customer WHERE e.total IS DISTINCT FROM o.total$$, 'each account has its sum');
SELECT credit.set_limit('%s%n%1$s', 0, '%s');
SELECT throws_ok($$INSERT INTO shop.orders VALUES ('%d %m', '%s%n%1$s', 1)$$, '23514',
	'order %d %m of customer %s%n%1$s would exceed the credit limit: limit 0, exposure 16, adds 1 USD', 'signs in a message stay signs');
-- an index entry has a largest size
SELECT isnt(shop.outcome($$INSERT INTO shop.orders VALUES ('long', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i), 1)$$), 'fine',
	'a customer key of 12 kB is an error');
SELECT is((SELECT count(*) FROM credit.exposure_document WHERE key = 'long'), 0::bigint, 'and leaves nothing');

SELECT * FROM finish();
ROLLBACK;

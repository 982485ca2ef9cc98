-- Logistic regression: against plain SQL, in every order and split, under
-- hostile bytes, and with other people's rights.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();

SELECT setseed(0.25);
CREATE TABLE loan AS
SELECT n, a, b, c, flag, weight,
	   random() < 1 / (1 + exp(-(-1.5 + 0.8 * (a - 40) / 12 - 0.5 * b + 0.3 * c + CASE WHEN flag THEN 0.7 ELSE 0 END))) AS is_bad
  FROM (SELECT n, 20 + 40 * random() AS a, random() + random() + random() - 1.5 AS b, (n % 4)::numeric AS c,
			   random() < 0.1 AS flag, (1 + n % 3)::int AS weight
		  FROM generate_series(1, 20000) n) x;
CREATE TABLE shuffled AS SELECT * FROM loan ORDER BY md5(n::text);
ANALYZE loan, shuffled;
CREATE FUNCTION variables() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY['a', 'b', 'c', 'flag'] $$;

/*
 * Largest relative difference of two fits. Standard errors, of which a fit by
 * scans promises six digits, count for a thousandth.
 */
CREATE FUNCTION distance(f credit.logit_fit, g credit.logit_fit) RETURNS float8 LANGUAGE sql AS $$
SELECT greatest(max(abs(s.coefficient - t.coefficient) / abs(s.coefficient)),
				max(abs(s.standard_error - t.standard_error) / s.standard_error) / 1000,
				abs((f).log_likelihood - (g).log_likelihood) / abs((f).log_likelihood))
  FROM unnest((f).terms) s JOIN unnest((g).terms) t USING (position)
$$;

CREATE TABLE fits (what text PRIMARY KEY, f credit.logit_fit);

-- 1. In memory: against plain SQL

SET LOCAL work_mem = '64MB';
INSERT INTO fits SELECT 'memory', credit.fit_logit('loan', 'is_bad', variables());
INSERT INTO fits SELECT 'memory, weighted', credit.fit_logit('loan', 'is_bad', variables(), weight => 'weight');
INSERT INTO fits SELECT 'memory, ridge', credit.fit_logit('loan', 'is_bad', variables(), ridge => 20, standardise => true);
INSERT INTO fits SELECT 'memory, no intercept', credit.fit_logit('loan', 'is_bad', variables(), intercept => false);
SELECT ok(bool_and((f).n_scans = 1), 'rows that fit into memory are read once') FROM fits;

CREATE VIEW scored AS
SELECT what, weight::float8 AS weight, is_bad::int AS y, x, p
  FROM (SELECT what, l.*, ARRAY[a, b, c::float8, flag::int::float8] AS x, CASE WHEN what LIKE '%weighted' THEN weight ELSE 1 END AS w,
			   1 / (1 + exp(-((f).coefficients[1] + (f).coefficients[2] * a + (f).coefficients[3] * b
							  + (f).coefficients[4] * c::float8 + (f).coefficients[5] * flag::int))) AS p
		  FROM fits, loan l WHERE what NOT LIKE '%no intercept') s(what, n, a, b, c, flag, row_weight, is_bad, x, weight, p);
SELECT ok(abs(sum(weight * (y - p))) < 1e-6, what || ': probabilities add up to the events') FROM scored GROUP BY what;
SELECT ok(max(abs(s)) < 1e-5, 'maximum likelihood: no variable has a gradient: ' || what)
  FROM (SELECT what, i, sum(weight * (y - p) * x[i]) AS s FROM scored, generate_series(1, 4) i
		 WHERE what NOT LIKE '%ridge' GROUP BY what, i) g GROUP BY what;
SELECT ok(max(abs(s)) < 1e-5, 'ridge: the gradient is that of the penalty')
  FROM (SELECT t.position, sum((y - p) * x[t.position]) / t.deviation - 20 * t.coefficient * t.deviation AS s
		  FROM scored, fits, unnest((f).terms) t
		 WHERE scored.what LIKE '%ridge' AND fits.what LIKE '%ridge' AND t.position > 0
		 GROUP BY t.position, t.deviation, t.coefficient) g;
SELECT ok(abs(sum(weight * (y * ln(p) + (1 - y) * ln(1 - p))) / min((f).log_likelihood) - 1) < 1e-12, 'log-likelihood as in SQL: ' || s.what)
  FROM scored s JOIN fits USING (what) GROUP BY s.what;
SELECT ok(bool_and(abs(credit.logit_probability((SELECT (f).coefficients FROM fits WHERE what = 'memory'), x) - p) < 1e-14),
		  'logit_probability() as in SQL') FROM scored WHERE what = 'memory';
SELECT ok(abs(max(t.mean) / (SELECT avg(a) FROM loan) - 1) < 1e-12 AND abs(max(t.deviation) / (SELECT stddev_pop(a) FROM loan) - 1) < 1e-12,
		  'mean and deviation as in SQL')
  FROM fits, unnest((f).terms) t WHERE what = 'memory' AND t.variable = 'a';
-- one variable: the inverse of a matrix of two by two
SELECT ok(abs((f).terms[2].standard_error / sqrt(s0 / (s0 * s2 - s1 * s1)) - 1) < 1e-9
		  AND abs((f).terms[1].standard_error / sqrt(s2 / (s0 * s2 - s1 * s1)) - 1) < 1e-9, 'standard errors as in SQL')
  FROM (SELECT f, sum(p * (1 - p)) AS s0, sum(p * (1 - p) * a) AS s1, sum(p * (1 - p) * a * a) AS s2
		  FROM (SELECT f, a, credit.logit_probability((f).coefficients, ARRAY[a]) AS p
				  FROM credit.fit_logit('loan', 'is_bad', ARRAY['a']) f, loan) y GROUP BY f) z;
SELECT ok(abs((f).aic - (2 * 5 - 2 * (f).log_likelihood)) < 1e-9 AND abs((f).pseudo_r2 - (1 - (f).deviance / (f).null_deviance)) < 1e-12
		  AND abs((f).null_log_likelihood / (SELECT count(*) * (avg(is_bad::int) * ln(avg(is_bad::int)) + (1 - avg(is_bad::int)) * ln(1 - avg(is_bad::int))) FROM loan)::float8 - 1) < 1e-9,
		  'the summary as in SQL') FROM fits WHERE what = 'memory';
SELECT ok(abs((f).null_log_likelihood / (20000 * ln(0.5::float8)) - 1) < 1e-12, 'without intercept nothing is one half')
  FROM fits WHERE what = 'memory, no intercept';
-- a weight is as many rows
SELECT ok(distance(fits.f, g) < 1e-9, 'a weight of 2 is two rows')
  FROM fits, credit.fit_logit('SELECT l.* FROM loan l, generate_series(1, weight)', 'is_bad', variables()) g WHERE what = 'memory, weighted';

-- 2. Units do not matter: amounts in cents, years, and tiny figures

SELECT ok(max(abs(t.coefficient * u.unit / m.coefficient - 1)) < 1e-7 AND max(abs(t.standard_error * u.unit / m.standard_error - 1)) < 1e-7, 'units do not matter')
  FROM credit.fit_logit('SELECT is_bad, 1e9 + 100 * a AS a, 1e-40 * b AS b, 1e60 * c::float8 AS c, 2026 + flag::int AS flag FROM loan',
						'is_bad', variables()) f, unnest((f).terms) t
  JOIN (VALUES (1, 100::float8), (2, 1e-40), (3, 1e60), (4, 1)) u(position, unit) USING (position)
  JOIN (SELECT s.* FROM fits, unnest((f).terms) s WHERE what = 'memory') m USING (position);
SET LOCAL client_min_messages = error;
SELECT ok((f).n_rows = 20000, 'what is nearly a combination of others is none')
  FROM credit.fit_logit('SELECT *, a + 10 * b + 1e-4 * (n % 7) AS near FROM loan', 'is_bad', variables() || ARRAY['near']) f;
SET LOCAL client_min_messages = warning;
SELECT throws_ok($$ SELECT credit.fit_logit('SELECT *, a + 10 * b AS twin FROM loan', 'is_bad', variables() || ARRAY['twin']) $$, '22000',
				 'variable "twin" is collinear with others', 'what is one is named');

-- 3. More rows than memory: begins with a sample, ends at the same place

SET LOCAL work_mem = '64kB';
SET LOCAL max_parallel_workers_per_gather = 0;
INSERT INTO fits SELECT 'serial', credit.fit_logit('loan', 'is_bad', variables());
INSERT INTO fits SELECT 'serial, weighted', credit.fit_logit('loan', 'is_bad', variables(), weight => 'weight');
INSERT INTO fits SELECT 'serial, ridge', credit.fit_logit('loan', 'is_bad', variables(), ridge => 20, standardise => true);
INSERT INTO fits SELECT 'serial, no intercept', credit.fit_logit('loan', 'is_bad', variables(), intercept => false);
INSERT INTO fits SELECT 'serial, shuffled', credit.fit_logit('shuffled', 'is_bad', variables());
-- a sample of the first rows would know one class only
INSERT INTO fits SELECT 'serial, sorted', credit.fit_logit('SELECT * FROM loan ORDER BY is_bad, flag', 'is_bad', variables());
SET LOCAL max_parallel_workers_per_gather = 4;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
INSERT INTO fits SELECT 'parallel', credit.fit_logit('loan', 'is_bad', variables());
INSERT INTO fits SELECT 'parallel, weighted', credit.fit_logit('loan', 'is_bad', variables(), weight => 'weight');
INSERT INTO fits SELECT 'parallel, ridge', credit.fit_logit('loan', 'is_bad', variables(), ridge => 20, standardise => true);
INSERT INTO fits SELECT 'parallel, shuffled', credit.fit_logit('shuffled', 'is_bad', variables());
SELECT ok((f).n_scans BETWEEN 2 AND 6, what || ': few scans') FROM fits WHERE what !~ 'memory';
SELECT ok(distance(m.f, o.f) < 1e-9, o.what || ': the same as in memory')
  FROM fits o JOIN fits m ON m.what = 'memory' || COALESCE(substring(o.what FROM ', (?:weighted|ridge|no intercept)$'), '')
 WHERE o.what !~ 'memory' ORDER BY o.what;
-- what cannot be fitted is found there too
SELECT throws_ok($$ SELECT credit.fit_logit('SELECT *, a + 10 * b AS twin FROM loan', 'is_bad', variables() || ARRAY['twin']) $$, '22000',
				 'variable "twin" is collinear with others', 'collinear, in scans');
SELECT throws_ok($$ SELECT credit.fit_logit('SELECT *, a + 20 * b > 45 AS e FROM loan', 'e', ARRAY['c', 'a', 'b']) $$, '22000',
				 'classes are separated by variables "a", "b" together: the coefficients have no finite value', 'separated, in scans');
SELECT throws_ok($$ SELECT credit.fit_logit('SELECT *, n <= 3 AND is_bad AS rare FROM loan', 'is_bad', variables() || ARRAY['rare']) $$, '22000',
				 'classes are separated by variable "rare": the coefficients have no finite value', 'separated by three rows of 20000');

-- 4. One step: serial, parallel, shuffled

CREATE FUNCTION step(relation text) RETURNS credit.logit_step_result LANGUAGE plpgsql AS $$
DECLARE
	result credit.logit_step_result;
BEGIN
	EXECUTE format('SELECT (s).* FROM (SELECT credit.logit_step(is_bad, ARRAY[a, b, c::float8, flag::int], weight, ARRAY[-3, 0.05, -0.4, 0.2, 0.5]) AS s FROM %I OFFSET 0) x', relation) INTO result;
	RETURN result;
END
$$;
CREATE FUNCTION numbers(s credit.logit_step_result) RETURNS SETOF float8 LANGUAGE sql AS $$
SELECT (s).n_rows UNION ALL SELECT (s).n_events UNION ALL SELECT (s).weight UNION ALL SELECT (s).log_likelihood
 UNION ALL SELECT unnest((s).gradient) UNION ALL SELECT unnest((s).hessian)
$$;
CREATE TABLE steps (what text, s credit.logit_step_result);
CREATE TABLE plan (line text);
DO $$
DECLARE
	line text;
BEGIN
	FOR line IN EXPLAIN SELECT credit.logit_step(is_bad, ARRAY[a, b], weight, ARRAY[0, 0, 0]) FROM loan LOOP
		INSERT INTO plan VALUES (line);
	END LOOP;
END
$$;
SELECT ok(EXISTS (SELECT FROM plan WHERE line ~ 'Partial Aggregate'), 'a step runs in parallel');
INSERT INTO steps SELECT 'parallel', step('loan');
INSERT INTO steps SELECT 'parallel, shuffled', step('shuffled');
SET LOCAL max_parallel_workers_per_gather = 0;
INSERT INTO steps SELECT 'serial', step('loan');
INSERT INTO steps SELECT 'serial, shuffled', step('shuffled');
SELECT is(count(*), 34::bigint, 'a step has 34 numbers: ' || what) FROM steps, numbers(s) GROUP BY what;
CREATE VIEW plain AS
SELECT y, w, d, 1 / (1 + exp(-(-3 + 0.05 * d[2] - 0.4 * d[3] + 0.2 * d[4] + 0.5 * d[5]))) AS p
  FROM (SELECT is_bad::int AS y, weight::float8 AS w, ARRAY[1, a, b, c::float8, flag::int] AS d FROM loan) x;
CREATE TABLE plain_step AS
SELECT ROW(count(*), sum(y), 0, sum(w), sum(w * (y * ln(p) + (1 - y) * ln(1 - p))),
		   (SELECT array_agg(g ORDER BY i) FROM (SELECT i, sum(w * (y - p) * d[i]) AS g FROM plain, generate_series(1, 5) i GROUP BY i) z),
		   (SELECT array_agg(h ORDER BY i, j) FROM (SELECT i, j, sum(w * p * (1 - p) * d[i] * d[j]) AS h FROM plain, generate_series(1, 5) i, generate_series(1, 5) j GROUP BY i, j) z)
	   )::credit.logit_step_result AS s
  FROM plain;
SELECT ok(bool_and(abs(r.u - r.v) <= 1e-9 * abs(r.v)), steps.what || ': the same step as in plain SQL')
  FROM steps, plain_step q, ROWS FROM (numbers(steps.s), numbers(q.s)) AS r(u, v)
 GROUP BY steps.what;
-- groups, each with a state of its own, add up
SELECT ok(abs(sum((s).log_likelihood) / (SELECT (s).log_likelihood FROM steps WHERE what = 'serial') - 1) < 1e-12, 'groups add up')
  FROM (SELECT credit.logit_step(is_bad, ARRAY[a, b, c::float8, flag::int], weight, ARRAY[-3, 0.05, -0.4, 0.2, 0.5]) AS s
		  FROM loan GROUP BY n % 100) x;

-- 5. Bytes that are no state: an aggregate that reads its own first state

CREATE FUNCTION read_step(bytea, int) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_step_deserialize';
CREATE FUNCTION read_profile(bytea, int) RETURNS bytea LANGUAGE c AS '$libdir/credit', 'credit_logit_profile_deserialize';
CREATE FUNCTION refuses(reader text, bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE AGGREGATE hostile(int) (SFUNC = %I, STYPE = bytea, INITCOND = %L)', reader, bytes::text);
	PERFORM hostile(1);
	DROP AGGREGATE hostile(int);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;
CREATE TABLE profile AS SELECT credit.logit_profile(is_bad, ARRAY[a, b], 1, 5) AS bytes FROM loan WHERE n <= 12;
-- cut off anywhere; 08P01: the message is too short
SELECT is(array_agg(DISTINCT refuses('read_profile', substring(bytes FOR n))), ARRAY['08P01', '22P03'], 'a profile that is cut off')
  FROM profile, generate_series(0, length(bytes) - 1) n;
SELECT is(refuses('read_profile', bytes || '\x00'), '22P03', 'a profile with more behind it') FROM profile;
SELECT is(array_agg(DISTINCT refuses('read_profile', set_byte(bytes, 0, v))), ARRAY['22P03'], 'of another version') FROM profile, generate_series(2, 255) v;
SELECT is(array_agg(DISTINCT refuses('read_profile', set_byte(bytes, 1 + i, 255))), ARRAY['22P03'], 'with too many variables') FROM profile, generate_series(0, 2) i;
-- behind 53 bytes and two ranges of 64: 8 bytes of stride, 4 of capacity, 4 of the number of rows
SELECT is(array_agg(DISTINCT refuses('read_profile', set_byte(bytes, 53 + 2 * 64 + i, 255))), ARRAY['22P03'], 'with a sample that is none')
  FROM profile, generate_series(0, 15) i WHERE i NOT IN (10, 11);
-- the lot of the first row that is kept: infinite
SELECT is(refuses('read_profile', overlay(bytes PLACING '\x7ff0000000000000' FROM 53 + 2 * 64 + 16 + 8 + 1)), '22P03', 'with a lot that is none') FROM profile;
SELECT is(array_agg(DISTINCT refuses('read_step', substring('\x010000000003000000020000000000000001'::bytea FOR n))), ARRAY['08P01'], 'a step that is cut off')
  FROM generate_series(0, 18) n;
SELECT is(refuses('read_step', bytes), '22P03', 'a step that is something else')
  FROM (VALUES ('\x020000000003'::bytea || decode(repeat('00', 400), 'hex')),	/* version */
			   ('\x01000000000000000000'::bytea || decode(repeat('00', 400), 'hex')),	/* no coefficient */
			   ('\x0100000001f6000001f6'::bytea || decode(repeat('00', 400), 'hex')),	/* too many */
			   ('\x0100ffffffffffffffff'::bytea || decode(repeat('00', 400), 'hex')),	/* fewer than none */
			   ('\x01000000000300000007'::bytea || decode(repeat('00', 400), 'hex')),	/* more variables than coefficients */
			   ('\x010100000003ffffffff'::bytea || decode(repeat('00', 400), 'hex'))) v(bytes);	/* scaled, but without variables */

-- 6. Selection: the way that fits of all candidates would take

CREATE TABLE many AS
SELECT is_bad, weight, a, b, c, flag, a + 12 * random() AS near_a, b * b AS b2, d, e, d + e / 2 + random() / 4 AS f, CASE WHEN n % 50 <> 0 THEN e * b END AS g
  FROM (SELECT *, random() + random() - 1 AS d, random() AS e FROM loan WHERE n <= 3000) l;
CREATE FUNCTION columns() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY['a', 'near_a', 'b', 'b2', 'c', 'flag', 'd', 'e', 'f', 'g'] $$;
CREATE FUNCTION likelihood(names text[]) RETURNS float8 LANGUAGE sql AS $$
SELECT CASE WHEN names = '{}' THEN (credit.fit_logit('SELECT * FROM many WHERE g IS NOT NULL', 'is_bad', '{a}', weight => 'weight')).null_log_likelihood
			ELSE (credit.fit_logit('SELECT * FROM many WHERE g IS NOT NULL', 'is_bad', names, weight => 'weight')).log_likelihood END
$$;
CREATE FUNCTION long_way(direction text, price float8) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	names text[] := CASE direction WHEN 'backward' THEN columns() ELSE '{}' END;
	way text[] := '{start}';
	reached float8 := likelihood(names);
	best record;
BEGIN
	LOOP
		SELECT q.* INTO best
		  FROM (SELECT 'add ' || c AS what, names || c AS names, likelihood(names || c) AS l, -price AS cost
				  FROM unnest(columns()) c WHERE direction <> 'backward' AND c <> ALL (names)
				 UNION ALL
				SELECT 'drop ' || c, array_remove(names, c), likelihood(array_remove(names, c)), price
				  FROM unnest(names) c WHERE direction <> 'forward') q
		 ORDER BY 2 * (q.l - reached) + q.cost DESC LIMIT 1;
		EXIT WHEN NOT FOUND OR 2 * (best.l - reached) + best.cost <= 0;
		names := best.names;
		reached := best.l;
		way := way || best.what;
	END LOOP;
	RETURN way;
END
$$;
CREATE FUNCTION way(f credit.logit_selection) RETURNS text[] LANGUAGE sql AS $$
SELECT array_agg(concat_ws(' ', s.action, s.variable) ORDER BY s.step) FROM unnest((f).steps) s
$$;
SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TABLE selections (direction text, criterion text, memory text, f credit.logit_selection);
CREATE FUNCTION select_all(memory text) RETURNS void LANGUAGE sql AS $$
INSERT INTO selections
SELECT direction, criterion, memory, f
  FROM unnest(ARRAY['both', 'forward', 'backward']) direction, unnest(ARRAY['aic', 'bic']) criterion,
	   LATERAL credit.select_logit('many', 'is_bad', columns(), weight => 'weight', direction => direction, criterion => criterion) f
$$;
SET LOCAL work_mem = '64kB';
SELECT select_all('64kB');
SET LOCAL work_mem = '4MB';
SELECT select_all('4MB');
SELECT is(way(f), long_way(direction, CASE criterion WHEN 'aic' THEN 2 ELSE (SELECT ln(sum(weight)) FROM many WHERE g IS NOT NULL) END),
		  concat_ws(', ', 'as by fits of all', direction, criterion)) FROM selections WHERE memory = '4MB';
SELECT ok(min(cardinality((f).steps)) > 2, 'which takes some steps') FROM selections WHERE criterion = 'aic';
SELECT ok(bool_and((f).n_scans > 1) FILTER (WHERE memory = '64kB') AND bool_and((f).n_scans = 1) FILTER (WHERE memory = '4MB'), 'by scans and in memory') FROM selections;
SELECT is(way(m.f), way(s.f), concat_ws(', ', 'by scans as in memory', direction, criterion))
  FROM selections m JOIN selections s USING (direction, criterion) WHERE m.memory = '4MB' AND s.memory = '64kB';
SELECT ok(max(abs(s.log_likelihood / (x.f).fit.log_likelihood - 1)) < 1e-8 AND max(abs(s.aic - (x.f).fit.aic)) < 1e-4
		  AND max(abs(s.bic - (s.aic + (s.n_variables + 1) * (ln((x.f).fit.weight) - 2)))) < 1e-6, 'the last step is the fit that comes along')
  FROM selections x, LATERAL (SELECT * FROM unnest((x.f).steps) ORDER BY step DESC LIMIT 1) s;
SELECT ok(bool_and((f).n_rows = 2940 AND (f).n_skipped = 60 AND (f).fit.n_rows = 2940), 'rows with a NULL in any variable do not count, for any model') FROM selections;
SELECT ok(bool_and(abs(s.chi_square - 2 * abs(s.log_likelihood - s.former)) < 1e-6), 'the likelihood ratio is that of the steps')
  FROM (SELECT s.*, lag(s.log_likelihood) OVER (PARTITION BY x.direction, x.criterion, x.memory ORDER BY s.step) AS former
		  FROM selections x, unnest((x.f).steps) s) s WHERE s.step > 0;
-- the score test of what was left out, against the likelihood
SELECT ok(bool_and(abs(sqrt(l.chi_square) - sqrt(2 * GREATEST(0, likelihood((f).variables || l.variable) - (f).fit.log_likelihood))) < 0.1), 'the score test says about what the likelihood says')
  FROM selections x, unnest((x.f).left_out) l WHERE direction = 'both' AND memory = '4MB' AND l.chi_square IS NOT NULL;
SELECT is((f).variables || (SELECT array_agg(variable) FROM unnest((f).left_out)), '{a,is_2}'::text[], 'what follows from others is left out')
  FROM credit.select_logit('SELECT *, 3 - 2 * a AS is_2 FROM many', 'is_bad', '{a,is_2}') f;
SELECT ok((SELECT bool_and(l.chi_square IS NULL) FROM unnest((f).left_out) l), 'and has no test')
  FROM credit.select_logit('SELECT *, 3 - 2 * a AS is_2 FROM many', 'is_bad', '{a,is_2}') f;
SELECT is(way(credit.select_logit('many'::regclass, 'is_bad', columns(), 'weight')), way(f), 'of a relation') FROM selections WHERE (direction, criterion, memory) = ('both', 'aic', '4MB');
-- by p-values every one in is below p_enter, and none that is out
SELECT ok((SELECT bool_and(s.p_value < 0.01) FROM unnest((f).steps) s WHERE s.action = 'add') AND (SELECT min(l.p_value) >= 0.01 FROM unnest((f).left_out) l),
		  'p-values decide') FROM credit.select_logit('many', 'is_bad', columns(), criterion => 'p', p_enter => 0.01) f;

-- 7. Rights: the query runs as the caller

CREATE ROLE logit_analyst;
CREATE ROLE logit_nobody;
SELECT credit.grant_analyst('logit_analyst');
GRANT USAGE ON SCHEMA public TO logit_analyst, logit_nobody;
GRANT SELECT ON shuffled TO logit_analyst, logit_nobody;
SET LOCAL ROLE logit_analyst;
SELECT lives_ok($$ SELECT credit.fit_logit('public.shuffled', 'is_bad', ARRAY['a']) $$, 'an analyst fits what he can read');
SELECT throws_ok($$ SELECT credit.fit_logit('public.loan', 'is_bad', ARRAY['a']) $$, '42501', 'permission denied for table loan', 'and nothing else');
SET LOCAL ROLE logit_nobody;
SELECT throws_ok($$ SELECT credit.fit_logit('public.shuffled', 'is_bad', ARRAY['a']) $$, '42501', 'permission denied for schema credit', 'others do not come in');
RESET ROLE;
-- functions, types and operators of ours are not found by the caller's path
CREATE SCHEMA trap;
CREATE FUNCTION trap.no(float8, float8) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.- (FUNCTION = trap.no, LEFTARG = float8, RIGHTARG = float8);
CREATE DOMAIN trap.float8 AS text;
CREATE DOMAIN trap.int4 AS text;
SET LOCAL search_path = trap, public, pg_catalog;
SELECT lives_ok($$ SELECT credit.fit_logit('loan', 'is_bad', variables()) $$, 'a hostile search_path is none of ours');
SELECT lives_ok($$ SELECT credit.select_logit('loan', 'is_bad', variables()) $$, 'nor of a selection');
RESET search_path;
SET LOCAL transaction_read_only = on;
SELECT lives_ok($$ SELECT credit.fit_logit('loan', 'is_bad', ARRAY['a']) $$, 'a fit only reads');
SELECT lives_ok($$ SELECT credit.select_logit('loan', 'is_bad', ARRAY['a', 'b']) $$, 'and so does a selection');

SELECT * FROM finish();
ROLLBACK;

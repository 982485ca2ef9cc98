-- States against the aggregates over the same random rows, character by
-- character: split and merged, subtracted, in windows, folded by month as of
-- each month's end, in parallel; and their bytes under fire.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;

CREATE SCHEMA books;
SELECT setseed(0.7);
CREATE TABLE books.item AS
SELECT g AS id, floor(exp(random() * ln(300)))::int AS customer, (random() * 12)::int AS part,
	   CASE WHEN k < 0.01 THEN NULL WHEN k < 0.04 THEN -a WHEN k < 0.05 THEN 0.000 WHEN k < 0.06 THEN a * 123456789 WHEN k < 0.065 THEN a / 7.0
			WHEN k < 0.067 THEN 1e-15 WHEN k < 0.068 THEN 'NaN' WHEN k < 0.069 THEN 'Infinity' WHEN k < 0.07 THEN '-Infinity'
			WHEN k < 0.072 THEN a + 0.0000000000 WHEN k < 0.074 THEN -a / 3 ELSE a END AS amount,
	   CASE WHEN l < 0.003 THEN NULL WHEN l < 0.004 THEN '-infinity' WHEN l < 0.005 THEN date '4000-01-01 BC' ELSE invoiced END AS invoiced,
	   CASE WHEN l > 0.997 THEN NULL WHEN l > 0.996 THEN 'infinity' WHEN l > 0.995 THEN '-infinity' WHEN l > 0.994 THEN date '5874000-01-01' ELSE invoiced + terms END AS due,
	   CASE WHEN l < 0.002 THEN 'infinity' WHEN l < 0.003 THEN '-infinity' WHEN l > 0.1 THEN invoiced + terms + late END AS paid
  FROM (SELECT g, random() AS k, random() AS l, round((1 + random() * 9999)::numeric, (random() * 3)::int) AS a,
			   date '2024-01-01' + (random() * 700)::int AS invoiced, (random() * 3)::int * 15 + 15 AS terms,
			   (-60 + random() * 60 - ln(1 - random()) * 20 + CASE WHEN random() < 0.001 THEN 5000 ELSE 0 END)::int AS late
		  FROM generate_series(1, 20000) g) r;
ANALYZE books.item;

-- 1. Payments: one state, and as many as there are parts, give what the rows give

SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TABLE books.profile AS
SELECT customer, credit.payment_profile(amount, invoiced, due, paid)::text AS plain, credit.payment_profile(amount, invoiced, due, paid, '2025-06-30')::text AS dated,
	   credit.payment_profile(amount, invoiced, due, paid, '2025-06-30', 5, 30)::text AS chosen, credit.payment_state(amount, invoiced, due, paid) AS state,
	   credit.payment_state(amount, invoiced, due, paid, '2025-06-30') AS dated_state
  FROM books.item GROUP BY customer;
SELECT is_empty('SELECT customer, plain, credit.payment_measures(state) FROM books.profile WHERE plain IS DISTINCT FROM credit.payment_measures(state)::text', 'a state is read as the profile');
SELECT is_empty('SELECT customer FROM books.profile WHERE dated IS DISTINCT FROM credit.payment_measures(dated_state)::text', 'as of its date');
SELECT is_empty('SELECT customer FROM books.profile WHERE dated IS DISTINCT FROM credit.payment_measures(dated_state, ''2025-06-30'')::text', 'which may be named');
SELECT is_empty('SELECT customer FROM books.profile WHERE chosen IS DISTINCT FROM credit.payment_measures(dated_state, NULL, 5, 30)::text', 'with grace days and half-life of the reader');
SELECT cmp_ok((SELECT count(*) FROM books.profile WHERE plain ~ '[0-9]\.[0-9]{12}'), '>', 20::bigint, 'amounts of many decimals are among them');
CREATE TABLE books.part AS
SELECT customer, part, credit.payment_state(amount, invoiced, due, paid) AS state, credit.payment_state(amount, invoiced, due, paid, '2025-06-30') AS dated_state
  FROM books.item GROUP BY customer, part;
SELECT is_empty('SELECT customer FROM books.profile JOIN (SELECT customer, credit.merge(state) AS merged FROM books.part GROUP BY 1) m USING (customer) WHERE state::bytea <> merged::bytea', 'merged parts are the whole, byte for byte');
SELECT is_empty('SELECT customer FROM books.profile JOIN (SELECT customer, credit.merge(dated_state ORDER BY md5(part::text)) AS merged FROM books.part GROUP BY 1) m USING (customer) WHERE dated_state::bytea <> merged::bytea', 'as of a date, in any order');
SELECT is(credit.payment_measures((SELECT credit.merge(state) FROM books.part))::text, (SELECT credit.payment_profile(amount, invoiced, due, paid)::text FROM books.item), 'all customers in one');

-- what is left when parts are taken out is what was never put in
SELECT is_empty($$SELECT p.customer FROM books.profile p JOIN books.part q USING (customer)
				   JOIN (SELECT customer, x.part, credit.payment_state(amount, invoiced, due, paid) AS rest FROM books.item i, generate_series(0, 12) x (part)
						  WHERE i.part <> x.part AND x.part < 4 GROUP BY 1, 2) r USING (customer, part)
				  WHERE (p.state OPERATOR(credit.-) q.state)::bytea <> rest::bytea$$, 'subtracting a part is rebuilding without it');
SELECT is_empty($$SELECT p.customer FROM books.profile p JOIN books.part q USING (customer)
				   JOIN (SELECT customer, x.part, credit.payment_state(amount, invoiced, due, paid, '2025-06-30') AS rest FROM books.item i, generate_series(0, 12) x (part)
						  WHERE i.part <> x.part AND x.part < 4 GROUP BY 1, 2) r USING (customer, part)
				  WHERE credit.subtract(p.dated_state, q.dated_state)::bytea <> rest::bytea$$, 'as of a date as well');
SELECT is_empty('SELECT customer FROM books.profile WHERE ((state OPERATOR(credit.+) state) OPERATOR(credit.-) state)::bytea <> state::bytea', 'adding and subtracting cancel');
SELECT is((SELECT DISTINCT credit.payment_measures(credit.subtract(state, state))::text FROM books.profile), credit.payment_measures(NULL)::text, 'a state less itself has nothing in it');
SELECT is(credit.payment_measures(NULL)::text, (SELECT credit.payment_profile(amount, invoiced, due, paid)::text FROM books.item WHERE false), 'no state is no rows');
SELECT is((SELECT credit.payment_state(amount, invoiced, due, paid)::text FROM books.item WHERE false), NULL, 'and no rows are no state');

-- 2. Windows

SELECT is_empty($$SELECT id FROM (SELECT id, credit.payment_state(amount, invoiced, due, paid) OVER w AS moving,
										 (SELECT credit.payment_state(amount, invoiced, due, paid) FROM books.item j WHERE j.id BETWEEN i.id - 20 AND i.id) AS anew
									FROM books.item i WHERE id <= 1500 WINDOW w AS (ORDER BY id ROWS 20 PRECEDING)) q WHERE moving::bytea <> anew::bytea$$, 'a window of rows that moves');
SELECT is_empty($$SELECT id FROM (SELECT id, credit.payment_state(amount, invoiced, due, paid, '2025-06-30') OVER w AS moving,
										 (SELECT credit.payment_state(amount, invoiced, due, paid, '2025-06-30') FROM books.item j WHERE j.id BETWEEN i.id - 20 AND i.id - 10) AS anew
									FROM books.item i WHERE id <= 500 WINDOW w AS (ORDER BY id ROWS BETWEEN 20 PRECEDING AND 10 PRECEDING)) q WHERE moving::bytea IS DISTINCT FROM anew::bytea$$, 'one as of a date that is empty first');
SELECT is_empty($$SELECT customer FROM (SELECT customer, credit.merge(state) OVER w AS moving,
											   (SELECT credit.merge(state) FROM books.part q WHERE q.customer = p.customer AND q.part BETWEEN p.part - 2 AND p.part) AS anew
										  FROM books.part p WINDOW w AS (PARTITION BY customer ORDER BY part RANGE 2 PRECEDING)) q WHERE moving::bytea <> anew::bytea$$, 'a window of states');

-- 3. Closed months folded, the live rest beside them, as of each month's end

CREATE TABLE books.month AS
SELECT customer, date_trunc('month', greatest(paid, invoiced))::date AS month, credit.payment_state(amount, invoiced, due, paid) AS state
  FROM books.item WHERE isfinite(greatest(paid, invoiced)) AND isfinite(paid) GROUP BY 1, 2;
CREATE FUNCTION books.folded(as_of date) RETURNS TABLE (customer int, measures text, of_rows text) LANGUAGE sql AS $$
WITH live AS
	(SELECT customer, credit.payment_state(amount, invoiced, due, paid, as_of) AS state FROM books.item
	  WHERE NOT (isfinite(greatest(paid, invoiced)) AND isfinite(paid) AND date_trunc('month', greatest(paid, invoiced)) < as_of) IS TRUE GROUP BY 1),
merged AS
	(SELECT customer, credit.merge(state) AS state
	   FROM (SELECT customer, state FROM books.month WHERE month < as_of UNION ALL TABLE live) s GROUP BY 1)
SELECT customer, credit.payment_measures(state, as_of)::text,
	   (SELECT credit.payment_profile(amount, invoiced, due, paid, as_of)::text FROM books.item i WHERE i.customer = m.customer)
  FROM merged m WHERE customer <= 30
$$;
SELECT is_empty(format('SELECT * FROM books.folded(%L) WHERE measures <> of_rows', m), format('folded months and the rest as of %s', m))
  FROM unnest(ARRAY[date '2024-03-31', '2024-12-31', '2025-09-30', '2026-01-31']) m;
SELECT is((SELECT count(*) FROM books.folded('2025-09-30')), 30::bigint, 'there were some');
SELECT throws_ok($$SELECT credit.payment_measures(credit.payment_state(1, '2026-01-01', '2026-01-31', '2026-02-03'), '2026-01-31')$$, '22023',
	'a payment state cannot be read as of a day before the last payment in it', 'what was paid later is no open item');
SELECT throws_ok($$SELECT credit.payment_measures(credit.payment_state(1, '2026-01-01', '2026-01-31', NULL), '2025-12-31')$$, '22023',
	'a payment state cannot be read as of a day before the last invoice in it', 'nor is what was invoiced later nothing');
SELECT throws_ok($$SELECT credit.payment_measures(credit.payment_state(1, '2026-01-01', '2026-01-31', NULL, '2026-02-10'), '2026-02-11')$$, '22023',
	'a payment state that was built as of a date can be read as of that date only', 'one date in two places');
SELECT throws_ok($$SELECT credit.merge(s) FROM (SELECT credit.payment_state(1, '2026-01-01', '2026-01-31', NULL, d) AS s FROM unnest(ARRAY[date '2026-02-10', '2026-02-11']) d GROUP BY d) q$$, '22023', NULL, 'two dates do not merge');
SELECT throws_ok($$SELECT credit.subtract(a, b) FROM (SELECT credit.payment_state(1, '2026-01-01', '2026-01-31', NULL) AS a, credit.payment_state(2, '2026-01-01', '2026-01-31', NULL) AS b) q$$, '22023',
	'value of type "payment_state" does not contain what is subtracted from it', 'what was never there cannot be taken out');
SELECT throws_ok($$SELECT credit.payment_measures(credit.payment_state(1, '2026-01-01', '2026-01-31', NULL), 'infinity')$$, '22008', NULL, 'no infinite as-of date');
SELECT throws_ok($$SELECT credit.payment_measures(NULL, NULL, -1)$$, '22023', NULL, 'no negative grace days');
SELECT throws_ok($$SELECT credit.payment_measures(NULL, NULL, 0, NULL)$$, '22004', NULL, 'no half-life of nothing');

-- 4. Agings, for any day from one state

CREATE TABLE books.aging AS SELECT customer, credit.aging_state(amount, due) AS state FROM books.item GROUP BY 1;
CREATE FUNCTION books.agings(as_of text) RETURNS TABLE (form text, customer int, of_state text, of_rows text) LANGUAGE plpgsql AS $body$
DECLARE
	arguments text;
BEGIN
	FOREACH arguments IN ARRAY ARRAY['', $$, 'own'$$, $$, 'oldest'$$, ', ARRAY[-30, 0, 10]', $$, ARRAY[0, 7], 'oldest'$$, $$, ARRAY[30, 60], 'own', 'document'$$] LOOP
		RETURN QUERY EXECUTE format('SELECT %1$L, customer, credit.aging_buckets(state, %2$s%1$s)::text, a::text FROM books.aging JOIN (SELECT customer, credit.aging(amount, due, %2$s%1$s) AS a FROM books.item GROUP BY 1) r USING (customer)',
									arguments, as_of);
	END LOOP;
END
$body$;
SELECT is_empty(format('SELECT * FROM books.agings(%L) WHERE of_state <> of_rows', d), format('agings as of %s', d))
  FROM unnest(ARRAY['date ''2024-06-30''', 'date ''2025-07-04''', 'date ''2030-01-01''', 'date ''2000-01-01''', 'NULL']) d;
SELECT is((SELECT count(DISTINCT form) || ' forms, ' || count(*) || ' agings' FROM books.agings('date ''2025-07-04''')), '6 forms, ' || 6 * (SELECT count(*) FROM books.aging) || ' agings', 'in all forms');
SELECT is_empty('SELECT customer FROM books.aging JOIN (SELECT customer, credit.merge(state) AS merged FROM (SELECT customer, part, credit.aging_state(amount, due) AS state FROM books.item GROUP BY 1, 2) p GROUP BY 1) m USING (customer) WHERE state::bytea <> merged::bytea', 'merged parts are the whole');
SELECT is_empty($$SELECT a.customer FROM books.aging a JOIN (SELECT customer, credit.aging_state(amount, due) FILTER (WHERE part = 3) AS part, credit.aging_state(amount, due) FILTER (WHERE part <> 3) AS rest FROM books.item GROUP BY 1) p USING (customer)
				  WHERE (a.state OPERATOR(credit.-) p.part)::bytea <> rest::bytea OR (p.part OPERATOR(credit.+) rest)::bytea <> a.state::bytea$$, 'subtracting is rebuilding');
SELECT is_empty($$SELECT id FROM (SELECT id, credit.aging_state(amount, due) OVER w AS moving, (SELECT credit.aging_state(amount, due) FROM books.item j WHERE j.id BETWEEN i.id - 20 AND i.id) AS anew
									FROM books.item i WHERE id <= 1500 WINDOW w AS (ORDER BY id ROWS 20 PRECEDING)) q WHERE moving::bytea <> anew::bytea$$, 'a window of rows that moves');
SELECT is_empty($$SELECT customer FROM (SELECT customer, credit.merge(state) OVER w AS moving, (SELECT credit.merge(state) FROM books.aging q WHERE q.customer BETWEEN p.customer - 3 AND p.customer) AS anew
										  FROM books.aging p WINDOW w AS (ORDER BY customer RANGE 3 PRECEDING)) q WHERE moving::bytea <> anew::bytea$$, 'a window of states');
SELECT throws_ok($$SELECT credit.subtract(credit.aging_state(1, '2026-01-01'), credit.aging_state(1, '2026-01-02'))$$, '22023', 'value of type "aging_state" does not contain what is subtracted from it', 'what was never there cannot be taken out');
SELECT throws_ok($$SELECT credit.aging_buckets(credit.aging_state(1, '2026-01-01'), 'infinity')$$, '22008', NULL, 'no infinite as-of date');
SELECT throws_ok($$SELECT credit.aging_buckets(NULL, '2026-01-01', 'never')$$, '22023', NULL, 'a mode must be one');
SELECT is(credit.aging_buckets(NULL, '2026-01-01')::text, (SELECT credit.aging(amount, due, '2026-01-01')::text FROM books.item WHERE false), 'no state is no rows');

-- 5. In parallel

SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 3;
\set schema books
\ir ../lib/plan.sql
SELECT matches(books.plan('SELECT customer, credit.payment_state(amount, invoiced, due, paid, ''2025-06-30'') FROM books.item GROUP BY 1'), 'Partial.*Aggregate', 'payment states in parallel');
SELECT matches(books.plan('SELECT customer, credit.aging_state(amount, due) FROM books.item GROUP BY 1'), 'Partial.*Aggregate', 'aging states');
SELECT matches(books.plan('SELECT credit.merge(state) FROM books.part'), 'Partial Aggregate', 'merging them');
CREATE TABLE books.parallel AS SELECT customer, credit.payment_state(amount, invoiced, due, paid, '2025-06-30') AS state, credit.aging_state(amount, due) AS aging FROM books.item GROUP BY 1;
SELECT is_empty('SELECT customer FROM books.parallel p JOIN books.profile r USING (customer) JOIN books.aging a USING (customer) WHERE p.state::bytea <> r.dated_state::bytea OR p.aging::bytea <> a.state::bytea', 'the same bytes');
SELECT is((SELECT credit.merge(state)::text FROM books.part), (SELECT credit.payment_state(amount, invoiced, due, paid)::text FROM books.item), 'and merged');
SET LOCAL max_parallel_workers_per_gather = 0;

-- 6. Text and bytes, there and back

SELECT is_empty('SELECT customer FROM books.profile WHERE (state::text)::credit.payment_state::bytea <> state::bytea', 'text of payment states');
SELECT is_empty('SELECT customer FROM books.aging WHERE (state::text)::credit.aging_state::bytea <> state::bytea', 'text of aging states');
CREATE FUNCTION books.copy(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format(command, current_setting('data_directory') || '/state.bytes');
END
$$;
CREATE TABLE books.received (state credit.payment_state);
CREATE TABLE books.received_aging (state credit.aging_state);
SELECT books.copy('COPY (SELECT dated_state FROM books.profile ORDER BY customer) TO %L (FORMAT binary)');
SELECT books.copy('COPY books.received FROM %L (FORMAT binary)');
SELECT results_eq('SELECT state::bytea FROM books.received ORDER BY 1', 'SELECT dated_state::bytea FROM books.profile ORDER BY 1', 'payment states sent and received');
SELECT books.copy('COPY (SELECT state FROM books.aging) TO %L (FORMAT binary)');
SELECT books.copy('COPY books.received_aging FROM %L (FORMAT binary)');
SELECT results_eq('SELECT state::bytea FROM books.received_aging ORDER BY 1', 'SELECT state::bytea FROM books.aging ORDER BY 1', 'aging states sent and received');
SELECT throws_ok('SELECT books.copy(''COPY books.received FROM %L (FORMAT binary)'')', '22P03', 'invalid value of type "payment_state"', 'one type is not the other');

-- 7. Bytes that somebody made up

CREATE FUNCTION books.fate(bytes bytea, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	IF type = 'payment' THEN
		/* what is believed is written as it was read, and says nothing that is no number */
		SELECT CASE WHEN s::bytea <> bytes THEN 'changed' WHEN credit.payment_measures(s)::text ~ 'NaN|nfinity' THEN 'nonsense' ELSE 'believed' END
		  INTO result FROM (SELECT bytes::text::credit.payment_state AS s) q;
	ELSE
		SELECT CASE WHEN s::bytea <> bytes THEN 'changed' WHEN credit.aging_buckets(s, '2025-06-30') IS NULL THEN 'nonsense' ELSE 'believed' END
		  INTO result FROM (SELECT bytes::text::credit.aging_state AS s) q;
	END IF;
	RETURN result;
EXCEPTION
	WHEN invalid_binary_representation OR protocol_violation OR feature_not_supported OR numeric_value_out_of_range THEN RETURN 'refused';
	WHEN invalid_parameter_value THEN RETURN CASE WHEN SQLERRM LIKE 'a payment state cannot be read as of a day before%' THEN 'believed' ELSE SQLERRM END;
END
$$;
CREATE TABLE books.true_bytes AS
SELECT 'payment' AS type, credit.payment_state(amount, invoiced, due, paid, '2025-06-30')::bytea AS bytes FROM books.item WHERE id <= 25 OR amount BETWEEN 0 AND 1e-14
UNION ALL SELECT 'aging', credit.aging_state(amount, due)::bytea FROM books.item WHERE id <= 25 OR amount BETWEEN 0 AND 1e-14 OR amount = 'NaN'
UNION ALL SELECT 'payment', credit.subtract(s, s)::bytea FROM (SELECT credit.payment_state(1, '2026-01-01', '2026-01-02', '2026-01-03') AS s) q;
SELECT is((SELECT string_agg(books.fate(bytes, type), ' ') FROM books.true_bytes), 'believed believed believed', 'true bytes are believed');
SELECT is_empty('SELECT n FROM books.true_bytes, generate_series(0, length(bytes) - 1) n WHERE books.fate(substr(bytes, 1, n), type) <> ''refused''', 'cut short: refused');
SELECT is_empty('SELECT b FROM books.true_bytes, unnest(ARRAY[bytea ''\x00'', ''\x01'', ''\xff'', ''\x0000'']) b WHERE books.fate(bytes || b, type) <> ''refused''', 'more at the end: refused');
SELECT is_empty('SELECT b FROM books.true_bytes, unnest(ARRAY[0, 2, 127, 128, 255]) b WHERE books.fate(set_byte(bytes, 0, b), type) <> ''refused''', 'another version: refused');
SELECT is_empty('SELECT n, b FROM books.true_bytes, generate_series(0, length(bytes) - 1) n, unnest(ARRAY[0, 1, 2, 3, 16, 64, 126, 127, 128, 129, 200, 254, 255]) b WHERE books.fate(set_byte(bytes, n, b), type) NOT IN (''refused'', ''believed'')', 'each byte changed: believed as it is, or refused');
SELECT is_empty('SELECT n FROM books.true_bytes, generate_series(0, length(bytes) - 1) n WHERE books.fate(substr(bytes, 1, n) || ''\xffffffffffffffffffffffffffffffffffffff03'' || substr(bytes, n + 2), type) NOT IN (''refused'', ''believed'')', 'the largest number anywhere: refused');
SELECT is_empty('SELECT n FROM books.true_bytes, generate_series(0, length(bytes) - 1) n WHERE books.fate(substr(bytes, 1, n) || ''\xffffffffff0f'' || substr(bytes, n + 2), type) NOT IN (''refused'', ''believed'')', 'a large number anywhere');
SELECT is_empty('SELECT bytes FROM books.true_bytes WHERE books.fate(substr(set_byte(bytes, 2, get_byte(bytes, 2) | 128), 1, 3) || ''\x00'' || substr(bytes, 4), type) <> ''refused''', 'a number in more bytes than it needs: refused');
SELECT throws_ok(format('SELECT %L::credit.payment_state', t), '22P02', NULL, format('no text: %s', t)) FROM unnest(ARRAY['', 'x', '\x0', '\X01', '\x0g', '\x01 ', ' \x01', '\x01\', '\xAB']) t;
SELECT throws_ok(format('SELECT %L::credit.aging_state', t), '22P03', NULL, format('no state: %s', t)) FROM unnest(ARRAY['\x', '\x01', '\x0101', '\x0102', '\x010200', '\x01020000000000', '\x0102090000000000']) t;
SELECT is('\x0102000000000000'::credit.aging_state::text, '\x0102000000000000', 'the smallest there is');
-- 8. Bounds

SELECT throws_ok('SELECT credit.payment_state(1, date ''2000-01-01'', date ''2000-01-01'' + g, date ''2000-01-01'') FROM generate_series(1, 262145) g', '54000', NULL, 'too many days');
SELECT is((SELECT (credit.payment_measures(credit.payment_state(1, date '2000-01-01', date '2000-01-01' + g, date '2000-01-01')::text::credit.payment_state)).n_paid FROM generate_series(1, 262144) g), 262144::bigint, 'as many as there may be');
SELECT throws_ok('SELECT credit.aging_state(1e-10, date ''2000-01-01'' + g) FROM generate_series(1, 100001) g', '54000', NULL, 'too many fine sums');
SELECT is((SELECT (credit.aging_buckets(credit.aging_state(1e-10, date '2000-01-01' + g)::text::credit.aging_state, '2000-01-01')).total FROM generate_series(1, 100000) g), 0.0000100000, 'as many as there may be');
SELECT is((SELECT DISTINCT (credit.aging_buckets(s, '2000-01-01')).total FROM (SELECT g, credit.aging_state(1e-10, date '2000-01-01' + g) OVER (ORDER BY g ROWS 1 PRECEDING) AS s FROM generate_series(1, 210000) g) q WHERE g > 1), 2e-10, 'what has left a window takes no room');
SELECT throws_ok('SELECT credit.payment_state(9e17, date ''2000-01-01'', date ''2000-01-01'', date ''2000-01-01'') FROM generate_series(1, 1000) g', '22003', NULL, 'more money than there is');

SELECT * FROM finish();
ROLLBACK;

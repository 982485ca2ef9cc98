-- Random orders and payments in several currencies, rates that move or go
-- missing. After each step exposure must be what the rows of the ERP add up to
-- at the rates of today, to the cent; a refusal must be one that the sums
-- explain, and so must its absence.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric, currency text);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric(12,2), currency text, day date);
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric(12,2), currency text, day date);
CREATE SEQUENCE shop.ids;
INSERT INTO shop.customers
SELECT 'c' || i, 200 * i, (ARRAY['USD', 'EUR', 'GBP', 'JPY'])[1 + i % 4] FROM generate_series(1, 8) i;
UPDATE shop.customers SET credit_limit = credit_limit * 150 WHERE currency = 'JPY';

SET LOCAL client_min_messages = error;
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit', currency => 'currency');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', currency => 'currency', document_date => 'day');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount', currency => 'currency', document_date => 'day');
SET LOCAL client_min_messages = warning;

-- 1. The rate that counts, by plain SQL over the table

CREATE FUNCTION shop.pair(f text, t text, a date, OUT num numeric, OUT den numeric, OUT path text, OUT day date)
LANGUAGE plpgsql STABLE AS $$
BEGIN
	SELECT r.rate, 1, 'direct', r.valid_on INTO num, den, path, day FROM credit.exchange_rate r
	 WHERE r.rate_type = 'closing' AND r.from_currency = f AND r.to_currency = t AND r.valid_on BETWEEN a - 7 AND a
	 ORDER BY r.valid_on DESC LIMIT 1;
	IF NOT FOUND THEN
		SELECT 1, r.rate, 'inverse', r.valid_on INTO num, den, path, day FROM credit.exchange_rate r
		 WHERE r.rate_type = 'closing' AND r.from_currency = t AND r.to_currency = f AND r.valid_on BETWEEN a - 7 AND a
		 ORDER BY r.valid_on DESC LIMIT 1;
	END IF;
END
$$;
CREATE FUNCTION shop.way(f text, t text, a date, OUT num numeric, OUT den numeric, OUT path text, OUT day date)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	x record;
	y record;
BEGIN
	IF f = t THEN
		num := 1; den := 1; path := 'same';
		RETURN;
	END IF;
	SELECT p.* INTO num, den, path, day FROM shop.pair(f, t, a) p;
	IF path IS NULL AND f <> 'USD' AND t <> 'USD' THEN
		SELECT * INTO x FROM shop.pair(f, 'USD', a);
		SELECT * INTO y FROM shop.pair('USD', t, a);
		IF x.path IS NOT NULL AND y.path IS NOT NULL THEN
			num := x.num * y.num; den := x.den * y.den; path := 'cross'; day := LEAST(x.day, y.day);
		END IF;
	END IF;
END
$$;

SELECT setseed(0.417);
INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate)
SELECT f, t, '2001-01-01'::date + d, round((0.2 + 3 * random())::numeric, 1 + d % 6)
  FROM unnest(ARRAY['USD', 'EUR', 'GBP', 'JPY', 'CHF']) f, unnest(ARRAY['USD', 'EUR', 'GBP', 'JPY', 'CHF']) t, generate_series(0, 59) d
 WHERE f <> t AND random() + 0 * d < CASE WHEN 'USD' IN (f, t) THEN 0.08 ELSE 0.03 END;
CREATE TABLE shop.asked AS
SELECT f, t, a::date AS a, w.* FROM unnest(ARRAY['USD', 'EUR', 'GBP', 'JPY', 'CHF', 'SEK']) f, unnest(ARRAY['USD', 'EUR', 'GBP', 'JPY', 'CHF', 'SEK']) t,
	   generate_series('2000-12-31'::timestamp, '2001-03-10', '1 day') a, shop.way(f, t, a::date) w;
SELECT is_empty($$
	SELECT q.*, r.* FROM shop.asked q, credit.find_rate(q.f, q.t, q.a) r
	 WHERE r.rate_path IS DISTINCT FROM COALESCE(q.path, CASE WHEN r.rate_path IN ('missing', 'stale') THEN r.rate_path END)
		OR (r.rate IS NULL) <> (q.path IS NULL) OR abs(r.rate - q.num / q.den) > 1e-15
		OR (q.path IS NOT NULL AND r.rate_date IS DISTINCT FROM q.day)$$, 'the rate is the one that plain SQL finds, for every pair and day');
SELECT set_has('SELECT rate_path FROM shop.asked q, credit.find_rate(q.f, q.t, q.a)',
	$$VALUES ('same'), ('direct'), ('inverse'), ('cross'), ('stale'), ('missing')$$, 'by all ways');
SELECT is_empty($$
	SELECT q.* FROM shop.asked q
	 WHERE abs(credit.convert(1234.56, q.f, q.t, q.a) - 1234.56 * q.num / q.den) > 1e-9
		OR credit.convert(1234.56, q.f, q.t, q.a) IS NULL <> (q.path IS NULL)$$, 'and amounts are converted by it');

-- in parallel workers, too
CREATE TABLE shop.amounts AS
SELECT q.f, q.t, q.a, (i * 7 % 1000)::numeric(10,2) / 100 AS amount FROM shop.asked q, generate_series(1, 4) i;
ANALYZE shop.amounts;
ALTER TABLE shop.amounts SET (parallel_workers = 2);
\set schema shop
\ir ../lib/plan.sql
SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TABLE shop.serial AS SELECT t, sum(credit.convert(amount, f, t, a)) AS total FROM shop.amounts GROUP BY t;
SET LOCAL max_parallel_workers_per_gather = 2;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT alike(shop.plan('SELECT t, sum(credit.convert(amount, f, t, a)) AS total FROM shop.amounts GROUP BY t'), '%Partial%Aggregate%', 'the plan is parallel');
SELECT set_eq('SELECT t, sum(credit.convert(amount, f, t, a)) AS total FROM shop.amounts GROUP BY t', 'SELECT * FROM shop.serial', 'parallel workers come to the same');
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- 2. The ledger and the check

-- What the ERP says each customer owes, in the currency of the account. With
-- a denominator for all, so that nothing is rounded before the end.
CREATE FUNCTION shop.truth(OUT customer text, OUT account_currency text, OUT total numeric, OUT missing bigint)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
SELECT c.code, c.currency,
	   CASE WHEN count(*) FILTER (WHERE d.total <> 0 AND w.path IS NULL) = 0
			THEN round(round(COALESCE(sum(round(d.total * w.num, 40) / w.den), 0), 25), CASE c.currency WHEN 'JPY' THEN 0 ELSE 2 END) END,
	   count(*) FILTER (WHERE d.total <> 0 AND w.path IS NULL)
  FROM shop.customers c
  LEFT JOIN (SELECT x.customer, x.currency, sum(x.amount) AS total
			   FROM (SELECT o.customer, o.currency, o.total AS amount FROM shop.orders o
					 UNION ALL SELECT p.customer, p.currency, -p.amount FROM shop.payments p) x
			  GROUP BY 1, 2) d ON d.customer = c.code
  LEFT JOIN LATERAL shop.way(d.currency, c.currency, credit.today()) w ON true
 GROUP BY c.code, c.currency
$$;
CREATE FUNCTION shop.pick(n int) RETURNS int LANGUAGE sql AS 'SELECT 1 + floor(random() * n)::int';
CREATE FUNCTION shop.some_currency() RETURNS text LANGUAGE sql AS $$ SELECT (ARRAY['USD', 'EUR', 'GBP', 'JPY'])[shop.pick(4)] $$;
CREATE FUNCTION shop.some_amount(c text) RETURNS numeric LANGUAGE sql AS $$
SELECT round((random() * 400)::numeric * CASE c WHEN 'JPY' THEN 150 ELSE 1 END, 2)
$$;
CREATE FUNCTION shop.some_command(kind int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c text := shop.some_currency();
BEGIN
	RETURN CASE kind
	WHEN 1 THEN format('INSERT INTO shop.orders VALUES (nextval(''shop.ids''), %L, %s, %L, %L)', 'c' || shop.pick(8), shop.some_amount(c), c, credit.today())
	WHEN 2 THEN format('INSERT INTO shop.payments VALUES (nextval(''shop.ids''), %L, %s, %L, %L)', 'c' || shop.pick(8), shop.some_amount(c), c, credit.today())
	WHEN 3 THEN format('UPDATE shop.orders SET total = total * %s WHERE id %% %s = 0', round((0.7 + random() / 2)::numeric, 2), shop.pick(9))
	WHEN 4 THEN format('UPDATE shop.orders SET currency = %L, total = %s WHERE id = (SELECT max(id) FROM shop.orders)', c, shop.some_amount(c))
	WHEN 5 THEN format('DELETE FROM shop.orders WHERE id %% %s = 1', 2 + shop.pick(9))
	WHEN 6 THEN format('INSERT INTO shop.orders SELECT nextval(''shop.ids''), ''c'' || 1 + i %% %s, shop.some_amount(x), x, credit.today() FROM generate_series(1, 4) i, shop.some_currency() x', shop.pick(8))
	ELSE format('UPDATE shop.orders SET customer = %L WHERE id %% %s = 0', 'c' || shop.pick(8), 3 + shop.pick(9)) END;
END
$$;
CREATE TABLE shop.result (n int, kind text, outcome text);
CREATE TABLE shop.trouble (n int, command text, what text);

-- Runs a command; says how it ended.
CREATE FUNCTION shop.run(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rule text;
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS rule = CONSTRAINT_NAME;
	RETURN rule;
END
$$;
-- A rate moves, is turned round, goes missing, or grows old.
CREATE FUNCTION shop.move_rate() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c text := (ARRAY['EUR', 'GBP', 'JPY'])[shop.pick(3)];
	worth numeric := round((CASE c WHEN 'EUR' THEN 1.1 WHEN 'GBP' THEN 1.27 ELSE 0.0067 END * (0.9 + random() / 5))::numeric, 2 + shop.pick(4));
BEGIN
	DELETE FROM credit.exchange_rate r WHERE c IN (r.from_currency, r.to_currency) AND r.valid_on > '2002-01-01';
	CASE shop.pick(8)
	WHEN 1 THEN NULL;
	WHEN 2 THEN INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate) VALUES (c, 'USD', credit.today() - 8, worth);
	WHEN 3, 4 THEN INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate) VALUES ('USD', c, credit.today() - 3, round(1 / worth, 4));
	ELSE INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate) VALUES (c, 'USD', credit.today(), worth);
	END CASE;
END
$$;

CREATE FUNCTION shop.play(n_steps int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	command text;
	outcome text;
	kind int;
	before jsonb;
BEGIN
	FOR n IN 1 .. n_steps LOOP
		kind := shop.pick(8);
		IF kind = 8 THEN
			command := 'rate';
			PERFORM shop.move_rate();
			outcome := 'rate';
		ELSE
			command := shop.some_command(kind);
			before := (SELECT jsonb_object_agg(t.customer, t.total) FROM shop.truth() t);
			outcome := shop.run(command);
		END IF;
		INSERT INTO shop.result VALUES (n, kind::text, outcome);
		INSERT INTO shop.trouble
		SELECT n, command, format('%s: ledger %s, ERP %s, missing %s', t.customer, e.total, t.total, e.missing_rates)
		  FROM shop.truth() t JOIN credit.exposure e ON e.customer = t.customer
		 WHERE e.total IS DISTINCT FROM t.total OR COALESCE(cardinality(e.missing_rates), 0) <> t.missing;
		IF outcome = 'done' AND kind <> 2 THEN
			INSERT INTO shop.trouble
			SELECT n, command, format('%s: raised from %s to %s above %s', t.customer, before -> t.customer, t.total, c.credit_limit)
			  FROM shop.truth() t JOIN shop.customers c ON c.code = t.customer
			 WHERE t.total > c.credit_limit AND t.total > (before ->> t.customer)::numeric;
		END IF;
	END LOOP;
END
$$;
DO $$ BEGIN FOR i IN 1 .. 20 LOOP PERFORM shop.move_rate(); END LOOP; END $$;
SELECT shop.play(500);
SELECT is_empty('SELECT * FROM shop.trouble ORDER BY n LIMIT 20', 'exposure follows 500 random steps in four currencies, and no limit is passed');
-- the test must have tested something
SELECT cmp_ok((SELECT count(*) FROM shop.result WHERE outcome = 'credit_limit'), '>', 20::bigint, 'many were refused by the limit');
SELECT cmp_ok((SELECT count(*) FROM shop.result WHERE outcome = 'credit_missing_rate'), '>', 10::bigint, 'some for lack of a rate');
SELECT cmp_ok((SELECT count(*) FROM shop.result WHERE outcome = 'done'), '>', 150::bigint, 'many were accepted');
SELECT bag_eq('SELECT DISTINCT outcome FROM shop.result', $$VALUES ('done'), ('rate'), ('credit_limit'), ('credit_missing_rate')$$, 'and nothing else happened');

-- the other forms say the same
SELECT set_eq('SELECT customer, total, other_currencies FROM credit.exposure_on(''infinity'')', 'SELECT customer, total, other_currencies FROM credit.exposure',
	'the documents come to what the journal says');
SELECT set_eq('SELECT * FROM credit.exposure_by_currency WHERE total <> 0', 'SELECT * FROM credit.exposure_by_currency_on(credit.today()) WHERE total <> 0',
	'by currency, too');
SELECT is_empty($$
	SELECT e.customer FROM credit.exposure e LEFT JOIN credit.exposure_by_currency b USING (customer)
	 GROUP BY e.customer, e.currency, e.total HAVING abs(e.total - COALESCE(sum(b.converted), 0)) > CASE e.currency WHEN 'JPY' THEN 1 ELSE 0.01 END * count(*) OR e.total IS NULL <> COALESCE(bool_or(b.converted IS NULL), false)$$,
	'which adds up to the total, but for rounding');
-- the dry run knows the edge: the largest order that passes does, and a cent more does not
INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate)
VALUES ('EUR', 'USD', credit.today(), 1.0837), ('GBP', 'USD', credit.today(), 1.2711), ('JPY', 'USD', credit.today(), 0.0066)
ON CONFLICT ON CONSTRAINT exchange_rate_pkey DO UPDATE SET rate = excluded.rate;
SELECT cmp_ok((SELECT count(*) FROM credit.exposure WHERE other_currencies IS NOT NULL AND headroom > 0), '>', 1::bigint, 'there is room beside other currencies');
SELECT is_empty($$
	SELECT e.customer, p.*, q.* FROM credit.exposure e, credit.check_order(e.customer, e.headroom) p, credit.check_order(e.customer, e.headroom + 0.01) q
	 WHERE e.headroom > 0 AND e.currency <> 'JPY' AND (p.verdict <> 'pass' OR q.verdict <> 'reject' OR p.exposure <> e.total OR p.passing_amount <> e.headroom)$$,
	'the check and the view agree to the cent');

-- 3. Roles: who places orders needs no right on rates, who keeps them only one

CREATE ROLE credit_test_clerk;
CREATE ROLE credit_test_treasury;
CREATE ROLE credit_test_analyst;
CREATE TABLE shop.seen (what text, wanted text, got text);
GRANT USAGE ON SCHEMA shop TO credit_test_clerk, credit_test_treasury, credit_test_analyst;
GRANT INSERT ON shop.seen TO credit_test_clerk, credit_test_treasury, credit_test_analyst;
GRANT SELECT, INSERT, DELETE ON shop.orders TO credit_test_clerk;
GRANT USAGE ON SCHEMA credit TO credit_test_treasury;
GRANT EXECUTE ON FUNCTION credit.set_rate(text, text, numeric, date, text, text) TO credit_test_treasury;
SELECT credit.grant_analyst('credit_test_analyst');
CREATE FUNCTION shop.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	RETURN concat_ws(' ', SQLSTATE, NULLIF(SQLERRM, ''));
END
$$;
DELETE FROM shop.orders;
DELETE FROM shop.payments;
UPDATE credit.exchange_rate SET rate = rate;
SET LOCAL ROLE credit_test_clerk;
INSERT INTO shop.seen VALUES ('a clerk places an order in another currency', '00000', shop.outcome($$INSERT INTO shop.orders VALUES (-1, 'c4', 100, 'EUR')$$)),
	('and is refused one', '23514 order -2 of customer c4 would exceed the credit limit: limit 800, exposure 108.37, adds 1300.44 USD', shop.outcome($$INSERT INTO shop.orders VALUES (-2, 'c4', 1200, 'EUR')$$)),
	('but does not see rates', '42501 permission denied for schema credit', shop.outcome('SELECT * FROM credit.exchange_rate'));
SET LOCAL ROLE credit_test_treasury;
INSERT INTO shop.seen VALUES ('who keeps rates enters one', '00000', shop.outcome($$SELECT credit.set_rate('EUR', 'USD', 1.09)$$)),
	('and takes it away', '00000', shop.outcome($$SELECT credit.set_rate('EUR', 'USD', NULL)$$)),
	('and gets at nothing else', '42501 permission denied for table exchange_rate', shop.outcome('SELECT * FROM credit.exchange_rate')),
	('not at the history', '42501 permission denied for table rate_change', shop.outcome('DELETE FROM credit.rate_change'));
SET LOCAL ROLE credit_test_analyst;
INSERT INTO shop.seen VALUES ('an analyst converts', '00000', shop.outcome($$SELECT credit.convert(1, 'EUR', 'USD')$$)),
	('reads rates', '00000', shop.outcome('SELECT * FROM credit.exchange_rate, credit.rate_change')),
	('and exposure in both currencies', '00000', shop.outcome('SELECT * FROM credit.exposure_by_currency, credit.exposure_by_currency_on(current_date), credit.exposure')),
	('and cannot enter a rate', '42501 permission denied for function set_rate', shop.outcome($$SELECT credit.set_rate('EUR', 'USD', 1)$$)),
	('nor write one', '42501 permission denied for table exchange_rate', shop.outcome('UPDATE credit.exchange_rate SET rate = 1'));
RESET ROLE;
SELECT is(got, wanted, what) FROM shop.seen;
SELECT results_eq($$SELECT old_rate, new_rate FROM credit.rate_change WHERE valid_on = credit.today() AND from_currency = 'EUR' ORDER BY rate_change_id DESC LIMIT 2$$,
	'VALUES (1.09, NULL), (1.0837, 1.09)', 'what was done to rates is on record');

SELECT * FROM finish();
ROLLBACK;

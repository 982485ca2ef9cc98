-- Random statements against the ERP's tables. After each one the ledger must
-- say what the ERP's tables add up to, and no accepted statement may have
-- raised a customer above the limit that was in force.
BEGIN;
CREATE EXTENSION credit;
SELECT plan(8);

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, state text NOT NULL DEFAULT 'open');
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric);
CREATE SEQUENCE shop.ids;
INSERT INTO shop.customers SELECT 'c' || i, CASE i WHEN 1 THEN 0 ELSE 60 * i END FROM generate_series(1, 6) i;

SET LOCAL client_min_messages = warning;
SELECT credit.set_rule('not_set', 'reject');
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total',
	counts_when => $$state = 'open'$$);
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');

-- What the ERP says each customer owes.
CREATE VIEW shop.truth AS
SELECT c.code AS customer, c.credit_limit,
	   COALESCE((SELECT sum(o.total) FROM shop.orders o WHERE o.customer = c.code AND o.state = 'open'), 0) AS ordered,
	   /* what takes room: an order of negative amount that goes away raises
		* exposure, too, without anything that could be refused */
	   COALESCE((SELECT sum(o.total) FROM shop.orders o WHERE o.customer = c.code AND o.state = 'open' AND o.total > 0), 0) AS wanted,
	   COALESCE((SELECT sum(p.amount) FROM shop.payments p WHERE p.customer = c.code), 0) AS paid
  FROM shop.customers c;

CREATE FUNCTION shop.state() RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_object_agg(customer, jsonb_build_object('ordered', ordered, 'wanted', wanted, 'paid', paid)) FROM shop.truth
$$;

CREATE TABLE shop.result (kind text, accepted boolean, command text, nested boolean);
CREATE TABLE shop.trouble (n int, command text, what text);

-- One of n, by chance.
CREATE FUNCTION shop.pick(n int) RETURNS int LANGUAGE sql AS 'SELECT 1 + floor(random() * n)::int';

CREATE FUNCTION shop.some_customer() RETURNS text LANGUAGE sql AS $$ SELECT 'c' || shop.pick(6) $$;

CREATE FUNCTION shop.some_command(kind int) RETURNS text LANGUAGE sql AS $$
SELECT CASE kind
	WHEN 1 THEN format('INSERT INTO shop.orders VALUES (nextval(''shop.ids''), %L, %s)', shop.some_customer(), shop.pick(120))
	WHEN 2 THEN format('INSERT INTO shop.orders SELECT nextval(''shop.ids''), ''c'' || 1 + i %% %s, %s + i, CASE WHEN i %% 3 = 0 THEN ''draft'' ELSE ''open'' END FROM generate_series(1, %s) i',
					   shop.pick(6), shop.pick(20) - 5, shop.pick(8))
	WHEN 3 THEN format('UPDATE shop.orders SET total = total + %s WHERE id %% %s = 0', shop.pick(40) - 20, shop.pick(9))
	WHEN 4 THEN format('UPDATE shop.orders SET state = %L WHERE id %% %s = 0',
					   (ARRAY['open', 'draft', 'cancelled'])[shop.pick(3)], shop.pick(9))
	WHEN 5 THEN format('UPDATE shop.orders SET customer = %L WHERE id %% %s = 0 AND customer = %L',
					   shop.some_customer(), shop.pick(5), shop.some_customer())
	WHEN 6 THEN format('DELETE FROM shop.orders WHERE id %% %s = 0', 2 + shop.pick(9))
	WHEN 7 THEN format('INSERT INTO shop.payments VALUES (nextval(''shop.ids''), %L, %s)', shop.some_customer(), shop.pick(100))
	WHEN 8 THEN format('DELETE FROM shop.payments WHERE id %% %s = 0', shop.pick(4))
	WHEN 9 THEN format('INSERT INTO shop.orders SELECT id, %L, %s FROM shop.orders ORDER BY id LIMIT %s ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, total = excluded.total, state = ''open''',
					   shop.some_customer(), shop.pick(30), shop.pick(3))
	WHEN 10 THEN format('UPDATE shop.orders SET id = id + 100000, total = total - 1 WHERE id %% %s = 0 AND id < 100000', shop.pick(7))
	WHEN 11 THEN format('WITH gone AS (DELETE FROM shop.orders WHERE id %% %s = 0 RETURNING customer, total, state) INSERT INTO shop.payments SELECT nextval(''shop.ids''), customer, total / 2 FROM gone WHERE state = ''open'' AND total > 0',
						2 + shop.pick(5))
	WHEN 12 THEN format('MERGE INTO shop.orders o USING (SELECT i AS id, %L AS customer FROM generate_series(%s, %s, 3) i) n ON o.id = n.id WHEN MATCHED AND o.total < 10 THEN DELETE WHEN MATCHED THEN UPDATE SET total = %s, customer = n.customer WHEN NOT MATCHED THEN INSERT VALUES (-n.id - (SELECT count(*) * 1000 FROM shop.result), n.customer, 3)',
						shop.some_customer(), shop.pick(20), 20 + shop.pick(20), shop.pick(40))
	WHEN 13 THEN format('UPDATE shop.orders SET total = NULLIF(total, %s), customer = NULLIF(customer, %L) WHERE id %% %s = 0',
						shop.pick(20), shop.some_customer(), shop.pick(12))
	WHEN 14 THEN format('UPDATE shop.orders SET total = COALESCE(total, %s), customer = COALESCE(customer, %L) WHERE total IS NULL OR customer IS NULL',
						shop.pick(20), shop.some_customer())
	WHEN 15 THEN 'UPDATE shop.orders SET total = total, state = state'
	WHEN 16 THEN format('UPDATE shop.payments SET amount = amount + %s, customer = %L WHERE id %% %s = 0', shop.pick(20) - 10, shop.some_customer(), shop.pick(5))
END
$$;

-- Runs one command as an application would: a refusal is survived.
CREATE FUNCTION shop.run(kind int, command text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN true;
EXCEPTION WHEN check_violation THEN
	RETURN false;
END
$$;

-- Several commands in an exception block that fails in the end, or does not.
CREATE FUNCTION shop.run_block(commands text[], fails boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. cardinality(commands) LOOP
		PERFORM shop.run(0, commands[i]);
	END LOOP;
	IF fails THEN
		RAISE division_by_zero;
	END IF;
EXCEPTION WHEN division_by_zero THEN
	NULL;
END
$$;

-- Everything that is wrong now; before is the truth before the command.
CREATE FUNCTION shop.look(n int, command text, accepted boolean, before jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.trouble
	SELECT n, command, format('%s: ledger %s, ERP %s', t.customer, e.total, t.ordered - t.paid)
	  FROM shop.truth t LEFT JOIN credit.exposure e ON e.customer = t.customer
	 WHERE e.ordered IS DISTINCT FROM t.ordered OR e.unapplied IS DISTINCT FROM -t.paid
		OR e.total IS DISTINCT FROM t.ordered - t.paid;
	INSERT INTO shop.trouble
	SELECT n, command, format('%s: raised from %s to %s above %s', t.customer, before -> t.customer ->> 'ordered', t.ordered - t.paid, t.credit_limit)
	  FROM shop.truth t
	 WHERE t.ordered - t.paid > t.credit_limit
	   AND t.ordered > COALESCE((before -> t.customer ->> 'ordered')::numeric, 0)
	   AND t.wanted > COALESCE((before -> t.customer ->> 'wanted')::numeric, 0)
	   AND accepted;
	INSERT INTO shop.trouble
	SELECT n, command, 'refused, but something has changed'
	 WHERE NOT accepted
	   AND before IS DISTINCT FROM shop.state();
END
$$;

CREATE FUNCTION shop.play(n_steps int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	before jsonb;
	command text;
	commands text[];
	accepted boolean;
	kind int;
BEGIN
	FOR n IN 1 .. n_steps LOOP
		before := shop.state();
		kind := shop.pick(20);
		IF kind <= 16 THEN
			command := shop.some_command(kind);
			accepted := shop.run(kind, command);
			INSERT INTO shop.result VALUES (kind::text, accepted, command, false);
			PERFORM shop.look(n, command, accepted, before);
		ELSIF kind <= 19 THEN
			commands := ARRAY[shop.some_command(1), shop.some_command(shop.pick(16)),
							  shop.some_command(shop.pick(16)), shop.some_command(3)];
			PERFORM shop.run_block(commands, kind < 19);
			INSERT INTO shop.result VALUES ('block', NULL, commands::text, true);
			/* a block that fails leaves everything as it was; the sums hold anyhow */
			PERFORM shop.look(n, commands::text, CASE WHEN kind < 19 THEN false END, before);
		ELSE
			UPDATE shop.customers SET credit_limit = 50 * shop.pick(12) WHERE code = shop.some_customer();
			PERFORM shop.look(n, 'limits', NULL, before);
		END IF;
	END LOOP;
END
$$;

SELECT setseed(0.2026);
SELECT shop.play(500);

SELECT is_empty('SELECT * FROM shop.trouble ORDER BY n', 'the ledger follows 500 random steps, and no limit is passed');
-- the test must have tested something
SELECT cmp_ok((SELECT count(*) FROM shop.result WHERE NOT accepted), '>', 20::bigint, 'many statements were refused');
SELECT cmp_ok((SELECT count(*) FROM shop.result WHERE accepted), '>', 150::bigint, 'many were accepted');
SELECT is((SELECT count(DISTINCT kind) FROM shop.result), 17::bigint, 'of every kind');

SELECT is_empty($$
	SELECT key, amount FROM credit.exposure_document WHERE kind = 'order'
	EXCEPT SELECT id::text, total FROM shop.orders WHERE state = 'open' AND customer IS NOT NULL AND total IS NOT NULL$$,
	'no document that the ERP has not');
SELECT is_empty($$
	SELECT id::text, customer, total FROM shop.orders WHERE state = 'open' AND customer IS NOT NULL AND total IS NOT NULL
	EXCEPT SELECT key, customer, amount FROM credit.exposure_document WHERE kind = 'order'$$,
	'no document is missing');
-- every figure has its lineage: the journal adds up to the documents
SELECT is_empty($$
	SELECT a.customer, sum(d.delta) AS journal, max(e.total) AS exposure
	  FROM credit.journal j JOIN credit.account a USING (account_id)
	  CROSS JOIN LATERAL (SELECT sum(x) AS delta FROM unnest(j.delta) x) d
	  JOIN credit.exposure e ON e.customer = a.customer
	 GROUP BY a.customer HAVING sum(d.delta) <> max(e.total)$$,
	'the journal adds up to exposure');
-- taken in again from scratch, it is the same
CREATE TEMP TABLE kept AS SELECT customer, ordered, unapplied, total FROM credit.exposure;
SELECT credit.detach('shop.orders');
SELECT credit.detach('shop.payments');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', counts_when => $$state = 'open'$$);
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');
SELECT results_eq('SELECT customer, ordered, unapplied, total FROM credit.exposure ORDER BY 1',
	'SELECT * FROM kept ORDER BY 1', 'a new backfill comes to the same');

SELECT * FROM finish();
ROLLBACK;

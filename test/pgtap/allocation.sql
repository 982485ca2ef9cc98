-- Allocation of payments of which nobody says what they pay, against the plain
-- definition, which compares every payment with every debt: sources of all
-- rules beside each other, many equal amounts, no due dates, two currencies,
-- rows in any order, any day, all accounts and one.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;
SET LOCAL jit = off;
SELECT credit.set_rule('not_set', 'off');
SELECT setseed(0.71);

CREATE SCHEMA shop;
CREATE FUNCTION shop.definition(as_of date, of_account bigint DEFAULT NULL)
RETURNS TABLE (source_id integer, key text, account_id bigint, currency text, kind text, open_amount numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH open AS
	(SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_now o
	  WHERE as_of = credit.today() AND (of_account IS NULL OR o.account_id = of_account)
	 UNION ALL
	 SELECT o.source_id, o.key, o.account_id, o.currency, o.kind, o.open_amount
	   FROM credit.open_on(as_of) o
	  WHERE as_of <> credit.today() AND (of_account IS NULL OR o.account_id = of_account)),
ranked AS
	(SELECT o.*, r.rule = 'allocated' AND o.open_amount < 0 AS pays,
			r.rule <> 'stated' AND o.open_amount > 0 AS is_paid,
			COALESCE(i.due_date, i.document_date, i.posting_date) AS due,
			row_number() OVER (PARTITION BY o.account_id, o.currency, abs(o.open_amount),
								   r.rule = 'allocated' AND o.open_amount < 0, r.rule <> 'stated' AND o.open_amount > 0
							   ORDER BY COALESCE(i.due_date, i.document_date, i.posting_date), o.source_id, o.key) AS number
	   FROM open o
	   JOIN credit.settlement_rule r ON r.source_id = o.source_id
	   JOIN credit.item i ON i.source_id = o.source_id AND i.key = o.key),
paid_exactly AS
	(SELECT p.source_id AS p_source, p.key AS p_key, d.source_id AS d_source, d.key AS d_key
	   FROM ranked p
	   JOIN ranked d ON d.account_id = p.account_id AND d.currency = p.currency
			AND d.is_paid AND d.open_amount = -p.open_amount AND d.number = p.number
	  WHERE p.pays),
rest AS
	(SELECT r.*,
			sum(r.open_amount) FILTER (WHERE r.is_paid) OVER (PARTITION BY r.account_id, r.currency) AS debt,
			-sum(r.open_amount) FILTER (WHERE r.pays) OVER (PARTITION BY r.account_id, r.currency) AS money,
			abs(sum(r.open_amount) FILTER (WHERE r.pays = (r.open_amount < 0) AND (r.pays OR r.is_paid))
				OVER (PARTITION BY r.account_id, r.currency, r.pays, r.is_paid
					  ORDER BY r.due, r.source_id, r.key)) AS running
	   FROM ranked r
	  WHERE NOT EXISTS (SELECT FROM paid_exactly e
						 WHERE (e.p_source, e.p_key) = (r.source_id, r.key)
							OR (e.d_source, e.d_key) = (r.source_id, r.key)))
SELECT r.source_id, r.key, r.account_id, r.currency, r.kind, r.left_open
  FROM (SELECT r.*,
			   CASE WHEN r.is_paid
					THEN LEAST(r.open_amount, GREATEST(0, r.running - COALESCE(r.money, 0)))
					WHEN r.pays
					THEN -LEAST(-r.open_amount, GREATEST(0, r.running - COALESCE(r.debt, 0)))
					ELSE r.open_amount END AS left_open
		  FROM rest r) r
 WHERE r.left_open <> 0;
END;

CREATE TABLE shop.customer (id int PRIMARY KEY);
CREATE TABLE shop.invoice (id int PRIMARY KEY, customer int, currency text, amount numeric, day date, due date);
CREATE TABLE shop.payment (id int PRIMARY KEY, customer int, currency text, amount numeric, day date);
CREATE TABLE shop.named (id int PRIMARY KEY, customer int, currency text, amount numeric, day date, invoice int);
CREATE TABLE shop.line (id text PRIMARY KEY, customer int, currency text, amount numeric, day date, due date);
CREATE TABLE shop.stated (id int PRIMARY KEY, customer int, currency text, amount numeric, day date, due date, open numeric);
INSERT INTO shop.customer SELECT c FROM generate_series(1, 7) c;
CREATE FUNCTION shop.fill(n int) RETURNS void LANGUAGE sql
BEGIN ATOMIC
INSERT INTO shop.invoice
SELECT g, 1 + floor(random() * 6)::int, CASE WHEN random() < 0.2 THEN 'USD' ELSE 'EUR' END, 10 * (1 + floor(random() * 12)) + CASE WHEN random() < 0.2 THEN 0.05 ELSE 0 END,
	   d.day, CASE WHEN random() < 0.7 THEN d.day + 10 * (g % 5) END
  FROM generate_series(1, n) g, LATERAL (SELECT current_date - floor(random() * 60 + 0 * g)::int AS day) d;
INSERT INTO shop.payment
SELECT g, 1 + floor(random() * 6)::int, CASE WHEN random() < 0.2 THEN 'USD' ELSE 'EUR' END, 5 * (1 + floor(random() * 30)),
	   current_date - floor(random() * 60)::int
  FROM generate_series(1, n * 2 / 3) g;
INSERT INTO shop.named
SELECT g, i.customer, i.currency, round(i.amount / 2, 2), i.day + floor(random() * 30)::int, i.id
  FROM generate_series(1, n / 6) g JOIN shop.invoice i ON i.id = g * 5;
INSERT INTO shop.line
SELECT g, 1 + floor(random() * 7)::int, 'EUR', (10 * (1 + floor(random() * 9)) * CASE WHEN random() < 0.4 THEN -1 ELSE 1 END)::numeric,
	   d.day, CASE WHEN random() < 0.5 THEN d.day + 30 END
  FROM generate_series(1, n / 2) g, LATERAL (SELECT current_date - floor(random() * 60 + 0 * g)::int AS day) d;
INSERT INTO shop.stated
SELECT g, 1 + floor(random() * 6)::int, 'EUR', 100, current_date - floor(random() * 60)::int, NULL, 20 * floor(random() * 5)
  FROM generate_series(1, n / 6) g;
END;
SELECT shop.fill(240);
SELECT credit.attach('shop.customer', 'customer', key => 'id');
SELECT credit.attach('shop.invoice', 'invoice', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', due_date => 'due');
SELECT credit.attach('shop.payment', 'payment', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day');
SELECT credit.attach('shop.named', 'payment', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', applies_to => 'invoice');
SELECT credit.attach('shop.line', 'receivable', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', due_date => 'due');
SELECT credit.attach('shop.stated', 'invoice', key => 'id', customer => 'customer', currency => 'currency', amount => 'amount', document_date => 'day', due_date => 'due', open_amount => 'open');
ANALYZE credit.item;

CREATE FUNCTION shop.differences(back int, of_account bigint DEFAULT NULL) RETURNS bigint LANGUAGE sql AS $$
WITH have AS (SELECT * FROM credit.allocated_on(current_date - back, of_account)),
	 want AS (SELECT * FROM shop.definition(current_date - back, of_account))
SELECT count(*) FROM ((SELECT * FROM have EXCEPT ALL SELECT * FROM want) UNION ALL (SELECT * FROM want EXCEPT ALL SELECT * FROM have)) d
$$;
SELECT is((SELECT array_agg(DISTINCT rule ORDER BY rule) FROM credit.settlement_rule), '{allocated,named,stated}', 'sources of three rules');
SELECT is(shop.differences(d), 0::bigint, format('what is left open %s days ago is what the definition leaves', d)) FROM unnest(ARRAY[0, 1, 13, 30, 59, 70]) d;
SELECT is(sum(shop.differences(d, a.account_id)), 0::numeric, format('of one account each, %s days ago', d))
  FROM unnest(ARRAY[0, 17, 45]) d CROSS JOIN credit.account a GROUP BY d;
SELECT cmp_ok((SELECT count(*) FROM shop.definition(current_date) d JOIN credit.settlement_rule r USING (source_id) WHERE r.rule <> 'stated'), '>', 20::bigint, 'something is left');
SELECT cmp_ok((SELECT count(*) FROM shop.definition(current_date)), '<', (SELECT count(*) FROM credit.open_now) - 100, 'and much was paid');
SELECT is((SELECT sum(open_amount) FROM credit.allocated_on(current_date)), (SELECT sum(open_amount) FROM credit.open_now), 'the balance is not changed by it');

-- the same documents in another order of rows, twice
CREATE FUNCTION shop.shuffle() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t text;
BEGIN
	CREATE TEMP TABLE before ON COMMIT DROP AS SELECT kind, key, open_amount FROM credit.allocated_on(current_date);
	FOREACH t IN ARRAY ARRAY['invoice', 'payment', 'named', 'line', 'stated'] LOOP
		EXECUTE format('CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM shop.%I', t);
		EXECUTE format('DELETE FROM shop.%I', t);
		EXECUTE format('INSERT INTO shop.%I SELECT * FROM kept ORDER BY random()', t);
		DROP TABLE kept;
	END LOOP;
END
$$;
SELECT shop.shuffle();
SELECT is(shop.differences(0) + shop.differences(20), 0::bigint, 'in another order of rows');
SELECT is_empty('(SELECT * FROM before EXCEPT ALL SELECT kind, key, open_amount FROM credit.allocated_on(current_date)) UNION ALL
	(SELECT kind, key, open_amount FROM credit.allocated_on(current_date) EXCEPT ALL SELECT * FROM before)', 'which changes nothing');

-- Neither compares each payment with each debt, and one account reads its own.
\set schema shop
\ir ../lib/plan.sql
SELECT unalike(shop.plan(format('SELECT * FROM credit.allocated_on(%L)', current_date)), '%CTE Scan%', 'no row is compared with all others');
SET LOCAL enable_seqscan = off;
SELECT unalike(shop.plan(format('SELECT * FROM credit.allocated_on(%L, 3)', d)), '%Seq Scan on item%', format('one account does not read all documents, %s', d))
  FROM unnest(ARRAY[current_date, current_date - 9]) d;
SELECT * FROM finish();
ROLLBACK;

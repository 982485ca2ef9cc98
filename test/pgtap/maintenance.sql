-- Random business with purges at random moments. A purge must change nothing
-- that can be asked: exposure, balances, the answer to an order of any amount.
-- And what the ledger says must be what the ERP's tables add up to, all the time.
--
-- Not in one transaction, because a purge commits.
CREATE EXTENSION credit;
SELECT plan(9);
SET client_min_messages = warning;

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, currency text);
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric);
CREATE SEQUENCE shop.ids;
INSERT INTO shop.customers SELECT 'c' || i, 100 * i FROM generate_series(1, 6) i;
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', currency => 'currency');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');
SELECT credit.set_rule('missing_rate', 'off');

CREATE FUNCTION shop.pick(n int) RETURNS int LANGUAGE sql AS 'SELECT 1 + floor(random() * n)::int';
CREATE FUNCTION shop.customer() RETURNS text LANGUAGE sql AS $$ SELECT 'c' || shop.pick(6) $$;

CREATE FUNCTION shop.command() RETURNS text LANGUAGE sql AS $$
SELECT (ARRAY[
	format('INSERT INTO shop.orders VALUES (nextval(''shop.ids''), %L, %s, %L)', shop.customer(), shop.pick(80), CASE WHEN shop.pick(8) = 1 THEN 'EUR' END),
	format('INSERT INTO shop.orders SELECT nextval(''shop.ids''), ''c'' || 1 + i %% 6, i, NULL FROM generate_series(1, %s) i', shop.pick(10)),
	format('UPDATE shop.orders SET total = total + %s WHERE id %% %s = 0', shop.pick(40) - 20, shop.pick(9)),
	format('UPDATE shop.orders SET customer = %L WHERE id %% %s = 0', shop.customer(), shop.pick(9)),
	format('DELETE FROM shop.orders WHERE id %% %s = 0', 1 + shop.pick(9)),
	format('INSERT INTO shop.payments VALUES (nextval(''shop.ids''), %L, %s)', shop.customer(), shop.pick(60)),
	format('DELETE FROM shop.payments WHERE id %% %s = 0', shop.pick(4)),
	format('UPDATE shop.customers SET credit_limit = %s WHERE code = %L', 50 * shop.pick(12), shop.customer())])[shop.pick(8)]
$$;

-- Several commands; a refusal, or chance, undoes them like ROLLBACK TO.
CREATE FUNCTION shop.try(n int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. n LOOP
		EXECUTE shop.command();
		IF shop.pick(4) = 1 THEN
			PERFORM shop.try(1 + n / 2);
		END IF;
	END LOOP;
	IF shop.pick(4) = 1 THEN
		RAISE division_by_zero;
	END IF;
	RETURN true;
EXCEPTION WHEN check_violation OR division_by_zero THEN
	RETURN false;
END
$$;

-- All that can be asked.
CREATE FUNCTION shop.answers() RETURNS jsonb LANGUAGE sql AS $$
SELECT jsonb_build_object(
	'exposure', (SELECT jsonb_agg(e ORDER BY e.customer) FROM credit.exposure e),
	'balance', (SELECT jsonb_agg(b ORDER BY a.customer, b.currency) FROM credit.account a, credit.balance(a.account_id) b),
	'check', (SELECT jsonb_agg(c ORDER BY a.customer, x) FROM credit.account a, (VALUES (1), (50), (500)) v (x),
					 credit.check_order(a.customer, x, a.segment) c),
	'document', (SELECT jsonb_agg(d ORDER BY d.source, d.key) FROM credit.exposure_document d))
$$;

CREATE VIEW shop.difference AS
WITH truth AS
	(SELECT customer, COALESCE(currency, 'USD') AS currency, sum(total) AS total
	   FROM (SELECT customer, currency, total FROM shop.orders UNION ALL SELECT customer, NULL, -amount FROM shop.payments) q
	  GROUP BY 1, 2),
ledger AS
	(SELECT a.customer, b.currency, b.total FROM credit.account a, credit.balance(a.account_id) b)
SELECT customer, currency, truth.total AS erp, ledger.total AS ledger FROM truth FULL JOIN ledger USING (customer, currency)
 WHERE COALESCE(truth.total, 0) <> COALESCE(ledger.total, 0);

CREATE TABLE shop.purge (n int, before jsonb, after jsonb, rows_before bigint, rows_after bigint, wrong bigint);
CREATE TABLE shop.step (n int, is_kept boolean, wrong bigint);

CREATE PROCEDURE shop.play(n_steps int) LANGUAGE plpgsql AS $$
DECLARE
	before jsonb;
	n_before bigint;
	is_kept boolean;
BEGIN
	FOR n IN 1 .. n_steps LOOP
		FOR i IN 1 .. shop.pick(3) LOOP
			PERFORM shop.try(shop.pick(4));
		END LOOP;
		is_kept := shop.pick(5) > 1;
		IF is_kept THEN
			COMMIT;
		ELSE
			ROLLBACK;
		END IF;
		INSERT INTO shop.step VALUES (n, is_kept, (SELECT count(*) FROM shop.difference));
		COMMIT;
		IF shop.pick(4) = 1 THEN
			before := shop.answers();
			n_before := (SELECT count(*) FROM credit.journal);
			CALL credit.purge('0 s', CASE WHEN shop.pick(2) = 1 THEN interval '0 s' END, batch_rows => shop.pick(30));
			INSERT INTO shop.purge VALUES (n, before, shop.answers(), n_before,
				(SELECT count(*) FROM credit.journal), (SELECT count(*) FROM shop.difference));
			COMMIT;
		END IF;
	END LOOP;
END
$$;

SELECT setseed(0.42);
CALL shop.play(240);

SELECT is_empty('SELECT n FROM shop.purge WHERE before <> after', 'no purge changes any answer');
SELECT is_empty('SELECT n FROM shop.purge WHERE wrong > 0', 'after each the ledger is what the ERP adds up to');
SELECT is_empty('SELECT n FROM shop.step WHERE wrong > 0', 'and in between');
-- the test must have tested something
SELECT cmp_ok((SELECT count(*) FROM shop.purge), '>', 30::bigint, 'there were purges');
SELECT cmp_ok((SELECT count(*) FROM shop.purge WHERE rows_after < rows_before), '>', 30::bigint, 'that took rows');
SELECT cmp_ok((SELECT count(*) FROM shop.step WHERE NOT is_kept), '>', 20::bigint, 'transactions were rolled back');
SELECT cmp_ok((SELECT count(*) FROM credit.journal), '<', 300::bigint, 'and little is left');
SELECT cmp_ok((SELECT count(DISTINCT currency) FROM credit.journal), '=', 2::bigint, 'in two currencies');

-- a figure that a lost row would change is seen
SELECT shop.answers() AS before \gset
BEGIN;
SELECT credit.maintain(true);
DELETE FROM credit.journal j WHERE seq = (SELECT max(seq) FROM credit.journal x WHERE x.account_id = j.account_id AND x.currency = j.currency);
SELECT isnt(shop.answers(), :'before'::jsonb, 'a row that is missing changes the answers');
ROLLBACK;
SELECT * FROM finish();

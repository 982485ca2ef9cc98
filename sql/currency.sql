--
-- currency: exchange rates, and what is converted by them
--
\set SHOW_CONTEXT never
-- details name today; shop.answer below shows them without
\set VERBOSITY terse
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;

-- 1. Rates: entry, and what is refused

SELECT credit.set_rate('EUR', 'USD', 1.10, '2020-03-31'), credit.set_rate('GBP', 'USD', 1.25, '2020-03-31');
SELECT rate_type, from_currency, to_currency, valid_on, rate, source, recorded_by = session_user AS by_me
  FROM credit.exchange_rate ORDER BY from_currency;
SELECT credit.set_rate('EUR', 'USD', 0);
SELECT credit.set_rate('EUR', 'USD', -1);
SELECT credit.set_rate('EUR', 'USD', 'NaN');
SELECT credit.set_rate('EUR', 'USD', 'Infinity');
SELECT credit.set_rate('EUR', 'USD', 1e30);
SELECT credit.set_rate('EUR', 'EUR', 1);
SELECT credit.set_rate('EUR', NULL, 1);
SELECT credit.set_rate('EUR', '', 1);
SELECT credit.set_rate('EUR', 'too long a code', 1);
SELECT credit.set_rate('EUR', 'USD', 1.1, 'infinity');
SELECT credit.set_rate('EUR', 'USD', NULL, '2020-03-30');
-- the wrong way round: it is stored, and said
SELECT credit.set_rate('GBP', 'USD', 0.80, '2020-04-01');
-- changing one keeps the former, saying the same again keeps nothing
SELECT credit.set_rate('GBP', 'USD', 1.26, '2020-04-01', source => 'desk');
SELECT credit.set_rate('GBP', 'USD', 1.260, '2020-04-01', source => 'desk');
SELECT credit.set_rate('GBP', 'USD', NULL, '2020-04-01');
SELECT from_currency, to_currency, valid_on, old_rate, new_rate, old_source FROM credit.rate_change ORDER BY rate_change_id;
DELETE FROM credit.rate_change;
UPDATE credit.exchange_rate SET valid_on = '2020-03-30', source = 'moved' WHERE from_currency = 'GBP';
UPDATE credit.exchange_rate SET valid_on = '2020-03-31', source = NULL WHERE from_currency = 'GBP';
SELECT from_currency, valid_on, old_rate, new_rate, old_source FROM credit.rate_change WHERE valid_on < '2020-04-01' ORDER BY rate_change_id;
-- many at once: what is there already and says the same is left alone
CREATE TABLE incoming (cur text, day date, rate numeric);
INSERT INTO incoming SELECT c, d::date, 1 + n * 0.01 FROM generate_series('2020-01-01'::date, '2020-01-10', '1 day') WITH ORDINALITY g (d, n), unnest(ARRAY['AUD', 'NZD']) c;
CREATE FUNCTION load() RETURNS bigint LANGUAGE sql AS $$
WITH written AS (
	INSERT INTO credit.exchange_rate AS r (from_currency, to_currency, valid_on, rate, source)
	SELECT cur, 'USD', day, rate, 'bank' FROM incoming
	ON CONFLICT ON CONSTRAINT exchange_rate_pkey
	DO UPDATE SET rate = excluded.rate, source = excluded.source
	RETURNING 1)
SELECT count(*) FROM written
$$;
SELECT load();
SELECT load();
UPDATE incoming SET rate = 2 WHERE cur = 'NZD' AND day = '2020-01-05';
SELECT load();
SELECT from_currency, valid_on, old_rate, new_rate FROM credit.rate_change WHERE from_currency = 'NZD';
INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate) VALUES ('AUD', 'USD', '2020-01-01', 'NaN');

-- 2. Which rate counts

SELECT d::date AS day, f.* FROM generate_series('2020-03-30'::timestamp, '2020-04-08', '1 day') d, credit.find_rate('EUR', 'USD', d::date) f;
-- the other way round, and through the base currency, which is USD
SELECT * FROM credit.find_rate('USD', 'EUR', '2020-03-31');
SELECT * FROM credit.find_rate('GBP', 'EUR', '2020-04-02');
SELECT * FROM credit.find_rate('EUR', 'GBP', '2020-04-02');
SELECT * FROM credit.find_rate('EUR', 'EUR', '1900-01-01');
SELECT * FROM credit.find_rate('EUR', 'CHF', '2020-03-31');
SELECT * FROM credit.find_rate('EUR', 'a currency that cannot be', '2020-03-31');
SELECT * FROM credit.find_rate('EUR', 'USD', NULL);
SELECT * FROM credit.find_rate('EUR', 'USD', '-infinity');
-- without that currency there is no way across
SELECT credit.set('currency', 'CHF');
SELECT * FROM credit.find_rate('GBP', 'EUR', '2020-04-02');
SELECT credit.set('currency', NULL);
-- a direct rate goes before an inverse one, that before a cross; a stale one does not count
SELECT credit.set_rate('USD', 'EUR', 0.80, '2020-04-01') IS NOT NULL AS is_set;
SELECT * FROM credit.find_rate('EUR', 'USD', '2020-04-07');
SELECT * FROM credit.find_rate('EUR', 'USD', '2020-04-08');
SELECT * FROM credit.find_rate('USD', 'EUR', '2020-03-31');
SELECT credit.set_rate('GBP', 'EUR', 1.15, '2020-03-20') IS NOT NULL AS is_set;
SELECT * FROM credit.find_rate('GBP', 'EUR', '2020-03-27');
SELECT * FROM credit.find_rate('GBP', 'EUR', '2020-03-28');
SELECT * FROM credit.find_rate('GBP', 'EUR', '2020-04-02');
SELECT * FROM credit.find_rate('GBP', 'EUR', '2020-04-20');
SELECT credit.set_rate('USD', 'EUR', NULL, '2020-04-01'), credit.set_rate('GBP', 'EUR', NULL, '2020-03-20');
-- how long a rate counts
SELECT credit.set('rate_age', '0d');
SELECT d::date AS day, f.rate_path FROM generate_series('2020-03-31'::timestamp, '2020-04-01', '1 day') d, credit.find_rate('EUR', 'USD', d::date) f;
SELECT credit.set('rate_age', '31d');
SELECT * FROM credit.find_rate('EUR', 'USD', '2020-05-01');
SELECT credit.set('rate_age', NULL);
-- rates of another type
SELECT credit.set_rate('EUR', 'USD', 1.05, '2020-01-01', 'planning');
SELECT credit.rate('EUR', 'USD', '2020-01-03', 'planning'), credit.rate('EUR', 'USD', '2020-01-03'), credit.rate('EUR', 'USD', '2020-01-03', repeat('x', 40));
SELECT credit.set('rate_type', 'planning');
SELECT credit.rate('EUR', 'USD', '2020-01-03');
SELECT credit.set('rate_type', NULL);

-- 3. Amounts

-- not rounded; NULL without a rate, never 1 and never 0
SELECT credit.convert(10000, 'EUR', 'USD', '2020-03-31'), credit.convert(1, 'USD', 'EUR', '2020-03-31'),
	   credit.convert(5, 'GBP', 'EUR', '2020-03-31'), credit.convert(7.5, 'CHF', 'CHF', '2020-03-31'),
	   credit.convert(5, 'CHF', 'EUR', '2020-03-31') AS missing, credit.convert(NULL, 'EUR', 'USD', '2020-03-31') AS nothing,
	   credit.convert(5, 'EUR', 'USD', NULL) AS undated, credit.convert('NaN', 'EUR', 'USD', '2020-03-31');
SET credit.as_of = '2020-04-02';
SELECT credit.rate('EUR', 'USD'), credit.convert(100, 'EUR', 'USD');
RESET credit.as_of;
-- EUR 10,000 at 1.10 and GBP 5,000 at 1.25
SELECT credit.round_amount(sum(credit.convert(amount, currency, 'USD', '2020-03-31')), 'USD')
  FROM (VALUES (10000, 'EUR'), (5000, 'GBP')) v (amount, currency);
-- rounded once, at the end: a third, three times, is one, and half a cent of it is a cent
SELECT credit.set_rate('XDR', 'USD', 3, '2020-03-31') IS NOT NULL AS is_set;
SELECT sum(credit.convert(1, 'USD', 'XDR', '2020-03-31')) = 1 AS is_one, credit.round_amount(sum(credit.convert(1, 'USD', 'XDR', '2020-03-31')), 'USD') FROM generate_series(1, 3);
SELECT credit.round_amount(sum(credit.convert(0.015, 'USD', 'XDR', '2020-03-31')), 'USD') FROM generate_series(1, 1);
SELECT credit.round_amount(0.005, 'USD'), credit.round_amount(-0.005, 'USD'), credit.round_amount(0.5, 'JPY'), credit.round_amount(1.0005, 'KWD'),
	   credit.round_amount(1.00005, 'CLF'), credit.round_amount(1.005, 'no code'), credit.round_amount(NULL, 'USD');
SELECT credit.round_amount('NaN', 'USD'), credit.round_amount('-Infinity', 'JPY'), credit.round_amount(1e-300, 'USD'), length(credit.round_amount(1e300, '')::text),
	   credit.convert('-Infinity', 'USD', 'EUR', '2020-03-31'), length(credit.convert(1e300, 'USD', 'XDR', '2020-03-31')::text);
-- the same for one query whatever it asks in between, and after a change
CREATE FUNCTION rates_in_turn() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	seen numeric[];
BEGIN
	FOR i IN 1 .. 4 LOOP
		seen := seen || credit.rate('EUR', 'USD', '2020-03-31');
		UPDATE credit.exchange_rate SET rate = rate + 0.1 WHERE from_currency = 'EUR' AND rate_type = 'closing';
	END LOOP;
	RAISE EXCEPTION '%', seen;
EXCEPTION WHEN raise_exception THEN
	RETURN sqlerrm;
END
$$;
SELECT rates_in_turn();
SELECT credit.rate('EUR', 'USD', '2020-03-31');
DROP FUNCTION rates_in_turn;

-- 4. Orders in other currencies

CREATE SCHEMA shop;
CREATE TABLE shop.customers (code text PRIMARY KEY, credit_limit numeric, currency text);
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric, currency text, day date);
CREATE TABLE shop.payments (id int PRIMARY KEY, customer text, amount numeric, currency text, day date);
INSERT INTO shop.customers VALUES ('A', 17250, 'USD'), ('B', 1000, 'USD'), ('E', 100, 'EUR'), ('J', 100000, 'JPY'), ('N', NULL, 'USD'), ('U', 1e6, 'USD');
SELECT credit.attach('shop.customers', 'customer', key => 'code', credit_limit => 'credit_limit', currency => 'currency');
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', currency => 'currency', document_date => 'day');
SELECT credit.attach('shop.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount', currency => 'currency', document_date => 'day');
CREATE FUNCTION shop.answer(command text) RETURNS TABLE (field text, value text)
LANGUAGE plpgsql AS $$
DECLARE
	message_ text; detail_ text; hint_ text; constraint_ text;
BEGIN
	EXECUTE command;
	RETURN QUERY VALUES ('accepted', '');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message_ = MESSAGE_TEXT, detail_ = PG_EXCEPTION_DETAIL, hint_ = PG_EXCEPTION_HINT,
		constraint_ = CONSTRAINT_NAME;
	RETURN QUERY VALUES ('message', message_), ('detail', replace(detail_, credit.today()::text, '<today>')), ('hint', hint_), ('constraint', constraint_);
END
$$;
\pset format unaligned
-- the rates are too old, or missing
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 10000, 'EUR')$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', 10000, 'CHF')$$);
SELECT verdict, rule, message, reasons, exposure, added, credit_limit FROM credit.check_order('A', 10, 'CHF');
-- of several the one that matters
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (1, 'A', -5, 'CHF'), (2, 'A', 5, 'NOK')$$) WHERE field = 'detail';
-- EUR 10,000 at 1.10 and GBP 5,000 at 1.25 are 17,250: it fits, and no cent more
SELECT credit.set_rate('EUR', 'USD', 1.10), credit.set_rate('GBP', 'USD', 1.25);
INSERT INTO shop.orders VALUES (1, 'A', 10000, 'EUR', credit.today());
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (2, 'A', 5000.01, 'GBP')$$);
INSERT INTO shop.orders VALUES (2, 'A', 5000, 'GBP', credit.today());
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (3, 'A', 0.01, 'USD')$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (3, 'A', 0.01, 'GBP')$$);
SELECT verdict, rule, account_currency, exposure, added, exposure_after, in_flight, headroom, passing_amount, amount_to_pay,
	   replace(reasons::text, credit.today()::text, '<today>') AS reasons
  FROM credit.check_order('A', 100, 'EUR');
\pset format aligned
SELECT currency, ordered, unapplied, total, credit_limit, headroom, utilisation, is_over_limit, other_currencies, missing_rates
  FROM credit.exposure WHERE customer = 'A';
SELECT currency, ordered, total, account_currency, rate, rate_date = credit.today() AS of_today, rate_path, converted
  FROM credit.exposure_by_currency WHERE customer = 'A' ORDER BY currency;
SELECT currency, total, converted FROM credit.exposure_by_currency_on(credit.today()) WHERE customer = 'A' ORDER BY currency;
SELECT total, other_currencies FROM credit.exposure_on(credit.today()) WHERE customer = 'A';
SELECT total, other_currencies FROM credit.exposure_on('infinity') WHERE customer = 'A';
-- what lowers passes, and one currency against another is judged by what they come to
UPDATE shop.orders SET total = 9000, currency = 'GBP' WHERE id = 1;
UPDATE shop.orders SET total = 8800, currency = 'GBP' WHERE id = 1;
SELECT currency, total, converted FROM credit.exposure_by_currency WHERE customer = 'A' ORDER BY currency;
UPDATE shop.orders SET total = 10000, currency = 'EUR' WHERE id = 1;
UPDATE shop.orders SET total = 9999, currency = 'EUR' WHERE id = 1;
UPDATE shop.orders SET total = 1.10, currency = 'USD' WHERE id = 1;
UPDATE shop.orders SET total = 10000, currency = 'EUR' WHERE id = 1;
-- cash in any currency makes room
INSERT INTO shop.payments VALUES (1, 'A', 80, 'EUR', credit.today());
INSERT INTO shop.orders VALUES (3, 'A', 88.01, 'USD');
INSERT INTO shop.orders VALUES (3, 'A', 88, 'USD');
SELECT ordered, unapplied, total, headroom FROM credit.exposure WHERE customer = 'A';

-- a new rate acts on the next order, and leaves what is there as it is
SELECT credit.set_rate('EUR', 'USD', 1.20);
SELECT ordered, unapplied, total, headroom, is_over_limit FROM credit.exposure WHERE customer = 'A';
SELECT customer, total, excess FROM credit.over_limit;
INSERT INTO shop.orders VALUES (4, 'A', 1, 'USD');
UPDATE shop.orders SET total = total WHERE customer = 'A';
UPDATE shop.orders SET total = total - 1 WHERE customer = 'A';
DELETE FROM shop.orders WHERE customer = 'A';
DELETE FROM shop.payments;
-- in the middle of a transaction, at a rate of one's own that is taken back, in REPEATABLE READ
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO shop.orders VALUES (5, 'B', 500, 'EUR');
SAVEPOINT s;
SELECT credit.set_rate('EUR', 'USD', 2.1);
INSERT INTO shop.orders VALUES (6, 'B', 1, 'EUR');
ROLLBACK TO s;
INSERT INTO shop.orders VALUES (6, 'B', 300, 'EUR');
SELECT total FROM credit.exposure WHERE customer = 'B';
COMMIT;
BEGIN;
SELECT credit.set_rate('EUR', 'USD', 1.0);
INSERT INTO shop.orders VALUES (7, 'B', 150, 'EUR');
ROLLBACK;
INSERT INTO shop.orders VALUES (7, 'B', 150, 'EUR');

-- another type, another age, another day of the server
SELECT credit.set('rate_type', 'planning');
INSERT INTO shop.orders VALUES (7, 'B', 1, 'EUR');
SELECT credit.set('rate_type', NULL);
INSERT INTO shop.orders VALUES (7, 'B', 1, 'EUR');
SELECT credit.set_rate('EUR', 'USD', NULL) IS NULL AND credit.set_rate('EUR', 'USD', 1.15, credit.today() - 2) > 0 AS is_moved;
SELECT credit.set('rate_age', '1d');
INSERT INTO shop.orders VALUES (8, 'B', 1, 'EUR');
SELECT credit.set('rate_age', NULL);
INSERT INTO shop.orders VALUES (8, 'B', 1, 'EUR');
SELECT total FROM credit.exposure WHERE customer = 'B';
SELECT credit.set_rate('EUR', 'USD', NULL, credit.today() - 2);

-- an account in another currency: the inverse of a quotation, rounded once
SELECT credit.set_rate('EUR', 'USD', 1.5);
INSERT INTO shop.orders VALUES (10, 'E', 50, 'USD'), (11, 'E', 50, 'USD'), (12, 'E', 50, 'USD');
SELECT ordered, total, headroom, other_currencies FROM credit.exposure WHERE customer = 'E';
SELECT currency, total, rate, rate_path, converted FROM credit.exposure_by_currency WHERE customer = 'E';
INSERT INTO shop.orders VALUES (13, 'E', 0.01, 'USD');
DELETE FROM shop.orders WHERE customer = 'E';
-- and through the base currency
INSERT INTO shop.orders VALUES (10, 'E', 120, 'GBP');
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (11, 'E', 0.01, 'GBP')$$);
SELECT currency, total, rate, rate_path, converted FROM credit.exposure_by_currency WHERE customer = 'E';
-- a currency without decimals
SELECT credit.set_rate('USD', 'JPY', 149.995) IS NOT NULL AS is_set;
INSERT INTO shop.orders VALUES (20, 'J', 100.01, 'USD');
SELECT ordered, total, headroom FROM credit.exposure WHERE customer = 'J';
-- no limit, no need of a rate
INSERT INTO shop.orders VALUES (21, 'N', 1, 'CHF');

-- many documents in one statement, and other customers of it
DELETE FROM shop.orders;
SELECT credit.set_rate('EUR', 'USD', 1.10), credit.set_rate('GBP', 'USD', 1.25);
\pset format unaligned
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT 100 + i, 'B', 100, (ARRAY['EUR', 'GBP', 'USD'])[1 + i % 3] FROM generate_series(1, 12) i
	UNION ALL SELECT 200, 'E', 125.01, 'USD' UNION ALL SELECT 201, 'A', 20000, 'GBP'$$);
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT 100 + i, 'B', 100, (ARRAY['EUR', 'GBP', 'USD'])[1 + i % 3], '2020-01-01'::date + i FROM generate_series(1, 12) i$$);
SELECT credit.set('message_figures', 'off');
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT 100 + i, 'B', 100, (ARRAY['EUR', 'GBP', 'USD'])[1 + i % 3] FROM generate_series(1, 12) i$$);
SELECT credit.set('message_figures', NULL);
-- a statement that outgrows its memory comes to the same
SET work_mem = '64kB';
SELECT * FROM shop.answer($$INSERT INTO shop.orders SELECT 1000 + i, 'B', 1, (ARRAY['EUR', 'GBP', 'USD'])[1 + i % 3] FROM generate_series(1, 3000) i$$) WHERE field = 'message';
INSERT INTO shop.orders SELECT 1000 + i, 'U', 1, (ARRAY['EUR', 'GBP', 'USD'])[1 + i % 3] FROM generate_series(1, 3000) i;
SELECT currency, total, converted FROM credit.exposure_by_currency WHERE customer = 'U' ORDER BY 1;
SELECT total FROM credit.exposure WHERE customer = 'U';
RESET work_mem;
\pset format aligned
-- rates that come by replication, where ordinary triggers do not fire
DELETE FROM shop.orders;
INSERT INTO shop.orders VALUES (210, 'B', 800, 'EUR');
SET session_replication_role = replica;
UPDATE credit.exchange_rate SET rate = 1.25 WHERE from_currency = 'EUR' AND valid_on = credit.today();
RESET session_replication_role;
INSERT INTO shop.orders VALUES (211, 'B', 0.01, 'EUR');
DELETE FROM shop.orders;
SELECT credit.set_rate('EUR', 'USD', 1.5);

-- 5. Missing rates: receipts come in, totals do not, orders are refused, and status() says so

INSERT INTO shop.orders VALUES (30, 'U', 100, 'USD'), (31, 'U', 100, 'EUR');
INSERT INTO shop.payments VALUES (30, 'U', 10, 'CHF'), (31, 'U', 5, 'EUR');
SELECT ordered, unapplied, total, headroom, utilisation, is_over_limit, other_currencies, missing_rates FROM credit.exposure WHERE customer = 'U';
SELECT currency, total, rate, rate_date = credit.today() AS of_today, rate_path, converted FROM credit.exposure_by_currency WHERE customer = 'U' ORDER BY 1;
INSERT INTO shop.orders VALUES (32, 'U', 1, 'USD');
SELECT subject, finding, advice FROM credit.status() WHERE subject = 'exchange rates';
SELECT credit.set_rule('missing_rate', 'warn');
INSERT INTO shop.orders VALUES (32, 'U', 1, 'USD');
SELECT verdict, rule, amount, exposure, reasons FROM credit.decision;
SELECT credit.set_rule('missing_rate', NULL);
SELECT credit.set_rate('CHF', 'USD', 1.25, credit.today() - 8) IS NOT NULL AS is_set;
SELECT replace(finding, (credit.today() - 8)::text, '<8 days ago>') AS finding FROM credit.status() WHERE subject = 'exchange rates';
SELECT credit.set_rate('CHF', 'USD', 1.25, credit.today() - 7) IS NOT NULL AS is_set;
-- it still counts, and that it soon does not is said in time
SELECT replace(replace(finding, (credit.today() - 7)::text, '<7 days ago>'), credit.today()::text, '<today>') AS finding FROM credit.status() WHERE subject = 'exchange rates';
SELECT credit.set_rate('CHF', 'USD', 1.25, credit.today() - 5) IS NOT NULL AS is_set;
SELECT count(*) FROM credit.status() WHERE subject = 'exchange rates';
SELECT credit.set_rate('CHF', 'USD', 1.25, credit.today() - 4) IS NOT NULL AS is_set;
SELECT count(*) FROM credit.status() WHERE subject = 'exchange rates';
INSERT INTO shop.orders VALUES (33, 'U', 1, 'USD');
SELECT ordered, unapplied, total, missing_rates FROM credit.exposure WHERE customer = 'U';
-- what comes to nothing needs no rate
INSERT INTO shop.orders VALUES (34, 'U', 5, 'EUR');
SELECT credit.set_rate('EUR', 'USD', NULL, '2020-03-31'), credit.set_rate('EUR', 'USD', NULL);
DELETE FROM shop.orders WHERE id = 31;
INSERT INTO shop.orders VALUES (35, 'U', 1, 'USD');
SELECT ordered, unapplied, total, other_currencies, missing_rates FROM credit.exposure WHERE customer = 'U';

-- 6. The add-on for the risk of a rate: on what is owed, not on cash

SELECT credit.set_rate('EUR', 'USD', 1.10) IS NOT NULL AS is_set;
SELECT credit.set('rate_add_on', '0.05');
DELETE FROM shop.orders;
DELETE FROM shop.payments;
INSERT INTO shop.orders VALUES (40, 'B', 865, 'EUR');
SELECT ordered, total FROM credit.exposure WHERE customer = 'B';
SELECT * FROM shop.answer($$INSERT INTO shop.orders VALUES (41, 'B', 1, 'EUR')$$);
INSERT INTO shop.payments VALUES (40, 'B', 965, 'EUR');
SELECT ordered, unapplied, total FROM credit.exposure WHERE customer = 'B';
SELECT total, rate, converted FROM credit.exposure_by_currency WHERE customer = 'B';
INSERT INTO shop.orders VALUES (41, 'B', 1110, 'USD');
INSERT INTO shop.orders VALUES (42, 'B', 0.01, 'USD');
SELECT credit.set('rate_add_on', NULL);

-- 7. Another day: at the rates of that day

DELETE FROM shop.orders;
DELETE FROM shop.payments;
SELECT credit.set_rate('EUR', 'USD', 1.10, '2020-03-31') IS NOT NULL AS is_set;
INSERT INTO shop.orders VALUES (50, 'B', 100, 'EUR', '2020-03-01');
SET credit.as_of = '2020-04-02';
SELECT ordered, total, missing_rates FROM credit.exposure WHERE customer = 'B';
SELECT currency, total, rate, rate_date, converted FROM credit.exposure_by_currency WHERE customer = 'B';
SET credit.as_of = '2020-03-15';
SELECT ordered, total, other_currencies, missing_rates FROM credit.exposure WHERE customer = 'B';
SELECT currency, total, rate, rate_date, rate_path, converted FROM credit.exposure_by_currency WHERE customer = 'B';
RESET credit.as_of;

-- what is taken away is on record, all of it
TRUNCATE credit.exchange_rate;
SELECT count(*) > 20 AS kept FROM credit.rate_change WHERE new_rate IS NULL;
INSERT INTO shop.orders VALUES (51, 'B', 1, 'EUR');

DROP SCHEMA shop CASCADE;
DROP FUNCTION load;
DROP TABLE incoming;
DROP EXTENSION credit;

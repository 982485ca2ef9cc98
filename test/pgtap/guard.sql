-- The ledger is written by the triggers of attached tables and by the
-- functions of the extension; by hand it cannot be changed, whoever tries.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();

CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int PRIMARY KEY, customer text, total numeric);
SET LOCAL client_min_messages = error;
SELECT credit.attach('shop.orders', 'order', key => 'id', customer => 'customer', amount => 'total', on_breach => 'shadow');
SELECT credit.set_limit('A', 10, 'start');
INSERT INTO shop.orders VALUES (1, 'A', 8), (2, 'A', 8);
UPDATE shop.orders SET total = 9 WHERE id = 1;

SELECT is(current_setting('is_superuser'), 'on', 'all of this as a superuser');

-- every table but those a DBA writes by hand
CREATE TABLE shop.ledger AS
SELECT c.oid::regclass::text AS name,
	   (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = 1) AS col
  FROM pg_class c
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
   AND c.relname NOT IN ('setting', 'rule_reaction', 'source_problem', 'exchange_rate', 'repair_run', 'repair_result', 'repair_task');
SELECT cmp_ok((SELECT count(*) FROM shop.ledger), '>=', 8::bigint, 'tables are guarded');

SELECT throws_ok(format('UPDATE %s SET %s = %s', name, col, col), '55000', NULL, 'UPDATE of ' || name) FROM shop.ledger ORDER BY name;
SELECT throws_ok(format('UPDATE %s SET %s = %s WHERE false', name, col, col), '55000', NULL, 'UPDATE of no row of ' || name) FROM shop.ledger ORDER BY name;
SELECT throws_ok(format('DELETE FROM %s', name), '55000', NULL, 'DELETE from ' || name) FROM shop.ledger ORDER BY name;
SELECT throws_ok(format('TRUNCATE %s', name), '55000', NULL, 'TRUNCATE of ' || name) FROM shop.ledger ORDER BY name;
SELECT throws_ok(format('TRUNCATE %s CASCADE', name), '55000', NULL, 'TRUNCATE CASCADE of ' || name) FROM shop.ledger ORDER BY name;
SELECT throws_ok(format('MERGE INTO %s t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE', name), '55000', NULL, 'MERGE into ' || name) FROM shop.ledger ORDER BY name;
SELECT throws_ok('UPDATE credit.exposure SET total = 0', '55000', NULL, 'view exposure cannot be written either');

-- nothing has changed
SELECT results_eq('SELECT ordered, total, credit_limit FROM credit.exposure', 'VALUES (17::numeric, 17::numeric, 10::numeric)',
	'figures are what they were');
SELECT is((SELECT count(*) FROM credit.journal), 2::bigint, 'so is the journal');

-- a ledger table that the DBA wants to tidy up is tidied through detach
SELECT lives_ok($$SELECT credit.detach('shop.orders')$$, 'detach may');
SELECT throws_ok('DELETE FROM credit.source', '55000', NULL, 'and closes the door behind it');
SELECT is((SELECT total FROM credit.exposure), 0::numeric, 'exposure is gone');

-- the door that maintenance uses
SELECT lives_ok('SELECT credit.maintain(true)', 'maintain opens');
SELECT lives_ok('DELETE FROM credit.decision_log', 'for the session that asked');
SELECT lives_ok('SELECT credit.maintain(false)', 'and closes');
SELECT throws_ok('DELETE FROM credit.limit_change', '55000', NULL, 'again');
-- a rollback closes it as well
SAVEPOINT s;
SELECT credit.maintain(true);
ROLLBACK TO s;
SELECT throws_ok('DELETE FROM credit.limit_change', '55000', NULL, 'a rollback to a savepoint closes it');

-- the tables of settings are open to who may write them, but checked
SELECT throws_ok($$INSERT INTO credit.setting VALUES ('mode', 'nonsense')$$, '22023', NULL, 'a wrong value cannot be put into table setting');
SELECT throws_ok($$INSERT INTO credit.setting VALUES ('nonsense', 'x')$$, NULL, NULL, 'nor a wrong name');
SELECT throws_ok($$INSERT INTO credit.rule_reaction VALUES ('limit', 'hold')$$, '22023', NULL, 'nor a wrong reaction');

-- so is the table of rates, and what it said before stays
SELECT throws_ok(format('INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate) VALUES (%L, %L, %L, %s)', f, t, d, r), '23514', NULL, what)
  FROM (VALUES ('EUR', 'USD', '2026-01-01', '0', 'a rate of 0 cannot be put into table exchange_rate'), ('EUR', 'USD', '2026-01-01', '-1', 'nor a negative one'),
			   ('EUR', 'USD', '2026-01-01', '''NaN''', 'nor none'), ('EUR', 'USD', '2026-01-01', '''Infinity''', 'nor an infinite one'),
			   ('EUR', 'USD', '2026-01-01', '1e-21', 'nor one next to 0'), ('EUR', 'USD', '2026-01-01', '1.' || repeat('1', 61), 'nor one of too many digits'),
			   ('EUR', 'EUR', '2026-01-01', '1', 'nor one of a currency to itself'), ('', 'EUR', '2026-01-01', '1', 'nor one of no currency'),
			   ('EUR', 'USD', '-infinity', '1', 'nor one of no day')) v (f, t, d, r, what);
SELECT lives_ok($$INSERT INTO credit.exchange_rate (from_currency, to_currency, valid_on, rate) VALUES ('EUR', 'USD', '2026-01-01', 1.1)$$, 'a good one can');
SELECT lives_ok('UPDATE credit.exchange_rate SET rate = 1.2, recorded_at = ''-infinity'', recorded_by = ''nobody''', 'and be changed');
SELECT results_eq('SELECT rate, isfinite(recorded_at), recorded_by = session_user FROM credit.exchange_rate', 'VALUES (1.2, true, true)', 'by whom is not up to who does it');
SELECT lives_ok('DELETE FROM credit.exchange_rate', 'and go');
SELECT results_eq('SELECT old_rate, new_rate, changed_by = session_user FROM credit.rate_change ORDER BY rate_change_id', 'VALUES (1.1, 1.2, true), (1.2, NULL, true)', 'on record');

SELECT * FROM finish();
ROLLBACK;

--
-- setting: policy of the installation
--
\set SHOW_CONTEXT never
CREATE EXTENSION credit;

-- what there is, and what it does
SELECT name, value, default_value, allowed, description, changed_at, changed_by FROM credit.settings ORDER BY name;
SELECT rule, reaction, default_reaction, description, changed_at, changed_by FROM credit.rules ORDER BY rule;

-- 1. Changing and resetting

SELECT credit.set('mode', 'shadow');
SELECT name, value, changed_at IS NOT NULL AS changed, changed_by = session_user AS by_me FROM credit.settings WHERE name = 'mode';
SELECT credit.set('mode', 'warn');
SELECT name, value FROM credit.setting;
SELECT severity, subject, finding FROM credit.status() WHERE subject = 'setting mode';
SELECT credit.set('mode', NULL);
SELECT name, value, changed_at IS NOT NULL AS changed FROM credit.settings WHERE name = 'mode';
SELECT count(*) FROM credit.setting;
SELECT credit.set_rule('limit', 'warn');
SELECT rule, reaction, default_reaction, changed_by = session_user AS by_me FROM credit.rules WHERE rule = 'limit';
SELECT credit.set_rule('limit', NULL);
SELECT count(*) FROM credit.rule_reaction;

-- 2. Each setting takes what it allows, and nothing else

CREATE FUNCTION try_setting(name text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	hint text;
BEGIN
	RETURN credit.set(name, value);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ': ' || message || COALESCE('. ' || NULLIF(hint, ''), '');
END
$$;
SELECT name, value, try_setting(name, value) FROM (VALUES
	('mode', 'off'), ('mode', 'reject'), ('mode', 'hold'), ('mode', 'REJECT'), ('mode', ''), ('mode', ' off'),
	('capture', 'off'), ('capture', 'on'), ('capture', 'true'), ('capture', 'false'),
	('wait', 'refuse'), ('wait', 'wait'), ('wait', 'no'),
	('max_wait', '250ms'), ('max_wait', '1h'), ('max_wait', '2 min'), ('max_wait', '7'), ('max_wait', '0'), ('max_wait', '-1s'),
	('max_wait', '61min'), ('max_wait', 'soon'), ('max_wait', '99999999999999s'),
	('refusal_sqlstate', 'P0001'), ('refusal_sqlstate', 'CR999'), ('refusal_sqlstate', '23514'), ('refusal_sqlstate', '00000'),
	('refusal_sqlstate', '2351'), ('refusal_sqlstate', '235144'), ('refusal_sqlstate', 'p0001'), ('refusal_sqlstate', '23 14'),
	('refusal_sqlstate', '01000'), ('refusal_sqlstate', '02000'), ('refusal_sqlstate', '40001'),
	('message_figures', 'off'), ('message_figures', 'on'), ('message_figures', 'some'),
	('currency', 'EUR'), ('currency', ''), ('currency', '1234567890123'), ('currency', 'Sack Reis'),
	('bypass_role', 'regress_no_such_role'), ('bypass_role', ''),
	('time_zone', 'Europe/Berlin'), ('time_zone', 'server'), ('time_zone', 'UTC'), ('time_zone', 'Mars/Olympus'), ('time_zone', ''),
	('near_limit', '0.75'), ('near_limit', '0'), ('near_limit', '1'), ('near_limit', '1.1'), ('near_limit', '-0.1'),
	('near_limit', 'NaN'), ('near_limit', '90 %'),
	('rate_type', 'planning'), ('rate_type', ''), ('rate_type', repeat('x', 31)),
	('rate_age', '0d'), ('rate_age', '48h'), ('rate_age', '36h'), ('rate_age', '7'), ('rate_age', '-1d'), ('rate_age', '3651d'), ('rate_age', 'forever'),
	('rate_add_on', '0.05'), ('rate_add_on', '1'), ('rate_add_on', '1.01'), ('rate_add_on', '-0.1'), ('rate_add_on', '.5'),
	('rate_add_on', '1.0.0'), ('rate_add_on', '5e-2'), ('rate_add_on', 'NaN'), ('rate_add_on', ''),
	('nothing', 'x'), ('', 'x'), ('MODE', 'off'), (NULL, 'x'), ('nothing', NULL)) t (name, value);
SELECT name, value FROM credit.setting ORDER BY name;
DELETE FROM credit.setting;

CREATE FUNCTION try_rule(rule text, reaction text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	hint text;
BEGIN
	RETURN credit.set_rule(rule, reaction);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ': ' || message || COALESCE('. ' || NULLIF(hint, ''), '');
END
$$;
SELECT rule, reaction, try_rule(rule, reaction) FROM (VALUES
	('limit', 'off'), ('limit', 'shadow'), ('limit', 'warn'), ('limit', 'reject'), ('limit', 'hold'), ('limit', 'never'), ('limit', ''),
	('blocked', 'warn'), ('missing_rate', 'off'), ('not_set', 'reject'),
	('nothing', 'off'), ('LIMIT', 'off'), (NULL, 'off'), ('limit', NULL)) t (rule, reaction);
SELECT rule, reaction FROM credit.rules ORDER BY rule;
DELETE FROM credit.rule_reaction;

-- 3. The tables themselves say no as well
INSERT INTO credit.setting (name, value) VALUES ('mode', 'maybe');
INSERT INTO credit.rule_reaction (rule, reaction) VALUES ('limit', 'maybe');
UPDATE credit.setting SET value = 'x';

-- 4. A change acts at once, ends with a rollback, and cannot be reached by SET
CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric);
SET client_min_messages = warning;
SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.set_limit('A', 10, NULL) > 0 AS is_set;
INSERT INTO orders VALUES (1, 'A', 11);
BEGIN;
SELECT credit.set('mode', 'off');
INSERT INTO orders VALUES (1, 'A', 11);
ROLLBACK;
INSERT INTO orders VALUES (1, 'A', 11);
BEGIN;
SAVEPOINT s;
SELECT credit.set('mode', 'off');
ROLLBACK TO s;
INSERT INTO orders VALUES (1, 'A', 11);
COMMIT;
TRUNCATE credit.setting;
INSERT INTO credit.setting VALUES ('mode', 'off');
INSERT INTO orders VALUES (1, 'A', 11);
TRUNCATE credit.setting;
INSERT INTO orders VALUES (2, 'A', 1);
SET credit.mode = 'off';
SET credit.as_of = 'nonsense';
INSERT INTO orders VALUES (2, 'A', 1);
RESET credit.as_of;
DELETE FROM orders;

-- today is a matter of setting time_zone: these two are never on the same day
SELECT credit.set('time_zone', 'Etc/GMT+12') IS NOT NULL AS is_set;
SELECT credit.today() AS west \gset
SELECT credit.set('time_zone', 'Etc/GMT-14') IS NOT NULL AS is_set;
SELECT credit.today() > :'west' AS is_later, credit.as_of() = credit.today() AS as_of;
SET timezone = 'Etc/GMT+12';
SELECT credit.today() > :'west' AS is_later;
RESET timezone;

DROP TABLE orders;
DROP FUNCTION try_setting, try_rule;
DROP EXTENSION credit;

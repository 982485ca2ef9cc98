--
-- account: customers and their limits
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
CREATE EXTENSION credit;
SELECT credit.set('time_zone', 'UTC');
SET timezone = 'UTC';

-- 1. set_limit: where the ERP has no column for it

SELECT credit.set_limit('A', 1000, 'first order') AS account_id \gset
SELECT customer, segment FROM credit.account WHERE account_id = :account_id;
SELECT credit.set_limit('B', NULL, 'public body', state => 'unlimited') > 0 AS is_set;
SELECT credit.set_limit('C', NULL, 'insolvent', state => 'blocked') > 0 AS is_set;
SELECT credit.set_limit('D', NULL, 'to be decided', state => 'not_set') > 0 AS is_set;
SELECT credit.set_limit('E', 0, 'cash only') > 0 AS is_set;
SELECT credit.set_limit('A', 500, 'for the branch', segment => 'branch') > 0 AS is_set;
SELECT customer, segment, currency, total, limit_state, credit_limit, valid_until, headroom, utilisation, is_over_limit
  FROM credit.exposure ORDER BY 1, 2;
-- digits are kept, any number of them
SELECT credit.set_limit('F', 1234567890123456789.0123456789, NULL) > 0 AS is_set;
SELECT credit_limit, headroom FROM credit.exposure WHERE customer = 'F';

-- what is no limit
SELECT credit.set_limit('X', -1, NULL);
SELECT credit.set_limit('X', 'NaN', NULL);
SELECT credit.set_limit('X', 'Infinity', NULL);
SELECT credit.set_limit('X', NULL, NULL);
SELECT credit.set_limit('X', 5, NULL, state => 'blocked');
SELECT credit.set_limit('X', NULL, NULL, state => 'amount');
SELECT credit.set_limit('X', NULL, NULL, state => 'Blocked');
SELECT credit.set_limit('X', NULL, NULL, state => NULL);
SELECT credit.set_limit(NULL, 5, NULL);
SELECT credit.set_limit('X', 5, NULL, segment => NULL);
SELECT credit.set_limit('X', 5, NULL, valid_until => current_date - 1);
SELECT count(*) FROM credit.account WHERE customer = 'X';

-- 2. Temporary limits

SELECT credit.set_limit('A', 1500, 'Christmas', valid_until => current_date) > 0 AS is_set;
SELECT limit_state, credit_limit, valid_until = current_date AS until_today FROM credit.exposure WHERE customer = 'A' AND segment = '';
SELECT limit_state, credit_limit, base_state, base_limit FROM credit.account_limit l JOIN credit.account a USING (account_id)
 WHERE customer = 'A' AND segment = '';
-- another base while it runs ends it
SELECT credit.set_limit('A', 1100, 'yearly review') > 0 AS is_set;
SELECT limit_state, credit_limit, valid_until FROM credit.exposure WHERE customer = 'A' AND segment = '';
-- temporarily without a limit, or blocked
SELECT credit.set_limit('A', NULL, 'audit', state => 'blocked', valid_until => 'infinity') > 0 AS is_set;
SELECT limit_state, credit_limit, valid_until FROM credit.exposure WHERE customer = 'A' AND segment = '';
-- Past the day the base counts. (A temporary limit cannot be given for the
-- past, so that the row is loaded as a restore would.)
INSERT INTO credit.account (account_id, customer) VALUES (1000, 'past'), (1001, 'last day');
INSERT INTO credit.account_limit (account_id, currency, limit_state, credit_limit, valid_until, base_state, base_limit)
VALUES (1000, 'USD', 'amount', 500, current_date - 1, 'amount', 100),
	   (1001, 'USD', 'amount', 500, current_date, 'blocked', NULL);
SELECT customer, limit_state, credit_limit, valid_until IS NULL AS no_end FROM credit.exposure WHERE customer IN ('past', 'last day') ORDER BY 1;
SELECT verdict, credit_limit FROM credit.check_order('past', 101);
SELECT verdict, credit_limit FROM credit.check_order('past', 100);
SELECT verdict, credit_limit FROM credit.check_order('last day', 500);

-- 3. The history of a limit

SELECT customer, segment, old_state, old_limit, new_state, new_limit, valid_until IS NOT NULL AS is_temporary, reason, changed_by = session_user AS own, source
  FROM credit.limit_history WHERE customer IN ('A', 'B', 'E') ORDER BY changed_at;
-- the same limit again is no change
SELECT count(*) AS n FROM credit.limit_change \gset
SELECT credit.set_limit('E', 0.00, 'again') > 0 AS is_set;
SELECT count(*) - :n AS new_changes FROM credit.limit_change;

-- 4. Customers of the ERP

CREATE SCHEMA shop;
CREATE TABLE shop.customers (
	no int, company text, name text, grade text, days int, parent int, state text, cur text,
	credit_limit numeric, PRIMARY KEY (no, company));
INSERT INTO shop.customers VALUES
	(1, 'x', 'One', 'A', 30, NULL, 'active', 'EUR', 100),
	(2, 'x', 'Two', 'B', NULL, 1, 'active', NULL, NULL),
	(3, 'y', 'Three', NULL, 0, NULL, 'gone', 'CHF', 0);
SELECT credit.attach('shop.customers', 'customer', key => 'no', segment => 'company', name => 'name',
	rating => 'grade', terms_days => 'days', parent => 'parent', status => 'state', currency => 'cur',
	credit_limit => 'credit_limit', counts_when => $$state <> 'gone'$$);
CREATE VIEW shop.accounts AS
SELECT a.customer, a.segment, a.name, a.rating, a.terms_days, a.parent, a.status,
	   l.currency, l.limit_state, l.credit_limit, l.is_mapped, a.source_id IS NOT NULL AS in_erp
  FROM credit.account a JOIN credit.account_limit l USING (account_id) WHERE a.segment IN ('x', 'y', 'z');
SELECT * FROM shop.accounts ORDER BY 1, 2;
-- its limit belongs to the ERP now
SELECT credit.set_limit('1', 5000, 'please', segment => 'x');
INSERT INTO shop.customers VALUES (4, 'x', 'Four', 'C', 14, 2, 'active', 'USD', 50.5);
UPDATE shop.customers SET credit_limit = credit_limit * 2, grade = grade || '+' WHERE company = 'x';
UPDATE shop.customers SET state = 'active' WHERE no = 3;
SELECT * FROM shop.accounts ORDER BY 1, 2;
-- the whole key changes: the old account stays, without limit
UPDATE shop.customers SET no = 40, company = 'z' WHERE no = 4;
DELETE FROM shop.customers WHERE no = 2;
UPDATE shop.customers SET state = 'gone' WHERE no = 1;
SELECT * FROM shop.accounts ORDER BY 1, 2;
-- which can be set again by hand
SELECT credit.set_limit('2', 77, 'by hand', segment => 'x') > 0 AS is_set;
SELECT customer, old_state, old_limit, new_state, new_limit, reason, source FROM credit.limit_history
 WHERE segment IN ('x', 'y', 'z') ORDER BY customer, changed_at;
-- an UPDATE that changes nothing writes nothing
SELECT string_agg(xmin::text, ' ' ORDER BY account_id) AS versions FROM credit.account \gset
UPDATE shop.customers SET name = name, credit_limit = credit_limit;
SELECT string_agg(xmin::text, ' ' ORDER BY account_id) = :'versions' AS untouched FROM credit.account;
-- what the ERP may not say
UPDATE shop.customers SET credit_limit = -1 WHERE no = 40;
SELECT health, n_problems, problem FROM credit.sources;
SELECT limit_state, credit_limit FROM shop.accounts WHERE customer = '40';
UPDATE shop.customers SET credit_limit = 60 WHERE no = 40;
SELECT limit_state, credit_limit FROM shop.accounts WHERE customer = '40';
TRUNCATE shop.customers;
SELECT * FROM shop.accounts ORDER BY 1, 2;

-- 5. In the transaction that changes it, and not after a rollback

BEGIN;
SELECT credit.set_limit('A', 1, 'x') > 0 AS is_set;
SAVEPOINT s;
SELECT credit.set_limit('A', 2, 'y') > 0 AS is_set;
SELECT credit_limit FROM credit.exposure WHERE customer = 'A' AND segment = '';
ROLLBACK TO s;
SELECT verdict, credit_limit FROM credit.check_order('A', 2);
SELECT credit.set_limit('A', 3, 'z') > 0 AS is_set;
SELECT credit.set_limit('A', 4, 'z') > 0 AS is_set;
SELECT verdict, credit_limit FROM credit.check_order('A', 4);
ROLLBACK;
SELECT limit_state FROM credit.exposure WHERE customer = 'A' AND segment = '';

DROP SCHEMA shop CASCADE;
DROP EXTENSION credit;

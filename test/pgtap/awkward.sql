-- An ERP of the awkward kind (test/lib/awkward.sql), attached with views and
-- dependencies: after every statement exposure is what the tables of the ERP
-- come to, per account, currency and stage. All by a role that is no superuser
-- and has no right on schema credit, in REPEATABLE READ, each transaction
-- committed.
--
-- What real ERPs do, and where it is tested with views:
--
--     header with NULL or 0, totalled by a later UPDATE          here, 1
--     amounts in one UPDATE, the state in the next               here, 1; sql/view.sql, 2
--     updates that change nothing we map                         sql/capture.sql (tables), here, 8
--     the receivable posted before the order stops counting      here, 2
--     documents that come back                                   here, 3; sql/view.sql, 2
--     the customer as an expression, NULL is nobody's            here, 4; sql/view.sql, 2
--     two customers merged by mass updates                       here, 5; sql/view.sql, 2
--     key changes, TRUNCATE, COPY, MERGE, ON CONFLICT            sql/view.sql, 2; view.sql
--     savepoint per row                                          here, 6
--     quoted identifiers, a dash                                 here, 1; sql/view.sql, 2
--     float8 quantities                                          here, 1
--     triggers of the ERP that update the same row               here, all; sql/view.sql, 2
--     deletes in cascade                                         here, 7; sql/view.sql, 2
--     REPEATABLE READ, a plain role                              here, all; server/awkward.sh
--     table locks with NOWAIT, no row lock of ours               here, 8; server/awkward.sh
SET client_min_messages = warning;
CREATE EXTENSION credit;
\ir ../lib/awkward.sql
SET jit = off;
SELECT plan(71);
CALL awkward.attach();
CALL awkward.look_at_statements(true);
SELECT is((SELECT count(*) FROM credit.sources WHERE health = 'ok'), 5::bigint, 'five views are attached');
SELECT is((SELECT bool_or(rolsuper) FROM pg_roles WHERE rolname = 'erp_app') OR has_schema_privilege('erp_app', 'credit', 'USAGE'), false,
	'the application is no superuser and has no right on the schema');

-- Stages of an account in a currency; anything else that is wrong shows here, too.
CREATE FUNCTION awkward.stages(party int, company int DEFAULT 1, currency text DEFAULT 'EUR') RETURNS text LANGUAGE sql AS $$
	SELECT COALESCE((SELECT concat_ws(' ', trim_scale(e.ordered), trim_scale(e.delivered), trim_scale(e.invoiced), trim_scale(e.unapplied))
			   FROM credit.exposure_by_currency e
			  WHERE (e.customer, e.segment, e.currency) = (party::text, company::text, stages.currency)), 'nothing') ||
		   COALESCE((SELECT ', WRONG: ' || string_agg(q.what, '; ')
					   FROM (SELECT s.statement || ': ' || s.what FROM awkward.seen s
							 UNION ALL SELECT w.what FROM awkward.wrong w
							 UNION ALL SELECT d.what FROM awkward.disagreement d
							 UNION ALL SELECT p.what FROM awkward.wrong_on(current_date - 20) p) q (what)), '')
$$;
-- A command of the ERP, as the application sends it, and how it ends.
CREATE FUNCTION awkward.send(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rule text;
BEGIN
	SET LOCAL ROLE erp_app;
	EXECUTE command;
	RESET ROLE;
	CALL awkward.note_settled();
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RESET ROLE;
	GET STACKED DIAGNOSTICS rule = CONSTRAINT_NAME;
	RETURN concat_ws(' ', SQLSTATE, NULLIF(rule, ''));
END
$$;
SET default_transaction_isolation = 'repeatable read';

-- 1. A sale is entered, confirmed, amended, delivered
SET ROLE erp_app;
INSERT INTO erp.sale (id, company, party, currency, sale_date) VALUES (9001, 1, 1, 1, current_date - 30);
RESET ROLE;
SELECT is(awkward.stages(1), 'nothing', 'a header without a total');
SET ROLE erp_app;
INSERT INTO erp.sale_line (id, sale, quantity, unit_price) VALUES (9001, 9001, 0.1::float8 + 0.2::float8, 100), (9002, 9001, 7, 10);
UPDATE erp.sale SET total_cache = (SELECT sum(amount) FROM erp.sale_line WHERE sale = 9001) WHERE id = 9001;
RESET ROLE;
SELECT is(awkward.stages(1), 'nothing', 'amounts and no state yet');
SET ROLE erp_app;
UPDATE erp.sale SET state = 'confirmed' WHERE id = 9001;
RESET ROLE;
SELECT is(awkward.stages(1), '100 0 0 0', 'the state in an UPDATE of its own; 0.1 + 0.2 pieces are 0.3');
SET ROLE erp_app;
UPDATE erp.sale_line SET quantity = 8 WHERE id = 9002;
UPDATE erp.sale SET total_cache = NULL WHERE id = 9001;
RESET ROLE;
SELECT is(awkward.stages(1), '0 0 0 0', 'the total is taken away');
SET ROLE erp_app;
UPDATE erp.sale SET total_cache = 110 WHERE id = 9001;
INSERT INTO erp.stock_move (id, quantity) VALUES (9001, 0.3), (9002, 4);
INSERT INTO erp."sale_line-stock_move" VALUES (9001, 9001), (9002, 9002);
RESET ROLE;
SELECT is(awkward.stages(1), '110 0 0 0', 'a new total; moves to come');
SET ROLE erp_app;
UPDATE erp.stock_move SET state = 'done', effective_date = current_date - 25 WHERE id IN (9001, 9002);
RESET ROLE;
SELECT is(awkward.stages(1), '40 70 0 0', 'delivered, which lines of which order says the table with the dash');
-- a header with 0
SELECT is(awkward.send($$SELECT erp.create_sale(1, 1, NULL, 1, current_date - 30, ARRAY[2], 60, 0)$$), 'done', 'a header with 0 and a total later');
SELECT is(awkward.stages(1), '40 70 0 0', 'is a draft');
-- too much is refused by the statement that makes it too much
SELECT is(awkward.send('UPDATE erp.sale SET total_cache = 1200.01 WHERE id = 9001'), '23514 credit_limit', 'a total above the limit');
SELECT is(awkward.send('UPDATE erp.sale SET total_cache = 1200 WHERE id = 9001'), 'done', 'and one at the limit');
SELECT is(awkward.send('UPDATE erp.sale_line SET unit_price = 15 WHERE id = 9002'), 'done', 'a price of what was delivered, within the total');
SELECT is(awkward.stages(1), '1110 90 0 0', 'what was delivered is worth more');
SELECT is(awkward.send('UPDATE erp.sale_line SET unit_price = 10 WHERE id = 9002; UPDATE erp.sale SET total_cache = 110 WHERE id = 9001'), 'done', 'and back');

SELECT throws_like('UPDATE erp.stock_move SET quantity = quantity * 10000 WHERE id IN (9001, 9002)', 'delivery 9002 of customer 1 (Party 1) in 1 would exceed%',
	'deliveries are checked, too');

-- 2. Invoiced: ledger lines, told to be receivables two joins away
SET ROLE erp_app;
INSERT INTO erp.move (id, company, date) VALUES (9001, 1, current_date - 20);
INSERT INTO erp.bill_line (move, origin, quantity, unit_price) VALUES (9001, 'sale.line,9001', 0.3, 100), (9001, 'sale.line,9002', 8, 10);
INSERT INTO erp.move_line (id, move, account, party, debit) VALUES (9001, 9001, 15, 1, 60), (9002, 9001, 15, 1, 50);
INSERT INTO erp.move_line (move, account, credit) VALUES (9001, 12, 110);
RESET ROLE;
SELECT is(awkward.stages(1), '40 70 0 0', 'a move of the ledger that is not posted');
SET ROLE erp_app;
UPDATE erp.move SET state = 'posted' WHERE id = 9001;
RESET ROLE;
SELECT is(awkward.stages(1), '0 0 110 0', 'posted in two instalments: the receivable is there before the order stops counting');
SET ROLE erp_app;
UPDATE erp.sale SET state = 'done' WHERE id = 9001;
RESET ROLE;
SELECT is(awkward.stages(1), '0 0 110 0', 'and after');

-- 3. Paid in part, reconciled, taken back, refunded
SELECT is(awkward.send('SELECT erp.pay(1, 1, 1, 20, current_date - 10)'), 'done', 'a part payment');
SELECT is(awkward.stages(1), '0 0 110 -20', 'stands beside what is open');
SELECT is(awkward.send($$SELECT erp.reconcile(ARRAY[9001, erp.pay(1, 1, 1, 60, current_date - 9)], current_date - 9)$$), 'done',
	'one instalment is paid and reconciled');
SELECT is(awkward.stages(1), '0 0 50 -20', 'and is not open any more');
SELECT is((SELECT o.open_amount FROM credit.open_on(current_date - 10) o WHERE o.key = '9001'), 60::numeric, 'but was, the day before');
SELECT is((SELECT count(*) FROM credit.open_on(current_date - 9) o WHERE o.open_amount NOT IN (50, -20)), 0::bigint,
	'from that day on neither the instalment nor what paid it is open');
SELECT is(awkward.send('CALL erp.unreconcile(1, true)'), 'done', 'it is taken back, by a foreign key');
SELECT is(awkward.stages(1), '0 0 110 -80', 'both lines are open again');
SELECT is((SELECT count(*) FROM credit.open_on(current_date - 5) o WHERE o.open_amount NOT IN (50, -20)), 0::bigint, 'from today, not before');
SELECT is(awkward.send($$SELECT erp.reconcile(ARRAY(SELECT id FROM erp.move_line WHERE id = 9001 OR credit = 60), current_date)$$), 'done', 'reconciled again');
SELECT is(awkward.send('SELECT erp.invoice(ARRAY[9001], -0.5, current_date)'), 'done', 'half of it is refunded');
SELECT is(awkward.stages(1), '0 15 50 -75', 'what was delivered and is not invoiced any more counts again');
SELECT is(awkward.send($$CALL erp.cancel(9001); SELECT erp.create_sale(2, 1, NULL, 3, current_date - 3, ARRAY[10, 20], 12.5, 0)$$), 'done',
	'cancelled; a sale in pounds of the company in dollars');
SELECT is(awkward.send($$CALL erp.confirm(2)$$), 'done', 'is confirmed');
SELECT is(awkward.stages(1, 2, 'GBP'), '375 0 0 0', 'in its own currency');
SELECT is((SELECT e.total FROM credit.exposure e WHERE (e.customer, e.segment) = ('1', '2')),
	(SELECT round(375 * d.rate / p.rate, 2) FROM erp.currency_rate d, erp.currency_rate p
	  WHERE d.day = current_date AND p.day = current_date AND d.currency = 2 AND p.currency = 3), 'and in that of the company');

-- 4. Whose it is
SELECT is(awkward.send($$SELECT erp.create_sale(1, 3, 4, 1, current_date - 3, ARRAY[5], 20, 0)$$) ||
	awkward.send('CALL erp.confirm(3)'), 'donedone', 'a sale that another party is billed for');
SELECT is(awkward.stages(4) || ', ' || awkward.stages(3), '100 0 0 0, nothing', 'counts with that one');
SELECT is(awkward.send($$UPDATE erp.sale SET invoice_party = NULL, party = NULL WHERE id = 3$$), 'done', 'nobody''s');
SELECT is(awkward.stages(4), '0 0 0 0', 'counts with nobody');
SELECT is(awkward.send($$UPDATE erp.sale SET party = 3 WHERE id = 3$$), 'done', 'somebody''s');

-- 5. Two customers become one; their account is no receivable for a while
SELECT is(awkward.send($$SELECT erp.invoice(ARRAY[3], 0.5, current_date - 2); CALL erp.merge(3, 5)$$), 'done', 'merged');
SELECT is(awkward.stages(3) || ', ' || awkward.stages(5), '0 0 0 0, 50 0 50 0', 'all is the other''s');
SELECT is(awkward.send($$UPDATE erp.account SET type = 2 WHERE id = 11$$), 'done', 'the type of an account, two joins away from the line');
SELECT is(awkward.stages(5), '100 0 0 0', 'decides what is an invoice');
SELECT is(awkward.send($$UPDATE erp.account SET type = 4 WHERE id = 11; UPDATE erp.account_type SET receivable = false WHERE id = 4;
	UPDATE erp.account_type SET receivable = true WHERE id = 4$$), 'done', 'the same by the type itself');

-- 6. A savepoint per row, some rows of which are refused
SELECT is(awkward.send($do$DO $$
BEGIN
	FOR i IN 1 .. 8 LOOP
		BEGIN
			CALL erp.confirm(erp.create_sale(1, 2, NULL, 1, current_date - 1, ARRAY[10], 20 + i, 0));
		EXCEPTION WHEN check_violation THEN
			NULL;
		END;
	END LOOP;
END
$$ $do$), 'done', 'an import with a savepoint per row');
SELECT is(awkward.stages(2), '1150 0 0 0', 'what fits is in: 210 + 220 + 230 + 240 + 250; 260 more does not');

-- 7. Deleted: lines, moves and links go in cascade
SELECT is(awkward.send('CALL erp.delete_move(9001); DELETE FROM erp.sale WHERE id = 9001'), 'done',
	'a move of the ledger and a sale, each with its lines');
SELECT is(awkward.stages(1), '0 0 0 -75', 'leave what was paid and refunded');
SELECT is(awkward.send('DELETE FROM erp.sale WHERE id = (SELECT min(id) FROM erp.sale WHERE party = 2)'), 'done', 'a sale with its lines');
SELECT is(awkward.stages(2), '940 0 0 0', 'is gone');

-- 8. No lock of ours is in the way of the ERP; what concerns nobody is not touched
BEGIN;
UPDATE erp.sale SET total_cache = total_cache + 1 WHERE id = (SELECT max(id) FROM erp.sale WHERE party = 2);
SELECT is((SELECT string_agg(DISTINCT c.relname || ' ' || l.mode, ', ' ORDER BY c.relname || ' ' || l.mode)
			 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation AND c.relkind = 'r'
			WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'erp'::regnamespace AND l.mode <> 'AccessShareLock'),
	'sale RowExclusiveLock', 'no table is locked by us but for reading');
ROLLBACK;
SELECT is(awkward.send($$INSERT INTO erp.log (what) VALUES ('x')$$), 'done', 'a table that is no dependency');

-- 9. Random steps: with a look after every statement, then after every step
SELECT setseed(0.1);
CALL awkward.walk(100);
CALL awkward.look_at_statements(false);
SELECT is_empty('TABLE awkward.seen', format('right after each of %s statements', (SELECT l.n FROM awkward.looks l)));
SELECT setseed(0.2);
CALL awkward.walk(600);
SELECT setseed(0.3);
CALL awkward.walk(600);
SELECT is_empty('TABLE awkward.seen', format('and after %s looks', (SELECT l.n FROM awkward.looks l)));

-- 10. Attached again in the middle of the business, and taken up where it was
SET default_transaction_isolation = 'read committed';
CALL awkward.detach();
SELECT awkward.try_step() FROM generate_series(1, 50) \g /dev/null
CALL awkward.attach();
CALL awkward.make_room();
SET default_transaction_isolation = 'repeatable read';
SELECT setseed(0.4);
CALL awkward.walk(300);
SELECT is_empty('TABLE awkward.seen', 'attached again in between');

-- 11. Rates move, in both directions
UPDATE erp.currency_rate SET rate = round(rate * (1 + (id % 5 - 2) * 0.03), 6) WHERE day >= current_date - 30;
CALL mapping.load_rates();
CALL awkward.make_room();
SELECT is_empty('SELECT * FROM awkward.wrong UNION ALL SELECT w.what FROM generate_series(1, 40, 3) d, awkward.wrong_on(current_date - d) w',
	'exposure follows the rates of today, and of each day in the past those of that day');
SELECT cmp_ok((SELECT count(*) FROM credit.exposure WHERE cardinality(other_currencies) > 1), '>', 3::bigint, 'of accounts with several currencies');

-- the last one of pounds grows too old
DELETE FROM credit.exchange_rate WHERE to_currency = 'GBP' AND valid_on > current_date - 8;
SELECT cmp_ok((SELECT count(*) FROM credit.exposure WHERE total IS NULL AND missing_rates = '{GBP}'), '>', 0::bigint, 'without a rate there is no total');
SELECT is_empty($$SELECT * FROM awkward.wrong WHERE what !~ 'in all'$$, 'but each currency is what it was');
SELECT is(awkward.send($$SELECT erp.create_sale(1, 1, NULL, 3, current_date, ARRAY[10], 1, 0)$$), 'done', 'a draft in pounds is nothing yet');
SELECT is(awkward.send(format('CALL erp.confirm(%s)', (SELECT max(id) FROM erp.sale))), '23514 credit_missing_rate', 'an order is not to be checked');
SELECT is(awkward.send('SELECT erp.pay(1, 1, 3, 5, current_date)'), 'done', 'money comes in as ever');
CALL mapping.load_rates();
SELECT is_empty('SELECT * FROM awkward.wrong', 'with the rate there is every total');

-- 12. The other mapping: an order is what was not invoiced of it
SET default_transaction_isolation = 'read committed';
CALL awkward.detach();
CALL awkward.attach(by_stage => false);
-- deliveries of no order, in a table
CREATE TABLE public.parcel (id int PRIMARY KEY, customer text, value numeric);
SELECT credit.attach('public.parcel', 'delivery', key => 'id', customer => 'customer', segment => $$'1'$$, currency => $$'EUR'$$, amount => 'value') \g /dev/null
SELECT throws_like($$INSERT INTO public.parcel VALUES (1, '1', 1e6), (2, '1', 1e6)$$, '2 deliveries of customer 1 (Party 1) in 1, first 1, would exceed%',
	'several are named as several');
SELECT credit.detach('public.parcel') \g /dev/null
SET default_transaction_isolation = 'repeatable read';
SELECT setseed(0.5);
CALL awkward.walk(400);
SELECT is_empty('TABLE awkward.seen', 'orders that say themselves what was not invoiced');

-- the test must have tested something
SELECT is_empty($$SELECT k.kind FROM awkward.kind k LEFT JOIN awkward.done d ON d.kind = k.kind AND d.outcome = 'done'
	GROUP BY k.kind HAVING count(d.kind) < 10$$, 'each kind of step took place');
SELECT is(credit.order_stages(NULL, NULL, -20) || credit.order_stages(NULL, 0, -20) || credit.order_stages(NULL, 5, -20), '{0,25}',
	'a credit note brings nothing back of an order that does not count and was not delivered');
SELECT cmp_ok((SELECT count(*) FROM awkward.done WHERE outcome = 'refused'), '>', 10::bigint, 'some were refused');
SELECT cmp_ok((SELECT l.n FROM awkward.looks l), '>', 2000::bigint, 'looks were taken');
SELECT is((SELECT count(*) FROM credit.sources WHERE health = 'ok'), 3::bigint, 'nothing went unread');
SELECT * FROM finish();

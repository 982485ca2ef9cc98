-- Presets: the tables of two ERPs, with the columns that matter, taken through
-- the life of documents. After each step exposure must be what the tables of
-- the ERP alone come to.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
SET LOCAL client_min_messages = warning;
SELECT credit.set('currency', 'EUR');
SELECT credit.set_rule('not_set', 'off');

-- 1. What is said before anything is done

SELECT results_eq('SELECT name, version FROM credit.presets ORDER BY name', $$VALUES ('odoo', '17.0, 18.0'), ('tryton', '6.0')$$, 'the presets there are');
SELECT throws_ok($$SELECT credit.attach_preset('nosuch')$$, '42704', 'there is no preset "nosuch"', 'another name');
CREATE SCHEMA empty;
SELECT results_eq($$SELECT outcome FROM credit.attach_preset('tryton', erp_schema => 'empty') WHERE action = 'problem' AND outcome LIKE '%sale%'$$,
	$$VALUES ('table empty.sale_line'), ('table empty.sale_sale')$$, 'a dry run lists what is missing');
SELECT cmp_ok((SELECT count(*) FROM credit.attach_preset('tryton', erp_schema => 'empty') WHERE action = 'problem'), '>', 10::bigint, 'all of it');
SELECT throws_like($$SELECT credit.attach_preset('odoo', false, 'empty')$$, 'preset odoo does not fit schema empty: % problems', 'nothing is done where something is missing');
SELECT throws_like($$SELECT credit.attach_preset('tryton', false, 'empty', on_breach => 'scold')$$, 'preset tryton%', 'nor with another reaction');

-- 2. Tryton

CREATE SCHEMA ty;
SET LOCAL search_path = ty, public;
CREATE TABLE currency_currency (id serial PRIMARY KEY, code varchar(3) NOT NULL, digits int NOT NULL);
CREATE TABLE currency_currency_rate (id serial PRIMARY KEY, currency int, date date, rate numeric);
CREATE TABLE company_company (id serial PRIMARY KEY, currency int NOT NULL);
CREATE TABLE party_party (id serial PRIMARY KEY, name varchar, active boolean);
CREATE TABLE party_party_credit_limit_amount (id serial PRIMARY KEY, party int REFERENCES party_party ON DELETE CASCADE, company int, credit_limit_amount numeric);
CREATE TABLE account_configuration_default_credit_limit_amount (id serial PRIMARY KEY, company int, default_credit_limit_amount numeric);
CREATE TABLE product_uom (id serial PRIMARY KEY, factor float8 NOT NULL);
CREATE TABLE sale_sale (id serial PRIMARY KEY, number varchar, party int NOT NULL, invoice_party int, company int NOT NULL, currency int NOT NULL,
	state varchar NOT NULL, sale_date date, shipping_date date, untaxed_amount_cache numeric, tax_amount_cache numeric, total_amount_cache numeric);
CREATE TABLE sale_line (id serial PRIMARY KEY, sale int NOT NULL REFERENCES sale_sale ON DELETE CASCADE, type varchar NOT NULL DEFAULT 'line',
	quantity float8, unit int, unit_price numeric);
CREATE TABLE stock_move (id serial PRIMARY KEY, origin varchar, state varchar, quantity float8 NOT NULL, uom int NOT NULL, effective_date date);
CREATE TABLE account_account_type (id serial PRIMARY KEY, receivable boolean);
CREATE TABLE account_account (id serial PRIMARY KEY, type int REFERENCES account_account_type, name varchar);
CREATE TABLE account_move (id serial PRIMARY KEY, company int NOT NULL, state varchar NOT NULL DEFAULT 'draft', date date NOT NULL, post_date date, number varchar, post_number varchar);
CREATE TABLE account_move_reconciliation (id serial PRIMARY KEY, date date NOT NULL);
CREATE TABLE account_move_line (id serial PRIMARY KEY, move int NOT NULL REFERENCES account_move ON DELETE CASCADE, account int NOT NULL, party int,
	debit numeric NOT NULL DEFAULT 0, credit numeric NOT NULL DEFAULT 0, second_currency int, amount_second_currency numeric, maturity_date date,
	reconciliation int REFERENCES account_move_reconciliation ON DELETE SET NULL);
CREATE TABLE account_invoice (id serial PRIMARY KEY, type varchar NOT NULL, state varchar NOT NULL DEFAULT 'draft', move int, account int NOT NULL, party int);
CREATE TABLE account_invoice_line (id serial PRIMARY KEY, invoice int REFERENCES account_invoice ON DELETE CASCADE, type varchar NOT NULL DEFAULT 'line',
	origin varchar, quantity float8, unit int);
CREATE TABLE "account_invoice-account_move_line" (id serial PRIMARY KEY, invoice int NOT NULL REFERENCES account_invoice ON DELETE CASCADE, line int NOT NULL REFERENCES account_move_line ON DELETE CASCADE);

INSERT INTO currency_currency VALUES (1, 'EUR', 2), (2, 'USD', 2);
INSERT INTO currency_currency_rate (currency, date, rate) VALUES (1, current_date - 3, 2), (2, current_date - 1, 2.5);
INSERT INTO company_company VALUES (1, 1), (2, 1);
INSERT INTO party_party SELECT g, 'Party ' || g, true FROM generate_series(1, 5) g;
INSERT INTO party_party_credit_limit_amount (party, company, credit_limit_amount) VALUES (1, 1, 1000), (2, 1, NULL), (4, 1, 100);
INSERT INTO account_configuration_default_credit_limit_amount (company, default_credit_limit_amount) VALUES (2, 77);
INSERT INTO product_uom VALUES (1, 1), (2, 12);
INSERT INTO account_account_type VALUES (1, true), (2, false), (3, false);
INSERT INTO account_account VALUES (1, 1, 'receivable'), (2, 2, 'revenue'), (3, 3, 'cash');
-- before the attach: a confirmed sale, half of it shipped
INSERT INTO sale_sale (id, number, party, company, currency, state, sale_date, untaxed_amount_cache, total_amount_cache)
VALUES (1, 'S1', 1, 1, 1, 'processing', current_date, 100, 110);
INSERT INTO sale_line (id, sale, quantity, unit, unit_price) VALUES (1, 1, 10, 1, 10);
INSERT INTO stock_move (origin, state, quantity, uom, effective_date) VALUES ('sale.line,1', 'done', 5, 1, current_date), ('stock.inventory.line,7', 'done', 9, 1, current_date);

-- a dry run leaves nothing behind
CREATE TEMP TABLE said AS SELECT * FROM credit.attach_preset('tryton', erp_schema => 'ty', view_schema => 'said');
SELECT results_eq($$SELECT object, outcome FROM said WHERE action = 'part' ORDER BY step$$,
	$$VALUES ('customer_limit', 'ready: 10 rows'), ('customer', 'not needed: the ERP has what another part reads'), ('order', 'ready: 1 rows'), ('delivery', 'ready: 1 rows'),
			 ('receivable', 'ready: 0 rows'), ('invoiced', 'ready: 0 rows'), ('applied', 'ready: 0 rows'), ('rate', 'ready')$$, 'a dry run counts');
SELECT is_empty($$SELECT outcome FROM said WHERE action IN ('view', 'attach', 'depend', 'rates') AND outcome <> 'would be done'$$, 'and only says what it would do');
SELECT ok(NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'said') AND NOT EXISTS (SELECT FROM credit.source)
	AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname LIKE 'zz_credit%'), 'and changes nothing');
-- what it says can be run as it stands
DO $$ DECLARE s text; BEGIN FOR s IN SELECT statement FROM said WHERE statement IS NOT NULL ORDER BY step LOOP EXECUTE s; END LOOP; END $$;
SELECT results_eq('SELECT count(*), bool_and(health = ''ok'') FROM credit.sources', 'VALUES (6::bigint, true)', 'the statements it shows do the same');
SELECT throws_like($$SELECT credit.attach_preset('tryton', false, 'ty', 'said')$$, '%7 problems', 'not over views that are there');
SELECT credit.detach(name) FROM credit.source;
DROP SCHEMA said CASCADE;
SELECT ok(NOT EXISTS (SELECT FROM pg_trigger WHERE tgname LIKE 'zz_credit%'), 'and how it is undone');

SELECT is_empty($$SELECT step FROM credit.attach_preset('tryton', false, 'ty') WHERE action IN ('view', 'attach', 'depend', 'rates') AND outcome NOT LIKE 'done%'$$, 'done');
SELECT results_eq('SELECT count(*), bool_and(health = ''ok'') FROM credit.sources', 'VALUES (6::bigint, true)', 'all sources are well');
SELECT results_eq('SELECT customer COLLATE "default", segment COLLATE "default", limit_state, credit_limit FROM credit.exposure ORDER BY 1, 2', $$VALUES
	('1', '1', 'amount', 1000::numeric), ('1', '2', 'amount', 77), ('2', '1', 'unlimited', NULL), ('2', '2', 'amount', 77), ('3', '1', 'unlimited', NULL),
	('3', '2', 'amount', 77), ('4', '1', 'amount', 100), ('4', '2', 'amount', 77), ('5', '1', 'unlimited', NULL), ('5', '2', 'amount', 77)$$, 'limits, and the default of a company');
SELECT results_eq($$SELECT from_currency COLLATE "default", to_currency COLLATE "default", valid_on, rate FROM credit.exchange_rate$$, $$VALUES ('EUR', 'USD', current_date - 1, 1.25)$$, 'a rate, crossed');
SELECT is(credit.load_rates('credit_tryton.rate'), 0::bigint, 'once more: nothing is new');

CREATE VIEW truth AS
WITH gross AS
	(SELECT l.id, l.sale, l.quantity, l.unit, l.unit_price * s.total_amount_cache / s.untaxed_amount_cache AS price
	   FROM sale_line l JOIN sale_sale s ON s.id = l.sale WHERE s.untaxed_amount_cache <> 0),
moved AS
	(SELECT g.sale, sum(round((sign(g.quantity) * m.quantity * mu.factor / gu.factor)::numeric * g.price, 2)) AS value
	   FROM stock_move m JOIN gross g ON m.origin = 'sale.line,' || g.id JOIN product_uom mu ON mu.id = m.uom JOIN product_uom gu ON gu.id = g.unit
	  WHERE m.state = 'done' GROUP BY 1),
billed AS
	(SELECT g.sale, sum(round((i.quantity * iu.factor / gu.factor)::numeric * g.price, 2)) AS value
	   FROM account_invoice_line i JOIN account_invoice v ON v.id = i.invoice JOIN gross g ON i.origin = 'sale.line,' || g.id
	   JOIN product_uom iu ON iu.id = i.unit JOIN product_uom gu ON gu.id = g.unit
	   JOIN account_move m ON m.id = v.move AND m.state = 'posted'
	  WHERE v.type = 'out' AND v.state IN ('posted', 'paid') GROUP BY 1),
sale AS
	(SELECT COALESCE(s.invoice_party, s.party) AS party, s.company, s.currency, COALESCE(moved.value, 0) AS d, COALESCE(billed.value, 0) AS i,
			CASE WHEN s.state IN ('confirmed', 'processing') THEN s.total_amount_cache END AS a
	   FROM sale_sale s LEFT JOIN moved ON moved.sale = s.id LEFT JOIN billed ON billed.sale = s.id),
part AS
	(SELECT party, company, currency,
			CASE WHEN a >= 0 THEN GREATEST(a - GREATEST(d, i), 0) WHEN a < 0 THEN LEAST(a - LEAST(d, i), 0) ELSE 0 END +
			CASE WHEN COALESCE(a, d) >= 0 THEN GREATEST(d - i, 0) ELSE LEAST(d - i, 0) END AS amount
	   FROM sale
	 UNION ALL
	 SELECT l.party, m.company, COALESCE(l.second_currency, c.currency), COALESCE(l.amount_second_currency, l.debit - l.credit)
	   FROM account_move_line l JOIN account_move m ON m.id = l.move JOIN company_company c ON c.id = m.company
	   JOIN account_account a ON a.id = l.account JOIN account_account_type t ON t.id = a.type
	  WHERE t.receivable AND m.state = 'posted' AND l.reconciliation IS NULL AND l.party IS NOT NULL)
SELECT p.party::text AS customer, p.company::text AS segment, y.code::text AS currency, sum(p.amount) AS total
  FROM part p JOIN currency_currency y ON y.id = p.currency GROUP BY 1, 2, 3;
CREATE FUNCTION step(what text, VARIADIC commands text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
	RETURN NEXT public.is_empty('SELECT t.*, e.total AS credit FROM truth t FULL JOIN credit.exposure_by_currency e USING (customer, segment, currency) WHERE COALESCE(t.total, 0) <> COALESCE(e.total, 0)', what || ': exposure is what the tables come to');
	RETURN NEXT public.is_empty('SELECT * FROM credit.reconcile()', what || ': nothing differs');
END $$;
CREATE VIEW stages AS SELECT customer COLLATE "default" AS customer, currency COLLATE "default" AS currency, ordered, delivered, invoiced, unapplied FROM credit.exposure_by_currency WHERE segment = '1' AND (ordered, delivered, invoiced, unapplied) <> (0, 0, 0, 0) ORDER BY 1, 2;

SELECT step('attached', 'SELECT');
SELECT results_eq('TABLE stages', $$VALUES ('1', 'EUR', 55.00::numeric, 55.00::numeric, 0::numeric, 0::numeric)$$, 'half of it stands as delivered');
SELECT step('a sale from draft to processing',
	$$INSERT INTO sale_sale (id, party, company, currency, state) VALUES (2, 2, 1, 1, 'draft')$$,
	$$INSERT INTO sale_line (id, sale, quantity, unit, unit_price) VALUES (2, 2, 3, 2, 12), (3, 2, 1, 1, 0.33)$$,
	$$UPDATE sale_sale SET number = 'S2', sale_date = current_date, state = 'quotation' WHERE id = 2$$,
	$$UPDATE sale_sale SET untaxed_amount_cache = 36.33, tax_amount_cache = 3.63, total_amount_cache = 39.96 WHERE id = 2$$);
SELECT is_empty('SELECT * FROM stages WHERE customer = ''2''', 'a quotation counts for nothing');
SELECT step('confirmed', $$UPDATE sale_sale SET state = 'confirmed' WHERE id = 2$$, $$UPDATE sale_sale SET state = 'processing' WHERE id = 2$$);
SELECT step('amended', $$UPDATE sale_sale SET state = 'draft' WHERE id = 2$$, $$UPDATE sale_line SET quantity = 4 WHERE id = 2$$,
	$$UPDATE sale_sale SET untaxed_amount_cache = NULL, total_amount_cache = NULL WHERE id = 2$$,
	$$UPDATE sale_sale SET untaxed_amount_cache = 48.33, total_amount_cache = 53.16 WHERE id = 2$$, $$UPDATE sale_sale SET state = 'processing' WHERE id = 2$$);
SELECT step('shipped in part, in another unit', $$INSERT INTO stock_move (id, origin, state, quantity, uom) VALUES (20, 'sale.line,2', 'assigned', 24, 1)$$,
	$$UPDATE stock_move SET state = 'done', effective_date = current_date WHERE id = 20$$);
SELECT results_eq('SELECT delivered FROM stages WHERE customer = ''2''', 'VALUES (26.40)', 'two dozen');
SELECT step('an invoice as draft', $$INSERT INTO account_invoice (id, type, account, party) VALUES (1, 'out', 1, 2)$$,
	$$INSERT INTO account_invoice_line (id, invoice, origin, quantity, unit) VALUES (1, 1, 'sale.line,2', 4, 2), (2, 1, 'sale.line,3', 1, 1), (3, 1, NULL, 1, 1)$$);
SELECT step('posted in two instalments', $$INSERT INTO account_move (id, company, date) VALUES (1, 1, current_date)$$,
	$$INSERT INTO account_move_line (id, move, account, party, debit, credit, maturity_date) VALUES (1, 1, 2, NULL, 0, 53.16, NULL), (2, 1, 1, 2, 30, 0, current_date + 10), (3, 1, 1, 2, 23.16, 0, current_date + 40)$$,
	$$UPDATE account_invoice SET move = 1 WHERE id = 1$$,
	$$UPDATE account_move SET state = 'posted', post_date = current_date, post_number = 'F1' WHERE id = 1$$, $$UPDATE account_invoice SET state = 'posted' WHERE id = 1$$);
SELECT results_eq('SELECT ordered, delivered, invoiced FROM stages WHERE customer = ''2''', 'VALUES (0::numeric, 0::numeric, 53.16)', 'all of it invoiced');
SELECT step('paid, the first instalment', $$INSERT INTO account_move (id, company, date, state) VALUES (2, 1, current_date, 'posted')$$,
	$$INSERT INTO account_move_line (id, move, account, party, debit, credit) VALUES (4, 2, 3, NULL, 30, 0), (5, 2, 1, 2, 0, 30)$$,
	$$INSERT INTO "account_invoice-account_move_line" VALUES (1, 1, 5)$$, $$INSERT INTO account_move_reconciliation VALUES (1, current_date)$$,
	$$UPDATE account_move_line SET reconciliation = 1 WHERE id IN (2, 5)$$);
SELECT step('and un-reconciled', $$DELETE FROM account_move_reconciliation WHERE id = 1$$);
SELECT step('an invoice with one instalment, paid in part',
	$$INSERT INTO account_invoice (id, type, account, party) VALUES (2, 'out', 1, 1)$$,
	$$INSERT INTO account_invoice_line (id, invoice, origin, quantity, unit) VALUES (4, 2, 'sale.line,1', 4, 1)$$,
	$$INSERT INTO account_move (id, company, date, state) VALUES (3, 1, current_date, 'posted'), (4, 1, current_date, 'posted')$$,
	$$INSERT INTO account_move_line (id, move, account, party, debit, credit) VALUES (6, 3, 1, 1, 44, 0), (7, 4, 1, 1, 0, 14.01)$$,
	$$UPDATE account_invoice SET move = 3, state = 'posted' WHERE id = 2$$,
	$$INSERT INTO "account_invoice-account_move_line" VALUES (2, 2, 7)$$);
SELECT results_eq('SELECT ordered, delivered, invoiced, unapplied FROM stages WHERE customer = ''1''', 'VALUES (55.00, 11.00, 29.99, 0::numeric)', 'the payment is applied before anything is reconciled');
SELECT step('the invoice is cancelled', $$UPDATE account_invoice SET state = 'cancelled' WHERE id = 2$$,
	$$INSERT INTO account_move (id, company, date, state) VALUES (5, 1, current_date, 'posted')$$, $$INSERT INTO account_move_line (id, move, account, party, credit) VALUES (8, 5, 1, 1, 44)$$);
SELECT step('a sale of returns', $$INSERT INTO sale_sale (id, number, party, company, currency, state, untaxed_amount_cache, total_amount_cache) VALUES (3, 'S3', 5, 1, 1, 'processing', -20, -22)$$,
	$$INSERT INTO sale_line (id, sale, quantity, unit, unit_price) VALUES (4, 3, -2, 1, 10)$$,
	$$INSERT INTO stock_move (origin, state, quantity, uom) VALUES ('sale.line,4', 'done', 1, 1)$$);
SELECT step('in another currency', $$INSERT INTO sale_sale (id, number, party, invoice_party, company, currency, state, untaxed_amount_cache, total_amount_cache) VALUES (4, 'S4', 5, 3, 1, 2, 'confirmed', 100, 100)$$,
	$$INSERT INTO sale_line (id, sale, quantity, unit, unit_price) VALUES (5, 4, 1, 1, 100)$$,
	$$INSERT INTO account_invoice (id, type, account, party) VALUES (3, 'out', 1, 3)$$, $$INSERT INTO account_invoice_line (id, invoice, origin, quantity, unit) VALUES (5, 3, 'sale.line,5', 1, 1)$$,
	$$INSERT INTO account_move (id, company, date) VALUES (6, 1, current_date)$$,
	$$INSERT INTO account_move_line (id, move, account, party, debit, second_currency, amount_second_currency) VALUES (9, 6, 1, 3, 80, 2, 100)$$,
	$$UPDATE account_move SET state = 'posted' WHERE id = 6$$, $$UPDATE account_invoice SET move = 6, state = 'posted' WHERE id = 3$$);
SELECT results_eq('SELECT customer, currency, ordered, invoiced FROM stages WHERE customer IN (''3'', ''5'')', $$VALUES ('3', 'USD', 0::numeric, 100::numeric), ('5', 'EUR', -11.00, 0)$$, 'with the party that is billed');
SELECT step('an account that turns out to be receivable', $$UPDATE account_account_type SET receivable = true WHERE id = 3$$, $$UPDATE account_account_type SET receivable = NULL WHERE id = 3$$);
SELECT step('another type', $$UPDATE account_account SET type = 3 WHERE id = 1$$, $$UPDATE account_account SET type = 1 WHERE id = 1$$);
SELECT step('a sale that is done, and a party billed in another company', $$UPDATE sale_sale SET state = 'done' WHERE id = 2$$, $$UPDATE sale_sale SET company = 2 WHERE id = 3$$);
SELECT step('two customers are merged', $$UPDATE party_party SET active = false WHERE id = 2$$, $$UPDATE account_move_line SET party = 3 WHERE party = 2$$, $$UPDATE sale_sale SET party = 3 WHERE party = 2$$, $$UPDATE sale_sale SET invoice_party = 3 WHERE invoice_party = 2$$);
-- into a customer with a limit of 100: refused, in words
SELECT throws_matching($$UPDATE sale_sale SET party = 4 WHERE id = 1$$, ' of customer 4 \(Party 4\) in 1 would exceed the credit limit: limit 100, exposure 0, adds 110.00 EUR', 'a merge into a customer whose limit is too low is refused');
INSERT INTO sale_sale (id, number, party, company, currency, state, untaxed_amount_cache, total_amount_cache) VALUES (5, 'S5', 4, 1, 1, 'processing', 10, 11);
INSERT INTO sale_line (id, sale, quantity, unit, unit_price) VALUES (6, 5, 1, 1, 10);
INSERT INTO sale_sale (id, number, party, company, currency, state, untaxed_amount_cache, total_amount_cache) VALUES (6, 'S6', 4, 1, 1, 'processing', 10, 11);
INSERT INTO sale_line (id, sale, quantity, unit, unit_price) VALUES (7, 6, 1, 1, 10);
SELECT throws_like($$INSERT INTO stock_move (id, origin, state, quantity, uom) VALUES (31, 'sale.line,6', 'done', 7, 1), (32, 'sale.line,7', 'done', 7, 1)$$,
	'2 deliveries of customer 4 (Party 4) in 1, first S5/31, would exceed the credit limit: limit 100, exposure 22, adds 132.00 EUR', 'nor may more be delivered than ordered');
SELECT step('refused', 'SELECT');
SELECT step('a sale is deleted, what was shipped and invoiced stays', $$DELETE FROM sale_sale WHERE id = 4$$, $$DELETE FROM sale_sale WHERE id = 1$$);
SELECT step('deleted', $$DELETE FROM account_invoice WHERE id = 3$$, $$DELETE FROM account_move WHERE id = 6$$);

-- rows that are nobody's leave nothing in the ledger
SELECT is_empty($$SELECT i.key FROM credit.item i JOIN credit.source s USING (source_id) WHERE s.name = 'credit_tryton.receivable' AND i.key = '1'$$, 'lines of other accounts are not looked at');

-- suggestions name the key of the view, not any column of that name
SELECT credit.undepend('credit_tryton.invoiced', 'sale_line');
SELECT credit.undepend('credit_tryton.invoiced', 'account_invoice_line');
SELECT results_eq($$SELECT relation::text, split_part(suggestion, '$', 3) FROM credit.missing_dependencies('credit_tryton.invoiced') WHERE relation IN ('ty.sale_line'::regclass, 'ty.account_invoice_line')$$,
	$$VALUES ('account_invoice_line', 'SELECT id FROM changed'), ('sale_line', 'SELECT <key of the document> FROM changed')$$, 'a suggestion is right, or none');
SELECT results_eq($$SELECT relation::text, attname FROM credit.view_column('credit_tryton.invoiced', 'sale')$$, $$VALUES ('sale_sale', 'id')$$, 'where a column of a view comes from');
CREATE VIEW twice AS SELECT x.n::text AS m, x.n + 1 AS e FROM (SELECT i.id AS n FROM credit_tryton.invoiced i LEFT JOIN party_party p ON p.id = i.sale) x;
SELECT results_eq($$SELECT relation::text, attname FROM credit.view_column('twice', 'm')$$, $$VALUES ('account_invoice_line', 'id')$$, 'through views, sub-selects, joins and casts');
SELECT results_eq($$SELECT relation::text, attname FROM credit.view_column('twice', 'e')$$, $$VALUES (NULL::text, NULL::text)$$, 'not through an expression');
SELECT results_eq($$SELECT relation::text, attname FROM credit.view_column('twice', 'nosuch')$$, $$VALUES (NULL::text, NULL::text)$$, 'nor where there is none');
DROP VIEW twice;

-- several tables of a view are declared at once, or none
SELECT throws_ok($$SELECT credit.declare_dependencies('credit_tryton.invoiced', ARRAY['ty.sale_line', 'ty.account_invoice_line']::regclass[], ARRAY['SELECT nowhere FROM changed', 'SELECT id FROM changed'], '5s', 'ty')$$,
	'22023', 'credit_tryton.invoiced cannot depend on ty.sale_line, ty.account_invoice_line', 'both are named');
SELECT is((SELECT count(*) FROM credit.dependencies WHERE source = 'credit_tryton.invoiced'), 2::bigint, 'none is declared');
SELECT lives_ok($$SELECT credit.declare_dependencies('credit_tryton.invoiced', ARRAY['ty.sale_line', 'ty.account_invoice_line']::regclass[], ARRAY['SELECT i.id FROM changed c JOIN account_invoice_line i ON i.origin = ''sale.line,'' || c.id', 'SELECT id FROM changed'], '5s', 'ty')$$, 'both are declared');

SELECT credit.detach(name) FROM credit.source;
DROP SCHEMA credit_tryton CASCADE;
SELECT is_empty('SELECT * FROM credit.exposure WHERE total <> 0', 'nothing counts any more');
-- without the module of limits, and without stock
DROP TABLE party_party_credit_limit_amount, stock_move CASCADE;
SELECT results_eq($$SELECT object, left(outcome, 33) FROM credit.attach_preset('tryton', false, 'ty', 'other') WHERE action = 'part'$$,
	$$VALUES ('customer_limit', 'left out, missing: table ty.party'), ('customer', 'ready: 10 rows'), ('order', 'ready: 4 rows'), ('delivery', 'left out, missing: table ty.stock'),
			 ('receivable', 'ready: 6 rows'), ('invoiced', 'ready: 2 rows'), ('applied', 'ready: 1 rows'), ('rate', 'ready')$$, 'optional parts are left out');
SELECT is_empty('SELECT * FROM credit.reconcile()', 'and the rest is right');
SELECT credit.detach(name) FROM credit.source;
RESET search_path;
DROP SCHEMA other, ty CASCADE;

-- 3. Odoo

CREATE SCHEMA od;
SET LOCAL search_path = od, public;
CREATE TABLE ir_module_module (id serial PRIMARY KEY, name varchar, latest_version varchar);
CREATE TABLE res_currency (id serial PRIMARY KEY, name varchar NOT NULL, decimal_places int);
CREATE TABLE res_currency_rate (id serial PRIMARY KEY, name date, rate numeric, currency_id int, company_id int);
CREATE TABLE res_company (id serial PRIMARY KEY, currency_id int NOT NULL);
CREATE TABLE res_partner (id serial PRIMARY KEY, name varchar, parent_id int, commercial_partner_id int, write_date timestamp);
CREATE TABLE ir_property (id serial PRIMARY KEY, name varchar, res_id varchar, company_id int, value_float float8);
CREATE TABLE uom_uom (id serial PRIMARY KEY, factor numeric NOT NULL);
CREATE TABLE sale_order (id serial PRIMARY KEY, name varchar, partner_id int, partner_invoice_id int, company_id int, currency_id int,
	state varchar DEFAULT 'draft', amount_untaxed numeric, amount_total numeric, date_order timestamp DEFAULT now(), commitment_date timestamp);
CREATE TABLE sale_order_line (id serial PRIMARY KEY, order_id int REFERENCES sale_order ON DELETE CASCADE, price_total numeric, price_unit numeric, discount numeric,
	product_uom_qty numeric, product_uom int, qty_delivered numeric DEFAULT 0, is_downpayment boolean, invoice_status varchar);
CREATE TABLE account_account (id serial PRIMARY KEY, account_type varchar);
CREATE TABLE account_move (id serial PRIMARY KEY, move_type varchar, state varchar);
CREATE TABLE account_move_line (id serial PRIMARY KEY, move_id int REFERENCES account_move ON DELETE CASCADE, account_id int, partner_id int, company_id int, currency_id int,
	amount_currency numeric, amount_residual numeric, amount_residual_currency numeric, parent_state varchar, display_type varchar, move_name varchar, date date DEFAULT current_date, date_maturity date,
	quantity numeric, price_total numeric, product_uom_id int);
CREATE TABLE sale_order_line_invoice_rel (invoice_line_id int NOT NULL REFERENCES account_move_line ON DELETE CASCADE, order_line_id int NOT NULL REFERENCES sale_order_line ON DELETE CASCADE,
	PRIMARY KEY (invoice_line_id, order_line_id));
INSERT INTO ir_module_module (name, latest_version) VALUES ('base', '17.0.1.3');
INSERT INTO res_currency VALUES (1, 'EUR', 2), (2, 'USD', 2);
INSERT INTO res_currency_rate (name, rate, currency_id, company_id) VALUES (current_date, 1, 1, NULL), (current_date, 1.25, 2, NULL), (current_date, 9, 2, 2);
INSERT INTO res_company VALUES (1, 1), (2, 2);
INSERT INTO res_partner (id, name, parent_id, commercial_partner_id) VALUES (1, 'Azure', NULL, 1), (2, 'Brandon', 1, 1), (3, 'Deco', NULL, 3), (4, 'Gemini', NULL, 4);
INSERT INTO ir_property (name, res_id, company_id, value_float) VALUES ('credit_limit', 'res.partner,1', 1, 1000), ('credit_limit', 'res.partner,3', 1, 0), ('credit_limit', NULL, 2, 50), ('other', 'res.partner,4', 1, 3);
INSERT INTO uom_uom VALUES (1, 1), (2, 0.0833333333333333);
INSERT INTO account_account VALUES (1, 'asset_receivable'), (2, 'income'), (3, 'asset_cash');

SELECT results_eq($$SELECT outcome FROM credit.attach_preset('odoo', erp_schema => 'od') WHERE action IN ('version', 'currency')$$,
	$$VALUES ('17.0, which it was checked against'), ('EUR; companies of the ERP use EUR, USD')$$, 'the version is read');
SELECT is_empty($$SELECT step FROM credit.attach_preset('odoo', false, 'od') WHERE action IN ('view', 'attach', 'depend', 'rates') AND outcome NOT LIKE 'done%'$$, 'done');
SELECT results_eq('SELECT count(*), bool_and(health = ''ok'') FROM credit.sources', 'VALUES (5::bigint, true)', 'all sources are well');
SELECT results_eq('SELECT customer COLLATE "default", segment COLLATE "default", currency COLLATE "default", limit_state, credit_limit FROM credit.exposure WHERE currency IS NOT NULL AND customer IN (SELECT customer FROM credit.account WHERE source_id IS NOT NULL) ORDER BY 1, 2', $$VALUES
	('1', '1', 'EUR', 'amount', 1000::numeric), ('1', '2', 'USD', 'amount', 50), ('3', '1', 'EUR', 'unlimited', NULL),
	('3', '2', 'USD', 'amount', 50), ('4', '1', 'EUR', 'unlimited', NULL), ('4', '2', 'USD', 'amount', 50)$$, 'limits by company, and its default; 0 is none');

CREATE VIEW truth AS
WITH line AS
	(SELECT l.id, l.order_id, l.is_downpayment, l.product_uom, l.qty_delivered,
			CASE l.product_uom_qty WHEN 0 THEN l.price_unit * (100 - COALESCE(l.discount, 0)) / 100 * o.amount_total / o.amount_untaxed
								   ELSE l.price_total / l.product_uom_qty END AS price
	   FROM sale_order_line l JOIN sale_order o ON o.id = l.order_id),
sale AS
	(SELECT p.commercial_partner_id AS partner, o.company_id, o.currency_id, CASE WHEN o.state IN ('sale', 'done') THEN o.amount_total END AS a,
			COALESCE((SELECT sum(round(l.price * l.qty_delivered, 2)) FROM line l WHERE l.order_id = o.id), 0) AS d,
			COALESCE((SELECT sum(CASE m.move_type WHEN 'out_refund' THEN -1 ELSE 1 END * round(
							CASE WHEN l.is_downpayment THEN i.price_total ELSE l.price * i.quantity * su.factor / iu.factor END, 2))
						FROM line l JOIN sale_order_line_invoice_rel r ON r.order_line_id = l.id JOIN account_move_line i ON i.id = r.invoice_line_id
						JOIN account_move m ON m.id = i.move_id JOIN uom_uom su ON su.id = l.product_uom JOIN uom_uom iu ON iu.id = i.product_uom_id
					   WHERE l.order_id = o.id AND i.parent_state = 'posted'), 0) AS i
	   FROM sale_order o JOIN res_partner p ON p.id = o.partner_invoice_id),
part AS
	(SELECT partner, company_id, currency_id, CASE WHEN a IS NULL THEN 0 ELSE GREATEST(a - GREATEST(d, i), 0) END + GREATEST(d - i, 0) AS amount FROM sale
	 UNION ALL
	 SELECT p.commercial_partner_id, l.company_id, l.currency_id, l.amount_residual_currency
	   FROM account_move_line l JOIN account_account a ON a.id = l.account_id JOIN res_partner p ON p.id = l.partner_id
	  WHERE a.account_type = 'asset_receivable' AND l.parent_state = 'posted')
SELECT p.partner::text AS customer, p.company_id::text AS segment, y.name::text AS currency, sum(p.amount) AS total
  FROM part p JOIN res_currency y ON y.id = p.currency_id GROUP BY 1, 2, 3;
CREATE FUNCTION step(what text, VARIADIC commands text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
	RETURN NEXT public.is_empty('SELECT t.*, e.total AS credit FROM truth t FULL JOIN credit.exposure_by_currency e USING (customer, segment, currency) WHERE COALESCE(t.total, 0) <> COALESCE(e.total, 0)', what || ': exposure is what the tables come to');
	RETURN NEXT public.is_empty('SELECT * FROM credit.reconcile()', what || ': nothing differs');
END $$;
CREATE VIEW stages AS SELECT customer COLLATE "default" AS customer, currency COLLATE "default" AS currency, ordered, delivered, invoiced, unapplied FROM credit.exposure_by_currency WHERE segment = '1' AND (ordered, delivered, invoiced, unapplied) <> (0, 0, 0, 0) ORDER BY 1, 2;
-- an invoice: draft with its lines, then posted
CREATE FUNCTION invoice(id int, type varchar, partner int, order_line int, quantity numeric, net numeric, total numeric) RETURNS void LANGUAGE sql AS $$
INSERT INTO account_move VALUES (id, type, 'draft');
INSERT INTO account_move_line (id, move_id, account_id, partner_id, company_id, currency_id, amount_currency, amount_residual, amount_residual_currency, parent_state, quantity, price_total, product_uom_id, display_type)
VALUES (id * 10, id, 2, partner, 1, 1, -net, 0, 0, 'draft', quantity, abs(total), 1, 'product'), (id * 10 + 1, id, 1, partner, 1, 1, total, total, total, 'draft', NULL, NULL, NULL, 'payment_term');
INSERT INTO sale_order_line_invoice_rel SELECT id * 10, order_line WHERE order_line IS NOT NULL;
$$;
CREATE FUNCTION post(move int) RETURNS void LANGUAGE sql AS $$
UPDATE account_move SET state = 'posted' WHERE id = move;
UPDATE account_move_line SET parent_state = 'posted', move_name = 'INV/' || move WHERE move_id = move;
$$;

SELECT step('a quotation, totalled later', $$INSERT INTO sale_order (id, name, partner_id, partner_invoice_id, company_id, currency_id) VALUES (1, 'S00001', 2, 2, 1, 1)$$,
	$$INSERT INTO sale_order_line (id, order_id, price_total, product_uom_qty, product_uom) VALUES (1, 1, 120, 10, 1), (2, 1, 60, 1, 2)$$, $$UPDATE sale_order SET amount_total = 180 WHERE id = 1$$);
SELECT is_empty('TABLE stages', 'a quotation counts for nothing');
SELECT step('confirmed', $$UPDATE sale_order SET state = 'sale' WHERE id = 1$$);
SELECT step('delivered in part', $$UPDATE sale_order_line SET qty_delivered = 4 WHERE id = 1$$);
SELECT results_eq('TABLE stages', $$VALUES ('1', 'EUR', 132.00::numeric, 48.00::numeric, 0::numeric, 0::numeric)$$, 'with the company the contact belongs to');
SELECT step('invoiced as draft', $$SELECT invoice(1, 'out_invoice', 1, 1, 4, 40, 48)$$);
SELECT step('posted', 'SELECT post(1)');
SELECT results_eq('TABLE stages', $$VALUES ('1', 'EUR', 132.00::numeric, 0::numeric, 48::numeric, 0::numeric)$$, 'what is invoiced is not ordered any more');
SELECT step('paid in part', $$INSERT INTO account_move VALUES (2, 'entry', 'posted')$$,
	$$INSERT INTO account_move_line (id, move_id, account_id, partner_id, company_id, currency_id, amount_currency, amount_residual_currency, parent_state) VALUES (20, 2, 1, 1, 1, 1, -30, -30, 'posted'), (21, 2, 3, 1, 1, 1, 30, 0, 'posted')$$);
SELECT results_eq('SELECT invoiced, unapplied FROM stages', 'VALUES (48::numeric, -30::numeric)', 'not reconciled yet');
SELECT step('reconciled', $$UPDATE account_move_line SET amount_residual_currency = CASE id WHEN 11 THEN 18 ELSE 0 END WHERE id IN (11, 20)$$);
SELECT results_eq('SELECT invoiced, unapplied FROM stages', 'VALUES (18::numeric, 0::numeric)', 'reconciled');
SELECT step('un-reconciled and reconciled again', $$UPDATE account_move_line SET amount_residual_currency = amount_currency WHERE id IN (11, 20)$$, $$UPDATE account_move_line SET amount_residual_currency = CASE id WHEN 11 THEN 18 ELSE 0 END WHERE id IN (11, 20)$$);
SELECT step('five pieces of a dozen invoiced', $$SELECT invoice(3, 'out_invoice', 1, 2, 5, 20, 25)$$, 'SELECT post(3)');
SELECT results_eq('SELECT ordered FROM stages', 'VALUES (107.00)', 'in another unit');
SELECT step('back to draft', $$UPDATE account_move_line SET parent_state = 'draft' WHERE move_id = 3$$, $$UPDATE account_move SET state = 'draft' WHERE id = 3$$);
SELECT step('and deleted', $$DELETE FROM account_move WHERE id = 3$$);
SELECT step('a refund', $$SELECT invoice(4, 'out_refund', 1, 1, 1, -10, -12)$$, 'SELECT post(4)');
SELECT results_eq('SELECT ordered, delivered, invoiced, unapplied FROM stages', 'VALUES (132.00, 12.00, 18::numeric, -12::numeric)', 'what is credited is to be invoiced again');
SELECT step('a down payment', $$INSERT INTO sale_order_line (id, order_id, price_total, product_uom_qty, product_uom, is_downpayment) VALUES (3, 1, 0, 0, 1, true)$$,
	$$SELECT invoice(5, 'out_invoice', 1, 3, 1, 25, 30)$$, 'SELECT post(5)');
SELECT results_eq('SELECT ordered, invoiced, unapplied FROM stages', 'VALUES (114.00, 48::numeric, -12::numeric)', 'lowers what is ordered');
SELECT step('goods that nobody ordered: a line of quantity 0', 'UPDATE sale_order SET amount_untaxed = 150 WHERE id = 1',
	$$INSERT INTO sale_order_line (id, order_id, price_total, price_unit, discount, product_uom_qty, product_uom, qty_delivered) VALUES (4, 1, 0, 9.99, 10, 0, 1, 2)$$);
SELECT results_eq('SELECT ordered, delivered, invoiced, unapplied FROM stages', 'VALUES (110.42, 3.58, 48::numeric, -12::numeric)', 'are worth their price, with the tax the order has');
SELECT step('one of them invoiced', $$SELECT invoice(6, 'out_invoice', 1, 4, 1, 8.99, 10.34)$$, 'SELECT post(6)');
SELECT results_eq('SELECT ordered, delivered, invoiced, unapplied FROM stages', 'VALUES (103.21, 0::numeric, 58.34, -12::numeric)', 'at the price it was delivered at');
SELECT step('tax of the order changes', 'UPDATE sale_order SET amount_total = 171 WHERE id = 1');
SELECT results_eq('SELECT ordered, delivered FROM stages', 'VALUES (94.75, 0::numeric)', 'and of what was invoiced');
SELECT step('and they come back', 'UPDATE sale_order_line SET qty_delivered = 0 WHERE id = 4', $$SELECT invoice(8, 'out_refund', 1, 4, 1, -8.99, -10.34)$$, 'SELECT post(8)', 'UPDATE sale_order SET amount_total = 180 WHERE id = 1');
SELECT step('the order is amended and cancelled', $$UPDATE sale_order_line SET price_total = 240, product_uom_qty = 20 WHERE id = 1$$, $$UPDATE sale_order SET amount_total = 300 WHERE id = 1$$, $$UPDATE sale_order SET state = 'cancel' WHERE id = 1$$, $$UPDATE sale_order SET state = 'sale' WHERE id = 1$$);
SELECT step('a contact moves to another company', $$UPDATE res_partner SET parent_id = 4, commercial_partner_id = 4 WHERE id = 2$$);
SELECT step('partners are merged', $$UPDATE sale_order SET partner_invoice_id = 3 WHERE partner_invoice_id IN (1, 2)$$, $$UPDATE account_move_line SET partner_id = 3 WHERE partner_id IN (1, 2)$$, $$DELETE FROM res_partner WHERE id = 1$$);
SELECT step('in another company and currency', $$INSERT INTO sale_order (id, name, partner_id, partner_invoice_id, company_id, currency_id, state, amount_total) VALUES (7, 'S00007', 4, 4, 2, 2, 'sale', 50)$$);
SELECT throws_like($$UPDATE sale_order SET amount_total = 50.01 WHERE id = 7$$, 'order S00007 of customer 4 (Gemini) in 2 would exceed the credit limit: limit 50, exposure 50, adds 0.01 USD', 'a limit of that company');
SELECT step('a limit that is changed', $$UPDATE ir_property SET value_float = 60 WHERE res_id IS NULL$$, $$UPDATE sale_order SET amount_total = 50.01 WHERE id = 7$$, $$DELETE FROM ir_property WHERE res_id IS NULL$$, $$UPDATE sale_order SET amount_total = 5000 WHERE id = 7$$);
SELECT is_empty($$SELECT i.key FROM credit.item i JOIN credit.source s USING (source_id) WHERE s.name = 'credit_odoo.receivable' AND i.key IN ('10', '21')$$, 'lines of other accounts are not looked at');

-- limits as the next version keeps them
SELECT credit.detach(name) FROM credit.source;
DROP SCHEMA credit_odoo CASCADE;
DROP TABLE ir_property;
ALTER TABLE res_partner ADD credit_limit jsonb;
CREATE TABLE ir_model_fields (id serial PRIMARY KEY, model varchar, name varchar);
CREATE TABLE ir_default (id serial PRIMARY KEY, field_id int, user_id int, company_id int, condition varchar, json_value varchar);
INSERT INTO ir_default (field_id, company_id, condition, json_value) VALUES (9, 2, 'country_id=1', '3.0');
UPDATE ir_module_module SET latest_version = '18.0.1.3';
UPDATE res_partner SET credit_limit = '{"1": 700.0}' WHERE id = 3;
INSERT INTO ir_model_fields VALUES (9, 'res.partner', 'credit_limit');
INSERT INTO ir_default (field_id, company_id, json_value) VALUES (9, 2, '6000.0');
-- and payments, which need no journal entry there
CREATE TABLE account_payment (id serial PRIMARY KEY, name varchar, move_id int, state varchar, payment_type varchar DEFAULT 'inbound', partner_type varchar DEFAULT 'customer',
	partner_id int, company_id int DEFAULT 1, currency_id int DEFAULT 1, amount numeric, amount_company_currency_signed numeric, date date DEFAULT current_date);
CREATE TABLE account_move__account_payment (invoice_id int REFERENCES account_move ON DELETE CASCADE, payment_id int REFERENCES account_payment ON DELETE CASCADE, PRIMARY KEY (invoice_id, payment_id));
SELECT results_eq($$SELECT object, split_part(outcome, ' ', 1) FROM credit.attach_preset('odoo', false, 'od') WHERE action = 'part' AND object ~ 'customer|payment'$$,
	$$VALUES ('customer_property', 'left'), ('customer_jsonb', 'ready:'), ('customer', 'not'), ('payment', 'ready:')$$, 'the parts that fit are taken');
SELECT results_eq('SELECT customer COLLATE "default", segment COLLATE "default", limit_state, credit_limit FROM credit.exposure WHERE (customer, segment) IN ((''3'', ''1''), (''4'', ''1''), (''4'', ''2'')) ORDER BY 1, 2',
	$$VALUES ('3', '1', 'amount', 700.0), ('4', '1', 'unlimited', NULL), ('4', '2', 'amount', 6000.0)$$, 'limits by company');
SELECT step('limits and defaults that are changed', $$UPDATE res_partner SET credit_limit = '{"1": 800, "2": 5100}' WHERE id = 4$$, $$UPDATE ir_default SET json_value = '0'$$);
SELECT results_eq('SELECT limit_state, credit_limit FROM credit.exposure WHERE (customer, segment) IN ((''4'', ''1''), (''4'', ''2''), (''3'', ''2'')) ORDER BY customer, segment',
	$$VALUES ('unlimited', NULL::numeric), ('amount', 800), ('amount', 5100)$$, 'count at once');

-- payments without a journal entry
ALTER VIEW truth RENAME TO truth_in_entries;
CREATE VIEW truth AS
SELECT t.customer, t.segment, t.currency, sum(t.total) AS total
  FROM (TABLE truth_in_entries
		UNION ALL
		-- no more than is open of an invoice
		SELECT p.commercial_partner_id::text, a.company_id::text, min(y.name), -sign(min(l.amount_residual_currency)) *
			   LEAST(abs(min(l.amount_residual_currency)), sum(CASE WHEN a.currency_id = l.currency_id THEN a.amount ELSE abs(a.amount_company_currency_signed) END))
		  FROM account_payment a JOIN res_partner p ON p.id = a.partner_id JOIN account_move__account_payment r ON r.payment_id = a.id
		  JOIN account_move_line l ON l.move_id = r.invoice_id AND l.account_id = 1 AND l.parent_state = 'posted' JOIN res_currency y ON y.id = l.currency_id
		 WHERE a.move_id IS NULL AND a.state IN ('in_process', 'paid') AND a.partner_type = 'customer' GROUP BY 1, 2, r.invoice_id
		UNION ALL
		SELECT p.commercial_partner_id::text, a.company_id::text, y.name, -a.amount
		  FROM account_payment a JOIN res_partner p ON p.id = a.partner_id JOIN res_currency y ON y.id = a.currency_id
		 WHERE a.move_id IS NULL AND a.state = 'in_process' AND a.partner_type = 'customer'
		   AND NOT EXISTS (SELECT FROM account_move__account_payment r JOIN account_move_line l ON l.move_id = r.invoice_id AND l.parent_state = 'posted' WHERE r.payment_id = a.id)) t
 GROUP BY 1, 2, 3;
SELECT step('an invoice', $$SELECT invoice(30, 'out_invoice', 4, NULL, 1, 90, 100)$$, 'SELECT post(30)');
SELECT step('a payment with nothing it is for', $$INSERT INTO account_payment (id, name, state, partner_id, amount) VALUES (1, 'PAY1', 'draft', 4, 40)$$, $$UPDATE account_payment SET state = 'in_process' WHERE id = 1$$);
SELECT results_eq('SELECT invoiced, unapplied FROM stages WHERE customer = ''4''', 'VALUES (100::numeric, -40::numeric)', 'takes off');
SELECT step('it is for the invoice', 'INSERT INTO account_move__account_payment VALUES (30, 1)', $$UPDATE account_payment SET state = 'paid' WHERE id = 1$$);
SELECT step('one of a supplier, and one with an entry', $$INSERT INTO account_payment (id, move_id, state, partner_id, partner_type, amount) VALUES (2, NULL, 'paid', 4, 'supplier', 7), (3, 2, 'paid', 4, 'customer', 9)$$);
SELECT results_eq('SELECT invoiced, unapplied FROM stages WHERE customer = ''4''', 'VALUES (100::numeric, -40::numeric)', 'do not');
SELECT step('too much', $$INSERT INTO account_payment (id, state, partner_id, amount) VALUES (4, 'in_process', 4, 70)$$, 'INSERT INTO account_move__account_payment VALUES (30, 4)');
SELECT results_eq('SELECT invoiced, unapplied FROM stages WHERE customer = ''4''', 'VALUES (100::numeric, -100::numeric)', 'is no more than the invoice');
SELECT step('the bank has 40', $$UPDATE account_move_line SET amount_residual = 60, amount_residual_currency = 60 WHERE id = 301$$);
SELECT results_eq('SELECT invoiced, unapplied FROM stages WHERE customer = ''4''', 'VALUES (60::numeric, -60::numeric)', 'is not taken off twice');
SELECT step('the invoice is a draft again', $$UPDATE account_move_line SET parent_state = 'draft' WHERE move_id = 30$$);
SELECT step('and posted', $$UPDATE account_move_line SET parent_state = 'posted', amount_residual = 100, amount_residual_currency = 100 WHERE move_id = 30 AND account_id = 1$$);
SELECT step('one is cancelled', $$UPDATE account_payment SET state = 'canceled' WHERE id = 1$$);
UPDATE account_payment SET currency_id = 2, amount = 150, amount_company_currency_signed = 120 WHERE id = 4;
SELECT results_eq('SELECT currency, invoiced, unapplied FROM stages WHERE customer = ''4''', $$VALUES ('EUR', 100::numeric, 0::numeric), ('USD', 0::numeric, -125::numeric)$$, 'a payment in another currency, as far as it is open');
SELECT is_empty('SELECT * FROM credit.reconcile()', 'nothing differs');
SELECT step('in the same', $$UPDATE account_payment SET currency_id = 1, amount = 70 WHERE id = 4$$);
SELECT step('all of it is in the bank', $$UPDATE account_move_line SET amount_residual = 0, amount_residual_currency = 0 WHERE id = 301$$);
SELECT step('a refund that is paid out', $$SELECT invoice(31, 'out_refund', 4, NULL, 1, -18, -20)$$, 'SELECT post(31)',
	$$INSERT INTO account_payment (id, state, payment_type, partner_id, amount) VALUES (5, 'paid', 'outbound', 4, 15)$$, 'INSERT INTO account_move__account_payment VALUES (31, 5)');
SELECT results_eq('SELECT unapplied FROM stages WHERE customer = ''4''', 'VALUES (-5::numeric)', 'raises exposure');
SELECT step('its partner belongs to another', 'UPDATE res_partner SET commercial_partner_id = 3 WHERE id = 4');
SELECT step('and is gone', 'DELETE FROM account_move__account_payment WHERE payment_id = 5', 'DELETE FROM account_payment WHERE id = 5');

-- a column of another type is found before anything is done
SELECT credit.detach(name) FROM credit.source;
DROP SCHEMA credit_odoo CASCADE;
DROP VIEW truth, truth_in_entries CASCADE;
ALTER TABLE sale_order ALTER amount_total TYPE text;
UPDATE sale_order SET amount_total = 'much';
SELECT throws_like($$SELECT credit.attach_preset('odoo', false, 'od')$$, 'preset odoo does not fit schema od: 2 problems', 'what cannot be read is said');
SELECT results_eq($$SELECT outcome FROM credit.attach_preset('odoo', true, 'od') WHERE action = 'problem'$$, $$VALUES ('order: A row cannot be read: invalid input syntax for type numeric: "much".'), ('invoiced: A row cannot be read: invalid input syntax for type numeric: "much".')$$, 'and why');
UPDATE ir_module_module SET latest_version = '12.0.1';
SELECT matches((SELECT outcome FROM credit.attach_preset('odoo', true, 'od') WHERE action = 'version'), '^12\.0, but checked against', 'a version nobody has checked');
UPDATE ir_module_module SET latest_version = 'saas~18.1.1.3';
SELECT matches((SELECT outcome FROM credit.attach_preset('odoo', true, 'od') WHERE action = 'version'), '^saas~18\.1, but checked against', 'nor one between');
SELECT ok(NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'credit_odoo'), 'nothing was left');

SELECT * FROM finish();
ROLLBACK;

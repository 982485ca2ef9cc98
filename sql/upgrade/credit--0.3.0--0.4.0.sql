\echo Use "ALTER EXTENSION credit UPDATE" to load this file. \quit
/*
 * From 0.3.0 to 0.4.0.  Triggers are added to tables of the ledger, which takes
 * ACCESS EXCLUSIVE for a moment.  All locks are taken at once and in the order
 * in which orders take them; lock_timeout bounds how long that may wait.
 *
 * Rights are revoked from PUBLIC object by object, at the end; why not with
 * REVOKE ... ON ALL ROUTINES stands in credit--0.1.0--0.2.0.sql.
 */

LOCK TABLE credit.item, credit.account, credit.account_limit, credit.limit_change,
	credit.journal, credit.decision_log, credit.item_version, credit.settlement,
	credit.month_mark, credit.source_problem, credit.source, credit.dependency,
	credit.setting, credit.rule_reaction IN ACCESS EXCLUSIVE MODE;

/*
 * Where these tables are filled by logical replication, sessions must read them
 * anew all the same: whoever has the ledger replicated replicates its policy.
 * What applies rows fires row triggers only, and its first copy statement ones.
 */
CREATE TRIGGER invalidate_replica AFTER INSERT OR UPDATE OR DELETE ON credit.setting
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
CREATE TRIGGER invalidate_replica AFTER INSERT OR UPDATE OR DELETE ON credit.rule_reaction
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_setting();
ALTER TABLE credit.setting ENABLE REPLICA TRIGGER invalidate_replica;
ALTER TABLE credit.setting ENABLE ALWAYS TRIGGER invalidate_setting;
ALTER TABLE credit.rule_reaction ENABLE REPLICA TRIGGER invalidate_replica;
ALTER TABLE credit.rule_reaction ENABLE ALWAYS TRIGGER invalidate_setting;
ALTER TABLE credit.source ENABLE ALWAYS TRIGGER invalidate_source;
ALTER TABLE credit.dependency ENABLE ALWAYS TRIGGER invalidate_dependency;
CREATE FUNCTION credit.view_column
	(view regclass, name text, OUT relation regclass, OUT attname text)
RETURNS record
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'credit_view_column';
COMMENT ON FUNCTION credit.view_column(regclass, text) IS
'The table and column that a column of a view hands on unchanged or as another type, through other views too; NULL where it is an expression.';
/* no key: a publication that sends deletions needs this, or a purge would fail */
ALTER TABLE credit.item_version REPLICA IDENTITY FULL;
/* as for item_version */
ALTER TABLE credit.settlement REPLICA IDENTITY FULL;
ALTER TABLE credit.month_mark REPLICA IDENTITY FULL;
COMMENT ON VIEW credit.decision IS
'What was let in although a rule was broken: in mode shadow, with a warning, by a member of setting bypass_role, or by replication that a source follows. Refused documents are in the log of the server: their transaction is gone.';
COMMENT ON COLUMN credit.stat.bypasses IS 'Checks that broke a rule and passed because of setting bypass_role, or because replication wrote the rows.';
CREATE OR REPLACE VIEW credit.waits AS
SELECT w.pid, a.usename AS role, a.application_name, s.name AS source, s.relation,
	   w.customer, w.document, w.waits_for, w.since,
	   pg_catalog.clock_timestamp() - w.since AS waited, w.until, w.transaction,
	   h.pid AS holder_pid, COALESCE(h.usename, p.owner) AS holder_role,
	   h.application_name AS holder_application, h.state AS holder_state,
	   COALESCE(h.xact_start, p.prepared) AS holder_since,
	   h.query AS holder_query, p.gid AS holder_prepared,
	   CASE WHEN p.gid IS NOT NULL THEN
				pg_catalog.format('COMMIT PREPARED %L or ROLLBACK PREPARED %L.', p.gid, p.gid)
			WHEN w.waits_for = 'the short lock' THEN
				'None is needed: short locks are held for microseconds. If they pile up, the machine is short of processors or storage is slow.'
			WHEN h.pid IS NULL THEN
				'None is needed: that transaction has just ended.'
			WHEN h.pid IN (SELECT x.pid FROM credit.wait_rows() x) THEN
				'It waits itself: see its own row.'
			WHEN h.state LIKE 'idle in transaction%' THEN
				pg_catalog.format('It does nothing: have it commit or roll back, or SELECT pg_terminate_backend(%s).', h.pid)
			WHEN h.wait_event_type = 'Lock' THEN
				pg_catalog.format('It waits for a lock of the ERP: SELECT pg_blocking_pids(%s).', h.pid)
			ELSE pg_catalog.format('Let it finish, or SELECT pg_cancel_backend(%s).', h.pid)
	   END AS way_out
  FROM credit.wait_rows() w
  LEFT JOIN credit.source s ON s.source_id = w.source_id
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
  LEFT JOIN pg_catalog.pg_stat_activity h
	ON h.pid = CASE WHEN w.is_short THEN (pg_catalog.pg_blocking_pids(w.pid))[1] ELSE w.holder_pid END
  LEFT JOIN pg_catalog.pg_prepared_xacts p
	ON p.transaction = w.transaction AND w.holder_pid IS NULL;

COMMENT ON COLUMN credit.waits.waits_for IS 'What it waits for: room under the limit, a limit that is being changed, a document, a limit, an account, the short lock, or a row of the ERP that several documents of a view share.';
CREATE OR REPLACE FUNCTION credit.has_triggers(relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT count(*) = 4
  FROM pg_trigger g
 WHERE g.tgrelid = relation AND g.tgenabled IN ('O', 'A')
   AND g.tgname IN ('zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate')
   /* a restore of data alone disables those of each partition by itself */
   AND NOT EXISTS (SELECT FROM pg_partition_tree(relation) p
					 JOIN pg_trigger t ON t.tgrelid = p.relid AND t.tgname = 'zz_credit_row'
					WHERE t.tgenabled NOT IN ('O', 'A'))
$$;

COMMENT ON FUNCTION credit.has_triggers(regclass) IS
'True: all four triggers of an attached table are there and enabled, and that of each of its partitions.';
/*
 * Subject dependency: depend() and undepend(), which put the triggers of a
 * view on the tables it is made of.
 */

/* What to write for the tables of a view that are not declared yet. */
CREATE OR REPLACE FUNCTION credit.missing_dependencies(source text, OUT relation regclass, OUT suggestion text)
RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT t.relation,
	   format('SELECT credit.depend(%L, %L, $$%s$$);', s.name, t.relation,
			  COALESCE(own.query, joined.query, 'SELECT <key of the document> FROM changed'))
  FROM credit.source s
  CROSS JOIN LATERAL credit.view_tables(s.relation) t (relation)
  /* whose column the key is: in many ERPs every table has one of that name */
  LEFT JOIN LATERAL
	   (SELECT o.relation, o.attname
		  FROM pg_attribute v
		 CROSS JOIN LATERAL credit.view_column(s.relation, v.attname) o
		 WHERE v.attrelid = s.relation AND quote_ident(v.attname) = s.fields ->> 'key') k ON true
  CROSS JOIN LATERAL
	   (SELECT CASE WHEN k.relation = t.relation
					THEN format('SELECT %I FROM changed', k.attname) END AS query) own
  LEFT JOIN LATERAL
	   (SELECT CASE WHEN b.attname = k.attname
					THEN format('SELECT %I FROM changed', a.attname)
					WHEN k.attname IS NOT NULL
					THEN format('SELECT d.%I FROM changed c JOIN %s d ON d.%I = c.%I',
								k.attname, k.relation, b.attname, a.attname) END AS query
		  FROM pg_constraint f
		  JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		  JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
		 WHERE f.conrelid = t.relation AND f.confrelid = k.relation
		   AND f.contype = 'f' AND cardinality(f.conkey) = 1
		 ORDER BY f.conname LIMIT 1) joined ON true
 WHERE s.name = missing_dependencies.source
   AND EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation AND c.relkind = 'v')
   AND NOT EXISTS (SELECT FROM credit.dependency d
					WHERE d.source_id = s.source_id AND d.relation = t.relation)
 ORDER BY t.relation::text
$f$;

/*
 * Several tables at once: all are checked before the first is locked, and the
 * documents are looked at once.
 */
CREATE FUNCTION credit.declare_dependencies
	(source text, relations regclass[], changed_keys text[], lock_timeout text, path text)
RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	problems text[] := '{}';
	problem text;
	hint text;
	queries text[] := '{}';
	query text;
	relation regclass;
	names text := array_to_string(relations, ', ');
	n bigint;
	missing text;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = declare_dependencies.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	IF relations IS NULL OR cardinality(relations) IS DISTINCT FROM cardinality(changed_keys) OR
	   array_position(relations, NULL) > 0 OR array_position(changed_keys, NULL) > 0 THEN
		RAISE EXCEPTION 'the table or its key query is NULL' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
		RAISE EXCEPTION 'depend cannot run in a transaction in %', upper(current_setting('transaction_isolation'))
			USING ERRCODE = 'invalid_transaction_state',
				  DETAIL = 'It must see every row that was committed before it got its lock.',
				  HINT = 'Use READ COMMITTED.';
	END IF;
	FOR i IN 1 .. cardinality(relations) LOOP
		relation := relations[i];
		problem := array_to_string(ARRAY(SELECT credit.dependency_problems(s.source_id, relation)), E'\n');
		IF problem = '' THEN
			BEGIN
				query := credit.normalise_changed_keys(s.relation, relation, changed_keys[i], path);
				queries := queries || query;
				CONTINUE;
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS problem = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
				problem := rtrim(format('%s. %s', problem, hint));
			END;
		END IF;
		problems := problems || CASE WHEN cardinality(relations) > 1 THEN relation || ': ' || problem ELSE problem END;
	END LOOP;
	IF cardinality(problems) > 0 THEN
		RAISE EXCEPTION '% cannot depend on %', source, names
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = array_to_string(problems, E'\n'),
				  HINT = 'Nothing was changed.';
	END IF;
	PERFORM credit.progress_begin('depend', s.name);
	FOR i IN 1 .. cardinality(relations) LOOP
		relation := relations[i];
		PERFORM credit.progress_phase('waiting for the lock on the table', NULL);
		PERFORM credit.lock_source_table(relation, lock_timeout);
		INSERT INTO credit.dependency (source_id, relation, changed_keys) VALUES (s.source_id, relation, queries[i]);
		PERFORM credit.create_triggers(relation);
	END LOOP;
	/* what has changed since attach() read the view */
	PERFORM credit.progress_phase('reading the view again', NULL);
	n := credit.reevaluate(s.source_id);
	PERFORM credit.progress_end();
	SELECT string_agg(m.relation::text, ', ' ORDER BY m.relation::text) INTO missing
	  FROM credit.missing_dependencies(source) m;
	RAISE NOTICE '% depends on %: % documents looked at', source, names, n;
	IF missing IS NOT NULL THEN
		RAISE NOTICE 'not declared: %', missing;
	END IF;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.declare_dependencies(text, regclass[], text[], text, text) IS
'Declares several tables of a view, of which each document is looked at once; use depend() for one.';
CREATE OR REPLACE FUNCTION credit.declare_dependency
	(source text, relation regclass, changed_keys text, lock_timeout text, path text)
RETURNS bigint
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
SELECT credit.declare_dependencies(source, ARRAY[relation], ARRAY[changed_keys], lock_timeout, path)
$$;

COMMENT ON FUNCTION credit.declare_dependency(text, regclass, text, text, text) IS
'One table by declare_dependencies(); use depend().';
CREATE OR REPLACE FUNCTION credit.depend
	(source text, relation regclass, changed_keys text, lock_timeout text DEFAULT '5s')
RETURNS bigint
LANGUAGE sql VOLATILE
BEGIN ATOMIC
SELECT credit.declare_dependencies(source, ARRAY[relation], ARRAY[changed_keys], lock_timeout,
								   current_setting('search_path'));
END;

/*
 * Subject preset: ready mappings of ERPs whose tables are known.
 *
 * A preset is data: tables and columns it needs, views, attach and depend
 * calls, each with a sentence that says why.  attach_preset() explains them, or
 * does them.  {erp} and {view} stand for the schemas of the ERP and of the views.
 *
 * A part is a source with all that belongs to it.  It is left out if it is
 * optional and what it needs is not there, or if the part it stands in for is
 * taken.
 */
CREATE FUNCTION credit.preset_catalog()
RETURNS TABLE (name text, erp text, version text, checked text, not_covered text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $f$
VALUES
('tryton', 'Tryton', '6.0',
 'A running server: modules party, company, currency, sale, stock, account, account_invoice, account_invoice_stock, account_credit_limit, driven through its own interface.',
 'Account types that change with the sign of a balance (debit_type). Draft ledger moves. Payments in preparation (account_payment). Purchases. Units of measure and currency codes that are changed afterwards.'),
('odoo', 'Odoo', '17.0, 18.0',
 'The published source text of modules base, account, sale and uom; no running server.',
 'Point of sale. Draft invoices. Payments that are not posted. Invoice lines without an order line take nothing off an order. Units of measure and currency codes that are changed afterwards. The switch account_use_credit_limit of a company: limits count here whether it is on or not.')
$f$;
COMMENT ON FUNCTION credit.preset_catalog() IS
'The presets there are: ERP, version they were checked against and how, and what they leave out.';
CREATE FUNCTION credit.preset_parts(preset text)
RETURNS TABLE (place integer, part text, is_optional boolean, instead_of text, needs json, explanation text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT p.place, p.part, p.is_optional, p.instead_of, p.needs::json, p.explanation
  FROM (VALUES
('tryton', 1, 'customer_limit', true, NULL,
 '{"party_party": "id, name", "company_company": "id, currency", "currency_currency": "id, code",
   "party_party_credit_limit_amount": "id, party, company, credit_limit_amount",
   "account_configuration_default_credit_limit_amount": "id, company, default_credit_limit_amount"}',
 'Customers: every party in every company (segment), with the limit of module account_credit_limit, or the default limit of the company. No limit means unlimited.'),
('tryton', 2, 'customer', false, 'customer_limit',
 '{"party_party": "id, name", "company_company": "id, currency", "currency_currency": "id, code"}',
 'Customers: every party in every company (segment). Without module account_credit_limit there are no limits in the ERP; use credit.set_limit().'),
('tryton', 3, 'order', false, NULL,
 '{"sale_sale": "id, number, party, invoice_party, company, currency, state, sale_date, shipping_date, total_amount_cache",
   "currency_currency": "id, code"}',
 'Orders: sales that are confirmed or processing, at total_amount_cache (tax included), of the party that is billed. Tryton writes that total in one UPDATE and the state in the next.'),
('tryton', 4, 'delivery', true, NULL,
 '{"stock_move": "id, origin, state, quantity, uom, effective_date", "sale_line": "id, sale, quantity, unit, unit_price",
   "sale_sale": "id, number, party, invoice_party, company, currency, total_amount_cache, untaxed_amount_cache",
   "currency_currency": "id, code, digits", "product_uom": "id, factor"}',
 'Deliveries: stock moves that are done and come from a sale line (origin sale.line,ID), at the price of the order with tax. Returns are negative.'),
('tryton', 5, 'receivable', false, NULL,
 '{"account_move_line": "id, party, move, account, debit, credit, second_currency, amount_second_currency, maturity_date, reconciliation",
   "account_move": "id, company, state, date, post_date, number, post_number", "account_account": "id, type",
   "account_account_type": "id, receivable", "account_move_reconciliation": "id, date",
   "company_company": "id, currency", "currency_currency": "id, code"}',
 'Receivables: lines of posted moves on accounts whose type is receivable: invoices, credit notes, receipts. A reconciled line is settled on the day of its reconciliation. In the second currency where the line has one.'),
('tryton', 6, 'invoiced', false, NULL,
 '{"account_invoice_line": "id, invoice, type, origin, quantity, unit", "account_invoice": "id, type, state, move, account",
   "sale_line": "id, sale, type, unit, unit_price", "sale_sale": "id, currency, total_amount_cache, untaxed_amount_cache",
   "account_move_line": "id, move, account", "currency_currency": "id, digits", "product_uom": "id, factor"}',
 'What is invoiced of an order: lines of posted and paid invoices with origin sale.line,ID, by quantity at the price of the order with tax, as Tryton reckons it.'),
('tryton', 7, 'applied', true, NULL,
 '{"account_invoice-account_move_line": "id, invoice, line", "account_invoice": "id, type, move, account",
   "account_move_line": "id, move, account, debit, credit, second_currency, amount_second_currency", "account_move": "id, date"}',
 'Which payment pays which invoice before both are reconciled, for invoices with one instalment. Payments of others stay unapplied until then.'),
('tryton', 8, 'rate', true, NULL,
 '{"currency_currency": "id, code", "currency_currency_rate": "currency, date, rate"}',
 'Exchange rates.'),
('odoo', 1, 'customer_property', true, NULL,
 '{"res_partner": "id, name, commercial_partner_id", "res_company": "id, currency_id", "res_currency": "id, name",
   "ir_property": "name, res_id, company_id, value_float"}',
 'Customers: every commercial partner in every company (segment), with the credit limit kept in ir_property (up to 17.0), or the default of the company. 0 means unlimited, as in Odoo.'),
('odoo', 2, 'customer_jsonb', true, 'customer_property',
 '{"res_partner": "id, name, commercial_partner_id, credit_limit:jsonb", "res_company": "id, currency_id",
   "res_currency": "id, name", "ir_default": "field_id, company_id, user_id, json_value", "ir_model_fields": "id, model, name"}',
 'Customers: every commercial partner in every company (segment), with the credit limit kept by company in res_partner (from 18.0 on), or the default of the company. 0 means unlimited, as in Odoo.'),
('odoo', 3, 'customer', false, 'customer_property customer_jsonb',
 '{"res_partner": "id, name, commercial_partner_id", "res_company": "id, currency_id", "res_currency": "id, name"}',
 'Customers: every commercial partner in every company (segment). No place for limits was found; use credit.set_limit().'),
('odoo', 4, 'order', false, NULL,
 '{"sale_order": "id, name, partner_invoice_id, company_id, currency_id, state, amount_total, date_order, commitment_date",
   "res_partner": "id, commercial_partner_id", "res_currency": "id, name"}',
 'Orders: confirmed sales orders at amount_total (tax included), of the commercial partner of the invoice address.'),
('odoo', 5, 'delivery', false, NULL,
 '{"sale_order_line": "id, order_id, qty_delivered, product_uom_qty, price_total", "sale_order": "id, name, partner_invoice_id, company_id, currency_id, date_order",
   "res_partner": "id, commercial_partner_id", "res_currency": "id, name, decimal_places"}',
 'Deliveries: one for each order line, of what is delivered of it (qty_delivered) at the price of the line with tax.'),
('odoo', 6, 'receivable', false, NULL,
 '{"account_move_line": "id, partner_id, company_id, currency_id, account_id, amount_currency, amount_residual_currency, parent_state, move_name, date, date_maturity",
   "account_account": "id, account_type", "res_partner": "id, commercial_partner_id", "res_currency": "id, name"}',
 'Receivables: posted journal items on accounts of type asset_receivable: invoices, credit notes, payments. What is open of each is its residual, which Odoo keeps.'),
('odoo', 7, 'invoiced', false, NULL,
 '{"account_move_line": "id, move_id, account_id, quantity, price_total, parent_state, product_uom_id, currency_id", "account_move": "id, move_type",
   "sale_order_line_invoice_rel": "order_line_id, invoice_line_id", "account_account": "id, account_type",
   "sale_order_line": "id, order_id, price_total, product_uom_qty, product_uom, is_downpayment",
   "uom_uom": "id, factor", "res_currency": "id, decimal_places"}',
 'What is invoiced of an order: lines of posted invoices and credit notes that are joined to order lines, by quantity at the price of the order line with tax; down payments at their amount.'),
('odoo', 8, 'rate', true, NULL,
 '{"res_currency": "id, name", "res_currency_rate": "name, rate, currency_id, company_id"}',
 'Exchange rates.')
) AS p (preset, place, part, is_optional, instead_of, needs, explanation)
 WHERE p.preset = preset_parts.preset
$f$;
COMMENT ON FUNCTION credit.preset_parts(text) IS
'Parts of a preset with the tables and columns that each needs ("column:type" where the type matters).';
/*
 * The views.  Every one can be read by its key through indexes that the ERP
 * has, and no key query has to read a table in full.  What is not declared cannot
 * change in the ERP once the document is there: the lines of a move exist before
 * its invoice points to it, and the type of a move stays.
 */
CREATE FUNCTION credit.preset_views(preset text)
RETURNS TABLE (part text, view text, query text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT v.part, v.view, v.query
  FROM (VALUES
('tryton', 'customer_limit', 'customer', $$
SELECT p.id AS party, c.id AS company, p.name, y.code AS currency,
       CASE WHEN l.is_there THEN l.credit_limit_amount
            ELSE (SELECT d.default_credit_limit_amount
                    FROM {erp}.account_configuration_default_credit_limit_amount d
                   WHERE d.company = c.id ORDER BY d.id LIMIT 1) END AS credit_limit
  FROM {erp}.party_party p
 CROSS JOIN {erp}.company_company c
  JOIN {erp}.currency_currency y ON y.id = c.currency
  LEFT JOIN LATERAL
       (SELECT true AS is_there, x.credit_limit_amount
          FROM {erp}.party_party_credit_limit_amount x
         WHERE x.party = p.id AND x.company = c.id ORDER BY x.id LIMIT 1) l ON true$$),
('tryton', 'customer', 'customer', $$
SELECT p.id AS party, c.id AS company, p.name, y.code AS currency
  FROM {erp}.party_party p
 CROSS JOIN {erp}.company_company c
  JOIN {erp}.currency_currency y ON y.id = c.currency$$),
('tryton', 'order', 'sale', $$
SELECT s.id, COALESCE(s.invoice_party, s.party) AS party, s.company, y.code AS currency,
       s.total_amount_cache AS total, s.state, s.number, s.sale_date, s.shipping_date
  FROM {erp}.sale_sale s
  JOIN {erp}.currency_currency y ON y.id = s.currency$$),
('tryton', 'delivery', 'delivery', $$
SELECT m.id, COALESCE(s.invoice_party, s.party) AS party, s.company, y.code AS currency,
       s.id AS sale, s.number || '/' || m.id AS number, m.state, m.effective_date,
       round((sign(l.quantity) * m.quantity *
              CASE WHEN m.uom = l.unit THEN 1 ELSE f.factor / t.factor END)::numeric * l.unit_price *
             COALESCE(s.total_amount_cache / NULLIF(s.untaxed_amount_cache, 0), 1), y.digits) AS value
  FROM {erp}.stock_move m
  JOIN {erp}.sale_line l
    ON l.id = CASE WHEN m.origin LIKE 'sale.line,%' THEN split_part(m.origin, ',', 2)::integer END
  JOIN {erp}.sale_sale s ON s.id = l.sale
  JOIN {erp}.currency_currency y ON y.id = s.currency
  LEFT JOIN {erp}.product_uom f ON f.id = m.uom
  LEFT JOIN {erp}.product_uom t ON t.id = l.unit$$),
('tryton', 'receivable', 'receivable', $$
SELECT l.id, l.party, m.company, COALESCE(y2.code, y.code) AS currency,
       CASE WHEN y2.code IS NULL THEN l.debit - l.credit ELSE l.amount_second_currency END AS amount,
       m.state, COALESCE(m.post_number, m.number) AS number, m.date, m.post_date,
       l.maturity_date, r.date AS reconciled_on
  FROM {erp}.account_move_line l
  JOIN {erp}.account_move m ON m.id = l.move
  JOIN {erp}.account_account a ON a.id = l.account
  JOIN {erp}.account_account_type t ON t.id = a.type AND t.receivable
  JOIN {erp}.company_company c ON c.id = m.company
  JOIN {erp}.currency_currency y ON y.id = c.currency
  LEFT JOIN {erp}.currency_currency y2 ON y2.id = l.second_currency
  LEFT JOIN {erp}.account_move_reconciliation r ON r.id = l.reconciliation$$),
('tryton', 'invoiced', 'invoiced', $$
SELECT i.id, v.state, s.id AS sale,
       (SELECT min(r.id) FROM {erp}.account_move_line r
         WHERE r.move = v.move AND r.account = v.account) AS receivable,
       round((i.quantity *
              CASE WHEN i.unit IS NULL OR i.unit = l.unit THEN 1 ELSE f.factor / t.factor END)::numeric *
             l.unit_price * COALESCE(s.total_amount_cache / NULLIF(s.untaxed_amount_cache, 0), 1), y.digits) AS value
  FROM {erp}.account_invoice_line i
  JOIN {erp}.account_invoice v ON v.id = i.invoice AND v.type = 'out'
  JOIN {erp}.sale_line l
    ON l.id = CASE WHEN i.origin LIKE 'sale.line,%' THEN split_part(i.origin, ',', 2)::integer END
  JOIN {erp}.sale_sale s ON s.id = l.sale
  JOIN {erp}.currency_currency y ON y.id = s.currency
  LEFT JOIN {erp}.product_uom f ON f.id = i.unit
  LEFT JOIN {erp}.product_uom t ON t.id = l.unit
 WHERE i.type = 'line' AND l.type = 'line'$$),
('tryton', 'applied', 'applied', $$
SELECT p.id, p.line AS payment, q.id AS receivable, m.date,
       abs(CASE WHEN l.second_currency IS NULL THEN l.debit - l.credit ELSE l.amount_second_currency END) AS amount
  FROM {erp}."account_invoice-account_move_line" p
  JOIN {erp}.account_move_line l ON l.id = p.line
  JOIN {erp}.account_move m ON m.id = l.move
  JOIN {erp}.account_invoice v ON v.id = p.invoice AND v.type = 'out'
  JOIN {erp}.account_move_line q ON q.move = v.move AND q.account = v.account
 WHERE NOT EXISTS (SELECT FROM {erp}.account_move_line x
                    WHERE x.move = v.move AND x.account = v.account AND x.id <> q.id)$$),
('tryton', 'rate', 'rate', $$
SELECT y.code AS currency, r.date AS valid_on, r.rate, NULL::integer AS company
  FROM {erp}.currency_currency_rate r
  JOIN {erp}.currency_currency y ON y.id = r.currency$$),
('odoo', 'customer_property', 'customer', $$
SELECT p.id AS partner, c.id AS company, p.name, y.name AS currency,
       COALESCE((SELECT x.value_float FROM {erp}.ir_property x
                  WHERE x.name = 'credit_limit' AND x.res_id = 'res.partner,' || p.id
                    AND x.company_id = c.id LIMIT 1),
                (SELECT x.value_float FROM {erp}.ir_property x
                  WHERE x.name = 'credit_limit' AND x.res_id IS NULL
                    AND (x.company_id = c.id OR x.company_id IS NULL)
                  ORDER BY x.company_id LIMIT 1)) AS credit_limit
  FROM {erp}.res_partner p
 CROSS JOIN {erp}.res_company c
  JOIN {erp}.res_currency y ON y.id = c.currency_id
 WHERE p.commercial_partner_id = p.id$$),
('odoo', 'customer_jsonb', 'customer', $$
SELECT p.id AS partner, c.id AS company, p.name, y.name AS currency,
       COALESCE((p.credit_limit ->> c.id::text)::numeric,
                (SELECT x.json_value::numeric FROM {erp}.ir_default x
                   JOIN {erp}.ir_model_fields f ON f.id = x.field_id
                  WHERE f.model = 'res.partner' AND f.name = 'credit_limit' AND x.user_id IS NULL
                    AND (x.company_id = c.id OR x.company_id IS NULL)
                  ORDER BY x.company_id LIMIT 1)) AS credit_limit
  FROM {erp}.res_partner p
 CROSS JOIN {erp}.res_company c
  JOIN {erp}.res_currency y ON y.id = c.currency_id
 WHERE p.commercial_partner_id = p.id$$),
('odoo', 'customer', 'customer', $$
SELECT p.id AS partner, c.id AS company, p.name, y.name AS currency
  FROM {erp}.res_partner p
 CROSS JOIN {erp}.res_company c
  JOIN {erp}.res_currency y ON y.id = c.currency_id
 WHERE p.commercial_partner_id = p.id$$),
('odoo', 'order', 'sale_order', $$
SELECT o.id, p.commercial_partner_id AS partner, o.company_id AS company, y.name AS currency,
       o.amount_total::numeric AS amount, o.state, o.name AS number, o.date_order::date AS ordered_on,
       o.commitment_date::date AS promised_on
  FROM {erp}.sale_order o
  JOIN {erp}.res_partner p ON p.id = o.partner_invoice_id
  JOIN {erp}.res_currency y ON y.id = o.currency_id$$),
('odoo', 'delivery', 'delivery', $$
SELECT l.id, p.commercial_partner_id AS partner, o.company_id AS company, y.name AS currency,
       o.id AS sale_order, o.name || '/' || l.id AS number, o.date_order::date AS ordered_on,
       l.qty_delivered,
       round(l.price_total::numeric * l.qty_delivered::numeric / NULLIF(l.product_uom_qty, 0)::numeric,
             y.decimal_places) AS value
  FROM {erp}.sale_order_line l
  JOIN {erp}.sale_order o ON o.id = l.order_id
  JOIN {erp}.res_partner p ON p.id = o.partner_invoice_id
  JOIN {erp}.res_currency y ON y.id = o.currency_id$$),
('odoo', 'receivable', 'receivable', $$
SELECT l.id, p.commercial_partner_id AS partner, l.company_id AS company, y.name AS currency,
       l.amount_currency::numeric AS amount, l.amount_residual_currency::numeric AS residual,
       l.parent_state AS state, l.move_name AS number, l.date, l.date_maturity
  FROM {erp}.account_move_line l
  JOIN {erp}.account_account a ON a.id = l.account_id AND a.account_type = 'asset_receivable'
  JOIN {erp}.res_partner p ON p.id = l.partner_id
  JOIN {erp}.res_currency y ON y.id = l.currency_id$$),
('odoo', 'invoiced', 'invoiced', $$
SELECT l.id, l.parent_state AS state, x.sale_order,
       (SELECT min(r.id) FROM {erp}.account_move_line r
          JOIN {erp}.account_account a ON a.id = r.account_id AND a.account_type = 'asset_receivable'
         WHERE r.move_id = l.move_id) AS receivable,
       CASE m.move_type WHEN 'out_refund' THEN -1 ELSE 1 END * round(x.value, y.decimal_places) AS value
  FROM {erp}.account_move_line l
  JOIN {erp}.account_move m ON m.id = l.move_id AND m.move_type IN ('out_invoice', 'out_refund')
  JOIN {erp}.res_currency y ON y.id = l.currency_id
 CROSS JOIN LATERAL
       (SELECT min(s.order_id) AS sale_order,
               sum(CASE WHEN s.is_downpayment THEN l.price_total::numeric
                        ELSE s.price_total::numeric / NULLIF(s.product_uom_qty, 0)::numeric * l.quantity::numeric *
                             CASE WHEN l.product_uom_id IS NULL OR l.product_uom_id = s.product_uom THEN 1
                                  ELSE (SELECT t.factor::numeric FROM {erp}.uom_uom t WHERE t.id = s.product_uom) /
                                       (SELECT f.factor::numeric FROM {erp}.uom_uom f WHERE f.id = l.product_uom_id) END
                   END) AS value
          FROM {erp}.sale_order_line_invoice_rel r
          JOIN {erp}.sale_order_line s ON s.id = r.order_line_id
         WHERE r.invoice_line_id = l.id) x
 WHERE x.sale_order IS NOT NULL$$),
('odoo', 'rate', 'rate', $$
SELECT y.name AS currency, r.name AS valid_on, r.rate::numeric AS rate, r.company_id AS company
  FROM {erp}.res_currency_rate r
  JOIN {erp}.res_currency y ON y.id = r.currency_id$$)
) AS v (preset, part, view, query)
 WHERE v.preset = preset_views.preset
$f$;
COMMENT ON FUNCTION credit.preset_views(text) IS
'Views of a preset; {erp} stands for the schema of the ERP.';
CREATE FUNCTION credit.preset_sources(preset text)
RETURNS TABLE (part text, view text, kind text, arguments json)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT s.part, s.view, s.kind, s.arguments::json
  FROM (VALUES
('tryton', 'customer_limit', 'customer', 'customer',
 '{"key": "party", "segment": "company", "name": "name", "currency": "currency", "credit_limit": "credit_limit", "null_limit": "unlimited"}'),
('tryton', 'customer', 'customer', 'customer',
 '{"key": "party", "segment": "company", "name": "name", "currency": "currency"}'),
('tryton', 'order', 'sale', 'order',
 '{"key": "id", "customer": "party", "segment": "company", "currency": "currency", "amount": "total", "number": "number", "document_date": "sale_date", "due_date": "shipping_date", "counts_when": "state IN (''confirmed'', ''processing'')"}'),
('tryton', 'delivery', 'delivery', 'delivery',
 '{"key": "id", "customer": "party", "segment": "company", "currency": "currency", "amount": "value", "number": "number", "document_date": "effective_date", "origin": "sale", "counts_when": "state = ''done''"}'),
('tryton', 'receivable', 'receivable', 'receivable',
 '{"key": "id", "customer": "party", "segment": "company", "currency": "currency", "amount": "amount", "number": "number", "document_date": "date", "posting_date": "post_date", "due_date": "maturity_date", "settled_on": "reconciled_on", "counts_when": "state = ''posted''"}'),
('tryton', 'invoiced', 'invoiced', 'link',
 '{"key": "id", "document": "receivable", "origin": "sale", "amount": "value", "applies_to_kind": "receivable", "counts_when": "state IN (''posted'', ''paid'')"}'),
('tryton', 'applied', 'applied', 'application',
 '{"key": "id", "payment": "payment", "applies_to": "receivable", "amount": "amount", "document_date": "date", "applies_to_kind": "receivable", "payment_kind": "receivable"}'),
('odoo', 'customer_property', 'customer', 'customer',
 '{"key": "partner", "segment": "company", "name": "name", "currency": "currency", "credit_limit": "credit_limit", "null_limit": "unlimited", "zero_limit": "unlimited"}'),
('odoo', 'customer_jsonb', 'customer', 'customer',
 '{"key": "partner", "segment": "company", "name": "name", "currency": "currency", "credit_limit": "credit_limit", "null_limit": "unlimited", "zero_limit": "unlimited"}'),
('odoo', 'customer', 'customer', 'customer',
 '{"key": "partner", "segment": "company", "name": "name", "currency": "currency"}'),
('odoo', 'order', 'sale_order', 'order',
 '{"key": "id", "customer": "partner", "segment": "company", "currency": "currency", "amount": "amount", "number": "number", "document_date": "ordered_on", "due_date": "promised_on", "counts_when": "state IN (''sale'', ''done'')"}'),
('odoo', 'delivery', 'delivery', 'delivery',
 '{"key": "id", "customer": "partner", "segment": "company", "currency": "currency", "amount": "value", "number": "number", "document_date": "ordered_on", "origin": "sale_order", "counts_when": "qty_delivered <> 0"}'),
('odoo', 'receivable', 'receivable', 'receivable',
 '{"key": "id", "customer": "partner", "segment": "company", "currency": "currency", "amount": "amount", "open_amount": "residual", "number": "number", "document_date": "date", "due_date": "date_maturity", "counts_when": "state = ''posted''"}'),
('odoo', 'invoiced', 'invoiced', 'link',
 '{"key": "id", "document": "receivable", "origin": "sale_order", "amount": "value", "applies_to_kind": "receivable", "counts_when": "state = ''posted''"}')
) AS s (preset, part, view, kind, arguments)
 WHERE s.preset = preset_sources.preset
$f$;
COMMENT ON FUNCTION credit.preset_sources(text) IS
'Calls of attach() of a preset: view, kind and the other arguments.';
/*
 * A row that is nobody's is left out by a condition, because each key that is
 * named takes a row of the ledger: relation changed has old rows and new ones,
 * so a row that becomes or stops being a document is not missed.
 */
CREATE FUNCTION credit.preset_dependencies(preset text)
RETURNS TABLE (part text, view text, relation text, changed_keys text)
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $f$
SELECT d.part, d.view, d.relation, d.changed_keys
  FROM (VALUES
('tryton', 'customer_limit', 'customer', 'party_party', 'SELECT id FROM changed'),
('tryton', 'customer_limit', 'customer', 'party_party_credit_limit_amount', 'SELECT party FROM changed'),
('tryton', 'customer_limit', 'customer', 'account_configuration_default_credit_limit_amount',
 'SELECT p.id FROM changed c CROSS JOIN {erp}.party_party p'),
('tryton', 'customer_limit', 'customer', 'company_company',
 'SELECT p.id FROM changed c CROSS JOIN {erp}.party_party p'),
('tryton', 'customer', 'customer', 'party_party', 'SELECT id FROM changed'),
('tryton', 'customer', 'customer', 'company_company',
 'SELECT p.id FROM changed c CROSS JOIN {erp}.party_party p'),
('tryton', 'order', 'sale', 'sale_sale', 'SELECT id FROM changed'),
('tryton', 'delivery', 'delivery', 'stock_move', $$SELECT id FROM changed WHERE origin LIKE 'sale.line,%'$$),
('tryton', 'delivery', 'delivery', 'sale_line',
 $$SELECT m.id FROM changed c JOIN {erp}.stock_move m ON m.origin = 'sale.line,' || c.id$$),
('tryton', 'delivery', 'delivery', 'sale_sale',
 $$SELECT m.id FROM changed c JOIN {erp}.sale_line l ON l.sale = c.id JOIN {erp}.stock_move m ON m.origin = 'sale.line,' || l.id$$),
('tryton', 'receivable', 'receivable', 'account_move_line',
 'SELECT c.id FROM changed c JOIN {erp}.account_account a ON a.id = c.account JOIN {erp}.account_account_type t ON t.id = a.type AND t.receivable'),
('tryton', 'receivable', 'receivable', 'account_move',
 'SELECT l.id FROM changed c JOIN {erp}.account_move_line l ON l.move = c.id JOIN {erp}.account_account a ON a.id = l.account JOIN {erp}.account_account_type t ON t.id = a.type AND t.receivable'),
('tryton', 'receivable', 'receivable', 'account_move_reconciliation',
 'SELECT l.id FROM changed c JOIN {erp}.account_move_line l ON l.reconciliation = c.id'),
('tryton', 'receivable', 'receivable', 'account_account',
 'SELECT l.id FROM changed c JOIN {erp}.account_move_line l ON l.account = c.id'),
('tryton', 'receivable', 'receivable', 'account_account_type',
 'SELECT l.id FROM changed c JOIN {erp}.account_account a ON a.type = c.id JOIN {erp}.account_move_line l ON l.account = a.id'),
('tryton', 'invoiced', 'invoiced', 'account_invoice_line', $$SELECT id FROM changed WHERE origin LIKE 'sale.line,%'$$),
('tryton', 'invoiced', 'invoiced', 'account_invoice',
 $$SELECT l.id FROM changed c JOIN {erp}.account_invoice_line l ON l.invoice = c.id WHERE c.type = 'out' AND l.origin LIKE 'sale.line,%'$$),
('tryton', 'invoiced', 'invoiced', 'sale_line',
 $$SELECT i.id FROM changed c JOIN {erp}.account_invoice_line i ON i.origin = 'sale.line,' || c.id$$),
('tryton', 'invoiced', 'invoiced', 'sale_sale',
 $$SELECT i.id FROM changed c JOIN {erp}.sale_line l ON l.sale = c.id JOIN {erp}.account_invoice_line i ON i.origin = 'sale.line,' || l.id$$),
('tryton', 'applied', 'applied', 'account_invoice-account_move_line', 'SELECT id FROM changed'),
('tryton', 'applied', 'applied', 'account_move_line',
 'SELECT p.id FROM changed c JOIN {erp}."account_invoice-account_move_line" p ON p.line = c.id'),
('tryton', 'applied', 'applied', 'account_move',
 'SELECT p.id FROM changed c JOIN {erp}.account_move_line l ON l.move = c.id JOIN {erp}."account_invoice-account_move_line" p ON p.line = l.id'),
('tryton', 'applied', 'applied', 'account_invoice',
 'SELECT p.id FROM changed c JOIN {erp}."account_invoice-account_move_line" p ON p.invoice = c.id'),
('odoo', 'customer_property', 'customer', 'res_partner', 'SELECT id FROM changed WHERE id = commercial_partner_id'),
('odoo', 'customer_property', 'customer', 'res_company',
 'SELECT p.id FROM changed c CROSS JOIN {erp}.res_partner p WHERE p.id = p.commercial_partner_id'),
('odoo', 'customer_property', 'customer', 'ir_property',
 $$SELECT split_part(c.res_id, ',', 2)::integer FROM changed c WHERE c.name = 'credit_limit' AND c.res_id LIKE 'res.partner,%' UNION ALL SELECT p.id FROM changed c CROSS JOIN {erp}.res_partner p WHERE c.name = 'credit_limit' AND c.res_id IS NULL AND p.id = p.commercial_partner_id$$),
('odoo', 'customer_jsonb', 'customer', 'res_partner', 'SELECT id FROM changed WHERE id = commercial_partner_id'),
('odoo', 'customer_jsonb', 'customer', 'res_company',
 'SELECT p.id FROM changed c CROSS JOIN {erp}.res_partner p WHERE p.id = p.commercial_partner_id'),
('odoo', 'customer_jsonb', 'customer', 'ir_default',
 $$SELECT p.id FROM changed c JOIN {erp}.ir_model_fields f ON f.id = c.field_id AND f.model = 'res.partner' AND f.name = 'credit_limit' CROSS JOIN {erp}.res_partner p WHERE p.id = p.commercial_partner_id$$),
('odoo', 'customer', 'customer', 'res_partner', 'SELECT id FROM changed WHERE id = commercial_partner_id'),
('odoo', 'customer', 'customer', 'res_company',
 'SELECT p.id FROM changed c CROSS JOIN {erp}.res_partner p WHERE p.id = p.commercial_partner_id'),
('odoo', 'order', 'sale_order', 'sale_order', 'SELECT id FROM changed'),
('odoo', 'order', 'sale_order', 'res_partner',
 'SELECT o.id FROM changed c JOIN {erp}.sale_order o ON o.partner_invoice_id = c.id'),
('odoo', 'delivery', 'delivery', 'sale_order_line', 'SELECT id FROM changed WHERE qty_delivered <> 0'),
('odoo', 'delivery', 'delivery', 'sale_order',
 'SELECT l.id FROM changed c JOIN {erp}.sale_order_line l ON l.order_id = c.id WHERE l.qty_delivered <> 0'),
('odoo', 'delivery', 'delivery', 'res_partner',
 'SELECT l.id FROM changed c JOIN {erp}.sale_order o ON o.partner_invoice_id = c.id JOIN {erp}.sale_order_line l ON l.order_id = o.id WHERE l.qty_delivered <> 0'),
('odoo', 'receivable', 'receivable', 'account_move_line',
 $$SELECT c.id FROM changed c JOIN {erp}.account_account a ON a.id = c.account_id AND a.account_type = 'asset_receivable'$$),
('odoo', 'receivable', 'receivable', 'account_account',
 $$SELECT l.id FROM changed c JOIN {erp}.account_move_line l ON l.account_id = c.id$$),
('odoo', 'receivable', 'receivable', 'res_partner',
 $$SELECT l.id FROM changed c JOIN {erp}.account_move_line l ON l.partner_id = c.id JOIN {erp}.account_account a ON a.id = l.account_id AND a.account_type = 'asset_receivable'$$),
('odoo', 'invoiced', 'invoiced', 'sale_order_line_invoice_rel', 'SELECT invoice_line_id FROM changed'),
('odoo', 'invoiced', 'invoiced', 'account_move_line',
 'SELECT c.id FROM changed c JOIN {erp}.sale_order_line_invoice_rel r ON r.invoice_line_id = c.id'),
('odoo', 'invoiced', 'invoiced', 'sale_order_line',
 'SELECT r.invoice_line_id FROM changed c JOIN {erp}.sale_order_line_invoice_rel r ON r.order_line_id = c.id')
) AS d (preset, part, view, relation, changed_keys)
 WHERE d.preset = preset_dependencies.preset
$f$;
COMMENT ON FUNCTION credit.preset_dependencies(text) IS
'Calls of depend() of a preset; {erp} stands for the schema of the ERP.';
CREATE VIEW credit.presets AS
SELECT c.name, c.erp, c.version, c.checked,
	   ARRAY(SELECT DISTINCT s.kind FROM credit.preset_sources(c.name) s ORDER BY s.kind) AS kinds,
	   c.not_covered
  FROM credit.preset_catalog() c;
COMMENT ON VIEW credit.presets IS 'Ready mappings: SELECT * FROM credit.attach_preset(name) explains one.';
COMMENT ON COLUMN credit.presets.name IS 'Name, for attach_preset().';
COMMENT ON COLUMN credit.presets.erp IS 'The ERP.';
COMMENT ON COLUMN credit.presets.version IS 'Versions of the ERP whose tables it was checked against.';
COMMENT ON COLUMN credit.presets.checked IS 'How it was checked.';
COMMENT ON COLUMN credit.presets.kinds IS 'Kinds of sources it attaches.';
COMMENT ON COLUMN credit.presets.not_covered IS 'What it leaves out.';
/* What a part needs and the ERP does not have, one phrase each. */
CREATE FUNCTION credit.preset_missing(needs json, erp_schema text) RETURNS SETOF text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT CASE WHEN c.oid IS NULL THEN format('table %I.%I', erp_schema, n.key)
			WHEN a.attname IS NULL THEN format('column %I of %I.%I', w.name, erp_schema, n.key)
			ELSE format('column %I of %I.%I as %s, it is %s', w.name, erp_schema, n.key, w.type, format_type(a.atttypid, NULL)) END
  FROM json_each_text(needs) n
 CROSS JOIN LATERAL (SELECT split_part(x, ':', 1) AS name, NULLIF(split_part(x, ':', 2), '') AS type, x.place
					   FROM regexp_split_to_table(n.value, ',\s*') WITH ORDINALITY x (x, place)) w
  LEFT JOIN pg_class c ON c.relname = n.key AND c.relkind IN ('r', 'p')
					  AND c.relnamespace = (SELECT s.oid FROM pg_namespace s WHERE s.nspname = erp_schema)
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w.name AND a.attnum > 0 AND NOT a.attisdropped
 WHERE (c.oid IS NULL AND w.place = 1)
	OR (c.oid IS NOT NULL AND a.attname IS NULL)
	OR w.type <> format_type(a.atttypid, NULL)
 ORDER BY 1
$$;
COMMENT ON FUNCTION credit.preset_missing(json, text) IS
'Tables and columns that a part of a preset needs and the ERP does not have.';
/* The parts that are taken, and why the others are not. */
CREATE FUNCTION credit.preset_choice(preset text, erp_schema text)
RETURNS TABLE (place integer, part text, is_taken boolean, missing text[], explanation text, reason text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p record;
	taken text[] := '{}';
BEGIN
	FOR p IN SELECT * FROM credit.preset_parts(preset) x ORDER BY x.place LOOP
		place := p.place;
		part := p.part;
		explanation := p.explanation;
		reason := NULL;
		missing := ARRAY(SELECT credit.preset_missing(p.needs, erp_schema));
		IF string_to_array(p.instead_of, ' ') && taken THEN
			is_taken := false;
			missing := '{}';
			reason := 'not needed: the ERP has what another part reads';
		ELSIF p.is_optional AND cardinality(missing) > 0 THEN
			is_taken := false;
			reason := 'left out, missing: ' || array_to_string(missing, '; ');
			missing := '{}';
		ELSE
			is_taken := true;
			taken := taken || p.part;
		END IF;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.preset_choice(text, text) IS
'Which parts of a preset an ERP has the tables for, and what is missing for those it cannot do without.';
/* What the ERP says of its version, in words. */
CREATE FUNCTION credit.preset_version(preset text, erp_schema text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found text;
	checked text := (SELECT c.version FROM credit.preset_catalog() c WHERE c.name = preset);
BEGIN
	IF preset <> 'odoo' THEN
		RETURN format('checked against %s; the ERP does not write its version into the database, so its tables and columns are compared', checked);
	END IF;
	IF EXISTS (SELECT credit.preset_missing('{"ir_module_module": "name, latest_version"}', erp_schema)) THEN
		RETURN format('checked against %s; no version found', checked);
	END IF;
	EXECUTE format('SELECT m.latest_version FROM %I.ir_module_module m WHERE m.name = ''base''', erp_schema) INTO found;
	found := substring(found FROM '^[0-9]+\.[0-9]+');
	RETURN CASE WHEN found IS NULL THEN format('checked against %s; no version found', checked)
				WHEN found = ANY (string_to_array(checked, ', ')) THEN format('%s, which it was checked against', found)
				ELSE format('%s, but checked against %s: compare with care, and start in shadow mode', found, checked) END;
END
$$;
COMMENT ON FUNCTION credit.preset_version(text, text) IS
'The version of the ERP, as far as it can be found, beside the one a preset was checked against.';
/* All steps of a preset as statements, in order, with placeholders filled in. */
CREATE FUNCTION credit.preset_steps(preset text, erp_schema text, view_schema text, on_breach text, lock_timeout text)
RETURNS TABLE (action text, part text, object text, explanation text, statement text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH p AS MATERIALIZED (SELECT * FROM credit.preset_choice(preset, erp_schema) c WHERE c.is_taken)
SELECT s.action, s.part, s.object, s.explanation, replace(replace(s.statement, '{erp}', quote_ident(erp_schema)), '{view}', quote_ident(view_schema))
  FROM (SELECT 1 AS phase, 0 AS place, 'schema' AS action, NULL AS part, quote_ident(view_schema) AS object,
			   'A schema of yours for the views. They read the tables of the ERP with the rights of their owner, who is whoever runs this.' AS explanation,
			   'CREATE SCHEMA IF NOT EXISTS {view}' AS statement
		UNION ALL
		SELECT 2, p.place, 'view', p.part, '{view}.' || v.view, p.explanation, format('CREATE VIEW {view}.%I AS%s', v.view, v.query)
		  FROM p JOIN credit.preset_views(preset) v ON v.part = p.part
		UNION ALL
		SELECT 3, p.place, 'attach', p.part, '{view}.' || v.view,
			   format('Takes what is there into the ledger as %s. Locks nothing.', v.kind),
			   format('SELECT credit.attach(''{view}.%I'', %L, %s)', v.view, v.kind,
					  (SELECT string_agg(format('%I => %L', a.key, a.value), ', ')
						 FROM (SELECT x.key, x.value FROM json_each_text(v.arguments) x
							   UNION ALL
							   SELECT 'on_breach', on_breach WHERE v.kind IN ('order', 'delivery')) a))
		  FROM p JOIN credit.preset_sources(preset) v ON v.part = p.part
		UNION ALL
		SELECT 4, p.place, 'depend', p.part, '{view}.' || d.view,
			   format('Puts triggers on %I, waiting for its writers at most %s: from now on its rows change the documents of {view}.%I.', d.relation, lock_timeout, d.view),
			   format('SELECT credit.depend(''{view}.%I'', ''{erp}.%I'', %L, %L)', d.view, d.relation, d.changed_keys, lock_timeout)
		  FROM p JOIN credit.preset_dependencies(preset) d ON d.part = p.part
		UNION ALL
		SELECT 5, p.place, 'rates', p.part, 'credit.exchange_rate',
			   'Copies the exchange rates of the ERP, crossed through setting currency. Repeat it whenever rates are entered, for example every day.',
			   'SELECT credit.load_rates(''{view}.rate'')'
		  FROM p WHERE p.part = 'rate') s
 ORDER BY s.phase, s.place
$$;
COMMENT ON FUNCTION credit.preset_steps(text, text, text, text, text) IS
'What attach_preset() would do, as statements.';
/*
 * Rates of an ERP that keeps them against one common currency, as rates from
 * setting currency.
 */
CREATE FUNCTION credit.load_rates(relation regclass) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base text := (SELECT s.value FROM credit.settings s WHERE s.name = 'currency');
	type text := (SELECT s.value FROM credit.settings s WHERE s.name = 'rate_type');
	n bigint;
BEGIN
	EXECUTE format($q$
		WITH r AS (SELECT DISTINCT ON (x.currency, x.valid_on) x.currency, x.valid_on, x.rate
					 FROM %s x WHERE x.rate > 0 AND x.valid_on IS NOT NULL
					ORDER BY x.currency, x.valid_on, x.company NULLS FIRST)
		INSERT INTO credit.exchange_rate AS e (rate_type, from_currency, to_currency, valid_on, rate, source)
		SELECT $1, $2, r.currency, r.valid_on, r.rate / b.rate, %L
		  FROM r
		 CROSS JOIN LATERAL (SELECT COALESCE((SELECT o.rate FROM r o
											   WHERE o.currency = $2 AND o.valid_on <= r.valid_on
											   ORDER BY o.valid_on DESC LIMIT 1), 1) AS rate) b
		 WHERE r.currency <> $2
		ON CONFLICT ON CONSTRAINT exchange_rate_pkey
		DO UPDATE SET rate = excluded.rate, source = excluded.source WHERE e.rate <> excluded.rate$q$,
		relation, relation::text)
	  USING type, base;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.load_rates(regclass) IS
'Enters the rates of a view with columns currency, valid_on, rate (units for one of a common currency) and company as exchange rates from setting currency; returns how many were new or changed. Where companies have rates of their own, the one without a company counts, else the first.';
/* Tries the views and mappings and takes everything back; what is wrong, and how many rows each has. */
CREATE FUNCTION credit.try_preset(preset text, erp_schema text, view_schema text)
RETURNS TABLE (part text, problem text, n_rows bigint, currencies text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	results jsonb := '[]';
	s record;
	v record;
	problems text[];
	checked record;
	n bigint;
	money text;
BEGIN
	BEGIN
		FOR s IN SELECT * FROM credit.preset_steps(preset, erp_schema, view_schema, 'off', '5s') x
				  WHERE x.action IN ('schema', 'view') LOOP
			BEGIN
				EXECUTE s.statement;
			EXCEPTION WHEN OTHERS THEN
				results := results || jsonb_build_object('part', s.part, 'problem', SQLERRM);
			END;
		END LOOP;
		FOR v IN SELECT p.part, x.view, x.kind, x.arguments, to_regclass(format('%I.%I', view_schema, x.view)) AS relation
				   FROM credit.preset_choice(preset, erp_schema) p JOIN credit.preset_sources(preset) x ON x.part = p.part
				  WHERE p.is_taken ORDER BY p.place LOOP
			CONTINUE WHEN v.relation IS NULL;
			SELECT * INTO checked
			  FROM credit.check_fields(v.relation, v.kind,
					(SELECT jsonb_object_agg(a.key, a.value) FROM json_each_text(v.arguments) a
					  WHERE a.key IN (SELECT f.field FROM credit.field_catalog() f)), 'pg_catalog, pg_temp');
			problems := checked.problems;
			IF cardinality(problems) = 0 THEN
				problems := array_remove(ARRAY[credit.view_problem(v.relation, checked.normalised)], NULL);
			END IF;
			IF cardinality(problems) = 0 THEN
				problems := credit.check_rows(v.relation, v.kind, checked.normalised);
			END IF;
			BEGIN
				EXECUTE format('SELECT count(*), %s FROM %s x',
							   CASE v.kind WHEN 'customer' THEN 'string_agg(DISTINCT x.currency, '', '')' ELSE 'NULL' END, v.relation)
				   INTO n, money;
			EXCEPTION WHEN OTHERS THEN
				problems := problems || SQLERRM;
			END;
			results := results || jsonb_build_object('part', v.part, 'n', n, 'money', money, 'problem', NULLIF(array_to_string(problems, ' '), ''));
		END LOOP;
		RAISE EXCEPTION USING ERRCODE = 'CR001';
	EXCEPTION WHEN SQLSTATE 'CR001' THEN
		NULL;					/* nothing of it stays */
	END;
	RETURN QUERY SELECT r ->> 'part', r ->> 'problem', (r ->> 'n')::bigint, r ->> 'money' FROM jsonb_array_elements(results) r;
END
$$;
COMMENT ON FUNCTION credit.try_preset(text, text, text) IS
'Creates the views of a preset, reads them once, checks the mappings and takes everything back; use attach_preset().';
CREATE FUNCTION credit.attach_preset
	(name text, dry_run boolean DEFAULT true, erp_schema text DEFAULT 'public',
	 view_schema text DEFAULT NULL, on_breach text DEFAULT 'reject', lock_timeout text DEFAULT '5s')
RETURNS TABLE (step integer, action text, object text, explanation text, statement text, outcome text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
/* attach() would propose what stands in the next steps */
SET client_min_messages = warning
AS $$
#variable_conflict use_column
DECLARE
	preset text := attach_preset.name;
	is_dry boolean := COALESCE(attach_preset.dry_run, true);
	views text := COALESCE(attach_preset.view_schema, 'credit_' || attach_preset.name);
	breach text := attach_preset.on_breach;
	wait text := attach_preset.lock_timeout;
	erp text := attach_preset.erp_schema;
	problems text[];
	tried jsonb;
	p record;
	s record;
	d record;
	n bigint;
BEGIN
	IF NOT EXISTS (SELECT FROM credit.preset_catalog() c WHERE c.name = preset) THEN
		RAISE EXCEPTION 'there is no preset "%"', preset
			USING ERRCODE = 'undefined_object',
				  HINT = 'There are: ' || (SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM credit.preset_catalog() c) || '.';
	END IF;
	problems := ARRAY
		(SELECT DISTINCT m FROM credit.preset_choice(preset, erp) c CROSS JOIN LATERAL unnest(c.missing) m ORDER BY m);
	IF breach IS NULL OR breach NOT IN ('off', 'shadow', 'warn', 'reject') THEN
		problems := problems || format('on_breach: %L is not a reaction. Use off, shadow, warn or reject', breach);
	END IF;
	problems := problems || ARRAY
		(SELECT format('%I.%I is there already: detach what was attached before, and drop it', views, v.view)
		   FROM credit.preset_choice(preset, erp) c JOIN credit.preset_views(preset) v ON v.part = c.part
		  WHERE c.is_taken AND to_regclass(format('%I.%I', views, v.view)) IS NOT NULL);
	IF cardinality(problems) = 0 THEN
		SELECT jsonb_object_agg(t.part, to_jsonb(t)), array_agg(format('%s: %s', t.part, t.problem)) FILTER (WHERE t.problem IS NOT NULL)
		  INTO tried, problems
		  FROM credit.try_preset(preset, erp, views) t;
		problems := COALESCE(problems, '{}');
	END IF;
	IF cardinality(problems) > 0 AND NOT is_dry THEN
		RAISE EXCEPTION 'preset % does not fit schema %: % %', preset, erp, cardinality(problems),
				CASE WHEN cardinality(problems) = 1 THEN 'problem' ELSE 'problems' END
			USING ERRCODE = 'undefined_object',
				  DETAIL = array_to_string(problems, E'\n'),
				  HINT = 'Nothing was changed. erp_schema names the schema of the ERP; see credit.presets for the version this was checked against.';
	END IF;
	step := 0;
	/* what is the matter first */
	FOR p IN
		SELECT 'version' AS action, preset AS object, 'Version of the ERP.' AS explanation, credit.preset_version(preset, erp) AS outcome
		UNION ALL
		SELECT 'currency', 'setting currency', 'Exchange rates are crossed through it. Set it before the first attach to the currency of your main company.',
			   (SELECT x.value FROM credit.settings x WHERE x.name = 'currency') ||
			   COALESCE((SELECT '; companies of the ERP use ' || (t.value ->> 'currencies') FROM jsonb_each(tried) t
						  WHERE t.value ->> 'currencies' IS NOT NULL LIMIT 1), '')
		UNION ALL
		SELECT 'problem', erp, 'Has to be put right before anything is done.', x FROM unnest(problems) x
		UNION ALL
		(SELECT 'part', c.part, c.explanation, COALESCE(c.reason, 'ready' || COALESCE(': ' || (tried -> c.part ->> 'n_rows') || ' rows', ''))
		   FROM credit.preset_choice(preset, erp) c WHERE cardinality(c.missing) = 0 ORDER BY c.place)
	LOOP
		step := step + 1;
		action := p.action; object := p.object; explanation := p.explanation; statement := NULL; outcome := p.outcome;
		RETURN NEXT;
	END LOOP;
	FOR s IN SELECT * FROM credit.preset_steps(preset, erp, views, breach, wait) LOOP
		step := step + 1;
		action := s.action; object := replace(s.object, '{view}', quote_ident(views));
		explanation := replace(s.explanation, '{view}', quote_ident(views));
		statement := s.statement; outcome := 'would be done';
		IF NOT is_dry AND s.action IN ('schema', 'view') THEN
			EXECUTE s.statement;
			outcome := 'done';
		ELSIF NOT is_dry AND s.action = 'attach' THEN
			EXECUTE s.statement;
			outcome := 'done';
		ELSIF NOT is_dry AND s.action = 'rates' THEN
			EXECUTE s.statement INTO n;
			outcome := format('done: %s rates', n);
		ELSIF NOT is_dry AND s.action = 'depend' THEN
			outcome := 'done';
		END IF;
		RETURN NEXT;
	END LOOP;
	IF NOT is_dry THEN
		/* all tables of a view at once, so that its documents are looked at once */
		FOR d IN
			SELECT format('%I.%I', views, x.view) AS source, array_agg(format('%I.%I', erp, x.relation)::regclass ORDER BY x.relation) AS relations,
				   array_agg(replace(x.changed_keys, '{erp}', quote_ident(erp)) ORDER BY x.relation) AS queries
			  FROM credit.preset_choice(preset, erp) c JOIN credit.preset_dependencies(preset) x ON x.part = c.part
			 WHERE c.is_taken GROUP BY c.place, x.view ORDER BY c.place
		LOOP
			PERFORM credit.declare_dependencies(d.source, d.relations, d.queries, wait, 'pg_catalog, pg_temp');
		END LOOP;
	END IF;
	step := step + 1;
	action := 'note'; object := preset; statement := NULL; outcome := NULL;
	explanation := 'Not covered: ' || (SELECT c.not_covered FROM credit.preset_catalog() c WHERE c.name = preset);
	RETURN NEXT;
END
$$;
COMMENT ON FUNCTION credit.attach_preset(text, boolean, text, text, text, text) IS
'Attaches an ERP whose tables are known (view presets lists them): views in a schema of yours (view_schema, default credit_NAME) over the tables in erp_schema, attach() for each, depend() for the tables behind. As it stands it changes nothing, and says what it would do step by step and everything that is missing; dry_run => false does it, or nothing of it. on_breach is for orders and deliveries. Undo: doc/preset.md.';
/*
 * Subject adhoc: aging and payment behaviour of any query by one call, grouped
 * without GROUP BY.  src/adhoc.c, src/grouping.c.
 *
 * The query runs as the caller, read-only: no definer, and no search_path, which
 * would change what the caller's query means.
 */
CREATE FUNCTION credit.aging_report
	(query text, as_of date, credits text DEFAULT 'separate')
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000 ROWS 10000
AS 'MODULE_PATHNAME', 'credit_aging_report';
COMMENT ON FUNCTION credit.aging_report(text, date, text) IS
'Aging of each group of a query in one call, faster than GROUP BY. The query has the keys first, then open_amount and due_date; the call needs a column definition list: ... AS r(customer bigint, aging credit.aging_buckets).';
CREATE FUNCTION credit.aging_report
	(query text, as_of date, bounds integer[], credits text DEFAULT 'separate',
	 basis text DEFAULT 'due')
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000 ROWS 10000
AS 'MODULE_PATHNAME', 'credit_aging_report_bounds';
COMMENT ON FUNCTION credit.aging_report(text, date, integer[], text, text) IS
'The same with buckets of one''s own: ... AS r(customer bigint, aging credit.aging_array).';
CREATE FUNCTION credit.payment_report
	(query text, as_of date DEFAULT NULL, grace_days integer DEFAULT 0,
	 half_life integer DEFAULT 90)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000 ROWS 10000
AS 'MODULE_PATHNAME', 'credit_payment_report';
COMMENT ON FUNCTION credit.payment_report(text, date, integer, integer) IS
'Payment profile of each group of a query in one call, faster than GROUP BY. The query has the keys first, then amount, invoice_date, due_date and paid_date; the call needs a column definition list: ... AS r(customer bigint, profile credit.payment_measures).';





/*
 * Works out what bears a mark, some accounts at a time, in one statement each:
 * what is worked out and the marks that are taken away are of one snapshot.  A
 * mark that somebody writes meanwhile is not in it, and stays.
 */
CREATE OR REPLACE FUNCTION credit.fold_months(batch integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	this_month date := date_trunc('month', credit.today()::timestamp)::date;
	accounts bigint[];
	last bigint := 0;
	n bigint;
	total bigint := 0;
BEGIN
	IF batch IS NULL OR batch < 1 THEN
		RAISE EXCEPTION 'batch must be 1 or more, not %', batch USING ERRCODE = 'invalid_parameter_value';
	END IF;
	/* what comes by subscription is folded where it comes from */
	IF EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = 'credit.month_state'::regclass) THEN
		RETURN 0;
	END IF;
	/* two of them would work out the same months */
	LOCK TABLE credit.month_state IN SHARE ROW EXCLUSIVE MODE;
	PERFORM credit.maintain(true);
	LOOP
		/* where a settlement is dated in the future, a closed month can still change by itself */
		SELECT array_agg(q.account_id ORDER BY q.account_id) INTO accounts
		  FROM (SELECT DISTINCT m.account_id FROM credit.month_mark m
				 WHERE m.account_id > last AND (m.month < this_month OR m.month = 'infinity')
				   AND NOT EXISTS (SELECT FROM credit.settlement t JOIN credit.item i ON i.source_id = t.source_id AND i.key = t.key
									WHERE t.settled_on > credit.today() AND i.account_id = m.account_id)
				 ORDER BY m.account_id LIMIT batch) q;
		EXIT WHEN accounts IS NULL;
		last := accounts[array_upper(accounts, 1)];
		WITH mark AS
			(DELETE FROM credit.month_mark m
			  WHERE m.account_id = ANY (accounts) AND (m.month < this_month OR m.month = 'infinity')
			  RETURNING m.account_id, m.month),
		due AS (SELECT DISTINCT k.account_id, k.month FROM mark k),
		state AS
			(SELECT s.* FROM credit.month_states_of(accounts) s
			  WHERE s.month < this_month
				AND EXISTS (SELECT FROM due d WHERE d.account_id = s.account_id AND d.month IN (s.month, 'infinity'))),
		gone AS
			(DELETE FROM credit.month_state s USING due d
			  WHERE s.account_id = d.account_id AND (s.month = d.month OR d.month = 'infinity')
				AND NOT EXISTS (SELECT FROM state n WHERE n.account_id = s.account_id AND n.currency = s.currency AND n.month = s.month)),
		kept AS
			(INSERT INTO credit.month_state AS s (account_id, currency, month, by_debt, by_amount, n_undated, folded_at)
			 SELECT n.account_id, n.currency, n.month, n.by_debt, n.by_amount, n.n_undated, clock_timestamp() FROM state n
			 ON CONFLICT ON CONSTRAINT month_state_pkey DO UPDATE
			 SET by_debt = excluded.by_debt, by_amount = excluded.by_amount, n_undated = excluded.n_undated,
				 folded_at = excluded.folded_at)
		SELECT count(*) INTO n FROM due;
		total := total + n;
	END LOOP;
	PERFORM credit.maintain(false);
	RETURN total;
END
$$;

/*
 * Subject operation: what a DBA does to a database under the extension, and
 * what status() says of it.  doc/operation.md goes through it case by case.
 */

/*
 * Triggers that fire for rows which another database has accepted.  The check
 * lets such rows in, whatever the limit: to refuse one would stop replication.
 */
CREATE FUNCTION credit.follow_replication
	(source text, follow boolean DEFAULT true, lock_timeout text DEFAULT '5s')
RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s credit.source%ROWTYPE;
	one regclass;
	trigger text;
	n integer := 0;
BEGIN
	SELECT * INTO s FROM credit.source x WHERE x.name = follow_replication.source;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no source "%"', source
			USING ERRCODE = 'undefined_object', HINT = 'View credit.sources lists them.';
	END IF;
	FOR one IN
		SELECT c.oid::regclass FROM pg_class c
		 WHERE c.relkind IN ('r', 'p')
		   AND (c.oid = s.relation OR c.oid IN
				(SELECT d.relation FROM credit.dependency d WHERE d.source_id = s.source_id))
		 ORDER BY c.oid
	LOOP
		PERFORM credit.lock_source_table(one, lock_timeout);
		FOREACH trigger IN ARRAY ARRAY['zz_credit_begin', 'zz_credit_row', 'zz_credit_end', 'zz_credit_truncate'] LOOP
			EXECUTE format('ALTER TABLE %s ENABLE %s TRIGGER %I', one,
						   CASE WHEN follow THEN 'ALWAYS' ELSE '' END, trigger);
		END LOOP;
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
COMMENT ON FUNCTION credit.follow_replication(text, boolean, text) IS
'Takes rows into the ledger that logical replication, or any session with session_replication_role = replica, writes into the tables of a source; follow => false undoes it. Such rows are never refused; what would have been stands in view decision. Returns the number of tables. Rows that are there already are taken in by attach().';
/* Sequences are not replicated, and a restore of chosen tables has none. */
CREATE FUNCTION credit.late_sequences()
RETURNS TABLE (sequence regclass, relation regclass, last_value bigint, highest bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
BEGIN
	FOR c IN
		SELECT a.attrelid::regclass AS relation, a.attname, d.objid::regclass AS sequence
		  FROM pg_class r
		  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attidentity <> '' AND NOT a.attisdropped
		  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
						   AND d.refobjsubid = a.attnum AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
		 WHERE r.relnamespace = 'credit'::regnamespace AND r.relkind = 'r'
		 ORDER BY r.relname
	LOOP
		sequence := c.sequence;
		relation := c.relation;
		last_value := COALESCE(pg_sequence_last_value(c.sequence), 0);
		EXECUTE format('SELECT max(%I) FROM %s', c.attname, c.relation) INTO highest;
		IF highest > last_value THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION credit.late_sequences() IS
'Sequences of schema credit that are behind the rows of their table, so that the next new row would fail: after a change to a logical replica. SELECT setval(sequence, highest) FROM credit.late_sequences() mends them.';
/* Tables of the ERP whose writes reach the ledger, by source. */
CREATE FUNCTION credit.captured_tables()
RETURNS TABLE (source text, relation regclass)
LANGUAGE sql STABLE
BEGIN ATOMIC
SELECT s.name, s.relation FROM credit.source s WHERE NOT credit.is_view(s.relation)
UNION ALL
SELECT s.name, d.relation FROM credit.dependency d JOIN credit.source s ON s.source_id = d.source_id;
END;
COMMENT ON FUNCTION credit.captured_tables() IS
'Tables of the ERP whose writes reach the ledger, with the sources they are read for: tables that are attached, and those that views depend on.';
CREATE FUNCTION credit.operation_findings
	(OUT rank integer, OUT severity text, OUT subject text, OUT finding text, OUT advice text)
RETURNS SETOF record
LANGUAGE sql STABLE ROWS 1
SET search_path = pg_catalog, pg_temp
/* the planner takes each function for a thousand rows, and would have all of it compiled */
SET jit = off
AS $$
/* a table was put in the place of an attached one: the mapping went with the other */
SELECT 1, 'error', 'source ' || s.name,
	   format('%s is another table now: what is written there is neither checked nor counted (attached is %s)',
			  n.name, COALESCE((SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = s.relation), 'one that is gone')),
	   'Detach the source and attach the table that has the name now, in one transaction.'
  FROM credit.source s
 CROSS JOIN LATERAL (SELECT CASE WHEN right(s.name, length(s.kind) + 1) = ':' || s.kind
								 THEN left(s.name, -length(s.kind) - 1) ELSE s.name END AS name) n
  /* to_regclass() wants rights on the schema */
  JOIN (SELECT c.oid AS relation, format('%I.%I', x.nspname, c.relname) AS name
		  FROM pg_class c JOIN pg_namespace x ON x.oid = c.relnamespace
		 WHERE c.relkind IN ('r', 'p', 'v')) t ON t.name = n.name
 WHERE t.relation <> s.relation
   AND NOT EXISTS (SELECT FROM credit.source x WHERE x.relation = t.relation AND x.kind = s.kind)
UNION ALL
SELECT 1, 'error', 'table ' || g.tgrelid::regclass::text,
	   'has the triggers of an attached table and is none: what is written there is neither checked nor counted',
	   'It was restored without schema credit. Attach it, or drop triggers zz_credit_*.'
  FROM pg_trigger g
 WHERE g.tgname = 'zz_credit_row' AND g.tgparentid = 0 AND g.tgfoid = 'credit.capture_row()'::regprocedure
   AND NOT EXISTS (SELECT FROM credit.captured_tables() c WHERE c.relation = g.tgrelid)
UNION ALL
/* the same under a view: it reads a twin of a table that it depends on */
SELECT 2, 'warning', 'source ' || s.name,
	   format('depends on %s, which it does not read, and reads %s, of which nothing is captured', d.relation, m.relation),
	   format('Was one put in the place of the other? SELECT credit.undepend(%L, %L), then credit.depend(%1$L, %3$L, ...).', s.name, d.relation, m.relation)
  FROM credit.source s
  JOIN credit.dependency d ON d.source_id = s.source_id
  JOIN pg_class k ON k.oid = d.relation
 CROSS JOIN LATERAL credit.missing_dependencies(s.name) m
 WHERE credit.is_view(s.relation)
   AND d.relation NOT IN (SELECT v FROM credit.view_tables(s.relation) v)
   AND NOT EXISTS (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = d.relation AND a.attnum > 0 AND NOT a.attisdropped
				   EXCEPT
				   SELECT a.attname FROM pg_attribute a WHERE a.attrelid = m.relation AND a.attnum > 0 AND NOT a.attisdropped)
UNION ALL
SELECT 1, 'error', 'source ' || c.source,
	   format('%s has child tables by inheritance now (%s): what is written to them is neither checked nor counted',
			  c.relation, string_agg(h.inhrelid::regclass::text, ', ' ORDER BY h.inhrelid::regclass::text)),
	   'Triggers do not follow inheritance. ALTER TABLE ... NO INHERIT, or make partitions of them.'
  FROM credit.captured_tables() c
  JOIN pg_class p ON p.oid = c.relation AND p.relkind = 'r'
  JOIN pg_inherits h ON h.inhparent = p.oid
 GROUP BY c.source, c.relation
UNION ALL
SELECT 1, 'error', 'source ' || q.source,
	   CASE WHEN q.has_ledger
			THEN format('rows of %s arrive by subscription %s and are captured, and so does the ledger: they will collide', q.relation, q.subscriptions)
			ELSE format('rows of %s arrive by subscription %s and are not captured', q.relation, q.subscriptions) END,
	   CASE WHEN q.has_ledger
			THEN format('SELECT credit.follow_replication(%L, false), or take schema credit out of the publication.', q.source)
			ELSE format('SELECT credit.follow_replication(%1$L). credit.reconcile(%1$L) lists what has come before, CALL credit.repair(%1$L) takes it in.', q.source) END
  FROM (SELECT c.source, c.relation, string_agg(DISTINCT u.subname, ', ') AS subscriptions,
			   bool_and(EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.relid AND g.tgname = 'zz_credit_row' AND g.tgenabled = 'A')) AS follows,
			   EXISTS (SELECT FROM pg_subscription_rel l WHERE l.srrelid = 'credit.item'::regclass) AS has_ledger
		  FROM credit.captured_tables() c
		 CROSS JOIN LATERAL (SELECT c.relation::oid AS relid UNION SELECT p.relid FROM pg_partition_tree(c.relation) p) t
		  JOIN pg_subscription_rel r ON r.srrelid = t.relid
		  JOIN pg_subscription u ON u.oid = r.srsubid
		 GROUP BY c.source, c.relation) q
 WHERE q.follows = q.has_ledger
UNION ALL
SELECT 1, 'error', 'table ' || l.relation::text,
	   format('its sequence is at %s and its rows go up to %s: new rows will fail', l.last_value, l.highest),
	   'SELECT setval(sequence, highest) FROM credit.late_sequences().'
  FROM credit.late_sequences() l
 /* while rows arrive from elsewhere it is as it should be */
 WHERE NOT EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = l.relation)
UNION ALL
SELECT CASE WHEN q.is_copied THEN 1 ELSE 2 END, CASE WHEN q.is_copied THEN 'error' ELSE 'warning' END,
	   'table ' || q.relname,
	   CASE WHEN q.is_copied THEN 'pg_repack is copying it: orders fail until it has ended'
			ELSE format('trigger %s never fires: the ledger is written without', q.triggers) END,
	   CASE WHEN q.is_copied THEN format('End pg_repack, drop trigger %s. Tables of schema credit are for VACUUM FULL.', q.triggers)
			ELSE 'Drop it. A tool that copies tables with the help of triggers would lose rows.' END
  FROM (SELECT c.relname, string_agg(g.tgname, ', ' ORDER BY g.tgname) AS triggers,
			   bool_or(n.nspname = 'repack') AS is_copied
		  FROM pg_trigger g
		  JOIN pg_class c ON c.oid = g.tgrelid AND c.relnamespace = 'credit'::regnamespace
		  JOIN pg_proc p ON p.oid = g.tgfoid
		  JOIN pg_namespace n ON n.oid = p.pronamespace
		 WHERE NOT g.tgisinternal AND n.nspname <> 'credit' AND g.tgtype & 1 = 1
		   AND c.relname IN ('account', 'account_limit', 'limit_change', 'source_problem', 'item', 'item_version',
							 'settlement', 'month_mark', 'journal', 'decision_log')
		 GROUP BY c.relname) q
UNION ALL
SELECT 2, 'warning', 'extension', format('belongs to role %s, which is no superuser: mappings it may not read are called broken here', x.extowner::regrole),
	   format('ALTER ROLE %1$s SUPERUSER, or REASSIGN OWNED BY %1$s TO one that is.', x.extowner::regrole)
  FROM pg_extension x JOIN pg_roles r ON r.oid = x.extowner
 WHERE x.extname = 'credit' AND NOT r.rolsuper
UNION ALL
SELECT 1, 'error', 'table ' || c.relname, 'is unlogged: a crash empties it, and a standby has no row of it',
	   format('ALTER TABLE credit.%I SET LOGGED.', c.relname)
  FROM pg_class c
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'u'
$$;
COMMENT ON FUNCTION credit.operation_findings() IS
'What status() says of operations: tables that were swapped, restored or replicated without their mapping, sequences that are behind, tables of the ledger that somebody copies or has made unlogged.';
/*
 * pg_repack copies a table and learns by a trigger what is written meanwhile.
 * The ledger is written without triggers, so that the copy would lack it.  By
 * its own rule pg_repack leaves out, with a warning, a table that has a trigger
 * of this name already, and goes on with the next.  src/ledger.c refuses to
 * write where it does not.
 */
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.account
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.account IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.account_limit
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.account_limit IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.limit_change
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.limit_change IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.source_problem
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.source_problem IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.item
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.item IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.item_version
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.item_version IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.settlement
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.settlement IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.month_mark
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.month_mark IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.journal
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.journal IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
CREATE TRIGGER repack_trigger BEFORE TRUNCATE ON credit.decision_log
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();
COMMENT ON TRIGGER repack_trigger ON credit.decision_log IS 'Keeps pg_repack away, which would lose what orders write meanwhile; and TRUNCATE.';
/*
 * Subject status: what a DBA should know at 3 a.m., in plain words.
 *
 * Runs as its owner, so that the right to call it is enough: an update of the
 * extension can add a finding that reads something new, and whoever was let in
 * before goes on seeing all of them.
 */
CREATE OR REPLACE FUNCTION credit.status
	(OUT severity text, OUT subject text, OUT finding text, OUT advice text)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
SELECT q.severity, q.subject, q.finding, q.advice
  FROM (
	SELECT 1 AS rank, 'error' AS severity, 'version' AS subject,
		   format('library %s works with catalog %s', credit.version(), x.extversion) AS finding,
		   CASE WHEN x.extversion ~ '[^0-9.]' THEN 'Install the library of that version.'
				WHEN string_to_array(x.extversion, '.')::int[] > string_to_array(credit.version(), '.')::int[]
				THEN format('Install version %s of the library again and reconnect; there is no way back for the catalog but a restore.', x.extversion)
				ELSE 'Run ALTER EXTENSION credit UPDATE, or install the library of that version.' END AS advice
	  FROM pg_extension x
	 WHERE x.extname = 'credit' AND x.extversion <> credit.version()
	UNION ALL
	SELECT 1, 'error', 'source ' || s.name, 'mapping is broken: ' || s.problem,
		   'Rows pass unread or are refused (on_error). Detach the source and attach it with a mapping that fits.'
	  FROM credit.sources s WHERE s.health = 'broken'
	UNION ALL
	SELECT 1, 'error', 'source ' || s.name, 'triggers zz_credit_* are missing or disabled',
		   'Documents get past the ledger. Enable the triggers; to catch up, detach the source and attach it again.'
	  FROM credit.sources s WHERE s.health LIKE 'triggers%'
	UNION ALL
	SELECT 1, 'error', 'source ' || s.name, 'is a view of which no table is declared: nothing is captured',
		   COALESCE('For example: ' || (SELECT string_agg(m.suggestion, ' ' ORDER BY m.relation::text)
										  FROM credit.missing_dependencies(s.name) m),
					'credit.depend() declares the tables it is made of.')
	  FROM credit.sources s WHERE s.health = 'nothing captured'
	UNION ALL
	SELECT 3, 'info', 'source ' || s.name,
		   format('reads %s, of which nothing is captured', string_agg(m.relation::text, ', ' ORDER BY m.relation::text)),
		   'Fine for tables that never change what a document is worth; else: ' ||
		   string_agg(m.suggestion, ' ' ORDER BY m.relation::text)
	  FROM credit.sources s CROSS JOIN LATERAL credit.missing_dependencies(s.name) m
	 WHERE s.health NOT IN ('broken', 'nothing captured')
	 GROUP BY s.name
	UNION ALL
	SELECT 2, 'warning', 'source ' || s.name,
		   format('%s transactions had rows that could not be read, last on %s: %s', s.n_problems, s.last_problem_at, s.problem),
		   'Those rows are not in the ledger. Detach the source and attach it again.'
	  FROM credit.sources s WHERE s.health = 'unverified'
	UNION ALL
	SELECT o.rank, o.severity, o.subject, o.finding, o.advice FROM credit.operation_findings() o
	UNION ALL
	SELECT 2, 'warning', 'setting capture', 'capture is off: the ledger falls behind',
		   'SELECT credit.set(''capture'', ''on''); then detach and attach the sources to catch up.'
	  FROM credit.settings s WHERE s.name = 'capture' AND s.value = 'off'
	UNION ALL
	SELECT 2, 'warning', 'setting mode', format('mode is %s: nothing is refused', s.value),
		   'SELECT credit.set(''mode'', ''reject'') when you are ready.'
	  FROM credit.settings s WHERE s.name = 'mode' AND s.value <> 'reject'
	UNION ALL
	SELECT 2, 'warning', 'role ' || m.rolname, 'is never refused (setting bypass_role)',
		   'SELECT credit.set(''bypass_role'', NULL) when the migration is over; view credit.decision lists what got in.'
	  FROM credit.settings s JOIN pg_roles m ON m.rolname = s.value WHERE s.name = 'bypass_role'
	UNION ALL
	SELECT 2, 'warning', 'setting bypass_role', format('role "%s" does not exist', s.value),
		   'SELECT credit.set(''bypass_role'', NULL).'
	  FROM credit.settings s
	 WHERE s.name = 'bypass_role' AND s.value <> ''
	   AND NOT EXISTS (SELECT FROM pg_roles m WHERE m.rolname = s.value)
	UNION ALL
	SELECT 2, 'warning', 'limits', format('%s accounts that orders name have no limit yet', count(*)),
		   'Rule not_set decides (view credit.rules). SELECT * FROM credit.exposure WHERE limit_state = ''not_set''.'
	  FROM credit.account_limit l
	 WHERE l.limit_state = 'not_set'
	   AND EXISTS (SELECT FROM credit.item i JOIN credit.source s ON s.source_id = i.source_id
					WHERE i.account_id = l.account_id AND s.kind = 'order')
	HAVING count(*) > 0
	UNION ALL
	SELECT 2, 'warning', 'exchange rates',
		   format('%s accounts in %s have documents in %s, and there is no rate of type %s that counts%s: they have no total, and their orders meet rule missing_rate',
				  q.n, q.currency, q.other, t.value,
				  CASE WHEN f.rate_path = 'stale' THEN format(' (the last is of %s)', to_char(f.rate_date, 'YYYY-MM-DD')) ELSE '' END),
		   format('SELECT credit.set_rate(%L, %L, ...), or see to it that rates are loaded every day (setting rate_age).', q.other, q.currency)
	  FROM (SELECT l.currency, b.currency AS other, count(*) AS n
			  FROM credit.account_limit l CROSS JOIN LATERAL credit.balance(l.account_id) b
			 WHERE b.currency <> l.currency AND b.total <> 0
			 GROUP BY 1, 2) q
	 CROSS JOIN LATERAL credit.find_rate(q.other, q.currency, credit.today()) f
	  JOIN credit.settings t ON t.name = 'rate_type'
	 WHERE f.rate IS NULL
	UNION ALL
	SELECT 2, 'warning', 'exchange rates',
		   format('the last rate of type %s from %s to %s is of %s; after %s it does not count any more, and orders of accounts that need it meet rule missing_rate',
				  t.value, q.other, q.currency, to_char(f.rate_date, 'YYYY-MM-DD'), to_char(f.rate_date + g.days, 'YYYY-MM-DD')),
		   'See to it that rates are loaded every day.'
	  FROM (SELECT DISTINCT l.currency, b.currency AS other
			  FROM credit.account_limit l CROSS JOIN LATERAL credit.balance(l.account_id) b
			 WHERE b.currency <> l.currency AND b.total <> 0) q
	 CROSS JOIN LATERAL credit.find_rate(q.other, q.currency, credit.today()) f
	  JOIN credit.settings t ON t.name = 'rate_type'
	 CROSS JOIN LATERAL (SELECT (extract(epoch FROM s.value::interval) / 86400)::int AS days
						   FROM credit.settings s WHERE s.name = 'rate_age') g
	 /* over a long weekend it is as it should be */
	 WHERE f.rate IS NOT NULL AND g.days >= 4 AND f.rate_date + g.days - credit.today() <= 2
	UNION ALL
	SELECT 2, 'warning', 'prepared transactions',
		   format('%s are older than an hour and may hold part of a limit', count(*)),
		   'SELECT * FROM pg_prepared_xacts, then COMMIT PREPARED or ROLLBACK PREPARED.'
	  FROM pg_prepared_xacts p
	 WHERE p.database = current_database() AND p.prepared < now() - interval '1 hour'
	HAVING count(*) > 0
	UNION ALL
	SELECT 2, 'warning', 'waits',
		   format('waits for others: %s, the longest for %s s, for %s', count(*),
				  round(extract(epoch FROM max(w.waited)), 1),
				  (array_agg(COALESCE('process ' || w.holder_pid, 'prepared transaction ' || w.holder_prepared, 'a transaction')
							 ORDER BY w.waited DESC))[1]),
		   'SELECT * FROM credit.waits; column way_out says what ends each.'
	  FROM credit.waits w HAVING max(w.waited) > interval '1 second'
	UNION ALL
	SELECT 2, 'warning', 'statistics', 'there is no shared memory for them: views stat, waits and progress are empty',
		   'Orders are not concerned. Add credit to shared_preload_libraries, which reserves the memory, and restart the server.'
	 WHERE NOT credit.stat_is_on()
	UNION ALL
	SELECT 3, 'info', 'statistics', 'there are more sources on this server than it has places for: the rest is counted together',
		   'Row (others) of view credit.stat.'
	  FROM credit.stat_rows() r WHERE r.source_id = 0
	UNION ALL
	SELECT 2, 'warning', 'index ' || x.indexrelid::regclass::text,
		   'is of a kind the ledger cannot maintain; orders fail',
		   'Drop it. Plain indexes are fine.'
	  FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND (x.indexprs IS NOT NULL OR x.indisexclusion OR NOT x.indimmediate OR
			pg_get_expr(x.indpred, x.indrelid) !~ '^(\(\w+ IS NOT NULL\)|\(NOT \w+\)|\w+)$')
	UNION ALL
	SELECT 2, 'warning', 'table ' || t.relname,
		   format('autovacuum is far behind: %s dead rows beside %s', t.n_dead_tup, t.n_live_tup),
		   format('Look for what holds it back: old transactions, autovacuum_max_workers. VACUUM credit.%I.', t.relname)
	  FROM pg_stat_all_tables t
	 WHERE t.schemaname = 'credit' AND t.n_dead_tup > 20000 + t.n_live_tup / 2
	UNION ALL
	SELECT 2, 'warning', 'table ' || c.relname, 'autovacuum is switched off for it',
		   format('ALTER TABLE credit.%I RESET (autovacuum_enabled).', c.relname)
	  FROM pg_class c, pg_options_to_table(c.reloptions) o
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean
	UNION ALL
	SELECT 2, 'warning', 'table ' || c.relname,
		   format('it was frozen %s transactions ago', age(c.relfrozenxid)),
		   format('A vacuum against wraparound is due or has been prevented. VACUUM (FREEZE) credit.%I.', c.relname)
	  FROM pg_class c
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND age(c.relfrozenxid) > 1.2 * current_setting('autovacuum_freeze_max_age')::bigint
	UNION ALL
	SELECT 2, 'warning', 'process ' || a.pid,
		   format('its transaction is open since %s: what dies meanwhile cannot be vacuumed', date_trunc('second', a.xact_start)),
		   'SELECT * FROM pg_stat_activity; end it, or pg_terminate_backend(). Setting old_transaction says what is old.'
	  FROM pg_stat_activity a
	 WHERE a.xact_start < clock_timestamp() -
		   (SELECT s.value::interval FROM credit.settings s WHERE s.name = 'old_transaction')
	   AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL)
	   AND (a.datname = current_database() OR a.datname IS NULL)
	   AND a.backend_type IN ('client backend', 'walsender')
	UNION ALL
	SELECT 2, 'warning', 'replication slot ' || r.slot_name,
		   format('nobody uses it, and it keeps what died in %s transactions from being vacuumed', age(r.xmin)),
		   'Start what reads from it, or pg_drop_replication_slot().'
	  FROM pg_replication_slots r WHERE NOT r.active AND r.xmin IS NOT NULL
	UNION ALL
	SELECT 3, 'info', 'journal',
		   format('it takes %s and nothing is purged', pg_size_pretty(pg_total_relation_size('credit.journal'))),
		   'Keep it, it is the audit trail, and raise setting large_journal; or set keep_journal, for example to 1100d, and let credit.daily() run.'
	  FROM credit.settings s
	 WHERE s.name = 'large_journal'
	   AND pg_total_relation_size('credit.journal') > pg_size_bytes(s.value)
	   AND EXISTS (SELECT FROM credit.settings k WHERE k.name = 'keep_journal' AND k.value = 'forever')
	UNION ALL
	SELECT 3, 'info', 'limits', format('%s accounts are above their limit', count(*)),
		   'SELECT * FROM credit.over_limit.'
	  FROM credit.over_limit HAVING count(*) > 0
	UNION ALL
	SELECT 3, 'info', 'sources', 'no table is attached yet',
		   'SELECT credit.attach(...); dry_run => true shows what it would do.'
	 WHERE NOT EXISTS (SELECT FROM credit.source)
	UNION ALL
	SELECT 4, 'ok', 'credit ' || credit.version(),
		   format('%s sources, %s accounts, mode %s', (SELECT count(*) FROM credit.source),
				  (SELECT count(*) FROM credit.account),
				  (SELECT s.value FROM credit.settings s WHERE s.name = 'mode')), ''
  ) q
 ORDER BY q.rank, q.subject
$$;

/*
 * Subject grant: nothing new is for PUBLIC. New is what has no rights of its
 * own yet; everything older has.
 */
DO $do$
DECLARE
	object text;
BEGIN
	FOR object IN
		SELECT format('TABLE %I.%I', 'credit', c.relname) FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'v') AND c.relacl IS NULL
		UNION ALL
		SELECT format('SEQUENCE %I.%I', 'credit', c.relname) FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'S' AND c.relacl IS NULL
		UNION ALL
		SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_proc p
		 WHERE p.pronamespace = 'credit'::regnamespace AND p.proacl IS NULL
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', object);
	END LOOP;
END
$do$;

/*
 * What is new is not granted here: rights that an update grants belong to the
 * extension, and no dump would carry them.
 */
DO $do$
DECLARE
	analyst text;
BEGIN
	FOR analyst IN
		SELECT DISTINCT a.grantee::regrole::text
		  FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) a
		 WHERE p.oid = 'credit.exposure_on(date)'::regprocedure AND a.grantee NOT IN (0, p.proowner)
		 ORDER BY 1
	LOOP
		RAISE WARNING 'role % lacks the rights to what is new, which views of before use too', analyst
			USING HINT = format('In the same transaction or at once: SELECT credit.grant_analyst(%L);', analyst);
	END LOOP;
END
$do$;

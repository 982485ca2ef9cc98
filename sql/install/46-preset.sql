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
 'A running server of each: modules base, account, sale, sale_management, stock, sale_stock, driven through their own methods.',
 'Point of sale. Draft invoices. Payments that are not posted, and those without a journal entry and without an invoice once they are paid. Invoice lines without an order line, and invoices in another currency than their order, take nothing off an order. A branch is a company of its own. Units of measure and currency codes that are changed afterwards. The switch account_use_credit_limit of a company: limits count here whether it is on or not.')
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
   "res_currency": "id, name", "ir_default": "field_id, company_id, user_id, condition, json_value", "ir_model_fields": "id, model, name"}',
 'Customers: every commercial partner in every company (segment), with the credit limit kept by company in res_partner (from 18.0 on), or the default of the company. 0 means unlimited, as in Odoo.'),
('odoo', 3, 'customer', false, 'customer_property customer_jsonb',
 '{"res_partner": "id, name, commercial_partner_id", "res_company": "id, currency_id", "res_currency": "id, name"}',
 'Customers: every commercial partner in every company (segment). No place for limits was found; use credit.set_limit().'),
('odoo', 4, 'order', false, NULL,
 '{"sale_order": "id, name, partner_invoice_id, company_id, currency_id, state, amount_total, date_order, commitment_date",
   "res_partner": "id, commercial_partner_id", "res_currency": "id, name"}',
 'Orders: confirmed sales orders at amount_total (tax included), of the commercial partner of the invoice address.'),
('odoo', 5, 'delivery', false, NULL,
 '{"sale_order_line": "id, order_id, qty_delivered, product_uom_qty, price_total, price_unit, discount",
   "sale_order": "id, name, partner_invoice_id, company_id, currency_id, date_order, amount_total, amount_untaxed",
   "res_partner": "id, commercial_partner_id", "res_currency": "id, name, decimal_places"}',
 'Deliveries: one for each order line, of what is delivered of it (qty_delivered) at the price of the line with tax. Goods that were delivered without being ordered stand at quantity 0: at their unit price, and the share of tax of the order.'),
('odoo', 6, 'receivable', false, NULL,
 '{"account_move_line": "id, partner_id, company_id, currency_id, account_id, amount_currency, amount_residual_currency, parent_state, move_name, date, date_maturity",
   "account_account": "id, account_type", "res_partner": "id, commercial_partner_id", "res_currency": "id, name"}',
 'Receivables: posted journal items on accounts of type asset_receivable: invoices, credit notes, payments. What is open of each is its residual, which Odoo keeps.'),
('odoo', 7, 'invoiced', false, NULL,
 '{"account_move_line": "id, move_id, account_id, quantity, price_total, parent_state, product_uom_id, currency_id", "account_move": "id, move_type",
   "sale_order_line_invoice_rel": "order_line_id, invoice_line_id", "account_account": "id, account_type",
   "sale_order_line": "id, order_id, price_total, price_unit, discount, product_uom_qty, product_uom, is_downpayment",
   "sale_order": "id, amount_total, amount_untaxed", "uom_uom": "id, factor", "res_currency": "id, decimal_places"}',
 'What is invoiced of an order: lines of posted invoices and credit notes that are joined to order lines, by quantity at the price of the order line with tax; down payments at their amount.'),
('odoo', 8, 'payment', true, NULL,
 '{"account_payment": "id, name, move_id, state, payment_type, partner_type, partner_id, company_id, currency_id, amount, amount_company_currency_signed, date",
   "account_move__account_payment": "invoice_id, payment_id", "res_partner": "id, commercial_partner_id", "res_currency": "id, name, decimal_places",
   "account_move_line": "id, move_id, currency_id, amount_residual, amount_residual_currency, parent_state, display_type"}',
 'Payments without a journal entry (from 18.0 on, where the payment method has no outstanding account): as far as the posted invoices they are for are open, those without an invoice until they are paid. Once the bank statement is reconciled, the journal says it.'),
('odoo', 9, 'rate', true, NULL,
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
                  WHERE f.model = 'res.partner' AND f.name = 'credit_limit' AND x.user_id IS NULL AND x.condition IS NULL
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
       round(l.qty_delivered::numeric *
             CASE WHEN l.product_uom_qty <> 0 THEN l.price_total::numeric / l.product_uom_qty::numeric
                  ELSE l.price_unit::numeric * (1 - COALESCE(l.discount, 0)::numeric / 100) *
                       COALESCE(o.amount_total::numeric / NULLIF(o.amount_untaxed, 0)::numeric, 1) END,
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
                        ELSE l.quantity::numeric *
                             CASE WHEN s.product_uom_qty <> 0 THEN s.price_total::numeric / s.product_uom_qty::numeric
                                  ELSE s.price_unit::numeric * (1 - COALESCE(s.discount, 0)::numeric / 100) *
                                       COALESCE(o.amount_total::numeric / NULLIF(o.amount_untaxed, 0)::numeric, 1) END *
                             CASE WHEN l.product_uom_id IS NULL OR l.product_uom_id = s.product_uom THEN 1
                                  ELSE (SELECT t.factor::numeric FROM {erp}.uom_uom t WHERE t.id = s.product_uom) /
                                       (SELECT f.factor::numeric FROM {erp}.uom_uom f WHERE f.id = l.product_uom_id) END
                   END) AS value
          FROM {erp}.sale_order_line_invoice_rel r
          JOIN {erp}.sale_order_line s ON s.id = r.order_line_id
          JOIN {erp}.sale_order o ON o.id = s.order_id
         WHERE r.invoice_line_id = l.id) x
 WHERE x.sale_order IS NOT NULL$$),
('odoo', 'payment', 'payment', $$
SELECT a.id, p.commercial_partner_id AS partner, a.company_id AS company, y.name AS currency,
       a.name AS number, a.date, a.state, a.move_id, a.partner_type,
       CASE a.payment_type WHEN 'outbound' THEN -1 ELSE 1 END *
       CASE WHEN i.residual IS NULL THEN CASE a.state WHEN 'paid' THEN 0 ELSE a.amount::numeric END
            ELSE round(GREATEST(LEAST(a.amount::numeric, i.residual - i.later), 0), y.decimal_places) END AS amount
  FROM {erp}.account_payment a
  JOIN {erp}.res_partner p ON p.id = a.partner_id
  JOIN {erp}.res_currency y ON y.id = a.currency_id
 CROSS JOIN LATERAL
       (SELECT COALESCE(abs(a.amount::numeric / NULLIF(a.amount_company_currency_signed, 0)::numeric), 1) AS rate) f
 CROSS JOIN LATERAL
       (SELECT CASE a.payment_type WHEN 'outbound' THEN -1 ELSE 1 END *
               (SELECT sum(CASE WHEN l.currency_id = a.currency_id THEN l.amount_residual_currency::numeric
                                ELSE l.amount_residual::numeric * f.rate END)
                  FROM {erp}.account_move__account_payment r
                  JOIN {erp}.account_move_line l ON l.move_id = r.invoice_id
                 WHERE r.payment_id = a.id AND l.display_type = 'payment_term' AND l.parent_state = 'posted') AS residual,
               (SELECT COALESCE(sum(CASE WHEN b.currency_id = a.currency_id THEN b.amount::numeric
                                         ELSE abs(b.amount_company_currency_signed::numeric) * f.rate END), 0)
                  FROM {erp}.account_payment b
                 WHERE b.id IN (SELECT q.payment_id
                                  FROM {erp}.account_move__account_payment r
                                  JOIN {erp}.account_move__account_payment q ON q.invoice_id = r.invoice_id
                                 WHERE r.payment_id = a.id AND q.payment_id > a.id)
                   AND b.move_id IS NULL AND b.state IN ('in_process', 'paid')
                   AND b.payment_type = a.payment_type) AS later) i$$),
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
 '{"key": "id", "document": "receivable", "origin": "sale_order", "amount": "value", "applies_to_kind": "receivable", "counts_when": "state = ''posted''"}'),
('odoo', 'payment', 'payment', 'payment',
 '{"key": "id", "customer": "partner", "segment": "company", "currency": "currency", "amount": "amount", "number": "number", "document_date": "date", "counts_when": "move_id IS NULL AND partner_type = ''customer'' AND state IN (''in_process'', ''paid'')"}')
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
 'SELECT r.invoice_line_id FROM changed c JOIN {erp}.sale_order_line_invoice_rel r ON r.order_line_id = c.id'),
('odoo', 'invoiced', 'invoiced', 'sale_order',
 'SELECT r.invoice_line_id FROM changed c JOIN {erp}.sale_order_line s ON s.order_id = c.id AND s.product_uom_qty = 0 JOIN {erp}.sale_order_line_invoice_rel r ON r.order_line_id = s.id'),
('odoo', 'payment', 'payment', 'account_payment',
 $$SELECT c.id FROM changed c WHERE c.partner_type = 'customer' AND c.move_id IS NULL UNION ALL SELECT q.payment_id FROM changed c JOIN {erp}.account_move__account_payment r ON r.payment_id = c.id JOIN {erp}.account_move__account_payment q ON q.invoice_id = r.invoice_id WHERE c.partner_type = 'customer' AND c.move_id IS NULL$$),
('odoo', 'payment', 'payment', 'account_move__account_payment',
 'SELECT a.id FROM changed c JOIN {erp}.account_payment a ON a.id = c.payment_id AND a.move_id IS NULL UNION ALL SELECT a.id FROM changed c JOIN {erp}.account_move__account_payment q ON q.invoice_id = c.invoice_id JOIN {erp}.account_payment a ON a.id = q.payment_id AND a.move_id IS NULL'),
('odoo', 'payment', 'payment', 'account_move_line',
 $$SELECT a.id FROM changed c JOIN {erp}.account_move__account_payment r ON r.invoice_id = c.move_id JOIN {erp}.account_payment a ON a.id = r.payment_id AND a.move_id IS NULL WHERE c.display_type = 'payment_term'$$),
('odoo', 'payment', 'payment', 'res_partner',
 'SELECT a.id FROM changed c JOIN {erp}.account_payment a ON a.partner_id = c.id AND a.move_id IS NULL')
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
	found := substring(found FROM '^(?:saas~)?[0-9]+\.[0-9]+');
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

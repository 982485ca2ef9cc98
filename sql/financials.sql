--
-- financials: statements, bureau reports and facts, as they were known
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET datestyle = 'ISO, YMD';
SET extra_float_digits = -5;
CREATE EXTENSION credit;
SELECT credit.set('currency', 'EUR');
RESET client_min_messages;

-- 1. Altman by ratios: Z, Z' and their zones

SELECT form, x1, x2, x3, x4, x5, z, credit.altman_zone(form, z) FROM (
	SELECT v.*, CASE form WHEN 'z' THEN credit.altman_z(x1, x2, x3, x4, x5) ELSE credit.altman_z_private(x1, x2, x3, x4, x5) END AS z
	  FROM (VALUES ('z_private', 0.2, 0.3, 0.15, 1.2, 1.5), ('z_private', 0.05, 0.02, 0.03, 0.4, 0.9), ('z_private', -0.1, -0.2, -0.05, 0.1, 0.6),
				   ('z_private', 0.414, 0.355, 0.154, 2.477, 1.841), ('z', 0.2, 0.3, 0.15, 1.2, 1.5), ('z', 0.05, 0.02, 0.03, 0.4, 0.9)) v (form, x1, x2, x3, x4, x5)) q;
-- the bounds themselves are grey; one that is missing, or NaN, makes none
SELECT form, credit.altman_zone(form, low) AS at_low, credit.altman_zone(form, high) AS at_high, credit.altman_zone(form, low - 0.01) AS below, credit.altman_zone(form, high + 0.01) AS above
  FROM (VALUES ('z', 1.81, 2.99), ('z_private', 1.23, 2.90), ('z_general', 1.10, 2.60), ('z_emerging', 4.35, 5.85)) v (form, low, high);
SELECT credit.altman_z(1, 1, NULL, 1, 1), credit.altman_z_general(1, 1, 'NaN', 1), credit.altman_zone('z', NULL), credit.altman_zone('z', 'NaN'), credit.altman_zone('z', 'Infinity');
SELECT credit.altman_zone('zz', 1);

-- 2. A statement and its ratios

SELECT credit.enter_financials('103', '2024-12-31', published_on => '2025-04-15',
	total_assets => 1100, current_assets => 700, current_liabilities => 500, retained_earnings => 300, ebit => 150,
	market_equity => 900, equity => 500, total_liabilities => 600, sales => 1500);
SET credit.as_of = '2025-06-30';
SELECT working_capital, tangible_net_worth, round(z::numeric, 4) AS z, z_zone, round(z_private::numeric, 4) AS z_private, z_private_zone,
	   round(z_general::numeric, 4) AS z_general, z_general_zone, round(z_emerging::numeric, 4) AS z_emerging, z_emerging_zone
  FROM credit.financial_ratio WHERE customer = '103' \gx
-- working capital requirement: 500 + 800 - 600 - 50 = 650, 65 days of sales
SELECT credit.enter_financials('104', '2024-12-31', 'USD', '2025-03-01', inventories => 500, receivables => 800, payables => 600, other_payables => 50,
	sales => 3650, cost_of_sales => 2920, equity => 400, intangibles => 120, loans_to_owners => 30, ebit => 100, interest => 25, net_income => 50, cash => 10);
SELECT * FROM credit.financial_ratio WHERE customer = '104' \gx
-- half a year: flows are brought to twelve months
SELECT credit.enter_financials('104', '2025-06-30', 'USD', '2025-06-30', 6, inventories => 500, receivables => 800, payables => 600, sales => 1825, net_income => 25, total_assets => 2000, equity => 500, total_liabilities => 1500);
SELECT period_end, months, currency, requirement_days, receivable_days, return_on_assets, return_on_equity, asset_turnover, net_margin FROM credit.financial_ratio WHERE customer = '104';
SET credit.as_of = '2025-06-29';
SELECT period_end, months FROM credit.financial_ratio WHERE customer = '104';

-- 3. What was known when

SELECT * FROM (VALUES (date '2025-04-14'), ('2025-04-15')) d (day), LATERAL (SELECT count(*) FROM credit.financial_ratios_on(day) r WHERE r.customer = '103') n;
-- a correction of the same day counts at once, a restatement from its own day on
SELECT credit.enter_financials('103', '2024-12-31', published_on => '2025-04-15', total_assets => 1200, equity => 600, total_liabilities => 600);
SELECT credit.enter_financials('103', '2024-12-31', published_on => '2025-09-01', total_assets => 1300, equity => 600, total_liabilities => 700);
-- the year before, entered late, changes nothing later
SELECT credit.enter_financials('103', '2023-12-31', published_on => '2025-09-15', total_assets => 1, equity => 1, total_liabilities => 0);
SELECT day, period_end, debt_ratio FROM (VALUES (date '2025-04-15'), ('2025-08-31'), ('2025-09-01'), ('2026-01-01')) d (day), LATERAL credit.financial_ratios_on(day) r WHERE customer = '103' ORDER BY day;
-- of the same balance sheet, the one of twelve months
SELECT credit.enter_financials('105', '2025-03-31', published_on => '2025-05-01', months => 3, total_assets => 1);
SELECT credit.enter_financials('105', '2025-03-31', published_on => '2025-05-01', total_assets => 2);
SELECT credit.enter_financials('105', '2025-03-31', published_on => '2025-05-02', months => 6, total_assets => 3);
SELECT months FROM credit.financial_ratios_on('2025-06-01') WHERE customer = '105';
-- 18 months old is not yet stale
SELECT day, age_days, is_stale, z_private_zone FROM (VALUES (date '2026-06-30'), ('2026-07-01')) d (day), LATERAL credit.financial_ratios_on(day) r WHERE customer = '103' ORDER BY day;
SELECT credit.enter_financials('106', '2024-12-31', published_on => '2025-01-31', total_assets => 100, current_assets => 60, current_liabilities => 0, retained_earnings => 10, ebit => 5, equity => 100, total_liabilities => 0, sales => 90);
SELECT day, is_stale, z_general, z_general_zone, z, z_zone, current_ratio FROM (VALUES (date '2026-06-30'), ('2026-07-01')) d (day), LATERAL credit.financial_ratios_on(day) r WHERE customer = '106' ORDER BY day;
SELECT is_stale FROM credit.financial_ratios_on('2025-06-30', '3 months') WHERE customer = '106';
-- no assets, negative equity
SELECT credit.enter_financials('107', '2024-12-31', published_on => '2025-01-31', total_assets => 0, equity => -50, total_liabilities => 50, net_income => -10, current_assets => 0, current_liabilities => 50, retained_earnings => -60, ebit => -5, sales => 0);
SELECT working_capital, tangible_net_worth, equity_ratio, return_on_equity, z_general, z_general_zone, requirement_days FROM credit.financial_ratio WHERE customer = '107';

-- 4. What does not add up is warned about

SELECT credit.enter_financials('108', '2024-12-31', published_on => '2025-01-31', total_assets => 1000, equity => 400, total_liabilities => 550, current_assets => 1100,
	current_liabilities => 600, inventories => 700, cash => 500, intangibles => 10, sales => -5, cost_of_sales => 3);
SELECT unnest(findings) FROM credit.financial_statement WHERE customer = '108';
-- rounding is not
SELECT credit.enter_financials('109', '2024-12-31', published_on => '2025-01-31', total_assets => 1000, equity => 400, total_liabilities => 599.5);
SELECT findings, currency FROM credit.financial_statement WHERE customer = '109';

-- 5. What is refused

SELECT credit.enter_financials(NULL, '2024-12-31', total_assets => 1);
SELECT credit.enter_financials('1', NULL, total_assets => 1);
SELECT credit.enter_financials('1', 'infinity', total_assets => 1);
SELECT credit.enter_financials('1', '2024-12-31', published_on => '2024-12-30', total_assets => 1);
SELECT credit.enter_financials('1', '2024-12-31', published_on => 'infinity', total_assets => 1);
SELECT credit.enter_financials('1', '2024-12-31', months => 0, total_assets => 1);
SELECT credit.enter_financials('1', '2024-12-31', months => NULL, total_assets => 1);
SELECT credit.enter_financials('1', '2024-12-31', currency => '', total_assets => 1);
SELECT credit.enter_financials('1', '2024-12-31');
SELECT credit.enter_financials('1', '2024-12-31', sales => 'NaN');
SELECT credit.enter_financials('1', '2024-12-31', sales => 1e30);
SELECT credit.enter_financials('1', '2024-12-31', sales => 0.0000001);
SELECT credit.enter_financials('1', '2024-12-31', cash => -1);
SELECT credit.enter_financials('1', '2024-12-31', turnover => 1);
SELECT credit.withdraw_entry('financials', 99, 'mistake');
SELECT credit.withdraw_entry('account', 1, 'mistake');
SELECT credit.withdraw_entry('financials', 1, ' ');
\set VERBOSITY terse
INSERT INTO credit.financials (customer, period_end, published_on, currency, sales) VALUES ('1', '2024-12-31', '2025-01-01', 'EUR', 'NaN');
\set VERBOSITY default
UPDATE credit.financials SET sales = 1;

-- 6. Taken back

SELECT financials_id FROM credit.financial_ratios_on('2026-01-01') WHERE customer = '103' \gset
SELECT credit.withdraw_entry('financials', :financials_id, 'of another company');
SELECT debt_ratio FROM credit.financial_ratios_on('2026-01-01') WHERE customer = '103';
SELECT withdrawn_at IS NOT NULL AS is_withdrawn, withdrawn_by = session_user AS by_me, withdrawn_reason FROM credit.financial_statement WHERE financials_id = :financials_id;
SELECT credit.withdraw_entry('financials', :financials_id, 'again');
DELETE FROM credit.financials;

-- 7. Bureau reports

SELECT credit.enter_bureau_report('103', 'Bureau A', '2025-01-10', score => 312, grade => 'B+', probability => 0.013, days_beyond_terms => 4, recommended_limit => 50000, published_on => '2025-01-12', note => 'by letter');
SELECT credit.enter_bureau_report('103', 'Bureau A', '2025-06-10', score => 250, probability => 0.03, published_on => '2025-06-20', valid_until => '2025-08-31');
SELECT credit.enter_bureau_report('103', 'Insurer', '2025-02-01', recommended_limit => 0, currency => 'CHF', published_on => '2025-02-01');
SET credit.as_of = '2025-01-11';
SELECT count(*) FROM credit.bureau;
SET credit.as_of = '2025-06-19';
SELECT provider, report_date, valid_until, age_days, is_stale, score, grade, probability, days_beyond_terms, recommended_limit, currency, note FROM credit.bureau ORDER BY provider;
SET credit.as_of = '2025-09-01';
SELECT provider, report_date, is_stale, score, recommended_limit, currency FROM credit.bureau ORDER BY provider;
SELECT credit.withdraw_entry('bureau_report', 2, 'another customer');
SELECT provider, report_date, is_stale FROM credit.bureau ORDER BY provider;
SELECT credit.enter_bureau_report('103', NULL, '2025-01-10', score => 1);
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', score => 1, published_on => '2025-01-09');
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', score => 1, published_on => '2025-01-10', valid_until => '2025-01-09');
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10');
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', probability => 1.3);
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', probability => 'NaN');
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', score => 'NaN');
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', recommended_limit => -1);
SELECT credit.enter_bureau_report('103', 'A', '2025-01-10', days_beyond_terms => 'Infinity');

-- 8. Facts: of each the newest

SELECT credit.enter_company_fact('103', founded_on => '1990-06-30', industry => '4634', legal_form => 'GmbH', published_on => '2024-01-01');
SELECT credit.enter_company_fact('103', industry => '4690', employees => 25, published_on => '2025-03-01');
SELECT credit.enter_company_fact('103', country => 'DE', published_on => '2025-01-01');
SELECT day, founded_on, age_years, industry, legal_form, country, employees, published_on FROM (VALUES (date '2023-12-31'), ('2024-06-30'), ('2025-03-01')) d (day), LATERAL credit.companies_on(day) ORDER BY day;
SET credit.as_of = '2025-06-30';
SELECT customer, age_years, industry, note FROM credit.company;
SELECT credit.withdraw_entry('company_fact', 2, 'typing error');
SELECT industry, employees, published_on FROM credit.company;
SELECT credit.enter_company_fact('103');
SELECT credit.enter_company_fact(NULL, industry => '1');
SELECT credit.enter_company_fact('103', founded_on => '2025-03-02', published_on => '2025-03-01');
SELECT credit.enter_company_fact('103', employees => -1);


-- 9. For each account: its own statement, else that for all segments

SELECT credit.enter_financials('201', '2024-12-31', published_on => '2025-01-31', total_assets => 10, equity => 2, total_liabilities => 8);
SELECT credit.enter_financials('201', '2024-12-31', published_on => '2025-01-31', segment => 'north', total_assets => 10, equity => 5, total_liabilities => 5);
SELECT count(credit.set_limit('201', 1, 'test', s)) FROM unnest('{north,south,""}'::text[]) s;
SELECT a.customer, a.segment, r.segment AS of_segment, r.equity_ratio
  FROM credit.account a
  LEFT JOIN LATERAL (SELECT * FROM credit.financial_ratio f
					  WHERE f.customer = a.customer AND f.segment IN (a.segment, '')
					  ORDER BY f.segment DESC LIMIT 1) r ON true
 ORDER BY a.segment;

DROP EXTENSION credit;

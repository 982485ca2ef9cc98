-- Statements, reports and facts: what was known on a day, against plain SQL
-- over random entries; who may enter; what a dump would carry.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.2);
SET LOCAL client_min_messages = error;

CREATE FUNCTION lab.same(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
	WHEN a = b THEN true ELSE abs(a - b) <= 1e-9 * greatest(abs(a), abs(b)) END
$$;
-- NULL now and then, a figure else
CREATE FUNCTION lab.figure(size float8) RETURNS numeric LANGUAGE sql VOLATILE AS $$
SELECT CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.05 THEN 0 ELSE round((random() * size)::numeric, 2) END
$$;

-- 1. Statements of 40 customers over six years, some corrected, some withdrawn

SELECT count(credit.enter_financials(c::text, date '2018-12-31' + 91 * q, 'EUR', date '2018-12-31' + 91 * q + (random() * 200)::int,
	(ARRAY[3, 6, 12, 12, 18])[1 + floor(random() * 5)::int], CASE WHEN c % 5 = 0 THEN 'north' ELSE '' END,
	total_assets => lab.figure(2000), current_assets => lab.figure(1000), current_liabilities => lab.figure(800), inventories => lab.figure(300),
	receivables => lab.figure(300), other_receivables => lab.figure(50), payables => lab.figure(300), other_payables => lab.figure(50), cash => lab.figure(100),
	equity => lab.figure(900) - 200, intangibles => lab.figure(100), retained_earnings => lab.figure(300) - 50, total_liabilities => lab.figure(1200),
	market_equity => lab.figure(900), loans_to_owners => lab.figure(20), sales => lab.figure(3000), cost_of_sales => lab.figure(2000),
	ebit => lab.figure(300) - 50, interest => lab.figure(50), net_income => lab.figure(200) - 60)) AS entered
  FROM generate_series(1, 40) c, generate_series(0, 23) q, generate_series(0, (random() * 1.6)::int) WHERE random() < 0.8 \gset
SELECT cmp_ok(:entered, '>', 700, 'there are statements');
SELECT count(credit.withdraw_entry('financials', financials_id, 'test')) AS withdrawn FROM (SELECT financials_id FROM credit.financials WHERE random() < 0.1 OFFSET 0) f \gset
SELECT cmp_ok(:withdrawn, '>', 40, 'some are withdrawn');

-- the statement in force by "none is better", which sorts nothing
CREATE FUNCTION lab.plain(day date) RETURNS SETOF credit.financials LANGUAGE sql AS $$
SELECT f.* FROM credit.financials f
 WHERE f.published_on <= day AND f.withdrawn_at IS NULL
   AND NOT EXISTS (SELECT FROM credit.financials g
	WHERE (g.customer, g.segment) = (f.customer, f.segment) AND g.published_on <= day AND g.withdrawn_at IS NULL
	  AND (g.period_end, -abs(g.months - 12), g.published_on, g.financials_id) > (f.period_end, -abs(f.months - 12), f.published_on, f.financials_id))
$$;
CREATE TABLE lab.day AS SELECT date '2018-12-01' + 97 * g AS day FROM generate_series(0, 25) g;
SELECT is((SELECT count(*) FROM lab.day d, LATERAL (
	SELECT FROM lab.plain(d.day) p FULL JOIN credit.financial_ratios_on(d.day) r USING (financials_id)
	 WHERE p.customer IS NULL OR r.customer IS NULL OR (p.customer, p.segment, p.period_end, p.published_on, p.months, p.currency) IS DISTINCT FROM
		   (r.customer, r.segment, r.period_end, r.published_on, r.months, r.currency)) x), 0::bigint, 'the newest statement known by each of 26 days');
SELECT cmp_ok((SELECT count(*) FROM lab.day d, LATERAL credit.financial_ratios_on(d.day) r), '>', 500::bigint, 'there were some');
SELECT is_empty('SELECT FROM lab.day d, LATERAL credit.financial_ratios_on(d.day) r WHERE r.published_on > d.day', 'none was known before it was published');

-- 2. Ratios and Z by the words of the definitions

CREATE TABLE lab.want AS
SELECT p.*, d.day, current_assets - current_liabilities AS wc, inventories + receivables + COALESCE(other_receivables, 0) - (payables + COALESCE(other_payables, 0)) AS wcr,
	   sales * 12 / months AS year_sales, cost_of_sales * 12 / months AS year_cost, ebit * 12 / months AS year_ebit, net_income * 12 / months AS year_income,
	   NULLIF(greatest(total_assets, 0), 0) AS ta
  FROM lab.day d, LATERAL lab.plain(d.day) p;
CREATE TABLE lab.have AS SELECT d.day, r.* FROM lab.day d, LATERAL credit.financial_ratios_on(d.day) r;
SELECT is((SELECT count(*) FROM lab.want w JOIN lab.have h USING (day, financials_id)
	WHERE h.working_capital IS DISTINCT FROM wc OR h.working_capital_requirement IS DISTINCT FROM wcr
	   OR h.tangible_net_worth IS DISTINCT FROM equity - COALESCE(intangibles, 0) - COALESCE(loans_to_owners, 0)
	   OR NOT lab.same(h.requirement_days, (wcr / NULLIF(year_sales, 0) * 365)::float8) OR NOT lab.same(h.inventory_days, (inventories / NULLIF(year_cost, 0) * 365)::float8)
	   OR NOT lab.same(h.receivable_days, (receivables / NULLIF(year_sales, 0) * 365)::float8) OR NOT lab.same(h.payable_days, (payables / NULLIF(year_cost, 0) * 365)::float8)
	   OR abs(h.cash_cycle_days - (h.inventory_days + h.receivable_days - h.payable_days)) > 1e-6
	   OR (h.cash_cycle_days IS NULL) <> (h.inventory_days IS NULL OR h.receivable_days IS NULL OR h.payable_days IS NULL)
	   OR NOT lab.same(h.current_ratio, (current_assets / NULLIF(current_liabilities, 0))::float8) OR NOT lab.same(h.quick_ratio, ((current_assets - inventories) / NULLIF(current_liabilities, 0))::float8)
	   OR NOT lab.same(h.cash_ratio, (cash / NULLIF(current_liabilities, 0))::float8) OR NOT lab.same(h.equity_ratio, (equity / ta)::float8)
	   OR NOT lab.same(h.debt_ratio, (total_liabilities / ta)::float8) OR NOT lab.same(h.interest_cover, (ebit / NULLIF(interest, 0))::float8)
	   OR NOT lab.same(h.ebit_margin, (ebit / NULLIF(sales, 0))::float8) OR NOT lab.same(h.net_margin, (net_income / NULLIF(sales, 0))::float8)
	   OR NOT lab.same(h.return_on_assets, (year_income / ta)::float8) OR NOT lab.same(h.return_on_equity, (year_income / CASE WHEN equity > 0 THEN equity END)::float8)
	   OR NOT lab.same(h.asset_turnover, (year_sales / ta)::float8)), 0::bigint, 'ratios');
SELECT is((SELECT count(*) FROM (
	SELECT h.*, wc / ta AS x1, retained_earnings / ta AS x2, year_ebit / ta AS x3, year_sales / ta AS x5,
		   CASE WHEN total_liabilities > 0 THEN market_equity / total_liabilities WHEN total_liabilities = 0 AND market_equity > 0 THEN 10 END AS x4_market,
		   CASE WHEN total_liabilities > 0 THEN equity / total_liabilities WHEN total_liabilities = 0 AND equity > 0 THEN 10 END AS x4_book
	  FROM lab.want w JOIN lab.have h USING (day, financials_id)) q
	WHERE NOT lab.same(round(z::numeric, 9)::float8, round(1.2 * x1 + 1.4 * x2 + 3.3 * x3 + 0.6 * x4_market + 0.999 * x5, 9)::float8)
	   OR NOT lab.same(round(z_private::numeric, 9)::float8, round(0.717 * x1 + 0.847 * x2 + 3.107 * x3 + 0.42 * x4_book + 0.998 * x5, 9)::float8)
	   OR NOT lab.same(round(z_general::numeric, 9)::float8, round(6.56 * x1 + 3.26 * x2 + 6.72 * x3 + 1.05 * x4_book, 9)::float8)
	   OR NOT lab.same(round(z_emerging::numeric, 9)::float8, round(3.25 + 6.56 * x1 + 3.26 * x2 + 6.72 * x3 + 1.05 * x4_book, 9)::float8)), 0::bigint, 'four forms of Z');
SELECT cmp_ok((SELECT count(z) FROM lab.have), '>', 100::bigint, 'there are many');
SELECT is((SELECT count(*) FROM lab.have WHERE z_zone IS DISTINCT FROM
	CASE WHEN z IS NULL THEN NULL WHEN period_end + interval '18 months' < day THEN 'stale' WHEN z > 2.99 THEN 'safe' WHEN z < 1.81 THEN 'distress' ELSE 'grey' END
	OR is_stale <> (period_end + interval '18 months' < day) OR age_days <> day - period_end), 0::bigint, 'zones and age');
SELECT is((SELECT count(DISTINCT z_zone) FROM (SELECT z_zone FROM lab.have UNION ALL SELECT z_zone FROM credit.financial_ratios_on('2030-01-01')) z), 4::bigint, 'all of them');

-- the view is the function on the day
SELECT set_config('credit.as_of', '2022-03-31', true);
SELECT is((SELECT count(*) FROM (SELECT * FROM credit.financial_ratio EXCEPT SELECT * FROM credit.financial_ratios_on('2022-03-31')) x), 0::bigint, 'the view follows credit.as_of');
SELECT is((SELECT count(*) FROM credit.financial_ratio), (SELECT count(*) FROM credit.financial_ratios_on('2022-03-31')), 'and has all');

-- 3. Reports and facts likewise

SELECT count(credit.enter_bureau_report((random() * 20)::int::text, 'P' || (random() * 2)::int, d, score => random(), published_on => d + (random() * 60)::int,
	segment => CASE WHEN random() < 0.2 THEN 'north' ELSE '' END)) AS reports FROM (SELECT date '2020-01-01' + (random() * 1000)::int AS d FROM generate_series(1, 600) OFFSET 0) x \gset
SELECT count(credit.withdraw_entry('bureau_report', bureau_report_id, 'test')) FROM (SELECT bureau_report_id FROM credit.bureau_report WHERE random() < 0.1 OFFSET 0) f;
SELECT is((SELECT count(*) FROM lab.day d, LATERAL (
	SELECT FROM (SELECT b.* FROM credit.bureau_report b WHERE b.published_on <= d.day AND b.withdrawn_at IS NULL
		AND NOT EXISTS (SELECT FROM credit.bureau_report g WHERE (g.customer, g.segment, g.provider) = (b.customer, b.segment, b.provider) AND g.published_on <= d.day AND g.withdrawn_at IS NULL
			AND (g.report_date, g.published_on, g.bureau_report_id) > (b.report_date, b.published_on, b.bureau_report_id))) p
	  FULL JOIN credit.bureau_reports_on(d.day) r USING (bureau_report_id)
	 WHERE p.score IS DISTINCT FROM r.score OR r.is_stale IS DISTINCT FROM (r.report_date + interval '12 months' < d.day) OR r.age_days <> d.day - p.report_date) x), 0::bigint,
	'the newest report of each provider');
SELECT count(credit.enter_company_fact((random() * 20)::int::text, published_on => d, industry => CASE WHEN random() < 0.5 THEN (random() * 1000)::int::text END,
	employees => CASE WHEN random() < 0.5 THEN (random() * 1000)::int END, note => 'x')) AS facts FROM (SELECT date '2020-01-01' + (random() * 1000)::int AS d FROM generate_series(1, 400) OFFSET 0) x \gset
SELECT is((SELECT count(*) FROM lab.day d, LATERAL credit.companies_on(d.day) c
	WHERE c.industry IS DISTINCT FROM (SELECT f.industry FROM credit.company_fact f WHERE (f.customer, f.segment) = (c.customer, c.segment) AND f.published_on <= d.day AND f.industry IS NOT NULL
		ORDER BY f.published_on DESC, f.company_fact_id DESC LIMIT 1)
	   OR c.employees IS DISTINCT FROM (SELECT f.employees FROM credit.company_fact f WHERE (f.customer, f.segment) = (c.customer, c.segment) AND f.published_on <= d.day AND f.employees IS NOT NULL
		ORDER BY f.published_on DESC, f.company_fact_id DESC LIMIT 1)), 0::bigint, 'of each fact the newest');

-- a view must not read all for one: its columns have the collation of the tables
\set schema lab
\ir ../lib/plan.sql
SET LOCAL enable_seqscan = off;
SELECT ok(p ~ 'Index Cond: [^\n]*customer = ''7''' AND p !~ 'Filter: [^\n]*customer = ''7''', v || ' finds one customer by index')
  FROM unnest(ARRAY['financial_ratio', 'financial_statement', 'bureau', 'company']) v, lab.plan(format('SELECT * FROM credit.%I WHERE customer = ''7''', v)) p ORDER BY v;
RESET enable_seqscan;

-- 4. No figure that can be entered makes a view fail

SELECT count(credit.enter_financials('x' || s::text || b::text, '2024-12-31', 'EUR', '2025-01-01', total_assets => round(abs(s * b), 6), equity => b, total_liabilities => s, sales => b, ebit => -b,
	current_assets => s, current_liabilities => s, retained_earnings => -b, market_equity => abs(b), cost_of_sales => s, inventories => abs(b), receivables => b, payables => -b, interest => s, net_income => b))
  FROM (VALUES (0.000001), (1), (999999999999)) v (s), (VALUES (-99999999999999999), (0.000001), (999999999999999)) w (b);
SELECT lives_ok($$SELECT * FROM credit.financial_ratios_on('2025-06-30')$$, 'extremes have ratios');
SELECT lives_ok(format('SELECT * FROM credit.%I(%L::date)', f, d), f || ' on ' || d)
  FROM unnest(ARRAY['financial_ratios_on', 'bureau_reports_on', 'companies_on']) f, unnest(ARRAY['infinity', '-infinity', '5874897-12-31']) d ORDER BY 1;

-- 5. Who may: the right to call is enough, nothing else is needed, and no more is gained

CREATE ROLE credit_test_entry;
CREATE ROLE credit_test_reader;
GRANT USAGE ON SCHEMA credit, lab TO credit_test_entry;
GRANT EXECUTE ON FUNCTION credit.enter_company_fact, credit.withdraw_entry TO credit_test_entry;
SELECT credit.grant_analyst('credit_test_reader');
SET LOCAL ROLE credit_test_entry;
SELECT lives_ok($$SELECT credit.enter_company_fact('Z', industry => '1', published_on => '2024-01-01')$$, 'a clerk enters a fact');
SELECT throws_ok($$SELECT credit.enter_financials('Z', '2024-12-31', total_assets => 1)$$, '42501', NULL, 'but no statement');
SELECT throws_ok('SELECT * FROM credit.company_fact', '42501', NULL, 'and reads none');
SET LOCAL ROLE credit_test_reader;
SET LOCAL credit.as_of = '2025-01-01';
SELECT is((SELECT industry FROM credit.company WHERE customer = 'Z'), '1', 'an analyst reads');
SELECT lives_ok($$SELECT * FROM credit.financial_ratio, credit.bureau, credit.financial_statement LIMIT 1$$, 'all of it');
SELECT throws_ok($$SELECT credit.enter_company_fact('Z', industry => '1')$$, '42501', NULL, 'and enters nothing');
RESET ROLE;
SELECT is((SELECT entered_by FROM credit.company_fact WHERE customer = 'Z'), session_user::text, 'the session user is written down, not the owner of the function');
SELECT throws_ok('DELETE FROM credit.company_fact', '55000', NULL, 'the door is closed behind withdraw_entry()');
SELECT credit.withdraw_entry('company_fact', (SELECT company_fact_id FROM credit.company_fact WHERE customer = 'Z'), 'x');
SELECT throws_ok('DELETE FROM credit.company_fact', '55000', NULL, 'also in the same transaction');
SELECT throws_ok($$SELECT credit.withdraw_entry('company_fact', 0, 'x')$$, 'P0002', NULL, 'an unknown entry');
SELECT throws_ok('DELETE FROM credit.company_fact', '55000', NULL, 'and after an error');

SELECT * FROM finish();
ROLLBACK;

-- Features against plain SQL over random documents, the past that stays what
-- it was, one account against all, defaults day by day, and who may what.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.4);
SET LOCAL client_min_messages = error;

CREATE TABLE lab.customer (id text PRIMARY KEY, credit_limit numeric);
CREATE TABLE lab.invoice (id int PRIMARY KEY, customer text, amount numeric, invoiced date, due date);
CREATE TABLE lab.payment (id int PRIMARY KEY, customer text, invoice int, amount numeric, paid date, is_loss boolean DEFAULT false);
CREATE INDEX ON lab.payment (invoice);
CREATE TABLE lab.orders (id int PRIMARY KEY, customer text, amount numeric, ordered date);
INSERT INTO lab.customer SELECT g, CASE WHEN g % 7 = 0 THEN NULL ELSE 2000 * (g % 5) END FROM generate_series(1, 60) g;
INSERT INTO lab.invoice SELECT g, 1 + (random() * 58)::int, round((50 + random() * 900)::numeric, 2), d, d + (ARRAY[0, 14, 30, 60])[1 + (random() * 3)::int]
  FROM (SELECT g, date '2023-01-01' + (random() * 900)::int AS d FROM generate_series(1, 1500) g OFFSET 0) x;
-- most are paid, some in two parts, some never, some by some customers very late
INSERT INTO lab.payment SELECT 2 * id, customer, id, CASE WHEN r < 0.2 THEN round(amount * 0.6, 2) ELSE amount END, greatest(invoiced, due - 10 + (random() * 40 * (1 + id % 3))::int)
  FROM (SELECT i.*, random() AS r FROM lab.invoice i WHERE random() < 0.9 OFFSET 0) x;
INSERT INTO lab.payment SELECT 2 * i.id + 1, i.customer, i.id, i.amount - p.amount, p.paid + 5 + (random() * 60)::int
  FROM lab.invoice i JOIN lab.payment p ON p.invoice = i.id WHERE p.amount < i.amount AND random() < 0.8;
INSERT INTO lab.orders SELECT g, 1 + (random() * 58)::int, round((random() * 500)::numeric, 2) + 1, date '2023-06-01' + (random() * 700)::int FROM generate_series(1, 400) g;
SELECT credit.set('currency', 'EUR'), credit.set('time_zone', 'UTC');
SELECT credit.attach('lab.customer', 'customer', key => 'id', credit_limit => 'credit_limit') <> '',
	credit.attach('lab.invoice', 'invoice', key => 'id', customer => 'customer', amount => 'amount', document_date => 'invoiced', due_date => 'due') <> '',
	credit.attach('lab.payment', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'paid', applies_to => 'invoice', is_write_off => 'is_loss') <> '',
	credit.attach('lab.orders', 'order', key => 'id', customer => 'customer', amount => 'amount', document_date => 'ordered', on_breach => 'off') <> '';

-- plans for what is there
ANALYZE credit.account, credit.account_limit, credit.item, credit.settlement, credit.source;

-- 1. The catalog is what there is

SELECT set_eq($$SELECT name FROM credit.feature_catalog$$,
	$$SELECT u.name FROM pg_proc p, unnest(p.proargnames, p.proargmodes) u (name, mode) WHERE p.oid = 'credit.features'::regproc AND u.mode = 't'
	   AND u.name NOT IN ('account_id', 'customer', 'segment', 'name', 'currency', 'declared')$$, 'each feature is in the catalog, and each of the catalog is there');
SELECT is((SELECT count(*) FROM credit.feature_catalog WHERE meaning IS NULL OR missing IS NULL OR time_window IS NULL OR unit IS NULL), 0::bigint, 'with all that is to be said of it');
SELECT is((SELECT count(*) FROM credit.feature_catalog c JOIN (SELECT u.name, u.type FROM pg_proc p, unnest(p.proargnames, p.proallargtypes, p.proargmodes) u (name, type, mode) WHERE p.oid = 'credit.features'::regproc AND u.mode = 't') f USING (name)
	WHERE c.type <> CASE f.type WHEN 'text'::regtype THEN 'text' WHEN 'boolean'::regtype THEN 'boolean' ELSE 'number' END), 0::bigint, 'and its type');
SELECT is((SELECT array_agg(DISTINCT k ORDER BY k) FROM credit.feature_values('2025-01-01'), jsonb_object_keys(features) k), (SELECT array_agg(name ORDER BY name) FROM credit.feature_catalog), 'and the same names in JSON');
SELECT is((SELECT string_agg(f, ', ') FROM credit.add_standard_model() m, unnest(credit.model_features(m)) f WHERE f NOT IN (SELECT name FROM credit.feature_catalog)), NULL, 'the shipped scorecard finds all its features');

-- 2. Plain SQL

CREATE FUNCTION lab.plain(day date) RETURNS TABLE (customer text, n_paid bigint, n_overdue bigint, mean_late float8, weighted float8, open_amount numeric, overdue numeric, over_90 numeric, oldest int,
	partial float8, ratio float8, last_paid int, exposure numeric, n_orders bigint, months float8) LANGUAGE sql AS $$
WITH debt AS (SELECT i.*, COALESCE((SELECT sum(p.amount) FROM lab.payment p WHERE p.invoice = i.id AND p.paid <= day), 0) AS got,
	(SELECT max(p.paid) FROM lab.payment p WHERE p.invoice = i.id AND p.paid <= day) AS last, (SELECT min(p.paid) FROM lab.payment p WHERE p.invoice = i.id AND p.paid <= day) AS first
	FROM lab.invoice i WHERE i.invoiced <= day)
SELECT c.id, (SELECT count(*) FROM debt d WHERE d.customer = c.id AND d.got >= d.amount AND d.last > day - 365),
	(SELECT count(*) FROM debt d WHERE d.customer = c.id AND d.got < d.amount AND d.due < day),
	(SELECT avg(d.last - d.due) FROM debt d WHERE d.customer = c.id AND d.got >= d.amount AND d.last > day - 365)::float8,
	(SELECT sum((p.paid - d.due) * p.amount) / sum(p.amount) FROM debt d JOIN lab.payment p ON p.invoice = d.id WHERE d.customer = c.id AND p.paid <= day AND p.paid > day - 365)::float8,
	(SELECT COALESCE(sum(d.amount - d.got), 0) FROM debt d WHERE d.customer = c.id),
	(SELECT COALESCE(sum(d.amount - d.got), 0) FROM debt d WHERE d.customer = c.id AND d.due < day),
	(SELECT COALESCE(sum(d.amount - d.got), 0) FROM debt d WHERE d.customer = c.id AND d.due < day - 90),
	(SELECT greatest(max(day - d.due) FILTER (WHERE d.got < d.amount), 0) FROM debt d WHERE d.customer = c.id),
	(SELECT avg((d.amount - f.amount > greatest(0.01 * d.amount, 0.01))::int) FROM debt d CROSS JOIN LATERAL (SELECT sum(p.amount) AS amount FROM lab.payment p WHERE p.invoice = d.id AND p.paid = d.first) f
	  WHERE d.customer = c.id AND d.first > day - 365)::float8,
	(SELECT sum(d.got) / sum(d.amount) FROM debt d WHERE d.customer = c.id AND d.due > day - 365 AND d.due <= day)::float8,
	(SELECT day - max(d.last) FROM debt d WHERE d.customer = c.id),
	(SELECT COALESCE(sum(d.amount - d.got), 0) FROM debt d WHERE d.customer = c.id) + (SELECT COALESCE(sum(o.amount), 0) FROM lab.orders o WHERE o.customer = c.id AND o.ordered <= day),
	(SELECT count(*) FROM lab.orders o WHERE o.customer = c.id AND o.ordered <= day AND o.ordered > day - 365),
	(SELECT (day - least((SELECT min(invoiced) FROM debt d WHERE d.customer = c.id), (SELECT min(paid) FROM lab.payment p WHERE p.customer = c.id AND p.paid <= day), (SELECT min(o.ordered) FROM lab.orders o WHERE o.customer = c.id AND o.ordered <= day))) / 30.4375)::float8
  FROM lab.customer c
$$;
CREATE FUNCTION lab.same(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT a IS NOT DISTINCT FROM b OR abs(a - b) <= 1e-9 * greatest(abs(a), abs(b), 1e-9) $$;
CREATE TABLE lab.day AS SELECT d FROM unnest('{2023-03-01,2023-11-30,2024-06-30,2025-01-15,2025-06-30}'::date[]) d;
CREATE TABLE lab.want AS SELECT d.d, p.* FROM lab.day d, LATERAL lab.plain(d.d) p;
CREATE TABLE lab.have AS SELECT d.d, f.* FROM lab.day d, LATERAL credit.features(d.d) f;
SELECT is((SELECT string_agg(format('%s %s %s', h.d, h.customer, x.wrong), '; ') FROM lab.have h JOIN lab.want p ON p.customer = h.customer AND p.d = h.d,
	LATERAL (SELECT string_agg(w.what, ' ') AS wrong FROM (VALUES
		('n_paid', COALESCE(h.n_paid, 0) = p.n_paid), ('n_overdue', COALESCE(h.n_overdue, 0) = p.n_overdue), ('mean', lab.same(h.mean_days_late, p.mean_late)), ('weighted', lab.same(h.weighted_days_late, p.weighted)),
		('open', COALESCE(h.open_amount, 0) = p.open_amount), ('overdue', COALESCE(h.overdue_amount, 0) = p.overdue), ('over_90', COALESCE(h.over_90_amount, 0) = p.over_90), ('oldest', COALESCE(h.oldest_days_overdue, 0) = COALESCE(p.oldest, 0)),
		('overdue_ratio', lab.same(h.overdue_ratio, CASE WHEN h.n_paid IS NOT NULL THEN COALESCE((p.overdue / NULLIF(p.open_amount, 0))::float8, 0) END)),
		('partial', lab.same(h.partial_payment_ratio, p.partial)), ('ratio', lab.same(h.payment_ratio, p.ratio)), ('last', h.days_since_payment IS NOT DISTINCT FROM p.last_paid),
		('exposure', h.exposure = p.exposure), ('orders', COALESCE(h.n_orders, 0) = p.n_orders), ('months', lab.same(h.months_known, p.months)),
		('default', COALESCE(h.is_in_default, false) = (p.over_90 >= 500 AND p.over_90 >= 0.01 * p.open_amount))) w (what, ok) WHERE w.ok IS NOT TRUE) x WHERE x.wrong IS NOT NULL), NULL, 'sixteen features of 60 customers on five days');
SELECT cmp_ok((SELECT count(*) FROM lab.have WHERE is_in_default), '>', 5::bigint, 'some were in default');
SELECT is((SELECT count(*) FROM lab.day d CROSS JOIN LATERAL credit.payment_behaviour_on(d.d) b JOIN lab.have h ON h.d = d.d AND h.customer = b.customer
	WHERE (h.on_time_rate, h.median_days_late, h.p90_days_late, h.sd_days_late, h.recent_days_late, h.trend_slope, h.is_worsening, h.payment_index)
	   IS DISTINCT FROM (b.on_time_rate, b.median_days_late, b.p90_days_late, b.sd_days_late, b.recent_days_late, b.trend_slope, b.is_worsening, b.payment_index)), 0::bigint, 'behaviour as payment_behaviour_on() says');
SELECT is((SELECT count(*) FROM lab.have h, LATERAL (SELECT * FROM credit.features(h.d, h.account_id)) f WHERE h.d = '2025-01-15' AND h.account_id % 12 = 0 AND to_jsonb(h) - 'd' IS DISTINCT FROM to_jsonb(f)), 0::bigint, 'one account as all');
SELECT is((SELECT count(*) FROM credit.features() f JOIN credit.exposure e USING (customer) WHERE f.exposure IS DISTINCT FROM e.total OR NOT lab.same(f.utilisation, e.utilisation)), 0::bigint, 'today''s exposure is what the order check looks at');

-- 3. Defaults, day by day

/* every day of a quarter: what was open then, and what of it was due more than 90 days before */
CREATE TABLE lab.late AS SELECT x.customer, x.day, sum(x.rest) FILTER (WHERE x.due < x.day - 90) >= 500 AND sum(x.rest) FILTER (WHERE x.due < x.day - 90) >= 0.01 * sum(x.rest) AS is_default
  FROM (SELECT i.customer, d::date AS day, i.due, i.amount - COALESCE((SELECT sum(p.amount) FROM lab.payment p WHERE p.invoice = i.id AND p.paid <= d), 0) AS rest
		  FROM lab.invoice i, generate_series(date '2024-01-02', '2024-03-31', interval '1 day') d WHERE i.invoiced <= d) x
 GROUP BY x.customer, x.day;
SELECT results_eq($$SELECT e.customer::int, e.defaulted_on FROM credit.default_events('2024-01-01', '2024-03-31') e ORDER BY 1$$,
	$$SELECT customer::int, min(day) FROM lab.late WHERE is_default GROUP BY 1 ORDER BY 1$$, 'the first day in default, by looking at each day');
SELECT cmp_ok((SELECT count(*) FROM lab.late WHERE is_default AND day > '2024-01-05'), '>', 0::bigint, 'there are some');
SELECT is((SELECT count(*) FROM lab.day d, LATERAL (SELECT FROM credit.default_events(d.d - 1, d.d) e FULL JOIN (SELECT h.account_id FROM lab.have h WHERE h.d = d.d AND h.is_in_default) f ON f.account_id = e.account_id WHERE f.account_id IS NULL OR e.account_id IS NULL) x), 0::bigint, 'of one day: those that are in default on it');

-- 4. The past stays what it was

CREATE TABLE lab.before AS SELECT f.* FROM credit.features('2024-06-30') f;
INSERT INTO lab.invoice SELECT 10000 + g, 1 + (random() * 58)::int, 700, '2024-07-01', '2024-08-01' FROM generate_series(1, 100) g;
INSERT INTO lab.payment SELECT 100000 + i.id, i.customer, i.id, i.amount, '2024-07-15' FROM lab.invoice i WHERE NOT EXISTS (SELECT FROM lab.payment p WHERE p.invoice = i.id) AND random() < 0.5;
INSERT INTO lab.orders SELECT 1000 + g, 1 + (random() * 58)::int, 10, '2024-07-02' FROM generate_series(1, 50) g;
SELECT count(credit.enter_financials(id, '2023-12-31', 'EUR', '2024-07-01', total_assets => 10, equity => 5)), count(credit.enter_bureau_report(id, 'one', '2024-06-01', probability => 0.1, published_on => '2024-07-01')),
	count(credit.enter_company_fact(id, industry => 'x', published_on => '2024-07-01')) FROM lab.customer;
SELECT is((SELECT count(*) FROM credit.features('2024-06-30') f JOIN lab.before b USING (customer) WHERE to_jsonb(f) IS DISTINCT FROM to_jsonb(b)), 0::bigint, 'what came later, or was published later, changes nothing');
SELECT cmp_ok((SELECT count(*) FROM credit.features('2024-08-31') f WHERE f.industry = 'x' AND f.equity_ratio = 0.5 AND f.bureau_probability = 0.1), '=', 60::bigint, 'and is known afterwards');
SELECT is((SELECT count(*) FROM credit.features('2026-01-01') f WHERE f.equity_ratio IS NOT NULL OR f.bureau_probability IS NOT NULL), 0::bigint, 'until it is too old');

-- 5. Ratings written are what scores() says; a second run is the same

CREATE TABLE lab.said AS SELECT s.* FROM credit.scores('2025-06-30') s;
SELECT is((SELECT n_rated FROM credit.rate_all('2025-06-30')), (SELECT count(grade) FROM lab.said), 'a run rates all that have a score');
SELECT is((SELECT count(*) FROM lab.said s FULL JOIN credit.rating_history h ON h.customer = s.customer
	WHERE (h.grade, h.score, h.pd, h.reasons) IS DISTINCT FROM (s.grade, s.score, s.probability, s.reasons) AND (h.grade IS NOT NULL OR s.grade IS NOT NULL)), 0::bigint, 'and writes what scores() says');
SELECT is((SELECT (n_better, n_worse) = (0, 0) FROM credit.rate_all('2025-06-30')), true, 'again: nobody moves');
SELECT is((SELECT count(*) FROM (SELECT * FROM lab.said ORDER BY customer LIMIT 4) s, LATERAL credit.score(s.customer, '2025-06-30') o WHERE (o.score, o.probability, o.grade, o.reasons) IS DISTINCT FROM (s.score, s.probability, s.grade, s.reasons)), 0::bigint, 'one customer as all');
SELECT is((SELECT count(*) FROM lab.said s WHERE s.score IS NOT NULL AND abs(s.score - (SELECT sum(p.points) FROM unnest(s.parts) p)) > 1e-9), 0::bigint, 'points add up');
-- a little more or less does not move a grade, the second time
SELECT credit.set_calibration(model_id, 'shift', 'test', '{0.05}') FROM credit.model;
SELECT is((SELECT count(*) FROM credit.scores('2025-06-30') s JOIN credit.scale() c ON true WHERE s.rank <> s.former_rank AND s.probability < c.upper_pd[s.former_rank] * 1.1 AND s.probability > c.upper_pd[s.former_rank - 1] * 0.9), 0::bigint, 'hysteresis');

-- 6. Who may what

CREATE ROLE feature_analyst;
CREATE ROLE feature_clerk;
SELECT credit.grant_analyst('feature_analyst');
SELECT credit.declare_feature('open_secret', '(SELECT count(*) FROM lab.orders o WHERE o.customer = subject.customer)', 'Test.') > 0;
SET LOCAL ROLE feature_analyst;
SELECT throws_ok($$SELECT count(*) FROM credit.features('2025-06-30')$$, '42501', NULL, 'a declared feature runs with the rights of the caller');
SELECT throws_ok($$SELECT credit.declare_feature('mine', '1', 'Mine.')$$, '42501', NULL, 'an analyst declares none');
SELECT throws_ok($$SELECT credit.rate_all('2025-06-30')$$, '42501', NULL, 'and does not rate');
RESET ROLE;
GRANT USAGE ON SCHEMA credit TO feature_clerk;
GRANT EXECUTE ON FUNCTION credit.declare_feature(text, text, text, text, text, text, jsonb), credit.rate_all(date, text, float8) TO feature_clerk;
GRANT INSERT, SELECT ON credit.feature_definition, credit.feature_catalog TO feature_clerk;
SET LOCAL ROLE feature_clerk;
SELECT throws_ok($$SELECT credit.declare_feature('mine', '1', 'Mine.')$$, '42501', 'features are declared by the owner of the extension', 'nor does anybody but the owner');
SELECT lives_ok($$SELECT credit.rate_all('2025-06-30')$$, 'EXECUTE is enough to rate');
RESET ROLE;
SELECT credit.drop_feature('open_secret');
SET LOCAL ROLE feature_analyst;
SELECT lives_ok($$SELECT count(*) FROM credit.features('2025-06-30')$$, 'an analyst reads features');
SELECT lives_ok($$SELECT * FROM credit.score('5', '2025-06-30')$$, 'and scores');
SELECT lives_ok($$SELECT * FROM credit.validate(observed_on => '{2024-06-30}')$$, 'validates');
SELECT lives_ok($$SELECT * FROM credit.monitor$$, 'and looks whether models drift');
SELECT lives_ok($$SELECT * FROM credit.stability(as_of => '2025-06-30', reference_on => '2024-06-30')$$, 'in each characteristic');
RESET ROLE;
-- a feature that wants to write cannot
CREATE TABLE lab.noted (x int);
CREATE FUNCTION lab.note() RETURNS int LANGUAGE sql STABLE AS $$ SELECT 1 $$;
SELECT credit.declare_feature('noting', 'lab.note()', 'Test.') > 0;
CREATE OR REPLACE FUNCTION lab.note() RETURNS int LANGUAGE sql STABLE AS $$ INSERT INTO lab.noted VALUES (1) RETURNING x $$;
SELECT throws_ok($$SELECT count(*) FROM credit.features('2025-06-30')$$, '0A000', NULL, 'a feature that writes is refused');
SELECT credit.drop_feature('noting');

-- 7. Validation from the ledger is that of its parts

CREATE TABLE lab.judged AS SELECT s.score, s.probability, e.customer IS NOT NULL AS is_default FROM credit.scores('2024-03-31') s LEFT JOIN credit.default_events('2024-03-31', '2025-03-31') e ON e.customer = s.customer WHERE NOT s.is_default;
SELECT is((SELECT (v.n, v.n_default, v.auc, v.ks, v.brier, v.log_loss, v.hosmer_lemeshow, v.slope) FROM credit.validate(observed_on => '{2024-03-31}') v),
	(SELECT ((d).n, (d).n_default, (d).auc, (d).ks, (c).brier, (c).log_loss, (c).hosmer_lemeshow, (c).slope) FROM (SELECT credit.discrimination(score, is_default) AS d, credit.calibration(probability, is_default) AS c FROM lab.judged) x), 'report of validate()');
SELECT cmp_ok((SELECT n_default FROM credit.validate(observed_on => '{2024-03-31}')), '>', 5::bigint, 'over some defaults');
-- 8. Defaults for whatever cause, day by day

INSERT INTO lab.payment SELECT 200000 + i.id, i.customer, i.id, i.amount, i.due + (random() * 200)::int, true
  FROM lab.invoice i WHERE NOT EXISTS (SELECT FROM lab.payment p WHERE p.invoice = i.id) AND i.customer::int % 3 = 0 AND i.invoiced < '2024-03-01' AND random() < 0.6;
SELECT count(credit.enter_default(id, (ARRAY['insolvency', 'other', 'forced_sale'])[1 + id::int % 3], date '2023-12-01' + id::int * 3, published_on => date '2023-12-20' + id::int * 3)) FROM lab.customer WHERE id::int % 5 = 0;
SELECT count(credit.enter_default(id, 'recovery', date '2024-02-15' + id::int, published_on => date '2024-02-15' + id::int)) FROM lab.customer WHERE id::int % 4 = 0;
ANALYZE credit.settlement, credit.item;
/* each customer on each day: past due, written off so far, or entered and not recovered since */
CREATE TABLE lab.bad AS
SELECT c.id AS customer, d::date AS day,
	   l.late >= 500 AND l.late >= 0.01 * l.rest AS is_late,
	   w.lost >= 500 AND w.lost >= 0.01 * (w.lost + w.rest) AND NOT EXISTS (SELECT FROM credit.default_event e WHERE e.customer = c.id AND e.cause = 'recovery' AND e.happened_on > w.day AND e.happened_on <= d) AS is_lost,
	   EXISTS (SELECT FROM credit.default_event e WHERE e.customer = c.id AND e.cause <> 'recovery' AND e.happened_on <= d
				  AND NOT EXISTS (SELECT FROM credit.default_event r WHERE r.customer = c.id AND r.cause = 'recovery' AND r.happened_on > e.happened_on AND r.happened_on <= d)) AS is_entered,
	   EXISTS (SELECT FROM credit.default_event e WHERE e.customer = c.id AND e.cause <> 'recovery' AND e.happened_on <= d AND e.published_on <= d
				  AND NOT EXISTS (SELECT FROM credit.default_event r WHERE r.customer = c.id AND r.cause = 'recovery' AND r.happened_on > e.happened_on AND r.happened_on <= d)) AS is_known
  FROM lab.customer c CROSS JOIN generate_series(date '2024-01-02', '2024-03-31', interval '1 day') d
 CROSS JOIN LATERAL (SELECT COALESCE(sum(i.amount - i.paid) FILTER (WHERE i.due < d::date - 90), 0) AS late, COALESCE(sum(i.amount - i.paid), 0) AS rest
					   FROM (SELECT i.amount, i.due, COALESCE((SELECT sum(p.amount) FROM lab.payment p WHERE p.invoice = i.id AND p.paid <= d), 0) AS paid
							   FROM lab.invoice i WHERE i.customer = c.id AND i.invoiced <= d) i) l
 CROSS JOIN LATERAL (SELECT max(p.paid) AS day, sum(p.amount) AS lost,
							(SELECT COALESCE(sum(i.amount - COALESCE((SELECT sum(q.amount) FROM lab.payment q WHERE q.invoice = i.id AND q.paid <= max(p.paid)), 0)), 0)
							   FROM lab.invoice i WHERE i.customer = c.id AND i.invoiced <= max(p.paid)) AS rest
					   FROM lab.payment p WHERE p.customer = c.id AND p.is_loss AND p.paid <= d) w;
SELECT results_eq($$SELECT e.customer::int, e.defaulted_on FROM credit.defaults('2024-01-01', '2024-03-31') e ORDER BY 1$$,
	$$SELECT customer::int, min(day) FROM lab.bad WHERE is_late OR is_lost OR is_entered GROUP BY 1 ORDER BY 1$$, 'the first day in default for whatever cause, by looking at each day');
SELECT ok(count(*) FILTER (WHERE is_lost AND NOT is_late) > 100 AND count(*) FILTER (WHERE is_entered) > count(*) FILTER (WHERE is_known) AND count(*) FILTER (WHERE is_known) > 100, 'of each kind there are some') FROM lab.bad;
SELECT is((SELECT count(*) FROM lab.bad b JOIN credit.features(d) f ON f.customer = b.customer WHERE b.day = d AND COALESCE(f.is_in_default, false) IS DISTINCT FROM COALESCE(b.is_late OR b.is_lost OR b.is_known, false)), 0::bigint, 'feature is_in_default on ' || d)
  FROM unnest('{2024-01-15,2024-02-29,2024-03-31}'::date[]) d;
SELECT is((SELECT count(*) FROM lab.bad b JOIN credit.account a USING (customer) CROSS JOIN LATERAL credit.features(b.day, a.account_id) f
	WHERE b.day = '2024-02-29' AND a.account_id % 5 = 0 AND COALESCE(f.is_in_default, false) IS DISTINCT FROM COALESCE(b.is_late OR b.is_lost OR b.is_known, false)), 0::bigint, 'one account as all');
SELECT is((SELECT v.n_default FROM credit.validate(observed_on => '{2024-01-01}', months => 3) v),
	(SELECT count(*) FROM credit.scores('2024-01-01') s WHERE NOT s.is_default AND s.score IS NOT NULL AND EXISTS (SELECT FROM lab.bad b WHERE b.customer = s.customer AND b.day <= '2024-03-31' AND (b.is_late OR b.is_lost OR b.is_entered)))
		+ (SELECT count(*) FROM credit.defaults('2024-03-31', '2024-04-01') e JOIN credit.scores('2024-01-01') s USING (customer) WHERE NOT s.is_default AND s.score IS NOT NULL AND NOT EXISTS (SELECT FROM lab.bad b WHERE b.customer = s.customer AND (b.is_late OR b.is_lost OR b.is_entered))), 'outcomes of validate()');
SELECT * FROM finish();
ROLLBACK;

-- Grades, ratings in force and migration against plain SQL over random rows.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.6);
SET LOCAL client_min_messages = error;

-- 1. Grades

CREATE TABLE lab.pd AS
SELECT CASE WHEN random() < 0.2 THEN (ARRAY[0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 1, 0])[1 + (random() * 8)::int] ELSE exp(-9 * random()) END::float8 AS pd,
	   1 + (random() * 8)::int AS old FROM generate_series(1, 20000);
SELECT is((SELECT count(*) FROM lab.pd WHERE credit.grade_of(pd) IS DISTINCT FROM
	(SELECT m.grade FROM credit.master_scale m WHERE NOT m.is_default AND pd <= m.upper_pd ORDER BY m.rank LIMIT 1)), 0::bigint, 'the first grade whose bound is not exceeded');
SELECT is((SELECT count(*) FROM lab.pd JOIN credit.master_scale m ON m.rank = old WHERE credit.grade_of(pd, m.grade, h.h) IS DISTINCT FROM
	CASE WHEN NOT m.is_default AND pd >= m.lower_pd * (1 - h.h) AND (m.upper_pd = 1 OR pd <= m.upper_pd * (1 + h.h)) THEN m.grade ELSE credit.grade_of(pd) END), 0::bigint, format('with hysteresis %s', h.h))
  FROM (VALUES (0::float8), (0.1), (0.5)) h (h);
SELECT is((SELECT count(*) FROM lab.pd, credit.scale() s WHERE s.grades[credit.grade_position(pd, s.upper_pd)] IS DISTINCT FROM credit.grade_of(pd)), 0::bigint, 'set-wise the same');
SELECT is((SELECT count(*) FROM lab.pd p JOIN credit.master_scale m ON p.pd > m.lower_pd AND p.pd <= m.upper_pd WHERE p.pd > 0 AND m.grade <> credit.grade_of(p.pd)), 0::bigint, 'and by a join with the view');
-- a small change never moves a grade to and fro
SELECT is((SELECT count(*) FROM lab.pd WHERE credit.grade_of(pd * 0.95, credit.grade_of(pd)) <> credit.grade_of(pd) AND credit.grade_of(pd, credit.grade_of(pd * 0.95, credit.grade_of(pd))) = credit.grade_of(pd)), 0::bigint, 'no to and fro');
SELECT ok((SELECT bool_and(m.grade_pd BETWEEN m.lower_pd AND m.upper_pd) FROM credit.master_scale m), 'what stands for a grade lies in it');

-- 2. Ratings in force on any day

SELECT count(credit.record_rating((random() * 30)::int::text, 'house', exp(-8 * random()), valid_from => date '2020-01-01' + (random() * 1500)::int,
	is_default => random() < 0.05, is_challenger => random() < 0.2, segment => CASE WHEN random() < 0.3 THEN 'north' ELSE '' END)) FROM generate_series(1, 800);
/* overrides of other days are set by hand: the function knows today only */
INSERT INTO credit.rating_override (customer, segment, grade, reason, valid_from, expires_on)
SELECT (random() * 30)::int, '', CASE WHEN r < 0.8 THEN (1 + (random() * 7)::int)::text END, 'test', d, CASE WHEN r < 0.8 THEN d + (random() * 200)::int END
  FROM (SELECT random() AS r, date '2020-01-01' + g * 7 AS d FROM generate_series(1, 200) g OFFSET 0) x;
CREATE FUNCTION lab.plain(day date) RETURNS TABLE (customer text, segment text, grade text, origin text) LANGUAGE sql AS $$
SELECT k.customer, k.segment, COALESCE(o.grade, m.grade), CASE WHEN o.grade IS NOT NULL THEN 'override' WHEN m.grade IS NOT NULL THEN 'model' END
  FROM (SELECT customer, segment FROM credit.rating_history WHERE valid_from <= day AND NOT is_challenger
		UNION SELECT r.customer, r.segment FROM credit.rating_override r WHERE r.valid_from <= day) k
  LEFT JOIN LATERAL (SELECT h.grade FROM credit.rating_history h WHERE (h.customer, h.segment) = (k.customer, k.segment) AND h.valid_from <= day AND NOT h.is_challenger
					  ORDER BY h.valid_from DESC, h.rating_id DESC LIMIT 1) m ON true
  LEFT JOIN LATERAL (SELECT CASE WHEN r.expires_on >= day THEN r.grade END AS grade FROM credit.rating_override r WHERE (r.customer, r.segment) = (k.customer, k.segment) AND r.valid_from <= day
					  ORDER BY r.rating_override_id DESC LIMIT 1) o ON true
$$;
CREATE TABLE lab.day AS SELECT date '2019-12-01' + 61 * g AS day FROM generate_series(0, 30) g;
SELECT is((SELECT count(*) FROM lab.day d, LATERAL (
	SELECT FROM (SELECT * FROM lab.plain(d.day) WHERE grade IS NOT NULL) p FULL JOIN (SELECT * FROM credit.ratings_on(d.day) WHERE grade IS NOT NULL) r USING (customer, segment)
	 WHERE (p.grade, p.origin) IS DISTINCT FROM (r.grade, r.origin)) x), 0::bigint, 'ratings in force on 31 days');
SELECT is((SELECT string_agg(DISTINCT origin, ' ' ORDER BY origin) FROM lab.day d, LATERAL credit.ratings_on(d.day) r), 'model override', 'of both origins');
SELECT is((SELECT count(*) FROM lab.day d, LATERAL credit.ratings_on(d.day) r LEFT JOIN credit.master_scale m USING (grade)
	WHERE r.rank IS DISTINCT FROM m.rank OR r.pd IS DISTINCT FROM CASE WHEN r.origin = 'model' THEN r.model_pd ELSE m.grade_pd END), 0::bigint, 'with place and probability');
SELECT is((SELECT count(*) FROM lab.day d, LATERAL (
	SELECT FROM (SELECT h.* FROM credit.rating_history h WHERE h.valid_from <= d.day AND NOT EXISTS (SELECT FROM credit.rating_history g
		WHERE (g.customer, g.segment, g.model, g.is_challenger) = (h.customer, h.segment, h.model, h.is_challenger) AND g.valid_from <= d.day
		  AND (g.valid_from, g.rating_id) > (h.valid_from, h.rating_id))) p
	  FULL JOIN credit.model_ratings_on(d.day) r USING (customer, segment, model, is_challenger)
	 WHERE (p.grade, p.pd, p.valid_from) IS DISTINCT FROM (r.grade, r.pd, r.rated_on)) x), 0::bigint, 'each model by itself');
SELECT set_config('credit.as_of', '2023-01-15', true);
SELECT is((SELECT count(*) FROM (SELECT * FROM credit.rating EXCEPT SELECT * FROM credit.ratings_on('2023-01-15')) x), 0::bigint, 'the view follows credit.as_of');

-- one customer is not looked for among all: columns have the collation of the tables
\set schema lab
\ir ../lib/plan.sql
SET LOCAL enable_seqscan = off;
SELECT ok(p ~ 'Index Cond: [^\n]*customer = ''7''' AND p !~ 'Filter: [^\n]*customer = ''7''', v || ' finds one customer by index')
  FROM unnest(ARRAY['rating', 'rating_check', 'model_rating']) v, lab.plan(format('SELECT * FROM credit.%I WHERE customer = ''7''', v)) p ORDER BY v;
RESET enable_seqscan;

-- 3. Migration adds up

CREATE TABLE lab.migration AS SELECT * FROM credit.rating_migration;
SELECT is((SELECT sum(n) FROM lab.migration), (SELECT count(*)::numeric FROM (SELECT customer, segment FROM lab.plain('2022-01-15') WHERE grade IS NOT NULL UNION SELECT customer, segment FROM lab.plain('2023-01-15') WHERE grade IS NOT NULL) k), 'every customer is in it once');
SELECT is((SELECT count(*) FROM (SELECT a.grade AS from_grade, b.grade AS to_grade, count(*) AS n FROM (SELECT * FROM lab.plain('2022-01-15') WHERE grade IS NOT NULL) a
	FULL JOIN (SELECT * FROM lab.plain('2023-01-15') WHERE grade IS NOT NULL) b USING (customer, segment) GROUP BY 1, 2) p
	LEFT JOIN lab.migration m ON (m.from_grade, m.to_grade) IS NOT DISTINCT FROM (p.from_grade, p.to_grade) WHERE p.n IS DISTINCT FROM m.n), 0::bigint, 'in the right cell');
SELECT ok((SELECT bool_and(abs(s - 1) < 1e-12) FROM (SELECT sum(share) AS s FROM lab.migration GROUP BY from_grade) x), 'shares of a grade add up to 1');
SELECT is((SELECT count(*) FROM credit.rating_changes_between('2022-01-15', '2023-01-15') WHERE notches IS DISTINCT FROM to_rank - from_rank), 0::bigint, 'notches');

-- 3a. A run over all customers in one statement gives what record_rating() gives one by one

CREATE TABLE lab.scored AS SELECT g::text AS customer, exp(-8 * random()) AS pd FROM generate_series(0, 40) g;
CREATE TABLE lab.run AS
SELECT c.customer, s.grades[credit.grade_position(c.pd, s.upper_pd, r.rank)] AS grade
  FROM lab.scored c CROSS JOIN credit.scale() s
  LEFT JOIN credit.model_rating r ON r.customer = c.customer AND r.segment = '' AND r.model = 'house' AND NOT r.is_challenger;
SELECT is((SELECT count(*) FROM lab.run JOIN lab.scored USING (customer) WHERE grade IS DISTINCT FROM credit.record_rating(customer, 'house', pd, valid_from => credit.as_of())), 0::bigint, 'set-wise and one by one');
SELECT cmp_ok((SELECT count(*) FROM lab.run JOIN lab.scored USING (customer) WHERE grade <> credit.grade_of(pd)), '>', 0::bigint, 'hysteresis was in it');

-- 4. Who may

CREATE ROLE credit_test_officer;
CREATE ROLE credit_test_reader;
GRANT USAGE ON SCHEMA credit TO credit_test_officer;
GRANT EXECUTE ON FUNCTION credit.set_rating_override TO credit_test_officer;
SELECT credit.grant_analyst('credit_test_reader');
SET LOCAL ROLE credit_test_officer;
SELECT lives_ok($$SELECT credit.set_rating_override('1', '2', 'known for long', current_date + 400)$$, 'an officer overrides');
SELECT throws_ok($$SELECT credit.set_master_scale('{A}', '{1}', 'x')$$, '42501', NULL, 'but does not change the scale');
SELECT throws_ok('SELECT * FROM credit.rating', '42501', NULL, 'nor read');
SET LOCAL ROLE credit_test_reader;
SELECT lives_ok('SELECT * FROM credit.rating, credit.rating_migration, credit.rating_check, credit.master_scale', 'an analyst reads');
SELECT lives_ok('SELECT * FROM credit.rating_history, credit.rating_override, credit.rating_scale LIMIT 1', 'the history, too');
SELECT throws_ok($$SELECT credit.set_rating_override('1', '2', 'x', current_date)$$, '42501', NULL, 'and overrides nothing');
SELECT throws_ok($$SELECT credit.record_rating('1', 'x', 0.1)$$, '42501', NULL, 'nor rates');
RESET ROLE;
SELECT is((SELECT set_by FROM credit.rating_override ORDER BY rating_override_id DESC LIMIT 1), session_user::text, 'the session user is written down');
SELECT throws_ok($$UPDATE credit.rating_override SET grade = '1'$$, '55000', NULL, 'what was decided stays');

SELECT * FROM finish();
ROLLBACK;

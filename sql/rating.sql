--
-- rating: master scale, ratings, overrides, migration
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET datestyle = 'ISO, YMD';
SET extra_float_digits = -5;
CREATE EXTENSION credit;
RESET client_min_messages;

-- 1. The scale that comes with the extension

SELECT * FROM credit.master_scale;
SELECT credit.grade_of(0.016), credit.grade_of(0.0161), credit.grade_of(0.025831), credit.grade_of(0), credit.grade_of(1), credit.grade_of(NULL), credit.grade_of('NaN');
-- a grade is kept until its bound is exceeded by more than a tenth
SELECT pd, credit.grade_of(pd) AS natural, credit.grade_of(pd, '5') AS from_5, credit.grade_of(pd, '5', 0) AS without, credit.grade_of(pd, 'D') AS from_default, credit.grade_of(pd, 'unknown') AS from_unknown
  FROM (VALUES (0.0071), (0.0073), (0.008), (0.0081), (0.016), (0.0161), (0.0175), (0.0177), (0.3)) v (pd);
SELECT credit.grade_of(0.0009, '1'), credit.grade_of(0.00109, '1'), credit.grade_of(0.00111, '1'), credit.grade_of(0.059, '8'), credit.grade_of(0.057, '8'), credit.grade_of(1, '8');
SELECT credit.pd_of_grade('1'), credit.pd_of_grade('6'), credit.pd_of_grade('8'), credit.pd_of_grade('D'), credit.pd_of_grade('X'), credit.pd_of_grade(NULL);
SELECT credit.grade_of(1.1);
SELECT credit.grade_of(-0.1);
SELECT credit.grade_of(0.1, '1', 1);
SELECT credit.grade_of(0.1, '1', 'NaN');
SELECT credit.grade_position(0.5, '{0.1,1}'), credit.grade_position(0.5, '{0.1,1}', 1, 0.1), credit.grade_position(0.5, NULL), credit.grade_position(0.5, '{0.1,1}', -7), credit.grade_position(0.5, '{0.1,0.2}');
SELECT credit.grade_position(0.5, '{}');
SELECT credit.grade_position(0.5, '{0.1,NULL}');

-- 2. Ratings

SELECT credit.record_rating('A', 'house', 0.0150, score => 571.2, reasons => ARRAY['pays late', 'short history'], valid_from => '2024-01-10', model_version => '1');
-- a little worse is not a downgrade, much worse is
SELECT credit.record_rating('A', 'house', 0.0170, valid_from => '2024-06-01'), credit.record_rating('A', 'house', 0.0200, valid_from => '2025-01-05');
SELECT credit.record_rating('B', 'house', 0.0300, valid_from => '2024-02-01'), credit.record_rating('B', 'house', NULL, is_default => true, valid_from => '2025-02-01');
SELECT credit.record_rating('C', 'house', 0.0005, valid_from => '2025-03-01'), credit.record_rating('C', 'house', NULL, valid_from => '2025-04-01');
-- a model on trial neither counts nor holds
SELECT credit.record_rating('A', 'trial', 0.3, is_challenger => true, valid_from => '2025-01-05'), credit.record_rating('A', 'house', 0.3, is_challenger => true, valid_from => '2025-01-06');
-- the same customer in another segment
SELECT credit.record_rating('A', 'house', 0.0039, valid_from => '2024-03-01', segment => 'north');
SET credit.as_of = '2024-06-30';
SELECT customer, segment, grade, rank, pd, origin, model, model_version, score, rated_on, reasons FROM credit.rating ORDER BY customer, segment;
SET credit.as_of = '2025-06-30';
SELECT customer, segment, grade, rank, pd, origin, model_grade, model_pd, rated_on FROM credit.rating ORDER BY customer, segment;
-- models side by side
SELECT customer, segment, model, is_challenger, pd, grade, rank, rated_on FROM credit.model_rating ORDER BY customer, segment, model, is_challenger;
SELECT count(*), count(*) FILTER (WHERE is_challenger) AS challengers, count(DISTINCT scale_version) AS scales FROM credit.rating_history;
SELECT credit.record_rating(NULL, 'house', 0.1);
SELECT credit.record_rating('A', '', 0.1);
SELECT credit.record_rating('A', 'house', 1.5);
SELECT credit.record_rating('A', 'house', 0.1, score => 'Infinity');
SELECT credit.record_rating('A', 'house', 0.1, valid_from => 'infinity');
-- NaN is no probability: unrated
BEGIN;
SELECT credit.record_rating('N', 'house', 'NaN', score => 'NaN');
SELECT pd, score, grade FROM credit.rating_history WHERE customer = 'N';
ROLLBACK;
UPDATE credit.rating_history SET grade = '1';

-- 3. Migration

SELECT * FROM credit.rating_migration;
SELECT customer, segment, from_grade, to_grade, notches FROM credit.rating_changes_between('2024-06-30', '2025-06-30') ORDER BY 1, 2;
SELECT * FROM credit.rating_migration_between('2023-01-01', '2024-06-30');

-- 4. Overrides: today is today, whatever day views look at

RESET credit.as_of;
SELECT credit.set_rating_override('A', '3', 'parent guarantees', credit.today() + 10);
SELECT customer, segment, grade, rank, pd, origin, model_grade, override_reason, override_by = session_user AS by_me, expires_on - credit.today() AS days FROM credit.rating WHERE customer = 'A' ORDER BY segment;
-- not the day before, on the last day, not after
SELECT d AS day, r.grade, r.origin FROM (VALUES (-1), (0), (10), (11)) v (d), LATERAL credit.ratings_on(credit.today() + d) r WHERE r.customer = 'A' AND r.segment = '' ORDER BY d;
-- a newer one counts, also when it ends before the older one
SELECT credit.set_rating_override('A', '7', 'guarantee withdrawn', credit.today() + 5);
SELECT d AS day, r.grade, r.origin FROM (VALUES (0), (5), (6)) v (d), LATERAL credit.ratings_on(credit.today() + d) r WHERE r.customer = 'A' AND r.segment = '' ORDER BY d;
SELECT credit.set_rating_override('A', NULL, 'review is over', NULL);
SELECT grade, origin FROM credit.rating WHERE customer = 'A' AND segment = '';
SELECT grade, reason, set_by = session_user AS by_me FROM credit.rating_override ORDER BY rating_override_id;
SELECT credit.set_rating_override('A', NULL, 'again', NULL);
SELECT credit.set_rating_override('A', '3', '', credit.today());
SELECT credit.set_rating_override('A', '3', 'why', NULL);
SELECT credit.set_rating_override('A', '3', 'why', credit.today() - 1);
SELECT credit.set_rating_override('A', '3', 'why', 'infinity');
SELECT credit.set_rating_override('A', '9', 'why', credit.today());
SELECT credit.set_rating_override('nobody', '3', 'why', credit.today());
SELECT credit.set_rating_override(NULL, '3', 'why', credit.today());
DELETE FROM credit.rating_override;

-- 5. The rating of the ERP counts where there is no other

CREATE TABLE customer (code text PRIMARY KEY, name text, rating text);
INSERT INTO customer VALUES ('A', 'Alpha', '1'), ('E', 'Epsilon', '4'), ('F', 'Phi', 'AAA'), ('G', 'Gamma', NULL);
SET client_min_messages = error;
SELECT credit.attach('customer', 'customer', key => 'code', name => 'name', rating => 'rating');
RESET client_min_messages;
SELECT customer, name, grade, rank, pd, origin FROM credit.rating WHERE segment = '' ORDER BY customer;
SELECT credit.set_rating_override('G', 'D', 'insolvency', credit.today() + 30);
SELECT grade, rank, pd, origin FROM credit.rating WHERE customer = 'G';

-- 6. Against a bureau

SELECT credit.enter_bureau_report('A', 'Bureau', '2025-05-01', probability => 0.0015, published_on => '2025-05-02');
SELECT credit.enter_bureau_report('B', 'Bureau', '2025-05-01', probability => 0.5, published_on => '2025-05-02');
SELECT credit.enter_bureau_report('A', 'Bureau', '2025-05-01', probability => 0.009, published_on => '2025-05-02', segment => 'north');
SELECT credit.enter_bureau_report('A', 'Other', '2025-05-01', score => 7, published_on => '2025-05-02');
SET credit.as_of = '2025-06-30';
SELECT customer, segment, provider, grade, bureau_grade, notches, is_review FROM credit.rating_check ORDER BY customer, segment;
SELECT a.n, a.notch_mean, a.n_review FROM (SELECT (credit.agreement(rank, bureau_rank)).* FROM credit.rating_check) a;
SET credit.as_of = '2026-05-02';
SELECT count(*) FROM credit.rating_check;
RESET credit.as_of;

-- 7. A scale of one's own

SELECT credit.set_master_scale('{A,B,C}', '{0.01,0.05,1}', 'three are enough', default_grade => 'X');
SELECT * FROM credit.master_scale;
SELECT scale_version, grades, upper_pd FROM credit.scale(0);
SELECT count(*) FROM credit.scale(99);
SELECT credit.grade_of(0.01), credit.grade_of(0.02), credit.grade_of(0.5), credit.record_rating('H', 'house', 0.02), credit.record_rating('H', 'house', NULL, is_default => true);
-- grades given before stay, without a place
SELECT customer, grade, rank FROM credit.rating WHERE customer IN ('A', 'H') ORDER BY customer, segment;
SELECT credit.set_master_scale('{A,B}', '{0.3,1}', 'given', grade_pd => '{0.1,0.4}');
SELECT grade, grade_pd FROM credit.master_scale;
-- grades of an older scale hold nothing
SELECT customer, model, grade, rank FROM credit.model_rating WHERE customer IN ('A', 'H') AND segment = '' AND NOT is_challenger ORDER BY customer;
-- B of the new scale is not the B that customer I had
SELECT credit.record_rating('I', 'house', 0.31), credit.record_rating('I', 'house', 0.29);
SELECT credit.set_master_scale('{A,B,C}', '{0.28,0.3,1}', 'finer');
SELECT credit.record_rating('I', 'house', 0.275), credit.record_rating('I', 'house', 0.29);
-- one that begins above 20 %, one of a single grade
SELECT credit.mean_grade_pd('{0.3,1}'), credit.mean_grade_pd('{1}');
SELECT credit.set_master_scale('{A,B}', '{0.05}', 'x');
SELECT credit.set_master_scale('{}', '{}', 'x');
SELECT credit.set_master_scale(NULL, NULL, 'x');
SELECT credit.set_master_scale('{A,A}', '{0.05,1}', 'x');
SELECT credit.set_master_scale('{A,D}', '{0.05,1}', 'x');
SELECT credit.set_master_scale('{A,B}', '{0.05,0.9}', 'x');
SELECT credit.set_master_scale('{A,B}', '{1,1}', 'x');
SELECT credit.set_master_scale('{A,B}', '{0,1}', 'x');
SELECT credit.set_master_scale('{A,B}', '{NaN,1}', 'x');
SELECT credit.set_master_scale('{A,B}', '{5,100}', 'x');
SELECT credit.set_master_scale('{A,B}', '{0.05,1}', 'x', grade_pd => '{0.06,0.5}');
SELECT credit.set_master_scale('{A,B}', '{0.05,1}', NULL);
TRUNCATE credit.rating_scale;

DROP EXTENSION credit CASCADE;
DROP TABLE customer;

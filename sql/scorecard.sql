--
-- scorecard: models, scores, reasons
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET extra_float_digits = -5;
CREATE EXTENSION credit;

-- 1. Scales

SELECT * FROM credit.points_scaling(20, 600, 50);
SELECT credit.score_of_probability(1 / 21.0), credit.score_of_probability(1 / 51.0);
SELECT * FROM credit.points_scaling(50, 600, 19);
SELECT p, credit.score_of_probability(p, 50, 600, 19) FROM unnest(ARRAY[0.05, 0.1, 0.2, 0.5, 0.01]) p;
SELECT f.factor, f.score_offset, credit.score_of_probability(0.016393442623, 20, 600, 60), credit.score_of_probability(0.032258064516, 20, 600, 60)
  FROM credit.points_scaling(20, 600, 60) f;
SELECT credit.score_of_probability(0), credit.score_of_probability(1), credit.score_of_probability(NULL);
SELECT credit.points_scaling(0, 600, 50);
SELECT credit.points_scaling(20, 600, -1);
SELECT credit.points_scaling(20, 600, 'NaN');

-- 2. A fitted scorecard: points, probability, reasons

SELECT credit.add_fitted_model('loan', '{days_late,firm_age}', '{-3,-0.8,-1.1}',
	ARRAY[credit.manual_bins('{1,2}', '{-0.5,0.1,0.9}', -0.2), credit.manual_bins('{1}', '{-0.7,0.5}')],
	reasons => '{pays late,is a young firm}') AS model_id;
SELECT credit.set_champion(1, '2020-01-01');
SELECT r.model_id, r.score, r.probability, r.known_weight, r.reasons FROM credit.score_row('loan', '{"days_late": 1.5, "firm_age": 2}') r;
SELECT p.* FROM credit.score_row('loan', '{"days_late": 1.5, "firm_age": 2}') r, unnest(r.parts) p;
-- whole points
SELECT credit.add_fitted_model('loan', '{days_late,firm_age}', '{-3,-0.8,-1.1}',
	ARRAY[credit.manual_bins('{1,2}', '{-0.5,0.1,0.9}', -0.2), credit.manual_bins('{1}', '{-0.7,0.5}')], round_points => true) AS model_id;
SELECT r.score, round(r.probability::numeric, 6) AS probability FROM credit.score_row(2, '{"days_late": 1.5, "firm_age": 2}') r;
-- champion and challenger side by side
SELECT m.version, m.status, credit.score_of(m.model_id, '{"days_late": 5, "firm_age": 0}') FROM credit.models m ORDER BY 1;
-- what is not there: a bin of its own for missing values, or nothing said
SELECT p.feature, p.value, p.bin, p.points, p.is_missing, p.reason FROM credit.score_row('loan', '{"days_late": null, "other": 1}') r, unnest(r.parts) p;
SELECT p.feature, p.value, p.bin, p.points, p.is_missing FROM credit.score_row('loan', '{"days_late": "NaN", "firm_age": "Infinity"}') r, unnest(r.parts) p;
SELECT credit.score_of('loan', '{"days_late": true, "firm_age": -1e300}') = credit.score_values('loan', '{1,-1e300}') AS same;
SELECT credit.score_values('loan', '{1.5,2}'), credit.score_values('loan', '{1.5,NULL}'), credit.score_probability('loan', credit.score_values('loan', '{1.5,2}'));
SELECT * FROM credit.model_points WHERE version = 2 ORDER BY position, line;
-- categories, and one nobody has seen
SELECT credit.add_fitted_model('trade', '{industry}', '{-2,-1}', ARRAY[credit.manual_category_bins('{steel,food,1}', '{-1,1,0.5}')], make_champion => true) AS model_id;
SELECT v.f, r.score, p.bin, p.is_missing, r.reasons
  FROM (VALUES ('{"industry": "steel"}'::jsonb), ('{"industry": "food"}'), ('{"industry": 1}'), ('{"industry": "unknown"}'), ('{}')) v (f),
	   credit.score_row('trade', v.f) r, unnest(r.parts) p;
-- reasons: four at most, the largest first, equals in the order of the model
SELECT credit.add_fitted_model('six', '{a,b,c,d,e,f}', '{0,-1,-2,-1,-3,-1,-1}', array_fill(credit.manual_bins('{0}', '{-1,1}'), ARRAY[6])) AS model_id;
SELECT r.reasons FROM credit.score_row(4, '{"a": -1, "b": -1, "c": -1, "d": -1, "e": -1, "f": 1}') r;
SELECT r.reasons FROM credit.score_row(4, '{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": -1}') r;
SELECT r.reasons FROM credit.score_row(4, '{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}') r;
-- compared with the neutral, with a mean
SELECT credit.add_fitted_model('trade', '{industry}', '{-2,-1}', ARRAY[credit.manual_category_bins('{steel,food}', '{-1,1}')], reference => 'neutral') AS neutral,
	   credit.add_fitted_model('trade', '{industry}', '{-2,-1}', ARRAY[credit.manual_category_bins('{steel,food}', '{-1,1}')], reference => 'mean', mean_points => '{560}') AS mean;
SELECT m.reference, v.f, p.points, p.reference, p.shortfall, r.reasons
  FROM credit.models m, (VALUES ('{"industry": "steel"}'::jsonb), ('{"industry": "food"}')) v (f), credit.score_row(m.model_id, v.f) r, unnest(r.parts) p
 WHERE m.name = 'trade' ORDER BY m.version, v.f;

-- 3. An expert's scorecard

SELECT credit.add_expert_model('expert', '{rate,days,kind}', '{0.5,0.3,0.2}',
	ARRAY[credit.numeric_values('{0,0.5,1}', '{0,40,100}'), credit.numeric_values('{0,10,30}', '{100,60,0}', is_step => true), credit.category_values('{ltd,plc}', '{50,80}')],
	reasons => '{pays few on time,pays late,NULL}', make_champion => true) AS model_id;
SELECT v.f, r.score, r.known_weight, r.probability, r.reasons
  FROM (VALUES ('{"rate": 0.75, "days": 5, "kind": "plc"}'::jsonb), ('{"rate": 0.75, "days": 10, "kind": "ltd"}'), ('{"rate": -1, "days": 99, "kind": "ltd"}'),
			   ('{"rate": 2, "days": -5, "kind": "plc"}'), ('{"rate": "-Infinity", "days": "Infinity", "kind": "plc"}'),
			   /* missing: the others stand in, as long as they are 0.6 of the weight */
			   ('{"rate": 0.75, "days": 5}'), ('{"rate": 0.75, "kind": "plc"}'), ('{"rate": 0.75, "kind": "gmbh", "days": null}'), ('{"days": 5, "kind": "plc"}'), ('{}')) v (f),
	   credit.score_row('expert', v.f) r;
SELECT p.* FROM credit.score_row('expert', '{"rate": 0.75, "kind": "plc"}') r, unnest(r.parts) p;
-- at 0.6 exactly; with a scale
SELECT credit.add_expert_model('ten', ARRAY['a','b','c','d','e','f','g','h','i','j'], array_fill(0.1::float8, ARRAY[10]),
	array_fill(credit.numeric_values('{0,100}', '{0,100}'), ARRAY[10]), pdo => 10, base_score => 50, base_odds => 20) AS model_id;
SELECT r.score, r.known_weight, r.probability FROM credit.score_row(8, '{"a": 50, "b": 50, "c": 50, "d": 50, "e": 50, "f": 50}') r;
SELECT r.score, r.known_weight, r.probability FROM credit.score_row(8, '{"a": 50, "b": 50, "c": 50, "d": 50, "e": 50}') r;
SELECT credit.score_values(8, '{10,20,30,40,50,60,70,80,90,100}'), credit.score_values(8, '{10,NULL,NaN,40,50,60,70,80,90,100}');

-- 4. Weights from comparisons in pairs

SELECT * FROM credit.ahp('{{1,3,5},{0.3333333333,1,3},{0.2,0.3333333333,1}}');
SELECT * FROM credit.ahp('{{1,2,6},{0.5,1,3},{0.16666666667,0.33333333333,1}}');
SELECT * FROM credit.ahp('{{1,9,0.2},{0.11,1,9},{5,0.11,1}}');
SELECT * FROM credit.ahp('{{1,4},{0.25,1}}');
SELECT * FROM credit.ahp('{{1}}');
SELECT credit.ahp('{{1,3},{0.5,1}}');
SELECT credit.ahp('{{1,0},{0,1}}');
SELECT credit.ahp('{{1,-3},{-0.333,1}}');
SELECT credit.ahp('{1,2}');
SELECT credit.ahp('{{1,2},{0.5,1},{1,1}}');
SELECT credit.ahp('{{1,NaN},{NaN,1}}');

-- 5. The shipped one

SELECT credit.add_standard_model() AS model_id;
SELECT feature, weight FROM credit.model_points WHERE name = 'standard' AND line = 1 ORDER BY position;
SELECT v.who, r.score, r.probability, r.known_weight, r.reasons
  FROM (VALUES ('good', '{"oldest_days_overdue": 0, "overdue_ratio": 0, "weighted_days_late": 1, "on_time_rate": 0.93, "payment_index": 79, "utilisation": 0.4, "trend_slope": 0, "partial_payment_ratio": 0, "months_known": 48, "n_paid": 60}'::jsonb),
			   ('middling', '{"oldest_days_overdue": 20, "overdue_ratio": 0.15, "weighted_days_late": 12, "on_time_rate": 0.6, "payment_index": 66, "utilisation": 0.8, "trend_slope": 0.5, "partial_payment_ratio": 0.1, "months_known": 20, "n_paid": 15}'),
			   ('bad', '{"oldest_days_overdue": 75, "overdue_ratio": 0.7, "weighted_days_late": 40, "on_time_rate": 0.3, "payment_index": 40, "utilisation": 1.3, "trend_slope": 4, "partial_payment_ratio": 0.5, "months_known": 30, "n_paid": 20}'),
			   ('without a limit', '{"oldest_days_overdue": 0, "overdue_ratio": 0, "weighted_days_late": 1, "on_time_rate": 0.93, "payment_index": 79, "trend_slope": 0, "partial_payment_ratio": 0, "months_known": 48, "n_paid": 60}'),
			   ('new', '{"oldest_days_overdue": 0, "utilisation": 0.2, "months_known": 0, "n_paid": 0}')) v (who, f),
	   credit.score_row('standard', v.f) r;

-- 6. Fitted in one call

CREATE TABLE loan AS
SELECT id, (id * 7919 % 50) + 20 AS age, id * 104729 % 60 AS duration, (ARRAY['car', 'house', 'else'])[1 + id % 3] AS purpose, id * 15485863 % 100 AS noise,
	   2 * (id * 7919 % 50) AS age_again, (id * 32452843 % 1000) / 1000.0 < 1 / (1 + exp(2 + (id * 7919 % 50) * 0.05 - (id * 104729 % 60) * 0.06 - CASE id % 3 WHEN 0 THEN 0.8 ELSE 0 END)) AS bad
  FROM generate_series(1::bigint, 6000) id;
SET client_min_messages = notice;
SELECT credit.fit_scorecard('consumer', 'loan', 'bad', '{age,duration,purpose,noise}', round_points => true, make_champion => true, description => 'by the test') AS model_id;
SELECT credit.fit_scorecard('consumer', 'SELECT bad, age AS "The Age" FROM loan', 'bad', '{The Age}', options => credit.binning_options(max_bins => 2)) AS model_id;
-- a weight of 2 is two rows
CREATE TABLE weighted AS SELECT *, 1 + id % 2 AS w FROM loan;
SELECT credit.fit_scorecard('weighted', 'weighted', 'bad', '{age,purpose}', weight => 'w') AS by_weight,
	   credit.fit_scorecard('weighted', 'SELECT w.* FROM weighted w, generate_series(1, w)', 'bad', '{age,purpose}') AS by_rows;
SELECT count(*) AS points, bool_and(abs(a.points - b.points) < 1e-9) AS same
  FROM credit.model_points a JOIN credit.model_points b USING (position, line) WHERE a.name = 'weighted' AND a.version = 1 AND b.name = 'weighted' AND b.version = 2;
-- rows by the bins of a model
SELECT credit.bin_of((SELECT credit.model_binning(credit.champion('consumer'), 'age')), age) AS bin, count(*), min(age), max(age) FROM loan GROUP BY 1 ORDER BY 1;
SELECT credit.fit_scorecard('consumer', 'loan', 'bad', '{noise}');
SELECT credit.fit_scorecard('consumer', 'SELECT false AS bad, age FROM loan', 'bad', '{age}');
SET client_min_messages = error;
SELECT feature, line, attribute, points FROM credit.model_points WHERE name = 'consumer' ORDER BY version, position, line;
SELECT version, status, f ->> 'feature' AS feature, f ->> 'outcome' AS outcome FROM credit.models, jsonb_array_elements(statistics -> 'features') f WHERE name = 'consumer' ORDER BY version, feature;
SELECT d.auc > 0.75 AS is_good, (c).slope BETWEEN 0.9 AND 1.1 AS is_calibrated
  FROM (SELECT (credit.discrimination(credit.score_of('consumer', to_jsonb(l)), bad)).* FROM loan l) d,
	   (SELECT credit.calibration(credit.score_probability('consumer', credit.score_of('consumer', to_jsonb(l))), bad) AS c FROM loan l) c;

-- 7. Versions, and what is in force

SELECT credit.set_champion(2, '2021-01-01');
SELECT name, version, status, valid_from, valid_to FROM credit.models WHERE name = 'loan' ORDER BY version;
SELECT credit.champion('loan') AS now, credit.champion('loan', '2020-12-31') AS before, credit.champion('loan', '2021-01-01') AS from_then, credit.champion('loan', '2000-01-01') AS never, credit.champion('none') AS none;
SELECT credit.set_champion(2);
SELECT credit.set_champion(1);
SELECT credit.set_champion(99);
SELECT credit.add_fitted_model('loan', '{days_late}', '{-3,-0.8}', ARRAY[credit.manual_bins('{1,2}', '{-0.5,0.1,0.9}')]) AS model_id;
SELECT credit.set_champion(14, '2020-06-01');
-- the detail names today
\set VERBOSITY terse
SELECT credit.set_champion(14, current_date + 7);
\set VERBOSITY default
SELECT credit.retire_model(14), credit.retire_model(3);
SELECT model_id, status, valid_to >= valid_from AS was_champion FROM credit.models WHERE model_id IN (3, 14) ORDER BY 1;
SELECT credit.retire_model(99);
SELECT credit.score_of('trade', '{}');
-- a name follows its champion within a transaction, and within a function
CREATE FUNCTION both_ways() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
BEGIN
	FOR i IN 1..2 LOOP
		result := result || round(credit.score_of('six', '{}')::numeric, 3) || ' ';
		PERFORM credit.set_champion((SELECT max(model_id) FROM credit.model WHERE name = 'six'));
	END LOOP;
	RETURN result;
END $$;
SELECT credit.set_champion(4);
SELECT credit.add_fitted_model('six', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')]) AS model_id;
SELECT both_ways();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT credit.set_champion(1);
ROLLBACK;
-- nothing is changed by hand
UPDATE credit.model SET pdo = 40;
DELETE FROM credit.model_characteristic;
TRUNCATE credit.model;

-- 8. What is refused

SELECT credit.add_fitted_model('', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')]);
SELECT credit.add_fitted_model('x', '{}', '{-1}', '{}');
SELECT credit.add_fitted_model('x', '{a,a}', '{-1,-1,-1}', array_fill(credit.manual_bins('{0}', '{-1,1}'), ARRAY[2]));
SELECT credit.add_fitted_model('x', '{a,NULL}', '{-1,-1,-1}', array_fill(credit.manual_bins('{0}', '{-1,1}'), ARRAY[2]));
SELECT credit.add_fitted_model('x', '{a}', '{-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')]);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', array_fill(credit.manual_bins('{0}', '{-1,1}'), ARRAY[2]));
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[NULL]::credit.binning[]);
SELECT credit.add_fitted_model('x', '{a}', '{-1,1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')]);
SELECT credit.add_fitted_model('x', '{a}', '{-1,1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')], allow_reversed => true) > 0 AS allowed;
SELECT credit.add_fitted_model('x', '{a}', '{-1,NaN}', ARRAY[credit.manual_bins('{0}', '{-1,1}')], allow_reversed => true);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1e300}', ARRAY[credit.manual_bins('{0}', '{-1,1}')]);
SELECT credit.add_fitted_model('x', '{a}', '{-1e300,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')]);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1e300}')]);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{1,0}', '{-1,0,1}')]);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', (SELECT array_agg(b) FROM (SELECT credit.optimal_bins(g, true) AS b FROM generate_series(1, 100) g) q));
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')], pdo => 0);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')], base_odds => NULL);
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')], reference => 'median');
SELECT credit.add_fitted_model('x', '{a}', '{-1,-1}', ARRAY[credit.manual_bins('{0}', '{-1,1}')], reference => 'mean');
SELECT credit.add_expert_model('x', '{a,b}', '{0.5,0.6}', array_fill(credit.numeric_values('{0,1}', '{0,100}'), ARRAY[2]));
SELECT credit.add_expert_model('x', '{a,b}', '{1.5,-0.5}', array_fill(credit.numeric_values('{0,1}', '{0,100}'), ARRAY[2]));
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{0,1}', '{0,101}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{1,1}', '{0,100}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{0,1,2}', '{0,100}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{0,infinity}', '{0,100}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values(NULL, '{0,100}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{0,1}', '{0,NaN}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{0,1}', '{0,1}', neutral => 200)]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.category_values('{a,a}', '{0,1}')]);
SELECT credit.add_expert_model('x', '{a}', '{1}', ARRAY[credit.numeric_values('{0,1}', '{0,100}')], minimum_weight => 2);
SELECT count(*) AS versions_of_x FROM credit.models WHERE name = 'x';
SELECT credit.score_row('nobody', '{}');
SELECT credit.score_row(0, '{}');
SELECT credit.score_of('loan', '[1]');
SELECT credit.score_of('loan', '"x"');
SELECT credit.score_of('loan', '{"days_late": "late"}');
SELECT credit.score_of('loan', '{"days_late": {"a": 1}}');
SELECT credit.score_of('loan', '{"days_late": 1e400}');
SELECT credit.score_values('loan', '{1}');
SELECT credit.score_values('loan', '{{1,2}}');
SELECT credit.score_values(7, '{1,2,3}');
SELECT credit.score_of('loan', NULL), credit.score_probability('expert', 50), credit.score_probability('loan', 'NaN');
DROP EXTENSION credit CASCADE;

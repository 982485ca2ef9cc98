/*
 * Subject monitor: whether models keep what they promise, from the ledger.
 *
 * validate() scores past days and looks at what came of it; view monitor takes
 * what was really said, from the rating history.
 */

CREATE FUNCTION credit.validate
	(model text DEFAULT NULL, observed_on date[] DEFAULT NULL, months integer DEFAULT 12,
	 outcomes text DEFAULT NULL, version integer DEFAULT NULL)
RETURNS TABLE (observed date, is_out_of_time boolean, n bigint, n_default bigint, default_rate float8,
			   auc float8, auc_low float8, auc_high float8, gini float8, ks float8, ks_score float8,
			   mean_probability float8, brier float8, brier_skill float8, log_loss float8,
			   hosmer_lemeshow float8, hl_p float8, slope float8, intercept float8,
			   intercept_in_the_large float8, lift float8, captured float8,
			   n_unscored bigint, n_in_default bigint)
LANGUAGE plpgsql STABLE ROWS 5
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	name text := credit.rating_model(model);
	chosen credit.model;
	calibration credit.model_calibration;
	sample_until date;
	days date[] := observed_on;
	query text;
BEGIN
	IF months IS NULL OR months NOT BETWEEN 1 AND 120 THEN
		RAISE EXCEPTION 'outcomes are looked for in 1 to 120 months'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO chosen FROM credit.model m
	 WHERE m.name = name AND CASE WHEN version IS NULL THEN m.status = 'champion' ELSE m.version = version END;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no version % of model "%"', COALESCE(version::text, 'in force'), name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	SELECT * INTO calibration FROM credit.model_calibration k
	 WHERE k.model_id = chosen.model_id ORDER BY k.model_calibration_id DESC LIMIT 1;
	/* what a model was made of ends on the day it was made, unless it says so */
	sample_until := COALESCE((chosen.statistics ->> 'sample_until')::date, credit.day_of(chosen.created_at));
	IF outcomes IS NOT NULL THEN
		query := 'SELECT o.customer::text AS customer, COALESCE(to_jsonb(o) ->> ''segment'', '''') AS segment, o.observed_on::date AS day, o.is_default::boolean AS is_default FROM '
			|| CASE WHEN outcomes ~* '^\s*(select|with|values|table)\M' THEN format(E'(%s\n)', outcomes) ELSE outcomes::regclass::text END || ' o';
		IF days IS NULL THEN
			EXECUTE format('SELECT array_agg(DISTINCT q.day) FROM (%s) q WHERE q.day IS NOT NULL', query) INTO days;
		END IF;
	ELSE
		/* the last day of which all that was to come has come */
		days := COALESCE(days, ARRAY[(credit.as_of() - make_interval(months => months))::date]);
		query := format('SELECT e.customer, e.segment, d.day, true AS is_default FROM unnest(%L::date[]) d (day) CROSS JOIN LATERAL credit.defaults(d.day, (d.day + make_interval(months => %s))::date) e', days, months);
		IF EXISTS (SELECT FROM unnest(days) d WHERE (d + make_interval(months => months))::date > credit.as_of()) THEN
			RAISE EXCEPTION 'outcomes of the % months after % are not known yet', months, (SELECT max(d) FROM unnest(days) d)
				USING ERRCODE = 'invalid_parameter_value',
					  HINT = 'Give earlier days, or fewer months.';
		END IF;
	END IF;
	RETURN QUERY EXECUTE format($query$
WITH outcome AS MATERIALIZED (%s),
sample AS MATERIALIZED
	(SELECT d.day, f.customer, f.segment, r.score,
			credit.calibrated_probability($3, $4, $5, r.score, r.probability) AS probability,
			COALESCE(f.features ->> 'is_in_default' = 'true', false) AS is_in_default
	   FROM unnest($2) d (day)
	  CROSS JOIN LATERAL credit.feature_values(d.day) f
	  CROSS JOIN LATERAL credit.score_row($1, f.features) r),
judged AS
	(SELECT s.day, s.score, s.probability, s.is_in_default,
			CASE WHEN NOT s.is_in_default THEN COALESCE(o.is_default, false) END AS is_default
	   FROM sample s
	   LEFT JOIN outcome o ON o.customer COLLATE "C" = s.customer COLLATE "C" AND o.segment COLLATE "C" = s.segment COLLATE "C" AND o.day = s.day
	  WHERE $7 OR o.customer IS NOT NULL)
SELECT q.day, q.day >= $6, (q.d).n, (q.d).n_default, (q.d).n_default / NULLIF((q.d).n, 0)::float8,
	   (q.d).auc, (q.d).auc_low, (q.d).auc_high, (q.d).gini, (q.d).ks, (q.d).ks_score,
	   (q.c).mean_probability, (q.c).brier, (q.c).brier_skill, (q.c).log_loss,
	   (q.c).hosmer_lemeshow, (q.c).hl_p, (q.c).slope, (q.c).intercept, (q.c).intercept_in_the_large,
	   (q.cap)[1].lift, (q.cap)[1].captured, q.n_unscored, q.n_in_default
  FROM (SELECT j.day, credit.discrimination(j.score, j.is_default) AS d,
			   credit.calibration(j.probability, j.is_default) AS c,
			   credit.cap(j.score, j.is_default) AS cap,
			   count(*) FILTER (WHERE NOT j.is_in_default AND j.score IS NULL) AS n_unscored,
			   count(*) FILTER (WHERE j.is_in_default) AS n_in_default
		  FROM judged j GROUP BY GROUPING SETS ((j.day), ())) q
 WHERE q.day IS NOT NULL OR cardinality($2) > 1
 ORDER BY q.day NULLS LAST$query$, query)
	  USING chosen.model_id, days, calibration.method, calibration.parameters, calibration.probabilities,
			sample_until, outcomes IS NULL;
END
$$;
COMMENT ON FUNCTION credit.validate(text, date[], integer, text, integer) IS
'How good a model is, one row for each day of observation and, of several, one for all (observed NULL): all accounts not in default are scored on that day by what was known then, and defaults() of so many months after it are the outcomes; or outcomes is a query or table with customer, observed_on, is_default and, if need be, segment. observed_on NULL: the last day whose outcomes are all known. is_out_of_time: the day is not before the end of the sample (sample_until in statistics of the model, else the day it was written). lift and captured are those of the worst tenth.';

CREATE FUNCTION credit.stability
	(model text DEFAULT NULL, as_of date DEFAULT credit.as_of(), reference_on date DEFAULT NULL,
	 version integer DEFAULT NULL)
RETURNS TABLE (feature text, reference_day date, n_reference bigint, n_actual bigint, psi float8,
			   verdict text, mean_reference float8, mean_actual float8)
LANGUAGE plpgsql STABLE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	name text := credit.rating_model(model);
	chosen credit.model;
	day date := reference_on;
BEGIN
	SELECT * INTO chosen FROM credit.model m
	 WHERE m.name = name AND CASE WHEN version IS NULL THEN m.status = 'champion' ELSE m.version = version END;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no version % of model "%"', COALESCE(version::text, 'in force'), name
			USING ERRCODE = 'undefined_object', HINT = 'View credit.models lists the models.';
	END IF;
	IF day IS NULL THEN
		SELECT min(h.valid_from) INTO day FROM credit.rating_history h
		 WHERE h.model = name AND h.model_version = chosen.version::text;
	END IF;
	IF day IS NULL THEN
		RAISE EXCEPTION 'version % of model "%" has not rated anybody yet', chosen.version, name
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Give reference_on, the day to compare with.';
	END IF;
	RETURN QUERY
	WITH scored AS MATERIALIZED
		(SELECT d.is_reference, r.score, r.parts
		   FROM (VALUES (day, true), (as_of, false)) d (day, is_reference)
		  CROSS JOIN LATERAL credit.feature_values(d.day) f
		  CROSS JOIN LATERAL credit.score_row(chosen.model_id, f.features) r),
	value AS
		(SELECT NULL::text AS feature, 0 AS position, s.is_reference, s.score AS points FROM scored s
		 UNION ALL
		 SELECT p.feature, p.position, s.is_reference, p.points
		   FROM scored s CROSS JOIN LATERAL unnest(s.parts) p)
	SELECT q.feature, day, (q.s).n_reference, (q.s).n_actual, (q.s).psi, (q.s).verdict, q.mean_reference, q.mean_actual
	  FROM (SELECT v.position, v.feature, credit.population_stability(v.points, v.is_reference) AS s,
				   avg(v.points) FILTER (WHERE v.is_reference) AS mean_reference,
				   avg(v.points) FILTER (WHERE NOT v.is_reference) AS mean_actual
			  FROM value v GROUP BY v.position, v.feature) q
	 ORDER BY q.position;
END
$$;
COMMENT ON FUNCTION credit.stability(text, date, date, integer) IS
'Whether scores (feature NULL) and the points of each characteristic are distributed on a day as on a day of reference: population stability index, and means, all accounts scored on both days by what was known then. reference_on NULL: the day on which the version rated for the first time. Accounts without a score or points are left out.';

/* --- what was said, and what came of it ------------------------------------------- */

CREATE FUNCTION credit.monitor_on(as_of date, months integer DEFAULT 12)
RETURNS TABLE (model text, version text, is_challenger boolean, measure text, reference_day date,
			   n bigint, value float8, expected float8, is_warning boolean, finding text)
LANGUAGE sql STABLE ROWS 10
BEGIN ATOMIC
WITH past AS
	(SELECT (monitor_on.as_of - make_interval(months => monitor_on.months))::date AS day),
run AS
	(SELECT h.model, h.model_version, h.is_challenger, min(h.valid_from) AS first_day, max(h.valid_from) AS last_day
	   FROM credit.rating_history h
	   JOIN credit.model m ON m.name = h.model AND m.version::text = h.model_version AND m.status <> 'retired'
	  WHERE h.valid_from <= monitor_on.as_of
	  GROUP BY h.model, h.model_version, h.is_challenger),
/* the last word of a model on each day of interest */
said AS
	(SELECT DISTINCT ON (r.model, r.model_version, r.is_challenger, d.role, h.customer, h.segment)
			r.model, r.model_version, r.is_challenger, d.role, d.day, h.customer, h.segment, h.score, h.pd
	   FROM run r
	  CROSS JOIN LATERAL (VALUES ('first', r.first_day), ('last', r.last_day), ('past', (SELECT p.day FROM past p))) d (role, day)
	   JOIN credit.rating_history h ON h.model = r.model AND h.model_version = r.model_version
			AND h.is_challenger = r.is_challenger
			AND CASE d.role WHEN 'past' THEN h.valid_from <= d.day ELSE h.valid_from = d.day END
	  ORDER BY r.model, r.model_version, r.is_challenger, d.role, h.customer, h.segment, h.valid_from DESC, h.rating_id DESC),
event AS
	(SELECT e.customer, e.segment FROM past p CROSS JOIN LATERAL credit.defaults(p.day, monitor_on.as_of) e),
outcome AS
	(SELECT s.model, s.model_version, s.is_challenger, min(s.day) AS day, count(*) AS n,
			credit.discrimination(s.score, e.customer IS NOT NULL) AS d,
			count(e.customer)::float8 AS observed, sum(s.pd) AS expected, sum(s.pd * (1 - s.pd)) AS variance
	   FROM said s
	   LEFT JOIN event e ON e.customer COLLATE "C" = s.customer AND e.segment COLLATE "C" = s.segment
	  WHERE s.role = 'past' AND s.pd < 1
	  GROUP BY s.model, s.model_version, s.is_challenger)
SELECT q.model, q.model_version, q.is_challenger, 'population', q.day, (q.s).n_actual, (q.s).psi, 0.1,
	   COALESCE((q.s).psi > 0.1, false),
	   CASE WHEN (q.s).psi > 0.25 THEN 'scores are distributed otherwise than at the first rating: look for the reason, and fit the model anew'
			WHEN (q.s).psi > 0.1 THEN 'scores begin to be distributed otherwise than at the first rating'
			WHEN (q.s).psi IS NULL THEN 'there was one rating only' ELSE 'scores are distributed as at the first rating' END
	   || CASE WHEN (q.s).psi IS NOT NULL AND (q.s).is_small THEN ' (few accounts: this may be chance)' ELSE '' END
  FROM (SELECT s.model, s.model_version, s.is_challenger, min(s.day) AS day,
			   credit.population_stability(s.score, s.role = 'first') FILTER (WHERE r.first_day < r.last_day) AS s
		  FROM said s
		  JOIN run r ON r.model = s.model AND r.model_version = s.model_version AND r.is_challenger = s.is_challenger
		 WHERE s.role IN ('first', 'last')
		 GROUP BY s.model, s.model_version, s.is_challenger) q
UNION ALL
SELECT o.model, o.model_version, o.is_challenger, 'discrimination', o.day, o.n, (o.d).auc, 0.6,
	   COALESCE((o.d).auc_high < 0.6, false),
	   CASE WHEN (o.d).auc_high IS NULL THEN 'less than two customers defaulted, or did not: nothing can be said'
			WHEN (o.d).auc_high < 0.6 THEN 'scores hardly tell who defaulted since: fit the model anew'
			ELSE 'scores tell who defaulted since, or too few did to say otherwise' END
  FROM outcome o
UNION ALL
SELECT o.model, o.model_version, o.is_challenger, 'calibration', o.day, o.n, o.observed, o.expected,
	   COALESCE(abs(o.observed - o.expected) > 1.96 * sqrt(NULLIF(o.variance, 0)), false),
	   CASE WHEN o.observed - o.expected > 1.96 * sqrt(o.variance) THEN 'more customers defaulted than the probabilities said: calibrate the model'
			WHEN o.expected - o.observed > 1.96 * sqrt(o.variance) THEN 'fewer customers defaulted than the probabilities said: calibrate the model'
			ELSE 'about as many customers defaulted as the probabilities said' END
  FROM outcome o;
END;
COMMENT ON FUNCTION credit.monitor_on(date, integer) IS
'Whether models in use drift, by what they said (rating_history): how scores are distributed now and at the first rating, and what came of the ratings in force so many months ago. The rows of view monitor.';

/* --- characteristics ---------------------------------------------------------------- */

CREATE FUNCTION credit.characteristic_stability
	(as_of date DEFAULT credit.as_of(), model text DEFAULT NULL)
RETURNS TABLE (model_name text, version integer, is_challenger boolean, feature text,
			   reference text, reference_day date, rated_on date, n_reference float8,
			   n_actual bigint, csi float8, points_shift float8, verdict text)
LANGUAGE sql STABLE ROWS 100
BEGIN ATOMIC
WITH chosen AS
	(SELECT m.*, r.first_day, r.last_day
	   FROM credit.model m
	   JOIN (SELECT d.model_id, min(d.rated_on) AS first_day, max(d.rated_on) AS last_day
			   FROM credit.model_distribution d
			  WHERE d.rated_on <= characteristic_stability.as_of GROUP BY d.model_id) r ON r.model_id = m.model_id
	  WHERE m.status <> 'retired' AND (characteristic_stability.model IS NULL OR m.name = characteristic_stability.model COLLATE "C")),
counted AS
	(SELECT c.model_id, d.rated_on, d.position, d.bin, d.n, d.points
	   FROM chosen c
	   JOIN credit.model_distribution d ON d.model_id = c.model_id AND d.rated_on IN (c.first_day, c.last_day)
			AND d.recorded_at = (SELECT max(l.recorded_at) FROM credit.model_distribution l
								  WHERE l.model_id = d.model_id AND l.rated_on = d.rated_on)),
/* what a model was fitted to stands in its bins */
sample AS
	(SELECT c.model_id, h.position, b.bin, b.n, p.points
	   FROM chosen c
	   JOIN credit.model_characteristic h ON h.model_id = c.model_id AND (h.binning).n > 0
	  CROSS JOIN LATERAL credit.bins(h.binning) b
	   LEFT JOIN credit.model_points p ON p.model_id = c.model_id AND p.position = h.position AND p.line = b.bin),
reference AS
	(SELECT s.model_id, s.position, true AS is_sample, s.bin, s.n, s.points FROM sample s
	 UNION ALL
	 SELECT d.model_id, d.position, false, d.bin, d.n, d.points
	   FROM counted d
	   JOIN chosen c ON c.model_id = d.model_id AND d.rated_on = c.first_day AND c.first_day < c.last_day
	   JOIN credit.model_characteristic h ON h.model_id = d.model_id AND h.position = d.position
	  WHERE COALESCE((h.binning).n, 0) = 0),
both_sides AS
	(SELECT COALESCE(r.model_id, d.model_id) AS model_id, COALESCE(r.position, d.position) AS position,
			COALESCE(r.bin, d.bin) AS bin, r.is_sample, COALESCE(r.n, 0) AS expected, COALESCE(d.n, 0)::float8 AS actual,
			COALESCE(r.points, d.points, 0) AS points
	   FROM reference r
	   FULL JOIN (SELECT d.* FROM counted d JOIN chosen c ON c.model_id = d.model_id AND d.rated_on = c.last_day) d
		 ON d.model_id = r.model_id AND d.position = r.position AND d.bin = r.bin),
judged AS
	(SELECT b.model_id, b.position, bool_or(b.is_sample) AS is_sample, sum(b.expected) AS n_reference, sum(b.actual) AS n_actual,
			CASE WHEN sum(b.expected) > 0
				 THEN credit.csi(array_agg(b.expected ORDER BY b.bin), array_agg(b.actual ORDER BY b.bin), array_agg(b.points ORDER BY b.bin)) END AS s
	   FROM both_sides b
	  WHERE b.expected > 0 OR b.actual > 0
	  GROUP BY b.model_id, b.position)
SELECT c.name, c.version, c.status <> 'champion', h.feature,
	   CASE WHEN j.is_sample THEN 'development sample' WHEN j.n_reference > 0 THEN 'first rating' END,
	   CASE WHEN j.is_sample THEN (c.statistics ->> 'sample_until')::date WHEN j.n_reference > 0 THEN c.first_day END, c.last_day,
	   NULLIF(j.n_reference, 0), j.n_actual::bigint, (j.s).csi, (j.s).points_shift,
	   CASE WHEN (j.s).csi > 0.25 THEN 'shifted' WHEN (j.s).csi >= 0.1 THEN 'watch' WHEN (j.s).csi IS NOT NULL THEN 'stable' END
  FROM judged j
  JOIN chosen c ON c.model_id = j.model_id
  JOIN credit.model_characteristic h ON h.model_id = j.model_id AND h.position = j.position
 ORDER BY c.name, c.version, h.position;
END;
COMMENT ON FUNCTION credit.characteristic_stability(date, text) IS
'Characteristic stability index of each characteristic of the models in use, or of those of one name: how customers fell into its bins at the last rating up to a day, against the sample the model was fitted to; where there is none (expert models, bins made by hand), against the first rating. points_shift: by how many points the mean score has moved because of it. Reads what rate_all() wrote down.';

CREATE VIEW credit.monitor AS
SELECT m.model, m.version, m.is_challenger, m.measure, m.reference_day, m.n, m.value, m.expected, m.is_warning, m.finding,
	   NULL::text AS feature
  FROM credit.monitor_on(credit.as_of()) m
UNION ALL
SELECT s.model_name, s.version::text, s.is_challenger, 'characteristic', s.reference_day, s.n_actual, s.csi, 0.1, COALESCE(s.csi > 0.1, false),
	   CASE s.verdict WHEN 'shifted' THEN format('"%s" is distributed otherwise than %s: look for the reason', s.feature, w.which)
					  WHEN 'watch' THEN format('"%s" begins to be distributed otherwise than %s', s.feature, w.which)
					  WHEN 'stable' THEN format('"%s" is distributed as %s', s.feature, w.which)
					  ELSE format('"%s": there was one rating only', s.feature) END
	   || CASE WHEN s.verdict IS NOT NULL THEN format('; that moved the mean score by %s points', round(s.points_shift::numeric, 1)) ELSE '' END
	   || CASE WHEN s.verdict IS NOT NULL AND LEAST(s.n_reference, s.n_actual) < 100 THEN ' (few accounts: this may be chance)' ELSE '' END,
	   s.feature
  FROM credit.characteristic_stability(credit.as_of()) s
 CROSS JOIN LATERAL (SELECT CASE s.reference WHEN 'first rating' THEN 'at the ' ELSE 'in the ' END || s.reference AS which) w;
COMMENT ON VIEW credit.monitor IS
'Whether models in use drift; follows credit.as_of. WHERE is_warning: something should be done. stability() looks at each characteristic, validate() at other days and outcomes.';
COMMENT ON COLUMN credit.monitor.model IS 'Model.';
COMMENT ON COLUMN credit.monitor.version IS 'Its version.';
COMMENT ON COLUMN credit.monitor.is_challenger IS 'True: rated on trial.';
COMMENT ON COLUMN credit.monitor.measure IS 'Measure: population (stability index of scores), discrimination (AUC), calibration (number of defaults) or characteristic (stability index of one).';
COMMENT ON COLUMN credit.monitor.reference_day IS 'Day of the first rating (population), or of the ratings whose outcomes are known now; of a characteristic the end of the development sample, if the model says so, or the first rating.';
COMMENT ON COLUMN credit.monitor.n IS 'Number of customers looked at.';
COMMENT ON COLUMN credit.monitor.value IS 'Value of the measure: index, AUC, or number of customers that defaulted in the twelve months.';
COMMENT ON COLUMN credit.monitor.expected IS 'What it is compared with: 0.1, 0.6 (the whole interval of the AUC below it is a warning), or the sum of the probabilities.';
COMMENT ON COLUMN credit.monitor.is_warning IS 'True: the model drifts.';
COMMENT ON COLUMN credit.monitor.finding IS 'What that means, in words.';
COMMENT ON COLUMN credit.monitor.feature IS 'Characteristic; NULL: the other measures, which are about the score.';

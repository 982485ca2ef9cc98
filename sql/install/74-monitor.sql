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
		query := format('SELECT e.customer, e.segment, d.day, true AS is_default FROM unnest(%L::date[]) d (day) CROSS JOIN LATERAL credit.default_events(d.day, (d.day + make_interval(months => %s))::date) e', days, months);
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
'How good a model is, one row for each day of observation and, of several, one for all (observed NULL): all accounts not in default are scored on that day by what was known then, and default_events() of so many months after it are the outcomes; or outcomes is a query or table with customer, observed_on, is_default and, if need be, segment. observed_on NULL: the last day whose outcomes are all known. is_out_of_time: the day is not before the end of the sample (sample_until in statistics of the model, else the day it was written). lift and captured are those of the worst tenth.';

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
	(SELECT e.customer, e.segment FROM past p CROSS JOIN LATERAL credit.default_events(p.day, monitor_on.as_of) e),
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

CREATE VIEW credit.monitor AS
SELECT m.model, m.version, m.is_challenger, m.measure, m.reference_day, m.n, m.value, m.expected, m.is_warning, m.finding
  FROM credit.monitor_on(credit.as_of()) m;
COMMENT ON VIEW credit.monitor IS
'Whether models in use drift; follows credit.as_of. WHERE is_warning: something should be done. stability() looks at each characteristic, validate() at other days and outcomes.';
COMMENT ON COLUMN credit.monitor.model IS 'Model.';
COMMENT ON COLUMN credit.monitor.version IS 'Its version.';
COMMENT ON COLUMN credit.monitor.is_challenger IS 'True: rated on trial.';
COMMENT ON COLUMN credit.monitor.measure IS 'Measure: population (stability index of scores), discrimination (AUC) or calibration (number of defaults).';
COMMENT ON COLUMN credit.monitor.reference_day IS 'Day of the first rating (population), or of the ratings whose outcomes are known now.';
COMMENT ON COLUMN credit.monitor.n IS 'Number of customers looked at.';
COMMENT ON COLUMN credit.monitor.value IS 'Value of the measure: index, AUC, or number of customers that defaulted in the twelve months.';
COMMENT ON COLUMN credit.monitor.expected IS 'What it is compared with: 0.1, 0.6 (the whole interval of the AUC below it is a warning), or the sum of the probabilities.';
COMMENT ON COLUMN credit.monitor.is_warning IS 'True: the model drifts.';
COMMENT ON COLUMN credit.monitor.finding IS 'What that means, in words.';

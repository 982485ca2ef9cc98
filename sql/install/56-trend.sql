/*
 * Subject trend: whether and when a value has changed in time.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/trend.c, src/change.c, src/series.c.
 */
CREATE TYPE credit.trend_measures AS (
	n_rows bigint,
	n_days integer,
	n_older integer,
	n_credits bigint,
	n_skipped bigint,
	first_day date,
	last_day date,
	kendall_s bigint,
	kendall_variance float8,
	kendall_z float8,
	kendall_tau float8,
	p_normal float8,
	p_exact float8,
	p float8,
	slope float8,
	direction text);
COMMENT ON TYPE credit.trend_measures IS
'Whether a value rises or falls in time, by ranks. NULL where there is nothing to say: less than 4 days.';
COMMENT ON COLUMN credit.trend_measures.n_rows IS 'Number of rows used.';
COMMENT ON COLUMN credit.trend_measures.n_days IS 'Number of days looked at: rows of one day are merged into their mean by weight.';
COMMENT ON COLUMN credit.trend_measures.n_older IS 'Number of days left out because only the latest 2,000 are looked at.';
COMMENT ON COLUMN credit.trend_measures.n_credits IS 'Number of rows left out because their weight is 0 or negative.';
COMMENT ON COLUMN credit.trend_measures.n_skipped IS 'Number of rows left out because day, value or weight is NULL, infinite or not a number.';
COMMENT ON COLUMN credit.trend_measures.first_day IS 'First day looked at.';
COMMENT ON COLUMN credit.trend_measures.last_day IS 'Last day.';
COMMENT ON COLUMN credit.trend_measures.kendall_s IS 'Mann-Kendall: pairs of days with the later value larger, less pairs with the later value smaller.';
COMMENT ON COLUMN credit.trend_measures.kendall_variance IS 'Variance of this number if there is no trend, with correction for equal values.';
COMMENT ON COLUMN credit.trend_measures.kendall_z IS 'This number less 1 towards 0, by its standard deviation.';
COMMENT ON COLUMN credit.trend_measures.kendall_tau IS 'This number by the number of pairs: from -1 (falls each day) to 1 (rises each day).';
COMMENT ON COLUMN credit.trend_measures.p_normal IS 'Two-sided probability of such a z without a trend.';
COMMENT ON COLUMN credit.trend_measures.p_exact IS 'Two-sided probability counted out over all orders of the values; for up to 10 days.';
COMMENT ON COLUMN credit.trend_measures.p IS 'The exact probability where there is one, else the other.';
COMMENT ON COLUMN credit.trend_measures.slope IS 'By how much the value rises in 30 days: median of the slopes between each two days (Theil-Sen).';
COMMENT ON COLUMN credit.trend_measures.direction IS 'Rising, falling, or none if p is not below 0.05.';

CREATE FUNCTION credit.trend_accum(internal, day date, value float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_accum';
COMMENT ON FUNCTION credit.trend_accum(internal, date, float8) IS 'Part of aggregate robust_trend(): adds a row.';

CREATE FUNCTION credit.trend_accum(internal, day date, value float8, weight numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_accum_weighted';
COMMENT ON FUNCTION credit.trend_accum(internal, date, float8, numeric) IS 'Part of aggregate robust_trend(): adds a row.';

CREATE FUNCTION credit.trend_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_combine';
COMMENT ON FUNCTION credit.trend_combine(internal, internal) IS 'Part of aggregate robust_trend(): adds what another process has added up.';

CREATE FUNCTION credit.trend_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_serialize';
COMMENT ON FUNCTION credit.trend_serialize(internal) IS 'Part of aggregate robust_trend(): its state for another process.';

CREATE FUNCTION credit.trend_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_deserialize';
COMMENT ON FUNCTION credit.trend_deserialize(bytea, internal) IS 'Part of aggregate robust_trend(): the state of another process.';

CREATE FUNCTION credit.trend_final(internal) RETURNS credit.trend_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_trend_final';
COMMENT ON FUNCTION credit.trend_final(internal) IS 'Part of aggregate robust_trend(): the result.';

CREATE AGGREGATE credit.robust_trend(day date, value float8) (
	SFUNC = credit.trend_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.trend_final,
	COMBINEFUNC = credit.trend_combine,
	SERIALFUNC = credit.trend_serialize, DESERIALFUNC = credit.trend_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.robust_trend(date, float8) IS
'Whether a value, such as days late by day of payment, rises or falls in time: test of Mann and Kendall, slope of Theil and Sen. No single value moves it much.';

CREATE AGGREGATE credit.robust_trend(day date, value float8, weight numeric) (
	SFUNC = credit.trend_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.trend_final,
	COMBINEFUNC = credit.trend_combine,
	SERIALFUNC = credit.trend_serialize, DESERIALFUNC = credit.trend_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.robust_trend(date, float8, numeric) IS
'The same; values of one day are merged by weight, such as the amount.';

CREATE TYPE credit.change_measures AS (
	n_rows bigint,
	n_days integer,
	n_reference integer,
	n_credits bigint,
	n_skipped bigint,
	first_day date,
	last_day date,
	mean float8,
	sd float8,
	n_rises integer,
	first_rise date,
	first_rise_began date,
	last_rise date,
	last_rise_began date,
	rise_sum float8,
	n_falls integer,
	first_fall date,
	first_fall_began date,
	last_fall date,
	last_fall_began date,
	fall_sum float8);
COMMENT ON TYPE credit.change_measures IS
'When a value has changed its level, by cumulative sums. NULL where there is no baseline or nothing was found.';
COMMENT ON COLUMN credit.change_measures.n_rows IS 'Number of rows used.';
COMMENT ON COLUMN credit.change_measures.n_days IS 'Number of days watched: rows of one day are merged into their mean by weight.';
COMMENT ON COLUMN credit.change_measures.n_reference IS 'Number of days before these, from which the baseline was taken; 0 if it was given.';
COMMENT ON COLUMN credit.change_measures.n_credits IS 'Number of rows left out because their weight is 0 or negative.';
COMMENT ON COLUMN credit.change_measures.n_skipped IS 'Number of rows left out because day, value or weight is NULL, infinite or not a number.';
COMMENT ON COLUMN credit.change_measures.first_day IS 'First day, of reference or watched.';
COMMENT ON COLUMN credit.change_measures.last_day IS 'Last day.';
COMMENT ON COLUMN credit.change_measures.mean IS 'Mean of the baseline; NULL, as all below, if there is none: it is NULL, or the reference has less than 8 days.';
COMMENT ON COLUMN credit.change_measures.sd IS 'Standard deviation of the baseline, at least 1.';
COMMENT ON COLUMN credit.change_measures.n_rises IS 'Number of alarms that the value has risen.';
COMMENT ON COLUMN credit.change_measures.first_rise IS 'Day of the first of them.';
COMMENT ON COLUMN credit.change_measures.first_rise_began IS 'Day on which that rise began: the last one on which its sum was 0.';
COMMENT ON COLUMN credit.change_measures.last_rise IS 'Day of the last of them.';
COMMENT ON COLUMN credit.change_measures.last_rise_began IS 'Day on which that rise began.';
COMMENT ON COLUMN credit.change_measures.rise_sum IS 'Sum of rises on the last day, in standard deviations: how near the next alarm is.';
COMMENT ON COLUMN credit.change_measures.n_falls IS 'Number of alarms that the value has fallen.';
COMMENT ON COLUMN credit.change_measures.first_fall IS 'Day of the first of them.';
COMMENT ON COLUMN credit.change_measures.first_fall_began IS 'Day on which that fall began: the last one on which its sum was 0.';
COMMENT ON COLUMN credit.change_measures.last_fall IS 'Day of the last of them.';
COMMENT ON COLUMN credit.change_measures.last_fall_began IS 'Day on which that fall began.';
COMMENT ON COLUMN credit.change_measures.fall_sum IS 'Sum of falls on the last day, in standard deviations.';

CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, mean float8, sd float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_given';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, float8, float8) IS 'Part of aggregate change_point(): adds a row.';

CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, mean float8, sd float8, slack float8, threshold float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_given_options';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, float8, float8, float8, float8) IS 'Part of aggregate change_point(): adds a row.';

CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_days integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_days';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, integer) IS 'Part of aggregate change_point(): adds a row.';

CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_days integer, slack float8, threshold float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_days_options';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, integer, float8, float8) IS 'Part of aggregate change_point(): adds a row.';

CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_until date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_until';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, date) IS 'Part of aggregate change_point(): adds a row.';

CREATE FUNCTION credit.change_accum(internal, day date, value float8, weight numeric, reference_until date, slack float8, threshold float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_accum_until_options';
COMMENT ON FUNCTION credit.change_accum(internal, date, float8, numeric, date, float8, float8) IS 'Part of aggregate change_point(): adds a row.';

CREATE FUNCTION credit.change_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_combine';
COMMENT ON FUNCTION credit.change_combine(internal, internal) IS 'Part of aggregate change_point(): adds what another process has added up.';

CREATE FUNCTION credit.change_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_serialize';
COMMENT ON FUNCTION credit.change_serialize(internal) IS 'Part of aggregate change_point(): its state for another process.';

CREATE FUNCTION credit.change_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_deserialize';
COMMENT ON FUNCTION credit.change_deserialize(bytea, internal) IS 'Part of aggregate change_point(): the state of another process.';

CREATE FUNCTION credit.change_final(internal) RETURNS credit.change_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_change_final';
COMMENT ON FUNCTION credit.change_final(internal) IS 'Part of aggregate change_point(): the result.';

CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, mean float8, sd float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, float8, float8) IS
'When a value, such as days late by day of payment, has changed its level against a mean and a standard deviation that are known: alarm, and the day on which the change began. Rows of one day are merged by weight.';

CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, mean float8, sd float8, slack float8, threshold float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, float8, float8, float8, float8) IS
'The same with a slack (default 0.5) that a deviation must exceed to be added, and a threshold (default 5) of the sum, both in standard deviations.';

CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_days integer) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, integer) IS
'The same against the first so many days, at least 8, which are not watched.';

CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_days integer, slack float8, threshold float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, integer, float8, float8) IS
'The same with a slack (default 0.5) that a deviation must exceed to be added, and a threshold (default 5) of the sum, both in standard deviations.';

CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_until date) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, date) IS
'The same against the days until a date, at least 8, which are not watched.';

CREATE AGGREGATE credit.change_point(day date, value float8, weight numeric, reference_until date, slack float8, threshold float8) (
	SFUNC = credit.change_accum, STYPE = internal, SSPACE = 640,
	FINALFUNC = credit.change_final,
	COMBINEFUNC = credit.change_combine,
	SERIALFUNC = credit.change_serialize, DESERIALFUNC = credit.change_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.change_point(date, float8, numeric, date, float8, float8) IS
'The same with a slack (default 0.5) that a deviation must exceed to be added, and a threshold (default 5) of the sum, both in standard deviations.';

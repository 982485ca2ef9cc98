/*
 * Subject balance: how a balance went over time.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/balance.c, src/timeline.c.
 */
CREATE TYPE credit.exposure_measures AS (
	n_events bigint,
	n_before bigint,
	n_after bigint,
	n_skipped bigint,
	days integer,
	opening_balance numeric,
	closing_balance numeric,
	peak_balance numeric,
	peak_date date,
	average_balance numeric,
	days_above_limit integer,
	first_day_above_limit date,
	mean_utilisation float8,
	peak_utilisation float8);
COMMENT ON TYPE credit.exposure_measures IS
'How a balance went in a window of days, from signed dated events. A day counts with the balance at its end. NULL where there is nothing to say: no rows, or an empty window.';
COMMENT ON COLUMN credit.exposure_measures.n_events IS 'Number of events in the window.';
COMMENT ON COLUMN credit.exposure_measures.n_before IS 'Number of events before it: they are part of the opening balance.';
COMMENT ON COLUMN credit.exposure_measures.n_after IS 'Number of events left out because they are on its end or later.';
COMMENT ON COLUMN credit.exposure_measures.n_skipped IS 'Number of rows left out because the day or the amount is NULL or not finite.';
COMMENT ON COLUMN credit.exposure_measures.days IS 'Length of the window: its last day is the one before its end.';
COMMENT ON COLUMN credit.exposure_measures.opening_balance IS 'Balance before the first day of the window: what was given, and the events before.';
COMMENT ON COLUMN credit.exposure_measures.closing_balance IS 'Balance at the end of its last day.';
COMMENT ON COLUMN credit.exposure_measures.peak_balance IS 'Largest balance, of the opening balance and of the ends of days; in event order, of each event.';
COMMENT ON COLUMN credit.exposure_measures.peak_date IS 'First day on which it stood; the first of the window for the opening balance.';
COMMENT ON COLUMN credit.exposure_measures.average_balance IS 'Mean balance of the days, each at its end.';
COMMENT ON COLUMN credit.exposure_measures.days_above_limit IS 'Number of days at whose end the balance was above the credit limit; NULL without a limit.';
COMMENT ON COLUMN credit.exposure_measures.first_day_above_limit IS 'First of these days.';
COMMENT ON COLUMN credit.exposure_measures.mean_utilisation IS 'Mean share of the credit limit that was used, days with a negative balance counted as 0; NULL without a limit above 0.';
COMMENT ON COLUMN credit.exposure_measures.peak_utilisation IS 'Share of the credit limit that the peak used; above 1 it was exceeded.';

CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date) IS 'Part of aggregate exposure_profile(): adds a row.';

CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date, opening numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum_opening';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date, numeric) IS 'Part of aggregate exposure_profile(): adds a row.';

CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum_limit';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date, numeric, numeric) IS 'Part of aggregate exposure_profile(): adds a row.';

CREATE FUNCTION credit.balance_accum(internal, day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric, sequence bigint) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_accum_sequence';
COMMENT ON FUNCTION credit.balance_accum(internal, date, numeric, date, date, numeric, numeric, bigint) IS 'Part of aggregate exposure_profile(): adds a row.';

CREATE FUNCTION credit.balance_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_combine';
COMMENT ON FUNCTION credit.balance_combine(internal, internal) IS 'Part of aggregate exposure_profile(): adds what another process has added up.';

CREATE FUNCTION credit.balance_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_serialize';
COMMENT ON FUNCTION credit.balance_serialize(internal) IS 'Part of aggregate exposure_profile(): its state for another process.';

CREATE FUNCTION credit.balance_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_deserialize';
COMMENT ON FUNCTION credit.balance_deserialize(bytea, internal) IS 'Part of aggregate exposure_profile(): the state of another process.';

CREATE FUNCTION credit.balance_final(internal) RETURNS credit.exposure_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_balance_final';
COMMENT ON FUNCTION credit.balance_final(internal) IS 'Part of aggregate exposure_profile(): the result.';

CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date) IS
'How a balance went from a date up to, and without, another, from signed dated events: peak and its first day, mean by days, closing balance. All events of a day are netted first. Use it per customer and currency.';

CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date, opening numeric) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date, numeric) IS
'The same with a balance that was there before any of the events.';

CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date, numeric, numeric) IS
'The same with a credit limit: days above it, and how much of it was used. NULL: no limit.';

CREATE AGGREGATE credit.exposure_profile(day date, amount numeric, from_date date, to_date date, opening numeric, credit_limit numeric, sequence bigint) (
	SFUNC = credit.balance_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.balance_final,
	COMBINEFUNC = credit.balance_combine,
	SERIALFUNC = credit.balance_serialize, DESERIALFUNC = credit.balance_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.exposure_profile(date, numeric, date, date, numeric, numeric, bigint) IS
'The same for a peak in event order: within a day, events are taken by their number, and what has none comes last; days above the limit and means still count ends of days.';

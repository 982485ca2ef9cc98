/*
 * Subject asof: the day that views look at.  src/asof.c.
 */
CREATE FUNCTION credit.as_of() RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_as_of';
COMMENT ON FUNCTION credit.as_of() IS
'The day views look at: parameter credit.as_of (YYYY-MM-DD), else today in the zone of setting time_zone. Example: SET credit.as_of = ''2026-09-30''. The check of orders never looks at it.';

CREATE FUNCTION credit.today() RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_sql_today';
COMMENT ON FUNCTION credit.today() IS 'Today in the zone of setting time_zone.';

CREATE FUNCTION credit.day_of(moment timestamptz) RETURNS date
LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_day_of';
COMMENT ON FUNCTION credit.day_of(timestamptz) IS
'Day of a moment in the zone of setting time_zone, whatever the zone of the session.';

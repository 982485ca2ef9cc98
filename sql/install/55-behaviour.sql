/*
 * Subject behaviour: how customers pay.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/behaviour.c, src/profile.c.
 */
CREATE TYPE credit.payment_measures AS (
	n_paid bigint,
	n_open bigint,
	n_overdue bigint,
	n_credits bigint,
	n_future bigint,
	n_skipped bigint,
	paid_amount numeric,
	open_amount numeric,
	overdue_amount numeric,
	on_time_rate float8,
	on_time_rate_by_amount float8,
	mean_days_late float8,
	weighted_days_late float8,
	days_beyond_terms float8,
	open_days_beyond_terms float8,
	median_days_late float8,
	p90_days_late float8,
	weighted_p90_days_late integer,
	min_days_late integer,
	max_days_late integer,
	max_days_overdue integer,
	mean_days_to_pay float8,
	weighted_days_to_pay float8,
	weighted_terms float8,
	sd_days_late float8,
	mean_deviation float8,
	median_deviation float8,
	interquartile_range float8,
	sd_days_to_pay float8,
	cv_days_to_pay float8,
	trend_slope float8,
	trend_se float8,
	trend_t float8,
	trend_p float8,
	trend_r2 float8,
	is_worsening boolean,
	recent_days_late float8,
	recent_n float8,
	payment_index float8,
	first_invoice_date date,
	last_invoice_date date,
	first_paid_date date,
	last_paid_date date);
COMMENT ON TYPE credit.payment_measures IS
'How a customer pays. Days late count from the due date, days to pay from the invoice date. NULL where there is nothing to say; counts are 0 then.';
COMMENT ON COLUMN credit.payment_measures.n_paid IS 'Number of payments: rows with a paid date, on the as-of date or before.';
COMMENT ON COLUMN credit.payment_measures.n_open IS 'Number of open items: no paid date, or one after the as-of date.';
COMMENT ON COLUMN credit.payment_measures.n_overdue IS 'Of these, past due by more than the grace days; NULL where there are open items and no as-of date was given.';
COMMENT ON COLUMN credit.payment_measures.n_credits IS 'Number of rows left out because their amount is 0 or negative: credit notes are no payments.';
COMMENT ON COLUMN credit.payment_measures.n_future IS 'Number of rows left out because their invoice date is after the as-of date.';
COMMENT ON COLUMN credit.payment_measures.n_skipped IS 'Number of rows left out because the amount, the invoice date, the due date or the as-of date is NULL, or one of them but the as-of date is not finite.';
COMMENT ON COLUMN credit.payment_measures.paid_amount IS 'Sum of the payments, in the currency of the amounts.';
COMMENT ON COLUMN credit.payment_measures.open_amount IS 'Sum of the open items, in the currency of the amounts.';
COMMENT ON COLUMN credit.payment_measures.overdue_amount IS 'Sum of the open items past due by more than the grace days, in the currency of the amounts.';
COMMENT ON COLUMN credit.payment_measures.on_time_rate IS 'Share (0 to 1) of payments that were late by no more than the grace days, among payments and overdue open items.';
COMMENT ON COLUMN credit.payment_measures.on_time_rate_by_amount IS 'The same share of amounts.';
COMMENT ON COLUMN credit.payment_measures.mean_days_late IS 'Mean of days from due date to payment; early payments are negative.';
COMMENT ON COLUMN credit.payment_measures.weighted_days_late IS 'The same weighted by amount.';
COMMENT ON COLUMN credit.payment_measures.days_beyond_terms IS 'Days late weighted by amount, early payments counted as 0.';
COMMENT ON COLUMN credit.payment_measures.open_days_beyond_terms IS 'Days past due of open items weighted by amount, items not due counted as 0.';
COMMENT ON COLUMN credit.payment_measures.median_days_late IS 'Median of days late, interpolated as percentile_cont(0.5) does.';
COMMENT ON COLUMN credit.payment_measures.p90_days_late IS 'Ninetieth percentile of days late, interpolated as percentile_cont(0.9) does.';
COMMENT ON COLUMN credit.payment_measures.weighted_p90_days_late IS 'First number of days late by which 90 % of the paid amount have come.';
COMMENT ON COLUMN credit.payment_measures.min_days_late IS 'Earliest payment, in days late: negative if before the due date.';
COMMENT ON COLUMN credit.payment_measures.max_days_late IS 'Latest payment, in days late.';
COMMENT ON COLUMN credit.payment_measures.max_days_overdue IS 'Most days past due among overdue open items; NULL where there are none.';
COMMENT ON COLUMN credit.payment_measures.mean_days_to_pay IS 'Mean of days from invoice date to payment.';
COMMENT ON COLUMN credit.payment_measures.weighted_days_to_pay IS 'The same weighted by amount: terms and days late together.';
COMMENT ON COLUMN credit.payment_measures.weighted_terms IS 'Days from invoice date to due date of payments, weighted by amount.';
COMMENT ON COLUMN credit.payment_measures.sd_days_late IS 'Standard deviation of days late (sample); NULL for one payment.';
COMMENT ON COLUMN credit.payment_measures.mean_deviation IS 'Mean absolute deviation of days late from their mean.';
COMMENT ON COLUMN credit.payment_measures.median_deviation IS 'Median absolute deviation of days late from their median; times 1.4826 it compares to a standard deviation.';
COMMENT ON COLUMN credit.payment_measures.interquartile_range IS 'Days late between the first and the third quartile.';
COMMENT ON COLUMN credit.payment_measures.sd_days_to_pay IS 'Standard deviation of days from invoice to payment (sample).';
COMMENT ON COLUMN credit.payment_measures.cv_days_to_pay IS 'Coefficient of variation of days to pay: standard deviation by mean; NULL if the mean is not positive.';
COMMENT ON COLUMN credit.payment_measures.trend_slope IS 'By how many days payments get later in 30 days: least squares of days late over the day of payment; NULL below 3 payments or if all are on one day.';
COMMENT ON COLUMN credit.payment_measures.trend_se IS 'Standard error of the slope, for 30 days.';
COMMENT ON COLUMN credit.payment_measures.trend_t IS 'Slope by its standard error; NULL if all payments lie on the line.';
COMMENT ON COLUMN credit.payment_measures.trend_p IS 'Two-sided probability of such a slope without a trend (Student, n - 2 degrees of freedom).';
COMMENT ON COLUMN credit.payment_measures.trend_r2 IS 'Share (0 to 1) of the variance of days late that the trend explains; NULL if there is none.';
COMMENT ON COLUMN credit.payment_measures.is_worsening IS 'The slope is positive, p is below 0.05 and there are at least 6 payments.';
COMMENT ON COLUMN credit.payment_measures.recent_days_late IS 'Mean days late with weights that halve with every half-life (90 days) a payment is older.';
COMMENT ON COLUMN credit.payment_measures.recent_n IS 'Number of payments that this mean is worth: below 3 it says little.';
COMMENT ON COLUMN credit.payment_measures.payment_index IS 'Index of payment from 1 to 100, weighted by amount: 100 is 30 days early, 80 prompt, 70 is 15 days late, 50 is 30, 20 is 120; overdue open items count as they stand.';
COMMENT ON COLUMN credit.payment_measures.first_invoice_date IS 'Earliest invoice date among payments and open items.';
COMMENT ON COLUMN credit.payment_measures.last_invoice_date IS 'Latest invoice date among payments and open items.';
COMMENT ON COLUMN credit.payment_measures.first_paid_date IS 'Day of the first payment.';
COMMENT ON COLUMN credit.payment_measures.last_paid_date IS 'Day of the last payment.';

CREATE FUNCTION credit.payment_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_accum';
COMMENT ON FUNCTION credit.payment_accum(internal, numeric, date, date, date) IS 'Part of aggregate payment_profile(): adds a row.';

CREATE FUNCTION credit.payment_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_accum_as_of';
COMMENT ON FUNCTION credit.payment_accum(internal, numeric, date, date, date, date) IS 'Part of aggregate payment_profile(): adds a row.';

CREATE FUNCTION credit.payment_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date, grace_days integer, half_life integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_accum_options';
COMMENT ON FUNCTION credit.payment_accum(internal, numeric, date, date, date, date, integer, integer) IS 'Part of aggregate payment_profile(): adds a row.';

CREATE FUNCTION credit.payment_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_combine';
COMMENT ON FUNCTION credit.payment_combine(internal, internal) IS 'Part of aggregate payment_profile(): adds what another process has added up.';

CREATE FUNCTION credit.payment_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_serialize';
COMMENT ON FUNCTION credit.payment_serialize(internal) IS 'Part of aggregate payment_profile(): its state for another process.';

CREATE FUNCTION credit.payment_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_deserialize';
COMMENT ON FUNCTION credit.payment_deserialize(bytea, internal) IS 'Part of aggregate payment_profile(): the state of another process.';

CREATE FUNCTION credit.payment_final(internal) RETURNS credit.payment_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_final';
COMMENT ON FUNCTION credit.payment_final(internal) IS 'Part of aggregate payment_profile(): the result.';

CREATE AGGREGATE credit.payment_profile(amount numeric, invoice_date date, due_date date, paid_date date) (
	SFUNC = credit.payment_accum, STYPE = internal, SSPACE = 1024,
	FINALFUNC = credit.payment_final,
	COMBINEFUNC = credit.payment_combine,
	SERIALFUNC = credit.payment_serialize, DESERIALFUNC = credit.payment_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_profile(numeric, date, date, date) IS
'How a customer pays, from one row per settled or open invoice (or per application of cash): lateness, days to pay, stability, trend, index. A NULL paid date means open. Use it per customer and currency.';

CREATE AGGREGATE credit.payment_profile(amount numeric, invoice_date date, due_date date, paid_date date, as_of date) (
	SFUNC = credit.payment_accum, STYPE = internal, SSPACE = 1024,
	FINALFUNC = credit.payment_final,
	COMBINEFUNC = credit.payment_combine,
	SERIALFUNC = credit.payment_serialize, DESERIALFUNC = credit.payment_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_profile(numeric, date, date, date, date) IS
'The same as of a date: what is dated later is open or left out, and open items that are overdue count.';

CREATE AGGREGATE credit.payment_profile(amount numeric, invoice_date date, due_date date, paid_date date, as_of date, grace_days integer, half_life integer) (
	SFUNC = credit.payment_accum, STYPE = internal, SSPACE = 1024,
	FINALFUNC = credit.payment_final,
	COMBINEFUNC = credit.payment_combine,
	SERIALFUNC = credit.payment_serialize, DESERIALFUNC = credit.payment_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_profile(numeric, date, date, date, date, integer, integer) IS
'The same with grace days (default 0), by which a payment may be late and still be on time, and a half-life in days (default 90) for recent_days_late.';

CREATE TYPE credit.cycle_measures AS (
	n_payments bigint,
	n_days integer,
	n_skipped bigint,
	mean_interval float8,
	sd_interval float8,
	cv_interval float8,
	weekday_strength float8,
	weekday_p float8,
	mean_weekday float8,
	month_day_strength float8,
	month_day_p float8,
	mean_month_day float8,
	month_end_strength float8,
	month_end_p float8,
	mean_month_end float8,
	habit text,
	habit_day integer,
	period float8,
	period_strength float8,
	period_p float8,
	first_paid_date date,
	last_paid_date date);
COMMENT ON TYPE credit.cycle_measures IS
'Whether a customer pays in a rhythm: intervals, fixed weekday, fixed day of the month.';
COMMENT ON COLUMN credit.cycle_measures.n_payments IS 'Number of payments.';
COMMENT ON COLUMN credit.cycle_measures.n_days IS 'Number of days on which there was a payment: several on one day count once below.';
COMMENT ON COLUMN credit.cycle_measures.n_skipped IS 'Number of rows left out because the paid date is NULL or infinite.';
COMMENT ON COLUMN credit.cycle_measures.mean_interval IS 'Mean of days from one day of payment to the next; NULL, as all below, for less than 3 days of payment.';
COMMENT ON COLUMN credit.cycle_measures.sd_interval IS 'Standard deviation of these intervals (sample).';
COMMENT ON COLUMN credit.cycle_measures.cv_interval IS 'Standard deviation by mean of the intervals: near 0 is a fixed rhythm.';
COMMENT ON COLUMN credit.cycle_measures.weekday_strength IS 'How much payments keep to one weekday, from 0 to 1: mean resultant length of the weekdays as points on a circle.';
COMMENT ON COLUMN credit.cycle_measures.weekday_p IS 'Probability of such a strength without a habit (Rayleigh).';
COMMENT ON COLUMN credit.cycle_measures.mean_weekday IS 'Mean direction: 1 is Monday, 4.8 shortly before Friday.';
COMMENT ON COLUMN credit.cycle_measures.month_day_strength IS 'The same for the day of the month, as part of that month''s days.';
COMMENT ON COLUMN credit.cycle_measures.month_day_p IS 'Probability of such a strength without a habit (Rayleigh).';
COMMENT ON COLUMN credit.cycle_measures.mean_month_day IS 'Mean direction as a day of a mean month of 30.4375 days.';
COMMENT ON COLUMN credit.cycle_measures.month_end_strength IS 'The same for days to the end of the month.';
COMMENT ON COLUMN credit.cycle_measures.month_end_p IS 'Probability of such a strength without a habit (Rayleigh).';
COMMENT ON COLUMN credit.cycle_measures.mean_month_end IS 'Mean direction as a day counted from the end of the month: 1 is the last.';
COMMENT ON COLUMN credit.cycle_measures.habit IS 'Weekday, month_day or month_end: the strongest with at least 0.8, p below 0.05 and 6 days of payment; NULL: none.';
COMMENT ON COLUMN credit.cycle_measures.habit_day IS 'The day of the habit: weekday from 1 (Monday), day of the month, or day counted from its end (1 is the last).';
COMMENT ON COLUMN credit.cycle_measures.period IS 'Of 7, 14 and 30.4375 days the period that payments keep to most.';
COMMENT ON COLUMN credit.cycle_measures.period_strength IS 'How much they do, from 0 to 1.';
COMMENT ON COLUMN credit.cycle_measures.period_p IS 'Probability of such a strength without a period, times 3 for the number tried.';
COMMENT ON COLUMN credit.cycle_measures.first_paid_date IS 'First day of payment.';
COMMENT ON COLUMN credit.cycle_measures.last_paid_date IS 'Last day of payment.';

CREATE FUNCTION credit.cycle_accum(internal, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_accum';
COMMENT ON FUNCTION credit.cycle_accum(internal, date) IS 'Part of aggregate payment_cycle(): adds a row.';

CREATE FUNCTION credit.cycle_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_combine';
COMMENT ON FUNCTION credit.cycle_combine(internal, internal) IS 'Part of aggregate payment_cycle(): adds what another process has collected.';

CREATE FUNCTION credit.cycle_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_serialize';
COMMENT ON FUNCTION credit.cycle_serialize(internal) IS 'Part of aggregate payment_cycle(): its state for another process.';

CREATE FUNCTION credit.cycle_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_deserialize';
COMMENT ON FUNCTION credit.cycle_deserialize(bytea, internal) IS 'Part of aggregate payment_cycle(): the state of another process.';

CREATE FUNCTION credit.cycle_final(internal) RETURNS credit.cycle_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cycle_final';
COMMENT ON FUNCTION credit.cycle_final(internal) IS 'Part of aggregate payment_cycle(): the result.';

CREATE AGGREGATE credit.payment_cycle(paid_date date) (
	SFUNC = credit.cycle_accum, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.cycle_final,
	COMBINEFUNC = credit.cycle_combine,
	SERIALFUNC = credit.cycle_serialize, DESERIALFUNC = credit.cycle_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_cycle(date) IS
'Whether a customer pays in a rhythm: intervals between days of payment, and how much these keep to a weekday, a day of the month, or a period. Use it per customer.';

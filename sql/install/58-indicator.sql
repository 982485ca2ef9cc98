/*
 * Subject indicator: receivable indicators.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  A ratio of sums is one line of SQL; what has to look
 * at months is C, src/indicator.c and src/capacity.c.
 */

/* A ratio of money, or NULL where there is none: never 0, infinite or NaN instead. */
CREATE FUNCTION credit.ratio(numerator numeric, denominator numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN denominator <> 0 AND pg_catalog.abs(denominator) < 'Infinity' AND pg_catalog.abs(numerator) < 'Infinity'
	THEN (numerator / denominator)::float8 END;
COMMENT ON FUNCTION credit.ratio(numeric, numeric) IS
'Numerator by denominator; NULL where the denominator is 0, or one of both is NULL, NaN or infinite.';

CREATE FUNCTION credit.dso(receivables numeric, sales numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 AND days > 0 THEN credit.ratio(receivables * days, sales) END;
COMMENT ON FUNCTION credit.dso(numeric, numeric, integer) IS
'Days sales outstanding: receivables at the end of a period by its credit sales, times its days. NULL if there are no sales; negative if the receivables are.';

CREATE FUNCTION credit.best_possible_dso(current_receivables numeric, sales numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN credit.dso(current_receivables, sales, days);
COMMENT ON FUNCTION credit.best_possible_dso(numeric, numeric, integer) IS
'Best possible DSO: what DSO would be if nobody were late, from receivables that are not overdue.';

CREATE FUNCTION credit.average_days_delinquent(overdue_receivables numeric, sales numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN credit.dso(overdue_receivables, sales, days);
COMMENT ON FUNCTION credit.average_days_delinquent(numeric, numeric, integer) IS
'Average days delinquent: DSO less the best possible one, so the part that overdue receivables make.';

CREATE FUNCTION credit.cei(begin_receivables numeric, sales numeric, end_receivables numeric, end_current numeric, periods integer DEFAULT 1) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN periods > 0 AND begin_receivables * periods + sales > end_current * periods
	THEN credit.ratio(100 * ((begin_receivables - end_receivables) * periods + sales), (begin_receivables - end_current) * periods + sales) END;
COMMENT ON FUNCTION credit.cei(numeric, numeric, numeric, numeric, integer) IS
'Collection effectiveness index in per cent: what was collected of what could be, from receivables at the beginning, credit sales of so many periods, receivables at the end and those of them that are not overdue. Above 100 with credit balances; NULL if nothing could be collected.';

CREATE FUNCTION credit.receivable_turnover(sales numeric, average_receivables numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN average_receivables > 0 THEN credit.ratio(sales, average_receivables) END;
COMMENT ON FUNCTION credit.receivable_turnover(numeric, numeric) IS
'Times per period that receivables turn over: credit sales by average receivables, such as average_balance of exposure_profile(). High is good, unlike DSO.';

CREATE FUNCTION credit.collection_period(sales numeric, average_receivables numeric, days integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN average_receivables > 0 AND days > 0 THEN credit.ratio(average_receivables * days, sales) END;
COMMENT ON FUNCTION credit.collection_period(numeric, numeric, integer) IS
'Days that receivables are outstanding on average: days of the period by turnover.';

CREATE FUNCTION credit.bad_debt_ratio(write_offs numeric, recoveries numeric, sales numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 THEN credit.ratio(write_offs - recoveries, sales) END;
COMMENT ON FUNCTION credit.bad_debt_ratio(numeric, numeric, numeric) IS
'Share of credit sales that was lost: write-offs less recoveries of a period by its credit sales, or write-offs of the invoices of a month by its sales. Negative where recoveries are larger.';

CREATE FUNCTION credit.allowance_ratio(loss_allowance numeric, receivables numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN receivables > 0 THEN credit.ratio(loss_allowance, receivables) END;
COMMENT ON FUNCTION credit.allowance_ratio(numeric, numeric) IS
'Share of gross receivables that is written down: loss allowance by receivables.';

CREATE TYPE credit.overdue_measures AS (
	overdue_ratio float8,
	severe_overdue_ratio float8,
	share_1_30 float8,
	share_31_60 float8,
	share_61_90 float8,
	share_91_plus float8);
COMMENT ON TYPE credit.overdue_measures IS
'What part of the open debit items is how late, as shares from 0 to 1. NULL where there are no open debit items.';
COMMENT ON COLUMN credit.overdue_measures.overdue_ratio IS 'Share that is overdue.';
COMMENT ON COLUMN credit.overdue_measures.severe_overdue_ratio IS 'Share that is overdue by more than 90 days.';
COMMENT ON COLUMN credit.overdue_measures.share_1_30 IS 'Share that is 1 to 30 days past due.';
COMMENT ON COLUMN credit.overdue_measures.share_31_60 IS 'Share that is 31 to 60 days past due.';
COMMENT ON COLUMN credit.overdue_measures.share_61_90 IS 'Share that is 61 to 90 days past due.';
COMMENT ON COLUMN credit.overdue_measures.share_91_plus IS 'Share that is more than 90 days past due.';

CREATE FUNCTION credit.overdue_shares(buckets credit.aging_buckets) RETURNS credit.overdue_measures
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ROW(
	credit.ratio((buckets).d1_30 + (buckets).d31_60 + (buckets).d61_90 + (buckets).d91_120 + (buckets).d121_plus, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d91_120 + (buckets).d121_plus, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d1_30, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d31_60, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d61_90, (buckets).total - (buckets).credits),
	credit.ratio((buckets).d91_120 + (buckets).d121_plus, (buckets).total - (buckets).credits))::credit.overdue_measures;
COMMENT ON FUNCTION credit.overdue_shares(credit.aging_buckets) IS
'What part of the open debit items is how late, from a result of aging() with credits in a column of their own, which is its default.';

CREATE FUNCTION credit.overdue_ratio(measures credit.payment_measures) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN credit.ratio((measures).overdue_amount, (measures).open_amount);
COMMENT ON FUNCTION credit.overdue_ratio(credit.payment_measures) IS
'Share of open items that is overdue by more than the grace days, from a result of payment_profile() with an as-of date.';

CREATE FUNCTION credit.working_capital_requirement(inventories numeric, receivables numeric, payables numeric, other_receivables numeric DEFAULT 0, other_payables numeric DEFAULT 0) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN inventories + receivables + other_receivables - payables - other_payables;
COMMENT ON FUNCTION credit.working_capital_requirement(numeric, numeric, numeric, numeric, numeric) IS
'Working-capital requirement: inventories and operating receivables less operating payables, without cash and financial debt. Negative where suppliers pay for it.';

CREATE FUNCTION credit.working_capital_days(requirement numeric, sales numeric, days integer DEFAULT 365) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 AND days > 0 THEN credit.ratio(requirement * days, sales) END;
COMMENT ON FUNCTION credit.working_capital_days(numeric, numeric, integer) IS
'Working-capital requirement in days of sales.';

CREATE FUNCTION credit.cash_conversion_cycle(inventories numeric, receivables numeric, payables numeric, sales numeric, cost_of_sales numeric, days integer DEFAULT 365) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sales > 0 AND cost_of_sales > 0 AND days > 0
	THEN credit.ratio((inventories - payables) * days, cost_of_sales) + credit.ratio(receivables * days, sales) END;
COMMENT ON FUNCTION credit.cash_conversion_cycle(numeric, numeric, numeric, numeric, numeric, integer) IS
'Cash conversion cycle in days: days inventory outstanding and days sales outstanding less days payables outstanding.';

CREATE FUNCTION credit.payment_to_order_ratio(paid numeric, ordered numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ordered > 0 THEN credit.ratio(paid, ordered) END;
COMMENT ON FUNCTION credit.payment_to_order_ratio(numeric, numeric) IS
'What a customer pays by what he orders. Take what was paid of items that fell due in a window, and what fell due: cash by orders of the same window looks worse the faster a customer grows.';

CREATE TYPE credit.demand_measures AS (
	rate_ratio float8,
	p float8);
COMMENT ON TYPE credit.demand_measures IS
'Whether a customer asks for more than before, from counts of quotations, enquiries or the like. NULL below 5 events.';
COMMENT ON COLUMN credit.demand_measures.rate_ratio IS 'Events a day in the recent days by events a day before; NULL if there were none before.';
COMMENT ON COLUMN credit.demand_measures.p IS 'One-sided probability of so many recent events, or more, at an unchanged rate.';

CREATE FUNCTION credit.demand_p(n_recent bigint, days_recent integer, n_before bigint, days_before integer) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_demand_p';
COMMENT ON FUNCTION credit.demand_p(bigint, integer, bigint, integer) IS
'Part of demand_signal(): probability that so many of all events, or more, fall into the recent days if the rate has not changed (binomial).';

CREATE FUNCTION credit.demand_signal(n_recent bigint, days_recent integer, n_before bigint, days_before integer) RETURNS credit.demand_measures
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE WHEN e.is_enough THEN credit.ratio(n_recent::numeric * days_before, n_before::numeric * days_recent) END,
		   CASE WHEN e.is_enough THEN credit.demand_p(n_recent, days_recent, n_before, days_before) END
	  FROM (SELECT n_recent >= 0 AND n_before >= 0 AND days_recent > 0 AND days_before > 0
				   AND n_recent::numeric + n_before >= 5 AS is_enough) e;
END;
COMMENT ON FUNCTION credit.demand_signal(bigint, integer, bigint, integer) IS
'Whether a customer asks for more than before: events in the recent days against events in the days before them.';

CREATE FUNCTION credit.funds_segment(payment_index float8, capability float8, high_index float8 DEFAULT 75, high_capability float8 DEFAULT 0.9) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN payment_index IS NULL OR capability IS NULL OR high_index IS NULL OR high_capability IS NULL
		OR 'NaN' IN (payment_index, capability, high_index, high_capability) THEN 'unrated'
	WHEN payment_index >= high_index AND capability >= high_capability THEN 'extend'
	WHEN payment_index >= high_index THEN 'instalments'
	WHEN capability >= high_capability THEN 'shorten'
	ELSE 'secure' END;
COMMENT ON FUNCTION credit.funds_segment(float8, float8, float8, float8) IS
'Funds-profile segment by willingness (payment_index of payment_profile) and capability (payment_to_order_ratio): extend terms; willing but short of money, instalments; able but unwilling, shorten terms and dun; neither, secure by prepayment or guarantee. Unrated where one is missing.';

CREATE TYPE credit.peer_measures AS (
	n_peers integer,
	median float8,
	ratio float8,
	difference float8,
	percentile float8);
COMMENT ON TYPE credit.peer_measures IS
'A figure of a customer, such as days beyond terms, beside those of his industry.';
COMMENT ON COLUMN credit.peer_measures.n_peers IS 'Number of peers with a figure.';
COMMENT ON COLUMN credit.peer_measures.median IS 'Median of the peers.';
COMMENT ON COLUMN credit.peer_measures.ratio IS 'Figure by median; NULL if the median is 0: take the difference then.';
COMMENT ON COLUMN credit.peer_measures.difference IS 'Figure less median.';
COMMENT ON COLUMN credit.peer_measures.percentile IS 'Share of peers below, and half of the share of equal ones, from 0 to 1.';

CREATE FUNCTION credit.peer_comparison(value float8, peers float8[]) RETURNS credit.peer_measures
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.n::integer, m.median,
		   CASE WHEN m.median <> 0 THEN m.value / m.median END, m.value - m.median,
		   CASE WHEN m.n > 0 AND m.value IS NOT NULL THEN (m.below + 0.5 * m.same) / m.n END
	  FROM (SELECT pg_catalog.count(p.peer) AS n, v.value,
				   pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY p.peer) AS median,
				   pg_catalog.count(*) FILTER (WHERE p.peer < v.value)::float8 AS below,
				   pg_catalog.count(*) FILTER (WHERE p.peer = v.value)::float8 AS same
			  FROM (SELECT CASE WHEN pg_catalog.abs(peer_comparison.value) < 'Infinity' THEN peer_comparison.value END AS value) v
			  LEFT JOIN pg_catalog.unnest(peer_comparison.peers) p (peer) ON pg_catalog.abs(p.peer) < 'Infinity'
			 GROUP BY v.value) m;
END;
COMMENT ON FUNCTION credit.peer_comparison(float8, float8[]) IS
'A figure of a customer, such as days beyond terms, beside those of his industry: ratio to the median, difference, percentile. NULL and what is no finite number is left out.';

CREATE FUNCTION credit.indicator_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_indicator_combine';
COMMENT ON FUNCTION credit.indicator_combine(internal, internal) IS 'Part of aggregates countback_dso(), true_dso(), payment_capacity() and partial_payment(): adds what another process has added up.';

CREATE FUNCTION credit.indicator_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_indicator_serialize';
COMMENT ON FUNCTION credit.indicator_serialize(internal) IS 'Part of aggregates countback_dso(), true_dso(), payment_capacity() and partial_payment(): its state for another process.';

CREATE FUNCTION credit.indicator_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_indicator_deserialize';
COMMENT ON FUNCTION credit.indicator_deserialize(bytea, internal) IS 'Part of aggregates countback_dso(), true_dso(), payment_capacity() and partial_payment(): the state of another process.';

CREATE TYPE credit.countback_measures AS (
	dso float8,
	lower_bound float8,
	n_months integer,
	uncovered numeric,
	n_future bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.countback_measures IS
'How far back sales reach that receivables are made of.';
COMMENT ON COLUMN credit.countback_measures.dso IS 'Days sales outstanding by count-back; NULL if the history of sales ends before the receivables are covered. 0 if there are no receivables.';
COMMENT ON COLUMN credit.countback_measures.lower_bound IS 'Days that were counted: dso, or what it is at least.';
COMMENT ON COLUMN credit.countback_measures.n_months IS 'Number of months whose sales the receivables cover, wholly or in part.';
COMMENT ON COLUMN credit.countback_measures.uncovered IS 'Receivables that no sales were found for.';
COMMENT ON COLUMN credit.countback_measures.n_future IS 'Number of rows left out because they are dated after the as-of date.';
COMMENT ON COLUMN credit.countback_measures.n_skipped IS 'Number of rows left out because the day or the amount is NULL or not finite.';

CREATE FUNCTION credit.countback_accum(internal, day date, sales numeric, receivables numeric, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_countback_accum';
COMMENT ON FUNCTION credit.countback_accum(internal, date, numeric, numeric, date) IS 'Part of aggregate countback_dso(): adds a row.';

CREATE FUNCTION credit.countback_accum(internal, day date, sales numeric, receivables numeric, as_of date, month_days integer, stop boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_countback_accum_options';
COMMENT ON FUNCTION credit.countback_accum(internal, date, numeric, numeric, date, integer, boolean) IS 'Part of aggregate countback_dso(): adds a row.';

CREATE FUNCTION credit.countback_final(internal) RETURNS credit.countback_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_countback_final';
COMMENT ON FUNCTION credit.countback_final(internal) IS 'Part of aggregate countback_dso(): the result.';

CREATE AGGREGATE credit.countback_dso(day date, sales numeric, receivables numeric, as_of date) (
	SFUNC = credit.countback_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.countback_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.countback_dso(date, numeric, numeric, date) IS
'Days sales outstanding by count-back (exhaustion): from the as-of date back, month by month, until sales have used up the receivables, which seasonal sales do not distort. Rows are invoices less credit notes, or sums of months; the month of the as-of date counts the days it has had.';

CREATE AGGREGATE credit.countback_dso(day date, sales numeric, receivables numeric, as_of date, month_days integer, stop boolean) (
	SFUNC = credit.countback_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.countback_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.countback_dso(date, numeric, numeric, date, integer, boolean) IS
'The same with months of so many days (NULL: the calendar), and whether to stop at the first month without positive sales instead of passing over it.';

CREATE TYPE credit.true_dso_measures AS (
	dso float8,
	n_open bigint,
	open_amount numeric,
	n_unmatched bigint,
	unmatched_amount numeric,
	n_credits bigint,
	n_future bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.true_dso_measures IS
'Days sales outstanding by the age of each open invoice.';
COMMENT ON COLUMN credit.true_dso_measures.dso IS 'Sum of age in days times open amount, by the credit sales of the month of the invoice. 0 if nothing is open; NULL if no open invoice is from a month with sales.';
COMMENT ON COLUMN credit.true_dso_measures.n_open IS 'Number of open invoices.';
COMMENT ON COLUMN credit.true_dso_measures.open_amount IS 'Sum of what is open of them.';
COMMENT ON COLUMN credit.true_dso_measures.n_unmatched IS 'Number of open invoices left out because their month has no positive sales.';
COMMENT ON COLUMN credit.true_dso_measures.unmatched_amount IS 'Sum of what is open of these.';
COMMENT ON COLUMN credit.true_dso_measures.n_credits IS 'Number of rows whose open amount was left out because it is negative.';
COMMENT ON COLUMN credit.true_dso_measures.n_future IS 'Number of rows left out because they are dated after the as-of date.';
COMMENT ON COLUMN credit.true_dso_measures.n_skipped IS 'Number of rows left out because the date is NULL or not finite, both amounts are NULL, or one is not finite.';

CREATE FUNCTION credit.true_dso_accum(internal, document_date date, sales numeric, open_amount numeric, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_true_dso_accum';
COMMENT ON FUNCTION credit.true_dso_accum(internal, date, numeric, numeric, date) IS 'Part of aggregate true_dso(): adds a row.';

CREATE FUNCTION credit.true_dso_final(internal) RETURNS credit.true_dso_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_true_dso_final';
COMMENT ON FUNCTION credit.true_dso_final(internal) IS 'Part of aggregate true_dso(): the result.';

CREATE AGGREGATE credit.true_dso(document_date date, sales numeric, open_amount numeric, as_of date) (
	SFUNC = credit.true_dso_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.true_dso_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.true_dso(date, numeric, numeric, date) IS
'Days sales outstanding by age: one row per invoice with its amount and what is still open of it. Open invoices and sales may come in rows of their own, with NULL or 0 for the other.';

CREATE TYPE credit.capacity_measures AS (
	capacity numeric,
	total_amount numeric,
	n_months integer,
	first_month date,
	last_month date,
	n_payments bigint,
	n_outside bigint,
	n_future bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.capacity_measures IS
'What a customer has been able to pay a month.';
COMMENT ON COLUMN credit.capacity_measures.capacity IS 'Median of the monthly totals of payments; months without a payment count as 0, unless they are before the first payment of all.';
COMMENT ON COLUMN credit.capacity_measures.total_amount IS 'Sum of payments in these months.';
COMMENT ON COLUMN credit.capacity_measures.n_months IS 'Number of months: below 3 they say little.';
COMMENT ON COLUMN credit.capacity_measures.first_month IS 'First day of the first of these months.';
COMMENT ON COLUMN credit.capacity_measures.last_month IS 'First day of the last of them: the last month that is over on the as-of date.';
COMMENT ON COLUMN credit.capacity_measures.n_payments IS 'Number of payments in these months.';
COMMENT ON COLUMN credit.capacity_measures.n_outside IS 'Number of payments left out because they are older, or of the month that is not over.';
COMMENT ON COLUMN credit.capacity_measures.n_future IS 'Number of payments left out because they are dated after the as-of date.';
COMMENT ON COLUMN credit.capacity_measures.n_skipped IS 'Number of rows left out because the day or the amount is NULL or not finite.';

CREATE FUNCTION credit.capacity_accum(internal, paid_date date, amount numeric, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_capacity_accum';
COMMENT ON FUNCTION credit.capacity_accum(internal, date, numeric, date) IS 'Part of aggregate payment_capacity(): adds a row.';

CREATE FUNCTION credit.capacity_accum(internal, paid_date date, amount numeric, as_of date, months integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_capacity_accum_months';
COMMENT ON FUNCTION credit.capacity_accum(internal, date, numeric, date, integer) IS 'Part of aggregate payment_capacity(): adds a row.';

CREATE FUNCTION credit.capacity_final(internal) RETURNS credit.capacity_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_capacity_final';
COMMENT ON FUNCTION credit.capacity_final(internal) IS 'Part of aggregate payment_capacity(): the result.';

CREATE AGGREGATE credit.payment_capacity(paid_date date, amount numeric, as_of date) (
	SFUNC = credit.capacity_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.capacity_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_capacity(date, numeric, date) IS
'Sustained capacity to pay: median of the totals of the last 6 months that are over on the as-of date. A returned payment is a negative amount.';

CREATE AGGREGATE credit.payment_capacity(paid_date date, amount numeric, as_of date, months integer) (
	SFUNC = credit.capacity_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.capacity_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_capacity(date, numeric, date, integer) IS
'The same over another number of months, 1 to 120.';

CREATE TYPE credit.partial_measures AS (
	n_paid bigint,
	n_partial bigint,
	n_unpaid bigint,
	n_credits bigint,
	n_skipped bigint,
	partial_ratio float8,
	residue_amount numeric,
	invoiced_amount numeric,
	residue_ratio float8);
COMMENT ON TYPE credit.partial_measures IS
'How often invoices are first paid short.';
COMMENT ON COLUMN credit.partial_measures.n_paid IS 'Number of invoices with a payment.';
COMMENT ON COLUMN credit.partial_measures.n_partial IS 'Number of these whose first payment left more than the tolerance.';
COMMENT ON COLUMN credit.partial_measures.n_unpaid IS 'Number of invoices left out because they have no first payment, or one that is not positive.';
COMMENT ON COLUMN credit.partial_measures.n_credits IS 'Number of rows left out because the amount is 0 or negative.';
COMMENT ON COLUMN credit.partial_measures.n_skipped IS 'Number of rows left out because the amount or the tolerance is NULL, or something is not finite.';
COMMENT ON COLUMN credit.partial_measures.partial_ratio IS 'Share (0 to 1) of invoices that were first paid short, among those with a payment.';
COMMENT ON COLUMN credit.partial_measures.residue_amount IS 'What the first payments left of the invoices that were first paid short.';
COMMENT ON COLUMN credit.partial_measures.invoiced_amount IS 'Amount of these invoices.';
COMMENT ON COLUMN credit.partial_measures.residue_ratio IS 'Residue by amount.';

CREATE FUNCTION credit.partial_accum(internal, amount numeric, first_payment numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_partial_accum';
COMMENT ON FUNCTION credit.partial_accum(internal, numeric, numeric) IS 'Part of aggregate partial_payment(): adds a row.';

CREATE FUNCTION credit.partial_accum(internal, amount numeric, first_payment numeric, tolerance numeric) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_partial_accum_tolerance';
COMMENT ON FUNCTION credit.partial_accum(internal, numeric, numeric, numeric) IS 'Part of aggregate partial_payment(): adds a row.';

CREATE FUNCTION credit.partial_final(internal) RETURNS credit.partial_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_partial_final';
COMMENT ON FUNCTION credit.partial_final(internal) IS 'Part of aggregate partial_payment(): the result.';

CREATE AGGREGATE credit.partial_payment(amount numeric, first_payment numeric) (
	SFUNC = credit.partial_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.partial_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.partial_payment(numeric, numeric) IS
'Partial-payment ratio: one row per invoice with its amount and its first payment, discount within terms included. What the first payment leaves up to 1 % of the invoice, or up to 0.01, is nothing.';

CREATE AGGREGATE credit.partial_payment(amount numeric, first_payment numeric, tolerance numeric) (
	SFUNC = credit.partial_accum, STYPE = internal, SSPACE = 704,
	FINALFUNC = credit.partial_final,
	COMBINEFUNC = credit.indicator_combine,
	SERIALFUNC = credit.indicator_serialize, DESERIALFUNC = credit.indicator_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.partial_payment(numeric, numeric, numeric) IS
'The same with a tolerance for each invoice.';

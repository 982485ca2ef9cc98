/*
 * Subject adhoc: aging and payment behaviour of any query by one call, grouped
 * without GROUP BY.  src/adhoc.c, src/grouping.c.
 *
 * The query runs as the caller, read-only: no definer, and no search_path, which
 * would change what the caller's query means.
 */
CREATE FUNCTION credit.aging_report
	(query text, as_of date, credits text DEFAULT 'separate')
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000 ROWS 10000
AS 'MODULE_PATHNAME', 'credit_aging_report';
COMMENT ON FUNCTION credit.aging_report(text, date, text) IS
'Aging of each group of a query in one call, faster than GROUP BY. The query has the keys first, then open_amount and due_date; the call needs a column definition list: ... AS r(customer bigint, aging credit.aging_buckets).';

CREATE FUNCTION credit.aging_report
	(query text, as_of date, bounds integer[], credits text DEFAULT 'separate',
	 basis text DEFAULT 'due')
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000 ROWS 10000
AS 'MODULE_PATHNAME', 'credit_aging_report_bounds';
COMMENT ON FUNCTION credit.aging_report(text, date, integer[], text, text) IS
'The same with buckets of one''s own: ... AS r(customer bigint, aging credit.aging_array).';

CREATE FUNCTION credit.payment_report
	(query text, as_of date DEFAULT NULL, grace_days integer DEFAULT 0,
	 half_life integer DEFAULT 90)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL UNSAFE COST 100000 ROWS 10000
AS 'MODULE_PATHNAME', 'credit_payment_report';
COMMENT ON FUNCTION credit.payment_report(text, date, integer, integer) IS
'Payment profile of each group of a query in one call, faster than GROUP BY. The query has the keys first, then amount, invoice_date, due_date and paid_date; the call needs a column definition list: ... AS r(customer bigint, profile credit.payment_measures).';

/*
 * Subject currency: amounts in other currencies, for reports.
 */
CREATE FUNCTION credit.rate
	(from_currency text, to_currency text, as_of date DEFAULT credit.as_of(),
	 rate_type text DEFAULT NULL)
RETURNS numeric
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_rate';
COMMENT ON FUNCTION credit.rate(text, text, date, text) IS
'The exchange rate that counts on a day (default credit.as_of()): direct, inverse, or cross through setting currency, the last two to 20 decimals. NULL: there is none, or it is older than setting rate_age. rate_type NULL: setting rate_type. find_rate() says how it is found.';

CREATE FUNCTION credit.convert
	(amount numeric, from_currency text, to_currency text,
	 as_of date DEFAULT credit.as_of(), rate_type text DEFAULT NULL)
RETURNS numeric
LANGUAGE c STABLE PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'credit_convert';
COMMENT ON FUNCTION credit.convert(numeric, text, text, date, text) IS
'An amount in another currency at the rate of a day (default credit.as_of()), not rounded: add up first, then round_amount(). NULL: a rate is missing. Balances at the rate of the day they are shown for, sales and payments at that of their own day. Example: SELECT credit.round_amount(sum(credit.convert(amount, currency, ''USD'', document_date)), ''USD'').';

CREATE FUNCTION credit.exposure_by_currency_on(as_of date)
RETURNS TABLE (customer text, segment text, name text, currency text,
			   ordered numeric, delivered numeric, invoiced numeric,
			   unapplied numeric, total numeric, account_currency text,
			   rate numeric, rate_date date, rate_path text, converted numeric)
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1000
BEGIN ATOMIC
SELECT a.customer, a.segment, a.name, b.currency, b.ordered, b.delivered, b.invoiced,
	   b.unapplied, b.total, l.currency, r.rate, r.rate_date, r.rate_path,
	   CASE WHEN b.currency = l.currency THEN b.total
			ELSE credit.round_amount(credit.convert_exposure(b.total, b.total, b.currency, l.currency,
															 exposure_by_currency_on.as_of), l.currency) END
  FROM (SELECT v.account_id, v.currency,
			   sum(COALESCE(v.stages[1], 0)) AS ordered,
			   sum(COALESCE(v.stages[2], 0)) AS delivered,
			   sum(COALESCE(v.stages[3], 0)) AS invoiced,
			   sum(COALESCE(v.stages[4], 0)) AS unapplied,
			   sum(COALESCE(v.stages[1], 0) + COALESCE(v.stages[2], 0) +
				   COALESCE(v.stages[3], 0) + COALESCE(v.stages[4], 0)) AS total
		  FROM credit.valuation_on(exposure_by_currency_on.as_of) v
		 GROUP BY v.account_id, v.currency) b
  JOIN credit.account a ON a.account_id = b.account_id
  JOIN credit.account_limit l ON l.account_id = b.account_id
 CROSS JOIN LATERAL credit.find_rate(b.currency, l.currency, exposure_by_currency_on.as_of) r;
END;
COMMENT ON FUNCTION credit.exposure_by_currency_on(date) IS
'Exposure of every account on a day by currency of the documents, and what it comes to in the currency of the account at the rates of that day; from the documents dated up to that day, as they are known now.';

CREATE VIEW credit.exposure_by_currency AS
SELECT a.customer, a.segment, a.name, b.currency, b.ordered, b.delivered, b.invoiced,
	   b.unapplied, b.total, l.currency AS account_currency, r.rate, r.rate_date, r.rate_path,
	   CASE WHEN b.currency = l.currency THEN b.total
			ELSE credit.round_amount(credit.convert_exposure(b.total, b.total, b.currency, l.currency,
															 (SELECT credit.today())), l.currency) END AS converted
  FROM credit.account a
  JOIN credit.account_limit l ON l.account_id = a.account_id
 CROSS JOIN LATERAL credit.balance(a.account_id) b
 CROSS JOIN LATERAL credit.find_rate(b.currency, l.currency, (SELECT credit.today())) r
 WHERE credit.as_of() = credit.today()
UNION ALL
SELECT p.customer, p.segment, p.name, p.currency, p.ordered, p.delivered, p.invoiced,
	   p.unapplied, p.total, p.account_currency, p.rate, p.rate_date, p.rate_path, p.converted
  FROM credit.exposure_by_currency_on(credit.as_of()) p
 WHERE credit.as_of() <> credit.today();
COMMENT ON VIEW credit.exposure_by_currency IS
'Exposure of every account by currency of the documents, in that currency and in the one of the account; an account has a row for each currency it ever had documents in. Today: from the journal. With credit.as_of on another day: from the dates of the documents as they are known now, at the rates of that day.';
COMMENT ON COLUMN credit.exposure_by_currency.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure_by_currency.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.exposure_by_currency.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure_by_currency.currency IS 'Currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.ordered IS 'Open orders, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.delivered IS 'Delivered, not invoiced, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.invoiced IS 'Open receivables, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.unapplied IS 'Cash received, negative, in the currency of the documents.';
COMMENT ON COLUMN credit.exposure_by_currency.total IS 'Exposure in the currency of the documents: ordered + delivered + invoiced + unapplied.';
COMMENT ON COLUMN credit.exposure_by_currency.account_currency IS 'Currency of the account and its limit.';
COMMENT ON COLUMN credit.exposure_by_currency.rate IS 'Units of account_currency for one unit of currency; NULL: there is no rate that counts.';
COMMENT ON COLUMN credit.exposure_by_currency.rate_date IS 'Day of the rate, also of one that is too old; NULL: none is needed or there is none.';
COMMENT ON COLUMN credit.exposure_by_currency.rate_path IS 'How the rate is found: same, direct, inverse, cross (through setting currency); or stale, missing.';
COMMENT ON COLUMN credit.exposure_by_currency.converted IS 'Total in the currency of the account as the order check takes it, rounded, with the add-on of setting rate_add_on. NULL: there is no rate that counts, and total is not 0.';

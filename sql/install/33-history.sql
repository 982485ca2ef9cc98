/*
 * Subject history: exposure as the ledger knew it at the end of each day.
 *
 * Counted back from today's balance, so that a purge of old rows of the
 * journal changes no figure of the days that are left.
 */
CREATE VIEW credit.exposure_history AS
SELECT a.customer, a.segment, a.name, h.currency, h.day,
	   h.ordered, h.delivered, h.invoiced, h.unapplied,
	   h.ordered + h.delivered + h.invoiced + h.unapplied AS total,
	   h.change, h.n_postings
  FROM credit.account a
 CROSS JOIN LATERAL
	   (SELECT c.currency, c.day, c.change, c.n_postings,
			   b.ordered - COALESCE(sum(c.ordered) OVER later, 0) AS ordered,
			   b.delivered - COALESCE(sum(c.delivered) OVER later, 0) AS delivered,
			   b.invoiced - COALESCE(sum(c.invoiced) OVER later, 0) AS invoiced,
			   b.unapplied - COALESCE(sum(c.unapplied) OVER later, 0) AS unapplied
		  FROM (SELECT j.currency, credit.day_of(j.posted_at) AS day, count(*) AS n_postings,
					   COALESCE(sum(j.delta[1]), 0) AS ordered, COALESCE(sum(j.delta[2]), 0) AS delivered,
					   COALESCE(sum(j.delta[3]), 0) AS invoiced, COALESCE(sum(j.delta[4]), 0) AS unapplied,
					   COALESCE(sum(j.delta[1]), 0) + COALESCE(sum(j.delta[2]), 0) +
					   COALESCE(sum(j.delta[3]), 0) + COALESCE(sum(j.delta[4]), 0) AS change
				  FROM credit.journal j
				 WHERE j.account_id = a.account_id AND j.scope = 0
				 GROUP BY 1, 2) c
		  JOIN credit.balance(a.account_id) b ON b.currency = c.currency
		WINDOW later AS (PARTITION BY c.currency ORDER BY c.day DESC
						 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) h;
COMMENT ON VIEW credit.exposure_history IS
'Exposure of each account and currency at the end of each day on which something was posted, as the ledger knew it then. From the time since the attach, as far as the journal was not purged.';
COMMENT ON COLUMN credit.exposure_history.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.exposure_history.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.exposure_history.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.exposure_history.currency IS 'Currency of the amounts: that of the documents, not converted.';
COMMENT ON COLUMN credit.exposure_history.day IS 'Day in the zone of setting time_zone.';
COMMENT ON COLUMN credit.exposure_history.ordered IS 'Open orders at the end of the day.';
COMMENT ON COLUMN credit.exposure_history.delivered IS 'Delivered, not invoiced.';
COMMENT ON COLUMN credit.exposure_history.invoiced IS 'Open receivables.';
COMMENT ON COLUMN credit.exposure_history.unapplied IS 'Cash received, negative.';
COMMENT ON COLUMN credit.exposure_history.total IS 'Exposure at the end of the day: the sum of the four.';
COMMENT ON COLUMN credit.exposure_history.change IS 'What the day added to it.';
COMMENT ON COLUMN credit.exposure_history.n_postings IS 'Number of rows of the journal on the day.';

/*
 * Subject group: exposure weighted and net of what secures it, and of groups of
 * companies.  Reports only: the order check looks at the customer itself.
 */
CREATE FUNCTION credit.weighted_exposure
	(ordered numeric, delivered numeric, invoiced numeric, unapplied numeric DEFAULT 0,
	 order_weight numeric DEFAULT 1, delivery_weight numeric DEFAULT 1, invoice_weight numeric DEFAULT 1)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN order_weight BETWEEN 0 AND 1 AND delivery_weight BETWEEN 0 AND 1 AND invoice_weight BETWEEN 0 AND 1
			THEN ordered * order_weight + delivered * delivery_weight + invoiced * invoice_weight + unapplied END;
COMMENT ON FUNCTION credit.weighted_exposure(numeric, numeric, numeric, numeric, numeric, numeric, numeric) IS
'Exposure with a weight from 0 to 1 for each stage; what is unapplied counts whole. NULL: an argument is NULL or a weight is outside 0 to 1. Example: SELECT customer, credit.weighted_exposure(ordered, delivered, invoiced, unapplied, order_weight => 0.5) FROM credit.exposure.';

CREATE FUNCTION credit.net_exposure
	(exposure numeric, collateral numeric DEFAULT 0, haircut numeric DEFAULT 0,
	 insured_limit numeric DEFAULT 0, insured_share numeric DEFAULT 0)
RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN exposure IS NOT NULL AND collateral >= 0 AND haircut BETWEEN 0 AND 1 AND insured_limit >= 0 AND insured_share BETWEEN 0 AND 1
			THEN greatest(exposure - collateral * (1 - haircut), 0)
				 - least(greatest(exposure - collateral * (1 - haircut), 0), insured_limit) * insured_share END;
COMMENT ON FUNCTION credit.net_exposure(numeric, numeric, numeric, numeric, numeric) IS
'What is left of an exposure after collateral and guarantees (value less haircut, a ratio), then credit insurance (a share, as a ratio, of what is left up to the insured limit); never below 0. The caller passes only what is valid on the day. exposure - net_exposure(...) is secured. NULL: an argument is NULL, or below 0 or a ratio outside 0 to 1 (exposure may be negative). Example: SELECT credit.net_exposure(167000, 50000, 0, 100000, 0.9).';

CREATE VIEW credit.group_exposure AS
WITH RECURSIVE account AS
	(SELECT a.account_id, up.account_id AS parent_id, e.customer, e.segment, e.name, a.parent, e.currency,
			e.total, e.limit_state, e.credit_limit
	   FROM credit.exposure e
	   JOIN credit.account a ON a.customer = e.customer AND a.segment = e.segment
	   LEFT JOIN credit.account up ON up.customer = a.parent AND up.segment = a.segment),
/* each account with itself and all above it; UNION ends where parents go round in a circle */
path AS
	(SELECT a.account_id, a.account_id AS node_id FROM account a
	 UNION
	 SELECT p.account_id, a.parent_id
	   FROM path p
	   JOIN account a ON a.account_id = p.node_id
	  WHERE a.parent_id IS NOT NULL),
/* joined by one column only: of two the planner would expect far too few rows */
member AS
	(SELECT p.node_id, count(*) - 1 AS n_members,
			CASE WHEN count(c.total) = count(*)
				 THEN CASE WHEN bool_or(m.currency <> n.currency) THEN credit.round_amount(sum(c.total), min(n.currency))
						   ELSE sum(c.total) END END AS group_total
	   FROM path p
	   JOIN account m ON m.account_id = p.account_id
	   JOIN account n ON n.account_id = p.node_id
	  CROSS JOIN LATERAL
			(SELECT CASE WHEN m.currency = n.currency THEN m.total
						 ELSE credit.convert_exposure(m.total, m.total, m.currency, n.currency, credit.as_of()) END AS total) c
	  GROUP BY p.node_id),
measured AS
	(SELECT n.*, g.n_members, g.group_total,
			CASE n.limit_state WHEN 'amount' THEN n.credit_limit - g.group_total WHEN 'blocked' THEN 0 END AS headroom
	   FROM account n
	   JOIN member g ON g.node_id = n.account_id),
way AS
	(SELECT n.account_id, n.customer, up.customer AS node,
			CASE WHEN up.limit_state = 'blocked' THEN 0
				 WHEN up.currency = n.currency THEN up.headroom
				 ELSE credit.round_amount(credit.convert(up.headroom, up.currency, n.currency), n.currency) END AS headroom
	   FROM path p
	   JOIN account n ON n.account_id = p.account_id
	   JOIN measured up ON up.account_id = p.node_id
	  WHERE up.limit_state IN ('amount', 'blocked')),
bound AS
	(SELECT w.account_id, min(w.headroom) AS group_headroom,
			(array_agg(w.node ORDER BY w.headroom, w.node <> w.customer, w.node COLLATE "C"))[1] AS bound_by
	   FROM way w
	  GROUP BY w.account_id
	 HAVING count(w.headroom) = count(*))
SELECT n.customer, n.segment, n.name, n.parent, n.currency, n.n_members, n.total, n.group_total,
	   n.limit_state, n.credit_limit, n.headroom, b.group_headroom, b.bound_by
  FROM measured n
  LEFT JOIN bound b ON b.account_id = n.account_id;
COMMENT ON VIEW credit.group_exposure IS
'Exposure of each account together with all accounts below it (mapped parent, of the same segment), against its limit, and the least headroom on the way up to the top. Follows credit.as_of for documents; parents and limits are the present ones. Accounts whose parents go round in a circle count as members of each other.';
COMMENT ON COLUMN credit.group_exposure.customer IS 'Key of the customer in the ERP.';
COMMENT ON COLUMN credit.group_exposure.segment IS 'Company, division or the like.';
COMMENT ON COLUMN credit.group_exposure.name IS 'Name of the customer.';
COMMENT ON COLUMN credit.group_exposure.parent IS 'Customer key of the account above; NULL: none.';
COMMENT ON COLUMN credit.group_exposure.currency IS 'Currency of the account; all amounts are in it.';
COMMENT ON COLUMN credit.group_exposure.n_members IS 'Number of accounts below it, at any depth.';
COMMENT ON COLUMN credit.group_exposure.total IS 'Its own exposure. NULL: a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.group_total IS 'Its own exposure and that of all accounts below it. NULL: a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.limit_state IS 'not_set, amount, unlimited or blocked.';
COMMENT ON COLUMN credit.group_exposure.credit_limit IS 'Limit in force; only with state amount. Here the limit of the group below it.';
COMMENT ON COLUMN credit.group_exposure.headroom IS 'Limit less group_total; may be negative. NULL: no amount is set, or a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.group_headroom IS 'Least headroom of the account and all above it that have an amount set: the largest order that every limit on the way up lets pass. NULL: none of them has, or a rate is missing.';
COMMENT ON COLUMN credit.group_exposure.bound_by IS 'Customer key of the account whose headroom that is.';

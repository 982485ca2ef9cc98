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
	(SELECT e.customer, e.segment, e.name, e.currency, e.total, e.limit_state, e.credit_limit, a.parent
	   FROM credit.exposure e
	   JOIN credit.account a ON a.customer = e.customer AND a.segment = e.segment),
/* each account with itself and all above it; UNION ends where parents go round in a circle */
path AS
	(SELECT a.segment, a.customer, a.customer AS node FROM account a
	 UNION
	 SELECT p.segment, p.customer, up.customer
	   FROM path p
	   JOIN account a ON a.segment = p.segment AND a.customer = p.node
	   JOIN account up ON up.segment = a.segment AND up.customer = a.parent),
node AS
	(SELECT n.segment, n.customer, n.name, n.currency, n.total, n.limit_state, n.credit_limit, n.parent,
			count(*) - 1 AS n_members,
			CASE WHEN count(c.total) = count(*)
				 THEN CASE WHEN bool_or(m.currency <> n.currency) THEN credit.round_amount(sum(c.total), n.currency)
						   ELSE sum(c.total) END END AS group_total
	   FROM path p
	   JOIN account m ON m.segment = p.segment AND m.customer = p.customer
	   JOIN account n ON n.segment = p.segment AND n.customer = p.node
	  CROSS JOIN LATERAL
			(SELECT credit.convert_exposure(m.total, m.total, m.currency, n.currency, credit.as_of()) AS total) c
	  GROUP BY n.segment, n.customer, n.name, n.currency, n.total, n.limit_state, n.credit_limit, n.parent),
measured AS
	(SELECT n.*,
			CASE n.limit_state WHEN 'amount' THEN n.credit_limit - n.group_total WHEN 'blocked' THEN 0 END AS headroom
	   FROM node n)
SELECT n.customer, n.segment, n.name, n.parent, n.currency, n.n_members, n.total, n.group_total,
	   n.limit_state, n.credit_limit, n.headroom, g.group_headroom, g.bound_by
  FROM measured n
 CROSS JOIN LATERAL
	   (SELECT CASE WHEN count(h.headroom) = count(*) THEN min(h.headroom) END AS group_headroom,
			   CASE WHEN count(h.headroom) = count(*)
					THEN (array_agg(h.node ORDER BY h.headroom, h.node <> n.customer, h.node COLLATE "C"))[1] END AS bound_by
		  FROM (SELECT up.customer AS node,
					   CASE WHEN up.limit_state = 'blocked' THEN 0
							WHEN up.currency = n.currency THEN up.headroom
							ELSE credit.round_amount(credit.convert(up.headroom, up.currency, n.currency), n.currency) END AS headroom
				  FROM path p
				  JOIN measured up ON up.segment = p.segment AND up.customer = p.node
				 WHERE p.segment = n.segment AND p.customer = n.customer
				   AND up.limit_state IN ('amount', 'blocked')) h) g;
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

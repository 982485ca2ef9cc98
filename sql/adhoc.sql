--
-- adhoc: reports over any query by one call, aging_report() and payment_report()
--
\set SHOW_CONTEXT never
SET datestyle = 'ISO, YMD';
CREATE EXTENSION credit;
CREATE SCHEMA erp;
CREATE TABLE erp.open_items (customer int, currency text, open_amount numeric(12,2), invoice_date date, due_date date, paid_date date);
INSERT INTO erp.open_items VALUES
	(1, 'EUR', 200, '2025-05-31', '2025-06-30', NULL), (1, 'EUR', 300, '2025-04-06', '2025-05-06', NULL), (1, 'EUR', 500, '2025-02-10', '2025-03-12', NULL),
	(1, 'EUR', -250, '2025-06-01', '2025-06-01', NULL), (1, 'USD', 40, '2025-05-01', '2025-05-31', NULL),
	(2, 'EUR', 70, '2025-01-01', '2025-01-31', '2025-02-05'), (2, 'EUR', 80, '2025-02-01', '2025-03-03', '2025-03-01'), (NULL, NULL, 5, '2025-06-01', NULL, NULL);

SELECT customer, currency, (aging).*
  FROM credit.aging_report('SELECT customer, currency, open_amount, due_date FROM erp.open_items WHERE paid_date IS NULL', '2025-06-15')
	   AS r(customer int, currency text, aging credit.aging_buckets)
 ORDER BY customer, currency;
-- credits pay the oldest first; buckets of one's own; no key: all of it
SELECT customer, (aging).d31_60, (aging).d91_120, (aging).credits, (aging).total
  FROM credit.aging_report('SELECT customer, open_amount, due_date FROM erp.open_items WHERE currency = ''EUR'' AND paid_date IS NULL', '2025-06-15', 'oldest')
	   AS r(customer int, aging credit.aging_buckets);
SELECT (aging).*
  FROM credit.aging_report('SELECT open_amount, due_date FROM erp.open_items WHERE paid_date IS NULL', '2025-06-15', ARRAY[0, 45], 'own')
	   AS r(aging credit.aging_array);
SELECT customer, (profile).n_paid, (profile).n_open, (profile).n_overdue, (profile).n_credits, (profile).n_skipped, (profile).mean_days_late, (profile).on_time_rate
  FROM credit.payment_report('SELECT customer, open_amount, invoice_date, due_date, paid_date FROM erp.open_items WHERE currency = ''EUR'' OR currency IS NULL', '2025-06-15')
	   AS r(customer int, profile credit.payment_measures)
 ORDER BY customer;

-- what is wrong is said with what is needed
SELECT * FROM credit.aging_report('SELECT customer, open_amount FROM erp.open_items', '2025-06-15') AS r(customer int, aging credit.aging_buckets);
SELECT * FROM credit.aging_report('SELECT customer, due_date, open_amount FROM erp.open_items', '2025-06-15') AS r(customer int, aging credit.aging_buckets);
SELECT * FROM credit.aging_report('SELECT customer, open_amount, due_date FROM erp.open_items', '2025-06-15') AS r(customer text, aging credit.aging_buckets);
SELECT * FROM credit.aging_report('SELECT customer, open_amount, due_date FROM erp.open_items', '2025-06-15') AS r(customer int, total numeric);
SELECT * FROM credit.aging_report('SELECT point(1, 2), open_amount, due_date FROM erp.open_items', '2025-06-15') AS r(place point, aging credit.aging_buckets);
SELECT * FROM credit.aging_report('SELECT 1; SELECT 2', '2025-06-15') AS r(aging credit.aging_buckets);
SELECT * FROM credit.aging_report('DELETE FROM erp.open_items RETURNING open_amount, due_date', '2025-06-15') AS r(aging credit.aging_buckets);
SET client_min_messages = warning;
DROP SCHEMA erp CASCADE;
DROP EXTENSION credit CASCADE;

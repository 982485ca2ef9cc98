--- 3. Tell credit where things stand

-- Mapping means saying which column is what. dry_run shows beforehand what attach
-- would do to a table that is in use, and does nothing.

SELECT credit.attach('erp.customers', 'customer',
    key => 'customer_number', name => 'customer_name',
    credit_limit => 'credit_limit', terms_days => 'payment_terms_days', dry_run => true);

SELECT credit.attach('erp.customers', 'customer',
    key => 'customer_number', name => 'customer_name',
    credit_limit => 'credit_limit', terms_days => 'payment_terms_days');

-- Which orders count is the business's to say: here all but drafts and cancelled
-- ones. An order that would exceed the limit is to be refused.

SELECT credit.attach('erp.orders', 'order',
    key => 'order_number', customer => 'customer_number', amount => 'total',
    document_date => 'order_date', due_date => 'required_date',
    counts_when => $$status NOT IN ('draft', 'cancelled')$$,
    on_breach => 'reject');

-- Payments bring the exposure down again. They are counted and never refused.

SELECT credit.attach('erp.payments', 'payment',
    key => 'id', customer => 'customer_number', amount => 'amount',
    document_date => 'paid_on', applies_to => 'invoice_id');

-- Nothing but triggers has come to the ERP's tables, and two years of documents
-- are in the ledger:

SELECT name, kind, on_breach, health FROM credit.sources;

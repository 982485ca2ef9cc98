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

-- What becomes of an order stands in tables of its own. Deliveries and invoices say
-- which order they come from, so nothing counts twice.

SELECT credit.attach('erp.deliveries', 'delivery',
    key => 'delivery_number', customer => 'customer_number', amount => 'value',
    document_date => 'delivered_on', origin => 'order_number');

SELECT credit.attach('erp.invoices', 'invoice',
    key => 'invoice_id', customer => 'customer_number', amount => 'gross',
    document_date => 'invoice_date', due_date => 'due_date', origin => 'order_number');

-- Payments bring the exposure down again. Which invoices a payment pays is known
-- later, and stands in a third table: it joins two documents.

SELECT credit.attach('erp.payments', 'payment',
    key => 'id', customer => 'customer_number', amount => 'amount',
    document_date => 'paid_on');

SELECT credit.attach('erp.payment_applications', 'application',
    key => '(payment_id, invoice_id)', payment => 'payment_id', applies_to => 'invoice_id',
    amount => 'amount', document_date => 'applied_on');

-- Nothing but triggers has come to the ERP's tables, and two years of documents
-- are in the ledger:

SELECT name, kind, on_breach, health FROM credit.sources;

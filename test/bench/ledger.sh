#!/usr/bin/env bash
#
# What the views over the ledger cost, against what a user would write over
# his own tables: invoices and payments that name them, the twelve months of
# payments, the open ones of today.
#
#     sql        plain SQL over invoices and payments, grouped by customer
#     residual   the same where the ERP keeps what is open and when it was paid
#                on the invoice itself, so that nothing has to be joined
#     view       the view
#     function   the function behind it, with today as the day
#     view+1     the view after a day of business that was not folded yet: one
#     function+1 invoice and one payment in 900, most of them of customers who
#                have many
#
# "one customer" asks for a customer with a hundred invoices, by indexes.
#
# Cost is processor time of one backend: no JIT, no parallel workers, the
# smallest of several rounds. Results are computed and thrown away.
#
# BENCH_ROWS (500000) invoices in 30 months, of a hundredth as many customers,
# few of whom have many (zipf), with as many payments; BENCH_ROUNDS (2). At
# 10000000 it wants 15 GB of disk and half an hour.

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"

ROWS=${BENCH_ROWS:-500000}
CUSTOMERS=$((ROWS / 100))
ROUNDS=${BENCH_ROUNDS:-2}
export SESSION_PATIENCE=3600

make_erp() {
	cluster_psql bench -c 'CREATE DATABASE ledger'
	cluster_psql bench -d ledger >/dev/null <<-SQL
		SELECT setseed(0.5);
		CREATE TABLE customers AS
		SELECT g AS id, 'Customer ' || g AS name, (ARRAY['north', 'south', 'east'])[1 + g % 3] AS company,
			   1e9::numeric AS credit_limit
		  FROM generate_series(1, $CUSTOMERS) g;
		ALTER TABLE customers ADD PRIMARY KEY (id);
		CREATE TABLE invoices AS
		SELECT q.id, q.customer, (ARRAY['north', 'south', 'east'])[1 + q.customer % 3] AS company,
			   q.day AS invoice_date, q.day + 30 AS due_date, q.amount,
			   CASE WHEN q.is_open THEN q.amount ELSE 0 END AS open_amount, CASE WHEN NOT q.is_open THEN q.paid_on END AS paid_on
		  FROM (SELECT r.*, r.bad OR r.paid_on > current_date AS is_open
				  FROM (SELECT g AS id, c.customer, a.day, a.amount, a.bad,
							   a.day + 20 + (a.a * 20 - 8 * ln(1 - a.b))::int AS paid_on
						  FROM generate_series(1, $ROWS) g,
							   LATERAL (SELECT floor(exp(random() * ln($CUSTOMERS)) + 0 * g)::int AS customer) c,
							   LATERAL (SELECT (1 + random() * 9999 + 0 * g)::numeric(12,2) AS amount,
											   current_date - (random() * 900)::int AS day,
											   random() < 0.005 AS bad, random() AS a, random() AS b) a) r) q;
		ALTER TABLE invoices ADD PRIMARY KEY (id);
		CREATE INDEX ON invoices (customer);
		CREATE TABLE payments AS
		SELECT i.id, i.customer, i.company, i.id AS invoice, i.amount, i.paid_on FROM invoices i WHERE i.paid_on IS NOT NULL;
		ALTER TABLE payments ADD PRIMARY KEY (id);
		CREATE INDEX ON payments (invoice);
		VACUUM (ANALYZE, FREEZE);
	SQL
}

attach() {
	cluster_psql bench -d ledger >/dev/null <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION credit;
		SELECT credit.set('currency', 'EUR');
		SELECT credit.attach('customers', 'customer', key => 'id', name => 'name', segment => 'company', credit_limit => 'credit_limit');
		SELECT credit.attach('invoices', 'invoice', key => 'id', customer => 'customer', segment => 'company', amount => 'amount',
			document_date => 'invoice_date', due_date => 'due_date');
		SELECT credit.attach('payments', 'payment', key => 'id', customer => 'customer', segment => 'company', amount => 'amount',
			document_date => 'paid_on', applies_to => 'invoice');
		ANALYZE;
		SELECT credit.fold_months();
		VACUUM ANALYZE;
	SQL
}

# A day on which one invoice in 900 is written and one in 900 is paid.
business() {
	cluster_psql bench -d ledger >/dev/null <<-SQL
		INSERT INTO invoices SELECT $ROWS + g, i.customer, i.company, current_date, current_date + 30, i.amount, i.amount, NULL
		  FROM generate_series(1, $ROWS / 900) g JOIN invoices i ON i.id = g * 7;
		WITH paid AS
			(UPDATE invoices i SET open_amount = 0, paid_on = current_date
			  WHERE i.id IN (SELECT o.id FROM invoices o WHERE o.open_amount > 0 AND o.id <= $ROWS ORDER BY o.id LIMIT $ROWS / 900)
			  RETURNING i.*)
		INSERT INTO payments SELECT p.id, p.customer, p.company, p.id, p.amount, current_date FROM paid p;
		ANALYZE invoices;
	SQL
}

# What is open of each invoice and when it was paid, on a day.
invoices_on() {
	echo "(SELECT i.*, i.amount - COALESCE(p.paid, 0) AS rest, CASE WHEN p.paid >= i.amount THEN p.last END AS settled
		FROM (SELECT id, customer, company, invoice_date, due_date, amount FROM invoices WHERE invoice_date <= $1) i
		LEFT JOIN (SELECT invoice, sum(amount) AS paid, max(paid_on) AS last FROM payments WHERE paid_on <= $1 GROUP BY invoice) p
			ON p.invoice = i.id) q"
}

residual_on() {
	echo "(SELECT i.*, CASE WHEN paid_on <= $1 THEN 0 ELSE amount END AS rest, CASE WHEN paid_on <= $1 THEN paid_on END AS settled
		FROM invoices i WHERE invoice_date <= $1) q"
}

# today's, where the ERP keeps it
residual_now() {
	echo "(SELECT i.*, open_amount AS rest, paid_on AS settled FROM invoices i) q"
}

aging_of() {
	local age="$1 - due_date"
	echo "count(*), sum(rest), sum(rest) FILTER (WHERE $age <= 0), sum(rest) FILTER (WHERE $age BETWEEN 1 AND 30),
		sum(rest) FILTER (WHERE $age BETWEEN 31 AND 60), sum(rest) FILTER (WHERE $age BETWEEN 61 AND 90),
		sum(rest) FILTER (WHERE $age BETWEEN 91 AND 120), sum(rest) FILTER (WHERE $age > 120), max($age)"
}

behaviour_of() {
	local paid="FILTER (WHERE settled > current_date - 365)" late='(settled - due_date)'
	echo "count(*) $paid, count(*) FILTER (WHERE rest > 0), count(*) FILTER (WHERE rest > 0 AND due_date < current_date),
		sum(amount) $paid, sum(rest), sum(rest) FILTER (WHERE due_date < current_date),
		avg(($late <= 0)::int) $paid, avg($late) $paid, sum(amount * $late) $paid / sum(amount) $paid,
		percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY $late) $paid, max($late) $paid,
		avg(settled - invoice_date) $paid, stddev_samp($late) $paid,
		regr_slope($late, settled - date '2000-01-01') $paid, min(invoice_date), max(settled)"
}

BEHAVIOUR='WHERE (settled > current_date - 365 OR rest > 0)'
TREND="customer, date_trunc('month', settled), count(*), sum(amount), avg((settled <= due_date)::int), avg(settled - due_date),
	sum(amount * (settled - due_date)) / sum(amount), percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY settled - due_date)"
TREND_FROM="WHERE settled >= date_trunc('month', current_date) - interval '23 months' GROUP BY 1, 2"

# Sales, receivables and what of them is overdue of twelve month ends, payments of the months
indicators() {
	echo "m.month, q.company, sum(amount) FILTER (WHERE invoice_date >= m.month),
		sum(amount) FILTER (WHERE settled IS NULL OR settled > m.last), sum(amount) FILTER (WHERE (settled IS NULL OR settled > m.last) AND due_date < m.last),
		sum(amount) FILTER (WHERE settled >= m.month AND settled <= m.last),
		sum(amount * (settled - due_date)) FILTER (WHERE settled >= m.month AND settled <= m.last)
		FROM (SELECT g::date AS month, LEAST((g + interval '1 month')::date - 1, current_date) AS last
				FROM generate_series(date_trunc('month', current_date) - interval '11 months', current_date, '1 month') g) m
		JOIN $1 ON q.invoice_date <= m.last AND (settled IS NULL OR settled >= m.month) GROUP BY 1, 2"
}

# query WHAT VARIANT: from SELECT on; nothing where there is no such variant
query() {
	local past="(current_date - 60)" one=$((CUSTOMERS / 14))
	case $1/$2 in
		aging/sql) echo "customer, $(aging_of current_date) FROM $(invoices_on current_date) WHERE rest <> 0 GROUP BY 1" ;;
		aging/residual) echo "customer, $(aging_of current_date) FROM $(residual_now) WHERE rest <> 0 GROUP BY 1" ;;
		aging/view*) echo "* FROM credit.customer_aging" ;;
		aging/function*) echo "* FROM credit.customer_aging_on(current_date)" ;;
		portfolio/sql) echo "company, $(aging_of current_date) FROM $(invoices_on current_date) WHERE rest <> 0 GROUP BY 1" ;;
		portfolio/residual) echo "company, $(aging_of current_date) FROM $(residual_now) WHERE rest <> 0 GROUP BY 1" ;;
		portfolio/view*) echo "* FROM credit.portfolio_aging" ;;
		portfolio/function*) echo "* FROM credit.portfolio_aging_on(current_date)" ;;
		past/sql) echo "customer, $(aging_of "$past") FROM $(invoices_on "$past") WHERE rest <> 0 GROUP BY 1" ;;
		past/residual) echo "customer, $(aging_of "$past") FROM $(residual_on "$past") WHERE rest <> 0 GROUP BY 1" ;;
		past/function*) echo "* FROM credit.customer_aging_on($past)" ;;
		behaviour/sql) echo "customer, $(behaviour_of) FROM $(invoices_on current_date) $BEHAVIOUR GROUP BY 1" ;;
		behaviour/residual) echo "customer, $(behaviour_of) FROM $(residual_now) $BEHAVIOUR GROUP BY 1" ;;
		behaviour/view*) echo "* FROM credit.payment_behaviour" ;;
		behaviour/function*) echo "* FROM credit.payment_behaviour_on(current_date)" ;;
		trend/sql) echo "$TREND FROM $(invoices_on current_date) $TREND_FROM" ;;
		trend/residual) echo "$TREND FROM $(residual_now) $TREND_FROM" ;;
		trend/view*) echo "* FROM credit.payment_trend" ;;
		trend/function*) echo "* FROM credit.payment_trend_on(current_date)" ;;
		indicators/sql) indicators "$(invoices_on current_date)" ;;
		indicators/residual) indicators "$(residual_now)" ;;
		indicators/view*) echo "* FROM credit.receivable_indicators" ;;
		exposure/sql) echo "c.id, c.credit_limit, sum(q.rest) FROM customers c LEFT JOIN $(invoices_on current_date) ON q.customer = c.id AND q.rest <> 0 GROUP BY 1" ;;
		exposure/residual) echo "c.id, c.credit_limit, sum(q.rest) FROM customers c LEFT JOIN $(residual_now) ON q.customer = c.id AND q.rest <> 0 GROUP BY 1" ;;
		exposure/view*) echo "* FROM credit.exposure" ;;
		one_aging/sql) echo "customer, $(aging_of current_date) FROM (SELECT i.*, amount - COALESCE((SELECT sum(p.amount) FROM payments p WHERE p.invoice = i.id), 0) AS rest FROM invoices i WHERE customer = $one) q WHERE rest <> 0 GROUP BY 1" ;;
		one_aging/residual) echo "customer, $(aging_of current_date) FROM $(residual_now) WHERE customer = $one AND rest <> 0 GROUP BY 1" ;;
		one_aging/view*) echo "* FROM credit.customer_aging WHERE customer = '$one'" ;;
		one_behaviour/sql) echo "customer, $(behaviour_of) FROM (SELECT i.*, amount - COALESCE(paid, 0) AS rest, CASE WHEN paid >= amount THEN last END AS settled FROM invoices i CROSS JOIN LATERAL (SELECT sum(p.amount) AS paid, max(p.paid_on) AS last FROM payments p WHERE p.invoice = i.id) p WHERE customer = $one) q $BEHAVIOUR GROUP BY 1" ;;
		one_behaviour/residual) echo "customer, $(behaviour_of) FROM $(residual_now) $BEHAVIOUR AND customer = $one GROUP BY 1" ;;
		one_behaviour/view*) echo "* FROM credit.payment_behaviour WHERE customer = '$one'" ;;
	esac
}

# ledger_cpu VARIANT WHAT: nothing where the variant has no such query
ledger_cpu() {
	local sql
	sql=$(query "$2" "$1")
	[ -z "$sql" ] || rows_cpu ledger "SELECT $sql"
}

SUBJECTS=(aging portfolio past behaviour trend indicators exposure one_aging one_behaviour)

make_erp
attach
quiet_session ledger bench ledger 256MB
session_run ledger 'SELECT sum(amount) FROM invoices'
VARIANTS=(sql residual view function)
for subject in "${SUBJECTS[@]}"; do
	measure "$subject" ledger_cpu "$subject"
done
business
VARIANTS=(view+1 function+1)
for subject in "${SUBJECTS[@]}"; do
	measure "$subject" ledger_cpu "$subject"
done

echo "$ROWS invoices and as many payments, $CUSTOMERS customers"
table_head sql residual view function view+1 function+1
table_row aging 'aging, customers' ns
table_row portfolio 'aging, portfolio' ns
table_row past 'aging, 60 days ago' ns
table_row behaviour 'payment behaviour' ns
table_row trend 'payment trend, 24 months' ns
table_row indicators 'receivable indicators, 12 months' ns
table_row exposure 'exposure' ns
table_row one_aging 'aging, one customer' ns
table_row one_behaviour 'payment behaviour, one customer' ns
session_end ledger

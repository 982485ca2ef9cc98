#!/usr/bin/env bash
#
# What it costs to look at everything known of each customer, and to rate all
# of them: 100,000 customers, 1.3 million documents.
#
#     scan       sums over the ERP's three tables, which everybody has to read
#     sql        twenty of the features by hand over these tables, which say
#                when an invoice was paid: what one would write without us
#     today      features(): all of them, from the ledger
#     past       features(day) of a past day
#     values     feature_values(): the same as JSON
#     rate_all   with scores, reasons and 100,000 ratings written
#     account    features(day, account) of a past day
#     score      score(customer) of one customer, today
#
# Processor time of one backend without parallel workers, as a ratio to the
# first column; a cursor that is moved to its end computes all rows and sends
# none.
#
# BENCH_CUSTOMERS (100000) and BENCH_ROUNDS (2) change the size.

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"

CUSTOMERS=${BENCH_CUSTOMERS:-100000}
ROUNDS=${BENCH_ROUNDS:-2}
export SESSION_PATIENCE=900

make_ledger() {
	cluster_psql bench -c 'CREATE DATABASE feature'
	cluster_psql bench -d feature >/dev/null <<-SQL
		SET client_min_messages = warning;
		SELECT setseed(0.5);
		CREATE TABLE customer (id int PRIMARY KEY, name text, credit_limit numeric);
		CREATE TABLE invoice (id int PRIMARY KEY, customer int, amount numeric(12,2), invoiced date, due date, paid date);
		CREATE TABLE payment (id int PRIMARY KEY, customer int, invoice int, amount numeric(12,2), paid date);
		CREATE TABLE orders (id int PRIMARY KEY, customer int, amount numeric(12,2), ordered date);
		INSERT INTO customer SELECT g, 'Customer ' || g, 5000 FROM generate_series(1, $CUSTOMERS) g;
		INSERT INTO invoice
		SELECT g, 1 + (random() * ($CUSTOMERS - 1))::int, round((10 + random() * 990)::numeric, 2), d, d + 30,
			   CASE WHEN random() < 0.92 THEN d + 15 + (random() * 40)::int END
		  FROM (SELECT g, current_date - (random() * 700)::int AS d FROM generate_series(1, 6 * $CUSTOMERS) g OFFSET 0) x;
		UPDATE invoice SET paid = NULL WHERE paid > current_date;
		INSERT INTO payment SELECT id, customer, id, amount, paid FROM invoice WHERE paid IS NOT NULL;
		INSERT INTO orders
		SELECT g, 1 + (random() * ($CUSTOMERS - 1))::int, round((10 + random() * 990)::numeric, 2), current_date - (random() * 700)::int
		  FROM generate_series(1, $CUSTOMERS) g;
		CREATE EXTENSION credit;
		SELECT credit.set('currency', 'EUR'), credit.set('time_zone', 'UTC');
		SELECT credit.attach('customer', 'customer', key => 'id', name => 'name', credit_limit => 'credit_limit'),
			   credit.attach('invoice', 'invoice', key => 'id', customer => 'customer', amount => 'amount', document_date => 'invoiced', due_date => 'due'),
			   credit.attach('payment', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'paid', applies_to => 'invoice'),
			   credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'amount', document_date => 'ordered', on_breach => 'off');
		SELECT credit.add_standard_model();
		VACUUM (ANALYZE);
	SQL
}

# The ERP's invoices say themselves when they were paid, and each is paid at
# once: much that features() has to find out is given here.
by_hand() {
	cat <<-'SQL'
		SELECT c.id, i.*, o.*, COALESCE(i.open_amount, 0) + COALESCE(o.order_amount, 0) AS exposure,
			   (COALESCE(i.open_amount, 0) + COALESCE(o.order_amount, 0)) / NULLIF(c.credit_limit, 0) AS utilisation
		  FROM customer c
		  LEFT JOIN (SELECT customer, count(paid) FILTER (WHERE recent) AS n_paid, count(*) FILTER (WHERE paid IS NULL) AS n_open,
							sum(amount) FILTER (WHERE paid IS NULL) AS open_amount,
							sum(amount) FILTER (WHERE paid IS NULL AND due < current_date) AS overdue_amount,
							sum(amount) FILTER (WHERE paid IS NULL AND due < current_date - 90) AS over_90_amount,
							max(current_date - due) FILTER (WHERE paid IS NULL) AS oldest_days_overdue,
							count(*) FILTER (WHERE recent AND paid <= due)::float8 / NULLIF(count(*) FILTER (WHERE recent OR paid IS NULL AND due < current_date), 0) AS on_time_rate,
							avg(paid - due) FILTER (WHERE recent) AS mean_days_late,
							sum(amount * (paid - due)) FILTER (WHERE recent) / NULLIF(sum(amount) FILTER (WHERE recent), 0) AS weighted_days_late,
							percentile_cont(0.5) WITHIN GROUP (ORDER BY paid - due) FILTER (WHERE recent) AS median_days_late,
							percentile_cont(0.9) WITHIN GROUP (ORDER BY paid - due) FILTER (WHERE recent) AS p90_days_late,
							max(paid - due) FILTER (WHERE recent) AS max_days_late, stddev_samp(paid - due) FILTER (WHERE recent) AS sd_days_late,
							regr_slope(paid - due, paid - date '2000-01-01') FILTER (WHERE recent) * 30 AS trend_slope,
							sum(amount * (paid - invoiced)) FILTER (WHERE recent) / NULLIF(sum(amount) FILTER (WHERE recent), 0) AS weighted_days_to_pay,
							current_date - max(paid) AS days_since_payment, current_date - min(invoiced) AS days_known
					   FROM (SELECT n.*, paid > current_date - 365 AS recent FROM invoice n) n GROUP BY customer) i ON i.customer = c.id
		  LEFT JOIN (SELECT customer AS orderer, count(*) FILTER (WHERE ordered > current_date - 365) AS n_orders, sum(amount) AS order_amount,
							max(ordered) AS last_order FROM orders GROUP BY customer) o ON o.orderer = c.id
	SQL
}

query_of() {
	case $1 in
		scan) echo 'SELECT (SELECT sum(amount) FROM invoice), (SELECT sum(amount) FROM payment), (SELECT sum(amount) FROM orders)' ;;
		sql) by_hand ;;
		today) echo 'SELECT * FROM credit.features()' ;;
		past) echo 'SELECT * FROM credit.features(current_date - 200)' ;;
		values) echo 'SELECT * FROM credit.feature_values()' ;;
		rate_all) echo 'SELECT * FROM credit.rate_all()' ;;
		account) echo 'SELECT * FROM credit.features(current_date - 200, 4711 % (SELECT max(account_id) FROM credit.account))' ;;
		score) echo "SELECT * FROM credit.score('7')" ;;
	esac
}

feature_cpu() {
	if [ "$1" = rate_all ]; then
		session_cpu feature "$(query_of "$1")"
		return
	fi
	rows_cpu feature "$(query_of "$1")"
}

VARIANTS=(scan sql today past values rate_all account score)
make_ledger
quiet_session feature bench feature 256MB
measure feature feature_cpu
table_head "${VARIANTS[@]}"
table_row feature "$CUSTOMERS customers" ns
session_end feature
cluster_value bench 'DROP DATABASE feature WITH (FORCE)'

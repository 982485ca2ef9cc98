#!/usr/bin/env bash
#
# What stored states save: the payment profile of all customers, and the aging,
# from invoices and from states of them, against what a user would write.
#
#     sql      the usual measures over the invoices, without quantiles
#     profile  payment_profile() over the invoices
#     build    payment_state() over the invoices
#     months   payment_measures(merge(state)), a state per customer and month
#     read     payment_measures(state), a state per customer
#
# and for agings the same: six sums with FILTER, aging(), aging_state(), ...
#
# Cost is processor time of one backend: no JIT, no parallel workers, the
# smallest of several rounds, each of which runs all variants. Results are
# computed and thrown away.
#
# BENCH_ROWS (10000000) invoices of 100,000 customers, few of whom have many
# (zipf), in 30 months; BENCH_ROUNDS (3).

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"
# shellcheck source=test/lib/invoice.sh
. "$(dirname "$0")/../lib/invoice.sh"

ROWS=${BENCH_ROWS:-10000000}
ROUNDS=${BENCH_ROUNDS:-3}
VARIANTS=(sql profile build months read)
export SESSION_PATIENCE=900

make_states() {
	cluster_psql bench -d state <<-SQL
		SET work_mem = '1GB';
		CREATE UNLOGGED TABLE month AS
		SELECT customer, date_trunc('month', paid_date)::date AS month,
			   credit.payment_state(amount, invoice_date, due_date, paid_date) AS payments,
			   credit.aging_state(amount, due_date) AS aging
		  FROM invoice GROUP BY 1, 2;
		CREATE UNLOGGED TABLE customer AS
		SELECT customer, credit.merge(payments) AS payments, credit.merge(aging) AS aging
		  FROM month GROUP BY 1;
		VACUUM (ANALYZE, FREEZE) month, customer;
	SQL
}

# The usual measures in plain SQL.
plain_profile() {
	local late='(paid_date - due_date)'
	echo "count(paid_date), sum(amount), count(*) FILTER (WHERE $late <= 0)::float8 / count(paid_date),
		avg($late), sum(amount * $late) / sum(amount), max($late), avg(paid_date - invoice_date),
		stddev_samp($late), regr_slope($late, paid_date - date '2000-01-01'), min(invoice_date), max(paid_date)"
}

plain_aging() {
	local age="date '2026-06-30' - due_date"
	echo "sum(amount) FILTER (WHERE $age <= 0), sum(amount) FILTER (WHERE $age BETWEEN 1 AND 30),
		sum(amount) FILTER (WHERE $age BETWEEN 31 AND 60), sum(amount) FILTER (WHERE $age BETWEEN 61 AND 90),
		sum(amount) FILTER (WHERE $age BETWEEN 91 AND 120), sum(amount) FILTER (WHERE $age > 120)"
}

# state_query VARIANT WHAT
state_query() {
	case $2/$1 in
		payments/sql) echo "$(plain_profile) FROM invoice GROUP BY 1" ;;
		payments/profile) echo "credit.payment_profile(amount, invoice_date, due_date, paid_date) FROM invoice GROUP BY 1" ;;
		payments/build) echo "credit.payment_state(amount, invoice_date, due_date, paid_date) FROM invoice GROUP BY 1" ;;
		payments/months) echo "credit.payment_measures(credit.merge(payments)) FROM month GROUP BY 1" ;;
		payments/read) echo "credit.payment_measures(payments) FROM customer" ;;
		aging/sql) echo "$(plain_aging) FROM invoice GROUP BY 1" ;;
		aging/profile) echo "credit.aging(amount, due_date, '2026-06-30') FROM invoice GROUP BY 1" ;;
		aging/build) echo "credit.aging_state(amount, due_date) FROM invoice GROUP BY 1" ;;
		aging/months) echo "credit.aging_buckets(credit.merge(aging), '2026-06-30') FROM month GROUP BY 1" ;;
		aging/read) echo "credit.aging_buckets(aging, '2026-06-30') FROM customer" ;;
	esac
}

# state_cpu VARIANT WHAT
state_cpu() {
	rows_cpu state "SELECT customer, $(state_query "$@")"
}

make_invoices state 100000 \
	'c.customer, a.day AS invoice_date, a.day + 30 AS due_date,
		a.day + 20 + (a.a * 20 - 8 * ln(1 - a.b))::int AS paid_date, a.amount' \
	"(1 + random() * 9999 + 0 * g)::numeric(12,2) AS amount,
		date '2024-01-01' + (random() * 900)::int AS day, random() AS a, random() AS b"
make_states
quiet_session state bench state 1GB
session_run state 'SELECT sum(amount) FROM invoice'
table_head "${VARIANTS[@]}"
measure payments state_cpu payments
table_row payments "profile of 100,000 customers, $ROWS invoices" ns
measure aging state_cpu aging
table_row aging '  aging of the same' ns
session_end state

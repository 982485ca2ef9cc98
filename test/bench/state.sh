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

ROWS=${BENCH_ROWS:-10000000}
ROUNDS=${BENCH_ROUNDS:-3}
VARIANTS=(sql profile build months read)
export SESSION_PATIENCE=900

make_invoices() {
	cluster_psql bench -c 'CREATE DATABASE state'
	cluster_psql bench -d state >/dev/null <<-SQL
		CREATE EXTENSION credit;
		SELECT setseed(0.5);
		CREATE UNLOGGED TABLE invoice AS
		SELECT c.customer, a.day AS invoice_date, a.day + 30 AS due_date,
			   a.day + 20 + (a.a * 20 - 8 * ln(1 - a.b))::int AS paid_date, a.amount
		  FROM generate_series(1, $ROWS) g,
			   LATERAL (SELECT floor(exp(random() * ln(100000)) + 0 * g)::bigint AS customer) c,
			   LATERAL (SELECT (1 + random() * 9999 + 0 * g)::numeric(12,2) AS amount,
							   date '2024-01-01' + (random() * 900)::int AS day,
							   random() AS a, random() AS b) a;
		VACUUM (ANALYZE, FREEZE) invoice;
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

# state_query WHAT VARIANT
state_query() {
	case $1/$2 in
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

# state_cpu WHAT VARIANT: a cursor that is moved to its end computes all rows
# and sends none.
state_cpu() {
	session_run state "BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT customer, $(state_query "$1" "$2")"
	session_cpu state 'MOVE ALL c'
	session_run state COMMIT
}

# measure_state WHAT: all variants in turn, so that what disturbs the machine
# for a while disturbs all alike
measure_state() {
	local round variant
	local -A seen=()
	for ((round = 0; round < ROUNDS; round++)); do
		for variant in "${VARIANTS[@]}"; do
			seen[$variant]+=" $(state_cpu "$1" "$variant")"
		done
	done
	for variant in "${VARIANTS[@]}"; do
		# shellcheck disable=SC2086 # several figures
		result "$1" "$variant" "$(smallest ${seen[$variant]})"
	done
}

make_invoices
session_start state bench -d state
session_run state "SET max_parallel_workers_per_gather = 0; SET jit = off;
	SET work_mem = '1GB'; SET cursor_tuple_fraction = 1; SELECT sum(amount) FROM invoice"
table_head "${VARIANTS[@]}"
measure_state payments
table_row payments "profile of 100,000 customers, $ROWS invoices" ns
measure_state aging
table_row aging '  aging of the same' ns
session_end state

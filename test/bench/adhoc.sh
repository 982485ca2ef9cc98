#!/usr/bin/env bash
#
# What aging_report() and payment_report() cost over a table of invoices, against
# the floor, count(*), sum(int8) and sum(numeric) with GROUP BY, and against the
# aggregates they stand for:
#
#     floor      count, sum of a bigint, sum of a numeric
#     aggregate  GROUP BY with aging() or payment_profile()
#     report     one call of aging_report() or payment_report()
#     small      the same with a work_mem of 4 MB
#
# Cost is processor time of one backend: no JIT, no parallel workers, the
# smallest of several rounds, each of which runs all variants. Results are
# computed and thrown away.
#
# BENCH_ROWS (10000000) invoices of 100,000 customers, few of whom have many
# (zipf); BENCH_ROUNDS (3).

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
VARIANTS=(floor aggregate report small)
export SESSION_PATIENCE=900

# query VARIANT WHAT KEY TYPE
query() {
	local values result call
	if [ "$2" = aging ]; then
		values='amount, due_date' result=aging_buckets
		call="credit.aging($values, '2026-06-30')"
	else
		values='amount, invoice_date, due_date, paid_date' result=payment_measures
		call="credit.payment_profile($values, '2026-06-30')"
	fi
	case $1 in
		floor) echo "SELECT ${3:+$3, }count(*), sum(cents), sum(amount) FROM invoice ${3:+GROUP BY $3}" ;;
		aggregate) echo "SELECT ${3:+$3, }$call FROM invoice ${3:+GROUP BY $3}" ;;
		*)
			echo "SELECT * FROM credit.$2_report('SELECT ${3:+$3, }$values FROM invoice', '2026-06-30')
				AS r(${3:+$3 $4, }result credit.$result)"
			;;
	esac
}

# adhoc_cpu VARIANT WHAT KEY TYPE
adhoc_cpu() {
	local memory=1GB
	[ "$1" != small ] || memory=4MB
	session_run adhoc "SET work_mem = '$memory'"
	rows_cpu adhoc "$(query "$@")"
}

make_paid_invoices adhoc
quiet_session adhoc bench adhoc 1GB
session_run adhoc 'SELECT sum(cents) FROM invoice'
table_head "${VARIANTS[@]}"
for what in aging payment; do
	measure "$what-whole" adhoc_cpu "$what" '' ''
	table_row "$what-whole" "$what of $ROWS invoices, whole table" ns
	measure "$what-bigint" adhoc_cpu "$what" customer bigint
	table_row "$what-bigint" '  per customer, key bigint' ns
	measure "$what-text" adhoc_cpu "$what" code text
	table_row "$what-text" '  per customer, key text' ns
done
session_end adhoc

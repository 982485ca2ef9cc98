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

ROWS=${BENCH_ROWS:-10000000}
ROUNDS=${BENCH_ROUNDS:-3}
VARIANTS=(floor aggregate report small)
export SESSION_PATIENCE=900

make_invoices() {
	cluster_psql bench -c 'CREATE DATABASE adhoc'
	cluster_psql bench -d adhoc >/dev/null <<-SQL
		CREATE EXTENSION credit;
		SELECT setseed(0.5);
		CREATE UNLOGGED TABLE invoice AS
		SELECT g::bigint AS id, c.customer, round(a.amount * 100)::bigint AS cents,
			   a.day AS invoice_date, a.day + 30 AS due_date,
			   CASE WHEN a.open > 0.05 THEN a.day + 20 + (a.a * 20 - 8 * ln(1 - a.b))::int END AS paid_date,
			   a.amount, 'C' || lpad(c.customer::text, 8, '0') AS code
		  FROM generate_series(1, $ROWS) g,
			   LATERAL (SELECT floor(exp(random() * ln(100000)) + 0 * g)::bigint AS customer) c,
			   LATERAL (SELECT (1 + random() * 9999 + 0 * g)::numeric(12,2) AS amount,
							   date '2024-01-01' + (random() * 900)::int AS day,
							   random() AS a, random() AS b, random() AS open) a;
		VACUUM (ANALYZE, FREEZE) invoice;
	SQL
}

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

# adhoc_cpu VARIANT WHAT KEY TYPE: a cursor that is moved to its end computes
# all rows and sends none.
adhoc_cpu() {
	local memory=1GB
	[ "$1" != small ] || memory=4MB
	session_run adhoc "BEGIN; SET LOCAL work_mem = '$memory'; DECLARE c NO SCROLL CURSOR FOR $(query "$@")"
	session_cpu adhoc 'MOVE ALL c'
	session_run adhoc COMMIT
}

# measure_adhoc ROW WHAT KEY TYPE: all variants in turn, so that what disturbs
# the machine for a while disturbs all alike
measure_adhoc() {
	local round variant
	local -A seen=()
	for ((round = 0; round < ROUNDS; round++)); do
		for variant in "${VARIANTS[@]}"; do
			seen[$variant]+=" $(adhoc_cpu "$variant" "$2" "$3" "$4")"
		done
	done
	for variant in "${VARIANTS[@]}"; do
		# shellcheck disable=SC2086 # several figures
		result "$1" "$variant" "$(smallest ${seen[$variant]})"
	done
}

make_invoices
session_start adhoc bench -d adhoc
session_run adhoc "SET max_parallel_workers_per_gather = 0; SET jit = off;
	SET cursor_tuple_fraction = 1; SELECT sum(cents) FROM invoice"
table_head "${VARIANTS[@]}"
for what in aging payment; do
	measure_adhoc "$what-whole" "$what" '' ''
	table_row "$what-whole" "$what of $ROWS invoices, whole table" ns
	measure_adhoc "$what-bigint" "$what" customer bigint
	table_row "$what-bigint" '  per customer, key bigint' ns
	measure_adhoc "$what-text" "$what" code text
	table_row "$what-text" '  per customer, key text' ns
done
session_end adhoc

#!/usr/bin/env bash
#
# What payment_profile costs over a table of invoices, against the floor,
# count(*), sum(int8) and sum(numeric) with the same GROUP BY, and against what
# a user would write without us:
#
#     floor    count, sum of a bigint, sum of a numeric
#     credit   payment_profile(amount, invoice_date, due_date, paid_date)
#     as_of    the same with an as-of date
#     sql      the usual measures, without quantiles
#     cont     the same with percentile_cont for median and p90
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
VARIANTS=(floor credit as_of sql cont)
export SESSION_PATIENCE=900

make_invoices() {
	cluster_psql bench -c 'CREATE DATABASE behaviour'
	cluster_psql bench -d behaviour >/dev/null <<-SQL
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

# The usual measures in plain SQL.
plain() {
	local late='(paid_date - due_date)'
	echo "count(paid_date), count(*) - count(paid_date), sum(amount) FILTER (WHERE paid_date IS NOT NULL),
		count(*) FILTER (WHERE $late <= 0)::float8 / NULLIF(count(paid_date), 0),
		avg($late), sum(amount * $late) / NULLIF(sum(amount) FILTER (WHERE paid_date IS NOT NULL), 0),
		max($late), avg(paid_date - invoice_date), stddev_samp($late),
		regr_slope($late, paid_date - date '2000-01-01'), min(invoice_date), max(paid_date)"
}

measured() {
	local late='(paid_date - due_date)'
	case $1 in
		floor) echo 'count(*), sum(cents), sum(amount)' ;;
		credit) echo 'credit.payment_profile(amount, invoice_date, due_date, paid_date)' ;;
		as_of) echo "credit.payment_profile(amount, invoice_date, due_date, paid_date, '2026-06-30')" ;;
		sql) plain ;;
		cont)
			echo "$(plain), percentile_cont(0.5) WITHIN GROUP (ORDER BY $late),
				percentile_cont(0.9) WITHIN GROUP (ORDER BY $late)"
			;;
	esac
}

# behaviour_cpu VARIANT KEY: a cursor that is moved to its end computes all
# rows and sends none.
behaviour_cpu() {
	local query
	query="SELECT ${2:+$2, }$(measured "$1") FROM invoice ${2:+GROUP BY $2}"
	session_run behaviour "BEGIN; DECLARE c NO SCROLL CURSOR FOR $query"
	session_cpu behaviour 'MOVE ALL c'
	session_run behaviour COMMIT
}

# measure_behaviour ROW KEY: all variants in turn, so that what disturbs the
# machine for a while disturbs all alike
measure_behaviour() {
	local round variant
	local -A seen=()
	for ((round = 0; round < ROUNDS; round++)); do
		for variant in "${VARIANTS[@]}"; do
			seen[$variant]+=" $(behaviour_cpu "$variant" "$2")"
		done
	done
	for variant in "${VARIANTS[@]}"; do
		# shellcheck disable=SC2086 # several figures
		result "$1" "$variant" "$(smallest ${seen[$variant]})"
	done
}

make_invoices
session_start behaviour bench -d behaviour
session_run behaviour "SET max_parallel_workers_per_gather = 0; SET jit = off;
	SET work_mem = '1GB'; SET cursor_tuple_fraction = 1; SELECT sum(cents) FROM invoice"
table_head "${VARIANTS[@]}"
measure_behaviour whole ''
table_row whole "behaviour of $ROWS invoices, whole table" ns
measure_behaviour bigint customer
table_row bigint '  per customer, key bigint' ns
measure_behaviour text code
table_row text '  per customer, key text' ns
session_end behaviour

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
# shellcheck source=test/lib/invoice.sh
. "$(dirname "$0")/../lib/invoice.sh"

ROWS=${BENCH_ROWS:-10000000}
ROUNDS=${BENCH_ROUNDS:-3}
VARIANTS=(floor credit as_of sql cont)
export SESSION_PATIENCE=900

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

# behaviour_cpu VARIANT KEY
behaviour_cpu() {
	rows_cpu behaviour "SELECT ${2:+$2, }$(measured "$1") FROM invoice ${2:+GROUP BY $2}"
}

make_paid_invoices behaviour
quiet_session behaviour bench behaviour 1GB
session_run behaviour 'SELECT sum(cents) FROM invoice'
table_head "${VARIANTS[@]}"
measure whole behaviour_cpu ''
table_row whole "behaviour of $ROWS invoices, whole table" ns
measure bigint behaviour_cpu customer
table_row bigint '  per customer, key bigint' ns
measure text behaviour_cpu code
table_row text '  per customer, key text' ns
session_end behaviour

#!/usr/bin/env bash
#
# What aging costs over a table of invoices, against the floor, count(*),
# sum(int8) and sum(numeric) with the same GROUP BY, and against what a user
# would write without us:
#
#     floor    count, sum of a bigint, sum of a numeric
#     credit   aging(open_amount, due_date, as_of)
#     bounds   the same with bounds and credit mode given
#     filter   six sums with FILTER
#     case     six sums with CASE
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
VARIANTS=(floor credit bounds filter case)
export SESSION_PATIENCE=900

# Six sums, by a template for each: %s is the condition.
six_sums() {
	local age="date '2026-06-30' - due_date" sums='' condition
	for condition in "$age <= 0" "$age BETWEEN 1 AND 30" "$age BETWEEN 31 AND 60" \
		"$age BETWEEN 61 AND 90" "$age BETWEEN 91 AND 120" "$age > 120"; do
		# shellcheck disable=SC2059 # the template is ours
		sums+=$(printf ", $1" "$condition")
	done
	echo "${sums#, }"
}

measured() {
	case $1 in
		floor) echo 'count(*), sum(cents), sum(open_amount)' ;;
		credit) echo "credit.aging(open_amount, due_date, '2026-06-30')" ;;
		bounds) echo "credit.aging(open_amount, due_date, '2026-06-30', ARRAY[0,30,60,90,120], 'oldest')" ;;
		filter) six_sums 'sum(open_amount) FILTER (WHERE %s)' ;;
		case) six_sums 'sum(CASE WHEN %s THEN open_amount ELSE 0 END)' ;;
	esac
}

# aging_cpu VARIANT KEY
aging_cpu() {
	rows_cpu aging "SELECT ${2:+$2, }$(measured "$1") FROM invoice ${2:+GROUP BY $2}"
}

make_invoices aging 100000 \
	"g::bigint AS id, c.customer, round(a.amount * 100)::bigint AS cents,
		date '2026-06-30' - (random() * 200 - 60)::int AS due_date,
		a.amount AS open_amount, 'C' || lpad(c.customer::text, 8, '0') AS code" \
	'(CASE WHEN random() < 0.03 THEN -1 ELSE 1 END * (1 + random() * 9999) + 0 * g)::numeric(12,2) AS amount'
quiet_session aging bench aging 1GB
session_run aging 'SELECT sum(cents) FROM invoice'
table_head "${VARIANTS[@]}"
measure whole aging_cpu ''
table_row whole "aging of $ROWS invoices, whole table" ns
measure bigint aging_cpu customer
table_row bigint '  per customer, key bigint' ns
measure text aging_cpu code
table_row text '  per customer, key text' ns
session_end aging

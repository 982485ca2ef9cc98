#!/usr/bin/env bash
#
# What the aggregates over days and months cost over a table of invoices,
# against the floor, count(*), sum(int8) and sum(numeric) with the same GROUP
# BY, and against what a user would write without us:
#
#     floor    count, sum of a bigint, sum of a numeric
#     credit   the aggregate
#     sql      the same figures in plain SQL
#
# Cost is processor time of one backend: no JIT, no parallel workers, the
# smallest of several rounds, each of which runs all variants. Results are
# computed and thrown away.
#
# BENCH_ROWS (2000000) invoices of 20,000 customers, few of whom have many
# (zipf); BENCH_ROUNDS (3). A trend looks at all pairs of days, so it is
# compared over the customers who have no more than about 200 invoices.

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"
# shellcheck source=test/lib/invoice.sh
. "$(dirname "$0")/../lib/invoice.sh"

ROWS=${BENCH_ROWS:-2000000}
ROUNDS=${BENCH_ROUNDS:-3}
VARIANTS=(floor credit sql)
export SESSION_PATIENCE=900

add_small_and_cusum() {
	cluster_psql bench -d indicator <<-SQL
		CREATE UNLOGGED TABLE small AS SELECT * FROM invoice WHERE customer > 1000;
		CREATE FUNCTION deviate(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE
		AS 'SELECT greatest(\$1 + \$2 - 0.5, 0)';
		CREATE AGGREGATE cusum(float8) (SFUNC = deviate, STYPE = float8, INITCOND = 0);
		VACUUM (ANALYZE, FREEZE) small;
	SQL
}

# query VARIANT WHAT KEY
query() {
	local key=${3:-1} table=invoice
	[ "$2" != trend ] || table=small
	if [ "$1" = floor ]; then
		echo "SELECT count(*), sum(cents), sum(amount) FROM $table GROUP BY $key + 0"
	elif [ "$1" = credit ]; then
		echo "SELECT $(credit_call "$2") FROM $table GROUP BY $key + 0"
	else
		plain "$2" "$key" "$table"
	fi
}

credit_call() {
	case $1 in
		balance) echo "credit.exposure_profile(day, amount, '2025-01-01', '2026-01-01', 0, 50000)" ;;
		trend) echo 'credit.robust_trend(day, late, amount)' ;;
		change) echo 'credit.change_point(day, late, amount, 10, 12)' ;;
		countback) echo "credit.countback_dso(day, amount, 50000, '2026-06-30')" ;;
		true_dso) echo "credit.true_dso(day, amount, open, '2026-06-30')" ;;
		capacity) echo "credit.payment_capacity(day, amount, '2026-06-30')" ;;
		partial) echo 'credit.partial_payment(amount, open)' ;;
	esac
}

# The usual figures in plain SQL.
plain() {
	local by_day="SELECT $2 + 0 AS key, day, sum(late * amount) / sum(amount) AS late, sum(amount) AS net FROM $3 GROUP BY 1, 2"
	local by_month="SELECT $2 + 0 AS key, date_trunc('month', day) AS month, sum(amount) AS sales, sum(open * (date '2026-06-30' - day)) AS aged FROM $3 WHERE day <= '2026-06-30' GROUP BY 1, 2"
	case $1 in
		balance)
			echo "SELECT key, max(balance), sum(balance * days) / 365, sum(days) FILTER (WHERE balance > 50000) FROM
				(SELECT key, balance, greatest(least(next, '2026-01-01') - greatest(day, '2025-01-01'), 0) AS days FROM
					(SELECT key, day, sum(net) OVER w AS balance, lead(day, 1, '2026-01-01') OVER w AS next
					   FROM ($by_day) d WHERE day < '2026-01-01' WINDOW w AS (PARTITION BY key ORDER BY day)) b
				  WHERE next > '2025-01-01') c GROUP BY key"
			;;
		trend)
			echo "WITH d AS ($by_day) SELECT key, sum(sign(b.late - a.late)), percentile_cont(0.5) WITHIN GROUP (ORDER BY ((b.late - a.late) / (b.day - a.day))::float8)
				FROM d a JOIN d b USING (key) WHERE a.day < b.day GROUP BY key"
			;;
		change)
			echo "SELECT key, cusum(((late - 10) / 12)::float8 ORDER BY day), cusum(((10 - late) / 12)::float8 ORDER BY day) FROM ($by_day) d GROUP BY key"
			;;
		countback)
			echo "SELECT key, sum(CASE WHEN reach <= 50000 THEN 30 WHEN reach - sales < 50000 THEN 30 * (50000 - reach + sales) / sales END) FROM
				(SELECT key, sales, sum(sales) OVER (PARTITION BY key ORDER BY month DESC) AS reach FROM ($by_month) m) r GROUP BY key"
			;;
		true_dso) echo "SELECT key, sum(aged / NULLIF(sales, 0)) FROM ($by_month) m GROUP BY key" ;;
		capacity) echo "SELECT key, percentile_cont(0.5) WITHIN GROUP (ORDER BY sales) FROM ($by_month) m WHERE month > '2025-12-31' GROUP BY key" ;;
		partial)
			echo "SELECT count(*) FILTER (WHERE open > 0), count(*) FILTER (WHERE open > 0 AND amount - open > greatest(amount * 0.01, 0.01)),
				sum(amount - open) FILTER (WHERE open > 0 AND amount - open > greatest(amount * 0.01, 0.01)),
				sum(amount) FILTER (WHERE open > 0 AND amount - open > greatest(amount * 0.01, 0.01)) FROM $3 GROUP BY $2 + 0"
			;;
	esac
}

# indicator_cpu VARIANT WHAT KEY
indicator_cpu() {
	rows_cpu indicator "$(query "$@")"
}

make_invoices indicator 20000 \
	'c.customer, round(a.amount * 100)::bigint AS cents, a.amount,
		a.day AS day, a.late, CASE WHEN a.open < 0.05 THEN a.amount ELSE 0 END AS open' \
	"(1 + random() * 9999 + 0 * g)::numeric(12,2) AS amount,
		date '2024-01-01' + (random() * 900)::int AS day,
		(random() * 40)::int - 10 AS late, random() AS open"
add_small_and_cusum
quiet_session indicator bench indicator 1GB
session_run indicator 'SELECT sum(cents) FROM invoice'
table_head "${VARIANTS[@]}"
for what in balance trend change countback true_dso capacity partial; do
	measure "${what}customer" indicator_cpu "$what" customer
	table_row "${what}customer" "$what of $ROWS invoices, per customer" ns
	[ $what != trend ] || continue
	measure "$what" indicator_cpu "$what" ''
	table_row "$what" '  whole table' ns
done
session_end indicator

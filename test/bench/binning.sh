#!/usr/bin/env bash
#
# What binning costs, against a scan that only adds up the values and counts the
# bad ones, and against plain SQL: processor time over one table.
#
#     scan     sum(value), count(*) FILTER (WHERE bad)
#     bins     optimal_bins(): count, cut, table
#     sql      the table alone, of 50 groups of equal size by ntile(), uncut
#     apply    sum(woe_of(binning, value))
#     case     the same by a CASE with as many bounds
#
# BENCH_ROWS (1000000) and BENCH_ROUNDS (3) change the size.

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"

ROWS=${BENCH_ROWS:-1000000}
ROUNDS=${BENCH_ROUNDS:-3}
VARIANTS=(scan bins sql apply case)

declare -A QUERY
QUERY[scan]='SELECT sum(VALUE), count(*) FILTER (WHERE bad) FROM loan'
QUERY[bins]='SELECT (credit.optimal_bins(VALUE, bad)).iv FROM loan'
QUERY[sql]='SELECT sum((good / all_good - bad / all_bad) * ln((good / all_good) / (bad / all_bad))) FROM
	(SELECT count(*) FILTER (WHERE NOT bad) + 0.5::float8 AS good, count(*) FILTER (WHERE bad) + 0.5::float8 AS bad,
			sum(count(*) FILTER (WHERE NOT bad)) OVER ()::float8 AS all_good, sum(count(*) FILTER (WHERE bad)) OVER ()::float8 AS all_bad
	   FROM (SELECT bad, ntile(50) OVER (ORDER BY VALUE) AS part FROM loan) x GROUP BY part) y'
QUERY[apply]='SELECT sum(credit.woe_of((SELECT bins FROM binning), VALUE)) FROM loan'
QUERY[case]='SELECT sum(CASE WHEN VALUE <= 0.02 THEN 1.5 WHEN VALUE <= 0.06 THEN 1 WHEN VALUE <= 0.15 THEN 0.5 WHEN VALUE <= 0.3 THEN 0
	WHEN VALUE <= 0.5 THEN -0.5 ELSE -1 END::float8) FROM loan'

# binning_cpu VARIANT VALUE
binning_cpu() {
	session_cpu binning "${QUERY[$1]//VALUE/$2}"
}

cluster_psql bench -c 'CREATE DATABASE binning'
cluster_psql bench -d binning <<-SQL
	CREATE EXTENSION credit;
	\o /dev/null
	SELECT setseed(0.5);
	\o
	CREATE TABLE loan AS
	SELECT p, round(p::numeric, 2)::float8 AS p2, random() < p AS bad
	  FROM (SELECT random() * random() AS p FROM generate_series(1, $ROWS) OFFSET 0) x;
	CREATE TABLE binning AS SELECT credit.optimal_bins(p, bad) AS bins FROM loan;
	VACUUM ANALYZE loan;
SQL
quiet_session binning bench binning 256MB
table_head "${VARIANTS[@]}"
for value in p p2; do
	measure "$value" binning_cpu "$value"
done
table_row p "$ROWS distinct values" ns
table_row p2 'the same with two decimals' ns
session_end binning

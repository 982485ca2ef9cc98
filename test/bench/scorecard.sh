#!/usr/bin/env bash
#
# What scoring costs: 1 million subjects, ten features, the shipped scorecard,
# against a scan that only sums the same columns. Processor time of one process.
#
#     scan     sum() of the ten columns
#     values   score_values() of them
#     case     an expert's scorecard by hand: a CASE for each column, in steps
#     json     the same features as JSON: sum() of the ten fields
#     of       score_of() of the JSON
#     row      score_row() of the JSON: points and reasons as well
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
VARIANTS=(scan values case json of row)
FEATURES=(oldest_days_overdue overdue_ratio weighted_days_late on_time_rate payment_index
	utilisation trend_slope partial_payment_ratio months_known n_paid)

# each FORMAT: FORMAT with every feature in the place of F, with commas between
each() {
	local feature list=''
	for feature in "${FEATURES[@]}"; do
		list+="${list:+$2}${1//F/$feature}"
	done
	echo "$list"
}

declare -A QUERY
QUERY[scan]="SELECT $(each 'sum(F)' ', ') FROM subject"
QUERY[values]="SELECT sum(credit.score_values('standard', ARRAY[$(each F ', ')])) FROM subject"
QUERY[case]="SELECT sum($(each '0.1 * CASE WHEN F < 0.1 THEN 0 WHEN F < 0.3 THEN 25 WHEN F < 0.5 THEN 50 WHEN F < 0.8 THEN 75 ELSE 100 END' ' + ')) FROM subject"
QUERY[json]="SELECT $(each "sum((features ->> 'F')::float8)" ', ') FROM json"
QUERY[of]="SELECT sum(credit.score_of('standard', features)) FROM json"
QUERY[row]="SELECT count(credit.score_row('standard', features)) FROM json"

scorecard_cpu() {
	session_cpu scorecard "${QUERY[$1]}"
}

cluster_psql bench -c 'CREATE DATABASE scorecard'
cluster_psql bench -d scorecard <<-SQL
	CREATE EXTENSION credit;
	\o /dev/null
	SELECT setseed(0.5), credit.add_standard_model();
	\o
	CREATE TABLE subject AS
	SELECT g AS id, $(each 'round(random()::numeric, 4)::float8 AS F' ', ') FROM generate_series(1, $ROWS) g;
	CREATE TABLE json AS SELECT id, to_jsonb(s) - 'id' AS features FROM subject s;
	VACUUM ANALYZE subject, json;
SQL
quiet_session scorecard bench scorecard 4MB
table_head "${VARIANTS[@]}"
measure all scorecard_cpu
table_row all "$ROWS subjects" ns
session_end scorecard

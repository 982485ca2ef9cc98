#!/usr/bin/env bash
#
# What validation of scores costs, against a scan that only adds them up, and
# against plain SQL that ranks them: processor time over one table.
#
#     scan  sum(score), count(*) FILTER (WHERE bad)
#     sql   AUC by ranks with window functions, ties exact; no interval, no KS
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
VARIANTS=(scan discrim calibrate stability compare platt isotonic sql)

declare -A QUERY
QUERY[scan]='SELECT sum(SCORE), count(*) FILTER (WHERE bad) FROM scored'
QUERY[discrim]='SELECT credit.discrimination(SCORE, bad) FROM scored'
QUERY[calibrate]='SELECT credit.calibration(SCORE, bad) FROM scored'
QUERY[stability]='SELECT credit.population_stability(SCORE, bad) FROM scored'
QUERY[compare]='SELECT credit.compare_scores(SCORE, other, bad) FROM scored'
QUERY[platt]='SELECT credit.fit_platt(-SCORE, bad) FROM scored'
QUERY[isotonic]='SELECT credit.fit_isotonic(-SCORE, bad) FROM scored'
QUERY[sql]='SELECT (sum(r) FILTER (WHERE NOT bad) - count(*) FILTER (WHERE NOT bad) * (count(*) FILTER (WHERE NOT bad) + 1) / 2.0)
	/ (count(*) FILTER (WHERE bad) * count(*) FILTER (WHERE NOT bad))
	FROM (SELECT bad, rank() OVER (ORDER BY SCORE) + (count(*) OVER (PARTITION BY SCORE) - 1) / 2.0 AS r FROM scored) x'

# validation_cpu VARIANT SCORE
validation_cpu() {
	session_cpu validation "${QUERY[$1]//SCORE/$2}"
}

cluster_psql bench -c 'CREATE DATABASE validation'
cluster_psql bench -d validation <<-SQL
	CREATE EXTENSION credit;
	\o /dev/null
	SELECT setseed(0.5);
	\o
	CREATE TABLE scored AS
	SELECT p, round(p::numeric, 2)::float8 AS p2, random() < p AS bad, p * (0.5 + random()) AS other
	  FROM (SELECT random() * random() AS p FROM generate_series(1, $ROWS) OFFSET 0) x;
	VACUUM ANALYZE scored;
SQL
quiet_session validation bench validation 256MB
table_head "${VARIANTS[@]}"
for score in p p2; do
	measure "$score" validation_cpu "$score"
done
table_row p "$ROWS distinct scores" ns
table_row p2 'the same with two decimals' ns
session_end validation

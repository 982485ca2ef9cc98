#!/usr/bin/env bash
#
# What a logistic regression costs: 1 million rows, 20 variables.
#
#     scan       a plain query that sums the same columns
#     fit        fit_logit(), end to end
#     fit, ridge the same with a ridge
#     step       one step: logit_step() over all rows
#     Python     the rows fetched by psycopg2, as a binary COPY, and fitted by
#                scikit-learn and by statsmodels, where these are installed
#
# Without parallel workers everything inside the database is processor time of
# one backend; it is compared with the scan within one run. With Python it is
# time on the clock on both sides, and fit_logit() may use workers. The last
# lines compare coefficients.
#
# BENCH_ROWS (1000000) and BENCH_ROUNDS (3) change the size; PYTHON is the
# interpreter that has Debian's packages.

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"

ROWS=${BENCH_ROWS:-1000000}
ROUNDS=${BENCH_ROUNDS:-3}
PYTHON=${PYTHON:-/usr/bin/python3}
COLUMNS_20=$(seq -f 'x%g' -s ', ' 20)
NAMES="ARRAY[$(seq -f "'x%g'" -s ', ' 20)]"
SUMS=$(seq -f 'sum(x%g)' -s ', ' 20)
FIT="SELECT f.iterations, f.n_scans, f.log_likelihood FROM credit.fit_logit('loan', 'is_bad', $NAMES) f"
RIDGE="SELECT f.iterations FROM credit.fit_logit('loan', 'is_bad', $NAMES, ridge => 1, standardise => true) f"
STEP="SELECT (credit.logit_step(is_bad, ARRAY[$COLUMNS_20], 1, array_fill(0::float8, ARRAY[21]))).log_likelihood FROM loan"

make_rows() {
	cluster_psql bench -d logit <<-SQL
		CREATE EXTENSION credit;
		\o /dev/null
		SELECT setseed(0.5);
		\o
		CREATE TABLE loan AS
		SELECT random() < 1 / (1 + exp(2 - 0.5 * x1 + 0.8 * x2 - 0.3 * x3 + 0.2 * x4)) AS is_bad, x.*
		  FROM (SELECT $(seq -f 'random() + random() + random() - 1.5 AS x%g' -s ', ' 20)
				  FROM generate_series(1, $ROWS)) x;
		VACUUM (ANALYZE) loan;
	SQL
}

# smallest SQL: least processor time of the rounds, in ns
smallest() {
	local least='' now i
	for ((i = 0; i < ROUNDS; i++)); do
		now=$(session_cpu work "$1")
		[ -n "$least" ] && [ "$least" -le "$now" ] || least=$now
	done
	echo "$least"
}

inside() {
	local scan
	session_start work bench -d logit
	session_run work 'SET max_parallel_workers_per_gather = 0'
	session_run work 'SET jit = off'
	session_run work "SELECT $SUMS FROM loan"
	scan=$(smallest "SELECT $SUMS FROM loan")
	printf '%-12s %8s %8s\n' '' seconds 'x scan'
	line scan "$scan" "$scan"
	line step "$(smallest "$STEP")" "$scan"
	line fit "$(smallest "$FIT")" "$scan"
	line 'fit, ridge' "$(smallest "$RIDGE")" "$scan"
	session_run work "$FIT"
	echo "iterations, scans, log-likelihood: $ANSWER"
	session_end work
}

line() {
	awk -v t="$1" -v a="$2" -v b="$3" \
		'BEGIN { printf "%-12s %8.3f %8.2f\n", t, a / 1e9, a / b }'
}

outside() {
	"$PYTHON" -c 'import psycopg2, sklearn, statsmodels' 2>/dev/null || {
		echo 'psycopg2, scikit-learn or statsmodels is missing: not compared'
		return
	}
	BENCH_NAMES=$NAMES "$PYTHON" - <<-'PY'
		import io, os, time
		import numpy, psycopg2
		from sklearn.linear_model import LogisticRegression
		import statsmodels.api

		names = ['x%d' % i for i in range(1, 21)]
		db = psycopg2.connect(dbname='logit')
		db.autocommit = True
		cursor = db.cursor()

		def clock(title, work, base=None):
		    began = time.time()
		    result = work()
		    took = time.time() - began
		    print('%-34s %7.2f s%s' % (title, took, '' if base is None else '  %6.2f x fit' % (took / base)), flush=True)
		    return result, took

		def fit():
		    cursor.execute("SELECT f.coefficients FROM credit.fit_logit('loan', 'is_bad', %s) f" % os.environ['BENCH_NAMES'])
		    return numpy.array(cursor.fetchone()[0])

		def binary():
		    out = io.BytesIO()
		    cursor.copy_expert('COPY (SELECT is_bad::int::float8, %s FROM loan) TO STDOUT (FORMAT binary)' % ', '.join(names), out)
		    data = numpy.frombuffer(out.getbuffer()[19:-2], dtype=numpy.uint8).reshape(-1, 2 + 21 * 12)
		    values = numpy.ascontiguousarray(data[:, 2:].reshape(-1, 21, 12)[:, :, 4:]).view('>f8').reshape(-1, 21).astype('f8')
		    return values[:, 0], values[:, 1:]

		fit()
		ours, base = clock('fit_logit()', fit)
		(y, x), fetched = clock('binary COPY into numpy', binary, base)
		_, took = clock('scikit-learn on that (lbfgs)', lambda: LogisticRegression(penalty=None, tol=1e-6).fit(x, y), base)
		print('%-34s %7.2f s  %6.2f x fit' % ('together', fetched + took, (fetched + took) / base))
		theirs, took = clock('statsmodels on that (Newton)', lambda: statsmodels.api.Logit(y, statsmodels.api.add_constant(x)).fit(disp=0, tol=1e-12), base)
		print('%-34s %7.2f s  %6.2f x fit' % ('together', fetched + took, (fetched + took) / base))
		print('largest difference to statsmodels: %.1e' % numpy.abs(ours - theirs.params).max())
	PY
}

cluster_value bench 'CREATE DATABASE logit'
make_rows
inside
outside
cluster_value bench 'DROP DATABASE logit WITH (FORCE)'

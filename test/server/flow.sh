#!/usr/bin/env bash
# Many writers of the same chains of documents at once: orders, deliveries,
# invoices, payments and applications that name one another, in READ COMMITTED
# with savepoints and in REPEATABLE READ. Meanwhile observers compare exposure
# with the rows of the ERP under one snapshot; in the end all must agree.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"

SECONDS_OF_WORK=12

# write SCRIPT NAME CLIENTS: pgbench in the background. What loses a deadlock or
# a race in REPEATABLE READ is done again.
write() {
	echo "$1" >"$CREDIT_WORK/flow-$2.sql"
	pgbench -n -c "$3" -T "$SECONDS_OF_WORK" --max-tries=50 \
		-f "$CREDIT_WORK/flow-$2.sql" flow >"$CREDIT_WORK/flow-$2.log" 2>&1 &
	WRITERS+=($!)
}

# transactions NAME: how many pgbench has finished
transactions() {
	sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' \
		"$CREDIT_WORK/flow-$1.log"
}

# short: transactions of several statements take chains in any order and meet
cluster_start flow fsync=off deadlock_timeout=10ms
cluster_psql flow -c 'CREATE DATABASE flow'
cluster_psql flow -d flow -c 'CREATE EXTENSION credit' -f test/lib/flow.sql
cluster_psql flow -d flow -o /dev/null <<-'SQL'
	SELECT credit.set('max_wait', '1min');
	DO $$ BEGIN FOR i IN 1 .. 50 LOOP CALL flow.step(4); END LOOP; END $$;
	CALL flow.attach();
	/* what observers have seen */
	CREATE TABLE flow.observed (wrong bigint);
SQL
is "$(cluster_value flow 'SELECT count(*) FROM flow.wrong' -d flow)" 0 'right before the storm'

WRITERS=()
write 'CALL flow.step(4);' plain 4
write 'BEGIN; CALL flow.step(4); SAVEPOINT a; CALL flow.step(4); ROLLBACK TO a; CALL flow.step(4); COMMIT;' savepoint 3
write 'BEGIN ISOLATION LEVEL REPEATABLE READ; CALL flow.step(4); CALL flow.step(4); COMMIT;' repeatable 3
write 'BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO flow.observed SELECT count(*) FROM flow.wrong; COMMIT;' observer 2
status=0
for writer in "${WRITERS[@]}"; do
	wait "$writer" || status=$?
done
is "$status" 0 'no session ends with an error'
for name in plain savepoint repeatable observer; do
	ok "$name: work was done" test "$(transactions "$name")" -gt 50
	diag "$name: $(transactions "$name") transactions"
done
[ "$status" = 0 ] || diag "$(tail -n 3 "$CREDIT_WORK"/flow-*.log)"

is "$(cluster_value flow 'SELECT count(*) FROM flow.observed WHERE wrong > 0' -d flow)" 0 \
	'every observer saw what the rows under its snapshot add up to'
ok 'there were observations' test "$(cluster_value flow 'SELECT count(*) FROM flow.observed' -d flow)" -gt 20
is "$(cluster_value flow 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' \
	'in the end stages, settlements, aging and statements agree'
is "$(cluster_value flow 'SELECT count(*) FROM pg_locks WHERE locktype = '"'advisory'" -d flow)" 0 'no lock is left'

# the journal, which exposure is read from, adds up to the documents
is "$(cluster_value flow "
	SELECT a.customer, e.total, d.total FROM credit.exposure e JOIN credit.account a USING (customer)
	  JOIN (SELECT i.account_id, sum(s.amount) AS total FROM credit.item i, unnest(i.stages) s (amount) GROUP BY 1) d
	       ON d.account_id = a.account_id
	 WHERE e.total <> d.total" -d flow)" '' 'the journal adds up to the documents'
done_testing

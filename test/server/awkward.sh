#!/usr/bin/env bash
# The awkward ERP (test/lib/awkward.sql) at work in many sessions at once: views
# with dependencies, REPEATABLE READ, a role without rights, several documents
# of one customer and the same document from two sessions, table locks with
# NOWAIT, retries as ERPs do them. Observers compare exposure with the tables of
# the ERP under one snapshot at every look; nobody gets above his limit; in the
# end all agrees to the cent.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"

SECONDS_OF_WORK=${SECONDS_OF_WORK:-20}

# work NAME CLIENTS USER: pgbench in the background with the script it is fed.
# What loses a race in REPEATABLE READ, or a deadlock, is done again.
work() {
	cat >"$CREDIT_WORK/awkward-$1.sql"
	PGUSER=$3 pgbench -n -c "$2" -T "$SECONDS_OF_WORK" --max-tries=100 --failures-detailed \
		-f "$CREDIT_WORK/awkward-$1.sql" awkward >"$CREDIT_WORK/awkward-$1.log" 2>&1 &
	WORKERS+=($!)
}

# figure NAME LABEL: a number out of what pgbench says in the end
figure() {
	sed -n "s/^$2: \([0-9]*\).*/\1/p" "$CREDIT_WORK/awkward-$1.log"
}

cluster_start awkward fsync=off deadlock_timeout=20ms
cluster_psql awkward -c 'CREATE DATABASE awkward'
PGOPTIONS='-c client_min_messages=warning' cluster_psql awkward -d awkward \
	-c 'CREATE EXTENSION credit' -f test/lib/awkward.sql
cluster_psql awkward -d awkward -o /dev/null <<-'SQL'
	SET client_min_messages = warning;
	SELECT credit.set('max_wait', '1min');
	SELECT awkward.try_step() FROM generate_series(1, 60);
	UPDATE erp.account_type SET receivable = true WHERE id = 4;
	CALL awkward.attach();
	CALL awkward.make_room();
	TRUNCATE awkward.done;
	/* what decides for every line of the ledger is changed when all is quiet: doc/view.md */
	DELETE FROM awkward.kind WHERE kind IN ('account', 'type');
	/* what observers have seen */
	CREATE TABLE awkward.observed (what text);
SQL
is "$(cluster_value awkward 'SELECT * FROM awkward.wrong' -d awkward)" '' 'right before the storm'

# No lock of ours is in the way of the ERP's own: neither on rows that views read,
# nor on tables.
session_start writer awkward -U erp_app -d awkward
session_start locker awkward -U erp_app -d awkward
session_run writer "
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	INSERT INTO erp.stock_move (id, quantity, state, effective_date) VALUES (-1, 1, 'done', current_date);
	INSERT INTO erp.\"sale_line-stock_move\" SELECT min(id), -1 FROM erp.sale_line"
is "$STATE" 00000 'a delivery that is not committed'
session_run locker "
	BEGIN;
	SELECT FROM erp.sale WHERE id = (SELECT l.sale FROM erp.sale_line l ORDER BY l.id LIMIT 1) FOR UPDATE NOWAIT;
	SELECT FROM erp.currency FOR UPDATE NOWAIT;
	LOCK TABLE erp.sale, erp.move, erp.move_line, erp.reconciliation, erp.party, erp.company IN EXCLUSIVE MODE NOWAIT"
is "$STATE" 00000 'leaves rows and tables that the view reads to whoever locks them'
session_run locker ROLLBACK
session_run writer ROLLBACK
session_end writer
session_end locker

WORKERS=()
work clerk 5 erp_app <<-'SQL'
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT awkward.try_step();
	COMMIT;
SQL
work batch 3 erp_app <<-'SQL'
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT awkward.try_step();
	SELECT awkward.try_step();
	\sleep 5 ms
	SELECT awkward.try_step();
	COMMIT;
SQL
# what is never refused, without a savepoint
work plain 2 erp_app <<-'SQL'
	\set k random(1, 5)
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT awkward.step((ARRAY['invoice', 'part payment', 'refund', 'take back', 'cancel'])[:k]);
	\sleep 2 ms
	COMMIT;
SQL
work observer 2 postgres <<-'SQL'
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	INSERT INTO awkward.observed
	SELECT string_agg(w.what, '; ') FROM awkward.wrong w;
	COMMIT;
SQL
status=0
for worker in "${WORKERS[@]}"; do
	wait "$worker" || status=$?
done
is "$status" 0 'no session ends with an error'
[ "$status" = 0 ] || diag "$(grep -h -i error "$CREDIT_WORK"/awkward-*.log | head -n 5)"
for name in clerk batch plain observer; do
	n=$(figure "$name" 'number of transactions actually processed')
	ok "$name: work was done" test "${n:-0}" -gt 20
	diag "$name: $n transactions, $(figure "$name" 'number of transactions retried') of them tried again," \
		"$(figure "$name" 'number of failed transactions') given up"
done

looks=$(cluster_value awkward 'SELECT count(*) FROM awkward.observed' -d awkward)
diag "$looks looks"
ok 'there were looks' test "$looks" -gt 20
is "$(cluster_value awkward 'SELECT what FROM awkward.observed WHERE what IS NOT NULL LIMIT 3' -d awkward)" '' \
	'at each, exposure was what the tables came to, and nobody was above the limit'
is "$(cluster_value awkward 'SELECT * FROM awkward.wrong' -d awkward)" '' 'and so it is in the end'
is "$(cluster_value awkward 'SELECT * FROM awkward.disagreement LIMIT 5' -d awkward)" '' \
	'reconcile(), open items and aging agree'
is "$(cluster_value awkward "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'" -d awkward)" 0 'no lock is left'
is "$(cluster_value awkward "SELECT count(*) FROM credit.sources WHERE health <> 'ok'" -d awkward)" 0 'nothing went unread'

# the test must have tested something
is "$(cluster_value awkward "
	SELECT string_agg(k.kind, ', ') FROM awkward.kind k
	 WHERE NOT EXISTS (SELECT FROM awkward.done d WHERE d.kind = k.kind AND d.outcome = 'done')" -d awkward)" '' \
	'each kind of step took place'
outcomes=$(cluster_value awkward "
	SELECT count(*) FILTER (WHERE outcome = 'done') || ' steps, ' || count(*) FILTER (WHERE outcome = 'refused') || ' refused, ' ||
	       count(*) FILTER (WHERE outcome = 'locked') || ' not made because of a lock' FROM awkward.done" -d awkward)
diag "$outcomes"
ok 'some were refused' test "$(cluster_value awkward "SELECT count(*) FROM awkward.done WHERE outcome = 'refused'" -d awkward)" -gt 3
done_testing

#!/usr/bin/env bash
# Purge while clerks are at work: by several at once, cancelled, crashed, with
# a standby reading. No figure moves, nobody waits, nothing needed goes.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

purgers=$CREDIT_WORK/purgers
mkdir -p "$purgers"

# Purges without a rest until it is killed; what fails is written down.
keep_purging() {
	while :; do
		cluster_psql "$1" -d erp -c "CALL credit.purge('0 s', '0 s', '0 s', '0 s', '0 s', batch_rows => $2)" \
			2>>"$purgers/$2" || sleep 0.1
	done
}

rows() {
	cluster_value "$1" 'SELECT count(*) FROM credit.journal' -d erp
}

# wait_for SQL: until it is true, a minute at most
wait_for() {
	patiently 60 cluster_says purge "$1" -d erp
}

# Looks twice through one snapshot, purges going on in between.
two_looks() {
	cluster_psql "$1" -d erp -A -t <<-'SQL'
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT md5(string_agg(e::text, ';' ORDER BY customer)) FROM credit.exposure e;
		SELECT pg_sleep(0.3)::text;
		SELECT md5(string_agg(e::text, ';' ORDER BY customer)) FROM credit.exposure e;
		COMMIT;
	SQL
}

# looks CLUSTER N: how often the two differed in N tries
looks() {
	local n=0
	for _ in $(seq "$2"); do
		[ "$(two_looks "$1" | grep . | sort -u | wc -l)" = 1 ] || n=$((n + 1))
	done
	echo "$n"
}

cluster_start purge hot_standby_feedback=on wal_receiver_status_interval=1s
erp_create purge erp
erp_attach purge erp
cluster_psql purge -d erp -c "BEGIN; $(erp_order 321 3 100); PREPARE TRANSACTION 'px'"
cluster_psql purge -d erp -o /dev/null -c "SELECT pg_create_physical_replication_slot('reader')"
mkdir -p "$(cluster_dir reader)"
PGHOST=$(cluster_dir purge) pg_basebackup -D "$(cluster_dir reader)/data" -R -c fast -X stream -S reader
cluster_start reader unix_socket_directories="$(cluster_dir reader)" primary_slot_name=reader
cluster_use purge

# --- at work ---------------------------------------------------------------------

erp_work purge 4 &
worker=$!
keep_purging purge 1 &
first=$!
keep_purging purge 1000 &
second=$!
keep_purging purge 100000 &
third=$!
sleep 2
is "$(looks purge 4)" 0 'a snapshot shows the same before and after purges'
is "$(looks reader 4)" 0 'so it does on a standby'
cluster_psql purge -d erp -c 'VACUUM credit.journal'
is "$(erp_differences purge erp)" '' 'exposure is right with clerks and purges at work'
is "$(erp_differences reader erp)" '' 'so it is on the standby'
is "$(cluster_value purge "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
	AND query LIKE 'CALL credit.purge%'" -d erp)" 0 'no purge waits for a lock'
ok 'orders were placed meanwhile' wait_for 'SELECT count(*) > 200 FROM erp.orders WHERE order_number > 1000'
ok 'the chain of the prepared transaction keeps what may be looked at' wait_for "SELECT count(*) > 300
	FROM credit.journal JOIN credit.account USING (account_id) WHERE customer = '3'"
kill "$worker" 2>/dev/null || :
wait "$worker" || :
is "$(grep -c 'ERROR\|aborted' "$CREDIT_WORK/work-purge.log" || :)" 0 'no clerk has had an error'
# what the prepared transaction does not hold
ok 'little of the others is left' wait_for "SELECT count(*) < 100 FROM credit.journal
	JOIN credit.account USING (account_id) WHERE customer <> '3'"
kill "$first" "$second" "$third" 2>/dev/null || :
wait "$first" "$second" "$third" 2>/dev/null || :
is "$(cat "$purgers"/*)" '' 'and no purge'
is "$(cluster_value purge "SELECT count(*) > 300 FROM credit.journal JOIN credit.account USING (account_id) WHERE customer = '3'" -d erp)" \
	t 'which it still has when they have purged for the last time'
is "$(erp_differences purge erp)" '' 'exposure is right afterwards'
is "$(cluster_value purge "SELECT string_agg(DISTINCT c.in_flight::text, ' ') FROM credit.check_order('3', 1) c" -d erp)" \
	100.00 'the prepared order is still reckoned with'
is "$(sqlstate purge erp "COMMIT PREPARED 'px'")" 00000 'and can be committed'
is "$(erp_differences purge erp)" '' 'and counts'

# The comparison above must see what a purge could spoil.
is "$(cluster_psql purge -d erp -A -t <<-'SQL' | grep -c '^exposure'
	BEGIN;
	SELECT credit.maintain(true);
	DELETE FROM credit.journal j WHERE account_id = (SELECT account_id FROM credit.account WHERE customer = '1')
	   AND seq = (SELECT max(seq) FROM credit.journal x WHERE x.account_id = j.account_id);
	SELECT 'exposure differs' FROM credit.exposure e
	 WHERE customer = '1' AND total IS DISTINCT FROM (SELECT sum(total) FROM erp.orders WHERE customer_number = 1)
	       - (SELECT sum("Amount") FROM erp."Money Received" WHERE "Customer" = 1);
	ROLLBACK;
SQL
)" 1 'one row too many would be seen'

# --- a slot that is left behind --------------------------------------------------

# findings SUBJECT: lines of status() about it
findings() {
	cluster_value purge "SELECT finding FROM credit.status() WHERE subject LIKE '$1'" -d erp
}

# The standby goes, and its slot stays.
ok 'the standby reports what it needs' wait_for 'SELECT active AND xmin IS NOT NULL FROM pg_replication_slots'
is "$(findings 'replication slot %')" '' 'a slot in use is nothing to talk about'
cluster_kill reader
ok 'the standby is gone' wait_for 'SELECT NOT active FROM pg_replication_slots'
like "$(findings 'replication slot reader')" 'nobody uses it' 'one that nobody uses is'
cluster_psql purge -o /dev/null -c "SELECT pg_drop_replication_slot('reader')"

# --- cancelled and crashed ---------------------------------------------------------

fill() {
	cluster_psql purge -d erp -o /dev/null <<-SQL
		DO \$\$ BEGIN FOR i IN 1 .. $1 LOOP
			UPDATE erp.orders SET total = total + 0.01 WHERE order_number = 11 + i % 4;
			COMMIT;
		END LOOP; END \$\$;
	SQL
}

fill 2000
before=$(rows purge)
cluster_psql purge -d erp -c "CALL credit.purge('0 s', batch_rows => 100, pause => '5s')" 2>"$purgers/cancelled" &
cancelled=$!
ok 'a purge is at work' wait_for "SELECT count(*) < $before FROM credit.journal"
cluster_psql purge -d erp -o /dev/null -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL credit.purge%'"
wait "$cancelled" || :
like "$(cat "$purgers/cancelled")" 'canceling statement due to user request' 'and says so'
after=$(rows purge)
ok 'what it had done stays done' test "$after" -lt "$before"
ok 'the rest is there' test "$after" -gt 500
is "$(erp_differences purge erp)" '' 'exposure is right'

for round in 1 2; do
	fill 1000
	erp_work purge 4 &
	cluster_psql purge -d erp -c "CALL credit.purge('0 s', batch_rows => 50, pause => '5ms')" 2>/dev/null &
	sleep 0.7
	cluster_kill purge
	wait
	ok "$round: recovery after a crash in the middle of a purge" cluster_start purge
	is "$(erp_differences purge erp)" '' "$round: exposure is right"
	is "$(sqlstate purge erp "$(erp_order $((round + 500)) 1 5000)")" 23514 "$round: orders are checked"
	ok "$round: the purge can be taken up" cluster_psql purge -d erp -c "CALL credit.purge('0 s')"
	is "$(erp_differences purge erp)" '' "$round: exposure is right"
done
ok 'little of the journal is left' test "$(rows purge)" -lt 200

# --- what holds vacuum back ----------------------------------------------------------

cluster_psql purge -d erp -o /dev/null -c "SELECT credit.set('old_transaction', '10min')"
is "$(findings 'process %')" '' 'no transaction is open'
session_start idle purge -d erp
session_run idle "BEGIN; $(erp_order 600 5 1)"
is "$(findings 'process %')" '' 'a young one is nothing to talk about'
cluster_psql purge -d erp -o /dev/null -c "SELECT credit.set('old_transaction', '1s')"
sleep 1.5
like "$(findings 'process %')" 'its transaction is open since' 'an old one is'
session_run idle 'ROLLBACK'
is "$(findings 'process %')" '' 'until it ends'
session_run idle 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1'
sleep 1.5
like "$(findings 'process %')" 'its transaction is open since' 'one that only reads, too'
session_end idle

done_testing

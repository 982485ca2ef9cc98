#!/usr/bin/env bash
# Who waits for whom, how each wait ends, and what is left behind: nothing.
# And the progress of an attach, seen from another session.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

value() {
	cluster_value waits "$1" -d erp
}

has_value() {
	[ "$(value "$1")" = "$2" ]
}

# until_value SQL EXPECTED DESCRIPTION: it may take a moment, a minute at most
until_value() {
	patiently 60 has_value "$1" "$2" || :
	is "$(value "$1")" "$2" "$3"
}

# run SESSION SQL EXPECTED DESCRIPTION
run() {
	session_run "$1" "$2"
	is "$STATE" "$3" "$4"
}

# waiting SESSION: it is in view waits by now
waiting() {
	until_value "SELECT count(*) FROM credit.waits WHERE application_name = '$1'" 1 "$1 waits"
}

# Session a holds most of the limit of customer 1 (1000, of which 95 are used).
hold() {
	session_run a "BEGIN; $(erp_order 5000 1 600)"
}

# nothing_left DESCRIPTION: no wait is shown, nobody holds a short lock, the
# figures are those of the ERP
nothing_left() {
	until_value 'SELECT count(*) FROM credit.waits' 0 "$1: no wait is left"
	is "$(value "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" 0 "$1: nor a lock"
	is "$(erp_differences waits erp)" '' "$1: exposure is right"
}

cluster_start waits deadlock_timeout=100ms
erp_create waits erp
erp_attach waits erp
cluster_psql waits -d erp <<-'SQL' >/dev/null
	SELECT credit.set('max_wait', '1min');
	SELECT credit.grant_analyst('analyst');
	SELECT credit.stat_reset();
SQL
for name in a b; do
	session_start $name waits -d erp -U clerk
done
session_start admin waits -d erp
session_run a 'SELECT pg_backend_pid()'
a_pid=$ANSWER
session_run b 'SELECT pg_backend_pid()'
b_pid=$ANSWER
holder="process $a_pid \(role clerk, application a\)"
wants="while order 5001 of customer 1 \(Customer 1\) waited for $holder, which holds the rest of the limit"

# --- the view -----------------------------------------------------------------

hold
session_send b "$(erp_order 5001 1 600)"
waiting b
is "$(value "SELECT pid = $b_pid, role, application_name, source, relation, customer, document, waits_for,
	since <= now(), waited < interval '30s', until > now(), transaction IS NOT NULL,
	holder_pid = $a_pid, holder_role, holder_application, holder_state, holder_since <= since,
	holder_query LIKE '%5000%', holder_prepared IS NULL FROM credit.waits")" \
	't|clerk|b|erp.orders|erp.orders|1 (Customer 1)|5001|room under the limit|t|t|t|t|t|clerk|a|idle in transaction|t|t|t' \
	'view waits has both sides'
like "$(value 'SELECT way_out FROM credit.waits')" "pg_terminate_backend\($a_pid\)" 'and the way out'
like "$(value 'SELECT way_out FROM credit.waits')" 'does nothing' 'which depends on what the holder does'
is "$(PGUSER=analyst value 'SELECT customer, document, holder_role, holder_application, holder_query, holder_state IS NULL FROM credit.waits')" \
	'1 (Customer 1)|5001|clerk|a|<insufficient privilege>|t' 'an analyst sees what pg_stat_activity would show'
is "$(cluster_value waits 'CREATE EXTENSION credit; SELECT count(*) FROM credit.waits; DROP EXTENSION credit' -d postgres)" 0 \
	'another database does not see it'
sleep 1.2
like "$(value "SELECT finding FROM credit.status() WHERE subject = 'waits'")" \
	"waits for others: 1, the longest for [0-9.]+ s, for process $a_pid" 'status() names waits of more than a second'
session_run a COMMIT
session_hear b
is "$STATE" 23514 'the wait ends with the transaction, and the order is judged anew'
session_run a 'DELETE FROM erp.orders WHERE order_number = 5000'
is "$(value "SELECT statements, waits, wait_ms > 1000, wait_ms = longest_wait_ms, work_ms < wait_ms, refused_limit, refused_wait
	FROM credit.stat WHERE source = 'erp.orders'")" '3|1|t|t|t|1|0' 'the wait is counted, and is not work'
nothing_left 'a refusal'

# --- how a wait for room ends -------------------------------------------------

# ends NAME SETTING HOW STATE ERROR: session b waits in a transaction with a
# savepoint and is ended; it goes on from the savepoint
ends() {
	local name=$1 setting=$2 how=$3 state=$4 error=$5
	hold
	session_run b "BEGIN; $(erp_order 5002 1 5); SAVEPOINT s; SET LOCAL $setting"
	session_send b "$(erp_order 5001 1 600)"
	if [ -n "$how" ]; then
		waiting b
		session_run admin "$how"
	fi
	session_hear b
	is "$STATE" "$state" "$name: $state"
	like "$ANSWER" "$error" "$name: says what happened"
	like "$ANSWER" "$wants" "$name: says who holds what"
	until_value 'SELECT count(*) FROM credit.waits' 0 "$name: no longer shown"
	run b 'ROLLBACK TO s' 00000 "$name: back to the savepoint"
	run b "SHOW ${setting%% *}" 00000 "$name: the setting"
	is "$ANSWER" "$(value "SHOW ${setting%% *}")" "$name: is what it was"
	run b "$(erp_order 5001 1 5)" 00000 "$name: what fits is placed"
	run b COMMIT 00000 "$name: and committed"
	session_run a ROLLBACK
	run b "$(erp_order 5003 1 895)" 00000 "$name: the room of who has rolled back is free"
	run b "$(erp_order 5004 1 0.01)" 23514 "$name: to the last cent"
	session_run b 'DELETE FROM erp.orders WHERE order_number >= 5000'
	nothing_left "$name"
}
ends lock_timeout "lock_timeout = '100ms'" '' 55P03 'canceling statement due to lock timeout'
ends statement_timeout "statement_timeout = '1s'" '' 57014 'canceling statement due to statement timeout'
ends pg_cancel_backend "work_mem = '4MB'" "SELECT pg_cancel_backend($b_pid)" 57014 \
	'canceling statement due to user request'

# max_wait and refuse are ours and say it themselves
busy="order 5001 of customer 1 \(Customer 1\) has to wait for $holder, which holds the rest of the limit"
for setting in max_wait=100ms wait=refuse; do
	value "SELECT credit.set('${setting%=*}', '${setting#*=}')" >/dev/null
	hold
	session_run b 'BEGIN; SAVEPOINT s'
	run b "$(erp_order 5001 1 600)" 23514 "$setting: refused"
	like "$ANSWER" "$busy" "$setting: says who holds what"
	session_run b 'ROLLBACK TO s'
	run b "$(erp_order 5001 1 5)" 00000 "$setting: what fits is placed"
	session_run b ROLLBACK
	session_run a ROLLBACK
	value "SELECT credit.set('wait', NULL), credit.set('max_wait', '1min')" >/dev/null
	nothing_left "$setting"
done
is "$(value "SELECT refused_wait FROM credit.stat WHERE source = 'erp.orders'")" 2 'both are counted'

# the waiter is terminated
session_start doomed waits -d erp -U clerk
hold
session_run doomed 'SELECT pg_backend_pid()'
doomed_pid=$ANSWER
session_send doomed "$(erp_order 5001 1 600)"
waiting doomed
session_run admin "SELECT pg_terminate_backend($doomed_pid)"
answer=$(timeout 20 cat <&"${SESSION_OUT[doomed]}" || :)
like "$answer" 'terminating connection due to administrator command' 'a waiter that is terminated'
like "$answer" "$wants" 'learns who held what'
run a COMMIT 00000 'the holder notices nothing'
session_run a 'DELETE FROM erp.orders WHERE order_number = 5000'
nothing_left 'terminated waiter'

# the holder is terminated
session_start doomed waits -d erp -U clerk
session_run doomed 'SELECT pg_backend_pid()'
doomed_pid=$ANSWER
session_run doomed "BEGIN; $(erp_order 5000 1 600)"
session_send b "$(erp_order 5001 1 600)"
waiting b
session_run admin "SELECT pg_terminate_backend($doomed_pid)"
session_hear b
is "$STATE" 00000 'when the holder is terminated the order passes'
session_run b 'DELETE FROM erp.orders WHERE order_number >= 5000'
nothing_left 'terminated holder'

# --- deadlock -----------------------------------------------------------------

session_run a "BEGIN; $(erp_order 5000 1 600)"
session_run b "BEGIN; $(erp_order 5001 2 600); SAVEPOINT s"
session_send a "$(erp_order 5002 2 600)"
waiting a
session_send b "$(erp_order 5003 1 600)"
session_hear b
b_state=$STATE b_answer=$ANSWER
if [ "$b_state" = 40P01 ]; then
	like "$b_answer" "while order 5003 of customer 1 \(Customer 1\) waited for $holder, which holds the rest of the limit" \
		'a deadlock says who waited for whom'
	run b 'ROLLBACK TO s' 00000 'the session goes on from its savepoint'
	session_run b ROLLBACK
	session_hear a
	is "$STATE" 00000 'and the other has its way'
	session_run a ROLLBACK
else
	session_hear a
	is "$STATE" 40P01 'one of two that wait for each other is ended'
	like "$ANSWER" "while order 5002 of customer 2 \(Customer 2\) waited for process $b_pid" \
		'a deadlock says who waited for whom'
	session_run a ROLLBACK
	session_run b ROLLBACK
fi
nothing_left deadlock

# --- a prepared transaction that nobody ends ----------------------------------

hold
session_run a "PREPARE TRANSACTION 'left \"behind\"'"
session_run b 'BEGIN; SAVEPOINT s'
session_send b "$(erp_order 5001 1 600)"
waiting b
is "$(value 'SELECT holder_pid IS NULL, holder_role, holder_prepared, holder_since < since, way_out FROM credit.waits')" \
	"t|clerk|left \"behind\"|t|COMMIT PREPARED 'left \"behind\"' or ROLLBACK PREPARED 'left \"behind\"'." \
	'view waits names a prepared transaction'
session_run admin "SELECT pg_cancel_backend($b_pid)"
session_hear b
like "$ANSWER" 'waited for prepared transaction "left "behind"" of role clerk, which holds the rest' \
	'so does the error of whoever is cancelled'
session_run b 'ROLLBACK TO s'
value "SELECT credit.set('max_wait', '50ms')" >/dev/null
run b "$(erp_order 5001 1 600)" 23514 'max_wait ends the wait for it'
like "$ANSWER" 'has to wait for prepared transaction "left "behind"" of role clerk' 'and names it'
session_run b ROLLBACK
value "SELECT credit.set('max_wait', '1min')" >/dev/null
session_run admin "ROLLBACK PREPARED 'left \"behind\"'"
run b "$(erp_order 5001 1 600)" 00000 'when it is rolled back the room is free'
session_run b 'DELETE FROM erp.orders WHERE order_number >= 5000'
nothing_left 'prepared transaction'

# --- the other waits ----------------------------------------------------------

# other NAME HOLD WAIT WAITS_FOR CONTEXT: seen, cancelled, refused by max_wait
other() {
	local name=$1 hold=$2 wait=$3 waits_for=$4 context=$5
	session_run a "BEGIN; $hold"
	is "$STATE" 00000 "$name: held"
	session_run b 'BEGIN; SAVEPOINT s'
	session_send b "$wait"
	waiting b
	is "$(value "SELECT waits_for, holder_pid = $a_pid FROM credit.waits")" "$waits_for|t" "$name: view waits"
	session_run admin "SELECT pg_cancel_backend($b_pid)"
	session_hear b
	is "$STATE" 57014 "$name: cancelled"
	like "$ANSWER" "$context" "$name: says who holds what"
	run b 'ROLLBACK TO s' 00000 "$name: the session goes on"
	value "SELECT credit.set('max_wait', '50ms')" >/dev/null
	run b "$wait" 23514 "$name: max_wait"
	like "$ANSWER" "$holder" "$name: names the holder"
	value "SELECT credit.set('max_wait', '1min')" >/dev/null
	run b 'ROLLBACK TO s' 00000 "$name: goes on again"
	session_send b "$wait"
	waiting b
	session_run a ROLLBACK
	session_hear b
	is "$STATE" 00000 "$name: done when the other has ended"
	session_run b ROLLBACK
	nothing_left "$name"
}
cluster_psql waits -d erp <<-'SQL' >/dev/null
	CREATE TABLE erp.notes (number int, customer int, total numeric);
	GRANT ALL ON erp.notes TO clerk;
	SET client_min_messages = error;
	SELECT credit.attach('erp.notes', 'order', key => 'number', customer => 'customer', amount => 'total');
	GRANT USAGE ON SCHEMA credit TO clerk;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA credit TO clerk;
	SELECT credit.set_limit('77', 10, 'x');
SQL
other 'limit being changed' 'UPDATE erp.customers SET credit_limit = 100 WHERE customer_number = 3' \
	"$(erp_order 5001 3 100)" 'a limit that is being changed' \
	"while order 5001 of customer 3 \(Customer 3\) waited for $holder, which is changing the limit"
other 'account' "$(erp_order 5000 999 1)" "$(erp_order 5001 999 1)" 'an account' \
	"while a change of the account of customer 999 waited for $holder, which is creating the same account"
other 'limit' "SELECT credit.set_limit('77', 20, 'a')" "SELECT credit.set_limit('77', 30, 'b')" 'a limit' \
	"while a change of the limit of customer 77 waited for $holder, which is changing the same limit"
other 'document' 'INSERT INTO erp.notes VALUES (1, 5, 1)' 'INSERT INTO erp.notes VALUES (1, 5, 2)' 'a document' \
	"while a change of document 1 waited for $holder, which is changing the same document"

# --- several databases --------------------------------------------------------

# Another database takes all the places there are, and is dropped.
is "$(value "SELECT count(*) FROM credit.stat WHERE source = '(others)'")" 0 'every source has its place'
cluster_psql waits -c 'CREATE DATABASE many'
cluster_psql waits -d many >/dev/null <<-'SQL'
	SET client_min_messages = error;
	CREATE EXTENSION credit;
	DO $$ BEGIN
		FOR i IN 1 .. 70 LOOP
			EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, customer text, amount numeric)', i);
			PERFORM credit.attach(format('t%s', i)::regclass, 'payment', key => 'id', customer => 'customer', amount => 'amount');
			EXECUTE format('INSERT INTO t%s VALUES (1, %L, 1)', i, 'A');
		END LOOP;
	END $$;
SQL
is "$(cluster_value waits 'SELECT count(*), sum(statements) FROM credit.stat WHERE statements > 0' -d many)" \
	"$(cluster_value waits "SELECT count(*) FILTER (WHERE source <> '(others)') + 1, 70 FROM credit.stat WHERE statements > 0" -d many)" \
	'those without a place are counted together'
is "$(value "SELECT statements > 0 FROM credit.stat WHERE source = '(others)'")" t 'which every database sees'
cluster_psql waits -d erp >/dev/null <<-'SQL'
	SET client_min_messages = error;
	CREATE TABLE erp.late (id int PRIMARY KEY, customer int, total numeric);
	SELECT credit.attach('erp.late', 'payment', key => 'id', customer => 'customer', amount => 'total');
	INSERT INTO erp.late VALUES (1, 1, 1);
SQL
is "$(value "SELECT statements FROM credit.stat WHERE source = 'erp.late'")" 0 'a source that comes late has none'
cluster_psql waits -c 'DROP DATABASE many WITH (FORCE)'
value 'INSERT INTO erp.late VALUES (2, 1, 1)' >/dev/null
is "$(value "SELECT statements FROM credit.stat WHERE source = 'erp.late'")" 1 'until a database is dropped'
value 'SELECT credit.stat_reset()' >/dev/null
is "$(value "SELECT count(*) FROM credit.stat WHERE source = '(others)'")" 0 'stat_reset() ends the common count too'
cluster_psql waits -d erp -o /dev/null -c "SELECT credit.detach('erp.late')" -c 'DROP TABLE erp.late'

# --- the short lock -------------------------------------------------------------

# Nobody holds it for long enough to be seen, unless he is stopped just then.
quick_value() {
	PGHOST=$(cluster_dir waits) timeout 2 psql -X -A -t -q -d erp -c "$1" || :
}

see_short_lock() {
	local tries=0 pids pid seen=''
	mapfile -t pids < <(value "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' AND datname = 'erp'")
	while [ "$tries" -lt 500 ] && [ -z "$seen" ]; do
		pid=${pids[tries % ${#pids[@]}]}
		tries=$((tries + 1))
		kill -STOP "$pid"
		if [ "$(quick_value "SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype = 'advisory' AND granted")" = 1 ]; then
			sleep 0.2
			seen=$(quick_value "SELECT waits_for, until IS NULL, transaction IS NULL, holder_pid = $pid, holder_application, way_out
				FROM credit.waits WHERE holder_pid = $pid LIMIT 1")
		fi
		kill -CONT "$pid"
	done
	echo "$seen"
}
value 'UPDATE erp.customers SET credit_limit = 1e9 WHERE customer_number = 4' >/dev/null
cat >"$CREDIT_WORK/short.sql" <<-'SQL'
	\set n random(1, 1000000000)
	INSERT INTO erp.orders (order_number, customer_number, total) VALUES (10000 + :n, 4, 0.01) ON CONFLICT DO NOTHING;
SQL
PGHOST=$(cluster_dir waits) PGUSER=clerk PGOPTIONS='-c synchronous_commit=off' \
	pgbench -n -c 6 -T 120 -f "$CREDIT_WORK/short.sql" erp >/dev/null 2>&1 &
bench_pid=$!
until_value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench' AND datname = 'erp'" 6 'six clerks, one customer'
like "$(see_short_lock)" 'the short lock\|t\|t\|t\|pgbench\|None is needed' 'view waits has who queues for a short lock, and behind whom'
kill "$bench_pid"
wait "$bench_pid" || :
until_value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench' AND datname = 'erp'" 0 'they go home'
session_run a 'DELETE FROM erp.orders WHERE order_number >= 5000'
nothing_left 'short lock'

# --- more waiters than places, and a crash ------------------------------------

hold
for ((i = 0; i < 50; i++)); do
	PGAPPNAME=crowd PGUSER=clerk cluster_psql waits -v ON_ERROR_STOP=0 -d erp -c "SET lock_timeout = '2min'" \
		-c "$(erp_order $((6000 + i)) 1 600)" >/dev/null 2>&1 &
done
until_value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd' AND wait_event = 'transactionid'" 50 \
	'fifty sessions wait'
is "$(value 'SELECT count(*) FROM credit.waits')" 48 'as many as there are places for are shown'
session_run a ROLLBACK
until_value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd'" 0 'all come to an end'
is "$(value 'SELECT count(*) FROM erp.orders WHERE order_number >= 6000')" 1 'one of them with its order'
session_run a 'DELETE FROM erp.orders WHERE order_number >= 6000'
nothing_left crowd

# A session that dies takes all others with it, and the shared memory.
hold
session_send b "$(erp_order 5001 1 600)"
waiting b
cluster_kill_session waits "$a_pid"
until_value 'SELECT 1' 1 'the server is back after the crash of a session' 2>/dev/null
is "$(value 'SELECT credit.stat_is_on()')" t 'with shared memory'
is "$(value 'SELECT sum(statements), sum(waits) FROM credit.stat')" '0|0' 'that is new'
is "$(PGUSER=clerk sqlstate waits erp "$(erp_order 5001 1 600); DELETE FROM erp.orders WHERE order_number = 5001")" 00000 \
	'orders go on'
is "$(value "SELECT statements FROM credit.stat WHERE source = 'erp.orders'")" 2 'and are counted'
nothing_left crash

# --- preloaded, and without room ----------------------------------------------

cluster_restart waits shared_preload_libraries=credit >/dev/null
is "$(value 'SELECT credit.stat_is_on()')" t 'preloaded: there is shared memory'
PGUSER=clerk sqlstate waits erp "$(erp_order 5001 1 600); DELETE FROM erp.orders WHERE order_number = 5001" >/dev/null
is "$(value "SELECT statements FROM credit.stat WHERE source = 'erp.orders'")" 2 'preloaded: orders are counted'
session_start crash waits -d erp
session_run crash 'SELECT pg_backend_pid()'
cluster_kill_session waits "$ANSWER"
until_value 'SELECT 1' 1 'preloaded: the server is back after the crash of a session' 2>/dev/null
PGUSER=clerk sqlstate waits erp "$(erp_order 5001 1 600); DELETE FROM erp.orders WHERE order_number = 5001" >/dev/null
is "$(value "SELECT statements FROM credit.stat WHERE source = 'erp.orders'")" 2 'preloaded: counted anew from 0'

# Not preloaded, somebody else has used up what the server leaves: locks can.
cluster_restart waits shared_preload_libraries= >/dev/null
if [ "$(value 'SHOW server_version_num')" -lt 170000 ]; then
	is "$(sqlstate waits postgres 'SELECT pg_advisory_xact_lock(g) FROM generate_series(1, 1000000) g')" 53200 \
		'shared memory is used up'
	is "$(value 'SELECT credit.stat_is_on()')" f 'then there is none for statistics'
	like "$(value "SELECT severity || ': ' || finding FROM credit.status() WHERE subject = 'statistics'")" \
		'warning: there is no shared memory' 'status() says so'
	is "$(value 'SELECT (SELECT count(*) FROM credit.stat), (SELECT count(*) FROM credit.waits), (SELECT count(*) FROM credit.progress)')" \
		'0|0|0' 'the views are empty'
	is "$(PGUSER=clerk sqlstate waits erp "$(erp_order 5001 1 600); DELETE FROM erp.orders WHERE order_number = 5001")" 00000 \
		'orders go on'
	is "$(PGUSER=clerk sqlstate waits erp "$(erp_order 5001 1 6000)")" 23514 'and are refused'
	cluster_restart waits >/dev/null
	is "$(value 'SELECT credit.stat_is_on()')" t 'after a restart there is some again'
fi

# --- progress -----------------------------------------------------------------

cluster_psql waits -d erp <<-'SQL' >/dev/null
	CREATE TABLE erp.history (number int PRIMARY KEY, customer int, total numeric);
	INSERT INTO erp.history SELECT g, 1 + g % 20, 0.01 FROM generate_series(1, 1000) g;
	ANALYZE erp.history;
	-- slow enough to be seen
	CREATE FUNCTION erp.slow(numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		PERFORM pg_sleep(0.001);
		RETURN $1;
	END $$;
SQL
session_start worker waits -d erp
session_send worker "SET client_min_messages = error;
	SELECT credit.attach('erp.history', 'order', key => 'number', customer => 'customer', amount => 'erp.slow(total)')"
seen=''
last='' moved=0 tries=0
while [ "$tries" -lt 600 ] && { [ -z "$seen" ] ||
	[ "$(value "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'worker' AND state = 'active'")" = 1 ]; }; do
	tries=$((tries + 1))
	row=$(value "SELECT phase, done, total FROM credit.progress WHERE command = 'attach' AND source = 'erp.history'")
	[ -n "$row" ] || continue
	[[ $seen == *"${row%%|*}"* ]] || seen+="${row%%|*};"
	[ "${row%%|*}" != "${last%%|*}" ] || [ "$row" = "$last" ] || moved=$((moved + 1))
	last=$row
done
session_hear worker
is "$ANSWER" erp.history 'attach is done'
like "$seen" 'checking the amounts.*reading documents' 'another session has seen its phases'
diag "$seen $moved"
ok 'and figures that move' [ "$moved" -ge 5 ]
is "$(value 'SELECT count(*) FROM credit.progress')" 0 'its end is seen too'
session_send worker 'BEGIN; LOCK TABLE erp.orders IN ROW EXCLUSIVE MODE'
session_hear worker
session_start other waits -d erp
session_send other "SELECT credit.detach('erp.orders', '1min')"
until_value 'SELECT command, source, phase, done, total IS NULL FROM credit.progress' \
	'detach|erp.orders|waiting for the lock on the table|0|t' 'a detach that waits for the table says so'
value "SELECT pg_cancel_backend(pid) FROM credit.progress" >/dev/null
session_hear other
is "$STATE" 57014 'it is cancelled'
until_value 'SELECT count(*) FROM credit.progress' 0 'and gone'
session_run worker ROLLBACK

# A purge commits as it goes, and is seen all the same, until it is cancelled.
session_send other "CALL credit.purge(keep => '0', keep_versions => '0', batch_rows => 1, pause => '20 ms')"
until_value "SELECT command, source IS NULL, phase, done > 3 FROM credit.progress" \
	'purge|t|deleting from credit.journal|t' 'a purge shows what it has deleted'
value "SELECT pg_cancel_backend(pid) FROM credit.progress" >/dev/null
session_hear other
is "$STATE" 57014 'it is cancelled'
until_value 'SELECT count(*) FROM credit.progress' 0 'and gone'
session_run other "CALL credit.purge(keep => '0')"
is "$STATE|$(value 'SELECT count(*) FROM credit.progress')" '00000|0' 'one that is done is gone too'
done_testing

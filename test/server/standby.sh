#!/usr/bin/env bash
# A standby shows what the primary shows and takes over; after a crash the
# ledger is what the ERP's own rows add up to.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

# standby_of PRIMARY NAME: a copy that follows
standby_of() {
	local dir
	dir=$(cluster_dir "$2")
	mkdir -p "$dir"
	PGHOST=$(cluster_dir "$1") pg_basebackup -D "$dir/data" -R -c fast -X stream
	cluster_start "$2" unix_socket_directories="$dir" hot_standby=on
}

# readings CLUSTER: each function of ours that only reads and can be called
# without an argument, with the way its call ends and what it returns
readings() {
	local call
	while read -r call; do
		echo "$call $(cluster_psql "$1" -d erp -A -t -v ON_ERROR_STOP=0 -v VERBOSITY=sqlstate \
			-c "SELECT md5(string_agg(f::text, '|' ORDER BY f::text)) FROM $call f" 2>&1)"
	done <<<"$reading_calls"
}

# All that can be read of a database, as one text.
everything() {
	cluster_value "$1" "
		SELECT 'exposure', e::text FROM credit.exposure e
		UNION ALL SELECT 'document', d::text FROM credit.exposure_document d
		UNION ALL SELECT 'past', p::text FROM credit.exposure_on(current_date - 1) p
		UNION ALL SELECT 'balance', b::text FROM credit.account a, credit.balance(a.account_id) b
		UNION ALL SELECT 'decision', d::text FROM credit.decision d
		UNION ALL SELECT 'history', h::text FROM credit.item_history h
		UNION ALL SELECT 'over', o::text FROM credit.over_limit o
		UNION ALL SELECT 'source', s.name || s.health FROM credit.sources s
		UNION ALL SELECT 'setting', s::text FROM credit.settings s
		UNION ALL SELECT 'status', s::text FROM credit.status() s
		ORDER BY 1, 2" -d erp
}

cluster_start primary synchronous_commit=on wal_log_hints=on wal_keep_size=256MB
erp_create primary erp
erp_attach primary erp

# --- standby ------------------------------------------------------------------

standby_of primary standby
standby_of standby cascade
cluster_psql primary -d erp -c "$(erp_order 500 1 100)" \
	-c "UPDATE erp.orders SET status = 'cancelled' WHERE order_number = 7" \
	-c 'UPDATE erp.customers SET credit_limit = 400 WHERE customer_number = 2'
# Open there: the standby must not count it, nor take it for committed.
session_start open primary -d erp
session_run open "BEGIN; $(erp_order 501 1 50)"
cluster_psql primary -d erp -c "$(erp_order 502 1 1)"
ok 'the standby catches up' cluster_caught_up primary standby
is "$(everything standby)" "$(everything primary)" 'the standby shows what the primary shows'
is "$(erp_differences standby erp)" '' 'and that is what its ERP rows add up to'
ok 'so does a standby of the standby, in time' cluster_caught_up primary cascade
is "$(everything cascade)" "$(everything primary)" 'and it shows the same'
queries=$(erp_queries primary erp)
is "$(erp_figures standby erp "$queries" | diff - <(erp_figures primary erp "$queries") | head -n 5)" '' \
	'every view can be read there, of today and of a past day'
reading_calls=$(cluster_value primary "SELECT format('credit.%I()', p.proname) FROM pg_proc p
	WHERE p.pronamespace = 'credit'::regnamespace AND p.provolatile <> 'v' AND p.prokind = 'f'
	  AND p.pronargs = p.pronargdefaults AND p.prorettype <> 'trigger'::regtype
	  /* of the server that is asked */
	  AND p.proname NOT IN ('stat_rows', 'wait_rows', 'progress_rows', 'jobs')
	ORDER BY 1" -d erp)
ok 'there are functions that read' test "$(wc -l <<<"$reading_calls")" -gt 15
is "$(readings standby | diff - <(readings primary))" '' 'and every function that reads'
is "$(cluster_value standby "SET credit.as_of = '2020-01-01'; SELECT trim_scale(sum(total)) FROM credit.exposure" -d erp)" \
	0 'credit.as_of works there'
session_run open 'COMMIT'
cluster_caught_up primary standby
is "$(erp_differences standby erp)" '' 'a commit is counted with the order'

session_start reader standby -d erp
session_run reader 'SELECT (SELECT sum(statements) FROM credit.stat), (SELECT count(*) FROM credit.waits), (SELECT count(*) FROM credit.progress)'
is "$ANSWER" '0|0|0' 'statistics are those of the server that is asked'
session_run reader "SELECT verdict FROM credit.check_order('1', 5000)"
is "$STATE|$ANSWER" '00000|reject' 'the dry run answers on a standby'
session_run reader "SELECT credit.set('mode', 'off')"
is "$STATE" 25006 'settings cannot be changed there'
session_run reader "SELECT credit.set_limit('1', 5, 'no')"
is "$STATE" 25006 'nor limits'

# A session of the standby that has cached the old setting and mapping.
session_run reader "SELECT value FROM credit.settings WHERE name = 'currency'"
cluster_psql primary -d erp -o /dev/null -c "SELECT credit.set('mode', 'shadow')" \
	-c "SELECT credit.detach('erp.\"Money Received\"')"
cluster_caught_up primary standby
session_run reader "SELECT value FROM credit.settings WHERE name = 'mode'"
is "$ANSWER" shadow 'a change of the primary is seen by a session of the standby'
cluster_psql primary -d erp -o /dev/null -c "SELECT credit.set('mode', NULL)" \
	-c "SET client_min_messages = warning" \
	-c "SELECT credit.attach('erp.\"Money Received\"', 'payment', key => '\"Receipt No\"',
		customer => '\"Customer\"', amount => '\"Amount\"', document_date => '\"Paid On\"')"

# Open transactions and a prepared one when the primary is lost.
session_run open "BEGIN; $(erp_order 510 3 900)"
cluster_psql primary -d erp -c "BEGIN; $(erp_order 511 4 800); PREPARE TRANSACTION 'px'"
cluster_psql primary -d erp -c "$(erp_order 512 3 1)" -c "$(erp_order 513 4 1)"
cluster_caught_up primary standby
# what the standby never hears of: the two go different ways from here
cluster_stop standby
cluster_psql primary -d erp -c "$(erp_order 514 5 700)" -c 'DELETE FROM erp.orders WHERE order_number = 12'
cluster_kill primary
session_end open
session_end reader
cluster_start standby
session_start reader standby -d erp
session_run reader "SELECT verdict FROM credit.check_order('1', 5000)"
ok 'promote the standby' cluster_value standby 'SELECT pg_promote()'
is "$(erp_differences standby erp)" '' 'after promotion exposure equals the sum of the rows'
session_run reader "$(erp_order 520 1 5000)"
is "$STATE" 23514 'a session from before checks orders'
session_run reader "$(erp_order 521 3 850)"
is "$STATE" 00000 'the lost transaction takes no room'
session_run reader "$(erp_order 522 3 100)"
is "$STATE" 23514 'nor does it give any'
is "$(sqlstate standby erp "SELECT credit.set('max_wait', '100ms')")" 00000 'settings can be changed'
session_run reader "$(erp_order 523 4 150)"
is "$STATE" 23514 'the prepared order keeps its part: whoever needs it is refused after max_wait'
like "$ANSWER" 'prepared transaction "px" of role postgres' 'and told why'
is "$(sqlstate standby erp "COMMIT PREPARED 'px'")" 00000 'it can be committed'
is "$(sqlstate standby erp "$(erp_order 524 4 150)")" 23514 'and counts'
is "$(sqlstate standby erp "$(erp_order 525 4 10)")" 00000 'what is left can be used'
is "$(erp_differences standby erp)" '' 'exposure equals the sum of the rows'
session_end reader

# --- the old primary comes back, and the standby of the standby takes over ------

dir=$(cluster_dir primary)
# before PostgreSQL 16 the new timeline is known to pg_rewind from its first checkpoint on
cluster_psql standby -c CHECKPOINT
ok 'pg_rewind of the old primary' pg_rewind -R -D "$dir/data" \
	--source-server="host=$(cluster_dir standby) user=postgres dbname=postgres"
cluster_start primary unix_socket_directories="$dir"
erp_work standby 9 &
worker=$!
sleep 1
ok 'it follows' cluster_caught_up standby primary
kill "$worker" 2>/dev/null || :
wait "$worker" || :
cluster_caught_up standby primary
cluster_caught_up standby cascade
for name in primary cascade; do
	is "$(erp_figures $name erp "$queries" | diff - <(erp_figures standby erp "$queries") | head -n 5)" '' \
		"$name shows what the new primary shows"
	is "$(erp_differences $name erp)" '' 'which is what its rows add up to'
done
# promoted while orders are in flight
erp_work standby 9 &
worker=$!
sleep 1
session_start open standby -d erp
session_run open "BEGIN; $(erp_order 530 6 500)"
cluster_psql standby -d erp -c "BEGIN; $(erp_order 531 7 600); PREPARE TRANSACTION 'py'" -c "$(erp_order 532 6 1)"
cluster_caught_up standby cascade
cluster_kill standby
session_end open
wait "$worker" || :
ok 'promote the standby of the standby' cluster_value cascade 'SELECT pg_promote()'
is "$(erp_differences cascade erp)" '' 'exposure equals the sum of the rows'
is "$(sqlstate cascade erp "$(erp_order 533 6 600)")" 00000 'what was in flight takes no room'
is "$(sqlstate cascade erp "$(erp_order 534 7 600)")" 23514 'what was prepared keeps its own'
is "$(sqlstate cascade erp "ROLLBACK PREPARED 'py'; $(erp_order 535 7 600)")" 00000 'until it is rolled back'
is "$(erp_differences cascade erp)|$(cluster_value cascade 'SELECT * FROM credit.reconcile()' -d erp)" '|' \
	'and exposure equals the sum of the rows'
for name in primary cascade; do
	cluster_stop "$name"
done

# --- crash --------------------------------------------------------------------

cluster_start crash max_prepared_transactions=20 autovacuum_naptime=1s
erp_create crash erp
erp_attach crash erp

for round in 1 2 3; do
	# With asynchronous commit a crash may lose the end, but never the middle.
	[ "$round" != 2 ] || cluster_restart crash synchronous_commit=off
	erp_work crash 4 &
	session_start open crash -d erp
	session_run open "BEGIN; $(erp_order $((round * 10 + 500)) 5 300)"
	session_run open "SAVEPOINT s; $(erp_order $((round * 10 + 501)) 5 300)"
	cluster_psql crash -d erp -c "BEGIN; $(erp_order $((round * 10 + 502)) 6 1)" \
		-c "PREPARE TRANSACTION 'p$round'"
	# The row behind both, which names them, reaches the disk.
	cluster_psql crash -d erp -c "$(erp_order $((round * 10 + 503)) 5 1)" \
		-c "$(erp_order $((round * 10 + 504)) 6 1)"
	[ "$round" = 3 ] || cluster_psql crash -c CHECKPOINT
	sleep 1
	ok "$round: clerks are at work" patiently 30 cluster_says crash "SELECT count(*) > $((round * 50)) FROM erp.orders WHERE order_number > 1000" -d erp
	cluster_kill crash
	session_end open
	wait
	ok "$round: recovery" cluster_start crash
	is "$(erp_differences crash erp)" '' "$round: exposure equals the sum of the rows"
	is "$(sqlstate crash erp "$(erp_order $((round * 10 + 505)) 1 5000)")" 23514 \
		"$round: an order beyond the limit is refused"
	is "$(sqlstate crash erp "$(erp_order $((round * 10 + 506)) 5 500); DELETE FROM erp.orders WHERE order_number = $((round * 10 + 506))")" \
		00000 "$round: what crashed takes no room"
	is "$(sqlstate crash erp "$(erp_order $((round * 10 + 507)) 6 1)")" 00000 \
		"$round: a chain with a prepared transaction goes on"
	is "$(erp_differences crash erp)" '' "$round: exposure equals the sum of the rows"
done
ok 'orders were placed meanwhile' test \
	"$(cluster_value crash 'SELECT count(*) FROM erp.orders WHERE order_number > 1000' -d erp)" -gt 100
is "$(sqlstate crash erp "COMMIT PREPARED 'p1'")|$(sqlstate crash erp "ROLLBACK PREPARED 'p2'")|$(sqlstate crash erp "COMMIT PREPARED 'p3'")" \
	'00000|00000|00000' 'prepared transactions end after three crashes'
is "$(erp_differences crash erp)" '' 'and exposure equals the sum of the rows'
done_testing

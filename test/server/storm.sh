#!/usr/bin/env bash
# Twelve clients order, pay, change, cancel and reassign on a few customers, at
# every isolation level, with savepoints, errors, prepared transactions and a
# crash of the server. The limits must hold all the time, and at the end the
# ledger must say what the tables of the ERP say.
#
# Longer or other storms: STORM_SECONDS=600 STORM_SEED=7 make check SUITES=server TESTS=storm
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"

here=$(dirname "$0")
logs=$CREDIT_WORK/results/server/storm
seconds=${STORM_SECONDS:-24}
seed=${STORM_SEED:-$RANDOM}
clients=12
mkdir -p "$logs"
diag "STORM_SEED=$seed"

# --- the storm ---------------------------------------------------------------

# Feeds a program's output to psql until SECONDS has reached $1. A crash of the
# server ends psql, not the storm.
feed() {
	local until=$1 log=$2
	shift 2
	while [ "$SECONDS" -lt "$until" ]; do
		"$@" 2>/dev/null |
			timeout $((until - SECONDS)) psql -X -q -A -t >>"$log" 2>&1 || sleep 0.2
	done
}

client() {
	while [ "$SECONDS" -lt "$2" ]; do
		awk -f "$here/storm/traffic.awk" -v client="$1" \
			-v seed=$((seed * 100000 + SECONDS * 100 + $1)) 2>/dev/null |
			timeout $(($2 - SECONDS)) psql -X -q -A -t >/dev/null 2>>"$logs/client.$1" ||
			sleep 0.2
	done
}

# Looks twice through one snapshot. (cat fails when psql has gone: so does the loop.)
observation() {
	while cat <<-SQL; do :; done
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT 'saw ' || replace(shop.verdict($1), chr(10), '; ');
		SELECT pg_sleep(0.3 * random());
		SELECT 'saw ' || replace(shop.verdict($1), chr(10), '; ');
		COMMIT;
	SQL
}

# Ends what the clients have prepared and left.
janitor() {
	while cat <<-'SQL'; do :; done
		SELECT format('%s PREPARED %L',
			CASE WHEN random() < 0.5 THEN 'COMMIT' ELSE 'ROLLBACK' END, gid)
		FROM pg_prepared_xacts WHERE prepared < now() - interval '0.2 s' \gexec
		VACUUM credit.journal, credit.item, credit.account_limit, erp.orders;
		SELECT pg_sleep(0.2);
	SQL
}

# Raises and lowers limits, keeps some changes open for a while, gives some up.
limits() {
	while cat <<-SQL; do :; done
		BEGIN;
		UPDATE erp.customers SET credit_limit = $((RANDOM % 20 * 100))
		WHERE customer = 'h$((RANDOM % 6 + 1))';
		SELECT pg_sleep(0.1 * random());
		$([ $((RANDOM % 4)) = 0 ] && echo ROLLBACK || echo COMMIT);
	SQL
}

start_clients() {
	local n
	for n in $(seq "$clients"); do
		client "$n" "$1" &
	done
	feed "$1" "$logs/janitor" janitor &
}

storm_with_a_crash() {
	local until=$((SECONDS + seconds))
	start_clients "$until"
	feed "$until" "$logs/observer.1" observation "" &
	feed "$until" "$logs/observer.2" observation "" &
	sleep $((seconds / 2))
	cluster_kill storm
	cluster_start storm
	wait
}

# What was accepted under a higher limit may be above a lower one.
storm_with_limits() {
	local until=$((SECONDS + seconds / 2))
	start_clients "$until"
	feed "$until" "$logs/limits" limits &
	feed "$until" "$logs/observer.3" observation \
		"(SELECT array_agg(customer) FROM erp.customers)" &
	wait
}

end_prepared() {
	cluster_psql storm -o /dev/null <<-'SQL'
		SELECT format('COMMIT PREPARED %L', gid) FROM pg_prepared_xacts \gexec
	SQL
}

# --- what it has shown -------------------------------------------------------

# SQLSTATEs that the clients were given, with their number.
client_errors() {
	sed -n 's/^\(psql:[^ ]* \)\?\(ERROR\|FATAL\|PANIC\):  \([0-9A-Z]\{5\}\):.*/\3/p' \
		"$logs"/client.* | sort | uniq -c
}

# What is to be expected: refusals, conflicts of the ERP's own rows, deadlocks,
# what follows an error, errors made on purpose, and those of a crash.
unexpected_errors() {
	client_errors | grep -vE ' (23514|40001|40P01|25P02|3B001|22012|57P0[123])$' || :
}

# "limit 100, exposure 60, adds 60 USD": too much, by its own figures?
unjustified_refusals() {
	sed -n 's/.*: limit \([^,]*\), exposure \([^,]*\), adds \([^ ]*\) USD.*/\1 \2 \3/p' \
		"$logs"/client.* | awk '$2 + $3 <= $1 + 0.001'
}

refusals() {
	sed 's/^psql:[^ ]* //' "$logs"/client.* | grep -c '^ERROR:  23514: .*credit limit: limit' || :
}

# Observations other than "ok", and errors of the observers.
sights() {
	sed -n -e '/^saw ok$/d' -e '/^saw/p' -e '/ERROR:/p' "$@" | sort | uniq -c | head -n 20
}

looks() {
	cat "$logs"/observer.* | grep -c '^saw' || :
}

wrong_room() {
	cluster_value storm "SELECT erp.room_is_wrong(customer, headroom)
		FROM credit.exposure WHERE headroom > 0" | grep -v '^$' || :
}

cluster_start storm fsync=off deadlock_timeout=200ms autovacuum_naptime=1s \
	track_commit_timestamp=on max_prepared_transactions=60
cluster_psql storm -o /dev/null -f "$here/../lib/shop.sql" -f "$here/storm/setup.sql"

storm_with_a_crash
end_prepared

accepted=$(cluster_value storm 'SELECT count(*) FROM erp.accepted')
refused=$(refusals)
diag "accepted: $accepted, refused: $refused, looked: $(looks) times"
client_errors | sed 's/^/# /'
ok 'orders were accepted, in numbers' test "$accepted" -ge 300
ok 'orders were refused, in numbers' test "$refused" -ge 100
ok 'observers have looked often' test "$(looks)" -ge 20
is "$(sights "$logs"/observer.[12])" '' 'no observer ever saw a wrong sum or a limit exceeded'
is "$(cluster_value storm 'SELECT shop.verdict()')" ok 'the ledger is what the ERP says'
is "$(cluster_value storm 'SELECT * FROM erp.after_commit WHERE exposure > 1000 LIMIT 5')" '' \
	'no commit ever took an account above its limit'
is "$(cluster_value storm 'SELECT * FROM erp.accepted WHERE exposure > credit_limit LIMIT 5')" '' \
	'no order was accepted that did not fit'
is "$(unjustified_refusals | head -n 5)" '' 'no order was refused that fitted'
is "$(wrong_room)" '' 'the room of every account is its headroom, to the cent'

storm_with_limits
end_prepared

ok 'limits were changed while orders came' \
	test "$(cluster_value storm 'SELECT count(*) FROM credit.limit_change')" -ge 80
is "$(sights "$logs/observer.3")" '' 'changing limits: no observer saw a wrong sum'
is "$(cluster_value storm "SELECT shop.verdict(array_agg(customer)) FROM erp.customers")" ok \
	'changing limits: the ledger is what the ERP says'
is "$(cluster_value storm 'SELECT * FROM erp.accepted WHERE exposure > credit_limit LIMIT 5')" '' \
	'changing limits: every order fitted the limit in force when it was checked'
is "$(unjustified_refusals | head -n 5)" '' 'changing limits: no order was refused that fitted'
is "$(wrong_room)" '' 'changing limits: the room of every account is its headroom'

is "$(unexpected_errors)" '' 'clients met no errors but those to be expected'
is "$(grep -E 'TRAP:|PANIC|signal (6|7|11):|XX00' "$(cluster_log storm)" | head -n 5)" '' \
	'no process of the server has failed'
done_testing

# shellcheck shell=bash
#
# suite.sh: what the scripts of test/suites share, above all true counts.
#
# A suite runs in the root of the workspace's tree, writes its log to standard
# output and ends it with a line `N passed, N failed`. Its files go to
# $SUITE_RESULTS. TESTS, where set, names the tests to run, without suffix.

# shellcheck source=test/lib/cluster.sh
. "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

SUITE=${0##*/}
SUITE_RESULTS=$CREDIT_WORK/results/$SUITE
PASSED=0
FAILED=0
mkdir -p "$SUITE_RESULTS"

count() {
	PASSED=$((PASSED + $1))
	FAILED=$((FAILED + $2))
}

# What a server's log says of a crash; by something else than a test's kill -9,
# it is a bug, whatever the test has noticed.
CRASH='PANIC: |TRAP: |was terminated by signal'
BUG='PANIC: |TRAP: |was terminated by signal (4|6|7|8|11)([^0-9]|$)'

# server_has_bug NAME
server_has_bug() {
	grep -qE "$BUG" "$(cluster_log "$1")" 2>/dev/null
}

# server_tell NAME: the crashes of a server, with what came before, and the last
# errors of its log, as comments.
server_tell() {
	local log
	log=$(cluster_log "$1")
	[ -s "$log" ] || return 0
	{
		grep -E -B 6 -A 1 "$CRASH" "$log" | tail -n 24 || :
		echo 'last errors:'
		grep -E ' (ERROR|FATAL): ' "$log" | tail -n 8 || :
	} | cut -c 1-400 | sed "s/^/# server $1: /"
}

# server_activity: what the sessions of all servers are doing, of a test that
# does not end
server_activity() {
	local socket
	for socket in "$CREDIT_WORK"/clusters/*/.s.PGSQL.5432; do
		[ -S "$socket" ] || continue
		socket=${socket%/*}
		PGHOST=$socket PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=5 \
			timeout 10 psql -X -q -A -t -c "SELECT pid, application_name, state, wait_event_type, wait_event,
				pg_blocking_pids(pid), clock_timestamp() - query_start, left(regexp_replace(query, '\s+', ' ', 'g'), 150)
				FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()" 2>&1 |
			sed "s/^/# server ${socket##*/}: /" || :
	done
}

# The last lines of a suite. Without a single test it has failed.
suite_verdict() {
	if server_has_bug "$SUITE"; then
		echo "suite $SUITE: its server has crashed"
		server_tell "$SUITE"
		count 0 1
	fi
	if [ $((PASSED + FAILED)) = 0 ]; then
		echo "suite $SUITE: no tests"
		FAILED=1
	fi
	echo "$PASSED passed, $FAILED failed"
	[ "$FAILED" = 0 ]
}

# Tests of this suite, one a line, out of the files given.
chosen_tests() {
	local file name
	for file in "$@"; do
		name=${file##*/}
		name=${name%.*}
		if [ -z "${TESTS:-}" ] || [[ " $TESTS " == *" $name "* ]]; then
			[ ! -e "$file" ] || echo "$name"
		fi
	done
}

# count_tap LOG STATUS: LOG is TAP, as a script or a verbose prove writes it. Tests that the plan
# promised and that did not run have failed; that there was no plan, or that
# the script died, shows in the exit status only. What is skipped counts as
# nothing.
count_tap() {
	local passed failed ran planned
	passed=$(grep -E '^(ok [0-9]|not ok [0-9].*# TODO)' "$1" | grep -ciEv '# *skip' || :)
	failed=$(grep -E '^not ok [0-9]' "$1" | grep -cv '# TODO' || :)
	ran=$(grep -cE '^(not )?ok [0-9]' "$1" || :)
	planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$1" | head -n 1)
	if [ "${planned:-0}" -gt "$ran" ]; then
		failed=$((failed + planned - ran))
	fi
	if [ "$failed" = 0 ] && { [ "$2" != 0 ] || [ "$passed" = 0 ]; }; then
		failed=1
	fi
	count "$passed" "$failed"
	[ "$failed" = 0 ]
}

# tap_try FILE: runs a script that writes TAP, for 15 minutes at most, or as many
# seconds as TAP_PATIENCE says; leaves its log, with what its servers have to say
# where it failed, and how it ended. It writes the log by itself: prove would
# keep the last lines of one that does not end.
tap_try() {
	local name=${1##*/} status=0 log watcher server patience=${TAP_PATIENCE:-900}
	name=${name%.sh}
	log=$SUITE_RESULTS/$name.log
	: >"$log.servers"
	{
		trap 'kill "$!"; exit' TERM
		sleep $((patience - 30)) &
		wait "$!"
		server_activity >"$log.activity"
	} &
	watcher=$!
	CREDIT_STARTED=$log.servers timeout "$patience" bash "$1" >"$log" 2>&1 || status=$?
	[ "$status" != 0 ] || grep -qE '^1\.\.[0-9]' "$log" || status=1
	kill "$watcher" 2>/dev/null || :
	wait "$watcher" || :
	while read -r server; do
		if server_has_bug "$server"; then
			echo "not ok - server $server has not crashed" >>"$log"
			status=1
		fi
	done < <(sort -u "$log.servers")
	if [ "$status" != 0 ] || grep -q '^not ok' "$log"; then
		[ "$status" != 124 ] || echo "# ended after $patience s; shortly before:" >>"$log"
		cat "$log.activity" >>"$log" 2>/dev/null || :
		while read -r server; do
			server_tell "$server" >>"$log"
		done < <(sort -u "$log.servers")
	fi
	echo "$status" >"$SUITE_RESULTS/$name.status"
}

# tap_tell NAME: counts what tap_try has left, and shows what went wrong.
tap_tell() {
	local log=$SUITE_RESULTS/$1.log
	count_tap "$log" "$(cat "$SUITE_RESULTS/$1.status")" || {
		echo "--- $1"
		grep -v '^ok\b' "$log" >"$log.short" || :
		show "$log.short" 120
	}
}

# count_regress LOG EXPECTED: LOG is what pg_regress wrote, "test a ... ok" up
# to release 15 and TAP after that. EXPECTED tests were asked for: those that
# are not heard of because the run broke off have failed.
count_regress() {
	local passed
	passed=$(grep -cE '^(test .*\.\.\. ok|ok [0-9]+ )' "$1" || :)
	count "$passed" $(($2 - passed))
	[ "$passed" = "$2" ]
}

# The begin of a long file, and its last lines; all of it is in build/results.
show() {
	local most=${2:-150}
	[ -s "$1" ] || return 0
	if [ "$(wc -l <"$1")" -le $((most + 30)) ]; then
		cat "$1"
		return
	fi
	head -n "$most" "$1"
	echo "... (all of it: build/results/${1#"$CREDIT_WORK"/results/})"
	tail -n 30 "$1"
}

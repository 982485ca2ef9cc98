# shellcheck shell=bash
#
# judge.sh: what a storm has shown. After people.sh and wal.sh.
#
#     storm_judge CLUSTER      everything since storm_begin, when all is calm;
#                              leaves $STORM_LOGS/verdict
#     storm_failures CLUSTER   processes of a server that have failed
#     storm_figure NAME        a number of the verdict
#     storm_violations [RULE]  its violations
#
# The rules: verdict.pl has commit, increase, sum (from the WAL), refusal, wait,
# error and server (from logs), and harness, where the evidence is not whole.
# Here come observer, snapshot, journal and room.

# shellcheck source=test/crash/storm/wal.sh
. "$(dirname "${BASH_SOURCE[0]}")/wal.sh"

# Each line of a query is a violation.
storm_findings() {
	cluster_value "$1" "$3" | sed -n "s/^./VIOLATION $2: &/p" || :
}

storm_judge() {
	local cluster=$1 max_wait
	max_wait=$(cluster_value "$cluster" "SELECT 1000 * extract(epoch FROM value::interval)
		FROM credit.settings WHERE name = 'max_wait'")
	cluster_value "$cluster" 'SELECT torture.evidence()' >"$STORM_LOGS/evidence"
	wal_events "$cluster" "$STORM_WAL_FROM" >"$STORM_LOGS/wal"
	tail -c "+$STORM_LOG_FROM" "$(cluster_log "$cluster")" >"$STORM_LOGS/server"
	{
		perl "$STORM_HERE/verdict.pl" --evidence "$STORM_LOGS/evidence" \
			--wal "$STORM_LOGS/wal" --log "$STORM_LOGS/server" \
			--crashes "$STORM_LOGS/crashes" --database "$PGDATABASE" \
			--max-wait "$max_wait" "$STORM_LOGS"/client.* ||
			echo 'VIOLATION harness: verdict.pl has failed'
		storm_sights | sed 's/^/VIOLATION observer: /'
		storm_findings "$cluster" snapshot 'SELECT torture.differences() LIMIT 20'
		storm_findings "$cluster" journal 'SELECT torture.journal_differences() LIMIT 20'
		storm_findings "$cluster" room 'SELECT torture.wrong_rooms()'
	} >"$STORM_LOGS/verdict" 2>&1
}

# What a server's log says of processes that have failed.
storm_failures() {
	grep -E 'PANIC:|TRAP:|signal (6|7|11)([^0-9]|$)|\|XX' "$(cluster_log "$1")" | head -n 5 || :
}

storm_figure() {
	sed -nE "s/^FIGURE $1 ([0-9]+)$/\1/p" "$STORM_LOGS/verdict" | grep . || echo 0
}

# shellcheck disable=SC2120 # without a rule: all
storm_violations() {
	grep -E "^VIOLATION ${1:-}" "$STORM_LOGS/verdict" || :
}

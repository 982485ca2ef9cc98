#!/usr/bin/env bash
# The short form of the torture: some clients, half a minute, one crash of the
# server, a standby. `make torture` is the long one. What is done and what is
# checked: doc/torture.md. The same storm again: STORM_SEED=7 make check SUITES=crash TESTS=short
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=test/lib/tap.sh
. "$here/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$here/../lib/cluster.sh"
# shellcheck source=test/crash/storm/people.sh
. "$here/storm/people.sh"
# shellcheck source=test/crash/storm/judge.sh
. "$here/storm/judge.sh"

STORM_LOGS=$CREDIT_WORK/results/crash/short
seconds=${STORM_SECONDS:-30}
mkdir -p "$STORM_LOGS"
diag "STORM_SEED=$STORM_SEED"

# recovery and the standby compare every page of an index with the original
cluster_start storm "${STORM_SETTINGS[@]}" wal_consistency_checking=btree
storm_begin storm
storm_open storm
storm_standby storm storm-standby

until=$((SECONDS + seconds))
storm_blow storm 12 "$until"
storm_watch storm-standby observer.standby "$until"
sleep $((seconds / 2))
storm_crash storm
is "$(cluster_value storm 'SELECT torture.full_verdict()')" ok 'right after the crash the ledger is what the ERP says'
wait
storm_calm storm
storm_judge storm

# Has the storm shown enough?  On a slow machine it goes on for a while.
enough() {
	[ "$(storm_figure 'commits that changed exposure')" -ge 300 ] &&
		[ "$(storm_figure increases)" -ge 300 ] &&
		[ "$(storm_figure refusals)" -ge 100 ] &&
		[ "$(storm_figure 'refusals judged: exposure exactly found')" -ge 20 ] &&
		[ "$(storm_figure 'limit changes')" -ge 60 ] &&
		[ "$(cluster_value storm 'SELECT count(*) FROM torture.source')" -ge 4 ]
}
for _ in 1 2 3 4; do
	! enough || break
	until=$((SECONDS + seconds))
	storm_blow storm 12 "$until"
	storm_watch storm-standby observer.standby "$until"
	wait
	storm_calm storm
	storm_judge storm
done

sed -n 's/^FIGURE/#/p' "$STORM_LOGS/verdict"
diag "observations: $(storm_looks)"
ok 'exposure was changed, in numbers' test "$(storm_figure 'commits that changed exposure')" -ge 300
ok 'increases were checked, in numbers' test "$(storm_figure increases)" -ge 300
ok 'orders were refused, in numbers' test "$(storm_figure refusals)" -ge 100
ok 'the exposure of refusals could be judged' test "$(storm_figure 'refusals judged: exposure exactly found')" -ge 20
ok 'limits were changed while orders came' test "$(storm_figure 'limit changes')" -ge 60
ok 'a further source came and went' test "$(cluster_value storm 'SELECT count(*) FROM torture.source')" -ge 4
ok 'observers have looked often' test "$(grep -c '^saw' "$STORM_LOGS/observer.1")" -ge 10
ok 'also on the standby' test "$(grep -c '^saw' "$STORM_LOGS/observer.standby")" -ge 10

# rule: what must hold
while IFS='|' read -r rule what; do
	is "$(storm_violations "$rule" | head -n 5)" '' "$what"
done <<'RULES'
commit|after no commit an account was above a limit that never changes
increase|every increase fitted the limit in force when it was written
sum|the commits in the WAL add up to what the ERP says
refusal|every refusal was right, and named figures that were there
wait|nobody was refused because of others before max_wait was over
observer|no observer ever saw anything wrong
snapshot|in the end the ledger is what the ERP says
journal|and the journal, change by change
room|the room of every account is its headroom, to the cent
error|clients met no errors but those to be expected
server|no process of the server has failed
harness|the evidence is whole
RULES
ok 'the standby catches up' cluster_caught_up storm storm-standby 30
is "$(cluster_value storm-standby 'SELECT torture.full_verdict()')" ok 'and says what the ERP says'
is "$(storm_failures storm-standby)" '' 'none of its processes has failed'

# Has each index what its table has, in order, and do all its pages agree?
indexes_are_whole() {
	cluster_psql storm -c 'CREATE EXTENSION amcheck' -c "
		SELECT bt_index_parent_check(c.oid, true, true)
		  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
		 WHERE c.relnamespace = 'credit'::regnamespace AND i.indisvalid"
}
if [ "$(cluster_value storm "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'")" = 1 ]; then
	ok 'the indexes of the ledger are whole' indexes_are_whole
else
	diag 'this PostgreSQL has no amcheck: the indexes were not looked at'
fi
done_testing

#!/usr/bin/env bash
# The test of the test: the storm blows on a library in which one protection is
# missing, and the harness has to see it, for each protection. src/sabotage.c
# says what each of them is; `make SABOTAGE=1` builds that library.
#
# Some of them: VARIANTS="peak memo" make check SUITES=crash TESTS=sabotage
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=test/lib/tap.sh
. "$here/../lib/tap.sh"
# shellcheck source=test/lib/prepare.sh
. "$here/../lib/prepare.sh"
# shellcheck source=test/lib/cluster.sh
. "$here/../lib/cluster.sh"
# shellcheck source=test/crash/storm/people.sh
. "$here/storm/people.sh"
# shellcheck source=test/crash/storm/judge.sh
. "$here/storm/judge.sh"
# shellcheck source=test/lib/specs.sh
. "$here/../lib/specs.sh"

results=$CREDIT_WORK/results/crash/sabotage
clients=8
slice=3		# seconds between two verdicts
slices=6	# and how often, at most
mkdir -p "$results"

# --- a library that can be used has nothing of this -----------------------------

library=$CREDIT_WORK/postgres$("$PG_CONFIG" --pkglibdir)/credit.so
cluster_start sound
cluster_psql sound -c 'CREATE EXTENSION credit'
like "$(cluster_value sound "LOAD 'credit'; SHOW credit.sabotage" 2>&1)" 'unrecognized configuration parameter' \
	'the library as it is installed has no such setting'
like "$(cluster_value sound "LOAD 'credit'; SET credit.sabotage = 'none'" 2>&1)" 'invalid configuration parameter' \
	'and takes none'
is "$(grep -ciF sabotage "$library" || :)" 0 'nor anything else of that name'
cluster_stop sound

# --- one that has ---------------------------------------------------------------

make_sabotaged() {
	cp -R "$CREDIT_WORK/tree" "$CREDIT_WORK/tree-sabotaged"
	make -s -C "$CREDIT_WORK/tree-sabotaged" clean >/dev/null
	build_into "$CREDIT_WORK/tree-sabotaged" "$CREDIT_WORK/sabotaged" SABOTAGE=1
}

# The storm in a database of its own, until the first finding.
storm_without() {
	local variant=$1 n	# $2: slices
	export PGDATABASE=without_$variant
	STORM_LOGS=$results/$variant
	mkdir -p "$STORM_LOGS"
	: >"$STORM_LOGS/found"
	PGDATABASE=postgres cluster_psql sabotaged -c "CREATE DATABASE without_$variant" \
		-c "ALTER DATABASE without_$variant SET credit.sabotage = '$variant'"
	storm_begin sabotaged
	storm_open sabotaged
	for n in $(seq "$2"); do
		storm_blow sabotaged "$clients" $((SECONDS + slice))
		wait
		storm_calm sabotaged || return 1
		storm_judge sabotaged
		storm_violations >>"$STORM_LOGS/found"
		! grep -qv '^VIOLATION harness' "$STORM_LOGS/found" || return 0
		# of which nothing is to be found is only looked at often enough
		[ "$variant" != none ] || [ "$n" -lt 2 ] || [ "$(storm_figure increases)" -lt 100 ] || break
	done
	return 1
}

# Which rules have caught it.
caught_by() {
	sed -n 's/^VIOLATION \([a-z]*\):.*/\1/p' "$STORM_LOGS/found" | sort | uniq -c |
		sort -rn | awk '{ printf "%s%s %d", sep, $2, $1; sep = ", " }'
}

# What concurrency has not shown in time, an isolation spec may show for certain:
# one that holds with nothing taken away, and does not without this. Those that
# are known to; any may, where none is named here.
declare -A shown_by=(
	[limit_place]='limit-in-words limit-raised'
	[limit_in_flight]='limit-raised waiting'
	[item_snapshot]='view-lines view-lock'
)

# specs_hold_without VARIANT SPEC...
specs_hold_without() {
	local variant=$1 database=specs_without_$1 output=$results/$1/specs
	shift
	mkdir -p "$output"
	if [ -z "$(PGDATABASE=postgres cluster_value sabotaged "SELECT 1 FROM pg_database WHERE datname = '$database'")" ]; then
		PGDATABASE=postgres specs_prepare sabotaged "$database"
		PGDATABASE=postgres cluster_psql sabotaged \
			-c "ALTER DATABASE $database SET credit.sabotage = '$variant'"
	fi
	specs_run "$database" "$output" "$@"
}

specs_show() {
	local specs
	read -ra specs <<<"${shown_by[$1]:-}"
	[ "${#specs[@]}" -gt 0 ] || mapfile -t specs < <(cd test/isolation/specs && basename -s .spec -- *.spec)
	! specs_hold_without "$1" "${specs[@]}" && specs_hold_without none "${specs[@]}"
}

specs_that_fail() {
	sed -nE -e 's/^test +([a-z-]+) .*FAILED.*/\1/p' -e 's/^not ok [0-9]+ +- ([a-z-]+) .*/\1/p' \
		"$results/$1/specs/log" |
		paste -s -d ' '
}

ok 'a library that has it can be built' make_sabotaged
use_postgres "$CREDIT_WORK/sabotaged"
cluster_start sabotaged "${STORM_SETTINGS[@]}" fsync=off
mapfile -t variants < <(sed -n 's/^\t{"\([a-z_]*\)", SABOTAGE_.*/\1/p' src/sabotage.c | grep -v '^none$')
[ -z "${VARIANTS:-}" ] || read -ra variants <<<"$VARIANTS"

# With all protections in place the harness must be silent.
if storm_without none "$slices"; then
	tap_result no 'with nothing taken away there is nothing to be found'
else
	is "$(cat "$STORM_LOGS/found")" '' 'with nothing taken away there is nothing to be found'
fi
ok 'although the harness has looked' test "$(storm_figure increases)" -ge 100
for variant in "${variants[@]}"; do
	began=$SECONDS
	if storm_without "$variant" "$slices"; then
		tap_result yes "without $variant: found after $((SECONDS - began)) s by $(caught_by)"
		head -n 2 "$STORM_LOGS/found" | cut -c 1-200 | sed 's/^/#   /'
	elif specs_show "$variant"; then
		tap_result yes "without $variant: found after $((SECONDS - began)) s by isolation specs: $(specs_that_fail "$variant")"
	else
		tap_result no "without $variant: not found in $((SECONDS - began)) s"
	fi
done
done_testing

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

# The last lines of a suite. Without a single test it has failed.
suite_verdict() {
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

# count_tap LOG STATUS: LOG is the verbose output of prove. Tests that the plan
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

# tap_try FILE: runs a script that writes TAP; leaves its log, and how it ended.
tap_try() {
	local name=${1##*/} status=0
	name=${name%.sh}
	timeout 900 prove --verbose --exec bash "$1" >"$SUITE_RESULTS/$name.log" 2>&1 || status=$?
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

# The begin of a long file; all of it is in build/results.
show() {
	[ -s "$1" ] || return 0
	head -n "${2:-150}" "$1"
	[ "$(wc -l <"$1")" -le "${2:-150}" ] || echo "... (all of it: build/results/${1#"$CREDIT_WORK"/results/})"
}

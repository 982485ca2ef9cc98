# shellcheck shell=bash
#
# tap.sh: write a test of test/server in bash.
#
#     . "$(dirname "$0")/../lib/tap.sh"
#     ok   'what must hold'  command [arguments]     succeeds
#     fails 'what must not'  command [arguments]     ends with an error
#     is   "$got" "$wanted"  'description'
#     isnt "$got" "$unwanted" 'description'
#     like "$got" 'regex'    'description'           extended regular expression
#     done_testing
#
# A script that ends before done_testing has no plan and so counts as failed.

TAP_COUNT=0
TAP_FAILED=0

diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

tap_result() {
	local holds=$1 description=$2
	TAP_COUNT=$((TAP_COUNT + 1))
	if [ "$holds" = yes ]; then
		echo "ok $TAP_COUNT - $description"
	else
		TAP_FAILED=$((TAP_FAILED + 1))
		echo "not ok $TAP_COUNT - $description"
	fi
}

ok() {
	local description=$1 output
	shift
	if output=$("$@" 2>&1); then
		tap_result yes "$description"
	else
		tap_result no "$description"
		diag "failed: $*"
		diag "$output"
	fi
}

fails() {
	local description=$1 output
	shift
	if output=$("$@" 2>&1); then
		tap_result no "$description"
		diag "succeeded: $*"
		diag "$output"
	else
		tap_result yes "$description"
	fi
}

is() {
	if [ "$1" = "$2" ]; then
		tap_result yes "$3"
	else
		tap_result no "$3"
		diag "got:    $1"
		diag "wanted: $2"
	fi
}

isnt() {
	if [ "$1" != "$2" ]; then
		tap_result yes "$3"
	else
		tap_result no "$3"
		diag "got: $1"
	fi
}

like() {
	if [[ $1 =~ $2 ]]; then
		tap_result yes "$3"
	else
		tap_result no "$3"
		diag "got:    $1"
		diag "wanted: $2"
	fi
}

done_testing() {
	echo "1..$TAP_COUNT"
	[ "$TAP_FAILED" = 0 ]
}

# shellcheck shell=bash
#
# session.sh: several sessions at once, each a psql of its own that is spoken
# to through pipes. After cluster.sh.
#
#     session_start a CLUSTER [psql arguments]
#     session_run a 'SQL'     sends and waits: ANSWER is what came (values and
#                             messages), STATE the SQLSTATE of the last command
#     session_send a 'SQL'    sends only,
#     session_hear a          and this waits for the answer
#     session_end a
#
# Answers are read within SESSION_PATIENCE seconds (60) or the script ends: a
# test must not hang.

declare -A SESSION_IN SESSION_OUT SESSION_PID
ANSWER='' STATE=''
# Marks the end of an answer; no answer has a line that starts like this.
SESSION_MARK='@@@@'

session_start() {
	local name=$1 cluster=$2 pipe fd
	shift 2
	pipe=$(mktemp -d "$CREDIT_WORK/session.XXXXXX")
	mkfifo "$pipe/in" "$pipe/out"
	# Line by line, or results and errors would lose their order.
	PGHOST=$(cluster_dir "$cluster") PGAPPNAME=$name stdbuf -oL \
		psql -X -q -A -t "$@" <"$pipe/in" >"$pipe/out" 2>&1 &
	SESSION_PID[$name]=$!
	exec {fd}>"$pipe/in"
	SESSION_IN[$name]=$fd
	exec {fd}<"$pipe/out"
	SESSION_OUT[$name]=$fd
	rm -r "$pipe"
}

session_send() {
	# shellcheck disable=SC2028 # \echo is psql's
	printf '%s;\n\\echo %s :SQLSTATE\n' "$2" "$SESSION_MARK" >&"${SESSION_IN[$1]}"
}

session_hear() {
	local line
	ANSWER=''
	while IFS= read -r -t "${SESSION_PATIENCE:-60}" -u "${SESSION_OUT[$1]}" line || {
		echo "session $1 gives no answer" >&2
		exit 1
	}; do
		[[ $line != "$SESSION_MARK "* ]] || break
		ANSWER+=${ANSWER:+$'\n'}$line
	done
	# shellcheck disable=SC2034 # for the caller
	STATE=${line#"$SESSION_MARK "}
}

session_run() {
	session_send "$1" "$2"
	session_hear "$1"
}

session_end() {
	local fd
	fd=${SESSION_IN[$1]}
	# In words: sessions started later have inherited this end of the pipe.
	echo '\q' >&"$fd" || :
	exec {fd}>&-
	wait "${SESSION_PID[$1]}" || :
	fd=${SESSION_OUT[$1]}
	exec {fd}<&-
	unset "SESSION_IN[$1]" "SESSION_OUT[$1]" "SESSION_PID[$1]"
}

# session_waits NAME CLUSTER: does it wait for a lock?
session_waits() {
	[ "$(cluster_value "$2" "SELECT count(*) FROM pg_stat_activity
		WHERE application_name = '$1' AND wait_event_type = 'Lock'" -d postgres)" = 1 ]
}

# shellcheck shell=bash
#
# measure.sh: what the benchmarks share: figures, and the table they end in.
# After cluster.sh and session.sh.
#
#     cpu_ns PID                       processor time of a process so far
#     session_cpu SESSION SQL          processor time of one statement, in ns
#     single_instructions CLUSTER DATABASE SETUP STATEMENT SHORT LONG
#                                      machine instructions of one run of a
#                                      statement, or nanoseconds of processor
#                                      time where valgrind is missing
#     rows_cpu SESSION QUERY           processor time of all rows of a query,
#                                      none of which is sent
#     quiet_session NAME CLUSTER DATABASE MEMORY
#                                      for those two: alone, not compiled
#     measure ROW FUNCTION [ARG...]    FUNCTION VARIANT ARG... prints a figure,
#                                      or nothing; the smallest is kept for each
#                                      of VARIANTS
#     result ROW COLUMN FIGURE         kept
#     table_head COLUMN...  table_row ROW TITLE UNIT [plain]
#                                      each figure divided by that of the
#                                      first column
#
# Processor time counts what the one process did; others on the machine hardly
# change it. Instructions do not depend on others at all.

declare -A RESULTS=()
COLUMNS=()

# Exact to the nanosecond where the kernel keeps it, else to its clock tick.
cpu_ns() {
	local fields
	if [ -r "/proc/$1/schedstat" ] && read -r -a fields <"/proc/$1/schedstat" &&
		[ "${fields[0]}" != 0 ]; then
		echo "${fields[0]}"
	else
		read -r -a fields <"/proc/$1/stat"
		echo $(((fields[13] + fields[14]) * 10000000))
	fi
}

session_cpu() {
	local pid before
	session_run "$1" 'SELECT pg_backend_pid()'
	pid=$ANSWER
	before=$(cpu_ns "$pid")
	session_run "$1" "$2"
	[ "$STATE" = 00000 ] || {
		echo "$ANSWER" >&2
		return 1
	}
	echo $(($(cpu_ns "$pid") - before))
}

quiet_session() {
	session_start "$1" "$2" -d "$3"
	session_run "$1" "SET max_parallel_workers_per_gather = 0; SET jit = off;
		SET cursor_tuple_fraction = 1; SET work_mem = '$4'"
}

# A cursor that is moved to its end computes all rows and sends none.
rows_cpu() {
	session_run "$1" "BEGIN; DECLARE c NO SCROLL CURSOR FOR $2"
	session_cpu "$1" 'MOVE ALL c'
	session_run "$1" COMMIT
}

# All variants in turn, so that what disturbs the machine for a while disturbs
# all alike.
measure() {
	local row=$1 function=$2 round variant
	local -A seen=()
	shift 2
	for ((round = 0; round < ROUNDS; round++)); do
		for variant in "${VARIANTS[@]}"; do
			seen[$variant]+=" $("$function" "$variant" "$@")"
		done
	done
	for variant in "${VARIANTS[@]}"; do
		# shellcheck disable=SC2086 # several figures
		[ -z "${seen[$variant]// /}" ] || result "$row" "$variant" "$(smallest ${seen[$variant]})"
	done
}

# single_backend CLUSTER DATABASE INPUT: a backend of its own, on a copy of a
# stopped cluster's data, fed by a file. Its memory is not shared, so that
# valgrind may look at it.
single_backend() {
	local copy=$3.data log=$3.log times
	cp -a "$(cluster_dir "$1")/data" "$copy"
	if command -v valgrind >/dev/null; then
		valgrind --tool=callgrind --callgrind-out-file="$3.callgrind" \
			postgres --single -D "$copy" "$2" <"$3" >"$log" 2>&1
		sed -n 's/^summary: *//p' "$3.callgrind"
	else
		times=$({ TIMEFORMAT='%U %S'; time postgres --single -D "$copy" "$2" \
			<"$3" >"$log" 2>&1; } 2>&1)
		awk -v t="$times" 'BEGIN { split(t, a, " "); printf "%d\n", (a[1] + a[2]) * 1e9 }'
	fi
	! grep -E 'ERROR|FATAL|PANIC' "$log" >&2
	rm -rf "$copy"
}

# Start-up and first times cancel out in the difference of two run lengths.
single_instructions() {
	local cluster=$1 database=$2 setup=$3 statement=$4 short=$5 long=$6 n
	local file=$CREDIT_WORK/single.$2
	for n in "$short" "$long"; do
		{
			printf '%s\n' "$setup"
			yes "$statement" | head -n "$n"
		} >"$file.$n" || :
		single_backend "$cluster" "$database" "$file.$n" >"$file.$n.figure" &
	done
	wait
	echo $((($(cat "$file.$long.figure") - $(cat "$file.$short.figure")) / (long - short)))
}

result() {
	RESULTS[$1/$2]=$3
}

smallest() {
	printf '%s\n' "$@" | sort -n | head -n 1
}

median() {
	printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

table_head() {
	COLUMNS=("$@")
	printf '%-44s' ''
	printf '%11s' "$@"
	echo
}

# The figure in parentheses is that of the first column, for a feeling of size.
# With a fourth word the figures are printed as they are, without it.
table_row() {
	local column first=${RESULTS[$1/${COLUMNS[0]}]} figure
	[ -z "${4:-}" ] || first=1
	printf '%-44s' "$2"
	for column in "${COLUMNS[@]}"; do
		figure=${RESULTS[$1/$column]:-}
		if [ -n "$figure" ]; then
			awk -v a="$figure" -v b="$first" 'BEGIN { printf "%11.2f", a / b }'
		else
			printf '%11s' -
		fi
	done
	[ -z "${4:-}" ] || { echo; return; }
	awk -v b="$first" -v unit="$3" 'BEGIN { printf "   (%.4g %s)\n", b, unit }'
}

# shellcheck shell=bash
#
# cluster.sh: private PostgreSQL servers for tests, demo and benchmarks.
#
# A cluster has a name, lives in $CREDIT_WORK/clusters/NAME and listens on a
# Unix socket in that folder only, so it can meet no other server. Superuser
# is "postgres". To be used after build_and_install of prepare.sh, or from a
# script of test/server, which the runner starts after it.
#
#     cluster_start a [setting=value ...]   create if new, start, select it
#     cluster_psql a [psql arguments]       stops at the first error
#     cluster_value a 'SELECT ...'          bare values
#     cluster_says a 'SELECT ...'           is it true?
#     cluster_caught_up a b                 all of a can be read on its standby b
#     cluster_restart a [setting=value ...]
#     cluster_kill a                        crash: nothing is written any more
#     cluster_start a                       and recovery
#     cluster_kill_session a PID            the server begins anew by itself
#     cluster_stop a [fast|smart|immediate]
#     cluster_remove a
#
# Clusters that a script started end with it.

# shellcheck source=test/lib/process.sh
. "$(dirname "${BASH_SOURCE[0]}")/process.sh"

CREDIT_CLUSTERS=()

cluster_dir() {
	echo "$CREDIT_WORK/clusters/$1"
}

cluster_log() {
	echo "$(cluster_dir "$1")/log"
}

cluster_is_running() {
	pg_ctl -D "$(cluster_dir "$1")/data" status >/dev/null 2>&1
}

cluster_init() {
	local dir
	dir=$(cluster_dir "$1")
	mkdir -p "$dir"
	initdb -D "$dir/data" -U postgres -A trust -N --locale=C.UTF-8 \
		--encoding=UTF8 >"$dir/initdb.log" 2>&1 || {
		cat "$dir/initdb.log" >&2
		return 1
	}
	cat >>"$dir/data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$dir'
		max_connections = 60
		max_prepared_transactions = 20
		shared_buffers = 128MB
		wal_level = replica
		max_wal_senders = 5
		lc_messages = 'C'
		timezone = 'UTC'
		log_timezone = 'UTC'
		log_line_prefix = '%m [%p] %a '
		log_statement = none
	CONF
}

# Later settings win over earlier ones, so they are simply added.
cluster_configure() {
	local name=$1 setting
	shift
	for setting in "$@"; do
		printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}" \
			>>"$(cluster_dir "$name")/data/postgresql.conf"
	done
}

cluster_start() {
	local name=$1 dir
	shift
	dir=$(cluster_dir "$name")
	[ -d "$dir/data" ] || cluster_init "$name" || return
	cluster_configure "$name" "$@"
	CREDIT_CLUSTERS+=("$name")
	# for the suite, which shows their logs where the script fails
	[ -z "${CREDIT_STARTED:-}" ] || echo "$name" >>"$CREDIT_STARTED"
	pg_ctl -D "$dir/data" -l "$dir/log" -w -t 120 start >/dev/null || {
		tail -n 30 "$dir/log" >&2
		return 1
	}
	cluster_use "$name"
}

# Programs that take libpq's environment talk to this cluster from here on.
cluster_use() {
	PGHOST=$(cluster_dir "$1")
	export PGHOST PGPORT=5432 PGUSER=postgres PGDATABASE="${PGDATABASE:-postgres}"
}

cluster_stop() {
	pg_ctl -D "$(cluster_dir "$1")/data" -w -t 60 -m "${2:-fast}" stop >/dev/null
}

cluster_restart() {
	cluster_stop "$1"
	cluster_start "$@"
}

# A crash: the postmaster is killed first, so that it cannot tidy up, then its
# children, so that none finishes what it was doing.
cluster_kill() {
	local dir pid
	dir=$(cluster_dir "$1")
	pid=$(head -n 1 "$dir/data/postmaster.pid")
	kill -KILL "$pid"
	end_processes_in "$dir/data"

	# Until somebody collects the dead postmaster, PostgreSQL takes it for a
	# living one. In a container that may be never.
	patiently 3 test ! -e "/proc/$pid" ||
		rm -f "$dir/data/postmaster.pid" "$dir"/.s.PGSQL.*.lock
}

# cluster_kill_session NAME PID: kill -9 of one session, and the end of the
# recovery after it. Until the server has noticed, it would still answer.
cluster_kill_session() {
	local starts
	starts=$(cluster_starts "$1")
	kill -KILL "$2"
	patiently 60 cluster_has_begun_anew "$1" "$starts"
}

# How often has it begun?
cluster_starts() {
	grep -c 'database system is ready to accept' "$(cluster_log "$1")" || :
}

cluster_has_begun_anew() {
	[ "$(cluster_starts "$1")" -gt "$2" ]
}

cluster_remove() {
	! cluster_is_running "$1" || cluster_stop "$1" immediate
	rm -rf "$(cluster_dir "$1")"
}

cluster_psql() {
	local name=$1
	shift
	PGHOST=$(cluster_dir "$name") PGPORT=5432 PGUSER=${PGUSER:-postgres} \
		PGDATABASE=${PGDATABASE:-postgres} psql -X -q -v ON_ERROR_STOP=1 "$@"
}

# cluster_value NAME SQL [psql arguments]
cluster_value() {
	local name=$1 sql=$2
	shift 2
	cluster_psql "$name" -A -t -c "$sql" "$@"
}

# cluster_says NAME SQL [psql arguments]: is it true?
cluster_says() {
	[ "$(cluster_value "$@")" = t ]
}

# cluster_caught_up PRIMARY STANDBY [SECONDS]: everything written so far can be
# read there
cluster_caught_up() {
	patiently "${3:-20}" cluster_says "$2" "SELECT pg_last_wal_replay_lsn() >= '$(
		cluster_value "$1" 'SELECT pg_current_wal_insert_lsn()')'"
}

cluster_stop_all() {
	local name
	for name in ${CREDIT_CLUSTERS[@]+"${CREDIT_CLUSTERS[@]}"}; do
		! cluster_is_running "$name" || cluster_stop "$name" immediate || :
	done
}

# The first run of a script, outside its workspace, has no clusters and sets
# traps of its own.
if [ -n "${CREDIT_WORK:-}" ]; then
	trap cluster_stop_all EXIT
	trap 'exit 143' TERM INT HUP
fi

# shellcheck shell=bash
#
# people.sh: who makes the storm, each a psql that is fed without end. After
# cluster.sh.
#
#     storm_begin CLUSTER      what is judged in the end begins here
#     storm_open CLUSTER       ERP and truth, into database $PGDATABASE
#     storm_standby CLUSTER NAME
#     storm_blow CLUSTER N UNTIL   N clients and all the others, until $SECONDS
#                              is UNTIL; in the background
#     storm_watch CLUSTER NAME UNTIL   one more observer, of a standby
#     storm_crash CLUSTER      kill -9 of every process, and a new start
#     storm_calm CLUSTER       waits until all have gone, and ends what was
#                              prepared
#
# What they say goes to $STORM_LOGS: client.N, observer.NAME and so on. A crash
# of the server ends a psql and not the storm.

STORM_HERE=$(dirname "${BASH_SOURCE[0]}")
STORM_SEED=${STORM_SEED:-$RANDOM}
STORM_BLOWN=0	# how often

# Settings of the server. The log is read by verdict.pl; only processes are
# killed, so that no page can be torn. All WAL is kept, to be read at the end.
# A commit takes its time between its record and its becoming visible, as on a
# slow disk: that is when others must not go wrong about it.
# shellcheck disable=SC2034 # for the caller
STORM_SETTINGS=(commit_delay=3000 commit_siblings=0 full_page_writes=off wal_keep_size=50GB
	deadlock_timeout=200ms autovacuum_naptime=1s max_prepared_transactions=100
	max_connections=100 hot_standby_feedback=on max_standby_streaming_delay=60s
	wal_retrieve_retry_interval=200ms
	'log_line_prefix=%m|%d|%a|%e| ')

storm_open() {
	cluster_psql "$1" -o /dev/null -f "$STORM_HERE/erp.sql" -f "$STORM_HERE/truth.sql"
}

# Where WAL and log are to be read from, before anything is stored.
# shellcheck disable=SC2034 # judge.sh reads it
storm_begin() {
	STORM_WAL_FROM=$(cluster_value "$1" 'SELECT pg_current_wal_insert_lsn()')
	STORM_LOG_FROM=$(($(stat -c %s "$(cluster_log "$1")") + 1))
}

# A copy that follows, and shows what it has got.
storm_standby() {
	local dir
	dir=$(cluster_dir "$2")
	mkdir -p "$dir"
	PGHOST=$(cluster_dir "$1") pg_basebackup -D "$dir/data" -R -c fast -X stream
	cluster_start "$2" unix_socket_directories="$dir" hot_standby=on
	cluster_use "$1"
}

# --- one psql -----------------------------------------------------------------

# feed CLUSTER NAME UNTIL command...: its output is SQL for psql.
storm_feed() {
	local cluster=$1 name=$2 until=$3
	shift 3
	while [ "$SECONDS" -lt "$until" ]; do
		"$@" 2>/dev/null |
			PGHOST=$(cluster_dir "$cluster") PGAPPNAME=$name \
				timeout $((until - SECONDS)) psql -X -q -A -t \
				>>"$STORM_LOGS/$name" 2>&1 || sleep 0.2
	done
}

# Of what a client is told all errors are in the log of the server. Kept here is
# what is not: how long statements took that somebody else has kept waiting.
storm_waits() {
	awk '/^(psql:[^ ]* )?ERROR:  23514: .*(has to wait for|is being changed by)/ { print; waited = 1 }
		waited && /^Time: / { print; waited = 0 }'
}

# Tenths of a second tell the runs of a client apart. Times come line by line, so
# that they stand behind the errors they belong to.
storm_client() {
	local n=$1 cluster=$2 until=$3 run runs=0
	while [ "$SECONDS" -lt "$until" ]; do
		runs=$((runs + 1))
		run=$(($(date +%s%N) / 100000000 % 10000000))
		awk -f "$STORM_HERE/traffic.awk" -v client="$n" -v run="$run" \
			-v seed=$((((STORM_SEED * 1000 + STORM_BLOWN * 50 + runs) * 100 + n) % 2147483647)) 2>/dev/null |
			PGHOST=$(cluster_dir "$cluster") PGAPPNAME=client \
				timeout $((until - SECONDS)) stdbuf -oL psql -X -q -A -t \
				-o /dev/null 2>&1 | storm_waits >>"$STORM_LOGS/client.$n" || sleep 0.2
	done
}

# --- the others ---------------------------------------------------------------
# (cat fails when psql has gone: so does the loop around it.)

# Looks twice through one snapshot.
storm_observation() {
	while cat <<-'SQL'; do :; done
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT 'saw ' || torture.verdict();
		SELECT pg_sleep(0.3 * random());
		SELECT 'saw ' || torture.verdict();
		COMMIT;
	SQL
}

# Ends what the clients have prepared and left.
storm_janitor() {
	while cat <<-'SQL'; do :; done
		SELECT format('%s PREPARED %L',
			CASE WHEN random() < 0.5 THEN 'COMMIT' ELSE 'ROLLBACK' END, gid)
		FROM pg_prepared_xacts
		WHERE database = current_database() AND prepared < now() - interval '0.2 s' \gexec
		SELECT pg_sleep(0.2);
	SQL
}

# Raises and lowers limits, keeps some changes open for a while, gives some up.
storm_limits() {
	while cat <<-SQL; do :; done
		BEGIN;
		UPDATE erp.customers SET credit_limit = $([ $((RANDOM % 20)) = 0 ] &&
			echo NULL || echo $((RANDOM % 20 * 100)))
		WHERE customer = 'v$((RANDOM % 4 + 1))';
		SELECT pg_sleep(0.2 * random() * random());
		$([ $((RANDOM % 4)) = 0 ] && echo ROLLBACK || echo COMMIT);
		SELECT pg_sleep(0.03 * random());
	SQL
}

# A table that is attached and detached while others write to it.
storm_attacher() {
	while cat <<-'SQL'; do :; done
		BEGIN;
		SELECT credit.attach('erp.contracts', 'order', key => '''c'' || number',
			customer => 'customer', amount => 'amount');
		CALL torture.note_sources();
		COMMIT;
		SELECT pg_sleep(1 + 2 * random());
		SELECT credit.detach('erp.contracts');
		SELECT pg_sleep(0.5 * random());
	SQL
}

# Vacuum, and a purge of the journal where this version can. What it may take
# goes into our archive before: so it keeps what is younger than the oldest
# transaction that was open before we looked. How old a prepared one is cannot be
# known.
storm_keeper() {
	while cat <<-'SQL'; do :; done
		VACUUM credit.journal, credit.item, credit.account_limit, erp.orders;
		SELECT COALESCE(min(xact_start), clock_timestamp()) AS oldest FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() \gset
		SELECT to_regproc('credit.purge') IS NOT NULL AND count(*) = 0 AS can_purge
		FROM pg_prepared_xacts WHERE database = current_database() \gset
		\if :can_purge
		CALL torture.archive(:'oldest');
		SELECT clock_timestamp() - :'oldest' + interval '0.2 s' AS keep \gset
		CALL credit.purge(:'keep');
		\endif
		SELECT pg_sleep(0.2);
	SQL
}

# --- the storm ----------------------------------------------------------------

storm_blow() {
	local cluster=$1 clients=$2 until=$3 n
	STORM_BLOWN=$((STORM_BLOWN + 1))
	for n in $(seq "$clients"); do
		storm_client "$n" "$cluster" "$until" &
	done
	storm_feed "$cluster" observer.1 "$until" storm_observation &
	storm_feed "$cluster" janitor "$until" storm_janitor &
	storm_feed "$cluster" limits.1 "$until" storm_limits &
	storm_feed "$cluster" limits.2 "$until" storm_limits &
	storm_feed "$cluster" attacher "$until" storm_attacher &
	storm_feed "$cluster" keeper "$until" storm_keeper &
}

storm_watch() {
	storm_feed "$1" "$2" "$3" storm_observation &
}

# What is refused shortly before a crash can name orders that the crash has
# taken (asynchronous commit): verdict.pl wants to know the moment.
storm_crash() {
	date +%s.%N >>"$STORM_LOGS/crashes"
	cluster_kill "$1"
	# pg_ctl takes the file of the dead postmaster for that of a living one
	cluster_start "$1" 2>"$STORM_LOGS/start" || {
		cat "$STORM_LOGS/start" >&2
		return 1
	}
}

storm_calm() {
	local tries=0 left=1
	while [ "$left" != 0 ]; do
		cluster_psql "$1" -o /dev/null <<-'SQL'
			SELECT format('COMMIT PREPARED %L', gid) FROM pg_prepared_xacts
			WHERE database = current_database() \gexec
		SQL
		left=$(cluster_value "$1" "SELECT
			(SELECT count(*) FROM pg_prepared_xacts
			  WHERE database = current_database()) +
			(SELECT count(*) FROM pg_stat_activity
			  WHERE datname = current_database() AND pid <> pg_backend_pid()
				AND backend_type = 'client backend')")
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || return 1
		sleep 0.1
	done
	# asynchronous commits are to be found in the files, too
	cluster_psql "$1" -o /dev/null -c "SELECT pg_logical_emit_message(true, 'storm', 'calm')"
}

# --- what was seen ------------------------------------------------------------

storm_looks() {
	cat "$STORM_LOGS"/observer.* 2>/dev/null | grep -c '^saw' || :
}

# Observations other than "ok". Errors of observers are in the server's log.
storm_sights() {
	sed -n -e '/^saw ok$/d' -e '/^saw/p' "$STORM_LOGS"/observer.* 2>/dev/null |
		sort | uniq -c | sort -rn | head -n 10 || :
}

#!/usr/bin/env bash
# With the real pg_cron: schedule() makes jobs that run and do what they
# should, and says what is missing where pg_cron cannot be used.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"

if [ ! -e "$("$(dirname "$(command -v postgres)")/pg_config" --sharedir)/extension/pg_cron.control" ]; then
	# Not a pass: a skipped test counts as nothing. This one holds anywhere.
	cluster_start cron
	cluster_psql cron -c 'CREATE EXTENSION credit'
	like "$(cluster_value cron 'SELECT * FROM credit.schedule()' 2>&1 || :)" \
		'pg_cron is not installed' 'without pg_cron schedule() says so'
	diag 'the rest is skipped: this PostgreSQL has no pg_cron'
	done_testing
	exit
fi

# refusal DATABASE: how schedule() fails there, hint included
refusal() {
	cluster_value cron 'SELECT * FROM credit.schedule()' -d "$1" 2>&1 || :
}

# jobs DATABASE: our jobs, as pg_cron has them
jobs() {
	cluster_value cron 'SELECT jobname, schedule, command, database, username, active
		FROM cron.job ORDER BY jobname' -d "$1"
}

# runs JOB: how its runs have ended so far
runs() {
	cluster_value cron "SELECT DISTINCT d.status FROM cron.job_run_details d JOIN cron.job j USING (jobid)
		WHERE j.jobname = '$1' AND d.status IN ('succeeded', 'failed')" -d erp
}

# wait_for_runs JOB...: until each has ended once, three minutes at most
wait_for_runs() {
	local until=$((SECONDS + 180)) job
	for job in "$@"; do
		while [ -z "$(runs "$job")" ]; do
			[ "$SECONDS" -lt "$until" ] || return 1
			sleep 0.5
		done
	done
}

cluster_start cron
for database in erp other; do
	cluster_psql cron -c "CREATE DATABASE $database"
	cluster_psql cron -d $database -c 'CREATE EXTENSION credit'
done

# --- what is missing, and the way out -------------------------------------------

like "$(refusal erp)" "installed, but not loaded.*HINT.*shared_preload_libraries.*cron.database_name = 'erp'" \
	'not loaded: schedule() says what to set'
is "$(cluster_value cron 'SELECT * FROM credit.unschedule()' -d erp)" '' 'unschedule() has nothing to do'
ok 'daily() needs no pg_cron' cluster_psql cron -d erp -c 'CALL credit.daily()'

# pg_cron connects as any client does; its jobs find the socket in this folder.
cluster_restart cron shared_preload_libraries=pg_cron cron.database_name=erp \
	cron.host="$(cluster_dir cron)" cron.log_statement=off
like "$(refusal erp)" 'does not exist in this database.*HINT.*CREATE EXTENSION pg_cron' \
	'loaded, not created: schedule() says so'
like "$(refusal other)" 'pg_cron lives in database "erp".*schedule_in_database' \
	'in another database: schedule() says where'
cluster_psql cron -d erp -c 'CREATE EXTENSION pg_cron'

# --- jobs ------------------------------------------------------------------------

wanted="credit daily|15 3 * * *|CALL credit.daily()|erp|postgres|t
credit vacuum|45 3 * * *|VACUUM (SKIP_LOCKED, ANALYZE) credit.journal, credit.item, credit.item_version, credit.settlement, credit.account, credit.account_limit, credit.limit_change, credit.decision_log|erp|postgres|t"
is "$(cluster_value cron "SELECT job, schedule, command, database, role, 't' FROM credit.schedule()" -d erp)" \
	"$wanted" 'schedule() returns the jobs it made'
is "$(jobs erp)" "$wanted" 'which are those that pg_cron has'
is "$(cluster_value cron 'SELECT DISTINCT time_zone FROM credit.schedule()' -d erp)" GMT 'and their zone'
is "$(jobs erp)" "$wanted" 'a second call leaves the same jobs'
# somebody else's job, and one of another database, are none of ours
cluster_psql cron -d erp -o /dev/null -c "SELECT cron.schedule('theirs', '0 0 1 1 *', 'SELECT 1')" \
	-c "SELECT cron.schedule_in_database('credit daily', '0 0 1 1 *', 'SELECT 1', 'other')" \
	-c 'SELECT * FROM credit.schedule()'
is "$(cluster_value cron 'SELECT * FROM credit.unschedule()' -d erp)" $'credit daily\ncredit vacuum' \
	'unschedule() returns what it removed'
is "$(cluster_value cron 'SELECT jobname FROM cron.job ORDER BY 1' -d erp)" theirs 'what is not ours stays'
is "$(cluster_value cron "SELECT job FROM credit.schedule(vacuum => NULL)" -d erp)" 'credit daily' \
	'NULL leaves a job out'
isnt "$(cluster_value cron "SELECT * FROM credit.schedule('never')" -d erp 2>&1 || :)" '' 'a time that is none is an error'
is "$(cluster_value cron "SELECT jobname FROM cron.job WHERE jobname LIKE 'credit%'" -d erp)" 'credit daily' \
	'which changes nothing'

# --- they run ----------------------------------------------------------------------

cluster_psql cron -d erp -o /dev/null <<-'SQL'
	SET client_min_messages = error;
	CREATE TABLE public.orders (id int PRIMARY KEY, customer text, total numeric);
	SELECT credit.attach('public.orders', 'order', key => 'id', customer => 'customer', amount => 'total', on_breach => 'off');
	SELECT credit.set('keep_journal', '30d');
	SELECT credit.set('mode', 'shadow');
	INSERT INTO public.orders VALUES (1, 'a', 1);
	INSERT INTO public.orders VALUES (2, 'a', 1);
	INSERT INTO public.orders VALUES (3, 'a', 1);
	BEGIN;
	SELECT credit.maintain(true);
	UPDATE credit.journal SET posted_at = posted_at - interval '31 days';
	COMMIT;
	INSERT INTO public.orders VALUES (4, 'a', 1);
	SELECT * FROM credit.schedule('* * * * *', '* * * * *');
SQL
# The hint is there to be followed.
hint=$(refusal other | sed -n 's/^HINT:  Run there: //p')
ok 'the hint for another database can be run as it is' cluster_psql cron -d erp -o /dev/null -c "$hint"
is "$(cluster_value cron "SELECT jobname, schedule, command, database FROM cron.job WHERE jobname = 'credit daily other'" -d erp)" \
	'credit daily other|15 3 * * *|CALL credit.daily()|other' 'it makes the job'
cluster_psql cron -d erp -o /dev/null -c "SELECT cron.alter_job(jobid, '* * * * *') FROM cron.job WHERE jobname = 'credit daily other'"
is "$(cluster_value cron 'SELECT count(*) FROM credit.journal' -d erp)" 4 'before: nothing is purged'
ok 'the jobs run' wait_for_runs 'credit daily' 'credit vacuum' 'credit daily other'
is "$(runs 'credit daily')|$(runs 'credit vacuum')|$(runs 'credit daily other')" 'succeeded|succeeded|succeeded' \
	'and succeed'
is "$(cluster_value cron 'SELECT seq FROM credit.journal' -d erp)" 4 'what setting keep_journal gives free is purged'
is "$(cluster_value cron "SELECT count(*) FROM credit.storage WHERE table_name IN ('journal', 'item') AND last_vacuum IS NOT NULL AND last_analyze IS NOT NULL" -d erp)" \
	2 'the tables are vacuumed and analyzed'
like "$(cat "$(cluster_log cron)")" 'WARNING:  credit warning: setting mode: mode is shadow' \
	'what status() finds is in the log of the server'
is "$(cluster_value cron "SELECT trim_scale(total) FROM credit.exposure" -d erp)" 4 'exposure is what it was'

# --- and are gone ------------------------------------------------------------------

is "$(cluster_value cron 'SELECT count(*) FROM credit.unschedule()' -d erp)" 2 'unschedule() removes them'
is "$(cluster_value cron "SELECT jobname FROM cron.job ORDER BY 1" -d erp)" $'credit daily other\ncredit vacuum other\ntheirs' \
	'ours alone'
ok 'pg_cron can be dropped: nothing of ours depends on it' cluster_psql cron -d erp -c 'DROP EXTENSION pg_cron'
like "$(refusal erp)" 'CREATE EXTENSION pg_cron' 'schedule() is where it was'
ok 'so can credit' cluster_psql cron -d erp -c 'SET client_min_messages = error' -c 'DROP EXTENSION credit CASCADE'
done_testing

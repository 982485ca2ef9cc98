#!/usr/bin/env bash
# From the first release to this one: the library is replaced first and works
# with the old catalog, ALTER EXTENSION UPDATE runs while clerks are at work,
# and what it leads to is, fact by fact, what a fresh install makes.
#
# test/upgrade/credit--0.1.0.sql is the install script of 0.1.0 as it was
# released. It is never edited.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

FIRST=0.1.0
# what users have now
LAST=0.3.0
FACTS=test/upgrade/catalog.sql
version=$(make -s print-CREDIT_VERSION)
# Beside other tests in the same installation: nothing installs FIRST unasked.
cp "test/upgrade/credit--$FIRST.sql" "$("$(dirname "$(command -v postgres)")/pg_config" --sharedir)/extension/"

# facts DATABASE ['SQL that changes something before and is rolled back']
facts() {
	cluster_psql upgrade -d "$1" -c 'BEGIN' -c 'SET client_min_messages = error' \
		-c "${2:-SET search_path = pg_catalog}" -f "$FACTS" -c 'ROLLBACK' | grep .
}

# difference DATABASE [SQL]: from a fresh install, as lines "missing: FACT" and
# "too much: FACT", each of which names the object
difference() {
	diff <(echo "$fresh") <(facts "$@") | sed -n 's/^< /missing: /p; s/^> /too much: /p' | head -n 40
}

# order NUMBER CUSTOMER TOTAL: as the clerk, whose session stays open
order() {
	session_run clerk "$(erp_order "$@")"
}

orders() {
	cluster_value upgrade 'SELECT count(*) FROM erp.orders' -d erp
}

# wait_for_orders N: until clerks have placed N more
wait_for_orders() {
	patiently 30 cluster_says upgrade "SELECT count(*) >= $(($(orders) + $1)) FROM erp.orders" -d erp
}

cluster_start upgrade

# --- the same as a fresh install ------------------------------------------------

for database in fresh upgraded; do
	cluster_psql upgrade -c "CREATE DATABASE $database"
done
cluster_psql upgrade -d fresh -c 'CREATE EXTENSION credit'
fresh=$(facts fresh)
ok "CREATE EXTENSION VERSION '$FIRST'" cluster_psql upgrade -d upgraded -c "CREATE EXTENSION credit VERSION '$FIRST'"
like "$(cluster_value upgrade 'SELECT severity, finding FROM credit.status()' -d upgraded)" \
	"error.library $version works with catalog $FIRST" 'status() says that the update is due'
isnt "$(difference upgraded)" '' 'the catalog of the first release is another one'
ok 'ALTER EXTENSION UPDATE' cluster_psql upgrade -d upgraded -c 'ALTER EXTENSION credit UPDATE'
is "$(difference upgraded)" '' 'an updated extension is, fact by fact, a fresh one'
isnt "$(cluster_value upgrade 'SELECT severity FROM credit.status() LIMIT 1' -d upgraded)" error 'and all is well'

# The comparison must see each kind of difference, and name the object.
while IFS='|' read -r sql wanted; do
	like "$(difference upgraded "$sql")" "$wanted" "the comparison sees: $sql"
done <<'CHANGES'
ALTER FUNCTION credit.balance(bigint, smallint) VOLATILE|function credit.balance.*: volatility = v
ALTER FUNCTION credit.balance(bigint, smallint) COST 51|function credit.balance.*: cost = 51
ALTER FUNCTION credit.status() ROWS 7|function credit.status.*: rows = 7
ALTER FUNCTION credit.status() RESET search_path|function credit.status.*: settings = search_path
ALTER FUNCTION credit.today() SECURITY DEFINER|function credit.today.*: security definer
CREATE OR REPLACE FUNCTION credit.version() RETURNS text LANGUAGE c STABLE STRICT PARALLEL SAFE AS '$libdir/credit', 'credit_as_of'|function credit.version.*: source = credit_as_of
CREATE OR REPLACE FUNCTION credit.time_zone() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS 'SELECT NULL::text'|function credit.time_zone.*: source = SELECT NULL
COMMENT ON COLUMN credit.journal.seq IS 'Other.'|table credit.journal: comment on column seq = Other
COMMENT ON FUNCTION credit.version() IS NULL|missing: function credit.version.*: comment
ALTER TABLE credit.item ADD COLUMN extra text|table credit.item: column extra type = text
ALTER TABLE credit.item_version ALTER COLUMN is_disputed TYPE text|table credit.item_version: column is_disputed type = text
ALTER TABLE credit.source ALTER COLUMN on_error SET DEFAULT 'refuse'|table credit.source: column on_error default = 'refuse'
ALTER TABLE credit.item ALTER COLUMN stages DROP NOT NULL|table credit.item: column stages not null = false
ALTER TABLE credit.journal SET (fillfactor = 80)|table credit.journal: options = .*fillfactor=80
ALTER TABLE credit.journal RESET (vacuum_truncate)|table credit.journal: options =
ALTER TABLE credit.source DROP CONSTRAINT source_on_error_check|missing: table constraint source_on_error_check on credit.source
DROP INDEX credit.item_open|missing: index credit.item_open
ALTER TABLE credit.journal DISABLE TRIGGER refuse_change|trigger refuse_change on credit.journal: enabled = D
DROP TRIGGER refuse_change ON credit.item|missing: trigger refuse_change on credit.item
CREATE OR REPLACE VIEW credit.over_limit AS SELECT e.customer, e.segment, e.name, e.currency, e.total, e.limit_state, e.credit_limit, 0::numeric AS excess FROM credit.exposure e|view credit.over_limit: definition
ALTER SEQUENCE credit.account_account_id_seq INCREMENT 2|sequence credit.account_account_id_seq: increment = 2
GRANT SELECT ON credit.exposure TO PUBLIC|view credit.exposure: rights
GRANT EXECUTE ON FUNCTION credit.version() TO PUBLIC|function credit.version.*: rights
GRANT USAGE ON SCHEMA credit TO PUBLIC|schema credit: rights
UPDATE pg_extension SET extconfig = extconfig[2:], extcondition = extcondition[2:] WHERE extname = 'credit'|missing: extension credit: dumps credit.setting
ALTER EXTENSION credit DROP FUNCTION credit.version()|missing: function credit.version.*: exists
CREATE FUNCTION credit.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION credit ADD FUNCTION credit.mine()|too much: function credit.mine.*: exists
CHANGES

# --- the new library with the old catalog, and the update under load ------------

erp_create upgrade erp
cluster_psql upgrade -d erp -c "CREATE EXTENSION credit VERSION '$FIRST'"
erp_attach upgrade erp
cluster_psql upgrade -d erp -o /dev/null -c "SELECT credit.grant_analyst('analyst')"
analyst_reads=$(cluster_value upgrade "SELECT c.oid::regclass FROM pg_class c
	WHERE relnamespace = 'credit'::regnamespace AND relkind = 'v' ORDER BY relname" -d erp)
analyst_reads+=$'\ncredit.status()\ncredit.exposure_on(current_date)'
PGUSER=clerk session_start clerk upgrade -d erp

order 500 1 100
is "$STATE" 00000 'old catalog: an order that fits passes'
order 501 1 5000
is "$STATE" 23514 'old catalog: one that does not is refused'
session_run clerk "UPDATE erp.orders SET total = 200 WHERE order_number = 500;
	UPDATE erp.orders SET status = 'cancelled' WHERE order_number = 7"
is "$STATE" 00000 'old catalog: documents change'
session_run clerk "INSERT INTO erp.orders (order_number, customer_number, total)
	SELECT 510 + g, 1 + g % 9, 1 FROM generate_series(1, 50) g"
is "$STATE" 00000 'old catalog: statements of many rows pass'
order 570 950 5
is "$STATE" 00000 'old catalog: a new customer gets an account'
session_run clerk "SET work_mem = '64kB';
	INSERT INTO erp.orders (order_number, customer_number, total) SELECT 100000 + g, 1 + g % 9, 0.01 FROM generate_series(1, 5000) g;
	RESET work_mem"
is "$STATE" 00000 'old catalog: so do statements that are taken in portions'
session_run clerk "INSERT INTO erp.\"Money Received\" VALUES (500, 1, 50);
	UPDATE erp.customers SET credit_limit = 1100 WHERE customer_number = 1;
	DELETE FROM erp.orders WHERE order_number = 8"
is "$STATE" 00000 'old catalog: payments, limits and deletions pass'
session_run clerk "UPDATE erp.orders SET total = 2000 WHERE order_number = 500"
is "$STATE" 23514 'old catalog: so is a change that raises an order too far'
is "$(cluster_value upgrade "SELECT verdict, headroom > 0 FROM credit.check_order('1', 5000)" -d erp)" 'reject|t' \
	'old catalog: the dry run answers'
cluster_psql upgrade -d erp -c 'SET client_min_messages = error' \
	-c 'ALTER TABLE erp.orders RENAME COLUMN required_date TO wanted' \
	-c "$(erp_order 571 3 1)" \
	-c 'ALTER TABLE erp.orders RENAME COLUMN wanted TO required_date' \
	-c 'DELETE FROM erp.orders WHERE order_number = 571'
is "$(cluster_value upgrade 'SELECT count(*) FROM credit.source_problem' -d erp)" 1 \
	'old catalog: a mapping that breaks is written down'
cluster_psql upgrade -d erp -o /dev/null -c 'SET client_min_messages = error' \
	-c "SELECT credit.set('mode', 'shadow')" -c "$(erp_order 572 4 5000)" \
	-c "SELECT credit.set('mode', NULL)" -c 'DELETE FROM erp.orders WHERE order_number = 572'
is "$(cluster_value upgrade "SELECT verdict FROM credit.decision WHERE key = '572'" -d erp)" shadow \
	'old catalog: so is a decision'
is "$(erp_differences upgrade erp)" '' 'old catalog: exposure is right'
cluster_psql upgrade -c 'CREATE DATABASE restored'
PGHOST=$(cluster_dir upgrade) pg_dump -Fc erp >"$CREDIT_WORK/upgrade.dump"
ok 'old catalog: a dump is restored as this version' pg_restore -e -d restored "$CREDIT_WORK/upgrade.dump"
is "$(erp_differences upgrade restored)|$(cluster_value upgrade 'SELECT source_name, key, difference FROM credit.reconcile()' -d restored)" '|' \
	'it shows what the rows add up to'
is "$(cluster_value upgrade "SELECT source_id, key, is_counted, is_open, stages FROM credit.item
	WHERE (is_open IS DISTINCT FROM (stages <> '{}')) AND amount IS NOT NULL LIMIT 3" -d restored)" '' 'documents are open or not as they should be'
is "$(sqlstate upgrade restored "$(erp_order 701 1 5000)")|$(sqlstate upgrade restored "$(erp_order 702 1 1); UPDATE erp.orders SET total = 2 WHERE order_number = 500; DELETE FROM erp.orders WHERE order_number = 9")" '23514|00000' \
	'orders are refused and pass, and those from before change'
is "$(erp_differences upgrade restored)|$(cluster_value upgrade 'SELECT source_name, key, difference FROM credit.reconcile()' -d restored)" '|' \
	'and exposure is right'
cluster_psql upgrade -d erp -c "BEGIN; $(erp_order 580 2 10); PREPARE TRANSACTION 'px'"

is "$(sqlstate upgrade erp "SELECT credit.set('max_wait', '50ms')")" 00000 'old catalog: settings can be changed'
session_run clerk "$(erp_order 590 2 700)"
is "$STATE" 00000 'old catalog: what fits beside the prepared order passes'
session_run clerk "$(erp_order 591 2 $(cluster_value upgrade "SELECT headroom - 5 FROM credit.exposure WHERE customer = '2'" -d erp))"
is "$STATE" 23514 'old catalog: what hangs on it is refused after max_wait'
like "$ANSWER" 'prepared transaction' 'and told why'
cluster_psql upgrade -d erp -o /dev/null -c "SELECT credit.set('max_wait', NULL)"

erp_work upgrade 9 &
worker=$!
ok 'old catalog: orders arrive' wait_for_orders 100
session_start open upgrade -d erp
session_run open "BEGIN; $(erp_order 581 2 10)"

# An open transaction holds locks on every table of the ledger. The first update
# needs none that conflicts with them; the second adds columns to the documents
# and must wait, no longer than it is told, and leave everything as it was.
ok "ALTER EXTENSION UPDATE TO '0.2.0' while clerks are at work, with a transaction open and one prepared" \
	cluster_psql upgrade -d erp -c "SET lock_timeout = '3s'" -c "ALTER EXTENSION credit UPDATE TO '0.2.0'"
ok 'orders arrive' wait_for_orders 100
like "$(cluster_psql upgrade -d erp -c "SET lock_timeout = '1s'" -c 'ALTER EXTENSION credit UPDATE' 2>&1 || :)" \
	'canceling statement due to lock timeout' 'the update to this version waits for them, as long as it may'
is "$(cluster_value upgrade "SELECT extversion FROM pg_extension WHERE extname = 'credit'" -d erp)" 0.2.0 \
	'and changes nothing when it may not'
ok 'orders arrive' wait_for_orders 100
session_run open "$(erp_order 582 2 10); COMMIT"
is "$STATE" 00000 'the open transaction goes on and commits'
cluster_psql upgrade -d erp -c "COMMIT PREPARED 'px'"
# The views of before use what is new: who may read it is granted with the
# update, in one transaction.
said=$(cluster_psql upgrade -d erp -c "SET lock_timeout = '30s'" -c 'BEGIN' -c 'ALTER EXTENSION credit UPDATE' \
	-c "SELECT credit.grant_analyst('analyst')" -c 'COMMIT' 2>&1)
is "$(cluster_value upgrade "SELECT extversion FROM pg_extension WHERE extname = 'credit'" -d erp)" "$version" \
	'without them it runs while clerks are at work'
like "$said" 'role analyst lacks the rights' 'and says whom to grant what is new'
ok 'orders arrive' wait_for_orders 100
kill "$worker" 2>/dev/null || :
wait "$worker" || :
is "$(grep -c 'ERROR\|aborted' "$CREDIT_WORK/work-upgrade.log" || :)" 0 'no clerk has had an error'

order 600 1 5000
is "$STATE" 23514 'the session from before the update checks orders'
order 601 1 1
is "$STATE" 00000 'what fits passes'
is "$(erp_differences upgrade erp)" '' 'exposure is right'
is "$(difference erp)" '' 'with data, a dependent ERP and grants, too, the catalog is that of a fresh install'
is "$(PGUSER=analyst cluster_value upgrade 'SELECT count(*) > 0 FROM credit.exposure' -d erp)" t \
	'the analyst still reads'
# What he could read he can read, every column of it.
for view in $analyst_reads; do
	is "$(PGUSER=analyst sqlstate upgrade erp "SELECT count(v::text) FROM $view v")" 00000 "so he does $view"
done
is "$(cluster_value upgrade "SELECT count(*) FROM pg_init_privs i, unnest(i.initprivs) a WHERE a::text LIKE 'analyst=%'" -d erp)" \
	0 'and what was granted is in a dump: it is no part of the extension'
ok 'what is new works' cluster_psql upgrade -d erp -o /dev/null \
	-c "CALL credit.purge('0 s', '0 s', '0 s', '0 s', '0 s')" -c 'SELECT * FROM credit.storage'
is "$(erp_differences upgrade erp)" '' 'and exposure is right'

# --- from the release before this one, with data of every kind -------------------

# steps DATABASE N
steps() {
	cluster_psql upgrade -d "$1" -c "DO \$\$ BEGIN FOR i IN 1 .. $2 LOOP CALL flow.step(8); END LOOP; END \$\$"
}

erp_create upgrade last
cluster_psql upgrade -c 'CREATE DATABASE flow'
for database in last flow; do
	cluster_psql upgrade -d $database -c "CREATE EXTENSION credit VERSION '$FIRST'" -c "ALTER EXTENSION credit UPDATE TO '$LAST'"
done
erp_attach upgrade last
erp_business upgrade last
erp_months upgrade last
cluster_psql upgrade -d last -o /dev/null -c "SELECT * FROM credit.rate_all('2026-06-30')" \
	-c "SELECT credit.set_rate('EUR', 'USD', 1.1, valid_on => current_date)" -c "$(erp_order 700 11 5)"
cluster_psql upgrade -d flow -f test/lib/flow.sql
steps flow 100
cluster_psql upgrade -d flow -c 'CALL flow.attach()'
steps flow 150
declare -A queries figures
for database in last flow; do
	queries[$database]=$(erp_queries upgrade $database)
	figures[$database]=$(erp_figures upgrade $database "${queries[$database]}")
done
# A dump does not say which version it is of: it is restored as this one.
for database in last flow; do
	cluster_psql upgrade -c "CREATE DATABASE restored_$database"
	PGHOST=$(cluster_dir upgrade) pg_dump -Fc $database >"$CREDIT_WORK/upgrade.dump"
	ok "a dump of $LAST is restored as $version: $database" pg_restore -e -d "restored_$database" "$CREDIT_WORK/upgrade.dump"
	is "$(cluster_value upgrade "SELECT extversion FROM pg_extension WHERE extname = 'credit'" -d "restored_$database")" "$version" 'it has the new version'
	is "$(erp_figures upgrade "restored_$database" "${queries[$database]}" | diff <(echo "${figures[$database]}") - | head -n 10)" '' \
		'and shows what it showed'
	is "$(cluster_value upgrade 'SELECT source_name, key, difference FROM credit.reconcile()' -d "restored_$database")" '' 'reconcile() finds nothing'
done
is "$(sqlstate upgrade restored_last "$(erp_order 701 1 5000)")|$(sqlstate upgrade restored_last "$(erp_order 702 1 1)")" '23514|00000' \
	'orders are refused there and pass'
steps restored_flow 100
is "$(cluster_value upgrade 'SELECT * FROM flow.trouble LIMIT 5' -d restored_flow)" '' 'documents of all kinds go on'
ok 'there are figures of many sorts' test "$(cut -d ' ' -f 1 <<<"${figures[last]}${figures[flow]}" | sort -u | wc -l)" -gt 25
ok 'ALTER EXTENSION UPDATE where all is in use' cluster_psql upgrade -d last -o /dev/null -c 'SET client_min_messages = error' -c 'ALTER EXTENSION credit UPDATE'
is "$(erp_figures upgrade last "${queries[last]}" | diff <(echo "${figures[last]}") - | head -n 10)" '' \
	'every view shows what it showed, today and of a past day'
is "$(cluster_value upgrade 'SELECT source_name, key, difference FROM credit.reconcile()' -d last)" '' 'reconcile() finds nothing'
is "$(cluster_value upgrade 'SELECT * FROM credit.verify_months()' -d last)" '' 'nor does verify_months()'
is "$(sqlstate upgrade last "$(erp_order 701 1 5000)")|$(sqlstate upgrade last "$(erp_order 702 1 1)")" '23514|00000' \
	'orders are refused and pass'

# documents that name one another, while they are written
echo 'CALL flow.step(8);' >"$CREDIT_WORK/upgrade-flow.sql"
pgbench -n -c 3 -T 60 --max-tries=50 -f "$CREDIT_WORK/upgrade-flow.sql" flow >"$CREDIT_WORK/upgrade-flow.log" 2>&1 &
worker=$!
sleep 0.5
ok 'ALTER EXTENSION UPDATE while documents of all kinds are written' cluster_psql upgrade -d flow \
	-c "SET lock_timeout = '30s'" -c 'ALTER EXTENSION credit UPDATE'
sleep 0.5
kill "$worker" 2>/dev/null || :
wait "$worker" || :
# the server ends what they were at, which would be in the way of what follows
patiently 30 cluster_says upgrade "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench' AND datname = 'flow'"
is "$(grep -c 'ERROR\|aborted' "$CREDIT_WORK/upgrade-flow.log" || :)" 0 'nobody has had an error'
is "$(cluster_value upgrade 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' 'stages, settlements, aging and statements are right'
steps flow 100
is "$(cluster_value upgrade 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' 'and stay so'

# --- the way of every release ---------------------------------------------------

is "$(cluster_value upgrade "SELECT path FROM pg_extension_update_paths('credit')
	WHERE source = '$FIRST' AND target = '$version' AND path IS NOT NULL" -d erp | grep -c .)" 1 \
	'there is a way from the first release to this one'
done_testing

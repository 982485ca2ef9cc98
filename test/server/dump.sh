#!/usr/bin/env bash
# A dump carries everything, and a restored database goes on where it was.
#
# One database is dumped while transactions are open in it, and restored in
# every way pg_dump knows into a server that has never seen it. Each copy must
# show what the original showed to the dump's own snapshot, and check orders.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

DUMPS=$(mktemp -d "$CREDIT_WORK/dump.XXXXXX")

# Everything of ours, row by row: what a dump must carry.
fingerprint() {
	local table
	for table in setting rule_reaction account account_limit limit_change source \
		dependency source_problem item item_version journal decision_log financials \
		bureau_report company_fact default_event rating_scale rating_history rating_override \
		model model_characteristic model_calibration model_distribution feature_definition \
		month_mark month_state year_state fold_day; do
		echo "-- $table"
		cluster_value "$1" "SELECT t::text COLLATE \"C\" FROM credit.$table t ORDER BY 1" -d "$2"
	done
	echo '-- exposure'
	cluster_value "$1" 'SELECT e::text FROM credit.exposure e ORDER BY customer, segment' -d "$2"
	echo '-- sources'
	cluster_value "$1" "SELECT name, relation, health FROM credit.sources ORDER BY name" -d "$2"
	echo '-- status'
	cluster_value "$1" 'SELECT * FROM credit.status()' -d "$2"
}

# A mapping that breaks and is mended leaves a row of source_problem.
make_problem() {
	cluster_psql "$1" -d "$2" <<-'SQL'
		SET client_min_messages = error;
		ALTER TABLE erp.orders RENAME COLUMN required_date TO wanted;
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (310, 10, 1);
		ALTER TABLE erp.orders RENAME COLUMN wanted TO required_date;
		DELETE FROM erp.orders WHERE order_number = 310;
	SQL
}

# What is open while the dump runs: an order that is rolled back later, one
# that is prepared, and behind both, in the same chains, committed ones.
open_transactions() {
	session_start open "$1" -d "$2"
	session_run open "BEGIN; $(erp_order 320 11 100)"
	cluster_psql "$1" -d "$2" -c "BEGIN; $(erp_order 321 12 100); PREPARE TRANSACTION 'px'"
	cluster_psql "$1" -d "$2" -c "$(erp_order 322 11 1)" -c "$(erp_order 323 12 2)"
	session_run open "$(erp_order 324 11 50)"
}

dump_all_forms() {
	PGHOST=$(cluster_dir origin)
	pg_dump -Fc -f "$DUMPS/custom" erp
	pg_dump -Fd -j 2 -f "$DUMPS/directory" erp
	pg_dump -f "$DUMPS/plain.sql" erp
	pg_dumpall --roles-only -f "$DUMPS/roles.sql"
	# The superuser of the new server is there already.
	sed -i '/^CREATE ROLE postgres;/d' "$DUMPS/roles.sql"
}

restore() {
	local form=$1 section
	cluster_psql copy -c "CREATE DATABASE $form"
	case $form in
		custom) pg_restore -e -d custom "$DUMPS/custom" ;;
		single) pg_restore -e -1 -d single "$DUMPS/custom" ;;
		# over an older copy, which is dropped object by object
		clean)
			pg_restore -e -d clean "$DUMPS/custom" &&
				pg_restore -e --clean --if-exists -d clean "$DUMPS/custom" ;;
		parallel) pg_restore -e -j 2 -d parallel "$DUMPS/directory" ;;
		plain) cluster_psql copy -d plain -f "$DUMPS/plain.sql" ;;
		sections)
			for section in pre-data data post-data; do
				pg_restore -e --section=$section -d sections "$DUMPS/custom" || return
			done ;;
	esac
}

# Work goes on in the copy, for a role without any right on schema credit.
check_work() {
	local form=$1 account last
	last=$(cluster_value copy 'SELECT max(account_id) FROM credit.account' -d "$form")
	is "$(PGUSER=clerk sqlstate copy "$form" "$(erp_order 400 1 2000)")" 23514 \
		"$form: an order beyond the limit is refused"
	is "$(PGUSER=clerk sqlstate copy "$form" "$(erp_order 401 1 1)")" 00000 \
		"$form: one within it passes"
	is "$(PGUSER=clerk sqlstate copy "$form" "$(erp_order 402 11 1); $(erp_order 403 12 1)")" \
		00000 "$form: chains that had open transactions go on"
	is "$(PGUSER=clerk sqlstate copy "$form" "$(erp_order 404 901 1)")" 00000 \
		"$form: a new customer gets an account"
	account=$(cluster_value copy "SELECT account_id FROM credit.account WHERE customer = '901'" -d "$form")
	ok "$form: with a new number" test "$account" -gt "$last"
	ok "$form: identities continue" cluster_psql copy -d "$form" -o /dev/null \
		-c "SELECT credit.set_limit('901', 5, 'little')" \
		-c "SELECT credit.set('mode', 'shadow')" -c "$(erp_order 405 901 50)" \
		-c "SELECT credit.set('mode', NULL)"
	is "$(cluster_value copy "SELECT (SELECT credit_limit FROM credit.exposure WHERE customer = '3'),
			(SELECT credit_limit FROM credit.exposure WHERE customer = '900')" -d "$form")" \
		'500.00|800' "$form: limits are what they were"
	cluster_psql copy -d "$form" \
		-c 'UPDATE erp.customers SET credit_limit = 600 WHERE customer_number = 3'
	is "$(cluster_value copy "SELECT credit_limit FROM credit.exposure WHERE customer = '3'" -d "$form")" \
		600.00 "$form: and follow the ERP"
	is "$(erp_differences copy "$form")" '' "$form: exposure follows the ERP"
	is "$(PGUSER=analyst cluster_value copy 'SELECT count(*) > 0 FROM credit.exposure' -d "$form")" \
		t "$form: the analyst still reads"
	is "$(PGUSER=analyst sqlstate copy "$form" 'TABLE credit.journal')" 42501 \
		"$form: but not the journal"
	is "$(PGUSER=clerk sqlstate copy "$form" 'TABLE credit.exposure')" 42501 \
		"$form: and the clerk nothing"
	is "$(sqlstate copy "$form" 'DELETE FROM credit.journal')" 55000 \
		"$form: the journal cannot be changed"
	cluster_psql copy -d "$form" -c 'UPDATE erp.bill_line SET bill = 2'
	is "$(cluster_value copy "SELECT string_agg(i.key || ': ' || i.number, ', ' ORDER BY i.key)
			FROM credit.item i JOIN credit.source s USING (source_id)
			WHERE s.name = 'erp.bill' AND i.amount IS NOT NULL" -d "$form")" \
		'2: 4' "$form: a view follows the tables it is made of"
	ok "$form: a source can be detached" cluster_psql copy -d "$form" -o /dev/null \
		-c "SELECT credit.detach('erp.\"Money Received\"')"
}

cluster_start origin
erp_create origin erp
# before the first attach, as its description says
cluster_psql origin -d erp -o /dev/null -c 'CREATE EXTENSION credit' -c "SELECT credit.set('currency', 'EUR')"
erp_attach origin erp
erp_business origin erp
# What 0.3.0, from which the test of the update calls the same, did not have.
cluster_psql origin -d erp >/dev/null \
	-c "SELECT credit.enter_default('5', 'insolvency', '2025-01-07', 'court')" \
	-c 'SELECT * FROM credit.rate_all()'
make_problem origin erp
erp_months origin erp
is "$(erp_differences origin erp)" '' 'the ledger is right before the dump'
open_transactions origin erp
is "$(erp_differences origin erp)" '' 'and while transactions are open'
wanted=$(fingerprint origin erp)
is "$(awk '/^-- / {if (title != "" && !n) print title; title = $2; n = 0; next} {n++}' <<<"$wanted")" \
	'' 'every table of ours has rows'
ok 'dump in every form' dump_all_forms
session_run open 'ROLLBACK'
session_end open
cluster_psql origin -d erp -c "COMMIT PREPARED 'px'"
is "$(erp_differences origin erp)" '' 'the original is right when they have ended'

cluster_start copy
ok 'restore the roles' cluster_psql copy -f "$DUMPS/roles.sql"
for form in custom single clean parallel plain sections; do
	ok "restore: $form" restore "$form"
	is "$(fingerprint copy "$form" | diff - <(echo "$wanted") | head -n 20)" '' \
		"$form: every row, exposure and health as in the original"
	is "$(erp_differences copy "$form")" '' "$form: nothing is posted twice"
	check_work "$form"
done

# --- a dump of a dump is the same dump ----------------------------------------

PGHOST=$(cluster_dir copy)
cluster_psql copy -c 'CREATE DATABASE again'
pg_restore -e -d again "$DUMPS/custom"
pg_dump again | grep -v '^\\\(un\)\?restrict ' >"$DUMPS/again.sql"
is "$(grep -v '^\\\(un\)\?restrict ' "$DUMPS/plain.sql" | diff - "$DUMPS/again.sql" | head -n 20)" '' \
	'the copy dumps as the original did'
n_triggers=$(grep -c 'CREATE TRIGGER zz_credit_' "$DUMPS/again.sql")
is "$n_triggers" 20 'the triggers on five tables are in the dump as ordinary ones'

# --- orders arrive while it is dumped -----------------------------------------

orders() {
	cluster_value "$1" 'SELECT count(*) FROM erp.orders' -d "$2"
}

erp_work origin 5 &
worker=$!
sleep 1
before=$(orders origin erp)
PGHOST=$(cluster_dir origin)
ok 'dump while orders arrive' pg_dump -Fc -f "$DUMPS/busy" erp
ok 'the same in parallel' pg_dump -Fd -j 2 -f "$DUMPS/busy2" erp
after=$(orders origin erp)
kill "$worker" 2>/dev/null || :
wait "$worker" || :
ok 'orders did arrive meanwhile' test "$after" -gt "$before"

PGHOST=$(cluster_dir copy)
for form in busy busy2; do
	cluster_psql copy -c "CREATE DATABASE $form"
	ok "$form: restore" pg_restore -e -j 2 -d "$form" "$DUMPS/$form"
	is "$(erp_differences copy "$form")" '' "$form: exposure equals what its own rows add up to"
	is "$(PGUSER=clerk sqlstate copy "$form" "$(erp_order 401 1 1); $(erp_order 402 5 1)")" \
		00000 "$form: orders go on"
	is "$(erp_differences copy "$form")" '' "$form: and are counted right"
	is "$(PGUSER=clerk sqlstate copy "$form" "$(erp_order 403 1 2000)")" 23514 \
		"$form: one beyond the limit is refused"
done

# --- parts of a dump, and another owner -----------------------------------------

# errors DATABASE: what status() calls an error
errors() {
	cluster_value copy "SELECT subject || ': ' || finding FROM credit.status() WHERE severity = 'error' ORDER BY 1" -d "$1"
}

for form in data owner schema; do
	cluster_psql copy -c "CREATE DATABASE part_$form"
done
# structure first, later the data of everything
ok 'data only: restore' pg_restore -e --schema-only -d part_data "$DUMPS/custom"
ok 'data only: with --disable-triggers' pg_restore -e --data-only --disable-triggers -d part_data "$DUMPS/custom"
is "$(fingerprint copy part_data | diff - <(fingerprint copy again) | head -n 20)" '' 'data only: every row as in the original'
is "$(erp_differences copy part_data)|$(errors part_data)" '|' 'data only: exposure and status() are right'
is "$(PGUSER=clerk sqlstate copy part_data "$(erp_order 401 1 1)")|$(PGUSER=clerk sqlstate copy part_data "$(erp_order 402 1 2000)")|$(PGUSER=clerk sqlstate copy part_data "$(erp_order 403 901 1)")" \
	'00000|23514|00000' 'data only: orders pass and are refused'

cluster_psql copy -c 'CREATE ROLE boss SUPERUSER LOGIN'
ok 'another owner: restore' env PGUSER=boss pg_restore -e --no-owner -d part_owner "$DUMPS/custom"
is "$(fingerprint copy part_owner | diff - <(fingerprint copy again) | head -n 20)" '' 'another owner: every row as in the original'
is "$(PGUSER=clerk sqlstate copy part_owner "$(erp_order 401 1 1)")|$(PGUSER=clerk sqlstate copy part_owner "$(erp_order 402 1 2000)")|$(errors part_owner)" \
	'00000|23514|' 'another owner: orders pass and are refused'

# the ERP without the ledger: its triggers find no mapping
cluster_psql copy -d part_schema -c 'CREATE EXTENSION credit'
cluster_psql copy -d part_schema -c 'CREATE SCHEMA erp'
ok 'schema of the ERP only: restore' pg_restore -e --schema=erp -d part_schema "$DUMPS/custom"
like "$(errors part_schema)" 'table erp.orders: has the triggers of an attached table and is none: what is written there is neither checked nor counted' \
	'schema of the ERP only: status() says of each table that nothing is checked'
is "$(sqlstate copy part_schema "$(erp_order 401 1 2000)")" 00000 'schema of the ERP only: which is so'
erp_attach copy part_schema
is "$(erp_differences copy part_schema)|$(errors part_schema | grep -v 'erp.settled\|erp.bill_line')" '|' 'schema of the ERP only: attach mends it'

# one table, over the one that is attached
ok 'one table: restore over the attached one' pg_restore -e --clean --schema=erp --table=orders -d part_owner "$DUMPS/custom"
is "$(errors part_owner)" 'source erp.orders: erp.orders is another table now: what is written there is neither checked nor counted (attached is one that is gone)
source erp.orders: mapping is broken: the table is gone' 'one table: status() says that another one has its name'
ok 'one table: as it advises' cluster_psql copy -d part_owner -o /dev/null -c 'SET client_min_messages = error' \
	-c 'BEGIN' -c "SELECT credit.detach('erp.orders')" -c "SELECT credit.attach('erp.orders', 'order',
		key => 'order_number', customer => 'customer_number', amount => 'total', document_date => 'order_date',
		due_date => 'required_date', counts_when => \$\$status IN ('confirmed', 'in process')\$\$)" -c COMMIT
is "$(erp_differences copy part_owner)|$(errors part_owner)" '|' 'one table: attached again, all is right'

# --- documents of all kinds, which name one another ----------------------------

# What is due to whom, by stage, by day, by document.
figures() {
	cluster_value "$1" "
		SELECT 'exposure', e::text FROM credit.exposure e
		UNION ALL SELECT 'settlement', t::text FROM credit.settlement t
		UNION ALL SELECT 'open', o::text FROM credit.open_on(credit.today()) o
		UNION ALL SELECT 'open then', o::text FROM credit.open_on('2026-02-15') o
		UNION ALL SELECT 'aging', a::text FROM credit.customer_aging a
		UNION ALL SELECT 'statement', l::text FROM credit.exposure e, credit.account_statement(e.customer) l
		UNION ALL SELECT 'references', concat_ws(' ', s.name, s.origin_kind, s.applies_to_kind, s.payment_kind)
			FROM credit.source s
		UNION ALL SELECT 'key without document', i.source_id || ' ' || i.key FROM credit.item i WHERE i.amount IS NULL
		ORDER BY 1, 2" -d flow
}

# steps CLUSTER N
steps() {
	cluster_psql "$1" -d flow -c "DO \$\$ BEGIN FOR i IN 1 .. $2 LOOP CALL flow.step(8); END LOOP; END \$\$"
}

cluster_psql origin -c 'CREATE DATABASE flow'
cluster_psql origin -d flow -c 'CREATE EXTENSION credit' -f test/lib/flow.sql
steps origin 100
cluster_psql origin -d flow -c 'CALL flow.attach()'
steps origin 200
wanted=$(figures origin)
is "$(cut -d '|' -f 1 <<<"$wanted" | sort -u | wc -l)" 8 'all kinds: there are figures of each sort'
PGHOST=$(cluster_dir origin)
ok 'all kinds: dump' pg_dump -Fc -f "$DUMPS/flow" flow
PGHOST=$(cluster_dir copy)
cluster_psql copy -c 'CREATE DATABASE flow'
ok 'all kinds: restore' pg_restore -e -j 2 -d flow "$DUMPS/flow"
is "$(figures copy | diff - <(echo "$wanted") | head -n 20)" '' 'all kinds: the same figures'
is "$(cluster_value copy 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' 'all kinds: which are right'
steps copy 200
is "$(cluster_value copy 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' 'all kinds: and stay so'
ok 'all kinds: sources can be detached and attached' cluster_psql copy -d flow -o /dev/null \
	-c "SELECT credit.detach('erp.invoices')" -c "CALL flow.attach('invoices')"
is "$(cluster_value copy 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' 'all kinds: without a difference'
done_testing

#!/usr/bin/env bash
# Logical replication. A whole database with its ledger goes to another server,
# as one does to change to it; and tables of an ERP come into a database where
# they are attached, and the ledger follows them.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

# subscribe DATABASE PUBLICATION: the one of cluster "to" takes from "from"
subscribe() {
	cluster_psql to -d "$1" -c "SET client_min_messages = warning" \
		-c "CREATE SUBSCRIPTION s_$1 CONNECTION 'host=$(cluster_dir from) dbname=$1 user=postgres' PUBLICATION $2"
}

# arrived DATABASE: all tables are copied and all that was committed is there
arrived() {
	local lsn
	lsn=$(cluster_value from 'SELECT pg_current_wal_insert_lsn()')
	patiently 30 has_arrived "$1" "$lsn"
}

has_arrived() {
	cluster_says to "SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'" -d "$1" &&
		cluster_says from "SELECT confirmed_flush_lsn >= '$2' FROM pg_replication_slots WHERE slot_name = 's_$1'"
}

# ledger CLUSTER: every table of schema credit, row by row
ledger() {
	local table
	for table in $(cluster_value from "SELECT relname FROM pg_class
		WHERE relnamespace = 'credit'::regnamespace AND relkind = 'r' ORDER BY 1" -d erp); do
		echo "-- $table"
		cluster_value "$1" "SELECT t::text COLLATE \"C\" FROM credit.$table t ORDER BY 1" -d erp
	done
}

# findings DATABASE: what status() of the subscriber says of operations
findings() {
	cluster_value to "SELECT subject || ': ' || finding FROM credit.operation_findings() ORDER BY 1" -d "$1"
}

cluster_start from wal_level=logical fsync=off max_worker_processes=20 max_wal_senders=20 max_replication_slots=20
cluster_start to wal_level=logical fsync=off max_worker_processes=20 max_replication_slots=60 \
	max_logical_replication_workers=12 max_sync_workers_per_subscription=6 wal_retrieve_retry_interval=100ms

# --- the whole database, ledger and all --------------------------------------

erp_create from erp
erp_attach from erp
cluster_psql from -d erp -c 'CREATE TABLE erp.settled (id int PRIMARY KEY, customer int, amount numeric, day date, due date, paid date)'
cluster_psql to -c 'CREATE ROLE clerk LOGIN' -c 'CREATE ROLE analyst LOGIN' -c 'CREATE DATABASE erp'
PGHOST=$(cluster_dir from) pg_dump --schema-only erp | cluster_psql to -d erp -o /dev/null
cluster_psql from -d erp -c 'CREATE PUBLICATION everything FOR ALL TABLES'
erp_work from 9 &
worker=$!
subscribe erp everything
ok 'the first copy, while clerks are at work' arrived erp
# A session that has read policy and mappings there before they change.
session_start reader to -d erp
session_run reader "SELECT value FROM credit.settings WHERE name = 'mode'"
session_run reader "SELECT verdict FROM credit.check_order('1', 5000)"
is "$ANSWER" reject 'the replica answers what an order would meet'

# Each of these deletes or changes rows of ours, which a publication must be
# able to send.
while IFS='|' read -r sql what; do
	is "$(sqlstate from erp "SET client_min_messages = error; $sql")" 00000 "published: $what"
done <<-'SQL'
	INSERT INTO erp.orders (order_number, customer_number, total) VALUES (500, 10, 5), (501, 910, 5); UPDATE erp.orders SET total = 6 WHERE order_number = 500; DELETE FROM erp.orders WHERE order_number = 501|documents come, change and go
	UPDATE erp.customers SET credit_limit = 500 WHERE customer_number = 3; SELECT credit.set_limit('910', 5, 'little')|limits change
	SELECT credit.set('near_limit', '0.8'), credit.set('near_limit', NULL), credit.set_rule('not_set', 'off')|policy changes
	SELECT credit.attach('erp.settled', 'receivable', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day', due_date => 'due', settled_on => 'paid'); INSERT INTO erp.settled VALUES (1, 3, 100, '2024-01-01', '2024-01-31', '2024-02-05'), (2, 3, 100, '2024-01-01', '2024-01-31', '2024-02-05')|a table is attached
	DELETE FROM erp.settled WHERE id = 2|a settled invoice goes
	SELECT credit.fold_months(), credit.rebuild_months()|months are folded
	SELECT credit.detach('erp.settled')|and detached
	CALL credit.purge('0 s', '0 s', '0 s', '0 s', '0 s')|a purge
	CALL credit.daily()|the job of the night
	SELECT credit.set_rate('USD', 'EUR', 0.9); SELECT credit.set_rate('USD', 'EUR', 0.8)|rates change
SQL
kill "$worker" 2>/dev/null || :
wait "$worker" || :
is "$(grep -c 'ERROR\|aborted' "$CREDIT_WORK/work-from.log" || :)" 0 'no clerk has had an error'
cluster_psql from -d erp -o /dev/null -c "SELECT credit.set('mode', 'shadow')"
ok 'everything arrives' arrived erp
is "$(diff <(ledger from) <(ledger to) | head -n 10)" '' 'every row of the ledger is there as it is here'
is "$(erp_differences to erp)" '' 'and comes to what its ERP rows add up to'
is "$(cluster_value to 'SELECT count(*) FROM credit.reconcile()' -d erp)" 0 'reconcile() finds nothing'
session_run reader "SELECT verdict FROM credit.check_order('1', 5000)"
is "$ANSWER" shadow 'a session of the replica has heard of the new mode'
is "$(findings erp)" '' 'and status() has nothing to say'
like "$(cluster_psql to -d erp -c 'CALL credit.daily()' 2>&1)" 'this ledger is replicated from another database' 'the job of the night leaves it alone'
like "$(cluster_psql to -d erp -c 'CALL credit.repair()' 2>&1 || :)" 'ERROR: +this ledger is replicated from another database' 'and a repair refuses'
is "$(diff <(ledger from) <(ledger to) | head -n 10)" '' 'so that what arrives goes on fitting'

# To change to it: sequences are not replicated.
cluster_psql from -d erp -o /dev/null -c "SELECT credit.set('mode', NULL)"
arrived erp
cluster_psql to -d erp -c 'SET client_min_messages = warning' -c 'DROP SUBSCRIPTION s_erp'
like "$(findings erp)" 'table credit.account: its sequence is at 0 and its rows go up to [0-9]+: new rows will fail' \
	'after the change status() says that sequences are behind'
is "$(sqlstate to erp "$(erp_order 600 999 1)")" 23505 'which is so'
ok 'as it advises' cluster_psql to -d erp -o /dev/null -c 'SELECT setval(sequence, highest) FROM credit.late_sequences()'
is "$(findings erp)" '' 'they are right again'
session_run reader "$(erp_order 601 999 1)"
is "$STATE" 00000 'an order of a new customer passes'
session_run reader "$(erp_order 602 1 5000)"
is "$STATE" 23514 'one beyond the limit is refused, by a session from before'
is "$(erp_differences to erp)" '' 'exposure is right'

# --- the ERP's tables alone, into a database where they are attached ----------

erp_create from shop
cluster_psql from -d shop <<-'SQL'
	CREATE TABLE erp.lines (id int, region text, customer int, amount numeric, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
	CREATE TABLE erp.lines_north PARTITION OF erp.lines FOR VALUES IN ('north');
	CREATE TABLE erp.lines_south PARTITION OF erp.lines FOR VALUES IN ('south');
	INSERT INTO erp.lines VALUES (1, 'north', 1, 10), (2, 'south', 2, 20);
	CREATE TABLE erp.bill (id int PRIMARY KEY, customer int);
	CREATE TABLE erp.bill_line (id int PRIMARY KEY, bill int, value numeric);
	INSERT INTO erp.bill VALUES (1, 5);
	INSERT INTO erp.bill_line VALUES (1, 1, 7);
	CREATE PUBLICATION tables FOR ALL TABLES;
SQL
cluster_psql to -c 'CREATE DATABASE shop'
PGHOST=$(cluster_dir from) pg_dump --schema-only shop | grep -v PUBLICATION | cluster_psql to -d shop -o /dev/null
erp_attach to shop
cluster_psql to -d shop -o /dev/null <<-'SQL'
	SET client_min_messages = warning;
	SELECT credit.attach('erp.lines', 'invoice', key => '(id, region)', customer => 'customer', amount => 'amount');
	CREATE VIEW erp.bills AS
	SELECT b.id, b.customer, sum(l.value) AS total FROM erp.bill b JOIN erp.bill_line l ON l.bill = b.id GROUP BY b.id;
	SELECT credit.attach('erp.bills', 'invoice', key => $$'b' || id$$, customer => 'customer', amount => 'total');
	SELECT credit.depend('erp.bills', 'erp.bill', $$SELECT 'b' || id FROM changed$$);
	SELECT credit.depend('erp.bills', 'erp.bill_line', $$SELECT 'b' || bill FROM changed$$);
SQL
subscribe shop tables
arrived shop
is "$(cluster_value to 'SELECT count(*) FROM credit.item' -d shop)" 0 'ordinary triggers do not fire for what arrives'
is "$(findings shop | cut -d ' ' -f 2- | sort -u | wc -l)" 6 'status() says so of every table that is captured'
like "$(findings shop)" 'source erp.orders: rows of erp.orders arrive by subscription s_shop and are not captured' 'in these words'

# Once more from the start, with a ledger that follows.
seen=$(grep -c '' "$(cluster_log to)")
cluster_psql to -d shop <<-'SQL'
	SET client_min_messages = warning;
	DROP SUBSCRIPTION s_shop;
	TRUNCATE erp.orders, erp.customers, erp."Money Received", erp.lines, erp.bill, erp.bill_line;
SQL
is "$(cluster_value to 'SELECT sum(credit.follow_replication(name)) FROM credit.sources' -d shop)" 6 \
	'follow_replication() of every source'
is "$(cluster_value to "SELECT string_agg(DISTINCT health, ' ') FROM credit.sources" -d shop)" ok 'is in order for credit.sources'
# what would be refused here, were it entered here
cluster_psql from -d shop -c "$(erp_order 500 1 5000)"
subscribe shop tables
ok 'the first copy' arrived shop
is "$(findings shop)" '' 'status() is content'
is "$(cluster_value to 'SELECT * FROM credit.reconcile()' -d shop)" '' 'the first copy is in the ledger'
is "$(cluster_value to "SELECT DISTINCT d.verdict || ' ' || d.rule FROM credit.decision d WHERE d.customer = '1'" -d shop)" 'bypass limit' \
	'what was above the limit is written down as let through'
cluster_psql from -d shop <<-'SQL'
	INSERT INTO erp.orders (order_number, customer_number, total) VALUES (501, 2, 3000), (502, 3, 30), (503, 950, 1);
	UPDATE erp.orders SET total = 4000 WHERE order_number = 502;
	UPDATE erp.orders SET order_number = 504 WHERE order_number = 503;
	UPDATE erp.orders SET status = 'cancelled' WHERE order_number = 7;
	DELETE FROM erp.orders WHERE order_number = 8;
	UPDATE erp.customers SET credit_limit = 77 WHERE customer_number = 4;
	INSERT INTO erp.lines VALUES (3, 'north', 3, 30);
	UPDATE erp.lines SET region = 'south', amount = 11 WHERE id = 1;
	INSERT INTO erp.bill_line VALUES (2, 1, 5);
	TRUNCATE erp."Money Received";
	INSERT INTO erp."Money Received" VALUES (900, 1, 5);
SQL
ok 'changes arrive, orders beyond every limit too' arrived shop
is "$(cluster_value to 'SELECT * FROM credit.reconcile()' -d shop)" '' 'and the ledger has followed'
is "$(cluster_value to 'SELECT count(*) FROM credit.item WHERE amount IS NOT NULL' -d shop)|$(cluster_value to "SELECT total FROM credit.exposure_by_currency WHERE customer = '2'" -d shop)" \
	"$(cluster_value from "SELECT (SELECT count(*) FROM erp.orders WHERE status = 'confirmed') + 1 + 3 + 1" -d shop)|$(cluster_value from "SELECT (SELECT sum(total) FROM erp.orders WHERE customer_number = 2) + 20" -d shop)" \
	'with the documents and the sums of the publisher'

# A local transaction that holds a document makes the worker wait, not fail,
# and a local order is refused as ever.
is "$(sqlstate to shop "SELECT credit.set('max_wait', '10ms')")" 00000 'a short max_wait'
session_run reader '\c shop'
session_run reader "BEGIN; $(erp_order 951 990 1)"
cluster_psql from -d shop -c "$(erp_order 952 990 1)"
sleep 1
session_run reader 'ROLLBACK'
ok 'replication waits for a local transaction beyond max_wait' arrived shop
is "$(sed "1,${seen}d" "$(cluster_log to)" | grep -v psql | grep -c ERROR || :)" 0 'without an error of the worker'
session_run reader "$(erp_order 953 2 1)"
is "$STATE" 23514 'an order that is entered on the replica is refused'
is "$(cluster_value to "SELECT credit.follow_replication('erp.orders', false)" -d shop)" 1 'not to follow any more'
like "$(findings shop)" 'source erp.orders: rows of erp.orders arrive by subscription s_shop and are not captured' 'is said by status()'
cluster_psql to -d shop -c 'SET client_min_messages = warning' -c 'DROP SUBSCRIPTION s_shop'

# --- documents of all kinds, which name one another and come in any order -------

# steps N
steps() {
	cluster_psql from -d flow -c "DO \$\$ BEGIN FOR i IN 1 .. $1 LOOP CALL flow.step(60); END LOOP; END \$\$"
}

for cluster in from to; do
	cluster_psql $cluster -c 'CREATE DATABASE flow'
	cluster_psql $cluster -d flow -c 'CREATE EXTENSION credit' -f test/lib/flow.sql
done
steps 600
cluster_psql from -d flow -c 'CREATE PUBLICATION documents FOR TABLES IN SCHEMA erp, flow'
cluster_psql to -d flow -o /dev/null -c 'TRUNCATE erp.customers' -c 'CALL flow.attach()' \
	-c 'SELECT credit.follow_replication(name) FROM credit.sources'
# Tables are copied side by side: two workers that want the same documents can
# meet in a deadlock, and one begins again.
subscribe flow documents
steps 200
ok 'all kinds: everything arrives' arrived flow
is "$(cluster_value to 'SELECT * FROM flow.trouble LIMIT 5' -d flow)|$(cluster_value to 'SELECT * FROM credit.reconcile() LIMIT 5' -d flow)" '|' \
	'all kinds: stages, settlements, aging and statements are right'
is "$(cluster_value to "SELECT count(*) > 0 FROM credit.item i JOIN credit.source s USING (source_id) WHERE s.kind = 'application' AND i.amount > 0" -d flow)" t \
	'all kinds: with applications'
cluster_psql to -d flow -c 'SET client_min_messages = warning' -c 'DROP SUBSCRIPTION s_flow'

# --- in both directions, each side entering its own orders ----------------------

erp_create from pair
erp_create to pair
for cluster in from to; do
	erp_attach $cluster pair
	cluster_psql $cluster -d pair -o /dev/null -c 'SELECT credit.follow_replication(name) FROM credit.sources'
done
# what came from the other side is not sent back
cluster_psql from -d pair -c 'CREATE PUBLICATION own FOR TABLE erp.orders WHERE (order_number < 5000)'
cluster_psql to -d pair -c 'CREATE PUBLICATION own FOR TABLE erp.orders WHERE (order_number >= 5000)'
cluster_psql to -d pair -c 'SET client_min_messages = warning' \
	-c "CREATE SUBSCRIPTION s_pair CONNECTION 'host=$(cluster_dir from) dbname=pair user=postgres' PUBLICATION own WITH (copy_data = false)"
cluster_psql from -d pair -c 'SET client_min_messages = warning' \
	-c "CREATE SUBSCRIPTION s_back CONNECTION 'host=$(cluster_dir to) dbname=pair user=postgres' PUBLICATION own WITH (copy_data = false)"
arrived pair
cluster_psql from -d pair -c "$(erp_order 1500 15 600)"
cluster_psql to -d pair -c "$(erp_order 5500 16 600)"
arrived pair
patiently 30 cluster_says from 'SELECT count(*) = 1 FROM erp.orders WHERE order_number = 5500' -d pair || :
is "$(sqlstate to pair "$(erp_order 5501 15 600)")|$(sqlstate from pair "$(erp_order 1501 16 600)")" '23514|23514' \
	'in both directions: each side checks with what the other has sold'
is "$(sqlstate to pair "$(erp_order 5502 15 300)")" 00000 'in both directions: and lets in what fits'
is "$(for cluster in from to; do erp_differences $cluster pair; cluster_value $cluster 'SELECT * FROM credit.reconcile()' -d pair; done)" '' \
	'in both directions: both ledgers are right'
done_testing

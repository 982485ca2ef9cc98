#!/usr/bin/env bash
# What DBAs do to tables and roles while clerks are at work: rewrites, indexes,
# partitions, swaps, other owners, a schema that is dropped.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

orders() {
	cluster_value operation 'SELECT count(*) FROM erp.orders' -d erp
}

cluster_start operation fsync=off
cluster_psql operation -c 'CREATE ROLE dba SUPERUSER LOGIN' -c 'CREATE ROLE app LOGIN' -c 'CREATE ROLE app2 LOGIN'
erp_create operation erp
PGUSER=dba erp_attach operation erp
cluster_psql operation -d erp -o /dev/null <<-'SQL'
	SET client_min_messages = warning;
	CREATE TABLE erp.lines (id int, year int, customer int, total numeric, PRIMARY KEY (year, id)) PARTITION BY LIST (year);
	CREATE TABLE erp.lines_1 PARTITION OF erp.lines FOR VALUES IN (1);
	CREATE TABLE erp.lines_2 (LIKE erp.lines INCLUDING INDEXES);
	CREATE SCHEMA old;
	SELECT credit.attach('erp.lines', 'delivery', key => '(year, id)', customer => '100 + customer', amount => 'total');
	GRANT ALL ON ALL TABLES IN SCHEMA erp TO clerk;
SQL

# --- rewrites and indexes -----------------------------------------------------

erp_work operation 9 &
worker=$!
echo "INSERT INTO erp.lines SELECT 1 + random() * 1000000000, 1, 1 + random() * 8, 0.01 ON CONFLICT DO NOTHING;" >"$CREDIT_WORK/operation-lines.sql"
PGUSER=clerk pgbench -n -c 2 -T 60 -f "$CREDIT_WORK/operation-lines.sql" erp >"$CREDIT_WORK/operation-lines.log" 2>&1 &
worker2=$!
sleep 0.5
before=$(orders)
while read -r sql; do
	ok "while orders arrive: $sql" cluster_psql operation -d erp -c 'SET client_min_messages = warning' -c "$sql"
done <<-'SQL'
	VACUUM FULL credit.journal
	VACUUM FULL credit.item
	VACUUM FULL credit.account_limit
	CLUSTER credit.item USING item_pkey
	REINDEX SCHEMA CONCURRENTLY credit
	REINDEX TABLE credit.journal
	CREATE INDEX CONCURRENTLY extra ON credit.item (number) WHERE number IS NOT NULL
	DROP INDEX CONCURRENTLY credit.extra
	ALTER TABLE credit.item SET (fillfactor = 80)
	VACUUM (FREEZE, ANALYZE) credit.item
	VACUUM FULL erp.orders
	CLUSTER erp.orders USING orders_pkey
	REINDEX TABLE CONCURRENTLY erp.orders
	ALTER TABLE erp.orders ADD COLUMN note text DEFAULT 'none'
	ALTER TABLE erp.orders ALTER COLUMN total TYPE numeric(14,2)
	ALTER TABLE erp.orders DROP COLUMN note
	ALTER TABLE erp.lines ATTACH PARTITION erp.lines_2 FOR VALUES IN (2)
	ALTER TABLE erp.lines DETACH PARTITION erp.lines_2 CONCURRENTLY
SQL
ok 'orders did arrive' test "$(orders)" -gt $((before + 50))

# --- another table takes the place of an attached one, mapping and all ----------

session_start clerk operation -d erp -U clerk
session_run clerk "$(erp_order 700 12 1)"
ok 'a swap, with detach and attach in its transaction' cluster_psql operation -d erp -o /dev/null <<-'SQL'
	SET client_min_messages = warning;
	SET lock_timeout = '20s';
	BEGIN;
	SELECT credit.detach('erp.orders', lock_timeout => '20s');
	LOCK TABLE erp.orders;
	CREATE TABLE old.copy (LIKE erp.orders INCLUDING ALL);
	INSERT INTO old.copy SELECT * FROM erp.orders;
	ALTER TABLE erp.orders SET SCHEMA old;
	ALTER TABLE old.copy RENAME TO orders_new;
	ALTER TABLE old.orders_new SET SCHEMA erp;
	ALTER TABLE erp.orders_new RENAME TO orders;
	GRANT ALL ON erp.orders TO clerk;
	SELECT credit.attach('erp.orders', 'order', key => 'order_number', customer => 'customer_number', amount => 'total',
		counts_when => $$status IN ('confirmed', 'in process')$$);
	COMMIT;
SQL
sleep 0.5
kill "$worker" "$worker2" 2>/dev/null || :
wait "$worker" "$worker2" || :
is "$(cat "$CREDIT_WORK/work-operation.log" "$CREDIT_WORK/operation-lines.log" | grep 'ERROR\|aborted' | head -n 3)" '' 'no clerk has had an error'
session_run clerk "$(erp_order 701 12 5000)"
is "$STATE" 23514 'a session from before is checked with the new table'
is "$(cluster_value operation "SELECT string_agg(DISTINCT customer, ' ') FROM credit.exposure e WHERE customer::int > 100 AND total IS DISTINCT FROM (SELECT sum(total) FROM erp.lines WHERE 100 + lines.customer = e.customer::int)" -d erp)" '' \
	'partitions are counted right'
cluster_psql operation -d erp -o /dev/null -c "SELECT credit.detach('erp.lines')" -c 'DROP TABLE erp.lines' -c 'DROP SCHEMA old CASCADE' 2>/dev/null
is "$(cluster_value operation "SELECT string_agg(trim_scale(sum)::text, ' ') FROM (SELECT sum(total) FROM credit.exposure WHERE customer::int > 100) s" -d erp)" 0 'a detached table leaves nothing'
cluster_psql operation -d erp -c "DELETE FROM erp.orders WHERE order_number > 1000"
is "$(cluster_value operation 'SELECT source_name, key, difference FROM credit.reconcile()' -d erp)" '' 'reconcile() finds nothing'

# --- other owners ---------------------------------------------------------------

cluster_psql operation -d erp -o /dev/null <<-'SQL'
	SET client_min_messages = warning;
	ALTER SCHEMA erp OWNER TO app;
	ALTER TABLE erp.orders OWNER TO app;
	CREATE TABLE erp.bill_line (bill int, customer int, value numeric);
	ALTER TABLE erp.bill_line OWNER TO app;
	GRANT ALL ON erp.bill_line TO clerk;
	CREATE VIEW erp.bills AS SELECT bill, min(customer) AS customer, sum(value) AS total FROM erp.bill_line GROUP BY bill;
	ALTER VIEW erp.bills OWNER TO app;
	SELECT credit.attach('erp.bills', 'invoice', key => 'bill', customer => '200 + customer', amount => 'total');
	SELECT credit.depend('erp.bills', 'erp.bill_line', 'SELECT bill FROM changed');
SQL
session_run clerk 'INSERT INTO erp.bill_line VALUES (1, 1, 10)'
is "$STATE" 00000 'a view of role app is captured'
ok 'the ERP gets another owner, and the former role goes' cluster_psql operation -d erp \
	-c 'REASSIGN OWNED BY app TO app2' -c 'DROP OWNED BY app' -c 'DROP ROLE app'
session_run clerk 'INSERT INTO erp.bill_line VALUES (1, 1, 5)'
is "$STATE|$(cluster_value operation "SELECT total FROM credit.exposure WHERE customer = '201'" -d erp)" '00000|15' \
	'the view is captured as its new owner'
session_run clerk "$(erp_order 710 12 5000)"
is "$STATE" 23514 'orders are checked'
fails 'the owner of the extension cannot be dropped' cluster_psql operation -d erp -c 'DROP ROLE dba'
ok 'it can stop being a superuser' cluster_psql operation -c 'ALTER ROLE dba NOSUPERUSER'
session_run clerk "$(erp_order 711 12 5000)"
is "$STATE" 23514 'orders are refused then'
session_run clerk "$(erp_order 712 12 1); INSERT INTO erp.bill_line VALUES (1, 1, 5)"
is "$STATE" 00000 'and pass'
is "$(cluster_value operation "SELECT finding FROM credit.status() WHERE subject = 'extension'" -d erp)" \
	'belongs to role dba, which is no superuser: mappings it may not read are called broken here' 'status() says what it cannot see'
ok 'the night does its work' cluster_psql operation -d erp -c 'CALL credit.daily()'
ok 'it gives the extension to another, and goes' cluster_psql operation -d erp \
	-c 'REASSIGN OWNED BY dba TO postgres' -c 'DROP OWNED BY dba' -c 'DROP ROLE dba'
session_run clerk "$(erp_order 713 12 5000)"
is "$STATE" 23514 'orders are refused as before'
is "$(cluster_value operation "SELECT string_agg(DISTINCT health, ' ') FROM credit.sources" -d erp)" ok 'sources are well'
session_run clerk "$(erp_order 714 991 1)"
is "$STATE" 00000 'and a new customer gets an account'
is "$(cluster_value operation 'SELECT source_name, key, difference FROM credit.reconcile()' -d erp)" '' 'reconcile() finds nothing'

# --- a copy by CREATE DATABASE --------------------------------------------------

session_end clerk
cluster_psql operation -c 'CREATE DATABASE copy TEMPLATE erp'
is "$(cluster_value operation 'SELECT source_name, key, difference FROM credit.reconcile()' -d copy)|$(sqlstate operation copy "$(erp_order 720 12 5000)")|$(sqlstate operation copy "$(erp_order 720 12 1)")" \
	'|23514|00000' 'CREATE DATABASE TEMPLATE takes the ledger along'
ok 'a new name of the database changes nothing' cluster_psql operation -c 'ALTER DATABASE copy RENAME TO other'
is "$(sqlstate operation other "$(erp_order 721 12 5000)")" 23514 'for orders'

# --- the schema of the ERP goes -------------------------------------------------

ok 'DROP SCHEMA CASCADE of the ERP' cluster_psql operation -d other -c 'SET client_min_messages = warning' -c 'DROP SCHEMA erp CASCADE'
is "$(cluster_value operation "SELECT string_agg(DISTINCT finding, ' ') FROM credit.status() WHERE severity = 'error'" -d other)" \
	'mapping is broken: the table is gone' 'status() says that its tables are gone'
ok 'the sources can be detached' cluster_psql operation -d other -o /dev/null -c 'SELECT credit.detach(name) FROM credit.sources'
is "$(cluster_value operation "SELECT string_agg(DISTINCT severity, ' ') FROM credit.status()" -d other)|$(cluster_value operation 'SELECT count(*) FROM credit.exposure WHERE total <> 0' -d other)" 'info ok|0' \
	'and nothing is left of them'
done_testing

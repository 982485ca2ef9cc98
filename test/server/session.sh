#!/usr/bin/env bash
# What one session changes, another knows at its next statement.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

# order SESSION NUMBER CUSTOMER TOTAL EXPECTED DESCRIPTION
order() {
	session_run "$1" "$(erp_order "$2" "$3" "$4")"
	is "$STATE" "$5" "$6"
}

# state_of SESSION SQL EXPECTED DESCRIPTION
state_of() {
	session_run "$1" "$2"
	is "$STATE" "$3" "$4"
}

answer_of() {
	session_run "$1" "$2"
	is "$ANSWER" "$3" "$4"
}

cluster_start session
erp_create session erp
cluster_psql session -d erp -c 'CREATE EXTENSION credit' \
	-c "ALTER DATABASE erp SET client_min_messages = warning"
session_start admin session -d erp
session_start clerk session -d erp -U clerk
attach_orders="SELECT credit.attach('erp.orders', 'order', key => 'order_number',
	customer => 'customer_number', amount => 'total', document_date => 'order_date',
	counts_when => \$\$status IN ('confirmed', 'in process')\$\$)"

# --- configuration ------------------------------------------------------------

order clerk 500 1 5000 00000 'nothing is attached'
session_run admin "SELECT credit.attach('erp.customers', 'customer', key => 'customer_number',
	name => 'customer_name', credit_limit => 'credit_limit')"
state_of admin "$attach_orders" 00000 'attach in one session'
order clerk 501 2 5000 23514 'another is checked at its next statement'
order clerk 502 2 1 00000 'what fits passes'
state_of admin "SELECT credit.set('refusal_sqlstate', 'P0001')" 00000 'a setting is changed'
order clerk 503 2 5000 P0001 'and counts for the other at once'
state_of admin "SELECT credit.set('refusal_sqlstate', NULL)" 00000 'put back'
order clerk 504 2 5000 23514 'as well'
state_of admin "SELECT credit.set_rule('limit', 'warn')" 00000 'a rule is changed'
order clerk 505 3 5000 00000 'an order passes'
like "$ANSWER" 'WARNING.*would exceed the credit limit' 'with a warning'
state_of admin "SELECT credit.set_rule('limit', NULL)" 00000 'put back'
order clerk 506 4 5000 23514 'refused again'
state_of admin 'UPDATE erp.customers SET credit_limit = 9000 WHERE customer_number = 4' 00000 \
	'a limit of the ERP is raised'
order clerk 507 4 5000 00000 'the order fits now'
state_of admin 'UPDATE erp.customers SET credit_limit = 5100 WHERE customer_number = 4' 00000 'lowered'
order clerk 508 4 100 23514 'and does not fit'
state_of admin "SELECT credit.set_limit('900', 100, 'first')" 00000 'a limit is set by us'
order clerk 509 900 100 00000 'and can be used up'
order clerk 510 900 1 23514 'to the last cent'
state_of admin "SELECT credit.set_limit('900', NULL, 'stop', state => 'blocked')" 00000 'blocked'
order clerk 511 900 0.01 23514 'nothing more'

# What is rolled back was never there, for oneself neither.
session_run admin "BEGIN; SELECT credit.set('mode', 'off')"
order admin 520 5 5000 00000 'one own change counts within the transaction'
order clerk 521 5 5000 23514 'but not for others'
session_run admin 'ROLLBACK'
order admin 522 5 5000 23514 'nor after the rollback'
session_run admin "BEGIN; SAVEPOINT s; SELECT credit.set('mode', 'off'); ROLLBACK TO s"
order admin 523 5 5000 23514 'or the rollback to a savepoint'
session_run admin 'ROLLBACK'
session_run admin "BEGIN; SELECT credit.detach('erp.orders')"
order admin 524 5 5000 00000 'the same with detach'
session_run admin 'ROLLBACK'
order admin 525 5 5000 23514 'which is rolled back'
order clerk 526 5 5000 23514 'for all'
is "$(cluster_value session "SELECT string_agg(DISTINCT health, ' ') FROM credit.sources" -d erp)" ok \
	'the sources are well'

# --- kill switch --------------------------------------------------------------

# It reaches transactions that began before, whatever they have read already,
# at their next statement: that is what it is for.
n=600
for level in 'READ COMMITTED' 'REPEATABLE READ' SERIALIZABLE; do
	session_run clerk "BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM erp.orders"
	order clerk $n 6 1 00000 "$level: an order"
	session_run clerk 'SAVEPOINT s'
	order clerk $((n + 1)) 6 5000 23514 "$level: one beyond the limit"
	session_run clerk 'ROLLBACK TO s'
	state_of admin "SELECT credit.set('mode', 'off')" 00000 "$level: the kill switch needs no lock"
	order clerk $((n + 2)) 6 5000 00000 "$level: and acts on the next statement"
	session_run admin "SELECT credit.set('mode', NULL)"
	session_run clerk 'SAVEPOINT s'
	order clerk $((n + 3)) 7 5000 23514 "$level: so does its end"
	session_run clerk 'ROLLBACK TO s'
	state_of admin "SELECT credit.set('capture', 'off')" 00000 "$level: the triggers are switched off"
	order clerk $((n + 4)) 7 5000 00000 "$level: they do nothing"
	session_run admin "SELECT credit.set('capture', 'on')"
	session_run clerk ROLLBACK
	n=$((n + 10))
done
# Within one statement that runs on: a DO block, as a long job of the ERP.
session_run admin 'SELECT pg_advisory_lock(1)'
session_run clerk 'BEGIN'
session_send clerk "DO \$\$ BEGIN
	PERFORM pg_advisory_lock(1);
	$(erp_order 640 6 5000);
END \$\$"
patiently 10 session_waits clerk session || :
answer_of admin "SELECT credit.set('mode', 'off')" off 'a statement runs; the switch is thrown'
session_run admin 'SELECT pg_advisory_unlock(1)'
session_hear clerk
is "$STATE" 00000 'and reaches the order inside'
session_run clerk ROLLBACK
session_run admin "SELECT credit.set('mode', NULL)"

# --- prepared statements ------------------------------------------------------

session_start prepared session -d erp -U clerk
session_run prepared "PREPARE o (int, int, numeric) AS
	INSERT INTO erp.orders (order_number, customer_number, total) VALUES (\$1, \$2, \$3)"
for n in 700 701 702 703 704 705 706; do
	session_run prepared "EXECUTE o($n, 8, 1)"
done
state_of prepared 'EXECUTE o(710, 8, 5000)' 23514 'a prepared statement is checked'
session_run admin "SELECT credit.detach('erp.orders')"
state_of prepared 'EXECUTE o(711, 8, 5000)' 00000 'no more after detach'
session_run admin 'DELETE FROM erp.orders WHERE order_number = 711'
session_run admin "$attach_orders"
state_of prepared 'EXECUTE o(712, 8, 5000)' 23514 'again after attach'
state_of prepared 'EXECUTE o(713, 8, 1)' 00000 'what fits passes'

# --- ALTER TABLE --------------------------------------------------------------

alter() {
	state_of admin "ALTER TABLE erp.orders $1" 00000 "ALTER TABLE $1"
	state_of prepared "EXECUTE o($2, 8, 5000)" 23514 'a prepared statement is checked'
	state_of prepared "EXECUTE o($(($2 + 1)), 8, 1)" 00000 'and can place what fits'
	order clerk $(($2 + 2)) 8 5000 23514 'so is another'
	order clerk $(($2 + 3)) 8 1 00000 'and can'
}
alter 'ADD COLUMN note text' 800
alter "ADD COLUMN filled text DEFAULT 'x'" 804
alter 'DROP COLUMN note' 808
alter 'DROP COLUMN required_date' 812
alter 'ALTER COLUMN total TYPE numeric(14,4)' 816
alter 'ALTER COLUMN customer_number TYPE bigint' 820
alter 'ALTER COLUMN status TYPE varchar(20)' 824
alter 'RENAME COLUMN filled TO unfilled' 828
state_of admin 'ALTER TABLE erp.orders RENAME TO sales_orders' 00000 'the table gets another name'
state_of prepared 'EXECUTE o(840, 8, 5000)' 42P01 'which prepared statements do not know'
state_of clerk 'INSERT INTO erp.sales_orders (order_number, customer_number, total) VALUES (841, 8, 5000)' \
	23514 'it is checked under the new name'
state_of admin 'ALTER TABLE erp.sales_orders SET SCHEMA public' 00000 'and schema'
session_run admin 'GRANT ALL ON public.sales_orders TO clerk'
state_of clerk 'INSERT INTO public.sales_orders (order_number, customer_number, total) VALUES (842, 8, 5000)' \
	23514 'there too'
session_run admin 'ALTER TABLE public.sales_orders SET SCHEMA erp; ALTER TABLE erp.sales_orders RENAME TO orders'
state_of prepared 'EXECUTE o(843, 8, 5000)' 23514 'back where it was'

# A mapped column is renamed: on_error => pass lets rows in with a warning.
state_of admin 'ALTER TABLE erp.orders RENAME COLUMN status TO state' 00000 'a mapped column is renamed'
order clerk 850 8 5000 00000 'rows pass'
like "$ANSWER" 'WARNING' 'with a warning'
like "$(cluster_value session 'SELECT severity, finding FROM credit.status()' -d erp)" \
	'error.*mapping is broken' 'status() says so'
state_of admin 'ALTER TABLE erp.orders RENAME COLUMN state TO status' 00000 'it is named back'
order clerk 851 8 5000 23514 'rows are checked again'
is "$(cluster_value session "SELECT health FROM credit.sources WHERE kind = 'order'" -d erp)" \
	unverified 'the source stays marked, a row is missing'
session_run admin "SELECT credit.detach('erp.orders'); DELETE FROM erp.orders WHERE order_number = 850"
session_run admin "$attach_orders"
is "$(cluster_value session "SELECT string_agg(DISTINCT health, ' ') FROM credit.sources" -d erp)" ok \
	'until it is attached anew'

# Triggers that were switched off are noticed.
session_run admin 'ALTER TABLE erp.orders DISABLE TRIGGER zz_credit_row'
like "$(cluster_value session 'SELECT severity, finding FROM credit.status()' -d erp)" \
	'error.*triggers zz_credit' 'status() knows of disabled triggers'
session_run admin 'ALTER TABLE erp.orders ENABLE TRIGGER zz_credit_row'

# --- roles --------------------------------------------------------------------

session_run admin "SELECT credit.detach('erp.orders')"
# shellcheck disable=SC2016 # dollar quotes
session_run admin 'CREATE FUNCTION erp.net(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT $1 * 1 $$;
	REVOKE ALL ON FUNCTION erp.net(numeric) FROM PUBLIC;
	CREATE ROLE boss; GRANT EXECUTE ON FUNCTION erp.net(numeric) TO boss'
session_run admin 'GRANT ALL ON SCHEMA erp TO boss; GRANT ALL ON ALL TABLES IN SCHEMA erp TO boss'
state_of admin "${attach_orders/\'total\'/\'erp.net(total)\'}" 00000 'a mapping that calls a function'
session_start boss session -d erp
session_run boss 'SET ROLE boss'
order boss 900 9 5000 23514 'evaluated as the role that places the order'
order boss 901 9 1 00000 'which may call it'
session_run boss 'RESET ROLE; SET ROLE clerk'
order boss 902 9 5000 00000 'after SET ROLE as that one'
like "$ANSWER" WARNING 'which may not: on_error lets the row in and warns'
session_run boss 'RESET ROLE; SET ROLE boss'
order boss 903 9 5000 23514 'back in the first role it is checked'
order clerk 904 9 5000 00000 'a session of that role'
session_run admin 'GRANT EXECUTE ON FUNCTION erp.net(numeric) TO clerk'
order clerk 905 9 5000 23514 'is checked once it has the right'
order boss 906 9 5000 23514 'and the others as before'
# shellcheck disable=SC2016
session_run admin 'CREATE OR REPLACE FUNCTION erp.net(numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT $1 / 100 $$'
order clerk 907 9 5000 00000 'a function that changes counts at once'
session_run admin "SELECT credit.detach('erp.orders'); DELETE FROM erp.orders WHERE order_number >= 500"
session_run admin "$attach_orders"

# A function of the ERP that runs as its owner.
session_run admin "CREATE FUNCTION erp.place(int, int, numeric) RETURNS void LANGUAGE sql SECURITY DEFINER
	AS 'INSERT INTO erp.orders (order_number, customer_number, total) VALUES (\$1, \$2, \$3)'"
state_of clerk 'SELECT erp.place(910, 9, 5000)' 23514 'orders by a SECURITY DEFINER function are checked'
state_of clerk 'SELECT erp.place(911, 9, 1)' 00000 'and placed'

# --- what must not write ------------------------------------------------------

session_run admin 'BEGIN READ ONLY'
state_of admin "SELECT credit.set_limit('900', 7, 'no')" 25006 'a read-only transaction sets no limit'
session_run admin 'ROLLBACK; BEGIN READ ONLY'
state_of admin "SELECT verdict FROM credit.check_order('1', 1)" 00000 'but may ask'
session_run admin ROLLBACK
state_of clerk "SELECT credit.set('mode', 'off')" 42501 'the clerk has no right on schema credit'
state_of clerk 'SELECT * FROM credit.exposure' 42501 'none at all'

# --- libraries loaded early ---------------------------------------------------

for parameter in session_preload_libraries shared_preload_libraries; do
	cluster_restart session "$parameter=credit" >/dev/null
	is "$(cluster_value session 'SELECT 1' -d postgres)" 1 \
		"$parameter: a database without the extension can be used"
	is "$(PGUSER=clerk sqlstate session erp "$(erp_order 920 10 5000)")" 23514 \
		"$parameter: orders are checked"
	is "$(PGUSER=clerk sqlstate session erp "$(erp_order 921 10 1); DELETE FROM erp.orders WHERE order_number = 921")" \
		00000 "$parameter: and placed"
	is "$(PGUSER=clerk sqlstate session erp "SET credit.as_of = '2026-01-01'; SHOW credit.as_of")" \
		00000 "$parameter: credit.as_of is known"
	cluster_psql session -c 'CREATE DATABASE fresh'
	is "$(sqlstate session fresh "CREATE EXTENSION credit; SELECT * FROM credit.status(); DROP EXTENSION credit")" \
		00000 "$parameter: CREATE and DROP EXTENSION"
	cluster_psql session -c 'DROP DATABASE fresh'
	cluster_restart session "$parameter=" >/dev/null
done

# --- pooled sessions ----------------------------------------------------------

# A pool keeps sessions for days; the extension is dropped and made anew under
# them, with other oids, while they hold caches of the old one.
for name in pool1 pool2; do
	session_start $name session -d erp -U clerk
done
session_start dba session -d erp
for round in 1 2 3; do
	order pool1 $((round * 10 + 950)) 11 5000 23514 "$round: a pooled session is checked"
	order pool2 $((round * 10 + 951)) 11 1 00000 "$round: another places what fits"
	session_run dba 'DROP EXTENSION credit CASCADE'
	[ $round != 2 ] || order pool1 $((round * 10 + 952)) 11 1 00000 "$round: orders go on without us"
	session_run dba 'CREATE EXTENSION credit'
	session_run dba "SELECT credit.set('refusal_sqlstate', 'P000$round')"
	session_run dba "SELECT credit.attach('erp.customers', 'customer', key => 'customer_number', credit_limit => 'credit_limit')"
	session_run dba "$attach_orders"
	order pool1 $((round * 10 + 953)) 11 5000 P000$round "$round: they find the new one"
	order pool2 $((round * 10 + 954)) 11 5000 P000$round "$round: all of them"
	order pool2 $((round * 10 + 955)) 901 1 00000 "$round: which makes accounts"
	session_run pool1 'DISCARD ALL'
	order pool1 $((round * 10 + 956)) 11 5000 P000$round "$round: DISCARD ALL does no harm"
	session_run dba "SELECT credit.set('refusal_sqlstate', NULL)"
done
is "$(cluster_value session "SELECT e.customer, e.total FROM credit.exposure e
	JOIN (SELECT customer_number::text AS customer, sum(total) AS total FROM erp.orders GROUP BY 1) o
	USING (customer) WHERE e.total <> o.total" -d erp)" '' 'exposure is right in the end'
done_testing

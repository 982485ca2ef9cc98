#!/usr/bin/env bash
# credit goes without a trace, while sessions that knew it work on, and comes
# back for them.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

# The database as pg_dump sees it, byte by byte but for its random key.
schema() {
	PGHOST=$(cluster_dir drop) pg_dump --schema-only erp |
		grep -v '^\\\(un\)\?restrict '
}

# What pg_dump does not show: whatever names us in a catalog.
traces() {
	cluster_value drop "
		SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname ~ 'credit'
		UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE probin ~ 'credit' OR proname ~ 'credit'
		UNION ALL SELECT 'relation ' || oid::regclass FROM pg_class WHERE relname ~ 'credit'
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgname ~ 'credit'
		UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typname ~ 'credit'
		UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
		UNION ALL SELECT 'setting of ' || setrole FROM pg_db_role_setting
		UNION ALL SELECT 'publication ' || pubname FROM pg_publication
		UNION ALL SELECT 'job ' || pid FROM pg_stat_activity WHERE backend_type ~ 'credit'" -d erp
}

order() {
	session_run "$1" "$(erp_order "$2" "$3" "$4")"
}

cluster_start drop
erp_create drop erp
before=$(schema)
nothing=$(traces)
is "$nothing" '' 'nothing of ours is there'

# --- DROP EXTENSION -----------------------------------------------------------

erp_attach drop erp
isnt "$(schema)" "$before" 'attach changes the schema'
session_start admin drop -d erp
session_start clerk drop -d erp -U clerk
session_start prepared drop -d erp -U clerk
session_run prepared "PREPARE o AS INSERT INTO erp.orders (order_number, customer_number, total) VALUES (\$1, 1, \$2)"
order clerk 500 1 1
is "$STATE" 00000 'a session places an order'
order clerk 501 1 5000
is "$STATE" 23514 'which is checked'
session_run prepared 'EXECUTE o(502, 1)'
is "$STATE" 00000 'so does a prepared statement'

session_run admin 'DROP EXTENSION credit'
is "$STATE" 2BP01 'DROP EXTENSION does not take the triggers by surprise'
for trigger in zz_credit_begin zz_credit_row zz_credit_end zz_credit_truncate; do
	like "$ANSWER" "trigger $trigger on table erp.orders" "and names $trigger"
done
like "$ANSWER" 'trigger zz_credit_row on table erp."Money Received"' 'on every table'
order clerk 503 1 5000
is "$STATE" 23514 'nothing has changed'

# An open transaction holds its locks, so that the drop waits for it.
session_run clerk 'BEGIN'
order clerk 504 2 1
session_send admin 'SET client_min_messages = warning; DROP EXTENSION credit CASCADE'
patiently 10 session_waits admin drop || :
ok 'the drop waits for an open transaction' session_waits admin drop
order clerk 505 2 2000
is "$STATE" 23514 'which is checked as before'
session_run clerk 'ROLLBACK'
session_hear admin
is "$STATE" 00000 'DROP EXTENSION CASCADE'
after=$(schema)
is "$(diff <(echo "$before") <(echo "$after"))" '' 'leaves the schema byte by byte as it was'
is "$(traces)" '' 'and no trace elsewhere'
order clerk 506 1 5000
is "$STATE|$ANSWER" '00000|' 'a session that had the library goes on, unchecked'
session_run prepared 'EXECUTE o(507, 6000)'
is "$STATE|$ANSWER" '00000|' 'so does a prepared statement'
session_run clerk "UPDATE erp.orders SET total = total + 1; DELETE FROM erp.orders WHERE order_number = 506"
is "$STATE|$ANSWER" '00000|' 'and other statements'
session_run admin 'TRUNCATE erp."Money Received"'
is "$STATE|$ANSWER" '00000|' 'and TRUNCATE'
session_run admin "SET credit.as_of = '2026-01-01'; RESET credit.as_of"
is "$STATE" 00000 'and its parameter does no harm'

# --- and back -----------------------------------------------------------------

session_run admin "DELETE FROM erp.orders WHERE order_number >= 500;
	INSERT INTO erp.\"Money Received\" SELECT g, g, 5 FROM generate_series(1, 20) g;"
session_run admin 'CREATE EXTENSION credit'
is "$STATE|$ANSWER" '00000|' 'CREATE EXTENSION in the session that dropped it'
session_run admin "SELECT count(*) FROM credit.exposure"
is "$ANSWER" 0 'it starts empty'
session_run admin "SELECT credit.set_limit('900', 5, 'first')"
is "$STATE" 00000 'it can write'
session_run admin "SET client_min_messages = warning;
	SELECT credit.attach('erp.customers', 'customer', key => 'customer_number', credit_limit => 'credit_limit');
	SELECT credit.attach('erp.orders', 'order', key => 'order_number', customer => 'customer_number',
		amount => 'total', counts_when => \$\$status IN ('confirmed', 'in process')\$\$);"
is "$STATE" 00000 'attach'
order admin 510 1 5000
is "$STATE" 23514 'the same session is checked'
order clerk 511 1 5000
is "$STATE" 23514 'so is one that had caches'
session_run prepared 'EXECUTE o(512, 6000)'
is "$STATE" 23514 'and a prepared statement'
order clerk 513 1 1
is "$STATE" 00000 'an order that fits passes'
order clerk 514 900 6
is "$STATE" 23514 'limits of set_limit count'
session_run admin "SELECT total FROM credit.exposure WHERE customer = '1'"
is "$ANSWER" "$(cluster_value drop "SELECT sum(total) FROM erp.orders WHERE customer_number = 1" -d erp)" \
	'exposure is right'
is "$(cluster_value drop "SELECT string_agg(DISTINCT health, ' ') FROM credit.sources" -d erp)" ok \
	'the sources are well'

# --- detach -------------------------------------------------------------------

session_run admin "SELECT credit.detach('erp.orders')"
is "$STATE" 00000 'detach in one session'
order clerk 520 1 5000
is "$STATE|$ANSWER" '00000|' 'frees another'
session_run prepared 'EXECUTE o(521, 6000)'
is "$STATE|$ANSWER" '00000|' 'and a prepared statement'
session_run admin "SELECT trim_scale(total) FROM credit.exposure WHERE customer = '1'"
is "$ANSWER" 0 'its documents are out of exposure'
session_run admin "SELECT credit.detach('erp.customers')"
is "$STATE" 00000 'detach the customers'
is "$(diff <(echo "$before") <(schema)| grep zz_credit || :)" '' 'no trigger is left on the ERP'
session_run admin "DELETE FROM erp.orders WHERE order_number >= 500"
erp_attach drop erp
is "$(erp_differences drop erp)" '' 'attached again, exposure is right'
order clerk 530 1 5000
is "$STATE" 23514 'a session with caches is checked'
session_run prepared 'EXECUTE o(531, 6000)'
is "$STATE" 23514 'and a prepared statement'
order clerk 532 1 1
is "$STATE" 00000 'what fits passes'

# --- a table of the ERP, or its schema, goes ----------------------------------

session_run admin 'DROP TABLE erp."Money Received"'
is "$STATE" 00000 'the ERP can drop an attached table'
order clerk 533 1 1
is "$STATE" 00000 'orders go on'
like "$(cluster_value drop 'SELECT severity, finding FROM credit.status()' -d erp)" \
	'error.*the table is gone' 'status() says that it is gone'
session_run admin "SELECT credit.detach(name) FROM credit.sources WHERE health = 'broken'"
is "$STATE" 00000 'its source can be detached'
isnt "$(cluster_value drop 'SELECT severity FROM credit.status() LIMIT 1' -d erp)" error \
	'and all is well'
session_run admin 'DROP EXTENSION credit CASCADE'
is "$STATE" 00000 'dropped once more'
is "$(traces)" '' 'without a trace'
order clerk 540 1 5000
is "$STATE|$ANSWER" '00000|' 'and orders go on'
done_testing

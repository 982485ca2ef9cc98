#!/usr/bin/env bash
# Rows that reach the ERP's tables past every trigger, in every way there is:
# reconcile() lists exactly those, CALL credit.repair() mends them, and after it
# exposure is what the rows come to, while clerks go on placing orders. A repair
# that meets writers of the very documents it mends overwrites nothing newer.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"

ROUNDS=${ROUNDS:-2}
SECONDS_OF_WORK=8

cluster_start repair fsync=off deadlock_timeout=50ms
cluster_psql repair -c 'CREATE ROLE clerk LOGIN' -c 'CREATE DATABASE erp'
cluster_psql repair -d erp -o /dev/null <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION credit;
CREATE SCHEMA erp;
CREATE TABLE erp.customers (id int PRIMARY KEY, name text, credit_limit numeric);
INSERT INTO erp.customers SELECT c, 'Customer ' || c, 100000 FROM generate_series(1, 40) c;
-- old orders and those of today
CREATE TABLE erp.orders (id bigint PRIMARY KEY, customer int NOT NULL, total numeric, status text NOT NULL DEFAULT 'open')
	PARTITION BY RANGE (id);
CREATE TABLE erp.orders_old PARTITION OF erp.orders FOR VALUES FROM (0) TO (100000);
CREATE TABLE erp.orders_now PARTITION OF erp.orders FOR VALUES FROM (100000) TO (1000000000);
CREATE TABLE erp.payments (id bigint PRIMARY KEY, customer int NOT NULL, amount numeric NOT NULL);
-- invoices are headers with lines
CREATE TABLE erp.invoices (id int PRIMARY KEY, customer int NOT NULL);
CREATE TABLE erp.lines (invoice int NOT NULL, n int NOT NULL, amount numeric NOT NULL, PRIMARY KEY (invoice, n));
CREATE VIEW erp.invoice_totals AS
	SELECT i.id, i.customer, sum(l.amount) AS total FROM erp.invoices i JOIN erp.lines l ON l.invoice = i.id GROUP BY i.id;
CREATE SEQUENCE erp.number START 200000;
INSERT INTO erp.orders SELECT n, 1 + n % 10, 100 FROM generate_series(1, 4000) n;
INSERT INTO erp.payments SELECT n, 1 + n % 10, 5 FROM generate_series(1, 400) n;
INSERT INTO erp.invoices SELECT n, 1 + n % 10 FROM generate_series(1, 200) n;
INSERT INTO erp.lines SELECT i, n, 10 FROM generate_series(1, 200) i, generate_series(1, 2) n;
SELECT credit.attach('erp.customers', 'customer', key => 'id', name => 'name', credit_limit => 'credit_limit');
SELECT credit.attach('erp.orders', 'order', key => 'id', customer => 'customer', amount => 'total',
	counts_when => $$status = 'open'$$);
SELECT credit.attach('erp.payments', 'payment', key => 'id', customer => 'customer', amount => 'amount');
SELECT credit.attach('erp.invoice_totals', 'invoice', key => 'id', customer => 'customer', amount => 'total');
SELECT credit.depend('erp.invoice_totals', 'erp.invoices', 'SELECT id FROM changed'),
	   credit.depend('erp.invoice_totals', 'erp.lines', 'SELECT invoice FROM changed');
-- what each customer owes, from the rows alone
CREATE VIEW erp.truth AS
SELECT c.id::text AS customer, COALESCE(sum(d.amount), 0) AS total
  FROM erp.customers c
  LEFT JOIN (SELECT o.customer, o.total AS amount FROM erp.orders o WHERE o.status = 'open'
			 UNION ALL SELECT p.customer, -p.amount FROM erp.payments p
			 UNION ALL SELECT i.customer, i.total FROM erp.invoice_totals i) d ON d.customer = c.id
 GROUP BY c.id;
CREATE VIEW erp.wrong AS
SELECT t.customer, t.total, e.total AS has FROM erp.truth t LEFT JOIN credit.exposure e ON e.customer = t.customer
 WHERE t.total IS DISTINCT FROM e.total;
-- Clerks at customers 11 to 40, whose limits are nearly used up.
INSERT INTO erp.orders SELECT n, 11 + n % 30, 32000 FROM generate_series(100001, 100090) n;
CREATE FUNCTION erp.work() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c int := 11 + floor(random() * 30);
BEGIN
	CASE floor(random() * 6)
		WHEN 0, 1, 2 THEN INSERT INTO erp.orders VALUES (nextval('erp.number'), c, round(random() * 900));
		WHEN 3 THEN UPDATE erp.orders SET total = total + 20 WHERE id = (SELECT o.id FROM erp.orders_now o WHERE o.customer = c ORDER BY random() LIMIT 1);
		WHEN 4 THEN DELETE FROM erp.orders WHERE id = (SELECT o.id FROM erp.orders_now o WHERE o.customer = c AND o.id >= 200000 ORDER BY random() LIMIT 1);
		ELSE INSERT INTO erp.payments VALUES (nextval('erp.number'), c, 10);
	END CASE;
EXCEPTION WHEN check_violation THEN
	NULL;			/* beyond the limit: refused, as it has to be */
END $$;
GRANT USAGE ON SCHEMA erp TO clerk;
GRANT ALL ON ALL TABLES IN SCHEMA erp TO clerk;
GRANT ALL ON ALL SEQUENCES IN SCHEMA erp TO clerk;
SQL

sql() { cluster_psql repair -d erp -o /dev/null -c 'SET client_min_messages = warning' -c "$1"; }
value() { cluster_value repair "$1" -d erp; }
unseen() { cluster_psql repair -d erp -o /dev/null -c 'SET session_replication_role = replica' -c "$1"; }

# repair [ARGUMENTS]: what it says
repair() { cluster_psql repair -d erp -c "CALL credit.repair(${1:-})" 2>&1; }

# mends NAME EXPECTED: reconcile() lists what is expected (source, difference and
# how many), repair mends it, and all is as the rows say.
mends() {
	is "$(value "SELECT string_agg(format('%s %s %s', source_name, difference, n), ', ' ORDER BY source_name, difference)
		FROM (SELECT source_name, difference, count(*) AS n FROM credit.reconcile() GROUP BY 1, 2) q")" "$2" \
		"$1: reconcile lists exactly that"
	like "$(repair)" ' 0 left' "$1: all is mended"
	is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' "$1: nothing differs any more"
	is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' "$1: exposure is what the rows come to"
}

# --- while clerks are at work -------------------------------------------------

is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'at the beginning all agrees'
echo 'SELECT erp.work();' >"$CREDIT_WORK/repair-work.sql"
echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT erp.work(); SELECT erp.work(); COMMIT;' >"$CREDIT_WORK/repair-work2.sql"
PGUSER=clerk pgbench -n -c 3 -R 150 -T 300 --max-tries=50 -f "$CREDIT_WORK/repair-work.sql" \
	-f "$CREDIT_WORK/repair-work2.sql" erp >"$CREDIT_WORK/repair-work.log" 2>&1 &
CLERKS=$!

sql 'ALTER TABLE erp.orders_old DISABLE TRIGGER zz_credit_row;
	INSERT INTO erp.orders SELECT n, 1 + n % 10, 50 FROM generate_series(5001, 5030) n;
	UPDATE erp.orders SET total = 101 WHERE id <= 20; DELETE FROM erp.orders WHERE id BETWEEN 21 AND 25;
	ALTER TABLE erp.orders_old ENABLE TRIGGER zz_credit_row'
mends 'triggers disabled' 'erp.orders different 20, erp.orders missing 30, erp.orders too much 5'
is "$(value "SELECT count(*) FROM credit.unchecked_document WHERE key::int BETWEEN 5001 AND 5030 AND amount = 50
	AND found_by = 'postgres' AND NOT is_over_limit")" 30 'orders that nobody checked are reported'
is "$(value "SELECT count(*) FROM credit.unchecked_document WHERE key::int <= 20 AND amount = 1")" 20 \
	'and so are those that were raised, by what they were raised'
like "$(value "SELECT severity, finding FROM credit.status() WHERE subject = 'unchecked documents'")" 'warning' 'status() names them'
sql "SELECT credit.acknowledge_unchecked('entered by hand, agreed with sales')"
is "$(value "SELECT count(*) FROM credit.status() WHERE subject = 'unchecked documents'")" 0 'until they are acknowledged'
is "$(value "SELECT DISTINCT acknowledged_by, acknowledgement FROM credit.unchecked_document")" \
	'postgres|entered by hand, agreed with sales' 'which is written down'

unseen 'INSERT INTO erp.orders SELECT n, 1 + n % 10, 50 FROM generate_series(6001, 6010) n;
	UPDATE erp.orders SET total = 99 WHERE id <= 7; DELETE FROM erp.orders WHERE id BETWEEN 31 AND 35;
	DELETE FROM erp.payments WHERE id <= 3; UPDATE erp.customers SET credit_limit = 99999 WHERE id = 3;
	UPDATE erp.lines SET amount = 11 WHERE invoice = 5'
mends 'session_replication_role' 'erp.customers different 1, erp.invoice_totals different 1, erp.orders different 7, erp.orders missing 10, erp.orders too much 5, erp.payments too much 3'
is "$(value "SELECT limit_state, credit_limit FROM credit.exposure WHERE customer = '3'")" 'amount|99999' 'the limit too'

pg_dump -d erp --data-only -t erp.orders_old -Fc -f "$CREDIT_WORK/old.dump"
sql 'TRUNCATE erp.orders_old'
n=$(value 'SELECT count(*) FROM credit.item JOIN credit.source USING (source_id) WHERE kind = '"'order'"' AND key::int < 100000')
mends 'TRUNCATE of a partition' "erp.orders too much $n"
pg_restore -d erp --data-only --disable-triggers "$CREDIT_WORK/old.dump"
mends 'data-only restore' "erp.orders missing $n"

sql 'ALTER TABLE erp.orders DETACH PARTITION erp.orders_old'
mends 'DETACH PARTITION' "erp.orders too much $n"
sql 'UPDATE erp.orders_old SET total = 90 WHERE id < 1000;
	ALTER TABLE erp.orders ATTACH PARTITION erp.orders_old FOR VALUES FROM (0) TO (100000)'
mends 'ATTACH PARTITION' "erp.orders missing $n"

sql 'ALTER TABLE erp.invoices RENAME COLUMN customer TO party; ALTER TABLE erp.payments RENAME COLUMN amount TO money'
sql 'INSERT INTO erp.payments (id, customer, money) VALUES (701, 1, 5), (702, 2, 5); INSERT INTO erp.lines VALUES (7, 7, 7)' 2>/dev/null
unseen 'INSERT INTO erp.orders VALUES (7001, 1, 50)'
answer=$(repair)
like "$answer" 'erp.payments could not be compared: amount: column "amount" does not exist' 'a broken mapping is named'
like "$answer" 'HINT: +Undo the change of the table' 'with what to do'
like "$answer" '1 differences found, 1 mended, 0 left, 1 sources unreadable' 'the others are mended'
is "$(value "SELECT health FROM credit.sources WHERE name = 'erp.payments'")" broken 'it is broken'
sql 'ALTER TABLE erp.invoices RENAME COLUMN party TO customer; ALTER TABLE erp.payments RENAME COLUMN money TO amount'
is "$(value "SELECT health, n_problems > 0 FROM credit.sources WHERE name = 'erp.payments'")" 'unverified|t' 'then unverified'
like "$(repair)" ' 0 left' 'once it is named back, it is mended'
is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'nothing differs'
is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' 'exposure is what the rows come to'
is "$(value "SELECT DISTINCT health, n_problems FROM credit.sources")" 'ok|0' 'and it is verified again'
is "$(value 'SELECT count(*) > 0 FROM credit.source_problem WHERE mended_at IS NOT NULL')" t 'what was wrong is not forgotten'

sql 'CREATE OR REPLACE VIEW erp.invoice_totals AS
	SELECT i.id, i.customer, sum(l.amount) * 1.2 AS total FROM erp.invoices i JOIN erp.lines l ON l.invoice = i.id GROUP BY i.id'
mends 'a view that says something else' 'erp.invoice_totals different 200'

# rows of the ledger, by a superuser who should not
sql 'BEGIN; SELECT credit.maintain(true);
	UPDATE credit.journal j SET psum = array_replace(psum, psum[1], psum[1] + 7)
	 WHERE account_id = 1 AND seq = (SELECT max(seq) FROM credit.journal x WHERE x.account_id = 1);
	DELETE FROM credit.journal j WHERE account_id = 2 AND seq > (SELECT max(seq) - 3 FROM credit.journal x WHERE x.account_id = 2);
	COMMIT'
is "$(value "SELECT string_agg(key, ' ' ORDER BY key::int) FROM credit.reconcile() WHERE source_name = 'journal' AND difference = 'different'")" \
	'1 2' 'a journal that was written by hand is listed'
like "$(repair)" ' 0 left' 'and mended'
is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'nothing differs'
is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' 'exposure is what the rows come to'

# --- the clerks -----------------------------------------------------------------

kill "$CLERKS" && wait "$CLERKS" || :
isnt "$(value "SELECT last_value > 200300 FROM erp.number")" f 'clerks have worked all the while'
is "$(grep -v '^pgbench\|^$' "$CREDIT_WORK/repair-work.log" | grep -i 'error' | head -n 3)" '' 'without an error'
is "$(value "SELECT customer, total FROM erp.truth t WHERE customer::int > 10 AND total > 100000")" '' 'none of their customers is above the limit'
is "$(value "SELECT count(*) > 0 FROM erp.truth t WHERE customer::int > 10 AND total > 99000")" t 'many are near it'
is "$(value "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")" 0 'no lock is left'

# --- against writers of the same documents ----------------------------------------

# Everything is broken, then mended while clerks change the same orders and
# payments through their triggers, in READ COMMITTED and REPEATABLE READ. No
# second repair: whatever was overwritten would be seen.
cat >"$CREDIT_WORK/hammer.sql" <<'SQL'
\set o random(8001, 8400)
\set c random(1, 10)
\set k random(1, 5 + :more)
\set a random(1, 90)
BEGIN;
\if :k = 1
INSERT INTO erp.orders VALUES (:o, :c, 3) ON CONFLICT (id) DO UPDATE SET total = excluded.total + 1, customer = :c;
\elif :k = 2
UPDATE erp.orders SET total = total + 1 WHERE id = :o;
\elif :k = 3
DELETE FROM erp.orders WHERE id = :o;
\elif :k > 5
UPDATE erp.applications SET amount = amount + 0.01, payment = 8000 + :k * 10 + id % 10 WHERE id BETWEEN :a AND :a + 5;
\elif :k = 4
UPDATE erp.orders SET status = CASE status WHEN 'open' THEN 'draft' ELSE 'open' END, customer = :c WHERE id = :o;
\else
INSERT INTO erp.payments VALUES (:o, :c, 1) ON CONFLICT (id) DO UPDATE SET amount = erp.payments.amount + 1;
UPDATE erp.customers SET credit_limit = 100000 + :o WHERE id = :c;
\endif
COMMIT;
SQL
sed 's/^BEGIN;/BEGIN ISOLATION LEVEL REPEATABLE READ;/' "$CREDIT_WORK/hammer.sql" >"$CREDIT_WORK/hammer2.sql"

# said NAME...: what these runs ended with, errors above all
said() {
	local name
	for name in "$@"; do
		printf '%s: ' "$name"
		grep -A 4 -i 'error\|aborted' "$CREDIT_WORK/$name.log" | head -n 20
		printf '...\n'
		tail -n 2 "$CREDIT_WORK/$name.log"
	done
}

# round NUMBER
round() {
	local writers status=0
	unseen "DELETE FROM erp.orders WHERE id BETWEEN 8001 AND 8400 AND id % 3 = $1 % 3;
		INSERT INTO erp.orders SELECT n, 1 + n % 10, 2 FROM generate_series(8001, 8400) n ON CONFLICT (id) DO NOTHING;
		UPDATE erp.orders SET total = total + 5 WHERE id BETWEEN 8001 AND 8400 AND id % 2 = 0;
		DELETE FROM erp.orders WHERE id BETWEEN 8001 AND 8400 AND id % 7 = 0;
		UPDATE erp.payments SET amount = amount + 1; $([ "$3" = 0 ] || echo 'UPDATE erp.applications SET amount = amount + 1;')
		UPDATE erp.customers SET credit_limit = credit_limit + 1"
	PGUSER=clerk pgbench -n -c 6 -D more="$3" -t 120 --max-tries=100 -f "$CREDIT_WORK/hammer.sql" -f "$CREDIT_WORK/hammer2.sql" erp \
		>"$CREDIT_WORK/hammer.log" 2>&1 &
	writers=$!
	repair >"$CREDIT_WORK/hammer-repair.log" || status=$?
	repair "'erp.orders'" >>"$CREDIT_WORK/hammer-repair.log" || status=$?
	wait "$writers" || status=$?
	[ "$status" = 0 ] || diag "$(said hammer hammer-repair)"
	is "$status" 0 "$2, $1: nobody ends with an error"
	is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' "$2, $1: nothing newer was overwritten"
	is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' "$2, $1: exposure is what the rows come to"
}

# look_again NAME: the step that mends, over and over, at documents that are all
# right and that clerks are changing. Each look that wins against a newer row
# would stay to be seen.
cat >"$CREDIT_WORK/look.sql" <<'SQL'
\set k random(1, 3 + :more)
\set o random(8001, 8390)
SELECT erp.look(:k, CASE WHEN :k > 3 THEN 1 + :o % 90 ELSE :o END);
SQL
cluster_psql repair -d erp <<'SQL'
CREATE FUNCTION erp.look(k int, first int) RETURNS void LANGUAGE plpgsql SET lock_timeout = '25ms' AS $$
BEGIN
	IF k = 1 THEN
		LOCK TABLE erp.customers IN SHARE ROW EXCLUSIVE MODE;
	END IF;
	PERFORM credit.reevaluate_keys(s.source_id, ARRAY(SELECT n::text FROM generate_series(CASE k WHEN 1 THEN 1 ELSE first END, CASE k WHEN 1 THEN 5 ELSE first + 10 END) n))
	   FROM credit.source s WHERE s.name = (ARRAY['erp.customers', 'erp.orders', 'erp.payments', 'erp.applications'])[LEAST(k, 4)];
EXCEPTION WHEN lock_not_available THEN
	NULL;			/* repair() would try again */
END $$;
SQL
look_again() {
	local status=0 writers
	PGUSER=clerk pgbench -n -c 5 -D more="$2" -T "$SECONDS_OF_WORK" --max-tries=100 -f "$CREDIT_WORK/hammer.sql" -f "$CREDIT_WORK/hammer2.sql" erp \
		>"$CREDIT_WORK/hammer.log" 2>&1 &
	writers=$!
	pgbench -n -c 3 -D more="$2" -T "$SECONDS_OF_WORK" --max-tries=100 -f "$CREDIT_WORK/look.sql" erp >"$CREDIT_WORK/look.log" 2>&1 || status=$?
	wait "$writers" || status=$?
	[ "$status" = 0 ] || diag "$(said hammer look)"
	is "$status" 0 "$1: looks and writers, and nobody ends with an error"
	diag "$(grep processed "$CREDIT_WORK/hammer.log" "$CREDIT_WORK/look.log" | sed 's/.*://')"
	is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' "$1: no look has overwritten anything newer"
	is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' "$1: exposure is what the rows come to"
}
sql "SELECT credit.set('max_wait', '1min')"
look_again 'orders and payments' 0

# Six at once look at the same document, which is not there: one holds its key,
# the others made a row too late and have to take it back without losing their
# way (one that went on finding its own never ended).
cat >"$CREDIT_WORK/absent.sql" <<'SQL'
SELECT credit.reevaluate_keys(:source, ARRAY[(900000000 + :n)::text]);
\set n :n + 1
SQL
status=0
PGOPTIONS='-c statement_timeout=20s' pgbench -n -c 6 -j 6 -t 15000 --verbose-errors -f "$CREDIT_WORK/absent.sql" erp -D n=1 \
	-D source="$(value "SELECT source_id FROM credit.source WHERE name = 'erp.orders'")" >"$CREDIT_WORK/absent.log" 2>&1 || status=$?
[ "$status" = 0 ] || diag "$(said absent)"
is "$status $(grep 'failed transactions' "$CREDIT_WORK/absent.log")" '0 number of failed transactions: 0 (0.000%)' \
	'many who look for the same missing document at once all end'
is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'and leave nothing behind'

# A clerk has looked at the order and waits for room under the limit; the order,
# which had been raised unseen, is mended before the clerk writes.
session_start other repair -d erp
session_start waiting repair -d erp
unseen 'UPDATE erp.orders SET total = total + 20 WHERE id = 50'
sql "UPDATE erp.customers c SET credit_limit = e.total + 75 FROM credit.exposure e WHERE e.customer = '1' AND c.id = 1"
is "$(value 'SELECT customer FROM erp.orders WHERE id = 50')" 1 'an order of customer 1'
session_run other 'BEGIN; INSERT INTO erp.orders VALUES (90001, 1, 40)'
session_send waiting 'UPDATE erp.orders SET total = total + 30 WHERE id = 50'
patiently 10 session_waits waiting repair || :
like "$(repair)" 'repair: 1 differences found, 1 mended, 0 left' 'an order is mended while somebody waits to change it'
session_run other 'ROLLBACK'
session_hear waiting
is "$STATE" 00000 'who then changes it'
is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'nothing differs'
is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' 'exposure has both changes once'
session_end other
session_end waiting

for ((i = 1; i <= ROUNDS; i++)); do
	round "$i" 'orders and payments' 0
done
sql "CREATE TABLE erp.applications (id int PRIMARY KEY, payment bigint, invoice int, amount numeric);
	SELECT credit.attach('erp.applications', 'application', key => 'id', payment => 'payment', applies_to => 'invoice', amount => 'amount');
	GRANT ALL ON erp.applications TO clerk;
	INSERT INTO erp.applications SELECT n, 8000 + n, n, 1 FROM generate_series(1, 100) n;
	/* a payment of one customer that is applied to an invoice of another */
	CREATE OR REPLACE VIEW erp.wrong AS
	SELECT 'all of them' AS customer, sum(t.total) AS total, sum(e.total) AS has
	  FROM erp.truth t JOIN credit.exposure e ON e.customer = t.customer HAVING sum(t.total) <> sum(e.total)"
look_again 'documents that name others' 2
for ((i = 1; i <= ROUNDS; i++)); do
	round "$i" 'documents that name others' 2
done

is "$(grep -A 4 'deadlock detected' "$(cluster_log repair)" | grep -c 'look(\|credit.repair')" 0 \
	'no statement of a clerk was ever ended for a deadlock with a repair'

# --- two at once, one that is killed, one that finds locks ------------------------

unseen 'INSERT INTO erp.orders SELECT n, 1 + n % 10, 1 FROM generate_series(20001, 26000) n;
	INSERT INTO erp.applications SELECT n, n, n, 1 FROM generate_series(101, 200) n'
sql 'BEGIN; SELECT credit.maintain(true); DELETE FROM credit.journal WHERE account_id IN (3, 4); COMMIT'
repair >"$CREDIT_WORK/first.log" &
first=$!
status=0
repair >"$CREDIT_WORK/second.log" || status=$?
wait "$first" || status=$?
is "$status" 0 'two repairs at the same time'
is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'mend everything once'
is "$(value "SELECT count(*), count(DISTINCT key) FROM credit.unchecked_document WHERE key::int BETWEEN 20001 AND 26000")" \
	'6000|6000' 'and report it once'

unseen 'INSERT INTO erp.orders SELECT n, 1 + n % 10, 1 FROM generate_series(30001, 50000) n'
repair >"$CREDIT_WORK/killed.log" &
killed=$!
tries=0
until [ "$(value "SELECT count(*) FROM credit.repairs r WHERE r.ended_at IS NULL AND r.source = 'erp.orders' AND r.n_found = 20000
	AND (SELECT count(*) FROM credit.unchecked_raise u WHERE u.run_id = r.run_id) BETWEEN 1000 AND 15000")" = 1 ] || [ "$tries" -ge 300 ]; do
	tries=$((tries + 1))
	sleep 0.02
done
like "$(value 'SELECT command, phase FROM credit.progress')" 'repair.mending erp.orders' 'its progress is shown'
cluster_kill_session repair "$(value "SELECT pid FROM credit.repair_run WHERE ended_at IS NULL ORDER BY run_id DESC LIMIT 1")"
status=0
wait "$killed" || status=$?
isnt "$status" 0 'it is killed half-way'
n=$(value "SELECT count(*) FROM credit.reconcile()")
ok 'what was done is done' test "$n" -gt 0 -a "$n" -le 19000
is "$(value "SELECT count(DISTINCT source_name || difference), min(difference) FROM credit.reconcile()")" '1|missing' 'and nothing is half done'
like "$(repair)" "repair: $n differences found, $n mended, 0 left" 'the next one does the rest'
is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' 'exposure is what the rows come to'
is "$(value 'SELECT count(*) FROM credit.repair_task')" 0 'no task is left'

sql "SELECT credit.set('max_wait', '300ms')"
unseen 'INSERT INTO erp.orders VALUES (60001, 1, 50); UPDATE erp.orders SET total = 1 WHERE id = 104'
session_start blocker repair -d erp
session_run blocker "BEGIN; SELECT 1 FROM credit.item WHERE key = '104' AND source_id = (SELECT source_id FROM credit.source WHERE kind = 'order') FOR UPDATE"
answer=$(repair)
like "$answer" 'WARNING: +erp.orders: 1 of 2 differences are left: 104: others have held it for longer than setting max_wait' 'what is locked is left, and said'
like "$answer" 'repair: 2 differences found, 1 mended, 1 left' 'the others are mended'
is "$(value "SELECT key FROM credit.reconcile()")" 104 'reconcile shows it'
like "$(value "SELECT finding FROM credit.status() WHERE subject = 'source erp.orders'")" 'repair left 1 differences' 'and status()'
session_run blocker COMMIT
like "$(repair)" '1 mended, 0 left' 'the next run mends it'
is "$(value "SELECT count(*) FROM credit.status() WHERE subject = 'source erp.orders'")" 0 'and status() is quiet'
is "$(value 'SELECT * FROM erp.wrong LIMIT 3')" '' 'exposure is what the rows come to'

# --- who, and in which transaction ------------------------------------------------

cluster_psql repair -d erp <<'SQL'
CREATE ROLE janitor LOGIN;
GRANT USAGE ON SCHEMA credit TO janitor;
GRANT EXECUTE ON PROCEDURE credit.repair, credit.next_transaction TO janitor;
GRANT EXECUTE ON FUNCTION credit.repair_begin, credit.repair_step, credit.repair_end TO janitor;
SQL
unseen 'INSERT INTO erp.orders VALUES (70001, 1, 50)'
like "$(PGUSER=janitor repair)" '1 differences found, 1 mended' 'a role that may do nothing else'
is "$(value "SELECT found_by FROM credit.unchecked_document WHERE key = '70001'")" janitor 'is written down'
like "$(PGUSER=clerk repair || :)" 'permission denied' 'any other may not'
session_start atomic repair -d erp
session_run atomic 'BEGIN'
session_run atomic 'CALL credit.repair()'
is "$STATE" 25001 'in a transaction block it is refused'
like "$ANSWER" 'cannot run inside a transaction block.*HINT: +Run CALL credit.repair\(\) by itself' 'with a hint'
session_run atomic 'ROLLBACK'
session_run atomic 'DO $$ BEGIN BEGIN CALL credit.repair(); EXCEPTION WHEN division_by_zero THEN NULL; END; END $$'
is "$STATE" 25001 'and in a block that catches exceptions'
session_run atomic "CALL credit.repair('nosuch')"
is "$STATE" 42704 'there must be such a source'
for level in 'repeatable read' serializable; do
	unseen "INSERT INTO erp.orders VALUES (71000 + ${#level}, 1, 50)"
	like "$(PGOPTIONS="-c default_transaction_isolation=${level/ /\\ }" repair)" '1 mended, 0 left' "default $level: it works in READ COMMITTED"
done
is "$(value 'SELECT * FROM credit.reconcile() LIMIT 3')" '' 'nothing differs'
unseen 'INSERT INTO erp.orders VALUES (72001, 1, 50)'
like "$(repair 'dry_run => true')" 'dry run: 1 differences found, nothing is changed' 'a dry run'
is "$(value 'SELECT key FROM credit.reconcile()')" 72001 'changes nothing'
repair >"$CREDIT_WORK/last.log"
session_end atomic
session_end blocker
done_testing

#!/usr/bin/env bash
# pg_upgrade takes the ledger along, in both of its ways, with a catalog of
# today and with one that waits for its update.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/erp.sh
. "$(dirname "$0")/../lib/erp.sh"

BIN=$(dirname "$(command -v postgres)")
FIRST=0.1.0
cp "test/upgrade/credit--$FIRST.sql" "$("$BIN/pg_config" --sharedir)/extension/"

# upgrade_to NAME [option]: the old cluster is left as it was, or linked
upgrade_to() {
	local dir
	dir=$(cluster_dir "$1")
	cluster_init "$1"
	(cd "$dir" && pg_upgrade -b "$BIN" -B "$BIN" -d "$(cluster_dir old)/data" -D "$dir/data" \
		-U postgres -s "$dir" --no-sync "${@:2}" >"$dir/pg_upgrade.log") || {
		cat "$dir/pg_upgrade.log" "$dir"/data/pg_upgrade_output.d/*/log/*.log
		return 1
	}
}

# steps CLUSTER N
steps() {
	cluster_psql "$1" -d flow -c "DO \$\$ BEGIN FOR i IN 1 .. $2 LOOP CALL flow.step(8); END LOOP; END \$\$"
}

cluster_start old fsync=off
# many transactions, whose numbers the new cluster goes on with
erp_create old erp
cluster_psql old -d erp -c "CREATE EXTENSION credit VERSION '$FIRST'" -c "ALTER EXTENSION credit UPDATE TO '0.3.0'"
erp_attach old erp
erp_work old 9 &
worker=$!
cluster_psql old -c 'CREATE DATABASE flow'
cluster_psql old -d flow -o /dev/null -c 'CREATE EXTENSION credit' -f test/lib/flow.sql
steps old 100
cluster_psql old -d flow -o /dev/null -c 'CALL flow.attach()' -c "SELECT credit.grant_analyst('analyst')" \
	-c "SELECT credit.set('near_limit', '0.8')"
cluster_psql old -d flow -o /dev/null -f - <<-'SQL'
	SET client_min_messages = warning;
	CREATE TABLE erp.bill_line (bill int, customer int, value numeric);
	CREATE VIEW erp.bills AS SELECT bill, min(customer) AS customer, sum(value) AS total FROM erp.bill_line GROUP BY bill;
	SELECT credit.attach('erp.bills', 'receivable', key => 'bill', customer => 'customer', amount => 'total');
	SELECT credit.depend('erp.bills', 'erp.bill_line', 'SELECT bill FROM changed');
	INSERT INTO erp.bill_line VALUES (1, 1, 10), (1, 1, -10);
	SELECT * FROM credit.rate_all('2026-02-28');
	SELECT credit.fold_months();
SQL
steps old 200
kill "$worker" 2>/dev/null || :
wait "$worker" || :
# an order that was rolled back, and one of a transaction that crashed
cluster_psql old -d erp -c "BEGIN; $(erp_order 500 1 1); SAVEPOINT s; $(erp_order 501 1 2); ROLLBACK TO s; COMMIT" -c "BEGIN; $(erp_order 502 1 3); ROLLBACK"
declare -A queries figures
for database in erp flow; do
	queries[$database]=$(erp_queries old $database)
	figures[$database]=$(erp_figures old $database "${queries[$database]}")
done
ok 'there are figures' test "$(wc -l <<<"${figures[flow]}")" -gt 500
cluster_stop old

for way in copied linked; do
	options=()
	[ "$way" = copied ] || options=(--link)
	ok "$way: pg_upgrade" upgrade_to "$way" "${options[@]}"
	cluster_start "$way" fsync=off
	for database in erp flow; do
		is "$(erp_figures "$way" $database "${queries[$database]}" | diff - <(echo "${figures[$database]}") | head -n 10)" '' \
			"$way: every view of $database shows what it showed"
		is "$(cluster_value "$way" 'SELECT * FROM credit.reconcile()' -d $database)" '' "$way: reconcile() finds nothing"
	done
	is "$(cluster_value "$way" "SELECT string_agg(DISTINCT severity, ' ') FROM credit.status()" -d flow)" ok \
		"$way: status() has nothing to complain of"
	is "$(PGUSER=clerk sqlstate "$way" erp "$(erp_order 600 1 1)")" 00000 "$way: orders pass"
	is "$(PGUSER=clerk sqlstate "$way" erp "$(erp_order 601 1 5000)")" 23514 "$way: or are refused"
	is "$(PGUSER=clerk sqlstate "$way" erp "$(erp_order 602 990 1)")" 00000 "$way: a new customer gets an account"
	is "$(erp_differences "$way" erp)" '' "$way: exposure is right"
	steps "$way" 100
	is "$(cluster_value "$way" 'SELECT * FROM flow.trouble LIMIT 5' -d flow)" '' "$way: documents of all kinds go on"
	cluster_psql "$way" -d flow -c 'INSERT INTO erp.bill_line VALUES (1, 1, 5)'
	is "$(cluster_value "$way" "SELECT i.amount FROM credit.item i JOIN credit.source s USING (source_id) WHERE s.name = 'erp.bills'" -d flow)" 5 \
		"$way: so does a view"
	is "$(PGUSER=analyst sqlstate "$way" flow 'TABLE credit.exposure')" 00000 "$way: grants are there"
	if [ "$way" = linked ]; then
		ok 'the update of the extension that was due runs here' cluster_psql linked -d erp -o /dev/null -c 'SET client_min_messages = error' -c 'ALTER EXTENSION credit UPDATE'
		is "$(sqlstate linked erp "$(erp_order 603 1 5000)")" 23514 'orders are refused after it'
		is "$(erp_differences linked erp)" '' 'and exposure is right'
	fi
	cluster_stop "$way"
done
done_testing

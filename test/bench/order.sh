#!/usr/bin/env bash
#
# What the check of orders costs, against the bare table and against what a
# user would write without us:
#
#     bare       no check
#     sum        PL/pgSQL row trigger that locks the customer and adds up the
#                open orders
#     balance    PL/pgSQL row trigger that keeps a balance per customer
#     statement  the same with one statement trigger and a transition table
#     credit     attached, on_breach reject: check, journal and ledger of
#                documents
#
# Cost (instructions, processor time) and throughput are both given as a ratio
# to bare: 2.00 is twice the cost, or twice the throughput. Where the machine
# is busy through and through, as it can be with 16 clients on two processors,
# throughput is nothing but the inverse of cost; what waiting for locks does
# shows in the distance between one customer and many.
#
# BENCH_ROWS (1000000), BENCH_SECONDS (5), BENCH_ROUNDS (3) and BENCH_CLIENTS (16)
# change the size, BENCH_PARTS ("single throughput sharing bulk") what is
# measured.

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"

ROWS=${BENCH_ROWS:-1000000}
SECONDS_EACH=${BENCH_SECONDS:-5}
ROUNDS=${BENCH_ROUNDS:-3}
CLIENTS=${BENCH_CLIENTS:-16}
VARIANTS=(bare sum balance statement credit)
WAL=''

# --- what is compared -----------------------------------------------------------

# The ERP: customers 1..$1, ten open orders each; customer 0 has 10,000.
erp_tables() {
	cat <<-SQL
		CREATE TABLE customers (id int PRIMARY KEY, credit_limit numeric);
		INSERT INTO customers SELECT g, 1e12 FROM generate_series(0, $1) g;
		CREATE SEQUENCE order_number CACHE 100;
		CREATE TABLE orders (
			id bigint PRIMARY KEY DEFAULT nextval('order_number'),
			customer int NOT NULL,
			total numeric(12,2) NOT NULL,
			order_date date NOT NULL,
			due_date date,
			status text NOT NULL);
		CREATE INDEX orders_customer ON orders (customer);
		INSERT INTO orders (customer, total, order_date, due_date, status)
		SELECT g % ($1 + 1), 100, '2026-01-01', '2026-02-01', 'confirmed'
		  FROM generate_series(1, 10 * ($1 + 1)) g;
		INSERT INTO orders (customer, total, order_date, due_date, status)
		SELECT 0, 100, '2026-01-01', '2026-02-01', 'confirmed'
		  FROM generate_series(1, 9990) g;
		-- where bulk loads come from
		CREATE UNLOGGED TABLE incoming AS
		SELECT 1 + g % $1 AS customer, (1 + g % 500)::numeric(12,2) AS total,
			   date '2026-03-01' AS order_date, date '2026-04-01' AS due_date,
			   'confirmed'::text AS status
		  FROM generate_series(1, $ROWS) g;
	SQL
}

sum_trigger() {
	cat <<-'SQL'
		CREATE FUNCTION check_sum() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE
			allowed numeric;
			used numeric;
		BEGIN
			SELECT credit_limit INTO allowed FROM customers WHERE id = NEW.customer FOR UPDATE;
			SELECT sum(total) INTO used FROM orders
			 WHERE customer = NEW.customer AND status IN ('confirmed', 'in process');
			IF used + NEW.total > allowed THEN
				RAISE EXCEPTION 'limit % of customer % exceeded', allowed, NEW.customer;
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER check_sum BEFORE INSERT OR UPDATE ON orders
			FOR EACH ROW EXECUTE FUNCTION check_sum();
	SQL
}

balance_table() {
	cat <<-'SQL'
		CREATE TABLE balance (customer int PRIMARY KEY, open numeric NOT NULL,
			credit_limit numeric NOT NULL) WITH (fillfactor = 50);
		INSERT INTO balance SELECT c.id, (SELECT sum(total) FROM orders WHERE customer = c.id), c.credit_limit
		  FROM customers c;
	SQL
}

balance_trigger() {
	balance_table
	cat <<-'SQL'
		CREATE FUNCTION check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE
			b balance%ROWTYPE;
		BEGIN
			IF TG_OP <> 'INSERT' AND OLD.status IN ('confirmed', 'in process') THEN
				UPDATE balance SET open = open - OLD.total WHERE customer = OLD.customer;
			END IF;
			IF TG_OP <> 'DELETE' AND NEW.status IN ('confirmed', 'in process') THEN
				UPDATE balance SET open = open + NEW.total WHERE customer = NEW.customer RETURNING * INTO b;
				IF b.open > b.credit_limit THEN
					RAISE EXCEPTION 'limit % of customer % exceeded', b.credit_limit, NEW.customer;
				END IF;
			END IF;
			RETURN NULL;
		END $$;
		CREATE TRIGGER check_balance AFTER INSERT OR UPDATE OR DELETE ON orders
			FOR EACH ROW EXECUTE FUNCTION check_balance();
	SQL
}

statement_trigger() {
	balance_table
	cat <<-'SQL'
		CREATE FUNCTION check_statement() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE
			b record;
		BEGIN
			FOR b IN
				WITH raised AS (
					UPDATE balance x SET open = open + n.total
					  FROM (SELECT customer, sum(total) AS total FROM arrived
							 WHERE status IN ('confirmed', 'in process') GROUP BY customer) n
					 WHERE x.customer = n.customer
					RETURNING x.*)
				SELECT * FROM raised WHERE open > credit_limit
			LOOP
				RAISE EXCEPTION 'limit % of customer % exceeded', b.credit_limit, b.customer;
			END LOOP;
			RETURN NULL;
		END $$;
		CREATE TRIGGER check_statement AFTER INSERT ON orders
			REFERENCING NEW TABLE AS arrived
			FOR EACH STATEMENT EXECUTE FUNCTION check_statement();
	SQL
}

credit_trigger() {
	cat <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION credit;
		SELECT credit.attach('customers', 'customer', key => 'id', credit_limit => 'credit_limit');
		SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'total',
			document_date => 'order_date', due_date => 'due_date',
			counts_when => $$status IN ('confirmed', 'in process')$$, on_breach => 'reject');
	SQL
}

# make_variants CLUSTER CUSTOMERS: one database each
make_variants() {
	local variant
	cluster_psql "$1" -c 'CREATE DATABASE bare'
	erp_tables "$2" | cluster_psql "$1" -d bare
	for variant in "${VARIANTS[@]:1}"; do
		cluster_psql "$1" -c "CREATE DATABASE $variant TEMPLATE bare"
		"${variant}_trigger" | cluster_psql "$1" -d "$variant" >/dev/null
	done
	for variant in "${VARIANTS[@]}"; do
		cluster_psql "$1" -d "$variant" -c 'VACUUM (ANALYZE, FREEZE)'
	done
	cluster_psql "$1" -c CHECKPOINT
}

# A copy of a variant, so that each measurement meets the same state.
fresh() {
	cluster_psql "$1" -c 'DROP DATABASE IF EXISTS trial' \
		-c "CREATE DATABASE trial TEMPLATE $2 STRATEGY file_copy" \
		-c CHECKPOINT 2>/dev/null
}

# --- one order --------------------------------------------------------------------

order_values() {
	echo "INSERT INTO orders (customer, total, order_date, due_date, status) VALUES ($1, 100.50, '2026-03-01', '2026-04-01', 'confirmed')"
}

measure_single() {
	local variant any
	# shellcheck disable=SC2016 # dollar quotes
	any='1 + (currval($$order_number$$) * 7919 % 1000)::int'
	cluster_start single shared_buffers=128MB autovacuum=off jit=off >/dev/null
	make_variants single 1000
	cluster_stop single
	for variant in "${VARIANTS[@]}"; do
		# the short run meets every customer once: their pages are warm
		result one "$variant" "$(single_instructions single "$variant" \
			"PREPARE o AS $(order_values "$any")" 'EXECUTE o' 1000 2000)"
		result few "$variant" "$(single_instructions single "$variant" \
			"PREPARE o AS $(order_values 7)" 'EXECUTE o' 50 150)"
		result many "$variant" "$(single_instructions single "$variant" \
			"PREPARE o AS $(order_values 0)" 'EXECUTE o' 50 150)"
	done
	rm -rf "$CREDIT_WORK"/single*
}

# --- throughput -----------------------------------------------------------------

# A steady flush of half a millisecond with group commit, on memory: disks of
# virtual machines are erratic.
start_flush() {
	local data
	[ ! -d "$(cluster_dir flush)" ] || return 0
	cluster_start flush shared_buffers=512MB max_wal_size=8GB checkpoint_timeout=30min \
		jit=off commit_delay=500 commit_siblings=0 >/dev/null
	if [ -w /dev/shm ] && [ "$(df -m --output=avail /dev/shm | tail -n 1)" -gt 10000 ]; then
		data=$(cluster_dir flush)/data
		cluster_stop flush
		WAL=$(mktemp -d /dev/shm/credit.XXXXXX)
		mv "$data/pg_wal" "$WAL/pg_wal"
		ln -s "$WAL/pg_wal" "$data/pg_wal"
		cluster_start flush >/dev/null
	fi
	make_variants flush 10000
}

clean_up() {
	cluster_stop_all
	[ -z "$WAL" ] || rm -rf "$WAL"
}
trap clean_up EXIT

# Committed transactions a second; what fails as a serialization failure is
# tried again, who has waited too long for a lock goes home.
tps() {
	local rate
	rate=$(PGHOST=$(cluster_dir flush) PGOPTIONS='-c lock_timeout=2s' \
		pgbench -n -M prepared -c "$CLIENTS" -j 2 -T "$SECONDS_EACH" --max-tries=1000 \
		-f "$1" trial 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
	echo "${rate:-0}"
}

one_order() {
	printf '\\set c %s\n%s;\n' "$1" "$(order_values :c)"
}

# In a transaction of isolation level $2 that does something else for 5 ms.
order_among_others() {
	cat <<-SQL
		\\set c $1
		BEGIN ISOLATION LEVEL $2;
		SELECT count(*) FROM customers WHERE id = :c;
		$(order_values :c);
		\\sleep 5 ms
		COMMIT;
	SQL
}

# measure_tps ROW: what comes in is the transaction. Rounds one after another,
# so that what disturbs the machine for a while disturbs all alike. With
# HOLDER, a session has an order of customer 7 open all the time.
measure_tps() {
	local row=$1 file=$CREDIT_WORK/order.sql round variant
	local -A seen=()
	cat >"$file"
	for ((round = 0; round < ROUNDS; round++)); do
		for variant in "${VARIANTS[@]}"; do
			fresh flush "$variant"
			if [ -n "${HOLDER:-}" ]; then
				session_start holder flush -d trial
				session_run holder "BEGIN; $(order_values 7)"
			fi
			seen[$variant]+=" $(tps "$file")"
			[ -z "${HOLDER:-}" ] || session_end holder
		done
	done
	for variant in "${VARIANTS[@]}"; do
		# shellcheck disable=SC2086 # several figures
		result "$row" "$variant" "$(median ${seen[$variant]})"
	done
}

# --- bulk -----------------------------------------------------------------------

bulk_insert() {
	echo "INSERT INTO orders (customer, total, order_date, due_date, status)
		SELECT ${1:-customer}, total, order_date, due_date, status FROM incoming LIMIT $2"
}

# bulk_cpu VARIANT STATEMENT: the smaller of two, each in a fresh copy
bulk_cpu() {
	local figures=() round name
	for round in 1 2; do
		fresh flush "$1"
		name=bulk$round
		session_start $name flush -d trial
		# once around: caches, and the pages of the source
		session_run $name "SELECT count(*) FROM incoming; BEGIN; $(bulk_insert '' 10); ROLLBACK"
		figures+=("$(session_cpu $name "$2")")
		session_end $name
	done
	smallest "${figures[@]}"
}

measure_bulk() {
	local variant file=$CREDIT_WORK/incoming.copy
	cluster_psql flush -d bare -c "\\copy incoming TO '$file'"
	for variant in "${VARIANTS[@]}"; do
		[ "$variant" != sum ] || continue # hours
		result insert "$variant" "$(bulk_cpu "$variant" "$(bulk_insert '' "$ROWS")")"
		result copy "$variant" "$(bulk_cpu "$variant" \
			"COPY orders (customer, total, order_date, due_date, status) FROM '$file'")"
		result tenth "$variant" "$(bulk_cpu "$variant" "$(bulk_insert 7 $((ROWS / 10)))")"
		[ "$variant" != balance ] || continue # quadratic
		result hot "$variant" "$(bulk_cpu "$variant" "$(bulk_insert 7 "$ROWS")")"
	done
}

# --------------------------------------------------------------------------------

part_single() {
	local unit=instructions variant
	command -v valgrind >/dev/null || unit='ns of processor time'
	measure_single
	echo 'cost of one order in a transaction of its own'
	table_row one '  any of 1,000 customers' "$unit"
	table_row few '  one customer with 10 to 150 open orders' "$unit"
	table_row many '  one customer with 10,000 open orders' "$unit"
	echo 'cost at 10,000 open orders, divided by that at 10 to 150'
	for variant in "${VARIANTS[@]}"; do
		result growth "$variant" "$(awk -v a="${RESULTS[many/$variant]}" \
			-v b="${RESULTS[few/$variant]}" 'BEGIN { printf "%.3f", a / b }')"
	done
	table_row growth '  (here the figures themselves)' '' plain
}

part_throughput() {
	start_flush
	echo "throughput, $CLIENTS clients, flush of 0.5 ms"
	measure_tps hot_tps < <(one_order 7)
	table_row hot_tps '  all orders for one customer' 'orders/s'
	measure_tps any_tps < <(one_order 'random(1, 10000)')
	table_row any_tps '  any of 10,000 customers' 'orders/s'
}

# What transactions cost that last, their own and those of others.
part_sharing() {
	start_flush
	echo "throughput, $CLIENTS clients, all orders for one customer"
	measure_tps work_tps < <(order_among_others 7 'READ COMMITTED')
	table_row work_tps '  5 ms of other work in the transaction' 'orders/s'
	measure_tps rr_tps < <(order_among_others 7 'REPEATABLE READ')
	table_row rr_tps '  the same in REPEATABLE READ' 'orders/s'
	HOLDER=yes measure_tps held_tps < <(one_order 7)
	table_row held_tps '  beside an open order of somebody else' 'orders/s'
}

part_bulk() {
	start_flush
	measure_bulk
	echo "processor time of one statement with $ROWS orders"
	table_row insert '  INSERT SELECT, 10,000 customers' ns
	table_row copy '  COPY, 10,000 customers' ns
	table_row tenth '  INSERT SELECT, one customer, a tenth' ns
	table_row hot '  INSERT SELECT, one customer' ns
}

table_head "${VARIANTS[@]}"
for part in ${BENCH_PARTS:-single throughput sharing bulk}; do
	"part_$part"
done

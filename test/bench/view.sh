#!/usr/bin/env bash
#
# What a view as a source costs, against the bare tables: an order with a
# header and lines, the state on the header, on_breach reject.
#
#     bare       no check
#     recompute  PL/pgSQL trigger on the lines and on the header that adds up
#                the document anew and keeps a balance per customer
#     credit     the view is attached, both tables are declared
#
# Cost of a transaction, in instructions (in processor time where valgrind is
# missing), as a ratio to bare:
#
#     document   header, three lines, and the state at the end
#     line       one more line of a document that counts
#     state      the state of a document with eight lines goes to and fro
#     other      an insert into a table that is no dependency
#
# And 20,000 lines in one statement, in processor time.
#
# Then the awkward ERP (test/lib/awkward.sql), whose five views read a dozen
# tables: what its application sends most, one statement each, without and with
# the mapping. BENCH_PARTS chooses: "plain awkward".

set -euo pipefail
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"
# shellcheck source=test/lib/session.sh
. "$(dirname "$0")/../lib/session.sh"
# shellcheck source=test/lib/measure.sh
. "$(dirname "$0")/../lib/measure.sh"

VARIANTS=(bare recompute credit)
BENCH_PARTS=${BENCH_PARTS:-plain awkward}

erp_tables() {
	cat <<-'SQL'
		CREATE TABLE customers (id int PRIMARY KEY, credit_limit numeric);
		INSERT INTO customers SELECT g, 1e12 FROM generate_series(0, 999) g;
		CREATE SEQUENCE order_number CACHE 100;
		CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT nextval('order_number'),
			customer int NOT NULL REFERENCES customers, order_date date NOT NULL, state text NOT NULL);
		CREATE INDEX ON orders (customer);
		CREATE TABLE order_lines (id bigserial PRIMARY KEY,
			order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
			product int NOT NULL, quantity numeric(12,3) NOT NULL, price numeric(12,2) NOT NULL);
		CREATE INDEX ON order_lines (order_id);
		CREATE TABLE other (LIKE order_lines INCLUDING ALL);
		CREATE VIEW order_total AS
		SELECT o.id, o.customer, o.order_date, o.state,
			   (SELECT sum(l.quantity * l.price) FROM order_lines l WHERE l.order_id = o.id) AS total
		  FROM orders o;
		INSERT INTO orders (customer, order_date, state)
		SELECT g % 1000, '2026-01-01', 'confirmed' FROM generate_series(1, 2000) g;
		INSERT INTO order_lines (order_id, product, quantity, price)
		SELECT o.id, g, 2, 10 FROM orders o, generate_series(1, 8) g;
	SQL
}

bare_triggers() {
	:
}

recompute_triggers() {
	cat <<-'SQL'
		CREATE TABLE balance (customer int PRIMARY KEY, open numeric NOT NULL) WITH (fillfactor = 50);
		CREATE TABLE counted (id bigint PRIMARY KEY, customer int, total numeric NOT NULL) WITH (fillfactor = 50);
		INSERT INTO counted SELECT id, customer, COALESCE(total, 0) FROM order_total WHERE state = 'confirmed';
		INSERT INTO balance SELECT c.id, COALESCE((SELECT sum(total) FROM counted WHERE customer = c.id), 0) FROM customers c;
		CREATE FUNCTION recompute(which bigint) RETURNS void LANGUAGE plpgsql AS $$
		DECLARE
			now_counted order_total%ROWTYPE;
			before counted%ROWTYPE;
			used numeric;
			allowed numeric;
		BEGIN
			PERFORM FROM orders WHERE id = which FOR UPDATE;
			SELECT * INTO now_counted FROM order_total WHERE id = which AND state = 'confirmed';
			SELECT * INTO before FROM counted WHERE id = which;
			IF before.id IS NULL AND now_counted.id IS NULL THEN
				RETURN;
			END IF;
			INSERT INTO counted VALUES (which, COALESCE(now_counted.customer, before.customer), COALESCE(now_counted.total, 0))
			ON CONFLICT (id) DO UPDATE SET total = excluded.total;
			UPDATE balance SET open = open + COALESCE(now_counted.total, 0) - COALESCE(before.total, 0)
			 WHERE customer = COALESCE(now_counted.customer, before.customer) RETURNING open INTO used;
			SELECT credit_limit INTO allowed FROM customers WHERE id = COALESCE(now_counted.customer, before.customer);
			IF used > allowed THEN
				RAISE EXCEPTION 'limit % of customer % exceeded', allowed, now_counted.customer;
			END IF;
		END $$;
		CREATE FUNCTION recompute_order() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM recompute(COALESCE(NEW.id, OLD.id));
			RETURN NULL;
		END $$;
		CREATE FUNCTION recompute_line() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM recompute(COALESCE(NEW.order_id, OLD.order_id));
			RETURN NULL;
		END $$;
		CREATE TRIGGER recompute AFTER INSERT OR UPDATE OR DELETE ON orders
			FOR EACH ROW EXECUTE FUNCTION recompute_order();
		CREATE TRIGGER recompute AFTER INSERT OR UPDATE OR DELETE ON order_lines
			FOR EACH ROW EXECUTE FUNCTION recompute_line();
	SQL
}

credit_triggers() {
	cat <<-'SQL'
		SET client_min_messages = warning;
		CREATE EXTENSION credit;
		SELECT credit.attach('customers', 'customer', key => 'id', credit_limit => 'credit_limit');
		SELECT credit.attach('order_total', 'order', key => 'id', customer => 'customer', amount => 'total',
			document_date => 'order_date', counts_when => $$state = 'confirmed'$$, on_breach => 'reject');
		SELECT credit.depend('public.order_total', 'orders', 'SELECT id FROM changed');
		SELECT credit.depend('public.order_total', 'order_lines', 'SELECT order_id FROM changed');
	SQL
}

make_variants() {
	local variant
	cluster_psql "$1" -c 'CREATE DATABASE bare'
	erp_tables | cluster_psql "$1" -d bare
	for variant in "${VARIANTS[@]:1}"; do
		cluster_psql "$1" -c "CREATE DATABASE $variant TEMPLATE bare"
	done
	for variant in "${VARIANTS[@]}"; do
		"${variant}_triggers" | cluster_psql "$1" -d "$variant" >/dev/null
		cluster_psql "$1" -d "$variant" -c 'VACUUM (ANALYZE, FREEZE)'
	done
	cluster_psql "$1" -c CHECKPOINT
}

# measure ROW PREPARE STATEMENT SHORT LONG
measure() {
	local variant
	for variant in "${VARIANTS[@]}"; do
		result "$1" "$variant" "$(single_instructions single "$variant" "$2" "$3" "$4" "$5")"
	done
}

# Business for statements to work on: sales of three lines, half of them
# delivered and invoiced; moves of the ledger with lines that are open.
make_awkward() {
	cluster_psql "$1" -c 'CREATE DATABASE awkward_bare'
	{
		echo 'SET client_min_messages = warning; CREATE EXTENSION credit;'
		cat test/lib/awkward.sql
		cat <<-'SQL'
			UPDATE erp.party_limit SET amount = 1e12;
			DO $$
			DECLARE
			  sale bigint;
			BEGIN
			  FOR i IN 1 .. 1000 LOOP
			    sale := erp.create_sale(1, 3 + i % 4, NULL, 1, current_date - 9, ARRAY[1, 2, 3], 20, 0.19);
			    CALL erp.confirm(sale);
			    IF i % 2 = 0 THEN
			      CALL erp.deliver(sale, 0.5, current_date - 5);
			      PERFORM erp.invoice(ARRAY[sale], 0.5, current_date - 4);
			    END IF;
			  END LOOP;
			END
			$$;
			INSERT INTO erp.reconciliation (date) SELECT current_date FROM generate_series(1, 100);
			CREATE FUNCTION erp.enter(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$
			DECLARE
			  sale bigint := erp.create_sale(1, 3 + (n % 4)::int, NULL, 1, current_date, ARRAY[1, 2, 3], 20, 0.19);
			BEGIN
			  CALL erp.confirm(sale);
			  RETURN sale;
			END
			$$;
			CREATE FUNCTION erp.live(n bigint) RETURNS void LANGUAGE plpgsql AS $$
			DECLARE
			  sale bigint := erp.enter(n);
			  bill bigint;
			  line erp.move_line%ROWTYPE;
			BEGIN
			  CALL erp.deliver(sale, 1, current_date);
			  bill := erp.invoice(ARRAY[sale], 1, current_date);
			  SELECT * INTO line FROM erp.move_line l WHERE l.move = bill AND l.debit > 0;
			  PERFORM erp.reconcile(ARRAY[line.id, erp.pay(1, line.party, 1, line.debit, current_date)], current_date);
			END
			$$;
		SQL
	} | cluster_psql "$1" -d awkward_bare >/dev/null
	cluster_psql "$1" -c 'CREATE DATABASE awkward_credit TEMPLATE awkward_bare'
	cluster_psql "$1" -d awkward_credit -c 'CALL mapping.attach()'
	cluster_psql "$1" -d awkward_bare -c 'VACUUM (ANALYZE, FREEZE)'
	cluster_psql "$1" -d awkward_credit -c 'VACUUM (ANALYZE, FREEZE)'
	cluster_psql "$1" -c CHECKPOINT
}

# measure_awkward ROW STATEMENT: :n is a number that is another one each time
measure_awkward() {
	local variant number="(1 + nextval('erp.log_id_seq') * 7919 % 1000)"
	local prepare="PREPARE p AS ${2//:n/$number}"
	for variant in bare credit; do
		result "$1" "$variant" "$(single_instructions erp "awkward_$variant" "$prepare" 'EXECUTE p' 40 120)"
	done
}

bench_awkward() {
	cluster_start erp shared_buffers=128MB autovacuum=off jit=off >/dev/null
	make_awkward erp
	cluster_stop erp
	measure_awkward a_enter 'SELECT erp.enter(:n)'
	measure_awkward a_live 'SELECT erp.live(:n)'
	measure_awkward a_line 'INSERT INTO erp.sale_line (sale, quantity, unit_price) VALUES (:n, 2, 5)'
	measure_awkward a_total 'UPDATE erp.sale SET total_cache = total_cache + 1 WHERE id = (SELECT :n)'
	measure_awkward a_state "UPDATE erp.sale SET state = CASE state WHEN 'draft' THEN 'confirmed' ELSE 'draft' END WHERE id = (SELECT :n)"
	measure_awkward a_sent "UPDATE erp.stock_move SET state = CASE state WHEN 'done' THEN 'assigned' ELSE 'done' END WHERE id = (SELECT :n)"
	measure_awkward a_receivable 'INSERT INTO erp.move_line (move, account, party, debit) VALUES ((:n + 1) / 2, 11, 3, 10)'
	measure_awkward a_revenue 'INSERT INTO erp.move_line (move, account, credit) VALUES ((:n + 1) / 2, 12, 10)'
	measure_awkward a_post "UPDATE erp.move SET state = CASE state WHEN 'draft' THEN 'posted' ELSE 'draft' END WHERE id = (SELECT (:n + 1) / 2)"
	measure_awkward a_reconcile 'UPDATE erp.move_line SET reconciliation = NULLIF(1 + id % 90, COALESCE(reconciliation, 0)) WHERE id = (SELECT :n)'
	measure_awkward a_comment "UPDATE erp.sale SET comment = comment || 'x' WHERE id = (SELECT :n)"
	measure_awkward a_other "INSERT INTO erp.log (what) VALUES ('x')"
	table_head bare credit
	table_row a_enter 'a sale is entered, totalled, confirmed' instructions
	table_row a_live 'and delivered, invoiced, paid, reconciled' instructions
	table_row a_line 'a line of a sale' instructions
	table_row a_total 'the total of a sale' instructions
	table_row a_state 'the state of a sale' instructions
	table_row a_sent 'a move of the stock' instructions
	table_row a_receivable 'a line of the ledger that is a receivable' instructions
	table_row a_revenue 'and one that is none' instructions
	table_row a_post 'the state of a move of the ledger' instructions
	table_row a_reconcile 'a line is reconciled, or not any more' instructions
	table_row a_comment 'a column that no document is made of' instructions
	table_row a_other 'a table that is no dependency' instructions
}

bench_plain() {
	cluster_start single shared_buffers=128MB autovacuum=off jit=off >/dev/null
	make_variants single
	cluster_start bulk shared_buffers=256MB autovacuum=off jit=off >/dev/null
	make_variants bulk
	for variant in "${VARIANTS[@]}"; do
		session_start "$variant" bulk -U postgres -d "$variant"
		session_run "$variant" 'SELECT 1'
		result bulk "$variant" "$(session_cpu "$variant" \
			'INSERT INTO order_lines (order_id, product, quantity, price) SELECT 1 + g % 2000, 1, 1, 5 FROM generate_series(1, 20000) g')"
		session_end "$variant"
	done
	cluster_stop bulk
	cluster_stop single

	header="PREPARE h AS INSERT INTO orders (customer, order_date, state) VALUES (1 + (random() * 900)::int, '2026-03-01', 'draft')"
	line="PREPARE l AS INSERT INTO order_lines (order_id, product, quantity, price) VALUES (currval('order_number'), 1, 2, 10)"
	state="PREPARE s AS UPDATE orders SET state = 'confirmed' WHERE id = (SELECT currval('order_number'))"
	measure document "$header; $line; $state" 'EXECUTE h; EXECUTE l; EXECUTE l; EXECUTE l; EXECUTE s' 30 90
	measure line "PREPARE l AS INSERT INTO order_lines (order_id, product, quantity, price) VALUES (1 + (nextval('order_number') * 7919 % 2000), 1, 2, 10)" \
		'EXECUTE l' 100 300
	measure state "PREPARE s AS UPDATE orders SET state = CASE state WHEN 'draft' THEN 'confirmed' ELSE 'draft' END WHERE id = (SELECT 1 + nextval('order_number') * 7919 % 2000)" \
		'EXECUTE s' 30 90
	measure other "PREPARE o AS INSERT INTO other (order_id, product, quantity, price) VALUES (1, 1, 2, 10)" 'EXECUTE o' 100 300

	table_head "${VARIANTS[@]}"
	table_row document 'one document, five statements' instructions
	table_row line 'one line' instructions
	table_row state 'the state of a document' instructions
	table_row other 'a table that is no dependency' instructions
	table_row bulk '20,000 lines in one statement' 'ns'
}

for part in $BENCH_PARTS; do
	"bench_$part"
done

# shellcheck shell=bash
#
# erp.sh: a small ERP for tests, and the truth about it. After cluster.sh.
#
#     erp_create CLUSTER DATABASE      tables, roles, some business
#     erp_attach CLUSTER DATABASE      extension and mappings
#     erp_differences CLUSTER DATABASE what differs between exposure and the
#                                      sum over the ERP's own rows: nothing
#     sqlstate CLUSTER DATABASE SQL    how a statement ends: 00000, 23514, ...
#     erp_order NUMBER CUSTOMER TOTAL  SQL of an order
#     erp_work CLUSTER CUSTOMERS &     clerks at work in database erp for a minute
#     erp_business CLUSTER DATABASE    something in nearly every table of ours
#     erp_months CLUSTER DATABASE      and in those of closed months
#     erp_queries CLUSTER DATABASE     a query over each view of ours that shows
#                                      business, with the columns it has now
#     erp_figures CLUSTER DATABASE QUERIES   all that these show, now and of a
#                                      past day, line by line
#
# Names in mixed case and with blanks are part of it. Role clerk enters orders
# and has no right on schema credit; role analyst is for grant_analyst().

erp_create() {
	local exists
	exists=$(cluster_value "$1" "SELECT count(*) FROM pg_roles WHERE rolname = 'clerk'")
	[ "$exists" = 1 ] ||
		cluster_psql "$1" -c 'CREATE ROLE clerk LOGIN' -c 'CREATE ROLE analyst LOGIN'
	cluster_psql "$1" -c "CREATE DATABASE $2"
	cluster_psql "$1" -d "$2" <<-'SQL'
		CREATE SCHEMA erp;
		CREATE TABLE erp.customers (
			customer_number int PRIMARY KEY,
			customer_name text NOT NULL,
			credit_limit numeric(12,2));
		CREATE TABLE erp.orders (
			order_number int PRIMARY KEY,
			customer_number int NOT NULL,
			order_date date NOT NULL DEFAULT current_date,
			required_date date,
			status text NOT NULL DEFAULT 'confirmed',
			total numeric(12,2));
		CREATE INDEX ON erp.orders (customer_number);
		CREATE TABLE erp."Money Received" (
			"Receipt No" int PRIMARY KEY,
			"Customer" int NOT NULL,
			"Amount" numeric(12,2) NOT NULL,
			"Paid On" date NOT NULL DEFAULT current_date);
		-- A trigger of the ERP's own, which must be there afterwards too.
		CREATE FUNCTION erp.check_total() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.total < 0 THEN
				RAISE EXCEPTION 'an order cannot be negative';
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER check_total BEFORE INSERT OR UPDATE ON erp.orders
			FOR EACH ROW EXECUTE FUNCTION erp.check_total();
		GRANT USAGE ON SCHEMA erp TO clerk;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA erp TO clerk;

		INSERT INTO erp.customers
		SELECT g, 'Customer ' || g, 1000 FROM generate_series(1, 20) g;
		INSERT INTO erp.orders (order_number, customer_number, total)
		SELECT g, 1 + g % 20, 10 FROM generate_series(1, 200) g;
		INSERT INTO erp."Money Received" SELECT g, g, 5 FROM generate_series(1, 20) g;
	SQL
}

erp_attach() {
	PGOPTIONS='-c client_min_messages=warning' cluster_psql "$1" -d "$2" >/dev/null <<-'SQL'
		CREATE EXTENSION IF NOT EXISTS credit;
		SELECT credit.attach('erp.customers', 'customer', key => 'customer_number',
			name => 'customer_name', credit_limit => 'credit_limit');
		SELECT credit.attach('erp.orders', 'order', key => 'order_number',
			customer => 'customer_number', amount => 'total',
			document_date => 'order_date', due_date => 'required_date',
			counts_when => $$status IN ('confirmed', 'in process')$$,
			on_breach => 'reject');
		SELECT credit.attach('erp."Money Received"', 'payment', key => '"Receipt No"',
			customer => '"Customer"', amount => '"Amount"', document_date => '"Paid On"');
	SQL
}

# The ledger against the ERP: exposure (which reads the journal), the same from
# the documents, and the documents themselves.
erp_differences() {
	cluster_value "$1" "
		WITH erp AS (
			SELECT 'erp.orders' AS source, order_number::text AS key,
				   customer_number::text AS customer, total AS amount
			  FROM erp.orders
			 WHERE status IN ('confirmed', 'in process') AND total IS NOT NULL
			UNION ALL
			SELECT 'erp.\"Money Received\"', \"Receipt No\"::text, \"Customer\"::text, -\"Amount\"
			  FROM erp.\"Money Received\"),
		truth AS (SELECT customer, sum(amount) AS total FROM erp GROUP BY customer)
		SELECT 'exposure', COALESCE(t.customer, e.customer) AS customer,
			   trim_scale(COALESCE(t.total, 0)), trim_scale(e.total)
		  FROM truth t FULL JOIN credit.exposure e ON e.customer = t.customer
		 WHERE COALESCE(t.total, 0) IS DISTINCT FROM e.total
		UNION ALL
		SELECT 'document ' || COALESCE(t.key, d.key), COALESCE(t.customer, d.customer),
			   trim_scale(t.amount), trim_scale(d.exposure)
		  FROM erp t FULL JOIN credit.exposure_document d
			   ON d.source = t.source AND d.key = t.key AND d.customer = t.customer
		 WHERE t.amount IS DISTINCT FROM d.exposure
		   AND NOT (t.key IS NULL AND d.kind = 'receivable' AND d.exposure = 0)
		 ORDER BY 1, 2 LIMIT 20" -d "$2"
}

sqlstate() {
	local answer
	answer=$(cluster_psql "$1" -d "$2" -v ON_ERROR_STOP=0 -A -t 2>&1 <<-SQL
		$3;
		\\echo :SQLSTATE
	SQL
	) || :
	echo "${answer##*$'\n'}"
}

erp_order() {
	printf 'INSERT INTO erp.orders (order_number, customer_number, total) VALUES (%s, %s, %s)' "$@"
}

# Clerks who insert, change and roll back, with savepoints, on few customers, so
# that each chain has rows of several open transactions. Runs until it is
# killed, a minute at most.
erp_work() {
	local file=$CREDIT_WORK/work-$1.sql
	cat >"$file" <<-SQL
		\\set c random(1, $2)
		\\set n random(1, 1000000000)
		\\set e random(1, 4)
		BEGIN;
		INSERT INTO erp.orders (order_number, customer_number, total)
		VALUES (1000 + :n, :c, 0.01) ON CONFLICT DO NOTHING;
		SAVEPOINT s;
		UPDATE erp.orders SET total = total + 0.01 WHERE order_number = 10 + :c;
		\\if :e = 1
		ROLLBACK TO s;
		\\endif
		\\if :e = 2
		ROLLBACK;
		\\else
		COMMIT;
		\\endif
	SQL
	PGHOST=$(cluster_dir "$1") PGUSER=clerk exec pgbench -n -c 6 -T 60 -f "$file" erp \
		>"$CREDIT_WORK/work-$1.log" 2>&1
}

# Something in each table: policy, limits, a breach let through, documents
# that changed or went, rows that were rolled back.
erp_business() {
	cluster_psql "$1" -d "$2" >/dev/null <<-'SQL'
		SET client_min_messages = error;
		SELECT credit.set('near_limit', '0.8');
		SELECT credit.set_rule('not_set', 'warn');
		UPDATE erp.customers SET credit_limit = 500 WHERE customer_number = 3;
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (300, 900, 42);
		SELECT credit.set_limit('900', 800, 'a good customer', valid_until => current_date + 30);
		SELECT credit.set('mode', 'shadow');
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (301, 4, 5000);
		SELECT credit.set('mode', NULL);
		UPDATE erp.orders SET status = 'cancelled' WHERE order_number IN (7, 301);
		UPDATE erp.orders SET total = 12.345 WHERE order_number = 8;
		DELETE FROM erp.orders WHERE order_number = 9;
		BEGIN;
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (302, 5, 111);
		SAVEPOINT s;
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (303, 5, 222);
		ROLLBACK TO s;
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (304, 5, 1);
		COMMIT;
		BEGIN;
		INSERT INTO erp.orders (order_number, customer_number, total) VALUES (305, 6, 333);
		ROLLBACK;
		SELECT credit.enter_financials('3', '2024-12-31', published_on => '2025-03-31', total_assets => 10, equity => 4, total_liabilities => 6);
		SELECT credit.enter_financials('3', '2023-12-31', published_on => '2024-03-31', total_assets => 9);
		SELECT credit.withdraw_entry('financials', 2, 'of another company');
		SELECT credit.enter_bureau_report('3', 'Bureau', '2025-01-01', probability => 0.01, published_on => '2025-01-02');
		SELECT credit.enter_company_fact('3', industry => '4634');
		SELECT credit.set_master_scale('{A,B,C}', '{0.01,0.05,1}', 'three are enough');
		SELECT credit.record_rating('3', 'house', 0.02, reasons => '{late}');
		SELECT credit.set_rating_override('3', 'A', 'guarantee', current_date + 30);
		SELECT credit.add_standard_model();
		SELECT credit.add_fitted_model('fitted', '{x,kind}', '{-2,-0.7,-1.1}',
			ARRAY[(SELECT credit.optimal_bins(g / 3.0, g * 7919 % 100 < g / 10, credit.binning_options(special_codes => '{-1}'))
					 FROM generate_series(-1, 999) g),
				  (SELECT credit.optimal_bins('a "' || g % 7 || E'\\,{', g * 7919 % 100 < g % 7 * 10) FROM generate_series(1, 999) g)],
			reasons => '{"a, b",NULL}', make_champion => true, statistics => '{"auc": 0.7}');
		SELECT credit.set_calibration(2, 'platt', 'sample of May', '{10,-0.02}');
		SELECT credit.declare_feature('n_letters', $$length(customer)$$, 'letters of the key', missing_value => '0');
		SELECT credit.grant_analyst('analyst');
		CREATE TABLE erp.bill_line (bill int, value numeric);
		CREATE VIEW erp.bill AS
		SELECT bill, 1 AS customer, 0 AS nothing, count(*) AS lines FROM erp.bill_line GROUP BY bill;
		INSERT INTO erp.bill_line VALUES (1, 10), (1, 20), (2, 30);
		SELECT credit.attach('erp.bill', 'invoice', key => 'bill', customer => 'customer',
			amount => 'nothing', number => 'lines', counts_when => 'lines > 3');
		SELECT credit.depend('erp.bill', 'erp.bill_line', 'SELECT bill FROM changed');
		INSERT INTO erp.bill_line VALUES (1, 40);
	SQL
}

# A month that is closed and folded, and one that waits for it.
erp_months() {
	cluster_psql "$1" -d "$2" -o /dev/null \
		-c 'CREATE TABLE erp.settled (id int PRIMARY KEY, customer int, amount numeric, day date, due date, paid date)' \
		-c "SELECT credit.attach('erp.settled', 'receivable', key => 'id', customer => 'customer', amount => 'amount',
				document_date => 'day', due_date => 'due', settled_on => 'paid')" \
		-c "INSERT INTO erp.settled VALUES (1, 3, 100, '2024-01-01', '2024-01-31', '2024-02-05'),
				(3, 3, 70, current_date - 90, current_date - 60, current_date - 50)" \
		-c 'SELECT credit.fold_months()' \
		-c "INSERT INTO erp.settled VALUES (2, 3, 50, '2024-02-01', '2024-03-02', '2024-03-05')"
}

erp_queries() {
	cluster_value "$1" "
		SELECT format('SELECT %L || row(%s)::text FROM credit.%I v;', c.relname || ' ',
					  (SELECT string_agg(format('v.%I', a.attname), ', ' ORDER BY a.attnum)
						 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), c.relname)
		  FROM pg_class c
		 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'v'
		   /* of the server or of this version, not of the business */
		   AND c.relname NOT IN ('stat', 'waits', 'progress', 'storage', 'feature_catalog', 'presets')
		 ORDER BY c.relname" -d "$2"
}

erp_figures() {
	{
		echo "$3"
		echo "SET credit.as_of = '2026-02-15';"
		echo "$3"
	} | cluster_psql "$1" -A -t -d "$2" | sort
}

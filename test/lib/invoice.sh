# shellcheck shell=bash
#
# invoice.sh: ROWS invoices for benchmarks, of a few customers many (zipf).
# After cluster.sh.
#
#     make_invoices DATABASE CUSTOMERS COLUMNS RANDOM
#                              a new database with the extension and a table
#                              invoice: COLUMNS of g (1, 2, ...), c.customer and
#                              a, a row of what RANDOM selects
#     make_paid_invoices DATABASE
#                              with all that a payment profile reads

make_invoices() {
	cluster_psql bench -c "CREATE DATABASE $1"
	cluster_psql bench -d "$1" >/dev/null <<-SQL
		CREATE EXTENSION credit;
		SELECT setseed(0.5);
		CREATE UNLOGGED TABLE invoice AS
		SELECT $3
		  FROM generate_series(1, $ROWS) g,
			   LATERAL (SELECT floor(exp(random() * ln($2)) + 0 * g)::bigint AS customer) c,
			   LATERAL (SELECT $4) a;
		VACUUM (ANALYZE, FREEZE) invoice;
	SQL
}

make_paid_invoices() {
	make_invoices "$1" 100000 \
		"g::bigint AS id, c.customer, round(a.amount * 100)::bigint AS cents,
			a.day AS invoice_date, a.day + 30 AS due_date,
			CASE WHEN a.open > 0.05 THEN a.day + 20 + (a.a * 20 - 8 * ln(1 - a.b))::int END AS paid_date,
			a.amount, 'C' || lpad(c.customer::text, 8, '0') AS code" \
		"(1 + random() * 9999 + 0 * g)::numeric(12,2) AS amount,
			date '2024-01-01' + (random() * 900)::int AS day,
			random() AS a, random() AS b, random() AS open"
}

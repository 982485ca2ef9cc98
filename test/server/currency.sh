#!/usr/bin/env bash
# Many clerks, few customers, four currencies, limits nearly used up: together
# the chains of an account never pass its limit, and each total is what the rows
# of the ERP come to. Meanwhile a rate goes missing and comes back.
set -euo pipefail
# shellcheck source=test/lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
# shellcheck source=test/lib/cluster.sh
. "$(dirname "$0")/../lib/cluster.sh"

SECONDS_OF_WORK=8

cluster_start currency fsync=off
cluster_psql currency -o /dev/null <<'SQL'
SET client_min_messages = error;
CREATE EXTENSION credit;
CREATE TABLE customers (id int PRIMARY KEY, credit_limit numeric, currency text);
INSERT INTO customers
SELECT i, 5000 * (CASE i % 3 WHEN 0 THEN 150 ELSE 1 END), (ARRAY['JPY', 'USD', 'EUR'])[1 + i % 3]
  FROM generate_series(1, 6) i;
CREATE SEQUENCE order_number;
CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT nextval('order_number'), customer int, total numeric(12,2), currency text);
CREATE INDEX orders_customer ON orders (customer);
SELECT credit.set('max_wait', '5min');
SELECT credit.attach('customers', 'customer', key => 'id', credit_limit => 'credit_limit', currency => 'currency');
SELECT credit.attach('orders', 'order', key => 'id', customer => 'customer', amount => 'total', currency => 'currency');
SELECT credit.set_rate('EUR', 'USD', 1.0837), credit.set_rate('GBP', 'USD', 1.2711), credit.set_rate('USD', 'JPY', 151.37);

-- What the documents of each account come to, by the rates as they stand above.
CREATE VIEW truth AS
WITH rate (currency, num, den) AS (VALUES ('EUR', 1.0837, 1.0), ('GBP', 1.2711, 1), ('JPY', 1, 151.37), ('USD', 1, 1))
SELECT c.id::text AS customer, c.credit_limit,
	   round(round(COALESCE(sum(round(o.total * f.num * t.den, 40) / (f.den * t.num)), 0), 25),
			 CASE c.currency WHEN 'JPY' THEN 0 ELSE 2 END) AS total
  FROM customers c
  LEFT JOIN orders o ON o.customer = c.id
  LEFT JOIN rate f ON f.currency = o.currency
  LEFT JOIN rate t ON t.currency = c.currency
 GROUP BY c.id;
-- Everything that is wrong.
CREATE VIEW wrong AS
SELECT format('customer %s: exposure %s, the ERP has %s, limit %s', t.customer, e.total, t.total, t.credit_limit) AS what
  FROM truth t JOIN credit.exposure e ON e.customer = t.customer
 WHERE t.total > t.credit_limit OR t.total <> e.total OR (e.total IS NULL AND e.missing_rates <> ARRAY['GBP']);

CREATE FUNCTION work(c int, n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	cur text := (ARRAY['USD', 'EUR', 'GBP', 'JPY'])[1 + floor(random() * 4)::int];
	most numeric := CASE cur WHEN 'JPY' THEN 90000 ELSE 600 END;
BEGIN
	IF random() < 0.12 THEN
		DELETE FROM orders WHERE id = (SELECT o.id FROM orders o WHERE o.customer = c ORDER BY random() LIMIT 1);
	ELSIF random() < 0.15 THEN
		UPDATE orders SET currency = cur, total = random()::numeric * most WHERE id = (SELECT max(o.id) FROM orders o WHERE o.customer = c);
	ELSE
		INSERT INTO orders (customer, total, currency) SELECT c, random()::numeric * most, cur FROM generate_series(1, n);
	END IF;
EXCEPTION WHEN check_violation THEN
	NULL;
END
$$;
SQL
cluster_use currency

# Clerks in READ COMMITTED and in REPEATABLE READ; every third gives up.
work() {
	cat <<-SQL
		\\set c random(1, 6)
		\\set n random(1, 2)
		\\set gives_up random(1, 3)
		BEGIN ISOLATION LEVEL $1;
		SELECT count(*) FROM customers;
		SELECT work(:c, :n);
		\\sleep 2 ms
		SELECT work(:c, :n);
		\\if :gives_up = 1
		ROLLBACK;
		\\else
		COMMIT;
		\\endif
	SQL
}
work 'READ COMMITTED' >"$CREDIT_WORK/currency.rc"
work 'REPEATABLE READ' >"$CREDIT_WORK/currency.rr"
# Whoever keeps the rates, twice a second.
cat >"$CREDIT_WORK/currency.rate" <<-'SQL'
	SELECT credit.set_rate('GBP', 'USD', NULL);
	\sleep 100 ms
	SELECT credit.set_rate('GBP', 'USD', 1.2711);
	\sleep 400 ms
SQL

# Has the test tested something?
enough() {
	[ "$looks" -gt 10 ] && [ "$(cluster_value currency "SELECT refused_limit > 20 AND refused_missing_rate > 5 AND waits > 10
		AND (SELECT avg(utilisation) > 0.7 FROM credit.exposure) FROM credit.stat WHERE kind = 'order'")" = t ]
}

# Once, and again where a slow machine has not come far enough.
status=0
looks=0
found=''
for _ in 1 2 3 4; do
	pgbench -n -c 12 -j 2 -T $SECONDS_OF_WORK --max-tries=100 \
		-f "$CREDIT_WORK/currency.rc" -f "$CREDIT_WORK/currency.rr" postgres \
		>"$CREDIT_WORK/currency.log" 2>&1 &
	clerks=$!
	pgbench -n -c 1 -T $((SECONDS_OF_WORK - 1)) -f "$CREDIT_WORK/currency.rate" postgres >/dev/null 2>&1 &
	treasury=$!

	while kill -0 "$clerks" 2>/dev/null; do
		found+=$(cluster_value currency 'SELECT * FROM wrong')
		looks=$((looks + 1))
		sleep 0.2
	done
	wait "$clerks" || status=$?
	wait "$treasury" || :
	! enough || break
done

is "$found" '' "exposure is what the ERP has and below the limits, each of $looks times"
is "$status" 0 'no clerk was turned away by an error of another kind'
[ "$status" = 0 ] || diag "$(cat "$CREDIT_WORK/currency.log")"
is "$(cluster_value currency 'SELECT * FROM wrong')" '' 'and so it is in the end'
is "$(cluster_value currency 'SELECT count(*) FROM credit.exposure WHERE total IS NULL')" 0 'with all rates there is every total'

ok 'the limits were nearly used up' test \
	"$(cluster_value currency 'SELECT avg(utilisation) > 0.7 FROM credit.exposure')" = t
ok 'clerks were refused, for lack of room and of a rate' test \
	"$(cluster_value currency "SELECT refused_limit > 20 AND refused_missing_rate > 5 FROM credit.stat WHERE kind = 'order'")" = t
ok 'and waited for each other' test \
	"$(cluster_value currency "SELECT waits > 10 FROM credit.stat WHERE kind = 'order'")" = t
ok 'over several looks' test "$looks" -gt 10
cluster_stop currency
done_testing

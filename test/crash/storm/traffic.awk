# traffic.awk: endless SQL of one client of the storm, for psql.
#
#     awk -f traffic.awk -v client=3 -v run=17 -v seed=42
#
# Transactions of every shape and isolation level on a few customers whom all
# clients want. Most of the room is taken most of the time, so that about as
# many orders are refused as accepted. Statements that fail are meant to: psql
# goes on, and what comes of it must be right.
#
# No two runs have the same client and run: numbers made here come of them.
# Statements that are a transaction of their own are marked "single": the
# exposure that their refusals name can be judged.

function pick(n) { return int(rand() * n) + 1 }
function chance(percent) { return rand() * 100 < percent }

# --- customers: see erp.sql ---------------------------------------------------

function fixed() { return chance(85) ? "'f" pick(4) "'" : "'g" pick(15) "'" }
function varied() { return chance(85) ? "'v" pick(4) "'" : "'w" pick(15) "'" }
function newcomer() { return "'n' || extract(epoch FROM clock_timestamp())::int / 2" }
function customer(kind) {
	kind = rand() * 100
	return kind < 45 ? fixed() : kind < 85 ? varied() : kind < 97 ? "'d" pick(2) "'" : newcomer()
}
function currency(of) { return of ~ /^'d/ && chance(40) ? (chance(50) ? "'USD'" : "'CHF'") : "'EUR'" }
function amount() { return chance(90) ? pick(80) + pick(100) / 100 : 100 + pick(900) }

# --- statements ---------------------------------------------------------------

function say(line) { print line ";" }
function pause(ms) { if (chance(40)) say("SELECT pg_sleep(" pick(ms) / 1000 ")") }
function mark() { return in_transaction ? "" : " /* single */" }
function some_order(of) {
	return "(SELECT number FROM erp.orders WHERE customer = " of " ORDER BY random() LIMIT 1)"
}
function insert(who) {
	who = customer()
	say("INSERT INTO erp.orders (number, customer, amount, currency) VALUES (nextval('erp.number'), " \
		who ", " amount() ", " currency(who) ")" mark())
}
function insert_many(letter) {
	letter = chance(50) ? "f" : "v"
	say("INSERT INTO erp.orders (number, customer, amount) SELECT b + n, '" letter "' || 1 + n % 4, " \
		pick(30) " FROM (SELECT nextval('erp.number') AS b OFFSET 0) s, generate_series(1, " \
		pick(12) ") n" mark())
}
function change_many() {
	say("UPDATE erp.orders SET amount = amount + 0.01 WHERE customer = " customer() mark())
}
function copy(of, n) {
	of = customer()
	gsub(/'/, "", of)
	if (of ~ / /) return insert()
	print "COPY erp.orders (number, customer, amount) FROM STDIN;"
	for (n = pick(8); n > 0; n--)
		printf "%d%07d%05d\t%s\t%.2f\n", client, run, ++numbers, of, amount() / 4
	print "\\."
}
function merge(who) {
	who = varied()
	say("MERGE INTO erp.orders o USING (SELECT " some_order(who) " AS number) s ON o.number = s.number " \
		"WHEN MATCHED THEN UPDATE SET amount = o.amount + " pick(20) \
		" WHEN NOT MATCHED THEN INSERT (number, customer, amount) VALUES (nextval('erp.number'), " \
		who ", " pick(20) ")" mark())
}
# The ERP's own trigger has its hand in it: see after_order() in erp.sql.
function with_trigger(note) {
	note = rand() * 100
	note = note < 30 ? "freight" : note < 45 ? "surcharge" : note < 60 ? "stamp" : note < 80 ? "regret" : "fail"
	say("INSERT INTO erp.orders (number, customer, amount, parent, note) SELECT b + n, " customer() \
		", " pick(20) ", b + 1, CASE WHEN n > 1 OR '" note "' ~ '^s' THEN '" note "' END" \
		" FROM (SELECT nextval('erp.number') AS b OFFSET 0) s, generate_series(1, " pick(3) ") n")
}
function pay(who) {
	who = customer()
	say("INSERT INTO erp.payments VALUES (nextval('erp.number'), " who ", " pick(60) ", " currency(who) ")")
}
# Only where the limit varies: what nothing checks may exceed it.
function bounce(who) {
	who = varied()
	say((chance(50) ? "DELETE FROM erp.payments" : "UPDATE erp.payments SET amount = round(amount / 2, 2)") \
		" WHERE number = (SELECT number FROM erp.payments WHERE customer = " who " ORDER BY random() LIMIT 1)")
}
function contract() {
	if (chance(60)) say("INSERT INTO erp.contracts VALUES (nextval('erp.number'), " varied() ", " pick(50) ")")
	else say("DELETE FROM erp.contracts WHERE number IN (SELECT number FROM erp.contracts ORDER BY random() LIMIT 2)")
}
function change(assignment, of) {
	if (of == "") of = customer()
	say("UPDATE erp.orders SET " assignment " WHERE number = " some_order(of) mark())
}
function drop() { say("DELETE FROM erp.orders WHERE number = " some_order(customer())) }

function step(kind) {
	kind = rand() * 100
	if (kind < 30) insert()
	else if (kind < 36) insert_many()
	else if (kind < 40) with_trigger()
	else if (kind < 53) pay()
	else if (kind < 57) bounce()
	else if (kind < 60) contract()
	else if (kind < 67) change("amount = amount + " pick(40))
	else if (kind < 73) change("amount = round(amount / 2, 2)")
	else if (kind < 79) change("customer = " customer())
	else if (kind < 83) change("state = CASE state WHEN 'open' THEN 'cancelled' WHEN 'cancelled' THEN 'open' ELSE 'draft' END")
	else if (kind < 85) change("currency = CASE currency WHEN 'EUR' THEN '" (chance(50) ? "USD" : "CHF") "' ELSE 'EUR' END", "'d" pick(2) "'")
	else if (kind < 93) drop()
	else if (kind < 96) change("number = nextval('erp.number')")
	else if (kind < 98) merge()
	else change_many()
}
function steps(n) { while (n-- > 0) { step(); pause(8) } }

# --- transactions -------------------------------------------------------------

function begin(level) {
	level = rand() * 100
	in_transaction = 1
	say("BEGIN ISOLATION LEVEL " (level < 40 ? "READ COMMITTED" : level < 80 ? "REPEATABLE READ" : "SERIALIZABLE"))
	if (chance(50)) say("SET LOCAL synchronous_commit = off")
	# an old snapshot: what comes later does not see what others do from here
	if (chance(60)) { say("SELECT count(*) FROM erp.customers"); pause(20) }
}
function end() { say(chance(85) ? "COMMIT" : "ROLLBACK"); in_transaction = 0 }
function leave(savepoint) { say((chance(50) ? "ROLLBACK TO " : "RELEASE ") savepoint) }

function plain() { begin(); steps(pick(3)); end() }
function with_copy() { if (chance(50)) { begin(); copy(); steps(pick(2) - 1); end() } else copy() }
function with_savepoints() {
	begin(); steps(1)
	say("SAVEPOINT a"); steps(pick(2))
	if (chance(60)) { say("SAVEPOINT b"); pay(); steps(1); leave("b"); steps(pick(2) - 1) }
	leave("a"); steps(pick(2) - 1)
	end()
}
# Room that seems to be given back and is not.
function with_a_change_of_mind(who) {
	who = customer()
	begin()
	say("INSERT INTO erp.orders VALUES (nextval('erp.number'), " who ", " 20 + pick(80) ")")
	say("SAVEPOINT a")
	say("INSERT INTO erp.payments VALUES (nextval('erp.number'), " who ", 100)")
	say("SELECT pg_sleep(" (30 + pick(chance(10) ? 400 : 100)) / 1000 ")")
	say("ROLLBACK TO a"); end()
}
# Room that is given back unless the transaction fails.
function with_a_payment_in_flight(who) {
	who = customer()
	begin()
	say("INSERT INTO erp.payments VALUES (nextval('erp.number'), " who ", " 50 + pick(100) ")")
	say("SELECT pg_sleep(" (30 + pick(100)) / 1000 ")")
	say(chance(40) ? "COMMIT" : "ROLLBACK"); in_transaction = 0
}
function with_rows() {
	begin(); steps(pick(2) - 1)
	say("CALL erp.savepoint_per_row(" customer() ", " (chance(10) ? 70 : 5 + pick(20)) ")")
	if (chance(50)) say("CALL erp.failing_statement(" customer() ")")
	steps(pick(2) - 1); end()
}
function with_error() { begin(); steps(pick(2)); say("SELECT 1 / 0"); steps(1); say("COMMIT"); in_transaction = 0 }
# A limit of one's own making.
function with_own_limit(who) {
	who = "'v" pick(4) "'"
	begin()
	say("UPDATE erp.customers SET credit_limit = " pick(19) * 100 " WHERE customer = " who)
	say("INSERT INTO erp.orders VALUES (nextval('erp.number'), " who ", " pick(100) ")")
	pause(100)
	end()
}
function in_two_phases(gid) {
	gid = "'" client "-" run "-" ++prepared "'"
	begin(); steps(pick(2))
	if (chance(50)) { say("SAVEPOINT a"); steps(1); leave("a") }
	say("PREPARE TRANSACTION " gid)
	in_transaction = 0
	# the others are ended by somebody else, later
	if (chance(30)) return
	pause(30)
	print "SELECT count(*) > 0 AS is_there FROM pg_prepared_xacts WHERE gid = " gid " \\gset"
	print "\\if :is_there"
	say((chance(60) ? "COMMIT" : "ROLLBACK") " PREPARED " gid)
	print "\\endif"
}

BEGIN {
	srand(seed)
	print "\\set VERBOSITY verbose"
	print "\\set is_there off"
	print "\\timing on"
	for (;;) {
		shape = rand() * 100
		if (shape < 20) step()
		else if (shape < 44) plain()
		else if (shape < 56) with_savepoints()
		else if (shape < 63) with_a_change_of_mind()
		else if (shape < 70) with_a_payment_in_flight()
		else if (shape < 78) with_rows()
		else if (shape < 83) with_error()
		else if (shape < 87) with_copy()
		else if (shape < 90) with_own_limit()
		else if (shape < 92) say("CALL erp.settle(" customer() ")")
		else in_two_phases()
	}
}

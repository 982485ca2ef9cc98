# traffic.awk: endless SQL of one client of the storm, for psql.
#
#     awk -f traffic.awk -v client=3 -v seed=42
#
# Transactions of every shape and isolation level on a few customers that all
# clients want. Most of the room is taken most of the time, so that about as
# many orders are refused as accepted. Statements that fail are meant to: psql
# goes on, and what comes of it must be right.
#
# Payments only come in, and are never taken back: they may lower exposure at
# any time, but nothing unchecked may raise it.

function pick(n) { return int(rand() * n) + 1 }
function chance(percent) { return rand() * 100 < percent }

function customer() { return chance(85) ? "'h" pick(6) "'" : "'x" pick(40) "'" }
function some_order(of) {
	return "(SELECT number FROM erp.orders WHERE customer = " of " ORDER BY random() LIMIT 1)"
}
function amount() { return chance(90) ? pick(80) + pick(100) / 100 : 100 + pick(900) }
function say(line) { print line ";" }
function pause(ms) { if (chance(40)) say("SELECT pg_sleep(" pick(ms) / 1000 ")") }

function insert() {
	say("INSERT INTO erp.orders VALUES (nextval('erp.number'), " customer() ", " amount() ")")
}
function insert_many() {
	say("INSERT INTO erp.orders SELECT nextval('erp.number'), 'h' || 1 + n % 6, " pick(30) \
		" FROM generate_series(1, " pick(12) ") n")
}
function pay() {
	say("INSERT INTO erp.payments VALUES (nextval('erp.number'), " customer() ", " pick(60) ")")
}
function change(assignment) {
	say("UPDATE erp.orders SET " assignment " WHERE number = " some_order(customer()))
}
function drop() { say("DELETE FROM erp.orders WHERE number = " some_order(customer())) }

function step(kind) {
	kind = rand() * 100
	if (kind < 40) insert()
	else if (kind < 47) insert_many()
	else if (kind < 60) pay()
	else if (kind < 72) change("amount = amount + " pick(40))
	else if (kind < 80) change("amount = round(amount / 2, 2)")
	else if (kind < 88) change("customer = " customer())
	else if (kind < 96) drop()
	else change("number = nextval('erp.number')")
}
function steps(n) { while (n-- > 0) { step(); pause(8) } }

function begin(level) {
	level = rand() * 100
	say("BEGIN ISOLATION LEVEL " (level < 40 ? "READ COMMITTED" : level < 80 ? "REPEATABLE READ" : "SERIALIZABLE"))
	if (chance(50)) say("SET LOCAL synchronous_commit = off")
	# an old snapshot: what comes later does not see what others do from here
	if (chance(60)) { say("SELECT count(*) FROM erp.customers"); pause(20) }
}
function end() { say(chance(85) ? "COMMIT" : "ROLLBACK") }
function leave(savepoint) { say((chance(50) ? "ROLLBACK TO " : "RELEASE ") savepoint) }

function plain() { begin(); steps(pick(3)); end() }
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
	say("SELECT pg_sleep(" (30 + pick(100)) / 1000 ")")
	say("ROLLBACK TO a"); end()
}
function with_rows() {
	begin(); steps(pick(2) - 1)
	say("CALL erp.savepoint_per_row(" customer() ", " 10 + pick(60) ")")
	steps(pick(2) - 1); end()
}
function with_error() { begin(); steps(pick(2)); say("SELECT 1 / 0"); steps(1); say("COMMIT") }
function in_two_phases(gid) {
	gid = "'" client "-" seed "-" ++prepared "'"
	begin(); steps(pick(2))
	if (chance(50)) { say("SAVEPOINT a"); steps(1); leave("a") }
	say("PREPARE TRANSACTION " gid)
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
	for (;;) {
		shape = rand() * 100
		if (shape < 20) step()
		else if (shape < 55) plain()
		else if (shape < 67) with_savepoints()
		else if (shape < 75) with_a_change_of_mind()
		else if (shape < 83) with_rows()
		else if (shape < 90) with_error()
		else in_two_phases()
	}
}

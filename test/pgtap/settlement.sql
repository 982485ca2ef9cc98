-- What was open on any day. Random documents with random dates, payments and
-- applications that are reversed, in random order of arrival, before and after
-- the tables are attached: the ledger says for every day what the rules for
-- past dates say over the ERP's rows. For each way an ERP has of saying what is
-- paid.
BEGIN;
CREATE EXTENSION credit;
SELECT plan(23);
SET LOCAL client_min_messages = warning;
SET LOCAL jit = off;
SELECT setseed(0.4);

CREATE SCHEMA erp;
CREATE TABLE erp.seen (what text, text text);

-- Nothing is noted as wrong; and the next look starts anew.
CREATE FUNCTION erp.nothing_seen(description text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN NEXT is_empty('SELECT * FROM erp.seen LIMIT 5', description);
  DELETE FROM erp.seen;
END
$$;

-- A day of the last 200, or (one in 20) of the next 10.
CREATE FUNCTION erp.some_day() RETURNS date LANGUAGE sql VOLATILE AS
$$ SELECT credit.today() + CASE WHEN random() < 0.05 THEN 1 + floor(random() * 10)::int ELSE -floor(random() * 200)::int END $$;
-- A day on which something is reversed: mostly never.
CREATE FUNCTION erp.some_end(since date) RETURNS date LANGUAGE sql VOLATILE AS
$$ SELECT CASE WHEN random() < 0.3 THEN LEAST(since + floor(random() * 60)::int, credit.today()) END $$;
CREATE FUNCTION erp.some_amount() RETURNS numeric LANGUAGE sql VOLATILE AS
$$ SELECT round((1 + random() * 99)::numeric, 2) $$;

-- 1. Applications, and payments and credit notes that name their invoice
CREATE TABLE erp.invoices (id int PRIMARY KEY, customer int, total numeric, day date, due date, reversed date);
CREATE TABLE erp.payments (id int PRIMARY KEY, customer int, amount numeric, day date, invoice int, reversed date);
CREATE TABLE erp.receipts (id int PRIMARY KEY, customer int, amount numeric, day date, reversed date);
CREATE TABLE erp.notes (id int PRIMARY KEY, customer int, amount numeric, day date, invoice int, reversed date);
CREATE TABLE erp.applications (id int PRIMARY KEY, invoice int, payment text, amount numeric, day date, reversed date);

CREATE PROCEDURE erp.attach() LANGUAGE plpgsql AS $$
BEGIN
  PERFORM credit.attach('erp.invoices', 'invoice', key => 'id', customer => 'customer', amount => 'total',
    document_date => 'day', due_date => 'due', reversed_on => 'reversed');
  PERFORM credit.attach('erp.payments', 'payment', key => $k$'p' || id$k$, customer => 'customer', amount => 'amount',
    document_date => 'day', applies_to => 'invoice', reversed_on => 'reversed');
  PERFORM credit.attach('erp.receipts', 'payment', key => $k$'r' || id$k$, customer => 'customer', amount => 'amount',
    document_date => 'day', reversed_on => 'reversed');
  PERFORM credit.attach('erp.notes', 'credit_note', key => 'id', customer => 'customer', amount => 'amount',
    document_date => 'day', applies_to => 'invoice', reversed_on => 'reversed');
  PERFORM credit.attach('erp.applications', 'application', key => 'id', applies_to => 'invoice', payment => 'payment',
    amount => 'amount', document_date => 'day', reversed_on => 'reversed');
END
$$;

-- The rules of the definitions: a document is there from its date until it is
-- reversed; an application counts from the latest date of itself and both of
-- its documents.
CREATE FUNCTION erp.truth(on_day date) RETURNS TABLE (kind text, key text, open_amount numeric)
LANGUAGE sql AS $$
WITH invoice AS (SELECT i.* FROM erp.invoices i WHERE i.day <= on_day AND (i.reversed IS NULL OR i.reversed > on_day)),
money (kind, key, amount, invoice) AS
  (SELECT 'payment', 'p' || p.id, p.amount, p.invoice FROM erp.payments p WHERE p.day <= on_day AND (p.reversed IS NULL OR p.reversed > on_day)
   UNION ALL
   SELECT 'payment', 'r' || r.id, r.amount, NULL FROM erp.receipts r WHERE r.day <= on_day AND (r.reversed IS NULL OR r.reversed > on_day)
   UNION ALL
   SELECT 'credit_note', n.id::text, n.amount, n.invoice FROM erp.notes n WHERE n.day <= on_day AND (n.reversed IS NULL OR n.reversed > on_day)),
settled (invoice, kind, key, amount) AS
  (SELECT m.invoice, m.kind, m.key, m.amount FROM money m JOIN invoice i ON i.id = m.invoice
   UNION ALL
   SELECT a.invoice, 'payment', a.payment, a.amount
     FROM erp.applications a JOIN invoice i ON i.id = a.invoice JOIN money m ON m.kind = 'payment' AND m.key = a.payment
    WHERE a.day <= on_day AND (a.reversed IS NULL OR a.reversed > on_day))
SELECT q.kind, q.key, q.open_amount
  FROM (SELECT 'invoice' AS kind, i.id::text AS key,
               i.total - COALESCE((SELECT sum(s.amount) FROM settled s WHERE s.invoice = i.id), 0) AS open_amount FROM invoice i
        UNION ALL
        SELECT m.kind, m.key, COALESCE((SELECT sum(s.amount) FROM settled s WHERE s.kind = m.kind AND s.key = m.key), 0) - m.amount
          FROM money m) q
 WHERE q.open_amount <> 0
$$;

CREATE PROCEDURE erp.look(what text) LANGUAGE plpgsql AS $$
DECLARE
  d date;
BEGIN
  FOREACH d IN ARRAY ARRAY[credit.today(), credit.today() - 1, credit.today() - 30, erp.some_day(), erp.some_day(), erp.some_day(), credit.today() - 300] LOOP
    INSERT INTO erp.seen
    SELECT what || ', ' || (credit.today() - d) || ' days ago',
           format('%s %s: ledger %s, ERP %s', COALESCE(o.kind, t.kind), COALESCE(o.key, t.key), o.open_amount, t.open_amount)
      FROM credit.open_on(d) o FULL JOIN erp.truth(d) t ON t.kind = o.kind AND t.key = o.key
     WHERE o.open_amount IS DISTINCT FROM t.open_amount AND d <= credit.today();
  END LOOP;
  INSERT INTO erp.seen
  SELECT what || ': today', q::text
    FROM ((SELECT n.* FROM credit.open_now n EXCEPT ALL SELECT n.* FROM credit.open_on(credit.today()) n)
          UNION ALL
          (SELECT n.* FROM credit.open_on(credit.today()) n EXCEPT ALL SELECT n.* FROM credit.open_now n)) q;
  -- each statement ends with what aging says, on any day
  d := credit.today() - floor(random() * 100)::int;
  INSERT INTO erp.seen
  SELECT what || ': statement of ' || c, format('%s, aging %s', s.balance, a.total)
    FROM generate_series(1, 3) c
    LEFT JOIN LATERAL (SELECT sum(x.total) AS total FROM credit.customer_aging_on(d) x WHERE x.customer = c::text) a ON true
    LEFT JOIN LATERAL (SELECT sum(x.debit - x.credit) AS balance FROM credit.account_statement(c::text, d) x) s ON true
   WHERE COALESCE(s.balance, 0) <> COALESCE(a.total, 0);
END
$$;

CREATE PROCEDURE erp.step(lowest int DEFAULT 0) LANGUAGE plpgsql AS $$
DECLARE
  n int := lowest + 1 + floor(random() * 15);
  since date := erp.some_day();
  amount numeric := erp.some_amount();
BEGIN
  CASE floor(random() * 9)
    WHEN 0, 1 THEN INSERT INTO erp.invoices VALUES (n, 1 + n % 3, amount * 2, LEAST(since, credit.today()), since + 30, NULL) ON CONFLICT DO NOTHING;
    WHEN 2 THEN INSERT INTO erp.payments VALUES (n, 1 + n % 3, amount, since, NULLIF(n, 3), erp.some_end(since)) ON CONFLICT DO NOTHING;
    WHEN 3 THEN INSERT INTO erp.receipts VALUES (n, 1 + n % 3, amount, since, erp.some_end(since)) ON CONFLICT DO NOTHING;
    WHEN 4 THEN INSERT INTO erp.notes VALUES (n, 1 + n % 3, amount, since, NULLIF(n, 5), erp.some_end(since)) ON CONFLICT DO NOTHING;
    WHEN 5, 6 THEN
      INSERT INTO erp.applications VALUES (n * 10 + floor(random() * 4), n, 'r' || lowest + 1 + floor(random() * 15), amount / 2, since, erp.some_end(since)) ON CONFLICT DO NOTHING;
    WHEN 7 THEN UPDATE erp.invoices SET reversed = GREATEST(day, credit.today() - floor(random() * 30)::int) WHERE id = n AND reversed IS NULL AND day < credit.today() AND random() < 0.3;
    ELSE
      CASE floor(random() * 3)
        WHEN 0 THEN UPDATE erp.payments SET reversed = credit.today() WHERE id = n AND reversed IS NULL AND day < credit.today();
        WHEN 1 THEN UPDATE erp.receipts SET reversed = credit.today() WHERE id = n AND reversed IS NULL AND day < credit.today();
        ELSE UPDATE erp.applications SET reversed = credit.today() WHERE id / 10 = n AND reversed IS NULL AND day < credit.today();
      END CASE;
  END CASE;
END
$$;

DO $$ BEGIN FOR i IN 1 .. 120 LOOP CALL erp.step(); END LOOP; END $$;
CALL erp.attach();
CALL erp.look('attached');
SELECT erp.nothing_seen('attached to what was there: every day as the rules say');
-- new keys: those that have gone keep their settlements until today
TRUNCATE erp.invoices, erp.payments, erp.receipts, erp.notes, erp.applications;
DO $$ BEGIN FOR i IN 1 .. 400 LOOP CALL erp.step(100); IF i % 10 = 0 THEN CALL erp.look('step ' || i); END IF; END LOOP; END $$;
SELECT erp.nothing_seen('in any order of arrival');
SELECT cmp_ok((SELECT count(*) FROM erp.applications WHERE reversed IS NOT NULL), '>', 5::bigint, 'some applications were reversed');
SELECT cmp_ok((SELECT count(*) FROM credit.settlement), '>', 60::bigint, 'many settlements');
-- a correction counts on its own day
UPDATE erp.applications SET amount = amount + 1;
UPDATE erp.applications SET day = day - 3 WHERE reversed IS NULL AND day <= credit.today();
CALL erp.look('corrected');
UPDATE erp.applications SET payment = 'r101' WHERE reversed IS NULL;
CALL erp.look('payment changed');
UPDATE erp.applications SET invoice = 101 + invoice % 15 WHERE reversed IS NULL;
CALL erp.look('invoice changed');
SELECT erp.nothing_seen('corrected amounts, days, payments and invoices');
DO $$ DECLARE name text; BEGIN FOR name IN SELECT s.name FROM credit.source s LOOP PERFORM credit.detach(name); END LOOP; END $$;
SELECT is((SELECT count(*) FROM credit.open_on(credit.today())) + (SELECT count(*) FROM credit.open_now), 0::bigint, 'detached: nothing is open');

/*
 * 2. Residuals: the ERP keeps what is open. What was open on a day before the
 * ledger looked is what the ERP says now, and from then on it is followed.
 */
CREATE TABLE erp.bills (id int PRIMARY KEY, customer int, total numeric, residual numeric, day date, settled date);
INSERT INTO erp.bills SELECT i, 1 + i % 3, 100, CASE i % 4 WHEN 0 THEN 0 WHEN 1 THEN 40 ELSE 100 END, credit.today() - 100,
	CASE WHEN i % 4 = 0 THEN credit.today() - 50 END FROM generate_series(1, 12) i;
SELECT credit.attach('erp.bills', 'invoice', key => 'id', customer => 'customer', amount => 'total', open_amount => 'residual',
	document_date => 'day', settled_on => 'settled');
SELECT is((SELECT sum(open_amount) FROM credit.open_on(credit.today())), 3 * 40 + 6 * 100::numeric, 'residuals: open as the ERP says');
SELECT is((SELECT sum(open_amount) FROM credit.open_on(credit.today() - 60)), 3 * 100 + 3 * 40 + 6 * 100::numeric,
	'what was settled later was open before');
CREATE PROCEDURE erp.look_at_bills(what text) LANGUAGE sql AS $$
INSERT INTO erp.seen
SELECT look_at_bills.what, format('%s: ledger %s, now %s, ERP %s', b.id, o.open_amount, n.open_amount, b.residual)
  FROM erp.bills b
  LEFT JOIN credit.open_on(credit.today()) o ON o.key = b.id::text
  LEFT JOIN credit.open_now n ON n.key = b.id::text
 WHERE COALESCE(o.open_amount, 0) <> b.residual OR COALESCE(n.open_amount, 0) <> b.residual;
INSERT INTO erp.seen
SELECT look_at_bills.what || ': statement', format('%s, ERP %s', s.balance, b.residual)
  FROM (SELECT customer, sum(residual) AS residual FROM erp.bills GROUP BY 1) b
  LEFT JOIN LATERAL (SELECT sum(x.debit - x.credit) AS balance FROM credit.account_statement(b.customer::text) x) s ON true
 WHERE COALESCE(s.balance, 0) <> b.residual
$$;
DO $$
BEGIN
  FOR i IN 1 .. 200 LOOP
    CASE floor(random() * 4)
      WHEN 0 THEN UPDATE erp.bills SET residual = round((random() * total)::numeric, 2), settled = NULL WHERE id = 1 + i % 12;
      WHEN 1 THEN UPDATE erp.bills SET residual = 0, settled = credit.today() - floor(random() * 10)::int WHERE id = 1 + i % 12;
      WHEN 2 THEN UPDATE erp.bills SET residual = total, settled = NULL WHERE id = 1 + i % 12;
      ELSE
        DELETE FROM erp.bills WHERE id = 1 + i % 12;
        INSERT INTO erp.bills VALUES (1 + i % 12, 1 + (1 + i % 12) % 3, 100 + i, 50, credit.today() - i, NULL);
    END CASE;
    CALL erp.look_at_bills('residual, step ' || i);
  END LOOP;
END $$;
SELECT erp.nothing_seen('200 steps with residuals');
-- a customer credit of the ERP, as a negative residual
INSERT INTO erp.bills VALUES (20, 1, -30, -30, credit.today(), NULL);
SELECT is((SELECT unapplied FROM credit.exposure WHERE customer = '1'), -30::numeric, 'a negative residual is unapplied');
SELECT is((SELECT a.credits FROM credit.customer_aging a WHERE customer = '1'), -30::numeric, 'and stands among the credits');
SELECT credit.detach('erp.bills');

-- 3. Lines of a ledger, debit less credit, and applications between lines
CREATE TABLE erp.lines (id int PRIMARY KEY, customer int, amount numeric, day date);
CREATE TABLE erp.matches (id int PRIMARY KEY, debit int, credit int, amount numeric, day date);
SELECT credit.attach('erp.lines', 'receivable', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day');
SELECT credit.attach('erp.matches', 'application', key => 'id', applies_to => 'debit', applies_to_kind => 'receivable',
	payment => 'credit', payment_kind => 'receivable', amount => 'amount', document_date => 'day');
CREATE FUNCTION erp.truth_of_lines(on_day date) RETURNS TABLE (key text, customer text, open_amount numeric) LANGUAGE sql AS $$
WITH line AS (SELECT l.* FROM erp.lines l WHERE l.day <= on_day),
matched AS (SELECT m.* FROM erp.matches m JOIN line d ON d.id = m.debit JOIN line c ON c.id = m.credit WHERE m.day <= on_day)
SELECT q.* FROM
  (SELECT l.id::text, l.customer::text, l.amount - COALESCE((SELECT sum(m.amount) FROM matched m WHERE m.debit = l.id), 0)
          + COALESCE((SELECT sum(m.amount) FROM matched m WHERE m.credit = l.id), 0) AS open_amount
     FROM line l) q WHERE q.open_amount <> 0
$$;
CREATE PROCEDURE erp.look_at_lines(what text, on_day date) LANGUAGE sql AS $$
INSERT INTO erp.seen
SELECT what, format('%s: ledger %s, ERP %s', COALESCE(o.key, t.key), o.open_amount, t.open_amount)
  FROM credit.open_on(on_day) o FULL JOIN erp.truth_of_lines(on_day) t ON t.key = o.key
 WHERE o.open_amount IS DISTINCT FROM t.open_amount;
INSERT INTO erp.seen
SELECT what || ': now', format('%s: ledger %s, ERP %s', COALESCE(o.key, t.key), o.open_amount, t.open_amount)
  FROM credit.open_now o FULL JOIN erp.truth_of_lines(credit.today()) t ON t.key = o.key
 WHERE o.open_amount IS DISTINCT FROM t.open_amount;
INSERT INTO erp.seen
SELECT what || ': exposure', format('%s: %s, ERP %s', e.customer, e.total, t.total)
  FROM credit.exposure e
  JOIN (SELECT customer, sum(open_amount) AS total FROM erp.truth_of_lines(credit.today()) GROUP BY 1) t ON t.customer = e.customer
 WHERE t.total <> e.total
$$;
DO $$
DECLARE
  n int;
BEGIN
  FOR i IN 1 .. 300 LOOP
    n := 1 + floor(random() * 20);
    CASE floor(random() * 5)
      WHEN 0, 1 THEN INSERT INTO erp.lines VALUES (n, 1 + n % 3, CASE WHEN n % 2 = 0 THEN 1 ELSE -1 END * erp.some_amount(), credit.today() - floor(random() * 100)::int)
        ON CONFLICT (id) DO UPDATE SET amount = excluded.amount;
      WHEN 2, 3 THEN INSERT INTO erp.matches VALUES (n, 2 * (1 + floor(random() * 10)), 1 + 2 * floor(random() * 10), erp.some_amount() / 3, credit.today() - floor(random() * 100)::int)
        ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, debit = excluded.debit;
      ELSE NULL;
    END CASE;
    CALL erp.look_at_lines('lines, step ' || i, credit.today() - floor(random() * 100)::int);
  END LOOP;
END $$;
SELECT erp.nothing_seen('300 steps with lines and matches');
SELECT cmp_ok((SELECT count(*) FROM credit.settlement t JOIN credit.source s USING (source_id) WHERE s.name = 'erp.lines'), '>', 30::bigint, 'many were matched');
SELECT is((SELECT string_agg(DISTINCT rule, ' ') FROM credit.settlement_rule), 'applied', 'by rule applied');
-- who attaches the applications anew finds all days as they were
CREATE TABLE erp.before_detach AS
SELECT n, o.key, o.open_amount FROM generate_series(0, 120) n, credit.open_on(credit.today() - n) o;
SELECT credit.detach('erp.matches');
INSERT INTO erp.seen
SELECT 'without matches', format('%s days ago, %s: %s', n, l.id, o.open_amount)
  FROM generate_series(0, 120, 10) n
  JOIN erp.lines l ON l.day <= credit.today() - n
  LEFT JOIN LATERAL credit.open_on(credit.today() - n) o ON o.key = l.id::text
 WHERE o.open_amount IS DISTINCT FROM l.amount;
SELECT credit.attach('erp.matches', 'application', key => 'id', applies_to => 'debit', applies_to_kind => 'receivable',
	payment => 'credit', payment_kind => 'receivable', amount => 'amount', document_date => 'day');
SELECT erp.nothing_seen('a source that is detached has never said anything');
SELECT results_eq('SELECT n, o.key, o.open_amount FROM generate_series(0, 120) n, credit.open_on(credit.today() - n) o ORDER BY 1, 2',
	'SELECT * FROM erp.before_detach ORDER BY 1, 2', 'attached anew, it says what it said, of every day');
-- what stands against each other remains what it is in sum
DELETE FROM erp.matches;
CALL erp.look_at_lines('taken back', credit.today());
SELECT erp.nothing_seen('all matches taken back: everything is open again');
SELECT credit.detach('erp.matches');
SELECT credit.detach('erp.lines');

-- 4. Nobody says what is paid: equal amounts first, then the oldest due
CREATE TABLE erp.debts (id int PRIMARY KEY, customer int, amount numeric, due date);
CREATE TABLE erp.cash (id int PRIMARY KEY, customer int, amount numeric, day date);
SELECT credit.attach('erp.debts', 'invoice', key => 'id', customer => 'customer', amount => 'amount', document_date => 'due', due_date => 'due');
SELECT credit.attach('erp.cash', 'payment', key => 'id', customer => 'customer', amount => 'amount', document_date => 'day');
-- The same allocation, payment by payment.
CREATE FUNCTION erp.allocate(on_day date) RETURNS TABLE (key text, open_amount numeric) LANGUAGE plpgsql AS $$
DECLARE
  p record;
  d record;
  rest numeric;
BEGIN
  CREATE TEMP TABLE debt ON COMMIT DROP AS SELECT id, customer, amount, amount AS open, due FROM erp.debts WHERE due <= on_day;
  CREATE TEMP TABLE money ON COMMIT DROP AS SELECT id, customer, amount, amount AS open, day FROM erp.cash WHERE day <= on_day;
  FOR p IN SELECT * FROM money ORDER BY day, id::text COLLATE "C" LOOP
    SELECT * INTO d FROM debt x WHERE x.customer = p.customer AND x.open = p.amount AND x.open = x.amount
      ORDER BY x.due, x.id::text COLLATE "C" LIMIT 1;
    IF FOUND THEN
      UPDATE debt SET open = 0 WHERE id = d.id;
      UPDATE money SET open = 0 WHERE id = p.id;
    END IF;
  END LOOP;
  FOR p IN SELECT * FROM money WHERE open > 0 ORDER BY day, id::text COLLATE "C" LOOP
    rest := p.open;
    FOR d IN SELECT * FROM debt x WHERE x.customer = p.customer AND x.open > 0 ORDER BY x.due, x.id::text COLLATE "C" LOOP
      EXIT WHEN rest = 0;
      UPDATE debt SET open = open - LEAST(rest, d.open) WHERE id = d.id;
      rest := rest - LEAST(rest, d.open);
    END LOOP;
    UPDATE money SET open = rest WHERE id = p.id;
  END LOOP;
  RETURN QUERY SELECT 'd' || id, open FROM debt WHERE open <> 0 UNION ALL SELECT 'c' || id, -open FROM money WHERE open <> 0;
  DROP TABLE debt, money;
END
$$;
DO $$
DECLARE
  d date;
BEGIN
  FOR i IN 1 .. 80 LOOP
    IF random() < 0.55 THEN
      INSERT INTO erp.debts VALUES (i, 1 + i % 2, 10 * (1 + floor(random() * 5)), credit.today() - floor(random() * 100)::int);
    ELSE
      INSERT INTO erp.cash VALUES (i, 1 + i % 2, 5 * (1 + floor(random() * 10)), credit.today() - floor(random() * 100)::int);
    END IF;
    d := credit.today() - CASE WHEN i % 2 = 0 THEN 0 ELSE floor(random() * 90)::int END;
    INSERT INTO erp.seen
    SELECT format('allocation, step %s, %s', i, d), format('%s: ledger %s, by hand %s', COALESCE(o.key, t.key), o.open_amount, t.open_amount)
      FROM (SELECT CASE a.kind WHEN 'payment' THEN 'c' ELSE 'd' END || a.key AS key, a.open_amount FROM credit.allocated_on(d) a) o
      FULL JOIN erp.allocate(d) t ON t.key = o.key
     WHERE o.open_amount IS DISTINCT FROM t.open_amount;
    INSERT INTO erp.seen
    SELECT 'total', format('%s %s', a.total, e.total) FROM credit.customer_aging a JOIN credit.exposure e USING (customer)
     WHERE a.total <> e.total;
  END LOOP;
END $$;
SELECT erp.nothing_seen('allocation equals that by hand, on any day');
SELECT is((SELECT string_agg(DISTINCT rule, ' ') FROM credit.settlement_rule), 'allocated', 'by rule allocated');
SELECT cmp_ok((SELECT count(*) FROM credit.open_items), '<', (SELECT count(*) FROM credit.open_now), 'some were paid');
SELECT credit.detach('erp.debts');
SELECT credit.detach('erp.cash');

-- 5. A day of settlement, and nothing else
CREATE TABLE erp.settled (id int PRIMARY KEY, customer int, total numeric, day date, settled date);
INSERT INTO erp.settled SELECT i, 1, i, credit.today() - 100 + i, CASE WHEN i % 3 > 0 THEN credit.today() - i % 40 END FROM generate_series(1, 90) i;
SELECT credit.attach('erp.settled', 'invoice', key => 'id', customer => 'customer', amount => 'total', document_date => 'day', settled_on => 'settled');
INSERT INTO erp.settled SELECT i, 1, i, credit.today() - 190 + i, CASE WHEN i % 3 > 0 THEN credit.today() - i % 40 END FROM generate_series(91, 180) i;
UPDATE erp.settled SET settled = credit.today() - 5 WHERE id % 9 = 0;
INSERT INTO erp.seen
SELECT format('settled_on, %s days ago', n), format('ledger %s, ERP %s', o.sum, t.sum)
  FROM generate_series(0, 120) n
 CROSS JOIN LATERAL (SELECT sum(x.open_amount) FROM credit.open_on(credit.today() - n) x) o
 CROSS JOIN LATERAL (SELECT sum(x.total) FROM erp.settled x WHERE x.day <= credit.today() - n AND (x.settled IS NULL OR x.settled > credit.today() - n)) t
 WHERE o.sum IS DISTINCT FROM t.sum;
SELECT erp.nothing_seen('settled_on alone: every day of 120');
UPDATE erp.settled SET settled = NULL WHERE id % 18 = 0;
SELECT is((SELECT sum(open_amount) FROM credit.open_now), (SELECT sum(total) FROM erp.settled WHERE settled IS NULL), 'taken back: open again');
SELECT is((SELECT sum(open_amount) FROM credit.open_on(credit.today())), (SELECT sum(total) FROM erp.settled WHERE settled IS NULL), 'in settlements too');

SELECT * FROM finish();
ROLLBACK;

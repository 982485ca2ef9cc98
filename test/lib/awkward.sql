/*
 * awkward.sql: an ERP of the awkward kind, views over it, and the truth.
 *
 * To be loaded once, by a superuser, into a database with the extension.
 *
 *     erp.*       the ERP: tables, triggers and what its application does,
 *                 as the statements it sends; all owned by role erp_app, which
 *                 is no superuser and has no right on schema credit
 *     mapping.*   what a DBA makes of it: views, attach, depend
 *     awkward.*   the truth, recomputed from the tables of the ERP without
 *                 any view of the mapping, and a walk through the business
 *
 * What is awkward about it: the total of a sale is NULL or 0 at first and set
 * by a later UPDATE; the state comes in an UPDATE of its own; invoices and
 * payments are ledger lines and nothing else, and whether a line is a
 * receivable says the type of its account; how much of a sale was invoiced
 * says a text ('sale.line,4711'); a table has a dash in its name; quantities
 * are float8; triggers update the row they fire for; deletes cascade; a line
 * is open or reconciled, and what reconciles it can be taken back.
 */
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'erp_app') THEN
    CREATE ROLE erp_app LOGIN;
  END IF;
END
$$;
CREATE SCHEMA erp AUTHORIZATION erp_app;
SET ROLE erp_app;

-- 1. The tables of the ERP

CREATE TABLE erp.currency (id int PRIMARY KEY, code text NOT NULL UNIQUE, digits int NOT NULL);
-- units of the currency for one EUR, from a day on
CREATE TABLE erp.currency_rate (id serial PRIMARY KEY, currency int NOT NULL REFERENCES erp.currency,
  day date NOT NULL, rate numeric NOT NULL, UNIQUE (currency, day));
CREATE TABLE erp.company (id int PRIMARY KEY, name text NOT NULL, currency int NOT NULL REFERENCES erp.currency);
CREATE TABLE erp.party (id int PRIMARY KEY, name text NOT NULL, replaced_by int REFERENCES erp.party,
  receivable int NOT NULL);  -- account of each company, without its number
CREATE TABLE erp.party_limit (id serial PRIMARY KEY, party int NOT NULL REFERENCES erp.party,
  company int NOT NULL REFERENCES erp.company, amount numeric, UNIQUE (party, company));
CREATE TABLE erp.account_type (id int PRIMARY KEY, name text NOT NULL, receivable boolean NOT NULL);
CREATE TABLE erp.account (id int PRIMARY KEY, company int NOT NULL REFERENCES erp.company,
  type int NOT NULL REFERENCES erp.account_type);

CREATE TABLE erp.sale (id bigserial PRIMARY KEY, number text, company int NOT NULL REFERENCES erp.company,
  party int REFERENCES erp.party, invoice_party int REFERENCES erp.party,
  currency int NOT NULL REFERENCES erp.currency, sale_date date NOT NULL,
  state text NOT NULL DEFAULT 'draft', total_cache numeric, comment text, writes int NOT NULL DEFAULT 0);
CREATE INDEX ON erp.sale (party);
CREATE TABLE erp.sale_line (id bigserial PRIMARY KEY, sale bigint NOT NULL REFERENCES erp.sale ON DELETE CASCADE,
  quantity float8 NOT NULL, unit_price numeric NOT NULL, tax numeric NOT NULL DEFAULT 0, amount numeric);
CREATE INDEX ON erp.sale_line (sale);
CREATE TABLE erp.stock_move (id bigserial PRIMARY KEY, quantity float8 NOT NULL,
  state text NOT NULL DEFAULT 'draft', effective_date date);
CREATE TABLE erp."sale_line-stock_move" (line bigint NOT NULL REFERENCES erp.sale_line ON DELETE CASCADE,
  move bigint NOT NULL UNIQUE REFERENCES erp.stock_move ON DELETE CASCADE, PRIMARY KEY (line, move));

CREATE TABLE erp.move (id bigserial PRIMARY KEY, number text, company int NOT NULL REFERENCES erp.company,
  date date NOT NULL, state text NOT NULL DEFAULT 'draft');
CREATE TABLE erp.reconciliation (id bigserial PRIMARY KEY, date date NOT NULL);
CREATE TABLE erp.move_line (id bigserial PRIMARY KEY, move bigint NOT NULL REFERENCES erp.move ON DELETE CASCADE,
  account int NOT NULL REFERENCES erp.account, party int REFERENCES erp.party,
  debit numeric NOT NULL DEFAULT 0, credit numeric NOT NULL DEFAULT 0,
  second_currency int REFERENCES erp.currency, amount_second_currency numeric,
  maturity_date date, reconciliation bigint REFERENCES erp.reconciliation ON DELETE SET NULL);
CREATE INDEX ON erp.move_line (move);
CREATE INDEX ON erp.move_line (party);
CREATE INDEX ON erp.move_line (reconciliation);
-- what a move of the ledger invoices, and of what: 'sale.line,4711'
CREATE TABLE erp.bill_line (id bigserial PRIMARY KEY, move bigint NOT NULL REFERENCES erp.move ON DELETE CASCADE,
  origin text, quantity float8 NOT NULL, unit_price numeric NOT NULL, tax numeric NOT NULL DEFAULT 0);
CREATE INDEX ON erp.bill_line (move);
CREATE INDEX ON erp.bill_line (origin);
-- nothing of it concerns anybody's credit
CREATE TABLE erp.log (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), what text);

-- Triggers that update the row they fire for.
CREATE FUNCTION erp.sale_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale SET number = COALESCE(number, 'S' || id), writes = writes + 1 WHERE id = NEW.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER sale_inserted AFTER INSERT ON erp.sale
  FOR EACH ROW EXECUTE FUNCTION erp.sale_written();
CREATE TRIGGER sale_updated AFTER UPDATE ON erp.sale
  FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION erp.sale_written();
CREATE FUNCTION erp.line_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale_line l
     SET amount = (SELECT round(l.quantity::numeric * l.unit_price * (1 + l.tax), c.digits)
                     FROM erp.sale s JOIN erp.currency c ON c.id = s.currency WHERE s.id = l.sale)
   WHERE l.id = NEW.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER line_inserted AFTER INSERT ON erp.sale_line
  FOR EACH ROW EXECUTE FUNCTION erp.line_written();
CREATE TRIGGER line_updated AFTER UPDATE ON erp.sale_line
  FOR EACH ROW WHEN ((OLD.quantity, OLD.unit_price, OLD.tax) IS DISTINCT FROM (NEW.quantity, NEW.unit_price, NEW.tax))
  EXECUTE FUNCTION erp.line_written();

-- Companies in EUR and in USD, sales in four currencies, six customers.
INSERT INTO erp.currency VALUES (1, 'EUR', 2), (2, 'USD', 2), (3, 'GBP', 2), (4, 'JPY', 0);
INSERT INTO erp.currency_rate (currency, day, rate)
SELECT c.id, d.day, (ARRAY[1, 1.0837, 0.8525, 164.04])[c.id] + c.id * (d.day - current_date) * 0.0001
  FROM erp.currency c, (SELECT current_date - n AS day FROM generate_series(0, 90) n) d WHERE c.id > 1;
INSERT INTO erp.company VALUES (1, 'Works', 1), (2, 'Overseas', 2);
INSERT INTO erp.party SELECT n, 'Party ' || n, NULL, CASE WHEN n <= 2 THEN 5 ELSE 1 END FROM generate_series(1, 6) n;
INSERT INTO erp.party_limit (party, company, amount)
SELECT p.id, c.id, CASE WHEN p.id <= 2 THEN 1200 ELSE 1000000 END FROM erp.party p, erp.company c;
INSERT INTO erp.account_type VALUES (1, 'receivable', true), (2, 'revenue', false), (3, 'bank', false), (4, 'suspended', true),
  (5, 'collateral', true);
INSERT INTO erp.account SELECT c.id * 10 + t.id, c.id, t.id FROM erp.company c, erp.account_type t;

-- 2. What the application does, as the statements it sends

-- A sale: the header without a total, the lines, the total.
CREATE FUNCTION erp.create_sale(company int, party int, invoice_party int, currency int, day date,
                                quantities float8[], price numeric, tax numeric) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  sale_id bigint;
BEGIN
  INSERT INTO erp.sale (company, party, invoice_party, currency, sale_date, total_cache)
  VALUES (company, party, invoice_party, currency, day, CASE WHEN price > 50 THEN 0 END)
  RETURNING id INTO sale_id;
  INSERT INTO erp.sale_line (sale, quantity, unit_price, tax)
  SELECT sale_id, q, price, create_sale.tax FROM unnest(quantities) q;
  CALL erp.total(sale_id);
  RETURN sale_id;
END
$$;
CREATE PROCEDURE erp.total(sale_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale SET total_cache = (SELECT COALESCE(sum(l.amount), 0) FROM erp.sale_line l WHERE l.sale = sale_id)
   WHERE id = sale_id;
END
$$;
CREATE PROCEDURE erp.confirm(sale_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM erp.sale WHERE id = sale_id FOR UPDATE NOWAIT;
  UPDATE erp.sale SET comment = 'quoted' WHERE id = sale_id;
  UPDATE erp.sale SET state = 'confirmed' WHERE id = sale_id;
  UPDATE erp.sale SET state = 'processing' WHERE id = sale_id;
END
$$;
-- The quantities change, the total is set to NULL and then to the new one.
CREATE PROCEDURE erp.amend(sale_id bigint, factor float8, price_factor numeric DEFAULT 1) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale_line SET quantity = quantity * factor, unit_price = round(unit_price * price_factor, 2)
   WHERE sale = sale_id;
  UPDATE erp.sale SET total_cache = NULL WHERE id = sale_id;
  CALL erp.total(sale_id);
END
$$;
-- Back to draft, one line less and another one more, and on.
CREATE PROCEDURE erp.rework(sale_id bigint, quantity float8) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale SET state = 'draft' WHERE id = sale_id;
  DELETE FROM erp.sale_line WHERE id = (SELECT min(l.id) FROM erp.sale_line l WHERE l.sale = sale_id);
  INSERT INTO erp.sale_line (sale, quantity, unit_price) VALUES (sale_id, quantity, 19.90);
  CALL erp.total(sale_id);
  CALL erp.confirm(sale_id);
END
$$;
-- The same share of every line goes out.
CREATE PROCEDURE erp.deliver(sale_id bigint, share float8, day date) LANGUAGE plpgsql AS $$
DECLARE
  line erp.sale_line%ROWTYPE;
  moves bigint[] := '{}';
  new_move bigint;
BEGIN
  FOR line IN SELECT * FROM erp.sale_line l WHERE l.sale = sale_id ORDER BY l.id LOOP
    INSERT INTO erp.stock_move (quantity) VALUES (line.quantity * share) RETURNING id INTO new_move;
    INSERT INTO erp."sale_line-stock_move" VALUES (line.id, new_move);
    moves := moves || new_move;
  END LOOP;
  UPDATE erp.stock_move SET state = 'assigned' WHERE id = ANY (moves);
  UPDATE erp.stock_move SET state = 'done', effective_date = day WHERE id = ANY (moves);
END
$$;
-- What was sent comes back.
CREATE PROCEDURE erp.take_back(sale_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.stock_move m SET state = 'cancelled'
    FROM erp."sale_line-stock_move" r JOIN erp.sale_line l ON l.id = r.line
   WHERE l.sale = sale_id AND r.move = m.id;
END
$$;
-- One move of the ledger for one or more sales of a company and currency, in one
-- or two instalments. A share below 0 is a refund.
CREATE FUNCTION erp.invoice(sales bigint[], share float8, day date, instalments int DEFAULT 1) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  move_id bigint;
  head erp.sale%ROWTYPE;
  own int;
  value numeric;
  part numeric;
  rate numeric;
  digits int;
BEGIN
  UPDATE erp.sale SET comment = 'invoiced' WHERE id = ANY (sales);
  SELECT * INTO STRICT head FROM erp.sale s WHERE s.id = sales[1];
  SELECT c.currency INTO STRICT own FROM erp.company c WHERE c.id = head.company;
  SELECT c.digits INTO STRICT digits FROM erp.currency c WHERE c.id = head.currency;
  SELECT COALESCE((SELECT r.rate FROM erp.currency_rate r WHERE r.currency = own AND r.day = invoice.day), 1) /
         COALESCE((SELECT r.rate FROM erp.currency_rate r WHERE r.currency = head.currency AND r.day = invoice.day), 1) INTO rate;
  INSERT INTO erp.move (company, date) VALUES (head.company, day) RETURNING id INTO move_id;
  INSERT INTO erp.bill_line (move, origin, quantity, unit_price, tax)
  SELECT move_id, 'sale.line,' || l.id, l.quantity * share, l.unit_price, l.tax
    FROM erp.sale_line l WHERE l.sale = ANY (sales);
  SELECT COALESCE(sum(round(b.quantity::numeric * b.unit_price * (1 + b.tax), digits)), 0) INTO value
    FROM erp.bill_line b WHERE b.move = move_id;
  INSERT INTO erp.move_line (move, account, credit) VALUES (move_id, head.company * 10 + 2, round(value * rate, 2));
  FOR i IN 1 .. instalments LOOP
    part := CASE WHEN i = instalments THEN value - (i - 1) * round(value / instalments, digits)
                 ELSE round(value / instalments, digits) END;
    INSERT INTO erp.move_line (move, account, party, debit, credit, second_currency, amount_second_currency, maturity_date)
    VALUES (move_id, head.company * 10 + COALESCE((SELECT p.receivable FROM erp.party p WHERE p.id = COALESCE(head.invoice_party, head.party)), 1),
            COALESCE(head.invoice_party, head.party),
            GREATEST(CASE WHEN own = head.currency THEN part ELSE round(part * rate, 2) END, 0),
            GREATEST(-CASE WHEN own = head.currency THEN part ELSE round(part * rate, 2) END, 0),
            NULLIF(head.currency, own), CASE WHEN own <> head.currency THEN part END, day + 30 * i);
  END LOOP;
  UPDATE erp.move SET state = 'posted', number = 'M' || id WHERE id = move_id;
  -- a few statements later: all of it was invoiced
  UPDATE erp.sale s SET state = 'done'
   WHERE s.id = ANY (sales) AND s.state = 'processing'
     AND NOT EXISTS
         (SELECT FROM erp.sale_line l
           WHERE l.sale = s.id
             AND l.quantity > COALESCE((SELECT sum(b.quantity) FROM erp.bill_line b
                                         WHERE b.origin = 'sale.line,' || l.id), 0) + 0.000001);
  RETURN move_id;
END
$$;
-- Money comes in, and is not told what for.
CREATE FUNCTION erp.pay(company int, party int, currency int, value numeric, day date) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  move_id bigint;
  line_id bigint;
  own int;
BEGIN
  SELECT c.currency INTO STRICT own FROM erp.company c WHERE c.id = pay.company;
  INSERT INTO erp.move (company, date) VALUES (company, day) RETURNING id INTO move_id;
  INSERT INTO erp.move_line (move, account, debit) VALUES (move_id, company * 10 + 3, value);
  INSERT INTO erp.move_line (move, account, party, credit, second_currency, amount_second_currency)
  VALUES (move_id, company * 10 + (SELECT p.receivable FROM erp.party p WHERE p.id = party), party, value, NULLIF(currency, own), CASE WHEN own <> currency THEN -value END)
  RETURNING id INTO line_id;
  UPDATE erp.move SET state = 'posted', number = 'B' || id WHERE id = move_id;
  RETURN line_id;
END
$$;
-- Lines that add up to nothing are reconciled; nobody else may meanwhile.
CREATE FUNCTION erp.reconcile(lines bigint[], day date) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  new_id bigint;
BEGIN
  LOCK TABLE erp.reconciliation IN EXCLUSIVE MODE NOWAIT;
  INSERT INTO erp.reconciliation (date) VALUES (day) RETURNING id INTO new_id;
  UPDATE erp.move_line SET reconciliation = new_id WHERE id = ANY (lines);
  RETURN new_id;
END
$$;
-- The lines lose it by their foreign key, or are written first.
CREATE PROCEDURE erp.unreconcile(which bigint, by_cascade boolean) LANGUAGE plpgsql AS $$
BEGIN
  IF NOT by_cascade THEN
    UPDATE erp.move_line SET reconciliation = NULL WHERE reconciliation = which;
  END IF;
  DELETE FROM erp.reconciliation WHERE id = which;
END
$$;
CREATE PROCEDURE erp.cancel(sale_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale SET state = 'cancelled' WHERE id = sale_id;
END
$$;
-- A move of the ledger is taken out of it; its lines go with it.
CREATE PROCEDURE erp.delete_move(move_id bigint) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.move SET state = 'draft' WHERE id = move_id;
  DELETE FROM erp.move WHERE id = move_id;
END
$$;
-- Everything of one customer becomes another's.
CREATE PROCEDURE erp.merge(old_party int, new_party int) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE erp.sale SET party = new_party WHERE party = old_party;
  UPDATE erp.sale SET invoice_party = new_party WHERE invoice_party = old_party;
  UPDATE erp.move_line SET party = new_party WHERE party = old_party;
  UPDATE erp.party SET replaced_by = new_party WHERE id = old_party;
END
$$;
RESET ROLE;

-- 3. What the DBA makes of it

CREATE SCHEMA mapping;

CREATE VIEW mapping.customer AS
SELECT p.party, p.company, x.name, p.amount AS credit_limit, u.code AS currency
  FROM erp.party_limit p
  JOIN erp.party x ON x.id = p.party
  JOIN erp.company c ON c.id = p.company
  JOIN erp.currency u ON u.id = c.currency;

CREATE VIEW mapping.sale AS
SELECT s.id, s.number, s.company, coalesce(s.invoice_party, s.party) AS customer, u.code AS currency,
       s.total_cache AS amount, s.sale_date, s.state
  FROM erp.sale s
  JOIN erp.currency u ON u.id = s.currency;

CREATE VIEW mapping.delivery AS
SELECT m.id, l.sale, s.company, coalesce(s.invoice_party, s.party) AS customer, u.code AS currency,
       round(m.quantity::numeric * l.unit_price * (1 + l.tax), u.digits) AS amount, m.effective_date, m.state
  FROM erp.stock_move m
  JOIN erp."sale_line-stock_move" r ON r.move = m.id
  JOIN erp.sale_line l ON l.id = r.line
  JOIN erp.sale s ON s.id = l.sale
  JOIN erp.currency u ON u.id = s.currency;

-- All lines, so that the ledger knows of those that are not ours yet.
CREATE VIEW mapping.receivable AS
SELECT l.id, m.company, l.party, coalesce(su.code, cu.code) AS currency,
       coalesce(l.amount_second_currency, l.debit - l.credit) AS amount,
       CASE WHEN l.reconciliation IS NULL THEN coalesce(l.amount_second_currency, l.debit - l.credit) ELSE 0 END AS residual,
       r.date AS reconciled_on, m.date, l.maturity_date, m.number, m.state, t.receivable
  FROM erp.move_line l
  JOIN erp.account a ON a.id = l.account
  JOIN erp.account_type t ON t.id = a.type
  JOIN erp.move m ON m.id = l.move
  JOIN erp.company c ON c.id = m.company
  JOIN erp.currency cu ON cu.id = c.currency
  LEFT JOIN erp.currency su ON su.id = l.second_currency
  LEFT JOIN erp.reconciliation r ON r.id = l.reconciliation;

-- The first receivable line of a move stands for all of it: they come to count
-- in one statement. The line of the sale is found by its key, which is in the text:
-- comparing texts would read all lines. Lines of the ledger that are nobody's
-- (revenue, tax) need not be looked at.
CREATE VIEW mapping.billed AS
SELECT b.id, l.sale, f.line, round(b.quantity::numeric * b.unit_price * (1 + b.tax), u.digits) AS amount
  FROM erp.bill_line b
  JOIN erp.sale_line l ON l.id = CASE WHEN b.origin LIKE 'sale.line,%' THEN split_part(b.origin, ',', 2)::bigint END
  JOIN erp.sale s ON s.id = l.sale
  JOIN erp.currency u ON u.id = s.currency
  JOIN LATERAL (SELECT min(x.id) AS line FROM erp.move_line x
                  JOIN erp.account a ON a.id = x.account
                  JOIN erp.account_type t ON t.id = a.type AND t.receivable
                 WHERE x.move = b.move AND x.party IS NOT NULL) f ON f.line IS NOT NULL;

-- Another way to map it: an order is what was not invoiced of it yet.
CREATE VIEW mapping.rest AS
SELECT s.id, s.number, s.company, coalesce(s.invoice_party, s.party) AS customer, u.code AS currency,
       greatest(s.total_cache -
                coalesce((SELECT sum(round(b.quantity::numeric * b.unit_price * (1 + b.tax), u.digits))
                            FROM erp.sale_line l
                            JOIN erp.bill_line b ON b.origin = 'sale.line,' || l.id
                            JOIN erp.move m ON m.id = b.move AND m.state = 'posted'
                           WHERE l.sale = s.id), 0), 0) AS amount,
       s.sale_date, s.state
  FROM erp.sale s
  JOIN erp.currency u ON u.id = s.currency;

-- The rates that count; to be run after each change, as a job would.
CREATE PROCEDURE mapping.load_rates() LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO credit.exchange_rate AS r (from_currency, to_currency, valid_on, rate, source)
  SELECT 'EUR', u.code, e.day, e.rate, 'ERP'
    FROM erp.currency_rate e JOIN erp.currency u ON u.id = e.currency
  ON CONFLICT ON CONSTRAINT exchange_rate_pkey
  DO UPDATE SET rate = excluded.rate, source = excluded.source;
END
$$;

-- by_stage: orders, deliveries and what was invoiced of which; else the rest.
CREATE PROCEDURE mapping.attach(by_stage boolean DEFAULT true)
LANGUAGE plpgsql
SET client_min_messages = warning
AS $$
BEGIN
  PERFORM credit.set('currency', 'EUR');
  CALL mapping.load_rates();

  PERFORM credit.attach('mapping.customer', 'customer', key => 'party', segment => 'company',
    name => 'name', credit_limit => 'credit_limit', currency => 'currency');
  PERFORM credit.depend('mapping.customer', 'erp.party_limit', 'SELECT party FROM changed');
  PERFORM credit.depend('mapping.customer', 'erp.party', 'SELECT id FROM changed');

  PERFORM credit.attach('mapping.receivable', 'receivable', key => 'id', customer => 'party', segment => 'company',
    currency => 'currency', amount => 'amount', open_amount => 'residual', settled_on => 'reconciled_on',
    document_date => 'date', due_date => 'maturity_date', number => 'number', counts_when => $k$receivable AND state = 'posted'$k$);
  PERFORM credit.depend('mapping.receivable', 'erp.move_line', 'SELECT id FROM changed');
  PERFORM credit.depend('mapping.receivable', 'erp.move',
    'SELECT l.id FROM changed c JOIN erp.move_line l ON l.move = c.id');
  PERFORM credit.depend('mapping.receivable', 'erp.reconciliation',
    'SELECT l.id FROM changed c JOIN erp.move_line l ON l.reconciliation = c.id');
  PERFORM credit.depend('mapping.receivable', 'erp.account',
    'SELECT l.id FROM changed c JOIN erp.move_line l ON l.account = c.id');
  PERFORM credit.depend('mapping.receivable', 'erp.account_type',
    'SELECT l.id FROM changed c JOIN erp.account a ON a.type = c.id JOIN erp.move_line l ON l.account = a.id');

  IF NOT by_stage THEN
    PERFORM credit.attach('mapping.rest', 'order', key => 'id', number => 'number', customer => 'customer',
      segment => 'company', currency => 'currency', amount => 'amount', document_date => 'sale_date',
      counts_when => $k$state IN ('confirmed', 'processing')$k$, on_breach => 'reject');
    PERFORM credit.depend('mapping.rest', 'erp.sale', 'SELECT id FROM changed');
    PERFORM credit.depend('mapping.rest', 'erp.sale_line', 'SELECT sale FROM changed');
    PERFORM credit.depend('mapping.rest', 'erp.bill_line',
      $k$SELECT l.sale FROM changed c
           JOIN erp.sale_line l ON l.id = CASE WHEN c.origin LIKE 'sale.line,%' THEN split_part(c.origin, ',', 2)::bigint END$k$);
    PERFORM credit.depend('mapping.rest', 'erp.move',
      $k$SELECT l.sale FROM changed c JOIN erp.bill_line b ON b.move = c.id
           JOIN erp.sale_line l ON l.id = CASE WHEN b.origin LIKE 'sale.line,%' THEN split_part(b.origin, ',', 2)::bigint END$k$);
    RETURN;
  END IF;

  PERFORM credit.attach('mapping.sale', 'order', key => 'id', number => 'number', customer => 'customer',
    segment => 'company', currency => 'currency', amount => 'amount', document_date => 'sale_date',
    counts_when => $k$state IN ('confirmed', 'processing')$k$, on_breach => 'reject');
  PERFORM credit.depend('mapping.sale', 'erp.sale', 'SELECT id FROM changed');

  PERFORM credit.attach('mapping.delivery', 'delivery', key => 'id', customer => 'customer',
    segment => 'company', currency => 'currency', amount => 'amount', document_date => 'effective_date',
    origin => 'sale', counts_when => $k$state = 'done'$k$, on_breach => 'reject');
  PERFORM credit.depend('mapping.delivery', 'erp.stock_move', 'SELECT id FROM changed');
  PERFORM credit.depend('mapping.delivery', 'erp."sale_line-stock_move"', 'SELECT move FROM changed');
  PERFORM credit.depend('mapping.delivery', 'erp.sale_line',
    'SELECT r.move FROM changed c JOIN erp."sale_line-stock_move" r ON r.line = c.id');
  PERFORM credit.depend('mapping.delivery', 'erp.sale',
    'SELECT r.move FROM changed c JOIN erp.sale_line l ON l.sale = c.id JOIN erp."sale_line-stock_move" r ON r.line = l.id');

  PERFORM credit.attach('mapping.billed', 'link', key => 'id', document => 'line', origin => 'sale', amount => 'amount');
  PERFORM credit.depend('mapping.billed', 'erp.bill_line', 'SELECT id FROM changed');
  PERFORM credit.depend('mapping.billed', 'erp.sale_line',
    $k$SELECT b.id FROM changed c JOIN erp.bill_line b ON b.origin = 'sale.line,' || c.id$k$);
  PERFORM credit.depend('mapping.billed', 'erp.move_line',
    'SELECT b.id FROM changed c JOIN erp.bill_line b ON b.move = c.move WHERE c.party IS NOT NULL');
  PERFORM credit.depend('mapping.billed', 'erp.account',
    'SELECT b.id FROM changed c JOIN erp.move_line l ON l.account = c.id JOIN erp.bill_line b ON b.move = l.move');
  PERFORM credit.depend('mapping.billed', 'erp.account_type',
    'SELECT b.id FROM changed c JOIN erp.account a ON a.type = c.id JOIN erp.move_line l ON l.account = a.id JOIN erp.bill_line b ON b.move = l.move');
END
$$;

-- 4. The truth

CREATE SCHEMA awkward;
CREATE TABLE awkward.mode (by_stage boolean NOT NULL);
INSERT INTO awkward.mode VALUES (true);

-- The day on which a line was first settled, as far as the ledger could know:
-- until it was taken back (today) it was, whatever has become of it.
CREATE TABLE awkward.settled (line bigint PRIMARY KEY, on_day date NOT NULL);
CREATE PROCEDURE awkward.note_settled() LANGUAGE sql SECURITY DEFINER
BEGIN ATOMIC
INSERT INTO awkward.settled
SELECT l.id, r.date
  FROM erp.move_line l
  JOIN erp.reconciliation r ON r.id = l.reconciliation
  JOIN erp.move m ON m.id = l.move AND m.state = 'posted'
 WHERE l.party IS NOT NULL
   AND (SELECT t.receivable FROM erp.account_type t WHERE t.id = (SELECT a.type FROM erp.account a WHERE a.id = l.account))
ON CONFLICT DO NOTHING;
END;

CREATE PROCEDURE awkward.attach(by_stage boolean DEFAULT true) LANGUAGE plpgsql AS $$
BEGIN
  CALL mapping.attach(by_stage);
  UPDATE awkward.mode SET by_stage = attach.by_stage;
  DELETE FROM awkward.settled;
  CALL awkward.note_settled();
END
$$;
CREATE PROCEDURE awkward.detach() LANGUAGE plpgsql AS $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT s.name FROM credit.source s ORDER BY s.source_id LOOP
    PERFORM credit.detach(name);
  END LOOP;
END
$$;

-- What each customer owes each company by currency and stage on a day.
CREATE FUNCTION awkward.truth(on_day date)
RETURNS TABLE (party int, company int, currency text, ordered numeric, delivered numeric, invoiced numeric, unapplied numeric)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH line AS
  (SELECT l.*, m.company, m.date AS move_date,
          COALESCE(l.amount_second_currency, l.debit - l.credit) AS value,
          COALESCE(l.second_currency, (SELECT c.currency FROM erp.company c WHERE c.id = m.company)) AS used_currency
     FROM erp.move_line l JOIN erp.move m ON m.id = l.move AND m.state = 'posted'
    WHERE m.date <= on_day AND l.party IS NOT NULL
      AND (SELECT t.receivable FROM erp.account_type t WHERE t.id = (SELECT a.type FROM erp.account a WHERE a.id = l.account))),
open_line AS
  (SELECT o.* FROM line o
    WHERE CASE WHEN on_day >= credit.today() THEN o.reconciliation IS NULL
               ELSE NOT EXISTS (SELECT FROM awkward.settled s WHERE s.line = o.id AND s.on_day <= truth.on_day) END),
billed AS
  (SELECT l.sale, sum(round(b.quantity::numeric * b.unit_price * (1 + b.tax), u.digits)) AS value
     FROM erp.bill_line b
     JOIN erp.sale_line l ON l.id = substr(b.origin, length('sale.line,') + 1)::bigint
     JOIN erp.sale s ON s.id = l.sale
     JOIN erp.currency u ON u.id = s.currency
    WHERE CASE WHEN (SELECT m.by_stage FROM awkward.mode m)
               THEN EXISTS (SELECT FROM line i WHERE i.move = b.move)
               ELSE EXISTS (SELECT FROM erp.move m WHERE m.id = b.move AND m.state = 'posted') END
    GROUP BY l.sale),
sent AS
  (SELECT l.sale, sum(round(m.quantity::numeric * l.unit_price * (1 + l.tax), u.digits)) AS value
     FROM erp.stock_move m
     JOIN erp."sale_line-stock_move" r ON r.move = m.id
     JOIN erp.sale_line l ON l.id = r.line
     JOIN erp.sale s ON s.id = l.sale
     JOIN erp.currency u ON u.id = s.currency
    WHERE m.state = 'done' AND m.effective_date <= on_day AND (SELECT m.by_stage FROM awkward.mode m)
    GROUP BY l.sale),
chain AS
  (SELECT COALESCE(s.invoice_party, s.party) AS party, s.company, s.currency AS used_currency,
          CASE WHEN s.state IN ('confirmed', 'processing') AND s.sale_date <= on_day THEN s.total_cache END AS a,
          COALESCE(d.value, 0) AS d, COALESCE(b.value, 0) AS i
     FROM erp.sale s LEFT JOIN sent d ON d.sale = s.id LEFT JOIN billed b ON b.sale = s.id
    WHERE COALESCE(s.invoice_party, s.party) IS NOT NULL),
value AS
  (SELECT c.party, c.company, c.used_currency, 
          GREATEST(0, c.a - CASE WHEN (SELECT m.by_stage FROM awkward.mode m) THEN GREATEST(c.d, c.i) ELSE c.i END) AS ordered,
          CASE WHEN (SELECT m.by_stage FROM awkward.mode m) AND (c.a IS NOT NULL OR c.d <> 0)
               THEN GREATEST(0, c.d - c.i) ELSE 0 END AS delivered, 0::numeric AS invoiced, 0::numeric AS unapplied FROM chain c
   UNION ALL
   SELECT o.party, o.company, o.used_currency, 0, 0, GREATEST(o.value, 0), LEAST(o.value, 0) FROM open_line o)
SELECT v.party, v.company, u.code, sum(v.ordered), sum(v.delivered), sum(v.invoiced), sum(v.unapplied)
  FROM value v JOIN erp.currency u ON u.id = v.used_currency
 GROUP BY v.party, v.company, u.code;
END;

-- Units of a currency for one EUR on a day.
CREATE FUNCTION awkward.rate(code text, on_day date) RETURNS numeric
LANGUAGE sql STABLE
RETURN round(COALESCE((SELECT r.rate FROM erp.currency_rate r JOIN erp.currency u ON u.id = r.currency
                        WHERE u.code = rate.code AND r.day = on_day), 1), 40);

-- Everything in which the ledger is not the truth of a day: by currency and
-- stage, and in all, in the currency of the company. Today: what the check goes
-- by; and nobody with little room is above his limit.
CREATE FUNCTION awkward.wrong_on(on_day date) RETURNS TABLE (what text)
LANGUAGE sql STABLE
BEGIN ATOMIC
WITH truth AS MATERIALIZED (SELECT t.party::text AS customer, t.company::text AS segment, t.* FROM awkward.truth(on_day) t),
total AS MATERIALIZED
  (SELECT t.customer, t.segment, t.party, t.company,
          round(round(sum((t.ordered + t.delivered + t.invoiced + t.unapplied) *
                          awkward.rate(u.code, on_day) / awkward.rate(t.currency, on_day)), 25), u.digits) AS total
     FROM truth t JOIN erp.company c ON c.id = t.company JOIN erp.currency u ON u.id = c.currency
    GROUP BY t.customer, t.segment, t.party, t.company, u.digits),
by_currency AS
  (SELECT e.customer, e.segment, e.currency, e.ordered, e.delivered, e.invoiced, e.unapplied
     FROM credit.exposure_by_currency e WHERE on_day = credit.today()
   UNION ALL
   SELECT e.customer, e.segment, e.currency, e.ordered, e.delivered, e.invoiced, e.unapplied
     FROM credit.exposure_by_currency_on(on_day) e WHERE on_day <> credit.today()),
exposure AS
  (SELECT e.customer, e.segment, e.total FROM credit.exposure e WHERE on_day = credit.today()
   UNION ALL
   SELECT e.customer, e.segment, e.total FROM credit.exposure_on(on_day) e WHERE on_day <> credit.today())
SELECT format('on %s: %s in %s, %s: the ERP has %s, exposure is %s', on_day, customer, segment, currency,
              (t.ordered, t.delivered, t.invoiced, t.unapplied), (e.ordered, e.delivered, e.invoiced, e.unapplied))
  FROM truth t FULL JOIN by_currency e USING (customer, segment, currency)
 WHERE (COALESCE(t.ordered, 0), COALESCE(t.delivered, 0), COALESCE(t.invoiced, 0), COALESCE(t.unapplied, 0))
       IS DISTINCT FROM (COALESCE(e.ordered, 0), COALESCE(e.delivered, 0), COALESCE(e.invoiced, 0), COALESCE(e.unapplied, 0))
UNION ALL
SELECT format('on %s: %s in %s: the ERP has %s in all, exposure is %s', on_day, customer, segment, t.total, e.total)
  FROM total t FULL JOIN exposure e USING (customer, segment)
 WHERE COALESCE(t.total, 0) IS DISTINCT FROM e.total
UNION ALL
SELECT format('%s in %s: %s is above the limit of %s', t.party, t.company, t.total, l.amount)
  FROM total t JOIN erp.party_limit l ON l.party = t.party AND l.company = t.company
 WHERE t.party <= 2 AND t.total > l.amount AND on_day = credit.today();
END;
CREATE VIEW awkward.wrong AS SELECT w.what FROM awkward.wrong_on(credit.today()) w;

-- What is open by document, and aging, against exposure.
CREATE VIEW awkward.disagreement AS
SELECT 'open_on(today): ' || o::text AS what
  FROM ((SELECT n.* FROM credit.open_on(credit.today()) n EXCEPT ALL SELECT n.* FROM credit.open_now n)
        UNION ALL
        (SELECT n.* FROM credit.open_now n EXCEPT ALL SELECT n.* FROM credit.open_on(credit.today()) n)) o
UNION ALL
SELECT format('aging of %s in %s, %s: %s, exposure %s', e.customer, e.segment, e.currency, a.total, e.invoiced + e.unapplied)
  FROM credit.exposure_by_currency e
  LEFT JOIN credit.customer_aging a ON a.customer = e.customer AND a.segment = e.segment AND a.currency = e.currency
 WHERE COALESCE(a.total, 0) <> e.invoiced + e.unapplied
UNION ALL
SELECT 'reconcile: ' || r::text FROM credit.reconcile() r;

-- 5. A walk through the business

-- Parties 1 and 2 have little room, and nothing happens to them that raises what
-- they owe without being an order or a delivery: what an invoice covers was
-- ordered, no payment is taken back, no rounding adds a cent. So they are never
-- above their limit. To the others everything happens.
-- Whoever came above it unchecked, while nothing was attached or because rates
-- have moved, is given room.
CREATE PROCEDURE awkward.make_room() LANGUAGE sql
BEGIN ATOMIC
UPDATE erp.party_limit l SET amount = GREATEST(l.amount, e.total)
  FROM credit.exposure e WHERE (e.customer, e.segment) = (l.party::text, l.company::text);
END;
CREATE FUNCTION awkward.pick(VARIADIC choices text[]) RETURNS text
LANGUAGE sql VOLATILE
RETURN choices[1 + floor(random() * array_length(choices, 1))];
CREATE FUNCTION awkward.pick_sale(VARIADIC states text[]) RETURNS erp.sale
LANGUAGE sql VOLATILE AS $$
  SELECT s.* FROM (SELECT * FROM erp.sale WHERE state = ANY (states) ORDER BY id DESC LIMIT 1 + floor(random() * 25)::int) s
   ORDER BY random() LIMIT 1
$$;
CREATE FUNCTION awkward.is_billed(sale_id bigint) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT FROM erp.sale_line l JOIN erp.bill_line b ON b.origin = 'sale.line,' || l.id WHERE l.sale = sale_id)
$$;
-- Can the ledger see it? What happens to a line that is no receivable for a
-- while, and is one again, nobody could tell.
CREATE FUNCTION awkward.is_receivable(account int) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
  SELECT t.receivable FROM erp.account a JOIN erp.account_type t ON t.id = a.type WHERE a.id = account
$$;
-- What share of a sale was invoiced.
CREATE FUNCTION awkward.billed_share(sale_id bigint) RETURNS float8
LANGUAGE sql VOLATILE AS $$
  SELECT COALESCE(max(COALESCE(b.quantity, 0) / l.quantity), 0) FROM erp.sale_line l
    LEFT JOIN LATERAL (SELECT sum(b.quantity) AS quantity FROM erp.bill_line b WHERE b.origin = 'sale.line,' || l.id) b ON true
   WHERE l.sale = sale_id AND l.quantity <> 0
$$;

CREATE TABLE awkward.kind (kind text PRIMARY KEY, weight int NOT NULL);
INSERT INTO awkward.kind VALUES ('create', 6), ('confirm', 5), ('amend', 4), ('rework', 1), ('deliver', 5), ('take back', 1),
  ('invoice', 6), ('invoice two', 2), ('refund', 2), ('part payment', 3), ('reconcile', 4), ('unreconcile', 3), ('cancel', 1),
  ('delete move', 1), ('delete sale', 1), ('post', 2), ('merge', 1), ('nobody', 3), ('mass', 1), ('account', 1), ('type', 1),
  ('limit', 1), ('other', 1);

-- Does something and says what, or nothing where there was nothing to do it to.
CREATE FUNCTION awkward.step(kind text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  sale erp.sale%ROWTYPE;
  line record;
  is_tight boolean;
  day date := current_date - floor(random() * 60)::int;
  party int := 1 + floor(random() * 6);
  share float8 := awkward.pick('1', '0.5', '0.3', '0.7')::float8;
  sales bigint[];
  id bigint;
BEGIN
  CASE kind
    WHEN 'create' THEN
      is_tight := party <= 2;
      id := erp.create_sale(1 + floor(random() * 2)::int, party,
        CASE WHEN NOT is_tight AND random() < 0.3 THEN 3 + floor(random() * 4)::int END,
        1 + floor(random() * CASE WHEN is_tight THEN 3 ELSE 4 END)::int, day,
        CASE WHEN is_tight THEN ARRAY[10, 20] ELSE (ARRAY[0.1 + 0.2, 3, 1.0 / 3, 7.25, 100])[1 + floor(random() * 2)::int : 3 + floor(random() * 3)::int] END,
        round((random() * 20 + CASE WHEN is_tight THEN 1 ELSE 45 END)::numeric, 2),
        CASE WHEN is_tight THEN 0 ELSE awkward.pick('0', '0.077', '0.19')::numeric END);
      IF random() < 0.5 THEN
        CALL erp.confirm(id);
      END IF;
      RETURN kind;
    WHEN 'merge' THEN
      CALL erp.merge(3 + floor(random() * 4)::int, 3 + floor(random() * 4)::int);
      RETURN kind;
    WHEN 'mass' THEN
      UPDATE erp.sale_line l SET unit_price = unit_price + 0.01 FROM erp.sale s WHERE s.id = l.sale AND s.state = 'draft';
      UPDATE erp.sale s SET total_cache = (SELECT sum(l.amount) FROM erp.sale_line l WHERE l.sale = s.id) WHERE s.state = 'draft';
      UPDATE erp.sale s SET state = 'cancelled' WHERE s.state = 'draft' AND s.id % 4 = 0;
      RETURN kind;
    WHEN 'account' THEN
      UPDATE erp.account a SET type = CASE a.type WHEN 1 THEN 4 ELSE 1 END WHERE a.id IN (11, 21);
      RETURN kind;
    WHEN 'type' THEN
      UPDATE erp.account_type t SET receivable = NOT receivable WHERE t.id = 4;
      RETURN kind;
    WHEN 'limit' THEN
      UPDATE erp.party_limit l SET amount = l.amount + 1 WHERE l.party > 2;
      RETURN kind;
    WHEN 'other' THEN
      INSERT INTO erp.log (what) VALUES ('something');
      UPDATE erp.sale s SET comment = 'seen' WHERE s.id % 7 = 0;
      RETURN kind;
    WHEN 'part payment', 'reconcile' THEN
      SELECT l.*, m.company, m.date, COALESCE(l.second_currency, c.currency) AS currency,
             COALESCE(l.amount_second_currency, l.debit - l.credit) AS value INTO line
        FROM erp.move_line l JOIN erp.move m ON m.id = l.move AND m.state = 'posted'
        JOIN erp.company c ON c.id = m.company
       WHERE l.reconciliation IS NULL AND l.party IS NOT NULL AND l.debit > 0 AND awkward.is_receivable(l.account) AND l.id > (SELECT max(x.id) - 120 FROM erp.move_line x)
       ORDER BY random() LIMIT 1;
      IF NOT FOUND THEN
        RETURN NULL;
      END IF;
      day := LEAST(current_date, line.date + floor(random() * 30)::int);
      IF kind = 'part payment' THEN
        PERFORM erp.pay(line.company, line.party, line.currency, trunc(line.value / 3), day);
      ELSE
        id := erp.pay(line.company, line.party, line.currency, line.value, day);
        PERFORM erp.reconcile(ARRAY[line.id, id], day);
      END IF;
      RETURN kind;
    WHEN 'unreconcile' THEN
      SELECT l.reconciliation INTO id FROM erp.move_line l
       WHERE l.reconciliation IS NOT NULL AND l.party > 2 AND awkward.is_receivable(l.account) ORDER BY random() LIMIT 1;
      IF NOT FOUND THEN
        RETURN NULL;
      END IF;
      CALL erp.unreconcile(id, random() < 0.5);
      RETURN kind;
    WHEN 'delete move', 'post' THEN
      SELECT m.* INTO line FROM erp.move m
       WHERE m.id > (SELECT max(x.id) - 60 FROM erp.move x) AND (kind = 'post' OR m.state = 'posted')
         AND NOT EXISTS (SELECT FROM erp.move_line l WHERE l.move = m.id
                            AND (l.reconciliation IS NOT NULL OR l.party <= 2 OR EXISTS (SELECT FROM awkward.settled s WHERE s.line = l.id)))
       ORDER BY m.state, random() LIMIT 1;
      IF NOT FOUND THEN
        RETURN NULL;
      ELSIF kind = 'post' THEN
        UPDATE erp.move m SET state = CASE m.state WHEN 'draft' THEN 'posted' ELSE 'draft' END WHERE m.id = line.id;
      ELSE
        CALL erp.delete_move(line.id);
      END IF;
      RETURN kind;
    ELSE
      NULL;
  END CASE;

  -- what happens to a sale
  sale := awkward.pick_sale(VARIADIC CASE kind WHEN 'confirm' THEN ARRAY['draft'] WHEN 'cancel' THEN ARRAY['draft', 'processing', 'done']
    WHEN 'delete sale' THEN ARRAY['draft', 'cancelled'] WHEN 'amend' THEN ARRAY['draft', 'processing', 'done', 'cancelled']
    WHEN 'deliver' THEN ARRAY['processing', 'done'] ELSE ARRAY['processing'] END);
  IF sale.id IS NULL THEN
    RETURN NULL;
  END IF;
  is_tight := COALESCE(sale.party, sale.invoice_party) <= 2;
  CASE kind
    WHEN 'confirm' THEN CALL erp.confirm(sale.id);
    WHEN 'cancel' THEN CALL erp.cancel(sale.id);
    WHEN 'deliver' THEN CALL erp.deliver(sale.id, share, day);
    WHEN 'take back' THEN CALL erp.take_back(sale.id);
    WHEN 'amend' THEN
      IF is_tight AND awkward.is_billed(sale.id) THEN
        RETURN NULL;
      END IF;
      CALL erp.amend(sale.id, CASE WHEN is_tight THEN 1 ELSE awkward.pick('1.1', '0.9', '2', '0.5')::float8 END,
        awkward.pick('1', '1.2', '0.8')::numeric);
    WHEN 'rework' THEN
      IF is_tight THEN
        RETURN NULL;
      END IF;
      CALL erp.rework(sale.id, share * 10);
    WHEN 'delete sale' THEN
      IF is_tight AND awkward.is_billed(sale.id) THEN
        RETURN NULL;
      END IF;
      DELETE FROM erp.sale s WHERE s.id = sale.id;
    WHEN 'nobody' THEN
      IF is_tight OR awkward.is_billed(sale.id) THEN
        RETURN NULL;
      ELSIF sale.party IS NULL THEN
        UPDATE erp.sale s SET party = 3 WHERE s.id = sale.id;
      ELSE
        UPDATE erp.sale s SET party = NULL, invoice_party = NULL WHERE s.id = sale.id;
      END IF;
    WHEN 'refund' THEN
      IF NOT awkward.is_billed(sale.id) THEN
        RETURN NULL;
      END IF;
      PERFORM erp.invoice(ARRAY[sale.id], -0.2, day);
    WHEN 'invoice' THEN
      IF is_tight THEN
        share := LEAST(share, round((1 - awkward.billed_share(sale.id))::numeric, 1)::float8);
        IF share <= 0 THEN
          RETURN NULL;
        END IF;
      END IF;
      PERFORM erp.invoice(ARRAY[sale.id], share, day, CASE WHEN random() < 0.3 THEN 2 ELSE 1 END);
    WHEN 'invoice two' THEN
      SELECT array_agg(q.id) INTO sales
        FROM (SELECT s.id FROM erp.sale s
               WHERE s.state = 'processing' AND (s.company, s.currency, s.party) = (sale.company, sale.currency, sale.party)
               ORDER BY s.id = sale.id DESC, s.id DESC LIMIT 2) q;
      IF is_tight OR sales IS NULL THEN
        RETURN NULL;
      END IF;
      PERFORM erp.invoice(sales, share, day, 2);
  END CASE;
  RETURN kind;
END
$$;

CREATE FUNCTION awkward.random_kind() RETURNS text
LANGUAGE sql VOLATILE AS $$
  SELECT k.kind FROM awkward.kind k, generate_series(1, k.weight) ORDER BY random() LIMIT 1
$$;

-- One step as the application takes it: what the ledger or a lock refuses is undone.
CREATE TABLE awkward.done (kind text, outcome text, took interval);
CREATE FUNCTION awkward.try_step(kind text DEFAULT awkward.random_kind()) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  begun timestamptz := clock_timestamp();
  outcome text;
BEGIN
  BEGIN
    outcome := CASE WHEN awkward.step(kind) IS NULL THEN 'nothing' ELSE 'done' END;
    CALL awkward.note_settled();
  EXCEPTION
    WHEN check_violation THEN outcome := 'refused';
    WHEN lock_not_available THEN outcome := 'locked';
  END;
  INSERT INTO awkward.done VALUES (kind, outcome, clock_timestamp() - begun);
  RETURN outcome;
END
$$;
GRANT USAGE ON SCHEMA awkward TO erp_app;
GRANT SELECT, INSERT ON awkward.done, awkward.kind, awkward.settled TO erp_app;

/*
 * A look after every statement of the ERP, once its own triggers and ours are
 * through; not inside of others, whose rows are not all through, and not after
 * DELETE, as triggers of what goes in cascade come after those of the statement.
 */
CREATE TABLE awkward.seen (n serial, statement text, what text);
CREATE TABLE awkward.looks (n bigint NOT NULL);
INSERT INTO awkward.looks VALUES (0);
CREATE FUNCTION awkward.look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    UPDATE awkward.looks SET n = n + 1;
    INSERT INTO awkward.seen (statement, what)
    SELECT TG_OP || ' ' || TG_TABLE_NAME, w.what FROM awkward.wrong w;
  END IF;
  RETURN NULL;
END
$$;
-- Steps in transactions of their own, of the isolation level that is the
-- default; some are undone, some come in pairs. A look after each.
CREATE PROCEDURE awkward.walk(steps int, every int DEFAULT 1) LANGUAGE plpgsql AS $$
DECLARE
  n int := 0;
  kind text;
BEGIN
  WHILE n < steps AND NOT EXISTS (SELECT FROM awkward.seen) LOOP
    n := n + 1;
    kind := awkward.random_kind();
    SET LOCAL ROLE erp_app;
    PERFORM awkward.try_step(kind);
    IF random() < 0.1 THEN
      PERFORM awkward.try_step();
    END IF;
    RESET ROLE;
    IF random() < 0.05 THEN
      ROLLBACK;
    END IF;
    IF n % every = 0 THEN
      UPDATE awkward.looks SET n = awkward.looks.n + 1;
      INSERT INTO awkward.seen (statement, what)
      SELECT kind, w.what FROM awkward.wrong w;
    END IF;
    IF n % 20 = 0 THEN
      INSERT INTO awkward.seen (statement, what)
      SELECT kind, d.what FROM awkward.disagreement d
      UNION ALL
      SELECT kind, w.what FROM generate_series(1, 3), LATERAL awkward.wrong_on(current_date - floor(random() * 70)::int - 1) w;
    END IF;
    COMMIT;
  END LOOP;
END
$$;
CREATE PROCEDURE awkward.look_at_statements(yes boolean) LANGUAGE plpgsql AS $$
DECLARE
  name text;
BEGIN
  FOR name IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'erp'::regnamespace AND c.relkind = 'r' LOOP
    EXECUTE format('DROP TRIGGER IF EXISTS zzzz_look ON erp.%I', name);
    IF yes THEN
      EXECUTE format('CREATE TRIGGER zzzz_look AFTER INSERT OR UPDATE ON erp.%I
        FOR EACH STATEMENT EXECUTE FUNCTION awkward.look()', name);
    END IF;
  END LOOP;
END
$$;

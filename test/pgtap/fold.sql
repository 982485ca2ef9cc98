-- Payment states of closed months: what views add up from them, account by
-- account and set by set, is what the rows give, to the last digit, after every
-- correction, reversal and re-assignment.
\set ECHO none
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS credit;
BEGIN;
SELECT plan(32);
CREATE SCHEMA shop;
SET search_path = shop, public;
SELECT setseed(0.3) \g /dev/null
create table shop.cust(id int primary key, terms int); insert into shop.cust select g, 30 from generate_series(1,15) g;
create table shop.inv(id int primary key, customer int, total numeric, d date, due date);
create table shop.pay(id int primary key, customer int, total numeric, d date);
create table shop.app(id int primary key, inv int, pay int, amount numeric, d date, wo bool default false);
create table shop.old(id int primary key, customer int, total numeric, d date, due date, open numeric, settled date);
insert into shop.inv select g, 1+g%15, round((random()*1000)::numeric,2)+1, current_date-(random()*500)::int, null from generate_series(1,500) g;
update shop.inv set due = d+30 where id%3<>0;
insert into shop.pay select g, 1+g%15, 0, current_date from generate_series(1,500) g;
insert into shop.app select g, g, g, total, least(current_date, d+(random()*90)::int) from shop.inv, lateral (select id g) q where id%5<>0;
insert into shop.app select 10000+id, id, id, round(total/3,2), least(current_date, d+(random()*60)::int) from shop.inv where id%5=0;
update shop.pay p set d=a.d, total=a.amount from shop.app a where a.pay=p.id;
insert into shop.old select g, 1+g%15, 100+g, current_date-(random()*700)::int, null, case when g%4=0 then 50 else 0 end, null from generate_series(1,150) g;
update shop.old set settled = least(current_date,d+(random()*60)::int) where id%3=0 and open=0;
SELECT credit.attach('shop.cust','customer',key=>'id',terms_days=>'terms') \g /dev/null
SELECT credit.attach('shop.inv','invoice',key=>'id',customer=>'customer',amount=>'total',document_date=>'d',due_date=>'due') \g /dev/null
SELECT credit.attach('shop.old','receivable',key=>'id',customer=>'customer',amount=>'total',document_date=>'d',due_date=>'due',open_amount=>'open',settled_on=>'settled') \g /dev/null
SELECT credit.attach('shop.pay','payment',key=>'id',customer=>'customer',amount=>'total',document_date=>'d') \g /dev/null
SELECT credit.attach('shop.app','application',key=>'id',applies_to=>'inv',payment=>'pay',amount=>'amount',document_date=>'d',is_write_off=>'wo') \g /dev/null
-- no profile and one of no debts are the same
CREATE FUNCTION shop.shown(m credit.payment_measures) RETURNS text LANGUAGE sql
BEGIN ATOMIC SELECT CASE WHEN m.n_paid + m.n_open > 0 THEN m::text END; END;
CREATE FUNCTION shop.differing(have text, want text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('WITH have AS (%s), want AS (%s) SELECT count(*) FROM ((SELECT * FROM have EXCEPT ALL SELECT * FROM want) UNION ALL (SELECT * FROM want EXCEPT ALL SELECT * FROM have)) d', have, want) INTO n;
	RETURN n;
END
$$;
-- what is kept, set by set and account by account, against the rows, both ways; other windows; the views against the same
CREATE FUNCTION shop.differences() RETURNS bigint LANGUAGE sql AS $$
SELECT shop.differing('SELECT account_id, currency COLLATE "C", shop.shown(by_debt), shop.shown(by_amount), n_undated FROM credit.payment_behaviour_folded()',
					  'SELECT account_id, currency COLLATE "C", shop.shown(by_debt), shop.shown(by_amount), n_undated FROM credit.behaviour_on(credit.today(), 365, 0, 90)')
	 + shop.differing('SELECT account_id, currency COLLATE "C", shop.shown(by_debt), shop.shown(by_amount), n_undated FROM credit.payment_behaviour_folded(' || d || ', 3, 45)',
					  'SELECT account_id, currency COLLATE "C", shop.shown(by_debt), shop.shown(by_amount), n_undated FROM credit.behaviour_on(credit.today(), ' || d || ', 3, 45)')
	 + shop.differing('SELECT a.account_id, b.currency COLLATE "C", shop.shown(b.by_debt), shop.shown(b.by_amount), b.n_undated FROM credit.account a CROSS JOIN LATERAL credit.behaviour_of(a.account_id, credit.today(), 365, 0, 90) b',
					  'SELECT account_id, currency COLLATE "C", shop.shown(by_debt), shop.shown(by_amount), n_undated FROM credit.behaviour_on(credit.today(), 365, 0, 90)')
	 + shop.differing('SELECT b::text FROM credit.payment_behaviour b', 'SELECT b::text FROM credit.payment_behaviour_on(credit.today()) b')
	 + shop.differing('SELECT customer, currency COLLATE "C", n_undated, n_paid, paid_amount, open_amount, median_days_late, payment_index FROM credit.payment_behaviour_on(credit.today())',
					  'SELECT a.customer, b.currency COLLATE "C", b.n_undated, COALESCE((b.by_debt).n_paid, 0), COALESCE((b.by_amount).paid_amount, 0), COALESCE((b.by_amount).open_amount, 0), (b.by_debt).median_days_late, (b.by_amount).payment_index
						 FROM credit.behaviour_on(credit.today(), 365, 0, 90) b JOIN credit.account a USING (account_id)')
  FROM (SELECT (ARRAY[1, 10, 30, 31, 90, 364, 366, 1000])[1 + floor(random() * 8)::int] AS d) w
$$;

ANALYZE credit.item, credit.settlement, credit.account, credit.month_mark;
SELECT is(shop.differences(), 0::bigint, 'before any fold');
SELECT cmp_ok(credit.fold_months(), '>', 150::bigint, 'a fold finds months');
SELECT cmp_ok((SELECT count(*) FROM credit.month_state), '>', 150::bigint, 'and keeps their states');
SELECT is(shop.differences(), 0::bigint, 'after it');
SELECT is(credit.fold_months(), 0::bigint, 'a second one has nothing to do');
SELECT is_empty('SELECT * FROM credit.verify_months()', 'and all states are right');
CREATE FUNCTION shop.rounds() RETURNS SETOF text LANGUAGE plpgsql AS $$ declare n bigint; i int; k int; begin for i in 1..18 loop
 k := (random()*11)::int;
 case k when 0 then update shop.app set amount=amount+1 where id%97=i%97;
 when 1 then delete from shop.app where id%89=i%89;
 when 2 then update shop.inv set total=total*2 where id%83=i%83;
 when 3 then update shop.inv set due=due+10 where id%71=i%71;
 when 4 then update shop.inv set customer=1+(customer%15) where id%67=i%67;
 when 5 then update shop.cust set terms=terms+5 where id%7=i%7;
 when 6 then update shop.app set wo=not wo where id%61=i%61;
 when 7 then update shop.pay set d=d-20 where id%59=i%59;
 when 8 then update shop.old set open=open+1 where id%31=i%31;
 when 9 then insert into shop.app select 20000+i*1000+id, id, id, total/4, current_date-(random()*300)::int from shop.inv where id%103=i%103 on conflict do nothing;
 when 10 then delete from shop.inv where id%211=i%211;
 else update shop.old set settled=current_date-(random()*400)::int, open=0 where id%29=i%29; end case;
 select shop.differences() into n; if n > 0 then return next format('after %s (round %s): %s differences', k, i, n); end if;
 if i%7=0 then perform credit.fold_months(); select shop.differences() into n; if n > 0 then return next format('after a fold (round %s): %s', i, n); end if;
   select count(*) into n from credit.verify_months(); if n > 0 then return next format('verify_months (round %s): %s', i, n); end if; end if;
end loop; end $$;
SELECT is_empty('SELECT * FROM shop.rounds()', 'after 18 rounds of changes, with folds between');
SELECT cmp_ok((SELECT count(*) FROM credit.month_mark), '>', 0::bigint, 'they have left marks');
SELECT cmp_ok(credit.rebuild_months(), '>', 0::bigint, 'a rebuild works out all months');
SELECT is(shop.differences(), 0::bigint, 'with the same result');
SELECT credit.maintain(true) \g /dev/null
UPDATE credit.month_state SET n_undated = n_undated + 1 WHERE ctid = (SELECT min(ctid) FROM credit.month_state);
SELECT credit.maintain(false) \g /dev/null
SELECT is((SELECT count(*) FROM credit.verify_months()), 1::bigint, 'a state that is wrong is found');
SELECT throws_ok('DELETE FROM credit.' || t, '55000', NULL, t || ' is not written by hand')
  FROM unnest(ARRAY['month_state', 'year_state', 'fold_day']) t;

SELECT credit.rebuild_months() \g /dev/null
SELECT is_empty('SELECT * FROM credit.verify_months()', 'a rebuild mends it');

-- Tables are emptied, sources come and go.
TRUNCATE shop.app;
SELECT is(shop.differences(), 0::bigint, 'after TRUNCATE of applications');
SELECT credit.fold_months() \g /dev/null
SELECT is(shop.differences(), 0::bigint, 'and a fold');
insert into shop.app select g, g, g, total, least(current_date, d+(random()*90)::int) from shop.inv, lateral (select id g) q where id%5<>0;
SELECT credit.fold_months() \g /dev/null
SELECT credit.detach('shop.old') \g /dev/null
SELECT is(shop.differences(), 0::bigint, 'without a source of debts');
SELECT credit.fold_months() \g /dev/null
SELECT is(shop.differences(), 0::bigint, 'folded');
SELECT credit.attach('shop.old','receivable',key=>'id',customer=>'customer',amount=>'total',document_date=>'d',due_date=>'due',open_amount=>'open',settled_on=>'settled') \g /dev/null
SELECT is(shop.differences(), 0::bigint, 'with it again');
SELECT credit.detach('shop.pay') \g /dev/null
SELECT is(shop.differences(), 0::bigint, 'without the payments');
SELECT credit.fold_months() \g /dev/null
SELECT is(shop.differences(), 0::bigint, 'folded');
SELECT is_empty('SELECT * FROM credit.verify_months()', 'and what is kept is right');
SELECT credit.attach('shop.pay','payment',key=>'id',customer=>'customer',amount=>'total',document_date=>'d') \g /dev/null
TRUNCATE shop.old;
SELECT is(shop.differences(), 0::bigint, 'after TRUNCATE of debts');

-- One customer reads that customer's rows, whatever there is of others.
CREATE FUNCTION shop.rows_read(statement text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO plan;
	RETURN (SELECT COALESCE(sum((n->>'Actual Loops')::numeric * ((n->>'Actual Rows')::numeric + COALESCE((n->>'Rows Removed by Filter')::numeric, 0))), 0)
			  FROM jsonb_path_query(plan::jsonb, 'strict $.** ? (@."Relation Name" == "item" || @."Relation Name" == "settlement" || @."Relation Name" == "month_state")') n);
END
$$;
SELECT credit.fold_months() \g /dev/null
ANALYZE credit.item, credit.settlement, credit.month_state, credit.year_state, credit.account;
SET LOCAL enable_seqscan = off;
SELECT cmp_ok(shop.rows_read(format('SELECT * FROM credit.%s WHERE customer = %L', v, '7')), '<',
			  (SELECT count(*) / 10 FROM credit.item)::numeric, v || ' of one customer reads few rows')
  FROM unnest(ARRAY['customer_aging', 'open_items', 'payment_behaviour', 'payment_trend', 'exposure']) v;
SELECT cmp_ok(shop.rows_read('SELECT * FROM credit.open_items'), '>', (SELECT count(*) / 10 FROM credit.item)::numeric, 'of all it reads more');
RESET enable_seqscan;

-- Days go by, with and without a fold: the year moves on, months close, what is
-- dated or settled on a day to come comes.
insert into shop.inv select 9000+g, 1+g%15, 100+g, current_date-20+g*3, current_date+g from generate_series(1,30) g;
insert into shop.app select 90000+g, 9000+g, 1+g, 10+g, current_date-10+g*3 from generate_series(1,30) g;
SELECT cmp_ok(credit.fold_months(), '>', 0::bigint, 'documents of days to come are there');
CREATE TABLE shop.clock (shift int);
INSERT INTO shop.clock VALUES (0);
CREATE OR REPLACE FUNCTION credit.today() RETURNS date LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC SELECT CURRENT_DATE + c.shift FROM shop.clock c; END;
CREATE FUNCTION shop.days() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	d int;
BEGIN
	FOREACH d IN ARRAY ARRAY[1, 3, 31, 33, 65, 120, 400] LOOP
		UPDATE shop.clock SET shift = d;
		PERFORM set_config('credit.as_of', credit.today()::text, true);
		n := shop.differences();
		IF n > 0 THEN RETURN NEXT format('%s days later: %s differences', d, n); END IF;
		IF d IN (3, 33, 65, 120) THEN
			PERFORM credit.fold_months();
			n := shop.differences();
			IF n > 0 THEN RETURN NEXT format('%s days later, folded: %s differences', d, n); END IF;
			IF (SELECT f.day FROM credit.fold_day f) <> credit.today() THEN RETURN NEXT 'the fold is of another day'; END IF;
		END IF;
	END LOOP;
END
$$;
SELECT is_empty('SELECT * FROM shop.days()', 'as days go by');
SELECT * FROM finish();
ROLLBACK;

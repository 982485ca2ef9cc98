-- Payment states of closed months: what views add up from them, account by
-- account and set by set, is what the rows give, to the last digit, after every
-- correction, reversal and re-assignment.
\set ECHO none
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS credit;
BEGIN;
SELECT plan(12);
CREATE SCHEMA shop;
SET search_path = shop, public;
SELECT setseed(0.3) \g /dev/null
create table shop.cust(id int primary key, terms int); insert into shop.cust select g, 30 from generate_series(1,40) g;
create table shop.inv(id int primary key, customer int, total numeric, d date, due date);
create table shop.pay(id int primary key, customer int, total numeric, d date);
create table shop.app(id int primary key, inv int, pay int, amount numeric, d date, wo bool default false);
create table shop.old(id int primary key, customer int, total numeric, d date, due date, open numeric, settled date);
insert into shop.inv select g, 1+g%40, round((random()*1000)::numeric,2)+1, current_date-(random()*900)::int, null from generate_series(1,1200) g;
update shop.inv set due = d+30 where id%3<>0;
insert into shop.pay select g, 1+g%40, 0, current_date from generate_series(1,1200) g;
insert into shop.app select g, g, g, total, least(current_date, d+(random()*90)::int) from shop.inv, lateral (select id g) q where id%5<>0;
insert into shop.app select 10000+id, id, id, round(total/3,2), least(current_date, d+(random()*60)::int) from shop.inv where id%5=0;
update shop.pay p set d=a.d, total=a.amount from shop.app a where a.pay=p.id;
insert into shop.old select g, 1+g%40, 100+g, current_date-(random()*700)::int, null, case when g%4=0 then 50 else 0 end, null from generate_series(1,300) g;
update shop.old set settled = least(current_date,d+(random()*60)::int) where id%3=0 and open=0;
SELECT credit.attach('shop.cust','customer',key=>'id',terms_days=>'terms') \g /dev/null
SELECT credit.attach('shop.inv','invoice',key=>'id',customer=>'customer',amount=>'total',document_date=>'d',due_date=>'due') \g /dev/null
SELECT credit.attach('shop.old','receivable',key=>'id',customer=>'customer',amount=>'total',document_date=>'d',due_date=>'due',open_amount=>'open',settled_on=>'settled') \g /dev/null
SELECT credit.attach('shop.pay','payment',key=>'id',customer=>'customer',amount=>'total',document_date=>'d') \g /dev/null
SELECT credit.attach('shop.app','application',key=>'id',applies_to=>'inv',payment=>'pay',amount=>'amount',document_date=>'d',is_write_off=>'wo') \g /dev/null
CREATE FUNCTION shop.differences() RETURNS bigint LANGUAGE sql AS $$
 with a as (select customer,currency,n_paid,n_open,n_overdue,n_undated,paid_amount,open_amount,overdue_amount,on_time_rate,on_time_rate_by_amount,mean_days_late,weighted_days_late,median_days_late,p90_days_late,max_days_late,max_days_overdue,days_beyond_terms,open_days_beyond_terms,mean_days_to_pay,weighted_days_to_pay,weighted_terms,sd_days_late,mean_deviation,cv_days_to_pay,trend_slope,trend_se,trend_p,is_worsening,recent_days_late,recent_n,payment_index,first_invoice_date,first_paid_date,last_paid_date from credit.payment_behaviour b), c as (select customer collate "C",currency collate "C",n_paid,n_open,n_overdue,n_undated,paid_amount,open_amount,overdue_amount,on_time_rate,on_time_rate_by_amount,mean_days_late,weighted_days_late,median_days_late,p90_days_late,max_days_late,max_days_overdue,days_beyond_terms,open_days_beyond_terms,mean_days_to_pay,weighted_days_to_pay,weighted_terms,sd_days_late,mean_deviation,cv_days_to_pay,trend_slope,trend_se,trend_p,is_worsening,recent_days_late,recent_n,payment_index,first_invoice_date,first_paid_date,last_paid_date from credit.payment_behaviour_on(credit.today()) b),
 d as (select a.customer,f.currency collate "C",coalesce((f.by_debt).n_paid,0),coalesce((f.by_debt).n_open,0),coalesce((f.by_debt).n_overdue,0),f.n_undated,coalesce((f.by_amount).paid_amount,0),coalesce((f.by_amount).open_amount,0),coalesce((f.by_amount).overdue_amount,0),(f.by_debt).on_time_rate,(f.by_amount).on_time_rate_by_amount,(f.by_debt).mean_days_late,(f.by_amount).weighted_days_late,(f.by_debt).median_days_late,(f.by_debt).p90_days_late,(f.by_debt).max_days_late,(f.by_debt).max_days_overdue,(f.by_amount).days_beyond_terms,(f.by_amount).open_days_beyond_terms,(f.by_debt).mean_days_to_pay,(f.by_amount).weighted_days_to_pay,(f.by_amount).weighted_terms,(f.by_debt).sd_days_late,(f.by_debt).mean_deviation,(f.by_debt).cv_days_to_pay,(f.by_debt).trend_slope,(f.by_debt).trend_se,(f.by_debt).trend_p,(f.by_debt).is_worsening,(f.by_debt).recent_days_late,(f.by_debt).recent_n,(f.by_amount).payment_index,(f.by_debt).first_invoice_date,(f.by_debt).first_paid_date,(f.by_debt).last_paid_date from credit.payment_behaviour_folded() f join credit.account a using (account_id))
 select (select count(*) from ((select * from a except select * from c) union all (select * from c except select * from a)) q) + (select count(*) from ((select * from d except select * from c) union all (select * from c except select * from d)) q) $$;

SELECT is(shop.differences(), 0::bigint, 'before any fold');
SELECT cmp_ok(credit.fold_months(), '>', 300::bigint, 'a fold finds months');
SELECT cmp_ok((SELECT count(*) FROM credit.month_state), '>', 300::bigint, 'and keeps their states');
SELECT is(shop.differences(), 0::bigint, 'after it');
SELECT is(credit.fold_months(), 0::bigint, 'a second one has nothing to do');
SELECT is_empty('SELECT * FROM credit.verify_months()', 'and all states are right');
CREATE FUNCTION shop.rounds() RETURNS SETOF text LANGUAGE plpgsql AS $$ declare n bigint; i int; k int; begin for i in 1..25 loop
 k := (random()*11)::int;
 case k when 0 then update shop.app set amount=amount+1 where id%97=i%97;
 when 1 then delete from shop.app where id%89=i%89;
 when 2 then update shop.inv set total=total*2 where id%83=i%83;
 when 3 then update shop.inv set due=due+10 where id%71=i%71;
 when 4 then update shop.inv set customer=1+(customer%40) where id%67=i%67;
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
SELECT is_empty('SELECT * FROM shop.rounds()', 'after 25 rounds of changes, with folds between');
SELECT cmp_ok((SELECT count(*) FROM credit.month_mark), '>', 0::bigint, 'they have left marks');
SELECT cmp_ok(credit.rebuild_months(), '>', 0::bigint, 'a rebuild works out all months');
SELECT is(shop.differences(), 0::bigint, 'with the same result');
SELECT credit.maintain(true) \g /dev/null
UPDATE credit.month_state SET n_undated = n_undated + 1 WHERE ctid = (SELECT min(ctid) FROM credit.month_state);
SELECT credit.maintain(false) \g /dev/null
SELECT is((SELECT count(*) FROM credit.verify_months()), 1::bigint, 'a state that is wrong is found');
SELECT throws_ok('DELETE FROM credit.month_state', '55000', NULL, 'states are not written by hand');
SELECT * FROM finish();
ROLLBACK;

-- Are :figures, aggregates, the same to the last bit in every order and split of
-- rows? Over lab.item and the same rows in another order, lab.shuffled, in
-- groups by k and in the whole. What they are, in serial, is left in lab.serial.

\set schema lab
\ir plan.sql
SET LOCAL extra_float_digits = 3;
SET LOCAL max_parallel_workers_per_gather = 0;
CREATE TABLE lab.serial AS SELECT k, :figures FROM lab.item GROUP BY k;
CREATE TABLE lab.serial_whole AS SELECT :figures FROM lab.item;
CREATE TABLE lab.other_order AS SELECT k, :figures FROM lab.shuffled GROUP BY k;
SELECT is((SELECT count(*) FROM lab.serial x FULL JOIN lab.other_order y USING (k) WHERE x::text IS DISTINCT FROM y::text), 0::bigint, 'rows in another order');
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 4;
\set by_group 'SELECT k, ' :figures ' FROM lab.shuffled GROUP BY k'
\set whole 'SELECT ' :figures ' FROM lab.shuffled'
SELECT matches(lab.plan(:'by_group'), 'Partial (Hash|Group)?Aggregate', 'workers collect by group');
SELECT matches(lab.plan(:'whole'), 'Partial Aggregate', 'and in the whole');
CREATE TABLE lab.parallel AS :by_group;
CREATE TABLE lab.parallel_whole AS :whole;
SELECT is((SELECT count(*) FROM lab.serial x FULL JOIN lab.parallel y USING (k) WHERE x::text IS DISTINCT FROM y::text), 0::bigint, 'in parallel, by group');
SELECT is((SELECT w::text FROM lab.parallel_whole w), (SELECT w::text FROM lab.serial_whole w), 'in parallel, in the whole');

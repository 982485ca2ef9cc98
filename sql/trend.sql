--
-- trend: robust_trend() and change_point() over any table
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION credit;
RESET client_min_messages;

-- the last digits are the machine's own
SET extra_float_digits = -3;
CREATE SCHEMA books;
-- a day of payment and days late
CREATE VIEW books.late AS
SELECT date '2025-03-01' + x AS day, y AS value, x
  FROM (VALUES (0, 2), (30, 4), (60, 3), (90, 7), (120, 8), (150, 9)) v (x, y);

-- 1. All columns: S 13, z 2.2544, p 0.0242, exact 12 of 720, 1.4 days later in 30 days

\x on
SELECT (credit.robust_trend(day, value)).* FROM books.late;
\x off
-- the other way round, and a wild value that moves the slope of least squares
SELECT (t).kendall_s, (t).slope, (t).direction FROM (SELECT credit.robust_trend(day, -value) FROM books.late) q (t);
SELECT (t).kendall_s, (t).slope, round((regr_slope * 30)::numeric, 4) AS least_squares
  FROM (SELECT credit.robust_trend(day, v), regr_slope(v, x) FROM (SELECT *, CASE x WHEN 150 THEN 900 ELSE value END AS v FROM books.late) l) q (t);

-- 2. Values of one day are merged by weight: 300 at 0 and 700 at 10 are 7; equal means are equal

SELECT (t).n_rows, (t).n_days, (t).kendall_s, (t).kendall_variance, (t).p
  FROM (SELECT credit.robust_trend(day, v, w)
		  FROM (VALUES (date '2025-01-01', 0, 300), ('2025-01-01', 10, 700), ('2025-01-02', 7, 1), ('2025-01-03', 7, 2),
				('2025-01-04', 6, 0.1), ('2025-01-04', 8, 0.1), ('2025-01-05', 5, 123456789012.34), ('2025-01-05', 9, 123456789012.34)) v (day, v, w)) q (t);
SELECT (t).n_rows, (t).n_days, (t).slope FROM (SELECT credit.robust_trend(date '2025-01-01' + g / 2, (g / 2) * 2.5 + CASE g % 2 WHEN 0 THEN -1.25 ELSE 1.25 END) FROM generate_series(0, 11) g) q (t);
-- so are means of decimals: 0.1 and 0.3 are 0.2, 0.7 by 1 and 0.1 by 5 too
SELECT (t).kendall_variance FROM (SELECT credit.robust_trend(day, v, w)
  FROM (VALUES (date '2025-01-01', 0.1, 1), ('2025-01-01', 0.3, 1), ('2025-01-02', 0.2, 3), ('2025-01-03', 0.7, 1), ('2025-01-03', 0.1, 5), ('2025-01-04', 0.15, 0.25), ('2025-01-04', 0.25, 0.25)) v (day, v, w)) q (t);
-- a heavier one draws the mean
SELECT (t).slope FROM (SELECT credit.robust_trend(date '2025-01-01' + g / 2, g % 2 * (g / 2), CASE g % 2 WHEN 0 THEN 1 ELSE 3 END) FROM generate_series(0, 11) g) q (t);

-- 3. p is counted out for up to ten days, with and without equal values

SELECT n, (t).kendall_s AS s, round((t).p_exact::numeric, 10) AS exact, round((t).p_normal::numeric, 10) AS normal, (t).p = COALESCE((t).p_exact, (t).p_normal) AS chosen, (t).direction
  FROM (SELECT n, credit.robust_trend(date '2025-01-01' + i, i) FROM generate_series(3, 12) n, generate_series(1, n) i GROUP BY n) q (n, t) ORDER BY n;
-- by counting out: all orders of six values, three of them equal
WITH RECURSIVE orders AS
	(SELECT ARRAY[]::int[] AS places, ARRAY[]::int[] AS y
	 UNION ALL SELECT places || i, y || v FROM orders, (VALUES (1, 5), (2, 5), (3, 5), (4, 7), (5, 8), (6, 8)) w (i, v) WHERE NOT i = ANY (places)),
s AS (SELECT y, (SELECT sum(sign(y[j] - y[i])) FROM generate_series(1, 6) i, generate_series(1, 6) j WHERE i < j) AS s FROM orders WHERE cardinality(y) = 6)
SELECT a.s, round((t).p_exact::numeric, 12) AS p_exact, round((SELECT avg((abs(b.s) >= abs(a.s))::int) FROM s b), 12) AS counted
  FROM (SELECT DISTINCT ON (s) s, y FROM s WHERE s >= 0) a, LATERAL (SELECT credit.robust_trend(date '2025-01-01' + i::int, v) FROM unnest(a.y) WITH ORDINALITY u (v, i)) q (t) ORDER BY 1;
-- all equal; three days; one; nothing
SELECT n, (t).n_days, (t).kendall_s, (t).kendall_z, (t).p, (t).slope, (t).direction FROM (SELECT n, credit.robust_trend(date '2025-01-01' + i, 5) FROM (VALUES (1), (3), (4), (20)) n (n), generate_series(1, n) i GROUP BY n) q (n, t) ORDER BY n;
SELECT credit.robust_trend(date '2025-01-01', 5) WHERE false;

-- 4. What is left out, and both ends of what there is

SELECT (t).n_rows, (t).n_days, (t).n_credits, (t).n_skipped, (t).first_day, (t).last_day, (t).kendall_s
  FROM (SELECT credit.robust_trend(day, v, w)
		  FROM (VALUES (date '2025-01-01', 1::float8, 1.0), ('2025-01-02', 2, 1e-30), ('2025-01-03', 3, 1e40), ('4713-01-01 BC', -1e308, 1), ('5874897-12-31', 1e308, 1),
				('2025-01-04', 4, 0), ('2025-01-04', 4, -5), ('2025-01-04', 4, -1e40), (NULL, 4, 1), ('2025-01-04', NULL, 1), ('2025-01-04', 4, NULL),
				('infinity', 4, 1), ('-infinity', 4, 1), ('2025-01-04', 'NaN', 1), ('2025-01-04', 'Infinity', 1), ('2025-01-04', 4, 'NaN'), ('2025-01-04', 4, 'Infinity')) v (day, v, w)) q (t);
-- a slope that no number holds is none; both zeros are one
SELECT (t).slope, (t).kendall_s FROM (SELECT credit.robust_trend(date '2025-01-01' + i, i * 1e308 - 0.5e308) FROM generate_series(-1, 2) i) q (t) WHERE (t).slope IS NULL;
SELECT (t).slope, (t).kendall_s FROM (SELECT credit.robust_trend(date '2025-01-01' + i, CASE i % 2 WHEN 0 THEN 1.7e308 ELSE -1.7e308 END) FROM generate_series(1, 5) i) q (t);
SELECT (t).kendall_variance FROM (SELECT credit.robust_trend(date '2025-01-01' + i, CASE i % 2 WHEN 0 THEN float8 '-0' ELSE 0 END) FROM generate_series(1, 5) i) q (t);
-- weights with many decimals, and of any size
SELECT (t).slope FROM (SELECT credit.robust_trend(date '2025-01-01' + i, v * i, w) FROM generate_series(1, 5) i, (VALUES (1, 1 / 3.0), (4, 2 / 3.0)) v (v, w)) q (t);
SELECT (t).slope FROM (SELECT credit.robust_trend(date '2025-01-01' + i, v * i, w) FROM generate_series(1, 5) i, (VALUES (1, 1e400), (3, 1e400)) v (v, w)) q (t);
SELECT (t).slope FROM (SELECT credit.robust_trend(date '2025-01-01' + i, v * i, w) FROM generate_series(1, 5) i, (VALUES (1, 1e31), (3, 1e31)) v (v, w), generate_series(1, 20) n) q (t);

-- 5. The latest 2,000 days are looked at

SELECT (t).n_rows, (t).n_days, (t).n_older, (t).first_day, (t).last_day, (t).kendall_s, (t).slope
  FROM (SELECT credit.robust_trend(date '2025-01-01' + i, CASE WHEN i <= 500 THEN -i ELSE i END) FROM generate_series(1, 2500) i) q (t);
-- of too many different days and values there is an end
SELECT (t).n_rows FROM (SELECT credit.robust_trend(date '2025-01-01' + i % 10, i) FROM generate_series(1, 786432) i) q (t);
SELECT credit.robust_trend(date '2025-01-01' + i % 10, i) FROM generate_series(1, 786433) i;

-- 6. Change: mean 5, sd 4; sums 0, 0, 0.25, 1.5, 3.5, 5.25, and from 0 again 2.75

CREATE VIEW books.change AS
SELECT date '2025-01-01' + 7 * (i::int - 1) AS day, d AS value FROM unnest(ARRAY[6, 4, 8, 12, 15, 14, 18]) WITH ORDINALITY u (d, i);
\x on
SELECT (credit.change_point(day, value, 1, 5, 4)).* FROM books.change;
\x off
SELECT n, (c).rise_sum FROM (SELECT n, credit.change_point(day, value, 1, 5, 4) FROM books.change, generate_series(1, 7) n WHERE day < date '2025-01-01' + 7 * n GROUP BY n) q (n, c) ORDER BY n;
-- mirrored: it got better
SELECT (c).n_rises, (c).n_falls, (c).first_fall, (c).first_fall_began, (c).fall_sum FROM (SELECT credit.change_point(day, 10 - value, 1, 5, 4) FROM books.change) q (c);
-- the threshold itself is no alarm; a slack and a threshold of one's own
SELECT h, (c).n_rises, (c).first_rise, (c).first_rise_began, (c).rise_sum FROM (SELECT h, credit.change_point(day, value, 1, 5, 4, k, h) FROM books.change, (VALUES (0.5, 5.25), (0.5, 5.2), (0.5, 3.4), (0, 5), (3, 0.5)) o (k, h) GROUP BY k, h) q (h, c) ORDER BY h;
-- several changes: up, up again, down
SELECT (c).n_rises, (c).first_rise, (c).first_rise_began, (c).last_rise, (c).last_rise_began, (c).n_falls, (c).first_fall, (c).first_fall_began
  FROM (SELECT credit.change_point(date '2025-01-01' + i, CASE WHEN i <= 10 THEN 0 WHEN i <= 16 THEN 3 WHEN i <= 20 THEN 0 ELSE -3 END, 1, 0, 1) FROM generate_series(1, 24) i) q (c);
-- a deviation of a day weighs by amount: 100 at 0 and 300 at 20 are 15
SELECT (c).n_rows, (c).n_days, (c).rise_sum FROM (SELECT credit.change_point(date '2025-01-01', d, a, 5, 4) FROM (VALUES (0, 100), (20, 300)) v (d, a)) q (c);

-- 7. Baselines: the first days, the days until a date, at least 8; sd at least 1; none

CREATE VIEW books.level AS
SELECT date '2025-01-01' + i AS day, CASE WHEN i < 10 THEN 10 + 3 * (i % 2) ELSE 20 END AS value FROM generate_series(0, 14) i;
SELECT (c).n_reference, (c).n_days, (c).mean, (c).sd, (c).n_rises, (c).first_rise, (c).first_rise_began FROM (SELECT credit.change_point(day, value, 1, 10) FROM books.level) q (c);
SELECT (c).n_reference, (c).n_days, (c).mean, (c).sd, (c).n_rises, (c).first_rise, (c).first_rise_began FROM (SELECT credit.change_point(day, value, 1, date '2025-01-08') FROM books.level) q (c);
SELECT (c).n_reference, (c).n_days, (c).mean, (c).sd, (c).n_rises FROM (SELECT credit.change_point(day, value, 1, date '2025-01-07') FROM books.level) q (c);
SELECT (c).n_reference, (c).n_days, (c).mean, (c).n_rises FROM (SELECT credit.change_point(day, value, 1, 100) FROM books.level) q (c);
SELECT (c).n_days, (c).mean, (c).sd, (c).n_rises FROM (SELECT credit.change_point(day, value, 1, m, s) FROM books.level, (VALUES (NULL::float8, 4::float8)) b (m, s)) q (c);
SELECT (c).sd, (c).rise_sum FROM (SELECT credit.change_point(date '2025-01-01', 2, 1, 0, s) FROM (VALUES (0), (0.2), (1), (2)) b (s) GROUP BY s) q (c) ORDER BY 1, 2;
SELECT credit.change_point(date '2025-01-01', 2, 1, 0, 1) WHERE false;
SELECT (c).n_rows, (c).n_credits, (c).n_skipped, (c).mean FROM (SELECT credit.change_point(d, v, w, 0, 1) FROM (VALUES (NULL, 1::float8, 1), (date '2025-01-01', 'NaN', 1), ('2025-01-01', 1, 0), ('infinity', 1, 1)) v (d, v, w)) q (c);
-- values that no number can square are no baseline
SELECT (c).n_reference, (c).mean, (c).n_rises FROM (SELECT credit.change_point(date '2025-01-01' + i, i * 1e307, 1, 9) FROM generate_series(1, 12) i) q (c);
SELECT (c).n_rises, (c).n_falls, (c).rise_sum FROM (SELECT credit.change_point(date '2025-01-01' + i, CASE i WHEN 1 THEN 1.7e308 ELSE -1.7e308 END, 1, -1e308, 1) FROM generate_series(1, 2) i) q (c);

-- 8. What a group must have in common, and options that are none

SELECT credit.change_point(day, value, 1, 5, m) FROM books.change, generate_series(4, 5) m;
SELECT credit.change_point(day, value, 1, n) FROM books.change, generate_series(8, 9) n;
SELECT credit.change_point(day, value, 1, 5, 4, k, 5) FROM books.change, generate_series(0, 1) k;
SELECT credit.change_point(day, value, 1, 7) FROM books.change;
SELECT credit.change_point(day, value, 1, 5, -1) FROM books.change;
SELECT credit.change_point(day, value, 1, 'Infinity', 1) FROM books.change;
SELECT credit.change_point(day, value, 1, 5, 4, -1, 5) FROM books.change;
SELECT credit.change_point(day, value, 1, 5, 4, 0.5, 0) FROM books.change;
SELECT credit.change_point(day, value, 1, 5, 4, 'NaN', 5) FROM books.change;
SELECT credit.change_point(day, value, 1, 5, 4, NULL, 5) FROM books.change;

-- 9. In a window that grows, a state is looked at and goes on

SELECT x, (credit.robust_trend(day, value) OVER w).kendall_s, (credit.robust_trend(day, value) OVER w).slope, (credit.change_point(day, value, 1, 2, 1) OVER w).rise_sum FROM books.late WINDOW w AS (ORDER BY day);

-- 10. Support functions are nothing for people

SELECT credit.trend_accum(NULL, date '2025-01-01', 1::float8);
SELECT credit.trend_combine(NULL, NULL);
SELECT credit.trend_final(NULL);
SELECT credit.change_accum(NULL, date '2025-01-01', 1::float8, 1::numeric, 8);
SELECT credit.change_accum(NULL, date '2025-01-01', 1::float8, 1::numeric, 1::float8, 1::float8);
SELECT credit.change_combine(NULL, NULL);
SELECT credit.change_final(NULL);

SET client_min_messages = warning;
DROP SCHEMA books CASCADE;
DROP EXTENSION credit;

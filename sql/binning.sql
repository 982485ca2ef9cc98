--
-- binning: optimal bins of a characteristic, and their application
--
\set SHOW_CONTEXT never
\pset null '(null)'
SET client_min_messages = error;
SET extra_float_digits = -5;
CREATE EXTENSION credit;

-- 1. Weight of evidence and information value of counts

SELECT credit.woe('{200,300,400}', '{40,30,10}', 0), credit.information_value('{200,300,400}', '{40,30,10}', 0);
SELECT credit.woe('{200,300,400}', '{40,30,10}'), credit.information_value('{200,300,400}', '{40,30,10}');
SELECT credit.woe('{100,300,500}', '{0,30,50}'), credit.information_value('{100,300,500}', '{0,30,50}');
-- nothing added and a class missing in a bin, or everywhere; a bin without rows
SELECT credit.woe('{100,300,500}', '{0,30,50}', 0), credit.information_value('{100,300,500}', '{0,30,50}', 0);
SELECT credit.woe('{1,2}', '{0,0}'), credit.information_value('{1,2}', '{0,0}');
SELECT credit.woe('{1,0,2}', '{1,0,3}'), credit.woe('{}', '{}'), credit.information_value('{}', '{}');
SELECT credit.woe('{1,2}', '{1}');
SELECT credit.woe('{1,-2}', '{1,1}');
SELECT credit.woe('{1,NaN}', '{1,1}');
SELECT credit.woe('{1,NULL}', '{1,1}');
SELECT credit.woe('{1,1}', '{1,1}', -1);

-- 2. The partition of greatest information value, by five groups of rows

CREATE TABLE prebin (v int, good int, bad int);
INSERT INTO prebin VALUES (1, 90, 10), (2, 80, 20), (3, 88, 12), (4, 150, 10), (5, 95, 5);
CREATE VIEW counted AS SELECT v, false AS bad, good AS n FROM prebin UNION ALL SELECT v, true, bad FROM prebin;
SELECT o.trend, o.max_bins, (q.b).trend, (q.b).n_regular, round((q.b).iv::numeric, 4) AS iv,
	   (SELECT string_agg(round(x.bad_rate::numeric, 6)::text || ' ' || credit.bin_label(x), ', ' ORDER BY x.bin) FROM credit.bins(q.b) x) AS bins
  FROM (VALUES ('down', 3), ('down', 2), ('none', 4), ('none', 50), ('up', 6), ('auto', 3), ('auto', 2), ('peak', 3), ('peak', 6), ('valley', 6)) o (trend, max_bins),
	   LATERAL (SELECT credit.optimal_bins(v, bad, n, credit.binning_options(min_size => 50, max_bins => o.max_bins, trend => o.trend)) AS b FROM counted) q;
-- a gap that neighbours must keep; more bad ones; a larger share
SELECT (SELECT string_agg(round(x.bad_rate::numeric, 6)::text, ' ' ORDER BY x.bin) FROM credit.bins(q.b) x)
  FROM (VALUES (credit.binning_options(min_gap => 0.04)), (credit.binning_options(min_gap => 0.5)), (credit.binning_options(min_bad => 20)),
			   (credit.binning_options(min_good => 200)), (credit.binning_options(min_share => 0.3)), (credit.binning_options(max_prebins => 2)),
			   (credit.binning_options(max_bins => 1)), (credit.binning_options(bounds => '{2.5,10}')), (credit.binning_options(bounds => '{2.5}', method => 'none')),
			   (credit.binning_options(method => 'none'))) o (o),
	   LATERAL (SELECT credit.optimal_bins(v, bad, n, o.o) AS b FROM counted) q;
-- pooling of adjacent violators; small bins go to the neighbour nearest in rate
SELECT o.trend, (q.b).trend, (q.b).n_regular, round((q.b).iv::numeric, 4) AS iv,
	   (SELECT string_agg(round(x.bad_rate::numeric, 6)::text || ' ' || credit.bin_label(x), ', ' ORDER BY x.bin) FROM credit.bins(q.b) x) AS bins
  FROM (VALUES ('down', 6, 50, 0), ('up', 6, 50, 0), ('auto', 6, 50, 0), ('down', 2, 50, 0), ('down', 6, 150, 0), ('down', 6, 50, 0.02), ('down', 6, 5000, 0)) o (trend, max_bins, min_size, min_gap),
	   LATERAL (SELECT credit.optimal_bins(v, bad, n, credit.binning_options(method => 'pool', min_size => o.min_size, max_bins => o.max_bins, trend => o.trend, min_gap => o.min_gap)) AS b FROM counted) q;
SELECT credit.optimal_bins(v, bad, n, credit.binning_options(method => 'pool', trend => 'peak')) FROM counted;
SELECT credit.optimal_bins(v, bad, n, credit.binning_options(method => 'tree')) FROM counted;
-- every column, of the binning and of its bins
SELECT (b).is_categorical, (b).trend, (b).adjustment, (b).n, (b).good, (b).bad, (b).n_regular, (b).iv, (b).n_skipped
  FROM (SELECT credit.optimal_bins(v, bad, n, credit.binning_options(min_size => 50, max_bins => 3)) AS b FROM counted) q \gx
SELECT x.* FROM (SELECT credit.optimal_bins(v, bad, n, credit.binning_options(min_size => 50, max_bins => 3)) AS b FROM counted) q, credit.bins(q.b) x;

-- 3. Missing values, special codes, infinities; what is left out

CREATE TABLE debtor (days float8, code text, bad boolean);
INSERT INTO debtor SELECT g % 50, CASE WHEN g % 3 = 0 THEN 'retail' WHEN g % 3 = 1 THEN 'food' ELSE 'steel' END, (g * 7919) % 100 < g % 50 FROM generate_series(0, 999) g;
INSERT INTO debtor SELECT NULL, NULL, g % 4 = 0 FROM generate_series(1, 80) g;
INSERT INTO debtor SELECT 'NaN', NULL, g % 4 = 0 FROM generate_series(1, 20) g;
INSERT INTO debtor SELECT -999, '?', g % 2 = 0 FROM generate_series(1, 100) g;
INSERT INTO debtor SELECT -998, '??', g % 2 = 0 FROM generate_series(1, 10) g;
INSERT INTO debtor VALUES ('infinity', 'food', true), ('-infinity', 'food', false), (5, 'food', NULL);
SELECT x.* FROM (SELECT credit.optimal_bins(days, bad, credit.binning_options(special_codes => '{-999,-998,-997}', max_bins => 4)) AS b FROM debtor) q, credit.bins(q.b) x;
SELECT x.* FROM (SELECT credit.optimal_bins(code, bad, credit.binning_options(special_codes => '{?,??}')) AS b FROM debtor) q, credit.bins(q.b) x;
SELECT (credit.optimal_bins(days, bad)).n_skipped, (credit.optimal_bins(code, bad)).trend FROM debtor;
-- weights count as rows; 0 and NULL leave the row out
SELECT (b).n, (b).good, (b).bad, (b).n_skipped FROM (
	SELECT credit.optimal_bins(v.x, v.bad, v.w, credit.binning_options()) AS b
	  FROM (VALUES (1, false, 0.1), (1, false, 0.2), (2, true, 0.3), (2, true, 0), (2, true, NULL)) v (x, bad, w)) q;

-- 4. Where there is little to say

SELECT credit.optimal_bins(days, bad) IS NULL AS none FROM debtor WHERE false;
SELECT (b).n, (b).iv, (b).n_regular, x.* FROM (SELECT credit.optimal_bins(days, NULL) AS b FROM debtor) q, credit.bins(q.b) x;
-- one class; one value; only missing values; no two bins of the smallest size
SELECT (b).iv, x.bin, x.kind, x.n, x.bad_rate, x.woe, x.iv FROM (SELECT credit.optimal_bins(days, false) AS b FROM debtor) q, credit.bins(q.b) x;
SELECT (b).iv, x.bin, x.kind, x.n, x.bad_rate, x.woe, x.iv FROM (SELECT credit.optimal_bins(7, bad) AS b FROM debtor) q, credit.bins(q.b) x;
SELECT (b).iv, x.bin, x.kind, x.n, x.bad_rate, x.woe, x.iv FROM (SELECT credit.optimal_bins(NULL::float8, bad) AS b FROM debtor) q, credit.bins(q.b) x;
SELECT (b).iv, x.bin, x.kind, x.categories, x.n, x.woe FROM (SELECT credit.optimal_bins(NULL::text, bad) AS b FROM debtor) q, credit.bins(q.b) x;
SELECT (b).iv, (b).n_regular FROM (SELECT credit.optimal_bins(days, bad, credit.binning_options(min_size => 5000)) AS b FROM debtor) q;
-- neighbours among numbers have no number between them
SELECT x.upper = 1 AS is_lower_one FROM (SELECT credit.optimal_bins(v.x, v.x > 1, credit.binning_options(min_size => 0, min_good => 0, min_bad => 0)) AS b
	FROM (VALUES (float8 '1'), ('1.0000000000000002'), ('1'), ('1.0000000000000002')) v (x)) q, credit.bins(q.b) x WHERE x.bin = 1;
SELECT x.upper FROM (SELECT credit.optimal_bins(v.x, v.x > 1, credit.binning_options(min_size => 0, min_good => 0, min_bad => 0)) AS b
	FROM (VALUES (float8 '-1e308'), ('1.7e308'), ('infinity')) v (x)) q, credit.bins(q.b) x WHERE x.bin = 1;

-- 5. A binning at work

CREATE TABLE binning (feature text PRIMARY KEY, bins credit.binning);
INSERT INTO binning SELECT 'days', credit.optimal_bins(days, bad, credit.binning_options(special_codes => '{-999}', max_bins => 3)) FROM debtor;
INSERT INTO binning SELECT 'code', credit.optimal_bins(code, bad, credit.binning_options(special_codes => '{?}')) FROM debtor;
SELECT v.x, credit.bin_of(b.bins, v.x), credit.woe_of(b.bins, v.x)
  FROM binning b, (VALUES (float8 '-infinity'), (-999), (0), (20), (49), ('infinity'), ('NaN'), (NULL)) v (x) WHERE b.feature = 'days';
SELECT v.x, credit.bin_of(b.bins, v.x), credit.woe_of(b.bins, v.x)
  FROM binning b, (VALUES ('retail'), ('food'), ('steel'), ('?'), ('unseen'), (NULL)) v (x) WHERE b.feature = 'code';
-- what was counted and what is found agree
SELECT x.bin, x.n = f.n AND x.bad = f.bad AS agrees
  FROM binning b, credit.bins(b.bins) x
  LEFT JOIN (SELECT credit.bin_of((SELECT bins FROM binning WHERE feature = 'days'), days) AS bin, count(*) AS n, count(*) FILTER (WHERE bad) AS bad
			   FROM debtor WHERE bad IS NOT NULL GROUP BY 1) f ON f.bin = x.bin
 WHERE b.feature = 'days' ORDER BY 1;
-- by hand
SELECT credit.bin_label(x), x.bin, x.woe FROM credit.bins(credit.manual_bins('{10,20}', '{1,0,-1}', 0.5)) x;
SELECT v.x, credit.bin_of(credit.manual_bins('{10,20}', '{1,0,-1}', 0.5), v.x), credit.woe_of(credit.manual_bins('{10,20}', '{1,0,-1}', 0.5), v.x)
  FROM (VALUES (10), (10.5), (20), (21), (NULL)) v (x);
SELECT credit.woe_of(credit.manual_category_bins('{a,b}', '{1,2}'), v.x) FROM (VALUES ('a'), ('b'), ('c'), (NULL)) v (x);
SELECT credit.bin_of(NULL::credit.binning, 1::float8), credit.woe_of(credit.manual_bins('{}', '{1}'), 5);

-- 6. What is refused

SELECT credit.optimal_bins(days, bad, credit.binning_options(trend => 'sideways')) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(max_bins => 0)) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(max_prebins => 1000)) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(min_share => 'NaN')) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(bounds => '{2,1}')) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(bounds => '{1,infinity}')) FROM debtor;
SELECT credit.optimal_bins(code, bad, credit.binning_options(bounds => '{1,2}')) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(special_codes => '{x}')) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(special_codes => '{0,-0}')) FROM debtor;
SELECT credit.optimal_bins(days, bad, credit.binning_options(special_codes => '{NULL}')) FROM debtor;
SELECT credit.optimal_bins(days, bad, CASE WHEN days > 10 THEN credit.binning_options(max_bins => 3) ELSE credit.binning_options() END) FROM debtor;
SELECT credit.optimal_bins(days, bad, -1, credit.binning_options()) FROM debtor;
SELECT credit.optimal_bins(days, bad, 1e-9, credit.binning_options()) FROM debtor;
SELECT credit.optimal_bins(g, true, 1e9, credit.binning_options()) FROM generate_series(1, 20) g;
SELECT credit.optimal_bins(g::text, g % 2 = 0) FROM generate_series(1, 1000000) g;
SELECT credit.optimal_bins(repeat('x', 2000) || g, g % 2 = 0) FROM generate_series(1, 9999) g;
SELECT credit.bin_of(bins, 'x') FROM binning WHERE feature = 'days';
SELECT credit.woe_of(bins, 1) FROM binning WHERE feature = 'code';
SELECT credit.manual_bins('{1}', '{1}');
SELECT credit.manual_category_bins('{a,b}', '{1}');
SELECT credit.bin_of(credit.manual_bins('{2,1}', '{1,1,1}'), 1);
SELECT credit.bin_of(credit.manual_category_bins('{a,a}', '{1,1}'), 'a');
SELECT credit.bin_of(credit.manual_bins('{1}', '{1,infinity}'), 1);
SELECT credit.bin_of(ROW(false, 'none', 0, 0, 0, 0, 1, 0, 0, b.bins)::credit.binning, 1) FROM (VALUES
	(NULL::credit.bin[]), (ARRAY[NULL]::credit.bin[])) b (bins);
SELECT credit.bin_of(ROW(false, 'none', 0, 0, 0, 0, 1, 0, 0, ARRAY[ROW(1, 'range', NULL, 5, NULL, 0, 0, 0, 0, 0, 0)::credit.bin])::credit.binning, 1);
SELECT credit.bin_of(ROW(false, 'none', 0, 0, 0, 0, 1, 0, 0, ARRAY[ROW(1, 'else', NULL, NULL, NULL, 0, 0, 0, 0, 0, 0)::credit.bin])::credit.binning, 1);
DROP EXTENSION credit CASCADE;

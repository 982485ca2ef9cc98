-- Binning against plain SQL over random rows: full enumeration of partitions,
-- pre-bins, counts by bin; any order of rows, in parallel or not; states as
-- bytes, sound and unsound.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();
CREATE SCHEMA lab;
SELECT setseed(0.3);

-- Do two figures agree: to 1e-9 of their size, or both missing?
CREATE FUNCTION lab.same(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
	WHEN a = b THEN true ELSE abs(a - b) <= 1e-9 * greatest(abs(a), abs(b)) END
$$;

-- 1. The best of all partitions, by looking at each of them

CREATE TABLE lab.counted (kase int, v int, good int, bad int);
INSERT INTO lab.counted
SELECT kase, v, (random() * 60)::int, (random() * 20 * CASE WHEN kase % 3 = 0 THEN 1 WHEN kase % 3 = 1 THEN v / 4.0 ELSE abs(v - 4) / 3.0 END)::int
  FROM generate_series(1, 150) kase, generate_series(1, 8) v WHERE v <= 2 + kase % 7;
-- some rows of missing values, which are in the totals and in no partition
INSERT INTO lab.counted SELECT kase, NULL, 5, 3 FROM generate_series(1, 150) kase WHERE kase % 4 = 0;
CREATE TABLE lab.rule AS
SELECT kase, 1 + kase % 5 AS max_bins, (kase * 13 % 50)::float8 AS min_size, (kase % 3)::float8 AS min_good, (kase * 5 % 4)::float8 AS min_bad,
	   CASE WHEN kase % 5 = 0 THEN 0.03 ELSE 0 END::float8 AS min_gap, CASE WHEN kase % 2 = 0 THEN 0.5 ELSE 0.01 END::float8 AS adjustment
  FROM generate_series(1, 150) kase;
-- every way to cut, as the set of values after which there is a cut
CREATE TABLE lab.partition AS
WITH total AS (SELECT kase, sum(good)::float8 AS g, sum(bad)::float8 AS b, max(v) AS n FROM lab.counted GROUP BY kase),
piece AS (
	SELECT c.kase, m.mask, bit_count((m.mask & ((1 << (c.v - 1)) - 1))::bit(16)) AS bin, sum(c.good)::float8 AS g, sum(c.bad)::float8 AS b
	  FROM lab.counted c JOIN total t USING (kase), LATERAL generate_series(0, (1 << (t.n - 1)) - 1) m (mask)
	 WHERE c.v IS NOT NULL GROUP BY 1, 2, 3),
measured AS (
	SELECT p.kase, mask, bin, r.*, g, b, g + b AS n, b / NULLIF(g + b, 0) AS rate,
		   CASE WHEN g + b > 0 THEN (g / t.tg - b / t.tb) * ln(((g + r.adjustment) / t.tg) / ((b + r.adjustment) / t.tb)) END AS iv
	  FROM piece p JOIN (SELECT kase AS k, g AS tg, b AS tb FROM total) t ON t.k = p.kase
	  JOIN (SELECT kase AS of_rule, max_bins, min_size, min_good, min_bad, min_gap, adjustment FROM lab.rule) r ON r.of_rule = p.kase),
stepped AS (
	SELECT *, rate - lag(rate) OVER w AS step FROM measured WINDOW w AS (PARTITION BY kase, mask ORDER BY bin))
SELECT kase, mask, count(*) AS n_bins, sum(iv) AS iv,
	   COALESCE(bool_and(step > 0 AND step >= min_gap - 1e-12), true) AS is_up,
	   COALESCE(bool_and(step < 0 AND -step >= min_gap - 1e-12), true) AS is_down,
	   COALESCE(bool_and(abs(step) > 0 AND abs(step) >= min_gap - 1e-12), true) AND
	   COALESCE(max(bin) FILTER (WHERE step > 0) < min(bin) FILTER (WHERE step < 0), true) AS is_peak,
	   COALESCE(bool_and(abs(step) > 0 AND abs(step) >= min_gap - 1e-12), true) AND
	   COALESCE(max(bin) FILTER (WHERE step < 0) < min(bin) FILTER (WHERE step > 0), true) AS is_valley
  FROM stepped GROUP BY kase, mask
HAVING bool_and(n > 0 AND n >= min_size AND g >= min_good AND b >= min_bad) AND count(*) <= min(max_bins);
CREATE FUNCTION lab.best(of_kase int, of_trend text) RETURNS TABLE (iv float8, n_bins bigint) LANGUAGE sql AS $$
SELECT m.iv, min(p.n_bins) FROM lab.partition p,
	(SELECT max(q.iv) AS iv FROM lab.partition q WHERE q.kase = of_kase AND
		CASE of_trend WHEN 'up' THEN is_up WHEN 'down' THEN is_down WHEN 'auto' THEN is_up OR is_down WHEN 'peak' THEN is_peak WHEN 'valley' THEN is_valley ELSE true END) m
 WHERE p.kase = of_kase AND p.iv >= m.iv - 1e-12 * abs(m.iv) AND
		CASE of_trend WHEN 'up' THEN is_up WHEN 'down' THEN is_down WHEN 'auto' THEN is_up OR is_down WHEN 'peak' THEN is_peak WHEN 'valley' THEN is_valley ELSE true END
 GROUP BY m.iv
$$;
CREATE TABLE lab.found AS
SELECT r.kase, t.trend, (SELECT credit.optimal_bins(x.v, x.bad, x.n, credit.binning_options(max_bins => r.max_bins, min_share => 0, min_size => r.min_size,
		min_good => r.min_good, min_bad => r.min_bad, min_gap => r.min_gap, trend => t.trend, adjustment => r.adjustment))
	  FROM (SELECT v, false AS bad, good AS n FROM lab.counted c WHERE c.kase = r.kase UNION ALL SELECT v, true, bad FROM lab.counted c WHERE c.kase = r.kase) x) AS b
  FROM lab.rule r, unnest(ARRAY['none', 'up', 'down', 'auto', 'peak', 'valley']) t (trend);
SELECT cmp_ok((SELECT count(*) FROM lab.partition), '>', 1000::bigint, 'there are partitions to choose from');
SELECT cmp_ok((SELECT count(*) FROM lab.found f, LATERAL lab.best(f.kase, f.trend) e WHERE e.n_bins > 1), '>', 300::bigint, 'many of the best have several bins');
SELECT is((SELECT count(*) FROM lab.found WHERE (b).iv IS NULL), 0::bigint, 'each case has both classes');
-- the bin of missing values has its own part, which no cut changes
SELECT is_empty($$
	SELECT f.kase, f.trend, (f.b).iv, e.iv, (f.b).n_regular, e.n_bins FROM lab.found f, LATERAL lab.best(f.kase, f.trend) e,
		LATERAL (SELECT sum(x.iv) AS iv FROM credit.bins(f.b) x WHERE x.kind = 'range') o
	 WHERE NOT (lab.same(o.iv, e.iv) OR abs(o.iv - e.iv) < 1e-12) OR (f.b).n_regular <> e.n_bins$$, 'the partition found is the best of all');
SELECT is_empty($$
	SELECT f.kase, f.trend FROM lab.found f WHERE NOT EXISTS (SELECT FROM lab.best(f.kase, f.trend)) AND ((f.b).n_regular <> 1 OR (f.b).trend <> 'none')$$, 'where none is allowed, there is one bin');
SELECT cmp_ok((SELECT count(*) FROM lab.found f WHERE NOT EXISTS (SELECT FROM lab.best(f.kase, f.trend))), '>', 4::bigint, 'which happens');
-- and it is a partition by the values between its bounds
SELECT is_empty($$
	SELECT f.kase, f.trend, x.bin FROM lab.found f, LATERAL credit.bins(f.b) x,
		LATERAL (SELECT COALESCE(sum(c.good), 0) AS good, COALESCE(sum(c.bad), 0) AS bad FROM lab.counted c
				  WHERE c.kase = f.kase AND CASE WHEN x.kind = 'missing' THEN c.v IS NULL ELSE c.v > COALESCE(x.lower, 0) AND c.v <= COALESCE(x.upper, 99) END) o
	 WHERE (x.good, x.bad, x.n) IS DISTINCT FROM (o.good::float8, o.bad::float8, (o.good + o.bad)::float8)
		OR NOT lab.same(x.bad_rate, x.bad / NULLIF(x.n, 0))$$, 'bins have the rows between their bounds');

-- pooling is isotonic regression: of each value, the greatest of least means
CREATE TABLE lab.pooled AS
SELECT k.kase, d.trend, (SELECT credit.optimal_bins(x.v, x.bad, x.n, credit.binning_options(method => 'pool', trend => d.trend, max_bins => 50, min_share => 0, min_size => 0, min_good => 0, min_bad => 0))
	  FROM (SELECT v, false AS bad, good AS n FROM lab.counted c WHERE c.kase = k.kase UNION ALL SELECT v, true, bad FROM lab.counted c WHERE c.kase = k.kase) x) AS b
  FROM lab.rule k, unnest(ARRAY['up', 'down']) d (trend);
CREATE VIEW lab.mean AS
SELECT a.kase, a.v AS low, b.v AS high, (SELECT sum(c.bad)::float8 / NULLIF(sum(c.good + c.bad), 0) FROM lab.counted c WHERE c.kase = a.kase AND c.v BETWEEN a.v AND b.v) AS rate
  FROM lab.counted a JOIN lab.counted b ON a.kase = b.kase AND a.v <= b.v;
CREATE TABLE lab.isotonic AS
SELECT kase, v, max(least) AS up, min(greatest) AS down FROM (
	SELECT c.kase, c.v, m.low, min(m.rate) AS least, max(m.rate) AS greatest FROM lab.counted c JOIN (SELECT * FROM lab.mean OFFSET 0) m ON m.kase = c.kase AND m.low <= c.v AND m.high >= c.v
	 WHERE c.good + c.bad > 0 GROUP BY 1, 2, 3) x GROUP BY 1, 2;
SELECT is_empty($$
	SELECT i.kase, i.v, x.bad_rate, CASE p.trend WHEN 'up' THEN i.up ELSE i.down END FROM lab.isotonic i JOIN lab.pooled p USING (kase),
		LATERAL (SELECT x.bad_rate FROM credit.bins(p.b) x WHERE x.bin = credit.bin_of(p.b, i.v::float8)) x
	 WHERE NOT lab.same(x.bad_rate, CASE p.trend WHEN 'up' THEN i.up ELSE i.down END)$$, 'pooling is isotonic regression');
SELECT cmp_ok((SELECT count(*) FROM lab.isotonic), '>', 500::bigint, 'over many values');

-- 2. Rows of every kind, and what bins say of them

CREATE TABLE lab.item AS
SELECT id, (random() * 40)::int AS k,
	   CASE WHEN r < 0.05 THEN NULL WHEN r < 0.06 THEN 'NaN' WHEN r < 0.07 THEN 'infinity' WHEN r < 0.08 THEN '-infinity' WHEN r < 0.10 THEN '-0'
			WHEN r < 0.12 THEN -999 WHEN r < 0.13 THEN (random() - 0.5) * 1e300 WHEN r < 0.5 THEN round((quality * 20)::numeric) ELSE quality * 100 END::float8 AS x,
	   CASE WHEN r < 0.05 THEN NULL WHEN r < 0.1 THEN '?' ELSE 'c' || round((quality * 40)::numeric) END AS c,
	   CASE WHEN random() < 0.01 THEN NULL ELSE random() < 0.6 / (1 + exp(3 * quality)) END AS bad,
	   round((random() * 3)::numeric, 2)::float8 AS w
  FROM (SELECT id, random() AS r, random() * 2 - 1 AS quality FROM generate_series(1, 20000) id OFFSET 0) y;
CREATE TABLE lab.shuffled AS SELECT * FROM lab.item ORDER BY random();
ANALYZE lab.item, lab.shuffled;
CREATE TABLE lab.binned AS
SELECT o.name, false AS weighted, (SELECT credit.optimal_bins(x, bad, o.options) FROM lab.item) AS numbers, (SELECT credit.optimal_bins(c, bad, o.options) FROM lab.item) AS categories
  FROM (VALUES ('default', credit.binning_options()), ('none', credit.binning_options(trend => 'none', max_bins => 20, min_share => 0.01)),
			   ('special', credit.binning_options(special_codes => '{-999,0,77}')), ('peak', credit.binning_options(trend => 'peak', min_gap => 0.02)),
			   ('few', credit.binning_options(max_prebins => 7, method => 'none'))) o (name, options)
UNION ALL SELECT 'weight', true, (SELECT credit.optimal_bins(x, bad, w, credit.binning_options(adjustment => 0)) FROM lab.item), (SELECT credit.optimal_bins(c, bad, w, credit.binning_options(adjustment => 0)) FROM lab.item);
SELECT is_empty($$
	SELECT b.name, x.bin, x.good, i.good, x.bad, i.bad FROM lab.binned b CROSS JOIN LATERAL credit.bins(b.numbers) x
	  LEFT JOIN (SELECT o.name, credit.bin_of(o.numbers, i.x) AS bin, sum(CASE WHEN o.weighted THEN i.w ELSE 1 END) FILTER (WHERE NOT i.bad) AS good,
						sum(CASE WHEN o.weighted THEN i.w ELSE 1 END) FILTER (WHERE i.bad) AS bad
				   FROM lab.item i, lab.binned o WHERE i.bad IS NOT NULL GROUP BY 1, 2) i ON (i.name, i.bin) = (b.name, x.bin)
	 WHERE NOT lab.same(COALESCE(i.good, 0), x.good) OR NOT lab.same(COALESCE(i.bad, 0), x.bad)$$, 'numbers: rows are found in the bin that counted them');
SELECT is_empty($$
	SELECT b.name, x.bin, x.good, i.good, x.bad, i.bad FROM lab.binned b CROSS JOIN LATERAL credit.bins(b.categories) x
	  LEFT JOIN (SELECT o.name, credit.bin_of(o.categories, i.c) AS bin, sum(CASE WHEN o.weighted THEN i.w ELSE 1 END) FILTER (WHERE NOT i.bad) AS good,
						sum(CASE WHEN o.weighted THEN i.w ELSE 1 END) FILTER (WHERE i.bad) AS bad
				   FROM lab.item i, lab.binned o WHERE i.bad IS NOT NULL GROUP BY 1, 2) i ON (i.name, i.bin) = (b.name, x.bin)
	 WHERE NOT lab.same(COALESCE(i.good, 0), x.good) OR NOT lab.same(COALESCE(i.bad, 0), x.bad)$$, 'categories: the same');
SELECT is((SELECT count(*) FROM lab.item i, lab.binned o, LATERAL (SELECT credit.bin_of(o.numbers, i.x) AS n, credit.bin_of(o.categories, i.c) AS c) f
	WHERE i.id <= 2000 AND (f.n IS NULL OR f.c IS NULL
	   OR credit.woe_of(o.numbers, i.x) IS DISTINCT FROM ((o.numbers).bins)[f.n].woe OR credit.woe_of(o.categories, i.c) IS DISTINCT FROM ((o.categories).bins)[f.c].woe)),
	0::bigint, 'each row has a bin, and its weight of evidence');
CREATE VIEW lab.bin AS
SELECT b.name || ' numbers' AS name, (b.numbers).good AS g, (b.numbers).bad AS b, (b.numbers).iv AS total, (b.numbers).adjustment AS a, (b.numbers).n, x.kind, x.good, x.bad, x.woe, x.iv
  FROM lab.binned b, LATERAL credit.bins(b.numbers) x
UNION ALL SELECT b.name || ' categories', (b.categories).good, (b.categories).bad, (b.categories).iv, (b.categories).adjustment, (b.categories).n, x.kind, x.good, x.bad, x.woe, x.iv
  FROM lab.binned b, LATERAL credit.bins(b.categories) x;
SELECT is_empty($$
	SELECT * FROM lab.bin WHERE NOT lab.same(woe, CASE WHEN kind IN ('special', 'missing') AND good + bad < 0.05 * n AND name !~ '^none' THEN 0
		WHEN kind IN ('special', 'missing') AND good + bad < 0.01 * n THEN 0 ELSE ln(((good + a) / g) / ((bad + a) / b)) END)
		OR abs(iv - (good / g - bad / b) * woe) > 1e-12$$, 'weight of evidence and information value by their formulas');
SELECT is_empty('SELECT name FROM lab.bin GROUP BY name HAVING abs(sum(iv) - min(total)) > 1e-12 OR NOT lab.same(sum(good), min(g)) OR NOT lab.same(sum(bad), min(b))', 'which add up');
-- pre-bins: cut where a multiple of a share of the rows is passed
SELECT is_empty($$
	WITH value AS (SELECT x + 0 AS x, count(*) AS n FROM lab.item WHERE bad IS NOT NULL AND x <> 'NaN' GROUP BY 1),
	running AS (SELECT x, n, sum(n) OVER (ORDER BY x) AS until, sum(n) OVER () AS of FROM value),
	ended AS (SELECT *, floor(until * 7 / of) > floor((until - n) * 7 / of) AS is_end FROM running),
	grouped AS (SELECT x, n, 1 + COALESCE(sum(is_end::int) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS prebin FROM ended)
	SELECT g.*, credit.bin_of(b.numbers, g.x) FROM grouped g, lab.binned b WHERE b.name = 'few' AND credit.bin_of(b.numbers, g.x) <> g.prebin$$, 'groups of values are cut at quantiles');
SELECT is((SELECT (numbers).n_regular FROM lab.binned WHERE name = 'few'), 7, 'into as many as asked for');

-- 3. To the last bit the same in every order, split and plan

\set figures 'credit.optimal_bins(x, bad) AS a, credit.optimal_bins(x, bad, w, credit.binning_options(trend => $$none$$, special_codes => $${-999}$$)) AS b, credit.optimal_bins(c, bad) AS c, credit.optimal_bins(c, bad, credit.binning_options(max_bins => 3, special_codes => $${?}$$)) AS d, credit.optimal_bins(c, bad, w, credit.binning_options()) AS e, credit.optimal_bins(x, bad, credit.binning_options(bounds => $${0,10,20}$$)) AS f'
\ir ../lib/split.sql
SELECT is((SELECT count(*) FROM lab.serial), 41::bigint, 'groups were compared');
SELECT matches(lab.plan('SELECT sum(credit.woe_of((SELECT a FROM lab.serial_whole), x)) FROM lab.shuffled'), 'Partial Aggregate', 'workers apply a binning');
SET LOCAL max_parallel_workers_per_gather = 0;
-- a state goes on after it was asked
SELECT is((SELECT count(*) FROM (
	SELECT id, credit.optimal_bins(x, bad) OVER w AS a, credit.optimal_bins(c, bad) OVER w AS c FROM lab.item WHERE id <= 600 WINDOW w AS (ORDER BY id)) r
	WHERE id % 50 = 0 AND a::text || c::text IS DISTINCT FROM (SELECT credit.optimal_bins(x, bad)::text || credit.optimal_bins(c, bad)::text FROM lab.item i WHERE i.id <= r.id)),
	0::bigint, 'in running windows');
-- a million numbers, each once
SELECT is((SELECT ((b).n, (b).n_regular > 1, (b).bad) FROM (SELECT credit.optimal_bins(g * 0.001, g % 7 < g / 200000) AS b FROM generate_series(1, 1000000) g) x)::text,
	(SELECT (count(*), true, count(*) FILTER (WHERE g % 7 < g / 200000)) FROM generate_series(1, 1000000) g)::text, 'a million numbers');
-- stored, dumped as text, and read again
SELECT is((SELECT count(*) FROM lab.binned WHERE numbers::text::credit.binning IS DISTINCT FROM numbers OR categories::text::credit.binning IS DISTINCT FROM categories), 0::bigint, 'there and back as text');
-- a call site that meets one binning after another
SELECT is((SELECT count(*) FROM lab.item i, lab.serial s WHERE i.id <= 500 AND credit.bin_of(s.a, i.x) IS DISTINCT FROM
	COALESCE((SELECT min(b.bin) FROM credit.bins(s.a) b WHERE CASE WHEN i.x IS NULL OR i.x = 'NaN' THEN b.kind = 'missing'
		ELSE b.kind = 'range' AND (b.lower IS NULL OR i.x > b.lower) AND (b.upper IS NULL OR i.x <= b.upper) END))), 0::bigint, 'binnings may change from row to row');

-- 4. States as bytes. An aggregate whose "state" is a bytea hands it over as
-- the serialized state of ours: what a worker sends, sound or not.

CREATE FUNCTION lab.load(internal, bytea) RETURNS internal LANGUAGE internal IMMUTABLE PARALLEL SAFE AS 'int8larger';
CREATE FUNCTION lab.send(internal) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'numeric_uplus';
CREATE AGGREGATE lab.optimal_bins(bytea) (SFUNC = lab.load, STYPE = internal, FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine, SERIALFUNC = lab.send, DESERIALFUNC = credit.binning_deserialize, PARALLEL = SAFE);
CREATE AGGREGATE lab.bytes(float8, boolean, credit.binning_option) (SFUNC = credit.binning_number_options, STYPE = internal, FINALFUNC = credit.binning_serialize);
CREATE AGGREGATE lab.bytes(float8, boolean, float8, credit.binning_option) (SFUNC = credit.binning_number_weight, STYPE = internal, FINALFUNC = credit.binning_serialize);
CREATE AGGREGATE lab.bytes(text, boolean, credit.binning_option) (SFUNC = credit.binning_category_options, STYPE = internal, FINALFUNC = credit.binning_serialize);
SET LOCAL max_parallel_workers_per_gather = 2;
-- the leader does the workers' part: nobody need be started for each of thousands
SET LOCAL max_parallel_workers = 0;
CREATE TABLE lab.row AS SELECT g AS x FROM generate_series(1, 1000) g;
ANALYZE lab.row;
-- without it the final function would take them for a state
DO $$ BEGIN
	IF lab.plan('SELECT lab.optimal_bins(''\x00'') FROM lab.row') !~ 'Partial Aggregate' THEN
		RAISE EXCEPTION 'no partial aggregate';
	END IF;
END $$;
CREATE FUNCTION lab.answer(state bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SELECT lab.optimal_bins(%L::bytea)::text FROM lab.row', state) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE TABLE lab.state AS
SELECT 'number' AS kind, lab.bytes(x, bad, credit.binning_options(special_codes => '{-999,0}', bounds => '{-10,0,10}')) AS state,
	   credit.optimal_bins(x, bad, credit.binning_options(special_codes => '{-999,0}', bounds => '{-10,0,10}'))::text AS result FROM lab.item WHERE id <= 30
UNION ALL SELECT 'category', lab.bytes(c, bad, credit.binning_options(special_codes => '{?}')), credit.optimal_bins(c, bad, credit.binning_options(special_codes => '{?}'))::text FROM lab.item WHERE id <= 20
UNION ALL SELECT 'weight', lab.bytes(x, bad, w, credit.binning_options()), credit.optimal_bins(x, bad, w, credit.binning_options())::text FROM lab.item WHERE id <= 20
UNION ALL SELECT 'empty', lab.bytes(x, NULL, credit.binning_options()), credit.optimal_bins(x, NULL, credit.binning_options())::text FROM lab.item WHERE id <= 3;
SELECT is(lab.answer(state), result, 'there and back: ' || kind) FROM lab.state;
SELECT is((SELECT string_agg(DISTINCT lab.answer(substr(s.state, 1, n)), ' ') FROM lab.state s, generate_series(0, length(s.state) - 1) n WHERE lab.answer(substr(s.state, 1, n)) NOT IN ('08P01', '22P03', '22023')),
	NULL, 'nothing shorter is taken');
SELECT is((SELECT string_agg(DISTINCT lab.answer(s.state || '\x00'), ' ') FROM lab.state s), '08P01', 'nor anything longer');
SELECT is((SELECT string_agg(DISTINCT lab.answer(set_byte(state, 0, 2)), ' ') FROM lab.state s), '22P03', 'nor another version');
SELECT is((SELECT string_agg(DISTINCT lab.answer(set_byte(state, 1, 4)), ' ') FROM lab.state s), '22P03', 'nor unknown flags');
SELECT is((SELECT string_agg(DISTINCT lab.answer(set_byte(state, 2, 255)), ' ') FROM lab.state s), '22P03', 'nor negative counts');
-- Every byte with some other value, and random noise: an answer or a refusal.
CREATE TABLE lab.mutant AS
SELECT n, lab.answer(set_byte(state, n, v)) AS answer
  FROM lab.state, generate_series(0, length(state) - 1) n, LATERAL (VALUES (0), (1), (127), (255), ((random() * 255)::int)) b(v)
 WHERE n < 500;
SELECT cmp_ok((SELECT count(*) FROM lab.mutant), '>', 3000::bigint, 'thousands of changed states');
SELECT is((SELECT string_agg(DISTINCT answer, ' ' ORDER BY answer) FROM lab.mutant WHERE length(answer) = 5 AND answer NOT IN ('08P01', '22003', '22023', '22021', '22P03')), NULL, 'are refused in words');
SELECT cmp_ok((SELECT count(*) FROM lab.mutant WHERE length(answer) > 5), '>', 300::bigint, 'or answered');
SELECT is((SELECT count(*) FROM lab.mutant WHERE answer ~ 'NaN|Infinity,'), 0::bigint, 'never with NaN');
CREATE TABLE lab.noise AS
SELECT lab.answer('\x0100' || decode(string_agg(lpad(to_hex((random() * 255)::int), 2, '0'), ''), 'hex')) AS answer
  FROM generate_series(1, 300) g, generate_series(1, 200) GROUP BY g;
SELECT is((SELECT count(*) FROM lab.noise WHERE answer NOT IN ('08P01', '22P03', '22023', '22003')), 0::bigint, 'noise is refused');

-- a catalog that is newer than the library
SAVEPOINT other_catalog;
ALTER TYPE credit.binning_option ADD ATTRIBUTE more text;
SELECT throws_ok($$SELECT credit.optimal_bins(x, true, ROW(1, 1, 0, 0, 0, 0, 0, 'up', 0, NULL, NULL, 'none', NULL)::credit.binning_option) FROM lab.row$$, '55000',
	'type credit.binning_option does not have the same columns in library and catalog', 'is noticed');
ROLLBACK TO other_catalog;

-- 5. Analysts may, nobody else

CREATE ROLE credit_binning_analyst;
CREATE ROLE credit_binning_nobody;
GRANT USAGE ON SCHEMA lab TO credit_binning_analyst, credit_binning_nobody;
GRANT SELECT ON lab.row TO credit_binning_analyst, credit_binning_nobody;
SELECT credit.grant_analyst('credit_binning_analyst');
GRANT USAGE ON SCHEMA credit TO credit_binning_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO credit_binning_analyst, credit_binning_nobody;
SET LOCAL ROLE credit_binning_analyst;
SELECT cmp_ok((SELECT (credit.optimal_bins(x, x % 100 < x / 20)).iv FROM lab.row), '>', 0.1::float8, 'an analyst bins');
SET LOCAL ROLE credit_binning_nobody;
SELECT throws_ok('SELECT credit.optimal_bins(x, x < 100) FROM lab.row', '42501', NULL, 'others do not');
RESET ROLE;

-- Worked examples

CREATE TABLE mean_radius (bin int, good int, bad int, woe float8, iv float8);
INSERT INTO mean_radius VALUES (1, 3, 115, -3.12517, 0.962483), (2, 3, 76, -2.710972, 0.538763), (3, 7, 61, -1.643814, 0.226599), (4, 10, 39, -0.839827, 0.052131), (5, 28, 55, -0.153979, 0.003385), (6, 44, 10, 2.002754, 0.359566), (7, 117, 1, 5.283323, 2.900997);
CREATE TABLE mean_radius_bins AS
SELECT credit.optimal_bins(t.bin::float8, w.bad, w.n, credit.binning_options(bounds => '{1,2,3,4,5,6}', method => 'none', adjustment => 0, min_share => 0)) AS b
  FROM mean_radius t, LATERAL (VALUES (false, t.good::float8), (true, t.bad::float8)) w (bad, n);
SELECT is((SELECT round((b).iv::numeric, 8) FROM mean_radius_bins), 5.04392547, 'mean radius: WoE and IV as the documentation of optbinning prints them, in total');
SELECT ok(bool_and(abs(x.woe - t.woe) < 1e-6 AND abs(x.iv - t.iv) < 1e-6 AND x.n = t.good + t.bad) AND count(*) = 7, 'mean radius: WoE and IV as the documentation of optbinning prints them, bin by bin')
  FROM mean_radius_bins s, credit.bins(s.b) x JOIN mean_radius t USING (bin);

CREATE TABLE name_income_type (bin int, good int, bad int, woe float8, iv float8);
INSERT INTO name_income_type VALUES (1, 52380, 2982, 0.433445, 0.028249), (2, 66257, 5360, 0.082092, 0.001516), (3, 143550, 15224, -0.188675, 0.019895), (4, 20499, 1259, 0.357573, 0.007795);
CREATE TABLE name_income_type_bins AS
SELECT credit.optimal_bins(t.bin::float8, w.bad, w.n, credit.binning_options(bounds => '{1,2,3}', method => 'none', adjustment => 0, min_share => 0)) AS b
  FROM name_income_type t, LATERAL (VALUES (false, t.good::float8), (true, t.bad::float8)) w (bad, n);
SELECT is((SELECT round((b).iv::numeric, 8) FROM name_income_type_bins), 0.05745546, 'income type: likewise, in total');
SELECT ok(bool_and(abs(x.woe - t.woe) < 1e-6 AND abs(x.iv - t.iv) < 1e-6 AND x.n = t.good + t.bad) AND count(*) = 4, 'income type: likewise, bin by bin')
  FROM name_income_type_bins s, credit.bins(s.b) x JOIN name_income_type t USING (bin);

SELECT * FROM finish();
ROLLBACK;

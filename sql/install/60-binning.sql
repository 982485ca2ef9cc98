/*
 * Subject binning: optimal bins of a characteristic by information value.
 *
 * An aggregate over arguments only, and functions that apply what it returns:
 * they read no table of the extension.  src/binning.c counts, binning_cut.c
 * cuts, binning_apply.c applies.
 */
CREATE TYPE credit.bin AS (
	bin integer,
	kind text,
	lower float8,
	upper float8,
	categories text[],
	n float8,
	good float8,
	bad float8,
	bad_rate float8,
	woe float8,
	iv float8);
COMMENT ON TYPE credit.bin IS
'A bin of a characteristic. Counts are of rows, or of weight where there are weights.';
COMMENT ON COLUMN credit.bin.bin IS 'Number of the bin, from 1: ranges or categories first, then special codes, missing values last.';
COMMENT ON COLUMN credit.bin.kind IS 'Word for what is in it: range, categories, special (a special code) or missing (NULL and NaN).';
COMMENT ON COLUMN credit.bin.lower IS 'Lower bound of a range, not in the bin; NULL: none. Of a special code: the code.';
COMMENT ON COLUMN credit.bin.upper IS 'Upper bound of a range, in the bin; NULL: none. Of a special code: the code.';
COMMENT ON COLUMN credit.bin.categories IS 'Categories in the bin, by ascending bad rate. NULL for numbers.';
COMMENT ON COLUMN credit.bin.n IS 'Good and bad ones.';
COMMENT ON COLUMN credit.bin.good IS 'Those that did not default.';
COMMENT ON COLUMN credit.bin.bad IS 'Those that defaulted.';
COMMENT ON COLUMN credit.bin.bad_rate IS 'bad / n. NULL for an empty bin.';
COMMENT ON COLUMN credit.bin.woe IS 'Weight of evidence: ln(((good + a) / all good) / ((bad + a) / all bad)), a the adjustment. Positive: better than average. 0 for an empty bin, and for special codes and missing values below the smallest size of a bin. NULL where a class is empty.';
COMMENT ON COLUMN credit.bin.iv IS 'What the bin adds to the information value: (good / all good - bad / all bad) woe.';

CREATE TYPE credit.binning AS (
	is_categorical boolean,
	trend text,
	adjustment float8,
	n float8,
	good float8,
	bad float8,
	n_regular integer,
	iv float8,
	n_skipped bigint,
	bins credit.bin[]);
COMMENT ON TYPE credit.binning IS
'Bins of a characteristic, as optimal_bins() finds them and bin_of(), woe_of() and scorecards apply them. Can be stored in a column.';
COMMENT ON COLUMN credit.binning.is_categorical IS 'True: values are categories; false: numbers.';
COMMENT ON COLUMN credit.binning.trend IS 'Which way the bad rate goes over the ranges: up, down, peak or valley; none: no rule, or a single bin.';
COMMENT ON COLUMN credit.binning.adjustment IS 'What was added to good and bad of each bin for the weight of evidence.';
COMMENT ON COLUMN credit.binning.n IS 'Rows with an outcome, or their weight, missing values included.';
COMMENT ON COLUMN credit.binning.good IS 'Those that did not default.';
COMMENT ON COLUMN credit.binning.bad IS 'Those that defaulted.';
COMMENT ON COLUMN credit.binning.n_regular IS 'Number of bins that are ranges or categories. 1: the characteristic says nothing.';
COMMENT ON COLUMN credit.binning.iv IS 'Information value: the sum over all bins. Below 0.02 none, to 0.1 weak, to 0.3 medium, to 0.5 strong, above suspect. NULL where a class is empty.';
COMMENT ON COLUMN credit.binning.n_skipped IS 'Number of rows left out: outcome or weight NULL, or weight 0.';
COMMENT ON COLUMN credit.binning.bins IS 'The bins; as a table: credit.bins().';

CREATE TYPE credit.binning_option AS (
	max_prebins integer,
	max_bins integer,
	min_share float8,
	min_size float8,
	min_good float8,
	min_bad float8,
	min_gap float8,
	trend text,
	adjustment float8,
	special_codes text[],
	bounds float8[],
	method text);
COMMENT ON TYPE credit.binning_option IS
'Options of optimal_bins(); made by binning_options(), which has the defaults. NULL: the default.';
COMMENT ON COLUMN credit.binning_option.max_prebins IS 'Most groups of values that bins are made of, 1 to 200.';
COMMENT ON COLUMN credit.binning_option.max_bins IS 'Most bins, 1 to 50, special codes and missing values apart.';
COMMENT ON COLUMN credit.binning_option.min_share IS 'Smallest share of all rows that a bin has, 0 to 1.';
COMMENT ON COLUMN credit.binning_option.min_size IS 'Smallest number of rows that a bin has; the larger of the two counts.';
COMMENT ON COLUMN credit.binning_option.min_good IS 'Smallest number of good ones in a bin.';
COMMENT ON COLUMN credit.binning_option.min_bad IS 'Smallest number of bad ones in a bin.';
COMMENT ON COLUMN credit.binning_option.min_gap IS 'Least difference of the bad rates of neighbours under a trend; 0: they must differ.';
COMMENT ON COLUMN credit.binning_option.trend IS 'Which way the bad rate must go: none, up, down, auto (up or down, the better), peak (up, then down), valley (down, then up). Of numbers only.';
COMMENT ON COLUMN credit.binning_option.adjustment IS 'What is added to good and bad of each bin for the weight of evidence.';
COMMENT ON COLUMN credit.binning_option.special_codes IS 'Values that each have a bin of their own, outside the trend: {-999}.';
COMMENT ON COLUMN credit.binning_option.bounds IS 'Upper bounds of the groups that bins are made of, instead of quantiles. Of numbers only.';
COMMENT ON COLUMN credit.binning_option.method IS 'Word for how groups are joined: optimal (greatest information value), pool (pool adjacent violators of the trend), none (the groups are the bins).';

CREATE FUNCTION credit.binning_options
	(max_prebins integer DEFAULT 50, max_bins integer DEFAULT 6,
	 min_share float8 DEFAULT 0.05, min_size float8 DEFAULT 30,
	 min_good float8 DEFAULT 1, min_bad float8 DEFAULT 1, min_gap float8 DEFAULT 0,
	 trend text DEFAULT 'auto', adjustment float8 DEFAULT 0.5,
	 special_codes text[] DEFAULT NULL, bounds float8[] DEFAULT NULL,
	 method text DEFAULT 'optimal')
RETURNS credit.binning_option
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT ROW(max_prebins, max_bins, min_share, min_size, min_good, min_bad, min_gap,
			   trend, adjustment, special_codes, bounds, method)::credit.binning_option;
END;
COMMENT ON FUNCTION credit.binning_options(integer, integer, float8, float8, float8, float8, float8, text, float8, text[], float8[], text) IS
'Options of optimal_bins(): at most max_bins bins out of at most max_prebins groups of values, each bin with at least min_share of the rows and min_size rows, min_good good and min_bad bad ones, and a bad rate that follows the trend.';

/* --- support functions ------------------------------------------------------ */

CREATE FUNCTION credit.binning_number(internal, float8, boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_number';
COMMENT ON FUNCTION credit.binning_number(internal, float8, boolean) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_number_options(internal, float8, boolean, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_number_options';
COMMENT ON FUNCTION credit.binning_number_options(internal, float8, boolean, credit.binning_option) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_number_weight(internal, float8, boolean, float8, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_number_weight';
COMMENT ON FUNCTION credit.binning_number_weight(internal, float8, boolean, float8, credit.binning_option) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_category(internal, text, boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_category';
COMMENT ON FUNCTION credit.binning_category(internal, text, boolean) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_category_options(internal, text, boolean, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_category_options';
COMMENT ON FUNCTION credit.binning_category_options(internal, text, boolean, credit.binning_option) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_category_weight(internal, text, boolean, float8, credit.binning_option) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_category_weight';
COMMENT ON FUNCTION credit.binning_category_weight(internal, text, boolean, float8, credit.binning_option) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_combine';
COMMENT ON FUNCTION credit.binning_combine(internal, internal) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'credit_binning_serialize';
COMMENT ON FUNCTION credit.binning_serialize(internal) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE STRICT
AS 'MODULE_PATHNAME', 'credit_binning_deserialize';
COMMENT ON FUNCTION credit.binning_deserialize(bytea, internal) IS 'Support function of aggregate optimal_bins().';

CREATE FUNCTION credit.binning_final(internal) RETURNS credit.binning
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_binning_final';
COMMENT ON FUNCTION credit.binning_final(internal) IS 'Support function of aggregate optimal_bins().';

/* --- the aggregate ----------------------------------------------------------- */

CREATE AGGREGATE credit.optimal_bins(value float8, is_bad boolean) (
	SFUNC = credit.binning_number, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(float8, boolean) IS
'Bins of numbers with the greatest information value under the constraints, exact; is_bad true: a default. With the default options.';

CREATE AGGREGATE credit.optimal_bins(value float8, is_bad boolean, options credit.binning_option) (
	SFUNC = credit.binning_number_options, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(float8, boolean, credit.binning_option) IS
'Bins of numbers with the greatest information value under the constraints, exact; is_bad true: a default. Options: credit.binning_options().';

CREATE AGGREGATE credit.optimal_bins(value float8, is_bad boolean, weight float8, options credit.binning_option) (
	SFUNC = credit.binning_number_weight, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(float8, boolean, float8, credit.binning_option) IS
'Bins of numbers with the greatest information value under the constraints, exact; is_bad true: a default. A weight of 2 counts as two rows; 0: the row is left out.';

CREATE AGGREGATE credit.optimal_bins(value text, is_bad boolean) (
	SFUNC = credit.binning_category, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(text, boolean) IS
'Bins of categories with the greatest information value under the constraints, exact; is_bad true: a default. With the default options.';

CREATE AGGREGATE credit.optimal_bins(value text, is_bad boolean, options credit.binning_option) (
	SFUNC = credit.binning_category_options, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(text, boolean, credit.binning_option) IS
'Bins of categories with the greatest information value under the constraints, exact; is_bad true: a default. Options: credit.binning_options().';

CREATE AGGREGATE credit.optimal_bins(value text, is_bad boolean, weight float8, options credit.binning_option) (
	SFUNC = credit.binning_category_weight, STYPE = internal, SSPACE = 512,
	FINALFUNC = credit.binning_final,
	COMBINEFUNC = credit.binning_combine,
	SERIALFUNC = credit.binning_serialize, DESERIALFUNC = credit.binning_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.optimal_bins(text, boolean, float8, credit.binning_option) IS
'Bins of categories with the greatest information value under the constraints, exact; is_bad true: a default. A weight of 2 counts as two rows; 0: the row is left out.';

/* --- tables and application ---------------------------------------------------- */

CREATE FUNCTION credit.bins(binning credit.binning) RETURNS SETOF credit.bin
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE ROWS 8
BEGIN ATOMIC
	SELECT b.* FROM pg_catalog.unnest((binning).bins) b;
END;
COMMENT ON FUNCTION credit.bins(credit.binning) IS 'The bins as a table: the WoE and IV table of a characteristic.';

CREATE FUNCTION credit.bin_label(bin credit.bin) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE
		WHEN (bin).kind = 'missing' THEN 'missing'
		WHEN (bin).categories IS NOT NULL THEN pg_catalog.array_to_string((bin).categories, ', ')
		WHEN (bin).kind = 'special' THEN (bin).lower::text
		WHEN (bin).lower IS NULL AND (bin).upper IS NULL THEN 'any'
		WHEN (bin).lower IS NULL THEN 'up to ' || (bin).upper::text
		WHEN (bin).upper IS NULL THEN 'above ' || (bin).lower::text
		ELSE 'above ' || (bin).lower::text || ' up to ' || (bin).upper::text END;
END;
COMMENT ON FUNCTION credit.bin_label(credit.bin) IS 'What is in a bin, in words: above 2 up to 5.';

CREATE FUNCTION credit.bin_of(binning credit.binning, value float8) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_bin_of_number';
COMMENT ON FUNCTION credit.bin_of(credit.binning, float8) IS
'Number of the bin that a number falls into; of NULL and NaN that of the missing values. NULL where there is no such bin.';

CREATE FUNCTION credit.bin_of(binning credit.binning, value text) RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_bin_of_category';
COMMENT ON FUNCTION credit.bin_of(credit.binning, text) IS
'Number of the bin that a category falls into; of NULL that of the missing values. NULL for an unknown category.';

CREATE FUNCTION credit.woe_of(binning credit.binning, value float8) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_woe_of_number';
COMMENT ON FUNCTION credit.woe_of(credit.binning, float8) IS
'Weight of evidence of a number, as stored with the bin that it falls into.';

CREATE FUNCTION credit.woe_of(binning credit.binning, value text) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_woe_of_category';
COMMENT ON FUNCTION credit.woe_of(credit.binning, text) IS
'Weight of evidence of a category, as stored with the bin that it falls into; 0 for an unknown one.';

CREATE FUNCTION credit.manual_bins(bounds float8[], woe float8[], missing_woe float8 DEFAULT 0)
RETURNS credit.binning
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n integer := COALESCE(cardinality(bounds), 0) + 1;
BEGIN
	IF COALESCE(cardinality(woe), 0) <> n OR array_position(woe, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'manual bins need one weight of evidence more than bounds'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('There are %s bounds and %s weights of evidence.', n - 1, COALESCE(cardinality(woe), 0));
	END IF;
	RETURN ROW(false, 'none', NULL, NULL, NULL, NULL, n, NULL, NULL,
		(SELECT array_agg(ROW(i, CASE WHEN i <= n THEN 'range' ELSE 'missing' END,
							  bounds[array_lower(bounds, 1) + i - 2],
							  CASE WHEN i < n THEN bounds[array_lower(bounds, 1) + i - 1] END,
							  NULL, NULL, NULL, NULL, NULL,
							  CASE WHEN i <= n THEN woe[array_lower(woe, 1) + i - 1] ELSE COALESCE(missing_woe, 0) END,
							  NULL)::credit.bin ORDER BY i)
		   FROM generate_series(1, n + 1) i))::credit.binning;
END
$$;
COMMENT ON FUNCTION credit.manual_bins(float8[], float8[], float8) IS
'A binning by hand: ascending upper bounds of all bins but the last, the weight of evidence of each bin, and that of missing values.';

CREATE FUNCTION credit.manual_category_bins(categories text[], woe float8[], missing_woe float8 DEFAULT 0)
RETURNS credit.binning
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n integer := COALESCE(cardinality(categories), 0);
BEGIN
	IF COALESCE(cardinality(woe), 0) <> n OR array_position(woe, NULL) IS NOT NULL
	   OR array_position(categories, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'manual bins need a weight of evidence for each category'
			USING ERRCODE = 'invalid_parameter_value',
				  DETAIL = format('There are %s categories and %s weights of evidence.', n, COALESCE(cardinality(woe), 0));
	END IF;
	RETURN ROW(true, 'none', NULL, NULL, NULL, NULL, n, NULL, NULL,
		(SELECT array_agg(ROW(i, CASE WHEN i <= n THEN 'categories' ELSE 'missing' END, NULL, NULL,
							  CASE WHEN i <= n THEN ARRAY[categories[array_lower(categories, 1) + i - 1]] END,
							  NULL, NULL, NULL, NULL,
							  CASE WHEN i <= n THEN woe[array_lower(woe, 1) + i - 1] ELSE COALESCE(missing_woe, 0) END,
							  NULL)::credit.bin ORDER BY i)
		   FROM generate_series(1, n + 1) i))::credit.binning;
END
$$;
COMMENT ON FUNCTION credit.manual_category_bins(text[], float8[], float8) IS
'The same for categories, each in a bin of its own.';

CREATE FUNCTION credit.woe(good float8[], bad float8[], adjustment float8 DEFAULT 0.5) RETURNS float8[]
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_woe';
COMMENT ON FUNCTION credit.woe(float8[], float8[], float8) IS
'Weights of evidence of bins that are counted already: ln(((good + a) / all good) / ((bad + a) / all bad)). An element is NULL where it would be infinite.';

CREATE FUNCTION credit.information_value(good float8[], bad float8[], adjustment float8 DEFAULT 0.5) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_information_value';
COMMENT ON FUNCTION credit.information_value(float8[], float8[], float8) IS
'Information value of bins that are counted already. NULL where a class is empty, or a weight of evidence would be infinite.';

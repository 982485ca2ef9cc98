/*
 * Subject calibrate: from scores to probabilities of default.
 *
 * The fits stand on the transition functions of subject validation, over
 * anybody's scores; the rest is arithmetic.  src/calibrate.c.
 */

/* --- shift to another default rate ------------------------------------------- */

CREATE FUNCTION credit.rate_shift(sample_rate float8, target_rate float8) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_rate_shift';
COMMENT ON FUNCTION credit.rate_shift(float8, float8) IS
'Shift of log-odds from the default rate of a sample to that of the population (King and Zeng 2001): for shift_probability(). Exact where odds are; the mean of the shifted probabilities only comes near the target: see aggregate prior_shift().';

CREATE FUNCTION credit.prior_shift_accum(internal, probability float8, target_rate float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_accum';
COMMENT ON FUNCTION credit.prior_shift_accum(internal, float8, float8) IS
'Part of aggregate prior_shift(): adds a row.';

CREATE FUNCTION credit.prior_shift_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_combine';
COMMENT ON FUNCTION credit.prior_shift_combine(internal, internal) IS
'Part of aggregate prior_shift(): adds what another process has collected.';

CREATE FUNCTION credit.prior_shift_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_serialize';
COMMENT ON FUNCTION credit.prior_shift_serialize(internal) IS
'Part of aggregate prior_shift(): the state for another process.';

CREATE FUNCTION credit.prior_shift_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_deserialize';
COMMENT ON FUNCTION credit.prior_shift_deserialize(bytea, internal) IS
'Part of aggregate prior_shift(): the state of another process.';

CREATE FUNCTION credit.prior_shift_final(internal) RETURNS float8
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prior_shift_final';
COMMENT ON FUNCTION credit.prior_shift_final(internal) IS
'Part of aggregate prior_shift(): the result.';

CREATE AGGREGATE credit.prior_shift(probability float8, target_rate float8) (
	SFUNC = credit.prior_shift_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.prior_shift_final,
	COMBINEFUNC = credit.prior_shift_combine,
	SERIALFUNC = credit.prior_shift_serialize, DESERIALFUNC = credit.prior_shift_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.prior_shift(float8, float8) IS
'Shift of log-odds with which the mean of these probabilities is exactly the target rate: for shift_probability(). NULL without rows.';

CREATE FUNCTION credit.shift_probability(probability float8, shift float8) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_shift_probability';
COMMENT ON FUNCTION credit.shift_probability(float8, float8) IS
'A probability with its log-odds shifted by what rate_shift() or prior_shift() gave. Probabilities are taken no nearer to 0 and 1 than 1e-6.';

/* --- Platt -------------------------------------------------------------------- */

CREATE TYPE credit.platt_fit AS (
	n bigint,
	n_default bigint,
	intercept float8,
	slope float8,
	coefficients float8[],
	target_good float8,
	target_default float8,
	n_skipped bigint);
COMMENT ON TYPE credit.platt_fit IS
'A logistic curve from score to probability of default: 1 / (1 + exp(-intercept - slope * score)).';
COMMENT ON COLUMN credit.platt_fit.n IS 'Number of rows with a score and an outcome.';
COMMENT ON COLUMN credit.platt_fit.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.platt_fit.intercept IS 'Log-odds of default at score 0. NULL with one class or one score only, as slope and coefficients.';
COMMENT ON COLUMN credit.platt_fit.slope IS 'Log-odds of default per point of score: negative where higher scores are better customers.';
COMMENT ON COLUMN credit.platt_fit.coefficients IS 'Both, for logit_probability(coefficients, ARRAY[score]).';
COMMENT ON COLUMN credit.platt_fit.target_good IS 'What a good row counts as: 1 / (number of good + 2).';
COMMENT ON COLUMN credit.platt_fit.target_default IS 'What a bad row counts as: (n_default + 1) / (n_default + 2). The two keep the curve finite, whatever the rows.';
COMMENT ON COLUMN credit.platt_fit.n_skipped IS 'Number of rows left out: score NULL or NaN, or outcome NULL.';

CREATE FUNCTION credit.fit_platt_final(internal) RETURNS credit.platt_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_fit_platt_final';
COMMENT ON FUNCTION credit.fit_platt_final(internal) IS
'Part of aggregate fit_platt(): the result.';

CREATE AGGREGATE credit.fit_platt(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.fit_platt_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.fit_platt(float8, boolean) IS
'Fits a logistic curve from score to probability of default, with Platts targets in place of 0 and 1.';

CREATE AGGREGATE credit.fit_platt(score float8, is_default boolean, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.fit_platt_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.fit_platt(float8, boolean, float8) IS
'The same with rows that count as weight rows, in the targets as well; n and n_default are numbers of rows. Weights are taken to six decimals; NULL and 0 leave a row out.';

/* --- isotonic regression -------------------------------------------------------- */

CREATE TYPE credit.isotonic_fit AS (
	n bigint,
	n_default bigint,
	score_low float8[],
	score_high float8[],
	block_n bigint[],
	block_default bigint[],
	probability float8[],
	n_skipped bigint);
COMMENT ON TYPE credit.isotonic_fit IS
'A falling step function from score to probability of default, one element of each array per block, lowest scores first; as a table: SELECT b.* FROM unnest(f.score_low, f.score_high, f.block_n, f.block_default, f.probability) b.';
COMMENT ON COLUMN credit.isotonic_fit.n IS 'Number of rows with a score and an outcome.';
COMMENT ON COLUMN credit.isotonic_fit.n_default IS 'Number of those that are bad (defaults). With less than 100, prefer fit_platt().';
COMMENT ON COLUMN credit.isotonic_fit.score_low IS 'Lowest score of each block.';
COMMENT ON COLUMN credit.isotonic_fit.score_high IS 'Highest score of each block.';
COMMENT ON COLUMN credit.isotonic_fit.block_n IS 'Number of its rows; with weights their weight, rounded.';
COMMENT ON COLUMN credit.isotonic_fit.block_default IS 'Number of its bad rows; likewise.';
COMMENT ON COLUMN credit.isotonic_fit.probability IS 'Default rate of each block: falls from block to block. 0 and 1 are possible at the ends: see isotonic_probability().';
COMMENT ON COLUMN credit.isotonic_fit.n_skipped IS 'Number of rows left out: score NULL or NaN, or outcome NULL.';

CREATE FUNCTION credit.fit_isotonic_final(internal) RETURNS credit.isotonic_fit
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_fit_isotonic_final';
COMMENT ON FUNCTION credit.fit_isotonic_final(internal) IS
'Part of aggregate fit_isotonic(): the result.';

CREATE AGGREGATE credit.fit_isotonic(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.fit_isotonic_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.fit_isotonic(float8, boolean) IS
'Default rates that fall as scores rise and are the most likely ones of that kind (pool adjacent violators). A probability of default that is to be calibrated is put in as its negative.';

CREATE AGGREGATE credit.fit_isotonic(score float8, is_default boolean, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.fit_isotonic_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.fit_isotonic(float8, boolean, float8) IS
'The same with rows that count as weight rows; n and n_default are numbers of rows. Weights are taken to six decimals; NULL and 0 leave a row out.';

CREATE FUNCTION credit.isotonic_probability
	(score float8, score_low float8[], probability float8[], floor float8 DEFAULT 0.0003)
RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_isotonic_probability';
COMMENT ON FUNCTION credit.isotonic_probability(float8, float8[], float8[], float8) IS
'Probability of default of a score by the blocks of fit_isotonic(), not below floor. A score between two blocks takes the lower, worse one; beyond the ends the block at the end counts. NULL for NaN.';

/* --- few defaults ----------------------------------------------------------------- */

CREATE FUNCTION credit.shrink_rate
	(n_default bigint, n bigint, segment_rate float8, strength float8 DEFAULT 100)
RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_shrink_rate';
COMMENT ON FUNCTION credit.shrink_rate(bigint, bigint, float8, float8) IS
'Default rate of a small group, drawn towards that of its segment as if strength more customers had been seen there: (n_default + strength * segment_rate) / (n + strength).';

CREATE FUNCTION credit.prudent_rate
	(n_default bigint, n bigint, confidence float8 DEFAULT 0.9)
RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_prudent_rate';
COMMENT ON FUNCTION credit.prudent_rate(bigint, bigint, float8) IS
'Upper bound of a default rate: with a higher rate, so few defaults would come about with a probability below 1 - confidence (binomial, customers independent; Pluto and Tasche 2005). Put in the counts of a grade together with those of all worse ones. 1 where all have defaulted.';

/*
 * Subject validation: how good scores, probabilities and ratings are.
 *
 * Aggregates over arguments only: they read no table of the extension and serve
 * over anybody's scores.  src/validation.c, calibration.c, stability.c,
 * agreement.c.
 */
CREATE TYPE credit.discrimination_result AS (
	n bigint,
	n_default bigint,
	auc float8,
	auc_se float8,
	auc_low float8,
	auc_high float8,
	auc_logit_low float8,
	auc_logit_high float8,
	gini float8,
	ks float8,
	ks_score float8,
	n_skipped bigint);
COMMENT ON TYPE credit.discrimination_result IS
'How well scores tell bad from good. A higher score is a better customer; all figures are ratios but the counts and ks_score. NULL where a class has no row.';
COMMENT ON COLUMN credit.discrimination_result.n IS 'Number of rows with a score and an outcome.';
COMMENT ON COLUMN credit.discrimination_result.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.discrimination_result.auc IS 'Probability that a good one has a higher score than a bad one, ties counted half (Mann-Whitney). 0.5: no better than chance; below: the scores are the wrong way round.';
COMMENT ON COLUMN credit.discrimination_result.auc_se IS 'Standard error of auc (DeLong et al. 1988). NULL with less than two rows of a class.';
COMMENT ON COLUMN credit.discrimination_result.auc_low IS 'Lower end of the 95 % interval of auc, not below 0.';
COMMENT ON COLUMN credit.discrimination_result.auc_high IS 'Upper end of the 95 % interval of auc, not above 1.';
COMMENT ON COLUMN credit.discrimination_result.auc_logit_low IS 'The lower end by way of the logit of auc: better with few bad ones. NULL where auc is 0 or 1.';
COMMENT ON COLUMN credit.discrimination_result.auc_logit_high IS 'The upper end by way of the logit.';
COMMENT ON COLUMN credit.discrimination_result.gini IS 'Gini coefficient, or accuracy ratio: 2 auc - 1.';
COMMENT ON COLUMN credit.discrimination_result.ks IS 'Kolmogorov-Smirnov: the largest distance between the shares of bad and of good at or below a score.';
COMMENT ON COLUMN credit.discrimination_result.ks_score IS 'Lowest score at which that distance is reached.';
COMMENT ON COLUMN credit.discrimination_result.n_skipped IS 'Number of rows left out: score NULL or NaN, or outcome NULL.';

CREATE TYPE credit.cap_point AS (
	share float8,
	captured float8,
	lift float8,
	score float8);
COMMENT ON TYPE credit.cap_point IS
'A point of the CAP curve: the worst rows first, that is, from the lowest score up.';
COMMENT ON COLUMN credit.cap_point.share IS 'Share of all rows taken, 0 to 1.';
COMMENT ON COLUMN credit.cap_point.captured IS 'Share of the bad ones among them. NULL where there is no bad one.';
COMMENT ON COLUMN credit.cap_point.lift IS 'captured / share: how many times as many bad ones as in a random choice.';
COMMENT ON COLUMN credit.cap_point.score IS 'Score at which the share ends. Rows of this score are taken in proportion.';

CREATE TYPE credit.calibration_result AS (
	n bigint,
	n_default bigint,
	default_rate float8,
	mean_probability float8,
	brier float8,
	brier_skill float8,
	log_loss float8,
	hosmer_lemeshow float8,
	hl_groups integer,
	hl_p float8,
	hl_p_development float8,
	slope float8,
	intercept float8,
	intercept_in_the_large float8,
	n_skipped bigint);
COMMENT ON TYPE credit.calibration_result IS
'Whether probabilities of default come true.';
COMMENT ON COLUMN credit.calibration_result.n IS 'Number of rows with a probability and an outcome.';
COMMENT ON COLUMN credit.calibration_result.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.calibration_result.default_rate IS 'n_default / n.';
COMMENT ON COLUMN credit.calibration_result.mean_probability IS 'Mean of the probabilities.';
COMMENT ON COLUMN credit.calibration_result.brier IS 'Brier score: mean squared difference of probability and outcome. 0 is perfect.';
COMMENT ON COLUMN credit.calibration_result.brier_skill IS '1 - brier / (default_rate (1 - default_rate)): what is gained over giving everybody the default rate. NULL with one class only.';
COMMENT ON COLUMN credit.calibration_result.log_loss IS 'Mean negative log-likelihood, natural logarithm; probabilities no nearer to 0 and 1 than 1e-15.';
COMMENT ON COLUMN credit.calibration_result.hosmer_lemeshow IS 'Hosmer-Lemeshow statistic over groups of about equal size. Grows with n and hangs on the grouping: not to be used alone.';
COMMENT ON COLUMN credit.calibration_result.hl_groups IS 'Number of its groups, after those with less than one expected default or non-default were joined to a neighbour.';
COMMENT ON COLUMN credit.calibration_result.hl_p IS 'Its p-value on rows that the model was not fitted on: chi-square with hl_groups degrees of freedom.';
COMMENT ON COLUMN credit.calibration_result.hl_p_development IS 'Its p-value on the rows that the model was fitted on: hl_groups - 2 degrees of freedom. NULL with less than three groups.';
COMMENT ON COLUMN credit.calibration_result.slope IS 'Slope of the logistic fit of outcome on logit of probability. 1 is perfect, less: probabilities too extreme. NULL where no finite one exists: one class, one probability, or a cut that tells all bad from all good.';
COMMENT ON COLUMN credit.calibration_result.intercept IS 'Intercept of that fit. 0 is perfect.';
COMMENT ON COLUMN credit.calibration_result.intercept_in_the_large IS 'Intercept with the slope held at 1. Above 0: more defaults than predicted.';
COMMENT ON COLUMN credit.calibration_result.n_skipped IS 'Number of rows left out: probability NULL or NaN, or outcome NULL.';

CREATE TYPE credit.calibration_group AS (
	group_number integer,
	n bigint,
	n_default bigint,
	expected_default float8,
	default_rate float8,
	mean_probability float8,
	probability_low float8,
	probability_high float8);
COMMENT ON TYPE credit.calibration_group IS
'Expected and observed defaults of a group of rows with similar probabilities.';
COMMENT ON COLUMN credit.calibration_group.group_number IS 'From 1, by ascending probability.';
COMMENT ON COLUMN credit.calibration_group.n IS 'Number of rows.';
COMMENT ON COLUMN credit.calibration_group.n_default IS 'Number of defaults.';
COMMENT ON COLUMN credit.calibration_group.expected_default IS 'Sum of the probabilities.';
COMMENT ON COLUMN credit.calibration_group.default_rate IS 'n_default / n.';
COMMENT ON COLUMN credit.calibration_group.mean_probability IS 'expected_default / n.';
COMMENT ON COLUMN credit.calibration_group.probability_low IS 'Lowest probability of the group.';
COMMENT ON COLUMN credit.calibration_group.probability_high IS 'Highest probability of the group.';

CREATE TYPE credit.stability_result AS (
	n_reference bigint,
	n_actual bigint,
	psi float8,
	verdict text,
	is_small boolean,
	bins integer,
	n_skipped bigint);
COMMENT ON TYPE credit.stability_result IS
'Whether scores of today are distributed as in the reference sample.';
COMMENT ON COLUMN credit.stability_result.n_reference IS 'Rows of the reference sample.';
COMMENT ON COLUMN credit.stability_result.n_actual IS 'Rows of the other sample.';
COMMENT ON COLUMN credit.stability_result.psi IS 'Population stability index over bins cut on the reference sample. NULL where a sample is empty.';
COMMENT ON COLUMN credit.stability_result.verdict IS 'Word for it: stable (below 0.10), watch (0.10 to 0.25), shifted (above 0.25).';
COMMENT ON COLUMN credit.stability_result.is_small IS 'A sample has less than 100 rows, so that psi is large by chance.';
COMMENT ON COLUMN credit.stability_result.bins IS 'Number of bins: less than asked for where quantiles of the reference sample are equal.';
COMMENT ON COLUMN credit.stability_result.n_skipped IS 'Number of rows left out: score NULL or NaN, or sample NULL.';

CREATE TYPE credit.stability_bin AS (
	bin integer,
	score_above float8,
	score_up_to float8,
	n_reference bigint,
	n_actual bigint,
	reference_share float8,
	actual_share float8,
	psi float8);
COMMENT ON TYPE credit.stability_bin IS
'A bin of the population stability index: scores above score_above, up to and including score_up_to.';
COMMENT ON COLUMN credit.stability_bin.bin IS 'From 1, by ascending score.';
COMMENT ON COLUMN credit.stability_bin.score_above IS 'Lower bound, not in the bin. NULL: none.';
COMMENT ON COLUMN credit.stability_bin.score_up_to IS 'Upper bound, in the bin. NULL: none.';
COMMENT ON COLUMN credit.stability_bin.n_reference IS 'Rows of the reference sample.';
COMMENT ON COLUMN credit.stability_bin.n_actual IS 'Rows of the other sample.';
COMMENT ON COLUMN credit.stability_bin.reference_share IS 'Share of the reference sample.';
COMMENT ON COLUMN credit.stability_bin.actual_share IS 'Share of the other sample.';
COMMENT ON COLUMN credit.stability_bin.psi IS 'What the bin adds to the index. Where a bin is empty, after 0.5 was added to every count.';

CREATE TYPE credit.csi_result AS (
	csi float8,
	points_shift float8);
COMMENT ON TYPE credit.csi_result IS
'Stability of one characteristic, by its bins.';
COMMENT ON COLUMN credit.csi_result.csi IS 'Characteristic stability index: PSI over the bins of the characteristic.';
COMMENT ON COLUMN credit.csi_result.points_shift IS 'By how many points the mean score has moved because of it.';

CREATE TYPE credit.agreement_result AS (
	n bigint,
	kendall_tau_b float8,
	spearman_rho float8,
	kappa_quadratic float8,
	kappa_linear float8,
	kappa float8,
	notch_mean float8,
	notch_mean_absolute float8,
	share_within_one float8,
	n_review bigint,
	n_skipped bigint);
COMMENT ON TYPE credit.agreement_result IS
'How far two ratings of the same customers agree. Grades are integers on one scale.';
COMMENT ON COLUMN credit.agreement_result.n IS 'Number of rows with both grades.';
COMMENT ON COLUMN credit.agreement_result.kendall_tau_b IS 'Kendall rank correlation, corrected for ties. NULL where a side gives one grade only.';
COMMENT ON COLUMN credit.agreement_result.spearman_rho IS 'Spearman rank correlation: Pearson on mid-ranks. NULL likewise.';
COMMENT ON COLUMN credit.agreement_result.kappa_quadratic IS 'Weighted kappa, disagreement counted by the square of its notches. NULL where chance leaves no disagreement.';
COMMENT ON COLUMN credit.agreement_result.kappa_linear IS 'Weighted kappa, disagreement counted by its notches.';
COMMENT ON COLUMN credit.agreement_result.kappa IS 'Cohens kappa: any disagreement counts the same.';
COMMENT ON COLUMN credit.agreement_result.notch_mean IS 'Mean of external less internal grade.';
COMMENT ON COLUMN credit.agreement_result.notch_mean_absolute IS 'Mean of its absolute value.';
COMMENT ON COLUMN credit.agreement_result.share_within_one IS 'Share of rows with at most one notch of difference.';
COMMENT ON COLUMN credit.agreement_result.n_review IS 'Number of rows with two notches or more: to be reviewed.';
COMMENT ON COLUMN credit.agreement_result.n_skipped IS 'Number of rows left out: a grade is NULL.';

CREATE TYPE credit.agreement_cell AS (
	internal integer,
	external integer,
	notches bigint,
	n bigint);
COMMENT ON TYPE credit.agreement_cell IS
'A cell of the table of internal against external grades.';
COMMENT ON COLUMN credit.agreement_cell.internal IS 'Internal grade.';
COMMENT ON COLUMN credit.agreement_cell.external IS 'External grade.';
COMMENT ON COLUMN credit.agreement_cell.notches IS 'External less internal grade.';
COMMENT ON COLUMN credit.agreement_cell.n IS 'Number of rows.';

CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean) IS
'Part of the validation aggregates: adds a row.';

CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean, parts integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum_parts';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean, integer) IS
'Part of the validation aggregates: adds a row.';

CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean, weight float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum_weight';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean, float8) IS
'Part of the validation aggregates: adds a row that counts as weight rows.';

CREATE FUNCTION credit.validation_accum(internal, score float8, is_default boolean, parts integer, weight float8) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_accum_parts_weight';
COMMENT ON FUNCTION credit.validation_accum(internal, float8, boolean, integer, float8) IS
'Part of the validation aggregates: adds a row that counts as weight rows.';

CREATE FUNCTION credit.validation_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_combine';
COMMENT ON FUNCTION credit.validation_combine(internal, internal) IS
'Part of the validation aggregates: adds what another process has collected.';

CREATE FUNCTION credit.validation_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_serialize';
COMMENT ON FUNCTION credit.validation_serialize(internal) IS
'Part of the validation aggregates: the state for another process.';

CREATE FUNCTION credit.validation_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_validation_deserialize';
COMMENT ON FUNCTION credit.validation_deserialize(bytea, internal) IS
'Part of the validation aggregates: the state of another process.';

CREATE FUNCTION credit.agreement_accum(internal, internal_grade integer, external_grade integer) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_accum';
COMMENT ON FUNCTION credit.agreement_accum(internal, integer, integer) IS
'Part of the validation aggregates: adds a row.';

CREATE FUNCTION credit.agreement_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_combine';
COMMENT ON FUNCTION credit.agreement_combine(internal, internal) IS
'Part of the validation aggregates: adds what another process has collected.';

CREATE FUNCTION credit.agreement_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_serialize';
COMMENT ON FUNCTION credit.agreement_serialize(internal) IS
'Part of the validation aggregates: the state for another process.';

CREATE FUNCTION credit.agreement_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_deserialize';
COMMENT ON FUNCTION credit.agreement_deserialize(bytea, internal) IS
'Part of the validation aggregates: the state of another process.';

CREATE FUNCTION credit.discrimination_final(internal) RETURNS credit.discrimination_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_discrimination_final';
COMMENT ON FUNCTION credit.discrimination_final(internal) IS
'Part of the validation aggregates: the result of discrimination().';

CREATE FUNCTION credit.cap_final(internal) RETURNS credit.cap_point[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_cap_final';
COMMENT ON FUNCTION credit.cap_final(internal) IS
'Part of the validation aggregates: the result of cap().';

CREATE FUNCTION credit.calibration_final(internal) RETURNS credit.calibration_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_calibration_final';
COMMENT ON FUNCTION credit.calibration_final(internal) IS
'Part of the validation aggregates: the result of calibration().';

CREATE FUNCTION credit.calibration_groups_final(internal) RETURNS credit.calibration_group[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_calibration_groups_final';
COMMENT ON FUNCTION credit.calibration_groups_final(internal) IS
'Part of the validation aggregates: the result of calibration_groups().';

CREATE FUNCTION credit.population_stability_final(internal) RETURNS credit.stability_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_population_stability_final';
COMMENT ON FUNCTION credit.population_stability_final(internal) IS
'Part of the validation aggregates: the result of population_stability().';

CREATE FUNCTION credit.stability_bins_final(internal) RETURNS credit.stability_bin[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_stability_bins_final';
COMMENT ON FUNCTION credit.stability_bins_final(internal) IS
'Part of the validation aggregates: the result of stability_bins().';

CREATE FUNCTION credit.agreement_final(internal) RETURNS credit.agreement_result
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_final';
COMMENT ON FUNCTION credit.agreement_final(internal) IS
'Part of the validation aggregates: the result of agreement().';

CREATE FUNCTION credit.agreement_table_final(internal) RETURNS credit.agreement_cell[]
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_agreement_table_final';
COMMENT ON FUNCTION credit.agreement_table_final(internal) IS
'Part of the validation aggregates: the result of agreement_table().';

CREATE AGGREGATE credit.discrimination(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.discrimination_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.discrimination(float8, boolean) IS
'AUC with DeLong interval, Gini and KS of scores, ties exact. A higher score is a better customer: put in a probability of default as its negative.';

CREATE AGGREGATE credit.discrimination(score float8, is_default boolean, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.discrimination_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.discrimination(float8, boolean, float8) IS
'The same with rows that count as weight rows, in the standard error as well; n and n_default are numbers of rows. Weights are taken to six decimals; NULL and 0 leave a row out.';

CREATE AGGREGATE credit.cap(score float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.cap(float8, boolean) IS
'CAP curve and lift at each tenth of the rows, the lowest score (the worst) first; an array, for unnest(). A probability of default is put in as its negative. NULL without rows.';

CREATE AGGREGATE credit.cap(score float8, is_default boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.cap(float8, boolean, integer) IS
'The same at 1/parts, 2/parts, ... of the rows; 2 to 10000 parts.';

CREATE AGGREGATE credit.cap(score float8, is_default boolean, parts integer, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.cap_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.cap(float8, boolean, integer, float8) IS
'The same with rows that count as weight rows.';

CREATE AGGREGATE credit.calibration(probability float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration(float8, boolean) IS
'Brier score, log loss, Hosmer-Lemeshow test over ten groups, calibration slope and intercept of probabilities of default.';

CREATE AGGREGATE credit.calibration(probability float8, is_default boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration(float8, boolean, integer) IS
'The same with another number of Hosmer-Lemeshow groups, 2 to 10000.';

CREATE AGGREGATE credit.calibration(probability float8, is_default boolean, parts integer, weight float8) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration(float8, boolean, integer, float8) IS
'The same with rows that count as weight rows, in the test as well; n and n_default are numbers of rows.';

CREATE AGGREGATE credit.calibration_groups(probability float8, is_default boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_groups_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration_groups(float8, boolean) IS
'Expected and observed defaults in ten groups of about equal size by probability, equal probabilities together; an array, for unnest(). NULL without rows.';

CREATE AGGREGATE credit.calibration_groups(probability float8, is_default boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.calibration_groups_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.calibration_groups(float8, boolean, integer) IS
'The same with another number of groups, 2 to 10000.';

CREATE AGGREGATE credit.population_stability(score float8, is_reference boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.population_stability_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.population_stability(float8, boolean) IS
'Population stability index of scores, over tenths of the rows with is_reference true.';

CREATE AGGREGATE credit.population_stability(score float8, is_reference boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.population_stability_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.population_stability(float8, boolean, integer) IS
'The same over another number of bins, 2 to 10000.';

CREATE AGGREGATE credit.stability_bins(score float8, is_reference boolean) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.stability_bins_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.stability_bins(float8, boolean) IS
'The bins behind population_stability(); an array, for unnest(). NULL without a reference sample.';

CREATE AGGREGATE credit.stability_bins(score float8, is_reference boolean, parts integer) (
	SFUNC = credit.validation_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.stability_bins_final,
	COMBINEFUNC = credit.validation_combine,
	SERIALFUNC = credit.validation_serialize, DESERIALFUNC = credit.validation_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.stability_bins(float8, boolean, integer) IS
'The same with another number of bins, 2 to 10000.';

CREATE AGGREGATE credit.agreement(internal_grade integer, external_grade integer) (
	SFUNC = credit.agreement_accum, STYPE = internal, SSPACE = 128,
	FINALFUNC = credit.agreement_final,
	COMBINEFUNC = credit.agreement_combine,
	SERIALFUNC = credit.agreement_serialize, DESERIALFUNC = credit.agreement_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.agreement(integer, integer) IS
'Kendall, Spearman, kappa and notch differences of an internal against an external rating, such as a bureaus, on one scale of grades.';

CREATE AGGREGATE credit.agreement_table(internal_grade integer, external_grade integer) (
	SFUNC = credit.agreement_accum, STYPE = internal, SSPACE = 128,
	FINALFUNC = credit.agreement_table_final,
	COMBINEFUNC = credit.agreement_combine,
	SERIALFUNC = credit.agreement_serialize, DESERIALFUNC = credit.agreement_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.agreement_table(integer, integer) IS
'How often each internal grade meets each external one; an array, for unnest(). NULL without rows.';

CREATE FUNCTION credit.psi(expected float8[], actual float8[]) RETURNS float8
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_psi';
COMMENT ON FUNCTION credit.psi(float8[], float8[]) IS
'Population stability index of two samples counted by the same bins, the reference sample first. Counts or shares; where a count is 0, each count gets 0.5 more, and shares (that add up to 1) give NULL. NULL where a sample is empty.';

CREATE FUNCTION credit.csi(expected float8[], actual float8[], points float8[]) RETURNS credit.csi_result
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_csi';
COMMENT ON FUNCTION credit.csi(float8[], float8[], float8[]) IS
'Stability of one characteristic from its counts by bin, the reference sample first, and by how many points the mean score has moved because of it. NULLs as psi().';

/* --- two scores of the same customers, and folds ----------------------------- */

CREATE TYPE credit.score_comparison AS (
	n bigint,
	n_default bigint,
	auc_a float8,
	auc_b float8,
	difference float8,
	auc_se_a float8,
	auc_se_b float8,
	correlation float8,
	difference_se float8,
	difference_low float8,
	difference_high float8,
	p_value float8,
	n_skipped bigint);
COMMENT ON TYPE credit.score_comparison IS
'Which of two scores of the same rows tells bad from good better (DeLong et al. 1988). All figures are ratios but the counts. NULL where a class has no row.';
COMMENT ON COLUMN credit.score_comparison.n IS 'Number of rows with both scores and an outcome.';
COMMENT ON COLUMN credit.score_comparison.n_default IS 'Number of those that are bad (defaults).';
COMMENT ON COLUMN credit.score_comparison.auc_a IS 'AUC of the first score, as discrimination() has it over these rows.';
COMMENT ON COLUMN credit.score_comparison.auc_b IS 'AUC of the second score.';
COMMENT ON COLUMN credit.score_comparison.difference IS 'The first less the second: above 0, the first is better.';
COMMENT ON COLUMN credit.score_comparison.auc_se_a IS 'Standard error of auc_a. NULL with less than two rows of a class, as all that follows.';
COMMENT ON COLUMN credit.score_comparison.auc_se_b IS 'Standard error of auc_b.';
COMMENT ON COLUMN credit.score_comparison.correlation IS 'Correlation of the two AUCs. NULL where one of them has no error.';
COMMENT ON COLUMN credit.score_comparison.difference_se IS 'Standard error of the difference, the correlation taken into account.';
COMMENT ON COLUMN credit.score_comparison.difference_low IS 'Lower end of the 95 % interval of the difference.';
COMMENT ON COLUMN credit.score_comparison.difference_high IS 'Upper end of that interval.';
COMMENT ON COLUMN credit.score_comparison.p_value IS 'Two-sided p-value of no difference, normal approximation. NULL where difference_se is 0.';
COMMENT ON COLUMN credit.score_comparison.n_skipped IS 'Number of rows left out: a score NULL or NaN, or outcome NULL.';

CREATE FUNCTION credit.compare_scores_accum(internal, score_a float8, score_b float8, is_default boolean) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_accum';
COMMENT ON FUNCTION credit.compare_scores_accum(internal, float8, float8, boolean) IS
'Part of aggregate compare_scores(): adds a row.';

CREATE FUNCTION credit.compare_scores_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_combine';
COMMENT ON FUNCTION credit.compare_scores_combine(internal, internal) IS
'Part of aggregate compare_scores(): adds what another process has collected.';

CREATE FUNCTION credit.compare_scores_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_serialize';
COMMENT ON FUNCTION credit.compare_scores_serialize(internal) IS
'Part of aggregate compare_scores(): the state for another process.';

CREATE FUNCTION credit.compare_scores_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_deserialize';
COMMENT ON FUNCTION credit.compare_scores_deserialize(bytea, internal) IS
'Part of aggregate compare_scores(): the state of another process.';

CREATE FUNCTION credit.compare_scores_final(internal) RETURNS credit.score_comparison
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_compare_scores_final';
COMMENT ON FUNCTION credit.compare_scores_final(internal) IS
'Part of aggregate compare_scores(): the result.';

CREATE AGGREGATE credit.compare_scores(score_a float8, score_b float8, is_default boolean) (
	SFUNC = credit.compare_scores_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.compare_scores_final,
	COMBINEFUNC = credit.compare_scores_combine,
	SERIALFUNC = credit.compare_scores_serialize, DESERIALFUNC = credit.compare_scores_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.compare_scores(float8, float8, boolean) IS
'Compares the AUC of two scores of the same rows, such as champion and challenger, by DeLongs paired test. Higher scores are better customers: put in a probability of default as its negative.';

CREATE FUNCTION credit.fold(key text, k integer DEFAULT 5) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_fold';
COMMENT ON FUNCTION credit.fold(text, integer) IS
'The fold of a customer for cross-validation, 0 to k - 1: all rows of one key are in one fold, on every server and for ever.';

/*
 * scorecard.h
 *	  A scorecard as it is computed with; see scorecard_model.c.
 */
#ifndef CREDIT_SCORECARD_H
#define CREDIT_SCORECARD_H

#include "binning.h"

#define SCORECARD_MAX_CHARACTERISTICS 200
#define SCORECARD_MAX_VALUES 1000

/* Points beyond are a mistake, and sums of them would lose digits. */
#define SCORECARD_MAX_POINTS 1e9

/* What a characteristic is compared with to find reasons */
typedef enum ScoreReference
{
	REFERENCE_MAX,				/* the most points it can give */
	REFERENCE_NEUTRAL,			/* weight of evidence 0, or the neutral value */
	REFERENCE_MEAN				/* the mean of a population */
} ScoreReference;

typedef struct Characteristic
{
	char	   *feature;
	int			length;			/* of the name */
	Datum		feature_text;	/* what is shown, as text */
	Datum		reason;
	Datum		reason_missing;
	float8		weight;			/* of an expert: they add up to 1 */
	float8		reference;		/* points to compare with, at full weight */

	/* fitted */
	StoredBinning *binning;
	float8	   *points;			/* by bin */
	float8		unseen;			/* of what no bin is for */

	/* expert */
	int			n_values;
	float8	   *x;				/* NULL: of categories */
	float8	   *values;
	bool		is_step;
	categories_hash *categories;	/* bin: place in values */
} Characteristic;

typedef struct Scorecard
{
	int32		model_id;
	char	   *name;			/* while it is read */
	bool		is_fitted;
	bool		has_scale;		/* scores can be turned into probabilities */
	float8		factor;
	float8		offset;
	float8		minimum_weight;
	int			n;
	Characteristic *characteristics;
} Scorecard;

/* What is known of one feature of one subject. */
typedef enum FeatureKind
{
	FEATURE_MISSING,
	FEATURE_NUMBER,
	FEATURE_TEXT
} FeatureKind;

typedef struct FeatureValue
{
	FeatureKind kind;
	float8		number;
	const char *data;			/* not terminated */
	uint32		length;
} FeatureValue;

extern Scorecard *scorecard_load(int32 model_id);
extern int32 scorecard_champion(const char *name);

#endif							/* CREDIT_SCORECARD_H */

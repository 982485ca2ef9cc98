/*
 * calibration.h
 *	  What the calibration of probabilities shares with its measurement; see
 *	  calibration.c and calibrate.c.
 */
#ifndef CREDIT_CALIBRATION_H
#define CREDIT_CALIBRATION_H

#include "validation.h"

/* Logits take probabilities no nearer to 0 and 1 than this. */
#define LOGIT_CLIP 1e-6

/* The logistic curve a + b (x - center) that fits the outcomes best. */
typedef struct ScoreFit
{
	const ValidationState *state;
	const float8 *x;			/* of the distinct scores in order */
	float8		target[2];		/* what a good and a bad one count as */
	float8		center;			/* better conditioned */
	bool		slope_is_one;
	float8		a;
	float8		b;
} ScoreFit;

extern bool fit_scores(ScoreFit *fit);
extern void check_probabilities(const Bag *bag);
extern float8 clip_probability(float8 p, float8 edge);

#endif							/* CREDIT_CALIBRATION_H */

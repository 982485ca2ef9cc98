/*
 * binning_cut.h
 *	  What the cut into bins and the choice among all cuts share.
 */
#ifndef CREDIT_BINNING_CUT_H
#define CREDIT_BINNING_CUT_H

#include "binning.h"

/* Figures that differ by less are equal: what rounding adds, not the data. */
#define SAME 1e-12

/* Sums over the first i pre-bins, and what the whole group has. */
typedef struct Cut
{
	const BinningOptions *options;
	const BinCounts *counts;
	BinCell    *cells;			/* regular ones, in order */
	Size		n_cells;
	BinCell   **specials;		/* by place in the options; NULL: no row */
	int			n_prebins;
	Size	   *ends;			/* of pre-bins among cells */
	int64	   *sums[2];		/* n_prebins + 1, in units of the counts */
	float8		all_good;
	float8		all_bad;
	float8		min_n;			/* of a bin */
	int			n_bins;
	int		   *bin_ends;		/* of bins among pre-bins */
	BinTrend	trend;			/* of the bins found */
} Cut;

/* What pre-bins (i, j] have of a class. */
static inline float8
between_sums(const Cut *cut, int class, int i, int j)
{
	return (float8) (cut->sums[class][j] - cut->sums[class][i]) / cut->counts->unit;
}

static inline float8
iv_of(float8 good, float8 bad, float8 all_good, float8 all_bad, float8 woe)
{
	/* plus 0: of a product that is nothing, no sign is shown */
	return (good / all_good - bad / all_bad) * woe + 0.0;
}

extern void binning_join(Cut *cut);

#endif							/* CREDIT_BINNING_CUT_H */

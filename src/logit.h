/*
 * logit.h
 *	  One step of a logistic regression, and what is known of its variables.
 */
#ifndef CREDIT_LOGIT_H
#define CREDIT_LOGIT_H

#include "lib/stringinfo.h"
#include "utils/array.h"

/* Its square matrix is 2 MB; a model of that many is unreadable. */
#define LOGIT_MAX_VARIABLES 500

/* Beyond, sums of squares could overflow. */
#define LOGIT_MAX_VALUE 1e100

/*
 * Log-likelihood, gradient and negative Hessian at one set of coefficients.
 * With centre and scale the coefficients are those of (x - centre) * scale.
 */
typedef struct LogitStep
{
	int			n_variables;	/* -1: no row has said yet */
	int			n;				/* coefficients: one more with an intercept */
	bool		has_scale;
	int64		n_rows;
	int64		n_events;
	int64		n_skipped;
	double		weight;
	double		log_likelihood;
	double	   *coefficients;	/* n */
	double	   *centre;			/* n_variables, with room for n */
	double	   *scale;
	double	   *gradient;		/* n */
	double	   *hessian;		/* n x n, upper triangle */

	/* of the last rows, to be added to those above by credit_logit_settle() */
	int			part_rows;
	double		part_weight;
	double		part_log_likelihood;
	double	   *part_gradient;
	double	   *part_hessian;
	int			n_block;
	double	   *block;			/* PRODUCT_ROWS x n */
	double	   *block_weight;
} LogitStep;

/* Of one variable, over the rows that count. */
typedef struct LogitRange
{
	double		mean;
	double		m2;				/* weighted sum of squares about the mean */
	double		min[2];			/* by class: 0 no event, 1 event */
	double		max[2];
	int64		n_null;			/* of all rows */
	int64		n_invalid;		/* NaN, infinite, beyond LOGIT_MAX_VALUE */
} LogitRange;

/*
 * What a first look at the rows yields.  One in stride of them is kept, the
 * stride being a power of 2 that grows with them; at stride 1 that is all.
 */
typedef struct LogitProfile
{
	int			n_variables;
	int64		n_rows[2];		/* by class */
	double		weight[2];
	int64		n_skipped;
	int64		n_invalid_weight;
	LogitRange *ranges;
	int64		stride;
	uint32		seen;			/* rows, for their lots */
	int32		capacity;
	int32		n_kept;
	int32		n_allocated;
	double	   *kept;			/* rows of weight, 2 * lot + event, values */
} LogitProfile;

#define KEPT_ROW(profile, i) \
	((profile)->kept + (Size) (i) * ((profile)->n_variables + 2))

#define KEPT_EVENT(row) (((uint64) (row)[1] & 1) != 0)
#define KEPT_LOT(row) ((uint32) ((uint64) (row)[1] >> 1))

/* Bounds on memory for kept rows, in bytes. */
#define LOGIT_MAX_KEPT (64 * 1024 * 1024)

extern int	credit_logit_values(ArrayType *array, const char *what,
								double **values);
extern LogitStep *credit_logit_step_make(int n);
extern void credit_logit_step_clear(LogitStep *step);
extern void credit_logit_add(LogitStep *step, bool is_event, const double *x,
							 double weight);
extern void credit_logit_settle(LogitStep *step);
extern ArrayType *credit_float8_array(const double *values, int n);
extern LogitProfile *credit_logit_profile_read(StringInfo message);

#endif							/* CREDIT_LOGIT_H */

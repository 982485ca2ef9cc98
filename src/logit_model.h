/*
 * logit_model.h
 *	  What a logistic regression is to fit, and a look at its rows.
 */
#ifndef CREDIT_LOGIT_MODEL_H
#define CREDIT_LOGIT_MODEL_H

#include "executor/spi.h"
#include "fmgr.h"

#include "logit.h"

typedef struct LogitModel
{
	/* what was asked for */
	const char *from;			/* behind FROM, named q */
	char	   *is_event;
	char	   *weight;			/* NULL: all 1 */
	char	  **names;
	int			n_variables;
	bool		has_intercept;
	bool		is_standardised;
	double		ridge;
	int			max_iterations;

	/* what the first look yields */
	int			n;				/* coefficients */
	LogitProfile *profile;
	double	   *centre;
	double	   *scale;			/* factors */
	double	   *penalty;		/* n, for coefficients of scaled variables */
	double	   *reach;			/* n, largest scaled value */

	/* how all rows are looked at */
	const char *values;			/* expressions of the columns */
	SPIPlanPtr	plan;
	int			n_scans;
} LogitModel;

extern const char *model_from_relation(Oid relation);
extern const char *model_from_source(text *source);
extern LogitModel *model_read_columns(FunctionCallInfo fcinfo);
extern LogitModel *model_read(FunctionCallInfo fcinfo);
extern void model_prepare(LogitModel *model);
extern LogitStep *model_make_step(LogitModel *model);
extern void model_find_columns(LogitModel *model);
extern void model_look_first(LogitModel *model);
extern int64 model_n_used(LogitModel *model);
extern void model_evaluate_by_query(LogitModel *model, LogitStep *step);
extern void model_evaluate_kept(LogitModel *model, LogitStep *step);
extern void model_check_numbers(LogitModel *model);
extern void model_check_rows(LogitModel *model);
extern double model_total_weight(LogitModel *model);
extern double model_spread(LogitModel *model, int i);
extern void model_scale_variables(LogitModel *model);
extern void model_complain_of_separation(const char *names, const char *detail);
extern void model_check_variables(LogitModel *model);

#endif							/* CREDIT_LOGIT_MODEL_H */

/*
 * validation.h
 *	  The state that all aggregates over (score, yes or no) share.
 */
#ifndef CREDIT_VALIDATION_H
#define CREDIT_VALIDATION_H

#include "bag.h"

/* Parts into which rows are cut where the user does not say how many. */
#define DEFAULT_PARTS 10
#define MAX_PARTS 10000

/* Which of the two bags of a state */
#define GOOD 0					/* or: the sample of today */
#define BAD 1					/* or: the reference sample */

typedef struct ValidationState
{
	MemoryContext context;		/* of the aggregate: the bags live here */
	int64		n_skipped;		/* rows without a score or without an outcome */
	int32		parts;			/* 0: the user has not said */
	Bag			bag[2];			/* scores by class */
} ValidationState;

/* A walk over the distinct scores of both classes, ascending. */
typedef struct ScoreWalk
{
	const ValidationState *state;
	uint32		at[2];			/* next run of each bag */
	float8		score;			/* where the walk stands: score, counts at it */
	float8		n[2];
	float8		below[2];		/* and counts below it */
} ScoreWalk;

extern ValidationState *validation_final_state(FunctionCallInfo fcinfo);
extern MemoryContext validation_context(FunctionCallInfo fcinfo);
extern int	validation_parts(const ValidationState *state);
extern void walk_begin(ScoreWalk *walk, const ValidationState *state);
extern bool walk_next(ScoreWalk *walk);
extern Datum result_row(FunctionCallInfo fcinfo, int natts, Datum *values, bool *nulls);

/* A result that is an array of rows of a named type. */
typedef struct ResultRows
{
	TupleDesc	desc;
	Oid			type;
	Datum	   *rows;
	int			n;
} ResultRows;

extern void result_rows_begin(ResultRows *result, FunctionCallInfo fcinfo, int natts, int most);
extern void result_rows_add(ResultRows *result, Datum *values, bool *nulls);
extern Datum result_rows_end(ResultRows *result);

/* A column that is NULL where its figure does not exist. */
static inline void
set_float(Datum *values, bool *nulls, int column, bool exists, float8 figure)
{
	nulls[column] = !exists;
	if (exists)
		values[column] = Float8GetDatum(figure);
}

#endif							/* CREDIT_VALIDATION_H */

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
	bool		is_weighted;	/* the bags count in units of 1 / WEIGHT_SCALE */
	int64		n_rows[2];		/* if so, rows by class */
	Bag			bag[2];			/* scores by class */
} ValidationState;

/* Weights are whole numbers of millionths: their sums are exact. */
#define WEIGHT_SCALE 1000000

/*
 * The number of rows of a class, each counted as often as it weighs.  Divided,
 * not multiplied: whole weights then come out as the numbers they are.
 */
static inline float8
validation_total(const ValidationState *state, int class)
{
	float8		total = state->bag[class].total;

	return state->is_weighted ? total / WEIGHT_SCALE : total;
}

/* The number of rows of a class, whatever they weigh. */
static inline int64
validation_rows(const ValidationState *state, int class)
{
	return state->is_weighted ? state->n_rows[class] : state->bag[class].total;
}

/* A walk over the distinct scores of both classes, ascending. */
typedef struct ScoreWalk
{
	const ValidationState *state;
	uint32		at[2];			/* next run of each bag */
	bool		is_weighted;
	int64		passed[2];		/* if so, counts of the runs before it */
	float8		score;			/* where the walk stands: score, counts at it */
	float8		n[2];
	float8		below[2];		/* and counts below it */
} ScoreWalk;

extern ValidationState *validation_final_state(FunctionCallInfo fcinfo);
extern int	validation_parts(const ValidationState *state);
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

/* Here, so that each loop over scores keeps the walk in registers. */
static inline void
walk_begin(ScoreWalk *walk, const ValidationState *state)
{
	memset(walk, 0, sizeof(ScoreWalk));
	walk->state = state;
	walk->is_weighted = state->is_weighted;
}

static pg_attribute_always_inline bool
walk_next(ScoreWalk *walk)
{
	const Bag  *bag = walk->state->bag;
	bool		has[2];
	uint64		key;

	for (int class = GOOD; class <= BAD; class++)
	{
		has[class] = walk->at[class] < bag[class].n;
		if (walk->is_weighted)
			walk->below[class] = (float8) walk->passed[class] / WEIGHT_SCALE;
		else
			walk->below[class] += walk->n[class];
		walk->n[class] = 0;
	}
	if (!has[GOOD] && !has[BAD])
		return false;
	if (!has[GOOD] || (has[BAD] && bag[BAD].keys[walk->at[BAD]] < bag[GOOD].keys[walk->at[GOOD]]))
		key = bag[BAD].keys[walk->at[BAD]];
	else
		key = bag[GOOD].keys[walk->at[GOOD]];
	walk->score = float_of_key(key);
	for (int class = GOOD; class <= BAD; class++)
		if (has[class] && bag[class].keys[walk->at[class]] == key)
		{
			int64		count = bag_count(&bag[class], walk->at[class]++);

			walk->n[class] = count;
			if (walk->is_weighted)
			{
				walk->n[class] /= WEIGHT_SCALE;
				walk->passed[class] += count;
			}
		}
	return true;
}

/* A column that is NULL where its figure does not exist. */
static inline void
set_float(Datum *values, bool *nulls, int column, bool exists, float8 figure)
{
	nulls[column] = !exists;
	if (exists)
		values[column] = Float8GetDatum(figure);
}

#endif							/* CREDIT_VALIDATION_H */

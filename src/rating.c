/*
 * rating.c
 *	  The grade of a probability of default on a master scale.
 *
 * The scale comes in as an array, so that a statement over all customers looks
 * it up once.
 */
#include "postgres.h"

#include <math.h>

#include "utils/array.h"

#include "credit.h"

PG_FUNCTION_INFO_V1(credit_grade_position);

static void
check_margin(float8 margin)
{
	if (!(margin >= 0 && margin < 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("hysteresis must be 0 or more and less than 1, not %g", margin),
				 errhint("0.1 keeps a grade until its bound is exceeded by a tenth.")));
}

/* The first grade whose bound is not exceeded, from 0; the last one holds the rest. */
static int
natural_grade(float8 pd, const float8 *bounds, int n)
{
	int			first = 0;
	int			last = n - 1;

	while (first < last)
	{
		int			middle = first + (last - first) / 2;

		if (pd <= bounds[middle])
			last = middle;
		else
			first = middle + 1;
	}
	return first;
}

/* Is pd, by a margin of each bound, still in the grade? */
static bool
stays(float8 pd, const float8 *bounds, int n, int grade, float8 margin)
{
	float8		low = grade == 0 ? 0 : bounds[grade - 1];

	return pd >= low * (1 - margin) &&
		(grade == n - 1 || pd <= bounds[grade] * (1 + margin));
}

/* grade_position(pd, upper_pd, old_position, hysteresis): 1 is the best. */
Datum
credit_grade_position(PG_FUNCTION_ARGS)
{
	float8		pd;
	float8		margin;
	ArrayType  *array;
	const float8 *bounds;
	int			n;
	int			old;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || isnan(PG_GETARG_FLOAT8(0)))
		PG_RETURN_NULL();
	pd = PG_GETARG_FLOAT8(0);
	array = PG_GETARG_ARRAYTYPE_P(1);
	margin = PG_ARGISNULL(3) ? 0 : PG_GETARG_FLOAT8(3);
	check_margin(margin);
	if (pd < 0 || pd > 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("probability %g is not between 0 and 1", pd)));
	if (ARR_NDIM(array) != 1 || ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("bounds of a scale must be a one-dimensional array without nulls")));
	n = ARR_DIMS(array)[0];
	bounds = (const float8 *) ARR_DATA_PTR(array);
	old = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	if (old >= 1 && old <= n && stays(pd, bounds, n, old - 1, margin))
		PG_RETURN_INT32(old);
	PG_RETURN_INT32(natural_grade(pd, bounds, n) + 1);
}

/*
 * ahp.c
 *	  Weights of an expert from comparisons in pairs (analytic hierarchy
 *	  process): the principal eigenvector of a reciprocal matrix.
 *
 * Saaty (1980).  An entry above 1 says how many times as important the row is
 * as the column.  Such a matrix is consistent where a is twice b, b three times
 * c and a six times c; how far it is from that, its largest eigenvalue says.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"

#include "credit.h"
#include "logit.h"

#define MAX_CRITERIA 50
#define MOST_ROUNDS 10000
#define PRECISION 1e-14
#define AHP_COLUMNS 5

/* Acceptable up to here, below */
#define MOST_INCONSISTENT 0.10

PG_FUNCTION_INFO_V1(credit_ahp);

/*
 * The mean consistency index of random matrices (Saaty 1980) by size; beyond
 * 15 it hardly grows.
 */
static const float8 random_index[] = {
	0, 0, 0, 0.58, 0.90, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49, 1.51, 1.48, 1.56, 1.57, 1.59
};

static int
check_matrix(ArrayType *array)
{
	const float8 *a = (const float8 *) ARR_DATA_PTR(array);
	int			n;

	if (ARR_NDIM(array) != 2 || ARR_DIMS(array)[0] != ARR_DIMS(array)[1] ||
		array_contains_nulls(array) || ARR_DIMS(array)[0] > MAX_CRITERIA)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("comparisons must be a square array of two dimensions without nulls, at most %d by %d",
						MAX_CRITERIA, MAX_CRITERIA)));
	n = ARR_DIMS(array)[0];
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++)
		{
			float8		entry = a[i * n + j];

			if (!(entry >= 1.0 / 9 - 1e-2 && entry <= 9 + 1e-9))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("a comparison must be 1/9 to 9"),
						 errdetail("Row %d, column %d has %g.", i + 1, j + 1, entry)));
			/* 0.33 for a third is close enough */
			if (fabs(entry * a[j * n + i] - 1) > 0.05)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("comparisons must be reciprocal: the one of j with i is 1 over the one of i with j"),
						 errdetail("Row %d, column %d has %g, and row %d, column %d has %g.",
								   i + 1, j + 1, entry, j + 1, i + 1, a[j * n + i])));
		}
	return n;
}

/*
 * Power iteration: all entries are positive, so it converges to the one
 * positive eigenvector.  Answers the eigenvalue.
 */
static float8
find_eigenvector(const float8 *a, int n, float8 *weights)
{
	float8		next[MAX_CRITERIA];
	float8		lambda = n;

	for (int i = 0; i < n; i++)
		weights[i] = 1.0 / n;
	for (int round = 0; round < MOST_ROUNDS; round++)
	{
		float8		change = 0;

		/* weights add up to 1, so what they become adds up to lambda */
		lambda = 0;
		for (int i = 0; i < n; i++)
		{
			next[i] = 0;
			for (int j = 0; j < n; j++)
				next[i] += a[i * n + j] * weights[j];
			lambda += next[i];
		}
		for (int i = 0; i < n; i++)
		{
			change = Max(change, fabs(next[i] / lambda - weights[i]));
			weights[i] = next[i] / lambda;
		}
		if (change <= PRECISION)
			break;
	}
	return lambda;
}

Datum
credit_ahp(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			n = check_matrix(array);
	float8		weights[MAX_CRITERIA];
	float8		lambda = find_eigenvector((const float8 *) ARR_DATA_PTR(array), n, weights);
	float8		index = n > 2 ? (lambda - n) / (n - 1) : 0;
	int			place = Min(n, (int) lengthof(random_index) - 1);
	float8		ratio = n > 2 ? index / random_index[place] : 0;
	TupleDesc	desc;
	Datum		values[AHP_COLUMNS];
	bool		nulls[AHP_COLUMNS] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != AHP_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("results of library and catalog do not have the same columns"),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	values[0] = PointerGetDatum(credit_float8_array(weights, n));
	values[1] = Float8GetDatum(lambda);
	values[2] = Float8GetDatum(index);
	values[3] = Float8GetDatum(ratio);
	values[4] = BoolGetDatum(ratio < MOST_INCONSISTENT);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * vector.c
 *	  Amounts by stage of exposure.
 *
 * Stored as numeric[] without trailing zeros: an order takes one element.  All
 * arithmetic is numeric's own, so money is exact at any scale; NaN and
 * infinity never get here (expression.c turns them away).
 *
 * Results are allocated in the current context; arguments are never changed.
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "vector.h"

/* Bytes of a zero: length word and the longer of the two kinds of header. */
#define LONGEST_ZERO (VARHDRSZ + 2 * sizeof(uint16))

/* One zero for the whole backend: making one costs more than comparing. */
Numeric
credit_zero(void)
{
	static Numeric zero = NULL;

	if (zero == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		zero = int64_to_numeric(0);
		MemoryContextSwitchTo(old);
	}
	return zero;
}

/* NULL is 0 in all of these. */
Numeric
credit_add(Numeric a, Numeric b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	return DatumGetNumeric(DirectFunctionCall2(numeric_add,
											   NumericGetDatum(a),
											   NumericGetDatum(b)));
}

Numeric
credit_subtract(Numeric a, Numeric b)
{
	if (b == NULL)
		return a;
	if (a == NULL)
		return DatumGetNumeric(DirectFunctionCall1(numeric_uminus,
												   NumericGetDatum(b)));
	return DatumGetNumeric(DirectFunctionCall2(numeric_sub,
											   NumericGetDatum(a),
											   NumericGetDatum(b)));
}

int
credit_compare(Numeric a, Numeric b)
{
	if (a == NULL)
		a = credit_zero();
	if (b == NULL)
		b = credit_zero();
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp,
											 NumericGetDatum(a),
											 NumericGetDatum(b)));
}

/*
 * A zero has no digits and so is the shortest of all values; the sizes say
 * without a call what nearly every amount is.
 */
bool
credit_is_zero(Numeric a)
{
	return a == NULL ||
		(VARSIZE(a) <= LONGEST_ZERO && credit_compare(a, NULL) == 0);
}

Numeric
credit_max(Numeric a, Numeric b)
{
	return credit_compare(a, b) >= 0 ? a : b;
}

/* An amount as people read it in a message. */
char *
credit_amount_text(Numeric a)
{
	if (a == NULL)
		return pstrdup("0");
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(a)));
}

void
vector_add(CreditVector *sum, const CreditVector *term)
{
	for (int i = 0; i < STAGE_COUNT; i++)
		sum->stage[i] = credit_add(sum->stage[i], term->stage[i]);
}

void
vector_subtract(CreditVector *sum, const CreditVector *term)
{
	for (int i = 0; i < STAGE_COUNT; i++)
		sum->stage[i] = credit_subtract(sum->stage[i], term->stage[i]);
}

bool
vector_is_zero(const CreditVector *vector)
{
	for (int i = 0; i < STAGE_COUNT; i++)
		if (!credit_is_zero(vector->stage[i]))
			return false;
	return true;
}

bool
vector_equal(const CreditVector *a, const CreditVector *b)
{
	for (int i = 0; i < STAGE_COUNT; i++)
		if (!(a->stage[i] == NULL && b->stage[i] == NULL) &&
			credit_compare(a->stage[i], b->stage[i]) != 0)
			return false;
	return true;
}

/* Exposure: the sum over all stages. */
Numeric
vector_total(const CreditVector *vector)
{
	Numeric		total = NULL;

	for (int i = 0; i < STAGE_COUNT; i++)
		total = credit_add(total, vector->stage[i]);
	return total == NULL ? credit_zero() : total;
}

/* An array of n amounts, none of them NULL, laid out at once. */
static ArrayType *
make_array(const Numeric *elements, int n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1);
	ArrayType  *array;
	char	   *place;

	for (int i = 0; i < n; i++)
		size += INTALIGN(VARSIZE(elements[i]));
	array = palloc0(size);
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = NUMERICOID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	place = ARR_DATA_PTR(array);
	for (int i = 0; i < n; i++)
	{
		memcpy(place, elements[i], VARSIZE(elements[i]));
		place += INTALIGN(VARSIZE(elements[i]));
	}
	return array;
}

Datum
vector_to_datum(const CreditVector *vector)
{
	Numeric		elements[STAGE_COUNT];
	int			n = STAGE_COUNT;

	while (n > 0 && credit_is_zero(vector->stage[n - 1]))
		n--;
	if (n == 0)
		return PointerGetDatum(construct_empty_array(NUMERICOID));
	for (int i = 0; i < n; i++)
		elements[i] = vector->stage[i] ? vector->stage[i] : credit_zero();
	return PointerGetDatum(make_array(elements, n));
}

/* Refuses arrays that cannot be a vector; a hand-made one could be anything. */
static void
check_array(ArrayType *array)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (ARR_NDIM(array) != 1 || ARR_ELEMTYPE(array) != NUMERICOID)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("amounts by stage must be a one-dimensional array of numeric")));
	if (n > STAGE_COUNT)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("amounts by stage have %d elements, expected at most %d",
						n, STAGE_COUNT)));
}

/* Takes the elements of a copy of the array, which the amounts point into. */
void
vector_from_datum(CreditVector *vector, Datum datum)
{
	ArrayType  *array = DatumGetArrayTypePCopy(datum);
	char	   *place;
	bits8	   *nulls;

	memset(vector, 0, sizeof(CreditVector));
	if (ARR_NDIM(array) == 0)
		return;
	check_array(array);
	place = ARR_DATA_PTR(array);
	nulls = ARR_NULLBITMAP(array);
	for (int i = 0; i < ARR_DIMS(array)[0]; i++)
	{
		Numeric		amount;

		if (nulls != NULL && (nulls[0] & (1 << i)) == 0)
			continue;
		/* elements of an array can have short headers */
		amount = DatumGetNumeric(PointerGetDatum(place));
		if (numeric_is_nan(amount) || numeric_is_inf(amount))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("amounts by stage cannot be NaN or infinite")));
		if (!credit_is_zero(amount))
			vector->stage[i] = amount;
		place += VARSIZE_ANY(place);
		place = (char *) att_align_nominal(place, TYPALIGN_INT);
	}
}

/*
 * aging_bounds.c
 *	  Buckets of an aging as a user asks for them: bounds, credit mode, basis;
 *	  and function aging_bucket().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "aging_bounds.h"

PG_FUNCTION_INFO_V1(credit_aging_bucket);

/* A word that says how to age; what: the word for it in an error. */
static text *
word_of(FunctionCallInfo fcinfo, int arg, const char *what)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of an aging must not be null", what)));
	return PG_GETARG_TEXT_PP(arg);
}

static bool
is_word(const text *word, const char *wanted)
{
	return VARSIZE_ANY_EXHDR(word) == strlen(wanted) &&
		memcmp(VARDATA_ANY(word), wanted, strlen(wanted)) == 0;
}

static void
refuse_word(const text *word, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s of an aging: \"%s\"", what, text_to_cstring(word)),
			 errhint("%s", hint)));
}

AgingCredits
aging_parse_credits(FunctionCallInfo fcinfo, int arg)
{
	text	   *word = word_of(fcinfo, arg, "credit mode");

	if (is_word(word, "own"))
		return CREDITS_OWN;
	if (is_word(word, "oldest"))
		return CREDITS_OLDEST;
	if (!is_word(word, "separate"))
		refuse_word(word, "credit mode",
					"Credit modes are separate, own and oldest; bounds are written ARRAY[0, 30, 60].");
	return CREDITS_SEPARATE;
}

/* True: by document date, so that amounts dated later have a bucket. */
bool
aging_parse_basis(FunctionCallInfo fcinfo, int arg)
{
	text	   *word = word_of(fcinfo, arg, "basis");

	if (is_word(word, "document"))
		return true;
	if (!is_word(word, "due"))
		refuse_word(word, "basis", "The basis is due or document.");
	return false;
}

/* The elements of an array of bounds, which may have any value yet. */
const int32 *
aging_bounds_of(FunctionCallInfo fcinfo, int arg, int *n)
{
	ArrayType  *array;

	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bounds of an aging must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(arg);
	if (ARR_ELEMTYPE(array) != INT4OID || ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("bounds of an aging must be a one-dimensional array of integers")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bounds of an aging must not contain nulls")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (*n < 1 || *n > AGING_MAX_BOUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an aging must have 1 to %d bounds, not %d",
						AGING_MAX_BOUNDS, *n)));
	return (const int32 *) ARR_DATA_PTR(array);
}

static bool
contains(const int32 *bounds, int n, int32 wanted)
{
	for (int i = 0; i < n; i++)
		if (bounds[i] == wanted)
			return true;
	return false;
}

static void
check_ascending(const int32 *bounds, int n)
{
	for (int i = 1; i < n; i++)
		if (bounds[i] <= bounds[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("bounds of an aging must be strictly ascending"),
					 errdetail("Bound %d is %d, and the one before is %d.",
							   i + 1, bounds[i], bounds[i - 1]),
					 errhint("Bounds are the last days of all buckets but the last one: ARRAY[0, 30, 60] makes up to 0, 1-30, 31-60, and over 60.")));
}

/*
 * Checks bounds as a user gave them and completes them.  By due date, 0 is one
 * of them, so that no bucket mixes what is due with what is overdue.  By
 * document date, what is dated after the as-of date has a bucket in front.
 */
void
aging_complete_bounds(AgingBounds *result, const int32 *bounds, int n,
					  bool by_document)
{
	check_ascending(bounds, n);
	if (by_document && bounds[0] < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bounds of an aging by document date must not be negative"),
				 errdetail("The first bound is %d.", bounds[0]),
				 errhint("Documents dated after the as-of date have a bucket of their own in front.")));
	if (by_document && n == AGING_MAX_BOUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an aging by document date must have 1 to %d bounds, not %d",
						AGING_MAX_BOUNDS - 1, n)));
	if (!by_document && !contains(bounds, n, 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bounds of an aging by due date must contain 0"),
				 errdetail("Without it one bucket would mix what is due today or later with what is overdue."),
				 errhint("Add 0 to the bounds, or give the basis \"document\" after the credit mode to age by document date.")));
	result->n = 0;
	if (by_document)
		result->bound[result->n++] = -1;
	memcpy(&result->bound[result->n], bounds, n * sizeof(int32));
	result->n += n;
}

/* aging_bucket(due_date, as_of, bounds, basis): NULL: no date, so undated. */
Datum
credit_aging_bucket(PG_FUNCTION_ARGS)
{
	int			n;
	const int32 *bounds = aging_bounds_of(fcinfo, 2, &n);
	AgingBounds complete;

	aging_complete_bounds(&complete, bounds, n, aging_parse_basis(fcinfo, 3));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_INT32(bucket_of_days(complete.bound, complete.n,
								   days_between(PG_GETARG_DATEADT(0),
												PG_GETARG_DATEADT(1))));
}

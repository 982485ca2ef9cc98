/*
 * binning_apply.c
 *	  Stored binnings at work: bin_of() and woe_of().
 *
 * A binning is read once and kept with the call site.  Whether the next row
 * brings the same one is seen by its bytes: a pointer to a value that was freed
 * can come back with another.  Nothing of a binning is believed, since a user
 * can write one by hand.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "binning.h"
#include "composite.h"
#include "credit.h"

PG_FUNCTION_INFO_V1(credit_bin_of_number);
PG_FUNCTION_INFO_V1(credit_bin_of_category);
PG_FUNCTION_INFO_V1(credit_woe_of_number);
PG_FUNCTION_INFO_V1(credit_woe_of_category);

/* --- reading ---------------------------------------------------------------------- */

static void
refuse_binning(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid binning: %s", why),
			 errhint("Binnings come from credit.optimal_bins() or credit.manual_bins().")));
}

static const Oid bin_types[BIN_COLUMNS] = {
	INT4OID, TEXTOID, FLOAT8OID, FLOAT8OID, TEXTARRAYOID, FLOAT8OID, FLOAT8OID, FLOAT8OID,
	FLOAT8OID, FLOAT8OID, FLOAT8OID
};

static const Oid binning_types[BINNING_COLUMNS] = {
	BOOLOID, TEXTOID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID, FLOAT8OID,
	INT8OID, InvalidOid
};

static void
read_bin(Datum bin, Datum *values, bool *nulls)
{
	composite_read(DatumGetHeapTupleHeader(bin), BIN_COLUMNS, bin_types, values, nulls);
}

static void
load_range(StoredBinning *binning, int i, const Datum *values, const bool *nulls, bool is_last)
{
	float8		lower = nulls[2] ? -INFINITY : DatumGetFloat8(values[2]);
	float8		upper = nulls[3] ? INFINITY : DatumGetFloat8(values[3]);

	if (i != binning->n_ranges)
		refuse_binning("ranges must come before special codes and missing values");
	if (isnan(lower) || isnan(upper) || lower >= upper ||
		(i == 0 && !nulls[2]) || (i > 0 && (nulls[2] || lower != binning->bounds[i - 1])))
		refuse_binning("ranges must follow each other without gaps from no lower bound on");
	if (nulls[3] != is_last)
		refuse_binning("the last range, and no other, must have no upper bound");
	binning->bounds[i] = upper;
	binning->n_ranges++;
}

static void
load_categories(StoredBinning *binning, int i, Datum value, bool is_null)
{
	ArrayType  *array;
	Datum	   *elements;
	int			n;

	if (is_null)
		refuse_binning("a bin of categories has none");
	array = DatumGetArrayTypeP(value);
	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		refuse_binning("categories must be an array of one dimension without nulls");
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	for (int k = 0; k < n; k++)
	{
		text	   *category = DatumGetTextPP(elements[k]);
		CategoryKey key = {VARDATA_ANY(category), VARSIZE_ANY_EXHDR(category)};
		CategoryEntry *entry;
		bool		found;

		entry = categories_insert(binning->categories, key, &found);
		if (found)
			refuse_binning("a category is in two bins");
		if (binning->categories->members > BINNING_MAX_CATEGORIES + BINNING_MAX_SPECIALS)
			refuse_binning("too many categories");
		entry->bin = i;
	}
}

static void
load_special(StoredBinning *binning, int i, const Datum *values, const bool *nulls)
{
	float8		code;

	if (binning->is_categorical)
	{
		load_categories(binning, i, values[4], nulls[4]);
		return;
	}
	code = nulls[2] ? NAN : DatumGetFloat8(values[2]);
	if (isnan(code))
		refuse_binning("a special code is missing");
	binning->specials[binning->n_specials] = code;
	binning->special_bins[binning->n_specials++] = i;
}

/* Is element i the last one that is a range? */
static bool
is_last_range(Datum *elements, int n, int i)
{
	Datum		values[BIN_COLUMNS];
	bool		nulls[BIN_COLUMNS];
	char	   *kind;

	if (i + 1 == n)
		return true;
	read_bin(elements[i + 1], values, nulls);
	if (nulls[1])
		return true;
	kind = TextDatumGetCString(values[1]);
	return strcmp(kind, "range") != 0;
}

static void
load_bin(StoredBinning *binning, Datum *elements, int n, int i)
{
	StoredBin  *bin = &binning->bins[i];
	Datum		values[BIN_COLUMNS];
	bool		nulls[BIN_COLUMNS];
	char	   *kind;

	read_bin(elements[i], values, nulls);
	if (nulls[0] || nulls[1])
		refuse_binning("a bin has no number or no kind");
	kind = TextDatumGetCString(values[1]);
	bin->number = DatumGetInt32(values[0]);
	bin->has_woe = !nulls[9];
	bin->woe = nulls[9] ? 0 : DatumGetFloat8(values[9]);
	bin->is_missing = strcmp(kind, "missing") == 0;
	if (isnan(bin->woe) || isinf(bin->woe))
		refuse_binning("a weight of evidence is not finite");
	if (bin->is_missing)
	{
		if (binning->missing >= 0)
			refuse_binning("there are two bins of missing values");
		binning->missing = i;
	}
	else if (strcmp(kind, "special") == 0)
		load_special(binning, i, values, nulls);
	else if (strcmp(kind, "range") == 0 && !binning->is_categorical)
		load_range(binning, i, values, nulls, is_last_range(elements, n, i));
	else if (strcmp(kind, "categories") == 0 && binning->is_categorical)
		load_categories(binning, i, values[4], nulls[4]);
	else
		refuse_binning("kinds of bins are range or categories, special, and missing");
}

/* In the current context. */
StoredBinning *
binning_load(Datum datum)
{
	StoredBinning *binning = palloc0(sizeof(StoredBinning));
	Datum		values[BINNING_COLUMNS];
	bool		nulls[BINNING_COLUMNS];
	Datum	   *elements;
	bool	   *no_bin;
	ArrayType  *array;

	composite_read(DatumGetHeapTupleHeader(datum), BINNING_COLUMNS, binning_types,
				   values, nulls);
	if (nulls[0] || nulls[9])
		refuse_binning("it has no bins");
	array = DatumGetArrayTypeP(values[9]);
	if (ARR_NDIM(array) > 1)
		refuse_binning("bins must be an array of one dimension");
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_DOUBLE,
					  &elements, &no_bin, &binning->n_bins);
	if (binning->n_bins > BINNING_MAX_STORED)
		refuse_binning("it has too many bins");
	binning->is_categorical = DatumGetBool(values[0]);
	binning->missing = -1;
	binning->bins = palloc0(sizeof(StoredBin) * Max(binning->n_bins, 1));
	binning->bounds = palloc(sizeof(float8) * Max(binning->n_bins, 1));
	binning->specials = palloc(sizeof(float8) * Max(binning->n_bins, 1));
	binning->special_bins = palloc(sizeof(int) * Max(binning->n_bins, 1));
	if (binning->is_categorical)
		binning->categories = categories_create(CurrentMemoryContext, 8, NULL);
	for (int i = 0; i < binning->n_bins; i++)
	{
		if (no_bin[i])
			refuse_binning("a bin is null");
		load_bin(binning, elements, binning->n_bins, i);
	}
	return binning;
}

/* The index of the bin that a category falls into; -1: it is unknown. */
int
binning_find_category(const StoredBinning *binning, const char *data, uint32 length)
{
	CategoryKey key = {data, length};
	CategoryEntry *entry = categories_lookup(binning->categories, key);

	return entry == NULL ? -1 : entry->bin;
}

/* --- kept with the call site ---------------------------------------------------------- */

typedef struct KeptBinning
{
	MemoryContext context;		/* of what follows; NULL: nothing kept */
	Size		size;
	void	   *bytes;			/* the argument, as it came */
	StoredBinning *binning;
} KeptBinning;

/*
 * A pointer to where a large value lies says nothing about the value for
 * longer than a statement, so such a value is fetched for each row.
 */
static const StoredBinning *
kept_binning(FunctionCallInfo fcinfo)
{
	KeptBinning *kept = fcinfo->flinfo->fn_extra;
	struct varlena *given = (struct varlena *) DatumGetPointer(PG_GETARG_DATUM(0));
	MemoryContext caller;

	if (VARATT_IS_EXTERNAL(given))
		given = pg_detoast_datum(given);
	if (kept != NULL && kept->context != NULL && VARSIZE_ANY(given) == kept->size &&
		memcmp(given, kept->bytes, kept->size) == 0)
		return kept->binning;
	if (kept == NULL)
		fcinfo->flinfo->fn_extra = kept =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(KeptBinning));
	if (kept->context != NULL)
	{
		MemoryContextDelete(kept->context);
		kept->context = NULL;
	}
	kept->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "credit binning",
										  ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(kept->context);
	kept->size = 0;
	kept->bytes = palloc(VARSIZE_ANY(given));
	memcpy(kept->bytes, given, VARSIZE_ANY(given));
	kept->binning = binning_load(PointerGetDatum(kept->bytes));
	/* only now: an error on the way must not leave half a binning */
	kept->size = VARSIZE_ANY(given);
	MemoryContextSwitchTo(caller);
	return kept->binning;
}

/* The bin of the second argument; NULL: of an unknown category. */
static const StoredBin *
find_bin(FunctionCallInfo fcinfo, bool is_categorical, const StoredBinning *binning)
{
	int			i;

	if (binning->is_categorical != is_categorical)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg(is_categorical ? "binning is of numbers, and the value is text" :
						"binning is of categories, and the value is a number"),
				 errhint("Cast the value.")));
	if (PG_ARGISNULL(1))
		i = binning->missing;
	else if (is_categorical)
	{
		text	   *value = PG_GETARG_TEXT_PP(1);

		i = binning_find_category(binning, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	}
	else
		i = binning_find_number(binning, PG_GETARG_FLOAT8(1));
	return i < 0 ? NULL : &binning->bins[i];
}

static Datum
bin_of(FunctionCallInfo fcinfo, bool is_categorical)
{
	const StoredBin *bin;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	bin = find_bin(fcinfo, is_categorical, kept_binning(fcinfo));
	if (bin == NULL)
		PG_RETURN_NULL();
	PG_RETURN_INT32(bin->number);
}

/* What no bin is for says nothing: 0. */
static Datum
woe_of(FunctionCallInfo fcinfo, bool is_categorical)
{
	const StoredBin *bin;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	bin = find_bin(fcinfo, is_categorical, kept_binning(fcinfo));
	if (bin == NULL)
		PG_RETURN_FLOAT8(0);
	if (!bin->has_woe)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(bin->woe);
}

Datum
credit_bin_of_number(PG_FUNCTION_ARGS)
{
	return bin_of(fcinfo, false);
}

Datum
credit_bin_of_category(PG_FUNCTION_ARGS)
{
	return bin_of(fcinfo, true);
}

Datum
credit_woe_of_number(PG_FUNCTION_ARGS)
{
	return woe_of(fcinfo, false);
}

Datum
credit_woe_of_category(PG_FUNCTION_ARGS)
{
	return woe_of(fcinfo, true);
}

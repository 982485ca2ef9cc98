/*
 * binning_option.c
 *	  Options of a binning: from a row of SQL, or from bytes.
 *
 * Either is checked in full, since both come from outside.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "aggregate.h"
#include "binning.h"
#include "composite.h"
#include "credit.h"

static const Oid option_types[OPTION_COLUMNS] = {
	INT4OID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TEXTOID,
	FLOAT8OID, TEXTARRAYOID, FLOAT8ARRAYOID, TEXTOID
};

const char *const binning_trends[] = {"none", "up", "down", "auto", "peak", "valley"};
const char *const binning_methods[] = {"optimal", "pool", "none"};

static void
refuse_option(const char *name, const char *allowed, const char *given)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" of a binning must be %s, not %s",
					name, allowed, given)));
}

static void
check_integer(const char *name, int given, int least, int most)
{
	if (given < least || given > most)
		refuse_option(name, psprintf("%d to %d", least, most), psprintf("%d", given));
}

/* NaN is below and above nothing, so it is refused as well. */
static void
check_number(const char *name, float8 given, float8 most)
{
	if (!(given >= 0 && given <= most))
		refuse_option(name, psprintf("0 to %g", most), psprintf("%g", given));
}

static void
check_specials(const BinningOptions *options, bool is_categorical)
{
	for (int i = 0; i < options->n_specials; i++)
	{
		if (isnan(options->special_numbers[i]))
			refuse_option("special_codes", "numbers", "NaN, which is missing");
		for (int j = 0; j < i; j++)
			if (is_categorical ? strcmp(options->specials[i], options->specials[j]) == 0 :
				options->special_numbers[i] == options->special_numbers[j])
				refuse_option("special_codes", "different from each other",
							  psprintf("\"%s\" twice", options->specials[i]));
	}
}

/* Whoever says them, the user or bytes. */
static void
check_options(const BinningOptions *options, bool is_categorical)
{
	check_integer("max_prebins", options->max_prebins, 1, BINNING_MAX_PREBINS);
	check_integer("max_bins", options->max_bins, 1, BINNING_MAX_BINS);
	check_number("min_share", options->min_share, 1);
	check_number("min_size", options->min_size, 1e15);
	check_number("min_good", options->min_good, 1e15);
	check_number("min_bad", options->min_bad, 1e15);
	check_number("min_gap", options->min_gap, 1);
	check_number("adjustment", options->adjustment, 1000);
	check_specials(options, is_categorical);
	if (options->method == METHOD_POOL && !is_categorical && options->trend != TREND_UP &&
		options->trend != TREND_DOWN && options->trend != TREND_AUTO)
		refuse_option("trend", "up, down or auto with method pool",
					  binning_trends[options->trend]);
	if (options->n_bounds >= 0 && is_categorical)
		refuse_option("bounds", "null where values are categories", "given");
	for (int i = 0; i < options->n_bounds; i++)
		if (isnan(options->bounds[i]) || isinf(options->bounds[i]) ||
			(i > 0 && options->bounds[i] <= options->bounds[i - 1]))
			refuse_option("bounds", "finite and ascending",
						  psprintf("%g in place %d", options->bounds[i], i + 1));
}

/* Room for so many elements, which come from outside. */
static void
make_room(BinningOptions *options)
{
	if (options->n_specials > BINNING_MAX_SPECIALS)
		refuse_option("special_codes", psprintf("at most %d", BINNING_MAX_SPECIALS),
					  psprintf("%d", options->n_specials));
	if (options->n_bounds > BINNING_MAX_PREBINS - 1)
		refuse_option("bounds", psprintf("at most %d", BINNING_MAX_PREBINS - 1),
					  psprintf("%d", options->n_bounds));
	options->specials = palloc(sizeof(char *) * Max(options->n_specials, 1));
	options->special_numbers = palloc0(sizeof(float8) * Max(options->n_specials, 1));
	options->bounds = palloc(sizeof(float8) * Max(options->n_bounds, 1));
}

static Datum *
option_elements(Datum value, Oid type, const char *name, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		refuse_option(name, "an array of one dimension without nulls", "this one");
	if (type == TEXTOID)
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, n);
	else
		deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
						  TYPALIGN_DOUBLE, &elements, NULL, n);
	return elements;
}

/* Codes are given as text, and are numbers where values are. */
static void
read_lists(BinningOptions *options, const Datum *values, const bool *nulls,
		   bool is_categorical)
{
	Datum	   *codes = NULL;
	Datum	   *bounds = NULL;

	options->n_specials = 0;
	options->n_bounds = -1;
	if (!nulls[9])
		codes = option_elements(values[9], TEXTOID, "special_codes", &options->n_specials);
	if (!nulls[10])
		bounds = option_elements(values[10], FLOAT8OID, "bounds", &options->n_bounds);
	make_room(options);
	for (int i = 0; i < options->n_specials; i++)
	{
		options->specials[i] = TextDatumGetCString(codes[i]);
		if (!is_categorical)
			options->special_numbers[i] =
				DatumGetFloat8(DirectFunctionCall1(float8in,
												   CStringGetDatum(options->specials[i])));
	}
	for (int i = 0; i < options->n_bounds; i++)
		options->bounds[i] = DatumGetFloat8(bounds[i]);
}

/* The place of a word among those that are allowed. */
static int
read_word(Datum value, const char *name, const char *const *words, int n, const char *allowed)
{
	char	   *given = TextDatumGetCString(value);

	for (int i = 0; i < n; i++)
		if (strcmp(given, words[i]) == 0)
			return i;
	refuse_option(name, allowed, given);
	return 0;					/* not reached */
}

/* What is null, or not given at all, has its default. */
BinningOptions *
binning_read_options(HeapTupleHeader given, bool is_categorical)
{
	BinningOptions *options = palloc0(sizeof(BinningOptions));
	Datum		values[OPTION_COLUMNS] = {0};
	bool		nulls[OPTION_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	if (given != NULL)
		composite_read(given, OPTION_COLUMNS, option_types, values, nulls);
	options->max_prebins = nulls[0] ? 50 : DatumGetInt32(values[0]);
	options->max_bins = nulls[1] ? 6 : DatumGetInt32(values[1]);
	options->min_share = nulls[2] ? 0.05 : DatumGetFloat8(values[2]);
	options->min_size = nulls[3] ? 30 : DatumGetFloat8(values[3]);
	options->min_good = nulls[4] ? 1 : DatumGetFloat8(values[4]);
	options->min_bad = nulls[5] ? 1 : DatumGetFloat8(values[5]);
	options->min_gap = nulls[6] ? 0 : DatumGetFloat8(values[6]);
	options->trend = nulls[7] ? TREND_AUTO : (BinTrend)
		read_word(values[7], "trend", binning_trends, lengthof(binning_trends),
				  "none, up, down, auto, peak or valley");
	options->adjustment = nulls[8] ? 0.5 : DatumGetFloat8(values[8]);
	read_lists(options, values, nulls, is_categorical);
	options->method = nulls[11] ? METHOD_OPTIMAL : (BinMethod)
		read_word(values[11], "method", binning_methods, lengthof(binning_methods),
				  "optimal, pool or none");
	check_options(options, is_categorical);
	return options;
}

void
binning_send_options(StringInfo buf, const BinningOptions *options)
{
	pq_sendint32(buf, options->max_prebins);
	pq_sendint32(buf, options->max_bins);
	pq_sendfloat8(buf, options->min_share);
	pq_sendfloat8(buf, options->min_size);
	pq_sendfloat8(buf, options->min_good);
	pq_sendfloat8(buf, options->min_bad);
	pq_sendfloat8(buf, options->min_gap);
	pq_sendbyte(buf, options->trend);
	pq_sendfloat8(buf, options->adjustment);
	pq_sendbyte(buf, options->method);
	pq_sendint32(buf, options->n_specials);
	pq_sendint32(buf, options->n_bounds);
	for (int i = 0; i < options->n_specials; i++)
	{
		pq_sendint32(buf, (uint32) strlen(options->specials[i]));
		pq_sendbytes(buf, options->specials[i], strlen(options->specials[i]));
		pq_sendfloat8(buf, options->special_numbers[i]);
	}
	for (int i = 0; i < options->n_bounds; i++)
		pq_sendfloat8(buf, options->bounds[i]);
}

BinningOptions *
binning_receive_options(StringInfo buf, bool is_categorical)
{
	BinningOptions *options = palloc0(sizeof(BinningOptions));
	int			trend;
	int			method;

	options->max_prebins = (int) pq_getmsgint(buf, 4);
	options->max_bins = (int) pq_getmsgint(buf, 4);
	options->min_share = pq_getmsgfloat8(buf);
	options->min_size = pq_getmsgfloat8(buf);
	options->min_good = pq_getmsgfloat8(buf);
	options->min_bad = pq_getmsgfloat8(buf);
	options->min_gap = pq_getmsgfloat8(buf);
	trend = pq_getmsgbyte(buf);
	options->trend = (BinTrend) trend;
	options->adjustment = pq_getmsgfloat8(buf);
	method = pq_getmsgbyte(buf);
	options->method = (BinMethod) method;
	options->n_specials = (int) pq_getmsgint(buf, 4);
	options->n_bounds = (int) pq_getmsgint(buf, 4);
	if (trend >= (int) lengthof(binning_trends) || method >= (int) lengthof(binning_methods) ||
		options->n_specials < 0 || options->n_bounds < -1)
		aggregate_refuse_bytes("optimal_bins");
	make_room(options);
	for (int i = 0; i < options->n_specials; i++)
	{
		int			length = (int) pq_getmsgint(buf, 4);

		options->specials[i] = pnstrdup(pq_getmsgbytes(buf, length), length);
		options->special_numbers[i] = pq_getmsgfloat8(buf);
	}
	for (int i = 0; i < options->n_bounds; i++)
		options->bounds[i] = pq_getmsgfloat8(buf);
	check_options(options, is_categorical);
	return options;
}

/* Equal is what reads equal: the bytes that would be sent. */
bool
binning_same_options(const BinningOptions *a, const BinningOptions *b)
{
	StringInfoData one;
	StringInfoData other;
	bool		is_same;

	initStringInfo(&one);
	initStringInfo(&other);
	binning_send_options(&one, a);
	binning_send_options(&other, b);
	is_same = one.len == other.len && memcmp(one.data, other.data, one.len) == 0;
	pfree(one.data);
	pfree(other.data);
	return is_same;
}

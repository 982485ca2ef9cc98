/*
 * logit_profile.c
 *	  The first look at the rows of a logistic regression: what is wrong with
 *	  them, where each variable lies, and a sample of them.
 *
 * One pass answers what would otherwise take a query for each complaint: rows
 * left out, values that are no numbers, constants, one class only, a variable
 * that separates the classes by itself.  Means and spreads serve the driver to
 * shift and scale the variables, without which the sums of squares of, say, a
 * year would drown the differences between years.
 *
 * The sample is one row in stride.  Which one, a lot decides that follows from
 * the number of the row in the scan: not every stride-th, which would take one
 * day of the week only from rows that come by days.  It is used for a starting
 * point only, or, with stride 1, it is all rows: a fit that fits into memory
 * needs no second scan.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "aggregate.h"
#include "credit.h"
#include "logit.h"

#define AGGREGATE "logit_profile"

#define PROFILE_VERSION 1
#define FIRST_KEPT 8
#define MAX_STRIDE ((int64) 1 << 31)

PG_FUNCTION_INFO_V1(credit_logit_profile_accum);
PG_FUNCTION_INFO_V1(credit_logit_profile_combine);
PG_FUNCTION_INFO_V1(credit_logit_profile_serialize);
PG_FUNCTION_INFO_V1(credit_logit_profile_deserialize);

/* The most rows that can be kept of so many variables. */
static int32
most_kept(int n_variables)
{
	return LOGIT_MAX_KEPT / (sizeof(double) * (n_variables + 2));
}

static LogitProfile *
make_profile(int n_variables, int32 capacity, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	LogitProfile *profile = palloc0(sizeof(LogitProfile));
	int			i;

	profile->n_variables = n_variables;
	profile->ranges = palloc0(sizeof(LogitRange) * n_variables);
	for (i = 0; i < n_variables; i++)
	{
		profile->ranges[i].min[0] = profile->ranges[i].min[1] = INFINITY;
		profile->ranges[i].max[0] = profile->ranges[i].max[1] = -INFINITY;
	}
	profile->stride = 1;
	profile->capacity = Max(2, Min(capacity, most_kept(n_variables)));
	profile->n_allocated = Min(FIRST_KEPT, profile->capacity);
	profile->kept = palloc(sizeof(double) * profile->n_allocated *
						   (n_variables + 2));
	MemoryContextSwitchTo(old);
	return profile;
}

/* --- the sample ----------------------------------------------------------- */

static bool
is_drawn(uint32 lot, int64 stride)
{
	return (lot & (stride - 1)) == 0;
}

/* About every second row goes. */
static void
double_stride(LogitProfile *profile)
{
	Size		row = sizeof(double) * (profile->n_variables + 2);
	int			left = 0;
	int			i;

	profile->stride *= 2;
	for (i = 0; i < profile->n_kept; i++)
		if (is_drawn(KEPT_LOT(KEPT_ROW(profile, i)), profile->stride))
			memmove(KEPT_ROW(profile, left++), KEPT_ROW(profile, i), row);
	profile->n_kept = left;
}

/* Makes room for one more row, if that can be. */
static void
make_room(LogitProfile *profile)
{
	while (profile->n_kept == profile->capacity &&
		   profile->stride < MAX_STRIDE)
		double_stride(profile);
}

/* The place of one more row, for which there is room. */
static double *
next_kept(LogitProfile *profile)
{
	if (profile->n_kept == profile->n_allocated)
	{
		profile->n_allocated = Min(profile->n_allocated * 2,
								   profile->capacity);
		profile->kept = repalloc(profile->kept,
								 sizeof(double) * profile->n_allocated *
								 (profile->n_variables + 2));
	}
	return KEPT_ROW(profile, profile->n_kept++);
}

static void
keep_row(LogitProfile *profile, bool is_event, const double *x, double weight)
{
	uint32		lot = murmurhash32(profile->seen++);
	double	   *row;

	if (!is_drawn(lot, profile->stride))
		return;
	make_room(profile);
	if (!is_drawn(lot, profile->stride) ||
		profile->n_kept == profile->capacity)
		return;
	row = next_kept(profile);
	row[0] = weight;
	row[1] = 2.0 * lot + (is_event ? 1 : 0);
	memcpy(row + 2, x, sizeof(double) * profile->n_variables);
}

static void
keep_all_of(LogitProfile *to, const LogitProfile *from)
{
	int			i;

	/* what is kept of either is drawn at the larger stride */
	while (to->stride < from->stride)
		double_stride(to);
	for (i = 0; i < from->n_kept; i++)
	{
		const double *row = KEPT_ROW(from, i);

		if (!is_drawn(KEPT_LOT(row), to->stride))
			continue;
		make_room(to);
		if (is_drawn(KEPT_LOT(row), to->stride) &&
			to->n_kept < to->capacity)
			memcpy(next_kept(to), row,
				   sizeof(double) * (to->n_variables + 2));
	}
}

/* --- ranges --------------------------------------------------------------- */

/* Moments by the method of Welford, with weights: no sum of large squares. */
static void
add_value(LogitRange *range, bool is_event, double x, double weight,
		  double share)
{
	double		d = x - range->mean;

	range->mean += d * share;
	range->m2 += weight * d * (x - range->mean);
	range->min[is_event] = Min(range->min[is_event], x);
	range->max[is_event] = Max(range->max[is_event], x);
}

static void
add_range(LogitRange *to, const LogitRange *from, double to_weight,
		  double from_weight)
{
	double		d = from->mean - to->mean;
	double		share = from_weight / (to_weight + from_weight);
	int			class;

	if (from_weight > 0)
	{
		to->mean += d * share;
		to->m2 += from->m2 + d * d * share * to_weight;
	}
	for (class = 0; class < 2; class++)
	{
		to->min[class] = Min(to->min[class], from->min[class]);
		to->max[class] = Max(to->max[class], from->max[class]);
	}
	to->n_null += from->n_null;
	to->n_invalid += from->n_invalid;
}

/* A row with a NULL is left out; which variable it was is counted. */
static void
count_nulls(LogitProfile *profile, ArrayType *array)
{
	bits8	   *bitmap = ARR_NULLBITMAP(array);
	int			i;

	for (i = 0; i < profile->n_variables; i++)
		if (bitmap != NULL && (bitmap[i / 8] & (1 << (i % 8))) == 0)
			profile->ranges[i].n_null++;
}

/* True: all values can be used. */
static bool
check_values(LogitProfile *profile, const double *x)
{
	bool		is_valid = true;
	int			i;

	for (i = 0; i < profile->n_variables; i++)
	{
		if (likely(fabs(x[i]) <= LOGIT_MAX_VALUE))
			continue;
		profile->ranges[i].n_invalid++;
		is_valid = false;
	}
	return is_valid;
}

static void
add_row(LogitProfile *profile, bool is_event, const double *x, double weight)
{
	double		share;
	int			i;

	profile->n_rows[is_event]++;
	profile->weight[is_event] += weight;
	share = weight / (profile->weight[0] + profile->weight[1]);
	for (i = 0; i < profile->n_variables; i++)
		add_value(&profile->ranges[i], is_event, x[i], weight, share);
	keep_row(profile, is_event, x, weight);
}

/* --- aggregate ------------------------------------------------------------ */

static LogitProfile *
begin_profile(FunctionCallInfo fcinfo, MemoryContext context)
{
	double	   *x;
	ArrayType  *array;

	if (PG_ARGISNULL(2) || PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of values and number of rows to keep must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(2);
	(void) credit_logit_values(array, "values", &x);
	return make_profile(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)),
						PG_GETARG_INT32(4), context);
}

/* Arguments: is_event, x, weight, keep.  Complains of nothing it can count. */
Datum
credit_logit_profile_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	LogitProfile *profile;
	ArrayType  *array;
	double	   *x;
	double		weight;
	int			n;

	profile = PG_ARGISNULL(0) ? begin_profile(fcinfo, context) :
		(LogitProfile *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of values must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(2);
	n = credit_logit_values(array, "values", &x);
	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) !=
		profile->n_variables)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("all rows must have the same number of values")));
	if (n < 0)
		count_nulls(profile, array);
	if (n < 0 || PG_ARGISNULL(1) || PG_ARGISNULL(3) ||
		(weight = PG_GETARG_FLOAT8(3)) == 0)
		profile->n_skipped++;
	else if (!(weight > 0 && weight <= LOGIT_MAX_VALUE))
		profile->n_invalid_weight++;
	else if (check_values(profile, x))
		add_row(profile, PG_GETARG_BOOL(1), x, weight);
	PG_RETURN_POINTER(profile);
}

Datum
credit_logit_profile_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	LogitProfile *to;
	LogitProfile *from;
	MemoryContext old;
	int			i;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	from = (LogitProfile *) PG_GETARG_POINTER(1);
	to = PG_ARGISNULL(0) ?
		make_profile(from->n_variables, from->capacity, context) :
		(LogitProfile *) PG_GETARG_POINTER(0);
	if (to->n_variables != from->n_variables)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("all rows must have the same number of values")));
	for (i = 0; i < to->n_variables; i++)
		add_range(&to->ranges[i], &from->ranges[i],
				  to->weight[0] + to->weight[1],
				  from->weight[0] + from->weight[1]);
	for (i = 0; i < 2; i++)
	{
		to->n_rows[i] += from->n_rows[i];
		to->weight[i] += from->weight[i];
	}
	to->n_skipped += from->n_skipped;
	to->n_invalid_weight += from->n_invalid_weight;
	old = MemoryContextSwitchTo(context);
	keep_all_of(to, from);
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(to);
}

static void
send_range(StringInfo buffer, const LogitRange *range)
{
	int			class;

	pq_sendfloat8(buffer, range->mean);
	pq_sendfloat8(buffer, range->m2);
	for (class = 0; class < 2; class++)
	{
		pq_sendfloat8(buffer, range->min[class]);
		pq_sendfloat8(buffer, range->max[class]);
	}
	pq_sendint64(buffer, range->n_null);
	pq_sendint64(buffer, range->n_invalid);
}

static void
read_range(StringInfo buffer, LogitRange *range)
{
	int			class;

	range->mean = pq_getmsgfloat8(buffer);
	range->m2 = pq_getmsgfloat8(buffer);
	for (class = 0; class < 2; class++)
	{
		range->min[class] = pq_getmsgfloat8(buffer);
		range->max[class] = pq_getmsgfloat8(buffer);
	}
	range->n_null = pq_getmsgint64(buffer);
	range->n_invalid = pq_getmsgint64(buffer);
}

/*
 * The bytes are the result too, for the driver: several kinds of figures do
 * not make a row that anybody would read.
 */
Datum
credit_logit_profile_serialize(PG_FUNCTION_ARGS)
{
	LogitProfile *profile;
	StringInfoData buffer;
	int64		i;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	profile = (LogitProfile *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buffer);
	pq_sendbyte(&buffer, PROFILE_VERSION);
	pq_sendint32(&buffer, profile->n_variables);
	for (i = 0; i < 2; i++)
	{
		pq_sendint64(&buffer, profile->n_rows[i]);
		pq_sendfloat8(&buffer, profile->weight[i]);
	}
	pq_sendint64(&buffer, profile->n_skipped);
	pq_sendint64(&buffer, profile->n_invalid_weight);
	for (i = 0; i < profile->n_variables; i++)
		send_range(&buffer, &profile->ranges[i]);
	pq_sendint64(&buffer, profile->stride);
	pq_sendint32(&buffer, profile->capacity);
	pq_sendint32(&buffer, profile->n_kept);
	for (i = 0; i < (int64) profile->n_kept * (profile->n_variables + 2); i++)
		pq_sendfloat8(&buffer, profile->kept[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

static void
read_kept(StringInfo buffer, LogitProfile *profile)
{
	int64		numbers;
	int64		i;

	profile->stride = pq_getmsgint64(buffer);
	profile->capacity = (int32) pq_getmsgint(buffer, 4);
	profile->n_kept = (int32) pq_getmsgint(buffer, 4);
	if (profile->stride < 1 || profile->stride > MAX_STRIDE ||
		(profile->stride & (profile->stride - 1)) != 0 ||
		profile->capacity < 2 ||
		profile->capacity > most_kept(profile->n_variables) ||
		profile->n_kept < 0 || profile->n_kept > profile->capacity)
		aggregate_refuse_bytes(AGGREGATE);
	numbers = (int64) profile->n_kept * (profile->n_variables + 2);
	if (buffer->len - buffer->cursor != numbers * (int64) sizeof(double))
		aggregate_refuse_bytes(AGGREGATE);
	profile->n_allocated = Max(profile->n_kept, 1);
	profile->kept = palloc(sizeof(double) * profile->n_allocated *
						   (profile->n_variables + 2));
	for (i = 0; i < numbers; i++)
		profile->kept[i] = pq_getmsgfloat8(buffer);
	for (i = 0; i < profile->n_kept; i++)
		if (!(KEPT_ROW(profile, i)[1] >= 0 &&
			  KEPT_ROW(profile, i)[1] < 2.0 * PG_UINT32_MAX + 2))
			aggregate_refuse_bytes(AGGREGATE);
}

/* In the current memory context. */
LogitProfile *
credit_logit_profile_read(StringInfo buffer)
{
	LogitProfile *profile = palloc0(sizeof(LogitProfile));
	int			i;

	if (pq_getmsgbyte(buffer) != PROFILE_VERSION)
		aggregate_refuse_bytes(AGGREGATE);
	profile->n_variables = (int) pq_getmsgint(buffer, 4);
	if (profile->n_variables < 0 ||
		profile->n_variables > LOGIT_MAX_VARIABLES + 1)
		aggregate_refuse_bytes(AGGREGATE);
	for (i = 0; i < 2; i++)
	{
		profile->n_rows[i] = pq_getmsgint64(buffer);
		profile->weight[i] = pq_getmsgfloat8(buffer);
	}
	profile->n_skipped = pq_getmsgint64(buffer);
	profile->n_invalid_weight = pq_getmsgint64(buffer);
	profile->ranges = palloc0(sizeof(LogitRange) *
							  Max(profile->n_variables, 1));
	for (i = 0; i < profile->n_variables; i++)
		read_range(buffer, &profile->ranges[i]);
	read_kept(buffer, profile);
	pq_getmsgend(buffer);
	return profile;
}

Datum
credit_logit_profile_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buffer;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buffer);
	PG_RETURN_POINTER(credit_logit_profile_read(&buffer));
}

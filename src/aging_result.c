/*
 * aging_result.c
 *	  The row that an aging ends in.
 *
 * What the credit mode "oldest" does needs all rows of a group, so it is done
 * here, in whole numbers while the sums are (money.c), else in numerics.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "aggregate.h"
#include "aging_result.h"

/* Columns of the two results. */
#define DEFAULT_COLUMNS 10
#define ARRAY_COLUMNS 6

PG_FUNCTION_INFO_V1(credit_aging_final);
PG_FUNCTION_INFO_V1(credit_aging_array_final);

/*
 * Takes credits off the oldest buckets first; what has no date comes last.
 * What is left of the credits stays in their sum.
 */
static void
apply_credits(const AgingState *state, int128 *sums)
{
	int128	   *credits = &sums[CREDITS(state->terms->nbounds)];

	for (int i = 0; i <= state->terms->nbounds + 1; i++)
	{
		int128	   *sum = &sums[i == state->terms->nbounds + 1 ? UNDATED(state->terms->nbounds) :
								state->terms->nbounds - i];
		int128		taken = Min(*sum, -*credits);

		*sum -= taken;
		*credits += taken;
	}
}

/* All sums and, behind them, the total. */
static void
fixed_results(const AgingState *state, Datum *results)
{
	int			n = state->sums.nsums;
	int128	   *sums = palloc(n * sizeof(int128));
	int128		total = 0;

	for (int i = 0; i < n; i++)
	{
		sums[i] = money_fixed(&state->sums, i);
		total += sums[i];
	}
	if (state->terms->credits == CREDITS_OLDEST)
		apply_credits(state, sums);
	for (int i = 0; i < n; i++)
		results[i] = NumericGetDatum(money_numeric(sums[i], state->sums.scale));
	results[n] = NumericGetDatum(money_numeric(total, state->sums.scale));
	pfree(sums);
}

/* The same as apply_credits(), for amounts of any kind. */
static void
apply_numeric_credits(const AgingState *state, Datum *sums)
{
	Datum	   *credits = &sums[CREDITS(state->terms->nbounds)];

	for (int i = 0; i <= state->terms->nbounds + 1; i++)
	{
		Datum	   *sum = &sums[i == state->terms->nbounds + 1 ? UNDATED(state->terms->nbounds) :
								state->terms->nbounds - i];
		Datum		taken = DirectFunctionCall2(numeric_smaller, *sum,
												DirectFunctionCall1(numeric_uminus, *credits));

		*sum = DirectFunctionCall2(numeric_sub, *sum, taken);
		*credits = DirectFunctionCall2(numeric_add, *credits, taken);
	}
}

/* A zero with as many decimals as the finite one of n numerics with most. */
static Datum
widest_zero(const Datum *numerics, int n)
{
	Datum		zero = NumericGetDatum(money_numeric(0, 0));

	for (int i = 0; i < n; i++)
	{
		Numeric		numeric = DatumGetNumeric(numerics[i]);

		if (!numeric_is_nan(numeric) && !numeric_is_inf(numeric))
			zero = DirectFunctionCall2(numeric_add, zero,
									   DirectFunctionCall2(numeric_sub, numerics[i],
														   numerics[i]));
	}
	return zero;
}

/* As fixed_results(), for amounts of any kind. */
static void
numeric_results(const AgingState *state, Datum *results)
{
	int			n = state->sums.nsums;
	Datum		zero;

	for (int i = 0; i < n; i++)
		results[i] = NumericGetDatum(money_sum(&state->sums, i));
	zero = widest_zero(results, n);
	results[n] = zero;
	for (int i = 0; i < n; i++)
	{
		results[i] = DirectFunctionCall2(numeric_add, results[i], zero);
		results[n] = DirectFunctionCall2(numeric_add, results[n], results[i]);
	}
	if (state->terms->credits == CREDITS_OLDEST)
		apply_numeric_credits(state, results);
}

static void
compute_results(const AgingState *state, Datum *results)
{
	if (money_is_fixed(&state->sums))
		fixed_results(state, results);
	else
		numeric_results(state, results);
}

/* The state of a group, which may be NULL, with all rows added to it. */
static const AgingState *
settled(FunctionCallInfo fcinfo)
{
	AgingState *state;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		return NULL;
	state = (AgingState *) PG_GETARG_POINTER(0);
	backlog_settle(state->terms->backlog);
	return state;
}

/* Whether there were amounts at all; if not, sums are NULL and counts are 0. */
static inline bool
has_amounts(const AgingState *state)
{
	return state != NULL && state->sums.n > 0;
}

/* One column for each sum, in the order of the state, then total, n_skipped. */
static Datum
default_row(TupleDesc desc, const AgingState *state)
{
	Datum		values[DEFAULT_COLUMNS];
	bool		nulls[DEFAULT_COLUMNS] = {false};

	if (has_amounts(state))
	{
		if (state->sums.nsums + 2 != DEFAULT_COLUMNS)
			elog(ERROR, "aging with %d bounds has no columns", state->terms->nbounds);
		compute_results(state, values);
	}
	else
		memset(nulls, true, DEFAULT_COLUMNS - 1);
	values[DEFAULT_COLUMNS - 1] = Int64GetDatum(state ? state->n_skipped : 0);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* bounds, buckets, undated, credits, total, n_skipped */
static Datum
array_row(TupleDesc desc, const AgingState *state)
{
	Datum		values[ARRAY_COLUMNS];
	bool		nulls[ARRAY_COLUMNS] = {false, true, true, true, true, false};

	nulls[0] = state == NULL;
	if (state != NULL)
	{
		Datum	   *bounds = palloc(state->terms->nbounds * sizeof(Datum));

		for (int i = 0; i < state->terms->nbounds; i++)
			bounds[i] = Int32GetDatum(state->terms->bounds[i]);
		values[0] = PointerGetDatum(construct_array(bounds, state->terms->nbounds, INT4OID,
													sizeof(int32), true, TYPALIGN_INT));
	}
	if (has_amounts(state))
	{
		Datum	   *results = palloc((state->sums.nsums + 1) * sizeof(Datum));

		compute_results(state, results);
		values[1] = PointerGetDatum(construct_array(results, state->terms->nbounds + 1,
													NUMERICOID, -1, false, TYPALIGN_INT));
		values[2] = results[UNDATED(state->terms->nbounds)];
		values[3] = results[CREDITS(state->terms->nbounds)];
		values[4] = results[CREDITS(state->terms->nbounds) + 1];
		memset(nulls, false, sizeof(nulls));
	}
	values[5] = Int64GetDatum(state ? state->n_skipped : 0);
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

Datum
credit_aging_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(default_row(aggregate_row_type(fcinfo, AGGREGATE, DEFAULT_COLUMNS),
								settled(fcinfo)));
}

Datum
credit_aging_array_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(array_row(aggregate_row_type(fcinfo, AGGREGATE, ARRAY_COLUMNS),
							  settled(fcinfo)));
}

/* How many columns a result has. */
int
aging_columns(bool has_bounds)
{
	return has_bounds ? ARRAY_COLUMNS : DEFAULT_COLUMNS;
}

/* The row of results in a type that was looked up by the caller. */
Datum
aging_result(TupleDesc desc, const AgingState *state, bool has_bounds)
{
	return has_bounds ? array_row(desc, state) : default_row(desc, state);
}

/* The same in that of the function; the state is NULL where there was no row. */
Datum
aging_row(FunctionCallInfo fcinfo, const AgingState *state, bool has_bounds)
{
	return aging_result(aggregate_row_type(fcinfo, AGGREGATE, aging_columns(has_bounds)),
						state, has_bounds);
}

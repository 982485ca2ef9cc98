/*
 * figures.h
 *	  The columns of an aggregate's result while they are filled.
 *
 * A column that nobody sets is NULL: there is nothing to say.
 */
#ifndef CREDIT_FIGURES_H
#define CREDIT_FIGURES_H

#include <math.h>

#include "access/htup_details.h"
#include "utils/numeric.h"

#include "aggregate.h"

#define MAX_FIGURES 48

typedef struct Figures
{
	Datum		values[MAX_FIGURES];
	bool		nulls[MAX_FIGURES];
} Figures;

static inline void
figures_init(Figures *figures)
{
	memset(figures->nulls, true, sizeof(figures->nulls));
}

static inline void
set(Figures *figures, int column, Datum value)
{
	figures->values[column] = value;
	figures->nulls[column] = false;
}

static inline void
set_count(Figures *figures, int column, int64 count)
{
	set(figures, column, Int64GetDatum(count));
}

static inline void
set_numeric(Figures *figures, int column, Numeric value)
{
	set(figures, column, NumericGetDatum(value));
}

/* What is no number stays NULL. */
static inline void
set_float(Figures *figures, int column, double value)
{
	if (!isnan(value) && !isinf(value))
		set(figures, column, Float8GetDatum(value));
}

/* A ratio whose denominator is 0 stays NULL. */
static inline void
set_ratio(Figures *figures, int column, double numerator, double denominator)
{
	if (denominator != 0)
		set_float(figures, column, numerator / denominator);
}

static inline Datum
figures_row(const Figures *figures, FunctionCallInfo fcinfo, const char *name,
			int ncolumns)
{
	TupleDesc	desc = aggregate_row_type(fcinfo, name, ncolumns);

	Assert(ncolumns <= MAX_FIGURES);
	return HeapTupleGetDatum(heap_form_tuple(desc, (Datum *) figures->values,
											 (bool *) figures->nulls));
}

#endif							/* CREDIT_FIGURES_H */

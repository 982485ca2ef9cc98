/*
 * series.h
 *	  Values by day, several of one day merged by weight; see series.c.
 */
#ifndef CREDIT_SERIES_H
#define CREDIT_SERIES_H

#include "timeline.h"

typedef struct Series
{
	int64		n_rows;			/* used */
	int64		n_skipped;		/* something is missing, or is no number */
	int64		n_credits;		/* the weight is 0 or negative */
	Timeline	line;			/* the number within the day is the value */
} Series;

/* What a day has come to. */
typedef struct SeriesValue
{
	DateADT		day;
	double		value;
} SeriesValue;

extern void series_init(Series *series, MemoryContext cxt, const char *aggregate);
extern void series_add(Series *series, FunctionCallInfo fcinfo, int day_arg,
					   int weight_arg);
extern void series_combine(Series *series, const Series *other);
extern SeriesValue *series_values(const Series *series, int *n);
extern void series_serialize(StringInfo buf, const Series *series);
extern void series_deserialize(StringInfo buf, Series *series);

#endif							/* CREDIT_SERIES_H */

/*
 * aging_bounds.h
 *	  Buckets of an aging as a user asks for them.
 */
#ifndef CREDIT_AGING_BOUNDS_H
#define CREDIT_AGING_BOUNDS_H

#include "aging.h"

/* Arguments of the function that was called; what makes no sense is refused. */
extern AgingCredits aging_parse_credits(FunctionCallInfo fcinfo, int arg);
extern bool aging_parse_basis(FunctionCallInfo fcinfo, int arg);
extern const int32 *aging_bounds_of(FunctionCallInfo fcinfo, int arg, int *n);
extern void aging_complete_bounds(AgingBounds *result, const int32 *bounds, int n,
								  bool by_document);

/* The number of the bucket, from 0, for a number of days. */
static inline int
bucket_of_days(const int32 *bounds, int n, int64 days)
{
	int			low = 0;

	/* few: counting all is faster than asking which */
	if (n <= 8)
	{
		int			bucket = 0;

		for (int i = 0; i < n; i++)
			bucket += days > bounds[i];
		return bucket;
	}
	while (low < n)
	{
		int			middle = (low + n) / 2;

		if (days > bounds[middle])
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* Days between two dates; a due date of infinity never comes. */
static inline int64
days_between(DateADT due, DateADT as_of)
{
	if (unlikely(DATE_NOT_FINITE(as_of)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("as-of date of an aging must not be infinite")));
	if (unlikely(DATE_NOT_FINITE(due)))
		return DATE_IS_NOEND(due) ? PG_INT64_MIN : PG_INT64_MAX;
	return (int64) as_of - due;
}

#endif							/* CREDIT_AGING_BOUNDS_H */

/*
 * aging_result.h
 *	  The state of an aging, as those know it who fill and read it.
 */
#ifndef CREDIT_AGING_RESULT_H
#define CREDIT_AGING_RESULT_H

#include "aging.h"

#define AGGREGATE "aging"

/* Sums behind those of the buckets. */
#define UNDATED(nbounds) ((nbounds) + 1)
#define CREDITS(nbounds) ((nbounds) + 2)
#define NSUMS(nbounds) ((nbounds) + 3)

/* What is the same for all rows of a group. */
typedef struct AgingTerms
{
	const int32 *bounds;
	uint16		nbounds;
	uint8		credits;		/* AgingCredits */
	Backlog    *backlog;		/* where more rows may be; NULL: nowhere */
} AgingTerms;

/* 128 bytes with the default bounds: the size of a chunk of memory. */
struct AgingState
{
	int64		n_skipped;
	const AgingTerms *terms;	/* shared, or behind the sums */
	MoneySums	sums;			/* the last: its length varies */
};

#endif							/* CREDIT_AGING_RESULT_H */

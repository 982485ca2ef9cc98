/*
 * rate.h
 *	  Exchange rates: which one counts, and what an amount is worth by it.
 */
#ifndef CREDIT_RATE_H
#define CREDIT_RATE_H

#include "ledger.h"
#include "utils/date.h"
#include "utils/numeric.h"

/* Bytes a currency code may have; one that is longer has no rate. */
#define RATE_CURRENCY_BYTES 12

/* How a rate was found; those that can be used come last. */
typedef enum RatePath
{
	RATE_MISSING,				/* there is none */
	RATE_STALE,					/* there is one, and it is too old */
	RATE_SAME,					/* one currency: nothing to convert */
	RATE_DIRECT,
	RATE_INVERSE,
	RATE_CROSS					/* through the base currency */
} RatePath;

/*
 * One unit is worth num / den units of the other currency.  A quotient, because
 * one over a rate has no exact value.
 */
typedef struct CreditRate
{
	RatePath	path;
	Numeric		num;			/* NULL: 1 */
	Numeric		den;			/* NULL: 1 */
	DateADT		date;			/* of the oldest part; DATEVAL_NOBEGIN: none */
} CreditRate;

#define rate_is_usable(rate) ((rate)->path >= RATE_SAME)

extern const char *rate_path_name(RatePath path);
extern CreditRate rate_copy(MemoryContext cxt, const CreditRate *rate);

/* For the check: rates of today at their latest committed value. */
extern void rate_begin(void);
extern const CreditRate *rate_in_force(const char *from, const char *to);
extern void rate_load(List *currencies, const char *to);

/* For reports: rates of any day, as a snapshot sees them. */
extern void rate_find(LedgerRel *rates, Snapshot snapshot, const char *rate_type,
					  const char *from, const char *to, DateADT day,
					  CreditRate *rate);

extern Numeric rate_apply(const CreditRate *rate, Numeric amount);
extern Numeric rate_apply_add_on(const CreditRate *rate, Numeric amount,
								 Numeric balance);
extern Numeric rate_round(Numeric amount, const char *currency);
extern Numeric rate_value(const CreditRate *rate);
extern char *rate_text(const CreditRate *rate);

#endif							/* CREDIT_RATE_H */

/*
 * amount.h
 *	  One exact amount of any size, for what is worked out from sums; see
 *	  amount.c.
 */
#ifndef CREDIT_AMOUNT_H
#define CREDIT_AMOUNT_H

#include "money.h"

/* The value is what both parts add up to. */
typedef struct Amount
{
	int128		units;			/* of the eighth decimal */
	Numeric		rest;			/* what units cannot hold; NULL: nothing */
} Amount;

extern bool amount_read_rare(const Money *money, Amount *amount, int *scale);
extern void amount_add_rare(Amount *sum, const Amount *term);
extern Amount amount_times(const Amount *amount, int64 factor);
extern Amount amount_negative(const Amount *amount);
extern int	amount_compare(const Amount *a, const Amount *b);
extern double amount_double(const Amount *amount);
extern Numeric amount_numeric(const Amount *amount, int scale);
extern Numeric amount_quotient(const Amount *amount, int64 divisor);
extern Amount amount_copy(const Amount *amount, MemoryContext cxt);
extern void amount_serialize(StringInfo buf, const Amount *amount);
extern bool amount_deserialize(StringInfo buf, Amount *amount);

static const Amount amount_zero = {0, NULL};

/*
 * Reads a numeric; scale becomes the largest number of decimals so far.
 * False: NaN or infinite.  The rest lives as long as what was read.
 */
static pg_attribute_always_inline bool
amount_read(Datum value, Amount *amount, int *scale)
{
	Money		money;

	money_read(value, &money);
	if (unlikely(money.form != MONEY_SMALL))
		return amount_read_rare(&money, amount, scale);
	amount->units = money.small;
	amount->rest = NULL;
	*scale = Max(*scale, money.scale);
	return true;
}

/* New numerics are made in the memory context of the caller. */
static inline void
amount_add(Amount *sum, const Amount *term)
{
	int128		units;

	if (likely(term->rest == NULL &&
			   !__builtin_add_overflow(sum->units, term->units, &units)))
		sum->units = units;
	else
		amount_add_rare(sum, term);
}

static inline int
amount_sign(const Amount *amount)
{
	if (likely(amount->rest == NULL))
		return (amount->units > 0) - (amount->units < 0);
	return amount_compare(amount, &amount_zero);
}

#endif							/* CREDIT_AMOUNT_H */

/*
 * amount.c
 *	  One exact amount of any size, for what is worked out from sums.
 *
 * money.c adds many amounts to few sums.  Here are balances that run from day
 * to day, are compared, and are multiplied by days: 128 bits in units of the
 * eighth decimal do nearly always, and a numeric beside them takes what they
 * cannot hold: more than 8 decimals, or a sum or a product that overflows.
 * Both parts are exact, so nothing depends on which of them holds what.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "aggregate.h"
#include "amount.h"

/* Decimals that are certain to hold what units hold. */
#define UNIT_SCALE 8

/* Flag of a serialized amount */
#define HAS_REST 1

/* What amount_read() does not do itself. */
bool
amount_read_rare(const Money *money, Amount *amount, int *scale)
{
	int			decimals = money->scale;

	amount->units = 0;
	amount->rest = NULL;
	if (money->form == MONEY_OTHER)
	{
		if (numeric_is_nan(money->numeric) || numeric_is_inf(money->numeric))
			return false;
		amount->rest = money->numeric;
		decimals = DatumGetInt32(DirectFunctionCall1(numeric_scale,
													 NumericGetDatum(amount->rest)));
	}
	else
		amount->units = money->form == MONEY_SMALL ? money->small : money->wide;
	*scale = Max(*scale, decimals);
	return true;
}

/* Any number of decimals will do. */
static inline Datum
exact_datum(const Amount *amount)
{
	return NumericGetDatum(amount_numeric(amount, -1));
}

static inline Datum
whole_datum(int64 number)
{
	return NumericGetDatum(int64_to_numeric(number));
}

static Numeric
add(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

/* What amount_add() does not do itself. */
void
amount_add_rare(Amount *sum, const Amount *term)
{
	int128		units;

	if (__builtin_add_overflow(sum->units, term->units, &units))
	{
		Numeric		carry = money_numeric(sum->units, UNIT_SCALE);

		sum->rest = sum->rest ? add(sum->rest, carry) : carry;
		units = term->units;
	}
	sum->units = units;
	if (term->rest != NULL)
		sum->rest = sum->rest ? add(sum->rest, term->rest) : term->rest;
}

Amount
amount_times(const Amount *amount, int64 factor)
{
	Amount		product = {0, NULL};

	if (likely(amount->rest == NULL &&
			   !__builtin_mul_overflow(amount->units, (int128) factor,
									   &product.units)))
		return product;
	product.units = 0;
	product.rest = DatumGetNumeric(DirectFunctionCall2(numeric_mul, exact_datum(amount),
													   whole_datum(factor)));
	return product;
}

Amount
amount_negative(const Amount *amount)
{
	return amount_times(amount, -1);
}

int
amount_compare(const Amount *a, const Amount *b)
{
	if (likely(a->rest == NULL && b->rest == NULL))
		return (a->units > b->units) - (a->units < b->units);
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp, exact_datum(a),
											 exact_datum(b)));
}

/* Infinite where float8 cannot hold it. */
double
amount_double(const Amount *amount)
{
	if (likely(amount->rest == NULL))
		return (double) amount->units / 1e8;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  exact_datum(amount)));
}

/*
 * The value, shown with so many decimals, which must be enough for it; -1: as
 * many as come.
 */
Numeric
amount_numeric(const Amount *amount, int scale)
{
	Numeric		value;

	if (amount->rest == NULL && scale >= 0 && scale <= UNIT_SCALE)
		return money_numeric(amount->units, scale);
	value = money_numeric(amount->units, UNIT_SCALE);
	if (amount->rest != NULL)
		value = add(value, amount->rest);
	if (scale < 0)
		return value;
	return DatumGetNumeric(DirectFunctionCall2(numeric_round,
											   NumericGetDatum(value),
											   Int32GetDatum(scale)));
}

/* As numeric divides: to sixteen significant digits at least. */
Numeric
amount_quotient(const Amount *amount, int64 divisor)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_div, exact_datum(amount),
											   whole_datum(divisor)));
}

Amount
amount_copy(const Amount *amount, MemoryContext cxt)
{
	Amount		copy = *amount;
	MemoryContext caller = MemoryContextSwitchTo(cxt);

	if (copy.rest != NULL)
		copy.rest = DatumGetNumericCopy(NumericGetDatum(copy.rest));
	MemoryContextSwitchTo(caller);
	return copy;
}

/* --- between processes -------------------------------------------------- */

void
amount_serialize(StringInfo buf, const Amount *amount)
{
	pq_sendbyte(buf, amount->rest != NULL ? HAS_REST : 0);
	aggregate_send_int128(buf, amount->units);
	if (amount->rest != NULL)
		money_send_numeric(buf, amount->rest);
}

/* False: these bytes are no amount. */
bool
amount_deserialize(StringInfo buf, Amount *amount)
{
	int			flags = pq_getmsgbyte(buf);

	amount->units = aggregate_receive_int128(buf);
	amount->rest = NULL;
	if (flags == HAS_REST)
		amount->rest = money_receive_numeric(buf);
	return flags == 0 || flags == HAS_REST;
}

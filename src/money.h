/*
 * money.h
 *	  Exact sums of money for aggregates; see money.c.
 *
 *	  MoneySums  *sums = MemoryContextAllocZero(cxt, money_size(n));
 *
 *	  money_init(sums, n, cxt);
 *	  money_read(PG_GETARG_DATUM(1), &amount);	 once per amount
 *	  money_add(sums, i, &amount);				 to sum i
 *
 * The context is the aggregate's: what the sums grow by lives there.
 */
#ifndef CREDIT_MONEY_H
#define CREDIT_MONEY_H

#include "common/int.h"
#include "lib/stringinfo.h"
#include "utils/numeric.h"

#include "compat.h"

#ifndef HAVE_INT128
#error "credit needs a compiler with integers of 128 bits"
#endif

/* More decimals than this fit into no short header; see money_numeric(). */
#define MONEY_MAX_SCALE 63

typedef enum MoneyForm
{
	MONEY_SMALL,				/* below 10^8, at most 8 decimals */
	MONEY_WIDE,					/* below 10^24, at most 8 decimals */
	MONEY_OTHER					/* any other numeric */
} MoneyForm;

/* An amount as it was read. */
typedef struct Money
{
	MoneyForm	form;
	bool		is_negative;	/* NaN is not: it sorts above all */
	int			scale;			/* decimals it is shown with */
	int64		small;
	int128		wide;
	Numeric		numeric;		/* lives as long as what was read */
} Money;

/* What a sum has beyond its small part. */
typedef struct MoneyRest
{
	int128		wide;
	Numeric		numeric;		/* NULL: none */
	int64		n_nan;
	int64		n_plus;			/* Infinity */
	int64		n_minus;		/* -Infinity */
} MoneyRest;

/*
 * What every amount touches comes last, close together: with many groups each
 * line of memory is one that is not in the processor's cache.
 */
typedef struct MoneySums
{
	MoneyRest  *rest;			/* one per sum; NULL: no sum has any */
	MemoryContext cxt;			/* where the rest lives */
	int64		n_below;		/* of n, those that do not have this scale */
	int64		n;				/* amounts in all sums */
	uint16		nsums;
	uint16		scale;			/* the largest among amounts not MONEY_OTHER */
	int64		small[FLEXIBLE_ARRAY_MEMBER];
} MoneySums;

extern Size money_size(int nsums);
extern void money_init(MoneySums *sums, int nsums, MemoryContext cxt);
extern void money_add_many(MoneySums *sums, int i, int64 units, int scale,
						   int64 n);
extern bool money_remove(MoneySums *sums, int i, const Money *amount);
extern void money_combine(MoneySums *sums, const MoneySums *other);
extern void money_serialize(StringInfo buf, const MoneySums *sums);
extern void money_deserialize(StringInfo buf, MoneySums *sums);
extern bool money_is_fixed(const MoneySums *sums);
extern int128 money_fixed(const MoneySums *sums, int i);
extern Numeric money_sum(const MoneySums *sums, int i);
extern Numeric money_numeric(int128 units, int scale);
extern void money_send_numeric(StringInfo buf, Numeric value);
extern Numeric money_receive_numeric(StringInfo buf);
extern Numeric money_special(const char *word);

/* For the inline functions only. */
extern void money_read_rare(struct varlena *value, Money *amount);
extern void money_note_scale(MoneySums *sums, int scale, int64 n, int64 n_below);
extern void money_add_rare(MoneySums *sums, int i, const Money *amount);

/*
 * Reads a numeric as it lies in its tuple, without unpacking: header, then
 * digits to the base of 10,000, none of them aligned.  That format is what
 * pg_upgrade takes from major to major.  False: it is not MONEY_SMALL, or does
 * not lie there.
 *
 * Each digit is multiplied for itself: none waits for the one before.
 */
static pg_attribute_always_inline bool
money_read_small(Datum value, int64 *small, int *scale)
{
	static const int64 power[] = {0, 0, 1, 10000, 100000000, INT64CONST(1000000000000)};
	const struct varlena *packed = (struct varlena *) DatumGetPointer(value);
	const char *data;
	uint16		header;
	uint16		digit;
	int			ndigits;
	int			weight;
	const int64 *unit;
	int64		units = 0;

	if (likely(VARATT_IS_SHORT(packed) && !VARATT_IS_EXTERNAL(packed)))
	{
		data = VARDATA_SHORT(packed);
		ndigits = (int) (VARSIZE_SHORT(packed) - VARHDRSZ_SHORT) / 2 - 1;
	}
	else if (VARATT_IS_4B_U(packed))
	{
		data = VARDATA(packed);
		ndigits = (int) (VARSIZE(packed) - VARHDRSZ) / 2 - 1;
	}
	else
		return false;
	memcpy(&header, data, sizeof(header));
	/* seven bits with a sign */
	weight = (int) ((header & 0x7F) ^ 0x40) - 0x40;
	if (unlikely((header & 0xC000) != 0x8000 || weight > 1 ||
				 ndigits > weight + 3))
		return false;
	unit = &power[weight + 4];
	if (likely(ndigits > 0))
	{
		memcpy(&digit, data + 2, sizeof(digit));
		units = digit * unit[0];
		if (likely(ndigits > 1))
		{
			memcpy(&digit, data + 4, sizeof(digit));
			units += digit * unit[-1];
			for (int i = 2; i < ndigits; i++)
			{
				memcpy(&digit, data + 2 + 2 * i, sizeof(digit));
				units += digit * unit[-i];
			}
		}
	}
	*small = header & 0x2000 ? -units : units;
	*scale = (header & 0x1F80) >> 7;
	return true;
}

/*
 * The same of the usual amount: positive, from 1 up, packed in its tuple.  False:
 * it is none of these.
 */
static pg_attribute_always_inline bool
money_read_plain(Datum value, int64 *small, int *scale)
{
	static const int64 power[] = {1, 10000, 100000000, INT64CONST(1000000000000)};
	const struct varlena *packed = (struct varlena *) DatumGetPointer(value);
	const char *data = VARDATA_SHORT(packed);
	const int64 *unit;
	uint32		ndigits;
	uint16		header;
	uint16		digit;
	int64		units;

	if (unlikely(!VARATT_IS_SHORT(packed)))
		return false;
	/* a pointer to what lies elsewhere has size 0, hence digits without number */
	ndigits = ((uint32) VARSIZE_SHORT(packed) - VARHDRSZ_SHORT) / 2 - 1;
	if (unlikely(ndigits - 1 > 3))
		return false;
	memcpy(&header, data, sizeof(header));
	/* short form, no sign, weight 0 or 1 */
	if (unlikely((header & 0xE07E) != 0x8000 || ndigits > 3U + (header & 1)))
		return false;
	unit = &power[2 + (header & 1)];
	memcpy(&digit, data + 2, sizeof(digit));
	units = digit * unit[0];
	if (likely(ndigits > 1))
	{
		memcpy(&digit, data + 4, sizeof(digit));
		units += digit * unit[-1];
		for (uint32 i = 2; i < ndigits; i++)
		{
			memcpy(&digit, data + 2 + 2 * i, sizeof(digit));
			units += digit * unit[-(int) i];
		}
	}
	*small = units;
	*scale = (header & 0x1F80) >> 7;
	return true;
}

static pg_attribute_always_inline void
money_read(Datum value, Money *amount)
{
	if (likely(money_read_small(value, &amount->small, &amount->scale)))
	{
		amount->form = MONEY_SMALL;
		amount->is_negative = amount->small < 0;
		return;
	}
	money_read_rare((struct varlena *) DatumGetPointer(value), amount);
}

/* Adds an amount that is MONEY_SMALL to sum i. */
static pg_attribute_always_inline void
money_add_small(MoneySums *sums, int i, int64 amount, int scale)
{
	int64		sum;

	if (unlikely(pg_add_s64_overflow(sums->small[i], amount, &sum)))
	{
		money_add_many(sums, i, amount, scale, 1);
		return;
	}
	sums->small[i] = sum;
	if (unlikely(scale != sums->scale))
		money_note_scale(sums, scale, 1, 0);
	sums->n++;
}

/* Adds an amount to sum i. */
static pg_attribute_always_inline void
money_add(MoneySums *sums, int i, const Money *amount)
{
	if (likely(amount->form == MONEY_SMALL))
		money_add_small(sums, i, amount->small, amount->scale);
	else
		money_add_rare(sums, i, amount);
}

#endif							/* CREDIT_MONEY_H */

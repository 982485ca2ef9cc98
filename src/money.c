/*
 * money.c
 *	  Exact sums of money for aggregates.
 *
 * A sum has up to three parts, and its value is what they add up to:
 *
 *	  small    64 bits, in units of the eighth decimal; takes nearly all amounts
 *	  wide	   128 bits, the same units; takes what small overflows by, and
 *			   amounts from 10^8 on
 *	  numeric  anything else: more than 8 decimals, 10^24 and more; NaN and
 *			   infinities are counted
 *
 * All are exact, so the value depends neither on the order of rows nor on how
 * they were split.  Which part holds what does, and nothing looks at that.
 *
 * A group starts with its small parts alone, eight bytes a sum; wide and
 * numeric parts are allocated when the first amount needs them.
 *
 * A sum is shown with as many decimals as the amount that has most, as
 * sum(numeric) does.  To take an amount out again one has to know whether
 * another one with as many is left; hence the count beside the scale.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "money.h"

#define SERIAL_VERSION 1

/* Flags of one serialized sum */
#define SERIAL_WIDE 0x01
#define SERIAL_NUMERIC 0x02
#define SERIAL_COUNTS 0x04
#define SERIAL_FLAGS (SERIAL_WIDE | SERIAL_NUMERIC | SERIAL_COUNTS)

/* Wide amounts are below 10^32 units. */
#define WIDE_WEIGHT 5
/*
 * A wide part this large moves into the numeric part.  It leaves room for one
 * more amount, and for the sum of many sums.
 */
#define WIDE_LIMIT ((int128) 1 << 110)

/* 39 decimal digits at most */
#define MAX_DIGITS 10

Size
money_size(int nsums)
{
	return add_size(offsetof(MoneySums, small),
					mul_size(nsums, sizeof(int64)));
}

/* The memory is zero already. */
void
money_init(MoneySums *sums, int nsums, MemoryContext cxt)
{
	sums->nsums = (uint16) nsums;
	sums->cxt = cxt;
}

/* --- reading -------------------------------------------------------------- */

static void
read_wide(const char *digits, int ndigits, int weight, Money *amount)
{
	int128		units = 0;

	for (int i = 0; i < weight + 3; i++)
	{
		uint16		digit = 0;

		if (i < ndigits)
			memcpy(&digit, digits + i * sizeof(digit), sizeof(digit));
		units = units * 10000 + digit;
	}
	amount->form = MONEY_WIDE;
	amount->wide = amount->is_negative ? -units : units;
}

/* What money_read() does not do itself. */
void
money_read_rare(struct varlena *value, Money *amount)
{
	struct varlena *flat = pg_detoast_datum(value);
	const char *data = VARDATA(flat);
	int			ndigits = (int) (VARSIZE(flat) - VARHDRSZ) / sizeof(int16) - 1;
	uint16		header;
	int			weight;

	memcpy(&header, data, sizeof(header));
	amount->numeric = (Numeric) flat;
	if ((header & 0xC000) != 0x8000)
	{
		/* long or special: -Infinity, or a negative sign */
		amount->form = MONEY_OTHER;
		amount->is_negative = (header & 0xF000) == 0xF000 ||
			(header & 0xC000) == 0x4000;
		amount->scale = 0;
		return;
	}
	amount->is_negative = (header & 0x2000) != 0;
	amount->scale = (header & 0x1F80) >> 7;
	weight = (int) ((header & 0x7F) ^ 0x40) - 0x40;
	if (weight <= WIDE_WEIGHT && ndigits <= weight + 3)
		read_wide(data + sizeof(header), ndigits, weight, amount);
	else
		amount->form = MONEY_OTHER;
}

/* --- adding --------------------------------------------------------------- */

static MoneyRest *
rest_of(MoneySums *sums, int i)
{
	if (sums->rest == NULL)
		sums->rest = MemoryContextAllocZero(sums->cxt,
											mul_size(sums->nsums,
													 sizeof(MoneyRest)));
	return &sums->rest[i];
}

/* The new value is a copy in cxt; the old one is freed. */
static void
add_numeric(MoneyRest *rest, Numeric value, MemoryContext cxt)
{
	Numeric		old = rest->numeric;
	MemoryContext caller = MemoryContextSwitchTo(cxt);

	if (old == NULL)
		rest->numeric = DatumGetNumericCopy(NumericGetDatum(value));
	else
	{
		rest->numeric = DatumGetNumeric(DirectFunctionCall2(numeric_add,
															NumericGetDatum(old),
															NumericGetDatum(value)));
		pfree(old);
	}
	MemoryContextSwitchTo(caller);
}

static void
add_wide(MoneySums *sums, int i, int128 units)
{
	MoneyRest  *rest = rest_of(sums, i);

	rest->wide += units;
	if (unlikely(rest->wide >= WIDE_LIMIT || rest->wide <= -WIDE_LIMIT))
	{
		/* no decimals that are not there: they would be shown */
		add_numeric(rest, money_numeric(rest->wide, sums->scale), sums->cxt);
		rest->wide = 0;
	}
}

static void
add_small(MoneySums *sums, int i, int64 units)
{
	int64		sum;

	if (likely(!pg_add_s64_overflow(sums->small[i], units, &sum)))
	{
		sums->small[i] = sum;
		return;
	}
	add_wide(sums, i, (int128) sums->small[i] + units);
	sums->small[i] = 0;
}

/* The count that a NaN or an infinity belongs to; NULL: it is finite. */
static int64 *
count_of(MoneyRest *rest, Numeric value)
{
	if (numeric_is_nan(value))
		return &rest->n_nan;
	if (!numeric_is_inf(value))
		return NULL;
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(value),
										 NumericGetDatum(money_numeric(0, 0)))))
		return &rest->n_plus;
	return &rest->n_minus;
}

static void
add_other(MoneySums *sums, int i, Numeric value)
{
	MoneyRest  *rest = rest_of(sums, i);
	int64	   *count = count_of(rest, value);

	if (count != NULL)
		(*count)++;
	else
		add_numeric(rest, value, sums->cxt);
}

/*
 * Before n amounts are counted of which all but n_below have a scale that may
 * be another one.
 */
void
money_note_scale(MoneySums *sums, int scale, int64 n, int64 n_below)
{
	if (scale > sums->scale)
	{
		sums->n_below = sums->n + n_below;
		sums->scale = (uint16) scale;
	}
	else
		sums->n_below += scale < sums->scale ? n : n_below;
}

/* What money_add() does not do itself: it is not MONEY_SMALL. */
void
money_add_rare(MoneySums *sums, int i, const Money *amount)
{
	if (amount->form == MONEY_OTHER)
		sums->n_below++;
	else
		money_note_scale(sums, amount->scale, 1, 0);
	sums->n++;
	if (amount->form == MONEY_WIDE)
		add_wide(sums, i, amount->wide);
	else
		add_other(sums, i, amount->numeric);
}

/* Adds n amounts of one scale, of which none is MONEY_OTHER. */
void
money_add_many(MoneySums *sums, int i, int64 units, int scale, int64 n)
{
	money_note_scale(sums, scale, n, 0);
	sums->n += n;
	add_small(sums, i, units);
}

/*
 * Takes out an amount that was added to sum i before.  False: what remains
 * would not be known to the last shown decimal, and nothing was changed.
 */
bool
money_remove(MoneySums *sums, int i, const Money *amount)
{
	if (amount->form == MONEY_OTHER)
	{
		int64	   *count = count_of(rest_of(sums, i), amount->numeric);

		if (count == NULL)
			return false;
		(*count)--;
		sums->n_below--;
	}
	else
	{
		if (amount->scale < sums->scale)
			sums->n_below--;
		else if (sums->scale > 0 && sums->n == sums->n_below + 1)
			return false;
		if (amount->form == MONEY_SMALL)
			add_small(sums, i, -amount->small);
		else
			add_wide(sums, i, -amount->wide);
	}
	sums->n--;
	return true;
}

/* Adds other sums, as many, whose memory may be short-lived. */
void
money_combine(MoneySums *sums, const MoneySums *other)
{
	Assert(sums->nsums == other->nsums);
	money_note_scale(sums, other->scale, other->n, other->n_below);
	sums->n += other->n;
	for (int i = 0; i < sums->nsums; i++)
	{
		const MoneyRest *from = other->rest ? &other->rest[i] : NULL;
		MoneyRest  *to;

		add_small(sums, i, other->small[i]);
		if (from == NULL)
			continue;
		add_wide(sums, i, from->wide);
		to = rest_of(sums, i);
		to->n_nan += from->n_nan;
		to->n_plus += from->n_plus;
		to->n_minus += from->n_minus;
		if (from->numeric != NULL)
			add_numeric(to, from->numeric, sums->cxt);
	}
}

/* --- results -------------------------------------------------------------- */

/* Whether all sums are whole numbers of units: money_fixed() has them. */
bool
money_is_fixed(const MoneySums *sums)
{
	if (sums->rest == NULL)
		return true;
	for (int i = 0; i < sums->nsums; i++)
	{
		const MoneyRest *rest = &sums->rest[i];

		if (rest->numeric != NULL || rest->n_nan > 0 || rest->n_plus > 0 ||
			rest->n_minus > 0)
			return false;
	}
	return true;
}

/* The small and the wide part of sum i, in units of the eighth decimal. */
int128
money_fixed(const MoneySums *sums, int i)
{
	return sums->small[i] + (sums->rest ? sums->rest[i].wide : 0);
}

/*
 * A numeric from units of the eighth decimal, shown with that many decimals,
 * which must be enough: the short format, written as numeric.c would.
 */
Numeric
money_numeric(int128 units, int scale)
{
	uint16		digits[MAX_DIGITS];
	int			first = MAX_DIGITS;
	int			end = MAX_DIGITS;
	bool		is_negative = units < 0;
	uint128		high = is_negative ? -(uint128) units : (uint128) units;
	uint64		low;
	int			weight;
	uint16		header;
	Size		size;
	char	   *result;

	for (; high > PG_UINT64_MAX; high /= 10000)
		digits[--first] = (uint16) (high % 10000);
	for (low = (uint64) high; low > 0; low /= 10000)
		digits[--first] = (uint16) (low % 10000);

	/* a zero has no digits, and weight 0 */
	weight = end > first ? end - first - 3 : 0;
	while (end > first && digits[end - 1] == 0)
		end--;

	header = (uint16) (0x8000 | (is_negative ? 0x2000 : 0) | scale << 7 |
					   (weight & 0x7F));
	size = VARHDRSZ + sizeof(header) + (end - first) * sizeof(uint16);
	result = palloc(size);
	SET_VARSIZE(result, size);
	memcpy(result + VARHDRSZ, &header, sizeof(header));
	memcpy(result + VARHDRSZ + sizeof(header), digits + first,
		   (end - first) * sizeof(uint16));
	return (Numeric) result;
}

/* NaN, Infinity or -Infinity. */
Numeric
money_special(const char *word)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(word),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

/* Sum i, whatever its parts are. */
Numeric
money_sum(const MoneySums *sums, int i)
{
	const MoneyRest *rest = sums->rest ? &sums->rest[i] : NULL;
	Numeric		fixed;

	if (rest != NULL && (rest->n_nan > 0 || (rest->n_plus > 0 && rest->n_minus > 0)))
		return money_special("NaN");
	if (rest != NULL && rest->n_plus > 0)
		return money_special("Infinity");
	if (rest != NULL && rest->n_minus > 0)
		return money_special("-Infinity");
	fixed = money_numeric(money_fixed(sums, i), sums->scale);
	if (rest == NULL || rest->numeric == NULL)
		return fixed;
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(fixed),
											   NumericGetDatum(rest->numeric)));
}

/* --- between processes ---------------------------------------------------- */

static void
send_counts(StringInfo buf, const MoneyRest *rest)
{
	pq_sendint64(buf, rest->n_nan);
	pq_sendint64(buf, rest->n_plus);
	pq_sendint64(buf, rest->n_minus);
}

void
money_send_numeric(StringInfo buf, Numeric value)
{
	bytea	   *bytes = DatumGetByteaPP(DirectFunctionCall1(numeric_send,
															NumericGetDatum(value)));

	pq_sendint32(buf, VARSIZE_ANY_EXHDR(bytes));
	pq_sendbytes(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

static void
send_sum(StringInfo buf, const MoneySums *sums, int i)
{
	const MoneyRest *rest = sums->rest ? &sums->rest[i] : NULL;
	uint8		flags = 0;

	if (rest != NULL)
	{
		if (rest->wide != 0)
			flags |= SERIAL_WIDE;
		if (rest->numeric != NULL)
			flags |= SERIAL_NUMERIC;
		if (rest->n_nan != 0 || rest->n_plus != 0 || rest->n_minus != 0)
			flags |= SERIAL_COUNTS;
	}
	pq_sendbyte(buf, flags);
	pq_sendint64(buf, sums->small[i]);
	if (flags & SERIAL_WIDE)
	{
		pq_sendint64(buf, (int64) (rest->wide >> 64));
		pq_sendint64(buf, (int64) (uint64) rest->wide);
	}
	if (flags & SERIAL_COUNTS)
		send_counts(buf, rest);
	if (flags & SERIAL_NUMERIC)
		money_send_numeric(buf, rest->numeric);
}

void
money_serialize(StringInfo buf, const MoneySums *sums)
{
	pq_sendbyte(buf, SERIAL_VERSION);
	pq_sendint16(buf, sums->nsums);
	pq_sendint16(buf, sums->scale);
	pq_sendint64(buf, sums->n);
	pq_sendint64(buf, sums->n_below);
	for (int i = 0; i < sums->nsums; i++)
		send_sum(buf, sums, i);
}

static void
refuse_bytes(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid serialized sums of money")));
}

static int64
receive_count(StringInfo buf)
{
	int64		count = pq_getmsgint64(buf);

	if (count < 0)
		refuse_bytes();
	return count;
}

static int128
receive_wide(StringInfo buf)
{
	uint64		high = (uint64) pq_getmsgint64(buf);
	uint64		low = (uint64) pq_getmsgint64(buf);
	int128		wide = (int128) ((uint128) high << 64 | low);

	if (wide >= WIDE_LIMIT || wide <= -WIDE_LIMIT)
		refuse_bytes();
	return wide;
}

/*
 * numeric_recv() checks digits and weight, but says nothing about bytes left
 * over, nor about NaN and infinities, which are counted and never here.
 */
Numeric
money_receive_numeric(StringInfo buf)
{
	int			size = pq_getmsgint(buf, 4);
	StringInfoData part;
	Numeric		value;

	if (size <= 0)
		refuse_bytes();
	initStringInfo(&part);
	appendBinaryStringInfo(&part, pq_getmsgbytes(buf, size), size);
	value = DatumGetNumeric(DirectFunctionCall3(numeric_recv, PointerGetDatum(&part),
												ObjectIdGetDatum(InvalidOid),
												Int32GetDatum(-1)));
	pq_getmsgend(&part);
	if (numeric_is_nan(value) || numeric_is_inf(value))
		refuse_bytes();
	return value;
}

static void
receive_sum(StringInfo buf, MoneySums *sums, int i)
{
	int			flags = pq_getmsgbyte(buf);
	MoneyRest  *rest;

	if ((flags & ~SERIAL_FLAGS) != 0)
		refuse_bytes();
	sums->small[i] = pq_getmsgint64(buf);
	if (flags == 0)
		return;
	rest = rest_of(sums, i);
	if (flags & SERIAL_WIDE)
		rest->wide = receive_wide(buf);
	if (flags & SERIAL_COUNTS)
	{
		rest->n_nan = receive_count(buf);
		rest->n_plus = receive_count(buf);
		rest->n_minus = receive_count(buf);
	}
	if (flags & SERIAL_NUMERIC)
		add_numeric(rest, money_receive_numeric(buf), sums->cxt);
}

/* Fills sums that are new; their number must be the one that was sent. */
void
money_deserialize(StringInfo buf, MoneySums *sums)
{
	if (pq_getmsgbyte(buf) != SERIAL_VERSION ||
		pq_getmsgint(buf, 2) != sums->nsums)
		refuse_bytes();
	sums->scale = (uint16) pq_getmsgint(buf, 2);
	sums->n = receive_count(buf);
	sums->n_below = receive_count(buf);
	if (sums->scale > MONEY_MAX_SCALE || sums->n_below > sums->n)
		refuse_bytes();
	for (int i = 0; i < sums->nsums; i++)
		receive_sum(buf, sums, i);
}

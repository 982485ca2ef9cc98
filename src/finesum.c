/*
 * finesum.c
 *	  Exact sums of amounts that are no whole numbers of units.
 *
 * Amounts with more than eight decimals, enormous ones, NaN and infinities are
 * rare, and yet a state must give the sum that sum() gives, shown with as many
 * decimals, and must take each out again.  So there is a sum for each number of
 * decimals; as long as it counts an amount, its decimals are shown.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "daymap.h"
#include "finesum.h"
#include "money.h"

/* A memory bound; each has a number of its own. */
#define MAX_SUMS 100000
/* A numeric as it is sent takes no more. */
#define MAX_BYTES (4 * (FINE_MAX_SCALE + 131072))

#define FIRST_SLOTS 8
/* No kind is negative. */
#define FREE (-1)

/* The slot of a key, which may be free. */
static FineSum *
slot_of(const FineSums *fine, const FineKey *key)
{
	uint32		mask = fine->nslots - 1;
	uint32		i = hash_bytes_uint32((uint32) key->day ^ (uint32) key->scale << 16 ^
									  (uint32) key->kind << 30) & mask;

	while (fine->slots[i].key.kind != FREE &&
		   memcmp(&fine->slots[i].key, key, sizeof(FineKey)) != 0)
		i = (i + 1) & mask;
	return &fine->slots[i];
}

/* Whether it counts nothing, and is nothing. */
static bool
is_empty(const FineSum *sum)
{
	return sum->count == 0 && sum->units == 0 &&
		(sum->sum == NULL ||
		 DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(sum->sum),
										  NumericGetDatum(money_numeric(0, 0)))));
}

/* Twice the room, or what is empty thrown out if that is enough. */
static void
grow(FineSums *fine)
{
	FineSums	old = *fine;

	fine->nused = 0;
	for (uint32 i = 0; i < old.nslots; i++)
		if (old.slots[i].key.kind != FREE)
			fine->nused += !is_empty(&old.slots[i]);
	if (fine->nused >= MAX_SUMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many sums of amounts with more than 8 decimals in a state"),
				 errdetail("A state keeps at most %d, one for each day and number of decimals.",
						   MAX_SUMS)));
	if (old.nslots == 0)
		fine->nslots = FIRST_SLOTS;
	else if (4 * fine->nused >= old.nslots)
		fine->nslots = 2 * old.nslots;
	fine->slots = MemoryContextAlloc(fine->cxt, fine->nslots * sizeof(FineSum));
	for (uint32 i = 0; i < fine->nslots; i++)
		fine->slots[i].key.kind = FREE;
	for (uint32 i = 0; i < old.nslots; i++)
	{
		FineSum    *sum = &old.slots[i];

		if (sum->key.kind == FREE)
			continue;
		if (!is_empty(sum))
			*slot_of(fine, &sum->key) = *sum;
		else if (sum->sum != NULL)
			pfree(sum->sum);
	}
	if (old.slots != NULL)
		pfree(old.slots);
}

static FineSum *
sum_of(FineSums *fine, int kind, int32 day, int scale)
{
	FineKey		key = {.kind = kind, .day = day, .scale = scale};
	FineSum    *sum = NULL;

	if (fine->nslots > 0)
	{
		sum = slot_of(fine, &key);
		if (sum->key.kind != FREE)
			return sum;
	}
	if (2 * fine->nused >= fine->nslots || fine->nused >= MAX_SUMS)
	{
		grow(fine);
		sum = slot_of(fine, &key);
	}
	*sum = (FineSum) {.key = key};
	fine->nused++;
	return sum;
}

static int
scale_of(Numeric amount)
{
	if (numeric_is_nan(amount))
		return FINE_NAN;
	if (numeric_is_inf(amount))
		return DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(amount),
												NumericGetDatum(money_numeric(0, 0)))) ?
			FINE_PLUS : FINE_MINUS;
	return DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(amount)));
}

/* Adds to a sum, or subtracts from it; all have the same scale. */
static void
add_numeric(FineSum *sum, Numeric amount, int sign, MemoryContext cxt)
{
	MemoryContext caller = MemoryContextSwitchTo(cxt);
	Numeric		old = sum->sum;

	if (sign < 0)
		amount = DatumGetNumeric(DirectFunctionCall1(numeric_uminus,
													 NumericGetDatum(amount)));
	if (old == NULL)
		sum->sum = DatumGetNumericCopy(NumericGetDatum(amount));
	else
	{
		sum->sum = DatumGetNumeric(DirectFunctionCall2(numeric_add,
													   NumericGetDatum(old),
													   NumericGetDatum(amount)));
		pfree(old);
	}
	MemoryContextSwitchTo(caller);
}

/* Adds (sign 1) or subtracts (-1) an amount. */
void
fine_add(FineSums *fine, int kind, int32 day, Numeric amount, int128 units,
		 int sign)
{
	FineSum    *sum = sum_of(fine, kind, day, scale_of(amount));

	sum->count += sign;
	sum->units += sign * units;
	if (fine_is_finite(sum))
		add_numeric(sum, amount, sign, fine->cxt);
}

/* Adds a list (sign 1), or subtracts it (-1). */
void
fine_add_list(FineSums *fine, const FineList *list, int sign)
{
	for (int i = 0; i < list->n; i++)
	{
		const FineSum *from = &list->sums[i];
		FineSum    *sum = sum_of(fine, from->key.kind, from->key.day,
								 from->key.scale);

		sum->count += sign * from->count;
		sum->units += sign * from->units;
		if (from->sum != NULL)
			add_numeric(sum, from->sum, sign, fine->cxt);
	}
}

/* --- in order ------------------------------------------------------------- */

static int
compare_sums(const void *a, const void *b)
{
	const FineKey *x = &((const FineSum *) a)->key;
	const FineKey *y = &((const FineSum *) b)->key;

	if (x->kind != y->kind)
		return x->kind - y->kind;
	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return x->scale - y->scale;
}

/* As daymap_list(). */
bool
fine_list(const FineSums *fine, FineList *list)
{
	list->n = 0;
	list->sums = fine->nused == 0 ? NULL : palloc(fine->nused * sizeof(FineSum));
	for (uint32 i = 0; i < fine->nslots; i++)
	{
		const FineSum *sum = &fine->slots[i];

		if (sum->key.kind == FREE)
			continue;
		if (sum->count > 0)
			list->sums[list->n++] = *sum;
		else if (!is_empty(sum))
			return false;
	}
	if (list->n > 1)
		qsort(list->sums, list->n, sizeof(FineSum), compare_sums);
	return true;
}

/* --- bytes ---------------------------------------------------------------- */

void
fine_pack(StringInfo buf, const FineList *list)
{
	pack_unsigned(buf, list->n);
	for (int i = 0; i < list->n; i++)
	{
		const FineSum *sum = &list->sums[i];

		pack_unsigned(buf, sum->key.kind);
		pack_signed(buf, sum->key.day);
		pack_unsigned(buf, sum->key.scale);
		pack_unsigned(buf, sum->count);
		pack_signed(buf, sum->units);
		if (fine_is_finite(sum))
		{
			bytea	   *bytes = DatumGetByteaPP(DirectFunctionCall1(numeric_send,
																	NumericGetDatum(sum->sum)));

			pack_unsigned(buf, VARSIZE_ANY_EXHDR(bytes));
			appendBinaryStringInfo(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
		}
	}
}

/* numeric_recv() checks its bytes, but not whether there are too many. */
static Numeric
unpack_numeric(Unpack *from, int scale)
{
	Size		size = (Size) unpack_unsigned(from, MAX_BYTES);
	StringInfoData part;
	Numeric		value;

	initStringInfo(&part);
	appendBinaryStringInfo(&part, unpack_bytes(from, size), (int) size);
	value = DatumGetNumeric(DirectFunctionCall3(numeric_recv, PointerGetDatum(&part),
												ObjectIdGetDatum(InvalidOid),
												Int32GetDatum(-1)));
	if (part.cursor != part.len || scale_of(value) != scale)
		unpack_refuse(from);
	pfree(part.data);
	return value;
}

/* Bytes of unknown origin are safe here, and keys are in order afterwards. */
void
fine_unpack(Unpack *from, FineList *list)
{
	int			n = (int) unpack_unsigned(from, MAX_SUMS);

	list->n = 0;
	list->sums = NULL;
	if (n > from->end - from->at)
		unpack_refuse(from);
	if (n > 0)
		list->sums = palloc(n * sizeof(FineSum));
	for (; list->n < n; list->n++)
	{
		FineSum    *sum = &list->sums[list->n];

		sum->key.kind = (int32) unpack_unsigned(from, PG_INT16_MAX);
		sum->key.day = daysums_unpack_day(from);
		sum->key.scale = (int32) unpack_unsigned(from, FINE_NAN);
		sum->count = (int64) unpack_unsigned(from, DAYMAP_MAX_COUNT);
		sum->units = unpack_signed(from, DAYMAP_MAX_VALUE);
		sum->sum = NULL;
		if (fine_is_finite(sum))
			sum->sum = unpack_numeric(from, sum->key.scale);
		if (sum->count == 0 || (list->n > 0 && compare_sums(sum - 1, sum) >= 0))
			unpack_refuse(from);
	}
}

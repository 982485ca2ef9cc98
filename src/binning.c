/*
 * binning.c
 *	  Counting for bins: the state of aggregate optimal_bins().
 *
 * The state has good and bad rows of every distinct value: numbers in two bags
 * (bag.c), categories, and numbers with weights, in a hash table.  Counts are
 * whole numbers: of rows, or of billionths of weight, so that the state says
 * the same for every order of rows and every split among processes, and the
 * cut, which compares sums, finds the same bins.  Values missing are counted
 * apart; how values become bins is the business of binning_cut.c.
 *
 * A hash table that came as bytes is a plain array of cells and only ever the right
 * side of a combination.  Would its cells be read out of a hash table, they
 * would come in the order of their hash and crowd the beginning of the table
 * they go to; for the same reason a table that combines has another seed than
 * those that were filled by rows.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "binning.h"
#include "credit.h"

#define AGGREGATE "optimal_bins"
#define SERIAL_VERSION 1

/* Weights are counted in these, and must not drown in their rounding. */
#define WEIGHT_UNIT 1e9
#define SMALLEST_WEIGHT 1e-6
#define LARGEST_WEIGHT 1e9

/* 56 bytes each at the peak of growth */
#ifndef BINNING_MAX_NUMBERS
#define BINNING_MAX_NUMBERS 10000000
#endif
#define MAX_CATEGORY_BYTES (16 * 1024 * 1024)

typedef struct NumberEntry
{
	uint64		key;
	int64		count[2];
	char		status;
} NumberEntry;

static inline uint32
number_hash(uint64 key, const void *seed)
{
	key ^= (uint64) (uintptr_t) seed;
	key *= UINT64CONST(0x9E3779B97F4A7C15);
	key ^= key >> 32;
	key *= UINT64CONST(0xD6E8FEB86659FD93);
	return (uint32) (key >> 32);
}

#define SH_PREFIX numbers
#define SH_ELEMENT_TYPE NumberEntry
#define SH_KEY_TYPE uint64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) number_hash(key, (tb)->private_data)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Seeds: of tables filled by rows, and by combination. */
#define SEED_ROWS NULL
#define SEED_COMBINED ((void *) 0x5bd1e995)

typedef struct BinningState
{
	MemoryContext context;		/* of the aggregate */
	bool		is_categorical;
	bool		is_weighted;
	int64		n_skipped;		/* rows without outcome, or without weight */
	int64		total;			/* of all counts: none of them overflows */
	int64		missing[2];
	Bag			bag[2];			/* numbers by class, without weights */
	numbers_hash *numbers;		/* with weights */
	categories_hash *categories;
	Size		category_bytes;
	BinningOptions *options;
	HeapTupleHeader given;		/* the options as rows have them; NULL: none */
	BinCell    *cells;			/* of a state that came as bytes */
	Size		n_cells;
} BinningState;

PG_FUNCTION_INFO_V1(credit_binning_number);
PG_FUNCTION_INFO_V1(credit_binning_number_options);
PG_FUNCTION_INFO_V1(credit_binning_number_weight);
PG_FUNCTION_INFO_V1(credit_binning_category);
PG_FUNCTION_INFO_V1(credit_binning_category_options);
PG_FUNCTION_INFO_V1(credit_binning_category_weight);
PG_FUNCTION_INFO_V1(credit_binning_combine);
PG_FUNCTION_INFO_V1(credit_binning_serialize);
PG_FUNCTION_INFO_V1(credit_binning_deserialize);
PG_FUNCTION_INFO_V1(credit_binning_final);

/* --- categories ------------------------------------------------------------- */

uint32
category_hash_key(CategoryKey key, const void *seed)
{
	return hash_bytes((const unsigned char *) key.data, (int) key.length) ^
		(uint32) (uintptr_t) seed;
}

bool
category_is_equal(CategoryKey a, CategoryKey b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* --- counting ----------------------------------------------------------------- */

static void
refuse_other_options(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("options of a binning must be the same in all rows of a group")));
}

static void
refuse_distinct(const char *what, int most, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many %s in one group", what),
			 errdetail("A binning can have at most %d.", most),
			 errhint("%s", hint)));
}

static BinningState *
make_state(MemoryContext context, bool is_categorical, bool is_weighted)
{
	BinningState *state = MemoryContextAllocZero(context, sizeof(BinningState));

	state->context = context;
	state->is_categorical = is_categorical;
	state->is_weighted = is_weighted;
	return state;
}

static void
add_total(BinningState *state, int64 count)
{
	if (count < 0 || pg_add_s64_overflow(state->total, count, &state->total))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weights of a binning add up to more than %g",
						PG_INT64_MAX / WEIGHT_UNIT)));
}

static int64 *
counts_of_number(BinningState *state, uint64 key, void *seed)
{
	NumberEntry *entry;
	bool		found;

	if (unlikely(state->numbers == NULL))
		state->numbers = numbers_create(state->context, 2, seed);
	entry = numbers_insert(state->numbers, key, &found);
	if (!found)
	{
		entry->count[CELL_GOOD] = entry->count[CELL_BAD] = 0;
		if (state->numbers->members > BINNING_MAX_NUMBERS)
			refuse_distinct("distinct numbers", BINNING_MAX_NUMBERS,
							"Round them, or take a sample of the rows.");
	}
	return entry->count;
}

static int64 *
counts_of_category(BinningState *state, CategoryKey key, void *seed)
{
	CategoryEntry *entry;
	bool		found;

	if (unlikely(state->categories == NULL))
		state->categories = categories_create(state->context, 2, seed);
	entry = categories_insert(state->categories, key, &found);
	if (!found)
	{
		char	   *copy;

		state->category_bytes += key.length;
		if (state->categories->members > BINNING_MAX_CATEGORIES)
			refuse_distinct("categories", BINNING_MAX_CATEGORIES,
							"A column of so many is a name or a number. Group them, or cast numbers to double precision.");
		if (state->category_bytes > MAX_CATEGORY_BYTES)
			refuse_distinct("bytes of categories", MAX_CATEGORY_BYTES,
							"Group long texts by what they have in common.");
		copy = MemoryContextAlloc(state->context, Max(key.length, 1));
		memcpy(copy, key.data, key.length);
		entry->key.data = copy;
		entry->count[CELL_GOOD] = entry->count[CELL_BAD] = 0;
	}
	return entry->count;
}

/* What a row counts; 0: nothing. */
static int64
units_of_weight(float8 weight)
{
	if (!(weight >= 0 && weight <= LARGEST_WEIGHT))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight of a row must be 0 to %g, not %g", LARGEST_WEIGHT, weight)));
	if (weight > 0 && weight < SMALLEST_WEIGHT)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight %g of a row is too small", weight),
				 errdetail("Weights are counted in billionths and must be 0 or at least %g.",
						   SMALLEST_WEIGHT),
				 errhint("Multiply all weights by the same number.")));
	return (int64) rint(weight * WEIGHT_UNIT);
}

/* Bytes first, since nearly always the options are one constant. */
static void
check_same_options(BinningState *state, HeapTupleHeader given)
{
	if (given == NULL || state->given == NULL)
	{
		if (given != state->given)
			refuse_other_options();
	}
	else
	{
		Size		size = HeapTupleHeaderGetDatumLength(given);

		if ((size != HeapTupleHeaderGetDatumLength(state->given) ||
			 memcmp(given, state->given, size) != 0) &&
			!binning_same_options(state->options,
								  binning_read_options(given, state->is_categorical)))
			refuse_other_options();
	}
}

static BinningState *
state_of_row(FunctionCallInfo fcinfo, bool is_categorical, int weight, int options)
{
	HeapTupleHeader given = NULL;
	BinningState *state;
	MemoryContext caller;

	if (options > 0 && !PG_ARGISNULL(options))
		given = PG_GETARG_HEAPTUPLEHEADER(options);
	if (!PG_ARGISNULL(0))
	{
		state = (BinningState *) PG_GETARG_POINTER(0);
		if (options > 0)
			check_same_options(state, given);
		return state;
	}
	state = make_state(aggregate_context(fcinfo, AGGREGATE), is_categorical, weight > 0);
	caller = MemoryContextSwitchTo(state->context);
	state->options = binning_read_options(given, is_categorical);
	if (given != NULL)
	{
		state->given = palloc(HeapTupleHeaderGetDatumLength(given));
		memcpy(state->given, given, HeapTupleHeaderGetDatumLength(given));
	}
	MemoryContextSwitchTo(caller);
	return state;
}

/* The value is argument 1, the outcome 2; 0: there is no such argument. */
static Datum
accumulate(FunctionCallInfo fcinfo, bool is_categorical, int weight, int options)
{
	BinningState *state = state_of_row(fcinfo, is_categorical, weight, options);
	int64		units = 1;
	int			class;
	int64	   *counts;

	if (weight > 0)
		units = PG_ARGISNULL(weight) ? 0 : units_of_weight(PG_GETARG_FLOAT8(weight));
	if (PG_ARGISNULL(2) || units == 0)
	{
		state->n_skipped++;
		PG_RETURN_POINTER(state);
	}
	class = PG_GETARG_BOOL(2) ? CELL_BAD : CELL_GOOD;
	add_total(state, units);
	if (PG_ARGISNULL(1) || (!is_categorical && isnan(PG_GETARG_FLOAT8(1))))
		counts = state->missing;
	else if (is_categorical)
	{
		text	   *value = PG_GETARG_TEXT_PP(1);
		CategoryKey key = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};

		counts = counts_of_category(state, key, SEED_ROWS);
	}
	else if (weight > 0)
		counts = counts_of_number(state, key_of_float(PG_GETARG_FLOAT8(1)), SEED_ROWS);
	else
	{
		bag_add(&state->bag[class], key_of_float(PG_GETARG_FLOAT8(1)), state->context);
		PG_RETURN_POINTER(state);
	}
	counts[class] += units;
	PG_RETURN_POINTER(state);
}

Datum
credit_binning_number(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, false, 0, 0);
}

Datum
credit_binning_number_options(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, false, 0, 3);
}

Datum
credit_binning_number_weight(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, false, 3, 4);
}

Datum
credit_binning_category(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, true, 0, 0);
}

Datum
credit_binning_category_options(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, true, 0, 3);
}

Datum
credit_binning_category_weight(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, true, 3, 4);
}

/* --- cells: what a state says, as an array ------------------------------------ */

static inline bool
has_bags(const BinningState *state)
{
	return !state->is_categorical && !state->is_weighted;
}

/* Sorting changes how a state is kept, and not what it says. */
static void
sort_bags(BinningState *state)
{
	for (int class = CELL_GOOD; class <= CELL_BAD; class++)
		bag_sort(&state->bag[class], state->context);
}

/* Both bags as one list of distinct numbers. */
static BinCell *
cells_of_bags(BinningState *state, Size *n)
{
	const Bag  *bag = state->bag;
	uint32		at[2] = {0, 0};
	Size		most;
	BinCell    *cells;

	sort_bags(state);
	most = (Size) bag[CELL_GOOD].n + bag[CELL_BAD].n;
	cells = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(BinCell) * Max(most, 1));
	*n = 0;
	while (at[CELL_GOOD] < bag[CELL_GOOD].n || at[CELL_BAD] < bag[CELL_BAD].n)
	{
		BinCell    *cell = &cells[(*n)++];

		cell->number = PG_UINT64_MAX;
		cell->category = NULL;
		cell->length = 0;
		for (int class = CELL_GOOD; class <= CELL_BAD; class++)
			if (at[class] < bag[class].n)
				cell->number = Min(cell->number, bag[class].keys[at[class]]);
		for (int class = CELL_GOOD; class <= CELL_BAD; class++)
		{
			bool		has = at[class] < bag[class].n &&
			bag[class].keys[at[class]] == cell->number;

			cell->count[class] = has ? bag_count(&bag[class], at[class]) : 0;
			at[class] += has;
		}
	}
	return cells;
}

static BinCell *
cells_of_hash(BinningState *state, Size *n)
{
	BinCell    *cells;
	BinCell    *next;

	*n = state->numbers ? state->numbers->members :
		state->categories ? state->categories->members : 0;
	cells = next = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(BinCell) * Max(*n, 1));
	if (state->numbers != NULL)
	{
		numbers_iterator i;
		NumberEntry *entry;

		numbers_start_iterate(state->numbers, &i);
		while ((entry = numbers_iterate(state->numbers, &i)) != NULL)
		{
			next->number = entry->key;
			next->category = NULL;
			next->length = 0;
			memcpy(next++->count, entry->count, sizeof(entry->count));
		}
	}
	else if (state->categories != NULL)
	{
		categories_iterator i;
		CategoryEntry *entry;

		categories_start_iterate(state->categories, &i);
		while ((entry = categories_iterate(state->categories, &i)) != NULL)
		{
			next->number = 0;
			next->category = entry->key.data;
			next->length = entry->key.length;
			memcpy(next++->count, entry->count, sizeof(entry->count));
		}
	}
	return cells;
}

static BinCell *
list_cells(BinningState *state, Size *n)
{
	if (state->cells == NULL)
		return has_bags(state) ? cells_of_bags(state, n) : cells_of_hash(state, n);
	*n = state->n_cells;
	return state->cells;
}

/* The right state is not kept: it may live shorter than the left one. */
static void
add_state(BinningState *left, BinningState *right)
{
	BinCell    *cells;
	Size		n;

	if (left->is_categorical != right->is_categorical ||
		left->is_weighted != right->is_weighted)
		aggregate_refuse_bytes(AGGREGATE);
	if (left->options == NULL)
	{
		StringInfoData buf;
		MemoryContext caller = MemoryContextSwitchTo(left->context);

		initStringInfo(&buf);
		binning_send_options(&buf, right->options);
		left->options = binning_receive_options(&buf, right->is_categorical);
		pfree(buf.data);
		MemoryContextSwitchTo(caller);
	}
	else if (!binning_same_options(left->options, right->options))
		refuse_other_options();
	add_total(left, right->total);
	left->n_skipped += right->n_skipped;
	for (int class = CELL_GOOD; class <= CELL_BAD; class++)
		left->missing[class] += right->missing[class];
	if (has_bags(left))
	{
		sort_bags(right);
		for (int class = CELL_GOOD; class <= CELL_BAD; class++)
			bag_merge(&left->bag[class], &right->bag[class], left->context);
		return;
	}
	cells = list_cells(right, &n);
	for (Size i = 0; i < n; i++)
	{
		CategoryKey key = {cells[i].category, cells[i].length};
		int64	   *counts = left->is_categorical ?
		counts_of_category(left, key, SEED_COMBINED) :
		counts_of_number(left, cells[i].number, SEED_COMBINED);

		for (int class = CELL_GOOD; class <= CELL_BAD; class++)
			counts[class] += cells[i].count[class];
	}
	if (cells != right->cells)
		pfree(cells);
}

Datum
credit_binning_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	BinningState *left;
	BinningState *right;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	right = (BinningState *) PG_GETARG_POINTER(1);
	left = PG_ARGISNULL(0) ?
		make_state(context, right->is_categorical, right->is_weighted) :
		(BinningState *) PG_GETARG_POINTER(0);
	add_state(left, right);
	PG_RETURN_POINTER(left);
}

/* --- as bytes ------------------------------------------------------------------ */

#define FLAG_CATEGORICAL 0x01
#define FLAG_WEIGHTED 0x02

static void
send_cells(StringInfo buf, BinningState *state)
{
	Size		n;
	BinCell    *cells = list_cells(state, &n);

	pq_sendint64(buf, n);
	for (Size i = 0; i < n; i++)
	{
		pq_sendint64(buf, cells[i].count[CELL_GOOD]);
		pq_sendint64(buf, cells[i].count[CELL_BAD]);
		if (state->is_categorical)
		{
			pq_sendint32(buf, cells[i].length);
			pq_sendbytes(buf, cells[i].category, cells[i].length);
		}
		else
			pq_sendint64(buf, cells[i].number);
	}
}

Datum
credit_binning_serialize(PG_FUNCTION_ARGS)
{
	BinningState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (BinningState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendbyte(&buf, (state->is_categorical ? FLAG_CATEGORICAL : 0) |
				(state->is_weighted ? FLAG_WEIGHTED : 0));
	pq_sendint64(&buf, state->n_skipped);
	pq_sendint64(&buf, state->missing[CELL_GOOD]);
	pq_sendint64(&buf, state->missing[CELL_BAD]);
	binning_send_options(&buf, state->options);
	if (has_bags(state))
	{
		sort_bags(state);
		bag_send(&buf, &state->bag[CELL_GOOD]);
		bag_send(&buf, &state->bag[CELL_BAD]);
	}
	else
		send_cells(&buf, state);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

static void
receive_bag(StringInfo buf, BinningState *state, Bag *bag)
{
	bag_receive(buf, bag, state->context, AGGREGATE);
	/* NaN sorts outside both infinities */
	if (bag->n > 0 && (isnan(float_of_key(bag->keys[0])) ||
					   isnan(float_of_key(bag->keys[bag->n - 1]))))
		aggregate_refuse_bytes(AGGREGATE);
	add_total(state, bag->total);
}

/* One cell, of which nothing is believed. */
static void
receive_cell(StringInfo buf, BinningState *state, BinCell *cell)
{
	for (int class = CELL_GOOD; class <= CELL_BAD; class++)
	{
		cell->count[class] = aggregate_receive_count(buf, AGGREGATE);
		add_total(state, cell->count[class]);
	}
	if (state->is_categorical)
	{
		cell->number = 0;
		cell->length = pq_getmsgint(buf, 4);
		cell->category = pq_getmsgbytes(buf, (int) cell->length);
		pg_verifymbstr(cell->category, (int) cell->length, false);
	}
	else
	{
		cell->number = (uint64) pq_getmsgint64(buf);
		cell->category = NULL;
		cell->length = 0;
		if (isnan(float_of_key(cell->number)) ||
			key_of_float(float_of_key(cell->number)) != cell->number)
			aggregate_refuse_bytes(AGGREGATE);
	}
}

/* The categories stay in the bytes: they are kept as long as the state. */
static void
receive_cells(StringInfo buf, BinningState *state)
{
	int64		n = aggregate_receive_count(buf, AGGREGATE);

	/* two counts and a length at least */
	if (n > (buf->len - buf->cursor) / 20)
		aggregate_refuse_bytes(AGGREGATE);
	state->cells = MemoryContextAllocHuge(state->context, sizeof(BinCell) * Max(n, 1));
	state->n_cells = n;
	for (int64 i = 0; i < n; i++)
		receive_cell(buf, state, &state->cells[i]);
}

Datum
credit_binning_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	BinningState *state;
	int			flags = 0;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION ||
		(flags = pq_getmsgbyte(&buf)) > (FLAG_CATEGORICAL | FLAG_WEIGHTED))
		aggregate_refuse_bytes(AGGREGATE);
	state = make_state(CurrentMemoryContext, (flags & FLAG_CATEGORICAL) != 0,
					   (flags & FLAG_WEIGHTED) != 0);
	state->n_skipped = aggregate_receive_count(&buf, AGGREGATE);
	for (int class = CELL_GOOD; class <= CELL_BAD; class++)
	{
		state->missing[class] = aggregate_receive_count(&buf, AGGREGATE);
		add_total(state, state->missing[class]);
	}
	state->options = binning_receive_options(&buf, state->is_categorical);
	if (has_bags(state))
	{
		receive_bag(&buf, state, &state->bag[CELL_GOOD]);
		receive_bag(&buf, state, &state->bag[CELL_BAD]);
	}
	else
		receive_cells(&buf, state);
	pq_getmsgend(&buf);
	PG_RETURN_POINTER(state);
}

Datum
credit_binning_final(PG_FUNCTION_ARGS)
{
	BinningState *state;
	BinCounts	counts;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (BinningState *) PG_GETARG_POINTER(0);
	counts.is_categorical = state->is_categorical;
	counts.unit = state->is_weighted ? WEIGHT_UNIT : 1;
	counts.n_skipped = state->n_skipped;
	memcpy(counts.missing, state->missing, sizeof(counts.missing));
	counts.cells = list_cells(state, &counts.n_cells);
	return binning_cut(fcinfo, &counts, state->options);
}

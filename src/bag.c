/*
 * bag.c
 *	  A multiset of 64-bit keys that grows.
 *
 * Keys are appended.  When there is no room, what was appended is sorted and
 * merged into the sorted runs before it, and only if that leaves less than
 * half of the room does the room grow, fourfold.  So every key is sorted once, in
 * pieces, a bag of few distinct keys stays small however many are put in, and
 * what a sorted bag holds does not hang on the order in which they came.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "bag.h"
#include "credit.h"

#define FIRST_CAPACITY 8
/* Below this a bag grows without sorting: groups are mostly small. */
#define SORT_CAPACITY 1024
/* Below this, eight passes over 256 counters are not worth it. */
#define RADIX_KEYS 256

#define ST_SORT sort_few_keys
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) (*(a) < *(b) ? -1 : *(a) > *(b) ? 1 : 0)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* A key of the tail of a bag in which keys count otherwise than once. */
typedef struct CountedKey
{
	uint64		key;
	int64		count;
} CountedKey;

#define ST_SORT sort_counted_keys
#define ST_ELEMENT_TYPE CountedKey
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key ? 1 : 0)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Moves keys from one array to another in the order of one of their bytes. */
static void
move_by_byte(const uint64 *from, uint64 *to, uint32 n, int byte, const uint32 *counts)
{
	uint32		place[256];
	uint32		sum = 0;

	for (int i = 0; i < 256; i++)
	{
		place[i] = sum;
		sum += counts[i];
	}
	for (uint32 i = 0; i < n; i++)
		to[place[(from[i] >> 8 * byte) & 0xff]++] = from[i];
}

/* Bytes that all keys have in common, as the last of integers do, cost nothing. */
static void
sort_keys(uint64 *keys, uint32 n)
{
	uint32		counts[8][256];
	uint64	   *from = keys;
	uint64	   *spare;
	uint64	   *to;

	if (n < RADIX_KEYS)
	{
		sort_few_keys(keys, n);
		return;
	}
	memset(counts, 0, sizeof(counts));
	for (uint32 i = 0; i < n; i++)
		for (int byte = 0; byte < 8; byte++)
			counts[byte][(keys[i] >> 8 * byte) & 0xff]++;
	to = spare = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * (Size) n);
	for (int byte = 0; byte < 8; byte++)
	{
		uint64	   *moved = to;

		CHECK_FOR_INTERRUPTS();
		if (counts[byte][(keys[0] >> 8 * byte) & 0xff] == n)
			continue;
		move_by_byte(from, to, n, byte, counts[byte]);
		to = from;
		from = moved;
	}
	if (from != keys)
		memcpy(keys, from, sizeof(uint64) * (Size) n);
	pfree(spare);
}

static void
refuse_size(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many distinct values in one group"),
			 errdetail("At most %d distinct scores of one class, or pairs of grades, are kept.",
					   BAG_MAX_KEYS),
			 errhint("Round the scores, or take a sample of the rows.")));
}

/* Appends a run, or adds to the last one. */
static inline void
put_run(uint64 *keys, int64 *counts, uint32 *n, uint64 key, int64 count)
{
	if (*n > 0 && keys[*n - 1] == key)
		counts[*n - 1] += count;
	else
	{
		keys[*n] = key;
		counts[*n] = count;
		(*n)++;
	}
}

/* How large to make a bag that has this many runs. */
static Size
room_for(Size nruns)
{
	if (nruns < SORT_CAPACITY)
		return nruns * 2;
	return Max(Min(nruns * 4, (Size) BAG_MAX_KEYS * 2), nruns + SORT_CAPACITY);
}

/*
 * Replaces runs and tail by the runs and those of another, which may be made of
 * the tail.  New arrays, so that nothing is half done on error.
 */
static void
merge_runs(Bag *bag, const uint64 *keys, const int64 *counts, uint32 n,
		   MemoryContext context)
{
	Size		most = (Size) bag->nruns + n;
	Size		capacity = bag->capacity;
	uint64	   *new_keys;
	int64	   *new_counts;
	uint32		nruns = 0;
	uint32		i = 0;
	uint32		j = 0;

	if (most * 2 > capacity)
		capacity = room_for(most);
	new_keys = MemoryContextAllocHuge(context, sizeof(uint64) * capacity);
	new_counts = MemoryContextAllocHuge(context, sizeof(int64) * Max(most, 1));
	while (i < bag->nruns || j < n)
	{
		if (j == n || (i < bag->nruns && bag->keys[i] <= keys[j]))
		{
			put_run(new_keys, new_counts, &nruns, bag->keys[i], bag_count(bag, i));
			i++;
		}
		else
		{
			put_run(new_keys, new_counts, &nruns, keys[j], counts ? counts[j] : 1);
			j++;
		}
	}
	if (nruns > BAG_MAX_KEYS)
		refuse_size();
	if (bag->keys != NULL)
		pfree(bag->keys);
	if (bag->counts != NULL)
		pfree(bag->counts);
	bag->keys = new_keys;
	bag->counts = new_counts;
	bag->nruns = bag->n = nruns;
	bag->capacity = capacity;
	if (bag->tail_counts != NULL)
	{
		pfree(bag->tail_counts);
		bag->tail_counts = MemoryContextAllocHuge(context, sizeof(int64) * capacity);
	}
	if (bag->total == nruns)
	{
		pfree(new_counts);
		bag->counts = NULL;
	}
}

/* Turns the tail into runs, in place; their counts are put into an array. */
static uint32
runs_of_tail(Bag *bag, uint64 *tail, uint32 ntail, int64 *counts)
{
	CountedKey *pairs;
	uint32		nruns = 0;

	if (bag->tail_counts == NULL)
	{
		sort_keys(tail, ntail);
		for (uint32 i = 0; i < ntail; i++)
			put_run(tail, counts, &nruns, tail[i], 1);
		return nruns;
	}
	pairs = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(CountedKey) * (Size) ntail);
	for (uint32 i = 0; i < ntail; i++)
	{
		pairs[i].key = tail[i];
		pairs[i].count = bag->tail_counts[bag->nruns + i];
	}
	sort_counted_keys(pairs, ntail);
	for (uint32 i = 0; i < ntail; i++)
		put_run(tail, counts, &nruns, pairs[i].key, pairs[i].count);
	pfree(pairs);
	return nruns;
}

void
bag_sort(Bag *bag, MemoryContext context)
{
	uint32		ntail = bag->n - bag->nruns;
	uint64	   *tail = bag->keys + bag->nruns;
	int64	   *counts;
	uint32		nruns;

	if (ntail == 0)
		return;
	counts = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * (Size) ntail);
	nruns = runs_of_tail(bag, tail, ntail, counts);
	merge_runs(bag, tail, counts, nruns, context);
	pfree(counts);
}

/* At least one more key fits in afterwards. */
void
bag_make_room(Bag *bag, MemoryContext context)
{
	if (bag->keys == NULL)
	{
		bag->keys = MemoryContextAlloc(context, sizeof(uint64) * FIRST_CAPACITY);
		bag->capacity = FIRST_CAPACITY;
	}
	else if (bag->capacity < SORT_CAPACITY || bag->n == bag->nruns)
	{
		bag->keys = repalloc_huge(bag->keys, sizeof(uint64) * (Size) bag->capacity * 2);
		if (bag->tail_counts != NULL)
			bag->tail_counts = repalloc_huge(bag->tail_counts,
											 sizeof(int64) * (Size) bag->capacity * 2);
		bag->capacity *= 2;
	}
	else
		bag_sort(bag, context);
}

/* Adds a key that counts more than once.  All keys of such a bag come this way. */
void
bag_add_counted(Bag *bag, uint64 key, int64 count, MemoryContext context)
{
	Assert(count > 0);
	if (bag->total > BAG_MAX_TOTAL - count)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sum of weights of one group is too large")));
	if (bag->n == bag->capacity)
		bag_make_room(bag, context);
	if (bag->tail_counts == NULL)
		bag->tail_counts = MemoryContextAllocHuge(context,
												  sizeof(int64) * (Size) bag->capacity);
	bag->tail_counts[bag->n] = count;
	bag->keys[bag->n++] = key;
	bag->total += count;
}

/* Adds a bag without a tail, which stays as it is. */
void
bag_merge(Bag *bag, const Bag *sorted, MemoryContext context)
{
	Assert(sorted->n == sorted->nruns);
	if (sorted->n == 0)
		return;
	bag_sort(bag, context);
	bag->total += sorted->total;
	merge_runs(bag, sorted->keys, sorted->counts, sorted->nruns, context);
}

/* --- as bytes: number of runs, has it counts, the keys, the counts -------- */

void
bag_send(StringInfo buf, const Bag *sorted)
{
	Assert(sorted->n == sorted->nruns);
	pq_sendint32(buf, sorted->nruns);
	pq_sendbyte(buf, sorted->counts != NULL);
	enlargeStringInfo(buf, sizeof(uint64) * sorted->nruns * (sorted->counts ? 2 : 1));
	for (uint32 i = 0; i < sorted->nruns; i++)
		pq_writeint64(buf, sorted->keys[i]);
	for (uint32 i = 0; sorted->counts != NULL && i < sorted->nruns; i++)
		pq_writeint64(buf, sorted->counts[i]);
}

static inline uint64
next_number(StringInfo buf)
{
	uint64		number;

	memcpy(&number, buf->data + buf->cursor, sizeof(number));
	buf->cursor += sizeof(number);
	return pg_ntoh64(number);
}

/* Fills an empty bag of an aggregate.  Nothing of the bytes is believed. */
void
bag_receive(StringInfo buf, Bag *bag, MemoryContext context, const char *name)
{
	uint32		n = pq_getmsgint(buf, 4);
	int			has_counts = pq_getmsgbyte(buf);

	if (n > BAG_MAX_KEYS || has_counts > 1 || (has_counts && n == 0) ||
		(Size) (buf->len - buf->cursor) < sizeof(uint64) * (Size) n * (1 + has_counts))
		aggregate_refuse_bytes(name);
	if (n == 0)
		return;
	bag->keys = MemoryContextAllocHuge(context, sizeof(uint64) * (Size) n);
	bag->capacity = bag->n = bag->nruns = n;
	bag->total = n;
	for (uint32 i = 0; i < n; i++)
	{
		bag->keys[i] = next_number(buf);
		if (i > 0 && bag->keys[i] <= bag->keys[i - 1])
			aggregate_refuse_bytes(name);
	}
	if (!has_counts)
		return;
	bag->counts = MemoryContextAllocHuge(context, sizeof(int64) * (Size) n);
	bag->total = 0;
	for (uint32 i = 0; i < n; i++)
	{
		bag->counts[i] = (int64) next_number(buf);
		/* more rows than anybody has, and sums of many such stay in range */
		if (bag->counts[i] < 1 || bag->counts[i] > BAG_MAX_TOTAL ||
			(bag->total += bag->counts[i]) > BAG_MAX_TOTAL)
			aggregate_refuse_bytes(name);
	}
}

/*
 * dayhist.c
 *	  Sparse histogram of days with counts and amounts: exact quantiles that
 *	  can be split and put together in any way.
 *
 * A small open hash table that grows on need, from 8 slots (192 bytes) to 8192
 * (192 kB), which is the bound: days are clamped to ten years on either side,
 * 7301 of them.  Everything in it is an integer, so what is read from it does
 * not depend on the order in which it was filled.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "dayhist.h"

#define FIRST_SLOTS 8
/* Leaves room for a hundred such sums in one. */
#define AMOUNT_LIMIT ((int128) 1 << 120)

/* Where a key is, or is to be: a free slot. */
static inline DaySlot *
find_slot(const DayHist *hist, int key)
{
	DaySlot    *slot = dayhist_first_slot(hist, key);

	while (slot->key_count != 0 && key_of(slot) != key)
		if (++slot == hist->slots + hist->nslots)
			slot = hist->slots;
	return slot;
}

static void
grow(DayHist *hist, MemoryContext cxt)
{
	DayHist		old = *hist;

	hist->nslots = old.nslots == 0 ? FIRST_SLOTS : 2 * old.nslots;
	hist->slots = MemoryContextAllocZero(cxt, hist->nslots * sizeof(DaySlot));
	for (int i = 0; i < old.nslots; i++)
		if (old.slots[i].key_count != 0)
			*find_slot(hist, key_of(&old.slots[i])) = old.slots[i];
	if (old.slots != NULL)
		pfree(old.slots);
}

/* The slot of a key, which is made if need be; a count is to be added to it. */
DaySlot *
dayhist_slot(DayHist *hist, int key, MemoryContext cxt)
{
	DaySlot    *slot;

	if (hist->nslots == 0)
		grow(hist, cxt);
	slot = find_slot(hist, key);
	if (slot->key_count != 0)
		return slot;
	if (4 * hist->nused >= 3 * hist->nslots && hist->nslots < DAYHIST_MAX_SLOTS)
	{
		grow(hist, cxt);
		slot = find_slot(hist, key);
	}
	slot->key_count = (uint64) key << DAYHIST_KEY_SHIFT;
	hist->nused++;
	return slot;
}

/* Gives a new histogram room for so many days. */
void
dayhist_reserve(DayHist *hist, int ndays, MemoryContext cxt)
{
	int			nslots = FIRST_SLOTS;

	while (3 * nslots < 4 * ndays && nslots < DAYHIST_MAX_SLOTS)
		nslots *= 2;
	hist->nslots = (uint16) nslots;
	hist->slots = MemoryContextAllocZero(cxt, nslots * sizeof(DaySlot));
}

void
dayhist_combine(DayHist *hist, const DayHist *other, MemoryContext cxt)
{
	for (int i = 0; i < other->nslots; i++)
	{
		DaySlot    *slot = &other->slots[i];

		if (slot->key_count != 0)
			dayhist_add(hist, day_of(slot), count_of(slot), slot->amount, cxt);
	}
}

void
dayhist_serialize(StringInfo buf, const DayHist *hist)
{
	pq_sendint16(buf, hist->nused);
	for (int i = 0; i < hist->nslots; i++)
	{
		const DaySlot *slot = &hist->slots[i];

		if (slot->key_count == 0)
			continue;
		pq_sendint16(buf, key_of(slot));
		pq_sendint64(buf, count_of(slot));
		aggregate_send_int128(buf, slot->amount);
	}
}

/* A day that comes twice is added, so nothing can be wrong about that. */
void
dayhist_deserialize(StringInfo buf, DayHist *hist, MemoryContext cxt,
					const char *aggregate)
{
	int			n = pq_getmsgint(buf, 2);

	for (int i = 0; i < n; i++)
	{
		int			key = pq_getmsgint(buf, 2);
		int64		count = pq_getmsgint64(buf);
		int128		amount = aggregate_receive_int128(buf);

		if (key >= DAYHIST_DAYS || count < 1 || count >= INT64CONST(1) << 49 ||
			amount < 0 || amount >= AMOUNT_LIMIT)
			aggregate_refuse_bytes(aggregate);
		dayhist_add(hist, key - DAYHIST_BOUND, count, amount, cxt);
	}
}

/* --- looking at it -------------------------------------------------------- */

static int
compare_keys(const void *a, const void *b)
{
	return key_of(a) - key_of(b);
}

/* Calls nothing for a comparison. */
static void
sort_few(DaySlot *slots, int n)
{
	for (int i = 1; i < n; i++)
	{
		DaySlot		slot = slots[i];
		int			k = i;

		for (; k > 0 && key_of(&slots[k - 1]) > key_of(&slot); k--)
			slots[k] = slots[k - 1];
		slots[k] = slot;
	}
}

/* The range of keys; there is at least one. */
static void
find_range(const DayHist *hist, int *first, int *last)
{
	*first = DAYHIST_DAYS;
	*last = -1;
	for (int i = 0; i < hist->nslots; i++)
	{
		if (hist->slots[i].key_count == 0)
			continue;
		*first = Min(*first, key_of(&hist->slots[i]));
		*last = Max(*last, key_of(&hist->slots[i]));
	}
}

/* All days in order.  A range shorter than the table lies there in order. */
void
dayhist_list(const DayHist *hist, DayList *list)
{
	int			first;
	int			last;
	int			start = 0;
	bool		is_sorted;

	memset(list, 0, sizeof(DayList));
	if (hist->nused == 0)
		return;
	find_range(hist, &first, &last);
	is_sorted = last - first < hist->nslots;
	if (is_sorted)
		start = first & (hist->nslots - 1);
	list->slots = palloc(hist->nused * sizeof(DaySlot));
	for (int i = 0; i < hist->nslots; i++)
	{
		DaySlot    *slot = &hist->slots[(start + i) & (hist->nslots - 1)];

		if (slot->key_count == 0)
			continue;
		list->count += count_of(slot);
		list->amount += slot->amount;
		list->slots[list->n++] = *slot;
	}
	if (is_sorted)
		return;
	if (list->n <= 32)
		sort_few(list->slots, list->n);
	else
		qsort(list->slots, list->n, sizeof(DaySlot), compare_keys);
}

/* Linear interpolation at position q (n - 1), as percentile_cont() does it. */
double
daylist_quantile(const DayList *list, double q)
{
	double		position = q * (list->count - 1);
	int64		below = (int64) floor(position);
	int64		seen = 0;
	int			i = 0;
	double		value;

	for (; seen + count_of(&list->slots[i]) <= below; i++)
		seen += count_of(&list->slots[i]);
	value = day_of(&list->slots[i]);
	if (position > below && seen + count_of(&list->slots[i]) <= below + 1)
		value += (position - below) * (day_of(&list->slots[i + 1]) - value);
	return value;
}

/* The first day by which so many percent of the amount have come. */
int
daylist_weighted_quantile(const DayList *list, int percent)
{
	/* only of sums nobody has, so that a hundred times as much fits */
	int			shift = list->amount >= AMOUNT_LIMIT ? 8 : 0;
	int128		seen = 0;
	int			i = 0;

	for (; i < list->n - 1; i++)
	{
		seen += list->slots[i].amount;
		if ((seen >> shift) * 100 >= (list->amount >> shift) * percent)
			break;
	}
	return day_of(&list->slots[i]);
}

/* Mean absolute deviation about the mean. */
double
daylist_mean_deviation(const DayList *list)
{
	int64		sum = 0;
	double		mean;
	double		deviation = 0;

	for (int i = 0; i < list->n; i++)
		sum += count_of(&list->slots[i]) * day_of(&list->slots[i]);
	mean = (double) sum / list->count;
	for (int i = 0; i < list->n; i++)
		deviation += count_of(&list->slots[i]) * fabs(day_of(&list->slots[i]) - mean);
	return deviation / list->count;
}

/*
 * Median absolute deviation about the median: deviations rise on both sides of
 * it, so the two sides are merged until half of the count is passed.
 */
double
daylist_median_deviation(const DayList *list, double median)
{
	int64		below = (list->count - 1) / 2;
	int64		above = list->count / 2;
	int64		seen = 0;
	double		result = 0;
	int			right = 0;
	int			left;

	while (right < list->n && day_of(&list->slots[right]) <= median)
		right++;
	left = right - 1;
	while (seen <= above)
	{
		double		left_deviation = left < 0 ? HUGE_VAL :
			median - day_of(&list->slots[left]);
		double		right_deviation = right >= list->n ? HUGE_VAL :
			day_of(&list->slots[right]) - median;
		double		deviation = Min(left_deviation, right_deviation);
		int64		before = seen;

		seen += left_deviation <= right_deviation ?
			count_of(&list->slots[left--]) : count_of(&list->slots[right++]);
		if (before <= below && below < seen)
			result += deviation / 2;
		if (before <= above && above < seen)
			result += deviation / 2;
	}
	return result;
}

/*
 * leaf.c
 *	  The leaf page of an index that a key belongs to.
 *
 * One descent to the page, or none.  It is only ever read.
 *
 * Keys that arrive one after another mostly belong to the leaf of the one
 * before, so that leaf is tried first: one that begins below a key and ends
 * above it is the right one, however it was come by.  A page is only ever
 * split to the right, so that one which ends below the key has the right one
 * beside it.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "credit.h"
#include "leaf.h"
#include "page.h"
#include "sabotage.h"

/*
 * Where a key went last, by its first column; a wrong hint costs little.
 * Accounts of neighbouring numbers share one, as they share their leaf.
 */
#define HINTS 4096
#define SHARED_BITS 3

/* Hints that fail one after another are left alone for a while, and longer. */
#define MAX_MISSES 4

typedef struct LeafHint
{
	CreditRelNumber file;		/* of the index */
	BlockNumber block;
	OffsetNumber place;			/* of the entry behind the key */
	uint8		misses;			/* since it was right last */
	uint8		pause;			/* keys without a try */
} LeafHint;

static LeafHint hints[HINTS];

/* The hint for a key, which may be that of another. */
static LeafHint *
hint_of(Relation index, bool begins_with_number, const Datum *keys)
{
	uint64		first = !TupleDescAttr(RelationGetDescr(index), 0)->attbyval ? 0 :
		begins_with_number ? keys[0] >> SHARED_BITS : keys[0];

	return &hints[hash_combine(murmurhash32((uint32) first),
							   RelationGetRelid(index)) % HINTS];
}

/*
 * Search key for the first columns of an index, none of them NULL.
 * after_equals: the place behind the last entry that equals it, else before
 * the first one.
 */
void
leaf_key(Leaf *leaf, Relation index, const Datum *keys, int nkeys,
		 bool after_equals)
{
	BTScanInsert key = &leaf->key;

	leaf->index = index;
	leaf->begins_with_number =
		index_getprocid(index, 1, BTORDER_PROC) == F_BTINT8CMP;
	leaf->hint = hint_of(index, leaf->begins_with_number, keys);
	leaf->buffer = InvalidBuffer;
	memset(key, 0, offsetof(BTScanInsertData, scankeys));
	_bt_metaversion(index, &key->heapkeyspace, &key->allequalimage);
	key->nextkey = after_equals;
	key->keysz = nkeys;
	for (int i = 0; i < nkeys; i++)
		ScanKeyEntryInitializeWithInfo(&key->scankeys[i], 0, i + 1,
									   InvalidStrategy, InvalidOid,
									   index->rd_indcollation[i],
									   index_getprocinfo(index, i + 1, BTORDER_PROC),
									   keys[i]);
}

/*
 * How the key compares with an entry: as _bt_compare, which need not be asked
 * where numbers in the first column differ.
 */
int
leaf_compare(Leaf *leaf, OffsetNumber place)
{
	if (leaf->begins_with_number)
	{
		IndexTuple	entry = (IndexTuple) PageGetItem(leaf->page,
													 PageGetItemId(leaf->page, place));
		int64		wanted = DatumGetInt64(leaf->key.scankeys[0].sk_argument);
		int64		found;

		if (!IndexTupleHasNulls(entry))
		{
			memcpy(&found, (char *) entry + IndexInfoFindDataOffset(entry->t_info),
				   sizeof(int64));
			if (wanted != found)
				return wanted < found ? -1 : 1;
		}
	}
	return _bt_compare(leaf->index, &leaf->key, leaf->page, place);
}

/*
 * Does the key, or (after_equals) the place behind it, belong to the page?
 * Negative: to one on its left, positive: to one on its right.
 */
static int
side_of(Leaf *leaf)
{
	BTPageOpaque opaque = BTPageGetOpaque(leaf->page);
	int			past_end = leaf->key.nextkey ? 0 : 1;

	if (!P_ISLEAF(opaque) || P_IGNORE(opaque) ||
		PageGetMaxOffsetNumber(leaf->page) < P_FIRSTDATAKEY(opaque) ||
		leaf_compare(leaf, P_FIRSTDATAKEY(opaque)) < 0)
		return -1;
	return P_RIGHTMOST(opaque) || leaf_compare(leaf, P_HIKEY) < past_end ? 0 : 1;
}

void
leaf_give(Leaf *leaf)
{
	_bt_relbuf(leaf->index, leaf->buffer);
}

/* The leaf of the last key with this first column, locked; false: another one. */
static bool
try_hint(Leaf *leaf)
{
	LeafHint   *hint = leaf->hint;
	int			side;

	if (hint->file != credit_rel_number(leaf->index))
		return false;
	if (hint->pause > 0)
	{
		hint->pause--;
		return false;
	}
	leaf->buffer = page_read(leaf->index, hint->block);
	leaf->page = BufferGetPage(leaf->buffer);
	_bt_lockbuf(leaf->index, leaf->buffer, BT_READ);
	_bt_checkpage(leaf->index, leaf->buffer);
	side = SABOTAGED(LEAF) ? 0 : side_of(leaf);
	if (side > 0)
	{
		hint->block = BTPageGetOpaque(leaf->page)->btpo_next;
		hint->place = InvalidOffsetNumber;
		leaf->buffer = _bt_relandgetbuf(leaf->index, leaf->buffer, hint->block, BT_READ);
		leaf->page = BufferGetPage(leaf->buffer);
		side = side_of(leaf);
	}
	if (side == 0)
	{
		hint->misses = 0;
		return true;
	}
	leaf_give(leaf);
	if (hint->misses < MAX_MISSES)
		hint->misses++;
	hint->pause = (1 << hint->misses) - 1;
	return false;
}

/* Finds the page a key belongs to, locked for reading; false: it is empty. */
bool
leaf_find(Leaf *leaf, LedgerRel *ledger)
{
	LeafHint   *hint = leaf->hint;

	if (try_hint(leaf))
		return true;
	_bt_freestack(credit_bt_search(leaf->index, ledger->rel, &leaf->key,
								   &leaf->buffer));
	if (!BufferIsValid(leaf->buffer))
		return false;
	leaf->page = BufferGetPage(leaf->buffer);
	if (hint->file != credit_rel_number(leaf->index))
		hint->misses = hint->pause = 0;
	hint->file = credit_rel_number(leaf->index);
	hint->block = BufferGetBlockNumber(leaf->buffer);
	hint->place = InvalidOffsetNumber;
	return true;
}

/* First entry of the page that stands behind the key. */
static OffsetNumber
find_place(Leaf *leaf, OffsetNumber guess)
{
	OffsetNumber low = P_FIRSTDATAKEY(BTPageGetOpaque(leaf->page));
	OffsetNumber high = PageGetMaxOffsetNumber(leaf->page) + 1;
	int			behind = leaf->key.nextkey ? 0 : 1;

	if (guess > low && guess < high)
	{
		if (leaf_compare(leaf, guess) >= behind)
		{
			low = guess + 1;
			if (low == high || leaf_compare(leaf, low) < behind)
				return low;
		}
		else if (leaf_compare(leaf, guess - 1) >= behind)
			return guess;
		else
			high = guess - 1;
	}
	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (leaf_compare(leaf, middle) >= behind)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The same, remembered.  The place of the last key, and the entry after it
 * (behind which that key may have been entered meanwhile), are tried before
 * halving.
 */
OffsetNumber
leaf_place(Leaf *leaf)
{
	leaf->hint->place = find_place(leaf, leaf->hint->place);
	return leaf->hint->place;
}

/*
 * probe.c
 *	  Looks into the primary key of a ledger table without an index scan.
 *
 * The order path asks an index two questions: is there no document of this key
 * yet, and where does this chain end.  Both are answered by one descent to a
 * leaf page.  An index scan answers them too, at two to three times the price:
 * it is set up and torn down, its keys are preprocessed, and it copies what it
 * finds on the page.
 *
 * Only the easy answer is given here.  Where a page border, a list of row
 * versions under one key, or an empty index is in the way, the caller is told
 * that this look says nothing, and scans.
 *
 * Keys that arrive one after another mostly belong to the leaf of the one
 * before, so that leaf is tried first: one that begins below a key and ends
 * above it is the right one, however it was come by.
 *
 * The leaf stays pinned while the caller looks at the row versions it names:
 * as long as it is, no vacuum lets their places be used for other rows.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "common/hashfn.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "credit.h"
#include "probe.h"
#include "sabotage.h"

/* Where a key went last, by its first column; a wrong hint costs little. */
#define HINTS 1024
#define HINT_PAUSE 15			/* keys without a try after one that failed */

typedef struct LeafHint
{
	CreditRelNumber file;		/* of the index */
	BlockNumber block;
	OffsetNumber place;			/* of the entry behind the key */
	int			pause;
} LeafHint;

static LeafHint hints[HINTS];

/*
 * Search key for the first columns of an index.  after_equals: the place
 * behind the last entry that equals it, else before the first one.
 */
static void
make_key(Relation index, const Datum *keys, int nkeys, bool after_equals,
		 BTScanInsert key)
{
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

/* Does a key belong to a leaf page, or (after_equals) the place behind it? */
static bool
belongs_to(Relation index, BTScanInsert key, Page page)
{
	BTPageOpaque opaque = BTPageGetOpaque(page);
	int			past_end = key->nextkey ? 0 : 1;

	return P_ISLEAF(opaque) && !P_IGNORE(opaque) &&
		PageGetMaxOffsetNumber(page) >= P_FIRSTDATAKEY(opaque) &&
		_bt_compare(index, key, page, P_FIRSTDATAKEY(opaque)) >= 0 &&
		(P_RIGHTMOST(opaque) ||
		 _bt_compare(index, key, page, P_HIKEY) < past_end);
}

/* The leaf of the last key with this first column, locked, if it fits. */
static Buffer
try_hint(Relation index, BTScanInsert key, LeafHint *hint)
{
	Buffer		leaf;

	if (hint->file != credit_rel_number(index) || hint->pause-- > 0)
		return InvalidBuffer;
	leaf = _bt_getbuf(index, hint->block, BT_READ);
	if (SABOTAGED(LEAF) || belongs_to(index, key, BufferGetPage(leaf)))
	{
		hint->pause = 0;
		return leaf;
	}
	_bt_relbuf(index, leaf);
	hint->pause = HINT_PAUSE;
	return InvalidBuffer;
}

/* The hint for a key, which may be that of another. */
static LeafHint *
hint_of(Relation index, BTScanInsert key)
{
	uint32		first = (uint32) key->scankeys[0].sk_argument;

	return &hints[hash_bytes_uint32(first + RelationGetRelid(index)) % HINTS];
}

/* The leaf page a key belongs to, locked; invalid: the index is empty. */
static Buffer
find_leaf(LedgerRel *ledger, Relation index, BTScanInsert key, LeafHint *hint)
{
	Buffer		leaf = try_hint(index, key, hint);

	if (BufferIsValid(leaf))
		return leaf;
	_bt_freestack(credit_bt_search(index, ledger->rel, key, &leaf));
	if (!BufferIsValid(leaf))
		return leaf;
	if (hint->file != credit_rel_number(index))
		hint->pause = 0;
	hint->file = credit_rel_number(index);
	hint->block = BufferGetBlockNumber(leaf);
	hint->place = InvalidOffsetNumber;
	return leaf;
}

/*
 * First entry of a leaf page that stands behind the key.  The guess, and the
 * entry after it (behind which the last key may have been entered meanwhile),
 * are tried before halving.
 */
static OffsetNumber
find_place(Relation index, BTScanInsert key, Page page, OffsetNumber guess)
{
	OffsetNumber low = P_FIRSTDATAKEY(BTPageGetOpaque(page));
	OffsetNumber high = PageGetMaxOffsetNumber(page) + 1;
	int			behind = key->nextkey ? 0 : 1;

	if (guess > low && guess < high)
	{
		if (_bt_compare(index, key, page, guess) >= behind)
		{
			low = guess + 1;
			if (low == high || _bt_compare(index, key, page, low) < behind)
				return low;
		}
		else if (_bt_compare(index, key, page, guess - 1) >= behind)
			return guess;
		else
			high = guess - 1;
	}
	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (_bt_compare(index, key, page, middle) >= behind)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Is there certainly no entry of a key, dead or alive?  False: perhaps there
 * is one.
 */
bool
probe_is_absent(LedgerRel *ledger, const Datum *keys, int nkeys)
{
	Relation	index = ledger_primary_index(ledger);
	BTScanInsertData key;
	LeafHint   *hint;
	Buffer		leaf;
	Page		page;
	OffsetNumber place;
	bool		absent;

	make_key(index, keys, nkeys, false, &key);
	hint = hint_of(index, &key);
	leaf = find_leaf(ledger, index, &key, hint);
	if (!BufferIsValid(leaf))
		return true;
	page = BufferGetPage(leaf);
	place = find_place(index, &key, page, hint->place);
	hint->place = place;
	if (place <= PageGetMaxOffsetNumber(page))
		absent = _bt_compare(index, &key, page, place) != 0;
	else
		absent = P_RIGHTMOST(BTPageGetOpaque(page)) ||
			_bt_compare(index, &key, page, P_HIKEY) != 0;
	_bt_relbuf(index, leaf);
	return absent;
}

/*
 * The last entries that begin with a key, up to max of them.  Not complete
 * where more of them may stand on another page.
 */
void
probe_last(LedgerRel *ledger, const Datum *keys, int nkeys, int max,
		   ProbeResult *result)
{
	Relation	index = ledger_primary_index(ledger);
	BTScanInsertData key;
	LeafHint   *hint;
	Page		page;
	OffsetNumber first;
	OffsetNumber place;

	Assert(max <= PROBE_MAX);
	result->n = 0;
	result->complete = true;
	make_key(index, keys, nkeys, true, &key);
	hint = hint_of(index, &key);
	result->leaf = find_leaf(ledger, index, &key, hint);
	if (!BufferIsValid(result->leaf))
		return;
	page = BufferGetPage(result->leaf);
	first = P_FIRSTDATAKEY(BTPageGetOpaque(page));
	place = find_place(index, &key, page, hint->place);
	hint->place = place;
	while (result->n < max)
	{
		ItemId		itemid;
		IndexTuple	entry;

		place = OffsetNumberPrev(place);
		if (place < first)
		{
			result->complete = P_LEFTMOST(BTPageGetOpaque(page));
			break;
		}
		if (_bt_compare(index, &key, page, place) != 0)
			break;
		itemid = PageGetItemId(page, place);
		if (ItemIdIsDead(itemid))
			continue;
		entry = (IndexTuple) PageGetItem(page, itemid);
		if (BTreeTupleIsPosting(entry))
		{
			result->complete = false;
			break;
		}
		result->tids[result->n++] = entry->t_tid;
	}
	_bt_unlockbuf(index, result->leaf);
}

void
probe_release(ProbeResult *result)
{
	if (BufferIsValid(result->leaf))
		ReleaseBuffer(result->leaf);
}

/*
 * probe.c
 *	  Looks into an index of a ledger table without an index scan.
 *
 * The order path asks an index three questions: is there no document of this
 * key yet, where does this chain end, and which is the row of this account.
 * Each is answered by one descent to a leaf page (leaf.c).  An index scan answers
 * them too, at two to three times the price: it is set up and torn down, its keys
 * are preprocessed, and it copies what it finds on the page.
 *
 * Only the easy answer is given here.  Where a page border, a list of row
 * versions under one key, or an empty index is in the way, the caller is told
 * that this look says nothing, and scans.
 *
 * The leaf stays pinned while the caller looks at the row versions it names:
 * as long as it is, no vacuum lets their places be used for other rows.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "credit.h"
#include "leaf.h"
#include "probe.h"

/*
 * Is there certainly no entry of a key, dead or alive?  False: perhaps there
 * is one.
 */
bool
probe_is_absent(LedgerRel *ledger, const Datum *keys, int nkeys)
{
	Leaf		leaf;
	OffsetNumber place;
	bool		absent;

	leaf_key(&leaf, ledger_index(ledger, NULL), keys, nkeys, false);
	if (!leaf_find(&leaf, ledger))
		return true;
	place = leaf_place(&leaf);
	if (place <= PageGetMaxOffsetNumber(leaf.page))
		absent = leaf_compare(&leaf, place) != 0;
	else
		absent = P_RIGHTMOST(BTPageGetOpaque(leaf.page)) ||
			leaf_compare(&leaf, P_HIKEY) != 0;
	leaf_give(&leaf);
	return absent;
}

/*
 * The last entries that begin with a key, up to max of them.  Not complete
 * where more of them may stand on another page.  index NULL: the primary key.
 */
void
probe_last(LedgerRel *ledger, const char *index, const Datum *keys, int nkeys,
		   int max, ProbeResult *result)
{
	Leaf		leaf;
	Page		page;
	OffsetNumber first;
	OffsetNumber place;

	Assert(max <= PROBE_MAX);
	result->n = 0;
	result->complete = true;
	leaf_key(&leaf, ledger_index(ledger, index), keys, nkeys, true);
	(void) leaf_find(&leaf, ledger);
	result->leaf = leaf.buffer;
	if (!BufferIsValid(result->leaf))
		return;
	page = leaf.page;
	first = P_FIRSTDATAKEY(BTPageGetOpaque(page));
	place = leaf_place(&leaf);
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
		if (leaf_compare(&leaf, place) != 0)
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
	_bt_unlockbuf(leaf.index, result->leaf);
}

void
probe_release(ProbeResult *result)
{
	if (BufferIsValid(result->leaf))
		ReleaseBuffer(result->leaf);
}

/* Entries of a unique key: that of the row, and of versions before it. */
#define ROW_ENTRIES 4

/*
 * The row of a key of a unique index, dirty: its one version that is alive and
 * was not inserted by a transaction that is under way.  False: there is none,
 * or a look does not say.
 */
bool
probe_row(LedgerRel *ledger, const char *index, const Datum *keys, int nkeys,
		  LedgerFetch *fetch)
{
	ProbeResult probe;
	bool		found = false;

	probe_last(ledger, index, keys, nkeys, ROW_ENTRIES, &probe);
	if (probe.n == ROW_ENTRIES)
		probe.complete = false;
	for (int i = 0; i < probe.n && probe.complete; i++)
	{
		LedgerFetch next;

		if (!ledger_fetch(ledger, &probe.tids[i], true, &next))
			continue;
		if (!found && !TransactionIdIsValid(next.dirty.xmin))
		{
			found = true;
			*fetch = next;
			continue;
		}
		ledger_release(&next);
		probe.complete = false; /* one too many */
	}
	probe_release(&probe);
	if (found && !probe.complete)
		ledger_release(fetch);
	return found && probe.complete;
}

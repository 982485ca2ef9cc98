/*
 * entry.c
 *	  Makes the entry of a row in an index, where that is simple.
 *
 * Most entries go into a leaf page that has room for them, between two that
 * differ from them.  Such an entry needs no more than its page (leaf.c): no
 * descent, no second search within the page, no look at row versions of the
 * same key, for there are none.  Everything else is left to index_insert():
 * a page that is full or that is just being split, a key that is there or
 * might be on the page beside, lists of row versions, NULLs, what is sorted the
 * other way round, indexes of before version 4.
 *
 * What is done here is what nbtree does in that case, step by step: the page is
 * locked for writing, a serializable reader of it is told, the entry is put in
 * and written to the WAL as the record that nbtree's own redo reads.
 */
#include "postgres.h"

#include "access/itup.h"
#include "access/nbtree.h"
#include "access/nbtxlog.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/rel.h"

#include "credit.h"
#include "entry.h"
#include "leaf.h"

/*
 * The place of the entry, if it is a simple one: it has its page to itself up
 * to the page borders, and in a unique index there is no entry of its key.
 */
static bool
find_simple_place(Leaf *leaf, Size size, OffsetNumber *place)
{
	BTPageOpaque opaque = BTPageGetOpaque(leaf->page);

	if (P_INCOMPLETE_SPLIT(opaque) || PageGetFreeSpace(leaf->page) < size)
		return false;
	*place = leaf_place(leaf);
	/* before the first one: its like may stand on the page before */
	if (*place <= P_FIRSTDATAKEY(opaque))
		return false;
	if (*place <= PageGetMaxOffsetNumber(leaf->page))
		return leaf_compare(leaf, *place) < 0;
	return P_RIGHTMOST(opaque) ||
		leaf_compare(leaf, P_HIKEY) < 0;
}

/* Puts an entry into a page, as _bt_insertonpg does. */
static void
put(Leaf *leaf, OffsetNumber place, IndexTuple entry)
{
	Size		size = IndexTupleSize(entry);

	START_CRIT_SECTION();
	if (PageAddItem(leaf->page, (Item) entry, size, place, false, false) ==
		InvalidOffsetNumber)
		elog(PANIC, "failed to add an entry to block %u of index \"%s\"",
			 BufferGetBlockNumber(leaf->buffer), RelationGetRelationName(leaf->index));
	MarkBufferDirty(leaf->buffer);
	if (RelationNeedsWAL(leaf->index))
	{
		xl_btree_insert record;
		XLogRecPtr	end;

		record.offnum = place;
		XLogBeginInsert();
		XLogRegisterData((char *) &record, SizeOfBtreeInsert);
		XLogRegisterBuffer(0, leaf->buffer, REGBUF_STANDARD);
		XLogRegisterBufData(0, (char *) entry, size);
		end = XLogInsert(RM_BTREE_ID, XLOG_BTREE_INSERT_LEAF);
		PageSetLSN(leaf->page, end);
	}
	END_CRIT_SECTION();
}

/* False: it is not simple, and nothing was done. */
bool
entry_insert(LedgerRel *ledger, Relation index, Datum *keys,
			 bool *nulls, ItemPointer tid)
{
	int			nkeys = IndexRelationGetNumberOfKeyAttributes(index);
	Leaf		leaf;
	IndexTuple	entry;
	OffsetNumber place;
	bool		done;

	for (int i = 0; i < nkeys; i++)
		if (nulls[i] || index->rd_indoption[i] != 0)
			return false;
	leaf_key(&leaf, index, keys, nkeys, false);
	if (!leaf.key.heapkeyspace ||
		nkeys != IndexRelationGetNumberOfAttributes(index))
		return false;
	/* entries of one key stand in the order of their rows */
	if (!index->rd_index->indisunique)
		leaf.key.scantid = tid;
	entry = index_form_tuple(RelationGetDescr(index), keys, nulls);
	entry->t_tid = *tid;
	if (!leaf_find(&leaf, ledger, BT_WRITE))
		return false;
	done = find_simple_place(&leaf, IndexTupleSize(entry), &place);
	if (done)
	{
		CheckForSerializableConflictIn(index, NULL,
									   BufferGetBlockNumber(leaf.buffer));
		put(&leaf, place, entry);
	}
	leaf_give(&leaf);
	pfree(entry);
	return done;
}

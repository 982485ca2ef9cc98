/*
 * leaf.h
 *	  The leaf page of an index that a key belongs to.
 */
#ifndef CREDIT_LEAF_H
#define CREDIT_LEAF_H

#include "access/nbtree.h"

#include "ledger.h"

struct LeafHint;

/* A key on its way to a place in an index. */
typedef struct Leaf
{
	Relation	index;
	struct LeafHint *hint;
	bool		begins_with_number;
	Buffer		buffer;			/* locked, or invalid: the index is empty */
	Page		page;
	BTScanInsertData key;
} Leaf;

extern void leaf_key(Leaf *leaf, Relation index, const Datum *keys, int nkeys,
					 bool after_equals);
extern bool leaf_find(Leaf *leaf, LedgerRel *ledger);
extern int	leaf_compare(Leaf *leaf, OffsetNumber place);
extern OffsetNumber leaf_place(Leaf *leaf);
extern void leaf_give(Leaf *leaf);

#endif							/* CREDIT_LEAF_H */

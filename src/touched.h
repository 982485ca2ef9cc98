/*
 * touched.h
 *	  Rows that a statement has changed, and the documents they belong to.
 */
#ifndef CREDIT_TOUCHED_H
#define CREDIT_TOUCHED_H

#include "access/htup.h"
#include "frame.h"
#include "nodes/bitmapset.h"
#include "utils/hsearch.h"

/* A row that a statement has changed, and who captured it. */
typedef struct ChangedRow
{
	HeapTuple	tuple;
	SubTransactionId subid;
	bool		is_old;			/* the version that is no more */
	Bitmapset  *columns;		/* of an UPDATE, which have changed; NULL: all */
} ChangedRow;

typedef struct ChangedTable
{
	Oid			relid;
	ChangedRow *rows;
	int			n;
	int			allocated;
} ChangedTable;

/* Documents of one source that a statement touches. */
typedef struct KeySet
{
	int32		source_id;
	CreditKind	kind;
	HTAB	   *index;
	char	  **keys;
	int			n;
	int			allocated;
	int			nlocked;		/* of the first ones */
} KeySet;

struct Touched
{
	MemoryContext cxt;
	MemoryContext row_cxt;		/* of the rows, until their keys are known */
	List	   *tables;			/* of ChangedTable */
	List	   *sets;			/* of KeySet */
	bool		is_unchecked;
};

extern struct Touched *touched_of(Frame *frame);
extern KeySet *touched_set(struct Touched *touched, const CreditSource *source);
extern void touched_add_key(struct Touched *touched, KeySet *set, const char *key);
extern void touched_sort_keys(KeySet *set, int first);
extern uint64 ended_so_far(void);

#endif							/* CREDIT_TOUCHED_H */

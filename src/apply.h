/*
 * apply.h
 *	  From captured rows of the ERP to the ledger.
 */
#ifndef CREDIT_APPLY_H
#define CREDIT_APPLY_H

#include "nodes/pg_list.h"
#include "storage/itemptr.h"

#include "source.h"

/* What one row event says about one document, or one customer. */
typedef struct Change
{
	const CreditSource *source;
	const char *key;
	const char *segment;		/* of a customer; "" for documents */
	bool		present;		/* false: stopped counting, moved, deleted */
	Oid			relid;			/* table or partition of the row */
	ItemPointerData tid;		/* the row version the event is about */
	CommandId	cid;			/* when it was captured */
	int			order;			/* of capture */
	CreditRow	row;			/* if present */
} Change;

/*
 * Applies changes, which are in the order of capture; disturbed: the ledger
 * may have newer news about some of them.  Allocates in the current context.
 */
extern void apply_changes(Change **changes, int nchanges, bool disturbed);

#endif							/* CREDIT_APPLY_H */

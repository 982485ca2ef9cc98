/*
 * apply.h
 *	  From captured rows of the ERP to the ledger.
 */
#ifndef CREDIT_APPLY_H
#define CREDIT_APPLY_H

#include "storage/itemptr.h"

#include "source.h"

/* What one row event says about one document, or one customer. */
typedef struct Change
{
	const CreditSource *source;
	const char *key;
	const char *segment;		/* of a customer; "" for documents */
	bool		present;		/* false: stopped counting, moved, deleted */
	bool		is_insert;		/* of a row that was not there before */
	bool		is_unchecked;	/* taken in, whatever it adds: never refused */
	bool		is_withdrawn;	/* its source is detached: it was never said */
	Oid			relid;			/* table or partition of the row */
	ItemPointerData tid;		/* the row version the event is about */
	int			order;			/* of capture */
	SubTransactionId subid;		/* that captured it */
	uint32		hash;			/* of key */
	CommandId	cid;			/* if not present: that ended the version */
	int			news_seen;		/* of the frame, when this was captured */
	CreditRow	row;			/* if present */
} Change;

/* Is told of what is_unchecked has let in and what would have been checked. */
typedef void (*UncheckedCallback) (void *arg, const Change *change,
								   int64 account_id, const char *currency,
								   Numeric amount);
extern void apply_tell_unchecked(UncheckedCallback callback, void *arg);

extern bool apply_same_document(const Change *x, const Change *y);

/* What a statement too large for one portion has come to so far, by account. */
typedef struct ApplyTotals ApplyTotals;

/* Brings documents that no row event touched into the ledger; never refuses. */
struct Family;
extern void apply_family(struct Family *family);

/*
 * Applies changes, which are in the order of capture.  Allocates in the
 * current context.  With totals: a portion of a statement, whose exposure is
 * added up there and checked and posted by apply_totals at its end.
 */
extern void apply_changes(Change **changes, int nchanges, ApplyTotals *totals);
extern ApplyTotals *apply_totals_create(void);
extern void apply_totals(ApplyTotals *totals);

#endif							/* CREDIT_APPLY_H */

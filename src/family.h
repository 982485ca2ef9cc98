/*
 * family.h
 *	  Documents that name one another, while a statement changes them.
 */
#ifndef CREDIT_FAMILY_H
#define CREDIT_FAMILY_H

#include "utils/hsearch.h"

#include "apply.h"
#include "item.h"

/* A document on its way into the ledger. */
typedef struct Document
{
	const CreditSource *source;
	const char *key;
	const Change *change;		/* of its own row; NULL: only its family's */
	const Change *cause;		/* the one that touched it last, or NULL */
	CreditItem	old;			/* as the table has it */
	CreditItem	new;
	const struct Document *posted;	/* what a first attempt has posted of it, or
									 * NULL */
	int64		seq;
	bool		is_taken;		/* its key was, when it was written */
	int			visit;			/* when its family was gathered last */
	List	   *namers;			/* documents here that name it */
} Document;

/* struct Family of apply.h */
typedef struct Family
{
	LedgerRel  *items;
	bool		has_references; /* does any document name another? */
	bool		trusts_inserts; /* inserted rows are new documents */
	bool		is_unsure;		/* some were taken for that without a look */
	DateADT		today;
	int32		leaving;		/* source that is being detached, or 0 */
	Document  **documents;
	int			n;
	int			allocated;
	HTAB	   *members;		/* of documents that were looked up */
	int			visits;
	List	   *settlements;	/* pairs whose settlement is to be stated anew */
	const Change *cause;		/* of what is being done */
} Family;

extern Family *family_create(LedgerRel *items, bool trusts_inserts);
extern void family_load(Family *family, Change **changes, int n);
extern void family_change(Family *family, const Change *change,
						  const Document *first, bool is_posted);
extern void family_join(Family *family, int32 source_id, const char *key);
extern void family_part(Family *family, int32 source_id, const char *key);
extern void family_recount(Family *family, int32 source_id, const char *key);
extern void family_resum(Family *family, int32 source_id, const char *key);
extern Document **family_finish(Family *family, int *n);
extern void family_settle(Family *family);

#endif							/* CREDIT_FAMILY_H */

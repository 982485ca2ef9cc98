/*
 * roster.c
 *	  A list kept per backend, replaced as a whole and never changed.
 *
 * Whoever holds a pointer into an old list goes on reading it until the end of
 * the transaction.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "roster.h"

/* The list as it is now; good until the end of the transaction. */
void *
roster_list(Roster *roster)
{
	MemoryContext cxt;
	MemoryContext old;
	void	   *list;

	if (roster->is_valid)
		return roster->list;
	cxt = AllocSetContextCreateInternal(CacheMemoryContext, roster->name,
										ALLOCSET_SMALL_SIZES);
	/* first, so that an invalidation while we read leads to another look */
	roster->is_valid = true;
	PG_TRY();
	{
		old = MemoryContextSwitchTo(cxt);
		list = palloc0(roster->size);
		roster->fill(list);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		roster->is_valid = false;
		MemoryContextDelete(cxt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	/* the former one may still be read in this transaction */
	if (roster->cxt != NULL)
		MemoryContextSetParent(roster->cxt, TopTransactionContext);
	roster->list = list;
	roster->cxt = cxt;
	return list;
}

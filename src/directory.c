/*
 * directory.c
 *	  All attached sources, by number and by kind.
 *
 * source.c keeps what a table's own rows need.  A document that names another
 * one needs to know the sources of that one, whatever their tables are.
 *
 * Kept per backend.  The list is replaced, never changed: whoever holds a
 * pointer into an old one goes on reading it until the end of the transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "utils/memutils.h"

#include "credit.h"
#include "directory.h"
#include "ledger.h"

static Directory *current = NULL;
static MemoryContext current_cxt = NULL;
static bool is_valid = false;
static Oid	source_relid = InvalidOid;

/* Only marks. */
void
credit_directory_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == source_relid)
		is_valid = false;
}

/* Can documents of a source name others that are in the ledger? */
static bool
has_references(const CreditSource *source)
{
	return source->origin_kind != KIND_NONE ||
		source->applies_to_kind != KIND_NONE ||
		source->payment_kind != KIND_NONE;
}

/* Reads all rows of credit.source, as they are committed now. */
static void
fill(Directory *list)
{
	LedgerRel  *ledger = ledger_open(LEDGER_SOURCE, AccessShareLock);
	SysScanDesc scan;
	HeapTuple	tuple;
	int			allocated = 8;

	list->sources = palloc(sizeof(CreditSource) * allocated);
	scan = systable_beginscan(ledger->rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CreditSource *source;

		if (list->n == allocated)
		{
			allocated *= 2;
			list->sources = repalloc(list->sources, sizeof(CreditSource) * allocated);
		}
		source = &list->sources[list->n++];
		memset(source, 0, sizeof(CreditSource));
		source_load(source, ledger, tuple, NULL);
		list->has_references |= has_references(source);
	}
	systable_endscan(scan);
	ledger_close(ledger);
}

/* The list as it is now; good until the end of the transaction. */
const Directory *
directory(void)
{
	MemoryContext cxt;
	MemoryContext old;
	Directory  *list;

	if (is_valid)
		return current;
	source_relid = ledger_relid(LEDGER_SOURCE);
	cxt = AllocSetContextCreate(CacheMemoryContext, "credit directory",
								ALLOCSET_SMALL_SIZES);
	/* first, so that an invalidation while we read leads to another look */
	is_valid = true;
	PG_TRY();
	{
		old = MemoryContextSwitchTo(cxt);
		list = palloc0(sizeof(Directory));
		fill(list);
		MemoryContextSwitchTo(old);
	}
	PG_CATCH();
	{
		is_valid = false;
		MemoryContextDelete(cxt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	/* the former one may still be read in this transaction */
	if (current_cxt != NULL)
		MemoryContextSetParent(current_cxt, TopTransactionContext);
	current = list;
	current_cxt = cxt;
	return current;
}

/* A source by its number; NULL: it is not attached. */
const CreditSource *
directory_find(int32 source_id)
{
	const Directory *list = directory();

	for (int i = 0; i < list->n; i++)
		if (list->sources[i].source_id == source_id)
			return &list->sources[i];
	return NULL;
}

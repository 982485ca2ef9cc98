/*
 * directory.c
 *	  All attached sources, by number and by kind.
 *
 * source.c keeps what a table's own rows need.  A document that names another
 * one needs to know the sources of that one, whatever their tables are.
 */
#include "postgres.h"

#include "access/genam.h"

#include "credit.h"
#include "directory.h"
#include "ledger.h"
#include "roster.h"

static void fill(void *arg);

static Roster roster = {"credit directory", sizeof(Directory), fill};
static Oid	source_relid = InvalidOid;

/* Only marks. */
void
credit_directory_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == source_relid)
		roster.is_valid = false;
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
fill(void *arg)
{
	Directory  *list = arg;
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
	if (!roster.is_valid)
		source_relid = ledger_relid(LEDGER_SOURCE);
	return roster_list(&roster);
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

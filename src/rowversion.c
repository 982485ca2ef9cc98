/*
 * rowversion.c
 *	  Versions of rows of the ERP that documents were read from.
 *
 * Rows that belong to one document (its header, its lines) name it, so two who
 * write them meet at its item (touched.c).  A row that many documents share
 * (the header of a delivery's order, which says whose it is) does not: who
 * changes it cannot see documents that others have not committed yet, and they
 * read it as it was.  Both would commit, and the ledger would keep what is no
 * longer so.  The ERP's own locks do not help: a foreign key lets both pass.
 *
 * So who reads a document through such a row holds a shared lock on the version
 * he has read, and who replaces a version an exclusive one on what he replaces,
 * both to the end of the transaction.  Whoever comes second waits, and looks
 * again.  These are heavyweight locks of classes of our own and not row locks:
 * the ERP takes table locks with NOWAIT, which row locks would be in the way of.
 *
 * What others can have read is the version that was there before this
 * transaction, also when it has replaced that one for a column that no document
 * is made of, without a lock, and replaces its own now.  So where its own
 * versions come from is kept.
 *
 * A version is known by its place, hashed; a collision costs waiting, nothing
 * else.  A transaction that has got many locks takes those of whole tables from
 * then on, so that it does not use up the server's lock table.  That is why the
 * table is locked for single versions too, in a mode that says what is done
 * with them, as tables are for rows.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "credit.h"
#include "rowversion.h"
#include "wait.h"

/* Classes of advisory locks that no SQL function uses; see shortlock.c. */
#define LOCK_CLASS_VERSION 0xC4EF
#define LOCK_CLASS_TABLE 0xC4F0

/* Locks on versions in one transaction; what the server has room for per backend. */
#define MAX_VERSIONS 64

/* Versions of this transaction that are followed to where they come from. */
#define MAX_ORIGINS 1000

/* What a version of this transaction stands in for. */
typedef struct Origin
{
	RowVersion	version;		/* hash key, must be first */
	RowVersion	origin;
} Origin;

static LocalTransactionId counted_in = InvalidLocalTransactionId;
static int	nversions = 0;
static HTAB *origins = NULL;
static bool is_lost = false;	/* there were too many */

/* What was there belongs to a transaction that is over. */
static void
start_transaction(void)
{
	if (counted_in == credit_local_xid())
		return;
	counted_in = credit_local_xid();
	nversions = 0;
	origins = NULL;
	is_lost = false;
}

/* Has this lock not been held before? */
static bool
take(LOCKTAG *tag, LOCKMODE mode)
{
	LockAcquireResult result = LockAcquire(tag, mode, false, true);

	if (result == LOCKACQUIRE_NOT_AVAIL)
		wait_for_lock(tag, mode, WAIT_ROW);
	return result == LOCKACQUIRE_NOT_AVAIL || result == LOCKACQUIRE_OK;
}

static bool
take_table(Oid relid, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, relid, 0, LOCK_CLASS_TABLE);
	return take(&tag, mode);
}

static bool
take_version(const RowVersion *version, LOCKMODE mode)
{
	LOCKTAG		tag;
	uint64		place = ((uint64) ItemPointerGetBlockNumberNoCheck(&version->tid) << 16) |
		ItemPointerGetOffsetNumberNoCheck(&version->tid);
	bool		is_new;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, version->relid,
						 (uint32) hash_bytes((unsigned char *) &place, sizeof(place)),
						 LOCK_CLASS_VERSION);
	is_new = take(&tag, mode);
	nversions += is_new;
	return is_new;
}

static int
compare_versions(const void *a, const void *b)
{
	const RowVersion *x = a;
	const RowVersion *y = b;

	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &x->tid, (ItemPointer) &y->tid);
}

/* Locks versions of one table, each once. */
static bool
lock_some(const RowVersion *versions, int n, bool is_replaced)
{
	bool		is_new = false;

	/* in order, what is not known where comes last */
	if (nversions + n > MAX_VERSIONS || !ItemPointerIsValid(&versions[n - 1].tid))
		return take_table(versions[0].relid,
						  is_replaced ? AccessExclusiveLock : ShareLock);
	(void) take_table(versions[0].relid,
					  is_replaced ? RowExclusiveLock : RowShareLock);
	for (int i = 0; i < n; i++)
		if (take_version(&versions[i], is_replaced ? ExclusiveLock : ShareLock))
			is_new = true;
	return is_new;
}

/*
 * Locks versions that were read, or have been replaced, until the end of the
 * transaction; they are put in order, each once.  True: some were not locked before, so
 * that something may have happened since they were looked at.
 */
bool
rowversion_lock(RowVersion *versions, int *n, bool is_replaced)
{
	bool		is_new = false;
	int			start = 0;
	int			kept = 0;

	start_transaction();
	qsort(versions, *n, sizeof(RowVersion), compare_versions);
	for (int i = 0; i < *n; i++)
		if (i == 0 || compare_versions(&versions[i], &versions[kept - 1]) != 0)
			versions[kept++] = versions[i];
	for (int i = 1; i <= kept; i++)
	{
		if (i < kept && versions[i].relid == versions[start].relid)
			continue;
		if (lock_some(&versions[start], i - start, is_replaced))
			is_new = true;
		start = i;
	}
	*n = kept;
	return is_new;
}

/* Is this version of a row of this transaction's making? */
bool
rowversion_is_own(TupleTableSlot *slot)
{
	bool		isnull;

	return TransactionIdIsCurrentTransactionId
		(DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber,
											   &isnull)));
}

/* A key whose padding, which is hashed too, is known. */
static void
set_key(RowVersion *key, const RowVersion *version)
{
	memset(key, 0, sizeof(RowVersion));
	key->relid = version->relid;
	ItemPointerCopy(&version->tid, &key->tid);
}

/*
 * The version of a row that others know, for one of this transaction.  False:
 * they know none, as the row is new.  If that is no longer known it is any
 * version of the table.
 */
bool
rowversion_origin(RowVersion *version)
{
	RowVersion	key;
	Origin	   *found;

	start_transaction();
	set_key(&key, version);
	found = origins == NULL ? NULL : hash_search(origins, &key, HASH_FIND, NULL);
	if (found != NULL)
		*version = found->origin;
	else if (is_lost)
		ItemPointerSetInvalid(&version->tid);
	return found != NULL || is_lost;
}

/* Keeps what a new version of a row stands in for. */
void
rowversion_follow(const RowVersion *old, bool is_own, const RowVersion *new)
{
	RowVersion	key;
	RowVersion	origin = *old;
	HASHCTL		ctl;

	start_transaction();
	if (is_own && (!rowversion_origin(&origin) || !ItemPointerIsValid(&origin.tid)))
		return;
	set_key(&key, new);
	if (origins == NULL)
	{
		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(RowVersion);
		ctl.entrysize = sizeof(Origin);
		ctl.hcxt = TopTransactionContext;
		origins = hash_create("credit row versions", 32, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_get_num_entries(origins) >= MAX_ORIGINS)
		is_lost = true;
	else
		((Origin *) hash_search(origins, &key, HASH_ENTER, NULL))->origin = origin;
}

/* Has nobody replaced it, as a snapshot has it? */
bool
rowversion_is_current(const RowVersion *version, Snapshot snapshot)
{
	Relation	rel = try_table_open(version->relid, AccessShareLock);
	TupleTableSlot *slot;
	ItemPointerData tid = version->tid;
	bool		is_current;

	if (rel == NULL)
		return false;
	slot = table_slot_create(rel, NULL);
	is_current = table_tuple_fetch_row_version(rel, &tid, snapshot, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return is_current;
}

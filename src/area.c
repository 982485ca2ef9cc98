/*
 * area.c
 *	  The shared memory of the extension, had without preloading.
 *
 * It holds what sessions tell each other outside transactions: counters, who
 * waits for whom, how far long commands are, and gates to queue at.  Nothing
 * of the ledger depends on it: where there is none, orders go on and these
 * figures are missing.
 *
 * Before PostgreSQL 17 the first session that needs it takes it out of the
 * 100 kB that the server leaves unassigned, as contrib/pg_prewarm did; that is
 * why its size is fixed and small.  Preloaded by shared_preload_libraries the
 * library asks for the space in time.  From 17 on it is a named segment.
 *
 * A crash of a session makes the server begin anew with new shared memory and
 * new sessions.  Only the postmaster lives on, and what it remembers is set
 * again by the startup hook.
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "area.h"
#include "credit.h"

/*
 * With the number of its layout: a library with another layout, loaded by the
 * new sessions of an upgrade, must not read this one.
 */
#define AREA_NAME "credit 1"

StaticAssertDecl(sizeof(CreditArea) <= 32 * 1024,
				 "the shared memory of credit must stay small");

static CreditArea *area = NULL;
static bool area_is_missing = false;	/* looked for and not got */

#ifdef CREDIT_AREA_HOOKS
static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;
#endif

static void
init_area(void *memory)
{
	CreditArea *new = memory;

	memset(new, 0, sizeof(CreditArea));
	new->started_at = GetCurrentTimestamp();
	new->gate_tranche = LWLockNewTrancheId();
	for (int i = 0; i < GATES; i++)
		LWLockInitialize(&new->gates[i].lock, new->gate_tranche);
	SpinLockInit(&new->stat_lock);
	pg_atomic_init_u32(&new->generation, 0);
	for (int i = 0; i <= STAT_SLOTS; i++)
	{
		pg_atomic_init_u64(&new->stats[i].key, 0);
		pg_atomic_init_u64(&new->stats[i].since, new->started_at);
		for (int c = 0; c < STAT_COUNTERS; c++)
			pg_atomic_init_u64(&new->stats[i].counter[c], 0);
	}
	for (int i = 0; i < WAIT_SLOTS; i++)
	{
		pg_atomic_init_u32(&new->waits[i].pid, 0);
		SpinLockInit(&new->waits[i].lock);
	}
	for (int i = 0; i < PROGRESS_SLOTS; i++)
	{
		pg_atomic_init_u32(&new->progress[i].pid, 0);
		pg_atomic_init_u64(&new->progress[i].done, 0);
		SpinLockInit(&new->progress[i].lock);
	}
}

/*
 * Finds or makes the area.  No room raises an error inside PostgreSQL, with
 * locks held: a subtransaction is what tidies up after it.
 */
static void
attach_area(void)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		bool		found;

		MemoryContextSwitchTo(TopMemoryContext);
		area = credit_shared_area(AREA_NAME, sizeof(CreditArea), init_area, &found);
		MemoryContextSwitchTo(caller);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		area = NULL;
		area_is_missing = true;
		ereport(DEBUG1,
				(errmsg("credit counts nothing in this session: %s", error->message),
				 errhint("Add credit to shared_preload_libraries, which reserves the shared memory.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
}

/* The area; only inside a transaction can it be had for the first time. */
CreditArea *
credit_area(void)
{
	if (likely(area != NULL))
		return area;
	if (area_is_missing || !IsTransactionState() || IsInParallelMode())
		return NULL;
	attach_area();
	return area;
}

LWLock *
area_gate(uint32 hash)
{
	static bool is_named = false;
	CreditArea *got = credit_area();

	if (got == NULL)
		return NULL;
	if (!is_named)
		LWLockRegisterTranche(got->gate_tranche, "CreditAccount");
	is_named = true;
	return &got->gates[hash % GATES].lock;
}

/* Copies a name, cut to what fits. */
void
area_name(char *to, const char *name)
{
	int			length = name ? strlen(name) : 0;

	if (length >= AREA_NAME_SIZE)
		length = pg_mbcliplen(name, length, AREA_NAME_SIZE - 1);
	if (length > 0)
		memcpy(to, name, length);
	to[length] = '\0';
}

#ifdef CREDIT_AREA_HOOKS
static void
request_area(void)
{
	if (next_request_hook)
		next_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(CreditArea)));
}

static void
start_area(void)
{
	bool		found;

	if (next_startup_hook)
		next_startup_hook();
	area = credit_shared_area(AREA_NAME, sizeof(CreditArea), init_area, &found);
}

void
credit_area_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = request_area;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = start_area;
}
#else
void
credit_area_init(void)
{
	/* a named segment needs nothing in advance */
}
#endif

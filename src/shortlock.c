/*
 * shortlock.c
 *	  The short lock of an account, and that of a customer's name.
 *
 * A heavyweight lock of a class of its own, so that the deadlock detector and
 * pg_locks know of it and an error releases it.  It is held for one account
 * at a time, from reading the end of a chain to writing the next row, never to
 * commit; while it is held nothing is waited for.
 *
 * Many who want one account must not stand in the lock's own queue: it hands
 * the lock to a sleeper, and until that one wakes nobody works.  Nor may all of
 * them look again and again: their waking up is what the processors would be
 * busy with.  So they queue at a gate, a lightweight lock in shared memory
 * that whoever comes along at the right moment may pass: only the one inside
 * looks for the lock, and keeps the gate until it has given the lock back.
 * Where there is no shared memory there is no gate, and everybody looks.
 *
 * The gate guards nothing.  Whoever finds the lock free takes it without a
 * look at the gate, and two accounts can share one.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "area.h"
#include "credit.h"
#include "sabotage.h"
#include "shortlock.h"
#include "wait.h"

/* A class of advisory locks that no SQL function uses (they use 1 and 2). */
#define LOCK_CLASS_ACCOUNT 0xC4ED
#define LOCK_CLASS_NAME 0xC4EE

/* Looks before the lock's own queue, and the pause between in microseconds. */
#define LOCK_ATTEMPTS 50
#define LOCK_PAUSE 20

/* The gate that this backend keeps while it holds a lock, if any. */
static LWLock *kept_gate = NULL;

static void
account_tag(LOCKTAG *tag, int64 account_id)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (account_id >> 32),
						 (uint32) account_id, LOCK_CLASS_ACCOUNT);
}

/* A collision of hashes costs waiting, nothing else. */
static void
name_tag(LOCKTAG *tag, const char *customer, const char *segment)
{
	uint32		a = string_hash(customer, strlen(customer) + 1);
	uint32		b = string_hash(segment, strlen(segment) + 1);

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, a, b, LOCK_CLASS_NAME);
}

static bool
try(LOCKTAG *tag)
{
	return LockAcquire(tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Looks for the lock again and again, for some milliseconds. */
static bool
try_often(LOCKTAG *tag)
{
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		if (try(tag))
			return true;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(LOCK_PAUSE + (i % 4) * LOCK_PAUSE);
	}
	return false;
}

static void
take(LOCKTAG *tag)
{
	LWLock	   *gate;

	kept_gate = NULL;			/* an error may have left it */
	if (try(tag))
		return;
	gate = area_gate(hash_bytes((unsigned char *) tag, sizeof(LOCKTAG)));
	if (gate != NULL)
		LWLockAcquire(gate, LW_EXCLUSIVE);
	if (try_often(tag))
	{
		kept_gate = gate;
		return;
	}
	/* somebody has been stopped while holding it: wait as for any lock */
	if (gate != NULL)
		LWLockRelease(gate);
	wait_for_lock(tag, ExclusiveLock, WAIT_LOCK);
}

static void
give(LOCKTAG *tag)
{
	LWLock	   *gate = kept_gate;

	(void) LockRelease(tag, ExclusiveLock, false);
	kept_gate = NULL;
	/* an error in between has released it already */
	if (gate != NULL && LWLockHeldByMe(gate))
		LWLockRelease(gate);
}

void
shortlock_take(int64 account_id)
{
	LOCKTAG		tag;

	if (SABOTAGED(LOCK))
		return;
	account_tag(&tag, account_id);
	take(&tag);
}

void
shortlock_give(int64 account_id)
{
	LOCKTAG		tag;

	if (SABOTAGED(LOCK))
		return;
	account_tag(&tag, account_id);
	give(&tag);
}

void
shortlock_take_name(const char *customer, const char *segment)
{
	LOCKTAG		tag;

	name_tag(&tag, customer, segment);
	take(&tag);
}

void
shortlock_give_name(const char *customer, const char *segment)
{
	LOCKTAG		tag;

	name_tag(&tag, customer, segment);
	give(&tag);
}

/*
 * wait.c
 *	  Waiting for another transaction, with an end.
 *
 * The wait is an ordinary wait for a transaction id: the deadlock detector
 * sees it, it wakes at once, a cancel or a statement timeout ends it.  Its end
 * is a lock timeout, set for this one wait to the smaller of the role's own
 * and ours; where ours was the reason the caller says so in its own words, in
 * a code that drivers do not retry.
 */
#include "postgres.h"

#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/timestamp.h"

#include "setting.h"
#include "wait.h"

/*
 * Waits until xid has ended.  False: max_ms have passed and it has not.  No
 * short lock may be held.
 */
bool
wait_for_transaction(TransactionId xid, int max_ms)
{
	int			own_timeout = LockTimeout;
	MemoryContext caller = CurrentMemoryContext;
	volatile bool timed_out = false;
	bool		ours = own_timeout <= 0 || max_ms < own_timeout;

	if (max_ms <= 0)
		return !TransactionIdIsInProgress(xid);
	PG_TRY();
	{
		if (ours)
			LockTimeout = max_ms;
		XactLockTableWait(xid, NULL, NULL, XLTW_None);
		LockTimeout = own_timeout;
	}
	PG_CATCH();
	{
		LockTimeout = own_timeout;
		if (!ours || geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();

		/*
		 * ProcessInterrupts has taken us out of the lock's queue before it
		 * threw; the caller throws in its turn, at once, so that nothing runs
		 * in a transaction that has survived an error.
		 */
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		timed_out = true;
	}
	PG_END_TRY();
	return !timed_out;
}

/* Who holds a transaction, in words. */
char *
wait_describe_holder(TransactionId xid)
{
	TransactionId top = TransactionIdIsInProgress(xid) ?
		SubTransGetTopmostTransaction(xid) : xid;
	int			pid = BackendXidGetPid(top);

	if (pid != 0)
		return psprintf("process %d", pid);
	return psprintf("prepared transaction %u (see pg_prepared_xacts)", top);
}

/* Waits for a transaction that is changing a row of ours, within max_wait. */
void
wait_or_refuse(TransactionId xid, const char *what)
{
	const CreditSettings *settings = credit_settings();
	int			max_ms = settings->max_wait_ms;

	if (!wait_for_transaction(xid, max_ms))
		ereport(ERROR,
				(errcode(settings->sqlstate),
				 errmsg("%s is being changed by %s, which has not ended within %d ms",
						what, wait_describe_holder(xid), max_ms),
				 errhint("End that transaction, then repeat the statement.")));
}

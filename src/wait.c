/*
 * wait.c
 *	  Waiting for another transaction, with an end.
 *
 * The wait is an ordinary wait for a transaction id: the deadlock detector
 * sees it, it wakes at once, a cancel or a statement timeout ends it.  Its end
 * is a lock timeout, set for this one wait to the smaller of the role's own
 * and ours; where ours was the reason the caller says so in its own words, in
 * a code that drivers do not retry.
 *
 * While it lasts it stands in shared memory (area.c) for view waits, and an
 * error context says who waits for whom: whatever ends the wait, the error of
 * PostgreSQL carries it.  Its words are made before the wait begins, while
 * catalogs can be read and the holder is still there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "area.h"
#include "credit.h"
#include "setting.h"
#include "stat.h"
#include "wait.h"

typedef struct WaitWords
{
	const char *name;			/* in view waits */
	const char *subject;		/* of who has none, with the name */
	const char *holder;			/* what the other transaction does */
} WaitWords;

static const WaitWords wait_words[] = {
	[WAIT_ROOM] = {"room under the limit", "%s", "holds the rest of the limit"},
	[WAIT_NEW_LIMIT] = {"a limit that is being changed", "%s", "is changing the limit"},
	[WAIT_DOCUMENT] = {"a document", "document %s", "is changing the same document"},
	[WAIT_LIMIT] = {"a limit", "the limit of customer %s", "is changing the same limit"},
	[WAIT_ACCOUNT] = {"an account", "the account of customer %s", "is creating the same account"},
	[WAIT_LOCK] = {"the short lock", "%s", "holds the short lock of the same account"},
	[WAIT_ROW] = {"a row that documents share", "%s", "reads or changes a row that documents share"},
};

/* When all waits have to be over; 0: each has an end of its own. */
static TimestampTz budget_until = 0;

/* A wait that goes on; each session has one at most. */
typedef struct WaitState
{
	const CreditWait *wait;
	instr_time	start;
	ErrorContextCallback context;
} WaitState;

static WaitSlot *shown_slot = NULL;

PG_FUNCTION_INFO_V1(credit_wait_rows);

/* --- who holds it --------------------------------------------------------- */

/* "process 1234 (role clerk, application ERP)" */
static char *
describe_process(int pid)
{
	PGPROC	   *proc = BackendPidGetProc(pid);
	char	   *role = proc ? GetUserNameFromId(proc->roleId, true) : NULL;
	char	   *application = NULL;
	StringInfoData buf;

	for (int i = 1; i <= pgstat_fetch_stat_numbackends() && !application; i++)
	{
		LocalPgBackendStatus *local = credit_backend_status(i);

		if (local != NULL && local->backendStatus.st_procpid == pid &&
			local->backendStatus.st_appname != NULL &&
			local->backendStatus.st_appname[0] != '\0')
			application = pstrdup(local->backendStatus.st_appname);
	}
	/* pg_stat_activity would show this moment until the transaction ends */
	pgstat_clear_backend_activity_snapshot();

	initStringInfo(&buf);
	appendStringInfo(&buf, "process %d", pid);
	if (role && application)
		appendStringInfo(&buf, " (role %s, application %s)", role, application);
	else if (role)
		appendStringInfo(&buf, " (role %s)", role);
	return buf.data;
}

/*
 * "prepared transaction "x" of role clerk".  The function behind view
 * pg_prepared_xacts is called as the executor would: the view itself may be
 * closed to the user, and SQL is not for the order path.
 */
static char *
describe_prepared(TransactionId xid)
{
	ExprContext *econtext = CreateStandaloneExprContext();
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo	flinfo;
	ReturnSetInfo rsinfo = {.type = T_ReturnSetInfo};
	char	   *words = NULL;

	fmgr_info(F_PG_PREPARED_XACT, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL, (Node *) &rsinfo);
	rsinfo.econtext = econtext;
	rsinfo.allowedModes = SFRM_ValuePerCall;
	rsinfo.returnMode = SFRM_ValuePerCall;
	for (;;)
	{
		Datum		row;
		HeapTupleHeader header;
		bool		isnull;

		fcinfo->isnull = false;
		row = FunctionCallInvoke(fcinfo);
		if (rsinfo.isDone != ExprMultipleResult)
			break;
		header = DatumGetHeapTupleHeader(row);
		if (DatumGetTransactionId(GetAttributeByNum(header, 1, &isnull)) == xid)
		{
			char	   *gid = TextDatumGetCString(GetAttributeByNum(header, 2, &isnull));
			char	   *owner = GetUserNameFromId(DatumGetObjectId(GetAttributeByNum(header, 4, &isnull)), true);

			words = psprintf("prepared transaction \"%s\" of role %s", gid,
							 owner ? owner : "that is gone");
		}
	}
	FreeExprContext(econtext, true);
	return words;
}

static TransactionId
topmost(TransactionId xid)
{
	return TransactionIdIsInProgress(xid) ?
		SubTransGetTopmostTransaction(xid) : xid;
}

/* Who holds a transaction, in words. */
char *
wait_describe_holder(TransactionId xid)
{
	TransactionId top = topmost(xid);
	int			pid = BackendXidGetPid(top);
	char	   *words;

	if (pid != 0)
		return describe_process(pid);
	words = describe_prepared(top);
	return words ? words : psprintf("transaction %u, which has just ended", top);
}

/* --- for others to see ---------------------------------------------------- */

static void
hide(void)
{
	if (shown_slot == NULL)
		return;
	SpinLockAcquire(&shown_slot->lock);
	shown_slot->is_shown = false;
	SpinLockRelease(&shown_slot->lock);
	pg_atomic_write_u32(&shown_slot->pid, 0);
	shown_slot = NULL;
}

/* A session that is terminated while it waits. */
static void
hide_before_exit(int code, Datum arg)
{
	hide();
}

static WaitSlot *
take_slot(CreditArea *area)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(hide_before_exit, (Datum) 0);
		registered = true;
	}
	for (int i = 0; i < WAIT_SLOTS; i++)
	{
		uint32		expected = 0;

		if (pg_atomic_compare_exchange_u32(&area->waits[i].pid, &expected, MyProcPid))
			return &area->waits[i];
	}
	return NULL;
}

static void
show(const CreditWait *wait, TransactionId xid, int max_ms)
{
	CreditArea *area = credit_area();
	TimestampTz now = GetCurrentTimestamp();

	hide();
	if (area == NULL || (shown_slot = take_slot(area)) == NULL)
		return;
	SpinLockAcquire(&shown_slot->lock);
	shown_slot->kind = wait->kind;
	shown_slot->database = MyDatabaseId;
	shown_slot->source_id = wait->source_id;
	shown_slot->xid = xid;
	shown_slot->since = wait->since ? wait->since : now;
	shown_slot->until = max_ms > 0 ? TimestampTzPlusMilliseconds(now, max_ms) : 0;
	area_name(shown_slot->customer, wait->customer);
	area_name(shown_slot->document, wait->document);
	shown_slot->is_shown = true;
	SpinLockRelease(&shown_slot->lock);
}

/* --- waiting -------------------------------------------------------------- */

static void
say_wait(void *arg)
{
	errcontext("%s", (const char *) arg);
}

static void
begin_wait(WaitState *state, const CreditWait *wait, TransactionId xid,
		   int max_ms, const char *holder)
{
	show(wait, xid, max_ms);
	state->wait = wait;
	state->context.callback = say_wait;
	state->context.arg = psprintf("while %s waited for %s, which %s", wait->subject,
								  holder, wait_words[wait->kind].holder);
	state->context.previous = error_context_stack;
	error_context_stack = &state->context;
	INSTR_TIME_SET_CURRENT(state->start);
}

/* However it ended.  Queueing for a short lock is work, not a wait. */
static void
end_wait(WaitState *state)
{
	instr_time	now;

	hide();
	if (state->wait->kind == WAIT_LOCK)
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, state->start);
	stat_wait(state->wait->source_id, INSTR_TIME_GET_MICROSEC(now));
}

void
wait_set_budget(int ms)
{
	budget_until = ms <= 0 ? 0 :
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

/* How much of max_ms there is left to wait. */
static int
cap_wait(int max_ms)
{
	if (budget_until == 0)
		return max_ms;
	return Min(max_ms, TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   budget_until));
}

/* xid goes on: fails if that is more than the budget had. */
static bool
give_up(TransactionId xid)
{
	if (budget_until != 0 && cap_wait(1) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("%s has not ended in time", wait_describe_holder(xid))));
	return false;
}

/*
 * A lock timeout can go off in the moment in which the lock is had.  It is only
 * heeded at the next chance, and what the next wait makes of it is a cancel that
 * the user is said to have asked for.
 */
static void
heed_late_timeout(void)
{
	CHECK_FOR_INTERRUPTS();
}

/*
 * Waits until xid has ended.  False: max_ms have passed and it has not.  No
 * short lock may be held.
 */
bool
wait_for_transaction(const CreditWait *wait, TransactionId xid, int max_ms)
{
	int			own_timeout = LockTimeout;
	MemoryContext caller = CurrentMemoryContext;
	volatile bool timed_out = false;
	const int	ms = cap_wait(max_ms);
	bool		ours = own_timeout <= 0 || ms < own_timeout;
	WaitState	state;

	if (ms <= 0)
		return !TransactionIdIsInProgress(xid) || give_up(xid);
	begin_wait(&state, wait, xid, ours ? ms : own_timeout,
			   wait_describe_holder(xid));
	PG_TRY();
	{
		if (ours)
			LockTimeout = ms;
		XactLockTableWait(xid, NULL, NULL, XLTW_None);
		heed_late_timeout();
		LockTimeout = own_timeout;
	}
	PG_CATCH();
	{
		LockTimeout = own_timeout;
		end_wait(&state);
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
	error_context_stack = state.context.previous;
	if (timed_out)
		return !TransactionIdIsInProgress(xid) || give_up(xid);
	end_wait(&state);
	return true;
}

/*
 * Waits for a transaction that is changing a row of ours, within max_wait.
 * name: of the document, or the customer.  Replicated rows wait as long as it
 * takes.
 */
void
wait_or_refuse(TransactionId xid, WaitKind kind, int32 source_id, const char *name)
{
	const CreditSettings *settings = credit_settings();
	int			max_ms = settings->max_wait_ms;
	const char *what = psprintf(wait_words[kind].subject, name);
	CreditWait	wait = {.kind = kind, .source_id = source_id};

	wait.subject = psprintf("a change of %s", what);
	if (kind == WAIT_DOCUMENT)
		wait.document = name;
	else
		wait.customer = name;
	if (credit_is_replica())
		max_ms = PG_INT32_MAX;
	if (wait_for_transaction(&wait, xid, max_ms))
		return;
	stat_refusal(source_id, STAT_REFUSED_WAIT);
	if (strncmp(what, "the ", 4) == 0)
		what += 4;
	ereport(ERROR,
			(errcode(settings->sqlstate),
			 errmsg("%s is being changed by %s, which has not ended within %d ms",
					what, wait_describe_holder(xid), max_ms),
			 errdetail("Waited %d ms (setting max_wait) for transaction %u, which %s.",
					   max_ms, xid, wait_words[kind].holder),
			 errhint("End that transaction, then repeat the statement.")));
}

/*
 * Waits for a transaction that has locked the item of a document which another
 * names, as long as it takes: those who deliver, invoice or settle are never
 * refused, and wait as they would for the row of the ERP.
 */
void
wait_for_document(TransactionId xid, int32 source_id, const char *key)
{
	CreditWait	wait = {.kind = WAIT_DOCUMENT, .source_id = source_id};

	wait.subject = psprintf("a change of %s",
							psprintf(wait_words[WAIT_DOCUMENT].subject, key));
	wait.document = key;
	while (!wait_for_transaction(&wait, xid, PG_INT32_MAX))
		CHECK_FOR_INTERRUPTS();
}

/* Queues for a lock that others hold; who, view waits can tell. */
void
wait_for_lock(LOCKTAG *tag, LOCKMODE mode, WaitKind kind)
{
	CreditWait	wait = {.kind = kind, .subject = "this statement"};
	WaitState	state;

	begin_wait(&state, &wait, InvalidTransactionId, LockTimeout,
			   "another session");
	PG_TRY();
	{
		(void) LockAcquire(tag, mode, false, false);
		heed_late_timeout();
	}
	PG_FINALLY();
	{
		end_wait(&state);
	}
	PG_END_TRY();
	error_context_stack = state.context.previous;
}

/* --- view waits ----------------------------------------------------------- */

static void
put_wait(ReturnSetInfo *rsinfo, int pid, const WaitSlot *slot)
{
	TransactionId top = TransactionIdIsValid(slot->xid) ?
		topmost(slot->xid) : InvalidTransactionId;
	int			holder = TransactionIdIsValid(top) ? BackendXidGetPid(top) : 0;
	Datum		values[10];
	bool		nulls[10] = {false};

	values[0] = Int32GetDatum(pid);
	values[1] = Int32GetDatum(slot->source_id);
	nulls[1] = slot->source_id == 0;
	values[2] = CStringGetTextDatum(wait_words[slot->kind].name);
	values[3] = CStringGetTextDatum(slot->customer);
	nulls[3] = slot->customer[0] == '\0';
	values[4] = CStringGetTextDatum(slot->document);
	nulls[4] = slot->document[0] == '\0';
	values[5] = TimestampTzGetDatum(slot->since);
	values[6] = TimestampTzGetDatum(slot->until);
	nulls[6] = slot->until == 0;
	values[7] = TransactionIdGetDatum(top);
	nulls[7] = !TransactionIdIsValid(top);
	values[8] = Int32GetDatum(holder);
	nulls[8] = holder == 0;
	values[9] = BoolGetDatum(slot->kind == WAIT_LOCK || slot->kind == WAIT_ROW);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* wait_rows(): who waits in this database */
Datum
credit_wait_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CreditArea *area = credit_area();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; area != NULL && i < WAIT_SLOTS; i++)
	{
		WaitSlot   *slot = &area->waits[i];
		uint32		pid = pg_atomic_read_u32(&slot->pid);
		WaitSlot	copy;

		if (pid == 0)
			continue;
		SpinLockAcquire(&slot->lock);
		memcpy(&copy, slot, sizeof(WaitSlot));
		SpinLockRelease(&slot->lock);
		if (copy.is_shown && copy.database == MyDatabaseId &&
			BackendPidGetProc(pid) != NULL)
			put_wait(rsinfo, pid, &copy);
	}
	return (Datum) 0;
}

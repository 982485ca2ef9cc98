/*
 * progress.c
 *	  How far a long command of ours is, for other sessions to see.
 *
 * One command at a time has a slot in shared memory (area.c).  Rows are counted
 * here and shown from time to time: a store to shared memory for each would
 * make the sessions that look slow down the one that works.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "area.h"
#include "credit.h"
#include "progress.h"

/* Rows between two looks at the slot. */
#define SHOW_EVERY 64

static ProgressSlot *slot = NULL;	/* ours, or NULL */
static SubTransactionId begun_subid = InvalidSubTransactionId;
static bool outlives_commit = false;
static int64 done;
static text *row_phase = NULL;	/* of progress_row, for one phase */

PG_FUNCTION_INFO_V1(credit_progress_begin);
PG_FUNCTION_INFO_V1(credit_progress_phase);
PG_FUNCTION_INFO_V1(credit_progress_row);
PG_FUNCTION_INFO_V1(credit_progress_end);
PG_FUNCTION_INFO_V1(credit_progress_rows);

static void
progress_before_exit(int code, Datum arg)
{
	progress_end();
}

static ProgressSlot *
take_slot(CreditArea *area)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(progress_before_exit, (Datum) 0);
		registered = true;
	}
	for (int i = 0; i < PROGRESS_SLOTS; i++)
	{
		uint32		expected = 0;

		if (pg_atomic_compare_exchange_u32(&area->progress[i].pid, &expected, MyProcPid))
			return &area->progress[i];
	}
	return NULL;
}

void
progress_begin(const char *command, const char *source)
{
	CreditArea *area = credit_area();

	progress_end();
	if (area == NULL || (slot = take_slot(area)) == NULL)
		return;
	begun_subid = GetCurrentSubTransactionId();
	done = 0;
	pg_atomic_write_u64(&slot->done, 0);
	SpinLockAcquire(&slot->lock);
	slot->database = MyDatabaseId;
	slot->since = slot->phase_since = GetCurrentTimestamp();
	slot->total = -1;
	strlcpy(slot->command, command, sizeof(slot->command));
	area_name(slot->source, source);
	area_name(slot->phase, "beginning");
	slot->is_shown = true;
	SpinLockRelease(&slot->lock);
}

void
progress_phase(const char *phase, int64 total)
{
	TimestampTz now = GetCurrentTimestamp();

	if (slot == NULL)
		return;
	done = 0;
	pg_atomic_write_u64(&slot->done, 0);
	SpinLockAcquire(&slot->lock);
	slot->phase_since = now;
	slot->total = total;
	area_name(slot->phase, phase);
	SpinLockRelease(&slot->lock);
}

void
progress_advance(int64 n)
{
	if (slot == NULL)
		return;
	done += n;
	if (n > 1 || done % SHOW_EVERY == 0)
		pg_atomic_write_u64(&slot->done, done);
}

void
progress_end(void)
{
	if (row_phase != NULL)
		pfree(row_phase);
	row_phase = NULL;
	begun_subid = InvalidSubTransactionId;
	outlives_commit = false;
	if (slot == NULL)
		return;
	SpinLockAcquire(&slot->lock);
	slot->is_shown = false;
	SpinLockRelease(&slot->lock);
	pg_atomic_write_u32(&slot->pid, 0);
	slot = NULL;
}

void
progress_outlives_commit(void)
{
	outlives_commit = slot != NULL;
	begun_subid = InvalidSubTransactionId;
}

static void
progress_xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && outlives_commit)
		return;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		progress_end();
}

static void
progress_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
						  SubTransactionId parentSubid, void *arg)
{
	if (begun_subid != mySubid)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		progress_end();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		begun_subid = parentSubid;
}

void
credit_progress_init(void)
{
	RegisterXactCallback(progress_xact_callback, NULL);
	RegisterSubXactCallback(progress_subxact_callback, NULL);
}

/* progress_begin(command, source) */
Datum
credit_progress_begin(PG_FUNCTION_ARGS)
{
	progress_begin(text_to_cstring(PG_GETARG_TEXT_PP(0)),
				   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/* progress_phase(phase, total): total NULL is not known */
Datum
credit_progress_phase(PG_FUNCTION_ARGS)
{
	progress_phase(PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0)),
				   PG_ARGISNULL(1) ? -1 : PG_GETARG_INT64(1));
	PG_RETURN_VOID();
}

/*
 * progress_row(value, phase, total): its first argument, and one row more in a
 * phase, which begins with its first row.  One statement can so go through
 * several phases.
 */
Datum
credit_progress_row(PG_FUNCTION_ARGS)
{
	text	   *phase;

	if (slot != NULL && !PG_ARGISNULL(1))
	{
		phase = PG_GETARG_TEXT_PP(1);
		if (row_phase == NULL ||
			VARSIZE_ANY_EXHDR(row_phase) != VARSIZE_ANY_EXHDR(phase) ||
			memcmp(VARDATA_ANY(row_phase), VARDATA_ANY(phase),
				   VARSIZE_ANY_EXHDR(phase)) != 0)
		{
			if (row_phase != NULL)
				pfree(row_phase);
			row_phase = (text *) MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY(phase));
			memcpy(row_phase, phase, VARSIZE_ANY(phase));
			progress_phase(text_to_cstring(phase),
						   PG_ARGISNULL(2) ? -1 : PG_GETARG_INT64(2));
		}
		progress_advance(1);
	}
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

Datum
credit_progress_end(PG_FUNCTION_ARGS)
{
	progress_end();
	PG_RETURN_VOID();
}

/* progress_rows(): the commands at work in this database */
Datum
credit_progress_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CreditArea *area = credit_area();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; area != NULL && i < PROGRESS_SLOTS; i++)
	{
		ProgressSlot *other = &area->progress[i];
		uint32		pid = pg_atomic_read_u32(&other->pid);
		ProgressSlot copy;
		Datum		values[8];
		bool		nulls[8] = {false};

		if (pid == 0)
			continue;
		SpinLockAcquire(&other->lock);
		memcpy(&copy, other, sizeof(ProgressSlot));
		SpinLockRelease(&other->lock);
		if (!copy.is_shown || copy.database != MyDatabaseId ||
			BackendPidGetProc(pid) == NULL)
			continue;
		values[0] = Int32GetDatum(pid);
		values[1] = CStringGetTextDatum(copy.command);
		values[2] = CStringGetTextDatum(copy.source);
		values[3] = CStringGetTextDatum(copy.phase);
		values[4] = Int64GetDatum(other == slot ? done :
								  (int64) pg_atomic_read_u64(&other->done));
		values[5] = Int64GetDatum(copy.total);
		nulls[5] = copy.total < 0;
		values[6] = TimestampTzGetDatum(copy.since);
		values[7] = TimestampTzGetDatum(copy.phase_since);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * maintenance.c
 *	  The purge of what is older than somebody wants to keep.
 *
 * Nothing has to be purged: a check does not get slower with history.  Who
 * wants the space back calls purge(), which deletes in batches and commits
 * each, while orders arrive.
 *
 * Journal.  Let C be the last row of a chain that a snapshot sees.  Rows below
 *
 *		min(C.seq, C.first_seq, every first_seq that C.open names)
 *
 * are read by nobody any more who could see that they are gone:
 *
 *	- A writer starts at the last live row L, which is C or lies above it, and
 *	  looks at the rows L names.  L was written after C with C alive, so that
 *	  what L names are rows that C named, C itself, or rows above C, or an
 *	  earlier row of one of those transactions where a savepoint was rolled
 *	  back: never below its first_seq.
 *	- A reader with a snapshot in which the deletion has happened sees C, which
 *	  was committed before it, and so a last row L as above.  That holds on a
 *	  standby and after a crash, too: C's commit lies in the WAL before ours.
 *	- A reader with an older snapshot still sees the rows.
 *
 * C itself stays, so that a chain never ends up empty and no seq is used
 * twice.  No lock on the account is needed: nothing a writer does now can make
 * somebody need those rows again, and no writer touches them.  Two purges pass
 * over what the other is just deleting.
 *
 * Of each chain only rows before the first one that is young enough go, so
 * that what is left has no holes.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "credit.h"
#include "ledger.h"
#include "progress.h"
#include "sabotage.h"
#include "setting.h"

/* A batch ends after this time, however few rows it has found. */
#define BATCH_MS 1000
/* Batches from one line of a verbose purge to the next. */
#define REPORT_BATCHES 10

/* What is purged, and by what it is found: the owner, then the age. */
typedef struct PurgeTable
{
	const char *name;
	LedgerTable id;
	const char *index;			/* on (owner, time); NULL: the journal */
	int			owner;
	int			time;
	bool		by_source;		/* the owner is a source, not an account */
} PurgeTable;

static const PurgeTable purge_tables[] = {
	{"journal", LEDGER_JOURNAL, NULL, JOURNAL_ACCOUNT_ID, JOURNAL_POSTED_AT, false},
	{"item_version", LEDGER_ITEM_VERSION, "item_version_account",
	ITEM_ACCOUNT_ID, VERSION_SUPERSEDED_AT, false},
	{"decision_log", LEDGER_DECISION, "decision_log_account",
	DECISION_ACCOUNT_ID, DECISION_DECIDED_AT, false},
	{"source_problem", LEDGER_SOURCE_PROBLEM, "source_problem_source",
	PROBLEM_SOURCE_ID, PROBLEM_SEEN_AT, true},
	{"limit_change", LEDGER_LIMIT_CHANGE, "limit_change_account",
	LCHANGE_ACCOUNT_ID, LCHANGE_CHANGED_AT, false},
};

#define N_PURGE_TABLES ((int) lengthof(purge_tables))
StaticAssertDecl(lengthof(purge_tables) == KEEP_COUNT,
				 "each table that can be purged has its setting");

/* One table on its way; the position outlives the batches. */
typedef struct Purge
{
	const PurgeTable *table;
	TimestampTz before;			/* older rows go */
	bool		dry_run;
	int			batch_rows;		/* 0: no batches */

	/* position: the owner in work, and where in its rows */
	int64		owner;
	int			chains_done;
	int64		from;			/* seq, or a moment */

	int64		rows;
	int64		bytes;
	int			batches;

	/* of the present batch */
	Snapshot	snapshot;
	LedgerRel  *ledger;
	int64		rows_left;
	int64		looks;
	TimestampTz deadline;
} Purge;

/* The end of a chain, as far as it is committed. */
typedef struct ChainEnd
{
	int16		scope;
	char	   *currency;
	int64		threshold;		/* rows below it are needed by nobody */
} ChainEnd;

PG_FUNCTION_INFO_V1(credit_purge);
PG_FUNCTION_INFO_V1(credit_purge_estimate);

static bool
batch_is_full(Purge *purge)
{
	CHECK_FOR_INTERRUPTS();
	return purge->batch_rows > 0 &&
		(purge->rows_left <= 0 ||
		 (++purge->looks % 64 == 0 &&
		  GetCurrentTimestamp() >= purge->deadline));
}

/* Deletes or counts one row.  What another purge is deleting is left to it. */
static void
purge_row(Purge *purge, HeapTuple tuple)
{
	TM_FailureData failure;

	if (!purge->dry_run &&
		table_tuple_delete(purge->ledger->rel, &tuple->t_self,
						   GetCurrentCommandId(true), purge->snapshot,
						   InvalidSnapshot, false, &failure, false) != TM_Ok)
		return;
	purge->rows++;
	purge->rows_left--;
	purge->bytes += MAXALIGN(tuple->t_len) + sizeof(ItemIdData);
}

/* The smallest seq that the last committed row of a chain may lead anybody to. */
static int64
threshold_of(const Datum *values)
{
	int64		threshold = Min(DatumGetInt64(values[JOURNAL_SEQ]),
								DatumGetInt64(values[JOURNAL_FIRST_SEQ]));
	ArrayType  *open = DatumGetArrayTypeP(values[JOURNAL_OPEN]);
	Datum	   *named;
	bool	   *named_nulls;
	int			n;

	if (ARR_NDIM(open) == 0 || SABOTAGED(PURGE))
		return threshold;
	deconstruct_array(open, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &named, &named_nulls, &n);
	for (int i = 1; i < n; i += 2)
		threshold = Min(threshold, DatumGetInt64(named[i]));
	return threshold;
}

/*
 * The last chain of the account in work; where end holds one, the last one
 * before it, of the same scope or of a smaller one.
 */
static bool
find_chain(Purge *purge, ChainEnd *end, bool same_scope)
{
	LedgerRel  *journal = purge->ledger;
	ScanKeyData keys[3];
	int			n = 0;
	LedgerScan	scan;
	HeapTuple	tuple;

	ledger_key(journal, &keys[n++], JOURNAL_ACCOUNT_ID, BTEqualStrategyNumber,
			   F_INT8EQ, Int64GetDatum(purge->owner));
	if (end->currency != NULL)
		ledger_key(journal, &keys[n++], JOURNAL_SCOPE,
				   same_scope ? BTEqualStrategyNumber : BTLessStrategyNumber,
				   same_scope ? F_INT2EQ : F_INT2LT, Int16GetDatum(end->scope));
	if (end->currency != NULL && same_scope)
		ledger_key(journal, &keys[n++], JOURNAL_CURRENCY, BTLessStrategyNumber,
				   F_TEXT_LT, CStringGetTextDatum(end->currency));
	ledger_scan(&scan, journal, NULL, purge->snapshot, keys, n);
	tuple = ledger_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(journal, tuple, values, nulls);
		end->scope = DatumGetInt16(values[JOURNAL_SCOPE]);
		end->currency = TextDatumGetCString(values[JOURNAL_CURRENCY]);
		end->threshold = threshold_of(values);
	}
	ledger_scan_end(&scan);
	return HeapTupleIsValid(tuple);
}

/* The next chain of the account in work, from the last one to the first. */
static bool
next_chain(Purge *purge, ChainEnd *end)
{
	return find_chain(purge, end, true) ||
		(end->currency != NULL && find_chain(purge, end, false));
}

/* Old rows of one chain below its threshold; false: the batch is full. */
static bool
purge_chain(Purge *purge, const ChainEnd *end)
{
	LedgerRel  *journal = purge->ledger;
	ScanKeyData keys[5];
	LedgerScan	scan;
	HeapTuple	tuple;
	bool		done = true;

	ledger_key(journal, &keys[0], JOURNAL_ACCOUNT_ID, BTEqualStrategyNumber,
			   F_INT8EQ, Int64GetDatum(purge->owner));
	ledger_key(journal, &keys[1], JOURNAL_SCOPE, BTEqualStrategyNumber,
			   F_INT2EQ, Int16GetDatum(end->scope));
	ledger_key(journal, &keys[2], JOURNAL_CURRENCY, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(end->currency));
	ledger_key(journal, &keys[3], JOURNAL_SEQ, BTGreaterEqualStrategyNumber,
			   F_INT8GE, Int64GetDatum(purge->from));
	ledger_key(journal, &keys[4], JOURNAL_SEQ, BTLessStrategyNumber,
			   F_INT8LT, Int64GetDatum(end->threshold));
	ledger_scan(&scan, journal, NULL, purge->snapshot, keys, 5);
	while (done &&
		   HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(journal, tuple, values, nulls);
		if (DatumGetTimestampTz(values[JOURNAL_POSTED_AT]) >= purge->before)
			break;
		purge_row(purge, tuple);
		purge->from = DatumGetInt64(values[JOURNAL_SEQ]) + 1;
		done = !batch_is_full(purge);
	}
	ledger_scan_end(&scan);
	return done;
}

/* Every chain of one account; false: the batch is full. */
static bool
purge_journal(Purge *purge)
{
	ChainEnd	end = {0};

	for (int i = 0; next_chain(purge, &end); i++)
	{
		if (i < purge->chains_done)
			continue;
		if (!purge_chain(purge, &end))
			return false;
		purge->chains_done++;
		purge->from = 0;
	}
	return true;
}

/* The key of the owner in work; a scan spoils it. */
static void
owner_key(Purge *purge, ScanKey key)
{
	bool		by_source = purge->table->by_source;

	ledger_key(purge->ledger, key, purge->table->owner, BTEqualStrategyNumber,
			   by_source ? F_INT4EQ : F_INT8EQ,
			   by_source ? Int32GetDatum((int32) purge->owner) :
			   Int64GetDatum(purge->owner));
}

/* When the newest row of the owner in work was written. */
static TimestampTz
newest_time(Purge *purge)
{
	ScanKeyData key;
	LedgerScan	scan;
	HeapTuple	tuple;
	TimestampTz newest = DT_NOBEGIN;

	owner_key(purge, &key);
	ledger_scan(&scan, purge->ledger, purge->table->index, purge->snapshot, &key, 1);
	tuple = ledger_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(purge->ledger, tuple, values, nulls);
		newest = DatumGetTimestampTz(values[purge->table->time]);
	}
	ledger_scan_end(&scan);
	return newest;
}

/*
 * Old rows of one owner in the other tables; false: the batch is full.  The
 * newest problem of a source stays, because it makes the source unverified.
 */
static bool
purge_by_age(Purge *purge)
{
	const PurgeTable *table = purge->table;
	TimestampTz before = table->by_source ?
		Min(purge->before, newest_time(purge)) : purge->before;
	ScanKeyData keys[3];
	LedgerScan	scan;
	HeapTuple	tuple;
	bool		done = true;

	owner_key(purge, &keys[0]);
	ledger_key(purge->ledger, &keys[1], table->time, BTLessStrategyNumber,
			   F_TIMESTAMPTZ_LT, TimestampTzGetDatum(before));
	ledger_key(purge->ledger, &keys[2], table->time, BTGreaterEqualStrategyNumber,
			   F_TIMESTAMPTZ_GE, TimestampTzGetDatum(purge->from));
	ledger_scan(&scan, purge->ledger, table->index, purge->snapshot, keys, 3);
	while (done &&
		   HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(purge->ledger, tuple, values, nulls);
		purge_row(purge, tuple);
		purge->from = DatumGetTimestampTz(values[table->time]);
		done = !batch_is_full(purge);
	}
	ledger_scan_end(&scan);
	return done;
}

/* Where the rows of an owner begin. */
static int64
begin_of_rows(const PurgeTable *table)
{
	return table->id == LEDGER_JOURNAL ? 0 : DT_NOBEGIN;
}

/* Goes to an owner, unless it is the one that the last batch stopped at. */
static void
enter_owner(Purge *purge, int64 owner)
{
	if (owner == purge->owner)
		return;
	purge->owner = owner;
	purge->chains_done = 0;
	purge->from = begin_of_rows(purge->table);
}

/* Accounts or sources in order of their number, from the position on. */
static void
scan_owners(Purge *purge, LedgerRel *owners, LedgerScan *scan)
{
	ScanKeyData key;

	if (purge->table->by_source)
		ledger_key(owners, &key, SOURCE_ID, BTGreaterEqualStrategyNumber,
				   F_INT4GE, Int32GetDatum((int32) purge->owner));
	else
		ledger_key(owners, &key, ACCOUNT_ID, BTGreaterEqualStrategyNumber,
				   F_INT8GE, Int64GetDatum(purge->owner));
	ledger_scan(scan, owners, NULL, purge->snapshot, &key, 1);
}

/* One batch under the active snapshot; false: that was the last one. */
static bool
purge_batch(Purge *purge)
{
	LedgerRel  *owners = ledger_open(purge->table->by_source ?
									 LEDGER_SOURCE : LEDGER_ACCOUNT,
									 AccessShareLock);
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "credit purge",
											  ALLOCSET_DEFAULT_SIZES);
	LedgerScan	scan;
	HeapTuple	tuple;
	bool		done = true;

	purge->snapshot = GetActiveSnapshot();
	purge->ledger = ledger_open(purge->table->id, purge->dry_run ?
								AccessShareLock : RowExclusiveLock);
	purge->rows_left = purge->batch_rows;
	purge->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BATCH_MS);
	scan_owners(purge, owners, &scan);
	while (done &&
		   HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(owners, tuple, values, nulls);
		enter_owner(purge, purge->table->by_source ?
					(int64) DatumGetInt32(values[SOURCE_ID]) :
					DatumGetInt64(values[ACCOUNT_ID]));
		done = purge->table->id == LEDGER_JOURNAL ?
			purge_journal(purge) : purge_by_age(purge);
		if (done && batch_is_full(purge))
		{
			/* this owner is done: the next batch begins behind it */
			enter_owner(purge, purge->owner + 1);
			done = false;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(cxt);
	}
	ledger_scan_end(&scan);
	ledger_close(purge->ledger);
	ledger_close(owners);
	MemoryContextDelete(cxt);
	purge->batches++;
	return !done;
}

/*
 * From which moment on rows are kept: by the argument, else by the setting
 * (minutes; 0: for ever).  False: nothing goes.
 */
static bool
keep_from(FunctionCallInfo fcinfo, int arg, TimestampTz now, TimestampTz *before)
{
	const CreditSettings *settings = credit_settings();
	int			minutes = settings->keep_minutes[arg];
	Interval   *keep;

	if (PG_ARGISNULL(arg))
	{
		*before = now - (TimestampTz) minutes * USECS_PER_MINUTE;
		return minutes > 0;
	}
	keep = PG_GETARG_INTERVAL_P(arg);
	*before = DatumGetTimestampTz
		(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(now),
							 IntervalPGetDatum(keep)));
	if (*before > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time to keep rows of \"credit.%s\" must not be negative",
						purge_tables[arg].name)));
	return true;
}

static void
begin_purge(Purge *purge, int i, TimestampTz before, bool dry_run, int batch_rows)
{
	memset(purge, 0, sizeof(Purge));
	purge->table = &purge_tables[i];
	purge->before = before;
	purge->dry_run = dry_run;
	purge->batch_rows = batch_rows;
	purge->from = begin_of_rows(purge->table);
}

/* Called after each batch, when it is committed. */
static void
report_progress(const Purge *purge, bool verbose, bool done)
{
	if (!verbose || (!done && purge->batches % REPORT_BATCHES != 0))
		return;
	if (done)
		ereport(NOTICE,
				(errmsg("credit.%s: " INT64_FORMAT " rows purged",
						purge->table->name, purge->rows)));
	else
		ereport(NOTICE,
				(errmsg("credit.%s: " INT64_FORMAT
						" rows purged so far, at %s " INT64_FORMAT,
						purge->table->name, purge->rows,
						purge->table->by_source ? "source" : "account",
						purge->owner)));
}

/*
 * Commits, and begins the next transaction so that each batch has a snapshot
 * of its own, whatever default_transaction_isolation says.
 */
static void
next_transaction(void)
{
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
}

static void
purge_table(Purge *purge, double pause, bool verbose)
{
	bool		more;

	progress_phase(psprintf("deleting from credit.%s", purge->table->name), -1);
	do
	{
		int64		before = purge->rows;

		PushActiveSnapshot(GetTransactionSnapshot());
		more = purge_batch(purge);
		PopActiveSnapshot();
		next_transaction();
		progress_advance(purge->rows - before);
		report_progress(purge, verbose, !more);
		if (more && pause > 0)
			(void) DirectFunctionCall1(pg_sleep, Float8GetDatum(pause));
	} while (more);
}

/* Refuses to run where it could not commit. */
static void
require_own_transaction(FunctionCallInfo fcinfo)
{
	CallContext *context = (CallContext *) fcinfo->context;

	if (context == NULL || !IsA(context, CallContext) || context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("credit.purge() cannot run inside a transaction block or a function"),
				 errdetail("It commits each batch, so that nobody has to wait for it."),
				 errhint("Run CALL credit.purge(...) by itself; credit.purge_estimate() shows what it would do.")));
}

/*
 * purge(keep, keep_versions, keep_decisions, keep_problems, keep_limits,
 * batch_rows, pause, verbose): each table in its turn.
 */
Datum
credit_purge(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz before[N_PURGE_TABLES];
	bool		goes[N_PURGE_TABLES];
	int			batch_rows = PG_ARGISNULL(5) ? 10000 : PG_GETARG_INT32(5);
	double		pause = 0;
	bool		verbose = !PG_ARGISNULL(7) && PG_GETARG_BOOL(7);

	require_own_transaction(fcinfo);
	PreventCommandIfReadOnly("credit.purge()");
	if (batch_rows < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch_rows must be at least 1")));
	for (int i = 0; i < N_PURGE_TABLES; i++)
		goes[i] = keep_from(fcinfo, i, now, &before[i]);
	if (!PG_ARGISNULL(6))
	{
		Interval   *span = PG_GETARG_INTERVAL_P(6);

		pause = span->time / (double) USECS_PER_SEC +
			(span->day + span->month * 30.0) * SECS_PER_DAY;
	}

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	next_transaction();
	progress_begin("purge", NULL);
	progress_outlives_commit();
	for (int i = 0; i < N_PURGE_TABLES; i++)
	{
		Purge		purge;

		if (!goes[i])
			continue;
		begin_purge(&purge, i, before[i], false, batch_rows);
		purge_table(&purge, pause, verbose);
	}
	progress_end();
	SPI_finish();
	PG_RETURN_VOID();
}

/* purge_estimate(keep, ...): what purge() would delete now. */
Datum
credit_purge_estimate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < N_PURGE_TABLES; i++)
	{
		TimestampTz before;
		Datum		values[4];
		bool		nulls[4] = {false};
		Purge		purge;

		memset(&purge, 0, sizeof(purge));
		nulls[1] = !keep_from(fcinfo, i, now, &before);
		if (!nulls[1])
		{
			begin_purge(&purge, i, before, true, 0);
			(void) purge_batch(&purge);
		}
		values[0] = CStringGetTextDatum(purge_tables[i].name);
		values[1] = TimestampTzGetDatum(before);
		values[2] = Int64GetDatum(purge.rows);
		values[3] = Int64GetDatum(purge.bytes);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

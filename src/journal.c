/*
 * journal.c
 *	  The append-only journal of exposure and the short lock that guards it.
 *
 * Every change of an account's exposure is one row of a chain (account, scope,
 * currency), numbered by seq.  Rows are only ever inserted.  A row carries
 *
 *	 delta		the change itself
 *	 xsum		sum of the changes of its transaction in this chain so far
 *	 psum		sum of everything before it that was seen committed
 *	 open		rows of other transactions that were unresolved then
 *	 first_seq	the first row of its transaction in this chain
 *	 peak		the largest total that a rollback to a savepoint can bring back
 *	 is_only_chain	the account has no chain in another currency
 *
 * so that exposure is one row plus the few that it names, however long the
 * history is and whatever other transactions are open.
 *
 * Writers hold the short lock of the account from reading the end of the chain
 * to inserting the next row, and no longer: not to commit.  While they hold it
 * the rows are fixed and only their status can move, from in progress to
 * committed or aborted.  So each row is read dirty and judged once: what is in
 * progress elsewhere counts if it raises exposure, what is committed counts as
 * it is, what is aborted is not there.  A check that passes holds whatever the
 * others do afterwards, at every isolation level, without a row lock and
 * without a serialization failure.
 *
 * Savepoints.  xsum runs over the whole transaction, not over one
 * subtransaction.  That is right because a rollback always takes a suffix of a
 * transaction's rows: whatever removes a row also removes every row the same
 * transaction wrote after it.  So the newest live row of a transaction says
 * all about it, its rows need no list of each other, and a savepoint per row
 * costs nothing extra.  Two things follow.  (1) A reader that finds the row it
 * was told to look at gone looks for the newest live row of the same
 * transaction before it: rows with the same first_seq.  seq is never reused
 * below a live row, so that first_seq cannot be mistaken.  (2) A rollback can
 * bring back a larger sum; others must count the largest one: peak.
 *
 * Readers with an MVCC snapshot take the last visible row L: its psum, its
 * xsum, and the xsum of the visible rows that L names.  What L saw committed
 * was committed before L, hence visible with L.
 *
 * Crash and asynchronous commit: a row whose psum includes X lies in the WAL
 * behind the commit of X and cannot survive it.
 *
 * Several currencies.  A check adds up all chains of an account, and nearly
 * always there is one.  Its last row says so, which saves looking for others.
 * Whoever begins a second chain first takes the word back: it appends a row
 * of zero to the chain that believes to be alone.
 *
 * Lock order: the short lock is held for one account at a time; nothing is
 * waited for, and no code of users runs, while it is held.  Before it: relations
 * open, transaction id assigned, keys built.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "credit.h"
#include "journal.h"
#include "sabotage.h"

/* A class of advisory locks that no SQL function uses (they use 1 and 2). */
#define LOCK_CLASS_ACCOUNT 0xC4ED
#define LOCK_CLASS_NAME 0xC4EE

/* Attempts before queueing, and the pause between them in microseconds. */
#define LOCK_ATTEMPTS 50
#define LOCK_PAUSE 20

typedef enum RowStatus
{
	ROW_COMMITTED,
	ROW_OWN,
	ROW_OTHER					/* in progress elsewhere */
} RowStatus;

typedef struct JournalRow
{
	int64		seq;
	int64		first_seq;
	char	   *currency;
	CreditVector xsum;
	CreditVector psum;
	Numeric		peak;
	bool		is_only_chain;
	int			nopen;
	Datum	   *open;
	RowStatus	status;
	TransactionId xid;			/* raw, of ROW_OWN and ROW_OTHER */
} JournalRow;

/*
 * Where the end of a chain is at least.  A row that was seen committed is
 * there for good (a purge keeps the last one of a chain), so that a search for
 * the end need not look below it; without that, btree would collect every row
 * of the chain on the last page before it gave the first.
 */
#define MEMO_CURRENCY_SIZE 16
#define MEMO_MAX_ENTRIES 20000

typedef struct ChainMemo
{
	struct
	{
		int64		account_id;
		int64		scope;
	}			key;			/* hash key, must be first */
	char		currency[MEMO_CURRENCY_SIZE];	/* chain looked at last */
	int64		seq;			/* of a committed row */
} ChainMemo;

static HTAB *memos = NULL;
static Oid	memo_relid = InvalidOid;
static bool memos_are_valid = false;

/* Rows before the last one that are looked through for named ones. */
#define WALK_ROWS 64

PG_FUNCTION_INFO_V1(credit_balance);
PG_FUNCTION_INFO_V1(credit_adjust);

/*
 * Takes the lock with short pauses before it queues: a plain queueing lock
 * makes convoys, because the holder is done long before the next sleeper wakes.
 */
static void
acquire(LOCKTAG *tag)
{
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		if (LockAcquire(tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
			return;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(LOCK_PAUSE + (i % 4) * LOCK_PAUSE);
	}
	(void) LockAcquire(tag, ExclusiveLock, false, false);
}

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

void
journal_lock(int64 account_id)
{
	LOCKTAG		tag;

	if (SABOTAGED(LOCK))
		return;
	account_tag(&tag, account_id);
	acquire(&tag);
}

void
journal_unlock(int64 account_id)
{
	LOCKTAG		tag;

	if (SABOTAGED(LOCK))
		return;
	account_tag(&tag, account_id);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/* The lock under which accounts are created and renamed. */
void
journal_lock_name(const char *customer, const char *segment)
{
	LOCKTAG		tag;

	name_tag(&tag, customer, segment);
	acquire(&tag);
}

void
journal_unlock_name(const char *customer, const char *segment)
{
	LOCKTAG		tag;

	name_tag(&tag, customer, segment);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/* Only marks. */
void
credit_journal_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == memo_relid)
		memos_are_valid = false;
}

static ChainMemo *
memo_find(Oid relid, int64 account_id, int16 scope, HASHACTION action)
{
	struct
	{
		int64		account_id;
		int64		scope;
	}			key;

	if (action == HASH_FIND && (!memos_are_valid || relid != memo_relid))
		return NULL;
	key.account_id = account_id;
	key.scope = scope;
	return hash_search(memos, &key, action, NULL);
}

/* Remembers a committed row of a chain. */
static void
memo_put(Oid relid, int64 account_id, int16 scope, const char *currency, int64 seq)
{
	ChainMemo  *memo;

	if (strlen(currency) >= MEMO_CURRENCY_SIZE)
		return;
	if (memos != NULL && (!memos_are_valid || relid != memo_relid ||
						  hash_get_num_entries(memos) >= MEMO_MAX_ENTRIES))
	{
		hash_destroy(memos);
		memos = NULL;
	}
	if (memos == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(((ChainMemo *) NULL)->key);
		ctl.entrysize = sizeof(ChainMemo);
		memos = hash_create("credit chains", 256, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	memo_relid = relid;
	memos_are_valid = true;
	memo = memo_find(relid, account_id, scope, HASH_ENTER);
	strlcpy(memo->currency, currency, MEMO_CURRENCY_SIZE);
	memo->seq = seq;
}

/* Copies what is needed of a row; the tuple may go away. */
static void
load_row(LedgerScan *scan, HeapTuple tuple, bool dirty, JournalRow *row)
{
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
	ArrayType  *open;

	row->xid = InvalidTransactionId;
	row->status = ROW_COMMITTED;
	if (dirty && ledger_tuple_is_own(tuple))
	{
		row->status = ROW_OWN;
		row->xid = HeapTupleHeaderGetXmin(tuple->t_data);
	}
	else if (dirty && TransactionIdIsValid(scan->dirty.xmin))
	{
		row->status = ROW_OTHER;
		row->xid = scan->dirty.xmin;
	}

	ledger_deform(scan->ledger, tuple, values, nulls);
	row->seq = DatumGetInt64(values[JOURNAL_SEQ]);
	row->first_seq = DatumGetInt64(values[JOURNAL_FIRST_SEQ]);
	row->currency = TextDatumGetCString(values[JOURNAL_CURRENCY]);
	vector_from_datum(&row->xsum, values[JOURNAL_XSUM]);
	vector_from_datum(&row->psum, values[JOURNAL_PSUM]);
	row->peak = DatumGetNumericCopy(values[JOURNAL_PEAK]);
	row->is_only_chain = DatumGetBool(values[JOURNAL_IS_ONLY_CHAIN]);
	open = DatumGetArrayTypePCopy(values[JOURNAL_OPEN]);
	row->nopen = 0;
	row->open = NULL;
	if (ARR_NDIM(open) > 0)
	{
		bool	   *open_nulls;

		deconstruct_array(open, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
						  &row->open, &open_nulls, &row->nopen);
	}
}

/* Scan keys for one chain, or for all of an account where currency is NULL. */
static int
chain_keys(LedgerRel *journal, ScanKey keys, int64 account_id, int16 scope,
		   const char *currency)
{
	ledger_key(journal, &keys[0], JOURNAL_ACCOUNT_ID, BTEqualStrategyNumber,
			   F_INT8EQ, Int64GetDatum(account_id));
	ledger_key(journal, &keys[1], JOURNAL_SCOPE, BTEqualStrategyNumber,
			   F_INT2EQ, Int16GetDatum(scope));
	if (currency == NULL)
		return 2;
	ledger_key(journal, &keys[2], JOURNAL_CURRENCY, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(currency));
	return 3;
}

/*
 * Last row of a chain, not below from.  currency NULL: of the chain with the
 * largest currency, or with the largest one below `below`.
 */
static bool
last_row(LedgerRel *journal, Snapshot snapshot, int64 account_id, int16 scope,
		 const char *currency, int64 from, const char *below, JournalRow *row)
{
	ScanKeyData keys[4];
	int			nkeys;
	LedgerScan	scan;
	HeapTuple	tuple;

	nkeys = chain_keys(journal, keys, account_id, scope, currency);
	if (from > 0)
		ledger_key(journal, &keys[nkeys++], JOURNAL_SEQ,
				   BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
	if (below != NULL)
		ledger_key(journal, &keys[nkeys++], JOURNAL_CURRENCY,
				   BTLessStrategyNumber, F_TEXT_LT, CStringGetTextDatum(below));

	ledger_scan(&scan, journal, NULL, snapshot, keys, nkeys);
	tuple = ledger_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
		load_row(&scan, tuple, snapshot == NULL, row);
	ledger_scan_end(&scan);
	return HeapTupleIsValid(tuple);
}

/*
 * The newest live row, up to seq, of the transaction whose first row in the
 * chain was first_seq.  Nearly always the row seq itself; an earlier one where
 * a rollback to a savepoint took it; none where the transaction is gone.
 */
static bool
named_row(LedgerRel *journal, Snapshot snapshot, int64 account_id, int16 scope,
		  const char *currency, int64 seq, int64 first_seq, JournalRow *row)
{
	ScanKeyData keys[5];
	int			nkeys;
	LedgerScan	scan;
	HeapTuple	tuple;
	bool		found = false;

	nkeys = chain_keys(journal, keys, account_id, scope, currency);
	ledger_key(journal, &keys[nkeys++], JOURNAL_SEQ, BTLessEqualStrategyNumber,
			   F_INT8LE, Int64GetDatum(seq));
	ledger_key(journal, &keys[nkeys++], JOURNAL_SEQ, BTGreaterEqualStrategyNumber,
			   F_INT8GE, Int64GetDatum(first_seq));
	ledger_scan(&scan, journal, NULL, snapshot, keys, nkeys);
	while (!found &&
		   HeapTupleIsValid(tuple = ledger_next(&scan, BackwardScanDirection)))
	{
		load_row(&scan, tuple, snapshot == NULL, row);
		found = row->first_seq == first_seq;
		if (SABOTAGED(STEP_BACK) && row->seq != seq)
		{
			found = false;
			break;
		}
	}
	ledger_scan_end(&scan);
	return found;
}

/* The largest total a row's transaction can end with. */
static Numeric
row_reach(const JournalRow *row)
{
	if (SABOTAGED(PEAK))
		return credit_max(credit_zero(), vector_total(&row->xsum));
	return credit_max(row->peak, vector_total(&row->xsum));
}

/* Takes one row, the last or a named one, into the state of its chain. */
static void
judge_row(ChainState *chain, const JournalRow *row)
{
	switch (row->status)
	{
		case ROW_COMMITTED:
			vector_add(&chain->committed, &row->xsum);
			chain->committed_seq = Max(chain->committed_seq, row->seq);
			break;
		case ROW_OWN:

			/*
			 * Rows of one subtransaction vanish together, so only a change of
			 * subtransaction makes the sum so far something to come back to.
			 */
			chain->has_own = true;
			chain->own = row->xsum;
			chain->own_first = row->first_seq;
			chain->own_peak = TransactionIdEquals(row->xid, GetCurrentTransactionId()) ?
				row->peak : row_reach(row);
			break;
		case ROW_OTHER:
			if (SABOTAGED(NETTING))
				chain->others = credit_add(chain->others, vector_total(&row->xsum));
			else if (!SABOTAGED(OTHERS))
				chain->others = credit_add(chain->others, row_reach(row));
			chain->other_xid = row->xid;
			chain->open[chain->nopen++] = Int64GetDatum(row->seq);
			chain->open[chain->nopen++] = Int64GetDatum(row->first_seq);
			break;
	}
}

/* Takes a row that was named, as seq or a later row of its transaction. */
static void
judge_named_row(ChainState *chain, const JournalRow *row, int64 seq)
{
	if (SABOTAGED(OPEN) ||
		(SABOTAGED(STEP_BACK) && row->seq != seq) ||
		(SABOTAGED(SETTLED) && row->status == ROW_COMMITTED))
		return;
	judge_row(chain, row);
}

/*
 * Judges named rows that stand shortly before the last one, as they nearly
 * always do: one scan instead of one for each.
 */
static void
walk_named_rows(LedgerRel *journal, int64 account_id, int16 scope,
				const JournalRow *last, ChainState *chain, bool *judged)
{
	ScanKeyData keys[5];
	int			nkeys;
	LedgerScan	scan;
	HeapTuple	tuple;
	int64		from = last->seq;

	for (int i = 0; i + 1 < last->nopen; i += 2)
		if (DatumGetInt64(last->open[i]) >= last->seq - WALK_ROWS)
			from = Min(from, DatumGetInt64(last->open[i]));
	if (from == last->seq)
		return;					/* all of them are far away */
	nkeys = chain_keys(journal, keys, account_id, scope, last->currency);
	ledger_key(journal, &keys[nkeys++], JOURNAL_SEQ, BTGreaterEqualStrategyNumber,
			   F_INT8GE, Int64GetDatum(from));
	ledger_key(journal, &keys[nkeys++], JOURNAL_SEQ, BTLessStrategyNumber,
			   F_INT8LT, Int64GetDatum(last->seq));
	ledger_scan(&scan, journal, NULL, NULL, keys, nkeys);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, BackwardScanDirection)))
	{
		JournalRow	row;

		load_row(&scan, tuple, true, &row);
		for (int i = 0; i + 1 < last->nopen; i += 2)
		{
			if (judged[i] || row.first_seq != DatumGetInt64(last->open[i + 1]) ||
				row.seq > DatumGetInt64(last->open[i]))
				continue;
			judge_named_row(chain, &row, DatumGetInt64(last->open[i]));
			judged[i] = true;
		}
	}
	ledger_scan_end(&scan);
}

/* State of a chain from its last row; the caller holds the short lock. */
static void
read_chain(LedgerRel *journal, int64 account_id, int16 scope,
		   const JournalRow *last, ChainState *chain)
{
	bool	   *judged;

	memset(chain, 0, sizeof(ChainState));
	chain->currency = last->currency;
	chain->last_seq = last->seq;
	chain->committed = last->psum;
	chain->is_only_chain = last->is_only_chain;
	chain->own_peak = credit_zero();
	chain->open = palloc(sizeof(Datum) * (last->nopen + 2));
	judge_row(chain, last);
	judged = palloc0(last->nopen + 1);
	if (last->nopen > 2)
		walk_named_rows(journal, account_id, scope, last, chain, judged);
	for (int i = 0; i + 1 < last->nopen; i += 2)
	{
		JournalRow	row;

		if (!judged[i] &&
			named_row(journal, NULL, account_id, scope, last->currency,
					  DatumGetInt64(last->open[i]),
					  DatumGetInt64(last->open[i + 1]), &row))
			judge_named_row(chain, &row, DatumGetInt64(last->open[i]));
	}
	if (SABOTAGED(MEMO))
		chain->committed_seq = chain->last_seq;
	if (chain->committed_seq > 0)
		memo_put(RelationGetRelid(journal->rel), account_id, scope,
				 chain->currency, chain->committed_seq);
}

/* State of one chain, which may be empty; the caller holds the short lock. */
void
journal_read(LedgerRel *journal, int64 account_id, int16 scope,
			 const char *currency, ChainState *chain)
{
	ChainMemo  *memo = memo_find(RelationGetRelid(journal->rel), account_id,
								scope, HASH_FIND);
	int64		from = memo != NULL && strcmp(memo->currency, currency) == 0 ?
		memo->seq : 0;
	JournalRow	last;

	if (last_row(journal, NULL, account_id, scope, currency, from, NULL, &last))
	{
		read_chain(journal, account_id, scope, &last, chain);
		return;
	}
	memset(chain, 0, sizeof(ChainState));
	chain->currency = pstrdup(currency);
	chain->own_peak = credit_zero();
}

/* State of every chain of an account; the caller holds the short lock. */
List *
journal_read_all(LedgerRel *journal, int64 account_id, int16 scope)
{
	List	   *chains = NIL;
	ChainMemo  *memo = memo_find(RelationGetRelid(journal->rel), account_id,
								scope, HASH_FIND);
	JournalRow	last;
	const char *below = NULL;

	/* nearly always: one chain, whose end is known by and large */
	if (memo != NULL &&
		last_row(journal, NULL, account_id, scope, memo->currency, memo->seq,
				 NULL, &last) &&
		last.is_only_chain)
	{
		ChainState *chain = palloc(sizeof(ChainState));

		read_chain(journal, account_id, scope, &last, chain);
		return list_make1(chain);
	}
	while (last_row(journal, NULL, account_id, scope, NULL, 0, below, &last))
	{
		ChainState *chain = palloc(sizeof(ChainState));

		read_chain(journal, account_id, scope, &last, chain);
		chains = lappend(chains, chain);
		if (chain->is_only_chain)
			break;
		below = chain->currency;
	}
	if (list_length(chains) == 1)
		((ChainState *) linitial(chains))->is_only_chain = true;
	return chains;
}

/*
 * A chain is about to begin.  No chain that exists may go on believing that it
 * is alone.
 */
static void
begin_chain(LedgerRel *journal, int64 account_id, int16 scope, ChainState *chain)
{
	List	   *others = journal_read_all(journal, account_id, scope);
	CreditVector zero;
	ListCell   *lc;

	memset(&zero, 0, sizeof(zero));
	chain->is_only_chain = others == NIL;
	foreach(lc, others)
	{
		ChainState *other = lfirst(lc);

		if (!other->is_only_chain || SABOTAGED(ONLY_CHAIN))
			continue;
		other->is_only_chain = false;
		(void) journal_append(journal, account_id, scope, other, &zero, 0, NULL);
	}
}

/*
 * Appends a row to a chain whose state was read under the lock that is still
 * held, and brings the state up to date.  Returns its seq.
 */
int64
journal_append(LedgerRel *journal, int64 account_id, int16 scope,
			   ChainState *chain, const CreditVector *delta,
			   int32 source_id, const char *item_key)
{
	Datum		values[JOURNAL_NCOLUMNS];
	bool		nulls[JOURNAL_NCOLUMNS] = {false};
	int64		seq = chain->last_seq + 1;

	if (chain->last_seq == 0)
		begin_chain(journal, account_id, scope, chain);
	if (!chain->has_own)
		chain->own_first = seq;
	vector_add(&chain->own, delta);

	values[JOURNAL_ACCOUNT_ID] = Int64GetDatum(account_id);
	values[JOURNAL_SCOPE] = Int16GetDatum(scope);
	values[JOURNAL_CURRENCY] = CStringGetTextDatum(chain->currency);
	values[JOURNAL_SEQ] = Int64GetDatum(seq);
	values[JOURNAL_FIRST_SEQ] = Int64GetDatum(chain->own_first);
	values[JOURNAL_POSTED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[JOURNAL_SOURCE_ID] = Int32GetDatum(source_id);
	nulls[JOURNAL_SOURCE_ID] = source_id == 0;
	nulls[JOURNAL_ITEM_KEY] = item_key == NULL;
	if (item_key != NULL)
		values[JOURNAL_ITEM_KEY] = CStringGetTextDatum(item_key);
	values[JOURNAL_DELTA] = vector_to_datum(delta);
	values[JOURNAL_XSUM] = vector_to_datum(&chain->own);
	values[JOURNAL_PSUM] = vector_to_datum(&chain->committed);
	values[JOURNAL_PEAK] = NumericGetDatum(chain->own_peak);
	values[JOURNAL_OPEN] = chain->nopen == 0 ?
		PointerGetDatum(construct_empty_array(INT8OID)) :
		PointerGetDatum(construct_array(chain->open, chain->nopen, INT8OID, 8,
										FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[JOURNAL_IS_ONLY_CHAIN] = BoolGetDatum(chain->is_only_chain);
	ledger_insert(journal, values, nulls);
	chain->has_own = true;
	chain->last_seq = seq;
	return seq;
}

/* Adds what an MVCC snapshot sees of a chain. */
static void
visible_balance(LedgerRel *journal, Snapshot snapshot, int64 account_id,
				int16 scope, const JournalRow *last, CreditVector *balance)
{
	*balance = last->psum;
	vector_add(balance, &last->xsum);
	for (int i = 0; i + 1 < last->nopen; i += 2)
	{
		JournalRow	row;

		if (named_row(journal, snapshot, account_id, scope, last->currency,
					  DatumGetInt64(last->open[i]),
					  DatumGetInt64(last->open[i + 1]), &row))
			vector_add(balance, &row.xsum);
	}
}

/* balance(account_id, scope): exposure as the active snapshot sees it. */
Datum
credit_balance(PG_FUNCTION_ARGS)
{
	int64		account_id = PG_GETARG_INT64(0);
	int16		scope = PG_GETARG_INT16(1);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Snapshot	snapshot = GetActiveSnapshot();
	LedgerRel  *journal;
	JournalRow	last;
	const char *below = NULL;

	InitMaterializedSRF(fcinfo, 0);
	journal = ledger_open(LEDGER_JOURNAL, AccessShareLock);
	while (last_row(journal, snapshot, account_id, scope, NULL, 0, below, &last))
	{
		CreditVector balance;
		Datum		values[2 + STAGE_COUNT];
		bool		nulls[2 + STAGE_COUNT] = {false};

		visible_balance(journal, snapshot, account_id, scope, &last, &balance);
		values[0] = CStringGetTextDatum(last.currency);
		for (int i = 0; i < STAGE_COUNT; i++)
			values[1 + i] = NumericGetDatum(balance.stage[i] ?
											balance.stage[i] : credit_zero());
		values[1 + STAGE_COUNT] = NumericGetDatum(vector_total(&balance));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		if (last.is_only_chain)
			break;
		below = last.currency;
	}
	ledger_close(journal);
	return (Datum) 0;
}

/* adjust(account_id, currency, stages, source_id): posts without a check. */
Datum
credit_adjust(PG_FUNCTION_ARGS)
{
	int64		account_id = PG_GETARG_INT64(0);
	char	   *currency = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int32		source_id = PG_GETARG_INT32(3);
	CreditVector delta;
	ChainState	chain;
	LedgerRel  *journal;
	int64		seq;

	PreventCommandIfReadOnly("credit.adjust()");
	vector_from_datum(&delta, PG_GETARG_DATUM(2));
	journal = ledger_open(LEDGER_JOURNAL, RowExclusiveLock);
	(void) GetCurrentTransactionId();
	journal_lock(account_id);
	journal_read(journal, account_id, SCOPE_OWN, currency, &chain);
	seq = journal_append(journal, account_id, SCOPE_OWN, &chain, &delta,
						 source_id, NULL);
	journal_unlock(account_id);
	ledger_close(journal);
	CommandCounterIncrement();
	PG_RETURN_INT64(seq);
}

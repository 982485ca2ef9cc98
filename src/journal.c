/*
 * journal.c
 *	  The append-only journal of exposure.
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
 * of zero to the chain that believes to be alone.  Until one of them commits,
 * everybody who appends to the second chain does so: what the others wrote may
 * vanish with them.
 *
 * Lock order: the short lock is held for one account at a time; nothing is
 * waited for, and no code of users runs, while it is held.  Before it: relations
 * open, transaction id assigned, keys built.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "credit.h"
#include "journal.h"
#include "probe.h"
#include "sabotage.h"
#include "shortlock.h"

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
	int64	   *open;			/* pairs (seq, first_seq) */
	RowStatus	status;
	TransactionId xid;			/* raw, of ROW_OWN and ROW_OTHER */
} JournalRow;

/*
 * How many rows the last chain of all that was read had named: there are few
 * or many of them at a time, all over.
 */
static int	usual_open = 0;

/* Entries to look at where few are expected. */
#define FEW_ENTRIES 3

PG_FUNCTION_INFO_V1(credit_balance);
PG_FUNCTION_INFO_V1(credit_adjust);

/* Is a text value this string? */
static bool
text_equals(Datum value, const char *string)
{
	text	   *t = DatumGetTextPP(value);
	Size		length = VARSIZE_ANY_EXHDR(t);

	return strlen(string) == length && memcmp(VARDATA_ANY(t), string, length) == 0;
}

/* Whose a row is; dirty: the verdict on it, NULL under an MVCC snapshot. */
static void
set_status(JournalRow *row, HeapTuple tuple, const SnapshotData *dirty)
{
	row->xid = InvalidTransactionId;
	row->status = ROW_COMMITTED;
	if (dirty == NULL)
		return;
	if (TransactionIdIsValid(dirty->xmin))
	{
		row->status = ROW_OTHER;
		row->xid = dirty->xmin;
	}
	else if (ledger_tuple_is_own(tuple))
	{
		row->status = ROW_OWN;
		row->xid = HeapTupleHeaderGetXmin(tuple->t_data);
	}
}

/* Copies what its last row says about a chain; the tuple may go away. */
static void
load_end(const Datum *values, JournalRow *row)
{
	ArrayType  *open = DatumGetArrayTypePCopy(values[JOURNAL_OPEN]);

	row->currency = TextDatumGetCString(values[JOURNAL_CURRENCY]);
	vector_from_datum(&row->psum, values[JOURNAL_PSUM]);
	row->is_only_chain = DatumGetBool(values[JOURNAL_IS_ONLY_CHAIN]);
	if (ARR_NDIM(open) > 1 || ARR_HASNULL(open) || ARR_ELEMTYPE(open) != INT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("column open of a row of credit.journal is not a list of positions"),
				 errhint("Somebody has written to credit.journal by hand.")));
	row->nopen = ARR_NDIM(open) == 1 ? ARR_DIMS(open)[0] : 0;
	row->open = (int64 *) ARR_DATA_PTR(open);
}

/* Copies what a row says about its transaction; the tuple may go away. */
static void
load_transaction(const Datum *values, JournalRow *row)
{
	row->seq = DatumGetInt64(values[JOURNAL_SEQ]);
	row->first_seq = DatumGetInt64(values[JOURNAL_FIRST_SEQ]);
	vector_from_datum(&row->xsum, values[JOURNAL_XSUM]);
	row->peak = DatumGetNumericCopy(values[JOURNAL_PEAK]);
}

/* Copies all that is needed of a row; the tuple may go away. */
static void
load_row(LedgerRel *journal, HeapTuple tuple, const SnapshotData *dirty,
		 JournalRow *row)
{
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];

	ledger_deform(journal, tuple, values, nulls);
	set_status(row, tuple, dirty);
	load_transaction(values, row);
	load_end(values, row);
}

/* The verdict that a scan has just given; NULL: it was not a dirty one. */
static const SnapshotData *
verdict_of(const LedgerScan *scan, Snapshot snapshot)
{
	return snapshot == NULL ? &scan->dirty : NULL;
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
 * Last row of a chain.  currency NULL: of the chain with the largest currency,
 * or with the largest one below `below`.
 */
static bool
last_row(LedgerRel *journal, Snapshot snapshot, int64 account_id, int16 scope,
		 const char *currency, const char *below, JournalRow *row)
{
	ScanKeyData keys[4];
	int			nkeys;
	LedgerScan	scan;
	HeapTuple	tuple;

	nkeys = chain_keys(journal, keys, account_id, scope, currency);
	if (below != NULL)
		ledger_key(journal, &keys[nkeys++], JOURNAL_CURRENCY,
				   BTLessStrategyNumber, F_TEXT_LT, CStringGetTextDatum(below));

	ledger_scan(&scan, journal, NULL, snapshot, keys, nkeys);
	tuple = ledger_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
		load_row(journal, tuple, verdict_of(&scan, snapshot), row);
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
		load_row(journal, tuple, verdict_of(&scan, snapshot), row);
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
			chain->open[chain->nopen++] = row->seq;
			chain->open[chain->nopen++] = row->first_seq;
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
 * Judges the row if it is the newest live one of a transaction that the last
 * row names; the caller goes from newer rows to older ones.
 */
static bool
judge_if_named(ChainState *chain, const JournalRow *last, const JournalRow *row,
			   bool *judged)
{
	for (int i = 0; i + 1 < last->nopen; i += 2)
	{
		if (judged[i] || row->first_seq != last->open[i + 1] ||
			row->seq > last->open[i])
			continue;
		judge_named_row(chain, row, last->open[i]);
		judged[i] = true;
		return true;
	}
	return false;
}

/*
 * Judges named rows among those of a look into the index, from the entry
 * behind `from` on.  Returns how many of them there were.
 */
static int
judge_probed_rows(LedgerRel *journal, const ProbeResult *probe, int from,
				  const JournalRow *last, ChainState *chain, bool *judged)
{
	int			found = 0;

	for (int i = from; i < probe->n && found * 2 < last->nopen; i++)
	{
		LedgerFetch fetch;
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		JournalRow	row;

		if (!ledger_fetch(journal, (ItemPointer) &probe->tids[i], true, &fetch))
			continue;
		ledger_deform(journal, &fetch.tuple, values, nulls);
		if (text_equals(values[JOURNAL_CURRENCY], last->currency))
		{
			set_status(&row, &fetch.tuple, &fetch.dirty);
			load_transaction(values, &row);
			found += judge_if_named(chain, last, &row, judged);
		}
		ledger_release(&fetch);
	}
	return found;
}

/* State of a chain from its last row alone; the caller holds the short lock. */
static void
begin_state(const JournalRow *last, ChainState *chain)
{
	memset(chain, 0, sizeof(ChainState));
	chain->currency = last->currency;
	chain->last_seq = last->seq;
	chain->committed = last->psum;
	chain->is_only_chain = last->is_only_chain;
	chain->own_peak = credit_zero();
	chain->open = palloc(sizeof(int64) * (last->nopen + 2));
	judge_row(chain, last);
}

/* Takes the rows that the last one names and that are not judged yet. */
static void
judge_named_rows(LedgerRel *journal, int64 account_id, int16 scope,
				 const JournalRow *last, ChainState *chain, bool *judged)
{
	for (int i = 0; i + 1 < last->nopen; i += 2)
	{
		JournalRow	row;

		if (!judged[i] &&
			named_row(journal, NULL, account_id, scope, last->currency,
					  last->open[i], last->open[i + 1], &row))
			judge_named_row(chain, &row, last->open[i]);
	}
}

/* State of a chain from its last row; the caller holds the short lock. */
static void
read_chain(LedgerRel *journal, int64 account_id, int16 scope,
		   const JournalRow *last, ChainState *chain)
{
	begin_state(last, chain);
	judge_named_rows(journal, account_id, scope, last, chain,
					 palloc0(last->nopen + 1));
}

/* The newest live row among those of a look into the index; -1: none. */
static int
newest_row(LedgerRel *journal, const ProbeResult *probe, JournalRow *last)
{
	for (int i = 0; i < probe->n; i++)
	{
		LedgerFetch fetch;

		if (!ledger_fetch(journal, (ItemPointer) &probe->tids[i], true, &fetch))
			continue;
		load_row(journal, &fetch.tuple, &fetch.dirty, last);
		ledger_release(&fetch);
		return i;
	}
	return -1;
}

/*
 * Looks for the end of a chain, or (currency NULL) of the last chain of an
 * account, without a scan.  The rows that the last one names nearly always
 * stand shortly before it, so the same look finds them.  Sets is_empty where
 * there is no row.  False: a look does not say.
 */
static bool
look_at_end(LedgerRel *journal, int64 account_id, int16 scope,
			const char *currency, ChainState *chain, bool *is_empty)
{
	Datum		keys[3];
	ProbeResult probe;
	JournalRow	last;
	int			found;
	bool		answers;
	int			max = usual_open > FEW_ENTRIES ? PROBE_MAX : FEW_ENTRIES;

	keys[0] = Int64GetDatum(account_id);
	keys[1] = Int16GetDatum(scope);
	if (currency != NULL)
		keys[2] = CStringGetTextDatum(currency);
	probe_last(journal, NULL, keys, currency == NULL ? 2 : 3, max, &probe);
	found = newest_row(journal, &probe, &last);
	/* dead entries say nothing: what they lead to may live elsewhere */
	*is_empty = probe.n == 0 && probe.complete;
	/* of several chains each has an end: that takes a scan */
	answers = found >= 0 && (currency != NULL || last.is_only_chain);
	if (answers)
	{
		bool	   *judged = palloc0(last.nopen + 1);

		begin_state(&last, chain);
		if (judge_probed_rows(journal, &probe, found + 1, &last, chain,
							  judged) * 2 < last.nopen)
			judge_named_rows(journal, account_id, scope, &last, chain, judged);
		usual_open = last.nopen / 2;
	}
	probe_release(&probe);
	return answers || *is_empty;
}

/* State of one chain, which may be empty; the caller holds the short lock. */
void
journal_read(LedgerRel *journal, int64 account_id, int16 scope,
			 const char *currency, ChainState *chain)
{
	JournalRow	last;
	bool		is_empty;

	if (look_at_end(journal, account_id, scope, currency, chain, &is_empty))
	{
		if (!is_empty)
			return;
	}
	else if (last_row(journal, NULL, account_id, scope, currency, NULL, &last))
	{
		read_chain(journal, account_id, scope, &last, chain);
		return;
	}
	memset(chain, 0, sizeof(ChainState));
	chain->currency = pstrdup(currency);
	chain->own_peak = credit_zero();
	chain->is_only_chain = true;	/* until others are found */
}

/* State of every chain of an account; the caller holds the short lock. */
List *
journal_read_all(LedgerRel *journal, int64 account_id, int16 scope)
{
	List	   *chains = NIL;
	ChainState *chain = palloc(sizeof(ChainState));
	JournalRow	last;
	const char *below = NULL;
	bool		is_empty;

	/* nearly always: one chain */
	if (look_at_end(journal, account_id, scope, NULL, chain, &is_empty))
		return is_empty ? NIL : list_make1(chain);
	while (last_row(journal, NULL, account_id, scope, NULL, below, &last))
	{
		chain = palloc(sizeof(ChainState));
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
 * Can a chain come to say that it is alone, whatever becomes of the
 * transactions that are open?  Not if a row that stays (a committed one, or one
 * that goes with us) denies it, and so do all rows after that.
 */
static bool
may_say_alone(LedgerRel *journal, int64 account_id, int16 scope, const char *currency)
{
	ScanKeyData keys[3];
	LedgerScan	scan;
	HeapTuple	tuple;
	JournalRow	row;
	bool		says_alone = false;
	bool		stays = false;

	ledger_scan(&scan, journal, NULL, NULL, keys,
				chain_keys(journal, keys, account_id, scope, currency));
	while (!says_alone && !stays &&
		   HeapTupleIsValid(tuple = ledger_next(&scan, BackwardScanDirection)))
	{
		load_row(journal, tuple, &scan.dirty, &row);
		says_alone = row.is_only_chain;
		stays = row.status != ROW_OTHER;
	}
	ledger_scan_end(&scan);
	return says_alone;
}

/* The unresolved rows of others, as the array that is stored. */
static ArrayType *
open_array(const ChainState *chain)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(int64) * chain->nopen;
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = INT8OID;
	ARR_DIMS(array)[0] = chain->nopen;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), chain->open, sizeof(int64) * chain->nopen);
	return array;
}

/* Writes the next row of a chain and brings the state up to date. */
static int64
append_row(LedgerRel *journal, int64 account_id, int16 scope, ChainState *chain,
		   const CreditVector *delta, int32 source_id, const char *item_key)
{
	Datum		values[JOURNAL_NCOLUMNS];
	bool		nulls[JOURNAL_NCOLUMNS] = {false};
	int64		seq = chain->last_seq + 1;

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
		PointerGetDatum(open_array(chain));
	values[JOURNAL_IS_ONLY_CHAIN] = BoolGetDatum(chain->is_only_chain);
	ledger_insert(journal, values, nulls);
	chain->has_own = true;
	chain->last_seq = seq;
	return seq;
}

/*
 * A row is about to be the first of a chain that may survive.  No other chain
 * may then say that it is alone.  It is not enough that somebody else has taken
 * back the word, when he began this chain: he may vanish, and with him all that
 * he wrote.
 */
static void
take_back_word(LedgerRel *journal, int64 account_id, int16 scope, ChainState *chain)
{
	JournalRow	last;
	const char *below = NULL;
	CreditVector zero;
	ChainState	only;
	bool		is_empty;

	/* nearly always: a new account */
	if (look_at_end(journal, account_id, scope, NULL, &only, &is_empty) && is_empty)
		return;
	memset(&zero, 0, sizeof(zero));
	while (last_row(journal, NULL, account_id, scope, NULL, below, &last))
	{
		ChainState	other;

		below = last.currency;
		if (strcmp(last.currency, chain->currency) == 0)
			continue;
		chain->is_only_chain = false;
		if (SABOTAGED(ONLY_CHAIN) ||
			!may_say_alone(journal, account_id, scope, last.currency))
			continue;
		read_chain(journal, account_id, scope, &last, &other);
		other.is_only_chain = false;
		(void) append_row(journal, account_id, scope, &other, &zero, 0, NULL);
	}
}

/* Has a chain no row yet that is sure to stay as long as ours? */
static bool
is_beginning(const ChainState *chain)
{
	return chain->last_seq == 0 ||
		(!chain->is_only_chain && !chain->has_own && chain->committed_seq == 0 &&
		 vector_is_zero(&chain->committed));
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
	if (is_beginning(chain))
		take_back_word(journal, account_id, scope, chain);
	return append_row(journal, account_id, scope, chain, delta, source_id, item_key);
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
					  last->open[i], last->open[i + 1], &row))
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
	while (last_row(journal, snapshot, account_id, scope, NULL, below, &last))
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

/* Has an account a chain in another currency, whatever its rows say of that? */
static bool
has_other_chain(LedgerRel *journal, int64 account_id, int16 scope, const char *currency)
{
	JournalRow	last;

	if (!last_row(journal, NULL, account_id, scope, NULL, NULL, &last))
		return false;
	return strcmp(last.currency, currency) != 0 ||
		last_row(journal, NULL, account_id, scope, NULL, currency, &last);
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
	shortlock_take(account_id);
	journal_read(journal, account_id, SCOPE_OWN, currency, &chain);
	/* a row that somebody has written by hand can hide the other chains */
	if (chain.is_only_chain && chain.last_seq != 0 &&
		has_other_chain(journal, account_id, SCOPE_OWN, currency))
		chain.is_only_chain = false;
	seq = journal_append(journal, account_id, SCOPE_OWN, &chain, &delta,
						 source_id, NULL);
	shortlock_give(account_id);
	ledger_close(journal);
	CommandCounterIncrement();
	PG_RETURN_INT64(seq);
}

/*
 * ledger.h
 *	  Access to the extension's own tables without SQL.
 */
#ifndef CREDIT_LEDGER_H
#define CREDIT_LEDGER_H

#include "access/genam.h"
#include "access/htup.h"
#include "access/skey.h"
#include "storage/buf.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Tables of ours that C reads or writes; order as in ledger.c. */
typedef enum LedgerTable
{
	LEDGER_ACCOUNT,
	LEDGER_ACCOUNT_LIMIT,
	LEDGER_LIMIT_CHANGE,
	LEDGER_SOURCE,
	LEDGER_SOURCE_PROBLEM,
	LEDGER_ITEM,
	LEDGER_ITEM_VERSION,
	LEDGER_SETTLEMENT,
	LEDGER_MONTH_MARK,
	LEDGER_JOURNAL,
	LEDGER_DECISION,
	LEDGER_SETTING,
	LEDGER_RULE_REACTION,
	LEDGER_EXCHANGE_RATE,
	LEDGER_DEPENDENCY,
	LEDGER_NTABLES
} LedgerTable;

/* Columns by table, in the order of the name lists in ledger.c. */
enum
{
	ACCOUNT_ID, ACCOUNT_CUSTOMER, ACCOUNT_SEGMENT, ACCOUNT_NAME,
	ACCOUNT_PARENT, ACCOUNT_STATUS, ACCOUNT_TERMS_DAYS, ACCOUNT_RATING,
	ACCOUNT_SOURCE_ID, ACCOUNT_CREATED_AT, ACCOUNT_NCOLUMNS
};
enum
{
	LIMIT_ACCOUNT_ID, LIMIT_CURRENCY, LIMIT_STATE, LIMIT_AMOUNT,
	LIMIT_VALID_UNTIL, LIMIT_BASE_STATE, LIMIT_BASE_AMOUNT,
	LIMIT_IS_MAPPED, LIMIT_CHANGED_AT, LIMIT_NCOLUMNS
};
enum
{
	LCHANGE_ID, LCHANGE_ACCOUNT_ID, LCHANGE_CHANGED_AT, LCHANGE_CHANGED_BY,
	LCHANGE_OLD_STATE, LCHANGE_OLD_LIMIT, LCHANGE_NEW_STATE,
	LCHANGE_NEW_LIMIT, LCHANGE_VALID_UNTIL, LCHANGE_REASON,
	LCHANGE_SOURCE_ID, LCHANGE_NCOLUMNS
};
enum
{
	SOURCE_ID, SOURCE_NAME, SOURCE_RELATION, SOURCE_KIND, SOURCE_FIELDS,
	SOURCE_ON_BREACH, SOURCE_NULL_LIMIT, SOURCE_ZERO_LIMIT, SOURCE_ON_ERROR,
	SOURCE_ORIGIN_KIND, SOURCE_APPLIES_TO_KIND, SOURCE_PAYMENT_KIND,
	SOURCE_NCOLUMNS
};
enum
{
	PROBLEM_ID, PROBLEM_SOURCE_ID, PROBLEM_SEEN_AT, PROBLEM_SQLSTATE, PROBLEM_MESSAGE,
	PROBLEM_NCOLUMNS
};
enum
{
	ITEM_SOURCE_ID, ITEM_KEY, ITEM_ACCOUNT_ID, ITEM_CURRENCY, ITEM_AMOUNT,
	ITEM_STAGES, ITEM_DOCUMENT_DATE, ITEM_DUE_DATE, ITEM_POSTING_DATE,
	ITEM_ORIGIN, ITEM_NUMBER, ITEM_IS_DISPUTED, ITEM_RECORDED_AT, ITEM_SEQ,
	ITEM_IS_COUNTED, ITEM_IS_OPEN, ITEM_DOCUMENT, ITEM_OPEN_AMOUNT,
	ITEM_SETTLED_ON, ITEM_REVERSED_ON, ITEM_DELIVERED, ITEM_INVOICED,
	ITEM_SETTLED, ITEM_DISPUTED_AMOUNT, ITEM_RETENTION_AMOUNT,
	ITEM_RETENTION_UNTIL, ITEM_IS_WRITE_OFF, ITEM_NEXT_ON,
	ITEM_NCOLUMNS,
	VERSION_SUPERSEDED_AT = ITEM_NCOLUMNS,	/* item_version has one more */
	VERSION_NCOLUMNS
};
enum
{
	SETTLEMENT_SOURCE_ID, SETTLEMENT_KEY, SETTLEMENT_SETTLED_ON,
	SETTLEMENT_AMOUNT, SETTLEMENT_KIND, SETTLEMENT_PAYMENT_SOURCE_ID,
	SETTLEMENT_PAYMENT_KEY, SETTLEMENT_STATED_BY_SOURCE_ID,
	SETTLEMENT_STATED_BY_KEY, SETTLEMENT_RECORDED_AT, SETTLEMENT_NCOLUMNS
};
enum
{
	MARK_ACCOUNT_ID, MARK_MONTH, MARK_NCOLUMNS
};
enum
{
	JOURNAL_ACCOUNT_ID, JOURNAL_SCOPE, JOURNAL_CURRENCY, JOURNAL_SEQ,
	JOURNAL_FIRST_SEQ, JOURNAL_POSTED_AT, JOURNAL_SOURCE_ID,
	JOURNAL_ITEM_KEY, JOURNAL_DELTA, JOURNAL_XSUM, JOURNAL_PSUM,
	JOURNAL_PEAK, JOURNAL_OPEN, JOURNAL_IS_ONLY_CHAIN, JOURNAL_NCOLUMNS
};
enum
{
	DECISION_ID, DECISION_DECIDED_AT, DECISION_VERDICT, DECISION_RULE,
	DECISION_ACCOUNT_ID, DECISION_SOURCE_ID, DECISION_ITEM_KEY,
	DECISION_DOCUMENTS, DECISION_CURRENCY, DECISION_AMOUNT,
	DECISION_EXPOSURE, DECISION_LIMIT_STATE, DECISION_CREDIT_LIMIT,
	DECISION_REASONS, DECISION_ROLE, DECISION_NCOLUMNS
};
enum
{
	SETTING_NAME, SETTING_VALUE, SETTING_NCOLUMNS
};
enum
{
	RULE_NAME, RULE_REACTION, RULE_NCOLUMNS
};
enum
{
	RATE_TYPE, RATE_FROM, RATE_TO, RATE_VALID_ON, RATE_RATE, RATE_NCOLUMNS
};
enum
{
	DEPENDENCY_SOURCE_ID, DEPENDENCY_RELATION, DEPENDENCY_CHANGED_KEYS,
	DEPENDENCY_NCOLUMNS
};

#define LEDGER_MAX_COLUMNS 32
#define LEDGER_MAX_INDEXES 32	/* twice ours, while all are reindexed, and more */

/*
 * An open table.  Columns are found by name, so that a new library works with
 * the catalog of an older version: att is 0 for a column that is not there.
 */
typedef struct LedgerRel
{
	LedgerTable id;
	Relation	rel;
	bool		writes;			/* held with a writer's lock */
	Relation	indexes[LEDGER_MAX_INDEXES];	/* as they are needed */
} LedgerRel;

/* One row version, fetched by its place; see ledger_fetch. */
typedef struct LedgerFetch
{
	HeapTupleData tuple;
	Buffer		buffer;			/* pinned until ledger_release */
	SnapshotData dirty;			/* verdict on the version */
} LedgerFetch;

typedef struct LedgerScan
{
	LedgerRel  *ledger;
	SysScanDesc scan;
	SnapshotData dirty;			/* the snapshot of a dirty scan */
} LedgerScan;

extern bool ledger_exists(LedgerTable id);
extern bool ledger_is_replicated(void);
extern Oid	ledger_relid(LedgerTable id);
extern LedgerRel *ledger_open(LedgerTable id, LOCKMODE lockmode);
extern void ledger_close(LedgerRel *ledger);

extern void ledger_key(LedgerRel *ledger, ScanKey key, int column,
					   StrategyNumber strategy, RegProcedure proc, Datum value);
extern void ledger_scan(LedgerScan *scan, LedgerRel *ledger, const char *index,
						Snapshot snapshot, ScanKey keys, int nkeys);
extern HeapTuple ledger_next(LedgerScan *scan, ScanDirection direction);
extern void ledger_scan_end(LedgerScan *scan);

extern bool ledger_fetch(LedgerRel *ledger, ItemPointer tid, bool is_entry,
						 LedgerFetch *fetch);
extern void ledger_release(LedgerFetch *fetch);
extern Relation ledger_index(LedgerRel *ledger, const char *name);

extern void ledger_deform(LedgerRel *ledger, HeapTuple tuple,
						  Datum *values, bool *nulls);
extern void ledger_insert(LedgerRel *ledger, Datum *values, bool *nulls);
extern bool ledger_insert_new(LedgerRel *ledger, Datum *values, bool *nulls);
extern bool ledger_insert_lightly(LedgerRel *ledger, Datum *values, bool *nulls);
extern bool ledger_lock(LedgerRel *ledger, HeapTuple tuple,
						TransactionId *holder);
extern void ledger_insert_many(LedgerRel *ledger, Datum **values, bool **nulls,
							   int n, bool *is_taken);
extern bool ledger_update(LedgerRel *ledger, HeapTuple old,
						  Datum *values, bool *nulls);
extern void ledger_must_update(LedgerRel *ledger, HeapTuple old,
							   Datum *values, bool *nulls);
extern bool ledger_delete(LedgerRel *ledger, HeapTuple old);
extern int64 ledger_next_id(LedgerRel *ledger, int column);

/* True where the last tuple of a scan was written by this transaction. */
extern bool ledger_tuple_is_own(HeapTuple tuple);

#endif							/* CREDIT_LEDGER_H */

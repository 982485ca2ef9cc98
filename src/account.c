/*
 * account.c
 *	  Accounts and their limits.
 *
 * The limit row of an account is written under the account's short lock and
 * read under it, always at its latest committed value: a stale snapshot must
 * not pass a lowered limit.  A change that is not committed yet shows as a
 * second version; a check that both versions answer alike need not wait.
 *
 * Accounts are created and renamed under a lock on their name, so that two
 * first orders of one new customer make one account.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "account.h"
#include "credit.h"
#include "journal.h"
#include "setting.h"
#include "vector.h"
#include "wait.h"

#define ACCOUNT_NAME_INDEX "account_customer_segment_key"

/*
 * Accounts that were seen committed, by name.  An account is never deleted or
 * given another name, so only a change of the table itself ends an entry.
 */
#define CACHE_KEY_SIZE 96
#define CACHE_MAX_ENTRIES 20000

typedef struct CachedAccount
{
	char		name[CACHE_KEY_SIZE];	/* customer, a zero byte, segment */
	int64		account_id;
} CachedAccount;

static HTAB *cached_accounts = NULL;
static Oid	cached_relid = InvalidOid;
static bool cache_is_valid = false;

static const char *const limit_state_names[] = {
	[LIMIT_NOT_SET] = "not_set",
	[LIMIT_AMOUNT_SET] = "amount",
	[LIMIT_UNLIMITED] = "unlimited",
	[LIMIT_BLOCKED] = "blocked",
};

/* A limit as it is to be written. */
typedef struct NewLimit
{
	CreditLimitState	state;
	Numeric		amount;
	bool		temporary;
	DateADT		valid_until;	/* with temporary */
	const char *currency;		/* NULL: as it is */
	bool		currency_only;		/* leave the limit alone */
	bool		only_if_mapped; /* leave a limit of set_limit alone */
	bool		mapped;
	int32		source_id;		/* 0: set_limit */
	const char *reason;
} NewLimit;

PG_FUNCTION_INFO_V1(credit_write_limit);
PG_FUNCTION_INFO_V1(credit_apply_customer);

const char *
limit_state_name(CreditLimitState state)
{
	return limit_state_names[state];
}

bool
limit_state_parse(const char *name, CreditLimitState *state)
{
	for (int i = 0; i < (int) lengthof(limit_state_names); i++)
	{
		if (strcmp(name, limit_state_names[i]) == 0)
		{
			*state = (CreditLimitState) i;
			return true;
		}
	}
	return false;
}

/* A row of ours is being changed by a transaction that will not end. */
static void
wait_or_fail(TransactionId xid, const char *what)
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

/* Only marks. */
void
credit_account_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == cached_relid)
		cache_is_valid = false;
}

/* Key of the cache; false: the name is too long for it. */
static bool
cache_key(const char *customer, const char *segment, char *key)
{
	Size		length = strlen(customer);

	if (length + strlen(segment) + 2 > CACHE_KEY_SIZE)
		return false;
	memset(key, 0, CACHE_KEY_SIZE);
	strcpy(key, customer);
	strcpy(key + length + 1, segment);
	return true;
}

/* The account of a name if it is cached, else 0. */
static int64
cache_get(const char *customer, const char *segment)
{
	char		key[CACHE_KEY_SIZE];
	CachedAccount *entry;

	if (!cache_is_valid || !cache_key(customer, segment, key))
		return 0;
	entry = hash_search(cached_accounts, key, HASH_FIND, NULL);
	return entry ? entry->account_id : 0;
}

static void
cache_put(Oid relid, const char *customer, const char *segment, int64 account_id)
{
	char		key[CACHE_KEY_SIZE];
	CachedAccount *entry;

	if (!cache_key(customer, segment, key))
		return;
	if (cached_accounts != NULL &&
		(!cache_is_valid ||
		 hash_get_num_entries(cached_accounts) >= CACHE_MAX_ENTRIES))
	{
		hash_destroy(cached_accounts);
		cached_accounts = NULL;
	}
	if (cached_accounts == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = CACHE_KEY_SIZE;
		ctl.entrysize = sizeof(CachedAccount);
		cached_accounts = hash_create("credit accounts", 256, &ctl,
									  HASH_ELEM | HASH_BLOBS);
	}
	cached_relid = relid;
	cache_is_valid = true;
	entry = hash_search(cached_accounts, key, HASH_ENTER, NULL);
	entry->account_id = account_id;
}

/*
 * Looks for one account by name, dirty.  Sets inserting where the row is there
 * only for the transaction that is just creating it.  A rename in progress
 * shows two versions of one account, of which the older is settled.
 */
static int64
find_account(LedgerRel *accounts, const char *customer, const char *segment,
			 HeapTuple *copy, TransactionId *inserting)
{
	ScanKeyData keys[2];
	LedgerScan	scan;
	HeapTuple	tuple;
	int64		account_id = 0;

	*inserting = InvalidTransactionId;
	ledger_key(accounts, &keys[0], ACCOUNT_CUSTOMER, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(customer));
	ledger_key(accounts, &keys[1], ACCOUNT_SEGMENT, BTEqualStrategyNumber,
			   F_TEXTEQ, CStringGetTextDatum(segment));
	ledger_scan(&scan, accounts, ACCOUNT_NAME_INDEX, NULL, keys, 2);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		*inserting = scan.dirty.xmin;
		ledger_deform(accounts, tuple, values, nulls);
		account_id = DatumGetInt64(values[ACCOUNT_ID]);
		if (!TransactionIdIsValid(*inserting) && !ledger_tuple_is_own(tuple))
			cache_put(RelationGetRelid(accounts->rel), customer, segment, account_id);
		if (copy)
			*copy = heap_copytuple(tuple);
		if (!TransactionIdIsValid(*inserting))
			break;
	}
	ledger_scan_end(&scan);
	return account_id;
}

static int64
insert_account(LedgerRel *accounts, const char *customer, const char *segment,
			   const char *currency)
{
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, RowExclusiveLock);
	int64		account_id = ledger_next_id(accounts, ACCOUNT_ID);
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	nulls[ACCOUNT_ID] = nulls[ACCOUNT_CUSTOMER] = nulls[ACCOUNT_SEGMENT] =
		nulls[ACCOUNT_CREATED_AT] = false;
	values[ACCOUNT_ID] = Int64GetDatum(account_id);
	values[ACCOUNT_CUSTOMER] = CStringGetTextDatum(customer);
	values[ACCOUNT_SEGMENT] = CStringGetTextDatum(segment);
	values[ACCOUNT_CREATED_AT] = now;
	ledger_insert(accounts, values, nulls);

	memset(nulls, true, sizeof(nulls));
	nulls[LIMIT_ACCOUNT_ID] = nulls[LIMIT_CURRENCY] = nulls[LIMIT_STATE] =
		nulls[LIMIT_BASE_STATE] = nulls[LIMIT_IS_MAPPED] =
		nulls[LIMIT_CHANGED_AT] = false;
	values[LIMIT_ACCOUNT_ID] = Int64GetDatum(account_id);
	values[LIMIT_CURRENCY] = CStringGetTextDatum(currency);
	values[LIMIT_STATE] = CStringGetTextDatum(limit_state_name(LIMIT_NOT_SET));
	values[LIMIT_BASE_STATE] = values[LIMIT_STATE];
	values[LIMIT_IS_MAPPED] = BoolGetDatum(false);
	values[LIMIT_CHANGED_AT] = now;
	ledger_insert(limits, values, nulls);
	ledger_close(limits);
	CommandCounterIncrement();	/* the same statement may change it */
	return account_id;
}

/*
 * Account of a customer; created where it is not known and create is set, else
 * 0.  May wait for a transaction that is just creating the same account.
 */
int64
account_resolve(const char *customer, const char *segment,
				const char *currency, bool create)
{
	LedgerRel  *accounts;
	TransactionId inserting;
	int64		account_id = cache_get(customer, segment);

	if (account_id != 0)
		return account_id;
	accounts = ledger_open(LEDGER_ACCOUNT, RowExclusiveLock);
	for (;;)
	{
		account_id = find_account(accounts, customer, segment, NULL, &inserting);
		if (account_id != 0 && !TransactionIdIsValid(inserting))
			break;
		if (account_id != 0)
		{
			wait_or_fail(inserting, psprintf("account of customer %s", customer));
			continue;
		}
		if (!create)
			break;

		(void) GetCurrentTransactionId();
		journal_lock_name(customer, segment);
		account_id = find_account(accounts, customer, segment, NULL, &inserting);
		if (account_id == 0)
			account_id = insert_account(accounts, customer, segment, currency);
		journal_unlock_name(customer, segment);
		if (!TransactionIdIsValid(inserting))
			break;
	}
	ledger_close(accounts);
	return account_id;
}

/* Limit of a row by its columns; past valid_until the base counts. */
static void
load_limit(const Datum *values, const bool *nulls, LimitVersion *version)
{
	bool		expired = !nulls[LIMIT_VALID_UNTIL] &&
		DatumGetDateADT(values[LIMIT_VALID_UNTIL]) < credit_today();
	int			state = expired ? LIMIT_BASE_STATE : LIMIT_STATE;
	int			amount = expired ? LIMIT_BASE_AMOUNT : LIMIT_AMOUNT;

	if (!limit_state_parse(TextDatumGetCString(values[state]), &version->state))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("limit state \"%s\" is not known to this version of the library",
						TextDatumGetCString(values[state])),
				 errhint("Install the library that belongs to the catalog.")));
	version->amount = nulls[amount] ? NULL : DatumGetNumericCopy(values[amount]);
}

/*
 * Reads the versions of an account's limit row, dirty; the newest settled one
 * goes into copy.  The caller holds the short lock of the account, so that no
 * version comes or goes, only their status moves.
 */
static void
read_versions(LedgerRel *limits, int64 account_id, AccountLimit *limit,
			  HeapTuple *copy)
{
	ScanKeyData key;
	LedgerScan	scan;
	HeapTuple	tuple;

	memset(limit, 0, sizeof(AccountLimit));
	ledger_key(limits, &key, LIMIT_ACCOUNT_ID, BTEqualStrategyNumber,
			   F_INT8EQ, Int64GetDatum(account_id));
	ledger_scan(&scan, limits, NULL, NULL, &key, 1);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		/* read before anything else: it belongs to this tuple alone */
		if (TransactionIdIsValid(scan.dirty.xmin))
			limit->changing_xid = scan.dirty.xmin;
		else if (TransactionIdIsValid(scan.dirty.xmax))
			limit->changing_xid = scan.dirty.xmax;
		if (limit->nversions == LIMIT_MAX_VERSIONS)
			break;				/* undecided anyway */
		ledger_deform(limits, tuple, values, nulls);
		load_limit(values, nulls, &limit->versions[limit->nversions++]);
		limit->currency = TextDatumGetCString(values[LIMIT_CURRENCY]);
		if (copy)
			*copy = heap_copytuple(tuple);
	}
	ledger_scan_end(&scan);
	if (limit->nversions == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("account " INT64_FORMAT " has no limit row", account_id),
				 errhint("Somebody has changed credit.account_limit by hand.")));
}

void
account_read_limit(LedgerRel *limits, int64 account_id, AccountLimit *limit)
{
	read_versions(limits, account_id, limit, NULL);
}

/* Appends to the audit trail of limits. */
static void
record_limit_change(int64 account_id, const NewLimit *new,
					const Datum *old, const bool *old_nulls)
{
	LedgerRel  *changes = ledger_open(LEDGER_LIMIT_CHANGE, RowExclusiveLock);
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS] = {false};

	values[LCHANGE_ID] = Int64GetDatum(ledger_next_id(changes, LCHANGE_ID));
	values[LCHANGE_ACCOUNT_ID] = Int64GetDatum(account_id);
	values[LCHANGE_CHANGED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[LCHANGE_CHANGED_BY] =
		CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	values[LCHANGE_OLD_STATE] = old[LIMIT_STATE];
	values[LCHANGE_OLD_LIMIT] = old[LIMIT_AMOUNT];
	nulls[LCHANGE_OLD_LIMIT] = old_nulls[LIMIT_AMOUNT];
	values[LCHANGE_NEW_STATE] = CStringGetTextDatum(limit_state_name(new->state));
	values[LCHANGE_NEW_LIMIT] = NumericGetDatum(new->amount);
	nulls[LCHANGE_NEW_LIMIT] = new->amount == NULL;
	values[LCHANGE_VALID_UNTIL] = DateADTGetDatum(new->valid_until);
	nulls[LCHANGE_VALID_UNTIL] = !new->temporary;
	nulls[LCHANGE_REASON] = new->reason == NULL;
	if (new->reason)
		values[LCHANGE_REASON] = CStringGetTextDatum(new->reason);
	values[LCHANGE_SOURCE_ID] = Int32GetDatum(new->source_id);
	nulls[LCHANGE_SOURCE_ID] = new->source_id == 0;
	ledger_insert(changes, values, nulls);
	ledger_close(changes);
}

static bool
same_numeric(Datum a, bool a_null, Numeric b)
{
	if (a_null || b == NULL)
		return a_null && b == NULL;
	return credit_compare(DatumGetNumeric(a), b) == 0;
}

static bool
same_text(Datum a, bool a_null, const char *b)
{
	if (a_null || b == NULL)
		return a_null && b == NULL;
	return strcmp(TextDatumGetCString(a), b) == 0;
}

/* Is the limit in force the same in two versions of the row? */
static bool
same_limit(const Datum *a, const bool *a_nulls, const Datum *b, const bool *b_nulls)
{
	return same_text(a[LIMIT_STATE], false, TextDatumGetCString(b[LIMIT_STATE])) &&
		same_numeric(a[LIMIT_AMOUNT], a_nulls[LIMIT_AMOUNT],
					 b_nulls[LIMIT_AMOUNT] ? NULL : DatumGetNumeric(b[LIMIT_AMOUNT])) &&
		a_nulls[LIMIT_VALID_UNTIL] == b_nulls[LIMIT_VALID_UNTIL] &&
		(a_nulls[LIMIT_VALID_UNTIL] ||
		 a[LIMIT_VALID_UNTIL] == b[LIMIT_VALID_UNTIL]);
}

/* Puts a new limit into the columns of the row; false: nothing changes. */
static bool
change_limit_columns(const NewLimit *new, Datum *values, bool *nulls)
{
	bool		same_currency = new->currency == NULL ||
		same_text(values[LIMIT_CURRENCY], false, new->currency);
	bool		same = same_text(values[LIMIT_STATE], false, limit_state_name(new->state)) &&
		same_numeric(values[LIMIT_AMOUNT], nulls[LIMIT_AMOUNT], new->amount) &&
		nulls[LIMIT_VALID_UNTIL] == !new->temporary &&
		(!new->temporary ||
		 DatumGetDateADT(values[LIMIT_VALID_UNTIL]) == new->valid_until) &&
		(new->temporary ||
		 (same_text(values[LIMIT_BASE_STATE], false, limit_state_name(new->state)) &&
		  same_numeric(values[LIMIT_BASE_AMOUNT], nulls[LIMIT_BASE_AMOUNT], new->amount))) &&
		DatumGetBool(values[LIMIT_IS_MAPPED]) == new->mapped;

	if (same_currency && (same || new->currency_only))
		return false;
	if (!same_currency)
		values[LIMIT_CURRENCY] = CStringGetTextDatum(new->currency);
	values[LIMIT_CHANGED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (new->currency_only)
		return true;
	values[LIMIT_STATE] = CStringGetTextDatum(limit_state_name(new->state));
	values[LIMIT_AMOUNT] = NumericGetDatum(new->amount);
	nulls[LIMIT_AMOUNT] = new->amount == NULL;
	values[LIMIT_VALID_UNTIL] = DateADTGetDatum(new->valid_until);
	nulls[LIMIT_VALID_UNTIL] = !new->temporary;
	if (!new->temporary)
	{
		values[LIMIT_BASE_STATE] = values[LIMIT_STATE];
		values[LIMIT_BASE_AMOUNT] = values[LIMIT_AMOUNT];
		nulls[LIMIT_BASE_AMOUNT] = nulls[LIMIT_AMOUNT];
	}
	values[LIMIT_IS_MAPPED] = BoolGetDatum(new->mapped);
	return true;
}

/*
 * Writes a limit, waiting for whoever is changing the same one.  set_limit may
 * not touch a limit that the ERP owns.
 */
static void
write_limit(int64 account_id, const char *customer, const NewLimit *new)
{
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, RowExclusiveLock);
	AccountLimit limit;
	HeapTuple	tuple = NULL;
	Datum		values[LEDGER_MAX_COLUMNS];
	Datum		old[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
	bool		old_nulls[LEDGER_MAX_COLUMNS];
	bool		changed = false;

	(void) GetCurrentTransactionId();
	for (;;)
	{
		journal_lock(account_id);
		read_versions(limits, account_id, &limit, &tuple);
		if (!TransactionIdIsValid(limit.changing_xid))
			break;
		journal_unlock(account_id);
		wait_or_fail(limit.changing_xid,
					 psprintf("limit of customer %s", customer));
	}
	ledger_deform(limits, tuple, values, nulls);
	if (new->source_id == 0 && DatumGetBool(values[LIMIT_IS_MAPPED]))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("limit of customer %s comes from the ERP", customer),
				 errhint("Change it there, or attach the customers without credit_limit.")));
	memcpy(old, values, sizeof(old));
	memcpy(old_nulls, nulls, sizeof(old_nulls));
	changed = (!new->only_if_mapped || DatumGetBool(values[LIMIT_IS_MAPPED])) &&
		change_limit_columns(new, values, nulls);
	if (changed)
		ledger_update(limits, tuple, values, nulls);
	journal_unlock(account_id);
	if (changed && !same_limit(values, nulls, old, old_nulls))
		record_limit_change(account_id, new, old, old_nulls);
	ledger_close(limits);
}

/* write_limit(customer, segment, state, amount, valid_until, reason) */
Datum
credit_write_limit(PG_FUNCTION_ARGS)
{
	char	   *customer;
	char	   *segment;
	char	   *state;
	int64		account_id;
	NewLimit	new;

	PreventCommandIfReadOnly("credit.set_limit()");
	memset(&new, 0, sizeof(new));
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("customer, segment and state of a limit must not be NULL")));
	customer = text_to_cstring(PG_GETARG_TEXT_PP(0));
	segment = text_to_cstring(PG_GETARG_TEXT_PP(1));
	state = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!limit_state_parse(state, &new.state))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a limit state", state),
				 errhint("Use amount, unlimited, blocked or not_set.")));
	new.amount = PG_ARGISNULL(3) ? NULL : PG_GETARG_NUMERIC(3);
	if ((new.amount != NULL) != (new.state == LIMIT_AMOUNT_SET))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("limit state \"%s\" %s", state,
						new.amount == NULL ? "needs an amount" : "takes no amount"),
				 errhint("Give an amount with state amount, and NULL with every other state.")));
	if (new.amount != NULL &&
		(numeric_is_nan(new.amount) || numeric_is_inf(new.amount) ||
		 credit_compare(new.amount, NULL) < 0))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a credit limit must be 0 or more, not %s",
						credit_amount_text(new.amount)),
				 errhint("Use state unlimited for a customer without a limit.")));
	new.temporary = !PG_ARGISNULL(4);
	if (new.temporary)
		new.valid_until = PG_GETARG_DATEADT(4);
	if (new.temporary && new.valid_until < credit_today())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a temporary limit cannot end in the past")));
	new.reason = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));

	account_id = account_resolve(customer, segment, credit_settings()->currency, true);
	write_limit(account_id, customer, &new);
	PG_RETURN_INT64(account_id);
}

/* An account in words: "103 (Atelier graphique) in Division 2". */
char *
account_describe(int64 account_id)
{
	LedgerRel  *accounts = ledger_open(LEDGER_ACCOUNT, AccessShareLock);
	ScanKeyData key;
	LedgerScan	scan;
	HeapTuple	tuple;
	StringInfoData buf;

	initStringInfo(&buf);
	ledger_key(accounts, &key, ACCOUNT_ID, BTEqualStrategyNumber, F_INT8EQ,
			   Int64GetDatum(account_id));
	ledger_scan(&scan, accounts, NULL, SnapshotSelf, &key, 1);
	if (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		char	   *segment;

		ledger_deform(accounts, tuple, values, nulls);
		segment = TextDatumGetCString(values[ACCOUNT_SEGMENT]);
		appendStringInfoString(&buf, TextDatumGetCString(values[ACCOUNT_CUSTOMER]));
		if (!nulls[ACCOUNT_NAME])
			appendStringInfo(&buf, " (%s)", TextDatumGetCString(values[ACCOUNT_NAME]));
		if (segment[0] != '\0')
			appendStringInfo(&buf, " in %s", segment);
	}
	ledger_scan_end(&scan);
	ledger_close(accounts);
	return buf.data;
}

/* Sets one text column from a mapped field; true where it changes. */
static bool
take_text(const CreditRow *row, CreditField field, int column,
		  Datum *values, bool *nulls)
{
	bool		isnull = row->isnull[field];

	if (isnull && nulls[column])
		return false;
	if (!isnull && !nulls[column] &&
		datum_image_eq(values[column], row->value[field], false, -1))
		return false;
	values[column] = row->value[field];
	nulls[column] = isnull;
	return true;
}

/* Takes over the facts of a customer row; row NULL: it is gone. */
static void
write_account(const CreditSource *source, const char *customer,
			  const char *segment, const CreditRow *row)
{
	LedgerRel  *accounts = ledger_open(LEDGER_ACCOUNT, RowExclusiveLock);
	TransactionId inserting;
	HeapTuple	tuple = NULL;
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
	bool		changed;

	(void) GetCurrentTransactionId();
	journal_lock_name(customer, segment);
	(void) find_account(accounts, customer, segment, &tuple, &inserting);
	if (tuple == NULL)
		elog(ERROR, "account of customer %s has gone", customer);
	ledger_deform(accounts, tuple, values, nulls);
	if (row != NULL)
	{
		changed = nulls[ACCOUNT_SOURCE_ID] ||
			DatumGetInt32(values[ACCOUNT_SOURCE_ID]) != source->source_id;
		values[ACCOUNT_SOURCE_ID] = Int32GetDatum(source->source_id);
		nulls[ACCOUNT_SOURCE_ID] = false;
		changed |= take_text(row, FIELD_NAME, ACCOUNT_NAME, values, nulls);
		changed |= take_text(row, FIELD_PARENT, ACCOUNT_PARENT, values, nulls);
		changed |= take_text(row, FIELD_STATUS, ACCOUNT_STATUS, values, nulls);
		changed |= take_text(row, FIELD_RATING, ACCOUNT_RATING, values, nulls);
		if (row->isnull[FIELD_TERMS_DAYS] != nulls[ACCOUNT_TERMS_DAYS] ||
			(!nulls[ACCOUNT_TERMS_DAYS] &&
			 values[ACCOUNT_TERMS_DAYS] != row->value[FIELD_TERMS_DAYS]))
		{
			changed = true;
			values[ACCOUNT_TERMS_DAYS] = row->value[FIELD_TERMS_DAYS];
			nulls[ACCOUNT_TERMS_DAYS] = row->isnull[FIELD_TERMS_DAYS];
		}
	}
	else
	{
		changed = !nulls[ACCOUNT_SOURCE_ID];
		nulls[ACCOUNT_SOURCE_ID] = true;
	}
	if (changed)
		ledger_update(accounts, tuple, values, nulls);
	journal_unlock_name(customer, segment);
	ledger_close(accounts);
}

/* What a mapped limit column says under the meanings chosen at attach(). */
static void
mapped_limit(const CreditSource *source, const CreditRow *row, NewLimit *new)
{
	if (row->isnull[FIELD_CREDIT_LIMIT])
		new->state = source->null_limit;
	else
	{
		new->amount = DatumGetNumeric(row->value[FIELD_CREDIT_LIMIT]);
		new->state = credit_is_zero(new->amount) ?
			source->zero_limit : LIMIT_AMOUNT_SET;
	}
	if (new->state != LIMIT_AMOUNT_SET)
		new->amount = NULL;
}

/*
 * A row of a customer source has changed; row NULL: it is gone, or does not
 * count any more.  The account stays: its documents and history do.
 */
void
account_apply_customer(const CreditSource *source, const char *customer,
					   const char *segment, const CreditRow *row)
{
	const char *currency = NULL;
	int64		account_id;
	NewLimit	new;

	if (row != NULL && source->has_field[FIELD_CURRENCY])
		currency = row->isnull[FIELD_CURRENCY] ?
			pstrdup(credit_settings()->currency) :
			TextDatumGetCString(row->value[FIELD_CURRENCY]);
	account_id = account_resolve(customer, segment,
								 currency ? currency : credit_settings()->currency,
								 row != NULL);
	if (account_id == 0)
		return;
	write_account(source, customer, segment, row);
	if (row != NULL && !source->has_limit && currency == NULL)
		return;

	memset(&new, 0, sizeof(new));
	new.source_id = source->source_id;
	new.currency = currency;
	new.currency_only = row != NULL && !source->has_limit;
	new.only_if_mapped = row == NULL;
	new.mapped = row != NULL;
	if (row != NULL)
		mapped_limit(source, row, &new);
	write_limit(account_id, customer, &new);
}

/*
 * apply_customer(relation, source_id, customer, segment, name, currency,
 * credit_limit, parent, status, terms_days, rating): one customer of a
 * backfill, exactly as the trigger would take it.
 */
Datum
credit_apply_customer(PG_FUNCTION_ARGS)
{
	static const CreditField fields[] = {
		FIELD_KEY, FIELD_SEGMENT, FIELD_NAME, FIELD_CURRENCY,
		FIELD_CREDIT_LIMIT, FIELD_PARENT, FIELD_STATUS, FIELD_TERMS_DAYS,
		FIELD_RATING
	};
	Relation	rel;
	CreditSource source;
	CreditRow	row;

	PreventCommandIfReadOnly("credit.apply_customer()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key of a customer is NULL")));
	rel = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with OID %u", PG_GETARG_OID(0))));
	source = *source_by_id(source_lookup(rel), PG_GETARG_INT32(1));
	relation_close(rel, NoLock);

	memset(&row, 0, sizeof(row));
	memset(row.isnull, true, sizeof(row.isnull));
	for (int i = 0; i < (int) lengthof(fields); i++)
	{
		row.isnull[fields[i]] = PG_ARGISNULL(2 + i);
		if (PG_ARGISNULL(2 + i))
			continue;
		row.value[fields[i]] = PG_GETARG_DATUM(2 + i);
		if (credit_fields[fields[i]].type == TEXTOID)
			row.value[fields[i]] =
				PointerGetDatum(PG_DETOAST_DATUM_COPY(row.value[fields[i]]));
		source_check_value(fields[i], row.value[fields[i]], false);
	}
	account_apply_customer(&source, TextDatumGetCString(row.value[FIELD_KEY]),
						   row.isnull[FIELD_SEGMENT] ? "" :
						   TextDatumGetCString(row.value[FIELD_SEGMENT]),
						   &row);
	CommandCounterIncrement();
	PG_RETURN_VOID();
}

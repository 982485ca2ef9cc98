/*
 * account.c
 *	  Accounts: one customer in one segment.
 *
 * Accounts are created and renamed under a lock on their name, so that two
 * first orders of one new customer make one account.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
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
#include "probe.h"
#include "setting.h"
#include "settlement.h"
#include "shortlock.h"
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

PG_FUNCTION_INFO_V1(credit_apply_customer);

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
	strcpy(key, customer);
	strcpy(key + length + 1, segment);
	return true;
}

/* Hash and comparison of a key: of its two strings, not of what is behind. */
static uint32
cache_hash(const void *key, Size size)
{
	Size		length = strlen(key) + 1;

	return hash_bytes(key, length + strlen((const char *) key + length));
}

static int
cache_compare(const void *a, const void *b, Size size)
{
	Size		length = strlen(a) + 1;

	if (strcmp(a, b) != 0)
		return 1;
	return strcmp((const char *) a + length, (const char *) b + length);
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
		ctl.hash = cache_hash;
		ctl.match = cache_compare;
		cached_accounts = hash_create("credit accounts", 256, &ctl,
									  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE);
	}
	cached_relid = relid;
	cache_is_valid = true;
	entry = hash_search(cached_accounts, key, HASH_ENTER, NULL);
	entry->account_id = account_id;
}

/* The account of a name, if one look says that it is there and settled, else 0. */
static int64
probe_account(LedgerRel *accounts, const char *customer, const char *segment)
{
	Datum		keys[2];
	LedgerFetch fetch;
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
	int64		account_id;

	keys[0] = CStringGetTextDatum(customer);
	keys[1] = CStringGetTextDatum(segment);
	if (!probe_row(accounts, ACCOUNT_NAME_INDEX, keys, 2, &fetch))
		return 0;
	ledger_deform(accounts, &fetch.tuple, values, nulls);
	account_id = DatumGetInt64(values[ACCOUNT_ID]);
	if (!ledger_tuple_is_own(&fetch.tuple))
		cache_put(RelationGetRelid(accounts->rel), customer, segment, account_id);
	ledger_release(&fetch);
	return account_id;
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
	account_id = probe_account(accounts, customer, segment);
	if (account_id != 0)
	{
		ledger_close(accounts);
		return account_id;
	}
	for (;;)
	{
		account_id = find_account(accounts, customer, segment, NULL, &inserting);
		if (account_id != 0 && !TransactionIdIsValid(inserting))
			break;
		if (account_id != 0)
		{
			wait_or_refuse(inserting, WAIT_ACCOUNT, 0, customer);
			continue;
		}
		if (!create)
			break;

		(void) GetCurrentTransactionId();
		shortlock_take_name(customer, segment);
		account_id = find_account(accounts, customer, segment, NULL, &inserting);
		if (account_id == 0)
			account_id = insert_account(accounts, customer, segment, currency);
		shortlock_give_name(customer, segment);
		if (!TransactionIdIsValid(inserting))
			break;
	}
	ledger_close(accounts);
	return account_id;
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
	bool		other_terms = false;

	(void) GetCurrentTransactionId();
	shortlock_take_name(customer, segment);
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
			changed = other_terms = true;
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
		ledger_must_update(accounts, tuple, values, nulls);
	shortlock_give_name(customer, segment);
	ledger_close(accounts);
	/* due dates that nobody states hang on them */
	if (other_terms && ledger_exists(LEDGER_MONTH_MARK))
		settlement_mark_all(DatumGetInt64(values[ACCOUNT_ID]));
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
		limit_from_row(source, row, &new);
	limit_write(account_id, customer, &new);
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

/*
 * limit.c
 *	  The limit of an account.
 *
 * The limit row is written under the account's short lock and read under it,
 * always at its latest committed value: a stale snapshot must not pass a
 * lowered limit.  A change that is not committed yet shows as a second version;
 * a check that both versions answer alike need not wait.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "account.h"
#include "credit.h"
#include "journal.h"
#include "limit.h"
#include "probe.h"
#include "sabotage.h"
#include "setting.h"
#include "shortlock.h"
#include "vector.h"
#include "wait.h"

static const char *const limit_state_names[] = {
	[LIMIT_NOT_SET] = "not_set",
	[LIMIT_AMOUNT_SET] = "amount",
	[LIMIT_UNLIMITED] = "unlimited",
	[LIMIT_BLOCKED] = "blocked",
};

/*
 * Where the limit row of an account was seen last.  That place is looked at
 * first: a version that is alive there, and that nobody is changing, is the
 * one in force, and no index need be asked.
 */
#define CACHE_MAX_ENTRIES 20000

typedef struct LimitPlace
{
	int64		account_id;		/* hash key, must be first */
	ItemPointerData tid;
} LimitPlace;

static HTAB *places = NULL;
static Oid	places_relid = InvalidOid;
static bool places_are_valid = false;

PG_FUNCTION_INFO_V1(credit_write_limit);

/* Only marks. */
void
credit_limit_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == places_relid)
		places_are_valid = false;
}

static void
remember_place(LedgerRel *limits, int64 account_id, ItemPointer tid)
{
	LimitPlace *place;

	if (places != NULL && (!places_are_valid ||
						   hash_get_num_entries(places) >= CACHE_MAX_ENTRIES))
	{
		hash_destroy(places);
		places = NULL;
	}
	if (places == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(int64);
		ctl.entrysize = sizeof(LimitPlace);
		places = hash_create("credit limits", 256, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	places_relid = RelationGetRelid(limits->rel);
	places_are_valid = true;
	place = hash_search(places, &account_id, HASH_ENTER, NULL);
	place->tid = *tid;
}

/* Fetches the limit row from where it was; false: it must be looked for. */
static bool
fetch_from_place(LedgerRel *limits, int64 account_id, LedgerFetch *fetch)
{
	LimitPlace *place;

	if (!places_are_valid || places_relid != RelationGetRelid(limits->rel))
		return false;
	place = hash_search(places, &account_id, HASH_FIND, NULL);
	return place != NULL && ledger_fetch(limits, &place->tid, false, fetch);
}

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

/* Takes one version of the row into what is known of the limit. */
static void
take_version(AccountLimit *limit, const Datum *values, const bool *nulls)
{
	load_limit(values, nulls, &limit->versions[limit->nversions++]);
	limit->currency = TextDatumGetCString(values[LIMIT_CURRENCY]);
}

static void
put_first(AccountLimit *limit, int i)
{
	LimitVersion version = limit->versions[i];

	limit->versions[i] = limit->versions[0];
	limit->versions[0] = version;
}

/* Takes a row that was fetched, if it is that of the account and settled. */
static bool
take_settled(LedgerRel *limits, int64 account_id, AccountLimit *limit,
			 HeapTuple *copy, LedgerFetch *fetch)
{
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
	bool		settled;

	ledger_deform(limits, &fetch->tuple, values, nulls);
	settled = DatumGetInt64(values[LIMIT_ACCOUNT_ID]) == account_id &&
		(SABOTAGED(LIMIT_PLACE) ||
		 (!TransactionIdIsValid(fetch->dirty.xmin) &&
		  !TransactionIdIsValid(fetch->dirty.xmax)));
	if (settled)
	{
		take_version(limit, values, nulls);
		if (copy)
			*copy = heap_copytuple(&fetch->tuple);
	}
	ledger_release(fetch);
	return settled;
}

/*
 * Reads the limit row without a scan: where it was seen last, or where the
 * index says, if it is settled there.
 */
static bool
read_settled(LedgerRel *limits, int64 account_id, AccountLimit *limit,
			 HeapTuple *copy)
{
	Datum		key = Int64GetDatum(account_id);
	LedgerFetch fetch;
	ItemPointerData tid;

	if (fetch_from_place(limits, account_id, &fetch) &&
		take_settled(limits, account_id, limit, copy, &fetch))
		return true;
	if (!probe_row(limits, NULL, &key, 1, &fetch))
		return false;
	tid = fetch.tuple.t_self;
	if (!take_settled(limits, account_id, limit, copy, &fetch))
		return false;
	remember_place(limits, account_id, &tid);
	return true;
}

/*
 * Reads the versions of an account's limit row, dirty; the newest settled one
 * goes into copy.  The one in force comes first in limit, because that is what
 * is told to people; the index may give it after one that nobody has committed.
 * The caller holds the short lock of the account, so that no version comes or
 * goes, only their status moves.
 */
static void
read_versions(LedgerRel *limits, int64 account_id, AccountLimit *limit,
			  HeapTuple *copy)
{
	ScanKeyData key;
	LedgerScan	scan;
	HeapTuple	tuple;
	Snapshot	snapshot = NULL;

	if (SABOTAGED(LIMIT_SNAPSHOT) && copy == NULL)
	{
		snapshot = GetActiveSnapshot();
		memset(&scan, 0, sizeof(scan));
	}
	memset(limit, 0, sizeof(AccountLimit));
	if (snapshot == NULL && read_settled(limits, account_id, limit, copy))
		return;
	ledger_key(limits, &key, LIMIT_ACCOUNT_ID, BTEqualStrategyNumber,
			   F_INT8EQ, Int64GetDatum(account_id));
	ledger_scan(&scan, limits, NULL, snapshot, &key, 1);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		bool		in_force = !TransactionIdIsValid(scan.dirty.xmin);

		/* read before anything else: it belongs to this tuple alone */
		if (!in_force)
			limit->changing_xid = scan.dirty.xmin;
		else if (TransactionIdIsValid(scan.dirty.xmax))
			limit->changing_xid = scan.dirty.xmax;
		if (limit->nversions == LIMIT_MAX_VERSIONS)
			break;				/* undecided anyway */
		ledger_deform(limits, tuple, values, nulls);
		take_version(limit, values, nulls);
		if (in_force)
			put_first(limit, limit->nversions - 1);
		remember_place(limits, account_id, &tuple->t_self);
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
limit_read(LedgerRel *limits, int64 account_id, AccountLimit *limit)
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
void
limit_write(int64 account_id, const char *customer, const NewLimit *new)
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
		shortlock_take(account_id);
		read_versions(limits, account_id, &limit, &tuple);
		if (!TransactionIdIsValid(limit.changing_xid))
			break;
		shortlock_give(account_id);
		wait_or_refuse(limit.changing_xid, WAIT_LIMIT, new->source_id, customer);
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
		ledger_must_update(limits, tuple, values, nulls);
	shortlock_give(account_id);
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
	limit_write(account_id, customer, &new);
	PG_RETURN_INT64(account_id);
}

/* What a mapped limit column says under the meanings chosen at attach(). */
void
limit_from_row(const CreditSource *source, const CreditRow *row, NewLimit *new)
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

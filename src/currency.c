/*
 * currency.c
 *	  Amounts in other currencies, for SQL.
 *
 * The rates are those of rate.c, as the snapshot of the query sees them.  A
 * query mostly asks for the same few pairs and days again and again, so each
 * call keeps the rates it has found for as long as the snapshot is the same.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "rate.h"
#include "setting.h"
#include "vector.h"

/* Of a rate type; one that is longer cannot be in the table. */
#define TYPE_BYTES 30

/* Rates to keep: a few pairs over some years of days. */
#define MEMO_MAX_ENTRIES 5000

typedef struct MemoKey
{
	char		type[TYPE_BYTES + 2];	/* padded with zeros, each */
	char		from[RATE_CURRENCY_BYTES + 4];
	char		to[RATE_CURRENCY_BYTES + 4];
	DateADT		day;
} MemoKey;

typedef struct MemoEntry
{
	MemoKey		key;			/* hash key, must be first */
	CreditRate	rate;
} MemoEntry;

/* What a call has found out, while the snapshot stays the same. */
typedef struct Memo
{
	MemoryContext cxt;			/* of all but this struct */
	HTAB	   *entries;
	TransactionId xmin;
	TransactionId xmax;
	CommandId	curcid;
	uint32		xcnt;
	int32		subxcnt;
	TransactionId *xip;
	TransactionId *subxip;
	int			rate_age;
	char	   *base;
} Memo;

PG_FUNCTION_INFO_V1(credit_round_amount);
PG_FUNCTION_INFO_V1(credit_find_rate);
PG_FUNCTION_INFO_V1(credit_rate);
PG_FUNCTION_INFO_V1(credit_convert);
PG_FUNCTION_INFO_V1(credit_convert_exposure);

/* A list of none may be no list at all, which memcmp must not be given. */
static bool
same_xids(const TransactionId *a, const TransactionId *b, int n)
{
	return n <= 0 || memcmp(a, b, sizeof(TransactionId) * n) == 0;
}

static bool
memo_is_current(const Memo *memo, Snapshot snapshot)
{
	const CreditSettings *settings = credit_settings();

	return memo->entries != NULL &&
		memo->xmin == snapshot->xmin && memo->xmax == snapshot->xmax &&
		memo->curcid == snapshot->curcid && memo->xcnt == snapshot->xcnt &&
		memo->subxcnt == snapshot->subxcnt &&
		same_xids(memo->xip, snapshot->xip, memo->xcnt) &&
		same_xids(memo->subxip, snapshot->subxip, memo->subxcnt) &&
		memo->rate_age == settings->rate_age &&
		strcmp(memo->base, settings->currency) == 0 &&
		hash_get_num_entries(memo->entries) < MEMO_MAX_ENTRIES;
}

static TransactionId *
copy_xids(const TransactionId *xids, int n)
{
	TransactionId *copy = palloc(sizeof(TransactionId) * Max(n, 1));

	if (n > 0)
		memcpy(copy, xids, sizeof(TransactionId) * n);
	return copy;
}

static void
begin_memo(Memo *memo, Snapshot snapshot)
{
	const CreditSettings *settings = credit_settings();
	MemoryContext old;
	HASHCTL		ctl;

	memo->entries = NULL;
	MemoryContextReset(memo->cxt);
	old = MemoryContextSwitchTo(memo->cxt);
	memo->xmin = snapshot->xmin;
	memo->xmax = snapshot->xmax;
	memo->curcid = snapshot->curcid;
	memo->xcnt = snapshot->xcnt;
	memo->subxcnt = snapshot->subxcnt;
	memo->xip = copy_xids(snapshot->xip, snapshot->xcnt);
	memo->subxip = copy_xids(snapshot->subxip, snapshot->subxcnt);
	memo->rate_age = settings->rate_age;
	memo->base = pstrdup(settings->currency);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(MemoKey);
	ctl.entrysize = sizeof(MemoEntry);
	ctl.hcxt = memo->cxt;
	memo->entries = hash_create("credit rates of a call", 16, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	MemoryContextSwitchTo(old);
}

/* What this call has found out so far, as far as it still holds. */
static Memo *
get_memo(FunctionCallInfo fcinfo, Snapshot snapshot)
{
	Memo	   *memo = fcinfo->flinfo->fn_extra;

	if (memo == NULL)
	{
		memo = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Memo));
		memo->cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
										  "credit rates of a call",
										  ALLOCSET_SMALL_SIZES);
		fcinfo->flinfo->fn_extra = memo;
	}
	if (!memo_is_current(memo, snapshot))
		begin_memo(memo, snapshot);
	return memo;
}

/* Fills a zeroed field; false: too long. */
static bool
fill(char *field, Size size, const text *value)
{
	if (VARSIZE_ANY_EXHDR(value) > size)
		return false;
	memcpy(field, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	return true;
}

/* Looks into the table. */
static void
look_up(Snapshot snapshot, const MemoKey *key, CreditRate *rate)
{
	LedgerRel  *rates = ledger_open(LEDGER_EXCHANGE_RATE, AccessShareLock);

	rate_find(rates, snapshot, key->type, key->from, key->to, key->day, rate);
	ledger_close(rates);
}

/*
 * The rate from one currency to another on a day, by the arguments from `first`
 * on: from, to, day, type; type NULL: that of the setting.  NULL: one of the
 * others is.  Good until the next row.
 */
static const CreditRate *
rate_of_arguments(FunctionCallInfo fcinfo, int first)
{
	static const CreditRate missing = {.path = RATE_MISSING, .date = DATEVAL_NOBEGIN};
	Snapshot	snapshot = GetActiveSnapshot();
	Memo	   *memo;
	MemoKey		key;
	MemoEntry  *entry;
	CreditRate	rate;
	bool		known;

	if (PG_ARGISNULL(first) || PG_ARGISNULL(first + 1) || PG_ARGISNULL(first + 2))
		return NULL;
	memset(&key, 0, sizeof(key));
	known = fill(key.from, RATE_CURRENCY_BYTES, PG_GETARG_TEXT_PP(first)) &
		fill(key.to, RATE_CURRENCY_BYTES, PG_GETARG_TEXT_PP(first + 1));
	key.day = PG_GETARG_DATEADT(first + 2);
	if (DATE_IS_NOEND(key.day))
		key.day = credit_today();
	if (PG_NARGS() <= first + 3 || PG_ARGISNULL(first + 3))
		strcpy(key.type, credit_settings()->rate_type);
	else
		known &= fill(key.type, TYPE_BYTES, PG_GETARG_TEXT_PP(first + 3));
	if (!known)
		return &missing;

	memo = get_memo(fcinfo, snapshot);
	entry = hash_search(memo->entries, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return &entry->rate;
	look_up(snapshot, &key, &rate);
	rate = rate_copy(memo->cxt, &rate);
	entry = hash_search(memo->entries, &key, HASH_ENTER, NULL);
	entry->rate = rate;
	return &entry->rate;
}

/* round_amount(amount, currency) */
Datum
credit_round_amount(PG_FUNCTION_ARGS)
{
	PG_RETURN_NUMERIC(rate_round(PG_GETARG_NUMERIC(0),
								 text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/* find_rate(from, to, day, type): rate, date and path */
Datum
credit_find_rate(PG_FUNCTION_ARGS)
{
	const CreditRate *rate = rate_of_arguments(fcinfo, 0);
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {true, true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != (int) lengthof(values))
		elog(ERROR, "return type must be a row of %d columns", (int) lengthof(values));
	if (rate != NULL)
	{
		nulls[0] = !rate_is_usable(rate);
		if (!nulls[0])
			values[0] = NumericGetDatum(rate_value(rate));
		nulls[1] = rate->date == DATEVAL_NOBEGIN;
		values[1] = DateADTGetDatum(rate->date);
		nulls[2] = false;
		values[2] = CStringGetTextDatum(rate_path_name(rate->path));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/* rate(from, to, day, type) */
Datum
credit_rate(PG_FUNCTION_ARGS)
{
	const CreditRate *rate = rate_of_arguments(fcinfo, 0);

	if (rate == NULL || !rate_is_usable(rate))
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(rate_value(rate));
}

/* convert(amount, from, to, day, type) */
Datum
credit_convert(PG_FUNCTION_ARGS)
{
	const CreditRate *rate;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	rate = rate_of_arguments(fcinfo, 1);
	if (rate == NULL || !rate_is_usable(rate))
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(rate_apply(rate, PG_GETARG_NUMERIC(0)));
}

/*
 * convert_exposure(amount, balance, from, to, day): as the check converts, so
 * that views and refusals have one figure.
 */
Datum
credit_convert_exposure(PG_FUNCTION_ARGS)
{
	const CreditRate *rate;
	Numeric		amount;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	amount = PG_GETARG_NUMERIC(0);
	/* nothing is nothing, and one's own currency is as it is, rate or no rate */
	if (credit_is_zero(amount) ||
		DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
											 PG_GETARG_DATUM(2),
											 PG_GETARG_DATUM(3))))
		PG_RETURN_NUMERIC(amount);
	rate = rate_of_arguments(fcinfo, 2);
	if (rate == NULL || !rate_is_usable(rate))
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(rate_apply_add_on(rate, amount, PG_GETARG_NUMERIC(1)));
}

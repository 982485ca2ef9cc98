/*
 * rate.c
 *	  Exchange rates: which one counts, and what an amount is worth by it.
 *
 * A rate of type t from currency F to currency T on day A is the last one of
 * credit.exchange_rate with valid_on <= A that is not older than setting
 * rate_age: F to T as it stands, else one over T to F, else F to the base
 * currency and from there to T, each part either way round; else there is none.
 * A missing rate is never taken for 1 and never left out.
 *
 * Rates are kept as quotients and amounts are converted without rounding; what
 * is added up is rounded once, at the end.
 *
 * The check reads rates per account and currency under its short lock, where
 * no table may be opened.  So rates in force today are kept per backend, until
 * a trigger on the table says that it has changed; the check that meets a
 * currency it has no rate of lets go of the lock, has it loaded, and starts
 * again.  An account whose documents are all in its own currency comes nowhere
 * near this file.
 *
 * They are read under the latest snapshot, not the transaction's: a transaction
 * in REPEATABLE READ is to convert as everybody else does.  In SERIALIZABLE that
 * counts as reading the rates; a dirty scan would not, but can miss a row that
 * is updated meanwhile.
 */
#include "postgres.h"

#include "access/genam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "rate.h"
#include "setting.h"
#include "vector.h"

/*
 * Decimals a quotient is taken to, and decimals it is trusted to: what is lost
 * between them disappears before a sum is rounded to money.
 */
#define QUOTIENT_DECIMALS 30
#define TRUSTED_DECIMALS 20

/* Pairs of currencies to keep; ERPs can hold anything in a currency column. */
#define CACHE_MAX_ENTRIES 10000

typedef struct RateKey
{
	char		from[RATE_CURRENCY_BYTES + 4];	/* padded with zeros */
	char		to[RATE_CURRENCY_BYTES + 4];
} RateKey;

typedef struct RateEntry
{
	RateKey		key;			/* hash key, must be first */
	CreditRate	rate;			/* amounts live in rate_context */
} RateEntry;

/* The rates in force, and what they are in force for. */
static struct
{
	HTAB	   *entries;		/* NULL: this session has not converted yet */
	bool		valid;
	bool		has_table;		/* the catalog of an old version has none */
	Oid			relid;
	DateADT		day;
	int			max_age;
	const char *type;
	const char *base;
} cache;

static MemoryContext rate_context = NULL;

static const char *const path_names[] = {
	[RATE_MISSING] = "missing",
	[RATE_STALE] = "stale",
	[RATE_SAME] = "same",
	[RATE_DIRECT] = "direct",
	[RATE_INVERSE] = "inverse",
	[RATE_CROSS] = "cross",
};

/* Currencies of ISO 4217 whose minor unit is not a hundredth. */
static const struct
{
	char		code[4];
	int			decimals;
}			odd_currencies[] = {
	{"BHD", 3}, {"BIF", 0}, {"CLF", 4}, {"CLP", 0}, {"DJF", 0}, {"GNF", 0},
	{"IQD", 3}, {"ISK", 0}, {"JOD", 3}, {"JPY", 0}, {"KMF", 0}, {"KRW", 0},
	{"KWD", 3}, {"LYD", 3}, {"OMR", 3}, {"PYG", 0}, {"RWF", 0}, {"TND", 3},
	{"UGX", 0}, {"UYI", 0}, {"UYW", 4}, {"VND", 0}, {"VUV", 0}, {"XAF", 0},
	{"XOF", 0}, {"XPF", 0},
};

/* Only marks: runs in the middle of anything that touches a catalog. */
void
credit_rate_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == cache.relid)
		cache.valid = false;
}

void
credit_rate_init(void)
{
	rate_context = AllocSetContextCreate(CacheMemoryContext, "credit rates",
										 ALLOCSET_SMALL_SIZES);
}

const char *
rate_path_name(RatePath path)
{
	return path_names[path];
}

static Numeric
copy_numeric(MemoryContext cxt, Numeric value)
{
	return value == NULL ? NULL :
		memcpy(MemoryContextAlloc(cxt, VARSIZE(value)), value, VARSIZE(value));
}

CreditRate
rate_copy(MemoryContext cxt, const CreditRate *rate)
{
	CreditRate	copy = *rate;

	copy.num = copy_numeric(cxt, rate->num);
	copy.den = copy_numeric(cxt, rate->den);
	return copy;
}

/* --- arithmetic ------------------------------------------------------------ */

static Numeric
multiply(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

static Numeric
round_to(Numeric a, int decimals)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_round, NumericGetDatum(a),
											   Int32GetDatum(decimals)));
}

/* The decimals of the dividend are what numeric_div goes by. */
static Numeric
divide(Numeric a, Numeric b)
{
	if (b == NULL)
		return a;
	return DatumGetNumeric(DirectFunctionCall2(numeric_div,
											   NumericGetDatum(round_to(a, QUOTIENT_DECIMALS)),
											   NumericGetDatum(b)));
}

/* What an amount is worth, not rounded; NULL is 0. */
Numeric
rate_apply(const CreditRate *rate, Numeric amount)
{
	if (amount == NULL)
		return credit_zero();
	return divide(multiply(amount, rate->num), rate->den);
}

/*
 * The same with the add-on for the risk of the rate, which goes onto what a
 * customer owes in a currency: the part `amount` of a balance.  A credit balance
 * is worth less, not more, when the rate moves.
 */
Numeric
rate_apply_add_on(const CreditRate *rate, Numeric amount, Numeric balance)
{
	Numeric		add_on = credit_settings()->rate_add_on;
	Numeric		worth = rate_apply(rate, amount);

	if (rate->path == RATE_SAME || credit_is_zero(add_on) ||
		credit_compare(balance, NULL) <= 0)
		return worth;
	return credit_add(worth, multiply(worth, add_on));
}

/*
 * Rounds a sum to the minor unit of its currency, half away from zero.  First
 * what quotients have left behind: a third, three times, is one.
 */
Numeric
rate_round(Numeric amount, const char *currency)
{
	int			decimals = 2;

	for (int i = 0; i < (int) lengthof(odd_currencies); i++)
		if (strcmp(currency, odd_currencies[i].code) == 0)
			decimals = odd_currencies[i].decimals;
	return round_to(round_to(amount, TRUSTED_DECIMALS), decimals);
}

/* The rate as one number; of a quotient, to 20 decimals. */
Numeric
rate_value(const CreditRate *rate)
{
	Numeric		one = int64_to_numeric(1);
	Numeric		num = rate->num ? rate->num : one;

	if (rate->den == NULL)
		return num;
	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											   NumericGetDatum(round_to(divide(num, rate->den),
																		TRUSTED_DECIMALS))));
}

/* "1.10", "1 / 0.80" as people find it in the table. */
char *
rate_text(const CreditRate *rate)
{
	char	   *num = rate->num ? credit_amount_text(rate->num) : "1";

	return rate->den == NULL ? num :
		psprintf("%s / %s", num, credit_amount_text(rate->den));
}

/* --- from the table -------------------------------------------------------- */

/* The last rate that stands there up to a day; false: there is none. */
static bool
last_rate(LedgerRel *rates, Snapshot snapshot, const char *rate_type,
		  const char *from, const char *to, DateADT day,
		  Numeric *value, DateADT *date)
{
	ScanKeyData keys[4];
	LedgerScan	scan;
	HeapTuple	tuple;

	ledger_key(rates, &keys[0], RATE_TYPE, BTEqualStrategyNumber, F_TEXTEQ,
			   CStringGetTextDatum(rate_type));
	ledger_key(rates, &keys[1], RATE_FROM, BTEqualStrategyNumber, F_TEXTEQ,
			   CStringGetTextDatum(from));
	ledger_key(rates, &keys[2], RATE_TO, BTEqualStrategyNumber, F_TEXTEQ,
			   CStringGetTextDatum(to));
	ledger_key(rates, &keys[3], RATE_VALID_ON, BTLessEqualStrategyNumber,
			   F_DATE_LE, DateADTGetDatum(day));
	ledger_scan(&scan, rates, NULL, snapshot, keys, lengthof(keys));
	tuple = ledger_next(&scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(rates, tuple, values, nulls);
		*value = DatumGetNumericCopy(values[RATE_RATE]);
		*date = DatumGetDateADT(values[RATE_VALID_ON]);
	}
	ledger_scan_end(&scan);
	return HeapTupleIsValid(tuple);
}

static bool
is_fresh(DateADT date, DateADT day)
{
	return (int64) day - date <= credit_settings()->rate_age;
}

/* A rate without a detour. */
static void
find_pair(LedgerRel *rates, Snapshot snapshot, const char *rate_type,
		  const char *from, const char *to, DateADT day, CreditRate *rate)
{
	Numeric		value;
	DateADT		date;

	memset(rate, 0, sizeof(CreditRate));
	rate->date = DATEVAL_NOBEGIN;
	if (last_rate(rates, snapshot, rate_type, from, to, day, &value, &date))
	{
		rate->date = date;
		rate->path = is_fresh(date, day) ? RATE_DIRECT : RATE_STALE;
		rate->num = value;
	}
	if (rate->path == RATE_DIRECT ||
		!last_rate(rates, snapshot, rate_type, to, from, day, &value, &date))
		return;
	rate->date = Max(rate->date, date);
	rate->path = is_fresh(date, day) ? RATE_INVERSE : RATE_STALE;
	rate->num = NULL;
	rate->den = value;
}

/*
 * The rate that counts on a day.  Of several that are too old, the date of the
 * youngest is said: it is the one to be brought up to date.
 */
void
rate_find(LedgerRel *rates, Snapshot snapshot, const char *rate_type,
		  const char *from, const char *to, DateADT day, CreditRate *rate)
{
	const char *base = pstrdup(credit_settings()->currency);
	CreditRate	first;
	CreditRate	second;

	memset(rate, 0, sizeof(CreditRate));
	rate->date = DATEVAL_NOBEGIN;
	if (strcmp(from, to) == 0)
	{
		rate->path = RATE_SAME;
		return;
	}
	if (DATE_NOT_FINITE(day))
		return;
	find_pair(rates, snapshot, rate_type, from, to, day, rate);
	if (rate_is_usable(rate) || strcmp(from, base) == 0 || strcmp(to, base) == 0)
		return;
	find_pair(rates, snapshot, rate_type, from, base, day, &first);
	find_pair(rates, snapshot, rate_type, base, to, day, &second);
	if (rate_is_usable(&first) && rate_is_usable(&second))
	{
		rate->path = RATE_CROSS;
		rate->num = multiply(first.num, second.num);
		rate->den = multiply(first.den, second.den);
		rate->date = Min(first.date, second.date);
	}
	else if (first.path != RATE_MISSING && second.path != RATE_MISSING)
	{
		rate->path = RATE_STALE;
		rate->date = Max(rate->date, Min(first.date, second.date));
	}
}

/* --- rates in force -------------------------------------------------------- */

/* Do the rates kept count now? */
static bool
cache_is_current(void)
{
	const CreditSettings *settings = credit_settings();

	return cache.valid && cache.day == credit_today() &&
		cache.max_age == settings->rate_age &&
		strcmp(cache.type, settings->rate_type) == 0 &&
		strcmp(cache.base, settings->currency) == 0;
}

static void
reset_cache(void)
{
	const CreditSettings *settings = credit_settings();
	HASHCTL		ctl;
	MemoryContext old;

	cache.valid = false;
	cache.entries = NULL;
	MemoryContextReset(rate_context);
	old = MemoryContextSwitchTo(rate_context);
	cache.day = credit_today();
	cache.max_age = settings->rate_age;
	cache.type = pstrdup(settings->rate_type);
	cache.base = pstrdup(settings->currency);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(RateKey);
	ctl.entrysize = sizeof(RateEntry);
	ctl.hcxt = rate_context;
	cache.entries = hash_create("credit rates", 32, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	MemoryContextSwitchTo(old);
}

/* False: no such currency can have a rate. */
static bool
make_key(const char *from, const char *to, RateKey *key)
{
	memset(key, 0, sizeof(RateKey));
	if (strlen(from) > RATE_CURRENCY_BYTES || strlen(to) > RATE_CURRENCY_BYTES)
		return false;
	strcpy(key->from, from);
	strcpy(key->to, to);
	return true;
}

/*
 * To be called before the short lock is taken: hears of rates that others have
 * changed.  Later statements of a transaction would not hear of it by
 * themselves, as they have the locks already that they ask for.
 */
void
rate_begin(void)
{
	if (cache.entries == NULL)
		return;
	AcceptInvalidationMessages();
	/* a table that comes with an update is not announced */
	if (!cache.has_table)
		cache.valid = false;
}

/*
 * The rate in force today, from memory; NULL: it has to be loaded.  Good until
 * the next rate_load.
 */
const CreditRate *
rate_in_force(const char *from, const char *to)
{
	static const CreditRate missing = {.path = RATE_MISSING, .date = DATEVAL_NOBEGIN};
	RateKey		key;
	RateEntry  *entry;

	if (!make_key(from, to, &key))
		return &missing;
	if (!cache_is_current())
		return NULL;
	entry = hash_search(cache.entries, &key, HASH_FIND, NULL);
	return entry != NULL ? &entry->rate : NULL;
}

static void
keep_rate(const RateKey *key, const CreditRate *rate)
{
	CreditRate	copy = rate_copy(rate_context, rate);
	RateEntry  *entry = hash_search(cache.entries, key, HASH_ENTER, NULL);

	entry->rate = copy;
}

/*
 * Loads the rates in force from some currencies to another; not to be called
 * under the short lock.  What arrives of changes while it reads marks the cache
 * again, and the next look finds that out.
 */
void
rate_load(List *currencies, const char *to)
{
	LedgerRel  *rates = NULL;
	Snapshot	snapshot;
	ListCell   *lc;

	CHECK_FOR_INTERRUPTS();
	cache.has_table = ledger_exists(LEDGER_EXCHANGE_RATE);
	if (cache.has_table)
	{
		rates = ledger_open(LEDGER_EXCHANGE_RATE, AccessShareLock);
		cache.relid = ledger_relid(LEDGER_EXCHANGE_RATE);
	}
	if (cache.entries == NULL || !cache_is_current() ||
		hash_get_num_entries(cache.entries) >= CACHE_MAX_ENTRIES)
		reset_cache();
	cache.valid = true;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	foreach(lc, currencies)
	{
		const char *from = lfirst(lc);
		CreditRate	rate = {.path = RATE_MISSING, .date = DATEVAL_NOBEGIN};
		RateKey		key;

		if (!make_key(from, to, &key))
			continue;
		if (rates != NULL)
			rate_find(rates, snapshot, cache.type, from, to, cache.day, &rate);
		keep_rate(&key, &rate);
	}
	UnregisterSnapshot(snapshot);
	if (rates != NULL)
		ledger_close(rates);
}

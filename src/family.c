/*
 * family.c
 *	  Documents that name one another, while a statement changes them.
 *
 * A delivery names its order, an invoice its order or delivery, a payment its
 * invoice; links and applications join two documents.  What a document adds to
 * exposure depends on the sums of those that name it (stage.c), so these sums
 * stand on its item: `delivered`, `invoiced`, `settled`.
 *
 * They are kept by one rule: before anything of a document changes, its share
 * is taken out of the sums of those it names; after it, the new share is put
 * in.  A document that comes, goes, or changes its currency makes the shares
 * of all that name it appear or vanish in the same way.  Nothing hangs on the
 * order in which documents reach the database: a key that is named before its
 * document comes gets a row of its own, where whoever brings the document
 * meets the one who named it.
 *
 * Orders mostly stop counting when all is invoiced, while their deliveries and
 * invoices go on: the row of such an order goes on too, with amount 0, in the
 * account of its deliveries.
 *
 * The items that are looked up are locked until the end of the transaction.
 * Nobody can name a document without having locked its row, so the documents
 * that name a locked one do not change under us.
 *
 * Where no attached source names another, none of this is done.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "account.h"
#include "credit.h"
#include "directory.h"
#include "family.h"
#include "setting.h"
#include "settlement.h"
#include "stage.h"

#define ORIGIN_INDEX "item_origin"
#define DOCUMENT_INDEX "item_document"

/* Key of Family.members. */
typedef struct MemberKey
{
	int32		source_id;
	const char *key;
} MemberKey;

typedef struct Member
{
	MemberKey	key;			/* hash key, must be first */
	Document   *document;
} Member;

/* A debt and what states that it was settled. */
typedef struct Pair
{
	Document   *debt;
	Document   *stated_by;
	Document   *payment;		/* NULL: none */
} Pair;

/* A document that is named by others of a statement; to lock them in order. */
typedef struct Named
{
	CreditKind	kind;
	const char *key;
} Named;

static uint32
member_hash(const void *key, Size size)
{
	const MemberKey *member = key;

	return hash_combine(string_hash(member->key, strlen(member->key) + 1),
						member->source_id);
}

static int
member_match(const void *a, const void *b, Size size)
{
	const MemberKey *x = a;
	const MemberKey *y = b;

	return x->source_id != y->source_id || strcmp(x->key, y->key) != 0;
}

Family *
family_create(LedgerRel *items, bool trusts_inserts)
{
	Family	   *family = palloc0(sizeof(Family));
	HASHCTL		ctl;

	family->items = items;
	family->has_references = directory()->has_references;
	family->trusts_inserts = trusts_inserts;
	family->today = credit_today();
	family->allocated = 8;
	family->documents = palloc(sizeof(Document *) * family->allocated);
	if (!family->has_references)
		return family;
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(MemberKey);
	ctl.entrysize = sizeof(Member);
	ctl.hash = member_hash;
	ctl.match = member_match;
	ctl.hcxt = CurrentMemoryContext;
	family->members = hash_create("credit family", 64, &ctl,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	return family;
}

/* A new document in the family, of which nothing is known yet. */
static Document *
add_document(Family *family, const CreditSource *source, const char *key)
{
	Document   *document = palloc(sizeof(Document));

	memset(document, 0, offsetof(Document, old));
	memset(&document->old, 0, offsetof(CreditItem, values));
	memset(&document->new, 0, offsetof(CreditItem, values));
	memset(&document->posted, 0, sizeof(Document) - offsetof(Document, posted));
	document->source = source;
	document->key = key;
	if (family->n == family->allocated)
	{
		family->allocated *= 2;
		family->documents = repalloc_huge(family->documents,
										  sizeof(Document *) * family->allocated);
	}
	family->documents[family->n++] = document;
	return document;
}

/* The member of the family with a key; found: it was there before. */
static Document *
member_of(Family *family, const CreditSource *source, const char *key, bool *found)
{
	MemberKey	wanted = {source->source_id, key};
	Member	   *member = hash_search(family->members, &wanted, HASH_ENTER, found);

	if (!*found)
	{
		member->key.key = pstrdup(key);
		member->document = add_document(family, source, member->key.key);
	}
	return member->document;
}

/* A document as the table has it, locked; looked up once. */
static Document *
get_document(Family *family, const CreditSource *source, const char *key)
{
	bool		found;
	Document   *document = member_of(family, source, key, &found);

	if (found)
		return document;
	item_find_locked(family->items, source->source_id, key, &document->old);
	document->new = document->old;
	CHECK_FOR_INTERRUPTS();
	return document;
}

/* Makes sure that a key which a document names has a row. */
static void
hold_key(Family *family, Document *document)
{
	while (!document->new.is_row)
	{
		if (item_hold_key(family->items, document->source->source_id, document->key))
			CommandCounterIncrement();	/* to be seen, and changed, by us */
		item_find_locked(family->items, document->source->source_id,
						 document->key, &document->old);
		document->new = document->old;
	}
}

/* Kind of the documents that column origin of a source's items names. */
static CreditKind
origin_reference(const CreditSource *source)
{
	switch (source->kind)
	{
		case KIND_DELIVERY:
		case KIND_INVOICE:
		case KIND_RECEIVABLE:
		case KIND_LINK:
			return source->origin_kind;
		case KIND_CREDIT_NOTE:
		case KIND_PAYMENT:
		case KIND_APPLICATION:
			return source->applies_to_kind;
		default:
			return KIND_NONE;
	}
}

/* The same of column document. */
static CreditKind
document_reference(const CreditSource *source)
{
	switch (source->kind)
	{
		case KIND_LINK:
			return source->applies_to_kind;
		case KIND_APPLICATION:
			return source->payment_kind;
		default:
			return KIND_NONE;
	}
}

/* NULL goes with any. */
static bool
same_currency(const char *a, const char *b)
{
	return a == NULL || b == NULL || strcmp(a, b) == 0;
}

/* A document that was named keeps its row when it goes: see replace. */
static void
mark_named(Document *document)
{
	CreditItem *item = &document->new;
	CreditKind	kind = document->source->kind;
	Numeric    *sum = kind == KIND_ORDER || kind == KIND_DELIVERY ?
		&item->invoiced : &item->settled;

	if (item->exists && *sum == NULL)
		*sum = credit_zero();
}

/*
 * An order that does not count keeps what was delivered and invoiced of it, in
 * the currency of the first who names it and the account of the last delivery.
 */
static void
stand_in(Document *order, const Document *namer, const char *currency)
{
	if (order->new.exists || order->source->kind != KIND_ORDER || currency == NULL)
		return;
	if (!order->new.is_counted)
		order->new.currency = pstrdup(currency);
	order->new.is_counted = true;
	if (namer->source->kind == KIND_DELIVERY)
		order->new.account_id = namer->new.account_id;
}

/*
 * The document that another names in a column, if it counts and has that
 * currency: what is in another one cannot be set off.  sign: 1 where a share
 * is going to be put in.
 */
static Document *
named_document(Family *family, Document *namer, int column,
			   const char *currency, int sign)
{
	CreditKind	kind = column == ITEM_ORIGIN ?
		origin_reference(namer->source) : document_reference(namer->source);
	const char *key = kind == KIND_NONE || !namer->new.exists ? NULL :
		item_text(&namer->new, column);
	Document   *counted = NULL;
	const Directory *list = directory();

	if (key == NULL)
		return NULL;
	for (int i = 0; i < list->n; i++)
	{
		Document   *document;

		if (list->sources[i].kind != kind)
			continue;
		document = get_document(family, &list->sources[i], key);
		if (list->sources[i].source_id == family->leaving && !document->new.is_row)
			continue;
		hold_key(family, document);
		document->namers = lappend(document->namers, namer);
		mark_named(document);
		if (sign > 0)
			stand_in(document, namer, currency);
		if (document->new.is_counted && same_currency(currency, document->new.currency) &&
			(counted == NULL || !counted->new.exists))
			counted = document;
	}
	return counted;
}

static void
add_to(Numeric *sum, Numeric amount, int sign)
{
	if (*sum == NULL)
		*sum = credit_zero();
	*sum = sign > 0 ? credit_add(*sum, amount) : credit_subtract(*sum, amount);
}

static void
touch(Family *family, Document *document)
{
	document->cause = family->cause;
}

/* Something of an order, or of a delivery, was invoiced. */
static void
add_invoiced(Family *family, Document *document, Numeric amount, int sign)
{
	Document   *order;

	add_to(&document->new.invoiced, amount, sign);
	touch(family, document);
	if (document->source->kind != KIND_DELIVERY)
		return;
	order = named_document(family, document, ITEM_ORIGIN, document->new.currency, sign);
	if (order == NULL)
		return;
	add_to(&order->new.invoiced, amount, sign);
	touch(family, order);
}

static void
add_delivered(Family *family, Document *delivery, int sign)
{
	Document   *order = named_document(family, delivery, ITEM_ORIGIN,
									   delivery->new.currency, sign);

	if (order == NULL)
		return;
	add_to(&order->new.delivered, item_number(&delivery->new, ITEM_AMOUNT), sign);
	if (delivery->new.invoiced != NULL)
		add_to(&order->new.invoiced, delivery->new.invoiced, sign);
	touch(family, order);
}

/* A debt was settled by a payment, as a document says. */
static void
add_settled(Family *family, Document *debt, Document *stated_by,
			Document *payment, int sign)
{
	Numeric		amount = item_number(&stated_by->new, ITEM_AMOUNT);
	Pair	   *pair = palloc(sizeof(Pair));

	add_to(&debt->new.settled, amount, sign);
	touch(family, debt);
	if (payment != NULL)
	{
		/* a line of a ledger that pays is negative itself */
		add_to(&payment->new.settled, amount,
			   payment->source->kind == KIND_RECEIVABLE ? -sign : sign);
		touch(family, payment);
	}
	pair->debt = debt;
	pair->stated_by = stated_by;
	pair->payment = payment;
	family->settlements = lappend(family->settlements, pair);
}

/* Does an application say what pays? */
static bool
names_payment(const Document *application)
{
	return application->source->payment_kind != KIND_NONE &&
		!application->new.nulls[ITEM_DOCUMENT];
}

/* What an application joins; it counts if both of its documents do. */
static void
add_application(Family *family, Document *application, int sign)
{
	const char *currency = application->new.currency;
	Document   *debt = named_document(family, application, ITEM_ORIGIN, currency, sign);
	Document   *payment = named_document(family, application, ITEM_DOCUMENT, currency, sign);

	if (debt == NULL)
		return;
	if (payment == NULL && names_payment(application))
		return;
	if (payment != NULL && !same_currency(debt->new.currency, payment->new.currency))
		return;
	add_settled(family, debt, application, payment, sign);
}

static void
add_link(Family *family, Document *link, int sign)
{
	Document   *invoice = named_document(family, link, ITEM_DOCUMENT,
										 link->new.currency, sign);
	Document   *origin = named_document(family, link, ITEM_ORIGIN,
										invoice == NULL ? NULL : invoice->new.currency,
										invoice == NULL ? 0 : sign);

	if (invoice != NULL && origin != NULL)
		add_invoiced(family, origin, item_number(&link->new, ITEM_AMOUNT), sign);
}

/* The document that another names in a column, whether it counts or not. */
static Document *
existing_document(Family *family, Document *namer, int column)
{
	CreditKind	kind = column == ITEM_ORIGIN ?
		origin_reference(namer->source) : document_reference(namer->source);
	const Directory *list = directory();

	/* which gives each of them a row */
	(void) named_document(family, namer, column, NULL, 0);
	for (int i = 0; i < list->n; i++)
	{
		Document   *document;

		if (list->sources[i].kind != kind || namer->new.nulls[column])
			continue;
		document = get_document(family, &list->sources[i],
								item_text(&namer->new, column));
		if (document->new.exists)
			return document;
	}
	return NULL;
}

/* Has a document been reversed? */
static bool
is_reversed(Family *family, const Document *document)
{
	return document != NULL && document->new.exists &&
		item_date(&document->new, ITEM_REVERSED_ON, DATEVAL_NOEND) <= family->today;
}

/*
 * A document that settles a debt, and one of them has been reversed: it adds
 * nothing, but it may have been in force until then.
 */
static void
note_past(Family *family, Document *document)
{
	Document   *debt = existing_document(family, document, ITEM_ORIGIN);
	bool		is_application = document->source->kind == KIND_APPLICATION;
	Document   *payment = is_application ?
		existing_document(family, document, ITEM_DOCUMENT) : document;
	Pair	   *pair;

	if (debt == NULL || !same_currency(document->new.currency, debt->new.currency))
		return;
	if (payment == NULL && names_payment(document))
		return;
	if (payment != NULL && !same_currency(debt->new.currency, payment->new.currency))
		return;
	if (!is_reversed(family, document) && !is_reversed(family, debt) &&
		!is_reversed(family, payment))
		return;
	pair = palloc(sizeof(Pair));
	pair->debt = debt;
	pair->stated_by = document;
	pair->payment = payment;
	family->settlements = lappend(family->settlements, pair);
}

/* Puts the share of a document into the sums of those it names, or takes it out. */
static void
add_share(Family *family, Document *document, int sign)
{
	CreditKind	kind = document->source->kind;
	Document   *named;

	if (document->new.exists && !document->new.nulls[ITEM_ORIGIN] &&
		(kind == KIND_APPLICATION || kind == KIND_CREDIT_NOTE || kind == KIND_PAYMENT))
		note_past(family, document);
	if (!document->new.is_counted)
		return;
	switch (document->source->kind)
	{
		case KIND_DELIVERY:
			add_delivered(family, document, sign);
			break;
		case KIND_INVOICE:
		case KIND_RECEIVABLE:
			named = named_document(family, document, ITEM_ORIGIN,
								   document->new.currency, sign);
			if (named != NULL)
				add_invoiced(family, named,
							 item_number(&document->new, ITEM_AMOUNT), sign);
			break;
		case KIND_CREDIT_NOTE:
		case KIND_PAYMENT:
			named = named_document(family, document, ITEM_ORIGIN,
								   document->new.currency, sign);
			if (named != NULL)
				add_settled(family, named, document, document, sign);
			break;
		case KIND_APPLICATION:
			add_application(family, document, sign);
			break;
		case KIND_LINK:
			add_link(family, document, sign);
			break;
		default:
			break;
	}
}

/* Takes a document into a list of those that name another, once. */
static void
gather(Family *family, Document *document, List **namers)
{
	if (document->visit == family->visits)
		return;
	document->visit = family->visits;
	*namers = lappend(*namers, document);
}

/* The documents in the table that name a key in a column. */
static void
gather_from_table(Family *family, Document *named, int column,
				  const char *index, List **namers)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	LedgerScan	scan;
	HeapTuple	tuple;
	List	   *found = NIL;
	ListCell   *lc;

	ledger_key(family->items, &key, column, BTEqualStrategyNumber, F_TEXTEQ,
			   CStringGetTextDatum(named->key));
	ledger_scan(&scan, family->items, index, snapshot, &key, 1);
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		CreditItem *item = palloc(sizeof(CreditItem));

		item_load(family->items, heap_copytuple(tuple), item);
		found = lappend(found, item);
		CHECK_FOR_INTERRUPTS();
	}
	ledger_scan_end(&scan);
	UnregisterSnapshot(snapshot);
	foreach(lc, found)
	{
		CreditItem *item = lfirst(lc);
		const CreditSource *source =
			directory_find(DatumGetInt32(item->values[ITEM_SOURCE_ID]));

		if (source != NULL && named->source->kind ==
			(column == ITEM_ORIGIN ? origin_reference(source) : document_reference(source)))
			gather(family, get_document(family, source, item_text(item, ITEM_KEY)),
				   namers);
	}
}

/* Does a document, as it is now, name another one? */
static bool
names(const Document *namer, const Document *named)
{
	const CreditItem *item = &namer->new;

	if (!item->exists)
		return false;
	return (origin_reference(namer->source) == named->source->kind &&
			!item->nulls[ITEM_ORIGIN] &&
			strcmp(item_text(item, ITEM_ORIGIN), named->key) == 0) ||
		(document_reference(namer->source) == named->source->kind &&
		 !item->nulls[ITEM_DOCUMENT] &&
		 strcmp(item_text(item, ITEM_DOCUMENT), named->key) == 0);
}

/* Every document that names one, as things are now. */
static List *
namers_of(Family *family, Document *document)
{
	List	   *gathered = NIL;
	List	   *namers = NIL;
	ListCell   *lc;

	family->visits++;
	foreach(lc, document->namers)
		gather(family, lfirst(lc), &gathered);
	if (document->old.is_row)
	{
		gather_from_table(family, document, ITEM_ORIGIN, ORIGIN_INDEX, &gathered);
		gather_from_table(family, document, ITEM_DOCUMENT, DOCUMENT_INDEX, &gathered);
	}
	foreach(lc, gathered)
		if (names(lfirst(lc), document))
			namers = lappend(namers, lfirst(lc));
	return namers;
}

/* Are there several sources of a kind, so that a key may be in each? */
static bool
has_twins(CreditKind kind)
{
	const Directory *list = directory();
	int			n = 0;

	for (int i = 0; i < list->n; i++)
		n += list->sources[i].kind == kind;
	return n > 1;
}

/* Do the shares of those that name a document change with this version? */
static bool
changes_family(const Document *document, const CreditItem *new)
{
	const CreditItem *now = &document->new;

	/*
	 * An order that goes, or comes back, stands in for itself; but the order
	 * of another source, if it is there, comes before one that stands in.
	 */
	if (document->source->kind == KIND_ORDER && now->exists != new->exists &&
		has_twins(KIND_ORDER))
		return true;
	if (document->source->kind == KIND_ORDER && now->is_counted && !new->exists)
		return false;

	if (now->is_counted != new->is_counted)
		return true;
	/* one that has been reversed may have been in force before */
	if (!now->is_counted)
		return now->exists != new->exists;
	return !same_currency(now->currency, new->currency) ||
		stage_effective_date(now, 0) != stage_effective_date(new, 0);
}

static void
add_shares(Family *family, List *documents, int sign)
{
	ListCell   *lc;

	foreach(lc, documents)
		add_share(family, lfirst(lc), sign);
}

/* Puts the next version of a document in place; its sums go on. */
static void
replace(Document *document, CreditItem *new)
{
	new->delivered = document->new.delivered;
	new->invoiced = document->new.invoiced;
	new->settled = document->new.settled;
	/* a key that was ever named keeps its row, and so does one that writers
	 * of the tables behind a view meet at */
	if (!new->exists)
	{
		new->is_row = document->new.is_row &&
			(!document->new.exists || document->namers != NIL ||
			 document->source->is_view ||
			 new->delivered != NULL || new->invoiced != NULL || new->settled != NULL);
		new->is_counted = new->is_row && document->source->kind == KIND_ORDER &&
			document->new.is_counted;
		new->account_id = new->is_counted ? document->new.account_id : 0;
		new->currency = new->is_counted ? document->new.currency : NULL;
	}
	document->new = *new;
}

/* Changes a document, with everything that hangs on it. */
static void
change_document(Family *family, Document *document, CreditItem *new)
{
	List	   *namers;

	family->cause = document->change;
	touch(family, document);
	if (!family->has_references)
	{
		replace(document, new);
		return;
	}
	namers = changes_family(document, new) ? namers_of(family, document) : NIL;
	add_shares(family, namers, -1);
	add_share(family, document, -1);
	replace(document, new);
	add_share(family, document, 1);
	add_shares(family, namers, 1);
}

static const char *
text_or(const CreditRow *row, CreditField field, const char *otherwise)
{
	return row->isnull[field] ? otherwise : TextDatumGetCString(row->value[field]);
}

/* Does a row make a document?  NULL customer: not ours; NULL amount: not yet. */
static bool
makes_document(const Change *change)
{
	return change->present && !change->row.isnull[FIELD_AMOUNT] &&
		(!change->row.isnull[FIELD_CUSTOMER] ||
		 !credit_kind_owes(change->source->kind));
}

/* The version of a document that a change makes; NULL amount and the like: none. */
static void
build_version(Family *family, const Change *change, CreditItem *item)
{
	const CreditRow *row = &change->row;
	const char *currency;
	int64		account_id = 0;

	memset(item, 0, offsetof(CreditItem, values));
	if (!makes_document(change))
		return;
	currency = text_or(row, FIELD_CURRENCY,
					   credit_kind_owes(change->source->kind) ?
					   credit_settings()->currency : NULL);
	if (credit_kind_owes(change->source->kind))
		account_id = account_resolve(text_or(row, FIELD_CUSTOMER, ""),
									 text_or(row, FIELD_SEGMENT, ""),
									 currency, true);
	item_build(item, change->source, change->key, account_id, currency, row);
	stage_count(item, change->source, family->today);
}

/* The document of a change, as the table has it. */
static Document *
document_of(Family *family, const Change *change)
{
	Document   *document;
	bool		found;
	bool		is_new = family->trusts_inserts && change->is_insert &&
		makes_document(change);

	if (family->has_references && !is_new)
		document = get_document(family, change->source, change->key);
	else if (family->has_references)
		document = member_of(family, change->source, change->key, &found);
	else
	{
		document = add_document(family, change->source, change->key);
		if (!is_new)
			item_find(family->items, change->source->source_id, change->key,
					  &document->old);
		document->new = document->old;
	}
	document->change = change;
	return document;
}

static int
compare_named(const void *a, const void *b)
{
	const Named *x = a;
	const Named *y = b;

	return x->kind != y->kind ? (int) x->kind - (int) y->kind : strcmp(x->key, y->key);
}

/* Notes what a row of the ERP names in one column. */
static void
note_named(Named *named, int *n, CreditKind kind, const CreditRow *row,
		   CreditField one, CreditField other)
{
	CreditField field = row->isnull[one] ? other : one;

	if (kind == KIND_NONE || row->isnull[field])
		return;
	named[*n].kind = kind;
	named[(*n)++].key = TextDatumGetCString(row->value[field]);
}

/*
 * Looks up what the documents of a statement name, in order: two statements
 * must not lock the same orders the other way round.
 */
void
family_load(Family *family, Change **changes, int n)
{
	Named	   *named;
	int			nnamed = 0;
	const Directory *list = directory();

	if (!family->has_references || n < 2)
		return;
	named = palloc(sizeof(Named) * n * 2);
	for (int i = 0; i < n; i++)
	{
		const Change *change = changes[i];

		if (change->source->kind == KIND_CUSTOMER || !makes_document(change))
			continue;
		note_named(named, &nnamed, origin_reference(change->source), &change->row,
				   FIELD_ORIGIN, FIELD_APPLIES_TO);
		note_named(named, &nnamed, document_reference(change->source), &change->row,
				   FIELD_DOCUMENT, FIELD_PAYMENT);
	}
	qsort(named, nnamed, sizeof(Named), compare_named);
	for (int i = 0; i < nnamed; i++)
		for (int s = 0; s < list->n; s++)
			if (list->sources[s].kind == named[i].kind)
				(void) get_document(family, &list->sources[s], named[i].key);
}

/* What is on a row by now, and what a first attempt added to nothing. */
static Numeric
add_sums(Numeric a, Numeric b)
{
	return a == NULL ? b : b == NULL ? a : credit_add(a, b);
}

/*
 * Changes a document once more, after a first attempt that took it for new: its
 * shares are in the sums of those it names, but its row is somebody else's.
 */
static void
change_again(Family *family, Document *document, CreditItem *new,
			 const CreditItem *first)
{
	CreditItem	now = document->new;
	List	   *namers;

	family->cause = document->change;
	touch(family, document);
	namers = namers_of(family, document);
	add_shares(family, namers, -1);
	add_share(family, document, -1);
	document->new = *first;
	add_share(family, document, -1);
	now.delivered = add_sums(now.delivered, document->new.delivered);
	now.invoiced = add_sums(now.invoiced, document->new.invoiced);
	now.settled = add_sums(now.settled, document->new.settled);
	document->new = now;
	replace(document, new);
	add_share(family, document, 1);
	add_shares(family, namers, 1);
}

/*
 * Takes a row event into the family.  first: what a first attempt made of it,
 * is_posted: the journal has that already.
 */
void
family_change(Family *family, const Change *change, const Document *first,
			  bool is_posted)
{
	Document   *document = document_of(family, change);
	CreditItem	new;

	document->posted = is_posted ? &first->new : NULL;
	document->posted_over = is_posted ? &first->old : NULL;
	build_version(family, change, &new);
	if (first != NULL && family->has_references)
		change_again(family, document, &new, &first->new);
	else
		change_document(family, document, &new);
}

/*
 * Joins a document that was written without its family, as a backfill does, to
 * it: until now it adds nothing to anybody's sums.
 */
void
family_join(Family *family, int32 source_id, const char *key)
{
	const CreditSource *source = directory_find(source_id);
	Document   *document = source == NULL ? NULL : get_document(family, source, key);
	CreditItem	new;
	List	   *namers;

	if (document == NULL || !document->old.is_row)
		return;
	new = document->new;
	document->new.is_counted = false;
	namers = namers_of(family, document);
	add_shares(family, namers, -1);
	replace(document, &new);
	add_share(family, document, 1);
	add_shares(family, namers, 1);
}

/*
 * The reverse, of a key whose source is being detached: those that name it
 * turn to what other sources have, or stand for themselves.
 */
void
family_part(Family *family, int32 source_id, const char *key)
{
	const CreditSource *source = directory_find(source_id);
	Document   *document = source == NULL ? NULL : get_document(family, source, key);
	List	   *namers;

	if (document == NULL || !document->new.is_row)
		return;
	family->leaving = source_id;
	namers = namers_of(family, document);
	add_shares(family, namers, -1);
	memset(&document->new, 0, offsetof(CreditItem, values));
	add_shares(family, namers, 1);
}

/* Looks again whether a document counts: a day has come. */
void
family_recount(Family *family, int32 source_id, const char *key)
{
	const CreditSource *source = directory_find(source_id);
	Document   *document;
	CreditItem	new;

	if (source == NULL)
		return;
	if (family->has_references)
		document = get_document(family, source, key);
	else
	{
		document = add_document(family, source, key);
		item_find_locked(family->items, source_id, key, &document->old);
		document->new = document->old;
	}
	if (!document->old.exists)
		return;
	new = document->new;
	stage_count(&new, source, family->today);
	change_document(family, document, &new);
}

/*
 * Adds the sums on a document up anew, from those that name it: somebody has
 * written there by hand.  A share of what was wrong is in the order of a
 * delivery, which is added up after it.
 */
void
family_resum(Family *family, int32 source_id, const char *key)
{
	const CreditSource *source = directory_find(source_id);
	Document   *document = source == NULL || !family->has_references ? NULL :
		get_document(family, source, key);
	CreditItem *item;
	List	   *namers;

	if (document == NULL || !document->old.is_row)
		return;
	item = &document->new;
	namers = namers_of(family, document);
	add_shares(family, namers, -1);
	add_share(family, document, -1);
	item->delivered = item->delivered == NULL ? NULL : credit_zero();
	item->invoiced = item->invoiced == NULL ? NULL : credit_zero();
	item->settled = item->settled == NULL ? NULL : credit_zero();
	add_share(family, document, 1);
	add_shares(family, namers, 1);
	if (source->kind == KIND_DELIVERY && source->origin_kind != KIND_NONE &&
		item->exists && !item->nulls[ITEM_ORIGIN])
		for (int i = 0; i < directory()->n; i++)
			if (directory()->sources[i].kind == source->origin_kind)
				family_resum(family, directory()->sources[i].source_id,
							 item_text(item, ITEM_ORIGIN));
}

static int
compare_documents(const void *a, const void *b)
{
	const Document *x = *(Document *const *) a;
	const Document *y = *(Document *const *) b;

	if (x->source->source_id != y->source->source_id)
		return x->source->source_id < y->source->source_id ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* Works out what each document adds to exposure. */
static void
set_stages(Family *family)
{
	/* a look at an order may bring another document: n can grow */
	for (int i = 0; i < family->n; i++)
	{
		Document   *document = family->documents[i];
		CreditItem *item = &document->new;
		bool		is_in_order = document->source->kind == KIND_DELIVERY &&
			item->is_counted && family->has_references &&
			named_document(family, document, ITEM_ORIGIN, item->currency, 0) != NULL;

		if (item->is_row)
		{
			stage_set(item, document->source, family->today, is_in_order);
			item_seal(item, document->source->source_id, document->key);
		}
	}
}

/*
 * Has a row that a view reads the document from been written?  Then its item
 * gets a new version, even of the same values: who was about to read the view,
 * or the table behind it, must see that there was news (dependency.c).
 */
static bool
is_touched(const Document *document)
{
	return document->source->is_view && document->change != NULL &&
		!document->change->is_unchecked;
}

/*
 * The documents that are to be written, in the order of source and key, with
 * what each adds to exposure.
 */
Document **
family_finish(Family *family, int *n)
{
	Document  **changed;

	set_stages(family);
	changed = palloc(sizeof(Document *) * (family->n + 1));
	*n = 0;
	for (int i = 0; i < family->n; i++)
		if (!item_same(&family->documents[i]->old, &family->documents[i]->new) ||
			is_touched(family->documents[i]))
			changed[(*n)++] = family->documents[i];
	if (*n > 1)
		qsort(changed, *n, sizeof(Document *), compare_documents);
	return changed;
}

static int
compare_pairs(const void *a, const void *b)
{
	const Pair *x = *(Pair *const *) a;
	const Pair *y = *(Pair *const *) b;
	int			result = compare_documents(&x->debt, &y->debt);

	if (result == 0)
		result = compare_documents(&x->stated_by, &y->stated_by);
	if (result != 0 || x->payment == y->payment)
		return result;
	if (x->payment == NULL || y->payment == NULL)
		return x->payment == NULL ? -1 : 1;
	return compare_documents(&x->payment, &y->payment);
}

static bool
is_yes(const CreditItem *item, int column)
{
	return !item->nulls[column] && DatumGetBool(item->values[column]);
}

static const char *
settlement_kind(const Pair *pair)
{
	if (is_yes(pair->stated_by->new.exists ? &pair->stated_by->new : &pair->stated_by->old,
			   ITEM_IS_WRITE_OFF) ||
		(pair->payment != NULL && pair->payment->new.exists &&
		 is_yes(&pair->payment->new, ITEM_IS_WRITE_OFF)))
		return "write_off";
	return credit_kind_names[pair->payment == NULL ? KIND_PAYMENT :
							 pair->payment->source->kind];
}

/* Does a document, as it is now, name the debt and the payment of a pair? */
static bool
states_pair(const Pair *pair)
{
	const Document *stated_by = pair->stated_by;

	if (!names(stated_by, pair->debt))
		return false;
	if (stated_by->source->kind != KIND_APPLICATION)
		return true;
	return pair->payment == NULL ? !names_payment(stated_by) :
		names(stated_by, pair->payment);
}

/* Does a document, as things are now, settle a debt? */
static bool
is_settling(Family *family, const Pair *pair)
{
	Document   *stated_by = pair->stated_by;
	const char *currency = stated_by->new.currency;

	return stated_by->new.is_counted && states_pair(pair) &&
		named_document(family, stated_by, ITEM_ORIGIN, currency, 0) == pair->debt &&
		(stated_by->source->kind != KIND_APPLICATION || pair->payment == NULL ||
		 named_document(family, stated_by, ITEM_DOCUMENT, currency, 0) == pair->payment);
}

/* Are the documents of a pair there, and one of them is reversed? */
static bool
is_past(Family *family, const Pair *pair)
{
	if (!pair->debt->new.exists ||
		(pair->payment != NULL && !pair->payment->new.exists))
		return false;
	return is_reversed(family, pair->debt) || is_reversed(family, pair->payment) ||
		is_reversed(family, pair->stated_by);
}

/* The day on which one of a pair was reversed; today, if none says. */
static DateADT
reversal_day(Family *family, const Pair *pair)
{
	const Document *documents[] = {pair->debt, pair->stated_by, pair->payment};
	DateADT		day = family->today;

	for (int i = 0; i < (int) lengthof(documents); i++)
		if (documents[i] != NULL && documents[i]->new.exists)
			day = Min(day, item_date(&documents[i]->new, ITEM_REVERSED_ON, day));
	return day;
}

/* States one pair: amount and day where it settles, nothing where not. */
static void
settle_pair(Family *family, LedgerRel *settlements, const Pair *pair)
{
	const CreditItem *stated = &pair->stated_by->new;
	Settlement	settlement;

	/* a debt that rules its own open amount is stated by itself */
	if (pair->debt->new.exists && !pair->debt->new.nulls[ITEM_OPEN_AMOUNT])
		return;
	memset(&settlement, 0, sizeof(settlement));
	settlement.source_id = pair->debt->source->source_id;
	settlement.key = pair->debt->key;
	settlement.stated_by_source_id = pair->stated_by->source->source_id;
	settlement.stated_by_key = pair->stated_by->key;
	settlement.kind = settlement_kind(pair);
	if (pair->payment != NULL)
	{
		settlement.payment_source_id = pair->payment->source->source_id;
		settlement.payment_key = pair->payment->key;
	}
	settlement.reversed_on = reversal_day(family, pair);
	settlement.is_correction = stated->exists && !states_pair(pair);
	if (stated->exists && !settlement.is_correction)
	{
		settlement.was_amount = item_number(stated, ITEM_AMOUNT);
		settlement.settled_on = stage_effective_date(stated, family->today);
		if (pair->payment != NULL && pair->payment != pair->stated_by)
			settlement.settled_on = Max(settlement.settled_on,
										stage_effective_date(&pair->payment->new,
															 settlement.settled_on));
	}
	if (is_settling(family, pair))
		settlement.amount = settlement.was_amount;
	else if (!is_past(family, pair))
		settlement.was_amount = NULL;
	settlement_state(settlements, &settlement);
}

/* What a document states about itself: an open amount, or a day. */
static void
settle_itself(Family *family, LedgerRel *settlements, Document *document)
{
	const CreditItem *item = &document->new;
	DateADT		settled_on = item_date(item, ITEM_SETTLED_ON, DATEVAL_NOEND);
	Settlement	settlement;

	memset(&settlement, 0, sizeof(settlement));
	settlement.source_id = settlement.stated_by_source_id = document->source->source_id;
	settlement.key = settlement.stated_by_key = document->key;
	settlement.kind = "stated";
	settlement.is_total = true;
	settlement.settled_on = settlement.reversed_on = family->today;
	if (!item->nulls[ITEM_OPEN_AMOUNT])
		settlement.amount = credit_subtract(item_number(item, ITEM_AMOUNT),
											item_number(item, ITEM_OPEN_AMOUNT));
	else if (!DATE_NOT_FINITE(settled_on))
		settlement.amount = item_number(item, ITEM_AMOUNT);
	if (!DATE_NOT_FINITE(settled_on) &&
		credit_is_zero(item_number(item, ITEM_OPEN_AMOUNT)))
	{
		settlement.settled_on = settled_on;
		settlement.is_dated = true;
	}
	settlement_state(settlements, &settlement);
}

/* Does the source of a document say by itself what is open? */
static bool
states_itself(const Document *document)
{
	return (document->source->has_field[FIELD_OPEN_AMOUNT] ||
			document->source->has_field[FIELD_SETTLED_ON]) &&
		document->new.exists;
}

/* The table, opened when something is to be stated. */
static LedgerRel *
open_settlements(LedgerRel *settlements)
{
	if (settlements != NULL)
		return settlements;
	CommandCounterIncrement();	/* what this transaction wrote counts */
	return ledger_open(LEDGER_SETTLEMENT, RowExclusiveLock);
}

/* Marks the months in which something of a debt was settled, if any. */
static List *
mark_debt(LedgerRel *settlements, const Document *debt, List *marks)
{
	int64		before = debt->old.exists ? debt->old.account_id : 0;
	int64		after = debt->new.exists ? debt->new.account_id : 0;

	if (before != 0)
		marks = settlement_months(settlements, debt->source->source_id, debt->key,
								  marks, before);
	if (after != 0 && after != before)
		marks = settlement_months(settlements, debt->source->source_id, debt->key,
								  marks, after);
	return marks;
}

/* Is a document a debt that may have been settled, and was its row changed? */
static bool
is_changed_debt(const Document *document)
{
	return (document->source->kind == KIND_INVOICE ||
			document->source->kind == KIND_RECEIVABLE) &&
		(document->change != NULL || !document->old.exists) &&
		(document->old.settled != NULL || document->new.settled != NULL ||
		 states_itself(document) ||
		 (document->old.exists && !document->new.exists));
}

/* States what the pairs of a family, sorted, have come to, each once. */
static LedgerRel *
settle_pairs(Family *family, LedgerRel *settlements, Pair **pairs, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && compare_pairs(&pairs[i - 1], &pairs[i]) == 0)
			continue;
		settlements = open_settlements(settlements);
		settle_pair(family, settlements, pairs[i]);
	}
	return settlements;
}

/* Marks the months of all debts whose settlement may have changed. */
static void
mark_debts(Family *family, LedgerRel *settlements, Pair **pairs, int n)
{
	List	   *marks = NIL;

	CommandCounterIncrement();	/* what was just written counts */
	for (int i = 0; i < n; i++)
		if (i + 1 == n || pairs[i + 1]->debt != pairs[i]->debt)
			marks = mark_debt(settlements, pairs[i]->debt, marks);
	for (int i = 0; i < family->n; i++)
		if (is_changed_debt(family->documents[i]))
			marks = mark_debt(settlements, family->documents[i], marks);
	if (marks != NIL)
		settlement_mark(marks);
}

/* Writes down what has been settled, once the documents are written. */
void
family_settle(Family *family)
{
	LedgerRel  *settlements;
	int			n = list_length(family->settlements);
	Pair	  **pairs = palloc(sizeof(Pair *) * (n + 1));

	for (int i = 0; i < n; i++)
		pairs[i] = list_nth(family->settlements, i);
	qsort(pairs, n, sizeof(Pair *), compare_pairs);
	settlements = settle_pairs(family, NULL, pairs, n);
	for (int i = 0; i < family->n; i++)
	{
		Document   *document = family->documents[i];

		if (is_changed_debt(document) ||
			(states_itself(document) && document->change != NULL))
			settlements = open_settlements(settlements);
		if (states_itself(document) && document->change != NULL)
			settle_itself(family, settlements, document);
	}
	if (settlements == NULL)
		return;
	mark_debts(family, settlements, pairs, n);
	ledger_close(settlements);
}

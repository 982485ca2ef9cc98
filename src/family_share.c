/*
 * family_share.c
 *	  What a document adds to the sums of those it names.
 *
 * Why, and by what rule, is said in family.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

#include "directory.h"
#include "family_member.h"
#include "family_share.h"
#include "stage.h"

#define ORIGIN_INDEX "item_origin"
#define DOCUMENT_INDEX "item_document"

/* Kind of the documents that column origin of a source's items names. */
CreditKind
family_origin_kind(const CreditSource *source)
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
CreditKind
family_document_kind(const CreditSource *source)
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
bool
family_same_currency(const char *a, const char *b)
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
Document *
family_named(Family *family, Document *namer, int column,
			 const char *currency, int sign)
{
	CreditKind	kind = column == ITEM_ORIGIN ?
		family_origin_kind(namer->source) : family_document_kind(namer->source);
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
		document = family_document(family, &list->sources[i], key);
		if (list->sources[i].source_id == family->leaving && !document->new.is_row)
			continue;
		family_hold_key(family, document);
		document->namers = lappend(document->namers, namer);
		mark_named(document);
		if (sign > 0)
			stand_in(document, namer, currency);
		if (document->new.is_counted &&
			family_same_currency(currency, document->new.currency) &&
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

void
family_touch(Family *family, Document *document)
{
	document->cause = family->cause;
}

/* Something of an order, or of a delivery, was invoiced. */
static void
add_invoiced(Family *family, Document *document, Numeric amount, int sign)
{
	Document   *order;

	add_to(&document->new.invoiced, amount, sign);
	family_touch(family, document);
	if (document->source->kind != KIND_DELIVERY)
		return;
	order = family_named(family, document, ITEM_ORIGIN, document->new.currency, sign);
	if (order == NULL)
		return;
	add_to(&order->new.invoiced, amount, sign);
	family_touch(family, order);
}

static void
add_delivered(Family *family, Document *delivery, int sign)
{
	Document   *order = family_named(family, delivery, ITEM_ORIGIN,
									 delivery->new.currency, sign);

	if (order == NULL)
		return;
	add_to(&order->new.delivered, item_number(&delivery->new, ITEM_AMOUNT), sign);
	if (delivery->new.invoiced != NULL)
		add_to(&order->new.invoiced, delivery->new.invoiced, sign);
	family_touch(family, order);
}

/* A debt was settled by a payment, as a document says. */
static void
add_settled(Family *family, Document *debt, Document *stated_by,
			Document *payment, int sign)
{
	Numeric		amount = item_number(&stated_by->new, ITEM_AMOUNT);
	Pair	   *pair = palloc(sizeof(Pair));

	add_to(&debt->new.settled, amount, sign);
	family_touch(family, debt);
	if (payment != NULL)
	{
		/* a line of a ledger that pays is negative itself */
		add_to(&payment->new.settled, amount,
			   payment->source->kind == KIND_RECEIVABLE ? -sign : sign);
		family_touch(family, payment);
	}
	pair->debt = debt;
	pair->stated_by = stated_by;
	pair->payment = payment;
	family->settlements = lappend(family->settlements, pair);
}

/* Does an application say what pays? */
bool
family_names_payment(const Document *application)
{
	return application->source->payment_kind != KIND_NONE &&
		!application->new.nulls[ITEM_DOCUMENT];
}

/* What an application joins; it counts if both of its documents do. */
static void
add_application(Family *family, Document *application, int sign)
{
	const char *currency = application->new.currency;
	Document   *debt = family_named(family, application, ITEM_ORIGIN, currency, sign);
	Document   *payment = family_named(family, application, ITEM_DOCUMENT, currency, sign);

	if (debt == NULL)
		return;
	if (payment == NULL && family_names_payment(application))
		return;
	if (payment != NULL &&
		!family_same_currency(debt->new.currency, payment->new.currency))
		return;
	add_settled(family, debt, application, payment, sign);
}

static void
add_link(Family *family, Document *link, int sign)
{
	Document   *invoice = family_named(family, link, ITEM_DOCUMENT,
									   link->new.currency, sign);
	Document   *origin = family_named(family, link, ITEM_ORIGIN,
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
		family_origin_kind(namer->source) : family_document_kind(namer->source);
	const Directory *list = directory();

	/* which gives each of them a row */
	(void) family_named(family, namer, column, NULL, 0);
	for (int i = 0; i < list->n; i++)
	{
		Document   *document;

		if (list->sources[i].kind != kind || namer->new.nulls[column])
			continue;
		document = family_document(family, &list->sources[i],
								   item_text(&namer->new, column));
		if (document->new.exists)
			return document;
	}
	return NULL;
}

/* Has a document been reversed? */
bool
family_is_reversed(Family *family, const Document *document)
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

	if (debt == NULL || !family_same_currency(document->new.currency, debt->new.currency))
		return;
	if (payment == NULL && family_names_payment(document))
		return;
	if (payment != NULL &&
		!family_same_currency(debt->new.currency, payment->new.currency))
		return;
	if (!family_is_reversed(family, document) && !family_is_reversed(family, debt) &&
		!family_is_reversed(family, payment))
		return;
	pair = palloc(sizeof(Pair));
	pair->debt = debt;
	pair->stated_by = document;
	pair->payment = payment;
	family->settlements = lappend(family->settlements, pair);
}

/* Puts the share of a document into the sums of those it names, or takes it out. */
void
family_add_share(Family *family, Document *document, int sign)
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
			named = family_named(family, document, ITEM_ORIGIN,
								 document->new.currency, sign);
			if (named != NULL)
				add_invoiced(family, named,
							 item_number(&document->new, ITEM_AMOUNT), sign);
			break;
		case KIND_CREDIT_NOTE:
		case KIND_PAYMENT:
			named = family_named(family, document, ITEM_ORIGIN,
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
			(column == ITEM_ORIGIN ? family_origin_kind(source) : family_document_kind(source)))
			gather(family, family_document(family, source, item_text(item, ITEM_KEY)),
				   namers);
	}
}

/* Does a document, as it is now, name another one? */
bool
family_names(const Document *namer, const Document *named)
{
	const CreditItem *item = &namer->new;

	if (!item->exists)
		return false;
	return (family_origin_kind(namer->source) == named->source->kind &&
			!item->nulls[ITEM_ORIGIN] &&
			strcmp(item_text(item, ITEM_ORIGIN), named->key) == 0) ||
		(family_document_kind(namer->source) == named->source->kind &&
		 !item->nulls[ITEM_DOCUMENT] &&
		 strcmp(item_text(item, ITEM_DOCUMENT), named->key) == 0);
}

/* Every document that names one, as things are now. */
List *
family_namers(Family *family, Document *document)
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
		if (family_names(lfirst(lc), document))
			namers = lappend(namers, lfirst(lc));
	return namers;
}

void
family_add_shares(Family *family, List *documents, int sign)
{
	ListCell   *lc;

	foreach(lc, documents)
		family_add_share(family, lfirst(lc), sign);
}

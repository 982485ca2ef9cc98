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
 */#include "postgres.h"

#include "utils/builtins.h"

#include "account.h"
#include "directory.h"
#include "family_member.h"
#include "family_share.h"
#include "setting.h"
#include "stage.h"

/* A document that is named by others of a statement; to lock them in order. */
typedef struct Named
{
	CreditKind	kind;
	const char *key;
} Named;

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
	return !family_same_currency(now->currency, new->currency) ||
		stage_effective_date(now, 0) != stage_effective_date(new, 0);
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
	family_touch(family, document);
	if (!family->has_references)
	{
		replace(document, new);
		return;
	}
	namers = changes_family(document, new) ? family_namers(family, document) : NIL;
	family_add_shares(family, namers, -1);
	family_add_share(family, document, -1);
	replace(document, new);
	family_add_share(family, document, 1);
	family_add_shares(family, namers, 1);
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
		document = family_document(family, change->source, change->key);
	else if (family->has_references)
		document = family_member(family, change->source, change->key, &found);
	else
	{
		document = family_add(family, change->source, change->key);
		if (!is_new)
			item_find(family->items, change->source->source_id, change->key,
					  &document->old);
		document->new = document->old;
	}
	family->is_unsure |= is_new;
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
		note_named(named, &nnamed, family_origin_kind(change->source), &change->row,
				   FIELD_ORIGIN, FIELD_APPLIES_TO);
		note_named(named, &nnamed, family_document_kind(change->source), &change->row,
				   FIELD_DOCUMENT, FIELD_PAYMENT);
	}
	qsort(named, nnamed, sizeof(Named), compare_named);
	for (int i = 0; i < nnamed; i++)
		for (int s = 0; s < list->n; s++)
			if (list->sources[s].kind == named[i].kind)
				(void) family_document(family, &list->sources[s], named[i].key);
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
	CreditItem	now;
	List	   *namers;

	family->cause = document->change;
	family_touch(family, document);
	namers = family_namers(family, document);
	family_add_shares(family, namers, -1);
	family_add_share(family, document, -1);
	now = document->new;
	document->new = *first;
	family_add_share(family, document, -1);
	now.delivered = add_sums(now.delivered, document->new.delivered);
	now.invoiced = add_sums(now.invoiced, document->new.invoiced);
	now.settled = add_sums(now.settled, document->new.settled);
	document->new = now;
	replace(document, new);
	family_add_share(family, document, 1);
	family_add_shares(family, namers, 1);
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

	document->posted = is_posted ? first : NULL;
	document->seq = is_posted ? first->seq : 0;
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
	Document   *document = source == NULL ? NULL : family_document(family, source, key);
	CreditItem	new;
	List	   *namers;

	if (document == NULL || !document->old.is_row)
		return;
	new = document->new;
	document->new.is_counted = false;
	namers = family_namers(family, document);
	family_add_shares(family, namers, -1);
	replace(document, &new);
	family_add_share(family, document, 1);
	family_add_shares(family, namers, 1);
}

/*
 * The reverse, of a key whose source is being detached: those that name it
 * turn to what other sources have, or stand for themselves.
 */
void
family_part(Family *family, int32 source_id, const char *key)
{
	const CreditSource *source = directory_find(source_id);
	Document   *document = source == NULL ? NULL : family_document(family, source, key);
	List	   *namers;

	if (document == NULL || !document->new.is_row)
		return;
	family->leaving = source_id;
	namers = family_namers(family, document);
	family_add_shares(family, namers, -1);
	memset(&document->new, 0, offsetof(CreditItem, values));
	family_add_shares(family, namers, 1);
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
		document = family_document(family, source, key);
	else
	{
		document = family_add(family, source, key);
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
		family_document(family, source, key);
	CreditItem *item;
	List	   *namers;

	if (document == NULL || !document->old.is_row)
		return;
	item = &document->new;
	namers = family_namers(family, document);
	family_add_shares(family, namers, -1);
	family_add_share(family, document, -1);
	item->delivered = item->delivered == NULL ? NULL : credit_zero();
	item->invoiced = item->invoiced == NULL ? NULL : credit_zero();
	item->settled = item->settled == NULL ? NULL : credit_zero();
	family_add_share(family, document, 1);
	family_add_shares(family, namers, 1);
	if (source->kind == KIND_DELIVERY && source->origin_kind != KIND_NONE &&
		item->exists && !item->nulls[ITEM_ORIGIN])
		for (int i = 0; i < directory()->n; i++)
			if (directory()->sources[i].kind == source->origin_kind)
				family_resum(family, directory()->sources[i].source_id,
							 item_text(item, ITEM_ORIGIN));
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
			family_named(family, document, ITEM_ORIGIN, item->currency, 0) != NULL;

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
 * or the table behind it, must see that there was news (touched.c).
 */
static bool
is_touched(const Document *document)
{
	return document->source->is_view && document->change != NULL &&
		!document->change->is_unchecked;
}

/*
 * The documents that are to be written, in the order of source and key, with
 * what each adds to exposure.  One of which a first attempt has posted something
 * is among them, even if it turns out to be what it was.
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
			is_touched(family->documents[i]) ||
			family->documents[i]->posted != NULL)
			changed[(*n)++] = family->documents[i];
	if (*n > 1)
		qsort(changed, *n, sizeof(Document *), family_compare);
	return changed;
}

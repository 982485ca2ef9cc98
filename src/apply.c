/*
 * apply.c
 *	  From captured rows of the ERP to the ledger.
 *
 * A statement's changes are folded to one per document, compared with what the
 * ledger holds (not with the row's former version: the ERP's own triggers may
 * have changed it in between), summed per account, posted account by account
 * in fixed order, and written to the items.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "account.h"
#include "apply.h"
#include "control.h"
#include "credit.h"
#include "item.h"
#include "setting.h"

/* WARNINGs of one statement; the rest is in view decision. */
#define MAX_WARNINGS 10

/* A document on its way into the ledger. */
typedef struct Document
{
	const Change *change;
	const char *customer;		/* of the new version */
	const char *segment;
	CreditItem		old;
	CreditItem		new;
	int64		seq;
} Document;

/* Its effect on one account: old and new account may differ. */
typedef struct Effect
{
	Document   *document;
	bool		is_new;			/* of the new version */
	int64		account_id;
	const char *currency;
	CreditVector delta;
} Effect;

static int
compare_changes(const void *a, const void *b)
{
	const Change *x = *(Change *const *) a;
	const Change *y = *(Change *const *) b;
	int			result;

	if (x->source->source_id != y->source->source_id)
		return x->source->source_id < y->source->source_id ? -1 : 1;
	result = strcmp(x->key, y->key);
	if (result == 0)
		result = strcmp(x->segment, y->segment);
	if (result == 0)
		result = x->order < y->order ? -1 : 1;
	return result;
}

bool
apply_same_document(const Change *x, const Change *y)
{
	return x->source->source_id == y->source->source_id &&
		strcmp(x->key, y->key) == 0 && strcmp(x->segment, y->segment) == 0;
}

/*
 * Folds changes to one per document, in place.  Events come in the order of
 * the changes, but a row that takes over a key can come before the one that
 * gives it up (a swap of keys): so "gone" only ends what the same row version
 * said before.
 */
static int
fold_changes(Change **changes, int nchanges)
{
	int			kept = 0;

	if (nchanges > 1)
		qsort(changes, nchanges, sizeof(Change *), compare_changes);
	for (int i = 0; i < nchanges; i++)
	{
		Change	   *next = changes[i];
		Change	   *last = kept > 0 ? changes[kept - 1] : NULL;

		if (last == NULL || !apply_same_document(last, next))
			changes[kept++] = next;
		else if (next->present || !last->present ||
				 (last->relid == next->relid &&
				  ItemPointerEquals(&last->tid, &next->tid)))
			changes[kept - 1] = next;
	}
	return kept;
}

static void
apply_customers(Change **changes, int nchanges)
{
	for (int i = 0; i < nchanges; i++)
	{
		Change	   *change = changes[i];

		if (change->source->kind != KIND_CUSTOMER)
			continue;
		account_apply_customer(change->source, change->key, change->segment,
							   change->present ? &change->row : NULL);
	}
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
	return change->present &&
		!change->row.isnull[FIELD_CUSTOMER] && !change->row.isnull[FIELD_AMOUNT];
}

/* Old and new version of a document; false: nothing changes. */
static bool
prepare_document(LedgerRel *items, const Change *change, Document *document)
{
	memset(document, 0, sizeof(Document));
	document->change = change;
	item_find(items, change->source->source_id, change->key, &document->old);
	if (makes_document(change))
	{
		const CreditRow *row = &change->row;
		const char *currency = text_or(row, FIELD_CURRENCY, credit_settings()->currency);

		item_build(&document->new, change->source, change->key,
				   account_resolve(text_or(row, FIELD_CUSTOMER, ""),
								   text_or(row, FIELD_SEGMENT, ""),
								   currency, true),
				   currency, row);
	}
	return !item_same(&document->old, &document->new);
}

static void
set_effect(Effect *effect, Document *document, bool is_new)
{
	CreditItem	   *item = is_new ? &document->new : &document->old;

	memset(effect, 0, sizeof(Effect));
	effect->document = document;
	effect->is_new = is_new;
	effect->account_id = item->account_id;
	effect->currency = item->currency;
	if (is_new)
		vector_add(&effect->delta, &item->stages);
	else
		vector_subtract(&effect->delta, &item->stages);
}

/* Effects of a document on accounts: none, one or two. */
static int
effects_of(Document *document, Effect *effects)
{
	CreditItem	   *old = &document->old;
	CreditItem	   *new = &document->new;
	int			n = 0;

	if (old->exists && new->exists && old->account_id == new->account_id &&
		strcmp(old->currency, new->currency) == 0)
	{
		set_effect(&effects[0], document, true);
		vector_subtract(&effects[0].delta, &old->stages);
		return vector_is_zero(&effects[0].delta) ? 0 : 1;
	}
	if (old->exists && !vector_is_zero(&old->stages))
		set_effect(&effects[n++], document, false);
	if (new->exists && !vector_is_zero(&new->stages))
		set_effect(&effects[n++], document, true);
	return n;
}

static int
compare_effects(const void *a, const void *b)
{
	const Effect *x = a;
	const Effect *y = b;
	int			result;

	if (x->account_id != y->account_id)
		return x->account_id < y->account_id ? -1 : 1;
	result = strcmp(x->currency, y->currency);
	if (result == 0)
		result = x->document->change->order - y->document->change->order;
	return result;
}

/*
 * May this increase be refused?  Also one by an order of negative amount that
 * goes: else two steps would lead round the limit.
 */
static bool
is_enforced(const Effect *effect)
{
	return effect->document->change->source->kind == KIND_ORDER &&
		credit_compare(vector_total(&effect->delta), NULL) > 0;
}

/* Adds one effect to the request of its account. */
static void
add_to_request(ControlRequest *request, Effect *effect)
{
	const CreditSource *source = effect->document->change->source;
	ControlDelta *delta = request->deltas == NIL ? NULL : llast(request->deltas);

	if (delta == NULL || strcmp(delta->currency, effect->currency) != 0)
	{
		delta = palloc0(sizeof(ControlDelta));
		delta->currency = effect->currency;
		request->deltas = lappend(request->deltas, delta);
	}
	vector_add(&delta->delta, &effect->delta);
	if (!is_enforced(effect))
		return;

	request->ndocuments++;
	if (request->source == NULL || source->on_breach > request->source->on_breach)
		request->source = source;
	if (request->ndocuments == 1 ||
		effect->document->change->order < request->document_order)
	{
		request->document_order = effect->document->change->order;
		request->document_key = effect->document->change->key;
		request->document = text_or(&effect->document->change->row, FIELD_NUMBER,
									request->document_key);
	}
}

/* Posts the effects on one account and tells the documents where they stand. */
static void
post_account(LedgerRel *journal, LedgerRel *limits, Effect *effects, int n,
			 int *warnings_left)
{
	ControlRequest request;
	ListCell   *lc;

	memset(&request, 0, sizeof(request));
	request.account_id = effects[0].account_id;
	request.source_id = effects[0].document->change->source->source_id;
	request.item_key = n == 1 ? effects[0].document->change->key : NULL;
	for (int i = 0; i < n; i++)
	{
		add_to_request(&request, &effects[i]);
		if (effects[i].document->change->source->source_id != request.source_id)
			request.source_id = 0;
	}
	control_post(journal, limits, &request, warnings_left);

	for (int i = 0; i < n; i++)
		foreach(lc, request.deltas)
		{
			ControlDelta *delta = lfirst(lc);

			if (effects[i].is_new &&
				strcmp(delta->currency, effects[i].currency) == 0)
				effects[i].document->seq = delta->seq;
		}
}

/* Posts all effects, account by account in ascending order. */
static void
post_effects(Effect *effects, int n)
{
	LedgerRel  *journal = ledger_open(LEDGER_JOURNAL, RowExclusiveLock);
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, RowExclusiveLock);
	int			warnings_left = MAX_WARNINGS;
	int			start = 0;

	if (n > 1)
		qsort(effects, n, sizeof(Effect), compare_effects);
	for (int i = 1; i <= n; i++)
	{
		if (i < n && effects[i].account_id == effects[start].account_id)
			continue;
		post_account(journal, limits, &effects[start], i - start, &warnings_left);
		start = i;
		CHECK_FOR_INTERRUPTS();
	}
	ledger_close(limits);
	ledger_close(journal);
}

static void
apply_documents(Change **changes, int nchanges)
{
	LedgerRel  *items = ledger_open(LEDGER_ITEM, RowExclusiveLock);
	Document   *documents = palloc(sizeof(Document) * nchanges);
	Effect	   *effects = palloc(sizeof(Effect) * nchanges * 2);
	int			ndocuments = 0;
	int			neffects = 0;

	for (int i = 0; i < nchanges; i++)
	{
		if (changes[i]->source->kind == KIND_CUSTOMER ||
			!prepare_document(items, changes[i], &documents[ndocuments]))
			continue;
		neffects += effects_of(&documents[ndocuments], &effects[neffects]);
		ndocuments++;
		CHECK_FOR_INTERRUPTS();
	}
	if (neffects > 0)
		post_effects(effects, neffects);
	for (int i = 0; i < ndocuments; i++)
		item_write(items, &documents[i].old, &documents[i].new, documents[i].seq);
	ledger_close(items);
}

void
apply_changes(Change **changes, int nchanges)
{
	bool		customers = false;
	bool		documents = false;

	nchanges = fold_changes(changes, nchanges);
	for (int i = 0; i < nchanges; i++)
	{
		if (changes[i]->source->kind == KIND_CUSTOMER)
			customers = true;
		else
			documents = true;
	}
	if (customers)
		apply_customers(changes, nchanges);
	if (documents)
		apply_documents(changes, nchanges);

	/* a later statement in the same command may touch what we wrote */
	CommandCounterIncrement();
}

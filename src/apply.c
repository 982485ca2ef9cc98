/*
 * apply.c
 *	  From captured rows of the ERP to the ledger.
 *
 * A statement's changes are folded to one per document, compared with what the
 * ledger holds (not with the row's former version: the ERP's own triggers may
 * have changed it in between), summed per account, posted account by account
 * in fixed order, and written to the items.
 *
 * A statement of very many rows comes in portions, so that memory stays
 * bounded.  The items of a portion are written at once; what it adds to each
 * account is only added up, and checked and posted when the statement ends:
 * the answer must not depend on the order of the rows.  Such items do not know
 * their row of the journal, which does not exist yet.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "account.h"
#include "apply.h"
#include "control.h"
#include "credit.h"
#include "item.h"
#include "setting.h"
#include "stat.h"

/* WARNINGs of one statement; the rest is in view decision. */
#define MAX_WARNINGS 10

/* A document on its way into the ledger. */
typedef struct Document
{
	const Change *change;
	CreditItem	old;
	CreditItem	new;
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

struct ApplyTotals
{
	MemoryContext cxt;
	HTAB	   *accounts;		/* of AccountTotal */
	int			nkept;			/* documents kept for the words of a refusal */
};

typedef struct AccountTotal
{
	int64		account_id;		/* hash key, must be first */
	ControlRequest request;
	List	   *first_documents;	/* of ControlDocument; so many as are named */
} AccountTotal;

/* What is being posted, for the words of a refusal. */
typedef struct EffectStatement
{
	ControlStatement base;
	Effect	   *effects;		/* sorted by account */
	int			n;
	int			start;			/* of the account at hand */
	int			end;
	int			looked_at;		/* by next */
} EffectStatement;

typedef struct TotalStatement
{
	ControlStatement base;
	AccountTotal **totals;		/* sorted by account */
	long		n;
	long		at;				/* the account at hand */
	long		looked_at;		/* by next */
} TotalStatement;

/* So many documents of a statement in portions are kept, in all its accounts. */
#define MAX_KEPT_DOCUMENTS 20000

/* item_write: the row of the journal does not exist yet */
#define SEQ_LATER (-1)

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
	CreditItem *item = is_new ? &document->new : &document->old;

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
	CreditItem *old = &document->old;
	CreditItem *new = &document->new;
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

/* The delta of a request in one currency; a new one where there is none. */
static ControlDelta *
delta_of(ControlRequest *request, const char *currency)
{
	ControlDelta *delta;
	ListCell   *lc;

	foreach(lc, request->deltas)
	{
		delta = lfirst(lc);
		if (strcmp(delta->currency, currency) == 0)
			return delta;
	}
	delta = palloc0(sizeof(ControlDelta));
	delta->currency = pstrdup(currency);
	request->deltas = lappend(request->deltas, delta);
	return delta;
}

/* Takes the documents that may be refused into the words of a request. */
static void
name_documents(ControlRequest *request, const CreditSource *source, int n,
			   const char *key, const char *number, int order)
{
	bool		is_first = request->ndocuments == 0 ||
		order < request->document_order;

	request->ndocuments += n;
	if (request->source == NULL || source->on_breach > request->source->on_breach)
		request->source = source;
	if (!is_first)
		return;
	request->document_order = order;
	request->document_key = pstrdup(key);
	request->document = pstrdup(number);
}

/* Adds one effect to the request of its account. */
static void
add_to_request(ControlRequest *request, Effect *effect)
{
	const Change *change = effect->document->change;

	vector_add(&delta_of(request, effect->currency)->delta, &effect->delta);
	if (is_enforced(effect))
		name_documents(request, change->source, 1, change->key,
					   text_or(&change->row, FIELD_NUMBER, change->key),
					   change->order);
}

/* Adds up the effects on one account. */
static void
build_request(ControlRequest *request, Effect *effects, int n)
{
	memset(request, 0, sizeof(ControlRequest));
	request->account_id = effects[0].account_id;
	request->source_id = effects[0].document->change->source->source_id;
	request->item_key = n == 1 ? effects[0].document->change->key : NULL;
	for (int i = 0; i < n; i++)
	{
		add_to_request(request, &effects[i]);
		if (effects[i].document->change->source->source_id != request->source_id)
			request->source_id = 0;
	}
}

static void
describe_document(const Effect *effect, ControlDocument *document)
{
	const Change *change = effect->document->change;

	document->key = change->key;
	document->number = text_or(&change->row, FIELD_NUMBER, change->key);
	document->currency = effect->currency;
	document->amount = vector_total(&effect->delta);
	document->date = change->row.isnull[FIELD_DOCUMENT_DATE] ? DATEVAL_NOEND :
		DatumGetDateADT(change->row.value[FIELD_DOCUMENT_DATE]);
	document->order = change->order;
}

/* ControlStatement.documents: those of the account at hand. */
static ControlDocument *
effect_documents(ControlStatement *base, int *n, bool *is_all)
{
	EffectStatement *statement = (EffectStatement *) base;
	ControlDocument *documents = palloc(sizeof(ControlDocument) *
										(statement->end - statement->start));

	*n = 0;
	*is_all = true;
	for (int i = statement->start; i < statement->end; i++)
		if (is_enforced(&statement->effects[i]))
			describe_document(&statement->effects[i], &documents[(*n)++]);
	return documents;
}

/* ControlStatement.next: moves on, as nothing is posted any more. */
static ControlRequest *
next_effects(ControlStatement *base)
{
	EffectStatement *statement = (EffectStatement *) base;
	int			i = statement->looked_at;
	int			start = i;
	ControlRequest *request;

	if (i == statement->n)
		return NULL;
	while (i < statement->n &&
		   statement->effects[i].account_id == statement->effects[start].account_id)
		i++;
	statement->looked_at = i;
	request = palloc(sizeof(ControlRequest));
	build_request(request, &statement->effects[start], i - start);
	return request;
}

/* Posts the effects on one account and tells the documents where they stand. */
static void
post_account(LedgerRel *journal, LedgerRel *limits, EffectStatement *statement)
{
	Effect	   *effects = &statement->effects[statement->start];
	int			n = statement->end - statement->start;
	ControlRequest request;
	ListCell   *lc;

	build_request(&request, effects, n);
	control_post(journal, limits, &request, &statement->base);

	for (int i = 0; i < n; i++)
		foreach(lc, request.deltas)
		{
			ControlDelta *delta = lfirst(lc);

			if (effects[i].is_new &&
				strcmp(delta->currency, effects[i].currency) == 0)
				effects[i].document->seq = delta->seq;
		}
}

ApplyTotals *
apply_totals_create(void)
{
	ApplyTotals *totals = palloc(sizeof(ApplyTotals));
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(int64);
	ctl.entrysize = sizeof(AccountTotal);
	ctl.hcxt = CurrentMemoryContext;
	totals->cxt = CurrentMemoryContext;
	totals->nkept = 0;
	totals->accounts = hash_create("credit statement totals", 256, &ctl,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return totals;
}

/* Replaces a sum by a newer one without leaving the old one behind. */
static void
keep_sum(CreditVector *kept, const CreditVector *sum)
{
	for (int i = 0; i < STAGE_COUNT; i++)
	{
		Numeric		old = kept->stage[i];

		kept->stage[i] = sum->stage[i] == NULL ? NULL :
			DatumGetNumericCopy(NumericGetDatum(sum->stage[i]));
		if (old != NULL)
			pfree(old);
	}
}

static int
compare_effect_order(const void *a, const void *b)
{
	return ((const Effect *) a)->document->change->order -
		((const Effect *) b)->document->change->order;
}

/*
 * Keeps the first documents of an account, as long as there is room.  Sorts
 * the effects anew.
 */
static void
keep_documents(ApplyTotals *totals, AccountTotal *total, Effect *effects, int n)
{
	MemoryContext old = MemoryContextSwitchTo(totals->cxt);

	if (n > 1)
		qsort(effects, n, sizeof(Effect), compare_effect_order);
	for (int i = 0; i < n; i++)
	{
		ControlDocument *document;

		if (list_length(total->first_documents) == CONTROL_NAMED_DOCUMENTS ||
			totals->nkept == MAX_KEPT_DOCUMENTS)
			break;
		if (!is_enforced(&effects[i]))
			continue;
		totals->nkept++;
		document = palloc(sizeof(ControlDocument));
		describe_document(&effects[i], document);
		document->key = pstrdup(document->key);
		document->number = pstrdup(document->number);
		document->currency = pstrdup(document->currency);
		document->amount = DatumGetNumericCopy(NumericGetDatum(document->amount));
		total->first_documents = lappend(total->first_documents, document);
	}
	MemoryContextSwitchTo(old);
}

/* ControlStatement.documents, of portions. */
static ControlDocument *
total_documents(ControlStatement *base, int *n, bool *is_all)
{
	TotalStatement *statement = (TotalStatement *) base;
	List	   *kept = statement->totals[statement->at]->first_documents;
	ControlDocument *documents = palloc(sizeof(ControlDocument) * (list_length(kept) + 1));
	ListCell   *lc;

	*n = 0;
	*is_all = false;
	foreach(lc, kept)
		documents[(*n)++] = *(ControlDocument *) lfirst(lc);
	if (*n == 0)
	{
		/* there was no room for it; its name is known all the same */
		memset(documents, 0, sizeof(ControlDocument));
		documents[(*n)++].number =
			statement->totals[statement->at]->request.document;
	}
	return documents;
}

/* ControlStatement.next, of portions. */
static ControlRequest *
next_total(ControlStatement *base)
{
	TotalStatement *statement = (TotalStatement *) base;

	if (statement->looked_at == statement->n)
		return NULL;
	return &statement->totals[statement->looked_at++]->request;
}

/* Adds the effects of a portion on one account to the statement's totals. */
static void
add_to_totals(ApplyTotals *totals, Effect *effects, int n)
{
	ControlRequest portion;
	AccountTotal *total;
	bool		found;
	ListCell   *lc;

	build_request(&portion, effects, n);
	total = hash_search(totals->accounts, &portion.account_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(&total->request, 0, sizeof(ControlRequest));
		total->request.account_id = portion.account_id;
		total->request.source_id = portion.source_id;
		total->first_documents = NIL;
	}
	else if (total->request.source_id != portion.source_id)
		total->request.source_id = 0;

	foreach(lc, portion.deltas)
	{
		ControlDelta *delta = lfirst(lc);
		CreditVector sum = delta->delta;
		ControlDelta *kept;
		MemoryContext old = MemoryContextSwitchTo(totals->cxt);

		kept = delta_of(&total->request, delta->currency);
		MemoryContextSwitchTo(old);
		vector_add(&sum, &kept->delta);
		MemoryContextSwitchTo(totals->cxt);
		keep_sum(&kept->delta, &sum);
		MemoryContextSwitchTo(old);
	}
	if (portion.ndocuments > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(totals->cxt);

		name_documents(&total->request, portion.source, portion.ndocuments,
					   portion.document_key, portion.document,
					   portion.document_order);
		MemoryContextSwitchTo(old);
		keep_documents(totals, total, effects, n);
	}
}

static int
compare_totals(const void *a, const void *b)
{
	int64		x = (*(AccountTotal *const *) a)->account_id;
	int64		y = (*(AccountTotal *const *) b)->account_id;

	return x < y ? -1 : x > y;
}

/* Checks and posts what all portions of a statement have come to. */
void
apply_totals(ApplyTotals *totals)
{
	LedgerRel  *journal = ledger_open(LEDGER_JOURNAL, RowExclusiveLock);
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, RowExclusiveLock);
	long		n = hash_get_num_entries(totals->accounts);
	AccountTotal **sorted = palloc(sizeof(AccountTotal *) * (n + 1));
	MemoryContext per_account = AllocSetContextCreate(CurrentMemoryContext,
													  "credit account",
													  ALLOCSET_DEFAULT_SIZES);
	HASH_SEQ_STATUS status;
	AccountTotal *total;
	TotalStatement statement = {
		.base = {MAX_WARNINGS, total_documents, next_total}
	};

	n = 0;
	hash_seq_init(&status, totals->accounts);
	while ((total = hash_seq_search(&status)) != NULL)
		sorted[n++] = total;
	qsort(sorted, n, sizeof(AccountTotal *), compare_totals);
	statement.totals = sorted;
	statement.n = n;
	for (long i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(per_account);

		statement.at = i;
		statement.looked_at = i + 1;
		control_post(journal, limits, &sorted[i]->request, &statement.base);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_account);
		CHECK_FOR_INTERRUPTS();
	}
	ledger_close(limits);
	ledger_close(journal);
	CommandCounterIncrement();
}

/*
 * Posts all effects, account by account in ascending order, or adds them to
 * the totals of the statement.
 */
static void
post_effects(Effect *effects, int n, ApplyTotals *totals)
{
	LedgerRel  *journal = ledger_open(LEDGER_JOURNAL, RowExclusiveLock);
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, RowExclusiveLock);
	EffectStatement statement = {
		.base = {MAX_WARNINGS, effect_documents, next_effects},
		.effects = effects,
		.n = n
	};

	if (n > 1)
		qsort(effects, n, sizeof(Effect), compare_effects);
	for (int i = 1; i <= n; i++)
	{
		if (i < n && effects[i].account_id == effects[statement.start].account_id)
			continue;
		statement.end = statement.looked_at = i;
		if (totals == NULL)
			post_account(journal, limits, &statement);
		else
			add_to_totals(totals, &effects[statement.start], i - statement.start);
		statement.start = i;
		CHECK_FOR_INTERRUPTS();
	}
	ledger_close(limits);
	ledger_close(journal);
}

/* Counts the documents that a statement changes, in runs of one source. */
static void
count_documents(const Document *documents, int n)
{
	int			start = 0;

	for (int i = 1; i <= n; i++)
	{
		if (i < n && documents[i].change->source->source_id ==
			documents[start].change->source->source_id)
			continue;
		stat_add(documents[start].change->source->source_id, STAT_DOCUMENTS, i - start);
		start = i;
	}
}

static void
apply_documents(Change **changes, int nchanges, ApplyTotals *totals)
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
		post_effects(effects, neffects, totals);
	if (ndocuments > 0)
		count_documents(documents, ndocuments);
	for (int i = 0; i < ndocuments; i++)
		item_write(items, &documents[i].old, &documents[i].new,
				   totals == NULL ? documents[i].seq : SEQ_LATER);
	ledger_close(items);
}

void
apply_changes(Change **changes, int nchanges, ApplyTotals *totals)
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
		apply_documents(changes, nchanges, totals);

	/* a later statement in the same command may touch what we wrote */
	CommandCounterIncrement();
}

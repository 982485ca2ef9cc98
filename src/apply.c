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
#include "directory.h"
#include "family.h"
#include "item.h"
#include "setting.h"
#include "stat.h"

/* WARNINGs of one statement; the rest is in view decision. */
#define MAX_WARNINGS 10

/* Documents kept by name take so much of work_mem: some 256 bytes each. */
#define DOCUMENT_SHARE (256 * 8)

/*
 * Its effect on one account: old and new account may differ, and those of a
 * first attempt (effects_of).
 */
#define MAX_EFFECTS 4

typedef struct Effect
{
	Document   *document;
	bool		is_new;			/* of the new version, too */
	int64		account_id;
	const char *currency;
	CreditVector delta;
} Effect;

struct ApplyTotals
{
	MemoryContext cxt;
	HTAB	   *accounts;		/* of AccountTotal */
	long		ndocuments;		/* kept for the words of a refusal */
	int64		named_below;	/* of accounts below this one only */
	int64		highest_named;
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

/* So often a document is looked up that others change in the same moment. */
#define MAX_ATTEMPTS 50

/* item_write: the row of the journal does not exist yet */
#define SEQ_LATER (-1)

/* A document changes what its old, its new and its posted versions name. */
#define MAX_EFFECTS 4

/* Who is told of increases that are not checked, or NULL. */
static UncheckedCallback tell_unchecked = NULL;
static void *tell_argument = NULL;

void
apply_tell_unchecked(UncheckedCallback callback, void *arg)
{
	tell_unchecked = callback;
	tell_argument = arg;
}

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

/* When the row event that touched a document was captured. */
static int
order_of(const Document *document)
{
	return document->cause == NULL ? 0 : document->cause->order;
}

/* Does a version of a document stand with an account? */
static bool
has_account(const CreditItem *item)
{
	return item->is_row && item->account_id != 0 && item->currency != NULL;
}

/* Adds a version of a document (sign 1), or takes it back, with its account. */
static int
add_version(Effect *effects, int n, Document *document, const CreditItem *item,
			int sign)
{
	int			i = 0;

	if (!has_account(item))
		return n;
	while (i < n && (effects[i].account_id != item->account_id ||
					 strcmp(effects[i].currency, item->currency) != 0))
		i++;
	if (i == n)
	{
		memset(&effects[n], 0, sizeof(Effect));
		effects[n].document = document;
		effects[n].account_id = item->account_id;
		effects[n++].currency = item->currency;
	}
	effects[i].is_new |= item == &document->new;
	if (sign > 0)
		vector_add(&effects[i].delta, &item->stages);
	else
		vector_subtract(&effects[i].delta, &item->stages);
	return n;
}

/*
 * Effects of a document on accounts: its new version takes the place of the
 * old one.  What a first attempt has posted, which took it for something else,
 * is taken back.
 */
static int
effects_of(Document *document, Effect *effects)
{
	int			n = add_version(effects, 0, document, &document->new, 1);
	int			kept = 0;

	n = add_version(effects, n, document, &document->old, -1);
	if (document->posted != NULL)
	{
		n = add_version(effects, n, document, &document->posted->new, -1);
		n = add_version(effects, n, document, &document->posted->old, 1);
	}
	for (int i = 0; i < n; i++)
		if (!vector_is_zero(&effects[i].delta))
			effects[kept++] = effects[i];
	return kept;
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
		result = order_of(x->document) - order_of(y->document);
	return result;
}

/*
 * May this increase be refused?  Also one by an order of negative amount that
 * goes: else two steps would lead round the limit.
 */
static bool
is_enforced(const Effect *effect)
{
	const Change *cause = effect->document->cause;

	return cause != NULL && !cause->is_unchecked &&
		(cause->source->kind == KIND_ORDER || cause->source->kind == KIND_DELIVERY) &&
		credit_compare(vector_total(&effect->delta), NULL) > 0;
}

/* Tells whoever asks of an increase that would have been checked. */
static void
note_unchecked(const Effect *effect)
{
	const Change *cause = effect->document->cause;

	if (tell_unchecked == NULL || cause == NULL || !cause->is_unchecked ||
		cause->source->on_breach == REACTION_OFF ||
		(cause->source->kind != KIND_ORDER && cause->source->kind != KIND_DELIVERY) ||
		credit_compare(vector_total(&effect->delta), NULL) <= 0)
		return;
	tell_unchecked(tell_argument, cause, effect->account_id, effect->currency,
				   vector_total(&effect->delta));
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

/*
 * Takes a document that may be refused into the words of a request, which
 * lives as long as the effect or longer.
 */
static void
name_document(ControlRequest *request, const Effect *effect, bool lives_on)
{
	const Change *change = effect->document->cause;
	bool		is_first = request->ndocuments == 0 ||
		change->order < request->document_order;

	request->ndocuments++;
	if (request->source == NULL ||
		change->source->on_breach > request->source->on_breach)
		request->source = change->source;
	if (!is_first)
		return;
	request->document_order = change->order;
	request->document_key = lives_on ? pstrdup(change->key) : change->key;
	request->document = change->row.isnull[FIELD_NUMBER] ?
		request->document_key :
		TextDatumGetCString(change->row.value[FIELD_NUMBER]);
}

/* Adds one effect to the request of its account. */
static void
add_to_request(ControlRequest *request, Effect *effect)
{
	vector_add(&delta_of(request, effect->currency)->delta, &effect->delta);
	if (is_enforced(effect))
		name_document(request, effect, false);
}

/* Adds up the effects on one account. */
static void
build_request(ControlRequest *request, Effect *effects, int n)
{
	memset(request, 0, sizeof(ControlRequest));
	request->account_id = effects[0].account_id;
	request->source_id = effects[0].document->source->source_id;
	request->item_key = n == 1 ? effects[0].document->key : NULL;
	for (int i = 0; i < n; i++)
	{
		add_to_request(request, &effects[i]);
		if (effects[i].document->source->source_id != request->source_id)
			request->source_id = 0;
	}
}

static void
describe_document(const Effect *effect, ControlDocument *document)
{
	const Change *change = effect->document->cause;

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

/*
 * Posts the effects on one account and tells the documents where they stand.
 * False: as control_post.
 */
static bool
post_account(LedgerRel *journal, LedgerRel *limits, EffectStatement *statement)
{
	Effect	   *effects = &statement->effects[statement->start];
	int			n = statement->end - statement->start;
	ControlRequest request;
	ListCell   *lc;

	build_request(&request, effects, n);
	if (!control_post(journal, limits, &request, &statement->base))
		return false;

	for (int i = 0; i < n; i++)
		foreach(lc, request.deltas)
		{
			ControlDelta *delta = lfirst(lc);

			if (effects[i].is_new &&
				strcmp(delta->currency, effects[i].currency) == 0)
				effects[i].document->seq = delta->seq;
		}
	return true;
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
	totals->ndocuments = 0;
	totals->named_below = PG_INT64_MAX;
	totals->highest_named = 0;
	totals->accounts = hash_create("credit statement totals", 256, &ctl,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return totals;
}

/* Adds to a sum that lives on, without leaving the old one behind. */
static void
add_to_sum(ApplyTotals *totals, CreditVector *kept, const CreditVector *term)
{
	for (int i = 0; i < STAGE_COUNT; i++)
	{
		Numeric		old = kept->stage[i];
		Numeric		sum;

		if (term->stage[i] == NULL)
			continue;
		sum = credit_add(old, term->stage[i]);
		kept->stage[i] = MemoryContextAlloc(totals->cxt, VARSIZE(sum));
		memcpy(kept->stage[i], sum, VARSIZE(sum));
		if (old != NULL)
			pfree(old);
	}
}

/* A copy of what a refusal would say of a document, in one piece. */
static ControlDocument *
copy_document(const ControlDocument *document)
{
	Size		key = strlen(document->key) + 1;
	Size		number = strlen(document->number) + 1;
	Size		currency = strlen(document->currency) + 1;
	Size		amount = MAXALIGN(VARSIZE(document->amount));
	char	   *place = palloc(MAXALIGN(sizeof(ControlDocument)) + amount +
							   key + number + currency);
	ControlDocument *copy = (ControlDocument *) place;

	*copy = *document;
	place += MAXALIGN(sizeof(ControlDocument));
	copy->amount = memcpy(place, document->amount, VARSIZE(document->amount));
	copy->key = memcpy(place += amount, document->key, key);
	copy->number = memcpy(place += key, document->number, number);
	copy->currency = memcpy(place + number, document->currency, currency);
	return copy;
}

/*
 * Forgets the documents of the upper half of the accounts.  Accounts are
 * posted in ascending order, so that the lower ones are refused first.
 */
static void
forget_documents(ApplyTotals *totals)
{
	HASH_SEQ_STATUS status;
	AccountTotal *total;
	int64		lowest = totals->named_below;

	hash_seq_init(&status, totals->accounts);
	while ((total = hash_seq_search(&status)) != NULL)
		if (total->first_documents != NIL)
			lowest = Min(lowest, total->account_id);
	totals->named_below = lowest + Max((totals->named_below - lowest) / 2, 1);

	hash_seq_init(&status, totals->accounts);
	while ((total = hash_seq_search(&status)) != NULL)
	{
		if (total->account_id < totals->named_below)
			continue;
		totals->ndocuments -= list_length(total->first_documents);
		list_free_deep(total->first_documents);
		total->first_documents = NIL;
	}
}

/* Keeps one of the first documents of an account, as far as there is room. */
static void
keep_document(ApplyTotals *totals, AccountTotal *total, const Effect *effect)
{
	MemoryContext old;
	ControlDocument document;

	if (list_length(total->first_documents) >= CONTROL_NAMED_DOCUMENTS ||
		total->account_id >= totals->named_below)
		return;
	describe_document(effect, &document);
	old = MemoryContextSwitchTo(totals->cxt);
	total->first_documents = lappend(total->first_documents,
									 copy_document(&document));
	MemoryContextSwitchTo(old);
	totals->highest_named = Max(totals->highest_named, total->account_id);
	if (++totals->ndocuments < work_mem * 1024L / DOCUMENT_SHARE)
		return;
	totals->named_below = Min(totals->named_below, totals->highest_named + 1);
	forget_documents(totals);
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

/* Adds one effect of a portion to the statement's totals. */
static void
add_to_totals(ApplyTotals *totals, Effect *effect)
{
	const CreditSource *source = effect->document->source;
	AccountTotal *total;
	ControlRequest *request;
	ControlDelta *delta;
	MemoryContext old;
	bool		enforced = is_enforced(effect);
	bool		found;

	total = hash_search(totals->accounts, &effect->account_id, HASH_ENTER, &found);
	request = &total->request;
	if (!found)
	{
		memset(request, 0, sizeof(ControlRequest));
		request->account_id = effect->account_id;
		request->source_id = source->source_id;
		total->first_documents = NIL;
	}
	else if (request->source_id != source->source_id)
		request->source_id = 0;

	old = MemoryContextSwitchTo(totals->cxt);
	if (enforced)
		name_document(request, effect, true);
	delta = delta_of(request, effect->currency);
	MemoryContextSwitchTo(old);
	add_to_sum(totals, &delta->delta, &effect->delta);
	if (enforced)
		keep_document(totals, total, effect);
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
		.base = {MAX_WARNINGS, false, total_documents, next_total}
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
		(void) control_post(journal, limits, &sorted[i]->request, &statement.base);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_account);
		CHECK_FOR_INTERRUPTS();
	}
	ledger_close(limits);
	ledger_close(journal);
	CommandCounterIncrement();
}

/*
 * Posts all effects, account by account in ascending order.  False: there is
 * one account, and it was not posted because of is_unsure.
 */
static bool
post_effects(Effect *effects, int n, bool is_unsure)
{
	LedgerRel  *journal = ledger_open(LEDGER_JOURNAL, RowExclusiveLock);
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, RowExclusiveLock);
	bool		done = true;
	EffectStatement statement = {
		.base = {MAX_WARNINGS, is_unsure, effect_documents, next_effects},
		.effects = effects,
		.n = n
	};

	if (n > 1)
		qsort(effects, n, sizeof(Effect), compare_effects);
	for (int i = 1; i <= n && done; i++)
	{
		if (i < n && effects[i].account_id == effects[statement.start].account_id)
			continue;
		statement.end = statement.looked_at = i;
		done = post_account(journal, limits, &statement);
		statement.start = i;
		CHECK_FOR_INTERRUPTS();
	}
	ledger_close(limits);
	ledger_close(journal);
	return done;
}

/* Counts the documents whose rows a statement changes, in runs of one source. */
static void
count_documents(Document **documents, int n)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
	{
		count += documents[i]->change != NULL;
		if (i + 1 < n && documents[i + 1]->source->source_id ==
			documents[i]->source->source_id)
			continue;
		if (count > 0)
			stat_add(documents[i]->source->source_id, STAT_DOCUMENTS, count);
		count = 0;
	}
}

/* Writes documents; what is not any more what it was taken for is marked. */
static void
write_documents(LedgerRel *items, Document **documents, int n)
{
	CreditChange *changes = palloc0(sizeof(CreditChange) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		changes[i].old = &documents[i]->old;
		changes[i].new = &documents[i]->new;
		changes[i].seq = documents[i]->seq;
	}
	if (n > 0)
		item_write(items, changes, n);
	for (int i = 0; i < n; i++)
		documents[i]->is_taken = changes[i].is_taken;
}

static int
compare_capture(const void *a, const void *b)
{
	return order_of(*(Document *const *) a) - order_of(*(Document *const *) b);
}

/* Adds up what documents change, in the order in which they were captured. */
static void
add_documents(ApplyTotals *totals, Document **documents, int n)
{
	Document  **sorted = palloc(sizeof(Document *) * (n + 1));
	Effect		effects[MAX_EFFECTS];
	int			kept = 0;

	for (int i = 0; i < n; i++)
		if (!documents[i]->is_taken)
			sorted[kept++] = documents[i];
	qsort(sorted, kept, sizeof(Document *), compare_capture);
	for (int i = 0; i < kept; i++)
		for (int e = effects_of(sorted[i], effects) - 1; e >= 0; e--)
		{
			note_unchecked(&effects[e]);
			add_to_totals(totals, &effects[e]);
		}
}

/* Checks and posts what documents change; false: as post_effects. */
static bool
post_documents(Document **documents, int n, bool is_unsure)
{
	Effect	   *effects = palloc(sizeof(Effect) * (n + 1) * MAX_EFFECTS);
	int			neffects = 0;

	for (int i = 0; i < n; i++)
		neffects += effects_of(documents[i], &effects[neffects]);
	for (int i = 0; i < neffects; i++)
		note_unchecked(&effects[i]);
	return neffects == 0 || post_effects(effects, neffects, is_unsure);
}

/*
 * Brings what a family has come to into the ledger.  Of a portion of a large
 * statement the documents are written at once, and what they add to each
 * account is added up.  NULL: nothing was done, because what was taken for new
 * without a look does not simply pass.
 */
static Document **
write_family(Family *family, ApplyTotals *totals, int *n)
{
	Document  **documents = family_finish(family, n);

	if (totals == NULL)
	{
		if (!post_documents(documents, *n, family->is_unsure))
			return NULL;
	}
	else
		for (int i = 0; i < *n; i++)
			documents[i]->seq = SEQ_LATER;
	count_documents(documents, *n);
	write_documents(family->items, documents, *n);
	if (totals != NULL)
		add_documents(totals, documents, *n);
	family_settle(family);
	return documents;
}

void
apply_family(Family *family)
{
	int			n;

	(void) write_family(family, NULL, &n);
	CommandCounterIncrement();
}

/*
 * Once more, for documents that somebody else has brought or changed between
 * our look and our writing.  Rows that are locked when they are looked up, as
 * those of families are, cannot be among them.
 */
static void
apply_taken(LedgerRel *items, Document **documents, int n, ApplyTotals *totals,
			int attempts)
{
	Family	   *family = NULL;
	int			ntaken;

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n; i++)
	{
		if (!documents[i]->is_taken)
			continue;
		if (attempts == MAX_ATTEMPTS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("document %s of \"%s\" goes on being changed by others",
							documents[i]->key, documents[i]->source->name),
					 errdetail("It was read and could not be written %d times.", attempts),
					 errhint("Repeat the transaction.")));
		/* it is not for want of a look */
		if (attempts > 1 && !documents[i]->old.is_row)
			item_wait_for_key(items, documents[i]->source->source_id,
							  documents[i]->key);
		if (family == NULL)
		{
			CommandCounterIncrement();	/* what it names was written */
			family = family_create(items, false);
		}
		family_change(family, documents[i]->change, documents[i], totals == NULL);
	}
	if (family == NULL)
		return;
	documents = write_family(family, totals, &ntaken);
	apply_taken(items, documents, ntaken, totals, attempts + 1);
}

/* Works out what changes make of their documents. */
static Family *
change_family(LedgerRel *items, Change **changes, int nchanges, bool trusts_inserts)
{
	Family	   *family = family_create(items, trusts_inserts);

	family_load(family, changes, nchanges);
	for (int i = 0; i < nchanges; i++)
	{
		if (changes[i]->source->kind == KIND_CUSTOMER)
			continue;
		family_change(family, changes[i], NULL, false);
		CHECK_FOR_INTERRUPTS();
	}
	return family;
}

/*
 * A row that was inserted is a new document nearly always, and its entry in
 * the index will say if it is not.  So one that comes alone is not looked for
 * before its increase has passed as it stands: what the ledger had of it could
 * only matter to a refusal.  Of many, the first accounts would be posted
 * before the last one turns out to be unsure; and what others name must be
 * locked.
 */
static bool
may_trust(bool is_single)
{
	return is_single && !directory()->has_references;
}

static void
apply_documents(Change **changes, int nchanges, bool is_single,
				ApplyTotals *totals)
{
	LedgerRel  *items = ledger_open(LEDGER_ITEM, RowExclusiveLock);
	Family	   *family = change_family(items, changes, nchanges,
									   totals != NULL || may_trust(is_single));
	Document  **documents;
	int			n;

	documents = write_family(family, totals, &n);
	if (documents == NULL)
	{
		family = change_family(items, changes, nchanges, false);
		documents = write_family(family, totals, &n);
	}
	apply_taken(items, documents, n, totals, 1);
	ledger_close(items);
}

void
apply_changes(Change **changes, int nchanges, ApplyTotals *totals)
{
	bool		customers = false;
	bool		documents = false;
	bool		is_single = nchanges == 1;

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
		apply_documents(changes, nchanges, is_single, totals);

	/* a later statement in the same command may touch what we wrote */
	CommandCounterIncrement();
}

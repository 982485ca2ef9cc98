/*
 * family_settle.c
 *	  What has been settled of the debts of a family, written down.
 */
#include "postgres.h"

#include "access/xact.h"

#include "family_member.h"
#include "family_share.h"
#include "settlement.h"
#include "stage.h"

static int
compare_pairs(const void *a, const void *b)
{
	const Pair *x = *(Pair *const *) a;
	const Pair *y = *(Pair *const *) b;
	int			result = family_compare(&x->debt, &y->debt);

	if (result == 0)
		result = family_compare(&x->stated_by, &y->stated_by);
	if (result != 0 || x->payment == y->payment)
		return result;
	if (x->payment == NULL || y->payment == NULL)
		return x->payment == NULL ? -1 : 1;
	return family_compare(&x->payment, &y->payment);
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

	if (!family_names(stated_by, pair->debt))
		return false;
	if (stated_by->source->kind != KIND_APPLICATION)
		return true;
	return pair->payment == NULL ? !family_names_payment(stated_by) :
		family_names(stated_by, pair->payment);
}

/* Does a document, as things are now, settle a debt? */
static bool
is_settling(Family *family, const Pair *pair)
{
	Document   *stated_by = pair->stated_by;
	const char *currency = stated_by->new.currency;

	return stated_by->new.is_counted && states_pair(pair) &&
		family_named(family, stated_by, ITEM_ORIGIN, currency, 0) == pair->debt &&
		(stated_by->source->kind != KIND_APPLICATION || pair->payment == NULL ||
		 family_named(family, stated_by, ITEM_DOCUMENT, currency, 0) == pair->payment);
}

/* Are the documents of a pair there, and one of them is reversed? */
static bool
is_past(Family *family, const Pair *pair)
{
	if (!pair->debt->new.exists ||
		(pair->payment != NULL && !pair->payment->new.exists))
		return false;
	return family_is_reversed(family, pair->debt) ||
		family_is_reversed(family, pair->payment) ||
		family_is_reversed(family, pair->stated_by);
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

/*
 * Is the source of a document being detached?  Then what it has said is taken
 * back on its own days: attached anew, it says it again.
 */
static bool
is_withdrawn(const Document *document)
{
	return document->change != NULL && document->change->is_withdrawn;
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
	settlement.is_correction = is_withdrawn(pair->stated_by) ||
		(stated->exists && !states_pair(pair));
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
	settlement.is_credit = credit_compare(item_number(item, ITEM_AMOUNT), NULL) < 0;
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

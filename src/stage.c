/*
 * stage.c
 *	  In which stage of exposure the value of a document stands.
 *
 * A value stands in exactly one stage.  Of an order of A, of which D was
 * delivered and I was invoiced,
 *
 *		delivered = max(0, D - I)		ordered = max(0, A - max(D, I))
 *
 * stand with the order itself, and nothing with its deliveries; what is
 * invoiced stands with the invoice, as far as it is not settled.  So the sum
 * is the same before and after a delivery and an invoice, and falls with the
 * payment.  An order that does not count, or not any more, has A = 0, and if
 * nothing was delivered of it, stands for nothing; a delivery that names no
 * order stands for itself.
 *
 * What is open of a debt is its amount less what was settled, or what the ERP
 * says is open.  Beyond zero it changes sides: an invoice paid twice leaves
 * unapplied cash, a payment applied beyond its amount is owed.
 *
 * What takes debt off and is dated in the future is kept aside until its day.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "credit.h"
#include "setting.h"
#include "stage.h"

PG_FUNCTION_INFO_V1(credit_own_stages);
PG_FUNCTION_INFO_V1(credit_order_stages);

static Numeric
min_zero(Numeric a)
{
	return credit_compare(a, NULL) < 0 ? a : NULL;
}

static Numeric
max_zero(Numeric a)
{
	return credit_compare(a, NULL) > 0 ? a : NULL;
}

static Numeric
negate(Numeric a)
{
	return a == NULL ? NULL : credit_subtract(NULL, a);
}

/* The day a document counts from. */
DateADT
stage_effective_date(const CreditItem *item, DateADT otherwise)
{
	return item_date(item, ITEM_DOCUMENT_DATE,
					 item_date(item, ITEM_POSTING_DATE, otherwise));
}

/* The earlier of two days, as far as it is still to come. */
static void
note_day(DateADT *next, DateADT day, DateADT today)
{
	if (day > today && !DATE_IS_NOEND(day))
		*next = Min(*next, day);
}

/* Does a document of this kind take debt off? */
static bool
takes_off(CreditKind kind)
{
	return kind == KIND_PAYMENT || kind == KIND_CREDIT_NOTE;
}

/* Says whether a document counts today, and on which day to look again. */
void
stage_count(CreditItem *item, const CreditSource *source, DateADT today)
{
	DateADT		next = DATEVAL_NOEND;
	DateADT		reversed_on = item_date(item, ITEM_REVERSED_ON, DATEVAL_NOEND);
	DateADT		from = takes_off(source->kind) || source->kind == KIND_APPLICATION ?
		stage_effective_date(item, DATEVAL_NOBEGIN) : DATEVAL_NOBEGIN;

	if (!item->exists)
		return;
	item->is_counted = reversed_on > today && from <= today;
	if (reversed_on > today)
	{
		note_day(&next, reversed_on, today);
		note_day(&next, from, today);
		note_day(&next, item_date(item, ITEM_SETTLED_ON, DATEVAL_NOEND), today);
	}
	item->values[ITEM_NEXT_ON] = DateADTGetDatum(next);
	item->nulls[ITEM_NEXT_ON] = DATE_IS_NOEND(next);
}

/* The stages of an order, of A, D and I none of which is negative. */
static void
set_order_stages(CreditVector *stages, Numeric amount, Numeric delivered,
				 Numeric invoiced)
{
	stages->stage[STAGE_DELIVERED] = max_zero(credit_subtract(delivered, invoiced));
	stages->stage[STAGE_ORDERED] =
		max_zero(credit_subtract(amount, credit_max(delivered, invoiced)));
}

/* An order, of amount NULL where it does not count; of returns all is negative. */
static void
set_order(CreditVector *stages, Numeric amount, Numeric delivered, Numeric invoiced)
{
	if (delivered == NULL && invoiced == NULL)
	{
		stages->stage[STAGE_ORDERED] = amount;
		return;
	}
	/*
	 * What does not count and was not delivered has no value that a credit
	 * note could bring back.
	 */
	if (amount == NULL && credit_is_zero(delivered))
		return;
	if (credit_compare(amount != NULL ? amount : delivered, NULL) >= 0)
	{
		set_order_stages(stages, amount, delivered, invoiced);
		return;
	}
	set_order_stages(stages, negate(amount), negate(delivered), negate(invoiced));
	for (int i = 0; i < STAGE_COUNT; i++)
		stages->stage[i] = negate(stages->stage[i]);
}

/* What is open of a debt or of money, in its own sign. */
static Numeric
open_amount(const CreditItem *item, const CreditSource *source, DateADT today)
{
	if (!item->nulls[ITEM_OPEN_AMOUNT])
		return item_number(item, ITEM_OPEN_AMOUNT);
	if (item_date(item, ITEM_SETTLED_ON, DATEVAL_NOEND) <= today)
		return NULL;
	return credit_subtract(item_number(item, ITEM_AMOUNT), item->settled);
}

/* A debt, or (takes_off) money; a refund is money too, and adds to exposure. */
static void
set_open(CreditVector *stages, Numeric amount, Numeric open, bool takes_off)
{
	if (takes_off)
		open = negate(open);
	if (takes_off && credit_compare(amount, NULL) < 0)
	{
		stages->stage[STAGE_UNAPPLIED] = open;
		return;
	}
	stages->stage[STAGE_INVOICED] = max_zero(open);
	stages->stage[STAGE_UNAPPLIED] = min_zero(open);
}

/*
 * Works out what a document adds to exposure.  is_in_order: its value stands
 * with the order it was delivered for.
 */
void
stage_set(CreditItem *item, const CreditSource *source, DateADT today,
		  bool is_in_order)
{
	Numeric		amount;

	memset(&item->stages, 0, sizeof(CreditVector));
	if (!item->is_counted)
		return;
	amount = item->exists ? item_number(item, ITEM_AMOUNT) : NULL;
	switch (source->kind)
	{
		case KIND_ORDER:
			set_order(&item->stages, amount, item->delivered, item->invoiced);
			break;
		case KIND_DELIVERY:
			if (!is_in_order)
				set_order(&item->stages, NULL, amount, item->invoiced);
			break;
		case KIND_INVOICE:
		case KIND_RECEIVABLE:
		case KIND_CREDIT_NOTE:
		case KIND_PAYMENT:
			set_open(&item->stages, amount, open_amount(item, source, today),
					 takes_off(source->kind));
			break;
		default:
			break;
	}
}

static void
check_finite(Numeric amount)
{
	if (numeric_is_nan(amount) || numeric_is_inf(amount))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("amounts by stage cannot be NaN or infinite")));
}

/* The kind that a function of SQL is given. */
static CreditKind
kind_argument(text *name)
{
	CreditKind	kind;

	if (!credit_kind_parse(text_to_cstring(name), &kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a kind of source", text_to_cstring(name))));
	return kind;
}

/*
 * own_stages(kind, amount, open_amount, settled_on, reversed_on,
 * document_date, posting_date): what a document that no other one names adds.
 */
Datum
credit_own_stages(PG_FUNCTION_ARGS)
{
	static const int columns[] = {
		ITEM_AMOUNT, ITEM_OPEN_AMOUNT, ITEM_SETTLED_ON, ITEM_REVERSED_ON,
		ITEM_DOCUMENT_DATE, ITEM_POSTING_DATE
	};
	CreditSource source;
	CreditItem	item;
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};
	Numeric		number;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind and amount must not be NULL")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != (int) lengthof(values))
		elog(ERROR, "return type must be a row of %d columns", (int) lengthof(values));
	memset(&source, 0, sizeof(source));
	source.kind = kind_argument(PG_GETARG_TEXT_PP(0));
	memset(&item, 0, offsetof(CreditItem, values));
	memset(item.nulls, true, sizeof(item.nulls));
	item.is_row = item.exists = true;
	for (int i = 0; i < (int) lengthof(columns); i++)
	{
		item.nulls[columns[i]] = PG_ARGISNULL(i + 1);
		if (PG_ARGISNULL(i + 1))
			continue;
		item.values[columns[i]] = PG_GETARG_DATUM(i + 1);
		if (i >= 2)
			continue;
		number = PG_GETARG_NUMERIC(i + 1);
		check_finite(number);
		item.values[columns[i]] = NumericGetDatum(number);
	}
	stage_count(&item, &source, credit_today());
	stage_set(&item, &source, credit_today(), false);
	values[0] = BoolGetDatum(item.is_counted);
	values[1] = item.values[ITEM_NEXT_ON];
	nulls[1] = item.nulls[ITEM_NEXT_ON];
	values[2] = vector_to_datum(&item.stages);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/* order_stages(amount, delivered, invoiced) */
Datum
credit_order_stages(PG_FUNCTION_ARGS)
{
	Numeric		arguments[3];
	CreditVector stages;

	for (int i = 0; i < 3; i++)
	{
		arguments[i] = PG_ARGISNULL(i) ? NULL : PG_GETARG_NUMERIC(i);
		if (arguments[i] != NULL)
			check_finite(arguments[i]);
	}
	memset(&stages, 0, sizeof(stages));
	set_order(&stages, arguments[0], arguments[1], arguments[2]);
	PG_RETURN_DATUM(vector_to_datum(&stages));
}

/*
 * field.c
 *	  What a mapping can say about a row of the ERP.
 *
 * The one list of fields: attach(), its messages and the triggers all follow
 * it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "credit.h"
#include "field.h"

#define CUSTOMER (1 << KIND_CUSTOMER)
#define ORDER (1 << KIND_ORDER)
#define DELIVERY (1 << KIND_DELIVERY)
#define INVOICE (1 << KIND_INVOICE)
#define RECEIVABLE (1 << KIND_RECEIVABLE)
#define CREDIT_NOTE (1 << KIND_CREDIT_NOTE)
#define PAYMENT (1 << KIND_PAYMENT)
#define APPLICATION (1 << KIND_APPLICATION)
#define LINK (1 << KIND_LINK)
#define DEBT (INVOICE | RECEIVABLE)
#define MONEY (CREDIT_NOTE | PAYMENT)
#define DOCUMENT (ORDER | DELIVERY | DEBT | MONEY)	/* somebody owes */
#define ROW (DOCUMENT | APPLICATION | LINK)
#define ANY (CUSTOMER | ROW)

const char *const credit_kind_names[KIND_COUNT] = {
	[KIND_CUSTOMER] = "customer",
	[KIND_ORDER] = "order",
	[KIND_DELIVERY] = "delivery",
	[KIND_INVOICE] = "invoice",
	[KIND_RECEIVABLE] = "receivable",
	[KIND_CREDIT_NOTE] = "credit_note",
	[KIND_PAYMENT] = "payment",
	[KIND_APPLICATION] = "application",
	[KIND_LINK] = "link",
};

const CreditFieldInfo credit_fields[FIELD_COUNT] = {
	[FIELD_KEY] = {"key", TEXTOID, ANY, ANY,
	"Key of the row; of a customer the key its documents name."},
	[FIELD_CUSTOMER] = {"customer", TEXTOID, DOCUMENT, DOCUMENT,
	"Key of the customer who owes; NULL: the document is not ours."},
	[FIELD_SEGMENT] = {"segment", TEXTOID, CUSTOMER | DOCUMENT, 0,
	"Company, division or the like that has limits of its own."},
	[FIELD_CURRENCY] = {"currency", TEXTOID, ANY, 0,
	"Currency; default: setting currency, of an application or link that of its documents."},
	[FIELD_AMOUNT] = {"amount", NUMERICOID, ROW, ROW,
	"Amount, tax included; NULL: does not count yet. Of a receivable debit less credit; of payments and credit notes what they take off the debt."},
	[FIELD_DOCUMENT_DATE] = {"document_date", DATEOID, ROW & ~LINK, 0,
	"Date of the document; of an application the day it was made."},
	[FIELD_DUE_DATE] = {"due_date", DATEOID, DOCUMENT, 0,
	"Due date; of an order the day it is to be delivered."},
	[FIELD_POSTING_DATE] = {"posting_date", DATEOID, ROW & ~LINK, 0,
	"Posting date."},
	[FIELD_ORIGIN] = {"origin", TEXTOID, ORDER | DELIVERY | DEBT | LINK, LINK,
	"Key of the document this one comes from: of a delivery the order, of an invoice or link the order or (origin_kind) the delivery."},
	[FIELD_APPLIES_TO] = {"applies_to", TEXTOID, MONEY | APPLICATION, APPLICATION,
	"Key of the invoice (or, with applies_to_kind, receivable) that is paid."},
	[FIELD_PAYMENT] = {"payment", TEXTOID, APPLICATION, 0,
	"Key of the payment (or, with payment_kind, credit note or receivable) that pays; NULL: none, as in a write-off."},
	[FIELD_DOCUMENT] = {"document", TEXTOID, LINK, LINK,
	"Key of the invoice that covers so much of the origin."},
	[FIELD_OPEN_AMOUNT] = {"open_amount", NUMERICOID, DEBT | MONEY, 0,
	"What of the amount is still open, where the ERP keeps it; it rules then. NULL: not stated."},
	[FIELD_SETTLED_ON] = {"settled_on", DATEOID, DEBT | MONEY, 0,
	"Day on which nothing was open any more; alone it says that all is paid."},
	[FIELD_REVERSED_ON] = {"reversed_on", DATEOID, DEBT | MONEY | APPLICATION, 0,
	"Day from which the document is reversed."},
	[FIELD_NUMBER] = {"number", TEXTOID, DOCUMENT, 0,
	"Number people know the document by; default: its key."},
	[FIELD_IS_DISPUTED] = {"is_disputed", BOOLOID, DOCUMENT, 0,
	"True: the customer disputes it."},
	[FIELD_DISPUTED_AMOUNT] = {"disputed_amount", NUMERICOID, DEBT, 0,
	"How much of it is disputed; default: all, if is_disputed."},
	[FIELD_RETENTION_AMOUNT] = {"retention_amount", NUMERICOID, DEBT, 0,
	"Part that is retained until retention_until; it ages from that day."},
	[FIELD_RETENTION_UNTIL] = {"retention_until", DATEOID, DEBT, 0,
	"Day on which the retained part is due."},
	[FIELD_IS_WRITE_OFF] = {"is_write_off", BOOLOID, MONEY | APPLICATION, 0,
	"True: the debt is given up, nobody paid."},
	[FIELD_COUNTS_WHEN] = {"counts_when", BOOLOID, ANY, 0,
	"Condition under which the row counts; default: always."},
	[FIELD_NAME] = {"name", TEXTOID, CUSTOMER, 0,
	"Name of the customer."},
	[FIELD_CREDIT_LIMIT] = {"credit_limit", NUMERICOID, CUSTOMER, 0,
	"Credit limit in the currency of the account."},
	[FIELD_PARENT] = {"parent", TEXTOID, CUSTOMER, 0,
	"Key of the parent customer."},
	[FIELD_STATUS] = {"status", TEXTOID, CUSTOMER, 0,
	"Status of the customer, for views."},
	[FIELD_TERMS_DAYS] = {"terms_days", INT4OID, CUSTOMER, 0,
	"Payment terms in days."},
	[FIELD_RATING] = {"rating", TEXTOID, CUSTOMER, 0,
	"Credit rating, for views."},
};

PG_FUNCTION_INFO_V1(credit_field_catalog);

bool
credit_field_parse(const char *name, CreditField *field)
{
	for (int i = 0; i < FIELD_COUNT; i++)
	{
		if (strcmp(name, credit_fields[i].name) == 0)
		{
			*field = (CreditField) i;
			return true;
		}
	}
	return false;
}

bool
credit_kind_parse(const char *name, CreditKind *kind)
{
	for (int i = 0; i < KIND_COUNT; i++)
	{
		if (strcmp(name, credit_kind_names[i]) == 0)
		{
			*kind = (CreditKind) i;
			return true;
		}
	}
	return false;
}

/* Kinds of a bit mask as a text array. */
static Datum
kind_array(int kinds)
{
	Datum		names[KIND_COUNT];
	int			n = 0;

	for (int i = 0; i < KIND_COUNT; i++)
		if (kinds & (1 << i))
			names[n++] = CStringGetTextDatum(credit_kind_names[i]);
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

Datum
credit_field_catalog(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < FIELD_COUNT; i++)
	{
		const CreditFieldInfo *info = &credit_fields[i];
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(info->name);
		values[1] = CStringGetTextDatum(format_type_be(info->type));
		values[2] = kind_array(info->kinds);
		values[3] = kind_array(info->required);
		values[4] = CStringGetTextDatum(info->description);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

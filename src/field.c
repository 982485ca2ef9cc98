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
#define PAYMENT (1 << KIND_PAYMENT)
#define DOCUMENT (ORDER | PAYMENT)
#define ANY (CUSTOMER | DOCUMENT)

const char *const credit_kind_names[KIND_COUNT] = {
	[KIND_CUSTOMER] = "customer",
	[KIND_ORDER] = "order",
	[KIND_PAYMENT] = "payment",
};

const CreditFieldInfo credit_fields[FIELD_COUNT] = {
	[FIELD_KEY] = {"key", TEXTOID, ANY, ANY,
	"Key of the row; of a customer the key its documents name."},
	[FIELD_CUSTOMER] = {"customer", TEXTOID, DOCUMENT, DOCUMENT,
	"Key of the customer who owes; NULL: the document is not ours."},
	[FIELD_SEGMENT] = {"segment", TEXTOID, ANY, 0,
	"Company, division or the like that has limits of its own."},
	[FIELD_CURRENCY] = {"currency", TEXTOID, ANY, 0,
	"Currency; default: setting currency."},
	[FIELD_AMOUNT] = {"amount", NUMERICOID, DOCUMENT, DOCUMENT,
	"Amount, tax included; NULL: does not count yet."},
	[FIELD_DOCUMENT_DATE] = {"document_date", DATEOID, DOCUMENT, 0,
	"Date of the document."},
	[FIELD_DUE_DATE] = {"due_date", DATEOID, DOCUMENT, 0,
	"Due date; of an order the day it is to be delivered."},
	[FIELD_POSTING_DATE] = {"posting_date", DATEOID, DOCUMENT, 0,
	"Posting date."},
	[FIELD_ORIGIN] = {"origin", TEXTOID, ORDER, 0,
	"Key of the document this one comes from."},
	[FIELD_APPLIES_TO] = {"applies_to", TEXTOID, PAYMENT, 0,
	"Key of the document that is paid."},
	[FIELD_NUMBER] = {"number", TEXTOID, DOCUMENT, 0,
	"Number people know the document by; default: its key."},
	[FIELD_IS_DISPUTED] = {"is_disputed", BOOLOID, DOCUMENT, 0,
	"True: the customer disputes it."},
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

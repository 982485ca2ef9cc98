/*
 * field.h
 *	  What a mapping can say about a row of the ERP.
 */
#ifndef CREDIT_FIELD_H
#define CREDIT_FIELD_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "nodes/bitmapset.h"
#include "utils/plancache.h"
#include "utils/relcache.h"

typedef enum CreditKind
{
	KIND_CUSTOMER,
	KIND_ORDER,
	KIND_DELIVERY,
	KIND_INVOICE,
	KIND_RECEIVABLE,			/* a signed line of a ledger */
	KIND_CREDIT_NOTE,
	KIND_PAYMENT,
	KIND_APPLICATION,			/* of a payment to an invoice */
	KIND_LINK,					/* of an invoice to an order */
	KIND_COUNT
} CreditKind;

/* The reference of a mapping that names no kind. */
#define KIND_NONE KIND_COUNT

/* Has a document of this kind a customer who owes?  Else it only joins others. */
static inline bool
credit_kind_owes(CreditKind kind)
{
	return kind != KIND_CUSTOMER && kind != KIND_APPLICATION && kind != KIND_LINK;
}

typedef enum CreditField
{
	FIELD_KEY,
	FIELD_CUSTOMER,
	FIELD_SEGMENT,
	FIELD_CURRENCY,
	FIELD_AMOUNT,
	FIELD_DOCUMENT_DATE,
	FIELD_DUE_DATE,
	FIELD_POSTING_DATE,
	FIELD_ORIGIN,
	FIELD_APPLIES_TO,
	FIELD_PAYMENT,
	FIELD_DOCUMENT,
	FIELD_OPEN_AMOUNT,
	FIELD_SETTLED_ON,
	FIELD_REVERSED_ON,
	FIELD_NUMBER,
	FIELD_IS_DISPUTED,
	FIELD_DISPUTED_AMOUNT,
	FIELD_RETENTION_AMOUNT,
	FIELD_RETENTION_UNTIL,
	FIELD_IS_WRITE_OFF,
	FIELD_COUNTS_WHEN,
	FIELD_NAME,
	FIELD_CREDIT_LIMIT,
	FIELD_PARENT,
	FIELD_STATUS,
	FIELD_TERMS_DAYS,
	FIELD_RATING,
	FIELD_COUNT
} CreditField;

typedef struct CreditFieldInfo
{
	const char *name;
	Oid			type;			/* text, numeric, date, bool or int4 */
	int			kinds;			/* bit per kind that may have it */
	int			required;		/* bit per kind that must have it */
	const char *description;
} CreditFieldInfo;

extern const CreditFieldInfo credit_fields[FIELD_COUNT];
extern const char *const credit_kind_names[KIND_COUNT];

/* One mapped row; values live in the context they were evaluated in. */
typedef struct CreditRow
{
	Datum		value[FIELD_COUNT];
	bool		isnull[FIELD_COUNT];
} CreditRow;

extern bool credit_field_parse(const char *name, CreditField *field);
extern bool credit_kind_parse(const char *name, CreditKind *kind);

#endif							/* CREDIT_FIELD_H */

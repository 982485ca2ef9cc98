/*
 * family_share.h
 *	  What a document adds to the sums of those it names.
 */
#ifndef CREDIT_FAMILY_SHARE_H
#define CREDIT_FAMILY_SHARE_H

#include "family.h"

/* A debt and what states that it was settled. */
typedef struct Pair
{
	Document   *debt;
	Document   *stated_by;
	Document   *payment;		/* NULL: none */
} Pair;

extern CreditKind family_origin_kind(const CreditSource *source);
extern CreditKind family_document_kind(const CreditSource *source);
extern bool family_same_currency(const char *a, const char *b);
extern Document *family_named(Family *family, Document *namer, int column,
							  const char *currency, int sign);
extern void family_touch(Family *family, Document *document);
extern bool family_names_payment(const Document *application);
extern bool family_is_reversed(Family *family, const Document *document);
extern void family_add_share(Family *family, Document *document, int sign);
extern bool family_names(const Document *namer, const Document *named);
extern List *family_namers(Family *family, Document *document);
extern void family_add_shares(Family *family, List *documents, int sign);

#endif							/* CREDIT_FAMILY_SHARE_H */

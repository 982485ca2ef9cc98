/*
 * family_member.h
 *	  The documents of a family, each looked up and locked once.
 */
#ifndef CREDIT_FAMILY_MEMBER_H
#define CREDIT_FAMILY_MEMBER_H

#include "family.h"

extern Document *family_add(Family *family, const CreditSource *source,
							const char *key);
extern Document *family_member(Family *family, const CreditSource *source,
							   const char *key, bool *found);
extern Document *family_document(Family *family, const CreditSource *source,
								 const char *key);
extern void family_hold_key(Family *family, Document *document);
extern int family_compare(const void *a, const void *b);

#endif							/* CREDIT_FAMILY_MEMBER_H */

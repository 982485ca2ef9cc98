/*
 * account.h
 *	  Accounts: one customer in one segment.
 */
#ifndef CREDIT_ACCOUNT_H
#define CREDIT_ACCOUNT_H

#include "ledger.h"
#include "source.h"

extern int64 account_resolve(const char *customer, const char *segment,
							 const char *currency, bool create);
extern char *account_describe(int64 account_id);
extern void account_apply_customer(const CreditSource *source,
								   const char *customer, const char *segment,
								   const CreditRow *row);

#endif							/* CREDIT_ACCOUNT_H */

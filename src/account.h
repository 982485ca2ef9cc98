/*
 * account.h
 *	  Accounts and their limits.
 */
#ifndef CREDIT_ACCOUNT_H
#define CREDIT_ACCOUNT_H

#include "ledger.h"
#include "limit.h"
#include "source.h"

/*
 * Limits that may be in force for an account right now.  More than one only
 * while a transaction changes it: which one counts is then not decided.
 */
#define LIMIT_MAX_VERSIONS 8

typedef struct LimitVersion
{
	CreditLimitState	state;
	Numeric		amount;			/* with LIMIT_AMOUNT_SET */
} LimitVersion;

typedef struct AccountLimit
{
	char	   *currency;		/* of the account */
	int			nversions;
	LimitVersion versions[LIMIT_MAX_VERSIONS];
	TransactionId changing_xid; /* who is changing it, or invalid */
} AccountLimit;

extern int64 account_resolve(const char *customer, const char *segment,
							 const char *currency, bool create);
extern void account_read_limit(LedgerRel *limits, int64 account_id,
							   AccountLimit *limit);
extern char *account_describe(int64 account_id);
extern void account_apply_customer(const CreditSource *source,
								   const char *customer, const char *segment,
								   const CreditRow *row);

#endif							/* CREDIT_ACCOUNT_H */

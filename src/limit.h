/*
 * limit.h
 *	  The limit of an account and its state.
 */
#ifndef CREDIT_LIMIT_H
#define CREDIT_LIMIT_H

#include "ledger.h"
#include "utils/date.h"
#include "utils/numeric.h"

typedef enum CreditLimitState
{
	LIMIT_NOT_SET,
	LIMIT_AMOUNT_SET,
	LIMIT_UNLIMITED,
	LIMIT_BLOCKED
} CreditLimitState;

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

/* A limit as it is to be written. */
typedef struct NewLimit
{
	CreditLimitState	state;
	Numeric		amount;
	bool		temporary;
	DateADT		valid_until;	/* with temporary */
	const char *currency;		/* NULL: as it is */
	bool		currency_only;		/* leave the limit alone */
	bool		only_if_mapped; /* leave a limit of set_limit alone */
	bool		mapped;
	int32		source_id;		/* 0: set_limit */
	const char *reason;
} NewLimit;

struct CreditSource;
struct CreditRow;

extern const char *limit_state_name(CreditLimitState state);
extern bool limit_state_parse(const char *name, CreditLimitState *state);

extern void limit_read(LedgerRel *limits, int64 account_id, AccountLimit *limit);
extern void limit_from_row(const struct CreditSource *source,
						   const struct CreditRow *row, NewLimit *new);
extern void limit_write(int64 account_id, const char *customer,
						const NewLimit *new);

#endif							/* CREDIT_LIMIT_H */

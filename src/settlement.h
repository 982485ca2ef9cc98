/*
 * settlement.h
 *	  Who settled what, and when.
 */
#ifndef CREDIT_SETTLEMENT_H
#define CREDIT_SETTLEMENT_H

#include "ledger.h"
#include "nodes/pg_list.h"
#include "utils/date.h"
#include "utils/numeric.h"

/* What one document states about the settlement of a debt. */
typedef struct Settlement
{
	int32		source_id;		/* the debt */
	const char *key;
	int32		stated_by_source_id;
	const char *stated_by_key;
	int32		payment_source_id;	/* 0: none */
	const char *payment_key;
	const char *kind;
	Numeric		amount;			/* NULL: nothing any more */
	Numeric		was_amount;		/* then: what it was until it was reversed */
	bool		is_correction;	/* then: it never was */
	bool		is_total;		/* of all days, as the ERP's residual says it */
	bool		is_credit;		/* then: of a credit, so that it is negative */
	DateADT		settled_on;		/* of the latest of it, where it is a total */
	bool		is_dated;		/* and the ERP says that day */
	DateADT		reversed_on;	/* where there is nothing any more, or less */
} Settlement;

/*
 * A month of an account whose settlements have changed; NOBEGIN: of those
 * whose day nobody knows, NOEND: every one.
 */
typedef struct MonthMark
{
	int64		account_id;
	DateADT		month;			/* its first day */
} MonthMark;

extern List *settlement_months(LedgerRel *settlements, int32 source_id,
							   const char *key, List *marks, int64 account_id);
extern void settlement_mark(List *marks);
extern void settlement_mark_all(int64 account_id);
extern void settlement_state(LedgerRel *settlements, const Settlement *settlement);

#endif							/* CREDIT_SETTLEMENT_H */

/*
 * journal.h
 *	  The append-only journal of exposure.
 */
#ifndef CREDIT_JOURNAL_H
#define CREDIT_JOURNAL_H

#include "ledger.h"
#include "vector.h"

/* Scope of a chain. */
#define SCOPE_OWN 0
#define SCOPE_CONSOLIDATED 1

/* One chain (account, scope, currency) as seen under the short lock. */
typedef struct ChainState
{
	char	   *currency;
	int64		last_seq;		/* 0: the chain is empty */
	int64		committed_seq;	/* newest row seen committed, 0: none */
	CreditVector committed;		/* everything seen committed */
	CreditVector own;			/* this transaction, so far */
	bool		has_own;
	int64		own_first;		/* seq of this transaction's first row */
	Numeric		own_peak;		/* peak a further own row must carry */
	Numeric		others;			/* upper bound of what others may commit */
	TransactionId other_xid;	/* one of them, to wait for */
	bool		is_only_chain;	/* the account has no other */
	int			nopen;
	int64	   *open;			/* pairs (seq, first_seq) of others */
} ChainState;

extern void journal_read(LedgerRel *journal, int64 account_id, int16 scope,
						 const char *currency, ChainState *chain);
extern List *journal_read_all(LedgerRel *journal, int64 account_id, int16 scope);
extern int64 journal_append(LedgerRel *journal, int64 account_id, int16 scope,
							ChainState *chain, const CreditVector *delta,
							int32 source_id, const char *item_key);

#endif							/* CREDIT_JOURNAL_H */

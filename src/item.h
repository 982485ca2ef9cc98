/*
 * item.h
 *	  Documents of the ERP as the ledger holds them.
 */
#ifndef CREDIT_ITEM_H
#define CREDIT_ITEM_H

#include "ledger.h"
#include "source.h"
#include "vector.h"

/* A document in the ledger. */
typedef struct CreditItem
{
	bool		exists;
	HeapTuple	tuple;
	int64		account_id;
	char	   *currency;
	CreditVector stages;
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
} CreditItem;

/* One version of a document and the next; either may not exist. */
typedef struct CreditChange
{
	CreditItem *old;
	CreditItem *new;
	int64		seq;			/* row of the journal, see item_write */
	bool		is_taken;		/* set by item_write: old does exist */
} CreditChange;

extern void item_find(LedgerRel *items, int32 source_id, const char *key,
					  CreditItem *item);
extern void item_build(CreditItem *item, const CreditSource *source, const char *key,
					   int64 account_id, const char *currency,
					   const CreditRow *row);
extern bool item_same(const CreditItem *a, const CreditItem *b);
extern void item_write(LedgerRel *items, CreditChange *changes, int n,
					   bool unsure);

#endif							/* CREDIT_ITEM_H */

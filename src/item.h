/*
 * item.h
 *	  Documents of the ERP as the ledger holds them.
 */
#ifndef CREDIT_ITEM_H
#define CREDIT_ITEM_H

#include "ledger.h"
#include "source.h"
#include "vector.h"

/*
 * A document in the ledger.  A row that is no document (exists is false) holds
 * a key that other documents name, so that they meet there: an order that does
 * not count, and what was delivered and invoiced of it all the same.
 */
typedef struct CreditItem
{
	bool		is_row;			/* of the table */
	bool		exists;			/* as a document */
	bool		is_counted;		/* not reversed, no receipt of the future */
	HeapTuple	tuple;
	int64		account_id;		/* 0: none */
	char	   *currency;		/* NULL: of the documents it joins */
	CreditVector stages;
	Numeric		delivered;		/* by documents that name this one, */
	Numeric		invoiced;		/* NULL: none ever did */
	Numeric		settled;
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
} CreditItem;

/* One version of a document and the next; either may not exist. */
typedef struct CreditChange
{
	CreditItem *old;
	CreditItem *new;
	int64		seq;			/* row of the journal, see item_write */
	bool		is_taken;		/* set by item_write: old is not the latest */
} CreditChange;

extern void item_find(LedgerRel *items, int32 source_id, const char *key,
					  CreditItem *item);
extern void item_find_locked(LedgerRel *items, int32 source_id, const char *key,
							 CreditItem *item);
extern void item_lock(LedgerRel *items, int32 source_id, const char *key,
					  CreditItem *item);
extern bool item_is_absent(LedgerRel *items, int32 source_id, const char *key);
extern bool item_hold_key(LedgerRel *items, int32 source_id, const char *key);
extern void item_wait_for_key(LedgerRel *items, int32 source_id, const char *key);
extern void item_load(LedgerRel *items, HeapTuple tuple, CreditItem *item);
extern void item_build(CreditItem *item, const CreditSource *source, const char *key,
					   int64 account_id, const char *currency,
					   const CreditRow *row);
extern void item_seal(CreditItem *item, int32 source_id, const char *key);
extern bool item_same(const CreditItem *a, const CreditItem *b);
extern void item_write(LedgerRel *items, CreditChange *changes, int n);

/* Values of a document; NULL and DATEVAL_NOEND where it has none. */
extern Numeric item_number(const CreditItem *item, int column);
extern const char *item_text(const CreditItem *item, int column);
extern DateADT item_date(const CreditItem *item, int column, DateADT otherwise);

#endif							/* CREDIT_ITEM_H */

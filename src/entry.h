/*
 * entry.h
 *	  Makes the entry of a row in an index, where that is simple.
 */
#ifndef CREDIT_ENTRY_H
#define CREDIT_ENTRY_H

#include "ledger.h"

extern bool entry_insert(LedgerRel *ledger, Relation index, Datum *keys,
						 bool *nulls, ItemPointer tid);

#endif							/* CREDIT_ENTRY_H */

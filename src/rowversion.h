/*
 * rowversion.h
 *	  Versions of rows of the ERP that documents were read from.
 */
#ifndef CREDIT_ROWVERSION_H
#define CREDIT_ROWVERSION_H

#include "executor/tuptable.h"
#include "storage/itemptr.h"

/* One version of one row, by its place. */
typedef struct RowVersion
{
	Oid			relid;			/* of the partition */
	ItemPointerData tid;
} RowVersion;

extern bool rowversion_is_own(TupleTableSlot *slot);
extern bool rowversion_lock(RowVersion *versions, int *n, bool is_replaced);
extern void rowversion_follow(const RowVersion *old, bool is_own, const RowVersion *new);
extern bool rowversion_origin(RowVersion *version);
extern bool rowversion_is_current(const RowVersion *version, Snapshot snapshot);

#endif							/* CREDIT_ROWVERSION_H */

/*
 * composite.h
 *	  Reading values of our row types; see composite.c.
 */
#ifndef CREDIT_COMPOSITE_H
#define CREDIT_COMPOSITE_H

#include "access/htup.h"

extern void composite_read(HeapTupleHeader row, int natts, const Oid *types,
						   Datum *values, bool *nulls);

#endif							/* CREDIT_COMPOSITE_H */

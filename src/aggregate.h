/*
 * aggregate.h
 *	  What the support functions of all aggregates need; see aggregate.c.
 */
#ifndef CREDIT_AGGREGATE_H
#define CREDIT_AGGREGATE_H

#include "access/tupdesc.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

extern MemoryContext aggregate_context(FunctionCallInfo fcinfo, const char *name);
extern TupleDesc aggregate_row_type(FunctionCallInfo fcinfo, const char *name,
									int ncolumns);
extern Datum aggregate_unchanged(FunctionCallInfo fcinfo);
extern void aggregate_open_bytes(FunctionCallInfo fcinfo, const char *name,
								 StringInfo buf);
extern void aggregate_refuse_bytes(const char *name);
extern void aggregate_send_int128(StringInfo buf, int128 value);
extern int128 aggregate_receive_int128(StringInfo buf);
extern int64 aggregate_receive_count(StringInfo buf, const char *name);

#endif							/* CREDIT_AGGREGATE_H */

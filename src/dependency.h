/*
 * dependency.h
 *	  Statements on the tables that a view is made of.
 */
#ifndef CREDIT_DEPENDENCY_H
#define CREDIT_DEPENDENCY_H

#include "frame.h"

/* Which declared tables the rows of a table or partition belong to. */
extern List *dependency_targets(Relation rel, const List *relids);
extern void dependency_follow(List *targets, TupleTableSlot *old, TupleTableSlot *new);
extern void dependency_collect(Frame *frame, List *targets, TupleTableSlot *old,
							   TupleTableSlot *new);
extern bool dependency_row_changed(TupleTableSlot *old, TupleTableSlot *new);
extern void dependency_limit_memory(Frame *frame);
extern void dependency_settle(Frame *frame, SubTransactionId subid,
							  SubTransactionId parent);

/* Touched documents: found out and locked, then brought into the frame. */
extern void dependency_resolve(Frame *frame);
extern void dependency_evaluate(Frame *frame);
extern void dependency_free(Frame *frame);

/* Documents that nobody has written, but that are to be looked at. */
extern void dependency_touch(Frame *frame, const CreditSource *source,
							 char **keys, int n);

/* All documents of the views that depend on a table. */
extern void dependency_truncate(Oid relid);

#endif							/* CREDIT_DEPENDENCY_H */

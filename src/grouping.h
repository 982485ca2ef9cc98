/*
 * grouping.h
 *	  Rows gathered by key, without the executor's GROUP BY; see grouping.c.
 */
#ifndef CREDIT_GROUPING_H
#define CREDIT_GROUPING_H

#include "access/tupdesc.h"
#include "fmgr.h"

#include "backlog.h"

/* Columns of a key. */
#define GROUPING_MAX_KEYS 16
/* What else a row has. */
#define GROUPING_MAX_VALUES 4

typedef struct Grouping Grouping;

/* What the groups are of; the first argument of each is subject. */
typedef struct GroupingSubject
{
	void	   *subject;
	Backlog    *backlog;		/* takes usual rows, 16 bytes each */
	int			nvalues;		/* a numeric, and dates behind it */

	/* a new group, a chunk in this memory */
	void	   *(*begin) (void *subject, MemoryContext cxt);
	/* adds a row that the backlog does not take; the group is settled */
	void		(*add_unusual) (void *subject, void *group,
								const NullableDatum *values);
	/*
	 * what is known of a group in the end; the backlog is empty; NULL: there
	 * was no row, and no column to group by
	 */
	void		(*end) (void *subject, const NullableDatum *key, void *group);
} GroupingSubject;

extern Grouping *grouping_make(const GroupingSubject *subject,
							   TupleDesc columns, int nkeys, Size memory);
extern void grouping_add(Grouping *grouping, const Datum *key,
						 const bool *isnull, const int64 *data);
extern void grouping_add_unusual(Grouping *grouping, const Datum *key,
								 const bool *isnull);
extern void grouping_end(Grouping *grouping);

#endif							/* CREDIT_GROUPING_H */

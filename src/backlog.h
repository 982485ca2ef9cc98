/*
 * backlog.h
 *	  Rows that an aggregate puts aside to add many at a time; see backlog.c.
 */
#ifndef CREDIT_BACKLOG_H
#define CREDIT_BACKLOG_H

#include "lib/ilist.h"
#include "utils/palloc.h"

/* 6 kB: they stay in the processor's first cache. */
#define BACKLOG_ROWS 256

/* How many rows before its turn a group's memory is asked for. */
#define BACKLOG_AHEAD 12

/* A row, whatever it is to the aggregate, and the group that it belongs to. */
typedef struct BacklogRow
{
	void	   *group;			/* a chunk in the memory of an aggregate */
	int64		data[2];
} BacklogRow;

typedef struct Backlog
{
	void		(*add_rows) (struct Backlog *backlog);
	int			n;
	int			n_groups;		/* that exist now */
	dlist_head	memories;		/* of BacklogMemory, where they exist */
	BacklogRow	rows[BACKLOG_ROWS];
} Backlog;

extern void backlog_init(Backlog *backlog, void (*add_rows) (Backlog *));
extern void backlog_note_group(Backlog *backlog, void *group);
extern void backlog_add_rows(Backlog *backlog);

/* Room for a row's data; the row is in when this is called. */
static pg_attribute_always_inline int64 *
backlog_put(Backlog *backlog, void *group)
{
	BacklogRow *row;

	if (unlikely(backlog->n == BACKLOG_ROWS))
		backlog_add_rows(backlog);
	row = &backlog->rows[backlog->n++];
	row->group = group;
	return row->data;
}

/* Before anybody looks at a group; NULL: nothing was ever put aside for it. */
static inline void
backlog_settle(Backlog *backlog)
{
	if (backlog != NULL && backlog->n > 0)
		backlog_add_rows(backlog);
}

#endif							/* CREDIT_BACKLOG_H */

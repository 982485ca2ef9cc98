/*
 * frame.h
 *	  What the statements that are under way have captured.
 */
#ifndef CREDIT_FRAME_H
#define CREDIT_FRAME_H

#include "apply.h"
#include "nodes/pg_list.h"
#include "source.h"

/* A document that a statement inside has brought up to date. */
typedef struct News
{
	const Change *change;		/* names it; a copy in the frame */
	CommandId	cid;			/* when */
	SubTransactionId subid;
	int			number;			/* in the frame */
} News;

typedef struct Frame
{
	Oid			relid;			/* table the statement names */
	SubTransactionId subid;
	MemoryContext cxt;			/* of news and totals, if there are any */
	MemoryContext row_cxt;		/* of the changes, a portion at a time */
	Change	  **changes;
	int			nchanges;
	int			allocated;
	int			ncaptured;		/* in all portions */
	bool		has_present;
	bool		has_gone;
	ApplyTotals *totals;		/* of the portions applied so far, or NULL */
	List	   *sources;		/* copies that changes and news point to */
	News	   *news;			/* by age, so that of one subtransaction last */
	int			nnews;
	int			news_allocated;
	struct Touched *touched;	/* documents of views (touched.c), or NULL */
} Frame;

extern Frame *frame_open(Oid relid);
extern Frame *frame_find(const List *relids);
extern MemoryContext frame_row_context(Frame *frame);
extern const CreditSource *frame_source(Frame *frame, const CreditSource *source);
extern Change *frame_add_change(Frame *frame);
extern void frame_apply(Frame *frame);
extern void frame_apply_part(Frame *frame);
extern void frame_limit_memory(Frame *frame);

#endif							/* CREDIT_FRAME_H */

/*
 * frame.c
 *	  What the statements that are under way have captured.
 *
 * Statements nest (the ERP's triggers write to attached tables), so frames
 * form a stack.  An inner frame is applied while the outer one is open, and it
 * leaves word there of the documents it was about: news.  Before a frame is
 * applied, what such news has overtaken is left out.  A version that was seen
 * alive is overtaken by news that came after it was captured; the end of a
 * version is overtaken by news of any later command, even if its event comes
 * last (the ERP's own trigger, which runs before ours, has put the row back).
 *
 * Frames follow subtransactions: an abort drops those opened inside, and the
 * news they left in others.
 *
 * A frame that outgrows its share of work_mem is applied in portions, unless
 * it holds both rows that came and rows that went: whether a key was given up
 * or taken over can only be told with all of them at hand.
 *
 * What a frame still holds at commit (a trigger was disabled in the middle of
 * a statement) is applied then.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "dependency.h"
#include "frame.h"
#include "sabotage.h"
#include "stat.h"

/*
 * A statement is applied in portions of at least so many changes, when they
 * take this share of work_mem: writing them takes three times as much again.
 */
#define MIN_PORTION 1000
#define ROW_SHARE 4

/* Innermost first; lives in TopTransactionContext. */
static List *frames = NIL;

Frame *
frame_open(Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Frame	   *frame = palloc0(sizeof(Frame));

	frame->relid = relid;
	frame->subid = GetCurrentSubTransactionId();
	frames = lcons(frame, frames);
	MemoryContextSwitchTo(old);
	return frame;
}

/* Frees a frame that is off the stack. */
static void
free_frame(Frame *frame)
{
	if (frame->row_cxt)
		MemoryContextDelete(frame->row_cxt);
	if (frame->cxt)
		MemoryContextDelete(frame->cxt);
	dependency_free(frame);
	list_free_deep(frame->sources);
	pfree(frame);
}

/*
 * Frame of the statement that a row belongs to: one on its table, or on a
 * partitioned table that this is a partition of.
 */
Frame *
frame_find(const List *relids)
{
	ListCell   *lc;

	foreach(lc, frames)
	{
		Frame	   *frame = lfirst(lc);

		if (list_member_oid(relids, frame->relid))
			return frame;
	}
	return NULL;
}

/* Memory for what a frame rarely needs: most have no use for it. */
static MemoryContext
frame_context(Frame *frame)
{
	if (frame->cxt == NULL)
		frame->cxt = AllocSetContextCreate(TopTransactionContext, "credit frame",
										   ALLOCSET_SMALL_SIZES);
	return frame->cxt;
}

MemoryContext
frame_row_context(Frame *frame)
{
	if (frame->row_cxt == NULL)
		frame->row_cxt = AllocSetContextCreate(TopTransactionContext, "credit rows",
											   ALLOCSET_DEFAULT_SIZES);
	return frame->row_cxt;
}

/* The frame's own copy of a source: cache entries come and go. */
const CreditSource *
frame_source(Frame *frame, const CreditSource *source)
{
	ListCell   *lc;
	CreditSource *copy;
	MemoryContext old;

	foreach(lc, frame->sources)
		if (((CreditSource *) lfirst(lc))->source_id == source->source_id)
			return lfirst(lc);
	old = MemoryContextSwitchTo(TopTransactionContext);
	copy = palloc(sizeof(CreditSource));
	*copy = *source;
	frame->sources = lappend(frame->sources, copy);
	MemoryContextSwitchTo(old);
	return copy;
}

/* A new change in the frame, without values; the caller fills it in. */
Change *
frame_add_change(Frame *frame)
{
	MemoryContext old = MemoryContextSwitchTo(frame_row_context(frame));
	Change	   *change;

	if (frame->changes == NULL)
	{
		frame->allocated = 4;
		frame->changes = palloc(sizeof(Change *) * frame->allocated);
	}
	else if (frame->nchanges == frame->allocated)
	{
		frame->allocated *= 2;
		frame->changes = repalloc_huge(frame->changes,
									   sizeof(Change *) * frame->allocated);
	}
	change = palloc0(sizeof(Change));
	memset(change->row.isnull, true, sizeof(change->row.isnull));
	change->order = frame->ncaptured++;
	change->subid = GetCurrentSubTransactionId();
	change->news_seen = frame->nnews;
	change->cid = GetCurrentCommandId(false);
	frame->changes[frame->nchanges++] = change;
	MemoryContextSwitchTo(old);
	return change;
}

/* Leaves word in an open frame of what an inner one is about to apply. */
static void
leave_news(Frame *outer, Frame *inner)
{
	MemoryContext old = MemoryContextSwitchTo(frame_context(outer));

	for (int i = 0; i < inner->nchanges; i++)
	{
		const Change *change = inner->changes[i];
		Change	   *copy;
		News	   *news;

		if (change->source->relid != outer->relid)
			continue;
		if (outer->nnews == outer->news_allocated)
		{
			outer->news_allocated = Max(8, outer->news_allocated * 2);
			outer->news = outer->news == NULL ?
				palloc(sizeof(News) * outer->news_allocated) :
				repalloc_huge(outer->news, sizeof(News) * outer->news_allocated);
		}
		copy = palloc0(sizeof(Change));
		copy->source = frame_source(outer, change->source);
		copy->key = pstrdup(change->key);
		copy->segment = pstrdup(change->segment);
		copy->hash = change->hash;
		news = &outer->news[outer->nnews];
		news->change = copy;
		news->cid = GetCurrentCommandId(false);
		news->subid = GetCurrentSubTransactionId();
		news->number = outer->nnews++;
	}
	MemoryContextSwitchTo(old);
}

/*
 * A subtransaction has ended: what it captured into a frame around it (rows
 * written into a partition while a statement on the whole table is open), and
 * the news it left there, is gone, or its parent's.
 */
static void
settle_frame(Frame *frame, SubTransactionId subid, SubTransactionId parent)
{
	dependency_settle(frame, subid, parent);
	for (int i = frame->nchanges - 1;
		 i >= 0 && frame->changes[i]->subid == subid; i--)
	{
		if (parent == InvalidSubTransactionId)
			frame->nchanges = i;
		else
			frame->changes[i]->subid = parent;
	}
	for (int i = frame->nnews - 1; i >= 0 && frame->news[i].subid == subid; i--)
	{
		if (parent == InvalidSubTransactionId && !SABOTAGED(NEWS))
			frame->nnews = i;
		else
			frame->news[i].subid = parent;
	}
}

static int
compare_news(const void *a, const void *b)
{
	const News *x = a;
	const News *y = b;

	if (x->change->hash != y->change->hash)
		return x->change->hash < y->change->hash ? -1 : 1;
	return x->number - y->number;
}

/* Is there news, sorted by hash, that makes a change obsolete? */
static bool
is_overtaken(const Change *change, const News *news, int nnews)
{
	int			low = 0;
	int			high = nnews;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (news[middle].change->hash < change->hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < nnews && news[low].change->hash == change->hash; low++)
		if (apply_same_document(change, news[low].change) &&
			(change->present ? news[low].number >= change->news_seen :
			 news[low].cid > change->cid))
			return true;
	return false;
}

/* Leaves out what statements inside have overtaken. */
static void
drop_overtaken(Frame *frame)
{
	int			kept = 0;
	News	   *sorted;

	if (frame->nnews == 0 || SABOTAGED(OVERTAKEN))
		return;
	sorted = palloc(sizeof(News) * frame->nnews);
	memcpy(sorted, frame->news, sizeof(News) * frame->nnews);
	qsort(sorted, frame->nnews, sizeof(News), compare_news);
	for (int i = 0; i < frame->nchanges; i++)
		if (!is_overtaken(frame->changes[i], sorted, frame->nnews))
			frame->changes[kept++] = frame->changes[i];
	frame->nchanges = kept;
	pfree(sorted);
}

/* Counts the rows a frame holds now. */
static void
count_rows(Frame *frame)
{
	const CreditSource *first = linitial(frame->sources);
	ListCell   *lc;

	if (list_length(frame->sources) == 1)
	{
		stat_add(first->source_id, STAT_ROWS, frame->nchanges);
		return;
	}
	foreach(lc, frame->sources)
	{
		const CreditSource *source = lfirst(lc);
		int			n = 0;

		for (int i = 0; i < frame->nchanges; i++)
			n += frame->changes[i]->source == source;
		stat_add(source->source_id, STAT_ROWS, n);
	}
}

/* Applies the changes a frame holds now, and forgets them. */
static void
apply_portion(Frame *frame)
{
	MemoryContext old;
	ListCell   *lc;

	if (frame->nchanges > 0)
		count_rows(frame);
	drop_overtaken(frame);
	if (frame->nchanges > 0)
	{
		foreach(lc, frames)
			if (lfirst(lc) != frame)
				leave_news(lfirst(lc), frame);
		old = MemoryContextSwitchTo(frame->row_cxt);
		apply_changes(frame->changes, frame->nchanges, frame->totals);
		MemoryContextSwitchTo(old);
		MemoryContextReset(frame->row_cxt);
	}
	frame->changes = NULL;
	frame->nchanges = 0;
}

/* The time of a statement that has rows of several sources is its first's. */
static void
begin_work(Frame *frame)
{
	stat_work_begin(((CreditSource *) linitial(frame->sources))->source_id);
}

/*
 * Applies what a frame holds and drops it.  The frame is off the stack first:
 * an error, or a statement inside, must not meet it again.
 */
void
frame_apply(Frame *frame)
{
	ListCell   *lc;

	frames = list_delete_ptr(frames, frame);
	dependency_resolve(frame);
	if (frame->sources == NIL)
	{
		free_frame(frame);		/* nothing was captured */
		return;
	}
	foreach(lc, frame->sources)
		stat_add(((CreditSource *) lfirst(lc))->source_id, STAT_STATEMENTS, 1);
	begin_work(frame);
	dependency_evaluate(frame);
	apply_portion(frame);
	if (frame->totals != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(frame_context(frame));

		apply_totals(frame->totals);
		MemoryContextSwitchTo(old);
	}
	stat_work_end();
	free_frame(frame);
}

/* Applies what a frame holds now, as a portion of its statement. */
void
frame_apply_part(Frame *frame)
{
	if (frame->totals == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(frame_context(frame));

		frame->totals = apply_totals_create();
		MemoryContextSwitchTo(old);
	}
	apply_portion(frame);
}

/* Applies a portion early where a statement would take too much memory. */
void
frame_limit_memory(Frame *frame)
{
	if (frame->nchanges < MIN_PORTION ||
		frame->subid != GetCurrentSubTransactionId() ||
		(frame->has_present && frame->has_gone) ||
		MemoryContextMemAllocated(frame->row_cxt, false) / 1024 <
		(Size) work_mem / ROW_SHARE)
		return;
	begin_work(frame);
	frame_apply_part(frame);
	stat_work_end();
}

/* Drops or hands over the frames of a subtransaction that ends. */
static void
frame_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
					   SubTransactionId parentSubid, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	source_settle_problems(mySubid, event == SUBXACT_EVENT_COMMIT_SUB ?
						   parentSubid : InvalidSubTransactionId);
	if (SABOTAGED(FRAME))
		event = SUBXACT_EVENT_COMMIT_SUB;
	foreach(lc, frames)
	{
		Frame	   *frame = lfirst(lc);

		settle_frame(frame, mySubid, event == SUBXACT_EVENT_COMMIT_SUB ?
					 parentSubid : InvalidSubTransactionId);
		if (frame->subid != mySubid)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			frame->subid = parentSubid;
			continue;
		}
		frames = foreach_delete_current(frames, lc);
		free_frame(frame);
	}
}

/* Applies what is left before a commit; forgets everything at the end. */
static void
frame_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			while (frames != NIL)
			{
				PushActiveSnapshot(GetTransactionSnapshot());
				frame_apply(linitial(frames));
				PopActiveSnapshot();
			}
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			frames = NIL;		/* the memory goes with the transaction */
			source_forget_problems();
			break;
		default:
			break;
	}
}

void
credit_frame_init(void)
{
	RegisterXactCallback(frame_xact_callback, NULL);
	RegisterSubXactCallback(frame_subxact_callback, NULL);
}

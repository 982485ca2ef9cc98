/*
 * capture.c
 *	  Triggers on the tables of the ERP.
 *
 * Three triggers stand on an attached table.  The BEFORE STATEMENT trigger
 * opens a frame; the AFTER ROW trigger reads the mapped values and puts them
 * there; the AFTER STATEMENT trigger applies the frame and closes it.  They are
 * AFTER triggers because BEFORE ROW would switch off COPY's multi-insert, and
 * row triggers because transition tables do not reach rows that are written
 * into a partition by its own name.  Such a row finds no frame: its statement
 * has no closing trigger of ours, so it is applied at once.
 *
 * The trigger names sort last, so that the ERP's own triggers have done their
 * work before ours look.
 *
 * A row version that is superseded within the statement (the ERP's own AFTER
 * trigger has updated it) is skipped as RI_FKey_check does: the newer version
 * brings its own event.  An UPDATE that changes nothing we read is skipped too,
 * unless this transaction wrote the old version: its event may have been the
 * one that was skipped.
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

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "credit.h"
#include "ledger.h"
#include "setting.h"
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
	MemoryContext cxt;			/* of everything in the frame */
	MemoryContext row_cxt;		/* of the changes, a portion at a time */
	Change	  **changes;
	int			nchanges;
	int			allocated;
	int			ncaptured;		/* in all portions */
	bool		has_present;
	bool		has_gone;
	ApplyTotals *totals;		/* of the portions applied so far, or NULL */
	List	   *sources;		/* copies that the changes point to */
	News	   *news;			/* by age, so that of one subtransaction last */
	int			nnews;
	int			news_allocated;
} Frame;

/*
 * A statement is applied in portions of at least so many changes, when they
 * take this share of work_mem: writing them takes three times as much again.
 */
#define MIN_PORTION 1000
#define ROW_SHARE 4

/* Documents taken out of the ledger at a time when a source is emptied. */
#define FORGET_PORTION 10000

/* Innermost first; lives in TopTransactionContext. */
static List *frames = NIL;

PG_FUNCTION_INFO_V1(credit_begin_statement);
PG_FUNCTION_INFO_V1(credit_capture_row);
PG_FUNCTION_INFO_V1(credit_end_statement);
PG_FUNCTION_INFO_V1(credit_capture_truncate);
PG_FUNCTION_INFO_V1(credit_forget);

/* Refuses any use but the one the trigger was made for. */
static TriggerData *
check_protocol(FunctionCallInfo fcinfo, const char *name, bool row, bool before)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		(TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) != 0) != row ||
		(TRIGGER_FIRED_BEFORE(trigdata->tg_event) != 0) != before)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as %s trigger %s", name,
						before ? "a BEFORE" : "an AFTER",
						row ? "for each row" : "for each statement"),
				 errhint("Triggers of extension \"credit\" are made by credit.attach().")));
	return trigdata;
}

static Frame *
open_frame(Oid relid)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Frame	   *frame = palloc0(sizeof(Frame));

	frame->relid = relid;
	frame->subid = GetCurrentSubTransactionId();
	frames = lcons(frame, frames);
	MemoryContextSwitchTo(old);
	return frame;
}

static void
drop_frame(Frame *frame)
{
	frames = list_delete_ptr(frames, frame);
	if (frame->cxt)
		MemoryContextDelete(frame->cxt);
	pfree(frame);
}

/* Frame of the statement that a row of this table or partition belongs to. */
static Frame *
find_frame(SourceEntry *entry)
{
	ListCell   *lc;

	foreach(lc, frames)
	{
		Frame	   *frame = lfirst(lc);

		if (list_member_oid(entry->relids, frame->relid))
			return frame;
	}
	return NULL;
}

static MemoryContext
frame_context(Frame *frame)
{
	if (frame->cxt == NULL)
		frame->cxt = AllocSetContextCreate(TopTransactionContext, "credit frame",
										   ALLOCSET_SMALL_SIZES);
	return frame->cxt;
}

static MemoryContext
row_context(Frame *frame)
{
	if (frame->row_cxt == NULL)
		frame->row_cxt = AllocSetContextCreate(frame_context(frame), "credit rows",
											   ALLOCSET_DEFAULT_SIZES);
	return frame->row_cxt;
}

/* The frame's own copy of a source: cache entries come and go. */
static const CreditSource *
frame_source(Frame *frame, const CreditSource *source)
{
	ListCell   *lc;
	CreditSource *copy;
	MemoryContext old;

	foreach(lc, frame->sources)
		if (((CreditSource *) lfirst(lc))->source_id == source->source_id)
			return lfirst(lc);
	old = MemoryContextSwitchTo(frame_context(frame));
	copy = palloc(sizeof(CreditSource));
	*copy = *source;
	frame->sources = lappend(frame->sources, copy);
	MemoryContextSwitchTo(old);
	return copy;
}

/* A new change in the frame, without values; the caller fills it in. */
static Change *
add_change(Frame *frame)
{
	MemoryContext old = MemoryContextSwitchTo(row_context(frame));
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
		if (parent == InvalidSubTransactionId)
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

	if (frame->nnews == 0)
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

/* Applies the changes a frame holds now, and forgets them. */
static void
apply_portion(Frame *frame)
{
	MemoryContext old;
	ListCell   *lc;

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

/*
 * Applies what a frame holds and drops it.  The frame is off the stack first:
 * an error, or a statement inside, must not meet it again.
 */
static void
apply_frame(Frame *frame)
{
	frames = list_delete_ptr(frames, frame);
	apply_portion(frame);
	if (frame->totals != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(frame->cxt);

		apply_totals(frame->totals);
		MemoryContextSwitchTo(old);
	}
	drop_frame(frame);
}

/* Applies a portion early where a statement would take too much memory. */
static void
limit_memory(Frame *frame)
{
	if (frame->nchanges < MIN_PORTION ||
		frame->subid != GetCurrentSubTransactionId() ||
		(frame->has_present && frame->has_gone) ||
		MemoryContextMemAllocated(frame->row_cxt, false) / 1024 <
		(Size) work_mem / ROW_SHARE)
		return;
	if (frame->totals == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(frame_context(frame));

		frame->totals = apply_totals_create();
		MemoryContextSwitchTo(old);
	}
	apply_portion(frame);
}

/* The command of this transaction that ended a row version. */
static CommandId
ending_command(TupleTableSlot *slot)
{
	bool		should_free;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
	CommandId	cid = HeapTupleHeaderGetCmax(tuple->t_data);

	if (should_free)
		heap_freetuple(tuple);
	return cid;
}

/*
 * Captures one row version under one mapping.  slot NULL is not possible;
 * gone: the row is deleted, or gives up its key.
 */
static void
capture_version(Frame *frame, SourceEntry *entry, SourceMapping *mapping,
				TupleTableSlot *slot, Oid relid, bool gone)
{
	MemoryContext old = MemoryContextSwitchTo(row_context(frame));
	CreditRow	row;
	Change	   *change;
	bool		is_customer = mapping->source.kind == KIND_CUSTOMER;

	if (!source_evaluate(entry, mapping, slot, gone, &row))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	change = add_change(frame);
	change->source = frame_source(frame, &mapping->source);
	change->key = TextDatumGetCString(row.value[FIELD_KEY]);
	change->hash = string_hash(change->key, strlen(change->key) + 1);
	change->segment = is_customer && !row.isnull[FIELD_SEGMENT] ?
		TextDatumGetCString(row.value[FIELD_SEGMENT]) : "";
	change->relid = relid;
	change->tid = slot->tts_tid;
	if (gone)
		change->cid = ending_command(slot);
	change->present = !gone &&
		(!mapping->field[FIELD_COUNTS_WHEN].present ||
		 (!row.isnull[FIELD_COUNTS_WHEN] &&
		  DatumGetBool(row.value[FIELD_COUNTS_WHEN])));
	change->row = row;
	frame->has_present |= !gone;
	frame->has_gone |= gone;
	MemoryContextSwitchTo(old);
}

/* Do two versions of a row have the same key under a mapping? */
static bool
same_key(SourceEntry *entry, SourceMapping *mapping, TupleTableSlot *a,
		 TupleTableSlot *b)
{
	CreditRow	x;
	CreditRow	y;

	if (!source_evaluate(entry, mapping, a, true, &x) ||
		!source_evaluate(entry, mapping, b, true, &y))
		return true;			/* reported; there is nothing to move */
	if (strcmp(TextDatumGetCString(x.value[FIELD_KEY]),
			   TextDatumGetCString(y.value[FIELD_KEY])) != 0)
		return false;
	if (mapping->source.kind != KIND_CUSTOMER)
		return true;			/* a document is known by its key alone */
	return x.isnull[FIELD_SEGMENT] == y.isnull[FIELD_SEGMENT] &&
		(x.isnull[FIELD_SEGMENT] ||
		 strcmp(TextDatumGetCString(x.value[FIELD_SEGMENT]),
				TextDatumGetCString(y.value[FIELD_SEGMENT])) == 0);
}

/* Did this transaction write the version of a row that was there before? */
static bool
is_own_version(TupleTableSlot *slot)
{
	bool		isnull;
	TransactionId xmin;

	xmin = DatumGetTransactionId(slot_getsysattr(slot,
												 MinTransactionIdAttributeNumber,
												 &isnull));
	return TransactionIdIsCurrentTransactionId(xmin);
}

/* Captures the event of a row trigger into a frame. */
static void
capture_event(Frame *frame, SourceEntry *entry, TriggerData *trigdata)
{
	Oid			relid = RelationGetRelid(trigdata->tg_relation);
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	bool		deletion = TRIGGER_FIRED_BY_DELETE(trigdata->tg_event);
	TupleTableSlot *before = update || deletion ? trigdata->tg_trigslot : NULL;
	TupleTableSlot *after = deletion ? NULL :
		update ? trigdata->tg_newslot : trigdata->tg_trigslot;
	bool		live = after != NULL &&
		table_tuple_satisfies_snapshot(trigdata->tg_relation, after, SnapshotSelf);

	for (int i = 0; i < entry->nmappings; i++)
	{
		SourceMapping *mapping = &entry->mappings[i];

		if (deletion ||
			(update && !same_key(entry, mapping, before, after)))
			capture_version(frame, entry, mapping, before, relid, true);
		if (live)
			capture_version(frame, entry, mapping, after, relid, false);
	}
}

Datum
credit_begin_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "begin_statement", false, true);

	if (credit_settings()->capture)
		(void) open_frame(RelationGetRelid(trigdata->tg_relation));
	return PointerGetDatum(NULL);
}

Datum
credit_capture_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "capture_row", true, false);
	SourceEntry *entry;
	Frame	   *frame;
	bool		at_once;

	if (!credit_settings()->capture)
		return PointerGetDatum(NULL);
	entry = source_lookup(trigdata->tg_relation);
	if (entry->nmappings == 0)
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) && !entry->broken &&
		!source_reads_changed(entry, trigdata->tg_trigslot, trigdata->tg_newslot) &&
		!is_own_version(trigdata->tg_trigslot))
		return PointerGetDatum(NULL);

	frame = find_frame(entry);
	at_once = frame == NULL;
	if (at_once)
		frame = open_frame(RelationGetRelid(trigdata->tg_relation));
	capture_event(frame, entry, trigdata);
	if (at_once)
		apply_frame(frame);
	else
		limit_memory(frame);
	return PointerGetDatum(NULL);
}

Datum
credit_end_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "end_statement", false, false);
	Oid			relid = RelationGetRelid(trigdata->tg_relation);
	ListCell   *lc;

	foreach(lc, frames)
	{
		Frame	   *frame = lfirst(lc);

		if (frame->relid == relid)
		{
			apply_frame(frame);
			break;
		}
	}
	return PointerGetDatum(NULL);
}

/* Adds "gone" for one document or customer that the ledger holds. */
static void
add_gone(Frame *frame, const CreditSource *source, Datum key, Datum segment)
{
	MemoryContext old = MemoryContextSwitchTo(row_context(frame));
	Change	   *change = add_change(frame);

	change->source = frame_source(frame, source);
	change->key = TextDatumGetCString(key);
	change->hash = string_hash(change->key, strlen(change->key) + 1);
	change->segment = segment == (Datum) 0 ? "" : TextDatumGetCString(segment);
	MemoryContextSwitchTo(old);
}

/*
 * Takes everything of one source out of the ledger, a portion at a time.  The
 * ledger itself says what there is, at its latest version.
 */
static void
forget_source(const CreditSource *source)
{
	bool		customers = source->kind == KIND_CUSTOMER;
	LedgerRel  *ledger = ledger_open(customers ? LEDGER_ACCOUNT : LEDGER_ITEM,
									 AccessShareLock);
	Frame	   *frame = open_frame(source->relid);
	ScanKeyData key;
	LedgerScan	scan;
	HeapTuple	tuple;

	if (customers)
		ledger_scan(&scan, ledger, NULL, SnapshotSelf, NULL, 0);
	else
	{
		ledger_key(ledger, &key, ITEM_SOURCE_ID, BTEqualStrategyNumber,
				   F_INT4EQ, Int32GetDatum(source->source_id));
		ledger_scan(&scan, ledger, NULL, SnapshotSelf, &key, 1);
	}
	while (HeapTupleIsValid(tuple = ledger_next(&scan, ForwardScanDirection)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		ledger_deform(ledger, tuple, values, nulls);
		if (!customers)
			add_gone(frame, source, values[ITEM_KEY], (Datum) 0);
		else if (!nulls[ACCOUNT_SOURCE_ID] &&
				 DatumGetInt32(values[ACCOUNT_SOURCE_ID]) == source->source_id)
			add_gone(frame, source, values[ACCOUNT_CUSTOMER], values[ACCOUNT_SEGMENT]);
		if (frame->nchanges >= FORGET_PORTION)
		{
			apply_frame(frame);
			frame = open_frame(source->relid);
		}
	}
	ledger_scan_end(&scan);
	apply_frame(frame);
	ledger_close(ledger);
}

/* TRUNCATE: everything the sources of the table have in the ledger goes. */
Datum
credit_capture_truncate(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "capture_truncate", false, false);
	SourceEntry *entry;

	if (!credit_settings()->capture)
		return PointerGetDatum(NULL);
	entry = source_lookup(trigdata->tg_relation);
	for (int i = 0; i < entry->nmappings; i++)
	{
		CreditSource source = entry->mappings[i].source;

		if (source.relid == RelationGetRelid(trigdata->tg_relation))
			forget_source(&source);
	}
	return PointerGetDatum(NULL);
}

/* forget(relation, kind): what detach() does with the ledger. */
Datum
credit_forget(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	int32		source_id = PG_GETARG_INT32(1);
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(2));
	CreditSource source;

	PreventCommandIfReadOnly("credit.forget()");
	memset(&source, 0, sizeof(source));
	source.relid = relid;
	source.source_id = source_id;
	if (!credit_kind_parse(kind, &source.kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a kind of source", kind)));
	forget_source(&source);
	PG_RETURN_VOID();
}

/* Drops or hands over the frames of a subtransaction that ends. */
static void
capture_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
						 SubTransactionId parentSubid, void *arg)
{
	ListCell   *lc;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		source_forget_problems();
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
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
		if (frame->cxt)
			MemoryContextDelete(frame->cxt);
		pfree(frame);
	}
}

/* Applies what is left before a commit; forgets everything at the end. */
static void
capture_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			while (frames != NIL)
			{
				PushActiveSnapshot(GetTransactionSnapshot());
				apply_frame(linitial(frames));
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
credit_capture_init(void)
{
	RegisterXactCallback(capture_xact_callback, NULL);
	RegisterSubXactCallback(capture_subxact_callback, NULL);
}

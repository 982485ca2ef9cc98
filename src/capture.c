/*
 * capture.c
 *	  Triggers on the tables of the ERP.
 *
 * Four triggers stand on an attached table, one of them for TRUNCATE.  The
 * BEFORE STATEMENT trigger opens a frame; the AFTER ROW trigger reads the
 * mapped values and puts them there; the AFTER STATEMENT trigger applies the
 * frame and closes it.  They are AFTER triggers because BEFORE ROW would switch off COPY's multi-insert, and
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
 * Statements nest; frame.c keeps what they capture apart.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "credit.h"
#include "dependency.h"
#include "directory.h"
#include "frame.h"
#include "ledger.h"
#include "progress.h"
#include "rowversion.h"
#include "sabotage.h"
#include "setting.h"
#include "source.h"

/* Documents taken out of the ledger at a time when a source is emptied. */
#define FORGET_PORTION 10000

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

/* Says which document or customer a change is about; segment 0: none. */
static void
name_change(Frame *frame, Change *change, const CreditSource *source,
			Datum key, Datum segment)
{
	change->source = frame_source(frame, source);
	change->key = TextDatumGetCString(key);
	change->hash = string_hash(change->key, strlen(change->key) + 1);
	change->segment = segment == (Datum) 0 ? "" : TextDatumGetCString(segment);
}

/*
 * Captures one row version under one mapping.  gone: the row is deleted, or
 * gives up its key.
 */
static void
capture_version(Frame *frame, SourceEntry *entry, SourceMapping *mapping,
				TupleTableSlot *slot, Oid relid, bool gone, bool is_insert)
{
	MemoryContext old = MemoryContextSwitchTo(frame_row_context(frame));
	CreditRow	row;
	Change	   *change;
	bool		is_customer = mapping->source.kind == KIND_CUSTOMER;

	if (!source_evaluate(entry, mapping, slot, gone, &row))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	change = frame_add_change(frame);
	name_change(frame, change, &mapping->source, row.value[FIELD_KEY],
				is_customer && !row.isnull[FIELD_SEGMENT] ?
				row.value[FIELD_SEGMENT] : (Datum) 0);
	change->relid = relid;
	change->tid = slot->tts_tid;
	change->is_insert = is_insert;
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
		(SABOTAGED(SUPERSEDED) ||
		 table_tuple_satisfies_snapshot(trigdata->tg_relation, after, SnapshotSelf));

	for (int i = 0; i < entry->nmappings; i++)
	{
		SourceMapping *mapping = &entry->mappings[i];

		if (deletion ||
			(update && !same_key(entry, mapping, before, after)))
			capture_version(frame, entry, mapping, before, relid, true, false);
		if (live)
			capture_version(frame, entry, mapping, after, relid, false,
							TRIGGER_FIRED_BY_INSERT(trigdata->tg_event));
	}
}

Datum
credit_begin_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "begin_statement", false, true);

	if (credit_settings()->capture)
		(void) frame_open(RelationGetRelid(trigdata->tg_relation));
	return PointerGetDatum(NULL);
}

Datum
credit_capture_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "capture_row", true, false);
	SourceEntry *entry;
	List	   *targets;
	Frame	   *frame;
	bool		at_once;
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	bool		is_mapped;

	if (!credit_settings()->capture)
		return PointerGetDatum(NULL);
	entry = source_lookup(trigdata->tg_relation);
	targets = dependency_targets(trigdata->tg_relation, entry->table.relids);
	if (targets != NIL && update)
		dependency_follow(targets, trigdata->tg_trigslot, trigdata->tg_newslot);
	if (targets != NIL && update &&
		!dependency_row_changed(trigdata->tg_trigslot, trigdata->tg_newslot))
		targets = NIL;
	is_mapped = entry->nmappings > 0 &&
		(!update || entry->broken ||
		 source_reads_changed(entry, trigdata->tg_trigslot, trigdata->tg_newslot) ||
		 (!SABOTAGED(OWN_VERSION) && rowversion_is_own(trigdata->tg_trigslot)));
	if (!is_mapped && targets == NIL)
		return PointerGetDatum(NULL);

	frame = frame_find(entry->table.relids);
	at_once = frame == NULL;
	if (at_once)
		frame = frame_open(RelationGetRelid(trigdata->tg_relation));
	if (is_mapped)
		capture_event(frame, entry, trigdata);
	if (targets != NIL)
	{
		bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);

		dependency_collect(frame, targets, insert ? NULL : trigdata->tg_trigslot,
						   insert ? trigdata->tg_trigslot :
						   update ? trigdata->tg_newslot : NULL);
	}
	if (at_once)
		frame_apply(frame);
	else
	{
		frame_limit_memory(frame);
		dependency_limit_memory(frame);
	}
	return PointerGetDatum(NULL);
}

Datum
credit_end_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = check_protocol(fcinfo, "end_statement", false, false);
	List	   *relids = list_make1_oid(RelationGetRelid(trigdata->tg_relation));
	Frame	   *frame = frame_find(relids);

	if (frame != NULL)
		frame_apply(frame);
	return PointerGetDatum(NULL);
}

/* Adds "gone" for one document or customer that the ledger holds. */
static void
add_gone(Frame *frame, const CreditSource *source, Datum key, Datum segment,
		 bool is_withdrawn)
{
	MemoryContext old = MemoryContextSwitchTo(frame_row_context(frame));
	Change	   *change = frame_add_change(frame);

	name_change(frame, change, source, key, segment);
	change->is_withdrawn = is_withdrawn;
	MemoryContextSwitchTo(old);
}

/*
 * Takes everything of one source out of the ledger, a portion at a time.  The
 * ledger itself says what there is, at its latest version.
 */
static void
forget_source(const CreditSource *source, bool is_withdrawn)
{
	bool		customers = source->kind == KIND_CUSTOMER;
	LedgerRel  *ledger = ledger_open(customers ? LEDGER_ACCOUNT : LEDGER_ITEM,
									 AccessShareLock);
	Frame	   *frame = frame_open(source->relid);
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
			add_gone(frame, source, values[ITEM_KEY], (Datum) 0, is_withdrawn);
		else if (!nulls[ACCOUNT_SOURCE_ID] &&
				 DatumGetInt32(values[ACCOUNT_SOURCE_ID]) == source->source_id)
			add_gone(frame, source, values[ACCOUNT_CUSTOMER], values[ACCOUNT_SEGMENT],
					 is_withdrawn);
		progress_advance(1);
		if (frame->nchanges >= FORGET_PORTION)
		{
			frame_apply(frame);
			frame = frame_open(source->relid);
		}
	}
	ledger_scan_end(&scan);
	frame_apply(frame);
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
			forget_source(&source, false);
	}
	dependency_truncate(RelationGetRelid(trigdata->tg_relation));
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
	/* with what its documents name: their shares have to be taken out */
	if (directory_find(source_id) != NULL)
		source = *directory_find(source_id);
	source.relid = relid;
	source.source_id = source_id;
	if (!credit_kind_parse(kind, &source.kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a kind of source", kind)));
	forget_source(&source, true);
	PG_RETURN_VOID();
}

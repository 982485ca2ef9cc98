/*
 * source.c
 *	  Mappings of tables of the ERP, cached per backend.
 *
 * An entry belongs to one relation and one user: the relation, because a
 * partition may number its columns differently; the user, because the right to
 * execute a function is checked when executor state is built.
 *
 * A mapping that cannot be compiled or evaluated any more must not stop order
 * entry unless the DBA chose so (on_error): the error becomes a WARNING and a
 * row of credit.source_problem.  Rows are appended, never updated: a health
 * flag on the source would be one row lock that every order queues for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "credit.h"
#include "ledger.h"
#include "source.h"

/* What compile_mapping needs. */
typedef struct CompileArgs
{
	Relation	rel;
	char	  **texts;			/* expressions by field, NULL where not mapped */
} CompileArgs;

static TableCache entries = {"credit sources", sizeof(SourceEntry)};

/* A source whose problem is written down already in this transaction. */
typedef struct Reported
{
	int32		source_id;
	SubTransactionId subid;
} Reported;

static List *reported = NIL;
static LocalTransactionId reported_lxid = InvalidLocalTransactionId;

static void fill_entry(SourceEntry *entry, Relation rel);
static void guard(SourceEntry *entry, SourceMapping *mapping,
				  void (*step) (SourceEntry *, SourceMapping *, void *), void *arg);
static void compile_mapping(SourceEntry *entry, SourceMapping *mapping, void *arg);
static void build_states(SourceEntry *entry, SourceMapping *mapping, void *arg);
static void refresh_states(SourceEntry *entry);

PG_FUNCTION_INFO_V1(credit_invalidate_source);

/* Only marks. */
void
credit_source_invalidate(Oid relid)
{
	tablecache_invalidate(&entries, relid);
}

void
credit_source_init(void)
{
	tablecache_init(&entries);
}

static void
drop_entry(SourceEntry *entry)
{
	for (int i = 0; i < entry->nmappings; i++)
		for (int f = 0; f < FIELD_COUNT; f++)
			expression_free(&entry->mappings[i].field[f]);
	entry->nmappings = 0;
	entry->table.relids = NIL;
	if (entry->econtext)
		FreeExprContext(entry->econtext, false);
	entry->econtext = NULL;
	if (entry->cxt)
		MemoryContextDelete(entry->cxt);
	entry->cxt = NULL;
}

/* Has a function or type that one of the expressions uses changed? */
static bool
plans_are_valid(SourceEntry *entry)
{
	for (int i = 0; i < entry->nmappings; i++)
		for (int f = 0; f < FIELD_COUNT; f++)
		{
			CachedExpression *cached = entry->mappings[i].field[f].cached;

			if (cached && !cached->is_valid)
				return false;
		}
	return true;
}

/*
 * Mappings of a table or partition for the current user.  The entry is good
 * until the next call for the same table.
 */
SourceEntry *
source_lookup(Relation rel)
{
	SourceEntry *entry = tablecache_find(&entries, RelationGetRelid(rel), GetUserId());

	if (!entry->table.valid || !plans_are_valid(entry) ||
		(entry->broken && entry->lxid != credit_local_xid()))
	{
		drop_entry(entry);
		PG_TRY();
		{
			fill_entry(entry, rel);
		}
		PG_CATCH();
		{
			entry->table.valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	else if (entry->lxid != credit_local_xid())
		refresh_states(entry);
	return entry;
}

static void
fill_entry(SourceEntry *entry, Relation rel)
{
	MemoryContext old;
	LedgerRel  *ledger;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			allocated = 2;
	char	  **texts;
	CompileArgs args;

	entry->broken = false;
	entry->table.valid = false;
	entry->attnos = NULL;
	entry->cxt = AllocSetContextCreate(CacheMemoryContext, "credit source",
									   ALLOCSET_SMALL_SIZES);
	entry->xact_cxt = AllocSetContextCreate(entry->cxt, "credit source state",
											ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(entry->cxt);
	entry->table.relids = rel->rd_rel->relispartition ?
		get_partition_ancestors(RelationGetRelid(rel)) : NIL;
	entry->table.relids = lcons_oid(RelationGetRelid(rel), entry->table.relids);
	entry->mappings = palloc0(sizeof(SourceMapping) * allocated);
	MemoryContextSwitchTo(old);

	/*
	 * Valid from here on, so that an invalidation while we read leads to
	 * another look; the caller takes it back on error.  A latest snapshot: a
	 * mapping made after our transaction began must count.
	 */
	entry->table.valid = true;
	ledger = ledger_open(LEDGER_SOURCE, AccessShareLock);
	scan = systable_beginscan(ledger->rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		SourceMapping *mapping;
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];

		ledger_deform(ledger, tuple, values, nulls);
		if (!list_member_oid(entry->table.relids,
							 DatumGetObjectId(values[SOURCE_RELATION])))
			continue;
		old = MemoryContextSwitchTo(entry->cxt);
		if (entry->nmappings == allocated)
		{
			allocated *= 2;
			entry->mappings = repalloc(entry->mappings,
									   sizeof(SourceMapping) * allocated);
		}
		MemoryContextSwitchTo(old);
		mapping = &entry->mappings[entry->nmappings];
		memset(mapping, 0, sizeof(SourceMapping));
		entry->nmappings++;
		texts = palloc0(sizeof(char *) * FIELD_COUNT);
		source_load(&mapping->source, ledger, tuple, texts);
		args.rel = rel;
		args.texts = texts;
		guard(entry, mapping, compile_mapping, &args);
	}
	systable_endscan(scan);
	ledger_close(ledger);

	old = MemoryContextSwitchTo(entry->cxt);
	entry->econtext = CreateStandaloneExprContext();
	MemoryContextSwitchTo(old);
	entry->lxid = InvalidLocalTransactionId;
	refresh_states(entry);
}

/* A kind that a column of credit.source names; NULL: none. */
static bool
parse_reference_kind(Datum value, bool isnull, CreditKind *kind)
{
	*kind = KIND_NONE;
	return isnull || credit_kind_parse(TextDatumGetCString(value), kind);
}

void
source_load(CreditSource *source, LedgerRel *ledger, HeapTuple tuple, char **texts)
{
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS];
	Jsonb	   *fields;
	JsonbIterator *it;
	JsonbValue	v;
	JsonbIteratorToken token;
	CreditField field = FIELD_COUNT;

	ledger_deform(ledger, tuple, values, nulls);
	source->source_id = DatumGetInt32(values[SOURCE_ID]);
	source->relid = DatumGetObjectId(values[SOURCE_RELATION]);
	source->is_view = get_rel_relkind(source->relid) == RELKIND_VIEW;
	strlcpy(source->name, TextDatumGetCString(values[SOURCE_NAME]),
			sizeof(source->name));
	if (!credit_kind_parse(TextDatumGetCString(values[SOURCE_KIND]), &source->kind) ||
		!credit_reaction_parse(TextDatumGetCString(values[SOURCE_ON_BREACH]),
							   &source->on_breach) ||
		!limit_state_parse(TextDatumGetCString(values[SOURCE_NULL_LIMIT]),
						   &source->null_limit) ||
		!limit_state_parse(TextDatumGetCString(values[SOURCE_ZERO_LIMIT]),
						   &source->zero_limit) ||
		!parse_reference_kind(values[SOURCE_ORIGIN_KIND],
							  nulls[SOURCE_ORIGIN_KIND], &source->origin_kind) ||
		!parse_reference_kind(values[SOURCE_APPLIES_TO_KIND],
							  nulls[SOURCE_APPLIES_TO_KIND], &source->applies_to_kind) ||
		!parse_reference_kind(values[SOURCE_PAYMENT_KIND],
							  nulls[SOURCE_PAYMENT_KIND], &source->payment_kind))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("source \"%s\" was made by another version of extension \"credit\"",
						source->name),
				 errdetail("The library is of version %s.", CREDIT_VERSION),
				 errhint("If that is older than the extension in this database (\\dx credit), install the library of the extension's version and connect again; else run ALTER EXTENSION credit UPDATE.")));
	source->refuse_on_error =
		strcmp(TextDatumGetCString(values[SOURCE_ON_ERROR]), "refuse") == 0;

	fields = DatumGetJsonbP(values[SOURCE_FIELDS]);
	it = JsonbIteratorInit(&fields->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			char	   *name = pnstrdup(v.val.string.val, v.val.string.len);

			if (!credit_field_parse(name, &field))
				field = FIELD_COUNT;
		}
		else if (token == WJB_VALUE && field != FIELD_COUNT && v.type == jbvString)
		{
			if (texts != NULL)
				texts[field] = pnstrdup(v.val.string.val, v.val.string.len);
			source->has_field[field] = true;
		}
	}
	source->has_limit = source->has_field[FIELD_CREDIT_LIMIT];
}

/* Remembers an error as the state of the mapping; the caller is in PG_CATCH. */
static void
set_broken(SourceEntry *entry, SourceMapping *mapping, ErrorData *edata)
{
	mapping->broken = true;
	entry->broken = true;
	strlcpy(mapping->sqlstate, unpack_sql_state(edata->sqlerrcode), 6);
	mapping->message = MemoryContextStrdup(entry->cxt, edata->message);
}

/*
 * A query cancel, a crash or an out-of-memory is no property of the mapping, nor
 * is a lock that somebody has: drivers repeat what fails for that.
 */
static bool
is_mapping_error(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category != ERRCODE_TO_CATEGORY(ERRCODE_QUERY_CANCELED) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_T_R_DEADLOCK_DETECTED) &&
		sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) &&
		category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_CORRUPTED);
}

/*
 * Runs a step that a mapping can make fail, in a subtransaction; the error, if
 * there was one that is the mapping's fault, else NULL.
 */
ErrorData *
source_attempt(void (*step) (void *), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(caller);
		step(arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (!is_mapping_error(edata->sqlerrcode))
			ReThrowError(edata);
	}
	PG_END_TRY();
	return edata;
}

/* A step of making a mapping usable. */
typedef struct GuardedStep
{
	SourceEntry *entry;
	SourceMapping *mapping;
	void		(*run) (SourceEntry *entry, SourceMapping *mapping, void *arg);
	void	   *arg;
} GuardedStep;

static void
run_guarded(void *arg)
{
	GuardedStep *step = arg;

	step->run(step->entry, step->mapping, step->arg);
}

/*
 * Runs one step of making a mapping usable.  It touches catalogs and takes
 * locks, so that an error can only be survived in a subtransaction; that costs
 * little, because it happens once per backend and table, not per row.
 */
static void
guard(SourceEntry *entry, SourceMapping *mapping,
	  void (*run) (SourceEntry *, SourceMapping *, void *), void *arg)
{
	GuardedStep step = {entry, mapping, run, arg};
	ErrorData  *edata = source_attempt(run_guarded, &step);

	if (edata != NULL)
		set_broken(entry, mapping, edata);
}

/* A step for guard: compiles all fields. */
static void
compile_mapping(SourceEntry *entry, SourceMapping *mapping, void *arg)
{
	CompileArgs *args = arg;

	mapping->simple = true;
	MemoryContextSwitchTo(entry->cxt);
	for (int f = 0; f < FIELD_COUNT; f++)
	{
		CompiledField *compiled = &mapping->field[f];

		if (args->texts[f] == NULL)
			continue;
		expression_compile(compiled, args->rel, args->texts[f],
						   (CreditField) f, &entry->attnos);
		mapping->simple &= compiled->cached == NULL || compiled->simple;
		mapping->mutable |= compiled->mutable;
	}
}

/* A step for guard: builds executor state, all or what is due every time. */
static void
build_states(SourceEntry *entry, SourceMapping *mapping, void *arg)
{
	bool		first = *(bool *) arg;

	for (int f = 0; f < FIELD_COUNT; f++)
	{
		CompiledField *compiled = &mapping->field[f];

		if (compiled->cached == NULL || (compiled->simple && !first))
			continue;
		MemoryContextSwitchTo(compiled->simple ? entry->cxt : entry->xact_cxt);
		compiled->state = ExecInitExpr((Expr *) compiled->cached->expr, NULL);
	}
}

/*
 * Builds executor state for a new transaction: all of it the first time, that
 * of functions of users every time.  The right to execute them is checked
 * here; who lacks it meets a mapping that is broken for him.
 */
static void
refresh_states(SourceEntry *entry)
{
	bool		first = entry->lxid == InvalidLocalTransactionId;

	if (!first)
		MemoryContextReset(entry->xact_cxt);
	for (int i = 0; i < entry->nmappings; i++)
	{
		SourceMapping *mapping = &entry->mappings[i];

		if (!mapping->broken && (first || !mapping->simple))
			guard(entry, mapping, build_states, &first);
	}
	entry->lxid = credit_local_xid();
}

/* One mapping of an entry. */
const CreditSource *
source_by_id(SourceEntry *entry, int32 source_id)
{
	for (int i = 0; i < entry->nmappings; i++)
		if (entry->mappings[i].source.source_id == source_id)
			return &entry->mappings[i].source;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("the table has no source %d", source_id)));
	return NULL;
}

/*
 * Has an UPDATE changed any column that a mapping reads?  Compares stored
 * values, which is cheaper than evaluating and right for every expression,
 * because expressions are not volatile.
 */
bool
source_reads_changed(SourceEntry *entry, TupleTableSlot *old, TupleTableSlot *new)
{
	TupleDesc	desc = old->tts_tupleDescriptor;
	int			member = -1;

	while ((member = bms_next_member(entry->attnos, member)) >= 0)
	{
		AttrNumber	attno = member + FirstLowInvalidHeapAttributeNumber;
		Datum		a;
		Datum		b;
		bool		a_null;
		bool		b_null;

		if (attno <= 0)
			return true;		/* whole row or system column */
		a = slot_getattr(old, attno, &a_null);
		b = slot_getattr(new, attno, &b_null);
		if (a_null != b_null)
			return true;
		if (!a_null &&
			!datum_image_eq(a, b, TupleDescAttr(desc, attno - 1)->attbyval,
							TupleDescAttr(desc, attno - 1)->attlen))
			return true;
	}
	return false;
}

/* Turns away what must never reach a sum or a key. */
void
source_check_value(CreditField field, Datum value, bool isnull)
{
	if (field == FIELD_KEY && isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key of a document is NULL")));
	if (!isnull && credit_fields[field].type == NUMERICOID &&
		(numeric_is_nan(DatumGetNumeric(value)) ||
		 numeric_is_inf(DatumGetNumeric(value))))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s is NaN or infinite", credit_fields[field].name)));
	if (field == FIELD_CREDIT_LIMIT && !isnull &&
		DatumGetBool(DirectFunctionCall2(numeric_lt, value,
										 NumericGetDatum(int64_to_numeric(0)))))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("credit limit is negative")));
}

/* Evaluates all fields into the current context. */
static void
evaluate_fields(SourceEntry *entry, SourceMapping *mapping,
				TupleTableSlot *slot, bool key_only, CreditRow *row)
{
	MemoryContext keep = CurrentMemoryContext;
	MemoryContext per_tuple = entry->econtext->ecxt_per_tuple_memory;

	for (int f = 0; f < FIELD_COUNT; f++)
	{
		CompiledField *compiled = &mapping->field[f];
		Datum		value;

		row->isnull[f] = true;
		row->value[f] = (Datum) 0;
		if (!compiled->present ||
			(key_only && f != FIELD_KEY && f != FIELD_SEGMENT))
			continue;
		MemoryContextSwitchTo(per_tuple);
		value = expression_value(compiled, (CreditField) f, slot,
								 entry->econtext, &row->isnull[f]);
		source_check_value((CreditField) f, value, row->isnull[f]);
		MemoryContextSwitchTo(keep);
		if (row->isnull[f])
			continue;
		if (credit_fields[f].type == TEXTOID)
			row->value[f] = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		else if (credit_fields[f].type == NUMERICOID)
			row->value[f] = NumericGetDatum(DatumGetNumericCopy(value));
		else
			row->value[f] = value;
	}
	MemoryContextReset(per_tuple);
}

/*
 * Values of one row under one mapping, in the current context.  False: the row
 * could not be read, which has been reported; the caller leaves it alone.
 *
 * A data error in built-in functions leaves nothing behind that an abort would
 * have to clean up, so it can be caught as it is; with functions of users only
 * a subtransaction makes that safe.
 */
bool
source_evaluate(SourceEntry *entry, SourceMapping *mapping,
				TupleTableSlot *slot, bool key_only, CreditRow *row)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		simple = mapping->simple;
	volatile int nestlevel = 0;
	ErrorData  *volatile edata = NULL;

	if (mapping->broken)
	{
		source_report_problem(&mapping->source, mapping->sqlstate, mapping->message);
		return false;
	}
	if (mapping->mutable)
		nestlevel = expression_fix_formats();
	if (!simple)
		BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(caller);
		evaluate_fields(entry, mapping, slot, key_only, row);
		if (!simple)
		{
			ReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(caller);
			CurrentResourceOwner = owner;
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		if (simple && ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		if (!simple)
		{
			RollbackAndReleaseCurrentSubTransaction();
			MemoryContextSwitchTo(caller);
			CurrentResourceOwner = owner;
		}
		if (!is_mapping_error(edata->sqlerrcode))
			ReThrowError(edata);
	}
	PG_END_TRY();
	if (nestlevel > 0)
		AtEOXact_GUC(true, nestlevel);
	if (edata == NULL)
		return true;
	source_report_problem(&mapping->source, unpack_sql_state(edata->sqlerrcode), edata->message);
	return false;
}

/*
 * A row could not be read.  Refuses, or warns and writes it down: once per
 * source and transaction, so that a bulk load does not drown.
 */
void
source_report_problem(const CreditSource *source, const char *sqlstate,
					  const char *message)
{
	LedgerRel  *ledger;
	Datum		values[PROBLEM_NCOLUMNS];
	bool		nulls[PROBLEM_NCOLUMNS] = {false};
	MemoryContext old;
	ListCell   *lc;
	Reported   *entry;
	char		code[6];

	strlcpy(code, sqlstate, sizeof(code));	/* of a buffer that is reused */

	if (source->refuse_on_error && !credit_is_replica())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("credit cannot read a row of \"%s\": %s", source->name, message),
				 errdetail("The source was attached with on_error => 'refuse'."),
				 errhint("Detach the source and attach it with a mapping that fits the table.")));

	if (reported_lxid != credit_local_xid())
	{
		reported = NIL;			/* lived in the context of that transaction */
		reported_lxid = credit_local_xid();
	}
	foreach(lc, reported)
		if (((Reported *) lfirst(lc))->source_id == source->source_id)
			return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc(sizeof(Reported));
	entry->source_id = source->source_id;
	entry->subid = GetCurrentSubTransactionId();
	reported = lappend(reported, entry);
	MemoryContextSwitchTo(old);

	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("credit cannot read a row of \"%s\": %s", source->name, message),
			 errdetail("The ledger does not have this change; the source is unverified from now on."),
			 errhint("Detach the source and attach it with a mapping that fits the table.")));
	ledger = ledger_open(LEDGER_SOURCE_PROBLEM, RowExclusiveLock);
	values[PROBLEM_ID] = Int64GetDatum(ledger_next_id(ledger, PROBLEM_ID));
	values[PROBLEM_SOURCE_ID] = Int32GetDatum(source->source_id);
	values[PROBLEM_SEEN_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[PROBLEM_SQLSTATE] = CStringGetTextDatum(code);
	values[PROBLEM_MESSAGE] = CStringGetTextDatum(message);
	ledger_insert(ledger, values, nulls);
	ledger_close(ledger);
}

void
source_forget_problems(void)
{
	reported = NIL;
	reported_lxid = InvalidLocalTransactionId;
}

/*
 * A subtransaction has ended: when it is rolled back, its problem rows are gone
 * with it; else they are its parent's.
 */
void
source_settle_problems(SubTransactionId subid, SubTransactionId parent)
{
	ListCell   *lc;

	if (reported_lxid != credit_local_xid())
		return;
	foreach(lc, reported)
	{
		Reported   *entry = lfirst(lc);

		if (entry->subid != subid)
			continue;
		if (parent == InvalidSubTransactionId)
			reported = foreach_delete_current(reported, lc);
		else
			entry->subid = parent;
	}
}

/*
 * Trigger on credit.source: every backend builds its entries of that table
 * anew.  It does nothing else, because it also fires while a dump is loaded.
 */
Datum
credit_invalidate_source(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = credit_row_trigger(fcinfo, "invalidate_source");
	HeapTuple	tuples[2];

	/* for the list of all sources */
	CacheInvalidateRelcache(trigdata->tg_relation);
	tuples[0] = trigdata->tg_trigtuple;
	tuples[1] = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : NULL;
	for (int i = 0; i < 2; i++)
	{
		Datum		relid;
		bool		isnull;
		int			attno = SPI_fnumber(RelationGetDescr(trigdata->tg_relation),
										"relation");

		if (tuples[i] == NULL || attno <= 0)
			continue;
		relid = heap_getattr(tuples[i], attno,
							 RelationGetDescr(trigdata->tg_relation), &isnull);
		if (!isnull && SearchSysCacheExists1(RELOID, relid))
			CacheInvalidateRelcacheByRelid(DatumGetObjectId(relid));
	}
	return PointerGetDatum(NULL);
}

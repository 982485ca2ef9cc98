/*
 * repair.c
 *	  Documents of the ERP that the ledger does not have as they are.
 *
 * Rows that fired no trigger are found by a comparison (45-repair.sql) and
 * mended here: by looking at them again, not by writing what the comparison
 * saw, which may be old by now.
 *
 * Right at READ COMMITTED, which next_transaction() sees to, against whoever
 * changes the same document through its own trigger in the same moment.  The
 * item of a document is locked until the end of the transaction, made first if
 * there is none, and then the row of the ERP is read under a newer snapshot.
 * Whoever has written the item before has committed, and so has his row been
 * seen; whoever comes later waits at the item, finds what we have left there,
 * and takes his own row, which is newer, as a change of that (apply.c).
 *
 * Rows of tables are read as those of views are (viewsource.c): by key, many
 * at a time, as the owner of the table in a restricted operation, so that a
 * function of the ERP in a mapping is never run with the rights of ours.
 *
 * Customers of a table have no item to meet at.  Whoever calls this for them
 * has locked the table against writers.
 *
 * Documents are locked in an order that is not everybody's: a statement of many
 * deliveries has their orders first.  The server ends whoever has waited for
 * deadlock_timeout and finds a circle.  So that it is never the statement of
 * somebody else, lock_timeout is what all waits of a call may take together, and
 * who sets it (45-repair.sql) sets it well below.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "credit.h"
#include "dependency.h"
#include "directory.h"
#include "family.h"
#include "progress.h"
#include "viewsource.h"
#include "wait.h"

PG_FUNCTION_INFO_V1(credit_reevaluate_keys);
PG_FUNCTION_INFO_V1(credit_recount_documents);
PG_FUNCTION_INFO_V1(credit_next_transaction);

/* The keys of an array, in ascending order, without NULLs. */
static char **
keys_of(ArrayType *array, int *n)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
	char	  **keys;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	keys = palloc(sizeof(char *) * (count + 1));
	*n = 0;
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			keys[(*n)++] = TextDatumGetCString(values[i]);
	qsort(keys, *n, sizeof(char *), pg_qsort_strcmp);
	return keys;
}

/* UncheckedCallback: one row of the result. */
static void
put_raise(void *arg, const Change *change, int64 account_id, const char *currency,
		  Numeric amount)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[4];
	bool		nulls[4] = {false};

	values[0] = CStringGetTextDatum(change->key);
	values[1] = Int64GetDatum(account_id);
	values[2] = CStringGetTextDatum(currency);
	values[3] = NumericGetDatum(amount);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * reevaluate_keys(source_id, keys): takes in what has become of some documents,
 * without refusing any; returns those of orders and deliveries that raise
 * exposure.
 */
Datum
credit_reevaluate_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int32		source_id = PG_GETARG_INT32(0);
	ViewSource *view;
	Frame	   *frame;
	char	  **keys;
	int			n;

	PreventCommandIfReadOnly("credit.reevaluate_keys()");
	InitMaterializedSRF(fcinfo, 0);
	view = view_find(source_id);
	if (view == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no source %d", source_id)));
	keys = keys_of(PG_GETARG_ARRAYTYPE_P(1), &n);
	frame = frame_open(view->source.relid);
	dependency_touch(frame, &view->source, keys, n);
	apply_tell_unchecked(put_raise, rsinfo);
	wait_set_budget(LockTimeout);
	PG_TRY();
	{
		frame_apply(frame);
	}
	PG_FINALLY();
	{
		wait_set_budget(0);
		apply_tell_unchecked(NULL, NULL);
	}
	PG_END_TRY();
	return (Datum) 0;
}

/* Looks at documents again, in the order of their keys. */
static void
recount_keys(LedgerRel *items, int32 source_id, char **keys, int n, bool with_sums)
{
	Family	   *family = family_create(items, false);

	for (int i = 0; i < n; i++)
	{
		if (i > 0 && strcmp(keys[i - 1], keys[i]) == 0)
			continue;
		if (with_sums)
			family_resum(family, source_id, keys[i]);
		else
			family_recount(family, source_id, keys[i]);
		CHECK_FOR_INTERRUPTS();
	}
	apply_family(family);
}

/*
 * recount_documents(source_id, keys, with_sums): works out again what some
 * documents add to exposure; with_sums: adds up first what others say of them.
 */
Datum
credit_recount_documents(PG_FUNCTION_ARGS)
{
	int32		source_id = PG_GETARG_INT32(0);
	bool		with_sums = PG_GETARG_BOOL(2);
	LedgerRel  *items;
	char	  **keys;
	int			n;

	PreventCommandIfReadOnly("credit.recount_documents()");
	if (directory_find(source_id) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no source %d", source_id)));
	keys = keys_of(PG_GETARG_ARRAYTYPE_P(1), &n);
	items = ledger_open(LEDGER_ITEM, RowExclusiveLock);
	wait_set_budget(LockTimeout);
	PG_TRY();
	{
		recount_keys(items, source_id, keys, n, with_sums);
	}
	PG_FINALLY();
	{
		wait_set_budget(0);
	}
	PG_END_TRY();
	ledger_close(items);
	progress_advance(n);
	PG_RETURN_INT64(n);
}

/*
 * next_transaction(): ends the transaction and begins one in READ COMMITTED,
 * whatever default_transaction_isolation says.
 */
Datum
credit_next_transaction(PG_FUNCTION_ARGS)
{
	CallContext *context = (CallContext *) fcinfo->context;

	if (context == NULL || !IsA(context, CallContext) || context->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("credit.repair() cannot run inside a transaction block or a function"),
				 errdetail("It commits each portion, so that nobody has to wait for it."),
				 errhint("Run CALL credit.repair() by itself.")));
	PreventCommandIfReadOnly("credit.repair()");
	if (ledger_is_replicated())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this ledger is replicated from another database"),
				 errhint("Repair it there: what is written here would collide with what arrives.")));
	progress_outlives_commit();
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * aggregate.c
 *	  What the support functions of all aggregates need: the gate through which
 *	  they are called, the row type of their results, and their bytes.
 *
 * A value of type internal is a bare pointer. SQL cannot make one but NULL, so
 * a support function is safe if it refuses NULL where it would follow it, and
 * bytes where it would believe them; both outside of an aggregate.
 */
#include "postgres.h"

#include "funcapi.h"
#include "libpq/pqformat.h"

#include "aggregate.h"

/* The memory that lives as long as the group whose function was called. */
MemoryContext
aggregate_context(FunctionCallInfo fcinfo, const char *name)
{
	MemoryContext cxt;

	if (!AggCheckCallContext(fcinfo, &cxt))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("support function of aggregate \"%s\" was called outside of an aggregate",
						name)));
	return cxt;
}

/*
 * The row type of a final function's result, looked up once a query.  The
 * library is replaced before the catalog is, so they may differ for a while.
 */
TupleDesc
aggregate_row_type(FunctionCallInfo fcinfo, const char *name, int ncolumns)
{
	TupleDesc	desc = fcinfo->flinfo->fn_extra;
	MemoryContext caller;

	if (desc != NULL)
		return desc;
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("results of aggregate \"%s\" in library and catalog do not have the same columns",
						name),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	fcinfo->flinfo->fn_extra = BlessTupleDesc(desc);
	MemoryContextSwitchTo(caller);
	return fcinfo->flinfo->fn_extra;
}

/*
 * What a combine function answers that is given nothing to add: the state there
 * is, or still none.
 */
Datum
aggregate_unchanged(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* Makes the bytes in the first argument readable. */
void
aggregate_open_bytes(FunctionCallInfo fcinfo, const char *name, StringInfo buf)
{
	bytea	   *bytes;

	aggregate_context(fcinfo, name);
	bytes = PG_GETARG_BYTEA_PP(0);
	initStringInfo(buf);
	appendBinaryStringInfo(buf, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

void
aggregate_refuse_bytes(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid serialized state of aggregate \"%s\"", name)));
}

void
aggregate_send_int128(StringInfo buf, int128 value)
{
	pq_sendint64(buf, (int64) (value >> 64));
	pq_sendint64(buf, (int64) (uint64) value);
}

int128
aggregate_receive_int128(StringInfo buf)
{
	uint64		high = (uint64) pq_getmsgint64(buf);
	uint64		low = (uint64) pq_getmsgint64(buf);

	return (int128) ((uint128) high << 64 | low);
}

int64
aggregate_receive_count(StringInfo buf, const char *name)
{
	int64		count = pq_getmsgint64(buf);

	if (count < 0)
		aggregate_refuse_bytes(name);
	return count;
}

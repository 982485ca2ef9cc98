/*
 * composite.c
 *	  Reading values of our row types.
 *
 * The library is replaced before the catalog is, so a type may for a while have
 * other columns than the library knows.  To take a boolean for a text would be
 * a crash; hence types are compared, not only counted.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#include "composite.h"
#include "credit.h"

/* InvalidOid among the types: a type of ours, whose number differs. */
static bool
has_types(TupleDesc desc, int natts, const Oid *types)
{
	if (desc->natts != natts)
		return false;
	for (int i = 0; i < natts; i++)
		if (OidIsValid(types[i]) && TupleDescAttr(desc, i)->atttypid != types[i])
			return false;
	return true;
}

/* The columns, which point into the row. */
void
composite_read(HeapTupleHeader row, int natts, const Oid *types, Datum *values, bool *nulls)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
											  HeapTupleHeaderGetTypMod(row));
	HeapTupleData tuple;

	if (!has_types(desc, natts, types))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("type %s does not have the same columns in library and catalog",
						format_type_be(HeapTupleHeaderGetTypeId(row))),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	tuple.t_data = row;
	heap_deform_tuple(&tuple, desc, values, nulls);
	ReleaseTupleDesc(desc);
}

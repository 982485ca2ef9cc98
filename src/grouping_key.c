/*
 * grouping_key.c
 *	  Keys that rows are gathered by: written as bytes, hashed and compared.
 *
 * Where equal keys of its types have equal bytes, these are hashed and compared,
 * else the functions of the types are called.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/typcache.h"

#include "grouping_key.h"

/* Whether values that are equal by this function have the same bytes. */
static bool
has_equal_bytes(Oid equal, Oid collation)
{
	switch (equal)
	{
		case F_BOOLEQ:
		case F_CHAREQ:
		case F_INT2EQ:
		case F_INT4EQ:
		case F_INT8EQ:
		case F_OIDEQ:
		case F_DATE_EQ:
		case F_TIME_EQ:
		case F_TIMESTAMP_EQ:
		case F_TIMESTAMPTZ_EQ:
		case F_ENUM_EQ:
		case F_UUID_EQ:
		case F_BYTEAEQ:
			return true;
		case F_TEXTEQ:
			return OidIsValid(collation) && get_collation_isdeterministic(collation);
		default:
			return false;
	}
}

static void
refuse_key(const FormData_pg_attribute *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("values of type %s cannot be grouped by",
					format_type_be(column->atttypid)),
			 errdetail("Column \"%s\" of the query is a key, and its type has no hash function.",
					   NameStr(column->attname)),
			 errhint("Turn it into another type in the query, such as text.")));
}

static void
read_column(GroupingKey *keys, int i, const FormData_pg_attribute *column,
			MemoryContext cxt)
{
	KeyColumn  *key = &keys->columns[i];
	TypeCacheEntry *type = lookup_type_cache(column->atttypid,
											 TYPECACHE_HASH_PROC_FINFO |
											 TYPECACHE_EQ_OPR_FINFO);

	if (!OidIsValid(type->hash_proc) || !OidIsValid(type->eq_opr_finfo.fn_oid) ||
		column->attlen == -2)
		refuse_key(column);
	key->byval = column->attbyval;
	key->shift = column->attbyval ? 8 * (sizeof(int64) - column->attlen) : 0;
	key->len = column->attlen;
	key->collation = column->attcollation;
	fmgr_info_copy(&key->hash, &type->hash_proc_finfo, cxt);
	fmgr_info_copy(&key->equal, &type->eq_opr_finfo, cxt);
	if (!has_equal_bytes(type->eq_opr_finfo.fn_oid, key->collation))
		keys->is_bytes = false;
}

/* Bytes of a value that is not passed by value, without those of its header. */
static inline Size
size_of_value(const KeyColumn *column, Datum value)
{
	if (column->len > 0)
		return column->len;
	return VARHDRSZ + VARSIZE_ANY_EXHDR(DatumGetPointer(value));
}

/*
 * Finds the size of a key, and has values that are compressed or elsewhere be
 * at hand; the key itself may be changed.
 */
Size
grouping_key_measure(GroupingKey *keys, Datum *key, const bool *isnull)
{
	Size		size = sizeof(int64);

	for (int i = 0; i < keys->n; i++)
	{
		const KeyColumn *column = &keys->columns[i];

		if (isnull[i])
			continue;
		if (column->byval)
		{
			size += sizeof(int64);
			continue;
		}
		if (column->len == -1)
			key[i] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(key[i]));
		size += MAXALIGN(size_of_value(column, key[i]));
	}
	return size;
}

/* Writes a key: a word that says which columns are null, then the others. */
void
grouping_key_write(const GroupingKey *keys, char *to, const Datum *key, const bool *isnull)
{
	int64	   *nulls = (int64 *) to;

	*nulls = 0;
	to += sizeof(int64);
	for (int i = 0; i < keys->n; i++)
	{
		const KeyColumn *column = &keys->columns[i];
		Size		size;

		if (isnull[i])
		{
			*nulls |= INT64CONST(1) << i;
			continue;
		}
		if (column->byval)
		{
			*(int64 *) to = word_of(column, key[i]);
			to += sizeof(int64);
			continue;
		}
		size = size_of_value(column, key[i]);
		*(int64 *) (to + MAXALIGN(size) - sizeof(int64)) = 0;
		if (column->len == -1)
		{
			SET_VARSIZE(to, size);
			memcpy(VARDATA(to), VARDATA_ANY(DatumGetPointer(key[i])), size - VARHDRSZ);
		}
		else
			memcpy(to, DatumGetPointer(key[i]), size);
		to += MAXALIGN(size);
	}
}

/* Reads a key; values not passed by value point into it. */
void
grouping_key_read(const GroupingKey *keys, const char *from, NullableDatum *key)
{
	int64		nulls = *(const int64 *) from;

	from += sizeof(int64);
	for (int i = 0; i < keys->n; i++)
	{
		const KeyColumn *column = &keys->columns[i];

		key[i].isnull = (nulls >> i & 1) != 0;
		key[i].value = (Datum) 0;
		if (key[i].isnull)
			continue;
		if (column->byval)
		{
			key[i].value = (Datum) *(const int64 *) from;
			from += sizeof(int64);
			continue;
		}
		key[i].value = PointerGetDatum(from);
		from += MAXALIGN(size_of_value(column, key[i].value));
	}
}

uint32
grouping_key_hash(GroupingKey *keys, const char *from, Size size)
{
	NullableDatum key[GROUPING_MAX_KEYS];
	uint32		hash = 0;

	if (keys->is_bytes)
		return hash_bytes((const unsigned char *) from, (int) size);
	grouping_key_read(keys, from, key);
	for (int i = 0; i < keys->n; i++)
	{
		uint32		part = 0;

		if (!key[i].isnull)
			part = DatumGetUInt32(FunctionCall1Coll(&keys->columns[i].hash,
													keys->columns[i].collation,
													key[i].value));
		hash = hash_combine(hash, murmurhash32(part + i));
	}
	return hash;
}

bool
grouping_key_equal(GroupingKey *keys, const char *a, const char *b)
{
	NullableDatum left[GROUPING_MAX_KEYS];
	NullableDatum right[GROUPING_MAX_KEYS];

	grouping_key_read(keys, a, left);
	grouping_key_read(keys, b, right);
	for (int i = 0; i < keys->n; i++)
	{
		if (left[i].isnull != right[i].isnull)
			return false;
		if (!left[i].isnull &&
			!DatumGetBool(FunctionCall2Coll(&keys->columns[i].equal,
											keys->columns[i].collation,
											left[i].value, right[i].value)))
			return false;
	}
	return true;
}

/* The first n columns of a row are the key. */
void
grouping_key_make(GroupingKey *keys, TupleDesc columns, int n, MemoryContext cxt)
{
	keys->n = n;
	keys->is_bytes = true;
	for (int i = 0; i < n; i++)
		read_column(keys, i, TupleDescAttr(columns, i), cxt);
	keys->is_word = n == 1 && keys->is_bytes && keys->columns[0].byval;
}

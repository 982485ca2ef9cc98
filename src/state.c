/*
 * state.c
 *	  What storable states have in common: text, bytes, header.
 *
 * A state is a value of a type of its own that aggregates make from rows or from
 * states, and that functions read.  Its bytes are those that are stored, sent
 * and, in hexadecimal, written as text:
 *
 *	  version, tag of the type, numbers (pack.c)
 *
 * Each content has one form, so equal states are equal bytes.  Bytes from
 * outside are unpacked, packed again, and refused unless they are the same:
 * that says more than any list of checks.  Unpacking trusts no byte, those of a
 * stored value included.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "state.h"

/* money.h counts in units of this decimal. */
#define UNIT_DECIMALS 8

/* --- header --------------------------------------------------------------- */

void
state_begin(StringInfo buf, StateTag tag)
{
	pq_begintypsend(buf);
	pq_sendbyte(buf, STATE_VERSION);
	pq_sendbyte(buf, tag);
}

bytea *
state_end(StringInfo buf)
{
	return pq_endtypsend(buf);
}

static void
open_header(Unpack *from, const StateType *type, const bytea *bytes)
{
	from->at = (const uint8 *) VARDATA_ANY(bytes);
	from->end = from->at + VARSIZE_ANY_EXHDR(bytes);
	from->type = type->name;
	if (from->at < from->end && *from->at > STATE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("value of type \"%s\" has a form that this version does not know",
						type->name),
				 errdetail("Its form is %d, the latest known here is %d.",
						   *from->at, STATE_VERSION),
				 errhint("It was made by a later version of credit.")));
	if (unpack_unsigned(from, STATE_VERSION) != STATE_VERSION ||
		unpack_unsigned(from, type->tag) != (uint128) type->tag)
		unpack_refuse(from);
}

/* --- tallies -------------------------------------------------------------- */

static void *
make_tally(const StateType *type, MemoryContext cxt)
{
	MemoryContext *tally = MemoryContextAllocZero(cxt, type->tally_size);

	*tally = cxt;
	type->init(tally);
	return tally;
}

static void
unpack_into(void *tally, const StateType *type, const bytea *bytes, int sign)
{
	Unpack		from;

	open_header(&from, type, bytes);
	type->unpack(tally, &from, sign);
	unpack_end(&from);
}

static bytea *
pack_tally(const void *tally, const StateType *type)
{
	bytea	   *bytes = type->pack(tally);

	if (bytes == NULL)
		state_refuse_difference(type->name);
	return bytes;
}

/* --- text and bytes ------------------------------------------------------- */

void
state_refuse(const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid value of type \"%s\"", type)));
	pg_unreachable();
}

static void
check_bytes(const bytea *bytes, const StateType *type)
{
	void	   *tally = make_tally(type, CurrentMemoryContext);
	bytea	   *again;

	unpack_into(tally, type, bytes, 1);
	again = type->pack(tally);
	if (again == NULL || VARSIZE(again) != VARSIZE(bytes) ||
		memcmp(again, bytes, VARSIZE(bytes)) != 0)
		state_refuse(type->name);
}

Datum
state_in(FunctionCallInfo fcinfo, const StateType *type)
{
	const char *text = PG_GETARG_CSTRING(0);
	Size		length = strlen(text);
	bytea	   *bytes;

	if (length % 2 != 0 || strncmp(text, "\\x", 2) != 0 ||
		strspn(text + 2, "0123456789abcdef") != length - 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type \"%s\"", type->name),
				 errdetail("It is written as \\x and an even number of digits 0-9 and a-f.")));
	bytes = palloc(length / 2 - 1 + VARHDRSZ);
	SET_VARSIZE(bytes, length / 2 - 1 + VARHDRSZ);
	hex_decode(text + 2, length - 2, VARDATA(bytes));
	check_bytes(bytes, type);
	PG_RETURN_BYTEA_P(bytes);
}

Datum
state_out(FunctionCallInfo fcinfo)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	char	   *text = palloc(2 + 2 * size + 1);

	memcpy(text, "\\x", 2);
	hex_encode(VARDATA_ANY(bytes), size, text + 2);
	text[2 + 2 * size] = '\0';
	PG_RETURN_CSTRING(text);
}

Datum
state_receive(FunctionCallInfo fcinfo, const StateType *type)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			size = buf->len - buf->cursor;
	bytea	   *bytes = palloc(size + VARHDRSZ);

	SET_VARSIZE(bytes, size + VARHDRSZ);
	pq_copymsgbytes(buf, VARDATA(bytes), size);
	check_bytes(bytes, type);
	PG_RETURN_BYTEA_P(bytes);
}

Datum
state_send(FunctionCallInfo fcinfo)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

/* --- aggregates ----------------------------------------------------------- */

/* The tally of the group whose function was called. */
void *
state_of_group(FunctionCallInfo fcinfo, const StateType *type)
{
	MemoryContext cxt = aggregate_context(fcinfo, type->name);

	return PG_ARGISNULL(0) ? make_tally(type, cxt) : PG_GETARG_POINTER(0);
}

/* Nothing to add: what there was, which is NULL as long as there was no state. */
static Datum
unchanged(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* Adds a state to a group, or takes it out. */
Datum
state_merge(FunctionCallInfo fcinfo, const StateType *type, int sign)
{
	void	   *tally;

	aggregate_context(fcinfo, type->name);
	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);
	tally = state_of_group(fcinfo, type);
	unpack_into(tally, type, PG_GETARG_BYTEA_PP(1), sign);
	PG_RETURN_POINTER(tally);
}

/* What another process has counted is a state, too. */
Datum
state_combine(FunctionCallInfo fcinfo, const StateType *type)
{
	void	   *tally;

	aggregate_context(fcinfo, type->name);
	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);
	tally = state_of_group(fcinfo, type);
	unpack_into(tally, type, pack_tally(PG_GETARG_POINTER(1), type), 1);
	PG_RETURN_POINTER(tally);
}

/* The state of a group: the result, and what goes to another process. */
Datum
state_pack(FunctionCallInfo fcinfo, const StateType *type)
{
	aggregate_context(fcinfo, type->name);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(pack_tally(PG_GETARG_POINTER(0), type));
}

Datum
state_deserialize(FunctionCallInfo fcinfo, const StateType *type)
{
	void	   *tally = make_tally(type, aggregate_context(fcinfo, type->name));

	unpack_into(tally, type, PG_GETARG_BYTEA_PP(0), 1);
	PG_RETURN_POINTER(tally);
}

/* --- outside of aggregates ------------------------------------------------ */

/* The first argument and, or less, the second. */
Datum
state_arithmetic(FunctionCallInfo fcinfo, const StateType *type, int sign)
{
	void	   *tally = state_read(fcinfo, 0, type);

	unpack_into(tally, type, PG_GETARG_BYTEA_PP(1), sign);
	PG_RETURN_BYTEA_P(pack_tally(tally, type));
}

/* The tally of an argument, which lives as long as the call. */
void *
state_read(FunctionCallInfo fcinfo, int arg, const StateType *type)
{
	void	   *tally = make_tally(type, CurrentMemoryContext);

	unpack_into(tally, type, PG_GETARG_BYTEA_PP(arg), 1);
	return tally;
}

/* --- amounts -------------------------------------------------------------- */

/* Amounts with so many decimals are multiples of so many units. */
int64
state_unit(int decimals)
{
	int64		unit = 1;

	for (; decimals < UNIT_DECIMALS; decimals++)
		unit *= 10;
	return unit;
}

/* The most decimals that an amount is shown with, from counts by number. */
int
state_decimals(const DaySums *decimals)
{
	return decimals->n == 0 ? 0 : decimals->sums[decimals->n - 1].day;
}

/* More was to be subtracted than there is. */
void
state_refuse_difference(const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("what is subtracted from a \"%s\" is not part of it", type),
			 errhint("Only rows or states that were added can be subtracted.")));
	pg_unreachable();
}

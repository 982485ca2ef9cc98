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

/* A group keeps so many bytes that wait; larger states never do. */
#define MAX_WAITING 8192
#define FIRST_WAITING 128

/* What waits: a note, or a state. */
typedef struct Waiting
{
	uint32		size;			/* of what follows */
	int16		sign;
	bool		is_note;
} Waiting;

/* --- bytes ---------------------------------------------------------------- */

static bytea *
pack_lists(const void *lists, const StateType *type)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, STATE_VERSION);
	pq_sendbyte(&buf, type->tag);
	type->pack(&buf, lists);
	return pq_endtypsend(&buf);
}

/* Bytes of unknown origin are safe here. */
static void
unpack_lists(const void *data, Size size, const StateType *type, void *lists)
{
	Unpack		from = {.at = data, .end = (const uint8 *) data + size,
	.type = type->name};

	if (size > 0 && *from.at > STATE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("value of type \"%s\" has a form that this version does not know",
						type->name),
				 errdetail("Its form is %d, the latest known here is %d.",
						   *from.at, STATE_VERSION),
				 errhint("It was made by a later version of credit.")));
	if (unpack_unsigned(&from, STATE_VERSION) != STATE_VERSION ||
		unpack_unsigned(&from, type->tag) != (uint128) type->tag)
		unpack_refuse(&from);
	type->unpack(&from, lists);
	if (from.at != from.end || !type->is_consistent(lists))
		unpack_refuse(&from);
}

/* --- tallies -------------------------------------------------------------- */

static void *
make_tally(const StateType *type, MemoryContext cxt)
{
	StateTally *tally = MemoryContextAllocZero(cxt, type->tally_size);

	tally->cxt = cxt;
	type->init(tally);
	return tally;
}

static void
add_bytes(void *tally, const StateType *type, const void *data, Size size, int sign)
{
	void	   *lists = palloc(type->lists_size);

	unpack_lists(data, size, type, lists);
	type->add_lists(tally, lists, sign);
	((StateTally *) tally)->has_sums = true;
}

static void
add_waiting(void *tally, const StateType *type, const char *waiting, Size used)
{
	const char *at = waiting;

	while (at < waiting + used)
	{
		const Waiting *one = (const Waiting *) at;
		const char *what = at + MAXALIGN(sizeof(Waiting));

		if (one->is_note)
			type->add_note(tally, what, one->sign);
		else
			add_bytes(tally, type, what, one->size, one->sign);
		at = what + MAXALIGN(one->size);
	}
}

/*
 * Before something is added to a tally at once: what waits would be added to a
 * copy otherwise, which is not one any more.
 */
void
state_touch(void *tally)
{
	((StateTally *) tally)->has_sums = true;
}

static void
settle(StateTally *tally, const StateType *type)
{
	uint32		used = tally->used;

	tally->used = 0;
	tally->has_sums = true;
	add_waiting(tally, type, tally->waiting, used);
}

/*
 * Has something wait.  With many groups their sums are in no cache; what waits
 * is all in one place, and when it is wanted the group's sums are made once, in
 * memory that is used again for the next.
 */
static void
wait_with(StateTally *tally, const StateType *type, const void *what, Size size,
		  int sign, bool is_note)
{
	Size		need = MAXALIGN(sizeof(Waiting)) + MAXALIGN(size);
	Waiting    *one;

	if (tally->used + need > MAX_WAITING)
		settle(tally, type);
	if (tally->used + need > tally->room)
	{
		uint32		room = tally->room == 0 ? FIRST_WAITING : tally->room;

		while (tally->used + need > room)
			room *= 2;
		tally->waiting = tally->room == 0 ? MemoryContextAlloc(tally->cxt, room) :
			repalloc(tally->waiting, room);
		tally->room = room;
	}
	one = (Waiting *) (tally->waiting + tally->used);
	one->size = (uint32) size;
	one->sign = (int16) sign;
	one->is_note = is_note;
	memcpy((char *) one + MAXALIGN(sizeof(Waiting)), what, size);
	tally->used += (uint32) need;
}

/* Adds a note to a group (sign 1), or takes it out (-1). */
void
state_note(void *tally, const StateType *type, const void *note, int sign)
{
	wait_with(tally, type, note, type->note_size, sign, true);
}

/* A tally to which everything is added, for reading. */
static void *
settled(StateTally *tally, const StateType *type)
{
	StateTally *copy;

	if (tally->has_sums)
	{
		settle(tally, type);
		return tally;
	}
	copy = palloc(type->tally_size);
	memcpy(copy, tally, type->tally_size);
	copy->cxt = CurrentMemoryContext;
	type->init(copy);
	add_waiting(copy, type, tally->waiting, tally->used);
	return copy;
}

static bytea *
pack_tally(const void *tally, const StateType *type)
{
	void	   *lists = palloc(type->lists_size);

	if (!type->list(tally, lists) || !type->is_consistent(lists))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of type \"%s\" does not contain what is subtracted from it",
						type->name),
				 errhint("Only rows or states that were added can be subtracted.")));
	return pack_lists(lists, type);
}

/* What waits, if it is states that were added, and nothing else; their number. */
static int
waiting_states(const StateTally *tally)
{
	int			n = 0;

	if (tally->has_sums)
		return 0;
	for (uint32 at = 0; at < tally->used; n++)
	{
		const Waiting *one = (const Waiting *) (tally->waiting + at);

		if (one->is_note || one->sign < 0)
			return 0;
		at += MAXALIGN(sizeof(Waiting)) + MAXALIGN(one->size);
	}
	return n;
}

/*
 * The sum of n states that wait, from lists to lists, which are in order already:
 * two by two, so that none is copied often.  NULL: it takes a tally.
 */
static bytea *
merge_waiting(const StateTally *tally, const StateType *type, int n)
{
	Size		size = MAXALIGN(type->lists_size);
	char	   *lists = palloc(n * size);
	const char *at = tally->waiting;

	for (int i = 0; i < n; i++)
	{
		const Waiting *one = (const Waiting *) at;

		at += MAXALIGN(sizeof(Waiting));
		unpack_lists(at, one->size, type, lists + i * size);
		at += MAXALIGN(one->size);
	}
	for (int step = 1; step < n; step *= 2)
		for (int i = 0; i + step < n; i += 2 * step)
			if (!type->merge_lists(lists + i * size, lists + (i + step) * size))
				return NULL;
	return type->is_consistent(lists) ? pack_lists(lists, type) : NULL;
}

/* The state of a group.  The sum of one state is that state. */
static bytea *
pack_group(StateTally *tally, const StateType *type)
{
	int			n = waiting_states(tally);
	bytea	   *bytes = NULL;

	if (n == 1)
	{
		const Waiting *one = (const Waiting *) tally->waiting;

		bytes = palloc(VARHDRSZ + one->size);
		SET_VARSIZE(bytes, VARHDRSZ + one->size);
		memcpy(VARDATA(bytes), tally->waiting + MAXALIGN(sizeof(Waiting)), one->size);
	}
	else if (n > 1)
		bytes = merge_waiting(tally, type, n);
	return bytes != NULL ? bytes : pack_tally(settled(tally, type), type);
}

/* --- text and bytes ------------------------------------------------------- */

/* There is one form of each content. */
static void
check_bytes(const bytea *bytes, const StateType *type)
{
	void	   *lists = palloc(type->lists_size);
	bytea	   *again;

	unpack_lists(VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ, type, lists);
	again = pack_lists(lists, type);
	if (VARSIZE(again) != VARSIZE(bytes) ||
		memcmp(again, bytes, VARSIZE(bytes)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid value of type \"%s\"", type->name)));
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

/* Adds a state to a group, or takes it out. */
Datum
state_merge(FunctionCallInfo fcinfo, const StateType *type, int sign)
{
	StateTally *tally;
	bytea	   *bytes;
	Size		size;

	aggregate_context(fcinfo, type->name);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	tally = state_of_group(fcinfo, type);
	bytes = PG_GETARG_BYTEA_PP(1);
	size = VARSIZE_ANY_EXHDR(bytes);
	if (size <= MAX_WAITING / 2)
		wait_with(tally, type, VARDATA_ANY(bytes), size, sign, false);
	else
		add_bytes(tally, type, VARDATA_ANY(bytes), size, sign);
	PG_RETURN_POINTER(tally);
}

/* What another process has counted is a state, too. */
Datum
state_combine(FunctionCallInfo fcinfo, const StateType *type)
{
	StateTally *tally;
	bytea	   *bytes;

	aggregate_context(fcinfo, type->name);
	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	tally = state_of_group(fcinfo, type);
	bytes = pack_group((StateTally *) PG_GETARG_POINTER(1), type);
	add_bytes(tally, type, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ, 1);
	PG_RETURN_POINTER(tally);
}

/* The state of a group: the result, and what goes to another process. */
Datum
state_pack(FunctionCallInfo fcinfo, const StateType *type)
{
	aggregate_context(fcinfo, type->name);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(pack_group((StateTally *) PG_GETARG_POINTER(0), type));
}

Datum
state_deserialize(FunctionCallInfo fcinfo, const StateType *type)
{
	void	   *tally = make_tally(type, aggregate_context(fcinfo, type->name));
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);

	add_bytes(tally, type, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), 1);
	PG_RETURN_POINTER(tally);
}

/* --- outside of aggregates ------------------------------------------------ */

/* The first argument and, or less, the second. */
Datum
state_arithmetic(FunctionCallInfo fcinfo, const StateType *type, int sign)
{
	void	   *tally = make_tally(type, CurrentMemoryContext);

	for (int arg = 0; arg < 2; arg++)
	{
		bytea	   *bytes = PG_GETARG_BYTEA_PP(arg);

		add_bytes(tally, type, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes),
				  arg == 0 ? 1 : sign);
	}
	PG_RETURN_BYTEA_P(pack_tally(tally, type));
}

/* What an argument is made of. */
void
state_read(FunctionCallInfo fcinfo, int arg, const StateType *type, void *lists)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(arg);

	unpack_lists(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), type, lists);
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

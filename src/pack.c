/*
 * pack.c
 *	  Whole numbers of any size in as few bytes as they need.
 *
 * Seven bits a byte, the lowest first; the eighth says that more follow.  A
 * signed number is doubled, and one less if it was negative, so that small
 * ones stay small.  Each number has one form only: what could be shorter is
 * refused.
 */
#include "postgres.h"

#include "pack.h"

/* 128 bits, seven at a time */
#define MAX_SHIFT 126
#define MAX_BYTES 19
/* Where 64 bits are full */
#define LOW_SHIFT 63

void
pack_unsigned(StringInfo buf, uint128 value)
{
	char	   *to;
	uint64		low;

	if (unlikely(buf->maxlen - buf->len <= MAX_BYTES))
		enlargeStringInfo(buf, MAX_BYTES);
	to = buf->data + buf->len;
	for (; unlikely(value > PG_UINT64_MAX); value >>= 7)
		*to++ = (char) (value | 0x80);
	for (low = (uint64) value; low >= 0x80; low >>= 7)
		*to++ = (char) (low | 0x80);
	*to++ = (char) low;
	*to = '\0';
	buf->len = (int) (to - buf->data);
}

void
pack_signed(StringInfo buf, int128 value)
{
	pack_unsigned(buf, (uint128) value << 1 ^ (uint128) (value >> 127));
}

void
unpack_refuse(const Unpack *from)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid value of type \"%s\"", from->type)));
	pg_unreachable();
}

/* Any number; unpack_unsigned() takes the small ones. */
uint128
unpack_unsigned_rare(Unpack *from, uint128 most)
{
	uint64		low = 0;
	uint128		value;
	uint8		byte = 0x80;
	int			shift = 0;

	for (; shift < LOW_SHIFT && byte >= 0x80; shift += 7)
	{
		if (from->at >= from->end)
			unpack_refuse(from);
		byte = *from->at++;
		low |= (uint64) (byte & 0x7F) << shift;
	}
	value = low;
	for (; byte >= 0x80; shift += 7)
	{
		if (from->at >= from->end || shift > MAX_SHIFT)
			unpack_refuse(from);
		byte = *from->at++;
		/* the last byte has two bits of 128 */
		if (shift == MAX_SHIFT && byte > 3)
			unpack_refuse(from);
		value |= (uint128) (byte & 0x7F) << shift;
	}
	/* no number but one of a single byte ends in nothing */
	if ((byte == 0 && shift > 7) || value > most)
		unpack_refuse(from);
	return value;
}

/* A number between -most and most. */
int128
unpack_signed(Unpack *from, int128 most)
{
	uint128		value = unpack_unsigned(from, (uint128) most * 2);

	return (int128) (value >> 1) ^ -(int128) (value & 1);
}

const void *
unpack_bytes(Unpack *from, Size size)
{
	const void *bytes = from->at;

	if (size > (Size) (from->end - from->at))
		unpack_refuse(from);
	from->at += size;
	return bytes;
}

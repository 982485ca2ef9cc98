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

void
pack_unsigned(StringInfo buf, uint128 value)
{
	char		bytes[19];
	int			n = 0;

	for (; value >= 0x80; value >>= 7)
		bytes[n++] = (char) (value | 0x80);
	bytes[n++] = (char) value;
	appendBinaryStringInfo(buf, bytes, n);
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
	uint128		value = 0;

	for (int shift = 0;; shift += 7)
	{
		uint8		byte;

		if (from->at >= from->end || shift > MAX_SHIFT)
			unpack_refuse(from);
		byte = *from->at++;
		/* the last byte has two bits of 128, and none ends in nothing */
		if ((shift == MAX_SHIFT && byte > 3) || (byte == 0 && shift > 0))
			unpack_refuse(from);
		value |= (uint128) (byte & 0x7F) << shift;
		if (byte < 0x80)
			break;
	}
	if (value > most)
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

/*
 * pack.h
 *	  Whole numbers of any size in as few bytes as they need; see pack.c.
 */
#ifndef CREDIT_PACK_H
#define CREDIT_PACK_H

#include "lib/stringinfo.h"

/* Bytes to read from; type is named where they are refused. */
typedef struct Unpack
{
	const uint8 *at;
	const uint8 *end;
	const char *type;
} Unpack;

extern void pack_unsigned(StringInfo buf, uint128 value);
extern void pack_signed(StringInfo buf, int128 value);
extern uint128 unpack_unsigned_rare(Unpack *from, uint128 most);
extern int128 unpack_signed(Unpack *from, int128 most);
extern const void *unpack_bytes(Unpack *from, Size size);
extern void unpack_refuse(const Unpack *from);

/* A number of at most so much; most are below 128. */
static inline uint128
unpack_unsigned(Unpack *from, uint128 most)
{
	if (likely(from->at < from->end && *from->at < 0x80 && *from->at <= most))
		return *from->at++;
	return unpack_unsigned_rare(from, most);
}

#endif							/* CREDIT_PACK_H */

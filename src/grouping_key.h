/*
 * grouping_key.h
 *	  Keys that rows are gathered by; see grouping_key.c.
 */
#ifndef CREDIT_GROUPING_KEY_H
#define CREDIT_GROUPING_KEY_H

#include "grouping.h"

typedef struct KeyColumn
{
	bool		byval;
	int			shift;			/* by value: bits that do not belong to it */
	int16		len;
	Oid			collation;
	FmgrInfo	hash;
	FmgrInfo	equal;
} KeyColumn;

/* What the columns of a key are. */
typedef struct GroupingKey
{
	int			n;
	bool		is_word;		/* the key is one value of at most 8 bytes */
	bool		is_bytes;		/* equal keys have equal bytes */
	KeyColumn	columns[GROUPING_MAX_KEYS];
} GroupingKey;

extern void grouping_key_make(GroupingKey *keys, TupleDesc columns, int n,
							  MemoryContext cxt);
extern Size grouping_key_measure(GroupingKey *keys, Datum *key, const bool *isnull);
extern void grouping_key_write(const GroupingKey *keys, char *to, const Datum *key,
							   const bool *isnull);
extern void grouping_key_read(const GroupingKey *keys, const char *from,
							  NullableDatum *key);
extern uint32 grouping_key_hash(GroupingKey *keys, const char *from, Size size);
extern bool grouping_key_equal(GroupingKey *keys, const char *a, const char *b);

/* A value passed by value as a word that has nothing else in it. */
static inline int64
word_of(const KeyColumn *column, Datum value)
{
	return (int64) ((uint64) value << column->shift) >> column->shift;
}

static inline uint32
hash_word(int64 word)
{
	uint64		h = (uint64) word;

	/* the finalizer of MurmurHash3 */
	h ^= h >> 33;
	h *= UINT64CONST(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64CONST(0xc4ceb9fe1a85ec53);
	return (uint32) (h >> 32);
}

#endif							/* CREDIT_GROUPING_KEY_H */

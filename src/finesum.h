/*
 * finesum.h
 *	  Exact sums of amounts that are no whole numbers of units; see finesum.c.
 */
#ifndef CREDIT_FINESUM_H
#define CREDIT_FINESUM_H

#include "utils/numeric.h"

#include "pack.h"

/* Scales of what has none; others are numbers of decimals. */
#define FINE_MAX_SCALE 0x3FFF
#define FINE_MINUS (FINE_MAX_SCALE + 1)	/* -Infinity */
#define FINE_PLUS (FINE_MAX_SCALE + 2)
#define FINE_NAN (FINE_MAX_SCALE + 3)

typedef struct FineKey
{
	int32		kind;			/* the user's, not negative */
	int32		day;
	int32		scale;
} FineKey;

typedef struct FineSum
{
	FineKey		key;
	int64		count;
	int128		units;			/* of the amounts, rounded, if the user likes */
	Numeric		sum;			/* NULL for what is not finite */
} FineSum;

/* A hash table; as a rule there is none. */
typedef struct FineSums
{
	MemoryContext cxt;
	FineSum    *slots;
	uint32		nslots;			/* 0 or a power of 2 */
	uint32		nused;
} FineSums;

/* What there is in the order of keys. */
typedef struct FineList
{
	int			n;
	FineSum    *sums;
} FineList;

extern void fine_add(FineSums *fine, int kind, int32 day, Numeric amount,
					 int128 units, int sign);
extern void fine_add_list(FineSums *fine, const FineList *list, int sign);
extern bool fine_list(const FineSums *fine, FineList *list);
extern void fine_pack(StringInfo buf, const FineList *list);
extern void fine_unpack(Unpack *from, FineList *list);

static inline bool
fine_is_finite(const FineSum *fine)
{
	return fine->key.scale <= FINE_MAX_SCALE;
}

#endif							/* CREDIT_FINESUM_H */

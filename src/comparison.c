/*
 * comparison.c
 *	  Which of two scores of the same customers tells bad from good better:
 *	  aggregate compare_scores(); and folds for scores out of sample: fold().
 *
 * Two AUCs over the same rows hang together, so their difference has a smaller
 * error than those of two samples.  DeLong's covariance needs, of each row, its
 * placement by either score, so the state is the rows themselves.  Placements
 * are counted in halves: sums and products of them are whole numbers, exact in
 * 128 bits, and so the same for every order of rows and every split.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "credit.h"
#include "probability.h"
#include "validation.h"

#define SERIAL_VERSION 1
#define COMPARISON_COLUMNS 13

#define FIRST_CAPACITY 8

/* Rows of a group; 16 bytes each, so that their bytes fit in 1 GB. */
#ifndef MAX_PAIRS
#define MAX_PAIRS 30000000
#endif

/* 97.5 % quantile of the normal distribution */
#define Z_95 1.959963984540054

/* Keys of the two scores of a row (bag.h). */
typedef struct ScorePair
{
	uint64		key[2];
} ScorePair;

typedef struct ComparisonState
{
	MemoryContext context;
	int64		n_skipped;
	uint32		n[2];			/* rows by class */
	uint32		capacity[2];
	ScorePair  *pairs[2];
} ComparisonState;

/* A row in the order of one of its scores. */
typedef struct Ranked
{
	uint64		key;
	uint32		row;			/* of its class */
	uint32		class;
} Ranked;

/* Sums of the placements of one class by both scores. */
typedef struct Placements
{
	int128		sum[2];
	int128		square[2];
	int128		product;
} Placements;

PG_FUNCTION_INFO_V1(credit_compare_scores_accum);
PG_FUNCTION_INFO_V1(credit_compare_scores_combine);
PG_FUNCTION_INFO_V1(credit_compare_scores_serialize);
PG_FUNCTION_INFO_V1(credit_compare_scores_deserialize);
PG_FUNCTION_INFO_V1(credit_compare_scores_final);
PG_FUNCTION_INFO_V1(credit_fold);

#define ST_SORT sort_ranked
#define ST_ELEMENT_TYPE Ranked
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key ? 1 : 0)
#define ST_SCOPE static
#define ST_DEFINE
#define ST_CHECK_FOR_INTERRUPTS
#include "lib/sort_template.h"

/* --- the state --------------------------------------------------------------- */

static ComparisonState *
make_state(MemoryContext context)
{
	ComparisonState *state = MemoryContextAllocZero(context, sizeof(ComparisonState));

	state->context = context;
	return state;
}

static void
check_size(uint64 n)
{
	if (n > MAX_PAIRS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many rows in one group"),
				 errdetail("At most %d pairs of scores are kept.", MAX_PAIRS),
				 errhint("Take a sample of the rows.")));
}

static void
make_room(ComparisonState *state, int class, uint32 n)
{
	uint64		wanted = (uint64) state->n[class] + n;

	check_size(wanted + state->n[1 - class]);
	if (wanted <= state->capacity[class])
		return;
	wanted = Max(wanted, (uint64) state->capacity[class] * 2);
	wanted = Max(wanted, FIRST_CAPACITY);
	if (state->pairs[class] == NULL)
		state->pairs[class] = MemoryContextAllocHuge(state->context,
													 sizeof(ScorePair) * wanted);
	else
		state->pairs[class] = repalloc_huge(state->pairs[class],
											sizeof(ScorePair) * wanted);
	state->capacity[class] = (uint32) wanted;
}

/* A row without one of the scores or without an outcome says nothing. */
Datum
credit_compare_scores_accum(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, "compare_scores");
	ComparisonState *state = PG_ARGISNULL(0) ? make_state(context) :
		(ComparisonState *) PG_GETARG_POINTER(0);
	int			class;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3) ||
		isnan(PG_GETARG_FLOAT8(1)) || isnan(PG_GETARG_FLOAT8(2)))
	{
		state->n_skipped++;
		PG_RETURN_POINTER(state);
	}
	class = PG_GETARG_BOOL(3) ? BAD : GOOD;
	make_room(state, class, 1);
	for (int score = 0; score < 2; score++)
		state->pairs[class][state->n[class]].key[score] =
			key_of_float(PG_GETARG_FLOAT8(1 + score));
	state->n[class]++;
	PG_RETURN_POINTER(state);
}

/* The right state is not kept: it may live shorter than the left one. */
Datum
credit_compare_scores_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, "compare_scores");
	ComparisonState *left;
	ComparisonState *right;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	left = PG_ARGISNULL(0) ? make_state(context) :
		(ComparisonState *) PG_GETARG_POINTER(0);
	right = (ComparisonState *) PG_GETARG_POINTER(1);
	left->n_skipped += right->n_skipped;
	for (int class = GOOD; class <= BAD; class++)
	{
		if (right->n[class] == 0)
			continue;
		make_room(left, class, right->n[class]);
		memcpy(left->pairs[class] + left->n[class], right->pairs[class],
			   sizeof(ScorePair) * (Size) right->n[class]);
		left->n[class] += right->n[class];
	}
	PG_RETURN_POINTER(left);
}

Datum
credit_compare_scores_serialize(PG_FUNCTION_ARGS)
{
	ComparisonState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, "compare_scores");
	state = (ComparisonState *) PG_GETARG_POINTER(0);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint64(&buf, state->n_skipped);
	for (int class = GOOD; class <= BAD; class++)
	{
		pq_sendint32(&buf, state->n[class]);
		for (uint32 i = 0; i < state->n[class]; i++)
		{
			pq_sendint64(&buf, state->pairs[class][i].key[0]);
			pq_sendint64(&buf, state->pairs[class][i].key[1]);
		}
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Fills one class; nothing of the bytes is believed. */
static void
receive_pairs(StringInfo buf, ComparisonState *state, int class)
{
	uint32		n = pq_getmsgint(buf, 4);

	if (n > MAX_PAIRS || (Size) (buf->len - buf->cursor) < sizeof(ScorePair) * (Size) n)
		aggregate_refuse_bytes("compare_scores");
	if (n == 0)
		return;
	make_room(state, class, n);
	for (uint32 i = 0; i < n; i++)
		for (int score = 0; score < 2; score++)
		{
			uint64		key = (uint64) pq_getmsgint64(buf);

			if (isnan(float_of_key(key)))
				aggregate_refuse_bytes("compare_scores");
			state->pairs[class][i].key[score] = key;
		}
	state->n[class] = n;
}

Datum
credit_compare_scores_deserialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	ComparisonState *state;

	aggregate_open_bytes(fcinfo, "compare_scores", &buf);
	state = make_state(CurrentMemoryContext);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION)
		aggregate_refuse_bytes("compare_scores");
	state->n_skipped = aggregate_receive_count(&buf, "compare_scores");
	receive_pairs(&buf, state, GOOD);
	receive_pairs(&buf, state, BAD);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

/* --- compare_scores() --------------------------------------------------------- */

static void
rank_rows(const ComparisonState *state, int score, Ranked *ranked)
{
	Size		n = 0;

	for (int class = GOOD; class <= BAD; class++)
		for (uint32 i = 0; i < state->n[class]; i++)
		{
			ranked[n].key = state->pairs[class][i].key[score];
			ranked[n].row = i;
			ranked[n++].class = class;
		}
	sort_ranked(ranked, n);
}

/*
 * Placements by one score, in halves: of a bad row, goods above it twice and
 * goods beside it once; of a good row, bads below it likewise.
 */
static void
place_rows(const ComparisonState *state, const Ranked *ranked, uint32 *placed[2])
{
	Size		n = (Size) state->n[GOOD] + state->n[BAD];
	uint32		below[2] = {0, 0};

	for (Size from = 0, to; from < n; from = to)
	{
		uint32		here[2] = {0, 0};

		for (to = from; to < n && ranked[to].key == ranked[from].key; to++)
			here[ranked[to].class]++;
		for (Size i = from; i < to; i++)
			placed[ranked[i].class][ranked[i].row] = ranked[i].class == BAD ?
				2 * (state->n[GOOD] - below[GOOD] - here[GOOD]) + here[GOOD] :
				2 * below[BAD] + here[BAD];
		below[GOOD] += here[GOOD];
		below[BAD] += here[BAD];
	}
}

static void
add_placements(Placements *sums, const uint32 *a, const uint32 *b, uint32 n)
{
	memset(sums, 0, sizeof(Placements));
	for (uint32 i = 0; i < n; i++)
	{
		sums->sum[0] += a[i];
		sums->sum[1] += b[i];
		sums->square[0] += (uint64) a[i] * a[i];
		sums->square[1] += (uint64) b[i] * b[i];
		sums->product += (uint64) a[i] * b[i];
	}
}

static void
measure(const ComparisonState *state, Placements *sums)
{
	Size		n = (Size) state->n[GOOD] + state->n[BAD];
	Ranked	   *ranked = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Ranked) * n);
	uint32	   *placed[2][2];	/* by score and class */

	for (int score = 0; score < 2; score++)
	{
		for (int class = GOOD; class <= BAD; class++)
			placed[score][class] = MemoryContextAllocHuge(CurrentMemoryContext,
														  sizeof(uint32) * (Size) state->n[class]);
		rank_rows(state, score, ranked);
		place_rows(state, ranked, placed[score]);
	}
	pfree(ranked);
	for (int class = GOOD; class <= BAD; class++)
		add_placements(&sums[class], placed[0][class], placed[1][class], state->n[class]);
}

/*
 * What one class adds to a covariance of AUCs: that of its placements, which
 * are halves of the other class, over its number of rows.  n * products cannot
 * overflow: it is below 3e7^2 * (6e7)^2 = 4e30.
 */
static float8
share_of_class(int128 product, int128 a, int128 b, float8 n, float8 n_other)
{
	float8		about_means = (float8) ((int128) n * product - a * b);

	return about_means / (n * (n - 1)) / n / (4 * n_other * n_other);
}

typedef struct Comparison
{
	float8		auc[2];
	bool		has_se;
	float8		variance[2];
	float8		covariance;
	float8		variance_of_difference;
} Comparison;

static void
compare(const ComparisonState *state, Comparison *result)
{
	Placements	sums[2];
	float8		n[2] = {state->n[GOOD], state->n[BAD]};

	measure(state, sums);
	for (int score = 0; score < 2; score++)
		result->auc[score] = (float8) sums[BAD].sum[score] / (2 * n[GOOD] * n[BAD]);
	result->has_se = state->n[GOOD] >= 2 && state->n[BAD] >= 2;
	for (int class = GOOD; class <= BAD && result->has_se; class++)
	{
		const Placements *s = &sums[class];
		int128		difference = s->sum[0] - s->sum[1];
		float8		own = n[class];
		float8		other = n[1 - class];

		for (int score = 0; score < 2; score++)
			result->variance[score] += share_of_class(s->square[score], s->sum[score],
													  s->sum[score], own, other);
		result->covariance += share_of_class(s->product, s->sum[0], s->sum[1], own, other);
		/* from whole numbers again, so that 0 is 0 */
		result->variance_of_difference +=
			share_of_class(s->square[0] + s->square[1] - 2 * s->product,
						   difference, difference, own, other);
	}
}

Datum
credit_compare_scores_final(PG_FUNCTION_ARGS)
{
	ComparisonState *state;
	Datum		values[COMPARISON_COLUMNS];
	bool		nulls[COMPARISON_COLUMNS] = {false};
	Comparison	c = {{0, 0}, false, {0, 0}, 0, 0};
	bool		both;
	float8		difference;
	float8		se;
	float8		scale;

	aggregate_context(fcinfo, "compare_scores");
	state = PG_ARGISNULL(0) ? make_state(CurrentMemoryContext) :
		(ComparisonState *) PG_GETARG_POINTER(0);
	both = state->n[GOOD] > 0 && state->n[BAD] > 0;
	if (both)
		compare(state, &c);
	difference = c.auc[0] - c.auc[1];
	se = sqrt(c.variance_of_difference);
	scale = sqrt(c.variance[0]) * sqrt(c.variance[1]);
	values[0] = Int64GetDatum((int64) state->n[GOOD] + state->n[BAD]);
	values[1] = Int64GetDatum(state->n[BAD]);
	set_float(values, nulls, 2, both, c.auc[0]);
	set_float(values, nulls, 3, both, c.auc[1]);
	set_float(values, nulls, 4, both, difference);
	set_float(values, nulls, 5, c.has_se, sqrt(c.variance[0]));
	set_float(values, nulls, 6, c.has_se, sqrt(c.variance[1]));
	set_float(values, nulls, 7, scale > 0, c.covariance / scale);
	set_float(values, nulls, 8, c.has_se, se);
	set_float(values, nulls, 9, c.has_se, difference - Z_95 * se);
	set_float(values, nulls, 10, c.has_se, difference + Z_95 * se);
	set_float(values, nulls, 11, se > 0, probability_normal(difference / se));
	values[12] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, COMPARISON_COLUMNS, values, nulls);
}

/* --- fold() -------------------------------------------------------------------- */

/*
 * FNV-1a over the bytes of the key, mixed at the end so that the low bits of
 * similar keys differ.  Written out here because a fold must stay the same
 * when the server is replaced, which PostgreSQL's own hashes do not promise.
 */
static uint64
stable_hash(const char *bytes, Size n)
{
	uint64		hash = UINT64CONST(0xcbf29ce484222325);

	for (Size i = 0; i < n; i++)
		hash = (hash ^ (unsigned char) bytes[i]) * UINT64CONST(0x100000001b3);
	hash = (hash ^ hash >> 33) * UINT64CONST(0xff51afd7ed558ccd);
	hash = (hash ^ hash >> 33) * UINT64CONST(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 33;
}

/* fold(key, k): 0 to k - 1 */
Datum
credit_fold(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);
	int32		k = PG_GETARG_INT32(1);

	if (k < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of folds must be 1 or more, not %d", k)));
	PG_RETURN_INT32((int32) (stable_hash(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)) % k));
}

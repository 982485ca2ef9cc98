/*
 * agreement.c
 *	  How far two ratings of the same customers agree: aggregates agreement()
 *	  and agreement_table().
 *
 * The state is a bag (bag.c) of pairs of grades, so it is as large as there
 * are different pairs.  A higher grade is taken to be a worse one only where
 * the sign of a notch difference is read; nothing else depends on it.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "aggregate.h"
#include "credit.h"
#include "validation.h"

#define AGGREGATE "agreement"

#define SERIAL_VERSION 1

#define AGREEMENT_COLUMNS 11
#define TABLE_COLUMNS 4

/* Notches from which on a pair is to be looked at */
#define REVIEW_NOTCHES 2

typedef struct AgreementState
{
	MemoryContext context;
	int64		n_skipped;		/* rows without one of the grades */
	Bag			pairs;
} AgreementState;

/* A grade, and how often each side gives it. */
typedef struct Grade
{
	int32		grade;
	float8		n[2];
	float8		rank[2];		/* mid-rank among the grades of that side */
} Grade;

/* Both sides' grades in ascending order. */
typedef struct Grades
{
	Grade	   *grade;
	int			n;
} Grades;

typedef struct Notches
{
	float8		sum;
	float8		absolute;
	float8		squares;
	float8		same;
	float8		within_one;
	float8		review;
} Notches;

PG_FUNCTION_INFO_V1(credit_agreement_accum);
PG_FUNCTION_INFO_V1(credit_agreement_combine);
PG_FUNCTION_INFO_V1(credit_agreement_serialize);
PG_FUNCTION_INFO_V1(credit_agreement_deserialize);
PG_FUNCTION_INFO_V1(credit_agreement_final);
PG_FUNCTION_INFO_V1(credit_agreement_table_final);

#define FLIP 0x80000000U		/* the order of signed numbers */

static uint64
key_of_pair(int32 internal, int32 external)
{
	return (uint64) ((uint32) internal ^ FLIP) << 32 | ((uint32) external ^ FLIP);
}

static int32
grade_of_key(uint64 key, int side)
{
	return (int32) ((uint32) (side == 0 ? key >> 32 : key) ^ FLIP);
}

/* --- the state --------------------------------------------------------------- */

static AgreementState *
make_state(MemoryContext context)
{
	AgreementState *state = MemoryContextAllocZero(context, sizeof(AgreementState));

	state->context = context;
	return state;
}

Datum
credit_agreement_accum(PG_FUNCTION_ARGS)
{
	AgreementState *state;

	if (PG_ARGISNULL(0))
		state = make_state(aggregate_context(fcinfo, AGGREGATE));
	else
		state = (AgreementState *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		state->n_skipped++;
	else
		bag_add(&state->pairs, key_of_pair(PG_GETARG_INT32(1), PG_GETARG_INT32(2)),
				state->context);
	PG_RETURN_POINTER(state);
}

Datum
credit_agreement_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo, AGGREGATE);
	AgreementState *left;
	AgreementState *right;

	if (PG_ARGISNULL(1))
		return aggregate_unchanged(fcinfo);
	left = PG_ARGISNULL(0) ? make_state(context) :
		(AgreementState *) PG_GETARG_POINTER(0);
	right = (AgreementState *) PG_GETARG_POINTER(1);
	left->n_skipped += right->n_skipped;
	bag_sort(&right->pairs, right->context);
	bag_merge(&left->pairs, &right->pairs, left->context);
	PG_RETURN_POINTER(left);
}

Datum
credit_agreement_serialize(PG_FUNCTION_ARGS)
{
	AgreementState *state;
	StringInfoData buf;

	aggregate_context(fcinfo, AGGREGATE);
	state = (AgreementState *) PG_GETARG_POINTER(0);
	bag_sort(&state->pairs, state->context);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, SERIAL_VERSION);
	pq_sendint64(&buf, state->n_skipped);
	bag_send(&buf, &state->pairs);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
credit_agreement_deserialize(PG_FUNCTION_ARGS)
{
	AgreementState *state;
	StringInfoData buf;

	aggregate_open_bytes(fcinfo, AGGREGATE, &buf);
	state = make_state(CurrentMemoryContext);
	if (pq_getmsgbyte(&buf) != SERIAL_VERSION ||
		(state->n_skipped = pq_getmsgint64(&buf)) < 0 ||
		state->n_skipped > BAG_MAX_TOTAL)
		aggregate_refuse_bytes(AGGREGATE);
	bag_receive(&buf, &state->pairs, CurrentMemoryContext, AGGREGATE);
	pq_getmsgend(&buf);
	pfree(buf.data);
	PG_RETURN_POINTER(state);
}

static AgreementState *
final_state(FunctionCallInfo fcinfo)
{
	AgreementState *state;

	aggregate_context(fcinfo, AGGREGATE);
	if (PG_ARGISNULL(0))
		return make_state(CurrentMemoryContext);
	state = (AgreementState *) PG_GETARG_POINTER(0);
	bag_sort(&state->pairs, state->context);
	return state;
}

/* --- grades ------------------------------------------------------------------- */

static int
compare_grades(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

static Grade *
find_grade(const Grades *grades, int32 grade)
{
	/* its first member is the grade */
	return bsearch(&grade, grades->grade, grades->n, sizeof(Grade), compare_grades);
}

static void
rank_grades(Grades *grades)
{
	float8		below[2] = {0, 0};

	for (int i = 0; i < grades->n; i++)
		for (int side = 0; side < 2; side++)
		{
			Grade	   *g = &grades->grade[i];

			g->rank[side] = below[side] + (g->n[side] + 1) / 2;
			below[side] += g->n[side];
		}
}

static void
count_grades(const Bag *pairs, Grades *grades)
{
	uint32		n = 0;

	grades->grade = MemoryContextAllocHuge(CurrentMemoryContext,
										   sizeof(Grade) * 2 * (Size) Max(pairs->n, 1));
	for (uint32 i = 0; i < pairs->n; i++)
		for (int side = 0; side < 2; side++)
		{
			Grade		g = {grade_of_key(pairs->keys[i], side)};

			g.n[side] = bag_count(pairs, i);
			grades->grade[n++] = g;
		}
	qsort(grades->grade, n, sizeof(Grade), compare_grades);
	grades->n = 0;
	for (uint32 i = 0; i < n; i++)
	{
		Grade	   *last = &grades->grade[grades->n - 1];

		if (grades->n > 0 && last->grade == grades->grade[i].grade)
		{
			last->n[0] += grades->grade[i].n[0];
			last->n[1] += grades->grade[i].n[1];
		}
		else
			grades->grade[grades->n++] = grades->grade[i];
	}
	rank_grades(grades);
}

/* --- Kendall, Spearman -------------------------------------------------------- */

/* Sum of tree[1..place] of a Fenwick tree. */
static float8
tree_sum(const float8 *tree, int place)
{
	float8		sum = 0;

	for (; place > 0; place -= place & -place)
		sum += tree[place];
	return sum;
}

static void
tree_add(float8 *tree, int n, int place, float8 count)
{
	for (; place <= n; place += place & -place)
		tree[place] += count;
}

/*
 * Concordant less discordant pairs.  The pairs of grades come by the internal
 * grade; each is compared with those of lower internal grades, which stand in
 * the tree by their external grade.
 */
static float8
concordance(const Bag *pairs, const Grades *grades)
{
	float8	   *tree = MemoryContextAllocHuge(CurrentMemoryContext,
											  sizeof(float8) * ((Size) grades->n + 1));
	float8		sum = 0;
	float8		in_tree = 0;
	uint32		first = 0;		/* of the present internal grade */

	memset(tree, 0, sizeof(float8) * ((Size) grades->n + 1));
	for (uint32 i = 0; i < pairs->n; i++)
	{
		int			place = find_grade(grades, grade_of_key(pairs->keys[i], 1)) - grades->grade + 1;
		float8		lower;
		float8		higher;

		for (; grade_of_key(pairs->keys[first], 0) < grade_of_key(pairs->keys[i], 0); first++)
		{
			tree_add(tree, grades->n,
					 find_grade(grades, grade_of_key(pairs->keys[first], 1)) - grades->grade + 1,
					 bag_count(pairs, first));
			in_tree += bag_count(pairs, first);
		}
		lower = tree_sum(tree, place - 1);
		higher = in_tree - tree_sum(tree, place);
		sum += bag_count(pairs, i) * (lower - higher);
	}
	return sum;
}

/* Of what the two have in common; rounding must not lead beyond 1. */
static float8
correlation(float8 common, const float8 *own)
{
	float8		ratio = common / (sqrt(own[0]) * sqrt(own[1]));

	return Min(Max(ratio, -1), 1);
}

static void
set_correlations(const Bag *pairs, const Grades *grades, Datum *values, bool *nulls)
{
	float8		n = pairs->total;
	float8		mean = (n + 1) / 2;
	float8		untied[2];
	float8		variance[2] = {0, 0};
	float8		covariance = 0;
	bool		exists;

	untied[0] = untied[1] = n * (n - 1) / 2;
	for (int i = 0; i < grades->n; i++)
		for (int side = 0; side < 2; side++)
		{
			const Grade *g = &grades->grade[i];

			untied[side] -= g->n[side] * (g->n[side] - 1) / 2;
			variance[side] += g->n[side] * (g->rank[side] - mean) * (g->rank[side] - mean);
		}
	for (uint32 i = 0; i < pairs->n; i++)
	{
		const Grade *internal = find_grade(grades, grade_of_key(pairs->keys[i], 0));
		const Grade *external = find_grade(grades, grade_of_key(pairs->keys[i], 1));

		covariance += bag_count(pairs, i) *
			(internal->rank[0] - mean) * (external->rank[1] - mean);
	}
	exists = untied[0] > 0 && untied[1] > 0;
	set_float(values, nulls, 1, exists, exists ?
			  correlation(concordance(pairs, grades), untied) : 0);
	set_float(values, nulls, 2, exists, exists ?
			  correlation(covariance, variance) : 0);
}

/* --- kappa and notches --------------------------------------------------------- */

static void
count_notches(const Bag *pairs, Notches *notches)
{
	for (uint32 i = 0; i < pairs->n; i++)
	{
		float8		count = bag_count(pairs, i);
		float8		notch = (float8) grade_of_key(pairs->keys[i], 1) -
			(float8) grade_of_key(pairs->keys[i], 0);

		notches->sum += count * notch;
		notches->absolute += count * fabs(notch);
		notches->squares += count * notch * notch;
		if (notch == 0)
			notches->same += count;
		if (fabs(notch) <= 1)
			notches->within_one += count;
		if (fabs(notch) >= REVIEW_NOTCHES)
			notches->review += count;
	}
}

/*
 * What chance alone would give, of row and column sums r and c: the sums over
 * all pairs of grades of r c times difference, squared difference, and 1 where
 * the grades are the same.  In one pass over the grades instead of over pairs.
 * The scale of a weight, 1/(k - 1), divides out in kappa.
 */
static void
expect_notches(const Grades *grades, float8 n, Notches *expected)
{
	float8		below[2] = {0, 0};
	float8		mean[2] = {0, 0};
	float8		squares = 0;

	for (int i = 0; i < grades->n; i++)
	{
		const Grade *g = &grades->grade[i];

		if (i > 0)
			expected->absolute += ((float8) g->grade - (float8) g[-1].grade) *
				(below[0] * (n - below[1]) + below[1] * (n - below[0]));
		expected->same += g->n[0] * g->n[1];
		for (int side = 0; side < 2; side++)
		{
			below[side] += g->n[side];
			mean[side] += g->n[side] / n * g->grade;
		}
	}
	for (int i = 0; i < grades->n; i++)
		for (int side = 0; side < 2; side++)
		{
			const Grade *g = &grades->grade[i];

			squares += g->n[side] * (g->grade - mean[side]) * (g->grade - mean[side]);
		}
	expected->squares = n * squares + n * n * (mean[0] - mean[1]) * (mean[0] - mean[1]);
}

static void
set_kappa(Datum *values, bool *nulls, int column, float8 n, float8 observed, float8 expected)
{
	set_float(values, nulls, column, expected > 0, 1 - n * observed / expected);
}

/* --- agreement() ---------------------------------------------------------------- */

Datum
credit_agreement_final(PG_FUNCTION_ARGS)
{
	AgreementState *state = final_state(fcinfo);
	float8		n = state->pairs.total;
	Grades		grades;
	Notches		observed = {0};
	Notches		expected = {0};
	Datum		values[AGREEMENT_COLUMNS];
	bool		nulls[AGREEMENT_COLUMNS] = {false};

	count_grades(&state->pairs, &grades);
	count_notches(&state->pairs, &observed);
	expect_notches(&grades, n, &expected);
	values[0] = Int64GetDatum(state->pairs.total);
	set_correlations(&state->pairs, &grades, values, nulls);
	/* on one grade only, nothing is left to chance */
	set_kappa(values, nulls, 3, n, observed.squares, grades.n > 1 ? expected.squares : 0);
	set_kappa(values, nulls, 4, n, observed.absolute, expected.absolute);
	set_kappa(values, nulls, 5, n, n - observed.same, n * n - expected.same);
	set_float(values, nulls, 6, n > 0, observed.sum / n);
	set_float(values, nulls, 7, n > 0, observed.absolute / n);
	set_float(values, nulls, 8, n > 0, observed.within_one / n);
	values[9] = Int64GetDatum((int64) observed.review);
	values[10] = Int64GetDatum(state->n_skipped);
	return result_row(fcinfo, AGREEMENT_COLUMNS, values, nulls);
}

Datum
credit_agreement_table_final(PG_FUNCTION_ARGS)
{
	AgreementState *state = final_state(fcinfo);
	const Bag  *pairs = &state->pairs;
	ResultRows	result;

	if (pairs->n == 0)
		PG_RETURN_NULL();
	result_rows_begin(&result, fcinfo, TABLE_COLUMNS, pairs->n);
	for (uint32 i = 0; i < pairs->n; i++)
	{
		int32		internal = grade_of_key(pairs->keys[i], 0);
		int32		external = grade_of_key(pairs->keys[i], 1);
		Datum		values[TABLE_COLUMNS];
		bool		nulls[TABLE_COLUMNS] = {false};

		values[0] = Int32GetDatum(internal);
		values[1] = Int32GetDatum(external);
		values[2] = Int64GetDatum((int64) external - internal);
		values[3] = Int64GetDatum(bag_count(pairs, i));
		result_rows_add(&result, values, nulls);
	}
	return result_rows_end(&result);
}

/*
 * binning.h
 *	  Bins of a characteristic: counted, cut, and applied.
 */
#ifndef CREDIT_BINNING_H
#define CREDIT_BINNING_H

#include "access/htup.h"
#include "fmgr.h"

#include "bag.h"

/* Which of the two counts of a cell */
#define CELL_GOOD 0
#define CELL_BAD 1

/* Bounds of the options; the optimisation takes their third power of time. */
#define BINNING_MAX_PREBINS 200
#define BINNING_MAX_BINS 50
#define BINNING_MAX_SPECIALS 100
/* Bins of a stored binning: whatever is cut here, and larger ones by hand */
#define BINNING_MAX_STORED 1000
#define BINNING_MAX_CATEGORIES 10000

/* Columns of the types in 60-binning.sql */
#define BIN_COLUMNS 11
#define BINNING_COLUMNS 10
#define OPTION_COLUMNS 12

typedef enum BinTrend
{
	TREND_NONE,
	TREND_UP,
	TREND_DOWN,
	TREND_AUTO,
	TREND_PEAK,
	TREND_VALLEY
} BinTrend;

/* How bins are made of pre-bins */
typedef enum BinMethod
{
	METHOD_OPTIMAL,				/* greatest information value */
	METHOD_POOL,				/* pool adjacent violators of the trend */
	METHOD_NONE					/* pre-bins are the bins */
} BinMethod;

typedef struct BinningOptions
{
	int			max_prebins;
	int			max_bins;
	float8		min_share;
	float8		min_size;
	float8		min_good;
	float8		min_bad;
	float8		min_gap;
	BinTrend	trend;
	float8		adjustment;
	BinMethod	method;
	int			n_specials;
	char	  **specials;		/* as given */
	float8	   *special_numbers;	/* the same, where values are numbers */
	int			n_bounds;		/* -1: none given */
	float8	   *bounds;
} BinningOptions;

/* All rows of one value. */
typedef struct BinCell
{
	uint64		number;			/* key_of_float(), unless a category */
	const char *category;		/* not terminated */
	uint32		length;
	int64		count[2];		/* in units of the state */
} BinCell;

/* A category, wherever its bytes lie. */
typedef struct CategoryKey
{
	const char *data;
	uint32		length;
} CategoryKey;

typedef struct CategoryEntry
{
	CategoryKey key;
	uint32		hash;
	char		status;
	union
	{
		int64		count[2];	/* while counting */
		int			bin;		/* in a stored binning */
	};
} CategoryEntry;

extern const char *const binning_trends[6];
extern const char *const binning_methods[3];

extern uint32 category_hash_key(CategoryKey key, const void *seed);
extern bool category_is_equal(CategoryKey a, CategoryKey b);

/* simplehash.h is lower_case only, and every file that uses it has its own */
#define SH_PREFIX categories
#define SH_ELEMENT_TYPE CategoryEntry
#define SH_KEY_TYPE CategoryKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) category_hash_key(key, (tb)->private_data)
#define SH_EQUAL(tb, a, b) category_is_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What has been counted, for the cut. */
typedef struct BinCounts
{
	bool		is_categorical;
	float8		unit;			/* rows, or weight, by which counts are divided */
	int64		n_skipped;
	int64		missing[2];
	BinCell    *cells;			/* in no order, each value once */
	Size		n_cells;
} BinCounts;

extern BinningOptions *binning_read_options(HeapTupleHeader given, bool is_categorical);
extern void binning_send_options(StringInfo buf, const BinningOptions *options);
extern BinningOptions *binning_receive_options(StringInfo buf, bool is_categorical);
extern bool binning_same_options(const BinningOptions *a, const BinningOptions *b);

extern Datum binning_cut(FunctionCallInfo fcinfo, BinCounts *counts,
						 const BinningOptions *options);
extern bool binning_woe(float8 good, float8 bad, float8 all_good,
						float8 all_bad, float8 adjustment, float8 *woe);

/* A stored binning, ready for use. */
typedef struct StoredBin
{
	int			number;
	bool		has_woe;
	bool		is_missing;		/* the bin of missing values */
	float8		woe;
} StoredBin;

typedef struct StoredBinning
{
	bool		is_categorical;
	int			n_bins;
	StoredBin  *bins;
	int			missing;		/* index of its bin; -1: none */
	int			n_ranges;		/* their bins come first */
	float8	   *bounds;			/* n_ranges - 1 upper bounds */
	int			n_specials;
	float8	   *specials;
	int		   *special_bins;
	categories_hash *categories;
} StoredBinning;

extern StoredBinning *binning_load(Datum binning);
extern int	binning_find_category(const StoredBinning *binning,
								  const char *data, uint32 length);

/*
 * The index of the bin that a number falls into; -1: none.  Here, since whole
 * tables go through it.
 */
static inline int
binning_find_number(const StoredBinning *binning, float8 number)
{
	int			low = 0;
	int			high = binning->n_ranges - 1;

	if (number != number)
		return binning->missing;
	for (int i = 0; i < binning->n_specials; i++)
		if (binning->specials[i] == number)
			return binning->special_bins[i];
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (number <= binning->bounds[middle])
			high = middle;
		else
			low = middle + 1;
	}
	return high;
}

#endif							/* CREDIT_BINNING_H */

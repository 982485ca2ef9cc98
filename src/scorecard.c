/*
 * scorecard.c
 *	  Scores: from the features of a subject to points, a score, a probability
 *	  and reasons.
 *
 * A model is read once for each place in a query that scores with it, and kept
 * there; after that a row costs a look at each feature and nothing else.  Models
 * never change, so only the name of a model has to be looked up again: with
 * every statement and command, since another version may be the champion then.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

#include "credit.h"
#include "money.h"
#include "scorecard.h"

/* Models that one place in a query keeps; with more, they take turns. */
#define KEPT_MODELS 8

#define RESULT_COLUMNS 6
#define PART_COLUMNS 9
#define MOST_REASONS 4

/* Weights are sums: 0.6 may come out a little less. */
#define WEIGHT_ERROR 1e-9

PG_FUNCTION_INFO_V1(credit_score_row_by_id);
PG_FUNCTION_INFO_V1(credit_score_row_by_name);
PG_FUNCTION_INFO_V1(credit_score_of_by_id);
PG_FUNCTION_INFO_V1(credit_score_of_by_name);
PG_FUNCTION_INFO_V1(credit_score_values_by_id);
PG_FUNCTION_INFO_V1(credit_score_values_by_name);
PG_FUNCTION_INFO_V1(credit_score_probability_by_id);
PG_FUNCTION_INFO_V1(credit_score_probability_by_name);

/* --- models kept with the call ---------------------------------------------------- */

typedef struct KeptModel
{
	MemoryContext context;		/* NULL: free */
	Scorecard  *card;
} KeptModel;

typedef struct ScoreSite
{
	KeptModel	models[KEPT_MODELS];
	int			turn;			/* which one goes next */
	char	   *name;			/* looked up last; NULL: none */
	int32		champion;		/* and what was found */
	TimestampTz transaction;	/* when that was */
	TimestampTz statement;
	CommandId	command;
	TupleDesc	result;			/* of score_row() */
	TupleDesc	part;
	Oid			part_type;
} ScoreSite;

static ScoreSite *
site_of(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(ScoreSite));
	return fcinfo->flinfo->fn_extra;
}

static Scorecard *
kept_card(FunctionCallInfo fcinfo, ScoreSite *site, int32 model_id)
{
	KeptModel  *kept;
	MemoryContext context;
	MemoryContext caller;

	for (int i = 0; i < KEPT_MODELS; i++)
		if (site->models[i].context != NULL && site->models[i].card->model_id == model_id)
			return site->models[i].card;
	context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "credit scorecard",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	kept = &site->models[site->turn];
	site->turn = (site->turn + 1) % KEPT_MODELS;
	if (kept->context != NULL)
		MemoryContextDelete(kept->context);
	kept->context = NULL;
	kept->card = scorecard_load(model_id);
	kept->context = context;
	MemoryContextSwitchTo(caller);
	return kept->card;
}

static bool
is_looked_up(const ScoreSite *site, const char *name, int length)
{
	return site->name != NULL && (int) strlen(site->name) == length &&
		memcmp(site->name, name, length) == 0 &&
		site->statement == GetCurrentStatementStartTimestamp() &&
		site->transaction == GetCurrentTransactionStartTimestamp() &&
		site->command == GetCurrentCommandId(false);
}

/* The model in the first argument, by its number or by its name. */
static Scorecard *
card_of(FunctionCallInfo fcinfo, bool is_name)
{
	ScoreSite  *site = site_of(fcinfo);
	text	   *name;

	if (!is_name)
		return kept_card(fcinfo, site, PG_GETARG_INT32(0));
	name = PG_GETARG_TEXT_PP(0);
	if (!is_looked_up(site, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)))
	{
		char	   *asked = text_to_cstring(name);

		site->champion = scorecard_champion(asked);
		if (site->name != NULL)
			pfree(site->name);
		site->name = NULL;
		site->statement = GetCurrentStatementStartTimestamp();
		site->transaction = GetCurrentTransactionStartTimestamp();
		site->command = GetCurrentCommandId(false);
		site->name = MemoryContextStrdup(fcinfo->flinfo->fn_mcxt, asked);
	}
	return kept_card(fcinfo, site, site->champion);
}

/* --- features ------------------------------------------------------------------------ */

static inline bool
is_of_numbers(const Characteristic *c)
{
	return c->binning != NULL ? !c->binning->is_categorical : c->x != NULL;
}

static void
refuse_feature(const Characteristic *c, const char *what, const char *given)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("feature \"%s\" must be %s, not %s", c->feature, what, given)));
}

/*
 * Most amounts and ratios are small: whole numbers over a power of ten.  What
 * no float8 can hold becomes infinite, which is a number to compare with.
 */
static inline float8
float_of_numeric(Numeric numeric)
{
	Money		money;

	money_read(NumericGetDatum(numeric), &money);
	if (money.form == MONEY_SMALL && money.small < (INT64CONST(1) << 53) &&
		money.small > -(INT64CONST(1) << 53))
		return (float8) money.small / 1e8;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  NumericGetDatum(numeric)));
}

/* What has no number in JSON is a string. */
static void
number_of_string(const Characteristic *c, const JsonbValue *json, FeatureValue *value)
{
	const char *string = json->val.string.val;
	int			length = json->val.string.len;

	value->kind = FEATURE_NUMBER;
	if (length == 3 && memcmp(string, "NaN", 3) == 0)
		value->kind = FEATURE_MISSING;
	else if (length == 8 && memcmp(string, "Infinity", 8) == 0)
		value->number = INFINITY;
	else if (length == 9 && memcmp(string, "-Infinity", 9) == 0)
		value->number = -INFINITY;
	else
		refuse_feature(c, "a number", psprintf("\"%s\"", pnstrdup(string, Min(length, 60))));
}

static void
category_of_json(const Characteristic *c, const JsonbValue *json, FeatureValue *value)
{
	value->kind = FEATURE_TEXT;
	if (json->type == jbvString)
	{
		value->data = json->val.string.val;
		value->length = json->val.string.len;
		return;
	}
	if (json->type == jbvBool)
		value->data = json->val.boolean ? "true" : "false";
	else
		value->data = DatumGetCString(DirectFunctionCall1(numeric_out,
														  NumericGetDatum(json->val.numeric)));
	value->length = (uint32) strlen(value->data);
}

/* The feature of a characteristic; one that is not there is missing. */
static inline void
read_feature(JsonbContainer *features, const Characteristic *c, FeatureValue *value)
{
	JsonbValue	json;

	value->kind = FEATURE_MISSING;
	if (getKeyJsonValueFromContainer(features, c->feature, c->length, &json) == NULL ||
		json.type == jbvNull)
		return;
	if (json.type != jbvNumeric && json.type != jbvString && json.type != jbvBool)
		refuse_feature(c, "a plain value", "an array or an object");
	if (!is_of_numbers(c))
		category_of_json(c, &json, value);
	else if (json.type == jbvNumeric)
	{
		value->kind = FEATURE_NUMBER;
		value->number = float_of_numeric(json.val.numeric);
	}
	else if (json.type == jbvBool)
	{
		value->kind = FEATURE_NUMBER;
		value->number = json.val.boolean ? 1 : 0;
	}
	else
		number_of_string(c, &json, value);
}

static JsonbContainer *
features_argument(FunctionCallInfo fcinfo)
{
	Jsonb	   *features = PG_GETARG_JSONB_P(1);

	if (!JB_ROOT_IS_OBJECT(features))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("features must be a JSON object with a value for each name")));
	return &features->root;
}

/* --- points ---------------------------------------------------------------------------- */

/* What one characteristic says of one subject. */
typedef struct Part
{
	FeatureValue value;
	float8		points;			/* of an expert: at full weight */
	int			bin;			/* index; -1: none */
	bool		is_missing;
} Part;

static float8
interpolate(const Characteristic *c, float8 x)
{
	int			low = 0;
	int			high = c->n_values - 1;

	if (x <= c->x[low])
		return c->values[low];
	if (x >= c->x[high])
		return c->values[high];
	/* x[low] <= x < x[high] */
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (x >= c->x[middle])
			low = middle;
		else
			high = middle;
	}
	if (c->is_step)
		return c->values[low];
	return c->values[low] + (c->values[high] - c->values[low]) *
		((x - c->x[low]) / (c->x[high] - c->x[low]));
}

static inline void
rate_fitted(const Characteristic *c, Part *part)
{
	const StoredBinning *binning = c->binning;

	if (part->value.kind == FEATURE_NUMBER)
		part->bin = binning_find_number(binning, part->value.number);
	else if (part->value.kind == FEATURE_TEXT)
		part->bin = binning_find_category(binning, part->value.data, part->value.length);
	else
		part->bin = binning->missing;
	part->points = part->bin < 0 ? c->unseen : c->points[part->bin];
	part->is_missing = part->value.kind == FEATURE_MISSING ||
		(part->bin >= 0 && part->bin == binning->missing);
}

static inline void
rate_expert(const Characteristic *c, Part *part)
{
	part->bin = -1;
	part->points = 0;
	part->is_missing = part->value.kind == FEATURE_MISSING;
	if (part->value.kind == FEATURE_NUMBER)
	{
		part->is_missing = isnan(part->value.number);
		if (!part->is_missing)
			part->points = c->weight * interpolate(c, part->value.number);
	}
	else if (part->value.kind == FEATURE_TEXT)
	{
		CategoryKey key = {part->value.data, part->value.length};
		CategoryEntry *entry = categories_lookup(c->categories, key);

		part->is_missing = entry == NULL;
		if (entry != NULL)
			part->points = c->weight * c->values[entry->bin];
	}
}

/* A score as it grows. */
typedef struct Total
{
	float8		points;
	float8		weight;			/* of an expert: what is not missing */
} Total;

static inline void
add_part(const Scorecard *card, const Characteristic *c, Part *part, Total *total)
{
	if (card->is_fitted)
		rate_fitted(c, part);
	else
		rate_expert(c, part);
	total->points += part->points;
	if (!part->is_missing)
		total->weight += c->weight;
}

/*
 * False: too much is missing.  What an expert is not told, the other
 * characteristics stand in for.
 */
static inline bool
settle(const Scorecard *card, const Total *total, float8 *score)
{
	if (!card->is_fitted)
	{
		if (total->weight < card->minimum_weight - WEIGHT_ERROR || total->weight <= 0)
			return false;
		*score = total->points / total->weight;
	}
	else
		*score = total->points;
	return true;
}

static float8
probability_of_score(const Scorecard *card, float8 score)
{
	return 1 / (1 + exp((score - card->offset) / card->factor));
}

/* --- the score alone --------------------------------------------------------------------- */

static Datum
score_of(FunctionCallInfo fcinfo, bool is_name)
{
	const Scorecard *card = card_of(fcinfo, is_name);
	JsonbContainer *features = features_argument(fcinfo);
	Total		total = {0, 0};
	Part		part;
	float8		score;

	for (int i = 0; i < card->n; i++)
	{
		read_feature(features, &card->characteristics[i], &part.value);
		add_part(card, &card->characteristics[i], &part, &total);
	}
	if (!settle(card, &total, &score))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(score);
}

Datum
credit_score_of_by_id(PG_FUNCTION_ARGS)
{
	return score_of(fcinfo, false);
}

Datum
credit_score_of_by_name(PG_FUNCTION_ARGS)
{
	return score_of(fcinfo, true);
}

static void
check_values(const Scorecard *card, ArrayType *values)
{
	int			n = ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values));

	if (ARR_NDIM(values) > 1 || n != card->n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("model %d needs an array of one dimension with %d values, one for each characteristic",
						card->model_id, card->n),
				 errdetail("There are %d values in %d dimensions.", n, ARR_NDIM(values)),
				 errhint("credit.model_features() lists the characteristics in their order.")));
}

static Datum
score_values(FunctionCallInfo fcinfo, bool is_name)
{
	const Scorecard *card = card_of(fcinfo, is_name);
	ArrayType  *values = PG_GETARG_ARRAYTYPE_P(1);
	const float8 *next = (const float8 *) ARR_DATA_PTR(values);
	const bits8 *nulls = ARR_NULLBITMAP(values);
	Total		total = {0, 0};
	Part		part;
	float8		score;

	check_values(card, values);
	for (int i = 0; i < card->n; i++)
	{
		const Characteristic *c = &card->characteristics[i];

		if (nulls != NULL && (nulls[i / 8] & (1 << (i % 8))) == 0)
			part.value.kind = FEATURE_MISSING;
		else
		{
			part.value.kind = FEATURE_NUMBER;
			part.value.number = *next++;
			if (!is_of_numbers(c))
				refuse_feature(c, "a text, and be given as JSON", "a number of an array");
		}
		add_part(card, c, &part, &total);
	}
	if (!settle(card, &total, &score))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(score);
}

Datum
credit_score_values_by_id(PG_FUNCTION_ARGS)
{
	return score_values(fcinfo, false);
}

Datum
credit_score_values_by_name(PG_FUNCTION_ARGS)
{
	return score_values(fcinfo, true);
}

static Datum
score_probability(FunctionCallInfo fcinfo, bool is_name)
{
	const Scorecard *card = card_of(fcinfo, is_name);
	float8		score = PG_GETARG_FLOAT8(1);

	if (!card->has_scale || isnan(score))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(probability_of_score(card, score));
}

Datum
credit_score_probability_by_id(PG_FUNCTION_ARGS)
{
	return score_probability(fcinfo, false);
}

Datum
credit_score_probability_by_name(PG_FUNCTION_ARGS)
{
	return score_probability(fcinfo, true);
}

/* --- the score with all that belongs to it ----------------------------------- */

static void
find_row_types(FunctionCallInfo fcinfo, ScoreSite *site)
{
	MemoryContext caller;

	if (site->part != NULL)
		return;
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	if (get_call_result_type(fcinfo, NULL, &site->result) == TYPEFUNC_COMPOSITE &&
		site->result->natts == RESULT_COLUMNS)
	{
		site->result = BlessTupleDesc(site->result);
		site->part_type = get_element_type(TupleDescAttr(site->result, 4)->atttypid);
		if (OidIsValid(site->part_type))
			site->part = lookup_rowtype_tupdesc_copy(site->part_type, -1);
	}
	MemoryContextSwitchTo(caller);
	if (site->part == NULL || site->part->natts != PART_COLUMNS)
	{
		site->part = NULL;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("results of library and catalog do not have the same columns"),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	}
}

/* Points are shown as they went into the score. */
typedef struct Explained
{
	float8		points;
	float8		reference;
	float8		shortfall;		/* NaN: there is none, the feature is missing */
	int			rank;			/* among reasons; 0: none */
} Explained;

/*
 * Ranks: the largest shortfalls, in the order of characteristics where they
 * are equal; then, of an expert, what is missing and so left no shortfall.
 */
static int
rank_reasons(const Scorecard *card, const Part *parts, Explained *explained)
{
	int			n = 0;

	while (n < MOST_REASONS)
	{
		int			most = -1;

		for (int i = 0; i < card->n; i++)
			if (explained[i].rank == 0 && explained[i].shortfall > WEIGHT_ERROR &&
				(most < 0 ||
				 explained[i].shortfall > explained[most].shortfall + WEIGHT_ERROR))
				most = i;
		if (most < 0)
			break;
		explained[most].rank = ++n;
	}
	for (int i = 0; i < card->n && n < MOST_REASONS; i++)
		if (explained[i].rank == 0 && parts[i].is_missing && !card->is_fitted)
			explained[i].rank = ++n;
	return n;
}

static Datum
reason_text(const Characteristic *c, const Part *part)
{
	return part->is_missing ? c->reason_missing : c->reason;
}

static Datum
value_text(const FeatureValue *value)
{
	if (value->kind == FEATURE_TEXT)
		return PointerGetDatum(cstring_to_text_with_len(value->data, (int) value->length));
	return CStringGetTextDatum(DatumGetCString(DirectFunctionCall1(float8out,
																  Float8GetDatum(value->number))));
}

static Datum
form_part(const ScoreSite *site, const Scorecard *card, int i, const Part *part,
		  const Explained *explained)
{
	const Characteristic *c = &card->characteristics[i];
	Datum		values[PART_COLUMNS] = {0};
	bool		nulls[PART_COLUMNS] = {false};

	values[0] = Int32GetDatum(i + 1);
	values[1] = c->feature_text;
	nulls[2] = part->value.kind == FEATURE_MISSING;
	if (!nulls[2])
		values[2] = value_text(&part->value);
	nulls[3] = part->bin < 0;
	if (!nulls[3])
		values[3] = Int32GetDatum(c->binning->bins[part->bin].number);
	values[4] = Float8GetDatum(explained->points);
	nulls[4] = isnan(explained->points);
	values[5] = Float8GetDatum(explained->reference);
	nulls[5] = isnan(explained->reference);
	values[6] = Float8GetDatum(explained->shortfall);
	nulls[6] = isnan(explained->shortfall);
	values[7] = BoolGetDatum(part->is_missing);
	nulls[8] = explained->rank == 0;
	if (!nulls[8])
		values[8] = reason_text(c, part);
	return HeapTupleGetDatum(heap_form_tuple(site->part, values, nulls));
}

/*
 * Points and references of an expert are shares of the weight that is there;
 * without a score there are neither.
 */
static void
explain(const Scorecard *card, const Part *parts, const Total *total, bool has_score,
		Explained *explained)
{
	float8		weight = card->is_fitted ? 1 : total->weight;

	for (int i = 0; i < card->n; i++)
	{
		bool		counts = has_score && (card->is_fitted || !parts[i].is_missing);

		explained[i].rank = 0;
		explained[i].points = counts ? parts[i].points / weight : NAN;
		explained[i].reference = counts ? card->characteristics[i].reference / weight : NAN;
		explained[i].shortfall = explained[i].reference - explained[i].points;
	}
}

static Datum
reasons_array(const Scorecard *card, const Part *parts, const Explained *explained, int n)
{
	Datum		reasons[MOST_REASONS];

	for (int i = 0; i < card->n; i++)
		if (explained[i].rank > 0)
			reasons[explained[i].rank - 1] =
				reason_text(&card->characteristics[i], &parts[i]);
	return PointerGetDatum(construct_array(reasons, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
score_row(FunctionCallInfo fcinfo, bool is_name)
{
	const Scorecard *card = card_of(fcinfo, is_name);
	ScoreSite  *site = site_of(fcinfo);
	JsonbContainer *features = features_argument(fcinfo);
	Part	   *parts = palloc(sizeof(Part) * card->n);
	Explained  *explained = palloc(sizeof(Explained) * card->n);
	Datum	   *rows = palloc(sizeof(Datum) * card->n);
	Total		total = {0, 0};
	float8		score = 0;
	bool		has_score;
	int			n_reasons;
	Datum		values[RESULT_COLUMNS] = {0};
	bool		nulls[RESULT_COLUMNS] = {false};

	find_row_types(fcinfo, site);
	for (int i = 0; i < card->n; i++)
	{
		read_feature(features, &card->characteristics[i], &parts[i].value);
		add_part(card, &card->characteristics[i], &parts[i], &total);
	}
	has_score = settle(card, &total, &score);
	explain(card, parts, &total, has_score, explained);
	n_reasons = rank_reasons(card, parts, explained);
	for (int i = 0; i < card->n; i++)
		rows[i] = form_part(site, card, i, &parts[i], &explained[i]);
	values[0] = Int32GetDatum(card->model_id);
	values[1] = Float8GetDatum(score);
	nulls[1] = !has_score;
	nulls[2] = !has_score || !card->has_scale;
	if (!nulls[2])
		values[2] = Float8GetDatum(probability_of_score(card, score));
	values[3] = Float8GetDatum(total.weight);
	nulls[3] = card->is_fitted;
	values[4] = PointerGetDatum(construct_array(rows, card->n, site->part_type, -1, false,
												TYPALIGN_DOUBLE));
	values[5] = reasons_array(card, parts, explained, n_reasons);
	return HeapTupleGetDatum(heap_form_tuple(site->result, values, nulls));
}

Datum
credit_score_row_by_id(PG_FUNCTION_ARGS)
{
	return score_row(fcinfo, false);
}

Datum
credit_score_row_by_name(PG_FUNCTION_ARGS)
{
	return score_row(fcinfo, true);
}

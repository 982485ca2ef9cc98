/*
 * scorecard_model.c
 *	  Reads a model from its tables and makes it ready for scoring.
 *
 * A model never changes once it is written, so what is read here may be kept
 * as long as anybody likes.  Everything is checked: tables can be written by
 * hand, and a score must never be NaN.
 *
 * Points of a fitted model are worked out here, once for each bin:
 *
 *	  offset / n - factor (coefficient x WoE + intercept / n)
 *
 * with n characteristics, factor = pdo / ln 2, and the offset that gives the
 * base score to the base odds (good : bad).
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "composite.h"
#include "credit.h"
#include "scorecard.h"

#define VALUE_TABLE_COLUMNS 5

/* Knots beyond could not be subtracted from each other. */
#define MAX_KNOT 1e100

static const Oid value_table_types[VALUE_TABLE_COLUMNS] = {
	FLOAT8ARRAYOID, TEXTARRAYOID, FLOAT8ARRAYOID, BOOLOID, FLOAT8OID
};

PG_FUNCTION_INFO_V1(credit_check_model);

static void
refuse_model(const Scorecard *card, const char *feature, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 feature == NULL ? errmsg("model \"%s\" cannot be used: %s", card->name, why) :
			 errmsg("characteristic \"%s\" of model \"%s\" cannot be used: %s",
					feature, card->name, why)));
}

/* --- queries ------------------------------------------------------------------ */

static void
run_query(const char *query, Oid type, Datum arg)
{
	Oid			types[1] = {type};
	Datum		args[1] = {arg};
	int			code = SPI_execute_with_args(query, 1, types, args, NULL, true, 0);

	if (code != SPI_OK_SELECT)
		elog(ERROR, "cannot read a model: %s", SPI_result_code_string(code));
}

static float8
float_column(HeapTuple row, int column, float8 preset)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &is_null);

	return is_null ? preset : DatumGetFloat8(value);
}

/* The model that is in force under this name. */
int32
scorecard_champion(const char *name)
{
	int32		model_id;
	bool		is_null;

	SPI_connect();
	run_query("SELECT m.model_id FROM credit.model m"
			  " WHERE m.name OPERATOR(pg_catalog.=) $1 COLLATE \"C\""
			  " AND m.status OPERATOR(pg_catalog.=) 'champion'::pg_catalog.text",
			  TEXTOID, CStringGetTextDatum(name));
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no champion", name),
				 errhint("View credit.models lists the models; credit.set_champion() names the one in force.")));
	model_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
										   &is_null));
	SPI_finish();
	return model_id;
}

/* --- the model as such ---------------------------------------------------------- */

typedef struct ModelRow
{
	float8		intercept;
	ScoreReference reference;
	bool		is_rounded;
} ModelRow;

static void
read_scale(Scorecard *card, HeapTuple row)
{
	float8		pdo = float_column(row, 3, NAN);
	float8		base_score = float_column(row, 4, NAN);
	float8		base_odds = float_column(row, 5, NAN);

	card->has_scale = !isnan(pdo) && !isnan(base_score) && !isnan(base_odds);
	if (!card->has_scale)
	{
		if (card->is_fitted)
			refuse_model(card, NULL, "it has no scale");
		return;
	}
	if (!(pdo > 0 && pdo <= 1e6 && base_odds > 0 && base_odds <= 1e12 &&
		  fabs(base_score) <= 1e6))
		refuse_model(card, NULL, "its scale is out of range");
	card->factor = pdo / M_LN2;
	card->offset = base_score - card->factor * log(base_odds);
}

static void
read_model(Scorecard *card, ModelRow *model)
{
	HeapTuple	row;
	char	   *kind;
	char	   *reference;

	run_query("SELECT m.kind, m.reference, m.pdo, m.base_score, m.base_odds, m.intercept,"
			  " m.minimum_weight, m.round_points, m.name FROM credit.model m"
			  " WHERE m.model_id OPERATOR(pg_catalog.=) $1",
			  INT4OID, Int32GetDatum(card->model_id));
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no model %d", card->model_id),
				 errhint("View credit.models lists the models.")));
	row = SPI_tuptable->vals[0];
	card->name = SPI_getvalue(row, SPI_tuptable->tupdesc, 9);
	kind = SPI_getvalue(row, SPI_tuptable->tupdesc, 1);
	reference = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
	card->is_fitted = kind != NULL && strcmp(kind, "fitted") == 0;
	read_scale(card, row);
	model->intercept = float_column(row, 6, 0);
	if (!(fabs(model->intercept) <= SCORECARD_MAX_POINTS))
		refuse_model(card, NULL, "its intercept is out of range");
	card->minimum_weight = float_column(row, 7, 0.6);
	if (isnan(card->minimum_weight))
		refuse_model(card, NULL, "its smallest weight is no number");
	model->is_rounded = strcmp(SPI_getvalue(row, SPI_tuptable->tupdesc, 8), "t") == 0;
	model->reference = reference == NULL || strcmp(reference, "max") == 0 ? REFERENCE_MAX :
		strcmp(reference, "neutral") == 0 ? REFERENCE_NEUTRAL : REFERENCE_MEAN;
}

/* --- characteristics of a fitted model -------------------------------------------- */

static float8
points_of_woe(const Scorecard *card, const ModelRow *model, const Characteristic *c,
			  float8 coefficient, float8 woe)
{
	float8		points = card->offset / card->n -
	card->factor * (coefficient * woe + model->intercept / card->n);

	if (!(fabs(points) <= SCORECARD_MAX_POINTS))
		refuse_model(card, c->feature, "its points are out of range");
	return model->is_rounded ? rint(points) : points;
}

static void
load_fitted(const Scorecard *card, const ModelRow *model, Characteristic *c,
			float8 coefficient, Datum binning, float8 mean)
{
	float8		most = -INFINITY;

	c->binning = binning_load(binning);
	c->unseen = points_of_woe(card, model, c, coefficient, 0);
	c->points = palloc(sizeof(float8) * Max(c->binning->n_bins, 1));
	for (int i = 0; i < c->binning->n_bins; i++)
	{
		StoredBin  *bin = &c->binning->bins[i];

		if (!bin->has_woe)
			refuse_model(card, c->feature, "a bin has no weight of evidence");
		c->points[i] = points_of_woe(card, model, c, coefficient, bin->woe);
		if (!bin->is_missing)
			most = Max(most, c->points[i]);
	}
	c->reference = model->reference == REFERENCE_MEAN ? mean :
		model->reference == REFERENCE_MAX && most > -INFINITY ? most : c->unseen;
}

/* --- characteristics of an expert -------------------------------------------------- */

static float8 *
float_elements(const Scorecard *card, const Characteristic *c, Datum value, int *n)
{
	ArrayType  *array = DatumGetArrayTypePCopy(value);
	float8	   *numbers;

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		refuse_model(card, c->feature, "its value table has nulls or several dimensions");
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (*n < 1 || *n > SCORECARD_MAX_VALUES)
		refuse_model(card, c->feature, "its value table must have 1 to 1000 values");
	numbers = (float8 *) ARR_DATA_PTR(array);
	return numbers;
}

static void
check_numbers(const Scorecard *card, const Characteristic *c)
{
	for (int i = 0; i < c->n_values; i++)
	{
		if (!(c->values[i] >= 0 && c->values[i] <= 100))
			refuse_model(card, c->feature, "its values must be 0 to 100");
		if (c->x != NULL &&
			(!(fabs(c->x[i]) <= MAX_KNOT) || (i > 0 && c->x[i] <= c->x[i - 1])))
			refuse_model(card, c->feature,
						 "the numbers of its value table must ascend and be finite");
	}
}

static void
load_value_categories(const Scorecard *card, Characteristic *c, Datum value)
{
	Datum	   *elements;
	int			n;
	ArrayType  *array = DatumGetArrayTypePCopy(value);

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		refuse_model(card, c->feature, "its value table has nulls or several dimensions");
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	if (n != c->n_values)
		refuse_model(card, c->feature,
					 "its value table has another number of categories than of values");
	c->categories = categories_create(CurrentMemoryContext, 8, NULL);
	for (int i = 0; i < n; i++)
	{
		text	   *category = DatumGetTextPP(elements[i]);
		CategoryKey key = {VARDATA_ANY(category), VARSIZE_ANY_EXHDR(category)};
		bool		found;

		categories_insert(c->categories, key, &found)->bin = i;
		if (found)
			refuse_model(card, c->feature, "its value table has a category twice");
	}
}

static void
load_expert(const Scorecard *card, const ModelRow *model, Characteristic *c, Datum table,
			float8 mean)
{
	Datum		values[VALUE_TABLE_COLUMNS];
	bool		nulls[VALUE_TABLE_COLUMNS];
	float8		most = 0;
	float8		neutral;
	int			n_knots;

	composite_read(DatumGetHeapTupleHeader(table), VALUE_TABLE_COLUMNS, value_table_types,
				   values, nulls);
	if (nulls[0] == nulls[1] || nulls[2])
		refuse_model(card, c->feature,
					 "its value table needs numbers or categories, and values");
	c->values = float_elements(card, c, values[2], &c->n_values);
	if (!nulls[0])
	{
		c->x = float_elements(card, c, values[0], &n_knots);
		if (n_knots != c->n_values)
			refuse_model(card, c->feature,
						 "its value table has another number of numbers than of values");
	}
	else
		load_value_categories(card, c, values[1]);
	check_numbers(card, c);
	c->is_step = !nulls[3] && DatumGetBool(values[3]);
	neutral = nulls[4] ? 50 : DatumGetFloat8(values[4]);
	if (!(neutral >= 0 && neutral <= 100))
		refuse_model(card, c->feature, "its neutral value must be 0 to 100");
	for (int i = 0; i < c->n_values; i++)
		most = Max(most, c->values[i]);
	c->reference = model->reference == REFERENCE_MEAN ? mean :
		c->weight * (model->reference == REFERENCE_MAX ? most : neutral);
}

/* --- all of it ------------------------------------------------------------------------ */

/* Words for a subject that loses points by it, or of whom it is not known. */
static void
name_reasons(Characteristic *c, const char *reason)
{
	char	   *words = pstrdup(c->feature);

	for (char *p = words; *p; p++)
		if (*p == '_')
			*p = ' ';
	c->feature_text = CStringGetTextDatum(c->feature);
	c->reason = CStringGetTextDatum(reason != NULL ? reason : words);
	c->reason_missing = CStringGetTextDatum(psprintf("information missing: %s", words));
}

static void
load_characteristic(const Scorecard *card, const ModelRow *model, Characteristic *c,
					HeapTuple row)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		is_null;
	Datum		value;
	float8		mean = float_column(row, 6, NAN);

	c->feature = SPI_getvalue(row, desc, 1);
	c->length = (int) strlen(c->feature);
	name_reasons(c, SPI_getvalue(row, desc, 5));
	c->weight = float_column(row, 2, NAN);
	if (!(fabs(c->weight) <= 1e6))
		refuse_model(card, c->feature, "its weight is out of range");
	if (model->reference == REFERENCE_MEAN && !(fabs(mean) <= SCORECARD_MAX_POINTS))
		refuse_model(card, c->feature, "the mean of its points is not known");
	value = SPI_getbinval(row, desc, card->is_fitted ? 3 : 4, &is_null);
	if (is_null)
		refuse_model(card, c->feature,
					 card->is_fitted ? "it has no binning" : "it has no value table");
	/* names of categories stay where they are, and the row does not */
	value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	if (card->is_fitted)
		load_fitted(card, model, c, c->weight, value, mean);
	else
		load_expert(card, model, c, value, mean);
}

/* Weights of an expert add up to 1, but for what was rounded off. */
static void
check_weights(const Scorecard *card)
{
	float8		sum = 0;

	for (int i = 0; i < card->n; i++)
	{
		if (!(card->characteristics[i].weight > 0))
			refuse_model(card, card->characteristics[i].feature, "its weight must be above 0");
		sum += card->characteristics[i].weight;
	}
	if (fabs(sum - 1) > 1e-6)
		refuse_model(card, NULL, psprintf("its weights add up to %g instead of 1", sum));
}

/* In the current context, where SPI's own would be gone too soon. */
Scorecard *
scorecard_load(int32 model_id)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;
	Scorecard  *card = palloc0(sizeof(Scorecard));
	ModelRow	model;

	card->model_id = model_id;
	SPI_connect();
	spi = CurrentMemoryContext;
	read_model(card, &model);
	run_query("SELECT c.feature, c.weight, c.binning, c.value_table, c.reason, c.mean_points"
			  " FROM credit.model_characteristic c"
			  " WHERE c.model_id OPERATOR(pg_catalog.=) $1 ORDER BY c.position",
			  INT4OID, Int32GetDatum(model_id));
	if (SPI_processed < 1 || SPI_processed > SCORECARD_MAX_CHARACTERISTICS)
		refuse_model(card, NULL, psprintf("it must have 1 to %d characteristics, not %d",
											  SCORECARD_MAX_CHARACTERISTICS, (int) SPI_processed));
	card->n = (int) SPI_processed;
	MemoryContextSwitchTo(caller);
	card->characteristics = palloc0(sizeof(Characteristic) * card->n);
	for (int i = 0; i < card->n; i++)
		load_characteristic(card, &model, &card->characteristics[i], SPI_tuptable->vals[i]);
	if (!card->is_fitted)
		check_weights(card);
	card->name = NULL;
	MemoryContextSwitchTo(spi);
	SPI_finish();
	return card;
}

Datum
credit_check_model(PG_FUNCTION_ARGS)
{
	scorecard_load(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}

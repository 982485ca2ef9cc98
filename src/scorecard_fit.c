/*
 * scorecard_fit.c
 *	  A fitted scorecard in one call: bins, weights of evidence, regression.
 *
 * It strings together what stands for itself: optimal_bins() for each feature,
 * fit_logit() over their weights of evidence, add_fitted_model().  On the way a
 * feature is left out that says too little, or of which better bins would get
 * fewer points because the others say the same already; of those the worst
 * goes, and the others are fitted again.  Queries run as the caller, under his
 * search_path, since the source is his.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "credit.h"
#include "logit_model.h"
#include "scorecard.h"

PG_FUNCTION_INFO_V1(credit_fit_scorecard);

/* Arguments */
enum
{
	ARG_NAME, ARG_SOURCE, ARG_EVENT, ARG_FEATURES, ARG_WEIGHT, ARG_OPTIONS, ARG_MIN_IV,
	ARG_RIDGE, ARG_PDO, ARG_BASE_SCORE, ARG_BASE_ODDS, ARG_ROUND, ARG_DESCRIPTION,
	ARG_CHAMPION
};

typedef struct FitFeature
{
	char	   *name;
	Datum		binning;
	char	   *literal;		/* the binning, in quotes */
	float8		iv;
	const char *left_out;		/* why; NULL: it is in the model */
} FitFeature;

typedef struct ScorecardFit
{
	const char *from;			/* the rows, as a relation named q */
	const char *is_event;		/* in quotes */
	const char *weight;			/* likewise; NULL: none */
	int			n;
	FitFeature *features;
	Oid			binning_type;
	ArrayType  *coefficients;	/* of the last fit */
	Datum		statistics;
} ScorecardFit;

static void
run(const char *query, int n, Oid *types, Datum *args, const char *nulls, bool is_read_only)
{
	int			code = SPI_execute_with_args(query, n, types, args, nulls, is_read_only, 0);

	if (code != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "a query of a fit answered %s with %llu rows",
			 SPI_result_code_string(code), (unsigned long long) SPI_processed);
}

static Datum
column(int i, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i, is_null);
}

static void
read_features(FunctionCallInfo fcinfo, ScorecardFit *fit)
{
	Datum	   *elements;
	bool	   *nulls;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(ARG_FEATURES), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &fit->n);
	if (fit->n < 1 || fit->n > SCORECARD_MAX_CHARACTERISTICS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a scorecard is fitted to 1 to %d features, not %d",
						SCORECARD_MAX_CHARACTERISTICS, fit->n)));
	fit->features = palloc0(sizeof(FitFeature) * fit->n);
	for (int i = 0; i < fit->n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("names of features must not be null")));
		fit->features[i].name = TextDatumGetCString(elements[i]);
	}
}

static void
leave_out(FitFeature *feature, const char *why)
{
	feature->left_out = why;
	ereport(NOTICE,
			(errmsg("feature \"%s\" is left out: %s", feature->name, why)));
}

static void
bin_feature(FunctionCallInfo fcinfo, ScorecardFit *fit, FitFeature *feature)
{
	Oid			types[1] = {get_fn_expr_argtype(fcinfo->flinfo, ARG_OPTIONS)};
	Datum		args[1] = {PG_GETARG_DATUM(ARG_OPTIONS)};
	bool		is_null;
	int32		n_regular;

	run(psprintf("SELECT x.b, (x.b).iv, (x.b).n_regular,"
				 " pg_catalog.quote_literal(x.b::pg_catalog.text)"
				 " FROM (SELECT credit.optimal_bins(q.%s, q.%s, %s$1) AS b FROM %s) x",
				 quote_identifier(feature->name), fit->is_event,
				 fit->weight == NULL ? "" : psprintf("q.%s::pg_catalog.float8, ", fit->weight),
				 fit->from),
		1, types, args, PG_ARGISNULL(ARG_OPTIONS) ? "n" : " ", true);
	fit->binning_type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	feature->iv = DatumGetFloat8(column(2, &is_null));
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("a scorecard needs good and bad rows, and bins that have both"),
				 errdetail("Feature \"%s\" has no information value.", feature->name)));
	n_regular = DatumGetInt32(column(3, &is_null));
	feature->binning = PointerGetDatum(PG_DETOAST_DATUM_COPY(column(1, &is_null)));
	feature->literal = TextDatumGetCString(column(4, &is_null));
	if (n_regular < 2)
		leave_out(feature, "no bins keep the rules");
	else if (feature->iv < PG_GETARG_FLOAT8(ARG_MIN_IV))
		leave_out(feature, psprintf("information value %.4f", feature->iv));
}

/* The names of the features in the model, in their order. */
static ArrayType *
names_in(const ScorecardFit *fit, int *n)
{
	Datum	   *names = palloc(sizeof(Datum) * fit->n);

	*n = 0;
	for (int i = 0; i < fit->n; i++)
		if (fit->features[i].left_out == NULL)
			names[(*n)++] = CStringGetTextDatum(fit->features[i].name);
	return construct_array(names, *n, TEXTOID, -1, false, TYPALIGN_INT);
}

/* A query over weights of evidence, one column a feature. */
static char *
woe_query(const ScorecardFit *fit)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT q.%s", fit->is_event);
	if (fit->weight != NULL)
		appendStringInfo(&query, ", q.%s", fit->weight);
	for (int i = 0; i < fit->n; i++)
		if (fit->features[i].left_out == NULL)
			appendStringInfo(&query, ", credit.woe_of(%s::credit.binning, q.%s) AS %s",
							 fit->features[i].literal, quote_identifier(fit->features[i].name),
							 quote_identifier(fit->features[i].name));
	appendStringInfo(&query, " FROM %s", fit->from);
	return query.data;
}

static void
regress(FunctionCallInfo fcinfo, ScorecardFit *fit, ArrayType *names)
{
	Oid			types[5] = {TEXTOID, TEXTOID, TEXTARRAYOID, FLOAT8OID, TEXTOID};
	Datum		args[5];
	bool		is_null;

	args[0] = CStringGetTextDatum(woe_query(fit));
	args[1] = PG_GETARG_DATUM(ARG_EVENT);
	args[2] = PointerGetDatum(names);
	args[3] = PG_GETARG_DATUM(ARG_RIDGE);
	args[4] = PG_GETARG_DATUM(ARG_WEIGHT);
	run("SELECT f.coefficients,"
		" pg_catalog.to_jsonb(f) OPERATOR(pg_catalog.-) 'coefficients'::pg_catalog.text"
		" FROM credit.fit_logit(source => $1, is_event => $2, variables => $3, ridge => $4,"
		" standardise => true, weight => $5) f",
		5, types, args, fit->weight == NULL ? "    n" : NULL, true);
	fit->coefficients = DatumGetArrayTypePCopy(column(1, &is_null));
	fit->statistics = PointerGetDatum(PG_DETOAST_DATUM_COPY(column(2, &is_null)));
}

/* Leaves out the feature whose sign is most wrong; false: there is none. */
static bool
leave_worst(ScorecardFit *fit)
{
	const float8 *coefficients = (const float8 *) ARR_DATA_PTR(fit->coefficients);
	int			worst = -1;
	float8		most = 0;
	int			at = 1;

	for (int i = 0; i < fit->n; i++)
		if (fit->features[i].left_out == NULL && coefficients[at++] > most)
		{
			most = coefficients[at - 1];
			worst = i;
		}
	if (worst < 0)
		return false;
	leave_out(&fit->features[worst],
			  psprintf("others say the same, its coefficient would be %.4f", most));
	return true;
}

static void
fit_features(FunctionCallInfo fcinfo, ScorecardFit *fit)
{
	do
	{
		int			n;
		ArrayType  *names = names_in(fit, &n);

		if (n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("no feature is left for a scorecard"),
					 errhint("Notices say why each was left out; see min_iv and the options of the binning.")));
		regress(fcinfo, fit, names);
	} while (leave_worst(fit));
}

/* Information values, and why what was left out was. */
static Datum
statistics_of(const ScorecardFit *fit)
{
	Oid			types[4] = {JSONBOID, TEXTARRAYOID, FLOAT8ARRAYOID, TEXTARRAYOID};
	Datum		args[4];
	Datum	   *names = palloc(sizeof(Datum) * fit->n);
	Datum	   *ivs = palloc(sizeof(Datum) * fit->n);
	Datum	   *why = palloc(sizeof(Datum) * fit->n);
	bool		is_null;

	for (int i = 0; i < fit->n; i++)
	{
		names[i] = CStringGetTextDatum(fit->features[i].name);
		ivs[i] = Float8GetDatum(fit->features[i].iv);
		why[i] = CStringGetTextDatum(fit->features[i].left_out ? fit->features[i].left_out :
									 "in the model");
	}
	args[0] = fit->statistics;
	args[1] = PointerGetDatum(construct_array(names, fit->n, TEXTOID, -1, false, TYPALIGN_INT));
	args[2] = PointerGetDatum(construct_array(ivs, fit->n, FLOAT8OID, sizeof(float8),
											  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	args[3] = PointerGetDatum(construct_array(why, fit->n, TEXTOID, -1, false, TYPALIGN_INT));
	run("SELECT pg_catalog.jsonb_build_object('fit', $1, 'features', pg_catalog.jsonb_agg("
		"pg_catalog.jsonb_build_object('feature', u.f, 'iv', u.iv, 'outcome', u.why) ORDER BY u.i))"
		" FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))"
		" WITH ORDINALITY u (f, iv, why, i)",
		4, types, args, NULL, true);
	return PointerGetDatum(PG_DETOAST_DATUM_COPY(column(1, &is_null)));
}

static int32
add_model(FunctionCallInfo fcinfo, ScorecardFit *fit)
{
	Oid			types[11] = {TEXTOID, TEXTARRAYOID, FLOAT8ARRAYOID, InvalidOid, FLOAT8OID,
	FLOAT8OID, FLOAT8OID, BOOLOID, TEXTOID, JSONBOID, BOOLOID};
	Datum		args[11];
	char		nulls[11];
	Datum	   *binnings = palloc(sizeof(Datum) * fit->n);
	bool		is_null;
	int			n = 0;

	for (int i = 0; i < fit->n; i++)
		if (fit->features[i].left_out == NULL)
			binnings[n++] = fit->features[i].binning;
	types[3] = get_array_type(fit->binning_type);
	args[3] = PointerGetDatum(construct_array(binnings, n, fit->binning_type, -1, false,
											  TYPALIGN_DOUBLE));
	args[0] = PG_GETARG_DATUM(ARG_NAME);
	args[1] = PointerGetDatum(names_in(fit, &n));
	args[2] = PointerGetDatum(fit->coefficients);
	for (int i = 0; i < 4; i++)
		args[4 + i] = PG_GETARG_DATUM(ARG_PDO + i);
	args[8] = PG_GETARG_DATUM(ARG_DESCRIPTION);
	args[9] = statistics_of(fit);
	args[10] = PG_GETARG_DATUM(ARG_CHAMPION);
	memset(nulls, ' ', sizeof(nulls));
	if (PG_ARGISNULL(ARG_DESCRIPTION))
		nulls[8] = 'n';
	run("SELECT credit.add_fitted_model(name => $1, features => $2, coefficients => $3,"
		" binnings => $4, pdo => $5, base_score => $6, base_odds => $7, round_points => $8,"
		" description => $9, statistics => $10, make_champion => $11)",
		11, types, args, nulls, false);
	return DatumGetInt32(column(1, &is_null));
}

Datum
credit_fit_scorecard(PG_FUNCTION_ARGS)
{
	ScorecardFit fit = {0};
	int32		model_id;

	for (int i = ARG_NAME; i <= ARG_CHAMPION; i++)
		if (PG_ARGISNULL(i) && i != ARG_WEIGHT && i != ARG_OPTIONS && i != ARG_DESCRIPTION)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %d of a scorecard's fit must not be null", i + 1)));
	SPI_connect();
	fit.from = model_from_source(PG_GETARG_TEXT_PP(ARG_SOURCE));
	fit.is_event = quote_identifier(text_to_cstring(PG_GETARG_TEXT_PP(ARG_EVENT)));
	if (!PG_ARGISNULL(ARG_WEIGHT))
		fit.weight = quote_identifier(text_to_cstring(PG_GETARG_TEXT_PP(ARG_WEIGHT)));
	read_features(fcinfo, &fit);
	for (int i = 0; i < fit.n; i++)
		bin_feature(fcinfo, &fit, &fit.features[i]);
	fit_features(fcinfo, &fit);
	model_id = add_model(fcinfo, &fit);
	SPI_finish();
	PG_RETURN_INT32(model_id);
}

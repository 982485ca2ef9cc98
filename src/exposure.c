/*
 * exposure.c
 *	  The dry run of the order check.
 *
 * It asks the same question under the same lock as the trigger, so that its
 * answer is what an order would have met at that moment.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "control.h"
#include "credit.h"
#include "setting.h"
#include "shortlock.h"

enum
{
	CHECK_VERDICT, CHECK_RULE, CHECK_MESSAGE, CHECK_REASONS, CHECK_HINT,
	CHECK_CURRENCY, CHECK_LIMIT_STATE, CHECK_CREDIT_LIMIT, CHECK_EXPOSURE,
	CHECK_AMOUNT, CHECK_EXPOSURE_AFTER, CHECK_IN_FLIGHT, CHECK_HEADROOM,
	CHECK_PASSING_AMOUNT, CHECK_AMOUNT_TO_PAY, CHECK_NCOLUMNS
};

PG_FUNCTION_INFO_V1(credit_check_order);

static void
set_amount(Datum *values, bool *nulls, int column, Numeric amount)
{
	nulls[column] = amount == NULL;
	values[column] = NumericGetDatum(amount);
}

/* Strongest reaction that the sources of orders allow; reject without any. */
static CreditReaction
strongest_ceiling(void)
{
	LedgerRel  *sources = ledger_open(LEDGER_SOURCE, AccessShareLock);
	SysScanDesc scan = systable_beginscan(sources->rel, InvalidOid, false,
										  NULL, 0, NULL);
	CreditReaction ceiling = REACTION_OFF;
	bool		found = false;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		CreditReaction on_breach;

		ledger_deform(sources, tuple, values, nulls);
		if (strcmp(TextDatumGetCString(values[SOURCE_KIND]),
				   credit_kind_names[KIND_ORDER]) != 0 ||
			!credit_reaction_parse(TextDatumGetCString(values[SOURCE_ON_BREACH]),
								   &on_breach))
			continue;
		found = true;
		ceiling = Max(ceiling, on_breach);
	}
	systable_endscan(scan);
	ledger_close(sources);
	return found ? ceiling : REACTION_REJECT;
}

/* What the words of the answer are. */
static void
set_words(const ControlRequest *request, const ControlVerdict *verdict,
		  Datum *values, bool *nulls)
{
	CreditRule	rule = control_leading_rule(verdict);

	if (rule == RULE_COUNT)
	{
		values[CHECK_VERDICT] = CStringGetTextDatum("pass");
		nulls[CHECK_RULE] = nulls[CHECK_MESSAGE] = nulls[CHECK_HINT] = true;
	}
	else
	{
		values[CHECK_VERDICT] =
			CStringGetTextDatum(verdict->outcome[rule] == OUTCOME_DEPENDS ? "wait" :
								credit_reaction_name(verdict->reaction[rule]));
		values[CHECK_RULE] = CStringGetTextDatum(credit_rules[rule].name);
		values[CHECK_MESSAGE] =
			CStringGetTextDatum(verdict->outcome[rule] == OUTCOME_DEPENDS ?
								"This order has to wait for transactions of others that have not ended." :
								refusal_message(request, &verdict->figures, rule, true));
		values[CHECK_HINT] =
			CStringGetTextDatum(verdict->outcome[rule] == OUTCOME_DEPENDS ?
								"It passes or is refused when those transactions end; passing_amount passes at once." :
								refusal_hint(&verdict->figures, rule, true));
	}
	values[CHECK_REASONS] = refusal_reasons(request, verdict);
}

/* What the figures of the answer are. */
static void
set_figures(const ControlFigures *figures, Datum *values, bool *nulls)
{
	Numeric		exposure = figures->exposure ? figures->exposure : credit_zero();
	Numeric		raise = figures->raise ? figures->raise : credit_zero();
	Numeric		after = credit_add(exposure, raise);
	Numeric		headroom = NULL;
	Numeric		passing = NULL;
	Numeric		to_pay = NULL;

	if (figures->missing_rate)
		exposure = raise = after = NULL;	/* not known */
	else if (figures->limit.state == LIMIT_AMOUNT_SET)
	{
		headroom = credit_subtract(figures->limit.amount, exposure);
		passing = credit_max(credit_subtract(headroom, figures->others), credit_zero());
		to_pay = credit_max(credit_subtract(after, figures->limit.amount),
							credit_zero());
	}
	if (figures->limit.state == LIMIT_BLOCKED)
		headroom = passing = credit_zero();

	values[CHECK_CURRENCY] = CStringGetTextDatum(figures->currency);
	values[CHECK_LIMIT_STATE] = CStringGetTextDatum(limit_state_name(figures->limit.state));
	set_amount(values, nulls, CHECK_CREDIT_LIMIT, figures->limit.amount);
	set_amount(values, nulls, CHECK_EXPOSURE, exposure);
	set_amount(values, nulls, CHECK_AMOUNT, raise);
	set_amount(values, nulls, CHECK_EXPOSURE_AFTER, after);
	set_amount(values, nulls, CHECK_IN_FLIGHT,
			   figures->others ? figures->others : credit_zero());
	set_amount(values, nulls, CHECK_HEADROOM, headroom);
	set_amount(values, nulls, CHECK_PASSING_AMOUNT, passing);
	set_amount(values, nulls, CHECK_AMOUNT_TO_PAY, to_pay);
}

/* Judges the first order of a customer who is not known yet. */
static void
check_unknown(ControlRequest *request, ControlVerdict *verdict)
{
	const CreditSettings *settings = credit_settings();
	CreditReaction reaction = Min(Min(settings->mode, request->source->on_breach),
								  settings->reaction[RULE_NOT_SET]);
	ControlDelta *delta = linitial(request->deltas);

	memset(verdict, 0, sizeof(ControlVerdict));
	verdict->figures.currency = delta->currency ?
		delta->currency : pstrdup(settings->currency);
	verdict->figures.limit.state = LIMIT_NOT_SET;
	verdict->figures.raise = vector_total(&delta->delta);
	if (reaction != REACTION_OFF)
	{
		verdict->outcome[RULE_NOT_SET] = OUTCOME_BREACH;
		verdict->reaction[RULE_NOT_SET] = reaction;
	}
}

/* Judges an order of an account, in its own currency where none is given. */
static void
check_known(ControlRequest *request, ControlVerdict *verdict)
{
	LedgerRel  *journal = ledger_open(LEDGER_JOURNAL, AccessShareLock);
	LedgerRel  *limits = ledger_open(LEDGER_ACCOUNT_LIMIT, AccessShareLock);
	ControlDelta *delta = linitial(request->deltas);

	if (delta->currency == NULL)
	{
		AccountLimit limit;

		shortlock_take(request->account_id);
		limit_read(limits, request->account_id, &limit);
		shortlock_give(request->account_id);
		delta->currency = limit.currency;
	}
	control_check(journal, limits, request, verdict);
	ledger_close(limits);
	ledger_close(journal);
}

/* check_order(customer, amount, currency, segment) */
Datum
credit_check_order(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[CHECK_NCOLUMNS];
	bool		nulls[CHECK_NCOLUMNS] = {false};
	CreditSource source;
	ControlRequest request;
	ControlDelta delta;
	ControlVerdict verdict;
	Numeric		amount;
	const char *segment;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("customer and amount must not be NULL")));
	amount = PG_GETARG_NUMERIC(1);
	if (numeric_is_nan(amount) || numeric_is_inf(amount))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("amount must be a finite number, not %s",
						credit_amount_text(amount))));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != CHECK_NCOLUMNS)
		elog(ERROR, "return type must be a row of %d columns", CHECK_NCOLUMNS);

	memset(&source, 0, sizeof(source));
	source.kind = KIND_ORDER;
	source.on_breach = strongest_ceiling();
	memset(&delta, 0, sizeof(delta));
	delta.currency = PG_ARGISNULL(2) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(2));
	delta.delta.stage[STAGE_ORDERED] = amount;
	memset(&request, 0, sizeof(request));
	request.customer = text_to_cstring(PG_GETARG_TEXT_PP(0));
	segment = PG_ARGISNULL(3) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	request.deltas = list_make1(&delta);
	request.source = &source;
	request.ndocuments = 1;

	request.account_id = account_resolve(request.customer, segment,
										 NULL, false);
	if (request.account_id == 0 && segment[0] != '\0')
		request.customer = psprintf("%s in %s", request.customer, segment);
	if (request.account_id == 0)
		check_unknown(&request, &verdict);
	else
		check_known(&request, &verdict);
	set_words(&request, &verdict, values, nulls);
	set_figures(&verdict.figures, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

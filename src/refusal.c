/*
 * refusal.c
 *	  The words of a refusal.
 *
 * Clients often show one raw string, so the MESSAGE alone, one line, names
 * customer, document, limit, exposure and amount.  DETAIL gives every reason,
 * HINT the way out.  The error context is left out: to the person who reads
 * this, the ERP's own functions are noise.
 *
 * In a transaction in REPEATABLE READ the figures can be newer than what the
 * transaction itself sees, so they are always said.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "control.h"
#include "credit.h"
#include "setting.h"
#include "wait.h"

/*
 * "order 4711 of customer 103 (Atelier)", or "3 orders of customer 103
 * (Atelier), first 4711,"
 */
static char *
subject_of(const ControlRequest *request)
{
	const char *kind = credit_kind_names[request->source->kind];
	const char *customer = request->account_id != 0 ?
		account_describe(request->account_id) : request->customer;

	if (request->ndocuments > 1)
		return psprintf("%d %ss of customer %s, first %s,", request->ndocuments,
						kind, customer, request->document);
	if (request->document)
		return psprintf("%s %s of customer %s", kind, request->document, customer);
	return psprintf("this %s of customer %s", kind, customer);
}

/* Is the limit passed without what others have not committed? */
static bool
is_over(const ControlFigures *figures)
{
	return credit_compare(credit_add(figures->exposure, figures->raise),
						  figures->limit.amount) > 0;
}

/* One line for one rule: what happened and the figures. */
char *
refusal_message(const ControlRequest *request, const ControlFigures *figures,
				CreditRule rule, bool with_figures)
{
	char	   *subject = subject_of(request);

	switch (rule)
	{
		case RULE_BLOCKED:
			return psprintf("%s cannot be accepted: the customer is blocked", subject);
		case RULE_LIMIT:
			if (!with_figures)
				return psprintf("%s would exceed the credit limit", subject);
			if (!is_over(figures))
				return psprintf("%s would exceed the credit limit with uncommitted orders of others: limit %s, exposure %s, others %s, adds %s %s",
								subject, credit_amount_text(figures->limit.amount),
								credit_amount_text(figures->exposure),
								credit_amount_text(figures->others),
								credit_amount_text(figures->raise), figures->currency);
			return psprintf("%s would exceed the credit limit: limit %s, exposure %s, adds %s %s",
							subject, credit_amount_text(figures->limit.amount),
							credit_amount_text(figures->exposure),
							credit_amount_text(figures->raise), figures->currency);
		case RULE_MISSING_RATE:
			return psprintf("%s cannot be checked: no exchange rate to %s",
							subject, figures->currency);
		case RULE_NOT_SET:
			return psprintf("%s: the customer has no credit limit yet", subject);
		case RULE_COUNT:
			break;
	}
	return subject;
}

/* One sentence for one rule. */
char *
refusal_reason(const ControlRequest *request, const ControlFigures *figures,
			   CreditRule rule, bool with_figures)
{
	Numeric		after = credit_add(figures->exposure, figures->raise);
	StringInfoData buf;

	initStringInfo(&buf);
	switch (rule)
	{
		case RULE_BLOCKED:
			appendStringInfoString(&buf, "The customer is blocked.");
			break;
		case RULE_LIMIT:
			if (!with_figures)
			{
				appendStringInfoString(&buf, "Exposure would be above the limit.");
				break;
			}
			if (!is_over(figures))
			{
				appendStringInfo(&buf, "Exposure would be %s %s, and uncommitted transactions of others can change it by %s or change the limit.",
								 credit_amount_text(after), figures->currency,
								 credit_amount_text(figures->others));
				break;
			}
			appendStringInfo(&buf, "Exposure would be %s, which is %s %s above the limit.",
							 credit_amount_text(after),
							 credit_amount_text(credit_subtract(after, figures->limit.amount)),
							 figures->currency);
			if (!credit_is_zero(figures->others))
				appendStringInfo(&buf, " Uncommitted orders of others come to %s on top.",
								 credit_amount_text(figures->others));
			break;
		case RULE_MISSING_RATE:
			appendStringInfo(&buf, "Exposure stands in several currencies; the limit is in %s.",
							 figures->currency);
			break;
		case RULE_NOT_SET:
			appendStringInfoString(&buf, "Nobody has decided a limit for the customer.");
			break;
		case RULE_COUNT:
			break;
	}
	return buf.data;
}

/* The way out. */
char *
refusal_hint(const ControlFigures *figures, CreditRule rule, bool with_figures)
{
	Numeric		excess = credit_subtract(credit_add(figures->exposure, figures->raise),
										 figures->limit.amount);

	switch (rule)
	{
		case RULE_BLOCKED:
			return pstrdup("Ask credit control to release the customer.");
		case RULE_LIMIT:
			if (!with_figures)
				return pstrdup("Lower the amount, collect open items, or ask credit control.");
			if (!is_over(figures))
				return pstrdup("Look again when those transactions have ended.");
			if (credit_compare(excess, figures->raise) < 0)
				return psprintf("Lower the amount by %s %s, collect that much from the customer, or have the limit raised.",
								credit_amount_text(excess), figures->currency);
			return psprintf("Collect %s %s from the customer, or have the limit raised.",
							credit_amount_text(excess), figures->currency);
		case RULE_MISSING_RATE:
			return psprintf("Keep the documents of the customer in %s, or ask credit control.",
							figures->currency);
		case RULE_NOT_SET:
			return pstrdup("Have credit control decide a limit.");
		case RULE_COUNT:
			break;
	}
	return pstrdup("Ask credit control.");
}

/* A sentence for each rule that does not pass, as text[]. */
Datum
refusal_reasons(const ControlRequest *request, const ControlVerdict *verdict)
{
	Datum		reasons[RULE_COUNT];
	int			n = 0;

	for (int rule = 0; rule < RULE_COUNT; rule++)
		if (verdict->outcome[rule] != OUTCOME_PASS)
			reasons[n++] = CStringGetTextDatum(refusal_reason(request, &verdict->figures,
															  rule, true));
	return PointerGetDatum(construct_array(reasons, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* Every reason, strongest reactions and others alike. */
static char *
all_reasons(const ControlRequest *request, const ControlVerdict *verdict,
			bool with_figures)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int rule = 0; rule < RULE_COUNT; rule++)
	{
		if (verdict->outcome[rule] != OUTCOME_BREACH)
			continue;
		if (buf.len > 0)
			appendStringInfoChar(&buf, ' ');
		appendStringInfoString(&buf, refusal_reason(request, &verdict->figures,
													rule, with_figures));
	}
	return buf.data;
}

/* Schema, table and constraint, by which an application knows the answer. */
static int
error_fields(const ControlRequest *request, const char *rule)
{
	Oid			relid = request->source->relid;
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *table = get_rel_name(relid);

	if (schema)
		err_generic_string(PG_DIAG_SCHEMA_NAME, schema);
	if (table)
		err_generic_string(PG_DIAG_TABLE_NAME, table);
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, psprintf("credit_%s", rule));
	return 0;
}

/* Refuses the statement. */
void
refusal_raise(const ControlRequest *request, const ControlVerdict *verdict)
{
	const CreditSettings *settings = credit_settings();
	CreditRule	rule = control_leading_rule(verdict);
	bool		figures = settings->figures;

	error_context_stack = NULL; /* thrown from here: nobody needs it again */
	ereport(ERROR,
			(errcode(settings->sqlstate),
			 errmsg_internal("%s", refusal_message(request, &verdict->figures,
												   rule, figures)),
			 errdetail_internal("%s", all_reasons(request, verdict, figures)),
			 errhint("%s", refusal_hint(&verdict->figures, rule, figures)),
			 error_fields(request, credit_rules[rule].name)));
	pg_unreachable();
}

/* Lets the statement pass with a WARNING. */
void
refusal_warn(const ControlRequest *request, const ControlVerdict *verdict)
{
	bool		figures = credit_settings()->figures;
	CreditRule	rule = control_leading_rule(verdict);
	ErrorContextCallback *context = error_context_stack;

	error_context_stack = NULL;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg_internal("%s", refusal_message(request, &verdict->figures,
												   rule, figures)),
			 errdetail_internal("%s", all_reasons(request, verdict, figures)),
			 errhint("%s", refusal_hint(&verdict->figures, rule, figures)),
			 error_fields(request, credit_rules[rule].name)));
	error_context_stack = context;
}

/* Refuses because somebody else's transaction decides it and does not end. */
void
refusal_busy(const ControlRequest *request, TransactionId xid, int waited_ms)
{
	char	   *subject = subject_of(request);

	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(credit_settings()->sqlstate),
			 errmsg_internal("%s has to wait for %s, which holds the rest of the limit",
							 subject, wait_describe_holder(xid)),
			 waited_ms > 0 ?
			 errdetail("Waited for %d ms (setting max_wait) for transaction %u.",
					   waited_ms, xid) :
			 errdetail("Setting wait is refuse; the transaction is %u.", xid),
			 errhint("Repeat the statement when that transaction has ended, or end it."),
			 error_fields(request, "wait")));
	pg_unreachable();
}

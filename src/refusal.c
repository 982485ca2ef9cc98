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
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"

#include "control.h"
#include "credit.h"
#include "setting.h"
#include "wait.h"

/* A kind in the plural. */
static const char *
kind_plural(const char *kind)
{
	int			length = strlen(kind);

	return kind[length - 1] == 'y' ? psprintf("%.*sies", length - 1, kind) :
		psprintf("%ss", kind);
}

/*
 * "order 4711 of customer 103 (Atelier)", or "3 orders of customer 103
 * (Atelier), first 4711,"
 */
char *
refusal_subject(const ControlRequest *request)
{
	const char *kind = credit_kind_names[request->source->kind];
	const char *customer = request->account_id != 0 ?
		account_describe(request->account_id) : request->customer;

	if (request->ndocuments > 1)
		return psprintf("%d %s of customer %s, first %s,", request->ndocuments,
						kind_plural(kind), customer, request->document);
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

/* The first currency whose missing rate broke the rule. */
static const ControlForeign *
missing_rate(const ControlFigures *figures)
{
	ListCell   *lc;

	foreach(lc, figures->foreign)
	{
		ControlForeign *foreign = lfirst(lc);

		if (foreign->missing_rate == figures->missing_rate)
			return foreign;
	}
	return NULL;				/* not reached: the rule is broken */
}

static char *
date_text(DateADT date)
{
	int			y;
	int			m;
	int			d;

	j2date(date + POSTGRES_EPOCH_JDATE, &y, &m, &d);
	return psprintf("%04d-%02d-%02d", y, m, d);
}

/* By which rates the figures came about; nothing where nothing was converted. */
static void
append_rates(StringInfo buf, const ControlFigures *figures)
{
	const char *start = " Converted to";
	const CreditSettings *settings = credit_settings();
	ListCell   *lc;

	foreach(lc, figures->foreign)
	{
		ControlForeign *foreign = lfirst(lc);

		if (!rate_is_usable(&foreign->rate))
			continue;
		if (start)
			appendStringInfo(buf, "%s %s:", start, figures->currency);
		appendStringInfo(buf, "%s %s at %s of %s", start ? "" : ",",
						 foreign->currency, rate_text(&foreign->rate),
						 date_text(foreign->rate.date));
		start = NULL;
	}
	if (start)
		return;
	if (!credit_is_zero(settings->rate_add_on))
		appendStringInfo(buf, ", with an add-on of %s (setting rate_add_on)",
						 credit_amount_text(settings->rate_add_on));
	appendStringInfoChar(buf, '.');
}

/* Why a rate is missing. */
static void
append_missing_rate(StringInfo buf, const ControlFigures *figures)
{
	const ControlForeign *foreign = missing_rate(figures);
	const CreditSettings *settings = credit_settings();

	if (foreign->rate.path == RATE_STALE)
		appendStringInfo(buf, "The last rate of type \"%s\" from %s to %s is of %s, which is more than %d days ago (setting rate_age).",
						 settings->rate_type, foreign->currency, figures->currency,
						 date_text(foreign->rate.date), settings->rate_age);
	else
		appendStringInfo(buf, "There is no rate of type \"%s\" from %s to %s.",
						 settings->rate_type, foreign->currency, figures->currency);
	if (figures->missing_rate == OUTCOME_DEPENDS)
		appendStringInfo(buf, " Only uncommitted documents of others are in %s.",
						 foreign->currency);
}

/* One line for one rule: what happened and the figures. */
char *
refusal_message(const ControlRequest *request, const ControlFigures *figures,
				CreditRule rule, bool with_figures)
{
	char	   *subject = refusal_subject(request);

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
			return psprintf("%s cannot be checked: no exchange rate from %s to %s",
							subject, missing_rate(figures)->currency,
							figures->currency);
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
				append_rates(&buf, figures);
				break;
			}
			appendStringInfo(&buf, "Exposure would be %s, which is %s %s above the limit.",
							 credit_amount_text(after),
							 credit_amount_text(credit_subtract(after, figures->limit.amount)),
							 figures->currency);
			if (!credit_is_zero(figures->others))
				appendStringInfo(&buf, " Uncommitted orders of others come to %s on top.",
								 credit_amount_text(figures->others));
			append_rates(&buf, figures);
			break;
		case RULE_MISSING_RATE:
			append_missing_rate(&buf, figures);
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
			return psprintf("Have the rate entered (credit.set_rate), or keep the documents of the customer in %s.",
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

/* --- statements of many documents ----------------------------------------- */

static int
compare_capture(const void *a, const void *b)
{
	return ((const ControlDocument *) a)->order - ((const ControlDocument *) b)->order;
}

/* The order in which a person would take documents in. */
static int
compare_dates(const void *a, const void *b)
{
	const ControlDocument *x = a;
	const ControlDocument *y = b;

	if (x->date != y->date)
		return x->date < y->date ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* "1200.00 USD, 30.00 EUR" of a list of ControlDelta. */
static void
append_sums(StringInfo buf, List *sums)
{
	const char *comma = "";
	ListCell   *lc;

	foreach(lc, sums)
	{
		ControlDelta *sum = lfirst(lc);

		appendStringInfo(buf, "%s%s %s", comma,
						 credit_amount_text(vector_total(&sum->delta)), sum->currency);
		comma = ", ";
	}
}

/* "Orders: 4711 500.00 USD, 4712 300.00 USD and 335 more; in all ..." */
static void
append_documents(StringInfo buf, const ControlRequest *request,
				 ControlDocument *documents, int n, bool with_figures)
{
	const char *kinds = kind_plural(credit_kind_names[request->source->kind]);
	int			named = Min(n, CONTROL_NAMED_DOCUMENTS);

	qsort(documents, n, sizeof(ControlDocument), compare_capture);
	appendStringInfo(buf, "\n%c%s:", pg_toupper((unsigned char) kinds[0]), kinds + 1);
	for (int i = 0; i < named; i++)
	{
		appendStringInfo(buf, "%s %s", i > 0 ? "," : "", documents[i].number);
		if (with_figures && documents[i].currency)
			appendStringInfo(buf, " (%s %s)", credit_amount_text(documents[i].amount),
							 documents[i].currency);
	}
	if (request->ndocuments > named)
		appendStringInfo(buf, " and %d more", request->ndocuments - named);
	if (with_figures)
	{
		appendStringInfoString(buf, "; the statement adds ");
		append_sums(buf, request->deltas);
		appendStringInfoString(buf, " in all");
	}
	appendStringInfoChar(buf, '.');
}

/* Where the sum stands to which a document belongs; NULL: it has no rate. */
static Numeric *
sum_of(const ControlFigures *figures, const ControlDocument *document,
	   Numeric *own, Numeric *foreign)
{
	if (strcmp(document->currency, figures->currency) == 0)
		return own;
	for (int i = 0; i < list_length(figures->foreign); i++)
	{
		ControlForeign *part = list_nth(figures->foreign, i);

		if (strcmp(document->currency, part->currency) == 0)
			return rate_is_usable(&part->rate) ? &foreign[i] : NULL;
	}
	return NULL;
}

/* How many fit, taken by date and key, and which is the first that does not. */
static void
append_fitting(StringInfo buf, const ControlFigures *figures,
			   ControlDocument *documents, int n)
{
	Numeric		own = figures->foreign != NIL ? figures->own_after :
		credit_add(figures->exposure, figures->raise);
	Numeric    *foreign = palloc(sizeof(Numeric) * (list_length(figures->foreign) + 1));
	Numeric    *sum;
	int			fitting = 0;

	for (int i = 0; i < list_length(figures->foreign); i++)
	{
		ControlForeign *part = list_nth(figures->foreign, i);

		foreign[i] = credit_add(part->exposure, part->raise);
	}
	/* what the statement comes to without the documents that raise it */
	for (int i = 0; i < n; i++)
	{
		sum = sum_of(figures, &documents[i], &own, foreign);
		if (sum == NULL)
			return;
		*sum = credit_subtract(*sum, documents[i].amount);
	}
	qsort(documents, n, sizeof(ControlDocument), compare_dates);
	while (fitting < n)
	{
		sum = sum_of(figures, &documents[fitting], &own, foreign);
		*sum = credit_add(*sum, documents[fitting].amount);
		if (credit_compare(control_total(figures, own, foreign),
						   figures->limit.amount) > 0)
			break;
		fitting++;
	}
	if (fitting == n)
		return;
	appendStringInfo(buf, "\nTaken by document date and key, %s; the first that does not is %s.",
					 fitting == 0 ? "none fits" :
					 psprintf("%d of %d fit", fitting, n), documents[fitting].number);
}

/* The other customers of the statement that would be refused as well. */
static void
append_others(StringInfo buf, const ControlOthers *others, bool with_figures)
{
	const char *comma = "";
	ListCell   *lc;

	if (others->naccounts == 0)
		return;
	appendStringInfo(buf, "\nRefused too would be %s%d other customer%s of the statement: ",
					 others->is_all ? "" : "at least ", others->naccounts,
					 others->naccounts == 1 ? "" : "s");
	foreach(lc, others->names)
	{
		appendStringInfo(buf, "%s%s", comma, (char *) lfirst(lc));
		comma = ", ";
	}
	if (others->naccounts > list_length(others->names))
		appendStringInfo(buf, " and %d more", others->naccounts - list_length(others->names));
	if (with_figures && others->excess != NIL)
	{
		appendStringInfoString(buf, "; ");
		append_sums(buf, others->excess);
		appendStringInfoString(buf, others->naccounts == 1 ?
							   " above the limit" : " above their limits in all");
	}
	appendStringInfoChar(buf, '.');
}

/*
 * DETAIL: the reasons, and for a statement of many documents which, how many
 * of them would fit, and who else is concerned.  others NULL: nobody looked.
 */
static char *
all_details(const ControlRequest *request, const ControlVerdict *verdict,
			bool with_figures, ControlStatement *statement,
			const ControlOthers *others)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, all_reasons(request, verdict, with_figures));
	if (request->ndocuments > 1)
	{
		int			n;
		bool		is_all;
		ControlDocument *documents = statement->documents(statement, &n, &is_all);

		append_documents(&buf, request, documents, n, with_figures);
		if (is_all && verdict->outcome[RULE_LIMIT] == OUTCOME_BREACH &&
			control_leading_rule(verdict) == RULE_LIMIT && is_over(&verdict->figures))
			append_fitting(&buf, &verdict->figures, documents, n);
	}
	if (others)
		append_others(&buf, others, with_figures);
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
refusal_raise(const ControlRequest *request, const ControlVerdict *verdict,
			  ControlStatement *statement, const ControlOthers *others)
{
	const CreditSettings *settings = credit_settings();
	CreditRule	rule = control_leading_rule(verdict);
	bool		figures = settings->figures;

	error_context_stack = NULL; /* thrown from here: nobody needs it again */
	ereport(ERROR,
			(errcode(settings->sqlstate),
			 errmsg_internal("%s", refusal_message(request, &verdict->figures,
												   rule, figures)),
			 errdetail_internal("%s", all_details(request, verdict, figures,
												  statement, others)),
			 errhint("%s", refusal_hint(&verdict->figures, rule, figures)),
			 error_fields(request, credit_rules[rule].name)));
	pg_unreachable();
}

/* Lets the statement pass with a WARNING. */
void
refusal_warn(const ControlRequest *request, const ControlVerdict *verdict,
			 ControlStatement *statement)
{
	bool		figures = credit_settings()->figures;
	CreditRule	rule = control_leading_rule(verdict);
	ErrorContextCallback *context = error_context_stack;

	error_context_stack = NULL;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg_internal("%s", refusal_message(request, &verdict->figures,
												   rule, figures)),
			 errdetail_internal("%s", all_details(request, verdict, figures,
												  statement, NULL)),
			 errhint("%s", refusal_hint(&verdict->figures, rule, figures)),
			 error_fields(request, credit_rules[rule].name)));
	error_context_stack = context;
}

/* Refuses because somebody else's transaction decides it and does not end. */
void
refusal_busy(const ControlRequest *request, TransactionId xid, int waited_ms)
{
	char	   *subject = refusal_subject(request);

	error_context_stack = NULL;
	ereport(ERROR,
			(errcode(credit_settings()->sqlstate),
			 errmsg_internal("%s has to wait for %s, which holds the rest of the limit",
							 subject, wait_describe_holder(xid)),
			 waited_ms > 0 ?
			 errdetail("Waited for %d ms (setting max_wait) for transaction %u.",
					   waited_ms, xid) :
			 errdetail("Setting wait is refuse; the transaction is %u.", xid),
			 errhint("Repeat the statement when that transaction has ended, or end it; view credit.waits shows who waits."),
			 error_fields(request, "wait")));
	pg_unreachable();
}

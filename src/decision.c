/*
 * decision.c
 *	  What was let through although a rule was broken: shadow, warn, bypass.
 *
 * A refusal cannot be written down, because its transaction ends with it; the
 * server's log has it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "control.h"
#include "credit.h"
#include "ledger.h"

void
decision_record(const ControlRequest *request, const ControlVerdict *verdict)
{
	const ControlFigures *figures = &verdict->figures;
	LedgerRel  *decisions = ledger_open(LEDGER_DECISION, RowExclusiveLock);
	Datum		values[LEDGER_MAX_COLUMNS];
	bool		nulls[LEDGER_MAX_COLUMNS] = {false};
	CreditRule	rule = control_leading_rule(verdict);

	values[DECISION_ID] = Int64GetDatum(ledger_next_id(decisions, DECISION_ID));
	values[DECISION_DECIDED_AT] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[DECISION_VERDICT] =
		CStringGetTextDatum(verdict->bypassed ? "bypass" :
							credit_reaction_name(verdict->strongest));
	values[DECISION_RULE] = CStringGetTextDatum(credit_rules[rule].name);
	values[DECISION_ACCOUNT_ID] = Int64GetDatum(request->account_id);
	values[DECISION_SOURCE_ID] = Int32GetDatum(request->source->source_id);
	nulls[DECISION_ITEM_KEY] = request->document_key == NULL;
	if (request->document_key)
		values[DECISION_ITEM_KEY] = CStringGetTextDatum(request->document_key);
	values[DECISION_DOCUMENTS] = Int32GetDatum(request->ndocuments);
	values[DECISION_CURRENCY] = CStringGetTextDatum(figures->currency);
	values[DECISION_AMOUNT] = NumericGetDatum(figures->raise ? figures->raise : credit_zero());
	values[DECISION_EXPOSURE] = NumericGetDatum(figures->exposure ? figures->exposure : credit_zero());
	values[DECISION_LIMIT_STATE] = CStringGetTextDatum(limit_state_name(figures->limit.state));
	nulls[DECISION_CREDIT_LIMIT] = figures->limit.amount == NULL;
	values[DECISION_CREDIT_LIMIT] = NumericGetDatum(figures->limit.amount);
	values[DECISION_ROLE] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[DECISION_REASONS] = refusal_reasons(request, verdict);
	ledger_insert(decisions, values, nulls);
	ledger_close(decisions);
}

/*
 * control.c
 *	  The check of an increase of exposure, and its posting.
 *
 * Under the short lock of the account the limit and the end of every chain are
 * read, the rules are judged, and the change is appended: a check and the
 * reservation it makes are one step.  Right at every isolation level, because
 * nothing in it depends on the transaction's snapshot (journal.c says why).
 *
 * Reaction in force = the weakest of the installation's mode, what the source
 * allows, and the rule's own; among the rules broken the strongest wins, and
 * all of them are reported.  Members of setting bypass_role and rows that are
 * replicated (credit_is_replica) are never refused.
 *
 * An outcome can depend on transactions that have not ended: orders of others
 * in progress, or a limit being changed.  Only where a refusal hangs on it do
 * we wait, without any lock; shadow and warn never wait.
 *
 * Chains in other currencies are converted at today's rates and added up, and
 * what others have in flight there is, too: a rate is positive, so that an upper
 * bound stays one.  Nothing converted is stored.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "control.h"
#include "credit.h"
#include "sabotage.h"
#include "setting.h"
#include "shortlock.h"
#include "stat.h"
#include "wait.h"

/* What a refusal looks at and says of the other accounts of its statement. */
#define OTHERS_LOOKED_AT 1000
#define OTHERS_NAMED 5
#define OTHERS_CURRENCIES 8

/* Is the current user a member of the role that is never refused? */
static bool
is_bypassed(const CreditSettings *settings)
{
	Oid			role;

	if (settings->bypass_role[0] == '\0')
		return false;
	role = get_role_oid(settings->bypass_role, true);
	return OidIsValid(role) && is_member_of_role_nosuper(GetUserId(), role);
}

static RuleOutcome
judge_limit(const ControlFigures *figures, const LimitVersion *limit)
{
	Numeric		after = credit_add(figures->exposure, figures->raise);

	if (credit_compare(after, limit->amount) > 0)
		return OUTCOME_BREACH;
	if (figures->others != NULL &&
		credit_compare(credit_add(after, figures->others), limit->amount) > 0)
		return OUTCOME_DEPENDS;
	return OUTCOME_PASS;
}

static RuleOutcome
judge_rule(CreditRule rule, const ControlFigures *figures,
		   const LimitVersion *limit)
{
	switch (rule)
	{
		case RULE_BLOCKED:
			return limit->state == LIMIT_BLOCKED ? OUTCOME_BREACH : OUTCOME_PASS;
		case RULE_LIMIT:
			return limit->state == LIMIT_AMOUNT_SET ?
				judge_limit(figures, limit) : OUTCOME_PASS;
		case RULE_MISSING_RATE:
			return limit->state == LIMIT_AMOUNT_SET ?
				figures->missing_rate : OUTCOME_PASS;
		case RULE_NOT_SET:
			return limit->state == LIMIT_NOT_SET ? OUTCOME_BREACH : OUTCOME_PASS;
		case RULE_COUNT:
			break;
	}
	return OUTCOME_PASS;
}

/* Outcome of a rule under every limit that may turn out to be in force. */
static RuleOutcome
judge_versions(CreditRule rule, const ControlFigures *figures,
			   const AccountLimit *limit)
{
	RuleOutcome outcome = judge_rule(rule, figures, &limit->versions[0]);

	if (SABOTAGED(LIMIT_IN_FLIGHT))
		return outcome;
	for (int i = 1; i < limit->nversions; i++)
		if (judge_rule(rule, figures, &limit->versions[i]) != outcome)
			return OUTCOME_DEPENDS;
	if (limit->nversions == LIMIT_MAX_VERSIONS)
		return OUTCOME_DEPENDS;
	return outcome;
}

/* The entry of a currency that is not the account's; a new one if need be. */
static ControlForeign *
foreign_of(ControlFigures *figures, const char *currency)
{
	ControlForeign *foreign;
	ListCell   *lc;

	foreach(lc, figures->foreign)
	{
		foreign = lfirst(lc);
		if (strcmp(foreign->currency, currency) == 0)
			return foreign;
	}
	foreign = palloc0(sizeof(ControlForeign));
	foreign->currency = currency;
	figures->foreign = lappend(figures->foreign, foreign);
	return foreign;
}

/* What an amount of another currency comes to with what stands there already. */
static Numeric
convert(const ControlForeign *foreign, Numeric amount)
{
	return rate_apply_add_on(&foreign->rate, amount, amount);
}

/*
 * Exposure from what stands in the account's currency and, in the order of
 * figures->foreign, in the others.
 */
Numeric
control_total(const ControlFigures *figures, Numeric own, const Numeric *foreign)
{
	Numeric		total = own;
	bool		converts = false;

	for (int i = 0; i < list_length(figures->foreign); i++)
	{
		ControlForeign *part = list_nth(figures->foreign, i);

		if (!rate_is_usable(&part->rate))
			continue;
		converts = true;
		total = credit_add(total, convert(part, foreign[i]));
	}
	return converts ? rate_round(total, figures->currency) : total;
}

/* Does it matter that there is no rate?  A decrease by the statement does not. */
static RuleOutcome
miss_rate(const ControlForeign *foreign)
{
	if (!credit_is_zero(foreign->exposure) ||
		credit_compare(foreign->raise, NULL) > 0)
		return OUTCOME_BREACH;
	return credit_is_zero(foreign->others) ? OUTCOME_PASS : OUTCOME_DEPENDS;
}

/* Looks up the rates in force; false: some are to be loaded first. */
static bool
find_rates(ControlFigures *figures)
{
	ListCell   *lc;

	foreach(lc, figures->foreign)
	{
		ControlForeign *foreign = lfirst(lc);
		const CreditRate *rate = rate_in_force(foreign->currency, figures->currency);

		if (rate == NULL)
			figures->to_load = lappend(figures->to_load, (char *) foreign->currency);
		else
			foreign->rate = *rate;
	}
	return figures->to_load == NIL;
}

/* Takes the other currencies into the figures, at the rates in force. */
static void
convert_foreign(ControlFigures *figures)
{
	int			n = list_length(figures->foreign);
	Numeric    *before = palloc(sizeof(Numeric) * n);
	Numeric    *after = palloc(sizeof(Numeric) * n);
	Numeric    *reach = palloc(sizeof(Numeric) * n);
	Numeric		own_reach;
	bool		converts = false;

	figures->own_after = credit_add(figures->exposure, figures->raise);
	own_reach = credit_add(figures->own_after, figures->others);
	if (!find_rates(figures))
		return;
	for (int i = 0; i < n; i++)
	{
		ControlForeign *foreign = list_nth(figures->foreign, i);

		before[i] = foreign->exposure;
		after[i] = credit_add(before[i], foreign->raise);
		reach[i] = credit_add(after[i], foreign->others);
		if (rate_is_usable(&foreign->rate))
			converts = true;
		else
			foreign->missing_rate = miss_rate(foreign);
		figures->missing_rate = Max(figures->missing_rate, foreign->missing_rate);
	}
	if (!converts)
		return;
	figures->exposure = control_total(figures, figures->exposure, before);
	figures->raise = credit_subtract(control_total(figures, figures->own_after, after),
									 figures->exposure);
	figures->others = credit_subtract(control_total(figures, own_reach, reach),
									  credit_add(figures->exposure, figures->raise));
}

/* Adds up an account over all its chains, in its own currency. */
static void
sum_figures(const ControlRequest *request, const AccountLimit *limit,
			List *chains, ControlFigures *figures)
{
	ControlForeign *foreign;
	ListCell   *lc;

	memset(figures, 0, sizeof(ControlFigures));
	figures->currency = limit->currency;
	figures->limit = limit->versions[0];
	foreach(lc, chains)
	{
		ChainState *chain = lfirst(lc);
		Numeric		total = credit_add(vector_total(&chain->committed),
									   chain->has_own && !SABOTAGED(OWN) ?
									   vector_total(&chain->own) : NULL);

		if (strcmp(chain->currency, limit->currency) == 0)
		{
			figures->exposure = credit_add(figures->exposure, total);
			figures->others = credit_add(figures->others, chain->others);
		}
		else if (!credit_is_zero(total) || !credit_is_zero(chain->others))
		{
			foreign = foreign_of(figures, chain->currency);
			foreign->exposure = total;
			foreign->others = chain->others;
		}
	}
	foreach(lc, request->deltas)
	{
		ControlDelta *delta = lfirst(lc);
		Numeric		total = vector_total(&delta->delta);

		if (strcmp(delta->currency, limit->currency) == 0)
			figures->raise = credit_add(figures->raise, total);
		else if (!credit_is_zero(total))
		{
			foreign = foreign_of(figures, delta->currency);
			foreign->raise = credit_add(foreign->raise, total);
		}
	}
	if (figures->foreign != NIL)
		convert_foreign(figures);
}

/*
 * Does a statement that raises one currency and lowers another come to no more
 * than before?  Then there is nothing to refuse.
 */
static bool
offsets_itself(const ControlRequest *request, const ControlFigures *figures)
{
	return list_length(request->deltas) > 1 &&
		figures->missing_rate == OUTCOME_PASS &&
		credit_compare(figures->raise, NULL) <= 0;
}

/*
 * Judges all rules; the caller holds the short lock.  False: rates have to be
 * loaded first, which the caller does without the lock.
 */
static bool
judge(const ControlRequest *request, const AccountLimit *limit, List *chains,
	  ControlVerdict *verdict)
{
	const CreditSettings *settings = credit_settings();
	CreditReaction ceiling = Min(settings->mode, request->source->on_breach);
	bool		replica = credit_is_replica();
	bool		bypassed = replica || is_bypassed(settings);

	memset(verdict, 0, sizeof(ControlVerdict));
	sum_figures(request, limit, chains, &verdict->figures);
	if (verdict->figures.to_load != NIL)
		return false;
	if (offsets_itself(request, &verdict->figures))
		return true;
	verdict->wait_xid = limit->changing_xid;
	if (!TransactionIdIsValid(verdict->wait_xid))
	{
		ListCell   *lc;

		foreach(lc, chains)
		{
			ChainState *chain = lfirst(lc);

			if (TransactionIdIsValid(chain->other_xid))
				verdict->wait_xid = chain->other_xid;
		}
	}

	for (int rule = 0; rule < RULE_COUNT; rule++)
	{
		CreditReaction reaction = Min(ceiling, settings->reaction[rule]);

		if (reaction == REACTION_OFF)
			continue;
		verdict->outcome[rule] = judge_versions(rule, &verdict->figures, limit);
		if (bypassed && reaction == REACTION_REJECT)
		{
			reaction = REACTION_SHADOW;
			verdict->bypassed |= verdict->outcome[rule] != OUTCOME_PASS;
		}
		/* nobody is there to be warned */
		if (replica)
			reaction = Min(reaction, REACTION_SHADOW);
		/* what does not wait is written down as if the others will commit */
		if (verdict->outcome[rule] == OUTCOME_DEPENDS && reaction < REACTION_REJECT)
			verdict->outcome[rule] = OUTCOME_BREACH;
		verdict->reaction[rule] = reaction;
		if (verdict->outcome[rule] == OUTCOME_BREACH)
			verdict->strongest = Max(verdict->strongest, reaction);
	}
	return true;
}

static bool
depends_on_others(const ControlVerdict *verdict)
{
	for (int rule = 0; rule < RULE_COUNT; rule++)
		if (verdict->outcome[rule] == OUTCOME_DEPENDS)
			return true;
	return false;
}

/*
 * The rule that speaks for a verdict: of the strongest reactions the first that
 * is broken, else the first that depends on others; RULE_COUNT where all pass.
 */
CreditRule
control_leading_rule(const ControlVerdict *verdict)
{
	CreditRule	leading = RULE_COUNT;

	for (int rule = 0; rule < RULE_COUNT; rule++)
	{
		if (verdict->outcome[rule] == OUTCOME_PASS)
			continue;
		if (leading == RULE_COUNT ||
			verdict->reaction[rule] > verdict->reaction[leading] ||
			(verdict->reaction[rule] == verdict->reaction[leading] &&
			 verdict->outcome[rule] > verdict->outcome[leading]))
			leading = (CreditRule) rule;
	}
	return leading;
}

/* Does anything in the request raise exposure that may be refused? */
static bool
needs_check(const ControlRequest *request)
{
	CreditReaction ceiling;
	Numeric		total = NULL;
	int			currencies = 0;
	bool		raises = false;
	ListCell   *lc;

	if (request->source == NULL)
		return false;
	ceiling = Min(credit_settings()->mode, request->source->on_breach);
	if (ceiling == REACTION_OFF)
		return false;
	foreach(lc, request->deltas)
	{
		ControlDelta *delta = lfirst(lc);
		Numeric		amount = vector_total(&delta->delta);

		total = credit_add(total, amount);
		raises |= credit_compare(amount, NULL) > 0;
		currencies++;
	}
	/* amounts of two currencies do not offset each other */
	return currencies > 1 ? raises : credit_compare(total, NULL) > 0;
}

/* The state a delta is appended to; read before unless there was no check. */
static ChainState *
chain_of(LedgerRel *journal, int64 account_id, List *chains, const char *currency)
{
	ChainState *chain;
	ListCell   *lc;

	foreach(lc, chains)
	{
		chain = lfirst(lc);
		if (strcmp(chain->currency, currency) == 0)
			return chain;
	}
	chain = palloc(sizeof(ChainState));
	journal_read(journal, account_id, SCOPE_OWN, currency, chain);
	return chain;
}

static void
append_deltas(LedgerRel *journal, ControlRequest *request, List *chains)
{
	ListCell   *lc;

	/* beginning one chain can append to another: then what was read is old */
	if (list_length(request->deltas) > 1)
		chains = NIL;
	foreach(lc, request->deltas)
	{
		ControlDelta *delta = lfirst(lc);

		/* also what comes to zero: documents that offset each other name it */
		delta->seq = journal_append(journal, request->account_id, SCOPE_OWN,
									chain_of(journal, request->account_id, chains,
											 delta->currency),
									&delta->delta, request->source_id,
									request->item_key);
	}
}

/* How long is left of the longest wait; 0: over. */
static int
wait_left(TimestampTz since)
{
	const CreditSettings *settings = credit_settings();
	long		waited;

	if (!settings->wait)
		return 0;
	waited = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());
	return waited >= settings->max_wait_ms ? 0 : settings->max_wait_ms - (int) waited;
}

/* Judges a request as of now, without waiting and without posting anything. */
void
control_check(LedgerRel *journal, LedgerRel *limits, ControlRequest *request,
			  ControlVerdict *verdict)
{
	AccountLimit limit;
	List	   *chains;

	rate_begin();
	shortlock_take(request->account_id);
	limit_read(limits, request->account_id, &limit);
	chains = journal_read_all(journal, request->account_id, SCOPE_OWN);
	shortlock_give(request->account_id);
	while (!judge(request, &limit, chains, verdict))
		rate_load(verdict->figures.to_load, verdict->figures.currency);
}

/* What an account would be above its limit, in the list by currency. */
static void
add_excess(ControlOthers *others, const ControlFigures *figures)
{
	Numeric		excess = credit_subtract(credit_add(figures->exposure, figures->raise),
										 figures->limit.amount);
	ControlDelta *sum;
	ListCell   *lc;

	foreach(lc, others->excess)
	{
		sum = lfirst(lc);
		if (strcmp(sum->currency, figures->currency) == 0)
		{
			sum->delta.stage[0] = credit_add(sum->delta.stage[0], excess);
			return;
		}
	}
	if (list_length(others->excess) == OTHERS_CURRENCIES)
		return;
	sum = palloc0(sizeof(ControlDelta));
	sum->currency = pstrdup(figures->currency);
	sum->delta.stage[0] = excess;
	others->excess = lappend(others->excess, sum);
}

/*
 * Looks, without waiting or posting, which of the accounts that a refused
 * statement has not come to yet would be refused too.  Those before have
 * passed.  So many and no more: the statement is to fail soon.
 */
static void
judge_others(LedgerRel *journal, LedgerRel *limits, ControlStatement *statement,
			 ControlOthers *others)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(caller, "credit others",
												  ALLOCSET_DEFAULT_SIZES);
	ControlRequest *request;
	int			looked_at = 0;

	memset(others, 0, sizeof(ControlOthers));
	others->is_all = true;
	MemoryContextSwitchTo(scratch);
	while ((request = statement->next(statement)) != NULL)
	{
		ControlVerdict verdict;

		if (needs_check(request) && looked_at++ == OTHERS_LOOKED_AT)
		{
			others->is_all = false;
			break;
		}
		CHECK_FOR_INTERRUPTS();
		if (needs_check(request))
			control_check(journal, limits, request, &verdict);
		else
			verdict.strongest = REACTION_OFF;
		if (verdict.strongest == REACTION_REJECT)
		{
			char	   *name = others->naccounts < OTHERS_NAMED ?
				account_describe(request->account_id) : NULL;

			MemoryContextSwitchTo(caller);
			if (name)
				others->names = lappend(others->names, pstrdup(name));
			if (verdict.outcome[RULE_LIMIT] == OUTCOME_BREACH)
				add_excess(others, &verdict.figures);
			others->naccounts++;
		}
		MemoryContextReset(scratch);
		MemoryContextSwitchTo(scratch);
	}
	MemoryContextSwitchTo(caller);
}

/* Refuses the statement because of one request of it. */
static void
refuse(LedgerRel *journal, LedgerRel *limits, ControlRequest *request,
	   const ControlVerdict *verdict, ControlStatement *statement)
{
	ControlOthers others;

	stat_refusal(request->source->source_id,
				 STAT_REFUSED + control_leading_rule(verdict));
	judge_others(journal, limits, statement, &others);
	refusal_raise(request, verdict, statement, &others);
}

/* Waits for the transaction a verdict depends on, or refuses. */
static void
wait_for_others(ControlRequest *request, const ControlVerdict *verdict,
				bool limit_changes, TimestampTz since)
{
	CreditWait	wait = {.kind = limit_changes ? WAIT_NEW_LIMIT : WAIT_ROOM};

	wait.source_id = request->source->source_id;
	wait.subject = refusal_subject(request);
	wait.customer = account_describe(request->account_id);
	wait.document = request->ndocuments == 1 ? request->document : NULL;
	wait.since = since;
	if (wait_for_transaction(&wait, verdict->wait_xid, wait_left(since)))
		return;
	stat_refusal(wait.source_id, STAT_REFUSED_WAIT);
	refusal_busy(request, verdict->wait_xid,
				 credit_settings()->wait ? credit_settings()->max_wait_ms : 0);
}

/*
 * Checks a request and posts it; raises the refusal.  Sets the seq of each
 * delta.  False: it is unsure and does not simply pass; nothing was done.
 */
bool
control_post(LedgerRel *journal, LedgerRel *limits, ControlRequest *request,
			 ControlStatement *statement)
{
	TimestampTz since = 0;
	ControlVerdict verdict;
	bool		check = needs_check(request);
	bool		is_counted = !check;

	(void) GetCurrentTransactionId();	/* not under the lock */
	verdict.strongest = REACTION_OFF;
	if (check)
		rate_begin();
	for (;;)
	{
		AccountLimit limit;
		List	   *chains = NIL;
		bool		depends = false;

		shortlock_take(request->account_id);
		if (check)
		{
			limit_read(limits, request->account_id, &limit);
			chains = journal_read_all(journal, request->account_id, SCOPE_OWN);
			if (!judge(request, &limit, chains, &verdict))
			{
				shortlock_give(request->account_id);
				rate_load(verdict.figures.to_load, verdict.figures.currency);
				continue;
			}
			depends = depends_on_others(&verdict);
			if (statement->is_unsure && (verdict.strongest > REACTION_OFF || depends))
			{
				shortlock_give(request->account_id);
				return false;
			}
		}
		if (!is_counted)
			stat_add(request->source->source_id, STAT_CHECKS, 1);
		is_counted = true;
		if (verdict.strongest < REACTION_REJECT && !depends)
		{
			append_deltas(journal, request, chains);
			shortlock_give(request->account_id);
			break;
		}
		shortlock_give(request->account_id);
		if (verdict.strongest == REACTION_REJECT)
			refuse(journal, limits, request, &verdict, statement);

		if (since == 0)
			since = GetCurrentTimestamp();
		wait_for_others(request, &verdict,
						TransactionIdIsValid(limit.changing_xid), since);

		/* somebody may have used the kill switch meanwhile */
		AcceptInvalidationMessages();
		check = needs_check(request) && !SABOTAGED(LOOK_AGAIN);
		verdict.strongest = REACTION_OFF;
	}

	if (verdict.strongest == REACTION_OFF)
		return true;
	stat_add(request->source->source_id,
			 verdict.bypassed ? STAT_BYPASSES :
			 verdict.strongest == REACTION_WARN ? STAT_WARNINGS : STAT_SHADOWS, 1);
	if (verdict.strongest == REACTION_WARN && statement->warnings_left-- > 0)
		refusal_warn(request, &verdict, statement);
	decision_record(request, &verdict);
	return true;
}

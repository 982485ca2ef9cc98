/*
 * rule.c
 *	  The rules an increase of exposure is checked against.
 *
 * A rule is a name, a default reaction and a meaning; whether it is broken is
 * decided by control.c under the short lock of the account.  A new rule is a
 * line here and a case there.
 */
#include "postgres.h"

#include "rule.h"

const CreditRuleInfo credit_rules[RULE_COUNT] = {
	[RULE_BLOCKED] = {
		"blocked", REACTION_REJECT,
		"The account is blocked."
	},
	[RULE_LIMIT] = {
		"limit", REACTION_REJECT,
		"Exposure with this document is above the limit in force."
	},
	[RULE_MISSING_RATE] = {
		"missing_rate", REACTION_REJECT,
		"Exposure stands in several currencies and a rate to the currency of the account is missing."
	},
	[RULE_NOT_SET] = {
		"not_set", REACTION_WARN,
		"Nobody has decided a limit for the account."
	},
};

static const char *const reaction_names[] = {
	[REACTION_OFF] = "off",
	[REACTION_SHADOW] = "shadow",
	[REACTION_WARN] = "warn",
	[REACTION_HOLD] = "hold",
	[REACTION_REJECT] = "reject",
};

const char *
credit_reaction_name(CreditReaction reaction)
{
	return reaction_names[reaction];
}

bool
credit_reaction_parse(const char *name, CreditReaction *reaction)
{
	for (int i = REACTION_OFF; i <= REACTION_REJECT; i++)
	{
		if (strcmp(name, reaction_names[i]) == 0)
		{
			*reaction = (CreditReaction) i;
			return true;
		}
	}
	return false;
}

bool
credit_rule_parse(const char *name, CreditRule *rule)
{
	for (int i = 0; i < RULE_COUNT; i++)
	{
		if (strcmp(name, credit_rules[i].name) == 0)
		{
			*rule = (CreditRule) i;
			return true;
		}
	}
	return false;
}

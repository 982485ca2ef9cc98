/*
 * rule.h
 *	  The rules an increase of exposure is checked against.
 */
#ifndef CREDIT_RULE_H
#define CREDIT_RULE_H

/* From weakest to strongest: comparing them is meaningful. */
typedef enum CreditReaction
{
	REACTION_OFF,				/* not looked at */
	REACTION_SHADOW,			/* written down, nobody is told */
	REACTION_WARN,				/* written down, WARNING to the client */
	REACTION_HOLD,				/* reserved: let in, kept out of exposure */
	REACTION_REJECT				/* the statement fails */
} CreditReaction;

/* Order is the order of reasons in a message. */
typedef enum CreditRule
{
	RULE_BLOCKED,
	RULE_LIMIT,
	RULE_MISSING_RATE,
	RULE_NOT_SET,
	RULE_COUNT
} CreditRule;

typedef struct CreditRuleInfo
{
	const char *name;			/* constraint name is credit_<name> */
	CreditReaction reaction;	/* default */
	const char *description;
} CreditRuleInfo;

extern const CreditRuleInfo credit_rules[RULE_COUNT];

extern const char *credit_reaction_name(CreditReaction reaction);
extern bool credit_reaction_parse(const char *name, CreditReaction *reaction);
extern bool credit_rule_parse(const char *name, CreditRule *rule);

#endif							/* CREDIT_RULE_H */

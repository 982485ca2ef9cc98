/*
 * control.h
 *	  The check of an increase of exposure, and its posting.
 */
#ifndef CREDIT_CONTROL_H
#define CREDIT_CONTROL_H

#include "account.h"
#include "journal.h"
#include "limit.h"
#include "rate.h"
#include "rule.h"
#include "source.h"
#include "vector.h"

/* What one statement changes in one chain of an account. */
typedef struct ControlDelta
{
	const char *currency;
	CreditVector delta;
	int64		seq;			/* set by control_post */
} ControlDelta;

/* Everything one statement changes in one account. */
typedef struct ControlRequest
{
	int64		account_id;		/* 0: a customer who is not known yet */
	const char *customer;		/* only of such a customer */
	List	   *deltas;			/* of ControlDelta, one per currency */
	int32		source_id;		/* 0: several */
	const char *item_key;		/* NULL: several documents */

	/* the documents that raise exposure, if any may be refused */
	const CreditSource *source; /* NULL: nothing to check */
	const char *document;		/* number of the first of them */
	const char *document_key;
	int			document_order; /* of capture */
	int			ndocuments;
} ControlRequest;

/* One document that raises exposure, for the words of a refusal. */
typedef struct ControlDocument
{
	const char *key;
	const char *number;
	const char *currency;		/* NULL: what it adds is not known */
	Numeric		amount;			/* what it adds */
	DateADT		date;			/* DATEVAL_NOEND: it has none */
	int			order;			/* of capture */
} ControlDocument;

/*
 * The statement that requests belong to, whoever keeps it.  The two functions
 * are called when a refusal is put into words and not before.
 */
typedef struct ControlStatement ControlStatement;
struct ControlStatement
{
	int			warnings_left;	/* further ones are only written down */

	/*
	 * Its documents were taken for new without a look: what passes may be
	 * posted, but nothing else can be said of it.
	 */
	bool		is_unsure;

	/*
	 * The documents of the request that is being posted; is_all: all that
	 * raise exposure, else only the first of them.
	 */
	ControlDocument *(*documents) (ControlStatement *statement, int *n, bool *is_all);

	/* The next request after that one, until NULL: to look at, not to post. */
	ControlRequest *(*next) (ControlStatement *statement);
};

/* Documents that a refusal names. */
#define CONTROL_NAMED_DOCUMENTS 10

typedef enum RuleOutcome
{
	OUTCOME_PASS,
	OUTCOME_DEPENDS,			/* on transactions of others */
	OUTCOME_BREACH
} RuleOutcome;

/* What stands in another currency than that of the account, in that currency. */
typedef struct ControlForeign
{
	const char *currency;
	Numeric		exposure;		/* as in ControlFigures, each */
	Numeric		raise;
	Numeric		others;
	CreditRate	rate;			/* to the currency of the account */
	RuleOutcome missing_rate;	/* PASS: there is one, or none is needed */
} ControlForeign;

/*
 * What a check looked at, in the currency of the account.  Where something was
 * converted, sums are rounded: exposure, exposure with raise, and that with
 * others; so that the figures of a message add up.
 */
typedef struct ControlFigures
{
	const char *currency;		/* of the account */
	LimitVersion limit;
	Numeric		exposure;		/* committed and own, before the statement */
	Numeric		raise;			/* what the statement adds */
	Numeric		others;			/* what others may still commit */
	List	   *foreign;		/* of ControlForeign; those without a rate are not
								 * in the figures */
	Numeric		own_after;		/* with foreign: exposure with raise of what is in
								 * the currency of the account */
	RuleOutcome missing_rate;	/* BREACH: one of them has none */
	List	   *to_load;		/* currencies whose rates are to be loaded before
								 * anything can be judged */
} ControlFigures;

/* Answer of a check: per rule its outcome and the reaction in force. */
typedef struct ControlVerdict
{
	RuleOutcome outcome[RULE_COUNT];
	CreditReaction reaction[RULE_COUNT];
	CreditReaction strongest;	/* of the rules broken; OFF: none */
	bool		bypassed;		/* would have been refused */
	ControlFigures figures;
	TransactionId wait_xid;		/* with an outcome that depends */
} ControlVerdict;

/* What else of a statement would be refused, beside the account that was. */
typedef struct ControlOthers
{
	int			naccounts;
	bool		is_all;			/* false: more were there than looked at */
	List	   *names;			/* of the first few */
	List	   *excess;			/* of ControlDelta: above the limits */
} ControlOthers;

extern bool control_post(LedgerRel *journal, LedgerRel *limits,
						 ControlRequest *request, ControlStatement *statement);
extern void control_check(LedgerRel *journal, LedgerRel *limits,
						  ControlRequest *request, ControlVerdict *verdict);

extern CreditRule control_leading_rule(const ControlVerdict *verdict);
extern Numeric control_total(const ControlFigures *figures, Numeric own,
							 const Numeric *foreign);

/* refusal.c: the words */
extern Datum refusal_reasons(const ControlRequest *request,
							 const ControlVerdict *verdict);
extern char *refusal_reason(const ControlRequest *request,
							const ControlFigures *figures, CreditRule rule,
							bool with_figures);
extern char *refusal_message(const ControlRequest *request,
							 const ControlFigures *figures, CreditRule rule,
							 bool with_figures);
extern char *refusal_hint(const ControlFigures *figures, CreditRule rule,
						  bool with_figures);
extern void refusal_raise(const ControlRequest *request,
						  const ControlVerdict *verdict,
						  ControlStatement *statement,
						  const ControlOthers *others) pg_attribute_noreturn();
extern void refusal_warn(const ControlRequest *request,
						 const ControlVerdict *verdict,
						 ControlStatement *statement);
extern char *refusal_subject(const ControlRequest *request);
extern void refusal_busy(const ControlRequest *request, TransactionId xid,
						 int waited_ms) pg_attribute_noreturn();

/* decision.c: what was let through all the same */
extern void decision_record(const ControlRequest *request,
							const ControlVerdict *verdict);

#endif							/* CREDIT_CONTROL_H */

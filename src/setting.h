/*
 * setting.h
 *	  Policy of the installation.
 */
#ifndef CREDIT_SETTING_H
#define CREDIT_SETTING_H

#include "pgtime.h"
#include "utils/date.h"
#include "utils/numeric.h"

#include "rule.h"

/* Tables that purge() can cut, in the order of its arguments. */
#define KEEP_COUNT 5

typedef struct CreditSettings
{
	CreditReaction mode;		/* ceiling of every reaction */
	bool		capture;		/* false: our triggers do nothing at all */
	bool		wait;			/* wait for reservations of others */
	int			max_wait_ms;
	int			sqlstate;		/* of a refusal */
	bool		figures;		/* amounts in messages */
	const char *currency;		/* where a mapping names none */
	const char *rate_type;		/* of exchange rates */
	int			rate_age;		/* days after which a rate is none any more */
	Numeric		rate_add_on;	/* on what is owed in other currencies */
	const char *bypass_role;	/* "": none */
	pg_tz	   *time_zone;		/* decides which day it is */
	int			keep_minutes[KEEP_COUNT];	/* 0: for ever */
	CreditReaction reaction[RULE_COUNT];
} CreditSettings;

extern const CreditSettings *credit_settings(void);
extern DateADT credit_day(TimestampTz moment);
extern DateADT credit_today(void);

#endif							/* CREDIT_SETTING_H */

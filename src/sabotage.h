/*
 * sabotage.h
 *	  Protections that a test can take away, one at a time.
 *
 * The torture harness (test/crash) must be able to see.  So it is run against
 * a library in which one protection is missing, and has to notice.  That
 * library is built with `make SABOTAGE=1`; in any other SABOTAGED() is the
 * constant false, and neither a setting nor a symbol of this is there.
 *
 * What each of them takes away is said in sabotage.c.
 */
#ifndef CREDIT_SABOTAGE_H
#define CREDIT_SABOTAGE_H

#ifdef CREDIT_SABOTAGE

typedef enum CreditSabotage
{
	SABOTAGE_NONE,
	SABOTAGE_OTHERS,
	SABOTAGE_OWN,
	SABOTAGE_LOOK_AGAIN,
	SABOTAGE_PEAK,
	SABOTAGE_NETTING,
	SABOTAGE_LOCK,
	SABOTAGE_STEP_BACK,
	SABOTAGE_OPEN,
	SABOTAGE_SETTLED,
	SABOTAGE_LEAF,
	SABOTAGE_PURGE,
	SABOTAGE_ONLY_CHAIN,
	SABOTAGE_LIMIT_SNAPSHOT,
	SABOTAGE_LIMIT_PLACE,
	SABOTAGE_LIMIT_IN_FLIGHT,
	SABOTAGE_ITEM_SNAPSHOT,
	SABOTAGE_NEW_KEY,
	SABOTAGE_FRAME,
	SABOTAGE_NEWS,
	SABOTAGE_OVERTAKEN,
	SABOTAGE_OWN_VERSION,
	SABOTAGE_SUPERSEDED
} CreditSabotage;

extern PGDLLIMPORT int credit_sabotage;

extern void credit_sabotage_init(void);

#define SABOTAGED(what) (credit_sabotage == SABOTAGE_##what)

#else

#define SABOTAGED(what) false
#define credit_sabotage_init() ((void) 0)

#endif

#endif							/* CREDIT_SABOTAGE_H */

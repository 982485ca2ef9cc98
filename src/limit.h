/*
 * limit.h
 *	  The limit of an account and its state.
 */
#ifndef CREDIT_LIMIT_H
#define CREDIT_LIMIT_H

#include "utils/date.h"
#include "utils/numeric.h"

typedef enum CreditLimitState
{
	LIMIT_NOT_SET,
	LIMIT_AMOUNT_SET,
	LIMIT_UNLIMITED,
	LIMIT_BLOCKED
} CreditLimitState;

extern const char *limit_state_name(CreditLimitState state);
extern bool limit_state_parse(const char *name, CreditLimitState *state);

#endif							/* CREDIT_LIMIT_H */

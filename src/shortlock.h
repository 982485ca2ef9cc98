/*
 * shortlock.h
 *	  The short lock of an account, and that of a customer's name.
 */
#ifndef CREDIT_SHORTLOCK_H
#define CREDIT_SHORTLOCK_H

#include "postgres.h"

extern void shortlock_take(int64 account_id);
extern void shortlock_give(int64 account_id);

/* The lock under which accounts are created and renamed. */
extern void shortlock_take_name(const char *customer, const char *segment);
extern void shortlock_give_name(const char *customer, const char *segment);

#endif							/* CREDIT_SHORTLOCK_H */

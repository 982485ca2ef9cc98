/*
 * wait.h
 *	  Waiting for another transaction, with an end.
 */
#ifndef CREDIT_WAIT_H
#define CREDIT_WAIT_H

#include "postgres.h"

extern bool wait_for_transaction(TransactionId xid, int max_ms);
extern void wait_or_refuse(TransactionId xid, const char *what);
extern char *wait_describe_holder(TransactionId xid);

#endif							/* CREDIT_WAIT_H */

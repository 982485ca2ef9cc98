/*
 * wait.h
 *	  Waiting for another transaction, with an end.
 */
#ifndef CREDIT_WAIT_H
#define CREDIT_WAIT_H

#include "datatype/timestamp.h"
#include "storage/lock.h"

/* What is waited for; the words of each stand in wait.c. */
typedef enum WaitKind
{
	WAIT_ROOM,					/* uncommitted orders of others */
	WAIT_NEW_LIMIT,				/* a check, for a limit being changed */
	WAIT_DOCUMENT,				/* the same document */
	WAIT_LIMIT,					/* a change of a limit, for another one */
	WAIT_ACCOUNT,				/* being created */
	WAIT_LOCK,					/* the short lock */
	WAIT_ROW					/* a row of the ERP that documents share */
} WaitKind;

/* A wait in words. */
typedef struct CreditWait
{
	WaitKind	kind;
	int32		source_id;		/* 0: of none */
	const char *subject;		/* who waits: "order 4711 of customer 103" */
	const char *customer;		/* NULL: not known */
	const char *document;		/* NULL: none, or several */
	TimestampTz since;			/* 0: now */
} CreditWait;

/*
 * All waits together end after so many ms, with lock_not_available; 0: no more.
 * Who sets it ends it.
 */
extern void wait_set_budget(int ms);

extern bool wait_for_transaction(const CreditWait *wait, TransactionId xid,
								 int max_ms);
extern void wait_or_refuse(TransactionId xid, WaitKind kind, int32 source_id,
						   const char *name);
extern void wait_for_document(TransactionId xid, int32 source_id,
							  const char *key);
extern void wait_for_lock(LOCKTAG *tag, LOCKMODE mode, WaitKind kind);
extern char *wait_describe_holder(TransactionId xid);

#endif							/* CREDIT_WAIT_H */

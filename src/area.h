/*
 * area.h
 *	  The shared memory of the extension.
 */
#ifndef CREDIT_AREA_H
#define CREDIT_AREA_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "progress.h"
#include "stat.h"
#include "wait.h"

/* Fixed numbers: the area must fit what PostgreSQL leaves free (area.c). */
#define STAT_SLOTS 64
#define WAIT_SLOTS 48
#define PROGRESS_SLOTS 8
#define GATES 32

/* Names are cut, at a character, to what fits. */
#define AREA_NAME_SIZE 96

/* Counters of one source of one database. */
typedef struct StatSlot
{
	pg_atomic_uint64 key;		/* database and source; 0: free */
	pg_atomic_uint64 since;		/* TimestampTz of the last reset */
	pg_atomic_uint64 counter[STAT_COUNTERS];
} StatSlot;

/* One wait that goes on. */
typedef struct WaitSlot
{
	pg_atomic_uint32 pid;		/* 0: free */
	slock_t		lock;			/* of what follows */
	bool		is_shown;
	WaitKind	kind;
	Oid			database;
	int32		source_id;		/* 0: of none */
	TransactionId xid;			/* waited for; invalid: a short lock */
	TimestampTz since;
	TimestampTz until;			/* 0: no end of its own */
	char		customer[AREA_NAME_SIZE];
	char		document[AREA_NAME_SIZE];
} WaitSlot;

/* One long command that is at work. */
typedef struct ProgressSlot
{
	pg_atomic_uint32 pid;		/* 0: free */
	pg_atomic_uint64 done;
	slock_t		lock;			/* of what follows */
	bool		is_shown;
	Oid			database;
	TimestampTz since;
	TimestampTz phase_since;
	int64		total;			/* -1: not known */
	char		command[16];
	char		source[AREA_NAME_SIZE];
	char		phase[AREA_NAME_SIZE];
} ProgressSlot;

/* A gate (shortlock.c), in a cache line of its own. */
typedef union Gate
{
	LWLock		lock;
	char		line[64];
} Gate;

typedef struct CreditArea
{
	Gate		gates[GATES];
	int			gate_tranche;
	TimestampTz started_at;
	slock_t		stat_lock;		/* of who takes and frees counter slots */
	pg_atomic_uint32 generation;	/* moves when a counter slot is freed */
	StatSlot	stats[STAT_SLOTS + 1];	/* the last: whoever found no slot */
	WaitSlot	waits[WAIT_SLOTS];
	ProgressSlot progress[PROGRESS_SLOTS];
} CreditArea;

/* NULL: there is none on this server. */
extern CreditArea *credit_area(void);

/* A lightweight lock by hash; NULL: no shared memory. */
extern LWLock *area_gate(uint32 hash);

extern void area_name(char *to, const char *name);

#endif							/* CREDIT_AREA_H */

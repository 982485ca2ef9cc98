/*
 * stat.c
 *	  Counters of what the extension does, by source.
 *
 * They stand in shared memory (area.c) and are plain atomic additions: no lock,
 * no transaction.  A refused order counts although its transaction is gone,
 * and a detach that is rolled back has reset the counters of its source.
 *
 * A slot belongs to one source of one database.  Sessions remember where it is
 * and see by its key whether it still is: detach() and CREATE EXTENSION free
 * slots, and so does whoever finds none free and meets some of a database that
 * has been dropped.  A session that is just counting into a slot that is freed
 * at this very moment counts for the next owner; that is all a race can do.
 * Sources beyond the number of slots are counted together in one more.
 */
#include "postgres.h"

#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "area.h"
#include "credit.h"
#include "setting.h"
#include "stat.h"

/* Slots remembered, by source_id. */
#define KNOWN_SLOTS 32

typedef struct KnownSlot
{
	int32		source_id;
	uint32		generation;		/* when there was no free slot */
	StatSlot   *slot;
} KnownSlot;

static KnownSlot known[KNOWN_SLOTS];

/* The work that goes on, and what of its time was spent in waiting. */
static int32 work_source_id = 0;
static instr_time work_start;
static uint64 work_waited_us;

PG_FUNCTION_INFO_V1(credit_stat_rows);
PG_FUNCTION_INFO_V1(credit_stat_is_on);
PG_FUNCTION_INFO_V1(credit_stat_reset);
PG_FUNCTION_INFO_V1(credit_stat_forget);

static void
stat_xact_callback(XactEvent event, void *arg)
{
	work_source_id = 0;
}

/* An error has ended the work. */
static void
stat_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
					  SubTransactionId parentSubid, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		work_source_id = 0;
}

void
credit_stat_init(void)
{
	RegisterXactCallback(stat_xact_callback, NULL);
	RegisterSubXactCallback(stat_subxact_callback, NULL);
}

static uint64
slot_key(int32 source_id)
{
	return (uint64) MyDatabaseId << 32 | (uint32) source_id;
}

static void
clear_slot(StatSlot *slot, TimestampTz now)
{
	for (int c = 0; c < STAT_COUNTERS; c++)
		pg_atomic_write_u64(&slot->counter[c], 0);
	pg_atomic_write_u64(&slot->since, now);
}

static void
free_slot(CreditArea *area, StatSlot *slot, uint64 key)
{
	SpinLockAcquire(&area->stat_lock);
	if (pg_atomic_read_u64(&slot->key) == key)
	{
		pg_atomic_write_u64(&slot->key, 0);
		pg_atomic_fetch_add_u32(&area->generation, 1);
	}
	SpinLockRelease(&area->stat_lock);
}

/* Frees the slots of databases that are gone; is a syscache look-up each. */
static void
free_dropped(CreditArea *area)
{
	for (int i = 0; i < STAT_SLOTS; i++)
	{
		uint64		key = pg_atomic_read_u64(&area->stats[i].key);
		Oid			database = (Oid) (key >> 32);

		if (key != 0 && database != MyDatabaseId &&
			!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			free_slot(area, &area->stats[i], key);
	}
}

/* The slot of a key, or a free one taken for it; NULL: there is none. */
static StatSlot *
take_slot(CreditArea *area, uint64 key)
{
	TimestampTz now = GetCurrentTimestamp();
	StatSlot   *found = NULL;
	StatSlot   *unused = NULL;

	SpinLockAcquire(&area->stat_lock);
	for (int i = STAT_SLOTS - 1; i >= 0 && found == NULL; i--)
	{
		uint64		other = pg_atomic_read_u64(&area->stats[i].key);

		if (other == key)
			found = &area->stats[i];
		else if (other == 0)
			unused = &area->stats[i];
	}
	if (found == NULL && unused != NULL)
	{
		clear_slot(unused, now);
		pg_atomic_write_u64(&unused->key, key);
		found = unused;
	}
	SpinLockRelease(&area->stat_lock);
	return found;
}

/* Finds the slot of a source and remembers it. */
static StatSlot *
find_slot(CreditArea *area, KnownSlot *place, int32 source_id)
{
	uint64		key = slot_key(source_id);
	StatSlot   *slot = take_slot(area, key);

	if (slot == NULL)
	{
		free_dropped(area);
		slot = take_slot(area, key);
	}
	place->source_id = source_id;
	place->generation = pg_atomic_read_u32(&area->generation);
	place->slot = slot ? slot : &area->stats[STAT_SLOTS];
	return place->slot;
}

static inline StatSlot *
slot_of(int32 source_id)
{
	CreditArea *area = credit_area();
	KnownSlot  *place = &known[(uint32) source_id % KNOWN_SLOTS];

	if (area == NULL)
		return NULL;
	if (likely(place->slot != NULL && place->source_id == source_id &&
			   (pg_atomic_read_u64(&place->slot->key) == slot_key(source_id) ||
				(place->slot == &area->stats[STAT_SLOTS] &&
				 place->generation == pg_atomic_read_u32(&area->generation)))))
		return place->slot;
	return find_slot(area, place, source_id);
}

void
stat_add(int32 source_id, StatCounter counter, uint64 n)
{
	StatSlot   *slot = slot_of(source_id);

	if (slot != NULL)
		pg_atomic_fetch_add_u64(&slot->counter[counter], n);
}

/*
 * Begins to measure.  Work does not nest: it runs no code of users, so no
 * statement inside can come to it.
 */
void
stat_work_begin(int32 source_id)
{
	work_source_id = source_id;
	work_waited_us = 0;
	INSTR_TIME_SET_CURRENT(work_start);
}

void
stat_work_end(void)
{
	instr_time	now;
	uint64		us;

	if (work_source_id == 0)
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, work_start);
	us = INSTR_TIME_GET_MICROSEC(now);
	stat_add(work_source_id, STAT_WORK_US,
			 us > work_waited_us ? us - work_waited_us : 0);
	work_source_id = 0;
}

/* A statement is about to be refused; source_id 0: that of the work. */
void
stat_refusal(int32 source_id, StatCounter counter)
{
	if (source_id == 0)
		source_id = work_source_id;
	if (source_id != 0)
		stat_add(source_id, counter, 1);
	stat_work_end();
}

/* A wait has ended, however it did; source_id 0: that of the work. */
void
stat_wait(int32 source_id, uint64 us)
{
	StatSlot   *slot;
	uint64		longest;

	work_waited_us += us;
	if (source_id == 0)
		source_id = work_source_id;
	if (source_id == 0 || (slot = slot_of(source_id)) == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->counter[STAT_WAITS], 1);
	pg_atomic_fetch_add_u64(&slot->counter[STAT_WAIT_US], us);
	longest = pg_atomic_read_u64(&slot->counter[STAT_LONGEST_WAIT_US]);
	while (longest < us &&
		   !pg_atomic_compare_exchange_u64(&slot->counter[STAT_LONGEST_WAIT_US],
										   &longest, us))
		;						/* longest is now what another has written */
}

/* One row: source_id, since, counters, refusals by rule. */
static void
put_slot(ReturnSetInfo *rsinfo, StatSlot *slot, int32 source_id)
{
	Datum		values[2 + STAT_COUNTERS];
	bool		nulls[2 + STAT_COUNTERS] = {false};

	values[0] = Int32GetDatum(source_id);
	values[1] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&slot->since));
	for (int c = 0; c < STAT_COUNTERS; c++)
		values[2 + c] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->counter[c]));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* stat_rows(): source_id 0 is what found no slot, in all databases. */
Datum
credit_stat_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	CreditArea *area = credit_area();

	InitMaterializedSRF(fcinfo, 0);
	if (area == NULL)
		return (Datum) 0;
	if (rsinfo->setDesc->natts != 2 + STAT_COUNTERS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("statistics of library and catalog do not have the same columns"),
				 errhint("Run ALTER EXTENSION credit UPDATE.")));
	for (int i = 0; i < STAT_SLOTS; i++)
	{
		uint64		key = pg_atomic_read_u64(&area->stats[i].key);

		if ((Oid) (key >> 32) == MyDatabaseId)
			put_slot(rsinfo, &area->stats[i], (int32) (uint32) key);
	}
	if (pg_atomic_read_u64(&area->stats[STAT_SLOTS].counter[STAT_STATEMENTS]) > 0)
		put_slot(rsinfo, &area->stats[STAT_SLOTS], 0);
	return (Datum) 0;
}

Datum
credit_stat_is_on(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(credit_area() != NULL);
}

/* stat_reset(): the counters of this database begin anew. */
Datum
credit_stat_reset(PG_FUNCTION_ARGS)
{
	CreditArea *area = credit_area();
	TimestampTz now = GetCurrentTimestamp();

	if (area == NULL)
		PG_RETURN_VOID();
	for (int i = 0; i < STAT_SLOTS; i++)
		if ((Oid) (pg_atomic_read_u64(&area->stats[i].key) >> 32) == MyDatabaseId)
			clear_slot(&area->stats[i], now);
	clear_slot(&area->stats[STAT_SLOTS], now);
	PG_RETURN_VOID();
}

/* stat_forget(source_id): frees the slot of a source; NULL: of all here. */
Datum
credit_stat_forget(PG_FUNCTION_ARGS)
{
	CreditArea *area = credit_area();

	if (area == NULL)
		PG_RETURN_VOID();
	for (int i = 0; i < STAT_SLOTS; i++)
	{
		uint64		key = pg_atomic_read_u64(&area->stats[i].key);

		if (PG_ARGISNULL(0) ? (Oid) (key >> 32) == MyDatabaseId :
			key == slot_key(PG_GETARG_INT32(0)))
			free_slot(area, &area->stats[i], key);
	}
	PG_RETURN_VOID();
}

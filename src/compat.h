/*
 * compat.h
 *	  The only place that knows about PostgreSQL majors.
 *
 * The code is written against the newest API; older majors are adapted here.
 */
#ifndef CREDIT_COMPAT_H
#define CREDIT_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "credit needs PostgreSQL 15 or later"
#endif

/* 16: varlena macros moved to a header of their own */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16: an update says which indexes it touches */
#if PG_VERSION_NUM >= 160000
#define credit_heap_update(rel, tid, tuple, failure, result) \
	do { \
		TU_UpdateIndexes credit_touched; \
		LockTupleMode credit_mode; \
		*(result) = heap_update(rel, tid, tuple, GetCurrentCommandId(true), \
								InvalidSnapshot, true, failure, &credit_mode, \
								&credit_touched); \
	} while (0)
#else
#define credit_heap_update(rel, tid, tuple, failure, result) \
	do { \
		LockTupleMode credit_mode; \
		*(result) = heap_update(rel, tid, tuple, GetCurrentCommandId(true), \
								InvalidSnapshot, true, failure, &credit_mode); \
	} while (0)
#endif

/* 16: a descent is told the table; 17: it takes no snapshot any more */
#if PG_VERSION_NUM >= 170000
#define credit_bt_search(index, rel, key, leaf) \
	_bt_search(index, rel, key, leaf, BT_READ)
#elif PG_VERSION_NUM >= 160000
#define credit_bt_search(index, rel, key, leaf) \
	_bt_search(index, rel, key, leaf, BT_READ, NULL)
#else
#define credit_bt_search(index, rel, key, leaf) \
	_bt_search(index, key, leaf, BT_READ, NULL)
#endif

/* 16: the number of a relation's file has a type and a name of its own */
#if PG_VERSION_NUM >= 160000
#define CreditRelNumber RelFileNumber
#define credit_rel_locator(rel) ((rel)->rd_locator)
#define credit_rel_number(rel) ((rel)->rd_locator.relNumber)
#else
#define CreditRelNumber Oid
#define credit_rel_locator(rel) ((rel)->rd_node)
#define credit_rel_number(rel) ((rel)->rd_node.relNode)
#endif

/* 17: the sequence of an identity column is asked of the open table */
#if PG_VERSION_NUM >= 170000
#define credit_identity_sequence(rel, attnum) \
	getIdentitySequence(rel, attnum, false)
#else
#define credit_identity_sequence(rel, attnum) \
	getIdentitySequence(RelationGetRelid(rel), attnum, false)
#endif

/* 16: which columns of a relation are read stands beside the range table */
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#define credit_columns_read(query, rte) \
	((rte)->perminfoindex == 0 ? NULL : \
	 getRTEPermissionInfo((query)->rteperminfos, rte)->selectedCols)
#else
#define credit_columns_read(query, rte) ((rte)->selectedCols)
#endif

/* 18: a module can carry its name and version */
#if PG_VERSION_NUM >= 180000
#define CREDIT_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "credit", .version = CREDIT_VERSION)
#else
#define CREDIT_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 17: the backend number replaces the backend identifier */
#if PG_VERSION_NUM >= 170000
#define credit_local_xid() (MyProc->vxid.lxid)
#else
#define credit_local_xid() (MyProc->lxid)
#endif

/* 16: one backend's status is asked for by its place in the list */
#if PG_VERSION_NUM >= 160000
#define credit_backend_status(i) pgstat_get_local_beentry_by_index(i)
#else
#define credit_backend_status(i) pgstat_fetch_stat_local_beentry(i)
#endif

/*
 * 17: shared memory can be had by name at any time.  Before, at any time only
 * what the server leaves over, and more through hooks of preloaded libraries.
 */
#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#define credit_shared_area(name, size, init, found) \
	GetNamedDSMSegment(name, size, init, found)
#else
#define CREDIT_AREA_HOOKS
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

static inline void *
credit_shared_area(const char *name, Size size, void (*init) (void *), bool *found)
{
	void	   *area;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	area = ShmemInitStruct(name, size, found);
	if (!*found)
		init(area);
	LWLockRelease(AddinShmemInitLock);
	return area;
}
#endif

#endif							/* CREDIT_COMPAT_H */

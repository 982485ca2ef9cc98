/*
 * credit.h
 *	  What every file of the library uses.
 */
#ifndef CREDIT_H
#define CREDIT_H

#include "fmgr.h"

#include "compat.h"

/* Called once per backend by _PG_init, in this order. */
extern void credit_ledger_init(void);
extern void credit_ledger_invalidate(Oid relid);
extern void credit_setting_invalidate(Oid relid);
extern void credit_source_invalidate(Oid relid);
extern void credit_directory_invalidate(Oid relid);
extern void credit_viewsource_invalidate(Oid relid);
extern void credit_dependency_invalidate(Oid relid);
extern void credit_account_invalidate(Oid relid);
extern void credit_limit_invalidate(Oid relid);
extern void credit_rate_invalidate(Oid relid);
extern void credit_setting_init(void);
extern void credit_rate_init(void);
extern void credit_source_init(void);
extern void credit_frame_init(void);
extern void credit_dependency_init(void);
extern void credit_asof_init(void);
extern void credit_area_init(void);
extern void credit_stat_init(void);
extern void credit_progress_init(void);

extern bool credit_is_replica(void);
extern struct TriggerData *credit_row_trigger(FunctionCallInfo fcinfo, const char *name);

#endif							/* CREDIT_H */

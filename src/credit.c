/*
 * credit.c
 *	  Load time of the library, and what belongs to no subject.
 *
 * There is exactly one relation cache callback for the whole library: a
 * backend has ten slots for everybody's and dies when they are used up.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "credit.h"
#include "sabotage.h"

CREDIT_MODULE_MAGIC;

/* Subtransaction that opened the ledger for maintenance; see credit_maintain. */
static SubTransactionId maintaining_subid = InvalidSubTransactionId;

void		_PG_init(void);

PG_FUNCTION_INFO_V1(credit_version);
PG_FUNCTION_INFO_V1(credit_refuse_change);
PG_FUNCTION_INFO_V1(credit_maintain);

/* Marks only: it runs in the middle of anything that touches a catalog. */
static void
relcache_callback(Datum arg, Oid relid)
{
	credit_ledger_invalidate(relid);
	credit_setting_invalidate(relid);
	credit_source_invalidate(relid);
	credit_directory_invalidate(relid);
	credit_viewsource_invalidate(relid);
	credit_dependency_invalidate(relid);
	credit_account_invalidate(relid);
	credit_limit_invalidate(relid);
	credit_rate_invalidate(relid);
}

static void
maintain_xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		maintaining_subid = InvalidSubTransactionId;
}

static void
maintain_subxact_callback(SubXactEvent event, SubTransactionId mySubid,
						  SubTransactionId parentSubid, void *arg)
{
	if (maintaining_subid != mySubid)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		maintaining_subid = InvalidSubTransactionId;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		maintaining_subid = parentSubid;
}

void
_PG_init(void)
{
	credit_sabotage_init();
	credit_ledger_init();
	credit_setting_init();
	credit_rate_init();
	credit_source_init();
	credit_frame_init();
	credit_dependency_init();
	credit_asof_init();
	credit_area_init();
	credit_stat_init();
	credit_progress_init();
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	RegisterXactCallback(maintain_xact_callback, NULL);
	RegisterSubXactCallback(maintain_subxact_callback, NULL);
}

/*
 * Are the rows of this session copies of what another database has accepted?
 * Apply workers of logical replication, and the tools of others, say so by
 * session_replication_role.  Our triggers fire for them only where somebody
 * has enabled them ALWAYS.  Such rows are facts: to refuse one, or to give up
 * waiting, would stop the replication and change nothing of what was sold.
 */
bool
credit_is_replica(void)
{
	return SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
}

/* What a function was called with that is to be an AFTER ROW trigger. */
TriggerData *
credit_row_trigger(FunctionCallInfo fcinfo, const char *name)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as an AFTER ROW trigger", name)));
	return trigdata;
}

Datum
credit_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(CREDIT_VERSION));
}

/*
 * The ledger's tables are written by C, which fires no trigger.  This one
 * stands against SQL by hand, the owner's and a superuser's included: a row
 * changed by hand makes every sum after it wrong.
 */
Datum
credit_refuse_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a BEFORE STATEMENT trigger",
						"refuse_change")));
	if (maintaining_subid == InvalidSubTransactionId)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"credit.%s\" cannot be changed directly",
						RelationGetRelationName(trigdata->tg_relation)),
				 errdetail("The ledger is written by the triggers of the attached tables and by the functions of extension \"credit\" only."),
				 errhint("Change the documents in the ERP, or use credit.set_limit(), credit.attach() and credit.detach().")));
	return PointerGetDatum(NULL);
}

/* Opens or closes the ledger's tables for this transaction. */
Datum
credit_maintain(PG_FUNCTION_ARGS)
{
	maintaining_subid = PG_GETARG_BOOL(0) ?
		GetCurrentSubTransactionId() : InvalidSubTransactionId;
	PG_RETURN_VOID();
}

/*
 * sabotage.c
 *	  Protections that a test can take away, one at a time.
 *
 * Part of the library only where it is built with `make SABOTAGE=1`, for
 * test/crash/sabotage.sh.  The setting credit.sabotage says which one is
 * missing.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "sabotage.h"

int			credit_sabotage = SABOTAGE_NONE;

static const struct config_enum_entry sabotages[] = {
	{"none", SABOTAGE_NONE, false},

	/* journal.c: rows of others in progress do not count */
	{"others", SABOTAGE_OTHERS, false},
	/* control.c: what the transaction itself has added does not count */
	{"own", SABOTAGE_OWN, false},
	/* control.c: who has waited does not look again */
	{"look_again", SABOTAGE_LOOK_AGAIN, false},
	/* journal.c: what a rollback to a savepoint can bring back is forgotten */
	{"peak", SABOTAGE_PEAK, false},
	/* journal.c: decreases of others count before they are committed */
	{"netting", SABOTAGE_NETTING, false},
	/* shortlock.c: the short lock of an account is not taken */
	{"lock", SABOTAGE_LOCK, false},
	/* journal.c: no earlier row is looked for where the named one is gone */
	{"step_back", SABOTAGE_STEP_BACK, false},
	/* journal.c: rows named in open are not looked at */
	{"open", SABOTAGE_OPEN, false},
	/* journal.c: named rows that have committed do not go into psum */
	{"settled", SABOTAGE_SETTLED, false},
	/* probe.c: the leaf of the key before is taken for the right one */
	{"leaf", SABOTAGE_LEAF, false},
	/* maintenance.c: rows go that the last one of a chain still names */
	{"purge", SABOTAGE_PURGE, false},
	/* journal.c: a second chain is begun without telling the first */
	{"only_chain", SABOTAGE_ONLY_CHAIN, false},
	/* limit.c: the check reads the limit through the snapshot */
	{"limit_snapshot", SABOTAGE_LIMIT_SNAPSHOT, false},
	/* limit.c: a limit row counts where it was seen last, even while it changes */
	{"limit_place", SABOTAGE_LIMIT_PLACE, false},
	/* limit.c, control.c: of a limit being changed one version is enough */
	{"limit_in_flight", SABOTAGE_LIMIT_IN_FLIGHT, false},
	/* item.c: documents are read through the snapshot */
	{"item_snapshot", SABOTAGE_ITEM_SNAPSHOT, false},
	/* item.c: every document is taken for new */
	{"new_key", SABOTAGE_NEW_KEY, false},
	/* frame.c: what a rolled-back subtransaction captured is kept */
	{"frame", SABOTAGE_FRAME, false},
	/* frame.c: the news it left in the statement around it is kept */
	{"news", SABOTAGE_NEWS, false},
	/* frame.c: what a statement inside has overtaken is not left out */
	{"overtaken", SABOTAGE_OVERTAKEN, false},
	/* capture.c: an update of nothing we read is skipped, whoever wrote the row */
	{"own_version", SABOTAGE_OWN_VERSION, false},
	/* capture.c: row versions superseded within their statement are captured */
	{"superseded", SABOTAGE_SUPERSEDED, false},
	{NULL, 0, false}
};

void
credit_sabotage_init(void)
{
	DefineCustomEnumVariable("credit.sabotage",
							 "Protection that is missing, for tests of the tests.",
							 NULL, &credit_sabotage, SABOTAGE_NONE, sabotages,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

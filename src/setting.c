/*
 * setting.c
 *	  Policy of the installation, kept in tables and cached per backend.
 *
 * Policy is not kept in GUCs, because any role could SET those.  Tables
 * credit.setting and credit.rule_reaction hold what differs from the defaults
 * below; a statement trigger on both sends a relation cache invalidation, so
 * that every backend reads them again: a changed mode acts on the next
 * statement everywhere, without any lock on a table of the ERP.
 *
 * They are read under the latest snapshot, not the transaction's: a kill
 * switch must reach a transaction in REPEATABLE READ too.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "credit.h"
#include "ledger.h"
#include "setting.h"

typedef struct SettingInfo
{
	const char *name;
	const char *value;			/* default */
	const char *allowed;
	const char *description;
	/* sets the field; false where the value is not allowed */
	bool		(*apply) (CreditSettings *settings, const char *value);
} SettingInfo;

static bool apply_mode(CreditSettings *settings, const char *value);
static bool apply_capture(CreditSettings *settings, const char *value);
static bool apply_wait(CreditSettings *settings, const char *value);
static bool apply_max_wait(CreditSettings *settings, const char *value);
static bool apply_sqlstate(CreditSettings *settings, const char *value);
static bool apply_figures(CreditSettings *settings, const char *value);
static bool apply_currency(CreditSettings *settings, const char *value);
static bool apply_rate_type(CreditSettings *settings, const char *value);
static bool apply_rate_age(CreditSettings *settings, const char *value);
static bool apply_rate_add_on(CreditSettings *settings, const char *value);
static bool apply_bypass_role(CreditSettings *settings, const char *value);
static bool apply_time_zone(CreditSettings *settings, const char *value);
static bool apply_near_limit(CreditSettings *settings, const char *value);
static bool apply_keep_journal(CreditSettings *settings, const char *value);
static bool apply_keep_versions(CreditSettings *settings, const char *value);
static bool apply_keep_decisions(CreditSettings *settings, const char *value);
static bool apply_keep_problems(CreditSettings *settings, const char *value);
static bool apply_keep_limits(CreditSettings *settings, const char *value);
static bool apply_large_journal(CreditSettings *settings, const char *value);
static bool apply_old_transaction(CreditSettings *settings, const char *value);

static bool parse_with_unit(const char *value, int flags, int least, int *result);

#define KEEP_ALLOWED "forever, or a time of at least a day with its unit: 730d, 8760h"

static const SettingInfo setting_infos[] = {
	{"mode", "reject", "off, shadow, warn, reject",
		"Strongest reaction of the whole installation: the kill switch. With off the ledger goes on and nothing is checked.",
	apply_mode},
	{"capture", "on", "on, off",
		"off: the triggers on the ERP's tables do nothing at all. The ledger falls behind; CALL credit.repair() catches up when it is on again.",
	apply_capture},
	{"wait", "wait", "wait, refuse",
		"What to do when only the uncommitted orders of others make an order too much: wait for them, or refuse.",
	apply_wait},
	{"max_wait", "5s", "a time from 1ms to 1h",
		"Longest wait for uncommitted orders of others; then the order is refused.",
	apply_max_wait},
	{"refusal_sqlstate", "23514", "five characters 0-9, A-Z, not of class 00, 01, 02, 08, 40, 57, 58 or XX",
		"SQLSTATE of a refusal. 23514 is shown to the user by most frameworks; P0001 where class 23 is treated otherwise.",
	apply_sqlstate},
	{"message_figures", "on", "on, off",
		"off: messages to the placing role carry no amounts.",
	apply_figures},
	{"currency", "USD", "a currency code of 1 to 12 characters",
		"Currency of accounts and documents whose mapping names none, and the one through which exchange rates are crossed. Set it before the first attach().",
	apply_currency},
	{"rate_type", "closing", "a name of 1 to 30 characters",
		"Type of the exchange rates by which exposure is converted: column rate_type of exchange_rate.",
	apply_rate_type},
	{"rate_age", "7d", "a time of whole days with its unit, 0d to 3650d",
		"Age after which an exchange rate counts as missing.",
	apply_rate_age},
	{"rate_add_on", "0", "a ratio from 0 to 1, as 0.05",
		"Add-on for the risk of the rate on what a customer owes in a currency other than that of the account.",
	apply_rate_add_on},
	{"bypass_role", "", "a role, or empty",
		"Members of this role (superusers only if they are members) are never refused; what would have been refused is in view decision. For data migration.",
	apply_bypass_role},
	{"time_zone", "server", "server, or a time zone name",
		"Zone that decides which day is today; server: log_timezone of the server.",
	apply_time_zone},
	{"near_limit", "0.9", "a ratio from 0 to 1",
		"Utilisation from which view near_limit lists an account.",
	apply_near_limit},
	{"keep_journal", "forever", KEEP_ALLOWED,
		"Age from which purge() deletes rows of the journal that no balance needs any more.",
	apply_keep_journal},
	{"keep_versions", "forever", KEEP_ALLOWED,
		"Age from which purge() deletes former versions of documents.",
	apply_keep_versions},
	{"keep_decisions", "forever", KEEP_ALLOWED,
		"Age from which purge() deletes what view decision shows.",
	apply_keep_decisions},
	{"keep_problems", "forever", KEEP_ALLOWED,
		"Age from which purge() deletes problems of sources; the last one of each source stays.",
	apply_keep_problems},
	{"keep_limits", "forever", KEEP_ALLOWED,
		"Age from which purge() deletes what view limit_history shows.",
	apply_keep_limits},
	{"large_journal", "10GB", "a size with its unit: 500MB, 10GB",
		"Size from which status() mentions a journal that is never purged.",
	apply_large_journal},
	{"old_transaction", "1h", "a time of at least a second with its unit: 90s, 1h",
		"Age from which status() warns of an open transaction, because it holds back vacuum.",
	apply_old_transaction},
};

static CreditSettings current;
static bool current_is_valid = false;
static Oid	setting_relid = InvalidOid;	/* of the tables last read */
static Oid	rule_relid = InvalidOid;
static MemoryContext setting_context = NULL;

PG_FUNCTION_INFO_V1(credit_check_setting);
PG_FUNCTION_INFO_V1(credit_invalidate_setting);
PG_FUNCTION_INFO_V1(credit_setting_catalog);
PG_FUNCTION_INFO_V1(credit_rule_catalog);

/* Only marks; see credit_settings. */
void
credit_setting_invalidate(Oid relid)
{
	if (relid == InvalidOid || relid == setting_relid || relid == rule_relid)
		current_is_valid = false;
}

void
credit_setting_init(void)
{
	setting_context = AllocSetContextCreate(CacheMemoryContext,
											"credit settings",
											ALLOCSET_SMALL_SIZES);
}

static const SettingInfo *
find_setting(const char *name)
{
	for (int i = 0; i < (int) lengthof(setting_infos); i++)
		if (strcmp(name, setting_infos[i].name) == 0)
			return &setting_infos[i];
	return NULL;
}

/* Reads one of the two tables; unknown rows are of another version: ignored. */
static void
read_table(LedgerTable id, CreditSettings *settings)
{
	LedgerRel  *ledger = ledger_open(id, AccessShareLock);
	SysScanDesc scan = systable_beginscan(ledger->rel, InvalidOid, false,
										  NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Datum		values[LEDGER_MAX_COLUMNS];
		bool		nulls[LEDGER_MAX_COLUMNS];
		char	   *name;
		char	   *value;

		ledger_deform(ledger, tuple, values, nulls);
		if (nulls[0] || nulls[1])
			continue;
		name = TextDatumGetCString(values[0]);
		value = TextDatumGetCString(values[1]);
		if (id == LEDGER_SETTING)
		{
			const SettingInfo *info = find_setting(name);

			if (info != NULL)
				(void) info->apply(settings, value);
		}
		else
		{
			CreditRule	rule;
			CreditReaction reaction;

			if (credit_rule_parse(name, &rule) &&
				credit_reaction_parse(value, &reaction))
				settings->reaction[rule] = reaction;
		}
	}
	systable_endscan(scan);
	ledger_close(ledger);
}

/* Settings in force.  The pointer is good until the next call. */
const CreditSettings *
credit_settings(void)
{
	CreditSettings fresh;
	MemoryContext old;

	if (current_is_valid)
		return &current;

	memset(&fresh, 0, sizeof(fresh));
	MemoryContextReset(setting_context);
	old = MemoryContextSwitchTo(setting_context);

	/*
	 * Valid from here on: an invalidation that arrives while we read must
	 * lead to another look, so that the mark is set before, not after.
	 */
	current_is_valid = true;
	PG_TRY();
	{
		for (int i = 0; i < (int) lengthof(setting_infos); i++)
			(void) setting_infos[i].apply(&fresh, setting_infos[i].value);
		for (int i = 0; i < RULE_COUNT; i++)
			fresh.reaction[i] = credit_rules[i].reaction;
		setting_relid = ledger_relid(LEDGER_SETTING);
		rule_relid = ledger_relid(LEDGER_RULE_REACTION);
		read_table(LEDGER_SETTING, &fresh);
		read_table(LEDGER_RULE_REACTION, &fresh);
	}
	PG_CATCH();
	{
		current_is_valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
	current = fresh;
	MemoryContextSwitchTo(old);
	return &current;
}

/* The day of a moment in the configured zone. */
DateADT
credit_day(TimestampTz moment)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;

	if (TIMESTAMP_IS_NOBEGIN(moment))
		return DATEVAL_NOBEGIN;
	if (TIMESTAMP_IS_NOEND(moment))
		return DATEVAL_NOEND;
	if (timestamp2tm(moment, &tz, &tm, &fsec,
					 NULL, credit_settings()->time_zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
}

/*
 * The day of the transaction.  A minute that begins and ends on one day lies
 * in it, and is remembered: transactions come by the thousand.
 */
DateADT
credit_today(void)
{
	static TimestampTz minute = 0;	/* remembered, in minutes; 0: none */
	static pg_tz *zone = NULL;		/* in which */
	static DateADT day;
	TimestampTz moment = GetCurrentTransactionStartTimestamp();
	TimestampTz now = moment / USECS_PER_MINUTE;
	pg_tz	   *time_zone = credit_settings()->time_zone;

	if (now == minute && zone == time_zone && minute > 0)
		return day;
	day = credit_day(moment);
	zone = time_zone;
	minute = credit_day(now * USECS_PER_MINUTE) ==
		credit_day((now + 1) * USECS_PER_MINUTE) ? now : 0;
	return day;
}

static bool
apply_mode(CreditSettings *settings, const char *value)
{
	CreditReaction mode;

	if (!credit_reaction_parse(value, &mode) || mode == REACTION_HOLD)
		return false;
	settings->mode = mode;
	return true;
}

/* on or off, and no other words for them: views and people compare. */
static bool
parse_switch(const char *value, bool *on)
{
	*on = strcmp(value, "on") == 0;
	return *on || strcmp(value, "off") == 0;
}

static bool
apply_capture(CreditSettings *settings, const char *value)
{
	return parse_switch(value, &settings->capture);
}

static bool
apply_wait(CreditSettings *settings, const char *value)
{
	settings->wait = strcmp(value, "wait") == 0;
	return settings->wait || strcmp(value, "refuse") == 0;
}

static bool
apply_max_wait(CreditSettings *settings, const char *value)
{
	int			ms;

	if (!parse_int(value, &ms, GUC_UNIT_MS, NULL) || ms < 1 || ms > 3600000)
		return false;
	settings->max_wait_ms = ms;
	return true;
}

/* Not a class that is no error, that drivers retry, or that means a crash. */
static bool
apply_sqlstate(CreditSettings *settings, const char *value)
{
	char		class[3] = {0};

	strncpy(class, value, 2);
	if (strlen(value) != 5 ||
		strspn(value, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5 ||
		strstr("00 01 02 08 40 57 58 XX", class) != NULL)
		return false;
	settings->sqlstate = MAKE_SQLSTATE(value[0], value[1], value[2],
									   value[3], value[4]);
	return true;
}

static bool
apply_figures(CreditSettings *settings, const char *value)
{
	return parse_switch(value, &settings->figures);
}

static bool
apply_currency(CreditSettings *settings, const char *value)
{
	if (value[0] == '\0' || strlen(value) > 12)
		return false;
	settings->currency = pstrdup(value);
	return true;
}

static bool
apply_rate_type(CreditSettings *settings, const char *value)
{
	if (value[0] == '\0' || strlen(value) > 30)
		return false;
	settings->rate_type = pstrdup(value);
	return true;
}

static bool
apply_rate_age(CreditSettings *settings, const char *value)
{
	int			minutes;

	if (!parse_with_unit(value, GUC_UNIT_MIN, 0, &minutes) ||
		minutes % (HOURS_PER_DAY * MINS_PER_HOUR) != 0)
		return false;
	settings->rate_age = minutes / (HOURS_PER_DAY * MINS_PER_HOUR);
	return settings->rate_age <= 3650;
}

/* Digits and a point, so that numeric_in has nothing to complain of. */
static bool
apply_rate_add_on(CreditSettings *settings, const char *value)
{
	if (strlen(value) > 20 || strspn(value, "0123456789.") != strlen(value) ||
		value[0] < '0' || strtod(value, NULL) > 1 ||
		strchr(value, '.') != strrchr(value, '.'))
		return false;
	settings->rate_add_on =
		DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(value),
											ObjectIdGetDatum(InvalidOid),
											Int32GetDatum(-1)));
	return true;
}

static bool
apply_bypass_role(CreditSettings *settings, const char *value)
{
	if (strlen(value) >= NAMEDATALEN)
		return false;
	settings->bypass_role = pstrdup(value);
	return true;
}

static bool
apply_time_zone(CreditSettings *settings, const char *value)
{
	settings->time_zone = strcmp(value, "server") == 0 ?
		log_timezone : pg_tzset(value);
	return settings->time_zone != NULL;
}

/* Read by the view only; here it is just checked. */
static bool
apply_near_limit(CreditSettings *settings, const char *value)
{
	char	   *end;
	double		ratio;

	(void) settings;
	ratio = strtod(value, &end);
	return end != value && *end == '\0' && ratio >= 0 && ratio <= 1;
}

/* SQL reads the same words again, so a number without unit is not allowed. */
static bool
parse_with_unit(const char *value, int flags, int least, int *result)
{
	return *value != '\0' && value[strlen(value) - 1] > '9' &&
		parse_int(value, result, flags, NULL) && *result >= least;
}

static bool
parse_keep(const char *value, int *minutes)
{
	*minutes = 0;
	return strcmp(value, "forever") == 0 ||
		parse_with_unit(value, GUC_UNIT_MIN, HOURS_PER_DAY * MINS_PER_HOUR, minutes);
}

static bool
apply_keep_journal(CreditSettings *settings, const char *value)
{
	return parse_keep(value, &settings->keep_minutes[0]);
}

static bool
apply_keep_versions(CreditSettings *settings, const char *value)
{
	return parse_keep(value, &settings->keep_minutes[1]);
}

static bool
apply_keep_decisions(CreditSettings *settings, const char *value)
{
	return parse_keep(value, &settings->keep_minutes[2]);
}

static bool
apply_keep_problems(CreditSettings *settings, const char *value)
{
	return parse_keep(value, &settings->keep_minutes[3]);
}

static bool
apply_keep_limits(CreditSettings *settings, const char *value)
{
	return parse_keep(value, &settings->keep_minutes[4]);
}

/* Both are read by status() only; here they are just checked. */
static bool
apply_large_journal(CreditSettings *settings, const char *value)
{
	int			kb;

	(void) settings;
	return parse_with_unit(value, GUC_UNIT_KB, 1, &kb);
}

static bool
apply_old_transaction(CreditSettings *settings, const char *value)
{
	int			seconds;

	(void) settings;
	return parse_with_unit(value, GUC_UNIT_S, 1, &seconds);
}

/* Checks the row that a BEFORE ROW trigger is about to store. */
Datum
credit_check_setting(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	TupleDesc	desc;
	char	   *name;
	char	   *value;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		trigdata->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a BEFORE ROW trigger with one argument",
						"check_setting")));
	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : trigdata->tg_trigtuple;
	desc = RelationGetDescr(trigdata->tg_relation);
	name = SPI_getvalue(tuple, desc, 1);
	value = SPI_getvalue(tuple, desc, 2);
	if (name == NULL || value == NULL)
		return PointerGetDatum(tuple);	/* NOT NULL speaks */

	if (strcmp(trigdata->tg_trigger->tgargs[0], "rule") == 0)
	{
		CreditRule	rule;
		CreditReaction reaction;

		if (!credit_rule_parse(name, &rule))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is no rule \"%s\"", name),
					 errhint("View credit.rules lists them.")));
		if (!credit_reaction_parse(value, &reaction) || reaction == REACTION_HOLD)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not a reaction of rule \"%s\"", value, name),
					 errhint("Use off, shadow, warn or reject.")));
	}
	else
	{
		const SettingInfo *info = find_setting(name);
		CreditSettings scratch;

		if (info == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is no setting \"%s\"", name),
					 errhint("View credit.settings lists them.")));
		if (!info->apply(&scratch, value))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not allowed for setting \"%s\"", value, name),
					 errhint("Allowed: %s.", info->allowed)));
	}
	return PointerGetDatum(tuple);
}

/* Statement trigger: every backend forgets its copy at our commit. */
Datum
credit_invalidate_setting(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger",
						"invalidate_setting")));
	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

Datum
credit_setting_catalog(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < (int) lengthof(setting_infos); i++)
	{
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = CStringGetTextDatum(setting_infos[i].name);
		values[1] = CStringGetTextDatum(setting_infos[i].value);
		values[2] = CStringGetTextDatum(setting_infos[i].allowed);
		values[3] = CStringGetTextDatum(setting_infos[i].description);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
credit_rule_catalog(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < RULE_COUNT; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = CStringGetTextDatum(credit_rules[i].name);
		values[1] = CStringGetTextDatum(credit_reaction_name(credit_rules[i].reaction));
		values[2] = CStringGetTextDatum(credit_rules[i].description);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

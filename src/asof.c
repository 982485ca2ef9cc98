/*
 * asof.c
 *	  The date that views look at.
 *
 * Parameter credit.as_of moves all views of a session to a past (or future)
 * day.  Enforcement never looks at it.  The value is checked where it is used,
 * not where it is set: a value that was set before the library was loaded
 * would otherwise be dropped with a warning, and a report would silently be
 * about today.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"

#include "credit.h"
#include "setting.h"

static char *as_of_value = NULL;

PG_FUNCTION_INFO_V1(credit_as_of);
PG_FUNCTION_INFO_V1(credit_sql_today);
PG_FUNCTION_INFO_V1(credit_day_of);

void
credit_asof_init(void)
{
	DefineCustomStringVariable("credit.as_of",
							   "Date that the views of schema credit look at, as YYYY-MM-DD.",
							   "Empty: today in the zone of setting time_zone. The check of orders never looks at it.",
							   &as_of_value, "", PGC_USERSET, 0,
							   NULL, NULL, NULL);
	MarkGUCPrefixReserved("credit");
}

/* Strictly YYYY-MM-DD: the meaning must not hang on DateStyle. */
static bool
parse_iso_date(const char *text, DateADT *date)
{
	int			y;
	int			m;
	int			d;

	if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' ||
		strspn(text, "0123456789-") != 10 ||
		strchr("0123456789", text[0]) == NULL ||
		sscanf(text, "%4d-%2d-%2d", &y, &m, &d) != 3)
		return false;
	if (y < 1 || m < 1 || m > MONTHS_PER_YEAR || d < 1 ||
		d > day_tab[isleap(y)][m - 1])
		return false;
	*date = date2j(y, m, d) - POSTGRES_EPOCH_JDATE;
	return true;
}

Datum
credit_as_of(PG_FUNCTION_ARGS)
{
	DateADT		date;

	if (as_of_value == NULL || as_of_value[0] == '\0')
		PG_RETURN_DATEADT(credit_today());
	if (!parse_iso_date(as_of_value, &date))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter credit.as_of is not a date: \"%s\"", as_of_value),
				 errhint("Use SET credit.as_of = 'YYYY-MM-DD', or RESET credit.as_of for today.")));
	PG_RETURN_DATEADT(date);
}

Datum
credit_sql_today(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(credit_today());
}

Datum
credit_day_of(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATEADT(credit_day(PG_GETARG_TIMESTAMPTZ(0)));
}

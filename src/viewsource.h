/*
 * viewsource.h
 *	  Sources that are views, and what they depend on.
 */
#ifndef CREDIT_VIEWSOURCE_H
#define CREDIT_VIEWSOURCE_H

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "rowversion.h"
#include "source.h"

/* Relation of the key queries: old and new rows of a statement. */
#define CHANGED_NAME "changed"

/* Tables of a view whose rows documents share; more are left alone. */
#define MAX_SHARED 16

/*
 * Columns of the query of a view: key, whether it counts, fields, and then those
 * that tell each such version.  A key query has the first alone.
 */
#define COLUMN_KEY 1
#define COLUMN_COUNTS 2
#define COLUMN_FIELDS 3
#define VERSION_COLUMNS 3

/* Ways to read documents, by how many are asked for; each has its plan. */
typedef enum ViewPlan
{
	PLAN_ONE,					/* key = $1 */
	PLAN_FEW,					/* key = ANY ($1), by looking one row up after the other */
	PLAN_MANY,					/* the same, as the planner likes it */
	PLAN_COUNT
} ViewPlan;

/* Ways to ask which documents changed rows belong to, likewise. */
#define KEY_PLANS 2

/* A view that yields one row per document. */
typedef struct ViewSource
{
	CreditSource source;
	char	   *texts[FIELD_COUNT];	/* expressions over its row */
	SPIPlanPtr	plans[PLAN_COUNT];	/* NULL: not planned yet */
	double		costs[PLAN_COUNT];	/* what the planner thinks of them */
	uint64		nplanned;		/* how often any was planned */
	bool		is_known;		/* which tables its documents share */
	List	   *shared;			/* of those it may share, and depends on: OIDs */
	int			nshared;		/* tables in the plans whose versions are told */
	Oid			shared_in_plan[MAX_SHARED];
	LocalTransactionId broken_in;	/* it could not be planned in there */
	LocalTransactionId unknown_in;	/* nor when it was asked what it reads */
	char		sqlstate[6];
	char	   *message;
	MemoryContext cxt;			/* of the list it is in */
} ViewSource;

/* A table that the documents of a view are made of. */
typedef struct Dependency
{
	ViewSource *view;
	Oid			relid;
	char	   *changed_keys;
	SPIPlanPtr	plans[KEY_PLANS];	/* for few rows and for many; NULL: not planned yet */
	bool		is_parsed;
	AttrNumber	attno;			/* the key is this column of the row; 0: not so easy */
	bool		asks_all;		/* the key query may depend on every column */
	Bitmapset  *asks;			/* else on these */
	uint64		reads_of;		/* the plan of the view that this was found out of: */
	bool		reads_all;		/* it may read every column of the table */
	Bitmapset  *reads;			/* else these, or the key query does */
} Dependency;

/* All of them; replaced as a whole, never changed. */
typedef struct ViewList
{
	uint64		generation;		/* no two lists have the same */
	int			nviews;
	ViewSource *views;
	int			n;
	Dependency *dependencies;
} ViewList;

/* Rows that were read through a view, by the number of the key asked for. */
typedef struct ViewRow
{
	int			number;
	int			nversions;		/* rows that others share, from which it was read */
	RowVersion *versions;
	CreditRow	row;
} ViewRow;

/* What is to be put back when the owner of a view has had his turn. */
typedef struct OwnerScope
{
	Oid			userid;
	int			sec_context;
	int			nestlevel;
} OwnerScope;

extern void owner_enter(OwnerScope *scope, Oid view);
extern void owner_leave(OwnerScope *scope);
extern void view_set_option(const char *name, const char *value);

extern const ViewList *view_list(void);
extern ViewSource *view_find(int32 source_id);

/* Both report what they cannot read, by on_error; false: then. */
extern bool view_read(ViewSource *view, char **keys, int n, List **rows);
extern bool view_changed_keys(Dependency *dependency, Tuplestorestate *changed,
							  Snapshot snapshot, List **keys);
extern AttrNumber view_key_column(Dependency *dependency, TupleDesc desc);
extern void view_parse_keys(Dependency *dependency);
extern const char *view_name(Oid relid);
extern void view_find_shared(ViewSource *view);
extern SPIPlanPtr view_prepare(const char *query, int nargs, Oid *argument);
extern bool view_lacks_plan(SPIPlanPtr *plan);
extern SPIPlanPtr view_keep_plan(const char *query, int nargs, Oid *argument,
								 bool by_looking_up, double *cost);
extern SPIPlanPtr view_plan(ViewSource *view, ViewPlan which);
extern ViewPlan view_choose_plan(ViewSource *view, int n);
extern void view_try_plans(ViewSource *view);
extern void view_append_select(StringInfo query, Oid relid, char **texts);
extern bool view_shares(ViewSource *view, Oid relid);
extern bool view_reads(Dependency *dependency, const Bitmapset *columns);
extern List *view_all_keys(ViewSource *view);

#endif							/* CREDIT_VIEWSOURCE_H */

/*
 * source.h
 *	  Mappings of tables of the ERP, cached per backend.
 */
#ifndef CREDIT_SOURCE_H
#define CREDIT_SOURCE_H

#include "expression.h"
#include "ledger.h"
#include "rule.h"
#include "limit.h"
#include "tablecache.h"

/* One mapping, as the ledger needs it; plain data that can be copied. */
typedef struct CreditSource
{
	int32		source_id;
	Oid			relid;			/* the attached table, not a partition */
	bool		is_view;
	CreditKind	kind;
	CreditReaction on_breach;
	CreditLimitState	null_limit;
	CreditLimitState	zero_limit;
	bool		refuse_on_error;
	bool		has_limit;		/* field credit_limit is mapped */
	CreditKind	origin_kind;	/* of what these fields name, or KIND_NONE */
	CreditKind	applies_to_kind;
	CreditKind	payment_kind;
	bool		has_field[FIELD_COUNT];
	char		name[NAMEDATALEN * 2 + 24];
} CreditSource;

typedef struct SourceMapping
{
	CreditSource source;
	CompiledField field[FIELD_COUNT];
	bool		simple;			/* no field calls a function of users */
	bool		mutable;		/* a field depends on formats or time zone */
	bool		broken;			/* could not be compiled */
	char		sqlstate[6];
	char	   *message;
} SourceMapping;

/* All mappings that a row of one table (or partition) belongs to. */
typedef struct SourceEntry
{
	TableEntry	table;			/* with its ancestors; functions are checked
								 * against the user */
	bool		broken;			/* one of the mappings is */
	LocalTransactionId lxid;	/* of the executor state of foreign functions */
	MemoryContext cxt;			/* of everything here */
	MemoryContext xact_cxt;		/* of what lives for one transaction */
	ExprContext *econtext;
	Bitmapset  *attnos;			/* columns read, as pull_varattnos has them */
	int			nmappings;
	SourceMapping *mappings;
} SourceEntry;

/* Reads one row of credit.source; with texts, the expressions as well. */
extern void source_load(CreditSource *source, LedgerRel *ledger, HeapTuple tuple,
						char **texts);

extern SourceEntry *source_lookup(Relation rel);
extern const CreditSource *source_by_id(SourceEntry *entry, int32 source_id);
extern bool source_reads_changed(SourceEntry *entry, TupleTableSlot *old,
								 TupleTableSlot *new);
extern bool source_evaluate(SourceEntry *entry, SourceMapping *mapping,
							TupleTableSlot *slot, bool key_only,
							CreditRow *row);
extern void source_check_value(CreditField field, Datum value, bool isnull);
extern ErrorData *source_attempt(void (*step) (void *), void *arg);
extern void source_report_problem(const CreditSource *source,
								  const char *sqlstate, const char *message);
extern void source_forget_problems(void);
extern void source_settle_problems(SubTransactionId subid, SubTransactionId parent);

#endif							/* CREDIT_SOURCE_H */

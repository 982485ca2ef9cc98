/*
 * expression.h
 *	  Expressions of a mapping: checked, normalised, compiled, evaluated.
 */
#ifndef CREDIT_EXPRESSION_H
#define CREDIT_EXPRESSION_H

#include "field.h"

/* How a compiled field gets its value. */
typedef struct CompiledField
{
	bool		present;
	AttrNumber	attno;			/* plain column: no executor at all */
	Oid			attypid;
	bool		convert;		/* ... whose output function makes the text */
	bool		widen;			/* ... whose integer becomes a numeric */
	FmgrInfo	output;
	CachedExpression *cached;	/* else: the planned expression */
	ExprState  *state;
	bool		simple;			/* built-in functions only: state may live on */
	bool		mutable;		/* depends on formats or time zone */
} CompiledField;

extern Node *expression_parse(Relation rel, const char *text, CreditField field);
extern void expression_compile(CompiledField *compiled, Relation rel,
							   const char *text, CreditField field,
							   Bitmapset **attnos);
extern int	expression_fix_formats(void);
extern void expression_free(CompiledField *compiled);
extern Datum expression_value(CompiledField *compiled, CreditField field,
							  TupleTableSlot *slot, ExprContext *econtext,
							  bool *isnull);

#endif							/* CREDIT_EXPRESSION_H */

/*
 * vector.h
 *	  Amounts by stage of exposure.
 */
#ifndef CREDIT_VECTOR_H
#define CREDIT_VECTOR_H

#include "utils/array.h"
#include "utils/numeric.h"

/* Where a value stands; a value stands in exactly one stage. */
typedef enum CreditStage
{
	STAGE_ORDERED,
	STAGE_DELIVERED,
	STAGE_INVOICED,
	STAGE_UNAPPLIED,			/* negative */
	STAGE_COUNT
} CreditStage;

/* NULL elements are 0, which most are: numeric arithmetic is not free. */
typedef struct CreditVector
{
	Numeric		stage[STAGE_COUNT];
} CreditVector;

extern Numeric credit_zero(void);
extern Numeric credit_add(Numeric a, Numeric b);
extern Numeric credit_subtract(Numeric a, Numeric b);
extern int	credit_compare(Numeric a, Numeric b);
extern bool credit_is_zero(Numeric a);
extern Numeric credit_max(Numeric a, Numeric b);
extern char *credit_amount_text(Numeric a);

extern void vector_add(CreditVector *sum, const CreditVector *term);
extern void vector_subtract(CreditVector *sum, const CreditVector *term);
extern bool vector_is_zero(const CreditVector *vector);
extern bool vector_equal(const CreditVector *a, const CreditVector *b);
extern Numeric vector_total(const CreditVector *vector);
extern Datum vector_to_datum(const CreditVector *vector);
extern void vector_from_datum(CreditVector *vector, Datum datum);

#endif							/* CREDIT_VECTOR_H */

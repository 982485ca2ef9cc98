/*
 * stage.h
 *	  In which stage of exposure the value of a document stands.
 */
#ifndef CREDIT_STAGE_H
#define CREDIT_STAGE_H

#include "item.h"

extern void stage_count(CreditItem *item, const CreditSource *source, DateADT today);
extern void stage_set(CreditItem *item, const CreditSource *source, DateADT today,
					  bool is_in_order);
extern DateADT stage_effective_date(const CreditItem *item, DateADT otherwise);

#endif							/* CREDIT_STAGE_H */

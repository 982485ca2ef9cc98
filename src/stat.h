/*
 * stat.h
 *	  Counters of what the extension does, by source.
 */
#ifndef CREDIT_STAT_H
#define CREDIT_STAT_H

#include "portability/instr_time.h"

#include "progress.h"
#include "rule.h"

typedef enum StatCounter
{
	STAT_STATEMENTS,
	STAT_ROWS,
	STAT_DOCUMENTS,
	STAT_CHECKS,
	STAT_WARNINGS,
	STAT_SHADOWS,
	STAT_BYPASSES,
	STAT_WAITS,
	STAT_WAIT_US,
	STAT_LONGEST_WAIT_US,		/* a maximum, not a sum */
	STAT_WORK_US,
	STAT_REFUSED_WAIT,
	STAT_REFUSED,				/* and one for each rule */
	STAT_COUNTERS = STAT_REFUSED + RULE_COUNT
} StatCounter;

extern void stat_add(int32 source_id, StatCounter counter, uint64 n);

/* Check and posting of one statement, or of a portion of it. */
extern void stat_work_begin(int32 source_id);
extern void stat_work_end(void);

extern void stat_refusal(int32 source_id, StatCounter counter);
extern void stat_wait(int32 source_id, uint64 us);

#endif							/* CREDIT_STAT_H */

/*
 * probe.h
 *	  Looks into an index of a ledger table without an index scan.
 */
#ifndef CREDIT_PROBE_H
#define CREDIT_PROBE_H

#include "ledger.h"

/* Entries one look can return. */
#define PROBE_MAX 64

typedef struct ProbeResult
{
	Buffer		leaf;			/* pinned until probe_release, or invalid */
	bool		complete;		/* no entries but these, as far as asked for */
	int			n;
	ItemPointerData tids[PROBE_MAX];	/* of the last entries, last one first */
} ProbeResult;

extern bool probe_is_absent(LedgerRel *ledger, const Datum *keys, int nkeys);
extern void probe_last(LedgerRel *ledger, const char *index, const Datum *keys,
					   int nkeys, int max, ProbeResult *result);
extern bool probe_row(LedgerRel *ledger, const char *index, const Datum *keys,
					  int nkeys, LedgerFetch *fetch);
extern void probe_release(ProbeResult *result);

#endif							/* CREDIT_PROBE_H */

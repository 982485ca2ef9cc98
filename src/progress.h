/*
 * progress.h
 *	  How far a long command of ours is, for other sessions to see.
 */
#ifndef CREDIT_PROGRESS_H
#define CREDIT_PROGRESS_H

/*
 * progress_begin takes a slot, which ends with progress_end, the transaction,
 * the subtransaction it began in, or the session.  Where there is no slot the
 * rest does nothing.  total -1: not known.
 */
extern void progress_begin(const char *command, const char *source);

/* The command begun commits as it goes: a commit does not end its slot. */
extern void progress_outlives_commit(void);
extern void progress_phase(const char *phase, int64 total);
extern void progress_advance(int64 n);
extern void progress_end(void);

#endif							/* CREDIT_PROGRESS_H */

/*
 * roster.h
 *	  A list kept per backend, replaced as a whole and never changed.
 */
#ifndef CREDIT_ROSTER_H
#define CREDIT_ROSTER_H

typedef struct Roster
{
	const char *name;			/* of its memory context */
	Size		size;			/* of the list */
	void		(*fill) (void *list);	/* of zeros, in its own context */
	bool		is_valid;		/* cleared by whoever hears of a change */
	void	   *list;
	MemoryContext cxt;
} Roster;

extern void *roster_list(Roster *roster);

#endif							/* CREDIT_ROSTER_H */

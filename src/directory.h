/*
 * directory.h
 *	  All attached sources, by number and by kind.
 */
#ifndef CREDIT_DIRECTORY_H
#define CREDIT_DIRECTORY_H

#include "source.h"

typedef struct Directory
{
	int			n;
	CreditSource *sources;
	bool		has_references; /* documents of some source name others */
} Directory;

extern const Directory *directory(void);
extern const CreditSource *directory_find(int32 source_id);

#endif							/* CREDIT_DIRECTORY_H */

/*
 * tablecache.h
 *	  What a backend remembers of tables of the ERP, one entry a table.
 */
#ifndef CREDIT_TABLECACHE_H
#define CREDIT_TABLECACHE_H

#include "nodes/pg_list.h"
#include "utils/hsearch.h"

/* An entry begins with this; the rest is zero when it is new. */
typedef struct TableEntry
{
	struct
	{
		Oid			relid;		/* a table or partition */
		Oid			userid;		/* invalid: the entry serves everybody */
	}			key;			/* hash key, must be first */
	bool		valid;			/* set by whoever fills the entry */
	List	   *relids;			/* tables besides that it was made of */
} TableEntry;

typedef struct TableCache
{
	const char *name;
	Size		entry_size;
	HTAB	   *entries;
	TableEntry *latest;			/* that somebody has asked for */
} TableCache;

extern void tablecache_init(TableCache *cache);
extern void tablecache_invalidate(TableCache *cache, Oid relid);
extern TableEntry *tablecache_search(const TableCache *cache, Oid relid, Oid userid);

/* Here, because it is asked for every row. */
static inline void *
tablecache_find(TableCache *cache, Oid relid, Oid userid)
{
	if (cache->latest == NULL || cache->latest->key.relid != relid ||
		cache->latest->key.userid != userid)
		cache->latest = tablecache_search(cache, relid, userid);
	return cache->latest;
}

#endif							/* CREDIT_TABLECACHE_H */

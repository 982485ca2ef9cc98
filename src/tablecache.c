/*
 * tablecache.c
 *	  What a backend remembers of tables of the ERP, one entry a table.
 *
 * Entries stay as long as the backend, so that whoever fills one may be told
 * meanwhile that it is out of date.  Invalidation only marks.
 */
#include "postgres.h"

#include "tablecache.h"

void
tablecache_init(TableCache *cache)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(((TableEntry *) NULL)->key);
	ctl.entrysize = cache->entry_size;
	cache->entries = hash_create(cache->name, 32, &ctl, HASH_ELEM | HASH_BLOBS);
}

/* Marks what was made of a table; without one, everything. */
void
tablecache_invalidate(TableCache *cache, Oid relid)
{
	HASH_SEQ_STATUS status;
	TableEntry *entry;

	if (cache->entries == NULL)
		return;
	hash_seq_init(&status, cache->entries);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || relid == entry->key.relid ||
			list_member_oid(entry->relids, relid))
			entry->valid = false;
}

/* The entry of a table and user, zeros where it is new. */
TableEntry *
tablecache_search(const TableCache *cache, Oid relid, Oid userid)
{
	TableEntry	wanted = {.key = {relid, userid}};
	bool		found;
	TableEntry *entry = hash_search(cache->entries, &wanted.key, HASH_ENTER, &found);

	if (!found)
		memset((char *) entry + sizeof(entry->key), 0,
			   cache->entry_size - sizeof(entry->key));
	return entry;
}

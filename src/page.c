/*
 * page.c
 *	  Pages that are read again and again.
 *
 * To find the buffer of a page PostgreSQL asks a hash table that all sessions
 * share, which is more a matter of caches than of instructions.  A session
 * remembers in which buffers it found pages, and asks the buffer itself
 * whether it holds the page still.
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "credit.h"
#include "page.h"

/* Pages remembered, by their number. */
#define PAGES 1024

typedef struct RecentPage
{
	CreditRelNumber file;
	BlockNumber block;
	Buffer		buffer;
} RecentPage;

static RecentPage pages[PAGES];

/* Finds a page in the buffer where it was; false: it must be looked for. */
static bool
read_again(RecentPage *recent, Relation rel, BlockNumber block)
{
	return recent->file == credit_rel_number(rel) && recent->block == block &&
		ReadRecentBuffer(credit_rel_locator(rel), MAIN_FORKNUM, block,
						 recent->buffer);
}

static RecentPage *
recent_of(Relation rel, BlockNumber block)
{
	return &pages[(block + credit_rel_number(rel) * 97) % PAGES];
}

static Buffer
read_anew(RecentPage *recent, Relation rel, BlockNumber block)
{
	recent->buffer = ReadBuffer(rel, block);
	recent->file = credit_rel_number(rel);
	recent->block = block;
	return recent->buffer;
}

/* A page of a table or index, pinned. */
Buffer
page_read(Relation rel, BlockNumber block)
{
	RecentPage *recent = recent_of(rel, block);

	return read_again(recent, rel, block) ? recent->buffer :
		read_anew(recent, rel, block);
}

/*
 * The same of a page that vacuum may have cut off the end of the table:
 * invalid then.  As long as a buffer holds it, it is there.
 */
Buffer
page_read_if_there(Relation rel, BlockNumber block)
{
	RecentPage *recent = recent_of(rel, block);

	if (read_again(recent, rel, block))
		return recent->buffer;
	return block < RelationGetNumberOfBlocks(rel) ?
		read_anew(recent, rel, block) : InvalidBuffer;
}

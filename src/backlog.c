/*
 * backlog.c
 *	  Rows that an aggregate puts aside to add many at a time.
 *
 * With many groups the processor waits for memory more than for anything else:
 * each row belongs to another group, and its state is in no cache.  One such
 * wait cannot be avoided, two hundred of them can be waited for together.  So
 * rows are written to a short list that never leaves the cache, with a pointer
 * to their group; when it is full, the states of the groups ahead are fetched
 * while rows of those before are added.
 *
 * One list serves all groups of one call of an aggregate, grouping sets and
 * windows included, and lives as long as the query.  Groups live in memory of
 * the executor's, which it resets when it likes: what is put aside for them is
 * thrown away then, because nobody can ask for it any more.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "backlog.h"

/* Groups that live and end together. */
typedef struct BacklogMemory
{
	dlist_node	node;
	MemoryContextCallback callback;
	Backlog    *backlog;
	MemoryContext cxt;
	int			n_groups;
} BacklogMemory;

void
backlog_init(Backlog *backlog, void (*add_rows) (Backlog *))
{
	backlog->add_rows = add_rows;
	backlog->n = 0;
	backlog->n_groups = 0;
	dlist_init(&backlog->memories);
}

void
backlog_add_rows(Backlog *backlog)
{
	backlog->add_rows(backlog);
	backlog->n = 0;
}

/* The groups of a memory are about to go. */
static void
forget_memory(void *arg)
{
	BacklogMemory *memory = arg;
	Backlog    *backlog = memory->backlog;
	int			n = 0;

	for (int i = 0; i < backlog->n; i++)
		if (GetMemoryChunkContext(backlog->rows[i].group) != memory->cxt)
			backlog->rows[n++] = backlog->rows[i];
	backlog->n = n;
	backlog->n_groups -= memory->n_groups;
	dlist_delete(&memory->node);
}

static BacklogMemory *
memory_of(Backlog *backlog, MemoryContext cxt)
{
	dlist_iter	iter;
	BacklogMemory *memory;

	dlist_foreach(iter, &backlog->memories)
	{
		memory = dlist_container(BacklogMemory, node, iter.cur);
		if (memory->cxt == cxt)
			return memory;
	}
	memory = MemoryContextAllocZero(cxt, sizeof(BacklogMemory));
	memory->backlog = backlog;
	memory->cxt = cxt;
	memory->callback.func = forget_memory;
	memory->callback.arg = memory;
	dlist_push_head(&backlog->memories, &memory->node);
	MemoryContextRegisterResetCallback(cxt, &memory->callback);
	return memory;
}

/* Before rows of a new group are put aside. */
void
backlog_note_group(Backlog *backlog, void *group)
{
	BacklogMemory *memory = memory_of(backlog, GetMemoryChunkContext(group));

	memory->n_groups++;
	backlog->n_groups++;
}

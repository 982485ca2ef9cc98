/*
 * grouping.c
 *	  Rows gathered by key, without the executor's GROUP BY.
 *
 * What GROUP BY over many groups costs is waiting for memory: each row goes to
 * another place of one large hash table.  Here a row is first written to one of
 * 256 short buffers, chosen by the hash of its key.  A buffer that is full is
 * worked off at once: its groups are a 256th of all, and where the next ones are
 * is asked for while the ones before are found.  What is added to a group goes
 * through a backlog (backlog.c), which does the same for the group's memory.
 *
 * A key is kept as bytes (grouping_key.c).
 *
 * Memory is bounded as that of a hash aggregate: buffers, tables and groups may
 * take the given amount; once they have, rows of groups that are not there yet
 * go to temporary files, one for each buffer.  In the end the groups that are
 * there are finished and forgotten, and each file is read as the input was, with
 * other bits of the hash.  Each file has a group in memory at least, so it ends.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/date.h"
#include "utils/memutils.h"

#include "credit.h"
#include "grouping.h"
#include "grouping_key.h"

#define PARTITION_BITS 8
#define PARTITIONS (1 << PARTITION_BITS)

/* Of each buffer, in bytes. */
#define MIN_BUFFER 512
#define MAX_BUFFER (128 * 1024)

/*
 * Buffers between two looks at how much memory is taken: by what is in them it
 * may be more than the limit for a while.
 */
#define LOOK_EVERY 8

/* How many rows are looked for together. */
#define TOGETHER 32

#define FIRST_SLOTS 16

/* Flags in the low bits of a size, which is a multiple of 8. */
#define IS_UNUSUAL 1
#define IS_NULL 2				/* the key, where it is a single word */
#define FLAGS 7

/* A row in a buffer or file: its key is behind, then an unusual row's values. */
typedef struct Entry
{
	uint32		hash;
	uint32		size;			/* of all of it, and flags */
	int64		data[2];		/* unusual: data[0] is the size of the key */
} Entry;

/* The values of an unusual row; the bytes of the numeric are behind. */
typedef struct UnusualRow
{
	bool		isnull[GROUPING_MAX_VALUES];
	DateADT		dates[GROUPING_MAX_VALUES];
} UnusualRow;

typedef struct Group
{
	uint32		hash;
	uint32		size;			/* of the key, and IS_NULL */
	void	   *state;
	int64		key[FLEXIBLE_ARRAY_MEMBER];
} Group;

typedef struct Slot
{
	Group	   *group;			/* NULL: free */
	uint32		hash;
} Slot;

typedef struct Partition
{
	char	   *buffer;			/* NULL: none yet */
	uint32		used;
	uint32		nslots;			/* 0 or a power of 2 */
	uint32		ngroups;
	Slot	   *slots;
	MemoryContext cxt;			/* of slots and groups; NULL: none yet */
	BufFile    *file;			/* of rows that had no room; NULL: none */
	int64		file_size;
} Partition;

/* A file that is still to be read, and how often its rows were put off. */
typedef struct PutOff
{
	BufFile    *file;
	int64		size;
	int			level;
} PutOff;

struct Grouping
{
	GroupingSubject subject;
	bool		is_full;		/* no more groups */
	int			level;
	uint32		nworked_off;	/* buffers, so far */
	Size		limit;			/* of memory for groups */
	uint32		room;			/* of a buffer */
	void	   *only;			/* the one group of an empty key */
	MemoryContext cxt;			/* of all below */
	MemoryContext group_cxt;	/* parent of those of partitions */
	MemoryContext row_cxt;		/* what one row needs to become an entry */
	MemoryContext work_cxt;		/* what entries and groups need for a while */
	List	   *put_off;
	Entry	   *entry;			/* one that does not fit into a buffer */
	Size		entry_room;
	int64		key[64];		/* that of a row, where it is short */
	GroupingKey keys;
	Partition	partitions[PARTITIONS];
};

/* --- groups --------------------------------------------------------------- */

static inline uint32
size_of(const Entry *entry)
{
	return entry->size & ~(uint32) FLAGS;
}

static inline const char *
key_of(const Entry *entry)
{
	return (const char *) (entry + 1);
}

static inline uint32
key_size_of(const Entry *entry)
{
	if (entry->size & IS_UNUSUAL)
		return (uint32) entry->data[0];
	return size_of(entry) - sizeof(Entry);
}

/* The slot of an entry's group, or a free one; there is one. */
static inline Slot *
find_slot(Grouping *grouping, const Partition *partition, const Entry *entry)
{
	uint32		mask = partition->nslots - 1;
	uint32		size = key_size_of(entry) | (entry->size & IS_NULL);

	for (uint32 i = entry->hash & mask;; i = (i + 1) & mask)
	{
		Slot	   *slot = &partition->slots[i];
		const Group *group = slot->group;

		if (group == NULL)
			return slot;
		if (slot->hash != entry->hash)
			continue;
		if (grouping->keys.is_word)
		{
			if (group->key[0] == *(const int64 *) key_of(entry) &&
				group->size == size)
				return slot;
		}
		else if (grouping->keys.is_bytes)
		{
			if (group->size == size && memcmp(group->key, key_of(entry), size) == 0)
				return slot;
		}
		else if (grouping_key_equal(&grouping->keys, (const char *) group->key, key_of(entry)))
			return slot;
	}
}

static void
grow(Grouping *grouping, Partition *partition)
{
	Slot	   *old = partition->slots;
	uint32		nold = partition->nslots;
	uint32		mask;

	if (partition->cxt == NULL)
		partition->cxt = AllocSetContextCreate(grouping->group_cxt, "credit grouping",
											   0, 1024, ALLOCSET_DEFAULT_MAXSIZE);
	partition->nslots = nold == 0 ? FIRST_SLOTS : 2 * nold;
	partition->slots = MemoryContextAllocExtended(partition->cxt,
												  mul_size(partition->nslots, sizeof(Slot)),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	mask = partition->nslots - 1;
	for (uint32 k = 0; k < nold; k++)
	{
		uint32		i = old[k].hash & mask;

		if (old[k].group == NULL)
			continue;
		while (partition->slots[i].group != NULL)
			i = (i + 1) & mask;
		partition->slots[i] = old[k];
	}
	if (old != NULL)
		pfree(old);
}

static Group *
make_group(Grouping *grouping, Partition *partition, Slot *slot, const Entry *entry)
{
	uint32		size = key_size_of(entry);
	Group	   *group = MemoryContextAlloc(partition->cxt,
										   offsetof(Group, key) + size);

	group->hash = entry->hash;
	group->size = size | (entry->size & IS_NULL);
	memcpy(group->key, key_of(entry), size);
	group->state = grouping->subject.begin(grouping->subject.subject, partition->cxt);
	slot->group = group;
	slot->hash = entry->hash;
	partition->ngroups++;
	return group;
}

/* --- temporary files ------------------------------------------------------ */

static void
put_off(Grouping *grouping, Partition *partition, Entry *entry)
{
	if (partition->file == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(grouping->cxt);

		partition->file = BufFileCreateTemp(false);
		partition->file_size = 0;
		MemoryContextSwitchTo(caller);
	}
	BufFileWrite(partition->file, entry, size_of(entry));
	partition->file_size += size_of(entry);
}

static void
read_exactly(BufFile *file, void *to, Size size)
{
	if (BufFileRead(file, to, size) != size)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read %zu bytes from a temporary file", size)));
}

/* --- rows ----------------------------------------------------------------- */

static void
add_unusual_entry(Grouping *grouping, Group *group, const Entry *entry)
{
	const UnusualRow *row = (const UnusualRow *) (key_of(entry) + entry->data[0]);
	NullableDatum values[GROUPING_MAX_VALUES];

	values[0].value = PointerGetDatum(row + 1);
	values[0].isnull = row->isnull[0];
	for (int i = 1; i < GROUPING_MAX_VALUES; i++)
	{
		values[i].value = DateADTGetDatum(row->dates[i]);
		values[i].isnull = row->isnull[i];
	}
	grouping->subject.add_unusual(grouping->subject.subject, group->state, values);
}

/* The group of an entry; NULL: there is none, and no room for it. */
static inline Group *
group_of(Grouping *grouping, Partition *partition, const Entry *entry)
{
	Slot	   *slot;

	if (unlikely(4 * partition->ngroups >= 3 * partition->nslots) &&
		!grouping->is_full)
		grow(grouping, partition);
	if (unlikely(partition->nslots == 0))
		return NULL;
	slot = find_slot(grouping, partition, entry);
	if (likely(slot->group != NULL))
		return slot->group;
	return grouping->is_full ? NULL : make_group(grouping, partition, slot, entry);
}

/*
 * Adds entries that lie behind each other to their groups.  First the slots of
 * some are asked for, then the groups these point at, and only then looked at.
 */
static void
add_entries(Grouping *grouping, Partition *partition, char *at, char *end)
{
	MemoryContext caller = MemoryContextSwitchTo(grouping->work_cxt);

	while (at < end)
	{
		Entry	   *entries[TOGETHER];
		uint32		mask = Max(partition->nslots, 1) - 1;
		int			n = 0;

		for (; n < TOGETHER && at < end; n++)
		{
			entries[n] = (Entry *) at;
			if (partition->nslots > 0)
				__builtin_prefetch(&partition->slots[entries[n]->hash & mask]);
			at += size_of(entries[n]);
		}
		for (int i = 0; i < n && partition->nslots > 0; i++)
			__builtin_prefetch(partition->slots[entries[i]->hash & mask].group);
		for (int i = 0; i < n; i++)
		{
			Group	   *group = group_of(grouping, partition, entries[i]);

			if (unlikely(group == NULL))
				put_off(grouping, partition, entries[i]);
			else if (unlikely(entries[i]->size & IS_UNUSUAL))
				add_unusual_entry(grouping, group, entries[i]);
			else
				memcpy(backlog_put(grouping->subject.backlog, group->state),
					   entries[i]->data, sizeof(entries[i]->data));
		}
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(grouping->work_cxt);
}

/* Works a buffer off, and looks from time to time whether memory is full. */
static void
work_off(Grouping *grouping, Partition *partition)
{
	CHECK_FOR_INTERRUPTS();
	add_entries(grouping, partition, partition->buffer,
				partition->buffer + partition->used);
	partition->used = 0;
	if (!grouping->is_full && ++grouping->nworked_off % LOOK_EVERY == 0 &&
		MemoryContextMemAllocated(grouping->group_cxt, true) > grouping->limit)
		grouping->is_full = true;
}

static inline Partition *
partition_of(Grouping *grouping, uint32 hash)
{
	return &grouping->partitions[hash >> (32 - PARTITION_BITS)];
}

/* Room for an entry, which is of some size below the bound of memory chunks. */
static inline Entry *
make_entry(Grouping *grouping, uint32 hash, Size size)
{
	Partition  *partition = partition_of(grouping, hash);
	Entry	   *entry;

	if (unlikely(partition->used + size > grouping->room))
		work_off(grouping, partition);
	if (unlikely(partition->buffer == NULL))
		partition->buffer = MemoryContextAlloc(grouping->cxt, grouping->room);
	entry = (Entry *) (partition->buffer + partition->used);
	partition->used += size;
	entry->hash = hash;
	entry->size = (uint32) size;
	return entry;
}

/* An entry that is filled outside, and then added by add_large(). */
static Entry *
make_large(Grouping *grouping, uint32 hash, Size size)
{
	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a row to be grouped is too large"),
				 errdetail("Key and amount take %zu bytes.", size)));
	if (grouping->entry_room < size)
	{
		if (grouping->entry != NULL)
			pfree(grouping->entry);
		grouping->entry = NULL;
		grouping->entry = MemoryContextAlloc(grouping->cxt, size);
		grouping->entry_room = size;
	}
	grouping->entry->hash = hash;
	grouping->entry->size = (uint32) size;
	return grouping->entry;
}

static void
add_large(Grouping *grouping, Entry *entry)
{
	Partition  *partition = partition_of(grouping, entry->hash);

	work_off(grouping, partition);
	add_entries(grouping, partition, (char *) entry, (char *) entry + size_of(entry));
}

/* An entry as it comes from a file. */
static void
add_entry(Grouping *grouping, const Entry *entry)
{
	uint32		size = size_of(entry);

	if (size <= grouping->room)
		memcpy(make_entry(grouping, entry->hash, size), entry, size);
	else
		add_large(grouping, (Entry *) entry);
}

/* Values of an unusual row as bytes; 0: a usual one. */
static Size
measure_unusual(const Datum *values, const bool *isnull, struct varlena **amount)
{
	*amount = NULL;
	if (values == NULL)
		return 0;
	if (isnull[0])
		return MAXALIGN(sizeof(UnusualRow));
	*amount = PG_DETOAST_DATUM(values[0]);
	return MAXALIGN(sizeof(UnusualRow) + VARSIZE(*amount));
}

static void
write_unusual(Grouping *grouping, char *to, const Datum *values,
			  const bool *isnull, const struct varlena *amount)
{
	UnusualRow *row = (UnusualRow *) to;

	memset(row, 0, sizeof(UnusualRow));
	for (int i = 0; i < grouping->subject.nvalues; i++)
	{
		row->isnull[i] = isnull[i];
		if (i > 0 && !isnull[i])
			row->dates[i] = DatumGetDateADT(values[i]);
	}
	if (amount != NULL)
		memcpy(row + 1, amount, VARSIZE(amount));
}

/* Adds any row: what is behind the key is its values, unless data are given. */
static void
add_row(Grouping *grouping, const Datum *row, const bool *isnull,
		const int64 *data)
{
	MemoryContext caller = MemoryContextSwitchTo(grouping->row_cxt);
	Datum		key[GROUPING_MAX_KEYS];
	const Datum *values = data == NULL ? row + grouping->keys.n : NULL;
	struct varlena *amount;
	Size		key_size;
	Size		size;
	int64		word;
	char	   *bytes;
	uint32		hash;
	uint32		flags = data == NULL ? IS_UNUSUAL : 0;
	Entry	   *entry;

	memcpy(key, row, grouping->keys.n * sizeof(Datum));
	if (grouping->keys.is_word)
	{
		key_size = sizeof(int64);
		word = 0;
		if (isnull[0])
			flags |= IS_NULL;
		else
			word = word_of(&grouping->keys.columns[0], key[0]);
		bytes = (char *) &word;
		hash = hash_word(word);
	}
	else
	{
		key_size = grouping_key_measure(&grouping->keys, key, isnull);
		bytes = key_size <= sizeof(grouping->key) ? (char *) grouping->key :
			palloc(key_size);
		grouping_key_write(&grouping->keys, bytes, key, isnull);
		hash = grouping_key_hash(&grouping->keys, bytes, key_size);
	}
	size = sizeof(Entry) + key_size +
		measure_unusual(values, isnull + grouping->keys.n, &amount);
	entry = size <= grouping->room ? make_entry(grouping, hash, size) :
		make_large(grouping, hash, size);
	entry->size |= flags;
	if (data != NULL)
		memcpy(entry->data, data, sizeof(entry->data));
	else
	{
		entry->data[0] = (int64) key_size;
		entry->data[1] = 0;
		write_unusual(grouping, (char *) (entry + 1) + key_size, values,
					  isnull + grouping->keys.n, amount);
	}
	memcpy(entry + 1, bytes, key_size);
	if (size > grouping->room)
		add_large(grouping, entry);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(grouping->row_cxt);
}

/* The group there is where the key has no columns. */
static void *
only_group(Grouping *grouping)
{
	if (grouping->only == NULL)
		grouping->only = grouping->subject.begin(grouping->subject.subject,
												 grouping->group_cxt);
	return grouping->only;
}

/* Adds a usual row, which has the columns of a key and is these data else. */
void
grouping_add(Grouping *grouping, const Datum *key, const bool *isnull,
			 const int64 *data)
{
	if (likely(grouping->keys.is_word && !isnull[0]))
	{
		int64		word = word_of(&grouping->keys.columns[0], key[0]);
		Entry	   *entry = make_entry(grouping, hash_word(word),
									   sizeof(Entry) + sizeof(word));

		entry->data[0] = data[0];
		entry->data[1] = data[1];
		*(int64 *) (entry + 1) = word;
	}
	else if (grouping->keys.n == 0)
		memcpy(backlog_put(grouping->subject.backlog, only_group(grouping)), data,
			   2 * sizeof(int64));
	else
		add_row(grouping, key, isnull, data);
}

/* Adds a row that has to be looked at again: columns of a key, then values. */
void
grouping_add_unusual(Grouping *grouping, const Datum *row, const bool *isnull)
{
	NullableDatum values[GROUPING_MAX_VALUES] = {0};
	MemoryContext caller;

	if (grouping->keys.n > 0)
	{
		add_row(grouping, row, isnull, NULL);
		return;
	}
	for (int i = 0; i < grouping->subject.nvalues; i++)
		values[i] = (NullableDatum) {row[i], isnull[i]};
	caller = MemoryContextSwitchTo(grouping->row_cxt);
	grouping->subject.add_unusual(grouping->subject.subject, only_group(grouping),
								  values);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(grouping->row_cxt);
}

/* --- beginning and end ---------------------------------------------------- */

/*
 * The first columns of the rows to come are the key.  Everything lives in the
 * current memory context.
 */
Grouping *
grouping_make(const GroupingSubject *subject, TupleDesc columns, int nkeys,
			  Size memory)
{
	Grouping   *grouping = palloc0(sizeof(Grouping));
	Size		room = memory / 4 / PARTITIONS;

	grouping->subject = *subject;
	grouping->cxt = CurrentMemoryContext;
	grouping->group_cxt = AllocSetContextCreate(CurrentMemoryContext,
												"credit groups",
												ALLOCSET_SMALL_SIZES);
	grouping->row_cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "credit row to be grouped",
											  ALLOCSET_DEFAULT_SIZES);
	grouping->work_cxt = AllocSetContextCreate(CurrentMemoryContext,
											   "credit rows being grouped",
											   ALLOCSET_DEFAULT_SIZES);
	grouping->room = (uint32) TYPEALIGN(64, Max(Min(room, MAX_BUFFER), MIN_BUFFER));
	grouping->limit = Max(memory - Min(memory, grouping->room * PARTITIONS),
						  memory / 2);
	grouping_key_make(&grouping->keys, columns, nkeys, grouping->cxt);
	return grouping;
}

static void
end_group(Grouping *grouping, const Group *group)
{
	NullableDatum key[GROUPING_MAX_KEYS];
	MemoryContext caller = MemoryContextSwitchTo(grouping->work_cxt);

	CHECK_FOR_INTERRUPTS();
	if (grouping->keys.is_word)
		key[0] = (NullableDatum) {(Datum) group->key[0], (group->size & IS_NULL) != 0};
	else
		grouping_key_read(&grouping->keys, (const char *) group->key, key);
	grouping->subject.end(grouping->subject.subject, key, group->state);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(grouping->work_cxt);
}

/* Ends and forgets all groups there are, and remembers the files there are. */
static void
end_groups(Grouping *grouping)
{
	for (int p = 0; p < PARTITIONS; p++)
		if (grouping->partitions[p].used > 0)
			work_off(grouping, &grouping->partitions[p]);
	backlog_settle(grouping->subject.backlog);
	for (int p = 0; p < PARTITIONS; p++)
	{
		Partition  *partition = &grouping->partitions[p];

		for (uint32 i = 0; i < partition->nslots; i++)
			if (partition->slots[i].group != NULL)
				end_group(grouping, partition->slots[i].group);
		if (partition->cxt != NULL)
			MemoryContextDelete(partition->cxt);
		partition->cxt = NULL;
		partition->slots = NULL;
		partition->nslots = partition->ngroups = 0;
		if (partition->file != NULL)
		{
			PutOff	   *file = palloc(sizeof(PutOff));

			file->file = partition->file;
			file->size = partition->file_size;
			file->level = grouping->level + 1;
			grouping->put_off = lappend(grouping->put_off, file);
			partition->file = NULL;
		}
	}
	grouping->is_full = false;
}

/*
 * Adds the rows of a file.  Their hashes have the bits in common by which they
 * came into it, so they are turned into others.
 */
static void
add_file(Grouping *grouping, PutOff *from)
{
	int64		at = 0;
	Entry	   *entry = palloc(grouping->room);
	Size		room = grouping->room;

	grouping->level = from->level;
	if (BufFileSeek(from->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind a temporary file")));
	while (at < from->size)
	{
		Entry		head;

		read_exactly(from->file, &head, sizeof(Entry));
		if (size_of(&head) > room)
		{
			pfree(entry);
			room = size_of(&head);
			entry = palloc(room);
		}
		*entry = head;
		read_exactly(from->file, entry + 1, size_of(&head) - sizeof(Entry));
		at += size_of(&head);
		entry->hash = murmurhash32(entry->hash + 0x9e3779b9);
		add_entry(grouping, entry);
	}
	BufFileClose(from->file);
	pfree(entry);
	pfree(from);
}

/* There are no more rows. */
void
grouping_end(Grouping *grouping)
{
	MemoryContext caller = MemoryContextSwitchTo(grouping->cxt);

	if (grouping->keys.n == 0)
	{
		backlog_settle(grouping->subject.backlog);
		grouping->subject.end(grouping->subject.subject, NULL, grouping->only);
	}
	else
		end_groups(grouping);
	while (grouping->put_off != NIL)
	{
		PutOff	   *file = linitial(grouping->put_off);

		grouping->put_off = list_delete_first(grouping->put_off);
		add_file(grouping, file);
		end_groups(grouping);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * family_member.c
 *	  The documents of a family, each looked up and locked once.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"

#include "credit.h"
#include "directory.h"
#include "family_member.h"
#include "setting.h"

/* Key of Family.members. */
typedef struct MemberKey
{
	int32		source_id;
	const char *key;
} MemberKey;

typedef struct Member
{
	MemberKey	key;			/* hash key, must be first */
	Document   *document;
} Member;

static uint32
member_hash(const void *key, Size size)
{
	const MemberKey *member = key;

	return hash_combine(string_hash(member->key, strlen(member->key) + 1),
						member->source_id);
}

static int
member_match(const void *a, const void *b, Size size)
{
	const MemberKey *x = a;
	const MemberKey *y = b;

	return x->source_id != y->source_id || strcmp(x->key, y->key) != 0;
}

Family *
family_create(LedgerRel *items, bool trusts_inserts)
{
	Family	   *family = palloc0(sizeof(Family));
	HASHCTL		ctl;

	family->items = items;
	family->has_references = directory()->has_references;
	family->trusts_inserts = trusts_inserts;
	family->today = credit_today();
	family->allocated = 8;
	family->documents = palloc(sizeof(Document *) * family->allocated);
	if (!family->has_references)
		return family;
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(MemberKey);
	ctl.entrysize = sizeof(Member);
	ctl.hash = member_hash;
	ctl.match = member_match;
	ctl.hcxt = CurrentMemoryContext;
	family->members = hash_create("credit family", 64, &ctl,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	return family;
}

/* A new document in the family, of which nothing is known yet. */
Document *
family_add(Family *family, const CreditSource *source, const char *key)
{
	Document   *document = palloc(sizeof(Document));

	memset(document, 0, offsetof(Document, old));
	memset(&document->old, 0, offsetof(CreditItem, values));
	memset(&document->new, 0, offsetof(CreditItem, values));
	memset(&document->posted, 0, sizeof(Document) - offsetof(Document, posted));
	document->source = source;
	document->key = key;
	if (family->n == family->allocated)
	{
		family->allocated *= 2;
		family->documents = repalloc_huge(family->documents,
										  sizeof(Document *) * family->allocated);
	}
	family->documents[family->n++] = document;
	return document;
}

/* The member of the family with a key; found: it was there before. */
Document *
family_member(Family *family, const CreditSource *source, const char *key, bool *found)
{
	MemberKey	wanted = {source->source_id, key};
	Member	   *member = hash_search(family->members, &wanted, HASH_ENTER, found);

	if (!*found)
	{
		member->key.key = pstrdup(key);
		member->document = family_add(family, source, member->key.key);
	}
	return member->document;
}

/* A document as the table has it, locked; looked up once. */
Document *
family_document(Family *family, const CreditSource *source, const char *key)
{
	bool		found;
	Document   *document = family_member(family, source, key, &found);

	if (found)
		return document;
	item_find_locked(family->items, source->source_id, key, &document->old);
	document->new = document->old;
	CHECK_FOR_INTERRUPTS();
	return document;
}

/* Makes sure that a key which a document names has a row. */
void
family_hold_key(Family *family, Document *document)
{
	while (!document->new.is_row)
	{
		if (item_hold_key(family->items, document->source->source_id, document->key))
			CommandCounterIncrement();	/* to be seen, and changed, by us */
		item_find_locked(family->items, document->source->source_id,
						 document->key, &document->old);
		document->new = document->old;
	}
}

int
family_compare(const void *a, const void *b)
{
	const Document *x = *(Document *const *) a;
	const Document *y = *(Document *const *) b;

	if (x->source->source_id != y->source->source_id)
		return x->source->source_id < y->source->source_id ? -1 : 1;
	return strcmp(x->key, y->key);
}

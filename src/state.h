/*
 * state.h
 *	  What storable states have in common; see state.c.
 */
#ifndef CREDIT_STATE_H
#define CREDIT_STATE_H

#include "fmgr.h"

#include "daymap.h"
#include "finesum.h"
#include "money.h"

#define STATE_VERSION 1

/* The second byte of a state says of which type it is. */
typedef enum StateTag
{
	TAG_PAYMENT = 1,
	TAG_AGING = 2
} StateTag;

/*
 * What every tally begins with.  A tally is what rows and states are added up
 * in; most of a group's wait until somebody wants to know.
 */
typedef struct StateTally
{
	MemoryContext cxt;
	char	   *waiting;		/* notes of rows, and states */
	uint32		used;
	uint32		room;
	bool		has_sums;		/* not all there is waits */
} StateTally;

/*
 * A type of states.  Lists are what a state is made of, in order; a note is what
 * a row is in the meantime.
 */
typedef struct StateType
{
	const char *name;
	StateTag	tag;
	Size		tally_size;
	Size		lists_size;
	Size		note_size;
	void		(*init) (void *tally);
	/* adds a note (sign 1), or takes it out (-1); so with lists */
	void		(*add_note) (void *tally, const void *note, int sign);
	void		(*add_lists) (void *tally, const void *lists, int sign);
	/* adds lists to lists; false, and nothing done: it takes a tally */
	bool		(*merge_lists) (void *lists, const void *other);
	/* false: there is less than nothing of something */
	bool		(*list) (const void *tally, void *lists);
	/* whether lists belong together */
	bool		(*is_consistent) (const void *lists);
	void		(*pack) (StringInfo buf, const void *lists);
	void		(*unpack) (Unpack *from, void *lists);
} StateType;

extern Datum state_in(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_out(FunctionCallInfo fcinfo);
extern Datum state_receive(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_send(FunctionCallInfo fcinfo);

extern void *state_of_group(FunctionCallInfo fcinfo, const StateType *type);
extern void state_note(void *tally, const StateType *type, const void *note,
					   int sign);
extern void state_touch(void *tally);
extern Datum state_merge(FunctionCallInfo fcinfo, const StateType *type, int sign);
extern Datum state_combine(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_pack(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_deserialize(FunctionCallInfo fcinfo, const StateType *type);

extern Datum state_arithmetic(FunctionCallInfo fcinfo, const StateType *type,
							  int sign);
extern void state_read(FunctionCallInfo fcinfo, int arg, const StateType *type,
					   void *lists);

extern int64 state_unit(int decimals);
extern int	state_decimals(const DaySums *decimals);

#endif							/* CREDIT_STATE_H */

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
 * A type of states.  A tally is what a state is unpacked into, and rows are
 * counted in; it begins with the memory it lives in.
 */
typedef struct StateType
{
	const char *name;
	StateTag	tag;
	Size		tally_size;
	void		(*init) (void *tally);
	/* adds a state (sign 1) or takes it out (-1) */
	void		(*unpack) (void *tally, Unpack *from, int sign);
	/* NULL: there is less than nothing of something */
	bytea	   *(*pack) (const void *tally);
} StateType;

extern Datum state_in(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_out(FunctionCallInfo fcinfo);
extern Datum state_receive(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_send(FunctionCallInfo fcinfo);

extern void *state_of_group(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_merge(FunctionCallInfo fcinfo, const StateType *type, int sign);
extern Datum state_combine(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_pack(FunctionCallInfo fcinfo, const StateType *type);
extern Datum state_deserialize(FunctionCallInfo fcinfo, const StateType *type);

extern Datum state_arithmetic(FunctionCallInfo fcinfo, const StateType *type,
							  int sign);
extern void *state_read(FunctionCallInfo fcinfo, int arg, const StateType *type);

extern void state_begin(StringInfo buf, StateTag tag);
extern bytea *state_end(StringInfo buf);
extern int64 state_unit(int decimals);
extern int	state_decimals(const DaySums *decimals);
extern void state_refuse(const char *type) pg_attribute_noreturn();
extern void state_refuse_difference(const char *type) pg_attribute_noreturn();

#endif							/* CREDIT_STATE_H */

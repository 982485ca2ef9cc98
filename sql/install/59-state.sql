/*
 * Subject state: payment profiles and agings that are stored, added and
 * subtracted.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/state.c, src/state_payment.c, src/state_aging.c.
 */
CREATE TYPE credit.payment_state;

CREATE FUNCTION credit.payment_state_in(cstring) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_in';
COMMENT ON FUNCTION credit.payment_state_in(cstring) IS 'Part of type payment_state: reads its text, and refuses what is not one.';

CREATE FUNCTION credit.payment_state_out(credit.payment_state) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_out';
COMMENT ON FUNCTION credit.payment_state_out(credit.payment_state) IS 'Part of type payment_state: its text, which is its bytes in hexadecimal.';

CREATE FUNCTION credit.payment_state_receive(internal) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_receive';
COMMENT ON FUNCTION credit.payment_state_receive(internal) IS 'Part of type payment_state: reads its bytes, and refuses what is not one.';

CREATE FUNCTION credit.payment_state_send(credit.payment_state) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_send';
COMMENT ON FUNCTION credit.payment_state_send(credit.payment_state) IS 'Part of type payment_state: its bytes.';

CREATE TYPE credit.payment_state (
	INPUT = credit.payment_state_in, OUTPUT = credit.payment_state_out,
	RECEIVE = credit.payment_state_receive, SEND = credit.payment_state_send,
	INTERNALLENGTH = VARIABLE, STORAGE = extended);
COMMENT ON TYPE credit.payment_state IS
'What a payment profile is made of, in a form that is stored, added and subtracted: counts and sums by day. payment_measures() reads it.';

CREATE CAST (credit.payment_state AS bytea) WITHOUT FUNCTION;
COMMENT ON CAST (credit.payment_state AS bytea) IS 'Its bytes: equal states are equal bytes.';

CREATE FUNCTION credit.payment_state_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_accum';
COMMENT ON FUNCTION credit.payment_state_accum(internal, numeric, date, date, date) IS 'Part of aggregate payment_state(): adds a row.';

CREATE FUNCTION credit.payment_state_remove(internal, amount numeric, invoice_date date, due_date date, paid_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_remove';
COMMENT ON FUNCTION credit.payment_state_remove(internal, numeric, date, date, date) IS 'Part of aggregate payment_state(): takes a row out of a moving window.';

CREATE FUNCTION credit.payment_state_accum(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_accum';
COMMENT ON FUNCTION credit.payment_state_accum(internal, numeric, date, date, date, date) IS 'Part of aggregate payment_state(): adds a row.';

CREATE FUNCTION credit.payment_state_remove(internal, amount numeric, invoice_date date, due_date date, paid_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_remove';
COMMENT ON FUNCTION credit.payment_state_remove(internal, numeric, date, date, date, date) IS 'Part of aggregate payment_state(): takes a row out of a moving window.';

CREATE FUNCTION credit.payment_state_merge(internal, state credit.payment_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_merge';
COMMENT ON FUNCTION credit.payment_state_merge(internal, credit.payment_state) IS 'Part of aggregate merge(): adds a state.';

CREATE FUNCTION credit.payment_state_unmerge(internal, state credit.payment_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_unmerge';
COMMENT ON FUNCTION credit.payment_state_unmerge(internal, credit.payment_state) IS 'Part of aggregate merge(): takes a state out of a moving window.';

CREATE FUNCTION credit.payment_state_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_combine';
COMMENT ON FUNCTION credit.payment_state_combine(internal, internal) IS 'Part of aggregates payment_state() and merge(): adds what another process has counted.';

CREATE FUNCTION credit.payment_state_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_serialize';
COMMENT ON FUNCTION credit.payment_state_serialize(internal) IS 'Part of aggregates payment_state() and merge(): what was counted, for another process.';

CREATE FUNCTION credit.payment_state_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_deserialize';
COMMENT ON FUNCTION credit.payment_state_deserialize(bytea, internal) IS 'Part of aggregates payment_state() and merge(): what another process has counted.';

CREATE FUNCTION credit.payment_state_final(internal) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_final';
COMMENT ON FUNCTION credit.payment_state_final(internal) IS 'Part of aggregates payment_state() and merge(): the state.';

CREATE AGGREGATE credit.payment_state(amount numeric, invoice_date date, due_date date, paid_date date) (
	SFUNC = credit.payment_state_accum, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.payment_state_final,
	COMBINEFUNC = credit.payment_state_combine,
	SERIALFUNC = credit.payment_state_serialize, DESERIALFUNC = credit.payment_state_deserialize,
	MSFUNC = credit.payment_state_accum, MINVFUNC = credit.payment_state_remove,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.payment_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_state(numeric, date, date, date) IS
'The state of payment_profile() over the same rows. Read it with payment_measures(), as of any day on which nothing in it was still to come.';

CREATE AGGREGATE credit.payment_state(amount numeric, invoice_date date, due_date date, paid_date date, as_of date) (
	SFUNC = credit.payment_state_accum, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.payment_state_final,
	COMBINEFUNC = credit.payment_state_combine,
	SERIALFUNC = credit.payment_state_serialize, DESERIALFUNC = credit.payment_state_deserialize,
	MSFUNC = credit.payment_state_accum, MINVFUNC = credit.payment_state_remove,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.payment_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.payment_state(numeric, date, date, date, date) IS
'The same as of a date: what is paid later is open, what is invoiced later is left out. Such a state is read as of that date only.';

CREATE AGGREGATE credit.merge(state credit.payment_state) (
	SFUNC = credit.payment_state_merge, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.payment_state_final,
	COMBINEFUNC = credit.payment_state_combine,
	SERIALFUNC = credit.payment_state_serialize, DESERIALFUNC = credit.payment_state_deserialize,
	MSFUNC = credit.payment_state_merge, MINVFUNC = credit.payment_state_unmerge,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.payment_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.merge(credit.payment_state) IS
'The state of the rows of all states, whatever they were split by.';

CREATE FUNCTION credit.add(credit.payment_state, credit.payment_state) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_add';
COMMENT ON FUNCTION credit.add(credit.payment_state, credit.payment_state) IS 'The state of the rows of both.';

CREATE OPERATOR credit.+ (LEFTARG = credit.payment_state, RIGHTARG = credit.payment_state, FUNCTION = credit.add, COMMUTATOR = OPERATOR(credit.+));
COMMENT ON OPERATOR credit.+ (credit.payment_state, credit.payment_state) IS 'The state of the rows of both: add().';

CREATE FUNCTION credit.subtract(credit.payment_state, credit.payment_state) RETURNS credit.payment_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_state_subtract';
COMMENT ON FUNCTION credit.subtract(credit.payment_state, credit.payment_state) IS 'The state of the rows of the first that are not in the second; an error if the second is not part of the first.';

CREATE OPERATOR credit.- (LEFTARG = credit.payment_state, RIGHTARG = credit.payment_state, FUNCTION = credit.subtract);
COMMENT ON OPERATOR credit.- (credit.payment_state, credit.payment_state) IS 'What is left of the first without the second: subtract().';

CREATE FUNCTION credit.payment_measures
	(state credit.payment_state, as_of date DEFAULT NULL,
	 grace_days integer DEFAULT 0, half_life integer DEFAULT 90)
RETURNS credit.payment_measures
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_payment_measures';
COMMENT ON FUNCTION credit.payment_measures(credit.payment_state, date, integer, integer) IS
'What payment_profile() says of the rows of a state, to the last digit: as of a date, with grace days and half-life in days. A NULL state has no rows.';

CREATE TYPE credit.aging_state;

CREATE FUNCTION credit.aging_state_in(cstring) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_in';
COMMENT ON FUNCTION credit.aging_state_in(cstring) IS 'Part of type aging_state: reads its text, and refuses what is not one.';

CREATE FUNCTION credit.aging_state_out(credit.aging_state) RETURNS cstring
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_out';
COMMENT ON FUNCTION credit.aging_state_out(credit.aging_state) IS 'Part of type aging_state: its text, which is its bytes in hexadecimal.';

CREATE FUNCTION credit.aging_state_receive(internal) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_receive';
COMMENT ON FUNCTION credit.aging_state_receive(internal) IS 'Part of type aging_state: reads its bytes, and refuses what is not one.';

CREATE FUNCTION credit.aging_state_send(credit.aging_state) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_send';
COMMENT ON FUNCTION credit.aging_state_send(credit.aging_state) IS 'Part of type aging_state: its bytes.';

CREATE TYPE credit.aging_state (
	INPUT = credit.aging_state_in, OUTPUT = credit.aging_state_out,
	RECEIVE = credit.aging_state_receive, SEND = credit.aging_state_send,
	INTERNALLENGTH = VARIABLE, STORAGE = extended);
COMMENT ON TYPE credit.aging_state IS
'What an aging is made of, for any day: open amounts by due date, debts and credits apart. aging_buckets() reads it.';

CREATE CAST (credit.aging_state AS bytea) WITHOUT FUNCTION;
COMMENT ON CAST (credit.aging_state AS bytea) IS 'Its bytes: equal states are equal bytes.';

CREATE FUNCTION credit.aging_state_accum(internal, open_amount numeric, due_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_accum';
COMMENT ON FUNCTION credit.aging_state_accum(internal, numeric, date) IS 'Part of aggregate aging_state(): adds a row.';

CREATE FUNCTION credit.aging_state_remove(internal, open_amount numeric, due_date date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_remove';
COMMENT ON FUNCTION credit.aging_state_remove(internal, numeric, date) IS 'Part of aggregate aging_state(): takes a row out of a moving window.';

CREATE FUNCTION credit.aging_state_merge(internal, state credit.aging_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_merge';
COMMENT ON FUNCTION credit.aging_state_merge(internal, credit.aging_state) IS 'Part of aggregate merge(): adds a state.';

CREATE FUNCTION credit.aging_state_unmerge(internal, state credit.aging_state) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_unmerge';
COMMENT ON FUNCTION credit.aging_state_unmerge(internal, credit.aging_state) IS 'Part of aggregate merge(): takes a state out of a moving window.';

CREATE FUNCTION credit.aging_state_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_combine';
COMMENT ON FUNCTION credit.aging_state_combine(internal, internal) IS 'Part of aggregates aging_state() and merge(): adds what another process has counted.';

CREATE FUNCTION credit.aging_state_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_serialize';
COMMENT ON FUNCTION credit.aging_state_serialize(internal) IS 'Part of aggregates aging_state() and merge(): what was counted, for another process.';

CREATE FUNCTION credit.aging_state_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_deserialize';
COMMENT ON FUNCTION credit.aging_state_deserialize(bytea, internal) IS 'Part of aggregates aging_state() and merge(): what another process has counted.';

CREATE FUNCTION credit.aging_state_final(internal) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_final';
COMMENT ON FUNCTION credit.aging_state_final(internal) IS 'Part of aggregates aging_state() and merge(): the state.';

CREATE AGGREGATE credit.aging_state(open_amount numeric, due_date date) (
	SFUNC = credit.aging_state_accum, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.aging_state_final,
	COMBINEFUNC = credit.aging_state_combine,
	SERIALFUNC = credit.aging_state_serialize, DESERIALFUNC = credit.aging_state_deserialize,
	MSFUNC = credit.aging_state_accum, MINVFUNC = credit.aging_state_remove,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.aging_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging_state(numeric, date) IS
'Open amounts by due date, from which aging_buckets() gives the aging as of any day, with any bounds and credit mode.';

CREATE AGGREGATE credit.merge(state credit.aging_state) (
	SFUNC = credit.aging_state_merge, STYPE = internal, SSPACE = 2048,
	FINALFUNC = credit.aging_state_final,
	COMBINEFUNC = credit.aging_state_combine,
	SERIALFUNC = credit.aging_state_serialize, DESERIALFUNC = credit.aging_state_deserialize,
	MSFUNC = credit.aging_state_merge, MINVFUNC = credit.aging_state_unmerge,
	MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = credit.aging_state_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.merge(credit.aging_state) IS
'The state of the rows of all states, whatever they were split by.';

CREATE FUNCTION credit.add(credit.aging_state, credit.aging_state) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_add';
COMMENT ON FUNCTION credit.add(credit.aging_state, credit.aging_state) IS 'The state of the rows of both.';

CREATE OPERATOR credit.+ (LEFTARG = credit.aging_state, RIGHTARG = credit.aging_state, FUNCTION = credit.add, COMMUTATOR = OPERATOR(credit.+));
COMMENT ON OPERATOR credit.+ (credit.aging_state, credit.aging_state) IS 'The state of the rows of both: add().';

CREATE FUNCTION credit.subtract(credit.aging_state, credit.aging_state) RETURNS credit.aging_state
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_state_subtract';
COMMENT ON FUNCTION credit.subtract(credit.aging_state, credit.aging_state) IS 'The state of the rows of the first that are not in the second; an error if the second is not part of the first.';

CREATE OPERATOR credit.- (LEFTARG = credit.aging_state, RIGHTARG = credit.aging_state, FUNCTION = credit.subtract);
COMMENT ON OPERATOR credit.- (credit.aging_state, credit.aging_state) IS 'What is left of the first without the second: subtract().';

CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date) RETURNS credit.aging_buckets
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date) IS
'What aging() says of the rows of a state as of a date. A NULL state has no rows.';

CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, credits text) RETURNS credit.aging_buckets
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, text) IS
'The same with a credit mode: separate, own or oldest, which pays within the state.';

CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, bounds integer[]) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets_bounds';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, integer[]) IS
'The same with buckets of one''s own.';

CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, bounds integer[], credits text) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets_bounds';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, integer[], text) IS
'The same with bounds and credit mode.';

CREATE FUNCTION credit.aging_buckets(state credit.aging_state, as_of date, bounds integer[], credits text, basis text) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_buckets_bounds';
COMMENT ON FUNCTION credit.aging_buckets(credit.aging_state, date, integer[], text, text) IS
'The same with bounds, credit mode and basis: due, or document where the state was made of document dates.';

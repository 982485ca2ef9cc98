/*
 * Subject aging: open amounts by how long they are overdue.
 *
 * Functions over arguments only: they read no table of the extension and serve
 * over anybody's tables.  src/aging.c.
 */
CREATE TYPE credit.aging_buckets AS (
	current numeric,
	d1_30 numeric,
	d31_60 numeric,
	d61_90 numeric,
	d91_120 numeric,
	d121_plus numeric,
	undated numeric,
	credits numeric,
	total numeric,
	n_skipped bigint);
COMMENT ON TYPE credit.aging_buckets IS
'Open amounts by days past due, in the currency of the amounts. All columns but total and n_skipped add up to total; NULL where there was no amount at all.';
COMMENT ON COLUMN credit.aging_buckets.current IS 'Due on the as-of date or later.';
COMMENT ON COLUMN credit.aging_buckets.d1_30 IS '1 to 30 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d31_60 IS '31 to 60 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d61_90 IS '61 to 90 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d91_120 IS '91 to 120 days past due.';
COMMENT ON COLUMN credit.aging_buckets.d121_plus IS 'More than 120 days past due.';
COMMENT ON COLUMN credit.aging_buckets.undated IS 'Without a due date or without an as-of date.';
COMMENT ON COLUMN credit.aging_buckets.credits IS 'Negative: all credits (credit mode separate), what the debts did not use up (oldest), or 0 (own).';
COMMENT ON COLUMN credit.aging_buckets.total IS 'The balance: the sum of all amounts, the same in every credit mode.';
COMMENT ON COLUMN credit.aging_buckets.n_skipped IS 'Number of rows left out because their amount is NULL.';

CREATE TYPE credit.aging_array AS (
	bounds integer[],
	buckets numeric[],
	undated numeric,
	credits numeric,
	total numeric,
	n_skipped bigint);
COMMENT ON TYPE credit.aging_array IS
'Open amounts by buckets with bounds of one''s own, in the currency of the amounts. Buckets, undated and credits add up to total.';
COMMENT ON COLUMN credit.aging_array.bounds IS 'Upper bounds in days of all buckets but the last. By document date the first is -1, the bound of what is dated after the as-of date.';
COMMENT ON COLUMN credit.aging_array.buckets IS 'Sum of each bucket, one more than there are bounds: element aging_bucket() + 1 is the bucket of a date.';
COMMENT ON COLUMN credit.aging_array.undated IS 'Without a date or without an as-of date.';
COMMENT ON COLUMN credit.aging_array.credits IS 'Negative: all credits (credit mode separate), what the debts did not use up (oldest), or 0 (own).';
COMMENT ON COLUMN credit.aging_array.total IS 'The balance: the sum of all amounts, the same in every credit mode.';
COMMENT ON COLUMN credit.aging_array.n_skipped IS 'Number of rows left out because their amount is NULL.';

CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date) IS 'Part of aggregate aging(): adds a row.';

CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date) IS 'Part of aggregate aging(): takes a row out of a moving window.';

CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_credits';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, text) IS 'Part of aggregate aging(): adds a row.';

CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, text) IS 'Part of aggregate aging(): takes a row out of a moving window.';

CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, bounds integer[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_bounds';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, integer[]) IS 'Part of aggregate aging(): adds a row.';

CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, bounds integer[]) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, integer[]) IS 'Part of aggregate aging(): takes a row out of a moving window.';

CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_bounds';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, integer[], text) IS 'Part of aggregate aging(): adds a row.';

CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, integer[], text) IS 'Part of aggregate aging(): takes a row out of a moving window.';

CREATE FUNCTION credit.aging_accum(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text, basis text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_accum_bounds';
COMMENT ON FUNCTION credit.aging_accum(internal, numeric, date, date, integer[], text, text) IS 'Part of aggregate aging(): adds a row.';

CREATE FUNCTION credit.aging_remove(internal, open_amount numeric, due_date date, as_of date, bounds integer[], credits text, basis text) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_remove';
COMMENT ON FUNCTION credit.aging_remove(internal, numeric, date, date, integer[], text, text) IS 'Part of aggregate aging(): takes a row out of a moving window.';

CREATE FUNCTION credit.aging_combine(internal, internal) RETURNS internal
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_combine';
COMMENT ON FUNCTION credit.aging_combine(internal, internal) IS 'Part of aggregate aging(): adds what another process has added up.';

CREATE FUNCTION credit.aging_serialize(internal) RETURNS bytea
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_serialize';
COMMENT ON FUNCTION credit.aging_serialize(internal) IS 'Part of aggregate aging(): its state for another process.';

CREATE FUNCTION credit.aging_deserialize(bytea, internal) RETURNS internal
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_deserialize';
COMMENT ON FUNCTION credit.aging_deserialize(bytea, internal) IS 'Part of aggregate aging(): the state of another process.';

CREATE FUNCTION credit.aging_final(internal) RETURNS credit.aging_buckets
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_final';
COMMENT ON FUNCTION credit.aging_final(internal) IS 'Part of aggregate aging(): the result with the default buckets.';

CREATE FUNCTION credit.aging_array_final(internal) RETURNS credit.aging_array
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_array_final';
COMMENT ON FUNCTION credit.aging_array_final(internal) IS 'Part of aggregate aging(): the result with other buckets.';

CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 144,
	FINALFUNC = credit.aging_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 144, MFINALFUNC = credit.aging_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date) IS
'Open amounts by days past due: current, 1-30, 31-60, 61-90, 91-120, over 120; credits in a column of their own. Use it per customer and currency.';

CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, credits text) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 144,
	FINALFUNC = credit.aging_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 144, MFINALFUNC = credit.aging_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, text) IS
'The same with a credit mode: separate (a column of their own), own (each credit in the bucket of its own date), oldest (taken off the oldest buckets of the group).';

CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, bounds integer[]) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 256, MFINALFUNC = credit.aging_array_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, integer[]) IS
'The same with buckets of one''s own: strictly ascending upper bounds in days past due, 0 among them.';

CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, bounds integer[], credits text) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 256, MFINALFUNC = credit.aging_array_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, integer[], text) IS
'The same with bounds and credit mode.';

CREATE AGGREGATE credit.aging(open_amount numeric, due_date date, as_of date, bounds integer[], credits text, basis text) (
	SFUNC = credit.aging_accum, STYPE = internal, SSPACE = 256,
	FINALFUNC = credit.aging_array_final,
	COMBINEFUNC = credit.aging_combine,
	SERIALFUNC = credit.aging_serialize, DESERIALFUNC = credit.aging_deserialize,
	MSFUNC = credit.aging_accum, MINVFUNC = credit.aging_remove,
	MSTYPE = internal, MSSPACE = 256, MFINALFUNC = credit.aging_array_final,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE credit.aging(numeric, date, date, integer[], text, text) IS
'The same with bounds, credit mode and basis: due (days past due), or document: days since the document date, given in place of the due date, with documents of the future in a bucket in front.';

CREATE FUNCTION credit.aging_bucket
	(due_date date, as_of date, bounds integer[] DEFAULT '{0,30,60,90,120}',
	 basis text DEFAULT 'due')
RETURNS integer
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'credit_aging_bucket';
COMMENT ON FUNCTION credit.aging_bucket(date, date, integer[], text) IS
'Number of the bucket that aging() puts a date into, from 0; NULL: undated.';

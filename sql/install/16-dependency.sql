/*
 * Subject dependency: the tables that a source which is a view is made of.
 *
 * This piece has what the mapping of sources needs; depend() stands in
 * 42-dependency.sql, after attach().
 */
CREATE TABLE credit.dependency
(
	source_id	integer NOT NULL,
	relation	regclass NOT NULL,
	changed_keys text NOT NULL,
	declared_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	declared_by	text NOT NULL DEFAULT SESSION_USER,
	PRIMARY KEY (source_id, relation)
);
COMMENT ON TABLE credit.dependency IS
'Tables that the documents of a view are made of, as declared by depend(). View dependencies shows them with their health.';
COMMENT ON COLUMN credit.dependency.source_id IS 'Source, which is a view.';
COMMENT ON COLUMN credit.dependency.relation IS 'Table of the ERP.';
COMMENT ON COLUMN credit.dependency.changed_keys IS 'Query over relation changed (old and new rows of a statement) that returns the keys of the documents they belong to, fully qualified.';
COMMENT ON COLUMN credit.dependency.declared_at IS 'When it was declared.';
COMMENT ON COLUMN credit.dependency.declared_by IS 'Session user who declared it.';

CREATE FUNCTION credit.invalidate_dependency() RETURNS trigger
LANGUAGE c
AS 'MODULE_PATHNAME', 'credit_invalidate_dependency';
COMMENT ON FUNCTION credit.invalidate_dependency() IS
'Trigger on dependency: makes every session read the list of dependencies anew.';
CREATE TRIGGER invalidate_dependency AFTER INSERT OR UPDATE OR DELETE ON credit.dependency
	FOR EACH ROW EXECUTE FUNCTION credit.invalidate_dependency();
ALTER TABLE credit.dependency ENABLE ALWAYS TRIGGER invalidate_dependency;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON credit.dependency
	FOR EACH STATEMENT EXECUTE FUNCTION credit.refuse_change();

CREATE FUNCTION credit.check_view(relation regclass, fields jsonb) RETURNS void
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_check_view';
COMMENT ON FUNCTION credit.check_view(regclass, jsonb) IS
'Plans the queries of a view as its owner, as the triggers will; an error says why that cannot be done.';

CREATE FUNCTION credit.view_rows(relation regclass, fields jsonb) RETURNS SETOF record
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_view_rows';
COMMENT ON FUNCTION credit.view_rows(regclass, jsonb) IS
'What a view has, read through a mapping as the owner of the view; mapping_query() says with which columns.';

CREATE FUNCTION credit.normalise_changed_keys
	(view regclass, relation regclass, changed_keys text, path text)
RETURNS text
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_normalise_changed_keys';
COMMENT ON FUNCTION credit.normalise_changed_keys(regclass, regclass, text, text) IS
'Checks the key query of a dependency, reading its names along a search path, tries it as the owner of the view, and returns it with every name qualified.';

CREATE FUNCTION credit.reevaluate(source_id integer) RETURNS bigint
LANGUAGE c STRICT
AS 'MODULE_PATHNAME', 'credit_reevaluate';
COMMENT ON FUNCTION credit.reevaluate(integer) IS
'Looks at every document of a view and takes in what has become of it, without refusing any; returns how many there are, those that are gone included.';

/* The tables behind a view, through views it reads. */
CREATE FUNCTION credit.view_tables(relation regclass) RETURNS SETOF regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
WITH RECURSIVE reads (oid) AS
	(SELECT relation::oid
	 UNION
	 SELECT d.refobjid
	   FROM reads r
	   JOIN pg_class v ON v.oid = r.oid AND v.relkind = 'v'
	   JOIN pg_rewrite w ON w.ev_class = r.oid
	   JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
						AND d.refclassid = 'pg_class'::regclass)
SELECT c.oid::regclass
  FROM reads r JOIN pg_class c ON c.oid = r.oid
 WHERE c.relkind IN ('r', 'p', 'f', 'm')
 ORDER BY c.oid::regclass::text
$$;
COMMENT ON FUNCTION credit.view_tables(regclass) IS
'Tables that a view reads, through other views too. What its functions read is not known.';

CREATE FUNCTION credit.view_column
	(view regclass, name text, OUT relation regclass, OUT attname text)
RETURNS record
LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'credit_view_column';
COMMENT ON FUNCTION credit.view_column(regclass, text) IS
'The table and column that a column of a view hands on unchanged or as another type, through other views too; NULL where it is an expression.';

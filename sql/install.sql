--
-- install: what CREATE EXTENSION brings and DROP EXTENSION takes
--
\set SHOW_CONTEXT never
CREATE EXTENSION credit;

-- tables, views, sequences
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' END AS type, c.relname
  FROM pg_class c
 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'v', 'S')
 ORDER BY 1, c.relname COLLATE "C";

-- functions that people call
\pset format unaligned
SELECT p.oid::regprocedure AS function
  FROM pg_proc p
 WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype <> 'trigger'::regtype
 ORDER BY p.oid::regprocedure::text COLLATE "C";
\pset format aligned

-- trigger functions
SELECT p.proname FROM pg_proc p
 WHERE p.pronamespace = 'credit'::regnamespace AND p.prorettype = 'trigger'::regtype
 ORDER BY p.proname COLLATE "C";

-- nothing else (but row types, which are members from PostgreSQL 17 on)
SELECT d.classid::regclass, count(*) > 0 AS some
  FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
 WHERE x.extname = 'credit' AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass
 GROUP BY 1 ORDER BY d.classid::regclass::text COLLATE "C";

-- library and catalog are of one version
SELECT extversion = credit.version() AS same, extrelocatable, extnamespace::regnamespace
  FROM pg_extension WHERE extname = 'credit';
SELECT severity, subject, advice FROM credit.status() WHERE severity <> 'ok';
SELECT count(*) FROM credit.status() WHERE severity = 'ok';

-- it is there once
CREATE EXTENSION credit;
CREATE EXTENSION IF NOT EXISTS credit;
ALTER EXTENSION credit SET SCHEMA public;
-- gone without a trace
DROP EXTENSION credit;
SELECT count(*) FROM pg_namespace WHERE nspname = 'credit';
CREATE EXTENSION credit VERSION '0.0.nothing';

-- the schema is ours or the extension is not installed
CREATE SCHEMA credit;
CREATE TABLE credit.mine (x int);
CREATE EXTENSION credit;
DROP SCHEMA credit CASCADE;

-- who is no superuser cannot install it
CREATE ROLE regress_credit_nobody;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_credit_nobody', current_database()); END $$;
SET ROLE regress_credit_nobody;
CREATE EXTENSION credit;
RESET ROLE;
DROP OWNED BY regress_credit_nobody;
DROP ROLE regress_credit_nobody;

-- in a transaction, and again
BEGIN;
CREATE EXTENSION credit;
SELECT count(*) FROM credit.exposure;
ROLLBACK;
CREATE EXTENSION credit;
SELECT count(*) FROM credit.exposure;
DROP EXTENSION credit;

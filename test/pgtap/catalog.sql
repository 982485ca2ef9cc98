-- What stands in the catalogue about the objects of the extension.
BEGIN;
CREATE EXTENSION credit;
SELECT no_plan();

CREATE VIEW member AS
SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND x.extname = 'credit';

-- the lists below are not empty
SELECT cmp_ok((SELECT count(*) FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass WHERE relkind = 'r'), '>=', 10::bigint, 'there are tables');
SELECT cmp_ok((SELECT count(*) FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass WHERE relkind = 'v'), '>=', 8::bigint, 'there are views');
SELECT cmp_ok((SELECT count(*) FROM member WHERE classid = 'pg_proc'::regclass), '>=', 30::bigint, 'there are functions');

-- 1. Everything belongs to the extension and stands in schema credit

SELECT is_empty($$
	SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S')
	   AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
	   /* sequences of identity columns belong to their column */
	   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')$$, 'every relation in schema credit is a member');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'credit'::regnamespace
	   AND NOT EXISTS (SELECT FROM member m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)$$, 'every function in schema credit is a member');
SELECT is_empty($$
	SELECT objid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid
	 WHERE classid = 'pg_proc'::regclass AND pronamespace <> 'credit'::regnamespace$$, 'no function stands elsewhere');
SELECT is_empty($$
	SELECT objid::regclass FROM member JOIN pg_class c ON c.oid = objid
	 WHERE classid = 'pg_class'::regclass AND relnamespace <> 'credit'::regnamespace$$, 'no relation stands elsewhere');
SELECT is_empty($$
	SELECT classid::regclass, objid FROM member
	 WHERE classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass,
						   'pg_trigger'::regclass, 'pg_rewrite'::regclass, 'pg_cast'::regclass, 'pg_operator'::regclass,
						   'pg_opclass'::regclass, 'pg_opfamily'::regclass)$$, 'no member of an unexpected kind');

-- 2. Comments

SELECT ok(obj_description('credit'::regnamespace, 'pg_namespace') <> '', 'schema has a comment');
SELECT is_empty($$
	SELECT c.oid::regclass FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
	 WHERE c.relkind IN ('r', 'v', 'm') AND COALESCE(obj_description(c.oid, 'pg_class'), '') = ''$$, 'every table and view has a comment');
SELECT is_empty($$
	SELECT c.oid::regclass, a.attname FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
	  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	 WHERE c.relkind IN ('r', 'v', 'm') AND COALESCE(col_description(c.oid, a.attnum), '') = ''$$, 'every column has a comment');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
	 WHERE COALESCE(obj_description(p.oid, 'pg_proc'), '') = ''$$, 'every function has a comment');
SELECT is_empty($$
	SELECT t.oid::regtype FROM member JOIN pg_type t ON t.oid = objid AND classid = 'pg_type'::regclass
	 WHERE t.typrelid = 0 AND t.typcategory <> 'A' AND COALESCE(obj_description(t.oid, 'pg_type'), '') = ''$$, 'every type has a comment');
SELECT is_empty($$
	SELECT d.objoid, d.classoid::regclass, d.description FROM pg_description d JOIN member m ON m.classid = d.classoid AND m.objid = d.objoid
	 WHERE d.description !~ '[.)?]$' OR d.description ~ '^[a-z]' AND d.description !~ '^(off|not_set|amount|customer|shadow|ok|on)\M'$$,
	'comments are sentences');

-- 3. Rights

SELECT is_empty($$
	SELECT c.oid::regclass, x.* FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass, aclexplode(c.relacl) x
	 WHERE x.grantee = 0$$, 'no table, view or sequence is for PUBLIC');
SELECT is_empty($$
	SELECT c.oid::regclass, a.attname FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
	  JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attacl IS NOT NULL$$, 'no column has a right of its own');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass,
		   aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) x
	 WHERE x.grantee = 0$$, 'no function is for PUBLIC');
SELECT is_empty($$
	SELECT n.nspname FROM pg_namespace n, aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) x
	 WHERE n.nspname = 'credit' AND x.grantee = 0$$, 'schema is not for PUBLIC');
SELECT is_empty($$
	SELECT t.oid::regtype FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
	  JOIN pg_type t ON t.typrelid = c.oid, aclexplode(t.typacl) x WHERE x.grantee = 0$$, 'no row type has been granted');

-- 4. Functions: nothing hangs on the caller's search_path

SELECT is_empty($$
	SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
	  JOIN pg_language l ON l.oid = p.prolang
	 WHERE l.lanname IN ('plpgsql', 'sql') AND p.prosqlbody IS NULL
	   /* a procedure that commits cannot; see below */
	   AND p.prokind <> 'p'
	   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=pg_catalog%')$$,
	'every function in SQL or PL/pgSQL sets its search_path or is parsed already');
SELECT is_empty($$
	SELECT p.oid::regprocedure, s.line
	  FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
	  JOIN pg_language l ON l.oid = p.prolang
	  CROSS JOIN regexp_split_to_table(p.prosrc, '\s*\n\s*') s (line)
	 WHERE p.prokind = 'p' AND l.lanname = 'plpgsql' AND p.proconfig IS NULL
	   AND s.line !~ '^((CALL|PERFORM|\w+ :=) credit\.[a-z_]+\((\w+(, \w+)*)?\);|WHILE credit\.[a-z_]+\(\w*\) LOOP|END LOOP;|DECLARE|\w+ bigint;|BEGIN|END|/\*.*\*/|)$'$$,
	'a procedure that sets none consists of calls by qualified names, with nothing but its variables as arguments');
SELECT is_empty($$
	SELECT p.oid::regprocedure, s FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass, unnest(p.proconfig) s
	 WHERE s LIKE 'search_path=%' AND s !~ '(, |=)pg_temp$'$$, 'with pg_temp last');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
	  JOIN pg_language l ON l.oid = p.prolang
	 WHERE p.prosecdef AND l.lanname <> 'c' AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%')$$,
	'no SECURITY DEFINER without search_path');
SELECT is_empty($$
	SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
	  JOIN pg_language l ON l.oid = p.prolang
	 WHERE l.lanname = 'c' AND p.prorettype <> 'trigger'::regtype AND p.provolatile = 'v' AND p.proparallel = 's'$$,
	'nothing that writes is parallel safe');

-- 5. Tables: a dump carries what is in them

SELECT is_empty($$
	SELECT c.oid::regclass FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass, pg_extension x
	 WHERE x.extname = 'credit' AND c.relkind = 'r' AND NOT c.oid = ANY (COALESCE(x.extconfig, '{}'))$$,
	'every table is marked for dumps');
SELECT is_empty($$
	SELECT c.oid::regclass FROM pg_class c, pg_extension x
	 WHERE x.extname = 'credit' AND c.relkind = 'S' AND c.relnamespace = 'credit'::regnamespace
	   AND NOT c.oid = ANY (COALESCE(x.extconfig, '{}'))$$, 'every sequence is, too');
SELECT is_empty($$
	SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'credit' AND array_to_string(extcondition, '') <> ''$$,
	'with all rows');
SELECT is_empty($$
	SELECT c.oid::regclass FROM member JOIN pg_class c ON c.oid = objid AND classid = 'pg_class'::regclass
	 WHERE c.relkind = 'r' AND pg_stat_get_live_tuples(c.oid) > 0$$, 'a new extension is empty');
SELECT is_empty($$
	SELECT x.indexrelid::regclass FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r'
	   AND (x.indexprs IS NOT NULL OR x.indisexclusion OR NOT x.indimmediate OR
			pg_get_expr(x.indpred, x.indrelid) !~ '^(\(\w+ IS NOT NULL\)|\(NOT \w+\)|\w+)$')$$,
	'no index that the library could not maintain');
SELECT is_empty($$
	SELECT c.oid::regclass, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	 WHERE c.relnamespace = 'credit'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
	   AND a.attcollation NOT IN (0, 'pg_catalog."C"'::regcollation)
	   AND EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND a.attnum = ANY (x.indkey))$$,
	'keys do not hang on a locale');
SELECT is_empty($$
	SELECT c.oid::regclass, t.tgname FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
	 WHERE c.relnamespace = 'credit'::regnamespace AND t.tgname = 'refuse_change' AND (t.tgtype & 4) <> 0$$,
	'no guard refuses INSERT, by which a restore loads');
SELECT is_empty($$
	SELECT k.conname FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'credit'::regnamespace$$,
	'ledger tables have no foreign keys');

SELECT * FROM finish();
ROLLBACK;

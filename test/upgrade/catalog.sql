-- All that the catalogs say about extension credit, one fact a line, sorted:
--
--     KIND NAME: FACT = VALUE
--
-- Numbers that differ from database to database (oids) are given as names. Two
-- databases with the same lines have the same extension. What an ERP that is
-- attached adds (triggers on its tables) is left out: it is no member.
\pset format unaligned
\pset tuples_only on
\pset pager off
SET search_path = pg_catalog;

CREATE TEMP VIEW ours AS
WITH RECURSIVE part (classid, objid) AS
	(SELECT 'pg_extension'::regclass::oid, x.oid FROM pg_extension x WHERE x.extname = 'credit'
	 UNION
	 /* members, and what belongs to them: types, indexes, defaults, triggers ... */
	 SELECT d.classid, d.objid FROM pg_depend d JOIN part p ON d.refclassid = p.classid AND d.refobjid = p.objid
	  WHERE d.deptype IN ('e', 'i', 'a', 'P', 'S')
		AND (d.classid <> 'pg_trigger'::regclass OR EXISTS
			 (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
			   WHERE t.oid = d.objid AND c.relnamespace = 'credit'::regnamespace)))
SELECT p.classid, p.objid, i.type, i.identity
  FROM part p, pg_identify_object(p.classid, p.objid, 0) i
 /* named by oid; what can differ stands with their tables */
 WHERE i.identity !~ '^pg_toast\.';

CREATE TEMP VIEW fact (type, name, fact, value) AS
-- that it is there
SELECT o.type, o.identity, 'exists', 'yes' FROM ours o
-- comments
UNION ALL
SELECT o.type, o.identity,
	   CASE d.objsubid WHEN 0 THEN 'comment'
			ELSE 'comment on column ' || (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = d.objoid AND a.attnum = d.objsubid) END,
	   d.description
  FROM ours o JOIN pg_description d ON d.classoid = o.classid AND d.objoid = o.objid
-- dependencies
UNION ALL
SELECT o.type, o.identity,
	   'depends' || CASE d.objsubid WHEN 0 THEN '' ELSE ' (column ' || d.objsubid || ')' END
			|| ' (' || d.deptype::text || ') on ' || r.type || ' ' || r.identity, 'yes'
  FROM ours o
  JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid
  CROSS JOIN pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) r
-- rights: those of now, and those that a dump takes for granted
UNION ALL
SELECT o.type, o.identity, 'initial rights',
	   (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(i.initprivs) a)
  FROM ours o JOIN pg_init_privs i ON i.classoid = o.classid AND i.objoid = o.objid
-- tables, views, sequences, indexes
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
  CROSS JOIN LATERAL (VALUES
	('kind', c.relkind::text), ('owner', c.relowner::regrole::text),
	('persistence', c.relpersistence::text), ('access method', (SELECT m.amname::text FROM pg_am m WHERE m.oid = c.relam)),
	('options', array_to_string(c.reloptions, ', ')),
	('options of toast', (SELECT array_to_string(t.reloptions, ', ') FROM pg_class t WHERE t.oid = c.reltoastrelid)),
	('replica identity', c.relreplident::text),
	('row security', c.relrowsecurity::text || c.relforcerowsecurity::text),
	('tablespace', c.reltablespace::text),
	('rights', (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(c.relacl) a
				 WHERE a::text NOT LIKE 'analyst=%')),
	('definition', CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid, true)
								  WHEN 'i' THEN pg_get_indexdef(c.oid) END)) f (fact, value)
UNION ALL
SELECT o.type, o.identity, 'column ' || a.attname || ' ' || f.fact, f.value
  FROM ours o JOIN pg_attribute a ON o.classid = 'pg_class'::regclass AND a.attrelid = o.objid AND a.attnum > 0
  LEFT JOIN pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum
  CROSS JOIN LATERAL (VALUES
	('position', a.attnum::text), ('dropped', a.attisdropped::text), ('type', format_type(a.atttypid, a.atttypmod)), ('not null', a.attnotnull::text),
	('default', pg_get_expr(x.adbin, x.adrelid)), ('identity', a.attidentity::text), ('generated', a.attgenerated::text),
	('collation', a.attcollation::regcollation::text), ('storage', a.attstorage::text || a.attcompression::text),
	('statistics', a.attstattarget::text), ('options', (SELECT string_agg(x, ', ') FROM unnest(a.attoptions) x
	  /* a stamp that recent minor releases leave, different for each table */
	  WHERE x NOT LIKE 'pg_attver=%')), ('rights', a.attacl::text)) f (fact, value)
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_sequence s ON o.classid = 'pg_class'::regclass AND s.seqrelid = o.objid
  CROSS JOIN LATERAL (VALUES
	('type', s.seqtypid::regtype::text), ('start', s.seqstart::text), ('increment', s.seqincrement::text),
	('bounds', s.seqmin || ' to ' || s.seqmax), ('cache', s.seqcache::text), ('cycle', s.seqcycle::text)) f (fact, value)
-- what stands on tables
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_constraint k ON o.classid = 'pg_constraint'::regclass AND k.oid = o.objid
  CROSS JOIN LATERAL (VALUES ('definition', pg_get_constraintdef(k.oid)), ('validated', k.convalidated::text)) f (fact, value)
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_trigger t ON o.classid = 'pg_trigger'::regclass AND t.oid = o.objid
  CROSS JOIN LATERAL (VALUES ('definition', pg_get_triggerdef(t.oid)), ('enabled', t.tgenabled::text)) f (fact, value)
UNION ALL
SELECT o.type, o.identity, 'definition', pg_get_ruledef(o.objid) FROM ours o WHERE o.classid = 'pg_rewrite'::regclass
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_policy p ON o.classid = 'pg_policy'::regclass AND p.oid = o.objid
  CROSS JOIN LATERAL (VALUES ('using', pg_get_expr(p.polqual, p.polrelid)), ('check', pg_get_expr(p.polwithcheck, p.polrelid))) f (fact, value)
UNION ALL
SELECT o.type, o.identity, 'definition', pg_get_statisticsobjdef(o.objid) FROM ours o WHERE o.classid = 'pg_statistic_ext'::regclass
-- functions
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
  CROSS JOIN LATERAL (VALUES
	('arguments', pg_get_function_arguments(p.oid)), ('result', pg_get_function_result(p.oid)),
	('language', (SELECT l.lanname::text FROM pg_language l WHERE l.oid = p.prolang)),
	('kind', p.prokind::text), ('owner', p.proowner::regrole::text), ('volatility', p.provolatile::text),
	('strict', p.proisstrict::text), ('security definer', p.prosecdef::text), ('leakproof', p.proleakproof::text),
	('parallel', p.proparallel::text), ('cost', p.procost::text), ('rows', p.prorows::text),
	('support', p.prosupport::text), ('settings', array_to_string(p.proconfig, ', ')),
	('library', p.probin), ('source', p.prosrc),
	('body', CASE WHEN p.prosqlbody IS NOT NULL THEN pg_get_function_sqlbody(p.oid) END),
	('rights', (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(COALESCE(p.proacl, acldefault('f', p.proowner))) a
				 WHERE a::text NOT LIKE 'analyst=%'))) f (fact, value)
UNION ALL
SELECT o.type, o.identity, 'definition of aggregate',
	   format('%s %s %s %s %s %s', a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.agginitval)
  FROM ours o JOIN pg_aggregate a ON o.classid = 'pg_proc'::regclass AND a.aggfnoid = o.objid
-- types, operators, casts
UNION ALL
SELECT o.type, o.identity, f.fact, f.value
  FROM ours o JOIN pg_type t ON o.classid = 'pg_type'::regclass AND t.oid = o.objid
  CROSS JOIN LATERAL (VALUES
	('kind', t.typtype::text || t.typcategory::text), ('layout', format('%s %s %s %s', t.typlen, t.typbyval, t.typalign, t.typstorage)),
	('functions', format('%s %s %s %s', t.typinput, t.typoutput, t.typreceive, t.typsend)),
	('rights', t.typacl::text),
	('labels', (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))) f (fact, value)
UNION ALL
SELECT o.type, o.identity, 'definition', format('%s %s %s', p.oprcode::regprocedure, p.oprcom::regoperator, p.oprnegate::regoperator)
  FROM ours o JOIN pg_operator p ON o.classid = 'pg_operator'::regclass AND p.oid = o.objid
UNION ALL
SELECT o.type, o.identity, 'definition', format('%s %s %s', c.castfunc::regprocedure, c.castcontext, c.castmethod)
  FROM ours o JOIN pg_cast c ON o.classid = 'pg_cast'::regclass AND c.oid = o.objid
-- the schema and the extension
UNION ALL
SELECT o.type, o.identity, 'rights',
	   (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(COALESCE(n.nspacl, acldefault('n', n.nspowner))) a WHERE a::text NOT LIKE 'analyst=%')
  FROM ours o JOIN pg_namespace n ON o.classid = 'pg_namespace'::regclass AND n.oid = o.objid
UNION ALL
SELECT 'extension', x.extname, f.fact, f.value
  FROM pg_extension x CROSS JOIN LATERAL (VALUES
	('version', x.extversion), ('schema', x.extnamespace::regnamespace::text), ('relocatable', x.extrelocatable::text)) f (fact, value)
 WHERE x.extname = 'credit'
UNION ALL
SELECT 'extension', x.extname, 'dumps ' || t.relation::regclass,
	   CASE t.condition WHEN '' THEN 'all rows' ELSE t.condition END
  FROM pg_extension x, unnest(x.extconfig, x.extcondition) t (relation, condition)
 WHERE x.extname = 'credit';

SELECT replace(line, E'\n', '\n')
  FROM (SELECT format('%s %s: %s = %s', type, name, fact, value) AS line FROM fact
		 WHERE value <> '') q
 ORDER BY line COLLATE "C";

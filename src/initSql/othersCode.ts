import { PIN_SEARCH_PATH, textArray } from '../objects/observe.ts';
import {
  CLOSED,
  MAY_BE_ATTACHED_TO,
  OF_SUPERUSER,
  OTHERS_GET_PLACES,
  OTHERS_MAY_CREATE,
} from '../objects/openSchemas.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { KEEP_TO_NAMED } from './citusCalls.ts';
import type { TouchedName } from './relationName.ts';

/**
 * Whose code a statement would run. What lies in a schema that only superusers may create in, and belongs to a superuser,
 * nobody else can replace, on whichever node: so no lock is needed between this question and the statement.
 */

const OTHERS_OWN = `(EXISTS (SELECT FROM pg_class c WHERE NOT ${OF_SUPERUSER('c.relowner')})
      OR EXISTS (SELECT FROM pg_proc p WHERE NOT ${OF_SUPERUSER('p.proowner')})
      OR EXISTS (SELECT FROM pg_type t WHERE NOT ${OF_SUPERUSER('t.typowner')}))`;

/** Whether anybody but superusers owns something in the database, or may make something there. */
export const OTHERS_HAVE_A_PART = `${PIN_SEARCH_PATH};
WITH ${CLOSED} SELECT ${OTHERS_OWN} OR ${OTHERS_MAY_CREATE} AS others`;

/** How others come to have code in the database that initSQL could meet. */
export interface WaysIn {
  readonly owns: boolean;
  readonly creates: boolean;
  readonly attaches: boolean;
}

/** One row {@link WaysIn}: what they have now, and what they may do while initSQL runs. */
export const WAYS_IN = `${PIN_SEARCH_PATH};
WITH ${CLOSED} SELECT ${OTHERS_OWN} AS owns, ${OTHERS_MAY_CREATE} AS creates,
  EXISTS (SELECT FROM pg_class c WHERE ${MAY_BE_ATTACHED_TO('c')}) OR ${OTHERS_GET_PLACES} AS attaches`;

/** Nobody else may connect, as closedDatabase.ts has made it. */
export const IS_SHUT = `${PIN_SEARCH_PATH};
SELECT d.datconnlimit = 0 AND ${OF_SUPERUSER('d.datdba')} AS shut FROM pg_database d WHERE d.datname = current_database()`;

/**
 * The same of a database that nobody else was let into yet: what its template brought along. An object keeps its number in
 * the copy (PostgreSQL: dbcommands.c), and the copy's own is a later one.
 */
export const TEMPLATE_HAS_OBJECTS_OF_OTHERS = `${PIN_SEARCH_PATH};
WITH own AS (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
SELECT EXISTS (SELECT FROM own, pg_class c WHERE c.oid < own.oid AND NOT ${OF_SUPERUSER('c.relowner')})
    OR EXISTS (SELECT FROM own, pg_proc p WHERE p.oid < own.oid AND NOT ${OF_SUPERUSER('p.proowner')})
    OR EXISTS (SELECT FROM own, pg_type t WHERE t.oid < own.oid AND NOT ${OF_SUPERUSER('t.typowner')}) AS owns,
  false AS creates, false AS attaches`;

/** The schemas of a session's search_path. By names of pg_catalog alone, for the path may be anybody's. */
export const CURRENT_SCHEMAS = 'SELECT pg_catalog.to_json(pg_catalog.current_schemas(true))::pg_catalog.text AS path';

/** What is left of a search_path when only closed schemas may be in it, for SET. */
export function closedPath(schemas: readonly string[]): string {
  return `${PIN_SEARCH_PATH};
WITH ${CLOSED}
SELECT coalesce(string_agg(quote_ident(p.name), ', ' ORDER BY p.position), '''''') AS path
FROM unnest(${textArray(schemas)}) WITH ORDINALITY p (name, position)
WHERE p.name NOT LIKE 'pg\\_%' AND p.name IN (SELECT nspname::text FROM closed)`;
}

export interface Question {
  readonly statement: string;
  readonly path: readonly string[];
  readonly relations: readonly TouchedName[];
  readonly functions: readonly string[];
  readonly types: readonly string[];
  readonly operators: readonly string[];
  readonly schemas: readonly string[];
  /** It changes rows of what it names: triggers on it run. */
  readonly writes: boolean;
  /** It works on all tables, whose owner it becomes for that: of others' tables it runs nothing as superuser. */
  readonly allTables: boolean;
}

/**
 * Of relations: what inherits from them and what they inherit from, tables of their types, tables that refer to them, and what
 * views read. Of what these use, and of what is named: types within types, constraints of domains, and the functions of
 * operators, aggregates and operator classes.
 *
 * One row `reason`: why the statement could run somebody else's code; NULL: it cannot. */
export function askWhoseCode(question: Question): string {
  const { statement, path, relations, functions, types, operators, schemas, writes, allTables } = question;
  const names = relations.map(({ schema, name }) => `(${literal(schema)}, ${quoteLiteral(name)}::text)`);
  return `${PIN_SEARCH_PATH};
WITH RECURSIVE ${CLOSED},
open AS (SELECT n.nspname FROM pg_namespace n WHERE n.oid NOT IN (SELECT oid FROM closed)),
mentioned AS (
  SELECT lower(regexp_replace(replace(${quoteLiteral(statement)}, '"', ''), '\\s*\\.\\s*', '.', 'g')) AS text),
named (schema, name) AS (VALUES ${[...names, '(NULL::text, NULL::text)'].join(', ')}),
touched (oid) AS (
  (SELECT c.oid FROM pg_class c
  WHERE ${allTables} AND c.relkind IN ('r', 'm', 'p') AND ${OF_SUPERUSER('c.relowner')}
    AND c.relnamespace <> ALL (ARRAY['pg_catalog'::regnamespace, 'information_schema'::regnamespace]::oid[])
  UNION ALL SELECT c.oid FROM named JOIN pg_class c ON c.relname = named.name JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = named.schema OR (named.schema IS NULL AND n.nspname = ANY (${textArray(path)})))
  UNION
  SELECT next.oid FROM touched, LATERAL (
    SELECT i.inhrelid AS oid FROM pg_inherits i WHERE i.inhparent = touched.oid
    UNION ALL SELECT x.indrelid FROM pg_index x WHERE x.indexrelid = touched.oid
    UNION ALL SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = touched.oid
    UNION ALL SELECT t.oid FROM pg_class c JOIN pg_class t ON t.reloftype = c.reltype WHERE c.oid = touched.oid AND c.reltype <> 0
    UNION ALL SELECT k.conrelid FROM pg_constraint k WHERE k.confrelid = touched.oid
    UNION ALL SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      WHERE r.ev_class = touched.oid AND d.refclassid = 'pg_class'::regclass) next),
parts (classid, objid, relation) AS (
  SELECT 'pg_class'::regclass, t.oid, t.oid FROM touched t
  UNION ALL SELECT 'pg_class'::regclass, i.indexrelid, t.oid FROM touched t JOIN pg_index i ON i.indrelid = t.oid
  UNION ALL SELECT 'pg_attrdef'::regclass, a.oid, t.oid FROM touched t JOIN pg_attrdef a ON a.adrelid = t.oid
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid, t.oid FROM touched t JOIN pg_constraint k ON k.conrelid = t.oid
  UNION ALL SELECT 'pg_trigger'::regclass, g.oid, t.oid FROM touched t JOIN pg_trigger g ON g.tgrelid = t.oid
  UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, t.oid FROM touched t JOIN pg_rewrite r ON r.ev_class = t.oid
  UNION ALL SELECT 'pg_statistic_ext'::regclass, x.oid, t.oid FROM touched t JOIN pg_statistic_ext x ON x.stxrelid = t.oid
  UNION ALL SELECT 'pg_policy'::regclass, p.oid, t.oid FROM touched t JOIN pg_policy p ON p.polrelid = t.oid),
used (relation, refclassid, refobjid) AS (
  (SELECT p.relation, d.refclassid, d.refobjid FROM parts p
    JOIN pg_depend d ON d.classid = p.classid AND d.objid = p.objid
  UNION ALL SELECT NULL, 'pg_proc'::regclass, p.oid FROM pg_proc p
    WHERE p.proname = ANY (${textArray(functions)}) AND p.pronamespace IN (SELECT oid FROM closed)
  UNION ALL SELECT NULL, 'pg_type'::regclass, t.oid FROM pg_type t
    WHERE t.typname = ANY (${textArray(types)}) AND t.typnamespace IN (SELECT oid FROM closed)
  UNION ALL SELECT NULL, 'pg_operator'::regclass, o.oid FROM pg_operator o
    WHERE o.oprname = ANY (${textArray(operators)}) AND o.oprnamespace IN (SELECT oid FROM closed))
  UNION
  SELECT u.relation, d.refclassid, d.refobjid FROM used u, LATERAL (
      SELECT u.refclassid AS classid, u.refobjid AS objid
      UNION ALL SELECT 'pg_class'::regclass, t.typrelid FROM pg_type t WHERE u.refclassid = 'pg_type'::regclass AND t.oid = u.refobjid
      UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
        WHERE u.refclassid = 'pg_type'::regclass AND k.contypid = u.refobjid
      UNION ALL SELECT 'pg_amproc'::regclass, f.oid FROM pg_opclass c JOIN pg_amproc f ON f.amprocfamily = c.opcfamily
        WHERE u.refclassid = 'pg_opclass'::regclass AND c.oid = u.refobjid
      UNION ALL SELECT 'pg_amop'::regclass, f.oid FROM pg_opclass c JOIN pg_amop f ON f.amopfamily = c.opcfamily
        WHERE u.refclassid = 'pg_opclass'::regclass AND c.oid = u.refobjid) part
    JOIN pg_depend d ON d.classid = part.classid AND d.objid = part.objid
  WHERE u.refclassid IN ('pg_type'::regclass, 'pg_operator'::regclass, 'pg_opclass'::regclass, 'pg_proc'::regclass))
SELECT coalesce(
  (SELECT 'event trigger ' || quote_ident(e.evtname) || ' calls a function of ' || quote_ident(pg_get_userbyid(p.proowner))
   FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
   WHERE e.evtenabled <> 'D' AND NOT ${OF_SUPERUSER('p.proowner')} LIMIT 1),
  (SELECT 'search_path has schema ' || quote_ident(nspname) || ', in which others may create objects or made operators'
   FROM open WHERE nspname = ANY (${textArray(path)}) LIMIT 1),
  (SELECT 'it names schema ' || quote_ident(nspname) || ', in which others may create objects or made operators'
   FROM open, mentioned WHERE nspname = ANY (${textArray(schemas)})
     OR mentioned.text ~ ('(^|[^\\w$])' || regexp_replace(lower(nspname), '(\\W)', '\\\\\\1', 'g') || '\\.') LIMIT 1),
  (SELECT touched.oid::regclass || ' belongs to ' || quote_ident(pg_get_userbyid(c.relowner))
   FROM touched JOIN pg_class c ON c.oid = touched.oid WHERE NOT ${OF_SUPERUSER('c.relowner')} LIMIT 1),
  (SELECT touched.oid::regclass || ' may get a trigger or a foreign key of somebody else (REVOKE TRIGGER, REFERENCES ON ' || touched.oid::regclass || ' FROM …)'
   FROM touched JOIN pg_class c ON c.oid = touched.oid WHERE ${writes} AND ${MAY_BE_ATTACHED_TO('c')} LIMIT 1),
  (SELECT 'function ' || p.oid::regprocedure || ' belongs to ' || quote_ident(pg_get_userbyid(p.proowner))
   FROM pg_proc p WHERE p.proname = ANY (${textArray(functions)}) AND p.pronamespace IN (SELECT oid FROM closed)
     AND NOT ${OF_SUPERUSER('p.proowner')} LIMIT 1),
  (SELECT 'type ' || t.oid::regtype || ' belongs to ' || quote_ident(pg_get_userbyid(t.typowner))
   FROM pg_type t WHERE t.typname = ANY (${textArray(types)}) AND t.typnamespace IN (SELECT oid FROM closed)
     AND NOT ${OF_SUPERUSER('t.typowner')} LIMIT 1),
  (SELECT p.oid::regproc || '() of Citus is not known to keep to what it names'
   FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
     JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
   WHERE e.extname LIKE 'citus%' AND p.proname = ANY (${textArray(functions)}) AND p.proname <> ALL (${textArray(KEEP_TO_NAMED)}) LIMIT 1),
  (SELECT coalesce(u.relation::regclass::text, 'what it names') || ' uses function ' || p.oid::regproc || ' of ' || quote_ident(pg_get_userbyid(p.proowner))
   FROM used u JOIN pg_proc p ON u.refclassid = 'pg_proc'::regclass AND p.oid = u.refobjid
   WHERE NOT ${OF_SUPERUSER('p.proowner')} LIMIT 1),
  (SELECT coalesce(u.relation::regclass::text, 'what it names') || ' uses type ' || t.oid::regtype || ' of ' || quote_ident(pg_get_userbyid(t.typowner))
   FROM used u JOIN pg_type t ON u.refclassid = 'pg_type'::regclass AND t.oid = u.refobjid
   WHERE NOT ${OF_SUPERUSER('t.typowner')} LIMIT 1),
  (SELECT coalesce(u.relation::regclass::text, 'what it names') || ' uses operator ' || o.oid::regoperator || ' of ' || quote_ident(pg_get_userbyid(o.oprowner))
   FROM used u JOIN pg_operator o ON u.refclassid = 'pg_operator'::regclass AND o.oid = u.refobjid
   WHERE NOT ${OF_SUPERUSER('o.oprowner')} LIMIT 1)) AS reason`;
}

function literal(text: string | undefined): string {
  return text === undefined ? 'NULL::text' : `${quoteLiteral(text)}::text`;
}

import { quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { Problem } from './change.ts';
import { textArray } from './observe.ts';

/** The schema for everything of this program's own, in whichever database. */
export const OWN_SCHEMA = 'citus_databases';

/** A table in which this program remembers something. */
export interface OwnTable {
  readonly name: string;
  /** Name and type of each column, in their order, as format_type() writes the type. */
  readonly columns: readonly (readonly [name: string, type: string])[];
}

export function qualified(table: OwnTable): string {
  return `${OWN_SCHEMA}.${table.name}`;
}

/** The first OID that initdb does not give: what has a smaller one comes with PostgreSQL (access/transam.h). */
const FIRST_NORMAL_OID = 16_384;

/** Rights with which somebody else could change what the table says, or have code run when it changes. */
const HARMFUL = ['CREATE', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];

/**
 * SQL expression of type text: why the schema and the table in it are not to be trusted, NULL when they are (or are not
 * there). It reads catalogs only. Reading as much as one row of a table that somebody else has made runs his code: a
 * view's functions, a row security policy, the cast to json of a type of his. What belongs to a superuser, schema and
 * table, nobody else can replace, so the answer stays true for the rest of the transaction.
 */
export function distrust(table: OwnTable): string {
  return `(SELECT ${REASON} ${foundOf([table])})`;
}

/**
 * The same of several tables by one query, whose plan takes a server longer than to execute it. A jsonb object, by their
 * names; NULL where there is no schema. OFFSET 0 keeps the planner from planning the reason for each place it is used in.
 */
export function judgementsOf(tables: readonly OwnTable[]): string {
  return `(SELECT pg_catalog.jsonb_object_agg(j.name, pg_catalog.jsonb_build_object(
        'distrust', j.distrust, 'readable', j.distrust IS NULL AND j.found))
      FROM (SELECT w.name, c.oid IS NOT NULL AS found, ${REASON} AS distrust ${foundOf(tables)}
        OFFSET 0) j)`;
}

/** SQL condition: one of the tables is there, or others may have a part in the schema: without, there is nothing to judge. */
export function toBeJudged(tables: readonly OwnTable[]): string {
  const names = tables.map(({ name }) => `'${name}'`).join(', ');
  return `EXISTS (SELECT FROM pg_catalog.pg_namespace n
      LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN (${names})
    WHERE n.nspname = '${OWN_SCHEMA}' AND (c.oid IS NOT NULL OR n.nspacl IS NOT NULL
      OR pg_catalog.pg_get_userbyid(n.nspowner) <> session_user))`;
}

/** The schema `n` of `s`, `u` if that is who asks and a superuser, each wanted table `w`, and what is there, `c` of `t`. */
function foundOf(tables: readonly OwnTable[]): string {
  const wanted = tables.map(
    ({ name, columns }) => `('${name}'::pg_catalog.name, ${textArray(columns.map((column) => column.join(' ')))})`,
  );
  return `FROM pg_catalog.pg_namespace n
      JOIN pg_catalog.pg_roles s ON s.oid = n.nspowner
      LEFT JOIN pg_catalog.pg_roles u ON u.rolname = session_user AND u.rolsuper
      CROSS JOIN (VALUES ${wanted.join(', ')}) w (name, columns)
      LEFT JOIN (pg_catalog.pg_class c JOIN pg_catalog.pg_roles t ON t.oid = c.relowner)
        ON c.relnamespace = n.oid AND c.relname = w.name
    WHERE n.nspname = '${OWN_SCHEMA}'`;
}

const NAME = `${OWN_SCHEMA}.' || w.name::pg_catalog.text`;

const REASON = `CASE
    ${foreignOwner('s', `'schema ${OWN_SCHEMA}'`)}
    WHEN ${harmful('n.nspacl', 'n.nspowner')} THEN 'others than its owner may create objects in schema ${OWN_SCHEMA}'
    WHEN c.oid IS NULL THEN NULL
    WHEN c.relkind <> 'r' OR c.relpersistence <> 'p' THEN '${NAME} || ' is no ordinary table'
    ${foreignOwner('t', `'table ${NAME}`)}
    WHEN ${harmful('c.relacl', 'c.relowner')} OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND ${harmful('a.attacl', 'c.relowner')})
      THEN 'others than its owner may write to table ${NAME}
    WHEN c.relhasrules THEN 'table ${NAME} || ' has rules'
    WHEN c.relhastriggers THEN 'table ${NAME} || ' has triggers'
    WHEN c.relrowsecurity OR c.relforcerowsecurity THEN 'table ${NAME} || ' has row security'
    WHEN c.relhassubclass OR c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
      THEN 'table ${NAME} || ' has parents or children'
    WHEN ARRAY(SELECT a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) <> w.columns
      THEN 'table ${NAME} || ' has other columns than this program gave it'
    WHEN (SELECT pg_catalog.count(*) > 0 FROM pg_catalog.pg_depend d
         WHERE d.refobjid >= ${FIRST_NORMAL_OID} AND d.refclassid IN (${classes('pg_proc', 'pg_operator', 'pg_opclass', 'pg_type')})
           AND d.classid IN (${classes('pg_class', 'pg_attrdef', 'pg_constraint')})
           AND d.objid = ANY (ARRAY(SELECT c.oid
             UNION ALL SELECT f.oid FROM pg_catalog.pg_attrdef f WHERE f.adrelid = c.oid
             UNION ALL SELECT k.oid FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid
             UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid)))
      THEN 'a default, constraint or index of table ${NAME} || ' uses a function that does not come with PostgreSQL'
    END`;

/**
 * Where this program logs in as a superuser, only superusers are trusted. Where it works without one
 * (cluster.withoutSuperuser), its own role is, and nobody else: it could not write to what a superuser owns.
 */
function foreignOwner(role: 's' | 't', what: string): string {
  const others = `${role}.rolname <> session_user`;
  const of = `${what} || ' belongs to ' || pg_catalog.quote_ident(${role}.rolname)`;
  return `WHEN ${others} AND NOT ${role}.rolsuper THEN ${of} || ', who is no superuser'
    WHEN ${others} AND u.oid IS NULL THEN ${of} || ', and this program works as ' || pg_catalog.quote_ident(session_user)`;
}

function classes(...catalogs: readonly string[]): string {
  return catalogs.map((catalog) => `'pg_catalog.${catalog}'::pg_catalog.regclass`).join(', ');
}

function harmful(acl: string, owner: string): string {
  return `EXISTS (SELECT FROM pg_catalog.aclexplode(${acl}) x WHERE x.grantee <> ${owner}
      AND x.privilege_type = ANY (${textArray(HARMFUL)}))`;
}

/** SQL condition: the table is there and may be read. */
export function trusted(table: OwnTable): string {
  // In this order: to_regclass() fails in a schema of others, unless one is superuser. In parentheses: PL/pgSQL's IF ends at THEN.
  return `(CASE WHEN ${distrust(table)} IS NULL THEN pg_catalog.to_regclass('${qualified(table)}') IS NOT NULL ELSE false END)`;
}

/**
 * One row: which versions of their catalog rows the schema, the table and its columns have. As long as all stay, owner and
 * rights are the same, so nobody but a superuser can have changed anything about the table, and what {@link distrust} found
 * holds. GRANT, ALTER, CREATE RULE, CREATE TRIGGER, and whatever takes the name for another object, make new versions (GRANT
 * on columns of the columns alone); ANALYZE and VACUUM write in place (PostgreSQL: heapam.c, heap_inplace_update).
 */
export interface OwnTableVersion {
  readonly schema: string;
  readonly schema_version: string;
  readonly table: string;
  readonly table_version: string;
  readonly columns_version: string;
}

function columnsVersion(table: string): string {
  return `ARRAY(SELECT a.xmin FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) ${table}
      AND a.attnum OPERATOR(pg_catalog.>) 0 ORDER BY a.attnum)::pg_catalog.text`;
}

export function versionOf(table: OwnTable): string {
  return `SELECT n.oid::pg_catalog.text AS schema, n.xmin::pg_catalog.text AS schema_version,
      c.oid::pg_catalog.text AS "table", c.xmin::pg_catalog.text AS table_version,
      ${columnsVersion('c.oid')} AS columns_version
    FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
    WHERE n.nspname OPERATOR(pg_catalog.=) '${OWN_SCHEMA}' AND c.relname OPERATOR(pg_catalog.=) '${table.name}'`;
}

/**
 * The rest of the transaction is ours, as with {@link AS_OURSELVES}, and fails here (22023) when one of the versions has
 * changed: no role has an empty name. Names and operators are all qualified, so that it means the same under any
 * search_path; what comes behind it must be written that way too.
 */
export function asOurselvesUnchanged(version: OwnTableVersion): string {
  const unchanged = (catalog: string, oid: string, xmin: string) =>
    `(SELECT c.xmin OPERATOR(pg_catalog.=) ${quoteLiteral(xmin)}::pg_catalog.xid FROM pg_catalog.${catalog} c
      WHERE c.oid OPERATOR(pg_catalog.=) ${quoteLiteral(oid)}::pg_catalog.oid)`;
  return `SELECT pg_catalog.set_config('session_authorization', NULL, true),
    pg_catalog.set_config('role', CASE WHEN ${unchanged('pg_namespace', version.schema, version.schema_version)}
      AND ${unchanged('pg_class', version.table, version.table_version)}
      AND ${columnsVersion(`${quoteLiteral(version.table)}::pg_catalog.oid`)} OPERATOR(pg_catalog.=) ${quoteLiteral(version.columns_version)}
      THEN 'none' ELSE '' END, true)`;
}

export function distrustProblem(reason: string, node: string): Problem {
  return {
    kind: 'refused',
    what: `What this program remembers cannot be trusted: ${reason}`,
    node,
    next:
      'Nothing of it was read. Find out who made it, then take the name away from it as superuser: ' +
      `ALTER SCHEMA ${OWN_SCHEMA} RENAME TO ${OWN_SCHEMA}_foreign. Where initSQL was executed before, the next run needs initSQLPolicy: baseline`,
  };
}

/** Has to come before the session is ours again; see {@link AS_OURSELVES}. */
export const FIRE_CONSTRAINTS = 'SET CONSTRAINTS ALL IMMEDIATE';

/**
 * Whoever logged in, whatever ALTER DATABASE … SET role says or the transaction did so far; and names of PostgreSQL's
 * own. Constraint triggers that are due come first, as the user whose statement they belong to. For the rest of the
 * transaction only. Citus may be set to hand SET LOCAL to the workers, and hands over the text of the whole message (Citus:
 * commands/variableset.c): not what is written here.
 */
export const AS_OURSELVES = [
  'SET LOCAL citus.propagate_set_commands = none',
  FIRE_CONSTRAINTS,
  'SET LOCAL SESSION AUTHORIZATION DEFAULT',
  'SET LOCAL ROLE none',
  'SET LOCAL search_path = pg_catalog',
] as const;

/** Statement that fails, and the transaction with it, when the table is not to be trusted. */
export function assertTrusted(table: OwnTable): string {
  return `DO ${quoteLiteral(`
DECLARE reason pg_catalog.text := ${distrust(table)};
BEGIN
  IF reason IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = reason;
  END IF;
END`)}`;
}

/**
 * Takes away what default privileges gave others on schema and tables, by whoever they were set: those who could write
 * here would decide what is executed.
 */
export const REVOKE_FROM_OTHERS = `DO ${quoteLiteral(`
DECLARE grantee pg_catalog.text;
BEGIN
  FOR grantee IN
    SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
    FROM (SELECT nspacl AS acl, nspowner AS owner FROM pg_catalog.pg_namespace WHERE nspname = '${OWN_SCHEMA}'
          UNION ALL
          SELECT relacl, relowner FROM pg_catalog.pg_class WHERE relnamespace = '${OWN_SCHEMA}'::pg_catalog.regnamespace) o,
         pg_catalog.aclexplode(o.acl) a
    WHERE a.grantee <> o.owner
  LOOP
    EXECUTE 'REVOKE ALL ON SCHEMA ${OWN_SCHEMA} FROM ' || grantee;
    EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA ${OWN_SCHEMA} FROM ' || grantee;
    EXECUTE 'REVOKE ALL ON ALL SEQUENCES IN SCHEMA ${OWN_SCHEMA} FROM ' || grantee;
  END LOOP;
END`)}`;

/** Statements that make the schema and a table in it, for {@link OwnTable}s in the maintenance database. */
export function ensureOwnTable(definition: string): readonly string[] {
  return [
    unlessCreatedMeanwhile(`CREATE SCHEMA IF NOT EXISTS ${OWN_SCHEMA}`),
    unlessCreatedMeanwhile(`CREATE TABLE IF NOT EXISTS ${definition}`),
    REVOKE_FROM_OTHERS,
  ];
}

/**
 * IF NOT EXISTS does not keep two first runs apart: both see nothing before either commits. The second one waits for the
 * first at the catalog's unique index, and then finds the object there. A lock would be anybody's to hold.
 */
function unlessCreatedMeanwhile(statement: string): string {
  return `DO ${quoteLiteral(`BEGIN ${statement}; EXCEPTION WHEN unique_violation OR duplicate_schema OR duplicate_table THEN NULL; END`)}`;
}

/** The rows of two first runs are apart; of their schema and table only an older version's run may still be in the way. */
export const CREATED_MEANWHILE = [SQLSTATE.uniqueViolation, SQLSTATE.duplicateSchema, SQLSTATE.duplicateTable];

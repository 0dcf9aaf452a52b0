import { quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec } from '../spec/types.ts';
import {
  type ObservedDatabaseGrants,
  observeAccess,
  observeDatabaseGrants,
  type SentAccess,
} from './accessObserved.ts';
import { databaseComment } from './comment.ts';
import { type ObservedDatabase, observeDatabase } from './database.ts';
import { type ObservedExtension, observeExtensions } from './extension.ts';
import { type ObservedMemberships, observeMemberships } from './membership.ts';
import { dollarQuote, type Fragment, HAS_CITUS, jsonRows, textArray } from './observe.ts';
import { OWN_SCHEMA } from './ownTable.ts';
import { type ObservedParameters, observeParameters } from './parameter.ts';
import { type ObservedRole, observeRoles } from './role.ts';
import { type ObservedSchema, observeSchemas } from './schema.ts';
import { type ObservedUserParameters, observeUserParameters } from './userParameter.ts';

/**
 * What the login role may do where it is no superuser (cluster.withoutSuperuser), and what the workers say when the
 * coordinator asks them as that role. Catalogs for superusers alone (pg_authid, pg_dist_authinfo) are not read.
 */

/** What one node grants the role. */
export interface NodeRights {
  readonly createRole: boolean;
  /** The database belongs to the role, or to one whose rights it has. */
  readonly ownsDatabase: boolean;
  /** It may make schemas in the database, and with them trusted extensions. */
  readonly createsInDatabase: boolean;
  /** Every role whose rights it has, itself included: what these own it may alter, and grant to others. */
  readonly has: readonly string[];
  /** Every role that it may make an owner, itself included. */
  readonly becomes: readonly string[];
  /** Of the roles that the declaration names, those that it may alter. */
  readonly administers: readonly string[];
  /** Of the same, those that it may grant to others. */
  readonly grants: readonly string[];
  /** Extensions that it may update. */
  readonly ownsExtensions: readonly string[];
  /** Of the declared parameters, by pg_settings, those that it may set (GRANT SET ON PARAMETER). */
  readonly settable: readonly string[];
}

export interface ObservedRights extends NodeRights {
  readonly user: string;
  readonly superuser: boolean;
  /** Nobody has made a table, view, sequence or function in the database, extensions and this program left aside. */
  readonly empty: boolean;
  /** Absent: the database has no Citus. */
  readonly workers?: readonly AskedWorker[];
}

/** A worker that was asked through Citus. */
export interface AskedWorker {
  readonly nodename: string;
  readonly nodeport: number;
  readonly success: boolean;
  /** A {@link RemoteAnswer} as JSON; without success what went wrong. */
  readonly result: string;
}

/** What a worker says of itself and of the database. */
export interface RemoteAnswer extends NodeRights {
  readonly standby: boolean;
  readonly roles: readonly ObservedRole[];
  readonly memberships: ObservedMemberships;
  readonly database: ObservedDatabase | null;
  readonly databaseGrants: ObservedDatabaseGrants | null;
  readonly parameters: ObservedParameters;
  readonly userParameters: ObservedUserParameters;
  readonly comment: boolean | null;
  readonly extensions: readonly ObservedExtension[];
  readonly schemas: readonly ObservedSchema[];
  /** Absent: no users are declared. */
  readonly access?: SentAccess;
  /** Digest of its pg_dist_node. */
  readonly nodes: string;
}

/** First PostgreSQL in which SET ROLE is a right of its own (PostgreSQL 16 documentation, GRANT). */
const WITH_SET = 160_000;

const VERSION = "pg_catalog.current_setting('server_version_num')::pg_catalog.int4";

const CREATES_ROLES = '(SELECT s.rolcreaterole FROM pg_catalog.pg_roles s WHERE s.rolname = session_user)';

/** On any node, pairs for jsonb_build_object(). */
function nodeRights(roles: readonly string[], parameters: readonly string[]): string {
  const declared = `r.rolname::pg_catalog.text = ANY (${textArray(roles)})`;
  const withAdmin = "pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER WITH ADMIN OPTION')";
  // Before PostgreSQL 16 CREATEROLE reaches every role that is no superuser.
  const byCreateRole = `${VERSION} < ${WITH_SET} AND ${CREATES_ROLES} AND NOT r.rolsuper`;
  return `'createRole', ${CREATES_ROLES},
    'ownsDatabase', (SELECT pg_catalog.pg_has_role(session_user, d.datdba, 'USAGE')
       FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
    'createsInDatabase', pg_catalog.has_database_privilege(session_user, pg_catalog.current_database(), 'CREATE'),
    'has', ${rolesWhere("pg_catalog.pg_has_role(session_user, r.oid, 'USAGE')")},
    'becomes', ${rolesWhere(`pg_catalog.pg_has_role(session_user, r.oid, CASE WHEN ${VERSION} < ${WITH_SET} THEN 'MEMBER' ELSE 'SET' END)`)},
    'administers', ${rolesWhere(`${declared} AND (${byCreateRole} OR ${VERSION} >= ${WITH_SET} AND ${CREATES_ROLES} AND ${withAdmin})`)},
    'grants', ${rolesWhere(`${declared} AND (${byCreateRole} OR ${withAdmin})`)},
    'ownsExtensions', (SELECT coalesce(pg_catalog.jsonb_agg(e.extname), '[]') FROM pg_catalog.pg_extension e
       WHERE pg_catalog.pg_has_role(session_user, e.extowner, 'USAGE')),
    'settable', (SELECT coalesce(pg_catalog.jsonb_agg(s.name), '[]') FROM pg_catalog.pg_settings s
       WHERE pg_catalog.lower(s.name) = ANY (${textArray(parameters.map((name) => name.toLowerCase()))})
         AND pg_catalog.has_parameter_privilege(session_user, s.name, 'SET'))`;
}

function rolesWhere(condition: string): string {
  return `(SELECT coalesce(pg_catalog.jsonb_agg(r.rolname), '[]') FROM pg_catalog.pg_roles r WHERE ${condition})`;
}

/** The first OID that initdb does not give (access/transam.h). */
const FIRST_NORMAL_OID = 16_384;

/**
 * Indexes, toast tables and composite types of an extension have no entry of it in pg_depend (PostgreSQL: catalog/heap.c,
 * heap_create_with_catalog()); they go with a table or a type, and are not counted.
 */
const COUNTED = "('r', 'p', 'v', 'm', 'f', 'S')";

function ofNobody(catalog: string, alias: string, schema: string, condition = 'true'): string {
  return `NOT EXISTS (SELECT FROM pg_catalog.${catalog} ${alias} JOIN pg_catalog.pg_namespace n ON n.oid = ${alias}.${schema}
    WHERE ${alias}.oid >= ${FIRST_NORMAL_OID} AND ${condition} AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '${OWN_SCHEMA}')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass
        AND e.objid = ${alias}.oid AND e.deptype = 'e'))`;
}

/** On the coordinator, in the database. */
export function observeOwnRights(
  database: DatabaseSpec,
  roles: readonly string[],
  parameters: readonly string[],
): readonly Fragment[] {
  const own = `pg_catalog.jsonb_build_object(
    'user', session_user,
    'superuser', (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = session_user),
    ${nodeRights(roles, parameters)},
    'empty', ${ofNobody('pg_class', 'c', 'relnamespace', `c.relkind IN ${COUNTED}`)} AND ${ofNobody('pg_proc', 'p', 'pronamespace')})`;
  return [
    { key: 'rights', value: own },
    {
      key: 'rights',
      when: HAS_CITUS,
      value: `observed->'rights' || pg_catalog.jsonb_build_object('workers', ${jsonRows(`
        SELECT w.nodename, w.nodeport, w.success, w.result
        FROM pg_catalog.run_command_on_workers(${quoteLiteral(remoteQuestion(database, roles, parameters))}) w`)})`,
    },
  ];
}

/** One statement, for a worker: Citus takes one command. */
function remoteQuestion(database: DatabaseSpec, roles: readonly string[], parameters: readonly string[]): string {
  const users = database.users.map((user) => user.name);
  const fragments: readonly Fragment[] = [
    observeRoles(roles, 'pg_roles'),
    observeMemberships(users),
    observeDatabase(database.name),
    observeDatabaseGrants(database.name),
    observeParameters(database),
    observeUserParameters(database),
    { key: databaseComment.key, value: databaseComment.observe(database) ?? 'NULL' },
    observeExtensions(),
    observeSchemas(database.schemas.map((schema) => schema.name)),
    ...(users.length === 0 ? [] : [observeAccess(users)]),
    { key: 'nodes', value: DIGEST_OF_NODES },
  ];
  return `SELECT pg_catalog.jsonb_build_object('standby', pg_catalog.pg_is_in_recovery(), ${nodeRights(roles, parameters)},
    ${fragments.map(({ key, value }) => `${quoteLiteral(key)}, ${value}`).join(',\n    ')})`;
}

/** What every node of the database has to know alike. */
export const DIGEST_OF_NODES = `(SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(':',
    n.nodeid, n.groupid, n.nodename, n.nodeport, n.noderole, n.isactive), ',' ORDER BY n.nodeid), '')) FROM pg_catalog.pg_dist_node n)`;

export function observeDigestOfNodes(): Fragment {
  return { key: 'nodes', when: HAS_CITUS, value: `pg_catalog.to_jsonb(${DIGEST_OF_NODES})` };
}

/** What it takes to make an extension (PostgreSQL documentation, "pg_available_extension_versions"). */
export interface ExtensionNeeds {
  readonly name: string;
  /** A superuser is needed, unless `trusted`. */
  readonly superuser: boolean;
  readonly trusted: boolean;
  /** What CASCADE makes with it. */
  readonly requires: readonly string[];
}

/** Reads every control file, so it is asked only where an extension is to be made or updated. */
export function observeExtensionNeeds(names: readonly string[]): Fragment {
  return {
    key: 'extensionNeeds',
    value: `(WITH RECURSIVE wanted (name) AS (
        SELECT pg_catalog.unnest(${textArray(names)}) COLLATE pg_catalog."C"
        UNION
        SELECT pg_catalog.unnest(v.requires)::pg_catalog.text COLLATE pg_catalog."C" FROM wanted w
          JOIN pg_catalog.pg_available_extension_versions v ON v.name::pg_catalog.text = w.name)
      SELECT coalesce(pg_catalog.jsonb_agg(n), '[]') FROM (
        SELECT v.name, pg_catalog.bool_or(v.superuser) AS superuser, pg_catalog.bool_and(v.trusted) AS trusted,
          (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT q.required), '[]') FROM pg_catalog.pg_available_extension_versions o,
             pg_catalog.unnest(o.requires) AS q (required) WHERE o.name = v.name) AS requires
        FROM pg_catalog.pg_available_extension_versions v
        WHERE v.name::pg_catalog.text IN (SELECT w.name FROM wanted w) GROUP BY v.name) n)`,
  };
}

/**
 * A statement on workers of the database, all of them or those of some groups, by way of Citus and as this role. ALTER
 * DATABASE and COMMENT ON DATABASE belong to servers: Citus carries them only for databases that it made itself (Citus:
 * commands/database.c).
 */
export function onWorkers(statement: string, groups?: readonly number[]): string {
  const there =
    groups === undefined
      ? ''
      : `IF (SELECT l.groupid FROM pg_catalog.pg_dist_local_group l) <> ALL ('{${groups.join(',')}}') THEN RETURN; END IF;`;
  // What a worker would carry to others itself is refused there ("operation is not allowed on this node").
  const alone = `DO ${dollarQuote(`BEGIN
  ${there}
  PERFORM pg_catalog.set_config('citus.enable_ddl_propagation', 'off', true);
  EXECUTE ${quoteLiteral(statement)};
END`)}`;
  return `DO ${dollarQuote(`
DECLARE failed pg_catalog.text;
BEGIN
  SELECT pg_catalog.string_agg(pg_catalog.format('%s:%s: %s', w.nodename, w.nodeport, w.result), '; ') INTO failed
  FROM pg_catalog.run_command_on_workers(${quoteLiteral(alone)}) w WHERE NOT w.success;
  IF failed IS NOT NULL THEN RAISE EXCEPTION 'on workers: %', failed; END IF;
END`)}`;
}

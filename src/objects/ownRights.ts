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
}

export interface ObservedRights extends NodeRights {
  readonly user: string;
  readonly superuser: boolean;
  /** Of the roles that the database's declaration names, those that exist. */
  readonly roles: readonly RoleRights[];
  /** Every role whose rights it has, itself included. */
  readonly has: readonly string[];
  /** Parameters for superusers that this role was granted (GRANT SET ON PARAMETER, PostgreSQL 15 and later). */
  readonly settable?: readonly string[];
  /** Nobody has made a table, view, sequence or function in the database, extensions and this program left aside. */
  readonly empty: boolean;
  /** Absent: the database has no Citus. */
  readonly workers?: readonly AskedWorker[];
}

export interface RoleRights {
  readonly name: string;
  /** Its rights, and SET ROLE to it. */
  readonly member: boolean;
  /** ALTER ROLE, and GRANT of it to others. */
  readonly admin: boolean;
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
  readonly comment: string | null;
  readonly extensions: readonly ObservedExtension[];
  readonly schemas: readonly ObservedSchema[];
  /** Absent: no users are declared. */
  readonly access?: SentAccess;
  /** Digest of its pg_dist_node. */
  readonly nodes: string;
}

const NODE_RIGHTS = `'createRole', (SELECT r.rolcreaterole FROM pg_catalog.pg_roles r WHERE r.rolname = session_user),
    'ownsDatabase', (SELECT pg_catalog.pg_has_role(session_user, d.datdba, 'USAGE')
       FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
    'createsInDatabase', pg_catalog.has_database_privilege(session_user, pg_catalog.current_database(), 'CREATE')`;

/** First PostgreSQL in which SET ROLE is a right of its own (PostgreSQL 16 documentation, GRANT). */
const WITH_SET = 160_000;

function rolesWithRights(names: readonly string[]): string {
  const version = "pg_catalog.current_setting('server_version_num')::pg_catalog.int4";
  return jsonRows(`
    SELECT r.rolname AS name,
      pg_catalog.pg_has_role(session_user, r.oid, 'USAGE') AND pg_catalog.pg_has_role(session_user, r.oid,
        CASE WHEN ${version} < ${WITH_SET} THEN 'MEMBER' ELSE 'SET' END) AS member,
      CASE WHEN ${version} < ${WITH_SET} THEN NOT r.rolsuper
           ELSE pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER WITH ADMIN OPTION') END
        AND (SELECT s.rolcreaterole FROM pg_catalog.pg_roles s WHERE s.rolname = session_user) AS admin
    FROM pg_catalog.pg_roles r WHERE r.rolname::pg_catalog.text = ANY (${textArray(names)})`);
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
    ${NODE_RIGHTS},
    'roles', ${rolesWithRights(roles)},
    'has', (SELECT pg_catalog.jsonb_agg(r.rolname) FROM pg_catalog.pg_roles r
       WHERE pg_catalog.pg_has_role(session_user, r.oid, 'USAGE')),
    'empty', ${ofNobody('pg_class', 'c', 'relnamespace', `c.relkind IN ${COUNTED}`)} AND ${ofNobody('pg_proc', 'p', 'pronamespace')})`;
  const settable = jsonRows(`
    SELECT s.name FROM pg_catalog.pg_settings s
    WHERE pg_catalog.lower(s.name) = ANY (${textArray(parameters.map((name) => name.toLowerCase()))})
      AND pg_catalog.has_parameter_privilege(session_user, s.name, 'SET')`);
  return [
    { key: 'rights', value: own },
    {
      key: 'rights',
      when: "pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 150000",
      value: `observed->'rights' || pg_catalog.jsonb_build_object('settable',
        pg_catalog.jsonb_path_query_array(${settable}, '$[*].name'))`,
    },
    {
      key: 'rights',
      when: HAS_CITUS,
      value: `observed->'rights' || pg_catalog.jsonb_build_object('workers', ${jsonRows(`
        SELECT w.nodename, w.nodeport, w.success, w.result
        FROM pg_catalog.run_command_on_workers(${quoteLiteral(remoteQuestion(database, roles))}) w`)})`,
    },
  ];
}

/** One statement, for a worker: Citus takes one command. */
function remoteQuestion(database: DatabaseSpec, roles: readonly string[]): string {
  const users = database.users.map((user) => user.name);
  const fragments: readonly Fragment[] = [
    observeRoles(roles, 'pg_roles'),
    observeMemberships(users),
    observeDatabase(database.name),
    observeDatabaseGrants(database.name),
    observeParameters(database.name),
    observeUserParameters(database.name, users),
    { key: databaseComment.key, value: databaseComment.observe(database) ?? 'NULL' },
    observeExtensions(),
    observeSchemas(database.schemas.map((schema) => schema.name)),
    ...(users.length === 0 ? [] : [observeAccess(users)]),
    { key: 'nodes', value: DIGEST_OF_NODES },
  ];
  return `SELECT pg_catalog.jsonb_build_object('standby', pg_catalog.pg_is_in_recovery(), ${NODE_RIGHTS},
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
}

/** Reads every control file, so it is asked only where an extension is to be made or updated. */
export function observeExtensionNeeds(names: readonly string[]): Fragment {
  return {
    key: 'extensionNeeds',
    value: jsonRows(`
      SELECT v.name, pg_catalog.bool_or(v.superuser) AS superuser, pg_catalog.bool_and(v.trusted) AS trusted
      FROM pg_catalog.pg_available_extension_versions v
      WHERE v.name::pg_catalog.text = ANY (${textArray(names)}) GROUP BY v.name`),
  };
}

/**
 * A statement on every worker of the database, by way of Citus and as this role. ALTER DATABASE and COMMENT ON DATABASE
 * belong to servers: Citus carries them only for databases that it made itself (Citus: commands/database.c).
 */
export function onWorkers(statement: string): string {
  // What a worker would carry to others itself is refused there ("operation is not allowed on this node").
  const alone = `DO ${dollarQuote(`BEGIN
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

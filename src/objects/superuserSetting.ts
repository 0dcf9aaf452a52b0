import { CITUS_AS_IT_COMES } from '../postgres/citusSettings.ts';
import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { type Fragment, PIN_SEARCH_PATH, SETTING_NAME, SETTING_VALUE, textArray } from './observe.ts';
import { IS_OPEN } from './openSchemas.ts';
import type { ObservedParameters } from './parameter.ts';
import { wording } from './wording.ts';

const THIS_DATABASE = '(SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())';

/**
 * What ALTER DATABASE … SET of an owner must not decide for sessions of the superuser. Citus sends its internal calls
 * between nodes by their names alone (worker_apply_shard_ddl_command(102044, …)), from its daemon too: a function of
 * the same name with closer argument types in `public`, or a search_path that names another schema first, would run as
 * superuser. A setting of a role in a database wins over one of the database (PostgreSQL documentation, ALTER ROLE). The
 * moves of a rebalance are such sessions, too.
 */
const SETTINGS = Object.entries({ search_path: 'pg_catalog', role: 'none', ...CITUS_AS_IT_COMES });

/** Those without which code of others would run; the rest decides whether what is begun comes to an end. */
const NAMES = SETTINGS.filter(([name]) => name === 'search_path' || name === 'role');

/**
 * Citus' daemon, and some of what Citus does between nodes, work as the owner of the extension (Citus: maintenanced.c,
 * CitusMaintenanceDaemonMain(); CitusExtensionOwnerName()): another superuser than the one who logs in, where somebody
 * else made the database. null: it is not.
 */
export interface CitusOwner {
  readonly name: string;
  /** In this database. */
  readonly settings: ObservedParameters;
}

export function observeCitusOwner(): Fragment {
  return {
    key: 'citusOwner',
    when: `EXISTS (SELECT FROM pg_catalog.pg_extension e
      WHERE e.extname = 'citus' AND pg_catalog.pg_get_userbyid(e.extowner) <> session_user)`,
    otherwise: 'NULL',
    value: `(SELECT pg_catalog.jsonb_build_object('name', o.rolname, 'settings', (
        SELECT coalesce(pg_catalog.jsonb_object_agg(${SETTING_NAME}, ${SETTING_VALUE}), '{}')
        FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) entry
        WHERE s.setrole = o.oid AND s.setdatabase = ${THIS_DATABASE}
          AND ${SETTING_NAME} = ANY (${textArray(SETTINGS.map(([name]) => name))})))
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_roles o ON o.oid = e.extowner
      WHERE e.extname = 'citus' AND o.rolsuper AND o.rolname <> session_user)`,
  };
}

/**
 * One row `statements`: what keeps names that Citus sends without a schema from leading to functions of others, on the node
 * that is asked; NULL where nothing is to be done. For commands that have not observed the database.
 */
export const UNPINNED = `${PIN_SEARCH_PATH};
SELECT string_agg(format('${NAMES.map(([name, value]) => `ALTER ROLE %1$I IN DATABASE %2$I SET ${name} = ${value};`).join(' ')}',
    r.rolname, current_database()), ' ' ORDER BY r.rolname) AS statements
FROM pg_roles r
WHERE ${IS_OPEN}
  AND (r.rolname = session_user OR r.rolsuper AND r.oid = (SELECT e.extowner FROM pg_extension e WHERE e.extname = 'citus'))
  AND NOT EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = ${THIS_DATABASE}
    AND s.setconfig @> ${textArray(NAMES.map((setting) => setting.join('=')))})`;

/** By the spec, somebody who is no superuser may make functions there: the owner, or a user who may create schemas. */
export function isShared(database: DatabaseSpec, superuser: string): boolean {
  return (
    database.owner !== superuser ||
    database.schemas.some(({ owner }) => owner !== undefined && owner !== superuser) ||
    database.users.some(({ access }) => access === 'owner' || access === 'all')
  );
}

/**
 * On one node, before the database has Citus: a daemon keeps the settings that it started with, so one that runs
 * already is ended and comes back by itself.
 */
export function diffSuperuserSettings(
  database: DatabaseSpec,
  superuser: string,
  observed: ObservedParameters,
  exists: boolean,
  node: NodeSpec,
): readonly Change[] {
  const missing = SETTINGS.filter(([name, value]) => observed[name] !== value);
  if (missing.length === 0) return [];
  const place = `${quoteIdentifier(superuser)} IN DATABASE ${quoteIdentifier(database.name)}`;
  const what = `${words(missing)} for role ${place.replace('IN DATABASE', 'in database')}`;
  return [
    {
      kind: 'change',
      node,
      scope: 'server',
      ...wording('set', what),
      statements: [
        ...missing.map(([name, value]) => ({ text: `ALTER ROLE ${place} SET ${name} TO ${quoteLiteral(value)}` })),
        ...(exists ? [{ text: endDaemons(database.name) }] : []),
      ],
      failure: `Failed to set what sessions of '${superuser}' start with in database '${database.name}'`,
      doneOnRetry: [],
      batch: 'database rights',
      secret: false,
    },
  ];
}

function words(settings: typeof SETTINGS): string {
  const own = settings.filter(([name]) => !name.startsWith('citus.')).map(([name, value]) => `${name} to ${value}`);
  return [...own, ...(own.length < settings.length ? ["Citus' parameters to its own values"] : [])].join(', ');
}

/** Citus names its daemons so in pg_stat_activity (Citus: utils/maintenanced.c, CitusMaintenanceDaemonMain). */
function endDaemons(database: string): string {
  return `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
    WHERE datname::pg_catalog.text = ${quoteLiteral(database)} AND backend_type LIKE 'Citus Maintenance Daemon%'`;
}

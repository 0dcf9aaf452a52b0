import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import type { ObservedParameters } from './parameter.ts';
import { wording } from './wording.ts';

/**
 * What ALTER DATABASE … SET of an owner must not decide for sessions of the superuser. Citus sends its internal calls
 * between nodes by their names alone (worker_apply_shard_ddl_command(102044, …)), from its daemon too: a function of
 * the same name with closer argument types in `public`, or a search_path that names another schema first, would run as
 * superuser. A setting of a role in a database wins over one of the database (PostgreSQL documentation, ALTER ROLE).
 */
const SETTINGS: Readonly<Record<string, string>> = { search_path: 'pg_catalog', role: 'none' };

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
  const missing = Object.entries(SETTINGS).filter(([name, value]) => observed[name] !== value);
  if (missing.length === 0) return [];
  const place = `${quoteIdentifier(superuser)} IN DATABASE ${quoteIdentifier(database.name)}`;
  const what = `${missing.map(([name, value]) => `${name} to ${value}`).join(' and ')} for role ${place.replace('IN DATABASE', 'in database')}`;
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

/** Citus names its daemons so in pg_stat_activity (Citus: utils/maintenanced.c, CitusMaintenanceDaemonMain). */
function endDaemons(database: string): string {
  return `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
    WHERE datname::pg_catalog.text = ${quoteLiteral(database)} AND backend_type LIKE 'Citus Maintenance Daemon%'`;
}

import { quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import type { Problem } from './change.ts';
import { INVALID } from './database.ts';
import type { Fragment } from './observe.ts';
import { SYSTEM_IDENTIFIER } from './server.ts';

/** What keeps a database from being dropped on one node. */
export interface Obstacles {
  /** Of the server that would drop it. */
  readonly systemIdentifier: string;
  /** null: the database is not there. */
  readonly database: {
    readonly oid: number;
    readonly allowConnections: boolean;
    /** An earlier DROP DATABASE was cut off: nobody gets in any more, and ALTER DATABASE fails (55000). */
    readonly invalid: boolean;
    /** datistemplate: DROP DATABASE refuses it (42809). */
    readonly template: boolean;
  } | null;
  /** Of clients; what Citus itself has open in the database is nobody's, and comes and goes by the second. */
  readonly sessions: number;
  /** Identifiers of prepared transactions; they can be ended only inside the database. */
  readonly prepared: readonly string[];
  /** Names of logical replication slots of this database. */
  readonly slots: readonly string[];
  /** Names of subscriptions in this database: DROP DATABASE refuses it (55006), and they can be dropped only inside. */
  readonly subscriptions: readonly string[];
}

/**
 * A subscriber of logical replication is a walsender (PostgreSQL documentation, pg_stat_activity.backend_type). Citus
 * gives the sessions between its nodes one of three names (src/include/distributed/connection_management.h,
 * CITUS_APPLICATION_NAME_PREFIX and the two behind it).
 */
const OF_CLIENTS = `backend_type IN ('client backend', 'walsender')
        AND application_name !~ '^citus_(internal|rebalancer|run_command) gpid='`;

export function observeObstacles(name: string): readonly Fragment[] {
  const is = (column: string) => `${column}::pg_catalog.text = ${quoteLiteral(name)}`;
  return [
    { key: 'systemIdentifier', value: `pg_catalog.to_jsonb(${SYSTEM_IDENTIFIER})` },
    {
      key: 'database',
      value: `(SELECT pg_catalog.jsonb_build_object('oid', oid::pg_catalog.int8, 'allowConnections', datallowconn,
          'invalid', datconnlimit = ${INVALID}, 'template', datistemplate)
        FROM pg_catalog.pg_database WHERE ${is('datname')})`,
    },
    {
      key: 'sessions',
      value: `(SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity
        WHERE ${is('datname')} AND pid <> pg_catalog.pg_backend_pid() AND ${OF_CLIENTS})`,
    },
    {
      key: 'prepared',
      value: `(SELECT coalesce(pg_catalog.jsonb_agg(gid), '[]') FROM pg_catalog.pg_prepared_xacts WHERE ${is('database')})`,
    },
    {
      key: 'slots',
      value: `(SELECT coalesce(pg_catalog.jsonb_agg(slot_name), '[]') FROM pg_catalog.pg_replication_slots WHERE ${is('database')})`,
    },
    {
      key: 'subscriptions',
      value: `(SELECT coalesce(pg_catalog.jsonb_agg(s.subname ORDER BY s.subname), '[]')
        FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE ${is('d.datname')})`,
    },
  ];
}

/** What `drop` does not take away: asked on every node before anything is closed. */
export function dropProblems(name: string, { database, subscriptions }: Obstacles, label: string): readonly Problem[] {
  const quoted = quoteIdentifier(name);
  return [
    ...(database?.template === true
      ? [
          {
            kind: 'refused',
            what: `Database '${name}' is a template (IS_TEMPLATE), and PostgreSQL drops no template`,
            node: label,
            next: `On that node: ALTER DATABASE ${quoted} WITH IS_TEMPLATE false`,
          } as const,
        ]
      : []),
    ...subscriptions.map((subscription) => {
      const quotedSubscription = quoteIdentifier(subscription);
      return {
        kind: 'refused',
        what: `Database '${name}' has the subscription '${subscription}'`,
        node: label,
        next: `In that database: DROP SUBSCRIPTION ${quotedSubscription}; or, if its publisher is gone: ALTER SUBSCRIPTION ${quotedSubscription} DISABLE; ALTER SUBSCRIPTION ${quotedSubscription} SET (slot_name = NONE); DROP SUBSCRIPTION ${quotedSubscription}`,
      } as const;
    }),
  ];
}

/**
 * Whether a worker's database belongs to a database of this program's: Citus, or the schema that is made in front of it. The
 * coordinator alone remembers what was made, by name; on a worker that the entry leaves out, the name may be anybody's.
 */
export const BELONGS_TO_CLUSTER = `SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')
    OR EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
      WHERE n.nspname = 'citus_databases' AND r.rolsuper) AS belongs`;

export function readObstacles(observed: string): Obstacles {
  return JSON.parse(observed) as Obstacles;
}

/** From here on nobody gets in, not even the daemons of other nodes, which otherwise come back at once. */
export function closeDoor(name: string): string {
  return `ALTER DATABASE ${quoteIdentifier(name)} WITH ALLOW_CONNECTIONS false`;
}

/** Prepared transactions can be ended only from inside. */
export function openDoor(name: string): string {
  return `ALTER DATABASE ${quoteIdentifier(name)} WITH ALLOW_CONNECTIONS true`;
}

export function endSessions(name: string): string {
  return `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
    WHERE datname::pg_catalog.text = ${quoteLiteral(name)} AND pid <> pg_catalog.pg_backend_pid()`;
}

export function dropSlot(slot: string): string {
  return `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(slot)})`;
}

export function rollBackPrepared(identifier: string): string {
  return `ROLLBACK PREPARED ${quoteLiteral(identifier).trim()}`;
}

export function dropDatabase(name: string): string {
  return `DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`;
}

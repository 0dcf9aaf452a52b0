import { quoteLiteral } from '../postgres/quote.ts';
import { type Fragment, HAS_CITUS } from './observe.ts';

/**
 * Citus' maintenance daemon has to run for each database: it finds deadlocks between nodes, settles prepared transactions
 * and drops what shard moves left (Citus documentation, "Cluster Management"). The first statement of any session that
 * plans something starts it, if there is a background worker left (Citus: maintenanced.c).
 */
export function daemonOf(database: string): string {
  return `EXISTS (SELECT FROM ${SESSIONS} a
    WHERE a.backend_type ~ '^Citus Maintenance Daemon'
      AND a.datid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname::pg_catalog.text = ${database}))`;
}

/**
 * What the view pg_stat_activity reads, without names of databases and roles: to plan the view takes a server longer than to
 * look through its sessions.
 */
export const SESSIONS = 'pg_catalog.pg_stat_get_activity(NULL)';

/** On the server, before this program's own sessions in the database could have started it. */
export function observeDaemon(database: string): Fragment {
  return { key: 'daemon', value: `pg_catalog.to_jsonb(${daemonOf(quoteLiteral(database))})` };
}

/** In the database. The stand-in has none, and no shards either. */
export function observeOwnDaemon(): Fragment {
  return {
    key: 'daemon',
    when: `${HAS_CITUS} AND pg_catalog.to_regproc('pg_catalog.shard_name') IS NOT NULL`,
    value: `pg_catalog.to_jsonb(${daemonOf('pg_catalog.current_database()')})`,
  };
}

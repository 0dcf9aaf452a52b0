import { quoteLiteral } from '../postgres/quote.ts';
import { type Fragment, HAS_CITUS } from './observe.ts';

/**
 * Citus' maintenance daemon has to run for each database: it finds deadlocks between nodes, settles prepared transactions
 * and drops what shard moves left (Citus documentation, "Cluster Management"). The first statement of any session that
 * plans something starts it, if there is a background worker left (Citus: maintenanced.c).
 */
function daemonOf(database: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
    WHERE a.datname = ${database} AND a.backend_type ~ '^Citus Maintenance Daemon')`;
}

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

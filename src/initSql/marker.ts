import { createHash } from 'node:crypto';
import type { Fragment } from '../objects/observe.ts';
import { quoteLiteral } from '../postgres/quote.ts';

/**
 * The session that executes initSQL marks itself with an advisory lock in the database. When this program is killed,
 * PostgreSQL goes on with the statement until it has something to send (PostgreSQL documentation,
 * client_connection_check_interval), and would commit it and its row in the ledger after the next run has looked.
 */
const KEY = createHash('sha256').update('citus-databases:init-sql-session').digest().readBigInt64BE(0).toString();

export const MARK_SESSION = `SELECT pg_catalog.pg_advisory_lock(${KEY})`;

/** How many marked sessions there are; 0 as a rule, so that it is worth no question of its own. */
export function observeMarkedSessions(database: string): Fragment {
  return { key: 'initSqlSessions', value: `(SELECT pg_catalog.count(*) ${marked(database)})` };
}

/** Ends marked sessions; to be asked in any database, by whoever holds the database's lock. Returns how many there are. */
export function endMarkedSessions(database: string): string {
  return `SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(l.pid))::pg_catalog.int4 AS sessions ${marked(database)}`;
}

function marked(database: string): string {
  return `FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND d.datname::pg_catalog.text = ${quoteLiteral(database)}
      AND (l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8) = ${KEY}`;
}

import { createHash } from 'node:crypto';
import { type Fragment, textArray } from '../objects/observe.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec } from '../spec/types.ts';

/**
 * The session that executes initSQL marks itself with an advisory lock in the database. When this program is killed,
 * PostgreSQL goes on with the statement until it has something to send (PostgreSQL documentation,
 * client_connection_check_interval), and would commit it and its row in the ledger after the next run has looked.
 *
 * Anybody may take an advisory lock. So the second half of the key is any number, which nobody can keep from us, and the
 * session of a user who is neither a superuser nor the one who asks counts for nothing.
 */
const CLASS = createHash('sha256').update('citus-databases:init-sql-session').digest().readUInt32BE(0) >>> 1;

export function markSession(number: number): string {
  return `SELECT pg_catalog.pg_try_advisory_lock(${CLASS}, ${number}) AS marked`;
}

/** How many marked sessions there are; 0 as a rule, so that it is worth no question of its own. */
export function observeMarkedSessions(database: DatabaseSpec): Fragment {
  return {
    key: 'initSqlSessions',
    when: `EXISTS (SELECT FROM pg_catalog.pg_lock_status() l WHERE ${IS_MARK})`,
    value: `(SELECT pg_catalog.count(*) ${marked(database)})`,
    otherwise: '0',
  };
}

/** Of a row of pg_locks, or of the function that the view reads. */
const IS_MARK = `l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = ${CLASS}::pg_catalog.oid`;

/** What endMarkedSessions() answers. */
export interface MarkedSessions {
  readonly sessions: number;
  /** Whose they are, where they are neither a superuser's nor of the role that asks: then it may be any client that has taken the lock. */
  readonly users: string | null;
}

/** Ends marked sessions; to be asked in any database, by whoever holds the database's lock. */
export function endMarkedSessions(database: DatabaseSpec): string {
  return `SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(l.pid))::pg_catalog.int4 AS sessions,
      pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(r.rolname), ', ') FILTER (WHERE NOT r.rolsuper AND r.rolname <> session_user) AS users ${marked(database)}`;
}

/** Without a superuser the sessions are those of the role that asks. With initSQLRole those who may log in for it count as well: they hold up nothing but their own database. */
function marked({ name, initSQLRole, users }: DatabaseSpec): string {
  const others = initSQLRole === undefined ? [] : users.map((user) => user.name);
  return `FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
      JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
    WHERE ${IS_MARK}
      AND (r.rolsuper OR r.rolname = session_user OR r.rolname::pg_catalog.text = ANY (${textArray(others)}))
      AND d.datname::pg_catalog.text = ${quoteLiteral(name)}`;
}

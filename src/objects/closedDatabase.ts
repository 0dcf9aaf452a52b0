import { quoteIdentifier } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { ManagedRow } from './bookkeeping.ts';
import type { Change } from './change.ts';
import { initSqlLogin } from './initSqlRole.ts';
import { isShared } from './superuserSetting.ts';
import { wording } from './wording.ts';

export function hasInitSql({ initSQL, initSQLFrom }: DatabaseSpec): boolean {
  return initSQL !== undefined || initSQLFrom.length > 0;
}

/**
 * While initSQL, or the script of an extension, runs as superuser in a new database, nobody else may get in: an owner who
 * connects in time could put a function or a trigger where the next statement meets it. So the database is made with
 * CONNECTION LIMIT 0, which superusers are exempt from (PostgreSQL documentation, CREATE DATABASE), and belongs to the
 * superuser for that long, because an owner may lift the limit from any other database. Citus' own scripts need no such
 * care: their search_path is pg_catalog (citus.control). `letsOthersIn`: initSQL itself may give something away.
 */
export function closesFirst(database: DatabaseSpec, superuser: string, letsOthersIn: boolean): boolean {
  const initSql = hasInitSql(database) && initSqlLogin(database, superuser) === undefined;
  return (initSql && letsOthersIn) || ((initSql || database.extensions.length > 0) && isShared(database, superuser));
}

/** initSQL has to log in as somebody who is not let in before. */
export function opensBeforeInitSql(database: DatabaseSpec, superuser: string): boolean {
  return hasInitSql(database) && initSqlLogin(database, superuser) !== undefined;
}

/**
 * The bookkeeping says `creating` with an OID as long as the database is closed, so that a resumed run knows. Without one,
 * the run died before it came to that, and the database is as it was to be created: `closed`.
 */
export function isStillClosed(row: ManagedRow | null, closed: boolean): boolean {
  return row?.state === 'creating' && (row.oid !== null || closed);
}

/** On one node, when what runs as superuser is through. */
export function openDatabase(database: DatabaseSpec, superuser: string, citus: boolean, node: NodeSpec): Change {
  const name = quoteIdentifier(database.name);
  // ALTER DATABASE OWNER hands the superuser's own rights over as well (PostgreSQL: aclnewowner()); see access.ts.
  const kept = citus && database.users.length > 0 && database.owner !== superuser;
  return {
    kind: 'change',
    node,
    scope: 'server',
    ...wording('open', `database ${name} to its owner ${quoteIdentifier(database.owner)} and its users`),
    statements: [
      `ALTER DATABASE ${name} OWNER TO ${quoteIdentifier(database.owner)}`,
      ...(kept ? [`GRANT CONNECT ON DATABASE ${name} TO ${quoteIdentifier(superuser)}`] : []),
      `ALTER DATABASE ${name} WITH CONNECTION LIMIT ${database.connectionLimit ?? -1}`,
    ].map((text) => ({ text })),
    failure: `Failed to open database '${database.name}' to its owner and its users`,
    doneOnRetry: [],
    secret: false,
  };
}

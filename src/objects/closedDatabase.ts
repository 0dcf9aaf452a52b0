import { quoteIdentifier } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { ManagedRow } from './bookkeeping.ts';
import type { Change } from './change.ts';
import { isShared } from './superuserSetting.ts';
import { wording } from './wording.ts';

export function hasInitSql({ initSQL, initSQLFrom }: DatabaseSpec): boolean {
  return initSQL !== undefined || initSQLFrom.length > 0;
}

/**
 * While initSQL runs as superuser in a new database, nobody else may get in: an owner who connects in time could put a
 * function or a trigger where the next statement meets it. So the database is made with CONNECTION LIMIT 0, which
 * superusers are exempt from (PostgreSQL documentation, CREATE DATABASE), and belongs to the superuser for that long,
 * because an owner may lift the limit from any other database.
 */
export function closesFirst(database: DatabaseSpec, superuser: string): boolean {
  return hasInitSql(database) && database.initSQLRole === undefined && isShared(database, superuser);
}

/** The bookkeeping says `creating` with an OID as long as the database is closed, so that a resumed run knows. */
export function isStillClosed(database: DatabaseSpec, superuser: string, row: ManagedRow | null): boolean {
  return row?.state === 'creating' && (row.oid !== null || closesFirst(database, superuser));
}

/** On one node, after initSQL. */
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

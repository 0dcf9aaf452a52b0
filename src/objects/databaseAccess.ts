import { quoteIdentifier } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { ObservedDatabaseGrants } from './accessObserved.ts';
import type { Change } from './change.ts';
import { entryOf } from './entryOf.ts';
import { accessChange, lacking, PRIVILEGES } from './privileges.ts';
import { wording } from './wording.ts';

/** What every database gives to everybody until it is taken away (PostgreSQL documentation, "Privileges"). */
const PUBLIC_DEFAULT = ['CONNECT', 'TEMPORARY'] as const;

/**
 * On one server: nothing for PUBLIC on the database, and what the users need. Where PUBLIC may not connect, neither may
 * the temporary role that Citus moves shards with: it is a member of the table's owner and has what that role was
 * granted, not what a superuser may do besides (Citus: replication/multi_logical_replication.c, CreateSubscriptions()).
 */
export function diffDatabaseAccess(
  database: DatabaseSpec,
  /** undefined: the database is not there yet. */
  observed: ObservedDatabaseGrants | undefined,
  node: NodeSpec,
  /** Owners of distributed tables, present and future ones; without Citus there are none. */
  tableOwners: readonly string[],
): readonly Change[] {
  const name = quoteIdentifier(database.name);
  const restricted = database.users.length > 0;
  const forPublic = observed === undefined ? PUBLIC_DEFAULT : observed.forPublic;
  const revoked = restricted ? forPublic : [];
  const grants = [
    ...database.users
      .filter((user) => user.name !== database.owner)
      .map((user) => ({ role: user.name, missing: lacking(user, PRIVILEGES[user.access].database, observed?.grants) })),
    ...(restricted || !forPublic.includes('CONNECT') ? ownersToConnect(database, observed, tableOwners) : []),
  ]
    .filter(({ missing }) => missing.length > 0)
    .map(({ role, missing }) => ({ role: quoteIdentifier(role), missing: missing.join(', ') }));
  if (grants.length === 0 && revoked.length === 0) return [];
  const parts = [
    ...grants.map(({ role, missing }) => `${missing} to ${role}`),
    ...(revoked.length === 0 ? [] : ['nothing to PUBLIC']),
  ];
  return [
    accessChange({
      ...{ node, scope: 'server' },
      ...wording('grant', `on database ${name}: ${parts.join('; ')}`),
      statements: [
        ...grants.map(({ role, missing }) => `GRANT ${missing} ON DATABASE ${name} TO ${role}`),
        ...(revoked.length === 0 ? [] : [`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`]),
      ],
      failure: `Failed to grant rights on database '${database.name}'`,
      batch: 'database rights',
    }),
  ];
}

function ownersToConnect(
  database: DatabaseSpec,
  observed: ObservedDatabaseGrants | undefined,
  tableOwners: readonly string[],
): readonly { readonly role: string; readonly missing: readonly string[] }[] {
  const known = new Set([database.owner, ...database.users.map((user) => user.name)]);
  return [...new Set(tableOwners)]
    .filter((role) => !known.has(role) && entryOf(observed?.grants, role)?.includes('CONNECT') !== true)
    .map((role) => ({ role, missing: ['CONNECT'] }));
}

import { quoteIdentifier } from '../postgres/quote.ts';
import type { NodeSpec, UserAccess, UserSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { entryOf } from './entryOf.ts';
import type { Wording } from './wording.ts';

/**
 * What a user may do, in PostgreSQL's privileges. Grants that are missing come back with every run; others stay as they
 * are. Objects that belong to an extension keep the rights that its author chose.
 */

export type PrivilegeKind = 'database' | 'schema' | 'table' | 'sequence';

const READ_ONLY: Readonly<Record<PrivilegeKind, readonly string[]>> = {
  database: ['CONNECT'],
  schema: ['USAGE'],
  table: ['SELECT'],
  sequence: ['SELECT'],
};
const READ_WRITE: Readonly<Record<PrivilegeKind, readonly string[]>> = {
  database: ['CONNECT', 'TEMPORARY'],
  schema: ['USAGE'],
  table: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  sequence: ['SELECT', 'UPDATE', 'USAGE'],
};
const ALL: Readonly<Record<PrivilegeKind, readonly string[]>> = {
  database: ['CONNECT', 'CREATE', 'TEMPORARY'],
  schema: ['CREATE', 'USAGE'],
  table: ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'],
  sequence: ['SELECT', 'UPDATE', 'USAGE'],
};
/** An owner gets the same as `all` on what others made: owning the database gives no right on their tables. */
export const PRIVILEGES: Readonly<Record<UserAccess, Readonly<Record<PrivilegeKind, readonly string[]>>>> = {
  owner: ALL,
  all: ALL,
  readWrite: READ_WRITE,
  readOnly: READ_ONLY,
};

/** VACUUM, ANALYZE, REINDEX and the like on what others own (PostgreSQL 17 documentation, "Privileges"). */
const MAINTAIN = { since: 170_000, name: 'MAINTAIN' } as const;

export function privilegesOf(access: UserAccess, kind: PrivilegeKind, serverVersion: number): readonly string[] {
  const privileges = PRIVILEGES[access][kind];
  const maintains = PRIVILEGES[access] === ALL && kind === 'table' && serverVersion >= MAINTAIN.since;
  return maintains ? [...privileges, MAINTAIN.name] : privileges;
}

export function lacking(
  user: UserSpec,
  privileges: readonly string[],
  grants: Readonly<Record<string, readonly string[]>> | undefined,
): readonly string[] {
  const present = entryOf(grants, user.name) ?? [];
  return privileges.filter((privilege) => !present.includes(privilege));
}

interface Parts extends Wording {
  readonly node: NodeSpec;
  readonly scope: 'server' | 'database';
  readonly statements: readonly string[];
  readonly failure: string;
  readonly batch?: string;
}

/** GRANT and the like: tried again as a whole, and free of secrets. */
export function accessChange(parts: Parts): Change {
  const { statements, ...rest } = parts;
  return { kind: 'change', ...rest, statements: statements.map((text) => ({ text })), doneOnRetry: [], secret: false };
}

export const NO_PROPAGATION = 'SET LOCAL citus.enable_ddl_propagation = off';

export function usersWithAccess(items: readonly { readonly user: UserSpec }[]): string {
  const users = new Set(items.map(({ user }) => user));
  return [...users].map(({ name, access }) => `${quoteIdentifier(name)} (${access})`).join(', ');
}

export function listed(names: readonly string[], one: string, many: string): string {
  return names.length > 3 ? `${names.length} ${many}` : `${names.length === 1 ? one : many} ${names.join(', ')}`;
}

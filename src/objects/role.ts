import { integerLiteral, quoteIdentifier, quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change, Statement } from './change.ts';
import { assertMembers, confirmedMembers } from './membership.ts';
import { type Fragment, jsonRows, textArray } from './observe.ts';
import { wording } from './wording.ts';

/** A role as pg_authid has it. `verifier` is as secret as a password. */
export interface ObservedRole {
  readonly name: string;
  readonly superuser: boolean;
  readonly inherit: boolean;
  readonly createRole: boolean;
  readonly createDatabase: boolean;
  readonly login: boolean;
  readonly replication: boolean;
  readonly bypassRls: boolean;
  readonly connectionLimit: number;
  readonly verifier: string | null;
  /** Its password is no longer accepted (VALID UNTIL). */
  readonly expired?: boolean;
}

/** pg_authid has verifiers, and only superusers may read it; pg_roles is for everybody. */
export function observeRoles(names: readonly string[], catalog: 'pg_authid' | 'pg_roles' = 'pg_authid'): Fragment {
  const verifier = catalog === 'pg_authid' ? 'rolpassword' : 'NULL';
  return {
    key: 'roles',
    value: jsonRows(`
      SELECT rolname AS name, rolsuper AS superuser, rolinherit AS inherit, rolcreaterole AS "createRole",
             rolcreatedb AS "createDatabase", rolcanlogin AS login, rolreplication AS replication,
             rolbypassrls AS "bypassRls", rolconnlimit AS "connectionLimit", ${verifier} AS verifier,
             coalesce(rolvaliduntil <= pg_catalog.now(), false) AS expired
      FROM pg_catalog.${catalog} WHERE rolname::pg_catalog.text = ANY (${textArray(names)})`),
  };
}

/** The roles that own the database or a schema in it: they have to exist before anything is made. */
export function ownersOf(database: DatabaseSpec): readonly string[] {
  const schemaOwners = database.schemas.flatMap((schema) => (schema.owner === undefined ? [] : [schema.owner]));
  return [...new Set([database.owner, ...schemaOwners])];
}

/**
 * Roles belong to servers and Citus propagates them only from a database that has Citus (Citus documentation,
 * "Manage roles"); our maintenance database may have none. So a role that the coordinator has and another node lacks
 * is copied, with the same verifier: Citus itself would overwrite workers' passwords with the coordinator's when a
 * node is added.
 */
export function diffRoleCopy(
  wanted: ObservedRole,
  observed: readonly ObservedRole[],
  node: NodeSpec,
  label: string,
  /** Who may be a member of it. undefined: not asked. */
  members?: Iterable<string>,
): readonly Change[] {
  const existing = observed.find((role) => role.name === wanted.name);
  if (existing !== undefined && isLike(existing, wanted)) return [];
  const verb = existing === undefined ? 'CREATE' : 'ALTER';
  const what = existing === undefined ? 'create' : 'align';
  return [
    {
      kind: 'change',
      node,
      scope: 'server',
      creates: existing === undefined,
      ...wording(what, `role ${quoteIdentifier(wanted.name)} as on the coordinator`),
      statements: [
        ...(existing === undefined ? [] : refuseMembers(wanted, existing, members)),
        ...roleStatements(verb, wanted.name, roleOptions(wanted), wanted.verifier ?? undefined),
      ],
      starting: `${existing === undefined ? 'Creating' : 'Aligning'} role '${wanted.name}' on ${label}...`,
      failure: `Failed to ${what} role '${wanted.name}'`,
      doneOnRetry: [SQLSTATE.duplicateObject],
      ...confirmedMembers(wanted.name, wanted.superuser ? [] : members),
      secret: true,
    },
  ];
}

/**
 * Whoever has CREATEROLE on a worker may make the role there first and be a member of it: with SUPERUSER the role would
 * make a superuser of its members, whoever they are (PostgreSQL documentation, "Role Membership").
 */
function refuseMembers(
  wanted: ObservedRole,
  existing: ObservedRole,
  members: Iterable<string> | undefined,
): readonly Statement[] {
  if (wanted.superuser && !existing.superuser)
    return [{ text: assertMembers(wanted.name, [], 'SUPERUSER would reach') }];
  return members === undefined ? [] : [{ text: assertMembers(wanted.name, members, 'Nobody declared the') }];
}

function isLike(existing: ObservedRole, wanted: ObservedRole): boolean {
  return existing.verifier === wanted.verifier && roleOptions(existing).join(' ') === roleOptions(wanted).join(' ');
}

function roleOptions(role: ObservedRole): readonly string[] {
  const noPassword = role.verifier === null ? ['PASSWORD NULL'] : [];
  return [flag(role.superuser, 'SUPERUSER'), ...roleAttributes(role), ...noPassword];
}

/** A role's attributes as CREATE ROLE takes them, without SUPERUSER and the password. */
export function roleAttributes(role: ObservedRole): readonly string[] {
  return [
    flag(role.inherit, 'INHERIT'),
    flag(role.createRole, 'CREATEROLE'),
    flag(role.createDatabase, 'CREATEDB'),
    flag(role.login, 'LOGIN'),
    flag(role.replication, 'REPLICATION'),
    flag(role.bypassRls, 'BYPASSRLS'),
    `CONNECTION LIMIT ${integerLiteral(role.connectionLimit)}`,
  ];
}

function flag(on: boolean, name: string): string {
  return on ? name : `NO${name}`;
}

const VERIFIER_SETTING = 'citus_databases.verifier';

/**
 * CREATE ROLE takes no parameters, so the verifier travels as a bound parameter into a setting of the transaction, and
 * from there into the statement: it does not stand in the text that pg_stat_activity shows.
 */
export function roleStatements(
  verb: 'CREATE' | 'ALTER',
  role: string,
  options: readonly string[],
  verifier: string | undefined,
): readonly Statement[] {
  const command = `${verb} ROLE ${quoteIdentifier(role)} WITH ${options.join(' ')}`;
  if (verifier === undefined) return [{ text: command }];
  const template = `${quoteLiteral(`${command.replaceAll('%', '%%')} PASSWORD %L`)}`;
  const body = `BEGIN EXECUTE pg_catalog.format(${template}, pg_catalog.current_setting('${VERIFIER_SETTING}')); END`;
  return [
    { text: `SELECT pg_catalog.set_config('${VERIFIER_SETTING}', $1, true)`, values: [verifier] },
    { text: `DO ${quoteLiteral(body)}` },
  ];
}

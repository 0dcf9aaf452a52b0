import { quoteIdentifier } from '../postgres/quote.ts';
import { isVerifierOf, scramVerifier } from '../postgres/scram.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import type { DatabaseSpec, NodeSpec, UserSpec } from '../spec/types.ts';
import type { Change, Problem } from './change.ts';
import { entryOf } from './entryOf.ts';
import {
  assertMembers,
  confirmedMembers,
  givesRights,
  grantMembership,
  type ObservedMemberships,
} from './membership.ts';
import { type ObservedRole, ownersOf, roleAttributes, roleStatements } from './role.ts';
import { wording } from './wording.ts';

/** A declared user with what it takes to make it so. */
export interface WantedUser {
  readonly spec: UserSpec;
  readonly groups: readonly string[];
  /** For pg_dist_authinfo only: nodes get the verifier. undefined: none is declared. */
  readonly password: string | undefined;
  /** As every node has to have it. */
  readonly role: ObservedRole;
}

/** Every role that has to be looked at: owners, users, and what users are members of. */
export function rolesOf(database: DatabaseSpec): readonly string[] {
  const users = database.users.flatMap((user) => [user.name, ...groupsOf(user, database)]);
  return [...new Set([...ownersOf(database), ...users])];
}

/** With access `owner`, whoever is not the owner is a member of it. */
export function groupsOf(user: UserSpec, database: DatabaseSpec): readonly string[] {
  if (user.access !== 'owner' || user.name === database.owner) return user.memberOf;
  return [...new Set([...user.memberOf, database.owner])];
}

const NEW_ROLE: Omit<ObservedRole, 'name'> = {
  ...{ superuser: false, inherit: true, createRole: false, createDatabase: false, login: true },
  ...{ replication: false, bypassRls: false, connectionLimit: -1, verifier: null },
};

/**
 * The coordinator's role with what is declared. Its verifier stays as long as it is one of the password: a verifier
 * has a random salt, so one made anew would differ each time. Workers then get the very same one.
 */
export function wantedUser(
  spec: UserSpec,
  database: DatabaseSpec,
  password: string | undefined,
  onCoordinator: ObservedRole | undefined,
  salt: Uint8Array,
): WantedUser {
  const present = onCoordinator ?? { ...NEW_ROLE, name: spec.name };
  const keeps = password === undefined || isVerifierOf(present.verifier, password);
  const role: ObservedRole = {
    ...present,
    login: spec.login,
    connectionLimit: spec.connectionLimit ?? present.connectionLimit,
    verifier: keeps ? present.verifier : scramVerifier(password, salt),
  };
  return { spec, groups: groupsOf(spec, database), password, role };
}

/** What one node lacks of a user: the role, what differs in it, memberships. */
export function diffUser(
  user: WantedUser,
  observed: readonly ObservedRole[],
  memberships: ObservedMemberships,
  node: NodeSpec,
  /** server_version_num of the node. */
  serverVersion: number,
  /** Who may be a member of it. undefined: not asked. */
  members?: Iterable<string>,
): readonly Change[] {
  return [
    ...diffRole(user, observed, node, members),
    ...diffMemberships(user.role.name, user.groups, memberships, node, serverVersion),
  ];
}

/** The role itself: its attributes and its password. */
export function diffRole(
  { role }: WantedUser,
  observed: readonly ObservedRole[],
  node: NodeSpec,
  members?: Iterable<string>,
): readonly Change[] {
  const name = quoteIdentifier(role.name);
  const existing = observed.find((candidate) => candidate.name === role.name);
  const options = roleAttributes(role);
  const present = existing === undefined ? [] : roleAttributes(existing);
  const differing = options.filter((option) => !present.includes(option));
  const newVerifier = role.verifier !== null && role.verifier !== existing?.verifier ? role.verifier : undefined;
  if (existing !== undefined && differing.length === 0 && newVerifier === undefined) return [];
  const verb = existing === undefined ? 'create' : differing.length > 0 ? 'alter' : 'change';
  const what = verb === 'change' ? 'change the password of' : verb;
  return [
    {
      ...{ kind: 'change', node, scope: 'server' },
      creates: existing === undefined,
      ...wording(
        verb,
        `${verb === 'change' ? 'the password of ' : ''}role ${name}${existing === undefined || differing.length === 0 ? '' : ` (${[...differing, ...(newVerifier === undefined ? [] : ['PASSWORD'])].join(', ')})`}`,
      ),
      statements: [
        ...(existing === undefined || members === undefined
          ? []
          : [{ text: assertMembers(role.name, members, 'Nobody declared the') }]),
        ...roleStatements(existing === undefined ? 'CREATE' : 'ALTER', role.name, differing, newVerifier),
      ],
      failure: `Failed to ${what} role '${role.name}'`,
      doneOnRetry: [SQLSTATE.duplicateObject],
      ...confirmedMembers(role.name, members),
      secret: true,
    },
  ];
}

export function diffMemberships(
  member: string,
  wantedGroups: readonly string[],
  memberships: ObservedMemberships,
  node: NodeSpec,
  /** server_version_num of the node. */
  serverVersion: number,
): readonly Change[] {
  const name = quoteIdentifier(member);
  const memberOf = entryOf(memberships, member) ?? [];
  const missing = wantedGroups.filter(
    (group) => !memberOf.some((membership) => membership.group === group && givesRights(membership)),
  );
  if (missing.length === 0) return [];
  const groups = missing.map(quoteIdentifier).join(', ');
  return [
    {
      ...{ kind: 'change', node, scope: 'server', secret: false, doneOnRetry: [] },
      creates: true,
      ...wording('make', `role ${name} a member of ${groups}`),
      statements: [{ text: grantMembership(missing, member, serverVersion) }],
      failure: `Failed to make role '${member}' a member of ${groups}`,
    },
  ];
}

/** A superuser stands above every grant: to declare its access would say what is not so. */
export function userProblems(
  users: readonly UserSpec[],
  roles: readonly ObservedRole[],
  node: string,
): readonly Problem[] {
  return users.flatMap(({ name, login }): Problem[] => {
    const existing = roles.find((role) => role.name === name);
    const expired: Problem[] =
      existing?.expired === true && login
        ? [
            {
              kind: 'refused',
              what: `Role '${name}' has expired (VALID UNTIL): its password is not accepted any more`,
              node,
              next: `Let it log in again: ALTER ROLE ${quoteIdentifier(name)} VALID UNTIL 'infinity'; or declare login: false`,
            },
          ]
        : [];
    if (existing?.superuser !== true) return expired;
    return [
      ...expired,
      {
        kind: 'refused',
        what: `Role '${name}' exists as a superuser`,
        node,
        next: `Declare another name, or take the right from it: ALTER ROLE ${quoteIdentifier(name)} NOSUPERUSER`,
      },
    ];
  });
}

/** Roles to be a member of have to exist, or to be declared. */
export function groupProblems(
  database: DatabaseSpec,
  roles: readonly ObservedRole[],
  node: string,
): readonly Problem[] {
  const { users } = database;
  const known = new Set([...roles.map((role) => role.name), ...users.map((user) => user.name)]);
  return users.flatMap((user) =>
    groupsOf(user, database).flatMap((group): Problem[] => {
      const superuser = roles.some((role) => role.name === group && role.superuser);
      // A missing owner is told as such.
      if ((known.has(group) && !superuser) || (!known.has(group) && group === database.owner)) return [];
      const next = superuser
        ? "Take it out of memberOf; with access owner, let the database's owner be a role that is no superuser"
        : `Create the role (CREATE ROLE ${quoteIdentifier(group)} NOLOGIN), declare it as a user, or take it out of memberOf`;
      const what = superuser ? 'is a superuser' : 'does not exist';
      return [
        {
          kind: superuser ? 'refused' : 'invalid',
          what: `Role '${group}', which '${user.name}' is to be a member of, ${what}`,
          node,
          next,
        },
      ];
    }),
  );
}

import type { Change, Problem } from '../../objects/change.ts';
import { type ObservedRole, roleAttributes } from '../../objects/role.ts';
import { rolesOf, userProblems, type WantedUser } from '../../objects/user.ts';
import { quoteIdentifier } from '../../postgres/quote.ts';
import { isDeclared, label, server } from '../situation.ts';
import { membershipChangesOf, ownedParameterItems, roleChangesOf } from './items.ts';
import { lacking, nodesOf, type RightsOnNode } from './lacking.ts';
import type { OwnerSituation } from './situation.ts';
import { workerMembershipChangesOf, workerRoleChangesOf } from './workerItems.ts';

/** What is due on roles and needs a right that the role lacks. Pure. */

export function roleProblems(situation: OwnerSituation): readonly Problem[] {
  const nodes = nodesOf(situation);
  const due = situation.users.map((user) => dueOf(situation, user));
  return [
    ...nodes.flatMap((node) => [
      ...(node.rights.createRole ? [] : withoutCreateRole(situation, node, due)),
      ...due.flatMap((ofUser) => withoutAdmin(situation, node, ofUser)),
    ]),
    ...attributeProblems(situation, nodes),
    ...nodes.flatMap(({ group, node, roles }) =>
      group === 0 ? [] : userProblems(situation.database.users, roles, node),
    ),
    ...absentRoles(situation),
  ];
}

interface Due {
  readonly user: WantedUser;
  /** CREATE ROLE and ALTER ROLE: on every node, for Citus carries what is done on the coordinator. */
  readonly ofRole: readonly Change[];
  /** ALTER ROLE … IN DATABASE … SET, which a role may say of itself. */
  readonly parameters: readonly Change[];
  readonly memberships: readonly { readonly group: string; readonly changes: readonly Change[] }[];
}

function dueOf(situation: OwnerSituation, user: WantedUser): Due {
  const { name } = user.role;
  const alone = { ...situation.database, parameters: {}, users: [user.spec] };
  return {
    user,
    ofRole: [...roleChangesOf(situation, user), ...workerRoleChangesOf(situation, user)],
    parameters: name === situation.rights.user ? [] : ownedParameterItems({ ...situation, database: alone }),
    memberships: user.groups.map((group) => ({
      group,
      changes: [
        ...membershipChangesOf(situation, name, [group]),
        ...workerMembershipChangesOf(situation, name, [group]),
      ],
    })),
  };
}

/** A group that exists may be granted by whoever has ADMIN on it; one that the run makes, by its maker. */
function withoutCreateRole(situation: OwnerSituation, { node }: RightsOnNode, due: readonly Due[]): readonly Problem[] {
  const changes = due.flatMap(({ ofRole, parameters }) => [...ofRole, ...parameters]);
  if (changes.length === 0) return [];
  const { user } = situation.rights;
  const why = `'${user}' may not create and alter roles`;
  return [lacking(changes, node, why, `ALTER ROLE ${quoteIdentifier(user)} CREATEROLE`)];
}

/** On roles that exist: those that the run makes are its own. */
function withoutAdmin(situation: OwnerSituation, on: RightsOnNode, due: Due): readonly Problem[] {
  const { node, rights } = on;
  const exists = (name: string) => on.roles.some((role) => role.name === name && !role.superuser);
  const problem = (changes: readonly Change[], name: string) => {
    const user = quoteIdentifier(situation.rights.user);
    const why = `'${situation.rights.user}' has no ADMIN option on role '${name}'`;
    return lacking(changes, node, why, `GRANT ${quoteIdentifier(name)} TO ${user} WITH ADMIN OPTION`);
  };
  const { name } = due.user.role;
  const altered = [...due.ofRole, ...due.parameters];
  return [
    ...(rights.createRole && altered.length > 0 && exists(name) && !rights.administers.includes(name)
      ? [problem(altered, name)]
      : []),
    ...due.memberships.flatMap(({ group, changes }) =>
      changes.length > 0 && exists(group) && !rights.grants.includes(group) ? [problem(changes, group)] : [],
    ),
  ];
}

/** First PostgreSQL in which one may give the attributes that one has (PostgreSQL 16 documentation, ALTER ROLE). */
const GIVES_ITS_OWN = 160_000;

/** CREATEROLE is not enough for all attributes (PostgreSQL: commands/user.c, AlterRole()). */
function attributeProblems(situation: OwnerSituation, nodes: readonly RightsOnNode[]): readonly Problem[] {
  const { version } = server(situation, situation.topology.coordinator).settings;
  return nodes.flatMap(({ node, group, roles }) => {
    const own = roles.find(({ name }) => name === situation.rights.user);
    const may = (attribute: 'replication' | 'bypassRls' | 'createDatabase') =>
      version >= GIVES_ITS_OWN ? own?.[attribute] === true : attribute === 'createDatabase';
    return situation.users.flatMap((user): readonly Problem[] => {
      const { role } = user;
      const existing = roles.find(({ name }) => name === role.name);
      if (existing === undefined || existing.superuser) return [];
      const differing = (['replication', 'bypassRls', 'createDatabase'] as const).filter(
        (attribute) => existing[attribute] !== role[attribute] && !may(attribute),
      );
      const due = [...roleChangesOf(situation, user), ...(group === 0 ? [] : workerRoleChangesOf(situation, user))];
      const ofReplication = version < GIVES_ITS_OWN && existing.replication && due.length > 0;
      if (differing.length === 0 && !ofReplication) return [];
      const statement = `ALTER ROLE ${quoteIdentifier(role.name)} WITH ${attributesOf(role, existing)}`;
      return [
        {
          kind: 'refused',
          what: `Role '${role.name}' has other attributes here than it should have, and '${situation.rights.user}' may not change them`,
          node,
          next: `Let an administrator run, on this node${group === 0 ? '' : ' (with citus.enable_ddl_propagation off)'}: ${statement}`,
        },
      ];
    });
  });
}

function attributesOf(wanted: ObservedRole, existing: ObservedRole): string {
  const present = roleAttributes(existing);
  return roleAttributes(wanted)
    .filter((option) => !present.includes(option))
    .join(' ');
}

/** A role that Citus did not carry: made in a database without Citus, or before the worker joined. */
export function absentRoles(situation: OwnerSituation): readonly Problem[] {
  const { roles } = server(situation, situation.topology.coordinator);
  return situation.workers.flatMap(({ node, answer }) => {
    if (answer === undefined) return [];
    const absent = rolesOf(situation.database).filter(
      (name) => roles.some((role) => role.name === name) && !answer.roles.some((role) => role.name === name),
    );
    if (absent.length === 0) return [];
    const names = absent.map((name) => `'${name}'`).join(', ');
    return [
      {
        kind: 'refused',
        what: `${absent.length === 1 ? `Role ${names} exists` : `Roles ${names} exist`} on the coordinator and not here`,
        node: label(situation, node),
        next: 'Let an administrator create it here with the same attributes and password verifier, or drop it on the coordinator: this program then creates it on every node',
      },
    ];
  });
}

/** Roles that nobody declares are the service's: what they differ in is said, and nothing is done about it. */
export function roleWarnings(situation: OwnerSituation): readonly string[] {
  const { roles } = server(situation, situation.topology.coordinator);
  const undeclared = roles.filter(({ name }) => !isDeclared(situation, name) && !name.startsWith('pg_'));
  return situation.workers.flatMap(({ node, answer }) =>
    undeclared.flatMap((role) => {
      const there = answer?.roles.find(({ name }) => name === role.name);
      const options = there === undefined ? '' : attributesOf(role, there);
      if (options === '') return [];
      return [
        `Role '${role.name}' differs on ${label(situation, node)} from the coordinator. To align it there: ALTER ROLE ${quoteIdentifier(role.name)} WITH ${options}`,
      ];
    }),
  );
}

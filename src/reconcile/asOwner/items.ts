import { creators, diffDefaultPrivileges } from '../../objects/access.ts';
import { type ObservedAccess, readAccess } from '../../objects/accessObserved.ts';
import type { Change, Item } from '../../objects/change.ts';
import { isChange } from '../../objects/change.ts';
import { databaseComment } from '../../objects/comment.ts';
import { diffDatabase } from '../../objects/database.ts';
import { observedOf } from '../../objects/kind.ts';
import { onWorkers } from '../../objects/ownRights.ts';
import { diffParameters } from '../../objects/parameter.ts';
import { diffMemberships, diffRole, type WantedUser } from '../../objects/user.ts';
import { diffUserParameters } from '../../objects/userParameter.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, label, server } from '../situation.ts';
import { databaseAccessItems } from '../works/databaseAccess.ts';
import { coordinatorExtensionItems } from '../works/extensions.ts';
import { schemas } from '../works/schemas.ts';
import { rights as rightsOfUsers } from '../works/users.ts';
import type { OwnerSituation } from './situation.ts';
import { onEachWorker } from './workerItems.ts';

/**
 * What each piece of work has to do where there is no superuser. Roles, extensions, schemas and rights on objects go from
 * the coordinator to the workers by Citus; what belongs to a server goes there by run_command_on_workers(), and so does
 * what Citus did not carry (workerItems.ts).
 */

export function ownedRoleItems(situation: OwnerSituation): readonly Change[] {
  return situation.users.flatMap((user) => [
    ...roleChangesOf(situation, user),
    ...membershipChangesOf(situation, user.role.name, user.groups),
  ]);
}

/** What is due of the role itself, on the coordinator. */
export function roleChangesOf(situation: OwnerSituation, user: WantedUser): readonly Change[] {
  const { coordinator } = situation.topology;
  return carriedRoles(situation, diffRole(user, server(situation, coordinator).roles, coordinator));
}

/** Of its memberships, on the coordinator. */
export function membershipChangesOf(
  situation: OwnerSituation,
  member: string,
  groups: readonly string[],
): readonly Change[] {
  const { coordinator } = situation.topology;
  const { memberships, settings } = server(situation, coordinator);
  return carriedRoles(situation, diffMemberships(member, groups, memberships, coordinator, settings.version));
}

function carriedRoles(situation: OwnerSituation, changes: readonly Change[]): readonly Change[] {
  if (!situation.declared.cluster.citus) return changes;
  return changes.map((change) => ({ ...change, statements: [...CARRIED_ROLES, ...change.statements] }));
}

/** The session has them off (joinAsOwner.ts). */
const CARRIED_ROLES = [
  { text: 'SET LOCAL citus.enable_create_role_propagation = on' },
  { text: 'SET LOCAL citus.enable_alter_role_propagation = on' },
];

/** Connection limit, rights on the database: of every node that has it. */
export function ownedDatabaseItems(situation: OwnerSituation): readonly Change[] {
  const { database, topology } = situation;
  // Citus moves their shards as they are (works/databaseAccess.ts).
  const tableOwners = inside(situation, topology.coordinator).tableOwners ?? [];
  return everywhere(situation, (node) => {
    const observed = server(situation, node).database;
    // Whose database it is, is for its administrator to change (rights.ts).
    const owned = observed === null ? null : { ...observed, owner: database.owner };
    const limits = diffDatabase(database, owned, { template: null, like: null }, node, label(situation, node));
    return [...(owned === null ? [] : limits), ...databaseAccessItems(situation, node, tableOwners)];
  });
}

export function ownedExtensionItems(situation: OwnerSituation): readonly Item[] {
  return coordinatorExtensionItems(situation);
}

/** Whose new objects the users get rights on: a role may say that of itself, and of those whose rights it has. */
export function ownMakers(situation: OwnerSituation): readonly string[] {
  return creators(situation.database, situation.rights.user).filter((name) => mayOnEveryNode(situation, name));
}

/** Those whose new objects the users get no rights on. */
export function otherMakers(situation: OwnerSituation): readonly string[] {
  const { database, rights } = situation;
  return database.users.length === 0
    ? []
    : creators(database, rights.user).filter((name) => !mayOnEveryNode(situation, name));
}

function mayOnEveryNode({ rights, workers }: OwnerSituation, name: string): boolean {
  return [rights, ...workers.flatMap(({ answer }) => answer ?? [])].every(({ has }) => has.includes(name));
}

export function ownedPrivilegeItems(situation: OwnerSituation): readonly Change[] {
  const { database, rights, topology } = situation;
  const { version } = server(situation, topology.coordinator).settings;
  const { access } = inside(situation, topology.coordinator);
  const makers = ownMakers(situation);
  const privileges = (observed: ObservedAccess | undefined, node: NodeSpec) =>
    diffDefaultPrivileges(database, rights.user, observed, node, node.group === 0, version, makers);
  return [
    ...privileges(access, topology.coordinator),
    ...onEachWorker(situation, (answer, node) =>
      answer.access === undefined ? [] : privileges(readAccess(answer.access), node),
    ),
  ];
}

export function ownedSchemaItems(situation: OwnerSituation): readonly Item[] {
  return schemas.items(situation, situation.topology.coordinator);
}

export function ownedRightsItems(situation: OwnerSituation): readonly Change[] {
  return changesAmong(rightsOfUsers.items(situation, situation.topology.coordinator));
}

export function ownedParameterItems(situation: OwnerSituation): readonly Change[] {
  return everywhere(situation, (node) => [
    ...diffParameters(situation.database, server(situation, node).parameters, node),
    ...diffUserParameters(situation.database, server(situation, node).userParameters, node),
  ]);
}

export function ownedCommentItems(situation: OwnerSituation): readonly Change[] {
  return everywhere(situation, (node) =>
    databaseComment.diff(situation.database, observedOf(databaseComment, server(situation, node)), node),
  );
}

function textOf({ statements }: Change): string {
  return statements.map(({ text }) => text).join(';\n');
}

/**
 * A change that any node lacks is made on all of them, the coordinator first, whose words about a wrong value are
 * PostgreSQL's own. Each statement may be repeated.
 */
function everywhere(situation: OwnerSituation, diff: (node: NodeSpec) => readonly Change[]): readonly Change[] {
  const { topology, workers } = situation;
  const { coordinator } = topology;
  const answering = workers.flatMap(({ node, answer }) => (answer === undefined ? [] : [node]));
  const due = new Map<string, Change>();
  for (const node of [coordinator, ...answering]) {
    for (const change of diff(node)) {
      const key = textOf(change);
      if (!due.has(key)) due.set(key, change);
    }
  }
  return [...due.values()].map(({ batch: _, starting: __, ...change }) => ({
    ...change,
    node: coordinator,
    scope: 'database',
    separately: true,
    statements: [
      ...change.statements,
      ...(workers.length === 0 ? [] : change.statements.map(({ text }) => ({ text: onWorkers(text) }))),
    ],
  }));
}

export function changesAmong(items: readonly Item[]): readonly Change[] {
  return items.filter(isChange);
}

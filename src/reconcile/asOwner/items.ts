import { creators, diffDefaultPrivileges, diffSchemaAccess } from '../../objects/access.ts';
import { type ObservedAccess, readAccess } from '../../objects/accessObserved.ts';
import type { Change, Item } from '../../objects/change.ts';
import { isChange } from '../../objects/change.ts';
import { databaseComment } from '../../objects/comment.ts';
import { diffDatabase } from '../../objects/database.ts';
import { observedOf } from '../../objects/kind.ts';
import { onWorkers } from '../../objects/ownRights.ts';
import { diffParameters } from '../../objects/parameter.ts';
import { diffUserParameters } from '../../objects/userParameter.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, label, server } from '../situation.ts';
import { databaseAccessItems } from '../works/databaseAccess.ts';
import { coordinatorExtensionItems } from '../works/extensions.ts';
import { schemas } from '../works/schemas.ts';
import { rights as rightsOfUsers, users } from '../works/users.ts';
import type { OwnerSituation } from './situation.ts';

/**
 * What each piece of work has to do where there is no superuser. Roles, extensions, schemas and rights on objects go from
 * the coordinator to the workers by Citus; what belongs to a server goes there by run_command_on_workers().
 */

export function ownedRoleItems(situation: OwnerSituation): readonly Change[] {
  const changes = changesAmong(users.items(situation, situation.topology.coordinator));
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
export function ownMakers({ database, rights }: OwnerSituation): readonly string[] {
  return creators(database, rights.user).filter((name) => rights.has.includes(name));
}

/** Those whose new objects the users get no rights on. */
export function otherMakers({ database, rights }: OwnerSituation): readonly string[] {
  return database.users.length === 0
    ? []
    : creators(database, rights.user).filter((name) => !rights.has.includes(name));
}

export function ownedPrivilegeItems(situation: OwnerSituation): readonly Change[] {
  const { database, rights, topology } = situation;
  const { version } = server(situation, topology.coordinator).settings;
  const { access } = inside(situation, topology.coordinator);
  const makers = ownMakers(situation);
  const privileges = (observed: ObservedAccess | undefined, node: NodeSpec) =>
    diffDefaultPrivileges(database, rights.user, observed, node, node.group === 0, version, makers);
  return [...privileges(access, topology.coordinator), ...onWorkersAlone(situation, privileges)];
}

export function ownedSchemaItems(situation: OwnerSituation): readonly Item[] {
  return schemas.items(situation, situation.topology.coordinator);
}

export function ownedRightsItems(situation: OwnerSituation): readonly Change[] {
  const { database, topology, rights, workers } = situation;
  // Schemas that every node has: Citus has carried them.
  const everywhereThere = (name: string) =>
    (inside(situation, topology.coordinator).access?.schemas ?? []).some((schema) => schema.name === name) &&
    workers.every(({ answer }) => answer?.access?.schemas.some((schema) => schema.name === name) !== false);
  const own = ({ name, owner }: { readonly name: string; readonly owner: string }) =>
    rights.has.includes(owner) && everywhereThere(name);
  return [
    ...changesAmong(rightsOfUsers.items(situation, topology.coordinator)),
    ...onWorkersAlone(situation, (access, node) =>
      diffSchemaAccess(database, { ...access, schemas: access.schemas.filter(own) }, node, false),
    ),
  ];
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

/** Citus carries schemas without their rights, and no default privileges at all. */
function onWorkersAlone(
  { topology, workers }: OwnerSituation,
  diff: (access: ObservedAccess, node: NodeSpec) => readonly Change[],
): readonly Change[] {
  const due = new Map<string, Change>();
  for (const { node, answer } of workers) {
    if (answer?.access === undefined) continue;
    for (const change of diff(readAccess(answer.access), node)) due.set(textOf(change), change);
  }
  return [...due.values()].map(({ summary, underWay, ...change }) => ({
    ...change,
    summary: `${summary} on workers`,
    underWay: `${underWay} on workers`,
    node: topology.coordinator,
    separately: true,
    statements: change.statements.map(({ text }) => ({ text: onWorkers(text) })),
  }));
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

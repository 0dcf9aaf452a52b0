import { diffRelationAccess } from '../../objects/access.ts';
import { readAccess } from '../../objects/accessObserved.ts';
import type { Change } from '../../objects/change.ts';
import { onWorkers, type RemoteAnswer } from '../../objects/ownRights.ts';
import { diffWorkerSchemas } from '../../objects/schema.ts';
import { diffSchemaAccess } from '../../objects/schemaAccess.ts';
import { diffMemberships, diffRole, type WantedUser } from '../../objects/user.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, server } from '../situation.ts';
import type { OwnerSituation } from './situation.ts';

/** What workers lack of what Citus should have carried there: made there by way of the coordinator. */

/**
 * Roles that a worker has otherwise than the coordinator: altered there alone, or with a coordinator that Citus did not
 * carry from, since the role was made before Citus was there. Passwords do not show.
 */
export function ownedWorkerRoleItems(situation: OwnerSituation): readonly Change[] {
  return situation.users.flatMap((user) => [
    ...workerRoleChangesOf(situation, user),
    ...workerMembershipChangesOf(situation, user.role.name, user.groups),
  ]);
}

export function workerRoleChangesOf(situation: OwnerSituation, user: WantedUser): readonly Change[] {
  const shown = { ...user, role: { ...user.role, verifier: null } };
  return onEachWorker(situation, (answer, node) =>
    existsOnBoth(situation, answer, user.role.name) ? diffRole(shown, answer.roles, node) : [],
  ).map((change) => ({ ...change, secret: false }));
}

export function workerMembershipChangesOf(
  situation: OwnerSituation,
  member: string,
  groups: readonly string[],
): readonly Change[] {
  const { version } = server(situation, situation.topology.coordinator).settings;
  return onEachWorker(situation, ({ memberships, roles }, node) => {
    const known = groups.filter((group) => roles.some((role) => role.name === group));
    return roles.some((role) => role.name === member) ? diffMemberships(member, known, memberships, node, version) : [];
  });
}

/** What one of them lacks is made there by Citus, or named (roleRights.ts). */
function existsOnBoth(situation: OwnerSituation, { roles }: RemoteAnswer, name: string): boolean {
  const onCoordinator = server(situation, situation.topology.coordinator).roles;
  return [onCoordinator, roles].every((list) => list.some((role) => role.name === name));
}

/** Schemas that the coordinator has as declared, and a worker has not, or from somebody else. */
export function ownedWorkerSchemaItems(situation: OwnerSituation): readonly Change[] {
  return onEachWorker(situation, (answer, node) => workerSchemaChanges(situation, answer, node));
}

export function workerSchemaChanges(
  situation: OwnerSituation,
  answer: RemoteAnswer,
  node: NodeSpec,
): readonly Change[] {
  const onCoordinator = inside(situation, situation.topology.coordinator).schemas;
  return diffWorkerSchemas(situation.database, onCoordinator, answer.schemas, node);
}

export function ownedWorkerRightsItems(situation: OwnerSituation): readonly Change[] {
  return onEachWorker(situation, (answer, node) =>
    workerRights(situation, answer, node, ({ owner }) => answer.has.includes(owner)),
  );
}

interface Owned {
  readonly owner: string;
}

/** Rights on schemas, of which Citus carries none, and on what else it does not carry, of the owners that are chosen. */
export function workerRights(
  situation: OwnerSituation,
  answer: RemoteAnswer,
  node: NodeSpec,
  isMeant: (owned: Owned) => boolean,
): readonly Change[] {
  const { database, rights, topology } = situation;
  if (answer.access === undefined) return [];
  const { schemas: all, relations, ...rest } = readAccess(answer.access);
  const access = { ...rest, schemas: all.filter(isMeant), relations: relations.filter(isMeant) };
  const context = {
    serverVersion: server(situation, topology.coordinator).settings.version,
    superuser: rights.user,
  };
  return [
    ...diffSchemaAccess(database, access, node, { citus: false, superuser: undefined }),
    ...diffRelationAccess(database, access, node, context, inside(situation, topology.coordinator).access),
  ];
}

/** What each worker lacks by itself, by way of the coordinator. */
export function onEachWorker(
  { topology, workers }: OwnerSituation,
  diff: (answer: RemoteAnswer, node: NodeSpec) => readonly Change[],
): readonly Change[] {
  const due = new Map<string, { readonly change: Change; readonly groups: readonly number[] }>();
  for (const { node, answer } of workers) {
    if (answer === undefined) continue;
    for (const change of diff(answer, node)) {
      const key = textOf(change);
      due.set(key, { change, groups: [...(due.get(key)?.groups ?? []), node.group] });
    }
  }
  return [...due.values()].map(({ change: { batch: _, starting: __, summary, underWay, ...change }, groups }) => {
    const where = groups.length === workers.length ? 'workers' : `workers of groups ${groups.join(', ')}`;
    return {
      ...change,
      summary: `${summary} on ${where}`,
      underWay: `${underWay} on ${where}`,
      node: topology.coordinator,
      scope: 'database',
      separately: true,
      statements: change.statements
        .filter(({ text }) => !text.startsWith('SET LOCAL citus.enable_ddl_propagation'))
        .map(({ text }) => ({ text: onWorkers(text, groups) })),
    };
  });
}

function textOf({ statements }: Change): string {
  return statements.map(({ text }) => text).join(';\n');
}

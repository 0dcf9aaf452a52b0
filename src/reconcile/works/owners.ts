import type { Item } from '../../objects/change.ts';
import { diffRoleCopy, ownersOf } from '../../objects/role.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { isDeclared, label, type Situation, server } from '../situation.ts';
import { mayBeMembers } from '../undeclaredMembers.ts';
import type { DatabaseWork } from './databaseWork.ts';

/** Roles belong to servers: workers that the database leaves out get them as well. */
export const ownersElsewhere: DatabaseWork = {
  name: 'owners on other workers',
  nodes: ({ topology }) => [topology.otherWorkers],
  items: roleItems,
  log: 'lanes',
};

/** Roles of owners that are not declared in `users`, as the coordinator has them. */
export function roleItems(situation: Situation, node: NodeSpec): readonly Item[] {
  const known = server(situation, situation.topology.coordinator).roles;
  const owners = ownersOf(situation.database).filter(
    (name) => name !== situation.spec.cluster.user && !isDeclared(situation, name),
  );
  return owners.flatMap((name) => {
    const role = known.find((candidate) => candidate.name === name);
    const members = mayBeMembers(situation, name, node);
    return role === undefined
      ? []
      : diffRoleCopy(role, server(situation, node).roles, node, label(situation, node), members);
  });
}

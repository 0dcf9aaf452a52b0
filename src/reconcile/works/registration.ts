import { databaseNodes } from '../../cluster/topology.ts';
import { assertingNothingCarried } from '../../objects/carriedCode.ts';
import { type Change, type Item, isChange, note, warning } from '../../objects/change.ts';
import { missingWorkers, NO_METADATA, surplusWorkers } from '../../objects/citusMetadata.ts';
import { activateWorker, diffCoordinatorHost, registerWorkers } from '../../objects/citusNode.ts';
import { diffManagedRoles } from '../../objects/distributedRole.ts';
import { diffShouldHaveShards } from '../../objects/nodeShards.ts';
import type { NodeSpec } from '../../spec/types.ts';
import { inside, label, type Situation } from '../situation.ts';
import { staleWorkers } from '../staleWorkers.ts';
import { allowedIn } from '../undeclaredMembers.ts';
import { line } from '../work.ts';
import { type DatabaseWork, onCoordinator, onWorkers } from './databaseWork.ts';

/** What Citus itself would copy to a node that is added or synced, with verifiers in the node's log. */
export const managedRoles: DatabaseWork = {
  name: 'roles that Citus manages',
  nodes: onWorkers,
  items: managedRoleItems,
  log: 'once',
  lock: 'registration',
  observe: () => 'managedRoles',
};

/** Step 6, on a worker: only while workers are registered, since Citus would copy these roles then. */
function managedRoleItems(situation: Situation, worker: NodeSpec): readonly Change[] {
  const wanted = situation.managedRoles?.get(situation.topology.coordinator.group);
  const observed = situation.managedRoles?.get(worker.group);
  if (wanted === undefined || observed === undefined || !registrationItems(situation).some(isChange)) return [];
  const members = allowedIn(situation.database, wanted.members);
  return diffManagedRoles(wanted, observed, worker, label(situation, worker), members);
}

/** The roles that Citus would copy to the workers while it registers them; none if it registers none. */
export function namesOfManagedRoles(situation: Situation): readonly string[] {
  if (!registrationItems(situation).some(isChange)) return [];
  const known = inside(situation, situation.topology.coordinator).distributedRoles ?? [];
  return known.filter((name) => name !== situation.spec.cluster.user);
}

export const registration: DatabaseWork = {
  name: 'registration',
  nodes: onCoordinator,
  items: registrationItems,
  log: 'lines',
  // While a node is added, Citus copies roles to it; two such copies end in "tuple concurrently updated".
  lock: 'registration',
  after: () => [line('Workers added successfully!')],
  // With many workers, one line instead of one for each.
  nothing: ({ topology: { workers } }) =>
    `${workers.length} ${workers.length === 1 ? 'worker is' : 'workers are'} already registered`,
};

/** Step 6, all of it on the coordinator. */
export function registrationItems(situation: Situation): readonly Item[] {
  const { topology } = situation;
  const metadata = inside(situation, topology.coordinator).metadata ?? NO_METADATA;
  const missing = missingWorkers(topology.workers, metadata);
  const items: Item[] = [...diffCoordinatorHost(topology.coordinator, metadata)];
  for (const worker of topology.workers) {
    const name = `${worker.nodeName}:${worker.nodePort}`;
    items.push(note(missing.includes(worker) ? `Adding worker: ${name}` : `Worker already registered: ${name}`));
  }
  if (missing.length > 0) items.push(assertingNothingCarried(registerWorkers(topology.coordinator, missing)));
  for (const { worker, reason } of staleWorkers(situation)) {
    items.push(assertingNothingCarried(activateWorker(topology.coordinator, worker, reason)));
  }
  for (const surplus of surplusWorkers(topology.workers, metadata)) {
    items.push(
      warning(
        `Worker ${surplus.nodename}:${surplus.nodeport} (group ${surplus.groupid}) is registered and no longer declared; it stays. To move its shards away and remove it, in every database: citus-databases drain ${surplus.groupid}`,
      ),
    );
  }
  return items;
}

export const shouldHaveShards: DatabaseWork = {
  name: 'nodes that take shards',
  nodes: onCoordinator,
  items: shouldHaveShardsItems,
  log: 'lines',
};

/** Step 6, on the coordinator, once the workers are registered. */
function shouldHaveShardsItems(situation: Situation): readonly Change[] {
  const { topology, database } = situation;
  const { metadata } = inside(situation, topology.coordinator);
  return diffShouldHaveShards(database, databaseNodes(topology), metadata, topology.coordinator);
}

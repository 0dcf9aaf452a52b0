import { assertingNothingCarried } from '../../objects/carriedCode.ts';
import type { Change } from '../../objects/change.ts';
import { missingWorkers } from '../../objects/citusMetadata.ts';
import { rebalancing } from '../../objects/rebalance.ts';
import { copyReferenceTables, forgetCopies, repeatRights } from '../../objects/shardRepair.ts';
import { wording } from '../../objects/wording.ts';
import { damageItems } from '../findings.ts';
import { rebalanceItems } from '../rebalance.ts';
import { tablesWithOtherRights, uncopiedGroups } from '../shardFaults.ts';
import { inside, label, type Situation } from '../situation.ts';
import { type DatabaseWork, onCoordinator } from './databaseWork.ts';

export const referenceCopies: DatabaseWork = {
  name: 'copies of reference tables',
  nodes: onCoordinator,
  items: referenceCopyItems,
  log: 'lines',
};

/** Step 6, on the coordinator: copies of reference tables that a node has lost. */
export function referenceCopyItems(situation: Situation): readonly Change[] {
  const { coordinator, workers } = situation.topology;
  const lost = uncopiedGroups(situation.shardFaults);
  const { shards, metadata } = inside(situation, coordinator);
  // Those that this run registers get them at once: Citus itself leaves that to the first use.
  const joining = shards?.references === true && metadata !== undefined ? missingWorkers(workers, metadata) : [];
  const without = [...(shards?.withoutCopies ?? []), ...joining.map(({ group }) => group)];
  const nodes = [coordinator, ...workers].filter(({ group }) => lost.includes(group) || without.includes(group));
  const names = nodes.map((node) => label(situation, node));
  return [
    ...lost.map((group) => {
      const node = nodes.find((candidate) => candidate.group === group);
      return forgetCopies(coordinator, group, node === undefined ? `group ${group}` : label(situation, node));
    }),
    ...(names.length === 0 ? [] : [assertingNothingCarried(copyReferenceTables(coordinator, names))]),
  ];
}

/** Nothing is built on top of lost data. What came before gives a worker its place back, and takes nothing away. */
export const damage: DatabaseWork = { name: 'damage', nodes: onCoordinator, items: damageItems, log: 'lines' };

/** Repeated on the coordinator, from which Citus carries them to every shard. */
export const shardRights: DatabaseWork = {
  name: 'rights on shards',
  nodes: onCoordinator,
  items: shardRightsItems,
  log: 'once',
};

/** Step 7, on the coordinator: owner, rights and row security of tables that some of their shards lack. */
function shardRightsItems(situation: Situation): readonly Change[] {
  const { coordinator } = situation.topology;
  return tablesWithOtherRights(situation.shardFaults, coordinator.group).flatMap(({ wanted, found }): Change[] => {
    const statements = repeatRights(wanted, found);
    if (statements.length === 0) return [];
    return [
      {
        ...{ kind: 'change', node: coordinator, scope: 'database', doneOnRetry: [], secret: false },
        ...wording('give', `the shards of ${wanted.table} the owner and the rights of the table again`),
        separately: true,
        statements: statements.map((text) => ({ text })),
        failure: `Failed to give the shards of ${wanted.table} the owner and the rights of the table`,
      },
    ];
  });
}

/** The last thing of all: it may take hours, and everything else is done by then. */
export const rebalance: DatabaseWork = {
  name: 'rebalance',
  nodes: onCoordinator,
  kind: rebalancing,
  items: rebalanceItems,
  log: 'lines',
};

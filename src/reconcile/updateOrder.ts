import { databaseNodes } from '../cluster/topology.ts';
import { type Change, isChange } from '../objects/change.ts';
import type { NodeSpec } from '../spec/types.ts';
import { inside, label, type Situation } from './situation.ts';
import type { Step, Work } from './work.ts';
import { citusItems, citusUpgradeItems } from './works/extensions.ts';

/**
 * The order of work on a database that nobody declares: Citus and nothing else, where it is there already. Workers first,
 * as in declared databases.
 */
export const UPDATE_ORDER: readonly Step<Situation>[] = [
  {
    heading: {
      number: 1,
      title: () => 'Updating Citus on worker nodes first...',
      planned: () => 'Update Citus on worker nodes first',
    },
    works: [update('citus on workers', ({ topology }) => topology.workers, updateItems)],
  },
  {
    heading: {
      number: 2,
      title: () => 'Updating Citus on coordinator...',
      planned: () => 'Update Citus on the coordinator',
    },
    works: [update('citus on coordinator', ({ topology }) => [topology.coordinator], updateItems)],
  },
  {
    heading: {
      number: 3,
      title: () => 'Finishing the upgrade of Citus...',
      planned: () => 'Finish the upgrade of Citus',
    },
    works: [update('upgrade of citus', ({ topology }) => [topology.coordinator], citusUpgradeItems)],
  },
];

function update(
  name: string,
  nodes: (situation: Situation) => readonly NodeSpec[],
  items: Work<Situation>['items'],
): Work<Situation> {
  return { name, nodes: (situation) => [nodes(situation)], items, log: 'once', nothing: () => 'Nothing to do' };
}

function updateItems(situation: Situation, node: NodeSpec): readonly Change[] {
  if (!hasCitus(situation, node)) return [];
  return citusItems(situation, node).filter(isChange);
}

function hasCitus(situation: Situation, node: NodeSpec): boolean {
  return inside(situation, node).extensions.some(({ name }) => name === 'citus');
}

/** Whether the extension is older than its library on any node, or its upgrade is not finished. */
export function needsUpdate(situation: Situation): boolean {
  return situation.spec.cluster.citus && updates(situation).length > 0;
}

export function updateSummaries(situation: Situation): readonly string[] {
  return updates(situation).map(({ node, summary }) => `${label(situation, node)}: ${summary}`);
}

function updates(situation: Situation): readonly Change[] {
  return [
    ...databaseNodes(situation.topology).flatMap((node) => updateItems(situation, node)),
    ...citusUpgradeItems(situation),
  ];
}

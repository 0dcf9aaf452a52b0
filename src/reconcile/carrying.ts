import { databaseNodes } from '../cluster/topology.ts';
import { type CarriedCode, carriedCodeProblems } from '../objects/carriedCode.ts';
import type { Problem } from '../objects/change.ts';
import { missingWorkers, NO_METADATA } from '../objects/citusMetadata.ts';
import type { NodeSpec } from '../spec/types.ts';
import { rebalanceItems } from './rebalance.ts';
import { inside, label, type Situation } from './situation.ts';
import { staleWorkers } from './staleWorkers.ts';
import { referenceCopyItems } from './works/shards.ts';

/** By group, for nodes that have the database. Empty where Citus carries nothing. */
export type Carried = ReadonlyMap<number, readonly CarriedCode[]>;

/** Owner's code that Citus would run as superuser, on other nodes or on those that it copies from. */
export function carriedProblems(situation: Situation, carried: Carried): readonly Problem[] {
  const due = carryingStep(situation);
  if (due === undefined) return [];
  const nodes = databaseNodes(situation.topology).map((node) => ({
    label: label(situation, node),
    found: carried.get(node.group) ?? [],
  }));
  return carriedCodeProblems(nodes, due);
}

/** What Citus is about to carry to other nodes, as superuser; see carriedCode.ts. undefined: nothing. */
export function carryingStep(situation: Situation): string | undefined {
  const { coordinator, workers } = situation.topology;
  const missing = missingWorkers(workers, inside(situation, coordinator).metadata ?? NO_METADATA);
  const names = (nodes: readonly NodeSpec[]) => nodes.map((node) => label(situation, node)).join(', ');
  if (missing.length > 0) return `Registering ${names(missing)}`;
  const stale = staleWorkers(situation).map(({ worker }) => worker);
  if (stale.length > 0) return `Syncing metadata to ${names(stale)}`;
  if (referenceCopyItems(situation).length > 0) return 'Copying reference tables';
  return rebalanceItems(situation).some(({ kind }) => kind === 'procedure') ? 'Moving shards' : undefined;
}

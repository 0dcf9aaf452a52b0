import { databaseNodes, type Topology } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import { NO_SHARDS, type PlacedShard, type ShardFaults, type TableRights } from '../objects/shard.ts';
import type { DatabaseObservation } from './observations.ts';
import { observeExistingShardsOf, observePlacedShardsOf, observeTableRightsOf } from './observe.ts';
import type { Run } from './run.ts';

export const NO_SHARD_FAULTS: ShardFaults = { missing: [], rights: new Map() };

/** Groups whose shards are not those that the coordinator places there. */
export function suspectGroups(topology: Topology, inside: ReadonlyMap<number, DatabaseObservation>): readonly number[] {
  const placed = inside.get(topology.coordinator.group)?.shards?.placed;
  if (placed === undefined) return [];
  return databaseNodes(topology)
    .map(({ group }) => group)
    .filter((group) => (inside.get(group)?.shards?.present ?? NO_SHARDS) !== (placed[group] ?? NO_SHARDS));
}

function rightsDiffer(topology: Topology, inside: ReadonlyMap<number, DatabaseObservation>): boolean {
  const rights = databaseNodes(topology).flatMap(({ group }) => inside.get(group)?.shards?.rights ?? []);
  return new Set(rights).size > 1;
}

/** Asks for the details only where the digests differ: a sound database costs nothing here. */
export async function lookForShardFaults(
  run: Run,
  topology: Topology,
  inside: ReadonlyMap<number, DatabaseObservation>,
): Promise<ShardFaults> {
  const suspect = suspectGroups(topology, inside);
  const differ = rightsDiffer(topology, inside);
  if (suspect.length === 0 && !differ) return NO_SHARD_FAULTS;
  const placed = suspect.length === 0 ? [] : await observePlacedShardsOf(run, topology.coordinator, suspect);
  const nodes = databaseNodes(topology).filter(({ group }) => inside.has(group));
  const existing = await byGroup(
    nodes.filter(({ group }) => suspect.includes(group)),
    (node) =>
      observeExistingShardsOf(
        run,
        node,
        placed.filter(({ group }) => group === node.group).map(({ name }) => name),
      ),
  );
  const rights = differ
    ? await byGroup(
        nodes.filter(({ group }) => inside.get(group)?.shards !== undefined),
        (node) => observeTableRightsOf(run, node),
      )
    : new Map<number, readonly TableRights[]>();
  return { missing: missingShards(placed, existing), rights };
}

/** Pure: what is placed and not there, with the copies that are there. */
export function missingShards(
  placed: readonly PlacedShard[],
  existing: ReadonlyMap<number, ReadonlySet<string>>,
): readonly PlacedShard[] {
  const missing = placed.filter(({ group, name }) => existing.get(group)?.has(name) !== true);
  const gone = new Set(missing.map(({ group, shardid }) => `${group} ${shardid}`));
  return missing.map((shard) => ({
    ...shard,
    others: shard.others.filter((group) => !gone.has(`${group} ${shard.shardid}`)),
  }));
}

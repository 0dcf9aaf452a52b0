import { databaseNodes, type Topology } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import type { DatabaseObservation, ShardDetails } from './observations.ts';
import {
  observed,
  observeExistingShardsOf,
  observePlacedShardsOf,
  observeShardDetailsOf,
  observeUnplacedShardsOf,
} from './observe.ts';
import type { Run } from './run.ts';
import {
  missingShards,
  NO_SHARD_FAULTS,
  rightsDiffer,
  type ShardFaults,
  suspectGroups,
  whereTheyAre,
} from './shardFaults.ts';
import { findUnknownShards, suspectWorkers } from './unknownShards.ts';

/** Asks for the details only where the digests differ: a sound database costs nothing here. */
export async function observeShardFaults(
  run: Run,
  topology: Topology,
  inside: ReadonlyMap<number, Pick<DatabaseObservation, 'shards' | 'metadata' | 'metadataParts'>>,
): Promise<ShardFaults> {
  const suspect = suspectGroups(topology, inside);
  const differ = rightsDiffer(topology, inside);
  const hasUnplaced = inside.get(topology.coordinator.group)?.shards?.unplaced === true;
  const suspects = suspectWorkers(topology, inside);
  if (suspect.length === 0 && suspects.length === 0 && !differ && !hasUnplaced) return NO_SHARD_FAULTS;
  const placed = suspect.length === 0 ? [] : await observePlacedShardsOf(run, topology.coordinator, suspect);
  const nodes = databaseNodes(topology).filter(({ group }) => inside.has(group));
  const unplaced = hasUnplaced ? await observeUnplacedShardsOf(run, topology.coordinator) : [];
  const found = hasUnplaced
    ? await byGroup(nodes, (node) =>
        observeExistingShardsOf(
          run,
          node,
          unplaced.map(({ name }) => ({ name })),
        ),
      )
    : new Map<number, ReadonlySet<string>>();
  // Of each other's shards too: nodes may have got each other's volumes.
  const shards = [...new Map(placed.map((shard) => [shard.name, shard])).values()];
  const existing = await byGroup(
    nodes.filter(({ group }) => suspect.includes(group)),
    (node) => observeExistingShardsOf(run, node, shards),
  );
  const details = differ
    ? await byGroup(
        nodes.filter(({ group }) => inside.get(group)?.shards !== undefined),
        (node) => observeShardDetailsOf(run, node),
      )
    : new Map<number, ShardDetails>();
  return {
    ...missingShards(placed, existing),
    unplaced: whereTheyAre(unplaced, found),
    unknown: await findUnknownShards({ coordinator: topology.coordinator, suspects, nodes }, (node, script) =>
      observed(run, node, 'database', script),
    ),
    rights: new Map([...details].map(([group, { rights }]) => [group, rights])),
    gaps: new Map([...details].map(([group, { gaps }]) => [group, gaps])),
  };
}

import type { Topology } from '../cluster/topology.ts';
import { byGroup } from '../concurrency/parallel.ts';
import { NO_METADATA, registration } from '../objects/citusMetadata.ts';
import {
  type BeyondShard,
  type KnownShards,
  knownShardsScript,
  readKnownShards,
  readShardTables,
  type ShardTable,
  shardsBeyond,
  shardTablesScript,
} from '../objects/knownShards.ts';
import { differingParts } from '../objects/metadataParts.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { DatabaseObservation } from './observations.ts';

/**
 * A shard that is there as a table, and of which only workers know where it is: the coordinator was set back to an earlier
 * moment, or lost rows of its metadata. citus_activate_node() would delete the last record of it.
 */
export interface UnknownShard extends BeyondShard {
  /** Groups of the workers that know it. */
  readonly knownBy: readonly number[];
  /** Where tables of its name are. */
  readonly found: readonly { readonly group: number; readonly name: string }[];
}

export type Ask = (node: NodeSpec, script: string) => Promise<string>;

/** Registered workers whose tables, shards or placements are not the coordinator's, by their digests. */
export function suspectWorkers(
  { coordinator, workers }: Topology,
  inside: ReadonlyMap<number, Pick<DatabaseObservation, 'metadata' | 'metadataParts'>>,
): readonly NodeSpec[] {
  const { metadata = NO_METADATA, metadataParts: known = {} } = inside.get(coordinator.group) ?? {};
  return workers.filter((worker) => {
    const own = inside.get(worker.group);
    if (own?.metadata === undefined || registration(worker, metadata) === undefined) return false;
    const differing = differingParts(own.metadataParts ?? {}, known);
    return differing.some((part) => part === 'tables' || part === 'shards' || part === 'placements');
  });
}

/**
 * Asks the suspects before the coordinator, so that what is created meanwhile is known to it; and then again, since what is
 * dropped is gone on the coordinator first (two-phase commit).
 */
export async function findUnknownShards(
  {
    coordinator,
    suspects,
    nodes,
  }: { readonly coordinator: NodeSpec; readonly suspects: readonly NodeSpec[]; readonly nodes: readonly NodeSpec[] },
  ask: Ask,
): Promise<readonly UnknownShard[]> {
  if (suspects.length === 0) return [];
  const look = async (node: NodeSpec) => readKnownShards(await ask(node, knownShardsScript()));
  const before = await byGroup(suspects, look);
  const known = await look(coordinator);
  const more = suspects.filter(({ group }) => shardsBeyond(before.get(group) ?? {}, known).length > 0);
  if (more.length === 0) return [];
  const beyond = gathered(await byGroup(more, look), known);
  const numbers = [...new Set(beyond.map(({ shardid }) => shardid))];
  const tables = await byGroup(nodes, async (node) => readShardTables(await ask(node, shardTablesScript(numbers))));
  return withTables(beyond, tables);
}

/** What workers know alike is one shard. */
function gathered(own: ReadonlyMap<number, KnownShards>, known: KnownShards): readonly Omit<UnknownShard, 'found'>[] {
  const shards = new Map<string, Omit<UnknownShard, 'found'>>();
  for (const [group, its] of own) {
    for (const shard of shardsBeyond(its, known)) {
      const key = `${shard.shardid} ${shard.table} ${shard.groups.join(' ')}`;
      shards.set(key, { ...shard, knownBy: [...(shards.get(key)?.knownBy ?? []), group] });
    }
  }
  return [...shards.values()];
}

/** Where there is no table, there are no rows of which the record could be lost. */
export function withTables(
  shards: readonly Omit<UnknownShard, 'found'>[],
  tables: ReadonlyMap<number, readonly ShardTable[]>,
): readonly UnknownShard[] {
  return shards
    .map((shard) => ({
      ...shard,
      found: [...tables].flatMap(([group, its]) =>
        its.filter((table) => isOf(shard, group, table)).map(({ name }) => ({ group, name })),
      ),
    }))
    .filter(({ found }) => found.length > 0);
}

function isOf({ table, shardid, groups, elsewhere }: BeyondShard, group: number, found: ShardTable): boolean {
  if (found.shardid !== shardid || (elsewhere !== undefined && !groups.includes(group))) return false;
  // A table that is gone from pg_class has left its number alone.
  return /^\d+$/.test(table) || table.startsWith(`${found.schema}.`);
}

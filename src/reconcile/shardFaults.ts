import { databaseNodes, type Topology } from '../cluster/topology.ts';
import type { PlacedShard } from '../objects/placedShard.ts';
import { NO_SHARDS, type TableRights } from '../objects/shard.ts';
import type { ShardGap } from '../objects/shardGap.ts';
import type { UnplacedShard } from '../objects/unplacedShard.ts';
import type { DatabaseObservation } from './observations.ts';
import type { UnknownShard } from './unknownShards.ts';

/** What is wrong with shards, once the digests of the nodes said that something is. */
export interface ShardFaults {
  /** Placements of the coordinator without a table on their node; `others` are those that do have one. */
  readonly missing: readonly PlacedShard[];
  /** Shards without a row in the coordinator's pg_dist_placement; `on` are the groups that have a table of that name. */
  readonly unplaced: readonly (UnplacedShard & { readonly on: readonly number[] })[];
  /** Shards of which workers alone know where they are. */
  readonly unknown: readonly UnknownShard[];
  /** Groups with missing copies of reference tables that still have others of them. */
  readonly partlyCopied: readonly number[];
  /** Rights by group, the coordinator's first; empty: they agree everywhere. */
  readonly rights: ReadonlyMap<number, readonly TableRights[]>;
  /** By group: what single shards have not, or have beside, as their table on the same node. */
  readonly gaps: ReadonlyMap<number, readonly ShardGap[]>;
}

export const NO_SHARD_FAULTS: ShardFaults = {
  missing: [],
  unplaced: [],
  unknown: [],
  partlyCopied: [],
  rights: new Map(),
  gaps: new Map(),
};

/** Groups whose shards are not those that the coordinator places there. */
export function suspectGroups(
  topology: Topology,
  inside: ReadonlyMap<number, Pick<DatabaseObservation, 'shards'>>,
): readonly number[] {
  const placed = inside.get(topology.coordinator.group)?.shards?.placed;
  if (placed === undefined) return [];
  return databaseNodes(topology)
    .map(({ group }) => group)
    .filter((group) => (inside.get(group)?.shards?.present ?? NO_SHARDS) !== (placed[group] ?? NO_SHARDS));
}

export function rightsDiffer(
  topology: Topology,
  inside: ReadonlyMap<number, Pick<DatabaseObservation, 'shards'>>,
): boolean {
  const rights = databaseNodes(topology).flatMap(({ group }) => inside.get(group)?.shards?.rights ?? []);
  return new Set(rights).size > 1;
}

/** Where the tables are of shards that are placed nowhere. */
export function whereTheyAre(
  unplaced: readonly UnplacedShard[],
  existing: ReadonlyMap<number, ReadonlySet<string>>,
): ShardFaults['unplaced'] {
  return unplaced.map((shard) => ({
    ...shard,
    on: [...existing.keys()].filter(
      (group) => (shard.group === null || shard.group === group) && existing.get(group)?.has(shard.name),
    ),
  }));
}

/** What is placed and not there, with the copies that are there. */
export function missingShards(
  placed: readonly PlacedShard[],
  existing: ReadonlyMap<number, ReadonlySet<string>>,
): Pick<ShardFaults, 'missing' | 'partlyCopied'> {
  const missing = placed.filter(({ group, name }) => existing.get(group)?.has(name) !== true);
  const gone = new Set(missing.map(({ group, shardid }) => `${group} ${shardid}`));
  const copies = placed.filter(({ group, shardid, reference }) => reference && !gone.has(`${group} ${shardid}`));
  return {
    missing: missing.map((shard) => ({
      ...shard,
      others: shard.others.filter((group) => !gone.has(`${group} ${shard.shardid}`)),
      elsewhere: [...existing.keys()].filter(
        (group) => group !== shard.group && !shard.others.includes(group) && existing.get(group)?.has(shard.name),
      ),
    })),
    partlyCopied: [...new Set(copies.map(({ group }) => group))],
  };
}

/** Groups that have lost every copy of a reference table that other nodes still have. */
export function uncopiedGroups({ missing, partlyCopied }: ShardFaults): readonly number[] {
  const groups = missing.filter(({ reference, others }) => reference && others.length > 0).map(({ group }) => group);
  return [...new Set(groups)].filter((group) => !partlyCopied.includes(group));
}

/** Tables of which a node, in itself or in a shard, has other rights than the coordinator. */
export function tablesWithOtherRights(
  { rights }: ShardFaults,
  coordinator: number,
): readonly {
  readonly wanted: TableRights;
  readonly found: readonly TableRights[];
  readonly groups: readonly number[];
}[] {
  const all = [...rights].flatMap(([group, tables]) => tables.map((found) => ({ group, found })));
  return (rights.get(coordinator) ?? []).flatMap((wanted) => {
    const others = all.filter(({ found }) => found.table === wanted.table && key(found) !== key(wanted));
    if (others.length === 0) return [];
    return [
      { wanted, found: others.map(({ found }) => found), groups: [...new Set(others.map(({ group }) => group))] },
    ];
  });
}

function key(rights: TableRights): string {
  return JSON.stringify([
    rights.owner,
    rights.grants,
    rights.rowSecurity,
    rights.forced,
    rights.policies,
    rights.constraints,
    rights.indexes,
    rights.triggers,
    rights.columns,
  ]);
}

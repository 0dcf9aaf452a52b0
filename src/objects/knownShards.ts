import { HAS_CITUS, observationScript } from './observe.ts';
import { SHARD_NUMBER, TABLE_KINDS, TABLE_NAME } from './shardRelations.ts';

/** Which shards one node knows, by table (`schema.table`, quoted), and the groups on which it places each. */
export type KnownShards = Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;

/** A shard whose place a worker knows and the coordinator does not. */
export interface BeyondShard {
  readonly table: string;
  readonly shardid: number;
  /** Where the worker places it. */
  readonly groups: readonly number[];
  /** Where the coordinator places it, none of which the worker knows. undefined: it knows no such shard. */
  readonly elsewhere: readonly number[] | undefined;
}

/** A table that has the name of a shard. */
export interface ShardTable {
  readonly shardid: number;
  /** Quoted, as `name`. */
  readonly schema: string;
  readonly name: string;
}

/** Of the tables whose metadata every node has; without names of shards, for which two versions of Citus would have to agree. */
export function knownShardsScript(): string {
  return observationScript([
    {
      key: 'known',
      when: HAS_CITUS,
      value: `(SELECT coalesce(pg_catalog.jsonb_object_agg(t.name, t.shards), '{}') FROM (
        SELECT coalesce(${TABLE_NAME}, p.logicalrelid::pg_catalog.oid::pg_catalog.text) AS name,
               pg_catalog.jsonb_object_agg(s.shardid, (SELECT coalesce(pg_catalog.jsonb_agg(l.groupid ORDER BY l.groupid), '[]')
                 FROM pg_catalog.pg_dist_placement l WHERE l.shardid = s.shardid AND l.shardstate = 1)) AS shards
        FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_dist_shard s ON s.logicalrelid = p.logicalrelid
        LEFT JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE p.partmethod IN ('h', 'n') GROUP BY 1) t)`,
    },
  ]);
}

export function readKnownShards(observed: string): KnownShards {
  return (JSON.parse(observed) as { known?: KnownShards }).known ?? {};
}

/** What a worker's metadata says beyond the coordinator's. One common place is enough: rows that are reached are not lost. */
export function shardsBeyond(own: KnownShards, coordinator: KnownShards): readonly BeyondShard[] {
  const places = new Map(Object.values(coordinator).flatMap((shards) => Object.entries(shards)));
  return Object.entries(own).flatMap(([table, shards]) =>
    Object.entries(shards).flatMap(([shardid, groups]): readonly BeyondShard[] => {
      const elsewhere = places.get(shardid);
      const isMoved =
        elsewhere !== undefined &&
        elsewhere.length > 0 &&
        groups.length > 0 &&
        !groups.some((group) => elsewhere.includes(group));
      return elsewhere === undefined || isMoved ? [{ table, shardid: Number(shardid), groups, elsewhere }] : [];
    }),
  );
}

/** Tables that end in these numbers, as every shard does. */
export function shardTablesScript(shards: readonly number[]): string {
  return observationScript([
    {
      key: 'tables',
      showsShards: true,
      value: `(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('shardid', t.shardid, 'schema', t.schema, 'name', t.name)
          ORDER BY t.shardid, t.name), '[]')
        FROM (SELECT ${SHARD_NUMBER('c')} AS shardid,
                     pg_catalog.quote_ident(n.nspname) AS schema, ${TABLE_NAME} AS name
              FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind IN ${TABLE_KINDS} AND c.relpersistence <> 't') t
        WHERE t.shardid = ANY ('{${shards.join(',')}}'::pg_catalog.int8[]))`,
    },
  ]);
}

export function readShardTables(observed: string): readonly ShardTable[] {
  return (JSON.parse(observed) as { tables?: readonly ShardTable[] }).tables ?? [];
}

import { jsonRows, observationScript, textArray } from './observe.ts';
import { ACTIVE, OTHER_OWNER, PLACEMENTS, REFERENCE, SHARD_NAME, TABLE_KINDS, TABLE_NAME } from './shardRelations.ts';

/** A shard that the coordinator places on a node. */
export interface PlacedShard {
  readonly group: number;
  /** `schema.table`, quoted. */
  readonly table: string;
  /** `schema.table_102008`, quoted. */
  readonly name: string;
  readonly shardid: number;
  /** pg_class.relkind of its table. Absent: whatever a table has. */
  readonly kind?: string;
  /**
   * An empty table like this one can stand in its place: no partition, no partitions, no foreign keys, not of
   * a tenant schema.
   */
  readonly replaceable: boolean;
  /** Of a reference table: a copy of it belongs on every node. */
  readonly reference: boolean;
  /** Other groups that have a copy of it. */
  readonly others: readonly number[];
  /** Where a table of its name is, though nothing is placed there. */
  readonly elsewhere?: readonly number[];
  /** Whose table it is. null, or absent: a superuser's. */
  readonly owner?: string | null;
}

/** On the coordinator: every shard that it places on some groups. */
export function placedShardsScript(groups: readonly number[]): string {
  return observationScript([
    {
      key: 'placed',
      value: jsonRows(`
        SELECT l.groupid AS "group", ${TABLE_NAME} AS "table", ${SHARD_NAME} AS name, s.shardid, c.relkind AS kind,
               c.relkind = 'r' AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint f
                 WHERE f.conrelid = c.oid AND f.contype = 'f')
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_schema t WHERE t.schemaid = c.relnamespace) AS replaceable,
               ${REFERENCE} AS reference, ${OTHER_OWNER('c')} AS owner,
               (SELECT coalesce(pg_catalog.jsonb_agg(e.groupid ORDER BY e.groupid), '[]') FROM pg_catalog.pg_dist_placement e
                 WHERE e.shardid = s.shardid AND e.groupid <> l.groupid AND e.shardstate = 1) AS others
        FROM ${PLACEMENTS} WHERE ${ACTIVE} AND l.groupid IN (${groups.join(', ')}) ORDER BY s.shardid, l.groupid`),
    },
  ]);
}

export function readPlacedShards(observed: string): readonly PlacedShard[] {
  return (JSON.parse(observed) as { placed: readonly PlacedShard[] }).placed;
}

/** Which of these shards are there as tables, whatever the node's own metadata says. */
export function existingShardsScript(shards: readonly Pick<PlacedShard, 'name' | 'kind'>[]): string {
  const names = textArray(shards.map(({ name }) => name));
  const kinds = textArray(shards.map(({ kind = '' }) => kind));
  return observationScript([
    {
      key: 'existing',
      showsShards: true,
      value: `(SELECT coalesce(pg_catalog.jsonb_agg(w.name), '[]') FROM ROWS FROM (pg_catalog.unnest(${names}), pg_catalog.unnest(${kinds})) AS w (name, kind)
        JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(w.name) AND c.relkind IN ${TABLE_KINDS}
          AND w.kind IN ('', c.relkind::pg_catalog.text))`,
    },
  ]);
}

export function readExistingShards(observed: string): ReadonlySet<string> {
  return new Set((JSON.parse(observed) as { existing: readonly string[] }).existing);
}

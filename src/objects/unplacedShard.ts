import { integerLiteral } from '../postgres/quote.ts';
import { jsonRows, observationScript } from './observe.ts';
import { UNFINISHED_COPIES } from './rebalance.ts';
import { REFERENCE, SHARD_NAME, TABLE_NAME } from './shardRelations.ts';

/** A shard of which the coordinator's own metadata does not say where its rows are. */
export interface UnplacedShard {
  /** `schema.table`, quoted. */
  readonly table: string;
  /** `schema.table_102008`, quoted. */
  readonly name: string;
  readonly shardid: number;
  /** Where a copy of this reference table belongs, as of the others; null: the shard is placed nowhere. */
  readonly group: number | null;
}

const SHARDS = `pg_catalog.pg_dist_shard s JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid`;
const PLACED = 'SELECT FROM pg_catalog.pg_dist_placement l WHERE l.shardid = s.shardid AND l.shardstate = 1';

const NOWHERE = `SELECT s.shardid, NULL::pg_catalog.int4 AS groupid FROM ${SHARDS}
  WHERE p.partmethod IN ('h', 'n') AND NOT EXISTS (${PLACED})`;

/** Groups that have a copy of one reference table, and so have to have one of each. */
const COPIES = `SELECT DISTINCT l.groupid FROM pg_catalog.pg_dist_placement l
  JOIN pg_catalog.pg_dist_shard r ON r.shardid = l.shardid JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = r.logicalrelid
  WHERE ${REFERENCE} AND l.shardstate = 1 AND EXISTS (SELECT FROM pg_catalog.pg_dist_node n
    WHERE n.groupid = l.groupid AND n.isactive AND n.noderole = 'primary')`;

/** A rebalance may copy them one after the other (parallel_transfer_reference_tables). */
const LACKING = `SELECT s.shardid, g.groupid FROM ${SHARDS} CROSS JOIN (${COPIES}) g
  WHERE ${REFERENCE} AND EXISTS (${PLACED}) AND NOT EXISTS (${PLACED} AND l.groupid = g.groupid)
    AND NOT EXISTS (${UNFINISHED_COPIES})`;

/**
 * Conditions, for the coordinator: rows of pg_dist_placement are gone. Any role that may connect can delete them, on each
 * node (Citus: metadata_sync.c, citus_internal_delete_placement_metadata(), asks for no owner), so that all nodes agree.
 */
export const HAS_UNPLACED = `(EXISTS (${NOWHERE}) OR EXISTS (${LACKING}))`;
export const HAS_SHARDS_NOWHERE = `EXISTS (${NOWHERE})`;

export function unplacedShardsScript(): string {
  return observationScript([
    {
      key: 'unplaced',
      value: jsonRows(`SELECT ${TABLE_NAME} AS "table", ${SHARD_NAME} AS name, s.shardid, u.groupid AS "group"
        FROM (${NOWHERE} UNION ALL ${LACKING}) u JOIN pg_catalog.pg_dist_shard s ON s.shardid = u.shardid
        JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid
        JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        ORDER BY s.shardid, u.groupid`),
    },
  ]);
}

export function readUnplacedShards(observed: string): readonly UnplacedShard[] {
  return (JSON.parse(observed) as { unplaced: readonly UnplacedShard[] }).unplaced;
}

/** On the coordinator: says again where these shards are. */
export function placeAgain(shards: readonly { readonly shardid: number; readonly group: number }[]): string {
  const rows = shards.map(
    ({ shardid, group }) =>
      `(nextval('pg_catalog.pg_dist_placement_placementid_seq'), ${integerLiteral(shardid)}, 1, 0, ${integerLiteral(group)})`,
  );
  return `INSERT INTO pg_catalog.pg_dist_placement (placementid, shardid, shardstate, shardlength, groupid) VALUES ${rows.join(', ')};`;
}

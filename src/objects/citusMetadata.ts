import type { NodeSpec } from '../spec/types.ts';
import { mayHold, NOTHING_HELD, observeHeld } from './held.ts';
import { describeParts, type MetadataPart } from './metadataParts.ts';
import { type Fragment, HAS_CITUS, jsonRows } from './observe.ts';

/** A row of pg_dist_node, as one node sees it. */
export interface ObservedCitusNode {
  readonly nodeid: number;
  readonly groupid: number;
  readonly nodename: string;
  readonly nodeport: number;
  readonly noderole: string;
  readonly isactive: boolean;
  readonly hasmetadata: boolean;
  readonly metadatasynced: boolean;
  readonly shouldhaveshards?: boolean;
}

/** What one node knows of the Citus cluster, in one database. */
export interface ObservedMetadata {
  readonly nodes: readonly ObservedCitusNode[];
  readonly localGroup: number;
  /**
   * Digest of the tables and their numbers of shards, equal on all nodes whose metadata is synced. Append- and
   * range-distributed tables are left out: Citus keeps their metadata on the coordinator (metadata_sync.c,
   * ShouldSyncTableMetadata).
   */
  readonly tables: string;
}

/** Of a database that does not have Citus yet. */
export const NO_METADATA: ObservedMetadata = { nodes: [], localGroup: 0, tables: '' };

export function observeMetadata(): readonly Fragment[] {
  const key = 'metadata';
  return [
    ...observeHeld(),
    {
      key,
      when: HAS_CITUS,
      value: `pg_catalog.jsonb_build_object(
    'nodes', ${jsonRows(`
      SELECT nodeid, groupid, nodename, nodeport, noderole, isactive, hasmetadata, metadatasynced, shouldhaveshards
      FROM pg_catalog.pg_dist_node ORDER BY nodeid`)},
    'localGroup', (SELECT groupid FROM pg_catalog.pg_dist_local_group), 'tables', '${NOTHING_HELD}')`,
    },
    {
      key,
      when: `${HAS_CITUS} AND ${mayHold('tables')}`,
      value: `observed -> '${key}' || pg_catalog.jsonb_build_object('tables', (SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(
        pg_catalog.concat_ws(':', n.nspname, c.relname, p.partmethod, s.shards), ',' ORDER BY n.nspname, c.relname), ''))
      FROM pg_catalog.pg_dist_partition p
      JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS shards FROM pg_catalog.pg_dist_shard s WHERE s.logicalrelid = p.logicalrelid) s
      WHERE p.partmethod IN ('h', 'n')))`,
    },
  ];
}

/** Nodes that a database's coordinator has to know and does not. */
export function missingWorkers(workers: readonly NodeSpec[], metadata: ObservedMetadata): readonly NodeSpec[] {
  return workers.filter((worker) => registration(worker, metadata) === undefined);
}

export function registration(node: NodeSpec, metadata: ObservedMetadata): ObservedCitusNode | undefined {
  return metadata.nodes.find(
    (row) => row.nodename === node.nodeName && row.nodeport === node.nodePort && row.noderole === 'primary',
  );
}

/** Workers that the coordinator knows and the spec does not: never removed, only told. */
export function surplusWorkers(workers: readonly NodeSpec[], metadata: ObservedMetadata): readonly ObservedCitusNode[] {
  return metadata.nodes.filter(
    (row) => row.groupid !== 0 && row.noderole === 'primary' && !workers.some((worker) => worker.group === row.groupid),
  );
}

/**
 * Registered workers whose own metadata is not the coordinator's: dropped and made again, restored from an older
 * backup, or never synced. The coordinator's flags do not tell (citus_add_node() returns early for a known node).
 */
export function staleReason(
  worker: NodeSpec,
  coordinator: ObservedMetadata,
  own: ObservedMetadata | undefined,
  /** Parts of its metadata that are not the coordinator's. */
  differing: readonly MetadataPart[] = [],
): string | undefined {
  const row = registration(worker, coordinator);
  if (row === undefined) return undefined;
  if (!row.isactive) return 'it is disabled';
  if (!row.hasmetadata || !row.metadatasynced) return 'its metadata is not synced';
  if (own === undefined) return 'its database has no Citus metadata';
  if (own.localGroup !== row.groupid) return `it takes itself for group ${own.localGroup}`;
  if (nodesKey(own.nodes) !== nodesKey(coordinator.nodes)) return 'it knows other nodes than the coordinator';
  if (own.tables !== coordinator.tables) return 'it knows other distributed tables than the coordinator';
  if (differing.length > 0) return `it knows ${describeParts(differing)} than the coordinator`;
  return undefined;
}

function nodesKey(nodes: readonly ObservedCitusNode[]): string {
  return nodes
    .map((row) => `${row.nodeid}/${row.groupid}/${row.nodename}:${row.nodeport}/${row.noderole}/${row.isactive}`)
    .toSorted()
    .join(' ');
}

import { quoteLiteral } from '../postgres/quote.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Change } from './change.ts';
import { type ObservedMetadata, registration } from './citusMetadata.ts';
import { HAS_SHARDS_NOWHERE } from './unplacedShard.ts';
import { wording } from './wording.ts';

/** What Citus assumes of a node that is registered (Citus: citus_add_node, citus_set_coordinator_host). */
function byDefault(node: NodeSpec): boolean {
  return node.group !== 0;
}

/** shouldHaveShards: whether new shards, and those of a rebalance, go to a node. What is there stays there. */
export function diffShouldHaveShards(
  { shouldHaveShards }: Pick<DatabaseSpec, 'shouldHaveShards'>,
  nodes: readonly NodeSpec[],
  metadata: ObservedMetadata | undefined,
  coordinator: NodeSpec,
): readonly Change[] {
  return nodes.flatMap((node): Change[] => {
    const wanted = shouldHaveShards[String(node.group)];
    if (wanted === undefined) return [];
    const row = metadata === undefined ? undefined : registration(node, metadata);
    if ((row?.shouldhaveshards ?? byDefault(node)) === wanted) return [];
    const name = `${node.nodeName}:${node.nodePort}`;
    return [
      {
        kind: 'change',
        node: coordinator,
        scope: 'database',
        ...wording('set', `shouldhaveshards of ${name} (group ${node.group}) to ${wanted}`),
        statements: [{ text: setShouldHaveShards(node.nodeName, node.nodePort, wanted) }],
        starting: `${wanted ? 'Giving' : 'Giving no'} shards to ${name} from now on`,
        failure: `Failed to set shouldhaveshards of ${name}`,
        doneOnRetry: [],
        secret: false,
      },
    ];
  });
}

export function setShouldHaveShards(nodeName: string, nodePort: number, wanted: boolean): string {
  return `SELECT pg_catalog.citus_set_node_property(${quoteLiteral(nodeName)}, ${nodePort}, 'shouldhaveshards', ${wanted})`;
}

/**
 * The row of a group, and what is placed there and nowhere else. Of reference tables that is nothing, unless somebody gave
 * that name to another table (Citus: citus_internal_update_none_dist_table_metadata() asks for no owner).
 */
export function placedOn(group: number): string {
  return `SELECT n.nodename AS name, n.nodeport AS port, n.shouldhaveshards AS takes,
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_dist_node o
      WHERE o.groupid <> n.groupid AND o.isactive AND o.noderole = 'primary' AND o.shouldhaveshards)::pg_catalog.int4 AS others,
    (SELECT coalesce(pg_catalog.jsonb_agg(t.found ORDER BY t.found), '[]') FROM (
      SELECT pg_catalog.format('%s (%s)', s.logicalrelid, pg_catalog.count(*)) AS found
      FROM pg_catalog.pg_dist_placement l JOIN pg_catalog.pg_dist_shard s ON s.shardid = l.shardid
      JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = s.logicalrelid
      WHERE l.groupid = n.groupid AND (p.repmodel <> 't' OR NOT EXISTS (SELECT FROM pg_catalog.pg_dist_placement e
        WHERE e.shardid = l.shardid AND e.groupid <> l.groupid AND e.shardstate = 1)) GROUP BY s.logicalrelid) t)::pg_catalog.text AS placed,
    ${HAS_SHARDS_NOWHERE} AS unplaced
    FROM pg_catalog.pg_dist_node n WHERE n.groupid = ${group} AND n.noderole = 'primary'`;
}

export interface PlacedOnGroup {
  readonly name: string;
  readonly port: number;
  readonly takes: boolean;
  /** How many other nodes take shards. */
  readonly others: number;
  /** JSON: `table (shards)`. */
  readonly placed: string;
  /** Of some shards the database does not know where they are (unplacedShard.ts): it may be there. */
  readonly unplaced: boolean;
}

export function removeNode({ name, port }: Pick<PlacedOnGroup, 'name' | 'port'>): string {
  return `SELECT pg_catalog.citus_remove_node(${quoteLiteral(name)}, ${port})`;
}

import type { Problem } from '../objects/change.ts';
import type { RegisteredNode, RestorePointLock } from '../objects/restorePoint.ts';
import type { NodeSpec } from '../spec/types.ts';

/** A database with Citus, and the nodes that its coordinator knows. */
export interface BlockedDatabase {
  readonly name: string;
  readonly registered: readonly RegisteredNode[];
}

/** One transaction that holds locks: a database on a node. */
export interface Blocking {
  readonly node: NodeSpec;
  readonly database: string;
}

/** Blockings of one step are taken at the same time, the steps one after the other. */
export type RestorePointStep =
  | { readonly kind: 'lock'; readonly lock: RestorePointLock; readonly blockings: readonly Blocking[] }
  | { readonly kind: 'create'; readonly nodes: readonly NodeSpec[] }
  | { readonly kind: 'release'; readonly blockings: readonly Blocking[] };

/**
 * The order of a restore point, once the metadata of every database is locked on the coordinator.
 *
 * - First what only DDL and changes of nodes wait for, on the coordinator before the workers: a statement of DDL holds
 *   the coordinator's pg_dist_partition before it needs those of the workers, and is through once that one is locked.
 * - Then the commit decisions of all databases on all nodes at once: from here on writes that need a two-phase commit wait.
 * - Then the points, on every server of the cluster; then everything is let go.
 */
export function restorePointOrder(
  coordinator: NodeSpec,
  workers: readonly NodeSpec[],
  databases: readonly BlockedDatabase[],
): readonly RestorePointStep[] {
  const onCoordinator = databases.map(({ name }) => ({ node: coordinator, database: name }));
  const onWorkers = databases.flatMap(({ name, registered }) =>
    workers.filter((node) => registered.some((row) => isNode(row, node))).map((node) => ({ node, database: name })),
  );
  const all = [...onCoordinator, ...onWorkers];
  return [
    ...(onWorkers.length > 0 ? [{ kind: 'lock', lock: 'metadata', blockings: onWorkers } as const] : []),
    ...(all.length > 0 ? [{ kind: 'lock', lock: 'decisions', blockings: all } as const] : []),
    { kind: 'create', nodes: [coordinator, ...workers] },
    ...(all.length > 0 ? [{ kind: 'release', blockings: all } as const] : []),
  ];
}

/** The group is enough: other databases may know a worker by another of its names. */
function isNode(row: RegisteredNode, node: NodeSpec): boolean {
  return row.groupid === node.group || (row.nodename === node.nodeName && row.nodeport === node.nodePort);
}

/** Nodes that would stay without the point, so that the databases could not be restored to it. */
export function unreachableNodeProblems(
  workers: readonly NodeSpec[],
  databases: readonly BlockedDatabase[],
): readonly Problem[] {
  return databases.flatMap(({ name, registered }) =>
    registered
      .filter((row) => !workers.some((node) => isNode(row, node)))
      .map(({ groupid, nodename, nodeport }) => ({
        kind: 'refused' as const,
        what: `Database '${name}' has a node that the spec does not name: ${nodename}:${nodeport} (group ${groupid})`,
        next: 'Declare it in cluster.workers: without a point on every node the databases could not be restored to one moment',
      })),
  );
}

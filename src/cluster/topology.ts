import type { DatabaseSpec, NodeSpec, Spec } from '../spec/types.ts';

/** The nodes that take part in one run: where databases are made, and where only roles are. */
export interface Topology {
  readonly coordinator: NodeSpec;
  /** Workers of the database, by group. */
  readonly workers: readonly NodeSpec[];
  /** Workers that the database leaves out (`workerGroups`): they still get the roles. */
  readonly otherWorkers: readonly NodeSpec[];
}

/** Which of the cluster's workers a database uses: all of them unless `workerGroups` names some. */
export function topologyOf(spec: Spec, workers: readonly NodeSpec[], database: DatabaseSpec): Topology {
  const wanted = database.workerGroups;
  const ordered = workers.toSorted((a, b) => a.group - b.group);
  return {
    coordinator: spec.cluster.coordinator,
    workers: wanted === undefined ? ordered : ordered.filter((node) => wanted.includes(node.group)),
    otherWorkers: wanted === undefined ? [] : ordered.filter((node) => !wanted.includes(node.group)),
  };
}

/** Every node of a database, the coordinator first. */
export function databaseNodes(topology: Topology): readonly NodeSpec[] {
  return [topology.coordinator, ...topology.workers];
}

/** Every node of the cluster, the coordinator first, then by group. */
export function allNodes(topology: Topology): readonly NodeSpec[] {
  const workers = [...topology.workers, ...topology.otherWorkers].toSorted((a, b) => a.group - b.group);
  return [topology.coordinator, ...workers];
}

/**
 * What the log calls a node: the name that the other nodes use for it, with the port only where names repeat
 * (several servers on one host).
 */
export function nodeLabels(nodes: readonly NodeSpec[]): ReadonlyMap<number, string> {
  const uses = new Map<string, number>();
  for (const node of nodes) uses.set(node.nodeName, (uses.get(node.nodeName) ?? 0) + 1);
  return new Map(
    nodes.map((node) => [
      node.group,
      (uses.get(node.nodeName) ?? 0) > 1 ? `${node.nodeName}:${node.nodePort}` : node.nodeName,
    ]),
  );
}

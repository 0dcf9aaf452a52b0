import type { Plain, PlainMapping } from './plain.ts';
import { formatPath, type Path, type SpecProblem } from './problems.ts';
import { groupOf, isAbsent, isList, mappingOr, repeated } from './tolerant.ts';

interface Node {
  readonly path: Path;
  readonly fields: PlainMapping;
}

/** What the nodes of `cluster` say against each other. */
export function nodeContradictions(cluster: PlainMapping): readonly SpecProblem[] {
  const { workers } = cluster;
  const path = ['cluster', 'workers'];
  if (!isList(workers)) return [];
  if (cluster['citus'] === false) {
    if (workers.length === 0) return [];
    return [{ path, message: 'must be left out where cluster.citus is false: plain PostgreSQL has no workers' }];
  }
  if (workers.length === 0) {
    return [{ path, message: 'is empty: list the workers, or leave the key out to discover them' }];
  }
  const nodes = workers.map((worker, index): Node => ({ path: [...path, index], fields: mappingOr(worker) }));
  const coordinator: Node = { path: ['cluster', 'coordinator'], fields: mappingOr(cluster['coordinator']) };
  return [...repeatedGroups(nodes), ...repeatedAddresses([coordinator, ...nodes])];
}

function repeatedGroups(workers: readonly Node[]): readonly SpecProblem[] {
  return repeated(
    workers.map(({ path, fields }) => ({ path: [...path, 'group'], key: groupOf(fields['group']) })),
    (key, first) => `group ${key} is also the group of ${formatPath(first.slice(0, -1))}`,
  );
}

/** Two nodes at one address would be one server; two under one name for other nodes, one node of pg_dist_node. */
function repeatedAddresses(nodes: readonly Node[]): readonly SpecProblem[] {
  const here = nodes.map(({ path, fields }) => ({ path, key: address(fields['host'], fields['port'], 5432) }));
  const problems = repeated(here, (key, first) => `has the address of ${formatPath(first)}, ${key}`);
  if (problems.length > 0) return problems;
  return repeated(
    nodes.map(({ path, fields }) => ({
      path,
      key: address(fields['nodeName'] ?? fields['host'], fields['nodePort'] ?? fields['port'], 5432),
    })),
    (key, first) => `has the name for other nodes (nodeName, nodePort) of ${formatPath(first)}, ${key}`,
  );
}

function address(host: Plain | undefined, port: Plain | undefined, defaultPort: number): string | undefined {
  if (typeof host !== 'string') return undefined;
  const number = isAbsent(port) ? defaultPort : port;
  if (typeof number !== 'number') return undefined;
  // Host names do not depend on case, paths do.
  return `${host.startsWith('/') ? host : host.toLowerCase()}:${number}`;
}

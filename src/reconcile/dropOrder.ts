import { allNodes, type Topology } from '../cluster/topology.ts';
import { forget, recordDrop } from '../objects/bookkeeping.ts';
import { quoteIdentifier } from '../postgres/quote.ts';
import type { NodeSpec } from '../spec/types.ts';
import { line, type Step } from './work.ts';

export interface DropSituation {
  readonly database: string;
  readonly topology: Topology;
  /** Where the database exists. */
  readonly nodes: readonly NodeSpec[];
}

export function dropSituation(
  database: string,
  topology: Topology,
  exists: (node: NodeSpec) => boolean,
): DropSituation {
  return { database, topology, nodes: allNodes(topology).filter(exists) };
}

/** The order of work of `drop`: a drop that does not finish is remembered, and the next one finishes it. */
export const DROP_ORDER: readonly Step<DropSituation>[] = [
  {
    works: [
      {
        name: 'record the drop',
        nodes: ({ topology }) => [[topology.coordinator]],
        items: ({ database }, coordinator) => [recordDrop(database, coordinator)],
        log: 'lines',
      },
    ],
  },
  {
    works: [
      {
        name: 'database',
        nodes: ({ nodes }) => [nodes],
        items: ({ database }, node) => [
          { kind: 'procedure', name: 'dropDatabase', node, summaries: [`drop database ${quoteIdentifier(database)}`] },
        ],
        log: 'lanes',
        before: ({ database }, [label]) => [line(`Dropping database '${database}' on ${label}...`)],
        after: (_, [label]) => [line(`Database dropped on ${label}!`)],
      },
    ],
  },
  {
    works: [
      {
        name: 'forget the database',
        nodes: ({ topology }) => [[topology.coordinator]],
        items: ({ database }, coordinator) => [forget(database, coordinator)],
        log: 'lines',
      },
    ],
  },
];

import { describe, expect, test } from 'vitest';
import { allNodes, databaseNodes, nodeLabels, topologyOf } from '../../../src/cluster/topology.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';
import { parse } from '../spec/support.ts';

function node(group: number, nodeName: string, nodePort = 5432): NodeSpec {
  return { group, host: nodeName, port: nodePort, nodeName, nodePort };
}

/** Groups of the nodes of a database that declares these workerGroups, in a cluster whose workers are 3, 1 and 2. */
function topology(workerGroups: string) {
  const spec = parse(`
cluster:
  coordinator: { host: c }
  workers: [{ group: 3, host: w3 }, { group: 1, host: w1 }, { group: 2, host: w2 }]
databases: [{ name: skymap${workerGroups} }]
`);
  const [database] = spec.databases;
  if (database === undefined) throw new Error('Expected a database');
  return topologyOf(spec, [node(3, 'w3'), node(1, 'w1'), node(2, 'w2')], database);
}

const groups = (nodes: readonly NodeSpec[]) => nodes.map(({ group }) => group);

describe('which workers a database uses', () => {
  test.each([
    ['', [1, 2, 3], []],
    [', workerGroups: ["3", 1]', [1, 3], [2]],
    [', workerGroups: [2]', [2], [1, 3]],
  ] as const)('%s', (workerGroups, workers, otherWorkers) => {
    const found = topology(workerGroups);
    expect(groups(found.workers)).toEqual(workers);
    expect(groups(found.otherWorkers)).toEqual(otherWorkers);
    expect(groups(databaseNodes(found))).toEqual([0, ...workers]);
    expect(groups(allNodes(found))).toEqual([0, 1, 2, 3]);
  });
});

describe('labels', () => {
  test.each([
    ['names that differ', [node(0, 'c'), node(1, 'w')], ['c', 'w']],
    [
      'one host with several ports',
      [node(0, 'localhost', 5600), node(1, 'localhost', 5601), node(2, 'w2')],
      ['localhost:5600', 'localhost:5601', 'w2'],
    ],
    ['no node', [], []],
  ] as const)('%s', (_, nodes, expected) => {
    expect([...nodeLabels(nodes).values()]).toEqual(expected);
  });

  test('are the names that the nodes use among themselves', () => {
    const behindProxy: NodeSpec = {
      group: 2,
      host: 'localhost',
      port: 5602,
      nodeName: 'citus_worker2',
      nodePort: 5432,
    };
    expect(nodeLabels([node(0, 'localhost', 5600), behindProxy])).toEqual(
      new Map([
        [0, 'localhost'],
        [2, 'citus_worker2'],
      ]),
    );
  });
});

import { describe, expect, test } from 'vitest';
import {
  missingWorkers,
  type ObservedMetadata,
  staleReason,
  surplusWorkers,
} from '../../../src/objects/citusMetadata.ts';
import { activateWorker, diffCoordinatorHost, registerWorkers } from '../../../src/objects/citusNode.ts';
import { citusNodeProblems } from '../../../src/objects/citusNodeProblems.ts';
import { COORDINATOR, citusNode, citusNodes, metadata, node, shown, sqlOf, W1, W2 } from '../reconcile/situations.ts';

const W3 = node(3, 'w3');

/** A standby registered as a secondary of group 1: it is nothing to this program. */
const SECONDARY = citusNode(1, { nodeid: 9, nodename: 'w1-standby', noderole: 'secondary' });

describe('missing workers', () => {
  test.each([
    ['all there', citusNodes(2), []],
    ['none there', [], [W1, W2]],
    ['one missing', citusNodes(1), [W2]],
    ['another port', [...citusNodes(1), citusNode(2, { nodeport: 5433 })], [W2]],
    ['only a secondary by that name', [citusNode(0), citusNode(1, { noderole: 'secondary' })], [W1, W2]],
  ] as const)('%s', (_, nodes, expected) => {
    expect(missingWorkers([W1, W2], metadata(0, { nodes }))).toEqual(expected);
  });

  test('are registered in one statement with their groups, one by one to find the culprit', () => {
    const all = registerWorkers(COORDINATOR, [W1, node(7, "o'w")]);
    expect(shown(all)).toEqual({
      on: 'c',
      summary: "register w1:5432 (group 1), o'w:5432 (group 7)",
      sql: [
        "SELECT pg_catalog.citus_add_node('w1', 5432, groupid => 1), pg_catalog.citus_add_node('o''w', 5432, groupid => 7)",
      ],
    });
    expect(all.failure).toBe('Failed to add workers');
    expect(all.oneByOne?.map(({ failure }) => failure)).toEqual([
      'Failed to add worker w1:5432',
      "Failed to add worker o'w:5432",
    ]);
    expect(all.oneByOne?.flatMap(sqlOf)[0]).toBe("SELECT pg_catalog.citus_add_node('w1', 5432, groupid => 1)");
    expect(registerWorkers(COORDINATOR, [W1]).oneByOne).toBeUndefined();
  });
});

describe('the coordinator under its own name', () => {
  const expected = [
    {
      on: 'c',
      summary: 'register the coordinator as c:5432',
      sql: ["SELECT pg_catalog.citus_set_coordinator_host('c', 5432)"],
    },
  ];
  test.each([
    ['as it should be', citusNodes(1), []],
    ['not registered', [], expected],
    ['localhost', [citusNode(0, { nodename: 'localhost' })], expected],
    ['another port', [citusNode(0, { nodeport: 5433 })], expected],
  ] as const)('%s', (_, nodes, changes) => {
    expect(diffCoordinatorHost(COORDINATOR, metadata(0, { nodes })).map(shown)).toEqual(changes);
  });
});

describe('why a registered worker is stale', () => {
  const known = metadata(0);
  function row(changed: Parameters<typeof citusNode>[1]): ObservedMetadata {
    return metadata(0, { nodes: [citusNode(0), citusNode(1, changed), citusNode(2)] });
  }
  const disabled = row({ isactive: false });
  test.each([
    ['it is not', known, metadata(1), undefined],
    ['not registered: that is another matter', metadata(0, { nodes: [citusNode(0)] }), undefined, undefined],
    ['disabled', disabled, metadata(1, { nodes: disabled.nodes }), 'it is disabled'],
    ['no metadata', row({ hasmetadata: false }), metadata(1), 'its metadata is not synced'],
    ['not synced', row({ metadatasynced: false }), metadata(1), 'its metadata is not synced'],
    ['made again empty', known, undefined, 'its database has no Citus metadata'],
    ['another group', known, metadata(0), 'it takes itself for group 0'],
    ['fewer nodes', known, metadata(1, { nodes: citusNodes(1) }), 'it knows other nodes than the coordinator'],
    [
      'another coordinator',
      known,
      metadata(1, { nodes: [citusNode(0, { nodename: 'localhost' }), citusNode(1), citusNode(2)] }),
      'it knows other nodes than the coordinator',
    ],
    [
      'a node that is disabled only here',
      known,
      metadata(1, { nodes: [citusNode(0), citusNode(1), citusNode(2, { isactive: false })] }),
      'it knows other nodes than the coordinator',
    ],
    ['the same nodes in another order', known, metadata(1, { nodes: citusNodes(2).toReversed() }), undefined],
    [
      'flags of syncing, which only the coordinator keeps true',
      known,
      metadata(1, { nodes: citusNodes(2).map((each) => ({ ...each, metadatasynced: false })) }),
      undefined,
    ],
    ['other tables', known, metadata(1, { tables: 'other' }), 'it knows other distributed tables than the coordinator'],
    [
      'a secondary that both know',
      metadata(0, { nodes: [...citusNodes(2), SECONDARY] }),
      metadata(1, { nodes: [...citusNodes(2), SECONDARY] }),
      undefined,
    ],
  ] as const)('%s', (_, coordinator, own, expected) => {
    expect(staleReason(W1, coordinator, own)).toBe(expected);
  });

  test('it is activated through the coordinator', () => {
    expect(shown(activateWorker(COORDINATOR, W1, 'it is disabled'))).toEqual({
      on: 'c',
      summary: 'sync metadata to w1:5432: it is disabled',
      sql: ["SELECT pg_catalog.citus_activate_node('w1', 5432)"],
    });
  });
});

describe('contradictions', () => {
  const nothing = metadata(0, { nodes: [] });
  const otherCluster = metadata(1, { nodes: [citusNode(0, { nodename: 'other' }), citusNode(1)] });
  test.each([
    ['none: all as declared', [metadata(0), metadata(1), metadata(2)], []],
    ['none: nothing there yet', [undefined, undefined, undefined], []],
    ['none: citus is there, nothing registered', [nothing, nothing, nothing], []],
    [
      'none: a secondary of a declared group',
      [metadata(0, { nodes: [...citusNodes(2), SECONDARY] }), undefined, undefined],
      [],
    ],
    ['none: the coordinator lost its database, the workers remember it', [undefined, metadata(1), metadata(2)], []],
    [
      'a worker registered as another group',
      [metadata(0, { nodes: [citusNode(0), citusNode(4, { nodename: 'w1' })] }), undefined, undefined],
      ['w1:5432 is registered as group 4, not 1'],
    ],
    [
      'groups exchanged',
      [
        metadata(0, { nodes: [citusNode(1, { nodename: 'w2' }), citusNode(2, { nodename: 'w1' })] }),
        undefined,
        undefined,
      ],
      ['w1:5432 is registered as group 2, not 1', 'w2:5432 is registered as group 1, not 2'],
    ],
    [
      'a group under another name',
      [metadata(0, { nodes: [citusNode(0), citusNode(1, { nodename: 'old' }), citusNode(2)] }), undefined, undefined],
      ['Group 1 is registered as old:5432, not as w1:5432'],
    ],
    [
      'a group under another name, which holds tables',
      [
        metadata(0, { nodes: [citusNode(0), citusNode(1, { nodename: 'old' }), citusNode(2)] }),
        metadata(1, { tables: 'something' }),
        undefined,
      ],
      ['Group 1 is registered as old:5432, not as w1:5432'],
    ],
    [
      "a worker of another coordinator's cluster",
      [nothing, otherCluster, undefined],
      ['The database on this worker belongs to another Citus cluster, whose coordinator is other:5432 (l-w1)'],
    ],
    [
      'a worker with tables of a coordinator that lost its database',
      [undefined, metadata(1), metadata(2, { tables: 'something' })],
      [
        'The database on this worker holds distributed tables that the coordinator does not know: they belong to an earlier database of that name (l-w2)',
      ],
    ],
    [
      'a worker that was drained, and is declared again: nothing is said of dropping the database',
      [
        metadata(0, { nodes: [citusNode(0), citusNode(1)], tables: 'something' }),
        undefined,
        metadata(2, { tables: 'something' }),
      ],
      [
        'The database on this worker holds distributed tables from before: it was drained, or belongs to an earlier database of that name (l-w2)',
      ],
    ],
    [
      'none: a registered worker with other tables: it is only stale',
      [metadata(0), metadata(1, { tables: 'other' }), undefined],
      [],
    ],
    ['the same worker once it is registered here: it is only stale', [metadata(0), otherCluster, metadata(2)], []],
    [
      'a worker that coordinates a cluster itself',
      [metadata(0), metadata(1), metadata(0, { nodes: [citusNode(0, { nodename: 'w2' }), citusNode(5)] })],
      ['The database on this worker belongs to another Citus cluster, whose coordinator is itself (l-w2)'],
    ],
    [
      'none: a worker with a single-node Citus, known to itself as localhost',
      [nothing, metadata(0, { nodes: [citusNode(0, { nodename: 'localhost' })] }), undefined],
      [],
    ],
  ] as const)('%s', (_, observed, expected) => {
    const problems = citusNodeProblems(
      COORDINATOR,
      [W1, W2],
      new Map(observed.map((each, group) => [group, each])),
      ({ nodeName }) => `l-${nodeName}`,
    );
    expect(problems.map(({ what, node }) => (node === undefined ? what : `${what} (${node})`))).toEqual(expected);
    for (const problem of problems) expect(problem.kind).toBe('refused');
  });

  test('a group under another name: the cure names the node', () => {
    const nodes = [citusNode(1, { nodename: 'old', nodeid: 17 })];
    const [problem] = citusNodeProblems(COORDINATOR, [W1], new Map([[0, metadata(0, { nodes })]]), () => '');
    expect(problem?.next).toBe("If it is the same server: SELECT citus_update_node(17, 'w1', 5432)");
  });
});

test('workers that are registered and not declared', () => {
  const nodes = [...citusNodes(3), SECONDARY];
  expect(surplusWorkers([W1, W2, W3], metadata(0, { nodes }))).toEqual([]);
  expect(surplusWorkers([W2], metadata(0, { nodes })).map(({ groupid }) => groupid)).toEqual([1, 3]);
});

import { expect, test } from 'vitest';
import { beginBlocking, blockWrites, restorePointNameProblem } from '../../../src/objects/restorePoint.ts';
import {
  type BlockedDatabase,
  restorePointOrder,
  unreachableNodeProblems,
} from '../../../src/reconcile/restorePointOrder.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';

const node = (group: number): NodeSpec => ({
  group,
  host: `host-${group}`,
  port: 5432,
  nodeName: `node-${group}`,
  nodePort: 5432,
});
const row = (groupid: number, nodename = `node-${groupid}`) => ({ groupid, nodename, nodeport: 5432 });
const [coordinator, one, two] = [node(0), node(1), node(2)];

test('commit decisions are locked last, on all nodes of all databases at once', () => {
  const databases: readonly BlockedDatabase[] = [
    { name: 'app', registered: [row(1), row(2)] },
    { name: 'small', registered: [row(2)] },
  ];
  const workers = [
    { node: one, database: 'app' },
    { node: two, database: 'app' },
    { node: two, database: 'small' },
  ];
  const all = [{ node: coordinator, database: 'app' }, { node: coordinator, database: 'small' }, ...workers];
  expect(restorePointOrder(coordinator, [one, two], databases)).toEqual([
    { kind: 'lock', lock: 'metadata', blockings: workers },
    { kind: 'lock', lock: 'decisions', blockings: all },
    { kind: 'create', nodes: [coordinator, one, two] },
    { kind: 'release', blockings: all },
  ]);
});

test('without Citus there is nothing to lock', () => {
  expect(restorePointOrder(coordinator, [], [])).toEqual([{ kind: 'create', nodes: [coordinator] }]);
});

test('a worker may be known by another name, not by another group', () => {
  const databases = [{ name: 'citus', registered: [row(1, '10.0.0.7'), row(3)] }];
  expect(unreachableNodeProblems([one, two], databases).map(({ kind, what }) => ({ kind, what }))).toEqual([
    { kind: 'refused', what: "Database 'citus' has a node that the spec does not name: node-3:5432 (group 3)" },
  ]);
});

test('the tables are those of citus_create_restore_point()', () => {
  expect(blockWrites('metadata', true)).toBe(
    'LOCK TABLE pg_catalog.pg_dist_node, pg_catalog.pg_dist_partition IN EXCLUSIVE MODE',
  );
  expect(blockWrites('metadata', false)).toBe('LOCK TABLE pg_catalog.pg_dist_partition IN EXCLUSIVE MODE');
  expect(blockWrites('decisions', false)).toBe('LOCK TABLE pg_catalog.pg_dist_transaction IN EXCLUSIVE MODE');
});

test('the server ends what this program cannot end any more', () => {
  expect(beginBlocking(10_000)).toMatch(/lock_timeout = 15000; .*idle_in_transaction_session_timeout = 15000$/);
});

test.each([
  ['x'.repeat(63), undefined],
  ['ä'.repeat(32), 'it is longer than 63 bytes'],
  ['', 'it is empty'],
  ['a\nb', 'it has a control character'],
])('name %j', (name, problem) => expect(restorePointNameProblem(name)).toBe(problem));

import { describe, expect, test } from 'vitest';
import { diffShouldHaveShards } from '../../../src/objects/nodeShards.ts';
import { progressOf, startRebalance } from '../../../src/objects/rebalance.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';

const none = {
  strategy: undefined,
  transferMode: undefined,
  parallelReferenceTables: false,
  parallelColocatedShards: false,
} as const;

test('only what is declared is passed on: older versions of Citus do not know every option', () => {
  expect(startRebalance(none, false)).toBe('SELECT pg_catalog.citus_rebalance_start()::pg_catalog.text AS job');
  const all = {
    strategy: "it's",
    transferMode: 'block_writes',
    parallelReferenceTables: true,
    parallelColocatedShards: true,
  } as const;
  expect(startRebalance(all, true)).toBe(
    "SELECT pg_catalog.citus_rebalance_start(rebalance_strategy => 'it''s', drain_only => true, shard_transfer_mode => 'block_writes', " +
      'parallel_transfer_reference_tables => true, parallel_transfer_colocated_shards => true)::pg_catalog.text AS job',
  );
});

describe('progress', () => {
  const running = {
    state: 'running',
    size: { source: '32 kB', target: '8 kB' },
    hosts: { source: 'w1:5432', target: 'w2:5432' },
  };
  test.each([
    ['scheduled', { task_state_counts: { blocked: 1 }, tasks: [] }, undefined, '0 of 1 task done', []],
    [
      'running',
      { task_state_counts: { done: 1, running: 1, blocked: 2 }, tasks: [running] },
      undefined,
      '1 of 4 tasks done; under way: w1:5432 to w2:5432 (8 kB of 32 kB)',
      [],
    ],
    [
      'running',
      {
        task_state_counts: { runnable: 1 },
        tasks: [{ state: 'runnable', retried: 1, message: 'ERROR: no', command: 'SELECT m()' }],
      },
      undefined,
      '0 of 1 task done',
      ['SELECT m(): ERROR: no'],
    ],
    ['finished', { task_state_counts: { done: 2 }, tasks: [] }, 'finished', '2 of 2 tasks done', []],
    ['cancelled', { task_state_counts: null, tasks: [] }, 'cancelled', '0 of 0 tasks done', []],
  ] as const)('%s', (state, details, end, text, troubles) => {
    expect(progressOf({ state, details: JSON.stringify(details) })).toMatchObject({ end, text, troubles });
  });
});

describe('shouldHaveShards', () => {
  const node = (group: number): NodeSpec => ({
    group,
    host: `n${group}`,
    port: 5432,
    nodeName: `n${group}`,
    nodePort: 5432,
  });
  const row = (group: number, shouldhaveshards: boolean) => ({
    ...{ nodeid: group + 1, groupid: group, nodename: `n${group}`, nodeport: 5432, noderole: 'primary' },
    ...{ isactive: true, hasmetadata: true, metadatasynced: true, shouldhaveshards },
  });
  const nodes = [node(0), node(1), node(2)];
  const changes = (wanted: Readonly<Record<string, boolean>>, rows: readonly ReturnType<typeof row>[] | undefined) =>
    diffShouldHaveShards(
      { shouldHaveShards: wanted },
      nodes,
      rows === undefined ? undefined : { nodes: rows, localGroup: 0, tables: '' },
      node(0),
    ).map(({ summary }) => summary);

  test('what is not named stays, and what is as declared too', () => {
    expect(changes({}, [row(0, false), row(1, true)])).toEqual([]);
    expect(changes({ 0: false, 1: true }, [row(0, false), row(1, true)])).toEqual([]);
  });

  test('what differs is set, and what this run registers is taken for what Citus makes of it', () => {
    expect(changes({ 0: true, 1: false }, [row(0, false), row(1, true)])).toEqual([
      'set shouldhaveshards of n0:5432 (group 0) to true',
      'set shouldhaveshards of n1:5432 (group 1) to false',
    ]);
    expect(changes({ 0: false, 1: true, 2: false }, undefined)).toEqual([
      'set shouldhaveshards of n2:5432 (group 2) to false',
    ]);
  });
});

import { expect, test } from 'vitest';
import { type KnownShards, shardsBeyond } from '../../../src/objects/knownShards.ts';
import { withTables } from '../../../src/reconcile/unknownShards.ts';

const COORDINATOR: KnownShards = {
  'public.t': { 8: [1], 9: [2] },
  'public.r': { 7: [0, 1, 2] },
  'public.u': { 5: [] },
};

test.each<[name: string, own: KnownShards, beyond: readonly (readonly [number, readonly number[] | undefined])[]]>([
  ['the same', COORDINATOR, []],
  ['less', { 'public.t': { 8: [1] } }, []],
  ['under another name', { 'public.renamed': { 8: [1] } }, []],
  ['another table', { ...COORDINATOR, 'public.young': { 10: [1] } }, [[10, undefined]]],
  [
    'other shards of the same table',
    { 'public.t': { 11: [1], 12: [2] } },
    [
      [11, undefined],
      [12, undefined],
    ],
  ],
  ['a shard elsewhere', { 'public.t': { 8: [2], 9: [2] } }, [[8, [1]]]],
  ['a place more, and one less', { 'public.r': { 7: [1, 3] } }, []],
  ['a place of one that the coordinator places nowhere, which is told elsewhere', { 'public.u': { 5: [1] } }, []],
  ['no place of its own', { 'public.t': { 8: [] } }, []],
])('a worker that knows %s', (_, own, beyond) => {
  expect(shardsBeyond(own, COORDINATOR).map(({ shardid, elsewhere }) => [shardid, elsewhere])).toEqual(beyond);
});

test('only a table of the name of a shard can have rows', () => {
  const young = { table: 'public.young', groups: [1], elsewhere: undefined, knownBy: [1, 2] };
  const shards = [
    { ...young, shardid: 10 },
    { ...young, shardid: 11 },
    { ...young, shardid: 12 },
    { ...young, table: '16399', shardid: 13 },
    { ...young, table: 'public.t', shardid: 8, groups: [2], elsewhere: [1] },
    { ...young, table: 'public.t', shardid: 9, groups: [1], elsewhere: [2] },
  ];
  const table = (shardid: number, schema = 'public') => ({ shardid, schema, name: `${schema}.x_${shardid}` });
  const tables = new Map([
    [0, [table(11)]],
    [1, [table(10), table(8)]],
    [2, [table(12, 'other'), table(13, 'other'), table(8)]],
  ]);
  expect(withTables(shards, tables).map(({ shardid, found }) => [shardid, found.map(({ group }) => group)])).toEqual([
    [10, [1]],
    [11, [0]],
    // a table that is gone has left no schema
    [13, [2]],
    // where the coordinator places it, it is reached
    [8, [2]],
  ]);
});

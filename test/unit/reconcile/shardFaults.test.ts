import { expect, test } from 'vitest';
import type { PlacedShard } from '../../../src/objects/placedShard.ts';
import { missingShards, whereTheyAre } from '../../../src/reconcile/shardFaults.ts';

function placed(group: number, shardid: number, more: Partial<PlacedShard> = {}): PlacedShard {
  const base = { table: 'public.t', name: `public.t_${shardid}`, replaceable: true, reference: false, others: [] };
  return { ...base, group, shardid, ...more };
}

function found(shards: readonly PlacedShard[], existing: Readonly<Record<number, readonly string[]>>) {
  const byGroup = new Map(Object.entries(existing).map(([group, names]) => [Number(group), new Set(names)]));
  return missingShards(shards, byGroup).missing.map(({ group, name, others, elsewhere }) => ({
    ...{ group, name, others, elsewhere },
  }));
}

test('all there', () => {
  expect(found([placed(1, 8), placed(2, 9)], { 1: ['public.t_8'], 2: ['public.t_9'] })).toEqual([]);
});

test('gone from every node', () => {
  expect(found([placed(1, 8)], { 1: [], 2: ['public.t_9'] })).toEqual([
    { group: 1, name: 'public.t_8', others: [], elsewhere: [] },
  ]);
});

test('two nodes with the shards of each other', () => {
  expect(found([placed(1, 8), placed(2, 9)], { 1: ['public.t_9'], 2: ['public.t_8'] })).toEqual([
    { group: 1, name: 'public.t_8', others: [], elsewhere: [2] },
    { group: 2, name: 'public.t_9', others: [], elsewhere: [1] },
  ]);
});

test('a copy of a reference table that another node has is a copy, and stands nowhere else', () => {
  const reference = { reference: true, name: 'public.r_7', table: 'public.r' };
  const shards = [placed(1, 7, { ...reference, others: [2] }), placed(2, 7, { ...reference, others: [1] })];
  expect(found(shards, { 1: [], 2: ['public.r_7'] })).toEqual([
    { group: 1, name: 'public.r_7', others: [2], elsewhere: [] },
  ]);
});

test('shards that are placed nowhere: the nodes that have their tables', () => {
  const shard = (shardid: number, group: number | null = null) => ({
    ...{ table: 'public.t', name: `public.t_${shardid}`, shardid, group },
  });
  const existing = new Map([
    [0, new Set(['public.t_9'])],
    [1, new Set(['public.t_8', 'public.t_9'])],
  ]);
  const found = whereTheyAre([shard(7), shard(8), shard(9), shard(9, 0), shard(8, 0)], existing);
  expect(found.map(({ on }) => on)).toEqual([[], [1], [0, 1], [0], []]);
});

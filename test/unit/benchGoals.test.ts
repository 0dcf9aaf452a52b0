import { describe, expect, test } from 'vitest';
import { GOALS, goalsTable, judge, scriptMemory } from '../../bench/goals.ts';
import { judgeShards, type ShardRow } from '../../bench/shardReport.ts';

describe('goals of the benches', () => {
  test('a limit is met, anything above it is not', () => {
    expect(judge(GOALS.firstApply, 1.2, '2 workers')).toEqual({
      goal: 'first apply ≤ 1.2 × floor with proof, 2 workers',
      measured: '1.20 ×',
      met: true,
    });
    expect(judge(GOALS.planRecorded, 60.1)).toMatchObject({ measured: '60.1 s', met: false });
    expect(judge(scriptMemory(1.5), 96)).toMatchObject({ goal: 'peak memory ≤ 95 MB', met: false });
  });

  test('what was not measured is not met', () => {
    expect(judge(GOALS.memory, Number.NaN).met).toBe(false);
  });

  test('the table says which', () => {
    const lines = goalsTable([judge(GOALS.memory, 90), judge(GOALS.memory, 91)]).split('\n');
    expect(lines.slice(2)).toEqual([
      '| peak memory ≤ 90 MB | 90 MB    | met    |',
      '| peak memory ≤ 90 MB | 91 MB    | MISSED |',
    ]);
  });
});

describe('goals of many shards', () => {
  const row = (shards: number, cpu: number, messages = 4): ShardRow => ({
    ...{ workers: 2, tables: 20, users: 0, shards, messages, peakMegabytes: 70 },
    ...{ now: [1000], before: [], psql: [500], cpu: [cpu] },
  });
  const growth = (rows: readonly ShardRow[]) =>
    judgeShards(rows).flatMap(({ goal, met }) => (goal.includes('further shard') ? [met] : []));

  test('linear growth is met, quadratic growth is not', () => {
    expect(growth([row(0, 500), row(1000, 600), row(10_000, 1500), row(100_000, 10_500)])).toEqual([true, true]);
    expect(growth([row(0, 500), row(1000, 510), row(10_000, 1500)])).toEqual([false]);
  });

  test('with two sizes, or where the earlier shards cost nothing, growth is not judged', () => {
    expect(growth([row(0, 500), row(10_000, 1500)])).toEqual([]);
    expect(growth([row(0, 500), row(1000, 490), row(10_000, 1500)])).toEqual([]);
  });

  test('more messages to a node than with fewer shards are not met', () => {
    const messages = judgeShards([row(0, 500), row(1000, 600, 5)]).filter(({ goal }) => goal.startsWith('messages'));
    expect(messages).toEqual([expect.objectContaining({ measured: '1', met: false })]);
  });
});

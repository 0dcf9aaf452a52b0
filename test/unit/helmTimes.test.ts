import { describe, expect, test } from 'vitest';
import { type JobTimes, timesOf, timesTable } from '../../bench/helmTimes.ts';

const job = (name: string, moments: readonly (number | undefined)[]): JobTimes => {
  const [created = 0, scheduled, containerStarted, firstLine, lastLine, ended] = moments;
  return { name, created, scheduled, containerStarted, firstLine, lastLine, ended };
};

describe('where the seconds of a helm command go', () => {
  test('Jobs that exist together are one hook, of which the last one to end counts', () => {
    const times = timesOf(10_000, [
      job('db-b', [4100, 4200, 5000, 5500, 6500, 7500]),
      job('prepare', [1000, 1100, 2000, 2200, 2500, 3000]),
      job('db-a', [4000, 4300, 4900, 5400, 6000, 7000]),
    ]);
    expect(times.hooks).toEqual([
      {
        jobs: ['prepare'],
        milliseconds: { helm: 1000, scheduled: 100, containerStarted: 900, firstLine: 200, lastLine: 300, ended: 500 },
      },
      {
        jobs: ['db-a', 'db-b'],
        milliseconds: {
          helm: 1100,
          scheduled: 100,
          containerStarted: 800,
          firstLine: 500,
          lastLine: 1000,
          ended: 1000,
        },
      },
    ]);
    expect(times.rest).toBe(2500);
  });

  test.each<readonly [string, readonly JobTimes[]]>([
    ['no hook', []],
    ['moments that are not known', [job('a', [1000, undefined, 2500, undefined, undefined, 4000])]],
    ['a Job that never ended', [job('a', [1000, 1200, undefined, undefined, undefined, undefined])]],
    ['clocks that differ: before, and after the end', [job('a', [1000, 1200, 900, 800, 9000, 4000])]],
    ['a Job that ended after helm', [job('a', [1000, 1100, 1200, 1300, 1400, 99_000])]],
    ['two hooks at the same moment', [job('a', [1000, 1, 2, 3, 4, 2000]), job('b', [2000, 1, 2, 3, 4, 2500])]],
  ])('spans are never negative, and make the whole together: %s', (_, jobs) => {
    const { hooks, rest, total } = timesOf(5000, jobs);
    const spans = [...hooks.flatMap(({ milliseconds }) => Object.values(milliseconds)), rest];
    for (const span of spans) expect(span).toBeGreaterThanOrEqual(0);
    expect(spans.reduce((sum, span) => sum + span, 0)).toBe(total);
  });

  test('the table has a line for each hook, medians of the rounds, the rest and the whole', () => {
    const round = (more: number) =>
      timesOf(8000 + more, [
        job('c-prepare-0a1b2c3d', [1000, 1000, 1500, 1600, 1700, 2000]),
        job('c-create-db-d0', [3000, 3100, 4000, 4500, 5000 + more, 6000 + more]),
        job('c-create-db-d1', [3000, 3100, 4000, 4500, 4800, 5000]),
      ]);
    const lines = timesTable([{ name: 'ten', rounds: [round(0), round(400), round(2000)] }]).split('\n');
    const cells = lines.slice(2).map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
    expect(cells).toEqual([
      ['ten', 'c-prepare', '1.0 s', '0.0 s', '0.5 s', '0.1 s', '0.1 s', '0.3 s', '2.0 s'],
      ['', 'c-create-db-d0 and 1 more', '1.0 s', '0.1 s', '0.9 s', '0.5 s', '0.9 s', '1.0 s', '4.4 s'],
      ['', 'after the last one', '2.0 s', '', '', '', '', '', '2.0 s'],
      ['', 'all', '', '', '', '', '', '', '8.4 s'],
    ]);
  });
});

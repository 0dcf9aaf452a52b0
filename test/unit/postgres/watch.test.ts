import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Probe, watch } from '../../../src/postgres/watch.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Look = Probe | Error;

function start(looks: readonly Look[]) {
  const startedAt = Date.now();
  const times: number[] = [];
  const reasons: string[] = [];
  const watching = watch({
    everyMs: 30_000,
    probe: async () => {
      const look = looks[times.length] ?? 'alive';
      times.push((Date.now() - startedAt) / 1000);
      if (look instanceof Error) throw look;
      return look;
    },
    onDead: (reason) => reasons.push(reason),
  });
  return { times, reasons, watching };
}

test('a server that answers is looked at again and again, and left alone', async () => {
  const { times, reasons } = start([]);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(times).toEqual([30, 60, 90]);
  expect(reasons).toEqual([]);
});

test('one bad look is checked soon, and forgotten when the next is good', async () => {
  const { times, reasons } = start([new Error('no answer'), 'alive', 'gone', 'alive']);
  await vi.advanceTimersByTimeAsync(100_000);
  expect(times).toEqual([30, 31, 61, 62, 92]);
  expect(reasons).toEqual([]);
});

test.each<[Look, string]>([
  ['gone', 'the server does not know this session any more'],
  [new Error('no answer'), 'no answer'],
  ['answered', 'its server process waits for this program, so what one of them sent was lost on the way'],
])('two bad looks in a row are the end: %s', async (look, reason) => {
  const { times, reasons } = start(['gone', look, look, look]);
  await vi.advanceTimersByTimeAsync(200_000);
  expect(times).toEqual([30, 31]);
  expect(reasons).toEqual([reason]);
});

test('who is turned down again and again is not waited for without an end', async () => {
  const { times, reasons } = start(Array.from({ length: 100 }, () => 'turnedDown'));
  await vi.advanceTimersByTimeAsync(4_000_000);
  expect(times.length).toBe(60);
  expect(reasons).toEqual(['nobody was let in who could look, 60 times in a row']);
});

test('nothing happens after stop, not even by a look that is under way', async () => {
  const { times, reasons, watching } = start(['gone', 'gone', 'gone']);
  await vi.advanceTimersByTimeAsync(30_000);
  watching.stop();
  await vi.advanceTimersByTimeAsync(200_000);
  expect(times).toEqual([30]);
  expect(reasons).toEqual([]);
});

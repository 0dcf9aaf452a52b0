import { expect, test } from 'vitest';
import { poll } from '../../../src/concurrency/poll.ts';

function inMs(milliseconds: number): number {
  return performance.now() + milliseconds;
}

test('asks until there is an answer', async () => {
  const answers = [undefined, undefined, 'yes'];
  expect(await poll(async () => answers.shift(), { everyMs: 1, deadline: inMs(60_000) })).toBe('yes');
  expect(answers).toEqual([]);
});

test('false is an answer', async () => {
  expect(await poll(async () => false, { everyMs: 1, deadline: inMs(60_000) })).toBe(false);
});

test('asks once, even after the deadline', async () => {
  let asked = 0;
  const answer = await poll(
    async () => {
      asked += 1;
      return undefined;
    },
    { everyMs: 60_000, deadline: inMs(-1) },
  );
  expect({ answer, asked }).toEqual({ answer: undefined, asked: 1 });
});

test('waits no longer than until the deadline', async () => {
  const answer = await poll(async () => undefined, { everyMs: 3_600_000, deadline: inMs(20) });
  expect(answer).toBeUndefined();
});

test('the pause may depend on how often was asked', async () => {
  const seen: number[] = [];
  const everyMs = (asked: number) => {
    seen.push(asked);
    return 0;
  };
  const answers = [undefined, undefined, 1];
  await poll(async () => answers.shift(), { everyMs, deadline: inMs(60_000) });
  expect(seen).toEqual([1, 2]);
});

test('ends with the reason of the signal, while it waits too', async () => {
  const stop = new AbortController();
  const waiting = poll(async () => undefined, { everyMs: 3_600_000, deadline: inMs(3_600_000), signal: stop.signal });
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});

test('what the question throws ends it', async () => {
  const failing = () => Promise.reject(new Error('no'));
  await expect(poll(failing, { everyMs: 1, deadline: inMs(60_000) })).rejects.toThrow('no');
});

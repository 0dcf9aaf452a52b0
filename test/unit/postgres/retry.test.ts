import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type RetryEvent, retryTransient } from '../../../src/postgres/retry.ts';
import { Interrupted } from '../../../src/report/errors.ts';

function failing(code: string): Error {
  return Object.assign(new Error(`failed with ${code}`), { code });
}

describe('retryTransient', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function start(action: () => Promise<string>, more: { signal?: AbortSignal; seconds?: number } = {}) {
    const events: RetryEvent[] = [];
    const result = retryTransient(action, {
      deadline: performance.now() + 1000 * (more.seconds ?? 60),
      signal: more.signal,
      onRetry: (event) => events.push(event),
    }).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    return { events, result };
  }

  test('goes on after transient errors until the action succeeds', async () => {
    const action = vi.fn(async () => 'done');
    action.mockRejectedValueOnce(failing('57P03')).mockRejectedValueOnce(failing('ECONNREFUSED'));
    const { events, result } = start(action);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await result).toEqual({ value: 'done' });
    expect(events.map(({ attempt, error }) => [attempt, error.message])).toEqual([
      [1, 'failed with 57P03'],
      [2, 'failed with ECONNREFUSED'],
    ]);
  });

  test.each(['42P07', '28P01'])('does not repeat what cannot change: %s', async (code) => {
    const error = failing(code);
    const action = vi.fn(() => Promise.reject<string>(error));
    const { events, result } = start(action);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await result).toEqual({ error });
    expect(action).toHaveBeenCalledTimes(1);
    expect(events).toEqual([]);
  });

  test('gives up at the deadline with the last error', async () => {
    const error = failing('57P03');
    const startedAt = performance.now();
    const attempts: number[] = [];
    const { result } = start(
      () => {
        attempts.push(performance.now() - startedAt);
        return Promise.reject(error);
      },
      { seconds: 20 },
    );
    await vi.advanceTimersByTimeAsync(21_000);
    expect(await result).toEqual({ error });
    const pauses = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
    expect(pauses[0]).toBeGreaterThanOrEqual(250);
    expect(pauses[0]).toBeLessThanOrEqual(500);
    expect(Math.max(...pauses)).toBe(5_000);
    expect(attempts.at(-1)).toBeLessThanOrEqual(20_000);
    expect(attempts.length).toBeGreaterThan(5);
  });

  test('stops waiting when the signal says so', async () => {
    const controller = new AbortController();
    const action = vi.fn(() => Promise.reject<string>(failing('57P03')));
    const { result } = start(action, { signal: controller.signal });
    await vi.advanceTimersByTimeAsync(100);
    const reason = new Interrupted('SIGTERM');
    controller.abort(reason);
    expect(await result).toEqual({ error: reason });
    expect(action).toHaveBeenCalledTimes(1);
  });
});

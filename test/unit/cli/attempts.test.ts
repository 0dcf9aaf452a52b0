import { describe, expect, test } from 'vitest';
import { withAttempts } from '../../../src/cli/attempts.ts';
import { SomeFailed, worthAnotherAttempt } from '../../../src/commands/forEachDatabase.ts';
import { Failure, type FailureKind, Interrupted } from '../../../src/report/errors.ts';

function failure(kind: FailureKind, code?: string): Failure {
  const cause = code === undefined ? undefined : Object.assign(new Error('said the server'), { code });
  return new Failure({ kind, what: 'It failed' }, { cause });
}

describe('what is worth another attempt', () => {
  test.each([
    ['a lost connection', failure('failed', 'ECONNRESET'), true],
    ['a failover', failure('failed', '57P01'), true],
    ['a full disk', failure('failed', '53100'), true],
    ['a failure without a code', failure('failed'), true],
    ['a table that does not exist', failure('failed', '42P01'), false],
    ['a division by zero', failure('failed', '22012'), false],
    ['a duplicate key', failure('failed', '23505'), false],
    ['a spec that is wrong', failure('invalid'), false],
    ['what would destroy something', failure('refused'), false],
    ['a signal', new Interrupted('SIGTERM'), false],
    ['a defect', new Error('oops'), false],
  ])('%s', (_, error, expected) => {
    expect(worthAnotherAttempt(error)).toBe(expected);
  });

  test('several databases, if any of them is', () => {
    const some = (...errors: readonly Failure[]) =>
      new SomeFailed([], new Map(errors.map((error, index) => [String(index), error])));
    expect(worthAnotherAttempt(some(failure('failed', '42P01'), failure('failed', '57P01')))).toBe(true);
    expect(worthAnotherAttempt(some(failure('failed', '42P01'), failure('invalid')))).toBe(false);
  });
});

describe('withAttempts', () => {
  const slept: number[] = [];
  const sleepNot = async (milliseconds: number) => {
    slept.push(milliseconds);
  };

  function run(most: number, outcomes: readonly (Error | number)[], controller?: AbortController) {
    const { signal } = controller ?? new AbortController();
    slept.length = 0;
    const told: string[] = [];
    let at = 0;
    const ended = withAttempts(
      {
        most,
        signal,
        // Where it is to be stopped, the pause is a real one.
        ...(controller === undefined ? { sleep: sleepNot } : {}),
        worthAnother: worthAnotherAttempt,
        onFailed: (_, attempt, pause) => told.push(`${attempt}: ${pause} s`),
      },
      async () => {
        const outcome = outcomes[at++] ?? 0;
        if (outcome instanceof Error) throw outcome;
        return outcome;
      },
    );
    ended.catch(() => {});
    return { ended, told, slept };
  }

  test('goes on until it succeeds, with longer and longer pauses', async () => {
    const { ended, told, slept } = run(4, [failure('failed'), failure('failed'), failure('failed'), 7]);
    expect(await ended).toBe(7);
    expect(told).toEqual(['1: 10 s', '2: 20 s', '3: 40 s']);
    expect(slept).toEqual([10_000, 20_000, 40_000]);
  });

  test('gives up after as many as were asked for, with the last error', async () => {
    const last = failure('failed');
    const { ended, told } = run(2, [failure('failed'), last]);
    await expect(ended).rejects.toBe(last);
    expect(told).toEqual(['1: 10 s']);
  });

  test('ends at once where the same would fail again', async () => {
    const wrong = failure('failed', '42P01');
    const { ended, told } = run(4, [wrong, 0]);
    await expect(ended).rejects.toBe(wrong);
    expect(told).toEqual([]);
  });

  test('ends its pause when it is stopped', async () => {
    const controller = new AbortController();
    const { ended } = run(4, [failure('failed'), 0], controller);
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Interrupted('SIGTERM'));
    await expect(ended).rejects.toBeInstanceOf(Interrupted);
  });
});

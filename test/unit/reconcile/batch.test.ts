import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { Semaphore } from '../../../src/concurrency/semaphore.ts';
import { type Change, type Item, note } from '../../../src/objects/change.ts';
import { wording } from '../../../src/objects/wording.ts';
import type { Session } from '../../../src/postgres/connection.ts';
import { executeItems } from '../../../src/reconcile/executeItems.ts';
import { type Run, withOneLockCheck } from '../../../src/reconcile/run.ts';
import { COORDINATOR, W1 } from './situations.ts';

function change(name: string, more: Partial<Change> = {}): Change {
  return {
    kind: 'change',
    node: W1,
    scope: 'server',
    ...wording('make', name),
    statements: [{ text: `MAKE ${name}` }],
    starting: `Making ${name}...`,
    failure: `Failed to make ${name}`,
    doneOnRetry: [],
    batch: 'things',
    secret: false,
    ...more,
  };
}

/** A server that refuses whatever names the culprit, all or nothing. */
async function execute(items: readonly Item[], culprit?: string, code = '42501') {
  const sent: string[] = [];
  const log: string[] = [];
  let checks = 0;
  let deadlines = 0;
  const script = async (text: string) => {
    sent.push(text);
    if (culprit === undefined || !text.includes(culprit)) return [];
    throw Object.assign(new pg.DatabaseError(`cannot make ${culprit}`, 0, 'error'), { code });
  };
  const run: Run = {
    database: 'skymap',
    coordinator: 'c',
    sessions: undefined as never,
    signal: new AbortController().signal,
    assertLock: async () => {
      checks += 1;
    },
    label: (node) => `w${node.group}`,
    deadline: () => {
      deadlines += 1;
      return performance.now() + 300;
    },
    session: async () => ({ script }) as unknown as Session,
    lockLimits: (lockDeadline) => ({ lockDeadline }),
    interruptible: (action) => action(),
    loginAs: () => Promise.reject(new Error('not used')),
    proofs: new Semaphore(1),
    withoutSuperuser: false,
  };
  const lines = { line: (text: string) => log.push(text), warn: (text: string) => log.push(text) };
  const done: string[] = [];
  const outcome = await executeItems(items, {
    run: withOneLockCheck(run),
    log: lines,
    depth: 0,
    execute: async () => 0,
    onDone: (summaries) => done.push(...summaries()),
  }).catch((error: unknown) => error);
  return { sent, log, done, checks, deadlines, outcome };
}

describe('changes of one batch', () => {
  test('go in one message, and the log is that of one by one', async () => {
    const items = [change('a'), change('b'), change('c')];
    const { sent, log, done, outcome } = await execute(items);
    expect(sent).toEqual(['MAKE a;\nMAKE b;\nMAKE c']);
    expect(log).toEqual(['Making a...', 'Making b...', 'Making c...']);
    expect(outcome).toBe(3);
    expect(done).toEqual(['make a', 'make b', 'make c']);
    const alone = await execute(items.map(({ batch: _, ...rest }) => rest));
    expect(alone.sent).toEqual(['MAKE a', 'MAKE b', 'MAKE c']);
    expect(alone.log).toEqual(log);
  });

  test('are tried one by one when the whole fails, so that the culprit is named and what comes before it is kept', async () => {
    const { sent, log, done, outcome } = await execute([change('a'), change('b'), change('c')], 'b');
    expect(done).toEqual(['make a']);
    expect(sent).toEqual(['MAKE a;\nMAKE b;\nMAKE c', 'MAKE a', 'MAKE b']);
    expect(log).toEqual(['Making a...', 'Making b...']);
    expect(outcome).toMatchObject({ message: expect.stringContaining('Failed to make b (node w1') });
  });

  test.each([
    ['a note between them', [change('a'), note('something'), change('b')]],
    ['another node', [change('a'), change('b', { node: COORDINATOR })]],
    ['another batch', [change('a'), change('b', { batch: 'others' })]],
    ['another scope', [change('a', { scope: 'database' }), change('b')]],
  ])('%s parts them', async (_, items) => {
    expect((await execute(items)).sent).toHaveLength(2);
  });
});

test('the lock is looked at once in a step, however many changes there are', async () => {
  const items = ['a', 'b', 'c'].map((name) => change(name, { batch: name }));
  expect((await execute(items)).checks).toBe(1);
  expect((await execute([])).checks).toBe(0);
});

test('what does not pass for all together is not waited for again with each: one deadline, and the culprit is named', async () => {
  const { batch: _, ...alone } = change('a; b');
  const whole: Change = { ...alone, oneByOne: [change('a'), change('b')] };
  const { sent, deadlines, outcome } = await execute([whole], 'b', '08006');
  expect(deadlines).toBe(1);
  expect(sent.at(0)).toBe('MAKE a; b');
  expect(sent.slice(sent.indexOf('MAKE a'))).toEqual(['MAKE a', 'MAKE b']);
  expect(outcome).toMatchObject({ message: expect.stringContaining('Failed to make b (node w1') });
});

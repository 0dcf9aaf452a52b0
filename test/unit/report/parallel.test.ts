import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { forAll } from '../../../src/concurrency/parallel.ts';
import { Failure, Interrupted } from '../../../src/report/errors.ts';

test('results come in the order of the items, whatever ends first', async () => {
  const ended: number[] = [];
  const results = await forAll([3, 2, 1], async (item, index) => {
    for (let wait = 0; wait < item; wait += 1) await turn();
    ended.push(item);
    return `${index}:${item}`;
  });
  expect(results).toEqual(['0:3', '1:2', '2:1']);
  expect(ended).toEqual([1, 2, 3]);
});

test('no more at a time than the limit', async () => {
  let now = 0;
  let most = 0;
  await forAll(
    [1, 2, 3, 4, 5],
    async () => {
      now += 1;
      most = Math.max(most, now);
      await turn();
      now -= 1;
    },
    2,
  );
  expect(most).toBe(2);
});

test('nothing to do', async () => {
  expect(await forAll([], () => Promise.reject(new Error('unexpected')))).toEqual([]);
});

test('the others end before one failure is thrown, as it is', async () => {
  const failure = new Failure({ kind: 'refused', what: 'No' });
  let ended = false;
  const all = forAll([0, 1], async (item) => {
    if (item === 0) throw failure;
    await turn();
    ended = true;
  });
  await expect(all).rejects.toBe(failure);
  expect(ended).toBe(true);
});

test('several failures are told together, in the order of the items, and the worst counts', async () => {
  const failures = [
    new Failure({ kind: 'refused', what: 'First', node: 'w1', cause: 'this\nthat', next: 'Do' }),
    new Failure({ kind: 'failed', what: 'Second', node: 'w2' }),
  ];
  const error: unknown = await forAll([0, 1], async (index) => {
    if (index === 0) await turn();
    throw failures[index];
  }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  expect(error).toMatchObject({ details: { kind: 'failed' } });
  expect(error instanceof Error ? error.message : '').toMatchInlineSnapshot(`
    "2 things failed at the same time
      Cause:
        First (node w1)
          Cause: this
            that
          Next: Do
        Second (node w2)
      Next: Remove the causes and run again: what is done stays done"
  `);
});

test.each([
  ['a signal', new Interrupted('SIGTERM')],
  ['a defect', new TypeError('x is undefined')],
])('%s goes before a failure', async (_, error) => {
  const thrown = forAll([new Failure({ kind: 'failed', what: 'No' }), error], (item) => Promise.reject(item));
  await expect(thrown).rejects.toBe(error);
});

import { expect, test } from 'vitest';
import { Semaphore } from '../../../src/concurrency/semaphore.ts';

/** Work that ends when it is told to. */
function work() {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const body = (name: string) => () =>
    new Promise<string>((resolve, reject) => {
      begun.push(name);
      ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
    });
  return { begun, body, end: (name: string, error?: Error) => ends.get(name)?.(error) };
}

test('as many as there are places are let in, the others in the order in which they came', async () => {
  const { begun, body, end } = work();
  const turns = new Semaphore(2);
  const results = ['a', 'b', 'c', 'd'].map((name) => turns.take(body(name)));
  expect(begun).toEqual(['a', 'b']);
  end('b');
  await results[1];
  expect(begun).toEqual(['a', 'b', 'c']);
  // Nobody who comes later gets a place that is handed on.
  const late = turns.take(body('e'));
  end('a');
  await results[0];
  expect(begun).toEqual(['a', 'b', 'c', 'd']);
  for (const name of ['c', 'd']) end(name);
  await Promise.all(results);
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'e']);
  end('e');
  await expect(late).resolves.toBe('e');
});

test('a place is free again after a failure', async () => {
  const { begun, body, end } = work();
  const turns = new Semaphore(1);
  const first = turns.take(body('a'));
  const second = turns.take(body('b'));
  end('a', new Error('no'));
  await expect(first).rejects.toThrow('no');
  expect(begun).toEqual(['a', 'b']);
  end('b');
  await second;
  const third = turns.take(body('c'));
  expect(begun).toEqual(['a', 'b', 'c']);
  end('c');
  await third;
});

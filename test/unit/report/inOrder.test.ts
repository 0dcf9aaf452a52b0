import { expect, test } from 'vitest';
import { inOrder } from '../../../src/report/inOrder.ts';

test('each is told of as soon as all before it have come, whatever the order they come in', () => {
  const told: string[] = [];
  const tell = inOrder((text: string) => told.push(text));
  const afterEach = [
    [2, 'c'],
    [0, 'a'],
    [1, undefined],
    [3, 'd'],
  ] as const;
  expect(
    afterEach.map(([index, text]) => {
      tell(index, text);
      return told.join('');
    }),
  ).toEqual(['', 'a', 'ac', 'acd']);
});

import { expect, test } from 'vitest';
import { progressIsDue } from '../../../src/reconcile/rebalance.ts';

const shown = { text: '1 of 4 tasks done', at: 100_000 };

test.each([
  ['something new, soon after', '2 of 4 tasks done', false, 5_000, false],
  ['something new, a while after', '2 of 4 tasks done', false, 10_000, true],
  ['the end, at once', '4 of 4 tasks done', true, 1_000, true],
  ['nothing new', '1 of 4 tasks done', false, 29_000, false],
  ['nothing new for half a minute: a move may wait for a lock', '1 of 4 tasks done', false, 30_000, true],
  ['the end that is shown already', '1 of 4 tasks done', true, 60_000, false],
] as const)('%s', (_, text, ended, after, due) => {
  expect(progressIsDue({ text, ended }, shown, shown.at + after)).toBe(due);
});

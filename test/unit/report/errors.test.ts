import { expect, test } from 'vitest';
import { exitCode, Failure, formatFailure, Interrupted, worstKind } from '../../../src/report/errors.ts';

test.each([
  ['alone', { kind: 'failed', what: 'It failed' }, 'It failed'],
  ['with a node', { kind: 'failed', what: 'It failed', node: 'w1' }, 'It failed (node w1)'],
  [
    'with everything',
    { kind: 'refused', what: 'It failed', node: 'w1', database: 'my-db', cause: 'too bad', next: 'Try again' },
    'It failed (node w1, database my-db)\n  Cause: too bad\n  Next: Try again',
  ],
  [
    'with a cause of several lines',
    { kind: 'failed', what: 'It failed', cause: 'message (SQLSTATE 42P01)\nDETAIL: more\n', next: 'One\nTwo' },
    'It failed\n  Cause: message (SQLSTATE 42P01)\n    DETAIL: more\n  Next: One\n    Two',
  ],
] as const)('a failure %s', (_, details, expected) => {
  expect(formatFailure(details)).toBe(expected);
  expect(new Failure(details).message).toBe(expected);
});

test.each([
  [new Failure({ kind: 'failed', what: '' }), 1],
  [new Failure({ kind: 'invalid', what: '' }), 2],
  [new Failure({ kind: 'refused', what: '' }), 3],
  [new Interrupted('SIGINT'), 130],
  [new Interrupted('SIGTERM'), 143],
  [new Error('a defect'), 1],
  ['thrown text', 1],
] as const)('exit code of %s', (error, code) => {
  expect(exitCode(error)).toBe(code);
});

test.each([
  [['invalid'], 'invalid'],
  [['refused', 'invalid'], 'refused'],
  [['invalid', 'failed', 'refused'], 'failed'],
  [['refused'], 'refused'],
] as const)('%j together are worth %s', (kinds, expected) => {
  expect(worstKind(kinds.map((kind) => new Failure({ kind, what: '' })))).toBe(expected);
});

test('a defect is worth another run', () => {
  expect(worstKind([new Failure({ kind: 'refused', what: '' }), new Error('a defect')])).toBe('failed');
});

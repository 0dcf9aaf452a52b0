import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editDistance, nearest } from '../../../src/spec/suggest.ts';

const known = ['name', 'owner', 'maxAttempts', 'backoffLimit', 'extensions', 'initSQL', 'initSQLPolicy'];

describe('nearest', () => {
  test.each([
    ['ownr', 'owner'],
    ['onwer', 'owner'],
    ['Name', 'name'],
    ['maxAttempt', 'maxAttempts'],
    ['backoff_limit', 'backoffLimit'],
    ['backoff-limit', 'backoffLimit'],
    ['extension', 'extensions'],
    ['initSql', 'initSQL'],
    ['init_sql_policy', 'initSQLPolicy'],
    ['nme', 'name'],
  ])('%s is %s', (name, expected) => {
    expect(nearest(name, known)).toBe(expected);
  });

  test.each(['foo', 'users', 'x', '', 'password', 'x'.repeat(1_000_000)])('%.20s is none of them', (name) => {
    expect(nearest(name, known)).toBeUndefined();
  });

  test('prefers the nearer one', () => {
    expect(nearest('initSQLPolic', known)).toBe('initSQLPolicy');
    expect(nearest('ab', ['ac', 'ab'])).toBe('ab');
  });
});

describe('editDistance', () => {
  test.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['abc', '', 3],
    ['abc', 'abd', 1],
    ['abc', 'acb', 1],
    ['abc', 'ab', 1],
    ['kitten', 'sitting', 3],
  ])('%s to %s is %i', (left, right, distance) => {
    expect(editDistance(left, right)).toBe(distance);
  });

  test('is symmetric, zero only for equals, and never more than the longer text', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (left, right) => {
        const distance = editDistance(left, right);
        expect(distance).toBe(editDistance(right, left));
        expect(distance === 0).toBe(left === right);
        expect(distance).toBeLessThanOrEqual(Math.max(left.length, right.length));
      }),
    );
  });
});

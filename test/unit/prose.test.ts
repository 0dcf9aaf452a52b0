/**
 * Phrases that a native reader stumbles over. The list is short on purpose: each stood in these pages once. Spelling is
 * the authors' business.
 */
import { describe, expect, test } from 'vitest';
import { documents } from '../support/documents.ts';

const STUMBLES: readonly (readonly [phrase: RegExp, instead: string])[] = [
  [
    /\bmakes? (?:the |its |declared |[a-z]+ and )*(?:databases?|users?|difference) so\b/,
    'say what is created or changed',
  ],
  [/\b(?:is|are) no use\b/, 'say what to do instead'],
  [/\bwith a past\b/, 'that exist already'],
  [/\bhas to bear\b/, 'must allow'],
  [/` is yours\b/, 'do it yourself'],
  [/\bmake (?:it|them) so\b/, 'say what is created or changed'],
];

describe.each(documents())('$path', ({ text }) => {
  test('reads well', () => {
    const prose = text.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/\s+/g, ' ');
    const found = STUMBLES.flatMap(([phrase, instead]) => {
      const match = phrase.exec(prose);
      return match === null ? [] : [`"${match[0]}": ${instead}`];
    });
    expect(found).toEqual([]);
  });
});

test('the list finds what it is for', () => {
  expect(STUMBLES.some(([phrase]) => phrase.test('makes declared databases so'))).toBe(true);
  expect(STUMBLES.some(([phrase]) => phrase.test('running again is no use'))).toBe(true);
});

import { expect, test } from 'vitest';
import { listItems } from '../../../src/patroni/lists.ts';
import { parseCluster } from '../../../src/patroni/replies.ts';
import { bodyText } from '../../../src/patroni/rest.ts';
import { parseNumber } from '../../../src/patroni/units.ts';

/** What a server answers may be made to take long: a pattern that goes back and forth over it takes hours of a processor. */

const LENGTH = 400_000;

const CASES: readonly (readonly [name: string, read: () => unknown])[] = [
  ['a body of <', () => bodyText({ status: 403, body: '<'.repeat(LENGTH) })],
  ['a body of beginnings', () => bodyText({ status: 403, body: '<p>Message: '.repeat(LENGTH / 12) })],
  ['a body of blanks', () => bodyText({ status: 403, body: `x${' '.repeat(LENGTH)}x` })],
  ['a number, blanks and a letter', () => parseNumber(`1${' '.repeat(LENGTH)}x`, 'kB', 'integer')],
  ['a number and blanks between letters', () => parseNumber(`1x${' '.repeat(LENGTH)}x`, 'kB', 'integer')],
  ['digits and a newline', () => parseNumber(`${'1'.repeat(LENGTH)}\n!`, 'kB', 'integer')],
  ['quotes', () => listItems(`"${'""'.repeat(LENGTH / 2)}x`)],
  ['quotes and commas', () => listItems('",'.repeat(LENGTH / 2))],
];

test.each(CASES)('%s is read at once', (_, read) => {
  const before = process.cpuUsage();
  read();
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(500);
});

test('what they say is what they said before', () => {
  expect(bodyText({ status: 503, body: '<html><p>Message: restart conditions are not satisfied</p></html>' })).toBe(
    'restart conditions are not satisfied',
  );
  expect(bodyText({ status: 502, body: '<h1>Bad\n Gateway</h1>' })).toBe('Bad Gateway');
  expect(bodyText({ status: 400, body: { detail: 'no' } })).toBe('{"detail":"no"}');
  expect(listItems(' a, "b "" c" ,d,,"e,f"')).toEqual(['a', 'b " c', 'd', 'e,f']);
  expect(parseNumber(' 1.5 MB ', 'kB', 'integer')).toEqual({ ok: true, value: 1536 });
});

test('a list of more members than a group has is none of Patroni', () => {
  const members = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ name: `m${index}`, role: 'replica', state: 'running' }));
  expect(parseCluster({ members: members(100) }).members).toHaveLength(100);
  expect(() => parseCluster({ members: members(101) })).toThrow();
});

import { expect, test } from 'vitest';
import { loadGrammar } from '../../../src/initSql/grammar.ts';
import { pathSetBy } from '../../../src/initSql/searchPath.ts';

const grammar = await loadGrammar();

test.each([
  ['SET LOCAL search_path = public', ['public']],
  ['SET search_path TO "My Schema", b', ['My Schema', 'b']],
  ["SET SCHEMA 'a'", ['a']],
  ["SET search_path = ''", ['']],
  ["SELECT set_config('search_path', 'a, \"B\"', true)", ['a', 'B']],
  ["SELECT pg_catalog.set_config('SEARCH_PATH', 'a', true), count(*) FROM t", ['a']],
  ["INSERT INTO t SELECT set_config('search_path', 'a', true)", ['a']],
])('%s', (sql, expected) => {
  expect(pathSetBy(sql, grammar)).toEqual(expected);
});

test.each(['SELECT 1', "SET LOCAL timezone = 'UTC'", 'RESET timezone', "SELECT set_config('a.b', f(), true)"])(
  'none: %s',
  (sql) => {
    expect(pathSetBy(sql, grammar)).toEqual([]);
  },
);

test.each([
  'RESET search_path',
  'RESET ALL',
  'SET LOCAL search_path TO DEFAULT',
  'SET LOCAL search_path = "$user", public',
  "SELECT set_config('search_path', 'a, $user', true)",
  "SELECT set_config('search_path', f(), true)",
  "SELECT set_config(name, 'a', true) FROM settings",
  'no SQL',
])('unknown: %s', (sql) => {
  expect(pathSetBy(sql, grammar)).toBe('unknown');
});

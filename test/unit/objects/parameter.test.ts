import { describe, expect, test } from 'vitest';
import {
  diffParameters,
  isSameValue,
  parameterProblems,
  parameterValueSql,
  parameterWarnings,
  splitList,
} from '../../../src/objects/parameter.ts';
import { shown, W1, wanted } from '../reconcile/situations.ts';

const of = (parameters: string) => wanted(`{ name: skymap, parameters: { ${parameters} } }`);

describe('difference', () => {
  test.each([
    ['none declared', '', { timezone: 'UTC' }, []],
    ['set', 'timezone: UTC', { TimeZone: 'UTC' }, []],
    [
      'not set',
      'timezone: UTC',
      {},
      [
        {
          on: 'w1',
          summary: `set parameter timezone of database "skymap" to 'UTC'`,
          sql: [`ALTER DATABASE "skymap" SET "timezone" TO 'UTC'`],
        },
      ],
    ],
    [
      'another value, with a quote and a dotted name',
      `app.greeting: "it's"`,
      { 'app.greeting': 'hello' },
      [
        {
          on: 'w1',
          summary: `set parameter app.greeting of database "skymap" to 'it''s'`,
          sql: [`ALTER DATABASE "skymap" SET "app"."greeting" TO 'it''s'`],
        },
      ],
    ],
    [
      'a list becomes several literals',
      `search_path: 'Analytics, "My Schema", public'`,
      { search_path: 'public' },
      [
        {
          on: 'w1',
          summary: `set parameter search_path of database "skymap" to 'Analytics, "My Schema", public'`,
          sql: [`ALTER DATABASE "skymap" SET "search_path" TO 'analytics', 'My Schema', 'public'`],
        },
      ],
    ],
    ['the same list, written otherwise', 'search_path: "Analytics,PUBLIC"', { search_path: 'analytics, "public"' }, []],
    ['an empty list', `search_path: ""`, { search_path: '""' }, []],
    ["pg_partman's background worker: never set", 'pg_partman_bgw.dbname: skymap, PG_PARTMAN_BGW.role: x', {}, []],
  ] as const)('%s', (_, parameters, observed, expected) => {
    expect(diffParameters(of(parameters), observed, W1).map(shown)).toEqual(expected);
  });

  test('a long value is set in full and shown in part', () => {
    const value = 'x'.repeat(61);
    const [change] = diffParameters(of(`application_name: ${value}`), {}, W1);
    expect(change?.summary).toContain(`'${'x'.repeat(57)}...'`);
    expect(change?.statements[0]?.text).toContain(`'${value}'`);
  });
});

describe('lists', () => {
  test.each([
    ['', []],
    ['a', ['a']],
    ['a,b , c', ['a', 'b', 'c']],
    [' "A b" , B', ['A b', 'b']],
    ['"a""b","c,d"', ['a"b', 'c,d']],
    ['ÜX', ['Üx']],
    ['"$user", public', ['$user', 'public']],
    ['a,,b,', ['a', 'b']],
    ['""', []],
  ] as const)('%s', (text, items) => {
    expect(splitList(text, 'identifiers')).toEqual(items);
  });

  test('names of files keep their case', () => {
    expect(splitList('$libdir/MyLib, "Other Lib"', 'files')).toEqual(['$libdir/MyLib', 'Other Lib']);
    expect(parameterValueSql('session_preload_libraries', 'MyLib,auto_explain')).toBe("'MyLib', 'auto_explain'");
  });

  test.each([
    ['search_path', 'select, "a"', '"select",a', true],
    ['Search_Path', 'a, b', 'b, a', false],
    ['search_path', 'a, b', 'a', false],
    ['search_path', '"a, b"', 'a, b', false],
    ['temp_tablespaces', '"Fast"', 'fast', false],
    ['datestyle', 'ISO, MDY', 'ISO,MDY', false],
    ['work_mem', '64MB', '64MB', true],
    ['work_mem', '64MB', '65536kB', false],
  ] as const)('%s: stored %s, wanted %s: the same is %s', (name, stored, value, expected) => {
    expect(isSameValue(name, stored, value)).toBe(expected);
  });

  test.each([
    ['search_path', '', "''"],
    ['search_path', '"a\'b", c\\d', " 'a''b',  E'c\\\\d'"],
    ['datestyle', 'ISO, MDY', "'ISO, MDY'"],
    ['output_plugin_libraries', 'pgoutput, citus', "'pgoutput', 'citus'"],
    ['output_plugin_libraries', '', "''"],
  ] as const)('%s TO %s', (name, value, sql) => {
    expect(parameterValueSql(name, value).trim()).toBe(sql.trim());
  });
});

describe('what a database cannot hold', () => {
  test.each([
    ['user', undefined],
    ['superuser', undefined],
    ['internal', "Parameter 'x' cannot belong to a database: PostgreSQL fixes it itself"],
    ['postmaster', "Parameter 'x' cannot belong to a database: it is set when the server starts"],
    ['sighup', "Parameter 'x' cannot belong to a database: it is read from the server's configuration only"],
    ['backend', "Parameter 'x' cannot belong to a database: it can only be set when a connection is opened"],
    ['superuser-backend', "Parameter 'x' cannot belong to a database: it can only be set when a connection is opened"],
  ])('context %s', (context, expected) => {
    const problems = parameterProblems(of('x: "1"'), [{ name: 'X', context }]);
    expect(problems.map(({ what }) => what)).toEqual(expected === undefined ? [] : [expected]);
    for (const problem of problems) expect(problem.kind).toBe('invalid');
  });

  test('unknown names, all of them, save for those with a dot', () => {
    const problems = parameterProblems(of('foo: "1", bar: "2", citus.unknown: "3", pg_partman_bgw.x: "4"'), []);
    expect(problems.map(({ what }) => what)).toEqual([
      "Parameter 'foo' is unknown to this PostgreSQL",
      "Parameter 'bar' is unknown to this PostgreSQL",
    ]);
  });
});

test.each([
  ['statement_timeout: "30s"', ["Parameter 'statement_timeout' of a database also ends Citus' own long statements"]],
  ['Statement_Timeout: "10"', ["Parameter 'statement_timeout' of a database also ends Citus' own long statements"]],
  ['statement_timeout: "0"', []],
  ['statement_timeout: 0ms', []],
  ['pg_partman_bgw.dbname: skymap', ["Parameter 'pg_partman_bgw.dbname' was not set"]],
  ['timezone: UTC', []],
] as const)('warnings for %s', (parameters, beginnings) => {
  const warnings = parameterWarnings(of(parameters));
  expect(warnings.map((text, index) => text.slice(0, beginnings[index]?.length))).toEqual(beginnings);
});

import { describe, expect, test } from 'vitest';
import { databaseProblems, diffDatabase } from '../../../src/objects/database.ts';
import { observedDatabase, sqlOf, W1, wanted } from '../reconcile/situations.ts';

describe('difference', () => {
  test.each([
    [
      'absent',
      '{ name: skymap, owner: app }',
      null,
      null,
      ['create database "skymap" owned by "app"'],
      ['CREATE DATABASE "skymap" WITH OWNER "app"'],
    ],
    [
      'absent, with everything declared',
      "{ name: 'a\"b', encoding: UTF8, locale: C, template: mine, connectionLimit: 7 }",
      null,
      null,
      ['create database "a""b" owned by "postgres"'],
      [
        `CREATE DATABASE "a""b" WITH OWNER "postgres" TEMPLATE "mine" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' CONNECTION LIMIT 7`,
      ],
    ],
    [
      'absent, an encoding alone: only template0 may be copied with another one',
      '{ name: skymap, encoding: LATIN1 }',
      null,
      null,
      ['create database "skymap" owned by "postgres"'],
      [`CREATE DATABASE "skymap" WITH OWNER "postgres" TEMPLATE "template0" ENCODING 'LATIN1'`],
    ],
    [
      'absent on a worker, present on the coordinator',
      '{ name: skymap }',
      null,
      observedDatabase({ collate: 'C', ctype: 'C.UTF-8' }),
      ['create database "skymap" owned by "postgres"'],
      [
        `CREATE DATABASE "skymap" WITH OWNER "postgres" TEMPLATE "template0" ENCODING 'UTF8' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'`,
      ],
    ],
    [
      'absent on a worker whose template is like the database of the coordinator: nothing has to be said',
      '{ name: skymap }',
      null,
      observedDatabase({ collate: 'en_US.UTF-8' }),
      ['create database "skymap" owned by "postgres"'],
      ['CREATE DATABASE "skymap" WITH OWNER "postgres"'],
    ],
    [
      'absent on a worker: what is declared outweighs what the coordinator has',
      '{ name: skymap, locale: de_DE.utf8 }',
      null,
      observedDatabase({ encoding: 'LATIN1' }),
      ['create database "skymap" owned by "postgres"'],
      [
        `CREATE DATABASE "skymap" WITH OWNER "postgres" TEMPLATE "template0" ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'de_DE.utf8' LC_CTYPE 'de_DE.utf8'`,
      ],
    ],
    [
      'absent on a worker, ICU with rules on the coordinator',
      '{ name: skymap }',
      null,
      observedDatabase({ provider: 'icu', providerLocale: 'en-US', icuRules: '&a < g' }),
      ['create database "skymap" owned by "postgres"'],
      [
        `CREATE DATABASE "skymap" WITH OWNER "postgres" TEMPLATE "template0" ENCODING 'UTF8' LOCALE_PROVIDER icu LC_COLLATE 'en_US.utf8' LC_CTYPE 'en_US.utf8' ICU_LOCALE 'en-US' ICU_RULES '&a < g'`,
      ],
    ],
    [
      'absent on a worker, the builtin provider on the coordinator',
      '{ name: skymap }',
      null,
      observedDatabase({ provider: 'builtin', providerLocale: 'C.UTF-8' }),
      ['create database "skymap" owned by "postgres"'],
      [
        `CREATE DATABASE "skymap" WITH OWNER "postgres" TEMPLATE "template0" ENCODING 'UTF8' LOCALE_PROVIDER builtin LC_COLLATE 'en_US.utf8' LC_CTYPE 'en_US.utf8' BUILTIN_LOCALE 'C.UTF-8'`,
      ],
    ],
    [
      'absent, a provider that is declared',
      '{ name: skymap, localeProvider: icu, icuLocale: de-DE, icuRules: "&b < a" }',
      null,
      null,
      ['create database "skymap" owned by "postgres"'],
      [
        `CREATE DATABASE "skymap" WITH OWNER "postgres" TEMPLATE "template0" LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' ICU_RULES '&b < a'`,
      ],
    ],
    ['as declared', '{ name: skymap, connectionLimit: -1 }', observedDatabase(), null, [], []],
    [
      'a connection limit that is not declared stays',
      '{ name: skymap }',
      observedDatabase({ connectionLimit: 5 }),
      null,
      [],
      [],
    ],
    [
      'another owner, another limit',
      '{ name: my-db, owner: app, connectionLimit: 0 }',
      observedDatabase({ connectionLimit: 5 }),
      null,
      [
        'change the owner of database "my-db" from "postgres" to "app"',
        'set the connection limit of database "my-db" to 0',
      ],
      ['ALTER DATABASE "my-db" OWNER TO "app"', 'ALTER DATABASE "my-db" WITH CONNECTION LIMIT 0'],
    ],
  ] as const)('%s', (_, declared, observed, like, summaries, sql) => {
    const changes = diffDatabase(wanted(declared), observed, { template: observedDatabase(), like }, W1, 'w1');
    expect(changes.map((change) => change.summary)).toEqual(summaries);
    expect(changes.flatMap(sqlOf)).toEqual(sql);
    for (const change of changes) expect(change).toMatchObject({ node: W1, scope: 'server', secret: false });
  });

  test('a database that is there on the second attempt was made by the first', () => {
    const [change] = diffDatabase(wanted('{ name: skymap }'), null, { template: null, like: null }, W1, 'w1');
    expect(change?.doneOnRetry).toEqual(['42P04']);
  });
});

describe('what cannot be changed', () => {
  test.each([
    ['absent', '{ name: skymap, encoding: LATIN1, locale: C }', null, []],
    ['not declared', '{ name: skymap }', observedDatabase({ encoding: 'LATIN1', collate: 'C' }), []],
    [
      'another provider, another locale of it',
      '{ name: skymap, localeProvider: icu, icuLocale: de_DE }',
      observedDatabase({ provider: 'builtin', providerLocale: 'C.UTF-8' }),
      [
        "Database 'skymap' exists with locale provider builtin, not icu",
        "Database 'skymap' exists with ICU locale none, not de_DE",
      ],
    ],
    [
      'other spellings of an ICU locale',
      '{ name: skymap, localeProvider: icu, icuLocale: de_DE }',
      observedDatabase({ provider: 'icu', providerLocale: 'de-DE' }),
      [],
    ],
    ['other spellings', '{ name: skymap, encoding: utf-8, locale: en_US.UTF-8 }', observedDatabase(), []],
    ['Unicode', '{ name: skymap, encoding: Unicode }', observedDatabase(), []],
    [
      'another encoding and locale',
      '{ name: skymap, encoding: LATIN1, locale: C }',
      observedDatabase(),
      [
        "Database 'skymap' exists with encoding UTF8, not LATIN1",
        "Database 'skymap' exists with locale en_US.utf8, not C",
      ],
    ],
    [
      'another ctype alone',
      '{ name: skymap, locale: C }',
      observedDatabase({ collate: 'C' }),
      ["Database 'skymap' exists with locale C and en_US.utf8, not C"],
    ],
    [
      'another language',
      '{ name: skymap, locale: en_GB.utf8 }',
      observedDatabase(),
      ["Database 'skymap' exists with locale en_US.utf8, not en_GB.utf8"],
    ],
    [
      'closed',
      '{ name: skymap }',
      observedDatabase({ allowConnections: false }),
      ["Database 'skymap' does not allow connections (datallowconn is false)"],
    ],
  ] as const)('%s', (_, declared, observed, expected) => {
    const problems = databaseProblems(wanted(declared), observed, 'w1');
    expect(problems.map((problem) => problem.what)).toEqual(expected);
    for (const problem of problems) expect(problem).toMatchObject({ kind: 'refused', node: 'w1' });
  });
});

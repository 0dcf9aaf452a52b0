import { describe, expect, test } from 'vitest';
import { HIDE_AUTHINFO } from '../../../src/objects/authinfo.ts';
import { citusProblems, diffCitus } from '../../../src/objects/citusExtension.ts';
import {
  diffExtensions,
  type ExtensionContext,
  type ObservedExtension,
  versionsLikeCoordinator,
} from '../../../src/objects/extension.ts';
import { availabilityProblems, extensionProblems } from '../../../src/objects/extensionProblems.ts';
import { ONLY_AUTHORS_RIGHTS } from '../../../src/objects/extensionRights.ts';
import type { ExtensionSpec } from '../../../src/spec/types.ts';
import { COORDINATOR, shown, W1, wanted } from '../reconcile/situations.ts';

function has(name: string, version = '1.0', schema = 'public'): ObservedExtension {
  return { name, version, schema };
}

function extensions(list: string): readonly ExtensionSpec[] {
  return wanted(`{ name: skymap, extensions: [${list}] }`).extensions;
}

const coordinator: ExtensionContext = {
  node: COORDINATOR,
  label: 'c',
  coordinator: true,
  registered: false,
  onCoordinator: [],
  citusVersion: '13.2-1',
  columnarVersion: '13.2-1',
};
const worker: ExtensionContext = { ...coordinator, node: W1, label: 'w1', coordinator: false };
const registered: ExtensionContext = { ...worker, registered: true };
const RIGHTS = ONLY_AUTHORS_RIGHTS.map((text) => text.replaceAll(/\s+/g, ' '));
const LOCALLY = 'SET LOCAL citus.enable_ddl_propagation = off';

describe('declared extensions', () => {
  test.each([
    [
      'missing on the coordinator',
      'postgis',
      [],
      coordinator,
      [
        {
          on: 'c',
          summary: 'create extension postgis',
          sql: ['SET LOCAL search_path = public', 'CREATE EXTENSION "postgis" WITH CASCADE', ...RIGHTS],
        },
      ],
    ],
    [
      'missing, with schema and version',
      '{ name: pg_partman, schema: part"man, version: 4.7.2 }',
      [],
      worker,
      [
        {
          on: 'w1',
          summary: 'create extension pg_partman 4.7.2',
          sql: [
            'SET LOCAL search_path = public',
            'CREATE SCHEMA IF NOT EXISTS "part""man"',
            `CREATE EXTENSION "pg_partman" WITH SCHEMA "part""man" VERSION '4.7.2' CASCADE`,
            ...RIGHTS,
          ],
        },
      ],
    ],
    [
      'all there: one line',
      'postgis, hstore',
      [has('hstore', '1.8'), has('postgis', '3.5.0'), has('citus')],
      worker,
      ['note: Already enabled: postgis 3.5.0, hstore 1.8'],
    ],
    [
      'another version',
      '{ name: postgis, version: 3.5.0 }',
      [has('postgis', '3.4.0')],
      coordinator,
      [
        {
          on: 'c',
          summary: 'update extension postgis from 3.4.0 to 3.5.0',
          sql: [`ALTER EXTENSION "postgis" UPDATE TO '3.5.0'`, ...RIGHTS],
        },
      ],
    ],
    [
      'missing on a registered worker and on the coordinator: Citus carries it',
      'postgis, hstore',
      [has('hstore')],
      registered,
      ['note: Extension postgis comes to w1 through the coordinator (Step 4)', 'note: Already enabled: hstore 1.0'],
    ],
    [
      'missing on a registered worker, there on the coordinator: mended on the worker alone',
      'postgis',
      [],
      { ...registered, onCoordinator: [has('postgis')] },
      [
        {
          on: 'w1',
          summary: 'create extension postgis',
          sql: [LOCALLY, 'SET LOCAL search_path = public', 'CREATE EXTENSION "postgis" WITH CASCADE', ...RIGHTS],
        },
      ],
    ],
    [
      'another version on a registered worker and on the coordinator: Citus carries the update',
      '{ name: postgis, version: 3.5.0 }',
      [has('postgis', '3.4.0')],
      { ...registered, onCoordinator: [has('postgis', '3.4.0')] },
      ['note: Extension postgis is updated on w1 through the coordinator (Step 4)'],
    ],
    [
      'another version on a registered worker, the right one on the coordinator',
      '{ name: postgis, version: 3.5.0 }',
      [has('postgis', '3.4.0')],
      { ...registered, onCoordinator: [has('postgis', '3.5.0')] },
      [
        {
          on: 'w1',
          summary: 'update extension postgis from 3.4.0 to 3.5.0',
          sql: [LOCALLY, `ALTER EXTENSION "postgis" UPDATE TO '3.5.0'`, ...RIGHTS],
        },
      ],
    ],
    ['none declared', '', [has('postgis')], worker, []],
  ] as const)('%s', (_, list, observed, context, expected) => {
    expect(diffExtensions(extensions(list), observed, context).map(shown)).toEqual(expected);
  });

  test('a worker follows the coordinator where no version is declared', () => {
    const declared = extensions('postgis, { name: hstore, version: "1.8" }, pg_trgm');
    expect(versionsLikeCoordinator(declared, [has('postgis', '3.4.0'), has('hstore', '1.7')])).toEqual([
      { name: 'postgis', schema: undefined, version: '3.4.0' },
      { name: 'hstore', schema: undefined, version: '1.8' },
      { name: 'pg_trgm', schema: undefined, version: undefined },
    ]);
  });

  test.each([
    ['absent', '{ name: postgis, schema: gis }', [], []],
    ['not declared', 'postgis', [has('postgis', '1', 'gis')], []],
    ['the same', '{ name: postgis, schema: gis }', [has('postgis', '1', 'gis')], []],
    [
      'another',
      '{ name: postgis, schema: gis }',
      [has('postgis')],
      ["Extension postgis is in schema 'public', not in 'gis'"],
    ],
  ] as const)('schema: %s', (_, list, observed, expected) => {
    const problems = extensionProblems(extensions(list), observed, 'w1');
    expect(problems.map((problem) => problem.what)).toEqual(expected);
    for (const problem of problems) expect(problem).toMatchObject({ kind: 'refused', node: 'w1' });
  });

  test('all extensions that a server cannot install are named at once', () => {
    const available = [{ name: 'hstore', defaultVersion: '1.8', versions: ['1.8', '1.4'] }];
    expect(availabilityProblems(extensions('{ name: hstore, version: "1.4" }'), available, 'w1')).toEqual([]);
    const problems = availabilityProblems(
      extensions('postgis, { name: hstore, version: "2.0" }, pg_partman'),
      available,
      'w1',
    );
    expect(problems).toMatchObject([
      {
        kind: 'failed',
        node: 'w1',
        what: 'Not installed on the server: extensions postgis, hstore 2.0 (it has 1.4, 1.8), pg_partman',
      },
    ]);
  });
});

describe('citus', () => {
  test.each([
    [
      'missing',
      [has('hstore')],
      coordinator,
      [
        {
          on: 'c',
          summary: 'create extension citus',
          sql: ['CREATE SCHEMA IF NOT EXISTS citus_databases', 'CREATE EXTENSION citus', HIDE_AUTHINFO],
        },
      ],
    ],
    [
      'older than the library',
      [has('citus', '12.1-1')],
      worker,
      [
        {
          on: 'w1',
          summary: 'update extension citus from 12.1-1 to 13.2-1',
          sql: [LOCALLY, `ALTER EXTENSION citus UPDATE TO '13.2-1'`],
        },
      ],
    ],
    ['as the library', [has('citus', '13.2-1')], worker, ['note: Citus extension 13.2-1 already exists on w1']],
    [
      'newer than the library',
      [has('citus', '13.10-1')],
      coordinator,
      ['note: Citus extension 13.10-1 already exists on coordinator'],
    ],
    [
      'library unknown',
      [has('citus', '12.1-1')],
      { ...worker, citusVersion: undefined },
      ['note: Citus extension 12.1-1 already exists on w1'],
    ],
  ] as const)('%s', (_, observed, context, expected) => {
    expect(diffCitus(observed, context).map(shown)).toEqual(expected);
  });

  test.each([
    ['13.2-1', '13.2-1', []],
    ['13.2-1', '13.10-1', []],
    ['13.2-2', '13.2-1', ['Extension citus is 13.2-2, newer than the Citus 13.2-1 that is installed on the server']],
    ['13.10-1', '13.2-1', ['Extension citus is 13.10-1, newer than the Citus 13.2-1 that is installed on the server']],
    ['13.2-1', null, []],
  ] as const)('extension %s, library %s', (extension, library, expected) => {
    const problems = citusProblems([has('citus', extension)], library, 'w1');
    expect(problems.map((problem) => problem.what)).toEqual(expected);
    for (const problem of problems) expect(problem).toMatchObject({ kind: 'refused', node: 'w1' });
  });

  test('no extension, no problem', () => {
    expect(citusProblems([], '13.2-1', 'w1')).toEqual([]);
  });
});

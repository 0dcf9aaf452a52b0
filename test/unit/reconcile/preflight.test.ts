import { describe, expect, test } from 'vitest';
import type { AvailableExtension } from '../../../src/objects/extension.ts';
import type { ServerSettings } from '../../../src/objects/server.ts';
import { missingExtensions } from '../../../src/reconcile/missingExtensions.ts';
import type { ServerObservation } from '../../../src/reconcile/observations.ts';
import { preflight } from '../../../src/reconcile/preflight.ts';
import type { Situation } from '../../../src/reconcile/situation.ts';
import {
  citusNode,
  metadata,
  observedDatabase,
  readySituation,
  role,
  SETTINGS,
  type SituationOptions,
  situation,
  W1,
} from './situations.ts';

/** Each problem as `kind node: what`, and the warnings. */
function judged(given: Situation, available: ReadonlyMap<number, readonly AvailableExtension[]> = new Map()) {
  const { problems, warnings } = preflight(given, available);
  return {
    problems: problems.map(({ kind, node, what }) => `${kind} ${node ?? '-'}: ${what}`),
    warnings,
  };
}

/** Worker 1 says this of itself; everything else is well. */
function oddWorker(changed: Partial<ServerSettings>, options: SituationOptions = {}): Situation {
  return situation({ ...options, servers: { ...options.servers, 1: { settings: { ...SETTINGS, ...changed } } } });
}

test.each([
  ['nothing there yet', situation()],
  ['everything there', readySituation()],
  [
    'plain PostgreSQL',
    situation({
      citus: false,
      servers: { 0: { settings: { ...SETTINGS, citusVersion: null, preloadLibraries: '' } } },
    }),
  ],
] as const)('%s: nothing to say', (_, given) => {
  expect(judged(given)).toEqual({ problems: [], warnings: [] });
});

describe('servers', () => {
  test.each([
    [
      'no superuser',
      { superuser: false },
      ["invalid w1: Role 'postgres' is no superuser, which extensions, pg_dist_authinfo and node registration need"],
    ],
    [
      'old PostgreSQL',
      { version: 130_022 },
      [
        'failed w1: PostgreSQL 13 is too old: 14 or newer is needed',
        'failed -: The nodes have different versions of PostgreSQL: c 15, w1 13, w2 15',
      ],
    ],
    ['another minor version of PostgreSQL', { version: 150_018 }, []],
    [
      'a server that was not restarted since its packages were replaced',
      { loadedCitus: '13.1.0' },
      ['failed w1: The server has loaded Citus 13.1.0, and 13.2-1 is installed'],
    ],
    ['the library of another patch release', { loadedCitus: '13.2.0' }, []],
    ['no Citus', { citusVersion: null }, ['failed w1: Citus is not installed on the server']],
    [
      'citus not first',
      { preloadLibraries: 'pg_stat_statements, citus' },
      ["failed w1: shared_preload_libraries does not begin with citus: 'pg_stat_statements, citus'"],
    ],
    ['citus in quotes', { preloadLibraries: '"citus"' }, []],
    [
      'the last background worker',
      { maxWorkerProcesses: 8, backgroundWorkers: 8 },
      [
        'failed w1: max_worker_processes is 8 and all are in use: Citus needs one for each database, else it has no deadlock detection and no recovery of prepared transactions there',
      ],
    ],
    ['one background worker left', { maxWorkerProcesses: 8, backgroundWorkers: 7 }, []],
  ] as const)('%s', (_, changed, problems) => {
    expect(judged(oddWorker(changed)).problems).toEqual(problems);
  });

  test.each([
    ['12.0-1', 'Citus 12.0-1 is too old: it does not recover prepared transactions of several databases'],
    ['11.3-1', 'Citus 11.3-1 is too old: it does not recover prepared transactions of several databases'],
    ['12.1-1', undefined],
    ['13.0-1', undefined],
  ] as const)('Citus %s', (citusVersion, what) => {
    const settings = { ...SETTINGS, citusVersion, loadedCitus: citusVersion.replace(/-.*/, '.9') };
    const given = situation({ servers: { 0: { settings }, 1: { settings }, 2: { settings } } });
    expect(judged(given).problems).toEqual(
      what === undefined ? [] : ['c', 'w1', 'w2'].map((node) => `failed ${node}: ${what}`),
    );
  });

  test('the oldest PostgreSQL', () => {
    const settings = { ...SETTINGS, version: 140_000 };
    expect(judged(situation({ servers: { 0: { settings }, 1: { settings }, 2: { settings } } })).problems).toEqual([]);
  });

  test('different versions of Citus, of the nodes that take part', () => {
    expect(judged(oddWorker({ citusVersion: '13.0-1', loadedCitus: '13.0.5' })).problems).toEqual([
      'failed -: The nodes have different versions of Citus: c 13.2-1, w1 13.0-1, w2 13.2-1',
    ]);
    expect(
      judged(
        oddWorker(
          { citusVersion: '13.0-1', loadedCitus: '13.0.5' },
          { database: '{ name: skymap, workerGroups: [2] }' },
        ),
      ).problems,
    ).toEqual([]);
  });

  test('few connections left', () => {
    expect(judged(oddWorker({ connections: 91 })).warnings).toEqual([]);
    expect(judged(oddWorker({ connections: 92 })).warnings).toEqual([
      'w1 has 5 of 100 connections left; one more database may take 6: raise max_connections',
    ]);
  });

  test('a database that is there already takes nothing more', () => {
    const settings = { ...SETTINGS, maxWorkerProcesses: 4, connections: 97 };
    expect(judged(readySituation({ servers: { 0: { settings }, 1: { settings }, 2: { settings } } }))).toEqual({
      problems: [],
      warnings: [],
    });
  });
});

describe('owners', () => {
  test('missing ones, of the database and of schemas', () => {
    const database = '{ name: skymap, owner: app, schemas: [{ name: a, owner: other }, { name: b, owner: postgres }] }';
    expect(judged(situation({ database })).problems).toEqual([
      "invalid c: Owner 'app' of database 'skymap' does not exist",
      "invalid c: Owner 'other' of a schema does not exist",
    ]);
  });

  test('one that cannot log in', () => {
    const roles = [role('app', { login: false })];
    const database = '{ name: skymap, owner: app }';
    expect(judged(situation({ database, servers: { 0: { roles } } }))).toEqual({
      problems: [],
      warnings: [expect.stringContaining("Owner 'app' cannot log in")],
    });
    expect(judged(situation({ citus: false, database, servers: { 0: { roles } } })).warnings).toEqual([]);
  });
});

describe('extensions', () => {
  const database = '{ name: skymap, extensions: [postgis, { name: hstore, version: "1.8" }] }';
  const hstore = { name: 'hstore', defaultVersion: '1.8', versions: ['1.8'] };

  test('not installed, on each node where they are needed', () => {
    const available = new Map([0, 1].map((group) => [group, [hstore]] as const));
    expect(judged(situation({ database }), available).problems).toEqual([
      'failed c: Not installed on the server: extension postgis',
      'failed w1: Not installed on the server: extension postgis',
    ]);
  });

  test('a worker is asked for the version that the coordinator has', () => {
    const citus = { name: 'citus', version: '13.2-1', schema: 'pg_catalog' };
    const given = readySituation({
      database,
      inside: {
        0: { extensions: [citus, { name: 'postgis', version: '3.4.0', schema: 'public' }], schemas: [] },
        1: { extensions: [citus, { name: 'postgis', version: '3.5.0', schema: 'public' }], schemas: [] },
      },
    });
    expect(missingExtensions(given, W1).map(({ name, version }) => `${name} ${version}`)).toEqual([
      'postgis 3.4.0',
      'hstore 1.8',
    ]);
    expect(missingExtensions(given, given.topology.coordinator).map(({ name }) => name)).toEqual(['hstore']);
  });

  test('citus newer than its library', () => {
    const inside = {
      1: {
        extensions: [{ name: 'citus', version: '14.0-1', schema: 'pg_catalog' }],
        schemas: [],
        metadata: metadata(1),
      },
    };
    expect(judged(readySituation({ inside })).problems).toEqual([
      'refused w1: Extension citus is 14.0-1, newer than the Citus 13.2-1 that is installed on the server',
    ]);
  });
});

describe('the database on a worker beside that of the coordinator', () => {
  const left = { database: observedDatabase() };
  const warning =
    "Database 'skymap' exists on w1 and not on the coordinator: what it holds there stays, and may get in the way";
  test.each([
    ['left over, unknown to us', { 1: left }, [warning]],
    [
      'left over after the coordinator lost its own',
      { 0: { bookkeeping: { distrust: null, row: { oid: 7, state: 'managed' } } }, 1: left },
      [warning],
    ],
    ['half made by us', { 0: { bookkeeping: { distrust: null, row: { oid: null, state: 'creating' } } }, 1: left }, []],
    ['another spelling of the locale', { 0: left, 1: { database: observedDatabase({ collate: 'en_US.UTF-8' }) } }, []],
  ] as const)('%s', (_, servers, warnings) => {
    expect(judged(situation({ servers }))).toEqual({ problems: [], warnings });
  });
});

describe('what the servers are not fit for', () => {
  const recorded = { database: 'skymap', recorded: '2.36', actual: '2.41' };
  const template = { database: 'template1', recorded: '2.36', actual: '2.41' };
  const all = (changed: Partial<ServerObservation>) => ({ 0: changed, 1: changed, 2: changed });

  test('a database made with an older collation', () => {
    const given = all({ database: observedDatabase(), collationVersions: [recorded] });
    expect(judged(readySituation({ servers: { 1: given[1] } })).warnings).toEqual([
      `Database 'skymap' on w1 was made with version 2.36 of its collation, and the server has 2.41 by now: indexes on text may be out of order. Rebuild them (REINDEX DATABASE "skymap"), then: SET citus.enable_ddl_propagation = off; ALTER DATABASE "skymap" REFRESH COLLATION VERSION`,
    ]);
  });

  test('a template that CREATE DATABASE would refuse, and one that is not copied', () => {
    const what =
      "Template database 'template1' was made with version 2.36 of its collation, and the server has 2.41 by now: no database can be made from it";
    const servers = all({ collationVersions: [template] });
    expect(judged(situation({ servers })).problems).toEqual(['c', 'w1', 'w2'].map((node) => `failed ${node}: ${what}`));
    expect(judged(situation({ servers, database: '{ name: skymap, encoding: UTF8 }' })).problems).toEqual([]);
    expect(judged(readySituation({ servers: all({ database: observedDatabase() }) })).problems).toEqual([]);
  });

  test('nodes that sort by different versions', () => {
    const sorts = (actual: string | null) => ({
      collationVersions: [{ database: 'template1', recorded: actual, actual }],
    });
    expect(judged(situation({ servers: { 0: sorts('2.36'), 1: sorts('2.41'), 2: sorts(null) } })).warnings).toEqual([
      'The nodes sort text by different versions of their collation: c 2.36, w1 2.41. Give all nodes the same image',
    ]);
  });

  test('versions that nobody tried', () => {
    const newer = { ...SETTINGS, version: 190_000, citusVersion: '15.0-1', loadedCitus: '15.0.0' };
    const given = situation({ servers: { 0: { settings: newer }, 1: { settings: newer }, 2: { settings: newer } } });
    expect(judged(given)).toEqual({
      problems: [],
      warnings: [
        'PostgreSQL 19 is newer than the newest that this program was tested with, 18: it continues',
        'Citus 15.0-1 is newer than the newest that this program was tested with, 14: it continues',
      ],
    });
  });

  test('output_plugin_libraries without citus', () => {
    const warnings = (outputPlugins: string | null) => judged(oddWorker({ outputPlugins })).warnings;
    expect(warnings('pgoutput, test_decoding')).toEqual([
      'output_plugin_libraries has no citus on w1: shards cannot be split online there. Add citus to it (patroni.postgresql.parameters in the chart)',
    ]);
    expect(warnings('pgoutput, "citus"')).toEqual([]);
    expect(warnings(null)).toEqual([]);
  });

  test('packages of an extension that differ, unless a version is declared or the coordinator has it', () => {
    const packages = (version: string) => [{ name: 'postgis', defaultVersion: version, versions: [version] }];
    const available = new Map([
      [0, packages('3.4.0')],
      [1, packages('3.5.0')],
      [2, packages('3.4.0')],
    ]);
    const problems = (database: string) => {
      const given = situation({ database });
      return preflight(given, available).problems.map(({ what }) => what);
    };
    expect(problems('{ name: skymap, extensions: [postgis] }')).toEqual([
      'The packages of extension postgis have different versions: c 3.4.0, w1 3.5.0, w2 3.4.0',
    ]);
    expect(problems('{ name: skymap, extensions: [{ name: postgis, version: "3.4.0" }] }')).toEqual([
      expect.stringContaining('postgis 3.4.0 (it has 3.5.0)'),
    ]);
  });
});

describe('a database that sorts and compares text in another way on a worker', () => {
  const wrong = (has: string) =>
    `refused w1: Database 'skymap' has ${has} on the coordinator: min(), max() and ORDER BY would differ by shard`;
  const icu = { provider: 'icu', providerLocale: 'en-US' } as const;
  test.each([
    ['collation', {}, { collate: 'C' }, 'collate C here and en_US.utf8'],
    ['encoding', {}, { encoding: 'LATIN1' }, 'encoding LATIN1 here and UTF8'],
    ['provider', icu, {}, 'locale provider libc here and icu'],
    ['ICU locale', icu, { ...icu, providerLocale: 'de-DE' }, 'ICU locale de-DE here and en-US'],
    ['ICU rules', { ...icu, icuRules: '&a < g' }, icu, 'ICU rules none here and &a < g'],
    [
      'builtin locale',
      { provider: 'builtin', providerLocale: 'C' },
      { provider: 'builtin', providerLocale: 'C.UTF-8' },
      'builtin locale C.UTF-8 here and C',
    ],
  ] as const)('%s', (_, there, here, has) => {
    const database = observedDatabase(here);
    expect(
      judged(situation({ servers: { 0: { database: observedDatabase(there) }, 1: { database } } })).problems,
    ).toEqual([wrong(has)]);
    // The coordinator's is still to be made: as its template is.
    expect(
      judged(situation({ servers: { 0: { template: observedDatabase(there) }, 1: { database } } })).problems,
    ).toEqual([wrong(has)]);
  });
});

test('everything at once', () => {
  const given = readySituation({
    database: '{ name: skymap, owner: app, encoding: LATIN1, parameters: { port: "1", foo: "2" } }',
    servers: {
      0: {
        database: observedDatabase(),
        knownParameters: [{ name: 'port', context: 'postmaster' }],
        bookkeeping: { distrust: null, row: { oid: 16_400, state: 'dropping' } },
      },
    },
    inside: {
      0: {
        extensions: [],
        schemas: [],
        metadata: metadata(0, { nodes: [citusNode(0), citusNode(5, { nodename: 'w1' })] }),
        ledger: { distrust: 'schema citus_databases belongs to mallory, who is no superuser', rows: null },
      },
    },
  });
  const exists = "Database 'skymap' exists with encoding UTF8, not LATIN1";
  expect(judged(given).problems).toEqual([
    `refused c: ${exists}`,
    `refused w1: ${exists}`,
    `refused w2: ${exists}`,
    "invalid c: Owner 'app' of database 'skymap' does not exist",
    "invalid -: Parameter 'port' cannot belong to a database: it is set when the server starts",
    "invalid -: Parameter 'foo' is unknown to this PostgreSQL",
    "refused c: Database 'skymap' was to be dropped, and every node still has it: the drop ended before it took anything away",
    expect.stringMatching(
      /^refused c: What this program remembers cannot be trusted: schema citus_databases belongs to mallory/,
    ),
    'refused -: w1:5432 is registered as group 5, not 1',
  ]);
});

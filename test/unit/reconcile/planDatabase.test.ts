import { describe, expect, test } from 'vitest';
import { letsOthersIn } from '../../../src/initSql/opening.ts';
import {
  formatPlan,
  formatTotal,
  formatUndeclared,
  hasChanges,
  planDatabase,
} from '../../../src/reconcile/planDatabase.ts';
import type { Situation } from '../../../src/reconcile/situation.ts';
import { citusNode, citusNodes, metadata, observedDatabase, readySituation, role, situation } from './situations.ts';

const READY_EXTENSIONS = [{ name: 'citus', version: '13.2-1', schema: 'pg_catalog' }];

const text = (given: Situation, warnings: readonly string[] = []) => formatPlan(planDatabase(given, warnings));

describe('an absent database', () => {
  const given = situation({
    database: `{
      name: skymap, owner: app, extensions: [postgis, { name: pg_partman, schema: partman, version: 4.7.2 }],
      schemas: [{ name: analytics }], parameters: { timezone: UTC, search_path: "analytics,public", pg_partman_bgw.dbname: skymap }
    }`,
    servers: { 0: { roles: [role('app')] }, 2: { roles: [role('app')] } },
    password: 'secret of the superuser',
  });

  test('the whole plan', () => {
    expect(text(given, ['Something odd'])).toMatchInlineSnapshot(`
      "Database 'skymap' does not exist yet; the plan takes it to be empty
        WARNING: Something odd
        WARNING: Parameter 'pg_partman_bgw.dbname' was not set: pg_partman's background worker reads it from the server's configuration, a database cannot hold it; put it into patroni.postgresql.parameters

      Step 1: Create database 'skymap' on worker nodes first
        + c: record that this program creates database "skymap" (citus_databases.managed_database)
        + w1: create role "app" as on the coordinator
        + w1: create database "skymap" owned by "app"
        ~ w1: set search_path to pg_catalog, role to none, Citus' parameters to its own values for role "postgres" in database "skymap"
        + w1: create extension citus
        + w1: create extension postgis
        + w1: create extension pg_partman 4.7.2
        + w2: create database "skymap" owned by "app"
        ~ w2: set search_path to pg_catalog, role to none, Citus' parameters to its own values for role "postgres" in database "skymap"
        + w2: create extension citus
        + w2: create extension postgis
        + w2: create extension pg_partman 4.7.2

      Step 2: Create database 'skymap' on the coordinator
        + c: create database "skymap" owned by "app"
        ~ c: record the OID of database "skymap" (citus_databases.managed_database)
        ~ c: set search_path to pg_catalog, role to none, Citus' parameters to its own values for role "postgres" in database "skymap"

      Step 3: Enable the Citus extension on the coordinator
        + c: create extension citus

      Step 4: Enable additional extensions on the coordinator
        + c: create extension postgis
        + c: create extension pg_partman 4.7.2

      Step 5: Configure authentication between nodes (pg_dist_authinfo)
        + c: write the pg_dist_authinfo row of role "postgres"
        + w1: write the pg_dist_authinfo row of role "postgres"
        + w2: write the pg_dist_authinfo row of role "postgres"

      Step 6: Add worker nodes to Citus metadata
        + c: register the coordinator as c:5432
        + c: register w1:5432 (group 1), w2:5432 (group 2)
        + c: create schema "analytics" owned by "app"

      Step 7: Run custom initialization SQL
        ~ c: open database "skymap" to its owner "app" and its users
        ~ w1: open database "skymap" to its owner "app" and its users
        ~ w2: open database "skymap" to its owner "app" and its users
        ~ c: record the opening of database "skymap" (citus_databases.managed_database)

      Step 8: Set database parameters
        ~ c: set parameter timezone of database "skymap" to 'UTC'
        ~ c: set parameter search_path of database "skymap" to 'analytics,public'
        ~ w1: set parameter timezone of database "skymap" to 'UTC'
        ~ w1: set parameter search_path of database "skymap" to 'analytics,public'
        ~ w2: set parameter timezone of database "skymap" to 'UTC'
        ~ w2: set parameter search_path of database "skymap" to 'analytics,public'"
    `);
  });

  test('no secret, and something to do', () => {
    const plan = planDatabase(given, []);
    expect(JSON.stringify(plan)).not.toContain('secret');
    expect(plan).toMatchObject({ database: 'skymap', absent: true });
    expect(hasChanges(plan, false)).toBe(true);
  });

  test('workers that the database leaves out get the owner only', () => {
    const some = situation({
      database: '{ name: skymap, owner: app, workerGroups: [1] }',
      servers: { 0: { roles: [role('app')] } },
    });
    const changes = planDatabase(some, []).steps.flatMap((step) => step.changes);
    expect(changes.filter(({ node }) => node === 'w2')).toEqual([
      { action: 'create', node: 'w2', summary: 'create role "app" as on the coordinator' },
    ]);
  });

  test('plain PostgreSQL: no Citus object', () => {
    const plain = situation({ citus: false, database: '{ name: skymap, extensions: [hstore] }', password: 'x' });
    expect(text(plain)).toMatchInlineSnapshot(`
      "Database 'skymap' does not exist yet; the plan takes it to be empty

      Step 1: Create roles
        + c: record that this program creates database "skymap" (citus_databases.managed_database)

      Step 2: Create database 'skymap'
        + c: create database "skymap" owned by "postgres"
        ~ c: record the OID of database "skymap" (citus_databases.managed_database)

      Step 3: Enable extensions
        + c: create extension hstore"
    `);
  });
});

describe('a database that is ready', () => {
  test('nothing to do', () => {
    const plan = planDatabase(readySituation(), []);
    expect(plan).toMatchObject({ database: 'skymap', absent: false, steps: [], warnings: [] });
    expect(formatPlan(plan)).toBe("Database 'skymap'\n  Nothing to do");
    expect(hasChanges(plan, false)).toBe(false);
  });

  test('a worker whose database was dropped: made again, and its metadata synced', () => {
    const { inside, servers, ...rest } = readySituation();
    const lost: Situation = {
      ...rest,
      servers: new Map(servers).set(1, { ...(servers.get(2) ?? fail()), database: null }),
      inside: new Map([...inside].filter(([group]) => group !== 1)),
    };
    expect(text(lost)).toMatchInlineSnapshot(`
      "Database 'skymap'

      Step 1: Create database 'skymap' on worker nodes first
        + w1: create database "skymap" owned by "postgres"
        + w1: create extension citus

      Step 6: Add worker nodes to Citus metadata
        ~ c: sync metadata to w1:5432: its database has no Citus metadata"
    `);
  });

  test('a worker that was declared later, and one that is no longer declared', () => {
    const nodes = [citusNode(0), citusNode(2), citusNode(3)];
    const given = readySituation({
      servers: { 1: { database: null } },
      inside: {
        0: { extensions: READY_EXTENSIONS, schemas: [], metadata: metadata(0, { nodes }), authinfo: [] },
        1: { extensions: [], schemas: [] },
        2: { extensions: READY_EXTENSIONS, schemas: [], metadata: metadata(2, { nodes }), authinfo: [] },
      },
    });
    expect(text(given)).toMatchInlineSnapshot(`
      "Database 'skymap'
        WARNING: Worker w3:5432 (group 3) is registered and no longer declared; it stays. To move its shards away and remove it, in every database: citus-databases drain 3

      Step 1: Create database 'skymap' on worker nodes first
        + w1: create database "skymap" owned by "postgres"
        + w1: create extension citus

      Step 6: Add worker nodes to Citus metadata
        + c: register w1:5432 (group 1)"
    `);
  });

  test('half made: an intent is not written again, the OID is bound', () => {
    const given = readySituation({
      servers: {
        0: {
          database: observedDatabase(),
          bookkeeping: { distrust: null, row: { oid: null, state: 'creating' } },
        },
      },
    });
    expect(text(given)).toMatchInlineSnapshot(`
      "Database 'skymap'

      Step 2: Create database 'skymap' on the coordinator
        ~ c: record the OID of database "skymap" (citus_databases.managed_database)"
    `);
  });

  test('made by somebody else: nothing is remembered', () => {
    const given = readySituation({
      servers: { 0: { database: observedDatabase(), bookkeeping: { distrust: null, row: null } } },
    });
    expect(planDatabase(given, []).steps).toEqual([]);
  });

  test('the owner, a parameter and the coordinator’s name were changed by hand', () => {
    const nodes = [citusNode(0, { nodename: 'localhost' }), ...citusNodes(2).slice(1)];
    const inside = (group: number) => ({
      extensions: READY_EXTENSIONS,
      schemas: [],
      metadata: metadata(group, { nodes }),
      authinfo: [],
    });
    const given = readySituation({
      database: '{ name: skymap, parameters: { timezone: UTC } }',
      servers: {
        1: { database: observedDatabase({ owner: 'app' }), parameters: { TimeZone: 'UTC' } },
        2: { database: observedDatabase(), parameters: { TimeZone: 'CET' } },
      },
      inside: { 0: inside(0), 1: inside(1), 2: inside(2) },
    });
    expect(text(given)).toMatchInlineSnapshot(`
      "Database 'skymap'

      Step 1: Create database 'skymap' on worker nodes first
        ~ w1: change the owner of database "skymap" from "app" to "postgres"

      Step 6: Add worker nodes to Citus metadata
        ~ c: register the coordinator as c:5432

      Step 8: Set database parameters
        ~ c: set parameter timezone of database "skymap" to 'UTC'
        ~ w2: set parameter timezone of database "skymap" to 'UTC'"
    `);
  });
});

describe('initSQL', () => {
  const unit = {
    kind: 'statement',
    sql: 'SELECT 1',
    line: 3,
    column: 1,
    hash: 'h',
    occurrence: 1,
    text: 'SELECT 1',
    display: 'SELECT 1',
    expectation: 'transaction',
    lookup: { kind: 'none' },
  } as const;
  const session = { kind: 'session', sql: 'SET x = 1', line: 1, column: 1, display: 'SET x = 1' } as const;
  const row = { ...unit, ordinal: 1, statement: 'SELECT 1', state: 'running' } as const;

  test.each([
    ['skip', { kind: 'skip', warning: 'Not ours' }, [], ['Not ours'], false],
    [
      'record',
      { kind: 'record', units: [unit], warning: 'Recorded' },
      ['record line 3 as executed: SELECT 1'],
      ['Recorded'],
      true,
    ],
    ['record nothing', { kind: 'record', units: [], warning: undefined }, [], [], false],
    ['run', { kind: 'run', replay: [], pending: [session, unit], gone: [] }, ['execute line 3: SELECT 1'], [], true],
    ['run nothing', { kind: 'run', replay: [], pending: [], gone: [] }, [], [], false],
    [
      'an unknown outcome',
      {
        kind: 'unknownOutcome',
        unit,
        row,
        lookup: { kind: 'none' },
        replay: [],
        pending: [{ ...unit, line: 4 }],
        gone: [],
      },
      ['execute line 3: SELECT 1', 'execute line 4: SELECT 1'],
      [],
      true,
    ],
  ] as const)('%s', (_, decision, summaries, warnings, changes) => {
    const plan = planDatabase(readySituation({ initSql: decision }), []);
    expect(plan.steps.map(({ step }) => step)).toEqual(summaries.length === 0 ? [] : [7]);
    expect(plan.steps.flatMap((step) => step.changes)).toEqual(
      summaries.map((summary) => ({ action: 'create', node: 'c', summary })),
    );
    expect(plan.warnings).toEqual(warnings);
    expect(hasChanges(plan, false)).toBe(changes);
  });

  test.each([
    [undefined, false],
    ['objects', true],
    ['database', true],
  ] as const)(
    'a new database that is nobody else’s is closed until initSQL is through, if that opens %s: %s',
    (opens, closes) => {
      const pending = [{ ...unit, ...(opens === undefined ? {} : { opens }) }];
      const initSql = { kind: 'run', replay: [], pending, gone: [] } as const;
      const given = situation({ database: '{ name: skymap, initSQL: SELECT 1 }', initSql });
      const plan = text({ ...given, initSqlOpens: letsOthersIn(initSql) });
      expect(plan).toContain('create database "skymap" owned by "postgres"');
      expect(plan.includes('open database "skymap" to its owner "postgres" and its users')).toBe(closes);
    },
  );

  test('what always runs is told, and is no difference', () => {
    const plan = planDatabase(readySituation({ initSql: { kind: 'runAlways', units: [session, unit] } }), []);
    expect(formatPlan(plan)).toContain('  + c: execute line 3: SELECT 1');
    expect(hasChanges(plan, true)).toBe(false);
  });
});

function fail(): never {
  throw new Error('Expected an observation');
}

test('one line says how much there is to do, over all databases', () => {
  const planned = (...nodes: readonly string[]) => ({
    database: 'x',
    absent: false,
    differences: nodes.length,
    warnings: [],
    findings: [],
    steps: [
      {
        step: 1,
        title: 'Step...',
        changes: nodes.map((node) => ({ action: 'create', node, summary: 'create it' }) as const),
      },
    ],
  });
  expect(formatTotal([planned()])).toBeUndefined();
  expect(formatTotal([planned('a')])).toBe('1 to change on 1 node. Nothing has been changed yet.');
  expect(formatTotal([planned('a', 'b'), planned('b')])).toBe('3 to change on 2 nodes. Nothing has been changed yet.');
});

test('databases that the spec no longer declares are named', () => {
  expect(formatUndeclared([])).toBeUndefined();
  expect(formatUndeclared(['my db'])).toBe(
    "! Not in this spec, though this program created it: database 'my db'. apply leaves it as it is; to drop it: citus-databases drop 'my db' --confirm 'my db'",
  );
  expect(formatUndeclared(['a', 'b'])).toBe(
    "! Not in this spec, though this program created them: databases 'a', 'b'. apply leaves them as they are; to drop one: citus-databases drop NAME --confirm NAME",
  );
});

import { describe, expect } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** Settings of a database and of its roles are for its clients; what the program means does not depend on them. */

const test = clusterTest({ workers: 2 })
  /** The log too: a failure without it says nothing. */
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      async (command: string, document: Document): Promise<Pick<Outcome, 'code' | 'log'>> => {
        const { code, log } = await runProgram(cluster, [command], specOf(cluster, [document]));
        return { code, log: code === 0 ? '' : log };
      },
  );

const PASSED = { code: 0, log: '' };

const FIRST = 'CREATE TABLE first_made (id bigint PRIMARY KEY, note text);';
const SECOND = `${FIRST}
CREATE TABLE made_later (id bigint PRIMARY KEY);
CREATE INDEX ON first_made (note);`;

/** What a client of the database may have reasons to set. */
const SETTINGS: readonly (readonly [string, string])[] = [
  ['citus.enable_schema_based_sharding', 'on'],
  ['default_table_access_method', 'columnar'],
  ['citus.propagate_set_commands', 'local'],
  ['citus.enable_ddl_propagation', 'off'],
  ['default_transaction_isolation', 'serializable'],
];

describe.each(SETTINGS)('%s = %s', (name, value) => {
  test('a first run, a second one with more to do, verify and plan', async ({ cluster, run, skip }) => {
    if (cluster.kind !== 'real') return skip();
    const database = name.replaceAll('.', '_');
    const document = (initSQL: string, extensions: readonly string[]) => ({
      name: database,
      initSQL,
      extensions,
      schemas: ['declared'],
      parameters: { [name]: value },
    });
    expect(await run('apply', document(FIRST, ['citus_columnar']))).toEqual(PASSED);
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', `ALTER DATABASE ${database} SET ${name} = ${value}`);
    }
    expect(await run('apply', document(SECOND, ['citus_columnar', 'hstore']))).toEqual(PASSED);
    for (const command of ['verify', 'plan']) {
      const outcome = await run(command, document(SECOND, ['citus_columnar', 'hstore']));
      expect(outcome, command).toEqual(PASSED);
    }
    for (const { group } of cluster.nodes) {
      const extensions = await list(
        cluster,
        group,
        database,
        "SELECT extname FROM pg_extension WHERE extname = 'hstore'",
      );
      expect(extensions).toEqual(['hstore']);
    }
    const method =
      "SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = 'citus_databases.init_sql'::regclass";
    expect(await firstValue(cluster, 0, database, method)).toBe('heap');
  });
});

test('what would keep Citus from writing is refused before anything is made', async ({ cluster, run }) => {
  const document = { name: 'read_only', parameters: { default_transaction_read_only: true } };
  const { code, log } = await run('apply', document);
  expect({ code, log }).toEqual({
    code: 2,
    log: expect.stringContaining("'default_transaction_read_only' with the value 'true' cannot belong to a database"),
  });
  expect(await list(cluster, 0, 'postgres', "SELECT 1 FROM pg_database WHERE datname = 'read_only'")).toEqual([]);
});

test('a library that is not there keeps nobody from correcting it', async ({ cluster, run }) => {
  const document = (parameters: Document) => ({ name: 'library', parameters });
  expect(await run('apply', document({}))).toEqual(PASSED);
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', "ALTER DATABASE library SET session_preload_libraries = 'autoexplain'");
  }
  expect(await run('apply', document({ session_preload_libraries: 'auto_explain' }))).toEqual(PASSED);
  expect(await firstValue(cluster, 1, 'library', 'SHOW session_preload_libraries')).toBe('auto_explain');
});

test('a library that is not there, where nothing is declared in its place: named, with what resets it', async ({
  cluster,
  run,
}) => {
  expect(await run('apply', { name: 'locked_out' })).toEqual(PASSED);
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', 'ALTER DATABASE locked_out SET session_preload_libraries = nowhere');
  }
  const { code, log } = await run('apply', { name: 'locked_out' });
  expect({ code, log }).toEqual({
    code: 3,
    log: expect.stringContaining("Setting 'session_preload_libraries' of database 'locked_out' lets nobody log in"),
  });
  expect(log).toContain('ALTER DATABASE "locked_out" RESET "session_preload_libraries"');
  // Declared, it is corrected before Citus' connections between the nodes are needed.
  const corrected = { name: 'locked_out', schemas: ['made'], parameters: { session_preload_libraries: '' } };
  expect(await run('apply', corrected)).toEqual(PASSED);
  expect(await run('plan', corrected)).toEqual(PASSED);
});

test("what acts on Citus' connections between the nodes is refused, declared or set by hand", async ({
  cluster,
  run,
  skip,
}) => {
  if (cluster.kind !== 'real') return skip();
  expect(await run('apply', { name: 'between' })).toEqual(PASSED);
  await query(cluster, 1, 'postgres', 'ALTER DATABASE between SET citus.enable_metadata_sync = off');
  const byHand = await run('plan', { name: 'between' });
  expect(byHand.code).toBe(3);
  expect(byHand.log).toContain('ALTER DATABASE "between" RESET "citus"."enable_metadata_sync"');
  const declared = await run('apply', { name: 'other', parameters: { 'citus.node_connection_timeout': '10' } });
  expect(declared.code).toBe(2);
  expect(declared.log).toContain("Parameter 'citus.node_connection_timeout' with the value '10' cannot belong");
  expect(await list(cluster, 0, 'postgres', "SELECT 1 FROM pg_database WHERE datname = 'other'")).toEqual([]);
});

test('what keeps Citus from working is set right first: as declared, and as on the coordinator', async ({
  cluster,
  run,
  skip,
}) => {
  if (cluster.kind !== 'real') return skip();
  const document = (initSQL: string, parameters: Document = {}) => ({ name: 'set_right', initSQL, parameters });
  const distributed = (table: string) =>
    `CREATE TABLE ${table} (id bigint); SELECT create_distributed_table('${table}', 'id', shard_count => 2);\n`;
  expect(await run('apply', document(distributed('one')))).toEqual(PASSED);
  for (const { group } of cluster.nodes) {
    await query(cluster, group, 'postgres', 'ALTER DATABASE set_right SET statement_timeout = 1');
  }
  const undeclared = await run('apply', document(distributed('one') + distributed('two')));
  expect(undeclared).toEqual({
    code: 3,
    log: expect.stringContaining("Setting 'statement_timeout' of database 'set_right' is '1'"),
  });
  expect(undeclared.log).toContain('ALTER DATABASE "set_right" RESET "statement_timeout"');
  const declared = document(distributed('one') + distributed('two'), { statement_timeout: '60s' });
  expect(await run('apply', declared)).toEqual(PASSED);
  expect(await firstValue(cluster, 1, 'set_right', 'SHOW statement_timeout')).toBe('1min');

  await query(cluster, 1, 'postgres', 'ALTER DATABASE set_right SET default_transaction_read_only = on');
  const appended = { ...declared, initSQL: distributed('one') + distributed('two') + distributed('three') };
  expect(await run('apply', appended)).toEqual(PASSED);
  expect(await firstValue(cluster, 1, 'set_right', 'SHOW default_transaction_read_only')).toBe('off');
  expect(await run('plan', appended)).toEqual(PASSED);
});

test('the session of initSQL has the declared parameters from the first run on', async ({ cluster, run }) => {
  const name = 'first_parameters';
  const initSQL = `CREATE SCHEMA analytics;
CREATE TABLE made (at timestamptz);
CREATE TABLE settings AS SELECT current_setting('timezone') AS zone, current_setting('search_path') AS path;`;
  const parameters = {
    timezone: 'Europe/Berlin',
    search_path: '"analytics", public',
  };
  expect(await run('apply', { name, initSQL, parameters })).toEqual(PASSED);
  expect(await list(cluster, 0, name, "SELECT zone || ' ' || path FROM analytics.settings")).toEqual([
    'Europe/Berlin "analytics", "public"',
  ]);
  expect(await run('apply', { name, initSQL: `${initSQL}\nCREATE TABLE later (x int);`, parameters })).toEqual(PASSED);
  expect(await list(cluster, 0, name, "SELECT tablename FROM pg_tables WHERE schemaname = 'analytics'")).toEqual([
    'later',
    'made',
    'settings',
  ]);
  expect(await run('plan', { name, initSQL: `${initSQL}\nCREATE TABLE later (x int);`, parameters })).toEqual(PASSED);
});

import { execFile } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** The ledger belongs to the database it was written in; in a copy of the database it says nothing. */

const test = clusterTest({ workers: 1 })
  .extend('run', { scope: 'file' }, ({ cluster }) => async (command: string, document: Document) => {
    const { code, log } = await runProgram(cluster, [command], specOf(cluster, [document]));
    return { code, log };
  })
  .extend(
    'tables',
    { scope: 'file' },
    ({ cluster }) =>
      (database: string) =>
        list(cluster, 0, database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"),
  )
  .extend(
    'comment',
    { scope: 'file' },
    ({ cluster }) =>
      (database: string) =>
        firstValue(cluster, 0, database, "SELECT obj_description('citus_databases.init_sql'::regclass)"),
  )
  /** pg_dump and pg_restore; where they are not installed, the same by hand: a dump carries a table's comment. */
  .extend('copy', { scope: 'file' }, ({ cluster, comment }) => async (from: string, to: string): Promise<void> => {
    if (
      await access(path.join(cluster.bin, 'pg_dump')).then(
        () => true,
        () => false,
      )
    ) {
      const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-copy-'));
      const { host, port } = nodeOf(cluster, 0);
      const env = {
        ...process.env,
        PGHOST: host,
        PGPORT: `${port}`,
        PGUSER: cluster.superuser,
        PGPASSWORD: cluster.password,
      };
      const tool = (name: string, ...args: string[]) =>
        promisify(execFile)(path.join(cluster.bin, name), args, { env });
      const file = path.join(folder, 'dump');
      await tool('pg_dump', '-Fc', '-n', 'public', '-n', 'citus_databases', '-f', file, from);
      await tool('pg_restore', '-d', to, file).catch(() => 'public is there already');
      await rm(folder, { recursive: true });
      return;
    }
    const made = 'citus_databases.init_sql';
    const words = String(await comment(from)).replaceAll("'", "''");
    await query(
      cluster,
      0,
      to,
      `CREATE TABLE kept (id bigint PRIMARY KEY); CREATE SCHEMA IF NOT EXISTS citus_databases;
     CREATE TABLE ${made} (ordinal int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hash text NOT NULL, occurrence int4 NOT NULL,
       line int4 NOT NULL, statement text NOT NULL, state text NOT NULL, executed_at timestamptz NOT NULL DEFAULT now(),
       UNIQUE (hash, occurrence)); COMMENT ON TABLE ${made} IS '${words}'`,
    );
    for (const row of await query(cluster, 0, from, `SELECT hash, occurrence, line, statement, state FROM ${made}`)) {
      const values = Object.values(row);
      await query(
        cluster,
        0,
        to,
        `INSERT INTO ${made} (hash, occurrence, line, statement, state) VALUES ($1, $2, $3, $4, $5)`,
        values,
      );
    }
  });

test.beforeAll(async ({ cluster }) => {
  console.log(`Citus: ${cluster.description}`);
});

const FIRST = 'CREATE TABLE kept (id bigint PRIMARY KEY);';
const SECOND = `${FIRST}\nCREATE TABLE later (id bigint PRIMARY KEY);`;

test('a new ledger says whose it is, and an old one learns it with the next statement', async ({
  cluster,
  run,
  comment,
}) => {
  expect(await run('apply', { name: 'original', initSQL: FIRST })).toMatchObject({ code: 0 });
  expect(await comment('original')).toMatch(/^initSQL as executed in database original \(OID \d+, table \d+\)$/);
  await query(cluster, 0, 'original', 'COMMENT ON TABLE citus_databases.init_sql IS NULL');
  expect(await run('plan', { name: 'original', initSQL: FIRST })).toMatchObject({ code: 0 });
  await query(cluster, 0, 'original', 'COMMENT ON TABLE citus_databases.init_sql IS NULL');
  expect(await run('apply', { name: 'original', initSQL: `${FIRST}\nSELECT 1;` })).toMatchObject({ code: 0 });
  expect(await comment('original')).toMatch(/^initSQL as executed in database original /);
});

test('a restored copy is named, and nothing of initSQL executed in it', async ({ cluster, run, tables, copy }) => {
  await query(cluster, 0, 'postgres', 'CREATE DATABASE restored');
  await copy('original', 'restored');
  for (const command of ['plan', 'apply']) {
    const { code, log } = await run(command, { name: 'restored', initSQL: SECOND });
    expect({ code, log }, command).toEqual({
      code: 3,
      log: expect.stringMatching(
        /The ledger of initSQL in database 'restored' is a copy, written in database original \(OID \d+, table \d+\)/,
      ),
    });
    expect(log).toContain('initSQLPolicy: adopt');
  }
  expect(await tables('restored')).toEqual(['kept']);
});

test('adopt takes its ledger over and executes the rest; from then on it is an own one', async ({
  run,
  tables,
  comment,
}) => {
  const adopted = { name: 'restored', initSQL: SECOND, initSQLPolicy: 'adopt' };
  const planned = await run('plan', adopted);
  expect(planned).toEqual({
    code: 10,
    log: expect.stringContaining('take over the ledger of initSQL, which was written in database original'),
  });
  expect(await run('apply', adopted)).toMatchObject({ code: 0 });
  expect(await tables('restored')).toEqual(['kept', 'later']);
  expect(await comment('restored')).toMatch(/in database restored /);
  expect(await run('plan', { name: 'restored', initSQL: SECOND })).toMatchObject({ code: 0 });
});

test('a database that the program made, into which a dump is restored', async ({ cluster, run, tables, copy }) => {
  expect(await run('apply', { name: 'target' })).toMatchObject({ code: 0 });
  await copy('original', 'target');
  expect(await run('apply', { name: 'target', initSQL: SECOND })).toMatchObject({ code: 3 });
  // What the message says to execute all of it here.
  await query(cluster, 0, 'target', 'ALTER TABLE citus_databases.init_sql RENAME TO init_sql_of_copy; DROP TABLE kept');
  expect(await run('apply', { name: 'target', initSQL: SECOND })).toMatchObject({ code: 0 });
  expect(await tables('target')).toEqual(['kept', 'later']);
  expect(await run('plan', { name: 'target', initSQL: SECOND })).toMatchObject({ code: 0 });
});

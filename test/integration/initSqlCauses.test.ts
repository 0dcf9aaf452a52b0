import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type pg from 'pg';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** Statements of initSQL that fail for a reason which lies elsewhere: what passes, passes, and the rest is named. */

const test = clusterTest({ workers: 1 })
  .extend(
    'apply',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, initSQL: string, more: Document = {}): Promise<Outcome> => {
        return await runProgram(cluster, ['apply'], specOf(cluster, [{ name, initSQL, ...more }]));
      },
  )
  .extend('waitsForLock', { scope: 'file' }, ({ cluster }) => async (database: string): Promise<void> => {
    const waiting = `SELECT count(*)::int FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database = (
    SELECT oid FROM pg_database WHERE datname = current_database())`;
    while ((await firstValue(cluster, 0, database, waiting)) === 0) await setTimeout(50);
  })
  /** How often the coordinator could not connect to the worker. */
  .extend('failures', { scope: 'file' }, ({ cluster }) => async (): Promise<number> => {
    const log = await readFile(nodeOf(cluster, 0).logFile, 'utf8');
    return log.split('is not currently accepting connections').length;
  });

test('a statement that drops citus along with a schema is rolled back and refused by name', async ({
  cluster,
  apply,
}) => {
  const script = 'CREATE TABLE kept (x int);\nDROP SCHEMA public CASCADE;';
  const { code, log } = await apply('dropping', script, { extensions: ['hstore'] });
  expect({ code, error: log.slice(log.indexOf('ERROR')) }).toEqual({
    code: 3,
    error: expect.stringContaining('citus'),
  });
  expect(log).toContain('initSQL failed at line 2: DROP SCHEMA public CASCADE');
  expect(log).toContain('Cause: initSQL dropped the extension citus');
  expect(await firstValue(cluster, 0, 'dropping', "SELECT to_regclass('public.kept') IS NOT NULL")).toBe(true);
  const corrected = script.replace('DROP SCHEMA public CASCADE', 'DROP TABLE kept');
  expect(await apply('dropping', corrected, { extensions: ['hstore'] })).toMatchObject({ code: 0 });
});

test('a deadlock is rolled back, and the statement runs again', async ({ cluster, apply }) => {
  const first = 'CREATE TABLE one (x int);\nCREATE TABLE two (x int);';
  expect(await apply('deadlock', first)).toMatchObject({ code: 0 });
  const other: pg.Client = await connect(cluster, 0, 'deadlock');
  try {
    // So the program's statement is the one that PostgreSQL finds in the deadlock and ends.
    await other.query("SET deadlock_timeout = '60s'");
    await other.query('BEGIN');
    await other.query('LOCK TABLE two');
    const running = apply(
      'deadlock',
      `${first}\nBEGIN;\nLOCK TABLE one;\nLOCK TABLE two;\nINSERT INTO two VALUES (1);\nCOMMIT;`,
    );
    for (;;) {
      const waiting = `SELECT count(*)::int FROM pg_locks WHERE NOT granted AND relation = to_regclass('two')`;
      if ((await firstValue(cluster, 0, 'deadlock', waiting)) !== 0) break;
    }
    await other.query('LOCK TABLE one');
    await other.query('COMMIT');
    const { code, log } = await running;
    expect({ code, log }).toMatchObject({ code: 0 });
    expect(log).toContain('deadlock detected (SQLSTATE 40P01); rolled back, trying again');
  } finally {
    await other.end();
  }
  expect(await firstValue(cluster, 0, 'deadlock', 'SELECT count(*)::int FROM two')).toBe(1);
});

test('a row that another session changed meanwhile: a repeatable read runs again', async ({
  cluster,
  apply,
  waitsForLock,
}) => {
  const first = 'CREATE TABLE counted (x int);\nINSERT INTO counted VALUES (1);';
  expect(await apply('serial', first)).toMatchObject({ code: 0 });
  const other: pg.Client = await connect(cluster, 0, 'serial');
  try {
    await other.query('SELECT pg_advisory_lock(1)');
    const running = apply(
      'serial',
      `${first}
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM counted;
SELECT pg_advisory_xact_lock(1);
UPDATE counted SET x = x + 10;
COMMIT;`,
    );
    await waitsForLock('serial');
    await other.query('UPDATE counted SET x = x + 100');
    await other.query('SELECT pg_advisory_unlock(1)');
    const { code, log } = await running;
    expect({ code, log }).toMatchObject({ code: 0 });
    expect(log).toContain(
      'could not serialize access due to concurrent update (SQLSTATE 40001); rolled back, trying again',
    );
  } finally {
    await other.end();
  }
  expect(await firstValue(cluster, 0, 'serial', 'SELECT x FROM counted')).toBe(111);
});

test('a worker that takes no connection for a moment: the statement runs again', async ({
  cluster,
  apply,
  waitsForLock,
  failures,
}) => {
  if (cluster.kind !== 'real') return;
  const first = 'CREATE TABLE spread (x int);';
  expect(await apply('refusing', first)).toMatchObject({ code: 0 });
  const allow = (yes: boolean) =>
    query(cluster, 1, 'postgres', `UPDATE pg_database SET datallowconn = ${yes} WHERE datname = 'refusing'`);
  const other: pg.Client = await connect(cluster, 0, 'refusing');
  try {
    await other.query('SELECT pg_advisory_lock(1)');
    const running = apply(
      'refusing',
      `${first}\nSELECT pg_advisory_lock(1);\nSELECT create_distributed_table('spread', 'x', shard_count => 2);`,
    );
    await waitsForLock('refusing');
    const before = await failures();
    await allow(false);
    await other.query('SELECT pg_advisory_unlock(1)');
    while ((await failures()) === before) await setTimeout(50);
    await allow(true);
    const { code, log } = await running;
    expect({ code, log }).toMatchObject({ code: 0 });
    expect(log).toMatch(/\(SQLSTATE 08006\); rolled back, trying again/);
  } finally {
    await allow(true);
    await other.end();
  }
  expect(await firstValue(cluster, 0, 'refusing', 'SELECT count(*)::int FROM pg_dist_shard')).toBe(2);
});

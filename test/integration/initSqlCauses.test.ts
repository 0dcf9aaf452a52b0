import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { connect, type LocalCluster, startLocalCluster } from '../support/cluster.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** Statements of initSQL that fail for a reason which lies elsewhere: what passes, passes, and the rest is named. */

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await startLocalCluster({ workers: 1 });
});

afterAll(async () => {
  await cluster?.stop();
});

async function apply(name: string, initSQL: string, more: Document = {}): Promise<Outcome> {
  return await runProgram(cluster, ['apply'], specOf(cluster, [{ name, initSQL, ...more }]));
}

test('a statement that drops citus along with a schema is rolled back and refused by name', async () => {
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

test('a deadlock is rolled back, and the statement runs again', async () => {
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

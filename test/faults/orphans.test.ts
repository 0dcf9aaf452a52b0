import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/**
 * A server goes on with a statement whose client is dead. The next run begins while that statement is still under way,
 * and must neither trip over what it brings about nor do it twice.
 */

const test = clusterTest({ workers: 1 })
  /** Until a statement that begins so is under way on the node. */
  .extend('underWay', { scope: 'file' }, ({ cluster }) => async (group: number, beginning: string): Promise<void> => {
    const text = `SELECT count(*)::int FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()`;
    for (let attempt = 0; attempt < 600; attempt += 1) {
      const [row] = await query(cluster, group, 'postgres', text, [`%${beginning}%`]);
      if (row?.['count'] !== 0) return;
      await sleep(20);
    }
    throw new Error(`Nothing like ${beginning} was under way`);
  })
  /** Kills a run in the middle of the statement and starts the next one at once; `free` then lets the first one go on. */
  .extend(
    'killAndRerun',
    { scope: 'file' },
    ({ cluster, program, underWay }) =>
      async (group: number, beginning: string, database: Document, free: () => Promise<void>) => {
        const spec = specOf(cluster, [database]);
        const child = await program.start(cluster, ['apply'], spec);
        const ended = child.ended.catch((error: Error) => error.message);
        await underWay(group, beginning);
        child.kill('SIGKILL');
        expect(await ended).toBe('ended by SIGKILL');
        const freed = sleep(1_500).then(free);
        const { code, log, stderr } = await runProgram(cluster, ['apply'], spec);
        await freed;
        return { code, log, stderr };
      },
  );

test.for([0, 1])('CREATE DATABASE goes on, on the node of group %i', async (group, { cluster, killAndRerun }) => {
  const name = `orphan${group}`;
  // While somebody is connected to template1, CREATE DATABASE waits for up to 5 s, then fails with 55006.
  const occupant = await connect(cluster, group, 'template1');
  const outcome = await killAndRerun(group, `CREATE DATABASE "${name}"`, { name }, () => occupant.end());
  expect(outcome).toEqual({ code: 0, log: expect.stringContaining(`'${name}' is ready!`), stderr: '' });
});

test('CREATE EXTENSION goes on', async ({ cluster, killAndRerun }) => {
  const name = 'extended';
  expect((await runProgram(cluster, ['apply'], specOf(cluster, [{ name }]))).code).toBe(0);
  // A lock on pg_extension lets CREATE EXTENSION begin, and wait for its end.
  const blocker = await connect(cluster, 0, name);
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE pg_catalog.pg_extension IN SHARE MODE');
  const outcome = await killAndRerun(0, 'CREATE EXTENSION "hstore"', { name, extensions: ['hstore'] }, () =>
    blocker.end(),
  );
  expect(outcome).toEqual({ code: 0, log: expect.stringContaining(`'${name}' is ready!`), stderr: '' });
});

test('a statement of initSQL goes on: it takes effect once', async ({ cluster, killAndRerun }) => {
  const name = 'inserted';
  const initSQL = 'CREATE TABLE effects (a int);\nINSERT INTO effects SELECT 1 FROM pg_sleep(3);\nSELECT 1;';
  const outcome = await killAndRerun(0, 'INSERT INTO effects', { name, initSQL }, async () => {});
  expect(outcome).toEqual({ code: 0, log: expect.stringContaining(`'${name}' is ready!`), stderr: '' });
  expect(await firstValue(cluster, 0, name, 'SELECT count(*)::int FROM effects')).toBe(1);
});

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf, stable } from '../support/program.ts';
import { promoted } from '../support/restore.ts';
import { backUp } from './support/damagedDatabase.ts';

/**
 * Servers that were set back to an earlier moment. Of the coordinator's way back only its workers know, and what they learned
 * since is the last record of where the rows are; of a worker's, the coordinator. Needs real Citus: the stand-in has no shards.
 */

const real = await findRealCitus();
const DATABASE = 'younger';
/** With its owner, who is the server's. */
const copy = async (from: string, to: string) => await promisify(execFile)('cp', ['-a', from, to]);

const test = clusterTest({ workers: 2, citus: 'real' })
  .extend('run', { scope: 'file' }, ({ cluster }) => async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runProgram(cluster, args, specOf(cluster, [{ name: DATABASE }]));
    return { args, code, text: stable(cluster, `${stdout}${stderr}`) };
  })
  .extend('expectReady', { scope: 'file' }, ({ run }) => async (): Promise<void> => {
    for (const command of ['apply', 'verify']) {
      expect(await run(command)).toEqual({ args: [command], code: 0, text: expect.stringContaining('is ready!') });
    }
  })
  .extend('count', { scope: 'file' }, ({ cluster }) => async (group: number, table: string) => {
    const [row] = await query(cluster, group, DATABASE, `SELECT count(*)::int AS n FROM public.${table}`);
    return row?.['n'];
  })
  .extend('distribute', { scope: 'file' }, ({ cluster }) => async (table: string): Promise<void> => {
    await query(cluster, 0, DATABASE, `CREATE TABLE public.${table} (id int PRIMARY KEY, v text)`);
    await query(cluster, 0, DATABASE, `SELECT create_distributed_table('public.${table}', 'id', shard_count => 4)`);
    await query(cluster, 0, DATABASE, `INSERT INTO public.${table} SELECT i, 'x' FROM generate_series(1, 1000) i`);
  })
  /** Worker 1, on the timeline that comes next. */
  .extend('failOver', { scope: 'file' }, ({ cluster }) => async (): Promise<void> => {
    const node = nodeOf(cluster, 1);
    await node.stop();
    await writeFile(path.join(node.dataDirectory, 'standby.signal'), '');
    await node.start();
    await query(cluster, 1, 'postgres', 'SELECT pg_promote()');
    await promoted(cluster, node);
    await query(cluster, 1, 'postgres', 'CHECKPOINT');
  });

describe.skipIf(real === undefined)('a coordinator that was set back', () => {
  test('a table that is younger: refused by every command, and nothing is taken from the workers', async ({
    cluster,
    run,
    expectReady,
    count,
    distribute,
  }) => {
    await expectReady();
    await distribute('older');
    await expectReady();
    const setBack = await backUp(cluster, 0);
    await distribute('orders');
    await distribute('"Odd, name"');
    await expectReady();
    const restore = await backUp(cluster, 0);

    await setBack();
    for (const args of [['plan'], ['verify'], ['apply'], ['rebalance', DATABASE], ['drain', '2']]) {
      expect(await run(...args)).toEqual({
        args,
        code: 3,
        text: expect.stringMatching(
          /The coordinator does not know tables, or shards of them, that its workers know: public\."Odd, name", public\.orders\./,
        ),
      });
    }
    // Workers read all shards by what they know, as the message says.
    for (const group of [1, 2]) expect(await count(group, 'orders')).toBe(1000);
    expect(await count(0, 'older')).toBe(1000);

    await restore();
    await expectReady();
    for (const group of [0, 1, 2]) expect(await count(group, 'orders')).toBe(1000);
    expect(await count(1, '"Odd, name"')).toBe(1000);
  });

  test('a table dropped and created again since, with a shard that was moved: nothing is taken from the workers', async ({
    cluster,
    run,
    expectReady,
    count,
    distribute,
  }) => {
    await distribute('again');
    const setBack = await backUp(cluster, 0);
    await query(cluster, 0, DATABASE, 'DROP TABLE public.again');
    await distribute('again');
    await query(
      cluster,
      0,
      DATABASE,
      `SELECT citus_move_shard_placement(s.shardid, f.nodename, f.nodeport, t.nodename, t.nodeport, 'block_writes')
       FROM (SELECT min(shardid) AS shardid FROM pg_dist_shard WHERE logicalrelid = 'public.older'::regclass) s
       JOIN pg_dist_placement p USING (shardid) JOIN pg_dist_node f USING (groupid), pg_dist_node t
       WHERE t.groupid = 3 - p.groupid`,
    );
    const restore = await backUp(cluster, 0);

    await setBack();
    for (const args of [['plan'], ['verify'], ['apply'], ['rebalance', DATABASE], ['drain', '1']]) {
      const outcome = await run(...args);
      expect(outcome).toEqual({ args, code: 3, text: expect.stringMatching(/that its workers know: public\.again\./) });
      expect(outcome.text).toMatch(/The coordinator places shards of public\.[\s\S]* elsewhere than its workers do/);
    }
    expect(await count(1, 'again')).toBe(1000);
    expect(await count(2, 'older')).toBe(1000);

    await restore();
    await expectReady();
    for (const group of [0, 1, 2]) expect(await count(group, 'again')).toBe(1000);
  });
});

describe.skipIf(real === undefined)('a worker that was set back', () => {
  test('its timeline does not lead through the one that it was on, or is another one of the same number', async ({
    cluster,
    run,
    expectReady,
    count,
    distribute,
    failOver,
  }) => {
    const node = nodeOf(cluster, 1);
    const history = path.join(node.dataDirectory, 'pg_wal', '00000002.history');
    const insert = (from: number) =>
      query(cluster, 0, DATABASE, `INSERT INTO public.rows SELECT i FROM generate_series(${from}, ${from + 999}) i`);
    const grow = () => query(cluster, 1, 'postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
    await expectReady();
    await distribute('rows');
    const beyond = await backUp(cluster, 1);
    const again = await backUp(cluster, 1);
    await insert(1001);
    await grow();
    await failOver();
    await insert(2001);
    await grow();
    await expectReady();
    const kept = `${node.dataDirectory}.history`;
    await copy(history, kept);
    const newest = await backUp(cluster, 1);

    // Along its own timeline, where the number of the second one is taken.
    await beyond();
    await copy(kept, history);
    const settings = path.join(node.dataDirectory, 'postgresql.conf');
    await writeFile(settings, `${await readFile(settings, 'utf8')}\nrecovery_target_timeline = '1'\n`);
    await failOver();
    for (const command of ['plan', 'verify', 'apply']) {
      expect(await run(command)).toEqual({
        args: [command],
        code: 3,
        text: expect.stringMatching(/the history of its timeline 3 does not lead through timeline 2, and it was at/),
      });
    }

    // Without an archive the number is given again; its log has grown beyond what it was.
    await again();
    await failOver();
    for (let i = 0; i < 5; i += 1) {
      await query(cluster, 1, 'postgres', 'CREATE TABLE IF NOT EXISTS junk (i int); INSERT INTO junk VALUES (1)');
      await grow();
    }
    for (const command of ['plan', 'verify', 'apply']) {
      expect(await run(command)).toEqual({
        args: [command],
        code: 3,
        text: expect.stringMatching(
          /its timeline 2 came from timeline 1 at \S+, and it was at \S+ of timeline 2, which came/,
        ),
      });
    }

    await newest();
    await expectReady();
    expect(await count(0, 'rows')).toBe(3000);
  });
});

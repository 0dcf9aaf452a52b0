import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { catalogsOf } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

/** Runs that make a database, and runs that drop it, at the same time. */

const test = clusterTest({ workers: 1, serverSettings: { max_connections: '200' } }).extend(
  'run',
  { scope: 'file' },
  ({ cluster }) =>
    async (args: readonly string[], name: string): Promise<Outcome> => {
      return await runProgram(cluster, args, specOf(cluster, [database(name)]));
    },
);

const database = (name: string) => ({
  name,
  extensions: ['hstore'],
  schemas: ['app'],
  parameters: { work_mem: '5MB' },
  initSQL: "CREATE TABLE t (a int);\nSELECT create_distributed_table('t', 'a');\nINSERT INTO t VALUES (1);",
});

test('apply and drop of one database: each sees a whole database or none', { timeout: 300_000 }, async ({
  cluster,
  run,
}) => {
  for (let round = 0; round < 3; round += 1) {
    const applies = [0, 1, 2].map((index) => sleep(index * 150 * Math.random()).then(() => run(['apply'], 'raced')));
    const drops = [0, 1].map(() =>
      sleep(600 * Math.random()).then(() => run(['drop', 'raced', '--confirm', 'raced'], 'raced')),
    );
    for (const { code, log, stderr } of await Promise.all([...applies, ...drops])) {
      expect({ code, log, stderr }).toEqual({
        code: 0,
        log: expect.stringMatching(/is ready!|is gone|does not exist/),
        stderr: '',
      });
    }
  }
  expect((await run(['apply'], 'raced')).code).toBe(0);
  expect(await run(['apply'], 'raced')).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
  expect(await query(cluster, 0, 'raced', 'SELECT count(*)::int FROM t')).toEqual([{ count: 1 }]);
  expect((await run(['verify'], 'raced')).code).toBe(0);
});

test('a drop beside the registration of other databases', { timeout: 300_000 }, async ({ cluster, run }) => {
  expect((await run(['apply'], 'leaving')).code).toBe(0);
  const outcomes = await Promise.all([
    run(['drop', 'leaving', '--confirm', 'leaving'], 'leaving'),
    ...['one', 'two', 'three', 'four'].map((name) => run(['apply'], name)),
  ]);
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  expect(await catalogsOf(cluster, 'leaving')).toEqual([undefined, undefined]);
  for (const name of ['one', 'two', 'three', 'four']) {
    const nodes = ['1 0 node0 t t', '2 1 node1 t t'];
    expect((await catalogsOf(cluster, name)).map((catalog) => catalog?.nodes)).toEqual([nodes, nodes]);
  }
});

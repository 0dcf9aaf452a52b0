import { expect } from 'vitest';
import { query } from '../support/cluster.ts';
import { type Document, runProgram } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { choose, describePoint, pointsOf, summary } from './support/points.ts';

/** A drop that is cut off at any statement is finished by the next one. */

const NAME = 'leaving';
const SAMPLE = 6;
const TITLE = 'Drops cut';

const test = laboratoryTest()
  .extend(
    'run',
    { scope: 'file' },
    ({ laboratory }) =>
      async (...args: readonly string[]): Promise<{ readonly code: number; readonly log: string }> => {
        const database: Document = {
          name: NAME,
          maxAttempts: 8,
          retryDelaySeconds: 1,
          initSQL: "CREATE TABLE t (a int);\nSELECT create_distributed_table('t', 'a');",
        };
        const { code, log, stderr } = await runProgram(laboratory.cluster, args, laboratory.spec(database));
        return { code, log: log + stderr };
      },
  )
  .extend(
    'drop',
    { scope: 'file' },
    ({ run }) =>
      () =>
        run('drop', NAME, '--confirm', NAME),
  )
  .extend('resetAll', { scope: 'file' }, ({ laboratory }) => (): void => {
    for (const proxy of laboratory.proxies) proxy.reset();
  })
  .extend('traces', { scope: 'file' }, ({ laboratory }) => async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for (const { group } of laboratory.cluster.nodes) {
      const databases = await query(
        laboratory.cluster,
        group,
        'postgres',
        `SELECT FROM pg_database WHERE datname = '${NAME}'`,
      );
      if (databases.length > 0) found.push(`${group}: the database`);
    }
    const rows = await query(laboratory.cluster, 0, 'postgres', 'SELECT state FROM citus_databases.managed_database');
    return [...found, ...rows.map(({ state }) => `0: its row, ${state}`)];
  });

test('a drop cut at any statement', { timeout: 3_600_000 }, async ({ laboratory, run, drop, resetAll, traces }) => {
  expect((await run('apply')).code).toBe(0);
  resetAll();
  expect((await drop()).code).toBe(0);
  const points = laboratory.proxies.flatMap(({ group, messages }) => pointsOf(group, messages()));
  const chosen = choose(TITLE, points, SAMPLE);
  let tried = 0;
  const failures: string[] = [];
  for (const point of chosen) {
    resetAll();
    const made = await run('apply');
    if (made.code !== 0) failures.push(`${describePoint(point)}: apply ended with ${made.code}\n${made.log}`);
    resetAll();
    laboratory.proxy(point.group).reset({ at: point.at, moment: point.moment });
    const broken = await drop();
    if (laboratory.proxy(point.group).struck()) tried += 1;
    resetAll();
    const rerun = await drop();
    const left = await traces();
    if (rerun.code !== 0 || left.length > 0 || broken.log.includes('has a defect')) {
      failures.push(`${describePoint(point)}: ${rerun.code}, left: ${left}\n${broken.log}\n--- rerun\n${rerun.log}`);
      await laboratory.clean(NAME);
    }
  }
  const survived = tried - failures.length;
  console.log(summary(TITLE, { tried, of: points.length, survived }, chosen));
  expect(failures).toEqual([]);
});

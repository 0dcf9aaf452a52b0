import { describe, expect } from 'vitest';
import { catalogsOf, firstValue, list } from '../support/catalog.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** Runs that are stopped, politely or not, and what the next run makes of it. */

const test = clusterTest({ workers: 1 }).extend(
  'advisoryLocks',
  { scope: 'file' },
  ({ cluster }) =>
    async (): Promise<unknown> => {
      return await firstValue(
        cluster,
        0,
        'postgres',
        "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = 'postgres')",
      );
    },
);

const SLOW = `CREATE TABLE before_it (a int);
SELECT pg_sleep(60);
CREATE TABLE after_it (a int);`;

describe.each([
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const)('%s while initSQL runs', (signal, exitCode) => {
  const name = `stopped_${exitCode}`;

  test('ends in time, says how far it got, and lets the lock go', async ({ cluster, program, advisoryLocks }) => {
    const child = await program.start(cluster, ['apply'], specOf(cluster, [{ name, initSQL: SLOW }]));
    await child.printed('Line 2: SELECT pg_sleep(60)');
    expect(await advisoryLocks()).toBe(1);
    const at = performance.now();
    child.kill(signal);
    const { code, log } = await child.ended;
    expect(performance.now() - at).toBeLessThan(10_000);
    expect(code).toBe(exitCode);
    expect(log).not.toContain('is ready!\n====');
    expect(log.slice(log.indexOf('Step 7'))).toBe(`Step 7: Running custom initialization SQL...
  Line 1: CREATE TABLE before_it (a int)
  Line 2: SELECT pg_sleep(60)
Stopped by ${signal} in database '${name}', step 7, the last line being: Line 2: SELECT pg_sleep(60). It is not ready; what is done stays done: run again to go on
`);
    expect(await advisoryLocks()).toBe(0);
    expect(
      await list(
        cluster,
        0,
        'postgres',
        `SELECT query FROM pg_stat_activity WHERE datname = '${name}' AND query LIKE '%pg_sleep%' AND state = 'active'`,
      ),
    ).toEqual([]);
  });

  test('the next run goes on with the statement that was stopped', async ({ cluster }) => {
    const spec = specOf(cluster, [{ name, initSQL: SLOW.replace('60', '0') }]);
    const { code, log } = await runProgram(cluster, ['apply'], spec);
    expect(code).toBe(0);
    expect(log).toContain('Line 2: SELECT pg_sleep(0)');
    expect(log).not.toContain('Line 1:');
    expect(await firstValue(cluster, 0, name, "SELECT to_regclass('after_it') IS NOT NULL")).toBe(true);
  });
});

test('standard output is closed: it stops as for a signal, and says so on standard error', async ({
  cluster,
  program,
  advisoryLocks,
}) => {
  const name = 'unread';
  const spec = specOf(cluster, [{ name, initSQL: `${SLOW.replace('60', '1')}\n${SLOW.replaceAll('_it', '_it_too')}` }]);
  const child = await program.start(cluster, ['apply'], spec);
  await child.printed('Line 2: SELECT pg_sleep(1)');
  child.closeStandardOutput();
  const { code, stderr } = await child.ended;
  expect(code).toBe(141);
  expect(stderr).toMatch(
    /^Stopped because standard output was closed in database 'unread', step 7, .* It is not ready; what is done stays done: run again to go on\n$/,
  );
  expect(await advisoryLocks()).toBe(0);
  expect(await firstValue(cluster, 0, name, "SELECT to_regclass('after_it_too')")).toBeNull();
});

test('SIGTERM while it waits for another run', async ({ cluster, program }) => {
  const slow = specOf(cluster, [{ name: 'queue', initSQL: SLOW }]);
  const holder = await program.start(cluster, ['apply'], slow);
  await holder.printed('Line 2:');
  const waiting = await program.start(cluster, ['apply'], slow);
  await waiting.printed("Waiting for another run on database 'queue'");
  waiting.kill('SIGTERM');
  expect((await waiting.ended).code).toBe(143);
  holder.kill('SIGKILL');
  await expect(holder.ended).rejects.toThrow('SIGKILL');
});

test('SIGTERM while it waits for a node', async ({ cluster, program }) => {
  const [, worker] = cluster.nodes;
  await worker?.stop();
  try {
    const child = await program.start(cluster, ['apply'], specOf(cluster, [{ name: 'nowhere' }]));
    await child.printed('Waiting for worker');
    const at = performance.now();
    child.kill('SIGTERM');
    const { code } = await child.ended;
    expect(code).toBe(143);
    expect(performance.now() - at).toBeLessThan(5_000);
  } finally {
    await worker?.start();
  }
});

test('killed at any step, the next run ends in the state of an undisturbed one', async ({ cluster, program }) => {
  const declared = {
    extensions: ['hstore', 'citext'],
    schemas: [{ name: 'analytics' }],
    parameters: { work_mem: '6MB' },
    initSQL:
      "CREATE TABLE t (a int);\nSELECT create_distributed_table('t', 'a');\nINSERT INTO t SELECT generate_series(1, 10);",
  } satisfies Document;
  async function finish(name: string): Promise<readonly unknown[]> {
    const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [{ name, ...declared }]));
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
    return await catalogsOf(cluster, name);
  }
  const undisturbed = await finish('undisturbed');
  // One for each kind of step; test/faults tries all.
  const moments = ["Creating database 'killed", 'Step 6', 'Line 2'];
  for (const [index, moment] of moments.entries()) {
    const name = `killed${index}`;
    const child = await program.start(cluster, ['apply'], specOf(cluster, [{ name, ...declared }]));
    await child.printed(moment);
    child.kill('SIGKILL');
    await child.ended.catch(() => undefined);
    expect({ moment, catalogs: await finish(name) }).toEqual({ moment, catalogs: undisturbed });
    expect(await firstValue(cluster, 1, name, 'SELECT count(*)::int FROM t')).toBe(10);
  }
});

test('killed in the middle of a statement that the server goes on with: it takes effect once', async ({
  cluster,
  program,
}) => {
  const initSQL = 'CREATE TABLE once (a int);\nINSERT INTO once SELECT 1 FROM pg_sleep(4);\nSELECT count(*) FROM once;';
  const spec = specOf(cluster, [{ name: 'orphaned', initSQL }]);
  const child = await program.start(cluster, ['apply'], spec);
  await child.printed('Line 2:');
  child.kill('SIGKILL');
  await child.ended.catch(() => undefined);
  const { code, log } = await runProgram(cluster, ['apply'], spec);
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("Database 'orphaned' is ready!") });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(await firstValue(cluster, 0, 'orphaned', 'SELECT count(*)::int FROM once')).toBe(1);
});

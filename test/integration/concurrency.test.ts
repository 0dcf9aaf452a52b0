import { expect } from 'vitest';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** Runs that do not know of each other, as Jobs of Kubernetes; most in one process where that saves starting 16 of them. */

const test = clusterTest({
  workers: 1,
  serverSettings: { max_connections: '400', max_worker_processes: '64', shared_buffers: '32MB' },
}).extend(
  'applyAll',
  { scope: 'file' },
  ({ program, cluster }) =>
    async (databases: readonly Document[]): Promise<readonly Outcome[]> => {
      return await Promise.all(
        databases.map((database) => program.run(cluster, ['apply'], specOf(cluster, [database]))),
      );
    },
);

function expectReady(outcomes: readonly Outcome[]): void {
  for (const { code, log, stderr } of outcomes) {
    expect({ code, log, stderr }).toEqual({ code: 0, log: expect.stringContaining('is ready!\n===='), stderr: '' });
    expect(log).not.toContain('ERROR');
  }
}

test('20 runs of one database: one makes it, the others find nothing to do', { timeout: 180_000 }, async ({
  cluster,
  program,
}) => {
  const database = {
    name: 'contested',
    extensions: ['hstore'],
    initSQL: "CREATE TABLE t (a int);\nSELECT create_distributed_table('t', 'a');\nINSERT INTO t VALUES (1);",
  };
  const spec = specOf(cluster, [database]);
  const outcomes = await Promise.all([
    ...Array.from({ length: 4 }, () => program.run(cluster, ['apply'], spec)),
    ...Array.from({ length: 16 }, () => runProgram(cluster, ['apply'], spec)),
  ]);
  expectReady(outcomes);
  expect(outcomes.filter(({ log }) => !log.includes('Nothing was changed'))).toHaveLength(1);
  expect(
    outcomes.some(({ log }) =>
      log.includes("Waiting for another run on database 'contested': held by citus-databases apply"),
    ),
  ).toBe(true);
  expect(await firstValue(cluster, 1, 'contested', 'SELECT count(*)::int FROM t')).toBe(1);
});

test('20 databases at the same time, all with the same owner', { timeout: 180_000 }, async ({ cluster, applyAll }) => {
  const databases = Array.from({ length: 20 }, (_, index) => ({
    name: `db${index}`,
    extensions: ['hstore'],
    parameters: { work_mem: '5MB' },
  }));
  expectReady(await applyAll(databases));
  for (const { name } of databases) {
    const nodes = ['1 0 node0 t t', '2 1 node1 t t'];
    expect((await catalogsOf(cluster, name)).map((catalog) => catalog?.nodes)).toEqual([nodes, nodes]);
  }
});

import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect } from 'vitest';
import { benchSpec, buildProgram, type Program } from '../../bench/program.ts';
import { type ConnectionCount, type CountingProxy, startProxy } from '../../bench/proxy.ts';
import { busiestWorker, countOf } from '../../bench/report.ts';
import type { LocalCluster } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { specOf } from '../support/program.ts';

const WORKERS = [1, 2, 4];

const test = clusterTest({ workers: Math.max(...WORKERS) })
  /** The first so many workers alone. */
  .extend('part', { scope: 'file' }, ({ cluster }) => (workers: number): LocalCluster => {
    return { ...cluster, nodes: cluster.nodes.slice(0, workers + 1) };
  })
  .extend('applied', { scope: 'file' }, ({ part }) => async (workers: number): Promise<readonly ConnectionCount[]> => {
    const spec = benchSpec(part(workers), `with_${workers}`, proxy.nodes);
    const { code, output } = await program.run(['apply'], spec);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('is ready!') });
    return proxy.take();
  })
  .extend('run', { scope: 'file' }, ({ part }) => async (atOnce: number) => {
    const spec = benchSpec(part(2), databases, proxy.nodes);
    proxy.takePeaks();
    const { code, output } = await program.run(['apply', '--databases-at-once', String(atOnce)], spec);
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('is ready!') });
    return { counts: proxy.take(), peaks: proxy.takePeaks() };
  });
let proxy: CountingProxy;
let program: Program;
const first = new Map<number, readonly ConnectionCount[]>();
const again = new Map<number, readonly ConnectionCount[]>();

test.beforeAll(async ({ cluster, applied }) => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  program = await buildProgram(root);
  proxy = await startProxy(cluster.nodes);
  // The very first run makes the bookkeeping table as well; here they all find it.
  for (const workers of WORKERS) {
    first.set(workers, await applied(workers));
    again.set(workers, await applied(workers));
  }
});

afterAll(async () => {
  await proxy?.close();
});

describe('messages with an answer', () => {
  test.for(WORKERS)(
    'a run that changes nothing needs at most 4 for each node, with %i workers',
    (workers, { part }) => {
      const counts = again.get(workers) ?? [];
      const perNode = part(workers).nodes.map(({ group }) => countOf(counts, group));
      for (const { messages, connections } of perNode) {
        expect(messages).toBeGreaterThan(0);
        expect(messages).toBeLessThanOrEqual(4);
        // To the maintenance database, and to the one that is declared.
        expect(connections).toBe(2);
      }
    },
  );

  test('the longest path of a first run is the same with any number of workers', () => {
    const paths = WORKERS.map((workers) => {
      const counts = first.get(workers) ?? [];
      return { coordinator: countOf(counts, 0), worker: busiestWorker(counts) };
    });
    const [one] = paths;
    expect(one?.coordinator.messages).toBeGreaterThan(10);
    expect(one?.worker.messages).toBeGreaterThan(5);
    expect(paths).toEqual(paths.map(() => one));
  });

  test('no worker is asked more than another', ({ part }) => {
    for (const workers of WORKERS) {
      const counts = first.get(workers) ?? [];
      const perWorker = part(workers)
        .nodes.slice(1)
        .map(({ group }) => countOf(counts, group));
      expect(perWorker).toEqual(perWorker.map(() => perWorker[0]));
    }
  });
});

const databases = Array.from({ length: 6 }, (_, index) => `of_six_${index}`);

describe('several databases in one run', () => {
  test('a run that changes nothing asks for each of them as a run for one does, and gives the lock back', async ({
    part,
    run,
  }) => {
    await run(3);
    const { counts, peaks } = await run(3);
    for (const { group } of part(2).nodes) {
      const one = countOf(again.get(2) ?? [], group);
      const { messages, connections } = countOf(counts, group);
      expect(messages).toBe(databases.length * (one.messages + (group === 0 ? 1 : 0)));
      // To the maintenance database once for each place, to each database once.
      expect(connections).toBe(3 + databases.length);
      expect(peaks.get(group)).toBeLessThanOrEqual(2 * 3);
    }
  });

  test('plan asks each node once for each that is not there, and once for what all of them share', async ({ part }) => {
    const asked = async (count: number) => {
      const names = Array.from({ length: count }, (_, index) => `absent_${index}`);
      const { code, output } = await program.run(['plan'], benchSpec(part(2), names, proxy.nodes));
      expect({ code, output }).toEqual({ code: 10, output: expect.stringContaining('does not exist yet') });
      return proxy.take();
    };
    const [few, many] = [await asked(2), await asked(10)];
    for (const { group } of part(2).nodes) {
      const perDatabase = (countOf(many, group).messages - countOf(few, group).messages) / 8;
      expect(perDatabase).toBe(1);
    }
  });

  test('many more of them take little more memory', async ({ part }) => {
    const few = await program.measureMemory(['apply'], benchSpec(part(2), databases.slice(0, 1)));
    const all = await program.measureMemory(['apply'], benchSpec(part(2), databases));
    expect([few.code, all.code]).toEqual([0, 0]);
    expect(all.peakMegabytes).toBeGreaterThan(20);
    expect(all.peakMegabytes).toBeLessThanOrEqual((few.peakMegabytes ?? 0) + 25);
  });
});

test('a run takes at most 90 MB of memory', async ({ cluster }) => {
  const first = await program.measureMemory(['apply'], benchSpec(cluster, 'memory'));
  const again = await program.measureMemory(['apply'], benchSpec(cluster, 'memory'));
  expect([first.code, again.code]).toEqual([0, 0]);
  for (const { peakMegabytes } of [first, again]) {
    expect(peakMegabytes).toBeGreaterThan(20);
    expect(peakMegabytes).toBeLessThanOrEqual(90);
  }
});

test('reading initSQL takes no more than the parser and its tables: no optimizing compiler', async ({ cluster }) => {
  const statement = 'SELECT a.id, md5(a.id::text) FROM generate_series(1, 3) a (id) WHERE a.id % 2 = 0 ORDER BY 1;';
  const database = { name: 'memory_of_initsql', initSQL: Array<string>(300).fill(statement).join('\n') };
  const { code, output, peakMegabytes } = await program.measureMemory(['apply'], specOf(cluster, [database]));
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('is ready!') });
  expect(peakMegabytes).toBeGreaterThan(20);
  expect(peakMegabytes).toBeLessThanOrEqual(110);
});

test('what initSQL returns, and what it warns of, is not kept', async ({ cluster }) => {
  const rows = "SELECT n, repeat('x', 1000) FROM generate_series(1, 200000) n";
  const warnings = "DO $$ BEGIN FOR n IN 1..100000 LOOP RAISE WARNING '% %', n, repeat('x', 1000); END LOOP; END $$";
  const database = {
    name: 'flood',
    initSQL: [rows, `BEGIN; ${rows}; ${rows}; COMMIT`, warnings].join(';\n'),
    initSQLPolicy: 'always',
  };
  const { code, output, peakMegabytes } = await program.measureMemory(['apply'], specOf(cluster, [database]));
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('is ready!') });
  expect(peakMegabytes).toBeGreaterThan(20);
  expect(peakMegabytes).toBeLessThanOrEqual(160);
});

test('the bundle stays below 1.2 MB', async () => {
  const { size } = await stat(program.bundle);
  expect(size).toBeGreaterThan(100_000);
  expect(size).toBeLessThanOrEqual(1_200_000);
});

import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { benchSpec, buildProgram, type Program } from '../../bench/program.ts';
import { type ConnectionCount, type CountingProxy, startProxy } from '../../bench/proxy.ts';
import { busiestWorker, countOf } from '../../bench/report.ts';
import { type LocalCluster, startLocalCluster } from '../support/cluster.ts';

const WORKERS = [1, 2, 4];

let cluster: LocalCluster;
let proxy: CountingProxy;
let program: Program;
const first = new Map<number, readonly ConnectionCount[]>();
const again = new Map<number, readonly ConnectionCount[]>();

/** The first so many workers alone. */
function part(workers: number): LocalCluster {
  return { ...cluster, nodes: cluster.nodes.slice(0, workers + 1) };
}

async function applied(workers: number): Promise<readonly ConnectionCount[]> {
  const spec = benchSpec(part(workers), `with_${workers}`, proxy.nodes);
  const { code, output } = await program.run(['apply'], spec);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('is ready!') });
  return proxy.take();
}

beforeAll(async () => {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  [cluster, program] = await Promise.all([startLocalCluster({ workers: Math.max(...WORKERS) }), buildProgram(root)]);
  console.log(`Citus: ${cluster.description}`);
  proxy = await startProxy(cluster.nodes);
  // The very first run makes the bookkeeping table as well; here they all find it.
  for (const workers of WORKERS) {
    first.set(workers, await applied(workers));
    again.set(workers, await applied(workers));
  }
});

afterAll(async () => {
  await proxy?.close();
  await program?.remove();
  await cluster?.stop();
});

describe('messages with an answer', () => {
  test.each(WORKERS)('a run that changes nothing needs at most 4 for each node, with %i workers', (workers) => {
    const counts = again.get(workers) ?? [];
    const perNode = part(workers).nodes.map(({ group }) => countOf(counts, group));
    for (const { messages, connections } of perNode) {
      expect(messages).toBeGreaterThan(0);
      expect(messages).toBeLessThanOrEqual(4);
      // To the maintenance database, and to the one that is declared.
      expect(connections).toBe(2);
    }
  });

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

  test('no worker is asked more than another', () => {
    for (const workers of WORKERS) {
      const counts = first.get(workers) ?? [];
      const perWorker = part(workers)
        .nodes.slice(1)
        .map(({ group }) => countOf(counts, group));
      expect(perWorker).toEqual(perWorker.map(() => perWorker[0]));
    }
  });
});

test('a run takes at most 90 MB of memory', async () => {
  const first = await program.measureMemory(['apply'], benchSpec(cluster, 'memory'));
  const again = await program.measureMemory(['apply'], benchSpec(cluster, 'memory'));
  expect([first.code, again.code]).toEqual([0, 0]);
  for (const { peakMegabytes } of [first, again]) {
    expect(peakMegabytes).toBeGreaterThan(20);
    expect(peakMegabytes).toBeLessThanOrEqual(90);
  }
});

test('the bundle stays below 1.6 MB', async () => {
  const { size } = await stat(program.bundle);
  expect(size).toBeGreaterThan(100_000);
  expect(size).toBeLessThanOrEqual(1_600_000);
});

import { expect, test } from 'vitest';
import type { Session } from '../../../src/postgres/connection.ts';
import { observeAvailabilityOf } from '../../../src/reconcile/observe.ts';
import { createRun, type SharedAnswers } from '../../../src/reconcile/run.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';

const node = (group: number): NodeSpec => ({
  group,
  host: `n${group}`,
  port: 5432,
  nodeName: `n${group}`,
  nodePort: 5432,
});
const HSTORE = { name: 'hstore', version: undefined, schema: undefined };
const TRGM = { name: 'pg_trgm', version: undefined, schema: undefined };

/** Runs for two databases of one command, and the nodes that were asked. The first so many answers are errors. */
function command(shared: SharedAnswers | undefined, failures = 0) {
  const asked: number[] = [];
  const script = (group: number) => async () => {
    asked.push(group);
    if (asked.length <= failures) throw new Error('a defect');
    return [{ rows: [{ observed: '{"availableExtensions": []}' }] }];
  };
  const run = (name: string) =>
    createRun({
      database: { name, maxAttempts: 1, retryDelaySeconds: 1 },
      labels: new Map(),
      signal: new AbortController().signal,
      sessions: { get: async ({ group }: NodeSpec) => ({ script: script(group) }) as unknown as Session },
      ...(shared === undefined ? {} : { shared }),
    } as unknown as Parameters<typeof createRun>[0]);
  return { asked, runs: [run('a'), run('b')] as const };
}

test('what the files of a server offer is asked once for each node and question', async () => {
  const { asked, runs } = command(new Map());
  for (const run of runs) {
    await Promise.all([0, 1].map((group) => observeAvailabilityOf(run, node(group), [HSTORE])));
  }
  expect(asked).toEqual([0, 1]);
  await observeAvailabilityOf(runs[1], node(1), [HSTORE, TRGM]);
  expect(asked).toEqual([0, 1, 1]);
});

test('databases that ask at the same time share one question', async () => {
  const { asked, runs } = command(new Map());
  await Promise.all(runs.map((run) => observeAvailabilityOf(run, node(1), [HSTORE])));
  expect(asked).toEqual([1]);
});

test('a failure is not kept', async () => {
  const { asked, runs } = command(new Map(), 1);
  await expect(observeAvailabilityOf(runs[0], node(1), [HSTORE])).rejects.toThrow('Failed to read the catalogs');
  expect(await observeAvailabilityOf(runs[1], node(1), [HSTORE])).toEqual([]);
  expect(asked).toEqual([1, 1]);
});

test('where nothing is shared, each database asks', async () => {
  const { asked, runs } = command(undefined);
  for (const run of runs) await observeAvailabilityOf(run, node(1), [HSTORE]);
  expect(asked).toEqual([1, 1]);
});

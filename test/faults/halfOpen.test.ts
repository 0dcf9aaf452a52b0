import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { FaultProxy } from '../support/faultProxy.ts';
import { type Document, type Outcome, runProgram } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { sampleOf } from './support/sample.ts';

/** A node that takes everything and says nothing: its machine froze, or a firewall forgot the connection. */

const test = laboratoryTest()
  .extend('apply', { scope: 'file' }, ({ laboratory }) => async (database: Document): Promise<Outcome> => {
    return await runProgram(laboratory.cluster, ['apply'], laboratory.spec({ ...PATIENCE, ...database }));
  })
  /** Which message to a node is CREATE DATABASE, from a run that was not disturbed. */
  .extend('creation', { scope: 'file' }, ({ laboratory, apply }) => async (group: number) => {
    const proxy = laboratory.proxy(group);
    for (const each of laboratory.proxies) each.reset();
    expect((await apply({ name: 'measured' })).code).toBe(0);
    const at = positionOf(proxy, 'CREATE DATABASE');
    await laboratory.clean('measured');
    return { proxy, at };
  });

const PATIENCE = { maxAttempts: 2, retryDelaySeconds: 1 };

function positionOf(proxy: FaultProxy, beginning: string): number {
  const at = proxy.messages().findIndex((text) => text.startsWith(beginning)) + 1;
  if (at === 0) throw new Error(`No message begins with ${beginning}`);
  return at;
}

function disturb(proxy: FaultProxy, at: number): void {
  proxy.reset({ at, moment: 'before', silent: true });
}

test('silent from the start: given up after maxAttempts, each with its own deadline', async ({ laboratory, apply }) => {
  laboratory.proxy(1).silence();
  const { code, log, milliseconds } = await apply({ name: 'mute' });
  laboratory.proxy(1).reset();
  expect({ code, log }).toEqual({
    code: 1,
    log: expect.stringMatching(/Worker .* did not become ready after 2 attempts/),
  });
  // Two attempts of 5 s for the connection and as much for the answer; the rest is for a busy machine.
  expect(milliseconds).toBeLessThan(60_000);
});

// A minute each, most of it spent waiting.
const SILENT: readonly (readonly [string, number])[] = [
  ['the coordinator', 0],
  ['a worker', 2],
];

test.for(sampleOf('Silent', SILENT, 1))(
  '%s falls silent and stays so: the run ends, the next one finishes',
  { timeout: 600_000 },
  async ([_, group], { laboratory, apply, creation }) => {
    const { proxy, at } = await creation(group);

    disturb(proxy, at);
    const broken = await apply({ name: 'frozen' });
    expect(broken.code).toBe(1);
    expect(broken.log).toMatch(/No answer from|does not answer any more|was lost/);
    // 30 s until the server is looked after, two looks of 10 s each, 30 s of retries whose last may take 10 s; then the
    // sessions that are open are closed, 2 s each. Twice that, for a machine that has other things to do.
    expect(broken.milliseconds).toBeLessThan(240_000);
    expect(proxy.struck()).toBe(true);
    for (const each of laboratory.proxies) each.reset();
    const rerun = await apply({ name: 'frozen' });
    expect({ code: rerun.code, log: rerun.log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
    await laboratory.clean('frozen');
  },
);

test.for(sampleOf('Swallowed', SILENT, 1))(
  '%s executes a statement and its answer is swallowed: the run ends, the next one finishes',
  { timeout: 600_000 },
  async ([_, group], { laboratory, apply, creation }) => {
    const { proxy, at } = await creation(group);

    proxy.reset({ at, moment: 'answered', swallowed: true });
    const broken = await apply({ name: 'swallowed' });
    expect({ code: broken.code, log: broken.log }).toEqual({
      code: 1,
      log: expect.stringContaining(
        `:${proxy.port} does not answer any more: its server process waits for this program`,
      ),
    });
    // Two looks of 30 s; twice that, for a machine that has other things to do.
    expect(broken.milliseconds).toBeLessThan(150_000);
    expect(proxy.struck()).toBe(true);
    proxy.reset();
    const rerun = await apply({ name: 'swallowed' });
    expect({ code: rerun.code, log: rerun.log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
    await laboratory.clean('swallowed');
  },
);

test('a worker that is silent for 30 s: the run goes on by itself', { timeout: 300_000 }, async ({
  laboratory,
  apply,
}) => {
  for (const each of laboratory.proxies) each.reset();
  expect((await apply({ name: 'measured' })).code).toBe(0);
  const at = positionOf(laboratory.proxy(1), 'CREATE DATABASE');
  await laboratory.clean('measured');

  disturb(laboratory.proxy(1), at);
  const running = apply({ name: 'asleep', maxAttempts: 60 });
  while (!laboratory.proxy(1).struck()) await sleep(50);
  await sleep(30_000);
  laboratory.proxy(1).reset();
  const { code, log } = await running;
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("Database 'asleep' is ready!") });
});

import { expect } from 'vitest';
import { nodeOf } from '../support/cluster.ts';
import { type Document, runProgram } from '../support/program.ts';
import { type Ended, tryPoints } from './support/experiment.ts';
import { laboratoryTest } from './support/fixtures.ts';
import type { Point } from './support/points.ts';

/**
 * Broken off at any statement, on any node, the next run ends as an undisturbed one would have. The database carries
 * the same name each time, and every trace of it is removed before the next point.
 */

const TIMEOUT = 4 * 3_600_000;

const test = laboratoryTest().extend(
  'runHere',
  { scope: 'file' },
  ({ laboratory }) =>
    async (spec: Document): Promise<Ended> => {
      const { code, log, stderr } = await runProgram(laboratory.cluster, ['apply'], spec);
      return { code, log: log + stderr };
    },
);

test('a connection cut at any statement', { timeout: TIMEOUT }, async ({ laboratory, runHere }) => {
  const failures = await tryPoints(laboratory, {
    title: 'Connections cut',
    sample: 12,
    breakRun: async (spec, { group, at, moment }) => {
      laboratory.proxy(group).reset({ at, moment });
      return await runHere(spec);
    },
  });
  expect(failures).toEqual([]);
});

test('the program killed at any statement', { timeout: TIMEOUT }, async ({ laboratory, program }) => {
  async function breakRun(spec: Document, { group, at, moment }: Point): Promise<Ended> {
    let kill = () => {};
    laboratory.proxy(group).reset({ at, moment, strike: () => kill() });
    const child = await program.start(laboratory.cluster, ['apply'], spec);
    kill = () => child.kill('SIGKILL');
    return await child.ended.then(
      ({ code, log, stderr }) => ({ code, log: log + stderr }),
      (error: Error) => ({ code: undefined, log: error.message }),
    );
  }
  expect(await tryPoints(laboratory, { title: 'Program killed', sample: 8, breakRun })).toEqual([]);
});

test('a node that crashes at any statement', { timeout: TIMEOUT }, async ({ laboratory, runHere }) => {
  async function breakRun(spec: Document, { group, at, moment }: Point): Promise<Ended> {
    const node = nodeOf(laboratory.cluster, group);
    let restarted: Promise<void> | undefined;
    laboratory.proxy(group).reset({
      at,
      moment,
      strike: async () => {
        restarted = node.restart('immediate');
        await restarted;
      },
    });
    const ended = await runHere(spec);
    await restarted;
    return ended;
  }
  // Three moments of a crash are hard to tell apart: the server loses what it has not committed in any case.
  const only = ({ moment }: Point) => moment !== 'before';
  expect(await tryPoints(laboratory, { title: 'Nodes crashed', sample: 6, only, breakRun })).toEqual([]);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { runProgram } from '../support/program.ts';
import { differences, type Fingerprint, fingerprint } from './support/fingerprint.ts';
import { everyFeature, type Laboratory, openLaboratory, withPasswordFile } from './support/laboratory.ts';
import { choose, describePoint, type Point, pointsOf } from './support/points.ts';

/**
 * Broken off at any statement, on any node, the next run ends as an undisturbed one would have. The database carries
 * the same name each time, and every trace of it is removed before the next point.
 */

const SAMPLE = 24;
const NAME = 'fault';

let laboratory: Laboratory;

beforeAll(async () => {
  laboratory = await openLaboratory();
  console.log(`Citus: ${laboratory.cluster.description}`);
});

afterAll(async () => {
  await laboratory?.stop();
});

test('a connection cut at any statement', { timeout: 7_200_000 }, async () => {
  await withPasswordFile(async (passwordFile) => {
    const spec = laboratory.spec(everyFeature(NAME, passwordFile));
    const undisturbed = await run(spec);
    expect(undisturbed).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
    const expected = await fingerprint(laboratory.cluster, NAME);
    const points = laboratory.proxies.flatMap(({ group, messages }) => pointsOf(group, messages()));
    const chosen = choose(points, SAMPLE);
    await laboratory.clean(NAME);

    const failures: string[] = [];
    const tally = { recoveredByItself: 0, byRerun: 0, honestRefusals: 0 };
    for (const point of chosen) {
      const verdict = await tryPoint(spec, point, expected);
      if (verdict.kind === 'failure') {
        failures.push(`${describePoint(point)}: ${verdict.text}`);
        console.log(failures.at(-1));
      } else tally[verdict.kind] += 1;
      await laboratory.clean(NAME);
    }
    console.log(
      `Connections cut: ${chosen.length} of ${points.length} points tried, ${chosen.length - failures.length} survived`,
      tally,
    );
    expect(failures).toEqual([]);
  });
});

type Verdict =
  | { readonly kind: 'recoveredByItself' | 'byRerun' | 'honestRefusals' }
  | { readonly kind: 'failure'; readonly text: string };

async function run(spec: Parameters<typeof runProgram>[2]) {
  for (const proxy of laboratory.proxies) proxy.reset();
  const { code, log, stderr } = await runProgram(laboratory.cluster, ['apply'], spec);
  return { code, log: log + stderr };
}

async function tryPoint(
  spec: Parameters<typeof runProgram>[2],
  point: Point,
  expected: Fingerprint,
): Promise<Verdict> {
  for (const proxy of laboratory.proxies) {
    proxy.reset(proxy.group === point.group ? { at: point.at, moment: point.moment } : undefined);
  }
  const broken = await runProgram(laboratory.cluster, ['apply'], spec);
  if (!laboratory.proxy(point.group).struck()) return failure('the point was not reached', broken.log);
  const rerun = await run(spec);
  if (rerun.code === 3 && rerun.log.includes('CALL app.twice()')) {
    const effects = (await fingerprint(laboratory.cluster, NAME))['0: effects'] ?? [];
    const once = new Set(effects).size === effects.length && !effects.includes('last');
    return once ? { kind: 'honestRefusals' } : failure(`effects: ${effects.join(', ')}`, rerun.log);
  }
  if (rerun.code !== 0) return failure(`the rerun ended with ${rerun.code}`, `${broken.log}\n--- rerun\n${rerun.log}`);
  const wrong = differences(expected, await fingerprint(laboratory.cluster, NAME));
  if (wrong.length > 0) return failure(wrong.join('\n'), `${broken.log}\n--- rerun\n${rerun.log}`);
  return { kind: broken.code === 0 ? 'recoveredByItself' : 'byRerun' };
}

function failure(text: string, log: string): Verdict {
  return { kind: 'failure', text: `${text}\n${log.replaceAll(/^/gm, '    ')}` };
}

/** Breaks a run at one point after another; a plain rerun has to end as an undisturbed run does. */
import { type Document, runProgram } from '../../support/program.ts';
import { differences, type Fingerprint, fingerprint } from './fingerprint.ts';
import { everyFeature, type Laboratory, withPasswordFile } from './laboratory.ts';
import { choose, describePoint, type Point, pointsOf, summary } from './points.ts';

const NAME = 'fault';

export interface Experiment {
  /** As in "connections cut". */
  readonly title: string;
  /** How many points are tried unless all are asked for. */
  readonly sample: number;
  readonly only?: (point: Point) => boolean;
  /** The run that is broken at the point: its exit code, undefined when it was killed. */
  readonly breakRun: (spec: Document, point: Point) => Promise<Ended>;
}

export interface Ended {
  readonly code: number | undefined;
  readonly log: string;
}

/** Returns what did not survive; prints how many points there were, were tried and survived. */
export async function tryPoints(laboratory: Laboratory, experiment: Experiment): Promise<readonly string[]> {
  return await withPasswordFile(async (passwordFile) => {
    const spec = laboratory.spec(everyFeature(NAME, passwordFile));
    const undisturbed = await apply(laboratory, spec);
    if (undisturbed.code !== 0)
      throw new Error(`The undisturbed run ended with ${undisturbed.code}:\n${undisturbed.log}`);
    const expected = await fingerprint(laboratory.cluster, NAME);
    const all = laboratory.proxies.flatMap(({ group, messages }) => pointsOf(group, messages()));
    const points = all.filter(experiment.only ?? (() => true));
    const chosen = choose(experiment.title, points, experiment.sample);
    await laboratory.clean(NAME);

    const failures: string[] = [];
    const tally = { recoveredByItself: 0, byRerun: 0, honestRefusals: 0, notReached: 0 };
    for (const point of chosen) {
      const verdict = await tryPoint(laboratory, experiment, spec, point, expected);
      if (verdict.kind === 'failure') {
        failures.push(`${describePoint(point)}: ${verdict.text}`);
        console.log(failures.at(-1));
      } else tally[verdict.kind] += 1;
      await laboratory.clean(NAME);
    }
    const tried = chosen.length - tally.notReached;
    const counts = { tried, of: points.length, survived: tried - failures.length };
    console.log(summary(experiment.title, counts, chosen), tally);
    return failures;
  });
}

type Verdict =
  | { readonly kind: 'recoveredByItself' | 'byRerun' | 'honestRefusals' | 'notReached' }
  | { readonly kind: 'failure'; readonly text: string };

/** The program in this process, through the proxies; what they count begins anew. */
async function apply(laboratory: Laboratory, spec: Document): Promise<Ended> {
  for (const proxy of laboratory.proxies) proxy.reset();
  const { code, log, stderr } = await runProgram(laboratory.cluster, ['apply'], spec);
  return { code, log: log + stderr };
}

async function tryPoint(
  laboratory: Laboratory,
  experiment: Experiment,
  spec: Document,
  point: Point,
  expected: Fingerprint,
): Promise<Verdict> {
  for (const proxy of laboratory.proxies) proxy.reset();
  const broken = await experiment.breakRun(spec, point);
  // Nodes work at the same time, so that the number of checks between two statements varies by a few: the last
  // points of a conversation are not there each time.
  if (!laboratory.proxy(point.group).struck()) {
    return broken.code === 0 ? { kind: 'notReached' } : failure('ended before the point', broken.log);
  }
  const rerun = await apply(laboratory, spec);
  const logs = `${broken.log}\n--- rerun\n${rerun.log}`;
  if (logs.includes('has a defect')) return failure('an error that nobody foresaw', logs);
  if (rerun.code === 3 && rerun.log.includes('CALL app.twice()')) {
    const effects = (await fingerprint(laboratory.cluster, NAME))['0: effects'] ?? [];
    const once = new Set(effects).size === effects.length && !effects.includes('last');
    return once ? { kind: 'honestRefusals' } : failure(`effects: ${effects.join(', ')}`, logs);
  }
  if (rerun.code !== 0) return failure(`the rerun ended with ${rerun.code}`, logs);
  const wrong = differences(expected, await fingerprint(laboratory.cluster, NAME));
  if (wrong.length > 0) return failure(wrong.join('\n'), logs);
  return { kind: broken.code === 0 ? 'recoveredByItself' : 'byRerun' };
}

function failure(text: string, log: string): Verdict {
  return { kind: 'failure', text: `${text}\n${log.replaceAll(/^/gm, '    ')}` };
}

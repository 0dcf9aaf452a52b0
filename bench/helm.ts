import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../test/e2e/support/command.ts';
import { createRelease, type Release } from '../test/e2e/support/release.ts';
import { smallCluster } from '../test/e2e/support/smallCluster.ts';
import { findHelm } from '../test/support/helm.ts';
import { GOALS, type Goal, goalsTable, judge } from './goals.ts';
import { type OperationTimes, timesOf, timesTable } from './helmTimes.ts';
import { type JobWatch, watchJobs } from './helmWatch.ts';
import { median } from './statistics.ts';
import { table } from './table.ts';

/**
 * What an install and upgrades take, and where their seconds go, in the Kubernetes that KUBECONFIG names; images as for the
 * end-to-end tests (E2E_VALUES, E2E_CHART). Both versions of Helm take turns, each round in a namespace of its own.
 *
 *     npm run bench:helm -- --rounds 3 --helm 4,3
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    helm: { type: 'string', default: process.env['E2E_HELM'] ?? '4,3' },
  },
});

/** What is measured in a round, in this order: each builds on the one before. Those without a goal lead to the next. */
interface Upgrade {
  readonly goal: Goal | undefined;
  readonly verb: 'install' | 'upgrade';
  readonly databases: number;
  readonly jobs?: object;
}

const UPGRADES: readonly Upgrade[] = [
  { goal: GOALS.helmInstall, verb: 'install', databases: 1 },
  { goal: GOALS.helmOneMore, verb: 'upgrade', databases: 2 },
  { goal: undefined, verb: 'upgrade', databases: 1 },
  { goal: GOALS.helmOneUnchanged, verb: 'upgrade', databases: 1 },
  { goal: undefined, verb: 'upgrade', databases: 10 },
  { goal: GOALS.helmTenUnchanged, verb: 'upgrade', databases: 10 },
  { goal: GOALS.helmSkipped, verb: 'upgrade', databases: 10, jobs: { unchanged: 'skip' } },
];

interface Measured {
  readonly helm: string;
  readonly goal: Goal;
  readonly rounds: OperationTimes[];
  readonly loads: number[];
}

const helms = values.helm.split(',').map((major) => {
  if (major !== '3' && major !== '4') throw new Error(`--helm is 3, 4 or both, not ${major}`);
  return findHelm(Number(major) === 3 ? 3 : 4);
});
const measured: Measured[] = [];
const { serverVersion } = JSON.parse(await run('kubectl', ['version', '-o', 'json']));
const versions = new Map(
  await Promise.all(
    helms.map(async (helm) => [helm, await run(helm, ['version', '--template', '{{.Version}}'])] as const),
  ),
);
for (let round = 1; round <= Number(values.rounds); round += 1) {
  for (const helm of round % 2 === 0 ? helms.toReversed() : helms) {
    await measureRound(helm);
    console.error(`Helm ${versions.get(helm)}, round ${round} of ${values.rounds}`);
    print();
  }
}

async function measureRound(helm: string): Promise<void> {
  const release = await createRelease('bench', { helm, chart: process.env['E2E_CHART'] ?? path.resolve('chart') });
  const watch = watchJobs(release);
  try {
    for (const upgrade of UPGRADES) await measureUpgrade(release, watch, upgrade);
  } finally {
    watch.stop();
    await release.destroy();
  }
}

async function measureUpgrade(release: Release, watch: JobWatch, upgrade: Upgrade): Promise<void> {
  const { goal, verb, databases, jobs = {} } = upgrade;
  const additionalDatabases = Array.from({ length: databases }, (_, index) => ({ name: `d${index}` }));
  const load = loadavg()[0] ?? 0;
  const start = Date.now();
  const { code, stdout, stderr } = await release.helm(verb, [], { ...smallCluster(), additionalDatabases, jobs });
  const total = Date.now() - start;
  if (code !== 0) throw new Error(`helm ${verb} ended with ${code}:\n${stdout}${stderr}`);
  const times = timesOf(total, await watch.since(start));
  if (goal === undefined) return;
  const helm = `Helm ${versions.get(release.helmPath) ?? ''}`;
  let known = measured.find((other) => other.goal === goal && other.helm === helm);
  if (known === undefined) {
    known = { helm, goal, rounds: [], loads: [] };
    measured.push(known);
  }
  known.rounds.push(times);
  known.loads.push(load);
}

function print(): void {
  const sorted = measured.toSorted((left, right) => left.helm.localeCompare(right.helm));
  console.log(`\nKubernetes ${serverVersion.gitVersion}; Helm on a machine with ${cpus().length} cores`);
  console.log(
    `\n${table(
      ['operation', 'Helm', 'seconds', 'of each round', 'load when it began'],
      sorted.map(({ helm, goal, rounds, loads }) => [
        goal.what,
        helm,
        `${(median(rounds.map(({ total }) => total)) / 1000).toFixed(1)} s`,
        rounds.map(({ total }) => (total / 1000).toFixed(1)).join(', '),
        loads.map((load) => load.toFixed(1)).join(', '),
      ]),
    )}`,
  );
  console.log(`\nWhere the seconds go\n`);
  console.log(timesTable(sorted.map(({ helm, goal, rounds }) => ({ name: `${goal.what}, ${helm}`, rounds }))));
  const judged = sorted.map(({ helm, goal, rounds }) =>
    judge(goal, median(rounds.map(({ total }) => total)) / 1000, helm),
  );
  console.log(`\nGoals\n\n${goalsTable(judged)}`);
}

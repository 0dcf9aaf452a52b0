import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { eventually } from '../test/e2e/support/command.ts';
import type { Release } from '../test/e2e/support/release.ts';
import type { JobTimes } from './helmTimes.ts';

/**
 * What happens to a release's Jobs and their pods, as the API server reports it: timestamps of Kubernetes have no fractions of
 * a second, and Helm deletes some Jobs as soon as they have succeeded. All times are milliseconds of `Date.now()`.
 */
export interface JobWatch {
  /** The Jobs that were created from then on, with moments since then. */
  since(start: number): Promise<readonly JobTimes[]>;
  stop(): void;
}

interface SeenJob {
  readonly uid: string;
  readonly name: string;
  readonly created: number;
  ended?: number | undefined;
}

interface SeenPod {
  readonly name: string;
  scheduled?: number | undefined;
  containerStarted?: number | undefined;
  containerFinished?: number | undefined;
}

/** kubectl would replace tabs by spaces. */
const SEPARATOR = '|';
/** Fields of a line. */
const JOB = ['.metadata.uid', '.metadata.name', '.status.conditions[?(@.status=="True")].type'];
const STATE = '.status.containerStatuses[0].state';
const POD = [
  ...['.metadata.ownerReferences[0].uid', '.metadata.name', '.spec.nodeName'],
  ...[`${STATE}.running.startedAt`, `${STATE}.terminated.startedAt`, `${STATE}.terminated.finishedAt`],
];

export function watchJobs(release: Release): JobWatch {
  const jobs = new Map<string, SeenJob>();
  /** By Job; the newest counts. */
  const pods = new Map<string, SeenPod>();
  const watches = [
    watch(release, ['jobs'], JOB, ([uid = '', name = '', conditions = ''], now) => {
      const job = jobs.get(uid) ?? { uid, name, created: now };
      jobs.set(uid, job);
      if (/\b(Complete|Failed)\b/.test(conditions)) job.ended ??= now;
    }),
    watch(release, ['pods', '-l', 'batch.kubernetes.io/job-name'], POD, (fields, now) => {
      const [job = '', name = '', node = '', running = '', started = '', finished = ''] = fields;
      const known = pods.get(job);
      const pod = known?.name === name ? known : { name };
      pods.set(job, pod);
      if (node !== '') pod.scheduled ??= now;
      pod.containerStarted ??= wholeSecond(running === '' ? started : running);
      pod.containerFinished ??= wholeSecond(finished);
    }),
  ];
  return {
    async since(start) {
      const seen = [...jobs.values()].filter(({ created }) => created >= start);
      // helm may have heard of it sooner.
      await eventually('the Jobs of the hooks have ended', 10_000, async () =>
        seen.every(({ ended }) => ended !== undefined) ? true : undefined,
      );
      return await Promise.all(
        seen.map(async ({ uid, name, created, ended }): Promise<JobTimes> => {
          const pod = pods.get(uid);
          const lines = pod === undefined ? [] : await logTimes(release, pod.name);
          const after = (moment: number | undefined) => (moment === undefined ? undefined : moment - start);
          return {
            name,
            created: created - start,
            scheduled: after(pod?.scheduled),
            containerStarted: after(pod?.containerStarted),
            firstLine: after(lines[0]),
            lastLine: after(lines.at(-1) ?? pod?.containerFinished),
            ended: after(ended),
          };
        }),
      );
    },
    stop() {
      for (const child of watches) child.kill();
    },
  };
}

function watch(
  release: Release,
  what: readonly string[],
  fields: readonly string[],
  onLine: (fields: readonly string[], now: number) => void,
) {
  const format = `jsonpath=${fields.map((field) => `{${field}}`).join(SEPARATOR)}{"\\n"}`;
  const args = ['--namespace', release.namespace, 'get', ...what, '--watch', '-o', format];
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => onLine(line.split(SEPARATOR), Date.now()));
  return child;
}

/** A timestamp without fractions stands for the middle of its second. */
function wholeSecond(timestamp: string): number | undefined {
  return timestamp === '' ? undefined : Date.parse(timestamp) + 500;
}

/** Of each line; none where the pod is gone. */
async function logTimes(release: Release, pod: string): Promise<readonly number[]> {
  const log = await release.kubectl('logs', '--timestamps', pod).catch(() => '');
  return log
    .split('\n')
    .map((line) => Date.parse(line.split(' ')[0] ?? ''))
    .filter((moment) => !Number.isNaN(moment));
}

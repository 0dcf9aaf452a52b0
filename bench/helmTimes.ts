import { median } from './statistics.ts';
import { table } from './table.ts';

/** What became of one Job of a hook, in milliseconds since helm was started. What is not known is undefined. */
export interface JobTimes {
  readonly name: string;
  readonly created: number;
  /** Of its pod, as the rest. */
  readonly scheduled: number | undefined;
  readonly containerStarted: number | undefined;
  readonly firstLine: number | undefined;
  readonly lastLine: number | undefined;
  /** Complete, or failed. */
  readonly ended: number | undefined;
}

/** Where the time goes, one after the other: from the hook before to this hook's Jobs, and then what its last Job takes. */
const SPANS = ['helm', 'scheduled', 'containerStarted', 'firstLine', 'lastLine', 'ended'] as const;
type Span = (typeof SPANS)[number];

export interface HookTimes {
  /** Of the Jobs that Helm creates together. */
  readonly jobs: readonly string[];
  readonly milliseconds: Readonly<Record<Span, number>>;
}

/** One helm command; all spans and the rest together are its total. */
export interface OperationTimes {
  readonly total: number;
  readonly hooks: readonly HookTimes[];
  /** From the end of the last hook to the end of the command. */
  readonly rest: number;
}

/** A hook ends with the last of its Jobs, and Helm creates no other one before. */
export function timesOf(total: number, jobs: readonly JobTimes[]): OperationTimes {
  const groups: JobTimes[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const job of jobs.toSorted((left, right) => left.created - right.created)) {
    if (job.created >= end) groups.push([job]);
    else groups.at(-1)?.push(job);
    end = Math.max(end, job.ended ?? total);
  }
  let before = 0;
  const hooks = groups.map((group): HookTimes => {
    const last = group.reduce((latest, job) => ((job.ended ?? total) > (latest.ended ?? total) ? job : latest));
    const hook = { jobs: group.map(({ name }) => name), milliseconds: spansOf(last, before, total) };
    before = Math.min(last.ended ?? total, total);
    return hook;
  });
  return { total, hooks, rest: total - before };
}

/**
 * Each moment lies between the one before and the end, though clocks of several machines say otherwise. One that is not
 * known is where the next known one is: its span is zero.
 */
function spansOf(job: JobTimes, before: number, total: number): Readonly<Record<Span, number>> {
  const end = Math.min(job.ended ?? total, total);
  const known = [job.created, job.scheduled, job.containerStarted, job.firstLine, job.lastLine, end];
  const moments: number[] = [];
  let earlier = before;
  for (const moment of known) {
    earlier = Math.min(Math.max(earlier, moment ?? earlier), end);
    moments.push(earlier);
  }
  const milliseconds = moments.map((moment, index) => moment - (moments[index - 1] ?? before));
  const [helm = 0, scheduled = 0, containerStarted = 0, firstLine = 0, lastLine = 0, ended = 0] = milliseconds;
  return { helm, scheduled, containerStarted, firstLine, lastLine, ended };
}

/** Several rounds of one operation. */
export interface Operation {
  readonly name: string;
  readonly rounds: readonly OperationTimes[];
}

/** A line for each hook, medians of all rounds, and one for the rest. */
export function timesTable(operations: readonly Operation[]): string {
  return table(
    [
      ...['operation', 'hook', 'Helm alone', 'pod scheduled', 'container started', 'first line of log'],
      ...['last line of log', 'Job complete', 'together'],
    ],
    operations.flatMap(({ name, rounds }) => {
      const most = Math.max(...rounds.map(({ hooks }) => hooks.length));
      const hooks = Array.from({ length: most }, (_, index) => rounds.flatMap((round) => round.hooks[index] ?? []));
      return [
        ...hooks.map((seen, index) => [
          index === 0 ? name : '',
          nameOf(seen[0]?.jobs ?? []),
          ...SPANS.map((span) => seconds(seen.map(({ milliseconds }) => milliseconds[span]))),
          seconds(seen.map(({ milliseconds }) => sum(Object.values(milliseconds)))),
        ]),
        [
          most === 0 ? name : '',
          'after the last one',
          seconds(rounds.map(({ rest }) => rest)),
          ...SPANS.slice(1).map(() => ''),
          seconds(rounds.map(({ rest }) => rest)),
        ],
        ['', 'all', ...SPANS.map(() => ''), seconds(rounds.map(({ total }) => total))],
      ];
    }),
  );
}

/** The digits of a hash in a Job's name say nothing. */
function nameOf(jobs: readonly string[]): string {
  const [first = '', ...others] = jobs.map((name) => name.replace(/-[0-9a-f]{8}$/, '')).toSorted();
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}

function seconds(milliseconds: readonly number[]): string {
  return `${(median(milliseconds) / 1000).toFixed(1)} s`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

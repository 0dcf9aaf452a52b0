import { GOALS, type Judged, judge } from './goals.ts';
import type { Measured } from './measure.ts';
import type { ConnectionCount } from './proxy.ts';
import { median, medianRatio } from './statistics.ts';
import { table } from './table.ts';

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
const times = (ratio: number) => `${ratio.toFixed(2)} ×`;

export function firstRunTable(measured: readonly Measured[]): string {
  return table(
    ['workers', 'floor', 'with proof', 'first apply', '/ floor', '/ floor with proof', 'psql script', 'script / apply'],
    measured.map(({ workers, times: t }) => [
      String(workers),
      seconds(median(t.floor)),
      seconds(median(t.floorProved)),
      seconds(median(t.first)),
      times(medianRatio(t.first, t.floor)),
      times(medianRatio(t.first, t.floorProved)),
      t.baseline.length === 0 ? '' : seconds(median(t.baseline)),
      t.baseline.length === 0 ? '' : times(medianRatio(t.baseline, t.first)),
    ]),
  );
}

export function secondRunTable(measured: readonly Measured[]): string {
  return table(
    ['workers', 'empty node', 'second apply', 'above empty node', 'psql script', 'peak memory'],
    measured.map((m) => [
      String(m.workers),
      `${median(m.times.emptyNode).toFixed(0)} ms`,
      `${median(m.times.again).toFixed(0)} ms`,
      `${aboveEmptyNode(m).toFixed(0)} ms`,
      m.times.baselineAgain.length === 0 ? '' : `${median(m.times.baselineAgain).toFixed(0)} ms`,
      `${m.peakMegabytes.toFixed(0)} MB`,
    ]),
  );
}

export function slowTable(measured: readonly Measured[], latencyMs: number): string {
  return table(
    ['workers', `first apply, ${latencyMs} ms`, 'without', `second apply, ${latencyMs} ms`, 'without'],
    measured.map(({ workers, slow, times: t }) => [
      String(workers),
      seconds(median(slow.first)),
      seconds(median(t.first)),
      seconds(median(slow.again)),
      seconds(median(t.again)),
    ]),
  );
}

/** The servers' work, whatever else the machine does. */
export function cpuTable(measured: readonly Measured[]): string {
  return table(
    [
      'workers',
      'floor',
      'first apply',
      'second apply',
      'of it: looking',
      'of it: proving',
      'for each connection proved',
    ],
    measured
      .filter((m) => m.cpu.floor.length > 0)
      .map(({ workers, cpu }) => {
        const proving = median(cpu.again) - median(cpu.looking);
        const cells = [median(cpu.floor), median(cpu.first), median(cpu.again), median(cpu.looking), proving];
        return [String(workers), ...cells.map(seconds), `${(proving / (workers + 1) ** 2).toFixed(0)} ms`];
      }),
  );
}

/** What one node was asked, over all its connections. */
export interface NodeCount {
  readonly connections: number;
  readonly login: number;
  readonly messages: number;
}

export function countOf(counts: readonly ConnectionCount[], group: number): NodeCount {
  const own = counts.filter((count) => count.group === group);
  return {
    connections: own.length,
    login: own.reduce((sum, count) => sum + count.login, 0),
    messages: own.reduce((sum, count) => sum + count.messages, 0),
  };
}

/** The node that was asked the most. */
export function busiestNode(counts: readonly ConnectionCount[]): NodeCount {
  return [...new Set(counts.map(({ group }) => group))]
    .map((group) => countOf(counts, group))
    .reduce((most, next) => (next.messages > most.messages ? next : most), { connections: 0, login: 0, messages: 0 });
}

/** The same among the workers. */
export function busiestWorker(counts: readonly ConnectionCount[]): NodeCount {
  return busiestNode(counts.filter(({ group }) => group !== 0));
}

export function messageTable(measured: readonly Measured[]): string {
  const cell = ({ connections, messages }: NodeCount) => `${messages} (${connections} connections)`;
  return table(
    ['workers', 'first: coordinator', 'first: busiest worker', 'second: coordinator', 'second: busiest worker'],
    measured.map(({ workers, firstCounts, againCounts }) => [
      String(workers),
      cell(countOf(firstCounts, 0)),
      cell(busiestWorker(firstCounts)),
      cell(countOf(againCounts, 0)),
      cell(busiestWorker(againCounts)),
    ]),
  );
}

export function aboveEmptyNode({ times: t }: Measured): number {
  return median(t.again) - median(t.emptyNode);
}

/** From how many workers on the nodes' own work outweighs the start of the program. */
const MANY_WORKERS = 8;

export function judgeRuns(measured: readonly Measured[]): readonly Judged[] {
  const judged = measured.flatMap(({ workers, times: t }) => {
    const many = workers >= MANY_WORKERS;
    const where = `${workers} workers`;
    return [
      judge(many ? GOALS.firstApplyFloorOfMany : GOALS.firstApplyFloor, medianRatio(t.first, t.floor), where),
      judge(many ? GOALS.firstApplyOfMany : GOALS.firstApply, medianRatio(t.first, t.floorProved), where),
    ];
  });
  const [fewest] = measured;
  const most = measured.at(-1);
  if (fewest === undefined || most === undefined) return judged;
  judged.push(judge(GOALS.secondApply, aboveEmptyNode(fewest), `${fewest.workers} workers`));
  if (most !== fewest) {
    const growth = (median(most.times.again) - median(fewest.times.again)) / (most.workers - fewest.workers);
    judged.push(judge(GOALS.secondApplyGrowth, growth, `${fewest.workers} to ${most.workers} workers`));
    const longest = measured.map((m) => countOf(m.firstCounts, 0).messages + busiestWorker(m.firstCounts).messages);
    judged.push(judge(GOALS.firstApplyMessages, Math.max(...longest) - (longest[0] ?? 0)));
  }
  judged.push(judge(GOALS.memory, Math.max(...measured.map((m) => m.peakMegabytes))));
  const again = measured.map((m) =>
    Math.max(countOf(m.againCounts, 0).messages, busiestWorker(m.againCounts).messages),
  );
  judged.push(judge(GOALS.secondApplyMessages, Math.max(...again)));
  return judged;
}

import type { Measured } from './measure.ts';
import type { ConnectionCount } from './proxy.ts';
import { median, medianRatio } from './statistics.ts';

/** A table in Markdown, columns aligned so that a terminal can read it too. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

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

/** The node that was asked the most, among the workers. */
export function busiestWorker(counts: readonly ConnectionCount[]): NodeCount {
  const groups = [...new Set(counts.map(({ group }) => group))].filter((group) => group !== 0);
  return groups
    .map((group) => countOf(counts, group))
    .reduce((most, next) => (next.messages > most.messages ? next : most), { connections: 0, login: 0, messages: 0 });
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

interface Goal {
  readonly text: string;
  readonly measured: string;
  readonly met: boolean;
}

export function goalsTable(measured: readonly Measured[]): string {
  const rows = goals(measured).map(({ text, measured: value, met }) => [text, value, met ? 'met' : 'MISSED']);
  return table(['goal', 'measured', ''], rows);
}

function goals(measured: readonly Measured[]): readonly Goal[] {
  const list: Goal[] = [];
  for (const { workers, times: t } of measured) {
    const limit = workers >= 8 ? 1.15 : 1.25;
    for (const [name, floor] of [
      ['floor', t.floor],
      ['floor with proof', t.floorProved],
    ] as const) {
      const ratio = medianRatio(t.first, floor);
      list.push({
        text: `first apply ≤ ${limit} × ${name}, ${workers} workers`,
        measured: times(ratio),
        met: ratio <= limit,
      });
    }
  }
  const [fewest] = measured;
  const most = measured.at(-1);
  if (fewest === undefined || most === undefined) return list;
  const above = aboveEmptyNode(fewest);
  list.push({
    text: `second apply ≤ 250 ms above an empty node, ${fewest.workers} workers`,
    measured: `${above.toFixed(0)} ms`,
    met: above <= 250,
  });
  if (most !== fewest) {
    const growth = (median(most.times.again) - median(fewest.times.again)) / (most.workers - fewest.workers);
    list.push({
      text: `second apply grows by ≤ 5 ms a worker, ${fewest.workers} to ${most.workers} workers`,
      measured: `${growth.toFixed(1)} ms`,
      met: growth <= 5,
    });
  }
  const peak = Math.max(...measured.map((m) => m.peakMegabytes));
  list.push({ text: 'peak memory ≤ 90 MB', measured: `${peak.toFixed(0)} MB`, met: peak <= 90 });
  const again = Math.max(
    ...measured.map((m) => Math.max(countOf(m.againCounts, 0).messages, busiestWorker(m.againCounts).messages)),
  );
  list.push({ text: 'second apply: ≤ 4 messages with an answer per node', measured: String(again), met: again <= 4 });
  const paths = new Set(
    measured.map((m) => `${countOf(m.firstCounts, 0).messages} + ${busiestWorker(m.firstCounts).messages}`),
  );
  list.push({
    text: 'first apply: as many messages on the longest path with any number of workers (coordinator + worker)',
    measured: [...paths].join(', '),
    met: paths.size === 1,
  });
  return list;
}

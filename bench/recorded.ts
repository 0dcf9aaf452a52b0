import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import { openAll } from './floor.ts';
import { GOALS, type Judged, judge } from './goals.ts';
import { benchSpec, type Program, succeeded } from './program.ts';
import { startProxy } from './proxy.ts';
import { busiestNode } from './report.ts';
import { serverCpu } from './serverCpu.ts';
import { median } from './statistics.ts';
import { table } from './table.ts';

/** `plan` of databases that the bookkeeping records as begun and that no node has: what a run looks at before all else. */
export interface RecordedMeasured {
  readonly workers: number;
  readonly databases: number;
  readonly atOnce: number;
  /** One number for each round. */
  readonly milliseconds: number[];
  /** Of all servers together; empty where it cannot be told. */
  readonly cpuOfServers: number[];
  readonly cpuOfProgram: number[];
  readonly peakMegabytes: number[];
  /** For one database, to the node that was asked the most. */
  readonly messages: number;
}

/** So many are enough to count messages for each; the proxy would slow down more of them. */
const COUNTED = 100;

/** Exit code of `plan` when there is something to do. */
const CHANGES = 10;

export async function measureRecorded(
  cluster: LocalCluster,
  program: Program,
  {
    databases,
    atOnce,
    rounds,
  }: { readonly databases: number; readonly atOnce: readonly number[]; readonly rounds: number },
): Promise<readonly RecordedMeasured[]> {
  const names = Array.from({ length: databases }, (_, index) => `recorded_${index}`);
  const spec = benchSpec(cluster, names);
  // The first database of all brings the bookkeeping.
  succeeded('apply', await program.run(['apply'], benchSpec(cluster, 'made')));
  await record(cluster, names);
  const measured: RecordedMeasured[] = [];
  for (const limit of atOnce) {
    const messages = await countMessages(cluster, program, names.slice(0, COUNTED), limit);
    measured.push({
      ...{ workers: cluster.nodes.length - 1, databases, atOnce: limit, messages },
      ...{ milliseconds: [], cpuOfServers: [], cpuOfProgram: [], peakMegabytes: [] },
    });
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const row of round % 2 === 0 ? measured.toReversed() : measured) {
      const before = serverCpu(cluster);
      const run = succeeded('plan', await program.measureMemory(planOf(row.atOnce), spec), CHANGES);
      const after = serverCpu(cluster);
      const absent = run.output.split('does not exist yet').length - 1;
      if (absent !== databases) throw new Error(`plan found ${absent} of ${databases} databases to be made`);
      row.milliseconds.push(run.milliseconds);
      row.peakMegabytes.push(run.peakMegabytes ?? 0);
      row.cpuOfProgram.push(run.cpuMilliseconds ?? 0);
      if (before !== undefined && after !== undefined) row.cpuOfServers.push(after - before);
    }
  }
  return measured;
}

function planOf(atOnce: number): readonly string[] {
  return ['plan', '--databases-at-once', String(atOnce)];
}

/** As a run leaves it that was killed before CREATE DATABASE (src/objects/bookkeeping.ts, recordIntent). */
async function record(cluster: LocalCluster, names: readonly string[]): Promise<void> {
  const servers = await openAll(cluster);
  try {
    await servers[0]?.query(
      `INSERT INTO citus_databases.managed_database (name, state) SELECT name, 'creating' FROM unnest($1::text[]) name`,
      [names],
    );
  } finally {
    await Promise.all(servers.map((server) => server.end()));
  }
}

async function countMessages(
  cluster: LocalCluster,
  program: Program,
  names: readonly string[],
  atOnce: number,
): Promise<number> {
  const proxy = await startProxy(cluster.nodes);
  try {
    succeeded('plan', await program.run(planOf(atOnce), benchSpec(cluster, names, proxy.nodes)), CHANGES);
    return busiestNode(proxy.take()).messages / names.length;
  } finally {
    await proxy.close();
  }
}

export function recordedTable(measured: readonly RecordedMeasured[]): string {
  const seconds = (milliseconds: readonly number[]) =>
    milliseconds.length === 0 ? '' : `${(median(milliseconds) / 1000).toFixed(1)} s`;
  return table(
    [
      ...['workers', 'databases', 'at once', 'plan', 'for one', 'CPU of servers', 'CPU of program'],
      ...['messages to a node for one', 'peak memory'],
    ],
    measured.map((row) => [
      ...[row.workers, row.databases, row.atOnce].map(String),
      seconds(row.milliseconds),
      `${(median(row.milliseconds) / row.databases).toFixed(0)} ms`,
      seconds(row.cpuOfServers),
      seconds(row.cpuOfProgram),
      row.messages.toFixed(1),
      `${median(row.peakMegabytes).toFixed(0)} MB`,
    ]),
  );
}

/** The goal is for 1,000 databases. */
export function judgeRecorded(measured: readonly RecordedMeasured[]): readonly Judged[] {
  return measured
    .filter(({ databases }) => databases === 1000)
    .map(({ workers, atOnce, milliseconds }) =>
      judge(GOALS.planRecorded, median(milliseconds) / 1000, `${workers} workers, ${atOnce} at once`),
    );
}

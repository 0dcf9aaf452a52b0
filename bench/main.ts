import { mkdir, stat, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type LocalCluster, startLocalCluster } from '../src/localCluster/localCluster.ts';
import { findPsql } from './baseline.ts';
import { goalsTable } from './goals.ts';
import { type InitSqlMeasured, initSqlTable, judgeScripts, measureInitSql, type ScriptSize } from './initSql.ts';
import { judgeMany, type ManyMeasured, manyTable, measureMany, settingsForMany } from './many.ts';
import { type Measured, measure } from './measure.ts';
import { plot } from './plot.ts';
import { buildProgram, timed } from './program.ts';
import { judgeRecorded, measureRecorded, recordedTable } from './recorded.ts';
import { cpuTable, firstRunTable, judgeRuns, messageTable, secondRunTable, slowTable } from './report.ts';
import { median } from './statistics.ts';

/**
 * Measures the program against what bounds it; see docs/PERFORMANCE.md. Tables go to standard output, plots to --plots.
 *
 *     npm run bench -- --workers 2,8,16,32 --rounds 5 --latency 5 --plots docs/performance
 *     npm run bench -- --durable no          # servers as the tests have them, which never wait for a disk
 *     npm run bench -- --node /usr/local/bin/node24      # another Node for the program, such as the image's
 *     npm run bench -- --statements 1000,10000 --megabytes 100 --latency 5      # initSQL against psql -f
 *     npm run bench -- --databases 1,10,100 --at-once 4,8 --workers 8 --durable no      # one run for many databases
 *     npm run bench -- --plan 1000 --at-once 1,4 --workers 2      # plan of databases that are recorded and not made
 */
const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '2,8' },
    rounds: { type: 'string', default: '5' },
    latency: { type: 'string', default: '5' },
    baseline: { type: 'string', default: 'yes' },
    durable: { type: 'string', default: 'yes' },
    node: { type: 'string', default: process.execPath },
    plots: { type: 'string' },
    databases: { type: 'string' },
    plan: { type: 'string' },
    statements: { type: 'string' },
    megabytes: { type: 'string' },
    'at-once': { type: 'string', default: '4' },
  },
});
const numbers = values.workers.split(',').map(Number);
const latencyMs = Number(values.latency);
const say = (text: string) => console.error(text);

const program = await buildProgram(process.cwd(), values.node);
const nodeVersion = (await timed(values.node, ['--version'])).output.trim();
const measured: Measured[] = [];
let description = '';
try {
  const atOnce = values['at-once'].split(',').map(Number);
  if (values.statements !== undefined || values.megabytes !== undefined) await measureScripts();
  else if (values.plan !== undefined) await measurePlan(Number(values.plan), atOnce);
  else if (values.databases === undefined) await measureOne();
  else await measureSeveral(values.databases.split(',').map(Number), atOnce);
} finally {
  await program.remove();
}

/** initSQL against psql, on a coordinator and one worker. */
async function measureScripts(): Promise<void> {
  const sizes: ScriptSize[] = [
    ...(values.statements ?? '')
      .split(',')
      .filter(Boolean)
      .map((count) => ({ kind: 'statements' as const, count: Number(count) })),
    ...(values.megabytes ?? '')
      .split(',')
      .filter(Boolean)
      .map((count) => ({ kind: 'megabytes' as const, count: Number(count) })),
  ];
  const all: InitSqlMeasured[] = [];
  const cluster = await startLocalCluster({ workers: 1, serverSettings: settingsFor(1) });
  try {
    for (const size of sizes) {
      for (const latency of latencyMs > 0 ? [0, latencyMs] : [0]) {
        all.push(await measureInitSql(cluster, program, { size, latencyMs: latency, rounds: Number(values.rounds) }));
        console.log(`\n${describeMachine(cluster)}\n\ninitSQL\n\n${initSqlTable(all)}`);
        console.log(`\nGoals\n\n${goalsTable(judgeScripts(all))}`);
      }
    }
  } finally {
    await cluster.stop();
  }
}

/** One run for many databases. */
async function measureSeveral(databases: readonly number[], atOnce: readonly number[]): Promise<void> {
  const all: ManyMeasured[] = [];
  for (const workers of numbers) {
    for (const [count, limit] of databases.flatMap((n) => atOnce.map((m) => [n, m] as const))) {
      // More at once than there are is the same again.
      if (limit > count && limit !== atOnce[0]) continue;
      const cluster = await startLocalCluster({
        workers,
        serverSettings: { ...settingsFor(workers), ...settingsForMany(count) },
      });
      try {
        description = describeMachine(cluster);
        say(`${description}; ${workers} workers, ${count} databases, ${limit} at once`);
        all.push(await measureMany(cluster, program, count, limit));
      } finally {
        await cluster.stop();
      }
      console.log(`\n${description}\n\nMany databases in one run\n\n${manyTable(all)}`);
      console.log(`\nGoals\n\n${goalsTable(judgeMany(all))}`);
    }
  }
}

/** `plan` of many databases that are not there. */
async function measurePlan(databases: number, atOnce: readonly number[]): Promise<void> {
  for (const workers of numbers) {
    const cluster = await startLocalCluster({ workers, serverSettings: settingsFor(workers) });
    try {
      say(`${describeMachine(cluster)}; ${workers} workers, ${databases} databases`);
      const all = await measureRecorded(cluster, program, { databases, atOnce, rounds: Number(values.rounds) });
      console.log(`\n${describeMachine(cluster)}\n\nplan of databases that are not made\n\n${recordedTable(all)}`);
      console.log(`\nGoals\n\n${goalsTable(judgeRecorded(all))}`);
    } finally {
      await cluster.stop();
    }
  }
}

async function measureOne(): Promise<void> {
  for (const workers of numbers) {
    const cluster = await startLocalCluster({ workers, serverSettings: settingsFor(workers) });
    if (description === '') description = describeMachine(cluster);
    say(`${description}; ${workers} workers`);
    try {
      const rounds = Number(values.rounds);
      const baseline = values.baseline === 'yes';
      measured.push(await measure(cluster, program, { workers, rounds, latencyMs, baseline, say }));
    } finally {
      await cluster.stop();
    }
    print(measured);
  }
  if (values.plots !== undefined) await writePlots(values.plots);
  const { size } = await stat(program.bundle);
  console.log(`\nBundle: ${(size / 1e6).toFixed(2)} MB`);
}

/** Servers as people have them, which wait for their disks; and as many connections as that many daemons may take. */
function settingsFor(workers: number): Readonly<Record<string, string>> {
  const durable = values.durable === 'yes' ? 'on' : 'off';
  return { max_connections: String(Math.max(100, workers * 6)), fsync: durable, full_page_writes: durable };
}

function describeMachine(cluster: LocalCluster): string {
  const baseline = findPsql(cluster) === undefined ? 'a fresh connection per action instead of psql' : 'psql';
  const durable = values.durable === 'yes' ? '' : '; fsync = off';
  return `${cluster.description}${durable}; ${cpus().length} cores; Node ${nodeVersion}; baseline: ${baseline}`;
}

function print(all: readonly Measured[]): void {
  console.log(`\n${description}\n\nFirst run\n\n${firstRunTable(all)}`);
  console.log(`\nSecond run, which changes nothing\n\n${secondRunTable(all)}`);
  if (latencyMs > 0) console.log(`\nWith ${latencyMs} ms for each round trip\n\n${slowTable(all, latencyMs)}`);
  console.log(`\nCPU time of all servers together\n\n${cpuTable(all)}`);
  console.log(`\nMessages with an answer, after the login\n\n${messageTable(all)}`);
  console.log(`\nGoals\n\n${goalsTable(judgeRuns(all))}`);
}

async function writePlots(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const series = (of: (m: Measured) => readonly number[], scale: number) =>
    measured.filter((m) => of(m).length > 0).map((m) => [m.workers, median(of(m)) / scale] as const);
  const first = [
    { name: 'psql script', color: '#c44', points: series((m) => m.times.baseline, 1000) },
    { name: 'first apply', color: '#26c', points: series((m) => m.times.first, 1000) },
    { name: 'floor', color: '#888', points: series((m) => m.times.floor, 1000) },
  ].filter(({ points }) => points.length > 0);
  await writeFile(`${folder}/first-run.svg`, plot('First run', 'seconds', first));
  const again = [
    { name: 'psql script', color: '#c44', points: series((m) => m.times.baselineAgain, 1) },
    { name: 'second apply', color: '#26c', points: series((m) => m.times.again, 1) },
    // Not the difference of the two, which the second apply would hide.
    { name: 'empty node', color: '#6a3', points: series((m) => m.times.emptyNode, 1) },
  ].filter(({ points }) => points.length > 0);
  await writeFile(`${folder}/second-run.svg`, plot('Second run', 'ms', again));
}

import type pg from 'pg';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import { openAll } from './floor.ts';
import { GOALS, type Judged, judge } from './goals.ts';
import { benchSpec, type Program, succeeded } from './program.ts';
import { serverCpu } from './serverCpu.ts';
import { table } from './table.ts';

/** One run for many databases, which works on some of them at the same time. */
export interface ManyMeasured {
  readonly workers: number;
  readonly databases: number;
  readonly atOnce: number;
  readonly first: OneRun;
  readonly again: OneRun;
}

interface OneRun {
  readonly milliseconds: number;
  readonly peakMegabytes: number;
  /** Of all servers together; undefined where it cannot be told. */
  readonly cpuMilliseconds: number | undefined;
  /** The most of them on one node, as far as looks every so often tell. */
  readonly ownSessions: number;
  readonly allSessions: number;
}

const LOOK_EVERY_MS = 100;

/**
 * What many databases need on a local cluster: a background worker for each, and eight of PostgreSQL's own; and that the
 * daemons of Citus, one for each database and node, neither keep a connection to every node each nor open one every other
 * second (docs/PERFORMANCE.md, "Many databases").
 */
export function settingsForMany(databases: number): Readonly<Record<string, string>> {
  return {
    max_worker_processes: String(databases + 16),
    max_connections: '200',
    'citus.max_cached_conns_per_worker': '0',
    'citus.distributed_deadlock_detection_factor': '-1',
    'citus.recover_2pc_interval': '5min',
    checkpoint_timeout: '30min',
    max_wal_size: '4GB',
  };
}

export async function measureMany(
  cluster: LocalCluster,
  program: Program,
  databases: number,
  atOnce: number,
): Promise<ManyMeasured> {
  const servers = await openAll(cluster);
  const names = Array.from({ length: databases }, (_, index) => `many_${index}`);
  const spec = benchSpec(cluster, names);
  try {
    const first = await measureRun(cluster, servers, program, spec, atOnce);
    const again = await measureRun(cluster, servers, program, spec, atOnce);
    return { workers: cluster.nodes.length - 1, databases, atOnce, first, again };
  } finally {
    await Promise.all(servers.map((server) => server.end()));
  }
}

async function measureRun(
  cluster: LocalCluster,
  servers: readonly pg.Client[],
  program: Program,
  spec: unknown,
  atOnce: number,
): Promise<OneRun> {
  const before = serverCpu(cluster);
  const sessions = watchSessions(servers);
  try {
    const run = await program.measureMemory(['apply', '--databases-at-once', String(atOnce)], spec);
    succeeded('apply', run);
    const after = serverCpu(cluster);
    return {
      milliseconds: run.milliseconds,
      peakMegabytes: run.peakMegabytes ?? 0,
      cpuMilliseconds: before === undefined || after === undefined ? undefined : after - before,
      ...(await sessions.stop()),
    };
  } finally {
    await sessions.stop();
  }
}

/** Sessions of clients; Citus' own from other nodes count among all. */
const SESSIONS = `SELECT count(*) FILTER (WHERE application_name LIKE 'citus-databases%')::int AS own, count(*)::int - 1 AS all
  FROM pg_stat_activity WHERE backend_type = 'client backend'`;

function watchSessions(servers: readonly pg.Client[]) {
  let stopped = false;
  let ownSessions = 0;
  let allSessions = 0;
  const looking = look();
  return {
    async stop() {
      stopped = true;
      await looking;
      return { ownSessions, allSessions };
    },
  };

  async function look(): Promise<void> {
    while (!stopped) {
      for (const { rows } of await Promise.all(servers.map((server) => server.query(SESSIONS)))) {
        ownSessions = Math.max(ownSessions, rows[0].own);
        allSessions = Math.max(allSessions, rows[0].all);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }
}

export function manyTable(measured: readonly ManyMeasured[]): string {
  const seconds = (milliseconds: number | undefined) =>
    milliseconds === undefined ? '' : `${(milliseconds / 1000).toFixed(1)} s`;
  return table(
    [
      'workers',
      'databases',
      'at once',
      'first apply',
      'databases a second',
      'CPU of servers for one',
      'second apply',
      'for one',
      'peak memory',
      "program's sessions on a node",
      'all sessions on a node',
    ],
    measured.map(({ workers, databases, atOnce, first, again }) => [
      String(workers),
      String(databases),
      String(atOnce),
      seconds(first.milliseconds),
      (databases / (first.milliseconds / 1000)).toFixed(2),
      seconds(first.cpuMilliseconds === undefined ? undefined : first.cpuMilliseconds / databases),
      seconds(again.milliseconds),
      `${(again.milliseconds / databases).toFixed(0)} ms`,
      `${Math.max(first.peakMegabytes, again.peakMegabytes).toFixed(0)} MB`,
      String(Math.max(first.ownSessions, again.ownSessions)),
      String(Math.max(first.allSessions, again.allSessions)),
    ]),
  );
}

/** The goal is for 100 databases on three nodes. */
export function judgeMany(measured: readonly ManyMeasured[]): readonly Judged[] {
  return measured
    .filter(({ workers, databases }) => workers === 2 && databases === 100)
    .map(({ again, atOnce }) => judge(GOALS.manyUnchanged, again.milliseconds / 1000, `2 workers, ${atOnce} at once`));
}

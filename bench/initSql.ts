import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import { findPsql } from './baseline.ts';
import { dropEverywhere, openAll } from './floor.ts';
import { benchSpec, type Program, succeeded, timed } from './program.ts';
import { startProxy } from './proxy.ts';
import { table } from './report.ts';
import { median, medianRatio } from './statistics.ts';

/** What a script of initSQL holds: so many small statements, or so many megabytes of INSERTs of a thousand rows each. */
export type ScriptSize =
  | { readonly kind: 'statements'; readonly count: number }
  | { readonly kind: 'megabytes'; readonly count: number };

export interface InitSqlMeasured {
  readonly size: ScriptSize;
  readonly latencyMs: number;
  readonly megabytes: number;
  /** Milliseconds above `psql -c 'SELECT 1'` and above a run without initSQL, one number for each round. */
  readonly psql: readonly number[];
  readonly first: readonly number[];
  readonly again: readonly number[];
  readonly peakMegabytes: number;
}

/** initSQL against `psql -f` of the same script, in turns, each in a database that was made before the clock starts. */
export async function measureInitSql(
  cluster: LocalCluster,
  program: Program,
  { size, latencyMs, rounds }: { readonly size: ScriptSize; readonly latencyMs: number; readonly rounds: number },
): Promise<InitSqlMeasured> {
  const psql = findPsql(cluster);
  if (psql === undefined) throw new Error('There is no psql to compare with');
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-bench-'));
  const servers = await openAll(cluster);
  const proxy = latencyMs === 0 ? undefined : await startProxy(cluster.nodes, latencyMs);
  const through = proxy?.nodes ?? cluster.nodes;
  const script = scriptOf(size);
  const file = path.join(folder, 'script.sql');
  const times = { psql: [] as number[], first: [] as number[], again: [] as number[] };
  let peakMegabytes = 0;
  const apply = async (name: string, sql?: string) => {
    const run = sql === undefined ? program.run : program.measureMemory;
    const result = succeeded('apply', await run(['apply'], withInitSql(benchSpec(cluster, name, through), sql)));
    peakMegabytes = Math.max(peakMegabytes, result.peakMegabytes ?? 0);
    return result.milliseconds;
  };
  const psqlTakes = async (name: string, args: readonly string[]) => {
    const [coordinator] = through;
    const place = ['-h', coordinator?.host ?? '', '-p', String(coordinator?.port), '-U', cluster.superuser, '-d', name];
    const environment = { PATH: process.env['PATH'], PGPASSWORD: cluster.password };
    const options = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...place, ...args];
    return succeeded('psql', await timed(psql, options, environment)).milliseconds;
  };
  try {
    await writeFile(file, script);
    for (let round = 1; round <= rounds; round += 1) {
      const names = { psql: `psql${round}`, ours: `ours${round}` };
      await apply(names.psql);
      await apply(names.ours);
      const contestants = [
        async () => {
          const login = await psqlTakes(names.psql, ['-c', 'SELECT 1']);
          times.psql.push((await psqlTakes(names.psql, ['-f', file])) - login);
        },
        async () => {
          const empty = await apply(names.ours);
          times.first.push((await apply(names.ours, script)) - empty);
          times.again.push((await apply(names.ours, script)) - empty);
        },
      ];
      for (const contestant of round % 2 === 0 ? contestants.toReversed() : contestants) await contestant();
      for (const name of Object.values(names)) await dropEverywhere(servers, name);
    }
    return { size, latencyMs, megabytes: Buffer.byteLength(script) / 1e6, ...times, peakMegabytes };
  } finally {
    await proxy?.close();
    await Promise.all(servers.map((server) => server.end()));
    await rm(folder, { recursive: true, force: true });
  }
}

function withInitSql(spec: unknown, initSQL: string | undefined): unknown {
  const { databases, ...rest } = spec as { readonly databases: readonly object[] };
  return { ...rest, databases: databases.map((database) => ({ ...database, initSQL })) };
}

function scriptOf(size: ScriptSize): string {
  const parts = ['CREATE TABLE t (id bigint PRIMARY KEY, name text, note text, at timestamptz DEFAULT now());\n'];
  if (size.kind === 'statements') {
    for (let id = 1; id < size.count; id += 1) {
      parts.push(`INSERT INTO t (id, name) VALUES (${id}, 'customer number ${id}');\n`);
    }
    return parts.join('');
  }
  for (let id = 0, bytes = 0; bytes < size.count * 1e6; id += 1000) {
    const rows = Array.from(
      { length: 1000 },
      (_, row) => `(${id + row}, 'customer number ${id + row}', 'a note of some length')`,
    );
    const statement = `INSERT INTO t (id, name, note) VALUES\n${rows.join(',\n')};\n`;
    bytes += statement.length;
    parts.push(statement);
  }
  return parts.join('');
}

export function initSqlTable(all: readonly InitSqlMeasured[]): string {
  return table(
    [
      'script',
      'latency',
      'psql -f',
      'initSQL',
      'initSQL / psql',
      'goal',
      '',
      'unchanged, above an empty run',
      'peak memory',
      'goal',
      '',
    ],
    all.map((m) => {
      const ratio = medianRatio(m.first, m.psql);
      // With latency psql waits for each answer, and a pipeline need not.
      const goal = m.latencyMs === 0 ? 1.3 : 0.5;
      const memory = m.megabytes * 3 + 90;
      return [
        `${m.size.count} ${m.size.kind}`,
        m.latencyMs === 0 ? 'local' : `${m.latencyMs} ms`,
        `${(median(m.psql) / 1000).toFixed(2)} s`,
        `${(median(m.first) / 1000).toFixed(2)} s`,
        `${ratio.toFixed(2)} ×`,
        `≤ ${goal} ×`,
        ratio <= goal ? 'met' : 'MISSED',
        `${median(m.again).toFixed(0)} ms`,
        `${m.peakMegabytes.toFixed(0)} MB`,
        `≤ ${memory.toFixed(0)} MB`,
        m.peakMegabytes <= memory ? 'met' : 'MISSED',
      ];
    }),
  );
}

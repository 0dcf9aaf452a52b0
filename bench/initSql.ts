import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import { findPsql } from './baseline.ts';
import { dropEverywhere, openAll } from './floor.ts';
import { GOALS, type Judged, judge, scriptMemory } from './goals.ts';
import { benchSpec, type Program, succeeded, timed } from './program.ts';
import { startProxy } from './proxy.ts';
import { median, medianRatio } from './statistics.ts';
import { table } from './table.ts';

/** A file of `initSQLFrom` has at most 10 MB, so a larger script goes into several. */
const FILE_BYTES = 9e6;

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
  const scripts = scriptsOf(size);
  const files = scripts.map((_, index) => path.join(folder, `script${index}.sql`));
  const times = { psql: [] as number[], first: [] as number[], again: [] as number[] };
  let peakMegabytes = 0;
  const apply = async (name: string, sql?: readonly string[]) => {
    const run = sql === undefined ? program.run : program.measureMemory;
    const result = succeeded('apply', await run(['apply'], withInitSqlFrom(benchSpec(cluster, name, through), sql)));
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
    await Promise.all(files.map((file, index) => writeFile(file, scripts[index] ?? '')));
    for (let round = 1; round <= rounds; round += 1) {
      const names = { psql: `psql${round}`, ours: `ours${round}` };
      await apply(names.psql);
      await apply(names.ours);
      const contestants = [
        async () => {
          const login = await psqlTakes(names.psql, ['-c', 'SELECT 1']);
          times.psql.push(
            (await psqlTakes(
              names.psql,
              files.flatMap((file) => ['-f', file]),
            )) - login,
          );
        },
        async () => {
          const empty = await apply(names.ours);
          times.first.push((await apply(names.ours, files)) - empty);
          times.again.push((await apply(names.ours, files)) - empty);
        },
      ];
      for (const contestant of round % 2 === 0 ? contestants.toReversed() : contestants) await contestant();
      for (const name of Object.values(names)) await dropEverywhere(servers, name);
    }
    const megabytes = scripts.reduce((sum, script) => sum + Buffer.byteLength(script), 0) / 1e6;
    return { size, latencyMs, megabytes, ...times, peakMegabytes };
  } finally {
    await proxy?.close();
    await Promise.all(servers.map((server) => server.end()));
    await rm(folder, { recursive: true, force: true });
  }
}

function withInitSqlFrom(spec: unknown, files: readonly string[] | undefined): unknown {
  if (files === undefined) return spec;
  const initSQLFrom = files.map((file) => ({ file }));
  const { databases, ...rest } = spec as { readonly databases: readonly object[] };
  return { ...rest, databases: databases.map((database) => ({ ...database, initSQLFrom })) };
}

/** Files of whole statements. */
function scriptsOf(size: ScriptSize): readonly string[] {
  const files: string[] = [];
  let file = 'CREATE TABLE t (id bigint PRIMARY KEY, name text, note text, at timestamptz DEFAULT now());\n';
  for (const statement of size.kind === 'statements' ? smallStatements(size.count) : largeStatements(size.count)) {
    if (file.length + statement.length > FILE_BYTES) {
      files.push(file);
      file = '';
    }
    file += statement;
  }
  return [...files, file];
}

function* smallStatements(count: number): Generator<string> {
  for (let id = 1; id < count; id += 1) {
    yield `INSERT INTO t (id, name) VALUES (${id}, 'customer number ${id}');\n`;
  }
}

function* largeStatements(megabytes: number): Generator<string> {
  for (let id = 0, bytes = 0; bytes < megabytes * 1e6; id += 1000) {
    const rows = Array.from(
      { length: 1000 },
      (_, row) => `(${id + row}, 'customer number ${id + row}', 'a note of some length')`,
    );
    const statement = `INSERT INTO t (id, name, note) VALUES\n${rows.join(',\n')};\n`;
    bytes += statement.length;
    yield statement;
  }
}

export function initSqlTable(all: readonly InitSqlMeasured[]): string {
  return table(
    ['script', 'latency', 'psql -f', 'initSQL', 'initSQL / psql', 'unchanged, above an empty run', 'peak memory'],
    all.map((m) => [
      `${m.size.count} ${m.size.kind}`,
      latencyOf(m),
      `${(median(m.psql) / 1000).toFixed(2)} s`,
      `${(median(m.first) / 1000).toFixed(2)} s`,
      `${medianRatio(m.first, m.psql).toFixed(2)} ×`,
      `${median(m.again).toFixed(0)} ms`,
      `${m.peakMegabytes.toFixed(0)} MB`,
    ]),
  );
}

export function judgeScripts(all: readonly InitSqlMeasured[]): readonly Judged[] {
  return all.flatMap((m) => {
    const where = `${m.size.count} ${m.size.kind}, ${latencyOf(m)}`;
    return [
      judge(m.latencyMs === 0 ? GOALS.initSqlLocal : GOALS.initSqlFar, medianRatio(m.first, m.psql), where),
      // The goal is for 10,000 statements, and so for fewer.
      ...(m.size.kind === 'statements' ? [judge(GOALS.initSqlUnchanged, median(m.again), where)] : []),
      judge(scriptMemory(m.megabytes), m.peakMegabytes, where),
    ];
  });
}

function latencyOf({ latencyMs }: InitSqlMeasured): string {
  return latencyMs === 0 ? 'local' : `${latencyMs} ms`;
}

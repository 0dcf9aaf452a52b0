import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Semaphore } from '../../src/concurrency/semaphore.ts';
import { finishScript, readScript } from '../../src/initSql/splitScript.ts';
import { connect } from '../../src/postgres/connection.ts';
import { Sessions } from '../../src/postgres/sessions.ts';
import { codeOf } from '../../src/postgres/sqlstate.ts';
import { executeInitSql } from '../../src/reconcile/executeInitSql.ts';
import type { Run } from '../../src/reconcile/run.ts';
import { Failure } from '../../src/report/errors.ts';
import { loadAccess } from '../../src/secrets/credentials.ts';
import { list } from '../support/catalog.ts';
import { clusterSpec, type LocalCluster, NO_SSL, nodeOf, query } from '../support/cluster.ts';

/** A statement of the corpus, or a BEGIN … COMMIT, and the lines of its text within the file that psql is given. */
export interface Chunk {
  readonly sql: string;
  readonly firstLine: number;
  readonly lastLine: number;
}

/** Blank lines separate statements: nothing of the program's own splitting takes part in the judgement of it. */
export function chunksOf(corpus: string): readonly Chunk[] {
  let line = 1;
  return corpus
    .trim()
    .split(/\n\n+/)
    .map((sql) => {
      const lines = sql.split('\n').length;
      const chunk = { sql, firstLine: line, lastLine: line + lines - 1 };
      line += lines + 1;
      return chunk;
    });
}

export function textOf(chunks: readonly Pick<Chunk, 'sql'>[]): string {
  return `${chunks.map(({ sql }) => sql).join('\n\n')}\n`;
}

/** A file of the corpus with its placeholders filled in. */
export function corpus(file: string, values: Readonly<Record<string, string>>): string {
  const text = readFileSync(fileURLToPath(new URL(`corpus/${file}.sql`, import.meta.url)), 'utf8');
  return text.replaceAll(/\{(db|t|n|s)\}/g, (_, name: string) => values[name] ?? '');
}

export interface PsqlError {
  readonly line: number;
  readonly code: string;
  readonly message: string;
}

/** What psql makes of a script: it goes on after errors, as it does by default. */
export async function psql(cluster: LocalCluster, database: string, script: string): Promise<readonly PsqlError[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-psql-'));
  try {
    const file = path.join(folder, 'script.sql');
    await writeFile(file, script);
    const { stderr } = await tool(cluster, 0, 'psql', [
      '-X',
      '-q',
      '-v',
      'VERBOSITY=verbose',
      '-o',
      '/dev/null',
      '-d',
      database,
      '-f',
      file,
    ]);
    return [...stderr.matchAll(/^psql:.*?:(\d+): (?:ERROR|FATAL): {2}(\w{5}): (.*)$/gm)].map(
      ([, line, code, message]) => ({
        line: Number(line),
        code: code ?? '',
        message: message ?? '',
      }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Waits until Citus has dropped what it only marked for that: the shard that create_distributed_table_concurrently
 * split goes whenever the daemon gets to it (Citus: operations/shard_cleaner.c, citus.defer_shard_delete_interval).
 */
export async function cleanedUp(cluster: LocalCluster, database: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    await query(cluster, 0, database, 'CALL citus_cleanup_orphaned_resources()');
    const left = await list(cluster, 0, database, 'SELECT object_name FROM pg_dist_cleanup');
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`Citus still has to clean up ${left.join(', ')} in ${database}`);
    await setTimeout(200);
  }
}

export interface Dumps {
  readonly coordinator: readonly string[];
  /** Of all workers together: which of them holds a shard is for Citus to choose. */
  readonly workers: readonly string[];
}

/** `pg_dump --schema-only` of all nodes, shards included, without what differs between two databases by necessity. */
export async function dump(cluster: LocalCluster, database: string): Promise<Dumps> {
  const texts = await Promise.all(cluster.nodes.map(({ group }) => dumpOf(cluster, group, database)));
  const ids = new Set(texts.flatMap((text) => [...text.matchAll(SHARD)].map(([id]) => id)));
  const rank = new Map([...ids].toSorted().map((id, index) => [id, `SHARD${index}`]));
  const [coordinator = [], ...workers] = texts.map((text) =>
    text
      .replaceAll(SHARD, (id) => rank.get(id) ?? id)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('--')),
  );
  return { coordinator, workers: workers.flat().toSorted() };
}

const SHARD = /(?<=_)\d{6}(?!\d)/g;

async function dumpOf(cluster: LocalCluster, group: number, database: string): Promise<string> {
  const args = ['--schema-only', '-N', 'citus_databases', '-d', database];
  const { stdout, stderr, code } = await tool(cluster, group, 'pg_dump', args);
  if (code !== 0) throw new Error(`pg_dump of ${database}: ${stderr}`);
  return stdout.replaceAll(database, '{db}').replaceAll(/^\\(?:un)?restrict .*$/gm, '');
}

/**
 * What becomes of one more statement of initSQL: the SQLSTATE that ends the run, or undefined when it is taken. The same
 * code as in `apply`, without the nodes around it, since there are many such statements.
 */
export async function codeOfInitSql(cluster: LocalCluster, database: string, sql: string): Promise<string | undefined> {
  const draft = await readScript(sql);
  const { units } = finishScript(draft, []);
  const spec = clusterSpec(cluster);
  const access = await loadAccess({ cluster: spec, ssl: NO_SSL });
  // As `apply` opens it, whatever a run has set for the superuser in this database.
  const settings = { role: 'none', search_path: '"$user", public' };
  const session = await connect({ node: spec.coordinator, database }, access, { pinned: false, settings });
  const run: Run = {
    database,
    coordinator: 'node0',
    sessions: new Sessions(async () => session),
    signal: new AbortController().signal,
    assertLock: async () => undefined,
    label: () => 'node',
    proofs: new Semaphore(1),
    withoutSuperuser: false,
    deadline: () => performance.now(),
    session: async () => session,
    loginAs: () => Promise.reject(new Error('not used')),
    lockLimits: (lockDeadline) => ({ lockDeadline }),
    interruptible: (action) => action(),
  };
  const log = { line: () => undefined, warn: () => undefined };
  try {
    await executeInitSql(run, session, { kind: 'run', replay: [], pending: units, gone: [] }, log);
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return codeOf(error);
  } finally {
    await session.close();
  }
}

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

async function tool(cluster: LocalCluster, group: number, name: string, args: readonly string[]): Promise<Ended> {
  const { host, port } = nodeOf(cluster, group);
  const env = {
    ...process.env,
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: cluster.superuser,
    PGPASSWORD: cluster.password,
    // Shards are hidden from catalogs otherwise (Citus: shared_library_init.c, citus.override_table_visibility).
    ...(name === 'pg_dump'
      ? { PGOPTIONS: '-c citus.override_table_visibility=off -c citus.enable_manual_changes_to_shards=on' }
      : {}),
  };
  return await new Promise((resolve) => {
    execFile(path.join(cluster.bin, name), [...args], { env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      resolve({ stdout, stderr, code: error === null ? 0 : 1 });
    });
  });
}

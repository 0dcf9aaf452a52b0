/**
 * Runs the program against a local cluster, for tests. One screen of usage:
 *
 *     const spec = specOf(cluster, [{ name: 'skymap', extensions: ['hstore'] }]);     // the document a user would write
 *     const run = await runProgram(cluster, ['apply'], spec);                         // in this process: fast
 *     expect(run.code).toBe(0);
 *     expect(run.log).toContain("Database 'skymap' is ready!");                       // addresses read node0, node1 …
 *
 *     const program = await buildProgram();                                           // bundled as users get it (a fixture)
 *     const child = program.start(cluster, ['apply'], spec);                          // in a process of its own
 *     await child.printed('Line 1:'); child.kill('SIGTERM');
 *     const { code } = await child.ended;
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { runCli } from '../../src/cli/cli.ts';
import type { LocalCluster } from './cluster.ts';
import { Collector } from './commandLine.ts';

/** A part of the document, unchecked as users write it. */
export type Document = Readonly<Record<string, unknown>>;

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output with the cluster's addresses and passwords replaced, the same in every run. */
  readonly log: string;
  readonly milliseconds: number;
}

export interface StartedProgram {
  readonly pid: number | undefined;
  kill(signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void;
  /** Resolves once standard output holds the text; rejects when the program ends without it. */
  printed(text: string): Promise<void>;
  /** As when the program after it in a pipe ends. */
  closeStandardOutput(): void;
  readonly ended: Promise<Outcome>;
}

export interface BuiltProgram {
  start(cluster: LocalCluster, args: readonly string[], spec: Document): Promise<StartedProgram>;
  run(cluster: LocalCluster, args: readonly string[], spec: Document): Promise<Outcome>;
  remove(): Promise<void>;
}

/** A spec for the cluster; `groups` leaves workers out, `cluster` in `more` adds keys to the part of that name. */
export function specOf(
  cluster: LocalCluster,
  databases: readonly Document[] | Document,
  more: { readonly groups?: readonly number[]; readonly cluster?: Document } = {},
): Document {
  const nodes = cluster.nodes.map(({ group, host, port }) => ({ group, host, port }));
  const workers = nodes.filter(({ group }) => group !== 0 && (more.groups?.includes(group) ?? true));
  return {
    cluster: {
      name: 'citusdemo',
      passwordFile: cluster.passwordFile,
      coordinator: nodes[0],
      ...(cluster.kind === 'plain' ? { citus: false } : { workers }),
      ...more.cluster,
    },
    databases,
  };
}

/** The program in this process: everything but main.ts. */
export async function runProgram(
  cluster: LocalCluster,
  args: readonly string[],
  spec: Document,
  stop?: Promise<'SIGINT' | 'SIGTERM'>,
): Promise<Outcome> {
  return await withSpecFile(spec, async (file) => {
    const stdout = new Collector();
    const stderr = new Collector();
    const startedAt = performance.now();
    const code = await runCli([...args, '--spec', file], {
      stdout,
      stderr,
      interactive: false,
      invokedAs: 'citus-databases',
      onSignal: (handler) => void stop?.then(handler),
    });
    return outcome(cluster, code, stdout.text, stderr.text, startedAt);
  });
}

/** Bundles the program into a folder of its own, so that no test depends on what an earlier build left behind. */
export async function buildProgram(): Promise<BuiltProgram> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-program-'));
  const root = fileURLToPath(new URL('../..', import.meta.url));
  await promisify(execFile)(process.execPath, ['scripts/build.mjs', folder], { cwd: root });
  const running = new Set<ChildProcess>();
  let specs = 0;

  async function start(cluster: LocalCluster, args: readonly string[], spec: Document): Promise<StartedProgram> {
    specs += 1;
    const file = path.join(folder, `spec${specs}.yaml`);
    await writeFile(file, stringify(spec, { lineWidth: 0 }));
    const startedAt = performance.now();
    const child = spawn(process.execPath, [path.join(folder, 'citus-databases.js'), ...args, '--spec', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    const stdout = new Collector();
    const stderr = new Collector();
    child.stdout.pipe(stdout);
    child.stderr.pipe(stderr);
    const ended = new Promise<Outcome>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        running.delete(child);
        if (code === null) reject(new Error(`ended by ${signal}`));
        else resolve(outcome(cluster, code, stdout.text, stderr.text, startedAt));
      });
    });
    return {
      pid: child.pid,
      kill: (signal) => void child.kill(signal),
      closeStandardOutput: () => void child.stdout.destroy(),
      printed: (text) => Promise.race([stdout.contains(text), endedWithout(text, ended)]),
      ended,
    };
  }

  return {
    start,
    run: async (cluster, args, spec) => await (await start(cluster, args, spec)).ended,
    async remove() {
      for (const child of running) child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function endedWithout(text: string, ended: Promise<Outcome>): Promise<never> {
  const { code, stdout, stderr } = await ended;
  throw new Error(`The program ended with ${code} and never printed ${JSON.stringify(text)}:\n${stdout}${stderr}`);
}

async function withSpecFile<Result>(spec: Document, body: (file: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-spec-'));
  try {
    const file = path.join(folder, 'spec.yaml');
    await writeFile(file, stringify(spec, { lineWidth: 0 }));
    return await body(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function outcome(cluster: LocalCluster, code: number, stdout: string, stderr: string, startedAt: number): Outcome {
  const milliseconds = performance.now() - startedAt;
  return { code, stdout, stderr, log: stable(cluster, stdout), milliseconds };
}

/** Text with what differs from run to run replaced: addresses, process ids, moments, versions of Citus. */
export function stable(cluster: LocalCluster, text: string): string {
  let result = text;
  for (const { group, host, port } of cluster.nodes) {
    result = result.replaceAll(`${host}:${port}`, `node${group}`).replaceAll(`'${host}', ${port}`, `'node${group}'`);
  }
  return (
    result
      .replaceAll(/process \d+/g, 'process PID')
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
      .replaceAll(/(Citus extension) \d+\.\d+-\d+/g, '$1 VERSION')
      // The default of citus.node_conninfo depends on whether PostgreSQL was built with TLS.
      .replaceAll(/(citus\.node_conninfo: sslmode=)\w+/g, '$1MODE')
  );
}

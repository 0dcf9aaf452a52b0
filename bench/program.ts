import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import type { Target } from './proxy.ts';

export interface Timed {
  readonly milliseconds: number;
  readonly code: number;
  readonly output: string;
  /** Peak of the process' memory (getrusage, ru_maxrss); only when it was asked for. */
  readonly peakMegabytes?: number;
  /** CPU time of the process, likewise. */
  readonly cpuMilliseconds?: number;
}

export interface Program {
  /** `through`: other addresses than the cluster's own, which the nodes keep among themselves. */
  run(command: readonly string[], spec: unknown): Promise<Timed>;
  /** The same, its peak memory and its CPU time. It reports by itself when it ends, which costs it a little time. */
  measureMemory(command: readonly string[], spec: unknown): Promise<Timed>;
  /** The same with another build. */
  runBundle(bundle: string, command: readonly string[], spec: unknown): Promise<Timed>;
  readonly bundle: string;
  /** The Node that runs it. */
  readonly node: string;
  remove(): Promise<void>;
}

/**
 * The program as users get it: built, and started as a process of its own, with Node's options and a compile
 * cache (which Node 20 leaves alone) as in the image.
 */
export async function buildProgram(root: string, node = process.execPath): Promise<Program> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-bench-'));
  await promisify(execFile)(process.execPath, ['scripts/build.mjs', folder], { cwd: root });
  const bundle = path.join(folder, 'citus-databases.js');
  const reporter = path.join(folder, 'usage.cjs');
  const report = path.join(folder, 'usage.json');
  await writeFile(
    reporter,
    `process.on('exit',()=>require('node:fs').writeFileSync(${JSON.stringify(report)},JSON.stringify(process.resourceUsage())))`,
  );
  const options = imageOptions(await readFile(path.join(root, 'Dockerfile.job'), 'utf8'));
  const environment = { ...process.env, NODE_COMPILE_CACHE: path.join(folder, 'compile-cache') };
  async function run(
    more: readonly string[],
    command: readonly string[],
    spec: unknown,
    started = bundle,
  ): Promise<Timed> {
    const file = path.join(folder, 'spec.yaml');
    await writeFile(file, stringify(spec, { lineWidth: 0 }));
    return await timed(node, [...options, ...more, started, ...command, '--spec', file], environment);
  }
  return {
    bundle,
    node,
    run: (command, spec) => run([], command, spec),
    runBundle: (other, command, spec) => run([], command, spec, other),
    async measureMemory(command, spec) {
      const result = await run(['--require', reporter], command, spec);
      const usage: NodeJS.ResourceUsage = JSON.parse(await readFile(report, 'utf8'));
      const cpuMilliseconds = (usage.userCPUTime + usage.systemCPUTime) / 1000;
      return { ...result, peakMegabytes: usage.maxRSS / 1024, cpuMilliseconds };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What stands between `node` and the program in the image's ENTRYPOINT. */
function imageOptions(dockerfile: string): readonly string[] {
  const entrypoint = /^ENTRYPOINT \["node", (.*"), "[^"]*"\]$/m.exec(dockerfile)?.[1];
  if (entrypoint === undefined) throw new Error('Dockerfile.job: the ENTRYPOINT is not that of a program with options');
  return JSON.parse(`[${entrypoint}]`) as string[];
}

/** Runs a program to its end. */
export async function timed(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Timed> {
  const startedAt = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? (signal === null ? 1 : 128)));
  });
  return { milliseconds: performance.now() - startedAt, code, output };
}

/** As `timed`, but another exit code ends the bench: what failed proves nothing about speed. */
export function succeeded(what: string, result: Timed, code = 0): Timed {
  if (result.code !== code) throw new Error(`${what} ended with ${result.code}:\n${result.output}`);
  return result;
}

/** What the bench declares: the same for the program, the floor and the baseline. */
export const WORK = {
  extensions: ['hstore', 'pg_trgm'],
  parameters: { timezone: 'UTC', work_mem: '8MB' },
} as const;

/** A spec; `through`: addresses that the program is to use, while the nodes keep their own among themselves. */
export function benchSpec(
  cluster: LocalCluster,
  database: string | readonly string[],
  through?: readonly Target[],
): unknown {
  const nodes = cluster.nodes.map((node) => {
    const front = through?.find(({ group }) => group === node.group) ?? node;
    return { group: node.group, host: front.host, port: front.port, nodeName: node.host, nodePort: node.port };
  });
  const [coordinator, ...workers] = nodes;
  return {
    cluster: { name: 'bench', passwordFile: cluster.passwordFile, coordinator, workers },
    // The proxy declines TLS, and no password would be sent where a server with TLS seems to.
    ...(through === undefined ? {} : { ssl: { mode: 'disable' } }),
    databases: [database].flat().map((name) => ({ name, ...WORK })),
  };
}

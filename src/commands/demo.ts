import { once } from 'node:events';
import path from 'node:path';
import type { Writable } from 'node:stream';
import type { Context } from '../context.ts';
import type { DemoCluster } from '../localCluster/demoCluster.ts';
import { type DemoFolder, prepareDemoFolder, prepareSpec, writePgpass } from '../localCluster/demoFolder.ts';
import { EXAMPLE } from '../localCluster/example.ts';
import { checkPorts } from '../localCluster/portHolder.ts';
import { exitCode, Interrupted } from '../report/errors.ts';
import { textLog } from '../report/log.ts';
import type { Redactor } from '../report/redact.ts';
import { createStepLog, type StepLog } from '../report/stepLog.ts';
import { loadAccess } from '../secrets/credentials.ts';
import { readUserPasswords } from '../secrets/userPasswords.ts';
import { readSpec } from '../spec/read.ts';
import { apply } from './apply.ts';
import { type Directions, queryEveryNode, sayWhatToType } from './demoTour.ts';
import { verify } from './verify.ts';

export interface DemoOptions {
  /** Stay up until a signal comes, or end after the verification. Default: stay up if somebody is at the terminal. */
  readonly stay?: boolean | undefined;
  readonly docker: boolean;
  /** The coordinator's port; the workers have the next two. */
  readonly port: number;
  /** Where the spec and the passwords go. Default: demo in the current folder, under a name of its own for other ports. */
  readonly directory?: string | undefined;
}

export interface DemoSurroundings {
  readonly stdout: Writable;
  readonly interactive: boolean;
  readonly color?: boolean;
  /** How this program is called here: what a user types. */
  readonly invokedAs: string;
}

/** At least one line this often while servers start. */
const PROGRESS_MS = 5_000;

const DEFAULT_PORT = 5600;

/**
 * A coordinator and two workers on this machine, a spec that is applied to them and verified, and a login to play with.
 * The spec and the passwords stay when it ends; the servers and their data do not.
 */
export async function demo(
  surroundings: DemoSurroundings,
  redactor: Redactor,
  signal: AbortSignal,
  options: DemoOptions,
): Promise<number> {
  const log = createStepLog(
    textLog({
      level: 'info',
      stream: surroundings.stdout,
      redact: redactor.redact,
      color: surroundings.color === true,
    }),
  );
  const ports = [options.port, options.port + 1, options.port + 2] as const;
  log.line(`Starting a coordinator and two workers on ports ${ports[0]}, ${ports[1]} and ${ports[2]}...`);
  if (!options.docker) await checkPorts(ports);
  const folder = await prepareDemoFolder(path.resolve(options.directory ?? defaultDirectory(options)));
  let cluster: DemoCluster | undefined;
  try {
    cluster = await startCluster(log, { ...options, ports, password: folder.superuserPassword, signal });
    log.line(`They run ${cluster.description}`);
    const directions = await play({ surroundings, redactor, signal, log, folder, cluster });
    if (options.stay ?? surroundings.interactive) {
      await sayWhatToType(log, directions);
      log.blank();
      log.line(`The cluster stays up until Ctrl-C. Its data goes then; ${shown(path.dirname(folder.specFile))} stays.`);
      await untilAborted(signal);
      log.line('Stopping the servers...');
    } else {
      log.blank();
      log.line('The demo ends here, and its servers with it; --stay keeps them up without a terminal too.');
    }
    return 0;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    log.line(`${error.message}: the servers are stopped and their data is removed.`);
    return exitCode(error);
  } finally {
    await cluster?.stop();
  }
}

interface Play {
  readonly surroundings: DemoSurroundings;
  readonly redactor: Redactor;
  readonly signal: AbortSignal;
  readonly log: StepLog;
  readonly folder: DemoFolder;
  readonly cluster: DemoCluster;
}

async function play({ surroundings, redactor, signal, log, folder, cluster }: Play): Promise<Directions> {
  const isExample = await prepareSpec(folder, cluster.nodes);
  const specFile = shown(folder.specFile);
  log.line(isExample ? `The spec is ${specFile}` : `The spec is ${specFile}, which was there already`);
  log.blank();
  const spec = await readSpec(folder.specFile);
  const context: Context = {
    command: 'demo',
    spec,
    access: await loadAccess(spec, redactor),
    log,
    signal,
    print: (text) => surroundings.stdout.write(redactor.redact(text)),
  };
  await apply(context);
  log.blank();
  await verify(context, { output: 'text' });
  const passwords = await readUserPasswords(spec, redactor);
  const pgpass = path.join(path.dirname(folder.specFile), 'pgpass');
  await writePgpass(pgpass, new Map([...passwords, [spec.cluster.user, folder.superuserPassword]]));
  if (isExample) {
    const password = passwords.get(EXAMPLE.owner);
    await queryEveryNode({
      log,
      nodes: [spec.cluster.coordinator, ...(spec.cluster.workers ?? [])],
      password,
      signal,
    });
  }
  return { spec, specFile, pgpass: shown(pgpass), invokedAs: surroundings.invokedAs };
}

async function startCluster(
  log: StepLog,
  options: DemoOptions & {
    readonly ports: readonly [number, number, number];
    readonly password: string;
    readonly signal: AbortSignal;
  },
): Promise<DemoCluster> {
  const startedAt = performance.now();
  const progress = setInterval(() => {
    log.line(`... still starting, ${Math.round((performance.now() - startedAt) / 1000)} s so far`, 1);
  }, PROGRESS_MS);
  const { docker, ports, password, signal } = options;
  try {
    if (docker) {
      const { startDockerCluster } = await import('../localCluster/dockerCluster.ts');
      return await startDockerCluster({ ports, password, signal, tell: (line) => log.line(line) });
    }
    const { startLocalCluster } = await import('../localCluster/localCluster.ts');
    return await startLocalCluster({ workers: 2, ports, password, host: 'localhost', signal });
  } finally {
    clearInterval(progress);
  }
}

/** A folder for each demo that can run beside the others. */
function defaultDirectory({ docker, port }: DemoOptions): string {
  return ['demo', ...(docker ? ['docker'] : []), ...(port === DEFAULT_PORT ? [] : [String(port)])].join('-');
}

/** As a user types it: relative where that is shorter. */
function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith('..') ? file : relative;
}

/** A signal keeps no process alive, nor do the servers: without a timer Node would end here, with exit code 13. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const waiting = setInterval(() => {}, 60_000);
  await once(signal, 'abort');
  clearInterval(waiting);
}

import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Context } from '../context.ts';
import type { DemoCluster } from '../localCluster/demoCluster.ts';
import { demoSpec } from '../localCluster/example.ts';
import { textLog } from '../report/log.ts';
import type { Redactor } from '../report/redact.ts';
import { createStepLog } from '../report/stepLog.ts';
import { loadAccess } from '../secrets/credentials.ts';
import { parseSpec } from '../spec/parse.ts';
import { apply } from './apply.ts';
import { verify } from './verify.ts';

export interface DemoOptions {
  readonly once?: boolean;
  readonly docker: boolean;
  /** The coordinator's, then the workers'; 5600 to 5602 unless tests say otherwise. */
  readonly ports?: readonly [number, number, number];
}

const PORTS = [5600, 5601, 5602] as const;

/**
 * Starts a coordinator and two workers on this machine, applies an example and verifies it. Stays up until Ctrl-C,
 * unless it was told to end or nobody is at the terminal.
 */
export async function demo(
  surroundings: { readonly stdout: Writable; readonly interactive: boolean },
  redactor: Redactor,
  signal: AbortSignal,
  options: DemoOptions,
): Promise<number> {
  const log = createStepLog(textLog({ level: 'info', stream: surroundings.stdout, redact: redactor.redact }));
  const { docker, ports = PORTS } = options;
  log.line(`Starting a coordinator and two workers on ports ${ports[0]}, ${ports[1]} and ${ports[2]}...`);
  const cluster = await startCluster(docker, ports, signal, (line) => log.line(line));
  try {
    log.line(`They run ${cluster.description}`);
    const extensions = ['hstore', 'pg_trgm'];
    log.line(`The example asks for ${extensions.join(' and ')}: PostGIS does not come with this PostgreSQL`);
    log.blank();
    const spec = parseSpec(demoSpec(cluster.nodes, cluster.passwordFile, extensions), 'the demo');
    const context: Context = {
      command: 'demo',
      spec,
      access: await loadAccess(spec, redactor),
      log,
      logLevel: 'info',
      signal,
      print: (text) => surroundings.stdout.write(redactor.redact(text)),
    };
    await apply(context);
    log.blank();
    await verify(context, { output: 'text' });
    log.blank();
    log.line('Connect with:');
    for (const node of cluster.nodes) {
      const what = node.group === 0 ? 'coordinator' : `worker ${node.group}`;
      log.line(`psql -h ${node.host} -p ${node.port} -U readonly -d skymap   # ${what}, password: changeme`, 1);
    }
    if (options.once ?? !surroundings.interactive) return 0;
    log.line('The cluster stays up until Ctrl-C.');
    await untilAborted(signal);
    return 0;
  } finally {
    await cluster.stop();
  }
}

async function startCluster(
  docker: boolean,
  ports: readonly [number, number, number],
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<DemoCluster> {
  if (docker) {
    const { startDockerCluster } = await import('../localCluster/dockerCluster.ts');
    return await startDockerCluster(ports, signal, tell);
  }
  const { startLocalCluster } = await import('../localCluster/localCluster.ts');
  return await startLocalCluster({ workers: 2, ports, host: 'localhost' });
}

/** A signal keeps no process alive, nor do the servers: without a timer Node would end here, with exit code 13. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const waiting = setInterval(() => {}, 60_000);
  await once(signal, 'abort');
  clearInterval(waiting);
}

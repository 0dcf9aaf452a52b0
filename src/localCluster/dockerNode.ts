import type { ContainerRuntimeClient, StartedNetwork, StartedTestContainer } from 'testcontainers';
import { Failure } from '../report/errors.ts';
import { portInUse } from './portInUse.ts';

export interface ContainerPlan {
  /** In the network of the nodes. */
  readonly name: string;
  readonly image: string;
  readonly password: string;
  /** On the machine where Docker runs. */
  readonly port: number;
  /** Bound to 127.0.0.1 there. */
  readonly localOnly: boolean;
  readonly network: StartedNetwork;
}

const PASSWORD_FILE = '/etc/superuser-password';
/** As long as apply waits for nodes by default: initdb on a busy machine takes minutes. */
const STARTUP_TIMEOUT_MS = 300_000;
/** How much of a container's log an error repeats. */
const LOG_LINES = 10;

/** Returns once the server accepts connections. A container that does not come so far is removed. */
export async function startContainer(
  library: typeof import('testcontainers'),
  client: ContainerRuntimeClient,
  plan: ContainerPlan,
): Promise<StartedTestContainer> {
  let containerId: string | undefined;
  const log: string[] = [];

  class Node extends library.GenericContainer {
    protected override async beforeContainerCreated(): Promise<void> {
      if (plan.localOnly) {
        this.hostConfig.PortBindings = { '5432/tcp': [{ HostIp: '127.0.0.1', HostPort: String(plan.port) }] };
      }
    }

    protected override async containerCreated(id: string): Promise<void> {
      containerId = id;
    }
  }

  try {
    return await new Node(plan.image)
      .withNetwork(plan.network)
      .withNetworkAliases(plan.name)
      .withExposedPorts({ container: 5432, host: plan.port })
      // A file, not the variable itself: that one is shown by `docker inspect`.
      .withEnvironment({ POSTGRES_PASSWORD_FILE: PASSWORD_FILE, POSTGRES_INITDB_ARGS: '--no-sync' })
      // Nobody needs this data after a crash (PostgreSQL documentation, "Non-Durable Settings").
      .withCommand(['postgres', '-c', 'fsync=off', '-c', 'full_page_writes=off'])
      .withCopyContentToContainer([{ content: plan.password, target: PASSWORD_FILE, mode: 0o400 }])
      .withLogConsumer((stream) => {
        stream.on('data', (line) => log.push(String(line).trimEnd()));
      })
      // The image's own health check asks after itself only; the port opens when the database is complete.
      .withWaitStrategy(library.Wait.forListeningPorts())
      .withStartupTimeout(STARTUP_TIMEOUT_MS)
      .start();
  } catch (error) {
    if (containerId !== undefined) await remove(client, containerId);
    throw failure(plan, error, log);
  }
}

/** It may be gone already. */
async function remove(client: ContainerRuntimeClient, id: string): Promise<void> {
  await client.container
    .getById(id)
    .remove({ force: true, v: true })
    .catch(() => undefined);
}

function failure(plan: ContainerPlan, error: unknown, log: readonly string[]): Failure {
  const message = error instanceof Error ? error.message : String(error);
  // dockerd's words, of the engine itself and of its proxy.
  if (/already allocated|already in use/.test(message)) {
    return portInUse(plan.port, `Docker could not bind it: ${message.trim()}`, error);
  }
  return new Failure(
    {
      kind: 'failed',
      what: `The container of ${plan.name} did not start`,
      cause: [message, ...log.slice(-LOG_LINES)].join('\n'),
      next: `Try \`docker run --rm -e POSTGRES_PASSWORD=example ${plan.image}\`, or leave --docker out`,
    },
    { cause: error },
  );
}

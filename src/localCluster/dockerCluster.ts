import type { StartedTestContainer } from 'testcontainers';
import { Failure } from '../report/errors.ts';
import type { DemoCluster } from './demoCluster.ts';
import { type ContainerPlan, startContainer } from './dockerNode.ts';

/** The image of users' development clusters; versions.env and compose.yaml name the same one. */
export const CITUS_IMAGE = 'citusdata/citus:14.1.0-pg17';

/** What the nodes call each other: the names of compose.yaml. */
const NAMES = ['citus_master', 'citus_worker1', 'citus_worker2'] as const;

type Testcontainers = typeof import('testcontainers');

export interface DockerClusterOptions {
  readonly ports: readonly [number, number, number];
  /** The superuser's. */
  readonly password: string;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

/** One container per node in a network of their own; the ports are bound on this machine alone where Docker runs on it. */
export async function startDockerCluster({
  ports,
  password,
  signal,
  tell,
}: DockerClusterOptions): Promise<DemoCluster> {
  const library = await loadTestcontainers();
  const client = await reachDocker(library);
  const image = library.ImageName.fromString(CITUS_IMAGE);
  if (!(await client.image.exists(image))) tell(`Fetching the image ${image.string}, once...`);
  await client.image.pull(image).catch((error: unknown) => {
    throw imageFailure(image.string, error);
  });
  signal.throwIfAborted();

  const closing: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closing.splice(0).toReversed()) await close();
  };
  try {
    const network = await new library.Network().start();
    closing.push(() => network.stop());
    const { host } = client.info.containerRuntime;
    const plans = NAMES.map((name, index): ContainerPlan => {
      const port = ports[index] ?? 0;
      return { name, image: CITUS_IMAGE, password, port, localOnly: isThisMachine(host), network };
    });
    const started = await startAll(library, client, plans);
    closing.push(() => Promise.all(started.map((container) => container.stop())));
    signal.throwIfAborted();
    return {
      description: `Citus of the image ${image.string} in Docker, on ${await versionOf(started[0])}`,
      nodes: plans.map(({ name, port }, group) => ({ group, host, port, nodeName: name, nodePort: 5432 })),
      stop,
    };
  } catch (error) {
    await stop();
    throw error instanceof Failure || signal.aborted ? error : containersFailure(error);
  }
}

/** Loaded for this alone: the program does not carry it, and Kubernetes has no use for it. */
async function loadTestcontainers(): Promise<Testcontainers> {
  try {
    return await import('testcontainers');
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: 'The npm package testcontainers is not installed',
        cause: error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error),
        next: 'Run `npm ci` in the checkout, without --omit=dev, and the demo from there; or leave --docker out',
      },
      { cause: error },
    );
  }
}

async function reachDocker(library: Testcontainers) {
  try {
    return await library.getContainerRuntimeClient();
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: 'Docker cannot be reached',
        cause: messageOf(error),
        next: 'Start Docker and see that `docker info` answers for this user, or leave --docker out: the demo then uses a local PostgreSQL',
      },
      { cause: error },
    );
  }
}

/** All at the same time; when one fails, the others are stopped. */
async function startAll(
  library: Testcontainers,
  client: Awaited<ReturnType<typeof reachDocker>>,
  plans: readonly ContainerPlan[],
): Promise<readonly StartedTestContainer[]> {
  const outcomes = await Promise.allSettled(plans.map((plan) => startContainer(library, client, plan)));
  const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return started;
  await Promise.all(started.map((container) => container.stop()));
  throw failed.reason;
}

async function versionOf(container: StartedTestContainer | undefined): Promise<string> {
  const { output = '' } = (await container?.exec(['postgres', '--version'])) ?? {};
  return `PostgreSQL ${/\d+(\.\d+)*/.exec(output)?.[0] ?? 'of unknown version'}`;
}

/** Docker elsewhere (DOCKER_HOST) would bind to its own 127.0.0.1. */
function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1';
}

function imageFailure(image: string, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `The image ${image} cannot be fetched`,
      cause: messageOf(error),
      next: `Try \`docker pull ${image}\`; where images come from another registry, name it in TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX`,
    },
    { cause: error },
  );
}

/**
 * Testcontainers' own helper, which removes containers after a crash, is an image too: where the registry cannot be
 * reached, the first network fails with it.
 */
function containersFailure(error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: 'Docker could not start the containers',
      cause: messageOf(error),
      next: `See that \`docker pull ${CITUS_IMAGE}\` works, or leave --docker out; where images come from another registry, name it in TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX`,
    },
    { cause: error },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { Semaphore } from '../concurrency/semaphore.ts';
import type { Context } from '../context.ts';
import { describeActivity } from '../postgres/activity.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import type { ServerAddress } from '../postgres/serverAddress.ts';
import { Sessions } from '../postgres/sessions.ts';
import { applicationName } from '../postgres/startup.ts';
import { Failure } from '../report/errors.ts';
import { tellNow } from '../report/heldLog.ts';
import type { NodeSpec } from '../spec/types.ts';
import { AbsentPods } from './absentPods.ts';
import { discoverWorkers } from './discover.ts';
import { type WaitProgress, type WhileWaiting, waitForNodes } from './ready.ts';
import { type ReleaseRecord, readRelease } from './release.ts';
import { waitForImage } from './rollout.ts';
import { nodeLabels } from './topology.ts';
import { WaitBoard } from './waitBoard.ts';
import { waitingElsewhere } from './waitingElsewhere.ts';

/** The cluster once every node accepts writes. */
export interface Joined {
  readonly coordinator: NodeSpec;
  readonly workers: readonly NodeSpec[];
  readonly labels: ReadonlyMap<number, string>;
  /** Holds one open connection to each node's maintenance database. */
  readonly sessions: Sessions;
  /** More sessions for concurrent work: those of `sessions` hold the locks, and each runs one statement at a time. */
  readonly moreSessions: () => Sessions;
  /** Serializes the registrations of this run, which would otherwise compete for the cluster's lock. */
  readonly registrations: Semaphore;
  /** See PROOFS. */
  readonly proofs: Semaphore;
  readonly loginAs: LoginAs;
  /** undefined outside of a chart's Jobs. */
  readonly release: ReleaseRecord | undefined;
}

/** Opens a session as a declared user, as any client of that user would. */
export type LoginAs = (place: {
  readonly node: NodeSpec;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}) => Promise<Session>;

/**
 * How many nodes reach out to all others at the same time, whichever database they do it for: each of them takes one
 * connection on every node, and nodes have max_connections (100 by default) to share with everybody else.
 */
const PROOFS = 8;

/** The longest patience that any database of the spec declares: the nodes are waited for once. */
export function patience(context: Context): { readonly maxAttempts: number; readonly retryDelaySeconds: number } {
  const [first, ...others] = context.spec.databases;
  if (first === undefined) {
    const retryDelaySeconds = Math.min(5, context.timeoutSeconds ?? 5);
    return { maxAttempts: Math.ceil((context.timeoutSeconds ?? 300) / retryDelaySeconds), retryDelaySeconds };
  }
  return others.reduce(
    (longest, candidate) =>
      candidate.maxAttempts * candidate.retryDelaySeconds > longest.maxAttempts * longest.retryDelaySeconds
        ? candidate
        : longest,
    first,
  );
}

/** Waits until the servers' pods run the image that the spec names, if it names one; see rollout.ts. */
export async function awaitImage(context: Context, whileWaiting?: WhileWaiting): Promise<void> {
  const { image, coordinator, workers } = context.spec.cluster;
  if (image === undefined) return;
  const hosts = [...new Set([coordinator, ...(workers ?? [])].map(({ host }) => host))];
  await waitForImage({
    image,
    hosts,
    ...patience(context),
    signal: context.signal,
    log: context.log,
    // Only here: Node's HTTPS client takes 20 ms to load.
    kubernetes: async (signal) => (await import('../kubernetes/client.ts')).inCluster(signal),
    absent: absentPods(context, hosts),
    whileWaiting,
  });
}

/** Waits for all nodes at the same time, the coordinator being asked for the workers first where the spec has none. */
export async function joinCluster(context: Context, whileWaiting?: WhileWaiting): Promise<Joined> {
  const { coordinator, workers: declared, withoutSuperuser } = context.spec.cluster;
  if (withoutSuperuser) throw needsSuperuser(context);
  const sessions = openSessions(context);
  const remembered = readRelease(context.signal);
  const shared = {
    sessions,
    moreSessions: () => openSessions(context),
    registrations: new Semaphore(1),
    proofs: new Semaphore(PROOFS),
    loginAs: loginAsUser(context),
  };
  try {
    if (declared !== undefined) {
      const nodes = [coordinator, ...declared];
      for (const session of await waitFor(context, nodes, whileWaiting)) sessions.adopt(session);
      const release = await remembered;
      return { coordinator, workers: declared, labels: nodeLabels(nodes), release, ...shared };
    }
    for (const session of await waitFor(context, [coordinator], whileWaiting)) sessions.adopt(session);
    const workers = await discoverWorkers(context, sessions);
    for (const session of await waitFor(context, workers, whileWaiting)) sessions.adopt(session);
    const release = await remembered;
    return { coordinator, workers, labels: nodeLabels([coordinator, ...workers]), release, ...shared };
  } catch (error) {
    await sessions.close();
    throw error;
  }
}

/** See LoginAs. */
export function loginAsUser(context: Context): LoginAs {
  return ({ node, database, user, password }) =>
    connect(
      { node, database },
      { ...context.access, user, password },
      { applicationName: applicationName(context.command, database), pinned: false, signal: context.signal },
    );
}

/** apply, plan, verify and wait have a way of their own (joinAsOwner.ts). */
function needsSuperuser({ command, spec }: Context): Failure {
  return new Failure({
    kind: 'invalid',
    what: `'${command}' works on every node as superuser, and cluster.withoutSuperuser says that '${spec.cluster.user}' is none`,
    next: 'Run it with a spec whose cluster.user is a superuser, or do this with the tools of the managed service',
  });
}

function openSessions(context: Context): Sessions {
  const nodes = [context.spec.cluster.coordinator, ...(context.spec.cluster.workers ?? [])];
  const labels = nodeLabels(nodes);
  const labelOf = (node: ServerAddress) => labels.get(node.group) ?? node.host;
  return new Sessions((node, database) =>
    connect({ node, database }, context.access, {
      applicationName: applicationName(context.command, database),
      // Some extensions change the database's search_path (postgis_topology): they have to start from its own.
      ...(database === MAINTENANCE_DATABASE
        ? { settings: maintenanceSettings(context) }
        : { ownSearchPath: true, settings: insideSettings(context) }),
      signal: context.signal,
      elsewhere: (backendPid, own) =>
        waitingElsewhere(
          nodes.filter(({ group }) => group !== node.group),
          context.access,
          labelOf,
          { backendPid, database: own },
        ),
      // A statement that takes long is reported with its node and the session that it waits for.
      onProbe: (activity) => {
        const name = labelOf(node);
        const log = context.log.about({ node: name, ...(database === MAINTENANCE_DATABASE ? {} : { database }) });
        tellNow(log, `${name}: ${describeActivity(activity)}`, 1);
      },
    }),
  );
}

function absentPods(context: Context, hosts: readonly string[]): AbsentPods {
  return new AbsentPods(hosts, context.signal, (line) => context.log.line(line, 1));
}

async function waitFor(
  context: Context,
  nodes: readonly NodeSpec[],
  whileWaiting: WhileWaiting | undefined,
): Promise<readonly Session[]> {
  const labels = nodeLabels(nodes);
  const hosts = [...new Set(nodes.map(({ host }) => host))];
  const absent = absentPods(context, hosts);
  const board = context.live === undefined ? undefined : new WaitBoard(context.live, nodes, labels);
  const options = {
    ...patience(context),
    signal: context.signal,
    applicationName: applicationName(context.command),
    settings: maintenanceSettings(context),
    whileWaiting,
    onReady: (node: NodeSpec) => board?.ready(node),
    onProgress: (progress: WaitProgress) => {
      const { node, attempt, maxAttempts, reason } = progress;
      void absent.look(attempt);
      if (board !== undefined) return board.failed(progress);
      const label = labels.get(node.group) ?? node.nodeName;
      const first = context.spec.cluster.citus ? 'PostgreSQL coordinator' : 'PostgreSQL';
      const who = node.group === 0 ? first : `worker ${label}`;
      context.log.about({ node: label }).line(`Waiting for ${who}... (attempt ${attempt}/${maxAttempts}: ${reason})`);
    },
  };
  try {
    const sessions = await waitForNodes(nodes, context.access, options);
    const seconds = board?.end() ?? 0;
    if (seconds > 0) context.log.line(`Waited ${seconds} s until every node accepted writes`);
    return sessions;
  } catch (error) {
    throw absent.explained(error);
  } finally {
    board?.end();
  }
}

/**
 * The maintenance database may have Citus too (images that install it into every database): it would then carry roles
 * and ALTER DATABASE to the workers, which are dealt with one by one.
 */
function maintenanceSettings(context: Context): Readonly<Record<string, string>> {
  return context.spec.cluster.citus ? { 'citus.enable_ddl_propagation': 'off' } : {};
}

/**
 * Citus would send a role's verifier to the workers, as text in a statement, whenever something of ours mentions a role
 * that it does not yet manage. The roles are there already: they are made on every node before anything else.
 */
function insideSettings(context: Context): Readonly<Record<string, string>> {
  // A library that is not there would keep everybody out, and the value from being corrected. Only superusers may say so.
  const libraries = { session_preload_libraries: '' };
  if (!context.spec.cluster.citus) return libraries;
  return {
    ...libraries,
    'citus.enable_create_role_propagation': 'off',
    'citus.enable_alter_role_propagation': 'off',
  };
}

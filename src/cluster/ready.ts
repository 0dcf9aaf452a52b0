import { pause } from '../concurrency/interrupt.ts';
import { type ConnectOptions, connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { classify, codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure } from '../report/errors.ts';
import type { Access } from '../secrets/credentials.ts';
import type { NodeSpec } from '../spec/types.ts';
import { nodeLabels } from './topology.ts';

export interface WaitOptions {
  readonly maxAttempts: number;
  /** From the start of one attempt to the start of the next. */
  readonly retryDelaySeconds: number;
  /**
   * How long an error that waiting rarely mends (wrong password, unknown host, certificate) may last: a node that is
   * still bootstrapping may not have its password or its name yet. Default 30.
   */
  readonly graceSeconds?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: WaitProgress) => void) | undefined;
  readonly whileWaiting?: WhileWaiting | undefined;
  /** Of `waitForNodes`. */
  readonly onReady?: ((node: NodeSpec) => void) | undefined;
  /** How messages name the node; its host unless given. */
  readonly label?: string | undefined;
  readonly applicationName?: string | undefined;
  /** Startup settings of the session that is left open. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly clock?: Clock | undefined;
  readonly open?: typeof connect | undefined;
}

/** What can be done before a node is ready, once one was found not to be. What it throws ends the wait. */
export type WhileWaiting = () => Promise<void>;

/** One attempt that found the node not ready. */
export interface WaitProgress {
  readonly node: NodeSpec;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly reason: string;
}

/** Time, for tests. */
export interface Clock {
  now(): number;
  sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void>;
}

const DEFAULT_GRACE_SECONDS = 30;
const SHORTEST_CONNECT_TIMEOUT_MS = 5_000;
const LONGEST_CONNECT_TIMEOUT_MS = 10_000;
/** How often a node that comes by itself is asked between two attempts: half of `retryDelaySeconds` would be lost otherwise. */
const ASK_AGAIN_MS = 1_000;

const systemClock: Clock = {
  now: () => performance.now(),
  sleep: pause,
};

/**
 * Waits until a node accepts writes: a standby, and a primary that was just demoted, answer SELECT 1 too, so only
 * pg_is_in_recovery() tells. The session that found out is left open for the caller.
 */
export async function waitForNode(node: NodeSpec, access: Access, options: WaitOptions): Promise<Session> {
  const clock = options.clock ?? systemClock;
  const grace = 1000 * (options.graceSeconds ?? DEFAULT_GRACE_SECONDS);
  let stuck: { readonly code: string; readonly since: number } | undefined;
  for (let attempt = 1; ; attempt += 1) {
    options.signal?.throwIfAborted();
    const startedAt = clock.now();
    const outcome = await tryOnce(node, access, options, connectTimeoutOf(options));
    if (outcome.ready) return outcome.session;
    options.signal?.throwIfAborted();
    await options.whileWaiting?.();
    const { error } = outcome;
    if (error instanceof Failure && error.details.kind !== 'failed') throw error;
    if (mendsByWaiting(error)) {
      stuck = undefined;
    } else {
      const code = codeOf(error) ?? describe(error);
      if (stuck?.code !== code) stuck = { code, since: startedAt };
      if (clock.now() - stuck.since >= grace) throw stuckFailure(node, access, options, error);
    }
    if (attempt >= options.maxAttempts) {
      // A wrong password is named as such, even if there was no time to see whether it stays wrong.
      throw codeOf(error) === SQLSTATE.invalidPassword
        ? stuckFailure(node, access, options, error)
        : notReady(node, options, error);
    }
    options.onProgress?.({ node, attempt, maxAttempts: options.maxAttempts, reason: describe(error) });
    const nextAt = startedAt + 1000 * options.retryDelaySeconds;
    if (mendsByWaiting(error)) {
      const session = await askUntil(nextAt, node, access, options, clock);
      if (session !== undefined) return session;
    }
    await clock.sleep(Math.max(0, nextAt - clock.now()), options.signal);
  }
}

/** Asks again every second until then. An error of another kind is left to the next attempt, which reports it. */
async function askUntil(
  until: number,
  node: NodeSpec,
  access: Access,
  options: WaitOptions,
  clock: Clock,
): Promise<Session | undefined> {
  while (until - clock.now() > ASK_AGAIN_MS) {
    await clock.sleep(ASK_AGAIN_MS, options.signal);
    const outcome = await tryOnce(node, access, options, Math.min(connectTimeoutOf(options), until - clock.now()));
    if (outcome.ready) return outcome.session;
    options.signal?.throwIfAborted();
    if (!mendsByWaiting(outcome.error)) return undefined;
  }
  return undefined;
}

/**
 * All nodes at the same time; their sessions come in the order of `nodes`. When one fails, the others are waited for
 * no longer, and no session stays open.
 */
export async function waitForNodes(
  nodes: readonly NodeSpec[],
  access: Access,
  options: Omit<WaitOptions, 'label'>,
): Promise<readonly Session[]> {
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  const labels = nodeLabels(nodes);
  const outcomes = await Promise.allSettled(
    nodes.map(async (node) => {
      try {
        const session = await waitForNode(node, access, { ...options, signal, label: labels.get(node.group) });
        options.onReady?.(node);
        return session;
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    }),
  );
  if (failed.signal.aborted) {
    await Promise.all(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.close() : undefined)));
    throw failed.signal.reason;
  }
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
}

type Outcome = { readonly ready: true; readonly session: Session } | { readonly ready: false; readonly error: unknown };

function connectTimeoutOf({ retryDelaySeconds }: WaitOptions): number {
  return Math.min(LONGEST_CONNECT_TIMEOUT_MS, Math.max(SHORTEST_CONNECT_TIMEOUT_MS, 1000 * retryDelaySeconds));
}

async function tryOnce(
  node: NodeSpec,
  access: Access,
  options: WaitOptions,
  connectTimeoutMs: number,
): Promise<Outcome> {
  const connectOptions: ConnectOptions = {
    connectTimeoutMs,
    signal: options.signal,
    ...(options.applicationName === undefined ? {} : { applicationName: options.applicationName }),
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  };
  let session: Session | undefined;
  try {
    session = await (options.open ?? connect)({ node, database: MAINTENANCE_DATABASE }, access, connectOptions);
    const inRecovery = session.inRecovery ?? (await askInRecovery(session, connectTimeoutMs, options.signal));
    if (!inRecovery) return { ready: true, session };
    await session.close();
    return { ready: false, error: new StillStandby('The server is in recovery: it does not accept writes yet') };
  } catch (error) {
    await session?.close();
    return { ready: false, error };
  }
}

/** Before PostgreSQL 14 the login does not report it. */
async function askInRecovery(session: Session, deadlineMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  const query = 'SELECT pg_is_in_recovery() AS standby';
  const { rows } = await session.query<{ standby: boolean }>(query, [], { deadlineMs, signal });
  return rows[0]?.standby !== false;
}

class StillStandby extends Error {}

/** A host name that is unknown is worth a retry elsewhere; here it is one of the things that may stay as they are. */
function mendsByWaiting(error: unknown): boolean {
  if (error instanceof StillStandby) return true;
  return classify(error) === 'transient' && codeOf(error) !== 'ENOTFOUND';
}

function notReady(node: NodeSpec, options: WaitOptions, error: unknown): Failure {
  const attempts = options.maxAttempts === 1 ? '1 attempt' : `${options.maxAttempts} attempts`;
  return new Failure(
    {
      kind: 'failed',
      what: `${nameOf(node, options)} did not become ready after ${attempts}`,
      cause: describe(error),
      next: `${whereToLook(node)}; when the node is well, run again: what is done already is kept`,
    },
    { cause: error },
  );
}

function stuckFailure(node: NodeSpec, access: Access, options: WaitOptions, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const name = nameOf(node, options);
  const [what, next] = wordsFor(codeOf(error), name, node, access);
  return new Failure({ kind: 'failed', what, cause: describe(error), next }, { cause: error });
}

function wordsFor(
  code: string | undefined,
  name: string,
  node: NodeSpec,
  access: Access,
): readonly [what: string, next: string] {
  switch (code) {
    case SQLSTATE.invalidPassword:
      return [
        `${name} does not accept the password of user ${access.user}`,
        'Compare the password file with the password of that role on this node (a changed Secret does not change it)',
      ];
    case SQLSTATE.invalidAuthorizationSpecification:
      return [
        `${name} does not let user ${access.user} in`,
        'Look at pg_hba.conf of that node, at the sslmode, and whether the role may log in',
      ];
    case SQLSTATE.invalidCatalogName:
      return [
        `${name} has no database ${MAINTENANCE_DATABASE}`,
        `Create it on that node: this program keeps its locks and its bookkeeping in ${MAINTENANCE_DATABASE}`,
      ];
    case 'ENOTFOUND':
      return [
        `The host name ${node.host} stays unknown`,
        'Compare the host in the spec with the names of the Services',
      ];
    default:
      return [`${name} cannot be used`, whereToLook(node)];
  }
}

function nameOf(node: NodeSpec, options: WaitOptions): string {
  return `${node.group === 0 ? 'PostgreSQL coordinator' : `Worker ${options.label ?? node.host}`}`;
}

function whereToLook(node: NodeSpec): string {
  if (isThisMachine(node.host)) return `See whether PostgreSQL runs here and listens on ${node.host}:${node.port}`;
  return `Look at the node (kubectl get pods -l citus-group=${node.group}, then kubectl logs of its pod)`;
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1' || host === '::1' || host.startsWith('/');
}

import type { LoginAs } from '../cluster/join.ts';
import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import type { Semaphore } from '../concurrency/semaphore.ts';
import { MAINTENANCE_DATABASE, type QueryOptions, type Session } from '../postgres/connection.ts';
import { LockBudget } from '../postgres/lockBudget.ts';
import type { Sessions } from '../postgres/sessions.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';

/** What executing steps for one database needs: sessions, the lock, the signal, the deadline. */
export interface Run {
  readonly database: string;
  /** The role may not keep its statements out of the server's log, nor read the catalogs of superusers. */
  readonly withoutSuperuser: boolean;
  /** What the log calls the coordinator. */
  readonly coordinator: string;
  readonly sessions: Sessions;
  readonly signal: AbortSignal;
  /** Throws when the lock was lost: another run may be at work by then. */
  readonly assertLock: () => Promise<void>;
  readonly label: (node: NodeSpec) => string;
  /** Turns of the nodes that reach out to all others. */
  readonly proofs: Semaphore;
  /** Answers of servers that are the same for every database of the command. undefined: each database asks anew. */
  readonly shared?: SharedAnswers | undefined;
  /** The latest moment, by performance.now(), at which something that fails may be tried again. */
  readonly deadline: () => number;
  /** How long a statement may wait for locks: until the deadline, and with all others of this run together for so long. */
  readonly lockLimits: (deadline?: number) => LockLimits;
  /** A session of its own as a declared user, with that role's settings. */
  loginAs(place: { readonly node: NodeSpec; readonly user: string; readonly password: string }): Promise<Session>;
  session(place: { readonly node: NodeSpec; readonly scope: 'server' | 'database' }): Promise<Session>;
  /** Runs something that a signal cuts short, and then throws Interrupted; sessions end their statements themselves. */
  interruptible<Result>(action: () => Promise<Result>): Promise<Result>;
}

export type LockLimits = Pick<QueryOptions, 'lockDeadline' | 'lockBudget'>;

/** By node and question. Only for commands that look once: during a long run the answers may change. */
export type SharedAnswers = Map<string, Promise<string>>;

export interface RunOptions {
  readonly database: DatabaseSpec;
  readonly sessions: Sessions;
  readonly signal: AbortSignal;
  /** undefined: it only looks, and so takes no lock. */
  readonly assertLock?: () => Promise<void>;
  readonly labels: ReadonlyMap<number, string>;
  readonly proofs: Semaphore;
  readonly shared?: SharedAnswers;
  readonly loginAs: LoginAs;
  /** Work on the server and inside the database goes by one session in the database. Default false. */
  readonly withoutSuperuser?: boolean;
}

/** So many times the patience for one change: several holders may rightly be in the way, one after the other. */
const MOST_LOCK_WAITS = 4;

export function createRun(options: RunOptions): Run {
  const { database, sessions, signal, withoutSuperuser = false } = options;
  const lockBudget = new LockBudget(MOST_LOCK_WAITS * patienceMs(database));
  return {
    database: database.name,
    withoutSuperuser,
    coordinator: options.labels.get(0) ?? 'coordinator',
    sessions,
    signal,
    assertLock: options.assertLock ?? (async () => undefined),
    proofs: options.proofs,
    shared: options.shared,
    label: (node) => options.labels.get(node.group) ?? node.nodeName,
    deadline: () => retryDeadline(database),
    lockLimits: (deadline = retryDeadline(database)) => ({ lockDeadline: deadline, lockBudget }),
    loginAs: (place) => options.loginAs({ ...place, database: database.name }),
    session: ({ node, scope }) =>
      sessions.get(node, scope === 'server' && !withoutSuperuser ? MAINTENANCE_DATABASE : database.name),
    interruptible: (action) => interruptible(signal, action),
  };
}

/** From now on, by performance.now(): as long as the database's declaration waits for nodes, half a minute at least. */
export function retryDeadline(database: DatabaseSpec): number {
  return performance.now() + patienceMs(database);
}

function patienceMs({ maxAttempts, retryDelaySeconds }: DatabaseSpec): number {
  return Math.max(30, maxAttempts * retryDelaySeconds) * 1000;
}

/**
 * For one part of the work: the lock is looked at before its first change and not again, since every look takes a round
 * trip on the coordinator, and a part may have a change for each worker.
 */
export function withOneLockCheck(run: Run): Run {
  let checked: Promise<void> | undefined;
  return {
    ...run,
    assertLock: () => {
      checked ??= run.assertLock();
      return checked;
    },
  };
}

/** The session itself ends the statement after a signal (clientSession.ts). */
async function interruptible<Result>(signal: AbortSignal, action: () => Promise<Result>): Promise<Result> {
  throwIfInterrupted(signal);
  try {
    return await action();
  } catch (error) {
    throwIfInterrupted(signal);
    throw error;
  }
}

import { createHash } from 'node:crypto';
import { poll } from '../concurrency/poll.ts';
import { Failure, Interrupted } from '../report/errors.ts';
import type { Session } from './connection.ts';
import { describeHolder, type HolderRow, holderOf, type LockHolder, type LockKey, SAME_KEY } from './lockHolder.ts';
import { findElsewhere, heldElsewhere, type LocksElsewhere, waitForOthers } from './locksElsewhere.ts';
import { rollBackPrepared } from './preparedHolder.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { placeOf } from './stream.ts';

export { describeHolder, endedLine, type LockHolder, type LockKey } from './lockHolder.ts';

/** One run at a time per declared database. */
export function databaseLock(database: string): LockKey {
  return { key: keyOf(`database:${database}`), subject: `The lock of database '${database}'` };
}

/** Worker registration copies roles to workers and so collides between databases: one at a time in the cluster. */
export function registrationLock(): LockKey {
  return { key: keyOf('worker-registration'), subject: 'The lock of worker registration' };
}

/** Moving shards loads nodes that all databases share: one database at a time in the cluster. */
export function rebalanceLock(): LockKey {
  return { key: keyOf('rebalance'), subject: 'The lock of rebalancing' };
}

/** `configure` changes all groups of a cluster, and restarts one server at a time: one run in the cluster. */
export function configureLock(): LockKey {
  return { key: keyOf('configure'), subject: 'The lock of configure' };
}

/** The prefix must never change: runs of different versions have to meet at the same key. */
function keyOf(name: string): string {
  return createHash('sha256').update(`citus-databases:lock:${name}`).digest().readBigInt64BE(0).toString();
}

export interface LockOptions {
  /** By performance.now(), which the system's clock does not move: when the wait is given up. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * How long who is no superuser may hold a superuser's run up, in milliseconds, whatever the deadline: by sessions that are
   * ended and take the lock again, or by a run of theirs elsewhere. Default one minute.
   */
  readonly heldUpMs?: number | undefined;
  /** Called once for each holder that is waited for. */
  readonly onWait?: ((holder: LockHolder) => void) | undefined;
  /** Called for each session that was ended because it held, or waited for, a lock that only superusers take. */
  readonly onEnded?: ((holder: LockHolder) => void) | undefined;
  /** Where runs that cannot take the lock here take it. */
  readonly elsewhere?: LocksElsewhere | undefined;
  /** The caller closes the session right after, which lets the lock go: one round trip less. Default false. */
  readonly endsWithSession?: boolean | undefined;
}

export interface HeldLock {
  /** One round trip. Throws when the session, and the lock with it, was lost, or the server was demoted. */
  assertHeld(): Promise<void>;
}

const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 1_000;
const ENDED_POLL_MS = 20;
const CHECK_DEADLINE_MS = 30_000;
const HELD_UP_MS = 60_000;

/**
 * Runs `body` while the session holds the lock. Polling instead of waiting inside PostgreSQL keeps deadlines and
 * signals in our hands, and leaves no snapshot open that would hold CREATE INDEX CONCURRENTLY up.
 */
export async function withLock<T>(
  session: Session,
  lock: LockKey,
  options: LockOptions,
  body: (held: HeldLock) => Promise<T>,
): Promise<T> {
  const held = await takeLock(session, lock, options);
  try {
    return await body(held);
  } finally {
    // After a signal the sessions are closed at once, and the lock is free with them.
    if (options.endsWithSession !== true && options.signal?.aborted !== true) await release(session, lock);
  }
}

/** For a lock that is held until its session ends. */
export async function takeLock(session: Session, lock: LockKey, options: LockOptions): Promise<HeldLock> {
  await acquire(session, lock, options);
  return { assertHeld: () => assertHeld(session, lock) };
}

async function acquire(session: Session, lock: LockKey, options: LockOptions): Promise<void> {
  let holder: LockHolder | undefined;
  let endedOthers = false;
  let heldUpSince: number | undefined;
  const taken = await poll(
    async () => {
      const tried = await tryLock(session, lock, options.elsewhere);
      if (tried.taken && options.elsewhere !== undefined && tried.elsewhere) {
        if (options.elsewhere.of === 'others') {
          await waitForOthers(session, lock, options.elsewhere, options);
          return true;
        }
        const [first] = await findElsewhere(session, lock, options.elsewhere);
        if (first === undefined) return true;
        // A superuser's run goes first: each of two that kept their locks would wait for the other.
        await release(session, lock);
        if (first.pid !== holder?.pid) options.onWait?.(first);
        holder = first;
        return undefined;
      }
      if (tried.taken) return true;
      const prepared = await rollBackPrepared(session, lock);
      const ended = [...(await endOthers(session, lock)), ...prepared.ended];
      for (const other of ended) options.onEnded?.(other);
      endedOthers = ended.length > 0;
      if (endedOthers) {
        heldUpSince ??= performance.now();
        const heldUp = performance.now() - heldUpSince;
        if (heldUp > (options.heldUpMs ?? HELD_UP_MS)) throw takenAgain(session, lock, ended);
        return undefined;
      }
      heldUpSince = undefined;
      const previous = holder;
      holder = prepared.left ?? (await findHolder(session, lock));
      if (holder !== undefined && (holder.pid !== previous?.pid || holder.gid !== previous.gid))
        options.onWait?.(holder);
      return undefined;
    },
    {
      everyMs: (asked) => (endedOthers ? ENDED_POLL_MS : Math.min(LONGEST_POLL_MS, FIRST_POLL_MS * 1.5 ** (asked - 1))),
      deadline: options.deadline,
      signal: options.signal,
    },
  );
  if (taken === undefined) throw heldByOther(session, lock, holder);
}

interface Tried {
  readonly taken: boolean;
  readonly elsewhere: boolean;
}

async function tryLock(session: Session, lock: LockKey, elsewhere: LocksElsewhere | undefined): Promise<Tried> {
  const there = elsewhere === undefined ? 'false' : heldElsewhere(lock, elsewhere);
  const [result] = await session.script<Tried>(
    `SELECT pg_try_advisory_lock('${lock.key}'::bigint) AS taken, ${there} AS elsewhere`,
    { joinable: true },
  );
  return result?.rows[0] ?? { taken: false, elsewhere: false };
}

const SAME_LOCK = `${SAME_KEY} AND l.granted`;

/**
 * Anybody who may connect can take an advisory lock, and a secret key would not stay one: pg_locks shows it to
 * everybody. But runs log in as superuser, so a session of somebody else that holds or waits for this key is no run, and
 * whoever is superuser ends it.
 */
async function endOthers(session: Session, lock: LockKey): Promise<readonly LockHolder[]> {
  const { rows } = await session.query<HolderRow>(
    // Materialized: a planner that calls the function first would end every session.
    `WITH others AS MATERIALIZED (
       SELECT DISTINCT l.pid, r.rolname AS role, a.application_name, host(a.client_addr) AS client_addr, a.backend_start AS since
         FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_roles r ON r.oid = a.usesysid
        WHERE ${SAME_KEY} AND NOT r.rolsuper
          AND EXISTS (SELECT FROM pg_roles s WHERE s.rolname = session_user AND s.rolsuper))
     SELECT o.*, pg_terminate_backend(o.pid) AS ended FROM others o`,
    [lock.key],
  );
  return rows.map(holderOf);
}

async function findHolder(session: Session, lock: LockKey): Promise<LockHolder | undefined> {
  const { rows } = await session.query<HolderRow>(
    `SELECT l.pid, a.usename AS role, a.application_name, host(a.client_addr) AS client_addr, a.backend_start AS since
       FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE ${SAME_LOCK}`,
    [lock.key],
  );
  const [row] = rows;
  return row === undefined ? undefined : holderOf(row);
}

async function assertHeld(session: Session, lock: LockKey): Promise<void> {
  let held: boolean;
  try {
    const { rows } = await session.query<{ held: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_locks l WHERE ${SAME_LOCK} AND l.pid = pg_backend_pid())
          AND NOT pg_is_in_recovery() AS held`,
      [lock.key],
      { deadlineMs: CHECK_DEADLINE_MS },
    );
    held = rows[0]?.held === true;
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    throw lost(session, lock, error);
  }
  if (!held) throw lost(session, lock);
}

/** The end of the session lets the lock go as well, so a connection that broke is no reason to fail. */
async function release(session: Session, lock: LockKey): Promise<void> {
  if (!session.isAlive) return;
  try {
    await session.query('SELECT pg_advisory_unlock($1::bigint)', [lock.key], { deadlineMs: CHECK_DEADLINE_MS });
  } catch {
    await session.close();
  }
}

function lost(session: Session, lock: LockKey, error?: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `${lock.subject} was lost on the way`,
      node: placeOf(session.node),
      database: session.database,
      cause: error instanceof Error ? error.message : 'the session no longer holds it',
      next: 'Run again: nothing more was changed after the loss was noticed, and what is done already is kept',
    },
    { cause: error },
  );
}

function heldByOther(session: Session, lock: LockKey, holder: LockHolder | undefined): Failure {
  return new Failure({
    kind: 'failed',
    what: `${lock.subject} was not free in time`,
    node: placeOf(session.node),
    database: session.database,
    cause: holder === undefined ? undefined : describeHolder(holder),
    next:
      holder?.gid === undefined
        ? 'Let the other run end, then run again. If it is dead, end its session: ' +
          `SELECT pg_terminate_backend(${holder?.pid ?? 'pid'}) in database ${session.database} of that node`
        : `No run prepares its lock. As superuser, or as ${holder.role}, in database ${session.database} of that node: ROLLBACK PREPARED ${quoteLiteral(holder.gid)}; then run again`,
  });
}

/** Nobody but superusers takes these locks: whoever keeps coming back means to hold runs up. */
function takenAgain(session: Session, lock: LockKey, ended: readonly LockHolder[]): Failure {
  const roles = [...new Set(ended.map(({ role }) => quoteIdentifier(role)))].toSorted();
  return new Failure({
    kind: 'failed',
    what: `${lock.subject} is taken again by sessions of ${roles.join(', ')} as soon as they are ended`,
    node: placeOf(session.node),
    database: session.database,
    cause: ended.map(describeHolder).join('\n'),
    next: `Stop that client, or keep it out: ALTER ROLE ${roles[0] ?? 'name'} NOLOGIN. Then run again`,
  });
}

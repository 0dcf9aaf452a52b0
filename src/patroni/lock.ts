import { poll } from '../concurrency/poll.ts';
import type { Context } from '../context.ts';
import { configureLock, describeHolder, endedLine, type HeldLock, takeLock } from '../postgres/advisoryLock.ts';
import { connect, MAINTENANCE_DATABASE, type Session } from '../postgres/connection.ts';
import { classify } from '../postgres/sqlstate.ts';
import { applicationName } from '../postgres/startup.ts';
import { Failure } from '../report/errors.ts';
import { reasonOf, viewGroup } from './group.ts';
import { nodeOf } from './serverSettings.ts';
import type { Tools } from './tools.ts';

/**
 * One run of configure at a time. Patroni's own compare-and-set (patroni/api.py, do_PATCH_config) keeps single requests
 * apart; the lock keeps a run from sending what it worked out before another run sent something, and two runs from
 * restarting two servers at once.
 */
export interface ConfigureLock {
  /** Takes it again when the session that held it is gone, as after a restart of the server that it was held in. */
  readonly keep: () => Promise<void>;
  readonly release: () => Promise<void>;
}

interface Holding {
  readonly session: Session;
  readonly lock: HeldLock;
}

/** How long the first group may be without a leader that can be asked, at most. */
const PATIENCE_MS = 30_000;
const POLL_MS = 1_000;

/**
 * An advisory lock in the leader of the first group. A leader that cannot be asked is no reason to stop: values under which
 * a server does not start are mended with this command.
 */
export async function takeConfigureLock(context: Context, tools: Tools): Promise<ConfigureLock> {
  let holding: Holding | undefined;
  const release = async (): Promise<void> => {
    await holding?.session.close();
    holding = undefined;
  };
  const keep = async (): Promise<void> => {
    // without it from the start: nobody is asked again before each restart
    if (holding === undefined || (await stillHeld(holding.lock, tools))) return;
    await release();
    holding = await take(context, tools);
  };
  holding = await take(context, tools);
  return { keep, release };
}

async function stillHeld(lock: HeldLock, { signal }: Tools): Promise<boolean> {
  try {
    await lock.assertHeld();
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** undefined: nobody could be asked for it. */
async function take(context: Context, tools: Tools): Promise<Holding | undefined> {
  const deadline = performance.now() + Math.min(PATIENCE_MS, tools.patroni.timeoutSeconds * 1000);
  let reason: unknown;
  async function attempt(): Promise<Holding | 'nobody' | undefined> {
    let session: Session | undefined;
    try {
      session = await openLeader(context, tools);
      const lock = await waitForLock(session, context, tools);
      // the leader may have been another one by the time the lock was taken
      await lock.assertHeld();
      return { session, lock };
    } catch (error) {
      await session?.close();
      tools.signal.throwIfAborted();
      if (error instanceof HeldByOther) throw error.cause;
      reason = error;
      return classify(error) === 'hopeless' ? 'nobody' : undefined;
    }
  }
  const holding = await poll(attempt, { everyMs: POLL_MS, deadline, signal: tools.signal });
  if (holding !== undefined && holding !== 'nobody') return holding;
  context.log.warn(
    `Another run of configure would not be noticed: the leader of the first group cannot be asked (${reasonOf(reason)})`,
  );
  return undefined;
}

class HeldByOther extends Error {}

async function waitForLock(session: Session, { log }: Context, { patroni, signal }: Tools): Promise<HeldLock> {
  try {
    return await takeLock(session, configureLock(), {
      deadline: performance.now() + patroni.timeoutSeconds * 1000,
      signal,
      onWait: (holder) => log.line(`Waiting for another run of configure: ${describeHolder(holder)}`),
      onEnded: (holder) => log.line(endedLine(holder)),
    });
  } catch (cause) {
    throw cause instanceof Failure && session.isAlive ? new HeldByOther('', { cause }) : cause;
  }
}

/** The leader as Patroni knows it: the Service in front of the group follows a moment later. */
async function openLeader({ spec }: Context, tools: Tools): Promise<Session> {
  const [group] = tools.patroni.groups;
  if (group === undefined) throw new Error('The section patroni has no groups');
  const view = await viewGroup(group, tools.rest);
  const leader = view.members.find((member) => member.role === 'leader');
  if (leader === undefined) throw new Error('it has none');
  const node = leader.sql === undefined ? spec.cluster.coordinator : nodeOf(group.group, leader.sql);
  const { access, signal } = tools.sql;
  return await connect({ node, database: MAINTENANCE_DATABASE }, access, {
    applicationName: applicationName('configure'),
    signal,
  });
}

import pg from 'pg';
import { ACTIVITY_OF, type Activity } from './activity.ts';
import type { Session } from './session.ts';
import type { Probe } from './watch.ts';

export interface ProbeOptions {
  /** Another session on the same server. */
  readonly open: () => Promise<Session>;
  /** Of the session that owes an answer. */
  readonly backendPid: number;
  readonly database: string;
  /** Asked when the session itself waits for nothing: what is done for it on other nodes. */
  readonly elsewhere?: ((backendPid: number, database: string) => Promise<Activity | undefined>) | undefined;
  readonly onProbe: ((activity: Activity) => void) | undefined;
}

const DEADLINE_MS = 5_000;

/** Looks, over a connection of its own, whether the server still has the session, and what it is doing. */
export function probeOf(options: ProbeOptions): () => Promise<Probe> {
  const { backendPid, database, onProbe } = options;
  let startedAt: string | undefined;
  return async () => {
    const session = await unlessTurnedDown(options.open);
    if (session === undefined) return 'alive';
    try {
      const { rows } = await session.query<Activity>(ACTIVITY_OF, [backendPid, database], { deadlineMs: DEADLINE_MS });
      const [activity] = rows;
      if (activity === undefined) return 'gone';
      // another server, behind the same name, may have a process of the same number
      startedAt ??= activity.started;
      if (activity.started !== startedAt) return 'gone';
      const other = activity.lock === null ? await options.elsewhere?.(backendPid, database) : undefined;
      onProbe?.(other ?? activity);
      return 'alive';
    } finally {
      await session.close();
    }
  };
}

/** undefined: the server answered, if only to turn us down (no slot free, for instance): it is alive. */
async function unlessTurnedDown(open: () => Promise<Session>): Promise<Session | undefined> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof pg.DatabaseError) return undefined;
    throw error;
  }
}

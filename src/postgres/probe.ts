import pg from 'pg';
import { ACTIVITY_OF, type Activity } from './activity.ts';
import type { Session } from './session.ts';
import type { Probe } from './watch.ts';

export interface ProbeOptions {
  /** Another session on the same server, in one of these databases: the first that lets it in. */
  readonly open: (database: string) => Promise<Session>;
  readonly openIn: readonly string[];
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
    const session = await firstThatLetsIn(options);
    if (session === undefined) return 'turnedDown';
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
async function firstThatLetsIn({
  open,
  openIn: [database, ...others],
}: Pick<ProbeOptions, 'open' | 'openIn'>): Promise<Session | undefined> {
  if (database === undefined) return undefined;
  try {
    return await open(database);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return await firstThatLetsIn({ open, openIn: others });
    throw error;
  }
}

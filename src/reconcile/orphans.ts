import { poll } from '../concurrency/poll.ts';
import { endMarkedSessions, type MarkedSessions } from '../initSql/marker.ts';
import { Failure } from '../report/errors.ts';
import type { LineLog } from '../report/stepLog.ts';
import type { DatabaseSpec, NodeSpec } from '../spec/types.ts';
import type { Run } from './run.ts';

const PAUSE_MILLISECONDS = 200;

/**
 * Ends what a killed run left behind in initSQL, which rolls its statement back, before anybody looks at the ledger.
 * Whoever calls this holds the database's lock, so no marked session is a living run's.
 */
export async function endOrphans(run: Run, database: DatabaseSpec, coordinator: NodeSpec, log: LineLog): Promise<void> {
  let told = false;
  let users: string | null = null;
  const ended = await poll(
    async () => {
      const session = await run.session({ node: coordinator, scope: 'server' });
      const { rows } = await session.query<MarkedSessions>(endMarkedSessions(database));
      if (rows[0]?.sessions === 0) return true;
      users = rows[0]?.users ?? null;
      if (!told) {
        log.line(
          users === null
            ? 'An earlier run was killed while it executed initSQL: its session is ended, its statement undone'
            : `A session of ${users} says that it executes initSQL: it is ended, and what it has not committed is undone`,
        );
      }
      told = true;
      return undefined;
    },
    { everyMs: PAUSE_MILLISECONDS, deadline: run.deadline(), signal: run.signal },
  );
  if (ended !== undefined) return;
  if (users !== null) {
    throw new Failure({
      kind: 'failed',
      what: `Sessions of ${users} keep coming that say they execute initSQL`,
      node: run.label(coordinator),
      database: run.database,
      next: 'Stop what connects as that role again and again (ALTER ROLE ... NOLOGIN meanwhile), then run again',
    });
  }
  throw new Failure({
    kind: 'failed',
    what: 'The session in which an earlier run executed initSQL does not end',
    node: run.label(coordinator),
    database: run.database,
    next: 'Look for it in pg_stat_activity (its application_name says initSQL), and run again once it is gone',
  });
}
